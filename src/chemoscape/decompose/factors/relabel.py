"""Which pixel belongs to which cluster after hand work on them: cut, split, merge, numbers anew.

Only labels: spectra are averaged by `clusters.regroup`, once the labels are right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster

from chemoscape.decompose.factors.k_means import k_means_labels
from chemoscape.errors import FitError


def by_falling_size(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clusters numbered by falling size.

    Parameters
    ----------
    labels : ndarray of int, shape (n_pixels,)
        Any numbers; below 0 where not clustered.

    Returns
    -------
    labels : ndarray of int, shape (n_pixels,)
        0 for the largest cluster, 1 …; -1 where not clustered.
    order : ndarray of int, shape (n_clusters,)
        Places of the clusters, largest first, among the numbers that occurred, in rising order.

    Examples
    --------
    >>> by_falling_size(np.array([7, -1, 4, 7]))[0].tolist()
    [0, -1, 1, 0]
    """
    inside = labels >= 0
    counts = np.bincount(labels[inside])
    present = np.flatnonzero(counts)
    order = np.argsort(-counts[present], kind="stable")
    number = np.full(counts.size, -1)
    number[present[order]] = np.arange(order.size)
    numbered = np.full(labels.shape, -1)
    numbered[inside] = number[labels[inside]]
    return numbered, order


def cut_labels(
    labels: np.ndarray,
    linkage: np.ndarray,
    *,
    into: int | None = None,
    distance: float | None = None,
) -> np.ndarray:
    """Labels (n_pixels,) of clusters joined along their tree, in any numbers.

    Parameters
    ----------
    labels : ndarray of int, shape (n_pixels,)
        Clusters 0 to n - 1; -1 where not clustered.
    linkage : ndarray, shape (n - 1, 4)
        Their tree, as scipy gives it.
    into, distance : int, float, optional
        Number of clusters wanted, or the height of the cut; one of them.

    Raises
    ------
    FitError
        Neither or both are given, or a number that the tree does not have.
    """
    n = len(linkage) + 1
    if (into is None) == (distance is None):
        raise FitError(
            "a tree of clusters is cut into a number of them or at a distance",
            remedy="give either into or distance",
        )
    if into is not None and not 1 <= into <= n:
        raise FitError(f"{n} clusters cannot be cut into {into}", remedy=f"give a number, 1 to {n}")
    if distance is not None and not 0 <= distance < np.inf:
        raise FitError(f"a cut at a distance of {distance:g}", remedy="give a height of the tree")
    if n == 1:
        joined = np.zeros(1, dtype=int)
    elif into is not None:
        joined = fcluster(linkage, into, criterion="maxclust")
    else:
        joined = fcluster(linkage, distance, criterion="distance")
    return np.where(labels >= 0, joined[labels], -1)


def split_labels(
    labels: np.ndarray, features: np.ndarray, split: Sequence[Mapping[str, int]], seed: int
) -> np.ndarray:
    """Labels (n_pixels,) of clusters split by k-means on the features they were made with.

    Parameters
    ----------
    labels : ndarray of int, shape (n_pixels,)
        Clusters 0 to n - 1; below 0 where not clustered.
    features : ndarray, shape (axis, n_pixels)
        The variable ``feature`` of `cluster`.
    split : sequence of mapping
        Of ``cluster``, a number, and ``into``, 2 or more. Its first part keeps the number, the
        others follow on n - 1.
    seed : int
        For the starts of k-means.

    Raises
    ------
    FitError
        A number is not a cluster, or appears twice; a cluster has too few different pixels.
    """
    n = int(labels.max(initial=-1)) + 1
    new, following = labels.copy(), n
    for number, into in _numbers(split, n).items():
        members = np.flatnonzero(labels == number)
        if into > len(members):
            raise FitError(
                f"cluster {number} has {len(members)} pixels and cannot be split into {into}",
                remedy="correct [clusters] split",
            )
        part = k_means_labels(features.T[members], into, seed)
        if part.max() + 1 < into:
            raise FitError(
                f"the pixels of cluster {number} have only {part.max() + 1} distinct spectra and "
                f"cannot be split into {into}",
                remedy="correct [clusters] split",
            )
        new[members[part > 0]] = following + part[part > 0] - 1
        following += into - 1
    return new


def merged_labels(labels: np.ndarray, merge: Sequence[Sequence[int]]) -> np.ndarray:
    """Labels (n_pixels,) of clusters joined by hand, each group under its lowest number.

    Raises
    ------
    FitError
        A number is not a cluster, or appears twice.
    """
    n = int(labels.max(initial=-1)) + 1
    named = [number for group in merge for number in group]
    if len(set(named)) != len(named) or not set(named) <= set(range(n)):
        raise FitError(
            f"cannot merge {[list(group) for group in merge]}: the clusters are 0 to {n - 1}, "
            "each once",
            remedy="correct [clusters] merge",
        )
    joined = np.arange(n)
    for group in merge:
        joined[list(group)] = min(group)
    return np.where(labels >= 0, joined[labels], -1) if n else labels


def _numbers(split: Sequence[Mapping[str, int]], n: int) -> dict[int, int]:
    """Cluster -> number of parts, each cluster known and named once."""
    wanted: dict[int, int] = {}
    for entry in split:
        if set(entry) != {"cluster", "into"}:
            raise FitError(
                f"cannot split {dict(entry)}", remedy="give {cluster = …, into = …} for each"
            )
        number, into = int(entry["cluster"]), int(entry["into"])
        if not 0 <= number < n or number in wanted or into < 2:
            raise FitError(
                f"cannot split cluster {number} into {into}: the clusters are 0 to {n - 1}, each "
                "once, into 2 or more",
                remedy="correct [clusters] split",
            )
        wanted[number] = into
    return wanted
