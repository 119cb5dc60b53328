"""The steps of a series: each stack for itself, then what they share, then each on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from chemoscape import fitting_stages, results, stages
from chemoscape.blocks import is_lazy, memory_limit
from chemoscape.decompose.energy import EnergyShift
from chemoscape.decompose.sample import with_statistics
from chemoscape.errors import ChemoscapeError, RecipeError
from chemoscape.journal import Journal, Progress
from chemoscape.products import Products, nodes_of
from chemoscape.recipe import Recipe, to_toml
from chemoscape.series.evolution import evolution
from chemoscape.series.moments import Moments, find_moments
from chemoscape.series.mosaic import laid_together, parted
from chemoscape.series.numbers import summarise_series, without_numbers
from chemoscape.series.places import at_places_of, names_places
from chemoscape.series.registration import moved_by, shifts_between
from chemoscape.series.sharing import common_energies, common_field, common_sample
from chemoscape.series.together import joined
from chemoscape.standards.library import Library
from chemoscape.summaries import summarise
from chemoscape.workflow.one_stack import fit_spectra, prepare, standards_for, use_composition
from chemoscape.workflow.writing import SeriesOutcome

#: Bytes in memory at most for each byte of a stack: as recorded, as moved, its optical density with
#: variance, and the last two once more beside those of all times (measured: 5.4).
HELD = 5.5


@dataclass
class _One:
    """One stack on its way through the series."""

    recipe: Recipe
    name: str
    log: Journal
    raw: xr.DataArray = field(default_factory=xr.DataArray)
    done: Products = field(init=False)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Keep warnings with this stack, and name it in what goes wrong."""
        with self.log.listening():
            try:
                yield
            except ChemoscapeError as error:
                error.add_note(f"this was {self.name}")
                raise


def analyse_series(recipe: Recipe, log: Journal, progress: Progress | None) -> SeriesOutcome:
    """Carry out a recipe on several stacks; `log` hears what belongs to all of them.

    Raises
    ------
    ChemoscapeError
        Anything that the user can mend; a note names the stack.
    """
    with log.step("stacks"):
        moments = find_moments(recipe)
        # what a pattern finds changes as a measurement goes on: the recipe that is kept says which
        named = recipe.series.model_copy(update={"stacks": [str(one) for one in moments.paths]})
        recipe = recipe.model_copy(update={"series": named})
        every = _each(recipe, moments, progress)
    library = _read(every)
    first = every[0].raw[:1]  # its pixels, not its images
    for one in every:
        with one.at_work():
            one.done = prepare(one.raw, one.recipe, one.log)
    with log.step("registration"):
        shifts = _bring_to_the_first(every)
    _cut_to_common_field(every)
    for one in every[1:]:
        one.done.like = first
    if recipe.clusters.enabled:
        with log.step("components and clusters"):
            _group_together(every, library, recipe)
    fitted = True
    for one in every:
        with one.at_work():
            fitted &= fit_spectra(one.done, library, one.recipe, one.log)
    if fitted and recipe.composition.enabled:
        with log.step("composition"):
            _compose(every)
        for one in every:
            with one.at_work():
                use_composition(one.done, one.recipe, one.log)
    if recipe.electrochemistry.enabled:
        with log.step("electrochemistry"):
            curve = stages.cycled(None, recipe)
            for one in every:
                one.done.cycling = curve
    return _outcome(recipe, moments, every, shifts, log)


def _each(recipe: Recipe, moments: Moments, progress: Progress | None) -> list[_One]:
    """Every stack with the recipe of its own."""
    alone = recipe.series.model_copy(update={"enabled": False, "stacks": [], "times": []})
    every = []
    for number, path in enumerate(moments.paths):
        own = recipe.input.model_copy(update={"path": str(path)})
        log = Journal(_prefixed(progress, number, len(moments.paths)))
        every.append(
            _One(
                recipe.model_copy(update={"input": own, "series": alone}),
                moments.name_of(number),
                log,
            )
        )
    return every


def _prefixed(progress: Progress | None, number: int, of: int) -> Progress | None:
    """Say which stack a step belongs to."""
    if progress is None:
        return None
    return lambda step: progress(f"{number + 1} of {of}: {step}")


def _read(every: Sequence[_One]) -> Library | None:
    """Open all stacks, on the pixels of the first and at common energies; open the library."""
    first = None
    for one in every:
        with one.at_work(), one.log.step("read"):
            one.raw = stages.read(one.recipe, like=first)
            _refuse_too_large(one.raw, len(every))
        first = one.raw if first is None else first
    library = standards_for(every[0].raw, every[0].recipe)
    common = common_energies([one.raw for one in every], [one.name for one in every])
    for one, stack in zip(every, common, strict=True):
        one.raw = stack
    return library


