"""Arrays of a zarr store as its descriptions tell, versions 2 and 3.

Codecs that load Python objects, and shapes that the chunks do not bear out, are refused here,
before the zarr library opens anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats.zarr_store import _chunks
from chemoscape.formats.zarr_store._chunks import Chunks
from chemoscape.formats.zarr_store._files import (
    ARRAY_FILES,
    DEEPEST_COMPRESSION,
    described,
    sizes_of,
)

_CODECS = {
    *("blosc", "zstd", "zlib", "gzip", "bz2", "lzma", "lz4", "shuffle", "delta", "crc32", "crc32c"),
    *("adler32", "fletcher32", "jenkins_lookup3", "fixedscaleoffset", "quantize", "bitround"),
    *("astype", "packbits", "bytes", "endian", "transpose", "sharding_indexed"),
}

#: zarr 3's names of the numbers that are read.
_NUMBERS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)

_CHUNK_KEY = re.compile(r"(?:c[/.])?\d{1,9}(?:[/.]\d{1,9})*")


@dataclass(frozen=True, eq=False)
class Array:
    """An array in a store.

    Parameters
    ----------
    store : Path
        The folder or the zip file.
    path : str
        Of the array in the store, "" for the root.
    version : int
        2 or 3.
    shape, chunks : tuple of int
        Pixels of the array and of what is read at once.
    stored : tuple of int
        Pixels of what has a file of its own (several chunks when they are sharded).
    dtype : str
        As NumPy writes it.
    dims : tuple of str
        Names of the dimensions, empty when it has none.
    attrs : mapping
        As in the file.
    files : tuple of str
        Description and chunks.
    packed : Chunks
        How the chunks are packed.
    n_bytes : int
        Bytes of all chunks that are there.
    """

    store: Path
    path: str
    version: int
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    stored: tuple[int, ...]
    dtype: str
    dims: tuple[str, ...]
    attrs: Mapping[str, Any]
    files: tuple[str, ...]
    n_bytes: int
    packed: Chunks

    @property
    def name(self) -> str:
        """Path without a leading slash."""
        return self.path or self.store.stem

    @property
    def missing(self) -> tuple[int, int]:
        """Chunk files that are not there, and how many there should be."""
        there = sum(1 for file in self.files[1:])
        whole = math.prod(-(-n // c) for n, c in zip(self.shape, self.stored, strict=True))
        return max(whole - there, 0), whole


def arrays_of(path: Path) -> list[Array]:
    """Arrays of numbers, and lists of texts, in a store.

    Raises
    ------
    FileFormatError
        A file leads out of the folder, a description is damaged, or an array claims more than its
        chunks can hold.
    """
    sizes = sizes_of(path)
    beneath: dict[str, list[str]] = {}
    descriptions = sorted(key for key in sizes if key.rsplit("/", 1)[-1] in ARRAY_FILES)
    folders = {key.rpartition("/")[0] for key in descriptions}
    for key in sizes:
        parts = key.split("/")
        for depth in range(len(parts) - 1, -1, -1):
            folder = "/".join(parts[:depth])
            if folder in folders:
                if _CHUNK_KEY.fullmatch("/".join(parts[depth:])):
                    beneath.setdefault(folder, []).append(key)
                break
    found = []
    for key in descriptions:
        folder = key.rpartition("/")[0]
        chunks = beneath.get(folder, [])
        facts = described(path, key)
        if facts.get("node_type", "array") != "array":
            continue
        attributes = f"{folder}/.zattrs".lstrip("/")
        extra = described(path, attributes) if attributes in sizes else {}
        array = _array(path, folder, facts, extra, (key, *chunks), sum(sizes[c] for c in chunks))
        if array is not None:
            found.append(array)
    return found


def _array(
    path: Path,
    folder: str,
    facts: Mapping[str, Any],
    extra: Mapping[str, Any],
    files: tuple[str, ...],
    n_bytes: int,
) -> Array | None:
    """An array from its description; None when it holds neither numbers nor texts."""
    where = f"{folder or 'the root'}"
    try:
        version = int(facts["zarr_format"])
        shape = _whole(facts["shape"])
        if version == 3:
            codecs = list(facts["codecs"])
            stored = _whole(facts["chunk_grid"]["configuration"]["chunk_shape"])
            dtype = np.dtype(facts["data_type"]).str if facts["data_type"] in _NUMBERS else ""
            dims = tuple(str(name or "") for name in facts.get("dimension_names") or ())
            attrs = dict(facts.get("attributes") or {})
            shards = [one for one in codecs if one.get("name") == "sharding_indexed"]
            chunks = _whole(shards[0]["configuration"]["chunk_shape"]) if shards else stored
        else:
            codecs = [facts.get("compressor"), *(facts.get("filters") or ())]
            stored = chunks = _whole(facts["chunks"])
            dtype = facts["dtype"] if isinstance(facts["dtype"], str) else ""
            attrs = dict(extra)
            dims = tuple(str(name) for name in attrs.get("_ARRAY_DIMENSIONS") or ())
        kind = np.dtype(dtype).kind if dtype else "O"
        pixel = np.dtype(dtype).itemsize if dtype else 0
        packed = _chunks.packed(path, folder, facts, shape, pixel)
    except (
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        ArithmeticError,
        SyntaxError,
    ) as error:
        raise FileFormatError(
            f"the description of {where} is incomplete ({type(error).__name__}: {error})"[:200],
            str(path),
            "the store is damaged: copy it again",
        ) from error
    lengths = {len(shape), len(stored), len(chunks)}
    endless = 0 in (*stored, *chunks) and 0 not in shape
    if version not in (2, 3) or len(lengths) != 1 or endless:
        raise FileFormatError(
            f"the description of {where} contradicts itself", str(path), "copy the store again"
        )
    if kind not in "fiub" and not (kind in "US" and len(shape) == 1):
        return None
    unknown = set(_names(codecs)) - _CODECS
    if unknown and len(shape) != 3:
        return None
    if unknown:
        raise FileFormatError(
            f"{where} is packed with {', '.join(sorted(unknown))[:80]}, which is not read here",
            str(path),
            "write it again with a usual compressor (Blosc, Zstandard, gzip)",
        )
    needed, piece = math.prod(shape) * pixel, math.prod(chunks) * pixel
    most = _guard.believed_bytes() + 4 * n_bytes
    if needed > most + DEEPEST_COMPRESSION * n_bytes or piece > most:
        raise FileFormatError(
            f"{where} claims an array of shape {shape} in chunks of {chunks}, more than its "
            f"{n_bytes} bytes can hold",
            str(path),
            "chunks are missing or the store is damaged: copy it again",
        )
    dims = dims if len(dims) == len(shape) else ()
    return Array(
        path, folder, version, shape, chunks, stored, dtype, dims, attrs, files, n_bytes, packed
    )


def _whole(values: Any) -> tuple[int, ...]:
    """Numbers of pixels; a ValueError unless they are whole and not negative."""
    if not isinstance(values, list) or len(values) > 32:
        raise ValueError(values)
    if any(not isinstance(n, int) or isinstance(n, bool) or n < 0 for n in values):
        raise ValueError(values)
    return tuple(values)


def _names(codecs: Any) -> Iterator[str]:
    """Names of codecs, also of those inside shards."""
    for codec in codecs:
        if codec is None:
            continue
        yield _chunks.name_of(codec)
        inner = codec.get("configuration") if isinstance(codec, dict) else None
        if isinstance(inner, dict):
            for key in ("codecs", "index_codecs"):
                if isinstance(inner.get(key), list):
                    yield from _names(inner[key])
