"""MISTRAL HDF5 (ALBA): full-field images, normalised by the flat field and the ring current.

``SpecNormalized`` holds one image per energy, as normalised and, later, as aligned; a newer step
of the pipeline writes the aligned ones to ``FastAligned``. ``TomoNormalized`` is a tilt series,
which is a stack only where energies vary too. Rows are read as stored, the first at the lowest y:
no document says which end of the image is up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._lengths import believable, centres, micrometres
from chemoscape.formats._record import Format
from chemoscape.formats._source import Choice, Source, Wanted, choose

#: Groups of the dialects, with the arrays of images in them as name and channel, the best first.
_IMAGES = {
    "FastAligned": {"spec_aligned": "aligned", "tomo_aligned": "aligned"},
    "SpecNormalized": {
        "spectroscopy_normalized_aligned": "aligned",
        "spectroscopy_normalized": "normalised",
    },
    "TomoNormalized": {"TomoNormalized_aligned": "aligned", "TomoNormalized": "normalised"},
}
_RAW = "NXtomo"

#: Energies and angles closer than these (eV, deg) are the same.
_SAME_ENERGY, _SAME_ANGLE = 1e-3, 1e-2

#: Angles beyond this are no angles, deg.
_FULL_TURNS = 3600.0


def sniff(path: Path) -> bool:
    """Whether a file is HDF5 with a group of ALBA's pipeline."""
    return _hdf5.holds(
        path,
        lambda file: (
            any(isinstance(_hdf5.child(file, name), h5py.Group) for name in _IMAGES)
            or _hdf5.child(file, f"{_RAW}/instrument/bright_field") is not None
        ),
    )


@dataclass(frozen=True)
class Frames:
    """Some images of an array in the file."""

    path: Path
    name: str
    numbers: tuple[int, ...]

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Frames × rows; NaN where the flat field was dark."""
        numbers = self.numbers[frames]
        with _hdf5.opened(self.path) as file:
            images = _hdf5.held(file, self.name)
            if numbers == tuple(range(numbers[0], numbers[0] + len(numbers))):
                values = images[numbers[0] : numbers[-1] + 1, rows]
            else:
                values = np.stack([images[k, rows] for k in numbers])
        if values.dtype.kind == "f":
            with np.errstate(over="ignore"):
                values = values.astype(np.float32, copy=False)
            values[np.isinf(values)] = np.nan
        return values


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe a file of ALBA's pipeline.

    Raises
    ------
    FileFormatError
        It holds raw images, none at all, or a tilt series at one energy.
    """
    with _hdf5.opened(path) as file:
        offers = _offers(file, path)
        channel = choose("channel", list(offers), wanted.channel, path)
        name = offers[channel.name]
        images = file[name]
        group = images.parent
        n, n_y, n_x = images.shape
        energy, notes = _energies(group, n, wanted, path)
        angles = _per_frame(group, "rotation_angle", n)
        angle, numbers = _one_angle(energy, angles, wanted, path)
        chosen = list(numbers)
        along = {
            key: values[chosen]
            for key, values in (
                ("ring_current", _per_frame(group, "Currents", n)),
                ("dwell", _in_ms(_per_frame(group, "ExpTimes", n))),
                ("angle", angles),
                ("polarisation", _per_frame(group, "polarisation", n)),
            )
            if values is not None
        }
        y, x = (_axis(group, f"{key}_pixel_size", size) for key, size in (("y", n_y), ("x", n_x)))
        chunks = images.chunks or (1, 1, 1)
    return Source(
        where=path,
        shape=(len(numbers), n_y, n_x),
        read=Frames(path, name, numbers).read,
        energy=energy[chosen],
        y=y,
        x=x,
        quantity="transmission",
        per_energy=along,
        attrs={"facility": "ALBA", "beamline": "MISTRAL"},
        choices=(channel, angle) if angle else (channel,),
        notes=tuple(notes),
        framewise=chunks[0] == 1 and chunks[1] >= n_y,
        rows_per_read=chunks[1],
        files=(path,),
    )


