"""Weights of pixels for spectra that are known: non-negative least squares, many pixels at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.blocks import kernel
from chemoscape.decompose.kernels import nonnegative_solution

#: Up to so many parts, the inverses for all 2ᴷ sets of parts in a pixel are made beforehand.
MOST_TABULATED = 8


@dataclass(frozen=True, eq=False)
class Solver:
    """Weights of pixels for spectra that are held.

    Data are projected in float32 on an orthonormal basis, ``D·Q`` with ``μ = QR``, and what is
    ill-conditioned is done on the small ``R`` in float64: the spectra are alike, and a projection
    on them would have its rounding magnified. The residual is formed, not taken from norms, where
    it would be a small difference of large numbers.

    Parameters
    ----------
    columns : ndarray (K, N) float32
        The spectra.
    basis : ndarray (N, K) float32
        ``Q``.
    small, gram : ndarray (K, K)
        ``R`` and ``RᵀR``.
    inverses : ndarray (2ᴷ, K, K)
        Of `_inverses`.
    threshold : float
    """

    columns: np.ndarray
    basis: np.ndarray
    small: np.ndarray
    gram: np.ndarray
    inverses: np.ndarray
    threshold: float

    @classmethod
    def of(cls, spectra: np.ndarray, threshold: float) -> Solver:
        """For spectra (N, K)."""
        basis, small = np.linalg.qr(spectra)
        gram = small.T @ small
        columns = np.ascontiguousarray(spectra.T, np.float32)
        return cls(columns, basis.astype(np.float32), small, gram, _inverses(gram), threshold)

    def solve(self, data: np.ndarray, weights: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Solve for `weights` (P, K) of data (P, N) in place, from those that are there; their
        squared residuals into `squares` (P,). Returns ``Σ_p t_kp r_p`` (K, N).
        """
        moment = (data @ self.basis).astype(np.float64) @ self.small - self.threshold
        solve_weights(self.gram, self.inverses, moment, weights)
        left = np.zeros_like(self.columns)
        add_up_residual(data, weights.astype(np.float32), self.columns, squares, left)
        return left


def _inverses(gram: np.ndarray) -> np.ndarray:
    """Inverse of the rows and columns in each set of parts (2ᴷ, K, K), zero elsewhere; a set is a
    number with bit k for part k. None for more parts than can be tabulated.
    """
    n = len(gram)
    if n > MOST_TABULATED:
        return np.empty((0, n, n))
    inside = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    both = inside[:, :, None] * inside[:, None, :]
    # parts that became equal leave a solution that is not unique, any of which will do
    full = gram + 1e-12 * np.eye(n)
    return np.linalg.inv(both * full + np.eye(n) * (1 - inside[:, :, None])) * both


@kernel
def solve_weights(gram, inverses, moment, weights):  # type: ignore[no-untyped-def]
    """Non-negative least squares for a band (pixels, K) from the normal equations, starting from
    the parts that each pixel has.

    Block principal pivoting (Kim and Park 2011): parts with a negative weight leave, those with a
    positive gradient enter, all at once while that makes them fewer, else the last one alone. The
    active-set method takes over where there is no table of inverses, or no end.
    """
    n_pixels, n = moment.shape
    trial = np.empty(n)
    free = np.zeros(n, np.bool_)
    active = np.empty(n, np.bool_)
    inverse = np.empty((n, n))
    for p in range(n_pixels):
        largest = 0.0
        inside = 0
        for i in range(n):
            largest = max(largest, abs(moment[p, i]))
            if weights[p, i] > 0.0:
                inside |= 1 << i
        slack = 1e-12 * largest
        fewest, patience, done = n + 1, 3, False
        for _ in range(10 * n if inverses.shape[0] else 0):
            wrong, n_wrong, last = 0, 0, 0
            for i in range(n):
                trial[i] = 0.0
                for j in range(n):
                    trial[i] += inverses[inside, i, j] * moment[p, j]
            for i in range(n):
                if inside >> i & 1:
                    out_of_place = trial[i] < 0.0
                else:
                    gradient = moment[p, i]
                    for j in range(n):
                        gradient -= gram[i, j] * trial[j]
                    out_of_place = gradient > slack
                if out_of_place:
                    wrong |= 1 << i
                    n_wrong += 1
                    last = i
            if n_wrong == 0:
                done = True
                break
            if n_wrong < fewest:
                fewest, patience = n_wrong, 3
            else:
                patience -= 1
            inside ^= wrong if patience >= 0 else 1 << last
        if not done:
            done = nonnegative_solution(gram, moment[p], free, active, inverse, trial)
        if done:
            for i in range(n):
                weights[p, i] = max(trial[i], 0.0)


@kernel
def add_up_residual(data, weights, spectra, squares, sums):  # type: ignore[no-untyped-def]
    """``r = d - Σ t_k μ_k`` of each pixel (P, N): its sum of squares, and ``Σ_p t_kp r_p`` added to
    `sums` (K, N). BLAS takes three times as long for matrices so slim.
    """
    n_pixels, n_energy = data.shape
    rest = np.empty(n_energy, np.float32)
    lane = np.empty(8, np.float32)  # eight sums side by side, as a processor adds them
    for p in range(n_pixels):
        for e in range(n_energy):
            rest[e] = data[p, e]
        for k in range(len(spectra)):
            t = weights[p, k]
            if t > 0.0:
                for e in range(n_energy):
                    rest[e] -= t * spectra[k, e]
        for k in range(len(spectra)):
            t = weights[p, k]
            if t > 0.0:
                for e in range(n_energy):
                    sums[k, e] += t * rest[e]
        lane[:] = 0.0
        for e in range(0, n_energy - 7, 8):
            for i in range(8):
                lane[i] += rest[e + i] * rest[e + i]
        total = 0.0
        for i in range(8):
            total += lane[i]
        for e in range(n_energy - n_energy % 8, n_energy):
            total += rest[e] * rest[e]
        squares[p] = total


@kernel
def solve_gapped(spectra, data, threshold, weights, mean_square):  # type: ignore[no-untyped-def]
    """Weights (P, K) and mean squared residual of pixels (P, N) from their finite energies, if any
    K are.
    """
    n_energy, n = spectra.shape
    gram = np.empty((n, n))
    moment = np.empty(n)
    free = np.zeros(n, np.bool_)
    active = np.empty(n, np.bool_)
    inverse = np.empty((n, n))
    for p in range(data.shape[0]):
        gram[:] = 0.0
        moment[:] = 0.0
        used = 0
        for e in range(n_energy):
            d = float(data[p, e])
            if not np.isfinite(d):
                continue
            used += 1
            for i in range(n):
                moment[i] += spectra[e, i] * d
                for j in range(n):
                    gram[i, j] += spectra[e, i] * spectra[e, j]
        for i in range(n):  # as much less as fewer energies weigh
            moment[i] -= threshold * used / n_energy
        mean_square[p] = np.nan
        if used < n or not nonnegative_solution(gram, moment, free, active, inverse, weights[p]):
            weights[p] = np.nan
            continue
        total = 0.0
        for e in range(n_energy):
            d = float(data[p, e])
            if np.isfinite(d):
                for i in range(n):
                    d -= spectra[e, i] * weights[p, i]
                total += d * d
        mean_square[p] = total / used
