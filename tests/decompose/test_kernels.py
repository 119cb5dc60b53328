"""The compiled non-negative least squares against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from chemoscape.decompose.design import Design
from chemoscape.decompose.pixelwise import fit_pixels


def fit(columns, density, *, free=False, variance=None, slopes=None):
    """Fits of pixels (P, N) with columns as they are: a dictionary, pixels first."""
    n = columns.shape[1]
    parts = Design(columns, np.zeros_like(columns) if slopes is None else slopes, np.ones(n), n)
    density, variance = (
        None if one is None else one.T.astype(np.float32)[:, None] for one in (density, variance)
    )
    got = fit_pixels(parts, density, variance, nonnegative=not free, weighted=variance is not None)
    row, column = np.triu_indices(n)
    covariance = np.empty((density.shape[2], n, n))
    covariance[:, row, column] = covariance[:, column, row] = got.covariance[:, 0].T
    return {
        "solution": got.solution[:, 0].T,
        "covariance": covariance,
        "per_shift": got.per_shift[:, 0].T,
        "residual": got.residual[0],
        "chi2": got.chi2[0],
    }


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8))
def test_agrees_with_scipy_nnls(seed, n):
    rng = np.random.default_rng(seed)
    columns = np.abs(rng.normal(size=(40, n))) + 0.3
    columns /= np.linalg.norm(columns, axis=0)
    truth = np.maximum(rng.normal(size=(5, n)), 0)
    density = (truth @ columns.T + 0.1 * rng.normal(size=(5, 40))).astype(np.float32)
    got = fit(columns, density)["solution"]
    want = np.array([nnls(columns, row.astype(float))[0] for row in density])
    np.testing.assert_allclose(got, want, atol=2e-8)


def test_agrees_with_weighted_least_squares_and_its_covariance():
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(30, 3))
    variance = rng.uniform(0.5, 2.0, size=(4, 30)).astype(np.float32)
    density = rng.normal(size=(4, 30)).astype(np.float32)
    got = fit(columns, density, free=True, variance=variance)
    for p in range(4):
        w = 1 / variance[p].astype(float)
        covariance = np.linalg.inv(columns.T @ (w[:, None] * columns))
        want = covariance @ columns.T @ (w * density[p])
        np.testing.assert_allclose(got["solution"][p], want, rtol=1e-10)
        np.testing.assert_allclose(got["covariance"][p], covariance, rtol=1e-10)
        residual = density[p] - columns @ want
        assert got["chi2"][p] == pytest.approx((w * residual**2).sum() / 27)
        assert got["residual"][p] == pytest.approx(np.sqrt((residual**2).mean()))


def test_derivative_with_the_shift_matches_refitting():
    rng = np.random.default_rng(2)
    axis = np.linspace(0, 1, 50)

    def columns(shift):
        return np.column_stack(
            [np.exp(-(((axis - c - shift) / 0.1) ** 2)) for c in (0.3, 0.5, 0.8)]
        )

    h = 1e-5
    slopes = (columns(h) - columns(-h)) / (2 * h)
    density = (columns(0.0) @ [1.0, 0.5, 2.0] + 0.02 * rng.normal(size=50))[None]
    got = fit(columns(0.0), density, slopes=slopes)["per_shift"][0]
    ends = [fit(columns(d), density)["solution"][0] for d in (-1e-4, 1e-4)]
    np.testing.assert_allclose(got, (ends[1] - ends[0]) / 2e-4, rtol=1e-4)


def test_missing_energies_are_left_out_and_hopeless_pixels_are_nan():
    columns = np.column_stack([np.linspace(1, 2, 20), np.linspace(2, 0, 20)])
    density = np.tile(columns @ [1.0, 3.0], (2, 1)).astype(np.float32)
    density[0, 3:9] = np.nan
    density[1, 1:] = np.nan
    got = fit(columns, density)
    np.testing.assert_allclose(got["solution"][0], [1, 3], rtol=1e-6)
    assert np.isnan(got["solution"][1]).all()
    assert np.isnan(got["residual"][1])


def test_a_repeated_standard_stays_out():
    line = np.linspace(1, 2, 20)
    got = fit(np.column_stack([line, line]), (2 * line)[None])["solution"][0]
    assert got.sum() == pytest.approx(2.0, rel=1e-6)
    assert got.min() == 0.0
