"""From the best parameters to numbers with their errors, and to what should be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.standards.peaks.covariance import Covariance, covariance_of
from chemoscape.standards.peaks.doubts import doubts
from chemoscape.standards.peaks.model import PeakModel
from chemoscape.standards.peaks.problem import Problem
from chemoscape.standards.peaks.result import PeakFit
from chemoscape.standards.peaks.series import One
from chemoscape.standards.peaks.shapes import voigt, voigt_fwhm

#: Step of numerical derivatives, relative.
_SMALL = 1e-6


def found_by(
    problem: Problem,
    best: Any,
    *,
    series: Sequence[One],
    model: PeakModel,
    start: np.ndarray,
    fixed: bool,
) -> PeakFit:
    """The result of a fit, from lmfit's."""
    theta = np.array([one.value for one in best.params.values()])
    known = all(one.sd is not None for one in series)
    covariance = covariance_of(problem, theta, best.params, known)
    numbers, spread = _numbers(problem, theta, model, covariance)
    table = _table(series, model, numbers, spread)
    table = _without_held(table, problem, best.params, covariance.held)
    curves, quality = _curves(problem, theta, series, model)
    if not known:  # the noise is unknown: a misfit cannot be told from it
        quality["reduced_chi2"] = ("standard", np.full(len(series), np.nan))
    table = table.assign(quality)
    table.attrs |= {
        "model": model.name,
        "reference": model.reference,
        "sd_from": "given standard deviations" if known else "the residuals",
        "variance_inflation": covariance.inflation,
        "steps": ("tabulated" if fixed else "fitted") if model.steps else "none",
    }
    said = doubts(table, model, problem, best, start, covariance, known)
    return PeakFit(
        model=model, table=table, curves=curves, warnings=said, seconds=np.nan, minimizer=best
    )


def _derived(problem: Problem, theta: np.ndarray, areas: np.ndarray, ref: int) -> np.ndarray:
    """Centre, area, height, FWHM and relative area of all peaks, (5, n_spectra, n_peaks)."""
    width = problem.widths(theta)
    top = voigt(np.zeros_like(width), width, problem.gamma)[0]
    main = areas[:, [ref]]
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(main > 0, areas / main, np.nan)
    return np.stack(
        [
            problem.centres(theta),
            areas,
            areas * top,
            voigt_fwhm(width, problem.gamma),
            relative,
        ]
    )


_QUANTITIES = ("centre", "area", "height", "width", "relative_intensity")


