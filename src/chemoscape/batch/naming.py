"""Names for the results folders of a batch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

#: Longest name of a results folder; file systems take 255 bytes.
LONGEST_NAME = 80
#: Names that Windows keeps for devices, and those of the files beside the results folders.
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|summary)(\..*)?", re.IGNORECASE)


def folder_names(paths: Sequence[Path]) -> list[str]:
    """Names for results folders, one per stack: safe on every system, and no two alike.

    Stacks of one name are told apart by as many folders above them as it takes, or by the ending.

    Examples
    --------
    >>> folder_names([Path("/a/s.h5"), Path("/b/s.h5"), Path("/b/w 1.hdr")])
    ['a-s', 'b-s', 'w-1']
    >>> folder_names([Path("/a/s.h5"), Path("/a/s.npz")])
    ['s-h5', 's-npz']
    """
    names = [_safe(path.stem) for path in paths]
    for name in {name.casefold() for name in names}:
        alike = [k for k, one in enumerate(names) if one.casefold() == name]
        if len(alike) > 1:
            for k, better in zip(alike, _apart([paths[k] for k in alike]), strict=True):
                names[k] = better
    return names


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, with a number where it is taken already."""
    used = {one.casefold() for one in taken}
    number, free = 2, name
    while free.casefold() in used:
        free, number = f"{name}-{number}", number + 1
    return free


def _apart(paths: Sequence[Path]) -> list[str]:
    """The shortest tails of paths that differ."""
    for depth in range(2, max(len(path.parts) for path in paths)):
        tails = [_safe("-".join([*path.parts[-depth:-1], path.stem])) for path in paths]
        if len({tail.casefold() for tail in tails}) == len(paths):
            return tails
    return [_safe(path.name.replace(".", "-")) for path in paths]


def _safe(name: str) -> str:
    """A name without what a shell, a URL or a file system might stumble over."""
    plain = re.sub(r"[^\w.+-]+", "-", name).strip("-.")[-LONGEST_NAME:].strip("-.") or "stack"
    return f"{plain}-stack" if RESERVED.fullmatch(plain) else plain
