"""Triangles inside the outlines.

Meshers raise nothing on most outlines that they cannot mesh: they return no triangles, or flat
ones, or never return. So the polygons are checked before, the triangles after, and the mesher runs
in a process with a time limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
import xarray as xr
from scipy.interpolate import interp1d
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from chemoscape.errors import MeshError
from chemoscape.mechanics.mesh_checks import (
    check_clearance,
    check_faces,
    check_map,
    check_mesh,
    check_outline,
)
from chemoscape.mechanics.meshing import Grid, run_mesher

__all__ = ["Mesh", "check_mesh", "check_outline", "triangulate"]

MAX_TRIANGLES = 2_000_000


@dataclass(frozen=True, eq=False)
class Mesh:
    """Straight-sided triangles: plain arrays that know neither mesher nor solver.

    Parameters
    ----------
    points : numpy.ndarray, shape (n_points, 2)
        x and y in µm.
    triangles : numpy.ndarray of int, shape (n_triangles, 3)
        Corners, counter-clockwise.
    made_by : str
        Name and version of the mesher, for the record.
    """

    points: np.ndarray
    triangles: np.ndarray
    made_by: str = ""

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
    size_field: xr.DataArray | None = None,
    time_limit: float = 120.0,
) -> Mesh:
    """Mesh the polygons with triangles of about one size, or finer where a field asks for it.

    Parameters
    ----------
    polygons : sequence of shapely.Polygon
        Particles with their holes, in µm; simple and disjoint.
    size : float
        Length of the triangles' sides in µm.
    embedded : sequence of shapely geometries
        Polygons, rings, or lines from outline to outline, that the triangles' sides must follow: a
        phase boundary (see `phase_contour`).
    size_field : xarray.DataArray, dims (y, x), optional
        Sides in µm on a grid with coordinates in µm, interpolated between (see
        `size_from_gradient`); the smaller of it and `size` counts.
    time_limit : float
        Seconds after which the mesher is stopped.

    Returns
    -------
    Mesh
        The same arrays in every run with one version of one mesher.

    Raises
    ------
    MeshError
        A polygon is not fit for meshing (the message names contour and place), the size field is
        not positive and finite, no mesher runs here or it does not answer, or its triangles fail a
        check.
    """
    polygons = list(polygons)
    check_outline(polygons, size)
    field = None if size_field is None else _checked_field(size_field)
    _check_count(polygons, size, field)
    bounds = shapely.total_bounds(polygons)
    centre = (bounds[:2] + bounds[2:]) / 2
    faces = cut_along(polygons, embedded)
    check_clearance(faces, size)
    # in mesh sizes around the origin, the mesher's absolute tolerances mean the same for every
    # image
    scaled = [
        shapely.orient_polygons(shapely.transform(face, lambda xy: (xy - centre) / size))
        for face in faces
    ]
    grid = None if field is None else _scaled_grid(field, centre, size)
    points, triangles, mesher = run_mesher(scaled, grid, time_limit)
    mesh = _oriented(points * size + centre, triangles, mesher)
    check_mesh(mesh, polygons)
    if embedded:
        check_faces(mesh, faces)
    return mesh


def _checked_field(field: xr.DataArray) -> xr.DataArray:
    """The size field with dims (y, x), if it is positive and finite on an ascending grid."""
    field = check_map(field, "size field")
    bad = np.argwhere(~(np.isfinite(field.values) & (field.values > 0)))
    if len(bad):
        row, column = bad[0]
        raise MeshError(
            f"the size field is {field.values[row, column]} µm",
            where=f"x = {field['x'].values[column]:.4g}, y = {field['y'].values[row]:.4g} µm",
            remedy="give positive, finite sizes everywhere",
        )
    return field


def _check_count(
    polygons: Sequence[shapely.Polygon], size: float, field: xr.DataArray | None
) -> None:
    """Refuse what would make more triangles than a solve can take."""
    density = 1 / size**2
    if field is not None:
        sides = np.minimum(field.values, size)
        x, y = np.meshgrid(field["x"].values, field["y"].values)
        inside = shapely.contains_xy(shapely.union_all(polygons), x, y)
        density = float((1 / sides[inside] ** 2).mean() if inside.any() else 1 / sides.min() ** 2)
    area = float(sum(polygon.area for polygon in polygons))
    if area * density > MAX_TRIANGLES * np.sqrt(3) / 4:
        raise MeshError(
            f"a mesh size of {density**-0.5:.3g} µm makes more than {MAX_TRIANGLES:,} triangles",
            remedy="raise mesh_size" if field is None else "raise the sizes in the size field",
        )


def _scaled_grid(field: xr.DataArray, centre: np.ndarray, size: float) -> Grid:
    """The field on a regular grid, in mesh sizes around the origin."""
    values = field.values.astype(float)
    axes = []
    for k, name in enumerate(("y", "x")):
        axis = field[name].values.astype(float)
        steps = np.diff(axis)
        if steps.size and not np.allclose(steps, steps[0], rtol=1e-6):
            regular = np.linspace(axis[0], axis[-1], int(np.ceil(np.ptp(axis) / steps.min())) + 1)
            # linear between the old points, as the mesher is between the new
            values = interp1d(axis, values, axis=k)(regular)
            axis = regular
        axes.append(axis)
    y, x = axes
    return Grid((x - centre[0]) / size, (y - centre[1]) / size, values / size)


def cut_along(
    polygons: Sequence[shapely.Polygon], embedded: Sequence[shapely.Geometry]
) -> list[shapely.Polygon]:
    """The polygons, cut along embedded lines into faces that share their sides.

    Raises
    ------
    MeshError
        A line ends inside a polygon.
    """
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


def _oriented(points: np.ndarray, triangles: np.ndarray, mesher: str) -> Mesh:
    """Mesh with every triangle counter-clockwise."""
    clockwise = Mesh(points, triangles).areas < 0
    triangles = np.where(clockwise[:, None], triangles[:, [0, 2, 1]], triangles)
    return Mesh(points, triangles, mesher)
