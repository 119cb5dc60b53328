"""The figure of a plan: where the energies lie, where the error comes from, what would lower it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from chemoscape.few_energies.alternatives import UNSATURATED
from chemoscape.few_energies.budget import (
    THICK_OD,
    THICKEST_OD,
    TOO_THICK_OD,
    sd_against_thickness,
)
from chemoscape.few_energies.plan import Plan
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    INK,
    PHOTON_ENERGY,
    footnote,
    letters,
    styled,
)
from chemoscape.report.plan_words import amount_of, percent
from chemoscape.report.words import pretty, synthetic_note, with_units

#: Thicknesses drawn, over the one expected.
THINNEST, THICKEST = 0.1, 4.0
SOURCES = {
    "counting": "counting",
    "energy": "image energy",
    "calibration": "calibration",
    "offset": "OD offset",
    "i0": "I0",
}


@styled
def plan_figure(plan: Plan, others: Sequence[Plan] = ()) -> Figure:
    """Where the energies lie, where the error comes from, and what would lower it.

    Parameters
    ----------
    plan : Plan
        The one that is to be measured.
    others : sequence of Plan
        Best plans with other numbers of energies.
    """
    figure = Figure(figsize=(DOUBLE, 4.0), layout="constrained")
    axes = figure.subplot_mosaic(
        [["spectra"] * 3, ["number", "sources", "thickness"]],
        height_ratios=(1.15, 1),
        width_ratios=(1.15, 0.9, 1),
    )
    _spectra(axes["spectra"], plan)
    _numbers(axes["number"], plan, others)
    _sources(axes["sources"], plan)
    _thicknesses(axes["thickness"], plan)
    letters(axes.values())
    footnote(figure, synthetic_note(plan.expected.library.labels))
    return figure


def _spectra(ax: Axes, plan: Plan) -> None:
    """The standards as thick as expected; each image, with its share of the dose."""
    expected = plan.expected
    low, high = expected.window
    axis = np.linspace(low, high, 1200)
    spectra = expected.library.spectra(axis).values
    total = float(expected.share @ expected.weights.sum(axis=1))
    top = float(spectra.max() * total)
    dose = plan.dose_shares
    for energy, one in zip(plan.energies, dose, strict=True):
        ax.bar(energy, one * top, width=0.012 * (high - low), color="0.82", zorder=0)
        ax.axvline(energy, color="0.45", linewidth=0.6, linestyle=(0, (3, 2)), zorder=1)
    for label, spectrum, colour in zip(expected.library.labels, spectra, CATEGORIES, strict=False):
        ax.plot(axis, spectrum * total, color=colour, label=pretty(label))
    for (left, right), text in _names(plan, dose, 0.055 * (high - low)):
        ax.annotate(
            text,
            ((left + right) / 2, 1.0),
            xycoords=ax.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=6.5,
            linespacing=1.15,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )
    margin = 0.025 * (high - low)
    ax.set(
        title="Energies to take, and their share of the dose (grey)",
        xlabel=PHOTON_ENERGY,
        ylabel="optical density",
        xlim=(low - margin, high + margin),
        ylim=(0, 1.35 * top),
    )
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderpad=0, borderaxespad=0.3)


def _names(plan: Plan, dose: np.ndarray, apart: float) -> list[tuple[tuple[float, float], str]]:
    """Labels of the energies, neighbours in one."""
    groups: list[list[int]] = []
    for k, energy in enumerate(plan.energies):
        if groups and energy - plan.energies[groups[-1][-1]] < apart:
            groups[-1].append(k)
        else:
            groups.append([k])
    return [
        (
            (float(plan.energies[some[0]]), float(plan.energies[some[-1]])),
            ", ".join(f"{plan.energies[k]:.1f}" for k in some)
            + "\n"
            + ", ".join(percent(dose[k]) for k in some),
        )
        for some in groups
    ]


def _numbers(ax: Axes, plan: Plan, others: Sequence[Plan]) -> None:
    """Error against the number of energies, and what it is compared with."""
    every = {one.energies.size: one for one in [*others, plan]}
    numbers = sorted(every)
    lines = {
        "features" if name.startswith("features") else name.removeprefix("a "): one.rms
        for name, one in plan.compared.items()
        if name != UNSATURATED
    }
    left, right = min(numbers) - 0.5, max(numbers) + 0.5
    for k, (name, value) in enumerate(lines.items()):
        colour = CATEGORIES[(1, 2, 3, 5)[k % 4]]
        ax.axhline(value, color=colour, linestyle=("dashed", "dashdot", "dotted")[k % 3])
        _beside(ax, name, right, value, 2.5, colour)
    ax.plot(numbers, [every[n].rms for n in numbers], "o-", color=CATEGORIES[0])
    ax.plot(plan.energies.size, plan.rms, "o", color=INK, markersize=5)
    if np.isfinite(plan.bound):
        ax.axhline(plan.bound, color="0.6", linewidth=0.8, zorder=0)
        _beside(ax, "no set gives less", right, plan.bound, -8.5, "0.4")
    drawn = [*plan.compared.values(), *every.values()]
    if UNSATURATED in plan.compared:  # of this number of energies alone
        thin = plan.compared[UNSATURATED]
        ax.plot([left, thin.energies.size], [thin.rms] * 2, color=INK, linestyle="dotted")
        ax.plot(thin.energies.size, thin.rms, "o", color=INK, markerfacecolor="white", markersize=5)
        _beside(ax, f" {UNSATURATED}", left, thin.rms, 4.0, INK, ha="left")
    ax.set(
        title="How many energies?",
        xlabel="number of energies",
        xticks=numbers,
        ylabel="sd of composition",
        ylim=(0, 1.2 * max(one.rms for one in drawn)),
        xlim=(left, right),
    )


def _beside(
    ax: Axes, text: str, x: float, y: float, up: float, colour: str, ha: str = "right"
) -> None:
    """A name at the end of a line, above or below it."""
    ax.annotate(
        text,
        (x, y),
        xytext=(0, up),
        textcoords="offset points",
        ha=ha,
        color=colour,
        fontsize=6.5,
    )


def _sources(ax: Axes, plan: Plan) -> None:
    """Where the error comes from."""
    parts = plan.by_source
    names = list(SOURCES)[::-1]
    ax.barh([SOURCES[n] for n in names], [parts[n] for n in names], color=CATEGORIES[0], height=0.6)
    for place, name in enumerate(names):
        ax.annotate(
            f"{parts[name]:.4f}",
            (parts[name], place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.5,
        )
    ax.set(
        title="What makes the error?",
        xlabel="sd of composition",
        xlim=(0, 1.35 * max(parts.values())),
    )
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.tick_params(axis="y", length=0)


def _thicknesses(ax: Axes, plan: Plan) -> None:
    """Error against thickness, at the same dose and with the same photons."""
    amount, what, unit = amount_of(plan.expected)
    peak = float(plan.highest_od.max())
    factors = np.geomspace(THINNEST, max(1.0, min(THICKEST, THICKEST_OD / peak)), 40)
    at_dose = sd_against_thickness(plan, factors)
    at_photons = sd_against_thickness(plan, factors, hold="photons")
    axis = factors * amount
    for limit, shade in ((THICK_OD, "0.93"), (TOO_THICK_OD, "0.85")):
        start = limit / peak * amount
        if start < axis[-1]:
            ax.axvspan(max(start, axis[0]), axis[-1], color=shade, zorder=0, linewidth=0)
    ax.loglog(axis, at_dose, color=CATEGORIES[0], label="same dose")
    ax.loglog(axis, at_photons, color=CATEGORIES[1], linestyle="dashed", label="same photons")
    ax.plot(amount, plan.rms, "o", color=INK, markersize=5, label="this plan")
    for side in (ax.xaxis, ax.yaxis):
        side.set_major_locator(LogLocator(subs=(1, 2, 5)))
        side.set_major_formatter("{x:g}")
        side.set_minor_locator(NullLocator())
    ax.set(
        title="How thick?",
        xlabel=f"{with_units(what, unit)}\ngrey: OD above {THICK_OD:g} and {TOO_THICK_OD:g}",
        ylabel="sd of composition",
        xlim=(axis[0], axis[-1]),
    )
    ax.legend(loc="upper right")
