"""A cycler's file as rows of cells: texts in many encodings, spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from chemoscape.electrochemistry._cells import Cell, is_clock, is_number
from chemoscape.electrochemistry._vocabulary import Heading, heading, known_unit
from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard

#: A year of cycling at one record a second is smaller.
LIMIT = 512_000_000
#: The heading stands within so many lines (BioLogic writes 80 above it).
_NEAR = 400
_LONGEST_LINE = 100_000
_CHINESE = set("电压流容量循环时间工步充放静置序号")
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of cells under their headings.

    ``headings`` are those of use, by column; ``names`` all as written; ``indent`` how many columns
    stand empty before the records of an export in layers (cycle, step, record); ``above`` the words
    above the heading, as far as 300 characters.
    """

    names: tuple[str, ...]
    headings: dict[int, Heading]
    rows: list[list[Cell]]
    layout: str
    indent: int = 0
    above: str = ""


def read_table(path: Path, *, nameless: bool = False) -> Table:
    """The table of a text or a spreadsheet that holds a voltage.

    Parameters
    ----------
    path : Path
        The file.
    nameless : bool
        Whether the columns are told by their numbers, so that a heading is not needed.

    Raises
    ------
    FileFormatError
        No heading is found, or the file is none of these.
    """
    content = _guard.read_bytes(path, limit=LIMIT)
    if content.startswith(_SPREADSHEETS):
        return _best(_sheets(content, str(path)), str(path), nameless)
    text = decoded(content)
    if text.count("\0"):
        raise FileFormatError(
            "is no text, no spreadsheet, and no cycler's file known here",
            str(path),
            "export the records as CSV, TXT or XLSX",
        )
    return _best(_texts(text, str(path)), str(path), nameless)


