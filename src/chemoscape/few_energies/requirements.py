"""What a plan is asked for, checked: a budget, enough energies, candidates to choose from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import FitError, LibraryError
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.model import Nuisance

#: Candidate energies of a library lie so far apart, eV.
GRID_EV = 0.1


def budget_of(
    expected: Expected,
    dose_MGy: float | None,
    photons: float | None,
    absorbed_eV: float | None,
    pixel_um: float,
    efficiency: float,
) -> float:
    """Photons on a pixel where these are given, else eV absorbed in it."""
    if not (np.isfinite(efficiency) and 0 < efficiency <= 1):
        raise FitError(
            f"an efficiency of {efficiency} is impossible", remedy="give a share, such as 0.3"
        )
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise FitError(f"a pixel of {pixel_um} µm is impossible", remedy="give its side in µm")
    given = [value for value in (dose_MGy, photons, absorbed_eV) if value is not None]
    if len(given) != 1 or not (np.isfinite(given[0]) and given[0] > 0):
        raise FitError(
            "a plan needs either a dose or a number of photons, above 0",
            remedy="give dose_MGy, or photons",
        )
    if dose_MGy is None:
        return given[0]
    per_eV = expected.dose_per_eV(pixel_um)
    if not np.isfinite(per_eV):
        raise LibraryError(
            "its spectra are optical densities, so that no dose can be told",
            f"library {expected.library.id!r}",
            "say how heavy the sample is, with areal_mass (--areal-mass), or give photons",
        )
    return given[0] / per_eV


def fewest_energies(expected: Expected, nuisance: Nuisance) -> int:
    """As many energies as unknowns: the standards, and a constant that is free."""
    return len(expected.library.names) + int(np.isinf(nuisance.offset_sd))


def require_enough(n: int, expected: Expected, nuisance: Nuisance) -> None:
    """Refuse fewer energies than unknowns."""
    fewest = fewest_energies(expected, nuisance)
    if n < fewest:
        free = " and a free constant" if np.isinf(nuisance.offset_sd) else ""
        raise FitError(
            f"{n} energ{'y' if n == 1 else 'ies'} cannot tell {len(expected.library.names)} "
            f"standards{free} apart",
            remedy=f"take {fewest} or more",
        )


def grid_of(
    expected: Expected,
    candidates: ArrayLike | None,
    within: tuple[float, float] | None,
    always: Sequence[float],
    highest_od: float,
) -> np.ndarray:
    """Energies to choose from, ascending; parameters are those of `choose_energies`."""
    low, high = within or expected.window
    outside = [one for one in always if not expected.library.covers(one)]
    if outside:
        first, last = expected.library.energy_range
        raise FitError(
            f"{outside[0]:g} eV is always to be taken, and the standards cover {first:g} to "
            f"{last:g} eV",
            remedy="name an energy within",
        )
    if candidates is None:
        grid = np.round(np.arange(low, high + GRID_EV / 2, GRID_EV), 6)
    else:
        grid = np.unique(np.asarray(candidates, dtype=np.float64))
        grid = grid[(grid >= low) & (grid <= high)] if within else grid
    if not grid.size:
        raise FitError(
            f"no candidate energy lies within {low:g} to {high:g} eV", remedy="widen the range"
        )
    thin = expected.optical_density(grid).max(axis=0) <= highest_od
    if not thin.any():
        raise FitError(
            f"the sample absorbs more than an optical density of {highest_od:g} at every energy",
            remedy="plan for a thinner one",
        )
    return np.unique(np.concatenate([grid[thin], np.asarray(always, dtype=np.float64)]))


def places_of(always: Sequence[float], n: int, grid: np.ndarray) -> list[int]:
    """Places in the grid of the energies that are taken in any case, at most n."""
    places = [int(np.argmin(np.abs(grid - one))) for one in always]
    if len(set(places)) != len(places) or len(places) > n:
        raise FitError(
            f"{len(places)} energies are always taken where {n} different ones are wanted",
            remedy="name each once, or ask for more energies",
        )
    return places


def require_room(n: int, grid: np.ndarray, spacing_eV: float) -> None:
    """Refuse more energies than the grid has, or has room for."""
    most = 1 + int((np.ptp(grid) + 1e-9) // spacing_eV) if spacing_eV > 0 else grid.size
    if n > min(grid.size, most):
        raise FitError(
            f"{n} energies, {spacing_eV:g} eV apart, cannot be chosen among {grid.size} from "
            f"{grid[0]:.1f} to {grid[-1]:.1f} eV",
            remedy="widen the range, or ask for fewer",
        )
