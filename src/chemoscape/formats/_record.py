"""What a format module tells the registry about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from chemoscape.formats._source import Source, Spectra, Wanted


@dataclass(frozen=True)
class Format:
    """One file format.

    Parameters
    ----------
    name : str
        Short name, also the stack's ``attrs["format"]``.
    title : str
        Name for people.
    extensions : tuple of str
        Usual endings; for tables and messages, never for opening.
    sniff : callable
        Whether the existing path (a file or a folder) holds this format, judged by its content.
        Never raises.
    open : callable
        Path and wishes to a `Source`; reads no image.
    spectra : callable, optional
        Path and wishes to `Spectra`, for line scans and point spectra of the same family.
    write : callable, optional
        Stack, path to write to (a new name: the registry moves it into place) and the name that it
        will have. Takes lazy stacks and reads them in bands; returns what was lost, such as a
        rounding, or "".
    write_extensions : tuple of str
        Endings that make `save_stack` choose this format.
    takes_axes : bool
        Whether `Wanted.axes` may say the order of the dimensions.
    about : str
        A line for the table of formats: facilities, dialects, limits.
    tried : str
        On what files it was tried: real ones, or some built from the published layout.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    sniff: Callable[[Path], bool]
    open: Callable[[Path, Wanted], Source]
    spectra: Callable[[Path, Wanted], Spectra] | None = None
    write: Callable[[xr.DataArray, Path, Path], str] | None = None
    write_extensions: tuple[str, ...] = ()
    takes_axes: bool = False
    about: str = ""
    tried: str = ""
