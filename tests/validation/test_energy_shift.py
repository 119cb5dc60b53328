"""The energy shift: its sign, its size, its uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.decompose.energy import fit_energy_shift
from chemoscape.errors import FitError
from chemoscape.standards.library import Library, Standard

AXIS = np.arange(505.0, 530.0, 0.2)


def asymmetric_peak(centre: float, energy: np.ndarray) -> np.ndarray:
    """Steep on the low side, slow on the high side: a mirror image would fit at the wrong shift."""
    x = energy - centre
    return np.where(x < 0, np.exp(-((x / 0.4) ** 2)), np.exp(-((x / 2.0) ** 2))) + 0.3 / (
        1 + np.exp(-x)
    )


def library(*centres: float) -> Library:
    energy = np.arange(500.0, 535.0, 0.02)
    return Library(
        "peaks",
        "peaks",
        "x",
        tuple(
            Standard(f"p{k}", f"p{k}", float(k), energy, asymmetric_peak(c, energy))
            for k, c in enumerate(centres)
        ),
    )


@pytest.mark.parametrize("shift", [-0.4, 0.0, 0.73])
def test_sign_with_an_asymmetric_peak(shift):
    """A feature at 517.0 in the library that the stack shows at 517.0 + shift gives that shift."""
    spectrum = 0.8 * asymmetric_peak(517.0 + shift, AXIS) + 0.05
    found = fit_energy_shift(spectrum, None, AXIS, library(517.0))
    assert found.value == pytest.approx(shift, abs=0.002)


def test_stated_sd_is_the_observed_one():
    rng = np.random.default_rng(0)
    standards = library(516.0, 517.5)
    clean = 0.5 * asymmetric_peak(515.6, AXIS) + 0.4 * asymmetric_peak(517.1, AXIS)
    fits = [
        fit_energy_shift(clean + 0.01 * rng.normal(size=AXIS.size), None, AXIS, standards)
        for _ in range(60)
    ]
    values = np.array([one.value for one in fits])
    stated = np.median([one.sd_noise for one in fits])
    assert abs(values.mean() + 0.4) < 4 * values.std() / np.sqrt(60)
    assert 0.75 < stated / values.std() < 1.33
    assert all(one.sd > one.sd_noise for one in fits)  # the standards may not fit either


@pytest.mark.parametrize("shift", [-2.0, 2.0])
def test_the_search_stays_within_its_limit(shift):
    """Energies as far as the library reaches, and a true shift beyond the search."""
    energy = np.arange(AXIS[0] - 1.5, AXIS[-1] + 1.5 + 1e-9, 0.05)
    edge = Library(
        "e", "e", "x", (Standard("a", "a", 0.0, energy, asymmetric_peak(517.0, energy)),)
    )
    found = fit_energy_shift(asymmetric_peak(517.0 + shift, AXIS), None, AXIS, edge)
    assert found.at_limit
    assert abs(found.value) <= 1.5


def test_a_narrow_library_is_refused():
    energy = np.arange(516.0, 517.5, 0.1)
    narrow = Library("n", "n", "x", (Standard("a", "a", 0.0, energy, energy - 515),))
    with pytest.raises(FitError, match="too few"):
        fit_energy_shift(np.ones(AXIS.size), None, AXIS, narrow)


def test_a_noisy_spectrum_does_not_spoil_the_error_of_a_good_one():
    """Two spectra of known variances: the shift is as sure as the better one makes it."""
    rng = np.random.default_rng(1)
    standards = library(516.0, 517.5)
    clean = 0.5 * asymmetric_peak(515.6, AXIS) + 0.4 * asymmetric_peak(517.1, AXIS)
    sds = np.array([[0.003], [0.03]])
    fits = [
        fit_energy_shift(
            clean + sds * rng.normal(size=(2, AXIS.size)),
            np.broadcast_to(sds**2, (2, AXIS.size)),
            AXIS,
            standards,
        )
        for _ in range(60)
    ]
    scatter = np.std([one.value for one in fits])
    assert 0.75 < np.median([one.sd_noise for one in fits]) / scatter < 1.33
