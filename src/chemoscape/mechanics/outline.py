"""The particles' outlines as polygons in µm, and composition continued past them.

The outline comes from the mask (where there is sample), never from composition: a lithium-poor
shell would be cut away. This is the only place where rows and columns of the image become x and y.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import shapely
import xarray as xr
from numpy.typing import ArrayLike
from scipy import ndimage
from skimage.measure import find_contours

from chemoscape.errors import ChemoscapeWarning, MeshError
from chemoscape.mechanics.mesh_checks import check_map

#: Losing less than this share of the mask is the raggedness of any mask, not worth a warning.
NOTABLE_SHARE = 0.01
#: Cut corners may change the area by this share before it is said (a lone pixel loses half).
NOTABLE_AREA = 0.05
#: Simplified contours stay this far from themselves and each other, in pixels; raw ones 0.7.
MIN_GAP = 0.3
CROSS = ndimage.generate_binary_structure(2, 1)
SQUARE = ndimage.generate_binary_structure(2, 2)


@dataclass(frozen=True)
class Outline:
    """The particles of an image, largest first, and what was left out.

    Parameters
    ----------
    polygons : tuple of shapely.Polygon
        One polygon with its holes per particle, in µm; counter-clockwise, simple, mutually
        disjoint.
    islands_dropped, holes_filled : int
        Number of particles and of holes too small to keep.
    pixels_cut : int
        Pixels removed with necks and whiskers.
    """

    polygons: tuple[shapely.Polygon, ...]
    islands_dropped: int = 0
    holes_filled: int = 0
    pixels_cut: int = 0

    @property
    def area(self) -> float:
        """Area of all particles in µm²."""
        return float(sum(polygon.area for polygon in self.polygons))


def trace(
    mask: xr.DataArray,
    *,
    tolerance_px: float = 0.4,
    smallest_particle_px: int = 30,
    smallest_hole_px: int = 10,
    neck_px: int = 2,
) -> Outline:
    """Polygons around the pixels of a mask.

    Contours run half way between the centres of inside and outside pixels, and half a pixel outside
    the outermost centres where a particle meets the border of the image.

    Parameters
    ----------
    mask : xarray.DataArray, dims (y, x)
        True where there is sample, NaN counts as none; coordinates `y` and `x` are pixel centres in
        µm.
    tolerance_px : float
        Douglas-Peucker tolerance in pixels: a raw contour is a staircase of needless corners. At
        half a pixel the sides of an upright rectangle tilt; at 0.4 the area is kept to 0.02 pixels
        times the perimeter.
    smallest_particle_px, smallest_hole_px : int
        Smaller particles are dropped and smaller holes filled (areas in pixels).
    neck_px : int
        Parts narrower than this many pixels are cut away (opening with a square); 1 keeps
        everything.

    Returns
    -------
    Outline
        The polygons and the counts of what was left out.

    Raises
    ------
    MeshError
        Nothing is left to mesh (the message names the largest part and its place), or the mask is
        not a map with ascending coordinates.

    Warns
    -----
    ChemoscapeWarning
        More than 1 % of the mask is left out, or the polygons' area differs by more than 5 % from
        that of the pixels kept.

    Examples
    --------
    >>> image = xr.DataArray(np.ones((20, 10), bool), dims=("y", "x"),
    ...                      coords={"y": 0.1 * np.arange(20), "x": 0.1 * np.arange(10)})
    >>> [float(round(edge, 6)) for edge in trace(image).polygons[0].bounds]
    [-0.05, -0.05, 0.95, 1.95]
    """
    mask = check_map(mask, "mask")
    inside = np.nan_to_num(np.asarray(mask.values, dtype=float)) != 0
    if not inside.any():
        raise MeshError("the mask holds no pixel", remedy="lower the threshold of the mask")
    # one empty pixel all round: contours close at the border and opening sees outside there
    kept, counts, lost_px = _clean(
        np.pad(inside, 1), smallest_particle_px, smallest_hole_px, neck_px
    )
    if not kept.any():
        raise MeshError(
            f"no particle of {smallest_particle_px} pixels or more is left in a mask of "
            f"{inside.sum()} pixels, once parts narrower than {neck_px} pixels are cut away",
            where=_largest_part(inside, mask),
            remedy="lower the threshold of the mask, or use a finer image",
        )
    if lost_px > NOTABLE_SHARE * inside.sum():
        warnings.warn(
            f"{lost_px / inside.sum():.1%} of the mask carries no stress: {counts[0]} particles "
            f"below {smallest_particle_px} pixels were dropped and {counts[2]} pixels cut away "
            f"with parts narrower than {neck_px} pixels",
            ChemoscapeWarning,
            stacklevel=2,
        )
    in_pixels = _polygons(kept, tolerance_px)
    changed = sum(polygon.area for polygon in in_pixels) / kept.sum() - 1
    if abs(changed) > NOTABLE_AREA:
        warnings.warn(
            f"the outlines enclose {abs(changed):.0%} {'less' if changed < 0 else 'more'} than the "
            "pixels of the mask: parts are so narrow that their cut corners count",
            ChemoscapeWarning,
            stacklevel=2,
        )
    polygons = [
        shapely.orient_polygons(shapely.transform(polygon, lambda xy: to_um(xy - 1, mask)))
        for polygon in in_pixels
    ]
    return Outline(tuple(sorted(polygons, key=lambda p: -p.area)), *counts)


def _largest_part(inside: np.ndarray, image: xr.DataArray) -> str:
    """Pixels and place of the largest connected part of a mask."""
    labels, _ = ndimage.label(inside, CROSS)
    sizes = np.bincount(labels.ravel())[1:]
    row, column = np.argwhere(labels == np.argmax(sizes) + 1).mean(axis=0)
    x, y = to_um(np.array([[column, row]]), image)[0]
    return f"largest part ({sizes.max()} pixels, near x = {x:.4g}, y = {y:.4g} µm)"


def _clean(
    mask: np.ndarray, smallest_particle: int, smallest_hole: int, neck: int
) -> tuple[np.ndarray, tuple[int, int, int], int]:
    """Mask to keep; counts of islands, holes and pixels cut; pixels lost in all."""
    opened = ndimage.binary_opening(mask, np.ones((neck, neck))) if neck > 1 else mask
    # contours keep diagonal neighbours apart: particles join by edges, the outside by corners too
    kept, islands = _without_small(opened, smallest_particle, CROSS)
    outside, holes = _without_small(~kept, smallest_hole, SQUARE)
    cut = int(mask.sum() - opened.sum())
    return ~outside, (islands, holes, cut), int(mask.sum() - kept.sum())


def _without_small(
    mask: np.ndarray, smallest: int, neighbours: np.ndarray
) -> tuple[np.ndarray, int]:
    """Mask without its parts of fewer than `smallest` pixels, and how many they were."""
    labels, count = ndimage.label(mask, neighbours)
    small = np.bincount(labels.ravel(), minlength=count + 1) < smallest
    small[0] = False
    return mask & ~small[labels], int(small.sum())


def _polygons(mask: np.ndarray, tolerance: float) -> list[shapely.Polygon]:
    """Simplified polygons of a padded mask, (column, row) of the padded image."""
    rings = [ring[:, ::-1] for ring in find_contours(mask.astype(float), 0.5)]
    # even-odd nesting: a ring inside a ring is a hole, a ring inside a hole a particle
    area = shapely.build_area(shapely.multilinestrings([shapely.linestrings(r) for r in rings]))
    raw = shapely.get_parts(area)
    for attempt in (tolerance, tolerance / 2, tolerance / 4):
        polygons = [_simplified(polygon, attempt) for polygon in raw]
        # each keeps clear of itself, but near neighbours may come to touch
        if not _touching(polygons):
            return polygons
    return list(raw)


def _simplified(polygon: shapely.Polygon, tolerance: float) -> shapely.Polygon:
    """The polygon with fewer corners, as few as keep its parts clear of each other.

    Simplification keeps a polygon simple, yet may bring a hole next to the outline, or two corners
    next to each other: no sound triangle fits there.
    """
    for attempt in (tolerance, tolerance / 2, tolerance / 4):
        simple = shapely.simplify(polygon, attempt, preserve_topology=True)
        if simple.is_valid and shapely.minimum_clearance(simple) >= MIN_GAP:
            return simple
    return polygon


def _touching(polygons: list[shapely.Polygon]) -> bool:
    """Whether any two polygons come closer than contours should."""
    first, second = shapely.STRtree(polygons).query(polygons, "dwithin", distance=MIN_GAP)
    return bool((first != second).any())


def to_um(column_row: np.ndarray, image: xr.DataArray | xr.Dataset) -> np.ndarray:
    """Fractional (column, row) of the image to (x, y) in µm, shape (n, 2); the converse of
    `to_pixels`.
    """
    return np.column_stack(
        [
            np.interp(column_row[:, k], np.arange(-1, axis.size + 1), _extended(axis))
            for k, axis in enumerate((image["x"].values, image["y"].values))
        ]
    )


def to_pixels(points: np.ndarray, image: xr.DataArray | xr.Dataset) -> np.ndarray:
    """(x, y) in µm to fractional (column, row) of the image, shape (n, 2).

    Both go no further than one pixel beyond the outermost centres.
    """
    return np.column_stack(
        [
            np.interp(points[:, k], _extended(axis), np.arange(-1, axis.size + 1))
            for k, axis in enumerate((image["x"].values, image["y"].values))
        ]
    )


def _extended(axis: np.ndarray) -> np.ndarray:
    """Pixel centres with one more at either end; a single pixel is 1 µm wide."""
    if axis.size == 1:
        return np.array([axis[0] - 1.0, axis[0], axis[0] + 1.0])
    return np.concatenate([[2 * axis[0] - axis[1]], axis, [2 * axis[-1] - axis[-2]]])


def fill_outside(values: ArrayLike, mask: ArrayLike) -> np.ndarray:
    """Image continued past the mask with the nearest value inside.

    Nodes on the outline lie half a pixel outside the outermost centres; without this the
    interpolation there would see NaN, or zeros that fake a lithium-poor rim.

    Parameters
    ----------
    values : array_like, shape (n_y, n_x)
        Any map; NaN counts as outside.
    mask : array_like of bool, shape (n_y, n_x)
        Where the values are to be kept.

    Returns
    -------
    numpy.ndarray, shape (n_y, n_x)

    Raises
    ------
    MeshError
        No pixel inside the mask has a finite value.

    Examples
    --------
    >>> fill_outside([[0.0, 0.3, 0.1, np.nan]], [[False, True, True, False]]).tolist()
    [[0.3, 0.3, 0.1, 0.1]]
    """
    image = np.asarray(values, dtype=float)
    inside = np.asarray(mask, dtype=bool) & np.isfinite(image)
    if not inside.any():
        raise MeshError(
            "no pixel inside the mask has a finite composition", remedy="check mask and composition"
        )
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return image[tuple(nearest)]


def sample(image: np.ndarray, points: np.ndarray, axes: xr.DataArray | xr.Dataset) -> np.ndarray:
    """Bilinear interpolation of a map at points in µm; constant beyond the outermost centres.

    Parameters
    ----------
    image : numpy.ndarray, shape (n_y, n_x)
        Finite everywhere (see `fill_outside`).
    points : numpy.ndarray, shape (n, 2)
        x and y in µm.
    axes : xarray.DataArray or Dataset
        Carries the coordinates `y` and `x` of the map's pixel centres in µm.

    Returns
    -------
    numpy.ndarray, shape (n,)
    """
    column, row = to_pixels(points, axes).T
    return ndimage.map_coordinates(image, [row, column], order=1, mode="nearest")
