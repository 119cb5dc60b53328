"""Two non-negative factors of a matrix by alternating least squares.

Each sweep reads the data once, band by band: a band's weights are solved for, its residual is
formed, and what the spectra need of it is added up while both are still in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.blocks import bands, for_each_band, kernel
from chemoscape.decompose.kernels import nonnegative_solution

#: Passes over the spectra within a sweep, next to free (Gillis and Glineur 2012).
PASSES = 5
#: A fall of the objective is judged over this many sweeps: a small one may be followed by a larger.
WINDOW = 10
#: Share of the data's sum of squares below which nothing but float32 rounding is left.
ROUNDING = 1e-13
#: Values of data in a band, so that they and their residual stay in a core's cache.
BAND_VALUES = 1 << 17
#: Up to so many parts, the inverses for all 2ᴷ sets of parts in a pixel are made beforehand.
MOST_TABULATED = 8


@dataclass(frozen=True, eq=False)
class Factors:
    """What `alternate` found.

    Parameters
    ----------
    spectra : ndarray (N, K)
        Columns of unit length.
    weights : ndarray (P, K)
    squares : ndarray (P,)
        Sum over energies of the squared residual.
    objective : ndarray (n_sweeps + 1,)
        At the start (only the weights are solved for there) and after each sweep.
    converged : bool
    """

    spectra: np.ndarray
    weights: np.ndarray
    squares: np.ndarray
    objective: np.ndarray
    converged: bool


def alternate(
    data: np.ndarray,
    start: np.ndarray,
    target: np.ndarray,
    *,
    pull: float,
    threshold: float,
    max_sweeps: int,
    tolerance: float,
) -> Factors:
    """Minimise ``‖D - μt‖² + pull Σ_k ‖μ_k - c_k‖² + 2 threshold Σ t`` over ``μ, t >= 0`` with
    ``‖μ_k‖ = 1``.

    A sweep finds the exact minimum over all of ``t`` (`solve_weights`), then, a few times over,
    that over each column of ``μ`` with all else held (hierarchical alternating least squares;
    Cichocki and Phan 2009). With the rest ``R_k = D - Σ_{j≠k} μ_j t_j`` and columns of unit length
    the objective is linear in ``μ_k``:

        ``μ_k = [R_k t_kᵀ + pull c_k]₊ / ‖[R_k t_kᵀ + pull c_k]₊‖``.

    So the objective never rises (but for the rounding of float32 data), the scale stays in ``t``,
    and ``μ_k`` becomes ``c_k`` for a pull without end.

    Parameters
    ----------
    data : ndarray (P, N) float32
        A pixel's energies side by side; finite, of any sign.
    start, target : ndarray (N, K)
        Non-negative columns of unit length: where to start, and ``c``.
    pull, threshold : float
        What a distance to ``c`` costs, in units of D², and what is taken off every weight.
    max_sweeps : int
        0 leaves the spectra as they start.
    tolerance : float
        Smallest fall of the objective over ten sweeps, relative to it, that is worth going on.
    """
    spectra = start.astype(np.float64)
    weights = np.zeros((len(data), spectra.shape[1]))
    floor = ROUNDING * sum_of_squares(data)

    def cost(squares: np.ndarray) -> float:
        apart = float(((spectra - target) ** 2).sum()) if pull else 0.0
        return float(squares.sum()) + pull * apart + 2 * threshold * float(weights.sum())

    squares, moment = _weights_step(data, spectra, weights, threshold)
    objective = [cost(squares)]
    converged = objective[0] <= floor
    while not converged and len(objective) <= max_sweeps:
        spectra = _spectra_step(spectra, moment, weights.T @ weights, target, pull)
        squares, moment = _weights_step(data, spectra, weights, threshold)
        objective.append(cost(squares))
        fallen = objective[max(len(objective) - 1 - WINDOW, 0)] - objective[-1]
        converged = objective[-1] <= floor or (
            len(objective) > WINDOW and fallen <= tolerance * objective[-1]
        )
    return Factors(spectra, weights, squares, np.array(objective), bool(converged))


def sum_of_squares(data: np.ndarray) -> float:
    """Of all values (P, N), added up over pixels in float64."""
    return float(np.einsum("ij,ij->i", data, data).sum(dtype=np.float64))


def _weights_step(
    data: np.ndarray, spectra: np.ndarray, weights: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Solve for `weights` in place; return each pixel's squared residual and ``D tᵀ`` (N, K).

    Data are projected in float32 on an orthonormal basis, ``D·Q`` with ``μ = QR``, and what is
    ill-conditioned is done on the small ``R`` in float64: the spectra are alike, and a projection
    on them would have its rounding magnified. The residual is formed, not taken from norms, where
    it would be a small difference of large numbers.
    """
    n_pixels, n_energy = data.shape
    basis, small = np.linalg.qr(spectra)
    gram = small.T @ small
    inverses = _inverses(gram)
    basis32, columns = basis.astype(np.float32), np.ascontiguousarray(spectra.T, np.float32)
    parts = bands(n_pixels, max(BAND_VALUES // n_energy, 1))
    squares = np.empty(n_pixels)
    sums = np.empty((len(parts), n_energy, len(gram)))

    def work(numbers: slice) -> None:
        for number in range(numbers.start, numbers.stop):
            band = parts[number]
            moment = (data[band] @ basis32).astype(np.float64) @ small - threshold
            solve_weights(gram, inverses, moment, weights[band])
            own = weights[band].astype(np.float32)
            left = np.zeros_like(columns)
            add_up_residual(data[band], own, columns, squares[band], left)
            sums[number] = left.T

    for_each_band(work, len(parts), rows_per_band=max(len(parts) // 8, 1))
    return squares, sums.sum(axis=0) + spectra @ (weights.T @ weights)


def _spectra_step(
    spectra: np.ndarray, moment: np.ndarray, gram: np.ndarray, target: np.ndarray, pull: float
) -> np.ndarray:
    """Passes over the columns of ``μ``, from ``D tᵀ`` (N, K) and ``t tᵀ`` (K, K)."""
    spectra = spectra.copy()
    for _ in range(PASSES):
        for k in range(len(gram)):
            column = moment[:, k] - spectra @ gram[:, k] + spectra[:, k] * gram[k, k]
            column = np.maximum(column + pull * target[:, k], 0)
            length = np.linalg.norm(column)
            if length > 0:  # a part that is nowhere keeps its spectrum
                spectra[:, k] = column / length
    return spectra


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
