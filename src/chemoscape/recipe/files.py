"""The files that a recipe names beside its input: standards, I0, dark, shifts, …"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from chemoscape.recipe.models import Recipe
from chemoscape.recipe.sections.common import Section

#: May be a path, or the name of a library that is shipped.
LIBRARY = "standards.library"
#: Every key that may hold a path, or a list of paths or patterns.
PATHS = (
    *("input.path", "input.further", "input.energies", "series.stacks", "drift.shifts"),
    *("absorbance.i0", "absorbance.dark", LIBRARY, "few_energies.stxm"),
    *("stress.material.lattice", "particles.picture.path", "electrochemistry.curve"),
)


def is_placed(library: str) -> bool:
    """Whether a library is given as a path, not as a name."""
    return any(mark in library for mark in "/\\")


def paths_of(recipe: Recipe) -> dict[str, list[str]]:
    """The paths that a recipe holds, its input and patterns among them, by key."""
    found: dict[str, list[str]] = {}

    def note(key: str, text: str) -> str:
        if key != LIBRARY or is_placed(text):
            found.setdefault(key, []).append(text)
        return text

    with_paths(recipe, note)
    return found


def with_paths(recipe: Recipe, change: Callable[[str, str], str]) -> Recipe:
    """The recipe with every path replaced by ``change(key, path)``."""
    for key in PATHS:
        recipe = _with_changed(recipe, key, key.split("."), change)
    return recipe


def _with_changed(
    section: Any, key: str, attributes: list[str], change: Callable[[str, str], str]
) -> Any:
    name, *deeper = attributes
    value = getattr(section, name)
    if isinstance(value, Section) and deeper:
        new: Any = _with_changed(value, key, deeper, change)
    elif isinstance(value, list):
        new = [change(key, one) if one else one for one in value]
    elif isinstance(value, str) and value and (key, value) != ("absorbance.i0", "auto"):
        new = change(key, value)
    else:  # a number, a region, no such table
        return section
    return section.model_copy(update={name: new})


def named_files(recipe: Recipe) -> list[Path]:
    """All files that a recipe names, those of a library's folder included, but for its input."""
    table = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    del table["input"]["path"]
    library = Path(recipe.standards.library)
    named = [Path(text) for text in _texts(table) if os.path.isfile(text)]
    if (library / "library.toml").is_file():
        named.append(library)
    return sorted(set(all_files(named)))


def states_of(paths: Iterable[Path]) -> list[str]:
    """Name, size and time of files, one text each: they change when the files do."""
    known = []
    for path in paths:
        status = path.stat()
        known.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return known


def all_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files, and those below folders."""
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from (one for one in path.rglob("*") if one.is_file())


def _texts(table: Any) -> Iterator[str]:
    """Every text in nested tables and lists."""
    if isinstance(table, str):
        yield table
    elif isinstance(table, dict | list):
        for one in table.values() if isinstance(table, dict) else table:
            yield from _texts(one)
