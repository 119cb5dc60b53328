"""Xradia (Zeiss) ``.txrm`` and ``.xrm``: full-field X-ray microscopes at ALBA, Diamond, APS, SSRL.

A ``.txrm`` holds many images, an ``.xrm`` usually one; a folder of ``.xrm`` is read as one stack.
Rows stay in the order of the file, the first at the lowest y: programs differ on which way that
is up, and nothing in the file tells. Shifts noted for alignment are not applied.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats._record import Format
from chemoscape.formats._source import Source, Wanted, choose
from chemoscape.formats.xradia import _ole
from chemoscape.formats.xradia._energy import energies
from chemoscape.formats.xradia._fields import earliest
from chemoscape.formats.xradia._info import Info, Picture, read_info
from chemoscape.stack import LOWEST_CREDIBLE_COUNT

_ENDINGS = (".txrm", ".xrm")
_MARK = "imageinfo/imagewidth"


@dataclass(frozen=True, eq=False)
class Images:
    """The images, and what they are divided by.

    Parameters
    ----------
    pictures : tuple of Picture or None
        None where there is no image: it reads as NaN.
    references : tuple of Picture or None
        Of each image, for transmission; empty for counts.
    shape : (n_y, n_x)
        Of every image.
    """

    pictures: tuple[Picture | None, ...]
    references: tuple[Picture | None, ...]
    shape: tuple[int, int]

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Part of the images, shape (frames, rows, n_x)."""
        numbers = range(*frames.indices(len(self.pictures)))
        n_x = self.shape[1]
        part = np.empty((len(numbers), rows.stop - rows.start, n_x), self._dtype)
        light: tuple[Picture, np.ndarray] | None = None
        for place, k in enumerate(numbers):
            picture = self.pictures[k]
            if picture is None:
                part[place] = np.nan
                continue
            part[place] = picture.rows(rows, n_x)
            reference = self.references[k] if self.references else None
            if reference is None:
                continue
            if light is None or light[0] is not reference:
                light = reference, _light(reference, rows, n_x)
            longer = reference.exposure / picture.exposure
            with np.errstate(over="ignore", invalid="ignore"):
                part[place] *= (1.0 if np.isnan(longer) else longer) / light[1]
        return part

    @property
    def _dtype(self) -> np.dtype:
        """Type that holds all images; floats where some are missing or divided."""
        types = {picture.dtype for picture in self.pictures if picture}
        if self.references or None in self.pictures or len(types) > 1:
            return np.dtype(np.float32)
        return np.dtype(types.pop())


def _light(reference: Picture, rows: slice, n_x: int) -> np.ndarray:
    """Rows of the reference image, NaN where no light was counted."""
    with np.errstate(invalid="ignore", over="ignore"):
        values = reference.rows(rows, n_x).astype(np.float32)
    return np.where(values > 0, values, np.float32(np.nan))


def sniff(path: Path) -> bool:
    """Whether `path` is an Xradia file, or a folder that holds one."""
    try:
        if path.is_dir():
            return any(_is_xradia(file) for file in _members(path))
        return _is_xradia(path)
    except (FileFormatError, OSError):
        return False


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe the images of a file, or of a folder of files with one image each.

    Raises
    ------
    FileFormatError
        A file is damaged, the images are no stack over energy, or their energies are unknown.
    """
    infos = _infos(path)
    for info in infos:
        _refuse_mosaic(info)
        if info.shape != infos[0].shape:
            raise FileFormatError(
                f"has {info.shape[1]} × {info.shape[0]} pixels, {infos[0].path.name} "
                f"{infos[0].shape[1]} × {infos[0].shape[0]}",
                str(info.path),
                "keep only the files of one scan in the folder",
            )
    energy, n, said = energies(infos, wanted, path)
    pictures = tuple(picture for info in infos for picture in info.pictures)[:n]
    names, notes = _channels(infos)
    channel = choose("channel", names, wanted.channel, path)
    references: tuple[Picture | None, ...] = ()
    if channel.index == 1:
        references = tuple(info.reference for info in infos for _ in info.pictures)[:n]
        notes += _exposure_notes(pictures, references)
    along = {
        "dwell": np.concatenate([info.exposure for info in infos])[:n],
        "ring_current": np.concatenate([info.current for info in infos])[:n],
        "angle": np.concatenate([info.angle for info in infos])[:n],
        "time": np.concatenate([info.seconds for info in infos])[:n],
    }
    started = earliest(along["time"].tolist())
    if started:
        along["time"] = along["time"] - np.nanmin(along["time"])
    seen = [picture for picture in pictures if picture]
    y, x = _axes(infos)
    return Source(
        where=path,
        shape=(n, *infos[0].shape),
        read=partial(Images.read, Images(pictures, references, infos[0].shape)),
        energy=energy,
        y=y,
        x=x,
        quantity=channel.name,
        per_energy={key: values for key, values in along.items() if np.isfinite(values).any()},
        attrs={**infos[0].facts, **({"started": started} if started else {})},
        choices=(channel,),
        notes=(*_unfinished(infos), *said, *notes, *_pixel_notes(infos), *infos[0].notes),
        complete=all(info.n_taken == len(info.pictures) for info in infos),
        framewise=not all(picture.stream.compact for picture in seen),
        files=tuple(info.path for info in infos),
    )


def _is_xradia(path: Path) -> bool:
    """Whether a file is a compound file with Xradia's streams."""
    if not path.is_file() or path.stat().st_size < 512:
        return False
    if _guard.read_at(path, 0, len(_ole.MAGIC)) != _ole.MAGIC:
        return False
    try:
        return _MARK in _ole.opened(path).entries
    except FileFormatError:
        # a truncated compound file has no readable content: its name decides who says so
        return path.suffix.lower() in _ENDINGS


