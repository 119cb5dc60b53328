"""What the statistics of an ensemble found, with intervals; the result prints itself."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.particles.resampling import Estimate

#: Amplitude and p beyond which composition follows the wires' direction.
ANGLE_AMPLITUDE, ANGLE_P = 0.02, 0.01


@dataclass(frozen=True)
class PhaseSizes:
    """Sizes of the particles of one phase: the mode of log size, in µm², and the median."""

    phase: str
    n: int
    composition: float
    median: float
    mode: Estimate | None


@dataclass(frozen=True)
class ModeDifference:
    """Mode of the first phase less that of the second, µm²."""

    first: str
    second: str
    difference: Estimate

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho of size and composition, and the p of a permutation test."""

    rho: Estimate
    p: float


@dataclass(frozen=True)
class Regression:
    """Change of ln size per unit of composition.

    ``reliability`` is the share of the compositions' variance that is not their counting error;
    1 where errors were not known, and then not considered.
    """

    slope: Estimate
    reliability: float
    errors_considered: bool


@dataclass(frozen=True)
class AngleDependence:
    """Composition as ``c + A cos 2(θ - θ0)`` of the wires' direction θ: A, θ0 in degrees, p."""

    amplitude: Estimate
    direction: float
    p: float

    @property
    def suspicious(self) -> bool:
        """Whether orientation may pass for composition."""
        return self.amplitude.value > ANGLE_AMPLITUDE and self.p < ANGLE_P


@dataclass(frozen=True)
class EnsembleStatistics:
    """What an ensemble says, and what it does not.

    Attributes
    ----------
    route : str
        "joint": every particle once, with the phase of its largest share; "per phase": one table
        per map of a phase.
    size, by : str
        Variables of the table.
    n_found, n_used : int
        Particles before and after the filters.
    left_out : dict
        Reason -> number, each particle under the first that holds.
    n_mixed : int
        Joint: particles of which a second phase is a quarter or more. Per phase: particles found
        in more than one map, and so counted more than once.
    phases, differences : tuple
        Sizes of each phase and what sets them apart.
    correlation, regression, angle : or None
        None where they were refused; `notes` says why.
    angle_within : AngleDependence or None
        The same within phases, their mean compositions taken off; None where there is one phase.
    notes : tuple of str
    n_boot, seed : int
    particles : Dataset
        What was used, along ``particle``: phase, size, composition, composition_se, orientation.
    """

    route: str
    size: str
    by: str
    n_found: int
    n_used: int
    left_out: dict[str, int]
    n_mixed: int
    phases: tuple[PhaseSizes, ...]
    differences: tuple[ModeDifference, ...]
    correlation: Correlation | None
    regression: Regression | None
    angle: AngleDependence | None
    angle_within: AngleDependence | None
    notes: tuple[str, ...]
    n_boot: int
    seed: int
    particles: xr.Dataset = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Numbers and text only, None where there is none; without the particles."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        del told["particles"]
        told = _plain(told)
        for own, one in zip(told["differences"], self.differences, strict=True):
            own["told_apart"] = one.told_apart
        return told

    def __str__(self) -> str:
        lines = [f"{self.n_used} of {self.n_found} particles, {self.route}"]
        lines += [f"  left out: {number} {reason}" for reason, number in self.left_out.items()]
        for one in self.phases:
            mode = f"mode {one.mode} µm²" if one.mode else "too few for a mode"
            lines.append(f"  {one.phase}: {one.n}, median {one.median:.3g} µm², {mode}")
        for pair in self.differences:
            verdict = "told apart" if pair.told_apart else "cannot be told apart"
            lines.append(f"  {pair.first} − {pair.second}: {pair.difference} µm², {verdict}")
        if self.correlation:
            lines.append(f"  Spearman's rho {self.correlation.rho}, p = {self.correlation.p:.2g}")
        if self.regression:
            lines.append(f"  ln size per unit of composition {self.regression.slope}")
        for where, turn in (("", self.angle), (" within phases", self.angle_within)):
            if turn:
                lines.append(
                    f"  with direction{where}: amplitude {turn.amplitude} at "
                    f"{turn.direction:.0f}°, p = {turn.p:.2g}"
                )
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def _plain(value: Any) -> Any:
    """Dataclasses, tuples and NaN as what JSON knows."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "__dataclass_fields__"):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
