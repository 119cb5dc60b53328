"""Dose and thickness for a wanted error: against the plain prediction, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.errors import FitError
from chemoscape.few_energies.budget import (
    best_thickness,
    choose_for,
    least_sd,
    needed,
    saturated,
    sd_against_thickness,
)
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.selection import predict
from chemoscape.standards.folder import open_library

COUNTING = Nuisance(0.0, 0.0, 0.0, 0.0)
SLOPES = [515.9, 517.2, 555.0]


@pytest.fixture(scope="module")
def film():
    pair = open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")
    return Expected.between(pair, 3, thickness_nm=60.0)


@pytest.mark.parametrize("shares", ["equal", "best"])
def test_the_dose_gives_the_error_and_less_does_not(film, shares):
    plan = needed(film, [508.0, 518.5, 539.0], 0.02, shares=shares)
    assert plan.rms == pytest.approx(0.02, rel=1e-4)
    less = predict(film, plan.energies, dose_MGy=0.9 * plan.dose_MGy, shares=shares)
    assert less.rms > 0.0201


def test_without_other_errors_dose_is_the_inverse_square(film):
    once, twice = (needed(film, [518.5, 539.0], sd, nuisance=COUNTING) for sd in (0.02, 0.01))
    assert twice.dose_MGy == pytest.approx(4 * once.dose_MGy, rel=1e-6)
    assert least_sd(film, [518.5, 539.0], nuisance=COUNTING) < 1e-4


def test_what_no_dose_reaches_is_said_with_its_cause(film):
    floor = least_sd(film, SLOPES)
    high = predict(film, SLOPES, dose_MGy=1e7).rms
    assert floor == pytest.approx(high, rel=1e-3)
    with pytest.raises(FitError, match=f"{floor:.2g} is left, most of it by the error of each"):
        needed(film, SLOPES, 0.02)
    with pytest.raises(FitError, match="optical density"):
        needed(film, [518.5, 532.0], 1e-3, nuisance=Nuisance(0, 0, 0.05, 0))
    with pytest.raises(FitError, match="I0"):
        choose_for(film, 2, 1e-4, nuisance=Nuisance(0, 0, 0, 0.01))
    with pytest.raises(FitError, match="wanted"):
        needed(film, SLOPES, -1.0)
    with pytest.raises(FitError, match="no measurement"):
        needed(film, SLOPES, 1e6)


def test_chosen_for_an_error_costs_less_than_any_named_set(film):
    plan = choose_for(film, 2, 0.02)
    assert plan.rms == pytest.approx(0.02, rel=1e-3)
    assert plan.compared
    for energies in ([518.5, 539.0], [518.5, 532.0], [518.6, 531.9, 555.0]):
        assert needed(film, energies, 0.02).dose_MGy >= plan.dose_MGy * (1 - 1e-3)


def test_a_thin_film_errs_by_the_inverse_of_its_thickness(film):
    thin = film.scaled(1e-3)
    plan = predict(thin, [518.5, 539.0], photons=1e6, nuisance=COUNTING)
    for hold in ("dose", "photons"):  # the same where nothing shades itself
        error = sd_against_thickness(plan, [0.5, 1.0, 2.0], hold=hold)
        assert error * [0.5, 1.0, 2.0] == pytest.approx(plan.rms, rel=5e-3)


@pytest.mark.parametrize("hold", ["dose", "photons"])
def test_best_thickness_is_the_least_of_many(film, hold):
    plan = predict(film, [508.0, 518.5, 539.0], dose_MGy=50.0)
    best = best_thickness(plan, hold=hold)
    factors = np.geomspace(0.3, 8, 60)
    tried = sd_against_thickness(plan, factors, hold=hold)
    assert best.rms <= tried.min() * (1 + 1e-6)
    assert best.expected.thickness_nm == pytest.approx(60 * factors[tried.argmin()], rel=0.08)
    kept = "dose_MGy" if hold == "dose" else "photons"
    assert np.sum(getattr(best, kept)) == pytest.approx(np.sum(getattr(plan, kept)))
    with pytest.raises(FitError, match="hold"):
        best_thickness(plan, hold="time")


def test_saturation_is_told_by_its_degree(film):
    plan = predict(film.scaled(100 / 60), [508.0, 517.0, 518.5], dose_MGy=20.0)
    little, none = saturated(plan)
    assert "517.0" in little
    assert ": little light" in little
    assert "518.5" in none
    assert "next to no light" in none
