"""What a composition is uncertain by, kept apart by kind."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chemoscape.decompose.energy import EnergyShift
from chemoscape.decompose.misfit import Misfit
from chemoscape.decompose.propagation import Propagation
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import amounts


class Errors:
    """Standard deviations of composition from those of the weights.

    Parameters
    ----------
    maps : Dataset of `deconvolve`
    library : Library
    normalise : {"molar", "none"}
    """

    def __init__(self, maps: xr.Dataset, library: Library, normalise: str) -> None:
        self.known, self.library, self.normalise = maps.attrs, library, normalise
        energy = maps["fit_energy"].values
        self.axis = EnergyShift.from_attrs(self.known)
        self.propagation = Propagation(
            library,
            energy,
            self.axis.at(energy),
            None if self.known["baseline"] == "none" else self.known["baseline"],
            maps["fit_weight"].values,
        )

    def of(
        self, gradient: np.ndarray, weights: np.ndarray, covariance: np.ndarray, per_eV: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Counting and systematic error of some pixels.

        Parameters
        ----------
        gradient, weights, per_eV : ndarray, shape (n_standards, n_pixels)
            Derivative of the composition with the weights, the weights, and their change with the
            energy shift.
        covariance : ndarray, shape (n_standards, n_standards, n_pixels)

        Returns
        -------
        tuple of ndarray, shape (n_pixels,)
        """
        known, propagation = self.known, self.propagation
        counted = np.sqrt(np.maximum(np.einsum("ip,ijp,jp->p", gradient, covariance, gradient), 0))
        slope = (gradient * per_eV).sum(axis=0)
        if known["nonnegative"] and not known["sum_to_one"]:
            variance = np.einsum("iip->ip", covariance)
            single, sd, of_shift = propagation.at_the_bound(weights, gradient, variance)
            counted[single], slope[single] = sd, of_shift
        squares = (slope * known["energy_shift_sd_eV"]) ** 2
        if self.axis.stretch_sd > 0:  # NaN where there is none
            moved = propagation.per_stretch(weights, gradient, self.axis.centre)
            squares += (moved * self.axis.stretch_sd) ** 2
        squares += of_values(weights, self.library, self.normalise) ** 2
        squares += propagation.scale_sd(weights, gradient) ** 2
        if np.isfinite(known["misfit_scale"]):
            misfit = Misfit(known["misfit_scale"], known["misfit_level"])
            squares += np.nan_to_num(propagation.misfit_sd(weights, gradient, misfit)) ** 2
        return counted, np.sqrt(squares)


def of_values(weights: np.ndarray, library: Library, normalise: str) -> np.ndarray:
    """Errors of the standards' own compositions, by their shares, in quadrature; those of clusters,
    of one stack and matched to one library, err together and add up.
    """
    share = weights
    if normalise == "molar":
        n = amounts(weights, library.molar_mass)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.nan_to_num(n / n.sum(axis=0))
    value_sd = np.nan_to_num([standard.value_sd for standard in library.standards])
    if library.kind == "mixture":
        return np.asarray(np.abs(value_sd @ share))
    return np.asarray(np.sqrt(value_sd**2 @ share**2))
