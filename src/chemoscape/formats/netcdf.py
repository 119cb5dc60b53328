"""HDF5 as xarray writes it (netCDF-4): an array whose dimensions are named energy, y and x.

Any HDF5 file with dimension scales of such names is read, in units that the scales say.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5, _labelled
from chemoscape.formats._labelled import Packing
from chemoscape.formats._record import Format
from chemoscape.formats._source import Choice, Source, Wanted, choose

#: Groups below the root, and datasets in all, that are looked at.
_DEEPEST = 3
_MOST_DATASETS = 2000


def sniff(path: Path) -> bool:
    """Whether a file is HDF5 with an array of energy × y × x."""
    return _hdf5.holds(path, lambda file: bool(_cubes(file)))


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe an array with labels.

    Raises
    ------
    FileFormatError
        The file is damaged.
    """
    with _hdf5.opened(path) as file:
        names = _cubes(file)
        if not names:
            raise FileFormatError(
                "has no array with dimensions energy, y and x",
                str(path),
                "name its dimensions so (xarray: array.rename)",
            )
        choice = choose("channel", names, wanted.channel, path, default=_labelled.preferred(names))
        return source_of(file, choice.name, path, (choice,) if len(names) > 1 else ())


def source_of(file: h5py.File, name: str, path: Path, choices: tuple[Choice, ...] = ()) -> Source:
    """Describe one array of an open file, with its labels and what lies along energy beside it."""
    cube = _hdf5.array(file, name)
    assert cube is not None  # noqa: S101 - it was found before
    dims = _dims(cube)
    axes = _labelled.roles_of(dims)
    n_energy, n_y, n_x = (cube.shape[axes.index(role)] for role in "eyx")
    scales = {role: _scale(cube, axes.index(role)) for role in "eyx"}
    energy, unit = scales["e"]
    y, said_of_y = _labelled.positions(*scales["y"], n_y, "y", path)
    x, said_of_x = _labelled.positions(*scales["x"], n_x, "x", path)
    attrs = {key: _hdf5.plain(value) for key, value in _hdf5.attributes(cube).items()}
    return Source(
        where=path,
        shape=(n_energy, n_y, n_x),
        read=partial(read, path, name, axes, Packing.of(_hdf5.attributes(cube))),
        energy=None if energy is None else _labelled.energies(energy, unit, n_energy, path),
        y=y,
        x=x,
        quantity=_labelled.quantity_of(attrs, name),
        per_energy=_along(cube, n_energy),
        attrs=_labelled.flat(attrs),
        choices=choices,
        notes=_labelled.nonempty(said_of_y, said_of_x),
        framewise=axes[0] == "e" and (cube.chunks is None or cube.chunks[0] == 1),
        rows_per_read=cube.chunks[axes.index("y")] if cube.chunks else 1,
        files=(path,),
    )


def read(
    path: Path, name: str, axes: str, packing: Packing, frames: slice, rows: slice
) -> np.ndarray:
    """Part of the images."""
    wanted = {"e": frames, "y": rows, "x": slice(None)}
    with _hdf5.opened(path) as file:
        cube = _hdf5.array(file, name)
        if cube is None or cube.ndim != len(axes):
            raise FileFormatError(f"{name} is gone", str(path), "open the file again")
        values = np.asarray(cube[tuple(wanted[role] for role in axes)])
    return _labelled.as_numbers(packing.undone(_labelled.in_order(values, axes)))


def _cubes(group: h5py.Group) -> list[str]:
    """Paths of arrays with dimensions energy, y and x, in any order."""
    found: list[str] = []
    seen = 0
    waiting = [("", 0)]
    while waiting and seen < _MOST_DATASETS:
        path, depth = waiting.pop(0)
        here = _hdf5.child(group, path) if path else group
        if not isinstance(here, h5py.Group):
            continue
        for name in here:
            seen += 1
            inside = f"{path}/{name}".lstrip("/")
            if not isinstance(here.get(name, getlink=True), h5py.HardLink):
                continue  # the target of a link is found where it lies, or is another file
            one = here[name]
            if isinstance(one, h5py.Group) and depth < _DEEPEST:
                waiting.append((inside, depth + 1))
            elif isinstance(one, h5py.Dataset) and is_cube(one):
                found.append(inside)
    return found


def is_cube(dataset: h5py.Dataset) -> bool:
    """Whether a dataset holds numbers over energy, y and x."""
    return (
        dataset.ndim == 3
        and dataset.dtype.kind in "fiub"
        and bool(_labelled.roles_of(_dims(dataset)))
    )


def _dims(dataset: h5py.Dataset) -> list[str]:
    """Names of the dimensions: of their scales, else their labels."""
    names = []
    for dim in dataset.dims:
        scale = dim[0].name if len(dim) else None
        names.append(str(scale or dim.label or ""))
    return names


def _scale(cube: h5py.Dataset, axis: int) -> tuple[np.ndarray | None, str]:
    """Labels of a dimension with their unit; None when netCDF keeps only its name."""
    dim = cube.dims[axis]
    if not len(dim) or not dim[0].name:
        return None, ""
    scale = dim[0]
    hidden = _hdf5.attribute_text(scale, "NAME").startswith("This is a netCDF dimension")
    values = None if hidden else _hdf5.numbers(cube.file, scale.name)
    return values, _hdf5.attribute_text(scale, "units")


def _along(cube: h5py.Dataset, n_energy: int) -> Mapping[str, np.ndarray]:
    """What the file knows of every frame."""
    found: dict[str, Any] = {}
    for name in _labelled.ALONG:
        other = _hdf5.array(cube.parent, name)
        if other is None or other.shape != (n_energy,):
            continue
        if other.dtype.kind in "fiu":
            found[name] = np.asarray(other[()])
        elif other.dtype.kind in "OS":
            found[name] = np.array(_hdf5.texts(other[()]))
    return found


FORMAT = Format(
    name="netcdf",
    title="xarray's HDF5 (netCDF-4)",
    extensions=(".nc", ".h5"),
    sniff=sniff,
    open=open_,
    tried="files of xarray",
    about="any HDF5 array whose dimensions are named energy, y and x",
)
