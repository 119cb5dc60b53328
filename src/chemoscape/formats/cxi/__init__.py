"""CXI reconstructions of ptychography (COSMIC and others): complex images, one per energy.

A file holds one energy, or several as ``entry_1``, ``entry_2``, …; a folder of files with one
energy each opens as one stack when their images have the same shape and pixel size. Row 0 is the
top of the image: a COSMIC reconstruction correlates with the STXM images of the same particle
(whose rows rise with y) to 0.975 when its rows are reversed, to 0.80 as stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard, _hdf5, _wave
from chemoscape.formats._lengths import believable, centres
from chemoscape.formats._record import Format
from chemoscape.formats._source import Choice, Source, Wanted, choose, some
from chemoscape.formats.cxi._file import Entry, Image, entries, numbered

#: Pixel sizes that differ by less than this part are one.
_SAME_PIXEL = 1e-3

#: Files of a folder that are looked at to know it, and opened.
_LOOKED_AT, _MOST_FILES = 5, 5000


def sniff(path: Path) -> bool:
    """Whether a file is HDF5 with CXI's mark or a reconstruction, or a folder holds such files."""
    try:
        if path.is_dir():
            first = _files(path)[:_LOOKED_AT]
            return any(_guard.lies_inside(one, path) and _is_cxi(one) for one in first)
        return _is_cxi(path)
    except OSError:
        return False


def _is_cxi(path: Path) -> bool:
    """Whether a file is HDF5 with CXI's mark or a reconstruction."""
    return _hdf5.holds(path, lambda file: _has_mark(file) or _has_reconstruction(file))


def _has_mark(file: h5py.File) -> bool:
    """Whether the file says that it is CXI."""
    return isinstance(_hdf5.child(file, "cxi_version"), h5py.Dataset)


def _has_reconstruction(file: h5py.File) -> bool:
    """Whether the first entry holds an image."""
    for name in numbered(file, "entry").values():
        entry = _hdf5.child(file, name)
        if isinstance(entry, h5py.Group):
            images = numbered(entry, "image").values()
            return any(isinstance(_hdf5.child(entry, one), h5py.Group) for one in images)
    return False


def _files(folder: Path) -> list[Path]:
    """CXI files of a folder by name."""
    return sorted(one for one in folder.iterdir() if one.suffix.lower() == ".cxi")[:_MOST_FILES]


