"""Figure of a linear combination fit, alone or with its runners-up."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chemoscape.decompose.combinations.ranking import CLOSE_IN_BIC, RankedFits
from chemoscape.decompose.combinations.result import LinearCombinationFit
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    INK,
    PHOTON_ENERGY,
    footnote,
    letters,
    styled,
)
from chemoscape.report.words import elided, measured, number, pretty, synthetic_note, width_of

#: Candidates listed beside a ranked fit.
MOST_LISTED = 8
MOST_COLUMNS = 8
#: Type sizes of the legend, the statistics and the table, points.
LEGEND, STATISTICS, SMALL = 6.5, 6.5, 6.0
#: Heights of a line of legend, of statistics and of the table, inches.
LEGEND_LINE, LINE, ROW = 10.2 / 72, 10.8 / 72, 0.155
#: Width of the column with legend and table, of a legend's line sample, longest heading, inches.
BESIDE, SAMPLE, HEADING = DOUBLE / 2.5 - 0.16, 0.22, 0.95


@styled
def lcf_figure(
    fit: LinearCombinationFit | RankedFits, *, title: str = "", note: str | None = None
) -> Figure:
    """Spectrum, fit, each standard's part and the baseline; residual; statistics; runners-up.

    Parameters
    ----------
    fit : LinearCombinationFit or RankedFits
        Of a ranking the best fit is drawn, and the first candidates are listed beside it.
    title : str
        What was fitted, above the spectrum.
    note : str, optional
        Line at the foot; default: whether the standards are synthetic.
    """
    ranked = fit if isinstance(fit, RankedFits) else None
    best = fit.best if isinstance(fit, RankedFits) else fit
    n_lines = 2 + len(best.labels) + (best.baseline_kind != "none")
    words = _words(best)
    tall = [(n_lines + 0.6) * LEGEND_LINE + len(words) * LINE]
    if ranked:
        tall.append(_table_height(ranked))
    height = sum(tall) + 0.35 * len(tall) + 0.25  # titles and the note
    figure = Figure(figsize=(DOUBLE, max(4.6 if ranked else 3.6, height)), layout="constrained")
    left, right = np.asarray(figure.subfigures(1, 2, width_ratios=(1.5, 1))).tolist()
    above, below = left.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _spectra(above, best, title or "Spectrum and fit")
    _residual(below, best)
    beside = right.subplots(len(tall), 1, height_ratios=tall, squeeze=False)[:, 0]
    _statistics(beside[0], best, above, words)
    if ranked:
        _candidates(beside[1], ranked)
    letters((above, below, *beside))
    labels = [label for one in (ranked.fits if ranked else [best]) for label in one.labels]
    footnote(figure, synthetic_note(labels) if note is None else note)
    return figure


def _spectra(ax: Axes, fit: LinearCombinationFit, title: str) -> None:
    """Data, fit and parts."""
    energy = fit.energy
    ax.plot(energy, fit.data, "o", color="0.55", markersize=2.2, mew=0, label="data")
    ax.plot(energy, fit.model, color=INK, label="fit")
    styles = ("solid", (0, (5, 1.5)), (0, (1.5, 1)))  # where there are more lines than colours
    for k, (label, part) in enumerate(zip(fit.labels, fit.parts, strict=True)):
        style = styles[k // 7 % len(styles)]
        ax.plot(
            *(energy, part), color=CATEGORIES[k % 7], lw=0.9, linestyle=style, label=pretty(label)
        )
    if fit.baseline_kind != "none":
        ax.plot(
            energy,
            fit.background,
            color="0.6",
            linestyle="dotted",
            label="constant" if fit.baseline_kind == "constant" else "baseline",
        )
    ax.set(ylabel="optical density" if fit.units else "absorption", title=title)
    ax.set_xlim(energy[0], energy[-1])


def _residual(ax: Axes, fit: LinearCombinationFit) -> None:
    """Data less fit, on a band of one standard deviation where that is known."""
    ax.axhline(0, color="0.75", linewidth=0.6)
    band = ""
    if fit.sd is not None:
        ax.fill_between(fit.energy, -fit.sd, fit.sd, color="0.88", linewidth=0)
        band = " (band: ± 1 sd)"
    ax.plot(fit.energy, fit.residual, color=CATEGORIES[5], linewidth=0.8)
    rms = float(np.sqrt(np.mean(fit.residual**2)))
    ax.set(xlabel=PHOTON_ENERGY, title=f"Data less fit, rms {rms:.2g}{band}")


def _words(fit: LinearCombinationFit) -> tuple[str, ...]:
    """Lines of the statistics. Without errors of the data chi2 is no chi2, and not called so."""
    shift = (
        measured(fit.energy_shift_eV, fit.energy_shift_sd_eV) + " eV"
        if fit.energy_shift_sd_eV
        else number(fit.energy_shift_eV, "+.3f") + " eV, held"
    )
    if fit.sd is None:
        quality: tuple[str, ...] = (
            f"R = {fit.r_factor:.2e},  sum of squares = {fit.chi2:.4g}",
            f"mean square residual = {fit.reduced_chi2:.3g} (no errors given)",
        )
    else:
        quality = (
            f"R = {fit.r_factor:.2e},  χ² = {fit.chi2:.4g},  reduced χ² = {fit.reduced_chi2:.3g}",
        )
    return (
        f"{pretty(fit.variable)} = {measured(fit.composition, fit.composition_sd)}",
        f"sum of weights = {_total(fit)}",
        f"energy shift {shift}",
        *quality,
        f"{fit.n_points} points ({fit.n_effective:.0f} effective), {fit.n_varied} varied",
        f"AIC = {number(fit.aic, '.1f')},  BIC = {number(fit.bic, '.1f')}",
    )


def _total(fit: LinearCombinationFit) -> str:
    """Sum of the weights ± sd, ``sd² = 1ᵀC1``, with a power of ten where it is far from 1."""
    total, sd = float(fit.weights.sum()), float(np.sqrt(max(fit.covariance.sum(), 0.0)))
    power = int(np.floor(np.log10(total))) if 0 < total < np.inf else 0
    units = fit.units.replace("cm2", "cm²")
    if -2 <= power < 4:
        return f"{measured(total, sd)} {units}".strip()
    scaled = measured(total / 10.0**power, sd / 10.0**power)
    return rf"({scaled}) × 10$^{{{power}}}$ {units}".strip()


def _statistics(ax: Axes, fit: LinearCombinationFit, drawn: Axes, words: tuple[str, ...]) -> None:
    """The lines' names with weights, then how well they fit."""
    ax.axis("off")
    ax.set_title("Fit")
    handles, labels = drawn.get_legend_handles_labels()
    for row, (weight, sd, bound) in enumerate(
        zip(fit.shares, fit.weight_sd / (fit.weights.sum() or 1.0), fit.at_bound, strict=True)
    ):
        share = "0" if bound else f"{measured(100 * weight, 100 * sd)} %"
        room = BESIDE - SAMPLE - width_of(f", {share}", LEGEND)
        labels[2 + row] = f"{elided(fit.labels[row], room)}, {share}"
    if fit.baseline_kind != "none":
        labels[-1] += f", {measured(fit.baseline, fit.baseline_sd)}"
    legend = ax.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0, 1), borderaxespad=0, borderpad=0
    )
    legend.set_in_layout(False)
    below = -72 * LEGEND_LINE * (len(labels) + 0.6)  # points: below the legend's lines
    ax.annotate(
        "\n".join(words),
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, below),
        textcoords="offset points",
        va="top",
        fontsize=STATISTICS,
        linespacing=1.4,
    )


