"""The pixels by which one particle is measured, and a first guess of its shape.

Coordinates are turned so that u runs along the particle and v across it. Pixels under other
particles, or close to them, are left out, and so are cross-sections beside which something lies
that no mask covers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from chemoscape.particles.masks import Instances
from chemoscape.particles.wire_fit import Patch, Shape, axis_at, expected

#: How far around a wire pixels are used, and how far beyond its ends, in sigma and pixels.
MARGIN, BEYOND = (4.0, 2.0), (6.0, 2.0)
#: How far other masks are kept away from, in sigma and pixels.
AWAY = (2.0, 0.5)
#: What gives an unseen particle away: it lies so many sigma from the mask, and is darker than what
#: lies around by so many standard deviations and by such a share of the wire's own depth.
STRANGE = (3.0, 5.0, 0.15)
#: Shortest wire, as length over width; shortest that may be bent.
SHORTEST, BENDABLE = 1.5, 4.0
#: Least share of a mask, and of the neighbourhood of each end, that must be seen alone.
SEEN, END_SEEN = 0.3, 0.5
#: Fewest pixels of a mask, and of all that a fit needs.
FEWEST_OWN, FEWEST = 12, 24
#: Length of a segment of the outline, in sigma and widths, and most points of an outline.
SEGMENT, MOST_POINTS = (10.0, 1.5), 7
#: Least depth of a wire, relative to the light beside it.
FAINTEST = 0.005


class CannotFitError(Exception):
    """Why the shape of a particle cannot be fitted; never leaves this package."""


class Cut(NamedTuple):
    """One particle, ready for a fit.

    Attributes
    ----------
    patch : Patch
    start : Shape
        What the mask and the light on it suggest.
    noise : ndarray, shape (n,)
        Standard deviation of each transmission.
    """

    patch: Patch
    start: Shape
    noise: np.ndarray


def cut_out(
    instances: Instances,
    one: int,
    values: np.ndarray,
    layers: np.ndarray,
    pixel_um: float,
    sigma: float,
) -> Cut:
    """The pixels on and around a particle that show nothing else.

    Parameters
    ----------
    instances : Instances
    one : int
        Which of them.
    values : ndarray, shape (y, x)
        Optical density; NaN where nothing was measured.
    layers : ndarray of int, shape (y, x)
        How many particles lie on each pixel.
    pixel_um, sigma : float
        Side of a pixel, and blur with that of the pixel, µm.

    Raises
    ------
    CannotFitError
        Too little of the particle is seen alone, or it has no long axis.
    """
    rows, columns = np.nonzero(instances.crops[one])
    if len(rows) < FEWEST_OWN:
        raise CannotFitError("too few pixels")
    at = np.stack([rows, columns], axis=1) * pixel_um
    middle = at.mean(0)
    across, along = np.linalg.eigh(np.cov((at - middle).T))[1].T
    start = _guess((at - middle) @ along, (at - middle) @ across, pixel_um, sigma)
    length, half = float(np.ptp(start.ends)), float(start.halves[0])
    if length < SHORTEST * 2 * half:
        raise CannotFitError("too short for its width")

    margin, beyond, away = (
        many * sigma + pixels * pixel_um for many, pixels in (MARGIN, BEYOND, AWAY)
    )
    window, corner = _around(instances, one, int(np.ceil(beyond / pixel_um)) + 1)
    mask = _own(instances, one, window)
    others = layers[window] > mask
    with np.errstate(over="ignore"):
        light = np.exp(-values[window])
    usable = np.isfinite(values[window]) & np.isfinite(light)
    if others.any():
        usable &= ndimage.distance_transform_edt(~others) * pixel_um > away
    apart = ndimage.distance_transform_edt(~mask).ravel() * pixel_um
    mask, light = mask.ravel(), light.ravel()

    place = np.argwhere(np.ones(usable.shape, bool)) + corner
    u, v = ((place * pixel_um - middle) @ axis for axis in (along, across))
    off = np.abs(v - axis_at(start, u)[0])
    near = (off < half + margin) & (np.abs(u - start.ends.mean()) < length / 2 + beyond)
    seen = near & usable.ravel()
    beside = seen & (apart > STRANGE[0] * sigma)
    strange = _strangers(u, light, beside, mask & seen, half, sigma)
    if (seen & ~strange & mask).sum() >= SEEN * mask.sum():
        seen &= ~strange
    _require_sight(seen, mask, near & (off < half + sigma), u, start.ends, 2 * sigma + pixel_um)
    return _lit(Patch(u[seen], v[seen], light[seen], sigma), start, off[seen])


def _guess(u: np.ndarray, v: np.ndarray, pixel_um: float, sigma: float) -> Shape:
    """The shape that a mask suggests, from its pixels along and across its long axis."""
    ends = np.array([u.min() - pixel_um / 2, u.max() + pixel_um / 2])
    length = float(np.ptp(ends))
    width = len(u) * pixel_um**2 / length
    t = (u - ends[0]) / length * 2 - 1
    terms = 3 if length > BENDABLE * width else 2
    powers = np.stack([np.ones_like(t), t, t**2 - 1 / 3][:terms], axis=1)
    axis = np.linalg.lstsq(powers, v, rcond=None)[0]
    segment = max(SEGMENT[0] * sigma, SEGMENT[1] * width)
    points = int(np.clip(1 + length / segment, 2, MOST_POINTS))
    halves = np.full(points, width / 2)
    return Shape(ends, axis, (ends[0], ends[1]), halves, 0.5, np.array([1.0, 0.0, 0.0]))


def _around(
    instances: Instances, one: int, pad: int
) -> tuple[tuple[slice, slice], tuple[int, int]]:
    """Rows and columns around a particle within the map; the first of each, seen from its crop."""
    rows, columns = (
        slice(max(0, part.start - pad), min(size, part.stop + pad))
        for part, size in zip(instances.window(one), instances.shape, strict=True)
    )
    row, column = instances.corners[one]
    return (rows, columns), (rows.start - int(row), columns.start - int(column))


def _own(instances: Instances, one: int, window: tuple[slice, slice]) -> np.ndarray:
    """The particle's mask in a window that holds all of it."""
    mask = np.zeros([part.stop - part.start for part in window], bool)
    rows, columns = (
        slice(part.start - around.start, part.stop - around.start)
        for part, around in zip(instances.window(one), window, strict=True)
    )
    mask[rows, columns] = instances.crops[one]
    return mask


