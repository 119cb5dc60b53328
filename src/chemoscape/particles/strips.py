"""Width, ends and outline of a wire from the image straightened along its centreline.

Coordinates are rows and columns of pixel centres, so the first pixel lies at (0, 0); lengths are in
pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage import draw

from chemoscape.particles.centrelines import Centreline

#: Samples per pixel across a wire.
FINE = 2
#: Length in radii up to which the middle is taken from the image again.
SHORT = 10
#: Share of the blur's square in that of a half-maximum width; true width of a sharp one.
BLURRED, WIDER = 0.8, 1.1


@dataclass(frozen=True)
class Strip:
    """A wire measured along its centreline.

    Attributes
    ----------
    mask : ndarray of bool
        The whole wire, through crossings.
    corner : tuple of int
        Row and column of the mask's first pixel.
    length, width : float
        Along and across, pixels.
    core : float
        Optical density in the middle, above the background.
    contrasts : tuple of float
        How far the density falls on the weaker and on the stronger side, as shares of the core.
    filled : float
        Share of the length along which the middle stands out.
    unevenness : float
        Median change of the core along the wire, as a share of it.
    roughness : float
        Distance of the skeleton from the smooth centreline, as a share of the width.
    """

    mask: np.ndarray
    corner: tuple[int, int]
    length: float
    width: float
    core: float
    contrasts: tuple[float, float]
    filled: float
    unevenness: float
    roughness: float


def smooth_line(points: np.ndarray, radius: float) -> tuple[np.ndarray, float]:
    """The simplest polynomial through a centreline, one sample per pixel, and its distance to it.

    The degree rises until the skeleton lies within a fraction of the radius of the curve.
    """
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    length = along[-1]
    t = 2 * along / length - 1
    enough = max(0.6, 0.12 * radius)
    for degree in (1, 2, 3, 5, 7):
        if degree >= len(points) - 1 and degree > 1:
            break
        curve = np.polynomial.legendre.legfit(t, points, degree)
        away = points - np.polynomial.legendre.legval(t, curve).T
        rms = float(np.sqrt((away**2).sum(1).mean()))
        if rms < enough or length < 6 * radius:
            break
    samples = np.linspace(-1, 1, max(3, int(np.ceil(length)) + 1))
    return np.polynomial.legendre.legval(samples, curve).T, rms


def _extended(line: np.ndarray, steps: int) -> np.ndarray:
    """A line continued straight at both ends, one sample per pixel."""
    back = min(len(line) - 1, max(3, 2 * steps // 3))
    start, stop = line[0] - line[back], line[-1] - line[-1 - back]
    far = np.arange(1, steps + 1)[:, None]
    first = line[0] + far[::-1] * start / max(np.linalg.norm(start), 1e-9)
    last = line[-1] + far * stop / max(np.linalg.norm(stop), 1e-9)
    return np.concatenate([first, line, last])


def _normals(line: np.ndarray) -> np.ndarray:
    """Unit vectors across a line."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    return np.stack([-along[:, 1], along[:, 0]], axis=1)


def _straightened(
    density: np.ndarray, axis: np.ndarray, normals: np.ndarray, reach: int
) -> np.ndarray:
    """The image along (first axis) and across a line, up to `reach` pixels away from it."""
    offsets = np.arange(-reach * FINE, reach * FINE + 1) / FINE
    at = axis[:, :, None] + normals[:, :, None] * offsets
    return ndimage.map_coordinates(density, [at[:, 0], at[:, 1]], order=1, mode="nearest")


def _offsets(image: np.ndarray, left: float, right: float, half: float) -> np.ndarray:
    """Middle of what lies above half the core in each row of a straightened wire, in samples.

    NaN where nothing does, or where another wire pulls the middle aside.
    """
    first = max(0, int(left) - FINE)
    window = np.clip(image[:, first : int(np.ceil(right)) + FINE + 1] - half, 0, half)
    window = ndimage.uniform_filter1d(window, 5, axis=0, mode="nearest")
    total = window.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = window @ (first + np.arange(window.shape[1])) / total
    wanted = abs(middle - np.nanmedian(middle)) < 0.3 * (right - left) if total.any() else False
    return np.where(wanted & (total > 0), middle, np.nan)


def _edges(profile: np.ndarray, near: int) -> tuple[float, float, float, float, float]:
    """Half-maximum edges left and right (samples), the core, and its falls to both sides.

    Each side has its own half: a wire beside another, or on a sheet, stands on a step. Past the
    lowest point of a side the next particle begins.
    """
    middle = len(profile) // 2
    core_at = middle + int(np.argmax(profile[middle - near : middle + near + 1])) - near
    core = float(np.median(profile[max(0, core_at - near) : core_at + near + 1]))
    edges, falls = [], []
    for side in (profile[: core_at + 1][::-1], profile[core_at:]):
        lowest = int(np.argmin(side))
        half = (core + side[lowest]) / 2
        below = int(np.argmax(side[: lowest + 1] < half)) if side[lowest] < half else lowest
        step = side[below - 1] - side[below] if below else 0.0
        edges.append(below - 1 + (side[below - 1] - half) / step if step > 0 else float(below))
        falls.append(core - float(side[lowest]))
    return core_at - edges[0], core_at + edges[1], core, falls[0], falls[1]


