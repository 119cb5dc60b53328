"""What an output folder holds from before: which results may be kept, and which must be made."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
from pydantic import ValidationError

from chemoscape import results
from chemoscape.batch.naming import folder_names, unused
from chemoscape.errors import ChemoscapeError, ResultsError
from chemoscape.formats import checksum
from chemoscape.formats.finding import Measurement
from chemoscape.recipe import Recipe, named_files, states_of
from chemoscape.recipe.files import all_files
from chemoscape.results import RunSummary
from chemoscape.results.tree import versions

SUMMARY = "summary.json"
#: The table of a batch, beside the results folders.
TOP = (SUMMARY, "summary.csv", "summary.html")


@dataclass(frozen=True)
class Earlier:
    """Results that lie in the output folder already."""

    folders: dict[str, RunSummary] = field(default_factory=dict)
    #: What the table of the last batch says of each stack.
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Everything else that lies there.
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Task:
    """One stack, its results folder, and what to do: nothing where `kept` is known."""

    stack: Measurement
    folder: Path
    recipe: Recipe
    state: str
    kept: RunSummary | None = None
    seconds: float | None = None
    why: str = ""


def look_into(output: Path) -> Earlier:
    """Read what an earlier batch, or single runs, left in a folder.

    Raises
    ------
    ResultsError
        It holds one run's results, or files that the table would replace.
    """
    if not output.is_dir():
        return Earlier()
    table = _json(output / SUMMARY)
    ours = isinstance(table, dict) and isinstance(table.get("stacks"), list)
    foreign = next((name for name in TOP if (output / name).exists()), None)
    if (foreign and not ours) or (output / results.RESULTS_FILE).exists():
        raise ResultsError(
            f"this folder holds {foreign or results.RESULTS_FILE!r}, which is not of a batch",
            str(output),
            "choose another with --output",
        )
    folders = {}
    for folder in sorted(one for one in output.iterdir() if one.is_dir()):
        try:
            text = (folder / SUMMARY).read_text(encoding="utf-8")
            folders[folder.name] = RunSummary.model_validate_json(text)
        except (OSError, ValueError):
            continue
    rows = {row["name"]: row for row in table["stacks"]} if ours else {}
    return Earlier(folders, rows, frozenset(one.name for one in output.iterdir()))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def tasks_of(
    stacks: Sequence[Measurement],
    recipe: Recipe,
    output: Path,
    earlier: Earlier,
    *,
    overwrite: bool,
) -> Iterator[Task]:
    """What to do with each stack; its folder is the one that holds its results already, if any.

    Raises
    ------
    ResultsError
        Results that are there were made by another recipe, or their folder holds more.
    """
    for stack, name in zip(stacks, _placed(stacks, recipe, earlier), strict=True):
        folder = output / name
        own = recipe.input.model_copy(update={"path": str(stack.path)})
        task = Task(
            stack, folder, recipe.model_copy(update={"input": own}), _state_if_known(stack, recipe)
        )
        if not folder.exists() or stack.error:
            yield task
            continue
        if not overwrite:
            _refuse_another_recipe(folder, recipe)
        results.refuse_existing(folder, overwrite=True)  # only results are ever replaced
        summary, known = earlier.folders.get(name), earlier.rows.get(name, {})
        why = "asked for" if overwrite else _outdated(task, summary, known)
        if why:
            yield Task(stack, folder, task.recipe, task.state, why=why)
            continue
        assert summary is not None  # noqa: S101 - results without one are outdated
        seconds = known.get("seconds") or round(sum(summary.seconds.values()), 3)
        yield Task(stack, folder, task.recipe, task.state, kept=summary, seconds=seconds)


def _placed(stacks: Sequence[Measurement], recipe: Recipe, earlier: Earlier) -> Iterator[str]:
    """Name of each stack's folder: that of its earlier results, wherever they are, else a new one.

    A name that holds results of other data is left to them.
    """
    holders = {summary.input.path: name for name, summary in reversed(earlier.folders.items())}
    holders |= {row["file"]: name for name, row in earlier.rows.items() if name in earlier.folders}
    held = [
        next((holders[str(p)] for p in (one.path, *one.files) if str(p) in holders), None)
        for one in stacks
    ]
    used = {name for name in held if name is not None}
    for stack, there, name in zip(
        stacks, held, folder_names([one.path for one in stacks]), strict=True
    ):
        if there is None and not (name not in used and _moved(stack, name, recipe, earlier)):
            name = unused(name, used | earlier.taken)
        used.add(there or name)
        yield there or name


def _moved(stack: Measurement, name: str, recipe: Recipe, earlier: Earlier) -> bool:
    """Whether the results of that name are of the same data, which lay elsewhere."""
    there = earlier.folders.get(name)
    if there is None or stack.error:
        return False
    try:
        return _sum_of(stack, recipe) == there.input.sha256
    except (OSError, ChemoscapeError):
        return False  # doing it will say why


def _sum_of(stack: Measurement, recipe: Recipe) -> str:
    return checksum(stack.path, **recipe.input.options())


def _outdated(task: Task, summary: RunSummary | None, known: Mapping[str, Any]) -> str:
    """Why earlier results cannot be kept; nothing if they can."""
    folder = task.folder
    wanted = [results.RESULTS_FILE, "recipe.toml"]
    wanted += ["report.html"] if task.recipe.report.enabled else []
    if summary is None or not all((folder / name).is_file() for name in wanted):
        return "its results were incomplete"
    made_by = _made_by(folder / results.RESULTS_FILE)
    version = versions()["chemoscape"]
    if made_by != version:
        return f"its results were made by chemoscape {made_by}, this is {version}"
    then, now = (str(state).split(":") for state in (known.get("file_state"), task.state))
    if len(then) == len(now) == 2:
        changed = then[1] != now[1]
    else:  # made by a run of its own: files younger than its results may have changed
        times = [file.stat().st_mtime for file in named_files(task.recipe)]
        changed = max(times, default=0.0) > (folder / SUMMARY).stat().st_mtime
    if changed:
        return "a file that the recipe names has changed"
    if then[0] == now[0]:  # then nobody need read the whole stack
        return ""
    try:
        same = _sum_of(task.stack, task.recipe) == summary.input.sha256
    except (OSError, ChemoscapeError):
        same = False  # doing it again will say why
    return "" if same else "the stack has changed"


def _made_by(file: Path) -> str:
    try:
        with h5py.File(file) as root:
            return str(root.attrs["program_version"])
    except (OSError, KeyError):
        return "an unknown version"


def state_of(stack: Measurement, recipe: Recipe) -> str:
    """Digests of names, sizes and times: of a stack's files, and of those that the recipe names."""
    both = (sorted(all_files(stack.files)), named_files(recipe))
    return ":".join(
        hashlib.sha256("\n".join(states_of(files)).encode()).hexdigest() for files in both
    )


