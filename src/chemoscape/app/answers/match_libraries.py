"""Which standards there are to choose from, and which the recipe names."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from chemoscape.app.answers import match_words as words
from chemoscape.app.asking import Asked
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeError
from chemoscape.standards.folder import open_library, shipped_libraries

#: Folders of standards that are offered.
MOST_FOLDERS = 40
NONE_CHOSEN = (
    "No standards are chosen. Choose a library above: a shipped one that covers these energies, "
    "or a folder that chemoscape standards add has made in the opened folder."
)


def standards(session: Session, asked: Asked) -> dict[str, Any]:
    """Libraries to choose from, and the standards of the one that the recipe names."""
    recipe = session.recipe
    named = recipe.standards.library
    libraries, current = _libraries(session, named)
    told = {"libraries": libraries, "library": current}
    try:
        library = open_library(named)
    except ChemoscapeError as error:  # none is named yet, or its folder has gone
        note = str(error) if named else NONE_CHOSEN
        nothing = {"standards": [], "variable": "", "synthetic": False, "note": note}
        return told | {"matched": False, "range_eV": [None, None], "standards": nothing}
    select = recipe.standards.select
    status = words.status(library)
    chosen = set(library.names) if select in ("matched", []) else set(select)
    for one in status["standards"]:
        one["selected"] = one["name"] in chosen
    low, high = library.energy_range if library.overlapping else (None, None)
    return told | {
        "matched": select == "matched",
        "range_eV": [low, high],
        "standards": status,
    }


def _libraries(session: Session, named: str) -> tuple[list[dict[str, str]], str]:
    """Shipped libraries, and folders of standards in the opened folder, as a recipe names them; and
    which of them is named.
    """
    beside = session.draft.path.parent
    found = [{"value": name, "label": f"{name} (shipped)"} for name in shipped_libraries()]
    for depth in ("*/library.toml", "*/*/library.toml"):
        for file in sorted(session.folder.glob(depth)):
            inside = file.parent.relative_to(session.folder)
            if len(found) == MOST_FOLDERS or any(one.startswith(".") for one in inside.parts):
                continue
            found.append(_folder(file, os.path.relpath(file.parent, beside)))
    current = named
    if named not in {one["value"] for one in found}:
        same = (v["value"] for v in found if named and _leads_to(beside / v["value"], named))
        current = next(same, named)
        if current == named:
            found.append({"value": named, "label": Path(named).name or "none chosen"})
    return found, current


def _leads_to(path: Path, named: str) -> bool:
    return path.resolve() == Path(named)


def _folder(file: Path, relative: str) -> dict[str, str]:
    """A folder of standards as an entry of the list; "./" tells it from a shipped name."""
    value = relative if relative.startswith(".") else f"./{relative}"
    try:
        title = str(tomllib.loads(file.read_text(encoding="utf-8")).get("name", file.parent.name))
    except (OSError, ValueError):
        title = file.parent.name
    return {"value": value, "label": f"{title} ({value})"}