def _members(folder: Path) -> list[Path]:
    """Files of a folder, in the order of the numbers in their names."""
    found = [
        _guard.regular_file(file, inside=folder)
        for file in folder.iterdir()
        if file.suffix.lower() in _ENDINGS and not file.name.startswith(".")
    ]
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts 2 before 10."""
    return [
        (int(word), "") if word.isdecimal() else (-1, word)
        for word in re.split(r"([0-9]+)", path.name)
    ]


def _infos(path: Path) -> list[Info]:
    """Facts of the file, or of all files of the folder."""
    if not path.is_dir():
        return [read_info(_ole.opened(path))]
    infos = [read_info(_ole.opened(file)) for file in _members(path)]
    several = [info.path.name for info in infos if len(info.pictures) > 1]
    if several and len(infos) > 1:
        raise FileFormatError(
            f"holds {len(infos)} files, and in {several[0]} there are several images",
            str(path),
            "give the path of one file",
        )
    return infos


def _refuse_mosaic(info: Info) -> None:
    """Refuse tiles."""
    if info.mosaic:
        raise FileFormatError(
            "is a mosaic: its images are tiles of one large image, not a stack over energy",
            str(info.path),
            "give a scan over energy",
        )


def _channels(infos: Sequence[Info]) -> tuple[list[str], list[str]]:
    """What can be opened, and what to say about that."""
    highest = _highest(infos[0])
    if infos[0].corrected or highest < LOWEST_CREDIBLE_COUNT:
        if highest >= LOWEST_CREDIBLE_COUNT:
            return ["counts"], [
                "it says that its images are divided by the reference already, but its values are "
                f"no transmission (up to {highest:g}): they are taken for counts"
            ]
        if infos[0].corrected:
            return ["transmission"], []
        return ["transmission"], [
            f"the values looked at go up to {highest:.3g}, so they are taken for transmission; "
            "quantity = … overrides this"
        ]
    if any(info.reference is None for info in infos):
        return ["counts"], []
    return ["counts", "transmission"], []


def _highest(info: Info) -> float:
    """Highest value in some rows of a file of floats; integers are counts."""
    highest = -np.inf
    for picture in [picture for picture in info.pictures if picture][:3]:
        if picture.dtype != "<f4":
            return np.inf
        for row in np.unique(np.linspace(0, info.shape[0] - 1, 8).astype(int)).tolist():
            values = picture.rows(slice(row, row + 1), info.shape[1])
            highest = max(highest, float(values.max(where=np.isfinite(values), initial=-np.inf)))
    return highest if highest > 0 else np.inf


def _exposure_notes(
    pictures: Sequence[Picture | None], references: Sequence[Picture | None]
) -> list[str]:
    """Says that exposure times are not known."""
    pairs = zip(pictures, references, strict=True)
    unknown = [
        one for one, light in pairs if one and light and np.isnan(one.exposure / light.exposure)
    ]
    if not unknown:
        return []
    return ["exposure times of images or reference are not noted; they are taken as equal"]


def _axes(infos: Sequence[Info]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Pixel centres (µm) from the first one on, None without a pixel size."""
    pixel = infos[0].pixel_um
    if not np.isfinite(pixel):
        return None, None
    n_y, n_x = infos[0].shape
    return pixel * np.arange(n_y), pixel * np.arange(n_x)


def _pixel_notes(infos: Sequence[Info]) -> list[str]:
    """Says that the magnification changed during a scan."""
    sizes = np.array([info.pixel_um for info in infos])
    if not np.ptp(sizes) > 1e-3 * sizes[0]:
        return []
    return [
        f"pixel sizes differ, from {sizes.min():.4g} to {sizes.max():.4g} µm; that of "
        f"{infos[0].path.name} is used for all"
    ]


def _unfinished(infos: Sequence[Info]) -> list[str]:
    """Says how many of the planned images there are."""
    planned = sum(len(info.pictures) for info in infos)
    taken = sum(info.n_taken for info in infos)
    return [f"{taken} of {planned} planned images were taken"] if taken < planned else []


FORMAT = Format(
    name="xradia",
    title="Xradia",
    extensions=_ENDINGS,
    sniff=sniff,
    open=open_,
    tried="files built as published",
    about="full-field images, counts or transmission; a folder of single .xrm too; no tomography",
)
