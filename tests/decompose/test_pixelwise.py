"""Options of the pixels' fits against independent solvers: sums to one, singular values, lines."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from chemoscape.decompose.design import design
from chemoscape.decompose.direct import deconvolve, weight_covariance
from chemoscape.decompose.pixelwise import fit_pixels, project_pixels
from chemoscape.errors import ChemoscapeWarning, FitError
from chemoscape.standards.library import Library, Standard

ENERGY = np.arange(510.0, 540.0, 0.5)


def library(n=3, seed=0):
    """Smooth spectra with peaks of their own."""
    rng = np.random.default_rng(seed)
    axis = np.arange(500.0, 550.0, 0.1)
    centres = 513 + 24 * (np.arange(n) + 0.5) / n + rng.uniform(-1, 1, n)
    return Library(
        "lib",
        "lib",
        "x",
        tuple(
            Standard(
                f"s{k}", f"s{k}", k / max(n - 1, 1), axis, 0.3 + np.exp(-(((axis - c) / 3) ** 2))
            )
            for k, c in enumerate(centres)
        ),
    )


def full(packed):
    """A covariance from its upper triangle."""
    row, column = np.triu_indices(round(np.sqrt(2 * len(packed))))
    out = np.empty((row.max() + 1, row.max() + 1))
    out[row, column] = out[column, row] = packed
    return out


def stack_of(spectra, energy=ENERGY):
    """A Stack of optical densities, one row of pixels: (n_energy, n_pixels)."""
    spectra = np.asarray(spectra, dtype=np.float32)
    return xr.DataArray(
        spectra[:, None, :],
        dims=("energy", "y", "x"),
        coords={
            "energy": ("energy", energy, {"units": "eV"}),
            "y": ("y", [0.0], {"units": "um"}),
            "x": ("x", 0.1 * np.arange(spectra.shape[1]), {"units": "um"}),
        },
        attrs={"quantity": "optical_density"},
        name="optical_density",
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), nonnegative=st.booleans())
def test_weights_that_sum_to_one_against_a_constrained_solver(seed, nonnegative):
    rng = np.random.default_rng(seed)
    parts = design(library(), ENERGY, 0.0, "constant")
    truth = rng.dirichlet(np.ones(3) * 0.6)
    model = library().spectra(ENERGY).values.T
    data = model @ truth + 0.02 + 0.05 * rng.normal(size=ENERGY.size)
    variance = rng.uniform(0.5, 2.0, ENERGY.size).astype(np.float32)
    fit = fit_pixels(
        parts,
        data[:, None, None].astype(np.float32),
        variance[:, None, None],
        nonnegative=nonnegative,
        weighted=True,
        sum_to_one=True,
    )
    got = fit.solution[:, 0, 0]

    def squares(p):
        left = data.astype(np.float32) - model @ p[:3] - p[3]
        return float((left**2 / variance).sum())

    best = minimize(
        squares,
        [1 / 3, 1 / 3, 1 / 3, 0.0],
        bounds=[((0 if nonnegative else -5), 5)] * 3 + [(-5, 5)],
        constraints={"type": "eq", "fun": lambda p: p[:3].sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert got[:3].sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(got, best.x, atol=2e-4)
    assert squares(got) <= squares(best.x) * (1 + 1e-6)


def test_covariance_of_weights_that_sum_to_one_is_their_scatter():
    rng = np.random.default_rng(4)
    parts = design(library(), ENERGY, 0.0, None)
    clean = library().spectra(ENERGY).values.T @ [0.3, 0.3, 0.4]
    data = clean[:, None] + 0.02 * rng.normal(size=(ENERGY.size, 3000))
    fit = fit_pixels(
        parts,
        data[:, None].astype(np.float32),
        np.full((ENERGY.size, 1, 3000), 0.02**2, np.float32),
        nonnegative=False,
        weighted=True,
        sum_to_one=True,
    )
    weights = fit.solution[:, 0].T
    stated = full(fit.covariance[:, 0, 0])
    np.testing.assert_allclose(np.cov(weights.T), stated, rtol=0.12, atol=2e-8)
    assert np.abs(stated.sum(axis=0)).max() < 1e-12 * np.abs(stated).max()
    assert np.median(fit.chi2) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("smooth", [False, True])
def test_the_paper_s_maps_to_ten_digits(smooth):
    """Unconstrained, unweighted, without a baseline: ``t = pinv(μ)·D``, however alike the
    standards.
    """
    from chemoscape.standards.model import model_library, smooth_library

    lib = smooth_library() if smooth else model_library()
    rng = np.random.default_rng(2)
    energy = np.arange(508.0, 556.0, 0.4)
    mu = lib.spectra(energy).values.T
    data = mu @ rng.uniform(0, 2e-5, (6, 40)) + 0.01 * rng.normal(size=(energy.size, 40))
    stack = stack_of(data, energy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # of the smooth set: nearly alike
        maps = deconvolve(
            stack,
            lib,
            nonnegative=False,
            baseline=None,
            weights="uniform",
            energy_shift=0.0,
            mask=xr.zeros_like(stack[0], dtype=bool),
        )
    want = np.linalg.pinv(mu) @ stack.values[:, 0].astype(float)
    error = np.abs(maps.weight.values[:, 0] - want).max() / np.abs(want).max()
    assert error < 1e-10


def test_truncation_keeps_what_the_largest_singular_values_tell():
    rng = np.random.default_rng(5)
    lib = library(4)
    parts = design(lib, ENERGY, 0.0, None)
    data = rng.normal(size=(ENERGY.size, 1, 7)).astype(np.float32)
    whole = project_pixels(parts, data, None, 4)
    cut = project_pixels(parts, data, None, 2)
    _, values, right = np.linalg.svd(parts.columns, full_matrices=False)
    one, other = (fit.solution[:, 0].T * parts.lengths for fit in (whole, cut))
    np.testing.assert_allclose(other, one @ right[:2].T @ right[:2], atol=1e-9)
    # the covariance is that of the combinations kept, and what leaving out the others has done
    noise = cut.residual[0, 0] ** 2 * len(data) / (len(data) - 2)
    bias = one[0] - other[0]
    want = noise * (right[:2].T / values[:2] ** 2) @ right[:2] + np.outer(bias, bias)
    got = full(cut.covariance[:, 0, 0]) * np.outer(parts.lengths, parts.lengths)
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-12)
    assert (cut.residual >= whole.residual).all()


def test_truncation_is_said_and_contradictions_are_refused():
    lib = library(3)
    stack = stack_of(lib.spectra(ENERGY).values.T @ np.ones((3, 4)))
    options = {"nonnegative": False, "weights": "uniform", "energy_shift": 0.0, "baseline": None}
    with pytest.warns(ChemoscapeWarning, match="2 singular values of 3 standards"):
        maps = deconvolve(stack, lib, singular_values=2, **options)
    assert maps.attrs["singular_values"] == 2
    with pytest.raises(FitError, match="3"):
        deconvolve(stack, lib, singular_values=4, **options)
    with pytest.raises(FitError, match="unconstrained"):
        deconvolve(stack, lib, singular_values=2)
    with pytest.raises(FitError, match="sum to one"):
        deconvolve(stack, lib, singular_values=2, sum_to_one=True, **options)
    for number in (0, 1.5, True):
        with pytest.raises(FitError, match="singular"):
            deconvolve(stack, lib, singular_values=number, **options)
    with pytest.raises(FitError, match="energy_shift"):
        deconvolve(stack, lib, energy_shift="fitt")
    with pytest.raises(FitError, match="together with the shift"):
        deconvolve(stack, lib, energy_shift=0.0, stretch=True)


def test_areal_masses_do_not_sum_to_one():
    from chemoscape.standards.folder import open_library

    lib = open_library("lixv2o5-model")
    energy = np.arange(510.0, 540.0, 0.5)
    stack = stack_of(lib.spectra(energy).values.T[:, :2] * 2e-5, energy)
    with pytest.raises(FitError, match="areal masses"):
        deconvolve(stack, lib, sum_to_one=True)


def test_a_line_under_the_standards_is_found():
    lib = library(3)
    weights = np.array([0.2, 0.5, 0.1])
    line = 0.04 + 0.003 * (ENERGY - ENERGY.mean())
    stack = stack_of((lib.spectra(ENERGY).values.T @ weights + line)[:, None] @ np.ones((1, 3)))
    maps = deconvolve(stack, lib, baseline="linear", energy_shift=0.0)
    np.testing.assert_allclose(maps.weight.values[:, 0, 0], weights, atol=1e-5)
    np.testing.assert_allclose(maps.baseline.values, 0.04, atol=1e-5)
    np.testing.assert_allclose(maps.baseline_per_eV.values, 0.003, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        other = deconvolve(stack, lib, baseline="constant", energy_shift=0.0)
    assert np.abs(other.weight.values[:, 0, 0] - weights).max() > 0.01


def test_excluded_energies_do_not_matter():
    lib = library(2)
    clean = lib.spectra(ENERGY).values.T @ np.array([[0.4, 0.7], [0.3, 0.1]])
    spoilt = clean.copy()
    spoilt[(ENERGY >= 520) & (ENERGY <= 522)] += 3.0
    options = {"energy_shift": 0.0, "exclude": [(520.0, 522.0)]}
    one, other = (deconvolve(stack_of(one), lib, **options) for one in (clean, spoilt))
    np.testing.assert_array_equal(one.weight, other.weight)
    assert one.attrs["n_energies"] == ENERGY.size - 5
    with pytest.raises(FitError, match="excluded"):
        deconvolve(stack_of(clean), lib, energy_shift=0.0, exclude=[(0.0, 1000.0)])
    with pytest.raises(FitError, match="empty"):
        deconvolve(stack_of(clean), lib, energy_shift=0.0, exclude=[(522.0, 520.0)])


def test_pixels_that_lack_energies_are_fitted_one_by_one():
    lib = library(2)
    data = lib.spectra(ENERGY).values.T @ np.array([[0.4, 0.7], [0.3, 0.1]])
    data[3:7, 1] = np.nan
    maps = deconvolve(
        stack_of(data), lib, nonnegative=False, weights="uniform", energy_shift=0.0, baseline=None
    )
    np.testing.assert_allclose(maps.weight.values[:, 0], [[0.4, 0.7], [0.3, 0.1]], atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(0.2, 5.0))
def test_thickness_scales_weights_and_leaves_the_rest(seed, factor):
    rng = np.random.default_rng(seed)
    lib = library(3)
    data = lib.spectra(ENERGY).values.T @ rng.uniform(0, 1, (3, 6)) + 0.01 * rng.normal(
        size=(ENERGY.size, 6)
    )
    one = deconvolve(stack_of(data), lib, energy_shift=0.0)
    scaled = deconvolve(stack_of(factor * stack_of(data).values[:, 0]), lib, energy_shift=0.0)
    np.testing.assert_allclose(scaled.weight, factor * one.weight, rtol=1e-4, atol=1e-6)
    shared = weight_covariance(one)
    np.testing.assert_allclose(
        weight_covariance(scaled), factor**2 * shared, rtol=1e-3, atol=1e-6 * shared.max()
    )
