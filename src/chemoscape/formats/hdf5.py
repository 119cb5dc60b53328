"""Our own stack file: one HDF5 file that xarray, h5py and silx open.

The Stack lies in the variable ``stack`` with its axes; other coordinates along energy (ring
current, dwell, time) beside it. Data are in checksummed chunks of bands of rows, so that damage is
found and parts can be read.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import FileFormatError
from chemoscape.formats._record import Format

VARIABLE = "stack"
_MARK = "chemoscape_stack"
_VERSION = 1
_MAGIC = b"\x89HDF\r\n\x1a\n"

#: What h5py raises on damaged files, in our experience of flipping bits.
_HDF5_ERRORS = (
    *(OSError, RuntimeError, ValueError, TypeError, AttributeError, LookupError),
    *(ArithmeticError, MemoryError, SystemError),
)

#: Bytes that a chunk should have; HDF5 is slow far below and wasteful far above.
_CHUNK_BYTES = 4_000_000

#: A small file must not claim a large array: this much is believed of any file, beyond it four
#: times its size.
_BELIEVED_BYTES = 200_000_000


def sniff(path: Path) -> bool:
    """Whether a file is HDF5 and marked as one of our stacks."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(8) != _MAGIC:
            return False
    try:
        with h5py.File(path, "r") as file:
            return _MARK in file.attrs
    except _HDF5_ERRORS:
        return False


def read(path: Path) -> xr.DataArray:
    """Read a stack file.

    Raises
    ------
    FileFormatError
        The file is damaged, or of a later version.
    """
    with _opened(path) as variable:
        values = np.asarray(variable[...], dtype=np.float32)
        axes = {name: _axis(variable, name, path) for name in stacks.DIMS}
        along = {
            name: np.asarray(other[...])
            for name, other in variable.parent.items()
            if name not in (VARIABLE, *stacks.DIMS) and _is_along(other, axes["energy"])
        }
        attrs = {str(name): _plain(value) for name, value in variable.attrs.items()}
    quantity: Any = attrs.pop("quantity", "")
    if quantity not in get_args(stacks.Quantity):
        raise FileFormatError(
            f"holds an unknown quantity {quantity!r}", str(path), "write it with cs.save_stack"
        )
    kept = {name: value for name, value in attrs.items() if not _is_plumbing(name)}
    return stacks.build(values, **axes, quantity=quantity, per_energy=along, attrs=kept)


def describe(path: Path) -> dict[str, Any]:
    """Facts about the stack, without reading its images."""
    with _opened(path) as variable:
        axes = {name: _axis(variable, name, path) for name in stacks.DIMS}
        attrs = {str(name): _plain(value) for name, value in variable.attrs.items()}
        others = sorted(set(variable.parent) - {VARIABLE, *stacks.DIMS})
    spans = {name: [float(axis.min()), float(axis.max())] for name, axis in axes.items()}
    return {
        **{name: value for name, value in attrs.items() if not _is_plumbing(name)},
        "shape": [axis.size for axis in axes.values()],
        "energy_range_eV": spans["energy"],
        "x_um": spans["x"],
        "y_um": spans["y"],
        "along_energy": others,
    }


def write(stack: xr.DataArray, path: Path) -> None:
    """Write a Stack; an existing file is replaced only by a complete new one."""
    dataset = stack.astype(np.float32).to_dataset(name=VARIABLE)
    dataset.attrs = {_MARK: _VERSION, "Conventions": "chemoscape"}
    n_energy, n_y, n_x = stack.shape
    rows = int(np.clip(_CHUNK_BYTES // (4 * n_energy * n_x), 1, n_y))
    guarded = {"fletcher32": True, "_FillValue": None}
    encoding = {VARIABLE: {"chunksizes": (n_energy, rows, n_x), **guarded}}
    # The axes too: one wrong energy would put the frames in another order.
    for name, axis in dataset.coords.items():
        if axis.ndim and axis.dtype.kind in "if":
            encoding[str(name)] = {"chunksizes": axis.shape, **guarded}
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        dataset.to_netcdf(part, engine="h5netcdf", encoding=encoding)
        os.replace(part, path)
    except OSError as error:
        raise FileFormatError(
            f"cannot be written ({error})", str(path), "choose a folder that may be written to"
        ) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.Dataset]:
    """The stack's dataset in an open file; whatever HDF5 finds wrong becomes one of our errors."""
    try:
        with h5py.File(path, "r") as file:
            version = file.attrs.get(_MARK)
            if version != _VERSION:
                raise FileFormatError(
                    f"is a stack file of version {version}, this program reads {_VERSION}",
                    str(path),
                    "update chemoscape",
                )
            variable = file[VARIABLE]
            believed = _BELIEVED_BYTES + 4 * path.stat().st_size
            if variable.ndim != 3 or variable.dtype.kind != "f" or variable.nbytes > believed:
                raise FileFormatError(
                    f"claims an array of shape {variable.shape}, more than its size can hold",
                    str(path),
                    "the file is damaged: copy it again",
                )
            yield variable
    except _HDF5_ERRORS as error:
        raise FileFormatError(
            f"is damaged ({error})", str(path), "copy it again from where it was made"
        ) from error


def _axis(variable: h5py.Dataset, name: str, path: Path) -> np.ndarray:
    """One axis of the stack."""
    axis = variable.parent[name]
    if axis.shape != (variable.shape[stacks.DIMS.index(name)],):
        raise FileFormatError(
            f"its {name} axis does not fit its images", str(path), "copy the file again"
        )
    return np.asarray(axis[...], dtype=np.float64)


def _is_along(other: h5py.HLObject, energy: np.ndarray) -> bool:
    """Whether an object of the file holds one number per energy."""
    return (
        isinstance(other, h5py.Dataset)
        and other.shape == energy.shape
        and other.dtype.kind in "fiu"
    )


def _is_plumbing(name: str) -> bool:
    """Whether an attribute belongs to HDF5 and netCDF, not to the measurement."""
    return name.startswith("_") or name in ("DIMENSION_LIST", "units", "coordinates", "CLASS")


def _plain(value: Any) -> str | int | float:
    """Attribute as text or number."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray | np.generic) and np.size(value) == 1:
        value = np.asarray(value).reshape(-1)[0].item()
    return value if isinstance(value, str | int | float) else str(value)


FORMAT = Format(
    name="hdf5",
    title="chemoscape stack",
    extensions=(".h5", ".hdf5", ".nc"),
    sniff=sniff,
    read=read,
    describe=describe,
    write=write,
)
