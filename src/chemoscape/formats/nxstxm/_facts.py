"""What an NXstxm file knows of each frame and of the whole scan, beside its images."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np

from chemoscape.formats import _hdf5
from chemoscape.formats._hdf5 import attribute_text, text
from chemoscape.formats.nxstxm._images import Images
from chemoscape.formats.nxstxm._names import energies, filled, monitors, scan_type, signal

Fact = str | int | float

#: A monitor is looked at in one row of every frame, unless that makes HDF5 unpack more than this.
_MOST_BYTES = 1_000_000_000

#: Energies read back from the monochromator are believed this close to the nominal ones, eV.
_CLOSE_EV = 5.0

#: What pySTXM numbers; those above are linear, at an angle kept elsewhere.
_CIRCULAR = {0: "circular left", 1: "circular right"}

_NO_CURRENT = ("count", "hz", "v", "pa", "na", "ua", "µa", "s")


def ring_current(entry: h5py.Group, images: Images) -> tuple[np.ndarray | None, str]:
    """Ring current of every frame in mA (mean of its middle row), and what to say of it.

    None when the file has none; NaN for frames where it was not recorded.
    """
    found, note = None, ""
    for name in monitors(entry):
        group = entry[name]
        array = filled(group, signal(group)) if signal(group) else None
        if array is not None and not attribute_text(array, "units").lower().startswith(_NO_CURRENT):
            found = array
            break
    if found is not None and found.shape and _bytes_unpacked(found, images) > _MOST_BYTES:
        note = "the ring current is not read: the file keeps it in whole compressed frames"
        found = None
    values = None if found is None else per_frame(found, images)
    if values is None or not (values > 0).any():
        values = per_frame(filled(entry, "instrument/control/data"), images)
    if values is None or not (values > 0).any():
        current = filled(entry, "instrument/source/current")
        one_for_all = current is not None and current.size == 1 and images.shape[0] > 1
        values = None if one_for_all else per_frame(current, images)
    if values is None or not (values > 0).any():
        return None, note  # zeros: nobody recorded it
    amperes = found is not None and attribute_text(found, "units").lower() in ("a", "ampere")
    return np.where(values > 0, values, np.nan) * (1e3 if amperes else 1.0), ""


def true_energies(
    entry: h5py.Group, images: Images, nominal: np.ndarray | None
) -> tuple[np.ndarray | None, bool]:
    """Energies of all frames (eV) as read back where the file keeps them, else the nominal ones;
    and whether any was read back.
    """
    n_energy = images.shape[0]
    for path in ("instrument/energy/data", "energy/data", "instrument/monochromator/energy"):
        found = filled(entry, path)
        if found is None or found.size == 1 or _bytes_unpacked(found, images) > _MOST_BYTES:
            continue
        values = per_frame(found, images)
        if values is None:
            continue
        values = values * (1e3 if attribute_text(found, "units").lower() == "kev" else 1.0)
        if nominal is None:
            believed = values > 0
            if not believed.all():
                continue
            return values, True
        believed = np.abs(values - nominal) < _CLOSE_EV
        read_back = np.where(believed, values, nominal)
        if np.unique(read_back).size < min(n_energy, np.unique(nominal).size):
            continue  # the energy at the start, written for every frame
        return read_back, bool((read_back != nominal).any())
    return nominal, False


def dwell(entry: h5py.Group, detector: str, n_energy: int, *, in_ms: bool) -> np.ndarray | None:
    """Dwell of every frame in ms, None when the file does not say.

    The field is in seconds by convention; `in_ms` says that this file's writer means milliseconds,
    whatever unit it notes.
    """
    for path in (f"{detector}/count_time", f"instrument/{detector}/count_time"):
        found = filled(entry, path)
        if found is None or found.size not in (1, n_energy):
            continue
        values = _hdf5.numbers(entry, path)
        if values is None:
            continue
        in_ms = in_ms or attribute_text(found, "units").lower() in ("ms", "msec", "milliseconds")
        with np.errstate(over="ignore"):
            values = np.broadcast_to(values.reshape(-1), n_energy) * (1.0 if in_ms else 1e3)
        values = np.where((values > 0) & (values < 1e9), values, np.nan)
        return values if np.isfinite(values).any() else None
    return None


def polarisation(entry: h5py.Group, detector: str, n_energy: int) -> np.ndarray | Fact | None:
    """Polarisation of every frame, or one for the whole scan: text or number as the file has it."""
    path = f"{detector}/epu_polarization"
    values = _hdf5.numbers(entry, path) if filled(entry, path) else None
    if values is not None and values.size in (1, n_energy):
        angle = _hdf5.number(entry, "instrument/epu/linear_inclined_angle")
        linear = f"linear {angle:g}°" if np.isfinite(angle) else "linear"
        named = np.array([_CIRCULAR.get(value, linear) for value in values.reshape(-1).tolist()])
        return named if n_energy > 1 and named.size == n_energy else str(named[0])
    paths = [f"{detector}/polarization", f"{detector}/polarisation"]
    paths += ["collection/polarization/value"]
    for folder in ("motors", "instrument/motors"):
        motors = _hdf5.child(entry, folder)
        if isinstance(motors, h5py.Group):
            paths += [f"{folder}/{name}" for name in motors if "polari" in name.lower()]
    for path in paths:
        values = _hdf5.numbers(entry, path) if filled(entry, path) else None
        if values is not None and values.size == n_energy > 1:
            return values.reshape(-1)
        if values is not None and values.size and np.isfinite(values.reshape(-1)[0]):
            return float(values.reshape(-1)[0])
        if text(entry, path):
            return text(entry, path)
    return text(entry, "instrument/epu/mode") or None


def whole_scan(entry: h5py.Group, detector: str, array: h5py.Dataset) -> dict[str, Fact]:
    """Flat facts of the scan; those that the file does not know are left out."""
    found: dict[str, Fact] = {
        "scan_type": scan_type(entry[detector]),
        "unit": attribute_text(array, "units"),
        "started": text(entry, "start_time"),
        "facility": text(entry, "instrument/source/name"),
        "beamline": text(entry, "collection/beamline") or text(entry, "collection/beamline/value"),
        "sample": text(entry, "sample/name") or text(entry, "sample/description"),
    }
    numbers = {
        "angle_deg": _hdf5.number(entry, "sample/rotation_angle"),
        "ring_current_mA": _hdf5.number(entry, "instrument/source/current"),
        "monochromator_eV": _hdf5.number(entry, "collection/energy/value"),
    }
    found |= {key: value for key, value in numbers.items() if np.isfinite(value)}
    return {key: value for key, value in found.items() if value not in ("", "None")}


def per_frame(found: h5py.Dataset | None, images: Images) -> np.ndarray | None:
    """One number for every frame: a list of them, or the mean of the middle row of each frame.

    None when the array is neither, nor the same as a flat list of all pixels.
    """
    n_energy, n_y, n_x = images.shape
    if found is None or not found.size or found.dtype.kind not in "fiu":
        return None
    if found.size == n_energy:
        return np.asarray(found[()], dtype=np.float64).reshape(-1)
    middle = n_y // 2
    n_frames = images.frames
    if found.ndim == len(images.order) > 1 and _like(found, images):
        like = replace(images, name=found.name, frames=n_frames, rows=n_y)
        rows = like.read(slice(0, n_energy), slice(middle, middle + 1))[:, 0]
    elif found.ndim == 1 and found.size in (n_energy * n_y * n_x, n_frames * n_y * n_x):
        rows = np.full((n_energy, n_x), np.nan)
        for frame in range(n_frames):
            start = (frame * n_y + middle) * n_x
            rows[frame] = found[start : start + n_x]
    else:
        return None
    return _means(rows.astype(np.float64))


def nominal_energies(entry: h5py.Group, detector: str, name: str) -> np.ndarray | None:
    """The list of energies beside the images, else that of the monochromator."""
    return energies(entry, f"{detector}/{name}" if name else "instrument/monochromator/energy")


def _like(found: h5py.Dataset, images: Images) -> bool:
    """Whether an array has the frames, rows and columns of the images."""
    sizes = {"e": images.frames, "y": images.shape[1], "x": images.shape[2]}
    return all(n >= sizes.get(role, 1) for role, n in zip(images.order, found.shape, strict=True))


def _means(rows: np.ndarray) -> np.ndarray:
    """Mean of the positive, finite numbers of every row, NaN where there are none."""
    known = np.isfinite(rows) & (rows > 0) & (rows < 1e30)
    sums = np.where(known, rows, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), sums / np.maximum(known.sum(axis=1), 1), np.nan)


def _bytes_unpacked(found: h5py.Dataset, images: Images) -> float:
    """Bytes that are read for one row of every frame."""
    if found.ndim != len(images.order) or "y" not in images.order or not found.shape:
        return 0.0
    axis = images.order.index("y")
    height = found.chunks[axis] if found.chunks else 1
    return float(found.nbytes) * min(height / max(found.shape[axis], 1), 1.0)
