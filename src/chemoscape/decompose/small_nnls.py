"""Small non-negative least squares of many pixels at once, compiled, from their normal equations.

Every loop over pixels does the same to each of them, so that the compiler works on a vector of
pixels. Matrices are packed: `lower` row by row, the diagonal included.
"""

from __future__ import annotations

import numpy as np

from chemoscape.blocks import kernel
from chemoscape.decompose.kernels import DEPENDENT, SLACK, copy, scratch

#: Most and fewest pixels solved together; numbers that the matrices of all of them may have, for
#: the second cache.
TOGETHER, LEAST, CACHED = 128, 16, 32768
#: Exchanges of a whole block that may fail to lower the number of wrong signs.
PATIENCE = 3


@kernel
def factorise(grams, active, size, lower, sound):  # type: ignore[no-untyped-def]
    """Cholesky factors of the Gram matrices on the active unknowns (1 or 0, shape (K, pixels)), the
    unit matrix elsewhere; the diagonal holds ``1/L_ii``. `sound` becomes 0 where dependent.
    """
    n = len(active)
    for i in range(n):
        row = i * (i + 1) // 2
        for j in range(i + 1):
            into, gram, first, second = lower[row + j], grams[row + j], active[i], active[j]
            other = j * (j + 1) // 2
            for p in range(size):
                into[p] = first[p] * second[p] * gram[p]
            for k in range(j):
                left, right = lower[row + k], lower[other + k]
                for p in range(size):
                    into[p] -= left[p] * right[p]
            if j < i:
                right = lower[other + j]
                for p in range(size):
                    into[p] *= right[p]
                continue
            for p in range(size):
                pivot = into[p] + (1.0 - first[p])
                sound[p] = sound[p] if pivot > DEPENDENT * gram[p] * first[p] else 0.0
                into[p] = np.reciprocal(np.sqrt(abs(pivot)))


