"""Every pixel's least squares: compiled in bands, or one pseudo-inverse for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from chemoscape.blocks import for_each_band, is_lazy, map_blocks, n_workers, rows_per_band
from chemoscape.decompose.band_fits import fit_band
from chemoscape.decompose.band_problem import Problem
from chemoscape.decompose.design import Design
from chemoscape.decompose.solvers import Projection, projection_of, solver_of
from chemoscape.errors import FitError

#: A singular value below this share of the largest is rounding.
DEPENDENT = 1e-12


@dataclass(frozen=True, eq=False)
class PixelFits:
    """Fits of all pixels as planes of one array, so that computing them reads a stack once.

    Parameters
    ----------
    planes : ndarray or dask Array, shape (n_planes, y, x)
        One after the other: weights of the standards, and of the baseline; change of the
        standards' weights with the energy shift, 1/eV; their covariance, the upper triangle row by
        row; root mean square residual; reduced chi-squared (NaN without a variance, or without
        degrees of freedom).
    n_unknown, n_standards : int
    """

    planes: Any
    n_unknown: int
    n_standards: int

    @property
    def solution(self) -> Any:
        """Weights of standards and baseline, (n_unknown, y, x)."""
        return self.planes[: self.n_unknown]

    @property
    def per_shift(self) -> Any:
        """Change of the standards' weights with the energy shift, (n_standards, y, x)."""
        return self.planes[self.n_unknown : self.n_unknown + self.n_standards]

    @property
    def covariance(self) -> Any:
        """Upper triangle of the standards' covariance, row by row, (n_pairs, y, x)."""
        return self.planes[self.n_unknown + self.n_standards : -2]

    @property
    def residual(self) -> Any:
        """Root mean square residual, (y, x)."""
        return self.planes[-2]

    @property
    def chi2(self) -> Any:
        """Reduced chi-squared, (y, x)."""
        return self.planes[-1]


def fit_pixels(
    parts: Design,
    density: Any,
    variance: Any | None,
    *,
    nonnegative: bool,
    weighted: bool,
    sum_to_one: bool = False,
    energies: np.ndarray | None = None,
) -> PixelFits:
    """Least squares of every pixel on its own finite energies and with its own weights.

    Parameters
    ----------
    parts : Design
    density : ndarray or dask Array, shape (n_energy, y, x)
    variance : the same, or None
        Of the density. Without one reduced chi-squared is NaN.
    nonnegative : bool
        Keep the standards' weights >= 0.
    weighted : bool
        Weigh energies by 1/variance.
    sum_to_one : bool
        Weights of the standards sum to one.
    energies : ndarray of int, optional
        Which energies of the stack are those of `parts`. Default: all.

    Returns
    -------
    PixelFits
        In float64, or lazy and in float32 for a lazy stack. NaN in pixels with fewer finite
        energies than unknowns, and where the fit is singular.
    """
    n_bounded = parts.n_standards if nonnegative else 0
    problem = Problem.of(parts, energies, n_bounded, sum_to_one=sum_to_one)
    solver = None if weighted or sum_to_one else solver_of(problem)
    work = partial(fit_band, problem, solver, weighted=weighted)
    return _in_bands(work, problem, density, variance)


def project_pixels(
    parts: Design,
    density: Any,
    variance: Any | None,
    singular_values: int,
    *,
    energies: np.ndarray | None = None,
) -> PixelFits:
    r"""The paper's Equation 2, ``t = μ⁻¹ D``, by singular values: one matrix for all pixels.

    With ``μ = U S Vᵀ`` (columns of unit length) cut off after some singular values, ``t = V S⁻¹ Uᵀ
    D``. What the singular vectors left out hold of the weights is then zero, by choice and not by
    measurement. The covariance is that of the combinations kept, plus the product ``b bᵀ`` of the
    difference to the full solution, which is what this choice may have cost. A pixel that lacks an
    energy is NaN: it would need a matrix of its own.

    Parameters
    ----------
    parts : Design
    density : ndarray or dask Array, shape (n_energy, y, x)
    variance : the same, or None
        Only enters reduced chi-squared.
    singular_values : int
        How many, from the largest.
    energies : ndarray of int, optional
        Which energies of the stack are those of `parts`. Default: all.

    Raises
    ------
    FitError
        There are fewer, or zero; or the last of them is none but rounding.
    """
    problem = Problem.of(parts, energies)
    work = partial(fit_band, problem, _projection(parts, singular_values), mend=False)
    return _in_bands(work, problem, density, variance)


def project_or_fit(
    parts: Design,
    density: Any,
    variance: Any | None,
    singular_values: int | None,
    *,
    energies: np.ndarray | None = None,
) -> PixelFits:
    """One matrix for all pixels; those that lack an energy are fitted one by one."""
    if singular_values is not None:
        return project_pixels(parts, density, variance, singular_values, energies=energies)
    problem = Problem.of(parts, energies)
    work = partial(fit_band, problem, _projection(parts, parts.lengths.size))
    return _in_bands(work, problem, density, variance)


def _in_bands(work: Any, problem: Problem, density: Any, variance: Any | None) -> PixelFits:
    """Fits of a whole stack, band by band: ``work(density, variance, planes, first pixel)``."""
    cubes = (density,) if variance is None else (density, variance)
    if any(is_lazy(cube) for cube in cubes):
        planes = map_blocks(
            partial(_planes_of_band, work, problem.n_planes),
            *cubes,
            leading=(problem.n_planes,),
            dtype=np.float32,
        )
        return PixelFits(planes, problem.lengths.size, problem.n_standards)
    n_y, n_x = density.shape[1:]
    planes = np.empty((problem.n_planes, n_y, n_x))
    flat = planes.reshape(problem.n_planes, -1)

    def band(rows: slice) -> None:
        noise = None if variance is None else variance[:, rows]
        work(density[:, rows], noise, flat, rows.start * n_x)

    rows = min(rows_per_band(density.shape), -(-n_y // (4 * n_workers())))
    for_each_band(band, n_y, rows_per_band=max(rows, 1))
    return PixelFits(planes, problem.lengths.size, problem.n_standards)


def _planes_of_band(
    work: Any, n_planes: int, density: np.ndarray, variance: np.ndarray | None = None
) -> np.ndarray:
    """Planes of a band by themselves, in float32."""
    planes = np.empty((n_planes, *density.shape[1:]), np.float32)
    work(density, variance, planes.reshape(n_planes, -1), 0)
    return planes


def _projection(parts: Design, singular_values: int) -> Projection:
    """The matrices of `project_pixels`."""
    left, values, right = np.linalg.svd(parts.columns, full_matrices=False)
    if not 1 <= singular_values <= values.size:
        raise FitError(
            f"{singular_values} singular values were asked for, the standards have {values.size}",
            remedy=f"set singular_values between 1 and {values.size}",
        )
    if values[singular_values - 1] <= DEPENDENT * values[0]:
        raise FitError(
            "the standards are linearly dependent over the energies used",
            remedy="select fewer, more different standards",
        )
    by_value = left / values
    kept, rest = slice(singular_values), slice(singular_values, None)
    left_out = by_value[:, rest] @ right[rest] if singular_values < values.size else None
    return projection_of(by_value[:, kept] @ right[kept], left_out, singular_values)
