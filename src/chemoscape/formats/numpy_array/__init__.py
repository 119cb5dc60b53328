"""NumPy arrays: a stack in a ``.npy``, or a stack with its axes in a ``.npz``.

In an archive the stack is called ``stack``, ``data``, ``counts``, ``od``, … (or is the only array
of three dimensions). Beside it may lie ``energy`` (eV), ``y``, ``x`` (µm), ``pixel_um``,
``quantity`` and values along energy such as ``ring_current``. The first row is the lowest y.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _labelled, _lengths, _lists
from chemoscape.formats._record import Format
from chemoscape.formats._source import Choice, Source, Wanted, choose, some
from chemoscape.formats.numpy_array import _npy
from chemoscape.formats.numpy_array._npy import Array

_PIXEL = ("pixel_um", "pixel_size_um", "pixel", "pixel_size")

#: Single numbers and texts of an archive that become facts of the measurement.
_MOST_FACTS = 200
_LONGEST_TEXT = 4000


def sniff(path: Path) -> bool:
    """Whether a file is a NumPy array, or an archive with one."""
    try:
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(_npy.MAGIC)) == _npy.MAGIC:
                    return True
        if not _npy.is_archive(path):
            return False
        with _npy.archive(path) as archive:
            return any("/" not in name and name.endswith(".npy") for name in archive.namelist())
    except (OSError, FileFormatError):
        return False


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe an array.

    Raises
    ------
    FileFormatError
        It is damaged, holds objects or complex numbers, or has not three dimensions.
    """
    arrays = _npy.in_archive(path) if _npy.is_archive(path) else [_npy.in_file(path)]
    array, choice = _chosen(path, arrays, wanted)
    labels = _labels(arrays)
    facts = _facts(arrays)
    listed = None
    energy = wanted.energy if wanted.energy is not None else labels.get("e")
    if energy is None:
        beside = _lists.energies_beside(path, {1} if len(array.shape) == 2 else set(array.shape))
        energy, listed = beside.energy, beside.file
    cube = replace(array, shape=array.shape if len(array.shape) == 3 else (1, *array.shape))
    axes, note = _axes(array, cube, {**labels, "e": energy}, wanted)
    n_energy, n_y, n_x = (cube.shape[axes.index(role)] for role in "eyx")
    if energy is None:
        _lists.refuse_misfits(beside, n_energy, path)
    elif wanted.energy is None:
        energy = _labelled.energies(energy, "", n_energy, path)
    y, said_of_y = _axis(labels, "y", n_y, path)
    x, said_of_x = _axis(labels, "x", n_x, path)
    return Source(
        where=path,
        shape=(n_energy, n_y, n_x),
        read=partial(read, cube, axes),
        energy=energy,
        y=y,
        x=x,
        quantity=_labelled.quantity_of(facts, array.name),
        per_energy={
            one.name: values
            for one in arrays
            if one.name in _labelled.ALONG and one.shape == (n_energy,)
            for values in [_npy.whole(one)]
        },
        attrs=_labelled.flat(facts),
        choices=choice,
        notes=_labelled.nonempty(note, said_of_y, said_of_x),
        framewise=axes[-1 if array.fortran else 0] == "e",
        files=(path,) if listed is None else (path, listed),
    )


def read(array: Array, axes: str, frames: slice, rows: slice) -> np.ndarray:
    """Part of the images."""
    return _labelled.as_numbers(_npy.part(array, axes, frames, rows))


def _chosen(
    path: Path, arrays: Sequence[Array], wanted: Wanted
) -> tuple[Array, tuple[Choice, ...]]:
    """The stack, and what it was chosen from when there are several."""
    numeric = [one for one in arrays if np.dtype(one.dtype).kind in "fiub" and 0 not in one.shape]
    cubes = [one for one in numeric if len(one.shape) == 3] or [
        one for one in numeric if len(one.shape) == 2
    ]
    if not cubes:
        shapes = [f"{one.name or 'it'} {one.shape}" for one in arrays]
        raise FileFormatError(
            f"holds no array of energy × y × x ({', '.join(some(shapes)) or 'nothing'})",
            str(path),
            "save an array of three dimensions",
        )
    if len(cubes) == 1:
        return cubes[0], ()
    names = [one.name for one in cubes]
    choice = choose("channel", names, wanted.channel, path, default=_labelled.preferred(names))
    return cubes[choice.index], (choice,)


def _labels(arrays: Sequence[Array]) -> dict[str, np.ndarray]:
    """Labels of energy, y and x, and the pixel size, as far as the archive has them."""
    names = {**_labelled.ROLES, "pixel": _PIXEL}
    found = {}
    for role, possible in names.items():
        for one in arrays:
            small = len(one.shape) <= 1 and np.dtype(one.dtype).kind in "fiu"
            if role not in found and small and one.member and one.name.lower() in possible:
                found[role] = _npy.whole(one).reshape(-1)
    return found


def _facts(arrays: Sequence[Array]) -> dict[str, str | int | float]:
    """Single numbers and texts."""
    single = [
        one
        for one in arrays
        if one.member and not one.shape and np.dtype(one.dtype).itemsize <= _LONGEST_TEXT
    ]
    return {
        one.name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for one in single[:_MOST_FACTS]
        if one.name.lower() not in _PIXEL
        for value in [_npy.whole(one).item()]
    }


def _axes(
    array: Array, cube: Array, labels: Mapping[str, np.ndarray | None], wanted: Wanted
) -> tuple[str, str]:
    """Order of the dimensions, and what to say of it."""
    if len(array.shape) == 2:
        plane = (wanted.axes or "yx").lower().replace("e", "")
        return "e" + (plane if sorted(plane) == ["x", "y"] else "yx"), ""
    lengths = {role: None if axis is None else axis.size for role, axis in labels.items()}
    return _labelled.axes_by_length(cube.shape, lengths, wanted.axes)


def _axis(
    labels: Mapping[str, np.ndarray], role: str, n: int, path: Path
) -> tuple[np.ndarray | None, str]:
    """Pixel centres of an axis, from its labels or the pixel size."""
    if role in labels:
        return _labelled.positions(labels[role], "", n, role, path)
    pixel = labels.get("pixel", np.empty(0))
    return _lengths.centres(
        n, float(pixel["yx".index(role) % pixel.size])
    ) if pixel.size else None, ""


FORMAT = Format(
    name="numpy",
    title="NumPy array",
    extensions=(".npy", ".npz"),
    sniff=sniff,
    open=open_,
    takes_axes=True,
    tried="files of NumPy",
    about="one array, or an archive with its axes; the first row is the lowest y",
)
