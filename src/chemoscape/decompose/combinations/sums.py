"""Sums of standards: the least squares problem that fits of single spectra share.

A spectrum is ``y(E) = Σ t_k μ_k(E - δ) + b₀ + b₁ (E - E_mid)``. `Problem` holds one spectrum with
all its standards, compressed once, so that many selections of them are solved quickly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar, nnls

from chemoscape.decompose.design import Baseline, baseline_columns, slopes_of
from chemoscape.decompose.energy import SEARCH_EV, EnergyShift
from chemoscape.errors import FitError
from chemoscape.standards.library import Library

#: Smallest singular value, over the largest, at which columns of unit length are told apart.
SINGULAR = 1e-7
#: How far from the free fit the shift is sought when weights sum to one, eV.
POLISH_EV = 0.3
#: Step of the second difference at the best shift, eV.
CURVATURE_STEP_EV = 0.02


@dataclass(frozen=True, eq=False)
class Solution:
    """Least squares with some of the standards.

    ``parameters`` are the weights, then the baseline's terms; ``inverse`` is ``(AᵀA)⁻¹`` over them,
    zero for weights at their bound; ``per_eV`` their derivative with the energy shift.
    """

    parameters: np.ndarray
    active: np.ndarray
    squares: float
    inverse: np.ndarray
    per_eV: np.ndarray


@dataclass(frozen=True, eq=False)
class Problem:
    """A spectrum, its standards and baseline, divided by the sd and compressed by one QR.

    All sums of squares of ``y - Σ t_k μ_k - Σ b_j`` are those of the triangular factor R of
    ``[baseline | standards | y | derivatives]``: a few rows in the place of hundreds of energies,
    and without the loss of digits that ``AᵀA`` has. Rows below the baseline's are free of it.
    """

    factor: np.ndarray
    n_standards: int
    n_baseline: int
    nonnegative: bool
    sum_to_one: bool

    @classmethod
    def of(
        cls,
        energy: np.ndarray,
        data: np.ndarray,
        sd: np.ndarray,
        library: Library,
        shift: ArrayLike,
        *,
        baseline: Baseline | None,
        nonnegative: bool,
        sum_to_one: bool,
    ) -> Problem:
        """Weigh and compress; energies, data and sd have one entry per energy used."""
        terms = baseline_columns(baseline, energy)
        spectra = library.spectra(energy, shift=shift).values
        if not (empty := spectra.any(axis=1)).all():
            raise FitError(
                f"the standard {library.names[int(empty.argmin())]!r} is zero at all energies used",
                remedy="leave it out, or use a wider range",
            )
        columns = [
            terms,
            spectra.T,
            data[:, None],
            slopes_of(library, energy, shift),
        ]
        factor = np.linalg.qr(np.hstack(columns) / sd[:, None], mode="r")
        return cls(np.asarray(factor), len(library.names), terms.shape[1], nonnegative, sum_to_one)

    def solve(self, chosen: Sequence[int]) -> Solution:
        """Best weights of the chosen standards (by number) and the baseline.

        Raises
        ------
        FitError
            Columns of the fit cannot be told apart on these energies.
        """
        weights, design, target, slopes = self._weights(chosen)
        nb, k = self.n_baseline, len(chosen)
        terms = np.zeros(nb)
        if nb:
            left = target - design[:, :k] @ weights
            terms = np.linalg.solve(design[:nb, k:], left[:nb])
        parameters = np.append(weights, terms)
        residual = target - design @ parameters
        active = np.append(weights > 0 if self.nonnegative else np.ones(k, bool), np.ones(nb, bool))
        inverse = self._inverse(design, active, k)
        # the derivative of the normal equations Aᵀ(y - A p) = 0 with the shift, on the active set
        moved = slopes @ weights
        right = -design.T @ moved
        right[:k] += slopes.T @ residual
        return Solution(parameters, active, float(residual @ residual), inverse, inverse @ right)

    def squares(self, chosen: Sequence[int]) -> tuple[np.ndarray, float]:
        """Weights and sum of squares only: what a search needs."""
        weights, design, target, _ = self._weights(chosen)
        left = (target - design[:, : len(chosen)] @ weights)[self.n_baseline :]
        return weights, float(left @ left)

    def _weights(
        self, chosen: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Weights; design (standards, then baseline), data and derivatives, as rows of the factor.

        Sum to one: ``‖Σ t_k (μ_k - y) + b‖`` is homogeneous in (t, b), so that its minimiser over
        ``Σ t = 1`` is, up to a factor, that of the same norm plus ``(Σ t - 1)²``: no elimination
        needed, and non-negativity comes for free.
        """
        nb, n = self.n_baseline, self.n_standards
        index = np.asarray(chosen)
        standards = self.factor[:, nb + index]
        target = self.factor[:, nb + n]
        model, data = standards[nb:], target[nb:]
        lengths = np.linalg.norm(standards, axis=0)
        columns = model / lengths
        if self.sum_to_one:
            pull = float(np.linalg.norm(data)) or float(lengths.mean())
            columns = np.vstack([(model - data[:, None]) / lengths, pull / lengths])
            data = np.append(np.zeros(len(data)), pull)
        if self.nonnegative:
            scaled = nnls(columns, data)[0]
        else:
            scaled = np.linalg.lstsq(columns, data, rcond=None)[0]
        weights = scaled / lengths
        if self.sum_to_one:
            weights = weights / weights.sum()
        design = np.hstack([standards, self.factor[:, :nb]])
        return weights, design, target, self.factor[:, nb + n + 1 + index]

    def _inverse(self, design: np.ndarray, active: np.ndarray, k: int) -> np.ndarray:
        """``(AᵀA)⁻¹`` on the active set, within the plane ``Σ t = 1`` when that is imposed."""
        index = np.flatnonzero(active)
        directions = np.eye(len(index))
        if self.sum_to_one:
            directions = np.linalg.svd((index < k).astype(float)[None, :])[2][1:].T
        full = np.zeros((len(active), len(active)))
        if directions.shape[1]:
            reduced = design[:, index] @ directions
            lengths = np.linalg.norm(reduced, axis=0)
            _, values, rows = np.linalg.svd(reduced / lengths, full_matrices=False)
            if not values[-1] > SINGULAR * values[0]:
                raise FitError(
                    "the standards and the baseline cannot be told apart on the energies used",
                    remedy="leave out standards that are alike, or use a wider range",
                )
            root = directions @ (rows.T / values / lengths[:, None])
            full[np.ix_(index, index)] = root @ root.T
        return full


