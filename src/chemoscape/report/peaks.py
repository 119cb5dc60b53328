"""Figures of fitted peaks: the spectra with their components, and how peaks go with composition."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chemoscape.errors import FitError
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    INK,
    PHOTON_ENERGY,
    footnote,
    letters,
    round_length,
    styled,
)
from chemoscape.report.words import elided, pretty, synthetic_note
from chemoscape.standards.peaks.result import PeakFit
from chemoscape.standards.peaks.trends import Trend, trend_of

#: Colours of the peaks in order; yellow is too faint for a line.
_COLOURS = tuple(colour for colour in CATEGORIES if colour != "#F0E442")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_POINT: Any = {
    **{"markersize": 3.6, "markeredgecolor": "w", "markeredgewidth": 0.3},
    **{"elinewidth": 0.7, "capsize": 1.4},
}
_DOTS: Any = {
    **{"marker": "o", "linestyle": "", "color": INK, "markersize": 1.7},
    **{"markerfacecolor": "w", "markeredgewidth": 0.5},
}
_WORDS: Any = {"fontsize": 6.5, "va": "center", "annotation_clip": False}
_OUTER = "0.6"  # what is no finding
#: Height of one spectrum of the stack, inches, and of it the part that the next one may use.
_STEP, _OVERLAP = 0.85, 0.8
#: More spectra than this are not drawn above one another.
_MOST = 12
#: A peak is drawn faintly where half of its errors exceed this part of its largest value.
_UNSURE = 0.25


@styled
def peaks_figure(
    fit: PeakFit,
    *,
    within: tuple[float, float] | None = None,
    variable: str = "",
    title: str = "",
) -> Figure:
    """Spectra above one another with fit, peaks and steps; position and relative intensity of the
    peaks against composition with their standard deviations, phases told apart.

    Parameters
    ----------
    fit : PeakFit
    within : pair of float, optional
        Values that belong to the trends; lines are drawn through these, dotted beyond.
    variable : str
        What the values mean, for the axis.
    title : str
        Above the spectra; the model's name when left out.
    """
    table = fit.table
    n = min(table.sizes["standard"], _MOST)
    plotted = bool(np.isfinite(table["value"].values).sum() > 1)
    figure = Figure(
        figsize=(DOUBLE if plotted else 0.6 * DOUBLE, max(3.4, 0.9 + _STEP * n)),
        layout="constrained",
    )
    colours = dict(zip(fit.findings.peak.values, _COLOURS * 9, strict=False))
    if plotted:
        grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1))
        axes = [figure.add_subplot(grid[:, 0])]
        axes += [figure.add_subplot(grid[row, 1]) for row in range(2)]
    else:
        axes = [figure.add_subplot()]
    _spectra(axes[0], fit, colours, title or f"{fit.model.name}: spectra and fit")
    if plotted:
        _against(axes[1], fit, "centre", within, colours)
        _against(axes[2], fit, "relative_intensity", within, colours)
        axes[2].set_xlabel(pretty(variable) or "value")
        axes[1].sharex(axes[2])
        axes[1].tick_params(labelbottom=False)
        _phases(axes[1], table)
        letters(axes)
    notes = [synthetic_note(map(str, table.label.values))]
    if plotted:
        notes.append("Bars: one standard deviation.")
        if within is not None:
            notes.append(f"Lines: values {within[0]:g} to {within[1]:g}, dotted beyond.")
    footnote(figure, " ".join(note for note in notes if note))
    return figure


def _spectra(ax: Axes, fit: PeakFit, colours: dict[str, str], title: str) -> None:
    """All spectra without their lowest value, each raised by a step."""
    curves = fit.curves.isel(standard=slice(0, _MOST))
    energy = curves.energy.values
    step = _OVERLAP * float(np.median(np.ptp(curves.spectrum.values, axis=1)))
    for k in range(curves.sizes["standard"]):
        one = curves.isel(standard=k)
        up = k * step - float(one.spectrum.min())
        below = one.below.values + up
        for name in one.peak.values:
            colour = colours.get(name, _OUTER)
            top = below + one.component.sel(peak=name).values
            alpha = 0.28 if name in colours else 0.18
            ax.fill_between(energy, below, top, color=colour, alpha=alpha, linewidth=0, zorder=2)
            ax.plot(energy, top, color=colour, linewidth=0.6, zorder=2.5)
        ax.plot(energy, below, color="0.45", linewidth=0.6, linestyle=(0, (4, 2)), zorder=3)
        every = max(1, energy.size // 90)
        ax.plot(energy[::every], one.spectrum.values[::every] + up, zorder=3.5, **_DOTS)
        ax.plot(energy, one.fit.values + up, color=INK, linewidth=0.8, zorder=4)
        ax.annotate(
            "\n".join(elided(part, 0.85) for part in str(one.label.item()).split(" ", 1)),
            (1.0, float(one.fit[-1]) + up),
            xycoords=ax.get_yaxis_transform(),
            xytext=(5, 0),
            textcoords="offset points",
            **_WORDS,
        )
    _named(ax, curves.isel(standard=-1), step * (curves.sizes["standard"] - 1), colours)
    end = float(curves.fit[0, -1] - curves.spectrum[0].min()) + 0.32 * step
    _bar(ax, end, 0.45 * step, curves.spectrum.attrs.get("units", "1"))
    ax.set(xlim=(energy[0], energy[-1]), yticks=[], xlabel=PHOTON_ENERGY)
    ax.set_title(title)
    ax.spines["left"].set_visible(False)


def _named(ax: Axes, top: xr.Dataset, up: float, colours: dict[str, str]) -> None:
    """Names of the peaks above the uppermost spectrum, moved apart where they would touch."""
    energy = top.energy.values
    names = [name for name in top.peak.values if name in colours]
    at = np.array([energy[int(top.component.sel(peak=name).values.argmax())] for name in names])
    room = 0.085 * np.ptp(energy)
    shown = _apart(at, room)
    high = up + float(np.ptp(top.spectrum.values))
    for name, centre, place in zip(names, at, shown, strict=True):
        value = float(np.interp(centre, energy, top.fit.values - float(top.spectrum.min()))) + up
        ax.annotate(
            _shown(str(name)),
            (centre, value),
            xytext=(place, 1.06 * high),
            color=colours[name],
            ha="center",
            fontsize=6.5,
            arrowprops={"arrowstyle": "-", "color": colours[name], "linewidth": 0.4},
        )
    ax.set_ylim(top=1.12 * high)


def _bar(ax: Axes, low: float, room: float, units: str) -> None:
    """A bar of round length beside the spectra, which are raised and share no zero."""
    length = round_length(room)
    across = ax.get_yaxis_transform()
    ax.plot([1.015] * 2, [low, low + length], color=INK, lw=1.6, transform=across, clip_on=False)
    words = f"{length:g} cm²/g" if units == "cm2/g" else f"{length:g}"
    ax.text(1.03, low + length / 2, words, va="center", fontsize=6, transform=across)


def _shown(name: str) -> str:
    """Orbitals with their subscripts."""
    known = {"t2g": "$t_{2g}$", "eg*": "$e_g^*$", "eg": "$e_g$", "dz2": "$d_{z^2}$"}
    if name.startswith("d_") and "$" not in name:
        return f"$d_{{{name[2:]}}}$"
    return known.get(name, name.replace("$", r"\$"))


def _apart(places: np.ndarray, room: float) -> np.ndarray:
    """Places moved up, in their order, until they are `room` apart."""
    order = np.argsort(places, kind="stable")
    moved = places[order]
    for k in range(1, moved.size):
        moved[k] = max(moved[k], moved[k - 1] + room)
    out = np.empty_like(moved)
    out[order] = moved
    return out


def _against(
    ax: Axes,
    fit: PeakFit,
    quantity: str,
    within: tuple[float, float] | None,
    colours: dict[str, str],
) -> None:
    """A quantity of each peak against the value; centres from their mean, since they lie apart."""
    table = fit.findings.sortby("value")
    x = table["value"].values
    moved = quantity == "centre"
    peaks = [p for p in table.peak.values if moved or p != fit.model.reference]
    rows: list[tuple[str, float, float]] = []
    limits = [np.array([])]
    known = table[f"{quantity}_sd"].sel(peak=peaks).median("standard")
    surest = float(known.min()) if known.notnull().any() else 0.0
    for name in peaks:
        one = table.sel(peak=name)
        value, sd = one[quantity].values, np.nan_to_num(one[f"{quantity}_sd"].values)
        line = _line(fit, str(name), quantity, within)
        value = value - (_zero(line, x, value) if moved else 0.0)
        limits.append(value)
        # What is hardly determined, and much less than the others, stays in the background.
        unsure = np.median(sd) > max(_UNSURE * np.nanmax(np.abs(value)), 3 * surest)
        faint = 0.3 if unsure else 1.0
        for phase, marker in _marked(table):
            own = one.phase.values == phase
            ax.errorbar(
                *(x[own], value[own], sd[own]),
                fmt=marker,
                color=colours[name],
                alpha=faint,
                zorder=2 + faint,
                **_POINT,
            )
        if line is not None:
            zero = line.at_zero + line.slope * np.nanmin(x) if moved else 0.0
            _draw(ax, line, x, zero, colours[name], faint)
        last = np.flatnonzero(np.isfinite(x) & np.isfinite(value))
        if last.size:
            rows.append((str(name), float(x[last[-1]]), float(value[last[-1]])))
    spread = np.concatenate(limits)
    spread = spread[np.isfinite(spread)] if np.isfinite(spread).any() else np.array([0.0, 1.0])
    margin = 0.12 * max(float(np.ptp(spread)), 1e-6)
    ax.set_ylim(float(spread.min()) - margin, float(spread.max()) + 1.6 * margin)
    room = 0.05 * float(np.ptp(ax.get_ylim()))
    for (name, at, height), place in zip(
        rows, _apart(np.array([row[2] for row in rows]), room), strict=True
    ):
        ax.annotate(
            *(_shown(name), (at, height)),
            xytext=(7, (place - height) / room * 8.0),
            textcoords="offset points",
            color=colours[name],
            **_WORDS,
        )
    reference = fit.model.reference
    ax.set_ylabel("shift of the centre (eV)" if moved else f"area / area of {_shown(reference)}")
    ax.set_title("Position" if moved else "Relative intensity")
    ax.margins(x=0.06)


def _line(
    fit: PeakFit, peak: str, quantity: str, within: tuple[float, float] | None
) -> Trend | None:
    """The trend of a peak; nothing where there are too few spectra."""
    try:
        return trend_of(fit.table, peak, quantity, within)
    except FitError:
        return None


def _zero(line: Trend | None, x: np.ndarray, value: np.ndarray) -> float:
    """What a centre is drawn from: its trend at the lowest value, else its own first value."""
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(value))
    if not known.size:
        return 0.0
    first = known[0]
    return float(value[first] if line is None else line.at_zero + line.slope * x[first])


def _draw(ax: Axes, line: Trend, x: np.ndarray, zero: float, colour: str, alpha: float) -> None:
    """The line over its range, dotted beyond."""
    inside = np.array([line.lowest, line.highest])
    whole = np.array([np.nanmin(x), np.nanmax(x)])
    for ends, style, width in ((whole, ":", 0.6), (inside, "-", 0.8)):
        at = line.at_zero - zero + line.slope * ends
        ax.plot(ends, at, style, color=colour, linewidth=width, alpha=alpha)


def _marked(table: xr.Dataset) -> list[tuple[str, str]]:
    """Phases in order of value, each with its marker."""
    phases = list(dict.fromkeys(str(one) for one in table.sortby("value").phase.values))
    return [(phase, _MARKERS[k % len(_MARKERS)]) for k, phase in enumerate(phases)]


def _phases(ax: Axes, table: xr.Dataset) -> None:
    """Legend of the markers; none where phases are not known."""
    marked = [(phase, marker) for phase, marker in _marked(table) if phase]
    if len(marked) < 2:
        return
    handles = [
        Line2D([], [], marker=marker, linestyle="", color="0.35", markersize=3.6)
        for _, marker in marked
    ]
    words = [pretty(f"{phase}-").rstrip("-") for phase, _ in marked]
    ax.legend(handles, words, loc="upper left", ncols=len(words), columnspacing=0.9)
