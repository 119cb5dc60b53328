"""The part of the variance of optical densities that no average over pixels lowers."""

from __future__ import annotations

import numpy as np
import xarray as xr


def shared_variance(od: xr.Dataset) -> np.ndarray:
    """``var(I0)/I0²`` (n_energy,), which all pixels of a frame share.

    0 where I0 is not the mean over a part of the image: the error of a spectrum is not known, and
    flat images have their noise pixel by pixel.
    """
    if not od.attrs.get("i0_pixels", 0) > 0:
        return np.zeros(od.sizes["energy"])
    return np.asarray(od["i0_variance"].values / od["i0"].values ** 2)
