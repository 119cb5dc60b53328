"""Composition from standards that were put on a mass scale: is what their scales err by stated?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chemoscape.decompose.combinations.lcf import linear_combination_fit
from chemoscape.standards.folder import open_library
from chemoscape.standards.mass_scale import fit_mass_scale, scaled
from chemoscape.standards.mixing import mean_composition

ENERGY = np.arange(508.0, 560.01, 0.25)
LINE = (ENERGY - 534.0) / 26.0
AREAL_MASS, SLOPE, DRAWS = 1e-5, 0.02, 60
NAMES = ("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5", "epsilon-Li0.45V2O5")
FAR = ("epsilon-Li0.45V2O5", "epsilon-Li0.7V2O5", "delta-Li0.9V2O5")


def drawn(truth, slopes):
    """Films of the standards on slopes of the background, put on the mass scale."""
    made = []
    for one, slope in zip(truth.standards, slopes, strict=True):
        od = AREAL_MASS * np.interp(ENERGY, one.energy, one.spectrum) + 0.05 + slope * LINE
        film = replace(one, energy=ENERGY, spectrum=od, scale="optical_density")
        scale = fit_mass_scale(
            ENERGY, od, one.formula, sd=np.zeros_like(od), fine_structure=0.0, background_od=SLOPE
        )
        made.append(scaled(film, scale))
    return replace(truth, standards=tuple(made), energy_window=None)


def errors(names, shared, baseline="constant"):
    """Errors of composition in units of their stated sd, and the stated sd, over many libraries."""
    truth = open_library("lixv2o5-model").select(*names)
    weights = np.array([0.3, 0.4, 0.3]) * 1e-5
    sample = weights @ truth.spectra(ENERGY).values + 0.03
    x = float(mean_composition(weights, truth.values, truth.molar_mass).value)
    rng = np.random.default_rng(3)
    found = []
    for _ in range(DRAWS):
        slopes = SLOPE * (rng.normal() * np.ones(3) if shared else rng.normal(size=3))
        library = drawn(truth, slopes)
        fit = linear_combination_fit(
            (ENERGY, sample), library, sd=1e-4, energy_shift=0.0, baseline=baseline
        )
        found.append((fit.composition - x, fit.composition_sd))
    off, sd = np.array(found).T
    return off, sd


@pytest.mark.parametrize("names", [NAMES, FAR], ids=["near", "far"])
@pytest.mark.parametrize("shared", [True, False], ids=["one background", "one each"])
def test_slopes_that_lay_under_the_standards(names, shared):
    off, sd = errors(names, shared)
    covered = float(np.mean(np.abs(off) < sd))
    assert covered >= 0.55  # 68 % wanted; whether one background or several is not known
    assert np.median(sd) < 3 * np.sqrt(np.mean(off**2))


def test_a_line_that_is_fitted_takes_the_slope_away():
    """What a shared slope leaves is then scale alone, which the sum of the standards shares."""
    with_line, sd = errors(NAMES, shared=True, baseline="linear")
    without, _ = errors(NAMES, shared=True)
    assert np.std(with_line) < 0.1 * np.std(without)
    assert (np.abs(with_line) <= sd).all()


def test_tables_err_alike_where_formulas_are_alike():
    """An error of the tables that all share leaves composition where it was."""
    truth = open_library("lixv2o5-model").select(*NAMES)
    sample = np.array([0.3, 0.4, 0.3]) * 1e-5 @ truth.spectra(ENERGY).values

    def stated(*differences):
        standards = tuple(
            replace(one, record=one.record.with_(table_difference=sign))
            for one, sign in zip(truth.standards, differences, strict=True)
        )
        library = replace(truth, standards=standards)
        return linear_combination_fit(
            (ENERGY, sample), library, sd=1e-6, energy_shift=0.0
        ).composition_sd

    alone = stated(0.0, 0.0, 0.0)
    assert stated(0.03, 0.03, 0.03) == pytest.approx(alone, abs=1e-5)
    assert stated(-0.03, 0.0, 0.03) > alone + 0.002
