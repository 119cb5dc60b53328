"""Standards of any file of spectra: names, facts, scales, what is refused, and the way back."""

from __future__ import annotations

import gzip
import hashlib
import re
import warnings
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeWarning, FileFormatError, LibraryError
from chemoscape.standards.importing import fields_of_record, standards_from_file
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import molar_mass
from chemoscape.standards.naming import edge_names, meant, unique_ids
from chemoscape.standards.record import Record
from chemoscape.standards.standard import Standard
from chemoscape.standards.writing import export_standard, save_library

ENERGY = 510 + 0.25 * np.arange(40)
EDGE = 0.2 + 0.8 / (1 + np.exp(-(ENERGY - 515)))


def text_file(folder: Path, text: str, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def table(*columns: np.ndarray, sep: str = "  ") -> str:
    return "".join(sep.join(f"{v:.8g}" for v in row) + "\n" for row in zip(*columns, strict=True))


def assert_same(one: Standard, other: Standard) -> None:
    """Every field, the columns to the digits that are written."""
    for field in fields(Standard):
        mine, its = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            np.testing.assert_allclose(its, mine, rtol=1e-6, err_msg=field.name)
        else:  # NaN is alike in text only
            assert repr(its) == repr(mine), field.name


RECORD = Record(remarks="first\nsecond").with_(
    status="reviewed",
    reviewer="A. Reader",
    licence="CC-BY-4.0",
    phase="alpha",
    facility="ALS",
    beamline="11.0.2.2",
    edges="V L3, V L2, O K",
    dwell_ms=1.5,
    anchor="O2 pi*",
    anchor_eV=530.9,
    shift_eV=-0.125,
    areal_mass=1.25e-5,
    cif="cif/a.cif",
    rank=1.0,
)


def full_standard() -> Standard:
    return Standard(
        "alpha-V2O5(1)",
        "α-V₂O₅, rim",
        0.45,
        energy=ENERGY,
        spectrum=EDGE * 2e4,
        value_sd=0.01,
        spectrum_sd=EDGE * 10,
        optical_density=EDGE,
        optical_density_sd=EDGE * 1e-3,
        formula="Li0.45V2O5",
        molar_mass=molar_mass("Li0.45V2O5"),
        density=3.36,
        scale="mass_absorption",
        kind="calculated",
        source="a stack, region 3",
        record=RECORD,
        metadata={"mono.name": "grating 2", "import.sha256": "ab" * 32},
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"scale": "optical_density", "optical_density": None, "optical_density_sd": None},
        {"value": np.nan, "value_sd": 0.0, "spectrum_sd": None, "optical_density_sd": None},
        {"formula": "", "molar_mass": np.nan, "density": np.nan, "record": Record()},
        {"kind": "measured", "metadata": {}, "molar_mass": 190.0},
    ],
)
def test_exported_standard_comes_back_as_it_was(tmp_path: Path, change: dict) -> None:
    standard = replace(full_standard(), **change)
    path = export_standard(standard, tmp_path / "a.xdi", "x in LixV2O5")
    (again,) = standards_from_file(path)
    assert_same(standard, again)
    export_standard(again, tmp_path / "b.xdi", "x in LixV2O5")
    assert path.read_bytes() == (tmp_path / "b.xdi").read_bytes()


def test_a_synthetic_spectrum_stays_one(tmp_path: Path) -> None:
    path = export_standard(replace(full_standard(), kind="synthetic"), tmp_path / "a.xdi")
    (again,) = standards_from_file(path, kind="measured")
    assert again.kind == "synthetic"
    assert "SYNTHETIC" in again.record.remarks


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=6), max_size=5))
@example(["a", "A", "a-2", "a"])
@example(["norm" * 20, "norm" * 20, "NORM" * 15])
@example(["..", "-", "[?]", "", " "])
def test_ids_are_safe_and_differ(names: list[str]) -> None:
    ids = unique_ids(names, longest=60)
    assert len(ids) == len(names)
    assert len({one.lower() for one in ids}) == len(ids)
    for one in ids:
        assert one
        assert not one.startswith(("-", "."))
        assert not set(one) & set(" \"\\/'[]{}$*?,;\n\t")
    assert unique_ids(ids) == ids


