"""Figures of standards: what a library or a file holds, and how well its spectra are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from chemoscape.curation.separability import INSEPARABLE, Separability
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    ERROR,
    INK,
    PHOTON_ENERGY,
    footnote,
    letters,
    round_length,
    styled,
)
from chemoscape.report.words import elided, synthetic_note, width_of
from chemoscape.standards.library import Library, Standard

#: More spectra than this are drawn in a panel each.
MOST_TOGETHER = 8
COLUMNS = 4
#: Height of a spectrum among others and of a small panel, inches.
STEP, SMALL = 0.55, 1.25
#: Widest name beside a spectrum, inches.
MOST_NAME = 1.9
#: Pairs are numbered up to so many standards; lines are dashed where there are more than colours.
MOST_NUMBERS = 12
LINES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.5, 1)))


@styled
def standards_figure(standards: Sequence[Standard], *, title: str = "") -> Figure:
    """Spectra of standards: up to eight above one another with their names, more in a panel each.

    Parameters
    ----------
    standards : sequence of Standard
        A library's, or those of a file.
    title : str
        Above the spectra.
    """
    low, high = max(one.energy[0] for one in standards), min(one.energy[-1] for one in standards)
    few = len(standards) <= MOST_TOGETHER and low < high  # of different edges: apart
    figure = _stacked(standards, title) if few else _apart(standards, title)
    footnote(figure, synthetic_note(standard.label for standard in standards))
    return figure


def _stacked(standards: Sequence[Standard], title: str) -> Figure:
    """All in one panel, each raised by a step, with its name at its right end."""
    heights = [float(np.ptp(one.spectrum)) for one in standards]
    step = 0.75 * float(np.median(heights))
    names = [elided(_name(one), MOST_NAME) for one in standards]
    beside = max(width_of(name, 6.5) for name in names) + 0.15
    height = 1.3 + STEP * len(standards)
    figure = Figure(figsize=(DOUBLE * 0.62 + beside, max(2.4, height)), layout="constrained")
    ax = figure.subplots()
    for k, (one, name) in enumerate(zip(standards, names, strict=True)):
        colour = CATEGORIES[k % len(CATEGORIES)]
        raised = one.spectrum
        if len(standards) > 1:
            raised = raised - raised[0] + k * step
        _with_band(ax, one, raised, colour)
        ax.annotate(
            name,
            (1.0, raised[-1]),
            xycoords=ax.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=6.5,
            annotation_clip=False,
        )
    ends = [(one.energy[0], one.energy[-1]) for one in standards]
    ax.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))
    ax.set(xlabel=PHOTON_ENERGY, title=title, ylabel=_quantity(standards[0]))
    if len(standards) > 1:
        ax.set_yticks([])
        _bar(ax, standards[0], step)
    return figure


def _bar(ax: Axes, one: Standard, step: float) -> None:
    """A bar of round length in the units of the spectra, which are raised and share no zero."""
    length = round_length(step)
    units = "cm²/g" if one.scale == "mass_absorption" else ""
    where: Any = {"transform": ax.get_yaxis_transform(), "clip_on": False}
    ax.plot([0.02, 0.02], [0.35 * step, 0.35 * step + length], color=INK, linewidth=1.8, **where)
    ax.text(
        0.035, 0.35 * step + length / 2, f"{length:g} {units}", va="center", fontsize=6.5, **where
    )


def _apart(standards: Sequence[Standard], title: str) -> Figure:
    """A small panel for each."""
    rows = -(-len(standards) // COLUMNS)
    figure = Figure(figsize=(DOUBLE, 0.35 + SMALL * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False)
    for ax, one in zip(axes.flat, standards, strict=False):
        _with_band(ax, one, one.spectrum, CATEGORIES[0])
        ax.set_title(elided(_name(one), DOUBLE / COLUMNS - 0.45), fontsize=6.5)
        ax.set_xlim(one.energy[0], one.energy[-1])
        ax.locator_params(nbins=4)
    for ax in axes.flat[len(standards) :]:
        ax.axis("off")
    figure.supxlabel(PHOTON_ENERGY, fontsize=7)
    figure.supylabel(_quantity(standards[0]), fontsize=7)
    if title:
        figure.suptitle(title, fontsize=7, x=0.01, ha="left")
    return figure


def _with_band(ax: Axes, one: Standard, values: np.ndarray, colour: str) -> None:
    """A spectrum on the band of its standard deviation."""
    ax.plot(one.energy, values, color=colour, linewidth=0.9)
    if one.spectrum_sd is not None:
        spread = one.spectrum_sd
        ax.fill_between(
            one.energy, values - spread, values + spread, color=colour, alpha=0.25, linewidth=0
        )


@styled
def comparison_figure(library: Library, found: Separability) -> Figure:
    """Standards laid over one another, and how well each pair is told apart in noise.

    Parameters
    ----------
    library : Library
        Those of `found`, in its order.
    found : Separability
    """
    n = len(library.names)
    names = [elided(_name(one), 1.5) for one in library.standards]
    lines = -(-n // 2) if n <= 2 * MOST_TOGETHER else 0
    figure = Figure(figsize=(DOUBLE, max(2.9 + 0.14 * lines, 1.2 + 0.2 * n)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    at = found.energy
    for k, (one, name) in enumerate(zip(library.standards, names, strict=True)):
        values = np.interp(at, one.energy, one.spectrum)
        if not library.mass_scale:  # of films as thick as they happened to be
            values = (values - values.min()) / np.ptp(values)
        style = LINES[k // len(CATEGORIES) % len(LINES)]
        left.plot(at, values, color=CATEGORIES[k % len(CATEGORIES)], linestyle=style, label=name)
    quantity = _quantity(library.standards[0])
    left.set(
        xlabel=PHOTON_ENERGY,
        ylabel=quantity if library.mass_scale else f"{quantity}, from 0 to 1",
        title="Standards",
        xlim=(at[0], at[-1]),
    )
    if lines:
        left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    _pairs(right, found, names)
    letters((left, right))
    footnote(figure, synthetic_note(map(_name, library.standards)))
    return figure


def _pairs(ax: Axes, found: Separability, names: Sequence[str]) -> None:
    """Table of pairs, and of each among all, coloured by the error of a fraction; what cannot be
    told apart is crossed.
    """
    n = len(names)
    pairs = np.where(np.tri(n, k=-1, dtype=bool), found.pair_sd, np.nan)
    apart = np.full((n, 1), np.nan)  # an empty column before that of all
    shown = np.hstack([pairs[:, : n - 1], apart, found.others_sd[:, None]])
    ax.imshow(shown, cmap=ERROR, norm=LogNorm(0.003, INSEPARABLE), aspect="equal")
    for (i, j), sd in np.ndenumerate(shown):
        if n > MOST_NUMBERS or np.isnan(sd):
            continue
        text = "×" if sd > INSEPARABLE else f"{100 * sd:.2g}"
        dark = sd < 0.03  # of the colour map: white on dark, ink on light
        ax.text(j, i, text, ha="center", va="center", fontsize=6, color="w" if dark else INK)
    ax.set_xticks([*range(n - 1), n], [*(str(k + 1) for k in range(n - 1)), "all"])
    ax.set_yticks(range(n), [f"{name}  {k + 1}" for k, name in enumerate(names)])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(
        f"± % of a fraction at {100 * found.noise:.3g} % noise\n(pairs; all free; × not told apart)"
    )


def _name(one: Standard) -> str:
    """Label, with a word where the spectrum was not measured and its label does not say so."""
    if one.kind == "measured" or one.kind in one.label.lower():
        return one.label
    return f"{one.label} ({one.kind})"


def _quantity(one: Standard) -> str:
    """Label of the axis."""
    if one.scale == "mass_absorption":
        return "mass absorption (cm²/g)"
    loss = "energy loss" in one.record.measurement.mode
    return "intensity (energy loss)" if loss else "optical density"
