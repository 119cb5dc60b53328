"""What the fit of a whole pattern found: cell, profile, intensities, and how far to trust them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chemoscape.crystals.crystal import Cell
from chemoscape.crystals.pattern import Pattern
from chemoscape.crystals.profile import Profile, Shift, shifted
from chemoscape.crystals.reflections import Reflections
from chemoscape.standards._unit_cell import with_sd

#: sqrt(1 + 4/π): what runs of one sign make of residuals that are independent.
_OF_WHITE_NOISE = float(np.sqrt(1 + 4 / np.pi))
#: Neighbouring residuals are called correlated beyond this.
SERIAL_LIMIT = 1.3


@dataclass(frozen=True, eq=False)
class CellFit:
    """A whole-pattern fit with free intensities.

    Parameters
    ----------
    phase : str
        Name of the crystal.
    pattern : Pattern
        What was fitted.
    cell, cell_sd : tuple of 6 float
        a, b, c (Å), alpha, beta, gamma (degrees). The sd are those of the covariance matrix times
        ``sqrt(max(1, reduced chi2))``; 0 where symmetry fixes a value.
    volume, volume_sd : float
        Å3.
    start : tuple of 6 float
        The cell it began with.
    shift, shift_sd : float
        Offset of the angles, degrees; of a displacement that at θ = 0.
    shift_kind : {"displacement", "zero", "none"}
    profile, profile_sd : Profile
        Widths and shape, and their sd.
    reflections : Reflections
        At the fitted cell.
    intensities : ndarray (m,)
        Area of each reflection's first line, in units of intensity times degrees.
    calculated, background : ndarray (n,)
        The fit, and what lies under its lines.
    r_wp, r_wp_net, r_expected : float
        Weighted profile residual; the same with the background taken from what it is divided by;
        the least that noise allows. Fractions.
    chi2, reduced_chi2 : float
    n_points, n_varied : int
    durbin_watson : float
        ``Σ (Δ_i - Δ_{i-1})² / Σ Δ_i²`` of the weighted residuals: 2 where they are independent.
    offset_change : tuple of 3 float
        What a, b and c (Å) would change by if the offset were of the other kind, of zero instead of
        a displacement or the other way; NaN where there is no clear offset.
    serial_factor : float
        What Bérar and Lelann's sum over runs of one sign makes of the standard deviations, over
        what it makes of independent residuals: multiply by it where misfit, not counting, is the
        limit.
    """

    phase: str
    pattern: Pattern = field(repr=False)
    cell: Cell
    cell_sd: Cell
    volume: float
    volume_sd: float
    start: Cell
    shift: float
    shift_sd: float
    shift_kind: Shift
    profile: Profile
    profile_sd: Profile
    reflections: Reflections = field(repr=False)
    intensities: np.ndarray = field(repr=False)
    calculated: np.ndarray = field(repr=False)
    background: np.ndarray = field(repr=False)
    r_wp: float
    r_wp_net: float
    r_expected: float
    chi2: float
    reduced_chi2: float
    n_points: int
    n_varied: int
    durbin_watson: float
    serial_factor: float
    offset_change: tuple[float, float, float]

    @property
    def residual(self) -> np.ndarray:
        """Measured less fitted, shape (n,)."""
        return self.pattern.intensity - self.calculated

    @property
    def goodness(self) -> float:
        """``R_wp / R_expected``."""
        return self.r_wp / self.r_expected

    @property
    def positive(self) -> int:
        """Reflections with an intensity above zero."""
        return int((self.intensities > 0).sum())

    @property
    def angles(self) -> np.ndarray:
        """Where the first line of each reflection lies, degrees, offset included."""
        ideal = self.pattern.radiation.two_theta(self.reflections.d)
        return np.asarray(shifted(ideal, self.shift, self.shift_kind))

    @property
    def lattice(self) -> str:
        """Cell in words, standard deviations in parentheses, two digits where they begin with 1."""
        names = ("a", "b", "c", "alpha", "beta", "gamma")
        said = [
            f"{name} = {rounded(value, sd)}"
            for name, value, sd in zip(names, self.cell, self.cell_sd, strict=True)
        ]
        return f"{', '.join(said[:3])} Å, {', '.join(said[3:])} deg"

    @property
    def serial_words(self) -> str:
        """What the order of the residuals says of the standard deviations."""
        said = f"Durbin-Watson {self.durbin_watson:.2f}"
        if self.serial_factor < SERIAL_LIMIT < self.goodness:
            return f"{said}: misfit is {self.goodness:.1f} times noise, in no long runs"
        if self.serial_factor < SERIAL_LIMIT:
            return f"{said}: neighbouring residuals are independent"
        return (
            f"{said}: neighbouring residuals are correlated, errors may be about "
            f"{self.serial_factor:.1f} times as large"
        )

    def facts(self) -> dict[str, Any]:
        """Numbers for machines."""
        names = ("a", "b", "c", "alpha", "beta", "gamma")
        return {
            "phase": self.phase,
            "pattern": self.pattern.source,
            "radiation": self.pattern.radiation.name,
            "wavelength_from": self.pattern.wavelength_from,
            "sd_from": self.pattern.sd_from,
            "cell": dict(zip(names, self.cell, strict=True)),
            "cell_sd": dict(zip(names, self.cell_sd, strict=True)),
            "volume_A3": self.volume,
            "volume_sd_A3": self.volume_sd,
            "start": dict(zip(names, self.start, strict=True)),
            "shift_deg": self.shift,
            "shift_sd_deg": self.shift_sd,
            "shift_kind": self.shift_kind,
            "profile": {k: getattr(self.profile, k) for k in ("u", "v", "w", "eta")},
            "r_wp": self.r_wp,
            "r_wp_net": self.r_wp_net,
            "r_expected": self.r_expected,
            "goodness_of_fit": self.goodness,
            "reduced_chi2": self.reduced_chi2,
            "n_points": self.n_points,
            "n_varied": self.n_varied,
            "n_reflections": len(self.reflections),
            "n_reflections_positive": self.positive,
            "durbin_watson": self.durbin_watson,
            "serial_factor": self.serial_factor,
            "offset_change_A": list(self.offset_change),
        }

    def __str__(self) -> str:
        """The fit in a few lines."""
        low, high = self.pattern.two_theta[[0, -1]]
        kinds = {"displacement": "offset by displacement", "zero": "offset of zero", "none": ""}
        lines = [
            f"{self.phase}, {self.pattern.source or 'pattern'}: {self.n_points} points from "
            f"{low:.2f} to {high:.2f} deg, {self.pattern.radiation.name}",
            f"  {self.lattice}",
            f"  volume {rounded(self.volume, self.volume_sd)} Å3",
            f"  R_wp {100 * self.r_wp:.2f} % ({100 * self.r_wp_net:.2f} % above background), "
            f"R_exp {100 * self.r_expected:.2f} %, goodness of fit {self.goodness:.2f}",
            f"  {self.positive} of {len(self.reflections)} reflections, {self.n_varied} varied",
            f"  {self.serial_words}",
        ]
        if self.shift_kind != "none":
            offset = f"  {kinds[self.shift_kind]} {rounded(self.shift, self.shift_sd)} deg"
            if np.isfinite(self.offset_change).all():
                changes = zip("abc", self.offset_change, strict=True)
                other = "zero" if self.shift_kind == "displacement" else "displacement"
                offset += f"; were it of {other}: "
                offset += ", ".join(f"{name} {change:+.4f}" for name, change in changes) + " Å"
            lines.insert(3, offset)
        return "\n".join(lines)


def rounded(value: float, sd: float) -> str:
    """A value with its sd in parentheses: one digit of it, two where it begins with 1.

    Examples
    --------
    >>> rounded(11.54412, 0.00123), rounded(90.0, 0.0), rounded(4.3831, 0.0048)
    ('11.5441(12)', '90', '4.383(5)')
    """
    if not sd > 0 or not np.isfinite(sd):
        return f"{value:.10g}"
    if sd > 0.3 * max(abs(value), 1.0):
        return f"{value:.3g} (not determined)"
    power = int(np.floor(np.log10(sd)))
    power -= int(float(f"{sd:.1e}"[:3]) < 2)
    places = max(0, -power)
    return with_sd(round(value, places), round(sd, places))


def serial(residual: np.ndarray) -> tuple[float, float]:
    """Durbin and Watson's number of weighted residuals, and the factor of Bérar and Lelann.

        D = Σ (Δ_i - Δ_{i-1})² / Σ Δ_i²
        f = sqrt( Σ_runs (Σ_{i in run} Δ_i)² / Σ Δ_i² / (1 + 4/π) )

    A run is of neighbours with one sign (J. Appl. Cryst. 24, 1, 1991). Independent residuals make
    the quotient ``1 + 4/π``, not 1; by that f is 1 for them.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=20000)
    >>> [round(float(one), 1) for one in serial(noise)]
    [2.0, 1.0]
    """
    total = float((residual**2).sum())
    if not total > 0:
        return np.nan, 1.0
    durbin = float((np.diff(residual) ** 2).sum()) / total
    starts = np.flatnonzero(np.r_[True, np.diff(np.sign(residual)) != 0])
    runs = np.add.reduceat(residual, starts)
    return durbin, max(1.0, float(np.sqrt((runs**2).sum() / total)) / _OF_WHITE_NOISE)
