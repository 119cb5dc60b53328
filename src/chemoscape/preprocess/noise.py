"""How noisy the counts are: counts per recorded unit, and whether neighbouring pixels are
independent.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape.errors import ChemoscapeWarning
from chemoscape.preprocess.beam.units import dwell_ms
from chemoscape.preprocess.neighbours import CORRELATED, UNTOUCHED, Frames

#: A measured noise within this share of the header's confirms the header.
AGREES = 0.30
#: Noise that extrapolates to zero further from the dark value than this share of the counts is
#: said.
NOTABLE_OFFSET = 0.15


@dataclass(frozen=True)
class Noise:
    """What `counts_per_unit` decided: g, where it comes from, and the lag-1 correlation (NaN when
    not measurable).

    `offset` is the recorded value at which the variance extrapolates to zero: the dark value, less
    g times the variance of the read noise. NaN unless the beam changes enough over the stack.
    """

    counts_per_unit: float
    source: str
    correlation: float
    offset: float = np.nan


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
    of the correlated frames. Whole numbers that stand for several counts were rounded, which adds
    1/12 to their variance and is taken off.

    Of large images strips of 8 rows are looked at, at least 16384 pixels of every frame and 4
    million values in all. From n pairs of neighbours a variance is known to ``sqrt(3/n)``: 1.4 % of
    one such frame, 0.2 % of the stack.
    """
    frames = Frames.of(stack, background)
    recorded = frames.recorded()
    return frames.gain(recorded), frames.correlation


def counts_per_unit(
    stack: xr.DataArray, background: xr.DataArray | None, *, dark: float = 0.0
) -> Noise:
    """Decide on counts per recorded unit: the header's, unless the noise itself says otherwise.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, with ``attrs["counter_divider"]`` where the header has it.
    background : DataArray (y, x) of bool, optional
        Pixels without sample; without it nothing can be measured.
    dark : float
        Dark value that will be taken off, in the stack's unit.

    Returns
    -------
    Noise
        `source` is ``"header"``, ``"measured"``, or ``"assumed"`` (1 count per unit, for want of
        either).

    Warns
    -----
    ChemoscapeWarning
        The header is contradicted, the noise is correlated, there is none, or it extrapolates to
        zero at another value than the dark.
    """
    header = float(stack.attrs.get("counter_divider", np.nan))
    header = header if np.isfinite(header) and header > 0 else np.nan
    fallback = (header, "header") if header > 0 else (1.0, "assumed")
    if background is None:
        return Noise(*fallback, np.nan)
    frames = Frames.of(stack, background)
    recorded = frames.recorded()
    measured, correlation = frames.gain(recorded), frames.correlation
    if not np.isfinite(measured):
        _warn(
            "no noise measurable: the background has the same value everywhere, as in a "
            "simulation; uncertainties are those that Poisson counts would have"
        )
        return Noise(*fallback, np.nan)

    # of a reconstruction's noise nobody expects counts: `few_energies.noise` measures it as it is
    interpolated = correlation > CORRELATED and stack.attrs.get("unit") != "arbitrary"
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
    dwell = dwell_ms(stack)
    # rates counted in changing times have changing counts per unit
    steady = dwell is None or np.ptp(dwell) < 0.01 * dwell.max()
    one_kind = frames.whole.all() or not frames.whole.any()
    offset = _offset(frames, dark) if steady and one_kind and not interpolated else np.nan
    certain = not interpolated or bool(frames.whole.any())
    if header > 0 and (not certain or abs(measured / header - 1) <= AGREES):
        return Noise(header, "header", correlation, offset)
    if header > 0:
        _warn(
            f"the noise of the background is that of {measured:.3g} counts per recorded unit, the "
            f"header says {header:.3g}: the measured value is used"
            + _per_second(stack, measured, header)
        )
    return Noise(measured, "measured", correlation, offset)


def _per_second(stack: xr.DataArray, measured: float, header: float) -> str:
    """A cause to add, when the values are rates."""
    dwell = dwell_ms(stack)
    if dwell is None:
        return ""
    for name, unit in (("second", 1000.0), ("millisecond", 1.0)):
        if abs(measured * unit / (header * np.median(dwell)) - 1) < AGREES:
            ms = f"{np.median(dwell):g} ms"
            return f" (as of values per {name} that were counted in {ms})"
    return ""


def _offset(frames: Frames, dark: float) -> float:
    """The recorded value at which the variance is zero, said where it is not the dark value.

    ``var(N)/N = 1/g (1 - d/N)`` is a line in 1/N over the frames, if the beam changes.
    """
    axis = int(np.nanargmax(np.nanmedian(frames.gains, axis=0)))
    mean, ratio = frames.means, 1 / frames.gains[:, axis]
    seen = np.isfinite(ratio) & (mean > 0)
    mean, ratio = mean[seen], ratio[seen]
    if mean.size < 8 or np.quantile(mean, 0.9) < 1.3 * np.quantile(mean, 0.1):
        return np.nan
    steps = np.stack([np.ones_like(mean), -1 / mean], axis=1)
    (slope, intercept), *_ = np.linalg.lstsq(steps, ratio, rcond=None)
    rest = ratio - steps @ [slope, intercept]
    covariance = np.linalg.inv(steps.T @ steps) * (rest @ rest) / (mean.size - 2)
    if not slope > 0:
        return np.nan
    offset = float(intercept / slope)
    sd = float(np.sqrt(covariance[1, 1])) / float(slope)
    if abs(offset - dark) < max(5 * sd, NOTABLE_OFFSET * float(np.median(mean))):
        return offset
    if offset > dark:
        _warn(
            f"the noise of the background grows with the counts above {offset:.3g} ± {sd:.2g}, as "
            "where a detector records that much without beam (or the beam flickers from pixel to "
            f"pixel); the dark value is {dark:.3g}: look at a dark image"
        )
    else:
        read = np.sqrt((dark - offset) * float(slope))
        _warn(
            "the noise of the background has a part that does not grow with the counts, as of "
            f"read noise of {read:.3g} per value: give it as dark_sd"
        )
    return offset


def _warn(message: str) -> None:
    warnings.warn(message, ChemoscapeWarning, stacklevel=4)
