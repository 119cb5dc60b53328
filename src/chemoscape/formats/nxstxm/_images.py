"""Images of an NXstxm file: parts of them as energy, y, x, and how far they were measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5

#: Rows of frames that are looked at in one go, bytes.
_LOOK_BYTES = 32_000_000


@dataclass(frozen=True)
class Images:
    """An array of images in a file, and how to read parts of it.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The dataset.
    order : str
        A letter for each of its dimensions: e, y, x, or "." where only the first is meant.
    shape : (n_energy, n_y, n_x)
        Of the stack; there may be fewer frames in the file.
    frames, rows : int
        How many frames were measured, and how many rows of the last one; the rest reads as NaN.
    floats : str
        What floating point numbers become. HDF5 narrows doubles while it reads: half the memory,
        and no warning where they overflow.
    """

    path: Path
    name: str
    order: str
    shape: tuple[int, int, int]
    frames: int
    rows: int
    floats: str = "f4"

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Part of the images."""
        with _hdf5.opened(self.path) as file:
            values = self._cut(file, slice(frames.start, min(frames.stop, self.frames)), rows)
        return unmeasured_as_nan(values, self, frames, rows)

    def _cut(self, file: h5py.File, frames: slice, rows: slice) -> np.ndarray:
        """Part of the measured frames."""
        found = _hdf5.array(file, self.name)
        n_frames, n_rows = max(frames.stop - frames.start, 0), rows.stop - rows.start
        if found is None or found.ndim != len(self.order):
            raise FileFormatError(
                f"{self.name} is no longer there as it was", str(self.path), "open the file again"
            )
        if not n_frames:
            return np.empty((0, n_rows, self.shape[2]), dtype=np.float32)
        parts = {"e": frames, "y": rows, "x": slice(0, self.shape[2]), ".": 0}
        asked = found.astype(self.floats) if found.dtype.kind == "f" else found
        values = np.asarray(asked[tuple(parts[role] for role in self.order)])
        kept = self.order.replace(".", "")
        if "e" not in kept:
            values, kept = values[None], f"e{kept}"
        values = values.transpose([kept.index(role) for role in "eyx"])
        if values.shape != (n_frames, n_rows, self.shape[2]):
            raise FileFormatError(
                f"{self.name} has become smaller since it was opened",
                str(self.path),
                "open the file again",
            )
        return values


def unmeasured_as_nan(values: np.ndarray, images: Images, frames: slice, rows: slice) -> np.ndarray:
    """The frames asked for, NaN behind those that were read and in the rows after the last one."""
    n_frames, last = frames.stop - frames.start, images.frames - 1 - frames.start
    missing = max(images.rows - rows.start, 0)
    cut = 0 <= last < n_frames and missing < rows.stop - rows.start
    if len(values) == n_frames and not cut:
        return values
    whole = np.full((n_frames, *values.shape[1:]), np.nan, dtype=np.float32)
    whole[: len(values)] = values
    if cut:
        whole[last, missing:] = np.nan
    return whole


def measured(images: Images) -> Images:
    """The same images, with how far they were measured.

    Frames at the end that hold nothing but NaN or zero are those of a scan in progress or aborted;
    frames in the middle never are, nor is a dark row. Looks at the middle row of the last frames,
    and reads those wholly whose middle row is empty.
    """
    n_energy, n_y, n_x = images.shape
    if min(n_y, n_x) < 1:
        return images
    n_frames = _last_with_content(images.read, images.frames, slice(n_y // 2, n_y // 2 + 1))
    if n_frames < images.frames:
        n_frames = _confirmed(images.read, n_frames, images.frames, n_y, n_x)
    rows = _rows_of_last(images, n_frames, n_y) if n_frames else n_y
    if n_energy == 1 and n_frames == 0:
        return images  # one dark image
    return replace(images, frames=n_frames, rows=rows)


def missing_note(images: Images, energy: np.ndarray | None) -> str:
    """What to say of frames and rows that were not measured, "" when there are none."""
    n_energy, n_y, _ = images.shape
    said = []
    if not images.frames:
        return f"none of its {n_energy} images has been measured; they are NaN"
    if images.frames < n_energy:
        at = "" if energy is None else f", from {energy[images.frames]:.2f} eV on,"
        said.append(f"the last {n_energy - images.frames} of {n_energy} images{at} are empty")
    if images.rows < n_y:
        said.append(f"image {images.frames} ends after row {images.rows} of {n_y}")
    ending = " (a scan in progress, or aborted); what is missing is NaN"
    return " and ".join(said) + ending if said else ""


def has_content(values: np.ndarray) -> np.ndarray:
    """Of every row of values, whether anything in it is neither zero nor NaN."""
    return np.asarray(((values != 0) & (values == values)).any(axis=-1))


def _last_with_content(read: Callable[[slice, slice], np.ndarray], n: int, rows: slice) -> int:
    """Number of frames up to the last whose `rows` hold something, in growing steps from the
    end.
    """
    step, stop = 1, n
    while stop > 0:
        start = max(stop - step, 0)
        seen = np.flatnonzero(has_content(read(slice(start, stop), rows)).any(axis=-1))
        if seen.size:
            return start + int(seen[-1]) + 1
        stop, step = start, min(2 * step, 64)
    return 0


def _confirmed(
    read: Callable[[slice, slice], np.ndarray], first: int, n: int, n_y: int, n_x: int
) -> int:
    """Number of frames up to the last that holds something in any row."""
    height = max(_LOOK_BYTES // (4 * n_x), 1)
    for frame in range(n - 1, first - 1, -1):
        for start in range(0, n_y, height):
            rows = slice(start, min(start + height, n_y))
            if has_content(read(slice(frame, frame + 1), rows)).any():
                return frame + 1
    return first


def _rows_of_last(images: Images, n_frames: int, n_y: int) -> int:
    """Rows of the last measured frame that were measured.

    NaN was never measured; zeros were not where the frame before has something else.
    """
    last, before = slice(n_frames - 1, n_frames), slice(n_frames - 2, n_frames - 1)
    end = slice(n_y - 1, n_y)
    if has_content(images.read(last, end)).any():
        return n_y
    everything = slice(0, n_y)
    frame = images.read(last, everything)[0]
    seen = np.flatnonzero(has_content(frame))
    n_rows = int(seen[-1]) + 1 if seen.size else 0
    rest = slice(n_rows, n_y)
    if np.isnan(frame[rest].astype(np.float32)).all():
        return n_rows
    if n_frames > 1 and has_content(images.read(before, rest)).any():
        return n_rows
    return n_y
