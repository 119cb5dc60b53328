"""Figure of several results for one simulated sample beside its known truth (Figure S10)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from chemoscape.errors import FitError
from chemoscape.report.panels import (
    DIVERGING,
    aspect_of,
    draw_map,
    footnote,
    grid_for,
    letters,
    robust_limits,
    styled,
)
from chemoscape.report.words import pretty


@styled
def comparison_figure(
    truth: xr.DataArray, found: Mapping[str, xr.Dataset], *, note: str = ""
) -> Figure:
    """Known composition, and for each result its map and its error, all on the same two scales.

    Parameters
    ----------
    truth : DataArray (y, x)
        Known composition, NaN outside the sample.
    found : mapping of names to Datasets of `composition`
        On the grid of `truth`; the names are the titles.
    note : str
        Line at the foot.

    Raises
    ------
    FitError
        There is no result, or one is on another grid.
    """
    if not found:
        raise FitError("there is no result to compare with the truth", remedy="give one or more")
    for name, comp in found.items():
        if comp["composition"].shape != truth.shape:
            raise FitError(
                f"{name}: {comp['composition'].shape} pixels, the truth has {truth.shape}",
                remedy="compute the composition with refine = 1",
            )
    n = 1 + len(found)
    _, _, width, height = grid_for(n, aspect_of(truth))
    figure = Figure(figsize=(width, 2 * height), layout="constrained")
    axes = figure.subplots(2, n, squeeze=False)
    variable = pretty(str(next(iter(found.values())).attrs.get("variable", "composition")))
    limits = robust_limits(truth.values)
    pad = 0.15 * (limits[1] - limits[0])
    limits = (limits[0] - pad, limits[1] + pad)
    draw_map(axes[0, 0], truth, title="Truth", label=variable, limits=limits)
    axes[1, 0].remove()
    errors = {name: comp["composition"] - truth.values for name, comp in found.items()}
    widest = max(float(np.nanpercentile(np.abs(error.values), 98)) for error in errors.values())
    for column, (name, comp) in enumerate(found.items(), start=1):
        draw_map(axes[0, column], comp["composition"], title=name, label=variable, limits=limits)
        rms = float(np.sqrt(np.nanmean(errors[name].values ** 2)))
        draw_map(
            axes[1, column],
            errors[name],
            title=f"Error, rms {rms:.3f}",
            cmap=DIVERGING,
            limits=(-widest, widest),
        )
    letters([*axes[0], *axes[1, 1:]])
    footnote(figure, note)
    return figure
