"""Mean spectra of regions drawn by hand, to be matched with standards."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import RegionError
from chemoscape.preprocess.density.shared import shared_variance
from chemoscape.region import Region

#: An energy at which less than this share of the region was seen is left out for all its pixels.
LEAST_SEEN = 0.5


def region_spectra(
    od: xr.Dataset | xr.DataArray, regions: Mapping[str, Region | xr.DataArray]
) -> xr.Dataset:
    """Mean optical density of each region at each energy, and its standard error.

    An energy that most of a region's pixels lack has no value; pixels that lack another are left
    out, lest the means at two energies be over other pixels. The error is that of counting where
    `od` has a variance: of each pixel its own, which averages out, ``Σ (v - v_I0) / n²``, and that
    of I0, which is common to all. Else it is the scatter of the pixels about the mean spectrum,
    each scaled to its thickness.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
    regions : mapping of names to Region or DataArray (y, x) of bool
        They may overlap.

    Returns
    -------
    Dataset
        ``spectrum`` and ``spectrum_se`` (region, energy), ``size`` (region; pixels averaged):
        what `match` takes.

    Raises
    ------
    RegionError
        There is no region, one holds no pixel with values, or a mask is not on the stack's grid.

    Examples
    --------
    >>> from chemoscape import simulate
    >>> stack = simulate.core_shell(shape=(12, 12)).stack
    >>> od = stack.copy(data=np.ones(stack.shape, np.float32))
    >>> od.attrs["quantity"] = "optical_density"
    >>> x, y = od.x.values, od.y.values
    >>> corner = Region(x=(x[0], x[2]), y=(y[0], y[2]))
    >>> region_spectra(od, {"corner": corner})["size"].values.tolist()
    [9]
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    stacks.check(density, "optical_density")
    if not isinstance(regions, Mapping) or not regions:
        raise RegionError("no region is named", remedy='give them as {"name": Region(…)}')
    spectra, errors, sizes = [], [], []
    for name, region in regions.items():
        inside = mask_of_region(str(name), region, density)
        spectrum, error, size = _mean(str(name), od, density, inside)
        spectra.append(spectrum)
        errors.append(error)
        sizes.append(size)
    along = ("region", "energy")
    return xr.Dataset(
        {
            "spectrum": (along, np.array(spectra), {"long_name": "mean optical density"}),
            "spectrum_se": (along, np.array(errors), {"long_name": "its standard error"}),
            "size": ("region", sizes, {"long_name": "pixels averaged"}),
        },
        coords={"region": [str(name) for name in regions], "energy": density["energy"]},
    )


def mask_of_region(name: str, region: Region | xr.DataArray, density: xr.DataArray) -> np.ndarray:
    """Pixels (y, x) of a region."""
    where = f"region {name!r}"
    if isinstance(region, Region):
        try:
            return np.asarray(region.mask(density).values)
        except RegionError as error:
            raise RegionError(error.what, where, error.remedy) from None
    grid = {axis: density.sizes[axis] for axis in ("y", "x")}
    if not isinstance(region, xr.DataArray) or dict(region.sizes) != grid:
        raise RegionError(
            "is neither a Region nor a mask over y and x of the stack",
            where,
            f"give a Region, or a DataArray (y, x) of bool with {grid['y']} × {grid['x']} pixels",
        )
    if region.dtype != bool:
        raise RegionError(
            f"has values of type {region.dtype}, not bool", where, "write it as a condition"
        )
    for axis in grid:
        known = axis in region.coords
        if known and not np.allclose(region[axis].values, density[axis].values, atol=1e-6):
            raise RegionError(
                f"has other {axis} than the stack", where, "draw it on the aligned stack"
            )
    return np.asarray(region.transpose("y", "x").values)


def _mean(
    name: str, od: xr.Dataset | xr.DataArray, density: xr.DataArray, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean, its standard error, and how many pixels they are from."""
    values = density.values[:, inside].astype(np.float64)
    known = np.isfinite(values)
    seen = known.mean(axis=1) >= LEAST_SEEN if values.shape[1] else np.zeros(len(values), bool)
    complete = known[seen].all(axis=0)
    if not seen.any() or not complete.any():
        raise RegionError(
            "holds no pixel with values at all energies",
            f"region {name!r}",
            "draw it where the aligned frames overlap, or crop with cs.crop_common",
        )
    used = values[:, complete]
    n = used.shape[1]
    spectrum, error = np.full((2, len(values)), np.nan)
    spectrum[seen] = used[seen].mean(axis=1)
    if isinstance(od, xr.Dataset) and "variance" in od:
        common = shared_variance(od)[seen]
        gain = np.asarray(od["noise_gain"].values if "noise_gain" in od.coords else 1.0)
        gain = np.broadcast_to(gain, seen.shape)[seen]
        variance = od["variance"].values[:, inside][:, complete][seen].mean(axis=1, dtype=float)
        error[seen] = np.sqrt(np.maximum(variance - common, 0.0) / gain / n + common)
    else:
        thickness = used[seen].mean(axis=0)
        scale = thickness / (thickness.mean() or 1.0)
        scatter = used[seen] - np.outer(spectrum[seen], scale)
        error[seen] = np.sqrt((scatter**2).sum(axis=1)) / n
    return spectrum, error, n
