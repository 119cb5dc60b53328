"""The Gaussian filter of optical densities, and the variance that it leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import correlate1d, gaussian_filter1d

from chemoscape.blocks import for_each_band, is_lazy
from chemoscape.errors import StackError
from chemoscape.preprocess.density.shared import shared_variance


def smooth(od: xr.Dataset, sigma_px: float) -> xr.Dataset:
    """Gaussian filter of every frame of optical density (Equation 5), and the variance it leaves.

    ``G(x, y) = exp(-(x² + y²)/2σ²) / 2πσ²``; pixels without data, and those beyond the image, take
    no part. Of independent pixels the variance becomes ``Σ G² var / (Σ G)²``; those of an aligned
    frame share noise, and count with the variance that they had before (``noise_gain``). What I0
    adds to the variance is common to all pixels and stays as it is.

    Parameters
    ----------
    od : Dataset of `optical_density`
        Lazy ones give lazy results: every band of rows is read with 4 σ of its neighbours.
    sigma_px : float
        σ in pixels.

    Returns
    -------
    Dataset
        As `od`, with ``optical_density`` and ``variance`` replaced. ``flag`` stays that of the
        pixels as recorded.

    Raises
    ------
    StackError
        σ is not a positive number.
    """
    if not (np.isfinite(sigma_px) and sigma_px > 0):
        raise StackError(
            f"a Gaussian filter with σ = {sigma_px} pixels is impossible",
            remedy="give a positive number of pixels, or leave the filter out",
        )
    weights = _weights(sigma_px)
    density = od["optical_density"]
    gain = np.ones(od.sizes["energy"])
    if "noise_gain" in od.coords:
        gain = np.asarray(od["noise_gain"].values, dtype=np.float64)
    out = od.copy()
    out["optical_density"] = density.copy(data=_density(density.data, weights))
    if "variance" in od:
        common = shared_variance(od)
        smoothed = _variance(density.data, od["variance"].data, gain, common, weights)
        out["variance"] = od["variance"].copy(data=smoothed)
    return out


def _weights(sigma_px: float) -> np.ndarray:
    """Gaussian weights of the pixels within 4 σ, which add up to 1."""
    reach = int(4 * sigma_px + 0.5)
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1.0
    return np.asarray(gaussian_filter1d(impulse, sigma_px, mode="constant"))


def _density(density: Any, weights: np.ndarray) -> Any:
    """Filtered frames (n_energy, y, x)."""
    if is_lazy(density):
        return _overlapping(_density, len(weights) // 2, density, weights=weights)
    out = np.empty_like(density)

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            known = np.isfinite(density[i])
            values = np.where(known, density[i], np.float32(0))
            with np.errstate(invalid="ignore", divide="ignore"):
                out[i] = _filtered(values, weights) / _share(known, weights)

    for_each_band(work, len(density), rows_per_band=1)
    return out


def _variance(
    density: Any, variance: Any, gain: np.ndarray, common: np.ndarray, weights: np.ndarray
) -> Any:
    """Variance of filtered frames (n_energy, y, x)."""
    if is_lazy(density):
        reach = len(weights) // 2
        options = {"gain": gain, "common": common, "weights": weights}
        return _overlapping(_variance, reach, density, variance, **options)
    out = np.empty_like(variance)

    def work(band: slice) -> None:
        for i in range(band.start, band.stop):
            known = np.isfinite(density[i])
            own = np.where(known, variance[i] - np.float32(common[i]), np.float32(0))
            own /= np.float32(gain[i])
            with np.errstate(invalid="ignore", divide="ignore"):
                out[i] = _filtered(own, weights**2) / _share(known, weights) ** 2
            out[i] += np.float32(common[i])

    for_each_band(work, len(density), rows_per_band=1)
    return out


def _filtered(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sum over neighbours in y and x; nothing lies beyond the image."""
    rows = correlate1d(image, weights, axis=0, mode="constant")
    return np.asarray(correlate1d(rows, weights, axis=1, mode="constant"))


def _share(known: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Part of the weights that falls on known pixels, NaN where the pixel itself is not known."""
    return np.where(known, _filtered(known.astype(np.float32), weights), np.nan)


def _overlapping(work: Any, reach: int, *cubes: Any, **options: Any) -> Any:
    """Apply `work` to every band of rows with `reach` more on both sides, which are cut off."""
    import dask.array as da

    return da.map_overlap(
        work,
        *cubes,
        depth={0: 0, 1: reach, 2: 0},
        boundary="none",
        dtype=np.float32,
        meta=np.empty((0, 0, 0), dtype=np.float32),
        **options,
    )