def test_names_of_files_beside_those_that_are_there() -> None:
    names = unique_ids(
        ["a(1)", "A-1", "?"], ["A-1.XDI", "x"], re.compile(r"[^\w.+]+"), ending=".xdi"
    )
    assert names == ["a-1-2.xdi", "A-1-3.xdi", "spectrum.xdi"]


def test_remedies_name_what_is_near_or_what_there_is() -> None:
    assert meant("licens", ["licence", "doi"]) == "did you mean 'licence'"
    assert meant("zzz", ["a", "b"], otherwise="look it up") == "look it up"
    assert meant("zzz", [f"n{k}" for k in range(15)]).endswith("n11, 3 more")


@pytest.mark.parametrize(
    ("formula", "energy", "edges"),
    [
        ("V2O5", (500, 650), "V L3, V L2, O K"),  # and no V L1, at 626.7 eV
        ("FeS2", (690, 900), "Fe L3, Fe L2"),  # and no Fe L1, at 844.6 eV
        ("CeO2", (850, 1500), "Ce M5, Ce M4"),  # and none of M3 to M1
        ("FeS2", (7000, 7300), "Fe K"),
        ("V2O5", (600, 650), ""),
        ("", (500, 650), ""),
        ("Xx", (500, 650), ""),
    ],
)
def test_edges_are_those_that_a_spectrum_shows(formula, energy, edges) -> None:
    assert edge_names(formula, np.array(energy, float)) == edges


def test_columns_become_drafts(tmp_path: Path) -> None:
    text = "# Element.symbol: Fe\nenergy,LiFe(II)PO4,Fe (III) PO4,lifE(ii)po4\n"
    path = text_file(tmp_path, text + table(ENERGY, EDGE, 2 * EDGE, EDGE**2, sep=","), "a.csv")
    drafts = standards_from_file(path)
    assert [one.id for one in drafts] == ["LiFe(II)PO4", "Fe-(III)-PO4", "lifE(ii)po4-2"]
    assert [one.label for one in drafts] == ["LiFe(II)PO4", "Fe (III) PO4", "lifE(ii)po4"]
    assert all(np.isnan(one.value) for one in drafts)
    assert {one.scale for one in drafts} == {"optical_density"}
    assert {one.record.identity.status for one in drafts} == {"draft"}
    np.testing.assert_allclose(drafts[1].spectrum, 2 * EDGE, rtol=1e-7)
    assert drafts[1].source == "a.csv: Fe (III) PO4 (2 of 3)"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert drafts[1].metadata["import.sha256"] == digest
    library = Library("l", "L", "x", drafts)
    assert save_library(library, tmp_path / "library").is_dir()


def test_selection(tmp_path: Path) -> None:
    text = "energy,first one,second,third\n"
    path = text_file(tmp_path, text + table(ENERGY, EDGE, EDGE, EDGE, sep=","), "a.csv")
    picked = standards_from_file(path, select=["third", "first-one", "FIRST ONE"])
    assert [one.label for one in picked][:2] == ["third", "first one"]
    assert standards_from_file(path, select="second")[0].id == "second"
    with pytest.raises(LibraryError, match="holds no spectrum 'secnd'; did you mean 'second'"):
        standards_from_file(path, select=["secnd"])
    with pytest.raises(LibraryError, match="no spectrum is selected"):
        standards_from_file(path, select=[])


