"""Tabulated absorption: published numbers, mixtures, edges, and what the tables do not hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemoscape.errors import LibraryError
from chemoscape.standards.atomic import edges_of, element_absorption, mass_absorption
from chemoscape.standards.mixing import counts_of, mass_fractions, molar_mass


def test_numbers_of_v2o5() -> None:
    at = np.array([508.0, 512.0, 555.0, 560.0])
    np.testing.assert_allclose(
        mass_absorption("V2O5", at), [2206, 2170, 20906, 20468], rtol=0, atol=0.5
    )


def test_henke_is_f2_by_the_optical_theorem() -> None:
    """Photoabsorption cross section 2 r_e lambda f2, with constants written out."""
    import periodictable

    energy = np.array([300.0, 530.0, 700.0])
    _, f2 = periodictable.Fe.xray.scattering_factors(energy=energy / 1000)
    wavelength_cm = 12398.419843 / energy * 1e-8
    expected = 2 * 2.8179403262e-13 * wavelength_cm * f2 * 6.02214076e23 / 55.845
    np.testing.assert_allclose(element_absorption("Fe", energy), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("formula", "energy"),
    [("V2O5", 500.0), ("V2O5", 570.0), ("Fe2O3", 690.0), ("Fe2O3", 750.0), ("Fe", 7000.0)],
)
def test_tables_agree_away_from_edges(formula: str, energy: float) -> None:
    both = [mass_absorption(formula, np.array([energy]), t)[0] for t in ("Henke", "Chantler")]
    assert both[0] == pytest.approx(both[1], rel=0.08)
    assert both[0] != both[1]


@settings(derandomize=True, max_examples=20, deadline=None)
@given(
    x=st.floats(0.1, 3.0), energy=st.floats(100, 2000), table=st.sampled_from(["Henke", "Chantler"])
)
def test_a_compound_is_the_sum_of_its_parts(x: float, energy: float, table: str) -> None:
    """mu M of LixV2O5 = x mu M of Li + mu M of V2O5."""

    def molar(formula: str) -> float:
        return molar_mass(formula) * mass_absorption(formula, np.array([energy]), table)[0]

    x = round(x, 3)
    assert molar(f"Li{x}V2O5") == pytest.approx(x * molar("Li") + molar("V2O5"), rel=1e-6)


def test_values_do_not_depend_on_the_other_energies() -> None:
    energy = np.linspace(500, 560, 61)
    for table in ("Henke", "Chantler"):
        alone = [mass_absorption("V2O5", np.array([e]), table)[0] for e in energy]
        np.testing.assert_allclose(mass_absorption("V2O5", energy, table), alone, rtol=1e-12)


def test_input_is_left_as_it_was() -> None:
    energy = np.array([500.0, 2e6])
    element_absorption("V", energy, "Chantler")
    np.testing.assert_array_equal(energy, [500.0, 2e6])


def test_nan_where_a_table_ends() -> None:
    energy = np.array([-1.0, 0.0, np.nan, 500.0, 5e4, 1e7])
    henke, chantler = (element_absorption("V", energy, t) for t in ("Henke", "Chantler"))
    np.testing.assert_array_equal(np.isfinite(henke), [0, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(np.isfinite(chantler), [0, 0, 0, 1, 1, 0])


@pytest.mark.parametrize("table", ["Henke", "Chantler"])
@pytest.mark.parametrize("energy", [0.0, -5.0, np.nan, 1e6])
def test_energies_outside_are_refused(table: str, energy: float) -> None:
    with pytest.raises(LibraryError, match="does not cover"):
        mass_absorption("V2O5", np.array([500.0, energy]), table)


@pytest.mark.parametrize("table", ["Henke", "Chantler"])
@pytest.mark.parametrize("formula", ["V{5+}2O5", "Li[6]2O", "AmO2"])
def test_what_is_not_tabulated_is_named(formula: str, table: str) -> None:
    with pytest.raises(LibraryError, match="has no element"):
        mass_absorption(formula, np.array([500.0]), table)


def test_edges() -> None:
    assert [edge.name for edge in edges_of("V2O5", 500, 560)] == ["V L3", "V L2", "O K"]
    assert [edge.name for edge in edges_of("Fe2O3", 690, 740)] == ["Fe L3", "Fe L2"]
    assert [edge.name for edge in edges_of("O", 543.1, 543.1)] == ["O K"]
    assert edges_of("V2O5", 545, 560) == ()
    oxygen = edges_of("O", 500, 560)[0]
    assert 0.1 < oxygen.width < 0.2
    with pytest.raises(LibraryError, match="no element '6-Li'"):
        edges_of("Li[6]2O", 0, 1000)
    with pytest.raises(LibraryError, match="no formula"):
        edges_of(" ", 0, 1000)


def test_edges_and_formulas_are_looked_up_once(monkeypatch) -> None:
    import periodictable
    import xraydb

    before = edges_of("V2O5", 0, 1000), mass_fractions("V2O5"), molar_mass("V2O5")

    def never(*_):
        raise AssertionError("asked again")

    monkeypatch.setattr(xraydb, "xray_edges", never)
    monkeypatch.setattr(xraydb, "core_width", never)
    monkeypatch.setattr(periodictable, "formula", never)
    mass_fractions("V2O5").clear()  # what is handed out is the caller's own
    assert (edges_of("V2O5", 0, 1000), mass_fractions("V2O5"), molar_mass("V2O5")) == before


def test_values_that_are_kept_are_nobodys_to_change() -> None:
    energy = np.array([500.0, 560.0])
    first = element_absorption("V", energy)
    kept = first.copy()
    first *= 2
    np.testing.assert_array_equal(element_absorption("V", energy), kept)


def test_counts_are_those_of_the_formula() -> None:
    assert counts_of("Li0.45 V2 O5") == {"Li": 0.45, "V": 2, "O": 5}
    assert counts_of("(CH3)2CO") == {"C": 3, "H": 6, "O": 1}


@pytest.mark.parametrize(("formula", "match"), [("", "no formula"), ("V0", "holds no atoms")])
def test_formula_without_atoms_is_refused_each_time(formula: str, match: str) -> None:
    for of in (counts_of, mass_fractions, mass_fractions):
        with pytest.raises(LibraryError, match=match):
            of(formula)
