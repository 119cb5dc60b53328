"""Boxes: where anchors lie, how a box is corrected, which boxes say the same thing.

A box is x0, y0, x1, y1 in pixel edges: pixel 0 covers [0, 1], its centre is 0.5. The half of the
network that is trained uses the same formulas; a difference of half a pixel between the two would
cost accuracy and raise no error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from chemoscape.particles.maskrcnn.architecture import (
    ANCHOR_RATIOS,
    ANCHOR_SCALES,
    ANCHOR_SIDES,
    BOX_WEIGHTS,
    CANONICAL_SIDE,
    CLASSES,
    STRIDES,
)

#: Weights of the corrections that turn anchors into proposals: centre, size.
PROPOSAL_WEIGHTS = (1.0, 1.0)
#: Most that a logarithm of a change in size may be: a factor of 55. Without it an early or
#: mistaken correction makes a box infinite.
LARGEST_GROWTH = 4.0
#: Level (counted from the finest) from which a region of `CANONICAL_SIDE` is read.
CANONICAL_LEVEL = 2
#: Boxes compared with all others at a time: bounds the memory of `nms`.
BLOCK = 256


def anchors(level: int, rows: int, columns: int) -> np.ndarray:
    """Boxes that the network corrects into proposals, on one level of the pyramid.

    Parameters
    ----------
    level : int
        0 is the finest.
    rows, columns : int
        Cells of the level.

    Returns
    -------
    boxes : ndarray of float32, shape (rows * columns * shapes, 4)
        Row by row of cells; on each cell every size, and of each size every ratio.
    """
    side = ANCHOR_SIDES[level] * np.asarray(ANCHOR_SCALES)[:, None]
    root = np.sqrt(ANCHOR_RATIOS)[None, :]
    half = np.stack([side * root, side / root], axis=-1).reshape(-1, 2) / 2
    y, x = np.meshgrid(np.arange(rows) + 0.5, np.arange(columns) + 0.5, indexing="ij")
    centres = (np.stack([x, y], axis=-1) * STRIDES[level]).reshape(-1, 1, 2)
    boxes = np.concatenate([centres - half, centres + half], axis=-1)
    return boxes.reshape(-1, 4).astype(np.float32)


def _centres_and_sizes(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (x, y) and size (width, height) of boxes, shape (..., 2) each."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def decode(deltas: np.ndarray, boxes: np.ndarray, weights: tuple[float, float]) -> np.ndarray:
    """Boxes after the corrections that the network asks for.

    Parameters
    ----------
    deltas : ndarray, shape (..., 4)
        Shift of the centre in x and y as shares of the box's width and height, then the logarithms
        of the factors on width and height; each times its weight.
    boxes : ndarray, shape (..., 4)
        Boxes to be corrected.
    weights : tuple of float
        Of the centre and of the size.

    Returns
    -------
    boxes : ndarray, shape (..., 4)
        Not cut to the image: see `clip`.
    """
    centre, size = _centres_and_sizes(boxes)
    centre = centre + deltas[..., :2] / weights[0] * size
    half = size * np.exp(np.minimum(deltas[..., 2:] / weights[1], LARGEST_GROWTH)) / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def encode(targets: np.ndarray, boxes: np.ndarray, weights: tuple[float, float]) -> np.ndarray:
    """Corrections that turn boxes of non-zero size into the targets: the inverse of `decode`."""
    centre, size = _centres_and_sizes(boxes)
    wanted_centre, wanted_size = _centres_and_sizes(targets)
    shift = (wanted_centre - centre) / size * weights[0]
    return np.concatenate([shift, np.log(wanted_size / size) * weights[1]], axis=-1)


def clip(boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Boxes, shape (..., 4), cut to an image of that many rows and columns."""
    rows, columns = shape
    return np.clip(boxes, 0, np.array([columns, rows, columns, rows], boxes.dtype))


def shortest_side(boxes: np.ndarray) -> np.ndarray:
    """The smaller of width and height of each box, shape (...)."""
    return _centres_and_sizes(boxes)[1].min(axis=-1)


