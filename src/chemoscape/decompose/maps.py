"""Fits of pixels as maps: names, units, coordinates."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chemoscape.decompose.design import Design, half_range_of
from chemoscape.decompose.pixelwise import PixelFits
from chemoscape.standards.library import Library


def as_maps(
    density: xr.DataArray, library: Library, energy: np.ndarray, parts: Design, fit: PixelFits
) -> xr.Dataset:
    """Maps with names, units and coordinates; lazy where the fits are."""
    n = parts.n_standards
    rows, columns = np.triu_indices(n)
    units = "g/cm2" if library.mass_scale else "1"
    maps = xr.Dataset(
        {
            "weight": (("standard", "y", "x"), fit.solution[:n], {"units": units}),
            "weight_covariance": (("pair", "y", "x"), fit.covariance, {"units": f"({units})^2"}),
            "weight_per_eV": (
                ("standard", "y", "x"),
                fit.per_shift,
                {"units": f"{units}/eV", "long_name": "change of the weight with the energy shift"},
            ),
            "residual": (
                ("y", "x"),
                fit.residual,
                {"units": "1", "long_name": "rms residual"},
            ),
            "reduced_chi2": (
                ("y", "x"),
                fit.chi2,
                {"units": "1", "long_name": "reduced chi-squared"},
            ),
        },
        coords={
            "standard": library.names,
            "pair": [
                f"{library.names[i]}|{library.names[j]}" for i, j in zip(rows, columns, strict=True)
            ],
            "pair_first": ("pair", rows),
            "pair_second": ("pair", columns),
            "y": density.y,
            "x": density.x,
            "fit_energy": (
                "fit_energy",
                energy,
                {"units": "eV", "long_name": "photon energy of the fit"},
            ),
        },
    )
    under = list(fit.solution[n:]) or [np.zeros_like(fit.residual)]
    maps["baseline"] = (("y", "x"), under[0], {"units": "1", "long_name": "constant baseline"})
    if len(under) > 1:
        slope = under[1] / half_range_of(energy)
        maps["baseline"].attrs["long_name"] = "baseline at the middle of the energies"
        maps["baseline_per_eV"] = (
            ("y", "x"),
            slope,
            {"units": "1/eV", "long_name": "slope of the baseline"},
        )
    return maps


def unpacked(packed: np.ndarray) -> np.ndarray:
    """Full symmetric matrices (n, n, …) from their upper triangles (n (n + 1)/2, …), row by row.

    Examples
    --------
    >>> unpacked(np.array([4.0, 1.0, 9.0])).tolist()
    [[4.0, 1.0], [1.0, 9.0]]
    """
    n = int(np.sqrt(2 * len(packed)))
    full = np.empty((n, n, *packed.shape[1:]))
    rows, columns = np.triu_indices(n)
    full[rows, columns] = full[columns, rows] = packed
    return full
