"""What is open, and what else lies in the folder: answers, and the action that opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import colormaps

from chemoscape import __version__
from chemoscape.app.asking import Asked
from chemoscape.app.opening import listing
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeError
from chemoscape.report.outcomes import STRESS
from chemoscape.report.panels import CATEGORIES, DIVERGING, ERROR, SEQUENTIAL


def facts(session: Session, asked: Asked) -> dict[str, Any]:
    """State of the session, and what changes when something else is to be shown."""
    return {
        "version": __version__,
        "state": session.state,
        "error": session.error,
        "folder": session.folder.name or str(session.folder),
        "opened_stamp": session.opened_stamp,
        "stamp": session.stamp,
        "revision": session.draft.revision if session.opened_stamp else None,
        "as_run": bool(session.opened_stamp) and session.draft.says_as_at(session.results_revision),
        "path": session.opened.path.name if session.opened_stamp else None,
    }


def files(session: Session, asked: Asked) -> dict[str, Any]:
    """Files of the opened folder, or of one below it: {folder: "a/b"}."""
    folder = inside(session.folder, asked.text("folder", default="") or ".")
    if not folder.is_dir():
        raise ChemoscapeError("there is no such folder", folder.name[:200], "choose another")
    shown = folder.relative_to(session.folder.resolve())
    return {
        "folder": "" if shown == Path() else shown.as_posix(),
        "files": listing(folder, session.folder),
    }


def palettes(session: Session, asked: Asked) -> dict[str, Any]:
    """The report's colours: 256 of each scale, and those of categories."""
    scales = {"sequential": SEQUENTIAL, "error": ERROR, "diverging": DIVERGING, "grey": "gray"}
    scales["stress"] = STRESS
    return {
        "scales": {
            name: (colormaps[one](range(256))[:, :3] * 255).round().astype(int)
            for name, one in scales.items()
        },
        "categories": list(CATEGORIES),
    }


def open_file(session: Session, asked: Asked) -> dict[str, Any]:
    """Open a file of the folder: {path: "a/b.hdr"}, or the demo: {demo: true}."""
    if asked.flag("demo"):
        session.open_demo()
    else:
        session.open(inside(session.folder, asked.text("path")))
    return {"state": session.state}


def inside(folder: Path, relative: str) -> Path:
    """A path below a folder, links followed.

    Raises
    ------
    ChemoscapeError
        It leads out of it.
    """
    root = folder.resolve()
    try:
        path = (root / relative).resolve()
        path.exists()  # a name may be too long to ask for
    except (OSError, RuntimeError, ValueError) as error:
        raise ChemoscapeError("is no path", relative[:200], "choose another file") from error
    if not path.is_relative_to(root):
        raise ChemoscapeError(
            "lies outside the opened folder",
            relative[:200],
            "start the app in the folder that holds it",
        )
    return path


ANSWERS = {"facts": facts, "files": files, "palettes": palettes}
ACTIONS = {"open": open_file}
