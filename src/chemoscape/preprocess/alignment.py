"""Take the drift out of a stack, and keep what all frames saw."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.blocks import for_each_band
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess.resample import shift_image
from chemoscape.preprocess.shifts import Drift

#: Energies of a drift and a stack that differ by less (eV) are the same: files round to 0.01 eV.
SAME_ENERGY_EV = 0.02


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
    per_energy = stacks.along_energy(stack) | {"noise_gain": gain}
    return stacks.like(stack, moved, per_energy=per_energy)


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
        named = ", ".join(f"{value:.2f}" for value in stack["energy"].values[empty][:6])
        raise StackError(
            f"{empty.sum()} frames hold no value ({named}{', …' if empty.sum() > 6 else ''} eV)",
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
    return stacks.like(
        stack,
        stack.values[:, top:bottom, left:right],
        y=stack["y"].values[top:bottom],
        x=stack["x"].values[left:right],
    )
