"""Fractions of the standards in every pixel, with their errors by counting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape.blocks import map_blocks
from chemoscape.standards.mixing import amounts


@dataclass(frozen=True, eq=False)
class Fractions:
    """Fractions ``f_k = n_k / Σ n`` and their standard deviations, by the weights' covariance C:
    ``(a_k² C_kk - 2 f_k a_k (C a)_k + f_k² aᵀ C a) / (Σ n)²`` with ``a = 1 / M``.

    Both arrays have the shape (n_standards, n_y, n_x); NaN outside the sample, and for the errors
    where one standard alone is left.
    """

    values: np.ndarray
    sds: np.ndarray
    coords: dict[str, np.ndarray]

    def share(self, k: int) -> xr.DataArray:
        """Map (y, x) of one fraction."""
        return xr.DataArray(self.values[k], dims=("y", "x"), coords=self.coords)

    def sd(self, k: int) -> xr.DataArray:
        """Map (y, x) of its standard deviation."""
        return xr.DataArray(self.sds[k], dims=("y", "x"), coords=self.coords)


def fractions_of(maps: xr.Dataset, inside: np.ndarray, molar_mass: np.ndarray) -> Fractions:
    """Fractions of the weights of `deconvolve`.

    Parameters
    ----------
    maps : Dataset of `deconvolve`
    inside : ndarray of bool, shape (n_y, n_x)
        Where they are wanted.
    molar_mass : ndarray, shape (n_standards,)
        g/mol for fractions by formula units; ones for fractions by mass.
    """
    n, per_weight = maps.sizes["standard"], 1 / molar_mass

    def work(weights: np.ndarray, packed: np.ndarray, inside: np.ndarray) -> np.ndarray:
        # C a and the diagonal of C, from the upper triangle
        moved, diagonal = np.zeros_like(weights), np.empty_like(weights)
        for row, i, j in zip(packed, *np.triu_indices(n), strict=True):
            moved[i] += per_weight[j] * row
            if i == j:
                diagonal[i] = row
            else:
                moved[j] += per_weight[i] * row
        with np.errstate(invalid="ignore", divide="ignore"):
            units = amounts(weights, molar_mass)
            total = units.sum(axis=0)
            share = units / total
            own = per_weight[:, None, None]
            variance = own**2 * diagonal - 2 * share * own * moved
            variance += share**2 * np.tensordot(per_weight, moved, 1)
            out = np.stack([share, np.sqrt(np.maximum(variance, 0)) / total])
        out[:, :, ~inside] = np.nan
        return out

    cubes = [maps[name].values for name in ("weight", "weight_covariance")]
    share, sd = map_blocks(work, *cubes, inside, leading=(2, n), dtype=np.float64)
    coords = {name: maps[name].values for name in ("y", "x")}
    return Fractions(share, np.where(sd > 0, sd, np.nan), coords)
