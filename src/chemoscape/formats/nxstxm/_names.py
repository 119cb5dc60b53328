"""What things are called in an NXstxm file: entries, detectors, lists of positions, units, texts.

The dialects differ in names and in how they write text (bytes, str, arrays of either), hardly in
structure: entry → detector → data beside the lists of its axes.
"""

from __future__ import annotations

import re

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._hdf5 import attribute_text, text

_ENTRY = re.compile(r"entry_?\d*", re.IGNORECASE)
_MONITOR = re.compile(r"control|monitor|ring_?current", re.IGNORECASE)
_POSITION = re.compile(r"(?:.*[_.\- ]|(?:sample|fine|coarse|stage|piezo))?([xy])", re.IGNORECASE)

#: Groups that hold arrays and are no detector.
_NO_DETECTORS = frozenset(
    (
        *("energy", "binned_values", "requested_values", "instrument", "collection", "motors"),
        *("sample", "source", "user", "process", "chemoscape"),
    )
)
_LISTS = {
    "e": ("energy", "photon_energy", "E", "e"),
    "y": ("sample_y", "Y", "y"),
    "x": ("sample_x", "X", "x"),
}
_MICROMETRES = {"nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "pm": 1e-6, "å": 1e-4}
_WORDS = {"nanomet": "nm", "millimet": "mm", "meter": "m", "metre": "m"}

#: Nothing under a microscope is further away (µm).
_FARTHEST = 1e9


def micrometres(unit: str) -> float:
    """How many µm a unit of length is; 1 for what cannot be read, since µm is the rule.

    Examples
    --------
    >>> micrometres("nm"), micrometres("millimeter"), micrometres("μm"), micrometres("")
    (0.001, 1000.0, 1.0, 1.0)
    """
    short = unit.strip().lower()
    for word, abbreviation in _WORDS.items():
        if short.startswith(word):
            short = abbreviation
    return _MICROMETRES.get(short, 1.0)


def filled(group: h5py.Group, path: str) -> h5py.Dataset | None:
    """An array that a file may do without, None when it is not there or nothing was written."""
    found = _hdf5.child(group, path)
    if isinstance(found, h5py.Dataset) and found.chunks and not found.id.get_storage_size():
        return None
    return _hdf5.array(group, path)


def entries(file: h5py.File) -> list[str]:
    """Names of the entries that hold a detector, in the order of their numbers: one per region."""
    found = [name for name in _hdf5.groups(file) if is_entry(file[name]) and detectors(file[name])]
    return sorted(found, key=_natural)


def is_entry(group: h5py.Group) -> bool:
    """Whether a group at the top is an entry, by its class or its name."""
    name = group.name.strip("/")
    return bool(_ENTRY.fullmatch(name)) or attribute_text(group, "NX_class") == "NXentry"


def detectors(entry: h5py.Group) -> list[str]:
    """Names of the groups of an entry that hold images or spectra, monitors left out."""
    found = [
        name
        for name in _hdf5.groups(entry)
        if name.lower() not in _NO_DETECTORS
        and not _MONITOR.fullmatch(name)
        and _may_be_detector(entry[name])
        and signal(entry[name])
    ]
    return sorted(found, key=_natural)


def monitors(entry: h5py.Group) -> list[str]:
    """Names of the groups of an entry that hold a monitor of the ring current."""
    return [
        name
        for name in _hdf5.groups(entry)
        if _MONITOR.fullmatch(name)
        or (attribute_text(entry[name], "NX_class") == "NXmonitor" and name.lower() != "energy")
    ]


def default_detector(entry: h5py.Group, names: list[str]) -> int:
    """Number of the detector that a file means when it is asked for none."""
    for name in (attribute_text(entry, "default"), "default", "counter0", "Counter0"):
        if name in names:
            return names.index(name)
    return 0


def signal(group: h5py.Group) -> str:
    """Name of the array of a detector, "" when it has none."""
    marked = [name for name in group if name != "data" and _is_numbers(group, name, "signal")]
    for name in (attribute_text(group, "signal"), "data", *marked):
        if name and "/" not in name and _is_numbers(group, name):
            return name
    return ""


def list_name(group: h5py.Group, role: str) -> str:
    """Name of the list of energies (``e``) or positions (``y``, ``x``), "" when there is none."""
    named = [name for name in _LISTS[role] if _is_numbers(group, name)]
    if named or role == "e":
        return named[0] if named else ""
    others = [name for name in group if role_of(name) == role and _is_numbers(group, name)]
    return others[0] if others else ""


def role_of(name: str) -> str:
    """What an axis of this name is: e, y, x, l (along a line), "." (none), or "?".

    Examples
    --------
    >>> "".join(map(role_of, ["photon_energy", "sample_y", "dnm_sample_x", "line_position", "zz"]))
    'eyxl?'
    """
    low = name.strip().lower()
    if low in ("energy", "photon_energy", "e"):
        return "e"
    if low.startswith("line"):
        return "l"
    match = _POSITION.fullmatch(low)
    return match[1] if match else "." if low == "." else "?"


def positions(group: h5py.Group, name: str) -> np.ndarray | None:
    """A list of positions in µm, None when it is not one list.

    Raises
    ------
    FileFormatError
        A position is no number, or impossibly far away.
    """
    found = _hdf5.array(group, name) if name else None
    if found is None or found.dtype.kind not in "fiu" or max((*found.shape, 1)) != found.size:
        return None
    values = _hdf5.numbers(group, name)
    assert values is not None  # noqa: S101 - it was found above
    with np.errstate(over="ignore"):
        values = values.reshape(-1) * micrometres(attribute_text(found, "units"))
    if not (np.abs(values) < _FARTHEST).all():
        raise FileFormatError(
            f"{found.name} holds a position that is no number of µm",
            str(group.file.filename),
            "the file is damaged or of an aborted scan: copy it again",
        )
    return values


def energies(group: h5py.Group, path: str) -> np.ndarray | None:
    """A list of energies in eV, None when there is none."""
    values = _hdf5.numbers(group, path) if path else None
    if values is None or not values.size:
        return None
    found = _hdf5.child(group, path)
    assert found is not None  # noqa: S101 - it was read above
    with np.errstate(over="ignore"):
        return values.reshape(-1) * (
            1e3 if attribute_text(found, "units").lower() == "kev" else 1.0
        )


def scan_type(group: h5py.Group) -> str:
    """Type of the scan as the file says it, "" when it does not."""
    return text(group, "stxm_scan_type") or text(group, "scan_type")


def _may_be_detector(group: h5py.Group) -> bool:
    """Whether a group is marked as data, or unmarked but with an axis of a scan."""
    marked = attribute_text(group, "NX_class")
    return marked == "NXdata" or (
        marked in ("", "NXdetector") and bool(list_name(group, "e") or list_name(group, "x"))
    )


def _is_numbers(group: h5py.Group, name: str, mark: str = "") -> bool:
    """Whether a name is that of an array of numbers (that has the attribute `mark`)."""
    if group.get(name, getclass=True) is not h5py.Dataset:
        return False
    found = _hdf5.child(group, name)
    return (
        isinstance(found, h5py.Dataset)
        and found.dtype.kind in "fiucb"
        and (not mark or mark in found.attrs)
    )


def _natural(name: str) -> tuple[str, int, str]:
    """Key that puts entry10 behind entry2."""
    digits = re.search(r"\d{1,9}$", name)
    return (name[: digits.start()], int(digits[0]), name) if digits else (name, -1, name)
