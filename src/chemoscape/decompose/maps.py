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
    """Maps with names, units and the columns' lengths put back."""
    n, lengths = parts.n_standards, parts.lengths
    rows, columns = np.triu_indices(n)
    shape = density.shape[1:]
    units = "g/cm2" if library.mass_scale else "1"

    def image(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values.T).reshape(-1, *shape)

    weights = image(fit.solution / lengths)
    covariance = image((fit.covariance / np.outer(lengths, lengths))[:, rows, columns])
    maps = xr.Dataset(
        {
            "weight": (("standard", "y", "x"), weights[:n], {"units": units}),
            "weight_covariance": (("pair", "y", "x"), covariance, {"units": f"({units})^2"}),
            "weight_per_eV": (
                ("standard", "y", "x"),
                image(fit.per_shift / lengths)[:n],
                {"units": f"{units}/eV", "long_name": "change of the weight with the energy shift"},
            ),
            "residual": (
                ("y", "x"),
                fit.residual.reshape(shape),
                {"units": "1", "long_name": "rms residual"},
            ),
            "reduced_chi2": (
                ("y", "x"),
                fit.chi2.reshape(shape),
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
    under = list(weights[n:]) or [np.zeros(shape)]
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
