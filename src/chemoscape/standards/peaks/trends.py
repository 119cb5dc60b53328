"""How a quantity of a peak goes with composition, and which standards leave the trend."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape.errors import FitError


def plus_minus(value: float, sd: float, digits: int) -> str:
    """Value ± sd with so many digits, or as many as the sd takes to show; "?" for an unknown sd.

    Examples
    --------
    >>> plus_minus(529.6, 0.00021, 3), plus_minus(1.5, float("nan"), 2)
    ('529.6000 ± 0.0002', '1.50 ± ?')
    """
    if not math.isfinite(value):
        return "-"
    if sd == 0:
        return f"{value:.{digits}f}"
    if not math.isfinite(sd):
        return f"{value:.{digits}f} ± ?"
    digits = min(max(digits, math.ceil(-math.log10(sd))), 6)
    return f"{value:.{digits}f} ± {sd:.{digits}f}"


@dataclass(frozen=True)
class Trend:
    """A straight line through a quantity of a peak against the value of the standards.

    Parameters
    ----------
    peak, quantity : str
        Which.
    slope, slope_sd : float
        Per unit of the value. The sd counts the scatter about the line where that exceeds what the
        fit's errors explain.
    at_zero : float
        Of the line, at value 0.
    lowest, highest : float
        Values of the standards within.
    direction : str
        ``"rises"`` or ``"falls"`` where every step in order of value does so by itself, else ``"not
        monotone"``.
    standards : tuple of str
        Those within the range.
    departures : dict
        Of each standard outside: distance from the line, in the quantity's units, and over the sd
        of that distance.
    """

    peak: str
    quantity: str
    slope: float
    slope_sd: float
    at_zero: float
    lowest: float
    highest: float
    direction: str
    standards: tuple[str, ...]
    departures: dict[str, tuple[float, float]]

    @property
    def monotone(self) -> bool:
        """Whether it rises or falls throughout."""
        return self.direction != "not monotone"

    def __str__(self) -> str:
        away = "".join(
            f"; {name} departs by {by:+.3f} ({sds:+.1f} sd)"
            for name, (by, sds) in self.departures.items()
        )
        return (
            f"{self.peak:<10}{self.quantity.replace('_', ' '):<20}"
            f"{'+' * (self.slope >= 0)}{plus_minus(self.slope, self.slope_sd, 3)}  "
            f"{self.direction}{away}"
        )


def trend_of(
    table: xr.Dataset, peak: str, quantity: str, within: tuple[float, float] | None
) -> Trend:
    """Generalised least squares of ``q = a + b x`` with the covariance of the fit.

    Raises
    ------
    FitError
        Fewer than three standards of known, differing values lie within, or the quantity has no
        trend.
    """
    if f"{quantity}_covariance" not in table or peak not in table.peak.values:
        raise FitError(
            f"there is no trend of {quantity!r} of {peak!r}",
            remedy="ask for the centre or the relative_intensity of a peak of the model",
        )
    x = table["value"].values
    q = table[quantity].sel(peak=peak).values
    covariance = table[f"{quantity}_covariance"].sel(peak=peak).values
    sd = table[f"{quantity}_sd"].sel(peak=peak).values
    usable = np.isfinite(x) & np.isfinite(q) & np.isfinite(sd)
    low, high = (-np.inf, np.inf) if within is None else within
    if not low < high:
        raise FitError(
            f"the trend's range runs from {low:g} to {high:g}", remedy="give its lower end first"
        )
    inside = usable & (x >= low - 1e-9) & (x <= high + 1e-9)
    if inside.sum() < 3 or not np.ptp(x[inside]) > 0:
        raise FitError(
            f"{int(inside.sum())} spectra with a value, and an error of the {quantity} of {peak}, "
            f"lie within {low:g} to {high:g}",
            remedy="a trend takes three of differing values: widen the range, or give `values`",
        )
    design = np.stack([np.ones(inside.sum()), x[inside]], axis=1)
    own = covariance[np.ix_(inside, inside)]
    weight = np.linalg.pinv(own, hermitian=True)
    spread = np.linalg.inv(design.T @ weight @ design)
    line = spread @ design.T @ weight @ q[inside]
    left = q[inside] - design @ line
    scale = max(1.0, float(left @ weight @ left) / (inside.sum() - 2))
    spread = spread * scale
    departures = {}
    for k in np.flatnonzero(usable & ~inside):
        at = np.array([1.0, x[k]])
        away = float(q[k] - at @ line)
        # A standard scatters about the line as those within do.
        error = np.sqrt(at @ spread @ at + covariance[k, k] * scale)
        departures[str(table.standard.values[k])] = (away, float(away / error))
    order = np.argsort(x[inside], kind="stable")
    moves = np.diff(q[inside][order])
    direction = "rises" if (moves > 0).all() else "falls" if (moves < 0).all() else "not monotone"
    return Trend(
        peak,
        quantity,
        float(line[1]),
        float(np.sqrt(spread[1, 1])),
        float(line[0]),
        float(x[inside].min()),
        float(x[inside].max()),
        direction,
        tuple(str(name) for name in table.standard.values[inside]),
        departures,
    )
