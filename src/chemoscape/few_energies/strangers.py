"""Which substances a few energies would take for a mixture of the standards.

Energies that separate two standards best need not separate them from a third: a phase that is
neither may give the very images of a mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from chemoscape.few_energies.doubts import IMPROBABLE, NEGATIVE_SDS
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.problem import Problem
from chemoscape.standards.library import Library

#: Counting variance of the mean of many pixels: next to none.
_OF_MANY = 1e-9


@dataclass(frozen=True)
class Stranger:
    """A substance that is none of the standards, as the images would show it.

    Parameters
    ----------
    name, label : str
    composition : float
        That of the mixture it is taken for.
    chance : float
        Probability that images of a mixture depart as much; NaN where that cannot be tested.
    noticed : bool
        Whether a run on such a sample would warn (`doubts.warn_of_misfit`).
    """

    name: str
    label: str
    composition: float
    chance: float
    noticed: bool


def strangers(
    pair: Library,
    others: Library,
    energies: Sequence[float] | np.ndarray,
    areal_mass: float,
    *,
    nuisance: Nuisance | None = None,
    misfit_scale: float = 1.0,
) -> list[Stranger]:
    """How each of `others` that is none of `pair` would be seen at some energies.

    Parameters
    ----------
    pair : Library
        The standards that are mapped between.
    others : Library
        Substances that might be there, of the same scale.
    energies : array_like, shape (n,)
        eV.
    areal_mass : float
        Of the sample, g/cm2 (the weight of a standard in optical density).
    nuisance : Nuisance, optional
    misfit_scale : float
        As of `fit_maps`.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> library = open_library("lixv2o5-model")
    >>> pair = library.select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")
    >>> seen = {one.name: one for one in strangers(pair, library, [508, 518.5, 532.7, 539.2], 1e-5)}
    >>> seen["delta-Li0.9V2O5"].noticed, round(seen["delta-Li0.9V2O5"].composition, 1)
    (False, 0.3)
    """
    axis = np.asarray(energies, dtype=np.float64)
    problem = Problem.of(axis, pair, nuisance or Nuisance(), 0.0, misfit_scale)
    found = []
    for name, label, spectrum in zip(
        others.names, others.labels, others.spectra(axis).values, strict=True
    ):
        if name in pair.names:
            continue
        density, variance = areal_mass * spectrum, np.full(axis.size, _OF_MANY)
        weights, sd, squares, degrees = problem.of_mean(density, variance)
        chance = float(chi2.sf(squares, degrees)) if degrees > 0 else float("nan")
        negative = bool((weights < -NEGATIVE_SDS * sd).any())
        pixel = (one[:, None, None] for one in (density, variance, np.zeros(axis.size)))
        seen = problem.split(problem.planes(*pixel))["unclipped"].item()
        found.append(Stranger(name, label, seen, chance, negative or bool(chance < IMPROBABLE)))
    return found


def guard(
    pair: Library,
    others: Library,
    energies: Sequence[float] | np.ndarray,
    areal_mass: float,
    candidates: np.ndarray,
    *,
    nuisance: Nuisance | None = None,
) -> tuple[float, list[Stranger]]:
    """One image more that leaves the fewest substances unnoticed.

    Parameters
    ----------
    pair, others, energies, areal_mass, nuisance
        As of `strangers`.
    candidates : ndarray, shape (n_candidates,)
        Energies to choose from, eV.

    Returns
    -------
    energy : float
    seen : list of Stranger
        How the others are seen with it; of equally many unnoticed ones, with the least chance of
        the likeliest to pass.
    """

    def unseen(energy: float) -> tuple[int, float, float, list[Stranger]]:
        seen = strangers(pair, others, np.append(energies, energy), areal_mass, nuisance=nuisance)
        silent = [one.chance for one in seen if not one.noticed]
        return len(silent), max(silent, default=0.0), energy, seen

    best = min((unseen(float(one)) for one in candidates), key=lambda one: one[:3])
    return best[2], best[3]
