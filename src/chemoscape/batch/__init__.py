"""Many stacks by one recipe: a folder of results for each, one table of all, and go on where it
stopped.

`formats.finding` finds the stacks, `earlier` what need not be done again, `rows` makes the table;
what runs a stack is `chemoscape.workflow`.
"""

from __future__ import annotations

import gc
import json
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chemoscape import fitting_stages, workflow
from chemoscape.batch.earlier import SUMMARY, Task, look_into, state_of, tasks_of
from chemoscape.batch.rows import Row, table_csv, values_of
from chemoscape.console import log_defect
from chemoscape.errors import ChemoscapeError
from chemoscape.formats.finding import Measurement, find_stacks, is_several
from chemoscape.recipe import (
    Recipe,
    make_recipe,
    read_recipe,
    refuse_contradictions,
    refuse_other_inputs,
    to_toml,
)
from chemoscape.report.batch import Line, batch_html
from chemoscape.results import RESULTS_FILE, none_if_not_finite, summary_of, write_text
from chemoscape.results.lock import only_one
from chemoscape.results.tree import versions

__all__ = ["Batch", "Row", "find_stacks", "is_several", "run_batch"]


@dataclass(frozen=True)
class Batch:
    """What became of all stacks.

    Parameters
    ----------
    output : Path
        The folder with the table and the results folders.
    rows : tuple of Row
        One per stack, in natural order of the files.
    left_out : tuple of str
        Files that matched but are no stacks.
    not_done : tuple of str
        Stacks that were not reached, because the batch was interrupted.
    """

    output: Path
    rows: tuple[Row, ...]
    left_out: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()

    @property
    def n_failed(self) -> int:
        """How many stacks failed."""
        return sum(row.status == "failed" for row in self.rows)

    def table(self) -> list[dict[str, Any]]:
        """The rows of ``summary.csv``: one dict per stack, None where nothing is known."""
        return values_of(self.rows)


def run_batch(
    recipe: Recipe | str | Path | Mapping[str, Any],
    inputs: Iterable[str | Path],
    *,
    output: str | Path,
    overwrite: bool = False,
    progress: workflow.Progress | None = None,
    finished: Callable[[Row], None] | None = None,
) -> Batch:
    """Carry out one recipe on many stacks, one after the other.

    `output` gets a folder of results per stack, as `run` writes it, and a table of all as
    ``summary.csv``, ``summary.html`` and ``summary.json``. Started again, it keeps the results that
    the same recipe and version made of the same data, does the others, and writes the table anew. A
    stack that fails has a row that says why; the others go on. Ctrl-C leaves what is done, and a
    table of it.

    Parameters
    ----------
    recipe : Recipe, path of a TOML file, or nested tables
        What to do; its ``[input] path`` is not used.
    inputs : iterable of str or path
        Stacks, folders of stacks, and patterns such as ``day1/*.hdr``. Files of one measurement
        count once.
    output : path
        Folder for everything, made if it is not there.
    overwrite : bool
        Do every stack again, and replace results of another recipe.
    progress : callable, optional
        Called with the stack and the name of each step as it begins.
    finished : callable, optional
        Called with each stack's `Row` when that is settled.

    Returns
    -------
    Batch

    Raises
    ------
    ChemoscapeError
        Before any work: the recipe is wrong, a pattern matches nothing, results of another recipe
        are in the way, or another batch is at work in `output`.

    Examples
    --------
    >>> import tempfile, chemoscape as cs
    >>> recipe = {
    ...     "drift": {"enabled": False}, "clusters": {"enabled": False},
    ...     "report": {"enabled": False},
    ... }
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number in (1, 2):
    ...         truth = cs.simulate.core_shell(shape=(24, 32), poisson=True, seed=number)
    ...         cs.save_stack(truth.stack, f"{folder}/wire_{number}.h5")
    ...     batch = cs.run_batch(recipe, [f"{folder}/*.h5"], output=f"{folder}/all")
    ...     again = cs.run_batch(recipe, [f"{folder}/*.h5"], output=f"{folder}/all")
    ''
    ''
    >>> [(row.name, row.status) for row in (*batch.rows, *again.rows)]
    [('wire_1', 'done'), ('wire_2', 'done'), ('wire_1', 'kept'), ('wire_2', 'kept')]
    """
    began = time.perf_counter()
    output = Path(output).absolute()
    recipe = _as_recipe(recipe)
    stacks, left_out = find_stacks(inputs, recipe.input.options(), apart_from=output)
    notices = _refuse_impossible(recipe, stacks[0])
    rows: list[Row] = []
    with only_one(output):
        earlier = look_into(output)
        tasks = list(tasks_of(stacks, recipe, output, earlier, overwrite=overwrite))
        try:
            for number, task in enumerate(tasks, 1):
                rows.append(_settled(task, _prefixed(progress, task, number, len(tasks))))
                if task.kept is None:
                    gc.collect()  # cycles hold its arrays, and the next stack needs the room
                if finished is not None:
                    finished(rows[-1])
        finally:
            batch = Batch(
                output,
                tuple(rows),
                tuple(left_out),
                tuple(str(task.stack.path) for task in tasks[len(rows) :]),
            )
            if rows:
                _write_table(batch, recipe, notices, time.perf_counter() - began)
    return batch


