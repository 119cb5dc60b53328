"""Numerics of `damage`: the mean spectrum of a sample, the direction in which composition moves it,
and how far it moved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize_scalar, nnls

from chemoscape import blocks
from chemoscape.errors import FitError
from chemoscape.preprocess.density.shared import shared_variance
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import amounts, mean_composition

#: From so many repeated energies on, an offset and a change of the amount of sample are fitted too.
ENOUGH_FOR_OFFSET, ENOUGH_FOR_AMOUNT = 3, 5
#: Standards fit a sample no better than this: peaks off by so many eV, heights by such a share,
#: alike over so many eV. The covariance falls exponentially: a smoother one would take the jump
#: between two neighbouring energies for all that there is to know.
MISFIT_EV, MISFIT_SHARE, MISFIT_REACH_EV = 0.02, 0.02, 2.0
#: Calibration errors looked for (eV), and the steps of the search.
WIDEST_SHIFT, SHIFT_STEP = 1.0, 0.05
#: A standard with a smaller share of the formula units is not present.
SMALLEST_SHARE = 0.02
#: Relative error of a spectrum in the search for its shift, where counting is better than that.
SHAPE_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class MeanSpectrum:
    """Mean optical density over a sample.

    Parameters
    ----------
    energy, density, variance : ndarray, shape (n_energy,)
        eV; mean and the variance of that mean (NaN: unknown).
    place : ndarray, shape (n_energy,)
        When each frame was taken: its time, its place in the file, or the energy itself.
    """

    energy: np.ndarray
    density: np.ndarray
    variance: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, od: xr.Dataset, sample: np.ndarray) -> MeanSpectrum:
        """The mean over the pixels of a map (y, x) of bool.

        Noise of pixels averages out, that of I0 is common to all of them.
        """
        density = od["optical_density"]
        n = max(int(sample.sum()), 1)
        total = _sum_over(density, sample)
        variance = np.full(density.sizes["energy"], np.nan)
        if "variance" in od:
            common = shared_variance(od)
            gain = od["noise_gain"].values if "noise_gain" in od.coords else 1.0
            own = _sum_over(od["variance"], sample) / n - common
            # counting only: an aligned pixel has less noise than its share of a mean
            variance = np.maximum(own, 0.0) / gain / n + common
        return cls(density["energy"].values, total / n, variance, place_in_time(od))

    def at(self, chosen: np.ndarray) -> MeanSpectrum:
        """Some of its energies."""
        values = {name: getattr(self, name)[chosen] for name in self.__dataclass_fields__}
        return replace(self, **values)


def place_in_time(od: xr.Dataset) -> np.ndarray:
    """When each frame was taken: by ``time``, else its place in the file, else its energy."""
    for name in ("time", "acquired"):
        if name in od.coords and od[name].dims == ("energy",):
            values = od[name].values
            if values.dtype.kind in "fiu" and np.isfinite(values).all():
                return np.asarray(values, dtype=np.float64)
    return np.asarray(od["energy"].values, dtype=np.float64)


def _sum_over(cube: xr.DataArray, sample: np.ndarray) -> np.ndarray:
    """Sum over the pixels of a map, band by band."""

    def work(band: np.ndarray, inside: np.ndarray) -> np.ndarray:
        return np.asarray(band[:, inside].sum(axis=1, dtype=np.float64))

    return blocks.reduce_blocks(work, np.add, cube.data, sample)


def complete(od: xr.Dataset) -> np.ndarray:
    """Pixels (y, x) with a value at every energy."""

    def work(band: np.ndarray) -> np.ndarray:
        return np.asarray(np.isfinite(band).all(axis=0))

    found = blocks.map_blocks(work, od["optical_density"].data, leading=(), dtype=bool)
    return np.asarray(found.compute() if blocks.is_lazy(found) else found)


@dataclass(frozen=True, eq=False)
class Sample:
    """What the standards say of a mean spectrum; all (n_energy,) but the first two.

    Parameters
    ----------
    weights : ndarray, shape (n_standards,)
        Areal mass of each in g/cm2, or relative; 0 for those that are not present.
    standards : ndarray, shape (n_present, n_energy)
        Spectra of those that are present.
    density : ndarray
        Their sum.
    slope : ndarray
        Its derivative with the energy, per eV.
    per_x : ndarray
        Its derivative with composition at constant formula units.
    """

    weights: np.ndarray
    standards: np.ndarray
    density: np.ndarray
    slope: np.ndarray
    per_x: np.ndarray

    @classmethod
    def of(cls, spectrum: MeanSpectrum, library: Library, shift: float) -> Sample:
        """Fit the standards to a spectrum, non-negative and with a constant."""
        standards = library.spectra(spectrum.energy, shift=shift).values
        weights, _ = _nonnegative(standards, spectrum.density, _shape_weights(spectrum))
        n = amounts(weights, library.molar_mass)
        if not n.sum() > 0:
            raise FitError(
                "the sample's mean spectrum holds none of the standards",
                remedy="choose the library of this material",
            )
        present = n > SMALLEST_SHARE * n.sum()
        weights = np.where(present, weights, 0.0)
        direction = direction_of(weights, library)
        density = weights @ standards
        return cls(
            weights,
            standards[present],
            density,
            _slope(weights, library, spectrum.energy, shift),
            direction @ standards,
        )

    def at(self, chosen: np.ndarray) -> Sample:
        """Some of its energies."""
        along = (self.standards, self.density, self.slope, self.per_x)
        return Sample(self.weights, *(values[..., chosen] for values in along))

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weights.sum())


def direction_of(weights: np.ndarray, library: Library) -> np.ndarray:
    """Change of the weights per unit of composition, at a constant number of formula units.

    ``dn_k/dx = n_k (x_k - x) Σn / Σ n (x - x)²``: the standards that are present exchange. Where
    all of them have one composition it is their neighbours in composition that do; without any,
    nothing.
    """
    values = library.values
    n = amounts(weights, library.molar_mass)
    x = float(mean_composition(weights, values, library.molar_mass).value)
    spread = float((n * (values - x) ** 2).sum())
    if spread > 1e-6 * float(n.sum()) * float(np.ptp(values)) ** 2:
        change = n * (values - x) * n.sum() / spread
    else:
        own = int(np.argmax(n))
        apart = values - values[own]
        above = int(np.argmin(np.where(apart > 0, apart, np.inf))) if (apart > 0).any() else own
        below = int(np.argmax(np.where(apart < 0, apart, -np.inf))) if (apart < 0).any() else own
        change = np.zeros(values.size)
        if above != below:
            change[above] = n.sum() / (values[above] - values[below])
            change[below] = -change[above]
    per_weight = amounts(np.ones(values.size), library.molar_mass)
    return np.asarray(change / per_weight)


def _shape_weights(spectrum: MeanSpectrum) -> np.ndarray:
    """Weights of energies where standards are not expected to fit better than a share."""
    floor = (SHAPE_SHARE * np.abs(spectrum.density).max()) ** 2
    return np.asarray(1 / (np.nan_to_num(spectrum.variance) + floor + 1e-12))


def _nonnegative(
    standards: np.ndarray, density: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Weights of the standards in a non-negative fit with a constant of either sign, and the sum
    of squares that is left.
    """
    scale = np.abs(standards).max(axis=1)
    one = np.ones((1, density.size))
    design = np.concatenate([standards / scale[:, None], one, -one]).T
    root = np.sqrt(weights)
    solution, rest = nnls(design * root[:, None], density * root)
    return solution[: len(scale)] / scale, float(rest**2)


