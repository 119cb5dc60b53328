"""What packed chunks say of themselves, held against what they should be before they are unpacked.

Blosc reads as far as a chunk's header says and crashes beyond its end; Blosc, Zstandard, LZ4 and
gzip make room for as much as the header says. What zlib, bzip2, LZMA and a Zstandard stream without
its size unpack to is only known afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats.numpy_array import _npy

#: Codecs whose chunks begin or end with the size they unpack to.
_TELLING = ("blosc", "zstd", "lz4", "gzip")

#: Codecs that keep the number of bytes, but for a checksum; others change it by less than this.
_KEEPING = {
    *("bytes", "endian", "transpose", "shuffle", "delta", "bitround", "quantize"),
    *("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3", *_TELLING),
    *("zlib", "bz2", "lzma"),
}
_CHANGE, _CHECKSUMS = 8, 64

_LONGEST_HEAD = 18
_NOWHERE = 2**64 - 1


@dataclass(frozen=True)
class Chunks:
    """Where the chunks of an array lie, and how they are packed.

    Parameters
    ----------
    store : Path
        The folder or the zip file.
    before, between : str
        What stands before and between the numbers in the name of a chunk.
    shape, stored : tuple of int
        Pixels of the array, and of what has a file of its own.
    codec : str
        What was done last and tells a size, "" when nothing does.
    behind : int
        Bytes of a checksum behind every chunk.
    most : int
        Bytes that a chunk may unpack to.
    index : (number, bytes, first), optional
        Of a file with several chunks: how many, the bytes of their list, whether it stands first.
    """

    store: Path
    before: str
    between: str
    shape: tuple[int, ...]
    stored: tuple[int, ...]
    codec: str
    behind: int
    most: int
    index: tuple[int, int, bool] | None = None

    def check(self, selection: Sequence[slice]) -> None:
        """Look at the chunks that a part of the array needs.

        Raises
        ------
        FileFormatError
            One is cut short or claims to hold more than it can.
        """
        if not self.codec:
            return
        spans = (
            range(cut.start // step, -(-cut.stop // step))
            for cut, step in zip(selection, self.stored, strict=True)
        )
        with ExitStack() as stack:
            archive = None
            if not self.store.is_dir():
                archive = stack.enter_context(_npy.archive(self.store))
            for numbers in product(*spans):
                name = self.before + self.between.join(map(str, numbers))
                with ExitStack() as one:
                    if archive is None:
                        path = self.store / name
                        if not path.is_file():
                            continue
                        stream: Any = one.enter_context(path.open("rb"))
                        size = path.stat().st_size
                    elif name in archive.NameToInfo:
                        stream = one.enter_context(archive.open(name))
                        size = archive.getinfo(name).file_size
                    else:
                        continue

                    def read(offset: int, n_bytes: int, stream: Any = stream) -> bytes:
                        stream.seek(offset)
                        return bytes(stream.read(n_bytes))

                    trouble = self._trouble(read, size)
                if trouble:
                    raise FileFormatError(
                        f"chunk {name} {trouble}", str(self.store), "copy the store again"
                    )

    def _trouble(self, read: Callable[[int, int], bytes], size: int) -> str:
        """What is wrong with a file of one or several chunks, "" when nothing is."""
        for start, n_bytes in self._places(read, size):
            if start + n_bytes > size:
                return "is cut short"
            packed = n_bytes - self.behind
            head = read(start, min(_LONGEST_HEAD, max(packed, 0)))
            if self.codec == "blosc" and (
                len(head) < 16 or int.from_bytes(head[12:16], "little") != packed
            ):
                return "is cut short, or is not of the size that its header says"
            tail = read(start + packed - 4, 4) if self.codec == "gzip" and packed >= 4 else b""
            claimed = _claimed(self.codec, head, tail)
            if claimed > self.most:
                return f"claims to hold {claimed} bytes, where {self.most} have room"
        return ""

    def _places(self, read: Callable[[int, int], bytes], size: int) -> Iterator[tuple[int, int]]:
        """Where chunks begin in a file, and their bytes."""
        if self.index is None:
            yield 0, size
            return
        number, n_bytes, first = self.index
        listed = read(0 if first else max(size - n_bytes, 0), n_bytes)[: 16 * number]
        places = np.frombuffer(listed[: len(listed) // 16 * 16], "<u8").reshape(-1, 2)
        yield from ((a, n) for a, n in places.tolist() if a != _NOWHERE)


def _claimed(codec: str, head: bytes, tail: bytes) -> int:
    """Bytes that a chunk says it unpacks to, 0 when it does not say."""
    if codec == "blosc":
        return int.from_bytes(head[4:8], "little")
    if codec == "lz4":
        return int.from_bytes(head[:4], "little")
    if codec == "gzip":
        return int.from_bytes(tail, "little")
    if not head.startswith(b"\x28\xb5\x2f\xfd") or len(head) < 6:
        return 0  # no Zstandard at all: the library says so
    facts = head[4]
    alone = bool(facts & 0x20)
    width = (1 if alone else 0, 2, 4, 8)[facts >> 6]
    start = 5 + (not alone) + (0, 1, 2, 4)[facts & 3]
    return int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)


def packed(
    store: Path, folder: str, facts: Mapping[str, Any], shape: tuple[int, ...], pixel: int
) -> Chunks:
    """How the chunks of an array are packed, by its description.

    Parameters
    ----------
    store, folder
        The store and the array's folder in it.
    facts : mapping
        The description, of version 2 or 3.
    shape : tuple of int
        Of the array.
    pixel : int
        Bytes of one number.

    Raises
    ------
    FileFormatError
        The chunks cannot be looked at before they are unpacked.
    KeyError, ValueError, TypeError, AttributeError
        The description is damaged.
    """
    index = None
    if facts["zarr_format"] == 3:
        stored = tuple(facts["chunk_grid"]["configuration"]["chunk_shape"])
        key = facts.get("chunk_key_encoding") or {}
        style = key.get("configuration") or {}
        prefix, between = ("", ".") if key.get("name") == "v2" else ("c/", "/")
        between = str(style.get("separator", between))
        before = prefix.replace("/", between)
        codecs = list(facts["codecs"])
        chunk = stored
        if codecs and name_of(codecs[-1]) == "sharding_indexed":
            inner = codecs[-1]["configuration"]
            chunk = tuple(inner["chunk_shape"])
            number = math.prod(-(-a // b) for a, b in zip(stored, chunk, strict=True))
            checked = any(name_of(one) == "crc32c" for one in inner.get("index_codecs") or ())
            index = number, 16 * number + 4 * checked, inner.get("index_location") == "start"
            codecs = list(inner["codecs"])
    else:
        stored = chunk = tuple(facts["chunks"])
        before, between = "", str(facts.get("dimension_separator") or ".")
        codecs = [*(facts.get("filters") or ()), facts.get("compressor")]
    names = [name_of(one) for one in codecs if one is not None]
    behind = 0
    outer = list(names)
    while outer and outer[-1] == "crc32c":
        behind += 4
        outer.pop()
    codec = outer[-1] if outer and outer[-1] in _TELLING else ""
    if names.count("blosc") > (codec == "blosc") or "sharding_indexed" in names:
        raise FileFormatError(
            f"{folder or 'the root'} is packed twice, which is not read here",
            str(store),
            "write it again with one compressor",
        )
    if between not in (".", "/"):
        raise ValueError(f"chunks named with {between[:20]!r}")
    expected = math.prod(chunk) * pixel
    most = expected * (1 if set(names) <= _KEEPING else _CHANGE) + _CHECKSUMS
    before = f"{folder}/{before}" if folder else before
    return Chunks(store, before, between, shape, stored, codec, behind, most, index)


def name_of(codec: Any) -> str:
    """Name of a codec, in whatever way it is described."""
    if isinstance(codec, dict):
        codec = codec.get("name", codec.get("id", "?"))
    return str(codec).removeprefix("numcodecs.")


def everything(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """A whole array as selection."""
    return tuple(slice(0, n) for n in shape)
