"""Damage that would hang or crash the HDF5 library instead of raising an error.

Texts of variable length lie in global heaps: ``GCOL``, a version, the heap's size, then objects (a
number, a length, the text). The library walks through a heap by these lengths, and copies as many
bytes as a reference (length, address of the heap, number of the object) says, believing both.
Layout: HDF5 File Format Specification 3.0, III.E.
"""

from __future__ import annotations

import mmap
import struct
from functools import lru_cache
from pathlib import Path

#: Files up to this size are looked through, and as many bytes in all when there are many heaps.
_SEARCHED_BYTES = 256_000_000
_SEARCHED_IN_ALL = 4_000_000_000

_HEAP = b"GCOL\x01\0\0\0"


def trouble(path: Path) -> str:
    """What is wrong with the heaps of a file, "" when they are sound (or the file too large to
    look).
    """
    status = path.stat()
    return _trouble(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _trouble(path: Path, size: int, changed: int) -> str:
    """As `trouble`; `changed` is there for the cache."""
    if not 0 < size <= _SEARCHED_BYTES:
        return ""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        heaps: dict[int, dict[int, int]] = {}
        start = content.find(_HEAP)
        while start >= 0:
            objects = _objects(content, start)
            if objects is None:
                return "a heap of texts has zeros where it goes on"
            heaps[start] = objects
            start = content.find(_HEAP, start + 8)
        if len(heaps) * size > _SEARCHED_IN_ALL:
            return ""
        for address, objects in heaps.items():
            if _reaches_too_far(content, address, objects):
                return "a text is said to be longer than it is"
    return ""


def _objects(content: mmap.mmap, start: int) -> dict[int, int] | None:
    """Lengths of the objects of a heap by number; None where the way through it does not end."""
    end = start + int.from_bytes(content[start + 8 : start + 16], "little")
    here = start + 16
    objects = {}
    while here + 16 <= min(end, len(content)):
        number, length = struct.unpack_from("<H6xQ", content, here)
        step = 16 + -(-length // 8) * 8 if number else length
        if not 0 < step <= end - here:
            return None
        if number:
            objects[number] = length
        here += step
    return objects


def _reaches_too_far(content: mmap.mmap, address: int, objects: dict[int, int]) -> bool:
    """Whether a reference to an object of a heap claims more elements than the object has bytes."""
    wanted = struct.pack("<Q", address)
    place = content.find(wanted, 4)
    while place >= 0:
        if place + 12 <= len(content):
            (length,) = struct.unpack_from("<I", content, place - 4)
            (number,) = struct.unpack_from("<I", content, place + 8)
            if length > objects.get(number, length):
                return True
        place = content.find(wanted, place + 1)
    return False
