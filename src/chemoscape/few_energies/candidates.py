r"""Variance of composition of many sets of energies at once, and the dose shared out over them.

For images at energies E_j with N_j incident photons in a pixel, the composition of a sample errs by
``V = gᵀ F⁻¹ g`` with g = dx/dt and F of `chemoscape.few_energies.model`, where the counting
variance of an optical density is ``v_j / N_j``, ``v_j = e^OD / η``. Wanted is the least mean of V
over the samples at a given budget ``Σ N_j c_j``: of absorbed energy with ``c_j = E_j (1 - e^-OD)``,
or of photons with ``c_j = 1``.

V is also the least of ``Σ_j a_j² v_j / N_j + …`` over all unbiased weights a of the optical
densities; that function is convex in a and N together. Least squares give the best a for given N;
for given a the best N is ``N_j ∝ sqrt(mean(a_j² v_j) / c_j)`` (Lagrange). Both lower the same
convex function, so alternating them ends at its least value. The first derivative bounds how far
that still is (the equivalence theorem of optimum design: Atkinson, Donev and Tobias, Optimum
Experimental Designs, 2007, chapter 9). Over all candidates at once this is the design that no
choice of energies can beat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.model import Nuisance, information_terms

#: No image gets fewer photons than this share of what an even distribution gives it.
LEAST_SHARE = 0.1
#: The dose is shared out well enough when nothing could lower the variance by more than this share.
GAP = 1e-3
#: Rounds of sharing out the dose, at most.
MOST_ROUNDS = 3000
#: Added to a scaled information matrix: what cannot be told gets an error without bounds.
_RIDGE = 1e-13


@dataclass(frozen=True, eq=False)
class Candidates:
    """The model's numbers at m candidate energies.

    Sets of n of them are arrays of places, (B, n), and so are their photons.

    Parameters
    ----------
    terms : ndarray, shape (n_samples, m, q, q)
        ``h hᵀ``: information of an image whose optical density has the variance one.
    prior : ndarray, shape (q, q)
        Information on offset and calibration beforehand.
    gradient : ndarray, shape (n_samples, q)
        Of composition, in the units of `terms`.
    counting, rest : ndarray, shape (n_samples, m)
        Variance of an optical density with one photon, and what photons do not lower.
    cost : ndarray, shape (m,)
        What a photon takes of the budget.
    share : ndarray, shape (n_samples,)
        How much each sample counts.
    """

    terms: np.ndarray
    prior: np.ndarray
    gradient: np.ndarray
    counting: np.ndarray
    rest: np.ndarray
    cost: np.ndarray
    share: np.ndarray

    @classmethod
    def of(
        cls,
        expected: Expected,
        energies: np.ndarray,
        nuisance: Nuisance,
        efficiency: float,
        *,
        by_photons: bool = False,
    ) -> Candidates:
        """At energies (eV), for a budget of absorbed eV or `by_photons`."""
        mu = expected.library.spectra(energies).values.T
        height = mu.max()
        slope = expected.slope(energies)
        of_all_images = replace(nuisance, energy_sd_eV=0.0, i0_sd=0.0)
        terms, prior = information_terms(mu / height, slope, np.ones_like(slope), of_all_images)
        gradient = np.zeros((len(slope), prior.shape[0]))
        gradient[:, : mu.shape[1]] = expected.gradient / height
        return cls(
            terms,
            prior,
            gradient,
            counting=np.exp(expected.optical_density(energies)) / efficiency,
            rest=(slope * nuisance.energy_sd_eV) ** 2 + nuisance.i0_sd**2,
            cost=np.ones(energies.size) if by_photons else expected.absorbed(energies),
            share=expected.share,
        )

    @property
    def everything(self) -> np.ndarray:
        """The set of all candidates, (1, m)."""
        return np.arange(self.cost.size)[None]

    def evaluate(self, sets: np.ndarray, photons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean variance of composition of each set of energies, and its derivatives.

        Returns
        -------
        variance : ndarray, shape (B,)
        pull : ndarray, shape (B, n)
            ``mean(a_j² v_j) = -N_j² dV/dN_j``.
        """
        weight = 1 / (self.counting[:, sets] / photons + self.rest[:, sets])
        terms = self.terms[:, sets]
        information = np.einsum("sbj,sbjqp->sbqp", weight, terms) + self.prior
        root = np.sqrt(np.einsum("sbqq->sbq", information))
        balanced = information / (root[..., :, None] * root[..., None, :])
        balanced += _RIDGE * np.eye(len(self.prior))
        aim = self.gradient[:, None, :] / root
        solved = np.linalg.solve(balanced, aim[..., None])[..., 0] / root
        variance = self.share @ np.einsum("sq,sbq->sb", self.gradient, solved)
        along = np.einsum("sbjqp,sbp->sbjq", terms, solved)
        squared = weight**2 * np.maximum(np.einsum("sbjq,sbq->sbj", along, solved), 0.0)
        return variance, np.einsum("s,sbj->bj", self.share, squared * self.counting[:, sets])

    def even(self, sets: np.ndarray, budget: float) -> np.ndarray:
        """Photons alike in all images of a set, (B, n)."""
        each = budget / self.cost[sets].sum(axis=1, keepdims=True)
        return np.broadcast_to(each, sets.shape).copy()

    def share_out(
        self,
        sets: np.ndarray,
        budget: float,
        *,
        rounds: int = MOST_ROUNDS,
        least: float = LEAST_SHARE,
    ) -> np.ndarray:
        """Photons of each image at which the variance is least, (B, n).

        Stops early when no other distribution could lower any of them by more than `GAP`.
        """
        cost = self.cost[sets]
        photons = self.even(sets, budget)
        floor = least * photons
        free = budget - (floor * cost).sum(axis=1)
        for _ in range(rounds):
            variance, pull = self.evaluate(sets, photons)
            gain = pull / photons**2  # -dV/dN
            ahead = (gain * (floor - photons)).sum(axis=1) + free * (gain / cost).max(axis=1)
            if (ahead <= GAP * variance).all():
                break
            photons = _in_proportion(np.sqrt(pull / cost), cost, floor, budget)
        return photons

    def best_design(self, budget: float) -> tuple[np.ndarray, float]:
        """Photons of every candidate in the best design of all, (m,), and the root mean square
        error that it has at the very least.
        """
        photons = self.share_out(self.everything, budget, least=0.0)
        variance, pull = self.evaluate(self.everything, photons)
        gain = pull / photons**2
        ahead = float(budget * (gain / self.cost).max() - (gain * photons).sum())
        return photons[0], float(np.sqrt(max(variance[0] - ahead, 0.0)))


def _in_proportion(
    wanted: np.ndarray, cost: np.ndarray, floor: np.ndarray, budget: float
) -> np.ndarray:
    """Photons in proportion to `wanted`, none below its floor, that take the whole budget.

    All (B, n); those that fall below are put on their floor, and the others share the rest.
    """
    held = np.zeros(wanted.shape, dtype=bool)
    for _ in range(wanted.shape[1]):
        rest = budget - np.where(held, floor * cost, 0.0).sum(axis=1, keepdims=True)
        taken = np.where(held, 0.0, wanted * cost).sum(axis=1, keepdims=True)
        photons = np.where(held, floor, wanted * rest / np.maximum(taken, 1e-300))
        below = (photons < floor) & ~held
        if not below.any():
            break
        held |= below
    return np.asarray(np.maximum(photons, 1e-9 * budget / cost.sum(axis=1, keepdims=True)))
