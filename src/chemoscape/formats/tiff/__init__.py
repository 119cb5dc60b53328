"""TIFF: the pages of one file, or the images of a folder, with a list of photon energies.

Energies are, in this order, those that `chemoscape.formats.save_stack` wrote into the file, a list
beside the images (``<stem>.txt``, ``energies.txt``, …) of as many energies as there are images, or
those in the names of the images (``wire_0517.25eV.tif``). The first row of a TIFF is its top.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard, _lengths, _lists
from chemoscape.formats._record import Format
from chemoscape.formats._source import Source, Wanted, some
from chemoscape.formats.tiff import _decode, _facts, _pages, _tags, _write
from chemoscape.formats.tiff._facts import Own
from chemoscape.formats.tiff._pages import Page

_ENDINGS = (".tif", ".tiff")

#: Files in a folder that are looked at.
_MOST_FILES = 200_000


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one shape in one or several files.

    Parameters
    ----------
    files : tuple of Path
        One for all images, or one for each.
    pages : tuple of Page
        The images.
    line : (offset, factor), optional
        Values are ``offset + factor × number``.
    """

    files: tuple[Path, ...]
    pages: tuple[Page, ...]
    line: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Images × rows × columns."""
        return len(self.pages), *self.pages[0].shape

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Part of the images, rows counted from the top."""
        numbers = range(*frames.indices(len(self.pages)))
        first = self.pages[0]
        dtype = first.dtype if self.line is None and first.dtype.itemsize < 8 else np.float32
        cube = np.empty((len(numbers), rows.stop - rows.start, first.shape[1]), dtype=dtype)
        with np.errstate(all="ignore"):  # a float64 may be too large
            for place, k in enumerate(numbers):
                file = self.files[k if len(self.files) > 1 else 0]
                values = _decode.read_rows(file, self.pages[k], rows)
                cube[place] = values if self.line is None else values * self.line[1] + self.line[0]
        return cube


