"""What each half cycle passed: charge, composition, rate, mean voltage."""

from __future__ import annotations

import numpy as np
import xarray as xr

_UNITS = {
    **{"voltage_mean": "V", "hours": "h", "current_mean": "mA"},
    **{"specific_capacity": "mAh/g", "c_rate": "1/h"},
    **dict.fromkeys(("x_start", "x_end", "returned", "coulombic_efficiency"), "1"),
}


def half_cycles(curve: xr.Dataset) -> xr.Dataset:
    """What each half cycle passed.

    Parameters
    ----------
    curve : Dataset
        From `open_cycling`; after `lithiation` with composition and rates.

    Returns
    -------
    Dataset
        Along ``half_cycle`` (its number): ``direction``; ``capacity`` (mAh, or mAh/g);
        ``voltage_mean`` (V, the energy over the charge); ``returned``: charge over that of the half
        cycle before: where this is a discharge, the coulombic efficiency; ``hours``,
        ``current_mean`` (mA) where a time is known; ``specific_capacity`` (mAh/g), ``x_start``,
        ``x_end``, ``c_rate`` (1/h: one ion per formula in 1/c_rate hours) after `lithiation`. Along
        ``cycle``: ``coulombic_efficiency``, the second half cycle's charge over the first's.
    """
    rows: list[dict[str, float]] = []
    for half in np.unique(curve["half_cycle"].values):
        at = np.flatnonzero((curve["half_cycle"].values == half) & (curve["direction"].values != 0))
        if at.size:
            rows.append({"half_cycle": float(half), **_facts(curve, at)})
    for before, row in zip([None, *rows[:-1]], rows, strict=True):
        row["returned"] = np.nan if before is None else row["capacity"] / before["capacity"]
    names = [name for name in rows[0] if name != "half_cycle"] if rows else []
    out = xr.Dataset(
        {name: ("half_cycle", np.array([row[name] for row in rows])) for name in names},
        coords={"half_cycle": np.array([int(row["half_cycle"]) for row in rows])},
    )
    out["direction"] = out["direction"].astype(np.int8)
    efficiency = [rows[k + 1]["returned"] for k in range(0, len(rows) - 1, 2)]
    out["coulombic_efficiency"] = ("cycle", np.array(efficiency, float))
    out = out.assign_coords(cycle=np.arange(1, len(efficiency) + 1))
    first = "" if not rows else ("charge" if rows[0]["direction"] > 0 else "discharge")
    for name, units in _UNITS.items():
        if name in out:
            out[name].attrs["units"] = units
    out["capacity"].attrs["units"] = curve["charge"].attrs["units"]
    return out.assign_attrs(cycles_begin_with=first)


def _facts(curve: xr.Dataset, at: np.ndarray) -> dict[str, float]:
    """Of one half cycle, from the record before it on."""
    start = max(int(at[0]) - 1, 0)
    charge = curve["charge"].values[[start, *at]]
    steps = np.abs(np.diff(charge))
    capacity = float(abs(charge[-1] - charge[0]))
    voltage = curve["voltage"].values[at]
    facts = {
        "direction": float(curve["direction"].values[at[0]]),
        "capacity": capacity,
        "voltage_mean": float((voltage * steps).sum() / steps.sum()) if steps.sum() else np.nan,
    }
    if "time" in curve:
        hours = float(curve["time"].values[at[-1]] - curve["time"].values[start]) / 3600
        facts["hours"] = hours
        if curve["charge"].attrs["units"] == "mAh":
            facts["current_mean"] = capacity / hours if hours > 0 else np.nan
    if "x" in curve:
        per_x = curve.attrs["mAh_per_x"]
        facts["specific_capacity"] = float(curve["specific_capacity"].values[at[-1]])
        facts["x_start"], facts["x_end"] = (float(curve["x"].values[k]) for k in (start, at[-1]))
        if "time" in curve:
            facts["c_rate"] = capacity / per_x / facts["hours"] if facts["hours"] > 0 else np.nan
    return facts
