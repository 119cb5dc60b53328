"""What was counted in some pixels of a stack, in memory or lazy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape import blocks


@dataclass(frozen=True)
class Sums:
    """Sum over the finite values of some pixels in every frame, and how many these are; both
    (n_energy,).
    """

    total: np.ndarray
    number: np.ndarray

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.total + other.total, self.number + other.number)

    @property
    def mean(self) -> np.ndarray:
        """Mean of every frame; NaN where it has no value."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.total / self.number)


def sums_over(stack: xr.DataArray, mask: np.ndarray) -> Sums:
    """Sums over the pixels of `mask` (y, x) bool, in one pass."""

    def work(band: np.ndarray, inside: np.ndarray) -> Sums:
        return Sums(*sums_in(band, inside, np.arange(len(band))))

    return blocks.reduce_blocks(work, lambda a, b: a + b, stack.data, mask)


def values_of(stack: xr.DataArray, chosen: np.ndarray) -> np.ndarray:
    """Values (n_energy, m) of some pixels."""
    if not blocks.is_lazy(stack):
        return np.asarray(stack.data[:, chosen])
    parts = blocks.reduce_blocks(
        lambda band, inside: [band[:, inside]], lambda a, b: a + b, stack.data, chosen
    )
    return np.concatenate(parts, axis=1)


def means_of(values: np.ndarray) -> np.ndarray:
    """Mean (n_energy,) of the finite values of every frame; NaN where there are none."""
    seen = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.where(seen, values, 0).sum(axis=1, dtype=np.float64)
        return np.asarray(total / seen.sum(axis=1))


def middle_and_spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust standard deviation (n,) of the finite values in every row of (n, m); NaN
    where there is none.

    The larger of 1.48 median absolute deviations and 1.33 mean ones of the nearest 98 %: few whole
    counts make the former coarse, down to 0.
    """
    n, m = values.shape
    middle, spread = np.full(n, np.nan), np.full(n, np.nan)
    seen = np.isfinite(values)
    number = seen.sum(axis=1)
    alive = number > 0
    if not alive.any():
        return middle, spread
    rows, number = np.arange(alive.sum()), number[alive]
    low, high = (number - 1) // 2, number // 2
    ordered = np.sort(np.where(seen, values, np.nan)[alive].astype(np.float64), axis=1)  # NaN last
    middle[alive] = (ordered[rows, low] + ordered[rows, high]) / 2
    away = np.sort(np.abs(ordered - middle[alive, None]), axis=1)
    most = np.maximum((0.98 * number).astype(int), 1)
    near = np.where(np.arange(m) < most[:, None], away, 0).sum(axis=1) / most
    spread[alive] = np.maximum(1.4826 * away[rows, high], 1.33 * near)
    return middle, spread


def sums_in(band: np.ndarray, mask: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Sum of the finite values inside a mask (y, x) in some frames of a band, and their number,
    (2, n_energy).
    """
    weight, n = mask.astype(np.float32), int(np.count_nonzero(mask))
    columns = np.empty(mask.shape[1], dtype=np.float32)
    sums = np.zeros((2, len(band)))
    for i in frames if n else ():
        # by columns in float32, which rounds by 1e-7 of the sum, and then in float64
        _sum_columns(columns, band[i], weight)
        sums[:, i] = columns.sum(dtype=np.float64), n
        if not np.isfinite(sums[0, i]):
            seen = band[i][mask]
            seen = seen[np.isfinite(seen)]
            sums[:, i] = seen.sum(dtype=np.float64), seen.size
    return sums


@blocks.kernel
def _sum_columns(columns: np.ndarray, frame: np.ndarray, weight: np.ndarray) -> None:
    columns[:] = 0
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            columns[x] += frame[y, x] * weight[y, x]
