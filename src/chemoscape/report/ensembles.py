"""Figures of an ensemble (Figures 6L and S18): sizes, composition, direction of the particles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from chemoscape.particles.findings import EnsembleStatistics
from chemoscape.particles.resampling import Estimate, bandwidth, density
from chemoscape.particles.statistics import LEAST
from chemoscape.report.panels import (
    CATEGORIES,
    INK,
    SINGLE,
    footnote,
    styled,
)
from chemoscape.report.words import pretty

#: One sign per phase beside its colour.
SIGNS = ("o", "s", "^", "D", "v", "P", "X", "h")
SIZES = {"area_raw": "projected area", "area_psf": "area, corrected for the resolution"}
TICKS = (1, 2, 3, 5)  # of a short logarithmic axis, times powers of ten


@styled
def sizes_figure(
    found: EnsembleStatistics, *, recall: Sequence[tuple[float, float]] = (), note: str = ""
) -> Figure:
    """Sizes of the particles of each phase: every particle, density, mode and its interval.

    Parameters
    ----------
    found : EnsembleStatistics
    recall : sequence of (area, share), optional
        Share of the particles of an area (µm²) that the method finds at all
        (`particles.recall.recall_of`), drawn below on the same axis.
    note : str
        Added to the line at the foot.
    """
    phases = [one for one in found.phases if one.n]
    panels = max(len(phases), 1) + bool(recall)
    figure = Figure(figsize=(SINGLE, 0.75 + 0.85 * panels), layout="constrained")
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    sizes = found.particles["size"].values
    own = found.particles["phase"].values
    for number, (ax, one) in enumerate(zip(axes, phases, strict=False)):
        colour = CATEGORIES[number % len(CATEGORIES)]
        of = np.sort(sizes[own == one.phase])
        ax.plot(of, np.full(len(of), -0.10), "|", color=colour, markersize=4, mew=0.6)
        title = f"{pretty(one.phase)}: {one.n} particles"
        if one.mode is None:
            ax.set_title(f"{title}, too few for a mode")
        else:
            logs = np.log(of)
            grid, kernels = density(logs, bandwidth(logs))
            curve = kernels.mean(axis=0)
            curve /= curve.max()
            ax.fill_between(np.exp(grid), curve, color=colour, alpha=0.25, linewidth=0)
            ax.plot(np.exp(grid), curve, color=colour)
            _mark_mode(ax, one.mode, colour)
            ax.set_title(f"{title}, mode {_interval(one.mode)} µm²")
        ax.set(ylim=(-0.22, 1.12), yticks=[], xscale="log")
        ax.spines["left"].set_visible(False)
    if recall:
        areas, shares = zip(*recall, strict=True)
        axes[-1].plot(areas, shares, "o-", color=INK, markersize=2, linewidth=0.8)
        axes[-1].set(ylim=(0, 1), xscale="log", title="share found, of synthetic particles alike")
    if len(sizes):
        _size_axis(axes[-1], _reach(sizes, own), "x")
        axes[-1].set_xlabel(_size_label(found))
    footnote(figure, " ".join(part for part in (_verdicts(found), note) if part))
    return figure


@styled
def composition_figure(found: EnsembleStatistics, *, note: str = "") -> Figure:
    """Size against composition of each particle, the regression and the interval of its slope.

    Parameters
    ----------
    found : EnsembleStatistics
    note : str
        Added to the line at the foot.
    """
    figure = Figure(figsize=(SINGLE, 2.9), layout="constrained")
    ax = figure.add_subplot()
    used = found.particles
    x, size, error = (used[name].values for name in ("composition", "size", "composition_se"))
    for number, phase in enumerate(_phases_of(found)):
        own = used["phase"].values == phase
        known = np.isfinite(error[own]).all()
        ax.errorbar(
            x[own],
            size[own],
            xerr=error[own] if known else None,
            fmt=SIGNS[number % len(SIGNS)],
            color=CATEGORIES[number % len(CATEGORIES)],
            markersize=3.2,
            mew=0,
            alpha=0.75,
            elinewidth=0.5,
            label=f"{pretty(phase)} ({own.sum()})",
        )
    if len(x):
        _size_axis(ax, size, "y")
    if found.regression is not None:
        _draw_slope(ax, found.regression.slope, x, size)
    ax.set(xlabel=_variable(found), ylabel=_size_label(found))
    if len(_phases_of(found)) > 1:
        figure.legend(
            *ax.get_legend_handles_labels(), loc="outside upper left", ncols=2, columnspacing=1.0
        )
    footnote(figure, " ".join(part for part in (_correlation(found), note) if part))
    return figure


@styled
def direction_figure(found: EnsembleStatistics, *, note: str = "") -> Figure:
    """Composition against the direction of the wires, which linear dichroism confuses.

    Parameters
    ----------
    found : EnsembleStatistics
    note : str
        Added to the line at the foot.
    """
    figure = Figure(figsize=(SINGLE, 2.5), layout="constrained")
    ax = figure.add_subplot()
    used = found.particles
    angle, x = used["orientation"].values, used["composition"].values
    for number, phase in enumerate(_phases_of(found)):
        own = used["phase"].values == phase
        ax.plot(
            angle[own],
            x[own],
            SIGNS[number % len(SIGNS)],
            color=CATEGORIES[number % len(CATEGORIES)],
            mew=0,
            alpha=0.75,
            label=pretty(phase),
        )
    _draw_waves(ax, found)
    ax.set(
        xlim=(-4, 184),
        xticks=[0, 45, 90, 135, 180],
        xlabel="direction of the long axis, from x towards y (°)",
        ylabel=_variable(found),
    )
    if len(_phases_of(found)) > 1:
        figure.legend(
            *ax.get_legend_handles_labels(), loc="outside upper left", ncols=2, columnspacing=1.0
        )
    footnote(figure, " ".join(part for part in (_direction(found), note) if part))
    return figure


# --- pieces -------------------------------------------------------------------------------------


def _phases_of(found: EnsembleStatistics) -> list[str]:
    return [one.phase for one in found.phases if one.n]


def _variable(found: EnsembleStatistics) -> str:
    return pretty(str(found.particles.attrs["variable"]))


def _reach(sizes: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Least and largest size at which a phase has a density to see."""
    ends = [sizes.min(), sizes.max()]
    for phase in np.unique(own):
        logs = np.log(sizes[own == phase])
        if len(logs) >= LEAST:
            ends += list(np.exp([logs.min(), logs.max()] + 2 * bandwidth(logs) * np.r_[-1, 1]))
    return np.array([min(ends), max(ends)])


