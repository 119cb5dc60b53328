"""Where one image lies in another that shows more, less or another part of the sample.

The correlation coefficient is computed for every shift over the pixels that both know there
(Padfield, IEEE Trans. Image Process. 21, 2706, 2012). What chance would give follows from how many
pixels of such smooth images are independent (Clifford, Richardson and Hémon, Biometrics 45, 123,
1989).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve
from scipy.stats import norm

#: Share of the smaller image that has to lie on the other.
LEAST_OVERLAP = 0.3
#: Chance that two images of different samples are taken for the same.
ERROR_RATE = 0.01


@dataclass(frozen=True)
class Place:
    """Pixels (dy, dx) to move an image by, the correlation there, the largest that chance would
    give, and the number of independent pixels.
    """

    shift: np.ndarray
    correlation: float
    chance: float
    independent: float


def find(fixed: np.ndarray, moving: np.ndarray) -> Place | None:
    """Whole pixels to move an image by so that it lies on another with pixels as large.

    Of all shifts it is the one that is most significant: Fisher's z times the root of the number of
    pixels. None when no shift lays enough known pixels on each other.

    Parameters
    ----------
    fixed, moving : ndarray, shapes (ny, nx) and (my, mx)
        NaN where there is nothing. Their first pixels lie on each other before the shift.
    """
    correlation, shared = surface(fixed, moving)
    least = LEAST_OVERLAP * min(np.isfinite(fixed).sum(), np.isfinite(moving).sum())
    allowed = shared >= max(least, 16)
    if not allowed.any():
        return None
    z = np.arctanh(np.clip(correlation, -0.9999, 0.9999)) * np.sqrt(shared)
    at = np.unravel_index(np.argmax(np.where(allowed, z, -np.inf)), z.shape)
    shift = np.array(at) - (np.array(moving.shape) - 1)
    one, other = _overlapping(fixed, moving, shift)
    independent = independent_pixels(one, other)
    places = max(float(allowed.sum()) * independent / float(shared[at]), 1.0)
    most = norm.isf(ERROR_RATE / places) / np.sqrt(max(independent - 3, 1.0))
    return Place(shift, float(correlation[at]), float(np.tanh(most)), independent)


def surface(fixed: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation coefficient for every shift, and the number of pixels it is over.

    Returns
    -------
    correlation, shared : ndarray, shape (ny + my - 1, nx + mx - 1)
        Element (i, j) is for a shift of (i - my + 1, j - mx + 1).
    """
    counts = [np.isfinite(image).astype(np.float64) for image in (fixed, moving)]
    means = [float(np.nanmean(image)) for image in (fixed, moving)]
    one, other = (
        np.nan_to_num(image - mean, nan=0.0)
        for image, mean in zip((fixed, moving), means, strict=True)
    )
    turned, seen = other[::-1, ::-1], counts[1][::-1, ::-1]
    shared = np.rint(fftconvolve(counts[0], seen))
    n = np.maximum(shared, 1.0)
    sum_one, sum_other = fftconvolve(one, seen), fftconvolve(counts[0], turned)
    covariance = fftconvolve(one, turned) - sum_one * sum_other / n
    squares_one = fftconvolve(one**2, seen) - sum_one**2 / n
    squares_other = fftconvolve(counts[0], turned**2) - sum_other**2 / n
    # what the transforms' rounding leaves of a constant patch is no contrast
    floor = 1e-6 * float(max((one**2).sum(), 1e-300)), 1e-6 * float(max((other**2).sum(), 1e-300))
    told = (squares_one > floor[0]) & (squares_other > floor[1])
    norms = np.sqrt(np.where(told, squares_one * squares_other, 1.0))
    return np.clip(np.where(told, covariance / norms, 0.0), -1.0, 1.0), shared


def independent_pixels(one: np.ndarray, other: np.ndarray) -> float:
    """Number of independent pixels in the correlation coefficient of two images of one shape.

    Its variance, were they unrelated, is the mean product of their autocorrelations over all pairs
    of pixels.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(2, 40, 40))
    >>> 1000 < independent_pixels(*noise) <= 1601
    True
    """
    counts = np.isfinite(one) & np.isfinite(other)
    pairs = _autocorrelation(counts.astype(np.float64))
    products = np.ones_like(pairs)
    for image in (one, other):
        values = np.where(counts, image - image[counts].mean(), 0.0)
        products = products * _autocorrelation(values) / np.maximum(np.rint(pairs), 1.0)
        products = products / float(values[counts].var())
    variance = float((np.rint(pairs) * products).sum()) / float(counts.sum()) ** 2
    return 1 + 1 / max(variance, 1 / float(counts.sum()))


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """Sum of products of all pairs of pixels with the same distance."""
    return np.asarray(fftconvolve(values, values[::-1, ::-1]))


def _overlapping(
    fixed: np.ndarray, moving: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The parts of both that lie on each other after a shift in whole pixels."""
    first, last = np.maximum(shift, 0), np.minimum(shift + moving.shape, fixed.shape)
    (top, left), (bottom, right) = first, last
    (up, before), (down, after) = first - shift, last - shift
    return fixed[top:bottom, left:right], moving[up:down, before:after]