def decoded(content: bytes) -> str:
    """Text in UTF-8, UTF-16 with or without its mark, GB 18030 if it speaks of cycling, Latin-1."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    start = content[:2000]
    for odd, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(start) > 20 and start[odd::2].count(0) > 0.8 * len(start) / 2:
            return content.decode(name, "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("gb18030")
        if _CHINESE & set(text[:20000]):
            return text
    except UnicodeDecodeError:
        pass
    return content.decode("latin-1")


def _texts(text: str, where: str) -> Iterator[tuple[str, list[list[Cell]]]]:
    """The rows of a text for every mark that may stand between its cells."""
    lines = re.split(r"\r\n|\r|\n", text)
    if max(map(len, lines)) > _LONGEST_LINE:
        raise FileFormatError(
            f"has a line of more than {_LONGEST_LINE} characters",
            where,
            "give a table with a record per line",
        )
    headed = False
    for mark, name in (("\t", "tabs"), (";", "semicolons"), (",", "commas"), ("  ", "blanks")):
        if headed and name == "blanks":  # they are part of the names
            return
        head = [_cells(line, mark) for line in lines[:_NEAR]]
        if sum(len(row) > 1 for row in head) < 2:
            continue
        if _heading_row(head) is not None:
            headed = True
        elif not _numeric_start(head):
            continue
        yield name, head + [_cells(line, mark) for line in lines[_NEAR:]]


def _cells(line: str, mark: str) -> list[Cell]:
    """Cells of a line."""
    if mark == "  ":  # one blank may be part of a heading; between numbers it separates
        wide = re.split(r"\s{2,}", line.strip())
        words = line.split()
        return list(words if len(wide) < 2 or all(is_number(w) for w in words) else wide)
    if '"' not in line:
        return [cell.strip() for cell in line.split(mark)]
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])]
    except csv.Error:
        return [cell.strip() for cell in line.split(mark)]


def _sheets(content: bytes, where: str) -> Iterator[tuple[str, list[list[Cell]]]]:
    """The rows of every sheet of a workbook."""
    import python_calamine

    try:
        book = python_calamine.load_workbook(io.BytesIO(content))
        for name in book.sheet_names:
            yield f"sheet {name!r}", book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except (*_guard.LIBRARY_ERRORS, python_calamine.CalamineError) as error:
        raise FileFormatError(
            f"cannot be read as a spreadsheet ({str(error)[:80]})",
            where,
            "the file is damaged or protected: save it again as .xlsx or .csv",
        ) from error


def _best(candidates: Iterator[tuple[str, list[list[Cell]]]], where: str, nameless: bool) -> Table:
    """The candidate that holds most columns of use, then most rows."""
    found: list[tuple[int, int, Table]] = []
    bare = None
    for layout, rows in candidates:
        start = _heading_row(rows[:_NEAR])
        if start is not None:
            table = _under_heading(rows, start, layout)
            roles = {one.role for one in table.headings.values()}
            found.append((len(roles), len(table.rows), table))
        elif bare is None and (first := _numeric_start(rows)):
            width = max(len(row) for row in rows[first - 1 : first + 20])
            over = [str(cell) for cell in rows[first - 2]] if first > 1 else []
            names = tuple(over[k] if k < len(over) else f"column {k + 1}" for k in range(width))
            bare = Table(names, {}, rows[first - 1 :], layout)
    if found:
        best = max(found, key=lambda one: one[:2])[2]
        if best.layout.startswith("sheet"):  # Land and Neware go on in further sheets
            same = [one[2] for one in found if one[2].names == best.names]
            return replace(best, rows=[row for one in same for row in one.rows])
        return best
    if nameless and bare is not None:
        return bare
    raise FileFormatError(
        "no heading with a voltage beside a current, a capacity or a time was found",
        where,
        "name the columns by heading or number: columns={'voltage': 3, 'capacity': 'Q'}, on the "
        "command line --column voltage=3 capacity=Q",
    )


def _under_heading(rows: list[list[Cell]], start: int, layout: str) -> Table:
    """The table whose heading is at `start`, its units perhaps in the row below."""
    names = [str(cell) for cell in rows[start]]
    headings = {k: one for k, name in enumerate(names) if (one := heading(name))}
    below = rows[start + 1] if start + 1 < len(rows) else []
    first = start + 1
    if below and not any(is_number(cell) for cell in below):
        units = {k: known_unit(str(cell)) for k, cell in enumerate(below)}
        if any(units.values()):  # Gamry and Origin write units in a row of their own
            first += 1
            for k, one in list(headings.items()):
                if not one.unit and (unit := units.get(k, "")):
                    with_unit = heading(f"{names[k]} ({unit})")
                    headings[k] = with_unit if with_unit and with_unit.role == one.role else one
    indent = next((k for k, name in enumerate(names) if name.strip()), 0)
    above = " ".join(str(cell) for row in rows[:start] for cell in row if str(cell).strip())
    return Table(tuple(names), headings, rows[first:], layout, indent, above[:300])


def _heading_row(rows: list[list[Cell]]) -> int | None:
    """Where the heading stands: voltage beside another quantity, with numbers below it."""
    best: tuple[int, int] | None = None
    for k, row in enumerate(rows):
        if len(row) < 2:
            continue
        texts = [cell for cell in row if isinstance(cell, str) and len(cell) < 80]
        if len(texts) < 2 or sum(map(is_number, texts)) > 1:
            continue
        roles = {column: one.role for column, cell in enumerate(row) if (one := heading(str(cell)))}
        known = set(roles.values())
        if "voltage" not in known or not known & {
            *("current", "capacity", "charge", "discharge", "net", "time")
        }:
            continue
        at = [column for column, role in roles.items() if role == "voltage"]
        if not _numbers_below(rows[k + 1 : k + 60], at):
            continue
        if best is None or len(known) > best[0]:
            best = (len(known), k)
    return None if best is None else best[1]


def _numbers_below(rows: list[list[Cell]], columns: list[int]) -> bool:
    """Whether some row below holds a number in one of the columns."""
    return any(is_number(row[k]) for row in rows for k in columns if k < len(row))


def _numeric_start(rows: list[list[Cell]]) -> int:
    """One-based number of the first row of numbers; 0 without one."""
    for k, row in enumerate(rows[:_NEAR]):
        filled = [cell for cell in row if cell not in ("", None)]
        if len(filled) > 1 and all(is_number(cell) or is_clock(cell) for cell in filled):
            return k + 1
    return 0
