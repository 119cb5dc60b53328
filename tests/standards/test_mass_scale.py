"""Areal mass from an optical density: windows, closed forms, refusals, and the scaled standard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemoscape.errors import LibraryError
from chemoscape.standards import mass_scale
from chemoscape.standards.atomic import mass_absorption
from chemoscape.standards.mass_scale import (
    MassScale,
    agreement,
    fit_mass_scale,
    fit_standard,
    scaled,
    thickness_nm,
)
from chemoscape.standards.mixing import amounts, mean_composition, molar_mass
from chemoscape.standards.record import Record
from chemoscape.standards.standard import Standard

ENERGY = np.round(np.arange(508, 560.01, 0.25), 3)
WINDOWS = ((508.0, 511.0), (555.0, 560.0))
AREAL = 1.68e-5  # 50 nm of V2O5


def film(formula: str = "V2O5", energy: np.ndarray = ENERGY, constant: float = 0.0) -> np.ndarray:
    return AREAL * mass_absorption(formula, energy) + constant


@pytest.mark.parametrize(
    ("formula", "low", "high", "step", "windows"),
    [
        ("V2O5", 508, 560, 0.25, WINDOWS),
        ("V2O5", 508, 560, 1.0, WINDOWS),
        ("Li0.45V2O5", 500, 570, 0.25, ((508, 511), (565, 570))),
        ("Fe2O3", 690, 740, 0.5, ((702, 705), (735, 740))),
        ("C8H8", 278, 330, 0.5, ((279, 282), (325, 330))),
        ("TiO2", 448, 562, 0.5, ((449.5, 452.5), (557, 562))),
        ("SiO2", 510, 580, 0.5, ((522.5, 525.5), (575, 580))),  # the table's O K stands at 543
        ("LiCoO2", 760, 820, 0.5, ((771, 774), (815, 820))),
        ("LaMnO3", 620, 680, 0.5, ((634.5, 637.5), (675, 680))),
    ],
)
def test_windows_of_substances(formula, low, high, step, windows) -> None:
    energy = np.arange(low, high + step / 2, step)
    scale = fit_mass_scale(energy, film(formula, energy, 0.03), formula)
    np.testing.assert_allclose(scale.windows, windows, atol=1e-9)
    assert scale.areal_mass == pytest.approx(AREAL, rel=1e-9)
    assert scale.constant == pytest.approx(0.03, abs=1e-9)
    assert scale.noise < 1e-9
    assert all(type(bound) is float for window in scale.windows for bound in window)


def test_iron_foil() -> None:
    energy = np.arange(6900.0, 7401.0, 5.0)
    scale = fit_mass_scale(energy, 4e-3 * mass_absorption("Fe", energy) + 0.2, "Fe")
    assert scale.areal_mass == pytest.approx(4e-3, rel=1e-9)
    assert scale.windows[0][1] < 7105
    assert scale.windows[1] == (7363.0, 7400.0)
    assert thickness_nm(scale.areal_mass, 7.874) == pytest.approx(5080, rel=1e-3)


def test_an_upper_window_below_the_next_edge_will_do() -> None:
    """Data that end inside the Fe edge still hold an oxygen edge with room on both sides."""
    energy = np.arange(515.0, 720.0, 0.5)
    scale = fit_mass_scale(energy, film("Fe2O3", energy), "Fe2O3")
    assert scale.windows == ((522.5, 525.5), (700.0, 705.0))


def test_coarse_lower_window_grows_to_ten_ev() -> None:
    energy = np.r_[502.0, 506.0, 510.0, np.arange(512.0, 560.1, 1.0)]
    assert fit_mass_scale(energy, film(energy=energy), "V2O5").windows[0] == (502.0, 510.0)
    energy[0] = 499.0
    with pytest.raises(LibraryError, match="3 energies close below 511 eV"):
        fit_mass_scale(energy, film(energy=energy), "V2O5")


def test_each_window_weighs_the_same() -> None:
    """Against weighted least squares by another routine, with unequal numbers of points."""
    rng = np.random.default_rng(1)
    energy = np.r_[508:511:4j, 530.0, 555:560:40j]
    od = film(energy=energy) + rng.normal(0, 0.01, energy.size)
    scale = fit_mass_scale(energy, od, "V2O5")
    pre, post = energy < 512, energy > 550
    used = pre | post
    weight = np.where(pre, 1 / pre.sum(), 1 / post.sum())[used]
    slope, constant = np.polyfit(
        mass_absorption("V2O5", energy[used]), od[used], 1, w=np.sqrt(weight)
    )
    assert scale.areal_mass == pytest.approx(slope, rel=1e-9)
    assert scale.constant == pytest.approx(constant, rel=1e-9)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(factor=st.floats(0.5, 20), constant=st.floats(-0.5, 0.5), slope=st.floats(-0.05, 0.05))
def test_laws_of_the_estimator(factor: float, constant: float, slope: float) -> None:
    """Linear in the film, blind to a constant, and off by a slope as `background` says."""
    line = slope * (ENERGY - 534) / 26
    clean = fit_mass_scale(ENERGY, factor * film(), "V2O5", background_od=abs(slope))
    bent = fit_mass_scale(ENERGY, factor * film(constant=0) + constant + line, "V2O5")
    assert clean.areal_mass == pytest.approx(factor * AREAL, rel=1e-9)
    assert bent.areal_mass - clean.areal_mass == pytest.approx(
        np.sign(slope) * clean.background * clean.areal_mass, abs=1e-12
    )


def test_uncertainties_in_closed_form() -> None:
    """Two flat windows would give sd sqrt(1/n + 1/m) / jump, and slope * distance / jump."""
    scale = fit_mass_scale(ENERGY, film(), "V2O5", sd=0.005)
    jump = film()[-21:].mean() - film()[:13].mean()
    assert scale.noise == pytest.approx(0.005 * np.sqrt(1 / 13 + 1 / 21) / jump, rel=0.01)
    assert scale.background == pytest.approx(0.02 * (557.5 - 509.5) / 26 / jump, rel=0.01)
    assert scale.fine_structure == pytest.approx(0.026 * film()[-21:].mean() / jump, rel=0.01)
    other = fit_mass_scale(ENERGY, film(), "V2O5", table="Chantler")
    assert scale.table_difference == pytest.approx(other.areal_mass / AREAL - 1, rel=1e-9)
    assert 0.01 < abs(scale.table_difference) < 0.05
    assert other.table_difference * scale.table_difference < 0
    assert scale.uncertainty == pytest.approx(
        np.sqrt(scale.noise**2 + scale.background**2 + scale.fine_structure**2)
    )
    assert scale.relative_sd == pytest.approx(np.hypot(scale.uncertainty, scale.table_difference))


def test_sd_by_energy_and_sd_of_scatter() -> None:
    rng = np.random.default_rng(2)
    od = film() + rng.normal(0, 0.01, ENERGY.size)
    varying = np.where(ENERGY < 530, 0.0, 0.01)
    given = fit_mass_scale(ENERGY, od, "V2O5", sd=varying)
    assert given.noise < fit_mass_scale(ENERGY, od, "V2O5", sd=0.01).noise
    assert given.noise == pytest.approx(fit_mass_scale(ENERGY, od, "V2O5").noise, rel=0.6)


def test_few_points_that_scatter_more_than_the_others_count_as_they_do() -> None:
    """3 points below the edge with four times the noise of 51 above it."""
    energy = np.r_[508, 509.5, 511, np.arange(512, 548, 2.0), np.arange(555, 560.01, 0.1)]
    rng = np.random.default_rng(0)
    for low, high in ((0.02, 0.005), (0.01, 0.01)):
        sd = np.where(energy < 530, low, high)
        found = [
            fit_mass_scale(energy, film(energy=energy) + rng.normal(0, sd), "V2O5")
            for _ in range(200)
        ]
        off = np.array([one.areal_mass / AREAL - 1 for one in found])
        said = np.array([one.noise for one in found])
        assert 0.6 < np.mean(np.abs(off) < said) < 0.8
        assert np.median(said) < 2 * off.std()


@pytest.mark.parametrize(
    ("formula", "low", "high"), [("LiNi0.8Co0.1Mn0.1O2", 630, 680), ("LiFePO4", 40, 100)]
)
def test_tables_that_fall_across_the_range_are_named(formula, low, high) -> None:
    energy = np.arange(low, high + 0.1, 0.25)
    with pytest.raises(LibraryError, match=r"absorption does not rise .* from a constant"):
        fit_mass_scale(energy, film(formula, energy), formula)


def test_resonances_above_light_k_edges_are_kept_out() -> None:
    energy = np.arange(278, 310.1, 0.25)
    with pytest.raises(LibraryError, match=r"measure from 279 to 319 eV"):
        fit_mass_scale(energy, film("C8H8", energy), "C8H8")
    energy = np.arange(278, 330.1, 0.25)
    with pytest.raises(LibraryError, match="300-310 eV enters"):
        fit_mass_scale(energy, film("C8H8", energy), "C8H8", windows=((279, 282), (300, 310)))
    resonances = 0.4 * np.exp(-(((energy - 293) / 3.5) ** 2) / 2)
    scale = fit_mass_scale(energy, film("C8H8", energy) + resonances, "C8H8")
    assert scale.areal_mass == pytest.approx(AREAL, rel=3e-3)


def test_what_is_not_finite_is_left_out() -> None:
    od = film(constant=0.1)
    od[[2, 5, 100, -1]] = [np.nan, np.inf, np.nan, np.nan]
    before = od.copy()
    scale = fit_mass_scale(ENERGY, od, "V2O5", sd=np.where(np.isnan(od), np.nan, 0.01))
    assert scale.areal_mass == pytest.approx(AREAL, rel=1e-9)
    np.testing.assert_array_equal(od, before)
    with pytest.raises(LibraryError, match="of no energy there are 0 and 0"):
        fit_mass_scale(ENERGY, np.full(ENERGY.shape, np.nan), "V2O5")


@pytest.mark.parametrize(
    ("windows", "sentence"),
    [
        (((508, 512), (555, 560)), r"508-512 eV enters 511.5-548.1 eV"),
        (((508, 511), (545, 560)), r"545-560 eV enters 511.5-548.1 eV"),
        (((508, 511), (525, 526)), r"525-526 eV enters 511.5-548.1 eV"),
        (((508, 509.0), (509.5, 511.0)), "no edge between 509 and 509.5 eV"),
        (((510.9, 511), (555, 560)), "lower window 510.9-511 eV holds 1 energies, and 3 are"),
        (((508, 511), (559.5, 560)), "upper window 559.5-560 eV holds 3 energies, and 4 are"),
        (((511, 508), (555, 560)), "the windows are"),
        ((508, 511), "the windows are"),
        ("pre", "the windows are"),
    ],
)
def test_windows_that_are_refused(windows, sentence) -> None:
    with pytest.raises(LibraryError, match=sentence):
        fit_mass_scale(ENERGY, film(), "V2O5", windows=windows)


def test_windows_that_are_given() -> None:
    scale = fit_mass_scale(ENERGY, film(), "V2O5", windows=[[508, 511.5], [549, 560]])
    assert scale.windows == ((508.0, 511.5), (549.0, 560.0))
    assert scale.areal_mass == pytest.approx(AREAL, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"energy": ENERGY[20:]}, "close below 511 eV and 4 above 555 eV .* there are 0 and 21; m"),
        ({"energy": ENERGY[:150]}, "there are 13 and 0; measure from 508 to 560 eV"),
        ({"energy": ENERGY[40:]}, "close below 511 eV"),
        ({"energy": ENERGY[::-1]}, "do not ascend"),
        ({"energy": ENERGY[:1]}, "1 energies"),
        ({"formula": "Fe2O3", "energy": np.arange(600.0, 650.0)}, "no edge between 600 and 649"),
        ({"formula": ""}, "no formula"),
        ({"formula": "Xy2"}, "cannot be read"),
        ({"formula": "V{5+}2O5"}, "no element"),
        ({"sd": -0.1}, "sd is negative"),
        ({"sd": np.full(ENERGY.shape, np.nan)}, "sd is negative or not a number"),
        ({"sd": [0.1, 0.2]}, "sd has 2 values"),
        ({"background_od": -1.0}, "background_od is -1"),
        ({"fine_structure": np.nan}, "fine_structure is nan"),
        ({"od": np.zeros(ENERGY.size)}, "does not rise"),
        ({"od": -film()}, "does not rise"),
        ({"od": np.zeros(3)}, "3 optical densities"),
    ],
)
def test_what_cannot_be_scaled(change, sentence) -> None:
    change = dict(change)
    energy = change.pop("energy", ENERGY)
    formula = change.pop("formula", "V2O5")
    od = change.pop("od", np.interp(energy, ENERGY, film()))
    with pytest.raises(LibraryError, match=sentence):
        fit_mass_scale(energy, od, formula, **change)


def test_no_second_table(monkeypatch) -> None:
    """Without one the tables' own error is unknown, which is not zero."""
    known = mass_absorption

    def henke_only(formula, energy, table="Henke"):
        if table == "Chantler" and energy.size < 40:
            raise LibraryError("ends there")
        return known(formula, energy, table)

    monkeypatch.setattr(mass_scale, "mass_absorption", henke_only)
    scale = fit_mass_scale(ENERGY, film(), "V2O5")
    assert np.isnan(scale.table_difference)
    assert np.isnan(scale.relative_sd)
    assert scale.uncertainty > 0


