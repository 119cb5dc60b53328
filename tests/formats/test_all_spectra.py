"""Every spectrum of a file by itself, against what opens them together."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import test_athena as athena
import test_sdf_spectra as sdf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sound import corpus

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import open_spectra
from chemoscape.formats.spectra import read_all_spectra
from chemoscape.standards.importing import standards_from_file


@pytest.fixture(params=["perl", "json"])
def project(request, tmp_path: Path) -> Path:
    write = athena.perl if request.param == "perl" else athena.as_json
    path = tmp_path / "a.prj"
    path.write_text(write(athena.RECORDS), encoding="utf-8")
    return path


def test_records_of_a_project(project: Path) -> None:
    """All but chi(k), each on its own axis, repeated names numbered."""
    found = read_all_spectra(project)
    assert [one.names for one in found] == [("V2O5; 'rim'",), ("VO2",), ("V2O3",), ("VO2 (2)",)]
    for one in found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)
            opened = open_spectra(project, region=one.names[0])
        np.testing.assert_array_equal(one.energy, opened["energy"])
        np.testing.assert_array_equal(one.values, opened)
    assert all(one.attrs["element"] == "V" and one.attrs["edge"] == "K" for one in found)
    assert found[1].attrs["energy_shift_eV"] == "0.35"
    assert "energy_shift_eV" not in found[0].attrs
    assert all("1 records not over energy are left out" in one.notes[0] for one in found)
    assert any("repeat an energy" in note for note in found[3].notes)


def test_shift_of_a_project_is_recorded(project: Path) -> None:
    with pytest.warns(ChemoscapeWarning) as caught:
        drafts = standards_from_file(project)
    said = [str(one.message) for one in caught]
    assert len(said) == 3  # once each, however many records they are true of
    assert any("VO2: the project's energy shift of +0.350 eV is added" in text for text in said)
    assert [one.record.calibration.shift_eV for one in drafts][1] == 0.35
    assert np.isnan(drafts[0].record.calibration.shift_eV)
    assert drafts[1].energy.tolist() == [5465.35, 5466.35]


def test_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.xdi"
    head = "# XDI/1.0\n# Column.1: energy eV\n# Column.2: od\n# Column.3: i0 counts\n"
    path.write_text(head + "# Mono.name: Si\n#---\n1 2 3\n2 3 nan\n2 9 9\n", encoding="utf-8")
    first, second = read_all_spectra(path)
    assert (first.quantity, second.quantity) == ("optical_density", "counts")
    assert first.energy.tolist() == [1, 2]
    np.testing.assert_array_equal(second.values, [[3, np.nan]])
    assert first.attrs["mono.name"] == "Si"
    assert str(first.attrs["header"]).startswith("# XDI/1.0\n")
    assert second.attrs["unit"] == "counts"
    with pytest.warns(ChemoscapeWarning, match="repeat an energy"):
        opened = open_spectra(path, channel="od")  # as ever: no line of the header
    assert "mono.name" not in opened.attrs


def test_points_and_lines_of_a_stack_format(tmp_path: Path) -> None:
    """What `open_spectra` opens of them, one by one."""
    for name, write in (("points", sdf.point_scan), ("line", sdf.line_scan)):
        (tmp_path / name).mkdir()
        header = write(tmp_path / name)
        found = read_all_spectra(header)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)
            opened = open_spectra(header)
        assert [one.names[0] for one in found] == list(opened["spectrum"].values)
        for one, values in zip(found, opened.values, strict=True):
            assert (one.quantity, one.attrs["layout"], one.position) == ("counts", "SDF", None)
            np.testing.assert_array_equal(one.values, values[None])


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        read_all_spectra(tmp_path / "none.txt")
    with pytest.raises(FileFormatError):
        read_all_spectra(tmp_path)


def test_damaged_library(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["spectra/1/x"], file["spectra/1/y"] = np.arange(3.0), np.arange(4.0)
    with pytest.raises(FileFormatError, match="energies of shape"):
        read_all_spectra(path)


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory) -> dict[str, Path]:
    return corpus(tmp_path_factory.mktemp("sound"))


def quietly(path: Path) -> int:
    """How many standards a file holds; 0 when it says why it holds none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        with contextlib.suppress(ChemoscapeError):
            return len(standards_from_file(path))
    return 0


def test_files_of_all_kinds(sound_files: dict[str, Path]) -> None:
    """Spectra become standards; stacks, counts and the rest say why they do not."""
    found = {kind for kind, path in sound_files.items() if quietly(path)}
    assert {"written.txt", "written.csv"} <= found
    assert not {kind for kind in found if kind.startswith(("tiff", "cxi", "stk", "sdf", "txrm"))}


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_damage_ends_in_a_sentence(sound_files, tmp_path: Path, data) -> None:
    kinds = [kind for kind, path in sound_files.items() if path.is_file()]
    source = sound_files[data.draw(st.sampled_from(kinds))]
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / source.name
    path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    quietly(path)
