"""Structures of a library against composition: strain, tables for the mechanics, other settings."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from chemoscape.crystals.evidence import attach_with_pattern
from chemoscape.crystals.model import PHASES, write_models
from chemoscape.crystals.rows import StructureRow
from chemoscape.crystals.simulation import synthetic_pattern
from chemoscape.crystals.structures import cell_in, series_of, structures_of
from chemoscape.curation.diffraction import check_pattern
from chemoscape.errors import ChemoscapeWarning, LibraryError, MaterialError
from chemoscape.mechanics.lattice import read_lattice
from chemoscape.mechanics.lattice_series import lattice_from_series
from chemoscape.standards.changing import attach_evidence
from chemoscape.standards.folder import open_library
from chemoscape.standards.writing import save_library

NAN = float("nan")


def row(name, value, a, b, c, *, sd=(0.001, 0.001, 0.001), z=2.0, **more) -> StructureRow:
    cell = (a, b, c, *more.pop("angles", (90.0, 90.0, 90.0)))
    return StructureRow(
        *(name, name, value, cell, (*sd, NAN, NAN, NAN)), z=z, formula="V2O5", source="a", **more
    )


ALPHA, EPSILON = row("alpha", 0.0, 11.5, 3.56, 4.37), row("epsilon", 0.5, 11.4, 3.57, 4.55)
DELTA = row("delta", 0.9, 11.25, 3.6, 9.92, z=4.0)


def test_strain_is_that_of_lengths_with_both_errors():
    series = series_of([EPSILON, ALPHA], "x")
    assert [one.id for one in series.rows] == ["alpha", "epsilon"]
    strain, sd = series.strain(series.rows[1])
    np.testing.assert_allclose(strain, [11.4 / 11.5 - 1, 3.57 / 3.56 - 1, 4.55 / 4.37 - 1])
    drawn = np.random.default_rng(0).normal(1, 0.001, (2, 40000))
    by_draws = np.std((4.55 + drawn[0] - 1) / (4.37 + drawn[1] - 1))
    assert sd[2] == pytest.approx(by_draws, rel=0.02)
    assert (series.strain(series.rows[0])[1] == 0).all()
    assert series.rows[0].volume == pytest.approx(11.5 * 3.56 * 4.37)
    assert series.rows[0].density == pytest.approx(3.376, abs=1e-3)


@pytest.mark.parametrize(
    ("odd", "match"),
    [
        (DELTA, r"its c is 2 times that of alpha.*--divide delta=1,1,2"),
        (row("p", 0.9, 3.6, 4.9, 11.25), "its a, b, c are"),
        (row("q", 0.9, 11.3, 3.6, 4.6, angles=(90.0, 98.0, 90.0)), "angles differ"),
        (row("r", 0.9, 11.3, 3.6, 4.6, z=1.0), "a wrong Z"),
    ],
)
def test_other_settings_are_flagged_and_never_mixed(odd, match):
    series = series_of([ALPHA, EPSILON, odd], "x")
    assert re.search(match, series.rows[2].reason)
    assert np.isnan(series.strain(series.rows[2])[0]).all()
    assert odd.id not in [line.split(",")[-1] for line in series.csv().splitlines()]
    assert f"# {odd.id}: left out" in series.csv()
    with pytest.warns(ChemoscapeWarning, match=f"{odd.id} is left out"):
        assert lattice_from_series(series).x == (0.0, 0.5)


def test_a_doubled_cell_is_divided_when_it_is_said():
    series = series_of([ALPHA, EPSILON, DELTA], "x", divide={"delta": (1, 1, 2)})
    assert series.rows[2].reason == ""
    np.testing.assert_allclose(series.strain(series.rows[2])[0][2], 4.96 / 4.37 - 1)
    lattice = lattice_from_series(series, axes=("b", "a", "c"))
    assert lattice.c == (4.37, 4.55, 4.96)
    assert (lattice.status, lattice.source) == ("literature", "a")
    np.testing.assert_allclose(
        lattice.strain(0.9, 0.0), [3.6 / 3.56 - 1, 11.25 / 11.5 - 1, 4.96 / 4.37 - 1]
    )


def test_tables_are_read_by_the_mechanics(tmp_path):
    series = series_of([ALPHA, EPSILON], "x")
    path = tmp_path / "lattice.csv"
    path.write_text(series.csv(), encoding="utf-8")
    assert read_lattice(path).a == lattice_from_series(series).a == (11.5, 11.4)
    refined = [replace(one, cell_from="lattice", r_wp=0.08) for one in (ALPHA, EPSILON)]
    assert lattice_from_series(series_of(refined, "x")).status == "measured"
    unnamed = series_of([replace(one, source="") for one in (ALPHA, EPSILON)], "x")
    with pytest.raises(MaterialError, match="need their source"):
        lattice_from_series(unnamed, status="measured")


def test_what_makes_no_series_is_refused():
    with pytest.raises(LibraryError, match="1 of its structures"):
        series_of([ALPHA, DELTA], "x").csv()
    with pytest.raises(LibraryError, match="no structure belongs to 'beta'"):
        series_of([ALPHA], "x", reference="beta")
    with pytest.raises(LibraryError, match="is unknown"):
        series_of([ALPHA, replace(EPSILON, value=NAN)], "x")
    with pytest.raises(LibraryError, match="three whole numbers"):
        series_of([ALPHA, DELTA], "x", divide={"delta": (1, 2)})
    with pytest.raises(LibraryError, match="has no structure"):
        structures_of(open_library("lixv2o5-model"))


def test_cells_in_words():
    cell, sd = cell_in("a = 5.1(2), b = 6, c = 7.25 Å, alpha = 90, beta = 101.3(1), gamma = 90 deg")
    assert cell == (5.1, 6.0, 7.25, 90.0, 101.3, 90.0)
    np.testing.assert_allclose(sd[:1] + sd[4:5], (0.2, 0.1))
    assert cell_in("orthorhombic") is None
    assert cell_in("a = 0, b = 1, c = 2") is None


@pytest.fixture
def library(tmp_path):
    """The model library in a folder, with the SYNTHETIC structures of two of its standards."""
    folder = tmp_path / "lib"
    save_library(open_library("lixv2o5-model"), folder)
    paths = write_models(tmp_path / "models")
    for name in ("alpha-V2O5", "delta-Li0.9V2O5"):
        attach_evidence(folder, name, cif=paths[name])
    return folder, paths


def test_a_library_with_structures_and_one_pattern(library, tmp_path):
    """Lattice and R_wp come from the pattern, atoms from the CIF; what has none is named."""
    from chemoscape.crystals.crystal import read_crystal

    folder, paths = library
    name = "epsilon-Li0.45V2O5"
    truth = (11.41, 3.593, 4.53, 90.0, 90.0, 90.0)
    made = synthetic_pattern(
        read_crystal(paths[name]).with_cell(truth), np.arange(12, 50, 0.03), counts=4000
    )
    (tmp_path / "a.xye").write_text(made.text(), encoding="utf-8")
    _, found = attach_with_pattern(folder, name, cif=paths[name], pxrd=tmp_path / "a.xye")
    np.testing.assert_allclose(found.fit.cell[:3], truth[:3], atol=5e-4)
    evidence = open_library(str(folder)).select(name).standards[0].record.evidence
    assert evidence.lattice == found.fit.lattice
    assert evidence.r_wp == pytest.approx(found.fit.r_wp, abs=1e-5)
    series = structures_of(open_library(str(folder)))
    assert [one.id for one in series.rows] == ["alpha-V2O5", name, "delta-Li0.9V2O5"]
    assert series.rows[1].cell_from == "lattice"
    np.testing.assert_allclose(series.rows[1].lengths, truth[:3], atol=5e-4)
    assert 0 < series.rows[1].lengths_sd[0] < 1e-3
    assert series.synthetic
    assert "SYNTHETIC" in series.csv()
    assert set(PHASES) - set(series.missing) == {one.id for one in series.rows}
    assert lattice_from_series(replace(series, rows=series.rows[:2])).status == "illustrative"
    assert json.dumps(series.facts()["structures"][0]["bonds"])
    assert "2 times that of alpha-V2O5" in str(series)


def test_a_pattern_that_says_nothing_is_kept(library, tmp_path):
    folder, _ = library
    odd = tmp_path / "scan.raw"
    odd.write_bytes(b"RAW1.01\0" + bytes(100))
    with pytest.warns(ChemoscapeWarning, match="is kept but says nothing"):
        now, found = attach_with_pattern(folder, "alpha-V2O5", pxrd=odd)
    assert found is None
    assert now.select("alpha-V2O5").standards[0].record.evidence.pxrd == "pxrd/scan.raw"


def test_checking_a_library_looks_at_its_patterns(library, tmp_path):
    """A pattern with a foreign line is a warning with its height; a clean one passes."""
    from chemoscape.crystals.crystal import read_crystal

    folder, paths = library
    x = np.arange(12, 45, 0.04)
    for name, height in (("alpha-V2O5", 0.0), ("delta-Li0.9V2O5", 0.06)):
        made = synthetic_pattern(read_crystal(paths[name]), x, counts=4000)
        y = made.intensity + np.round(4000 * height * np.exp(-(((x - 29.2) / 0.06) ** 2)))
        made = replace(made, intensity=y, sd=np.sqrt(np.maximum(y, 1)))
        (tmp_path / f"{name}.xye").write_text(made.text(), encoding="utf-8")
        attach_evidence(folder, name, pxrd=tmp_path / f"{name}.xye")
    standards = open_library(str(folder)).select("alpha-V2O5", "delta-Li0.9V2O5", "alpha-Li0.1V2O5")
    clean, foreign, none = (check_pattern(one, folder) for one in standards.standards)
    assert (clean.verdict, clean.number, none) == ("pass", 0.0, None)
    assert foreign.verdict == "warn"
    assert 3 < foreign.number < 7  # 6 % of a line that has no second wavelength
    assert re.search(r"at 29\.[12]\d deg", foreign.detail)
    (folder / "pxrd" / "alpha-V2O5.xye").write_bytes(b"RAW1.01\0")
    assert check_pattern(standards.standards[0], folder).verdict == "not known"
