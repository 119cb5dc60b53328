"""The composition of a map against that of the charge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from chemoscape.electrochemistry.phases import LIXV2O5, PhaseDiagram
from chemoscape.errors import FitError

#: Standard deviations within which two compositions agree.
AGREES = 2.0


@dataclass(frozen=True)
class Placement:
    """Where a map's mean composition lies on a curve.

    ``z`` is ``(x_map - x_curve) / sd``; NaN where neither sd is known. ``voltages`` is the cell's
    voltage where the curve has the map's composition, by number of the half cycle (from 1). The sd
    of the charge is that of the whole electrode's mean: a map of few particles may differ from it
    for a reason that is no error.
    """

    x_map: float
    x_map_sd: float
    x_curve: float
    x_curve_sd: float
    after_half_cycle: int
    voltages: Mapping[int, float] = field(default_factory=dict)
    phases_at_map: str = ""
    phases_at_curve: str = ""
    map_phases: Mapping[str, float] = field(default_factory=dict)

    @property
    def difference(self) -> float:
        """The map's composition less the charge's."""
        return self.x_map - self.x_curve

    @property
    def difference_sd(self) -> float:
        """Of the difference; what is not known counts as none."""
        known = [sd for sd in (self.x_map_sd, self.x_curve_sd) if math.isfinite(sd)]
        return math.sqrt(sum(sd**2 for sd in known)) if known else math.nan

    @property
    def z(self) -> float:
        """The difference over its sd."""
        sd = self.difference_sd
        return self.difference / sd if sd > 0 else math.nan

    @property
    def agrees(self) -> bool | None:
        """Whether they agree within two sd; None where no sd is known."""
        return None if math.isnan(self.z) else abs(self.z) <= AGREES

    def __str__(self) -> str:
        def number(value: float, sd: float) -> str:
            return f"{value:.3f}" + (f" ± {sd:.3f}" if math.isfinite(sd) else " (sd not known)")

        head = (
            f"x {number(self.x_map, self.x_map_sd)} by the map ({self.phases_at_map}), "
            f"{number(self.x_curve, self.x_curve_sd)} by charge ({self.phases_at_curve}) "
            f"after half cycle {self.after_half_cycle}: "
        )
        if self.agrees is None:
            return f"{head}they differ by {self.difference:+.3f}, and no error is known"
        both = math.isfinite(self.x_map_sd) and math.isfinite(self.x_curve_sd)
        alone = "" if both else ", by one error alone"
        word = "agree" if self.agrees else "do not agree"
        return f"{head}they {word} (z = {self.z:+.1f}{alone})"


def place_on_curve(
    curve: xr.Dataset,
    x_map: float,
    x_map_sd: float | None = None,
    *,
    after_half_cycle: int | None = None,
    phases: PhaseDiagram | None = LIXV2O5,
    map_phases: Mapping[str, float] | None = None,
) -> Placement:
    """Compare the composition of a map with that of the charge passed.

    Parameters
    ----------
    curve : Dataset
        From `lithiation`.
    x_map, x_map_sd : float
        Mean composition of the map, by mass, and its total standard deviation.
    after_half_cycle : int, optional
        When the sample was taken: at the end of this half cycle (from 1); default: at the end.
    phases : PhaseDiagram, optional
        Which phases are expected at which composition; None where that is not known.
    map_phases : mapping, optional
        Shares of the phases that the map found, to be kept beside.

    Returns
    -------
    Placement

    Raises
    ------
    FitError
        The curve has no composition, there is no such half cycle, or `x_map` is no number.

    Examples
    --------
    >>> from chemoscape.electrochemistry import lithiation, simulate_cycling
    >>> curve, _ = simulate_cycling(x_max=0.5, half_cycles=1, noise_V=0.0)
    >>> curve = lithiation(curve, mass_mg=1.0, active_fraction=1.0, mass_sd_mg=0.02)
    >>> print(place_on_curve(curve, 0.52, 0.02))
    x 0.520 ± 0.020 by the map (ε), 0.500 ± 0.010 by charge (ε) after half cycle 1: they agree
    (z = +0.9)
    """
    if "x" not in curve:
        raise FitError("the curve has no composition", remedy="take it through lithiation first")
    if not math.isfinite(x_map):
        raise FitError("the map has no mean composition", remedy="give its mean composition")
    at, number = _record(curve, after_half_cycle)
    x_curve = float(curve["x"].values[at])
    return Placement(
        x_map=float(x_map),
        x_map_sd=math.nan if x_map_sd is None else float(x_map_sd),
        x_curve=x_curve,
        x_curve_sd=float(curve["x_sd"].values[at]),
        after_half_cycle=number,
        voltages=voltages_at(curve, x_map),
        phases_at_map=phases.at(x_map) if phases else "phases not known",
        phases_at_curve=phases.at(x_curve) if phases else "phases not known",
        map_phases=dict(map_phases or {}),
    )


def voltages_at(curve: xr.Dataset, x: float) -> dict[int, float]:
    """Voltage of the cell at a composition, V, by number of the half cycle (from 1)."""
    found = {}
    for half in np.unique(curve["half_cycle"].values):
        at = (curve["half_cycle"].values == half) & (curve["direction"].values != 0)
        values, voltage = curve["x"].values[at], curve["voltage"].values[at]
        if values.size > 1 and values.min() <= x <= values.max():
            order = np.argsort(values, kind="stable")
            found[int(half) + 1] = float(np.interp(x, values[order], voltage[order]))
    return found


def _record(curve: xr.Dataset, after: int | None) -> tuple[int, int]:
    """The last record of a half cycle, rests included, and its number from 1."""
    half = curve["half_cycle"].values
    if after is None:
        return half.size - 1, int(half[-1]) + 1
    at = np.flatnonzero(half == after - 1)
    if not at.size:
        raise FitError(
            f"there is no half cycle {after}", remedy=f"number them from 1 to {int(half[-1]) + 1}"
        )
    return int(at[-1]), after
