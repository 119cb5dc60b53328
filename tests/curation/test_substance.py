"""Composition, formula, molar mass, table and structure against each other."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chemoscape as cs
from chemoscape.curation import substance
from chemoscape.curation.parts import parts_of
from chemoscape.standards.structure import attach_structure, read_structure

V2O5, *_, LI045, LI07, LI09 = cs.open_library("lixv2o5-model").standards

CIF = """data_v2o5
_chemical_formula_sum 'V2 O5'
_cell_length_a 11.544
_cell_length_b 3.571
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P m m n:1'
_cell_formula_units_Z 2
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
V1 V 0.35118 {y} -0.1083
O1 O 0.3543 {y} -0.469
O2 O 0.1811 {y} 0.003
O3 O 0.5 {y} 0.001
"""


@pytest.mark.parametrize(
    ("variable", "template"),
    [
        ("x in LixV2O5", {"Li": (0, 1), "V": (2, 0), "O": (5, 0)}),
        ("x in Li_{x}V_2O_5", {"Li": (0, 1), "V": (2, 0), "O": (5, 0)}),
        ("x in LiₓV₂O₅", {"Li": (0, 1), "V": (2, 0), "O": (5, 0)}),
        ("y in LiNi1-yCoyO2", {"Li": (1, 0), "Ni": (1, -1), "Co": (0, 1), "O": (2, 0)}),
        ("x in Na2xMnO2", {"Na": (0, 2), "Mn": (1, 0), "O": (2, 0)}),
        ("x in CoxO", {"Co": (0, 1), "O": (1, 0)}),
        ("x in FeOx", {"Fe": (1, 0), "O": (0, 1)}),
        (
            "x in LixFe2(PO4)3",
            {"Li": (0, 1), "Fe": (2, 0), "P": (3, 0), "O": (12, 0)},
        ),
        (
            "x in Li3-xV2(PO4)3",
            {"Li": (3, -1), "V": (2, 0), "P": (3, 0), "O": (12, 0)},
        ),
        (
            "x in Na3-x(VO)2(PO4)2F",
            {"Na": (3, -1), "V": (2, 0), "O": (10, 0), "P": (2, 0), "F": (1, 0)},
        ),
        ("x in Ni(OH)2-x", {"Ni": (1, 0), "O": (2, -1), "H": (2, -1)}),
        ("x in K(Fe(CN)6)x", {"K": (1, 0), "Fe": (0, 1), "C": (0, 6), "N": (0, 6)}),
        ("x in [LiMn2]xO", {"Li": (0, 1), "Mn": (0, 2), "O": (1, 0)}),
        (
            "x in LixNi1/3Co1/3Mn1/3O2",
            {"Li": (0, 1), "Ni": (1 / 3, 0), "Co": (1 / 3, 0), "Mn": (1 / 3, 0), "O": (2, 0)},
        ),
        ("x in Fe1\N{EN DASH}xO", {"Fe": (1, -1), "O": (1, 0)}),
        ("x in Fe1\N{EM DASH}xO", {"Fe": (1, -1), "O": (1, 0)}),
        ("x in Li(1-x)CoO2", {"Li": (1, -1), "Co": (1, 0), "O": (2, 0)}),
        ("x in LixFe(III)O2", {"Li": (0, 1), "Fe": (1, 0), "O": (2, 0)}),
        ("x in LixV2O5, per formula unit", {"Li": (0, 1), "V": (2, 0), "O": (5, 0)}),
        ("x in LixV2O5\N{MIDDLE DOT}nH2O", None),
        ("x in LixV2O5.2H2O", None),
        ("x in LixV(V)2O5", None),
        ("x in (LixV2O5", None),
        ("x in LixV2O5)", None),
        ("x in Nax CoO2", None),
        ("x in Lix(Fe,Mn)PO4", None),
        ("x in (Lix)xO", None),
        ("x in Li1/0xO", None),
        ("n in CnH2n", None),
        ("Fe(II) fraction", None),
        ("composition", None),
        ("x in LiV2O5", None),
        ("x in QqxV2", None),
        ("", None),
    ],
)
def test_variables_are_read(variable, template):
    assert substance.template_of(variable) == template


@settings(max_examples=30, deadline=None, derandomize=True)
@given(x=st.floats(0.0, 1.0), units=st.integers(1, 4))
def test_value_comes_back_from_the_formula(x, units):
    x = round(x, 3)
    template = substance.template_of("x in Li1-xFePO4")
    formula = f"Li{units * (1 - x):.4f}Fe{units}P{units}O{4 * units}"
    assert substance.value_by_formula(formula, template) == pytest.approx(x, abs=1e-3)


@pytest.mark.parametrize("formula", ["VO2", "V2O3", "FePO4", "Li0.3V2O4", "V"])
def test_formula_of_something_else_has_no_value(formula):
    assert np.isnan(substance.value_by_formula(formula, substance.template_of("x in LixV2O5")))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "pass"),
        ({"formula": "Li0.3V2O5"}, "fail"),
        ({"formula": "Li0.9V4O10"}, "pass"),
        ({"formula": "Li0.3V2O5", "value_sd": 0.1}, "pass"),
        ({"formula": "FePO4"}, "fail"),
        ({"formula": "Li0.45V2O5H2O"}, "warn"),
        ({"formula": ""}, "not known"),
        ({"value": np.nan}, "not known"),
    ],
)
def test_value_against_formula(changes, verdict):
    assert substance.check_value(replace(LI045, **changes), "x in LixV2O5").verdict == verdict


@pytest.mark.parametrize(
    ("variable", "formula", "value"),
    [
        ("x in LixFe2(PO4)3", "Li2Fe2(PO4)3", 2.0),
        ("x in Li3-xV2(PO4)3", "LiV2(PO4)3", 2.0),
        ("x in Na3-x(VO)2(PO4)2F", "Na2(VO)2(PO4)2F", 1.0),
        ("x in Ni(OH)2-x", "NiO1.5H1.5", 0.5),
        ("x in LixNi1/3Co1/3Mn1/3O2", "Li0.5Ni0.333Co0.333Mn0.333O2", 0.5),
        ("x in Fe1\N{EN DASH}xO", "Fe0.95O", 0.05),
    ],
)
def test_right_formulas_pass_and_wrong_values_fail(variable, formula, value):
    right = replace(LI045, formula=formula, value=value, value_sd=0.0)
    assert substance.check_value(right, variable).verdict == "pass"
    assert substance.check_value(replace(right, value=value + 0.1), variable).verdict == "fail"


def test_value_of_an_unreadable_variable_is_not_known():
    assert substance.check_value(LI045, "state of charge").verdict == "not known"


def test_molar_mass_against_formula():
    assert substance.check_molar_mass(LI045).verdict == "pass"
    assert substance.check_molar_mass(replace(LI045, formula="LiV3O8")).verdict == "fail"
    assert substance.check_molar_mass(replace(LI045, formula="", molar_mass=np.nan)) is None


@pytest.mark.parametrize(("formula", "verdict"), [("V2O5", "pass"), ("V2O3", "fail")])
def test_spectrum_against_the_table_of_its_formula(formula, verdict):
    one = replace(V2O5, formula=formula)
    assert substance.check_table(one, parts_of(one)).verdict == verdict


def test_noise_is_no_wrong_formula_but_a_wrong_scale_is_wrong_with_noise_too():
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(0, 0.01, V2O5.energy.size)
        noisy = replace(V2O5, spectrum=V2O5.spectrum + noise * V2O5.spectrum.max())
        wrong = replace(noisy, spectrum=1.3 * noisy.spectrum)
        assert substance.check_table(noisy, parts_of(noisy)).verdict == "pass"
        assert substance.check_table(wrong, parts_of(wrong)).verdict == "fail"


def test_optical_densities_have_no_table_and_no_formula_is_not_known():
    od = replace(V2O5, scale="optical_density")
    assert substance.check_table(od, parts_of(od)) is None
    unknown = replace(V2O5, formula="")
    assert substance.check_table(unknown, parts_of(unknown)).verdict == "not known"


@pytest.mark.parametrize(
    ("c", "changes", "verdict"),
    [
        (4.383, {}, "pass"),
        (2.0, {}, "fail"),  # a cell less than half as high: density 7.3
        (4.383, {"formula": "VO2"}, "fail"),
        (4.383, {"density": 3.0}, "fail"),
        (4.383, {"formula": "", "density": np.nan}, "not known"),
    ],
)
def test_structure_against_formula_and_density(tmp_path, c, changes, verdict):
    (tmp_path / "a.cif").write_text(CIF.format(c=c, y=0.5))
    one = replace(V2O5, record=V2O5.record.with_(cif="a.cif"), **changes)
    found = substance.check_structure(one, tmp_path)
    assert found.verdict == verdict, found


def test_coordinates_of_another_origin_are_caught(tmp_path):
    (tmp_path / "a.cif").write_text(CIF.format(c=4.383, y=0.25))
    one = replace(V2O5, record=V2O5.record.with_(cif="a.cif"))
    found = substance.check_structure(one, tmp_path)
    assert found.verdict == "fail"
    assert found.number > 50


def test_structure_that_is_missing_fails_and_none_is_no_finding(tmp_path):
    one = replace(V2O5, record=V2O5.record.with_(cif="a.cif"))
    assert substance.check_structure(one, tmp_path).verdict == "fail"
    assert substance.check_structure(one, None).verdict == "not known"
    assert substance.check_structure(V2O5, tmp_path) is None


def test_lithium_that_diffraction_hardly_sees_is_not_asked_for(tmp_path):
    (tmp_path / "a.cif").write_text(CIF.format(c=4.383, y=0.5))
    one = replace(LI07, density=3.343, record=V2O5.record.with_(cif="a.cif"))
    assert substance.check_structure(one, tmp_path).verdict == "pass"


@pytest.mark.parametrize(
    ("formula", "agrees"),
    [("Al0.2Fe0.8O1.5", True), ("Al0.3Fe0.7O1.5", False), ("Fe2O3", False)],
)
def test_check_and_attaching_compare_formulas_alike(tmp_path, formula, agrees):
    """Both ask `differ`: what is attached without a word passes, what is not fails."""
    text = CIF[: CIF.index("loop_")].replace("V2 O5", "Al0.23 Fe0.77 O1.5").format(c=4.383)
    (tmp_path / "a.cif").write_text(text)
    bare = replace(V2O5, formula=formula, molar_mass=np.nan, density=np.nan)
    structure = read_structure(tmp_path / "a.cif")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        one = attach_structure(bare, "a.cif", structure)
    found = substance.check_structure(replace(one, density=np.nan), tmp_path)
    assert (found.verdict == "pass") == (not said) == agrees
    assert found.threshold == "formula <= 2 %"
