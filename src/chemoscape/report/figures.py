"""The figures of a run (the paper's Figures 3 and S8 to S13), one function each.

Every function takes the Dataset of one step and returns a `matplotlib.figure.Figure`. Those of the
normalisation, of the decomposition and of its outcomes live in the modules beside this one and are
offered here too.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chemoscape.report.decomposition import components_figure, fit_figure
from chemoscape.report.matches import clusters_figure
from chemoscape.report.normalisation import background_figure, drift_figure
from chemoscape.report.outcomes import stress_figure, truth_figure
from chemoscape.report.panels import (
    CATEGORIES,
    DIVERGING,
    DOUBLE,
    ERROR,
    INK,
    PHOTON_ENERGY,
    SEQUENTIAL,
    aspect_of,
    colour_bar,
    draw_map,
    figure_png,
    footnote,
    grid_for,
    letters,
    outline,
    robust_limits,
    save_figure,
    styled,
)
from chemoscape.report.words import pretty, synthetic_note, with_units

__all__ = [
    "background_figure",
    "clusters_figure",
    "components_figure",
    "composition_figure",
    "drift_figure",
    "figure_png",
    "fit_figure",
    "save_figure",
    "stress_figure",
    "transmission_and_optical_density",
    "truth_figure",
    "weight_maps",
]


@styled
def transmission_and_optical_density(
    od: xr.Dataset, *, mask: xr.DataArray | None = None, note: str = ""
) -> Figure:
    """Transmission and mean optical density, the I0 region, and the spectra of both.

    Parameters
    ----------
    od : Dataset of `optical_density`
        The transmission drawn is ``exp(-OD)`` at the energy of strongest absorption.
    mask : DataArray (y, x) of bool, optional
        Where the sample is (`sample_mask`), outlined and averaged for its spectrum; default: all
        but the background.
    note : str
        Line at the foot.
    """
    density = od["optical_density"]
    background = od.get("background")
    averaged = "Mean of the sample (dotted)"
    if mask is None:
        averaged = "Mean of all but the background"
        mask = ~background if background is not None else xr.ones_like(density[0], dtype=bool)
    mean, spectrum = _means(density.values, mask.values)
    peak = density.isel(energy=int(np.argmax(np.nan_to_num(spectrum, nan=-np.inf))))

    upright = aspect_of(density) >= 0.6
    cells = (2, 3) if upright else (2, 2)
    aspect = aspect_of(density)
    height = float(np.clip(2.1 * aspect + 0.5 if upright else 6.0 * aspect + 1.1, 2.2, 4.5))
    figure = Figure(figsize=(DOUBLE, height), layout="constrained")
    grid = figure.add_gridspec(*cells)
    left, middle = (grid[:, 0], grid[:, 1]) if upright else (grid[0, 0], grid[1, 0])
    axes = [figure.add_subplot(place) for place in (left, middle, grid[0, -1], grid[1, -1])]

    draw_map(
        axes[0],
        peak.copy(data=np.exp(-peak.values)),
        title=f"Transmission at {float(peak.energy):.1f} eV",
        label="transmission",
        cmap="gray",
    )
    image = peak.copy(data=mean)
    draw_map(axes[1], image, title="Mean optical density", label="optical density", cmap=SEQUENTIAL)
    for region, colour, style in ((background, CATEGORIES[1], "solid"), (mask, "white", "dotted")):
        if region is not None and not region.values.all():
            outline(axes[1], region, colour, style)

    energy = density["energy"].values
    if "i0" in od:
        axes[2].plot(energy, od["i0"], color=CATEGORIES[1])
    units = str(od["i0"].attrs.get("units", "counts")) if "i0" in od else ""
    own = background is not None and od.attrs.get("i0_pixels", 0) > 0
    where = "outlined" if own else str(od.attrs.get("i0_source", "given")).split(",")[0][:40]
    axes[2].set(title=f"Incident intensity I$_0$ ({where})", ylabel=with_units("I$_0$", units))
    axes[2].tick_params(labelbottom=False)
    axes[3].plot(energy, spectrum, color=INK)
    axes[3].set(title=averaged, xlabel=PHOTON_ENERGY, ylabel="optical density")
    for ax in axes[2:]:
        ax.set_xlim(energy[0], energy[-1])
        ax.margins(y=0.12)
        ax.yaxis.set_major_locator(MaxNLocator(4))
    letters(axes)
    footnote(figure, note)
    return figure


def _means(cube: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean map and mean spectrum inside, frame by frame, so that the stack is never copied."""
    total, seen = np.zeros(cube.shape[1:]), np.zeros(cube.shape[1:])
    spectrum = np.full(len(cube), np.nan)
    for index, frame in enumerate(cube):
        known = np.isfinite(frame)
        total[known] += frame[known]
        seen += known
        if (known & inside).any():
            spectrum[index] = frame[known & inside].mean(dtype=float)
    return np.divide(total, seen, out=np.full_like(total, np.nan), where=seen > 0), spectrum


