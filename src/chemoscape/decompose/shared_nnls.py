"""Small non-negative least squares of pixels that share one Gram matrix, compiled: every set of
unknowns off their bound is a row of a table made beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.blocks import kernel
from chemoscape.decompose.kernels import SLACK
from chemoscape.decompose.small_nnls import PATIENCE, invert_grams

#: Most bounded unknowns of a table, which has two to that power rows.
MOST_TABULATED = 12
#: Unknowns worked on at a time.
LANES = 8


@dataclass(frozen=True, eq=False)
class Table:
    """For every set of unknowns off their bound, by the number whose bits they are.

    Parameters
    ----------
    pivots : ndarray, shape (n_sets, K, K filled up to whole lanes)
        Transposed matrices that turn moments into solutions of the unknowns in the set and
        gradients of the others.
    inverses : ndarray, shape (K(K+1)/2, n_sets)
        Inverse Gram matrices, lower triangles row by row, zero off the set.
    sound : ndarray, shape (n_sets,)
        1 where the Gram matrix is not singular, else 0.
    counts : ndarray, shape (n_sets,)
        Unknowns in the set.
    n_bounded : int
    """

    pivots: np.ndarray
    inverses: np.ndarray
    sound: np.ndarray
    counts: np.ndarray
    n_bounded: int

    @classmethod
    def of(cls, gram: np.ndarray, n_bounded: int) -> Table:
        """Of a Gram matrix (K, K)."""
        n = len(gram)
        row, column = np.tril_indices(n)
        sets = np.arange(2**n_bounded)
        active = np.where(np.arange(n)[:, None] < n_bounded, sets >> np.arange(n)[:, None] & 1, 1.0)
        inverses, sound = np.empty((row.size, sets.size)), np.empty(sets.size)
        grams = np.repeat(gram[row, column][:, None], sets.size, axis=1)
        invert_grams(grams, active, inverses, sound)
        inverses[:, sound == 0] = 0.0
        full = np.empty((sets.size, n, n))
        full[:, row, column] = full[:, column, row] = inverses.T
        outside = 1.0 - active.T[:, :, None]
        pivots = np.zeros((sets.size, n, -(-n // LANES) * LANES))
        pivots[:, :, :n] = (full + outside * (np.eye(n) - gram @ full)).transpose(0, 2, 1)
        return cls(pivots, inverses, sound, active.sum(axis=0), n_bounded)


@kernel
def solve_shared(pivots, sound, n_bounded, moments, sets, solutions):  # type: ignore[no-untyped-def]
    """Least squares with the first `n_bounded` unknowns kept >= 0, by block pivoting; see
    `small_nnls.solve_together`.

    Parameters
    ----------
    pivots, sound
        Of a `Table`.
    moments, solutions : ndarray, shape (K, pixels)
    sets : ndarray of int, shape (pixels,)
        Result: the unknowns off their bound; -1 where a moment is not finite, a set is singular or
        the method does not end.
    """
    n, bounded = len(solutions), (1 << n_bounded) - 1
    trial = np.empty(pivots.shape[2])
    for p in range(sets.size):
        largest, total = 0.0, 0.0
        for j in range(n):
            largest = max(largest, abs(moments[j, p]))
            total += moments[j, p]
        sets[p] = -1
        if not np.isfinite(total):
            continue
        slack = SLACK * largest
        inside, fewest, patience = bounded, n + 1, PATIENCE
        for _ in range(10 * n + 10):
            if sound[inside] == 0.0:
                break
            low, rising = 0, 0
            for lane in range(0, trial.size, LANES):
                t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = 0.0
                for j in range(n):
                    moment, pivot = moments[j, p], pivots[inside, j, lane : lane + LANES]
                    t0 += pivot[0] * moment
                    t1 += pivot[1] * moment
                    t2 += pivot[2] * moment
                    t3 += pivot[3] * moment
                    t4 += pivot[4] * moment
                    t5 += pivot[5] * moment
                    t6 += pivot[6] * moment
                    t7 += pivot[7] * moment
                into = trial[lane : lane + LANES]
                into[0], into[1], into[2], into[3] = t0, t1, t2, t3
                into[4], into[5], into[6], into[7] = t4, t5, t6, t7
                for i in range(LANES):
                    low |= (1 if into[i] <= 0.0 else 0) << (lane + i)
                    rising |= (1 if into[i] > slack else 0) << (lane + i)
            wrong = ((inside & low) | (~inside & rising)) & bounded
            if wrong == 0:
                for i in range(n):
                    solutions[i, p] = trial[i] if i >= n_bounded or inside >> i & 1 else 0.0
                sets[p] = inside
                break
            count, rest, last = 0, wrong, 0
            while rest:
                last = rest
                rest &= rest - 1
                count += 1
            if count < fewest:
                fewest, patience = count, PATIENCE
            elif patience > 0:
                patience -= 1
            else:
                wrong = last
            inside ^= wrong


@kernel
def look_up(table, sets, values):  # type: ignore[no-untyped-def]
    """Columns of a table (…, n_sets) for the set of every pixel, into `values` (…, pixels)."""
    for pair in range(len(table)):
        row, into = table[pair], values[pair]
        for p in range(sets.size):
            into[p] = row[sets[p]]