def _last_above(signal: np.ndarray, level: float, inner: int) -> float:
    """Samples from the inside of a wire outwards until the signal falls below a level."""
    below = np.flatnonzero(signal[inner:] < level)
    if not len(below):
        return float("nan")
    at = inner + int(below[0])
    step = signal[at - 1] - signal[at]
    return at - 1 + float(np.clip((signal[at - 1] - level) / step, 0, 1)) if step > 0 else float(at)


def measure(line: Centreline, density: np.ndarray, blur: float) -> Strip | None:
    """Measure and draw the wire along a centreline; None when nothing stands out there.

    Parameters
    ----------
    line : Centreline
    density : ndarray, shape (y, x)
        Optical density above the background.
    blur : float
        Full width at half maximum of a point in this image, pixels.
    """
    # the last radius of a skeleton hooks towards a corner of the outline
    hook = int(min(0.7 * line.radius, len(line.points) // 8))
    smooth, rms = smooth_line(line.points[hook : len(line.points) - hook], line.radius)
    past = int(np.ceil(1.5 * line.radius + blur)) + 2 + hook
    reach = int(np.ceil(2.0 * line.radius + 1.5 * blur)) + 1
    near = max(1, int(0.5 * line.radius * FINE))
    # a short skeleton leans by up to a pixel over its length, and the image knows better; in a long
    # one that evens out, and other wires pull more
    short = line.joins == 0 and len(smooth) <= SHORT * line.radius
    for again in (True, False) if short else (False,):
        axis = _extended(smooth, past)
        normals = _normals(axis)
        image = _straightened(density, axis, normals, reach)
        left, right, core, *falls = _edges(np.median(image[past:-past], axis=0), near)
        if core <= 0 or min(falls) <= 0 or right - left < 1:
            return None
        if again:
            away = _offsets(image[past:-past], left, right, core - max(falls) / 2) / FINE - reach
            use = np.isfinite(away)
            if use.mean() > 0.5:
                smooth, _ = smooth_line(
                    (smooth + normals[past:-past] * away[:, None])[use], line.radius
                )
    middle = (left + right) / 2 / FINE - reach
    width = sharpened((right - left) / FINE, blur)
    start, stop, filled, uneven = _along(image, left, right, core, max(falls), past)
    if stop - start < 2:
        return None
    samples = np.linspace(start, stop, max(2, int(np.ceil(stop - start)) + 1))
    index = np.arange(len(axis))
    axis = axis + normals * middle
    centre = np.stack([np.interp(samples, index, part) for part in axis.T], axis=1)
    across = np.stack([np.interp(samples, index, part) for part in normals.T], axis=1) * width / 2
    mask, corner = _drawn(np.concatenate([centre + across, (centre - across)[::-1]]))
    weaker, stronger = sorted(fall / core for fall in falls)
    return Strip(
        mask,
        corner,
        stop - start,
        width,
        core,
        (weaker, stronger),
        filled,
        uneven,
        rms / max(width, 1),
    )


def sharpened(width: float, blur: float) -> float:
    """Width of a wire from its width at half maximum after a blur; at least a pixel.

    Flat and round wires differ (1 and 1.15 times the half-maximum width); this lies between.
    """
    return max(1.0, float(np.sqrt(max(width**2 - BLURRED * blur**2, 0.25 * width**2))) * WIDER)


def _along(
    image: np.ndarray, left: float, right: float, core: float, fall: float, past: int
) -> tuple[float, float, float, float]:
    """First and last sample of a straightened wire, how much of it is filled, how uneven it is."""
    inside = slice(int(np.ceil(left)), max(int(np.floor(right)), int(np.ceil(left))) + 1)
    signal = ndimage.uniform_filter1d(image[:, inside].mean(1), 3, mode="nearest")
    body = signal[past:-past]
    base = core - fall
    level = core - fall / 2
    inner = len(signal) - past - 1 - min(len(body) // 3, past)
    end = _last_above(signal, level, inner)
    begin = _last_above(signal[::-1], level, inner)
    # where the signal never falls, the wire ends in another one: at the end of its skeleton
    stop = len(signal) - past - 0.5 if np.isnan(end) else end
    start = past - 0.5 if np.isnan(begin) else len(signal) - 1 - begin
    filled = float(np.mean(body > level))
    uneven = float(np.median(abs(body - core)) / max(core - base, 1e-9))
    return start, stop, filled, uneven


def _drawn(outline: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Mask of a polygon and the row and column of its first pixel."""
    low = np.floor(outline.min(0)).astype(int)
    high = np.ceil(outline.max(0)).astype(int)
    mask = draw.polygon2mask(tuple(high - low + 1), outline - low)
    return mask, (int(low[0]), int(low[1]))
