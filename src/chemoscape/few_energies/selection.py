"""Which energies, and how much of the dose at each: the least error of composition.

`predict` says what given energies tell, `choose_energies` which ones tell most at a given dose. The
mathematics stand in the modules that do it: the error in `chemoscape.few_energies.model`, the dose
over the energies in `candidates`, the search in `exchange`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import FitError
from chemoscape.few_energies.candidates import Candidates
from chemoscape.few_energies.comparisons import compared
from chemoscape.few_energies.exchange import Exchange
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.plan import Plan
from chemoscape.few_energies.requirements import (
    budget_of,
    grid_of,
    places_of,
    require_enough,
    require_room,
)

Shares = Literal["equal", "best"] | ArrayLike


def predict(
    expected: Expected,
    energies: ArrayLike,
    *,
    dose_MGy: float | None = None,
    photons: float | None = None,
    absorbed_eV: float | None = None,
    shares: Shares = "equal",
    nuisance: Nuisance | None = None,
    pixel_um: float = 0.01,
    efficiency: float = 1.0,
) -> Plan:
    """What images at given energies will tell of the composition.

    Parameters
    ----------
    expected : Expected
        The samples.
    energies : array_like, shape (n,)
        eV.
    dose_MGy, photons, absorbed_eV : float
        One of them, of all images together: absorbed dose, photons incident on a pixel, or energy
        absorbed in a pixel (a dose without a mass).
    shares : "equal", "best" or array_like, shape (n,)
        Photons of the images: alike, as they give the least error, or in proportion to numbers.
    nuisance : Nuisance, optional
        What is uncertain besides the counts.
    pixel_um, efficiency : float
        Side of a pixel, µm; counts per photon that arrives at the detector.

    Raises
    ------
    FitError
        The energies cannot tell the standards apart, or a number is impossible.
    LibraryError
        The library does not cover the energies, or gives no mass for a dose.
    """
    nuisance = nuisance or Nuisance()
    axis = np.asarray(energies, dtype=np.float64).ravel()
    if np.unique(axis).size != axis.size:
        raise FitError("an energy is named twice", remedy="name it once")
    require_enough(axis.size, expected, nuisance)
    budget = budget_of(expected, dose_MGy, photons, absorbed_eV, pixel_um, efficiency)
    by_photons = photons is not None
    if isinstance(shares, str) and shares == "best":
        at = Candidates.of(expected, axis, nuisance, efficiency, by_photons=by_photons)
        each = at.share_out(at.everything, budget)[0]
    else:
        relative = _relative(shares, axis.size)
        cost = relative if by_photons else relative * expected.absorbed(axis)
        each = relative * budget / float(cost.sum())
    return Plan.of(expected, axis, each, nuisance, pixel_um, efficiency)


def choose_energies(
    expected: Expected,
    n: int,
    *,
    dose_MGy: float | None = None,
    photons: float | None = None,
    absorbed_eV: float | None = None,
    shares: Literal["equal", "best"] = "best",
    nuisance: Nuisance | None = None,
    pixel_um: float = 0.01,
    efficiency: float = 1.0,
    candidates: ArrayLike | None = None,
    within: tuple[float, float] | None = None,
    always: Sequence[float] = (),
    spacing_eV: float = 0.2,
    highest_od: float = np.inf,
    compare_with: Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
) -> Plan:
    """The `n` energies that give the least mean variance of composition at a given dose.

    Parameters
    ----------
    expected, dose_MGy, photons, absorbed_eV, nuisance, pixel_um, efficiency
        As of `predict`.
    n : int
        Number of images, those of `always` included.
    shares : "equal" or "best"
        Photons of the images: alike, or as they give the least error.
    candidates : array_like, optional
        Energies (eV) to choose from; default: every 0.1 eV `within`, or of the library's window.
    within : pair of float, optional
        Lowest and highest energy, eV.
    always : sequence of float
        Energies (eV) that are taken in any case, such as one before the edge.
    spacing_eV : float
        Least distance of two energies: closer ones would share the error of the monochromator,
        which is taken as independent from image to image.
    highest_od : float
        Energies at which a sample absorbs more are left out, `always` excepted.
    compare_with : mapping of name to array_like, optional
        Other measurements, with photons alike, at the same absorbed dose. Default: as many features
        of the spectrum as standards that do best with the last energy, and the whole scan.
    seed : int
        Of the random starts.

    Raises
    ------
    FitError, LibraryError
        As of `predict`; or there are not enough candidates.
    """
    nuisance = nuisance or Nuisance()
    budget = budget_of(expected, dose_MGy, photons, absorbed_eV, pixel_um, efficiency)
    if shares not in ("equal", "best"):
        raise FitError(f"shares is {shares!r}", remedy="give 'equal' or 'best'")
    grid = grid_of(expected, candidates, within, always, highest_od)
    fixed = places_of(always, n, grid)
    require_enough(n, expected, nuisance)
    require_room(n, grid, spacing_eV)
    at = Candidates.of(expected, grid, nuisance, efficiency, by_photons=photons is not None)
    design, bound = at.best_design(budget)
    search = Exchange(at, grid, n, fixed, budget, shares == "equal", spacing_eV - 1e-6)
    chosen = search.run(design, np.random.default_rng(seed))
    each = search.photons(chosen[None])[0]
    plan = Plan.of(expected, grid[chosen], each, nuisance, pixel_um, efficiency)
    others = compared(plan, compare_with, highest_od=highest_od)
    return replace(plan, bound=bound, compared=others)


def _relative(shares: Shares, n: int) -> np.ndarray:
    """Photons of the images in proportion, (n,)."""
    if isinstance(shares, str):
        if shares != "equal":
            raise FitError(f"shares is {shares!r}", remedy="give 'equal', 'best' or numbers")
        return np.ones(n)
    relative = np.asarray(shares, dtype=np.float64)
    if relative.shape != (n,) or not (relative > 0).all() or np.isinf(relative).any():
        raise FitError(
            "the shares of the images are impossible", remedy="give a positive one for each"
        )
    return relative
