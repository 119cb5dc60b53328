"""Three stacks in time with a known evolution: a lithium-rich core grows, the particle moves
between the scans, and the energy axis wanders.
"""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.cli import main
from chemoscape.electrochemistry import simulate_cycling, write_cycling
from chemoscape.recipe import read_recipe
from chemoscape.results import summary_of

RADII = ((0.25, 0.45), (0.45, 0.70), (0.65, 0.85))
OFFSETS = ((0.0, 0.0), (1.7, -2.3), (-1.2, 3.4))
AXES = (0.0, -0.02, 0.03)
TIMES = (0.0, 30.0, 75.0)
SHAPE = (45, 60)

RECIPE = """
version = 1
[series]
enabled = true
stacks = ["scan_*.h5"]
times = [0, 30, 75]
[drift]
enabled = false
[standards]
select = ["alpha-Li0.1V2O5", "epsilon-Li0.3V2O5", "epsilon-Li0.45V2O5"]
[deconvolution]
route = "both"
[clusters]
n_clusters = 3
[composition]
smooth_px = 0.0
[damage]
enabled = false
[electrochemistry]
enabled = true
curve = "cell.csv"
mass_mg = 1.25
mass_sd_mg = 0.01
active_fraction = 0.8
series_begins = 57.0
[stress]
enabled = true
mesh_size_um = 0.12
uncertainty_draws = 0
[stress.material]
young_GPa = 43.0
poisson = 0.3
eigenstrain = 0.0213
source = "illustrative"
status = "illustrative"
"""


