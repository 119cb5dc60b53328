"""NXstxm as we write it: what other programs look for, and a group that keeps the rest exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape import stack as stacks
from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._hdf5 import attribute_text
from chemoscape.formats._source import Source, some
from chemoscape.formats.nxstxm._images import Images
from chemoscape.results.tree import HEADERS_BYTES, reserve

_ENTRY, _DETECTOR, _OWN = "entry1", "counter0", "chemoscape"
_ALONG, _ATTRIBUTES = "along_energy", "attributes"
_QUANTITY = "chemoscape_quantity"

#: Bytes that a chunk should have, and a cache that holds a few of them.
_CHUNK_BYTES, _CACHE_BYTES = 4_000_000, 64_000_000

#: What the registry or `stack.build` says anew when the file is opened.
_SAID_ANEW = frozenset({"format", "source", "quantity", "units"})

_AXES = {"energy": "energy", "sample_y": "y", "sample_x": "x"}
_LONGEST_JSON = 4_000_000


def source(file: h5py.File, path: Path) -> Source | None:
    """The stack of a file that we wrote, None when we did not.

    Raises
    ------
    FileFormatError
        The file is damaged.
    """
    group = _hdf5.child(file, f"{_ENTRY}/{_DETECTOR}")
    if not isinstance(group, h5py.Group) or _QUANTITY not in group.attrs:
        return None
    quantity: Any = attribute_text(group, _QUANTITY)
    array = _hdf5.array(group, "data")
    axes = [_hdf5.numbers(group, name) for name in _AXES]
    if (
        quantity not in get_args(stacks.Quantity)
        or array is None
        or array.dtype != np.float32
        or array.shape != tuple(-1 if axis is None else axis.size for axis in axes)
        or array.ndim != 3
    ):
        raise FileFormatError(
            f"its array, axes or quantity ({quantity!r}) do not belong together",
            f"{path} ({_ENTRY}/{_DETECTOR})",
            "the file is damaged: copy it again",
        )
    shape: Any = array.shape
    own = _hdf5.child(file, f"{_ENTRY}/{_OWN}")
    along = _hdf5.child(file, f"{_ENTRY}/{_OWN}/{_ALONG}")
    return Source(
        where=path,
        shape=shape,
        read=Images(path, array.name, "eyx", shape, shape[0], shape[1]).read,
        energy=axes[0],
        y=axes[1],
        x=axes[2],
        quantity=quantity,
        per_energy=_along(along, shape[0]) if isinstance(along, h5py.Group) else {},
        attrs=_attributes(own) if isinstance(own, h5py.Group) else {},
        rows_per_read=array.chunks[1] if array.chunks else 1,
        files=(path,),
    )


def write(stack: xr.DataArray, path: Path, final: Path) -> str:
    """Write a Stack band by band; returns which coordinates and attributes could not be kept."""
    n_energy, n_y, n_x = stack.shape
    height = int(np.clip(_CHUNK_BYTES // (4 * n_energy * n_x), 1, n_y))
    layout: dict[str, Any] = {
        "shape": stack.shape,
        "dtype": np.float32,
        "chunks": (n_energy, height, n_x),
    }
    n_arrays = 1 + ("ring_current" in stack.coords)
    reserve(path, 4 * n_arrays * n_energy * n_x * -(-n_y // height) * height + HEADERS_BYTES)
    with h5py.File(path, "w", rdcc_nbytes=_CACHE_BYTES) as file:
        file.attrs.update(_text(NX_class="NXroot", default=_ENTRY, creator="chemoscape"))
        file.attrs.update(_text(file_name=final.name))
        entry = _group(file, _ENTRY, "NXentry", default=_DETECTOR)
        # arrays of one text: what the definition's older readers expect
        entry["definition"] = np.array([b"NXstxm"])
        entry["title"] = np.array([_bytes(final.stem)])
        if stack.attrs.get("started"):
            entry["start_time"] = np.array([_bytes(stack.attrs["started"])])
        detector = _group(
            entry, _DETECTOR, "NXdata", signal="data", **{_QUANTITY: str(stack.attrs["quantity"])}
        )
        data = detector.create_dataset("data", **layout, fletcher32=True)
        _write_axes(detector, stack)
        kind = "sample image stack" if n_energy > 1 else "sample image"
        detector["stxm_scan_type"] = np.array([_bytes(kind)])
        dwell = _numbers_along(stack, "dwell")
        if dwell is None:  # MANTiS opens no file without; NaN is unknown
            dwell = np.full(n_energy, _number(stack, "dwell_ms"))
        detector["count_time"] = dwell / 1e3
        detector["count_time"].attrs["units"] = np.bytes_(b"s")
        for rows, values in blocks.iterate(stack, rows_per_read=height):
            data[:, rows] = values
        _write_monitor(entry, stack, layout)
        _write_instrument(entry, stack, data)
        lost = _write_own(entry, stack)
    return f"NXstxm cannot hold {', '.join(some(lost))}" if lost else ""


def _write_axes(group: h5py.Group, stack: xr.DataArray) -> None:
    """Lists beside an array, and the attributes that say which dimension each belongs to."""
    group.attrs["axes"] = np.array([name.encode() for name in _AXES])
    for number, (name, coordinate) in enumerate(_AXES.items()):
        values = stack[coordinate].values.astype(np.float64)
        # checksums here too: one wrong energy would put the frames in another order
        axis = group.create_dataset(name, data=values, chunks=values.shape, fletcher32=True)
        axis.attrs["units"] = np.bytes_(b"eV" if coordinate == "energy" else b"um")
        group.attrs[f"{name}_indices"] = np.array([number], dtype=np.uint32)


def _write_monitor(entry: h5py.Group, stack: xr.DataArray, layout: dict[str, Any]) -> None:
    """The ring current in the shape of the images, as the definition asks for."""
    ring = _numbers_along(stack, "ring_current")
    if ring is None:
        return
    control = _group(entry, "control", "NXmonitor", signal="data")
    data = control.create_dataset("data", **layout, compression="gzip", compression_opts=1)
    data.attrs["units"] = np.bytes_(b"mA")
    for rows in blocks.bands(stack.shape[1], layout["chunks"][1]):
        band = (stack.shape[0], rows.stop - rows.start, stack.shape[2])
        data[:, rows] = np.broadcast_to(ring[:, None, None], band)
    detector = entry[_DETECTOR]
    for name in _AXES:
        control[name] = detector[name]
    for name in ("axes", *(f"{name}_indices" for name in _AXES)):
        control.attrs[name] = detector.attrs[name]


def _write_instrument(entry: h5py.Group, stack: xr.DataArray, data: h5py.Dataset) -> None:
    """Source, monochromator, detector and sample, as far as they are known."""
    instrument = _group(entry, "instrument", "NXinstrument")
    origin = _group(instrument, "source", "NXsource")
    origin["type"] = np.array([b"Synchrotron X-ray Source"])
    origin["probe"] = np.array([b"x-ray"])
    if stack.attrs.get("facility"):
        origin["name"] = np.array([_bytes(stack.attrs["facility"])])
    _group(instrument, "monochromator", "NXmonochromator")["energy"] = entry[_DETECTOR]["energy"]
    _group(instrument, _DETECTOR, "NXdetector")["data"] = data
    sample = _group(entry, "sample", "NXsample")
    angle = _number(stack, "angle_deg")
    if np.isfinite(angle):
        sample["rotation_angle"] = np.array([angle])
        sample["rotation_angle"].attrs["units"] = np.bytes_(b"deg")


def _write_own(entry: h5py.Group, stack: xr.DataArray) -> list[str]:
    """Everything else, so that it is read back bit for bit; returns what cannot be kept."""
    own = _group(entry, _OWN, "NXcollection")
    along = _group(own, _ALONG, "NXcollection")
    lost = []
    for name, coordinate in stack.coords.items():
        key, values = str(name), coordinate.values
        if key in stacks.DIMS:
            continue
        if coordinate.dims != ("energy",) or "/" in key or not key.strip("."):
            lost.append(f"the coordinate {key}")
        elif values.dtype.kind in "fiub":
            along[key] = values
        elif all(isinstance(one, str) for one in values.tolist()):
            along[key] = np.array([json.dumps(one) for one in values.tolist()], dtype="S")
        else:
            lost.append(f"the coordinate {key}")
    flat = {}
    for name, value in stack.attrs.items():
        plain = value.item() if isinstance(value, np.generic) else value
        if isinstance(plain, str | int | float) and isinstance(name, str):
            flat[name] = plain
        else:
            lost.append(f"the attribute {name}")
    content = json.dumps({name: value for name, value in flat.items() if name not in _SAID_ANEW})
    own.attrs.update(_text(texts="JSON"))
    own[_ATTRIBUTES] = np.bytes_(content.encode())
    return lost


def _along(group: h5py.Group, n_energy: int) -> dict[str, np.ndarray]:
    """Coordinates along energy."""
    found = {}
    for name in group:
        other = _hdf5.array(group, name)
        if other is None or other.shape != (n_energy,):
            continue
        if other.dtype.kind in "fiub":
            found[name] = np.asarray(other[()])
        elif other.dtype.kind == "S":
            found[name] = np.array([str(json.loads(one)) for one in other[()].tolist()])
    return found


def _attributes(own: h5py.Group) -> dict[str, str | int | float]:
    """Attributes of the stack."""
    found = _hdf5.child(own, _ATTRIBUTES)
    if not isinstance(found, h5py.Dataset) or found.shape or found.dtype.itemsize > _LONGEST_JSON:
        return {}
    content = json.loads(bytes(found[()]))
    return {
        name: value
        for name, value in content.items()
        if isinstance(value, str | int | float) and name not in _SAID_ANEW
    }


def _numbers_along(stack: xr.DataArray, name: str) -> np.ndarray | None:
    """A coordinate of numbers along energy, None when there is none or it knows nothing."""
    if name not in stack.coords or stack[name].dims != ("energy",):
        return None
    values = stack[name].values
    if values.dtype.kind not in "fiu" or not np.isfinite(values).any():
        return None
    return values.astype(np.float64)


def _number(stack: xr.DataArray, name: str) -> float:
    """An attribute as a number, NaN when it is none."""
    value = stack.attrs.get(name)
    return float(value) if isinstance(value, int | float | np.number) else np.nan


def _group(parent: h5py.Group, name: str, nx_class: str, **attrs: str) -> h5py.Group:
    """A new group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs.update(_text(NX_class=nx_class, **attrs))
    return group


def _text(**attrs: str) -> dict[str, np.bytes_]:
    """Attributes as plain bytes, which every reader of NeXus takes."""
    return {name: np.bytes_(_bytes(value)) for name, value in attrs.items()}


def _bytes(value: object) -> bytes:
    """Text as UTF-8; "?" for what file systems allow in names and UTF-8 does not."""
    return str(value).encode("utf-8", "replace")
