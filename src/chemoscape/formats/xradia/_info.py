"""What an Xradia file says of its images: sizes, energies, exposures, times, its reference.

Every fact is a stream of plain little-endian numbers or fixed slots of text below ``ImageInfo``,
one for the file or one for each image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats._source import some
from chemoscape.formats.xradia._fields import (
    known,
    per_image,
    positive,
    scalar,
    seconds_of,
    typed_in,
)
from chemoscape.formats.xradia._ole import Compound
from chemoscape.formats.xradia._streams import Stream

#: Types of pixels by the number in DataType. Cameras give 5, which is unsigned, and processed
#: images 10.
_TYPES = {2: "<i1", 3: "<u1", 4: "<i2", 5: "<u2", 6: "<i4", 7: "<u4", 10: "<f4"}

#: More images, or pixels along an axis, than any file has.
_LONGEST_AXIS = 100_000


@dataclass(frozen=True, eq=False)
class Picture:
    """One image in a file.

    Parameters
    ----------
    path : Path
        The file.
    stream : Stream
        Its bytes, row after row.
    dtype : str
        Of the pixels.
    exposure : float
        ms, NaN when unknown.
    """

    path: Path
    stream: Stream
    dtype: str
    exposure: float

    def rows(self, rows: slice, n_x: int) -> np.ndarray:
        """Some rows, shape (rows, n_x)."""
        row = n_x * np.dtype(self.dtype).itemsize
        content = self.stream.read(self.path, rows.start * row, rows.stop * row)
        return np.frombuffer(content, self.dtype).reshape(rows.stop - rows.start, n_x)


@dataclass(frozen=True, eq=False)
class Info:
    """One file.

    Parameters
    ----------
    path : Path
        The file.
    shape : (n_y, n_x)
        Of every image.
    pictures : tuple of Picture or None
        One for each planned image; None where it is missing.
    n_taken : int
        Number of planned images up to the last one that is there.
    energy : ndarray, shape (n,), or None
        eV as noted, when there is one note for each image.
    trouble : str
        Why there is none.
    angle, current, exposure, seconds : ndarray, shape (n,)
        Degrees, mA, ms, seconds since 1970 (local time); NaN where unknown.
    pixel_um : float
        Pixel size, NaN when unknown.
    reference : Picture or None
        Image of the light without a sample.
    corrected : bool
        The images were divided by the reference already.
    mosaic : bool
        The images are tiles of one large image.
    facts : dict
        Facility, sample.
    notes : tuple of str
        What the user must know.
    """

    path: Path
    shape: tuple[int, int]
    pictures: tuple[Picture | None, ...]
    n_taken: int
    energy: np.ndarray | None
    trouble: str
    angle: np.ndarray
    current: np.ndarray
    exposure: np.ndarray
    seconds: np.ndarray
    pixel_um: float
    reference: Picture | None
    corrected: bool
    mosaic: bool
    facts: dict[str, str]
    notes: tuple[str, ...]


def read_info(file: Compound) -> Info:
    """Facts about the images in a file.

    Raises
    ------
    FileFormatError
        Sizes are missing or impossible, there is no image, or one is not as long as they say.
    """
    n_x, n_y, n = (_size(file, name) for name in ("ImageWidth", "ImageHeight", "NoOfImages"))
    taken = scalar(file, "ImageInfo/ImagesTaken", "<i4")
    n_taken = min(n, int(taken)) if taken >= 0 else n
    streams = [file.stream(f"ImageData{-(-k // 100)}/Image{k}") for k in range(1, n_taken + 1)]
    there = [k for k, stream in enumerate(streams) if stream is not None and stream.size]
    if not there:
        raise FileFormatError(
            "holds no image", str(file.path), "the scan was stopped before the first one"
        )
    n_taken = there[-1] + 1
    missing = sorted(set(range(n_taken)) - set(there))
    first = streams[there[0]]
    assert first is not None  # noqa: S101 - it is there
    dtype = _type(file, "ImageInfo/DataType", first.size, n_x * n_y)
    exposure = per_image(file, "ExpTimes", n)
    if exposure is None:
        exposure = np.full(n, scalar(file, "ImageInfo/ExpTime", "<f4"))
    exposure = 1000 * np.where(exposure > 0, exposure, np.nan)
    pictures: list[Picture | None] = [None] * n
    for k in there:
        stream = streams[k]
        assert stream is not None  # noqa: S101 - it is there
        _require_whole(stream, f"image {k + 1} of {n}", dtype, (n_y, n_x), file.path)
        pictures[k] = Picture(file.path, stream, dtype, float(exposure[k]))
    energy, trouble = _energies(file, n, n_taken)
    reference, note = _reference(file, (n_y, n_x))
    pixel = scalar(file, "ImageInfo/PixelSize", "<f4")
    notes = [note]
    if missing:
        listed = ", ".join(some([k + 1 for k in missing]))
        notes.append(f"{len(missing)} of {n} images are missing in the middle: {listed}")
    if _has_shifts(file):
        notes.append("it notes shifts that align the images; they are not applied")
    return Info(
        path=file.path,
        shape=(n_y, n_x),
        pictures=tuple(pictures),
        n_taken=n_taken,
        energy=energy,
        trouble=trouble,
        angle=known(per_image(file, "Angles", n), n),
        current=positive(per_image(file, "Current", n), n),
        exposure=exposure,
        seconds=seconds_of(file, n),
        pixel_um=pixel if 0 < pixel < 1e6 else np.nan,
        reference=reference,
        corrected=scalar(file, "ImageInfo/OriginalDataRefCorrected", "<i4") == 1,
        mosaic=_is_mosaic(file),
        facts=typed_in(file),
        notes=tuple(filter(None, notes)),
    )


def _size(file: Compound, name: str) -> int:
    """A number of pixels or images."""
    value = scalar(file, f"ImageInfo/{name}", "<i4")
    if not 1 <= value <= _LONGEST_AXIS:
        raise FileFormatError(
            f"ImageInfo/{name} is {value:g}", str(file.path), "the file is damaged: copy it again"
        )
    return int(value)


def _energies(file: Compound, n: int, n_taken: int) -> tuple[np.ndarray | None, str]:
    """Noted energies (eV), NaN for images not taken, or None and what is wrong with them."""
    noted = per_image(file, "Energy", n)
    if noted is None:
        content = file.content("ImageInfo/Energy")
        if content is None:
            return None, "notes no photon energies"
        return None, f"notes {len(content) // 4} photon energies for {n} images"
    noted = positive(noted, n)
    if np.isnan(noted[:n_taken]).any():
        return None, "notes photon energies of 0 eV"
    return noted, ""


def _type(file: Compound, name: str, n_bytes: int, n_pixels: int) -> str:
    """Type of the pixels as the file notes it, or else as their number of bytes implies."""
    number = scalar(file, name, "<i4")
    if np.isnan(number):
        return "<f4" if n_bytes == 4 * n_pixels else "<u2"
    if int(number) not in _TYPES:
        raise FileFormatError(
            f"{name} is {number:g}, which is no type of pixels known here",
            str(file.path),
            "export the images as 16-bit or float .xrm or .txrm",
        )
    return _TYPES[int(number)]


def _require_whole(
    stream: Stream, what: str, dtype: str, shape: tuple[int, int], path: Path
) -> None:
    """Refuse an image that is not as long as its pixels need."""
    needed = shape[0] * shape[1] * np.dtype(dtype).itemsize
    if stream.size != needed:
        raise FileFormatError(
            f"{what} has {stream.size} bytes, where {shape[1]} × {shape[0]} pixels of "
            f"{np.dtype(dtype).name} need {needed}",
            str(path),
            "the file is damaged or still being written: copy it again",
        )


def _reference(file: Compound, shape: tuple[int, int]) -> tuple[Picture | None, str]:
    """The reference image, or why it is left out."""
    stream = file.stream("ReferenceData/Image")
    if stream is None or not stream.size:
        return None, ""
    n_pixels = shape[0] * shape[1]
    dtype = _type(file, "ReferenceData/DataType", stream.size, n_pixels)
    if stream.size != n_pixels * np.dtype(dtype).itemsize:
        return None, "its reference image has another size than the images, and is left out"
    times = [
        scalar(file, f"ReferenceData/{name}", "<f4")
        for name in ("ExpTime", "ImageInfo/ExpTimes", "ImageInfo/ExpTime")
    ]
    noted = [time for time in times if time > 0]
    return Picture(file.path, stream, dtype, 1000 * noted[0] if noted else np.nan), ""


def _is_mosaic(file: Compound) -> bool:
    """Whether images are tiles; the misspelling is the format's."""
    mode = scalar(file, "ImageInfo/MosiacMode", "<i4")
    if np.isfinite(mode):
        return mode == 1
    tiles = [scalar(file, f"ImageInfo/Mosiac{name}", "<i4") for name in ("Columns", "Rows")]
    return max(tiles) > 1


def _has_shifts(file: Compound) -> bool:
    """Whether shifts were stored with the images."""
    for name in ("X-Shifts", "Y-Shifts"):
        content = file.content(f"Alignment/{name}") or b""
        values = np.frombuffer(content[: len(content) // 4 * 4], "<f4")
        if (np.isfinite(values) & (values != 0)).any():
            return True
    return False
