"""The command line's `standards peaks`."""

from __future__ import annotations

import csv
import json

import pytest

from chemoscape.cli import main

LIBRARY = "lixv2o5-model"
MODEL = """
name = "V L3, three peaks"
window = [511.0, 517.8]
[[peak]]
name = "pre"
near = 514.6
[[peak]]
name = "d_xy"
near = 516.0
[[peak]]
name = "d_xz/yz"
near = 517.1
[[step]]
edge = "V L3"
energy = 517.4
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *words, status=0):
    """What a command prints; of one that must fail, its one sentence."""
    assert main(["standards", "peaks", *map(str, words)]) == status
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    if status:
        assert said.err.splitlines()[-1].startswith("chemoscape: ")
        return said.err
    return said.out


def test_numbers_table_and_figure(here, capsys):
    words = ("--edge", "V L3", "--within", 0, 0.7, "--csv", "peaks.csv", "--figure", "peaks.png")
    said = run(capsys, LIBRARY, *words)
    assert "SYNTHETIC" in said
    line = next(one for one in said.splitlines() if one.startswith("d_xy ") and "±" in one)
    assert "centre" in line
    assert "rises; delta-Li0.9V2O5 departs" in line
    with (here / "peaks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    first = next(row for row in rows if row["peak"] == "d_xy")
    assert float(first["centre"]) == pytest.approx(515.9, abs=0.02)
    assert (here / "peaks.png").stat().st_size > 50_000


def test_json_and_a_model_of_ones_own(here, capsys):
    (here / "mine.toml").write_text(MODEL, encoding="utf-8")
    chosen = ("--select", "alpha-V2O5", "delta-Li0.9V2O5")
    said = json.loads(run(capsys, LIBRARY, "--model", "mine.toml", *chosen, "--json"))
    assert said["model"] == "V L3, three peaks"
    assert said["synthetic"] is True
    assert said["trends"] == []
    assert [one["peak"] for one in said["spectra"][0]["peaks"]] == ["pre", "d_xy", "d_xz/yz"]
    options = ("--widths", "shared", "--centres", "free")
    assert "no trends" in run(capsys, LIBRARY, "--model", "mine.toml", *chosen, *options)
    assert "no trends" in run(capsys, LIBRARY, "--model", "mine.toml", *chosen, "--widths", 0.2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-library"], "no-such-library"),
        ([LIBRARY, "--edge", "V L9"], "no peak model is called"),
        ([LIBRARY, "--edge", "O K", "--model", "x.toml"], "leave one of them out"),
        ([LIBRARY, "--model", "x.toml"], "no such file"),
        ([LIBRARY, "--figure", "x.txt"], "PNG or a PDF"),
        ([LIBRARY, "--csv", "none/x.csv"], "no such folder"),
        ([LIBRARY, "--within", "0.95", "1"], "a trend takes three"),
    ],
)
def test_bad_input_is_one_sentence(here, capsys, words, said):
    assert said in run(capsys, *words, status=2)