def _slope(weights: np.ndarray, library: Library, energy: np.ndarray, shift: float) -> np.ndarray:
    """Derivative of a sum of standards with the energy, per eV."""
    low, high = library.energy_range
    step = 0.1
    ends = [np.clip(energy - shift + side * step / 2, low, high) for side in (-1, 1)]
    first, second = (weights @ library.spectra(end).values for end in ends)
    return np.asarray((second - first) / np.maximum(ends[1] - ends[0], 1e-6))


def fitted_shift(spectrum: MeanSpectrum, library: Library) -> float:
    """E(file axis) - E(library) at which the standards fit best; 0 where that cannot be told."""
    inside = library.covers(spectrum.energy, WIDEST_SHIFT)
    inside &= library.covers(spectrum.energy, -WIDEST_SHIFT)
    if inside.sum() < len(library.names) + 4:
        return 0.0
    part = spectrum.at(inside)
    weights = _shape_weights(part)

    def misfit(shift: float) -> float:
        standards = library.spectra(part.energy, shift=shift).values
        return _nonnegative(standards, part.density, weights)[1]

    n_steps = round(WIDEST_SHIFT / SHIFT_STEP)
    grid = SHIFT_STEP * np.arange(-n_steps, n_steps + 1)
    best = int(np.argmin([misfit(shift) for shift in grid]))
    if best in (0, grid.size - 1):
        return 0.0
    found = minimize_scalar(misfit, bounds=(grid[best - 1], grid[best + 1]), method="bounded")
    return float(found.x)