def _numbers(
    problem: Problem, theta: np.ndarray, model: PeakModel, covariance: Covariance
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """All quantities, and their covariance between the peaks and spectra.

    Errors are propagated with derivatives by differences; those are smooth functions.
    """
    areas = np.array([problem.solve(theta, k).areas for k in range(len(problem.spectra))])
    ref = model.names.index(model.reference)
    numbers = _derived(problem, theta, areas, ref)
    columns = []
    for j in range(theta.size):
        step = _SMALL * max(abs(theta[j]), 0.1)
        moved = theta.copy()
        moved[j] += step
        columns.append((_derived(problem, moved, areas, ref) - numbers) / step)
    amplitude = np.zeros((covariance.matrix.shape[0] - theta.size, *numbers.shape))
    for k, part in enumerate(covariance.amplitudes):
        for p in range(problem.n_peaks):
            step = _SMALL * max(float(areas[k].max()), 1e-30)
            moved_areas = areas.copy()
            moved_areas[k, p] += step
            changed = (_derived(problem, theta, moved_areas, ref) - numbers) / step
            amplitude[part.start - theta.size + p] = changed
    by = np.concatenate([np.array(columns), amplitude]).reshape(covariance.matrix.shape[0], 5, -1)
    spread = {name: by[:, q].T @ covariance.matrix @ by[:, q] for q, name in enumerate(_QUANTITIES)}
    return numbers, spread


def _table(
    series: Sequence[One], model: PeakModel, numbers: np.ndarray, spread: dict[str, np.ndarray]
) -> xr.Dataset:
    """The numbers with their names, units and standard deviations."""
    dims = ("standard", "peak")
    area, height = ("eV cm2/g", "cm2/g") if series[0].mass_scale else ("eV", "1")
    units = dict(zip(_QUANTITIES, ("eV", area, height, "eV", "1"), strict=True))
    shape = numbers.shape[1:]
    data: dict[str, Any] = {}
    for q, name in enumerate(_QUANTITIES):
        sd = np.sqrt(np.diag(spread[name])).reshape(shape)
        unknown = (sd == 0) | ~np.isfinite(numbers[q])
        if name == "relative_intensity":  # that of the reference is 1 by definition
            unknown[:, model.names.index(model.reference)] = False
        data[name] = (dims, numbers[q], {"units": units[name]})
        data[f"{name}_sd"] = (dims, np.where(unknown, np.nan, sd), {"units": units[name]})
    for name in ("centre", "area"):
        data[f"{name}_correlation"] = (
            dims,
            _with_next(spread[name], shape),
            {"long_name": f"correlation of the {name} with that of the next peak"},
        )
    for name in ("centre", "relative_intensity"):
        full = spread[name].reshape(*shape, *shape)
        own = np.array([full[:, p, :, p] for p in range(shape[1])])
        data[f"{name}_covariance"] = (("peak", "standard", "other_standard"), own)
    return xr.Dataset(
        data,
        coords={
            "standard": [one.name for one in series],
            "peak": model.names,
            "value": ("standard", [one.value for one in series]),
            "label": ("standard", [one.label for one in series]),
            "phase": ("standard", [one.phase for one in series]),
            "nuisance": ("peak", model.nuisance),
        },
    )


def _without_held(table: xr.Dataset, problem: Problem, params: Any, held: np.ndarray) -> xr.Dataset:
    """No errors of the centres and widths that a bound holds: they have none of their own."""
    centre, width = table.centre_sd.values.copy(), table.width_sd.values.copy()
    for name, one in zip(params, held, strict=True):
        kind, p, *where = name.split("_")
        if not (one and params[name].vary):
            continue
        if kind in ("centre", "gap"):
            centre[problem.mixing[:, int(where[0])] > 0, int(p)] = np.nan
        elif kind == "own":
            width[int(where[0]), int(p)] = np.nan
        elif not problem.own_widths:
            width[:, int(p)] = np.nan
    return table.assign(
        centre_sd=(table.centre_sd.dims, centre, {"units": "eV"}),
        width_sd=(table.width_sd.dims, width, {"units": "eV"}),
    )


def _with_next(spread: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Correlation of each peak with the next one of its spectrum; NaN for the last."""
    full = spread.reshape(*shape, *shape)
    out = np.full(shape, np.nan)
    for k in range(shape[0]):
        own = full[k, :, k, :]
        size = np.sqrt(np.diag(own))
        with np.errstate(divide="ignore", invalid="ignore"):
            out[k, :-1] = np.diag(own / np.outer(size, size), 1)
    return out


def _curves(
    problem: Problem, theta: np.ndarray, series: Sequence[One], model: PeakModel
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Spectrum, fit, what lies below the peaks and each peak, on the first spectrum's energies;
    and how well every spectrum is fitted, on its own.
    """
    energy = series[0].energy
    drawn: dict[str, list[np.ndarray]] = {"spectrum": [], "fit": [], "below": [], "component": []}
    r_squared, lag, chi2 = [], [], []
    centres, widths = problem.centres(theta), problem.widths(theta)
    n_theta = theta.size / len(series)
    for k, one in enumerate(series):
        found, part = problem.solve(theta, k), problem.spectra[k]
        left = found.residual / part.weight
        below = one.spectrum - part.values + part.columns @ found.baseline
        shape = voigt(energy[:, None] - centres[k], widths[k], problem.gamma)[0]
        component = (found.areas * shape).T
        under = np.interp(energy, one.energy, below)
        drawn["spectrum"].append(np.interp(energy, one.energy, one.spectrum))
        drawn["below"].append(under)
        drawn["component"].append(component)
        drawn["fit"].append(under + component.sum(axis=0))
        r_squared.append(
            1 - float(left @ left) / float(np.sum((one.spectrum - one.spectrum.mean()) ** 2))
        )
        power = float(left @ left)
        lag.append(float(left[1:] @ left[:-1]) / power if power else 0.0)
        free = max(left.size - found.active.sum() - n_theta, 1)
        chi2.append(float(found.residual @ found.residual) / free)
    units = {"units": "cm2/g" if series[0].mass_scale else "1"}
    data: dict[str, Any] = {
        name: (
            ("standard", "peak", "energy") if name == "component" else ("standard", "energy"),
            np.array(rows),
            units,
        )
        for name, rows in drawn.items()
    }
    curves = xr.Dataset(
        data,
        coords={
            "standard": [one.name for one in series],
            "label": ("standard", [one.label for one in series]),
            "peak": model.names,
            "nuisance": ("peak", model.nuisance),
            "energy": ("energy", energy, {"units": "eV", "long_name": "photon energy"}),
        },
    )
    return curves, {
        "r_squared": ("standard", r_squared),
        "reduced_chi2": ("standard", chi2),
        "residual_correlation": ("standard", lag),
    }
