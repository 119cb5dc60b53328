"""Two non-negative factors of a matrix by alternating least squares.

Each sweep reads the data once, band by band: a band's weights are solved for, its residual is
formed, and what the spectra need of it is added up while both are still in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.blocks import bands, for_each_band, kernel
from chemoscape.decompose.factors.weights_of_parts import Solver

#: Passes over the spectra within a sweep, next to free (Gillis and Glineur 2012).
PASSES = 5
#: How far the first step of the spectra is extrapolated, and what the length of the next is times
#: after one that was well done or not; it grows to no more than a length that slowly recovers.
FIRST, LONGER, SHORTER, RECOVERY = 0.5, 1.3, 0.5, 1.05
#: Where a sweep lowers the objective by less than this share of it, equally good answers lie in its
#: direction, and rounding would choose between them: nothing is extrapolated.
FLAT = 1e-6
#: A fall of the objective is judged over this many sweeps: a small one may be followed by a larger.
WINDOW = 10
#: Share of the data's sum of squares below which nothing but float32 rounding is left.
ROUNDING = 1e-13
#: Values of data in a band, so that they and their residual stay in a core's cache.
BAND_VALUES = 1 << 17


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

    Spectra are then moved on along their last step, ``[μ + β (μ - μ_before)]₊``, which takes a
    third of the sweeps; where that raises the objective it is undone, and the sweep counts (Ang and
    Gillis, Neural Comput. 31, 417, 2019). So the objective never rises (but for the rounding of
    float32 data), the scale stays in ``t``, and ``μ_k`` becomes ``c_k`` for a pull without end.

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

    def solve(spectra: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        squares, moment, gram = _weights_step(data, spectra, weights, threshold)
        apart = pull * float(((spectra - target) ** 2).sum()) if pull else 0.0
        spread = 2 * threshold * float(weights.sum()) if threshold else 0.0
        return float(squares.sum()) + apart + spread, squares, moment, gram

    value, squares, moment, gram = solve(spectra)
    objective = [value]
    converged = value <= floor
    before, fallen, length, most = spectra, value, FIRST, 1.0
    while not converged and len(objective) <= max_sweeps:
        step = _spectra_step(spectra, moment, gram, target, float(pull))
        ahead = fallen > FLAT * value and len(objective) < max_sweeps
        spectra = _further(step, before, length if ahead else 0.0)
        value, squares, moment, gram = solve(spectra)
        if ahead and value > (1 - FLAT) * objective[-1]:  # too far: the step alone
            objective.append(objective[-1])
            most, length, spectra = length, SHORTER * length, step
            value, squares, moment, gram = solve(spectra)
        else:
            length, most = min(LONGER * length, most), min(RECOVERY * most, 1.0)
        before, fallen = step, objective[-1] - value
        objective.append(value)
        lately = objective[max(len(objective) - 1 - WINDOW, 0)] - value
        converged = value <= floor or (len(objective) > WINDOW and lately <= tolerance * value)
    return Factors(spectra, weights, squares, np.array(objective), bool(converged))


def sum_of_squares(data: np.ndarray) -> float:
    """Of all values (P, N), added up over pixels in float64."""
    return float(np.einsum("ij,ij->i", data, data).sum(dtype=np.float64))


def _weights_step(
    data: np.ndarray, spectra: np.ndarray, weights: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve for `weights` in place; return each pixel's squared residual, ``D tᵀ`` (N, K) and
    ``t tᵀ`` (K, K).
    """
    n_pixels, n_energy = data.shape
    solver = Solver.of(spectra, threshold)
    parts = bands(n_pixels, max(BAND_VALUES // n_energy, 1))
    squares = np.empty(n_pixels)
    n = spectra.shape[1]
    sums, grams = np.empty((len(parts), n_energy, n)), np.empty((len(parts), n, n))

    def work(numbers: slice) -> None:
        for number in range(numbers.start, numbers.stop):
            band = parts[number]
            sums[number] = solver.solve(data[band], weights[band], squares[band]).T
            grams[number] = weights[band].T @ weights[band]

    for_each_band(work, len(parts), rows_per_band=max(len(parts) // 8, 1))
    gram = grams.sum(axis=0)
    return squares, sums.sum(axis=0) + spectra @ gram, gram


def _further(step: np.ndarray, before: np.ndarray, length: float) -> np.ndarray:
    """Spectra (N, K) moved on along ``step - before``, non-negative and of unit length."""
    moved = np.maximum(step + length * (step - before), 0)
    norm = np.linalg.norm(moved, axis=0)
    return np.where(norm > 0, moved / np.where(norm > 0, norm, 1), step)


@kernel
def _spectra_step(spectra, moment, gram, target, pull):  # type: ignore[no-untyped-def]
    """Passes over the columns of ``μ`` (N, K), from ``D tᵀ`` (N, K) and ``t tᵀ`` (K, K)."""
    n_energy, n = spectra.shape
    spectra = spectra.copy()
    column = np.empty(n_energy)
    for _ in range(PASSES):
        for k in range(n):
            length = 0.0
            for e in range(n_energy):
                value = moment[e, k] + pull * target[e, k]
                for j in range(n):
                    if j != k:
                        value -= spectra[e, j] * gram[j, k]
                column[e] = max(value, 0.0)
                length += column[e] ** 2
            if length > 0.0:  # a part that is nowhere keeps its spectrum
                for e in range(n_energy):
                    spectra[e, k] = column[e] / np.sqrt(length)
    return spectra
