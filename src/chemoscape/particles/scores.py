"""How well particles were found, where the truth is known.

Every number comes from a list of (found, truth) pairs, one per image. Particles of all images are
pooled before a ratio is taken, so that an image with one particle does not weigh as much as one
with thirty.

What has no answer is NaN, never a flattering 0 or 1: recall and average precision without a true
particle, precision without a found one, F1 and panoptic quality without either, errors of area
without a pair. `Scores.to_dict` gives None in their place, as JSON has no NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import optimize, stats

from chemoscape.errors import RecipeError, StackError
from chemoscape.particles.masks import Instances, intersection_over_union

#: Thresholds of intersection over union that COCO averages over.
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
#: Recalls at which COCO reads the curve of precision.
RECALL_POINTS = np.linspace(0, 1, 101)
#: Bins of true area, µm²: each twice as wide as the one before.
AREA_EDGES_UM2 = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, math.inf)
#: Normal quantile of a two-sided interval of 95 %.
Z95 = float(stats.norm.ppf(0.975))

Pair = tuple[Instances, Instances]


@dataclass(frozen=True)
class SizeBin:
    """True particles of like area, and how many of them were found.

    Attributes
    ----------
    low_um2, high_um2 : float
        Edges, µm²; the lower one belongs to the bin.
    typical_um2 : float
        Median area of the true particles in the bin, µm².
    n_true, n_matched : int
        How many there are, and how many of them were found.
    """

    low_um2: float
    high_um2: float
    typical_um2: float
    n_true: int
    n_matched: int

    @property
    def recall(self) -> float:
        """Share that was found."""
        return _ratio(self.n_matched, self.n_true)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval of the recall, 95 %; 0 to 1 where the bin is empty."""
        return wilson(self.n_matched, self.n_true)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, None where there is none (or where the bin has no end)."""
        low, high = self.interval
        named = {**asdict(self), "recall": self.recall, "recall_low": low, "recall_high": high}
        return {name: _plain(value) for name, value in named.items()}


@dataclass(frozen=True)
class Scores:
    """Agreement of found particles with true ones, over a set of images.

    Attributes
    ----------
    n_images, n_true : int
        Images, and true particles on them.
    threshold : float
        Least score of a particle that counts as found; all but the average precisions use it.
    n_found, n_matched : int
        Particles found, and those of them that belong to a true one (see `match`).
    ap, ap50, ap75 : float
        COCO's average precision: mean over thresholds of intersection over union from 0.50 to 0.95,
        and at 0.50 and 0.75 alone. It rewards a good order of scores, so it says little about a
        method that gives all its particles the same one.
    sq : float
        Segmentation quality: mean intersection over union of the pairs.
    area_error, area_error_spread : float
        Of area_found / area_true - 1 over the pairs: median, and half the distance between the 16th
        and the 84th percentile (the standard deviation, were it normal).
    size_distance : float
        Wasserstein-1 distance between the distributions of log area of all found and all true
        particles: 0.1 is as far as sizes that all differ by 10 %.
    by_size : tuple of SizeBin
        Recall against true area.
    """

    n_images: int
    n_true: int
    threshold: float
    n_found: int
    n_matched: int
    ap: float
    ap50: float
    ap75: float
    sq: float
    area_error: float
    area_error_spread: float
    size_distance: float
    by_size: tuple[SizeBin, ...]

    @property
    def precision(self) -> float:
        """Share of the found particles that belong to a true one."""
        return _ratio(self.n_matched, self.n_found)

    @property
    def recall(self) -> float:
        """Share of the true particles that were found."""
        return _ratio(self.n_matched, self.n_true)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where nothing matches."""
        return _ratio(2 * self.n_matched, self.n_found + self.n_true)

    @property
    def rq(self) -> float:
        """Recognition quality of the panoptic quality, which is F1 by another name."""
        return self.f1

    @property
    def pq(self) -> float:
        """Panoptic quality, SQ × RQ (Kirillov et al. 2019); 0 where nothing matches."""
        return self.sq * self.rq if self.n_matched else self.rq

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, None where there is none, for JSON."""
        named = {name: _plain(getattr(self, name)) for name in NUMBERS}
        return {**named, "by_size": [one.to_dict() for one in self.by_size]}

    def __str__(self) -> str:
        counts = f"{self.n_images} images, {self.n_true} particles"
        lines = [
            f"{counts}; {self.n_found} found with a score of {self.threshold:g} or more",
            f"AP  {_n(self.ap)}   AP50 {_n(self.ap50)}   AP75 {_n(self.ap75)}",
            f"PQ  {_n(self.pq)}   SQ   {_n(self.sq)}   RQ   {_n(self.rq)}",
            f"F1  {_n(self.f1)}   precision {_n(self.precision)}   recall {_n(self.recall)}",
            f"area {_percent(self.area_error)}, spread {_percent(self.area_error_spread, '')}; "
            f"size distributions {_n(self.size_distance).strip()} apart in log area",
        ]
        for one in self.by_size:
            if one.n_true:
                low, high = one.interval
                lines.append(
                    f"recall from {one.low_um2:4.2g} to {one.high_um2:4.2g} µm²  {_n(one.recall)}  "
                    f"({low:.2f} to {high:.2f}, n = {one.n_true})"
                )
        return "\n".join(lines)


#: What `Scores.to_dict` holds beside ``by_size``, in its order.
NUMBERS = (
    *("n_images", "n_true", "threshold", "n_found", "n_matched", "ap", "ap50", "ap75", "pq", "sq"),
    *("rq", "precision", "recall", "f1", "area_error", "area_error_spread", "size_distance"),
)


def score(
    pairs: Iterable[Pair],
    pixel_um: float | Sequence[float],
    threshold: float = 0.5,
    edges_um2: Sequence[float] = AREA_EDGES_UM2,
) -> Scores:
    """All scores of found particles against the true ones.

    Parameters
    ----------
    pairs : iterable of (found, truth)
        `Instances` of each image.
    pixel_um : float or sequence of float
        Pixel size, µm: of all images or of each.
    threshold : float
        Least score of a particle that counts as found.
    edges_um2 : sequence of float
        Ascending edges of the bins of true area, µm².

    Raises
    ------
    StackError
        Where found and true masks belong to images of unlike shapes.
    RecipeError
        Where there is not one pixel size for each image, or an edge does not ascend.
    """
    pairs = list(pairs)
    sizes = np.asarray(pixel_um, float)
    if sizes.ndim and len(sizes) != len(pairs):
        raise RecipeError(
            f"{len(sizes)} pixel sizes for {len(pairs)} images", remedy="give one, or one for each"
        )
    overlaps = _overlaps(pairs)
    curve = _average_precision([found.scores for found, _ in pairs], overlaps, IOU_THRESHOLDS)

    areas_found, areas_true, seen, shared, errors = [], [], [], [], []
    for (found, truth), overlap, pixel in zip(
        pairs, overlaps, np.broadcast_to(sizes, len(pairs)), strict=True
    ):
        counted = found.scores >= threshold
        rows, columns = _assign(overlap[counted])
        mine, its = found.areas[counted] * pixel**2, truth.areas * pixel**2
        areas_found.append(mine)
        areas_true.append(its)
        seen.append(np.isin(np.arange(len(truth)), columns))
        shared.append(overlap[counted][rows, columns])
        errors.append(mine[rows] / its[columns] - 1)

    error, spread = _middle_and_spread(_joined(errors))
    return Scores(
        n_images=len(pairs),
        n_true=len(_joined(areas_true)),
        threshold=float(threshold),
        n_found=len(_joined(areas_found)),
        n_matched=len(_joined(shared)),
        ap=float(curve.mean()),
        ap50=float(curve[0]),
        ap75=float(curve[5]),
        sq=float(_joined(shared).mean()) if len(_joined(shared)) else math.nan,
        area_error=error,
        area_error_spread=spread,
        size_distance=size_distance(_joined(areas_found), _joined(areas_true)),
        by_size=recall_by_size(_joined(areas_true), _joined(seen).astype(bool), edges_um2),
    )


def average_precision(
    pairs: Iterable[Pair], thresholds: Sequence[float] | np.ndarray = IOU_THRESHOLDS
) -> np.ndarray:
    """COCO's average precision at each threshold of intersection over union.

    Best scores first, each found particle takes the true one of its image that it overlaps best
    among those still free, if that overlap reaches the threshold; of equal overlaps the later one.
    Particles of all images are then ranked together (equal scores in the order of the images), and
    precision, made to fall with recall, is read at 101 recalls from 0 to 1 and averaged.

    Returns
    -------
    precision : ndarray, shape (thresholds,)
        0 where nothing was found, NaN where there is nothing to find.
    """
    pairs = list(pairs)
    found_scores = [found.scores for found, _ in pairs]
    return _average_precision(found_scores, _overlaps(pairs), np.asarray(thresholds, float))


def match(found: Instances, truth: Instances) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of found and true particles whose intersection over union exceeds one half.

    Masks that do not overlap each other can have only one such partner; whole masks of crossing
    wires may have several. Each particle then joins one pair, chosen so that the sum of all
    intersections over unions (and so the panoptic quality) is as large as it can be.

    Returns
    -------
    found, truth : ndarray of int
        Index of either partner.
    overlap : ndarray of float
        Their intersection over union.
    """
    ((overlap),) = _overlaps([(found, truth)])
    rows, columns = _assign(overlap)
    return rows, columns, overlap[rows, columns]


