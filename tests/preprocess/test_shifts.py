"""Drifts as numbers and as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chemoscape.errors import FileFormatError, StackError
from chemoscape.preprocess.shifts import Drift

AXIS_FILE = """! X-Y Pixel Shifts after alignment
ALIGN(-1,-1,0,1,0.5
PLOTIT(3
a_000.axb 280.00 eV 1.00 ms,0.0000,0.0000
a, with comma 280.50 eV 1.00 ms,1.2500,-0.5000
a_002 281.00 eV 1.00 ms,-2.0000,3.0000
"""


def drift(n=4):
    shifts = np.random.default_rng(0).normal(size=(n, 2)).round(4)
    shifts[1] = 0
    return Drift(shifts, 500 + 0.125 * np.arange(n), 1, np.ones(n), np.zeros(n, dtype=bool))


def turned(*degrees, scale=1.0, shape=None):
    n = len(degrees)
    angle = np.deg2rad(degrees)
    linear = scale * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    ).transpose(2, 0, 1)
    return Drift(
        np.zeros((n, 2)), 500.0 + np.arange(n), 0, np.ones(n), np.zeros(n, bool), linear, shape
    )


@pytest.mark.parametrize("suffix", [".aln", ".sl", ".ALN"])
def test_round_trip(tmp_path, suffix):
    written = drift()
    written.save(tmp_path / f"a{suffix}")
    read = Drift.load(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(read.shifts, written.shifts, atol=1e-9)
    np.testing.assert_allclose(read.energy, written.energy, atol=1e-9)
    assert read.reference == 1
    assert np.isnan(read.quality).all()
    assert read.linear is None


@given(
    arrays(np.float64, (5, 2), elements=st.floats(-3000, 3000)),
    st.sampled_from([".aln", ".sl"]),
)
@settings(max_examples=40, deadline=None)
def test_any_shifts_come_back_to_the_digits_written(tmp_path_factory, shifts, suffix):
    path = tmp_path_factory.mktemp("aln") / f"a{suffix}"
    replace(drift(5), shifts=shifts).save(path)
    np.testing.assert_allclose(Drift.load(path).shifts, shifts, atol=5.1e-5, rtol=0)
    assert "-0.0000," not in path.read_text()


def test_shift_to_apply_is_minus_what_axis2000_writes(tmp_path):
    (tmp_path / "a.aln").write_text(AXIS_FILE)
    read = Drift.load(tmp_path / "a.aln")
    np.testing.assert_array_equal(read.shifts, [[0, 0], [0.5, -1.25], [-3, 2]])
    np.testing.assert_array_equal(read.energy, [280, 280.5, 281])
    drift().save(tmp_path / "b.aln")
    lines = (tmp_path / "b.aln").read_text().splitlines()
    dy, dx = drift().shifts[0]
    assert lines[-4] == f"frame000 500.000 eV 0.00 ms,{-dx:.4f},{-dy:.4f}"
    assert "PLOTIT(4" in lines


def test_the_older_form_has_names_only(tmp_path):
    (tmp_path / "a.sl").write_text("one.nc,1.0,2.0\ntwo.nc,0.0,0.0\n")
    read = Drift.load(tmp_path / "a.sl")
    np.testing.assert_array_equal(read.shifts, [[-2, -1], [0, 0]])
    assert np.isnan(read.energy).all()
    assert read.reference == 1
    read.save(tmp_path / "b.sl")
    lines = (tmp_path / "b.sl").read_text().splitlines()
    assert lines == ["frame000,1.0000,2.0000", "frame001,0.0000,0.0000"]
    read.save(tmp_path / "b.aln")
    assert np.isnan(Drift.load(tmp_path / "b.aln").energy).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("! nothing\n", "holds no shifts"),
        ("name 500 eV,1.0\n", "line 1 is not"),
        ("name 500 eV,1.0,two\n", "line 1 is not"),
        ("name 500 eV,1.0,nan\n", "not finite"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, message):
    (tmp_path / "a.aln").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        Drift.load(tmp_path / "a.aln")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        Drift.load(tmp_path / "none.aln")


def test_what_a_file_cannot_hold_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"1 of 2 frames are turned.*save the aligned stack"):
        turned(0, 1).save(tmp_path / "a.aln")
    with pytest.raises(FileFormatError, match=r"written as \.txt; give a name that ends in \.aln"):
        drift().save(tmp_path / "a.txt")
    with pytest.raises(FileFormatError, match="not finite"):
        replace(drift(2), shifts=np.array([[0, np.nan], [0, 0]])).save(tmp_path / "a.aln")
    assert not list(tmp_path.iterdir())
    turned(0, 0).save(tmp_path / "a.aln")
    assert Drift.load(tmp_path / "a.aln").linear is None


def test_an_old_file_survives_a_failed_write(tmp_path, monkeypatch):
    target = tmp_path / "a.aln"
    drift(3).save(target)
    before = target.read_bytes()

    def full(path, *_, **__):
        path.write_bytes(b"half a fi")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(FileFormatError, match="No space left"):
        drift(4).save(target)
    assert [path.name for path in tmp_path.iterdir()] == ["a.aln"]
    assert target.read_bytes() == before


def test_shifts_set_by_hand():
    measured = replace(drift(), replaced=np.array([False, False, True, True]))
    edited = measured.edited({500.26: (1.5, -2.0), 500.0: (0.0, 0.25)})
    np.testing.assert_array_equal(edited.shifts[[0, 2]], [[0, 0.25], [1.5, -2]])
    np.testing.assert_array_equal(edited.shifts[[1, 3]], measured.shifts[[1, 3]])
    np.testing.assert_array_equal(np.isnan(edited.quality), [True, False, True, False])
    np.testing.assert_array_equal(edited.replaced, [False, False, False, True])
    np.testing.assert_array_equal(measured.shifts, drift().shifts)
    np.testing.assert_array_equal(measured.quality, 1)


@pytest.mark.parametrize(
    ("shifts", "message"),
    [
        ({500.06: (0, 0)}, r"no frame at 500\.06 eV; the nearest is at (500\.00|500\.12) eV"),
        ({500.0: (0, 0), 500.01: (1, 1)}, r"two shifts are given for the frame at 500\.00 eV"),
        ({500.0: (0, np.nan)}, r"the shift of the frame at 500\.00 eV is"),
        ({500.0: 3.0}, r"give two numbers \(dy, dx\)"),
    ],
)
def test_edits_that_fit_no_frame(shifts, message):
    with pytest.raises(StackError, match=message):
        drift().edited(shifts)


def test_edits_need_energies():
    with pytest.raises(StackError, match="without energies"):
        replace(drift(), energy=np.full(4, np.nan)).edited({500.0: (0, 0)})


def test_size_of_a_drift():
    shifts = np.array([[0.0, 0.0], [3.0, 4.0]])
    one = Drift(shifts, np.array([1.0, 2.0]), 0, np.ones(2), np.zeros(2, dtype=bool))
    assert one.max_px == 5.0
    assert one.rms_px == pytest.approx(2.5)
    np.testing.assert_array_equal(one.noise_gain, [1, 1])


def test_size_of_a_drift_that_turns():
    """Against the motion of every pixel, one by one."""
    shape = (30, 50)
    one = turned(0, 0.5, -2, scale=1.003, shape=shape)
    one = replace(one, shifts=np.array([[0, 0], [1.5, -2.0], [0.25, 3.0]]))
    y, x = np.mgrid[: shape[0], : shape[1]]
    place = np.stack([y.ravel() - 14.5, x.ravel() - 24.5])
    motion = one.shifts[:, :, None] + one.linear @ place - place
    assert one.max_px == pytest.approx(np.hypot(*motion.transpose(1, 0, 2)).max())
    about = motion - motion.mean(axis=0)
    assert one.rms_px == pytest.approx(np.sqrt((about**2).sum(axis=1).mean()))
    assert replace(one, shape=None).max_px == pytest.approx(np.hypot(0.25, 3.0))


def test_noise_gain_of_a_drift_that_turns():
    gain = turned(0, 2, 0.0001, shape=(101, 101)).noise_gain
    assert gain[0] == 1
    assert gain[1] == pytest.approx(0.764, abs=0.02)
    assert gain[2] == 1  # no pixel moves by more than 0.02
    np.testing.assert_allclose(turned(0, 2).noise_gain, [1, 0.7643], atol=1e-4)
