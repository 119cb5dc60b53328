"""The energy axis of a stack against that of a library, by variable projection.

Sign: ``energy_shift_eV = E(file axis) - E(library)``. A feature at 517.0 eV in the library that is
found at 516.6 eV in the stack gives -0.400; standards are evaluated at ``E - shift``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize, minimize_scalar, nnls

from chemoscape.blocks import one_blas_thread
from chemoscape.decompose import misfit as misfits
from chemoscape.decompose.design import (
    baseline_columns,
    half_range_of,
    middle_of,
    slopes_of,
)
from chemoscape.decompose.design import energies_in_use as energies_in_range  # noqa: F401
from chemoscape.decompose.misfit import Misfit
from chemoscape.errors import FitError, LibraryError
from chemoscape.standards.library import Library

SEARCH_EV = 1.5
GRID_POINTS = 31
#: Structure on both sides of a gap like this is that of two edges, eV.
EDGES_APART_EV = 6.0
#: Least share of the structure (its slope squared) that makes an edge.
LEAST_OF_AN_EDGE = 0.03


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
        Energy (file axis, eV) about which the axis is stretched.
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
        )

    def to_attrs(self) -> dict[str, str | float]:
        """Attributes of whatever was fitted on this axis."""
        return {
            "energy_shift_eV": self.value,
            "energy_shift_sd_eV": self.sd,
            "energy_shift_source": self.source,
            "energy_stretch": self.stretch,
            "energy_stretch_sd": self.stretch_sd,
            "energy_stretch_centre_eV": self.centre,
        }

    def at(self, energy: ArrayLike) -> np.ndarray:
        """E(file axis) - E(library) at energies of the file axis, eV."""
        return self.value + self.stretch * (np.asarray(energy) - self.centre)

    def __str__(self) -> str:
        text = f"energy shift {self.value:+.3f} ± {self.sd:.2g} eV"
        if self.stretch:
            text += f" at {self.centre:.1f} eV, stretch {1e3 * self.stretch:+.2f} meV/eV"
        return text


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
    problem = _Problem(axis, data, spread / spread.mean(), library, baseline, nonnegative)

    with one_blas_thread():
        return _best(problem, search, stretch=stretch, look_for_stretch=look_for_stretch)


def _best(
    problem: _Problem, search: float, *, stretch: bool, look_for_stretch: bool
) -> EnergyShift:
    """The best shift, and stretch if it is asked for, with all that is known of them."""
    axis = problem.energy
    shift, lowest = _search(problem.badness, search)
    slope = 0.0
    if stretch:
        shift, slope, lowest = _search_both(problem, shift, search)
    found = problem.uncertainty(shift, slope, stretched=stretch)
    sd, stretch_sd = found.sds()
    seen, seen_sd = (slope, stretch_sd) if stretch else (float("nan"), float("nan"))
    n_unknown = len(problem.library.names) + baseline_columns(problem.baseline, axis).shape[1]
    if look_for_stretch and found.edges and not stretch and axis.size > n_unknown + 2:
        at, seen, _ = _search_both(problem, shift, search)
        seen_sd = problem.uncertainty(at, seen, stretched=True).sds()[1]
    freedom = problem.data.size - len(problem.data) * n_unknown - 1 - stretch
    noise = lowest / freedom
    gain = problem.badness(0.0) - lowest
    return EnergyShift(
        value=shift,
        sd=sd,
        sd_noise=float(np.sqrt(found.of_noise[0, 0])),
        at_limit=abs(shift) > search - 1e-3,
        stretch=slope,
        stretch_sd=stretch_sd,
        stretch_seen=seen,
        stretch_seen_sd=seen_sd,
        centre=middle_of(axis),
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


def _search_both(problem: _Problem, shift: float, search: float) -> tuple[float, float, float]:
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


@dataclass(frozen=True, eq=False)
class _Uncertainty:
    """Covariances (shift, stretch) by noise and by the misfit of the standards."""

    of_noise: np.ndarray
    of_standards: np.ndarray
    misfit: Misfit
    edges: tuple[float, ...]

    def sds(self) -> list[float]:
        """Standard deviations of the shift and of the stretch, NaN where there is none."""
        both = np.sqrt(np.diag(self.of_noise + self.of_standards))
        both[~np.isfinite(both)] = np.inf  # nothing tells where the axis lies
        return [*both.tolist(), float("nan")][:2]


@dataclass(frozen=True, eq=False)
class _Problem:
    """Spectra, their variances (mean 1), and what they are fitted with."""

    energy: np.ndarray
    data: np.ndarray
    spread: np.ndarray
    library: Library
    baseline: str | None
    nonnegative: bool

    def shift_at(self, shift: float, stretch: float) -> np.ndarray:
        return shift + stretch * (self.energy - middle_of(self.energy))

    def badness(self, shift: float, stretch: float = 0.0) -> float:
        """Weighted sum of squares that the best weights leave at a trial shift."""
        model = self.library.spectra(self.energy, shift=self.shift_at(shift, stretch)).values.T
        under = baseline_columns(self.baseline, self.energy)
        total = 0.0
        for spectrum, root in zip(self.data, 1 / np.sqrt(self.spread), strict=True):
            total += float(_fit(model, under, spectrum, root, self.nonnegative)[1] ** 2)
        return total

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the spectra, each by its precision, and its variance, up to the same factor."""
        share = 1 / self.spread.mean(axis=1)
        share = share / share.sum()
        return share @ self.data, share**2 @ self.spread

    def residual(self, shift: float, stretch: float, baseline: str | None) -> float:
        """Root mean square that the standards and a baseline leave of the mean spectrum."""
        at = self.shift_at(shift, stretch)
        model = self.library.spectra(self.energy, shift=at).values.T
        under = baseline_columns(baseline, self.energy)
        root = np.ones_like(self.energy)
        norm = _fit(model, under, self.mean()[0], root, self.nonnegative)[1]
        return norm / float(np.sqrt(self.energy.size))

    def uncertainty(self, shift: float, stretch: float, *, stretched: bool) -> _Uncertainty:
        """Covariance of the shift (and the stretch), the misfit found, and the edges.

        With ``S`` the derivative of the fitted spectrum with the axis and ``S⊥`` what of it the
        columns in use do not imitate, the error of the axis is ``(Σ S⊥ᵀWS⊥)⁻¹ Σ S⊥ᵀW e``.
        """
        at = self.shift_at(shift, stretch)
        model = self.library.spectra(self.energy, shift=at).values.T
        slopes = slopes_of(self.library, self.energy, at)
        under = baseline_columns(self.baseline, self.energy)
        levers = np.column_stack([np.ones_like(self.energy), self.energy - middle_of(self.energy)])
        levers = levers[:, : 1 + stretched]
        information = np.zeros((levers.shape[1],) * 2)
        pulls = np.zeros((model.shape[1], *levers.shape))  # on each standard's departure
        for spectrum, root in zip(self.data, 1 / np.sqrt(self.spread), strict=True):
            weights = _fit(model, under, spectrum, root, self.nonnegative)[0]
            columns = np.column_stack([model[:, weights != 0], under]) * root[:, None]
            moved = (slopes @ weights * root)[:, None] * levers
            left = moved - columns @ (np.linalg.pinv(columns) @ moved)
            information += left.T @ left
            pulls += weights[:, None, None] * (root[:, None] * left)
        mean, noise = self.mean()
        weights = _fit(model, under, mean, 1 / np.sqrt(noise), self.nonnegative)[0]
        moved = (slopes @ weights)[:, None] * levers
        fitted = np.column_stack([model[:, weights != 0], under, moved])
        columns = fitted / np.maximum(np.linalg.norm(fitted, axis=0), np.finfo(float).tiny)
        residual = mean - columns @ (np.linalg.pinv(columns) @ mean)
        fields = misfits.departures(self.library, self.energy, at)
        alike = misfits.likeness(self.energy)
        misfit = misfits.misfit_of(residual, columns, weights, fields, alike, noise)
        fields = fields[..., None] * pulls
        of_standards = misfit.scale**2 * np.einsum(
            "fkni,nm,fkmj->ij", fields, alike, fields, optimize=True
        )
        of_noise = misfit.level**2 / noise.mean() * information
        known = np.linalg.matrix_rank(information) == len(information)
        inverse = np.linalg.inv(information) if known else np.full_like(information, np.nan)
        return _Uncertainty(
            inverse @ of_noise @ inverse,
            inverse @ of_standards @ inverse,
            misfit,
            _edges(self.energy, moved[:, 0] ** 2),
        )


