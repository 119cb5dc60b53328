"""``.stk`` of stack_analyze: big-endian numbers (XDR), axes first.

::

    int32   nx, ny, nE
    float32 x[nx], y[ny]          µm
    float32 E[nE], dwell[nE]      eV, ms
    float32 data[nE][ny][nx]
    strings                       names of the frames, in some files

MetaMorph stacks have the same ending and are TIFF files; they are not read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats._raw_frames import RawFrames, judged_quantity, require_whole
from chemoscape.formats._record import Format
from chemoscape.formats._source import Source, Wanted

#: More pixels along an axis, or more energies, than any scan has.
_LONGEST_AXIS = 100_000

#: Longest file name that an operating system knows.
_LONGEST_NAME = 4096


@dataclass(frozen=True, eq=False)
class Header:
    """What stands before the images.

    Parameters
    ----------
    frames : RawFrames
        Where the images are.
    x, y : ndarray
        Pixel centres, µm.
    energy, dwell : ndarray, shape (n_energy,)
        eV, ms.
    """

    frames: RawFrames
    x: np.ndarray
    y: np.ndarray
    energy: np.ndarray
    dwell: np.ndarray


def sniff(path: Path) -> bool:
    """Whether a file begins with three sizes, two axes that run steadily, and photon energies."""
    try:
        return path.is_file() and _header(path) is not None
    except (FileFormatError, OSError):
        return False


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe a stack.

    Raises
    ------
    FileFormatError
        The file is truncated, or longer than its sizes say.
    """
    header = _header(path)
    if header is None:
        raise FileFormatError("has no header of sizes and axes", str(path), "copy it again")
    frames = header.frames
    size = path.stat().st_size
    require_whole(frames, size, header.energy)
    names = _names(path, frames.end, size, frames.shape)
    quantity, note = judged_quantity(frames.read, frames.shape)
    dwell = np.where(header.dwell > 0, header.dwell, np.nan)
    return Source(
        where=path,
        shape=frames.shape,
        read=partial(RawFrames.read, frames),
        energy=header.energy,
        y=header.y if _is_axis(header.y) else None,
        x=header.x if _is_axis(header.x) else None,
        quantity=quantity,
        per_energy={
            **({"dwell": dwell} if np.isfinite(dwell).any() else {}),
            **({"image": np.array(names)} if names else {}),
        },
        notes=(note,) if note else (),
        files=(path,),
    )


def _header(path: Path) -> Header | None:
    """The header, or None when the bytes cannot be one."""
    size = path.stat().st_size
    if size < 12:
        return None
    n_x, n_y, n_energy = np.frombuffer(_guard.read_at(path, 0, 12), ">i4").tolist()
    if not all(1 <= n <= _LONGEST_AXIS for n in (n_x, n_y, n_energy)):
        return None
    lengths = (n_x, n_y, n_energy, n_energy)
    start = 12 + 4 * sum(lengths)
    if size < start:
        return None
    numbers = np.frombuffer(_guard.read_at(path, 12, start - 12), ">f4")
    if not np.isfinite(numbers).all():
        return None
    x, y, energy, dwell = np.split(numbers.astype(np.float64), np.cumsum(lengths)[:-1])
    if not all(_is_axis(axis) or not axis.any() for axis in (x, y)):
        return None
    if not ((energy > 1) & (energy < 1e6)).all():
        return None
    return Header(RawFrames(path, start, (n_energy, n_y, n_x), ">f4"), x, y, energy, dwell)


def _is_axis(axis: np.ndarray) -> bool:
    """Whether positions rise or fall steadily."""
    step = np.diff(axis)
    return bool((step > 0).all() or (step < 0).all())


def _names(path: Path, start: int, size: int, shape: tuple[int, int, int]) -> list[str]:
    """Names of the frames behind the images; none when nothing or something else stands there.

    Raises
    ------
    FileFormatError
        What follows is no list of strings: the sizes do not belong to this file.
    """
    if size == start:
        return []
    strings: list[str] | None = None
    if size - start <= shape[0] * (_LONGEST_NAME + 8):
        # Layout inferred from XDR and from how IDL writes strings, not seen in a real file.
        content = _guard.read_at(path, start, size - start)
        strings = _strings(content, doubled=False) or _strings(content, doubled=True)
    if not strings:
        raise FileFormatError(
            f"has {size} bytes, where {shape[2]} × {shape[1]} pixels at {shape[0]} energies need "
            f"{start}, and what follows is no list of names",
            str(path),
            "copy the file again",
        )
    return strings if len(strings) == shape[0] else []


def _strings(content: bytes, *, doubled: bool) -> list[str] | None:
    """XDR strings: a length (twice, as IDL writes it), then text padded to four bytes."""
    strings, place = [], 0
    while place < len(content):
        head = content[place : place + (8 if doubled else 4)]
        length = int.from_bytes(head[:4], "big")
        place += len(head)
        text = content[place : place + length]
        place += length + -length % 4
        if head[:4] != head[-4:] or len(text) < length or not text.rstrip(b"\0").isascii():
            return None
        strings.append(text.rstrip(b"\0").decode("ascii"))
        if not strings[-1].isprintable():
            return None
    return strings if place == len(content) else None


FORMAT = Format(
    name="stk",
    title="stack_analyze",
    extensions=(".stk",),
    sniff=sniff,
    open=open_,
    tried="files built as published",
    about="32-bit floats, read in bands; not the MetaMorph files of the same ending",
)
