"""Damage that would hang or crash the HDF5 library instead of raising an error.

Texts of variable length lie in global heaps: ``GCOL``, a version, the heap's size, then objects (a
number, a length, the text). The library walks through a heap by these lengths, and copies as many
bytes as a reference (length, address of the heap, number of the object) says, believing both.
It makes room for that many bytes before it looks whether the heap is there. References of
attributes are found by the type that stands before them, those of datasets by where HDF5 says the
dataset lies. Layout: HDF5 File Format Specification 3.0, III.E, IV.A.2.b, d and m.
"""

from __future__ import annotations

import mmap
import re
import struct
from functools import lru_cache
from pathlib import Path

import h5py

#: Files up to this size are looked through, and as many bytes in all when there are many heaps.
_SEARCHED_BYTES = 256_000_000
_SEARCHED_IN_ALL = 4_000_000_000

_HEAP = b"GCOL\x01\0\0\0"

#: The end of a type of variable length (16 bytes in the file), and the base it is of: text, or
#: references, which tell the scales of a dimension.
_VARIABLE = re.compile(rb"\x00\x10\x00\x00\x00[\x13\x17\x33\x37]")
_BYTES_OF_TYPE, _REFERENCE = 16, 16

#: References of a dataset or an attribute that are looked at.
_MOST_REFERENCES = 100_000


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
        if heaps and _attribute_reaches_too_far(content):
            return "a text of an attribute is said to be longer than the file"
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


def _attribute_reaches_too_far(content: mmap.mmap) -> bool:
    """Whether an attribute of variable length claims more than the file has."""
    for found in _VARIABLE.finditer(content):
        start = found.start() - 3
        if start < 0 or content[start] not in (0x19, 0x29, 0x39):
            continue
        width = 1 if content[start + 1] & 15 else 8
        place, number = _after_dataspace(content, start + _BYTES_OF_TYPE)
        references = content[place : place + _REFERENCE * number]
        if _too_far(references, len(content) // width):
            return True
    return False


def _after_dataspace(content: mmap.mmap, place: int) -> tuple[int, int]:
    """Where an attribute's data begin, and how many elements they have; none where no dataspace is
    described.
    """
    head = content[place : place + 8]
    if len(head) < 8 or head[1] > 4:
        return place, 0
    rank = head[1]
    if head[0] == 1 and head[2] < 2 and not any(head[3:8]):
        first = place + 8
    elif head[0] == 2 and head[2] < 2 and head[3] == (rank > 0):
        first = place + 4
    else:
        return place, 0
    number = 1
    for k in range(rank):
        number *= int.from_bytes(content[first + 8 * k : first + 8 * (k + 1)], "little")
    return first + 8 * rank * (1 + head[2]), min(number, _MOST_REFERENCES)


def dataset_reaches_too_far(found: h5py.Dataset) -> bool:
    """Whether a text of variable length in a dataset claims to be longer than the file.

    Compressed chunks have a checksum of their own and are not looked into.
    """
    path = Path(str(found.file.filename))
    wanted = _REFERENCE * min(found.size or 0, _MOST_REFERENCES)
    pieces = []
    if found.chunks is None:
        pieces = [(found.id.get_offset(), wanted)]
    elif not found.id.get_create_plist().get_nfilters():
        there = (found.id.get_chunk_info(k) for k in range(found.id.get_num_chunks()))
        pieces = [(one.byte_offset, min(one.size, wanted)) for one in there]
    size = path.stat().st_size
    with path.open("rb") as file:
        for offset, n_bytes in pieces:
            if offset is None or not 0 <= offset < size:
                continue
            file.seek(offset)
            if _too_far(file.read(n_bytes), size):
                return True
    return False


def _too_far(references: bytes, most: int) -> bool:
    """Whether any of some references has more than `most` elements."""
    whole = len(references) // _REFERENCE * _REFERENCE
    lengths = (length for length, *_ in struct.iter_unpack("<IQI", references[:whole]))
    return any(length > most for length in lengths)
