"""Regions: features read under a box, and a predicted mask laid back onto the pixels.

Interpolation on a grid of rows and columns is a product of two interpolations along one axis each.
With the mean over the samples of a bin taken into them, reading a region is two small matrix
products on the cells under its box, however many samples there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chemoscape.particles.maskrcnn.architecture import STRIDES
from chemoscape.particles.maskrcnn.boxes import Settings, level_of


def _linear(positions: np.ndarray, size: int) -> tuple[slice, np.ndarray]:
    """Linear interpolation at positions along an axis, as a matrix on the cells that it needs.

    Parameters
    ----------
    positions : ndarray, shape (n,)
        Ascending, in units of cells with the first one's centre at 0; beyond the centres of the
        outermost cells the value stays what it is there.
    size : int
        Cells of the axis.

    Returns
    -------
    cells : slice
        Those that have a share in any position.
    shares : ndarray of float32, shape (n, cells)
        Rows sum to one.
    """
    held = np.clip(positions, 0, size - 1)
    cells = slice(int(held[0]), min(int(held[-1]) + 2, size))
    away = np.abs(held[:, None] - np.arange(cells.start, cells.stop))
    return cells, np.clip(1 - away, 0, 1).astype(np.float32)


def _bin_means(
    start: float, stop: float, stride: int, bins: int, samples: int, size: int
) -> tuple[slice, np.ndarray]:
    """Mean over the samples of each bin along one axis, as a matrix (bins, cells) on cells."""
    share = (np.arange(bins * samples) + 0.5) / (bins * samples)
    cells, shares = _linear((start + share * (stop - start)) / stride - 0.5, size)
    return cells, shares.reshape(bins, samples, -1).mean(axis=1)


def roi_align(
    features: np.ndarray, stride: int, boxes: np.ndarray, bins: int, samples: int
) -> np.ndarray:
    """Features under boxes, each on a grid of bins of its own.

    The value of a bin is the mean of the features, interpolated bilinearly between the centres of
    their cells, over samples spread evenly in it. Positions beyond the outermost centres take the
    value at the border.

    Parameters
    ----------
    features : ndarray, shape (channels, rows, columns)
    stride : int
        Pixels per cell.
    boxes : ndarray, shape (n, 4)
        x0 <= x1 and y0 <= y1, pixels.
    bins, samples : int
        Bins along a side of the box, samples along a side of a bin.

    Returns
    -------
    regions : ndarray of float32, shape (n, channels, bins, bins)
    """
    channels, height, width = features.shape
    regions = np.empty((len(boxes), channels, bins, bins), np.float32)
    for region, (x0, y0, x1, y1) in zip(regions, np.asarray(boxes, float), strict=True):
        rows, down = _bin_means(y0, y1, stride, bins, samples, height)
        columns, along = _bin_means(x0, x1, stride, bins, samples, width)
        np.matmul(down @ features[:, rows, columns], along.T, out=region)
    return regions


def pyramid_align(
    levels: Sequence[np.ndarray], boxes: np.ndarray, bins: int, samples: int
) -> np.ndarray:
    """Features under boxes, each read from the level of the pyramid that fits its size.

    Parameters
    ----------
    levels : sequence of ndarray, shape (channels, rows, columns)
        Finest first.
    boxes, bins, samples
        As in `roi_align`.

    Returns
    -------
    regions : ndarray of float32, shape (n, channels, bins, bins)
        In the order of the boxes.
    """
    regions = np.empty((len(boxes), levels[0].shape[0], bins, bins), np.float32)
    chosen = level_of(boxes)
    for level, (features, stride) in enumerate(zip(levels, STRIDES, strict=True)):
        here = chosen == level
        regions[here] = roi_align(features, stride, boxes[here], bins, samples)
    return regions


def _pixels(start: float, stop: float, cells: int, size: int) -> tuple[int, np.ndarray]:
    """First pixel with its centre between two edges, and all such centres in units of cells."""
    first = max(0, int(np.ceil(start - 0.5)))
    beyond = min(size, int(np.ceil(stop - 0.5)))
    share = (np.arange(first, beyond) + 0.5 - start) / max(stop - start, 1e-6)
    return first, share * cells - 0.5


def lay(
    probabilities: np.ndarray, box: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Probabilities of the cells of a box, interpolated at the pixels with centres inside it.

    Parameters
    ----------
    probabilities : ndarray, shape (cells, cells)
        Cells divide the box evenly.
    box : ndarray, shape (4,)
        May reach beyond the image; only pixels of the image are returned.
    shape : tuple of int
        Rows and columns of the image.

    Returns
    -------
    crop : ndarray of float32, shape (rows, columns)
        Without rows or columns when no centre of a pixel lies in the box.
    corner : tuple of int
        Row and column of the crop's first pixel.
    """
    x0, y0, x1, y1 = (float(edge) for edge in box)
    top, rows = _pixels(y0, y1, probabilities.shape[0], shape[0])
    left, columns = _pixels(x0, x1, probabilities.shape[1], shape[1])
    if not (len(rows) and len(columns)):
        return np.zeros((len(rows), len(columns)), np.float32), (top, left)
    high, down = _linear(rows, probabilities.shape[0])
    wide, along = _linear(columns, probabilities.shape[1])
    return down @ probabilities[high, wide].astype(np.float32) @ along.T, (top, left)


def paste(
    probabilities: np.ndarray,
    box: np.ndarray,
    shape: tuple[int, int],
    inside: float = Settings.inside,
) -> tuple[np.ndarray, tuple[int, int]]:
    """Mask on the pixels where the probability in a box exceeds `inside`, and its corner.

    Probabilities are interpolated, not the answer: an edge falls between the centres of cells.
    Parameters and results are those of `lay`, the crop being boolean.
    """
    crop, corner = lay(probabilities, box, shape)
    return crop > inside, corner
