"""The noise of every frame, from differences of neighbouring pixels in an empty background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape.preprocess.counting import middle_and_spread

#: Noise of raw counts is independent from pixel to pixel; interpolation correlates it at 0.15 and
#: more.
CORRELATED = 0.1
#: Fewest pixels from which one frame's correlation is judged.
FEWEST_PIXELS = 1600
#: Frames with a noise gain above this were not interpolated.
UNTOUCHED = 0.999
#: Values of the whole stack, and pixels of a frame at least, from which noise is measured.
VALUES_LOOKED_AT = 4_000_000
PIXELS_LOOKED_AT = 16_384
#: Rows that are looked at together when not all are.
STRIP = 8
#: Pairs of pixels from which the typical difference is taken.
TYPICAL = 1024


@dataclass(frozen=True)
class Frames:
    """Noise of every frame in the background: mean over variance and lag-1 correlation along y and
    x, both (n, 2), and the mean (n,).
    """

    gains: np.ndarray
    correlations: np.ndarray
    means: np.ndarray
    whole: np.ndarray
    untouched: np.ndarray | None
    n_pixels: int

    @classmethod
    def of(cls, stack: xr.DataArray, background: xr.DataArray) -> Frames:
        """Measure every frame."""
        values, inside = _strips(stack, background.values)
        n = len(values)
        gains, correlations = np.full((n, 2), np.nan), np.full((n, 2), np.nan)
        means, whole = np.full(n, np.nan), np.zeros(n, dtype=bool)
        typical = [_typical_differences(values, inside, axis) for axis in (0, 1)]

        def work(band: slice) -> None:
            for i in range(band.start, band.stop):
                frame = np.ascontiguousarray(values[i])
                seen = frame[inside]
                seen = seen[np.isfinite(seen)]
                whole[i] = bool((seen == np.rint(seen)).all())
                if seen.size:
                    one = [(middle[i], spread[i]) for middle, spread in typical]
                    means[i], gains[i], correlations[i] = _noise_of(
                        frame, inside, one, bool(whole[i])
                    )

        blocks.for_each_band(work, n, rows_per_band=1)
        gain = stack["noise_gain"].values if "noise_gain" in stack.coords else None
        return cls(
            gains,
            correlations,
            means,
            whole,
            None if gain is None else np.asarray(gain >= UNTOUCHED),
            int(inside.sum()),
        )

    @property
    def correlation(self) -> float:
        """Of the whole stack."""
        return _middle(self.correlations)

    def recorded(self) -> np.ndarray:
        """Frames (n,) bool that hold counts as recorded.

        All, when the noise is not correlated; else those of whole numbers; else, of those that
        `align` did not interpolate, the ones whose own noise is not correlated.
        """
        every = np.ones(len(self.gains), dtype=bool)
        if not self.correlation > CORRELATED:
            return every
        if self.whole.any():
            return self.whole
        candidates = every if self.untouched is None else self.untouched
        if self.n_pixels < FEWEST_PIXELS:  # a frame's correlation has an sd of 2/sqrt(n)
            return ~every if self.untouched is None else self.untouched
        return np.asarray(candidates & (self.correlations < CORRELATED).all(axis=1))

    def gain(self, recorded: np.ndarray) -> float:
        """Counts per unit from the `recorded` frames, or from all when there are none."""
        return _middle(self.gains[recorded] if recorded.any() else self.gains)


def _strips(stack: xr.DataArray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (n_energy, k, m) of the rows around the background, or of some strips of them, and
    where the background is in these (k, m) bool. Strips are parted by a row outside of it.
    """
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        return np.empty((len(stack), 0, 0), dtype=np.float32), np.zeros((0, 0), dtype=bool)
    window = slice(columns[0], columns[-1] + 1)
    chosen = np.arange(rows[0], rows[-1] + 1)
    apart = np.zeros(chosen.size, dtype=bool)
    most = max(VALUES_LOOKED_AT // len(stack), PIXELS_LOOKED_AT)
    starts = np.arange(rows[0], rows[-1] + 2 - STRIP, STRIP)
    if inside.sum() > most and starts.size > 1:
        filled = np.add.reduceat(inside.sum(axis=1)[: starts[-1] + STRIP], starts)
        starts = starts[filled >= np.median(filled[filled > 0])]
        n_strips = max(4, int(np.ceil(most / max(filled.max(), 1))))
        if n_strips < starts.size:
            starts = starts[np.linspace(0, starts.size - 1, n_strips).round().astype(int)]
        chosen = (starts[:, None] + np.minimum(np.arange(STRIP + 1), STRIP - 1)).ravel()
        apart = np.tile(np.arange(STRIP + 1) == STRIP, starts.size)
    values = stack.data[:, :, window][:, chosen]
    if blocks.is_lazy(values):
        values = values.compute(num_workers=blocks.n_workers())
    return values, inside[chosen][:, window] & ~apart[:, None]


def _typical_differences(
    values: np.ndarray, inside: np.ndarray, axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust spread (n_energy,) of the differences of neighbours along an axis, from
    evenly spread pairs; NaN where there are too few.
    """
    both = inside.copy()
    if axis == 0:
        both[-1:] = False
        both[:-1] &= inside[1:]
    else:
        both[:, -1:] = False
        both[:, :-1] &= inside[:, 1:]
    y, x = np.nonzero(both)
    thin = slice(None, None, max(-(-y.size // TYPICAL), 1))
    y, x = y[thin], x[thin]
    next_y, next_x = (y + 1, x) if axis == 0 else (y, x + 1)
    with np.errstate(invalid="ignore"):
        differences = values[:, next_y, next_x].astype(np.float64) - values[:, y, x]
    middle, spread = middle_and_spread(differences)
    spread[np.isfinite(differences).sum(axis=1) < 8] = np.nan
    return middle, spread


def _noise_of(
    frame: np.ndarray,
    inside: np.ndarray,
    typical: list[tuple[float, float]],
    whole: bool,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean of one frame, and mean over variance and lag-1 correlation along y and x; NaN where
    there is no noise.
    """
    mean = np.nan
    gains, correlations = np.full(2, np.nan), np.full(2, np.nan)
    for axis, (centre, spread) in enumerate(typical):  # an inclined beam has a centre
        if not np.isfinite(spread):
            continue
        limit = 4 * spread + float(whole)  # whole counts make small medians coarse
        n, total, square, n_next, product = _moments(frame, inside, axis == 0, centre, limit)
        if n < 8:
            continue
        mean = total / n  # of pixels that have no spike
        variance = square / n / 2
        if not variance > (1e-6 * mean) ** 2:  # rounding to float32 is no noise
            continue
        if n_next >= 8:
            q = max(product / n_next / (2 * variance), -0.999)
            correlations[axis] = (1 + 2 * q) / (2 + 2 * q)
        if whole and mean > 2 * variance > 1 / 3:  # several counts per unit, rounded
            variance -= 1 / 12
        gains[axis] = mean / variance
    return mean, gains, correlations


@blocks.kernel
def _moments(
    frame: np.ndarray, inside: np.ndarray, along_y: bool, centre: float, limit: float
) -> tuple[int, float, float, int, float]:
    """Number of the differences of neighbours that lie within `limit` of `centre`, sum of the
    values they start from and of their squares; number and sum of the products of consecutive ones.
    """
    n, total, square, n_next, product = 0, 0.0, 0.0, 0, 0.0
    dy, dx = (1, 0) if along_y else (0, 1)
    n_y, n_x = frame.shape
    for y in range(n_y - dy):
        for x in range(n_x - dx):
            if not (inside[y, x] and inside[y + dy, x + dx]):
                continue
            here = float(frame[y + dy, x + dx]) - float(frame[y, x]) - centre
            if not abs(here) <= limit:  # NaN is not
                continue
            n += 1
            total += float(frame[y, x])
            square += here * here
            if y + 2 * dy < n_y and x + 2 * dx < n_x and inside[y + 2 * dy, x + 2 * dx]:
                after = float(frame[y + 2 * dy, x + 2 * dx]) - float(frame[y + dy, x + dx]) - centre
                if abs(after) <= limit:
                    n_next += 1
                    product += here * after
    return n, total, square, n_next, product


def _middle(per_frame: np.ndarray) -> float:
    """Largest over both axes of the median over frames; NaN when nothing was measured."""
    columns = [column[np.isfinite(column)] for column in per_frame.T]
    return max((float(np.median(column)) for column in columns if column.size), default=np.nan)