@pytest.mark.parametrize("density", [0.0, -1.0, np.nan, np.inf])
def test_density_that_is_none(density: float) -> None:
    with pytest.raises(LibraryError, match="density"):
        thickness_nm(1e-5, density)


def standard(**changes) -> Standard:
    given = {
        "energy": ENERGY,
        "spectrum": film(constant=0.05),
        "spectrum_sd": np.full(ENERGY.shape, 0.01),
        "formula": "V2O5",
        "record": Record(remarks="kept").with_(beamline="kept too"),
    }
    return Standard("v", "V", 0.0, **{**given, **changes})


def test_fit_of_a_standard_and_its_errors_by_name() -> None:
    one = standard()
    direct = fit_mass_scale(one.energy, one.spectrum, "V2O5", sd=one.spectrum_sd)
    assert fit_standard(one) == direct
    assert fit_standard(one, windows=WINDOWS, table="Chantler").table == "Chantler"
    assert fit_standard(one, sd=0.02).noise == pytest.approx(2 * direct.noise)
    for wrong, sentence in (
        (standard(formula=""), "standard 'v': has no formula"),
        (scaled(one, direct), "standard 'v': is in cm2/g already"),
        (standard(formula="Fe"), "standard 'v'.*no edge between"),
    ):
        with pytest.raises(LibraryError, match=sentence):
            fit_standard(wrong)


