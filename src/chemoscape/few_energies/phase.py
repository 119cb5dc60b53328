r"""Phase images of ptychography, made comparable.

A reconstruction ψ is known up to a constant phase and a linear ramp: those of the illumination go
into the object as they please (Fannjiang, Inverse Problems 35, 104001, 2019). Where there is no
sample the phase is a + b·r, so a and b are those that maximise

.. math:: C(a, b) = \sum_{r \in \text{empty}} \cos\left(φ(r) - a - b \cdot r\right),

which needs no unwrapping. The highest peak of the Fourier transform of exp(iφ), cut to the empty
region, is C on a grid of b, whatever the number of turns across the field; Newton's steps from
there refine it. For small residuals they are least squares of the wrapped residual, and a pixel
that is far off (the sample's rim, a vortex) counts with the sine of its residual, less than in
least squares.
"""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy import fft

from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeWarning, StackError

#: The Fourier transform is taken of images padded to this many times their size.
_PADDED = 2
#: Newton's steps, of which four are enough, and the change (rad across the field) that ends them.
_STEPS, _SETTLED = 30, 1e-9
#: Spread of the empty region, relative to its length, below which a ramp across it is not seen.
_NARROW = 1e-3
#: Mean cosine of the residuals below which they are no noise about a plane: 1 rad of noise.
_SCATTERED = 0.6


def phase_maps(phases: xr.DataArray, background: xr.DataArray | ArrayLike) -> xr.DataArray:
    """Phases that are zero where there is no sample, without the ramp across the field.

    Parameters
    ----------
    phases : DataArray (energy, y, x)
        Phases in rad (``open_stack(path, channel="phase")``), each known up to a constant, a linear
        ramp and turns of 2π; NaN where nothing is known. Axes in µm.
    background : array (y, x) of bool
        Where there is no sample, as `optical_density` finds it.

    Returns
    -------
    DataArray (energy, y, x)
        Phase of the sample in rad, in (-π, π], float32. A sample that delays light has the sign
        that its reconstruction gave it. Coordinates along energy: ``ramp_y`` and ``ramp_x``
        (rad/µm), the ramp that was removed, and ``background_sd`` (rad), the standard deviation of
        what is left in the empty region; the attribute ``background_pixels``.

    Raises
    ------
    StackError
        These are no phases on pixels, or the empty region has too few pixels, or lies along a
        line, so that it does not tell the ramp.

    Warns
    -----
    ChemoscapeWarning
        The phases of the empty region do not follow a plane.

    Examples
    --------
    >>> y, x = np.arange(20) * 0.01, np.arange(30) * 0.01
    >>> steep = np.angle(np.exp(1j * (150 * x + 40 * y[:, None] + 2)))[None]
    >>> images = xr.DataArray(steep, dims=("energy", "y", "x"),
    ...     coords={"energy": [518.2], "y": y, "x": x})
    >>> flat = phase_maps(images, np.ones((20, 30), dtype=bool))
    >>> float(abs(flat).max()) < 1e-5, flat.ramp_x.values.round(3).tolist()
    (True, [150.0])
    """
    if not isinstance(phases, xr.DataArray) or phases.dims != stacks.DIMS:
        raise StackError(
            f"phases have the dims {stacks.DIMS}, "
            f"got {getattr(phases, 'dims', type(phases).__name__)}",
            remedy='open them with cs.open_stack(path, channel="phase")',
        )
    if phases.attrs.get("unit", "rad") != "rad":
        raise StackError(
            f"the images are in {phases.attrs['unit']}, not in rad",
            str(phases.attrs.get("source", "")),
            'open them with cs.open_stack(path, channel="phase")',
        )
    empty = stacks.as_mask(background, phases).values
    y, x = (phases[name].values.astype(np.float64) for name in ("y", "x"))
    flat = np.empty(phases.shape, dtype=np.float32)
    ramps, spread = np.empty((len(phases), 2)), np.empty(len(phases))
    for k, image in enumerate(phases.values.astype(np.float64)):
        energy = f"{float(phases['energy'][k]):.2f} eV"
        constant, ramps[k] = _plane(image, empty & np.isfinite(image), y, x, energy)
        plane = constant + ramps[k, 0] * y[:, None] + ramps[k, 1] * x
        flat[k] = wrapped(image - plane)
        left = flat[k][empty & np.isfinite(image)].astype(np.float64)
        spread[k] = left.std()
        if np.cos(left).mean() < _SCATTERED:
            warnings.warn(
                f"{energy}: the phases of the empty region scatter by {spread[k]:.2f} rad about "
                "the best plane: it holds sample, or they are not of one reconstruction",
                ChemoscapeWarning,
                stacklevel=2,
            )
    per_energy = {
        "ramp_y": ("energy", ramps[:, 0], {"units": "rad/µm"}),
        "ramp_x": ("energy", ramps[:, 1], {"units": "rad/µm"}),
        "background_sd": ("energy", spread, {"units": "rad"}),
    }
    kept = {key: value for key, value in phases.attrs.items() if key not in ("quantity", "unit")}
    return xr.DataArray(
        flat,
        dims=stacks.DIMS,
        coords={**phases.coords, **per_energy},
        name="phase",
        attrs={
            **kept,
            "units": "rad",
            "long_name": "phase",
            "background_pixels": int(empty.sum()),
        },
    )


