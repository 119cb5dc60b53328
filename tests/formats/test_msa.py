"""EMSA/MAS spectra: a real one, both data types, units, and every damage."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import open_spectra

HEAD = {
    "FORMAT": "EMSA/MAS Spectral Data File",
    "VERSION": "1.0",
    "TITLE": "V L23, µm: rim",
    "DATE": "01-JAN-2020",
    "NPOINTS": "4.",
    "NCOLUMNS": "1.",
    "XUNITS": "eV",
    "YUNITS": "Counts",
    "DATATYPE": "XY",
    "XPERCHAN": "0.5",
    "OFFSET": "510.",
    "BEAMKV   -kV": "200.",
    "SIGNALTYPE": "ELS",
}
PAIRS = "510.0, 1.5\n510.5, 2.5\n511.0, -3.\n511.5, 4.e0,\n"
ALONE = "1.5, 2.5\n-3. 4.\n"


def text(data: str = PAIRS, end: str = "#ENDOFDATA   :\n", **changes: str) -> str:
    """A file built from the published layout; a key without a value is left out."""
    facts = {**HEAD, **changes}
    lines = [f"#{key:<12}: {value}" for key, value in facts.items() if value]
    return "\n".join([*lines, "#SPECTRUM    : Spectral Data Starts Here", data]) + end


def saved(folder: Path, content: str) -> Path:
    (folder / "a.msa").write_bytes(content.encode("latin-1"))
    return folder / "a.msa"


def test_real_file(data_folder: Path) -> None:
    path = data_folder / "spectra_soft" / "eelsdb_3.msa"
    there = np.loadtxt(path, delimiter=",")
    spectra = open_spectra(path)
    np.testing.assert_array_equal(spectra["energy"], there[:, 0])
    np.testing.assert_array_equal(spectra[0], there[:, 1])
    assert spectra["spectrum"].item() == "Y3Al5O12_O_K_Saso_Sturm_182"
    assert spectra.attrs["layout"] == "EMSA/MAS"


@pytest.mark.parametrize(
    "content",
    [
        text(),
        text().replace("\n", "\r\n"),
        text(NCOLUMNS="2", data="510.0, 1.5, 510.5, 2.5\n511.0 -3. 511.5 4.\n"),
        text(DATATYPE="Y", data=ALONE, NCOLUMNS="2"),
        text(DATATYPE="Y", data=ALONE, XPERCHAN="5.0 E-01, 1"),
        text(DATATYPE="Y", data=ALONE, OFFSET="", CHOFFSET="-1020"),
        text(DATATYPE="Y", data=ALONE, OFFSET="510", CHOFFSET="-1020"),
        text(end=""),
        text(DATATYPE="", NPOINTS=""),
        text(data="#MAKER: 1\n" + PAIRS),
    ],
)
def test_dialects(tmp_path: Path, content: str) -> None:
    spectra = open_spectra(saved(tmp_path, content))
    np.testing.assert_allclose(spectra["energy"], [510, 510.5, 511, 511.5], rtol=1e-12)
    np.testing.assert_array_equal(spectra, [[1.5, 2.5, -3, 4]])
    assert spectra["spectrum"].item() == "V L23, µm: rim"
    assert spectra.attrs["quantity"] == "counts"
    assert spectra.attrs["signal"] == "ELS"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"XUNITS": "keV", "OFFSET": "0.51", "XPERCHAN": ".0005"}, "were converted to eV"),
        ({"NPOINTS": "7", "XUNITS": "eV"}, "header says 7 points and it holds 4: all are read"),
        ({"NPOINTS": "3", "XUNITS": "eV"}, "header says 3 points and it holds 4: all are read"),
    ],
)
def test_what_is_said(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.warns(ChemoscapeWarning, match=message):
        spectra = open_spectra(saved(tmp_path, text(DATATYPE="Y", data=ALONE, **changes)))
    np.testing.assert_allclose(spectra["energy"], [510, 510.5, 511, 511.5], rtol=1e-12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text(XUNITS="nm"), "its x axis is in 'nm', not in eV or keV"),
        (text(data="510 1 511\n"), "its last energy has no value"),
        (text(data=""), "holds no numbers behind #SPECTRUM"),
        (text(data="510 1\n511 x\n"), "line 16 is not a row of numbers: '511 x'"),
        (text(end="").removesuffix("511.5, 4.e0,\n"), "ends after 3 of 4 points"),
        (text(DATATYPE="Y", XPERCHAN="0"), "XPERCHAN or OFFSET is missing"),
        (text(DATATYPE="Y", OFFSET=""), "XPERCHAN or OFFSET is missing"),
        (text().split("#SPECTRUM")[0], "has no line #SPECTRUM"),
        (text(data="nan 1 2 3 4 5 6 7\n"), "energy of point 1 is not a number"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        open_spectra(saved(tmp_path, content))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from([text(), text(DATATYPE="Y", data=ALONE)]),
    st.lists(st.tuples(st.integers(0, 999), st.sampled_from("09 .,-e#:\nY\0")), max_size=4),
    st.integers(0, 999),
)
def test_fuzz(tmp_path: Path, content: str, changes: list, length: int) -> None:
    letters = list(content)
    for place, value in changes:
        letters[40 + place % (len(letters) - 40)] = value
    path = saved(tmp_path, "".join(letters[: 40 + length % len(letters)]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ChemoscapeWarning)
        try:
            spectra = open_spectra(path)
        except ChemoscapeError:
            return
    assert np.isfinite(spectra["energy"]).all()
