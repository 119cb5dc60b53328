"""The command that carries out a recipe, on one stack or on many."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from chemoscape.console import answer, progress_bar, run_in_lines


def run_recipe(
    recipe: Path,
    /,
    *,
    input: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    output: Path | None = None,
    set: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Carry out a recipe: stack in, maps, stress, figures and report out.

    Of several stacks each gets its own folder in --output, and summary.csv, summary.html and
    summary.json compare them. The same command again keeps what is done and goes on. With
    [series] enabled = true they are one sample at several times instead, and one result.

    Examples:
    chemoscape run wire.toml
    chemoscape run wire.toml --input 'monday/*.hdr' --output monday --set clusters.n_clusters=3
    chemoscape run wire.toml --input 'scan_*.hdr' --set series.enabled=true

    Parameters
    ----------
    recipe
        The recipe (TOML); chemoscape init STACK writes one.
    input
        Stacks to use instead of the recipe's: files, folders of stacks, patterns in quotes.
    output
        Folder for the results; default: the recipe's name with -results.
    set
        Changes to the recipe, section.key=value.
    overwrite
        Replace earlier results.
    json
        Print the summary as JSON; of several stacks, a list.
    """
    from chemoscape.recipe import parse_change, read_recipe, refuse_other_inputs

    changes = dict(parse_change(text) for text in set or [])
    folder = output or Path(f"{recipe.stem}-results")
    if input is not None:
        from chemoscape.batch import is_several

        asked = read_recipe(recipe, dict(changes))
        if not asked.series.enabled:
            refuse_other_inputs(asked)
        options = asked.input.options()
        if asked.series.enabled and input:
            changes["series.stacks"] = [_placed(one) for one in input]
            changes["input.path"] = ""
        elif is_several(input, options) or not input:
            return _run_several(recipe, changes, input, folder, overwrite, json)
        else:
            changes["input.path"] = _placed(input[0])
    summary, text = _run_one(recipe, changes, folder, overwrite)
    answer(summary, text, json)
    return 0


def _placed(path: Path) -> str:
    """A path or pattern from here; in quotes no shell has put the home folder for its ~."""
    return str(Path(os.path.expanduser(path)).absolute())


def _run_several(
    recipe: Path,
    changes: dict[str, Any],
    inputs: list[Path],
    folder: Path,
    overwrite: bool,
    json: bool,
) -> int:
    """Run one recipe on many stacks; its exit status."""
    from chemoscape.batch import Row, run_batch
    from chemoscape.recipe import read_recipe

    def say(row: Row) -> None:
        if row.status == "failed":
            print(f"chemoscape: {row.name}: {' '.join(row.message.split())}", file=sys.stderr)
        elif not json:
            print(row, flush=True)

    try:
        with progress_bar(recipe.name) as progress:
            batch = run_batch(
                read_recipe(recipe, changes),
                inputs,
                output=folder,
                overwrite=overwrite,
                progress=progress,
                finished=say,
            )
    except KeyboardInterrupt:
        print(
            f"chemoscape: interrupted; what is done is in {folder}, and the same command goes on.",
            file=sys.stderr,
        )
        return 130
    for one in batch.left_out:
        print(f"left out: {one}", file=sys.stderr)
    if json:
        done = [row.summary for row in batch.rows if row.summary is not None]
        answer([summary.model_dump(mode="json") for summary in done], "", json)
    if batch.n_failed:
        print(f"chemoscape: {batch.n_failed} of {len(batch.rows)} stacks failed.", file=sys.stderr)
    print(f"written to {folder}: open {folder / 'summary.html'}", file=sys.stderr)
    return 1 if any(row.defect for row in batch.rows) else 2 if batch.n_failed else 0


def _run_one(
    recipe: Path, changes: dict[str, Any], folder: Path, overwrite: bool
) -> tuple[dict[str, Any], str]:
    """Run one recipe on one stack; its summary for a machine and for a person."""
    from chemoscape import workflow
    from chemoscape.recipe import read_recipe
    from chemoscape.results import summary_of

    read = read_recipe(recipe, changes)
    with progress_bar(Path(read.input.path).name or recipe.name) as progress:
        tree = workflow.run(read, output=folder, overwrite=overwrite, progress=progress)
    summary = summary_of(tree)
    per_eV = None
    if "composition" in tree.children:
        per_eV = tree["composition"].attrs.get("mean_per_eV")
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    page = f": open {folder / 'report.html'}" if read.report.enabled else ""
    print(f"written to {folder}{page}", file=sys.stderr)
    return summary.model_dump(mode="json"), run_in_lines(summary, per_eV)
