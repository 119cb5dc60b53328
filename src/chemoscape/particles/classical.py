"""Nanowires found without a network: thresholds, skeletons, and strips measured along them.

Foregrounds at several levels propose centrelines; each is measured in the image straightened along
it, gets a confidence from what was measured, and the best that do not repeat each other stay. What
has no slender middle is cut by a watershed and offered at a lower confidence.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage
from skimage import filters, measure, segmentation
from skimage.morphology import h_maxima

from chemoscape.particles import strips
from chemoscape.particles.centrelines import AROUND, Centreline, centrelines
from chemoscape.particles.generator import FWHM_PER_SIGMA
from chemoscape.particles.masks import Instances, from_crops

#: Fewest pixels of a particle.
SMALLEST = 12
#: Longest gap between two pieces of a wire, µm.
LONGEST_GAP = 1.5
#: Side of the blocks, and scale of change, of the background, µm: what is smaller is a particle.
BLOCK, BACKGROUND_SCALE = 0.2, 1.25
#: Radii of the surroundings against which thin wires on thick ones are seen, µm.
LOCAL_SCALES = (0.1, 0.2, 0.5)
#: Depth in pixels of the neck at which a blob is cut.
NECK = 0.75
#: Least confidence, and the overlaps at which a particle repeats better ones: with one of them
#: (intersection over union, share of its area), and share of its area under all of them.
LEAST, REPEATED, WITHIN, COVERED = 0.1, 0.4, 0.7, 0.7
#: Logistic regressions of whether a candidate matches a wire, fitted to simulated ensembles apart
#: from those of the tests: constant, then one weight per entry of `_of_strip` and `_of_blob`.
STRIP_WEIGHTS = np.array([-3.23, 0.26, 1.66, 1.6, -3.87, 0.04, 1.39, -1.15, -7.13, -0.81])
BLOB_WEIGHTS = np.array([-4.97, -0.17, 3.69, 0.77, 0.77, 5.24])

Placed = tuple[np.ndarray, tuple[int, int]]


def find_wires(image: np.ndarray, pixel_um: float, fwhm_um: float = 0.08) -> Instances:
    """Nanowires of a map, whole through crossings, best first.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Finite optical densities or amounts of a phase, larger where there is more material.
    pixel_um, fwhm_um : float
        Pixel size and resolution, µm.

    Returns
    -------
    Instances
        Amodal masks; the scores rank them by how likely each is a wire of that outline.
    """
    shape = (int(image.shape[0]), int(image.shape[1]))
    sigma = max(0.6, 0.8 * fwhm_um / FWHM_PER_SIGMA / pixel_um)
    smooth = ndimage.gaussian_filter(np.asarray(image, np.float32), sigma, mode="nearest")
    background, noise = _background(smooth, pixel_um)
    density = smooth - background
    del smooth, background
    blur = float(np.hypot(fwhm_um / pixel_um, sigma * FWHM_PER_SIGMA))
    placed: list[Placed] = []
    scores: list[float] = []
    for number, ground in enumerate(_foregrounds(density, noise, pixel_um)):
        for line in centrelines(ground, density, LONGEST_GAP / pixel_um):
            strip = strips.measure(line, density, blur)
            if strip is None or strip.mask.sum() < SMALLEST:
                continue
            placed.append((strip.mask, strip.corner))
            scores.append(_confidence(_of_strip(strip, line, noise, pixel_um, blur), STRIP_WEIGHTS))
        if number == 0:
            for mask, corner, values in _blobs(ground, density):
                placed.append((mask, corner))
                scores.append(_confidence(_of_blob(mask, values, noise, pixel_um), BLOB_WEIGHTS))
    return _selected(from_crops(shape, placed, np.array(scores)))


def _background(smooth: np.ndarray, pixel_um: float) -> tuple[np.ndarray, float]:
    """Slow background of a map, shape (y, x), and the spread of the noise on it.

    Blocks brighter than their surroundings are left out and bridged; where none is near, the
    commonest level stands in.
    """
    block = max(1, round(BLOCK / pixel_um))
    coarse = measure.block_reduce(
        np.pad(smooth, [(0, -size % block) for size in smooth.shape], mode="edge"), block, np.mean
    )
    level, spread = _commonest(coarse)
    empty = coarse < level + 3 * spread
    scale = BACKGROUND_SCALE / pixel_um / block
    for _ in range(4):
        # blocks beside a particle hold a part of its edge
        use = ndimage.binary_erosion(empty, AROUND, border_value=1)
        weight = ndimage.gaussian_filter(use.astype(np.float32), scale, mode="nearest")
        value = ndimage.gaussian_filter(np.where(use, coarse - level, 0), scale, mode="nearest")
        slow = level + value / (weight + 0.05)
        rest = coarse - slow
        below = rest[rest < 0]
        empty = rest < (2.5 * np.sqrt(np.mean(below**2)) if len(below) else 0)
    background = _refined(slow.astype(np.float32), smooth.shape, block)
    # particles only brighten, so what lies below tells the noise; clipped maps have nothing there
    rest = smooth - background
    below = rest[rest < 0]
    noise = float(np.sqrt(np.mean(below**2))) if len(below) else 0.0
    if smooth.shape[1] > 4:
        apart = abs(smooth[:, 4:] - smooth[:, :-4])
        noise = max(noise, float(np.median(apart)) / 0.6745 / np.sqrt(2))
    return background, max(noise, 1e-6 * float(abs(smooth).max()), 1e-12)


def _commonest(values: np.ndarray) -> tuple[float, float]:
    """Middle of the narrowest half of the values, and the spread of those below it."""
    ranked = np.sort(values.ravel())
    half = max(1, len(ranked) // 2)
    start = int(np.argmin(ranked[half - 1 :] - ranked[: len(ranked) - half + 1]))
    level = float(np.median(ranked[start : start + half]))
    return level, float(np.median(level - ranked[ranked <= level])) / 0.6745


def _refined(coarse: np.ndarray, shape: tuple[int, ...], block: int) -> np.ndarray:
    """Values of blocks as an image of single pixels, linear between the blocks' centres."""
    for size in shape:
        where = np.clip((np.arange(size) + 0.5) / block - 0.5, 0, len(coarse) - 1)
        low = np.minimum(where.astype(int), max(len(coarse) - 2, 0))
        share = (where - low).astype(np.float32)[:, None]
        high = np.minimum(low + 1, len(coarse) - 1)
        coarse = (coarse[low] * (1 - share) + coarse[high] * share).T
    return coarse


