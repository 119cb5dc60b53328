"""The numbers of an SDF image, read at several times the speed of `numpy.loadtxt`.

An image is text: one row of pixels per line, numbers separated by tabs, spaces or commas. Every row
is counted, so that a truncated file is found and named, never padded.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock, local

import numpy as np

from chemoscape.blocks import kernel
from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard

_COMPLETE, _WRONG_COLUMNS, _TOO_MANY_ROWS, _NOT_A_NUMBER, _TOO_FEW_ROWS = range(5)

#: Smallest text of one pixel: a digit and what separates it from the next.
BYTES_PER_PIXEL = 2

_POWERS = 10.0 ** np.arange(309)

_REMEDY = "the file is truncated or damaged: copy it again from the beamline"

_PIECE_BYTES = 4_000_000

#: Where rows begin, by file; a lazy stack reads the same rows of many files.
_known_starts: dict[tuple[str, int, int], dict[int, int]] = {}
_MOST_REMEMBERED = 20_000
_lock = Lock()
_of_thread = local()


@kernel
def _parse(text: np.ndarray, image: np.ndarray, powers: np.ndarray) -> tuple[int, int, int]:
    """Read `text`, which ends with a line end, into `image`.

    Returns what went wrong, the row, and the columns found there. Indices are unsigned, so that the
    compiler drops the code for negative ones; the closing line end makes bounds checks needless.
    """
    n_rows, n_columns = image.shape
    one = np.uint64(1)
    i = np.uint64(0)
    n = np.uint64(text.size)
    row, column = 0, 0
    while i < n:
        c = text[i]
        if c == 9 or c == 32 or c == 13 or c == 44:  # tab, space, return, comma
            i += one
            continue
        if c == 10:  # line end
            i += one
            if column > 0:
                if column != n_columns:
                    return 1, row, column
                row += 1
                column = 0
            continue
        if row >= n_rows:
            return 2, row, column

        # a number: sign, digits, point, digits, exponent
        negative = c == 45
        if negative or c == 43:
            i += one
            c = text[i]
        mantissa = np.int64(0)
        exponent = 0
        digits = 0
        while 48 <= c <= 57:
            if digits < 18:
                mantissa = mantissa * 10 + np.int64(c - 48)
            else:
                exponent += 1
            digits += 1
            i += one
            c = text[i]
        if c == 46:
            i += one
            c = text[i]
            while 48 <= c <= 57:
                if digits < 18:
                    mantissa = mantissa * 10 + np.int64(c - 48)
                    exponent -= 1
                digits += 1
                i += one
                c = text[i]
        if digits == 0:
            return 3, row, column
        if c == 101 or c == 69:
            i += one
            c = text[i]
            falling = c == 45
            if falling or c == 43:
                i += one
                c = text[i]
            if c < 48 or c > 57:
                return 3, row, column
            written = 0
            while 48 <= c <= 57:
                written = min(written * 10 + int(c) - 48, 100000)
                i += one
                c = text[i]
            exponent += -written if falling else written
        if c != 9 and c != 10 and c != 13 and c != 32 and c != 44:
            return 3, row, column
        value = float(mantissa)
        if exponent < 0:
            value = value / powers[-exponent] if exponent >= -300 else 0.0
        elif exponent > 0:
            value = value * powers[exponent] if exponent <= 300 else 1e300
        if value > 3.4028235e38 and mantissa > 0:
            return 3, row, column

        if column < n_columns:
            image[row, column] = -value if negative else value
        column += 1
    if row < n_rows:
        return 4, row, 0
    return 0, row, 0


def read_rows(
    path: Path,
    n_rows: int,
    rows: slice,
    image: np.ndarray,
    *,
    line_end_needed: bool,
    growing: bool,
) -> None:
    """Fill `image` (rows × columns, float32) with some rows of an SDF image.

    Parameters
    ----------
    path : Path
        The image.
    n_rows : int
        Rows of the whole image.
    rows : slice
        Those to read; the last ones are checked to be the last of the file.
    image : ndarray, shape (len(rows), n_columns), float32
        Written in place.
    line_end_needed : bool
        Refuse a last row without a line end: its last number may be cut.
    growing : bool
        The image is being written: rows that are not there yet are NaN, and so is one without a
        line end.

    Raises
    ------
    FileFormatError
        A row or a number is missing, cut or superfluous; names the row, what was expected and what
        found.
    """
    size = path.stat().st_size
    start, stop = _extent(path, size, n_rows, rows)
    buffer = _text_buffer(stop - start + 1)
    n_bytes = _guard.read_into(path, buffer[:-1], offset=start)
    ended = n_bytes > 0 and buffer[n_bytes - 1] in (10, 13)
    if growing and not ended:
        line_ends = np.flatnonzero(buffer[:n_bytes] == 10)
        n_bytes = int(line_ends[-1]) + 1 if line_ends.size else 0
        ended = True
    buffer[n_bytes] = 10
    problem, row, columns = _parse(buffer[: n_bytes + 1], image, _POWERS)
    if problem == _COMPLETE:
        if line_end_needed and not ended and rows.stop == n_rows:
            raise FileFormatError(
                f"row {n_rows} has no line end: its last number may be cut",
                str(path),
                f"{_REMEDY}, or end its last line if the file is complete",
            )
        return
    if growing and problem == _TOO_FEW_ROWS:
        image[row:] = np.nan
        return
    row += rows.start
    n_columns = image.shape[1]
    what = {
        _WRONG_COLUMNS: f"row {row + 1} has {columns} values, the header says {n_columns}",
        _TOO_MANY_ROWS: f"has more than the {n_rows} rows of the header",
        _NOT_A_NUMBER: f"row {row + 1}, column {columns + 1} is not a number",
        _TOO_FEW_ROWS: f"has {row} rows, the header says {n_rows}",
    }[problem]
    raise FileFormatError(what, str(path), _REMEDY)


def _text_buffer(n_bytes: int) -> np.ndarray:
    """Memory for the text of an image, the same for all images of a thread: fresh memory costs a
    fifth of the time.
    """
    buffer: np.ndarray | None = getattr(_of_thread, "buffer", None)
    if buffer is None or not n_bytes <= buffer.size <= 4 * n_bytes:
        buffer = _of_thread.buffer = np.empty(n_bytes, dtype=np.uint8)
    return buffer[:n_bytes]


def _extent(path: Path, size: int, n_rows: int, rows: slice) -> tuple[int, int]:
    """Where in the file some rows lie: bytes from start to stop.

    Where rows begin is remembered, so that bands read one after the other do not count the lines
    before them again.
    """
    if rows.start == 0 and rows.stop == n_rows:
        return 0, size
    key = (str(path), size, path.stat().st_mtime_ns)
    with _lock:
        if len(_known_starts) > _MOST_REMEMBERED:
            _known_starts.clear()
        starts = _known_starts.setdefault(key, {0: 0})
        edges = []
        for wanted in (rows.start, rows.stop):
            row = max(known for known in starts if known <= wanted)
            if row < wanted:
                starts[wanted] = _after_rows(path, starts[row], wanted - row)
            edges.append(starts[wanted])
    return edges[0], size if rows.stop == n_rows else edges[1]


def _after_rows(path: Path, offset: int, n_rows: int) -> int:
    """Offset behind the next `n_rows` lines that hold anything; the end when there are fewer."""
    buffer = np.empty(_PIECE_BYTES, dtype=np.uint8)
    blank = True
    while n_bytes := _guard.read_into(path, buffer, offset=offset):
        used, n_rows, blank = _count_rows(buffer[:n_bytes], n_rows, blank)
        offset += used
        if n_rows == 0:
            return offset
    return offset


@kernel
def _count_rows(text: np.ndarray, n_rows: int, blank: bool) -> tuple[int, int, bool]:
    """Bytes used, rows still to find, and whether nothing was seen of the row in hand."""
    for i in range(text.size):
        c = text[i]
        if c == 10:
            if not blank:
                n_rows -= 1
                if n_rows == 0:
                    return i + 1, 0, True
            blank = True
        elif c != 9 and c != 32 and c != 13 and c != 44:
            blank = False
    return text.size, n_rows, blank
