"""Clusters cut along their tree, and split by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from chemoscape.decompose.factors.clusters import cluster, merge_clusters
from chemoscape.decompose.factors.components import principal_components
from chemoscape.decompose.factors.tree import cut_clusters, split_clusters
from chemoscape.errors import ChemoscapeWarning, FitError


@pytest.fixture(scope="module")
def ten(twin_density):
    return cluster(twin_density, principal_components(twin_density), n_clusters=10)


def right(groups, twin) -> float:
    """Share of clustered pixels that are with the phase that most of their cluster are."""
    both = (groups.label.values >= 0) & (twin.labels.values >= 0)
    label, truth = groups.label.values[both], twin.labels.values[both]
    hits = sum(np.bincount(truth[label == k]).max() for k in range(groups.sizes["cluster"]))
    return float(hits / both.sum())


def test_ten_clusters_are_cut_into_the_right_three(twin_density, twin, ten):
    three = cut_clusters(twin_density, ten, into=3)
    assert three.sizes["cluster"] == 3
    assert right(three, twin) >= 0.99
    assert three["size"].values.tolist() == sorted(three["size"].values, reverse=True)
    assert (three.label.values >= 0).sum() == (ten.label.values >= 0).sum()
    moved = three["from_cluster"].values
    np.testing.assert_array_equal(moved.sum(axis=0), three["size"])
    np.testing.assert_array_equal(moved.sum(axis=1), ten["size"])
    assert ((moved > 0).sum(axis=1) == 1).all()  # each went whole into one
    density = twin_density["optical_density"].values
    for k in range(3):
        own = density[:, three.label.values == k].astype(float)
        np.testing.assert_allclose(three.spectrum[k], own.mean(axis=1), rtol=1e-9)


def test_a_cut_at_a_distance_is_the_same_cut(twin_density, ten):
    heights = np.sort(ten["linkage"].values[:, 2])
    between = float(heights[-3:-1].mean())
    one = cut_clusters(twin_density, ten, into=3)
    other = cut_clusters(twin_density, ten, distance=between)
    np.testing.assert_array_equal(one.label, other.label)
    assert cut_clusters(twin_density, ten, distance=2 * heights[-1]).sizes["cluster"] == 1
    np.testing.assert_array_equal(cut_clusters(twin_density, ten, distance=0.0).label, ten.label)


def test_what_is_split_can_be_merged_again(twin_density, ten):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the smallest cluster", ChemoscapeWarning)
        split = split_clusters(twin_density, ten, [{"cluster": 2, "into": 3}], seed=1)
    assert split.sizes["cluster"] == 12
    parts = np.flatnonzero(split["from_cluster"].values[2])
    assert len(parts) == 3
    # all others are the same pixels under another number
    for old in set(range(10)) - {2}:
        new = np.flatnonzero(split["from_cluster"].values[old])
        assert len(new) == 1
        np.testing.assert_array_equal(split.label == new[0], ten.label == old)
    merged = merge_clusters(twin_density, split, [parts.tolist()])
    np.testing.assert_array_equal(merged.label, ten.label)
    np.testing.assert_allclose(merged.spectrum, ten.spectrum)
    np.testing.assert_allclose(merged["linkage"], ten["linkage"])


def test_a_split_finds_the_phases_that_were_merged(twin_density, twin, ten):
    three = cut_clusters(twin_density, ten, into=3)
    two = merge_clusters(twin_density, three, [[1, 2]])
    number = int(np.argmax((two["from_cluster"].values > 0).sum(axis=0)))
    again = split_clusters(twin_density, two, [{"cluster": number, "into": 2}])
    assert again.sizes["cluster"] == 3
    assert right(again, twin) >= 0.99
    np.testing.assert_array_equal(
        split_clusters(twin_density, two, [{"cluster": number, "into": 2}]).label, again.label
    )


def test_one_cluster_has_no_tree_to_cut(twin_density):
    one = cluster(twin_density, principal_components(twin_density), n_clusters=1)
    assert cut_clusters(twin_density, one, into=1).sizes["cluster"] == 1
    with pytest.raises(FitError, match="1 clusters cannot be cut into 2"):
        cut_clusters(twin_density, one, into=2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "a number of them or at a distance"),
        ({"into": 3, "distance": 0.1}, "a number of them or at a distance"),
        ({"into": 11}, "cannot be cut into 11"),
        ({"into": 0}, "cannot be cut into 0"),
        ({"distance": -1.0}, "distance of -1"),
        ({"distance": float("nan")}, "distance of nan"),
    ],
)
def test_impossible_cuts_are_refused(twin_density, ten, asked, message):
    with pytest.raises(FitError, match=message):
        cut_clusters(twin_density, ten, **asked)


@pytest.mark.parametrize(
    "split",
    [
        [{"cluster": 10, "into": 2}],
        [{"cluster": 1, "into": 1}],
        [{"cluster": 1, "into": 2}, {"cluster": 1, "into": 2}],
        [{"cluster": 9, "into": 10_000}],
        [{"number": 1, "into": 2}],
    ],
)
def test_impossible_splits_are_refused(twin_density, ten, split):
    with pytest.raises(FitError, match="split"):
        split_clusters(twin_density, ten, split)


def test_clusters_of_another_stack_are_refused(twin_density, ten):
    part = twin_density.isel(x=slice(10, 50))
    with pytest.raises(FitError, match="cluster this stack first"):
        cut_clusters(part, ten, into=3)
