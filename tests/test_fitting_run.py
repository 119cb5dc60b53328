"""Recipes that use everything between optical density and composition: nodes, numbers, refusals."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.cli import main
from chemoscape.errors import ChemoscapeWarning, RecipeError
from chemoscape.recipe import make_recipe, refuse_contradictions

#: One worker, so that the whole run is made once.
pytestmark = pytest.mark.xdist_group("fitting")

QUIET = {"drift": {"enabled": False}, "damage": {"enabled": False}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A small particle on an axis 0.3 eV below the library's, as a file."""
    truth = cs.simulate.core_shell(shape=(30, 40), poisson=True, energy_shift_eV=-0.3, seed=3)
    path = tmp_path_factory.mktemp("stack") / "wire.h5"
    cs.save_stack(truth.stack, path)
    return path, truth


def run(path, output=None, **sections):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        return cs.run({"input": {"path": str(path)}, **QUIET, **sections}, output=output)


@pytest.fixture(scope="module")
def everything(stack, tmp_path_factory):
    """One run with every part asked for."""
    path, _ = stack
    folder = tmp_path_factory.mktemp("run") / "all"
    centre = {"x": [0.6, 1.0], "y": [0.45, 0.75]}
    tree = run(
        path,
        folder,
        standards={
            "groups": {
                "alpha": ["alpha-V2O5", "alpha-Li0.1V2O5"],
                "epsilon": ["epsilon-Li0.3V2O5", "epsilon-Li0.45V2O5", "epsilon-Li0.7V2O5"],
            }
        },
        deconvolution={
            "route": "both",
            "exclude": [[540.5, 545.5]],
            "regions": {"core": centre, "empty": {"x": [0.0, 0.12], "y": [0.0, 0.12]}},
        },
        clusters={"n_clusters": 8, "cut": 3, "split": [{"cluster": 0, "into": 2}]},
        factorisation={"enabled": True, "n_parts": 2, "similarity": 0.0},
    )
    return tree, folder


def test_nodes(everything):
    tree, _ = everything
    assert {"/clustered/targets", "/regions", "/factorisation"} <= set(tree.groups)
    assert tree["/direct"].group_weight.sizes["group"] == 2
    assert tree["/clustered/clusters"].sizes["cluster"] == 4
    assert not ((tree["/direct"].fit_energy > 540.5) & (tree["/direct"].fit_energy < 545.5)).any()
    assert tree["/factorisation"].sizes["part"] == 2
    again = cs.open_results(everything[1])
    np.testing.assert_array_equal(
        again["/regions"].composition.values, tree["/regions"].composition.values
    )


def test_numbers_agree_between_summary_and_tree(everything, stack):
    _, folder = everything
    _, truth = stack
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    region = summary["regions"]["core"]
    assert region["composition"] == pytest.approx(0.45, abs=max(3 * region["sd"], 0.01))
    assert "epsilon-Li0.45V2O5" in region["standards"]
    assert summary["regions"]["empty"]["composition"] is None  # vacuum holds no standard
    shares = summary["groups"]
    weights = truth.weights.sum(("y", "x"))
    alpha = float(weights[:2].sum() / weights.sum())
    assert shares["alpha"] == pytest.approx(alpha, abs=0.05)
    known = summary["calibration"]
    assert known["source"] == "fit"
    assert known["significance"] > 20
    assert known["misfit_scale"] < 0.5
    assert len(known["edges"]) == 2
    assert summary["energy_shift_eV"]["value"] == pytest.approx(-0.3, abs=0.01)
    assert summary["rank"]["f"] >= 1


def test_figures_and_report(everything):
    _, folder = everything
    drawn = {path.stem for path in (folder / "figures").iterdir()}
    assert {"scores", "dendrogram", "targets", "regions", "groups", "factorisation"} <= drawn
    page = (folder / "report.html").read_text(encoding="utf-8")
    for words in ("Region core", "Group alpha", "Misfit of the standards", "Tree of the clusters"):
        assert words in page


