"""Drift between the frames of a stack, measured."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from scipy import ndimage

from chemoscape import stack as stacks
from chemoscape.blocks import for_each_band
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess import joint_fit, registration
from chemoscape.preprocess.resample import fill_nearest
from chemoscape.preprocess.shifts import Drift
from chemoscape.region import Region

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
