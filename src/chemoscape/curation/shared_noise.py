"""Whether noise is shared: by neighbouring pixels, neighbouring energies, or whole lines.

The law that components are counted by wants noise of its own in every pixel at every energy. What
interpolation, smoothing or an unsteady beam does to it would pass for components.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: So many pairs of pixels, and so many pixels, are enough.
MOST_PAIRS, ENOUGH_PIXELS = 4000, 20_000
_LEAST_PAIRS = 50
#: Fewer degrees of freedom than this say nothing of energies.
_LEAST_FREEDOM = 8
_LEAST_IN_LINE = 8

#: Gives the noise (energy, pixel) of pixels by their numbers.
Residuals = Callable[[np.ndarray], np.ndarray]


def of_neighbours(lattice: np.ndarray, step: int, residuals: Residuals) -> float:
    """Correlation of the noise of pixels `step` apart along x and y; 0 where there are few."""
    number = np.arange(lattice.size).reshape(lattice.shape)
    pairs = [
        np.stack([number[one][both], number[other][both]])
        for one, other in (
            (np.s_[:, :-step], np.s_[:, step:]),
            (np.s_[:-step], np.s_[step:]),
        )
        if (both := lattice[one] & lattice[other]).any()
    ]
    if not pairs:
        return 0.0
    chosen = np.concatenate(pairs, axis=1)
    chosen = chosen[:, :: -(-chosen.shape[1] // MOST_PAIRS)]
    if chosen.shape[1] < _LEAST_PAIRS:
        return 0.0
    return _correlation(*(residuals(side) for side in chosen))


def of_energies(inside: np.ndarray, residuals: Residuals, kept: np.ndarray) -> float:
    """Correlation of the noise of neighbouring energies; 0 where there are few.

    What was taken off (`kept`, shape (n_energy, n_energy), projects onto the rest) makes also noise
    of its own correlated, by ``sum_e Q[e, e+1] / tr Q``, which is subtracted.
    """
    some = np.flatnonzero(inside)
    if np.trace(kept) < _LEAST_FREEDOM or len(some) < _LEAST_PAIRS:
        return 0.0
    left = residuals(some[:: -(-len(some) // MOST_PAIRS)])
    by_itself = np.trace(kept, offset=1) / np.trace(kept)
    return _correlation(left[1:], left[:-1]) - float(by_itself)


def of_lines(inside: np.ndarray, residuals: Residuals) -> float:
    """Noise of the sum along a line over that of pixels with noise of their own; 1 at best.

    The larger of rows and columns. Neighbouring lines are subtracted from each other, so that what
    varies smoothly over the image does not count.
    """
    number = np.arange(inside.size).reshape(inside.shape)
    return max(_of_rows(inside, number, residuals), _of_rows(inside.T, number.T, residuals))


def _of_rows(inside: np.ndarray, number: np.ndarray, residuals: Residuals) -> float:
    most = max(ENOUGH_PIXELS // inside.shape[1], 2)
    first = max((inside.shape[0] - most) // 2, 0)
    means: list[np.ndarray | None] = []
    counts: list[int] = []
    squares, total = 0.0, 0
    for row in range(first, min(first + most, inside.shape[0])):
        pixels = number[row][inside[row]]
        if len(pixels) < _LEAST_IN_LINE:
            means.append(None)
            counts.append(0)
            continue
        left = residuals(pixels)
        means.append(left.mean(axis=1))
        counts.append(len(pixels))
        squares, total = squares + float((left**2).sum()), total + left.size
    ratios = [
        (one - other) ** 2 / (1 / n + 1 / m)
        for one, other, n, m in zip(means[1:], means[:-1], counts[1:], counts[:-1], strict=True)
        if one is not None and other is not None
    ]
    if not ratios or not squares > 0:
        return 1.0
    return float(np.mean(ratios) / (squares / total))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    power = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / power) if power > 0 else 0.0
