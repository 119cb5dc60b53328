"""Recipes: defaults, changes, paths, and complaints a tired person can act on."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from chemoscape import stack as stacks
from chemoscape.errors import RecipeError
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
        ({"clusters": False}, "clusters: "),
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
