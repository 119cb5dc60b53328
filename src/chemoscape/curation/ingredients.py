"""What a spectrum is made of, by the other standards of a library."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import comb

import numpy as np

from chemoscape.decompose.combinations.ranking import MOST_COMBINATIONS, rank_combinations
from chemoscape.decompose.combinations.result import LinearCombinationFit
from chemoscape.errors import ChemoscapeWarning, FitError
from chemoscape.standards.library import Library

#: Standards tried together.
MOST_STANDARDS = 3


@dataclass(frozen=True)
class Share:
    """Share of one standard in a mixture (of the weights: of mass where there is a mass scale)."""

    standard: str
    share: float
    sd: float


@dataclass(frozen=True)
class Explanation:
    """The best combination of other standards for a spectrum.

    ``unexplained`` is the rms residual over the rms of the spectrum less its fitted baseline;
    ``energy_shift_eV`` is E(spectrum) - E(library); ``remarks`` are doubts said while fitting.
    """

    shares: tuple[Share, ...]
    unexplained: float
    energy_shift_eV: float
    ambiguous: bool
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = ", ".join(
            f"{100 * one.share:.1f} ± {100 * one.sd:.1f} % {one.standard}" for one in self.shares
        )
        text = f"{parts}; {100 * self.unexplained:.1f} % unexplained"
        text += f"; energies moved by {self.energy_shift_eV:+.3f} eV"
        return text + ("; others fit as well" if self.ambiguous else "")


def explain(energy: np.ndarray, spectrum: np.ndarray, library: Library) -> Explanation:
    """Explain a spectrum by a library's standards: the best of all combinations of up to three.

    Weights are not negative, a straight line is free (what else absorbs: a substrate, edges below),
    and the energy shift is fitted. ``sd`` of a share follows by the delta method from the weights'
    covariance (scaled with the residual, the shift's error included).

    Raises
    ------
    FitError
        Nothing fits, or the spectrum has too few energies.
    LibraryError
        The library covers none of its energies.
    """
    n, most = len(library.names), 1
    while most < min(MOST_STANDARDS, n) and (
        sum(comb(n, size) for size in range(1, most + 2)) <= MOST_COMBINATIONS
    ):
        most += 1
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ChemoscapeWarning)
        ranked = rank_combinations(
            (energy, spectrum), library, max_standards=most, baseline="linear"
        )
    best = ranked.best
    over = best.data - best.background
    left = np.sqrt((best.residual**2).sum() / (over**2).sum()) if over.any() else np.nan
    if not best.weights.sum() > 0:
        raise FitError("nothing of the standards is in the spectrum", remedy="check its edge")
    return Explanation(
        shares=_shares(best),
        unexplained=float(left),
        energy_shift_eV=best.energy_shift_eV,
        ambiguous=ranked.ambiguous,
        remarks=tuple(dict.fromkeys(str(one.message) for one in said)),
    )


def _shares(fit: LinearCombinationFit) -> tuple[Share, ...]:
    """Shares ``s_i = w_i / Σ w`` with ``∂s_i/∂w_j = (δ_ij - s_i) / Σ w``, largest first."""
    slope = (np.eye(fit.weights.size) - fit.shares[:, None]) / fit.weights.sum()
    sd = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", slope, fit.covariance, slope), 0))
    each = zip(fit.standards, fit.shares, sd, strict=True)
    found = [Share(name, float(share), float(error)) for name, share, error in each]
    return tuple(sorted(found, key=lambda one: -one.share))
