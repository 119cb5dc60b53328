"""What the instrument did: the file, its energies, drift, the empty beam, the noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten

import numpy as np
import xarray as xr
from scipy.ndimage import uniform_filter

from chemoscape import stack as stacks
from chemoscape.blocks import for_each_band
from chemoscape.errors import StackError
from chemoscape.few_energies.problem import FEW_IMAGES
from chemoscape.look.notes import Notes, number, percent, some
from chemoscape.preprocess.absorbance import optical_density
from chemoscape.preprocess.alignment import align, crop_common
from chemoscape.preprocess.beam.background import find_background
from chemoscape.preprocess.drift import measure_drift
from chemoscape.preprocess.noise import AGREES, CORRELATED
from chemoscape.standards.library import Library

#: Frames that fix the level before an edge, and behind it.
FEWEST_BEFORE, FEWEST_BEHIND = 3, 4
#: A library whose spectra are level over less than this (eV) does not say where its edge is.
SHORTEST_LEVEL_EV = 1.0
#: Drift is measured on frames of about this many pixels along an axis, binned from larger ones.
DRIFT_PIXELS = 200
#: Shares of the field that drift may lose, and of the frames that may not be found.
LARGEST_LOSS, NOTABLE_LOSS, MOST_LOST = 0.20, 0.05, 0.10
#: Below this drift (rms, pixels) a frame that shows too little to be placed does no harm.
STILL_PX = 0.5
#: Errors of I0, in optical density, that spoil a stack, and that ask for care.
STALE_OD, UNSTEADY_OD = 0.05, 0.02
#: Counts per unit that exceed the header's by this factor cannot be: noise below that of counting.
IMPOSSIBLE_NOISE = 3.0
#: Counts left where the sample is darkest: too few, and few.
FEWEST_COUNTS, FEW_COUNTS = 30.0, 100.0

_NOT_FOUND = "no empty background was found in the image: "


def file(notes: Notes, path: Path, stack: xr.DataArray, cut: str, said: list[str]) -> None:
    """Which file, what its numbers are, how large; what its reader `said` asks for care."""
    n, ny, nx = stack.shape
    dy, dx = stacks.pixel_size(stack)
    quantity, unit = str(stack.attrs["quantity"]), str(stack.attrs.get("unit", ""))
    what = quantity.replace("_", " ")
    if unit not in ("", "counts"):
        what += f" in {unit}{' units' if unit == 'arbitrary' else ''}"
    pixel = f"{dx:.3g}" if abs(dy - dx) < 1e-3 * dx else f"{dx:.3g} × {dy:.3g}"
    parts = [what, f"{n} × {ny} × {nx} (energy × y × x)", f"pixel {pixel} µm"]
    for key, words in (("dwell_ms", "dwell {:g} ms"), ("counter_divider", "divided by {:g}")):
        if key in stack.attrs:
            notes.facts[key] = float(stack.attrs[key])
            parts.append(words.format(notes.facts[key]))
    form = str(stack.attrs.get("format", "unknown format"))
    notes.tell("file", f"{path.name} ({form}): {', '.join([*parts, cut][: None if cut else -1])}")
    notes.facts.update(file=str(path), format=form, quantity=quantity, unit=unit)
    notes.facts.update(n_energy=n, n_y=ny, n_x=nx, pixel_y_um=dy, pixel_x_um=dx)
    notes.facts["looked_at"] = cut or "all"
    where = f"{stack.attrs.get('source', path)}: "
    for sentence in said:
        words = shorten(sentence.removeprefix(where), 90, placeholder=" …")
        notes.care(f"of the file: {words}")


@dataclass(frozen=True)
class Edge:
    """Frames (n_energy,) of bool before and behind the absorption edge."""

    before: np.ndarray
    behind: np.ndarray


def energies(
    notes: Notes, stack: xr.DataArray, energy: np.ndarray, library: Library | None
) -> Edge | None:
    """Range and steps, and whether they reach from before the library's edge to behind it."""
    text = f"{energy[0]:.2f} eV, a single image"
    if energy.size > 1:
        step = np.diff(energy)
        steps = f"{step.min():.2g}" + (f" to {step.max():.2g}" if np.ptp(step) > 0.02 else "")
        text = f"{energy[0]:.2f} to {energy[-1]:.2f} eV in steps of {steps} eV"
    missing = stack.sizes["energy"] - energy.size
    if missing:
        text += f"; {missing} of {stack.sizes['energy']} images hold nothing (yet)"
    notes.tell("energies", text, n_images_missing=missing)
    notes.facts.update(energy_min_eV=float(energy[0]), energy_max_eV=float(energy[-1]))
    if energy.size < 2:
        notes.stop("there is one image and no spectrum", "measure a stack over an edge")
        return None
    onset, end = _edge_of(library) if library is not None else (np.nan, np.nan)
    if library is None or not library.covers(energy).any() or not np.isfinite(onset + end):
        return None
    edge = Edge(energy < onset, energy > end)
    before, behind = int(edge.before.sum()), int(edge.behind.sum())
    where = f"{before} before the edge (below {onset:.1f}), {behind} behind (above {end:.1f})"
    notes.tell("energies", f"{text}; {where}", n_before_edge=before, n_behind_edge=behind)
    if energy.size <= FEW_IMAGES:
        notes.tell("energies", f"{text}; {where}; few images, for [few_energies] and no spectrum")
        if not before:
            notes.care(f"no image before the edge, below {onset:.0f} eV: an offset would not show")
        return edge
    for n, least, side, add in (
        (before, FEWEST_BEFORE, "before", f"add some below {onset:.0f} eV"),
        (behind, FEWEST_BEHIND, "behind", f"add some above {end:.0f} eV"),
    ):
        if n < least:
            notes.stop(f"{n} energ{'y' if n == 1 else 'ies'} {side} the edge", add)
    return edge


