"""Drifts as files."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.errors import FileFormatError
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


def test_round_trip(tmp_path):
    written = drift()
    written.save(tmp_path / "a.aln")
    read = Drift.load(tmp_path / "a.aln")
    np.testing.assert_allclose(read.shifts, written.shifts, atol=1e-9)
    np.testing.assert_allclose(read.energy, written.energy, atol=1e-9)
    assert read.reference == 1


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


def test_size_of_a_drift():
    shifts = np.array([[0.0, 0.0], [3.0, 4.0]])
    one = Drift(shifts, np.array([1.0, 2.0]), 0, np.ones(2), np.zeros(2, dtype=bool))
    assert one.max_px == 5.0
    assert one.rms_px == pytest.approx(2.5)
    np.testing.assert_array_equal(one.noise_gain, [1, 1])
