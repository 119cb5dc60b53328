"""The energy axis of a stack against that of a library, by variable projection.

Sign: ``energy_shift_eV = E(file axis) - E(library)``. A feature at 517.0 eV in the library that is
found at 516.6 eV in the stack gives -0.400; standards are evaluated at ``E - shift``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize, minimize_scalar

from chemoscape.blocks import one_blas_thread
from chemoscape.decompose.axis_problem import AxisProblem
from chemoscape.decompose.design import (
    baseline_columns,
    half_range_of,
    middle_of,
)
from chemoscape.decompose.misfit import Misfit
from chemoscape.errors import FitError, LibraryError
from chemoscape.standards.library import Library

SEARCH_EV = 1.5
#: A known energy axis that lies further than this from the spectra's own is not as sure as it says.
DISAGREE_SDS = 3.0
GRID_POINTS = 31
#: The simplex method comes no nearer to the end of its search than this, eV.
NEAR_LIMIT_EV = 0.02


@dataclass(frozen=True)
class EnergyShift:
    """Where the energy axis of a stack lies, against a library's: ``shift(E) = value + stretch·(E -
    centre)``.

    Parameters
    ----------
    value, sd, sd_noise : float
        E(file axis) - E(library) at the centre, its standard deviation, and the share of noise in
        that, eV; the rest says how far the standards do not fit.
    at_limit : bool
        Whether the search ran to its end.
    stretch, stretch_sd : float
        eV per eV; 0 and NaN where none was fitted.
    stretch_seen, stretch_seen_sd : float
        What a fit with a stretch finds, whether it is used or not; NaN with a single edge.
    centre : float
        Energy (file axis, eV) about which the axis is stretched: where the errors of the shift and
        of a stretch that was fitted are independent.
    significance : float
        By how many standard deviations of the residual the misfit falls against no shift at all:
        ``sqrt((R(0) - R) / (R / ν))``. NaN where nothing was fitted.
    edges : tuple of float
        Mean energies (eV) of the structure around the lower and the upper edge; empty when the
        standards have only one.
    residual, residual_with_line : float
        Root mean square, optical density, that the standards leave of the mean spectrum; and with a
        straight line under them.
    misfit : Misfit, optional
        What the standards leave unexplained.
    source : str
        "fit", "held" or "anchors".
    contradicted : bool
        Whether the spectra disagree with an axis known otherwise, beyond the errors of both.
    """

    value: float
    sd: float
    sd_noise: float = float("nan")
    at_limit: bool = False
    stretch: float = 0.0
    stretch_sd: float = float("nan")
    stretch_seen: float = float("nan")
    stretch_seen_sd: float = float("nan")
    centre: float = 0.0
    significance: float = float("nan")
    edges: tuple[float, ...] = ()
    residual: float = float("nan")
    residual_with_line: float = float("nan")
    misfit: Misfit | None = field(default=None, compare=False)
    source: str = "fit"
    contradicted: bool = False

    @classmethod
    def from_attrs(cls, attrs: Mapping[str, Any]) -> EnergyShift:
        """The axis that the attributes of maps or of a match speak of."""
        return cls(
            float(attrs["energy_shift_eV"]),
            float(attrs["energy_shift_sd_eV"]),
            stretch=float(attrs["energy_stretch"]),
            stretch_sd=float(attrs["energy_stretch_sd"]),
            centre=float(attrs["energy_stretch_centre_eV"]),
            source=str(attrs["energy_shift_source"]),
            contradicted=bool(attrs["energy_shift_contradicted"]),
        )

    def to_attrs(self) -> dict[str, str | float | int]:
        """Attributes of whatever was fitted on this axis."""
        return {
            "energy_shift_eV": self.value,
            "energy_shift_sd_eV": self.sd,
            "energy_shift_source": self.source,
            "energy_shift_contradicted": int(self.contradicted),
            "energy_stretch": self.stretch,
            "energy_stretch_sd": self.stretch_sd,
            "energy_stretch_centre_eV": self.centre,
        }

    def at(self, energy: ArrayLike) -> np.ndarray:
        """E(file axis) - E(library) at energies of the file axis, eV."""
        return self.value + self.stretch * (np.asarray(energy) - self.centre)

    def sd_at(self, energy: float) -> float:
        """Standard deviation of the axis at an energy, eV."""
        if not self.stretch_sd > 0:  # NaN where there is none
            return self.sd
        return float(np.hypot(self.sd, (energy - self.centre) * self.stretch_sd))

    def __str__(self) -> str:
        text = f"energy shift {self.value:+.3f} ± {self.sd:.2g} eV"
        if self.stretch:
            text += f" at {self.centre:.1f} eV, stretch {1e3 * self.stretch:+.2f} meV/eV"
        return text


def axis_in_use(wanted: float | str | EnergyShift, fitted: EnergyShift | None) -> EnergyShift:
    """The energy axis of the fit; one held against the data is as uncertain as its distance."""
    if wanted == "fit":
        if fitted is None:
            raise FitError(
                "there is no sample in the image to fit an energy shift on",
                remedy="hold it with energy_shift = 0.0 or give a mask",
            )
        return fitted
    if isinstance(wanted, EnergyShift):
        held = wanted
    else:
        held = EnergyShift(float(wanted), sd=float("nan"), source="held")
    if fitted is None:
        return held
    apart = abs(float(held.at(fitted.centre)) - fitted.value)
    if np.isfinite(held.sd):
        if apart <= DISAGREE_SDS * np.hypot(held.sd_at(fitted.centre), fitted.sd):
            return held  # the spectra agree with what is known
        held = replace(held, contradicted=True)
    return replace(held, sd=max(apart, fitted.sd))


def axis_attributes(
    axis: EnergyShift, fitted: EnergyShift | None, *, held: bool
) -> dict[str, str | float | int | list[float]]:
    """What the maps say of the energy axis, and of how well the standards fit the mean spectrum."""
    known = fitted or EnergyShift(np.nan, np.nan)
    misfit = known.misfit
    return {
        **axis.to_attrs(),
        "energy_shift_fitted_eV": known.value,
        "energy_shift_fitted_sd_eV": known.sd,
        "energy_shift_significance": known.significance,
        "energy_shift_held": int(held),
        "energy_stretch_seen": known.stretch_seen,
        "energy_stretch_seen_sd": known.stretch_seen_sd,
        "edges_eV": list(known.edges),
        "residual_of_mean": known.residual,
        "residual_with_line": known.residual_with_line,
        "misfit_scale": misfit.scale if misfit else np.nan,
        "misfit_level": misfit.level if misfit else np.nan,
    }


def require_cover(library: Library, energy: np.ndarray) -> None:
    """Refuse a library that leaves energies of the fit without standards at zero shift."""
    if not library.covers(energy).all():
        low, high = library.energy_range
        common = f"[{max(low, energy[0]):.1f}, {min(high, energy[-1]):.1f}]"
        apart = low > energy[-1] or high < energy[0]
        raise LibraryError(
            f"the library {library.id!r} covers {low:.1f} to {high:.1f} eV, the stack is fitted "
            f"over {energy[0]:.1f} to {energy[-1]:.1f} eV",
            remedy="choose standards of this edge"
            if apart
            else f"set [deconvolution] range = {common} or use standards over a wider range",
        )


def fit_energy_shift(
    spectra: np.ndarray,
    variance: np.ndarray | None,
    energy: np.ndarray,
    library: Library,
    *,
    baseline: str | None = "constant",
    nonnegative: bool = True,
    search: float = SEARCH_EV,
    stretch: bool = False,
    look_for_stretch: bool = True,
) -> EnergyShift:
    r"""Shift that lets the standards fit some spectra best, all spectra together.

    Variable projection (Golub and Pereyra, SIAM J. Numer. Anal. 10, 413, 1973): for every trial
    shift the weights are solved by (non-negative) least squares, so that only the shift is
    searched, on a grid of 31 points and then by Brent's method around the best; with a stretch,
    both by the simplex method from there.

    To first order the error of the shift is ``q·e``, with e what is wrong with the spectra and q
    the part of the axis' slope that no standard imitates. Its variance is that of noise, as the
    residual shows it, and of standards that do not quite fit (`misfit`): the latter dominates in
    the mean of many pixels.

    Parameters
    ----------
    spectra : ndarray, shape (n_spectra, n_energy)
        Mean spectra (of the sample, of clusters), optical density.
    variance : ndarray, shape (n_spectra, n_energy), or None
        Their variances up to a common factor; None weighs all energies alike.
    energy : ndarray, shape (n_energy,)
        File axis in eV.
    library : Library
        The standards.
    baseline : "constant", "linear" or None
        What lies under every spectrum.
    nonnegative : bool
        Whether weights are kept >= 0.
    search : float
        Half width of the search in eV.
    stretch : bool
        Fit a stretch of the axis about its middle too: that needs structure far apart.
    look_for_stretch : bool
        Say what stretch would be found, though none is fitted.

    Returns
    -------
    EnergyShift

    Raises
    ------
    FitError
        Fewer energies than unknowns are covered by the library at every trial shift.
    """
    # The same energies at every trial shift, or the sums of squares could not be compared.
    common = library.covers(energy, -search) & library.covers(energy, search)
    usable = np.isfinite(np.atleast_2d(spectra)).all(axis=0) & common
    n_unknown = len(library.names) + baseline_columns(baseline, energy).shape[1]
    if energy.size <= n_unknown + 1 + stretch:
        raise FitError(
            f"{energy.size} energies cannot determine {n_unknown} unknowns and an energy shift",
            remedy="choose fewer standards, drop the baseline, or hold the shift",
        )
    if usable.sum() <= n_unknown + 1 + stretch:
        raise FitError(
            f"only {int(usable.sum())} energies lie inside the library's "
            f"{library.energy_range[0]:.1f} to {library.energy_range[1]:.1f} eV for shifts up to "
            f"{search:g} eV, too few for {n_unknown} unknowns",
            remedy="hold the shift with energy_shift = 0.0 or use standards over a wider range",
        )
    axis = energy[usable]
    data = np.atleast_2d(spectra)[:, usable].astype(np.float64)
    spread = np.ones_like(data)
    if variance is not None:
        spread = np.atleast_2d(variance)[:, usable].astype(np.float64)
    problem = AxisProblem(axis, data, spread / spread.mean(), library, baseline, nonnegative)

    with one_blas_thread():
        return _best(problem, search, stretch=stretch, look_for_stretch=look_for_stretch)


def _best(
    problem: AxisProblem, search: float, *, stretch: bool, look_for_stretch: bool
) -> EnergyShift:
    """The best shift, and stretch if it is asked for, with all that is known of them."""
    axis = problem.energy
    shift, lowest = _search(problem.badness, search)
    slope = 0.0
    if stretch:
        shift, slope, lowest = _search_both(problem, shift, search)
    found = problem.uncertainty(shift, slope, stretched=stretch)
    sd, stretch_sd = found.sds()
    # With a stretch: the shift where its error is independent of that of the stretch.
    centre, value = middle_of(axis), shift
    if stretch and np.isfinite(stretch_sd) and stretch_sd > 0:
        covariance = found.of_noise + found.of_standards
        lever = float(covariance[0, 1] / covariance[1, 1])
        centre, value = centre - lever, shift - slope * lever
        sd = float(np.sqrt(max(covariance[0, 0] - lever * covariance[0, 1], 0.0)))
    ends = abs(shift) + abs(slope) * half_range_of(axis)
    seen, seen_sd = (slope, stretch_sd) if stretch else (float("nan"), float("nan"))
    n_unknown = len(problem.library.names) + baseline_columns(problem.baseline, axis).shape[1]
    if look_for_stretch and found.edges and not stretch and axis.size > n_unknown + 2:
        at, seen, _ = _search_both(problem, shift, search)
        seen_sd = problem.uncertainty(at, seen, stretched=True).sds()[1]
    freedom = problem.data.size - len(problem.data) * n_unknown - 1 - stretch
    noise = lowest / freedom
    gain = problem.badness(0.0) - lowest
    return EnergyShift(
        value=value,
        sd=sd,
        sd_noise=float(np.sqrt(found.of_noise[0, 0])),
        at_limit=ends > search - (NEAR_LIMIT_EV if stretch else 1e-3),
        stretch=slope,
        stretch_sd=stretch_sd,
        stretch_seen=seen,
        stretch_seen_sd=seen_sd,
        centre=centre,
        significance=float(np.sqrt(max(gain, 0) / noise)) if noise > 0 else float("inf"),
        edges=found.edges,
        residual=problem.residual(shift, slope, problem.baseline),
        residual_with_line=problem.residual(shift, slope, "linear"),
        misfit=found.misfit,
    )


def _search(badness: Callable[[float], float], search: float) -> tuple[float, float]:
    """Best shift and its badness: a grid, then Brent's method around its best point."""
    grid = np.linspace(-search, search, GRID_POINTS)
    values = np.array([badness(shift) for shift in grid])
    best = int(values.argmin())
    step = grid[1] - grid[0]
    around = (max(grid[best] - step, -search), min(grid[best] + step, search))
    found = minimize_scalar(badness, bounds=around, method="bounded", options={"xatol": 1e-4})
    if found.fun < values[best]:
        return float(found.x), float(found.fun)
    return float(grid[best]), float(values[best])


def _search_both(problem: AxisProblem, shift: float, search: float) -> tuple[float, float, float]:
    """Best shift, stretch and badness, from the shift that is best without a stretch."""
    half = half_range_of(problem.energy)

    def badness(ends: np.ndarray) -> float:
        shift, lever = ends
        if abs(shift) + abs(lever) > search:
            return float("inf")
        return problem.badness(shift, lever / half)

    corners = np.array([[shift, 0.0], [shift, 0.1], [shift + 0.05, 0.05]])
    corners[:, 0] = np.clip(corners[:, 0], -search, search)
    found = minimize(
        badness,
        corners[0],
        method="Nelder-Mead",
        options={"initial_simplex": corners, "xatol": 1e-4, "fatol": 1e-12},
    )
    return float(found.x[0]), float(found.x[1] / half), float(found.fun)