def _edge_of(library: Library) -> tuple[float, float]:
    """Where the standards begin to rise, and where they have come to rest (eV); NaN where they
    show no level before, or behind, themselves.
    """
    axis = np.linspace(*library.energy_range, 1001)
    mean = library.spectra(axis).values.mean(axis=0)
    height = float(np.ptp(mean))
    risen = axis[mean > mean[0] + 0.05 * height]
    restless = axis[np.abs(mean - mean[-1]) > 0.10 * height]
    onset = float(risen[0]) if risen.size else np.nan
    end = float(restless[-1]) if restless.size else np.nan
    level = SHORTEST_LEVEL_EV
    return onset if onset - axis[0] > level else np.nan, end if axis[-1] - end > level else np.nan


# --- drift ----------------------------------------------------------------------------------------


def drift(notes: Notes, part: xr.DataArray) -> xr.DataArray:
    """How far the frames wander; the stack with that taken out in whole pixels."""
    n, ny, nx = part.shape
    if n < 2:
        notes.tell("drift", "one image does not drift")
        return part
    factor = max(round(max(ny, nx) / DRIFT_PIXELS), 1)
    with notes.listening() as said:
        found = measure_drift(_binned(part, factor))
    found = replace(found, shifts=found.shifts * factor)
    lost = np.asarray(found.replaced, dtype=bool)
    notes.facts.update(drift_max_px=found.max_px, drift_rms_px=found.rms_px)
    notes.facts["frames_not_found_eV"] = [float(value) for value in found.energy[lost]]
    if said and not found.shifts.any():
        notes.tell("drift", f"not measured: {said[0].split(';')[0]}")
        notes.care("drift could not be measured")
        return part

    whole = replace(found, shifts=np.rint(found.shifts))
    dy, dx = np.ptp(whole.shifts, axis=0)
    loss = 1 - max(ny - dy, 0) * max(nx - dx, 0) / (ny * nx)
    text = f"max {found.max_px:.1f} px, rms {found.rms_px:.1f} px"
    if factor > 1:
        text += f" (on {factor} × {factor} binned frames)"
    if lost.any():
        text += f"; {lost.sum()} of {n} frames not found ({some(found.energy[lost])})"
    if loss > 0.005:
        text += f"; loses {percent(loss)} of the field"
    notes.tell("drift", text, drift_loss=float(loss))
    if lost.mean() > MOST_LOST:
        why = f"{percent(lost.mean())} of the frames cannot be placed"
        notes.stop(why, "count longer, or take a field with sharper edges")
    elif lost.any() and found.rms_px > STILL_PX:  # or an interpolated shift is as good
        notes.care(f"look at the {lost.sum()} frames that could not be placed")
    if loss > LARGEST_LOSS:
        why = f"drift loses {percent(loss)} of the field"
        notes.stop(why, "let the stage settle, or scan wider")
    elif loss > NOTABLE_LOSS:
        notes.care(f"drift loses {percent(loss)} of the field")
    if not whole.shifts.any() or dy >= ny or dx >= nx:
        return part
    return crop_common(align(part, whole))


