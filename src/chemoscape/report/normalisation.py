"""Figures that let a user check what was done before any fit: drift, I0, and its background."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from chemoscape.preprocess.density.shared import shared_variance
from chemoscape.report.panels import (
    CATEGORIES,
    DOUBLE,
    INK,
    OUTSIDE,
    PHOTON_ENERGY,
    SINGLE,
    aspect_of,
    draw_map,
    extent_of,
    footnote,
    letters,
    outline,
    styled,
)
from chemoscape.report.words import with_units

#: Pixels by how far their optical density can be trusted: flag, words, colour.
FLAGS = (
    (1, "OD 1.5 to 2.2", CATEGORIES[4]),
    (2, "OD > 2.2", CATEGORIES[1]),
    (4, "no counts at some energy", CATEGORIES[7]),
)
#: The axis of the background's optical density shows at least this much, so that a thousandth does
#: not look like an error.
SMALLEST_OD = 0.01


@styled
def background_figure(od: xr.Dataset, *, note: str = "") -> Figure:
    """Where I0 was taken, I0 itself, what it leaves of the background, and which pixels are dark.

    Parameters
    ----------
    od : Dataset of `optical_density`
        ``background``, ``i0``, ``i0_variance``, ``variance`` and ``flag`` are drawn where they are
        there. An I0 averaged over the background brings its mean to zero by construction: then its
        halves are drawn, upper less lower and left less right, which tell whether the beam was the
        same over the image.
    note : str
        Line at the foot.
    """
    density, background = od["optical_density"], od.get("background")
    empty = None if background is None or not background.values.any() else background
    own = od.attrs.get("i0_pixels", 0) > 0

    aspect, flagged = aspect_of(density), "flag" in od
    high = float(np.clip(2.0 * aspect, 0.55, 3.0))
    upright = aspect >= 0.6
    height = max(high * (2 if flagged else 1) + 1.0, 3.0) if upright else 2.6 + 0.9 * (1 + flagged)
    figure = Figure(figsize=(DOUBLE, min(height, 7.5)), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.35))
    places = [grid[0, 0] if flagged else grid[:, 0], grid[0, 1], grid[1, 1]]
    axes = [figure.add_subplot(place) for place in places]
    _draw_field(axes[0], density, empty)
    _draw_beam(axes[1], od)
    _draw_zero(axes[2], od, empty, own)
    if flagged:
        axes.insert(2, figure.add_subplot(grid[1, 0]))
        _draw_flags(axes[2], od["flag"])
    letters(axes)
    footnote(figure, note)
    return figure


def _draw_field(ax: Axes, density: xr.DataArray, empty: xr.DataArray | None) -> None:
    """The energy-averaged image in transmission, its background outlined and hatched."""
    mean = np.zeros(density.shape[1:])
    seen = np.zeros(density.shape[1:])
    for frame in density.values:
        known = np.isfinite(frame)
        mean[known] += np.exp(-frame[known])
        seen += known
    mean = np.divide(mean, seen, out=np.full_like(mean, np.nan), where=seen > 0)
    image = density[0].copy(data=mean)
    title = "Mean transmission" + (", no background" if empty is None else "")
    if empty is not None:
        title += f", background {100 * float(empty.mean()):.0f} %"
    draw_map(ax, image, title=title, label="transmission", cmap="gray")
    if empty is not None:
        colour = CATEGORIES[5]
        with_hatch = ax.contourf(
            *(empty[name].values for name in ("x", "y")),
            empty.transpose("y", "x").values.astype(float),
            levels=[0.5, 1.5],
            colors="none",
            hatches=["////"],
        )
        with_hatch.set(edgecolor=colour, linewidth=0.0)
        outline(ax, empty, colour)


def _draw_beam(ax: Axes, od: xr.Dataset) -> None:
    """I0 with two standard deviations to either side."""
    energy = od["energy"].values
    ax.tick_params(labelbottom=False)
    ax.set_xlim(_ends(energy))
    if "i0" not in od:
        ax.set(title="I$_0$ was applied before", yticks=[])
        return
    i0 = od["i0"].values
    sd = np.sqrt(od["i0_variance"].values) if "i0_variance" in od else np.zeros_like(i0)
    source = str(od.attrs.get("i0_source", "given")).split(",")[0]
    title = f"I$_0$ ({source[:40]})"
    if (sd > 0).any():
        ax.fill_between(energy, i0 - 2 * sd, i0 + 2 * sd, color=CATEGORIES[1], alpha=0.35, lw=0)
        title += f", ± 2 sd: {200 * float(np.nanmedian(sd / i0)):.2g} %"
    else:
        title += ", error not known"
    ax.plot(energy, i0, color=CATEGORIES[5], **_marks(energy))
    units = str(od["i0"].attrs.get("units", "counts"))
    ax.set(title=title, ylabel=with_units("I$_0$", units))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.margins(y=0.12)


def _draw_zero(ax: Axes, od: xr.Dataset, empty: xr.DataArray | None, own: bool) -> None:
    """Optical density of the background, or of its halves, beside what noise would leave of it."""
    energy = od["energy"].values
    ax.set_xlim(_ends(energy))
    ax.set(xlabel=PHOTON_ENERGY, ylabel="optical density")
    ax.axhline(0, color="0.6", linewidth=0.6)
    if empty is None:
        ax.set(title="Background: none to check the zero with", yticks=[])
        return
    curves = background_curves(od, empty.transpose("y", "x").values, halves=own)
    furthest = SMALLEST_OD
    for (label, level, sd), colour in zip(curves, (CATEGORIES[0], CATEGORIES[2]), strict=False):
        if np.isfinite(sd).any():
            ax.fill_between(energy, -2 * sd, 2 * sd, color=colour, alpha=0.22, lw=0)
        ax.plot(energy, level, color=colour, label=label, **_marks(energy))
        furthest = max(furthest, float(np.nanmax(np.abs(level), initial=0.0)))
    ax.set_ylim(-1.25 * furthest, 1.25 * furthest)
    band = " (bands: ± 2 sd of noise)" if any(np.isfinite(sd).any() for *_, sd in curves) else ""
    ax.set_title(f"{'Background, its halves' if own else 'Background'}{band}")
    ax.yaxis.set_major_locator(MaxNLocator(5))
    if len(curves) > 1:
        ax.legend(ncols=2, loc="best")


def background_curves(
    od: xr.Dataset, empty: np.ndarray, *, halves: bool
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """What is left of the background's optical density: name, values and their standard deviation
    (n_energy,); NaN where the variance is not known.

    With `halves` differences of the means over the upper and lower, left and right half; else the
    mean, whose variance is that of its pixels over their number and that of I0.
    """
    if not halves:
        level, variance = _mean_and_variance(od, empty)
        return [("mean", level, np.sqrt(variance))]
    rows, columns = np.nonzero(empty)
    y, x = np.indices(empty.shape)
    parts = (
        ("upper − lower", empty & (y >= np.median(rows)), empty & (y < np.median(rows))),
        ("right − left", empty & (x >= np.median(columns)), empty & (x < np.median(columns))),
    )
    curves = []
    for name, one, other in parts:
        if one.any() and other.any():
            (a, var_a), (b, var_b) = _mean_and_variance(od, one), _mean_and_variance(od, other)
            curves.append((name, a - b, np.sqrt(var_a + var_b)))
    return curves


def _mean_and_variance(od: xr.Dataset, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean optical density (n_energy,) of some pixels and its variance, I0 taken as exact.

    The variance of a pixel holds that of I0, which all share; the noise gain of an aligned frame
    does not apply to averages.
    """
    n = od.sizes["energy"]
    level, variance = np.full(n, np.nan), np.full(n, np.nan)
    gain = od["noise_gain"].values if "noise_gain" in od.coords else np.ones(n)
    common = shared_variance(od)
    for i, frame in enumerate(od["optical_density"].values):
        pixels = frame[inside]
        seen = np.isfinite(pixels)
        if not seen.any():
            continue
        level[i] = pixels[seen].mean(dtype=float)
        if "variance" in od:
            own = od["variance"].values[i][inside][seen].mean(dtype=float) - common[i]
            variance[i] = max(own, 0.0) / gain[i] / seen.sum()
    return level, variance


