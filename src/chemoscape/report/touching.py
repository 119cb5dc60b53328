"""The figure of particles that touch (Figure 5): compositions and contacts over the map."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from skimage.measure import find_contours

from chemoscape.particles.contacts import NeighbourTest
from chemoscape.particles.masks import Instances
from chemoscape.particles.table import instances_of
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    INK,
    SEQUENTIAL,
    SINGLE,
    aspect_of,
    colour_bar,
    draw_map,
    footnote,
    styled,
)
from chemoscape.report.words import pretty


@styled
def contacts_figure(
    table: xr.Dataset,
    touching: xr.Dataset,
    image: xr.DataArray,
    *,
    test: NeighbourTest | None = None,
    note: str = "",
) -> Figure:
    """Particles coloured by composition over a map, with lines between those that touch.

    Parameters
    ----------
    table : Dataset of `phases.with_composition`
    touching : Dataset of `contacts`
        A dot is the larger, the more the compositions of its two particles differ.
    image : DataArray (y, x)
        The map in which the particles were found.
    test : NeighbourTest, optional
        Its verdict is written beneath.
    note : str
        Added to the line at the foot.
    """
    aspect = aspect_of(image)
    width = DOUBLE if aspect < 0.6 else SINGLE
    figure = Figure(figsize=(width, (width - 0.75) * aspect + 0.6), layout="constrained")
    ax = figure.add_subplot()
    draw_map(ax, image, cmap="Greys", colourbar=False)
    x = table["composition_mean"].values
    low, high = _ends(x)
    patches = _outlines(instances_of(table), table)
    shown = PatchCollection(
        [one for number, one in enumerate(patches) if np.isfinite(x[number])],
        cmap=SEQUENTIAL,
        norm=Normalize(low, high),
        alpha=0.85,
        linewidths=0.3,
        edgecolors="white",
    )
    shown.set_array(x[np.isfinite(x)])
    ax.add_collection(shown, autolim=False)
    ends = [
        np.stack([table[f"centroid_{axis}"].values[touching[end].values] for axis in "xy"], axis=1)
        for end in ("first", "second")
    ]
    middles = np.stack([touching["x"].values, touching["y"].values], axis=1)
    lines = list(np.stack([ends[0], middles, ends[1]], axis=1))
    difference = np.nan_to_num(abs(touching["difference"].values))
    for colour, thick in (("white", 1.3), (INK, 0.5)):
        ax.add_collection(LineCollection(lines, colors=colour, linewidths=thick), autolim=False)
    dots = 2 + 30 * difference / (high - low)
    ax.scatter(
        middles[:, 0],
        middles[:, 1],
        dots,
        color=CATEGORIES[5],
        edgecolors="white",
        linewidths=0.4,
        zorder=3,
    )
    colour_bar(ax, shown, pretty(str(table.attrs.get("variable", "composition"))), x, aspect)
    verdict = test.verdict if test else ""
    words = (
        f"{touching.sizes['contact']} contacts within {1000 * touching.attrs['reach_um']:.0f} nm; "
        f"the larger a dot, the larger the difference{f'; {verdict}' if verdict else ''}."
    )
    footnote(figure, " ".join(part for part in (words, note) if part))
    return figure


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Least and largest known value, apart."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _outlines(masks: Instances, table: xr.Dataset) -> list[PathPatch]:
    """Outlines of the masks in µm, holes included."""
    pixel = float(table.attrs["pixel_um"])
    start = np.asarray(table.attrs["origin_um"], float)
    patches = []
    for corner, crop in zip(masks.corners, masks.crops, strict=True):
        loops = find_contours(np.pad(crop, 1).astype(float), 0.5)
        closed = [start + pixel * (loop - 1 + corner) for loop in loops]
        path = Path.make_compound_path(*(Path(loop[:, ::-1], closed=True) for loop in closed))
        patches.append(PathPatch(path))
    return patches
