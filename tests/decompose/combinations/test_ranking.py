"""Combinations of standards, ranked: against fits one by one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from chemoscape.decompose.combinations.lcf import linear_combination_fit
from chemoscape.decompose.combinations.ranking import CLOSE_IN_BIC, rank_combinations
from chemoscape.decompose.energy import EnergyShift
from chemoscape.errors import FitError
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library, Standard

ENERGY = np.arange(510.0, 550.0, 0.4)


@pytest.fixture(scope="module")
def library():
    return open_library("lixv2o5-model")


@pytest.fixture(scope="module")
def spectrum(library):
    rng = np.random.default_rng(0)
    clean = library.spectra(ENERGY, shift=-0.4).values.T @ [0, 0.3, 0, 0.7, 0, 0] * 2e-5
    return ENERGY, clean + 0.05 + 0.01 * rng.normal(size=ENERGY.size)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sum_to_one": True, "baseline": None},
        {"baseline": "linear", "exclude": [(520.0, 522.0)], "resolution_eV": 0.8},
        {"nonnegative": False, "max_standards": 2},
    ],
    ids=["default", "sum to one", "linear", "signed"],
)
def test_ranking_is_that_of_single_fits(library, spectrum, options):
    """Every kept combination equals its own fit, in the order of BIC; what is dropped holds a
    member at zero.
    """
    sd = 0.01 * (1 + 0.5 * np.cos(ENERGY))
    shift = EnergyShift(-0.4, 0.004)
    ranked = rank_combinations(spectrum, library, sd=sd, energy_shift=shift, **options)
    size = options.get("max_standards", 4)
    single = {k: v for k, v in options.items() if k != "max_standards"}
    alone = {}
    for n in range(1, size + 1):
        for names in combinations(library.names, n):
            alone[names] = linear_combination_fit(
                spectrum, library.select(*names), sd=sd, energy_shift=shift, **single
            )
    assert ranked.n_combinations == len(alone)
    kept = {names: fit for names, fit in alone.items() if not fit.at_bound.any()}
    assert {fit.standards for fit in ranked.fits} == set(kept)
    assert [f.standards for f in ranked.fits] == sorted(kept, key=lambda names: kept[names].bic)
    for fit in ranked.fits:
        own = kept[fit.standards]
        np.testing.assert_allclose(fit.weights, own.weights, rtol=1e-6, atol=1e-13)
        np.testing.assert_allclose(fit.covariance, own.covariance, rtol=1e-5, atol=1e-16)
        for name in ("chi2", "bic", "aic", "r_factor", "composition", "composition_sd"):
            if name == "composition_sd" and len(fit.standards) == 1:
                continue  # unknown in a library of one standard
            assert getattr(fit, name) == pytest.approx(getattr(own, name), rel=1e-6), name


def test_the_true_phases_win_at_the_true_shift(library, spectrum):
    ranked = rank_combinations(spectrum, library)
    assert ranked.best.standards == ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
    assert ranked.best.energy_shift_eV == pytest.approx(-0.4, abs=0.02)
    assert ranked.composition == pytest.approx(0.345, abs=3 * ranked.composition_sd)
    shifts = {fit.energy_shift_eV for fit in ranked.fits}
    assert len(shifts) == 1


def test_the_average_over_models_holds_their_disagreement(library, spectrum):
    ranked = rank_combinations(spectrum, library, energy_shift=-0.4)
    weight = np.exp(-ranked.delta_bic / 2)
    variance = sum(
        w * (f.composition_sd**2 + (f.composition - ranked.best.composition) ** 2)
        for w, f in zip(weight, ranked.fits, strict=True)
    )
    assert ranked.composition_sd == pytest.approx(np.sqrt(variance / weight.sum()))
    assert ranked.composition_sd > ranked.best.composition_sd
    assert ranked.delta_bic[0] == 0
    assert (np.diff(ranked.delta_bic) >= 0).all()
    close = [f for f, d in zip(ranked.fits, ranked.delta_bic, strict=True) if 0 < d < CLOSE_IN_BIC]
    assert list(ranked.runners_up) == close


def _bumps(values):
    axis = np.arange(505.0, 555.0, 0.1)
    return Library(
        "bumps",
        "bumps",
        "x",
        tuple(
            Standard(f"s{k}", f"s{k}", v, axis, np.exp(-(((axis - 520 - 0.4 * k) / 3) ** 2)))
            for k, v in enumerate(values)
        ),
    )


@pytest.mark.parametrize(("other", "ambiguous"), [(0.5, True), (0.005, False)])
def test_ambiguous_where_a_close_one_has_another_composition(other, ambiguous):
    library = _bumps([0.0, other])
    middle = library.spectra(ENERGY).values.mean(axis=0)
    noise = 0.3 * np.random.default_rng(1).normal(size=ENERGY.size)
    ranked = rank_combinations((ENERGY, middle + noise), library, energy_shift=0.0, baseline=None)
    assert ranked.runners_up
    assert ranked.ambiguous is ambiguous
    assert (": ambiguous" in str(ranked)) is ambiguous


def test_prints_a_table(library, spectrum):
    text = str(rank_combinations(spectrum, library, resolution_eV=0.8, energy_shift=-0.4))
    assert "56 combinations of standards, 100 points, of which n_eff = 49.5 count" in text
    assert "energy shift -0.400 eV, held" in text
    for words in ("rank", "R", "mean sq.", "ΔBIC", "% epsilon-Li0.45V2O5", "x in LixV2O5 = 0.3"):
        assert words in text
    rows = [line for line in text.splitlines() if " % " in line]
    assert rows[0].split()[0] == "1"
    assert len({line.index(" ± ") for line in rows}) == 1


def test_too_many_combinations_are_refused():
    library = _bumps(np.arange(30.0))
    with pytest.raises(FitError, match="30 standards have 31930 combinations of up to 4"):
        rank_combinations((ENERGY, ENERGY), library)
    ranked = rank_combinations(
        (ENERGY, library.spectra(ENERGY).values[3]), library, max_standards=2, energy_shift=0.0
    )
    assert ranked.n_combinations == 465
    assert ranked.best.standards == ("s3",)
    assert len(ranked.fits) <= 100


def test_standards_that_are_alike_do_not_stop_the_ranking():
    library = _bumps([0.0, 0.1, 0.2])
    first = library.standards[0]
    twins = Library("twins", "twins", "x", (*library.standards, Standard(
        "again", "again", 0.0, first.energy, first.spectrum)))  # fmt: skip
    data = 0.8 * library.spectra(ENERGY).values[0] + 0.1
    for nonnegative in (True, False):
        ranked = rank_combinations((ENERGY, data), twins, energy_shift=0.0, nonnegative=nonnegative)
        assert not any({"s0", "again"} <= set(fit.standards) for fit in ranked.fits)


def test_few_points_take_few_standards(library):
    energy = np.array([515.0, 518.0, 525.0, 530.0])
    data = library.spectra(energy).values[1] * 2e-5
    ranked = rank_combinations((energy, data), library, energy_shift=0.0)
    assert max(len(fit.standards) for fit in ranked.fits) <= 2
    assert ranked.n_combinations == 6 + 15


def test_what_cannot_be_ranked_is_said(library):
    with pytest.raises(FitError, match="positive weights"):
        rank_combinations(
            (ENERGY, -library.spectra(ENERGY).values[0]), library, energy_shift=0.0, baseline=None
        )
    with pytest.raises(FitError, match="max_standards is 0"):
        rank_combinations((ENERGY, ENERGY), library, max_standards=0)
    with pytest.raises(FitError, match="too few"):
        rank_combinations((ENERGY[:2], ENERGY[:2]), library, energy_shift=0.0)