def wrapped(phase: np.ndarray) -> np.ndarray:
    """Phases in (-π, π].

    Examples
    --------
    >>> (wrapped(np.array([3.0, -np.pi, 7.0])) / np.pi).round(3).tolist()
    [0.955, 1.0, 0.228]
    """
    return np.asarray(-((np.pi - phase) % (2 * np.pi) - np.pi))


def _plane(
    image: np.ndarray, seen: np.ndarray, y: np.ndarray, x: np.ndarray, energy: str
) -> tuple[float, np.ndarray]:
    """Constant (rad) and ramp (y, x; rad/µm) of the phases `seen`."""
    rows, columns = np.nonzero(seen)
    if rows.size < 3:
        raise StackError(
            f"the empty region has {rows.size} pixels with a phase, and a plane needs three",
            energy,
            "give a larger region without sample",
        )
    at = np.stack([y[rows], x[columns]])
    middle = at.mean(axis=1)
    scale = max(float(np.ptp(axis)) for axis in at) or 1.0
    design = np.stack([np.ones(rows.size), *((at - middle[:, None]) / scale)])
    if np.linalg.svd(design[1:], compute_uv=False)[-1] < _NARROW * np.sqrt(rows.size):
        raise StackError(
            "the empty region lies along a line, and does not tell the ramp across it",
            energy,
            "give a region without sample that is wide in both directions",
        )
    values = image[rows, columns]
    found = np.array([0.0, *(_steepest(image, seen, y, x) * scale)])
    found[0] = np.angle(np.exp(1j * (values - found @ design)).sum())
    for _ in range(_STEPS):
        residual = values - found @ design
        weight = np.maximum(np.cos(residual), 0.0)  # Newton's own, where C is concave
        step = np.linalg.lstsq((design * weight) @ design.T, design @ np.sin(residual), rcond=None)[
            0
        ]
        found = found + step
        if np.abs(step).max() < _SETTLED:
            break
    ramp = found[1:] / scale
    return float(found[0] - ramp @ middle), ramp


def _steepest(image: np.ndarray, seen: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Ramp (y, x) in rad/µm where the Fourier transform of the seen phases is largest."""
    shape = [fft.next_fast_len(_PADDED * n) for n in image.shape]
    waves = np.where(seen, np.exp(1j * np.where(seen, image, 0.0)), 0.0)
    peak = np.unravel_index(np.abs(fft.fft2(waves, shape)).argmax(), shape)
    return np.array(
        [
            2 * np.pi * fft.fftfreq(n)[one] * (len(axis) - 1) / max(np.ptp(axis), 1e-12)
            for one, n, axis in zip(peak, shape, (y, x), strict=True)
        ]
    )
