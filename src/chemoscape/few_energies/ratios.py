r"""Ratio maps of single features, and the composition that each would give (Figures 4C to 4F).

.. math:: r = \frac{D_f - D_{pre}}{D_{post} - D_{pre}}

is free of thickness, and of what all images have in common where there is an image before the edge;
without one ``D_pre`` is left out, as in the paper. Between two bounding standards the paper maps r
linearly, ``x = x_1 + (x_2 - x_1)(r - r_1)/(r_2 - r_1)``. Exactly, with ``f_k = μ_k(E_f) -
μ_k(E_pre)`` and ``p_k = μ_k(E_post) - μ_k(E_pre)``, the mass fraction of the second standard is

.. math:: φ = \frac{f_1 - r p_1}{(f_1 - r p_1) - (f_2 - r p_2)}

and composition counts formula units. Both agree where the spectra are equal after the edge.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, FitError, require_choice
from chemoscape.few_energies import model
from chemoscape.few_energies.maps import unsteadiness
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.problem import Problem
from chemoscape.few_energies.roles import Roles
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import mean_composition

Mapping = Literal["exact", "linear"]

#: A feature whose ratio differs by less than this part between the bounds says nothing.
LEAST_CONTRAST = 0.02


def ratio_maps(
    od: xr.Dataset,
    pair: Library,
    roles: Roles,
    *,
    mapping: Mapping = "exact",
    nuisance: Nuisance | None = None,
    energy_shift: float = 0.0,
    misfit_scale: float = 1.0,
    registration_px: float = 0.1,
    sample: xr.DataArray | None = None,
) -> xr.Dataset:
    """Ratio of every feature to the thickness, and the composition that it alone would give.

    Parameters
    ----------
    od : Dataset of `optical_density`
    pair : Library
        Two standards that bound the composition.
    roles : Roles
        Which images are features, before and after the edge.
    mapping : {"exact", "linear"}
        From ratio to composition: exact for a mixture of the two, or the paper's straight line.
    nuisance, energy_shift, misfit_scale, registration_px
        As of `fit_maps`. An offset that is free needs an image before the edge: without one the
        standard deviation is NaN.
    sample : DataArray (y, x) of bool, optional
        Where there is sample; elsewhere maps are NaN.

    Returns
    -------
    Dataset
        ``ratio``, ``ratio_sd`` (counting), ``ratio_composition`` (not clipped),
        ``ratio_composition_sd`` (total, of all sources of `fit_maps`) by (feature, y, x),
        ``feature`` in eV; ``ratio_first`` and ``ratio_second`` (feature), the ratios of the
        standards.

    Raises
    ------
    FitError
        There is no image after the edge, not two standards, or no such mapping.

    Warns
    -----
    ChemoscapeWarning
        The bounding standards have nearly the same ratio at a feature.
    """
    require_choice("mapping", mapping, "exact", "linear")
    if len(pair.names) != 2:
        raise FitError(
            f"ratios lie between two bounding standards, not {len(pair.names)}",
            remedy="select two in [standards]",
        )
    if roles.post is None:
        raise FitError(
            "ratio maps need an image after the edge, which shows thickness alone",
            remedy="measure one there, name it with post in [few_energies], or leave ratios out",
        )
    nuisance = Nuisance() if nuisance is None else nuisance
    energy = od["energy"].values
    problem = Problem.of(energy, pair, _two_only(nuisance), energy_shift, misfit_scale)
    out = image_ratios(od, roles, sample=sample)
    density, variance = (
        od[name].values.astype(np.float64) for name in ("optical_density", "variance")
    )
    moved = unsteadiness(density, registration_px)
    inside = np.isfinite(out["ratio"].values).all(axis=0)
    planes = np.full((2, len(roles.features), *inside.shape), np.nan)
    bounds = []
    for i, feature in enumerate(roles.features):
        one = _Feature(problem, feature, roles)
        bounds.append(one.bounds)
        planes[:, i, inside] = one.maps(
            density[:, inside], variance[:, inside], moved[:, inside], mapping, nuisance
        )
    if roles.pre is None and np.isinf(nuisance.offset_sd):
        planes[1] = np.nan
    low, high = np.array(bounds).T
    for name, text, values in (
        ("ratio_composition", f"{pair.variable} by one feature", planes[0]),
        ("ratio_composition_sd", f"{pair.variable} by one feature: sd, total", planes[1]),
    ):
        attrs = {"long_name": text, "units": "1"}
        out[name] = (("feature", "y", "x"), values.astype(np.float32), attrs)
    for name, standard, values in (
        ("ratio_first", pair.names[0], low),
        ("ratio_second", pair.names[1], high),
    ):
        out[name] = ("feature", values, {"long_name": f"ratio of {standard}"})
    _warn_of_equal(out)
    return out.assign_attrs(mapping=mapping)


def _two_only(nuisance: Nuisance) -> Nuisance:
    """The same with a finite offset: a ratio has no constant to fit."""
    offset = nuisance.offset_sd if np.isfinite(nuisance.offset_sd) else 0.0
    return Nuisance(nuisance.energy_sd_eV, nuisance.calibration_sd_eV, offset, nuisance.i0_sd)


def image_ratios(od: xr.Dataset, roles: Roles, *, sample: xr.DataArray | None = None) -> xr.Dataset:
    """Ratio of every feature to the image after the edge, each less that before it where there is
    one: what can be said without standards.

    Parameters
    ----------
    od : Dataset of `optical_density`
    roles : Roles
    sample : DataArray (y, x) of bool, optional
        Where there is sample; elsewhere the ratio is NaN.

    Returns
    -------
    Dataset
        ``ratio`` and ``ratio_sd`` (counting; NaN without a variance) by (feature, y, x).

    Raises
    ------
    FitError
        There is no image to divide by.
    """
    if roles.post is None:
        raise FitError(
            "ratio maps need an image to divide by",
            remedy="name one with post in [few_energies]",
        )
    energy, density = od["energy"].values, od["optical_density"].values.astype(np.float64)
    variance = od["variance"].values if "variance" in od else np.full(density.shape, np.nan)
    inside = np.isfinite(density).all(axis=0)
    if sample is not None:
        inside &= sample.values
    planes = np.full((2, len(roles.features), *inside.shape), np.nan)
    for i, feature in enumerate(roles.features):
        ratio, moved = _ratio(_differences(energy.size, feature, roles), density[:, inside])
        planes[0, i, inside] = ratio
        planes[1, i, inside] = np.sqrt((moved**2 * variance[:, inside].T).sum(axis=1))
    return xr.Dataset(
        {
            name: (
                ("feature", "y", "x"),
                values.astype(np.float32),
                {"long_name": text, "units": "1"},
            )
            for name, text, values in (
                ("ratio", "ratio to thickness", planes[0]),
                ("ratio_sd", "ratio: sd, counting", planes[1]),
            )
        },
        coords={
            "feature": (
                "feature",
                energy[list(roles.features)],
                {"units": "eV", "long_name": "photon energy"},
            ),
            "y": od["y"],
            "x": od["x"],
        },
        attrs={
            "pre_eV": float("nan") if roles.pre is None else float(energy[roles.pre]),
            "post_eV": float(energy[roles.post]),
        },
    )


def _differences(n: int, feature: int, roles: Roles) -> np.ndarray:
    """Rows that make D_f - D_pre and D_post - D_pre of the optical densities, (2, n)."""
    rows = np.zeros((2, n))
    rows[0, feature] = 1
    rows[1, roles.post] = 1
    if roles.pre is not None:
        rows[:, roles.pre] = -1
    return rows


def _ratio(differences: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratio (n_pixels,) and its derivative with each optical density (n_pixels, n_energy)."""
    above, below = differences @ density
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = above / below
        return ratio, (differences[0] - ratio[:, None] * differences[1]) / below[:, None]