def stack_at(k, offset=(0.0, 0.0), **noise):
    return cs.simulate.core_shell(
        shape=SHAPE, radii=RADII[k], offset_px=offset, energy_shift_eV=AXES[k], seed=k, **noise
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The stacks, the recipe, and the results of the command line."""
    here = tmp_path_factory.mktemp("operando")
    for k, offset in enumerate(OFFSETS):
        truth = stack_at(k, offset, poisson=True, photons=8000.0)
        cs.save_stack(truth.stack, here / f"scan_{k}.h5")
    # one lithium in five hours, of which the first scan sees what 57 minutes have brought
    curve, _ = simulate_cycling(active_mg=1.0, c_rate=0.2, half_cycles=1, x_max=0.6, rest_s=0.0)
    write_cycling(curve, here / "cell.csv")
    (here / "r.toml").write_text(RECIPE, encoding="utf-8")
    assert main(["run", str(here / "r.toml"), "--output", str(here / "out")]) == 0
    return here


@pytest.fixture(scope="module")
def tree(folder):
    return cs.open_results(folder / "out")


def true_means(comp):
    """Mean by mass of the truth in the pixels of the map's mask, at each time."""
    mask = comp["mask"].isel(time=0).values[::2, ::2]
    means = []
    for k in range(3):
        truth = stack_at(k)
        rows = np.searchsorted(truth.composition.y, comp.y.values[::2] - 1e-6)
        columns = np.searchsorted(truth.composition.x, comp.x.values[::2] - 1e-6)
        x, t = (
            one.values[np.ix_(rows, columns)][mask] for one in (truth.composition, truth.thickness)
        )
        means.append(float((x * t).sum() / t.sum()))
    return np.array(means)


def test_evolution_within_the_stated_errors(tree):
    comp, table = tree["composition"].to_dataset(), tree["series"].to_dataset()
    true = true_means(comp)
    assert np.ptp(true) > 0.15
    error = table["composition"].values - true
    assert (np.abs(error) < 2 * table["composition_sd"].values).all()
    # what the stacks have in common cancels between them
    change, truly = np.diff(table["composition"].values), np.diff(true)
    own = table["composition_sd_own"].values
    assert (np.abs(change - truly) < 2 * np.hypot(own[1:], own[:-1])).all()
    # and is found better than that, smoothing (which mixes the rim with what lies inside) left out
    np.testing.assert_allclose(change, truly, atol=0.006)


def test_stacks_lie_on_the_first_each_on_its_energy_axis(tree):
    table = tree["series"].to_dataset()
    found = np.stack([table["shift_y"], table["shift_x"]], axis=1)
    np.testing.assert_allclose(found, -np.array(OFFSETS), atol=0.05)
    np.testing.assert_allclose(table["energy_shift"], AXES, atol=0.005)
    assert table["time"].values.tolist() == list(TIMES)
    assert table["file"].values.tolist() == ["scan_0.h5", "scan_1.h5", "scan_2.h5"]
    # the same mass throughout
    np.testing.assert_allclose(table["thickness"] / table["thickness"][0], 1.0, atol=0.01)


def test_clusters_are_common_and_grow_as_the_phases_do(tree):
    groups = tree["/clustered/clusters"].to_dataset(inherit=False)
    assert groups["label"].dims == ("time", "y", "x")
    assert groups["spectrum"].dims == ("cluster", "energy")
    rich = int(np.argmax(tree["/clustered/match"]["composition"].values))
    share = tree["series"]["cluster_share"].values
    np.testing.assert_allclose(share.sum(axis=0), 1.0)
    in_truth = [
        float((stack_at(k).labels == 0).sum() / (stack_at(k).labels >= 0).sum()) for k in range(3)
    ]
    np.testing.assert_allclose(share[rich], in_truth, atol=0.05)
    # both routes tell the same story; the clustered one takes the energy axes out too
    comp = tree["/direct"]
    assert comp["weight"].dims == ("time", "standard", "y", "x")
    assert "time" in tree["/clustered"]["weight"].dims


def test_stress_grows_on_one_mesh(tree):
    field, table = tree["/stress/fixed"].to_dataset(inherit=False), tree["series"].to_dataset()
    assert field["von_mises"].dims == ("time", "node")
    assert field["node_x"].dims == ("node",)
    assert field["triangle"].ndim == 2  # one mesh for all times
    mean = table["von_mises_mean"].sel(boundary="fixed").values
    assert (np.diff(mean) > 0).all()
    # clamped all round, the mean stress goes with the mean composition
    x = table["composition"].values
    np.testing.assert_allclose(mean / mean[0], x / x[0], rtol=0.25)


def test_map_beside_charge_at_each_time(tree):
    table = tree["series"].to_dataset()
    charged = 0.2 * (np.array(TIMES) + 57.0) / 60.0
    np.testing.assert_allclose(table["composition_by_charge"], charged, atol=0.002)
    # 0.8 % of the mass, of all the charge that has passed
    np.testing.assert_allclose(table["composition_by_charge_sd"], 0.008 * charged, rtol=0.1)
    assert tree["/electrochemistry"].attrs["formula"] == "V2O5"


def test_what_is_written(folder, tree):
    out = folder / "out"
    assert {path.name for path in out.iterdir()} == {
        *("results.h5", "summary.json", "report.html", "recipe.toml", "figures"),
        *("spectra.csv", "series.csv"),
        *(f"stress-{at}-{k:03d}.vtu" for at in ("free", "fixed") for k in range(3)),
    }
    summary = json.loads((out / "summary.json").read_text())
    series = summary["series"]
    assert series["times"] == list(TIMES)
    assert series["time_unit"] == "min"
    assert [one["energy_shift_eV"]["value"] for one in series["moments"]] == pytest.approx(
        tree["series"]["energy_shift"].values.tolist()
    )
    assert summary["composition"] is None  # one for each time
    with open(out / "series.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["time"]) for row in rows] == list(TIMES)
    assert float(rows[2]["composition"]) == pytest.approx(series["composition"][2], rel=1e-6)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Stacks in the order of time" in page
    assert page.count("data:image/png") == 5  # the curve of the cell too
    assert "synthetic" in page
    heading = (out / "spectra.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "mean_optical_density at 30 min" in heading


def test_a_series_of_one_stack_stands_still(folder, tmp_path):
    """The same measurement three times: nothing changes, and it is as in an ordinary run."""
    stack = stack_at(1, poisson=True, photons=8000.0).stack
    for k in range(2):
        cs.save_stack(stack, tmp_path / f"same_{k}.h5")
    recipe = {
        "drift": {"enabled": False},
        "clusters": {"enabled": False},
        "damage": {"enabled": False},
        "composition": {"smooth_px": 0.0, "refine": 1},
    }
    series = {"enabled": True, "stacks": [str(tmp_path / "same_*.h5")], "times": [1.0, 2.0]}
    together = cs.run({**recipe, "series": series})
    alone = cs.run({**recipe, "input": {"path": str(tmp_path / "same_0.h5")}})
    table = together["series"].to_dataset()
    assert (table["shift_y"] == 0).all()
    assert (table["shift_x"] == 0).all()
    for k in range(2):
        np.testing.assert_array_equal(
            together["composition"]["composition"].isel(time=k), alone["composition"]["composition"]
        )


def test_names_on_the_command_line_are_the_stacks(folder, capsys):
    """Instead of the recipe's; and sample that is lost is said."""
    thin = stack_at(2, poisson=True, photons=8000.0, peak_optical_density=1.1)
    cs.save_stack(thin.stack, folder / "thin.h5")
    quick = ["clusters.enabled=false", "deconvolution.route=direct", "stress.enabled=false"]
    quick += ["report.enabled=false", "series.times=[0, 1]"]
    files = [str(folder / name) for name in ("scan_2.h5", "thin.h5")]
    arguments = [str(folder / "r.toml"), "--input", *files, "--output", str(folder / "two")]
    assert main(["run", *arguments, "--set", *quick, "--json"]) == 0
    said = capsys.readouterr()
    assert [one["input"]["path"] for one in json.loads(said.out)["series"]["moments"]] == files
    assert "thickness of the same pixels changes by -2" in said.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("particles.enabled=true", "[particles] is not for a series"),
        ("few_energies.enabled=true", "[few_energies] is not for a series"),
        ("stress.graded=true", "[stress] graded is not for a series"),
        ("series.stacks=[]", "[series] stacks names no stack"),
        ("series.times=[0, 30, 20]", "times must rise"),
    ],
)
def test_what_is_not_for_a_series_is_said_in_a_sentence(folder, capsys, change, said):
    assert main(["run", str(folder / "r.toml"), "--set", change]) == 2
    assert said in capsys.readouterr().err


def test_the_stack_at_fault_is_named(folder, tmp_path, capsys):
    bad = tmp_path / "bad.h5"
    cs.save_stack(stack_at(0).stack.isel(x=slice(0, 40)), bad)
    arguments = ["run", str(folder / "r.toml"), "--input", str(folder / "scan_0.h5"), str(bad)]
    assert main([*arguments, "--set", "series.times=[0, 1]", "--output", str(tmp_path / "o")]) == 2
    assert "bad.h5 at 1 min" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_results_of_a_series_are_not_taken_for_a_map(folder, capsys):
    flags = ["--young", "43", "--poisson", "0.3", "--eigenstrain", "0.02"]
    assert main(["stress", str(folder / "out"), *flags]) == 2
    assert "this series holds maps at 3 times" in capsys.readouterr().err


def test_a_warning_belongs_to_its_stack(folder, tmp_path):
    """One of two stacks is too thick."""
    thick = stack_at(0, poisson=True, photons=8000.0, peak_optical_density=2.6)
    cs.save_stack(thick.stack, tmp_path / "thick.h5")
    recipe = {
        "drift": {"enabled": False},
        "clusters": {"enabled": False},
        "damage": {"enabled": False},
        "standards": {"enabled": False},
        "series": {
            "enabled": True,
            "stacks": [str(folder / "scan_0.h5"), str(tmp_path / "thick.h5")],
            "times": [0.0, 1.0],
        },
    }
    summary = json.loads(cs.run(recipe).attrs["summary"])
    (said,) = [one for one in summary["warnings"] if "2.2" in one]
    assert said.startswith("thick.h5 at 1 min: ")


def test_clustered_route_alone_tells_each_energy_axis(folder):
    """The common clusters lie on the mean axis; they mix phases and axes, so that only the order of
    0.01 eV is told.
    """
    changes = {
        "deconvolution.route": "clustered",
        "composition.from": "clustered",
        "stress.enabled": False,
        "electrochemistry.enabled": False,
    }
    tree = cs.run(read_recipe(folder / "r.toml", changes))
    table = tree["series"].to_dataset()
    np.testing.assert_allclose(table["energy_shift"], AXES, atol=0.015)
    moments = summary_of(tree).series.moments
    assert [one.energy_shift_eV.value for one in moments] == table["energy_shift"].values.tolist()
    # standards are looked for in the common components once, on the common axis
    assert "time" not in tree["/clustered/targets"]["spoil"].dims
    # what is kept says which stacks a pattern found
    assert "scan_*" not in tree.attrs["recipe"]