def _as_recipe(recipe: Recipe | str | Path | Mapping[str, Any]) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    return make_recipe(dict(recipe)) if isinstance(recipe, Mapping) else read_recipe(recipe)


def _refuse_impossible(recipe: Recipe, stack: Measurement) -> list[str]:
    """Say once, and before any work, what would be wrong with every stack; return notices."""
    refuse_other_inputs(recipe)
    own = recipe.input.model_copy(update={"path": str(stack.path)})
    refuse_contradictions(recipe.model_copy(update={"input": own}))
    if recipe.standards.enabled and recipe.deconvolution.enabled:
        library = fitting_stages.standards(recipe)
        if library.synthetic:
            return [f"The standards of {library.name} are synthetic: calculated, not measured."]
    return []


def _prefixed(
    progress: workflow.Progress | None, task: Task, number: int, of: int
) -> workflow.Progress | None:
    """Say which stack a step belongs to."""
    if progress is None:
        return None
    return lambda step: progress(f"{number} of {of}, {task.folder.name}: {step}")


def _settled(task: Task, progress: workflow.Progress | None) -> Row:
    """Carry out one stack, unless its results are there; a failure is a row like any other."""
    name, file = task.folder.name, str(task.stack.path)
    if task.stack.error:
        return Row(name, file, "failed", task.stack.error)
    if task.kept is not None:
        return Row(name, file, "kept", "", task.seconds, task.kept, task.state)
    began = time.perf_counter()
    try:
        # before it is read: a change meanwhile must be seen next time
        state = state_of(task.stack, task.recipe)
        tree = workflow.run(
            task.recipe, output=task.folder, overwrite=task.why != "", progress=progress
        )
        summary = summary_of(tree)
    except Exception as error:  # noqa: BLE001 - one bad stack must not stop the night's batch
        defect = not isinstance(error, ChemoscapeError)
        said = f"a defect of the program ({error!r}); {log_defect(error)}" if defect else str(error)
        traceback.clear_frames(error.__traceback__)  # they hold the stack
        return Row(name, file, "failed", said, _seconds(began), defect=defect)
    message = f"done again: {task.why}" if task.why else ""
    return Row(name, file, "done", message, _seconds(began), summary, state)


def _seconds(began: float) -> float:
    return round(time.perf_counter() - began, 3)


def _write_table(batch: Batch, recipe: Recipe, notices: list[str], seconds: float) -> None:
    """Write summary.csv, summary.html and summary.json, each whole or not at all."""
    table = batch.table()
    written: dict[str, Any] = {
        "schema_version": 1,
        "program_version": versions()["chemoscape"],
        "recipe": to_toml(recipe),
        "stacks": [
            {**values, "warnings": row.warnings, "file_state": row.file_state}
            for values, row in zip(table, batch.rows, strict=True)
        ],
        "left_out": batch.left_out,
        "not_done": batch.not_done,
        "seconds": round(seconds, 1),
    }
    lines = [
        Line(
            values,
            row.warnings,
            report=f"{row.name}/report.html" if _has(batch, row, "report.html") else "",
            results=batch.output / row.name / RESULTS_FILE if row.summary is not None else None,
        )
        for values, row in zip(table, batch.rows, strict=True)
    ]
    page = batch_html(
        batch.output.name,
        lines,
        recipe=written["recipe"],
        left_out=batch.left_out,
        not_done=batch.not_done,
        notices=notices,
        version=written["program_version"],
    )
    text = json.dumps(none_if_not_finite(written), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(batch.output / "summary.csv", table_csv(batch.rows), overwrite=True)
    write_text(batch.output / "summary.html", page, overwrite=True)
    write_text(batch.output / SUMMARY, text + "\n", overwrite=True)


def _has(batch: Batch, row: Row, file: str) -> bool:
    return row.summary is not None and (batch.output / row.name / file).is_file()
