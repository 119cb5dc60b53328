"""Figures of the structures of a library: what changes with composition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chemoscape.crystals.rows import StructureRow, StructureSeries
from chemoscape.report.panels import CATEGORIES, DOUBLE, footnote, letters, styled
from chemoscape.report.words import elided, pretty

NOT_MEASURED = "SYNTHETIC structures: illustrative, not measured"
_MARKS = ("o", "s", "^", "D", "v", "P")


@styled
def series_figure(series: StructureSeries, *, title: str = "") -> Figure:
    """a, b, c and volume, eigenstrain, angles and distances of layers, against composition.

    Rows whose axes cannot be compared are drawn hollow where they can be drawn at all: their
    volume, angles and distances.
    """
    figure = Figure(figsize=(DOUBLE, 4.3), layout="constrained")
    axes = figure.subplots(2, 4).ravel()
    for k in range(3):
        draw_axis(axes[k], series, k)
    _per_row(
        *(axes[3], series, [(row.volume_per_unit, _unit_sd(row)) for row in series.rows]),
        title="Volume per formula",
        ylabel="Å³",
    )
    draw_strain(axes[4], series)
    for ax, name, words in (
        (axes[5], "canting", "Canting of the tips"),
        (axes[6], "puckering", "Puckering of the layers"),
    ):
        values = [(getattr(r.layers, name) if r.layers else np.nan, np.nan) for r in series.rows]
        _per_row(ax, series, values, title=words, ylabel="degrees")
    draw_bonds(axes[7], series)
    for ax in axes:
        ax.set_xlabel(pretty(series.variable))
    letters(axes)
    if title:
        figure.suptitle(title, fontsize=8, x=0.01, ha="left")
    left_out = [row for row in series.rows if row.reason]
    notes = [NOT_MEASURED] if series.synthetic else []
    if left_out:
        # what a row is, and why it is not joined with the others
        notes += [f"hollow: {'; '.join(f'{row.id}: {row.reason}' for row in left_out)}"]
    footnote(figure, ". ".join(notes))
    return figure


def _unit_sd(row: StructureRow) -> float:
    return float(row.volume_sd / row.z)


def draw_axis(ax: Axes, series: StructureSeries, k: int) -> None:
    """One length of the cell against composition; rows in another setting are left out."""
    values = [(np.nan if row.reason else row.lengths[k], row.lengths_sd[k]) for row in series.rows]
    name = "abc"[k]
    _per_row(ax, series, values, title=f"Length of $\\mathit{{{name}}}$", ylabel="Å")


def draw_strain(ax: Axes, series: StructureSeries) -> None:
    """Eigenstrain along a, b and c against composition."""
    rows = series.comparable
    for k, name in enumerate("abc"):
        found = [series.strain(row) for row in rows]
        strain, sd = (np.array([100 * one[j][k] for one in found]) for j in (0, 1))
        ax.errorbar(
            [row.value for row in rows],
            strain,
            yerr=np.where(np.isfinite(sd), sd, 0),
            color=CATEGORIES[(0, 5, 2)[k]],
            marker=_MARKS[k],
            lw=0.8,
            elinewidth=0.6,
            label=f"$\\mathit{{{name}}}$",
        )
    ax.axhline(0, color="0.75", lw=0.6, zorder=0)
    ax.legend(handlelength=1.2)
    ax.set(title=f"Strain from {elided(series.reference, 0.9)}", ylabel="per cent")


def draw_angles(ax: Axes, series: StructureSeries) -> None:
    """Canting and puckering against composition; hollow where axes cannot be compared."""
    rows = [row for row in series.rows if row.layers is not None]
    x = [row.value for row in rows]
    for name, colour, mark in (
        ("puckering", CATEGORIES[5], "s"),
        ("canting", CATEGORIES[0], "o"),
    ):
        y = [getattr(row.layers, name) for row in rows]
        ax.plot(x, y, color=colour, lw=0.6, alpha=0.5)
        for row, value in zip(rows, y, strict=True):
            face = "white" if row.reason else colour
            ax.plot([row.value], [value], mark, color=colour, mfc=face, ms=3.5)
        ax.plot([], [], mark, color=colour, ms=3.5, label=name)
    ax.legend()
    ax.set(title="Canting and puckering", ylabel="degrees")


def draw_bonds(ax: Axes, series: StructureSeries) -> None:
    """All six distances of the pyramids against composition, the sixth apart."""
    apical: list[float] = []
    basal: list[float] = []
    sixth: list[float] = []
    for row in series.rows:
        if row.layers is None:
            continue
        lengths = np.repeat(
            [bond.length for bond in row.layers.bonds],
            [bond.multiplicity for bond in row.layers.bonds],
        )
        order = np.sort(lengths)
        n = len(order) // 6  # sites that are not alike have six each
        for kept, part, colour in (
            (apical, order[:n], CATEGORIES[0]),
            (basal, order[n : 5 * n], "0.45"),
            (sixth, order[5 * n :], CATEGORIES[5]),
        ):
            kept += part.tolist()
            face = "white" if row.reason else colour
            ax.plot(np.full(len(part), row.value), part, "o", color=colour, mfc=face, ms=3, mew=0.8)
    low, high = ax.get_ylim()
    span = high - low
    middle = float(np.mean(ax.get_xlim()))
    for words, colour, where in (
        ("sixth distance", CATEGORIES[5], min(sixth, default=high) - 0.05 * span),
        ("basal", "0.45", max(basal, default=low) + 0.11 * span),
        ("apical", CATEGORIES[0], min(apical, default=low) - 0.04 * span),
    ):
        ax.text(middle, where, words, color=colour, ha="center", va="top", fontsize=6.5)
    ax.set(title="Distances", ylabel="Å", ylim=(low - 0.12 * span, high + 0.04 * span))


def _per_row(
    ax: Axes,
    series: StructureSeries,
    values: Sequence[tuple[float, float]],
    *,
    title: str,
    ylabel: str,
) -> None:
    """A value ± sd of each row; a colour and mark for each phase, hollow where not comparable."""
    phases = list(dict.fromkeys(row.phase for row in series.rows))
    x = np.array([row.value for row in series.rows])
    y = np.array([value for value, _ in values])
    joined = np.array([not row.reason for row in series.rows]) & np.isfinite(y)
    ax.plot(x[joined], y[joined], color="0.8", lw=0.8, zorder=0)
    for row, (value, sd) in zip(series.rows, values, strict=True):
        k = phases.index(row.phase)
        ax.errorbar(
            *([row.value], [value]),
            yerr=[sd] if np.isfinite(sd) else None,
            color=CATEGORIES[k % len(CATEGORIES)],
            marker=_MARKS[k % len(_MARKS)],
            mfc="white" if row.reason else None,
            ms=4,
            elinewidth=0.7,
            ls="none",
        )
    ax.set(title=title, ylabel=ylabel)
    ax.margins(0.12)
