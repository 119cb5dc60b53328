"""The direct route: weights of every pixel by least squares against standards (Equations 1, 2)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.blocks import as_pixels, for_each_band
from chemoscape.decompose import kernels
from chemoscape.decompose.energy import (
    EnergyShift,
    energies_in_range,
    fit_energy_shift,
    require_cover,
)
from chemoscape.errors import ChemoscapeWarning, FitError, LibraryError, require_choice
from chemoscape.preprocess.absorbance import sample_mask
from chemoscape.standards.library import Library, Standard

#: Above this the standards are so alike that single weights mean little (their ratios may still be
#: good).
CONDITION_WARNING = 300.0
#: A baseline beyond this is no longer a detail of the measurement.
BASELINE_WARNING = 0.05
#: Reduced chi-squared of the fit above which residuals hold structure, not noise.
MISFIT_WARNING = 1.5
#: A calibration difference that moves a composition by about 0.02.
SHIFT_WARNING_EV = 0.05
#: Half width of the difference that gives the standards' slope: about a calibration's error.
SLOPE_STEP_EV = 0.05


def deconvolve(
    od: xr.Dataset | xr.DataArray,
    spectra: Library | xr.DataArray,
    *,
    nonnegative: bool = True,
    baseline: Literal["constant"] | None = "constant",
    energy_shift: float | Literal["fit"] = "fit",
    weights: Literal["variance", "uniform"] = "variance",
    fit_range: tuple[float, float] | None = None,
    mask: xr.DataArray | None = None,
) -> xr.Dataset:
    """Weights of the standards in every pixel, with their covariance.

    Equation 1 of the paper, ``D = μ·t``, is solved for t (Equation 2) by least squares, optionally
    non-negative and weighted by the variance of the optical density, with one constant per pixel
    for what is common to all energies.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
        Without a variance the fit is unweighted.
    spectra : Library or DataArray (standard, energy)
        Standards. A library on a mass-absorption scale (cm²/g) gives weights in g/cm², any other
        relative weights.
    nonnegative : bool
        Keep weights >= 0; False is the paper's pseudo-inverse.
    baseline : "constant" or None
        Whether every pixel has a free constant.
    energy_shift : float or "fit"
        E(file axis) - E(library) in eV, or one shift fitted for the stack (mean spectrum of the
        sample). A shift that is given is still compared with the fitted one, and a disagreement is
        warned of.
    weights : {"variance", "uniform"}
        Weigh energies by 1/variance; or all alike, with each pixel's own residual for the
        covariance.
    fit_range : pair of float, optional
        Lowest and highest energy (file axis, eV) used.
    mask : DataArray (y, x) of bool, optional
        Where the sample is, for the shift and the warnings; every pixel is fitted. Default
        `sample_mask`.

    Returns
    -------
    Dataset
        ``weight(standard, y, x)``, ``weight_covariance(pair, y, x)`` (upper triangle row by row, on
        the active set), ``weight_per_eV(standard, y, x)`` (change with the energy shift),
        ``baseline``, ``residual`` (rms, optical density), ``reduced_chi2`` (y, x) and ``sample``
        (y, x). Attributes: ``energy_shift_eV``, ``energy_shift_sd_eV`` (for a given shift: its
        distance from the fitted one, if that is larger), ``energy_shift_fitted_eV``,
        ``condition_number``, ``weights``, ``n_energies``.

    Raises
    ------
    LibraryError
        The standards do not cover the energies.
    FitError
        More unknowns than energies, or standards that are linearly dependent.
    """
    require_choice("baseline", baseline, "constant", None)
    require_choice("weights", weights, "variance", "uniform")
    density, variance, weighted = _density_and_variance(od, weights)
    library = as_library(spectra)
    chosen = energies_in_range(density.energy.values, fit_range)
    energy = density.energy.values[chosen]
    require_cover(library, energy)
    cube, spread = density.values[chosen], variance[chosen]
    sample = sample_mask(od) if mask is None else stacks.as_mask(mask, density)

    try:
        fitted = _fitted_shift(
            cube, spread, weighted, sample, energy, library, baseline, nonnegative
        )
    except FitError as error:
        if energy_shift == "fit":
            raise
        fitted = None
        text = f"the energy shift held could not be checked: {str(error).split(';')[0]}"
        warnings.warn(text, ChemoscapeWarning, stacklevel=2)
    shift, shift_sd = _shift_in_use(energy_shift, fitted)

    usable = library.covers(energy, shift)
    columns, slopes, lengths = _columns(library, energy[usable], shift, baseline)
    n_standard, n_unknown = len(library.names), columns.shape[1]
    if usable.sum() < n_unknown:
        raise FitError(
            f"{int(usable.sum())} energies cannot determine {n_unknown} unknowns",
            remedy="choose fewer standards or drop the baseline",
        )
    free = np.full(n_unknown, not nonnegative)
    free[n_standard:] = True
    fit = _fit_all_pixels(columns, slopes, free, cube[usable], spread[usable], weighted)
    if sample.values.any() and not np.isfinite(fit.solution[sample.values.ravel()]).any():
        raise FitError(
            "the standards are linearly dependent over the energies used",
            remedy="select fewer, more different standards",
        )
    maps = _as_dataset(density, library, baseline, fit, lengths)
    if isinstance(od, xr.DataArray) or "variance" not in od:
        maps["reduced_chi2"] = xr.full_like(maps.reduced_chi2, np.nan)
    maps["sample"] = sample
    maps.attrs = {
        "energy_shift_eV": shift,
        "energy_shift_sd_eV": shift_sd,
        "energy_shift_fitted_eV": fitted.value if fitted else np.nan,
        "energy_shift_fitted_sd_eV": fitted.sd if fitted else np.nan,
        "energy_shift_held": int(energy_shift != "fit"),
        "condition_number": condition_number(library, energy[usable], shift),
        "nonnegative": int(nonnegative),
        "weights": "variance" if weighted else "uniform",
        "n_energies": int(usable.sum()),
        "library": library.id,
        "kind": library.kind,
    }
    _warn_of_doubts(maps, fitted)
    return maps


def as_library(spectra: Library | xr.DataArray) -> Library:
    """A Library as it is; spectra of shape (standard, energy) as a library of relative spectra."""
    if isinstance(spectra, Library):
        return spectra
    if not isinstance(spectra, xr.DataArray) or spectra.dims != ("standard", "energy"):
        raise LibraryError(
            "standards are a Library or a DataArray with dims (standard, energy), "
            f"got {getattr(spectra, 'dims', type(spectra).__name__)}",
            remedy="open a library with cs.open_library",
        )
    return Library(
        id=str(spectra.name or "spectra"),
        name="spectra given as an array",
        variable="index of the spectrum",
        standards=tuple(
            Standard(str(name), str(name), float(row), spectra.energy.values, values)
            for row, (name, values) in enumerate(
                zip(spectra.standard.values, spectra.values, strict=True)
            )
        ),
    )


def condition_number(library: Library, energy: np.ndarray, shift: float = 0.0) -> float:
    """Ratio of the largest to the smallest singular value of the standards on these energies."""
    return float(np.linalg.cond(library.spectra(energy, shift=shift).values))


def weight_covariance(maps: xr.Dataset) -> np.ndarray:
    """Full symmetric covariance ``(standard, standard, y, x)`` from the stored upper triangle."""
    n = maps.sizes["standard"]
    full = np.empty((n, n, *maps.weight.shape[1:]))
    packed = maps.weight_covariance.values
    for row, (i, j) in enumerate(zip(*np.triu_indices(n), strict=True)):
        full[i, j] = full[j, i] = packed[row]
    return full


def _density_and_variance(
    od: xr.Dataset | xr.DataArray, weights: str
) -> tuple[xr.DataArray, np.ndarray, bool]:
    """Optical density, its variance (ones when unknown) and whether to weigh by it."""
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    stacks.check(density, "optical_density")
    if isinstance(od, xr.DataArray) or "variance" not in od:
        return density, np.ones_like(density.values), False
    return density, od["variance"].values, weights == "variance"


def mean_spectrum(
    cube: np.ndarray, spread: np.ndarray | None, sample: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean over the sample's pixels, NaN left out, and the variance of that mean."""
    inside = cube[:, sample].astype(np.float64)
    known = np.isfinite(inside)
    n = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known.any(axis=1), np.where(known, inside, 0).sum(axis=1) / n, np.nan)
    if spread is None:
        return mean, None
    return mean, np.where(known, spread[:, sample], 0).sum(axis=1) / n**2


