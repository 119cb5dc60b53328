"""CXI reconstructions of ptychography (COSMIC and others): complex images, one per energy.

A file holds one energy, or several as ``entry_1``, ``entry_2``, …; a folder of files with one
energy each opens as one stack. Images whose pixels or shapes differ are brought to the coarsest
pixel (`_common`): what is interpolated is ψ without its phase ramp (`regrid_wave` says why), whose
intensity, amplitude or phase is then taken; images of real numbers are interpolated as they are.
Images that need no change are read exactly as they are stored.

Row 0 is the top of the image: a COSMIC reconstruction correlates with the STXM images of the same
particle (whose rows rise with y) to 0.975 when its rows are reversed, to 0.80 as stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard, _hdf5, _wave
from chemoscape.formats._lengths import centres
from chemoscape.formats._record import Format
from chemoscape.formats._source import Choice, Source, Wanted, choose, some
from chemoscape.formats.cxi._common import Common, common_of, described, pixel_sizes
from chemoscape.formats.cxi._file import Entry, Image, entries, numbered
from chemoscape.regrid import regrid, regrid_wave

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
    """Images, one for each energy, the channel of them, and the pixels that they are brought to."""

    images: tuple[Image, ...]
    channel: str
    common: Common | None = None

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Frames × rows as float32."""
        n_x = self.common.shape[1] if self.common else self.images[0].shape[1]
        numbers = range(*frames.indices(len(self.images)))
        values = np.empty((len(numbers), rows.stop - rows.start, n_x), dtype=np.float32)
        for k, part in zip(numbers, values, strict=True):
            with np.errstate(over="ignore"):
                part[...] = self._brought(k, rows) if self.common else self._stored(k, rows)
        return values

    def _stored(self, k: int, rows: slice) -> np.ndarray:
        """Rows of the channel of an image."""
        return _wave.real_image(_held(self.images[k], rows), self.channel)

    def _brought(self, k: int, rows: slice) -> np.ndarray:
        """Rows of the channel of an image on the common pixels."""
        assert self.common is not None  # noqa: S101 - looked at by the caller
        own, (y, x) = self.common.own[k], self.common.grid
        whole = _held(self.images[k], slice(0, self.images[k].shape[0]))
        if not _wave.is_complex(whole.dtype):
            return regrid(whole, *own, y, x)[rows]
        return _wave.real_image(
            regrid_wave(_wave.as_complex(whole), *own, y, x)[rows], self.channel
        )


def _held(image: Image, rows: slice) -> np.ndarray:
    """Rows of an image as they are stored."""
    with _hdf5.opened(image.path) as file:
        data = _hdf5.held(file, image.name)
        first = (0,) if image.modes else ()
        if image.shifted:
            return np.asarray(np.fft.fftshift(data[(*first, ...)])[rows])
        return np.asarray(data[(*first, rows)])


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe a file of reconstructions, or a folder of them.

    Raises
    ------
    FileFormatError
        There is no reconstruction, as in raw diffraction data, or shapes or pixel sizes differ
        and some pixel size is not known.
    """
    found, notes = _of_folder(path) if path.is_dir() else entries(path)
    region, images, more = _reconstruction(found, wanted, path)
    energy = _energies(found, path)
    sizes, source = pixel_sizes(images, energy, wanted, path)
    common, known = common_of(images, sizes, path), []
    if common is not None:
        shapes = [image.shape for image in images]
        known.append(described(common, [_label(one, path) for one in found], sizes, shapes))
    pixel = common.pixel if common else sizes[0]
    is_wave = all(image.is_wave for image in images)
    offers = _wave.CHANNELS if is_wave else _wave.CHANNELS[:1]
    channel = choose("channel", offers, wanted.channel, path)
    frames = Frames(tuple(images), channel.name, common)
    n_y, n_x = common.shape if common else images[0].shape
    middle = frames.read(slice(0, 1), slice(n_y // 2, n_y // 2 + 1))
    quantity, unit, looks = _wave.nature(middle, channel.name)
    looks, usual = _wave.sorted_looks(looks, channel.name, quantity)
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
        per_energy={"noise_gain": common.gains} if common else {},
        attrs={**unit, "pixel_source": source, "rows": "top-down", **started},
        choices=(channel, region),
        notes=(*notes, *more, *looks),
        remarks=(*known, *usual),
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