def test_anchors_set_the_axis(stack):
    path, _ = stack
    anchors = [{"energy": 517.4, "found": 517.1, "sd": 0.02}]
    tree = run(path, calibration={"anchors": anchors}, clusters={"enabled": False})
    known = tree["/direct"].attrs
    assert known["energy_shift_eV"] == pytest.approx(-0.3, abs=1e-9)
    assert known["energy_shift_source"] == "anchors"
    assert known["energy_shift_sd_eV"] == pytest.approx(0.02)


def test_the_paper_s_svd_by_recipe(stack):
    path, _ = stack
    tree = run(
        path,
        deconvolution={
            "nonnegative": False,
            "weights": "uniform",
            "baseline": "none",
            "singular_values": 2,
        },
        standards={"select": ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"]},
        clusters={"enabled": False},
    )
    assert tree["/direct"].attrs["singular_values"] == 2
    assert tree["/composition"].attrs["mean_pixel"] == pytest.approx(0.264, abs=0.02)


def test_a_stretched_axis_by_recipe(stack):
    path, _ = stack
    tree = run(path, calibration={"stretch": True}, deconvolution={"route": "both"})
    known = tree["/direct"].attrs
    assert abs(known["energy_stretch"]) < 5 * known["energy_stretch_sd"] + 1e-4
    assert known["energy_shift_eV"] == pytest.approx(-0.3, abs=0.02)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"calibration": {"stretch": True, "energy_shift": -0.3}}, "together with the shift"),
        ({"calibration": {"anchors": [{"energy": 517.0}], "stretch": True}}, "anchors set"),
        ({"calibration": {"enabled": False, "stretch": True}}, "turn it on"),
        ({"clusters": {"cut": 2, "cut_distance": 0.3}}, "not both"),
        ({"clusters": {"enabled": False, "cut": 2}}, "turn it on"),
        ({"clusters": {"enabled": False}, "factorisation": {"enabled": True}}, "starts from"),
        ({"deconvolution": {"singular_values": 2}}, "nonnegative = false"),
        (
            {
                "deconvolution": {
                    **{"singular_values": 2, "nonnegative": False, "weights": "uniform"},
                    "route": "both",
                }
            },
            'route = "direct"',
        ),
        (
            {
                "deconvolution": {"route": "clustered"},
                "composition": {"from": "clustered"},
                "standards": {"groups": {"a": ["alpha-V2O5"]}},
            },
            "groups",
        ),
        (
            {
                "standards": {"enabled": False},
                "deconvolution": {"regions": {"a": {"x": [0, 1], "y": [0, 1]}}},
            },
            "regions needs standards",
        ),
        ({"deconvolution": {"exclude": [[530.0, 520.0]]}}, "lowest"),
    ],
)
def test_contradictions_are_refused_before_any_work(sections, words):
    with pytest.raises(RecipeError, match=words):
        refuse_contradictions(make_recipe({"input": {"path": "wire.h5"}, **sections}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("standards.groups={a=['nobody']}", "nobody"),
        ("standards.groups={'alpha-V2O5'=['alpha-Li0.1V2O5']}", "as a standard is"),
        ("deconvolution.regions={far={x=[90,91],y=[0,1]}}", "holds no pixel"),
        (
            "calibration.anchors=[{energy=517.2,found=530.0},{energy=530.0,found=517.2}]",
            "stretched",
        ),
        ("clusters.split=[{cluster=99,into=2}]", "99"),
        ("deconvolution.sum_to_one=true", "areal masses"),
    ],
)
def test_bad_values_end_in_one_sentence(stack, tmp_path, capsys, monkeypatch, change, words):
    monkeypatch.chdir(tmp_path)
    path, _ = stack
    (tmp_path / "r.toml").write_text(f'[input]\npath = "{path}"\n', encoding="utf-8")
    arguments = ["run", "r.toml", "--set", "drift.enabled=false", "clusters.n_clusters=3", change]
    assert main(arguments) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("chemoscape: ")
    assert words in last
    assert not (tmp_path / "r-results").exists()
