"""Spectra of clusters against combinations of standards: the fits that the Match view shows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.chemistry.thickness import in_nm, sd_of, thickness_of, thickness_per_weight
from chemoscape.decompose.axis_problem import AxisProblem
from chemoscape.decompose.combinations.matching import require_something
from chemoscape.decompose.combinations.prepare import prepare
from chemoscape.decompose.combinations.ranking import MOST_KEPT, RankedFits, rank
from chemoscape.decompose.combinations.result import LinearCombinationFit
from chemoscape.decompose.design import Baseline, energies_in_use, middle_of
from chemoscape.decompose.energy import EnergyShift, fit_energy_shift
from chemoscape.errors import FitError, ResultsError
from chemoscape.fitting_stages import standards
from chemoscape.recipe import Recipe
from chemoscape.standards.library import Library

#: Largest number of standards in one combination, as `match` has it.
MOST_STANDARDS = 4
#: Combinations that are worked out while the shift is being moved.
WHILE_MOVING = 6
#: A shift further than this from zero is refused, eV.
FURTHEST_EV = 3.0
#: Half width and number of points of the curve of the residual against the shift.
SCAN_EV, SCAN_POINTS = 1.0, 41


@dataclass(frozen=True, eq=False)
class Comparison:
    """Spectra (cluster, energy), and what a recipe compares them with.

    Parameters
    ----------
    energy : ndarray, shape (n_energy,)
        eV.
    spectra : ndarray, shape (n_clusters, n_energy)
        Optical density; NaN where a cluster has none.
    library : Library
    baseline : "constant", "linear" or None
    fit_range, exclude, resolution_eV
        As `match` takes them.
    """

    energy: np.ndarray
    spectra: np.ndarray
    library: Library
    baseline: Baseline | None
    fit_range: tuple[float, float] | None
    exclude: Sequence[tuple[float, float]]
    resolution_eV: float | None

    @classmethod
    def of(cls, groups: xr.Dataset, recipe: Recipe) -> Comparison:
        """The clusters of a run against the standards that a recipe names."""
        section = recipe.deconvolution
        return cls(
            groups["energy"].values.astype(float),
            groups["spectrum"].transpose("cluster", "energy").values.astype(float),
            standards(recipe),
            None if section.baseline == "none" else section.baseline,
            section.range,
            section.exclude,
            recipe.clusters.resolution_eV,
        )

    @property
    def chosen(self) -> np.ndarray:
        """Which energies (bool) lie in the fit range."""
        return energies_in_use(self.energy, self.fit_range, self.exclude)

    def fitted_shift(self) -> EnergyShift:
        """The shift that all spectra together ask for, as `match` fits it."""
        return fit_energy_shift(
            self._used(), None, self.energy[self.chosen], self.library, baseline=self.baseline
        )

    def _used(self) -> np.ndarray:
        """Complete spectra where there are any, else those that have a value."""
        inside = np.isfinite(self.spectra[:, self.chosen])
        kept = inside.all(axis=1) if inside.all(axis=1).any() else inside.any(axis=1)
        if not kept.any():
            raise FitError("no cluster has a spectrum", remedy="press Run in Explore")
        return self.spectra[kept][:, self.chosen]

    def ranked(self, shift: EnergyShift, most: int = MOST_KEPT) -> list[RankedFits | None]:
        """The best combinations for every cluster on this energy axis, `most` of them; None where
        none can be fitted.
        """
        return [self._ranked(spectrum, shift, most) for spectrum in self.spectra]

    def _ranked(self, spectrum: np.ndarray, shift: EnergyShift, most: int) -> RankedFits | None:
        with suppress(FitError):
            ready = prepare(
                (self.energy, spectrum),
                self.library,
                baseline=self.baseline,
                energy_shift=shift,
                fit_range=self.fit_range,
                exclude=self.exclude,
                resolution_eV=self.resolution_eV,
                n_standards=1,
            )
            return rank(ready, MOST_STANDARDS, most)
        return None

    def scan(self, around: float) -> tuple[np.ndarray, np.ndarray]:
        """Rms residual (optical density) of all spectra with all the standards, for shifts about
        one, both shape (`SCAN_POINTS`,).

        The same energies at every shift, so that residuals compare: fewer than the fit at that
        shift alone would use.
        """
        shifts = around + np.linspace(-SCAN_EV, SCAN_EV, SCAN_POINTS)
        axis, spectra = self.energy[self.chosen], self._used()
        kept = np.isfinite(spectra).all(axis=0)
        for end in (shifts[0], shifts[-1]):
            kept &= self.library.covers(axis, end)
        if not kept.any():
            raise FitError(
                f"no energy lies inside the standards at all shifts {SCAN_EV:g} eV about "
                f"{around:+.2f} eV",
                remedy="use standards over a wider range",
            )
        data = spectra[:, kept]
        problem = AxisProblem(
            axis[kept], data, np.ones_like(data), self.library, self.baseline, nonnegative=True
        )
        squares = np.array([problem.badness(shift) for shift in shifts])
        return shifts, np.sqrt(squares / data.size)


def stands_out(fits: RankedFits) -> bool:
    """Whether the best fit stands out of its residual, as `match` asks for a composition."""
    try:
        require_something(fits.best)
    except FitError:
        return False
    return True


def held(value: float, like: EnergyShift, stretch: float | None = None) -> EnergyShift:
    """The energy axis of a fit, moved to another shift; with its stretch or another."""
    return EnergyShift(
        value,
        0.0,
        stretch=like.stretch if stretch is None else stretch,
        centre=like.centre,
        source="held",
    )


def curves_of_fit(fit: LinearCombinationFit) -> dict[str, Any]:
    """Spectrum, fit and what it is made of, over the energies used (eV)."""
    return {
        "energy": fit.energy,
        "spectrum": fit.data,
        "fitted": fit.model,
        "residual": fit.residual,
        "baseline": fit.background,
        "parts": [
            {"name": name, "label": label, "weight": weight, "share": share, "curve": curve}
            for name, label, weight, share, curve in zip(
                fit.standards, fit.labels, fit.weights, fit.shares, fit.parts, strict=True
            )
        ],
    }


def curves_of_table(
    groups: xr.Dataset, table: xr.Dataset, library: Library, cluster: int
) -> dict[str, Any]:
    """The same for the match that a run has made, over all energies of the stack; NaN where the
    fit uses none.

    Raises
    ------
    ResultsError
        The standards are no longer those that the run was made with.
    """
    energy = groups["energy"].values.astype(float)
    spectrum, error = (
        groups[name].transpose("cluster", "energy").values[cluster]
        for name in ("spectrum", "spectrum_se")
    )
    fitted = table["fitted"].transpose("cluster", "energy").values[cluster]
    used = np.isfinite(fitted)
    under, parts = np.full(energy.size, np.nan), []
    weights = table["weight"].values[cluster]
    if used.any():
        axis = energy[used]
        slope, level = float(table["slope"][cluster]), float(table["baseline"][cluster])
        under[used] = level + slope * (axis - middle_of(axis))
        spectra = library.spectra(axis, shift=EnergyShift.from_attrs(table.attrs).at(axis)).values
        total = under[used] + weights @ spectra
        if np.abs(total - fitted[used]).max() > 1e-6 * np.abs(fitted[used]).max():
            raise ResultsError(
                f"the library {library.id!r} has changed since these results were made",
                remedy="press Run",
            )
        for name, label, weight, one in zip(
            library.names, library.labels, weights, spectra, strict=True
        ):
            if weight > 0:
                curve = np.full(energy.size, np.nan)
                curve[used] = weight * one
                share = weight / weights.sum()
                part = {"name": name, "label": label, "weight": weight, "share": share}
                parts.append({**part, "curve": curve})
    return {
        "energy": energy,
        "spectrum": spectrum,
        "se": error,
        "fitted": fitted,
        "residual": spectrum - fitted,
        "baseline": under,
        "parts": parts,
    }


def thickness(fit: LinearCombinationFit, library: Library) -> dict[str, Any]:
    """Thickness of the best fit in nm, or µg/cm², or relative, with its sd by the fit."""
    factor = thickness_per_weight(library.select(*fit.standards))
    unit, scale = ("nm", 1.0) if in_nm(library) else ("1", 1.0)
    if library.mass_scale and unit != "nm":
        unit, scale = "µg/cm²", 1e6
    return {
        "value": scale * float(thickness_of(fit.weights, factor)),
        "sd": scale * float(sd_of(fit.covariance, factor)),
        "unit": unit,
    }
