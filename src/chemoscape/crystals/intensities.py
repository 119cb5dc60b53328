"""The part of a whole-pattern fit that is linear: intensities that are not negative, background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from scipy import linalg, optimize, sparse

#: Share of a line's own square that is added to it: lines that coincide then share their intensity.
_RIDGE = 1e-7
_MOST_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class Linear:
    """Best intensities and background for given profiles.

    Parameters
    ----------
    intensities : ndarray (m,)
        Areas of lines, not negative.
    background : ndarray (k,)
        Chebyshev coefficients.
    positive : ndarray (m,) of bool
        Lines whose intensity is free.
    residual : ndarray (n,)
        ``(y - model) / sd``.
    """

    intensities: np.ndarray
    background: np.ndarray
    positive: np.ndarray
    residual: np.ndarray
    columns: sparse.csc_array
    base: np.ndarray

    def intensity_sd(self) -> np.ndarray:
        """Standard deviations of the intensities, shape (m,), for given profiles; infinite for
        those at zero.
        """
        sd = np.full(len(self.intensities), np.inf)
        if self.positive.any():
            gram = _ridged(self._gram())
            n = int(self.positive.sum())
            sd[self.positive] = np.sqrt(np.diag(linalg.inv(gram))[:n])
        return sd

    def _gram(self) -> np.ndarray:
        """Products of the free columns with each other: lines, then background."""
        free = self.columns[:, self.positive]
        cross = free.T @ self.base
        return np.block([[(free.T @ free).toarray(), cross], [cross.T, self.base.T @ self.base]])

    def without_linear(self, slopes: np.ndarray) -> np.ndarray:
        """What of weighted slopes (n, p) no change of intensities and background can mimic."""
        free = self.columns[:, self.positive]
        right = np.vstack([free.T @ slopes, self.base.T @ slopes])
        found = linalg.solve(_ridged(self._gram()), right, assume_a="pos", check_finite=False)
        n = free.shape[1]
        return np.asarray(slopes - free @ found[:n] - self.base @ found[n:])


def chebyshev_base(x: np.ndarray, n: int) -> np.ndarray:
    """Chebyshev polynomials T_0 … T_{n-1} over the range of angles, shape (points, n)."""
    scaled = 2 * (x - x[0]) / (x[-1] - x[0]) - 1
    return np.asarray(chebyshev.chebvander(scaled, n - 1))


def solve_linear(
    lines: sparse.csc_array,
    base: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    positive: np.ndarray | None = None,
) -> Linear:
    """Intensities and background of least weighted squares.

        min_{I ≥ 0, b} | (y - P I - T b) w |²

    Parameters
    ----------
    lines : sparse (n, m)
        Profiles P.
    base : ndarray (n, k)
        Background T.
    y, weight : ndarray (n,)
        Intensities, and one over their sd.
    positive : ndarray (m,) of bool, optional
        Lines that were free before: where the search begins.
    """
    columns = sparse.csc_array(
        (lines.data * weight[lines.indices], lines.indices, lines.indptr), shape=lines.shape
    )
    weighted, target = base * weight[:, None], y * weight
    gram = (columns.T @ columns).toarray()
    cross = columns.T @ weighted
    own = linalg.cho_factor(_ridged(weighted.T @ weighted))
    right, of_base = columns.T @ target, weighted.T @ target
    # the background is taken out: what is left is a problem of intensities alone
    schur = _ridged(gram - cross @ linalg.cho_solve(own, cross.T))
    left = right - cross @ linalg.cho_solve(own, of_base)
    intensities = _not_negative(schur, left, positive)
    coefficients = linalg.cho_solve(own, of_base - cross.T @ intensities)
    residual = target - columns @ intensities - weighted @ coefficients
    return Linear(intensities, coefficients, intensities > 0, residual, columns, weighted)


def _ridged(gram: np.ndarray) -> np.ndarray:
    """A Gram matrix that can be solved although some of its columns coincide or are empty."""
    diagonal = np.diag(gram)
    return np.asarray(
        gram + np.diag(_RIDGE * diagonal + 1e-12 * max(float(diagonal.max(initial=0.0)), 1e-30))
    )


def _not_negative(gram: np.ndarray, right: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """``min ½ xᵀGx - rᵀx``, x not negative, by exchange of blocks from a set that was free before.

    scipy's active-set method takes over where the exchange goes round in circles.
    """
    free = np.ones(len(right), bool) if start is None else start.copy()
    scale = np.sqrt(np.diag(gram))
    small = 1e-10 * float(np.abs(right / scale).max(initial=0.0))
    for _ in range(_MOST_ROUNDS):
        x = np.zeros_like(right)
        if free.any():
            part = gram[np.ix_(free, free)]
            x[free] = linalg.solve(part, right[free], assume_a="pos", check_finite=False)
        slope = (right - gram @ x) / scale
        leave, enter = free & (x < 0), ~free & (slope > small)
        if not (leave.any() or enter.any()):
            return x
        free = (free & ~leave) | enter
    root = linalg.cholesky(gram, lower=True)
    return np.asarray(optimize.nnls(root.T, linalg.solve_triangular(root, right, lower=True))[0])
