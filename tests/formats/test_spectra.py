"""Spectra in files of text: real ones against numpy.loadtxt, every layout, and what is refused."""

from __future__ import annotations

import gzip
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, open_spectra, save_spectra
from chemoscape.formats.spectra import parse_rows, read_spectrum, read_table


def written(folder: Path, text: str, name: str = "a.txt", encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def names_of(spectra: xr.DataArray) -> list[str]:
    return [str(name) for name in spectra["spectrum"].values]


# --- columns as they were always read ---


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", " ; ", ",\t"])
@pytest.mark.parametrize("comment", ["%", "*", "#", "!"])
def test_separators_and_comments(tmp_path: Path, separator: str, comment: str) -> None:
    path = tmp_path / "a spectrum [1].txt"
    path.write_text(f"{comment} 1d\nenergy od\n\n510{separator}0.1\n511.5{separator}2e-1\n")
    energy, values = read_spectrum(path)
    np.testing.assert_array_equal(energy, [510, 511.5])
    np.testing.assert_array_equal(values, [0.1, 0.2])
    assert names_of(open_spectra(path)) == ["od"]


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
        ("nan 1\n511 2\n", "the energy of point 1 is not a number"),
        ("k chi\n0.1 1\n0.2 3\n", "first column is 'k', not energy"),
        ("#  k  chi  chik\n0.1 1 2\n0.2 3 4\n", "first column is 'k', not energy"),
        ("PK\0\0", "is no text, and no binary format known here; open a stack"),
    ],
)
def test_damage_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_spectrum(tmp_path / "a.txt")
    with pytest.raises(FileFormatError, match=message):
        open_spectra(tmp_path / "a.txt")


def test_what_is_no_file_of_spectra(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="is not a regular file"):
        open_spectra(tmp_path)
    with pytest.raises(FileFormatError, match="there is no such file"):
        open_spectra(tmp_path / "nothing.txt")
    with pytest.raises(FileFormatError, match="no rows of numbers"):
        parse_rows("# nothing\n", where="a.txt")


# --- real files ---


@pytest.mark.parametrize(
    ("name", "skip"),
    [
        ("als_fe2p/71214078/i0.xsp", 0),
        ("spectra_soft/oxidized.r", 0),
        ("spectra_soft/oxidized.t", 0),
        ("spectra_soft/reduced.r", 0),
        ("spectra_soft/reduced.t", 0),
        ("lcf_gold/s1.dat", 0),
        ("lcf_gold/s2.dat", 0),
        ("lcf_gold/s3.dat", 0),
        ("lcf_gold/s4.dat", 0),
        ("lcf_gold/s5.dat", 0),
        ("lcf_gold/s6.dat", 0),
        ("lcf_gold/unknown.dat", 0),
        ("spectra_fek/FeLibNov2021.nor", 0),
        ("spectra_fek/references/Almandine_Waychunas FeXANES.e", 0),
        ("spectra_fek/references/Biotite_ETH_oa.e", 12),
        ("spectra_fek/references/Chlorite(Ripidolite)_CCa2_35G_TRA_HLC_Mar09_2sc.e", 13),
        ("spectra_vk/v_foil.xdi", 0),
    ],
)
def test_real_columns(data_folder: Path, name: str, skip: int) -> None:
    path = data_folder / name
    there = np.loadtxt(path, skiprows=skip)
    there = there[np.argsort(there[:, 0], kind="stable")]
    spectra = open_spectra(path)
    np.testing.assert_array_equal(spectra["energy"], there[:, 0])
    np.testing.assert_array_equal(spectra.T, there[:, 1:])
    energy, values = read_spectrum(path)
    np.testing.assert_array_equal(np.sort(energy), there[:, 0])
    assert values.size == len(there)


