"""Phase boundaries as lines that the triangles' sides follow.

A sharp phase boundary across the triangles converges only as the square root of their size, with
18 to 30 % error of stress. Followed from a map of pixels, what is left is the contour's own error,
a fraction of a pixel: in a core-shell disk 50 pixels in radius 5 % of the von Mises stress (L2),
0.7 % farther than two pixels from the boundary.
"""

from __future__ import annotations

import warnings

import numpy as np
import shapely
import xarray as xr
from scipy import ndimage
from skimage.measure import find_contours

from chemoscape.errors import ChemoscapeWarning, MeshError
from chemoscape.mechanics.mesh import cut_along
from chemoscape.mechanics.mesh_checks import check_map
from chemoscape.mechanics.outline import Outline, fill_outside, to_um

#: Pixels added on every side, so that contours run out past the outline.
MARGIN = 2
#: A contour's end goes to the outline's corner if one is this near, in pixels.
SNAP = 0.6
#: Otherwise the end lies this far outside, so that it surely cuts the outline, in pixels.
PAST = 0.1
#: A line may come this near to the outline or to another, in pixels, at no sharper angle (degrees).
CLEARANCE = 0.2
SHARPEST = 12.0


def phase_contour(
    composition: xr.DataArray,
    level: float,
    outline: Outline,
    *,
    smoothing_px: float = 1.0,
    tolerance_px: float = 0.2,
    smallest_px: int = 12,
) -> tuple[shapely.LineString, ...]:
    """Lines along which composition crosses a level, for `triangulate(embedded=...)`.

    Parameters
    ----------
    composition : xarray.DataArray, dims (y, x)
        Coordinates in µm; pixels without a finite value take the nearest one's.
    level : float
        Composition at the phase boundary.
    outline : Outline
        From `trace`, in the same coordinates.
    smoothing_px : float
        Standard deviation in pixels of the Gaussian that takes the staircase out of a sharp
        boundary: every corner of a contour concentrates stress.
    tolerance_px : float
        Douglas-Peucker tolerance in pixels.
    smallest_px : int
        Patches on either side of the level with fewer pixels are not followed, nor parts narrower
        than two pixels.

    Returns
    -------
    tuple of shapely.LineString
        Closed, or led a little past the outline at both ends. None when composition does not cross
        the level.

    Warns
    -----
    ChemoscapeWarning
        Patches were left out, or lines that run too close to the outline or to each other.

    Raises
    ------
    MeshError
        No pixel inside the outline has a composition.
    """
    composition = check_map(composition, "composition map")
    particles = shapely.union_all(outline.polygons)
    columns, rows = np.meshgrid(*(np.arange(composition.sizes[name]) for name in ("x", "y")))
    centres = to_um(np.column_stack([columns.ravel(), rows.ravel()]), composition)
    inside = shapely.contains_xy(particles, *centres.T).reshape(columns.shape)
    values = np.pad(fill_outside(composition.values, inside), MARGIN, mode="edge")
    inside = np.pad(inside, MARGIN)
    values = ndimage.gaussian_filter(values, smoothing_px, mode="nearest")
    values = _without_patches(values, inside, level, smallest_px)

    steps = np.ptp(to_um(np.array([[0.0, 0.0], [1.0, 1.0]]), composition), axis=0)
    pixel = float(np.sqrt(np.prod(steps)))
    # a plateau exactly at the level has no contour
    flat = np.where(values == level, np.nextafter(level, np.inf), values)
    contours = [
        shapely.transform(
            shapely.simplify(shapely.linestrings(contour[:, ::-1] - MARGIN), tolerance_px),
            lambda column_row: to_um(column_row, composition),
        )
        for contour in find_contours(flat, level)
    ]
    followed: list[shapely.LineString] = []
    left_out = 0
    for polygon in outline.polygons:
        lines = [led for line in contours for led in _led_to_outline(line, polygon, pixel)]
        sound = _sound_lines(polygon, lines, pixel)
        followed += sound
        left_out += len(lines) - len(sound)
    if left_out:
        warnings.warn(
            f"{left_out} of {left_out + len(followed)} lines of composition {level:g} run so close "
            "to the outline or to each other that the mesh cannot follow them",
            ChemoscapeWarning,
            stacklevel=2,
        )
    return tuple(followed)


