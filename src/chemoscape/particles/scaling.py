"""What the network sees of a map: one pixel size, one range of values."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse

#: Knee of the compressed channel, as a share of the range of values.
KNEE = 0.05


def normalised(image: np.ndarray) -> np.ndarray:
    """Two channels of a map: linear and compressed.

    The linear one is z = (v - p5) / (p99.5 - p5), with percentiles of the whole map, clipped to
    [-0.5, 1.5]; the other is asinh(z / 0.05) / asinh(20), in which a thin wire beside a thick
    agglomerate is still seen.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Finite values, larger where there is more material.

    Returns
    -------
    channels : ndarray of float32, shape (2, y, x)
    """
    low, high = np.percentile(image, [5, 99.5])
    z = (image - low) / (high - low if high > low else 1.0)  # a constant map is all background
    compressed = np.arcsinh(z / KNEE) / np.arcsinh(1 / KNEE)
    return np.stack([np.clip(z, -0.5, 1.5), np.clip(compressed, -1.5, 1.5)]).astype(np.float32)


def rescaled(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The image on another number of rows and columns over the same field, linearly interpolated.

    Pixels are areas: the centre of the first new pixel lies half a new pixel inside the field. An
    image that becomes smaller is averaged first, so that no detail is lost between samples.
    """
    image = np.asarray(image, float)  # integers would be cut off by the filter
    ratio = [old / new for old, new in zip(image.shape, shape, strict=True)]
    sigma = [max(0.0, (one - 1) / 2) for one in ratio]
    smooth = ndimage.gaussian_filter(image, sigma, mode="nearest") if any(sigma) else image
    rows, columns = (_between_pixels(old, new) for old, new in zip(image.shape, shape, strict=True))
    return np.asarray(rows @ smooth @ columns.T, np.float32)


def _between_pixels(old: int, new: int) -> sparse.csr_array:
    """Weights of linear interpolation from old to new pixels, shape (new, old)."""
    at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    below = np.minimum(at.astype(int), max(old - 2, 0))
    share = at - below
    pixel = np.arange(new)
    return sparse.csr_array(
        (
            np.concatenate([1 - share, share]),
            (np.tile(pixel, 2), np.concatenate([below, np.minimum(below + 1, old - 1)])),
        ),
        shape=(new, old),
    )
