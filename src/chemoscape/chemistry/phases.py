"""Which standards the sample is made of, by mass, by formula units and by area."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape.standards.mixing import amounts


@dataclass(frozen=True, eq=False)
class Phases:
    """Weights of the standards in the pixels of the sample.

    Parameters
    ----------
    names : ndarray of str, shape (n_standards,)
    weights : ndarray, shape (n_standards, n_pixels)
        Of the pixels inside, in the units of the maps.
    inside : ndarray of bool, shape (n_y, n_x)
        Where a composition is known, on the grid of the maps.
    """

    names: np.ndarray
    weights: np.ndarray
    inside: np.ndarray

    @property
    def mass_fractions(self) -> np.ndarray:
        """Share of each standard in the mass of all pixels."""
        total = self.weights.sum()
        return np.asarray(self.weights.sum(axis=1) / (total or 1.0))

    @property
    def area_fractions(self) -> np.ndarray:
        """Share of the pixels in which each standard prevails."""
        found = np.bincount(self.weights.argmax(axis=0), minlength=len(self.weights))
        return np.asarray(found / max(found.sum(), 1))

    def molar_fractions(self, molar_mass: np.ndarray) -> np.ndarray:
        """Share of each standard in the formula units of all pixels; `molar_mass` in g/mol, and
        where one is unknown the weights count alike.
        """
        units = amounts(self.weights, molar_mass).sum(axis=1)
        return np.asarray(units / (units.sum() or 1.0))


def phases_of(comp: xr.Dataset, maps: xr.Dataset, matched: xr.DataArray | None = None) -> Phases:
    """The weights of a route where the composition is known, before any smoothing.

    Parameters
    ----------
    comp : Dataset of `composition`
    maps : Dataset of `deconvolve`
    matched : DataArray (cluster, standard), optional
        The weights of a `match`, where the standards of `maps` are clusters: each counts as the
        standards that it was matched with. Standards that no pixel holds are left out.
    """
    step = int(comp.attrs["refine"])
    inside = comp["mask"].values[::step, ::step]
    weights = np.nan_to_num(maps["weight"].values[:, inside])
    names = maps["standard"].values
    if matched is not None:
        dim = next(name for name in matched.dims if name != "cluster")
        shares = matched.transpose("cluster", dim).values
        shares = shares / shares.sum(axis=1, keepdims=True)
        names, weights = matched[dim].values, shares.T @ weights
        present = weights.any(axis=1)
        names, weights = names[present], weights[present]
    return Phases(names, weights, inside)
