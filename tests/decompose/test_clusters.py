"""The clustered route on the paper's twin: thickness gradient, noise and -0.4 eV."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chemoscape import simulate
from chemoscape.decompose.clusters import cluster, merge_clusters
from chemoscape.decompose.components import principal_components
from chemoscape.decompose.matching import library_from_clusters, match
from chemoscape.errors import FitError
from chemoscape.standards.folder import open_library


@pytest.fixture(scope="module")
def pcs(twin_density):
    return principal_components(twin_density)


@pytest.fixture(scope="module")
def groups(twin_density, pcs):
    return cluster(twin_density, pcs)


@pytest.fixture(scope="module")
def table(groups):
    return match(groups, open_library("lixv2o5-model"))


def test_three_clusters_hold_the_right_pixels(groups, twin):
    assert groups.sizes["cluster"] == 3
    both = (groups.label.values >= 0) & (twin.labels.values >= 0)
    label, truth = groups.label.values[both], twin.labels.values[both]
    right = sum(np.bincount(truth[label == k]).max() for k in range(3))
    assert right / both.sum() >= 0.99
    assert both.sum() >= 0.95 * (twin.labels.values >= 0).sum()


def test_one_phase_is_one_cluster(density_of):
    library = open_library("lixv2o5-model")
    phase = library.select("epsilon-Li0.45V2O5").standards[0]
    twice = replace(library, standards=(phase, replace(phase, id="again")))
    od = density_of(simulate.core_shell(library=twice, core=phase.id, shell="again", poisson=True))
    groups = cluster(od, principal_components(od))
    assert groups.sizes["cluster"] == 1
    table = match(groups, library)
    np.testing.assert_allclose(table.composition, 0.45, atol=0.003)
    assert library_from_clusters(groups, table).names == ["cluster-0"]


def test_labels_fall_in_size(groups):
    counts = [int((groups.label == k).sum()) for k in groups.cluster.values]
    assert counts == sorted(counts, reverse=True) == groups["size"].values.tolist()


def test_same_seed_same_labels(twin_density, pcs, groups):
    np.testing.assert_array_equal(cluster(twin_density, pcs).label, groups.label)


def test_matched_compositions(table, groups, twin):
    truth = [float(twin.composition.values[groups.label.values == k].mean()) for k in range(3)]
    np.testing.assert_allclose(table.composition, truth, atol=0.005)
    assert table.attrs["energy_shift_eV"] == pytest.approx(-0.4, abs=0.005)
    assert (table.composition_sd > 0).all()
    mixture = int(np.argmin(np.abs(table.composition.values - 0.345)))
    assert table.candidate.values[mixture, 0] == "alpha-Li0.1V2O5 + epsilon-Li0.45V2O5"


def test_cluster_library_is_on_the_mass_scale(groups, table):
    """Divided by their areal mass, cluster spectra equal the standards they are made of."""
    own = library_from_clusters(groups, table)
    library = open_library("lixv2o5-model")
    assert own.mass_scale
    shell = int(np.argmin(table.composition.values))
    energy = groups.energy.values
    want = library.select("alpha-Li0.1V2O5").spectra(energy, shift=-0.4).values[0]
    np.testing.assert_allclose(own.standards[shell].spectrum, want, atol=0.01 * want.max())
    assert own.standards[shell].molar_mass == pytest.approx(library.molar_mass[1], rel=1e-3)


def test_merging_by_hand(twin_density, groups):
    merged = merge_clusters(twin_density, groups, [[0, 2]])
    assert merged.sizes["cluster"] == 2
    joined = np.isin(groups.label.values, [0, 2])
    assert len(np.unique(merged.label.values[joined])) == 1
    assert merged.attrs["silhouette"] < groups.attrs["silhouette"]


@pytest.mark.parametrize("merge", [[[0, 7]], [[0, 1], [1, 2]]])
def test_impossible_merges_are_refused(twin_density, groups, merge):
    with pytest.raises(FitError, match="cannot merge"):
        merge_clusters(twin_density, groups, merge)


def test_too_many_components_are_refused(twin_density, pcs):
    with pytest.raises(FitError, match="components"):
        cluster(twin_density, pcs, n_components=99)


def test_a_background_that_absorbs_alike_at_all_energies_does_not_matter(twin_density, twin):
    """Half of the particle lies on something thick without an edge of its own."""
    offset = 0.5 * (twin_density.x > twin_density.x.mean()) * (twin.labels >= 0)
    density = twin_density["optical_density"]
    lifted = twin_density.assign(
        optical_density=(density + offset.astype(np.float32)).assign_attrs(density.attrs)
    )
    groups = cluster(lifted, principal_components(lifted), n_clusters=3)
    both = (groups.label.values >= 0) & (twin.labels.values >= 0)
    label, truth = groups.label.values[both], twin.labels.values[both]
    right = sum(np.bincount(truth[label == k]).max() for k in range(3))
    assert right / both.sum() >= 0.99
