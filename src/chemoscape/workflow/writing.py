"""What a run leaves behind: its outcome, and the folder it is written into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from chemoscape import results
from chemoscape.journal import Progress
from chemoscape.particles.table import csv_text
from chemoscape.products import Products
from chemoscape.recipe import Recipe, to_toml
from chemoscape.report.figures import figure_png
from chemoscape.report.gallery import run_figures
from chemoscape.report.html import LARGEST_BYTES, report_html
from chemoscape.report.series import SERIES_CAPTIONS, moments_table, series_figures
from chemoscape.series.moments import Moments
from chemoscape.series.table import table_csv


@dataclass(frozen=True)
class Outcome:
    """A recipe carried out: its products, the numbers, and the tree that holds both."""

    recipe: Recipe
    products: Products
    summary: results.RunSummary
    tree: xr.DataTree


@dataclass(frozen=True)
class SeriesOutcome:
    """A recipe carried out on a series: the products of each stack, the numbers, one tree."""

    recipe: Recipe
    moments: Moments
    stacks: Sequence[Products]
    summary: results.RunSummary
    tree: xr.DataTree


def write_series(
    outcome: SeriesOutcome,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write results, figures and report of a series into a folder, all of it or nothing."""
    recipe, done = outcome.recipe, outcome.stacks[0]
    page, pictures = "", {}
    if recipe.report.enabled:
        if progress is not None:
            progress("report")
        drawn = series_figures(outcome.tree)
        pictures = {name: figure_png(figure) for name, figure in drawn.items()}
        page = report_html(
            recipe.report.title or f"{outcome.moments.paths[0].name} and later",
            outcome.tree,
            outcome.summary,
            pictures if sum(map(len, pictures.values())) < LARGEST_BYTES / 2 else drawn,
            captions=SERIES_CAPTIONS,
            standards=done.library.standards if done.library is not None else (),
            notices=_notices(done),
            moments=moments_table(outcome.tree),
        )
    if progress is not None:
        progress("writing")
    results.write_results(
        output,
        outcome.tree,
        outcome.summary,
        to_toml(recipe),
        overwrite=overwrite,
        report_html=page,
        figures=pictures,
        meshes={
            f"stress-{field.boundary}-{number:03d}": field
            for number, one in enumerate(outcome.stacks)
            for field in one.fields
        },
        tables={"series": table_csv(outcome.tree["/series"].to_dataset())},
    )


def write(
    outcome: Outcome,
    output: str | Path,
    *,
    overwrite: bool = False,
    truth: Any = None,
    progress: Progress | None = None,
) -> None:
    """Write results, figures and report into a folder, all of it or nothing.

    `truth`, of a simulated stack, is drawn beside the result.
    """
    recipe, done = outcome.recipe, outcome.products
    page, pictures = "", {}
    if recipe.report.enabled:
        if progress is not None:
            progress("report")
        drawn = run_figures(outcome.tree, od=done.seen, truth=truth, ensemble=done.ensemble)
        pictures = {name: figure_png(figure) for name, figure in drawn.items()}
        page = report_html(
            recipe.report.title or Path(recipe.input.path).name,
            outcome.tree,
            outcome.summary,
            # Drawn once for both; a heavy report draws them again, coarser.
            pictures if sum(map(len, pictures.values())) < LARGEST_BYTES / 2 else drawn,
            standards=done.library.standards if done.library is not None else (),
            notices=_notices(done),
        )
    if progress is not None:
        progress("writing")
    results.write_results(
        output,
        outcome.tree,
        outcome.summary,
        to_toml(recipe),
        overwrite=overwrite,
        report_html=page,
        figures=pictures,
        meshes={f"stress-{one.boundary}": one for one in done.fields},
        tables={
            name: csv_text(table, along)
            for name, table, along in (
                ("particles", done.particles, "particle"),
                ("contacts", done.contacts, "contact"),
            )
            if table is not None
        },
    )


def _notices(done: Products) -> list[str]:
    """What must be said above everything else."""
    if done.library is not None and done.library.synthetic:
        return [f"The standards of {done.library.name} are synthetic: calculated, not measured."]
    return []
