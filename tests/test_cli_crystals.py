"""The command line's `standards cell`, `structures` and `attach` with patterns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from chemoscape.cli import main
from chemoscape.crystals.crystal import read_crystal
from chemoscape.crystals.model import write_models
from chemoscape.crystals.simulation import synthetic_pattern
from chemoscape.mechanics.lattice import read_lattice
from chemoscape.standards.folder import open_library

MODEL = "lixv2o5-model"
GSAS = Path(__file__).parent / "crystals" / "gsas2-export.cif"
PNG = b"\x89PNG"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with the SYNTHETIC structures and a pattern of one of them."""
    monkeypatch.chdir(tmp_path)
    paths = write_models("models")
    crystal = read_crystal(paths["epsilon-Li0.45V2O5"])
    truth = crystal.with_cell((11.41, 3.593, 4.53, 90.0, 90.0, 90.0))
    made = synthetic_pattern(truth, np.arange(12, 50, 0.03), counts=4000)
    Path("eps.xye").write_text(made.text(), encoding="utf-8")
    return tmp_path


def run(capsys, *words: object, status: int = 0) -> tuple[str, str]:
    """What a command prints, and what it says beside that."""
    assert main(["standards", *map(str, words)]) == status
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return said.out, said.err


EPSILON = "models/epsilon-Li0.45V2O5-synthetic.cif"


def test_a_cell_is_refined_drawn_and_printed(here, capsys):
    out, err = run(capsys, "cell", "eps.xye", "--cif", EPSILON, "--figure", "fit.png")
    assert "a = 11.4" in out
    assert "no line that the phase does not explain" in out
    assert "Durbin-Watson" in out
    assert err == "wrote fit.png\n"
    assert Path("fit.png").read_bytes().startswith(PNG)
    facts = json.loads(run(capsys, "cell", "eps.xye", "--cif", EPSILON, "--json")[0])
    for name, value in (("a", 11.41), ("b", 3.593), ("c", 4.53)):
        assert facts["cell"][name] == pytest.approx(value, abs=5e-4)
        assert 0 < facts["cell_sd"][name] < 5e-4
    assert facts["extra_lines"] == []
    assert facts["wavelength_from"] == "file"
    options = ("--range", 14, 40, "--exclude", 20, 21, "--shift", "none", "--background", 4)
    part = json.loads(run(capsys, "cell", "eps.xye", "--cif", EPSILON, "--json", *options)[0])
    assert part["n_points"] < facts["n_points"] - 300
    assert part["shift_kind"] == "none"


def test_the_wrong_structure_is_said(here, capsys):
    words = ("cell", "eps.xye", "--cif", "models/delta-Li0.9V2O5-synthetic.cif")
    out, err = run(capsys, *words, "--other", EPSILON)
    assert "not of the phase" in out
    assert "lines are not of delta" in err
    assert "intensities differ from those of the structure" in err
    assert "as of epsilon-Li0.45V2O5-synthetic" in out


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("cell", "no.xy", "--cif", EPSILON), "no such file"),
        (("cell", EPSILON, "--cif", EPSILON), "holds no pattern"),
        (("cell", "eps.xye", "--cif", "eps.xye"), "is no CIF"),
        (("cell", "eps.xye", "--cif", EPSILON, "--range", "40", "20"), "write the lower one first"),
        (("cell", "eps.xye", "--cif", EPSILON, "--exclude", "40"), "give them in pairs"),
        (("cell", "eps.xye", "--cif", EPSILON, "--radiation", "Xx"), "is unknown"),
        (("cell", "eps.xye", "--cif", EPSILON, "--background", "0"), "1 to 40"),
        (("cell", "eps.xye", "--cif", EPSILON, "--range", "12", "12.3"), "points|holds"),
        (("cell", "eps.xye", "--cif", EPSILON, "--figure", "fit.doc"), "png"),
        (("structures", MODEL), "has no structure"),
        (("structures", MODEL, "--divide", "delta"), "what to divide"),
    ],
)
def test_wrong_input_is_one_sentence(here, capsys, words, match):
    import re

    out, err = run(capsys, *words, status=2)
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("chemoscape: ")
    assert re.search(match, last)


