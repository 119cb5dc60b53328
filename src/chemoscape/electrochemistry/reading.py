"""Galvanostatic curves from the files of cyclers: `cs.open_cycling`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from chemoscape.electrochemistry import _binary, _sequence
from chemoscape.electrochemistry._cells import Cell
from chemoscape.electrochemistry._records import Records, records_of
from chemoscape.electrochemistry._sequence import Sequence as Order
from chemoscape.electrochemistry._tables import Table, read_table
from chemoscape.electrochemistry._vocabulary import heading
from chemoscape.errors import ChemoscapeWarning, FileFormatError
from chemoscape.formats import _guard

#: A voltage that is held stays within this, V.
HELD_V = 0.02

Paths = str | Path | Sequence[str | Path]


def open_cycling(
    path: Paths,
    *,
    columns: Mapping[str, str | int] | None = None,
    units: Mapping[str, str] | None = None,
    decimal: Literal["", ".", ","] = "",
    positive_current: Literal["charge", "discharge"] | None = None,
) -> xr.Dataset:
    """Open a galvanostatic curve: a text, a spreadsheet, or a Neware binary file.

    The heading is found below any preamble and read by name and unit, in the spellings of Land,
    Neware, Arbin, Maccor, BioLogic, Basytec, Novonix and Gamry. Clocks and counters that restart
    are joined, records that repeat others are dropped, rests carry no charge.

    Parameters
    ----------
    path : path, or sequence of paths
        ``.csv``, ``.txt``, ``.mpt``, ``.DTA``, ``.xlsx``, ``.xls``, ``.ods``; ``.nda`` and
        ``.ndax`` with the extra ``cycler``. Several files of one test are joined in this order.
    columns : mapping, optional
        Columns that cannot be told by their heading, by heading or one-based number: ``time``,
        ``voltage``, ``current``, ``capacity``, ``charge`` and ``discharge`` (two counters), ``net``
        (a signed one), ``cycle``, ``step``, ``state``.
    units : mapping, optional
        Units of columns whose heading has none, as in ``{"current": "mA"}``.
    decimal : str
        The mark before decimals where it cannot be told.
    positive_current : {"charge", "discharge"}, optional
        What a positive current does; default: what raises the voltage is charge.

    Returns
    -------
    Dataset
        Along ``point``: ``voltage`` (V), ``charge`` (mAh, or mAh/g where the file holds only
        specific capacities): the net charge since the first record, positive on charge; its
        sampling sd ``charge_sd``; ``direction`` (+1 charge, -1 discharge, 0 rest), ``half_cycle``
        (from 0), ``held`` (voltage kept constant); where known ``time`` (s), ``current`` (mA,
        positive on charge), ``charge_integrated``, ``charge_counted``.

    Raises
    ------
    FileFormatError
        The file cannot be read, or a column, a unit or the direction cannot be told.

    Warns
    -----
    ChemoscapeWarning
        Current times time and the cycler's counter differ by more than 1 % in a half cycle; records
        were dropped; time goes back; the sign of the current was turned.

    Examples
    --------
    >>> import tempfile
    >>> rows = ["Time/h;Current/mA;Voltage/V", "0;-0,1;3,4", "1;-0,1;3,2", "2;-0,1;2,5"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "cell.txt")
    ...     _ = file.write_text("\\n".join(rows))
    ...     curve = open_cycling(file)
    >>> curve["charge"].values.round(6).tolist(), curve["direction"].values.tolist()
    ([0.0, -0.1, -0.2], [-1, -1, -1])
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths:
        raise FileFormatError("there is no file", remedy="name one or more")
    every = [_open_one(Path(one), columns or {}, units or {}, decimal) for one in paths]
    where = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    records = every[0] if len(every) == 1 else _joined(every, where)
    repeated = _sequence.without_duplicates(records)
    order = _sequence.sequence_of(records, where, positive_current)
    _say_dropped(records, repeated, where)
    curve = _dataset(records, order)
    curve.attrs |= {
        "source": where,
        "layout": records.layout,
        "header": records.above,
        "columns": ", ".join(f"{role}: {name.strip()}" for role, name in records.used.items()),
        "records_dropped": records.dropped,
        "records_repeated": repeated,
        "notes": "; ".join(order.notes),
    }
    _compare(curve, where)
    return curve


def _open_one(
    path: Path, columns: Mapping[str, str | int], units: Mapping[str, str], decimal: str
) -> Records:
    """Records of one file."""
    file = _guard.regular_file(path)
    if file.suffix.lower() in _binary.ENDINGS:
        frame = _binary.read_neware(file)
        names = tuple(frame)
        cells: list[list[Cell]] = [list(row) for row in zip(*frame.values(), strict=True)]
        headings = {k: one for k, name in enumerate(names) if (one := heading(name))}
        table = Table(names, headings, cells, "Neware binary")
    else:
        table = read_table(file, nameless=bool(columns))
    return records_of(table, str(path), columns, units, decimal)


