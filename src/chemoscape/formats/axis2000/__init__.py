"""aXis2000 stacks: ``name.ncb`` with the numbers, ``name.dat`` with what they are.

The ``.ncb`` holds 16-bit integers (value = number / scale) or, with a negative scale, 32-bit
floats, little-endian: x fastest, then y, then energy. The ``.dat`` gives the centres of the first
and last pixel, so an axis may descend.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats._raw_frames import (
    RawFrames,
    even_axis,
    judged_quantity,
    require_whole,
)
from chemoscape.formats._record import Format
from chemoscape.formats._source import Source, Wanted
from chemoscape.formats.axis2000._header import Header, read_header
from chemoscape.formats.axis2000._write import write

_ENDINGS = (".ncb", ".dat")


@dataclass(frozen=True)
class Images:
    """The numbers, and how to make values of them.

    Parameters
    ----------
    raw : RawFrames
        The array in the file.
    scale : float
        Divides 16-bit integers; not used for floats.
    swapped : bool
        The file's rows are columns of the image.
    """

    raw: RawFrames
    scale: float
    swapped: bool

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Part of the images, shape (frames, rows, n_x)."""
        if not self.swapped:
            return self._scaled(self.raw.read(frames, rows))
        numbers = range(*frames.indices(self.raw.shape[0]))
        part = np.empty((len(numbers), rows.stop - rows.start, self.raw.shape[1]), np.float32)
        for place, k in enumerate(numbers):
            whole = self.raw.read(slice(k, k + 1), slice(0, self.raw.shape[1]))
            part[place] = self._scaled(whole[0, :, rows].T)
        return part

    def _scaled(self, numbers: np.ndarray) -> np.ndarray:
        """Values of numbers in the file."""
        if self.scale < 0 or self.scale == 1:
            return numbers
        exact = np.float32(self.scale) == self.scale  # 10 and 100 are, 0.1 is not
        scale = np.float32(self.scale) if exact else np.float64(self.scale)
        with np.errstate(over="ignore"):
            return (numbers / scale).astype(np.float32, copy=False)


def sniff(path: Path) -> bool:
    """Whether `path` is one of the two files: the ``.dat`` by its text or by an ``.ncb`` beside it.

    The ``.ncb`` has no content to judge; it is claimed, so that what is wrong with its ``.dat`` can
    be said.
    """
    if path.suffix.lower() not in _ENDINGS or not path.is_file():
        return False
    if path.suffix.lower() == ".ncb" or any(_beside(path, ".ncb")):
        return True
    try:
        read_header(path)
    except FileFormatError:
        return False
    return True


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe a stack, given by either of its two files.

    Raises
    ------
    FileFormatError
        One of the files is missing, the text is damaged, or the sizes disagree.
    """
    header, numbers = _pair(path)
    raw = _frames(header, numbers)
    if wanted.energy is None and header.energy.min() <= 0:
        raise FileFormatError(
            f"lists an energy of {header.energy.min():g} eV, as where the list holds angles",
            str(numbers.with_suffix(".dat")),
            "give the photon energies: energy = a list in eV, or a text file with one per line",
        )
    swapped = _is_swapped(wanted.axes, numbers)
    images = Images(raw, header.scale, swapped)
    x, y = even_axis(*header.x, header.n_x), even_axis(*header.y, header.n_y)
    shape = raw.shape
    if swapped:
        x, y, shape = y, x, (shape[0], shape[2], shape[1])
    quantity, note = judged_quantity(images.read, shape)
    dwell = header.dwell
    steady = np.isfinite(dwell).all() and np.ptp(dwell) == 0
    return Source(
        where=numbers,
        shape=shape,
        read=partial(Images.read, images),
        energy=header.energy,
        y=y,
        x=x,
        quantity=quantity,
        per_energy={
            **({"dwell": dwell} if np.isfinite(dwell).any() else {}),
            **({"image": np.array(header.names)} if any(header.names) else {}),
        },
        attrs={"dwell_ms": float(dwell[0])} if steady else {},
        notes=tuple(filter(None, (_cut_note(header), note, _swap_note(header, wanted.axes)))),
        framewise=swapped,
        files=(numbers, _required(numbers, ".dat")),
    )


def _beside(path: Path, ending: str) -> list[Path]:
    """Files with the same stem and another ending, whichever case that is written in."""
    names = (path.with_suffix(ending), path.with_suffix(ending.upper()))
    return [name for name in names if os.path.lexists(name)]


def _required(path: Path, ending: str) -> Path:
    """The path itself if it ends so, else its companion, which must be there."""
    if path.suffix.lower() == ending:
        return path
    found = _beside(path, ending)
    if not found:
        raise FileFormatError(
            f"{path.with_suffix(ending).name} is missing beside it",
            str(path),
            "copy both files, the .ncb and the .dat, into one folder",
        )
    return _guard.regular_file(found[0], inside=path.parent)


def _pair(path: Path) -> tuple[Header, Path]:
    """The header, and the path of the numbers."""
    return read_header(_required(path, ".dat")), _required(path, ".ncb")


def _frames(header: Header, path: Path) -> RawFrames:
    """The array in the file, whose size must agree exactly."""
    dtype = "<i2" if header.scale > 0 else "<f4"
    shape = (header.energy.size, header.n_y, header.n_x)
    raw = RawFrames(path, 0, shape, dtype)
    size = path.stat().st_size
    require_whole(raw, size, header.energy)
    if size > raw.end:
        raise FileFormatError(
            f"has {size} bytes, where {header.n_x} × {header.n_y} pixels at {shape[0]} energies "
            f"({np.dtype(dtype).name}, as the scale of {header.scale:g} says) need {raw.end}",
            str(path),
            "the .dat does not belong to this .ncb: copy both again",
        )
    return raw


def _is_swapped(axes: str | None, path: Path) -> bool:
    """Whether the user says that x and y are exchanged in the file."""
    if axes is None or axes.lower() == "eyx":
        return False
    if axes.lower() == "exy":
        return True
    raise FileFormatError(
        f"axes = {axes!r} is not possible: the file keeps frame after frame",
        str(path),
        'use axes = "eyx" (rows along x, the usual order) or "exy" (x and y exchanged)',
    )


def _cut_note(header: Header) -> str:
    """What to say of a text that ends in its last energy."""
    if header.ended:
        return ""
    return (
        f"the .dat has no line end behind the last energy, {header.energy[-1]:g} eV: it may be cut"
    )


def _swap_note(header: Header, axes: str | None) -> str:
    """What to say of a file by MANTiS; nothing in it tells its version."""
    if axes is not None or not header.from_mantis:
        return ""
    return (
        "its frames are named as by MANTiS, whose versions before 3.3.0 exchanged x and y: "
        'axes = "exy" exchanges them back, axes = "eyx" confirms the order'
    )


FORMAT = Format(
    name="axis2000",
    title="aXis2000",
    extensions=_ENDINGS,
    sniff=sniff,
    open=open_,
    write=write,
    write_extensions=(".ncb",),
    takes_axes=True,
    tried="files built as published",
    about="integers with a scale, or floats; read in bands; written rounded, never truncated",
)
