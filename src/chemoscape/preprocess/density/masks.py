"""Where there is sample, and where it is too thick to be believed."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from chemoscape.blocks import is_lazy, map_blocks, n_workers
from chemoscape.errors import ChemoscapeWarning
from chemoscape.preprocess.density.logarithm import MILD, NOT_POSITIVE, STRONG

#: A smaller share of the pixels than this is not worth a warning.
NOTABLE_SHARE = 1e-3
#: A mean optical density below minus this is more than noise.
BRIGHTER = 0.05


def count_flags(od: xr.Dataset) -> dict[str, int]:
    """Count flagged pixels, and warn of a thick sample; reads a lazy stack to its end.

    Parameters
    ----------
    od : Dataset of `optical_density`

    Returns
    -------
    dict
        ``n_pixels``, ``n_thick`` and ``n_too_thick`` (above 1.5 and above 2.2),
        ``n_pixels_not_positive`` (some energy without a positive count).

    Warns
    -----
    ChemoscapeWarning
        The sample is too thick in more than 0.1 % of the pixels.
    """
    flag = np.asarray(od["flag"].compute(num_workers=n_workers()).values)
    counted = thick_pixels(flag)
    warn_if_thick(counted, flag.size)
    lost = int(((flag & NOT_POSITIVE) > 0).sum())
    return {"n_pixels": int(flag.size), **counted, "n_pixels_not_positive": lost}


def sample_mask(od: xr.Dataset | xr.DataArray) -> xr.DataArray:
    """Pixels with sample in them.

    Parameters
    ----------
    od : Dataset of `optical_density`, or DataArray (energy, y, x)
        Optical densities; lazy ones are read once, block by block.

    Returns
    -------
    DataArray (y, x) of bool
        True where the energy-averaged optical density exceeds five of its standard deviations (when
        the variance is known) and a tenth of its 95th percentile over the image.
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    cubes = [density.data]
    if isinstance(od, xr.Dataset) and "variance" in od:
        cubes.append(od["variance"].data)
    maps = map_blocks(_mean_and_sd, *cubes, leading=(2,), dtype=np.float64)
    mean, sd = maps.compute(num_workers=n_workers()) if is_lazy(maps) else maps
    highest = float(np.nanquantile(mean, 0.95)) if np.isfinite(mean).any() else np.inf
    mask = (mean > max(0.1 * highest, 0.0)) & (mean > 5 * sd)
    return xr.DataArray(
        mask, dims=("y", "x"), coords={"y": density["y"], "x": density["x"]}, name="sample"
    )


def _mean_and_sd(density: np.ndarray, variance: np.ndarray | None = None) -> np.ndarray:
    """Mean over energy and its standard deviation (2, rows, x), 0 where no variance is given."""
    seen = np.isfinite(density).sum(axis=0)
    out = np.zeros((2, *density.shape[1:]))
    with np.errstate(invalid="ignore", divide="ignore"):
        out[0] = np.nansum(density, axis=0, dtype=np.float64) / seen
    if variance is not None:
        out[1] = np.sqrt(np.nansum(variance, axis=0, dtype=np.float64)) / np.maximum(seen, 1)
    return out


def thick_pixels(flag: np.ndarray) -> dict[str, int]:
    """``n_thick`` and ``n_too_thick`` of a flag map in memory."""
    thick = flag % NOT_POSITIVE
    return {"n_thick": int((thick > 0).sum()), "n_too_thick": int((thick > 1).sum())}


def warn_if_thick(counted: dict[str, int], n_pixels: int) -> None:
    """One warning on optical densities that a real beamline does not measure faithfully."""
    strong, mild = counted["n_too_thick"] / n_pixels, counted["n_thick"] / n_pixels
    if strong > NOTABLE_SHARE:
        text = (
            f"optical density exceeds {STRONG} in {100 * strong:.1f} % of the pixels (and {MILD} "
            f"in {100 * mild:.1f} %): stray light and higher orders flatten such peaks, and their "
            "height is not to be believed; measure a thinner area, or leave these energies out of "
            "the fit"
        )
    elif mild > NOTABLE_SHARE:
        text = (
            f"optical density exceeds {MILD} in {100 * mild:.1f} % of the pixels: stray light of "
            "1 % already lowers such peaks by 0.03 and more"
        )
    else:
        return
    warnings.warn(text, ChemoscapeWarning, stacklevel=3)


def warn_if_brighter_than_i0(mean: np.ndarray) -> None:
    """Light gains nothing in a sample: where the image outshines I0, I0 was dimmed."""
    known = mean[np.isfinite(mean)]
    share = float((known < -BRIGHTER).mean()) if known.size else 0.0
    if share > 0.05:
        warnings.warn(
            f"{share:.0%} of the image is brighter than I0: there is sample in the I0 region",
            ChemoscapeWarning,
            stacklevel=3,
        )
