"""Curves and a placement in numbers for a machine, and in lines for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import xarray as xr

from chemoscape.electrochemistry.halves import half_cycles
from chemoscape.electrochemistry.pairing import hysteresis
from chemoscape.electrochemistry.placing import Placement
from chemoscape.electrochemistry.plateaus import plateaus


def facts_of(curve: xr.Dataset) -> dict[str, Any]:
    """The numbers of one curve, its half cycles numbered from 1.

    Raises
    ------
    FitError
        As `plateaus`.
    """
    found, halves = plateaus(curve), half_cycles(curve)

    def rows(data: xr.Dataset, dim: str) -> list[dict[str, Any]]:
        names = [name for name in data.variables if data[name].dims == (dim,)]
        return [{str(n): data[n].values[k].item() for n in names} for k in range(data.sizes[dim])]

    facts: dict[str, Any] = {
        "attributes": dict(curve.attrs),
        "half_cycles": rows(halves, "half_cycle"),
        "coulombic_efficiency": halves["coulombic_efficiency"].values.tolist(),
        "plateaus": rows(found, "plateau"),
        "hysteresis": rows(hysteresis(found), "pair"),
        "records": curve.sizes["point"],
        "capacity_units": halves["capacity"].attrs["units"],
    }
    for one in [*facts["half_cycles"], *facts["plateaus"]]:
        one["half_cycle"] += 1
    if "x" in curve:
        facts["x_end"] = float(curve["x"].values[-1])
        facts["x_end_sd"] = float(curve["x_sd"].values[-1])
    return facts


def placed_in_numbers(placement: Placement) -> dict[str, Any]:
    """A placement for a machine."""
    more = ("difference", "difference_sd", "z", "agrees")
    return {**asdict(placement), **{name: getattr(placement, name) for name in more}}


def in_lines(facts: Mapping[str, dict[str, Any]], placement: Placement | None) -> str:
    """What `facts_of` gave of each curve, by name, in lines."""
    lines = []
    for name, one in facts.items():
        attrs = one["attributes"]
        lines.append(f"{name}: {one['records']} records, charge by {attrs['charge_from']}")
        lines += [_half_line(half, one["capacity_units"]) for half in one["half_cycles"]]
        lines += [_plateau_line(plateau) for plateau in one["plateaus"]] or ["  no plateau"]
        for pair in one["hysteresis"]:
            low, high = (one["plateaus"][pair[key]]["potential"] for key in ("discharge", "charge"))
            lines.append(
                f"  hysteresis   {1e3 * pair['hysteresis']:.1f} ± "
                f"{1e3 * pair['hysteresis_sd']:.1f} mV between {low:.3f} and {high:.3f} V"
            )
        if "x_end" in one:
            sd = one["x_end_sd"]
            said = f"± {sd:.4f}" if sd == sd else "(no error of mass or current was given)"
            lines.append(f"  at the end   {attrs['variable']} = {one['x_end']:.4f} {said}")
    if placement is not None:
        lines.append(f"map          {placement}")
        for half, volts in placement.voltages.items():
            lines.append(f"  at the map's composition half cycle {half} has {volts:.3f} V")
    return "\n".join(lines)


def _half_line(half: dict[str, Any], units: str) -> str:
    """One half cycle."""
    way = "charge" if half["direction"] > 0 else "discharge"
    line = f"  half cycle {half['half_cycle']:<2}{way:<11}{half['capacity']:.4g} {units}"
    if "specific_capacity" in half and units != "mAh/g":
        line += f", {half['specific_capacity']:.1f} mAh/g"
    if "x_start" in half:
        line += f", x {half['x_start']:.3f} to {half['x_end']:.3f}"
    if half.get("c_rate", 0.0) > 0:
        line += f", C/{1 / half['c_rate']:.3g}"
    line += f", mean {half['voltage_mean']:.3f} V"
    if half["returned"] == half["returned"]:
        line += f", {100 * half['returned']:.1f} % of the one before"
    return line


def _plateau_line(one: dict[str, Any]) -> str:
    """One plateau."""
    way = "charge" if one["direction"] > 0 else "discharge"
    line = (
        f"  plateau      {one['potential']:.4f} ± {one['potential_sd']:.4f} V on {way} "
        f"{one['half_cycle']}, {100 * one['share']:.0f} % of its capacity"
    )
    if "x_low" in one:
        line += f", x {one['x_low']:.3f} to {one['x_high']:.3f} (± {one['x_edge_sd']:.2g})"
    return line
