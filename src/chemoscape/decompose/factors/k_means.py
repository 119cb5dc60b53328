"""k-means of many pixels: starts on some of them, ends on all."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from chemoscape.decompose.factors.pixels import evenly

#: Silhouettes are quadratic in pixels: this many, drawn at random, are enough to 0.02.
SILHOUETTE_PIXELS = 2000
#: Pixels that k-means searches its centres with, spread evenly; all of them only refine the best.
START_PIXELS = 20_000
STARTS = 10
MOST_CLUSTERS = 8


def k_means(features: np.ndarray, n_clusters: int | str, seed: int) -> tuple[np.ndarray, float]:
    """Labels and silhouette for a number of clusters, or for that with the best silhouette ("auto",
    2 to 8), as the pixels that k-means starts with have it.
    """
    number = _best_number(features, seed) if n_clusters == "auto" else int(n_clusters)
    labels = k_means_labels(features, number, seed)
    return labels, silhouette(features, labels, seed)


def _best_number(features: np.ndarray, seed: int) -> int:
    """Number of clusters of the best silhouette."""
    some = features[evenly(len(features), START_PIXELS)]
    judged = _Judged(some, seed)
    best, highest = 1, -np.inf
    for number in range(2, min(MOST_CLUSTERS, len(some) - 1) + 1):
        labels = k_means_labels(some, number, seed)
        value = judged.silhouette(labels)
        if value > highest:
            best, highest = number, value
        if labels.max() + 1 < number:
            break  # there are no more distinct pixels
    return best


def k_means_labels(features: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Labels (pixel) 0, 1 … of k-means on features (pixel, axis); fewer where pixels are equal.

    The best of ten starts (k-means++) on at most `START_PIXELS`, spread evenly, is where the
    iterations on all pixels begin: they then move the borders between clusters by what the others
    say, and are few.
    """
    chosen = evenly(len(features), START_PIXELS)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct pixels: told above
        fit = KMeans(number, n_init=STARTS, random_state=seed).fit(features[chosen])
        if not chosen.all():
            init = fit.cluster_centers_
            fit = KMeans(number, init=init, n_init=1, random_state=seed).fit(features)
    return np.asarray(np.unique(fit.labels_, return_inverse=True)[1])


def silhouette(features: np.ndarray, labels: np.ndarray, seed: int) -> float:
    """Mean silhouette of a random sample of pixels; 0 for a single cluster."""
    return _Judged(features, seed).silhouette(labels)


class _Judged:
    """Some pixels, drawn at random, and their distances, which any labels are judged by."""

    def __init__(self, features: np.ndarray, seed: int) -> None:
        drawn = np.random.default_rng(seed).permutation(len(features))
        self.chosen = drawn[:SILHOUETTE_PIXELS]
        self.distance = cdist(features[self.chosen], features[self.chosen])

    def silhouette(self, labels: np.ndarray) -> float:
        """Mean of ``(b - a) / max(a, b)``, a the mean distance to the others of a pixel's own
        cluster and b that to the nearest other one; 0 in a cluster of its own (Rousseeuw 1987).
        """
        own = np.unique(labels[self.chosen], return_inverse=True)[1]
        n = own.max() + 1
        if not 2 <= n < len(labels):
            return 0.0
        member = own[:, None] == np.arange(n)
        size = member.sum(axis=0)
        summed = self.distance @ member.astype(np.float64)
        within = summed[member] / np.maximum(size[own] - 1, 1)
        nearest = np.where(member, np.inf, summed / size).min(axis=1)
        largest = np.maximum(within, nearest)
        apart = np.where(largest > 0, (nearest - within) / np.where(largest > 0, largest, 1), 0)
        return float(np.where(size[own] > 1, apart, 0).mean())
