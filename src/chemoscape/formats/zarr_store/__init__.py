"""zarr, versions 2 and 3: a folder or a zip file with our own layout, xarray's, or any array of
three dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _labelled, _lists
from chemoscape.formats._labelled import Packing
from chemoscape.formats._record import Format
from chemoscape.formats._source import Choice, Source, Wanted, choose, some
from chemoscape.formats.zarr_store import _files, _store, _write
from chemoscape.formats.zarr_store._chunks import Chunks, everything
from chemoscape.formats.zarr_store._library import library, opened
from chemoscape.formats.zarr_store._store import Array

#: Files that are watched for changes; of larger stores only the description.
_MOST_WATCHED = 5000

#: Numbers that an axis may have.
_MOST_NUMBERS = 4_000_000


def sniff(path: Path) -> bool:
    """Whether a path is a zarr store."""
    return _files.is_store(path)


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe an array of three dimensions in a store.

    Raises
    ------
    FileFormatError
        There is none, it is damaged, or packed in a way that is not read here.
    """
    library(path)
    arrays = _store.arrays_of(path)
    cube, choices = _chosen(path, arrays, wanted)
    beside = {
        one.path.rpartition("/")[2]: one
        for one in arrays
        if one.path.rpartition("/")[0] == cube.path.rpartition("/")[0] and len(one.shape) <= 1
    }
    labels = {role: _label(cube, beside, role) for role in "eyx"}
    energy, unit = (wanted.energy, "") if wanted.energy is not None else labels["e"]
    listed = None
    if energy is None:
        found = _lists.energies_beside(path, set(cube.shape))
        energy, listed = found.energy, found.file
    lengths = {role: None if axis is None else axis.size for role, (axis, _) in labels.items()}
    lengths["e"] = None if energy is None else energy.size
    axes, note = _labelled.roles_of(cube.dims), ""
    if not axes or wanted.axes is not None:
        axes, note = _labelled.axes_by_length(cube.shape, lengths, wanted.axes)
    n_energy, n_y, n_x = (cube.shape[axes.index(role)] for role in "eyx")
    if energy is None:
        _lists.refuse_misfits(found, n_energy, path)
    elif wanted.energy is None:
        energy = _labelled.energies(energy, unit, n_energy, path)
    y, said_of_y = _labelled.positions(*labels["y"], n_y, "y", path)
    x, said_of_x = _labelled.positions(*labels["x"], n_x, "x", path)
    missing, whole = cube.missing
    gap = (
        f"{missing} of {whole} chunks are not in the store and read as its fill value"
        if missing
        else ""
    )
    watched = cube.files[: 1 if len(cube.files) > _MOST_WATCHED else None]
    files = tuple(path / name for name in watched) if path.is_dir() else (path,)
    return Source(
        where=path,
        shape=(n_energy, n_y, n_x),
        read=partial(read, cube.packed, cube.path, cube.version, axes, Packing.of(cube.attrs)),
        energy=energy,
        y=y,
        x=x,
        quantity=_labelled.quantity_of(cube.attrs, cube.name),
        per_energy=_along(cube, beside, n_energy),
        attrs=_labelled.flat(cube.attrs),
        choices=choices,
        notes=_labelled.nonempty(note, said_of_y, said_of_x, gap if missing else ""),
        framewise=cube.chunks[axes.index("e")] == 1 < n_energy,
        rows_per_read=max(cube.chunks[axes.index("y")], 1),
        files=files if listed is None else (*files, listed),
    )


def read(
    chunks: Chunks,
    path: str,
    version: int,
    axes: str,
    packing: Packing,
    frames: slice,
    rows: slice,
) -> np.ndarray:
    """Part of the images."""
    n_x = chunks.shape[axes.index("x")]
    wanted = {"e": frames, "y": rows, "x": slice(0, n_x)}
    part = tuple(wanted[role] for role in axes)
    chunks.check(part)
    with opened(chunks.store, path, version) as array:
        values = np.asarray(array[part])
    return _labelled.as_numbers(packing.undone(_labelled.in_order(values, axes)))


def _chosen(
    path: Path, arrays: Sequence[Array], wanted: Wanted
) -> tuple[Array, tuple[Choice, ...]]:
    """The stack, and what it was chosen from when there are several."""
    cubes = [one for one in arrays if len(one.shape) == 3 and 0 not in one.shape]
    cubes = [one for one in cubes if _labelled.roles_of(one.dims)] or cubes
    if not cubes:
        shapes = [f"{one.name} {one.shape}" for one in arrays]
        raise FileFormatError(
            f"holds no array of energy × y × x ({', '.join(some(shapes)) or 'no array at all'})",
            str(path),
            "write an array of three dimensions",
        )
    if len(cubes) == 1:
        return cubes[0], ()
    names = [one.name for one in cubes]
    choice = choose("channel", names, wanted.channel, path, default=_labelled.preferred(names))
    return cubes[choice.index], (choice,)


def _label(cube: Array, beside: dict[str, Array], role: str) -> tuple[np.ndarray | None, str]:
    """Labels of a dimension with their unit: the array of the dimension's name."""
    axes = _labelled.roles_of(cube.dims)
    name = cube.dims[axes.index(role)] if axes else ""
    one = beside.get(name) or next(
        (one for key, one in beside.items() if not axes and _labelled.role_of(key) == role), None
    )
    if one is None or not 0 < int(np.prod(one.shape)) < _MOST_NUMBERS:
        return None, ""
    return _values(one).reshape(-1), str(one.attrs.get("units", ""))


def _along(cube: Array, beside: dict[str, Array], n_energy: int) -> dict[str, np.ndarray]:
    """What the store knows of every frame."""
    kept = cube.attrs.get(_write.TEXTS)
    texts = {
        str(name): np.array(list(map(str, values)))
        for name, values in (kept.items() if isinstance(kept, dict) else ())
        if isinstance(values, list) and len(values) == n_energy
    }
    numbers = {
        name: _values(one)
        for name, one in beside.items()
        if one.shape == (n_energy,)
        and one.dims in ((), ("energy",))
        and not _labelled.role_of(name)
    }
    return {**numbers, **texts}


def _values(array: Array) -> np.ndarray:
    """All numbers of a small array."""
    array.packed.check(everything(array.shape))
    with opened(array.store, array.path, array.version) as there:
        return np.asarray(there[...])


FORMAT = Format(
    name="zarr",
    title="zarr",
    extensions=(".zarr", ".zip"),
    sniff=sniff,
    open=open_,
    write=_write.write,
    write_extensions=(".zarr",),
    takes_axes=True,
    tried="stores of zarr 2 and 3 and xarray",
    about="versions 2 and 3, folders and zip files, also as xarray writes them",
)