class _Feature:
    """One feature against the image after the edge, less that before it."""

    def __init__(self, problem: Problem, feature: int, roles: Roles) -> None:
        self.problem = problem
        self.differences = _differences(problem.energy.size, feature, roles)
        self.spectra = self.differences @ problem.mu  # ((f, p), standard)

    @property
    def bounds(self) -> np.ndarray:
        """Ratio of each standard."""
        return np.asarray(self.spectra[0] / self.spectra[1])

    def maps(
        self,
        density: np.ndarray,
        variance: np.ndarray,
        unsteady: np.ndarray,
        mapping: Mapping,
        nuisance: Nuisance,
    ) -> np.ndarray:
        """Composition and its sd of pixels, from optical densities (n_energy, n_pixels)."""
        problem, library = self.problem, self.problem.library
        matrix = np.linalg.solve(self.spectra, self.differences)
        weights = matrix @ density
        mixed = mean_composition(weights, library.values, library.molar_mass)
        if mapping == "exact":
            value, sensitivity = mixed.value, mixed.gradient.T @ matrix
        else:
            (first, second), (low, high) = library.values, self.bounds
            per_ratio = (second - first) / (high - low)
            ratio, moved = _ratio(self.differences, density)
            value, sensitivity = first + per_ratio * (ratio - low), per_ratio * moved
        slope = weights.T @ problem.slopes.T
        parts = model.error_parts(sensitivity, slope, variance.T, nuisance)
        errors = problem.errors(parts, sensitivity, weights, mixed.gradient, unsteady.T)
        return np.stack([value, np.sqrt((errors**2).sum(axis=0))])


def tells_apart(maps: xr.Dataset) -> np.ndarray:
    """Which features (n_feature,) of `ratio_maps` have another ratio for the one standard than for
    the other.
    """
    low, high = maps["ratio_first"].values, maps["ratio_second"].values
    return np.asarray(np.abs(high - low) >= LEAST_CONTRAST * np.abs(high + low) / 2)


def _warn_of_equal(maps: xr.Dataset) -> None:
    """Say which features do not tell the bounds apart."""
    alike = ~tells_apart(maps)
    if alike.any():
        named = ", ".join(f"{one:.2f} eV" for one in maps["feature"].values[alike])
        warnings.warn(
            f"the bounding standards have nearly the same ratio at {named}: its map by one feature "
            "is noise and calibration error",
            ChemoscapeWarning,
            stacklevel=3,
        )
