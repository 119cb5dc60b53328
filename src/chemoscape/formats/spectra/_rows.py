"""Rows of numbers in a text, whatever stands between them.

Columns may be separated by commas, semicolons, tabs or spaces; lines that start with ``%``, ``*``,
``#``, ``!`` are comments, words above the first row are a heading. Decimal commas are read where
semicolons or tabs separate the columns, and refused where they could be taken for separators.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from chemoscape.errors import FileFormatError

COMMENTS = ("%", "*", "#", "!")

#: More lines than any spectrum has, and longer ones; they cost far more memory than bytes.
_MOST_LINES = 2_000_000
_LONGEST_LINE = 1_000_000

_LINE_END = re.compile(r"\r\n|\r|\n")  # str.splitlines would also cut at Latin-1's 0x85, "…"
_SEPARATORS = re.compile(r"[,;\s]+")
_NUMERIC = re.compile(r"(?=.*\d)[-+\d.,;eE\snaifNAIF]+")
_BETWEEN_DIGITS = re.compile(r"\d,\d")
_SURE_SEPARATOR = re.compile(r",[\s+.,;-]|[\s,;],|,$|^,")
_ZERO_FIRST = re.compile(r",0\d")
_CELL = re.compile(r"([-+]?(\d+(,\d+)?(e[-+]?\d+)?|nan|inf))?", re.IGNORECASE)
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")

_WRITE_POINTS = "write decimal points, or put semicolons or tabs between the columns"


@dataclass(frozen=True, eq=False)
class Sheet:
    """A text of rows.

    Parameters
    ----------
    head : tuple of str
        Lines above the first row, without blank ones.
    table : ndarray, shape (n_rows, n_columns)
        The numbers.
    mark : str
        What separates the numbers of the first row: a semicolon, tab, comma or blank.
    """

    head: tuple[str, ...]
    table: np.ndarray
    mark: str = " "


def lines_of(text: str, where: str) -> list[str]:
    """Lines of a text without the blanks around them.

    Raises
    ------
    FileFormatError
        They are too many or too long for a file of spectra.
    """
    lines = [line.strip() for line in _LINE_END.split(text, maxsplit=_MOST_LINES)]
    if len(lines) > _MOST_LINES or max(map(len, lines)) > _LONGEST_LINE:
        raise FileFormatError(
            f"has more than {_MOST_LINES} lines, or one of more than {_LONGEST_LINE} characters, "
            "which no spectrum has",
            where,
            "give the right file",
        )
    return lines


def is_comment(line: str) -> bool:
    """Whether a stripped line is a comment; spreadsheets put quotes around some."""
    return line.lstrip('"').startswith(COMMENTS)


def parse_sheet(text: str, *, where: str) -> Sheet:
    """Numbers of a text and what stands above them, two columns or more.

    Raises
    ------
    FileFormatError
        There are no two columns, a row is incomplete, or commas cannot be understood; `where` names
        the text.
    """
    sheet = _parse(text, where)
    if sheet.table.shape[1] < 2:
        raise FileFormatError(
            "holds no two columns of numbers",
            where,
            "give a text file with an energy and a value per line",
        )
    return sheet


def parse_table(text: str, *, where: str) -> np.ndarray:
    """Numbers of a text, two columns or more; `where` names the text in errors."""
    return parse_sheet(text, where=where).table


def parse_rows(text: str, *, where: str) -> np.ndarray:
    """Numbers of a text, one row per line."""
    table = _parse(text, where).table
    if not table.size:
        raise FileFormatError(
            "holds no rows of numbers", where, "give a text file with an energy per line"
        )
    return table


def _parse(text: str, where: str) -> Sheet:
    """Head and rows; a table of no columns when there are no rows."""
    lines = lines_of(text, where)
    decimal_commas = _has_decimal_commas(
        (line for line in lines if not is_comment(line) and _NUMERIC.fullmatch(line)), where
    )
    head: list[str] = []
    numbers = array("d")
    n_rows = n_columns = 0
    mark = " "
    for number, line in enumerate(lines, start=1):
        if not line.strip(",; "):  # spreadsheets write empty rows as ",,,"
            continue
        values = None if is_comment(line) else _numbers(line, decimal_commas)
        if values is None:
            if not n_rows:
                head.append(line)
            elif not is_comment(line):
                raise FileFormatError(
                    f"line {number} is not a row of numbers: {line[:40]!r}",
                    where,
                    "make it a comment (#) or remove it",
                )
            continue
        if n_rows and len(values) != n_columns:
            raise FileFormatError(
                f"line {number} has {len(values)} columns, the lines above have {n_columns}",
                where,
                "the file is truncated or damaged: copy it again",
            )
        if not n_rows:
            mark = next((mark for mark in ";\t," if mark in line), " ")
        numbers.extend(values)
        n_rows, n_columns = n_rows + 1, len(values)
    return Sheet(tuple(head), np.array(numbers).reshape(n_rows, n_columns), mark)


def _numbers(line: str, decimal_commas: bool) -> list[float] | None:
    """The numbers of a line, or None when it holds anything else."""
    if "_" in line:  # float() would take 1_0 for ten
        return None
    if decimal_commas:
        line = line.replace(",", ".")
    try:
        return [float(word) for word in _SEPARATORS.split(line) if word] or None
    except ValueError:
        return None


def _has_decimal_commas(numeric: Iterable[str], where: str) -> bool:
    """Whether the commas of some lines of numbers are decimal ones; refuses what can be either."""
    lines = list(numeric)
    commas = [line for line in lines if _BETWEEN_DIGITS.search(line)]
    if not commas:
        return False
    sure = any(_SURE_SEPARATOR.search(line) for line in lines)
    points = any("." in line for line in lines)
    if sure or not any(re.search(r"[;\s]", line) for line in lines):  # commas separate
        doubtful = [] if points else [line for line in lines if _ZERO_FIRST.search(line)]
        if doubtful:
            raise FileFormatError(
                f"decimal commas cannot be told from separators in {doubtful[0][:40]!r}",
                where,
                _WRITE_POINTS,
            )
        return False
    cells = [cell.strip() for line in lines for cell in re.split(r"[;\t]", line)]
    decimal = [cell for cell in cells if "," in cell]
    if (
        points
        or not any(";" in line or "\t" in line for line in lines)
        or not all(_CELL.fullmatch(cell) for cell in cells)
        or all(_THOUSANDS.fullmatch(cell) for cell in decimal)
    ):
        raise FileFormatError(
            f"the commas in {commas[0][:40]!r} may be decimal commas, separators, or thousands",
            where,
            _WRITE_POINTS,
        )
    return True
