"""Triangles inside the outlines, by Gmsh in a process of its own.

Gmsh raises nothing on most outlines that it cannot mesh: it returns no triangles, or flat ones, or
never returns. So the polygons are checked before, the triangles after, and the process has a time
limit.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from chemoscape.errors import MeshError

WORKER = Path(__file__).with_name("_gmsh_worker.py")
FRONTAL_DELAUNAY = 6
MIN_QUALITY = 0.1
#: Closest approach of two parts of an outline, in mesh sizes: narrower ones hold no sound triangle.
MIN_CLEARANCE = 1e-3
MAX_TRIANGLES = 2_000_000
DEBIAN_PACKAGES = (
    "libglu1-mesa libgl1 libxrender1 libxcursor1 libxft2 libxinerama1 libfontconfig1 libgomp1"
)


@dataclass(frozen=True, eq=False)
class Mesh:
    """Straight-sided triangles: plain arrays that know neither mesher nor solver.

    Parameters
    ----------
    points : numpy.ndarray, shape (n_points, 2)
        x and y in µm.
    triangles : numpy.ndarray of int, shape (n_triangles, 3)
        Corners, counter-clockwise.
    """

    points: np.ndarray
    triangles: np.ndarray

    @cached_property
    def areas(self) -> np.ndarray:
        """Area of every triangle in µm², shape (n_triangles,); negative when clockwise."""
        a, b, c = np.moveaxis(self.points[self.triangles], 1, 0)
        return 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])

    @cached_property
    def quality(self) -> np.ndarray:
        """4√3 area / sum of squared sides: 1 for an equilateral triangle, 0 for a flat one."""
        corners = self.points[self.triangles]
        sides = ((corners - np.roll(corners, 1, axis=1)) ** 2).sum(axis=(1, 2))
        with np.errstate(divide="ignore", invalid="ignore"):
            return 4 * np.sqrt(3) * self.areas / sides

    @cached_property
    def particle(self) -> np.ndarray:
        """Number of the connected particle that every point belongs to, shape (n_points,)."""
        first = self.triangles.ravel()
        second = np.roll(self.triangles, 1, axis=1).ravel()
        n = len(self.points)
        links = coo_matrix((np.ones(first.size, dtype=np.int8), (first, second)), shape=(n, n))
        return connected_components(links, directed=False)[1]


def triangulate(
    polygons: Sequence[shapely.Polygon],
    size: float,
    *,
    embedded: Sequence[shapely.Geometry] = (),
    time_limit: float = 120.0,
) -> Mesh:
    """Mesh the polygons with triangles of about one size.

    Parameters
    ----------
    polygons : sequence of shapely.Polygon
        Particles with their holes, in µm; simple and disjoint.
    size : float
        Length of the triangles' sides in µm.
    embedded : sequence of shapely geometries
        Polygons, rings, or lines from outline to outline, that the triangles' sides must follow: a
        phase boundary.
    time_limit : float
        Seconds after which the mesher is stopped.

    Returns
    -------
    Mesh
        The same arrays in every run.

    Raises
    ------
    MeshError
        A polygon is not fit for meshing (the message names contour and place), Gmsh cannot be
        loaded or does not answer, or its triangles fail a check.
    """
    polygons = list(polygons)
    check_outline(polygons, size)
    area = float(sum(polygon.area for polygon in polygons))
    if area > MAX_TRIANGLES * size**2 * np.sqrt(3) / 4:
        raise MeshError(
            f"a mesh size of {size:g} µm makes more than {MAX_TRIANGLES:,} triangles",
            remedy="raise mesh_size",
        )
    bounds = shapely.total_bounds(polygons)
    centre = (bounds[:2] + bounds[2:]) / 2
    # in mesh sizes around the origin, Gmsh's absolute tolerances mean the same for every image
    faces = [
        shapely.transform(face, lambda xy: (xy - centre) / size)
        for face in _faces(polygons, embedded)
    ]
    points, triangles = _run_gmsh(faces, time_limit)
    mesh = _oriented(points * size + centre, triangles)
    check_mesh(mesh, polygons)
    return mesh


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


def _faces(
    polygons: Sequence[shapely.Polygon], embedded: Sequence[shapely.Geometry]
) -> list[shapely.Polygon]:
    """The polygons, cut along the embedded lines into faces that share their sides."""
    if not embedded:
        return list(polygons)
    lines = [shapely.boundary(p) for p in polygons]
    lines += [g.boundary if g.geom_type.endswith("Polygon") else g for g in embedded]
    noded = shapely.get_parts(shapely.union_all(lines))
    pieces, cuts, dangles, _ = shapely.polygonize_full(noded)
    inside = shapely.union_all(polygons)
    for loose in (*shapely.get_parts(cuts), *shapely.get_parts(dangles)):
        if inside.contains(loose):
            x, y = shapely.get_coordinates(loose)[0]
            raise MeshError(
                f"an embedded line ends inside a particle, near x = {x:.4g}, y = {y:.4g} µm",
                remedy="close it, or lead it to the outline",
            )
    return [
        piece
        for piece in shapely.get_parts(pieces)
        if inside.contains(piece.representative_point())
    ]


def _planar_graph(faces: Sequence[shapely.Polygon]) -> dict[str, list]:
    """Points, lines and surfaces for the worker; a side that two faces share is one line."""
    points: dict[tuple[float, float], int] = {}
    lines: dict[tuple[int, int], int] = {}
    surfaces = []
    for face in faces:
        loops = []
        for ring in (face.exterior, *face.interiors):
            corners = [points.setdefault(xy, len(points)) for xy in ring.coords[:-1]]
            loop = []
            for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
                line = lines.setdefault((min(a, b), max(a, b)), len(lines) + 1)
                loop.append(line if a < b else -line)
            loops.append(loop)
        surfaces.append(loops)
    return {"points": list(points), "lines": list(lines), "surfaces": surfaces}


def _gmsh_folder() -> str:
    """Folder that holds the gmsh module, found without importing it."""
    found = importlib.util.find_spec("gmsh")
    if found is None or found.origin is None:
        raise MeshError("Gmsh is not installed", remedy="install it: pip install gmsh")
    return str(Path(found.origin).parent)


def _run_gmsh(faces: Sequence[shapely.Polygon], time_limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) and triangles (m, 3) from the worker process; side length 1."""
    job = _planar_graph(faces) | {
        "size": 1.0,
        "algorithm": FRONTAL_DELAUNAY,
        "gmsh_folder": _gmsh_folder(),
    }
    with tempfile.TemporaryDirectory(prefix="chemoscape-mesh-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and worker
                [sys.executable, "-I", str(WORKER), name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=time_limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise MeshError(
                f"Gmsh did not finish within its time limit of {time_limit:g} s",
                remedy="raise mesh_size or smooth the mask",
            ) from None
        answer_file = folder / "answer.json"
        if not answer_file.exists():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            last = said[-1] if said else "no message"
            raise MeshError(
                f"Gmsh stopped with status {done.returncode} ({last})",
                remedy="raise mesh_size or smooth the mask",
            )
        answer = json.loads(answer_file.read_text(encoding="utf-8"))
        if "cannot_load" in answer:
            raise MeshError(
                f"Gmsh cannot be loaded ({answer['cannot_load']})",
                remedy=f"install the libraries it links, on Debian: apt install {DEBIAN_PACKAGES}",
            )
        tags = np.fromfile(folder / "tags.bin", dtype=np.int64)
        points = np.fromfile(folder / "coordinates.bin").reshape(-1, 3)[:, :2]
        corners = np.fromfile(folder / "corners.bin", dtype=np.int64).reshape(-1, 3)
    order = np.argsort(tags)
    return points[order], np.searchsorted(tags[order], corners)


def _oriented(points: np.ndarray, triangles: np.ndarray) -> Mesh:
    """Mesh with every triangle counter-clockwise."""
    clockwise = Mesh(points, triangles).areas < 0
    triangles = np.where(clockwise[:, None], triangles[:, [0, 2, 1]], triangles)
    return Mesh(points, triangles)


def check_mesh(mesh: Mesh, polygons: Sequence[shapely.Polygon]) -> None:
    """Refuse a mesh that does not fill its polygons with sound triangles.

    Raises
    ------
    MeshError
        Names the check and, where there is one, the place.
    """
    remedy = "smooth the mask, cut its necks wider, or change mesh_size"
    if len(mesh.triangles) == 0:
        raise MeshError("Gmsh made no triangles", remedy=remedy)
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
