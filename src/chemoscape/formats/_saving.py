"""Write files so that an old one is replaced only by a complete new one."""

from __future__ import annotations

import os
import shutil
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from chemoscape.errors import ChemoscapeWarning, FileFormatError


def save(write: Callable[[Any, Path, Path], str], content: Any, target: Path) -> str:
    """Call ``write(content, part, target)`` for a hidden sibling of `target`, then move it there.

    Files that the writer makes beside the part (``.dat`` for an ``.ncb``) have the part's stem and
    move too.
    """
    if target.is_dir() and not _is_store(target):
        raise FileFormatError(
            "is a folder that holds something else", str(target), "give another name"
        )
    work = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        work.mkdir()
        loss = write(content, work / target.name, target)
        for made in work.iterdir():
            _move(made, target.with_name(made.name))
    except (OSError, RuntimeError) as error:  # HDF5 raises the latter
        reason = getattr(error, "strerror", None) or error
        raise FileFormatError(
            f"cannot be written ({reason})",
            str(target),
            "choose a folder that exists, may be written to and has room",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return loss


def _is_store(folder: Path) -> bool:
    """Whether a folder is a zarr store, or empty: what may be replaced by one."""
    marks = (".zgroup", ".zarray", "zarr.json")
    return any((folder / mark).is_file() for mark in marks) or not any(folder.iterdir())


def _move(made: Path, target: Path) -> None:
    """Rename, replacing a file, or a folder that is no longer there half-way."""
    if target.is_dir():
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
        target.rename(aside)
        try:
            made.rename(target)
        except OSError:
            aside.rename(target)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    else:
        os.replace(made, target)


def save_spectra(spectra: xr.DataArray, target: Path) -> None:
    """Write spectra as aXis2000 text or as a csv table."""
    from chemoscape.formats import spectra as texts

    writers = {".txt": texts.write_axis2000, ".csv": texts.write_csv}
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise FileFormatError(
            f"spectra are not written to files that end in {target.suffix or 'nothing'!r}",
            str(target),
            f"use one of {', '.join(writers)}",
        )
    if "spectrum" not in spectra.dims:
        name = "spectrum" if "spectrum" in spectra.coords else {"spectrum": ["spectrum"]}
        spectra = spectra.expand_dims(name)
    loss = save(lambda content, part, final: writer(content, part), spectra, target)
    if loss:
        warnings.warn(f"{target}: {loss}", ChemoscapeWarning, stacklevel=3)
