"""Pixels that a standard is averaged over: a region, a cluster, or all of the sample."""

from __future__ import annotations

import tomllib
from typing import NamedTuple

import numpy as np
import xarray as xr

from chemoscape import fitting_stages
from chemoscape.decompose.combinations.regions import mask_of_region
from chemoscape.errors import RegionError
from chemoscape.preprocess.absorbance import sample_mask
from chemoscape.recipe import Recipe, RegionTable
from chemoscape.region import Region

#: A part of the sample.
Part = str | int | Region | xr.DataArray | None
#: A region: its name, how it is written, and itself.
Named = tuple[str, str, Region | xr.DataArray]


class Chosen(NamedTuple):
    """Pixels (y, x) that a standard is averaged over, and what they are called."""

    mask: np.ndarray
    words: str


def region_meant(region: Part, recipe: Recipe, stack: xr.DataArray) -> Named:
    """The region that is meant; refused before any work if empty."""
    known = {name: one.region() for name, one in recipe.deconvolution.regions.items()}
    if isinstance(region, xr.DataArray):
        return "given", "a mask", region
    name = str(region)
    if isinstance(region, Region):
        name, shape = "given", region
    elif isinstance(region, str) and region.lstrip().startswith("{"):
        name, shape = "given", _written_region(region)
    elif name in known:
        shape = known[name]
    elif name.isdigit() and int(name) < len(known):
        name = list(known)[int(name)]
        shape = known[name]
    else:
        raise RegionError(
            f"the recipe has no region {name!r} (it has {', '.join(known) or 'none'})",
            remedy="name one of [deconvolution] regions, or write {x = [a, b], y = [a, b]} in µm",
        )
    mask_of_region(name, shape, stack)
    title = shape.describe() if name == "given" else f"{name!r}, {shape.describe()}"
    return name, f"region {title}", shape


def _written_region(text: str) -> Region:
    """A region as a recipe writes it."""
    try:
        table = tomllib.loads(f"region = {text}")["region"]
        return RegionTable.model_validate(table).region()
    except (tomllib.TOMLDecodeError, ValueError):
        raise RegionError(
            f"{text!r} is no region",
            remedy="write {x = [a, b], y = [a, b]} or {polygon = [[x, y], …]}, in µm",
        ) from None


def pixels_of_sample(od: xr.Dataset, wanted: Named | None, recipe: Recipe) -> Chosen:
    """Pixels of a region, or of the whole sample."""
    if wanted is not None:
        name, words, shape = wanted
        return Chosen(mask_of_region(name, shape, od["optical_density"]), words)
    mask = sample_mask(od).values.astype(bool)
    if not mask.any():
        raise RegionError(
            "there is no sample in the image", recipe.input.path, "check I0, or name a region"
        )
    return Chosen(mask, "all of the sample")


def pixels_of_cluster(
    od: xr.Dataset, recipe: Recipe, number: int, n_clusters: int | None
) -> Chosen:
    """Pixels of one cluster."""
    if n_clusters is not None:
        section = recipe.clusters.model_copy(update={"n_clusters": n_clusters})
        recipe = recipe.model_copy(update={"clusters": section})
    _, groups, _ = fitting_stages.group(od, recipe)
    n = groups.sizes["cluster"]
    if not 0 <= number < n:
        raise RegionError(
            f"there is no cluster {number}: there {'is' if n == 1 else 'are'} {n}, numbered from 0",
            str(recipe.input.path),
            "choose another, or ask for more with n_clusters",
        )
    return Chosen(groups["label"].values == number, f"cluster {number} of {n}")
