"""Per-pixel fits, compiled: each kernel works on one band of pixels and knows nothing but arrays.

The normal equations are formed in float64 on columns of unit length. Their condition number is the
square of the standards' own (300 at most for a usable selection), which leaves ten digits.
"""

from __future__ import annotations

import numpy as np

from chemoscape.blocks import kernel


@kernel
def cholesky_inverse(gram, active, inverse):  # type: ignore[no-untyped-def]
    """Invert the rows and columns of `gram` marked in `active`; zero elsewhere. False if not
    positive definite.
    """
    n = gram.shape[0]
    index = np.empty(n, np.int64)
    m = 0
    for i in range(n):
        for j in range(n):
            inverse[i, j] = 0.0
        if active[i]:
            index[m] = i
            m += 1
    lower = np.zeros((m, m))
    for i in range(m):
        for j in range(i + 1):
            s = gram[index[i], index[j]]
            for k in range(j):
                s -= lower[i, k] * lower[j, k]
            if i == j:
                if s <= 1e-13 * gram[index[i], index[i]]:
                    return False
                lower[i, i] = np.sqrt(s)
            else:
                lower[i, j] = s / lower[j, j]
    column = np.empty(m)
    for c in range(m):
        for i in range(m):
            s = 1.0 if i == c else 0.0
            for k in range(i):
                s -= lower[i, k] * column[k]
            column[i] = s / lower[i, i]
        for i in range(m - 1, -1, -1):
            s = column[i]
            for k in range(i + 1, m):
                s -= lower[k, i] * column[k]
            column[i] = s / lower[i, i]
        for i in range(m):
            inverse[index[i], index[c]] = column[i]
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
    tolerance *= 1e-10
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
def remove_direction(inverse, direction, along):  # type: ignore[no-untyped-def]
    """Covariance H within the plane normal to a direction u, in place: ``H - Hu uᵀH / uᵀHu``."""
    n = direction.size
    length = 0.0
    for i in range(n):
        s = 0.0
        for j in range(n):
            s += inverse[i, j] * direction[j]
        along[i] = s
        length += direction[i] * s
    if length > 0.0:
        for i in range(n):
            for j in range(n):
                inverse[i, j] -= along[i] * along[j] / length


@kernel
def fit_pixels(  # type: ignore[no-untyped-def]
    columns,  # (N, K) float64: standards and baseline, unit length
    slopes,  # (N, K) float64: d(columns)/d(energy shift)
    free,  # (K,) bool: unknowns without a bound
    summed,  # (K,) float64: sum(summed * solution) = 1 is imposed; all 0 for none
    density,  # (P, N) float32 optical density, NaN allowed
    variance,  # (P, N) float32 variance of it
    weighted,  # bool: weigh by 1/variance, or all energies alike
    solution,  # out (P, K)
    covariance,  # out (P, K, K)
    per_shift,  # out (P, K): d(solution)/d(energy shift)
    residual,  # out (P,): root mean square, optical density
    chi2,  # out (P,): reduced chi-squared; NaN without degrees of freedom
):
    """Fit every pixel of a band; pixels with too few finite energies, or a singular fit, come back
    NaN.

    Minimises ``sum_n w_n (d_n - sum_k a_nk t_k)²``. The covariance is that on the active set:
    ``(AᵀWA)⁻¹`` for weights 1/variance, ``s²(AᵀA)⁻¹`` with the pixel's own residual variance s² for
    equal weights. With the fit held on its active set, ``dt/dδ = (AᵀWA)⁻¹ (A'ᵀWr - AᵀWA't)``.

    With ``uᵀt = 1`` imposed, u of the standards: ``‖A t + b - d uᵀt‖`` is homogeneous in (t, b), so
    that its minimiser is, up to a factor, that of the same norm plus ``dᵀWd (uᵀt - 1)²``. The
    covariance, and with it dt/dδ, then lies in the plane: ``H - Hu uᵀH / uᵀHu``.
    """
    n_energy, n = columns.shape
    gram = np.empty((n, n))
    tied = np.empty((n, n))
    pull = np.empty(n)
    along = np.empty(n)
    imposed = summed.any()
    moment = np.empty(n)
    drive = np.empty(n)
    inverse = np.empty((n, n))
    active = np.empty(n, np.bool_)
    t = np.empty(n)
    for p in range(density.shape[0]):
        for i in range(n):
            moment[i] = 0.0
            for j in range(i + 1):
                gram[i, j] = 0.0
        used = 0
        power = 0.0
        for e in range(n_energy):
            d = float(density[p, e])
            v = float(variance[p, e])
            if not (np.isfinite(d) and v > 0.0 and np.isfinite(v)):
                continue
            used += 1
            w = 1.0 / v if weighted else 1.0
            power += w * d * d
            for i in range(n):
                wa = w * columns[e, i]
                moment[i] += wa * d
                for j in range(i + 1):
                    gram[i, j] += wa * columns[e, j]
        for i in range(n):
            for j in range(i):
                gram[j, i] = gram[i, j]
        n_active = 0
        if imposed:
            for i in range(n):
                pull[i] = power * summed[i]
                for j in range(n):
                    tied[i, j] = gram[i, j] - summed[i] * moment[j] - moment[i] * summed[j]
                    tied[i, j] += 2.0 * power * summed[i] * summed[j]
            solvable = used >= n and nonnegative_solution(tied, pull, free, active, inverse, t)
            total = 0.0
            for i in range(n):
                total += summed[i] * t[i]
            solvable = solvable and total > 0.0 and cholesky_inverse(gram, active, inverse)
            if solvable:
                for i in range(n):
                    t[i] /= total
                remove_direction(inverse, summed, along)
                n_active = -1
        else:
            solvable = used >= n and nonnegative_solution(gram, moment, free, active, inverse, t)
        if solvable:
            for i in range(n):
                n_active += active[i]
        if not solvable:
            residual[p] = np.nan
            chi2[p] = np.nan
            for i in range(n):
                solution[p, i] = np.nan
                per_shift[p, i] = np.nan
                for j in range(n):
                    covariance[p, i, j] = np.nan
            continue

        squares = 0.0
        chi = 0.0
        for i in range(n):
            drive[i] = 0.0
        for e in range(n_energy):
            d = float(density[p, e])
            v = float(variance[p, e])
            if not (np.isfinite(d) and v > 0.0 and np.isfinite(v)):
                continue
            w = 1.0 / v if weighted else 1.0
            r = d
            moved = 0.0
            for i in range(n):
                r -= columns[e, i] * t[i]
                moved += slopes[e, i] * t[i]
            squares += r * r
            chi += r * r / v
            for i in range(n):
                drive[i] += w * (slopes[e, i] * r - columns[e, i] * moved)
        freedom = used - n_active
        residual[p] = np.sqrt(squares / used)
        chi2[p] = chi / freedom if freedom > 0 else np.nan
        scale = 1.0
        if not weighted:
            scale = squares / freedom if freedom > 0 else np.nan
        for i in range(n):
            solution[p, i] = t[i]
            s = 0.0
            for j in range(n):
                covariance[p, i, j] = scale * inverse[i, j]
                s += inverse[i, j] * drive[j]
            per_shift[p, i] = s
