"""Spectra of clusters, regions or particles compared with standards: what are they made of?"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal

import numpy as np
import xarray as xr

from chemoscape.decompose.combinations.prepare import prepare
from chemoscape.decompose.combinations.ranking import RankedFits, rank, require_countable
from chemoscape.decompose.combinations.result import LinearCombinationFit
from chemoscape.decompose.design import BASELINES, Baseline, energies_in_use
from chemoscape.decompose.doubts import of_calibration
from chemoscape.decompose.energy import (
    EnergyShift,
    axis_in_use,
    fit_energy_shift,
    require_cover,
)
from chemoscape.errors import ChemoscapeWarning, FitError, require_choice
from chemoscape.standards.library import Library, Standard, require_library

#: Weights that sum to fewer of their standard deviations are none.
LEAST_SDS = 3.0


def match(
    groups: xr.Dataset,
    library: Library,
    *,
    baseline: Baseline | None = "constant",
    energy_shift: float | Literal["fit"] | EnergyShift = "fit",
    stretch: bool = False,
    fit_range: tuple[float, float] | None = None,
    exclude: Sequence[tuple[float, float]] = (),
    max_standards: int = 4,
    resolution_eV: float | None = None,
) -> xr.Dataset:
    """Compare the spectrum of every cluster, region or particle with combinations of standards.

    One energy shift is fitted for all of them together. Then every combination of 1 to
    `max_standards` standards is fitted to each (non-negative) and ranked by BIC, as
    `rank_combinations` does. All energies weigh alike: the standard error of a mean over many
    pixels is far below what standards and I0 are wrong by, which is not smallest where noise is.

    Parameters
    ----------
    groups : Dataset
        ``spectrum`` with the dimension energy and one other: `cluster`, `region_spectra` or
        `particle_spectra` make such. Rows without values are left out.
    library : Library
    baseline : "constant", "linear" or None
    energy_shift : float, "fit" or EnergyShift
        E(file axis) - E(library), eV; an `EnergyShift` found elsewhere brings its error along.
    stretch : bool
        Fit a stretch of the energy axis with the shift: for standards with two edges.
    fit_range : pair of float, optional
        Lowest and highest energy used, eV.
    exclude : sequence of pairs of float
        Ranges of energies (eV) that are left out.
    max_standards : int
        Largest number of standards in one combination.
    resolution_eV : float, optional
        See `linear_combination_fit`.

    Returns
    -------
    Dataset
        Over the dimension of `groups`, here called group: ``composition``, ``composition_sd`` (the
        shift's error, the misfit of the standards and their choice included), ``thickness`` (sum of
        weights), ``baseline``, ``slope`` (per eV), ``r_factor``, ``ambiguous`` (a runner-up within
        6 in BIC has another composition, by 0.01 or more), ``energy_shift_each`` and
        ``energy_shift_each_sd``; ``weight(group, standard)``, ``fitted(group, energy)``;
        ``candidate``, ``candidate_composition`` and ``delta_bic`` per (group, rank). NaN for groups
        without a match. Attributes: ``energy_shift_eV``, ``energy_shift_sd_eV``, ``library``,
        ``variable``.

        ``energy_shift_each`` (eV, with all the standards) is what each spectrum alone would ask
        for: a diagnostic and never used, for within one spectrum a shift and another composition
        look alike. NaN where a spectrum does not determine it.

    Raises
    ------
    FitError
        No spectrum can be matched, or the options make no sense.
    LibraryError
        The library leaves energies uncovered.
    """
    require_library(library)
    require_choice("baseline", baseline, *BASELINES)
    require_countable(library, max_standards)
    dim, spectra = _rows(groups)
    axis = groups["energy"].values.astype(float)
    chosen = energies_in_use(axis, fit_range, exclude)
    energy = axis[chosen]
    require_cover(library, energy)
    filled = np.isfinite(spectra[:, chosen]).any(axis=1)
    if not filled.any():
        raise FitError(f"no {dim} has a spectrum", remedy="give one with values")
    # of the complete spectra, where there are any: only energies that all have are used
    complete = np.isfinite(spectra[:, chosen]).all(axis=1)
    used = spectra[complete if complete.any() else filled][:, chosen]
    if isinstance(energy_shift, str):
        require_choice("energy_shift", energy_shift, "fit")
        shift = fit_energy_shift(used, None, energy, library, baseline=baseline, stretch=stretch)
    elif isinstance(energy_shift, EnergyShift):
        shift = energy_shift
    else:
        shift = EnergyShift(float(energy_shift), 0.0, source="held")
    n_covered = int(library.covers(energy, shift.at(energy)).sum())
    if n_covered < 2:
        raise FitError(
            f"an energy shift of {shift.value:+.3f} eV leaves {n_covered} energies that the "
            "standards cover",
            remedy="correct energy_shift, or the anchors",
        )
    if shift.misfit is None:  # how far the standards fit is a question at any shift
        with suppress(FitError):
            found = fit_energy_shift(
                used, None, energy, library, baseline=baseline, stretch=shift.stretch != 0
            )
            if shift.source != "fit":  # one that was fitted to these pixels needs no check
                shift = axis_in_use(shift if shift.sd else shift.value, found)
                for sentence in of_calibration(shift, found, held=True):
                    warnings.warn(sentence, ChemoscapeWarning, stacklevel=2)
            shift = replace(shift, misfit=found.misfit)

    names = groups[dim].values
    ranked: list[RankedFits | None] = []
    alone = []
    for spectrum, has_values in zip(spectra, filled, strict=True):
        ranked.append(None)
        alone.append((np.nan, np.nan))
        if not has_values:
            continue
        try:
            ready = prepare(
                (axis, spectrum),
                library,
                baseline=baseline,
                energy_shift=shift,
                fit_range=fit_range,
                exclude=exclude,
                resolution_eV=resolution_eV,
                n_standards=1,
            )
            fits = rank(ready, max_standards)
            require_something(fits.best)
            ranked[-1] = fits
        except FitError as error:
            problem = error
            continue
        alone[-1] = _own_shift(spectrum[chosen], energy, library, baseline)
    without = [
        str(n)
        for n, fits, known in zip(names, ranked, filled, strict=True)
        if known and fits is None
    ]
    if not any(ranked):
        raise problem
    if without:
        warnings.warn(
            f"no combination of standards fits {dim} {', '.join(without[:5])}"
            f"{' and others' if len(without) > 5 else ''}: it is left without a composition",
            ChemoscapeWarning,
            stacklevel=2,
        )
    return _table(groups, dim, library, shift, ranked, np.array(alone))


def require_something(fit: LinearCombinationFit) -> None:
    """Refuse a fit whose weights do not stand out of its residual, as of an empty region."""
    total = float(fit.weights.sum())
    if total <= LEAST_SDS * float(np.sqrt(max(fit.covariance.sum(), 0.0))):
        raise FitError(
            "nothing that the standards explain stands out of the residual",
            remedy="leave out what holds no sample",
        )


def _rows(groups: xr.Dataset) -> tuple[str, np.ndarray]:
    """Name of the dimension beside energy, and the spectra (group, energy)."""
    known = isinstance(groups, xr.Dataset) and "spectrum" in groups
    dims = groups["spectrum"].dims if known else ()
    if len(dims) != 2 or "energy" not in dims:
        raise FitError(
            "spectra to match come as a Dataset with spectrum over energy and one more dimension",
            remedy="make it with cs.cluster, region_spectra or particle_spectra",
        )
    dim = str(next(name for name in dims if name != "energy"))
    return dim, groups["spectrum"].transpose(dim, "energy").values.astype(float)


def _own_shift(
    spectrum: np.ndarray, energy: np.ndarray, library: Library, baseline: Baseline | None
) -> tuple[float, float]:
    """Shift and sd that one spectrum asks for; NaN where it cannot be told."""
    try:
        with np.errstate(invalid="ignore"):  # a flat spectrum's error is 0/0
            found = fit_energy_shift(
                spectrum, None, energy, library, baseline=baseline, look_for_stretch=False
            )
    except FitError:
        return np.nan, np.nan
    known = np.isfinite(found.sd) and not found.at_limit
    return (found.value, found.sd) if known else (np.nan, np.nan)


def _table(
    groups: xr.Dataset,
    dim: str,
    library: Library,
    shift: EnergyShift,
    ranked: Sequence[RankedFits | None],
    alone: np.ndarray,
) -> xr.Dataset:
    """What `match` returns."""
    n_ranks = max(len(fits.fits) for fits in ranked if fits)

    def best(value: Callable[[LinearCombinationFit], float]) -> np.ndarray:
        return np.array([value(fits.best) if fits else np.nan for fits in ranked])

    def ranks(fill: object, value: Callable[[RankedFits], Sequence[object]]) -> np.ndarray:
        """One row per group, padded to the longest."""
        rows = [list(value(fits)) if fits else [] for fits in ranked]
        return np.array([[*row, *[fill] * (n_ranks - len(row))] for row in rows])

    weights = np.full((len(ranked), len(library.names)), np.nan)
    fitted = np.full((len(ranked), groups.sizes["energy"]), np.nan)
    for row, fits in enumerate(ranked):
        if fits:
            weights[row] = 0.0
            members = [library.names.index(name) for name in fits.best.standards]
            weights[row, members] = fits.best.weights
            at = np.isin(groups["energy"].values.astype(float), fits.best.energy)
            fitted[row, at] = fits.best.model
    each = {"units": "eV", "long_name": "energy shift that this spectrum alone would ask for"}
    return xr.Dataset(
        {
            "composition": (dim, best(lambda f: f.composition), {"long_name": library.variable}),
            "composition_sd": (dim, [fits.composition_sd if fits else np.nan for fits in ranked]),
            "thickness": (dim, weights.sum(axis=1)),
            "r_factor": (dim, best(lambda f: f.r_factor)),
            "baseline": (dim, best(lambda f: f.baseline)),
            "slope": (dim, best(lambda f: f.slope)),
            "ambiguous": (dim, [bool(fits and fits.ambiguous) for fits in ranked]),
            "energy_shift_each": (dim, alone[:, 0], each),
            "energy_shift_each_sd": (dim, alone[:, 1], {"units": "eV"}),
            "weight": ((dim, "standard"), weights),
            "fitted": ((dim, "energy"), fitted),
            "candidate": (
                (dim, "rank"),
                ranks("", lambda r: [" + ".join(f.standards) for f in r.fits]),
            ),
            "candidate_composition": (
                (dim, "rank"),
                ranks(np.nan, lambda r: [f.composition for f in r.fits]),
            ),
            "delta_bic": ((dim, "rank"), ranks(np.nan, lambda r: list(r.delta_bic))),
        },
        coords={
            dim: groups[dim],
            "standard": library.names,
            "value": ("standard", library.values),
            "molar_mass": ("standard", library.molar_mass),
            "density": ("standard", library.density),
            "energy": groups["energy"],
            "rank": np.arange(n_ranks),
        },
        attrs={
            **shift.to_attrs(),
            "library": library.id,
            "variable": library.variable,
            "units_of_weight": "g/cm2" if library.mass_scale else "1",
            "mass_scale": int(library.mass_scale),
            "kind": library.kind,
        },
    )


def library_from_clusters(groups: xr.Dataset, table: xr.Dataset) -> Library:
    """Internal standards: the spectrum of each cluster (region, particle) with its matched
    composition.

    A spectrum is put on the scale of the library that it was matched with: its fitted baseline is
    taken off and it is divided by the sum of its weights (the paper's conversion to mass
    absorption). Energies stay the stack's own, so these standards need no shift.
    """
    dim, spectra = _rows(groups)
    weights = table.weight.values
    if np.isnan(weights).any():
        lost = groups[dim].values[np.isnan(weights).any(axis=1)][0]
        raise FitError(f"{dim} {lost} has no match", remedy="leave it out of the groups")
    errors = groups["spectrum_se"].transpose(dim, "energy").values
    energy = table["energy"].values.astype(float)
    used = np.where(np.isfinite(table.fitted.values), energy, np.nan)
    middle = (np.nanmin(used, axis=1) + np.nanmax(used, axis=1)) / 2
    under = table.slope.values[:, None] * (energy - middle[:, None])
    under += table.baseline.values[:, None]
    fractions = weights / weights.sum(axis=1, keepdims=True)
    mass_scale = bool(table.attrs["mass_scale"])
    standards = []
    for row, name in enumerate(groups[dim].values):
        scale = float(table.thickness[row])
        standards.append(
            Standard(
                id=f"{dim}-{name}",
                label=f"{dim} {name}",
                value=float(table.composition[row]),
                value_sd=float(table.composition_sd[row]),
                molar_mass=_average(table.molar_mass.values, fractions[row]),
                density=_average(table.density.values, fractions[row]),
                energy=groups.energy.values,
                spectrum=(spectra[row] - under[row]) / scale,
                spectrum_sd=errors[row] / scale,
                scale="mass_absorption" if mass_scale else "optical_density",
                kind="mixture",
                source=f"{dim} of the stack, matched to {table.candidate.values[row, 0]}",
            )
        )
    return Library(
        id=f"{dim}s-{table.attrs['library']}",
        name=f"{dim}s of the stack, matched to {table.attrs['library']}",
        variable=table.attrs["variable"],
        standards=tuple(standards),
    )


def _average(per_standard: np.ndarray, mass_fractions: np.ndarray) -> float:
    """Harmonic mean over mass fractions: molar mass and density of a mixture, ``1 / Σ (w_i /
    q_i)``.
    """
    present = mass_fractions > 0
    return float(1 / (mass_fractions[present] / per_standard[present]).sum())