def _foregrounds(density: np.ndarray, noise: float, pixel_um: float) -> Iterator[np.ndarray]:
    """Material at several levels: all of it, the thick, and what stands out of its surroundings."""
    otsu = filters.threshold_otsu(density)
    floor = max(3 * noise, 0.02 * otsu)
    low = filters.apply_hysteresis_threshold(density, floor, max(2 * floor, 6 * noise))
    if not low.any():
        return
    pinholes = int(0.02 / pixel_um**2) + 1
    low |= _large(~low, pinholes) ^ ~low
    low = _large(low, SMALLEST)
    yield low
    if not low.any():
        return
    thick = filters.threshold_otsu(density[low])
    yield _large(filters.apply_hysteresis_threshold(density, 0.7 * thick, thick), SMALLEST)
    for scale in LOCAL_SCALES:
        local = density - ndimage.gaussian_filter(density, scale / pixel_um, mode="nearest")
        yield _large(low & filters.apply_hysteresis_threshold(local, noise, 4 * noise), SMALLEST)


def _large(mask: np.ndarray, smallest: int) -> np.ndarray:
    """A mask without its parts of fewer pixels."""
    labels, count = ndimage.label(mask, AROUND)
    keep = np.bincount(labels.ravel(), minlength=count + 1) >= smallest
    keep[0] = False
    return keep[labels]


