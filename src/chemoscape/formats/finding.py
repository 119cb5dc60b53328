"""Which stacks are meant: names, patterns and folders in, one entry per measurement."""

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


@dataclass(frozen=True)
class Measurement:
    """One stack, before its images are read.

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
    asked_by: str = "--input",
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
    asked_by : str
        What named them, for messages.

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
    names = [
        one for text in inputs for one in _expanded(text, search.options, apart_from, asked_by)
    ]
    if not names:
        raise RecipeError(f"{asked_by} names no file", remedy="name one or more stacks there")
    for name in sorted(dict.fromkeys(names), key=lambda one: natural(str(one.path))):
        if name.path not in search.members:
            _judge(name, search)
    if not search.stacks:
        raise RecipeError(
            f"none of the {len(names)} files that {asked_by} names is a stack "
            f"({search.left_out[0]})",
            remedy="see what a file holds with chemoscape inspect",
        )
    return list(search.stacks.values()), search.left_out


def _expanded(
    text: str | Path, options: Mapping[str, Any], apart_from: Path | None, asked_by: str
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
            f"{asked_by} {text}",
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


def natural(text: str) -> list[tuple[int, int, str]]:
    """Key that sorts wire_9 before wire_10."""
    parts = re.split(r"(\d+)", text.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