def test_scaled_standard() -> None:
    before = standard()
    scale = fit_mass_scale(before.energy, before.spectrum, "V2O5", sd=before.spectrum_sd)
    after = scaled(before, scale)
    assert after.scale == "mass_absorption"
    np.testing.assert_allclose(after.spectrum, mass_absorption("V2O5", ENERGY), rtol=1e-9)
    np.testing.assert_allclose(after.spectrum_sd, 0.01 / AREAL, rtol=1e-9)
    np.testing.assert_array_equal(after.optical_density, before.spectrum)
    np.testing.assert_array_equal(after.optical_density_sd, before.spectrum_sd)
    assert after.molar_mass == pytest.approx(181.88, abs=0.01)
    said = after.record.scaling
    assert (said.table, said.windows) == ("Henke", "508-511, 555-560 eV")
    assert (said.areal_mass, said.constant) == (scale.areal_mass, scale.constant)
    assert said.uncertainty == scale.uncertainty
    assert after.scale_sd == pytest.approx(np.hypot(scale.noise, scale.fine_structure))
    assert (said.background, said.background_od) == (scale.background, scale.background_od)
    assert said.background_od == 0.02
    assert said.table_difference == scale.table_difference
    assert (after.record.remarks, after.record.measurement.beamline) == ("kept", "kept too")
    assert before.scale == "optical_density"
    assert agreement(after) == pytest.approx((1.0, 1.0), abs=1e-6)
    assert scaled(standard(spectrum_sd=None, molar_mass=5.0), scale).molar_mass == 5.0
    with pytest.raises(LibraryError, match="already"):
        scaled(after, scale)
    with pytest.raises(LibraryError, match="no formula"):
        scaled(standard(formula=""), scale)