def _size_label(found: EnsembleStatistics) -> str:
    name = SIZES.get(found.size, found.size.replace("_", " "))
    units = found.particles.attrs["size_units"]
    return f"{name} ({units})" if units != "1" else f"{name} (µm²)"


def _size_axis(ax: Axes, sizes: np.ndarray, along: str) -> None:
    """A logarithmic axis of sizes with plain numbers at 1, 2, 3 and 5."""
    low, high = sizes.min() / 1.5, sizes.max() * 1.5
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    steps = TICKS if high / low < 100 else (1,)
    ticks = [float(step * 10.0**power) for power in powers for step in steps]
    ax.set(**{f"{along}scale": "log", f"{along}lim": (low, high)})
    axis = ax.xaxis if along == "x" else ax.yaxis
    axis.set_major_locator(FixedLocator([one for one in ticks if low <= one <= high]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _mark_mode(ax: Axes, mode: Estimate, colour: str) -> None:
    """The mode with its interval, as a bar at the top."""
    ax.plot([mode.low, mode.high], [1.06, 1.06], color=colour, linewidth=2.0, alpha=0.6)
    ax.plot(mode.value, 1.06, "o", color=colour, mec="white", mew=0.5, markersize=4)
    ax.plot([mode.value] * 2, [0, 1], color=colour, linewidth=0.6, linestyle="dotted")


def _draw_slope(ax: Axes, slope: Estimate, x: np.ndarray, size: np.ndarray) -> None:
    """Regression line about the centroid, and the wedge between the ends of its interval."""
    along = np.linspace(x.min(), x.max(), 50)
    middle, height = x.mean(), np.log(size).mean()
    value, low, high = (
        np.exp(height + one * (along - middle)) for one in (slope.value, slope.low, slope.high)
    )
    ax.fill_between(along, low, high, color="0.5", alpha=0.2, linewidth=0)
    ax.plot(along, value, color=INK)


def _draw_waves(ax: Axes, found: EnsembleStatistics) -> None:
    """Composition as the angle has it: within each phase where there are several, else of all."""
    used = found.particles
    one = found.angle_within or found.angle
    if one is None:
        return
    groups = _phases_of(found) if found.angle_within else [""]
    turned = np.linspace(0, 180, 181)
    for number, phase in enumerate(groups):
        own = used["phase"].values == phase if phase else slice(None)
        wave, at = (
            one.amplitude.value * np.cos(2 * np.radians(angle - one.direction))
            for angle in (turned, used["orientation"].values[own])
        )
        middle = (used["composition"].values[own] - at).mean()
        ax.plot(turned, middle + wave, color=CATEGORIES[number % 8] if phase else INK)


def _direction(found: EnsembleStatistics) -> str:
    """What the direction of the wires does to their composition, in a line or two."""
    if found.angle is None:
        return "Composition was not compared with the direction of the wires."
    said = []
    for where, one in (("", found.angle), ("within phases: ", found.angle_within)):
        if one is not None:
            said.append(
                f"{where}amplitude {_interval(one.amplitude)}, largest at {one.direction:.0f}°, "
                f"{_p(one.p, found)}"
            )
    doubtful = any(one and one.suspicious for one in (found.angle, found.angle_within))
    verdict = (
        "This may be orientation (linear dichroism), not lithium."
        if doubtful
        else "No sign of linear dichroism."
    )
    words = "; ".join(said)
    return f"{words[0].upper()}{words[1:]}. {verdict}"


def _interval(one: Estimate) -> str:
    """Value and interval, two digits of the narrower side."""
    digits = max(0, 1 - int(np.floor(np.log10(max(one.high - one.low, 1e-9)))))
    low, value, high = (
        f"{number:.{digits}f}".replace("-", "−") for number in (one.low, one.value, one.high)
    )
    return f"{value} ({low} to {high})"


def _p(value: float, found: EnsembleStatistics) -> str:
    """A p value; one that no random order reached is only known to be below."""
    sign = "≤" if value * (found.n_boot + 1) < 1.5 else "="
    return f"p {sign} {value:.2g}" if value >= 0.001 else f"p {sign} {value:.1g}"


def _correlation(found: EnsembleStatistics) -> str:
    """Rank correlation and slope in a line, or that there is none."""
    if found.correlation is None:
        return "Too few particles, or all alike: size is not compared with composition."
    words = (
        f"Spearman’s ρ = {_interval(found.correlation.rho)}, {_p(found.correlation.p, found)}; "
        f"{found.n_used} particles."
    )
    if found.regression is not None:
        words += (
            f" Slope of ln(size) per unit of composition: {_interval(found.regression.slope)}; "
            "shaded: 95 % of the slope."
        )
    return words


def _verdicts(found: EnsembleStatistics) -> str:
    """Which modes can be told apart."""
    said = []
    for one in found.differences:
        verdict = "are told apart" if one.told_apart else "cannot be told apart"
        said.append(f"{pretty(one.first)} and {pretty(one.second)} {verdict}")
    words = "Bars: 95 % of the mode of the density of ln(size)."
    return f"{words} Modes: {'; '.join(said)}." if said else words
