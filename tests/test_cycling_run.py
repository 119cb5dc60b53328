"""A run with the electrode's curve beside its map."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO

import pytest

import chemoscape as cs
from chemoscape.cli import main
from chemoscape.electrochemistry import simulate_cycling, write_cycling

RECIPE = """
version = 1
[input]
path = "wire.h5"
[drift]
enabled = false
[clusters]
enabled = false
[damage]
enabled = false
[standards]
select = ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"]
[electrochemistry]
enabled = true
curve = "cell.csv"
mass_mg = 2.0
active_fraction = 0.7
mass_sd_mg = 0.05
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A particle, and a cell of 2 mg that was stopped at x = 0.25."""
    here = tmp_path_factory.mktemp("cell")
    cs.save_stack(cs.simulate.core_shell(shape=(16, 24), poisson=True).stack, here / "wire.h5")
    curve, _ = simulate_cycling(active_mg=1.4, half_cycles=1, x_max=0.25)
    write_cycling(curve, here / "cell.csv")
    (here / "r.toml").write_text(RECIPE, encoding="utf-8")
    return here


@pytest.fixture(scope="module")
def said(folder):
    """What a run of the recipe says; its results lie in ``out``."""
    with redirect_stdout(StringIO()) as out:
        assert main(["run", str(folder / "r.toml"), "--output", str(folder / "out")]) == 0
    return out.getvalue()


def test_the_map_is_placed_on_the_curve(folder, said):
    tree = cs.open_results(folder / "out")
    summary = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))
    found, map_ = summary["electrochemistry"], summary["composition"]
    assert found["x_charge"] == pytest.approx(0.25, abs=0.002)
    assert found["x_charge_sd"] == pytest.approx(0.25 * 0.05 / 2, rel=0.1)
    total = (map_["sd"] ** 2 + found["x_charge_sd"] ** 2) ** 0.5
    assert found["z"] == pytest.approx((map_["mean_mass_weighted"] - 0.25) / total, abs=0.3)
    assert "by charge (α + ε)" in found["in_words"]
    assert found["in_words"] in said
    curve = tree["/electrochemistry"].to_dataset()
    assert curve["voltage"].dims == ("half_cycle", "x")
    assert (folder / "out" / "figures" / "electrochemistry.png").is_file()
    assert "Faraday" in (folder / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("said")
def test_the_command_line_places_the_map_of_a_run(folder, capsys):
    """A half cycle later, and with a rest behind it, than the recipe's own curve."""
    curve, _ = simulate_cycling(active_mg=1.4, half_cycles=2, x_max=0.25)
    write_cycling(curve, folder / "more.csv")
    electrode = ["--mass-mg", "2.0", "--active-fraction", "0.7", "--mass-sd-mg", "0.05"]
    arguments = ["cycling", str(folder / "more.csv"), *electrode, "--results", str(folder / "out")]
    mean = float(cs.open_results(folder / "out")["composition"].attrs["mean_mass_weighted"])
    for after, x in (("1", 0.25), ("2", 0.0)):
        assert main([*arguments, "--after-half-cycle", after, "--json"]) == 0
        placed = json.loads(capsys.readouterr().out)["map"]
        assert placed["x_curve"] == pytest.approx(x, abs=0.002)
        assert placed["x_map"] == pytest.approx(mean)
        total = (placed["x_map_sd"] ** 2 + placed["x_curve_sd"] ** 2) ** 0.5
        assert placed["z"] == pytest.approx((placed["x_map"] - placed["x_curve"]) / total)
    assert sum(placed["map_phases"].values()) == pytest.approx(1.0)
    assert main([*arguments, "--formula", "FePO4"]) == 2
    assert "x in LixFePO4" in capsys.readouterr().err


def test_a_curve_that_is_not_there_is_missed_before_the_work(folder, capsys):
    change = "electrochemistry.curve=gone.csv"
    assert main(["run", str(folder / "r.toml"), "--set", change, "--output", "x"]) == 2
    assert "[electrochemistry] curve is no file" in capsys.readouterr().err


def test_the_users_phases_lie_behind_the_curve(folder):
    from chemoscape.electrochemistry.beside import diagram_of
    from chemoscape.recipe import read_recipe

    phases = [{"name": "poor", "low": 0.0, "high": 0.2}, {"name": "rich", "low": 0.4, "high": 0.9}]
    changes = {"electrochemistry.phases": phases, "report.enabled": False}
    tree = cs.run(read_recipe(folder / "r.toml", changes))
    diagram = diagram_of(tree["/electrochemistry"].to_dataset())
    assert [one.name for one in diagram.phases] == ["poor", "rich"]
    assert tree["/electrochemistry"].attrs["phases_at_curve"] == "poor + rich"
