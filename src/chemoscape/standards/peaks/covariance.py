"""How sure the parameters of a fit are, counting areas, bounds and residuals that are no noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chemoscape.standards.peaks.problem import Problem

#: A parameter this close to its bound (part of the range) is at it.
_AT_BOUND = 1e-3


@dataclass(frozen=True)
class Covariance:
    """Covariance of theta and all amplitudes; where each spectrum's amplitudes are in it."""

    matrix: np.ndarray
    amplitudes: list[slice]
    held: np.ndarray  # parameters of theta at a bound, which have no error
    inflation: float  # by which residuals that follow one another enlarge variances


def covariance_of(problem: Problem, theta: np.ndarray, params: Any, known: bool) -> Covariance:
    """``(J^T W J)^-1`` over what is free, times the variance of the residuals if that of the data
    is unknown; what is at a bound is held.
    """
    jacobian, active = problem.full_jacobian(theta)
    held = np.array(
        [
            not one.vary
            or min(one.value - one.min, one.max - one.value) < _AT_BOUND * (one.max - one.min)
            for one in params.values()
        ]
    )
    amplitudes, first = [], theta.size
    for one in active:
        amplitudes.append(slice(first, first + one.size))
        first += one.size
    free = np.concatenate([~held, *active])
    # A peak without area has no place and no width either.
    free &= np.linalg.norm(jacobian, axis=0) > 0
    used = jacobian[:, free]
    size = np.linalg.norm(used, axis=0)
    part = np.linalg.pinv((used / size).T @ (used / size), rcond=1e-12, hermitian=True)
    matrix = np.zeros((free.size, free.size))
    matrix[np.ix_(free, free)] = part / np.outer(size, size)
    inflation = 1.0
    if not known:
        parts = [problem.solve(theta, k).residual for k in range(len(problem.spectra))]
        n = sum(one.size for one in parts)
        n_free = max(n + problem.prior(theta).size - used.shape[1], 1)
        inflation = float(np.mean([_correlation_length(one) for one in parts]))
        matrix *= inflation * sum(float(one @ one) for one in parts) / n_free
    return Covariance(matrix, amplitudes, held, inflation)


def _correlation_length(residual: np.ndarray) -> float:
    """By how much residuals that follow one another enlarge the variance of what is fitted:
    ``1 + 2 sum rho_k`` up to the first lag that is no longer correlated.
    """
    power = float(residual @ residual)
    if power == 0:
        return 1.0
    total = 1.0
    for lag in range(1, residual.size // 3):
        rho = float(residual[lag:] @ residual[:-lag]) / power
        if rho <= 2 / np.sqrt(residual.size):
            break
        total += 2 * rho
    return total