def test_fields_given_for_all(tmp_path: Path) -> None:
    path = text_file(tmp_path, table(ENERGY, EDGE), "goethite.txt")
    (one,) = standards_from_file(
        path, kind="calculated", value=0.5, formula="V2O5", licence="CC0", facility="ALS"
    )
    assert (one.id, one.label) == ("goethite", "goethite")
    assert (one.kind, one.value, one.formula) == ("calculated", 0.5, "V2O5")
    assert one.molar_mass == pytest.approx(181.88, abs=0.01)
    assert (one.record.identity.licence, one.record.measurement.facility) == ("CC0", "ALS")
    with pytest.raises(LibraryError, match="no field 'licens'; did you mean 'licence'"):
        standards_from_file(path, licens="CC0")


def test_fields_of_a_standard_and_of_its_record_differ() -> None:
    """Both may be given for all spectra of a file: a name must say which is meant."""
    of_record = [*fields_of_record(), "remarks"]
    assert len(of_record) == len(set(of_record))
    assert not set(of_record) & {one.name for one in fields(Standard)}
    assert len(of_record) > 40


def test_edges_of_the_formula_are_named(tmp_path: Path) -> None:
    """Where the file names none; what was exported here comes back as it was."""
    path = text_file(tmp_path, table(ENERGY, EDGE))
    (one,) = standards_from_file(path, formula="V2O5")
    assert one.record.measurement.edges == "V L3"  # L2 is behind them
    (named,) = standards_from_file(path, formula="V2O5", edges="V L3, V L2")
    assert named.record.measurement.edges == "V L3, V L2"
    assert standards_from_file(path)[0].record.measurement.edges == ""
    text = "# Formula: V2O5\n" + table(ENERGY, EDGE)
    assert standards_from_file(text_file(tmp_path, text))[0].record.measurement.edges
    bare = replace(one, record=one.record.with_(edges=""))
    again = export_standard(bare, tmp_path / "b.xdi")
    assert standards_from_file(again)[0].record.measurement.edges == ""
    (given,) = standards_from_file(again, formula="VO2")
    assert given.record.measurement.edges == "V L3"


def test_text_where_a_number_belongs_is_kept(tmp_path: Path) -> None:
    """From a file of others, and on through every export."""
    head = "# XDI/1.0\n# Column.1: energy eV\n# Column.2: od\n# Measurement.dwell: about 2 ms\n"
    head += "# Sample.density: about 3\n"
    path = text_file(
        tmp_path, head + "# Measurement.resolution: 0.5 eV\n#---\n" + table(ENERGY, EDGE)
    )
    for name in ("once.xdi", "twice.xdi"):
        (one,) = standards_from_file(path)
        assert np.isnan(one.record.measurement.dwell_ms)
        assert one.record.measurement.resolution_eV == 0.5
        assert one.metadata["measurement.dwell"] == "about 2 ms"
        assert one.metadata["import.density"] == "about 3"
        assert "measurement.resolution" not in one.metadata
        path = export_standard(one, tmp_path / name)
        assert path.read_text(encoding="utf-8").count("# Measurement.dwell: about 2 ms\n") == 1


def test_a_packed_export_is_read_like_that_of_others(tmp_path: Path) -> None:
    path = tmp_path / "a.xdi.gz"
    path.write_bytes(
        gzip.compress(export_standard(full_standard(), tmp_path / "a.xdi").read_bytes())
    )
    drafts = standards_from_file(path)
    assert {one.record.sample.phase for one in drafts} == {"alpha"}


def test_header_of_others_is_kept(tmp_path: Path) -> None:
    head = """\
# XDI/1.0 GSE/1.0
# Column.1: energy eV
# Column.2: mutrans
# Element.symbol: V
# Element.edge: K
# Facility.name: APS
# Beamline.name: 13-BM-D
# Scan.start_time: 2005-07-23 16:45:48
# Mono.d_spacing: 3.13555
# Sample.name: V2O5, ground
# Sample.stoichiometry: V2 O5
# Sample.density: 3.36 g/cm3
# Measurement.resolution: 0.5 eV
# ///
# a note: with a colon
# another
#---
# energy mutrans
"""
    (one,) = standards_from_file(text_file(tmp_path, head + table(ENERGY, EDGE), "a.xdi"))
    assert one.label == "V2O5, ground"
    assert (one.formula, one.density) == ("V2 O5", 3.36)
    measurement = one.record.measurement
    assert (measurement.edges, measurement.facility) == ("V K", "APS")
    assert (measurement.beamline, measurement.date) == ("13-BM-D", "2005-07-23 16:45:48")
    assert (measurement.resolution_eV, measurement.mode) == (0.5, "transmission")
    assert one.record.remarks == "a note: with a colon\nanother"
    assert one.metadata["mono.d_spacing"] == "3.13555"
    (again,) = standards_from_file(export_standard(one, tmp_path / "b.xdi"))
    assert_same(one, again)


