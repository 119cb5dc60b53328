"""Figure of a factorisation: spectra of the parts, where they are, and how the search ended."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chemoscape.errors import FitError
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    ERROR,
    INK,
    PHOTON_ENERGY,
    aspect_of,
    draw_map,
    footnote,
    grid_for,
    letters,
    robust_limits,
    styled,
)


@styled
def parts_figure(
    parts: xr.Dataset, clusters: xr.Dataset | xr.DataArray | None = None, *, note: str = ""
) -> Figure:
    """Spectra of the parts (with those of the clusters dashed), the objective from sweep to sweep,
    a map of each part and of the residual.

    Parameters
    ----------
    parts : Dataset of `factorise`
    clusters : Dataset of `cluster` or DataArray (cluster or standard, energy), optional
        What the parts were to be similar to, in the order of the parts; drawn with a mean of 1, as
        the parts are.
    note : str
        Line at the foot.

    Raises
    ------
    FitError
        The clusters are not as many as the parts.
    """
    n = parts.sizes["part"]
    columns, rows, _, map_height = grid_for(n + 1, aspect_of(parts))
    figure = Figure(figsize=(DOUBLE, 2.7 + map_height), layout="constrained")
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(2.7, map_height))).tolist()
    curves, search = upper.subplots(1, 2, width_ratios=(2.2, 1))
    _spectra(curves, parts, clusters)
    _search(search, parts)

    images = list(lower.subplots(rows, columns, squeeze=False).ravel())
    for ax in images[n + 1 :]:
        ax.remove()
    weight = parts["weight"]
    limits = (0.0, robust_limits(weight.values)[1])
    for k, ax in enumerate(images[:n]):
        title = f"Part {parts['part'].values[k]}"
        draw_map(ax, weight.isel(part=k), title=title, label="mean OD", limits=limits)
    draw_map(images[n], parts["residual"], title="Residual", label="rms OD", cmap=ERROR)
    letters((curves, search, *images[: n + 1]))
    footnote(figure, note)
    return figure


def _spectra(ax: Axes, parts: xr.Dataset, clusters: xr.Dataset | xr.DataArray | None) -> None:
    """One above the other, the first on top."""
    energy, spectra = parts["energy"].values, parts["spectrum"].values
    others = None if clusters is None else _as_parts(clusters, len(spectra))
    step = 0.45 * float(np.ptp(spectra))
    for k, spectrum in enumerate(spectra):
        colour, raised = CATEGORIES[k % len(CATEGORIES)], (len(spectra) - 1 - k) * step
        ax.axhline(raised, color="0.85", linewidth=0.5, zorder=0)
        ax.plot(energy, spectrum + raised, color=colour)
        if others is not None:
            ax.plot(energy, others[k] + raised, color=INK, linewidth=0.6, linestyle=(0, (4, 2)))
        ax.annotate(
            f"{parts['part'].values[k]}",
            (1, spectrum[-1] + raised),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
    dashed = "" if others is None else ", dashed: clusters"
    offset = f" (offset by {step:.2g})" if len(spectra) > 1 else ""
    ax.set(title=f"Spectra of the parts{dashed}", xlabel=PHOTON_ENERGY)
    ax.set(ylabel=f"spectrum, mean 1{offset}")
    if energy.size > 1:
        ax.set_xlim(energy[0], energy[-1])


def _as_parts(clusters: xr.Dataset | xr.DataArray, n: int) -> np.ndarray:
    """Spectra (n, energy) with a mean of 1."""
    spectra = clusters["spectrum"] if isinstance(clusters, xr.Dataset) else clusters
    values = spectra.transpose(..., "energy").values
    if len(values) != n:
        raise FitError(
            f"{len(values)} clusters cannot be drawn beside {n} parts",
            remedy="give the clusters that the parts were to be similar to",
        )
    return values / values.mean(axis=1, keepdims=True)


def _search(ax: Axes, parts: xr.Dataset) -> None:
    """What is left to gain at each sweep, which falls in a line on this axis where it converges."""
    objective = parts["objective"].values
    left = objective - objective[-1]
    ax.plot(parts["sweep"].values, np.where(left > 0, left, np.nan), color=INK)
    if (left > 0).any():
        ax.set_yscale("log")
    attrs = parts.attrs
    words = [
        f"{attrs['n_sweeps']} sweeps" + ("" if attrs["converged"] else ", not converged"),
        f"{100 * attrs['explained_share']:.2f} % explained",
    ]
    if np.isfinite(attrs["similarity_distance"]):
        words.append(f"similarity {attrs['similarity']:g}")
        words.append(f"distance {attrs['similarity_distance']:.2g}")
    ax.annotate(
        "\n".join(words), (1, 1), xycoords="axes fraction", ha="right", va="top", fontsize=6.5
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(title="Objective above its last", xlabel="sweep", ylabel="share of the sum of squares")
