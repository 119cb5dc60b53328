"""Thickness of simulated films, its bias, and whether the stated uncertainty covers the truth.

The shipped spectra were put on the table in these very windows, so a film made from them only shows
that the fit undoes that. Three other truths are not circular: the sum of atomic background and
resonances that the model makes before it is scaled (the wings of resonances reach into both
windows), the same with an EXAFS-like oscillation behind the oxygen edge, and Chantler's table.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy.special import voigt_profile
from truth_table import Reach

from chemoscape.standards import model
from chemoscape.standards.atomic import mass_absorption
from chemoscape.standards.folder import open_library
from chemoscape.standards.mass_scale import fit_mass_scale, scaled, thickness_nm
from chemoscape.standards.mixing import amounts, mass_fractions, mean_composition
from chemoscape.standards.standard import Standard

ENERGY = np.round(np.arange(508, 560.01, 0.25), 3)
LINE = (ENERGY - 534) / 26  # -1 to 1 over the range
PHASES = range(len(model.PHASES))
NAMES = [phase[0] for phase in model.PHASES]
NOISE = 0.005


@lru_cache
def unscaled(phase: int) -> np.ndarray:
    """Background and resonances of the model (cm2/g) as they are before they meet the table."""
    _, _, x, formula = model.PHASES[phase]
    share = mass_fractions(formula)["V"] / mass_fractions("V2O5")["V"]
    total = model.background(x, ENERGY)
    for peak in model.jittered_peaks(phase):
        total = total + share * peak.area * voigt_profile(
            ENERGY - peak.centre, peak.gauss / 2.3548, peak.lorentz / 2
        )
    total.flags.writeable = False
    return total


def rippled(mu: np.ndarray, angle: float, amplitude: float = 0.03) -> np.ndarray:
    """With sin(2 k R) of neighbours 1.8 Å away behind the oxygen edge."""
    k = np.sqrt(0.2625 * np.clip(ENERGY - 532.0, 0, None))
    return mu * (1 + np.where(ENERGY > 540, amplitude * np.sin(2 * k * 1.8 + angle), 0.0))


def areal_mass(phase: int, nm: float = 50.0) -> float:
    return model.density(model.PHASES[phase][3]) * nm * 1e-7


def error(od: np.ndarray, phase: int, nm: float = 50.0, **options) -> float:
    """Relative error of the thickness."""
    formula = model.PHASES[phase][3]
    scale = fit_mass_scale(ENERGY, od, formula, **options)
    return thickness_nm(scale.areal_mass, model.density(formula)) / nm - 1


def covered(errors: np.ndarray, sds: np.ndarray) -> tuple[float, float]:
    """Share of errors within 1 and within 1.96 standard deviations."""
    return float((np.abs(errors) <= sds).mean()), float((np.abs(errors) <= 1.96 * sds).mean())


@pytest.mark.parametrize("phase", PHASES, ids=NAMES)
def test_shipped_films(phase: int, reach: Reach) -> None:
    """Clean: within 0.1 % (3 % is asked for). Slopes of 0.02: 12 %, as closed form and prototype.

    The step of a 50 nm film is 0.311, the slope adds 0.02 · 48 / 26 = 0.037 to it.
    """
    standard = open_library("lixv2o5-model").standards[phase]
    od = areal_mass(phase) * np.interp(ENERGY, standard.energy, standard.spectrum)
    reach("mass scale", "error of thickness, clean", abs(error(od, phase)), most=0.001, aim=0.03)
    assert error(od + 0.05, phase) == pytest.approx(error(od, phase), abs=1e-9)
    scale = fit_mass_scale(ENERGY, od, standard.formula)
    for sign in (-1, 1):
        off = error(od + sign * 0.02 * LINE, phase)
        assert sign * off > 0.11
        what = "error of thickness, ±0.02 of slope over 508 to 560 eV"
        reach("mass scale", what, abs(off), most=0.12, aim=0.11)
        what = "that error over the stated uncertainty"
        reach("mass scale", what, abs(off) / scale.uncertainty, most=1.01, aim=1.0)


@pytest.mark.parametrize("phase", PHASES, ids=NAMES)
def test_shipped_films_over_the_whole_range(phase: int, reach: Reach) -> None:
    """All energies of the files, 500 to 570 eV, with the windows the library was scaled in: the
    same ±0.02 is a gentler slope, and stays within 11 %.
    """
    standard = open_library("lixv2o5-model").standards[phase]
    line = (standard.energy - 535) / 35
    for windows, clean, bent in ((model.SCALE_WINDOWS, 0.001, 0.09), (None, 0.005, 0.117)):
        for sign, limit in ((0, clean), (-1, bent), (1, bent)):
            od = areal_mass(phase) * standard.spectrum + sign * 0.02 * line
            found = fit_mass_scale(standard.energy, od, standard.formula, windows=windows)
            off = abs(found.areal_mass / areal_mass(phase) - 1)
            assert off < limit
            if sign and windows is not None:
                what = "error of thickness, ±0.02 of slope over 500 to 570 eV"
                reach("mass scale", what, off, most=0.09, aim=0.11)


@pytest.mark.parametrize("phase", PHASES, ids=NAMES)
def test_films_that_never_saw_the_table(phase: int) -> None:
    """Wings: 0.4 % at most. An oscillation of 3 %: up to 3.4 %. Chantler as truth: -2.7 %."""
    formula = model.PHASES[phase][3]
    mu = unscaled(phase)
    assert abs(error(areal_mass(phase) * mu, phase)) < 0.004
    ripples = [
        error(areal_mass(phase) * rippled(mu, a), phase) for a in np.linspace(0, 2 * np.pi, 25)
    ]
    assert 0.028 < max(ripples) < 0.036
    assert -0.038 < min(ripples) < -0.028
    chantler = areal_mass(phase) * mass_absorption(formula, ENERGY, "Chantler")
    scale = fit_mass_scale(ENERGY, chantler, formula)
    assert -0.03 < error(chantler, phase) < -0.02
    assert -error(chantler, phase) == pytest.approx(abs(scale.table_difference), rel=0.05)
    assert abs(error(chantler, phase, table="Chantler")) < 1e-9


def test_noise_and_slopes_are_covered() -> None:
    """Slopes from the distribution assumed, noise given: 68 and 95 % do what they say."""
    rng = np.random.default_rng(0)
    library = open_library("lixv2o5-model").spectra(ENERGY).values
    errors, sds = [], []
    for trial in range(1000):
        phase = trial % len(PHASES)
        truth = areal_mass(phase)
        od = truth * library[phase] + 0.02 * rng.normal() * LINE + rng.normal(0, NOISE, ENERGY.size)
        scale = fit_mass_scale(ENERGY, od, model.PHASES[phase][3], sd=NOISE, fine_structure=0)
        errors.append(scale.areal_mass - truth)
        sds.append(scale.uncertainty * scale.areal_mass)
    one, two = covered(np.array(errors), np.array(sds))
    assert 0.64 < one < 0.73
    assert 0.93 < two < 0.97


@pytest.mark.parametrize(
    ("step", "known", "expected"),
    [(0.25, True, (0.68, 0.95)), (0.25, False, (0.69, 0.95)), (1.0, False, (0.72, 0.95))],
)
def test_noise_alone_is_covered(step: float, known: bool, expected: tuple[float, float]) -> None:
    """Also from the scatter of four points and six, where the sd itself is poorly known."""
    rng = np.random.default_rng(1)
    energy = np.round(np.arange(508, 560.01, step), 3)
    clean = areal_mass(0) * mass_absorption("V2O5", energy)
    errors, sds = [], []
    for _ in range(1000):
        od = clean + rng.normal(0, NOISE, energy.size)
        scale = fit_mass_scale(energy, od, "V2O5", sd=NOISE if known else None)
        errors.append(scale.areal_mass - areal_mass(0))
        sds.append(scale.noise * scale.areal_mass)
    one, two = covered(np.array(errors), np.array(sds))
    assert one == pytest.approx(expected[0], abs=0.045)
    assert two == pytest.approx(expected[1], abs=0.025)


@pytest.mark.parametrize("nm", [50.0, 500.0])
@pytest.mark.parametrize("truth", ["model", "Chantler"])
def test_solids_are_covered(truth: str, nm: float) -> None:
    """Wings, a 3 % oscillation of any phase, slopes and noise together; also where the film is so
    thick that no background hides the oscillation, and where the other table is the truth.
    """
    rng = np.random.default_rng(2)
    formulas = [phase[3] for phase in model.PHASES]
    solids = [
        unscaled(phase) if truth == "model" else mass_absorption(formulas[phase], ENERGY, truth)
        for phase in PHASES
    ]
    found = []
    for trial in range(480):
        phase = trial % len(PHASES)
        od = areal_mass(phase, nm) * rippled(solids[phase], rng.uniform(0, 2 * np.pi))
        od = od + 0.02 * rng.normal() * LINE + rng.normal(0, NOISE, ENERGY.size)
        scale = fit_mass_scale(ENERGY, od, formulas[phase])
        sd = scale.uncertainty if truth == "model" else scale.relative_sd
        without = np.hypot(scale.noise, scale.background)
        off = scale.areal_mass / areal_mass(phase, nm) - 1
        found.append([off, sd * (1 + off), without * (1 + off)])
    errors, sds, without = np.array(found).T
    one, two = covered(errors, sds)
    assert 0.62 < one < 0.82
    assert two > 0.93
    if nm > 100:
        assert covered(errors, without)[0] < 0.5  # why there is a term for fine structure


def test_one_to_one_in_formula_units() -> None:
    """Standards from films of different thickness and background, neither made from the table;
    a pixel with one formula unit of each comes out as 1:1 within 0.5 %.
    """
    standards, truth = [], []
    for phase, nm, constant in ((0, 40.0, 0.05), (5, 70.0, -0.03)):
        identity, label, x, formula = model.PHASES[phase]
        od = areal_mass(phase, nm) * unscaled(phase) + constant
        one = Standard(identity, label, x, energy=ENERGY, spectrum=od, formula=formula)
        standards.append(scaled(one, fit_mass_scale(ENERGY, od, formula)))
        truth.append(standards[-1].molar_mass * unscaled(phase))
    pixel = 1e-7 * (truth[0] + truth[1])
    design = np.stack([*(s.spectrum for s in standards), np.ones_like(ENERGY)], axis=1)
    weights = np.linalg.lstsq(design, pixel, rcond=None)[0][:2]
    mass = np.array([s.molar_mass for s in standards])
    units = amounts(weights, mass)
    assert units[0] / units[1] == pytest.approx(1, abs=0.005)
    x = np.array([s.value for s in standards])
    assert mean_composition(weights, x, mass).value == pytest.approx(0.45, abs=0.001)