def _columns(ranked: RankedFits) -> tuple[dict[str, str], int]:
    """Heading of each standard's column, in the order of the library, and how many were cut."""
    fits = ranked.fits[:MOST_LISTED]
    labels = {k: v for fit in fits for k, v in zip(fit.standards, fit.labels, strict=True)}
    # a long list is cut to those of the best candidates; the note says what is synthetic
    names = sorted(list(labels)[:MOST_COLUMNS], key=ranked.candidates.index)
    heads = {n: elided(labels[n].replace(" (synthetic)", ""), HEADING, size=SMALL) for n in names}
    return heads, len(labels) - len(names)


def _head(ranked: RankedFits) -> float:
    """Height of the longest upright heading, inches."""
    variable = elided(ranked.best.variable, HEADING, size=SMALL)
    return max(width_of(head, SMALL) for head in (*_columns(ranked)[0].values(), variable))


def _rows(ranked: RankedFits) -> int:
    """Lines that the table has room for."""
    return max(len(ranked.fits[:MOST_LISTED]), 5)


def _table_height(ranked: RankedFits) -> float:
    """Height of the table with its headings, inches."""
    return _head(ranked) + (_rows(ranked) + 0.6) * ROW


def _candidates(ax: Axes, ranked: RankedFits) -> None:
    """Table of the first candidates: share of each standard (%), composition, ΔBIC; those within 6
    shaded.
    """
    fits, delta = ranked.fits[:MOST_LISTED], ranked.delta_bic[:MOST_LISTED]
    names, left_out = _columns(ranked)
    at = {name: column for column, name in enumerate(names)}
    wide = max(1.0, len(names) / 5)  # the last columns keep their width in inches
    of_x, of_bic = len(names) - 0.4 + 1.3 * wide, len(names) - 0.4 + 3.1 * wide
    right = of_bic + 0.6 * wide
    small: Any = {"fontsize": SMALL, "ha": "center", "va": "center"}
    for name, column in at.items():
        ax.text(column, -0.8, names[name], fontsize=SMALL, rotation=90, ha="center", va="bottom")
    variable = elided(ranked.best.variable, HEADING, size=SMALL)
    ax.text(of_x, -0.8, variable, fontsize=SMALL, rotation=90, ha="center", va="bottom")
    ax.text(of_bic, -0.8, "ΔBIC", fontsize=SMALL, ha="center", va="bottom")
    ax.plot([-0.5, right], [-0.6, -0.6], color=INK, linewidth=0.5)
    for row, (fit, distance) in enumerate(zip(fits, delta, strict=True)):
        close = distance < CLOSE_IN_BIC
        ink = INK if close else "0.5"
        if close:
            ax.fill_between([-0.5, right], row - 0.5, row + 0.5, color="0.93", linewidth=0)
        for share, name in zip(fit.shares, fit.standards, strict=True):
            if name in at:
                weight = "bold" if share >= 0.5 else "normal"
                ax.text(at[name], row, f"{100 * share:.0f}", color=ink, weight=weight, **small)
        ax.text(of_x, row, measured(fit.composition, fit.composition_sd), color=ink, **small)
        ax.text(of_bic, row, f"{distance:.1f}", color=ink, **small)
    head = 0.9 + _head(ranked) / ROW  # lines that upright names take
    ax.set(xlim=(-0.5, right), ylim=(_rows(ranked) - 0.4, -head))
    ax.axis("off")
    question = ", ambiguous" if ranked.ambiguous else ""
    several = "s take" if left_out > 1 else " takes"
    cut = f"\n{left_out} more standard{several} part" if left_out else ""
    n = ranked.n_combinations
    title = f"{n} combination{'s' * (n != 1)} (%; shaded: ΔBIC < 6){question}{cut}"
    ax.set_title(title)