def test_names_of_real_files(data_folder: Path) -> None:
    fe = open_spectra(data_folder / "spectra_fek" / "FeLibNov2021.nor")
    assert names_of(fe)[:2] == ["Magnetite", "Maghemite"]
    assert names_of(fe)[6:8] == ["LiFe(II)PO4", "Fe(III)PO4"]
    assert (fe.attrs["layout"], fe.attrs["element"], fe.attrs["edge"]) == ("XDI", "Fe", "K")
    foil = open_spectra(data_folder / "spectra_vk" / "v_foil.xdi")
    assert names_of(foil) == ["scaler_count_time", "i0", "i1"]
    one = open_spectra(data_folder / "spectra_fek" / "FeLibNov2021.nor", channel="hfo")
    np.testing.assert_array_equal(one, fe[3:4])
    assert one.attrs["channel"] == "HFO"
    almandine = data_folder / "spectra_fek" / "references" / "Almandine_Waychunas FeXANES.e"
    assert names_of(open_spectra(almandine)) == ["Almandine"]
    gold = describe(data_folder / "lcf_gold" / "s1.dat")
    assert (gold["spectra"], gold["shape"]) == (["munorm"], [1, 327])


def test_real_beamline_table(data_folder: Path) -> None:
    path = data_folder / "spectra_soft" / "sxr129577.asc"
    there = np.loadtxt(path)
    with pytest.warns(ChemoscapeWarning, match=r"column 2 \(Mono setpoint\).* could be 4 \(calcu"):
        spectra = open_spectra(path)
    np.testing.assert_array_equal(spectra["energy"], there[:, 1])
    np.testing.assert_array_equal(spectra.T, there[:, 2:])
    assert names_of(spectra)[1:3] == ["calculated ph energy", "SR14ID01IOC68:scaler1.S20"]
    assert names_of(spectra)[-2:] == ["ICR", "OCR"]


def test_real_library(data_folder: Path) -> None:
    path = data_folder / "spectra_soft" / "library.h5"
    with pytest.warns(ChemoscapeWarning, match="4 spectra lie on 2 different energy axes; 2 that"):
        spectra = open_spectra(path)
    copper = open_spectra(path, region="Cu L2,3 (2p) in CuO")
    with h5py.File(path, locking=False) as file:
        np.testing.assert_array_equal(spectra["energy"], np.sort(file["spectra/000001/x"]))
        order = np.argsort(file["spectra/000001/x"])
        np.testing.assert_array_equal(spectra[1], file["spectra/000002/y"][()][order])
        order = np.argsort(file["spectra/000003/x"])
        np.testing.assert_array_equal(copper[0], file["spectra/000003/y"][()][order])


@pytest.mark.parametrize("name", ["Readme.txt", "../als_fe2p/71214078/mask_file.msk"])
def test_real_files_that_hold_no_spectra(data_folder: Path, name: str) -> None:
    with pytest.raises(FileFormatError, match="no two columns of numbers"):
        open_spectra(data_folder / "spectra_fek" / name)


def test_real_stacks_are_refused(data_folder: Path) -> None:
    for name in ("30529000.hdr", "max_iv_a000.xim"):
        with pytest.raises(FileFormatError, match=r"no spectra; open it with cs\.open_stack"):
            open_spectra(data_folder / "readers" / name)


# --- layouts, built as they are published ---

AXIS2000 = "% 1d\r\n% iron oxide, rim\r\n%  3\r\n% from stack s532\r\n" + "".join(
    f"\t{e}\t{v}\r\n" for e, v in [(705.0, 0.25), (704.5, 0.125), (706.0, 0.5)]
)
XAS = (
    "*********************  X-ray Absorption Data  ********************\n*\n* Formula: Fe2O3\n"
    "* Common name: haematite\n* Edge: Fe 2p\n* Acquisition mode: \n*-----\n"
    "\t 704.5, 0.125\n\t 705.0, 0.25\n\t 706.0, 0.5\n"
)
MANTIS = (
    "*********************  ROI spectrum  ********************\n"
    '"* Common name: a, b"\n* \n*-----\n'
    "photon energy,current ROI,ROI 1\n704.5,0.125,1\n\n705,0.25,2\n\n706,0.5,3\n"
)
NOR = (
    "# Demeter.output_filetype: multicolumn normalized mu(E)\n# Column.1: energy eV\n"
    "# Column.2: ALL 45 NNO+3.8\n# Column.3: mu counts || 13BM:i1\n#-----\n"
    "#  energy  ALL 45 NNO+3.8  mu\n 704.5 0.125 1\n 705 0.25 2\n 706 0.5 3\n"
)
ASC = (
    "## mda2ascii generated output\n\n# Column Descriptions:\n#    1  [     Index      ]\n"
    "#    2  [1-D Positioner 1]  M:SP, Mono, TABLE, keV, M:SP, Mono, keV\n"
    "#    3  [1-D Detector   1]  S:1, , \n#    4  [1-D Detector   2]  S:2, Sample Drain, A\n\n"
    "# 1-D Scan Values\n1\t0.7045\t0.125\t1\n2\t0.705\t0.25\t2\n3\t0.706\t0.5\t3\n"
)
XDI_OTHER_COMMENTS = (
    "; XDI/1.0 x/1\n; Column.1: energy eV\n; Column.2: od\n; ///\n; note\n;---\n"
    "704.5 0.125\n705 0.25\n706 0.5\n"
)
UNITS_BELOW = "E,OD,rim\n(keV),,\n0.7045,0.125,1\n0.705,0.25,2\n0.706,0.5,3\n"


