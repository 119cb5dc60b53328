"""Each fault that spoils a library is caught by name; without one, nothing fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.curation.checking import check_library
from chemoscape.standards.writing import save_library

LIBRARY = cs.open_library("lixv2o5-model")
BY_ID = {standard.id: standard for standard in LIBRARY.standards}


def shifted(standard):
    return replace(standard, energy=standard.energy + 0.4)


def mixture(standard):
    first, second = (one for one in ("alpha-V2O5", "epsilon-Li0.7V2O5") if one != standard.id)
    return replace(standard, spectrum=0.4 * BY_ID[first].spectrum + 0.6 * BY_ID[second].spectrum)


def saturated(standard):
    """A film of optical density 4.5 measured with 2 % stray light, and its record says so."""
    thickness = 4.5 / standard.spectrum.max()
    od = -np.log((np.exp(-standard.spectrum * thickness) + 0.02) / 1.02)
    record = standard.record.with_(areal_mass=thickness, max_od=float(od.max()))
    return replace(standard, spectrum=od / thickness, optical_density=od, record=record)


def duplicate(standard):
    other = BY_ID["delta-Li0.9V2O5"]
    return replace(standard, spectrum=1.02 * other.spectrum)


def truncated(standard):
    keep = standard.energy >= 513.0
    return replace(standard, energy=standard.energy[keep], spectrum=standard.spectrum[keep])


def wrong_formula(standard):
    return replace(standard, formula="Li0.6V2O5", molar_mass=np.nan)


FAULTS = {
    "energy axis": shifted,
    "mixture": mixture,
    "optical density": saturated,
    "duplicate": duplicate,
    "energy range": truncated,
    "x and formula": wrong_formula,
}


def test_unspoilt_library_fails_nothing(tmp_path):
    report = check_library(save_library(LIBRARY, tmp_path / "library"))
    assert report.failed == ()
    assert report.warned == ()


@pytest.mark.parametrize("name", ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"])
@pytest.mark.parametrize("check", FAULTS)
def test_fault_is_caught_by_name(tmp_path, check, name):
    spoilt = FAULTS[check](BY_ID[name])
    standards = tuple(spoilt if s.id == name else s for s in LIBRARY.standards)
    library = replace(LIBRARY, standards=standards, energy_window=None)
    report = check_library(save_library(library, tmp_path / "library"))
    caught = [one for one in report.failed if one.check == check]
    named = {name, "delta-Li0.9V2O5"} if check == "duplicate" else {name}
    assert {one.standard for one in caught} == named
    # no other standard is blamed for anything
    assert {one.standard for one in report.failed} <= {*named, ""}
    assert all(one.remedy and one.threshold for one in caught)
    assert name in str(report)


@pytest.mark.parametrize("name", ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"])
@pytest.mark.parametrize(("highest", "check"), [(8.0, "flat top"), (5.0, "compression")])
def test_film_far_too_thick_is_warned_about_though_its_density_was_forgotten(name, highest, check):
    """At an optical density of 5 the others tell, at 8 the peak itself; each says so alone."""
    standard = BY_ID[name]
    thickness = highest / standard.spectrum.max()
    flat = -np.log((np.exp(-thickness * standard.spectrum) + 0.02) / 1.02) / thickness
    bare = replace(standard, spectrum=flat)
    standards = tuple(bare if s.id == name else s for s in LIBRARY.standards)
    report = check_library(replace(LIBRARY, standards=standards))
    warned = {(one.standard, one.check) for one in report.warned}
    both = {"flat top", "compression"}
    assert {one for one in warned if one[1] in both} == {(name, check)}
    assert not {one.check for one in check_library(LIBRARY).warned} & both


def test_hard_case_fails_by_its_condition_number():
    report = check_library("lixv2o5-model-smooth")
    told = report.of("", "condition number")[0]
    assert told.verdict == "fail"
    assert told.number > 10_000
    assert {one.check for one in report.failed} == {"condition number", "mixture"}
    # inner members of a smooth series are what their neighbours make up; its ends are not
    ends = {LIBRARY.names[0], LIBRARY.names[-1]}
    assert not ends & {one.standard for one in report.failed}
