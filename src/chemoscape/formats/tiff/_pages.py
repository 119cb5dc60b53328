"""Where the images of a TIFF file lie and how they are packed: only what a stack of grey images
needs, held against the size of the file before anything is allocated.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats.tiff import _tags
from chemoscape.formats.tiff._tags import Layout

DESCRIPTION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 270, 282, 283, 296
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS, _PREDICTOR = 273, 277, 278, 279, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, _FORMAT = 322, 323, 324, 325, 339
_DEPTH, _METAMORPH = 32997, 33629

_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}
_COLOURS = {2: "RGB", 5: "CMYK", 6: "YCbCr", 8: "CIELab"}
PALETTE = 3

NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 8, 32946, 32773
_CODECS = {NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS}
_OTHER_CODECS = {6: "JPEG", 7: "JPEG", 50000: "Zstandard", 34712: "JPEG 2000", 50001: "WebP"}

#: No codec here makes anything smaller than this part of it.
_DEEPEST_COMPRESSION = 1500


@dataclass(frozen=True, eq=False)
class Page:
    """One image of a TIFF file.

    Parameters
    ----------
    number : int
        From 0, in the order of the file.
    shape : (n_y, n_x)
        Pixels.
    dtype : dtype
        With the byte order of the file.
    compression, predictor, photometric : int
        As TIFF numbers them.
    piece : (rows, columns)
        Of a strip or a tile.
    offsets, counts : ndarray of int64
        Where the pieces begin, and their bytes in the file. One only when the image lies there
        uncompressed and in one piece.
    reduced : bool
        A thumbnail or a mask.
    facts : mapping of tag to value
        Description (bytes) and resolution.
    """

    number: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    compression: int
    predictor: int
    photometric: int
    piece: tuple[int, int]
    offsets: np.ndarray
    counts: np.ndarray
    reduced: bool = False
    facts: dict[int, Any] = field(default_factory=dict)

    @property
    def in_one_piece(self) -> bool:
        """Whether the numbers lie uncompressed one after the other."""
        plain = self.compression == NONE and self.predictor == 1
        return plain and self.offsets.size == 1 and self.piece == self.shape

    @property
    def n_bytes(self) -> int:
        """Uncompressed size."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize


def pages_of(path: Path) -> tuple[Page, ...]:
    """All images in the chain of a TIFF file.

    Raises
    ------
    FileFormatError
        The chain is broken, or an image is in colour, compressed in an unknown way, or claims more
        than its bytes hold.
    """
    pages = tuple(
        _page(layout, tags, number) for number, (layout, tags) in enumerate(_tags.directories(path))
    )
    if not pages:
        raise FileFormatError("holds no image", str(path), "copy it again")
    return pages


def _page(layout: Layout, tags: Any, number: int) -> Page:
    """One image, checked."""

    def one(tag: int, default: int) -> int:
        return layout.number(tags, tag, number, default)

    height, width = one(_HEIGHT, 0), one(_WIDTH, 0)
    photometric, samples = one(_PHOTOMETRIC, 1), one(_SAMPLES, 1)
    reduced = bool(one(_SUBFILE, 0) & 0b101)
    if not reduced:
        _refuse_what_is_no_grey_image(layout, tags, number, photometric, samples)
    bits, kind = one(_BITS, 1), _KINDS.get(one(_FORMAT, 1), "")
    if not kind or bits not in (8, 16, 32, 64) or (kind == "f" and bits == 8):
        if not reduced:
            raise FileFormatError(
                f"image {number + 1} has pixels of {bits} bits in a format unknown here",
                str(layout.path),
                "save it as 16 bit integers or as 32 bit floats",
            )
        bits, kind = 8, "u"
    dtype = np.dtype(f"{layout.order}{kind}{bits // 8}")
    compression, predictor = one(_COMPRESSION, NONE), one(_PREDICTOR, 1)
    if compression in (NONE, PACKBITS):
        predictor = 1  # libtiff writes the tag and ignores it
    tiled = _TILE_OFFSETS in tags
    piece = (
        (one(_TILE_HEIGHT, 0), one(_TILE_WIDTH, 0))
        if tiled
        else (min(max(one(_ROWS_PER_STRIP, height), 1), max(height, 1)), width)
    )
    offsets = layout.whole(tags, _TILE_OFFSETS if tiled else _STRIP_OFFSETS, number)
    counts = layout.whole(tags, _TILE_COUNTS if tiled else _STRIP_COUNTS, number)
    if min(height, width, *piece) < 1:
        raise layout.damage(number, f"has a size of {height} × {width} pixels")
    facts = {
        tag: layout.values(tags, tag, number)
        for tag in (DESCRIPTION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)
        if tag in tags and number == 0
    }
    page = Page(
        number,
        (height, width),
        dtype,
        compression,
        predictor,
        photometric,
        piece,
        offsets,
        counts,
        reduced,
        facts,
    )
    return page if reduced else _checked(layout, page)


