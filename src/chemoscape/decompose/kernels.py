"""Least squares of one pixel with some unknowns kept >= 0, compiled: a few unknowns, their normal
equations in float64.

Columns have unit length. The condition number of the normal equations is the square of the
standards' own (300 at most for a usable selection), which leaves ten digits.
"""

from __future__ import annotations

import math

import numpy as np

from chemoscape.blocks import kernel

#: A gradient, or a pivot squared, below this share of the largest moment, or of the column, is
#: rounding.
SLACK, DEPENDENT = 1e-10, 1e-13
#: Bytes of a line of the cache.
LINE = 64


def room(*shape: int, dtype: type = np.float64) -> np.ndarray:
    """An array that begins with a line of the cache; vectors that lie across two take twice as
    long to work on.
    """
    raw = np.empty(math.prod(shape) * np.dtype(dtype).itemsize + LINE, np.uint8)
    first = -raw.ctypes.data % LINE
    return raw[first : first + raw.size - LINE].view(dtype).reshape(shape)


@kernel
def scratch(rows, width, dtype):  # type: ignore[no-untyped-def]
    """Zeros as `room` has them: rows for so many pixels, filled up to whole lines."""
    length = -(-width // LINE) * LINE
    raw = np.zeros(rows * length + LINE, dtype)
    first = (-raw.ctypes.data % LINE) // raw.itemsize
    return raw[first : first + rows * length].reshape((rows, length))


@kernel
def copy(values, at, into, start, size):  # type: ignore[no-untyped-def]
    """``into_k[start : start + size] = values_k[at : at + size]``; an assignment of arrays has the
    compiler work for seconds on the message of its error.
    """
    for k in range(len(values)):
        row, other = into[k], values[k]
        for p in range(size):
            row[start + p] = other[at + p]


@kernel
def cholesky_inverse(gram, active, inverse):  # type: ignore[no-untyped-def]
    """Invert the rows and columns of `gram` marked in `active`; zero elsewhere. False if not
    positive definite.

    The lower triangle of `inverse` takes ``L``, then ``L⁻¹``, then ``L⁻ᵀ L⁻¹``.
    """
    n = gram.shape[0]
    inverse[:] = 0.0
    for i in range(n):
        if not active[i]:
            continue
        for j in range(i):
            if active[j]:
                s = gram[i, j]
                for k in range(j):
                    s -= inverse[i, k] * inverse[j, k]
                inverse[i, j] = s * inverse[j, j]
        s = gram[i, i]
        for k in range(i):
            s -= inverse[i, k] * inverse[i, k]
        if not s > DEPENDENT * gram[i, i]:
            return False
        inverse[i, i] = np.divide(1.0, np.sqrt(s))  # the diagonal holds 1 / L
    for i in range(n):
        for j in range(i):
            s = 0.0
            for k in range(j, i):
                s -= inverse[i, k] * inverse[k, j]
            inverse[i, j] = s * inverse[i, i]
    for j in range(n):
        for i in range(j, n):
            s = 0.0
            for k in range(i, n):
                s += inverse[k, i] * inverse[k, j]
            inverse[i, j] = s
            inverse[j, i] = s
    return True


@kernel
def nonnegative_solution(gram, moment, free, active, inverse, solution):  # type: ignore[no-untyped-def]
    """Least squares with some unknowns kept >= 0, from the normal equations (Lawson and Hanson's
    active set).

    On return `active` marks the unknowns off their bound and `inverse` holds the inverse of their
    Gram matrix. A column that depends linearly on those in use stays out. Returns False when the
    free columns themselves are dependent.
    """
    n = gram.shape[0]
    trial = np.empty(n)
    barred = np.zeros(n, np.bool_)  # columns that repeat what those in use already say
    tolerance = 0.0
    for i in range(n):
        active[i] = free[i]
        solution[i] = 0.0
        tolerance = max(tolerance, abs(moment[i]))
    tolerance *= SLACK
    entering = -1
    for _ in range(10 * n + 10):
        while True:
            if not cholesky_inverse(gram, active, inverse):
                if entering < 0 or not active[entering]:
                    return False
                active[entering] = False
                barred[entering] = True
                continue
            for i in range(n):
                s = 0.0
                for j in range(n):
                    s += inverse[i, j] * moment[j]
                trial[i] = s
            step = 1.0
            blocking = -1
            for i in range(n):
                if active[i] and not free[i] and trial[i] <= 0.0:
                    gap = solution[i] - trial[i]
                    ratio = solution[i] / gap if gap > 0.0 else 0.0
                    if blocking < 0 or ratio < step:
                        step, blocking = ratio, i
            if blocking < 0:
                for i in range(n):
                    solution[i] = trial[i]
                break
            for i in range(n):
                solution[i] += step * (trial[i] - solution[i])
            solution[blocking] = 0.0
            active[blocking] = False
        best = tolerance
        entering = -1
        for i in range(n):
            if not active[i] and not barred[i]:
                gradient = moment[i]
                for j in range(n):
                    gradient -= gram[i, j] * solution[j]
                if gradient > best:
                    best, entering = gradient, i
        if entering < 0:
            return True
        active[entering] = True
    return True


@kernel
def solve_one_by_one(grams, moments, n_bounded, active, solutions):  # type: ignore[no-untyped-def]
    """Lawson and Hanson's method for pixels one after the other, which keeps dependent columns out.

    Parameters
    ----------
    grams, moments : ndarray, shapes (K(K+1)/2, pixels) and (K, pixels)
        Normal equations, lower triangles row by row.
    active, solutions : ndarray, shape (K, pixels)
        Results: 1 for unknowns off their bound, 0 else. NaN for a singular fit.
    """
    n = len(moments)
    gram, inverse, solution = np.empty((n, n)), np.empty((n, n)), np.empty(n)
    inside, free = np.empty(n, np.bool_), np.arange(n) >= n_bounded
    for p in range(moments.shape[1]):
        for i in range(n):
            for j in range(i + 1):
                gram[i, j] = gram[j, i] = grams[i * (i + 1) // 2 + j, p]
        moment = moments[:, p].copy()
        solved = nonnegative_solution(gram, moment, free, inside, inverse, solution)
        for i in range(n):
            active[i, p] = 1.0 if inside[i] else 0.0
            solutions[i, p] = solution[i] if solved else np.nan
