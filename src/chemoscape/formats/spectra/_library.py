"""HDF5 libraries of spectra: ``/spectra/<number>/{x, y}`` with a label each."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._source import Spectra, Wanted
from chemoscape.formats.spectra._records import Record, in_eV, together


def read(path: Path, wanted: Wanted) -> Spectra:
    """The spectra of a library.

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
        records = [record for group in groups if (record := _record(group, str(path)))]
    if not records:
        raise FileFormatError(
            "is an HDF5 file without spectra in a layout known here (/spectra/…/x and y)",
            str(path),
            "open a stack of images with cs.open_stack",
        )
    chosen, choices, notes = together(records, path, wanted)
    energy, said = in_eV(chosen[0].energy, "")
    return Spectra(
        where=path,
        energy=energy,
        values=np.stack([record.values for record in chosen]),
        names=tuple(record.name for record in chosen),
        attrs={"layout": "HDF5 library"},
        choices=choices,
        notes=(*notes, *said),
    )


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
    return Record(label, x, y)
