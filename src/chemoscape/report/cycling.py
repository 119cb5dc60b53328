"""Galvanostatic curves, their dQ/dV, the phases behind them and the map's place on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chemoscape.electrochemistry.beside import summarised
from chemoscape.electrochemistry.phases import LIXV2O5, PhaseDiagram
from chemoscape.electrochemistry.placing import Placement
from chemoscape.report.panels import CATEGORIES, DOUBLE, INK, footnote, letters, styled
from chemoscape.report.phase_bar import draw_phases
from chemoscape.report.words import pretty

SYNTHETIC_CURVE = "Synthetic curve: it was simulated, not measured."
_MAP = "#D55E00"


@styled
def cycling_figure(
    curves: Mapping[str, xr.Dataset],
    *,
    phases: PhaseDiagram | None = LIXV2O5,
    placement: Placement | None = None,
    half_cycles: Sequence[int] | None = None,
    title: str = "",
) -> Figure:
    """Voltage and dQ/dV against composition and potential, over the phases (Figures 6A and 6F).

    Parameters
    ----------
    curves : mapping
        name -> curve from `lithiation`, or from `beside_the_map`: one, or several geometries.
    phases : PhaseDiagram, optional
        Drawn below the curves; None where none is known.
    placement : Placement, optional
        The map's composition, with its sd and that of the charge.
    half_cycles : sequence of int, optional
        Which to draw, from 1; default: the first two.
    title : str
        Of the first panel.
    """
    kept = {
        name: one if "plateau_x_low" in one else summarised(one) for name, one in curves.items()
    }
    shown = set(half_cycles or (1, 2))
    colours = dict(zip(kept, CATEGORIES * (1 + len(kept) // len(CATEGORIES)), strict=False))
    figure = Figure(figsize=(DOUBLE, 3.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.75, 1), height_ratios=(1, 0.13))
    ax = figure.add_subplot(grid[0, 0])
    beside = figure.add_subplot(grid[0, 1], sharey=ax)
    for k, (name, one) in enumerate(kept.items()):
        _draw(ax, beside, one, shown, colours[name], k if len(kept) > 1 else None)
    _marks(ax, beside, kept, shown, colours)
    left, right = _range_of(kept, shown)
    variable = next(iter(kept.values())).attrs["variable"]
    ax.set(xlim=(left, right), ylabel="voltage (V)", title=title or "Charge and discharge")
    _capacities(ax, kept)
    beside.set(title="Density of charge over voltage")
    beside.tick_params(labelleft=False)
    if len(kept) > 1:
        beside.set(xlabel="dQ/dV (each over its highest, set apart)", xticks=[])
    else:
        beside.set_xlabel(_density_label(kept))
        beside.set_xlim(left=0)
    panels = [ax, beside]
    if phases is not None:
        below = figure.add_subplot(grid[1, 0], sharex=ax)
        draw_phases(below, phases, (left, right))
        below.set_xlabel(pretty(variable))
        ax.tick_params(labelbottom=False)
        panels.insert(1, below)
        below.set_title("Phases at equilibrium")
    else:
        ax.set_xlabel(pretty(variable))
    if placement is not None:
        _place(panels[: len(panels) - 1], placement)
    corner = figure.add_subplot(grid[1, 1])
    corner.set_axis_off()
    _legend(corner, kept, shown, placement)
    letters(panels)
    footnote(figure, _notes(kept, phases))
    return figure


def beside_figure(data: xr.Dataset, *, phases: PhaseDiagram | None = LIXV2O5) -> Figure:
    """The figure of what `beside_the_map` gives, for the report.

    Parameters
    ----------
    data : Dataset
        From `beside_the_map`, or read back from results.
    phases : PhaseDiagram, optional
        As for `cycling_figure`.
    """
    attrs = data.attrs
    placement = None
    if math.isfinite(attrs.get("x_map", math.nan)):
        placement = Placement(
            x_map=float(attrs["x_map"]),
            x_map_sd=float(attrs["x_map_sd"]),
            x_curve=float(attrs["x_curve"]),
            x_curve_sd=float(attrs["x_curve_sd"]),
            after_half_cycle=int(attrs["after_half_cycle"]),
            phases_at_map=str(attrs["phases_at_map"]),
            phases_at_curve=str(attrs["phases_at_curve"]),
        )
    last = int(data["half_cycle"].values[-1]) + 1
    return cycling_figure(
        {"electrode": data},
        phases=phases,
        placement=placement,
        half_cycles=(1, 2) if last < 3 else (1, 2, last - 1, last),
    )


def _draw(
    ax: Axes, beside: Axes, one: xr.Dataset, shown: set[int], colour: str, place: int | None
) -> None:
    """Discharge solid, charge dashed; dQ/dV of both beside, several set apart."""
    highest = float(one["density"].max())
    for k, half in enumerate(one["half_cycle"].values):
        if int(half) + 1 not in shown:
            continue
        discharge = int(one["direction"].values[k]) < 0
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": "solid" if discharge else (0, (3, 1.2)),
        }
        ax.plot(one["x"].values, one["voltage"].values[k], **style)
        density = one["density"].values[k]
        seen = density > 1e-4 * highest
        if place is not None:
            density = density / highest + 1.1 * place
        beside.plot(density[seen], one["potential"].values[seen], **style)


def _marks(
    ax: Axes,
    beside: Axes,
    kept: Mapping[str, xr.Dataset],
    shown: set[int],
    colours: Mapping[str, str],
) -> None:
    """Plateaus: where they run, and their potentials beside where there is one curve only."""
    for name, one in kept.items():
        half = one["plateau_half_cycle"].values
        for k in np.flatnonzero([int(number) + 1 in shown for number in half]):
            volts = float(one["plateau_potential"][k])
            ends = [float(one[f"plateau_x_{side}"][k]) for side in ("low", "high")]
            at = int(np.flatnonzero(one["half_cycle"].values == half[k])[0])
            # on the curve itself: a plateau that slopes is not at its centre there
            curve = np.interp(ends, one["x"].values, _filled(one["voltage"].values[at]))
            ax.plot(ends, curve, "|", color=colours[name], markersize=6)
            if len(kept) == 1:
                height = float(np.interp(volts, one["potential"].values, one["density"].values[at]))
                sd = 1e3 * float(one["plateau_potential_sd"][k])
                beside.annotate(
                    f"{volts:.3f} V ± {max(sd, 0.1):.1f} mV",
                    (height, volts),
                    xytext=(3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=6.0,
                )
    if len(kept) == 1:
        beside.margins(x=0.5)


def _filled(voltage: np.ndarray) -> np.ndarray:
    """A curve whose ends go on where it is not known."""
    known = np.flatnonzero(np.isfinite(voltage))
    return np.interp(np.arange(voltage.size), known, voltage[known])


def _range_of(kept: Mapping[str, xr.Dataset], shown: set[int]) -> tuple[float, float]:
    """Compositions drawn, with a margin."""
    ends = [
        float(value)
        for one in kept.values()
        for half, low, high in zip(one.half_cycle, one.x_start, one.x_end, strict=True)
        if int(half) + 1 in shown
        for value in (low, high)
    ]
    low, high = min(ends), max(ends)
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _capacities(ax: Axes, kept: Mapping[str, xr.Dataset]) -> None:
    """The same axis as capacity of the host, above."""
    attrs = next(iter(kept.values())).attrs
    each, start = float(attrs["mAh_per_g_per_ion"]), float(attrs["start_x"])

    def to_charge(x: Any) -> Any:
        return (x - start) * each

    def to_composition(charge: Any) -> Any:
        return charge / each + start

    above = ax.secondary_xaxis("top", functions=(to_charge, to_composition))
    above.set_xlabel("charge per gram of the host (mAh/g)", fontsize=6.5)
    above.tick_params(labelsize=6.0)


def _density_label(kept: Mapping[str, xr.Dataset]) -> str:
    """Of the axis of dQ/dV."""
    units = next(iter(kept.values()))["density"].attrs.get("units", "mAh/g/V")
    return "dQ/dV (mAh g$^{-1}$ V$^{-1}$)" if units == "mAh/g/V" else f"dQ/dV ({units})"


def _place(panels: Sequence[Axes], placement: Placement) -> None:
    """The map's composition and the charge's, each with its sd."""
    for ax in panels:
        for x, sd, colour in (
            (placement.x_map, placement.x_map_sd, _MAP),
            (placement.x_curve, placement.x_curve_sd, "0.35"),
        ):
            if math.isfinite(sd):
                ax.axvspan(x - sd, x + sd, color=colour, alpha=0.18, linewidth=0, zorder=0)
            style = "solid" if colour == _MAP else "dotted"
            ax.axvline(x, color=colour, linewidth=0.9, linestyle=style, zorder=1)


def _legend(
    ax: Axes,
    kept: Mapping[str, xr.Dataset],
    shown: set[int],
    placement: Placement | None,
) -> None:
    """Names, what is solid and what is dashed, and the lines across."""
    handles = []
    if len(kept) > 1:
        for name, colour in zip(kept, CATEGORIES, strict=False):
            rate = _rate(kept[name])
            handles += ax.plot([], [], color=colour, label=f"{name}{rate}")
    ways = {
        int(way)
        for one in kept.values()
        for half, way in zip(one["half_cycle"].values, one["direction"].values, strict=True)
        if int(half) + 1 in shown
    }
    if -1 in ways:
        handles += ax.plot([], [], color=INK, label="discharge")
    if 1 in ways:
        handles += ax.plot([], [], color=INK, linestyle=(0, (3, 1.2)), label="charge")
    if placement is not None:
        said = f"map: {_value(placement.x_map, placement.x_map_sd)}"
        handles += ax.plot([], [], color=_MAP, linewidth=0.9, label=said)
        said = f"charge: {_value(placement.x_curve, placement.x_curve_sd)}"
        handles += ax.plot([], [], color="0.35", linewidth=0.9, linestyle="dotted", label=said)
    ax.legend(
        handles=handles, loc="center", handlelength=1.8, ncols=2, columnspacing=1.0, borderpad=0
    )


def _value(x: float, sd: float) -> str:
    """A composition with its sd."""
    return f"{x:.3f} ± {sd:.3f}" if math.isfinite(sd) else f"{x:.3f} (sd not known)"


def _rate(one: xr.Dataset) -> str:
    """``, C/5`` of the first half cycle."""
    if "c_rate" not in one:
        return ""
    hours = 1 / float(one["c_rate"][0])
    return f", C/{hours:.3g}" if hours >= 1 else f", {1 / hours:.3g}C"


def _notes(kept: Mapping[str, xr.Dataset], phases: PhaseDiagram | None) -> str:
    """What the figure rests on."""
    parts = []
    said = [str(one.attrs.get(key, "")) for one in kept.values() for key in ("source", "header")]
    if any("SYNTHETIC" in text for text in said):
        parts.append(SYNTHETIC_CURVE)
    one = next(iter(kept.values()))
    if _rate(one):
        parts.append(
            f"{_rate(one)[2:]}: one ion per formula in {1 / float(one['c_rate'][0]):.3g} h."
        )
    parts.append("Bars (|): ends of the plateaus.")
    if phases is not None and phases.source:
        parts.append(f"Phases: {phases.source}.")
    return " ".join(parts)
