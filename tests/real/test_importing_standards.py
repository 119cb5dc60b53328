"""Standards imported from real files of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chemoscape.errors import ChemoscapeWarning, LibraryError
from chemoscape.formats import open_spectra
from chemoscape.standards.importing import standards_from_file
from chemoscape.standards.standard import Standard
from chemoscape.standards.writing import export_standard


def steepest(one: Standard) -> float:
    """Energy (eV) where a spectrum rises most."""
    return float(one.energy[np.argmax(np.gradient(one.spectrum, one.energy))])


def test_athena_project(data_folder: Path, tmp_path: Path) -> None:
    drafts = standards_from_file(data_folder / "spectra_vk" / "Vglasses.prj")
    assert len(drafts) == 28
    assert len({one.energy.size for one in drafts}) > 1  # which one axis could not hold
    assert drafts[0].label == "ALL_45 NNO+3.8"
    assert drafts[0].id == "ALL_45-NNO+3.8"
    assert {one.record.measurement.edges for one in drafts} == {"V K"}
    assert {one.metadata["athena.e0_ev"] for one in drafts} == {"5480"}
    assert all(5460 < steepest(one) < 5490 for one in drafts)
    for one in drafts:
        (again,) = standards_from_file(export_standard(one, tmp_path / "a.xdi"))
        assert (again.id, again.label, again.source) == (one.id, one.label, one.source)
        assert repr(again.record) == repr(one.record)
        assert again.metadata == one.metadata
        np.testing.assert_allclose(again.spectrum, one.spectrum, rtol=1e-6)


def test_normalised_library(data_folder: Path) -> None:
    path = data_folder / "spectra_fek" / "FeLibNov2021.nor"
    drafts = standards_from_file(path)
    assert len(drafts) == 11
    assert "LiFe(II)PO4" in [one.id for one in drafts]
    assert {one.record.measurement.edges for one in drafts} == {"Fe K"}
    assert all(one.record.measurement.corrections.startswith("normalised") for one in drafts)
    together = open_spectra(path)
    for one, values in zip(drafts, together.values, strict=True):
        np.testing.assert_array_equal(one.spectrum, values)
    (pyrite,) = standards_from_file(path, select=["pyrite"])
    assert pyrite.label == "Pyrite"
    assert pyrite.source == "FeLibNov2021.nor: Pyrite (9 of 11)"


@pytest.mark.filterwarnings("ignore:.*its formula:chemoscape.errors.ChemoscapeWarning")
def test_references_with_brackets_in_their_names(data_folder: Path) -> None:
    folder = data_folder / "spectra_fek" / "references"
    found = {path.name: standards_from_file(path) for path in sorted(folder.iterdir())}
    assert [drafts[0].label for drafts in found.values()] == ["Almandine", "biotite", "Ripidolite"]
    for name, (one,) in found.items():
        assert one.source.startswith(name)
        assert 7115 < steepest(one) < 7130
        assert "Name:" in one.record.remarks
        assert one.record.measurement.edges == ""  # the file says K, and not of what
        assert one.metadata["import.edge"] == "K"


def test_hdf5_library(data_folder: Path) -> None:
    drafts = standards_from_file(data_folder / "spectra_soft" / "library.h5")
    assert [one.energy.size for one in drafts] == [501, 501, 451, 451]
    edges = [one.record.measurement.edges for one in drafts]
    assert edges == ["O K", "O K", "Cu L3, Cu L2", "Cu L3, Cu L2"]
    assert [round(one.record.measurement.resolution_eV, 3) for one in drafts] == [
        *(0.04, 0.04, 0.07, 0.07)
    ]
    assert {one.formula for one in drafts} == {"CuO"}
    assert all(
        abs(steepest(one) - at) < 1 for one, at in zip(drafts, (530, 530, 931, 931), strict=True)
    )


def test_energy_loss(data_folder: Path) -> None:
    with pytest.warns(ChemoscapeWarning, match="electron energy loss"):
        (one,) = standards_from_file(data_folder / "spectra_soft" / "eelsdb_3.msa")
    assert one.record.measurement.mode == "electron energy loss"
    assert "not of X-ray absorption" in one.record.remarks
    assert one.energy[[0, -1]].tolist() == [510, 643.9]
    assert one.energy.size == 1340


def test_foil(data_folder: Path) -> None:
    path = data_folder / "spectra_vk" / "v_foil.xdi"
    with pytest.warns(ChemoscapeWarning, match=r"ln\(i0 / i1\)"):
        (one,) = standards_from_file(path)
    assert steepest(one) == pytest.approx(5465, abs=1)  # the K edge of the metal
    numbers = np.loadtxt(path)
    np.testing.assert_allclose(one.spectrum, np.log(numbers[:, 2] / numbers[:, 3]))
    assert one.record.measurement.facility == "APS"
    assert one.metadata["mono.name"] == "Si 111"


@pytest.mark.filterwarnings("ignore:.*is taken as energy:chemoscape.errors.ChemoscapeWarning")
def test_raw_scan_is_refused(data_folder: Path) -> None:
    with pytest.raises(LibraryError, match="raw signal"):
        standards_from_file(data_folder / "spectra_soft" / "sxr129577.asc")


@pytest.mark.parametrize("name", ["oxidized.r", "oxidized.t", "reduced.r", "reduced.t"])
def test_end_members(data_folder: Path, name: str) -> None:
    (one,) = standards_from_file(data_folder / "spectra_soft" / name)
    numbers = np.loadtxt(data_folder / "spectra_soft" / name)
    np.testing.assert_array_equal(one.energy, numbers[:, 0])
    np.testing.assert_array_equal(one.spectrum, numbers[:, 1])
    assert one.id == name.split(".")[0]