def _draw_flags(ax: Axes, flag: xr.DataArray) -> None:
    """Where the sample is too thick or dark, with the share of each kind in the legend."""
    values = flag.transpose("y", "x").values.astype(int)
    shown = np.zeros(values.shape)
    handles = []
    for number, (bit, words, colour) in enumerate(FLAGS, start=1):
        # what lets no light through is that before all; who is beyond 2.2 is beyond 1.5, too
        shown[values & bit != 0] = number
        share = 100 * float(((values & bit) != 0).mean())
        handles.append(Patch(facecolor=colour, edgecolor="0.6", label=f"{words}: {share:.2g} %"))
    fine = 100 * float((values == 0).mean())
    handles.insert(0, Patch(facecolor=OUTSIDE, label=f"fine: {fine:.3g} %"))
    colours = ListedColormap([OUTSIDE, *(colour for *_, colour in FLAGS)])
    image = flag.transpose("y", "x").copy(data=shown)
    limits = (-0.5, len(FLAGS) + 0.5)
    draw_map(ax, image, title="What can be believed", cmap=colours, limits=limits, colourbar=False)
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), handlelength=0.9)
    ax.set(xlim=extent_of(image)[:2], ylim=extent_of(image)[2:])


def _ends(energy: np.ndarray) -> tuple[float, float]:
    """Ends of the energy axis, apart even for one energy."""
    return (energy[0], energy[-1]) if energy.size > 1 else (energy[0] - 1, energy[0] + 1)