@pytest.mark.parametrize(
    ("text", "names", "quantity"),
    [
        (AXIS2000, ["iron oxide, rim"], ""),
        (XAS, ["haematite"], ""),
        (MANTIS, ["current ROI", "ROI 1"], ""),
        (NOR, ["ALL 45 NNO+3.8", "mu"], ""),
        (XDI_OTHER_COMMENTS, ["od"], "optical_density"),
        ("energy\tod\n706\t.5\n705\t.25\n704.5\t.125", ["od"], "optical_density"),
        ("1 704.5 0.125\n2 705 0.25\n3 706 0.5\n", ["a"], ""),
        ("704.5 0.125\n705 0.25\n706 0.5", ["a"], ""),
        ("# Fe oxide\n704.5 0.125\n705 0.25\n706 0.5", ["a"], ""),
        ("point,Energy (eV),rim\n1,704.5,0.125\n2,705,0.25\n3,706,0.5\n", ["rim"], ""),
        ('energy;"a; b"\n704.5;0.125\n705;.25\n706;.5\n,;,\n', ["a; b"], ""),
        ("===\n704.5 0.125\r705 0.25\r706 0.5\r", ["a"], ""),
        ("# quantity: transmission\n704.5 0.125\n705 0.25\n706 0.5", ["a"], "transmission"),
        ("energy od od\n704.5 .125 1\n705 .25 1\n706 .5 1", ["od", "od (2)"], "optical_density"),
        ("Energy,high-energy phase\n704.5,0.125\n705,.25\n706,.5", ["high-energy phase"], ""),
        ("E (eV)\tI, raw\n704.5\t0.125\n705\t.25\n706\t.5", ["I, raw"], ""),
    ],
)
@pytest.mark.filterwarnings("ignore:.*the second is taken:chemoscape.errors.ChemoscapeWarning")
def test_layouts(tmp_path: Path, text: str, names: list[str], quantity: str) -> None:
    spectra = open_spectra(written(tmp_path, text))
    np.testing.assert_array_equal(spectra["energy"], [704.5, 705, 706])
    np.testing.assert_array_equal(spectra[0], [0.125, 0.25, 0.5])
    assert names_of(spectra) == names
    assert spectra.attrs["quantity"] == quantity
    assert spectra["energy"].attrs["units"] == "eV"
    assert spectra.dims == ("spectrum", "energy")


@pytest.mark.parametrize("text", [ASC, UNITS_BELOW, "Energy_keV od\n.7045 .125\n.705 .25\n.706 .5"])
def test_keV_by_label_or_unit(tmp_path: Path, text: str) -> None:
    with pytest.warns(ChemoscapeWarning, match="are in keV and were converted to eV"):
        spectra = open_spectra(written(tmp_path, text))
    np.testing.assert_allclose(spectra["energy"], [704.5, 705, 706])
    np.testing.assert_array_equal(spectra[0], [0.125, 0.25, 0.5])


