"""The columns that spectra are fitted with: standards, and what lies under them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import ChemoscapeWarning, FitError, LibraryError
from chemoscape.standards.library import Library

Baseline = Literal["constant", "linear"]
#: What lies under the standards: nothing, one free number for all energies, or a straight line.
BASELINES = ("constant", "linear", None)
#: Half width of the difference that gives the standards' slope: about a calibration's error.
SLOPE_STEP_EV = 0.05


@dataclass(frozen=True, eq=False)
class Design:
    """Standards and baseline at the energies of a fit, as columns of unit length.

    Parameters
    ----------
    columns : ndarray, shape (n_energy, n_unknown)
        First the standards, then the baseline.
    slopes : ndarray, shape (n_energy, n_unknown)
        Their derivative with the energy shift, 1/eV.
    lengths : ndarray, shape (n_unknown,)
        Lengths taken out of the columns.
    n_standards : int
    """

    columns: np.ndarray
    slopes: np.ndarray
    lengths: np.ndarray
    n_standards: int

    @property
    def of_standards(self) -> np.ndarray:
        """Which unknowns are weights of standards, bool (n_unknown,)."""
        return np.arange(self.lengths.size) < self.n_standards


def design(library: Library, energy: np.ndarray, shift: ArrayLike, baseline: str | None) -> Design:
    """Standards at ``energy - shift`` and the baseline.

    Raises
    ------
    LibraryError
        A standard is zero at all these energies.
    """
    model = library.spectra(energy, shift=shift).values.T
    under = baseline_columns(baseline, energy)
    columns = np.column_stack([model, under])
    slopes = np.column_stack([slopes_of(library, energy, shift), np.zeros_like(under)])
    lengths = np.linalg.norm(columns, axis=0)
    if not (lengths > 0).all():
        raise LibraryError("a standard is zero at every energy used", remedy="leave it out")
    return Design(
        np.ascontiguousarray(columns / lengths),
        np.ascontiguousarray(slopes / lengths),
        lengths,
        model.shape[1],
    )


def slopes_of(library: Library, energy: np.ndarray, shift: ArrayLike) -> np.ndarray:
    """Derivative of the standards with the energy shift, ``-dμ/dE``, (n_energy, n_standards).

    From the standards themselves: a stack may have few energies, far apart.
    """
    low, high = library.energy_range
    before, after = (
        np.clip(energy - np.asarray(shift) + step, low, high)
        for step in (-SLOPE_STEP_EV, SLOPE_STEP_EV)
    )
    rise = library.spectra(after).values - library.spectra(before).values
    return -(rise / (after - before)).T


def baseline_columns(baseline: str | None, energy: np.ndarray) -> np.ndarray:
    """Columns of the baseline, (n_energy, 0 to 2): ones, and a line that crosses zero at
    `middle_of` and rises by one over a half of the range.
    """
    if baseline is None:
        return np.empty((energy.size, 0))
    ones = np.ones(energy.size)
    if baseline == "constant":
        return ones[:, None]
    return np.column_stack([ones, (energy - middle_of(energy)) / half_range_of(energy)])


def middle_of(energy: np.ndarray) -> float:
    """Energy (eV) half way between the first and the last."""
    return float(energy[0] + energy[-1]) / 2


def half_range_of(energy: np.ndarray) -> float:
    """Half of the range (eV); 1 for a single energy."""
    return float(energy[-1] - energy[0]) / 2 or 1.0


def energies_in_use(
    energy: np.ndarray,
    fit_range: tuple[float, float] | None,
    exclude: Sequence[tuple[float, float]] = (),
) -> np.ndarray:
    """Which energies (bool) lie in the fit range and in none of the excluded ranges.

    Raises
    ------
    FitError
        None does, or a range is not a lower and a higher energy.
    """
    for low, high in exclude:
        if not low < high:
            raise FitError(
                f"the excluded range {low:g} to {high:g} eV is empty",
                remedy="give a lower and a higher energy",
            )
    low, high = fit_range or (-np.inf, np.inf)
    chosen = (energy >= low) & (energy <= high)
    if not chosen.any():
        raise FitError(
            f"no energy of the stack ({energy[0]:.1f} to {energy[-1]:.1f} eV) lies in the fit "
            f"range {low:g} to {high:g} eV",
            remedy="set [deconvolution] range inside the stack's energies",
        )
    for low, high in exclude:
        outside = (energy < low) | (energy > high)
        if outside.all():
            warnings.warn(
                f"no energy lies in the excluded range {low:g} to {high:g} eV",
                ChemoscapeWarning,
                stacklevel=3,
            )
        chosen &= outside
    if not chosen.any():
        raise FitError(
            "every energy of the fit is excluded",
            remedy="exclude narrower ranges with [deconvolution] exclude",
        )
    return chosen