def _strangers(
    u: np.ndarray,
    light: np.ndarray,
    beside: np.ndarray,
    own: np.ndarray,
    half: float,
    sigma: float,
) -> np.ndarray:
    """Pixels of the cross-sections beside which something lies that no mask covers.

    An unseen wire that crosses would be taken for a wide and dense part of this one; the darkness
    beside the wire gives it away.
    """
    if not beside.any() or not own.any():
        return np.zeros(len(u), bool)
    empty, spread = _level(light[beside])
    depth = max(STRANGE[1] * spread, STRANGE[2] * (empty - float(np.median(light[own]))))
    dark = u[beside & (light < empty - depth)]
    if not len(dark):
        return np.zeros(len(u), bool)
    places = np.unique(np.round(dark / sigma)) * sigma
    return np.abs(u[:, None] - places).min(1) < half + 3 * sigma


def _level(light: np.ndarray) -> tuple[float, float]:
    """Median, and standard deviation as the median deviation tells it."""
    level = float(np.median(light))
    return level, 1.4826 * float(np.median(np.abs(light - level)))


def _require_sight(
    seen: np.ndarray,
    mask: np.ndarray,
    core: np.ndarray,
    u: np.ndarray,
    ends: np.ndarray,
    reach: float,
) -> None:
    """Raise unless enough of the particle, and of both its ends, is seen alone."""
    if (seen & mask).sum() < max(SEEN * mask.sum(), FEWEST_OWN / 2):
        raise CannotFitError("mostly under other particles or without values")
    for end in ends:
        tip = core & (np.abs(u - end) < reach)
        if seen[tip].sum() < END_SEEN * tip.sum():
            raise CannotFitError("an end is hidden")
    if seen.sum() < FEWEST:
        raise CannotFitError("too few pixels")


def _lit(patch: Patch, start: Shape, off: np.ndarray) -> Cut:
    """The patch with a guess of density and background, and with the noise of its pixels."""
    half = float(start.halves[0])
    inside = (off < half / 2) & (patch.u > start.ends[0]) & (patch.u < start.ends[1])
    beside = off > half + 2 * patch.sigma
    if not inside.any() or not beside.any():
        raise CannotFitError("too few pixels")
    empty, spread = _level(patch.transmission[beside])
    within = float(np.median(patch.transmission[inside]))
    if not within < (1 - FAINTEST) * empty:
        raise CannotFitError("not darker than its surroundings")
    density = float(np.log(empty / max(within, 1e-3 * empty)))
    start = replace(start, density=density, background=np.array([empty, 0.0, 0.0]))
    # counted photons vary as the light does; below a ten-thousandth no model is right
    share = np.clip(expected(patch, start, "box") / empty, 0.02, 1)
    return Cut(patch, start, max(spread, 1e-4 * empty) * np.sqrt(share))
