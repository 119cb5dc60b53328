"""Clusters compared with standards: which are they made of, and what composition does that give."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Literal

import numpy as np
import xarray as xr

from chemoscape.decompose.energy import energies_in_range, fit_energy_shift, require_cover
from chemoscape.decompose.lcf import LinearCombinationFit, linear_combination_fit
from chemoscape.errors import FitError
from chemoscape.standards.library import Library, Standard, require_library

#: A runner-up within this distance in BIC explains the spectrum as well as the best fit.
CLOSE_IN_BIC = 6.0
#: A difference in composition that makes a runner-up worth a question.
NOTABLE = 0.01


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
