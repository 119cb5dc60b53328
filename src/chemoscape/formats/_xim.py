"""The numbers of an SDF image, read at several times the speed of `numpy.loadtxt`.

An image is text: one row of pixels per line, numbers separated by tabs, spaces or commas. Every row
is counted, so that a truncated file is found and named, never padded.
"""

from __future__ import annotations

import numpy as np

from chemoscape.blocks import kernel
from chemoscape.errors import FileFormatError

_COMPLETE, _WRONG_COLUMNS, _TOO_MANY_ROWS, _NOT_A_NUMBER, _TOO_FEW_ROWS = range(5)

#: Smallest text of one pixel: a digit and what separates it from the next.
BYTES_PER_PIXEL = 2

_POWERS = 10.0 ** np.arange(309)


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


def read_image(
    buffer: np.ndarray, n_bytes: int, image: np.ndarray, *, where: str, line_end_needed: bool
) -> None:
    """Fill `image` (rows × columns, float32) from the text of an SDF image.

    Parameters
    ----------
    buffer : ndarray of uint8, longer than `n_bytes`
        Holds the file in its first `n_bytes`; the byte after them is overwritten.
    n_bytes : int
        Length of the file.
    image : ndarray, shape (n_rows, n_columns), float32
        Written in place.
    where : str
        Name of the file in errors.
    line_end_needed : bool
        Refuse a last row without a line end: its last number may be cut.

    Raises
    ------
    FileFormatError
        A row or a number is missing, cut or superfluous; names the row, what was expected and what
        found.
    """
    remedy = "the file is truncated or damaged: copy it again from the beamline"
    ended = n_bytes > 0 and buffer[n_bytes - 1] in (10, 13)
    buffer[n_bytes] = 10
    problem, row, columns = _parse(buffer[: n_bytes + 1], image, _POWERS)
    n_rows, n_columns = image.shape
    if problem == _COMPLETE:
        if line_end_needed and not ended:
            raise FileFormatError(
                f"row {n_rows} has no line end: its last number may be cut",
                where,
                f"{remedy}, or end its last line if the file is complete",
            )
        return
    what = {
        _WRONG_COLUMNS: f"row {row + 1} has {columns} values, the header says {n_columns}",
        _TOO_MANY_ROWS: f"has more than the {n_rows} rows of the header",
        _NOT_A_NUMBER: f"row {row + 1}, column {columns + 1} is not a number",
        _TOO_FEW_ROWS: f"has {row} rows, the header says {n_rows}",
    }[problem]
    raise FileFormatError(what, where, remedy)
