"""The linear model of a few energies, against dense generalised least squares and by drawing."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.errors import FitError
from chemoscape.few_energies.model import (
    Nuisance,
    coefficients,
    error_parts,
    image_variance,
    information_terms,
    solver,
)

MU = np.array([[0.2, 0.2], [4.6, 4.3], [6.8, 6.0], [2.1, 2.1], [6.0, 5.5]])
SLOPE = np.array([0.0, -0.6, 0.4, 0.02, -0.2])
VARIANCE = np.array([1e-4, 3e-4, 5e-4, 2e-4, 4e-4])
NUISANCES = [
    Nuisance(0.0, 0.0, 0.0, 0.0),
    Nuisance(0.05, 0.0, 0.0, 0.0),
    Nuisance(0.05, 0.03, 0.01, 0.003),
    Nuisance(0.05, 0.03, np.inf, 0.0),
]


def covariance_of(nuisance: Nuisance) -> np.ndarray:
    """Of the optical densities, dense; an infinite offset as a very large one."""
    offset = min(nuisance.offset_sd, 1e3)
    return (
        np.diag(image_variance(VARIANCE, SLOPE, nuisance))
        + offset**2
        + nuisance.calibration_sd_eV**2 * np.outer(SLOPE, SLOPE)
    )


@pytest.mark.parametrize("nuisance", NUISANCES)
def test_coefficients_are_those_of_dense_generalised_least_squares(nuisance):
    inverse = np.linalg.inv(covariance_of(nuisance))
    wanted = np.linalg.solve(MU.T @ inverse @ MU, MU.T @ inverse)
    found = coefficients(MU, SLOPE, VARIANCE, nuisance)
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("nuisance", NUISANCES)
def test_parts_of_the_error_add_up_to_that_of_the_information(nuisance):
    gradient = np.array([-0.3, 0.7])
    terms, prior = information_terms(MU, SLOPE, VARIANCE, nuisance)
    covariance = np.linalg.inv(terms.sum(axis=-3) + prior)[:2, :2]
    a = gradient @ coefficients(MU, SLOPE, VARIANCE, nuisance)
    parts = error_parts(a, SLOPE, VARIANCE, nuisance)
    assert float(parts.total) ** 2 == pytest.approx(gradient @ covariance @ gradient, rel=1e-6)
    if np.isinf(nuisance.offset_sd):
        assert a.sum() == pytest.approx(0, abs=1e-9)


def test_errors_are_those_of_drawn_measurements():
    nuisance = Nuisance(0.05, 0.03, 0.01, 0.003)
    rng = np.random.default_rng(7)
    truth, n = np.array([0.1, 0.08]), 20_000
    noise = rng.multivariate_normal(np.zeros(5), covariance_of(nuisance), size=n)
    weights = (MU @ truth + noise) @ coefficients(MU, SLOPE, VARIANCE, nuisance).T
    gradient = np.array([1.0, -1.0])
    a = gradient @ coefficients(MU, SLOPE, VARIANCE, nuisance)
    sd = float(error_parts(a, SLOPE, VARIANCE, nuisance).total)
    assert (weights @ gradient).std() == pytest.approx(sd, rel=0.02)
    assert weights.mean(axis=0) == pytest.approx(truth, abs=4 * weights.std(axis=0).max() / n**0.5)


def test_offset_and_shift_are_predicted_where_they_are_uncertain():
    nuisance = Nuisance(0.0, 10.0, np.inf, 0.0)  # both as good as free
    truth = np.array([0.1, 0.08, 0.02, 0.3])
    density = MU @ truth[:2] + truth[2] + truth[3] * SLOPE
    assert solver(MU, SLOPE, VARIANCE, nuisance) @ density == pytest.approx(truth, rel=1e-4)


def test_pixels_are_solved_side_by_side():
    nuisance = NUISANCES[2]
    slope = np.stack([SLOPE, 2 * SLOPE])
    variance = np.stack([VARIANCE, VARIANCE[::-1]])
    both = coefficients(MU, slope, variance, nuisance)
    for k in range(2):
        assert both[k] == pytest.approx(coefficients(MU, slope[k], variance[k], nuisance))


def test_energies_that_tell_nothing_are_refused():
    alike = np.array([[2.0, 2.0], [3.0, 3.0]])
    with pytest.raises(FitError, match="do not tell 2 standards apart"):
        coefficients(alike, SLOPE[:2], VARIANCE[:2], Nuisance())
    with pytest.raises(FitError, match="beside a free constant"):
        coefficients(MU[:2], SLOPE[:2], VARIANCE[:2], Nuisance(offset_sd=np.inf))


@pytest.mark.parametrize("wrong", [{"energy_sd_eV": -1}, {"i0_sd": np.nan}, {"offset_sd": -np.inf}])
def test_impossible_uncertainties_are_refused(wrong):
    with pytest.raises(FitError, match="no standard deviation"):
        Nuisance(**wrong)
