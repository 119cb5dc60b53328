"""A spectrum made ready for linear combination fits: what is used of it, and at which shift."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape.decompose.combinations.result import LinearCombinationFit
from chemoscape.decompose.combinations.sums import Problem, effective_points, shift_with_sum_one
from chemoscape.decompose.design import (
    BASELINES,
    Baseline,
    baseline_columns,
    energies_in_use,
    half_range_of,
    middle_of,
)
from chemoscape.decompose.energy import EnergyShift, fit_energy_shift
from chemoscape.decompose.misfit import DEPARTURE_WARNING, MISFIT_EV, MISFIT_SHARE
from chemoscape.decompose.propagation import Propagation
from chemoscape.errors import ChemoscapeWarning, FitError, LibraryError, require_choice
from chemoscape.standards.library import Library, require_library
from chemoscape.standards.mixing import mean_composition

#: Residuals below this share of a spectrum are rounding: no fit is better than another by them.
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Prepared:
    """A spectrum ready to be fitted by any of the standards: what is used of it, and the shift."""

    energy: np.ndarray
    data: np.ndarray
    sd: np.ndarray | None
    spectra: np.ndarray
    library: Library
    baseline: Baseline | None
    shift: EnergyShift
    shift_z: float
    shift_is_varied: bool
    n_effective: float
    problem: Problem

    def n_varied(self, n_standards: int) -> int:
        """Unknowns of a fit with so many standards."""
        problem = self.problem
        return n_standards - problem.sum_to_one + problem.n_baseline + self.shift_is_varied

    def bic(self, squares: float, n_standards: int) -> float:
        """``n_eff ln(chi2/n) + n_varied ln n_eff``."""
        return self._deviance(squares) + self.n_varied(n_standards) * np.log(self.n_effective)

    def _deviance(self, squares: float) -> float:
        floor = ROUNDING**2 * float((self.data**2).sum()) or np.finfo(float).tiny
        return float(self.n_effective * np.log(max(squares, floor) / self.data.size))

    def fit(self, chosen: Sequence[int]) -> LinearCombinationFit:
        """Fit with the chosen standards (by number)."""
        index, k = np.asarray(chosen), len(chosen)
        solution = self.problem.solve(chosen)
        weights, terms = solution.parameters[:k], np.append(solution.parameters[k:], [0.0, 0.0])
        n_varied = self.n_varied(k)
        reduced = solution.squares / (self.data.size - n_varied)
        library = self.library
        mixture = mean_composition(weights, library.values[index], library.molar_mass[index])
        per_eV = float(mixture.gradient @ solution.per_eV[:k])
        # Of a variable projection: the covariance at this shift, and what the shift's error adds.
        counted = solution.inverse * reduced
        covariance = _with_shift(counted, solution.per_eV, self.shift.sd)
        spread = np.append(np.sqrt(np.diag(covariance)[k:]), [0.0, 0.0])
        own = np.atleast_2d(mixture.variance(counted[:k, :k]))
        variance = _with_shift(own, np.array([per_eV]), self.shift.sd)[0, 0]
        shapes = baseline_columns(self.baseline, self.energy)
        model = weights @ self.spectra[index] + shapes @ terms[: shapes.shape[1]]
        with np.errstate(invalid="ignore"):
            r_factor = ((self.data - model) ** 2).sum() / (self.data**2).sum()
        return LinearCombinationFit(
            standards=tuple(library.names[i] for i in index),
            labels=tuple(library.labels[i] for i in index),
            weights=weights,
            covariance=covariance[:k, :k],
            at_bound=~solution.active[:k],
            weight_per_eV=solution.per_eV[:k],
            baseline=float(terms[0]),
            baseline_sd=float(spread[0]),
            slope=float(terms[1]) / half_range_of(self.energy),
            slope_sd=float(spread[1]) / half_range_of(self.energy),
            mid_eV=middle_of(self.energy),
            baseline_kind=self.baseline or "none",
            energy_shift_eV=self.shift.value,
            energy_shift_sd_eV=self.shift.sd,
            energy_shift_z=self.shift_z,
            composition=float(mixture.value),
            composition_sd=float(np.hypot(np.sqrt(variance), self._misfit_sd(index, weights)))
            if len(library.names) > 1
            else float("nan"),  # of one standard, composition is what the library says
            composition_per_eV=per_eV,
            variable=library.variable,
            units="g/cm2" if library.mass_scale else "",
            chi2=solution.squares,
            reduced_chi2=reduced,
            r_factor=float(r_factor),
            aic=self._deviance(solution.squares) + 2 * n_varied,
            bic=self.bic(solution.squares, k),
            n_points=int(self.data.size),
            n_effective=self.n_effective,
            n_varied=n_varied,
            energy=self.energy,
            data=self.data,
            sd=self.sd,
            spectra=self.spectra[index],
        )

    def _misfit_sd(self, index: np.ndarray, weights: np.ndarray) -> float:
        """Error of the composition by the standards' mass scales, by standards that do not quite
        fit (0 where the shift was not fitted, since it is that fit that shows them), and by the
        error of a stretch. NaN where a standard's composition is unknown.
        """
        if not weights.any():
            return 0.0
        if not set(index) <= set(self._valued):
            return float("nan")
        library = self._known
        every = np.zeros(len(library.names))
        every[np.searchsorted(self._valued, index)] = weights
        mixture = mean_composition(every, library.values, library.molar_mass)
        gradient, every = mixture.gradient[:, None], every[:, None]
        squares = float(self._propagation.scale_sd(every, gradient)[0]) ** 2
        if self.shift.misfit is not None:
            squares += (
                float(self._propagation.misfit_sd(every, gradient, self.shift.misfit)[0]) ** 2
            )
        if self.shift.stretch_sd > 0:  # NaN where there is none
            per_stretch = self._propagation.per_stretch(every, gradient, self.shift.centre)
            squares += float(per_stretch[0] * self.shift.stretch_sd) ** 2
        return float(np.sqrt(squares))

    @cached_property
    def _valued(self) -> np.ndarray:
        """Numbers of the standards whose composition is known."""
        return np.flatnonzero(np.isfinite(self.library.values))

    @cached_property
    def _known(self) -> Library:
        return self.library.select(*np.array(self.library.names)[self._valued])

    @cached_property
    def _propagation(self) -> Propagation:
        return Propagation(
            self._known,
            self.energy,
            self.shift.at(self.energy),
            self.baseline,
            np.ones(self.energy.size) if self.sd is None else 1 / self.sd**2,
        )


def prepare(
    spectrum: xr.DataArray | tuple[ArrayLike, ArrayLike],
    library: Library,
    *,
    sd: ArrayLike | float | None = None,
    nonnegative: bool = True,
    sum_to_one: bool = False,
    baseline: Baseline | None = "constant",
    energy_shift: float | Literal["fit"] | EnergyShift = "fit",
    fit_range: tuple[float, float] | None = None,
    exclude: Sequence[tuple[float, float]] = (),
    resolution_eV: float | None = None,
    n_standards: int | None = None,
) -> Prepared:
    """Check a spectrum, choose its energies, find the shift; as `linear_combination_fit` takes it.

    ``n_standards`` is how many the smallest fit will have; default all. A shift is always fitted
    with all of them.

    Raises
    ------
    FitError
        See `linear_combination_fit`.
    """
    require_choice("baseline", baseline, *BASELINES)
    require_library(library)
    energy, values, error = _arrays(spectrum, sd)
    inside = energies_in_use(energy, fit_range, exclude)
    inside &= np.isfinite(values) & np.isfinite(error)
    if (error[inside] <= 0).any():
        bad = np.flatnonzero(inside & (error <= 0))[0]
        raise FitError(
            f"sd is {error[bad]:g} at {energy[bad]:.2f} eV",
            remedy="give positive standard deviations, or none",
        )
    if inside.any() and not library.covers(energy[inside]).any():
        low, high = library.energy_range
        raise LibraryError(
            f"the library {library.id!r} covers {low:.1f} to {high:.1f} eV, the spectrum "
            f"{energy[inside].min():.1f} to {energy[inside].max():.1f} eV",
            remedy="choose standards of this edge",
        )
    varied, z = False, np.nan
    if isinstance(energy_shift, EnergyShift):
        known = not np.isnan(energy_shift.sd)
        shift = energy_shift if known else replace(energy_shift, sd=0.0)
    elif isinstance(energy_shift, str):
        require_choice("energy_shift", energy_shift, "fit", "a number of eV")
        varied = True
        used = energy[inside], values[inside], error[inside]
        shift = _fitted_shift(*used, library, baseline, nonnegative, sum_to_one)
        z = float(np.copysign(shift.significance, shift.value))
    else:
        shift = EnergyShift(float(energy_shift), 0.0, source="held")

    if varied:
        _warn_of_doubts(shift)
    inside &= library.covers(energy, shift.at(energy))
    smallest = len(library.names) if n_standards is None else n_standards
    n_varied = smallest - sum_to_one + baseline_columns(baseline, energy).shape[1] + varied
    if inside.sum() <= n_varied:
        raise FitError(
            f"{int(inside.sum())} points of the spectrum lie where the standards are known, "
            f"too few for {n_varied} unknowns",
            remedy="widen the fit range or choose fewer standards",
        )
    axis, data, error = energy[inside], values[inside], error[inside]
    return Prepared(
        energy=axis,
        data=data,
        sd=None if sd is None else error,
        spectra=library.spectra(axis, shift=shift.at(axis)).values,
        library=library,
        baseline=baseline,
        shift=shift,
        shift_z=z,
        shift_is_varied=varied,
        n_effective=effective_points(axis, resolution_eV, exclude),
        problem=Problem.of(
            axis,
            data,
            error,
            library,
            shift.at(axis),
            baseline=baseline,
            nonnegative=nonnegative,
            sum_to_one=sum_to_one,
        ),
    )


def _warn_of_doubts(shift: EnergyShift) -> None:
    """Of a shift that is none, and of standards that do not look like the spectrum."""
    if shift.at_limit:
        warnings.warn(
            f"the energy shift ran to the end of its search ({shift.value:+.2f} eV): these "
            "standards may belong to another edge or another calibration",
            ChemoscapeWarning,
            stacklevel=4,
        )
    if shift.misfit is not None and shift.misfit.scale > DEPARTURE_WARNING:
        warnings.warn(
            "the standards do not look like the spectrum: it departs from them as if peaks were "
            f"off by {MISFIT_EV * shift.misfit.scale:.2g} eV and heights by "
            f"{100 * MISFIT_SHARE * shift.misfit.scale:.2g} %",
            ChemoscapeWarning,
            stacklevel=4,
        )


def _arrays(
    spectrum: xr.DataArray | tuple[ArrayLike, ArrayLike], sd: ArrayLike | float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies in ascending order, values and standard deviations, as float64."""
    if isinstance(spectrum, xr.DataArray):
        spectrum = (spectrum["energy"].values, spectrum.values)
    energy, values = (np.asarray(part, dtype=float) for part in spectrum)
    usual = energy.ndim == 1 and energy.size and energy.shape == values.shape
    if not usual or not np.isfinite(energy).all():
        raise FitError(
            f"a spectrum needs one value for each energy, got {values.shape} values on "
            f"{energy.shape} energies",
            remedy="give a DataArray over energy, or (energies in eV, values)",
        )
    error = np.asarray(1.0 if sd is None else sd, dtype=float)
    if error.shape not in ((), energy.shape):
        raise FitError(
            f"sd has {error.shape} values for {energy.size} energies",
            remedy="give one number, or one for each energy",
        )
    order = np.argsort(energy, kind="stable")
    return energy[order], values[order], np.broadcast_to(error, energy.shape)[order]


def _fitted_shift(
    energy: np.ndarray,
    values: np.ndarray,
    error: np.ndarray,
    library: Library,
    baseline: Baseline | None,
    nonnegative: bool,
    sum_to_one: bool,
) -> EnergyShift:
    """The shift at which all the standards fit best, under the constraints of the fit."""
    found = fit_energy_shift(
        values, error**2, energy, library, baseline=baseline, nonnegative=nonnegative
    )
    if not sum_to_one:
        return found
    return shift_with_sum_one(
        found, energy, values, error, library, baseline=baseline, nonnegative=nonnegative
    )


def _with_shift(covariance: np.ndarray, per_eV: np.ndarray, sd: float) -> np.ndarray:
    """Add ``(dp/dE)(dp/dE)ᵀ sd_E²``; what moves with a shift that nothing determines is unknown."""
    if np.isfinite(sd):
        return covariance + np.outer(per_eV, per_eV) * sd**2
    return covariance + np.diag(np.where(per_eV != 0, np.inf, 0.0))
