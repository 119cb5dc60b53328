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
    styled,
)
from chemoscape.report.words import measured, pretty


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
    height = float(np.clip(2.0 * aspect + 0.5, 2.4, 4.5))
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
    figure = Figure(figsize=(DOUBLE, 2.8), layout="constrained")
    axes = list(figure.subplots(1, 2, width_ratios=(1.6, 1.0)))
    _spectra(axes[0], table, table)
    _assignments(axes[1], table)
    letters(axes)
    footnote(figure, note)
    return figure


def _spectra(ax: Axes, groups: xr.Dataset, table: xr.Dataset | None) -> None:
    """Spectra above each other with their standard errors and names, and their fits dashed."""
    dim = next(str(name) for name in groups["spectrum"].dims if name != "energy")
    energy = groups["energy"].values
    spectra = groups["spectrum"].transpose(dim, "energy").values
    n = len(spectra)
    step = 0.45 * float(np.nanmax(spectra) - np.nanmin(spectra))
    for k in range(n):
        colour, raised = CATEGORIES[k % len(CATEGORIES)], spectra[k] + (n - 1 - k) * step
        if "spectrum_se" in groups:
            error = groups["spectrum_se"].transpose(dim, "energy").values[k]
            ax.fill_between(
                energy, raised - error, raised + error, color=colour, alpha=0.35, linewidth=0
            )
        ax.plot(energy, raised, color=colour, linewidth=0.9)
        ax.annotate(
            str(groups[dim].values[k]),
            (1, raised[-1]),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
        if table is not None and "fitted" in table:
            fitted = table["fitted"].values[k] + (n - 1 - k) * step
            ax.plot(energy, fitted, color=INK, linewidth=0.6, linestyle=(0, (4, 2)))
    dashes = ", dashed: match" if table is not None and "fitted" in table else ""
    ax.set(title=f"Spectra ± 1 standard error{dashes}", xlabel=PHOTON_ENERGY)
    ax.set(xlim=(energy[0], energy[-1]), ylabel=f"optical density (offset by {step:.2g})")


def _assignments(ax: Axes, table: xr.Dataset) -> None:
    """Composition ± sd of each cluster; hollow where another assignment is about as good."""
    value, sd = table["composition"].values, table["composition_sd"].values
    open_question = table["ambiguous"].values.astype(bool)
    for k, (x, error) in enumerate(zip(value, sd, strict=True)):
        colour = CATEGORIES[k % len(CATEGORIES)]
        face = "white" if open_question[k] else colour
        ax.errorbar(x, k, xerr=error, fmt="o", color=colour, mfc=face, capsize=2, markersize=4)
        words = measured(x, error)
        if "candidate" in table:
            words += "\n" + pretty(str(table["candidate"].values[k, 0])).replace(" + ", "\n+ ")
        ax.annotate(
            words,
            (x, k),
            xytext=(0, -6),
            textcoords="offset points",
            va="top",
            ha="center",
            fontsize=6,
            annotation_clip=False,
        )
    variable = pretty(str(table.attrs.get("variable", "composition")))
    ax.set(title="Assigned composition", xlabel=variable, ylim=(value.size - 0.2, -0.6), yticks=[])
    low, high = robust_limits(value, share=0)
    pad = 0.35 * (high - low)
    ax.set_xlim(low - pad, high + pad)
    ax.spines["left"].set_visible(False)
    if open_question.any():
        ax.set_title("Composition (hollow: ambiguous)")