def _offers(file: h5py.File, path: Path) -> dict[str, str]:
    """Channels and their arrays, the aligned first."""
    found: dict[str, str] = {}
    for group, images in _IMAGES.items():
        for name, channel in images.items():
            array = _hdf5.array(file, f"{group}/{name}")
            if array is not None and array.ndim == 3 and array.dtype.kind in "fiu":
                found.setdefault(channel, f"{group}/{name}")
    if found:
        return found
    if _RAW in file:
        raise FileFormatError(
            "holds raw images and flat fields that are not normalised",
            str(path),
            "normalise them first, with the beamline's own tool",
        )
    groups = " and ".join(name for name in _IMAGES if name in file)
    raise FileFormatError(
        f"{groups} holds no images: its flat fields did not fit and were not applied",
        str(path),
        "normalise the scan again",
    )


def _energies(
    group: h5py.Group, n: int, wanted: Wanted, path: Path
) -> tuple[np.ndarray, list[str]]:
    """One energy for each image, in eV."""
    if wanted.energy is not None:
        if wanted.energy.size != n:
            raise FileFormatError(
                f"holds {n} images, but {wanted.energy.size} energies were given",
                str(path),
                "give one energy per image, in the order of the images",
            )
        return wanted.energy, []
    values = _hdf5.numbers(group, "energy")
    values = np.empty(0) if values is None else values.reshape(-1)
    if values.size == 1 and n > 1:
        values = np.repeat(values, n)
    if values.size < n:
        raise FileFormatError(
            f"{group.name}/energy has {values.size} energies for {n} images",
            str(path),
            "give the right ones with energy = a list in eV, or a text file with one per line",
        )
    if not np.isfinite(values[:n]).all():
        raise FileFormatError(
            f"{group.name}/energy holds a value that is not finite",
            str(path),
            "give the right ones with energy = a list in eV, or a text file with one per line",
        )
    if n > 1 and np.ptp(values[:n]) < _SAME_ENERGY:
        raise FileFormatError(
            f"holds {n} images at one energy, {values[0]:g} eV: a tilt series or repeats, no "
            "spectra",
            str(path),
            "open a scan of energies",
        )
    if values.size == n:
        return values, []
    return values[:n], [
        f"there are {values.size} energies for {n} images: the first {n} are used, as of a scan "
        "that was stopped"
    ]


def _one_angle(
    energy: np.ndarray, angles: np.ndarray | None, wanted: Wanted, path: Path
) -> tuple[Choice | None, tuple[int, ...]]:
    """Images at one angle, where energies were scanned at several."""
    everything = tuple(range(energy.size))
    if angles is None or not (np.abs(angles) < _FULL_TURNS).all():
        return None, everything
    nearest = np.round(angles / _SAME_ANGLE).astype(np.int64)
    there, counts = np.unique(nearest, return_counts=True)
    # each image at its own angle is a stage that drifts, or a label that means nothing
    if there.size == 1 or counts.max() == 1:
        return None, everything
    names = [f"{_SAME_ANGLE * value:g} deg" for value in there]
    angle = choose("angle", names, wanted.angle, path)
    return angle, tuple(np.flatnonzero(nearest == there[angle.index]).tolist())


def _per_frame(group: h5py.Group, name: str, n: int) -> np.ndarray | None:
    """One number per image, None when the file has none or another number of them."""
    values = _hdf5.numbers(group, name)
    if values is None or values.size not in (1, n):
        return None
    return np.broadcast_to(values.reshape(-1), (n,))


def _in_ms(seconds: np.ndarray | None) -> np.ndarray | None:
    """Exposures, which the microscope notes in seconds, in ms."""
    return None if seconds is None else 1000 * seconds


def _axis(group: h5py.Group, name: str, n: int) -> np.ndarray | None:
    """Pixel centres in µm, None when there is no believable pixel size."""
    found = _hdf5.array(group, name)
    if found is None:
        return None
    size = _hdf5.number(group, name)
    size *= micrometres(_hdf5.attribute_text(found, "units"))
    return centres(n, size) if believable(size) else None


FORMAT = Format(
    name="mistral",
    title="MISTRAL HDF5",
    extensions=(".hdf5", ".h5"),
    sniff=sniff,
    open=open_,
    tried="files built as published",
    about="ALBA: normalised and aligned images as transmission, with ring current and exposure",
)
