"""Files: one module for each format, found by content and never by name.

`open_stack` asks every format whether it knows the file; the first that does describes it, and what
it described is read, sorted and put upright here, for all formats alike. A new format is a module
with a `FORMAT` record, named in `_registry`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeWarning, FileFormatError
from chemoscape.formats import _guard, _inspection, _opening, _saving
from chemoscape.formats._opening import fingerprint_of, open_source
from chemoscape.formats._record import Format
from chemoscape.formats._registry import find_format, formats
from chemoscape.formats._source import Visit, Wanted

__all__ = [
    "Format",
    "checksum",
    "describe",
    "described",
    "find_format",
    "fingerprint",
    "formats",
    "open_source",
    "open_spectra",
    "open_stack",
    "save_spectra",
    "save_stack",
    "watch",
]


def open_stack(
    path: str | Path,
    *,
    channel: str | int | None = None,
    region: str | int | None = None,
    angle: str | int | None = None,
    axes: str | None = None,
    energy: ArrayLike | str | Path | None = None,
    pixel_um: float | None = None,
    quantity: stacks.Quantity | None = None,
    visit: Visit = "first",
    lazy: bool | None = None,
) -> xr.DataArray:
    """Open a stack of images, whatever its format.

    Parameters
    ----------
    path : str or Path
        A file of the stack, or the folder that holds it.
    channel, region, angle : str or int, optional
        Which detector channel, scan region or sample angle of several, by name or by number from 0;
        `describe` lists them. Without a word the first is taken, and a warning says so.
    axes : str, optional
        Order of the dimensions, such as ``"yxe"``, where the file leaves it open.
    energy : array_like or path, optional
        Photon energies (eV) of the frames, or a text file with one per line, for files without
        them; used instead of the file's own when given.
    pixel_um : float, optional
        Pixel size in µm, for files without one; used instead of the file's own when given.
    quantity : {"counts", "transmission", "optical_density"}, optional
        What the numbers are, instead of what the file says.
    visit : {"first", "last"}
        Which image of an energy that was measured more than once; a warning lists the others, which
        are left out. Open the stack both ways to see what happened in between
        (`chemoscape.preprocess.damage`).
    lazy : bool, optional
        Read bands of rows when they are needed (Dask) instead of everything now. By default stacks
        that need more than a quarter of the memory are lazy.

    Returns
    -------
    DataArray (energy, y, x)
        The Stack, as described in `chemoscape.stack`. Frames that were never measured, as at the
        end of a scan in progress, are NaN, and a warning says so. The coordinate ``acquired``
        holds their places in the file, where these are not in the order of the energies and the
        file has no ``time``. The attribute ``n_repeated`` counts images left out because they
        repeat an energy, ``visit`` says which were kept.

    Raises
    ------
    FileFormatError
        Nothing is there, no known format fits, the file is damaged, or something must be chosen.
    """
    source, known = open_source(
        path,
        channel=channel,
        region=region,
        angle=angle,
        axes=axes,
        energy=energy,
        pixel_um=pixel_um,
        quantity=quantity,
        visit=visit,
    )
    for note in _opening.sayings(source):
        warnings.warn(f"{source.where}: {note}", ChemoscapeWarning, stacklevel=2)
    return _opening.stack_of(source, known, lazy=lazy)


def describe(path: str | Path, *, look: bool = True, **options: Any) -> dict[str, Any]:
    """Facts about a stack or a file of spectra, and what looks wrong.

    Parameters
    ----------
    path, **options
        As in `open_stack`.
    look : bool
        Read some of the images (all of a small stack), to count what is missing or saturated.

    Returns
    -------
    dict
        Format, shape, axes, channels, what is missing and more: text, numbers, lists and None,
        ready for JSON.
    """
    return _inspection.facts(path, look=look, **options)


def checksum(path: str | Path, **options: Any) -> str:
    """SHA-256 of the file that holds a stack.

    Of several files (a header with its images, a folder) it is that of the lines that ``sha256sum
    NAMES`` prints in their folder, by ascending names.

    Parameters
    ----------
    path, **options
        As in `open_stack`.
    """
    source, _ = open_source(path, **options)
    return _guard.checksum(source.files or (source.where,), source.where.parent)


def fingerprint(path: str | Path, **options: Any) -> list[str]:
    """Names, sizes and times of the files that hold a stack: they change when the data do, and are
    known without reading these.

    Parameters
    ----------
    path, **options
        As in `open_stack`.
    """
    source, _ = open_source(path, **options)
    return [" ".join(map(str, one)) for one in fingerprint_of(source)]


def described(facts: dict[str, Any]) -> str:
    """What `describe` returned, in a few lines for a person."""
    return "\n".join(_inspection.lines(facts))


def save_stack(stack: xr.DataArray, path: str | Path) -> str:
    """Write a stack, band by band if it is lazy; the ending of the file name chooses the format.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        A Stack.
    path : str or Path
        File to write, replaced by a complete new one when it exists.

    Returns
    -------
    str
        What the format could not keep, such as a rounding; "" when nothing was lost. Also warned
        of.

    Raises
    ------
    StackError
        `stack` is not a Stack.
    FileFormatError
        No format writes files with this ending, or the file cannot be written.
    """
    stacks.check_layout(stack)
    if stack.dtype != np.float32:
        stack = stack.astype(np.float32, keep_attrs=True)
    target = Path(path).expanduser()
    writers = {ending: one for one in formats() for ending in one.write_extensions}
    known = writers.get(target.suffix.lower())
    if known is None or known.write is None:
        raise FileFormatError(
            f"no format writes files that end in {target.suffix!r}"
            if target.suffix
            else "the name has no ending, which chooses the format",
            str(path),
            f"use one of {', '.join(sorted(writers))}",
        )
    loss = _saving.save(known.write, stack, target)
    if loss:
        warnings.warn(f"{target}: {loss}", ChemoscapeWarning, stacklevel=2)
    return loss


def open_spectra(
    path: str | Path, *, channel: str | int | None = None, region: str | int | None = None
) -> xr.DataArray:
    """Open spectra: columns of a text file, point spectra, line scans.

    Parameters
    ----------
    path : str or Path
        A file in any format known here.
    channel, region : str or int, optional
        Which of several, by name or by number from 0.

    Returns
    -------
    DataArray (spectrum, energy)
        Energies in eV, ascending; ``spectrum`` holds names, and of a line scan ``position`` (µm)
        lies along it. ``attrs["quantity"]`` says what the values are, when the file does.

    Raises
    ------
    FileFormatError
        Nothing is there, or the file holds no spectra.
    """
    return _opening.spectra(path, Wanted(channel=channel, region=region))


def save_spectra(spectra: xr.DataArray, path: str | Path) -> None:
    """Write spectra as aXis2000 text (``.txt``, one spectrum) or as a table (``.csv``).

    Parameters
    ----------
    spectra : DataArray (spectrum, energy), or (energy)
        As `open_spectra` returns them.
    path : str or Path
        File to write, replaced by a complete new one when it exists.

    Raises
    ------
    FileFormatError
        The ending is unknown, or a ``.txt`` was asked for several spectra.
    """
    _saving.save_spectra(spectra, Path(path).expanduser())


def watch(
    path: str | Path, *, every: float = 2.0, patience: float = 60.0, **options: Any
) -> Iterator[xr.DataArray]:
    """Open a scan in progress again whenever its files have changed, until it is complete.

    Parameters
    ----------
    path, **options
        As in `open_stack`.
    every : float
        Seconds between two looks at the files.
    patience : float
        Seconds to wait while the stack cannot be opened, because nothing was measured yet or a file
        is being written.

    Yields
    ------
    DataArray (energy, y, x)
        The Stack so far, NaN where nothing was measured yet; the complete one last. A scan that was
        aborted never gets complete: stop the loop.

    Raises
    ------
    FileFormatError
        The stack could not be opened for longer than `patience`.

    Examples
    --------
    ``for stack in watch("wire.hdr"): print(int(stack.notnull().all(("y", "x")).sum()))``
    """
    return _opening.watch(path, every, patience, options)
