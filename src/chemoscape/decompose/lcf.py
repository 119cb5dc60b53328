"""Linear combination fits of single spectra, and clusters matched to standards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from chemoscape.decompose.energy import energies_in_range, fit_energy_shift, require_cover
from chemoscape.errors import FitError, require_choice
from chemoscape.standards.library import Library, Standard, require_library
from chemoscape.standards.mixing import mean_composition

#: A runner-up within this distance in BIC explains the spectrum as well as the best fit.
CLOSE_IN_BIC = 6.0
#: A difference in composition that makes a runner-up worth a question.
NOTABLE = 0.01


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


def match(
    groups: xr.Dataset,
    library: Library,
    *,
    baseline: Literal["constant"] | None = "constant",
    energy_shift: float | Literal["fit"] = "fit",
    fit_range: tuple[float, float] | None = None,
    max_standards: int = 4,
    resolution_eV: float | None = None,
) -> xr.Dataset:
    """Compare every cluster's spectrum with all combinations of standards.

    One energy shift is fitted for all clusters together. Then every combination of 1 to
    `max_standards` standards is fitted to each cluster (non-negative) and ranked by
    ``BIC = n_eff ln(RSS/n) + k ln n_eff``; combinations that leave a member at zero are dropped,
    for they repeat a smaller one.

    Parameters
    ----------
    groups : Dataset of `cluster`
    library : Library
    baseline : "constant" or None
    energy_shift : float or "fit"
        E(file axis) - E(library), eV.
    fit_range : pair of float, optional
        Lowest and highest energy used, eV.
    max_standards : int
        Largest number of standards in one combination.
    resolution_eV : float, optional
        See `linear_combination_fit`.

    Returns
    -------
    Dataset
        ``composition``, ``composition_sd``, ``thickness`` (sum of weights), ``r_factor``,
        ``ambiguous`` (a runner-up within 6 in BIC has another composition, by 0.01 or more) per
        cluster; ``weight(cluster, standard)``,
        ``fitted(cluster, energy)``; ``candidate``, ``candidate_composition`` and ``delta_bic`` per
        (cluster, rank). Attributes: ``energy_shift_eV``, ``energy_shift_sd_eV``, ``library``,
        ``variable``.
    """
    require_library(library)
    chosen = energies_in_range(groups.energy.values, fit_range)
    energy, spectra = groups.energy.values[chosen], groups.spectrum.values[:, chosen]
    require_cover(library, energy)
    shift, shift_sd = 0.0, 0.0
    if energy_shift == "fit":
        found = fit_energy_shift(
            spectra,
            None,
            energy,
            library,
            baseline=baseline,
        )
        shift, shift_sd = found.value, found.sd
    else:
        shift = float(energy_shift)

    ranked = [
        _ranked_fits(energy, spectrum, library, shift, baseline, max_standards, resolution_eV)
        for spectrum in spectra
    ]
    best = [fits[0] for fits in ranked]
    n_ranks = max(len(fits) for fits in ranked)

    def ranks(fill: object, value: Callable[[LinearCombinationFit], object]) -> np.ndarray:
        """One row per cluster, padded to the longest."""
        return np.array([[*map(value, fits), *[fill] * (n_ranks - len(fits))] for fits in ranked])

    weights = np.zeros((len(best), len(library.names)))
    fitted = np.full(groups.spectrum.shape, np.nan)
    for row, fit in enumerate(best):
        weights[row, [library.names.index(name) for name in fit.standards]] = fit.weights
        fitted[row, np.searchsorted(groups.energy.values, fit.energy)] = fit.model
    delta = ranks(np.nan, lambda f: f.bic) - np.array([[fit.bic] for fit in best])
    compositions = ranks(np.nan, lambda f: f.composition)
    apart = np.abs(compositions - compositions[:, :1])
    return xr.Dataset(
        {
            "composition": (
                "cluster",
                [f.composition for f in best],
                {"long_name": library.variable},
            ),
            "composition_sd": ("cluster", [_composition_sd(fits) for fits in ranked]),
            "thickness": ("cluster", weights.sum(axis=1)),
            "r_factor": ("cluster", [f.r_factor for f in best]),
            "baseline": ("cluster", [f.baseline for f in best]),
            "ambiguous": ("cluster", ((delta < CLOSE_IN_BIC) & (apart > NOTABLE)).any(axis=1)),
            "weight": (("cluster", "standard"), weights),
            "fitted": (("cluster", "energy"), fitted),
            "candidate": (("cluster", "rank"), ranks("", lambda f: " + ".join(f.standards))),
            "candidate_composition": (("cluster", "rank"), compositions),
            "delta_bic": (("cluster", "rank"), delta),
        },
        coords={
            "cluster": groups.cluster,
            "standard": library.names,
            "value": ("standard", library.values),
            "molar_mass": ("standard", library.molar_mass),
            "density": ("standard", library.density),
            "energy": groups.energy,
            "rank": np.arange(n_ranks),
        },
        attrs={
            "energy_shift_eV": shift,
            "energy_shift_sd_eV": shift_sd,
            "library": library.id,
            "variable": library.variable,
            "units_of_weight": "g/cm2" if library.mass_scale else "1",
            "mass_scale": int(library.mass_scale),
            "kind": library.kind,
        },
    )


def library_from_clusters(groups: xr.Dataset, table: xr.Dataset) -> Library:
    """Internal standards: each cluster's spectrum, with the composition that its match gave it.

    A spectrum is put on the scale of the library that it was matched with: its fitted baseline is
    taken off and it is divided by the sum of its weights (the paper's conversion to mass
    absorption). Energies stay the stack's own, so these standards need no shift.
    """
    weights = table.weight.values
    fractions = weights / weights.sum(axis=1, keepdims=True)
    mass_scale = bool(table.attrs["mass_scale"])
    standards = []
    for row, cluster in enumerate(groups.cluster.values):
        scale = float(table.thickness[row])
        standards.append(
            Standard(
                id=f"cluster-{int(cluster)}",
                label=f"cluster {int(cluster)}",
                value=float(table.composition[row]),
                value_sd=float(table.composition_sd[row]),
                molar_mass=_average(table.molar_mass.values, fractions[row]),
                density=_average(table.density.values, fractions[row]),
                energy=groups.energy.values,
                spectrum=(groups.spectrum.values[row] - float(table.baseline[row])) / scale,
                spectrum_sd=groups.spectrum_se.values[row] / scale,
                scale="mass_absorption" if mass_scale else "optical_density",
                kind="mixture",
                source=f"cluster of the stack, matched to {table.candidate.values[row, 0]}",
            )
        )
    return Library(
        id=f"clusters-{table.attrs['library']}",
        name=f"clusters of the stack, matched to {table.attrs['library']}",
        variable=table.attrs["variable"],
        standards=tuple(standards),
    )


def _average(per_standard: np.ndarray, mass_fractions: np.ndarray) -> float:
    """Harmonic mean over mass fractions: molar mass and density of a mixture, ``1 / Σ (w_i /
    q_i)``.
    """
    present = mass_fractions > 0
    return float(1 / (mass_fractions[present] / per_standard[present]).sum())


def _ranked_fits(
    energy: np.ndarray,
    spectrum: np.ndarray,
    library: Library,
    shift: float,
    baseline: Literal["constant"] | None,
    max_standards: int,
    resolution_eV: float | None,
) -> list[LinearCombinationFit]:
    """All combinations of standards in which every member takes part, best BIC first."""
    fits = []
    for size in range(1, min(max_standards, len(library.names)) + 1):
        for names in combinations(library.names, size):
            fit = linear_combination_fit(
                (energy, spectrum),
                library.select(*names),
                baseline=baseline,
                energy_shift=shift,
                resolution_eV=resolution_eV,
            )
            if (fit.weights > 0).all():
                fits.append(fit)
    if not fits:
        raise FitError(
            "no combination of the standards fits a cluster with positive weights",
            remedy="check the sign and the edge of the standards",
        )
    return sorted(fits, key=lambda fit: fit.bic)


def _composition_sd(fits: list[LinearCombinationFit]) -> float:
    """Uncertainty of the best fit's composition, the choice of standards included.

    Every fit counts by its weight ``exp(-ΔBIC/2)`` (Burnham and Anderson 2002), with its own sd and
    its distance from the best.
    """
    weight = np.exp([(fits[0].bic - fit.bic) / 2 for fit in fits])
    spread = [fit.composition_sd**2 + (fit.composition - fits[0].composition) ** 2 for fit in fits]
    return float(np.sqrt(np.average(spread, weights=weight)))


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
