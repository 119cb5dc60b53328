"""What a run leaves behind: its outcome, and the folder it is written into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

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
    done, page, pictures = outcome.products, "", dict[str, bytes]()
    if outcome.recipe.report.enabled:
        _say(progress, "report")
        drawn = run_figures(outcome.tree, od=done.seen, truth=truth, ensemble=done.ensemble)
        page, pictures = _report(outcome, done, drawn, Path(outcome.recipe.input.path).name)
    _say(progress, "writing")
    results.write_results(
        output,
        outcome.tree,
        outcome.summary,
        to_toml(outcome.recipe),
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


def write_series(
    outcome: SeriesOutcome,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write results, figures and report of a series into a folder, all of it or nothing."""
    page, pictures = "", dict[str, bytes]()
    if outcome.recipe.report.enabled:
        _say(progress, "report")
        page, pictures = _report(
            outcome,
            outcome.stacks[0],
            series_figures(outcome.tree),
            f"{outcome.moments.paths[0].name} and later",
            captions=SERIES_CAPTIONS,
            moments=moments_table(outcome.tree),
        )
    _say(progress, "writing")
    results.write_results(
        output,
        outcome.tree,
        outcome.summary,
        to_toml(outcome.recipe),
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


def _report(
    outcome: Outcome | SeriesOutcome,
    done: Products,
    drawn: dict[str, Figure],
    name: str,
    **more: Any,
) -> tuple[str, dict[str, bytes]]:
    """The page, and its figures as PNG; `more` goes to `report_html`."""
    pictures = {key: figure_png(figure) for key, figure in drawn.items()}
    # Drawn once for both; a heavy report draws them again, coarser.
    light = sum(map(len, pictures.values())) < LARGEST_BYTES / 2
    page = report_html(
        outcome.recipe.report.title or name,
        outcome.tree,
        outcome.summary,
        pictures if light else drawn,
        standards=done.library.standards if done.library is not None else (),
        notices=_notices(done),
        **more,
    )
    return page, pictures


def _say(progress: Progress | None, step: str) -> None:
    if progress is not None:
        progress(step)


def _notices(done: Products) -> list[str]:
    """What must be said above everything else."""
    if done.library is not None and done.library.synthetic:
        return [f"The standards of {done.library.name} are synthetic: calculated, not measured."]
    return []
