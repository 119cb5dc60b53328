"""Hand work on clusters: cut their tree into fewer, split one of them into more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from scipy.cluster.hierarchy import fcluster

from chemoscape import stack as stacks
from chemoscape.decompose.factors.clusters import regroup
from chemoscape.decompose.factors.k_means import k_means_labels
from chemoscape.errors import FitError


def cut_clusters(
    od: xr.Dataset | xr.DataArray,
    groups: xr.Dataset,
    *,
    into: int | None = None,
    distance: float | None = None,
) -> xr.Dataset:
    """Join clusters along their tree: ask for too many first, then cut the dendrogram.

    Over-clustering keeps small phases apart that fewer clusters would lose; the tree (Ward's
    linkage of the clusters' centres) then says which of them are alike.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
        What `groups` were made of.
    groups : Dataset of `cluster`
    into : int, optional
        Number of clusters wanted.
    distance : float, optional
        Height of the cut: clusters that join below it become one. Give this or `into`.

    Returns
    -------
    Dataset
        As `cluster` returns it, numbered by falling size, and ``from_cluster(before, cluster)``:
        how many pixels of each cluster before are in which now.

    Raises
    ------
    FitError
        Neither or both of `into` and `distance`, or a number that the tree does not have.
    """
    _check(od)
    n = groups.sizes["cluster"]
    if (into is None) == (distance is None):
        raise FitError(
            "a tree of clusters is cut into a number of them or at a distance",
            remedy="give either into or distance",
        )
    if into is not None and not 1 <= into <= n:
        raise FitError(f"{n} clusters cannot be cut into {into}", remedy=f"give a number, 1 to {n}")
    if distance is not None and not 0 <= distance < np.inf:
        raise FitError(f"a cut at a distance of {distance:g}", remedy="give a height of the tree")
    tree = groups["linkage"].values
    if n == 1:
        joined = np.zeros(1, dtype=int)
    elif into is not None:
        joined = fcluster(tree, into, criterion="maxclust")
    else:
        joined = fcluster(tree, distance, criterion="distance")
    label = groups["label"].values.ravel().astype(int)
    return regroup(od, groups, np.where(label >= 0, joined[label], -1))


def split_clusters(
    od: xr.Dataset | xr.DataArray,
    groups: xr.Dataset,
    split: Sequence[Mapping[str, int]],
    *,
    seed: int = 0,
) -> xr.Dataset:
    """Split clusters by hand: ``[{"cluster": 1, "into": 2}]`` groups the pixels of cluster 1 again.

    k-means within the cluster, on the features that all clusters were made with.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
        What `groups` were made of.
    groups : Dataset of `cluster`
    split : sequence of mapping
        Of ``cluster``, a number, and ``into``, 2 or more.
    seed : int
        For the starts of k-means.

    Returns
    -------
    Dataset
        As of `cut_clusters`.

    Raises
    ------
    FitError
        A number is not a cluster, or appears twice; a cluster has too few different pixels.
    """
    _check(od)
    n = groups.sizes["cluster"]
    wanted = _numbers(split, n)
    label = groups["label"].values.ravel().astype(int)
    features = groups["feature"].values.reshape(groups.sizes["feature_axis"], -1).T
    new, following = label.copy(), n
    for number, into in wanted.items():
        members = np.flatnonzero(label == number)
        if into > len(members):
            raise FitError(
                f"cluster {number} has {len(members)} pixels and cannot be split into {into}",
                remedy="correct [clusters] split",
            )
        part = k_means_labels(features[members], into, seed)
        if part.max() + 1 < into:
            raise FitError(
                f"the pixels of cluster {number} have only {part.max() + 1} distinct spectra and "
                f"cannot be split into {into}",
                remedy="correct [clusters] split",
            )
        new[members[part > 0]] = following + part[part > 0] - 1
        following += into - 1
    return regroup(od, groups, new)


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


def _check(od: xr.Dataset | xr.DataArray) -> None:
    """Refuse what is not an optical density."""
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    stacks.check(density, "optical_density", lazy=True)