def _state_if_known(stack: Measurement, recipe: Recipe) -> str:
    try:
        return state_of(stack, recipe)
    except OSError:  # doing the stack will say why
        return ""


def _refuse_another_recipe(folder: Path, recipe: Recipe) -> None:
    """Raise where results were made by another recipe; what it says of the path does not count."""
    try:
        text = (folder / "recipe.toml").read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (OSError, ValueError):
        return  # incomplete, so it is done again
    try:
        theirs = _comparable(Recipe.model_validate(table))
    except ValidationError:  # of another version of this program
        theirs = table
    ours = _comparable(recipe)
    if theirs != ours:
        raise ResultsError(
            f"these results were made by another recipe ({_difference(theirs, ours)})",
            str(folder),
            "choose another folder with --output, or replace all with --overwrite",
        )


def _comparable(recipe: Recipe) -> dict[str, Any]:
    """A recipe without the stack's path and without what does not change the numbers."""
    table = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    del table["input"]["path"], table["compute"]
    return table


def _difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """The first key that two recipes disagree on, in words."""
    for key in dict.fromkeys((*theirs, *ours)):
        old, new = theirs.get(key), ours.get(key)
        if isinstance(old, dict) and isinstance(new, dict) and old != new:
            return f"{key}.{_difference(old, new)}"
        if old != new:
            return f"{key} was {old!r} and is {new!r}"
    return ""
