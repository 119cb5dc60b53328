"""From errors of spectra to errors of what is made of the weights, to first order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chemoscape.decompose.design import design, slopes_of
from chemoscape.decompose.misfit import Misfit, departures, likeness
from chemoscape.standards.library import Library


@dataclass(frozen=True, eq=False)
class _Used:
    """Some standards in use: which (bool), and the matrix that gives their weights."""

    chosen: np.ndarray
    solver: np.ndarray


class Propagation:
    """The linear maps of a fit: weights by ``t = P_S d`` on the standards S that are in use.

    A pixel of one standard only has no freedom left, and would be without any error: it is given
    its neighbour in composition for this, as the next spectrum would that is a little different.

    Parameters
    ----------
    library : Library
    energy : ndarray, shape (n_energy,)
        Energies of the fit, eV.
    shift : float or ndarray
        E(file axis) - E(library), eV.
    baseline : str or None
    fit_weight : ndarray, shape (n_energy,)
        Statistical weight of each energy in the fit, up to a factor; those of 0 are left out.
    """

    def __init__(
        self,
        library: Library,
        energy: np.ndarray,
        shift: np.ndarray | float,
        baseline: str | None,
        fit_weight: np.ndarray,
    ) -> None:
        used = fit_weight > 0
        if not used.any():  # no mean spectrum to weigh them by
            used, fit_weight = np.ones_like(used), np.ones_like(fit_weight)
        self.library, self.energy = library, energy[used]
        self.shift = np.broadcast_to(shift, energy.shape)[used]
        self.parts = design(library, self.energy, self.shift, baseline)
        self.fit_weight = fit_weight[used] / fit_weight[used].mean()
        # the same few sets of standards are in use in every band of pixels
        self._used: dict[bytes, _Used] = {}
        self._spreads: dict[bytes, np.ndarray] = {}

    @cached_property
    def _fields(self) -> np.ndarray:
        return departures(self.library, self.energy, self.shift)

    @cached_property
    def _alike(self) -> np.ndarray:
        return likeness(self.energy)

    def _with_a_neighbour(self, support: np.ndarray) -> _Used:
        key = support.tobytes()
        if key not in self._used:
            chosen = with_a_neighbour(support, self.library.values)
            self._used[key] = _Used(chosen, self.solver(chosen))
        return self._used[key]

    def _spread(self, support: np.ndarray, solver: np.ndarray) -> np.ndarray:
        """Covariance of the weights by every standard's departure, (n_standards, weight, weight),
        and after these by an error common to all pixels.
        """
        key = support.tobytes()
        if key not in self._spreads:
            moved = solver[None, None] * self._fields[:, :, None, :]  # field, standard, weight, E
            spread = np.einsum("fkin,nm,fkjm->kij", moved, self._alike, moved, optimize=True)
            common = (solver / self.fit_weight) @ solver.T
            self._spreads[key] = np.concatenate([spread, common[None]])
        return self._spreads[key]

    def solver(self, chosen: np.ndarray) -> np.ndarray:
        """Matrix ``P_S`` of weighted least squares, (n_chosen, n_energy), baseline fitted too.

        `chosen` is bool over the standards.
        """
        lengths = self.parts.lengths
        columns = np.append(chosen, np.ones(lengths.size - chosen.size, dtype=bool))
        root = np.sqrt(self.fit_weight)
        inverse = np.linalg.pinv(self.parts.columns[:, columns] * root[:, None]) * root
        return np.asarray(inverse[: chosen.sum()] / lengths[: chosen.size][chosen, None])

    def misfit_sd(self, weights: np.ndarray, gradient: np.ndarray, misfit: Misfit) -> np.ndarray:
        """Standard deviation of a function of the weights that the misfit of the standards makes.

        Parameters
        ----------
        weights, gradient : ndarray, shape (n_standards, n_pixels)
            Weights, and the derivative of the function (composition) with each of them.
        misfit : Misfit

        Returns
        -------
        ndarray, shape (n_pixels,)
            In units of the function; NaN where there are no weights.
        """
        sd = np.full(weights.shape[1], np.nan)
        for support, pixels in _supports(weights):
            used = self._with_a_neighbour(support)
            *spread, common = self._spread(support, used.solver)
            slope, amount = gradient[used.chosen][:, pixels], weights[:, pixels]
            variance = misfit.scale**2 * np.einsum(
                "ip,kij,jp,kp->p", slope, spread, slope, amount**2, optimize=True
            )
            variance += misfit.level**2 * np.einsum("ip,ij,jp->p", slope, common, slope)
            sd[pixels] = np.sqrt(np.maximum(variance, 0))
        return sd

    def scale_sd(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Standard deviation of a function of the weights by errors of the standards' mass scales.

        A standard whose spectrum is off by ``e_k`` moves the weights by ``-P_S e_k t_k``. Noise and
        fine structure (``e = σ μ``) err independently; what the tables do is common; the slope
        that may have lain under the optical densities (`Standard.tilt`) is either, and what it
        does is the larger of both: standards of one day have one background.

        Parameters
        ----------
        weights, gradient : ndarray, shape (n_standards, n_pixels)

        Returns
        -------
        ndarray, shape (n_pixels,)
            In units of the function.
        """
        standards = self.library.standards
        own = np.array([standard.scale_sd for standard in standards])
        tables = np.nan_to_num([one.record.scaling.table_difference for one in standards])
        squares = ((gradient * weights * own[:, None]) ** 2).sum(axis=0)
        squares += (gradient * weights * tables[:, None]).sum(axis=0) ** 2
        tilts = np.stack(
            [np.interp(self.energy - self.shift, one.energy, one.tilt) for one in standards]
        )
        if not tilts.any():
            return np.sqrt(squares)
        for support, pixels in _supports(weights):
            used = self._with_a_neighbour(support)
            moved = used.solver @ tilts.T  # weight, standard
            each = gradient[used.chosen][:, pixels].T @ moved * weights[:, pixels].T
            squares[pixels] += np.maximum((each**2).sum(axis=1), each.sum(axis=1) ** 2)
        return np.sqrt(squares)

    def per_stretch(self, weights: np.ndarray, gradient: np.ndarray, centre: float) -> np.ndarray:
        """Derivative of a function of the weights with a stretch of the axis about an energy.

        Parameters
        ----------
        weights, gradient : ndarray, shape (n_standards, n_pixels)
        centre : float
            eV.

        Returns
        -------
        ndarray, shape (n_pixels,)
        """
        slopes = slopes_of(self.library, self.energy, self.shift)
        lever = (self.energy - centre)[:, None] * slopes
        found = np.zeros(weights.shape[1])
        for support, pixels in _supports(weights):
            used = self._with_a_neighbour(support)
            moved = -used.solver @ lever @ weights[:, pixels]
            found[pixels] = (gradient[used.chosen][:, pixels] * moved).sum(axis=0)
        return found

    def at_the_bound(
        self, weights: np.ndarray, gradient: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counting error and slope of pixels of one standard, as if its neighbour were free.

        The noise of a pixel is taken from the variance of its weight, its dependence on energy from
        that of the whole fit.

        Parameters
        ----------
        weights, gradient, variance : ndarray, shape (n_standards, n_pixels)
            Weights, derivative of the function with them, and their variances on the active set.

        Returns
        -------
        pixels : ndarray of bool, shape (n_pixels,)
            Which have one standard only.
        sd, per_eV : ndarray, shape (number of these,)
            Standard deviation of the function by counting; its derivative with the energy shift.
        """
        single = np.zeros(weights.shape[1], dtype=bool)
        sd, per_eV = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
        slopes = slopes_of(self.library, self.energy, self.shift)
        for support, pixels in _supports(weights):
            if support.sum() != 1:
                continue
            used = self._with_a_neighbour(support)
            chosen, both = used.chosen, used.solver
            if chosen.sum() == 1:
                continue
            alone = self.solver(support)
            unit = (alone / self.fit_weight) @ alone.T
            pair = (both / self.fit_weight) @ both.T
            slope = gradient[chosen][:, pixels]
            noise = variance[support][0, pixels] / unit[0, 0]
            sd[pixels] = np.sqrt(noise * np.einsum("ip,ij,jp->p", slope, pair, slope))
            moved = -both @ slopes[:, support] * weights[support][:, pixels]
            per_eV[pixels] = (slope * moved).sum(axis=0)
            single |= pixels
        return single, sd[single], per_eV[single]


def _supports(weights: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Which standards are in use, each set with its pixels (both bool); none is left out."""
    in_use = weights != 0
    every, number = np.unique(in_use, axis=1, return_inverse=True)
    return [(support, number.ravel() == k) for k, support in enumerate(every.T) if support.any()]


def with_a_neighbour(support: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Standards in use, or the only one and its neighbour in composition, if there is another."""
    other = values != values[support][0]
    if support.sum() > 1 or not other.any():
        return support
    apart = np.where(other, np.abs(values - values[support][0]), np.inf)
    return np.asarray(support | (np.arange(len(values)) == apart.argmin()))
