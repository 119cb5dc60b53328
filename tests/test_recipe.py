"""Recipes: defaults, changes, paths, and complaints a tired person can act on."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from chemoscape import stack as stacks
from chemoscape.errors import RecipeError
from chemoscape.mechanics.supports import Springs
from chemoscape.recipe import (
    Recipe,
    commented_toml,
    make_recipe,
    parse_change,
    read_recipe,
    starting_recipe,
    to_toml,
)


def test_defaults_survive_a_round_trip():
    assert (
        make_recipe(tomllib.loads(to_toml(Recipe()))).model_dump() == make_recipe({}).model_dump()
    )


def test_the_commented_recipe_is_the_default_one_and_explains_every_key():
    text = commented_toml(Recipe())
    assert make_recipe(tomllib.loads(text)) == make_recipe({})
    for line in text.splitlines():
        if "=" in line.split("#")[0]:
            assert "#" in line, line


def test_paths_are_relative_to_the_recipe(tmp_path):
    (tmp_path / "mine").mkdir()
    recipe = tmp_path / "wire.toml"
    recipe.write_text(
        '[input]\npath = "a.hdr"\n[absorbance]\ni0 = "i0.xsp"\n[standards]\nlibrary = "mine"\n'
    )
    read = read_recipe(recipe)
    assert read.input.path == str(tmp_path / "a.hdr")
    assert read.absorbance.i0 == str(tmp_path / "i0.xsp")
    assert read.standards.library == str(tmp_path / "mine")
    assert (
        read_recipe(recipe, {"standards.library": "lixv2o5-model"}).standards.library
        == "lixv2o5-model"
    )


def test_changes_win(tmp_path):
    recipe = tmp_path / "wire.toml"
    recipe.write_text("[clusters]\nn_clusters = 3\n")
    changes = dict(map(parse_change, ["clusters.n_clusters=4", "composition.from=clustered"]))
    read = read_recipe(recipe, changes)
    assert read.clusters.n_clusters == 4
    assert read.composition.source == "clustered"


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            {"clusters": {"n_cluster": 3}},
            "unknown key 'clusters.n_cluster'; you may mean 'n_clusters'.",
        ),
        ({"stres": {}}, "unknown key 'stres'; you may mean 'stress'."),
        (
            {"absorbance": {"i0": {"xx": [1, 2]}}},
            "unknown key 'absorbance.i0.xx'; you may mean 'x'.",
        ),
        ({"clusters": {"n_clusters": 0}}, "clusters.n_clusters: "),
        ({"stress": {"enabled": True}}, "stress needs a material"),
        ({"version": 2}, "version: Input should be 1"),
        ({"input": {"exclude": [{"x": [0, 1]}]}}, "a region is a rectangle or a polygon"),
        ({"clusters": False}, "clusters: Input should be a table of keys"),
        ({"seed": 2**32}, "seed: "),
        ({"clusters": {"merge": [[]]}}, "clusters.merge.0: "),
        ({"clusters": {"n_clusters": True}}, "clusters.n_clusters: "),
        ({"calibration": {"energy_shift": True}}, "calibration.energy_shift: "),
        ({"calibration": {"energy_shift": float("nan")}}, "calibration.energy_shift: "),
        ({"input": {"drop_energies": [float("nan")]}}, "input.drop_energies.0: "),
        ({"absorbance": {"dark": float("inf")}}, "absorbance.dark: "),
        ({"absorbance": {"i0": ""}}, "absorbance.i0: "),
        ({"absorbance": {"i0": {"x": [0], "y": [0, 1]}}}, "absorbance.i0.x.1: This is missing"),
        ({"deconvolution": {"range": [520, 510]}}, "the lowest energy comes first"),
        ({"deconvolution": {"range": "510-520"}}, "a list of two numbers"),
        ({"input": {"path": "a\0b"}}, "no file can lie at 'a\\x00b'"),
    ],
)
def test_complaints_name_the_key(table, sentence):
    with pytest.raises(RecipeError) as caught:
        make_recipe(table)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize("text", ["clusters.n_clusters", "=3"])
def test_a_change_without_a_key_or_value_is_refused(text):
    with pytest.raises(RecipeError, match=r"section\.key=value"):
        parse_change(text)


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[input\n")
    with pytest.raises(RecipeError, match="not valid TOML"):
        read_recipe(broken)


@pytest.mark.parametrize(("first", "library"), [(508.0, "lixv2o5-model"), (700.0, "")])
def test_a_starting_recipe_knows_its_stack(tmp_path, first, library):
    stack = stacks.build(
        np.full((3, 2, 2), 500.0), first + np.arange(3), [0.0, 0.1], [0.0, 0.1], quantity="counts"
    )
    text = starting_recipe(stack, tmp_path / "data" / "a.hdr", tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text(text)
    read = read_recipe(tmp_path / "a.toml")
    assert read.input.path == str(tmp_path / "data" / "a.hdr")
    assert read.standards.library == library
    assert "3 energies" in text


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_what_editors_on_windows_write(tmp_path, mark):
    recipe = tmp_path / "wire.toml"
    recipe.write_bytes(f'{mark}[input]\r\npath = "a.hdr"\r\n'.encode())
    assert read_recipe(recipe).input.path == str(tmp_path / "a.hdr")


@pytest.mark.parametrize("content", ["µ".encode("latin-1"), "[input]".encode("utf-16"), None])
def test_what_is_no_text(tmp_path, content):
    recipe = tmp_path / "wire.toml"
    recipe.mkdir() if content is None else recipe.write_bytes(content)
    with pytest.raises(RecipeError, match=r"wire\.toml: .*(UTF-8|cannot be read)") as caught:
        read_recipe(recipe)
    assert "codec" not in str(caught.value)


def test_home_folder_in_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make_recipe({"input": {"path": "~/a.hdr"}}).input.path == str(tmp_path / "a.hdr")


def test_a_line_end_in_a_name_stays_in_the_comment(tmp_path):
    stack = stacks.build(np.full((2, 1, 1), 500.0), [510, 511], [0.0], [0.0], quantity="counts")
    path = tmp_path / "a\nb.hdr"
    (tmp_path / "a.toml").write_text(starting_recipe(stack, path, tmp_path / "a.toml"))
    assert read_recipe(tmp_path / "a.toml").input.path == str(path)


MATERIAL = {
    "young_GPa": 43.0,
    "poisson": 0.3,
    "eigenstrain": 0.02,
    "source": "a test",
    "status": "illustrative",
}


def stress_table(**changes):
    return {"stress": {"enabled": True, "material": MATERIAL | changes}}


def test_a_material_of_all_kinds(tmp_path):
    (tmp_path / "cell.csv").write_text("x,a,b,c\n0,10,4,5\n1,9.8,4.2,5\n")
    recipe = tmp_path / "wire.toml"
    recipe.write_text(
        "[stress]\nenabled = true\nplane = 'generalised'\ngraded = true\nfollow_phase = 0.3\n"
        "uncertainty_draws = 8\n[stress.material]\nyoung_GPa = [60.0, 40.0, 50.0]\n"
        "poisson = [0.3, 0.2, 0.25]\nshear_GPa = 15.0\nlattice = 'cell.csv'\n"
        "lattice_axes = ['b', 'a', 'c']\nangle_deg = [30.0, 60.0]\nsource = 'a test'\n"
        "status = 'illustrative'\n"
        "phases = [{x_min = 0.3, x_max = 0.6, young_GPa = 30.0, poisson = 0.3, name = 'poor'}]\n"
    )
    read = read_recipe(recipe)
    material = read.stress.material.material()
    assert material.young_GPa == (60.0, 40.0, 50.0)
    assert material.angle_deg == (30.0, 60.0)
    assert material.axis_strain(1.0).round(3).tolist() == [0.05, -0.02, 0.0]
    assert [phase.name for phase in material.phases] == ["poor"]
    for text in (to_toml(read), commented_toml(read)):
        assert make_recipe(tomllib.loads(text)).stress == read.stress
    # as before these keys were there
    plain = make_recipe(stress_table()).stress.material.material()
    assert (plain.young_GPa, plain.eigenstrain, plain.angle_deg) == (43.0, 0.02, 0.0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"young_GPa": -1.0}, "greater than 0"),
        ({"young_GPa": [60.0, 40.0]}, "the shear modulus of an orthotropic solid is None"),
        ({"poisson": 0.5}, "Poisson's ratio is 0.5"),
        ({"eigenstrain": None}, "needs eigenstrain or lattice"),
        ({"lattice": "cell.csv"}, "needs eigenstrain or lattice"),
        ({"eigenstrain": 2.0}, "200% per unit"),
        ({"eigenstrain": [0.1]}, "eigenstrain has 1 values"),
        ({"lattice_axes": ["a", "b", "d"]}, "stress.material.lattice_axes.2: "),
        ({"source": " ", "status": "measured"}, "need their source"),
        ({"angel_deg": 3.0}, "you may mean 'angle_deg'"),
        ({"phases": [{"x_min": 1.0, "x_max": 0.0, "young_GPa": 1.0, "poisson": 0.3}]}, "is empty"),
    ],
)
def test_impossible_materials(changes, sentence):
    with pytest.raises(RecipeError) as caught:
        make_recipe(stress_table(**changes))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_draw_is_refused():
    with pytest.raises(RecipeError, match="one draw has no spread"):
        make_recipe({"stress": {"uncertainty_draws": 1}})


def test_springs_are_a_boundary_like_free_and_fixed():
    wanted = ["fixed", {"springs_GPa_per_um": 10.0}, "fixed"]
    made = make_recipe(
        stress_table() | {"stress": {**stress_table()["stress"], "boundary": wanted}}
    )
    assert made.stress.boundaries() == ["fixed", Springs(10.0)]
    for text in (to_toml(made), commented_toml(made)):
        assert make_recipe(tomllib.loads(text)).stress == made.stress


@pytest.mark.parametrize(
    "wanted", ["clamped", {"springs_GPa_per_um": 0.0}, {"springs": 10.0}, {}, 3.0]
)
def test_unknown_boundaries_are_refused_in_one_line(wanted):
    with pytest.raises(RecipeError) as caught:
        make_recipe({"stress": {"boundary": [wanted]}})
    assert "stress.boundary" in str(caught.value)
    assert "\n" not in str(caught.value)
