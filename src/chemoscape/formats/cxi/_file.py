"""What one CXI file holds: reconstructed images, their energies and pixel sizes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5, _wave
from chemoscape.formats._lengths import believable

#: Joule in an electron volt.
JOULE_PER_EV = 1.602176634e-19

#: Photon energy (eV) times wavelength (µm).
EV_UM = 1.239841984

_LOWEST_EV, _HIGHEST_EV = 10.0, 2e5

#: Where scan positions are kept; as many of them as images are images of diffraction.
_POSITIONS = (
    "instrument_1/detector_1/translation",
    "sample_1/geometry_1/translation",
    "data_1/translation",
)


@dataclass(frozen=True)
class Geometry:
    """Pixel size of a reconstruction (y, x), in µm or as a multiple of the wavelength."""

    size: tuple[float, float]
    source: str
    in_wavelengths: bool = False

    def pixel_um(self, energy: float) -> tuple[float, float]:
        """Pixel size in µm at an energy in eV; NaN when it is not believable."""
        scale = EV_UM / energy if self.in_wavelengths else 1.0
        found = self.size[0] * scale, self.size[1] * scale
        return found if all(map(believable, found)) else (np.nan, np.nan)


@dataclass(frozen=True)
class Image:
    """One reconstruction: where it is, and how it is stored."""

    path: Path
    name: str
    shape: tuple[int, int]
    modes: int
    is_wave: bool
    shifted: bool
    geometry: Geometry | None


@dataclass(frozen=True)
class Entry:
    """The reconstructions at one energy (eV, NaN when the file does not say), by their number."""

    path: Path
    name: str
    energy: float
    images: dict[int, Image]
    latest: int
    notes: tuple[str, ...] = ()
    started: str = ""


def entries(path: Path) -> tuple[list[Entry], list[str]]:
    """Entries with a reconstruction, and what to say of the file.

    Raises
    ------
    FileFormatError
        There is none: the file holds diffraction patterns, or something else.
    """
    with _hdf5.opened(path) as file:
        names = numbered(file, "entry")
        found, empty = [], []
        for name in names.values():
            entry = _hdf5.child(file, name)
            images = _images(entry, _hdf5.child(file, next(iter(names.values()))), path)
            if images:
                found.append(_entry(entry, images, path))
            else:
                empty.append(name)
        if not found:
            raw = any(
                (array := _hdf5.array(file, f"{name}/{where}")) is not None and array.ndim > 2
                for name in empty
                for where in ("data_1/data", "instrument_1/detector_1/data")
            )
            raise _no_images(path, "raw diffraction patterns and" if raw else "")
        root = _hdf5.number(file, "final_res")
    if believable(1e6 * root):
        found = [_with_resolution(one, 1e6 * root) for one in found]
    lost = ", ".join(empty)
    return found, [f"{lost} has no reconstruction and is left out"] if empty else []


def numbered(group: h5py.Group, stem: str) -> dict[int, str]:
    """Names such as entry_2 with their numbers, in the order of these."""
    matches = {name: re.fullmatch(rf"{stem}_(\d{{1,6}})", name) for name in group}
    pairs = sorted((int(match[1]), name) for name, match in matches.items() if match)
    return dict(pairs)


def _no_images(path: Path, instead: str) -> FileFormatError:
    """The file holds no reconstruction, but perhaps something else."""
    return FileFormatError(
        " ".join(f"holds {instead} no reconstructed image".split()),
        str(path),
        "open the file that the reconstruction wrote",
    )


def _entry(entry: h5py.Group, images: dict[int, Image], path: Path) -> Entry:
    """An entry with its energy and its latest reconstruction."""
    energy, notes = _energy(entry)
    latest = _hdf5.child(entry, "image_latest")
    same = [number for number in images if latest == _hdf5.child(entry, f"image_{number}")]
    chosen = same[0] if same else max(images) if latest is not None else min(images)
    return Entry(
        path,
        entry.name.strip("/"),
        energy,
        images,
        chosen,
        tuple(notes),
        _hdf5.text(entry, "start_time"),
    )


def _images(entry: h5py.Group | None, first: h5py.Group, path: Path) -> dict[int, Image]:
    """Reconstructions of an entry by number."""
    found: dict[int, Image] = {}
    if not isinstance(entry, h5py.Group):
        return found
    for number, name in numbered(entry, "image").items():
        group = _hdf5.child(entry, name)
        if not isinstance(group, h5py.Group):
            continue
        arrays = {
            inner: array
            for inner in ("data", f"data_{number}/data", "data_1/data")
            if (array := _hdf5.array(group, inner)) is not None
            and (_wave.is_complex(array.dtype) or array.dtype.kind in "fiu")
        }
        if not arrays:
            continue
        inner, data = next(iter(arrays.items()))
        if _is_diffraction(entry, group, data):
            raise _no_images(path, "raw diffraction patterns and")
        if data.ndim not in (2, 3) or min(data.shape) < 1:
            continue
        found[number] = Image(
            path,
            f"{entry.name}/{name}/{inner}",
            (data.shape[-2], data.shape[-1]),
            data.shape[0] if data.ndim == 3 else 0,
            _wave.is_complex(data.dtype),
            bool(_hdf5.number(group, "is_fft_shifted") == 1),
            _geometry(entry, group, first),
        )
    return found


def _is_diffraction(entry: h5py.Group, image: h5py.Group, data: h5py.Dataset) -> bool:
    """Whether an array is of diffraction patterns: one for each position of a scan, or real."""
    if "diffraction" in _hdf5.text(image, "data_space").lower():
        return True
    if data.ndim < 3 or data.shape[0] == 1:
        return False
    positions = [_hdf5.array(image, "translation"), *(_hdf5.array(entry, n) for n in _POSITIONS)]
    return not _wave.is_complex(data.dtype) or any(
        one is not None and one.shape and one.shape[0] == data.shape[0] for one in positions
    )


def _energy(entry: h5py.Group) -> tuple[float, list[str]]:
    """Photon energy in eV, NaN when there is none."""
    source = "instrument_1/source_1"
    value = _hdf5.number(entry, f"{source}/energy")
    if _LOWEST_EV < value / JOULE_PER_EV < _HIGHEST_EV:
        return value / JOULE_PER_EV, []
    if _LOWEST_EV < value < _HIGHEST_EV:
        return value, [f"its energy, {value:g}, is no energy in joule and is taken as eV"]
    for name in ("wavelength", "wave length"):
        length = 1e6 * _hdf5.number(entry, f"{source}/{name}")
        if length > 0 and _LOWEST_EV < EV_UM / length < _HIGHEST_EV:
            return EV_UM / length, []
    return np.nan, []


def _geometry(entry: h5py.Group, image: h5py.Group, first: h5py.Group) -> Geometry | None:
    """Pixel size as the reconstruction noted it, or from the detector's geometry.

    The pixel of a reconstruction is λz/(N·dx), with the distance z of the detector and its N pixels
    of dx; its corner lies at half of N·dx.
    """
    for group in (image, entry):
        stated = _stated(group, "process_1/Param/pixnm")
        if believable(1e-3 * stated):
            return Geometry((1e-3 * stated, 1e-3 * stated), "process_1/Param/pixnm")
    for where in (entry, first):
        detector = _hdf5.child(where, "instrument_1/detector_1")
        if isinstance(detector, h5py.Group) and (found := _from_detector(detector, image)):
            return found
    return None


def _from_detector(detector: h5py.Group, image: h5py.Group) -> Geometry | None:
    """Pixel size in wavelengths from the detector's corner, or from its pixels and distance."""
    corner = _hdf5.numbers(detector, "corner_position")
    if corner is not None and corner.size == 3 and np.isfinite(corner).all():
        x, y, z = np.abs(corner.reshape(-1))
        x, y = x or y, y or x
        if x > 0 and z > 0:
            return Geometry((z / (2 * y), z / (2 * x)), "detector corner", in_wavelengths=True)
    z = _hdf5.number(detector, "distance")
    dy, dx = (_hdf5.number(detector, f"{axis}_pixel_size") for axis in "yx")
    shapes = [
        array.shape[-2:]
        for array in (
            _hdf5.array(image, "process_1/final_illumination"),
            _hdf5.array(detector, "data"),
        )
        if array is not None and array.ndim >= 2 and min(array.shape[-2:]) > 1
    ]
    if not shapes or not (z > 0 and dy > 0 and dx > 0):
        return None
    n_y, n_x = shapes[0]
    return Geometry((z / (n_y * dy), z / (n_x * dx)), "detector pixels", in_wavelengths=True)


def _stated(group: h5py.Group, name: str) -> float:
    """A number that may be stored as text, NaN when there is none."""
    text = _hdf5.text(group, name)
    try:
        return float(text) if text else _hdf5.number(group, name)
    except ValueError:
        return np.nan


def _with_resolution(entry: Entry, pixel_um: float) -> Entry:
    """The entry with the file's own resolution where its images state none."""
    stated = Geometry((pixel_um, pixel_um), "final_res")
    images = {
        number: image
        if image.geometry and not image.geometry.in_wavelengths
        else replace(image, geometry=stated)
        for number, image in entry.images.items()
    }
    return replace(entry, images=images)
