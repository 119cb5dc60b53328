"""What an outline must satisfy before it is meshed, and a mesh before it is solved on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import shapely
import xarray as xr

from chemoscape.errors import MeshError

if TYPE_CHECKING:
    from chemoscape.mechanics.mesh import Mesh

MIN_QUALITY = 0.1
#: Closest approach of two parts of an outline, in mesh sizes: narrower ones hold no sound triangle.
MIN_CLEARANCE = 1e-3


def check_map(image: xr.DataArray, name: str) -> xr.DataArray:
    """The map with dims in the order (y, x).

    Raises
    ------
    MeshError
        It has other dims, no pixel, or coordinates that do not ascend.
    """
    if set(image.dims) != {"y", "x"} or image.size == 0:
        raise MeshError(
            f"the {name} has dims {image.dims} and shape {image.shape}",
            remedy="give a map with dims (y, x)",
        )
    for dim in ("y", "x"):
        axis = np.asarray(image[dim].values, dtype=float)
        if not (np.isfinite(axis).all() and (np.diff(axis) > 0).all()):
            raise MeshError(
                f"coordinate {dim!r} of the {name} does not ascend", remedy="sort the map by it"
            )
    return image.transpose("y", "x")


def check_outline(polygons: Sequence[shapely.Polygon], size: float) -> None:
    """Refuse polygons that a mesher would silently turn into nonsense.

    Raises
    ------
    MeshError
        Names the contour and the place.
    """
    if not np.isfinite(size) or size <= 0:
        raise MeshError(f"the mesh size is {size} µm", remedy="give a positive mesh_size")
    if not polygons:
        raise MeshError("there is no particle to mesh", remedy="check the mask")
    for number, polygon in enumerate(polygons, start=1):
        _check_rings(polygon, number)
        reason = shapely.is_valid_reason(polygon)
        if reason != "Valid Geometry":
            what, _, place = reason.partition("[")
            raise _outline_error(
                f"its contours cross or touch ({what.lower()})", number, place.strip("]").split()
            )
        clearance = shapely.minimum_clearance(polygon)
        if clearance < MIN_CLEARANCE * size:
            place = shapely.minimum_clearance_line(polygon).coords[0]
            raise _outline_error(
                f"parts of its contours come within {clearance:.2g} µm of each other", number, place
            )
    first, second = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    for i, j in zip(first, second, strict=True):
        if i < j:
            place = shapely.get_coordinates(shapely.intersection(polygons[i], polygons[j]))[0]
            raise _outline_error(f"it touches particle {j + 1}", i + 1, place)


def check_clearance(faces: Sequence[shapely.Polygon], size: float) -> None:
    """Refuse faces with parts so close to each other that no sound triangle fits between.

    Raises
    ------
    MeshError
        Names the place.
    """
    for face in faces:
        clearance = shapely.minimum_clearance(face)
        if clearance < MIN_CLEARANCE * size:
            x, y = shapely.minimum_clearance_line(face).coords[0]
            raise MeshError(
                f"an embedded line comes within {clearance:.2g} µm of the outline or of another, "
                f"near x = {x:.4g}, y = {y:.4g} µm",
                remedy="smooth the map that it was drawn in",
            )


def _check_rings(polygon: shapely.Polygon, number: int) -> None:
    """Every ring has finite corners, no two consecutive ones the same, and meets no other ring."""
    if polygon.is_empty:
        raise MeshError("the polygon is empty", where=f"particle {number}", remedy="check the mask")
    for k, ring in enumerate([polygon.exterior, *polygon.interiors]):
        name = f"hole {k}" if k else "the outline"
        corners = shapely.get_coordinates(ring)
        if not np.isfinite(corners).all():
            raise MeshError(
                f"a corner of {name} is not finite",
                where=f"particle {number}",
                remedy="check the mask's coordinates",
            )
        same = np.flatnonzero((np.diff(corners, axis=0) == 0).all(axis=1))
        if same.size:
            raise _outline_error(f"a corner of {name} is given twice", number, corners[same[0]])
        if k and ring.intersects(polygon.exterior):
            place = shapely.get_coordinates(ring.intersection(polygon.exterior))[0]
            raise _outline_error(f"{name} touches or crosses the outline", number, place)


def _outline_error(what: str, number: int, place: Sequence[object] | np.ndarray) -> MeshError:
    """Sentence with the place in µm."""
    x, y = (float(value) for value in list(place)[:2])
    return MeshError(
        what,
        where=f"particle {number}, near x = {x:.4g}, y = {y:.4g} µm",
        remedy="smooth the mask, cut its necks wider, or mask this place out",
    )


def check_mesh(mesh: Mesh, polygons: Sequence[shapely.Polygon]) -> None:
    """Refuse a mesh that does not fill its polygons with sound triangles.

    Raises
    ------
    MeshError
        Names the check and, where there is one, the place.
    """
    remedy = "smooth the mask, cut its necks wider, or change mesh_size"
    if len(mesh.triangles) == 0:
        raise MeshError("the mesher made no triangles", remedy=remedy)
    if not np.isfinite(mesh.points).all():
        raise MeshError("the mesh holds a corner that is not finite", remedy=remedy)
    used = np.zeros(len(mesh.points), dtype=bool)
    used[mesh.triangles] = True
    if not used.all():
        x, y = mesh.points[~used][0]
        raise MeshError(
            f"{(~used).sum()} corners, as at x = {x:.4g}, y = {y:.4g} µm, belong to no triangle",
            remedy=remedy,
        )
    worst = int(np.argmin(np.nan_to_num(mesh.quality, nan=-1.0)))
    if not mesh.quality[worst] > MIN_QUALITY:
        x, y = mesh.points[mesh.triangles[worst]].mean(axis=0)
        raise MeshError(
            f"the flattest triangle, near x = {x:.4g}, y = {y:.4g} µm, has quality "
            f"{mesh.quality[worst]:.2g} (more than {MIN_QUALITY:g} is needed)",
            remedy=remedy,
        )
    wanted = float(sum(polygon.area for polygon in polygons))
    found = float(mesh.areas.sum())
    if abs(found - wanted) > 1e-9 * wanted:
        raise MeshError(
            f"the triangles cover {found:.6g} µm² of the particles' {wanted:.6g} µm²", remedy=remedy
        )
    pieces = int(mesh.particle.max()) + 1
    if pieces != len(polygons):
        raise MeshError(
            f"the mesh falls into {pieces} pieces, there are {len(polygons)} particles",
            remedy=remedy,
        )


def check_faces(mesh: Mesh, faces: Sequence[shapely.Polygon]) -> None:
    """Refuse a mesh whose sides do not follow the lines between the faces.

    Raises
    ------
    MeshError
        Names the place.
    """
    centroids = shapely.points(mesh.points[mesh.triangles].mean(axis=1))
    triangle, face = shapely.STRtree(faces).query(centroids, predicate="within")
    found = np.bincount(face, mesh.areas[triangle], minlength=len(faces))
    wanted = shapely.area(faces)
    # as strict as the check of the total, of which one face may be a small part
    off = np.abs(found - wanted) > 1e-9 * wanted.sum()
    if off.any():
        worst = int(np.argmax(np.abs(found - wanted)))
        place = faces[worst].representative_point()
        raise MeshError(
            f"the triangles do not follow an embedded line: {found[worst]:.6g} µm² instead of "
            f"{wanted[worst]:.6g} µm² on the part around x = {place.x:.4g}, y = {place.y:.4g} µm",
            remedy="smooth the line, or change mesh_size",
        )
