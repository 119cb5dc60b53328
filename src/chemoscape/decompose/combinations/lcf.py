"""Linear combination fits of single spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import xarray as xr
from numpy.typing import ArrayLike

from chemoscape.decompose.combinations.prepare import prepare
from chemoscape.decompose.combinations.result import LinearCombinationFit
from chemoscape.decompose.design import Baseline
from chemoscape.decompose.energy import EnergyShift
from chemoscape.standards.library import Library

__all__ = ["LinearCombinationFit", "linear_combination_fit"]


def linear_combination_fit(
    spectrum: xr.DataArray | tuple[ArrayLike, ArrayLike],
    library: Library,
    *,
    sd: ArrayLike | float | None = None,
    nonnegative: bool = True,
    sum_to_one: bool = False,
    baseline: Baseline | None = "constant",
    energy_shift: float | Literal["fit"] | EnergyShift = "fit",
    fit_range: tuple[float, float] | None = None,
    exclude: Sequence[tuple[float, float]] = (),
    resolution_eV: float | None = None,
) -> LinearCombinationFit:
    """Fit a spectrum by a sum of standards, as Athena and Larch do.

    Minimises ``Σ ((y - Σ t_k μ_k(E - δ) - b₀ - b₁ (E - E_mid)) / sd)²``. Standards are interpolated
    linearly on the spectrum's energies. Points without a value, or without a finite sd, are left
    out.

    Parameters
    ----------
    spectrum : DataArray over energy, or (energy, values)
        The spectrum, eV.
    library : Library
        Standards; all of them are used (select first, or `rank_combinations`).
    sd : float or array_like, optional
        Standard deviation of the data. Without it chi2 is the plain sum of squares. Stated errors
        are scaled with reduced chi2 either way.
    nonnegative : bool
        Keep weights >= 0.
    sum_to_one : bool
        Weights sum to one (normalised spectra).
    baseline : "constant", "linear" or None
        A free constant, and a slope beside it.
    energy_shift : float, "fit" or EnergyShift
        E(spectrum) - E(library) in eV; an `EnergyShift` found elsewhere brings its error along.
    fit_range : pair of float, optional
        Lowest and highest energy, eV.
    exclude : sequence of pairs of float
        Ranges of energies (eV, ends included) that are left out: a glitch, another edge.
    resolution_eV : float, optional
        Energy resolution with the core-hole width: points closer than this are not independent, and
        the information criteria count range/resolution of them. Default: every point.

    Returns
    -------
    LinearCombinationFit

    Raises
    ------
    FitError
        Too few energies, an sd that is not positive, standards that cannot be told apart.

    Examples
    --------
    >>> import numpy as np
    >>> from chemoscape.standards.folder import open_library
    >>> library = open_library("lixv2o5-model").select("alpha-V2O5", "delta-Li0.9V2O5")
    >>> spectrum = (library.spectra(np.arange(510.0, 550.0, 0.2)) * 2e-5).sum("standard")
    >>> fit = linear_combination_fit(spectrum, library)
    >>> fit.shares.round(3).tolist(), round(fit.energy_shift_eV, 3) + 0.0
    ([0.5, 0.5], 0.0)
    """
    ready = prepare(
        spectrum,
        library,
        sd=sd,
        nonnegative=nonnegative,
        sum_to_one=sum_to_one,
        baseline=baseline,
        energy_shift=energy_shift,
        fit_range=fit_range,
        exclude=exclude,
        resolution_eV=resolution_eV,
    )
    return ready.fit(range(len(library.names)))
