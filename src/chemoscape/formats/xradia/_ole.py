"""Where the streams of an OLE2 compound file lie, so that parts of them can be read.

A compound file is a small file system: streams are chains of sectors, listed in an allocation table
(FAT); those below 4096 bytes are chains of 64-byte sectors inside one stream of the root. olefile
reads the tables and the directory, but streams only as a whole, sector by sector; here chains
become runs of bytes, and images are read from those.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats.xradia._streams import Chains, Stream, joined, sectors_of

MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
_MINI_SECTOR = 64
_STREAM = 2  # type of a directory entry

#: Longest stream of numbers beside the images that is read (bytes).
_LIST_LIMIT = 16_000_000

#: What olefile raises on damaged tables.
_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RecursionError,
    struct.error,
)


@dataclass(frozen=True, eq=False)
class Compound:
    """Directory and allocation tables of a compound file.

    Parameters
    ----------
    path : Path
        The file.
    size : int
        Its length in bytes.
    entries : mapping of str to (first sector, bytes)
        Streams by their path, in lower case (the names are case-insensitive).
    large, small : Chains
        The tables of sectors and of mini sectors.
    root : Stream or None
        The stream that holds the mini sectors.
    cutoff : int
        Streams below this size consist of mini sectors.
    """

    path: Path
    size: int
    entries: Mapping[str, tuple[int, int]]
    large: Chains
    small: Chains
    root: Stream | None
    cutoff: int

    def stream(self, name: str) -> Stream | None:
        """Where a stream lies; None when there is none of that name.

        Raises
        ------
        FileFormatError
            It does not lie wholly in the file.
        """
        entry = self.entries.get(name.lower())
        if entry is None:
            return None
        try:
            if entry[1] >= self.cutoff:
                return sectors_of(self.large, *entry, self.size)
            return self._mini(*entry)
        except ValueError as damage:
            raise FileFormatError(
                f"{name} is not wholly in the file ({damage})",
                str(self.path),
                "the file is truncated or damaged: copy it again",
            ) from None

    def content(self, name: str) -> bytes | None:
        """The whole of a small stream; None when it is missing or far too long for a list."""
        stream = self.stream(name)
        if stream is None or stream.size > _LIST_LIMIT:
            return None
        return stream.read(self.path, 0, stream.size)

    def _mini(self, first: int, size: int) -> Stream:
        """A stream of mini sectors, each of which lies in one sector of the root's stream."""
        offsets: list[int] = []
        lengths: list[int] = []
        for sector, n in self.small.runs(first, size):
            for k in range(sector, sector + n):
                place, length = k * _MINI_SECTOR, min(_MINI_SECTOR, size - sum(lengths))
                if self.root is None or place + length > self.root.starts[-1]:
                    raise ValueError("a mini sector lies outside their stream")
                run = int(np.searchsorted(self.root.starts, place, side="right")) - 1
                offsets.append(int(self.root.offsets[run] + place - self.root.starts[run]))
                lengths.append(length)
        return joined(np.array(offsets, np.int64), np.array(lengths, np.int64), size, self.size)


def opened(path: Path) -> Compound:
    """Directory and tables of a compound file.

    Raises
    ------
    FileFormatError
        It is no compound file, or its tables are damaged.
    """
    import olefile

    class Tables(olefile.OleFileIO):  # type: ignore[misc, unused-ignore]
        """olefile copies its whole table for every sector of it: seconds for a gigabyte."""

        def loadfat_sect(self, sect: Any) -> int:
            listed = sect if isinstance(sect, array) else self.sect2array(sect)
            for number in listed:
                if number in (olefile.ENDOFCHAIN, olefile.FREESECT):
                    return int(number)
                self.fat.extend(self.sect2array(self.getsect(number)))
            return int(listed[-1])

    _require_sound_header(path)
    try:
        with Tables(str(path), raise_defects=olefile.DEFECT_INCORRECT) as file:
            return _compound(file, path)
    except _DAMAGE as damage:
        raise FileFormatError(
            f"its table of contents is damaged ({damage})",
            str(path),
            "the file is truncated or still being written: copy it again",
        ) from None


def _require_sound_header(path: Path) -> None:
    """Refuse tables that the file cannot hold, which olefile would follow for hours."""
    header = _guard.read_at(path, 0, 512)
    size = path.stat().st_size
    shift, mini_shift = struct.unpack_from("<HH", header, 30)
    (n_fat,) = struct.unpack_from("<I", header, 44)
    n_mini, _, n_difat = struct.unpack_from("<III", header, 64)
    if header[:8] != MAGIC or shift not in (9, 12) or mini_shift != 6:
        raise FileFormatError("is no compound (OLE2) file", str(path), "give an .xrm or .txrm file")
    # the table has four bytes for each sector of the file, and little more
    n_needed = -(-(size >> shift) // (1 << shift - 2))
    if n_fat > 2 * n_needed + 16 or (max(n_mini, n_difat) << shift) > size:
        raise FileFormatError(
            f"announces tables larger than its {size} bytes need", str(path), "copy it again"
        )


def _compound(file: Any, path: Path) -> Compound:
    """What olefile found; raises anything on damage."""
    size = path.stat().st_size
    large = Chains(np.array(file.fat, dtype=np.int64), file.sector_size)
    entries = {
        "/".join(node).lower(): (entry.isectStart, entry.size)
        for node, entry in _entries(file.root)
    }
    root, small = None, Chains(np.empty(0, np.int64), _MINI_SECTOR)
    if file.root.size and file.num_mini_fat_sectors:
        file.loadminifat()
        small = Chains(np.array(file.minifat, dtype=np.int64), _MINI_SECTOR)
        root = sectors_of(large, file.root.isectStart, file.root.size, size)
    return Compound(path, size, entries, large, small, root, file.minisectorcutoff)


def _entries(root: Any) -> Iterator[tuple[list[str], Any]]:
    """Path and directory entry of all streams."""
    open_nodes: list[tuple[list[str], Any]] = [([], root)]
    while open_nodes:
        above, node = open_nodes.pop()
        for kid in node.kids:
            if kid.entry_type == _STREAM:
                yield [*above, kid.name], kid
            else:
                open_nodes.append(([*above, kid.name], kid))
