"""Take the drift out of a stack, and keep what all frames saw."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.blocks import for_each_band, is_lazy, reduce_blocks
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess import resample
from chemoscape.preprocess.density import logarithm
from chemoscape.preprocess.density.masks import thick_pixels
from chemoscape.preprocess.density.shared import shared_variance
from chemoscape.preprocess.shifts import SAME_ENERGY_EV, Drift


def align(stack: xr.DataArray, drift: Drift) -> xr.DataArray:
    """Move every frame by its shift, and turn it where the drift says so, with cubic splines.

    Pixel p of the result is taken from c + linear⁻¹ (p - c - shift), c the centre of the image.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, transmission or optical density.
    drift : Drift
        Motion to apply; shifts within 0.02 pixel of a whole number are taken as whole, and turning
        that moves no corner by 0.02 pixel is left out.

    Returns
    -------
    DataArray (energy, y, x)
        A new Stack, lazy when `stack` is; NaN where a frame saw nothing, frames moved by whole
        pixels exactly as measured. Its coordinate ``noise_gain`` along energy is the sum of squared
        interpolation weights (for a turned frame the mean over its pixels): the variance of a
        pixel's noise is multiplied by it, the variance of an average over many pixels is not.

    Raises
    ------
    StackError
        The drift belongs to another stack, or a frame cannot be turned as it says.

    Warns
    -----
    ChemoscapeWarning
        The stack was already aligned: interpolating twice blurs it, and its noise is only
        approximately known.
    """
    stacks.check(stack, lazy=True)
    _require_own(stack, drift)
    shape = stack.sizes["y"], stack.sizes["x"]
    gain = replace(drift, shape=shape).noise_gain
    if "noise_gain" in stack.coords:
        resampled = stack.attrs.get("unit") == "arbitrary"  # reconstructions, to common pixels
        if not resampled and (gain < 1).any() and (stack["noise_gain"].values < 1).any():
            warnings.warn(
                "the stack was already aligned or resampled once and is interpolated again, which "
                "blurs it; align the recorded stack with the sum of both shifts",
                ChemoscapeWarning,
                stacklevel=2,
            )
        gain = gain * stack["noise_gain"].values
    motions = _motions(drift, shape)
    moved = _moved_lazily(stack.data, motions) if is_lazy(stack) else _moved(stack.values, motions)
    per_energy = stacks.along_energy(stack) | {"noise_gain": gain}
    return stacks.like(stack, moved, per_energy=per_energy)


def crop_common(stack: xr.DataArray, drift: Drift | None = None) -> xr.DataArray:
    """Cut away the border that some frame did not see; single missing pixels inside stay NaN.

    A lazy stack is gone through once, band by band, to find the border; the result is lazy.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        As `align` returns it.
    drift : Drift, optional
        What it was aligned with. Of a lazy stack that was only shifted, the border is then known
        without reading it: what was missing in the recorded frames stays, as NaN.

    Raises
    ------
    StackError
        Some frame is empty, or no part of the field was seen by all frames.
    """
    stacks.check(stack, lazy=True)
    if drift is not None and drift.linear is None and is_lazy(stack):
        shape = stack.sizes["y"], stack.sizes["x"]
        return _cut(stack, *resample.seen_by_all(drift.shifts, shape))
    missing, seen = reduce_blocks(_what_is_missing, _below_each_other, stack.data)
    if not seen.all():
        named = ", ".join(f"{value:.2f}" for value in stack["energy"].values[~seen][:6])
        n_empty = int((~seen).sum())
        raise StackError(
            f"{n_empty} frames hold no value ({named}{', …' if n_empty > 6 else ''} eV)",
            remedy="drop them with [input] drop_energies",
        )
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
    return _cut(stack, slice(top, bottom), slice(left, right))


def _cut(stack: xr.DataArray, rows: slice, columns: slice) -> xr.DataArray:
    """What all frames saw."""
    if rows.start >= rows.stop or columns.start >= columns.stop:
        raise StackError(
            "no part of the field was seen by all frames",
            remedy="look at the drift, and drop frames that lie far from the others",
        )
    return stacks.like(
        stack,
        stack.data[:, rows, columns],
        y=stack["y"].values[rows],
        x=stack["x"].values[columns],
    )


def align_density(od: xr.Dataset, drift: Drift) -> xr.Dataset:
    """Move optical densities instead of counts, where dark or flat images were applied first: these
    belong to the pixels of the detector, which drift moves under the sample.

    Parameters
    ----------
    od : Dataset of `optical_density`
        Of the frames as recorded.
    drift : Drift
        Shifts to apply.

    Returns
    -------
    Dataset
        In memory. As `od`, cropped to what all frames show. The variance of a pixel is that of the
        pixels it is interpolated from, times ``noise_gain``, but for the part that I0 has in it.
        ``flag`` is made anew; ``background`` stays where it was in the reference frame.

    Raises
    ------
    StackError
        As `align` and `crop_common`.
    """
    density = od["optical_density"]
    moved = crop_common(align(density, drift))
    field = {"y": moved["y"], "x": moved["x"]}
    replaced = ["optical_density", "variance", "flag", "noise_gain"]
    out = od.drop_vars(replaced, errors="ignore").sel(field)
    out["optical_density"] = moved
    sd: Any = 0.0
    if "variance" in od:
        per_energy = stacks.along_energy(density)
        before = per_energy.pop("noise_gain", np.ones(len(moved)))  # in the variance already
        gain = (moved["noise_gain"].values / before)[:, None, None]
        common = shared_variance(od)[:, None, None]
        own = stacks.like(
            density, (od["variance"].values - common).astype(np.float32), per_energy=per_energy
        )
        variance = np.maximum(align(own, drift).sel(field).values * gain, 0) + common
        out["variance"] = (stacks.DIMS, variance.astype(np.float32), {"units": "1"})
        sd = np.sqrt(variance)
    flag = logarithm.flag_densities(moved.values - 2 * sd, moved.values)
    if od.attrs.get("n_not_positive", 0):
        lost = np.isnan(moved.values).any(axis=0)
        flag = (flag + logarithm.NOT_POSITIVE * lost).astype(np.uint8)
    out["flag"] = (("y", "x"), flag, od["flag"].attrs)
    return out.assign_attrs(n_pixels=flag.size, **thick_pixels(flag))


def _require_own(stack: xr.DataArray, drift: Drift) -> None:
    """Raise unless the drift was measured on frames like these."""
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
    if drift.linear is None:
        return
    shape = stack.sizes["y"], stack.sizes["x"]
    if drift.shape is not None and tuple(drift.shape) != shape:
        raise StackError(
            f"the drift turns frames of {drift.shape[0]} × {drift.shape[1]} pixels about their "
            f"centre, the stack has {shape[0]} × {shape[1]}",
            remedy="align the whole stack first, and cut it then",
        )
    usable = np.isfinite(drift.linear).all(axis=(1, 2))
    usable[usable] = np.linalg.det(drift.linear[usable]) > 0
    if not usable.all():
        raise StackError(
            f"the frame at {energy[~usable][0]:.2f} eV cannot be turned: its matrix is "
            f"{drift.linear[~usable][0].tolist()}",
            remedy="measure the drift again, or give it the matrix [[1, 0], [0, 1]]",
        )


@dataclass(frozen=True)
class _Motion:
    """What moves one frame of `shape` (ny, nx): a shift (dy, dx), and `linear` (2, 2) unless it
    only shifts.
    """

    shape: tuple[int, int]
    shift: np.ndarray
    linear: np.ndarray | None

    def rows_needed(self, rows: slice) -> tuple[int, int]:
        """First and last (exclusive) row of the recorded frame that `rows` of the moved one draw
        on, a row at least.
        """
        n_y, n_x = self.shape
        if not np.isfinite(self.shift).all():
            return 0, 1
        if self.linear is None:
            ends, margin = np.array([rows.start, rows.stop - 1]) - self.shift[0], resample.REACH
        else:
            matrix, offset = resample.source_map(self.shift, self.linear, self.shape)
            y = np.array([rows.start, rows.start, rows.stop - 1, rows.stop - 1])
            ends = matrix[0, 0] * y + matrix[0, 1] * np.array([0, n_x - 1, 0, n_x - 1]) + offset[0]
            margin = 2 * resample.REACH  # what is missing is filled from as far away again
        low = min(max(int(np.floor(ends.min())) - margin, 0), n_y - 1)
        return low, max(min(int(np.ceil(ends.max())) + margin + 1, n_y), low + 1)

    def apply(self, frame: np.ndarray, first: int, rows: slice, out: np.ndarray) -> None:
        """Write `rows` of the moved frame to `out`; `frame` are rows `first` and on of the recorded
        one, all that `rows_needed` says.
        """
        if self.linear is None:
            resample.shift_rows(frame, self.shift, out, first=rows.start - first)
            return
        low, high = self.rows_needed(rows)
        matrix, offset = resample.source_map(self.shift, self.linear, self.shape)
        offset = offset + matrix[:, 0] * rows.start - np.array([low, 0])
        resample.move_rows(frame[low - first : high - first], matrix, offset, out)


def _motions(drift: Drift, shape: tuple[int, int]) -> list[_Motion]:
    """Motion of each frame, without turning where that moves nothing."""
    if drift.linear is None:
        return [_Motion(shape, shift, None) for shift in drift.shifts]
    return [
        _Motion(shape, shift, linear if resample.turns(linear, shape) else None)
        for shift, linear in zip(drift.shifts, drift.linear, strict=True)
    ]


def _moved(frames: np.ndarray, motions: list[_Motion]) -> np.ndarray:
    """Frames (n, ny, nx), each moved, in threads."""
    moved = np.empty(frames.shape, dtype=np.float32)
    whole = slice(0, frames.shape[1])

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            motions[i].apply(frames[i], 0, whole, moved[i])

    for_each_band(work, len(frames), rows_per_band=1)
    return moved


def _moved_lazily(frames: Any, motions: list[_Motion]) -> Any:
    """The same for a Dask array, in its bands of rows: each draws on as many rows of its neighbours
    as its frames are moved by, and on `resample.REACH` more.
    """
    import dask.array as da

    n, _, n_x = frames.shape
    edges = np.cumsum([0, *frames.chunks[1]]).tolist()
    parts = []
    for start, stop in pairwise(edges):
        rows = slice(start, stop)
        needed = np.array([motion.rows_needed(rows) for motion in motions])
        first, last = int(needed[:, 0].min()), int(needed[:, 1].max())

        def work(
            band: np.ndarray, *, motions: list[_Motion], first: int, rows: slice
        ) -> np.ndarray:
            moved = np.empty((len(band), rows.stop - rows.start, band.shape[2]), dtype=np.float32)
            for frame, motion, out in zip(band, motions, moved, strict=True):
                motion.apply(frame, first, rows, out)
            return moved

        parts.append(
            frames[:, first:last, :]
            .rechunk((n, last - first, n_x))
            .map_blocks(
                work,
                motions=motions,
                first=first,
                rows=rows,
                chunks=((n,), (stop - start,), (n_x,)),
                dtype=np.float32,
                meta=np.empty((0, 0, 0), dtype=np.float32),
            )
        )
    return da.concatenate(parts, axis=1)


def _what_is_missing(band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (rows, x) that some frame did not see, and whether each frame (n,) saw any."""
    seen = np.isfinite(band)
    return ~seen.all(axis=0), seen.any(axis=(1, 2))


def _below_each_other(
    upper: tuple[np.ndarray, np.ndarray], lower: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Join what `_what_is_missing` says of two bands."""
    return np.concatenate([upper[0], lower[0]]), upper[1] | lower[1]
