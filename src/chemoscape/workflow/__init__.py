"""The paper's Figure 2 as code: the only place that orders the steps.

Each stage is one function from the products before it to its own. `one_stack` puts them in order,
`over_time` carries several stacks of one sample through them together, `writing` leaves behind what
the recipe asks for; `run` does it all, and collects warnings and times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from chemoscape import blocks, results, stages
from chemoscape.errors import ChemoscapeError, RecipeError
from chemoscape.journal import Journal, Progress
from chemoscape.products import Products, nodes_of
from chemoscape.recipe import Recipe, make_recipe, read_recipe, refuse_contradictions, to_toml
from chemoscape.results.lock import lock_of_run, only_one
from chemoscape.summaries import summarise
from chemoscape.workflow.one_stack import carry_out
from chemoscape.workflow.over_time import analyse_series
from chemoscape.workflow.writing import Outcome, write, write_series

__all__ = ["Outcome", "Progress", "analyse", "run", "write"]


def run(
    recipe: Recipe | str | Path | Mapping[str, Any],
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> xr.DataTree:
    """Carry out a recipe: stack, drift, optical density, weights, composition, stress, report.

    Parameters
    ----------
    recipe : Recipe, path of a TOML file, or nested tables
        What to do; see `chemoscape.recipe`. With ``[series]`` several stacks are one sample at
        several times, and the results have a dimension ``time``.
    output : path, optional
        Folder to write results, figures and report into; nothing is written without it. What passes
        over a stack larger than memory have found is kept beside it until then: a run that was
        ended, and is started again, goes on where it was.
    overwrite : bool
        Replace an earlier results folder.
    progress : callable, optional
        Called with each step's name as it begins.

    Returns
    -------
    DataTree
        The results; `chemoscape.results` lists its nodes.

    Raises
    ------
    ChemoscapeError
        Anything that the user can mend.
    """
    recipe = _as_recipe(recipe)
    if output is not None:
        results.refuse_existing(output, overwrite=overwrite)  # before the work, not after
    if recipe.series.enabled:
        return _run_series(recipe, output, overwrite, progress)
    if output is None:
        return analyse(recipe, progress=progress).tree
    with stages.kept_passes(recipe, Path(output)):
        outcome = analyse(recipe, progress=progress)
        write(outcome, output, overwrite=overwrite, progress=progress)
    return outcome.tree


def analyse(
    recipe: Recipe | str | Path | Mapping[str, Any],
    *,
    truth: Callable[[Products, results.RunSummary], dict[str, Any]] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Carry out a recipe without writing anything.

    `truth` compares a simulated stack's products with what it was made from; what it returns joins
    the summary.
    """
    recipe = _as_recipe(recipe)
    refuse_contradictions(recipe)
    log = Journal(progress)
    with _at_work(recipe, log):
        try:
            done = carry_out(recipe, log)
        except ChemoscapeError as error:
            for warning in log.warnings:  # they may say why
                error.add_note(warning)
            if log.n_images and not recipe.few_energies.enabled:
                error.add_note(
                    f"the stack has {log.n_images} images: composition between two standards is "
                    "mapped from so few with [few_energies] enabled = true"
                )
            raise
        summary = summarise(recipe, done, warnings=log.warnings, seconds=log.seconds)
        if truth is not None:
            log.say("comparison with the truth")
            summary = summary.model_copy(update={"truth": truth(done, summary)})
        tree = results.results_tree(
            nodes_of(recipe, done), summary=summary, recipe_toml=to_toml(recipe), seed=recipe.seed
        )
    return Outcome(recipe, done, summary, tree)


def _run_series(
    recipe: Recipe, output: str | Path | None, overwrite: bool, progress: Progress | None
) -> xr.DataTree:
    """Several stacks of one sample at several times."""
    refuse_contradictions(recipe)
    log = Journal(progress)
    with _alone(output):
        with _at_work(recipe, log):
            try:
                outcome = analyse_series(recipe, log, progress)
            except ChemoscapeError as error:
                for warning in log.warnings:  # they may say why
                    error.add_note(warning)
                raise
        if output is not None:
            write_series(outcome, output, overwrite=overwrite, progress=progress)
    return outcome.tree


@contextmanager
def _at_work(recipe: Recipe, log: Journal) -> Iterator[None]:
    """Keep our warnings, and work with the threads or the cluster that the recipe names."""
    with (
        log.listening(),
        blocks.workers(recipe.compute.threads),
        blocks.cluster(recipe.compute.scheduler),
    ):
        yield


@contextmanager
def _alone(output: str | Path | None) -> Iterator[None]:
    """One run at a time into one folder."""
    if output is None:
        yield
        return
    folder = Path(output).absolute()
    with only_one(folder.parent, lock_of_run(folder), "another run"):
        yield


def _as_recipe(recipe: Recipe | str | Path | Mapping[str, Any]) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Mapping):
        return make_recipe(dict(recipe))
    if not isinstance(recipe, str | Path):
        raise RecipeError(
            f"expected a recipe, got {type(recipe).__name__}",
            remedy="give the path of a TOML file, nested tables, or a Recipe",
        )
    return read_recipe(recipe)