def test_scale_of_mass(tmp_path: Path) -> None:
    head = "# XDI/1.0\n# Column.1: energy eV\n# Column.2: mu_mass cm2/g\n#---\n"
    (one,) = standards_from_file(text_file(tmp_path, head + table(ENERGY, 2e4 * EDGE), "v.xdi"))
    assert (one.scale, one.id) == ("mass_absorption", "v")


def test_what_was_done_to_them(tmp_path: Path) -> None:
    text = "# energy norm flat\n" + table(ENERGY, EDGE, EDGE)
    both = standards_from_file(text_file(tmp_path, text, "foil.dat"))
    assert [one.id for one in both] == ["foil-norm", "foil-flat"]
    corrections = [one.record.measurement.corrections for one in both]
    assert corrections == ["normalised (column norm)", "normalised and flattened (column flat)"]


def test_detectors_become_a_density(tmp_path: Path) -> None:
    head = (
        "# XDI/1.0\n# Column.1: energy eV\n# Column.2: i0 counts\n# Column.3: itrans counts\n#---\n"
    )
    i0 = 1e5 + 10 * ENERGY
    path = text_file(tmp_path, head + table(ENERGY, i0, i0 * np.exp(-EDGE)), "foil.xdi")
    with pytest.warns(ChemoscapeWarning, match=r"optical density is ln\(i0 / itrans\)"):
        (one,) = standards_from_file(path)
    np.testing.assert_allclose(one.spectrum, EDGE, atol=1e-6)
    assert one.record.measurement.mode == "transmission"
    assert one.source == "foil.xdi: ln(i0 / itrans)"
    with pytest.raises(LibraryError, match="'i0' is a raw signal"):
        standards_from_file(path, select=["i0"])


def test_raw_signals_are_refused(tmp_path: Path) -> None:
    counts = text_file(tmp_path, "# quantity: counts\n" + table(ENERGY, 1e4 * EDGE), "c.csv")
    with pytest.raises(LibraryError, match=r"raw signal of a detector.*divide it by I0"):
        standards_from_file(counts)
    head = "# XDI/1.0\n# Column.1: energy eV\n# Column.2: drain nA\n# Column.3: mu\n#---\n"
    path = text_file(tmp_path, head + table(ENERGY, EDGE, EDGE), "d.xdi")
    with pytest.raises(LibraryError, match="stands beside such"):
        standards_from_file(path)
    assert standards_from_file(path, select=["d mu"])[0].label == "d mu"


def test_transmission_is_converted(tmp_path: Path) -> None:
    through = np.exp(-EDGE)
    through[3] = 0
    path = text_file(tmp_path, "# quantity: transmission\n" + table(ENERGY, through), "t.csv")
    with pytest.warns(ChemoscapeWarning) as caught:
        (one,) = standards_from_file(path)
    said = " ".join(str(w.message) for w in caught)
    assert "-ln T" in said
    assert "1 points without a value" in said
    np.testing.assert_allclose(one.spectrum, np.delete(EDGE, 3), atol=1e-7)


