"""Which energies: the prediction against its closed form, the search against trying everything."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.constants import e as JOULE_PER_EV
from scipy.optimize import minimize

from chemoscape.errors import FitError, LibraryError
from chemoscape.few_energies.candidates import Candidates
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.requirements import fewest_energies
from chemoscape.few_energies.selection import choose_energies, predict
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library, Standard

ALL = Nuisance(0.05, 0.04, 0.02, 0.004)
COUNTING = Nuisance(0.0, 0.0, 0.0, 0.0)
COARSE = np.array(
    [508.0, 515.9, 516.8, 517.2, 518.5, 521.0, 525.0, 529.6, 532.0, 532.8, 539.0, 555.0]
)


@pytest.fixture(scope="module")
def pair():
    return open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")


@pytest.fixture(scope="module")
def film(pair):
    return Expected.between(pair, 3, thickness_nm=60.0)


def closed_form(plan):
    """Variance of composition by generalised least squares with the whole covariance matrix."""
    expected, nuisance, energies = plan.expected, plan.nuisance, plan.energies
    mu = expected.library.spectra(energies).values.T
    scale = mu.max()
    offset = 1e3 if np.isinf(nuisance.offset_sd) else nuisance.offset_sd
    found = []
    for k, od in enumerate(expected.optical_density(energies)):
        slope = expected.slope(energies)[k]
        counting = np.exp(od) / (plan.efficiency * plan.photons)
        cov = np.diag(counting + (slope * nuisance.energy_sd_eV) ** 2 + nuisance.i0_sd**2)
        cov += offset**2 + nuisance.calibration_sd_eV**2 * np.outer(slope, slope)
        fisher = (mu / scale).T @ np.linalg.solve(cov, mu / scale)
        gradient = expected.gradient[k] / scale
        found.append(gradient @ np.linalg.solve(fisher, gradient))
    return np.array(found)


@pytest.mark.parametrize("nuisance", [COUNTING, ALL, Nuisance(0.05, 0, np.inf, 0)])
def test_prediction_is_that_of_the_whole_covariance(film, nuisance):
    plan = predict(film, [508, 516.8, 532.8, 555], dose_MGy=30.0, nuisance=nuisance)
    assert plan.sd**2 == pytest.approx(closed_form(plan), rel=1e-4)
    everything = np.array(list(plan.by_source.values()))
    assert plan.rms == pytest.approx(np.sqrt((everything**2).sum()))
    if np.isinf(nuisance.offset_sd):
        assert plan.sensitivity.sum(axis=1) == pytest.approx(0, abs=1e-9)


def test_many_sets_at_once_are_predicted_alike(film):
    at = Candidates.of(film, COARSE, ALL, 0.5)
    sets = np.array([[1, 4], [4, 10], [0, 7]])
    photons = np.array([[900.0, 400.0], [1e4, 2e4], [500.0, 500.0]])
    variance, pull = at.evaluate(sets, photons)
    for k, one in enumerate(sets):
        plan = predict(
            film,
            COARSE[one],
            photons=photons[k].sum(),
            shares=photons[k],
            nuisance=ALL,
            efficiency=0.5,
        )
        assert variance[k] == pytest.approx(plan.rms**2, rel=1e-6)
        counting = np.exp(film.optical_density(COARSE[one])) / 0.5
        wanted = film.share @ (plan.sensitivity**2 * counting)
        assert pull[k] == pytest.approx(wanted, rel=1e-6)
        step = photons[k] * [1 + 1e-5, 1]  # the derivative that the search goes by
        numeric = (at.evaluate(one[None], step[None])[0][0] - variance[k]) / (step - photons[k])[0]
        assert -pull[k, 0] / photons[k, 0] ** 2 == pytest.approx(numeric, rel=1e-3)


@pytest.mark.parametrize(
    ("n", "shares", "nuisance", "dose"),
    [
        (2, "equal", ALL, 20.0),
        (3, "equal", ALL, 20.0),
        (3, "equal", COUNTING, 2.0),
        (2, "best", ALL, 200.0),
        (3, "best", Nuisance(0.1, 0.1, np.inf, 0.003), 50.0),
    ],
)
def test_no_set_is_better_than_the_chosen_one(film, n, shares, nuisance, dose):
    options = {"dose_MGy": dose, "shares": shares, "nuisance": nuisance}
    grid = COARSE if n == 2 else COARSE[[0, 2, 4, 6, 7, 8, 10]]
    chosen = choose_energies(film, n, candidates=grid, compare_with={}, **options)
    tried = {}
    for some in combinations(grid, n):
        with suppress(FitError):  # these do not tell the standards apart
            tried[some] = predict(film, some, **options).rms
    best = min(tried, key=tried.get)
    assert chosen.rms == pytest.approx(tried[best], rel=2e-3)
    assert chosen.bound <= chosen.rms


def test_the_search_is_as_good_as_trying_every_pair_and_triple(film):
    pairs = np.round(np.arange(508, 560.05, 0.2), 6)
    triples = np.round(np.arange(514, 542.05, 0.8), 6)
    for n, grid in ((2, pairs), (3, triples)):
        options = {"candidates": grid, "shares": "equal", "compare_with": {}}
        chosen = choose_energies(film, n, dose_MGy=50.0, **options)
        at = Candidates.of(film, grid, Nuisance(), 1.0)
        sets = np.array(list(combinations(range(grid.size), n)))
        tried = at.evaluate(sets, at.even(sets, chosen.absorbed_eV))[0]
        assert chosen.rms**2 == pytest.approx(tried.min(), rel=1e-9)


@pytest.mark.parametrize("nuisance", [COUNTING, ALL])
def test_dose_is_shared_out_as_a_general_optimiser_does(film, nuisance):
    energies = np.array([508.0, 517.2, 518.5, 532.0, 539.0])
    at = Candidates.of(film, energies, nuisance, 1.0)
    everything = np.arange(5)[None]
    budget = 1e7
    even = at.even(everything, budget)
    values = [
        at.evaluate(everything, at.share_out(everything, budget, rounds=k))[0][0] for k in range(25)
    ]
    assert (np.diff(values) <= 1e-12 * values[0]).all()  # every round lowers the same function
    floor = 0.1 * even[0]

    def error(share):
        photons = floor + (budget - floor @ at.cost) * share**2 / (share**2).sum() / at.cost
        return np.log(at.evaluate(everything, photons[None])[0][0])

    found = min(
        (minimize(error, start, method="L-BFGS-B") for start in np.eye(5) + 0.5),
        key=lambda one: one.fun,
    )
    ours = at.share_out(everything, budget, rounds=3000)
    assert (ours * at.cost).sum() == pytest.approx(budget)
    assert (ours >= floor * (1 - 1e-9)).all()
    value = at.evaluate(everything, ours)[0][0]
    assert np.exp(found.fun) * (1 - 1e-6) <= value <= np.exp(found.fun) * (1 + 1e-3)


def test_no_design_beats_the_bound(film):
    rng = np.random.default_rng(1)
    grid = np.arange(510, 558, 1.0)
    at = Candidates.of(film, grid, ALL, 1.0)
    design, bound = at.best_design(1e7)
    everything = np.arange(grid.size)[None]
    own = at.evaluate(everything, design[None])[0][0]
    assert bound**2 <= own <= bound**2 * 1.002
    for _ in range(50):
        share = rng.dirichlet(np.full(grid.size, 0.1)) + 1e-9
        photons = 1e7 * share / share.sum() / at.cost
        assert at.evaluate(everything, photons[None])[0][0] >= bound**2
        mixed = 0.99 * design + 0.01 * photons
        assert at.evaluate(everything, mixed[None])[0][0] >= bound**2


def test_dose_is_absorbed_energy_over_mass(film):
    plan = predict(film, [515.0, 530.0], photons=5000.0, pixel_um=0.02)
    absorbed = kilograms = 0.0
    for share, weights in zip(film.share, film.weights, strict=True):
        od = weights @ film.library.spectra(plan.energies).values
        absorbed += share * (plan.photons * plan.energies * (1 - np.exp(-od))).sum()
        kilograms += share * weights.sum() * 1e-3 * (0.02e-4) ** 2
    assert plan.dose_MGy == pytest.approx(absorbed * JOULE_PER_EV / kilograms / 1e6)
    assert plan.dose_each.sum() == pytest.approx(plan.dose_MGy)
    again = predict(film, [515.0, 530.0], dose_MGy=plan.dose_MGy, pixel_um=0.02)
    assert again.photons == pytest.approx(plan.photons)
    assert plan.skin_MGy > plan.dose_MGy
    thin = predict(film.scaled(1e-4), [515.0, 530.0], photons=5000.0, pixel_um=0.02)
    assert thin.dose_MGy == pytest.approx(thin.skin_MGy, rel=1e-3)
    assert thin.skin_MGy == pytest.approx(plan.skin_MGy)


def test_counting_follows_photons_pixel_and_efficiency(film):
    options = {"dose_MGy": 20.0, "nuisance": COUNTING}
    once = predict(film, [518.5, 539.0], **options).rms
    assert predict(film, [518.5, 539.0], **options, pixel_um=0.02).rms == pytest.approx(once / 2)
    assert predict(film, [518.5, 539.0], **options, efficiency=0.25).rms == pytest.approx(once * 2)
    twice = predict(film, [518.5, 539.0], dose_MGy=40.0, nuisance=COUNTING)
    assert twice.rms == pytest.approx(once / np.sqrt(2))
    assert twice.dwell_ms(1e6) == pytest.approx(twice.photons / 1e3)


def test_wishes_are_kept(film):
    plan = choose_energies(
        film,
        4,
        dose_MGy=30.0,
        always=[508.03],
        within=(512.0, 545.0),
        spacing_eV=3.0,
        highest_od=1.2,
        compare_with={"the paper's": [518.2, 519.4, 555.0]},
    )
    assert plan.energies[0] == 508.03
    assert (np.diff(plan.energies) >= 3 - 1e-6).all()
    assert (plan.energies[1:] >= 512).all()
    assert (plan.energies <= 545).all()
    assert (plan.highest_od <= 1.2).all()
    other = plan.compared["the paper's"]
    assert other.absorbed_eV == pytest.approx(plan.absorbed_eV)
    assert np.ptp(other.photons) == pytest.approx(0)
    assert plan.dose_MGy == pytest.approx(30.0)
    json.dumps(plan.to_dict())
    assert "508.03" in str(plan)
    assert "the paper's" in str(plan)


def test_an_energy_taken_in_any_case_stays_wherever_it_lies(film):
    """It is a poor one, in the middle: the search would like to be rid of it."""
    options = {"dose_MGy": 30.0, "candidates": np.arange(508, 560.1, 0.5), "compare_with": {}}
    plan = choose_energies(film, 3, always=[528.0], **options)
    assert 528.0 in plan.energies
    free = choose_energies(film, 3, **options)
    assert 528.0 not in free.energies
    pair = choose_energies(film, 2, **options)
    assert free.rms <= plan.rms * (1 + 1e-3) <= 1.1 * pair.rms


def test_features_are_peaks_and_shoulders(film):
    features = film.features((512.0, 530.0))
    assert any(abs(features - 515.9) < 0.2)
    assert any(abs(features - 517.2) < 0.2)  # a shoulder
    assert film.scan().size < 250
    compared = choose_energies(film, 2, dose_MGy=20.0).compared
    assert [name.split()[0] for name in compared] == ["features", "a"]


def test_mixtures_lie_where_they_are_said_to(pair):
    six = open_library("lixv2o5-model")
    film = Expected.between(six, 7, thickness_nm=80.0)
    assert film.composition == pytest.approx(np.linspace(0, 0.9, 7))
    assert ((film.mixtures > 0).sum(axis=1) <= 2).all()
    thickness = (film.weights / six.density).sum(axis=1) / 1e-7
    assert thickness == pytest.approx(80.0)
    own = Expected(pair, [[1, 1], [0, 3]], peak_od=1.3, shares=[3, 1])
    peak = own.optical_density(np.arange(500, 570, 0.05)).max(axis=1)
    assert peak == pytest.approx(1.3, rel=1e-6)
    assert own.composition == pytest.approx([0.2, 0.3])
    assert own.share == pytest.approx([0.75, 0.25])
    heavy = Expected(pair, [[1, 1]], areal_mass=30.0)
    assert heavy.mass == pytest.approx(30e-6)


def in_optical_density():
    """Two standards without masses."""
    energy = np.arange(700.0, 720.0, 0.1)
    spectra = [np.exp(-0.5 * (energy - at) ** 2) + 0.1 for at in (708.0, 709.5)]
    both = [Standard(f"s{k}", f"S{k}", float(k), energy, one) for k, one in enumerate(spectra)]
    return Library("od", "OD", "share", tuple(both))


def test_as_many_energies_as_unknowns(film):
    assert fewest_energies(film, Nuisance()) == 2
    assert fewest_energies(film, Nuisance(offset_sd=np.inf)) == 3


def test_standards_without_masses_are_planned_by_photons():
    library = in_optical_density()
    with pytest.raises(LibraryError, match="peak_od"):
        Expected.between(library)
    film = Expected.between(library, peak_od=1.0)
    with pytest.raises(LibraryError, match="no dose"):
        choose_energies(film, 2, dose_MGy=1.0)
    plan = choose_energies(film, 2, photons=1e4)
    assert plan.photons.sum() == pytest.approx(1e4)
    assert np.isnan(plan.dose_MGy)
    assert "nan" not in str(plan)
    both = replace(film, areal_mass=20.0)
    assert choose_energies(both, 2, dose_MGy=10.0).dose_MGy == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda film: predict(film, [518.5], dose_MGy=1.0), "cannot tell 2 standards"),
        (lambda film: predict(film, [518.5, 518.5], dose_MGy=1.0), "twice"),
        (lambda film: predict(film, [518.5, 539.0]), "either a dose"),
        (lambda film: predict(film, [518.5, 539.0], dose_MGy=1.0, photons=1.0), "either a dose"),
        (lambda film: predict(film, [518.5, 539.0], dose_MGy=-1.0), "above 0"),
        (lambda film: predict(film, [518.5, 539.0], dose_MGy=1.0, efficiency=2), "efficiency"),
        (lambda film: predict(film, [518.5, 539.0], dose_MGy=1.0, pixel_um=0), "pixel"),
        (lambda film: predict(film, [518.5, 539.0], dose_MGy=1.0, shares=[1, 0]), "shares"),
        (lambda film: predict(film, [518.5, 539.0], dose_MGy=1.0, shares="all"), "shares"),
        (
            lambda film: predict(
                film, [518.5, 539.0], dose_MGy=1.0, nuisance=Nuisance(offset_sd=np.inf)
            ),
            "free constant",
        ),
        (lambda film: choose_energies(film, 2, dose_MGy=1.0, within=(530, 520)), "no candidate"),
        (
            lambda film: choose_energies(film, 9, dose_MGy=1.0, within=(518, 519)),
            "cannot be chosen",
        ),
        (lambda film: choose_energies(film, 2, dose_MGy=1.0, always=[5.0]), "always"),
        (lambda film: choose_energies(film, 1, dose_MGy=1.0, always=[508, 512]), "always"),
        (lambda film: choose_energies(film, 2, dose_MGy=1.0, highest_od=0.0), "thinner"),
        (lambda film: choose_energies(film, 0, dose_MGy=1.0), "0 energies cannot tell"),
        (lambda film: choose_energies(film, 1, dose_MGy=1.0), "1 energy cannot tell"),
        (lambda film: choose_energies(film, 2, dose_MGy=1.0, shares="all"), "shares"),
        (lambda film: choose_energies(film, 9, dose_MGy=1.0, within=(518, 519.6)), "do not fit"),
        (lambda film: predict(film, [518.5, 539.0], dose_MGy=1.0).dwell_ms(0.0), "flux"),
    ],
)
def test_what_cannot_be_planned_is_said(film, call, words):
    with pytest.raises(FitError, match=words):
        call(film)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"thickness_nm": -1.0}, "positive"),
        ({"mixtures": [[1.0, -1.0]]}, "negative"),
        ({"mixtures": [[1.0, 0.0, 0.0]]}, "column for each"),
        ({"shares": [0.0]}, "shares"),
        ({"thickness_nm": None}, "how much sample"),
    ],
)
def test_impossible_samples_are_refused(pair, options, words):
    with pytest.raises(LibraryError, match=words):
        Expected(pair, **{"mixtures": [[1.0, 1.0]], "thickness_nm": 50.0, **options})


def test_standards_without_density_need_a_mass(pair):
    bare = replace(pair, standards=tuple(replace(s, density=np.nan) for s in pair.standards))
    with pytest.raises(LibraryError, match="density"):
        Expected.between(bare)
    with pytest.raises(LibraryError, match="single standard"):
        Expected(pair.select(pair.names[0]), [[1.0]], thickness_nm=50.0)
    with pytest.raises(LibraryError, match="one sample or more"):
        Expected.between(pair, 0)
