"""Stages of `chemoscape standards add`: from a stack to a standard with evidence of its purity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from chemoscape import stages
from chemoscape.curation.averaging import averaged, measurement_of
from chemoscape.curation.purity import Purity, purity
from chemoscape.errors import LibraryError
from chemoscape.library_stages._facts import axis_set, calibration_of, corrections_of, filled
from chemoscape.library_stages._pixels import (
    Part,
    pixels_of_cluster,
    pixels_of_sample,
    region_meant,
)
from chemoscape.products import Products
from chemoscape.recipe import Recipe, make_recipe, read_recipe
from chemoscape.standards.library import Library, Standard
from chemoscape.standards.mixing import molar_mass
from chemoscape.standards.record import Record
from chemoscape.standards.standard import Kind

__all__ = ["Opened", "Part", "opened", "standards_from_stack"]


class Opened(NamedTuple):
    """A stack that standards are made of, and what was made of it already."""

    recipe: Recipe
    done: Products


def opened(source: str | Path | Recipe, *, progress: Callable[[str], None] | None = None) -> Opened:
    """A stack, read once for several standards.

    Parameters
    ----------
    source, progress
        As `standards_from_stack` takes them.
    """
    recipe = _as_recipe(source)
    if progress is not None:
        progress("read")
    return Opened(recipe, Products(stages.read(recipe)))


def standards_from_stack(
    source: str | Path | Recipe | Opened,
    *,
    id: str,
    label: str = "",
    value: float = np.nan,
    region: Part = None,
    cluster: int | None = None,
    n_clusters: int | None = None,
    library: Library | None = None,
    value_sd: float = 0.0,
    formula: str = "",
    density: float = np.nan,
    kind: Kind = "measured",
    resolution_eV: float = np.nan,
    record: Record | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Standard, Purity]:
    """Average a stack of a pure substance to a standard, and say how pure its pixels are.

    The stack goes through the stages of `run` up to the optical density: reading, repairs, drift.
    Its spectrum is the mean optical density of the whole sample, a region, or one cluster. The
    energy axis is the file's, moved as the recipe's [calibration] says (anchors, or a number); a
    shift is not fitted, which would make the new standard agree with a library.

    Parameters
    ----------
    source : path, Recipe or Opened
        A stack in any format known (the optical density that a run kept too), or a recipe (.toml),
        which says how to make the optical density of it. For several standards of one stack, give
        what `opened` returns each time: its optical density is made once.
    id, label, value, value_sd, formula, density, kind
        See `Standard`; the molar mass follows from the formula.
    region : str, int, Region or (y, x) of bool, optional
        A region of the recipe by name or by number from 0, or one as a recipe writes it,
        ``"{x = [1.0, 2.0], y = [0.5, 1.5]}"`` (µm).
    cluster : int, optional
        Number of a k-means cluster, 0 the largest, of the recipe's [clusters].
    n_clusters : int, optional
        How many clusters to make; default: as the recipe says.
    library : Library, optional
        The other standards, which the spectrum is compared with; none may have this id.
    resolution_eV : float
        Energy resolution of the measurement, where it is known.
    record : Record, optional
        What else is known of the sample; what the stack says fills in the rest.
    progress : callable, optional
        Called with each step's name as it begins.

    Returns
    -------
    Standard
        On the scale of optical density, with the ``spectrum_sd`` of `averaged` and the ``max_od``
        of `measurement_of`; the findings on its purity are in the record's remarks.
    Purity
        Evidence of the same pixels, which the standard's record holds too.

    Raises
    ------
    ChemoscapeError
        Anything about stack, recipe, region or cluster that the user can mend.
    """
    _refuse(id, library, region, cluster, n_clusters)
    say = progress or (lambda _: None)
    recipe, done = source if isinstance(source, Opened) else opened(source, progress=say)
    wanted = None if region is None else region_meant(region, recipe, done.stack)
    od = _density(done, recipe, say)
    if cluster is not None:
        say("components and clusters")
        chosen = pixels_of_cluster(od, recipe, cluster, n_clusters)
    else:
        chosen = pixels_of_sample(od, wanted, recipe)
    say("purity")
    evidence = purity(od, chosen.mask, library=library, seed=recipe.seed)
    if cluster is not None:
        alike = "k-means chose these pixels for being alike: that they are does not make them pure"
        evidence = replace(evidence, doubts=(*evidence.doubts, alike))
    axis = axis_set(od, recipe)
    energy, spectrum, sd = averaged(od, chosen.mask)
    said = {
        **measurement_of(done.stack, od, chosen.mask, formula),
        "corrections": corrections_of(done, od, recipe),
        **calibration_of(axis, recipe),
        "resolution_eV": resolution_eV,
        **evidence.as_evidence(),
    }
    standard = Standard(
        id=id,
        label=label or id,
        value=value,
        value_sd=value_sd,
        energy=np.round(energy - (axis.at(energy) if axis is not None else 0.0), 6),
        spectrum=spectrum,
        spectrum_sd=sd,
        formula=formula,
        molar_mass=molar_mass(formula),
        density=density,
        kind=kind,
        source=f"{Path(recipe.input.path).name}, {chosen.words} ({evidence.n_pixels} pixels)",
        record=filled(record or Record(), said, remarks=str(evidence)),
    )
    return standard, evidence


def _refuse(
    id_: str, library: Library | None, region: Part, cluster: int | None, n_clusters: int | None
) -> None:
    """Refuse what cannot be, before a stack is read for it."""
    where = f"standard {id_!r}"
    if not id_:
        raise LibraryError("has no id", where, "give it a short unique name")
    if library is not None and id_ in library.names:
        raise LibraryError(
            f"the library {library.id!r} has a standard of that id", where, "give it another id"
        )
    if region is not None and cluster is not None:
        raise LibraryError(
            "a standard is averaged over a region or over a cluster", where, "name one"
        )
    if cluster is None and n_clusters is not None:
        raise LibraryError(
            f"{n_clusters} clusters were asked for, and none was chosen",
            where,
            "say which: cluster = 0 is the largest",
        )


def _as_recipe(source: str | Path | Recipe) -> Recipe:
    """The recipe of a source."""
    if isinstance(source, Recipe):
        return source
    path = Path(source).expanduser()
    if path.suffix.lower() == ".toml":
        return read_recipe(path)
    return make_recipe({"input": {"path": str(path.absolute())}})


def _density(done: Products, recipe: Recipe, say: Callable[[str], None]) -> xr.Dataset:
    """Optical density as `run` makes it, once."""
    if done.od is not None:
        return done.od
    if stages.asked_to_mend(recipe):
        say("artefacts")
        done.stack, done.touched = stages.mend(done.stack, recipe)
    if stages.uses_detector_images(recipe):
        say("optical density")
        done.od = stages.absorb(done.stack, recipe)
    if recipe.drift.enabled and done.stack.sizes["energy"] > 1:
        say("drift")
        seen = done.stack if done.od is None else done.od["optical_density"]
        done.drift, done.drift_applied = stages.find_drift(seen, recipe)
        if done.drift_applied:
            done.stack, done.od = stages.take_out(done.stack, done.od, done.drift)
    if done.od is None:
        say("optical density")
        done.od = stages.absorb(done.stack, recipe)
    return done.od