@kernel
def substitute(lower, size, vectors):  # type: ignore[no-untyped-def]
    """Solve ``L Lᵀ x = b`` for every pixel, in place."""
    n = len(vectors)
    for i in range(n):
        row, into = i * (i + 1) // 2, vectors[i]
        for k in range(i):
            factor, known = lower[row + k], vectors[k]
            for p in range(size):
                into[p] -= factor[p] * known[p]
        factor = lower[row + i]
        for p in range(size):
            into[p] *= factor[p]
    for i in range(n - 1, -1, -1):
        into = vectors[i]
        for k in range(i + 1, n):
            factor, known = lower[k * (k + 1) // 2 + i], vectors[k]
            for p in range(size):
                into[p] -= factor[p] * known[p]
        factor = lower[i * (i + 1) // 2 + i]
        for p in range(size):
            into[p] *= factor[p]


@kernel
def invert(lower, active, size):  # type: ignore[no-untyped-def]
    """Factors to the inverse of their matrix, in place; zero off the active set."""
    n = len(active)
    for i in range(n):
        row = i * (i + 1) // 2
        diagonal = lower[row + i]
        for j in range(i):
            into, known = lower[row + j], lower[j * (j + 1) // 2 + j]
            for p in range(size):
                into[p] *= known[p]
            for k in range(j + 1, i):
                left, right = lower[row + k], lower[k * (k + 1) // 2 + j]
                for p in range(size):
                    into[p] += left[p] * right[p]
            for p in range(size):
                into[p] *= -diagonal[p]
    for j in range(n):
        for i in range(j, n):
            into, other = lower[i * (i + 1) // 2 + j], lower[i * (i + 1) // 2 + i]
            first, second = active[i], active[j]
            for p in range(size):
                into[p] *= other[p] * first[p] * second[p]
            for k in range(i + 1, n):
                left, right = lower[k * (k + 1) // 2 + i], lower[k * (k + 1) // 2 + j]
                for p in range(size):
                    into[p] += left[p] * right[p]


@kernel
def wrong_signs(  # type: ignore[no-untyped-def]
    grams, moments, solutions, active, n_bounded, size, slack, gradient, wrong, n_wrong
):
    """Mark, and count, the bounded unknowns that are active and not positive, or at their bound
    with a gradient that would raise them.
    """
    n = len(solutions)
    slack[:] = 0.0
    for i in range(n):
        moment = moments[i]
        for p in range(size):
            level = SLACK * abs(moment[p])
            slack[p] = level if level > slack[p] else slack[p]
    n_wrong[:] = 0.0
    for i in range(n_bounded):
        moment = moments[i]
        for p in range(size):
            gradient[p] = moment[p]
        for j in range(n):
            pair = i * (i + 1) // 2 + j if j <= i else j * (j + 1) // 2 + i
            gram, solution = grams[pair], solutions[j]
            for p in range(size):
                gradient[p] -= gram[p] * solution[p]
        mark, inside, solution = wrong[i], active[i], solutions[i]
        for p in range(size):
            low = 1.0 if solution[p] <= 0.0 else 0.0
            rising = 1.0 if gradient[p] > slack[p] else 0.0
            mark[p] = inside[p] * low + (1.0 - inside[p]) * rising
            n_wrong[p] += mark[p]


@kernel
def invert_grams(grams, active, inverses, sound):  # type: ignore[no-untyped-def]
    """Inverses of the Gram matrices on the active unknowns, zero elsewhere; `sound` tells by 1 or 0
    which are not singular.
    """
    pairs, n_pixels = grams.shape
    sound[:] = 1.0
    for start in range(0, n_pixels, TOGETHER):
        size = min(TOGETHER, n_pixels - start)
        lower, gram = scratch(pairs, size, np.float64), scratch(pairs, size, np.float64)
        on = scratch(len(active), size, np.float64)
        copy(grams, start, gram, 0, size)
        copy(active, start, on, 0, size)
        factorise(gram, on, size, lower, sound[start : start + size])
        invert(lower, on, size)
        copy(lower, 0, inverses, start, size)


@kernel
def solve_together(grams, moments, n_bounded, active, solutions):  # type: ignore[no-untyped-def]
    """Least squares with the first `n_bounded` unknowns kept >= 0, by block pivoting.

    All unknowns with a wrong sign change sides at once; when that has not lowered their number for
    some time only the last of them does (Murty's rule, which ends). Portugal, Júdice and Vicente,
    Math. Comp. 63 (1994) 625; Kim and Park, SIAM J. Sci. Comput. 33 (2011) 3261.

    Parameters
    ----------
    grams, moments : ndarray, shapes (K(K+1)/2, pixels) and (K, pixels)
        Normal equations.
    active, solutions : ndarray, shape (K, pixels)
        Results: 1 for unknowns off their bound, 0 else; -1 for all of a pixel that meets a singular
        set, or does not end.
    """
    n, pairs = len(moments), len(grams)
    together = max(LEAST, min(TOGETHER, CACHED // pairs))
    grams_left, lower = scratch(pairs, together, np.float64), scratch(pairs, together, np.float64)
    moments_left, trial = scratch(n, together, np.float64), scratch(n, together, np.float64)
    inside, wrong = scratch(n, together, np.float64), scratch(n, together, np.float64)
    sound, n_wrong = np.empty(together), np.empty(together)
    slack, gradient = np.empty(together), np.empty(together)
    pixel = np.empty(together, np.int64)  # those not done, moved to the front
    fewest, patience = np.empty(together), np.empty(together)
    for start in range(0, moments.shape[1], together):
        size = min(together, moments.shape[1] - start)
        copy(grams, start, grams_left, 0, size)
        copy(moments, start, moments_left, 0, size)
        inside[:] = 1.0
        fewest[:] = n + 1.0
        patience[:] = PATIENCE
        for p in range(size):
            pixel[p] = start + p
        for attempt in range(10 * n + 10):
            sound[:] = 1.0
            factorise(grams_left, inside, size, lower, sound)
            for i in range(n):
                into, moment, on = trial[i], moments_left[i], inside[i]
                for p in range(size):
                    into[p] = moment[p] * on[p]
            substitute(lower, size, trial)
            signs = gradient, wrong, n_wrong
            wrong_signs(grams_left, moments_left, trial, inside, n_bounded, size, slack, *signs)
            left = 0
            for p in range(size):
                singular = sound[p] == 0.0 or attempt == 10 * n + 9
                if singular or n_wrong[p] == 0.0:
                    for i in range(n):
                        active[i, pixel[p]] = -1.0 if singular else inside[i, p]
                        solutions[i, pixel[p]] = trial[i, p]
                    continue
                block = True
                if n_wrong[p] < fewest[p]:
                    fewest[p], patience[p] = n_wrong[p], PATIENCE
                elif patience[p] > 0:
                    patience[p] -= 1
                else:
                    block = False
                changing = True
                for i in range(n_bounded - 1, -1, -1):
                    change = changing and wrong[i, p] != 0.0
                    inside[i, left] = 1.0 - inside[i, p] if change else inside[i, p]
                    changing = changing and (block or not change)
                for i in range(n_bounded, n):
                    inside[i, left] = 1.0
                if left != p:
                    for i in range(n):
                        moments_left[i, left] = moments_left[i, p]
                    for pair in range(pairs):
                        grams_left[pair, left] = grams_left[pair, p]
                    pixel[left], fewest[left], patience[left] = pixel[p], fewest[p], patience[p]
                left += 1
            size = left
            if size == 0:
                break
