"""Libraries written, added to, changed: what comes back, what stays, what is refused."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from chemoscape.errors import FileFormatError, LibraryError
from chemoscape.standards import files
from chemoscape.standards.changing import add_to_folder, attach_evidence, replace_standards
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library, Standard
from chemoscape.standards.record import Record
from chemoscape.standards.writing import export_standard, save_library

ENERGY = np.array([700.0, 705.1234, 710.0, 720.5])


def iron(name: str = "FeO (wüstite) [1]", **more: object) -> Standard:
    od = np.array([0.1, 1.25, 0.8, 0.75])
    made = Standard(
        *(name, "wüstite, #1", 1.0, ENERGY, od * 1e4),
        spectrum_sd=od * 10,
        optical_density=od,
        optical_density_sd=od / 1000,
        formula="FeO",
        density=5.745,
        value_sd=0.02,
        scale="mass_absorption",
        source="a film, measured",
        record=Record(remarks="one line\nanother").with_(
            edges="Fe L3, Fe L2", orientation="c along x", uncertainty=0.031, rank=1.0
        ),
        metadata={"mono.name": "SGM"},
    )
    return replace(made, **more)  # type: ignore[arg-type]


def library(*standards: Standard) -> Library:
    return Library(
        *("iron", "Iron", "Fe(II) fraction", standards or (iron(),)),
        energy_window=(701.0, 718.0),
        licence="CC-BY-4.0",
        version="2",
        doi="10.1000/1",
    )


def assert_same(one: Library, other: Library) -> None:
    for field in fields(Library):
        if field.name not in ("standards", "folder"):
            assert getattr(one, field.name) == getattr(other, field.name), field.name
    for a, b in zip(one.standards, other.standards, strict=True):
        for field in fields(Standard):
            np.testing.assert_equal(getattr(a, field.name), getattr(b, field.name), field.name)


def test_a_library_comes_back(tmp_path: Path) -> None:
    given = library(iron(), iron("b", value=np.nan, kind="synthetic", formula="", density=np.nan))
    again = open_library(save_library(given, tmp_path / "deep" / "iron"))
    made_up = again.standards[1]
    assert made_up.record.remarks.startswith("SYNTHETIC")
    expected = replace(given.standards[1], record=made_up.record)
    assert_same(again, replace(given, standards=(given.standards[0], expected)))
    assert again.standards[0].molar_mass == pytest.approx(71.844, abs=1e-3)


def test_exported_twice_is_the_same_to_the_last_byte(tmp_path: Path) -> None:
    save_library(library(iron(), iron("b")), tmp_path / "one")
    save_library(open_library(tmp_path / "one"), tmp_path / "two")
    ours, theirs = (sorted((tmp_path / n).iterdir()) for n in ("one", "two"))
    assert [p.name for p in ours] == [p.name for p in theirs]
    assert [p.read_bytes() for p in ours] == [p.read_bytes() for p in theirs]
    assert_same(open_library(tmp_path / "one"), open_library(tmp_path / "two"))


def test_the_shipped_library_comes_back(tmp_path: Path) -> None:
    shipped = open_library("lixv2o5-model")
    assert_same(shipped, open_library(save_library(shipped, tmp_path / "copy")))


def test_evidence_travels_with_its_library(tmp_path: Path) -> None:
    given = library(iron(record=Record().with_(cif="cif/feo.cif", pxrd="pxrd/feo.xy")))
    one = tmp_path / "one"
    save_library(replace(given, standards=(iron("b"),)), one)
    for name in ("cif/feo.cif", "pxrd/feo.xy"):
        (one / name).parent.mkdir()
        (one / name).write_text(name)
    add_to_folder(one, given.standards)
    save_library(open_library(one), tmp_path / "two")
    assert (tmp_path / "two" / "cif" / "feo.cif").read_text() == "cif/feo.cif"
    (one / "cif" / "feo.cif").unlink()
    with pytest.raises(
        LibraryError, match=r"its evidence 'cif/feo\.cif' cannot be had: there is no"
    ):
        save_library(open_library(one), tmp_path / "three")
    assert not (tmp_path / "three").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two"]  # nothing half made


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(LibraryError, match="is there already; name a folder that does not exist"):
        save_library(library(), tmp_path)
    with pytest.raises(LibraryError, match="is there already"):
        save_library(library(), tmp_path / "mine.txt")


def test_names_of_files(tmp_path: Path) -> None:
    """Safe on every system, and never one file for two standards."""
    names = ["../up", "a/b", "A-B", "CON: 1", "ß", "   "]
    folder = save_library(library(*(iron(name) for name in names)), tmp_path / "odd")
    again = open_library(folder)
    assert again.names == names
    assert sorted(p.name for p in folder.glob("*.xdi")) == [
        *("A-B-2.xdi", "CON-1.xdi", "a-b.xdi", "standard.xdi", "up.xdi", "ß.xdi")
    ]


def test_adding_keeps_what_stands_in_the_toml(tmp_path: Path) -> None:
    folder = save_library(library(iron("a")), tmp_path / "iron")
    toml = folder / "library.toml"
    toml.write_text("# my notes\n" + toml.read_text().replace('id = "iron"', 'id = "iron" # id'))
    now = add_to_folder(folder, [iron("b"), iron("c")])
    assert now.names == ["a", "b", "c"]
    assert "# my notes" in toml.read_text()
    assert 'id = "iron" # id' in toml.read_text()
    np.testing.assert_array_equal(open_library(folder).standards[2].spectrum, iron().spectrum)


def test_a_folder_is_made_where_there_is_none(tmp_path: Path) -> None:
    now = add_to_folder(tmp_path / "new", [iron("a")], variable="Fe(II) fraction")
    assert (now.id, now.variable, now.names) == ("new", "Fe(II) fraction", ["a"])
    with pytest.raises(LibraryError, match=r"its variable is 'Fe\(II\) fraction', not 'x'"):
        add_to_folder(tmp_path / "new", [iron("b")], variable="x")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (iron("a"), "two standards have the id 'a'"),
        (iron("b", scale="optical_density"), "mixes spectra in cm2/g"),
    ],
)
def test_what_does_not_fit_is_not_added(tmp_path: Path, wrong: Standard, message: str) -> None:
    folder = save_library(library(iron("a")), tmp_path / "iron")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(LibraryError, match=message):
        add_to_folder(folder, [wrong])
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_standard_replaced(tmp_path: Path) -> None:
    folder = save_library(library(iron("a"), iron("b")), tmp_path / "iron")
    shifted = iron("b", energy=ENERGY + 0.4, density=np.nan)
    now = replace_standards(folder, [shifted])
    np.testing.assert_allclose(now.standards[1].energy, ENERGY + 0.4)
    assert now.standards[1].record.identity.version == "2"
    assert (
        np.isnan(now.standards[1].density) or "density" not in (folder / "library.toml").read_text()
    )
    np.testing.assert_array_equal(now.standards[0].energy, ENERGY)
    with pytest.raises(LibraryError, match="has no standard 'z'"):
        replace_standards(folder, [iron("z")])


def test_all_scales_change_together_or_not_at_all(tmp_path: Path) -> None:
    plain = {"scale": "optical_density", "optical_density": None, "optical_density_sd": None}
    folder = save_library(library(iron("a", **plain), iron("b", **plain)), tmp_path / "iron")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(LibraryError, match="mixes spectra in cm2/g"):
        replace_standards(folder, [iron("a")])
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    now = replace_standards(folder, [iron("b"), iron("a")])
    assert now.mass_scale
    assert now.names == ["a", "b"]


def test_what_was_no_xdi_file_stays(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("700 0.1\n710 1.2\n720 0.8\n")
    (tmp_path / "library.toml").write_text('[[standard]]\nid = "a"\nvalue = 1\nfile = "a.txt"\n')
    read = open_library(tmp_path).standards[0]
    now = replace_standards(tmp_path, [replace(read, label="better")])
    assert now.labels == ["better"]
    assert (tmp_path / "a.txt").read_text().startswith("700 0.1")
    assert 'file = "a.xdi"' in (tmp_path / "library.toml").read_text()


@pytest.mark.parametrize("call", ["write_bytes", "replace"])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("stopped_by", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_change_changes_nothing(
    tmp_path: Path, call: str, number: int, stopped_by: BaseException
) -> None:
    folder = save_library(library(iron("a"), iron("b")), tmp_path / "iron")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    owner, real = (Path, Path.write_bytes) if call == "write_bytes" else (files.os, os.replace)
    calls = []

    def fails(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == number:
            raise stopped_by
        return real(*arguments)  # type: ignore[arg-type]

    new = [iron("a", label="A"), iron("b", label="B")]
    for change in (replace_standards, lambda at, some: add_to_folder(at, renamed(some))):
        calls.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, call, fails)
            with pytest.raises((KeyboardInterrupt, FileFormatError)):
                change(folder, new)
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def renamed(standards: list[Standard]) -> list[Standard]:
    return [replace(one, id=f"new {one.id}") for one in standards]


def test_evidence_is_attached_and_never_guessed(tmp_path: Path) -> None:
    folder = save_library(library(iron("a", formula="", density=np.nan)), tmp_path / "iron")
    pattern = tmp_path / "a pattern.xy"
    pattern.write_text("10 1\n20 2\n")
    now = attach_evidence(folder, "a", pxrd=pattern)
    assert now.standards[0].record.evidence.pxrd == "pxrd/a pattern.xy"
    assert (folder / "pxrd" / "a pattern.xy").read_bytes() == pattern.read_bytes()
    pattern.write_text("30 3\n")
    with pytest.raises(LibraryError, match=r"another 'pxrd/a pattern\.xy' is there"):
        attach_evidence(folder, "a", pxrd=pattern)
    with pytest.raises(LibraryError, match="there is nothing to attach"):
        attach_evidence(folder, "a")


@pytest.mark.parametrize("name", ["../out.txt", "/etc/hostname", "a/../../out.txt", "no.cif"])
def test_evidence_outside_or_missing(tmp_path: Path, name: str) -> None:
    """Neither read nor copied, whoever wrote the name."""
    (tmp_path / "out.txt").write_text("secret")
    folder = save_library(library(iron("a")), tmp_path / "iron")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    named = iron("b", record=Record().with_(cif=name))
    for change, standard in (
        (add_to_folder, named),
        (add_to_folder, replace(named, id="c")),
        (replace_standards, replace(named, id="a")),
    ):
        with pytest.raises(LibraryError, match="its evidence"):
            change(folder, [standard])
    with pytest.raises(LibraryError, match="its evidence"):
        add_to_folder(tmp_path / "new", [named])
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    toml = folder / "library.toml"
    toml.write_text(toml.read_text() + f'cif = "{name}"\n')
    with pytest.raises(LibraryError, match="its evidence"):
        save_library(open_library(folder), tmp_path / "deep" / "copy")
    assert not (tmp_path / "deep" / "copy").exists()
    assert (tmp_path / "out.txt").read_text() == "secret"


def test_remarks_that_look_like_the_end_of_a_header(tmp_path: Path) -> None:
    remarks = "first\n---- a line\n/// another\nlast"
    folder = save_library(
        library(iron("a", record=Record(remarks=remarks).with_(edges="Fe L3"))), tmp_path / "iron"
    )
    (again,) = open_library(folder).standards
    assert again.record.remarks == "first\n| ---- a line\n| /// another\nlast"
    np.testing.assert_array_equal(again.energy, ENERGY)


def test_one_standard_as_a_file(tmp_path: Path) -> None:
    path = export_standard(iron(), tmp_path / "feo.xdi", "Fe(II) fraction")
    text = path.read_text(encoding="utf-8")
    assert "# Standard.variable: Fe(II) fraction" in text
    assert "# Column.5: mu_mass_sd cm2/g" in text
    assert " 705.1234 " in text
