"""The command that carries out a recipe, on one stack or on many."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from chemoscape.console import answer, interruption, run_in_lines
from chemoscape.telling import Telling, ToPeople, to_programs


def run_recipe(
    recipe: Path,
    /,
    *,
    input: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    output: Path | None = None,
    set: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    overwrite: bool = False,
    json: bool = False,
    progress: Literal["bar", "json"] = "bar",
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
    progress
        json: progress, warnings and errors on stderr as JSON lines, for programs that start this
        one.
    """

    def work(telling: Telling) -> int:
        return _run(recipe, input, output, set or [], overwrite, json, telling)

    return to_programs(work) if progress == "json" else work(ToPeople())


def _run(
    recipe: Path,
    input: list[Path] | None,
    output: Path | None,
    set: list[str],
    overwrite: bool,
    json: bool,
    telling: Telling,
) -> int:
    """Run a recipe on what it names, or on other stacks; the exit status."""
    from chemoscape.recipe import parse_change, read_recipe, refuse_other_inputs

    changes = dict(parse_change(text) for text in set)
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
            return _run_several(recipe, changes, input, folder, overwrite, json, telling)
        else:
            changes["input.path"] = _placed(input[0])
    summary, text = _run_one(recipe, changes, folder, overwrite, telling)
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
    telling: Telling,
) -> int:
    """Run one recipe on many stacks; its exit status."""
    from chemoscape.batch import Row, run_batch
    from chemoscape.recipe import read_recipe

    def say(row: Row) -> None:
        if row.status == "failed":
            told = f"{row.name}: {' '.join(row.message.split())}"
            telling.failed(told, 1 if row.defect else 2)
        elif not json:
            print(row, flush=True)

    try:
        with telling.progress(recipe.name) as progress:
            batch = run_batch(
                read_recipe(recipe, changes),
                inputs,
                output=folder,
                overwrite=overwrite,
                progress=progress,
                finished=say,
            )
    except KeyboardInterrupt as stop:
        status, _ = interruption(stop)
        telling.failed(
            f"interrupted; what is done is in {folder}, and the same command goes on.", status
        )
        return status
    for one in batch.left_out:
        telling.note(f"left out: {one}")
    if json:
        done = [row.summary for row in batch.rows if row.summary is not None]
        answer([summary.model_dump(mode="json") for summary in done], "", json)
    status = 1 if any(row.defect for row in batch.rows) else 2 if batch.n_failed else 0
    if status:
        telling.failed(f"{batch.n_failed} of {len(batch.rows)} stacks failed.", status)
    telling.written(folder, folder / "summary.html")
    return status


def _run_one(
    recipe: Path, changes: dict[str, Any], folder: Path, overwrite: bool, telling: Telling
) -> tuple[dict[str, Any], str]:
    """Run one recipe on one stack; its summary for a machine and for a person."""
    from chemoscape import workflow
    from chemoscape.recipe import read_recipe
    from chemoscape.results import summary_of

    read = read_recipe(recipe, changes)
    with telling.progress(Path(read.input.path).name or recipe.name) as progress:
        tree = workflow.run(read, output=folder, overwrite=overwrite, progress=progress)
    summary = summary_of(tree)
    per_eV = None
    if "composition" in tree.children:
        per_eV = tree["composition"].attrs.get("mean_per_eV")
    for warning in summary.warnings:
        telling.warning(warning)
    telling.written(folder, folder / "report.html" if read.report.enabled else None)
    return summary.model_dump(mode="json"), run_in_lines(summary, per_eV)
