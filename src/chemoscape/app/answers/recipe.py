"""The recipe and its runs: what they are now, and the actions that change, save, start, cancel."""

from __future__ import annotations

import os
import shlex
import tomllib
from pathlib import Path
from typing import Any

from chemoscape.app.asking import Asked
from chemoscape.app.job import Job
from chemoscape.app.session import Session
from chemoscape.app.toml_edits import as_item
from chemoscape.app.until import UNTILS
from chemoscape.errors import ChemoscapeError
from chemoscape.recipe import Recipe, Section, refuse_contradictions, to_toml
from chemoscape.results import refuse_existing

LARGEST = 2**31


def recipe(session: Session, asked: Asked) -> dict[str, Any]:
    """The recipe at its present revision, and what differs from the defaults."""
    draft = session.draft
    seen = draft.seen()
    return {
        **seen,
        "changed": changed(draft.recipe, tomllib.loads(seen["text"])),
        "command": f"chemoscape run {shlex.quote(seen['name'])}",
        "export": _export_folder(session).name,
    }


def exported(session: Session, asked: Asked) -> dict[str, Any]:
    """Files that the last export, or the same run on the command line, has written."""
    folder = _export_folder(session)
    files = [
        {"name": file.relative_to(folder).as_posix(), "bytes": file.stat().st_size}
        for file in sorted(folder.rglob("*"), key=lambda one: (one.parent != folder, str(one)))
        if file.is_file() and not file.is_symlink()
    ]
    return {"folder": folder.name, "exists": os.path.lexists(folder), "files": files}


def run(session: Session, asked: Asked) -> dict[str, Any]:
    """How far the last run is; state "none" if there was none."""
    job = session.jobs.current
    return {"state": "none"} if job is None else job.told()


def edit(session: Session, asked: Asked) -> dict[str, Any]:
    """Set keys: {revision, changes: {"clusters.cut": 3, …}}; null removes one."""
    return {"revision": session.draft.edit(_revision(asked), asked.table("changes"))}


def replace(session: Session, asked: Asked) -> dict[str, Any]:
    """Take another text: {revision, text}."""
    return {"revision": session.draft.replace(_revision(asked), asked.text("text"))}


def undo(session: Session, asked: Asked) -> dict[str, Any]:
    """Take back the last change: {revision}."""
    return {"revision": session.draft.undo(_revision(asked))}


def redo(session: Session, asked: Asked) -> dict[str, Any]:
    """Make it anew: {revision}."""
    return {"revision": session.draft.redo(_revision(asked))}


def save(session: Session, asked: Asked) -> dict[str, Any]:
    """Write it into the opened folder: {revision, name, overwrite}."""
    name = asked.text("name", default=None)
    path = session.draft.save(_revision(asked), name, asked.flag("overwrite"))
    return {"name": path.name}


def start(session: Session, asked: Asked) -> dict[str, Any]:
    """Start a run of this revision: {revision, until, export, overwrite}.

    What it makes is shown; with `export` all that the command line writes is put beside the recipe.
    """
    draft, revision = session.draft, _revision(asked)
    resolved = draft.at(revision)
    refuse_contradictions(resolved)
    until = asked.text("until", *UNTILS, default="all")
    folder = _export_folder(session) if asked.flag("export") else None
    if folder is not None:
        refuse_existing(folder, overwrite=asked.flag("overwrite"))

    def show(job: Job) -> None:
        session.take_results(job.folder, revision)

    with session.lock:  # else its results could be shown beside another file's stack
        session.refuse_if_opening()
        job = session.jobs.start(
            to_toml(resolved),
            next(one for one in UNTILS if one == until),
            output=folder,
            overwrite=asked.flag("overwrite"),
            take_up=show,
        )
    return job.told()


def cancel(session: Session, asked: Asked) -> dict[str, Any]:
    """End the run, if one is at work."""
    session.jobs.cancel()
    return run(session, asked)


def downloadable(session: Session, name: str) -> Path:
    """A file of the last export by its name there.

    Raises
    ------
    ChemoscapeError
        There is none, or it lies elsewhere.
    """
    folder = _export_folder(session)
    wrong = ChemoscapeError("there is no such file", name[:200], "export the results first")
    try:
        file = (folder / name).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise wrong from error
    if not file.is_file() or not file.is_relative_to(folder):
        raise wrong
    return file


def changed(recipe: Recipe, written: dict[str, Any]) -> list[dict[str, str]]:
    """Keys whose value is not the default, as TOML: key, value, default, and what it means.

    Parameters
    ----------
    recipe : Recipe
        As it is.
    written : dict
        The same as its text has it: paths as they were written.
    """
    rows = _differences("", recipe, Recipe(), written)
    return [row for row in rows if row["key"] != "version"]


def _differences(
    place: str, section: Section, usual: Section, written: Any
) -> list[dict[str, str]]:
    rows = []
    for attribute, field in type(section).model_fields.items():
        key = field.alias or attribute
        value = getattr(section, attribute)
        default = getattr(usual, attribute)
        given = written.get(key) if isinstance(written, dict) else None
        if value == default:
            continue
        if isinstance(value, Section) and not place:
            rows += _differences(f"{key}.", value, default, given)
        else:
            about = field.description or ""
            shown = "-" if given is None else _as_toml(given)
            usually = "-" if default is None else _as_toml(_dumped(usual, attribute))
            rows.append({"key": place + key, "value": shown, "default": usually, "about": about})
    return rows


def _dumped(section: Section, attribute: str) -> Any:
    """A value as JSON has it."""
    return section.model_dump(mode="json", include={attribute})[attribute]


def _as_toml(value: Any) -> str:
    return str(as_item(value).as_string())


def _export_folder(session: Session) -> Path:
    """Where `chemoscape run` puts the results of this recipe when started beside it."""
    path = session.draft.path
    return path.parent.resolve() / f"{path.stem}-results"


def _revision(asked: Asked) -> int:
    return asked.whole("revision", 0, LARGEST)


ANSWERS = {"recipe": recipe, "recipe/exported": exported, "run": run}
ACTIONS = {
    "recipe/edit": edit,
    "recipe/text": replace,
    "recipe/undo": undo,
    "recipe/redo": redo,
    "recipe/save": save,
    "run/start": start,
    "run/cancel": cancel,
}
