"""The smallest, the emptiest and the most degenerate data: a right answer or one clear sentence."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import chemoscape as cs
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FitError

TWO = ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
ENERGY = np.arange(510.0, 545.0, 0.5)


@pytest.fixture(scope="module")
def library():
    return cs.open_library("lixv2o5-model")


def stack_of(values, energy=ENERGY):
    """Stack of optical densities from (energy, y, x)."""
    values = np.asarray(values, dtype=np.float32)
    return xr.DataArray(
        values,
        dims=("energy", "y", "x"),
        coords={
            "energy": ("energy", energy, {"units": "eV"}),
            "y": ("y", 0.1 * np.arange(values.shape[1]), {"units": "um"}),
            "x": ("x", 0.1 * np.arange(values.shape[2]), {"units": "um"}),
        },
        attrs={"quantity": "optical_density"},
        name="optical_density",
    )


def mixtures(library, shape, energy=ENERGY, noise=0.003, seed=0):
    """Optical densities of random mixtures of two standards, and their compositions."""
    rng = np.random.default_rng(seed)
    two = library.select(*TWO)
    weights = rng.uniform(0.2, 1.0, (2, *shape)) * 2e-5
    od = np.einsum("ke,kyx->eyx", two.spectra(energy).values, weights)
    n = weights / two.molar_mass[:, None, None]
    x = (n * two.values[:, None, None]).sum(axis=0) / n.sum(axis=0)
    return stack_of(od + noise * rng.normal(size=od.shape), energy), x


def quietly(work, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        return work(*arguments, **options)


def everywhere(stack):
    return xr.ones_like(stack[0], dtype=bool).drop_vars("energy")


def test_one_pixel(library):
    two = library.select(*TWO)
    stack, x = mixtures(library, (1, 1))
    maps = quietly(cs.deconvolve, stack, two, energy_shift=0.0, mask=everywhere(stack))
    comp = quietly(cs.composition, maps, two)
    assert float(comp.composition[0, 0]) == pytest.approx(
        x[0, 0], abs=4 * float(comp.composition_sd_total[0, 0])
    )
    for work in (cs.principal_components, lambda od: cs.factorise(od, 2)):
        with pytest.raises(ChemoscapeError):
            quietly(work, stack)


def test_one_energy(library):
    stack, _ = mixtures(library, (4, 5), energy=np.array([518.0]))
    inside = everywhere(stack)
    with pytest.raises(FitError, match="1 energies cannot determine"):
        quietly(cs.deconvolve, stack, library, energy_shift=0.0, mask=inside)
    with pytest.raises(FitError, match="energies"):
        quietly(cs.principal_components, stack)
    one = library.select(TWO[0])  # a thickness can be had from one energy
    maps = quietly(
        cs.deconvolve, stack, one, energy_shift=0.0, baseline=None, mask=inside, weights="uniform"
    )
    want = stack.values[0] / one.spectra([518.0]).values[0, 0]
    np.testing.assert_allclose(maps.weight.values[0], want, rtol=1e-5)


def test_more_standards_than_energies(library):
    energy = np.array([514.0, 517.0, 519.0, 530.0])
    stack, _ = mixtures(library, (4, 5), energy=energy)
    for shift in ("fit", 0.0):
        with pytest.raises(FitError, match="4 energies cannot determine"):
            quietly(cs.deconvolve, stack, library, energy_shift=shift, mask=everywhere(stack))


@pytest.mark.parametrize("nonnegative", [True, False])
def test_identical_standards(library, nonnegative):
    """Non-negative: one of the two takes all, and the sum is right. Else they cannot be told."""
    two = library.select(*TWO)
    same = replace(
        two, standards=(two.standards[0], replace(two.standards[0], id="again"), two.standards[1])
    )
    stack, x = mixtures(library, (5, 6))
    options = {"energy_shift": 0.0, "nonnegative": nonnegative, "mask": everywhere(stack)}
    if nonnegative:
        maps = quietly(cs.deconvolve, stack, same, **options)
        comp = quietly(cs.composition, maps, same)
        np.testing.assert_allclose(comp.composition.values, x, atol=0.02)
        assert maps.attrs["condition_number"] > 1e10
        return
    with pytest.raises(FitError, match="linearly dependent"):
        quietly(cs.deconvolve, stack, same, **options)


def test_rows_without_values_stay_empty_and_change_nothing(library):
    two = library.select(*TWO)
    stack, _ = mixtures(library, (12, 20))
    holed = stack.copy(deep=True)
    holed[:, 3] = np.nan
    inside = everywhere(stack)
    whole = quietly(cs.deconvolve, stack, two, energy_shift=0.0, mask=inside)
    maps = quietly(cs.deconvolve, holed, two, energy_shift=0.0, mask=inside)
    assert np.isnan(maps.weight.values[:, 3]).all()
    kept = np.arange(12) != 3
    np.testing.assert_array_equal(maps.weight.values[:, kept], whole.weight.values[:, kept])
    pcs = quietly(cs.principal_components, holed, mask=inside)
    assert np.isnan(pcs.score.values[:, 3]).all()
    groups = quietly(cs.cluster, holed, pcs, n_clusters=2)
    assert (groups.label.values[3] == -1).all()
    parts = quietly(cs.factorise, holed, 2, mask=inside)
    assert np.isnan(parts.weight.values[:, 3]).all()
    assert np.isfinite(parts.weight.values[:, kept]).all()


def test_constant_images_have_no_composition(library):
    stack = stack_of(np.full((ENERGY.size, 8, 9), 0.3))
    inside = everywhere(stack)
    maps = quietly(cs.deconvolve, stack, library, energy_shift=0.0, mask=inside)
    comp = quietly(cs.composition, maps, library)
    assert not comp["mask"].values.any()
    np.testing.assert_allclose(maps.baseline.values, 0.3, atol=0.02)
    pcs = quietly(cs.principal_components, stack, mask=inside)
    assert pcs.attrs["rank_mp"] <= 1


def test_negative_densities_are_fitted_as_they_are(library):
    """An I0 that is too low: everything is shifted down, the baseline takes it up."""
    two = library.select(*TWO)
    stack, x = mixtures(library, (6, 7))
    lowered = (stack - 1.0).assign_attrs(stack.attrs)
    maps = quietly(cs.deconvolve, lowered, two, energy_shift=0.0, mask=everywhere(stack))
    comp = quietly(cs.composition, maps, two)
    np.testing.assert_allclose(comp.composition.values, x, atol=0.02)
    np.testing.assert_allclose(maps.baseline.values, -1.0, atol=0.02)
    upside_down = (-stack).assign_attrs(stack.attrs)
    maps = quietly(
        cs.deconvolve, upside_down, two, energy_shift=0.0, baseline=None, mask=everywhere(stack)
    )
    assert (maps.weight.values == 0).all()
    assert not quietly(cs.composition, maps, two)["mask"].values.any()


def test_permuted_pixels_and_bands_change_nothing(library, monkeypatch):
    from chemoscape.decompose import pixelwise

    two = library.select(*TWO)
    stack, _ = mixtures(library, (30, 40))
    inside = everywhere(stack)
    order = np.random.default_rng(1).permutation(1200)
    shuffled = stack_of(stack.values.reshape(ENERGY.size, -1)[:, order].reshape(stack.shape))
    straight = quietly(cs.deconvolve, stack, two, mask=inside)
    other = quietly(cs.deconvolve, shuffled, two, mask=inside)
    for name in ("weight", "weight_covariance", "residual", "baseline"):
        want = straight[name].values.reshape(-1, 1200)[:, order]
        got = other[name].values.reshape(-1, 1200)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7 * np.abs(want).max())
    for rows in (1, 7):
        monkeypatch.setattr(pixelwise, "rows_per_band", lambda shape, rows=rows: rows)
        again = quietly(cs.deconvolve, stack, two, mask=inside)
        np.testing.assert_array_equal(again.weight.values, straight.weight.values)


def test_an_energy_without_any_value_is_left_out(library):
    two = library.select(*TWO)
    stack, x = mixtures(library, (6, 7))
    holed = stack.copy(deep=True)
    holed[10] = np.nan
    variance = xr.full_like(holed, 0.003**2)
    variance[10] = np.nan
    od = xr.Dataset({"optical_density": holed, "variance": variance})
    for weights in ("variance", "uniform"):
        maps = quietly(
            cs.deconvolve, od, two, energy_shift=0.0, mask=everywhere(stack), weights=weights
        )
        comp = quietly(cs.composition, maps, two)
        np.testing.assert_allclose(comp.composition.values, x, atol=0.02)
        assert np.isfinite(comp.composition_sd_total.values).all()
        assert maps.fit_weight.values[10] == 0