def effective_points(
    energy: np.ndarray,
    resolution_eV: float | None,
    exclude: Sequence[tuple[float, float]] = (),
) -> float:
    """Independent points of a spectrum: range / max(step, resolution), at most all of them.

    What an excluded range leaves out is no part of the range.
    """
    if resolution_eV is None or energy.size < 2:
        return float(energy.size)
    if not resolution_eV >= 0:
        raise FitError(
            f"resolution_eV is {resolution_eV!r}", remedy="give it in eV, zero or positive"
        )
    steps = np.diff(energy)
    middle = (energy[1:] + energy[:-1]) / 2
    kept = np.ones(steps.size, dtype=bool)
    for low, high in exclude:
        kept &= (middle < low) | (middle > high)
    step = max(float(np.median(steps)), float(resolution_eV))
    return float(np.clip(steps[kept].sum() / step, 1, energy.size))


def shift_with_sum_one(
    free: EnergyShift,
    energy: np.ndarray,
    data: np.ndarray,
    sd: np.ndarray,
    library: Library,
    *,
    baseline: Baseline | None,
    nonnegative: bool,
) -> EnergyShift:
    """The shift at which weights that sum to one fit best, near that of the free fit.

    Variable projection as in `fit_energy_shift`, with the constraint in the inner problem. The
    error is that of the free fit, times what curvature and residual change.
    """
    low, high = max(free.value - POLISH_EV, -SEARCH_EV), min(free.value + POLISH_EV, SEARCH_EV)
    h = CURVATURE_STEP_EV
    used = library.covers(energy, low - h) & library.covers(energy, high + h)
    everything = range(len(library.names))
    if used.sum() <= len(everything) + baseline_columns(baseline, energy).shape[1]:
        return free

    def misfit(shift: float, constrained: bool = True) -> float:
        problem = Problem.of(
            energy[used],
            data[used],
            sd[used],
            library,
            shift,
            baseline=baseline,
            nonnegative=nonnegative,
            sum_to_one=constrained,
        )
        return problem.squares(everything)[1]

    def variance(at: float, constrained: bool) -> float:
        """Up to a factor: residual over curvature."""
        lowest, *beside = (misfit(at + step, constrained) for step in (0, -h, h))
        curvature = sum(beside) - 2 * lowest
        return lowest / curvature if curvature > 0 else float("inf")

    found = minimize_scalar(misfit, bounds=(low, high), method="bounded", options={"xatol": 1e-4})
    shift = float(found.x)
    of_free = variance(free.value, False)
    ratio = variance(shift, True) / of_free if 0 < of_free < np.inf else 1.0
    gain, freedom = misfit(0.0) - float(found.fun), used.sum() - len(everything) - 1
    noise = max(float(found.fun) / max(freedom, 1), np.finfo(float).tiny)
    return replace(
        free,
        value=shift,
        at_limit=abs(shift) > SEARCH_EV - 1e-3,
        sd=free.sd * float(np.sqrt(ratio)),
        sd_noise=free.sd_noise * float(np.sqrt(ratio)),
        significance=float(np.sqrt(max(gain, 0.0) / noise)),
    )
