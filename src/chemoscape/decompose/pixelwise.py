"""Every pixel's least squares: compiled in bands, or one pseudo-inverse for all of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from chemoscape.blocks import as_pixels, for_each_band
from chemoscape.decompose import kernels
from chemoscape.decompose.design import Design
from chemoscape.errors import FitError

#: A singular value below this share of the largest is rounding.
DEPENDENT = 1e-12


@dataclass(frozen=True, eq=False)
class PixelFits:
    """Fits of all pixels, one row each, for columns of unit length.

    Parameters
    ----------
    solution : ndarray, shape (n_pixels, n_unknown)
    covariance : ndarray, shape (n_pixels, n_unknown, n_unknown)
    per_shift : ndarray, shape (n_pixels, n_unknown)
        Change of the solution with the energy shift, 1/eV.
    residual, chi2 : ndarray, shape (n_pixels,)
        Root mean square residual, and reduced chi-squared.
    """

    solution: np.ndarray
    covariance: np.ndarray
    per_shift: np.ndarray
    residual: np.ndarray
    chi2: np.ndarray

    @classmethod
    def empty(cls, n_pixels: int, n: int) -> PixelFits:
        """Room for the fits."""
        return cls(
            np.empty((n_pixels, n)),
            np.empty((n_pixels, n, n)),
            np.empty((n_pixels, n)),
            np.empty(n_pixels),
            np.empty(n_pixels),
        )


def fit_pixels(
    parts: Design,
    density: np.ndarray,
    variance: np.ndarray,
    *,
    nonnegative: bool,
    weighted: bool,
    sum_to_one: bool = False,
) -> PixelFits:
    """Least squares of every pixel on its own finite energies and with its own weights.

    Parameters
    ----------
    parts : Design
    density, variance : ndarray, shape (n_energy, y, x)
    nonnegative : bool
        Keep the standards' weights >= 0.
    weighted : bool
        Weigh energies by 1/variance.
    sum_to_one : bool
        Weights of the standards sum to one.
    """
    values, spread = as_pixels(density), as_pixels(variance)
    n = parts.lengths.size
    free = np.full(n, not nonnegative) | ~parts.of_standards
    summed = np.where(parts.of_standards, 1 / parts.lengths, 0.0) * sum_to_one
    out = PixelFits.empty(len(values), n)

    def fit(band: slice) -> None:
        kernels.fit_pixels(
            parts.columns,
            parts.slopes,
            free,
            summed,
            values[band],
            spread[band],
            weighted,
            out.solution[band],
            out.covariance[band],
            out.per_shift[band],
            out.residual[band],
            out.chi2[band],
        )

    for_each_band(fit, len(values))
    return out


def project_pixels(
    parts: Design, density: np.ndarray, variance: np.ndarray, singular_values: int
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
    density, variance : ndarray, shape (n_energy, y, x)
        The variance only enters reduced chi-squared.
    singular_values : int
        How many, from the largest.

    Raises
    ------
    FitError
        There are fewer, or zero; or the last of them is none but rounding.
    """
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
    kept = slice(singular_values)
    inverse = (right[kept].T / values[kept]) @ left[:, kept].T
    left_out = (right[singular_values:].T / values[singular_values:]) @ left[:, singular_values:].T
    gram = inverse @ inverse.T
    n_energy = len(density)
    freedom = n_energy - singular_values
    pixels, spread = as_pixels(density), as_pixels(variance)
    out = PixelFits.empty(len(pixels), parts.lengths.size)

    def fit(band: slice) -> None:
        data = pixels[band].astype(np.float64)
        solution = data @ inverse.T
        left_over = data - solution @ parts.columns.T
        squares = (left_over**2).sum(axis=1)
        noise = squares / freedom if freedom else np.full(len(data), np.nan)
        out.solution[band] = solution
        bias = data @ left_out.T
        out.covariance[band] = noise[:, None, None] * gram + bias[:, :, None] * bias[:, None, :]
        moved = left_over @ parts.slopes @ gram - solution @ parts.slopes.T @ inverse.T
        out.per_shift[band] = moved
        out.residual[band] = np.sqrt(squares / n_energy)
        chi2 = (left_over**2 / spread[band]).sum(axis=1)
        out.chi2[band] = chi2 / freedom if freedom else np.nan

    for_each_band(fit, len(pixels))
    return out


def project_or_fit(
    parts: Design, density: np.ndarray, variance: np.ndarray, singular_values: int | None
) -> PixelFits:
    """One matrix for all pixels; those that lack an energy are fitted one by one."""
    n = parts.lengths.size
    fit = project_pixels(
        parts, density, variance, n if singular_values is None else singular_values
    )
    incomplete = ~np.isfinite(fit.residual) & np.isfinite(density).any(axis=0).ravel()
    if singular_values is None and incomplete.any():
        some = (
            values.reshape(len(values), -1)[:, incomplete][:, :, None]
            for values in (density, variance)
        )
        mended = fit_pixels(parts, *some, nonnegative=False, weighted=False)
        for field in fields(PixelFits):
            getattr(fit, field.name)[incomplete] = getattr(mended, field.name)
    return fit
