"""The clustered route on the paper's twin: thickness gradient, noise and -0.4 eV."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from chemoscape import simulate
from chemoscape.decompose.combinations.matching import library_from_clusters, match
from chemoscape.decompose.factors.averages import mean_spectra
from chemoscape.decompose.factors.clusters import cluster, merge_clusters
from chemoscape.decompose.factors.components import principal_components
from chemoscape.errors import ChemoscapeWarning, FitError
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


def test_centred_components_group_by_shape_too(twin_density, twin):
    groups = cluster(twin_density, principal_components(twin_density, centred=True))
    assert groups.sizes["cluster"] == 3
    both = (groups.label.values >= 0) & (twin.labels.values >= 0)
    label, truth = groups.label.values[both], twin.labels.values[both]
    assert sum(np.bincount(truth[label == k]).max() for k in range(3)) / both.sum() >= 0.99


def test_thickness_is_not_a_shape(twin_density, pcs, groups):
    """Each pixel's density times its own factor: the same clusters."""
    factor = np.random.default_rng(0).uniform(0.7, 1.4, twin_density["optical_density"].shape[1:])
    scaled = pcs.assign(score=pcs["score"] * factor)
    again = cluster(twin_density, scaled)
    both = (groups.label.values >= 0) & (again.label.values >= 0)
    np.testing.assert_array_equal(again.label.values[both], groups.label.values[both])
    assert both.sum() >= 0.97 * (groups.label.values >= 0).sum()


def test_an_error_of_i0_makes_no_clusters(twin_density, twin):
    wrong = 0.02 * np.random.default_rng(1).normal(size=(149, 1, 1)).astype("f4")
    density = twin_density["optical_density"]
    od = twin_density.assign(optical_density=(density + wrong).assign_attrs(density.attrs))
    with pytest.warns(ChemoscapeWarning, match="I0"):
        pcs = principal_components(od)
    groups = cluster(od, pcs)
    assert groups.attrs["n_components"] == 2
    assert groups.sizes["cluster"] == 3


def test_standard_errors_are_the_scatter_over_seeds(density_of):
    spectra, errors = [], []
    for seed in range(24):
        truth = simulate.core_shell(shape=(40, 50), od_noise=0.02, seed=seed)
        density = density_of(truth)["optical_density"].values.reshape(149, -1)
        spectrum, error = mean_spectra(density, truth.labels.values.ravel(), 3)
        spectra.append(spectrum)
        errors.append(error)
    scatter = np.sqrt(np.var(spectra, axis=0, ddof=1).mean(axis=1))
    stated = np.sqrt(np.square(errors).mean(axis=(0, 2)))
    np.testing.assert_allclose(stated / scatter, 1.0, atol=0.05)


def test_missing_energies_do_not_draw_a_mean_aside():
    """Thin pixels lack half of the energies: the mean of the rest would be too thick."""
    rng = np.random.default_rng(0)
    shape, thickness = rng.uniform(0.5, 1.5, 30), rng.uniform(0.2, 1.0, 400)
    flat = np.outer(shape, thickness) + 1e-3 * rng.normal(size=(30, 400))
    whole = mean_spectra(flat, np.zeros(400, dtype=int), 1)[0][0]
    np.testing.assert_allclose(whole, flat.mean(axis=1), rtol=1e-12)
    holed = flat.copy()
    holed[::2, thickness < 0.5] = np.nan
    holed[7] = np.nan
    spectrum, error = mean_spectra(holed, np.zeros(400, dtype=int), 1)
    seen = np.arange(30) != 7
    np.testing.assert_allclose(spectrum[0][seen], whole[seen], rtol=2e-3)
    assert np.isnan(spectrum[0][7])
    assert np.isnan(error[0][7])
    assert (error[0][seen] > 0).all()


def test_the_size_of_a_band_changes_no_spectrum(monkeypatch, twin_density, groups):
    flat = twin_density["optical_density"].values.reshape(149, -1)
    label = groups["label"].values.ravel()
    one = mean_spectra(flat, label, 3)
    monkeypatch.setattr("chemoscape.decompose.factors.averages.BAND", 101)
    for a, b in zip(one, mean_spectra(flat, label, 3), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_degenerate_samples(twin_density):
    density = twin_density["optical_density"]
    flat = xr.ones_like(density).assign_attrs(density.attrs)
    everywhere = density[0] > -np.inf
    with pytest.raises(FitError, match="no spectrum of the sample changes with energy"):
        cluster(flat, principal_components(flat, mask=everywhere))
    few = everywhere & False
    few.values[45, 58:61] = True
    pcs = principal_components(twin_density, mask=few)
    with pytest.warns(ChemoscapeWarning, match="pixels: its spectrum is noisy"):
        assert 1 <= cluster(twin_density, pcs).sizes["cluster"] <= 2
    with pytest.raises(FitError, match="4 clusters cannot be made of 3"):
        cluster(twin_density, pcs, n_clusters=4)
    equal = density[:, 45:46, 60:61].values * np.linspace(1, 2, 4)[:, None]
    same = density.isel(y=slice(0, 4), x=slice(0, 5)).copy(
        data=np.broadcast_to(equal.astype("f4"), (149, 4, 5))
    )
    pcs = principal_components(same, mask=same[0] > -np.inf)
    with (
        pytest.warns(ChemoscapeWarning, match="distinct spectra"),
        pytest.warns(ChemoscapeWarning, match="smallest cluster"),
    ):
        groups = cluster(same, pcs, n_clusters=6)
    assert groups["size"].values.min() > 0
    assert np.isfinite(groups.attrs["silhouette"])


def test_components_of_another_image_are_refused(twin_density, pcs):
    with pytest.raises(FitError, match="compute them from this stack"):
        cluster(twin_density.isel(x=slice(0, 50)), pcs)
