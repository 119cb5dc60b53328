"""Plain numbers, frame after frame and row after row: what ``.ncb`` and ``.stk`` files hold.

Neither file says what its numbers mean, so that is judged here by a look at some of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.stack import LOWEST_CREDIBLE_COUNT

#: Rows that are looked at to judge what the numbers are, spread over frames and rows.
_ROWS_LOOKED_AT = 48


@dataclass(frozen=True)
class RawFrames:
    """An array of shape (n_frames, n_rows, n_columns) in a file, the last axis fastest.

    Parameters
    ----------
    path : Path
        The file.
    offset : int
        Bytes before the first number.
    shape : (n_frames, n_rows, n_columns)
        Of the array.
    dtype : str
        Of the numbers, with the byte order, such as ``"<i2"``.
    """

    path: Path
    offset: int
    shape: tuple[int, int, int]
    dtype: str

    @property
    def frame_bytes(self) -> int:
        """Size of one frame."""
        return self.shape[1] * self.shape[2] * np.dtype(self.dtype).itemsize

    @property
    def end(self) -> int:
        """Where the last frame ends, in bytes from the start of the file."""
        return self.offset + self.shape[0] * self.frame_bytes

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Part of the array, in the file's own type.

        Raises
        ------
        FileFormatError
            The file cannot be read, or became shorter.
        """
        numbers = range(*frames.indices(self.shape[0]))
        first, last, _ = rows.indices(self.shape[1])
        part = np.empty((len(numbers), last - first, self.shape[2]), dtype=self.dtype)
        if last - first == self.shape[1] and numbers.step == 1:
            self._fill(part, numbers.start, 0)
        else:
            for place, number in enumerate(numbers):
                self._fill(part[place], number, first)
        return part

    def _fill(self, part: np.ndarray, frame: int, row: int) -> None:
        """Read numbers that follow each other, from a row of a frame on."""
        row_bytes = self.frame_bytes // self.shape[1]
        offset = self.offset + frame * self.frame_bytes + row * row_bytes
        if (
            _guard.read_into(self.path, part.reshape(-1).view(np.uint8), offset=offset)
            < part.nbytes
        ):
            raise FileFormatError(
                f"became shorter while frame {frame + 1} was read", str(self.path), "open it again"
            )


def require_whole(frames: RawFrames, size: int, energy: np.ndarray) -> None:
    """Raise unless `size` bytes hold all frames; names the frame in which a short file ends."""
    n_frames, n_rows, n_columns = frames.shape
    if size >= frames.end:
        return
    cut = max(size - frames.offset, 0) // frames.frame_bytes
    raise FileFormatError(
        f"ends in frame {cut + 1} of {n_frames} ({energy[cut]:.2f} eV): {size} bytes, where "
        f"{n_columns} × {n_rows} pixels at {n_frames} energies need {frames.end}",
        str(frames.path),
        "the file is truncated: copy it again",
    )


def judged_quantity(
    read: Callable[[slice, slice], np.ndarray], shape: tuple[int, int, int]
) -> tuple[str, str]:
    """What numbers of unknown meaning are, by a look at some rows, and what to say about it.

    Counts of a usable image reach tens; numbers that never do are taken for optical densities.

    Returns
    -------
    quantity, note : str
        The note is "" for counts.
    """
    n_frames, n_rows, _ = shape
    places = np.unique(np.linspace(0, n_frames * n_rows - 1, _ROWS_LOOKED_AT).astype(np.int64))
    highest = -np.inf
    for frame, row in zip(*np.divmod(places, n_rows), strict=True):
        part = read(slice(int(frame), int(frame) + 1), slice(int(row), int(row) + 1))
        values = part.astype(np.float32)
        highest = max(highest, float(values.max(where=np.isfinite(values), initial=-np.inf)))
    if not 0 < highest < LOWEST_CREDIBLE_COUNT:
        return "counts", ""
    return "optical_density", (
        f"the file does not say what its values are; those looked at go up to {highest:.3g}, so "
        'they are taken for optical densities: quantity = "transmission" or "counts" overrides this'
    )


def even_axis(first: float, last: float, n: int) -> np.ndarray | None:
    """Pixel centres (µm) between the first and the last; None when several pixels share a place."""
    if n > 1 and not abs(last - first) / (n - 1) > 1e-9 * max(abs(first), abs(last)):
        return None
    return np.linspace(first, last, n)