def _without_patches(
    values: np.ndarray, inside: np.ndarray, level: float, smallest: int
) -> np.ndarray:
    """Values in which patches across the level that are too small take their neighbours'."""
    high = values >= level
    kept = np.zeros_like(inside)
    dropped = 0
    for phase in (inside & high, inside & ~high):
        labels, count = ndimage.label(ndimage.binary_opening(phase, np.ones((2, 2))))
        large = np.bincount(labels.ravel(), minlength=count + 1) >= smallest
        large[0] = False
        kept |= large[labels]
        # whole patches that vanish, not the frayed edges of those that stay
        patches, count = ndimage.label(phase)
        dropped += count - np.unique(patches[large[labels]]).size
    if dropped:
        warnings.warn(
            f"{dropped} patches of composition across {level:g}, smaller than {smallest} pixels or "
            "narrower than two, are not followed by the mesh",
            ChemoscapeWarning,
            stacklevel=3,
        )
    if not kept.any():
        return np.full_like(values, values[inside].mean())
    nearest = ndimage.distance_transform_edt(~kept, return_distances=False, return_indices=True)
    return np.where(kept, values, values[tuple(nearest)])


def _led_to_outline(
    line: shapely.LineString, polygon: shapely.Polygon, pixel: float
) -> list[shapely.LineString]:
    """The parts of a line inside a polygon, with their ends on or just past its outline."""
    pieces = shapely.get_parts(shapely.line_merge(shapely.intersection(line, polygon)))
    rim = polygon.boundary
    corners = shapely.get_coordinates(rim)
    led = []
    for piece in pieces:
        # what only skims the outline would leave slivers; a straight line has no corner inside
        along = shapely.get_coordinates(shapely.segmentize(piece, pixel / 2))
        if shapely.distance(shapely.points(along), rim).max(initial=0.0) < SNAP * pixel:
            continue
        if piece.is_closed and not rim.intersects(piece):
            led.append(piece)
            continue
        xy = shapely.get_coordinates(piece)
        deep = np.flatnonzero(shapely.distance(shapely.points(xy), rim) >= SNAP * pixel)
        middle = xy[deep[0] : deep[-1] + 1] if deep.size else xy[:0]
        ends = [_end(xy[k], polygon, corners, pixel) for k in (0, -1)]
        led.append(shapely.linestrings(np.vstack([ends[0], middle, ends[1]])))
    return led


def _end(
    end: np.ndarray, polygon: shapely.Polygon, corners: np.ndarray, pixel: float
) -> np.ndarray:
    """A corner of the outline near the end of a line, or a point just past the outline."""
    distance = np.hypot(*(corners - end).T)
    if distance.min() < SNAP * pixel:
        return corners[np.argmin(distance)]
    # across the side that the line ends on: along the line it might stay inside
    rings = [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]
    sides = np.concatenate([np.stack([ring[:-1], ring[1:]], axis=1) for ring in rings])
    side = sides[np.argmin(shapely.distance(shapely.linestrings(sides), shapely.points(end)))]
    along = (side[1] - side[0]) / np.hypot(*(side[1] - side[0]))
    across = np.array([along[1], -along[0]]) * PAST * pixel
    return end - across if polygon.contains(shapely.points(end + across)) else end + across


def _sound_lines(
    polygon: shapely.Polygon, lines: list[shapely.LineString], pixel: float
) -> list[shapely.LineString]:
    """All lines, or, longest first, those that leave room for sound triangles."""
    own_angle = _sharpest(polygon)

    def sound(chosen: list[shapely.LineString]) -> bool:
        try:
            faces = cut_along([polygon], chosen)
        except MeshError:
            return False
        return all(
            face.is_valid
            and shapely.minimum_clearance(face) > CLEARANCE * pixel
            and _sharpest(face) > min(SHARPEST, 0.99 * own_angle)
            for face in faces
        )

    if not lines or sound(lines):
        return lines
    chosen: list[shapely.LineString] = []
    for line in sorted(lines, key=lambda line: -line.length):
        if sound([*chosen, line]):
            chosen.append(line)
    return chosen


def _sharpest(polygon: shapely.Polygon) -> float:
    """Smallest angle in degrees between two sides of a polygon."""
    angles = []
    for ring in (polygon.exterior, *polygon.interiors):
        sides = np.diff(shapely.get_coordinates(ring), axis=0) @ [1, 1j]
        # between a side run backwards and the next one
        angles.append(np.abs(np.angle(-np.roll(sides, -1) / sides)).min())
    return float(np.degrees(min(angles)))
