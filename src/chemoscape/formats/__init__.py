"""Stack formats: one module each, found by content and never by name.

`open_stack` asks every format whether it knows the file; the first that does reads it. A new format
is a module with a `FORMAT` record, named in `_MODULES`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats._record import Format

__all__ = ["Format", "describe", "formats", "open_stack", "save_stack"]

_MODULES = ("sdf", "hdf5")


def formats() -> tuple[Format, ...]:
    """Records of all known formats, in the order in which they are tried."""
    return tuple(import_module(f"{__name__}.{name}").FORMAT for name in _MODULES)


def open_stack(path: str | Path, **options: Any) -> xr.DataArray:
    """Open a stack of images, whatever its format.

    Parameters
    ----------
    path : str or Path
        A file of the stack, or the folder that holds it.
    **options
        What the format offers; for SDF (``.hdr``, ``.xim``) ``channel`` and ``region``.

    Returns
    -------
    DataArray (energy, y, x)
        The Stack, as described in `chemoscape.stack`.

    Raises
    ------
    FileFormatError
        Nothing is there, no known format fits, an option is unknown, or the file is damaged.
    """
    known, found = _recognise(path, options)
    return known.read(found, **options)


def describe(path: str | Path, **options: Any) -> dict[str, Any]:
    """Facts about a stack, without reading its images.

    Parameters
    ----------
    path, **options
        As in `open_stack`.

    Returns
    -------
    dict
        Format, shape, axes, channels, what is missing and more: text, numbers, lists and None,
        ready for JSON.
    """
    known, found = _recognise(path, options)
    return {"format": known.name, "format_title": known.title, **known.describe(found, **options)}


def save_stack(stack: xr.DataArray, path: str | Path) -> None:
    """Write a stack; the ending of the file name chooses the format.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        A Stack.
    path : str or Path
        File to write, replaced when it exists.

    Raises
    ------
    StackError
        `stack` is not a Stack.
    FileFormatError
        No format writes files with this ending, or the file cannot be written.
    """
    stacks.check(stack)
    target = Path(path).expanduser()
    writers = {
        extension: known.write
        for known in formats()
        if known.write is not None
        for extension in known.extensions
    }
    write = writers.get(target.suffix.lower())
    if write is None:
        raise FileFormatError(
            f"no format writes files that end in {target.suffix or 'nothing'!r}",
            str(path),
            f"use one of {', '.join(sorted(writers))}",
        )
    write(stack, target)


def _recognise(path: str | Path, options: dict[str, Any]) -> tuple[Format, Path]:
    """The format of an existing path, which takes all of `options`."""
    found = _guard.existing(path)
    for known in formats():
        if known.sniff(found):
            for option in options:
                if option not in known.options:
                    offered = ", ".join(known.options) or "none"
                    raise FileFormatError(
                        f"{known.title} has no option {option!r}",
                        str(path),
                        f"leave it out (options: {offered})",
                    )
            return known, found
    titles = "; ".join(f"{known.title} ({', '.join(known.extensions)})" for known in formats())
    raise FileFormatError("is no stack in a format known here", str(path), f"known are {titles}")