def _fitted_shift(
    cube: np.ndarray,
    spread: np.ndarray,
    weighted: bool,
    sample: xr.DataArray,
    energy: np.ndarray,
    library: Library,
    baseline: str | None,
    nonnegative: bool,
) -> EnergyShift | None:
    """Shift that the sample's mean spectrum asks for; None when there is no sample to ask."""
    if not sample.values.any():
        return None
    mean, variance = mean_spectrum(cube, spread if weighted else None, sample.values)
    return fit_energy_shift(
        mean,
        variance,
        energy,
        library,
        baseline=baseline,
        nonnegative=nonnegative,
    )


def _shift_in_use(wanted: float | str, fitted: EnergyShift | None) -> tuple[float, float]:
    """The shift and its standard deviation; a shift held against the data is as uncertain as its
    distance.
    """
    if wanted == "fit":
        if fitted is None:
            raise FitError(
                "there is no sample in the image to fit an energy shift on",
                remedy="hold it with energy_shift = 0.0 or give a mask",
            )
        return fitted.value, fitted.sd
    held = float(wanted)
    return held, max(abs(held - fitted.value), fitted.sd) if fitted else float("nan")


def _columns(
    library: Library, energy: np.ndarray, shift: float, baseline: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of unit length (N, K), their derivative with the shift, and the lengths taken out
    (K,).
    """
    model = library.spectra(energy, shift=shift).values.T
    # From the standards themselves: a stack may have few energies, far apart.
    low, high = library.energy_range
    before, after = (
        np.clip(energy - shift + step, low, high) for step in (-SLOPE_STEP_EV, SLOPE_STEP_EV)
    )
    rise = library.spectra(after).values - library.spectra(before).values
    slopes = -(rise / (after - before)).T
    if baseline is not None:
        model = np.column_stack([model, np.ones(energy.size)])
        slopes = np.column_stack([slopes, np.zeros(energy.size)])
    lengths = np.linalg.norm(model, axis=0)
    if not (lengths > 0).all():
        raise LibraryError("a standard is zero at every energy used", remedy="leave it out")
    return np.ascontiguousarray(model / lengths), np.ascontiguousarray(slopes / lengths), lengths


@dataclass(frozen=True)
class _PixelFits:
    """What the kernel fills in, one row per pixel, for columns of unit length."""

    solution: np.ndarray
    covariance: np.ndarray
    per_shift: np.ndarray
    residual: np.ndarray
    chi2: np.ndarray


def _fit_all_pixels(
    columns: np.ndarray,
    slopes: np.ndarray,
    free: np.ndarray,
    cube: np.ndarray,
    spread: np.ndarray,
    weighted: bool,
) -> _PixelFits:
    """Run the kernel over bands of pixels."""
    density, variance = as_pixels(cube), as_pixels(spread)
    n_pixels, n = len(density), columns.shape[1]
    out = _PixelFits(
        np.empty((n_pixels, n)),
        np.empty((n_pixels, n, n)),
        np.empty((n_pixels, n)),
        np.empty(n_pixels),
        np.empty(n_pixels),
    )

    def fit(band: slice) -> None:
        kernels.fit_pixels(
            columns,
            slopes,
            free,
            density[band],
            variance[band],
            weighted,
            out.solution[band],
            out.covariance[band],
            out.per_shift[band],
            out.residual[band],
            out.chi2[band],
        )

    for_each_band(fit, n_pixels)
    return out


def _as_dataset(
    density: xr.DataArray,
    library: Library,
    baseline: str | None,
    fit: _PixelFits,
    lengths: np.ndarray,
) -> xr.Dataset:
    """Maps with names, units and the columns' lengths put back."""
    n = len(library.names)
    rows, columns = np.triu_indices(n)
    shape = density.shape[1:]
    units = "g/cm2" if library.mass_scale else "1"

    def image(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values.T).reshape(-1, *shape)

    weights = image(fit.solution / lengths)
    covariance = image((fit.covariance / np.outer(lengths, lengths))[:, rows, columns])
    maps = xr.Dataset(
        {
            "weight": (("standard", "y", "x"), weights[:n], {"units": units}),
            "weight_covariance": (("pair", "y", "x"), covariance, {"units": f"({units})^2"}),
            "weight_per_eV": (
                ("standard", "y", "x"),
                image(fit.per_shift / lengths)[:n],
                {"units": f"{units}/eV", "long_name": "change of the weight with the energy shift"},
            ),
            "residual": (
                ("y", "x"),
                fit.residual.reshape(shape),
                {"units": "1", "long_name": "rms residual"},
            ),
            "reduced_chi2": (
                ("y", "x"),
                fit.chi2.reshape(shape),
                {"units": "1", "long_name": "reduced chi-squared"},
            ),
        },
        coords={
            "standard": library.names,
            "pair": [
                f"{library.names[i]}|{library.names[j]}" for i, j in zip(rows, columns, strict=True)
            ],
            "pair_first": ("pair", rows),
            "pair_second": ("pair", columns),
            "y": density.y,
            "x": density.x,
        },
    )
    constant = weights[n] if baseline is not None else np.zeros(shape)
    maps["baseline"] = (("y", "x"), constant, {"units": "1", "long_name": "constant baseline"})
    return maps


def _warn_of_doubts(maps: xr.Dataset, fitted: EnergyShift | None) -> None:
    """Say why the maps might not be believed: calibration, standards, baseline, misfit."""
    sample = maps["sample"].values
    if fitted is not None:
        _warn_of_calibration(maps, fitted)
    condition = maps.attrs["condition_number"]
    # Clusters of a mixture are sums of other clusters: alike by nature, and no cause for alarm.
    if condition > CONDITION_WARNING and maps.attrs["kind"] != "mixture":
        _warn(
            f"the standards are nearly alike (condition number {condition:.0f}): trust the "
            "composition, not the single weights, or select fewer standards"
        )
    if not sample.any():
        return
    offset = float(np.nanmedian(maps["baseline"].values[sample]))
    if abs(offset) > BASELINE_WARNING:
        _warn(
            f"the fitted baseline is {offset:+.2f} in optical density (median of the sample): "
            "check I0, its units and the background"
        )
    if maps.attrs["weights"] != "variance":
        return
    misfit = float(np.nanmedian(maps["reduced_chi2"].values[sample]))
    if misfit > MISFIT_WARNING:
        _warn(
            "the standards do not describe the sample within its noise (median reduced chi-squared "
            f"{misfit:.1f}): look at the residuals for a phase that is missing"
        )


def _warn_of_calibration(maps: xr.Dataset, fitted: EnergyShift) -> None:
    """Compare the energy axis with the library: the failure case of the paper's Figure S10."""
    shift = maps.attrs["energy_shift_eV"]
    if maps.attrs["energy_shift_held"]:
        apart = fitted.value - shift
        if abs(apart) > max(SHIFT_WARNING_EV, 3 * fitted.sd):
            _warn(
                f"energy calibration: the fit holds the stack at {shift:+.3f} eV from the library, "
                f"its own spectra say {fitted.value:+.3f} ± {fitted.sd:.1g} eV: a direct "
                'deconvolution with this fixed calibration is not valid, use energy_shift = "fit"'
            )
    elif fitted.at_limit:
        _warn(
            f"the energy shift ran to the end of its search ({fitted.value:+.2f} eV): these "
            "standards may belong to another edge or another calibration"
        )
    elif abs(shift) > max(SHIFT_WARNING_EV, 3 * fitted.sd):
        _warn(
            f"the stack's energy axis lies {shift:+.3f} ± {fitted.sd:.1g} eV from the library's; "
            "the standards were moved by that much"
        )


def _warn(message: str) -> None:
    warnings.warn(message, ChemoscapeWarning, stacklevel=4)