def area(boxes: np.ndarray) -> np.ndarray:
    """Area of boxes (..., 4), shape (...); a box turned inside out has none."""
    return np.clip(_centres_and_sizes(boxes)[1], 0, None).prod(axis=-1)


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of each pair of boxes, shape (n, m); 0 where both have no area."""
    wide = np.minimum(first[:, None, 2], second[:, 2]) - np.maximum(first[:, None, 0], second[:, 0])
    high = np.minimum(first[:, None, 3], second[:, 3]) - np.maximum(first[:, None, 1], second[:, 1])
    shared = np.clip(wide, 0, None) * np.clip(high, 0, None)
    union = area(first)[:, None] + area(second) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Non-maximum suppression: the best boxes, without those that repeat a better one.

    Parameters
    ----------
    boxes : ndarray, shape (n, 4)
    scores : ndarray, shape (n,)
        Of two equal ones the first is the better.
    threshold : float
        A box goes when its intersection over union with a better one that stays exceeds this.

    Returns
    -------
    kept : ndarray of int
        Indices of those that stay, best first.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = boxes[order]
    gone = np.zeros(len(ranked), bool)
    for start in range(0, len(ranked), BLOCK):
        block = start + np.flatnonzero(~gone[start : start + BLOCK])
        repeats = box_iou(ranked[block], ranked[start:]) > threshold
        for one, repeated in zip(block, repeats, strict=True):
            if not gone[one]:
                gone[one + 1 :] |= repeated[one + 1 - start :]
    return order[~gone]


def level_of(boxes: np.ndarray) -> np.ndarray:
    """Level of the pyramid, 0 the finest, from which each region is read, shape (n,).

    floor(2 + log2(sqrt(area) / canonical side)): a region twice as large is read one level
    coarser, so that about as many cells lie under every region. A canonical side that does not fit
    the sizes that occur sends all regions to one end of the pyramid.
    """
    side = np.sqrt(np.maximum(area(np.asarray(boxes, float)), 1e-6))
    level = np.floor(CANONICAL_LEVEL + np.log2(side / CANONICAL_SIDE))
    return np.clip(level, 0, len(STRIDES) - 1).astype(int)


@dataclass(frozen=True)
class Settings:
    """How many candidates pass from one step to the next, and what counts as the same particle.

    Attributes
    ----------
    per_level : int
        Best proposals of each level that are considered.
    proposal_overlap : float
        Intersection over union above which a proposal repeats a better one of its level.
    proposals : int
        Best proposals of all levels that are judged.
    smallest_side : float
        Boxes with a shorter side are dropped, pixels.
    lowest_score : float
        Score of a class below which a box is dropped.
    box_overlap : float
        Intersection over union above which a box repeats a better one of its class; loose,
        because wires side by side in a bundle share most of their boxes.
    detections : int
        Best boxes that get a mask.
    batch : int
        Masks drawn at a time.
    inside : float
        Probability above which a pixel belongs to a mask.
    smallest_mask : int
        Masks with fewer pixels are dropped.
    mask_overlap : float
        Intersection over union above which a mask repeats a better one of either class.
    """

    per_level: int = 1000
    proposal_overlap: float = 0.8
    proposals: int = 500
    smallest_side: float = 1.5
    lowest_score: float = 0.05
    box_overlap: float = 0.85
    detections: int = 300
    batch: int = 64
    inside: float = 0.5
    smallest_mask: int = 8
    mask_overlap: float = 0.6


def best_proposals(
    objectness: np.ndarray,
    deltas: np.ndarray,
    padded: tuple[int, int],
    shape: tuple[int, int],
    settings: Settings,
) -> np.ndarray:
    """Boxes that may hold a particle, best first, shape (n, 4).

    Parameters
    ----------
    objectness, deltas : ndarray, shapes (anchors,) and (anchors, 4)
        Logits and corrections of the anchors of all levels, finest first.
    padded, shape : tuple of int
        Rows and columns that the network saw, and those of the tile, to which boxes are cut.
    settings : Settings
    """
    boxes, logits, start = [], [], 0
    for level, stride in enumerate(STRIDES):
        prior = anchors(level, padded[0] // stride, padded[1] // stride)
        best = np.argsort(-objectness[start : start + len(prior)], kind="stable")
        best = best[: settings.per_level]
        found = clip(decode(deltas[start + best], prior[best], PROPOSAL_WEIGHTS), shape)
        logit = objectness[start + best]
        large = shortest_side(found) >= settings.smallest_side
        found, logit = found[large], logit[large]
        kept = nms(found, logit, settings.proposal_overlap)
        boxes.append(found[kept])
        logits.append(logit[kept])
        start += len(prior)
    order = np.argsort(-np.concatenate(logits), kind="stable")[: settings.proposals]
    return np.concatenate(boxes)[order]


def best_boxes(
    scores: np.ndarray,
    corrections: np.ndarray,
    proposals: np.ndarray,
    shape: tuple[int, int],
    settings: Settings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes with a class, best first.

    Every class is a question of its own: one proposal can give a box of each.

    Parameters
    ----------
    scores, corrections : ndarray, shapes (n, classes) and (n, classes, 4)
        Logits and corrections of each proposal.
    proposals : ndarray, shape (n, 4)
    shape : tuple of int
        Rows and columns to which boxes are cut.
    settings : Settings

    Returns
    -------
    boxes, classes, scores : ndarray, shapes (m, 4), (m,) and (m,)
    """
    chances = expit(scores)
    boxes, classes, kept_scores = [], [], []
    for one in range(len(CLASSES)):
        found = clip(decode(corrections[:, one], proposals, BOX_WEIGHTS), shape)
        likely = chances[:, one] > settings.lowest_score
        likely &= shortest_side(found) >= settings.smallest_side
        found, chance = found[likely], chances[likely, one]
        kept = nms(found, chance, settings.box_overlap)
        boxes.append(found[kept])
        classes.append(np.full(len(kept), one))
        kept_scores.append(chance[kept])
    joined = np.concatenate(kept_scores)
    order = np.argsort(-joined, kind="stable")[: settings.detections]
    return np.concatenate(boxes)[order], np.concatenate(classes)[order], joined[order]