def _binned(stack: xr.DataArray, factor: int) -> xr.DataArray:
    """The stack with `factor` × `factor` pixels averaged; pixels beyond the last whole ones go."""
    if factor == 1:
        return stack
    ny, nx = (size // factor for size in stack.shape[1:])
    values = stack.values[:, : ny * factor, : nx * factor]
    small = np.empty((len(values), ny, nx), dtype=np.float32)

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            rows = np.add.reduceat(values[i], np.arange(0, ny * factor, factor), axis=0)
            small[i] = np.add.reduceat(rows, np.arange(0, nx * factor, factor), axis=1)

    for_each_band(work, len(values), rows_per_band=1)
    small /= factor**2
    y = stack["y"].values[: ny * factor].reshape(-1, factor).mean(axis=1)
    x = stack["x"].values[: nx * factor].reshape(-1, factor).mean(axis=1)
    return stacks.like(stack, small, y=y, x=x)


# --- background, I0, noise ------------------------------------------------------------------------


def background(
    notes: Notes, still: xr.DataArray, part: xr.DataArray
) -> tuple[xr.Dataset, xr.DataArray] | None:
    """The empty field and whether it serves as I0; optical density, and the stack it is of.

    Where the aligned stack shows no background, the recorded one is tried: the drift may be wrong.
    """
    try:
        od = optical_density(still)
    except StackError as error:
        if still is not part:
            return background(notes, part, part)
        notes.tell("background", f"none found: {error.what.removeprefix(_NOT_FOUND)}")
        notes.stop("there is no background", "scan empty space beside the sample, or measure I0")
        return None
    if still.attrs["quantity"] != "counts":
        _zero(notes, od)
        return od, still
    empty, i0 = od["background"].values, od["i0"].values
    known = float(np.sqrt(np.nanmax(od["i0_variance"].values / i0**2)))
    g = float(od.attrs["noise_counts_per_unit"])
    uneven, unsteady = halves(still.values, empty, g)
    notes.tell(
        "background",
        f"{percent(empty.mean())} of the field is empty; I0 {number(i0.min())} to "
        f"{number(i0.max())} per pixel, known to {100 * known:.1g} %; its halves agree within "
        f"{100 * max(uneven, unsteady):.1g} %",
    )
    notes.facts.update(background_share=float(empty.mean()), i0_relative_sd=known)
    notes.facts.update(i0_min=float(i0.min()), i0_max=float(i0.max()))
    notes.facts.update(i0_uneven=uneven, i0_unsteady=unsteady)
    if unsteady > STALE_OD:
        why = f"the beam changes by {percent(unsteady)} within the images"
        notes.stop(why, "look at top-up, shutter and mirrors, and measure again")
    elif max(unsteady, uneven) > UNSTEADY_OD:
        notes.care("the beam is uneven: take I0 next to the sample")
    return od, still


def _zero(notes: Notes, od: xr.Dataset) -> None:
    """Whether the I0 that somebody applied brings the background to zero at every energy."""
    density = od["optical_density"]
    beam = stacks.build(
        1e4 * np.exp(-density.values),
        *(density[name].values for name in stacks.DIMS),
        quantity="counts",
    )
    try:
        empty = find_background(beam).values
    except StackError as error:
        notes.tell("background", f"none found: {error.what.removeprefix(_NOT_FOUND)}")
        notes.care("without a background, the zero of the optical density cannot be checked")
        return
    level = means(density.values, empty)
    offset, varies = float(np.nanmedian(level)), float(np.nanstd(level))
    notes.tell(
        "background",
        f"{percent(empty.mean())} of the field is empty; its optical density, with an I0 from "
        f"elsewhere, is {offset:+.3f} ± {varies:.3f} over energy",
    )
    notes.facts.update(background_share=float(empty.mean()))
    notes.facts.update(background_od=offset, background_od_sd=varies)
    if max(abs(offset), varies) > STALE_OD:
        why = f"I0 is stale: the background has an optical density of {offset:+.2f} ± {varies:.2f}"
        notes.stop(why, "go back to the counts, and take I0 from the background")
    elif max(abs(offset), varies) > UNSTEADY_OD:
        notes.care("I0 does not quite belong to this stack")


def means(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Mean (n,) of the pixels inside of every frame, those without a value left out."""
    result = np.full(len(values), np.nan)

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            pixels = values[i][inside]
            pixels = pixels[np.isfinite(pixels)]
            if pixels.size:
                result[i] = pixels.mean(dtype=np.float64)

    for_each_band(work, len(values), rows_per_band=1)
    return result


def halves(counts: np.ndarray, empty: np.ndarray, g: float) -> tuple[float, float]:
    """By how much the beam differs between the halves of the background, as shares of it.

    Of upper and lower, left and right half the larger: the constant part, and the scatter over
    energy beyond that of counting (g counts per unit). I0 from a background is zero on average by
    construction; its halves are not.
    """
    uneven = unsteady = 0.0
    for axis, position in enumerate(np.nonzero(empty)):
        side = np.indices(empty.shape)[axis] < np.median(position)
        one, other = empty & side, empty & ~side
        if not (one.any() and other.any()):
            continue
        a, b = means(counts, one), means(counts, other)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(a / b)
            counting = float(np.nanmean(1 / (g * a * one.sum()) + 1 / (g * b * other.sum())))
        uneven = max(uneven, abs(float(np.nanmean(ratio))))
        unsteady = max(unsteady, float(np.sqrt(max(np.nanvar(ratio) - counting, 0.0))))
    return uneven, unsteady


def noise(
    notes: Notes, still: xr.DataArray, od: xr.Dataset, where: xr.DataArray, spectrum: np.ndarray
) -> None:
    """Counts per recorded unit, whether pixels are independent, what light the sample leaves."""
    if still.attrs["quantity"] != "counts":
        what = str(still.attrs["quantity"]).replace("_", " ")
        notes.tell("noise", f"not judged: the stack holds {what}, and its counts are not known")
        return
    if still.attrs.get("unit") == "arbitrary":
        notes.tell("noise", "not judged: values of a reconstruction are no counts")
        return
    g, source = float(od.attrs["noise_counts_per_unit"]), str(od.attrs["noise_source"])
    correlation = float(od.attrs["noise_correlation"])
    header = float(still.attrs.get("counter_divider", np.nan))
    if source == "assumed":
        origin = "assumed"
    else:
        origin = f"header {header:g}" if np.isfinite(header) else "measured; the header has none"
    notes.facts.update(noise_counts_per_unit=g, noise_source=source)
    notes.facts["noise_correlation"] = correlation if np.isfinite(correlation) else None
    text = f"{g:.3g} counts per unit ({origin}), {_neighbours(notes, correlation)}"
    ratio = g / header if source == "measured" and header > 0 else 1.0
    if ratio > IMPOSSIBLE_NOISE and correlation <= CORRELATED:
        why = f"the noise is {np.sqrt(ratio):.1f} times less than counting allows"
        notes.stop(why, "look at the detector: saturated, filtered, another counter divider?")
    elif ratio < 1 - AGREES:
        notes.care(f"the noise is {np.sqrt(1 / ratio):.1f} times that of counting")
    elif ratio > 1 + AGREES:
        notes.care(f"the noise is not that of the header's {header:g} counts per unit")
    if where.values.any() and np.isfinite(spectrum).any():
        darkest = int(np.nanargmax(spectrum))
        image = uniform_filter(np.nan_to_num(still.values[darkest]).astype(np.float64), 3)
        least = g * float(np.percentile(image[where.values], 5))
        at = float(still["energy"][darkest])
        text += f"; the sample leaves {number(least)} counts at its darkest ({at:.2f} eV)"
        notes.facts.update(darkest_counts=least, darkest_energy_eV=at)
        if least < FEWEST_COUNTS:
            why = f"{least:.0f} counts are left at the darkest"
            notes.stop(why, "count longer, or take a thinner part")
        elif least < FEW_COUNTS:
            notes.care(f"{least:.0f} counts at the darkest are few")
    notes.tell("noise", text)


def _neighbours(notes: Notes, correlation: float) -> str:
    """Words for the correlation of neighbouring pixels."""
    if not np.isfinite(correlation):
        notes.care("the background has no noise, as in a simulation or after smoothing")
        return "no noise to measure"
    if correlation > CORRELATED:
        notes.care("the images were interpolated or smoothed, or the beam flickers")
        return f"neighbours correlated ({correlation:.2f})"
    return "neighbours independent"
