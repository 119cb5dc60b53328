"""Headers of NumPy arrays in files and archives, and how parts of the arrays are read.

Arrays of Python objects are refused, and a shape is believed only as far as the bytes behind it
reach.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import ChemoscapeError, FileFormatError
from chemoscape.formats import _guard

MAGIC = b"\x93NUMPY"
_ZIP_MAGIC = b"PK\x03\x04"

#: Longest header that is read; those of plain arrays have 128 bytes.
_HEADER_LIMIT = 4096

#: Deflate cannot make anything smaller than this part of it.
_DEEPEST_COMPRESSION = 1100

#: Members that an archive of arrays may have, and bytes that list them.
_MOST_MEMBERS = 10_000
_DIRECTORY_LIMIT = 64_000_000

#: The header as NumPy writes it: a dictionary of three keys in this order.
_FACTS = re.compile(
    r"\{\s*'descr':\s*(?:'(?P<descr>[^']{1,40})'|(?P<fields>\[.*\]))\s*,"
    r"\s*'fortran_order':\s*(?P<fortran>True|False)\s*,"
    r"\s*'shape':\s*\((?P<shape>[\d\s,L]*)\)\s*,?\s*\}\s*",
    re.DOTALL,
)


@dataclass(frozen=True)
class Array:
    """An array in a file.

    Parameters
    ----------
    file : Path
        The ``.npy``, or the archive.
    member : str
        Name in the archive, "" in a ``.npy``.
    shape, dtype, fortran
        Of the header.
    start : int
        Where the numbers begin, in the file or in the member.
    """

    file: Path
    member: str
    shape: tuple[int, ...]
    dtype: str
    fortran: bool
    start: int

    @property
    def name(self) -> str:
        """Name without ``.npy``."""
        return self.member.removesuffix(".npy")

    @property
    def n_bytes(self) -> int:
        """Bytes of all numbers."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def in_file(path: Path) -> Array:
    """The array of a ``.npy`` file."""
    size = path.stat().st_size
    array = _header(_guard.read_at(path, 0, min(_HEADER_LIMIT, size)), path, "")
    if array.start + array.n_bytes > size:
        raise FileFormatError(
            f"its header says shape {array.shape} ({array.dtype}), {array.n_bytes} bytes, but "
            f"{size - array.start} are there",
            str(path),
            "the file is truncated: copy it again",
        )
    return array


def in_archive(path: Path) -> list[Array]:
    """Arrays of numbers or text in a ``.npz``, those of Python objects left out."""
    arrays = []
    with archive(path) as opened:
        refuse_strange_names(opened, path)
        for info in opened.infolist()[:_MOST_MEMBERS]:
            if not info.filename.endswith(".npy"):
                continue
            with opened.open(info) as stream:
                start = stream.read(_HEADER_LIMIT)
            try:
                array = _header(start, path, info.filename)
            except _ObjectsError:
                continue
            possible = _guard.believed_bytes(path) + _DEEPEST_COMPRESSION * info.compress_size
            if array.start + array.n_bytes > min(info.file_size, possible):
                raise FileFormatError(
                    f"{array.name!r} says shape {array.shape} ({array.dtype}), more than its "
                    f"{info.compress_size} bytes can hold",
                    str(path),
                    "the file is damaged: copy it again",
                )
            arrays.append(array)
    return arrays


@contextmanager
def archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip file for reading; whatever is wrong with it becomes one of our errors."""
    try:
        size = path.stat().st_size
        tail = _guard.read_at(path, max(size - 65_557, 0), min(size, 65_557))
        at = tail.rfind(b"PK\x05\x06")
        if at >= 0 and int.from_bytes(tail[at + 12 : at + 16], "little") > min(
            size, _DIRECTORY_LIMIT
        ):
            raise FileFormatError("lists more members than it can have", str(path), "copy it again")
        with zipfile.ZipFile(path) as opened:
            yield opened
    except ChemoscapeError:
        raise
    except _guard.LIBRARY_ERRORS as error:
        raise FileFormatError(
            f"is a damaged archive ({type(error).__name__}: {' '.join(str(error).split())[:120]})",
            str(path),
            "copy it again",
        ) from error


def refuse_strange_names(opened: zipfile.ZipFile, path: Path) -> None:
    """Refuse members without a name, or that would lie outside a folder they are unpacked to."""
    for name in opened.namelist():
        if not name or name.startswith("/") or ".." in name.split("/"):
            raise FileFormatError(
                f"has a member named {name[:80]!r}, which leads out of it",
                str(path),
                "the archive is damaged or was made to harm: copy it again",
            )


def is_archive(path: Path) -> bool:
    """Whether a path is a file that starts as a zip archive does."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) == _ZIP_MAGIC
    except OSError:
        return False


