"""Figures of a series: numbers against time, maps and spectra at several times."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chemoscape.electrochemistry.beside import diagram_of
from chemoscape.report.cycling import beside_figure
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    INK,
    PHOTON_ENERGY,
    footnote,
    letters,
    styled,
)
from chemoscape.report.series_maps import MOST_MAPS, maps_figure, rows_of_maps, time_in_words
from chemoscape.report.words import measured, number, pretty, synthetic_note, with_units

_MARKS = "os^Dv<>p"

SERIES_CAPTIONS: dict[str, tuple[str, str]] = {
    "evolution": (
        "Evolution",
        "Mean composition by mass, with its total standard deviation (thin) and that part of it "
        "which the stacks do not have in common (thick): errors of the standards move all points "
        "together. Mass fractions of the standards, shares of the common clusters, von Mises "
        "stress (filled: 99th percentile, open: mean). Only pixels that are sample at all times "
        "count.",
    ),
    "maps": (
        "Maps at several times",
        "Composition on one scale, its change since the first stack, the common clusters, and von "
        "Mises stress, where the recipe asks for them. Pixels are those of the first stack, on "
        "which the others were registered.",
    ),
    "spectra": (
        "Spectra",
        "Mean optical density of the sample at each time, and its difference from that of the "
        "first stack: where nothing but an energy axis moved it looks like a derivative. Spectra "
        "of the common clusters.",
    ),
    "registration": (
        "Registration",
        "Shift that was applied to each stack, in pixels, and its energy shift against the "
        "standards.",
    ),
}


def series_figures(tree: xr.DataTree) -> dict[str, Figure]:
    """All figures of a series, by the names of `SERIES_CAPTIONS`.

    Parameters
    ----------
    tree : DataTree
        Results of a series: nodes with a dimension ``time``.
    """
    node = {one.path: one.to_dataset() for one in tree.subtree if one.data_vars}
    spectra = node["/spectra"]
    labels = spectra["label"].values.tolist() if "label" in spectra.coords else []
    names = spectra["standard"].values.tolist() if labels else []
    note = synthetic_note(labels)
    drawn = {
        "evolution": evolution_figure(
            node["/series"], dict(zip(names, labels, strict=True)), note=note
        )
    }
    if maps := rows_of_maps(node):
        drawn["maps"] = maps_figure(maps, node["/series"]["time"], note=note)
    if "/electrochemistry" in node:
        curve = node["/electrochemistry"]
        drawn["electrochemistry"] = beside_figure(curve, phases=diagram_of(curve))
    drawn["spectra"] = spectra_figure(spectra, node.get("/clustered/clusters"))
    drawn["registration"] = registration_figure(node["/series"])
    return drawn


@styled
def evolution_figure(table: xr.Dataset, labels: dict[str, str], *, note: str = "") -> Figure:
    """Composition, phases, clusters and stress against time.

    Parameters
    ----------
    table : Dataset of `series.evolution.evolution`
    labels : mapping
        Labels of the standards by id.
    note : str
        For the foot of the figure.
    """
    panels = [
        draw
        for name, draw in (
            ("composition", _composition),
            ("mass_fraction", lambda ax, one: _phases(ax, one, labels)),
            ("cluster_share", _clusters),
            ("von_mises_p99", _stress),
        )
        if name in table
    ] or [_thickness_or_residual]
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.15 * rows + 0.2), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, draw in zip(axes, panels, strict=False):
        draw(ax, table)
        ax.set_xlabel(_time_label(table["time"]))
        _ticks(ax, table["time"])
    for ax in axes[len(panels) :]:
        ax.remove()
    letters(axes[: len(panels)])
    footnote(figure, note)
    return figure


def _composition(ax: Axes, table: xr.Dataset) -> None:
    """Mean composition with both errors."""
    t, x = table["time"].values, table["composition"].values
    colour = CATEGORIES[0]
    ax.errorbar(
        t, x, table["composition_sd"].values, fmt="none", ecolor=colour, elinewidth=0.8, capsize=2
    )
    own = table["composition_sd_own"].values
    ax.errorbar(t, x, own, fmt="none", ecolor=colour, elinewidth=2.6, alpha=0.6)
    ax.plot(t, x, "o-", color=colour, linewidth=0.9, markersize=3.5)
    if "composition_by_charge" in table:
        charge, sd = (table[f"composition_by_charge{one}"].values for one in ("", "_sd"))
        ax.errorbar(t, charge, np.nan_to_num(sd), fmt="none", ecolor=CATEGORIES[1], capsize=2)
        ax.plot(t, charge, "s--", color=CATEGORIES[1], label="electrode, by charge")
        ax.plot([], [], "o-", color=colour, label="map")
        ax.legend(loc="best")
    words = str(table["composition"].attrs["long_name"]).split(":")[0]
    ax.set(title="mean composition", ylabel=pretty(words))


def _phases(ax: Axes, table: xr.Dataset, labels: dict[str, str]) -> None:
    """Mass fractions, those above a thousandth anywhere."""
    for number_, phase in enumerate(table["phase"].values.tolist()):
        share = table["mass_fraction"].sel(phase=phase).values
        if np.nanmax(share) > 1e-3:
            (line,) = ax.plot(table["time"].values, share, label=pretty(labels.get(phase, phase)))
            line.set(color=CATEGORIES[number_ % len(CATEGORIES)], marker=_MARKS[number_ % 8])
    ax.set(title="phases", ylabel="mass fraction", ylim=(-0.03, 1.03))
    _legend_beside(ax)


def _clusters(ax: Axes, table: xr.Dataset) -> None:
    """Shares of the common clusters."""
    for k, share in enumerate(table["cluster_share"].values):
        (line,) = ax.plot(table["time"].values, share, label=f"cluster {k}")
        line.set(color=CATEGORIES[k % len(CATEGORIES)], marker=_MARKS[k % 8])
    ax.set(title="common clusters", ylabel="share of the pixels", ylim=(-0.03, 1.03))
    _legend_beside(ax)


def _stress(ax: Axes, table: xr.Dataset) -> None:
    """99th percentile and mean of von Mises stress for every boundary."""
    t = table["time"].values
    for k, boundary in enumerate(table["boundary"].values.tolist()):
        one = table.sel(boundary=boundary)
        ax.plot(t, one["von_mises_p99"], "o-", color=CATEGORIES[k], label=f"{boundary}, 99th pct.")
        (line,) = ax.plot(t, one["von_mises_mean"], "o--", label=f"{boundary}, mean")
        line.set(color=CATEGORIES[k], markerfacecolor="white")
    ax.set(title="stress", ylabel="von Mises stress (MPa)")
    ax.set_ylim(bottom=0)
    _legend_beside(ax)


def _legend_beside(ax: Axes) -> None:
    """Where it hides no line."""
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), borderaxespad=0.2)


def _thickness_or_residual(ax: Axes, table: xr.Dataset) -> None:
    """What is known where no composition was asked for."""
    ax.plot(table["time"].values, table["residual"].values, "o-", color=CATEGORIES[0])
    ax.set(title="residual", ylabel="rms residual, optical density")


@styled
def spectra_figure(spectra: xr.Dataset, groups: xr.Dataset | None = None) -> Figure:
    """Mean spectra at all times, their differences from the first, and the common clusters.

    Parameters
    ----------
    spectra : Dataset
        Node ``/spectra`` of a series.
    groups : Dataset, optional
        Node ``/clustered/clusters``.
    """
    n = 2 + (groups is not None)
    figure = Figure(figsize=(DOUBLE, 2.4), layout="constrained")
    axes = figure.subplots(1, n)
    time, energy = spectra["time"], spectra["energy"].values
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, time.size))
    mean = spectra["mean"].transpose("time", "energy").values
    for k in range(time.size):
        name = time_in_words(time, k) if time.size <= MOST_MAPS or k in (0, time.size - 1) else None
        axes[0].plot(energy, mean[k], color=colours[k], label=name)
        axes[1].plot(energy, mean[k] - mean[0], color=colours[k], label=name)
    axes[0].set(title="mean of the sample", ylabel="optical density")
    axes[0].legend()
    axes[1].axhline(0, color=INK, linewidth=0.5)
    axes[1].set(title="less the first", ylabel="optical density")
    if groups is not None:
        for k, one in enumerate(groups["spectrum"].transpose("cluster", "energy").values):
            axes[2].plot(
                groups["energy"], one, color=CATEGORIES[k % len(CATEGORIES)], label=f"cluster {k}"
            )
        axes[2].set(title="common clusters", ylabel="optical density")
        axes[2].legend()
    for ax in axes:
        ax.set_xlabel(PHOTON_ENERGY)
    letters(axes)
    return figure


@styled
def registration_figure(table: xr.Dataset) -> Figure:
    """Shifts of the stacks in space and in energy."""
    figure = Figure(figsize=(DOUBLE, 2.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    t = table["time"].values
    for axis, mark, colour in (("y", "o-", CATEGORIES[0]), ("x", "s-", CATEGORIES[1])):
        left.plot(t, table[f"shift_{axis}"].values, mark, color=colour, label=axis)
    left.set(title="shift onto the first stack", ylabel="pixels")
    left.legend()
    right.errorbar(
        t,
        table["energy_shift"].values,
        np.nan_to_num(table["energy_shift_sd"].values),
        fmt="o-",
        color=CATEGORIES[0],
        capsize=2,
    )
    right.set(title="energy axis against the standards", ylabel="energy shift (eV)")
    for ax in (left, right):
        ax.set_xlabel(_time_label(table["time"]))
        _ticks(ax, table["time"])
    letters((left, right))
    return figure


def moments_table(tree: xr.DataTree) -> dict[str, list[list[str]]]:
    """Heading and rows of the report's table of stacks: the numbers of each in words."""
    table = tree["/series"].to_dataset()
    time = table["time"]
    columns: dict[str, list[str]] = {
        _time_label(time): [f"{value:.5g}" for value in time.values],
        "stack": table["file"].values.tolist(),
        "shift y, x (px)": [
            f"{y:.2f}, {x:.2f}".replace("-", "−")
            for y, x in zip(table["shift_y"].values, table["shift_x"].values, strict=True)
        ],
        "energy shift (eV)": _with_errors(table, "energy_shift", "energy_shift_sd"),
    }
    if "composition" in table:
        name = str(table["composition"].attrs["long_name"]).split(":")[0]
        columns[f"{name}, mean by mass"] = _with_errors(table, "composition", "composition_sd")
        columns["its own error"] = [
            f"± {number(value, '.2g')}" for value in table["composition_sd_own"].values
        ]
    if "composition_by_charge" in table:
        columns["by charge"] = _with_errors(
            table, "composition_by_charge", "composition_by_charge_sd"
        )
    if "von_mises_p99" in table:
        for boundary in table["boundary"].values.tolist():
            values = table["von_mises_p99"].sel(boundary=boundary).values
            columns[f"von Mises {boundary}, 99th percentile (MPa)"] = [
                number(value, ".0f") for value in values
            ]
    return {
        "heading": [list(columns)],
        "rows": [list(row) for row in zip(*columns.values(), strict=True)],
    }


def _with_errors(table: xr.Dataset, name: str, sd: str) -> list[str]:
    pairs = zip(table[name].values.tolist(), table[sd].values.tolist(), strict=True)
    return [measured(value, error) for value, error in pairs]


def _time_label(time: xr.DataArray) -> str:
    return with_units(str(time.attrs["long_name"]), str(time.attrs["units"]))


def _ticks(ax: Axes, time: xr.DataArray) -> None:
    """Whole numbers where stacks are only counted."""
    if time.attrs.get("units") == "1":
        ax.set_xticks(time.values)