def test_agreement() -> None:
    energy = np.round(np.arange(500, 560.01, 0.25), 3)
    spectrum = mass_absorption("V2O5", energy) * np.where(energy < 530, 1.2, 0.9)
    one = standard(energy=energy, spectrum=spectrum, spectrum_sd=None, scale="mass_absorption")
    assert agreement(one) == pytest.approx((1.2, 0.9))
    assert agreement(one, ((500, 505), (556, 560))) == pytest.approx((1.2, 0.9))
    below, above = agreement(one, table="Chantler")
    assert below == pytest.approx(1.2, rel=0.05)
    assert below != pytest.approx(1.2, rel=1e-4)
    assert above == pytest.approx(0.9, rel=0.05)
    with pytest.raises(LibraryError, match="is in optical density"):
        agreement(standard())
    with pytest.raises(LibraryError, match="enters"):
        agreement(one, ((508, 513), (555, 560)))
    with pytest.raises(LibraryError, match="no formula"):
        agreement(standard(scale="mass_absorption", formula=" "))


def test_equal_numbers_of_two_formulas_come_back_equal() -> None:
    """Eq. 6: films of two standards, each with its thickness, and a pixel with one of each.

    TiO2 and V2O5 weigh 80 and 182 g/mol; optical densities, or areal masses, would not give 1:1.
    """
    energy = np.round(np.arange(448, 600.1, 0.5), 3)
    formulas = ("TiO2", "V2O5")
    mu = np.stack([mass_absorption(f, energy) for f in formulas])
    standards = []
    for k, (formula, areal) in enumerate(zip(formulas, (1.1e-5, 2.3e-5), strict=True)):
        od = areal * mu[k] + 0.04 * (k + 1)
        one = Standard(formula, formula, float(k), energy=energy, spectrum=od, formula=formula)
        standards.append(scaled(one, fit_mass_scale(energy, od, formula)))
    mass = np.array([molar_mass(f) for f in formulas])
    pixel = 1e-7 * (mass[0] * mu[0] + mass[1] * mu[1])
    design = np.stack([s.spectrum for s in standards], axis=1)
    weights = np.linalg.lstsq(design, pixel, rcond=None)[0]
    np.testing.assert_allclose(weights, 1e-7 * mass, rtol=1e-6)
    here = np.array([s.molar_mass for s in standards])
    np.testing.assert_allclose(amounts(weights, here), 1e-7, rtol=1e-6)
    assert mean_composition(weights, np.array([0.0, 1.0]), here).value == pytest.approx(0.5)


def test_scale_is_frozen() -> None:
    scale = MassScale(1e-5, 0.0, WINDOWS, "Henke", 0.03, 0.04, 0.12)
    assert scale.uncertainty == pytest.approx(0.05)
    assert scale.relative_sd == pytest.approx(0.13)
    with pytest.raises(AttributeError):
        scale.areal_mass = 1.0
