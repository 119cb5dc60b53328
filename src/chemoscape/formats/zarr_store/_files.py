"""The files of a zarr store, a folder or a zip archive: their names, sizes and descriptions.

Links out of the folder, files without an end (pipes, devices) and archives that would unpack to far
more than they have are refused before anything opens them.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats.numpy_array import _npy

#: What a chunk may grow to when it is unpacked; Zstandard shrinks a constant to a 10,000th.
DEEPEST_COMPRESSION = 10_000

#: Files that a store may have, and bytes of one description.
_MOST_FILES = 1_000_000
_LONGEST_TEXT = 16_000_000

ARRAY_FILES = ("zarr.json", ".zarray")
_ROOT_FILES = (*ARRAY_FILES, ".zgroup")


def is_store(path: Path) -> bool:
    """Whether a path is a folder, or a zip file, with a zarr description at its root."""
    try:
        if path.is_dir():
            return any((path / name).is_file() for name in _ROOT_FILES)
        if not _npy.is_archive(path):
            return False
        with _npy.archive(path) as archive:
            names = archive.namelist()
    except (OSError, FileFormatError):
        return False
    return any(name.count("/") <= 1 and name.rsplit("/", 1)[-1] in _ROOT_FILES for name in names)


def sizes_of(path: Path) -> dict[str, int]:
    """Bytes of every file in a store, by its name there."""
    if path.is_dir():
        return dict(_walk(path))
    with _npy.archive(path) as archive:
        _npy.refuse_strange_names(archive, path)
        members = archive.infolist()
    if len(members) > _MOST_FILES:
        raise FileFormatError(f"holds more than {_MOST_FILES} files", str(path), "give the stack's")
    for one in members:
        if one.file_size > DEEPEST_COMPRESSION * max(one.compress_size, 100):
            raise FileFormatError(
                f"{one.filename} claims {one.file_size} bytes, more than it can hold",
                str(path),
                "the archive is damaged: copy it again",
            )
    return {one.filename: one.file_size for one in members if not one.is_dir()}


def _walk(root: Path) -> Iterator[tuple[str, int]]:
    """Names and sizes of files below a folder; links to folders are not followed."""
    waiting = [(root, "")]
    seen = 0
    while waiting:
        here, before = waiting.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                seen += 1
                if seen > _MOST_FILES:
                    raise FileFormatError(
                        f"holds more than {_MOST_FILES} files", str(root), "give the stack's folder"
                    )
                name = f"{before}{entry.name}"
                if entry.is_symlink():
                    _guard.existing(entry.path)
                    if not Path(entry.path).resolve().is_relative_to(root.resolve()):
                        raise FileFormatError(
                            f"{name} leads out of the folder", str(root), "copy the file into it"
                        )
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), f"{name}/"))
                    continue
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    yield name, status.st_size
                elif not stat.S_ISDIR(status.st_mode):
                    raise FileFormatError(
                        f"{name} is not a regular file", str(root), "remove it from the store"
                    )


def described(path: Path, key: str) -> dict[str, Any]:
    """A description as JSON."""
    if path.is_dir():
        content = _guard.read_bytes(path / key, limit=_LONGEST_TEXT)
    else:
        with _npy.archive(path) as archive, archive.open(key) as stream:
            content = stream.read(_LONGEST_TEXT)
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"{key} is no JSON ({error})"[:200], str(path), "the store is damaged: copy it again"
        ) from error
    if not isinstance(facts, dict):
        raise FileFormatError(f"{key} is no description", str(path), "copy the store again")
    return facts
