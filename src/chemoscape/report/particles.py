"""Figures of particles: outlines over the map, recall against size, curves of a training run."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from skimage.measure import find_contours

from chemoscape.errors import FileFormatError, StackError
from chemoscape.particles.evaluation import POOLED, Evaluation
from chemoscape.particles.table import instances_of
from chemoscape.report.panels import CATEGORIES, DOUBLE, SINGLE, draw_map, styled

#: Those of Okabe and Ito's colours that stand out from every grey; neighbours differ most.
OUTLINES = ("#E69F00", "#56B4E9", "#D55E00", "#009E73", "#F0E442", "#CC79A7", "#0072B2")
#: Panels that fit beside each other, and the height of a panel's title and scale bar, inches.
ABREAST, DRESS = 3, 0.42
#: Markers beside the colours, for readers who see none.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@styled
def overlay_figure(
    image: xr.DataArray | np.ndarray,
    tables: Mapping[str, xr.Dataset],
    *,
    linewidth: float = 0.6,
) -> Figure:
    """Draw the map in grey with the outlines of particles, one panel per table.

    Parameters
    ----------
    image : DataArray (y, x) or ndarray, shape (y, x)
        The map; NaN is drawn light grey.
    tables : mapping of str to Dataset
        What the panel is called, and the particles in it, as `segmentation.segment` or
        `table.particle_table` returns them.
    linewidth : float
        Of the outlines, points.

    Returns
    -------
    matplotlib.figure.Figure
        One journal column wide for one table, two for more; three panels beside each other at
        most.

    Raises
    ------
    StackError
        There is no table, or one is of a map of another shape.

    Examples
    --------
    >>> from chemoscape.particles.masks import Instances
    >>> from chemoscape.particles.table import particle_table
    >>> bar = Instances((9, 9), np.array([[2, 1]]), (np.ones((3, 6), bool),), np.ones(1))
    >>> figure = overlay_figure(np.eye(9), {"all": particle_table(bar, np.eye(9), 0.5)})
    >>> figure.axes[0].get_title(loc="left")
    'all: 1 particle'
    """
    if isinstance(image, xr.DataArray) and {"y", "x"} == set(image.dims):
        image = image.transpose("y", "x")
    values = np.asarray(image, float)
    if not tables:
        raise StackError("there is no table to draw", remedy="give at least one, with its name")
    for name, table in tables.items():
        if tuple(table.attrs["image_shape"]) != values.shape:
            raise StackError(
                f"the table {name!r} is of a map of shape {tuple(table.attrs['image_shape'])}, the "
                f"image has {values.shape}",
                remedy="give the map in which the particles were found",
            )
    across = min(len(tables), ABREAST)
    down = -(-len(tables) // across)
    width = SINGLE if len(tables) == 1 else DOUBLE
    panel = width / across * 0.96
    height = down * (panel * values.shape[0] / values.shape[1] + DRESS)
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for ax, (name, table) in zip(grid, tables.items(), strict=False):
        number = table.sizes["particle"]
        title = f"{name}: {number} particle{'' if number == 1 else 's'}"
        draw_map(ax, _placed(values, table), title=title, cmap="gray", colourbar=False)
        draw_outlines(ax, table, linewidth)
    for ax in grid[len(tables) :]:
        ax.set_visible(False)
    return figure


def draw_outlines(ax: Axes, table: xr.Dataset, linewidth: float) -> None:
    """Draw the outlines of the particles of a table over a map in µm, neighbours in two colours."""
    lines, colours = [], []
    for colour, around in zip(cycle(OUTLINES), outlines(table), strict=False):
        lines += around
        colours += [colour] * len(around)
    drawn = LineCollection(lines, colors=colours, linewidths=linewidth)
    ax.add_collection(drawn, autolim=False)


def outlines(table: xr.Dataset) -> list[list[np.ndarray]]:
    """Closed outlines of each particle, as points (x, y) in µm, shape (n, 2).

    Holes and separate parts have an outline each. Outlines run along the edges of the pixels,
    their corners cut at 45°.
    """
    instances = instances_of(table)
    pixel_um = table.attrs["pixel_um"]
    start = np.array(table.attrs["origin_um"])
    drawn = []
    for corner, crop in zip(instances.corners, instances.crops, strict=True):
        around = find_contours(np.pad(crop, 1).astype(float), 0.5)
        drawn.append([(start + (line + corner - 1) * pixel_um)[:, ::-1] for line in around])
    return drawn


def _placed(values: np.ndarray, table: xr.Dataset) -> xr.DataArray:
    """The map on the µm of its table."""
    pixel_um, origin = table.attrs["pixel_um"], table.attrs["origin_um"]
    y, x = (
        start + np.arange(size) * pixel_um for start, size in zip(origin, values.shape, strict=True)
    )
    return xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x})


@styled
def recall_figure(results: Mapping[str, Evaluation], condition: str = POOLED) -> Figure:
    """Recall of each method against the true area, at the width of a column.

    Points lie at the median area of a bin's particles, methods a little apart; bars are Wilson
    intervals of 95 %. The number of true particles in each bin stands above.

    Parameters
    ----------
    results : mapping of str to Evaluation
        By the method's name.
    condition : str
        Of which condition; all of them by default.
    """
    figure = Figure(figsize=(SINGLE, 2.5), layout="constrained")
    ax = figure.add_subplot()
    for number, (name, one) in enumerate(results.items()):
        bins = [each for each in one.scores[condition].by_size if each.n_true]
        aside = 1.04 ** (number - (len(results) - 1) / 2)
        recall = np.array([each.recall for each in bins])
        ends = np.array([each.interval for each in bins]).reshape(-1, 2)
        ax.errorbar(
            [aside * each.typical_um2 for each in bins],
            recall,
            yerr=np.abs([recall - ends[:, 0], ends[:, 1] - recall]),
            marker=MARKERS[number % len(MARKERS)],
            color=CATEGORIES[number % len(CATEGORIES)],
            elinewidth=0.7,
            label=name,
        )
        if not number:  # the truth is the same for all
            for each in bins:
                ax.annotate(
                    f"{each.n_true}" if each is not bins[0] else f"n = {each.n_true}",
                    (each.typical_um2, 1.02),
                    xycoords=("data", "axes fraction"),
                    ha="center",
                    fontsize=5.5,
                    color="0.35",
                )
    ax.set(xscale="log", ylim=(-0.02, 1.02), xlabel="true area (µm²)", ylabel="recall")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")
    if results:
        ax.legend()
    return figure


@styled
def curves_figure(path: str | Path) -> Figure:
    """Losses of a training run, at the width of a column, from the curves.csv that it has written.

    Raises
    ------
    FileFormatError
        The file is not there, or is not one of these.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = [
                {key: float(value) for key, value in row.items()} for row in csv.DictReader(file)
            ]
        images = [row["images"] / 1000 for row in rows]
        parts = [name[6:] for name in (rows[0] if rows else {}) if name.startswith("train_")]
        sums = {
            kind: [sum(row[f"{kind}_{part}"] for part in parts) for row in rows]
            for kind in ("train", "valid")
        }
        rates = [1e3 * row["rate"] for row in rows]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise FileFormatError(
            "no curves of a training run", str(path), "name the curves.csv of its folder"
        ) from error
    figure = Figure(figsize=(SINGLE, 2.4), layout="constrained")
    ax = figure.add_subplot()
    ax.plot(images, sums["train"], color=CATEGORIES[0], label="training")
    ax.plot(images, sums["valid"], "o-", color=CATEGORIES[5], markersize=2, label="validation")
    ax.set(xlabel="images seen (thousands)", ylabel="loss")
    beside = ax.twinx()
    beside.plot(images, rates, color="0.6", linewidth=0.7, linestyle="dashed")
    beside.set(ylabel="learning rate (10⁻³)", ylim=(0, None))
    ax.legend()
    return figure
