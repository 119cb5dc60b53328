"""What stands above the rows of a text: names and units of its columns, and fields.

Names come, in this order, from lines ``# Column.N: name`` (XDI, Athena's ``.nor``), from the block
``# Column Descriptions:`` (beamlines that run EPICS), from a heading, or from the last comment.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats._source import some
from chemoscape.formats.spectra._rows import Sheet, is_comment

#: A heading stands within so many lines above the first row.
_NEAR = 50

_FIELD = re.compile(r"\W*([A-Za-zµ][\w .()/-]{0,60}?)\s*[:=](.*)")
_DESCRIBED = re.compile(r"#\s*(\d{1,4})\s+\[([^\]]*)\](.*)")
_ENERGY = re.compile(r"energ|(?<![a-z])k?ev(?![a-z])|^e$|^e\s*[\[(]|^h[vν]$", re.IGNORECASE)
_COUNTING = re.compile(r"index|points?|no\.?|nr\.?|n|i|#|row|step", re.IGNORECASE)
_OTHER_AXIS = re.compile(r"(k|r|q)\b.*chi|wave ?number|wave ?length|lambda", re.IGNORECASE)
_UNIT = re.compile(
    r"k?ev|counts?(/s)?|cps|hz|s|sec(onds)?|[munp]?a|v|cm\^?2/g|1/cm|[a-z]{0,6}\.? ?units?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Column:
    """Name of a column, and its unit or ""."""

    name: str
    unit: str = ""

    @property
    def may_be_energy(self) -> bool:
        """Whether name or unit speaks of an energy."""
        return bool(_ENERGY.search(self.name.strip()) or re.fullmatch(r"(?i)k?ev", self.unit))


def fields_of(head: Sequence[str]) -> dict[str, str]:
    """``key: value`` (or ``key = value``) in comments, the keys in lower case; the first counts."""
    found: dict[str, str] = {}
    for line in head:
        if is_comment(line) and (match := _FIELD.match(line)):
            found.setdefault(match[1].strip().lower(), match[2].strip().strip('"'))
    return found


def columns_of(sheet: Sheet, fields: Mapping[str, str]) -> tuple[Column, ...]:
    """Names and units of the columns of a text, none when nothing names them all."""
    head, n = sheet.head, sheet.table.shape[1]
    numbered = [fields.get(f"column.{k}", "") for k in range(1, n + 1)]
    if all(numbered):
        return tuple(map(_with_unit, numbered))
    described = {int(match[1]): match for line in head if (match := _DESCRIBED.match(line))}
    if len(described) == n and set(described) == set(range(1, n + 1)):
        return tuple(_described(described[k][2], described[k][3]) for k in range(1, n + 1))
    near = head[-_NEAR:]
    headings = [cells for line in near if not is_comment(line) and (cells := _cells(line, sheet))]
    if len(headings) > 1 and re.fullmatch(r"\W*k?ev\W*", headings[-1][0], re.IGNORECASE):
        return tuple(map(Column, headings[-2], (unit.strip("()[] ") for unit in headings[-1])))
    if headings:
        return tuple(map(Column, headings[-1]))
    last = next((line for line in reversed(near) if re.search(r"[^\W_]", line)), "")
    labels = tuple(map(Column, _cells(last.lstrip('"%*#! \t'), sheet))) if is_comment(last) else ()
    # any remark may have as many words as there are columns
    sure = any(label.may_be_energy for label in labels) or _is_other_axis(labels)
    return labels if sure else ()


def _is_other_axis(columns: Sequence[Column]) -> bool:
    """Whether the first column is no energy, as in chi(k) and in optical spectra."""
    return _OTHER_AXIS.match(" ".join(column.name.strip() for column in columns)) is not None


def _with_unit(field: str) -> Column:
    """``name unit || source``, where a name may have spaces."""
    words = field.split("||")[0].split()
    if len(words) > 1 and _UNIT.fullmatch(words[-1]):
        return Column(" ".join(words[:-1]), words[-1])
    return Column(" ".join(words))


def _described(kind: str, text: str) -> Column:
    """``source, description, (mode,) unit, …`` of a positioner or a detector."""
    parts = [part.strip() for part in text.split(",")] + [""] * 4
    name = parts[1] or parts[0] or kind.strip()
    return Column(name, parts[3] if "positioner" in kind.lower() else parts[2])


def _cells(line: str, sheet: Sheet) -> tuple[str, ...]:
    """The words or phrases of a heading, one for each column; none when nothing cuts it so."""
    n = sheet.table.shape[1]
    marks = sorted("\t;,", key=lambda mark: mark != sheet.mark)  # that of the rows comes first
    line = re.sub(r"[;,]\t", "\t", line)
    ways = [_quoted(line, mark) for mark in marks]
    for cells in (*ways, re.split(r"\s{2,}", line), line.split()):
        cells = [cell.strip() for cell in cells]
        if len(cells) == n + 1 and not cells[-1]:
            cells.pop()
        if len(cells) == n and any(re.search(r"[^\W\d_]", cell) for cell in cells):
            return tuple(cells)
    return ()


def _quoted(line: str, mark: str) -> list[str]:
    """A line cut at a separator, but not inside quotes."""
    try:
        return next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])
    except csv.Error:
        return []


def find_energy(
    columns: Sequence[Column], table: np.ndarray, where: str
) -> tuple[int, list[int], tuple[str, ...]]:
    """Which column is the energy, which hold spectra, and what to say of it.

    Raises
    ------
    FileFormatError
        The labels name another axis, or the first column goes up and down.
    """
    n = table.shape[1]
    index = [k for k in range(n - 1) if _counts_up(table[:, k])]
    if columns:
        found = [k for k, column in enumerate(columns) if column.may_be_energy]
        found = [k for k in found if (table[:, k] != table[0, k]).any()] or found
        index = [k for k in index if _COUNTING.fullmatch(columns[k].name.strip())]
    else:
        found = []
        index = [0] if index[:1] == [0] and n > 2 and _may_be_energies(table[:, 1]) else []
    others = [k for k in range(n) if k not in index]
    energy = found[0] if found else others[0]
    notes: tuple[str, ...] = ()
    if not found and _is_other_axis(columns):
        raise FileFormatError(
            f"its first column is {columns[energy].name!r}, not energy",
            where,
            "give a spectrum over energy",
        )
    if not found and _is_erratic(table[:, energy]):
        raise FileFormatError(
            f"its column {energy + 1} goes up and down, so it is no energy axis",
            where,
            "write the names of the columns above them, one of them 'energy'",
        )
    if len(found) > 1 and not (energy == 0 and "energ" in columns[0].name.lower()):
        also = ", ".join(some([f"{k + 1} ({columns[k].name})" for k in found[1:]]))
        notes = (
            f"column {energy + 1} ({columns[energy].name}) is taken as energy; so could be {also}",
        )
    elif index and not columns:
        notes = ("its first column counts the rows, so the second is taken as energy",)
    return energy, [k for k in others if k != energy], notes


def _counts_up(values: np.ndarray) -> bool:
    """Whether a column numbers the rows from 0 or 1."""
    n = values.size
    return n > 2 and values[0] in (0, 1) and np.array_equal(values, np.arange(n) + values[0])


def _may_be_energies(values: np.ndarray) -> bool:
    """Whether a column rises or falls throughout, at energies that X-ray beamlines have (eV)."""
    with np.errstate(all="ignore"):  # of infinities
        steps = np.diff(values)
    return bool(values.min() > 20 and ((steps > 0).all() or (steps < 0).all()))


def _is_erratic(values: np.ndarray) -> bool:
    """Whether a column turns far more often than an energy axis does, repeats apart."""
    with np.errstate(all="ignore"):  # of infinities
        steps = np.diff(values)
    steps = np.sign(steps[steps != 0])
    turns = int((steps[1:] != steps[:-1]).sum())
    return turns > max(6, steps.size // 5)
