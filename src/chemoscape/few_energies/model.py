r"""Composition from a few optical densities, and its error by source: for maps and for plans.

At energy E_j the optical density of a pixel is (Equation 1, with what a measurement adds)

.. math:: D_j = \sum_k t_k μ_k(E_j) + b + (c + e_j)\,D'_j + i_j + n_j

with areal masses t of the standards, an offset b that is the same at all energies (a wrong I0, the
support, carbon), the energy axis off by c in all images and by e_j in each, D' = -dD/dE the change
with such a shift, an error i_j of the incident beam of one image, and counting noise n_j. All but
t is taken as normal with mean zero and a known standard deviation (`Nuisance`), so that generalised
least squares give the weights of least variance. With ``h_j = (μ_1, …, μ_K, 1, D')`` and ``w_j =
1/(v_j + D'_j² σ_e² + σ_i²)``,

.. math:: F = \sum_j w_j h_j h_j^T + \mathrm{diag}(0, …, 0, 1/σ_b^2, 1/σ_c^2), \qquad
    t = \text{first K rows of } F^{-1} \sum_j w_j h_j D_j

F is a sum over energies, which is what makes choosing them cheap (Atkinson, Donev and Tobias,
Optimum Experimental Designs, 2007; Bayesian linear models, chapter 18). Any composition that is a
function of t then errs by ``Σ a_j δD_j``, and the sources of error are read off its coefficients a.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from chemoscape.errors import FitError

#: A problem whose scaled information is worse conditioned than this has no answer.
_SINGULAR = 1e13
#: Pixels whose problem is looked at for that; all have the same standards.
_LOOKED_AT = 64


@dataclass(frozen=True)
class Nuisance:
    """What is uncertain about a measurement besides its counts, as standard deviations.

    Parameters
    ----------
    energy_sd_eV : float
        Of the energy of each image about its nominal one, independent from image to image.
    calibration_sd_eV : float
        Of the energy axis against the library's, common to all images.
    offset_sd : float
        Of an optical density that is common to all images; ``inf`` fits a free constant.
    i0_sd : float
        Of the incident beam of each image, relative.
    """

    energy_sd_eV: float = 0.05
    calibration_sd_eV: float = 0.05
    offset_sd: float = 0.01
    i0_sd: float = 0.003

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            limit = np.inf if one.name == "offset_sd" else 10.0
            if not (0 <= value <= limit):
                raise FitError(
                    f"{one.name} = {value} is no standard deviation",
                    remedy="give 0 or more, in eV or as a share",
                )


@dataclass(frozen=True)
class ErrorParts:
    """Standard deviations by source, each of the shape of the pixels.

    ``counting`` differs from pixel to pixel; all others are common to the pixels of an image.
    """

    counting: np.ndarray
    energy: np.ndarray
    calibration: np.ndarray
    offset: np.ndarray
    i0: np.ndarray

    @property
    def systematic(self) -> np.ndarray:
        """All that is common to the pixels of an image, in quadrature."""
        return np.asarray(
            np.sqrt(self.energy**2 + self.calibration**2 + self.offset**2 + self.i0**2)
        )

    @property
    def total(self) -> np.ndarray:
        """Everything, in quadrature."""
        return np.hypot(self.counting, self.systematic)


def image_variance(variance: np.ndarray, slope: np.ndarray, nuisance: Nuisance) -> np.ndarray:
    """``v + D'² σ_e² + σ_i²``: what is independent from image to image, (…, n_energy).

    Parameters
    ----------
    variance : ndarray, shape (…, n_energy)
        v of the optical density, by counting.
    slope : ndarray, shape (…, n_energy)
        D', change of the sample's optical density with a shift of the axis, per eV.
    nuisance : Nuisance
    """
    return np.asarray(variance + (slope * nuisance.energy_sd_eV) ** 2 + nuisance.i0_sd**2)


def information_terms(
    mu: np.ndarray, slope: np.ndarray, variance: np.ndarray, nuisance: Nuisance
) -> tuple[np.ndarray, np.ndarray]:
    """What each energy adds to the information F, and what is known beforehand.

    Parameters
    ----------
    mu : ndarray, shape (n_energy, K)
        Spectra of the standards at the energies, in units in which they are about 1 (scale them).
    slope, variance : ndarray, shape (…, n_energy)
        As of `image_variance`.
    nuisance : Nuisance

    Returns
    -------
    terms : ndarray, shape (…, n_energy, q, q)
        ``w_j h_j h_jᵀ``; q is K and one for each of offset and calibration that is uncertain.
    prior : ndarray, shape (q, q)
    """
    rows, prior, _ = _rows(mu, slope, nuisance)
    weight = 1 / image_variance(variance, slope, nuisance)
    return weight[..., None, None] * rows[..., :, None] * rows[..., None, :], np.diag(prior)


def coefficients(
    mu: np.ndarray, slope: np.ndarray, variance: np.ndarray, nuisance: Nuisance
) -> np.ndarray:
    """Matrices that make weights of optical densities, ``t_k = Σ_j A_kj D_j``, (…, K, n_energy).

    Parameters and errors are those of `solver`, of which these are the first K rows.
    """
    return solver(mu, slope, variance, nuisance)[..., : mu.shape[1], :]


def solver(
    mu: np.ndarray, slope: np.ndarray, variance: np.ndarray, nuisance: Nuisance
) -> np.ndarray:
    """Matrices that make ``(t_1, …, t_K, b, c)`` of optical densities, (…, q, n_energy): the
    weights, then offset and shift of the axis where these are uncertain (best linear unbiased
    prediction).

    Parameters
    ----------
    mu : ndarray, shape (n_energy, K)
    slope, variance : ndarray, shape (…, n_energy)
        As of `image_variance`.
    nuisance : Nuisance

    Raises
    ------
    FitError
        These energies cannot tell the standards apart.
    """
    length = np.linalg.norm(mu, axis=0)
    if not (length > 0).all():
        raise FitError("a standard is zero at every energy", remedy="leave it out")
    rows, prior, own = _rows(mu / length, slope, nuisance)
    weight = 1 / image_variance(variance, slope, nuisance)
    # in units of the least image variance, so that the conditioning is that of the spectra
    unit = 1 / weight.max(axis=-1)
    weighted = rows * (weight * unit[..., None])[..., None]
    information = np.einsum("...ji,...jk->...ik", weighted, rows)
    information = information + unit[..., None, None] * np.diag(prior)
    root = np.sqrt(np.einsum("...ii->...i", information))
    balanced = information / (root[..., :, None] * root[..., None, :])
    some = balanced.reshape(-1, *balanced.shape[-2:])[:: max(1, weight[..., 0].size // _LOOKED_AT)]
    with np.errstate(all="ignore"):
        worst = np.linalg.cond(some).max() if some.size else 0.0
    if not worst < _SINGULAR:
        raise FitError(
            f"{len(mu)} energies do not tell {mu.shape[1]} standards apart"
            + (" beside a free constant" if np.isinf(nuisance.offset_sd) else ""),
            remedy="measure another energy, where the spectra differ, or use fewer standards",
        )
    sides = np.swapaxes(weighted, -1, -2) / root[..., :, None]
    solved = np.linalg.solve(balanced, sides) / root[..., :, None]
    return np.asarray(solved * np.append(1 / length, own)[:, None])


def error_parts(
    sensitivity: np.ndarray, slope: np.ndarray, variance: np.ndarray, nuisance: Nuisance
) -> ErrorParts:
    """Errors of a composition by source.

    Parameters
    ----------
    sensitivity : ndarray, shape (…, n_energy)
        a, the derivative of the composition with each optical density: ``Σ_k dx/dt_k A_kj``.
    slope, variance : ndarray, shape (…, n_energy)
        As of `image_variance`.
    nuisance : Nuisance
        An infinite `offset_sd` counts for nothing here: then the coefficients sum to zero.
    """
    offset_sd = nuisance.offset_sd if np.isfinite(nuisance.offset_sd) else 0.0
    moved = sensitivity * slope
    return ErrorParts(
        counting=np.sqrt((sensitivity**2 * variance).sum(axis=-1)),
        energy=nuisance.energy_sd_eV * np.sqrt((moved**2).sum(axis=-1)),
        calibration=nuisance.calibration_sd_eV * np.abs(moved.sum(axis=-1)),
        offset=offset_sd * np.abs(sensitivity.sum(axis=-1)),
        i0=nuisance.i0_sd * np.sqrt((sensitivity**2).sum(axis=-1)),
    )


def _rows(
    mu: np.ndarray, slope: np.ndarray, nuisance: Nuisance
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """h (…, n_energy, q), the prior's diagonal (q,), and units of offset and shift: their standard
    deviations, so that neither is ill-conditioned.
    """
    shape = (*slope.shape, 1)
    columns = [np.broadcast_to(mu, (*slope.shape, mu.shape[1]))]
    prior, own = [0.0] * mu.shape[1], []
    if nuisance.offset_sd > 0:
        finite = bool(np.isfinite(nuisance.offset_sd))
        own.append(nuisance.offset_sd if finite else 1.0)
        columns.append(np.full(shape, own[-1]))
        prior.append(float(finite))
    if nuisance.calibration_sd_eV > 0:
        own.append(nuisance.calibration_sd_eV)
        columns.append(own[-1] * slope[..., None])
        prior.append(1.0)
    return np.concatenate(columns, axis=-1), np.array(prior), np.array(own)