@dataclass(frozen=True)
class Frames:
    """Images, one for each energy, and the channel of them."""

    images: tuple[Image, ...]
    channel: str

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Frames × rows as float32."""
        chosen = self.images[frames]
        values = np.empty(
            (len(chosen), rows.stop - rows.start, self.images[0].shape[1]), dtype=np.float32
        )
        for image, part in zip(chosen, values, strict=True):
            with _hdf5.opened(image.path) as file, np.errstate(over="ignore"):
                data = _hdf5.held(file, image.name)
                first = (0,) if image.modes else ()
                if image.shifted:
                    stored = np.fft.fftshift(data[(*first, ...)])[rows]
                else:
                    stored = data[(*first, rows)]
                part[...] = _wave.real_image(stored, self.channel)
        return values


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe a file of reconstructions, or a folder of them.

    Raises
    ------
    FileFormatError
        There is no reconstruction, as in raw diffraction data, or shapes or pixel sizes differ.
    """
    found, notes = _of_folder(path) if path.is_dir() else entries(path)
    region, images, more = _reconstruction(found, wanted, path)
    energy = _energies(found, path)
    pixel, source = _pixel_size(images, energy, wanted, path)
    is_wave = all(image.is_wave for image in images)
    offers = _wave.CHANNELS if is_wave else _wave.CHANNELS[:1]
    channel = choose("channel", offers, wanted.channel, path)
    frames = Frames(tuple(images), channel.name)
    n_y, n_x = images[0].shape
    middle = frames.read(slice(0, 1), slice(n_y // 2, n_y // 2 + 1))
    quantity, unit, looks = _wave.nature(middle, channel.name)
    if not is_wave:
        more.append("its images are real numbers, taken as intensities")
    started = {"started": found[0].started} if found[0].started else {}
    return Source(
        where=path,
        shape=(len(images), n_y, n_x),
        read=frames.read,
        energy=energy,
        y=centres(n_y, pixel[0], top_down=True),
        x=centres(n_x, pixel[1]),
        quantity=quantity,
        attrs={**unit, "pixel_source": source, "rows": "top-down", **started},
        choices=(channel, region),
        notes=(*notes, *more, *looks),
        framewise=True,
        files=tuple(dict.fromkeys(image.path for image in images)),
    )


def _of_folder(folder: Path) -> tuple[list[Entry], list[str]]:
    """Entries of all files of a folder; files without a reconstruction are left out."""
    found: list[Entry] = []
    notes: list[str] = []
    errors: list[FileFormatError] = []
    for one in _files(folder):
        try:
            there, more = entries(_guard.regular_file(one, inside=folder))
        except FileFormatError as error:
            errors.append(error)
            notes.append(f"{one.name} is left out: it {error.what}")
            continue
        found += there
        notes += [f"{one.name}: {note}" for note in more]
    if not found:
        raise errors[0] if errors else FileFormatError("holds no .cxi file", str(folder))
    return found, notes if len(notes) <= 5 else [*notes[:5], f"{len(notes) - 5} more such files"]


def _reconstruction(
    found: list[Entry], wanted: Wanted, path: Path
) -> tuple[Choice, list[Image], list[str]]:
    """Which of several reconstructions of every image; the latest when nothing was said."""
    common = sorted(set(found[0].images).intersection(*(entry.images for entry in found)))
    if not common:
        raise FileFormatError(
            "its energies have no reconstruction of the same number",
            str(path),
            "open the files one by one",
        )
    latest = found[0].latest if found[0].latest in common else common[-1]
    region = choose(
        "region",
        [f"reconstruction {number}" for number in common],
        wanted.region,
        path,
        default=common.index(latest),
        aliases=[f"image_{number}" for number in common],
    )
    images = [entry.images[common[region.index]] for entry in found]
    notes = list(dict.fromkeys(note for entry in found for note in entry.notes))
    modes = max(image.modes for image in images)
    if modes > 1:
        notes.append(f"its images have {modes} modes or slices: the first is opened")
    for image, entry in zip(images, found, strict=True):
        if image.shape != images[0].shape:
            raise FileFormatError(
                f"its images have different shapes: {_label(found[0], path)} {images[0].shape}, "
                f"{_label(entry, path)} {image.shape}",
                str(path),
                "resample them to common pixels first (each can be opened by itself)",
            )
    return region, images, notes


def _label(entry: Entry, path: Path) -> str:
    """What to call an entry: its file in a folder, its name in a file."""
    return entry.path.name if path.is_dir() else entry.name


def _energies(found: list[Entry], path: Path) -> np.ndarray | None:
    """Energies in eV, None when the files have none."""
    energy = np.array([entry.energy for entry in found])
    lost = [_label(entry, path) for entry in found if not np.isfinite(entry.energy)]
    if len(lost) == len(found):
        return None
    if lost:
        raise FileFormatError(
            f"{', '.join(some(lost))} has no photon energy",
            str(path),
            "take it out of the folder, or copy it again",
        )
    return energy


def _pixel_size(
    images: list[Image], energy: np.ndarray | None, wanted: Wanted, path: Path
) -> tuple[tuple[float, float], str]:
    """Common pixel size (y, x) in µm, NaN when there is none, and where it comes from."""
    at = energy if energy is not None else wanted.energy
    if at is None or len(at) != len(images):
        at = np.full(len(images), np.nan)
    sizes = [
        image.geometry.pixel_um(float(one)) if image.geometry else (np.nan, np.nan)
        for image, one in zip(images, at, strict=True)
    ]
    for k, size in enumerate(sizes):
        unequal = [abs(a - b) > _SAME_PIXEL * b for a, b in zip(size, sizes[0], strict=True)]
        if any(unequal) or np.isfinite(size[0]) != np.isfinite(sizes[0][0]):
            raise FileFormatError(
                "its images have different pixel sizes: "
                f"{_name(images, 0)} {_in_nm(sizes[0])}, {_name(images, k)} {_in_nm(size)}",
                str(path),
                "resample them to a common pixel first (each can be opened by itself)",
            )
    geometry = images[0].geometry
    known = geometry is not None and believable(sizes[0][0])
    return sizes[0], geometry.source if known and geometry is not None else "none"


def _name(images: list[Image], k: int) -> str:
    """What to call an image: its file, or its entry where all are in one file."""
    if len({image.path for image in images}) > 1:
        return images[k].path.name
    return images[k].name.strip("/").split("/")[0]


def _in_nm(size: tuple[float, float]) -> str:
    """A pixel size (y, x) in nm."""
    if not np.isfinite(size[0]):
        return "of unknown pixel"
    y, x = (1000 * one for one in size)
    return f"{x:.4g} nm" if abs(x - y) < _SAME_PIXEL * x else f"{y:.4g} × {x:.4g} nm"


FORMAT = Format(
    name="cxi",
    title="CXI reconstruction",
    extensions=(".cxi",),
    sniff=sniff,
    open=open_,
    tried="a real file of COSMIC",
    about="ptychography of COSMIC and others: intensity, amplitude or phase of complex images; "
    "a folder of files, one energy each",
)
