"""Spectra of particles against those they were made of, and the groups that these form."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import chemoscape as cs
from chemoscape.errors import ChemoscapeError
from chemoscape.particles.masks import Instances, from_dense
from chemoscape.particles.spectra import cluster_particles, particle_spectra
from chemoscape.particles.table import particle_table, take
from chemoscape.stack import build

NAMES = ["epsilon-Li0.3V2O5", "delta-Li0.9V2O5"]
ENERGY = np.linspace(512, 530, 24)
SIZE, PIXEL_UM, COUNTS = 60, 0.05, 4000.0
N = 10


@pytest.fixture(scope="module")
def standards():
    return cs.open_library("lixv2o5-model").select(*NAMES).spectra(ENERGY).values / 4e4


@pytest.fixture(scope="module")
def masks():
    """Ten bars beside each other, of different thickness and of two phases in turn."""
    held = np.zeros((N, SIZE, SIZE), bool)
    for one in range(N):
        held[one, 3 + 5 * one : 6 + 5 * one, 5 : 25 + 3 * one] = True
    return held


def thickness(one):
    return 0.2 + 0.04 * one


def stack_of(masks, standards, seed=0):
    clean = sum(
        thickness(one) * standards[one % 2][:, None, None] * mask for one, mask in enumerate(masks)
    )
    rng = np.random.default_rng(seed)
    axis = (np.arange(SIZE) + 0.5) * PIXEL_UM
    return build(rng.poisson(COUNTS * np.exp(-clean)), ENERGY, y=axis, x=axis, quantity="counts")


def density_of(masks, standards, seed=0):
    return cs.optical_density(
        stack_of(masks, standards, seed), cs.Region(x=(0.0, 0.2), y=(0.0, 3.0))
    )


def table_of(masks, pixel_um=PIXEL_UM):
    table = particle_table(from_dense(masks), np.ones(masks.shape[1:]), pixel_um)
    return take(table, np.argsort(table["centroid_y"].values))


@pytest.fixture(scope="module")
def od(masks, standards):
    return density_of(masks, standards)


@pytest.fixture(scope="module")
def spectra(masks, od):
    return particle_spectra(table_of(masks), od)


def test_spectra_and_errors_are_right(spectra, masks, standards):
    assert spectra["spectrum"].dims == ("particle", "energy")
    np.testing.assert_array_equal(spectra["pixels"], masks.sum(axis=(1, 2)))
    truth = np.array([thickness(one) * standards[one % 2] for one in range(N)])
    bias = 0.5 / (COUNTS * np.exp(-truth))  # of a logarithm of counts
    pull = (spectra["spectrum"].values - bias - truth) / spectra["spectrum_se"].values
    assert abs(pull.mean()) < 0.4  # I0 errs for all particles alike
    assert 0.8 < pull.std() < 1.2


def test_the_error_is_the_scatter_of_repeats(masks, standards):
    table = table_of(masks)
    many = [particle_spectra(table, density_of(masks, standards, seed)) for seed in range(1, 31)]
    scatter = np.std([one["spectrum"].values for one in many], axis=0, ddof=1)
    stated = np.mean([one["spectrum_se"].values for one in many], axis=0)
    assert np.sqrt((scatter**2).mean() / (stated**2).mean()) == pytest.approx(1, abs=0.06)


def test_noise_that_neighbours_share_does_not_average_out(od, masks, spectra):
    """An aligned stack states less variance per pixel, but its means are as uncertain as before."""
    gain = ("energy", np.full(ENERGY.size, 0.5))
    aligned = od.assign_coords(noise_gain=gain)
    shared = xr.DataArray(od["i0_variance"] / od["i0"] ** 2)
    aligned["variance"] = (od["variance"] - shared) * 0.5 + shared
    found = particle_spectra(table_of(masks), aligned)["spectrum_se"]
    np.testing.assert_allclose(found, spectra["spectrum_se"], rtol=1e-3)


def test_shared_and_missing_pixels_are_left_out_and_counted(masks, od, spectra):
    crossed = np.concatenate([masks, np.zeros_like(masks[:1])])
    crossed[-1, :, 10:12] = True
    broken = od.copy(deep=True)
    broken["optical_density"][5, 3:6, 20:22] = np.nan
    found = particle_spectra(table_of(crossed), broken)
    across = int(np.flatnonzero(found["pixels"].values == 2 * SIZE - 6 * N)[0])
    bars = np.delete(np.arange(N + 1), across)
    np.testing.assert_array_equal(found["pixels_shared"][bars], 6)
    assert found["pixels_shared"][across] == 6 * N
    np.testing.assert_array_equal(found["pixels_missing"][bars], [6, *[0] * (N - 1)])
    total = sum(found[name] for name in ("pixels", "pixels_shared", "pixels_missing"))
    np.testing.assert_array_equal(total[bars], masks.sum(axis=(1, 2)))
    np.testing.assert_allclose(found["spectrum"][bars], spectra["spectrum"], atol=0.05)


def test_a_particle_without_own_pixels_has_no_spectrum(masks, od):
    twice = np.concatenate([masks, masks[-1:, :, :]])
    found = particle_spectra(table_of(twice), od)
    assert (found["pixels"].values == 0).sum() == 2
    alone = found["pixels"].values > 0
    assert np.isnan(found["spectrum"].values[~alone]).all()
    assert np.isnan(found["spectrum_se"].values[~alone]).all()
    groups = cluster_particles(found, 2)
    assert (groups["label"].values[~alone] == -1).all()
    assert (groups["label"].values[alone] >= 0).all()
    assert groups["size"].sum() == alone.sum()


def test_masks_of_a_finer_or_coarser_grid(masks, od, spectra):
    fine = table_of(masks.repeat(2, axis=1).repeat(2, axis=2), PIXEL_UM / 2)
    found = particle_spectra(fine, od)
    np.testing.assert_array_equal(found["pixels"], spectra["pixels"])
    np.testing.assert_allclose(found["spectrum"], spectra["spectrum"])
    block = np.zeros((1, SIZE // 2, SIZE // 2), bool)
    block[0, 4:9, 6:10] = True
    found = particle_spectra(table_of(block, 2 * PIXEL_UM), od)
    assert found["pixels"].item() == 4 * 20
    expected = od["optical_density"][:, 8:18, 12:20].mean(("y", "x"))
    np.testing.assert_allclose(found["spectrum"][0], expected, rtol=1e-5)


@pytest.mark.parametrize("n_clusters", [2, "auto"])
def test_two_phases_are_told_apart_whatever_the_thickness(spectra, standards, n_clusters):
    groups = cluster_particles(spectra, n_clusters)
    label = groups["label"].values
    assert set(label) == {0, 1}
    assert len(set(label[::2])) == len(set(label[1::2])) == 1
    np.testing.assert_array_equal(groups["size"], [5, 5])
    for cluster in (0, 1):
        phase = standards[int(np.flatnonzero(label == cluster)[0]) % 2]
        residual = groups["spectrum"][cluster].values - phase / phase.mean()
        assert np.sqrt((residual**2).mean()) < 0.02
        pull = residual / groups["spectrum_se"][cluster].values
        assert np.sqrt((pull**2).mean()) < 2
    assert groups.attrs["silhouette"] > 0.8
    assert groups["score"].dims == ("particle", "pc")
    rebuilt = groups["score"].values @ groups["eigenspectrum"].values
    own = spectra["spectrum"] / spectra["spectrum"].mean("energy")
    np.testing.assert_allclose(rebuilt, own, atol=0.1)
    assert groups["share"][0] > 0.9


def test_groups_do_not_depend_on_order_or_chance(spectra):
    first = cluster_particles(spectra, 2, seed=0)
    other = cluster_particles(spectra.isel(particle=slice(None, None, -1)), 2, seed=7)
    together = (first["label"].values == first["label"].values[0])[::-1]
    np.testing.assert_array_equal(together, other["label"].values == other["label"].values[-1])


def test_without_variance_there_is_no_error(masks, od):
    found = particle_spectra(table_of(masks), od.drop_vars("variance"))
    assert np.isnan(found["spectrum_se"]).all()
    groups = cluster_particles(found, 2)
    np.testing.assert_array_equal(groups["size"], [5, 5])


def test_bad_input_gives_one_sentence(masks, od, spectra):
    with pytest.raises(ChemoscapeError, match=r"^this is no optical density; make it"):
        particle_spectra(table_of(masks), od["optical_density"])
    far = od.assign_coords(y=od["y"] + 100)
    with pytest.raises(ChemoscapeError, match="no particle lies in the field"):
        particle_spectra(table_of(masks), far)
    with pytest.raises(ChemoscapeError, match="11 clusters cannot be made of 10 particles"):
        cluster_particles(spectra, 11)
    none = particle_spectra(
        particle_table(Instances((SIZE, SIZE)), np.ones((SIZE, SIZE)), 0.05), od
    )
    assert none["spectrum"].shape == (0, ENERGY.size)
    with pytest.raises(ChemoscapeError, match="2 clusters cannot be made of 0 particles"):
        cluster_particles(none)
