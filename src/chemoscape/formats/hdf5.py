"""Our own stack file: one HDF5 file that xarray, h5py and silx open.

The Stack lies in the variable ``stack`` with its axes; other coordinates along energy (ring
current, dwell, time) beside it. Data are in checksummed chunks of bands of rows, so that damage is
found and parts can be read.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape import stack as stacks
from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._record import Format
from chemoscape.formats._source import Source, Wanted
from chemoscape.results.tree import HEADERS_BYTES, reserve

VARIABLE = "stack"
_MARK = "chemoscape_stack"
_VERSION = 1

#: Bytes that a chunk should have; HDF5 is slow far below and wasteful far above.
_CHUNK_BYTES = 4_000_000


def sniff(path: Path) -> bool:
    """Whether a file is HDF5 and marked as one of our stacks."""
    return _hdf5.holds(path, lambda file: _MARK in file.attrs)


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe a stack file.

    Raises
    ------
    FileFormatError
        The file is damaged, or of a later version.
    """
    with _hdf5.opened(path) as file:
        variable = _variable(file, path)
        axes = {name: _axis(variable, name, path) for name in stacks.DIMS}
        along = {
            name: values
            for name in variable.parent
            if name not in (VARIABLE, *stacks.DIMS)
            and (values := _along(variable.parent, name, axes["energy"].shape)) is not None
        }
        attrs = {name: _hdf5.plain(value) for name, value in _hdf5.attributes(variable).items()}
        shape = variable.shape
        rows = variable.chunks[1] if variable.chunks else 1
    quantity: Any = attrs.pop("quantity", "")
    if quantity not in get_args(stacks.Quantity):
        raise FileFormatError(
            f"holds an unknown quantity {quantity!r}", str(path), "write it with cs.save_stack"
        )
    return Source(
        where=path,
        shape=shape,
        read=partial(read, path),
        energy=axes["energy"],
        y=axes["y"],
        x=axes["x"],
        quantity=quantity,
        per_energy=along,
        attrs={name: value for name, value in attrs.items() if not _is_plumbing(name)},
        rows_per_read=rows,
        files=(path,),
    )


def read(path: Path, frames: slice, rows: slice) -> np.ndarray:
    """Part of the images."""
    with _hdf5.opened(path) as file:
        return np.asarray(_variable(file, path)[frames, rows])


def write(stack: xr.DataArray, path: Path, final: Path) -> str:
    """Write a Stack band by band."""
    n_energy, n_y, n_x = stack.shape
    height = int(np.clip(_CHUNK_BYTES // (4 * n_energy * n_x), 1, n_y))
    reserve(path, 4 * n_energy * n_x * -(-n_y // height) * height + HEADERS_BYTES)
    # v110: the file's own tables have checksums then. So have the axes, since one wrong energy
    # would put the frames in another order.
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.attrs.update({_MARK: _VERSION, "Conventions": "chemoscape"})
        for name, axis in stack.coords.items():
            guarded = {"chunks": axis.shape, "fletcher32": True} if axis.dtype.kind in "if" else {}
            values = (
                axis.values if axis.dtype.kind in "ifu" else axis.values.astype(str).astype("O")
            )
            file.create_dataset(str(name), data=values, **guarded).attrs.update(axis.attrs)
        variable = file.create_dataset(
            VARIABLE, stack.shape, np.float32, chunks=(n_energy, height, n_x), fletcher32=True
        )
        variable.attrs.update(stack.attrs)
        for number, name in enumerate(stacks.DIMS):
            file[name].make_scale(name)
            variable.dims[number].attach_scale(file[name])
        others = [str(name) for name in stack.coords if name not in stacks.DIMS]
        for name in others:
            file[name].dims[0].attach_scale(file["energy"])
        if others:
            variable.attrs["coordinates"] = " ".join(others)
        for rows, values in blocks.iterate(stack, rows_per_read=height):
            variable[:, rows] = values
    return ""


def _variable(file: h5py.File, path: Path) -> h5py.Dataset:
    """The stack's dataset."""
    version = _hdf5.attribute(file, _MARK)
    if version != _VERSION:
        raise FileFormatError(
            f"is a stack file of version {version}, this program reads {_VERSION}",
            str(path),
            "update chemoscape",
        )
    variable = _hdf5.array(file, VARIABLE)
    if variable is None or variable.ndim != 3 or variable.dtype.kind != "f":
        raise FileFormatError(
            f"has no array {VARIABLE!r} of three axes", str(path), "copy it again"
        )
    return variable


def _axis(variable: h5py.Dataset, name: str, path: Path) -> np.ndarray:
    """One axis of the stack."""
    axis = _hdf5.numbers(variable.parent, name)
    if axis is None or axis.shape != (variable.shape[stacks.DIMS.index(name)],):
        raise FileFormatError(
            f"its {name} axis does not fit its images", str(path), "copy the file again"
        )
    return axis


def _along(group: h5py.Group, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """One number or text per energy, if that is what an object of the file holds."""
    other = _hdf5.array(group, name)
    if other is None or other.shape != shape:
        return None
    if other.dtype.kind in "fiu":
        return np.asarray(other[()])
    return np.array(_hdf5.texts(other[()])) if other.dtype.kind in "OS" else None


def _is_plumbing(name: str) -> bool:
    """Whether an attribute belongs to HDF5 and netCDF, not to the measurement."""
    return name.startswith("_") or name in ("DIMENSION_LIST", "units", "coordinates", "CLASS")


FORMAT = Format(
    name="hdf5",
    title="chemoscape stack",
    extensions=(".h5",),
    sniff=sniff,
    open=open_,
    write=write,
    write_extensions=(".h5", ".hdf5", ".nc"),
    tried="its own files",
    about="our own: one HDF5 file with checksums, read in bands",
)
