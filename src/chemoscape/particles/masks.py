"""Masks of particles that may lie over each other.

A label image cannot hold two particles in one pixel, and a dense array of masks grows as particles
times pixels. `Instances` keeps each mask as a crop and its corner.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage, sparse


@dataclass(frozen=True)
class Instances:
    """Masks of particles of one image, which may overlap.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the image.
    corners : ndarray of int, shape (n, 2)
        Row and column of each crop's first pixel.
    crops : tuple of ndarray of bool
        Masks, each cut to the rows and columns that it touches.
    scores : ndarray of float, shape (n,)
        Confidence, 0 to 1.
    """

    shape: tuple[int, int]
    corners: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    crops: tuple[np.ndarray, ...] = ()
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def areas(self) -> np.ndarray:
        """Pixels of each mask, shape (n,)."""
        return np.array([crop.sum() for crop in self.crops], dtype=int)

    @property
    def boxes(self) -> np.ndarray:
        """Edges x0, y0, x1, y1 of each mask in pixels, shape (n, 4); the last ones lie outside."""
        if not len(self):
            return np.zeros((0, 4))
        sizes = np.array([crop.shape for crop in self.crops])
        return np.hstack([self.corners[:, ::-1], (self.corners + sizes)[:, ::-1]]).astype(float)

    def take(self, index: Sequence[int] | np.ndarray) -> Instances:
        """Those of an index array or a boolean one, in its order."""
        order = np.arange(len(self))[np.asarray(index)] if len(index) else np.zeros(0, int)
        return Instances(
            self.shape,
            self.corners[order].reshape(-1, 2),
            tuple(self.crops[one] for one in order),
            self.scores[order],
        )

    def dense(self) -> np.ndarray:
        """All masks as one boolean array, shape (n, rows, columns)."""
        masks = np.zeros((len(self), *self.shape), bool)
        for mask, (row, column), crop in zip(masks, self.corners, self.crops, strict=True):
            mask[row : row + crop.shape[0], column : column + crop.shape[1]] = crop
        return masks

    def window(self, one: int) -> tuple[slice, slice]:
        """Rows and columns of the image that the crop of a particle covers."""
        (row, column), (high, wide) = self.corners[one], self.crops[one].shape
        return slice(row, row + high), slice(column, column + wide)

    def labels(self) -> np.ndarray:
        """Index of the particle on each pixel (the best score wins), -1 where none lies."""
        image = np.full(self.shape, -1)
        for one in np.argsort(self.scores, kind="stable"):
            image[self.window(one)][self.crops[one]] = one
        return image

    def layers(self) -> np.ndarray:
        """How many particles lie on each pixel."""
        count = np.zeros(self.shape, int)
        for one, crop in enumerate(self.crops):
            count[self.window(one)] += crop
        return count

    def sparse(self) -> sparse.csr_array:
        """Masks as rows of a sparse matrix, shape (n, rows * columns)."""
        pixels = [
            ((rows + corner[0]) * self.shape[1] + columns + corner[1])
            for corner, crop in zip(self.corners, self.crops, strict=True)
            for rows, columns in [np.nonzero(crop)]
        ]
        ends = np.cumsum([0, *(len(one) for one in pixels)])
        where = np.concatenate(pixels) if pixels else np.zeros(0, int)
        ones = np.ones(len(where), np.float32)
        return sparse.csr_array((ones, where, ends), shape=(len(self), int(np.prod(self.shape))))


def from_dense(masks: np.ndarray, scores: Sequence[float] | np.ndarray | None = None) -> Instances:
    """Instances of masks, shape (n, rows, columns); those without a pixel are left out."""
    shape = (masks.shape[1], masks.shape[2])
    placed = [(mask, (0, 0)) for mask in np.asarray(masks, bool)]
    return from_crops(shape, placed, np.ones(len(masks)) if scores is None else scores)


def from_labels(labels: np.ndarray, scores: Sequence[float] | None = None) -> Instances:
    """Instances of a label image: 0 is background, particles are 1, 2, …"""
    placed = [
        ((labels[where] == one + 1), (where[0].start, where[1].start))
        for one, where in enumerate(ndimage.find_objects(labels))
        if where is not None
    ]
    return from_crops(labels.shape, placed, np.ones(len(placed)) if scores is None else scores)


def from_crops(
    shape: tuple[int, int],
    placed: Iterable[tuple[np.ndarray, tuple[int, int]]],
    scores: Sequence[float] | np.ndarray,
) -> Instances:
    """Instances of (mask, corner) pairs, cut to the image and to the pixels that each touches."""
    corners, crops, kept = [], [], []
    for (mask, (row, column)), score in zip(placed, scores, strict=True):
        top, left = max(0, -row), max(0, -column)
        rest = max(0, shape[0] - row), max(0, shape[1] - column)
        inside = np.asarray(mask, bool)[top : rest[0], left : rest[1]]
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        if not len(rows):
            continue
        crops.append(inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy())
        corners.append((row + top + rows[0], column + left + columns[0]))
        kept.append(score)
    return Instances(
        (int(shape[0]), int(shape[1])),
        np.array(corners, int).reshape(-1, 2),
        tuple(crops),
        np.array(kept, float),
    )


def intersections(first: Instances, second: Instances) -> np.ndarray:
    """Pixels that each mask of one set shares with each of another, shape (n, m).

    Raises
    ------
    ValueError
        When the two belong to images of different shape.
    """
    if first.shape != second.shape:
        raise ValueError(f"masks of images {first.shape} and {second.shape} cannot be compared")
    return (first.sparse() @ second.sparse().T).toarray()


def intersection_over_union(first: Instances, second: Instances) -> np.ndarray:
    """Jaccard index of each pair of masks, shape (n, m)."""
    shared = intersections(first, second)
    return shared / np.maximum(first.areas[:, None] + second.areas[None, :] - shared, 1)


def suppress(found: Instances, threshold: float) -> Instances:
    """Non-maximum suppression on masks: best scores first, without what a better one covers.

    A mask goes when its intersection over union with a better one that stays exceeds `threshold`.
    """
    order = np.argsort(-found.scores, kind="stable")
    ranked = found.take(order)
    covered = intersection_over_union(ranked, ranked) > threshold
    gone = np.zeros(len(ranked), bool)
    for one in range(len(ranked)):
        if not gone[one]:
            gone[one + 1 :] |= covered[one, one + 1 :]
    return ranked.take(~gone)
