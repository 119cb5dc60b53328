"""From records to a curve: one time axis, the direction of the current, charge, half cycles."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from chemoscape.electrochemistry._direction import direction_of, filled, was_reset
from chemoscape.electrochemistry._records import Records
from chemoscape.errors import ChemoscapeWarning, FileFormatError

#: Half cycles of less charge, over all that the curve spans, are flickers of the current.
_FLICKER = 1e-3
#: A counter that changes by so many of its usual steps was set to zero.
_JUMP = 5.0
#: The charges counted and integrated may differ by so much.
AGREEMENT = 0.01


@dataclass(eq=False)
class Sequence:
    """Records in order; ``elapsed`` (s), ``direction`` (+1 charge, -1 discharge, 0 rest), ``half``
    (number of the half cycle), charges (mAh or mAh/g, positive on charge) and their sampling sd.
    """

    elapsed: np.ndarray | None
    direction: np.ndarray
    half: np.ndarray
    integrated: np.ndarray | None
    counted: np.ndarray | None
    sampling: np.ndarray
    notes: list[str]


def without_duplicates(records: Records) -> int:
    """Drop records that repeat the one before, or, on a clock that has gone back, an earlier one;
    returns how many.
    """
    names = [records.voltage, records.time, records.current, *records.counters.values()]
    names += [records.cycle, records.step]
    # -0.0 and NaN must compare as themselves
    rows = np.column_stack([np.nan_to_num(v, nan=-9e99) + 0.0 for v in names if v is not None])
    keep = np.ones(len(rows), bool)
    if records.time is not None:
        keep[1:] = (rows[1:] != rows[:-1]).any(axis=1)
        if records.total_time and (np.diff(records.time) < 0).any():
            _, first = np.unique(rows, axis=0, return_index=True)
            seen = np.zeros(len(rows), bool)
            seen[first] = True
            keep &= seen
    if not keep.all():
        records.take(keep)
    return int((~keep).sum())


def sequence_of(records: Records, where: str, positive: str | None) -> Sequence:
    """Order of a curve.

    Raises
    ------
    FileFormatError
        Neither a current nor a capacity is there, or the direction cannot be told.
    """
    notes: list[str] = []
    if not records.counters and (records.current is None or records.time is None):
        missing = "current" if records.current is None else "time"
        raise FileFormatError(
            f"there is no capacity, and no {missing} to integrate one",
            where,
            f"name the column: columns={{{missing!r}: 3}}, or --column {missing}=3",
        )
    elapsed, steps, back = _elapsed(records, notes)
    direction = direction_of(records, back, where, positive, notes)
    counted = _counted(records, direction)
    integrated, sampling = _integrated(records, direction, steps)
    charge = counted if counted is not None else integrated
    if charge is None:  # pragma: no cover - refused above
        raise FileFormatError("there is no charge", where)
    direction, half = _half_cycles(direction, charge)
    return Sequence(elapsed, direction, half, integrated, counted, sampling, notes)


def _elapsed(
    records: Records, notes: list[str]
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray]:
    """Time that never goes back, the time step before each record, and where the clock restarts."""
    time = records.time
    if time is None:
        return None, None, np.zeros(records.voltage.size, bool)
    steps = np.diff(time, prepend=time[0])
    back = steps < 0
    forward = steps[steps > 0]
    usual = float(np.median(forward)) if forward.size else 0.0
    # A clock that begins at 0 again tells the time since; one that goes back elsewhere does not.
    since = np.where(time <= 20 * usual, time, 0.0)
    unknown = back & (since == 0) & (time > 0)
    steps = np.where(back, since, steps)
    if back.any():
        notes.append(f"the clock restarts {int(back.sum())} times; the time was joined")
    if unknown.any():
        at = int(np.flatnonzero(unknown)[0])
        warnings.warn(
            f"time goes back to {time[at]:g} s at record {at + 1}: taken as a restart of the test, "
            "with no time between",
            ChemoscapeWarning,
            stacklevel=4,
        )
    return np.cumsum(steps), steps, back


def _integrated(
    records: Records, direction: np.ndarray, steps: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray]:
    """Net charge (mAh) by the trapezoid rule, and the sd of what is not known between steps.

    Between two records of one direction the mean of their currents flows; where it changes, that of
    the later record, for cyclers write the last record of a step when it ends, and for as long as
    the step's own clock says, if there is one.
    """
    if records.current is None or steps is None:
        return None, np.zeros(direction.size)
    current = np.abs(records.current) * direction
    before = np.concatenate([current[:1], current[:-1]])
    same = direction == np.concatenate([direction[:1], direction[:-1]])
    flowing = np.where(same, (current + before) / 2, current)
    if records.since is not None:  # where a step begins, its own clock says for how long
        since = np.where(np.isfinite(records.since), records.since, steps)
        steps = np.where(same, steps, np.clip(since, 0.0, steps))
    known = same if records.since is None else np.ones(same.size, bool)
    unsure = np.where(known, 0.0, np.abs(current - before) * steps / 3600 / np.sqrt(12))
    unsure[0] = 0.0
    return np.cumsum(flowing * steps) / 3600, np.sqrt(np.cumsum(unsure**2))


def _grown(counter: np.ndarray) -> np.ndarray:
    """Increments of a counter that is set to zero now and then, (n,); its start counts."""
    counter = np.abs(counter)
    steps = np.diff(counter, prepend=0.0 if counter[0] < 0.05 * counter.max() else counter[0])
    return np.where(was_reset(counter), counter, np.abs(steps))


def _counted(records: Records, direction: np.ndarray) -> np.ndarray | None:
    """Net charge by the cycler's own counters."""
    counters = records.counters
    if {"charge", "discharge"} <= set(counters):
        return np.cumsum(_grown(counters["charge"]) - _grown(counters["discharge"]))
    if "net" in counters:
        return _net(counters["net"], direction)
    if "capacity" in counters:
        counter = counters["capacity"]
        falls = np.diff(counter, prepend=counter[0])[direction < 0] < 0
        # Novonix has one number that rises on charge and falls on discharge
        if falls.mean() > 0.5 if falls.size else counter.min() < 0:
            return _net(counter, direction)
        return np.cumsum(_grown(counter) * direction)
    return None


def _net(counter: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Net charge of a counter with a sign, which may be set to zero (BioLogic: at each change)."""
    steps = np.diff(counter, prepend=counter[0])
    usual = float(np.median(np.abs(steps[steps != 0]))) if steps.any() else 0.0
    # a net charge that runs through zero does so by its usual step
    jumps = (np.abs(steps) > _JUMP * usual) | (direction == 0)
    reset = was_reset(np.abs(counter)) & jumps
    return np.cumsum(np.where(reset, counter, steps))


def _half_cycles(direction: np.ndarray, charge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the half cycle of each record; rests belong to the one before them."""
    way = direction.copy()
    largest = float(np.ptp(charge)) or 1.0
    for run in _runs(filled(way) if way.any() else way):
        passed = abs(charge[run[-1]] - charge[max(int(run[0]) - 1, 0)])
        if passed < _FLICKER * largest:
            way[run] = 0
    if not way.any():
        way = direction
    whole = filled(way)
    return way, np.cumsum(np.diff(whole, prepend=whole[0]) != 0).astype(np.int32)


def _runs(direction: np.ndarray) -> list[np.ndarray]:
    """Indices of stretches of one direction."""
    edges = np.flatnonzero(np.diff(direction)) + 1
    return np.split(np.arange(direction.size), edges)
