"""The command line's `standards`: every command that looks at, makes or changes a library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chemoscape import save_stack, simulate
from chemoscape.cli import main
from chemoscape.standards.folder import open_library

MODEL = "lixv2o5-model"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path: Path, low: float = 508.0, high: float = 560.0, thickness: float = 1.68e-5) -> Path:
    """A film of two standards of the model as a table of two spectra."""
    energy = np.arange(low, high + 0.1, 0.2)
    od = thickness * open_library(MODEL).select("alpha-V2O5", "epsilon-Li0.45V2O5").spectra(energy)
    rows = "\n".join(f"{e:.2f},{a:.7f},{b:.7f}" for e, a, b in zip(energy, *od.values, strict=True))
    path.write_text(f"energy (eV),alpha (film),epsilon (film)\n{rows}\n", encoding="utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object, status: int = 0) -> str:
    """What a command prints; of one that must fail, its one sentence."""
    assert main(["standards", *map(str, words)]) == status
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    if status == 2 and not said.out:
        assert said.err.splitlines()[-1].startswith("chemoscape: ")
        return said.err
    return said.out


def test_from_a_table_to_a_library_in_mass_units(here, capsys):
    """What a user does: add, say what is known, calibrate, scale, check, compare, export."""
    said = run(capsys, "add", "mine", table(here / "films.csv"), "--variable", "x in LixV2O5")
    assert "added to mine:" in said
    assert "value unknown" in said
    assert open_library("./mine").names == ["alpha-(film)", "epsilon-(film)"]
    for name, value, formula in (("alpha", 0, "V2O5"), ("epsilon", 0.45, "Li0.45V2O5")):
        fields = ("--value", value, "--formula", formula, "--density", 3.36)
        run(capsys, "set", "mine", f"{name}-(film)", *fields)
    run(capsys, "set", "mine", "--licence", "CC0", "--field", "facility=none", "edges=V L3, O K")
    calibrate = ("calibrate", "mine", "--uncertainty", 0.02, "--source", "the model")
    said = run(capsys, *calibrate, "--anchor", 518.4, "--within", 517.5, 519.5)
    assert "± 0.0" in said
    before = (here / "mine" / "library.toml").read_bytes()
    preview = run(capsys, "scale", "mine", "--preview")
    assert (here / "mine" / "library.toml").read_bytes() == before
    assert run(capsys, "scale", "mine") == preview
    scaled = open_library("./mine")
    assert scaled.mass_scale
    np.testing.assert_allclose(
        [one.record.scaling.areal_mass for one in scaled.standards], 1.68e-5, rtol=0.02
    )
    assert scaled.standards[1].record.identity.version == "5"
    assert scaled.standards[0].optical_density is not None
    checked = json.loads(run(capsys, "check", "mine", "--json"))
    assert {one["verdict"] for one in checked["findings"]} <= {"pass", "warn", "not known"}
    told = run(capsys, "show", "mine", "alpha-(film)")
    assert "Calibration.reference" in told
    assert "facility" not in told  # tags of the file's header
    run(capsys, "export", "mine", "copy", "--select", "alpha-(film)")
    assert open_library("./copy").names == ["alpha-(film)"]
    run(capsys, "export", "mine", "alpha.xdi", "--select", "alpha-(film)")
    run(capsys, "add", "third", "alpha.xdi")
    assert open_library("./third").standards[0].record == scaled.standards[0].record


def test_shipped_library_passes_and_its_hard_sister_fails(capsys):
    assert "0 fail, 0 warn" in run(capsys, "check", MODEL)
    every = run(capsys, "check", MODEL, "--all")
    assert every.count("mass scale") == 6
    failed = run(capsys, "check", f"{MODEL}-smooth", status=2)
    assert "condition number" in failed


def test_figures(here, capsys):
    run(capsys, "show", MODEL, "--figure", "library.png")
    said = run(capsys, "compare", MODEL, "--noise", 3, "--figure", "pairs.pdf")
    assert "standard deviation of fractions at 3 % noise" in said
    run(capsys, "add", "new", table(here / "films.csv"), "--preview", "--figure", "films.png")
    assert not (here / "new").exists()
    for name, start in (
        ("library.png", b"\x89PNG"),
        ("pairs.pdf", b"%PDF"),
        ("films.png", b"\x89P"),
    ):
        assert (here / name).read_bytes().startswith(start)


def test_what_cannot_be_told_apart(capsys):
    said = run(capsys, "compare", f"{MODEL}-smooth", "alpha-V2O5", "alpha-Li0.1V2O5", "--noise", 10)
    assert "with 10 % noise alpha-V2O5 and alpha-Li0.1V2O5 cannot be told apart" in said
    found = json.loads(run(capsys, "compare", MODEL, "--json"))
    assert len(found["separability"]["pair_sd"]) == 6
    assert round(found["condition"]) == 148  # as in the shipped library's own test
    assert 0.05 < min(found["left"]) < max(found["left"]) < 0.2
    said = run(capsys, "compare", MODEL, "alpha-V2O5")
    assert "condition number nan" in said


def test_a_standard_from_a_stack(here, capsys):
    truth = simulate.core_shell(shape=(36, 48), pixel_um=0.1, poisson=True)
    save_stack(truth.stack, here / "wire.h5")
    add = ("add", "mine", "wire.h5", "--formula", "Li0.1V2O5", "--json")
    whole = json.loads(run(capsys, *add, "--id", "wire", "--value", 0.1))
    assert whole["purity"]["rank"] >= 2  # shell and core
    (one,) = whole["standards"]
    assert one["record"]["measurement"]["edges"].startswith("V L3")
    part = json.loads(
        run(capsys, *add, "--id", "part", "--cluster", 1, "--clusters", 2, "--preview")
    )
    assert part["standards"][0]["record"]["evidence"]["lcf"].startswith("100.0 ± 0.0 % wire")
    assert open_library("./mine").names == ["wire"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add", "mine", "films.csv", "--id", "a"), "2 spectra cannot share one id"),
        (("add", "mine", "films.csv", "--field", "colour=blue"), "sets no field"),
        (("add", "mine", "films.csv", "--field", "dwell_ms=long"), "dwell_ms is 'long', not a"),
        (("add", "mine", "films.csv", "--select", "beta"), "beta"),
        (("add", "mine", "films.csv", "--mass-scale"), "formula"),
        (("add", "mine", "nothing.csv"), "there is no such file"),
        (("set", "mine"), "nothing is to be set"),
        (("calibrate", MODEL, "--shift", 1, "--source", "x", "--uncertainty", 1), "no such file"),
        (("export", MODEL, "one.xdi"), "an XDI file holds one standard, not 6"),
        (("export", MODEL, "films.csv"), "is there already"),
        (("export", MODEL, "."), "is there already"),
        (("check", "nowhere"), "there is no library 'nowhere'"),
        (("compare", MODEL, "alpha"), "has no standard 'alpha'"),
        (("scale", "mine"), "there is no such file"),
    ],
)
def test_one_sentence_and_nothing_written(here, capsys, words, message):
    table(here / "films.csv")
    assert message in run(capsys, *words, status=2)
    assert [path.name for path in here.iterdir()] == ["films.csv"]


def test_what_belongs_to_one_standard_is_not_given_to_all(here, capsys):
    run(capsys, "add", "mine", table(here / "films.csv"))
    before = (here / "mine" / "library.toml").read_bytes()
    said = run(capsys, "set", "mine", "--value", 1, status=2)
    assert "the value would be that of all its standards" in said
    run(capsys, "calibrate", "mine", "--shift", 50, "--source", "x", "--uncertainty", 1, status=2)
    run(capsys, "scale", "mine", status=2)
    assert (here / "mine" / "library.toml").read_bytes() == before


def test_an_unknown_composition_is_refused_before_a_run(here, capsys):
    truth = simulate.core_shell(shape=(20, 24), pixel_um=0.2)
    save_stack(truth.stack, here / "wire.h5")
    run(capsys, "add", "mine", table(here / "films.csv"))
    (here / "wire.toml").write_text(
        'version = 1\n[input]\npath = "wire.h5"\n[standards]\nlibrary = "./mine"\n'
    )
    assert main(["run", "wire.toml"]) == 2
    assert "have no value of composition" in capsys.readouterr().err
    assert not (here / "wire-results").exists()
