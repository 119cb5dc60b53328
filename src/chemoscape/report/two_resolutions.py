"""Figure of one particle at two resolutions: STXM beside ptychography (Figures 4A and 4B)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import ndimage
from scipy.interpolate import RegularGridInterpolator

from chemoscape.report.panels import (
    CATEGORIES,
    DIVERGING,
    DOUBLE,
    INK,
    aspect_of,
    draw_map,
    footnote,
    letters,
    robust_limits,
    styled,
)
from chemoscape.stack import pixel_size

#: Most points of the scatter, chosen evenly over the field.
MOST_POINTS = 4000
#: Share of the largest optical density that belongs to the particle, whose long axis the profile
#: crosses.
PARTICLE = 0.5
#: Widths of the blur that the profile goes beyond the particle on either side.
BEYOND = 2.5
#: Width of a map and height of the plots below, inches; fields flatter than this have their maps
#: below each other, so wide.
MAP, BELOW = 1.75, 2.6
FLAT, LONG = 0.6, 4.6
#: Names of the two images.
NAMES = ("STXM", "ptychography")


@styled
def two_resolutions_figure(
    found: xr.Dataset, *, names: tuple[str, str] = NAMES, note: str = ""
) -> Figure:
    """Both optical densities, the fine one blurred less the coarse one, their regression, and a
    profile across the particle.

    Parameters
    ----------
    found : Dataset
        What `compare_resolutions` returned.
    names : pair of str
        What to call the coarse and the fine image.
    note : str
        Line at the foot, after the numbers.
    """
    fine = found["fine"].rename(fine_y="y", fine_x="x")
    known = np.isfinite(found["fine_on_coarse"].values)
    spans = [np.flatnonzero(known.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    rows, columns = (slice(int(first), int(last) + 1) for first, last in spans)
    shown = found.isel(y=rows, x=columns)
    fine = _within(fine, shown)
    aspect = float(np.clip(aspect_of(shown), 0.15, 2.0))
    lying = aspect < FLAT  # one below the other: side by side they would be stamps
    above = 3 * (LONG * aspect + 0.5) if lying else MAP * aspect + 0.45
    figure = Figure(figsize=(DOUBLE, above + BELOW), layout="constrained")
    rooms = figure.add_gridspec(2, 1, height_ratios=(above, BELOW))
    upper, lower = (figure.add_subfigure(rooms[row]) for row in (0, 1))
    maps = list(upper.subplots(*((3, 1) if lying else (1, 3))))
    plots = list(lower.subplots(1, 2, width_ratios=(1.0, 1.35)))
    limits = robust_limits(shown["coarse"].values, fine.values, share=1.0)
    energies = [found.attrs["coarse_energy_eV"], found.attrs["fine_energy_eV"]]
    for ax, image, name, energy in zip(
        maps, (shown["coarse"], fine), names, energies, strict=False
    ):
        at = f", {energy:.1f} eV" if np.isfinite(energy) else ""
        draw_map(ax, image, title=f"{name}{at}", label="optical density", limits=limits)
    widest = robust_limits(shown["difference"].values, share=0.5, symmetric=True)
    draw_map(
        maps[2],
        shown["difference"],
        title=f"{names[1]}, blurred, − {names[0]}",
        label="Δ optical density",
        cmap=DIVERGING,
        limits=widest,
    )
    ends = _across(shown)
    for ax in maps[:2]:
        ax.plot(*ends[:, ::-1].T, color="white", linewidth=1.6)
        ax.plot(*ends[:, ::-1].T, color=CATEGORIES[5], linewidth=0.8)
    _scatter(plots[0], shown, names)
    _profile(plots[1], shown, fine, ends, names)
    letters([*maps, *plots])
    footnote(figure, " ".join([_numbers(found), note]).strip())
    return figure


def _within(fine: xr.DataArray, field: xr.Dataset) -> xr.DataArray:
    """The part of the fine image in a field of the coarse one."""
    inside = {}
    for name, size in zip(("y", "x"), pixel_size(field), strict=True):
        first, last = field[name].values[0] - size / 2, field[name].values[-1] + size / 2
        inside[name] = (fine[name] >= first) & (fine[name] <= last)
    return fine.isel({name: np.flatnonzero(one.values) for name, one in inside.items()})


def _across(found: xr.Dataset) -> np.ndarray:
    """Ends (2, 2) as (y, x), µm, of a line through the middle of the largest particle along its
    short axis, as far as the field goes.
    """
    density = found["fine_on_coarse"].values
    y, x = np.meshgrid(found["y"].values, found["x"].values, indexing="ij")
    inside = density > PARTICLE * np.nanpercentile(density, 99.5)
    pieces, number = ndimage.label(inside)
    inside = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel(), minlength=number + 1)[1:]))
    points, weights = np.column_stack([y[inside], x[inside]]), density[inside]
    centre = np.average(points, axis=0, weights=weights)
    _, axes = np.linalg.eigh(np.cov(points.T, aweights=weights))
    along = axes[:, 0]
    reach = np.abs((points - centre) @ along).max()
    reach += BEYOND * 1e-3 * found.attrs["resolution_fwhm_nm"]
    corner = np.array([[y.min(), x.min()], [y.max(), x.max()]])
    ends = []
    for sign in (-1, 1):
        step = sign * along
        room = np.where(step > 0, corner[1] - centre, centre - corner[0])
        far = np.where(np.abs(step) > 1e-9, room / np.maximum(np.abs(step), 1e-9), np.inf).min()
        ends.append(centre + min(reach, far) * step)
    return np.array(sorted(ends, key=lambda end: end[1]))


def _scatter(ax: Axes, found: xr.Dataset, names: tuple[str, str]) -> None:
    """Coarse against fine optical density in each pixel, the regression, and equality."""
    seen, coarse = found["fine_on_coarse"].values.ravel(), found["coarse"].values.ravel()
    both = np.flatnonzero(np.isfinite(seen) & np.isfinite(coarse))
    both = both[:: -(-both.size // MOST_POINTS)]
    ax.plot(
        *(seen[both], coarse[both], "."),
        color=CATEGORIES[0],
        markersize=1.6,
        alpha=0.35,
        markeredgewidth=0,
        rasterized=True,
    )
    facts = found.attrs
    ends = robust_limits(seen[both], coarse[both], share=0.0)
    pad = 0.04 * (ends[1] - ends[0])
    ends = (ends[0] - pad, ends[1] + pad)
    line = np.array(ends)
    ax.plot(line, line, color="0.6", linewidth=0.7, linestyle=(0, (4, 2)), label="equal")
    sign = "−" if facts["offset"] < 0 else ""
    ax.plot(
        line,
        facts["slope"] * line + facts["offset"],
        color=CATEGORIES[5],
        linewidth=1.0,
        label=f"slope {facts['slope']:.3f} ± {facts['slope_sd']:.3f}\n"
        f"offset {sign}{abs(facts['offset']):.3f} ± {facts['offset_sd']:.3f}",
    )
    ax.set(
        xlim=ends,
        ylim=ends,
        aspect="equal",
        title=f"{found['fine_on_coarse'].notnull().sum().item()} pixels, "
        f"r = {facts['correlation']:.3f}",
        xlabel=f"OD, {names[1]}, blurred",
        ylabel=f"OD, {names[0]}",
    )
    ax.legend(loc="lower right", borderaxespad=0.2)


def _profile(
    ax: Axes, found: xr.Dataset, fine: xr.DataArray, ends: np.ndarray, names: tuple[str, str]
) -> None:
    """Optical densities along the line on the maps."""
    length = float(np.linalg.norm(ends[1] - ends[0]))
    along = np.linspace(0, 1, 400)
    points = ends[0] + along[:, None] * (ends[1] - ends[0])
    lines = (
        (fine, names[1], CATEGORIES[1], 0.7, "solid"),
        (found["fine_on_coarse"], f"{names[1]}, blurred", CATEGORIES[5], 1.0, "solid"),
        (found["coarse"], names[0], INK, 1.1, (0, (3, 1.2))),
    )
    for image, name, colour, width, style in lines:
        at = RegularGridInterpolator(
            (image["y"].values, image["x"].values), image.values, bounds_error=False
        )
        ax.plot(
            along * length, at(points), color=colour, linewidth=width, linestyle=style, label=name
        )
    low, high = ax.get_ylim()
    ax.set(
        xlim=(0, length),
        ylim=(low, high + 0.28 * (high - low)),
        title="Profile along the line in a and b",
        xlabel="distance (µm)",
        ylabel="optical density",
    )
    ax.legend(loc="upper left", ncols=3, columnspacing=1.2, borderaxespad=0.2)


def _numbers(found: xr.Dataset) -> str:
    """What was found, in words."""
    facts = found.attrs
    return (
        f"Blur between the images: Gaussian of {facts['blur_fwhm_nm']:.0f} nm FWHM (σ "
        f"{facts['blur_sigma_nm']:.1f} ± {facts['blur_sigma_sd_nm']:.1f} nm) in transmission; "
        f"pixels {facts['coarse_pixel_nm']:.1f} and {facts['fine_pixel_nm']:.1f} nm; rms "
        f"difference {facts['rms_difference']:.3f}, about the regression "
        f"{facts['rms_residual']:.3f}."
    )
