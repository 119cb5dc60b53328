"""A whole library, read as far as it can be, and checks of what is known of a standard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.curation import single
from chemoscape.curation.calibrating import calibrated
from chemoscape.curation.checking import check_library
from chemoscape.decompose.calibration import Anchor
from chemoscape.standards.library import Library
from chemoscape.standards.record import Record
from chemoscape.standards.standard import Standard
from chemoscape.standards.writing import save_library

LIBRARY = cs.open_library("lixv2o5-model")
ALPHA = LIBRARY.standards[0]
COMPLETE = Record().with_(
    licence="CC-BY-4.0",
    edges="V L3, V L2, O K",
    facility="A ring",
    beamline="1.2.3",
    anchor="O2 pi*",
    anchor_eV=530.9,
    reference="a paper",
    uncertainty_eV=0.03,
    max_od=1.1,
    orientation="b along y",
    polarisation="linear, 0 deg",
    rank=1,
    uncertainty=0.03,
    status="reviewed",
    reviewer="A. Reader",
)


def measured(**changes):
    return replace(ALPHA, kind="measured", record=COMPLETE.with_(**changes))


def found(standard, check):
    return next(f for f in single.check_standard(standard, "x in LixV2O5") if f.check == check)


def test_complete_standard_passes_everything():
    assert {f.verdict for f in single.check_standard(measured(), "x in LixV2O5")} == {"pass"}


@pytest.mark.parametrize(
    ("changes", "check", "verdict"),
    [
        ({"status": "rejected"}, "status", "fail"),
        ({"reviewer": ""}, "status", "fail"),
        ({"status": "draft"}, "status", "warn"),
        ({"beamline": ""}, "required fields", "fail"),
        ({"beamline": "", "status": "draft"}, "required fields", "warn"),
        ({"edges": ""}, "required fields", "fail"),
        ({"uncertainty_eV": 0.1}, "calibration", "fail"),
        ({"uncertainty_eV": 0.1, "status": "draft"}, "calibration", "warn"),
        ({"uncertainty_eV": np.nan, "status": "draft"}, "calibration", "warn"),
        ({"anchor": "", "reference": "", "status": "draft"}, "calibration", "warn"),
        ({"orientation": ""}, "orientation", "not known"),
        ({"max_od": np.nan}, "optical density", "not known"),
        ({"rank": np.nan}, "rank", "not known"),
        ({"rank": 2.0}, "rank", "fail"),
    ],
)
def test_each_thing_that_can_be_missing(changes, check, verdict):
    told = found(measured(**changes), check)
    assert told.verdict == verdict
    assert told.remedy


def test_missing_fields_are_named_and_the_librarys_licence_counts():
    bare = replace(measured(licence=""), density=np.nan, value=np.nan)
    told = found(bare, "required fields").detail
    assert all(word in told for word in ("licence", "density", "value"))
    assert "licence" not in single.check_fields(bare, "CC0").detail


def test_synthetic_standards_say_so_and_are_asked_for_no_measurement():
    findings = single.check_standard(ALPHA, "x in LixV2O5")
    assert {f.verdict for f in findings} == {"pass"}
    assert "SYNTHETIC" in next(f for f in findings if f.check == "kind").detail
    thick = replace(ALPHA, record=ALPHA.record.with_(max_od=3.0))
    assert found(thick, "optical density").verdict == "fail"


def test_folder_is_read_as_far_as_it_can_be(tmp_path):
    folder = save_library(LIBRARY, tmp_path / "mine")
    with (folder / "alpha-V2O5.xdi").open("a") as file:
        file.write("  600.0  1.0\n")
    (folder / "delta-Li0.9V2O5.xdi").unlink()
    report = check_library(folder)
    assert {(f.standard, f.check) for f in report.failed} == {
        ("alpha-V2O5", "readable"),
        ("delta-Li0.9V2O5", "readable"),
    }
    assert "sha256" in report.of("alpha-V2O5", "readable")[0].detail
    assert report.of("epsilon-Li0.3V2O5", "mixture")


def test_unsorted_energies_are_unreadable(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.txt").write_text("510 1\n512 2\n511 3\n513 4\n")
    (folder / "b.txt").write_text("510 1\n511 nan\n512 3\n")
    rows = "".join(f'[[standard]]\nid = "{n}"\nvalue = 0\nfile = "{n}.txt"\n' for n in "ab")
    (folder / "library.toml").write_text(f'id = "mine"\n{rows}')
    report = check_library(str(folder))
    assert [f.standard for f in report.failed if f.check == "readable"] == ["a", "b", ""]


def test_standards_that_make_no_library_are_still_checked_one_by_one(tmp_path):
    folder = save_library(LIBRARY, tmp_path / "mine")
    toml = folder / "library.toml"
    toml.write_text(toml.read_text().replace('id = "delta-Li0.9V2O5"', 'id = "alpha-V2O5"'))
    report = check_library(folder)
    assert report.of("", "readable")[0].verdict == "fail"
    assert len(report.of("alpha-V2O5", "energy range")) == 2
    assert not report.of("", "condition number")


def test_standard_of_another_range_does_not_spoil_the_comparison():
    keep = ALPHA.energy > 540
    short = replace(ALPHA, energy=ALPHA.energy[keep], spectrum=ALPHA.spectrum[keep])
    report = check_library(replace(LIBRARY, standards=(short, *LIBRARY.standards[1:])))
    assert [(f.standard, f.check) for f in report.failed] == [(ALPHA.id, "energy range")]
    assert report.of(ALPHA.id, "comparison")
    assert report.of("", "condition number")[0].verdict == "pass"


@pytest.mark.parametrize("name", ["lixv2o5-model", "lixv2o5-model-smooth"])
def test_shipped_libraries_by_name(name):
    assert "synthetic" in check_library(name).library


def test_strange_libraries_give_findings_not_errors():
    two = Standard("a", "a", 0.0, [510.0, 520.0], [0.0, 1.0])
    flat = Standard("b", "b", 0.0, [510.0, 515.0, 520.0], [1.0, 1.0, 1.0])
    negative = Standard("c", "c", np.nan, np.arange(500.0, 530.0), -np.ones(30), formula="O")
    report = check_library(Library("odd", "Odd", "x", (two, flat, negative)))
    assert {f.standard for f in report.findings} >= {"a", "b", "c", ""}
    assert str(report)


def test_errors():
    with pytest.raises(cs.errors.LibraryError, match="no library"):
        check_library("no-such-library")
    with pytest.raises(cs.errors.FitError, match="noise"):
        check_library(LIBRARY, noise=-1.0)


def test_an_anchor_that_is_not_where_the_record_says():
    """Calibrated, then changed by hand: the record's anchor is found elsewhere, or nowhere."""
    anchored = calibrated(
        replace(ALPHA, kind="measured"),
        anchor=Anchor(518.4, within=(517.5, 519.5)),
        source="a paper",
        uncertainty_eV=0.02,
    )

    def verdict(standard):
        return next(f for f in single.check_standard(standard) if f.check == "anchor").verdict

    assert verdict(anchored) == "pass"
    assert verdict(replace(anchored, energy=anchored.energy + 0.3)) == "fail"
    assert verdict(replace(anchored, energy=anchored.energy + 5)) == "fail"
    assert not [f for f in single.check_standard(ALPHA) if f.check == "anchor"]


def test_a_scale_of_unknown_error():
    blind = replace(ALPHA, record=ALPHA.record.with_(uncertainty=np.nan))
    found = {f.check: f.verdict for f in single.check_standard(blind, "x in LixV2O5")}
    assert found["scale error"] == "not known"
