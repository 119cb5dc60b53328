"""Hand work on clusters: cut their tree into fewer, split one of them into more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr

from chemoscape import stack as stacks
from chemoscape.decompose.factors.clusters import regroup
from chemoscape.decompose.factors.relabel import cut_labels, split_labels


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
    labels = groups["label"].values.ravel().astype(int)
    cut = cut_labels(labels, groups["linkage"].values, into=into, distance=distance)
    return regroup(od, groups, cut)


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
    labels = groups["label"].values.ravel().astype(int)
    features = groups["feature"].values.reshape(groups.sizes["feature_axis"], -1)
    return regroup(od, groups, split_labels(labels, features, split, seed))


def _check(od: xr.Dataset | xr.DataArray) -> None:
    """Refuse what is not an optical density."""
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    stacks.check(density, "optical_density", lazy=True)