def _joined(every: Sequence[Records], where: str) -> Records:
    """Several files of one test as one."""
    first = every[0]
    for other in every[1:]:
        alike = set(other.counters) == set(first.counters) and other.specific == first.specific
        for name in ("time", "current", "state"):
            alike &= (getattr(other, name) is None) == (getattr(first, name) is None)
        if not alike:
            raise FileFormatError(
                "its files do not have the same columns", where, "join files of one kind"
            )
    out = Records(np.concatenate([one.voltage for one in every]))
    for name in ("time", "since", "current", "cycle", "step", "state", "held"):
        parts = [getattr(one, name) for one in every]
        if all(part is not None for part in parts):
            setattr(out, name, np.concatenate(parts))
    out.counters = {
        role: np.concatenate([one.counters[role] for one in every]) for role in first.counters
    }
    out.specific, out.layout, out.used = first.specific, first.layout, first.used
    out.total_time, out.above = first.total_time, first.above
    out.dropped = sum(one.dropped for one in every)
    return out


def _dataset(records: Records, order: Order) -> xr.Dataset:
    """The curve."""
    unit = "mAh/g" if records.specific else "mAh"
    counted = order.counted
    charge = order.integrated if counted is None else counted
    held = _falling(records.current, records.voltage, order)  # also in steps called CCCV, or C
    if records.held is not None:
        held |= records.held
    variables: dict[str, tuple[np.ndarray | None, str, str]] = {
        "voltage": (records.voltage, "V", "voltage of the cell"),
        "charge": (
            None if charge is None else charge + 0.0,
            unit,
            "net charge, positive on charge",
        ),
        "charge_sd": (order.sampling, "mAh", "net charge: sd, sampling at changes of current"),
        "direction": (order.direction, "1", "+1 charge, -1 discharge, 0 rest"),
        "half_cycle": (order.half, "1", "number of the half cycle"),
        "held": (held, "1", "whether the voltage was held"),
        "time": (order.elapsed, "s", "time since the first record"),
        "current": (
            None if records.current is None else np.abs(records.current) * order.direction,
            "mA",
            "current, positive on charge",
        ),
        "charge_integrated": (order.integrated, "mAh", "net charge, current times time"),
        "charge_counted": (counted, unit, "net charge, the cycler's counter"),
    }
    curve = xr.Dataset(
        {
            name: ("point", values, {"units": units, "long_name": long_name})
            for name, (values, units, long_name) in variables.items()
            if values is not None
        }
    )
    if counted is not None:
        curve["charge_sd"] = curve["charge_sd"] * 0.0  # the cycler counts between the records too
    curve.attrs["charge_from"] = "the cycler's counter" if counted is not None else "current × time"
    return curve


def _falling(current: np.ndarray | None, voltage: np.ndarray, order: Order) -> np.ndarray:
    """Where the current has fallen at the end of a half cycle: the voltage is held there."""
    held = np.zeros(order.direction.size, bool)
    if current is None:
        return held
    size = np.abs(current)
    for half in range(int(order.half.max()) + 1):
        at = np.flatnonzero((order.half == half) & (order.direction != 0))
        if at.size > 5:
            usual = float(np.median(size[at[: max(at.size // 2, 3)]]))
            steady = np.flatnonzero(size[at] >= 0.9 * usual)
            last = at[steady[-1] + 1 :] if steady.size else at[:0]
            if last.size and np.ptp(voltage[last]) < HELD_V:  # else a slower step
                held[last] = True
    return held


def _say_dropped(records: Records, repeated: int, where: str) -> None:
    """What was left out."""
    parts = []
    if records.dropped:
        parts.append(f"{records.dropped} rows without numbers")
    if repeated:
        parts.append(f"{repeated} records that repeat others")
    if parts:
        warnings.warn(
            f"{where}: {' and '.join(parts)} were left out", ChemoscapeWarning, stacklevel=3
        )


def _compare(curve: xr.Dataset, where: str) -> None:
    """Charges of half cycles, integrated and counted, where both exist in mAh."""
    if "charge_counted" not in curve or "charge_integrated" not in curve:
        return
    if curve["charge_counted"].attrs["units"] != "mAh":
        return
    worst, at = 0.0, 0
    counted, integrated = (
        _by_half(curve, name) for name in ("charge_counted", "charge_integrated")
    )
    for half, (one, other) in enumerate(zip(counted, integrated, strict=True)):
        if one > 0.01 * counted.max() and abs(other / one - 1) > worst:
            worst, at = abs(other / one - 1), half
    curve.attrs["counter_difference"] = float(worst)
    if worst > _sequence.AGREEMENT:
        warnings.warn(
            f"{where}: in half cycle {at + 1} current × time gives {integrated[at]:.4g} mAh where "
            f"the cycler counted {counted[at]:.4g} ({100 * worst:.1f} % apart): records are "
            "missing, or a unit is wrong; the counter is used",
            ChemoscapeWarning,
            stacklevel=3,
        )


def _by_half(curve: xr.Dataset, name: str) -> np.ndarray:
    """Charge of each half cycle, without sign."""
    steps = np.abs(np.diff(curve[name].values, prepend=curve[name].values[0]))
    return np.bincount(curve["half_cycle"].values, weights=steps)