def _fit(
    model: np.ndarray, under: np.ndarray, spectrum: np.ndarray, root: np.ndarray, nonnegative: bool
) -> tuple[np.ndarray, float]:
    """Weights of the standards and the norm of the weighted residual."""
    lengths = np.linalg.norm(model, axis=0)
    columns = np.column_stack([model / lengths, under]) * root[:, None]
    target = spectrum * root
    if nonnegative:
        solution, norm = nnls(np.column_stack([columns, -under * root[:, None]]), target)
    else:
        solution = np.linalg.lstsq(columns, target, rcond=None)[0]
        norm = float(np.linalg.norm(target - columns @ solution))
    return solution[: len(lengths)] / lengths, float(norm)


def _edges(energy: np.ndarray, structure: np.ndarray) -> tuple[float, ...]:
    """Mean energies of the structure below and above the gap that parts it best; none when it is
    in one place.
    """
    before, after = np.cumsum(structure), np.cumsum(structure[::-1])[::-1]
    first = np.cumsum(structure * energy)[:-1] / np.maximum(before[:-1], np.finfo(float).tiny)
    second = np.cumsum((structure * energy)[::-1])[::-1][1:] / np.maximum(
        after[1:], np.finfo(float).tiny
    )
    parted = before[:-1] * after[1:] * (second - first) ** 2
    best = int(parted.argmax())
    lower, upper = float(first[best]), float(second[best])
    least = LEAST_OF_AN_EDGE * before[-1]
    if upper - lower < EDGES_APART_EV or min(before[best], after[best + 1]) < least:
        return ()
    return lower, upper