def test_structures_of_a_library(here, capsys, monkeypatch):
    """From files to a table that the mechanics takes: attach, compare, write."""
    run(capsys, "export", MODEL, "lib")
    for name in ("alpha-V2O5", "epsilon-Li0.3V2O5", "delta-Li0.9V2O5"):
        run(capsys, "attach", "lib", name, "--cif", f"models/{name}-synthetic.cif")
    # what is drawn is that of `cell`, above
    monkeypatch.setattr("chemoscape.report.crystals.pattern_figure", lambda found: Figure())
    out, err = run(
        *(capsys, "attach", "lib", "epsilon-Li0.45V2O5", "--cif", EPSILON),
        *("--pxrd", "eps.xye", "--figure", "fit.png"),
    )
    assert "R_wp: " in out
    assert "no line that the phase" in out
    assert Path("fit.png").read_bytes().startswith(PNG)
    out, err = run(capsys, "structures", "lib", "--csv", "lattice.csv", "--figure", "lib.png")
    assert "warning: delta-Li0.9V2O5 is not compared: its c is 2 times" in err
    assert "SYNTHETIC" in out
    assert "V1-O1 1.58" in out
    table = read_lattice("lattice.csv")
    assert table.x == (0.0, 0.3, 0.45)
    assert table.a[2] == pytest.approx(11.41, abs=5e-4)
    assert Path("lib.png").read_bytes().startswith(PNG)
    words = ("structures", "lib", "--divide", "delta-Li0.9V2O5=1,1,2", "--json")
    facts = json.loads(run(capsys, *words)[0])
    assert [one["not_comparable"] for one in facts["structures"]] == [None] * 4
    assert facts["structures"][-1]["strain"][2] > 0.05
    assert (
        "in a folder that does not exist"
        in run(*(capsys, "structures", "lib", "--csv", "no/where.csv"), status=2)[1]
    )


def test_a_refinement_of_gsas_is_imported(here, capsys):
    """One file of several blocks: cell with its errors, R_wp, and the pattern, refined again."""
    run(capsys, "export", MODEL, "lib")
    out, _ = run(capsys, "attach", "lib", "alpha-V2O5", "--cif", GSAS)
    assert "a = 11.5123(4), b = 3.56480(12), c = 4.37120(15)" in out
    assert "R_wp: 10.82 %" in out
    evidence = open_library("./lib").select("alpha-V2O5").standards[0].record.evidence
    assert evidence.r_wp == 0.10823
    facts = json.loads(run(capsys, "cell", GSAS, "--cif", GSAS, "--json")[0])
    assert facts["sd_from"] == "weights"
    for name, value in (("a", 11.5123), ("b", 3.5648), ("c", 4.3712)):
        assert facts["cell"][name] == pytest.approx(value, abs=4 * facts["cell_sd"][name])
    assert np.hypot(facts["r_wp"], 0) < 0.1


def test_a_wrong_origin_is_caught(here, capsys):
    """Coordinates of another origin: 7.33 g/cm3 by the sites, in words and in intensities."""
    text = Path(GSAS).read_text(encoding="utf-8").split("data_v2o5_pwd_0")[0]
    moved = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 6 and words[0] in ("V1", "O1", "O2", "O3"):
            x, y = (float(word.split("(")[0]) + 0.1 for word in words[2:4])
            line = " ".join([*words[:2], f"{x:.5f}", f"{y:.5f}", *words[4:]])
        moved.append(line)
    Path("moved.cif").write_text("\n".join(moved) + "\n", encoding="utf-8")
    run(capsys, "export", MODEL, "lib")
    _, err = run(capsys, "attach", "lib", "alpha-V2O5", "--cif", "moved.cif")
    assert "its sites give 7.33 g/cm3" in err
    assert "another origin" in err
    out, err = run(capsys, "cell", GSAS, "--cif", "moved.cif")
    assert "its sites give 7.33 g/cm3" in err
    assert "intensities differ from those of the structure" in err
    assert "a = 11.51" in out  # the cell is right, whatever lies in it
