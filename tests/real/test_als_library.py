"""A library of the real ALS end members: made, checked, exported, imported again, used by a run."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.cli import main
from chemoscape.recipe import read_recipe
from chemoscape.results import summary_of
from chemoscape.standards.folder import open_library
from chemoscape.standards.importing import standards_from_file
from chemoscape.standards.standard import Standard
from chemoscape.standards.writing import save_library

RECIPE = Path(__file__).with_name("als_fe2p.toml")
#: Reduced fraction by mass in data/README.md.
KNOWN_FRACTION = 0.254
QUICK = {
    "calibration.energy_shift": 0.0,
    "deconvolution.route": "direct",
    "clusters.enabled": False,
    "stress.enabled": False,
}


def test_spectra_are_those_of_the_authors(als, als_library):
    library = open_library(als_library)
    assert library.names == ["reduced", "oxidised"]
    for one, name in zip(library.standards, ("reduced.t", "oxidized.t"), strict=True):
        energy, values = np.loadtxt(als / name, unpack=True)
        np.testing.assert_allclose(one.energy, energy, atol=1e-6)
        np.testing.assert_allclose(one.spectrum, values, rtol=1e-6, atol=1e-12)


def test_checks(als_library, capsys):
    """Nothing fails; what a draft of two columns lacks is named."""
    assert main(["standards", "check", str(als_library), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    verdicts = {(one["standard"], one["check"]): one["verdict"] for one in findings}
    assert "fail" not in verdicts.values()
    assert verdicts["reduced", "energy range"] == "pass"
    assert verdicts["reduced", "energy step"] == "warn"  # 0.357 eV
    assert verdicts["reduced", "calibration"] == "pass"
    assert verdicts["", "condition number"] == "pass"


def test_exported_and_imported_again_it_is_identical(als_library, tmp_path):
    assert main(["standards", "export", str(als_library), str(tmp_path / "copy")]) == 0
    names = sorted(path.name for path in als_library.iterdir())
    assert sorted(path.name for path in (tmp_path / "copy").glob("*")) == names
    for name in (name for name in names if name.endswith(".xdi")):
        assert (tmp_path / "copy" / name).read_bytes() == (als_library / name).read_bytes()
    first = open_library(als_library)
    drafts = [standards_from_file(tmp_path / "copy" / f"{name}.xdi")[0] for name in first.names]
    again = open_library(
        save_library(replace(first, standards=tuple(drafts)), tmp_path / "imported")
    )
    for one, other in zip(first.standards, again.standards, strict=True):
        for field in fields(Standard):
            mine, theirs = (getattr(standard, field.name) for standard in (one, other))
            np.testing.assert_equal(theirs, mine, field.name)


def test_a_run_with_the_copy_is_the_same_run(als, als_library, tmp_path):
    assert main(["standards", "export", str(als_library), str(tmp_path / "copy")]) == 0
    files = {"input.path": str(als / "71214078.hdr"), "absorbance.i0": str(als / "i0.xsp")}
    one, other = (
        cs.run(read_recipe(RECIPE, {**files, **QUICK, "standards.library": str(folder)}))
        for folder in (als_library, tmp_path / "copy")
    )
    maps = [result["composition/composition"].values for result in (one, other)]
    np.testing.assert_array_equal(*maps)
    found = summary_of(one).composition.mean_mass_weighted
    assert found == pytest.approx(KNOWN_FRACTION, abs=0.02)
