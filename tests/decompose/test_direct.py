"""Deconvolution: parity with plain linear algebra, warnings that name the cause, refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

from chemoscape.decompose.direct import deconvolve, weight_covariance
from chemoscape.errors import ChemoscapeWarning, FitError, LibraryError
from chemoscape.standards.folder import open_library

TWO = ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")


@pytest.fixture(scope="module")
def two():
    return open_library("lixv2o5-model").select(*TWO)


@pytest.fixture(scope="module")
def fitted(twin_density, two):
    with pytest.warns(ChemoscapeWarning, match=r"lies -0\.400"):
        return deconvolve(twin_density, two)


def test_unconstrained_equals_the_pseudo_inverse(twin_density, two):
    """The paper's Equation 2, and MANTIS's maps: t = pinv(μ)·D."""
    density = twin_density["optical_density"]
    maps = deconvolve(density, two, nonnegative=False, baseline=None, energy_shift=-0.4)
    mu = two.spectra(density.energy.values, shift=-0.4).values.T
    want = np.linalg.pinv(mu) @ density.values.reshape(len(mu), -1).astype(float)
    np.testing.assert_allclose(maps.weight.values.reshape(2, -1), want, rtol=1e-9, atol=1e-16)
    assert maps.baseline.values.max() == 0.0
    assert np.isnan(maps.reduced_chi2.values).all()  # no variance was given


def test_shift_and_its_sign(fitted, twin):
    assert fitted.attrs["energy_shift_eV"] == pytest.approx(twin.energy_shift_eV, abs=0.002)
    assert 0 < fitted.attrs["energy_shift_sd_eV"] < 0.002


def test_fixed_calibration_warns_and_names_the_cause(twin_density, two):
    with pytest.warns(ChemoscapeWarning) as caught:
        maps = deconvolve(twin_density, two, energy_shift=0.0)
    said = " ".join(str(one.message) for one in caught)
    assert "energy calibration" in said
    assert "-0.400" in said
    assert 'energy_shift = "fit"' in said
    assert maps.attrs["energy_shift_eV"] == 0.0
    # A shift held against the data is as uncertain as its distance from them.
    assert maps.attrs["energy_shift_sd_eV"] == pytest.approx(0.4, abs=0.01)


def test_noise_is_described(fitted, twin):
    thick = (twin.thickness >= 0.25).values
    assert np.median(fitted.reduced_chi2.values[thick]) == pytest.approx(1.0, abs=0.03)
    assert np.median(fitted.residual.values[thick]) == pytest.approx(
        twin.optical_density_sd, rel=0.03
    )


def test_weights_are_areal_masses(fitted, twin):
    """Mixed pixels, where no bound acts: unbiased, and as uncertain as stated."""
    mixed = (twin.labels == 1).values & (twin.thickness >= 0.5).values
    truth = twin.weights.sel(standard=list(TWO)).values[:, mixed]
    error = fitted.weight.values[:, mixed] - truth
    sd = np.sqrt(weight_covariance(fitted)[np.arange(2), np.arange(2)][:, mixed])
    assert fitted.weight.attrs["units"] == "g/cm2"
    assert np.abs(error.mean(axis=1)).max() < 4 * (sd.mean() / np.sqrt(mixed.sum()))
    assert (np.abs(error) < sd).mean() == pytest.approx(0.683, abs=0.04)


def test_uniform_weights_take_the_noise_from_the_residual(twin_density, two, fitted, twin):
    maps = deconvolve(twin_density, two, energy_shift=-0.4, weights="uniform")
    mixed = (twin.labels == 1).values
    ratio = maps.weight_covariance.values[:, mixed] / fitted.weight_covariance.values[:, mixed]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)


def test_permuting_pixels_permutes_maps(twin_density, two):
    flipped = deconvolve(
        twin_density.isel(x=slice(None, None, -1)).assign_coords(x=twin_density.x),
        two,
        energy_shift=-0.4,
    )
    straight = deconvolve(twin_density, two, energy_shift=-0.4)
    np.testing.assert_array_equal(flipped.weight.values[..., ::-1], straight.weight.values)


def test_scaling_the_density_scales_the_weights(twin_density, two):
    density = twin_density["optical_density"]
    twice = (2 * density).assign_attrs(density.attrs)
    one = deconvolve(density, two, energy_shift=-0.4)
    other = deconvolve(twice, two, energy_shift=-0.4)
    np.testing.assert_allclose(other.weight, 2 * one.weight, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(other.residual, 2 * one.residual, rtol=1e-5)


def test_input_is_not_changed(twin_density, two):
    before = twin_density.copy(deep=True)
    deconvolve(twin_density, two, energy_shift=-0.4)
    xr.testing.assert_identical(before, twin_density)


def test_nearly_alike_standards_are_said(twin_density):
    smooth = open_library("lixv2o5-model-smooth")
    with pytest.warns(ChemoscapeWarning) as caught:
        maps = deconvolve(twin_density, smooth, energy_shift=-0.4)
    assert any("nearly alike" in str(one.message) for one in caught)
    assert maps.attrs["condition_number"] > 300


def test_an_offset_is_said(twin_density, two):
    density = twin_density["optical_density"]
    lifted = (density + 0.2).assign_attrs(density.attrs)
    with pytest.warns(ChemoscapeWarning, match="baseline is "):
        maps = deconvolve(lifted, two, energy_shift=-0.4)
    assert np.median(maps.baseline.values[maps["sample"].values]) == pytest.approx(0.2, abs=0.01)


def test_library_of_another_edge_is_refused(twin_density, two):
    iron = two.spectra(np.arange(505.0, 560.0, 1.0)).assign_coords(
        energy=np.arange(705.0, 760.0, 1.0)
    )
    with pytest.raises(LibraryError, match=r"covers 705\.0 to 759\.0 eV.*508\.0 to 560\.0"):
        deconvolve(twin_density, iron)


def test_a_fit_range_without_energies_is_refused(twin_density, two):
    with pytest.raises(FitError, match="no energy"):
        deconvolve(twin_density, two, fit_range=(600.0, 610.0))


def test_missing_pixels_stay_missing(twin_density, two):
    holed = twin_density.copy(deep=True)
    holed["optical_density"][:, :5, :] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maps = deconvolve(holed, two, energy_shift=-0.4)
    assert np.isnan(maps.weight.values[:, :5]).all()
    assert np.isfinite(maps.weight.values[:, 5:]).all()


@pytest.mark.parametrize("options", [{"baseline": "cubic"}, {"weights": "poisson"}])
def test_unknown_options_are_refused(twin_density, two, options):
    with pytest.raises(FitError, match="give one of"):
        deconvolve(twin_density, two, **options)


def test_a_library_by_name_is_refused(twin_density):
    with pytest.raises(LibraryError, match=r"open a library with cs\.open_library"):
        deconvolve(twin_density, "lixv2o5-model")


def test_standards_that_do_not_look_like_the_sample_are_said(twin_density, two):
    """Peaks of the sample at twice the library's height are no noise and no shift."""
    density = twin_density["optical_density"]
    bent = (density + 0.6 * density * (density > 0.7)).assign_attrs(density.attrs)
    with pytest.warns(ChemoscapeWarning) as caught:
        maps = deconvolve(bent, two, energy_shift=-0.4)
    assert any("do not look like the sample" in str(one.message) for one in caught)
    assert maps.attrs["misfit_scale"] > 3


def test_a_line_that_would_help_is_said(twin_density, two):
    density = twin_density["optical_density"]
    line = 0.01 * (density.energy - 534.0)
    tilted = (density + line).transpose(*density.dims).astype("f4").assign_attrs(density.attrs)
    with pytest.warns(ChemoscapeWarning) as caught:
        deconvolve(tilted, two, energy_shift=-0.4)
    assert any('baseline = "linear"' in str(one.message) for one in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        deconvolve(tilted, two, energy_shift=-0.4, baseline="linear")
