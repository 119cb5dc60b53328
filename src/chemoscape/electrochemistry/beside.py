"""The electrochemistry of a run: what stands beside its map of composition."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import xarray as xr

from chemoscape.electrochemistry.faraday import lithiation
from chemoscape.electrochemistry.halves import half_cycles
from chemoscape.electrochemistry.phases import LIXV2O5, PhaseDiagram, phases_of
from chemoscape.electrochemistry.placing import Placement, place_on_curve
from chemoscape.electrochemistry.plateaus import capacity_density, plateaus
from chemoscape.electrochemistry.reading import open_cycling
from chemoscape.errors import ChemoscapeWarning, FitError


class Settings(Protocol):
    """What the recipe's [electrochemistry] says."""

    @property
    def curve(self) -> str | list[str]: ...  # noqa: D102
    @property
    def columns(self) -> Mapping[str, str | int]: ...  # noqa: D102
    @property
    def units(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def decimal(self) -> Any: ...  # noqa: D102
    @property
    def positive_current(self) -> Any: ...  # noqa: D102
    @property
    def mass_mg(self) -> float | None: ...  # noqa: D102
    @property
    def mass_sd_mg(self) -> float | None: ...  # noqa: D102
    @property
    def active_fraction(self) -> float | None: ...  # noqa: D102
    @property
    def active_fraction_sd(self) -> float | None: ...  # noqa: D102
    @property
    def current_sd_relative(self) -> float | None: ...  # noqa: D102
    @property
    def current_offset_sd_mA(self) -> float | None: ...  # noqa: D102
    @property
    def formula(self) -> str: ...  # noqa: D102
    @property
    def ion(self) -> str: ...  # noqa: D102
    @property
    def electrons(self) -> int: ...  # noqa: D102
    @property
    def start_x(self) -> float: ...  # noqa: D102
    @property
    def start_x_sd(self) -> float | None: ...  # noqa: D102
    @property
    def weighed_x(self) -> float: ...  # noqa: D102
    @property
    def after_half_cycle(self) -> int | None: ...  # noqa: D102
    @property
    def phases(self) -> list[Any]: ...  # noqa: D102
    @property
    def x_step(self) -> float: ...  # noqa: D102


def beside_the_map(section: Settings, comp: xr.Dataset | None) -> xr.Dataset:
    """The curve of a recipe's [electrochemistry], with the map's composition placed on it.

    Parameters
    ----------
    section : Electrochemistry
        The recipe's section; its paths already resolved.
    comp : Dataset, optional
        From `chemoscape.composition`, for its mean and sd; None: nothing is placed.

    Returns
    -------
    Dataset
        ``voltage`` (half_cycle, x) every `x_step`, NaN where a half cycle does not go, with what
        `half_cycles` gives (half_cycle, cycle), ``density`` (half_cycle, potential) and what
        `plateaus` gives as ``plateau_…`` (plateau). Attributes flat, for HDF5: those of
        `lithiation`, and ``x_map``, ``x_map_sd``, ``x_curve``, ``x_curve_sd``, ``difference``,
        ``z``, ``phases_at_map``, ``phases_at_curve``, ``placed`` (the sentence).

    Raises
    ------
    FileFormatError, FitError, LibraryError
        As `open_cycling`, `lithiation` and `place_on_curve`.

    Warns
    -----
    ChemoscapeWarning
        Map and charge do not agree, or are of different variables.
    """
    curve = curve_of(section)
    out = summarised(curve, x_step=section.x_step)
    rows = [[one.name, one.low, one.high] for one in section.phases]
    out = out.assign_attrs(phases_given=json.dumps(rows, ensure_ascii=False))
    if comp is None:
        return out
    return out.assign_attrs(_placed(curve, comp, section))


def curve_of(section: Settings) -> xr.Dataset:
    """The curve that a recipe's [electrochemistry] names, with its compositions.

    Raises
    ------
    FileFormatError, FitError, LibraryError
        As `open_cycling` and `lithiation`.
    """
    curve = open_cycling(
        section.curve,
        columns=section.columns,
        units=section.units,
        decimal=section.decimal,
        positive_current=section.positive_current,
    )
    return lithiation(
        curve,
        mass_mg=section.mass_mg,
        active_fraction=section.active_fraction,
        formula=section.formula,
        ion=section.ion,
        electrons=section.electrons,
        start_x=section.start_x,
        weighed_x=section.weighed_x,
        mass_sd_mg=section.mass_sd_mg,
        active_fraction_sd=section.active_fraction_sd,
        current_sd_relative=section.current_sd_relative,
        current_offset_sd_mA=section.current_offset_sd_mA,
        start_x_sd=section.start_x_sd,
    )


def composition_at(curve: xr.Dataset, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Composition by charge at times on the cycler's clock, and its standard deviation.

    Parameters
    ----------
    curve : Dataset
        From `lithiation`.
    seconds : ndarray, shape (n_time,)
        Since the curve's first record.

    Returns
    -------
    x, sd : ndarray, shape (n_time,)
        Straight between the records; NaN before the first and after the last.

    Raises
    ------
    FitError
        The curve has no times.
    """
    if "time" not in curve:
        raise FitError("the curve has no times", remedy="export it with the time of each record")
    clock = curve["time"].values - curve["time"].values[0]
    x, sd = (
        np.interp(seconds, clock, curve[name].values, left=np.nan, right=np.nan)
        for name in ("x", "x_sd")
    )
    return x, sd


def diagram_of(data: xr.Dataset) -> PhaseDiagram | None:
    """The phases behind what `beside_the_map` gave: the user's, else LixV2O5's for V2O5."""
    rows = [tuple(row) for row in json.loads(data.attrs.get("phases_given", "[]"))]
    return _diagram(rows, data.attrs["formula"], data.attrs["variable"])


def _diagram(
    rows: list[tuple[str, float, float]], formula: str, variable: str
) -> PhaseDiagram | None:
    if rows:
        return phases_of(rows, variable)
    return LIXV2O5 if formula == "V2O5" else None


def summarised(curve: xr.Dataset, *, x_step: float = 0.005) -> xr.Dataset:
    """A curve as it is kept with results: see `beside_the_map`.

    Raises
    ------
    FitError
        The curve has no composition, or `x_step` is not positive.
    """
    if "x" not in curve:
        raise FitError("the curve has no composition", remedy="take it through lithiation first")
    if not (math.isfinite(x_step) and x_step > 0):
        raise FitError(f"x_step is {x_step!r}", remedy="give a positive step of composition")
    halves, density, found = half_cycles(curve), capacity_density(curve), plateaus(curve)
    low, high = float(curve["x"].min()), float(curve["x"].max())
    n = min(int((high - low) / x_step) + 2, 20_000)
    x = low + x_step * np.arange(n)
    rows = []
    for half in halves["half_cycle"].values:
        at = (curve["half_cycle"].values == half) & (curve["direction"].values != 0)
        own, volts = curve["x"].values[at], curve["voltage"].values[at]
        order = np.argsort(own, kind="stable")
        # the first and last step reach a little beyond the half cycle
        seen = (x > own.min() - x_step) & (x < own.max() + x_step)
        rows.append(np.where(seen, np.interp(x, own[order], volts[order]), np.nan))
    out = halves.assign_coords(x=("x", x, {"units": "1", "long_name": curve.attrs["variable"]}))
    out["voltage"] = (("half_cycle", "x"), np.array(rows), {"units": "V", "long_name": "voltage"})
    out = out.merge(density[["density"]].reindex(half_cycle=halves["half_cycle"].values))
    for name in found.data_vars:
        out[f"plateau_{name}"] = found[name]
    kept = {name: value for name, value in curve.attrs.items() if value is not None}
    end = {"x_end": float(curve["x"].values[-1]), "x_end_sd": float(curve["x_sd"].values[-1])}
    return out.assign_attrs({**kept, **density.attrs, **halves.attrs, **end})


def _placed(curve: xr.Dataset, comp: xr.Dataset, section: Settings) -> dict[str, Any]:
    """Attributes that say where the map lies."""
    variable = str(comp.attrs.get("variable", ""))
    own = curve.attrs["variable"]
    if variable != own:
        warnings.warn(
            f"the map's composition is {variable or 'not named'}, the curve's {own}: not compared",
            ChemoscapeWarning,
            stacklevel=3,
        )
        return {"placed": f"not compared: the map's composition is {variable or 'not named'}"}
    rows = [(one.name, one.low, one.high) for one in section.phases]
    diagram = _diagram(rows, section.formula, own)
    placement = place_on_curve(
        curve,
        float(comp.attrs["mean_mass_weighted"]),
        float(comp.attrs["mean_sd"]),
        after_half_cycle=section.after_half_cycle,
        phases=diagram,
    )
    if placement.agrees is False:
        warnings.warn(f"the map and the charge: {placement}", ChemoscapeWarning, stacklevel=3)
    return as_attributes(placement)


def as_attributes(placement: Placement) -> dict[str, Any]:
    """A placement as flat attributes."""
    return {
        "x_map": placement.x_map,
        "x_map_sd": placement.x_map_sd,
        "x_curve": placement.x_curve,
        "x_curve_sd": placement.x_curve_sd,
        "difference": placement.difference,
        "difference_sd": placement.difference_sd,
        "z": placement.z,
        "after_half_cycle": placement.after_half_cycle,
        "phases_at_map": placement.phases_at_map,
        "phases_at_curve": placement.phases_at_curve,
        "placed": str(placement),
    }
