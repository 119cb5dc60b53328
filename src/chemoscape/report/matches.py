"""Figures of spectra and what they were matched with: clusters (Figure S12), regions."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    INK,
    PHOTON_ENERGY,
    aspect_of,
    category_map,
    draw_map,
    footnote,
    letters,
    robust_limits,
    round_length,
    styled,
)
from chemoscape.report.words import elided, measured, pretty, width_of

#: Heights of a name beside the spectra and of a line under a composition, inches.
NAME, LINE = 0.125, 0.105
#: Widest name beside the spectra and line under a composition; tallest figure, inches.
MOST_NAME, MOST_WORDS, TALLEST = 1.1, 1.3, 8.5
#: Width of the compositions' panel at least, inches.
PANEL = 1.7
#: An sd of more than so many times the range of the values, and the usual sd, is not shown whole.
HUGE = 3.0


@styled
def clusters_figure(
    groups: xr.Dataset, table: xr.Dataset | None = None, *, note: str = ""
) -> Figure:
    """Label map, cluster spectra with their standard errors, and the composition assigned to each.

    Parameters
    ----------
    groups : Dataset of `cluster`
        Label -1 is drawn as outside.
    table : Dataset of `match`, optional
        Without it the third panel is left out.
    note : str
        Line at the foot.
    """
    n = groups.sizes["cluster"]
    aspect = aspect_of(groups)
    height = max(float(np.clip(2.0 * aspect + 0.5, 2.4, 4.5)), _height(n, table))
    figure = Figure(figsize=(DOUBLE, height), layout="constrained")
    widths = (1.1, 1.5, 1.0) if table is not None else (1.1, 1.5)
    axes = list(figure.subplots(1, len(widths), width_ratios=widths))
    label = groups["label"]
    image = label.where(label >= 0).astype(float)
    draw_map(
        axes[0],
        image,
        title="Clusters",
        cmap=category_map(n),
        limits=(-0.5, n - 0.5),
        colourbar=False,
    )

    _spectra(axes[1], groups, table)
    if table is not None:
        _assignments(axes[2], table)
    letters(axes)
    footnote(figure, note)
    return figure


@styled
def regions_figure(table: xr.Dataset, *, note: str = "") -> Figure:
    """Mean spectra of regions with their fits, and the composition that each was matched with.

    Parameters
    ----------
    table : Dataset, the node ``/regions`` of the results
        What `match` returns, with the spectra.
    note : str
        Line at the foot.
    """
    height = max(2.8, _height(len(table["composition"]), table))
    figure = Figure(figsize=(DOUBLE, height), layout="constrained")
    axes = list(figure.subplots(1, 2, width_ratios=(1.6, 1.0)))
    _spectra(axes[0], table, table)
    _assignments(axes[1], table)
    letters(axes)
    footnote(figure, note)
    return figure


def _height(n: int, table: xr.Dataset | None) -> float:
    """Height of a figure whose rows of names, and of compositions, do not overlap, inches."""
    lines = max(map(len, _assigned(table))) if table is not None else 0
    return float(min((n + 0.4) * max(NAME, lines * LINE + 0.14) + 0.75, TALLEST))


def _spectra(ax: Axes, groups: xr.Dataset, table: xr.Dataset | None) -> None:
    """Spectra above each other with their standard errors and names, and their fits dashed.

    Each stands clear of the next by its own range, all at one scale, which a bar shows.
    """
    dim = next(str(name) for name in groups["spectrum"].dims if name != "energy")
    energy = groups["energy"].values
    spectra = groups["spectrum"].transpose(dim, "energy").values
    error = np.zeros_like(spectra)
    if "spectrum_se" in groups:
        error = np.nan_to_num(groups["spectrum_se"].transpose(dim, "energy").values)
    fitted = np.full_like(spectra, np.nan)
    has_fits = table is not None and "fitted" in table
    if table is not None and has_fits:
        fitted = table["fitted"].transpose(dim, "energy").values

    offset, span = _offsets(np.concatenate([spectra - error, spectra + error, fitted], axis=1))
    ends = []
    for k, base in enumerate(offset):
        colour, raised = CATEGORIES[k % len(CATEGORIES)], spectra[k] + base
        known = np.flatnonzero(np.isfinite(raised))
        ends.append(float(raised[known[-1]]) if known.size else float(base))
        if not known.size:
            continue
        if error[k].any():
            ax.fill_between(
                energy, raised - error[k], raised + error[k], color=colour, alpha=0.35, linewidth=0
            )
        ax.plot(energy, raised, color=colour, linewidth=0.9)
        if has_fits:
            ax.plot(energy, fitted[k] + base, color=INK, linewidth=0.6, linestyle=(0, (4, 2)))
    ax.set(xlim=(energy[0], energy[-1]), ylim=(-0.04 * span, 1.04 * span), yticks=[])
    ax.spines["left"].set_visible(False)
    bar = round_length(0.3 * span)
    ax.plot(
        *([-0.012] * 2, [0, bar]),
        transform=ax.get_yaxis_transform(),
        color=INK,
        linewidth=1.8,
        solid_capstyle="butt",
        clip_on=False,
    )
    dashes = ", dashed: match" if has_fits else ""
    ax.set(title=f"Spectra ± 1 standard error{dashes}", xlabel=PHOTON_ENERGY)
    ax.set_ylabel(f"optical density (offset; bar: {bar:g})", labelpad=6)

    high = ax.get_figure(root=True).get_figheight() - 0.75  # type: ignore[union-attr]
    low, top = ax.get_ylim()
    places = _apart((np.array(ends) - low) / (top - low), NAME / high)
    for k, place in enumerate(places):
        name = elided(str(groups[dim].values[k]), MOST_NAME, size=7)
        if not np.isfinite(spectra[k]).any():
            name += " (empty)"
        ax.annotate(
            name,
            (1, place),
            xycoords="axes fraction",
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=CATEGORIES[k % len(CATEGORIES)],
        )


def _offsets(rows: np.ndarray) -> tuple[np.ndarray, float]:
    """What to add to each row so that it stands on the next with a gap, the last on 0; the height.

    A row without values takes no height but its gap.
    """
    known = np.isfinite(rows)
    low = np.where(known, rows, np.inf).min(axis=1)
    high = np.where(known, rows, -np.inf).max(axis=1)
    low, high = (np.where(known.any(axis=1), edge, 0.0) for edge in (low, high))
    gap = 0.05 * float((high - low).sum()) or 1.0
    above = np.cumsum((high - low + gap)[::-1])[::-1]  # from the foot of each to the top of all
    foot = above - (high - low + gap)
    return foot - low, float(above[0] - gap) or 1.0


def _apart(places: np.ndarray, least: float) -> np.ndarray:
    """Places, descending, moved so that neighbours are `least` apart and none is above 1."""
    places = places.copy()
    for k in range(len(places) - 2, -1, -1):
        places[k] = max(places[k], places[k + 1] + least)
    places[:1] = np.minimum(places[:1], 1.0)
    for k in range(1, len(places)):
        places[k] = min(places[k], places[k - 1] - least)
    return places


def _assigned(table: xr.Dataset) -> list[list[str]]:
    """Lines about each row: its composition, then the standards of its match."""
    rows = []
    for k, (x, sd) in enumerate(
        zip(table["composition"].values, table["composition_sd"].values, strict=True)
    ):
        if not np.isfinite(x):
            rows.append(["no match"])
            continue
        members = str(table["candidate"].values[k, 0]).split(" + ") if "candidate" in table else []
        rows.append(
            [measured(x, sd), *(f"+ {one}"[2 * (at == 0) :] for at, one in enumerate(members))]
        )
    if sum(len(rows) * [max(map(len, rows)) * LINE + 0.14]) > TALLEST - 0.75:  # all on one line
        rows = [[row[0], *([" ".join(row[1:])] if row[1:] else [])] for row in rows]
    return rows


def _limits(value: np.ndarray, sd: np.ndarray) -> tuple[float, float]:
    """Ends of the axis: every value ± sd, less those bars that would hide all differences."""
    spread = np.where(np.isfinite(sd), sd, 0.0)
    low, high = robust_limits(value, share=0)
    given = np.sort(sd[np.isfinite(sd) & np.isfinite(value)])
    usual = float(given[(given.size - 1) // 2]) if given.size else 0.0
    shown = np.isfinite(value) & (spread <= HUGE * max(high - low, usual))
    low, high = robust_limits(low, high, (value - spread)[shown], (value + spread)[shown], share=0)
    pad = 0.1 * (high - low)
    return low - pad, high + pad


def _assignments(ax: Axes, table: xr.Dataset) -> None:
    """Composition ± sd of each cluster; hollow where another assignment is about as good."""
    value, sd = (table[name].values.astype(float) for name in ("composition", "composition_sd"))
    open_question = table["ambiguous"].values.astype(bool) & np.isfinite(value)
    low, high = _limits(value, sd)
    for k, lines in enumerate(_assigned(table)):
        x, error = value[k], sd[k] if np.isfinite(sd[k]) else 0.0
        colour = CATEGORIES[k % len(CATEGORIES)]
        if np.isfinite(x):
            face = "white" if open_question[k] else colour
            ax.errorbar(x, k, xerr=error, fmt="o", color=colour, mfc=face, capsize=2, markersize=4)
        for beyond, edge, arrow in ((x - error < low, low, "<"), (x + error > high, high, ">")):
            if beyond:  # the bar goes on
                ax.plot(edge, k, arrow, color=colour, markersize=4, clip_on=False)
        # words stay within the panel, beneath their point where that has room
        lines = [lines[0], *(elided(line, MOST_WORDS, size=6) for line in lines[1:])]
        half = max(width_of(line, 6) for line in lines) / 2 / PANEL
        along = float(np.clip((x - low) / (high - low), half, 1 - half)) if np.isfinite(x) else 0.5
        ax.annotate(
            "\n".join(lines),
            (along, k),
            xycoords=("axes fraction", "data"),
            xytext=(0, -6 if np.isfinite(x) else 0),
            textcoords="offset points",
            va="top" if np.isfinite(x) else "center",
            ha="center",
            fontsize=6,
            color=INK if np.isfinite(x) else colour,
            annotation_clip=False,
        )
    variable = pretty(str(table.attrs.get("variable", "composition")))
    ax.set(title="Assigned composition", xlabel=variable, ylim=(value.size - 0.2, -0.6), yticks=[])
    ax.set_xlim(low, high)
    if not np.isfinite(value).any():
        ax.set_xticks([])
    ax.spines["left"].set_visible(False)
    if open_question.any():
        ax.set_title("Composition (hollow: ambiguous)")