@styled
def weight_maps(maps: xr.Dataset, labels: Sequence[str], *, note: str | None = None) -> Figure:
    """Weight of every standard on one scale, then what the fit leaves over (Figure S9).

    Parameters
    ----------
    maps : Dataset of `deconvolve`
        Weights in g/cm² are shown in µg/cm².
    labels : sequence of str
        Name of each standard, in the order of ``maps.standard``.
    note : str, optional
        Line at the foot; default: whether the standards are synthetic.
    """
    weight = maps["weight"]
    micro = str(weight.attrs.get("units", "")) in ("g/cm2", "g/cm²", "g cm-2")
    weight = weight * (1e6 if micro else 1.0)
    unit = "µg cm$^{-2}$" if micro else "relative weight"
    rest = [name for name in LEFT_OVER if name in maps and np.isfinite(maps[name].values).any()]
    columns, grid_rows, width, height = grid_for(max(len(labels), len(rest)), aspect_of(maps))
    rows = -(-len(labels) // columns)
    all_rows = rows - (-len(rest) // columns)
    figure = Figure(figsize=(width, height * all_rows / grid_rows), layout="constrained")
    grid = figure.subplots(all_rows, columns, squeeze=False)
    weight_axes, rest_axes = grid[:rows].ravel()[: len(labels)], grid[rows:].ravel()[: len(rest)]
    for ax in {*grid.ravel()} - {*weight_axes, *rest_axes}:
        ax.remove()

    low, high = robust_limits(weight.values)
    for number, (ax, label) in enumerate(zip(weight_axes, labels, strict=True)):
        image = weight.isel(standard=number)
        limits = (min(low, 0.0), high)
        title = pretty(textwrap.fill(label, max(int(width / columns / 0.066), 8)))
        shown = draw_map(ax, image, title=title, limits=limits, colourbar=False)
        if number % columns == columns - 1 or number == len(labels) - 1:
            colour_bar(ax, shown, unit, weight.values, aspect_of(maps))
    sample = maps["sample"].values if "sample" in maps else np.ones(weight.shape[1:], bool)
    for ax, name in zip(rest_axes, rest, strict=True):
        title, label, cmap = LEFT_OVER[name]
        scale = robust_limits(maps[name].values[sample], symmetric=cmap == DIVERGING)
        draw_map(ax, maps[name], title=title, label=label, cmap=cmap, limits=scale)
        if not sample.all():
            outline(ax, maps["sample"], "white" if cmap == ERROR else INK, "dotted")
    letters([*weight_axes, *rest_axes])
    footnote(figure, synthetic_note(labels) if note is None else note)
    return figure


#: What a fit leaves over: title, label of the scale, colours.
LEFT_OVER = {
    "residual": ("Residual (rms)", "optical density", ERROR),
    "reduced_chi2": ("Reduced χ²", "", ERROR),
    "baseline": ("Baseline", "optical density", DIVERGING),
    "baseline_per_eV": ("Slope of the baseline", "optical density per eV", DIVERGING),
}


@styled
def composition_figure(comp: xr.Dataset, *, note: str = "") -> Figure:
    """Composition, its uncertainty, the thickness, and how composition is distributed.

    Parameters
    ----------
    comp : Dataset of `composition`
        NaN outside its mask.
    note : str
        Line at the foot.
    """
    variable = pretty(str(comp.attrs.get("variable", "composition")))
    thickness, aspect = comp["thickness"], aspect_of(comp)
    units = str(thickness.attrs.get("units", "1"))
    if aspect < 0.5:  # a lying wire: the composition across the whole width
        heights = (6.0 * aspect + 0.45, 2.9 * aspect + 0.45, 2.9 * aspect + 0.45)
        figure = Figure(figsize=(DOUBLE, sum(heights) + 0.2), layout="constrained")
        grid = figure.add_gridspec(3, 2, height_ratios=heights)
        places = [grid[0, :], grid[1, 0], grid[2, 0], grid[1:, 1]]
    elif aspect > 1.6:  # a standing one: side by side
        figure = Figure(figsize=(DOUBLE, min(1.2 * aspect + 0.6, 4.5)), layout="constrained")
        grid = figure.add_gridspec(1, 4, width_ratios=(1, 1, 1, 1.4))
        places = [grid[0, column] for column in range(4)]
    else:
        height = float(np.clip(3.0 * aspect + 0.6, 2.8, 5.5))
        figure = Figure(figsize=(DOUBLE, height), layout="constrained")
        grid = figure.add_gridspec(2, 3, width_ratios=(2.1, 1, 1))
        places = [grid[:, 0], grid[0, 1], grid[0, 2], grid[1, 1:]]
    axes = [figure.add_subplot(place) for place in places]
    cut = [100 * float(comp.attrs.get(f"clipped_{end}", 0.0)) for end in ("low", "high")]
    title = "Composition"
    if any(cut):
        title += f", cut off at its bounds ({cut[0]:.0f} % low, {cut[1]:.0f} % high)"
    draw_map(axes[0], comp["composition"], title=title, label=variable)
    draw_map(axes[1], comp["composition_sd_total"], title="Its sd (total)", cmap=ERROR)
    label = units if units != "1" else "relative"
    scale = float(comp.attrs.get("thickness_scale_sd", 0.0))
    title = f"Thickness (scale ± {100 * scale:.2g} %)" if scale > 0 else "Thickness"
    draw_map(axes[2], thickness, title=title, label=label, cmap="gray_r")
    _histogram(axes[3], comp)
    axes[3].set(title="Distribution", xlabel=variable)
    letters(axes)
    footnote(figure, note)
    return figure


def _histogram(ax: Axes, comp: xr.Dataset) -> None:
    """Composition per pixel and per mass, with both means."""
    value = comp["composition"].values
    mass = comp["thickness"].transpose(*comp["composition"].dims).values
    known = np.isfinite(value) & np.isfinite(mass)
    x, mass = value[known], np.clip(mass[known], 0, None)
    ax.set(yticks=[], ylabel="share")
    ax.spines["left"].set_visible(False)
    if not x.size or not mass.sum() > 0:
        return
    by_mass = mass / mass.sum()
    mean = float(comp.attrs.get("mean_pixel", x.mean()))
    mass_mean = float(comp.attrs.get("mean_mass_weighted", x @ by_mass))
    bins = np.linspace(*robust_limits(x), 41).tolist()
    share = np.full(x.size, 1 / x.size)
    ax.hist(x, bins, weights=share, color="0.8", label=f"by pixel, mean {mean:.3f}")
    step: dict[str, Any] = {"histtype": "step", "color": CATEGORIES[0]}
    ax.hist(x, bins, weights=by_mass, label=f"by mass, mean {mass_mean:.3f}", **step)
    ax.margins(y=0.3)
    ax.legend(loc="best", borderaxespad=0.0)
