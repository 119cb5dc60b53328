"""A first look at a stack: ten lines that say whether it is worth a night of more like it.

Each line is one question that somebody at a beamline can still act on. A step that fails becomes
its line, and the verdict counts it; the others are said all the same. The optical density is that
of the automatic background; frames are moved by whole pixels, so that the noise stays as recorded.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.blocks import is_lazy, n_workers
from chemoscape.formats import open_stack
from chemoscape.look import instrument, sample
from chemoscape.look.notes import LABELS, Look, Notes
from chemoscape.preprocess.absorbance import optical_density, sample_mask
from chemoscape.standards.folder import open_library, shipped_libraries
from chemoscape.standards.library import Library

__all__ = ["LABELS", "Look", "look"]

#: Values looked at: what two cores get through in ten seconds. Of a larger stack a strip of rows
#: through the middle is taken, which reaches the empty field at either side.
MOST_VALUES = 100_000_000
FEWEST_ROWS = 64
#: A shipped library that covers less of the stack's energies is not that of its edge.
SMALLEST_COVER = 0.5


def look(path: str | Path, *, library: str | Path | Library | None = None, **reading: Any) -> Look:
    """Look at a stack for ten seconds: is it worth a night of more like it?

    Parameters
    ----------
    path : path
        The stack's file.
    library : str, path or Library, optional
        Standards to compare the mean spectrum with; default: the shipped library that covers most
        of the stack's energies, if one covers half of them.
    **reading
        How to read the file, as in `open_stack`.

    Returns
    -------
    Look
        Ten lines and a verdict. Of a stack of more than 100 million values only a strip of rows
        through the middle is seen; the first line says so.

    Raises
    ------
    ChemoscapeError
        The file or the library cannot be read, or the file holds no stack of images.
    """
    start = time.perf_counter()
    notes = Notes()
    with notes.listening() as of_file:
        stack = open_stack(path, **reading)
    standards = _library(library, stack["energy"].values)
    part, cut = _part(stack)
    energy = part["energy"].values
    notes.attempt("file", instrument.file, Path(path), stack, cut, of_file)
    edge = notes.attempt("energies", instrument.energies, stack, energy, standards)
    still = notes.attempt("drift", instrument.drift, part)
    zero = notes.attempt(
        "background", instrument.background, part if still is None else still, part
    )
    if zero is None:
        for label in ("noise", "saturation", "thickness", "damage", "spectrum"):
            notes.tell(label, "not judged, for want of a background")
    else:
        od, seen = zero
        where = sample_mask(od)
        flag = np.asarray(od["flag"].values)
        spectrum = sample.mean_spectrum(od, where, flag)
        notes.attempt("noise", instrument.noise, seen, od, where, spectrum)
        notes.attempt("saturation", sample.saturation, where, flag)
        depth = notes.attempt("spectrum", sample.spectrum, energy, spectrum, standards)
        notes.attempt("thickness", sample.thickness, energy, spectrum, where, edge, depth)
        later = None
        # frames that wander between the visits would look like damage: then halves must do
        if standards is not None and stack.attrs.get("n_repeated") and seen is part:
            later = notes.attempt("damage", _other_visits, path, reading)
        visits = (od, later)
        if later is not None:
            visits = xr.align(*(visits if reading.get("visit") != "last" else visits[::-1]))
        notes.attempt("damage", sample.damage, *visits, where, standards)
    notes.facts["seconds"] = round(time.perf_counter() - start, 2)
    return notes.looked()


def _part(stack: xr.DataArray) -> tuple[xr.DataArray, str]:
    """What is looked at, in memory, frames without any value left out, and words for a part."""
    n, ny, nx = stack.shape
    rows = max(min(ny, MOST_VALUES // (n * nx)), min(ny, FEWEST_ROWS))
    columns = max(min(nx, MOST_VALUES // (n * rows)), min(nx, FEWEST_ROWS))
    part, cut = stack, ""
    if rows < ny or columns < nx:
        top, left = (ny - rows) // 2, (nx - columns) // 2
        part = stack.isel(y=slice(top, top + rows), x=slice(left, left + columns))
        cut = f"only the middle {rows} × {columns} pixels were looked at"
    if is_lazy(part):
        part = part.compute(num_workers=n_workers())
    seen = np.array([bool(np.isfinite(frame).any()) for frame in part.values])
    if seen.any() and not seen.all():
        part = part.isel(energy=seen)
    return stacks.check(part), cut


def _other_visits(notes: Notes, path: str | Path, reading: dict[str, Any]) -> xr.Dataset:
    """Optical density of the same field with the other images of repeated energies."""
    other = "first" if reading.get("visit") == "last" else "last"
    again, _ = _part(open_stack(path, **{**reading, "visit": other}))
    return optical_density(again)


def _library(given: str | Path | Library | None, energy: np.ndarray) -> Library | None:
    """The library given, or the shipped one that covers most of the energies."""
    if isinstance(given, Library):
        return given
    if given is not None:
        return open_library(given)
    shipped = [open_library(name) for name in shipped_libraries()]
    covered = [float(one.covers(energy).mean()) for one in shipped]
    if not shipped or max(covered) < SMALLEST_COVER:
        return None
    return shipped[int(np.argmax(covered))]
