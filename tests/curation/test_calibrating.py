"""Energies of a standard moved onto what a source says, with the record kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemoscape.curation.calibrating import anchor_of, anchor_residual, anchor_text, calibrated
from chemoscape.decompose.calibration import Anchor
from chemoscape.errors import LibraryError
from chemoscape.standards.folder import open_library, read_library
from chemoscape.standards.library import Library
from chemoscape.standards.standard import Standard
from chemoscape.standards.writing import save_library

CENTRE, STEP = 708.1, 0.1
SOURCED = {"source": "J. Ref 1 (2020), calibrated with CO", "uncertainty_eV": 0.05}


def standard(centre=CENTRE, step=STEP, sd=None, record=None):
    energy = np.arange(700.0, 716.0, step)
    spectrum = np.exp(-(((energy - centre) / 1.5) ** 2)) + 0.3 / (
        1 + np.exp(-(energy - 712.2) / 0.3)
    )
    more = {} if record is None else {"record": record}
    sds = None if sd is None else np.full(energy.size, sd)
    return Standard("one", "One", 1.0, energy, spectrum, spectrum_sd=sds, **more)


def test_an_anchor_is_brought_to_its_energy():
    before = standard()
    after = calibrated(before, anchor=Anchor(708.5), name="white line", **SOURCED)
    moved = after.energy - before.energy
    assert np.ptp(moved) < 1e-6
    assert moved.mean() == pytest.approx(0.4, abs=0.01)
    peak = after.energy[after.spectrum.argmax()]
    assert peak == pytest.approx(708.5, abs=STEP)
    np.testing.assert_array_equal(after.spectrum, before.spectrum)
    said = after.record.calibration
    assert said.anchor_eV == 708.5
    assert said.reference == SOURCED["source"]
    assert said.shift_eV == pytest.approx(moved.mean(), abs=1e-6)
    assert said.anchor.startswith("white line: peak between 707.9")
    # a quarter of a step, and the source's own; curvature passes for a little noise
    assert said.uncertainty_eV == pytest.approx(np.hypot(0.05, STEP / 4), rel=0.01)
    assert before.record.calibration.reference == ""


def test_an_edge_is_an_anchor_too():
    after = calibrated(
        standard(), anchor=Anchor(712.0, within=(711.5, 713.0), feature="edge"), **SOURCED
    )
    assert after.record.calibration.shift_eV == pytest.approx(-0.2, abs=0.05)
    assert anchor_of(after).feature == "edge"
    assert anchor_residual(after) == pytest.approx(0.0, abs=1e-6)


def test_a_stated_shift_is_added_and_has_no_anchor():
    after = calibrated(standard(), shift_eV=-0.25, **SOURCED)
    np.testing.assert_allclose(after.energy, standard().energy - 0.25, atol=1e-9)
    assert after.record.calibration.shift_eV == -0.25
    assert after.record.calibration.uncertainty_eV == 0.05
    assert after.record.calibration.anchor == ""
    assert anchor_of(after) is None
    assert anchor_residual(after) is None


def test_a_second_calibration_adds_up_and_says_so():
    first = calibrated(standard(), shift_eV=0.3, source="logbook", uncertainty_eV=0.2)
    second = calibrated(first, anchor=Anchor(708.6), **SOURCED)
    total = (second.energy - standard().energy).mean()
    assert second.record.calibration.shift_eV == pytest.approx(total, abs=1e-6)
    assert total == pytest.approx(0.5, abs=0.01)
    assert "calibrated again" in second.record.remarks
    assert "logbook" in second.record.remarks
    assert first.record.remarks == ""
    third = calibrated(second, shift_eV=0.1, **SOURCED)
    assert third.record.calibration.shift_eV == pytest.approx(total + 0.1, abs=1e-6)
    assert third.record.calibration.anchor == ""
    assert np.isnan(third.record.calibration.anchor_eV)
    assert third.record.remarks.count("calibrated again") == 2


@settings(max_examples=30, derandomize=True, deadline=None)
@given(first=st.floats(-4, 4), second=st.floats(-4, 4))
def test_shifts_add_up(first, second):
    one = calibrated(calibrated(standard(), shift_eV=first, **SOURCED), shift_eV=second, **SOURCED)
    at_once = calibrated(standard(), shift_eV=first + second, **SOURCED)
    np.testing.assert_allclose(one.energy, at_once.energy, atol=3e-6)
    assert one.record.calibration.shift_eV == pytest.approx(
        at_once.record.calibration.shift_eV, abs=3e-6
    )


@settings(max_examples=30, derandomize=True, deadline=None)
@given(centre=st.floats(706.0, 710.0), true=st.floats(706.0, 710.0))
def test_the_anchor_stays_where_the_record_says(centre, true):
    anchor = Anchor(true, within=(centre - 1.5, centre + 1.5))
    after = calibrated(standard(centre), anchor=anchor, **SOURCED)
    assert anchor_residual(after) == pytest.approx(0.0, abs=2e-6)
    moved = replace(after, energy=after.energy + 0.2)
    assert anchor_residual(moved) == pytest.approx(0.2, abs=2e-3)


def test_what_a_record_says_survives_a_file(tmp_path):
    after = calibrated(standard(), anchor=Anchor(708.5), **SOURCED)
    library = Library("lib", "Lib", "x", (after,))
    again = read_library(save_library(library, tmp_path / "lib")).standards[0]
    assert again.record.calibration == after.record.calibration
    assert anchor_residual(again) == pytest.approx(0.0, abs=1e-4)


def test_noise_of_the_spectrum_widens_the_uncertainty():
    """The vertex of a parabola from three noisy points, against 400 draws."""
    sd, step = 2e-4, 0.2
    quiet = standard(step=step, sd=sd)
    stated = calibrated(quiet, anchor=Anchor(708.0), **SOURCED).record.calibration.uncertainty_eV
    noise = np.sqrt(stated**2 - 0.05**2 - (step / 4) ** 2)
    rng = np.random.default_rng(0)
    found = [
        Anchor(708.0).locate(quiet.energy, quiet.spectrum + rng.normal(0, sd, quiet.energy.size))
        for _ in range(400)
    ]
    assert noise == pytest.approx(np.std(found), rel=0.2)


def test_a_feature_that_was_read_off_by_hand():
    after = calibrated(standard(), anchor=Anchor(531.0, found=530.7), **SOURCED)
    assert after.record.calibration.shift_eV == pytest.approx(0.3)
    assert after.record.calibration.uncertainty_eV == 0.05
    assert "read off at 530.7 eV" in after.record.calibration.anchor
    assert anchor_residual(after) is None


def test_an_anchor_in_words_alone_is_not_looked_for():
    record = standard().record.with_(anchor="O2 pi*", anchor_eV=530.9)
    assert anchor_residual(standard(record=record)) is None
    text = anchor_text(Anchor(708.1), 0.0)
    unknown = standard().record.with_(anchor=text)
    assert anchor_residual(standard(record=unknown)) is None  # its energy is not said


def test_a_feature_that_is_not_there_is_refused():
    record = standard().record.with_(
        anchor=anchor_text(Anchor(704.0, within=(703.0, 705.0)), 0.0), anchor_eV=704.0
    )
    with pytest.raises(LibraryError, match="no peak between 703 and 705 eV"):
        anchor_residual(standard(record=record))
    with pytest.raises(LibraryError, match="energies of the spectrum"):
        calibrated(standard(), anchor=Anchor(530.0), **SOURCED)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": " "}, "no source"),
        ({"uncertainty_eV": 0.0}, "uncertainty"),
        ({"uncertainty_eV": np.nan}, "uncertainty"),
        ({"shift_eV": None}, "an anchor or by a shift"),
        ({"anchor": Anchor(708.5)}, "an anchor or by a shift"),
        ({"shift_eV": np.nan}, "moved by"),
        ({"shift_eV": 12.0}, "further than 10 eV"),
    ],
)
def test_what_cannot_be_is_one_sentence(changes, words):
    said = {"shift_eV": 0.1, **SOURCED, **changes}
    with pytest.raises(LibraryError, match=words) as caught:
        calibrated(standard(), **said)
    assert str(caught.value).startswith("standard 'one': ")
    assert str(caught.value).endswith(".")


def test_the_shipped_standards_have_no_anchor():
    assert [anchor_residual(one) for one in open_library("lixv2o5-model").standards] == [None] * 6


@pytest.mark.parametrize(("feature", "noise"), [("peak", 0.02), ("edge", 0.005)])
@pytest.mark.parametrize("told", [True, False])
def test_the_stated_uncertainty_covers_in_noise(feature, noise, told):
    """Fine steps and noise: which point is the highest is chance, and counted."""
    axis = np.arange(700, 716, 0.1)
    clean = (
        np.exp(-((axis - 708.1) ** 2))
        if feature == "peak"
        else 0.5 + np.arctan((axis - 708.1) / 0.5) / np.pi
    )
    anchor = Anchor(708.5, within=(706.5, 709.5), feature=feature)
    covered = []
    for seed in range(40):
        noisy = clean + np.random.default_rng(seed).normal(0, noise, axis.size)
        sd = np.full(axis.size, noise) if told else None
        one = Standard("a", "A", 0.0, axis, noisy, spectrum_sd=sd)
        said = calibrated(one, anchor=anchor, source="s", uncertainty_eV=1e-6).record.calibration
        covered.append(abs(said.shift_eV - 0.4) < said.uncertainty_eV)
    assert 0.6 <= np.mean(covered) <= 0.9  # 68 % wanted; 72 to 75 % of 60 other seeds
