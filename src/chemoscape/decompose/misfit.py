"""How far standards that do not quite fit mislead.

A sample is never made of exactly the spectra that a library holds: calibrations, resolution,
orientation and preparation differ. What that does to a fit is of the same kind as the differences
between phases, and no counting statistics knows of it. Here it is a random field on top of every
standard, as large as the fit's own residual says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, null_space
from scipy.optimize import minimize

from chemoscape.decompose.design import slopes_of
from chemoscape.standards.library import Library

#: A standard as it is found in a sample: peaks off by so many eV and heights by such a share, alike
#: over so many eV. With this reach intervals cover as they should on simulated samples whose peaks
#: were moved one by one (docs/theory.md).
MISFIT_EV, MISFIT_SHARE, REACH_EV = 0.02, 0.02, 3.0

#: Standards that depart this many times more than that do not look like the sample.
DEPARTURE_WARNING = 3.0


@dataclass(frozen=True)
class Misfit:
    """Size of what standards leave unexplained in a mean spectrum.

    Parameters
    ----------
    scale : float
        Of the departures of the standards: 1 for peaks off by 0.02 eV and heights by 2 %.
    level : float
        Root mean square, in optical density, of what is unrelated from energy to energy, such as
        an error of I0: common to all pixels.
    """

    scale: float
    level: float


def departures(library: Library, energy: np.ndarray, shift: np.ndarray | float) -> np.ndarray:
    r"""Fields whose products are the covariance of each standard's departures, at scale 1.

    .. math:: C_k(E, E') = \left[s_E^2 μ_k'(E) μ_k'(E') + s_a^2 μ_k(E) μ_k(E')\right]
        e^{-|E - E'| / ℓ}

    with ``s_E`` = 0.02 eV, ``s_a`` = 2 % and ``ℓ`` = 3 eV (a Gaussian process for the discrepancy
    of a model; Kennedy and O'Hagan, J. R. Stat. Soc. B 63, 425, 2001).

    Returns
    -------
    ndarray, shape (2, n_standards, n_energy)
        ``s_E μ'`` and ``s_a μ`` of every standard.
    """
    spectra = library.spectra(energy, shift=shift).values
    return np.stack([MISFIT_EV * slopes_of(library, energy, shift).T, MISFIT_SHARE * spectra])


def likeness(energy: np.ndarray) -> np.ndarray:
    """Correlation of departures at two energies, (n_energy, n_energy)."""
    return np.exp(-np.abs(energy[:, None] - energy) / REACH_EV)


def misfit_of(
    residual: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    fields: np.ndarray,
    alike: np.ndarray,
    variance: np.ndarray,
) -> Misfit:
    r"""Size of the misfit that a spectrum's residual shows, by restricted maximum likelihood.

    The residual ``r`` of columns ``B`` is normal with covariance ``κ² Σ t_k² C_k + s² V``, V a
    diagonal. Seen in the null space of B (Patterson and Thompson, Biometrika 58, 545, 1971), that
    leaves κ and s to be found. Where the spectrum is too noisy to tell, κ stays near 1: its
    logarithm has a standard deviation of one beforehand.

    Parameters
    ----------
    residual : ndarray, shape (n_energy,)
        Of a least-squares fit by `columns`.
    columns : ndarray, shape (n_energy, n_columns)
        Everything that was fitted: standards in use, baseline, slope of the energy axis.
    weights : ndarray, shape (n_standards,)
        Of the fit.
    fields, alike : ndarray
        `departures` and `likeness`.
    variance : ndarray, shape (n_energy,)
        Of the noise, up to a factor.
    """
    scaled = fields * weights[:, None]
    of_standards = np.einsum("fkn,fkm->nm", scaled, scaled) * alike
    noise = variance / variance.mean()
    null = null_space(columns.T)
    if not null.size or not of_standards.any():
        return Misfit(1.0, 0.0)
    seen = null.T @ residual
    power, modes = eigh(null.T @ of_standards @ null, (null.T * noise) @ null)
    seen2 = (modes.T @ seen) ** 2
    power = np.maximum(power, 0)
    start = 0.5 * np.log(max(np.median(seen2), np.finfo(float).tiny))

    def badness(logs: np.ndarray) -> float:
        total = np.exp(2 * logs[0]) * power + np.exp(2 * logs[1])
        return float((seen2 / total + np.log(total)).sum() + logs[0] ** 2)

    corners = np.array([[0.0, start], [-1.0, start], [0.0, start - 1.0]])
    found = minimize(
        badness, corners[0], method="Nelder-Mead", options={"initial_simplex": corners}
    )
    scale, level = np.exp(found.x)
    return Misfit(float(scale), float(level))
