"""Powder patterns of files: columns however they are written, GSAS, CIF, and what is refused."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemoscape.crystals.pattern import Pattern, counting_sd
from chemoscape.crystals.radiation import radiation
from chemoscape.crystals.reading import read_pattern
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError

X = np.round(np.arange(10, 12, 0.05), 2)
Y = np.round(100 + 900 * np.exp(-(((X - 11) / 0.1) ** 2)))


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(form: str) -> str:
    return "\n".join(form.format(x=x, y=y, s=np.sqrt(y)) for x, y in zip(X, Y, strict=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xy", rows("{x:.2f} {y:.0f}")),
        ("a.xye", "# 2theta I sd\n" + rows("{x:.2f}\t{y:.0f}\t{s:.6f}")),
        ("a.csv", "2theta,counts\n" + rows("{x:.2f},{y:.0f}")),
        ("a.csv", "2Theta;Counts\n" + rows("{x:.2f};{y:.0f}").replace(".", ",")),
        ("a.dat", "title\n\n" + rows("{x:.2f} {y:.0f}").replace(".", ",")),
        ("a.dat", "D:\\data\\q (1).raw\n" + rows("{x:.2f} {y:.0f}")),
        ("a.txt", '\'Id: "x" \n' + rows("  {x:.4E}   {y:.4E}") + "\n\n"),
    ],
)
def test_columns_however_they_are_written(tmp_path, name, text):
    pattern = read_pattern(written(tmp_path, name, text), wavelength="Cu")
    np.testing.assert_allclose(pattern.two_theta, X)
    np.testing.assert_allclose(pattern.intensity, Y)
    np.testing.assert_allclose(pattern.sd, np.sqrt(Y), rtol=1e-5)
    assert pattern.radiation.is_doublet


def test_wavelength_of_the_header_and_assumed_ones(tmp_path):
    for line, expected in (
        ("# Wavelength: 0.4137 A", 0.4137),
        ("# wavelength = 0,7093 A", 0.709317),
        ("# Wavelength: 4.137e-11 m", 0.4137),
        ("wavelength (nm) 0.04137", 0.4137),
        ("wavelength 0.04137 nm", 0.4137),
        ("' lambda=1.54187", 1.540593),
    ):
        path = written(tmp_path, "a.xy", f"{line}\n" + rows("{x:.2f} {y:.0f}"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)  # of Mo Kα1
            found = read_pattern(path)
        assert found.radiation.wavelength == pytest.approx(expected, abs=1e-6)
        assert found.wavelength_from == "file"
    head = "# K-Alpha2 / K-Alpha1 ratio 0.5\n# anode Cu, K-Alpha1 1.540598\n"
    path = written(tmp_path, "a.xy", head + rows("{x:.2f} {y:.0f}"))
    with pytest.warns(ChemoscapeWarning, match="the doublet of the tube is taken"):
        assert read_pattern(path).radiation.is_doublet
    assert not read_pattern(path, wavelength="Cu Ka1").radiation.is_doublet
    with pytest.warns(ChemoscapeWarning, match="Cu Kα is taken"):
        found = read_pattern(written(tmp_path, "b.xy", rows("{x:.2f} {y:.0f}")))
    assert found.wavelength_from == "assumed"


@pytest.mark.parametrize("axis", ["q", "q_nm", "d"])
def test_other_axes_become_angles(tmp_path, axis):
    d = 1.5406 / 2 / np.sin(np.radians(X / 2))
    values = {"q": 2 * np.pi / d, "q_nm": 20 * np.pi / d, "d": d}[axis]
    head = {"q": "Q (1/A) I", "q_nm": "# q_nm^-1 I", "d": "d-spacing (A), I"}[axis]
    lines = "\n".join(f"{v:.8f} {y:.0f}" for v, y in zip(values, Y, strict=True))
    path = written(tmp_path, "a.xy", f"{head}\n{lines}")
    found = read_pattern(path, wavelength="Cu Ka1")  # said by the header
    np.testing.assert_allclose(found.two_theta, X, atol=2e-4)
    np.testing.assert_allclose(found.intensity, Y)
    with pytest.raises(FileFormatError, match="says no wavelength"):
        read_pattern(path)


def test_rates_get_their_sd_from_their_neighbours(tmp_path):
    """Counts per second of 50 s: one standard deviation of a rate is sqrt(rate / 50)."""
    x = np.arange(10, 60, 0.02)
    rate = np.random.default_rng(0).poisson(2000.0, x.size) / 50 + 0.001
    lines = "\n".join(f"{a:.2f} {b:.4f}" for a, b in zip(x, rate, strict=True))
    found = read_pattern(written(tmp_path, "a.xy", lines), wavelength="Cu")
    assert found.sd_from == "scaled"
    assert np.median(found.sd) == pytest.approx(np.sqrt(40 / 50), rel=0.05)


def test_gsas_forms(tmp_path):
    n = 40
    head = f"a title\nBANK 1 {n} {n} "
    fxye = "\n".join(f"{100 * x:.4f} {y:.1f} {np.sqrt(y):.3f}" for x, y in zip(X, Y, strict=True))
    found = read_pattern(
        written(tmp_path, "a.fxye", f"{head}CONS 1000 5 0 0 FXYE\n{fxye}\n"), wavelength="Cu"
    )
    np.testing.assert_allclose(found.two_theta, X)
    np.testing.assert_allclose(found.sd, np.sqrt(Y), atol=1e-3)
    cells = "".join(f" 1{y:6.0f}" if k % 2 else f"  {y:6.0f}" for k, y in enumerate(Y))
    packed = "\n".join(cells[k : k + 80] for k in range(0, len(cells), 80))
    found = read_pattern(
        written(tmp_path, "a.gsa", f"{head}CONST 1000.0 5.0 0 0 STD\n{packed}\n"), wavelength="Cu"
    )
    np.testing.assert_allclose(found.two_theta, X)
    np.testing.assert_allclose(found.intensity, Y)
    pairs = "".join(f"{y:8.1f}{2.0:8.1f}" for y in Y)
    packed = "\n".join(pairs[k : k + 80] for k in range(0, len(pairs), 80))
    found = read_pattern(
        written(tmp_path, "b.gsa", f"{head}CONST 1000.0 5.0 0 0 ESD\n{packed}\n"), wavelength="Cu"
    )
    np.testing.assert_allclose(found.intensity, Y)
    assert set(found.sd) == {2.0}
    for bad in ("no bank", f"{head}RALF 1 2 3 4 FXYZ\n1 2\n", f"{head}CONST 1000 5 0 0 STD\nx\n"):
        with pytest.raises(FileFormatError):
            read_pattern(written(tmp_path, "c.gsa", bad), wavelength="Cu")


def test_what_is_no_pattern_is_refused_in_a_sentence(tmp_path):
    raw = written(tmp_path, "a.raw", b"RAW1.01\0\0\0" + bytes(200))
    with pytest.raises(FileFormatError, match=r"Bruker .* not read; export it as text"):
        read_pattern(raw)
    with pytest.raises(FileFormatError, match="PANalytical"):
        read_pattern(written(tmp_path, "a.xrdml", "<xrdMeasurements/>"))
    for text, match in (
        ("10 1\n20 2\n", "holds 2 rows"),
        (rows("{x:.2f} {y:.0f}") + "\n" + rows("{x:.2f} {y:.0f}"), "10 follows 11.95 in row 41"),
        (f"{X[0]} 0.05 {X[-1]}\n" + rows("{x:.2f} {y:.0f} {s:.2f}"), "10 follows 10 in row 2"),
        ("\n".join(f"{x:.2f} 0" for x in X), "intensities run from 0 to 0"),
        ("\n".join(f"{x:.2f} {x}e300" for x in X), "intensities run from"),
        ("\n".join(f"{x + 175:.2f} 5" for x in X), "between 0 and 180"),
        (rows("{x:.2f} {y:.0f}") + "\n" + "1 2 3\n" * 5, "rows of 2 numbers"),
        ("\n".join(f"{x:.2f} nan" for x in X), "no numbers"),
    ):
        with pytest.raises(FileFormatError, match=match):
            read_pattern(written(tmp_path, "a.xy", text), wavelength="Cu")
    with pytest.raises(FileFormatError, match="cannot reach"):
        read_pattern(written(tmp_path, "q.xy", rows("{x:.2f} {y:.0f}")), wavelength=1.5, axis="q")


def test_a_pattern_written_is_read_as_it_was(tmp_path):
    made = Pattern(X, Y, counting_sd(Y), radiation("Cu"), "mine (SYNTHETIC pattern)", "counts")
    again = read_pattern(written(tmp_path, "a.xye", made.without((10.4, 10.6)).text()))
    assert again.radiation.wavelengths == made.radiation.wavelengths
    assert "SYNTHETIC" in again.source
    used = (X < 10.4) | (X > 10.6)
    np.testing.assert_allclose(again.two_theta, X[used])
    np.testing.assert_allclose(again.intensity, Y[used])
    np.testing.assert_allclose(again.sd, made.sd[used], rtol=1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 400), st.integers(0, 30), st.text("x?;,. \n0-#", max_size=4))
def test_any_damage_ends_in_a_sentence(tmp_path_factory, start, n, new):
    text = "# wavelength 1.54 A\n2theta I\n" + rows("{x:.2f} {y:.0f}")
    path = written(tmp_path_factory.mktemp("xy"), "a.xy", text[:start] + new + text[start + n :])
    with contextlib.suppress(ChemoscapeError):
        read_pattern(path, wavelength="Cu")


@pytest.mark.parametrize(("third", "said"), [("1.0", "constant"), ("0", "constant"), ("", "")])
def test_a_third_column_that_is_no_sd_is_said(tmp_path, third, said):
    """Rigaku's column of attenuators, and an sd of zero where nothing was counted."""
    lines = rows("{x:.2f} {y:.0f} " + (third or "{s:.3f}"))
    if not third:
        lines, said = lines.replace("31.623", "0.000"), "not positive"
    with pytest.warns(ChemoscapeWarning, match=f"third column is {said}"):
        found = read_pattern(written(tmp_path, "a.ras", lines), wavelength="Cu")
    np.testing.assert_allclose(found.sd, np.sqrt(Y))
