"""What a format module tells the registry about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr


@dataclass(frozen=True)
class Format:
    """One stack format.

    Parameters
    ----------
    name : str
        Short name, also the stack's ``attrs["format"]``.
    title : str
        Name for people.
    extensions : tuple of str
        Usual endings; for tables and for `save_stack`, never for opening.
    sniff : callable
        Whether the existing path (a file or a folder) holds this format, judged by its content.
    read : callable
        Path and options to Stack.
    describe : callable
        Path and options to flat facts, without reading the images.
    options : tuple of str
        Keywords that `read` and `describe` take.
    write : callable, optional
        Stack and path to file.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    sniff: Callable[[Path], bool]
    read: Callable[..., xr.DataArray]
    describe: Callable[..., dict[str, Any]]
    options: tuple[str, ...] = ()
    write: Callable[[xr.DataArray, Path], None] | None = None