def test_names_of_descriptions(tmp_path: Path) -> None:
    with pytest.warns(ChemoscapeWarning):
        assert names_of(open_spectra(written(tmp_path, ASC))) == ["S:1", "Sample Drain"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 704.5 0\n2 705 0\n3 706 0\n", "first column counts the rows, so the second is taken"),
        ("7.1 0.1\n7.2 0.2\n", "energies go up to 7.2 and no unit is given: they are taken as eV"),
        ("704 1\n705 2\n705 3\n", "1 points repeat an energy, at 705.00 eV; the first counts"),
        ("% 1d\n% a\n%  4\n704 1\n705 2\n", "header says 4 points and it holds 2"),
    ],
)
def test_what_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.warns(ChemoscapeWarning, match=message):
        spectra = open_spectra(path)
    with pytest.warns(ChemoscapeWarning, match=message):
        energy, _ = read_spectrum(path)
    np.testing.assert_array_equal(energy, spectra["energy"])
    assert np.unique(energy).size == energy.size


def test_up_and_down_is_no_energy(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 99, (40, 5))
    path = written(tmp_path, "\n".join(" ".join(map(str, row)) for row in image))
    with pytest.raises(FileFormatError, match="column 1 goes up and down, so it is no energy axis"):
        open_spectra(path)


def test_channels_and_regions(tmp_path: Path) -> None:
    path = written(tmp_path, MANTIS)
    for wish in ("roi 1", 1, "1"):
        assert names_of(open_spectra(path, channel=wish)) == ["ROI 1"]
    with pytest.raises(FileFormatError, match="no channel 'x'; choose one of current ROI, ROI 1"):
        open_spectra(path, channel="x")
    with pytest.raises(FileFormatError, match="there are no regions to choose from"):
        open_spectra(path, region=1)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("# 20 µm, 25 °C … \x85 12\n704 1\n705 2\n", "latin-1"),
        ("# µ\n704 1\n705 2\n", "utf-8-sig"),
        ("# µ\r\n704\t1\r\n705\t2\r\n", "utf-16"),
    ],
)
def test_encodings(tmp_path: Path, text: str, encoding: str) -> None:
    text = text.replace("…", "") if encoding == "latin-1" else text
    spectra = open_spectra(written(tmp_path, text, encoding=encoding))
    np.testing.assert_array_equal(spectra, [[1, 2]])


# --- decimal commas ---


@pytest.mark.parametrize("separator", [";", "\t", " ; ", ";\t"])
def test_decimal_commas_between_semicolons_or_tabs(tmp_path: Path, separator: str) -> None:
    rows = ["704,5|0,123|2", "705|-1,5e-2|3", "706,25|nan|4,5"]
    text = "Energie (eV)|OD|I0\n" + "\n".join(rows)
    spectra = open_spectra(written(tmp_path, text.replace("|", separator)))
    np.testing.assert_array_equal(spectra["energy"], [704.5, 705, 706.25])
    np.testing.assert_array_equal(spectra, [[0.123, -0.015, np.nan], [2, 3, 4.5]])
    assert names_of(spectra) == ["OD", "I0"]


@pytest.mark.parametrize(
    "text",
    [
        "704,5 0,123\n705,5 0,124",  # blanks: decimal commas or three separators
        "704,5,0,05\n705,5,0,06",  # 05 is no number that a separator would leave
        "704,5, 0,05\n705,5, 0,06",
        "704;12,345\n705;11,245",  # thousands?
        "7,112.5;0.1\n7,113.5;0.2",  # thousands
        "1,234,567;5\n1,234,568;6",
    ],
)
def test_commas_that_may_be_anything_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FileFormatError, match=r"comma.*; write decimal points, or put semicolons"):
        open_spectra(written(tmp_path, text))


@pytest.mark.parametrize(
    "text", ["704,1\n705,2", "704.5,1\n705.5,2", "704, 1\n705,10", "704,-1\n705,1"]
)
def test_commas_that_separate(tmp_path: Path, text: str) -> None:
    assert open_spectra(written(tmp_path, text)).shape == (1, 2)


# --- gzip and HDF5 ---


def test_gzipped_text(tmp_path: Path) -> None:
    (tmp_path / "a.xas.gz").write_bytes(gzip.compress(XAS.encode()))
    assert names_of(open_spectra(tmp_path / "a.xas.gz")) == ["haematite"]
    (tmp_path / "cut.gz").write_bytes(gzip.compress(XAS.encode() * 50)[:-20])
    with pytest.raises(FileFormatError, match="is gzipped and cannot be unpacked"):
        open_spectra(tmp_path / "cut.gz")