def test_energies_are_put_in_order(tmp_path: Path) -> None:
    path = text_file(tmp_path, "520 2\n515 1.5\n515 9\n510 -1\n")
    with pytest.warns(ChemoscapeWarning) as caught:
        (one,) = standards_from_file(path)
    said = [str(w.message) for w in caught]
    assert any("1 points repeat an energy, at 515.00 eV" in text for text in said)
    assert any("do not ascend" in text for text in said)
    assert one.energy.tolist() == [510, 515, 520]
    assert one.spectrum.tolist() == [-1, 1.5, 2]


def test_energies_in_keV(tmp_path: Path) -> None:
    with pytest.warns(ChemoscapeWarning, match="in keV"):
        (one,) = standards_from_file(text_file(tmp_path, "energy (keV), a\n7.1,1\n7.2,2\n"))
    assert one.energy.tolist() == [7100, 7200]


def test_one_that_is_none_does_not_hide_the_others(tmp_path: Path) -> None:
    text = "energy,good,nothing\n" + table(ENERGY, EDGE, 0 * EDGE, sep=",")
    path = text_file(tmp_path, text, "a.csv")
    with pytest.warns(ChemoscapeWarning, match=r"1 are left out \(nothing\).*is zero"):
        assert [one.id for one in standards_from_file(path)] == ["good"]
    with pytest.raises(LibraryError, match="is zero"):
        standards_from_file(path, select=["nothing"])


def hdf5_library(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        for k, (n, edge) in enumerate([(40, "K (1s)"), (30, "L2,3 (2p)"), (35, "")]):
            group = file.create_group(f"spectra/{k:06d}")
            group["x"], group["y"] = ENERGY[:n], EDGE[:n]
            group.attrs["label"] = f"spectrum of {k}"
            group.attrs["element"], group.attrs["edge"] = "Cu", edge
            group.attrs["compound"] = "CuO"
            group.attrs["resolution_meV"] = 70.0
            group.attrs["post_normalization"] = "Area"
    return path


def test_each_on_its_own_energies(tmp_path: Path) -> None:
    drafts = standards_from_file(hdf5_library(tmp_path / "a.h5"))
    assert [one.energy.size for one in drafts] == [40, 30, 35]
    assert [one.record.measurement.edges for one in drafts] == ["Cu K", "Cu L3, Cu L2", ""]
    assert {one.formula for one in drafts} == {"CuO"}
    assert drafts[0].record.measurement.resolution_eV == pytest.approx(0.07)
    assert drafts[0].record.measurement.corrections == "normalised (Area)"
    assert drafts[0].metadata["library.resolution_mev"] == "70"
    for one in drafts:
        (again,) = standards_from_file(export_standard(one, tmp_path / "b.xdi"))
        assert_same(one, again)


def test_formula_that_cannot_be_read(tmp_path: Path) -> None:
    head = "# Name: almandine\n# Formula: Fe2+3Al2 / Webmineral\n"
    with pytest.warns(ChemoscapeWarning, match="its formula 'Fe2.*' cannot be read"):
        (one,) = standards_from_file(text_file(tmp_path, head + table(ENERGY, EDGE)))
    assert (one.label, one.formula) == ("almandine", "")
    assert one.metadata["import.formula"] == "Fe2+3Al2 / Webmineral"


def test_axis2000_text(tmp_path: Path) -> None:
    text = "% 1d\n% V2O5 rim (a)\n%  40\n" + table(ENERGY, EDGE, sep="\t")
    (one,) = standards_from_file(text_file(tmp_path, text))
    assert (one.id, one.label, one.record.remarks) == ("V2O5-rim-(a)", "V2O5 rim (a)", "")


def test_files_that_hold_none(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="holds no two columns"):
        standards_from_file(text_file(tmp_path, "nothing here\n"))
    with pytest.raises(FileFormatError, match="no such file"):
        standards_from_file(tmp_path / "none.txt")
    with pytest.raises(FileFormatError):
        standards_from_file(tmp_path)


def test_nothing_is_said_of_a_sound_file(tmp_path: Path) -> None:
    path = text_file(tmp_path, table(ENERGY, EDGE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(standards_from_file(path)) == 1
