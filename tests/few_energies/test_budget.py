"""Dose and thickness for a wanted error: against the plain prediction, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.errors import FitError
from chemoscape.few_energies.alternatives import UNSATURATED, recommended, with_unsaturated
from chemoscape.few_energies.budget import (
    best_thickness,
    choose_for,
    least_sd,
    needed,
    sd_against_thickness,
)
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.selection import predict
from chemoscape.report.plan_words import cautions, saturation
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


def test_thicknesses_at_once_are_predicted_as_one_by_one(film):
    plan = predict(film, [508.0, 518.5, 539.0], dose_MGy=50.0, shares="best", efficiency=0.5)
    for factor, error in zip((0.2, 3.0), sd_against_thickness(plan, [0.2, 3.0]), strict=True):
        other = predict(
            film.scaled(factor),
            plan.energies,
            dose_MGy=50.0,
            shares=plan.photons,
            efficiency=0.5,
        )
        assert error == pytest.approx(other.rms, rel=1e-9)
    with pytest.raises(FitError, match="factors above 0"):
        sd_against_thickness(plan, [1.0, 0.0])


def test_saturation_is_told_by_its_degree_with_what_avoiding_it_costs(film):
    thick = film.scaled(100 / 60)
    plan = predict(thick, [508.0, 517.0, 518.5], dose_MGy=20.0)
    said = saturation(plan)
    assert "next to no light comes through at 518.5 eV (OD 2.9)" in said
    assert "little light comes through at 517.0 eV (OD 2.1)" in said
    assert "508" not in said
    assert "plan for a thinner sample" in said
    told = with_unsaturated(plan, {"candidates": np.arange(508, 560, 0.5)})
    thin = told.compared[UNSATURATED]
    assert thin.highest_od.max() <= 1.5
    assert thin.dose_MGy == pytest.approx(20.0)
    assert cautions(told)[0] == saturation(told)
    assert "--highest-od 1.5" in saturation(told)
    assert f"sd {thin.rms:.4f} at the same dose, not {plan.rms:.4f}" in saturation(told)
    assert with_unsaturated(thin, {}) is thin
    assert saturation(thin) == ""
    # where all candidates are as thick, there is nothing to take instead
    assert not with_unsaturated(plan, {"within": (516.0, 520.0)}).compared


@pytest.mark.parametrize(("offset_sd", "n"), [(0.01, 3), (np.inf, 4)])
def test_one_energy_more_than_unknowns_is_recommended(film, offset_sd, n):
    energies = [508.0, 518.5, 532.6, 539.0]
    options = {"dose_MGy": 50.0, "shares": "best", "nuisance": Nuisance(offset_sd=offset_sd)}
    sets = [energies[1::2], energies[:2] + energies[3:], energies]
    plans = [predict(film, one, **options) for one in sets if len(one) > n - 2]
    assert recommended(plans).energies.size == n
    alike = [any("fit any mixture" in said for said in cautions(one)) for one in plans]
    assert alike == [one.energies.size < n for one in plans]
