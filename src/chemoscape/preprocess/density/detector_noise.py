"""Counts per recorded unit of a detector with dead time or read noise.

Neither leaves the variance of Poisson counts in the recorded values, which is what `noise` looks
for.
"""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from chemoscape.errors import ChemoscapeWarning
from chemoscape.preprocess.density.detector import Detector
from chemoscape.preprocess.noise import (
    AGREES,
    CORRELATED,
    Noise,
    counts_per_unit,
    measure_noise,
)


def counts_per_unit_of(
    detector: Detector, stack: xr.DataArray, background: xr.DataArray | None, beam: np.ndarray
) -> Noise:
    """Decide on counts per recorded unit as `counts_per_unit` does, for what `detector` records.

    The background scatters by ``var(N) = N/g (1 - b)² + s_d²``; what is not from counting is taken
    off before g is compared with the header's.

    Parameters
    ----------
    detector : Detector
    stack : DataArray (energy, y, x)
        Counts, as recorded.
    background : DataArray (y, x) of bool, optional
        Pixels without sample.
    beam : ndarray, shape (n_energy,)
        I0 as recorded, less its dark.

    Warns
    -----
    ChemoscapeWarning
        As `counts_per_unit`.
    """
    dark = detector.dark_under(background)
    if detector.counts_like_poisson or background is None:
        return counts_per_unit(stack, background, dark=float(dark.mean()))

    ratio, correlation = measure_noise(stack, background)
    header = float(stack.attrs.get("counter_divider", np.nan))
    counting = 1 / ratio - detector.dark_variance / float(np.median(beam + dark))
    if not counting > 0:  # also where there is no noise to measure
        if np.isfinite(ratio):
            _warn(
                "the noise of the background is less than the read noise alone: dark_sd is too "
                "large, or the stack was smoothed"
            )
        return Noise(*((header, "header") if header > 0 else (1.0, "assumed")), correlation)
    if correlation > CORRELATED:
        _warn(
            f"the noise of adjacent pixels is correlated ({correlation:.2f}; 0 in raw counts): the "
            "stack was already interpolated, so that uncertainties are approximate"
        )
    g = counts_per_unit_of_busy(1 / counting, float(np.median(beam * detector.busy_per_count)))
    if header > 0 and (abs(g / header - 1) <= AGREES or correlation > CORRELATED):
        return Noise(header, "header", correlation)
    if header > 0:
        _warn(
            f"the noise of the background is that of {g:.3g} counts per recorded unit, dead time "
            f"and read noise considered, the header says {header:.3g}: the measured value is used"
        )
    return Noise(g, "measured", correlation)


def counts_per_unit_of_busy(ratio: float, busy_per_unit: float) -> float:
    r"""Counts per recorded unit g from the mean over the variance R that a busy detector shows.

    Counts of a non-paralysable detector have the variance ``N/g (1 - b)²`` with ``b = g N τ/T``
    (renewal theory; Müller, Nucl. Instrum. Methods 112, 47, 1973), so that ``R = g/(1 - b)²``. With
    ``k = R N τ/T`` it follows that ``b² - (2 + 1/k) b + 1 = 0``.

    Parameters
    ----------
    ratio : float
        R, mean less dark over variance.
    busy_per_unit : float
        ``N τ/T``: busy share when g is 1.

    Examples
    --------
    >>> b = 2 * 0.1  # two counts per unit
    >>> round(counts_per_unit_of_busy(2 / (1 - b) ** 2, 0.1), 6)
    2.0
    """
    k = ratio * busy_per_unit
    if not k > 0:
        return ratio
    b = (2 * k + 1 - np.sqrt(4 * k + 1)) / (2 * k)
    return float(ratio * (1 - b) ** 2)


def _warn(message: str) -> None:
    warnings.warn(message, ChemoscapeWarning, stacklevel=5)
