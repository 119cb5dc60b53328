"""Which stacks a batch is to work on: names, patterns and folders in, one entry per measurement."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chemoscape.errors import ChemoscapeError, RecipeError
from chemoscape.formats import find_format, open_source, open_spectra

#: What makes a name a pattern.
WILD = re.compile(r"[*?\[]")
#: Longest name of a results folder; file systems take 255 bytes.
LONGEST_NAME = 80
#: Names that Windows keeps for devices, and those of the files beside the results folders.
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|summary)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Measurement:
    """One stack of a batch, before its images are read.

    Parameters
    ----------
    path : Path
        What is opened; absolute.
    files : tuple of Path
        All files that hold it; empty where it could not be opened.
    error : str
        Why it cannot be opened.
    """

    path: Path
    files: tuple[Path, ...] = ()
    error: str = ""


@dataclass
class _Search:
    """What was found so far."""

    options: Mapping[str, Any]
    stacks: dict[Path, Measurement] = field(default_factory=dict)  # by the file that names them all
    members: set[Path] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Named:
    """A path, and how exactly it was asked for."""

    path: Path
    #: "path": named itself; "ending": by a pattern with an ending, as in *.hdr; "any": otherwise.
    by: str


def is_several(inputs: Sequence[str | Path], options: Mapping[str, Any] | None = None) -> bool:
    """Whether inputs ask for a batch: more than one, a pattern, or a folder that is no stack.

    `options` are keywords of `open_stack`.

    Examples
    --------
    >>> is_several(["wire.hdr"]), is_several(["day1/*.hdr"])
    (False, True)
    """
    if len(inputs) != 1:
        return len(inputs) > 1
    path = Path(inputs[0]).expanduser()
    return (path.is_dir() and not _is_stack(path, options or {})) or (
        not path.exists() and WILD.search(str(path)) is not None
    )


def find_stacks(
    inputs: Iterable[str | Path],
    options: Mapping[str, Any] | None = None,
    *,
    apart_from: Path | None = None,
) -> tuple[list[Measurement], list[str]]:
    """All stacks that names, patterns and folders mean, in natural order, each once.

    The formats decide by content. Files of one measurement (a header and its images) are one
    stack. Of a pattern without an ending (``day1/*``) and of a folder, what is no stack is left
    out; of a pattern with one (``*.hdr``) only spectra are, so that a damaged stack is noticed.

    Parameters
    ----------
    inputs : iterable of str or path
        Files, folders of stacks, patterns with ``*``, ``?``, ``[…]`` or ``**``.
    options : mapping, optional
        Keywords of `open_stack`.
    apart_from : Path, optional
        A folder in which patterns find nothing, such as that of the results.

    Returns
    -------
    stacks : list of Measurement
        Those that cannot be opened have an ``error``.
    left_out : list of str
        Sentences about files that match but are no stacks.

    Raises
    ------
    RecipeError
        Nothing was named, a pattern matches nothing, or no stack is among what it matches.
    """
    search = _Search(options or {})
    names = [one for text in inputs for one in _expanded(text, search.options, apart_from)]
    if not names:
        raise RecipeError("--input names no file", remedy="name one or more stacks after it")
    for name in sorted(dict.fromkeys(names), key=lambda one: _natural(str(one.path))):
        if name.path not in search.members:
            _judge(name, search)
    if not search.stacks:
        raise RecipeError(
            f"none of the {len(names)} files that --input names is a stack ({search.left_out[0]})",
            remedy="see what a file holds with chemoscape inspect",
        )
    return list(search.stacks.values()), search.left_out


def _expanded(
    text: str | Path, options: Mapping[str, Any], apart_from: Path | None
) -> list[_Named]:
    """Absolute paths that one input means."""
    path = Path(text).expanduser()
    if path.is_dir() and not _is_stack(path, options):
        found, by = [str(one) for one in path.iterdir() if not one.name.startswith(".")], "any"
    elif path.exists() or WILD.search(str(path)) is None:
        return [_Named(_resolved(path), "path")]
    else:
        found = glob.glob(str(path), recursive=True)
        by = "ending" if path.suffix and not WILD.search(path.suffix) else "any"
    resolved = [_resolved(Path(one)) for one in found]
    if apart_from is not None:
        inside = _resolved(apart_from)
        resolved = [one for one in resolved if not one.is_relative_to(inside)]
    if not resolved:
        raise RecipeError(
            "this folder is empty" if path.is_dir() else "no file matches this",
            f"--input {text}",
            "correct the path; chemoscape inspect says what a file holds",
        )
    return [_Named(one, by) for one in resolved]


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle: opening it will say so
        return path.absolute()


def _is_stack(folder: Path, options: Mapping[str, Any]) -> bool:
    """Whether a folder opens as one stack; one with many headers does not."""
    try:
        open_source(folder, **options)
    except ChemoscapeError:
        return False
    return True


def _judge(name: _Named, search: _Search) -> None:
    """Add a path to the stacks, to what is left out, or to a stack that is known already."""
    path = name.path
    try:
        known, _ = find_format(path)
    except ChemoscapeError as error:
        if name.by == "any" and getattr(error, "what", "").startswith("is no stack"):
            search.left_out.append(f"{path.name}: no stack")
        else:
            search.stacks[path] = Measurement(path, error=str(error))
        return
    if known.name == "results" and name.by != "path":
        search.left_out.append(f"{path.name}: results of a run")
        return
    try:
        source, _ = open_source(path, **search.options)
    except ChemoscapeError as error:
        if name.by != "path" and known.spectra is not None and _is_spectra(path):
            search.left_out.append(f"{path.name}: spectra")
        else:
            search.stacks[path] = Measurement(path, error=str(error))
        return
    files = tuple(_resolved(one) for one in source.files or (source.where,))
    search.members.update(files)
    where = _resolved(source.where)
    if where not in search.stacks or path == where:
        search.stacks[where] = Measurement(path, files)


def _is_spectra(path: Path) -> bool:
    """Whether it opens as line scan or point spectra."""
    try:
        open_spectra(path)
    except ChemoscapeError:
        return False
    return True


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sorts wire_9 before wire_10."""
    parts = re.split(r"(\d+)", text.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


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