def _refuse_what_is_no_grey_image(
    layout: Layout, tags: Any, number: int, photometric: int, samples: int
) -> None:
    """Refuse colours, volumes and a foreign kind of stack."""
    if samples > 1 or photometric in _COLOURS:
        colour = _COLOURS.get(photometric, f"{samples} samples per pixel")
        raise FileFormatError(
            f"image {number + 1} is in colour ({colour})",
            str(layout.path),
            "give the grey images with the measured values, not a picture of them",
        )
    if layout.number(tags, _DEPTH, number, 1) > 1 or _METAMORPH in tags:
        raise FileFormatError(
            "keeps several planes in one TIFF image",
            str(layout.path),
            "save it as an ordinary multi-page TIFF (in ImageJ: Save As, Tiff)",
        )


def _checked(layout: Layout, page: Page) -> Page:
    """The page, after its pieces were found to lie in the file and to bear out its size."""
    if page.compression not in _CODECS or page.predictor not in (1, 2, 3):
        name = _OTHER_CODECS.get(page.compression, f"method {page.compression}")
        raise FileFormatError(
            f"image {page.number + 1} is compressed with {name}, which is not read here",
            str(layout.path),
            "save it uncompressed, or with LZW or Deflate",
        )
    if page.predictor == 3 and page.dtype.kind != "f":
        raise layout.damage(page.number, "integers are compressed as floats")
    (height, width), (rows, columns) = page.shape, page.piece
    n_pieces = -(-height // rows) * -(-width // columns)
    piece_bytes = rows * columns * page.dtype.itemsize
    counts = page.counts
    if counts.size == 0 and n_pieces == 1:
        counts = np.array([page.n_bytes])
    if page.offsets.size < n_pieces or counts.size < n_pieces:
        raise layout.damage(page.number, f"lists {page.offsets.size} of {n_pieces} pieces")
    offsets, counts = page.offsets[:n_pieces], counts[:n_pieces]
    if (offsets < 8).any() or (counts < 1).any() or (offsets > layout.size - counts).any():
        raise layout.damage(page.number, "its pixels lie behind the end of the file")
    stored = int(counts.sum())
    claimed = max(page.n_bytes, piece_bytes)
    if page.compression != NONE:
        most = _guard.believed_bytes() + _DEEPEST_COMPRESSION * stored
    else:
        most = stored + piece_bytes
    if claimed > most or (page.compression == NONE and stored < page.n_bytes):
        raise layout.damage(
            page.number, f"claims {height} × {width} pixels, more than its {stored} bytes can hold"
        )
    plain = page.compression == NONE and page.predictor == 1 and columns == width
    if plain and (np.diff(offsets) == piece_bytes).all():
        offsets, counts = offsets[:1], np.array([page.n_bytes])
        if offsets[0] + page.n_bytes <= layout.size:
            return replace(page, piece=page.shape, offsets=offsets, counts=counts)
    return replace(page, offsets=offsets, counts=counts)
