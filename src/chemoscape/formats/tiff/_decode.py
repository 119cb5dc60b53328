"""Rows of one TIFF image as numbers: uncompressed, LZW, Deflate or PackBits, with predictors.

Every piece is unpacked into exactly the bytes that its shape needs, so that a small file cannot
fill the memory.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from chemoscape.blocks import kernel
from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats.tiff._pages import DEFLATE, LZW, NONE, OLD_DEFLATE, PACKBITS, Page


def read_rows(path: Path, page: Page, rows: slice) -> np.ndarray:
    """Rows of an image, shape ``(rows, n_x)``, in the file's dtype.

    Raises
    ------
    FileFormatError
        A piece is cut short or damaged; names the image.
    """
    width = page.shape[1]
    image = np.empty((rows.stop - rows.start, width), dtype=page.dtype)
    if page.in_one_piece:
        start = int(page.offsets[0]) + rows.start * width * page.dtype.itemsize
        if _guard.read_into(path, image.reshape(-1).view(np.uint8), offset=start) < image.nbytes:
            raise _damage(path, page, "ends too early")
        return image
    height, columns = page.piece
    across = -(-width // columns)
    for down in range(rows.start // height, -(-rows.stop // height)):
        top = down * height
        tall = min(height, page.shape[0] - top)  # what a tile has below the image is not needed
        first, last = max(rows.start, top), min(rows.stop, top + height, page.shape[0])
        for side in range(across):
            piece = _piece(path, page, down * across + side, (tall, columns))
            left = side * columns
            right = min(left + columns, width)
            image[first - rows.start : last - rows.start, left:right] = piece[
                first - top : last - top, : right - left
            ]
    return image


def _piece(path: Path, page: Page, index: int, shape: tuple[int, int]) -> np.ndarray:
    """One strip or tile."""
    packed = _guard.read_at(path, int(page.offsets[index]), int(page.counts[index]))
    needed = shape[0] * shape[1] * page.dtype.itemsize
    if page.compression == NONE:
        unpacked = packed[:needed]
    elif page.compression in (DEFLATE, OLD_DEFLATE):
        try:
            unpacked = zlib.decompressobj().decompress(packed, needed)
        except zlib.error as error:
            raise _damage(path, page, f"cannot be unpacked ({error})") from None
    else:
        buffer = np.zeros(needed, dtype=np.uint8)
        unpack = {LZW: _unpack_lzw, PACKBITS: _unpack_packbits}[page.compression]
        filled = unpack(np.frombuffer(packed, dtype=np.uint8), buffer)
        unpacked = buffer[: max(filled, 0)].tobytes()
    if len(unpacked) < needed:
        raise _damage(path, page, f"piece {index + 1} holds {len(unpacked)} of {needed} bytes")
    return _without_predictor(unpacked, page, shape)


def _without_predictor(content: bytes, page: Page, shape: tuple[int, int]) -> np.ndarray:
    """Numbers of a piece whose rows may be stored as differences."""
    if page.predictor == 1:
        return np.frombuffer(content, dtype=page.dtype).reshape(shape)
    size = page.dtype.itemsize
    if page.predictor == 2:
        whole = np.dtype(f"{page.dtype.byteorder}u{size}")
        steps = np.frombuffer(content, dtype=whole).reshape(shape).astype(f"u{size}")
        values = np.cumsum(steps, axis=1, dtype=steps.dtype)  # wraps, as it was written
        return values.view(page.dtype.newbyteorder("="))
    # floats as bytes of equal weight side by side, highest first
    steps = np.frombuffer(content, dtype=np.uint8).reshape(shape[0], size * shape[1])
    planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(shape[0], size, shape[1])
    return np.ascontiguousarray(planes.swapaxes(1, 2)).view(f">f{size}")[..., 0]


def _damage(path: Path, page: Page, what: str) -> FileFormatError:
    """Error about one image."""
    return FileFormatError(
        f"image {page.number + 1}: {what}", str(path), "the file is damaged: copy it again"
    )


@kernel
def _unpack_lzw(packed: np.ndarray, unpacked: np.ndarray) -> int:
    """Fill `unpacked` from LZW codes of 9 to 12 bits, highest bit first; returns the bytes filled,
    -1 when a code is impossible.
    """
    prefix = np.zeros(4097, dtype=np.int32)
    suffix = np.zeros(4097, dtype=np.uint8)
    length = np.zeros(4097, dtype=np.int32)
    for k in range(256):
        suffix[k] = k
        length[k] = 1
    next_code, width = 258, 9
    bits, held = 0, 0
    filled, before = 0, -1
    for k in range(packed.size):
        held = ((held << 8) | packed[k]) & 0xFFFFFF
        bits += 8
        if bits < width:
            continue
        bits -= width
        code = (held >> bits) & ((1 << width) - 1)
        if code == 257:
            return filled
        if code == 256:
            next_code, width, before = 258, 9, -1
            continue
        if before < 0:
            if code > 255:
                return -1
            text = code
        else:
            if code > next_code or next_code > 4096:
                return -1
            # the new entry: the text before and the first byte of this one
            first = code if code < next_code else before
            while length[first] > 1:
                first = prefix[first]
            prefix[next_code] = before
            suffix[next_code] = suffix[first]
            length[next_code] = length[before] + 1
            next_code += 1
            if next_code == 511 or next_code == 1023 or next_code == 2047:
                width += 1
            text = code
        n = length[text]
        place = filled + n - 1
        walk = text
        while place >= filled:
            if place < unpacked.size:
                unpacked[place] = suffix[walk]
            walk = prefix[walk]
            place -= 1
        filled += n
        if filled >= unpacked.size:
            return unpacked.size
        before = code
    return filled


@kernel
def _unpack_packbits(packed: np.ndarray, unpacked: np.ndarray) -> int:
    """Fill `unpacked` from runs and literal bytes; returns the bytes filled."""
    filled, i = 0, 0
    while i < packed.size and filled < unpacked.size:
        n = int(packed[i])
        i += 1
        if n == 128:
            continue
        if n < 128:
            for _ in range(n + 1):
                if i < packed.size and filled < unpacked.size:
                    unpacked[filled] = packed[i]
                    filled += 1
                    i += 1
        elif i < packed.size:
            for _ in range(257 - n):
                if filled < unpacked.size:
                    unpacked[filled] = packed[i]
                    filled += 1
            i += 1
    return filled
