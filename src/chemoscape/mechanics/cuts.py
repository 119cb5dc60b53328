"""Which sides of the triangles lie on a named part of the outlines, as on the image's border."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import xarray as xr
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from chemoscape.errors import RecipeError
from chemoscape.mechanics.mesh import Mesh

#: x_min, y_min, x_max, y_max in µm.
Box = tuple[float, float, float, float]
#: Where a part of the outline is: a rule for places (x, y), a box, or a line along it.
Part = Callable[[np.ndarray, np.ndarray], np.ndarray] | Sequence[float] | Sequence[Sequence[float]]

#: Edge of the image -> (column of the frame, column of the points); y grows from bottom to top.
EDGES = {"left": (0, 0), "bottom": (1, 1), "right": (2, 0), "top": (3, 1)}
#: Outlines end on the image's border to rounding; this share of its size.
ON_BORDER = 1e-6
#: Sines of the angles up to which neighbouring sides are one straight edge, and from which they
#: meet in a corner; in between, they make a curve.
SAME_DIRECTION, CORNER = 0.05, 0.5


@dataclass(frozen=True, eq=False)
class CutPiece:
    """One straight edge along which one particle is cut.

    Parameters
    ----------
    facets : numpy.ndarray of int, shape (n, 2)
        Ends of the triangles' sides that make it up.
    normal : numpy.ndarray, shape (2,)
        Unit vector across it.
    """

    facets: np.ndarray
    normal: np.ndarray


def image_frame(image: xr.DataArray | xr.Dataset) -> Box:
    """Outer border of an image's outermost pixels in µm: where particles are cut.

    Examples
    --------
    >>> image = xr.DataArray(np.ones((3, 2)), dims=("y", "x"),
    ...                      coords={"y": [0.0, 0.1, 0.2], "x": [1.0, 1.2]})
    >>> [round(edge, 6) for edge in image_frame(image)]
    [0.9, -0.05, 1.3, 0.25]
    """
    ends = []
    for axis in (image["x"].values, image["y"].values):
        first, last = (axis[1] - axis[0], axis[-1] - axis[-2]) if axis.size > 1 else (1.0, 1.0)
        ends.append((float(axis[0] - first / 2), float(axis[-1] + last / 2)))
    (left, right), (bottom, top) = (sorted(pair) for pair in ends)
    return left, bottom, right, top


def rim_facets(mesh: Mesh) -> np.ndarray:
    """Sides that belong to one triangle only, as pairs of points, shape (n, 2), sorted."""
    return rim_of(mesh.triangles, len(mesh.points))


def rim_of(triangles: np.ndarray, n_points: int) -> np.ndarray:
    """Sides of one triangle only, as sorted pairs of points, shape (n, 2)."""
    a, b = triangles.ravel().astype(np.int64), np.roll(triangles, 1, axis=1).ravel()
    # one number per pair sorts three times as fast as two columns
    code = np.minimum(a, b) * n_points + np.maximum(a, b)
    sides, count = np.unique(code, return_counts=True)
    return np.column_stack(np.divmod(sides[count == 1], n_points))


def cut_facets(mesh: Mesh, frame: Box, tolerance: float | None = None) -> dict[str, np.ndarray]:
    """Sides of triangles on the border of the image, where particles leave the field of view.

    Parameters
    ----------
    mesh : Mesh
        Triangles in µm.
    frame : tuple of four floats
        x_min, y_min, x_max, y_max of the image's border in µm, from `image_frame`.
    tolerance : float, optional
        Distance from the border in µm; by default a millionth of the image.

    Returns
    -------
    dict of str to numpy.ndarray of int, shape (n, 2)
        For "left", "bottom", "right" and "top" the pairs of points; n may be 0.
    """
    pairs = rim_facets(mesh)
    if tolerance is None:
        tolerance = ON_BORDER * max(frame[2] - frame[0], frame[3] - frame[1])
    found, taken = {}, np.zeros(len(pairs), dtype=bool)
    for edge, (end, axis) in EDGES.items():
        on = (np.abs(mesh.points[pairs, axis] - frame[end]) <= tolerance).all(axis=1) & ~taken
        taken |= on
        found[edge] = pairs[on]
    return found


def part_facets(mesh: Mesh, name: str, part: Part) -> np.ndarray:
    """Sides of triangles on a part of the outlines, as pairs of points, shape (n, 2).

    Parameters
    ----------
    mesh : Mesh
        Triangles in µm.
    name : str
        Name of the part, for messages.
    part : callable, box or polyline
        ``rule(x, y)`` that is True for the middles of its sides; x_min, y_min, x_max, y_max around
        them; or corners (x, y) of a line that runs along them, no further off than half a side.

    Raises
    ------
    RecipeError
        No side of any triangle lies there, or the part is none of the three.
    """
    pairs = rim_facets(mesh)
    ends = mesh.points[pairs]
    x, y = ends.mean(axis=1).T
    if callable(part):
        on = np.asarray(part(x, y), dtype=bool)
        if on.shape != x.shape:
            raise RecipeError(
                f"the rule for part {name!r} gives shape {on.shape} for {x.size} places",
                remedy="return one True or False per place",
            )
    else:
        corners = np.asarray(part, dtype=float)
        if corners.shape == (4,):
            on = np.asarray(shapely.contains_xy(shapely.box(*corners), x, y))
        elif corners.ndim == 2 and corners.shape[1] == 2 and len(corners) > 1:
            near = np.median(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)) / 2
            line = shapely.linestrings(corners)
            # both ends: a side that leaves the line at a corner is not on it
            on = (shapely.distance(shapely.points(ends), line) <= near).all(axis=1)
        else:
            raise RecipeError(
                f"part {name!r} of the outline has shape {corners.shape}",
                remedy="give a rule of (x, y), a box of four numbers or a line of (x, y) corners",
            )
    if not on.any():
        raise RecipeError(
            f"part {name!r} of the outline holds no side of any triangle",
            remedy="check its place in µm",
        )
    return pairs[on]


def straight_pieces(
    mesh: Mesh, facets: np.ndarray, normal: np.ndarray | None, name: str
) -> list[CutPiece]:
    """Cut facets grouped into straight edges: connected, of one direction, of one particle.

    Parameters
    ----------
    mesh : Mesh
        Triangles in µm.
    facets : numpy.ndarray of int, shape (n, 2)
        Pairs of points.
    normal : numpy.ndarray, shape (2,), optional
        Unit vector across all of them where it is known; otherwise fitted to each piece.
    name : str
        Name of the part, for messages.

    Raises
    ------
    RecipeError
        A piece is bent: it cannot stay straight.
    """
    vectors = mesh.points[facets[:, 1]] - mesh.points[facets[:, 0]]
    ways = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    # sides that share a point, from the sorted list of (point, side)
    order = np.argsort(facets.ravel(), kind="stable")
    point, side = facets.ravel()[order], order // 2
    first, second = side[:-1][point[:-1] == point[1:]], side[1:][point[:-1] == point[1:]]
    turn = ways[first, 0] * ways[second, 1] - ways[first, 1] * ways[second, 0]
    joined = np.abs(turn) < SAME_DIRECTION
    if normal is not None:
        joined[:] = True
    elif (~joined & (np.abs(turn) < CORNER)).any():
        raise _bent(name)
    links = coo_matrix(
        (np.ones(joined.sum()), (first[joined], second[joined])), shape=(len(facets),) * 2
    )
    count, label = connected_components(links, directed=False)
    pieces = []
    for number in range(count):
        own = facets[label == number]
        across = normal
        if across is None:
            places = mesh.points[np.unique(own)]
            _, spread, axes = np.linalg.svd(places - places.mean(axis=0))
            across = axes[1]
            if spread[1] > SAME_DIRECTION * spread[0]:
                raise _bent(name)
        pieces.append(CutPiece(own, across))
    return pieces


def _bent(name: str) -> RecipeError:
    """What to say of a part that cannot stay straight."""
    return RecipeError(
        f'part {name!r} of the outline is bent: "cut" holds straight edges only',
        remedy="give straight parts",
    )


def near_pieces(mesh: Mesh, pieces: Sequence[CutPiece], widths: float) -> np.ndarray:
    """True for triangles of the same particle nearer to a cut than `widths` times its length."""
    centres = mesh.points[mesh.triangles].mean(axis=1)
    particle = mesh.particle[mesh.triangles[:, 0]]
    near = np.zeros(len(centres), dtype=bool)
    for piece in pieces:
        along = np.array([-piece.normal[1], piece.normal[0]])
        places = mesh.points[np.unique(piece.facets)]
        reach = places @ along
        ends = places[[np.argmin(reach), np.argmax(reach)]]
        own = np.flatnonzero(particle == mesh.particle[piece.facets[0, 0]])
        away = shapely.distance(shapely.points(centres[own]), shapely.linestrings(ends))
        near[own[away < widths * np.ptp(reach)]] = True
    return near
