"""The chain of directories in a TIFF file and their tags, read with no more trust than its size
bears out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

#: Tags of one directory: type, count, and the value or where it lies.
Tags = dict[int, tuple[int, int, bytes]]

#: struct letter and size of each type of tag.
_TYPES = {
    **{1: ("B", 1), 2: ("B", 1), 3: ("H", 2), 4: ("I", 4), 5: ("II", 8), 6: ("b", 1)},
    **{7: ("B", 1), 8: ("h", 2), 9: ("i", 4), 10: ("ii", 8), 11: ("f", 4), 12: ("d", 8)},
    **{13: ("I", 4), 16: ("Q", 8), 17: ("q", 8), 18: ("Q", 8)},
}

#: A directory is read in one piece of this many bytes, which holds real ones with their values.
_PIECE = 1024
_MOST_TAGS = 4096
_MOST_PAGES = 1_000_000


def is_tiff(path: Path) -> bool:
    """Whether a path is a file that starts as TIFF or BigTIFF does."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) in MAGIC
    except OSError:
        return False


def directories(path: Path) -> Iterator[tuple[Layout, Tags]]:
    """Directories of a TIFF or BigTIFF file, in the order of their chain.

    Raises
    ------
    FileFormatError
        The chain leaves the file or turns back on itself.
    """
    size = path.stat().st_size
    head = _guard.read_at(path, 0, min(16, size))
    if head[:4] not in MAGIC or len(head) < 8:
        raise FileFormatError("is no TIFF file", str(path), "give the right file")
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    if big and (len(head) < 16 or struct.unpack(f"{order}HH", head[4:8]) != (8, 0)):
        raise FileFormatError("has a damaged BigTIFF header", str(path), "copy it again")
    (here,) = struct.unpack(f"{order}Q", head[8:]) if big else struct.unpack(f"{order}I", head[4:8])
    layout = Layout(path, size, order, big)
    seen: set[int] = set()
    while here:
        if here in seen or len(seen) >= _MOST_PAGES or not 8 <= here < size:
            raise FileFormatError(
                f"its chain of images breaks after image {len(seen)}",
                str(path),
                "the file is truncated or damaged: copy it again",
            )
        tags, following = layout.directory(here, len(seen))
        seen.add(here)
        here = following
        yield layout, tags


@dataclass(frozen=True)
class Layout:
    """How numbers are written in a file."""

    path: Path
    size: int
    order: str
    big: bool

    def directory(self, offset: int, number: int) -> tuple[Tags, int]:
        """Tags of one directory as (type, count, raw value or offset), and where the next is."""
        head, entry, link = (8, 20, 8) if self.big else (2, 12, 4)
        piece = _guard.read_at(self.path, offset, min(_PIECE, self.size - offset))
        letters = "QQQ" if self.big else "HII"
        n_tags = (
            struct.unpack(f"{self.order}{letters[0]}", piece[:head])[0] if len(piece) >= head else 0
        )
        if not 0 < n_tags <= _MOST_TAGS:
            raise self.damage(number, f"lists {n_tags} tags")
        needed = head + n_tags * entry + link
        if needed > len(piece):
            piece = _guard.read_at(self.path, offset, needed)
        tags = {}
        for k in range(n_tags):
            start = head + k * entry
            tag, kind, count = struct.unpack_from(f"{self.order}HH{letters[1]}", piece, start)
            width = 8 if self.big else 4
            tags[tag] = (kind, count, piece[start + entry - width : start + entry])
        (following,) = struct.unpack_from(f"{self.order}{letters[2]}", piece, needed - link)
        return tags, following

    def values(self, tags: Tags, tag: int, number: int) -> Any:
        """Values of a tag as ndarray (rationals as pairs), None when it is not there."""
        if tag not in tags:
            return None
        kind, count, raw = tags[tag]
        letter, width = _TYPES.get(kind, ("", 0))
        if not width or count * width > self.size:
            raise self.damage(number, f"tag {tag} claims {count} values of type {kind}")
        if count * width > len(raw):
            (at,) = struct.unpack(f"{self.order}{'Q' if self.big else 'I'}", raw)
            if at + count * width > self.size:
                raise self.damage(number, f"tag {tag} lies behind the end of the file")
            raw = _guard.read_at(self.path, at, count * width)
        raw = raw[: count * width]
        return raw if kind == 2 else np.frombuffer(raw, dtype=f"{self.order}{letter[0]}")

    def number(self, tags: Any, tag: int, page: int, default: int) -> int:
        """First value of a tag as integer."""
        values = self.values(tags, tag, page)
        if values is None or isinstance(values, bytes) or not values.size:
            return default
        value = values[0]
        return int(value) if np.isfinite(value) else default

    def whole(self, tags: Tags, tag: int, page: int) -> np.ndarray:
        """Values of a tag as int64, none when it is not there or holds no whole numbers."""
        values = self.values(tags, tag, page)
        usable = isinstance(values, np.ndarray) and values.dtype.kind in "iu"
        return values.astype(np.int64) if usable else np.zeros(0, dtype=np.int64)

    def damage(self, number: int, what: str) -> FileFormatError:
        """Error about one image."""
        return FileFormatError(
            f"image {number + 1}: {what}",
            str(self.path),
            "the file is truncated or damaged: copy it again",
        )
