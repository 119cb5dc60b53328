"""The energy shift between a stack and a library: one number for the stack, by variable projection.

Sign: ``energy_shift_eV = E(file axis) - E(library)``. A feature at 517.0 eV in the library that is
found at 516.6 eV in the stack gives -0.400; standards are evaluated at ``E - shift``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar, nnls

from chemoscape.errors import FitError, LibraryError
from chemoscape.standards.library import Library

SEARCH_EV = 1.5
GRID_POINTS = 31
#: Step of the second difference at the minimum, eV.
CURVATURE_STEP_EV = 0.02


@dataclass(frozen=True)
class EnergyShift:
    """A fitted shift: value and standard deviation in eV; whether the search ran to its end."""

    value: float
    sd: float
    at_limit: bool


def require_cover(library: Library, energy: np.ndarray) -> None:
    """Refuse a library that leaves energies of the fit without standards at zero shift."""
    if not library.covers(energy).all():
        low, high = library.energy_range
        common = f"[{max(low, energy[0]):.1f}, {min(high, energy[-1]):.1f}]"
        apart = low > energy[-1] or high < energy[0]
        raise LibraryError(
            f"the library {library.id!r} covers {low:.1f} to {high:.1f} eV, the stack is fitted "
            f"over {energy[0]:.1f} to {energy[-1]:.1f} eV",
            remedy="choose standards of this edge"
            if apart
            else f"set [deconvolution] range = {common} or use standards over a wider range",
        )


def energies_in_range(energy: np.ndarray, fit_range: tuple[float, float] | None) -> np.ndarray:
    """Which energies (bool) lie in the fit range."""
    low, high = fit_range or (-np.inf, np.inf)
    chosen = (energy >= low) & (energy <= high)
    if not chosen.any():
        raise FitError(
            f"no energy of the stack ({energy[0]:.1f} to {energy[-1]:.1f} eV) lies in the fit "
            f"range {low:g} to {high:g} eV",
            remedy="set [deconvolution] range inside the stack's energies",
        )
    return chosen


def fit_energy_shift(
    spectra: np.ndarray,
    variance: np.ndarray | None,
    energy: np.ndarray,
    library: Library,
    *,
    baseline: str | None = "constant",
    nonnegative: bool = True,
    search: float = SEARCH_EV,
) -> EnergyShift:
    """Shift that lets the standards fit some spectra best, all spectra together.

    Variable projection: for every trial shift the weights are solved by (non-negative) least
    squares, so that only the shift is searched, on a grid of 31 points and then by Brent's method
    around the best. Its variance is ``2 s² / RSS''`` at the minimum, with s² the residual variance
    and the second derivative by finite differences.

    Parameters
    ----------
    spectra : ndarray, shape (n_spectra, n_energy)
        Mean spectra (of the sample, of clusters), optical density.
    variance : ndarray, shape (n_spectra, n_energy), or None
        Their variances up to a common factor; None weighs all energies alike.
    energy : ndarray, shape (n_energy,)
        File axis in eV.
    library : Library
        The standards.
    baseline : "constant" or None
        Whether every spectrum has a free constant.
    nonnegative : bool
        Whether weights are kept >= 0.
    search : float
        Half width of the search in eV.

    Returns
    -------
    EnergyShift

    Raises
    ------
    FitError
        Fewer energies than unknowns are covered by the library at every trial shift.
    """
    # The same energies at every trial shift, or the sums of squares could not be compared.
    h = CURVATURE_STEP_EV
    common = library.covers(energy, -search - h) & library.covers(energy, search + h)
    usable = np.isfinite(np.atleast_2d(spectra)).all(axis=0) & common
    n_unknown = len(library.names) + (baseline is not None)
    if usable.sum() <= n_unknown + 1:
        raise FitError(
            f"only {int(usable.sum())} energies lie inside the library's "
            f"{library.energy_range[0]:.1f} to {library.energy_range[1]:.1f} eV for shifts up to "
            f"{search:g} eV, too few for {n_unknown} unknowns",
            remedy="hold the shift with energy_shift = 0.0 or use standards over a wider range",
        )
    axis = energy[usable]
    data = np.atleast_2d(spectra)[:, usable].astype(np.float64)
    if variance is None:
        root_weight = np.ones_like(data)
    else:
        spread = np.atleast_2d(variance)[:, usable].astype(np.float64)
        root_weight = 1 / np.sqrt(spread / spread.mean())

    def misfit(shift: float) -> float:
        model = library.spectra(axis, shift=shift).values.T
        model = model / np.linalg.norm(model, axis=0)
        if baseline is not None:
            model = np.column_stack([model, np.ones(axis.size)])
            bounded = np.column_stack([model, -np.ones(axis.size)])
        else:
            bounded = model
        total = 0.0
        for spectrum, root in zip(data, root_weight, strict=True):
            if nonnegative:
                total += nnls(bounded * root[:, None], spectrum * root)[1] ** 2
            else:
                fitted, *_ = np.linalg.lstsq(model * root[:, None], spectrum * root, rcond=None)
                total += float((((spectrum - model @ fitted) * root) ** 2).sum())
        return total

    grid = np.linspace(-search, search, GRID_POINTS)
    values = np.array([misfit(shift) for shift in grid])
    best = int(values.argmin())
    step = grid[1] - grid[0]
    around = (max(grid[best] - step, -search), min(grid[best] + step, search))
    found = minimize_scalar(misfit, bounds=around, method="bounded", options={"xatol": 1e-4})
    shift, lowest = float(grid[best]), float(values[best])
    if found.fun < lowest:
        shift, lowest = float(found.x), float(found.fun)
    curvature = (misfit(shift + h) - 2 * lowest + misfit(shift - h)) / h**2
    freedom = data.size - len(data) * n_unknown - 1
    noise = lowest / freedom
    return EnergyShift(
        value=shift,
        sd=float(np.sqrt(2 * noise / curvature)) if curvature > 0 else float("inf"),
        at_limit=abs(shift) > search - 1e-3,
    )
