"""The files that a recipe names beside its input: standards, I0, dark, shifts, …"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chemoscape.recipe.models import Recipe


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
