"""HDF5 libraries of spectra: ``/spectra/<number>/{x, y}`` with a label each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._source import Spectra, Wanted
from chemoscape.formats.spectra._records import Record, in_eV, together

LAYOUT = "HDF5 library"

#: More attributes than any spectrum has.
_MOST_FACTS = 100


def read(path: Path, wanted: Wanted) -> Spectra:
    """The spectra of a library that share one energy axis, or the one asked for.

    Raises
    ------
    FileFormatError
        The file is damaged, or holds no spectra in this layout.
    """
    chosen, choices, notes = together(records(path), path, wanted)
    energy, said = in_eV(chosen[0].energy, "")
    return Spectra(
        where=path,
        energy=energy,
        values=np.stack([record.values for record in chosen]),
        names=tuple(record.name for record in chosen),
        attrs={"layout": LAYOUT},
        choices=choices,
        notes=(*notes, *said),
    )


def records(path: Path) -> list[Record]:
    """Every spectrum of a library, each over its own energies.

    Raises
    ------
    FileFormatError
        The file is damaged, or holds no spectra in this layout.
    """
    with _hdf5.opened(path) as file:
        folder = _hdf5.child(file, "spectra")
        groups = (
            [folder[name] for name in _hdf5.groups(folder)]
            if isinstance(folder, h5py.Group)
            else []
        )
        found = [record for group in groups if (record := _record(group, str(path)))]
    if not found:
        raise FileFormatError(
            "is an HDF5 file without spectra in a layout known here (/spectra/…/x and y)",
            str(path),
            "open a stack of images with cs.open_stack",
        )
    return found


def _record(group: h5py.Group, where: str) -> Record | None:
    """One spectrum, if that is what a group holds."""
    x, y = _hdf5.numbers(group, "x"), _hdf5.numbers(group, "y")
    if x is None or y is None:
        return None
    if x.ndim != 1 or x.shape != y.shape or not np.isfinite(x).all():
        raise FileFormatError(
            f"{group.name} has energies of shape {x.shape} and values of shape {y.shape}, or an "
            "energy that is no number",
            where,
            "the file is damaged: copy it again",
        )
    label = _hdf5.attribute_text(group, "label") or str(group.name).rsplit("/", 1)[-1]
    return Record(label, x, y, _facts(group))


def _facts(group: h5py.Group) -> dict[str, str]:
    """Attributes of a spectrum as texts."""
    facts = {}
    for name in list(group.attrs)[:_MOST_FACTS]:
        value = _hdf5.attribute(group, name)
        if text := _hdf5.plain_text(value) or _number(value):
            facts[str(name).lower()] = text
    return facts


def _number(value: Any) -> str:
    """Text of a number, "" of anything else."""
    return f"{value:.9g}" if isinstance(value, np.number) and np.isrealobj(value) else ""