def whole(array: Array) -> np.ndarray:
    """All numbers or texts of a small array."""
    if array.n_bytes > _DIRECTORY_LIMIT:
        raise FileFormatError(
            f"{array.name!r} is larger than an axis can be", str(array.file), "copy it again"
        )
    with _stream(array) as stream:
        content = _exactly(stream, array.n_bytes, array)
    values = np.frombuffer(content, dtype=array.dtype)
    return values.reshape(array.shape, order="F" if array.fortran else "C")


def part(array: Array, axes: str, frames: slice, rows: slice) -> np.ndarray:
    """Part of a stack with dimensions `axes` in the order of the header, as ``(energy, y, x)``.

    A ``.npy`` is mapped into memory; of an archive one slab after the other is unpacked, and what
    is not wanted forgotten.
    """
    wanted = {"e": frames, "y": rows, "x": slice(None)}
    if not array.member:
        if array.file.stat().st_size < array.start + array.n_bytes:  # a map of it would crash
            raise FileFormatError(
                "is no longer the array that was opened", str(array.file), "open it again"
            )
        try:
            mapped = np.memmap(
                array.file,
                dtype=array.dtype,
                mode="r",
                offset=array.start,
                shape=array.shape,
                order="F" if array.fortran else "C",
            )
        except (OSError, ValueError) as error:
            raise FileFormatError(
                f"cannot be read ({error})", str(array.file), "copy it again"
            ) from error
        chosen = np.array(mapped[tuple(wanted[role] for role in axes)])
        return chosen.transpose([axes.index(role) for role in "eyx"])
    stored = axes[::-1] if array.fortran else axes  # slowest first
    shape = array.shape[::-1] if array.fortran else array.shape
    length = dict(zip(stored, shape, strict=True))
    numbers = {role: range(*wanted[role].indices(length[role])) for role in stored}
    result = np.empty([len(numbers[role]) for role in stored], dtype=array.dtype)
    slab = math.prod(shape[1:]) * np.dtype(array.dtype).itemsize
    inner = tuple(wanted[role] for role in stored[1:])
    slowest = numbers[stored[0]]
    with _stream(array) as stream:
        for k in range(slowest.stop):
            content = _exactly(stream, slab, array)
            if k >= slowest.start:
                values = np.frombuffer(content, dtype=array.dtype).reshape(shape[1:])
                result[k - slowest.start] = values[inner]
    return result.transpose([stored.index(role) for role in "eyx"])


class _ObjectsError(FileFormatError):
    """An array of Python objects, which only pickle could read."""


def _header(content: bytes, path: Path, member: str) -> Array:
    """Shape and kind of an array, read from its first bytes without evaluating them."""
    version = content[6] if content.startswith(MAGIC) and len(content) > 12 else 0
    width = {1: 2, 2: 4, 3: 4}.get(version, 0)
    start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
    found = _FACTS.fullmatch(content[8 + width : start].decode("latin-1")) if width else None
    if found is None or start > len(content):
        raise FileFormatError(
            f"{member or 'it'} has no readable NumPy header", str(path), "copy it again"
        )
    try:
        dtype = np.dtype(found["descr"] or "V1")
        shape = tuple(int(n) for n in re.findall(r"\d{1,18}", found["shape"]))
    except (TypeError, ValueError, SyntaxError):
        dtype, shape = np.dtype("V1"), ()
    if dtype.hasobject:
        raise _ObjectsError(
            "holds Python objects (a pickle), which are never loaded",
            str(path),
            "save a plain array of numbers with np.save",
        )
    if dtype.kind not in "fiubUS":
        kind = "complex numbers" if dtype.kind == "c" else "records"
        raise FileFormatError(
            f"{member or 'it'} holds {kind}, not measured values",
            str(path),
            "save a plain array of real numbers with np.save",
        )
    return Array(path, member, shape, dtype.str, found["fortran"] == "True", start)


@contextmanager
def _stream(array: Array) -> Iterator[Any]:
    """The bytes of an array from its first number on."""
    if not array.member:
        try:
            with array.file.open("rb") as file:
                file.seek(array.start)
                yield file
        except OSError as error:
            raise FileFormatError(
                f"cannot be read ({error.strerror})", str(array.file), "check its permissions"
            ) from error
        return
    with archive(array.file) as opened, opened.open(array.member) as stream:
        _exactly(stream, array.start, array)
        yield stream


def _exactly(stream: Any, n_bytes: int, array: Array) -> bytes:
    """So many bytes, or an error."""
    content = stream.read(n_bytes)
    if len(content) < n_bytes:
        raise FileFormatError(
            f"{array.name or 'it'} ends {n_bytes - len(content)} bytes too early",
            str(array.file),
            "the file is truncated: copy it again",
        )
    return bytes(content)
