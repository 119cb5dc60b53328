"""The direct route: weights of every pixel by least squares against standards (Equations 1, 2)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape import stack as stacks
from chemoscape.blocks import is_lazy, loaded
from chemoscape.decompose.design import (
    BASELINES,
    Baseline,
    design,
    energies_in_use,
)
from chemoscape.decompose.doubts import warn_of_doubts
from chemoscape.decompose.energy import (
    EnergyShift,
    axis_attributes,
    axis_in_use,
    fit_energy_shift,
    require_cover,
)
from chemoscape.decompose.maps import as_maps, unpacked
from chemoscape.decompose.pixelwise import fit_pixels, project_or_fit
from chemoscape.decompose.sample import (
    has_statistics,
    sample_statistics,
    statistics_of,
    sums_of_bands,
)
from chemoscape.errors import ChemoscapeWarning, FitError, LibraryError, require_choice
from chemoscape.standards.library import Library, Standard


def deconvolve(
    od: xr.Dataset | xr.DataArray,
    spectra: Library | xr.DataArray,
    *,
    nonnegative: bool = True,
    baseline: Baseline | None = "constant",
    energy_shift: float | Literal["fit"] | EnergyShift = "fit",
    stretch: bool = False,
    weights: Literal["variance", "uniform"] = "variance",
    sum_to_one: bool = False,
    singular_values: int | None = None,
    fit_range: tuple[float, float] | None = None,
    exclude: Sequence[tuple[float, float]] = (),
    mask: xr.DataArray | None = None,
    beside: xr.Dataset | None = None,
) -> xr.Dataset:
    """Weights of the standards in every pixel, with their covariance.

    Equation 1 of the paper, ``D = μ·t``, is solved for t (Equation 2) by least squares, optionally
    non-negative and weighted by the variance of the optical density, with a baseline in every
    pixel. Unconstrained and unweighted, without a baseline, the maps are those of the paper's
    singular value decomposition, and of MANTIS.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
        Without a variance the fit is unweighted. A lazy one is read once, and once more for the
        mean spectrum where the energy shift is fitted and it does not hold its `with_statistics`.
    spectra : Library or DataArray (standard, energy)
        Standards. A library on a mass-absorption scale (cm²/g) gives weights in g/cm², any other
        relative weights.
    nonnegative : bool
        Keep weights >= 0; False is the paper's pseudo-inverse.
    baseline : "constant", "linear" or None
        What every pixel has under its standards: a free constant, a straight line, or nothing.
    energy_shift : float, "fit" or EnergyShift
        E(file axis) - E(library) in eV, or one shift fitted for the stack (mean spectrum of the
        sample), or one known with its uncertainty (`shift_from_anchors`). A shift that is given is
        still compared with the fitted one, and a disagreement is warned of.
    stretch : bool
        Fit a stretch of the energy axis with the shift: for standards with two edges.
    weights : {"variance", "uniform"}
        Weigh energies by 1/variance; or all alike, with each pixel's own residual for the
        covariance.
    sum_to_one : bool
        Weights of a pixel sum to one: for spectra that were normalised to one edge step.
    singular_values : int, optional
        Use only so many singular values of the standards, from the largest (an unconstrained,
        unweighted fit). Default: all of them.
    fit_range : pair of float, optional
        Lowest and highest energy (file axis, eV) used.
    exclude : sequence of pairs of float
        Ranges of energy (file axis, eV) that are not used.
    mask : DataArray (y, x) of bool, optional
        Where the sample is, for the shift and the warnings; every pixel is fitted. Default
        `sample_mask`.
    beside : Dataset, optional
        Other lazy maps of the same stack, to be computed in the same pass; they are returned too.

    Returns
    -------
    Dataset
        ``weight(standard, y, x)``, ``weight_covariance(pair, y, x)`` (upper triangle row by row, on
        the active set), ``weight_per_eV(standard, y, x)`` (change with the energy shift),
        ``baseline`` (at the middle of the energies used) and, of a line, ``baseline_per_eV``,
        ``residual`` (rms, optical density), ``reduced_chi2`` (y, x), ``sample`` (y, x), and
        ``fit_weight(fit_energy)``, the mean statistical weight of the energies used. Attributes:
        ``energy_shift_eV``, ``energy_shift_sd_eV`` (for a given shift: its distance from the fitted
        one, or that one's own, if larger; for a known axis its own, unless both disagree),
        ``energy_shift_fitted_eV``, ``energy_shift_significance``,
        ``energy_stretch``, ``energy_stretch_centre_eV``, ``condition_number``, ``misfit_scale``
        and ``misfit_level`` (`decompose.misfit`), ``weights``, ``n_energies``.

    Raises
    ------
    LibraryError
        The standards do not cover the energies.
    FitError
        More unknowns than energies, standards that are linearly dependent, or options that
        contradict each other.
    """
    require_choice("baseline", baseline, *BASELINES)
    require_choice("weights", weights, "variance", "uniform")
    if isinstance(energy_shift, str):
        require_choice("energy_shift", energy_shift, "fit", "a number of eV")
    library = as_library(spectra)
    _refuse_contradictions(
        library, nonnegative, weights, energy_shift, stretch, sum_to_one, singular_values
    )
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    stacks.check(density, "optical_density", lazy=True)
    variance = od["variance"].data if isinstance(od, xr.Dataset) and "variance" in od else None
    weighted = weights == "variance" and variance is not None
    chosen = energies_in_use(density.energy.values, fit_range, exclude)
    energy = density.energy.values[chosen]
    require_cover(library, energy)

    held = energy_shift != "fit"
    known_stretch = isinstance(energy_shift, EnergyShift) and energy_shift.stretch != 0

    def shift_of(known: xr.Dataset) -> EnergyShift | None:
        if not known["sample"].values.any():
            return None
        try:
            return fit_energy_shift(
                known["sample_mean"].values[chosen],
                known["sample_mean_variance"].values[chosen] if weighted else None,
                density.energy.values[chosen],
                library,
                baseline=baseline,
                nonnegative=nonnegative,
                stretch=stretch or known_stretch,
            )
        except FitError as error:
            if not held:
                raise
            text = f"the energy shift held could not be checked: {str(error).split(';')[0]}"
            warnings.warn(text, ChemoscapeWarning, stacklevel=3)
            return None

    # what a shift that is held is compared with may come from the pass in which the fits are made
    later = held and is_lazy(density) and not has_statistics(od, mask)
    known = None if later else sample_statistics(od, mask)
    fitted = None if known is None else shift_of(known)
    axis = axis_in_use(energy_shift, fitted)

    usable = library.covers(energy, axis.at(energy))
    energy = energy[usable]
    if not usable.any():
        raise FitError(
            f"an energy shift of {axis.value:+.3f} eV leaves no energy that the standards cover",
            remedy="correct energy_shift",
        )
    parts = design(library, energy, axis.at(energy), baseline)
    if energy.size < parts.lengths.size:
        raise FitError(
            f"{energy.size} energies cannot determine {parts.lengths.size} unknowns",
            remedy="choose fewer standards or drop the baseline",
        )
    used = np.flatnonzero(chosen)[usable]
    if nonnegative or weighted or sum_to_one:
        fit = fit_pixels(
            parts,
            density.data,
            variance,
            nonnegative=nonnegative,
            weighted=weighted,
            sum_to_one=sum_to_one,
            energies=used,
        )
    else:
        fit = project_or_fit(parts, density.data, variance, singular_values, energies=used)
    maps = as_maps(density, library, energy, parts, fit)
    if beside is not None:
        maps = maps.assign(beside.data_vars)
    if known is None:
        maps = maps.assign(sums_of_bands(od, mask).data_vars)
    maps = loaded(maps)
    if known is None:
        known = statistics_of(maps, od)
        maps = maps.drop_vars("sums")
        fitted = shift_of(known)
        axis = axis_in_use(energy_shift, fitted)
    inside = known["sample"].values
    if inside.any() and not np.isfinite(maps["weight"].values[0][inside]).any():
        raise FitError(
            "the standards are linearly dependent over the energies used",
            remedy="select fewer, more different standards",
        )
    maps["sample"] = (("y", "x"), inside)
    mean, variance_of_mean = (
        known[name].values[used] for name in ("sample_mean", "sample_mean_variance")
    )
    maps["fit_weight"] = (
        "fit_energy",
        _weights_of_energies(mean, variance_of_mean if weighted else None),
        {"long_name": "statistical weight of the energy, up to a factor"},
    )
    maps.attrs = {
        **axis_attributes(axis, fitted, held=held),
        "condition_number": condition_number(library, energy, axis.at(energy)),
        "nonnegative": int(nonnegative),
        "weights": "variance" if weighted else "uniform",
        "baseline": baseline or "none",
        "sum_to_one": int(sum_to_one),
        "singular_values": parts.lengths.size if singular_values is None else singular_values,
        "n_energies": int(usable.sum()),
        "library": library.id,
        "kind": library.kind,
    }
    warn_of_doubts(maps, fitted)
    return maps


def _weights_of_energies(mean: np.ndarray, variance: np.ndarray | None) -> np.ndarray:
    """Statistical weight of each energy in the fit of the mean spectrum; 0 without a value."""
    known = np.isfinite(mean)
    if not known.any():  # no sample: pixels are fitted, but nothing speaks for all of them
        known = np.ones_like(known)
    if variance is None:
        return known.astype(np.float64)
    known &= np.isfinite(variance) & (variance > 0)
    return np.where(known, 1 / np.where(known, variance, 1.0), 0.0)


def _refuse_contradictions(
    library: Library,
    nonnegative: bool,
    weights: str,
    energy_shift: object,
    stretch: bool,
    sum_to_one: bool,
    singular_values: int | None,
) -> None:
    """Options that do not go together."""
    if stretch and energy_shift != "fit":
        raise FitError(
            "a stretch is fitted together with the shift, which is given",
            remedy='set energy_shift = "fit", or leave out the stretch',
        )
    if sum_to_one and library.mass_scale:
        raise FitError(
            "with standards in cm²/g the weights of an optical density are areal masses, which do "
            "not sum to one",
            f"library {library.id!r}",
            "leave out sum_to_one, or use standards and spectra normalised to one edge step",
        )
    if singular_values is None:
        return
    if sum_to_one:
        raise FitError(
            "a truncated decomposition cannot have weights that sum to one",
            remedy="leave out singular_values or sum_to_one",
        )
    if nonnegative or weights != "uniform":
        raise FitError(
            "singular values belong to an unconstrained fit that weighs all energies alike",
            remedy='set nonnegative = false and weights = "uniform", or leave out singular_values',
        )
    if isinstance(singular_values, bool) or not isinstance(singular_values, int | np.integer):
        raise FitError(
            f"singular_values is {singular_values!r}", remedy="give how many, from the largest"
        )


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


def condition_number(library: Library, energy: np.ndarray, shift: ArrayLike = 0.0) -> float:
    """Ratio of the largest to the smallest singular value of the standards on these energies."""
    return float(np.linalg.cond(library.spectra(energy, shift=shift).values))


def weight_covariance(maps: xr.Dataset) -> np.ndarray:
    """Full symmetric covariance ``(standard, standard, y, x)`` from the stored upper triangle."""
    return unpacked(maps["weight_covariance"].values)
