"""How many components are more than noise: criteria on the eigenvalues of scaled densities."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.integrate import cumulative_trapezoid

#: The paper's criterion: components up to this share of the total sum of squares.
CUMULATIVE_SHARE = 0.999
#: Eigenvalues below this share of the largest are float32 rounding, not noise of a measurement.
ROUNDING = 1e-12
#: Split halves are compared up to this many eigenspectra.
MOST_SHARED = 12
#: Significance of Malinowski's F-test: he gives 1, 5 and 10 %, and the smallest errs to one side.
SIGNIFICANCE = 0.01


def eigen(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (falling, >= 0) and eigenvectors in columns."""
    value, vector = np.linalg.eigh(gram)
    return np.maximum(value[::-1], 0), vector[:, ::-1]


def indicator_rank(eigenvalue: np.ndarray, n_pixels: int) -> int:
    """Rank at the minimum of ``IND(k) = RE(k) / (s - k)²`` (Malinowski 1977).

    ``RE(k) = sqrt(Σ_{j>k} λ_j / (r (s - k)))`` with r pixels and s energies (r >= s, else swapped).
    """
    s, r = sorted((len(eigenvalue), n_pixels))
    k = np.arange(1, s)
    tail = np.cumsum(eigenvalue[:s][::-1])[::-1][1:]
    real_error = np.sqrt(np.maximum(tail, 0) / (r * (s - k)))
    return int(k[np.argmin(real_error / (s - k) ** 2)])


def f_test_rank(
    eigenvalue: np.ndarray, n_pixels: int, *, significance: float = SIGNIFICANCE
) -> int:
    """Rank by Malinowski's F-test of reduced eigenvalues (J. Chemometrics 3, 49, 1988).

    The k-th eigenvalue is compared with all smaller ones,
    ``F(1, s-k) = λ_k / ((r-k+1)(s-k+1)) · Σ_{j>k} (r-j+1)(s-j+1) / Σ_{j>k} λ_j``,
    beginning at the smallest; the rank is the first k for which noise would give such an F less
    often than `significance`. For noise F is about 1/2 whatever k: the test errs towards few.

    Parameters
    ----------
    eigenvalue : ndarray, shape (n_energy,)
        Falling, of data scaled to unit noise.
    n_pixels : int
    significance : float

    Returns
    -------
    int
        0 when no eigenvalue stands out.

    Examples
    --------
    >>> f_test_rank(np.array([500.0, 60.0, 1.3, 1.2, 1.0, 0.9, 0.8, 0.7]), 1000)
    2
    """
    s, r = sorted((len(eigenvalue), n_pixels))
    value, j = eigenvalue[:s], np.arange(1, s + 1)
    freedom = (r - j + 1.0) * (s - j + 1.0)
    for k in range(min(s - 1, int((value > 0).sum())), 0, -1):
        tail = value[k:].sum()
        ratio = value[k - 1] / freedom[k - 1] * freedom[k:].sum() / tail if tail > 0 else np.inf
        if stats.f.sf(ratio, 1, s - k) < significance:
            return k
    return 0


def marchenko_pastur(eigenvalue: np.ndarray, n_energy: int, n_pixels: int) -> tuple[float, float]:
    """Noise level and the largest eigenvalue that noise alone would give.

    For unit noise the eigenvalues of ``D·Dᵀ/r`` fill ``(1 ± √β)²``, β = s/r. The level comes from
    the median eigenvalue against the median of that law (Gavish and Donoho 2014), found without the
    few that carry signal; the edge is raised by three widths of the Tracy-Widom law.

    Returns
    -------
    tuple of float
        Standard deviation of the noise, and the edge in units of the eigenvalues given.
    """
    s, r = sorted((n_energy, n_pixels))
    beta = s / r
    low, high = (1 - np.sqrt(beta)) ** 2, (1 + np.sqrt(beta)) ** 2
    x = np.linspace(low, high, 20001)
    law = np.sqrt(np.maximum((high - x) * (x - low), 0)) / np.maximum(x, 1e-12)
    cumulative = cumulative_trapezoid(law, x, initial=0)
    median = float(np.interp(0.5 * cumulative[-1], cumulative, x))
    values = eigenvalue[:s]
    level2, edge, n_signal = 0.0, 0.0, 0
    width = (np.sqrt(r) + np.sqrt(s)) * (1 / np.sqrt(r) + 1 / np.sqrt(s)) ** (1 / 3) / r
    for _ in range(5):
        level2 = float(np.median(values[min(n_signal, s - 1) :])) / (r * median)
        edge = level2 * r * (high + 3 * width)
        n_signal = int((values > edge).sum())
    return float(np.sqrt(level2)), float(edge)


def split_half_rank(halves: np.ndarray, n_nonzero: int, n_pixels: int) -> int:
    """Leading eigenspectra that two halves of the pixels share, of those above rounding.

    The whole space is shared by any two halves, so its last dimension is not asked for. The k-th
    counts while the k-dimensional spaces of both halves have their largest angle below 45°
    (smallest singular value of ``VₐᵀV_b`` above 0.7): noise directions are unrelated.
    """
    one, other = (eigen(gram)[1] for gram in halves)
    rank = 0
    for k in range(1, min(MOST_SHARED, n_nonzero, len(one) - 1, n_pixels // 2) + 1):
        overlap = np.linalg.svd(one[:, :k].T @ other[:, :k], compute_uv=False)
        if overlap[-1] < np.sqrt(0.5):
            break
        rank = k
    return rank