def _blobs(
    ground: np.ndarray, density: np.ndarray
) -> Iterator[tuple[np.ndarray, tuple[int, int], np.ndarray]]:
    """Masks, corners and densities of convex parts, cut at necks and at half of their maximum."""
    labels, _ = ndimage.label(ground, AROUND)
    for number, window in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[window] == number
        inside = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
        inside = ndimage.gaussian_filter(inside, 1.0, mode="constant")
        tops = h_maxima(inside, NECK) & part
        if not tops.any():
            tops = (inside == inside[part].max()) & part
        markers, _ = ndimage.label(tops, AROUND)
        cut = segmentation.watershed(-inside, markers, mask=part)
        values = density[window]
        for one, where in enumerate(ndimage.find_objects(cut), start=1):
            if where is None:
                continue
            mask = cut[where] == one
            mask &= values[where] >= 0.45 * values[where][mask].max()
            if mask.sum() >= SMALLEST:
                corner = tuple(int(a.start + b.start) for a, b in zip(window, where, strict=True))
                yield mask, (corner[0], corner[1]), values[where][mask]


def _of_strip(
    strip: strips.Strip, line: Centreline, noise: float, pixel_um: float, blur: float
) -> np.ndarray:
    """What tells a wire from a chance alignment: contrast, evenness, slenderness, size."""
    weaker, stronger = (min(one, 1.0) for one in strip.contrasts)
    signal = strip.core * weaker * np.sqrt(strip.mask.sum()) / noise
    return np.array(
        [
            np.log1p(signal),
            weaker,
            stronger,
            min(strip.unevenness, 1.0),
            np.log(strip.length / strip.width),
            np.log(strip.length * pixel_um),
            np.log(strip.width / blur),
            min(strip.roughness, 1.0),
            abs(np.log(strip.width / 2 / max(line.radius, 0.5))),
        ]
    )


def _of_blob(mask: np.ndarray, values: np.ndarray, noise: float, pixel_um: float) -> np.ndarray:
    """What tells a short wire from a flake or a clump: contrast, convexity, slenderness, size."""
    shape = measure.regionprops(mask.astype(np.uint8))[0]
    long, short = max(shape.axis_major_length, 1.0), max(shape.axis_minor_length, 1.0)
    level = float(values.mean())
    return np.array(
        [
            np.log1p(level * np.sqrt(len(values)) / noise),
            shape.solidity,
            np.log(long / short),
            np.log(long * pixel_um),
            min(float(values.std()) / level, 1.0),
        ]
    )


def _confidence(features: np.ndarray, weights: np.ndarray) -> float:
    """Logistic function of weighted features, 0 to 1."""
    return float(1 / (1 + np.exp(-(weights[0] + weights[1:] @ features))))


def _selected(found: Instances) -> Instances:
    """Candidates best first, without those that better ones already explain."""
    ranked = found.take(np.argsort(-found.scores, kind="stable"))
    areas = ranked.areas
    pixels = ranked.sparse()
    shared = (pixels @ pixels.T).tocsr()
    covered = np.zeros(ranked.shape, bool)
    keep = np.zeros(len(ranked), bool)
    for one in range(int((ranked.scores >= LEAST).sum())):
        near = slice(*shared.indptr[one : one + 2])
        better = keep[shared.indices[near]]
        others, common = shared.indices[near][better], shared.data[near][better]
        if len(others) and (
            (common / (areas[one] + areas[others] - common)).max() > REPEATED
            or common.max() > WITHIN * areas[one]
        ):
            continue
        under = covered[ranked.window(one)]
        if (under & ranked.crops[one]).sum() > COVERED * areas[one]:
            continue
        under |= ranked.crops[one]
        keep[one] = True
    return ranked.take(keep)
