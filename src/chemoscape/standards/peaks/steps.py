"""What free atoms absorb under the peaks: tabulated, with the steps where the solid has them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from chemoscape.errors import FitError
from chemoscape.standards.atomic import Edge, edges_of, element_absorption
from chemoscape.standards.mixing import mass_fractions
from chemoscape.standards.peaks.model import SHARES, PeakModel, Step
from chemoscape.standards.peaks.shapes import step

#: Distance (eV, or part of the energy) from a tabulated edge at which its table is smooth.
_CLEAR, _LENGTH = 0.006, 0.06


def atomic_background(formula: str, model: PeakModel, energy: np.ndarray) -> np.ndarray:
    """Mass absorption of the free atoms with the steps of a model, (n,), cm2/g.

    ``mu(E) = sum_k w_k (b_k + (a_k - b_k) sum_j q_j step((E - E_j) / width))``: of each element
    the table below (b) and above (a) its edges, continued as power laws through them; q shares a
    shell's step among its edges (2:1 of L3 and L2). Elements without a step keep their table.

    Raises
    ------
    FitError
        The formula has no such edge.
    """
    shares = mass_fractions(formula)
    total = np.zeros_like(energy)
    for one in model.steps:
        if one.edge.split()[0] not in shares:
            raise FitError(
                f"{formula} has no {one.edge.split()[0]} for the step {one.edge!r}",
                f"peak model {model.name!r}",
                "take it out of the model, or mend the formula",
            )
    for symbol, share in shares.items():
        own = [one for one in model.steps if one.edge.split()[0] == symbol]
        if not own:
            total = total + share * element_absorption(symbol, energy)
            continue
        below, above = _around(symbol, own[0], energy)
        risen = sum(
            SHARES.get(one.edge.split()[1], 1.0)
            * step(energy - one.energy, model.step_fwhm, model.step_shape)
            for one in own
        )
        total = total + share * (below + (above - below) * risen)
    return total


def edge_of(one: Step) -> Edge:
    """The tabulated edge of a step.

    Raises
    ------
    FitError
        There is none.
    """
    symbol, _, level = one.edge.partition(" ")
    edges = edges_of(symbol, 10.0, 2e5) if symbol else ()
    for edge in edges:
        if edge.name == f"{symbol} {level}":
            return edge
    raise FitError(
        f"there is no edge {one.edge!r}", remedy="write element and level, such as 'V L3'"
    )


def _around(symbol: str, one: Step, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power laws of the table below and above the shell of a step, at the energies (cm2/g)."""
    shell = edge_of(one).name.split()[1][0]
    # L1, M1, … are too weak to matter, and too far above to belong to the step.
    group = [
        edge.energy
        for edge in edges_of(symbol, 10.0, 2e5)
        if edge.name.split()[1] in SHARES or edge.name.split()[1] == "K"
        if edge.name.split()[1][0] == shell
    ]
    low, high = min(group), max(group)
    below = _power_law(symbol, low * (1 - _CLEAR - _LENGTH), low * (1 - _CLEAR))
    above = _power_law(symbol, high * (1 + 4 * _CLEAR), high * (1 + 4 * _CLEAR + 2 * _LENGTH))
    at = np.log(energy)
    return np.exp(np.polyval(below, at)), np.exp(np.polyval(above, at))


@lru_cache(maxsize=64)
def _power_law(symbol: str, low: float, high: float) -> tuple[float, float]:
    """Slope and intercept of ln(mu) against ln(E) between two energies."""
    inside = np.linspace(low, high, 40)
    slope, level = np.polyfit(np.log(inside), np.log(element_absorption(symbol, inside)), 1)
    return float(slope), float(level)
