"""The empty part of an image: where the beam passes the support alone, found as the brightest
plateau.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import ndimage

from chemoscape.errors import StackError

#: A background smaller than this, in pixels or as a share of the image, is not trusted.
SMALLEST_PIXELS = 16
SMALLEST_SHARE = 0.002
#: ln(I) of pixels within this of each other is flat, whatever the noise.
FLAT = 0.001
#: A brightest plateau whose ln(I) scatters more than this is no empty beam.
UNEVEN = 0.05


def find_background(stack: xr.DataArray) -> xr.DataArray:
    """Find the pixels without sample.

    On the logarithm of the energy-averaged image, the densest value is taken, and then the next
    brighter plateau as long as there is one: sample only ever darkens. Pixels within three standard
    deviations of the last plateau are kept, less a border of one pixel around everything else and
    less pixels that stand out from it in some frame.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts.

    Returns
    -------
    DataArray (y, x) of bool
        True where there is no sample.

    Raises
    ------
    StackError
        The image is uniform, so that sample and background cannot be told apart, or its brightest
        part is not flat.
    """
    values = stack.values
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.log(_mean_image(values))
    usable = np.isfinite(level)
    fewest = max(SMALLEST_PIXELS, int(SMALLEST_SHARE * level.size))
    if usable.sum() < fewest:
        raise _refusal("too few pixels hold counts at every energy")

    population = usable
    while True:
        centre, spread = _plateau(level[population])
        brighter = population & (level > centre + 6 * spread)
        # lone bright pixels and the thin bright rim that diffraction draws around a particle are no
        # plateau
        brighter = ndimage.binary_opening(brighter, structure=np.ones((3, 3)))
        if brighter.sum() < fewest:
            break
        population = brighter
    if spread > UNEVEN:
        raise _refusal(
            f"its brightest part is uneven ({100 * spread:.0f} %), as where sample lies everywhere"
        )
    if (usable & (level < centre - 6 * spread)).sum() < 9:
        raise _refusal("it is uniform, so that an empty field and an even film look the same")

    empty = usable & (np.abs(level - centre) < 3 * spread)
    empty = ndimage.binary_opening(empty)
    inner = ndimage.binary_erosion(empty, structure=np.ones((3, 3)), border_value=1)
    if inner.sum() >= fewest:
        empty = inner
    empty = _without_outliers(values, empty)
    if empty.sum() < fewest:
        raise _refusal(f"only {empty.sum()} pixels of it are bright and even")
    return xr.DataArray(
        empty, dims=("y", "x"), coords={"y": stack["y"], "x": stack["x"]}, name="background"
    )


def _refusal(why: str) -> StackError:
    return StackError(
        f"no empty background was found in the image: {why}",
        remedy="give the region without sample, or an I0 spectrum",
    )


def _mean_image(values: np.ndarray) -> np.ndarray:
    """Mean over energy (y, x), each frame with equal weight; NaN where any frame has no value."""
    total = np.zeros(values.shape[1:])
    for frame in values:
        seen = frame[np.isfinite(frame)]
        scale = float(np.median(seen)) if seen.size else 0.0
        if scale > 0:
            total += frame / scale
        elif seen.size:
            total += 0.0 * frame  # a dark frame tells nothing, but its gaps count
    return total


def _plateau(values: np.ndarray) -> tuple[float, float]:
    """Centre and standard deviation of the densest group of values: the half-sample mode, then
    clipped moments.
    """
    ordered = np.sort(values)
    window = ordered
    while window.size > max(0.1 * ordered.size, 8):
        half = window.size // 2
        start = int(np.argmin(window[half:] - window[: window.size - half]))
        window = window[start : start + half + 1]
        if half < 4:
            break
    centre = float(np.median(window))
    # a tenth of a Gaussian lies within 0.126 sd of its centre; other pixels only make this too wide
    spread = max(float(window[-1] - window[0]) / 0.25, FLAT)
    for _ in range(5):
        near = values[np.abs(values - centre) < 2.5 * spread]
        if near.size < 5:
            break
        centre = float(np.median(near))
        spread = max(1.4826 * float(np.median(np.abs(near - centre))) / 0.95, FLAT)
    return centre, spread


def _without_outliers(values: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """`empty` without pixels that lie six standard deviations from the others in some frame."""
    keep = empty.copy()
    for frame in values:
        seen = frame[empty]
        if not np.isfinite(seen).any():
            continue
        middle = np.nanmedian(seen)
        spread = 1.4826 * np.nanmedian(np.abs(seen - middle))
        with np.errstate(invalid="ignore"):
            keep &= ~(np.abs(frame - middle) > 6 * spread + 1e-3 * abs(middle) + 1.0)
    return keep
