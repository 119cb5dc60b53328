"""Drift between the frames of a stack: measure it, take it out, keep what all frames saw."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from scipy import ndimage

from chemoscape import stack as stacks
from chemoscape.blocks import for_each_band
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess import joint_fit, registration
from chemoscape.preprocess.resample import fill_nearest, shift_image
from chemoscape.preprocess.shifts import Drift
from chemoscape.stack import Region

#: Energies of a drift and a stack that differ by less (eV) are the same: files round to 0.01 eV.
SAME_ENERGY_EV = 0.02
#: Edges need some pixels around them.
SMALLEST_IMAGE = 8


def measure_drift(
    stack: xr.DataArray, *, reference: int | None = None, region: Region | None = None
) -> Drift:
    """Measure the drift of every frame against one fixed, high-contrast frame.

    Edge maps (Gaussian of 1 pixel, Farid's filter) are cross-correlated to 0.01 pixel, so that
    contrast may reverse across an absorption edge; all shifts are then refined together under a
    model of a few images with a spectrum each (see `chemoscape.preprocess.joint_fit`). Frames
    whose correlation is not above chance, or that leave the run of their neighbours while looking
    unlike them, get an interpolated shift, and a warning names their energies.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, transmission or optical density.
    reference : int, optional
        Index of the fixed frame; chosen by contrast when not given.
    region : Region, optional
        Part of the image to look at, when other parts move by themselves.

    Returns
    -------
    Drift
        Shifts to apply, zero for the reference frame.

    Raises
    ------
    StackError
        `reference` is no frame of the stack.

    Warns
    -----
    ChemoscapeWarning
        No frame shows any contrast (the shifts are then zero), or shifts were replaced.
    """
    stacks.check(stack)
    energy = stack["energy"].values
    n = energy.size
    if reference is not None and not 0 <= reference < n:
        raise StackError(
            f"there is no frame {reference} to serve as the reference",
            remedy=f"give a frame number from 0 to {n - 1}",
        )
    frames, weights = _intensities(stack, region)
    if n == 1:
        return _no_drift(energy, 0, np.ones(1))
    if min(frames.shape[1:]) < SMALLEST_IMAGE:
        warnings.warn(
            f"no drift was measured: the image has {frames.shape[1]} × {frames.shape[2]} pixels, "
            f"and {SMALLEST_IMAGE} × {SMALLEST_IMAGE} are needed",
            ChemoscapeWarning,
            stacklevel=2,
        )
        return _no_drift(energy, reference or 0, np.zeros(n))
    chosen = registration.choose_reference(frames, weights) if reference is None else reference
    match = registration.match_frames(frames, weights, chosen)
    bad = registration.untrusted(
        match, registration.chance_correlation(float(weights[chosen].sum()))
    )
    if bad[np.arange(n) != chosen].all():
        warnings.warn(
            "no contrast: no frame resembles another, so that no drift could be measured and none "
            "is corrected; give a region with structure in it, or the shifts of another program "
            "(.aln)",
            ChemoscapeWarning,
            stacklevel=2,
        )
        return _no_drift(energy, chosen, match.quality)
    bad[chosen] = False
    shifts = match.shifts.copy()
    # a half-lost frame may be found rightly, and yet must not tell the others where they are
    whole = ~bad & (match.quality >= 0.5 * registration.usual_quality(match))
    shifts[whole] = joint_fit.refine(frames[whole], shifts[whole], weights[whole].min(axis=0))
    shifts = registration.bridge_gaps(shifts - shifts[chosen], bad)
    if bad.any():
        warnings.warn(
            f"the drift of {bad.sum()} of {n} frames could not be measured and was interpolated "
            f"from their neighbours ({_some_energies(energy[bad])}); look at these frames, and "
            "drop them if they are damaged",
            ChemoscapeWarning,
            stacklevel=2,
        )
    return Drift(shifts, energy.copy(), chosen, match.quality, bad)


def _no_drift(energy: np.ndarray, reference: int, quality: np.ndarray) -> Drift:
    """Zero shifts."""
    n = energy.size
    return Drift(np.zeros((n, 2)), energy.copy(), reference, quality, np.zeros(n, dtype=bool))


def align(stack: xr.DataArray, drift: Drift) -> xr.DataArray:
    """Move every frame by its shift, with cubic splines.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, transmission or optical density.
    drift : Drift
        Shifts to apply; within 0.02 pixel of a whole number they are taken as whole.

    Returns
    -------
    DataArray (energy, y, x)
        A new Stack, NaN where a frame saw nothing, frames moved by whole pixels exactly as
        measured. Its coordinate ``noise_gain`` along energy is the sum of squared interpolation
        weights: the variance of a pixel's noise is multiplied by it, the variance of an average
        over many pixels is not.

    Raises
    ------
    StackError
        The drift belongs to another stack.

    Warns
    -----
    ChemoscapeWarning
        The stack was already aligned: interpolating twice blurs it, and its noise is only
        approximately known.
    """
    stacks.check(stack)
    energy = stack["energy"].values
    if len(drift.shifts) != energy.size:
        raise StackError(
            f"the drift has {len(drift.shifts)} shifts, the stack {energy.size} frames",
            remedy="give the drift measured on this stack",
        )
    known = np.isfinite(drift.energy)
    apart = np.abs(drift.energy - energy)[known]
    if apart.size and apart.max() > SAME_ENERGY_EV:
        raise StackError(
            f"the drift belongs to other energies, up to {apart.max():.2f} eV away",
            remedy="give the drift measured on this stack",
        )
    gain = drift.noise_gain
    if "noise_gain" in stack.coords:
        if (gain < 1).any() and (stack["noise_gain"].values < 1).any():
            warnings.warn(
                "the stack was already aligned once and is interpolated again, which blurs it; "
                "align the recorded stack with the sum of both shifts",
                ChemoscapeWarning,
                stacklevel=2,
            )
        gain = gain * stack["noise_gain"].values
    frames = stack.values
    moved = np.empty(frames.shape, dtype=np.float32)

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            moved[i] = shift_image(frames[i], drift.shifts[i])

    for_each_band(work, len(frames), rows_per_band=1)
    per_energy = along_energy(stack) | {"noise_gain": gain}
    return _like(stack, moved, stack["y"].values, stack["x"].values, per_energy)


def crop_common(stack: xr.DataArray) -> xr.DataArray:
    """Cut away the border that some frame did not see; single missing pixels inside stay NaN.

    Raises
    ------
    StackError
        Some frame is empty, or no part of the field was seen by all frames.
    """
    stacks.check(stack)
    seen = np.isfinite(stack.values)
    empty = ~seen.any(axis=(1, 2))
    if empty.any():
        raise StackError(
            f"{empty.sum()} frames hold no value ({_some_energies(stack['energy'].values[empty])})",
            remedy="drop them with [input] drop_energies",
        )
    missing = ~seen.all(axis=0)
    top, bottom, left, right = 0, missing.shape[0], 0, missing.shape[1]
    while top < bottom and left < right:
        if missing[top, left:right].all():
            top += 1
        elif missing[bottom - 1, left:right].all():
            bottom -= 1
        elif missing[top:bottom, left].all():
            left += 1
        elif missing[top:bottom, right - 1].all():
            right -= 1
        else:
            break
    if top >= bottom or left >= right:
        raise StackError(
            "no part of the field was seen by all frames",
            remedy="look at the drift, and drop frames that lie far from the others",
        )
    return _like(
        stack,
        stack.values[:, top:bottom, left:right],
        stack["y"].values[top:bottom],
        stack["x"].values[left:right],
        along_energy(stack),
    )


def along_energy(stack: xr.DataArray) -> dict[str, np.ndarray]:
    """Coordinates that belong to frames (ring current, dwell, noise gain, …), energy itself left
    out.
    """
    return {
        str(name): coordinate.values
        for name, coordinate in stack.coords.items()
        if coordinate.dims == ("energy",) and name != "energy"
    }


def _like(
    stack: xr.DataArray,
    values: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    per_energy: dict[str, np.ndarray],
) -> xr.DataArray:
    """A new Stack of the same quantity and measurement."""
    facts = {key: value for key, value in stack.attrs.items() if key not in ("quantity", "units")}
    return stacks.build(
        values,
        stack["energy"].values,
        y,
        x,
        quantity=stack.attrs["quantity"],
        per_energy=per_energy,
        attrs={str(key): value for key, value in facts.items()},
    )


def _intensities(stack: xr.DataArray, region: Region | None) -> tuple[np.ndarray, np.ndarray]:
    """Transmitted intensity (n, ny, nx), finite and not negative, and weights: 0 outside `region`
    and near NaN.
    """
    values = stack.values
    inside = np.ones(values.shape[1:], dtype=bool)
    if region is not None:
        inside = region.mask(stack).values
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        values, inside = values[:, *window], inside[window]
    frames = np.empty(values.shape, dtype=np.float32)
    weights = np.empty(values.shape, dtype=np.float32)
    density = stack.attrs["quantity"] == "optical_density"

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            frame = np.exp(-values[i]) if density else values[i]
            missing = ~np.isfinite(frame)
            if missing.any():
                frame = fill_nearest(frame, missing)
                weights[i] = inside & ~ndimage.binary_dilation(missing, iterations=3)
            else:
                weights[i] = inside
            frames[i] = np.maximum(frame, 0.0)

    for_each_band(work, len(values), rows_per_band=1)
    return frames, weights


def _some_energies(energy: np.ndarray) -> str:
    """Up to six energies as text."""
    named = ", ".join(f"{value:.2f}" for value in energy[:6])
    return f"{named}{', …' if energy.size > 6 else ''} eV"
