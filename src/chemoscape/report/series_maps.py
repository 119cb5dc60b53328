"""Maps of a series: a row for each quantity, a column for each time."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from chemoscape.report.panels import (
    DIVERGING,
    DOUBLE,
    SEQUENTIAL,
    aspect_of,
    category_map,
    colour_bar,
    draw_map,
    footnote,
    letters,
    robust_limits,
    styled,
)
from chemoscape.report.words import pretty

#: Maps of at most so many times in a row; of more, some evenly between first and last.
MOST_MAPS = 6
_STRESS = "inferno"


@styled
def maps_figure(rows: dict[str, xr.DataArray], time: xr.DataArray, *, note: str = "") -> Figure:
    """Maps at several times: a row for each quantity, a column for each time.

    Parameters
    ----------
    rows : mapping of kind to DataArray (time, y, x)
        Kinds ``composition``, ``change``, ``cluster``, ``stress …``.
    time : DataArray
    note : str
        For the foot of the figure.
    """
    chosen = _some(time.size)
    first = next(iter(rows.values()))
    aspect = aspect_of(first)
    width = (DOUBLE - 0.7) / len(chosen)
    height = len(rows) * (min(width * aspect, 2.4) + 0.42) + 0.2
    figure = Figure(figsize=(DOUBLE, height), layout="constrained")
    axes = figure.subplots(len(rows), len(chosen), squeeze=False)
    for line, (kind, maps) in zip(axes, rows.items(), strict=True):
        cmap, limits, label = _scale_of(kind, maps)
        for column, (ax, k) in enumerate(zip(line, chosen, strict=True)):
            if kind == "change" and k == 0:
                ax.set_axis_off()  # none yet
                continue
            at = time_in_words(time, k)
            image = maps.isel(time=k)
            shown = draw_map(ax, image, title=at, cmap=cmap, limits=limits, colourbar=False)
            if column == len(chosen) - 1 and kind != "cluster":
                colour_bar(ax, shown, label, image.values.astype(float), aspect)
            elif column == len(chosen) - 1:
                ax.text(1.04, 0.5, label, transform=ax.transAxes, va="center", fontsize=6.5)
    letters(next(ax for ax in line if ax.axison) for line in axes)
    footnote(figure, note)
    return figure


def rows_of_maps(node: dict[str, xr.Dataset]) -> dict[str, xr.DataArray]:
    """Maps with a time that the results hold."""
    rows: dict[str, xr.DataArray] = {}
    if "/composition" in node:
        x = node["/composition"]["composition"]
        rows["composition"] = x
        rows["change"] = (x - x.isel(time=0)).assign_attrs(x.attrs)
    if "/clustered/clusters" in node:
        label = node["/clustered/clusters"]["label"]
        rows["cluster"] = label.where(label >= 0)
    held = [path.split("/")[2] for path in node if path.startswith("/stress/")]
    for boundary in dict.fromkeys(["free", "fixed", *held]):  # springs come after
        if f"/stress/{boundary}/grid" in node:
            rows[f"stress {boundary}"] = node[f"/stress/{boundary}/grid"]["von_mises"]
    return rows


def _scale_of(
    kind: str, maps: xr.DataArray
) -> tuple[str | mpl.colors.Colormap, tuple[float, float], str]:
    """Colours, limits and label of a row."""
    values = maps.values.astype(float)
    if kind == "composition":
        return SEQUENTIAL, robust_limits(values), pretty(str(maps.attrs["long_name"]))
    if kind == "change":
        return DIVERGING, robust_limits(values[1:], symmetric=True), "change since the first"
    if kind == "cluster":
        n = int(np.nanmax(values)) + 1 if np.isfinite(values).any() else 1
        names = "\n".join(f"{k}: {_COLOUR_NAMES[k % len(_COLOUR_NAMES)]}" for k in range(n))
        return category_map(n), (-0.5, n - 0.5), f"cluster\n{names}"
    return _STRESS, (0.0, robust_limits(values)[1]), f"von Mises, {kind.split()[1]} (MPa)"


_COLOUR_NAMES = ("blue", "orange", "green", "pink", "light blue", "red", "yellow", "black")


def _some(n: int) -> list[int]:
    """Numbers of at most `MOST_MAPS` of n, first and last among them."""
    return sorted({round(k) for k in np.linspace(0, n - 1, min(n, MOST_MAPS))})


def time_in_words(time: xr.DataArray, k: int) -> str:
    """A time in words."""
    if time.attrs.get("units") == "1":
        return f"stack {int(time.values[k]) + 1}"
    return f"{time.values[k]:.4g} {time.attrs['units']}"