def size_distance(found: np.ndarray, truth: np.ndarray) -> float:
    """Wasserstein-1 distance between two sets of log areas; NaN where either is empty."""
    if not len(found) or not len(truth):
        return math.nan
    return float(stats.wasserstein_distance(np.log(found), np.log(truth)))


def recall_by_size(
    areas_um2: np.ndarray, seen: np.ndarray, edges_um2: Sequence[float] = AREA_EDGES_UM2
) -> tuple[SizeBin, ...]:
    """Recall of true particles in bins of their area.

    Parameters
    ----------
    areas_um2 : ndarray, shape (n,)
        Areas of true particles.
    seen : ndarray of bool, shape (n,)
        Which of them were found.
    edges_um2 : sequence of float
        Ascending; a particle beyond the first or the last is in no bin.
    """
    if np.any(np.diff(edges_um2) <= 0):
        raise RecipeError(f"edges of area {tuple(edges_um2)} do not ascend", remedy="sort them")
    bins = []
    for low, high in pairwise(edges_um2):
        inside = (areas_um2 >= low) & (areas_um2 < high)
        typical = float(np.median(areas_um2[inside])) if inside.any() else math.nan
        count = int(inside.sum()), int(seen[inside].sum())
        bins.append(SizeBin(float(low), float(high), typical, *count))
    return tuple(bins)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 %; 0 to 1 without a trial.

    Examples
    --------
    >>> print(*(f"{end:.3f}" for end in wilson(8, 10)))
    0.490 0.943
    """
    if not trials:
        return 0.0, 1.0
    share, weight = successes / trials, Z95**2 / trials
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def _overlaps(pairs: Sequence[Pair]) -> list[np.ndarray]:
    """Intersection over union of found (rows) and true (columns) particles of each image."""
    for number, (found, truth) in enumerate(pairs, start=1):
        if tuple(found.shape) != tuple(truth.shape):
            raise StackError(
                f"found on {found.shape} pixels, but the truth has {truth.shape}",
                f"image {number}",
                "find particles on the image that the truth belongs to",
            )
    return [intersection_over_union(found, truth) for found, truth in pairs]


def _average_precision(
    scores: Sequence[np.ndarray], overlaps: Sequence[np.ndarray], thresholds: np.ndarray
) -> np.ndarray:
    """Average precision at each threshold, from the scores and overlaps of each image."""
    n_true = sum(overlap.shape[1] for overlap in overlaps)
    if not n_true:
        return np.full(len(thresholds), math.nan)
    orders = [np.argsort(-one, kind="stable") for one in scores]
    ranked = [
        _greedy(overlap[one], thresholds) for overlap, one in zip(overlaps, orders, strict=True)
    ]
    confidence = _joined([one[order] for one, order in zip(scores, orders, strict=True)])
    if not len(confidence):
        return np.zeros(len(thresholds))
    true = np.hstack(ranked)[:, np.argsort(-confidence, kind="stable")].cumsum(1)
    precision = true / np.arange(1, true.shape[1] + 1)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = [np.searchsorted(one, RECALL_POINTS, side="left") for one in true / n_true]
    beyond = np.pad(precision, ((0, 0), (0, 1)))  # precision is 0 at a recall never reached
    return np.take_along_axis(beyond, np.array(reached), axis=1).mean(1)


def _greedy(overlap: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Which found particles, best first, take a true one: shape (thresholds, found)."""
    taken = np.zeros((len(thresholds), overlap.shape[1]), bool)
    hits = np.zeros((len(thresholds), len(overlap)), bool)
    if not overlap.size:
        return hits
    each = np.arange(len(thresholds))
    for one, row in enumerate(overlap[:, ::-1]):  # reversed: argmax finds the later of equals
        best = np.where(taken, -1.0, row).argmax(1)
        hits[:, one] = ~taken[each, best] & (row[best] >= thresholds)
        taken[each, best] |= hits[:, one]
    return hits


def _assign(overlap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pairs above one half with the largest sum."""
    worth = np.where(overlap > 0.5, overlap, 0.0)
    rows, columns = optimize.linear_sum_assignment(worth, maximize=True)
    kept = worth[rows, columns] > 0
    return rows[kept], columns[kept]


def _middle_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Median and half the distance from the 16th to the 84th percentile; NaN without values."""
    if not len(values):
        return math.nan, math.nan
    low, middle, high = np.percentile(values, [16, 50, 84])
    return float(middle), float((high - low) / 2)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _n(value: float) -> str:
    """A score to three places, a dash where there is none."""
    return f"{value:.3f}" if math.isfinite(value) else "  –  "


def _percent(value: float, sign: str = "+") -> str:
    return f"{100 * value:{sign}.1f} %" if math.isfinite(value) else "–"
