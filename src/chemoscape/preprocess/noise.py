"""How noisy the counts are: counts per recorded unit, and whether neighbouring pixels are
independent.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape.blocks import for_each_band
from chemoscape.errors import ChemoscapeWarning

#: Noise of raw counts is independent from pixel to pixel; interpolation correlates it at 0.15 and
#: more.
CORRELATED = 0.1
#: A measured noise within this share of the header's confirms the header.
AGREES = 0.30
#: Fewest pixels from which one frame's correlation is judged.
FEWEST_PIXELS = 1600
#: Frames with a noise gain above this were not interpolated.
UNTOUCHED = 0.999


@dataclass(frozen=True)
class Noise:
    """What `counts_per_unit` decided: g, where it comes from, and the lag-1 correlation (NaN when
    not measurable).
    """

    counts_per_unit: float
    source: str
    correlation: float


def measure_noise(stack: xr.DataArray, background: xr.DataArray) -> tuple[float, float]:
    r"""Measure counts per recorded unit and the correlation of neighbouring pixels in an empty
    background.

    A detector that records N = counts/g has var(N) = N/g. The variance is half of that of the
    difference between neighbours, which is blind to an uneven or flickering beam; the correlation
    follows from the covariance of consecutive differences, :math:`\rho_1 = (1 + 2q)/(2 + 2q)` with
    :math:`q = \mathrm{cov}(d_i, d_{i+1}) / \mathrm{var}(d)`. Both are medians over frames, along
    the axis that is less noisy (g) or more correlated.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, as recorded.
    background : DataArray (y, x) of bool
        Pixels without sample.

    Returns
    -------
    g : float
        Counts per recorded unit; NaN when there is no noise to measure.
    correlation : float
        Correlation coefficient of the noise of adjacent pixels; NaN when there is no noise to
        measure.

    Notes
    -----
    Interpolated frames have too little noise, so that g comes out too large. When the stack is
    correlated, g is the median over the frames as recorded: those with whole numbers where the
    others have fractions, or else those whose own noise is not correlated. Without any, g is that
    of the correlated frames.
    """
    frames = _Frames.of(stack, background)
    recorded = frames.recorded()
    return frames.gain(recorded), frames.correlation


def counts_per_unit(stack: xr.DataArray, background: xr.DataArray | None) -> Noise:
    """Decide on counts per recorded unit: the header's, unless the noise itself says otherwise.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, with ``attrs["counter_divider"]`` where the header has it.
    background : DataArray (y, x) of bool, optional
        Pixels without sample; without it nothing can be measured.

    Returns
    -------
    Noise
        `source` is ``"header"``, ``"measured"``, or ``"assumed"`` (1 count per unit, for want of
        either).

    Warns
    -----
    ChemoscapeWarning
        The header is contradicted, the noise is correlated, or there is no noise.
    """
    header = float(stack.attrs.get("counter_divider", np.nan))
    header = header if np.isfinite(header) and header > 0 else np.nan
    fallback = (header, "header") if header > 0 else (1.0, "assumed")
    if background is None:
        return Noise(*fallback, np.nan)
    frames = _Frames.of(stack, background)
    recorded = frames.recorded()
    measured, correlation = frames.gain(recorded), frames.correlation
    if not np.isfinite(measured):
        _warn(
            "no noise measurable: the background has the same value everywhere, as in a "
            "simulation; uncertainties are those that Poisson counts would have"
        )
        return Noise(*fallback, np.nan)

    interpolated = correlation > CORRELATED
    own = "noise_gain" in stack.coords and bool((stack["noise_gain"].values < UNTOUCHED).any())
    if interpolated and frames.whole.all():
        _warn(
            f"the noise of adjacent pixels is correlated ({correlation:.2f}; 0 in Poisson counts) "
            "although the counts are whole numbers: the beam flickers, or they were rounded after "
            "an interpolation; uncertainties are approximate"
        )
    elif interpolated and not (own and recorded.any()):
        _warn(
            f"the noise of adjacent pixels is correlated ({correlation:.2f}; 0 in raw counts): the "
            "stack was already interpolated, so that variances are not Poisson and uncertainties "
            "are approximate"
        )
    certain = not interpolated or bool(frames.whole.any())
    if header > 0 and (not certain or abs(measured / header - 1) <= AGREES):
        return Noise(header, "header", correlation)
    if header > 0:
        _warn(
            f"the noise of the background is that of {measured:.3g} counts per recorded unit, the "
            f"header says {header:.3g}: the measured value is used"
        )
    return Noise(measured, "measured", correlation)


def _warn(message: str) -> None:
    warnings.warn(message, ChemoscapeWarning, stacklevel=4)


@dataclass(frozen=True)
class _Frames:
    """Noise of every frame in the background: mean over variance and lag-1 correlation along y and
    x, both (n, 2).
    """

    gains: np.ndarray
    correlations: np.ndarray
    whole: np.ndarray
    untouched: np.ndarray | None
    n_pixels: int

    @classmethod
    def of(cls, stack: xr.DataArray, background: xr.DataArray) -> _Frames:
        """Measure every frame."""
        inside = background.values
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        values = stack.values
        n = len(values)
        gains, correlations = np.full((n, 2), np.nan), np.full((n, 2), np.nan)
        whole = np.zeros(n, dtype=bool)

        def work(band: slice) -> None:
            for i in range(band.start, band.stop):
                frame = values[i][window].astype(np.float64)
                seen = frame[np.isfinite(frame)]
                whole[i] = bool((seen == np.rint(seen)).all())
                gains[i], correlations[i] = _noise_of(frame, inside[window])

        for_each_band(work, n, rows_per_band=1)
        gain = stack["noise_gain"].values if "noise_gain" in stack.coords else None
        return cls(
            gains,
            correlations,
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


def _noise_of(frame: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over variance, and lag-1 correlation, of one frame along y and x; NaN where there is no
    noise.
    """
    gains, correlations = np.full(2, np.nan), np.full(2, np.nan)
    if not np.isfinite(frame[inside]).any():
        return gains, correlations
    mean = float(np.nanmean(frame[inside]))
    for axis in (0, 1):
        image, mask = np.moveaxis(frame, axis, 1), np.moveaxis(inside, axis, 1)
        difference = image[:, 1:] - image[:, :-1]
        pairs = mask[:, 1:] & mask[:, :-1] & np.isfinite(difference)
        if pairs.sum() < 8:
            continue
        difference = difference - np.median(difference[pairs])  # an inclined beam
        typical = 1.4826 * np.median(np.abs(difference[pairs]))
        pairs &= np.abs(difference) <= 4 * typical + 1.0  # whole counts make small medians coarse
        variance = float((difference[pairs] ** 2).mean()) / 2
        if not variance > (1e-6 * mean) ** 2:  # rounding to float32 is no noise
            continue
        gains[axis] = mean / variance
        triples = pairs[:, 1:] & pairs[:, :-1]
        if triples.sum() >= 8:
            product = float((difference[:, 1:] * difference[:, :-1])[triples].mean())
            q = max(product / (2 * variance), -0.999)
            correlations[axis] = (1 + 2 * q) / (2 + 2 * q)
    return gains, correlations


def _middle(per_frame: np.ndarray) -> float:
    """Largest over both axes of the median over frames; NaN when nothing was measured."""
    columns = [column[np.isfinite(column)] for column in per_frame.T]
    return max((float(np.median(column)) for column in columns if column.size), default=np.nan)