def sniff(path: Path) -> bool:
    """Whether `path` is a TIFF file, or a folder with one (only files named so are looked into)."""
    try:
        if path.is_dir():
            return any(
                _guard.lies_inside(one, path) and _tags.is_tiff(one) for one in _named_so(path)
            )
    except OSError:
        return False
    return _tags.is_tiff(path)


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe a TIFF file or a folder of images.

    Raises
    ------
    FileFormatError
        A file is damaged, in colour, or images differ in shape; or no list fits the images.
    """
    files = _files(path)
    images = _images(files[0]) if len(files) == 1 else _images_of_folder(path, files)
    first = images.pages[0]
    where = files[0] if len(files) == 1 else path
    text = _facts.description(first)
    own = _facts.own_facts(text, images.shape, where) if len(files) == 1 else None
    energy, beside, notes = _energies(path, files, images, own, wanted)
    if images.line is not None:
        notes.append(
            f"its numbers n mean {images.line[0]:g} + {images.line[1]:g} n (ImageJ's calibration)"
        )
    if first.photometric == _pages.PALETTE:
        notes.append("its images have a table of colours; the numbers below are taken")
    size = _facts.pixel_um(first)
    y = None if size is None else _lengths.centres(first.shape[0], size[0], top_down=True)
    x = None if size is None else _lengths.centres(first.shape[1], size[1])
    return Source(
        where=where,
        shape=images.shape,
        read=partial(Images.read, images),
        energy=energy,
        y=y if own is None else own.y,
        x=x if own is None else own.x,
        quantity=own.quantity if own is not None else "counts",
        per_energy=own.along if own is not None else {},
        attrs=own.attrs if own is not None else {} if size else {"rows": "top-down"},
        notes=tuple(notes),
        framewise=True,
        rows_per_read=max(page.piece[0] if not page.in_one_piece else 1 for page in images.pages),
        files=(*files, beside) if beside is not None else files,
    )


def _named_so(folder: Path) -> list[Path]:
    """Files of a folder that are named as TIFF, as people count."""
    found = [
        entry
        for entry, _ in zip(folder.iterdir(), range(_MOST_FILES), strict=False)
        if entry.suffix.lower() in _ENDINGS and not entry.name.startswith(".")
    ]
    return sorted(found, key=lambda file: _lists.natural_key(file.name))


def _files(path: Path) -> tuple[Path, ...]:
    """The TIFF file given, or those of the folder."""
    if path.is_file():
        return (_guard.regular_file(path),)
    named = [_guard.regular_file(file, inside=path) for file in _named_so(path)]
    return tuple(file for file in named if _tags.is_tiff(file))


def _images(file: Path) -> Images:
    """Images of one file."""
    pages = [page for page in _pages.pages_of(file) if not page.reduced]
    if not pages:
        raise FileFormatError("holds thumbnails only", str(file), "give the images themselves")
    first = pages[0]
    hidden = _facts.hidden_images(first)
    if len(pages) == 1 and hidden > 1 and first.in_one_piece:
        size = file.stat().st_size
        if int(first.offsets[0]) + hidden * first.n_bytes > size:
            raise FileFormatError(
                f"says that it holds {hidden} images, but is too short for them",
                str(file),
                "the file is truncated: copy it again",
            )
        pages = [
            replace(first, number=k, offsets=first.offsets + k * first.n_bytes)
            for k in range(hidden)
        ]
    _refuse_mixture(file, [file], pages)
    return Images((file,), tuple(pages), _facts.calibration(first))


def _images_of_folder(folder: Path, files: tuple[Path, ...]) -> Images:
    """Images of a folder, one in each file."""
    each = [_images(file) for file in files]
    many = [file.name for file, images in zip(files, each, strict=True) if len(images.pages) > 1]
    if many:
        raise FileFormatError(
            f"is a folder of {len(files)} TIFF files, of which {', '.join(some(many, 3))} "
            "hold several images",
            str(folder),
            "give one of the files, or a folder of single images",
        )
    pages = [images.pages[0] for images in each]
    _refuse_mixture(folder, files, pages)
    return Images(files, tuple(pages), each[0].line)


def _refuse_mixture(where: Path, files: Any, pages: list[Page]) -> None:
    """Refuse images of different shapes or kinds of numbers."""
    first = pages[0]
    for k, page in enumerate(pages):
        if page.shape != first.shape or page.dtype != first.dtype:
            named = f"image {page.number + 1}" if len(files) == 1 else files[k].name
            raise FileFormatError(
                f"{named} has {page.shape[0]} × {page.shape[1]} pixels ({page.dtype.name}), the "
                f"first has {first.shape[0]} × {first.shape[1]} ({first.dtype.name})",
                str(where),
                "give images of one shape and kind",
            )


def _energies(
    path: Path, files: tuple[Path, ...], images: Images, own: Own | None, wanted: Wanted
) -> tuple[np.ndarray | None, Path | None, list[str]]:
    """Energies, the list they come from, and what to say of them."""
    n = len(images.pages)
    if wanted.energy is not None:
        return None, None, []
    beside = _lists.energies_beside(path if len(files) > 1 else files[0], {n})
    if own is not None:
        notes = []
        if beside.energy is not None and not np.array_equal(beside.energy, own.energy):
            assert beside.file is not None  # noqa: S101 - where the energies come from
            notes.append(
                f"{beside.file.name} differs from the energies in the images, which are used; "
                "energy = … takes the list"
            )
        return own.energy, None, notes
    if beside.energy is not None:
        return beside.energy, beside.file, []
    named = _lists.energies_in_names([file.name for file in files]) if len(files) == n else None
    if named is None:
        _lists.refuse_misfits(beside, n, path)
        return None, None, []
    others = f" ({'; '.join(beside.others)})" if beside.others else ""
    return named, None, [f"its energies are those in the names of the images{others}"]


FORMAT = Format(
    name="tiff",
    title="TIFF stack",
    extensions=_ENDINGS,
    sniff=sniff,
    open=open_,
    write=_write.write,
    write_extensions=_ENDINGS,
    tried="files of tifffile and Pillow",
    about="pages of one file or a folder of images; energies from a list beside them",
)
