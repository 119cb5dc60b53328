"""Cells of a table as numbers: decimal commas, thousands, clocks, dates."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError

Cell = Any  # str of a text, or what a spreadsheet holds

_COMMA = re.compile(r"[-+]?\d+(,\d+)(e[-+]?\d+)?", re.IGNORECASE)
_GROUPS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")
_BLANKS = re.compile(r"(?<=\d)[\s'’\u00a0\u202f](?=\d{3})")
_CLOCK = re.compile(
    r"(?:(\d+)\s*(?:[.]|d(?:ays?)?[\s,:]*|-)\s*)?(\d+):(\d{1,2}):(\d{1,2})(?:([.,:])(\d+))?"
)
_FOUR = re.compile(r"(\d+):(\d{1,2}):(\d{1,2}):(\d+)")
#: How dates are written, beside ISO 8601.
_DATES = (
    *("%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S"),
    *("%d-%b-%y %I:%M:%S %p", "%m/%d/%Y %I:%M:%S %p", "%d-%m-%Y %H:%M:%S", "%Y.%m.%d %H:%M:%S"),
    *("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"),
)
_SAMPLE = 4000
_ABSURD = 1e15


def decimal_mark(cells: Iterable[Cell], where: str) -> str:
    """What stands before the decimals: "." or ",".

    Raises
    ------
    FileFormatError
        Every comma could be a decimal comma and one between thousands.
    """
    grouped = ""
    for k, cell in enumerate(cells):
        if k >= _SAMPLE:
            break
        if not isinstance(cell, str) or "," not in cell:
            if isinstance(cell, str) and re.fullmatch(r"[-+]?\d+\.\d+(e[-+]?\d+)?", cell.strip()):
                return "."
            continue
        text = _BLANKS.sub("", cell.strip())
        if "." in text:
            return "." if text.rindex(".") > text.rindex(",") else ","
        if _COMMA.fullmatch(text) and not _GROUPS.fullmatch(text):
            return ","
        if _GROUPS.fullmatch(text):
            if text.count(",") > 1:
                return "."
            grouped = text
    if grouped:
        raise FileFormatError(
            f"{grouped!r} may be a decimal comma or thousands",
            where,
            "say which mark stands before the decimals: decimal=',' or '.' (--decimal)",
        )
    return "."


def numbers(cells: Sequence[Cell], decimal: str) -> np.ndarray:
    """A column as numbers; NaN where a cell is none."""
    try:  # of most files
        found = np.array(cells, dtype=float)
    except (ValueError, TypeError, OverflowError):
        found = np.array([_number(cell, decimal) for cell in cells], dtype=float)
    # a damaged exponent is no number that was measured
    return np.where(np.abs(found) < _ABSURD, found, np.nan)


def _number(cell: Cell, decimal: str) -> float:
    """One number, or NaN."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return float(cell)
    if not isinstance(cell, str):
        return np.nan
    text = _BLANKS.sub("", cell.strip()).replace("−", "-")
    text = text.replace(".", "").replace(",", ".") if decimal == "," else text.replace(",", "")
    try:
        return float(text)
    except ValueError:
        return np.nan


def is_number(cell: Cell) -> bool:
    """Whether a cell is a number, with whatever decimal mark."""
    return np.isfinite(_number(cell, ".")) or np.isfinite(_number(cell, ","))


def is_clock(cell: Cell) -> bool:
    """Whether a cell is a time as hours:minutes:seconds."""
    if isinstance(cell, dt.timedelta | dt.time):
        return True
    return isinstance(cell, str) and bool(_CLOCK.fullmatch(cell.strip()))


def clock(cell: Cell) -> float:
    """Seconds of ``hh:mm:ss``, ``d.hh:mm:ss``, ``1d 02:03:04.5``, ``h:mm:ss:ms``; else NaN.

    Examples
    --------
    >>> [clock(text) for text in ("1:00:01.5", "2.03:00:00", "0d 00:00:10", "0:01:02:500")]
    [3601.5, 183600.0, 10.0, 62.5]
    """
    if isinstance(cell, dt.timedelta):
        return cell.total_seconds()
    if isinstance(cell, dt.time):
        return cell.hour * 3600.0 + cell.minute * 60 + cell.second + 1e-6 * cell.microsecond
    match = _CLOCK.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if match is None:
        return np.nan
    days, hours, minutes, seconds, mark, rest = match.groups()
    part = 0.0
    if rest:  # Neware writes milliseconds after a colon
        part = float(rest) / 1000 if mark == ":" else float(f"0.{rest}")
    return (
        86400.0 * int(days or 0) + 3600.0 * int(hours) + 60.0 * int(minutes) + int(seconds) + part
    )


def dates(cells: Sequence[Cell], where: str) -> np.ndarray | None:
    """Seconds since the first of dates and times; None where they are none.

    Raises
    ------
    FileFormatError
        Days and months may be meant either way round, and the durations differ.
    """
    if all(isinstance(cell, dt.date) for cell in cells):  # a spreadsheet's midnight is a mere day
        whole = [
            c if isinstance(c, dt.datetime) else dt.datetime(*c.timetuple()[:3]) for c in cells
        ]
        return np.array([(one - whole[0]).total_seconds() for one in whole])
    texts = [cell.strip() if isinstance(cell, str) else "" for cell in cells]
    readings: list[np.ndarray] = []
    for form in ("iso", *_DATES):
        read = _dates_as(texts, form)
        if read is not None and (np.diff(read) >= 0).all():
            readings.append(read - read[0])
    if len(readings) > 1 and any(abs(one[-1] - readings[0][-1]) > 1 for one in readings[1:]):
        raise FileFormatError(
            f"{texts[0]!r} may begin with the day or with the month",
            where,
            "export the elapsed time in seconds as well",
        )
    return readings[0] if readings else None


def _dates_as(texts: Sequence[str], form: str) -> np.ndarray | None:
    """Dates written in one form, s, or None."""
    try:
        head, part = form, np.zeros(len(texts))
        if form != "iso":
            cut = [re.fullmatch(r"(.*:\d\d)[.,](\d+)(.*)", text) for text in texts]
            part = np.array([float(f"0.{one[2]}") if one else 0.0 for one in cut])
            texts = [one[1] + one[3] if one else t for one, t in zip(cut, texts, strict=True)]
        read = [
            dt.datetime.fromisoformat(t) if form == "iso" else dt.datetime.strptime(t, head)
            for t in texts
        ]
        return np.array([(one - read[0]).total_seconds() for one in read]) + part
    except (ValueError, TypeError, OverflowError):
        return None
