"""Spectra in columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chemoscape.errors import FileFormatError
from chemoscape.formats.spectra import read_spectrum, read_table


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", " ; ", ",\t"])
@pytest.mark.parametrize("comment", ["%", "*", "#", "!"])
def test_separators_and_comments(tmp_path: Path, separator: str, comment: str) -> None:
    path = tmp_path / "a spectrum [1].txt"
    path.write_text(f"{comment} 1d\nenergy od\n\n510{separator}0.1\n511.5{separator}2e-1\n")
    energy, values = read_spectrum(path)
    np.testing.assert_array_equal(energy, [510, 511.5])
    np.testing.assert_array_equal(values, [0.1, 0.2])


def test_real_xsp(data_folder: Path) -> None:
    path = data_folder / "als_fe2p" / "71214078" / "i0.xsp"
    energy, values = read_spectrum(path)
    there = np.loadtxt(path)
    np.testing.assert_array_equal(energy, there[:, 0])
    np.testing.assert_array_equal(values, there[:, 1])
    assert energy.size == 123


def test_more_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2,3\n4,5,6\n")
    np.testing.assert_array_equal(read_table(tmp_path / "a.csv"), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no two columns"),
        ("510\n511\n", "no two columns"),
        ("510 1\n511\n", "line 2 has 1 columns, the lines above have 2"),
        ("510 1\n511 one\n", "line 2 is not a row of numbers: '511 one'"),
        ("510 1\n5_11 1\n", "line 2 is not a row of numbers"),
    ],
)
def test_damage_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_spectrum(tmp_path / "a.txt")
