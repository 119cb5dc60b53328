"""The columns of a table as quantities in s, V, mA, mAh: which is what, and in which unit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from chemoscape.electrochemistry import _cells
from chemoscape.electrochemistry._cells import Cell
from chemoscape.electrochemistry._tables import Table
from chemoscape.electrochemistry._vocabulary import (
    UNITS,
    Heading,
    holds_voltage,
    known_unit,
    state_of,
)
from chemoscape.errors import ChemoscapeWarning, FileFormatError

ROLES = (
    *("time", "voltage", "current", "capacity", "charge", "discharge", "net"),
    *("cycle", "step", "state"),
)
_MEASURES = {"time": ("time",), "voltage": ("voltage",), "current": ("current",)}
#: A cell's voltage lies here; thousand times as much is millivolts.
_VOLTS, _MILLIVOLTS = (0.2, 6.0), (200.0, 6000.0)

Columns = Mapping[str, str | int]


@dataclass(eq=False)
class Records:
    """What a file says of each record, (n,); time in s, current in mA, charge in mAh or mAh/g.

    ``since`` is the time since its step began, where that stands beside the time of the test;
    ``counters`` holds the cycler's own capacities by role; ``state`` is +1, -1, 0, or 9 unknown.
    """

    voltage: np.ndarray
    time: np.ndarray | None = None
    since: np.ndarray | None = None
    current: np.ndarray | None = None
    counters: dict[str, np.ndarray] = field(default_factory=dict)
    specific: bool = False
    cycle: np.ndarray | None = None
    step: np.ndarray | None = None
    state: np.ndarray | None = None
    held: np.ndarray | None = None
    layout: str = ""
    used: dict[str, str] = field(default_factory=dict)
    above: str = ""
    dropped: int = 0
    total_time: bool = False

    def take(self, keep: np.ndarray) -> None:
        """Keep some of the records."""
        for name in ("voltage", "time", "since", "current", "cycle", "step", "state", "held"):
            values = getattr(self, name)
            if values is not None:
                setattr(self, name, values[keep])
        self.counters = {role: values[keep] for role, values in self.counters.items()}


def records_of(
    table: Table, where: str, columns: Columns, units: Mapping[str, str], decimal: str
) -> Records:
    """Quantities of a table.

    Raises
    ------
    FileFormatError
        A column or its unit cannot be told, or there are not two records.
    """
    chosen = _chosen(table, where, columns)
    rows = _record_rows(table, chosen)
    cells = {role: _column(rows, column) for role, (column, _) in chosen.items()}
    numeric = [cells[role] for role in chosen if role not in ("state", "date")]
    mark = decimal or _cells.decimal_mark((c for column in numeric for c in column), where)

    def number(role: str) -> np.ndarray:
        return _cells.numbers(cells[role], mark)

    voltage = number("voltage")
    keep = np.isfinite(voltage)
    if keep.sum() < 2:
        raise FileFormatError(
            f"holds {int(keep.sum())} records with a voltage", where, "give a curve"
        )
    out = Records(voltage * _volts(chosen["voltage"][1], voltage[keep], units, where))
    out.layout, out.used = table.layout, {r: table.names[c] for r, (c, _) in chosen.items()}
    out.above = table.above
    if "time" in chosen:
        out.time = _times(cells["time"], chosen["time"][1], mark, units, where)
        out.total_time = chosen["time"][1].rank < 2
    elif "date" in chosen:
        kept = [cell for cell, good in zip(cells["date"], keep, strict=True) if good]
        read = _cells.dates(kept, where)
        if read is not None:
            out.time = np.full(voltage.size, np.nan)
            out.time[keep], out.total_time = read, True
    if "since" in chosen:
        out.since = _times(cells["since"], chosen["since"][1], mark, units, where)
    if "current" in chosen:
        out.current = number("current") * _factor("current", chosen["current"][1], units, where)
    for role in ("charge", "discharge", "capacity", "net"):
        if role in chosen:
            unit = units.get(role, "") or units.get("capacity", "") or chosen[role][1].unit
            factor = _factor(role, chosen[role][1], {role: unit} if unit else {}, where)
            out.counters[role] = _last_known(number(role) * factor)
            out.specific = UNITS[known_unit(unit)][0] == "specific"
    for role in ("cycle", "step"):
        if role in chosen:
            setattr(out, role, number(role))
    if "state" in chosen:
        _states(out, cells["state"])
    for values in (out.time, out.current):
        if values is not None:
            keep &= np.isfinite(values)
    out.dropped = int((~keep).sum())
    if keep.sum() < 2:
        raise FileFormatError(
            f"holds {int(keep.sum())} complete records", where, "give a curve of two or more"
        )
    out.take(keep)
    return out


def _chosen(table: Table, where: str, columns: Columns) -> dict[str, tuple[int, Heading]]:
    """Which column plays each role: the user's word, else the best name."""
    chosen: dict[str, tuple[int, Heading]] = {}
    for column, one in table.headings.items():
        if one.role == "time" and one.rank == 2 and one.unit:
            chosen.setdefault("since", (column, one))
        if one.role not in chosen or one.rank < chosen[one.role][1].rank:
            chosen[one.role] = (column, one)
    if "time" in chosen and chosen["time"][1].rank == 2:
        chosen.pop("since", None)  # it is all the time there is
    if {"charge", "discharge"} <= set(chosen):
        chosen.pop("capacity", None)
        chosen.pop("net", None)
    else:
        chosen.pop("charge", None)
        chosen.pop("discharge", None)
        if "net" in chosen:
            chosen.pop("capacity", None)
    for role, name in columns.items():
        if role not in ROLES:
            raise FileFormatError(
                f"there is no column {role!r} to name", where, f"name {', '.join(ROLES)}"
            )
        column = _named(table, name, where)
        known = table.headings.get(column)
        # the name was given: of the heading only its unit counts
        chosen[role] = (column, Heading(role, 0, known.unit if known else "", table.names[column]))
        if role == "net" or role == "capacity":
            for other in {"charge", "discharge", "capacity", "net"} - {role}:
                if other not in columns:
                    chosen.pop(other, None)
    if "voltage" not in chosen:
        raise FileFormatError(
            f"no column of {_listed(table)} is a voltage",
            where,
            "name it: columns={'voltage': 3}, or --column voltage=3",
        )
    return chosen


