"""Regions of the recipe, which are of the first stack, in the others before these are moved."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import RegionError, StackError
from chemoscape.recipe import Recipe
from chemoscape.recipe.sections.common import RegionTable

_Table = TypeVar("_Table", bound=RegionTable)


def names_places(recipe: Recipe) -> bool:
    """Whether the recipe has regions of what was recorded: I0, or what is left out."""
    i0 = recipe.absorbance.i0
    return bool(recipe.input.exclude) or (not isinstance(i0, str) and i0.levels is None)


def at_places_of(first: xr.DataArray, recipe: Recipe, shift: np.ndarray) -> Recipe:
    """The recipe with its regions where a stack, as recorded, shows what the first shows in them.

    Regions to leave out that this stack does not show are taken away.

    Parameters
    ----------
    first : DataArray
        Has the coordinates of all stacks.
    recipe : Recipe
    shift : ndarray, shape (2,)
        Pixels (dy, dx) to apply to the stack so that it lies on the first.

    Raises
    ------
    StackError
        The stack does not show the region of I0.
    """
    down, right = (-d * size for d, size in zip(shift, stacks.pixel_size(first), strict=True))
    i0 = recipe.absorbance.i0
    if not isinstance(i0, str) and i0.levels is None:
        i0 = _moved(i0, right, down)
        if not _is_in(i0, first):
            raise StackError(
                "the region of [absorbance] i0 has left the field of this stack, which moved by "
                f"{np.hypot(*shift):.0f} pixels",
                remedy='take a region that all stacks show, or i0 = "auto"',
            )
    exclude = [_moved(one, right, down) for one in recipe.input.exclude]
    shown = [one for one in exclude if _is_in(one, first)]
    return recipe.model_copy(
        update={
            "input": recipe.input.model_copy(update={"exclude": shown}),
            "absorbance": recipe.absorbance.model_copy(update={"i0": i0}),
        }
    )


def _moved(table: _Table, right: float, down: float) -> _Table:
    """A region moved by some µm."""
    if table.polygon is not None:
        corners = [(float(x + right), float(y + down)) for x, y in table.polygon]
        return table.model_copy(update={"polygon": corners})
    bounds = {
        axis: None if held is None else tuple(float(one + by) for one in held)
        for axis, held, by in (("x", table.x, right), ("y", table.y, down))
    }
    return table.model_copy(update=bounds)


def _is_in(table: RegionTable, image: xr.DataArray) -> bool:
    """Whether an image shows any of a region."""
    try:
        table.region().mask(image)
    except RegionError:
        return False
    return True