@dataclass(frozen=True)
class Change:
    """A change of composition, that of the amount (NaN: not fitted), and how well it fits."""

    dx: float
    sd: float
    amount: float
    amount_sd: float
    reduced_chi2: float


def between_visits(early: MeanSpectrum, late: MeanSpectrum, sample: Sample) -> Change:
    """Weighted least squares of the difference of both visits on what composition, amount and an
    offset would change.
    """
    difference = late.density - early.density
    n = difference.size
    columns = [sample.per_x]
    if n >= ENOUGH_FOR_AMOUNT:
        columns.append(sample.density)
    if n >= ENOUGH_FOR_OFFSET:
        columns.append(np.ones(n))
    variance = early.variance + late.variance
    known = bool(np.isfinite(variance).all())
    covariance = np.diag(variance if known else np.ones(n))
    values, sds, chi2 = _least_squares(np.stack(columns, 1), difference, covariance, known)
    with_amount = n >= ENOUGH_FOR_AMOUNT
    return Change(
        float(values[0]),
        float(sds[0]),
        float(values[1]) if with_amount else np.nan,
        float(sds[1]) if with_amount else np.nan,
        chi2,
    )


def between_halves(spectrum: MeanSpectrum, late: np.ndarray, sample: Sample) -> Change:
    """Generalised least squares of the whole spectrum, with a change of composition in the later
    half and the misfit that standards have in general.
    """
    n = spectrum.energy.size
    columns = [*sample.standards, np.ones(n), sample.slope, np.where(late, sample.per_x, 0.0)]
    if n <= len(columns):
        raise FitError(
            f"{n} energies do not tell {len(columns) - 3} standards from radiation damage",
            remedy="select fewer standards, or measure some energies twice",
        )
    known = bool(np.isfinite(spectrum.variance).all())
    apart = np.abs(spectrum.energy[:, None] - spectrum.energy)
    alike = np.exp(-apart / MISFIT_REACH_EV)
    misfit = MISFIT_EV**2 * np.outer(sample.slope, sample.slope)
    misfit += MISFIT_SHARE**2 * np.outer(sample.density, sample.density)
    covariance = misfit * alike + np.diag(np.nan_to_num(spectrum.variance) + 1e-10)
    values, sds, chi2 = _least_squares(np.stack(columns, 1), spectrum.density, covariance, known)
    return Change(float(values[-1]), float(sds[-1]), np.nan, np.nan, chi2)


def _least_squares(
    design: np.ndarray, values: np.ndarray, covariance: np.ndarray, known: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """Generalised least squares: parameters, their standard deviations widened by the square root
    of reduced chi-squared above one (by any, where variances are not known), and that; NaN when
    nothing is left over.
    """
    root = cholesky(covariance, lower=True)
    lengths = np.linalg.norm(design, axis=0)
    lengths[lengths == 0] = 1.0
    whitened: Any = solve_triangular(root, design / lengths, lower=True)
    target: Any = solve_triangular(root, values, lower=True)
    u, s, vt = np.linalg.svd(whitened, full_matrices=False)
    safe = np.maximum(s, 1e-12 * s[0])  # what cannot be told gets an error without bounds
    solution = vt.T @ ((u.T @ target) / safe)
    sds = np.sqrt(((vt / safe[:, None]) ** 2).sum(axis=0))
    freedom = target.size - solution.size
    chi2 = np.nan
    if freedom > 0:
        chi2 = float(((target - whitened @ solution) ** 2).sum()) / freedom
        sds = sds * np.sqrt(max(chi2, 1.0) if known else chi2)
    elif not known:
        sds = np.full_like(sds, np.nan)
    return solution / lengths, sds / lengths, chi2


__all__ = [
    "Change",
    "MeanSpectrum",
    "Sample",
    "between_halves",
    "between_visits",
    "complete",
    "direction_of",
    "fitted_shift",
    "place_in_time",
]