def _named(table: Table, name: str | int, where: str) -> int:
    """The column of a heading, or of a one-based number."""
    if isinstance(name, str) and not name.isdigit():
        for column, text in enumerate(table.names):
            if text.strip().lower() == name.strip().lower():
                return column
        raise FileFormatError(
            f"no column is called {name!r}", where, f"the columns are {_listed(table)}"
        )
    column = int(name) - 1
    if not 0 <= column < len(table.names):
        raise FileFormatError(
            f"there is no column {name}", where, f"number them from 1 to {len(table.names)}"
        )
    return column


def _listed(table: Table) -> str:
    """The headings in a line."""
    names = [repr(name.strip()) for name in table.names if name.strip()]
    return ", ".join(names[:25]) + (" …" if len(names) > 25 else "")


def _record_rows(table: Table, chosen: Mapping[str, tuple[int, Heading]]) -> list[list[Cell]]:
    """Rows that are records: in layered exports those of cycles and steps begin further left."""
    last = max(column for column, _ in chosen.values())
    needed = chosen["voltage"][0]
    rows = [row for row in table.rows if len(row) > needed]
    if table.indent:
        rows = [row for row in rows if not any(str(cell).strip() for cell in row[: table.indent])]
    return [row if len(row) > last else row + [""] * (last + 1 - len(row)) for row in rows]


def _column(rows: Sequence[list[Cell]], column: int) -> list[Cell]:
    """Cells of a column."""
    return [row[column] for row in rows]


def _volts(head: Heading, values: np.ndarray, units: Mapping[str, str], where: str) -> float:
    """Factor to V; without a unit, the size of the numbers tells, for cells have a few volts."""
    if head.unit or units.get("voltage"):
        return _factor("voltage", head, units, where)
    middle = float(np.median(np.abs(values)))
    for (low, high), factor in ((_VOLTS, 1.0), (_MILLIVOLTS, 1e-3)):
        if low <= middle <= high:
            return factor
    return _factor("voltage", head, units, where)


def _factor(role: str, head: Heading, units: Mapping[str, str], where: str) -> float:
    """Factor to the units of `Records`."""
    given = units.get(role, "")
    unit = known_unit(given) if given else head.unit
    measures = _MEASURES.get(role, ("capacity", "specific"))
    if unit in UNITS and UNITS[unit][0] in measures:
        return UNITS[unit][1]
    example = {"time": "s", "voltage": "V", "current": "mA"}.get(role, "mAh")
    what = (
        f"the unit of {role}, {given!r}, is not known"
        if given
        else (f"the column {head.text.strip() or role!r} does not say its unit")
    )
    raise FileFormatError(
        what, where, f"give it: units={{{role!r}: {example!r}}}, or --unit {role}={example}"
    )


def _times(
    cells: Sequence[Cell], head: Heading, mark: str, units: Mapping[str, str], where: str
) -> np.ndarray:
    """Times, s: clocks, or numbers with a unit."""
    if head.unit == "clock" or sum(map(_cells.is_clock, cells)) > len(cells) / 2:
        return np.array([_cells.clock(cell) for cell in cells])
    return _cells.numbers(cells, mark) * _factor("time", head, units, where)


def _states(out: Records, cells: Sequence[Cell]) -> None:
    """What the steps do, where the file says it in words."""
    words = [str(cell) for cell in cells]
    meaning = {word: state_of(word) for word in set(words)}
    if not {1, -1} & set(meaning.values()):
        return
    out.state = np.array([9 if (s := meaning[w]) is None else s for w in words], dtype=np.int8)
    held = {word: holds_voltage(word) for word in meaning}
    out.held = np.array([held[word] for word in words])
    strange = sorted(word for word, sign in meaning.items() if sign is None and word.strip())
    if strange:
        warnings.warn(
            f"steps called {', '.join(map(repr, strange[:5]))} do not say whether they charge: "
            "their current tells",
            ChemoscapeWarning,
            stacklevel=2,
        )


def _last_known(counter: np.ndarray) -> np.ndarray:
    """A counter whose empty cells (some leave them at rest) take the value before."""
    known = np.maximum.accumulate(np.where(np.isfinite(counter), np.arange(counter.size), 0))
    return np.nan_to_num(counter[known])
