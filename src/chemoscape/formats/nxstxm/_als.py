"""Files of pystxmcontrol (ALS ``.stxm``): versions, and samples put to the requested positions.

The stage flies along a line while the counter runs faster than one sample per pixel. Version 2.0
keeps only these samples with the measured positions; 2.1 adds the result of binning them, which may
have been left empty; from 3 on the images are at the requested positions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._hdf5 import attribute_text, text
from chemoscape.formats.nxstxm._images import Images, has_content, unmeasured_as_nan
from chemoscape.formats.nxstxm._names import filled, micrometres, positions

_BINNED = "binned_values/data"

#: Frames whose middle row is looked at to count pixels without a sample.
_FRAMES_LOOKED_AT = 16


@dataclass(frozen=True, eq=False)
class Rebinned:
    """Samples along lines, put to the requested positions while they are read.

    Parameters
    ----------
    samples : Images
        The raw counts, shape (n_energy, n_y, n_samples).
    along : tuple of (name, factor, scale, origin)
        Datasets of measured positions, and what turns them into µm along the line: the sum of
        factor · (scale · value - origin).
    requested : ndarray, shape (n_x,)
        Positions along the line (µm), strictly ascending.
    """

    samples: Images
    along: tuple[tuple[str, float, float, float], ...]
    requested: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the stack."""
        return (*self.samples.shape[:2], self.requested.size)

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Part of the images as float32."""
        there = slice(frames.start, min(frames.stop, self.samples.frames))
        if there.stop <= there.start:
            counts = np.empty((0, rows.stop - rows.start, self.requested.size), dtype=np.float32)
        else:
            measured = np.zeros((1,), dtype=np.float64)
            for name, factor, scale, origin in self.along:
                found = self._positions(name).read(there, rows).astype(np.float64)
                measured = measured + factor * (scale * found - origin)
            counts = rebin(self.samples.read(there, rows), measured, self.requested)
        return unmeasured_as_nan(counts, self.samples, frames, rows)

    def _positions(self, name: str) -> Images:
        """The measured positions, as an array like that of the samples."""
        return replace(self.samples, name=name, rows=self.samples.shape[1], floats="f8")


def version(entry: h5py.Group) -> float | None:
    """Version of pystxmcontrol that wrote an entry, None when another program did.

    Told by the dataset ``version`` (a number: pySTXM writes text), by the attribute of
    ``definition``, by a definition that is a number, and by groups that no other program has.
    """
    for path in ("version", "definition"):
        number = _hdf5.number(entry, path)
        if np.isfinite(number):
            return number
    definition = _hdf5.child(entry, "definition")
    noted = attribute_text(definition, "version") if definition is not None else ""
    try:
        number = float(noted)
    except ValueError:
        number = 0.0
    if "requested_values" in entry or "binned_values" in entry:
        return number if number >= 2 else 2.1 if "binned_values" in entry else 2.0
    return number if number >= 2 else 0.0 if "motors" in entry else None


def is_unbinned(entry: h5py.Group, detector: str) -> bool:
    """Whether the images are samples at measured positions instead of pixels."""
    measured = _hdf5.array(entry, f"{detector}/sample_x")
    return (
        measured is not None
        and measured.ndim == 3
        and "requested_values" in entry
        and "ptycho" not in text(entry, f"{detector}/stxm_scan_type").lower()
    )


def is_binned(entry: h5py.Group, samples: Images) -> bool:
    """Whether the binned images are there and filled: where the first and the last measured sample
    images hold something in their middle row, so must they.
    """
    binned = filled(entry, _BINNED)
    if binned is None or binned.ndim != 3 or binned.dtype.kind not in "fiu":
        return False
    n_energy, n_y, _ = binned.shape
    if n_energy < samples.frames or n_y < samples.shape[1] or not samples.frames:
        return False
    middle = slice(samples.shape[1] // 2, samples.shape[1] // 2 + 1)
    for frame in {0, samples.frames - 1}:
        raw = samples.read(slice(frame, frame + 1), middle)
        if has_content(raw).any() and not has_content(np.asarray(binned[frame, middle])).any():
            return False
    return bool(binned.size)


def rebinned(
    entry: h5py.Group, detector: str, samples: Images, *, line: bool = False
) -> tuple[Rebinned, np.ndarray]:
    """How to read the samples at the requested positions, and these, µm in the order of the file.

    Of a `line` the positions are distances from its first point.

    Raises
    ------
    FileFormatError
        The requested positions are missing or are no line.
    """
    where = str(entry.file.filename)
    x = positions(entry, "requested_values/sample_x")
    if x is None or x.size < 1:
        raise FileFormatError(
            f"{entry.name}/requested_values has no list sample_x",
            where,
            "the scan cannot be put on a grid: export it with the beamline's program",
        )
    start, stop = np.array([x[0], 0.0]), np.array([x[-1], 0.0])
    requested = np.stack([x, np.zeros(x.size)])
    y = positions(entry, "requested_values/sample_y") if line else None
    if y is not None and y.size in (1, x.size):
        requested[1] = y
        start[1], stop[1] = requested[1, 0], requested[1, -1]
    length = float(np.hypot(*(stop - start)))
    unit = (stop - start) / length if length > 0 else np.array([1.0, 0.0])
    along = unit @ (requested - start[:, None])
    if (np.diff(along) <= 0).any():
        raise FileFormatError(
            f"{entry.name}/requested_values: sample_x neither rises nor falls steadily",
            where,
            "the scan cannot be put on a grid: export it with the beamline's program",
        )
    along_names = [
        (f"{entry[detector].name}/{name}", float(factor), _scale(entry, detector, name), float(at))
        for name, factor, at in zip(("sample_x", "sample_y"), unit, start, strict=True)
        if factor
    ]
    return Rebinned(samples, tuple(along_names), along), along if line else x


def rebin(counts: np.ndarray, measured: np.ndarray, requested: np.ndarray) -> np.ndarray:
    """Counts per requested pixel from samples at measured positions.

    Every sample goes to the nearest requested position; what the stage does after it has come
    farthest (the fly-back) is left out. The mean of a pixel's samples is multiplied by the number
    of samples per pixel, so that the numbers are the counts of a whole pixel.

    Parameters
    ----------
    counts, measured : ndarray, shape (n_energy, n_y, n_samples)
        Samples and where they were taken (µm along the line).
    requested : ndarray, shape (n_x,)
        Pixel centres, ascending.

    Returns
    -------
    ndarray of float32, shape (n_energy, n_y, n_x)
        NaN where no sample fell, and in lines along which the stage did not move.

    Examples
    --------
    >>> samples, places = np.array([[[1, 3, 5, 7, 9]]]), np.array([[[0, 0.2, 0.9, 1, 0]]])
    >>> rebin(samples, places, np.array([0.0, 1.0])).tolist()
    [[[5.0, 15.0]]]
    """
    n_samples, n_x = counts.shape[-1], requested.size
    places = np.nan_to_num(measured.reshape(-1, n_samples), nan=-np.inf)
    edges = np.array([-np.inf, np.inf])
    if n_x > 1:
        inner = (requested[1:] + requested[:-1]) / 2
        edges = np.concatenate([[2 * requested[0] - inner[0]], inner])
        edges = np.append(edges, 2 * requested[-1] - inner[-1])
    pixel = np.searchsorted(edges, places, side="right") - 1
    pixel[places == edges[-1]] = n_x - 1
    farthest = n_samples - 1 - places[:, ::-1].argmax(axis=1)
    taken = (pixel >= 0) & (pixel < n_x) & (np.arange(n_samples) <= farthest[:, None])
    taken &= (places.max(axis=1) > places.min(axis=1))[:, None] | (n_samples == 1)
    values = counts.reshape(-1, n_samples).astype(np.float64)
    taken &= np.isfinite(values)
    index = (pixel + n_x * np.arange(len(values))[:, None])[taken]
    number = np.bincount(index, minlength=len(values) * n_x)
    total = np.bincount(index, weights=values[taken], minlength=len(values) * n_x)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = total / np.maximum(number, 1) * (n_samples / n_x)
        filled = np.where(number > 0, mean, np.nan).astype(np.float32)
    return filled.reshape(*counts.shape[:-1], n_x)


def empty_note(images: Rebinned) -> str:
    """How many pixels got no sample, counted in the middle rows of some images; "" when none."""
    _, n_y, n_x = images.shape
    frames = np.unique(np.linspace(0, images.samples.frames - 1, _FRAMES_LOOKED_AT).astype(int))
    if not images.samples.frames:
        return ""
    middle = slice(n_y // 2, n_y // 2 + 1)
    empty = sum(
        int(np.isnan(images.read(slice(frame, frame + 1), middle)).sum()) for frame in frames
    )
    if not empty:
        return ""
    return (
        f"the samples were put to the requested positions; {empty} of {frames.size * n_x} pixels "
        f"that were looked at (middle row of {frames.size} images) got none and are NaN"
    )


def _scale(entry: h5py.Group, detector: str, name: str) -> float:
    """How many µm the unit of measured positions is."""
    found = _hdf5.array(entry, f"{detector}/{name}")
    if found is None or found.ndim != 3:
        raise FileFormatError(
            f"{entry.name}/{detector} has no measured positions {name}",
            str(entry.file.filename),
            "the scan cannot be put on a grid: export it with the beamline's program",
        )
    return micrometres(attribute_text(found, "units"))
