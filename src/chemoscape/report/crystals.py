"""Figures of powder patterns: the fit of a whole pattern, and patterns above one another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chemoscape.crystals.cell_fit import CellFit, rounded
from chemoscape.crystals.evidence import PatternEvidence
from chemoscape.crystals.extra_lines import ExtraLine
from chemoscape.crystals.pattern import SYNTHETIC, Pattern
from chemoscape.crystals.reflections import Reflections
from chemoscape.report.panels import CATEGORIES, DOUBLE, INK, footnote, letters, styled
from chemoscape.report.words import elided, pretty

ANGLE = "2θ (degrees)"
NOT_MEASURED = "SYNTHETIC pattern: not measured"
#: Reflections this strong (share of the strongest) are labelled.
_LABELLED = 0.10
#: Nearest labels, as a share of the axis.
_APART = 0.036
_MEASURED, _FIT, _RESIDUAL, _EXTRA = "0.45", CATEGORIES[0], CATEGORIES[2], CATEGORIES[5]


@styled
def pattern_figure(
    found: PatternEvidence | CellFit, *, calculated: np.ndarray | None = None, title: str = ""
) -> Figure:
    """Pattern, fit, background, marks of the reflections, difference, and what was found.

    Parameters
    ----------
    found : PatternEvidence or CellFit
        Lines that the phase does not explain are marked where they are known.
    calculated : ndarray (n,), optional
        What the structure should give, as `overlay` makes it: drawn above the fit.
    title : str
        Default: the phase, the pattern and the radiation.
    """
    fit = found if isinstance(found, CellFit) else found.fit
    extra = () if isinstance(found, CellFit) else found.extra
    panels = 2 if calculated is None else 3
    ratios = (3.2, 1.0) if calculated is None else (3.2, 1.0, 1.7)
    figure = Figure(figsize=(DOUBLE, 3.7 if panels == 2 else 5.0), layout="constrained")
    axes = np.atleast_1d(figure.subplots(panels, 1, sharex=True, height_ratios=ratios))
    rays = fit.pattern.radiation.name
    # what the pattern's name says of itself stands in the note below
    source = fit.pattern.source.replace(SYNTHETIC, "").strip()
    source = "" if source == fit.phase else source
    named = elided(", ".join(filter(None, (fit.phase, source, rays))), DOUBLE - 1)
    _fitted(axes[0], fit, extra, title or named)
    _difference(axes[1], fit, extra)
    if calculated is not None:
        _structure(axes[2], fit, calculated)
    axes[-1].set_xlabel(ANGLE)
    letters(axes)
    if "SYNTHETIC" in fit.pattern.source:
        footnote(figure, NOT_MEASURED)
    return figure


def _fitted(ax: Axes, fit: CellFit, extra: Sequence[ExtraLine], title: str) -> None:
    """Measured points, fit, background; marks and indices of reflections; the numbers."""
    x, y = fit.pattern.two_theta, fit.pattern.intensity
    used = np.isfinite(fit.pattern.sd)
    low, high = float(y[used].min()), float(max(y[used].max(), fit.calculated.max()))
    room = high - low
    ax.plot(x[used], y[used], ".", color=_MEASURED, ms=_dots(x), mew=0, label="data")
    ax.plot(x, fit.calculated, color=_FIT, lw=0.8, label="fit, intensities free")
    ax.plot(x, fit.background, color=INK, lw=0.6, ls=(0, (4, 2)), label="background")
    shown = (fit.angles > x[0]) & (fit.angles < x[-1])
    ax.vlines(
        *(fit.angles[shown], low - 0.085 * room, low - 0.03 * room),
        color=INK,
        lw=0.5,
        label="reflections",
    )
    _indices(ax, fit, shown, room)
    ax.set(xlim=(x[0], x[-1]), ylim=(low - 0.11 * room, high + 0.16 * room), title=title)
    ax.set_ylabel(_quantity(fit.pattern))
    _extra_marks(ax, fit, extra, room)
    ax.legend(loc="upper right", ncols=5 if extra else 4, borderaxespad=0.0, columnspacing=1.2)
    ax.text(
        *(1.0, 0.85, "\n".join(_numbers(fit))),
        transform=ax.transAxes,
        ha="right",
        va="top",
        fontsize=6.5,
        linespacing=1.35,
    )


def _numbers(fit: CellFit) -> list[str]:
    """Cell and quality in lines; what symmetry fixes is left out."""
    names = ("a", "b", "c", "α", "β", "γ")
    units = ("Å", "Å", "Å", "°", "°", "°")
    sizes = [
        f"$\\mathit{{{name}}}$ = {rounded(value, sd)} {unit}"
        for name, value, sd, unit in zip(names, fit.cell, fit.cell_sd, units, strict=True)
        if sd > 0
    ]
    return [
        *sizes,
        f"V = {rounded(fit.volume, fit.volume_sd)} Å³",
        f"$R_{{wp}}$ = {100 * fit.r_wp:.2f} %,  $R_{{exp}}$ = {100 * fit.r_expected:.2f} %",
        f"goodness of fit {fit.goodness:.2f}",
        f"Durbin–Watson {fit.durbin_watson:.2f}",
    ]


def _indices(ax: Axes, fit: CellFit, shown: np.ndarray, room: float) -> None:
    """Indices above the strongest reflections, as many as have room."""
    x = fit.pattern.two_theta
    top = fit.calculated - fit.background
    heights = np.interp(fit.angles, x, top) * shown
    # of reflections in one peak the strongest names it
    order = np.argsort(fit.intensities * shown)[::-1]
    placed: list[float] = []
    clear = x[0] + 0.72 * (x[-1] - x[0])  # beyond stand the numbers
    for k in order:
        if heights[k] < _LABELLED * top.max() or len(placed) > 14:
            continue
        angle = float(fit.angles[k])
        if any(abs(angle - other) < _APART * (x[-1] - x[0]) for other in placed) or angle > clear:
            continue
        placed.append(angle)
        ax.annotate(
            _index(fit.reflections, int(k)),
            (angle, float(fit.calculated[np.abs(x - angle) < 0.2].max()) + 0.015 * room),
            ha="center",
            va="bottom",
            fontsize=5.5,
            color=INK,
        )


def _index(found: Reflections, k: int) -> str:
    """Indices of a reflection, with a bar over negative ones."""
    words = [rf"\bar{{{-n}}}" if n < 0 else str(n) for n in found.hkl[k]]
    apart = r"\," if any(abs(n) > 9 for n in found.hkl[k]) else ""
    return f"${apart.join(words)}$"


def _extra_marks(ax: Axes, fit: CellFit, extra: Sequence[ExtraLine], room: float) -> None:
    """Arrows at lines that the phase does not explain."""
    if not extra:
        return
    x, y = fit.pattern.two_theta, fit.pattern.intensity
    places = np.array([one.two_theta for one in extra])
    ax.plot(
        places,
        np.interp(places, x, y) + 0.045 * room,
        *("v",),
        color=_EXTRA,
        ms=3.2,
        mew=0,
        label="not of the phase",
    )


def _difference(ax: Axes, fit: CellFit, extra: Sequence[ExtraLine]) -> None:
    """Measured less fitted, in standard deviations."""
    used = np.isfinite(fit.pattern.sd)
    x, z = fit.pattern.two_theta, np.zeros(len(used))
    z[used] = fit.residual[used] / fit.pattern.sd[used]
    ax.axhspan(-3, 3, color="0.93", lw=0)
    ax.plot(x[used], z[used], color=_RESIDUAL, lw=0.5)
    for one in extra:
        ax.axvline(one.two_theta, color=_EXTRA, lw=0.5, ls=(0, (2, 2)), zorder=0)
    limit = max(5.0, float(np.abs(z).max()) * 1.08)
    ax.set(ylim=(-limit, limit), ylabel="difference (sd)")
    ax.set_title("Data less fit (band: ± 3 sd)")


def _structure(ax: Axes, fit: CellFit, calculated: np.ndarray) -> None:
    """What the structure should give, over what was measured."""
    x = fit.pattern.two_theta
    ax.plot(x, fit.pattern.intensity, ".", color=_MEASURED, ms=_dots(x), mew=0, label="data")
    ax.plot(x, calculated, color=CATEGORIES[3], lw=0.8, label="calculated from the structure")
    ax.set(ylabel=_quantity(fit.pattern))
    ax.set_title("Intensities as the structure makes them: texture and other phases show here")
    ax.legend(loc="upper right", ncols=2, borderaxespad=0.0)


def _dots(x: np.ndarray) -> float:
    """Size of the points, which should neither merge nor vanish."""
    return 1.8 if len(x) > 1500 else 2.8


def _quantity(pattern: Pattern) -> str:
    """Label of the intensities."""
    return "counts" if pattern.sd_from == "counts" else "intensity"


@styled
def patterns_figure(
    patterns: Sequence[Pattern],
    labels: Sequence[str] | None = None,
    *,
    fits: Sequence[CellFit] | None = None,
    limits: tuple[float, float] | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """Patterns above one another, each scaled to its highest point.

    Parameters
    ----------
    patterns : sequence of Pattern
        From below upwards.
    labels : sequence of str, optional
        At their right ends; default: their sources.
    fits : sequence of CellFit, optional
        Reflections are marked beneath each pattern.
    limits : pair of float, optional
        Angles that are shown.
    title, note : str
        Above, and at the foot; patterns that are synthetic say so by themselves.
    """
    figure = Figure(figsize=(DOUBLE * 0.62, 1.0 + 0.62 * len(patterns)), layout="constrained")
    draw_patterns(figure.subplots(), patterns, labels, fits=fits, limits=limits, title=title)
    made_up = any("SYNTHETIC" in one.source for one in patterns)
    footnote(figure, note or (NOT_MEASURED if made_up else ""))
    return figure


def draw_patterns(
    ax: Axes,
    patterns: Sequence[Pattern],
    labels: Sequence[str] | None = None,
    *,
    fits: Sequence[CellFit] | None = None,
    limits: tuple[float, float] | None = None,
    title: str = "",
) -> None:
    """Draw patterns above one another into an axis, as `patterns_figure` does."""
    names = [pretty(one) for one in (labels or [pattern.source for pattern in patterns])]
    low, high = limits or (
        max(pattern.two_theta[0] for pattern in patterns),
        min(pattern.two_theta[-1] for pattern in patterns),
    )
    for k, (pattern, name) in enumerate(zip(patterns, names, strict=True)):
        part = pattern.between(low, high)
        ground, top = np.percentile(part.intensity, 5), part.intensity.max()
        colour = CATEGORIES[k % len(CATEGORIES)]
        ax.plot(
            part.two_theta,
            0.86 * (part.intensity - ground) / (top - ground) + k,
            color=colour,
            lw=0.7,
        )
        ax.text(
            *(high - 0.01 * (high - low), k + 0.34, name),
            color=colour,
            ha="right",
            va="bottom",
            fontsize=6.5,
        )
        if fits is not None:
            angles = fits[k].angles
            inside = angles[(angles > low) & (angles < high)]
            ax.vlines(inside, k - 0.10, k - 0.045, color=colour, lw=0.4)
    ax.set(xlim=(low, high), ylim=(-0.15, len(patterns) + 0.02), yticks=[], xlabel=ANGLE)
    ax.set(ylabel="intensity (each to its highest)", title=title)
