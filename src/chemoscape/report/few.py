"""Figures of a few images (the paper's Figures 4B to 4F): the images, ratios, bounds and errors."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chemoscape.report.panels import (
    CATEGORIES,
    DIVERGING,
    DOUBLE,
    INK,
    PHOTON_ENERGY,
    SEQUENTIAL,
    aspect_of,
    draw_map,
    footnote,
    grid_for,
    letters,
    robust_limits,
    styled,
)
from chemoscape.report.words import pretty

#: Of errors that pixels have in common.
_COMMON = CATEGORIES[1]
#: What the sources of error are, for the bars.
_SOURCES = {
    "counting": "counting",
    "energy": "energy of\neach image",
    "calibration": "energy of\nall images",
    "offset": "offset of\nthe OD",
    "i0": "incident\nbeam",
    "registration": "place of\neach image",
    "standards": "standards",
}


@styled
def images_figure(maps: xr.Dataset, phase: xr.DataArray | None = None, *, note: str = "") -> Figure:
    """Optical density of every image on one scale (Figure 4B), and its phase below where known.

    Parameters
    ----------
    maps : Dataset of a run's ``/few_energies``
        With ``optical_density`` (energy, y, x) and the roles of the images.
    phase : DataArray (energy, y, x), optional
        rad.
    note : str
        Line at the foot.
    """
    density = maps["optical_density"]
    energies = density["energy"].values
    columns, rows, width, height = grid_for(len(energies), aspect_of(maps))
    layers = 1 if phase is None else 2
    figure = Figure(figsize=(width, layers * height), layout="constrained")
    grid = figure.subplots(layers * rows, columns, squeeze=False)
    limits = robust_limits(density.values)
    shown = []
    for k, energy in enumerate(energies):
        ax = grid[k // columns, k % columns]
        title = f"{energy:.2f} eV{_role(maps, float(energy))}"
        draw_map(ax, density[k], title=title, label="optical density", limits=limits)
        shown.append(ax)
    if phase is not None:
        span = robust_limits(phase.values, symmetric=True)
        for k, energy in enumerate(phase["energy"].values):
            ax = grid[rows + k // columns, k % columns]
            title = f"Phase, {energy:.2f} eV"
            draw_map(ax, phase[k], title=title, label="rad", cmap=DIVERGING, limits=span)
            shown.append(ax)
    for ax in {*grid.ravel()} - {*shown}:
        ax.remove()
    letters(shown)
    footnote(figure, note)
    return figure


@styled
def ratios_figure(maps: xr.Dataset, variable: str = "", *, note: str = "") -> Figure:
    """Ratio of every feature to the thickness (Figures 4C, 4D), and the composition by it alone.

    Parameters
    ----------
    maps : Dataset of a run's ``/few_energies``
    variable : str
        What the composition is of; empty without standards.
    note : str
        Line at the foot.
    """
    features = maps["feature"].values
    columns, _, width, height = grid_for(max(len(features), 2), aspect_of(maps))
    rows = -(-len(features) // columns)
    layers = 2 if "ratio_composition" in maps else 1
    figure = Figure(figsize=(width, layers * rows * height), layout="constrained")
    grid = figure.subplots(layers * rows, columns, squeeze=False)
    upper = grid[:rows].ravel()[: len(features)].tolist()
    lower = grid[rows:].ravel()[: len(features)].tolist()
    for ax in {*grid.ravel()} - {*upper, *lower}:
        ax.remove()
    over = f"{maps.attrs['post_eV']:.2f} eV"
    for ax, energy, ratio in zip(upper, features, maps["ratio"], strict=True):
        draw_map(
            ax,
            ratio,
            title=f"{energy:.2f} over {over}",
            label="ratio",
            cmap=SEQUENTIAL,
            limits=robust_limits(ratio.values),
        )
    for k, ax in enumerate(lower):
        known = maps["ratio_composition_sd"][k].values
        known = known[np.isfinite(known)]
        error = f", ± {np.median(known):.2g}" if known.size else ""
        draw_map(
            ax,
            maps["ratio_composition"][k],
            title=f"By {features[k]:.2f} eV alone{error}",
            label=pretty(variable) if variable else "composition",
            limits=tuple(maps.attrs["bounds"]),
        )
    letters([*upper, *lower])
    footnote(figure, note)
    return figure


@styled
def bounds_figure(
    maps: xr.Dataset, comp: xr.Dataset, labels: dict[str, str], *, note: str = ""
) -> Figure:
    """Where the images lie on the spectra (Figure 4E), what was cut off at the bounds, and errors.

    Parameters
    ----------
    maps : Dataset of a run's ``/few_energies``
    comp : Dataset of a run's ``/composition``
    labels : dict
        Of the standards, by their ids.
    note : str
        Line at the foot.
    """
    figure = Figure(figsize=(DOUBLE, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    spectra = figure.add_subplot(grid[0, :])
    cut, errors = (figure.add_subplot(grid[1, k]) for k in range(2))
    _spectra(spectra, maps, labels)
    _histogram(cut, comp)
    _bars(errors, maps)
    letters((spectra, cut, errors))
    footnote(figure, note)
    return figure


def _role(maps: xr.Dataset, energy: float) -> str:
    """What an image is for, in a word."""
    if energy == maps.attrs["pre_eV"]:
        return ", before"
    after = ", after" if "weight" in maps else ", divided by"
    return after if energy == maps.attrs["post_eV"] else ""


def _spectra(ax: Axes, maps: xr.Dataset, labels: dict[str, str]) -> None:
    """Standards as the sample has them on average, and its mean optical density in each image."""
    inside = maps["sample"].values
    axis = maps["spectrum_energy"].values
    amount = maps["weight"].values[:, inside].sum(axis=0).mean()
    for k, name in enumerate(maps["standard"].values.tolist()):
        colour = CATEGORIES[k % len(CATEGORIES)]
        curve = amount * maps["spectrum"].values[k]
        ax.plot(axis, curve, color=colour, label=pretty(labels.get(name, name)))
    density = maps["optical_density"].values[:, inside].astype(float)
    mean, spread = density.mean(axis=1), density.std(axis=1)
    energy = maps["energy"].values
    ax.errorbar(energy, mean, spread, fmt="o", color=INK, markersize=3, label="sample, mean ± sd")
    for one in energy:
        ax.axvline(one, color="0.8", linewidth=0.5, zorder=0)
    reach = max(0.15 * float(np.ptp(energy)), 3.0)
    ax.set_xlim(max(axis[0], energy[0] - reach), min(axis[-1], energy[-1] + reach))
    ax.set(xlabel=PHOTON_ENERGY, ylabel="optical density", title="Standards of the mean mass")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2)


def _histogram(ax: Axes, comp: xr.Dataset) -> None:
    """Composition before it was cut off, its bounds, and the shares beyond them."""
    value = comp["composition_unclipped"].values[comp["mask"].values]
    low, high = (float(one) for one in comp.attrs["bounds"])
    span = high - low
    edges = np.linspace(low - span, high + span, 61)
    ax.hist(np.clip(value, edges[0], edges[-1]), edges.tolist(), color="0.75")
    for bound, side in ((low, "low"), (high, "high")):
        ax.axvline(bound, color=INK, linewidth=0.8, linestyle="dashed")
        share = 100 * float(comp.attrs[f"clipped_{side}"])
        ax.annotate(
            f"{share:.0f} % cut",
            (bound, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if side == "low" else 3, -3),
            textcoords="offset points",
            ha="right" if side == "low" else "left",
            va="top",
        )
    ax.set(
        title="Before it was cut off",
        xlabel=pretty(str(comp.attrs["variable"])),
        ylabel="pixels (ends: all beyond)",
        xlim=(edges[0], edges[-1]),
    )
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _bars(ax: Axes, maps: xr.Dataset) -> None:
    """Error of composition by source, rms over the sample."""
    inside = maps["sample"].values
    sources = maps["source"].values.tolist()
    rms = np.sqrt((maps["error"].values[:, inside].astype(float) ** 2).mean(axis=1))
    colours = [CATEGORIES[0]] + [_COMMON] * (len(sources) - 1)
    ax.barh(range(len(sources)), rms, color=colours)
    ax.set_yticks(range(len(sources)), [_SOURCES.get(one, one) for one in sources])
    ax.invert_yaxis()
    ax.set(title="Error by source", xlabel="standard deviation (rms)")
