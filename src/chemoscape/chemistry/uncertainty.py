"""What a composition is uncertain by, kept apart by kind."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chemoscape.decompose.energy import EnergyShift
from chemoscape.decompose.misfit import Misfit
from chemoscape.decompose.propagation import Propagation
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import Mixture, amounts


def errors_of(
    maps: xr.Dataset,
    library: Library,
    mixture: Mixture,
    weights: np.ndarray,
    covariance: np.ndarray,
    per_eV: np.ndarray,
    inside: np.ndarray,
    normalise: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations of composition, counting and systematic; zero outside the mask.

    Parameters
    ----------
    maps : Dataset of `deconvolve`
    library : Library
    mixture : Mixture
        Composition and its gradient.
    weights, per_eV : ndarray, shape (n_standards, y, x)
        Weights, and their change with the energy shift.
    covariance : ndarray, shape (n_standards, n_standards, y, x)
    inside : ndarray of bool, shape (y, x)
    normalise : {"molar", "none"}

    Returns
    -------
    tuple of ndarray, shape (y, x)
    """
    known = maps.attrs
    gradient = np.nan_to_num(mixture.gradient[:, inside])
    some = weights[:, inside]
    propagation = Propagation(
        library,
        maps["fit_energy"].values,
        EnergyShift.from_attrs(known).at(maps["fit_energy"].values),
        None if known["baseline"] == "none" else known["baseline"],
        maps["fit_weight"].values,
    )
    spread = covariance[:, :, inside]
    counted = np.sqrt(np.maximum(np.einsum("ip,ijp,jp->p", gradient, spread, gradient), 0))
    slope = (gradient * per_eV[:, inside]).sum(axis=0)
    if known["nonnegative"] and not known["sum_to_one"]:
        variance = np.einsum("iip->ip", spread)
        single, sd, of_shift = propagation.at_the_bound(some, gradient, variance)
        counted[single], slope[single] = sd, of_shift
    squares = (slope * known["energy_shift_sd_eV"]) ** 2
    axis = EnergyShift.from_attrs(known)
    if axis.stretch_sd > 0:  # NaN where there is none
        squares += (propagation.per_stretch(some, gradient, axis.centre) * axis.stretch_sd) ** 2
    squares += _of_values(some, library, normalise) ** 2
    squares += propagation.scale_sd(some, gradient) ** 2
    if np.isfinite(known["misfit_scale"]):
        misfit = Misfit(known["misfit_scale"], known["misfit_level"])
        squares += np.nan_to_num(propagation.misfit_sd(some, gradient, misfit)) ** 2
    counting, systematic = np.zeros(inside.shape), np.zeros(inside.shape)
    counting[inside], systematic[inside] = counted, np.sqrt(squares)
    return counting, systematic


def _of_values(weights: np.ndarray, library: Library, normalise: str) -> np.ndarray:
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