def test_bombs_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(80_000_000), 9))
    with pytest.raises(FileFormatError, match="unpacks to more than 64 MB"):
        open_spectra(tmp_path / "bomb.gz")
    for text in ("1\n" * 2_000_001, "1 " * 500_001 + "1"):
        written(tmp_path, text, "long.txt")
        with pytest.raises(FileFormatError, match="has more than 2000000 lines, or one of more th"):
            open_spectra(tmp_path / "long.txt")


@pytest.mark.parametrize(
    "text",
    [
        "# 1 [" + " " * 900_000 + "\n704 1\n",
        "#FORMAT: EMSA/MAS\n#" + "a" * 900_000 + "\n",
        " " * 900_000 + "1 1;1,5",
        "1,5;" + " " * 900_000 + "1 1",
        "#" + "a " * 400_000 + "\n704 1\n",
        "# a" + " " * 900_000 + "b\n704 1\n",
        "# Athena project file -- x\n" + "\n@args = (" * 20_000 + ")" * 20_000,
        "# Athena project file -- x\n@args = ('" + "\\" * 900_000,
        "word\n" * 200_000 + "704 1\n",
    ],
)
def test_hostile_texts_cost_no_time(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    start = time.process_time()
    opens_or_refuses(path)
    assert time.process_time() - start < 5


def test_library_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["spectra/1/x"], file["spectra/1/y"] = [1.0, 2.0], [1.0]
    with pytest.raises(FileFormatError, match=r"/spectra/1 has energies of shape \(2,\)"):
        open_spectra(path)
    with h5py.File(path, "w") as file:
        file["elsewhere"] = [1.0]
    with pytest.raises(FileFormatError, match=r"without spectra.*with cs\.open_stack"):
        open_spectra(path)


# --- writing ---


def some_spectra(n: int = 3, dtype: type = np.float32) -> xr.DataArray:
    rng = np.random.default_rng(n)
    values = rng.normal(size=(n, 5)).astype(dtype)
    values[0, 0], values[0, 1] = 1 / 3, 1e-42
    return xr.DataArray(
        values,
        dims=("spectrum", "energy"),
        coords={
            "spectrum": ["rim", 'core, "b"', "% 3"][:n],
            "energy": np.array([700.0, 700.1, 700.30000000000007, 701 + 1 / 3, 730.353]),
        },
        attrs={"quantity": "optical_density", "source": "/a/b c.hdr"},
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_csv_round_trip(tmp_path: Path, dtype: type) -> None:
    spectra = some_spectra(3, dtype)
    spectra[1, 2] = np.nan
    spectra.coords["position"] = ("spectrum", np.array([0.0, 0.1, 0.30000000000000004]))
    save_spectra(spectra.T.chunk(), tmp_path / "a.csv")
    again = open_spectra(tmp_path / "a.csv")
    np.testing.assert_array_equal(again["energy"], spectra["energy"])
    np.testing.assert_array_equal(again.values.astype(dtype), spectra.values)
    np.testing.assert_array_equal(again["position"], spectra["position"])
    assert names_of(again) == names_of(spectra)
    assert again.attrs["quantity"] == "optical_density"
    head = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert head[0] == "# spectra, energy in eV"
    assert head[2] == "# source: /a/b c.hdr"
    assert head[4] == '# energy (eV),rim,"core, ""b""",% 3'


def test_axis2000_round_trip(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    save_spectra(spectra, tmp_path / "a.txt")
    again = open_spectra(tmp_path / "a.txt")
    np.testing.assert_array_equal(again["energy"], spectra["energy"])
    np.testing.assert_array_equal(again.values.astype(np.float32), spectra.values)
    assert names_of(again) == ["rim"]
    assert again.attrs["layout"] == "aXis2000 text"
    lines = (tmp_path / "a.txt").read_bytes().decode().split("\n")
    assert lines[:4] == ["% 1d", "% rim", "%  5", "\t700.0\t0.33333334"]
    spectra[0, 2] = np.nan
    with pytest.warns(ChemoscapeWarning, match="1 points without a value are left out"):
        save_spectra(spectra, tmp_path / "a.txt")
    assert open_spectra(tmp_path / "a.txt").shape == (1, 4)


def test_one_spectrum_without_its_dimension(tmp_path: Path) -> None:
    spectra = some_spectra(3)
    save_spectra(spectra[1], tmp_path / "a.csv")
    assert names_of(open_spectra(tmp_path / "a.csv")) == ['core, "b"']
    save_spectra(spectra[0].drop_vars("spectrum"), tmp_path / "b.txt")
    np.testing.assert_array_equal(
        open_spectra(tmp_path / "b.txt")[0].astype(np.float32), spectra[0]
    )


@pytest.mark.parametrize(
    ("spectra", "name", "message"),
    [
        (some_spectra(2), "a.txt", r"a.txt: holds 2 spectra, and this format has room for one"),
        (some_spectra(2), "a.xas", r"files that end in '\.xas'; use one of \.txt, \.csv"),
        (some_spectra(2).rename(energy="x"), "a.csv", "have the dimensions"),
        (some_spectra(2)[:0], "a.csv", "holds no spectrum"),
        (some_spectra(2), "no/folder/a.csv", "cannot be written"),
    ],
)
def test_what_cannot_be_written(
    tmp_path: Path, spectra: xr.DataArray, name: str, message: str
) -> None:
    with pytest.raises(FileFormatError, match=message):
        save_spectra(spectra, tmp_path / name)
    assert not list(tmp_path.iterdir())


# --- fuzz ---


def opens_or_refuses(path: Path) -> None:
    """Whatever is there: spectra, or an error of ours, and no other warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ChemoscapeWarning)
        try:
            spectra = open_spectra(path)
        except ChemoscapeError:
            return
    assert np.isfinite(spectra["energy"]).all()
    assert spectra.shape == (spectra["spectrum"].size, spectra["energy"].size)


FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PIECES = [
    *(
        "704.5",
        "705",
        "-1e999",
        "nan",
        "inf",
        "1e308",
        "0",
        "1",
        "2",
        "k",
        "energy",
        "keV",
        "(",
        '"',
    ),
    *(",", ";", "\t", " ", "\n", "\r", ".", "-", "#", "% 1d", "%", "*", "Column.1:", "# XDI/1.0"),
    *("# Column Descriptions:", "# 1 [ x ] a, b", "\x85", "\ufeff", "١", "chi", "quantity:"),
]


@FUZZ
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_fuzz_pieces(tmp_path: Path, pieces: list[str]) -> None:
    opens_or_refuses(written(tmp_path, "".join(pieces)))


@FUZZ
@given(
    st.sampled_from([AXIS2000, XAS, MANTIS, NOR, ASC, XDI_OTHER_COMMENTS, UNITS_BELOW]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 10_000),
)
def test_fuzz_damage(
    tmp_path: Path, text: str, changes: list[tuple[int, int]], length: int
) -> None:
    content = bytearray(text.encode())
    for place, value in changes:
        content[place % len(content)] = value
    path = tmp_path / "a.txt"
    path.write_bytes(content[: length % (len(content) + 1)])
    opens_or_refuses(path)


@settings(FUZZ, max_examples=80)
@given(st.binary(max_size=200), st.booleans())
def test_fuzz_bytes(tmp_path: Path, content: bytes, packed: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(gzip.compress(content) if packed else content)
    opens_or_refuses(path)


@settings(FUZZ, max_examples=60)
@given(
    st.lists(st.text(max_size=12), min_size=1, max_size=3),
    st.lists(st.floats(width=32), min_size=3, max_size=3),
)
def test_fuzz_round_trip(tmp_path: Path, names: list[str], values: list[float]) -> None:
    spectra = xr.DataArray(
        np.array([values] * len(names), dtype=np.float32),
        dims=("spectrum", "energy"),
        coords={"spectrum": names, "energy": [700.0, 701.0, 702.5]},
    )
    save_spectra(spectra, tmp_path / "a.csv")
    again = open_spectra(tmp_path / "a.csv")
    np.testing.assert_array_equal(again.values.astype(np.float32), spectra.values)
    np.testing.assert_array_equal(again["energy"], spectra["energy"])
    kept = [" ".join("".join(c if c.isprintable() else " " for c in s).split()) for s in names]
    if len(set(kept)) == len(kept) and all(kept):
        assert names_of(again) == kept
