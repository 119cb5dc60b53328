"""Stacks laid side by side as one image, so that pixels of all times are grouped together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from chemoscape import stack as stacks


def laid_together(densities: Sequence[xr.Dataset]) -> xr.Dataset:
    """Optical density and variance of all stacks, below each other, on the energies of the first.

    Parameters
    ----------
    densities : sequence of Dataset of `optical_density`
        Of the same pixels, and of the same energies within `sharing.SAME_ENERGY_EV`.

    Returns
    -------
    Dataset
        ``optical_density``, and ``variance`` where all have it, (energy, n_time · n_y, x).
    """
    first = densities[0]["optical_density"]
    y = first["y"].values
    step = float(np.diff(y).mean()) if y.size > 1 else 1.0
    rows = y[0] + step * np.arange(y.size * len(densities))
    both = [name for name in ("optical_density", "variance") if all(name in d for d in densities)]
    cubes = {name: np.concatenate([one[name].values for one in densities], axis=1) for name in both}
    density = stacks.build(
        cubes["optical_density"],
        first["energy"].values,
        rows,
        first["x"].values,
        quantity="optical_density",
    )
    out = density.to_dataset(name="optical_density")
    if "variance" in cubes:
        out["variance"] = density.copy(data=cubes["variance"])
    return out.assign_attrs(densities[0].attrs)


def parted(maps: xr.Dataset, like: xr.Dataset, n_time: int) -> list[xr.Dataset]:
    """What was found in the mosaic, one Dataset per stack; what is of no pixel is in all of them.

    Parameters
    ----------
    maps : Dataset
        Variables with rows ``y`` of the mosaic, and others.
    like : Dataset
        Has the rows of one stack.
    n_time : int
        Number of stacks.
    """
    n = like.sizes["y"]
    return [
        maps.isel(y=slice(k * n, (k + 1) * n)).assign_coords(y=like["y"]) for k in range(n_time)
    ]
