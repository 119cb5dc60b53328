"""Several maps in one picture: weights as colours (the paper's Figure 5), a micrograph beside."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from chemoscape.errors import StackError, require_choice
from chemoscape.report.panels import (
    DOUBLE,
    OUTSIDE,
    SINGLE,
    aspect_of,
    draw_map,
    dress_map,
    extent_of,
    footnote,
    letters,
    styled,
)
from chemoscape.report.particles import draw_outlines
from chemoscape.report.words import pretty

Colours = Literal["safe", "rgb"]
#: Colours of one, two and three maps: told apart by every common kind of colour vision where one
#: map prevails, and adding up to white. Mixtures of three look alike to readers who see two
#: primaries; for them each map is drawn alone as well.
SAFE = {
    1: ("#ffffff",),
    2: ("#ff8000", "#007fff"),
    3: ("#e69f00", "#009e73", "#0072b2"),
}
PAPER = ("#ff0000", "#00ff00", "#0000ff")
#: Brightest value of a map, percentile: single pixels of noise shall not darken the rest.
BRIGHTEST = 99.5


@styled
def composite_figure(
    maps: xr.Dataset | xr.DataArray,
    names: Sequence[str] | None = None,
    *,
    colours: Colours = "safe",
    scale: Literal["common", "own"] = "common",
    note: str = "",
) -> Figure:
    """Draw up to three maps of weights as one picture, each in a colour of its own, and each alone.

    Colours add as light does. Weights of zero and below are black, those at the 99.5th percentile
    and above have the full colour; the legend says what that is.

    Parameters
    ----------
    maps : Dataset of `deconvolve`, or DataArray (standard, y, x)
        One to three maps; the first dimension may have any name. Where the Dataset has a
        ``sample``, the percentile is of that.
    names : sequence of str, optional
        What the legend calls them; default their coordinates.
    colours : {"safe", "rgb"}
        Told apart by colour-blind readers as well as may be, or red, green and blue as in the
        paper.
    scale : {"common", "own"}
        One percentile for all maps, so that brightness can be compared, or one for each, so that
        traces can be seen.
    note : str
        Line at the foot.

    Raises
    ------
    StackError
        There are no maps (y, x), or more than three, or not as many names.
    FitError
        There are no such colours, or no such scale.
    """
    require_choice("colours", colours, "safe", "rgb")
    require_choice("scale", scale, "common", "own")
    weight = _layers(maps)
    if names is None:
        names = [str(one) for one in weight[weight.dims[0]].values]
    if len(names) != len(weight):
        raise StackError(
            f"{len(names)} names are given for {len(weight)} maps", remedy="name each map once"
        )
    chosen = SAFE[len(weight)] if colours == "safe" else PAPER[: len(weight)]
    values = weight.values.astype(float)
    within = maps["sample"].values if isinstance(maps, xr.Dataset) and "sample" in maps else None
    tops = _tops(values, within, scale)
    bright = np.clip(values / tops[:, None, None], 0, 1)
    image = np.tensordot(np.array([to_rgb(one) for one in chosen]).T, bright, 1)

    patches = _patches(chosen, names, tops, str(weight.attrs.get("units", "")))
    figure, first, rest, key = _panels(aspect_of(weight), len(weight), len(patches))
    _draw_colours(first, image, weight, "Composite" if rest else pretty(names[0]))
    for ax, one, colour, name in zip(rest, bright, chosen, names, strict=False):
        alone = np.multiply.outer(to_rgb(colour), one)
        across = max(int(ax.get_position().width * figure.get_figwidth() / 0.066), 8)
        title = textwrap.fill(name, across, break_long_words=False, break_on_hyphens=False)
        _draw_colours(ax, alone, weight, pretty(title))
    letters([first, *rest] if rest else [])
    kind = {"common": "One scale", "own": "Own scales"}[scale] + ", full" if rest else "Full"
    title = f"{kind} colour at the {BRIGHTEST:g}th percentile"
    key.legend(
        handles=patches,
        loc="upper left",
        title=title,
        title_fontsize=6.5,
        alignment="left",
        borderpad=0,
        borderaxespad=0,
    )
    footnote(figure, note)
    return figure


def _layers(maps: xr.Dataset | xr.DataArray) -> xr.DataArray:
    """One to three maps (…, y, x)."""
    weight = maps["weight"] if isinstance(maps, xr.Dataset) and "weight" in maps else maps
    if (
        not isinstance(weight, xr.DataArray)
        or weight.ndim != 3
        or not {"y", "x"} <= set(weight.dims)
        or not 1 <= weight.size // (weight.sizes["y"] * weight.sizes["x"]) <= 3
    ):
        found = dict(getattr(weight, "sizes", {})) or type(weight).__name__
        raise StackError(
            f"a composite is of one to three maps (standard, y, x), these are {found}",
            remedy="choose them, as in maps['weight'].isel(standard=[0, 2])",
        )
    first = next(dim for dim in weight.dims if dim not in ("y", "x"))
    return weight.transpose(first, "y", "x").assign_attrs(weight.attrs)


def _tops(values: np.ndarray, within: np.ndarray | None, scale: str) -> np.ndarray:
    """Value of each map that is drawn in full colour, above zero."""
    known = np.isfinite(values)
    if within is not None and (known & within).any():
        known &= within
    shared = values[known]
    groups = [shared] * len(values)
    if scale == "own":
        groups = [one[here] for one, here in zip(values, known, strict=True)]
    tops = [float(np.percentile(one, BRIGHTEST)) if one.size else 0.0 for one in groups]
    return np.array([top if top > 0 else 1.0 for top in tops])


def _panels(aspect: float, n: int, n_keys: int) -> tuple[Figure, Axes, list[Axes], Axes]:
    """One panel for all maps, one for each where there are several, and a place for the legend.

    The small panels stand beside the large one, as high together as it and the legend; below it
    where maps are lying; and are as large as it where they are standing.
    """
    dress, key = 0.42, 0.15 * (n_keys + 1) + 0.1  # title and scale bar; legend, inches
    if n == 1 or aspect > 1.6:
        columns = 1 if n == 1 else n + 1
        wide = min(SINGLE if n == 1 else DOUBLE / columns, 4.5 / aspect)
        tall = wide * aspect + dress
        figure = Figure(figsize=(max(columns * wide, SINGLE), tall + key), layout="constrained")
        grid = figure.add_gridspec(2, columns, height_ratios=(tall, key))
        first, *rest = (figure.add_subplot(grid[0, one]) for one in range(columns))
        place = grid[1, :]
    elif aspect < 0.45:
        tall = DOUBLE * aspect + dress
        low = DOUBLE / n * aspect + dress
        figure = Figure(figsize=(DOUBLE, tall + low + key), layout="constrained")
        grid = figure.add_gridspec(3, n, height_ratios=(tall, low, key))
        first, place = figure.add_subplot(grid[0, :]), grid[2, :]
        rest = [figure.add_subplot(grid[1, one]) for one in range(n)]
    else:
        width = min(DOUBLE, 5.0 / aspect + 1.0)
        small = (width * aspect + key - (n - 1) * dress) / (n + 1) / aspect
        large = width - small
        height = large * aspect + dress + key
        figure = Figure(figsize=(width, height), layout="constrained")
        sides = figure.add_gridspec(1, 2, width_ratios=(large, small))
        left = sides[0].subgridspec(2, 1, height_ratios=(large * aspect + dress, key))
        first, place = figure.add_subplot(left[0]), left[1]
        right = sides[1].subgridspec(n, 1)
        rest = [figure.add_subplot(right[one]) for one in range(n)]
    legend = figure.add_subplot(place)
    legend.set_axis_off()
    return figure, first, rest, legend


def _draw_colours(ax: Axes, image: np.ndarray, grid: xr.DataArray, title: str) -> None:
    """Draw an image (colour, y, x), light grey where a value is missing."""
    shown = np.moveaxis(np.clip(image, 0, 1), 0, -1)
    shown = np.where(np.isnan(shown).any(axis=-1, keepdims=True), to_rgb(OUTSIDE), shown)
    ax.imshow(shown, origin="lower", extent=extent_of(grid), interpolation="nearest")
    dress_map(ax, extent_of(grid), title)


def _patches(
    chosen: Sequence[str], names: Sequence[str], tops: np.ndarray, units: str
) -> list[Patch]:
    """Colour, name, and the weight that has the full colour."""
    micro = units in ("g/cm2", "g/cm²", "g cm-2")
    unit = " µg cm$^{-2}$" if micro else f" {units}" if units not in ("", "1") else ""
    told = {
        f"{pretty(name)}: 0 to {top * (1e6 if micro else 1):.3g}{unit}": to_rgb(colour)
        for name, top, colour in zip(names, tops, chosen, strict=True)
    }
    if len(chosen) == 2:
        one, other = (to_rgb(colour) for colour in chosen)
        told["both"] = tuple(np.minimum(np.add(one, other), 1))
    return [
        Patch(facecolor=colour, edgecolor="0.4", linewidth=0.4, label=words)
        for words, colour in told.items()
    ]


@styled
def picture_beside_map_figure(
    picture: xr.DataArray, image: xr.DataArray, table: xr.Dataset, *, linewidth: float = 0.6
) -> Figure:
    """Draw a registered picture and the map, the particles' outlines over both (Figure 6G).

    Parameters
    ----------
    picture : DataArray (y, x)
        As `registration.register` returns it.
    image : DataArray (y, x)
        The map in which the particles were found.
    table : Dataset
        As `segmentation.segment` or `table.particle_table` returns it.
    linewidth : float
        Of the outlines, points.

    Raises
    ------
    StackError
        The picture is not on the grid of the map, or the particles are of another map.
    """
    picture, image = picture.transpose("y", "x"), image.transpose("y", "x")
    if tuple(table.attrs["image_shape"]) != image.shape or picture.shape != image.shape:
        raise StackError(
            f"the particles are of a map of shape {tuple(table.attrs['image_shape'])}, the map has "
            f"{image.shape} and the picture {picture.shape}",
            remedy="give the map in which they were found, and the picture registered onto it",
        )
    height = DOUBLE / 2 * 0.96 * aspect_of(image) + 0.42
    figure = Figure(figsize=(DOUBLE, min(height, 9.0)), layout="constrained")
    axes = figure.subplots(1, 2)
    number = table.sizes["particle"]
    titles = (_told(picture), f"Map: {number} particle{'' if number == 1 else 's'}")
    for ax, one, title in zip(axes, (picture, image), titles, strict=True):
        draw_map(ax, one, title=title, cmap="gray", colourbar=False)
        draw_outlines(ax, table, linewidth)
    letters(axes)
    return figure


def _told(picture: xr.DataArray) -> str:
    """Title of the picture: how well it was registered, and whether mirrored."""
    words = "Picture, mirrored" if picture.attrs.get("mirrored") else "Picture"
    sd = picture.attrs.get("point_sd_um")
    return words if sd is None else f"{words}, points within {sd:.2g} µm (1 sd)"
