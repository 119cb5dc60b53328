"""What a run has made of its stack, made anew for looking: it is too large for the results."""

from __future__ import annotations

import tomllib
import warnings

import numpy as np
import xarray as xr

from chemoscape.app.opening import Opened, thinned
from chemoscape.errors import ChemoscapeWarning
from chemoscape.journal import Journal
from chemoscape.preprocess.shifts import Drift
from chemoscape.recipe import Recipe, make_recipe
from chemoscape.stages import read
from chemoscape.workflow.one_stack import prepare


def drift_of(tree: xr.DataTree, step: int = 1) -> Drift | None:
    """The drift that a run has taken out, in every `step`-th pixel; None if it has not."""
    if "drift" not in tree.children or not tree["drift"].attrs.get("applied"):
        return None
    node = tree["drift"].to_dataset()
    shifts = np.stack([node["shift_y"].values, node["shift_x"].values], axis=1) / step
    return Drift(
        shifts,
        node["energy"].values,
        int(node.attrs["reference"]),
        node["quality"].values,
        node["replaced"].values.astype(bool),
        linear=node["linear"].values if "linear" in node else None,
    )


def density_as_run(opened: Opened, tree: xr.DataTree) -> xr.Dataset:
    """The optical density as the run had it, aligned and cropped.

    Raises
    ------
    ChemoscapeError
        The stack cannot be read, or not be prepared in this way.
    """
    recipe = recipe_of(tree)
    stack = opened.stack
    assert stack is not None  # noqa: S101 - asked before
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # the run has said them
        if recipe.input.drop_energies or recipe.input.exclude or recipe.input.further:
            stack = thinned(read(recipe), opened.step)
        drift = drift_of(tree, opened.step)
        still = recipe.drift.model_copy(update={"enabled": False})
        done = prepare(
            stack, recipe.model_copy(update={"drift": still}), Journal(None), drift=drift
        )
    assert done.od is not None  # noqa: S101 - what it prepares
    return done.od


def recipe_of(tree: xr.DataTree) -> Recipe:
    """The recipe that made results, its paths absolute."""
    return make_recipe(tomllib.loads(tree.attrs["recipe"]), where="the results' recipe")
