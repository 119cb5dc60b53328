"""Whether each record charges, discharges or rests."""

from __future__ import annotations

import warnings

import numpy as np

from chemoscape.electrochemistry._records import Records
from chemoscape.errors import ChemoscapeWarning, FileFormatError

#: Below this share of the largest current nothing flows.
REST_SHARE = 1e-3


def direction_of(
    records: Records,
    back: np.ndarray,
    where: str,
    positive: str | None,
    notes: list[str],
) -> np.ndarray:
    """+1 on charge, -1 on discharge, 0 at rest: by the steps' names, the current, the counters, at
    last the voltage.
    """
    current = records.current
    flows = np.ones(records.voltage.size, bool)
    if current is not None:
        largest = float(np.abs(current).max())
        flows = np.abs(current) > REST_SHARE * largest
        if not flows.any():
            raise FileFormatError("no current flows anywhere", where, "give a galvanostatic curve")
    signed = None
    if current is not None and ((current < 0) & flows).any():
        signed = np.where(flows, np.sign(current), 0).astype(np.int8)
        signed = _oriented(signed, records, positive, notes)
    if records.state is not None:
        known = records.state != 9
        fallback = signed if signed is not None else np.zeros(flows.size, np.int8)
        return np.where(known, records.state, fallback).astype(np.int8)
    if signed is not None:
        return signed
    if positive is not None:
        sign = 1 if positive == "charge" else -1
        return np.where(flows, sign, 0).astype(np.int8)
    return _of_magnitudes(records, flows, back, notes)


def _oriented(
    signed: np.ndarray, records: Records, positive: str | None, notes: list[str]
) -> np.ndarray:
    """The sign of the current such that charging raises the voltage."""
    if positive is not None:
        return signed if positive == "charge" else -signed
    rises = _rise(signed, records.voltage)
    if rises < 0:
        warnings.warn(
            "the voltage falls while the current is positive: positive current is taken as "
            "discharge (say otherwise with positive_current='charge')",
            ChemoscapeWarning,
            stacklevel=5,
        )
        notes.append("positive current is discharge in this file")
        return -signed
    return signed


def _rise(direction: np.ndarray, voltage: np.ndarray) -> float:
    """How far the voltage moves with the direction, summed over runs, V."""
    edges = np.flatnonzero(np.diff(direction)) + 1
    total = 0.0
    for run in np.split(np.arange(direction.size), edges):
        # the first record may belong to the state before
        if run.size > 2 and direction[run[0]]:
            total += float(direction[run[0]] * (voltage[run[-1]] - voltage[run[1]]))
    return total


def _of_magnitudes(
    records: Records, flows: np.ndarray, back: np.ndarray, notes: list[str]
) -> np.ndarray:
    """Direction where the current has no sign: which counter grows, or where the voltage goes."""
    n = flows.size
    if {"charge", "discharge"} <= set(records.counters):
        up = np.diff(records.counters["charge"], prepend=records.counters["charge"][0])
        down = np.diff(records.counters["discharge"], prepend=records.counters["discharge"][0])
        grows = np.where(up > 0, 1, 0) - np.where(down > 0, 1, 0)
        return np.where(flows, filled(grows.astype(np.int8)), 0).astype(np.int8)
    if "net" in records.counters:
        net = records.counters["net"]
        grows = np.sign(np.diff(net, prepend=net[0])).astype(np.int8)
        return np.where(flows, filled(grows), 0).astype(np.int8)
    cut = back | (np.diff(flows, prepend=flows[0]) != 0)
    for values in (records.cycle, records.step):
        if values is not None:
            cut |= np.diff(values, prepend=values[0]) != 0
    if "capacity" in records.counters:
        counter = np.abs(records.counters["capacity"])
        grows = np.sign(np.diff(counter, prepend=counter[0]))
        reset = was_reset(counter)
        cut |= reset
        if ((grows < 0) & ~reset).mean() > 0.05:  # discharge 0 to 250, then charge 250 to 0
            way = filled(np.where(reset, 0, grows).astype(np.int8))
            cut |= np.diff(way, prepend=way[0]) != 0
    direction = np.zeros(n, np.int8)
    for run in np.split(np.arange(n), np.flatnonzero(cut)):
        if run.size and flows[run[-1]]:
            # the median slope: one jump at the start of a step does not count
            steps = np.diff(records.voltage[run]) if run.size > 1 else np.zeros(1)
            way = np.sign(steps.sum()) or np.sign(np.median(steps))
            direction[run] = int(way)
    notes.append("the current has no sign: the voltage tells charge from discharge")
    return np.where(flows, filled(direction), 0).astype(np.int8)


def filled(direction: np.ndarray) -> np.ndarray:
    """Zeros take the direction before them, or at the start the first there is."""
    where = np.where(direction != 0, np.arange(direction.size), -1)
    last = np.maximum.accumulate(where)
    first = int(np.argmax(direction != 0))
    return direction[np.where(last < 0, first, last)]


def was_reset(counter: np.ndarray) -> np.ndarray:
    """Where a counter was set to zero; one that runs back falls a little at a time."""
    before = np.concatenate([counter[:1], counter[:-1]])
    return (counter < 0.3 * before) & (before > 1e-6 * counter.max())
