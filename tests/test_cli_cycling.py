"""The command line's `cycling`: curves in, numbers out; bad input in a sentence."""

from __future__ import annotations

import csv
import json

import pytest

from chemoscape.cli import main
from chemoscape.electrochemistry import simulate_cycling, write_cycling

MASS = ["--mass-mg", "1.428571", "--active-fraction", "0.7"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    curve, _ = simulate_cycling(interval_s=60.0)
    write_cycling(curve, "cell.txt", decimal=",")
    return tmp_path


def complaint(capsys, *arguments):
    assert main(["cycling", *map(str, arguments)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("chemoscape: ")
    return said


def test_numbers_for_a_machine(here, capsys):
    assert main(["cycling", "cell.txt", *MASS, "--mass-sd-mg", "0.014", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)["curves"]["cell"]
    assert [half["direction"] for half in one["half_cycles"]] == [-1, 1]
    assert one["half_cycles"][0]["specific_capacity"] == pytest.approx(147.36, rel=0.005)
    assert one["plateaus"][0]["potential"] == pytest.approx(3.33, abs=0.001)
    assert one["plateaus"][0]["half_cycle"] == 1
    assert one["hysteresis"][0]["hysteresis"] == pytest.approx(0.1, abs=0.001)
    assert one["attributes"]["scale_sd_relative"] == pytest.approx(0.0098, rel=0.01)


def test_words_figure_and_table(here, capsys):
    arguments = ["cell.txt", *MASS, "--figure", "a.png", "--csv", "a.csv"]
    assert main(["cycling", *arguments]) == 0
    said = capsys.readouterr()
    assert "half cycle 1 discharge" in said.out
    assert "no error of mass or current was given" in said.out
    assert "written: a.png" in said.err
    assert (here / "a.png").stat().st_size > 10_000
    with (here / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["time (s)"]) > 30_000
    assert min(float(row["x"]) for row in rows) >= -1e-3
    assert "exists already" in complaint(capsys, *arguments)


def test_without_a_mass(here, capsys):
    assert main(["cycling", "cell.txt"]) == 0
    said = capsys.readouterr().out
    assert "0.1474 mAh" in said
    assert " x " not in said
    assert "needs compositions" in complaint(capsys, "cell.txt", "--figure", "a.png")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.txt"], "no such file"),
        (["cell.txt", "--mass-mg", "1"], "active_fraction"),
        (["cell.txt", "cell.txt", "--mass-mg", "1", "2", "3"], "3 masses for 2 curves"),
        (["cell.txt", "--column", "voltage"], "names nothing"),
        (["cell.txt", "--column", "voltage=99"], "number them"),
        (["cell.txt", "--figure", "a.gif"], "PNG or a PDF"),
        (["cell.txt", *MASS, "--phases", "none.toml"], "no such file"),
        (["cell.txt", *MASS, "--formula", "Zz"], "cannot be read"),
    ],
)
def test_bad_input_in_a_sentence(here, capsys, arguments, said):
    assert said in complaint(capsys, *arguments)


def test_several_and_joined(here, capsys):
    assert main(["cycling", "cell.txt", "cell.txt", *MASS, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["curves"]) == ["cell", "cell (2)"]
    assert main(["cycling", "cell.txt", "cell.txt", *MASS, "--join", "--json"]) == 0
    read = capsys.readouterr()
    assert "repeat others" in read.err
    assert len(json.loads(read.out)["curves"]["cell"]["half_cycles"]) == 2
