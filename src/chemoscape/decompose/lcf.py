"""Linear combination fits of single spectra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from chemoscape.decompose.energy import fit_energy_shift
from chemoscape.errors import FitError, require_choice
from chemoscape.standards.library import Library, require_library
from chemoscape.standards.mixing import mean_composition


@dataclass(frozen=True)
class LinearCombinationFit:
    """Result of `linear_combination_fit`; prints itself.

    Arrays have one entry per standard, or per energy used. ``covariance`` is that of the weights on
    the active set: a weight at its bound of zero has none.
    """

    standards: tuple[str, ...]
    weights: np.ndarray
    covariance: np.ndarray
    baseline: float
    energy_shift_eV: float
    energy_shift_sd_eV: float
    composition: float
    composition_sd: float
    variable: str
    chi2: float
    reduced_chi2: float
    r_factor: float
    aic: float
    bic: float
    n_points: int
    n_effective: float
    n_varied: int
    energy: np.ndarray
    data: np.ndarray
    model: np.ndarray

    @property
    def weight_sd(self) -> np.ndarray:
        """Standard deviation of each weight."""
        return np.sqrt(np.diag(self.covariance))

    def __str__(self) -> str:
        width = max(len(name) for name in self.standards)
        lines = [
            f"linear combination fit, {self.n_points} points ({self.n_effective:.0f} effective), "
            f"{self.n_varied} varied",
            f"  R = {self.r_factor:.3e}   chi2 = {self.chi2:.6g}   reduced chi2 = "
            f"{self.reduced_chi2:.4g}   AIC = {self.aic:.1f}   BIC = {self.bic:.1f}",
        ]
        lines += [
            f"  {name:<{width}}  {weight:.5f} ± {sd:.5f}"
            for name, weight, sd in zip(self.standards, self.weights, self.weight_sd, strict=True)
        ]
        lines.append(f"  {'constant':<{width}}  {self.baseline:.5f}")
        lines.append(
            f"  energy shift {self.energy_shift_eV:+.3f} ± {self.energy_shift_sd_eV:.3f} eV, "
            f"{self.variable} = {self.composition:.4f} ± {self.composition_sd:.4f}"
        )
        return "\n".join(lines)


def linear_combination_fit(
    spectrum: xr.DataArray | tuple[ArrayLike, ArrayLike],
    library: Library,
    *,
    sd: ArrayLike | float | None = None,
    nonnegative: bool = True,
    sum_to_one: bool = False,
    baseline: Literal["constant"] | None = "constant",
    energy_shift: float | Literal["fit"] = "fit",
    fit_range: tuple[float, float] | None = None,
    resolution_eV: float | None = None,
) -> LinearCombinationFit:
    """Fit a spectrum by a sum of standards, as Athena and Larch do.

    Minimises ``Σ ((y - Σ t_k μ_k(E - δ) - b) / sd)²``. Standards are interpolated linearly on the
    spectrum's energies.

    Parameters
    ----------
    spectrum : DataArray over energy, or (energy, values)
        The spectrum, eV.
    library : Library
        Standards; all of them are used (select first).
    sd : float or array_like, optional
        Standard deviation of the data. Without it chi2 is the plain sum of squares.
    nonnegative : bool
        Keep weights >= 0.
    sum_to_one : bool
        Weights sum to one (normalised spectra).
    baseline : "constant" or None
        A free constant.
    energy_shift : float or "fit"
        E(spectrum) - E(library) in eV.
    fit_range : pair of float, optional
        Lowest and highest energy, eV.
    resolution_eV : float, optional
        Energy resolution with the core-hole width: points closer than this are not independent, and
        the information criteria count range/resolution of them. Default: every point.

    Returns
    -------
    LinearCombinationFit

    Raises
    ------
    FitError
        Too few energies.
    """
    require_choice("baseline", baseline, "constant", None)
    require_library(library)
    energy, values = _axis_and_values(spectrum)
    low, high = fit_range or (-np.inf, np.inf)
    inside = (energy >= low) & (energy <= high) & np.isfinite(values)
    error = np.broadcast_to(np.asarray(1.0 if sd is None else sd, dtype=float), values.shape)

    shift, shift_sd = 0.0, 0.0
    if energy_shift == "fit":
        found = fit_energy_shift(
            values[inside],
            error[inside] ** 2,
            energy[inside],
            library,
            baseline=baseline,
            nonnegative=nonnegative,
        )
        shift, shift_sd = found.value, found.sd
    else:
        shift = float(energy_shift)

    inside &= library.covers(energy, shift)
    n_varied = len(library.names) - sum_to_one + (baseline is not None) + (energy_shift == "fit")
    if inside.sum() <= n_varied:
        raise FitError(
            f"{int(inside.sum())} points of the spectrum lie where the standards are known, "
            f"too few for {n_varied} unknowns",
            remedy="widen the fit range or choose fewer standards",
        )
    axis, y, error = energy[inside], values[inside], error[inside]
    model = library.spectra(axis, shift=shift).values.T
    solution, active = _solve(
        model / error[:, None], y / error, 1 / error, nonnegative, sum_to_one, baseline is not None
    )
    n = len(library.names)
    columns = np.column_stack([model, np.ones(axis.size)])
    fitted = columns @ solution
    squares = float((((y - fitted) / error) ** 2).sum())
    freedom = y.size - n_varied
    covariance = _covariance(columns / error[:, None], active, sum_to_one, n)
    covariance = covariance[:n, :n] * (squares / freedom)

    mixture = mean_composition(solution[:n], library.values, library.molar_mass)
    n_effective = _effective_points(axis, resolution_eV)
    deviance = n_effective * np.log(max(squares, np.finfo(float).tiny) / y.size)
    return LinearCombinationFit(
        standards=tuple(library.names),
        weights=solution[:n],
        covariance=covariance,
        baseline=float(solution[n]),
        energy_shift_eV=shift,
        energy_shift_sd_eV=shift_sd,
        composition=float(mixture.value),
        composition_sd=float(np.sqrt(mixture.variance(covariance))),
        variable=library.variable,
        chi2=squares,
        reduced_chi2=squares / freedom,
        r_factor=float(((y - fitted) ** 2).sum() / (y**2).sum()),
        aic=float(deviance + 2 * n_varied),
        bic=float(deviance + n_varied * np.log(n_effective)),
        n_points=int(y.size),
        n_effective=n_effective,
        n_varied=n_varied,
        energy=axis,
        data=y,
        model=fitted,
    )


def _axis_and_values(
    spectrum: xr.DataArray | tuple[ArrayLike, ArrayLike],
) -> tuple[np.ndarray, np.ndarray]:
    """Energy axis and values as float64 arrays."""
    if isinstance(spectrum, xr.DataArray):
        return spectrum.energy.values.astype(float), spectrum.values.astype(float)
    energy, values = spectrum
    return np.asarray(energy, dtype=float), np.asarray(values, dtype=float)


def _effective_points(energy: np.ndarray, resolution_eV: float | None) -> float:
    """Independent points of a spectrum: its range over the resolution, at most all of them."""
    if resolution_eV is None or energy.size < 2:
        return float(energy.size)
    step = float(np.median(np.diff(energy)))
    return float(min(energy.size, (energy[-1] - energy[0]) / max(step, resolution_eV)))


def _solve(
    model: np.ndarray,
    data: np.ndarray,
    constant: np.ndarray,
    nonnegative: bool,
    sum_to_one: bool,
    baseline: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and baseline (K + 1,), and which of them are off their bound; inputs already divided
    by sd.

    Sum to one: ``‖Σ t_k (μ_k - y) + b‖`` is homogeneous in (t, b), so that its minimiser over
    ``Σ t = 1`` is, up to a factor, that of the same norm plus ``(Σ t - 1)²``: no elimination
    needed, and non-negativity comes for free.
    """
    n = model.shape[1]
    lengths = np.linalg.norm(model, axis=0)
    columns = model / lengths
    target = data
    if sum_to_one:
        pull = np.linalg.norm(data)
        columns = np.vstack([(model - data[:, None]) / lengths, pull / lengths])
        target = np.append(np.zeros_like(data), pull)
        constant = np.append(constant, 0.0)
    if baseline:
        columns = np.column_stack([columns, constant])
    if nonnegative:
        bounded = np.column_stack([columns, -constant]) if baseline else columns
        solution = nnls(bounded, target)[0]
        if baseline:
            solution = np.append(solution[:n], solution[n] - solution[n + 1])
    else:
        solution = np.linalg.lstsq(columns, target, rcond=None)[0]
    weights = solution[:n] / lengths
    free = solution[n] if baseline else 0.0
    if sum_to_one:
        free, weights = free / weights.sum(), weights / weights.sum()
    active = np.append(weights > 0 if nonnegative else np.ones(n, dtype=bool), baseline)
    return np.append(weights, free), active


def _covariance(columns: np.ndarray, active: np.ndarray, sum_to_one: bool, n: int) -> np.ndarray:
    """``(AᵀA)⁻¹`` on the active set, within the plane ``Σ t = 1`` when that is imposed."""
    index = np.flatnonzero(active)
    directions = np.eye(len(index))
    if sum_to_one:
        is_weight = (index < n).astype(float)
        directions = np.linalg.svd(is_weight[None, :])[2][1:].T
    reduced = columns[:, index] @ directions
    full = np.zeros((columns.shape[1],) * 2)
    if directions.shape[1]:
        inverse = directions @ np.linalg.inv(reduced.T @ reduced) @ directions.T
        full[np.ix_(index, index)] = inverse
    return full