def _marks(energy: np.ndarray) -> dict[str, Any]:
    """Dots where a line would be too short to see."""
    return {"marker": "o", "markersize": 2.5} if energy.size < 10 else {"linewidth": 0.9}


# --- drift ----------------------------------------------------------------------------------------


@styled
def drift_figure(drift: Any) -> Figure:
    """Shift of each frame, whether it was applied, how well it could be registered, and which ones
    could not.

    Parameters
    ----------
    drift : Drift, or the node ``/drift`` of the results
        Shifts in pixels; frames that are ``replaced`` are hollow. Where there is ``linear``,
        rotation (counter-clockwise) and scaling have an axis of their own.
    """
    energy, quality = np.asarray(drift.energy), np.asarray(drift.quality, dtype=float)
    if isinstance(drift, xr.Dataset):
        shift_y, shift_x = np.asarray(drift["shift_y"]), np.asarray(drift["shift_x"])
        lost = drift["replaced"].values if "replaced" in drift else np.zeros(energy.size)
        linear = drift["linear"].values if "linear" in drift else None
        applied = bool(drift.attrs.get("applied", 1))
    else:
        shift_y, shift_x = np.asarray(drift.shifts).T
        lost, linear = drift.replaced, getattr(drift, "linear", None)
        applied = True
    lost, at = np.asarray(lost, dtype=bool), energy[int(drift.reference)]
    rows = 2 + (linear is not None)
    figure = Figure(figsize=(SINGLE, 2.9 + 1.2 * (rows - 2)), layout="constrained")
    ratios = (2, *(1.3,) * (rows - 2), 1)
    axes = figure.subplots(rows, 1, sharex=True, height_ratios=ratios)
    for ax in axes:
        ax.axvline(at, color="0.5", linewidth=0.6, linestyle="dashed", zorder=0)
    shown, last = axes[0], axes[-1]
    shown.margins(y=0.15)

    shown.axhline(0, color="0.75", linewidth=0.6)
    for values, name, mark, colour in ((shift_x, "x", "o", 0), (shift_y, "y", "s", 5)):
        _draw_frames(shown, energy, values, lost, mark, CATEGORIES[colour], name)
    shown.set(ylabel="shift (pixels)")
    title = "Shifts applied" if applied else "Shifts, not applied"
    shown.set_title(f"{title} (reference: {at:.1f} eV)" if np.isfinite(at) else title)
    shown.legend(ncols=2, loc="best")
    if linear is not None:
        _draw_linear(axes[1], energy, np.asarray(linear), lost)

    _draw_frames(last, energy, quality, lost, "o", INK, "")
    last.set(xlabel=PHOTON_ENERGY, ylabel="quality")
    hollow = f" (hollow: {lost.sum()} of {lost.size} frames interpolated)" if lost.any() else ""
    last.set_title(f"Registration{hollow}")
    if not np.isfinite(quality).any():
        last.set(title="Registration: not measured", yticks=[])
    letters(axes)
    return figure


def _draw_frames(
    ax: Axes,
    energy: np.ndarray,
    values: np.ndarray,
    lost: np.ndarray,
    mark: str,
    colour: str,
    label: str,
) -> None:
    """A value of every frame; hollow where the frame's shift was interpolated."""
    ax.plot(energy, values, color=colour, linewidth=0.6, zorder=2)
    ax.plot(
        *(energy[~lost], values[~lost], mark), color=colour, markersize=2, label=label, zorder=3
    )
    ax.plot(
        *(energy[lost], values[lost], mark),
        color=colour,
        markersize=4,
        markerfacecolor="white",
        markeredgewidth=0.8,
        zorder=4,
    )


def _draw_linear(ax: Axes, energy: np.ndarray, linear: np.ndarray, lost: np.ndarray) -> None:
    """Rotation, counter-clockwise on an image with y upwards, and scaling of every frame.

    Of a matrix on (y, x), rotation is ``atan2(L01 - L10, L00 + L11)`` and scale ``sqrt(det L)``.
    """
    angle = np.degrees(
        np.arctan2(linear[:, 0, 1] - linear[:, 1, 0], linear[:, 0, 0] + linear[:, 1, 1])
    )
    scale = 100 * (np.sqrt(np.abs(np.linalg.det(linear))) - 1)
    ax.axhline(0, color="0.75", linewidth=0.6)
    _draw_frames(ax, energy, angle, lost, "o", CATEGORIES[2], "rotation (°)")
    _draw_frames(ax, energy, scale, lost, "s", CATEGORIES[3], "scaling (%)")
    ax.set(title="Rotation and scaling", ylabel="° and %")
    ax.margins(y=0.35)
    ax.legend(ncols=2, loc="upper left")
