"""Means of a composition map, and what interpolation does to it."""

from __future__ import annotations

import numpy as np
import xarray as xr


def interpolation_change(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """How far interpolation moves the mean and the 5th, 50th and 95th percentile of composition.

    The paper contrasts its maps before and after interpolation; a change says that grains are about
    as small as pixels, so that what lies between them is made up.
    """
    if not (before.size and after.size):
        return {"interpolation_mean_change": np.nan, "interpolation_percentile_change": np.nan}
    shares = (5, 50, 95)
    moved = np.percentile(after, shares) - np.percentile(before, shares)
    return {
        "interpolation_mean_change": float(after.mean() - before.mean()),
        "interpolation_percentile_change": float(np.abs(moved).max()),
    }


def mass_weighted(values: np.ndarray, mass: np.ndarray, inside: np.ndarray) -> float:
    """Mean over the pixels of a mask, each by its mass."""
    if not inside.any():
        return float("nan")
    return float((values[inside] * mass[inside]).sum() / mass[inside].sum())


def means(comp: xr.Dataset, *, one_sided: bool) -> dict[str, float]:
    """Means per pixel and per mass, the uncertainty of the mean, and the share of the image left
    out.
    """
    kept = comp["mask"].values
    if not kept.any():
        return {
            "mean_pixel": np.nan,
            "mean_mass_weighted": np.nan,
            "mean_sd": np.nan,
            "masked_share": 1.0,
        }
    # Counting noise averages out over thousands of pixels; what is common to all of them does not,
    # nor does the bias of weights kept non-negative, which grows with the counting noise.
    error = "composition_sd_total" if one_sided else "composition_sd_systematic"
    x, mass, common = (comp[name].values for name in ("composition", "thickness", error))
    return {
        "mean_pixel": float(x[kept].mean()),
        "mean_mass_weighted": mass_weighted(x, mass, kept),
        "mean_sd": mass_weighted(common, mass, kept),
        "masked_share": float(1 - kept.mean()),
    }