def _refuse_too_large(stack: xr.DataArray, n_time: int) -> None:
    """The stacks of a series are in memory together, each with its optical density and variance."""
    need, there_is = HELD * stack.nbytes * n_time, 4 * memory_limit()
    if is_lazy(stack) or need > there_is:
        raise RecipeError(
            f"{n_time} stacks of {stack.nbytes / 1e9:.1f} GB do not fit into memory together: the "
            f"work on them needs about {need / 1e9:.1f} GB of {there_is / 1e9:.1f} GB",
            remedy="take fewer stacks, cut them, or run each by itself: the same recipe without "
            "[series], and all stacks behind --input",
        )


def _bring_to_the_first(every: Sequence[_One]) -> np.ndarray:
    """Move every stack that lies elsewhere than the first, from what was recorded and together with
    its own drift, so that it is interpolated once; return the shifts, pixels (n_time, 2).
    """
    shifts = np.zeros((len(every), 2))
    section = every[0].recipe
    if not section.series.align:
        return shifts
    densities = _densities(every)
    rows, columns = common_field(densities)
    shifts = shifts_between([one.sel(y=rows, x=columns) for one in densities])
    shifts[np.hypot(*shifts.T) < section.drift.threshold_px] = 0.0  # left as they are
    for one, shift in zip(every, shifts, strict=True):
        if shift.any():
            _move(one, shift, every[0].raw)
    return shifts


def _move(one: _One, shift: np.ndarray, first: xr.DataArray) -> None:
    """Prepare a stack once more, at the place of the first."""
    recipe = one.recipe
    if names_places(recipe):  # which are of the first stack: look again, where this one has them
        recipe = at_places_of(first, recipe, shift)
        one.log.warnings.clear()
        with one.at_work():
            one.raw = stages.read(recipe, like=first).sel(energy=one.raw["energy"])
            one.done = prepare(one.raw, recipe, one.log)
    if not stages.uses_detector_images(recipe):
        recipe = one.recipe  # the optical density comes behind the motion
    own = one.done.drift if one.done.drift_applied else None
    drift = moved_by(own, shift, one.raw["energy"].values)
    said = list(one.log.warnings)
    one.log.warnings.clear()
    with one.at_work():
        one.done = prepare(one.raw, recipe, one.log, drift=drift, known=one.done.od)
    again = {without_numbers(text) for text in one.log.warnings}
    one.log.warnings[:0] = [text for text in said if without_numbers(text) not in again]


def _cut_to_common_field(every: Sequence[_One]) -> None:
    """Leave of every stack what all of them show."""
    rows, columns = common_field(_densities(every))
    for one in every:
        assert one.done.od is not None  # noqa: S101 - prepared before
        one.done.od = with_statistics(one.done.od.sel(y=rows, x=columns), None)
        one.done.stack = one.done.stack.sel(y=rows, x=columns)
        one.raw = xr.DataArray()  # no longer needed


def _densities(every: Sequence[_One]) -> list[xr.Dataset]:
    return [one.done.od for one in every if one.done.od is not None]


def _group_together(every: Sequence[_One], library: Library | None, recipe: Recipe) -> None:
    """Components and clusters of the pixels of all times, and their match, for every stack."""
    mosaic = laid_together(_densities(every))
    pcs, groups, tree = fitting_stages.group(mosaic, recipe)
    table = targets = None
    if library is not None:
        axis = fitting_stages.anchored(with_statistics(mosaic, pcs), recipe)
        table = fitting_stages.compare(groups, library, recipe, axis)
        targets = fitting_stages.targets_of(
            pcs, library, recipe, EnergyShift.from_attrs(table.attrs)
        )
    like = _densities(every)[0]
    found = [parted(one, like, len(every)) for one in (pcs, groups, tree)]
    for one, components, clusters, as_found in zip(every, *found, strict=True):
        one.done.components, one.done.clusters, one.done.match = components, clusters, table
        one.done.targets = targets
        one.done.tree = clusters if tree is groups else as_found


def _compose(every: Sequence[_One]) -> None:
    """Compositions of the pixels that are sample at all times: edges that come and go with the
    noise would change the means.
    """
    alone = [fitting_stages.samples(one.done, one.recipe) for one in every]
    inside = {name: common_sample([masks[name] for masks in alone]) for name in alone[0]}
    for one in every:
        with one.at_work():
            one.done.compositions = fitting_stages.compositions(one.done, one.recipe, inside)


def _outcome(
    recipe: Recipe, moments: Moments, every: Sequence[_One], shifts: np.ndarray, log: Journal
) -> SeriesOutcome:
    """Numbers and tree of the whole series."""
    summaries = [
        summarise(one.recipe, one.done, warnings=one.log.warnings, seconds=one.log.seconds)
        for one in every
    ]
    stacks = [one.done for one in every]
    table = evolution(moments, stacks, summaries, shifts, recipe)
    summary = summarise_series(moments, table, summaries, log)
    nodes = joined([nodes_of(one.recipe, one.done) for one in every], moments.axis)
    tree = results.results_tree(
        {"/series": table, **nodes}, summary=summary, recipe_toml=to_toml(recipe), seed=recipe.seed
    )
    return SeriesOutcome(recipe, moments, stacks, summary, tree)
