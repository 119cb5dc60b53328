"""What a detector of an NXstxm entry holds: a stack of images, a line scan, a point spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._hdf5 import text
from chemoscape.formats._source import Choice, Wanted, choose, some
from chemoscape.formats.nxstxm import _als, _axes
from chemoscape.formats.nxstxm._facts import nominal_energies
from chemoscape.formats.nxstxm._names import (
    default_detector,
    detectors,
    entries,
    list_name,
    positions,
    role_of,
    scan_type,
    signal,
)

#: Scans of the same family that are neither stacks nor spectra, by words of their type.
_REFUSED = {
    "osa": "a scan of the order-sorting aperture",
    "focus": "a focus scan",
    "detector": "an image of the detector",
    "motor": "a scan of one motor",
    "pattern": "a pattern generator scan",
}


@dataclass(frozen=True, eq=False)
class Layout:
    """One detector's array, and what its dimensions are.

    Parameters
    ----------
    detector : str
        Name of the group.
    array : h5py.Dataset
        Its data.
    order : str
        A letter for each dimension (see `_axes`).
    energy, y, x : ndarray or None
        Lists beside it, eV and µm, of whatever length; None when they are not there.
    version : float or None
        Of pystxmcontrol, when that wrote the file.
    unbinned : bool
        Whether the array holds samples at measured positions.
    notes : tuple of str
        What the user must know.
    """

    detector: str
    array: h5py.Dataset
    order: str
    energy: np.ndarray | None
    y: np.ndarray | None
    x: np.ndarray | None
    version: float | None
    unbinned: bool
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``"stack"``, ``"line"`` or ``"point"``."""
        said = scan_type(self.array.parent).lower()
        if "l" in self.order or "line" in said:
            return "line"
        return "stack" if "x" in self.order and "point" not in said else "point"

    def size(self, role: str) -> int:
        """Length of one dimension, 1 where the array has none."""
        return int(self.array.shape[self.order.index(role)]) if role in self.order else 1


def chosen(file: h5py.File, wanted: Wanted, path: Path) -> tuple[h5py.Group, Choice, Choice]:
    """The entry and the detector that the user wants, or the defaults."""
    names = entries(file)
    if not names:
        raise FileFormatError(
            f"has no images in its entries ({', '.join(some(list(file))) or 'there are none'})",
            str(path),
            "frames of a camera must be reconstructed first; otherwise copy the file again",
        )
    region = choose("region", names, wanted.region, path)
    entry = file[region.name]
    channels = detectors(entry)
    default = default_detector(entry, channels)
    return entry, region, choose("channel", channels, wanted.channel, path, default=default)


def find(entry: h5py.Group, detector: str, axes: str | None) -> Layout:
    """Find out what a detector holds; `axes` is the order that the user gave.

    Raises
    ------
    FileFormatError
        It is another kind of scan, no array of numbers, or the order of its axes cannot be told.
    """
    group = entry[detector]
    where = f"{entry.file.filename} ({entry.name.strip('/')}/{detector})"
    said = scan_type(group)
    for word, kind in _REFUSED.items():
        if word in said.lower().replace("_", " "):
            raise FileFormatError(
                f"is {kind} ({said!r})", where, "give a file or a region with a stack of images"
            )
    array = _hdf5.array(group, signal(group))
    if array is None or array.dtype.kind not in "fiub":
        raise FileFormatError(
            "holds complex numbers, as ptychography gives, or none",
            where,
            "write the modulus or the transmission as an array of real numbers",
        )
    kept = _axes.without_ones(array.shape)
    shape = tuple(array.shape[axis] for axis in kept)
    if not 1 <= len(shape) <= 3:
        raise FileFormatError(
            f"holds an array of {' × '.join(map(str, array.shape)) or 'one number'}: frames of a "
            "camera, or no scan of images",
            where,
            "give a file of images; frames of ptychography must be reconstructed first",
        )
    names = {role: list_name(group, role) for role in "eyx"}
    energy = nominal_energies(entry, detector, names["e"])
    y, x = (positions(group, names[role]) for role in "yx")
    version = _als.version(entry)
    if _als.is_unbinned(entry, detector):
        y = positions(entry, "requested_values/sample_y")
        return Layout(detector, array, "eyx", energy, y, None, version, unbinned=True)
    lengths = {
        role: 0 if values is None else values.size
        for role, values in (("e", energy), ("y", y), ("x", x))
    }
    if len(shape) == 2 and "image" in said.lower():
        lengths["e"] = 1
    told = _told(group, array, names, len(shape))
    order, note = _axes.decide(
        shape,
        lengths,
        told=told,
        wanted=axes,
        certain=_certain(entry, version),
        line="line" in said.lower() or "point" in said.lower(),
        where=where,
    )
    asked = "" if axes is None else "".join(role for role in axes.lower() if role in order)
    if asked not in ("", order) and "x" in order:
        note = f"axes = {axes!r} is not used, since the file itself says {order!r}"
    full = ["."] * array.ndim
    for axis, role in zip(kept, order, strict=True):
        full[axis] = role
    notes = (note,) if note else ()
    return Layout(detector, array, "".join(full), energy, y, x, version, False, notes)


def _told(group: h5py.Group, array: h5py.Dataset, names: dict[str, str], n_dims: int) -> str:
    """Order that attributes tell: the names of all axes, or a number beside each list."""
    for thing in (group, array):
        if "axes" in thing.attrs:
            named = _hdf5.texts(_hdf5.attribute(thing, "axes"))
            kept = [name for name in named if role_of(name) != "."]
            order = _axes.from_names(named, n_dims) or _axes.from_names(kept, n_dims)
            if order:
                return order
    numbers = {}
    for role, name in names.items():
        value = _hdf5.attribute(group[name], "axis") if name else None
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1)[0]
        if isinstance(value, bytes | str) and value.strip().isdigit():
            value = int(value)
        if isinstance(value, int | np.integer):
            numbers[role] = int(value)
    return _axes.from_numbers(numbers, n_dims)


def _certain(entry: h5py.Group, version: float | None) -> bool:
    """Whether the file follows the definition's order where nothing else tells it.

    Of the files of HERMES it is not known whether rows or columns come first.
    """
    beamline = text(entry, "collection/beamline") or text(entry, "collection/beamline/value")
    defined = text(entry, "definition").lower() == "nxstxm" or version is not None
    return defined and beamline.lower() != "hermes"
