"""The same few energies and standards for all pixels: weights, composition and errors of a band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.chemistry.thickness import sd_of, thickness_of, thickness_per_weight
from chemoscape.chemistry.uncertainty import of_values
from chemoscape.decompose.design import slopes_of
from chemoscape.decompose.misfit import departures, likeness
from chemoscape.errors import FitError
from chemoscape.few_energies import model
from chemoscape.few_energies.model import ErrorParts, Nuisance
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import mean_composition

#: So many images are taken for a few that were chosen, and not for a short stack.
FEW_IMAGES = 5
#: More images than this are a stack: fit it with `deconvolve`.
MOST_ENERGIES = 12
#: Departure of a noisy optical density from its fit beyond which its variance grows no more.
_EXCESS = 5.0
#: Sources of error, in the order of the map ``error``.
SOURCES = ("counting", "energy", "calibration", "offset", "i0", "registration", "standards")


@dataclass(frozen=True, eq=False)
class Problem:
    """A few energies, the standards there, and what is uncertain: the same for all pixels."""

    energy: np.ndarray
    library: Library
    mu: np.ndarray  # (n, K)
    slopes: np.ndarray  # (n, K), with the energy shift
    departures: np.ndarray  # (K, n, n), covariance of each standard per squared weight
    nuisance: Nuisance
    typical: np.ndarray  # (n,), variance of the optical density that the first fit goes by

    @classmethod
    def of(
        cls,
        energy: np.ndarray,
        library: Library,
        nuisance: Nuisance,
        shift: float,
        misfit_scale: float,
    ) -> Problem:
        """Raise unless so many energies can be fitted with so many standards."""
        n, n_standards = energy.size, len(library.names)
        if n > MOST_ENERGIES:
            raise FitError(
                f"{n} energies are a stack",
                remedy="name a few of them in [few_energies] energies, or fit all with deconvolve",
            )
        wanted = n_standards + int(np.isinf(nuisance.offset_sd))
        if n < wanted:
            raise FitError(
                f"{n} {'energy' if n == 1 else 'energies'} cannot tell {n_standards} standards"
                + (" and an offset" if wanted > n_standards else ""),
                remedy=f"measure {wanted} energies or more, or select fewer standards",
            )
        fields = misfit_scale * departures(library, energy, shift)
        of_each = np.einsum("fkn,fkm->knm", fields, fields) * likeness(energy)
        mu = library.spectra(energy, shift=shift).values.T
        slopes = slopes_of(library, energy, shift)
        return cls(energy, library, mu, slopes, of_each, nuisance, np.ones(n))

    def of_mean(
        self, density: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float, int]:
        """Weights (K,) of one spectrum, their standard deviations (K,), chi-squared and degrees of
        freedom, with all errors that are common to the pixels as one dense covariance.

        Parameters
        ----------
        density, variance : ndarray, shape (n_energy,)
            Optical density of the sample's mean, and its counting variance.
        """
        nuisance, n = self.nuisance, self.energy.size
        free = np.isinf(nuisance.offset_sd)
        columns = np.column_stack([self.mu, np.ones(n)]) if free else self.mu
        length = np.linalg.norm(columns, axis=0)
        start = np.linalg.lstsq(columns / length, density, rcond=None)[0] / length
        k = self.mu.shape[1]
        slope = self.slopes @ start[:k]
        covariance = np.diag(model.image_variance(variance, slope, nuisance))
        covariance += (nuisance.calibration_sd_eV**2) * np.outer(slope, slope)
        covariance += np.einsum("k,knm->nm", start[:k] ** 2, self.departures)
        if not free:
            covariance += nuisance.offset_sd**2
        root = np.linalg.cholesky(covariance)
        white, seen = (np.linalg.solve(root, one) for one in (columns / length, density))
        found, *_ = np.linalg.lstsq(white, seen, rcond=None)
        spread = np.sqrt(np.diag(np.linalg.pinv(white.T @ white)))
        left = float(((seen - white @ found) ** 2).sum())
        return (found / length)[:k], (spread / length)[:k], left, n - columns.shape[1]

    @property
    def n_planes(self) -> int:
        """Maps that `planes` returns."""
        k = self.mu.shape[1]
        return k + k * (k + 1) // 2 + 1 + len(SOURCES) + 6

    def planes(self, density: np.ndarray, variance: np.ndarray, unsteady: np.ndarray) -> np.ndarray:
        """All maps of a band (n_energy, rows, x), stacked; NaN where an image has no value.

        `unsteady` is the variance of each optical density that misplaced images make.
        """
        shape = density.shape[1:]
        flat = density.reshape(len(density), -1).T.astype(np.float64)
        v = variance.reshape(len(variance), -1).T.astype(np.float64)
        out = np.full((self.n_planes, flat.shape[0]), np.nan)
        known = np.isfinite(flat).all(axis=1) & (np.isfinite(v) & (v > 0)).all(axis=1)
        if known.any():
            moved = unsteady.reshape(len(unsteady), -1).T[known].astype(np.float64)
            out[:, known] = self._solved(flat[known], v[known], moved)
        return out.reshape(self.n_planes, *shape)

    def _solved(
        self, density: np.ndarray, variance: np.ndarray, unsteady: np.ndarray
    ) -> np.ndarray:
        """Of pixels (n_pixels, n_energy); twice, since slope and variance follow from the fit."""
        start = Nuisance(0.0, 0.0, self.nuisance.offset_sd, self.nuisance.i0_sd)
        first = model.coefficients(self.mu, np.zeros(len(self.mu)), self.typical, start)
        weights = density @ first.T
        slope = weights @ self.slopes.T
        # counting variance goes as exp(OD): that of the fit, not of the noise in this pixel
        excess = np.clip(weights @ self.mu.T - density, -_EXCESS, _EXCESS)
        variance = variance * np.exp(excess)
        matrix = model.solver(self.mu, slope, variance + unsteady, self.nuisance)
        found = np.einsum("pqn,pn->pq", matrix, density)
        k = self.mu.shape[1]
        weights = found[:, :k].T
        mixed = mean_composition(weights, self.library.values, self.library.molar_mass)
        sensitivity = np.einsum("kp,pkn->pn", mixed.gradient, matrix[:, :k])
        parts = model.error_parts(sensitivity, slope, variance, self.nuisance)
        covariance = np.einsum("pin,pn,pjn->ijp", matrix[:, :k], variance, matrix[:, :k])
        factor = thickness_per_weight(self.library)
        left = density - self._fitted(found, slope)
        return np.concatenate(
            [
                weights,
                covariance[np.triu_indices(k)],
                mixed.value[None],
                self.errors(parts, sensitivity, weights, mixed.gradient, unsteady),
                [
                    sensitivity.sum(axis=1),
                    (sensitivity * slope).sum(axis=1),
                    thickness_of(weights, factor),
                    sd_of(covariance, factor),
                    *self._goodness(left, found, slope, variance + unsteady),
                ],
            ]
        )

    def errors(
        self,
        parts: ErrorParts,
        sensitivity: np.ndarray,
        weights: np.ndarray,
        gradient: np.ndarray,
        unsteady: np.ndarray,
    ) -> np.ndarray:
        """Standard deviations by source (source, n_pixels): those of the model, of misplaced
        images, and what the standards' spectra, mass scales and compositions add. An error of scale
        that all standards share changes no composition.
        """
        departed = np.einsum(
            "pn,knm,pm,kp->p", sensitivity, self.departures, sensitivity, weights**2, optimize=True
        )
        own = of_values(np.maximum(weights, 0), self.library, "molar") ** 2
        scales = np.nan_to_num([one.record.scaling.uncertainty for one in self.library.standards])
        own += ((gradient * weights * scales[:, None]) ** 2).sum(axis=0)
        return np.stack(
            [
                *(getattr(parts, name) for name in SOURCES[:-2]),
                np.sqrt((sensitivity**2 * unsteady).sum(axis=1)),
                np.sqrt(np.maximum(departed, 0) + own),
            ]
        )

    def _fitted(self, found: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Optical densities (n_pixels, n_energy) of everything that was fitted."""
        k = self.mu.shape[1]
        total = found[:, :k] @ self.mu.T
        if self.nuisance.offset_sd > 0:
            total = total + found[:, k, None]
        if self.nuisance.calibration_sd_eV > 0:
            total = total + found[:, -1, None] * slope
        return np.asarray(total)

    def _goodness(
        self, left: np.ndarray, found: np.ndarray, slope: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Residual (rms) and reduced chi-squared of pixels; NaN without a degree of freedom."""
        n, k = self.mu.shape
        free = np.isinf(self.nuisance.offset_sd)
        degrees = n - k - int(free)
        if degrees < 1:
            return np.full(len(left), np.nan), np.full(len(left), np.nan)
        squares = (left**2 / model.image_variance(variance, slope, self.nuisance)).sum(axis=1)
        if self.nuisance.offset_sd > 0 and not free:
            squares = squares + (found[:, k] / self.nuisance.offset_sd) ** 2
        if self.nuisance.calibration_sd_eV > 0:
            squares = squares + (found[:, -1] / self.nuisance.calibration_sd_eV) ** 2
        return np.sqrt((left**2).mean(axis=1)), squares / degrees

    def split(self, planes: np.ndarray) -> dict[str, np.ndarray]:
        """The maps of `planes` by their names."""
        k = self.mu.shape[1]
        sizes = {
            "weight": k,
            "weight_covariance": k * (k + 1) // 2,
            "unclipped": 1,
            "error": len(SOURCES),
            **dict.fromkeys(
                ("per_offset", "per_eV", "thickness", "thickness_sd", "residual", "reduced_chi2"), 1
            ),
        }
        parts = np.split(planes, np.cumsum(list(sizes.values()))[:-1])
        return {
            name: part[0] if sizes[name] == 1 else part
            for name, part in zip(sizes, parts, strict=True)
        }
