"""The recipe: one TOML file that says everything a run does, each default documented.

The models in `sections` are the reference: a key that is not there is an error that names the
nearest one.
"""

from __future__ import annotations

from chemoscape.recipe.contradictions import refuse_contradictions, refuse_other_inputs
from chemoscape.recipe.files import named_files, paths_of, states_of
from chemoscape.recipe.models import Recipe
from chemoscape.recipe.reading import make_recipe, parse_change, read_recipe
from chemoscape.recipe.sections.common import RegionTable, Section
from chemoscape.recipe.sections.preparation import OpenBeam
from chemoscape.recipe.writing import commented_toml, starting_recipe, to_toml

__all__ = [
    "OpenBeam",
    "Recipe",
    "RegionTable",
    "Section",
    "commented_toml",
    "make_recipe",
    "named_files",
    "parse_change",
    "paths_of",
    "read_recipe",
    "refuse_contradictions",
    "refuse_other_inputs",
    "starting_recipe",
    "states_of",
    "to_toml",
]
