"""Tabulated absorption of atoms: mass absorption coefficients, edges, widths of core levels.

Two tables are at hand: Henke's (Atomic Data and Nuclear Data Tables 54, 181, 1993; through
periodictable), the default, and Chantler's (NIST SRD 66, 2005; through xraydb), whose difference
tells how well either is known. Both describe isolated atoms: between an edge and some 20 eV above
the highest they say nothing of a solid, whose resonances stand there. Neither Elam's table (which
rises behind the edges, -8 % at 560 eV in V2O5) nor Fii of xraylib (which holds white lines) will
do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.constants import N_A, c, e, h, physical_constants

from chemoscape.errors import LibraryError
from chemoscape.standards.mixing import mass_fractions

Table = Literal["Henke", "Chantler"]

_CM = 1e2  # centimetres in a metre
_CLASSICAL_RADIUS = physical_constants["classical electron radius"][0] * _CM
_HC = h * c / e * _CM  # eV cm
_RANGE: dict[Table, tuple[float, float]] = {"Henke": (10.0, 3e4), "Chantler": (1.02, 9.66e5)}  # eV


@dataclass(frozen=True)
class Edge:
    """An absorption edge: its name (``"V L3"``), energy and natural width (eV)."""

    name: str
    energy: float
    width: float


def element_absorption(symbol: str, energy: np.ndarray, table: Table = "Henke") -> np.ndarray:
    """Mass absorption of an element, Henke's by ``mu = 2 r_e (h c / E) f2 N_A / M``.

    Parameters
    ----------
    symbol : str
        Element.
    energy : ndarray, shape (n,)
        Photon energies in eV.
    table : {"Henke", "Chantler"}

    Returns
    -------
    ndarray, shape (n,)
        cm2/g, of photoelectric absorption; NaN where the table ends (Henke: 10 eV to 30 keV,
        Chantler: 1 eV to 966 keV).

    Raises
    ------
    LibraryError
        The table has no such element.
    """
    energy = np.asarray(energy, dtype=np.float64)
    low, high = _RANGE[table]
    covered = (energy >= low) & (energy <= high)
    result = np.full(energy.shape, np.nan)
    if covered.any():
        result[covered] = _tabulated(symbol, energy[covered].tobytes(), table)
    return result


@lru_cache(maxsize=128)  # the same energies are asked for again and again
def _tabulated(symbol: str, energies: bytes, table: Table) -> np.ndarray:
    """Mass absorption (cm2/g) of an element at energies (float64) within a table."""
    energy = np.frombuffer(energies, dtype=np.float64)
    try:
        if table == "Chantler":
            import xraydb

            return np.atleast_1d(xraydb.mu_chantler(symbol, energy, photo=True))
        import periodictable

        element = getattr(periodictable, symbol)
        _, f2 = element.xray.scattering_factors(energy=energy / 1000.0)
        return np.asarray(2 * _CLASSICAL_RADIUS * _HC / energy * f2 * N_A / element.mass)
    except (AttributeError, IndexError, TypeError, ValueError):
        raise _no_element(symbol, f"{table}'s table") from None


def _no_element(symbol: str, table: str) -> LibraryError:
    return LibraryError(
        f"{table} has no element {symbol!r}",
        remedy="write plain elements in the formula, without charges and isotopes",
    )


def mass_absorption(formula: str, energy: np.ndarray, table: Table = "Henke") -> np.ndarray:
    """Mass absorption of a compound, ``sum_k w_k mu_k`` over the mass fractions of its elements.

    Parameters
    ----------
    formula : str
        ``"Li0.45V2O5"``.
    energy : ndarray, shape (n,)
        Photon energies in eV.
    table : {"Henke", "Chantler"}

    Returns
    -------
    ndarray, shape (n,)
        cm2/g.

    Raises
    ------
    LibraryError
        The formula cannot be read, is empty, or the table does not cover these energies.

    Examples
    --------
    >>> mass_absorption("V2O5", np.array([508.0, 555.0])).round().astype(int).tolist()
    [2206, 20906]
    """
    energy = np.asarray(energy, dtype=np.float64)
    total = np.zeros_like(energy)
    for symbol, share in mass_fractions(formula).items():
        total = total + share * element_absorption(symbol, energy, table)
    if not np.isfinite(total).all():
        raise LibraryError(
            f"{table}'s table does not cover {energy.min():g} to {energy.max():g} eV for {formula}",
            remedy="give energies within it, in eV",
        )
    return total


def edges_of(formula: str, low: float, high: float) -> tuple[Edge, ...]:
    """Absorption edges of a compound's elements between two energies, ascending.

    Parameters
    ----------
    formula : str
        Or a single element.
    low, high : float
        eV, both included.

    Raises
    ------
    LibraryError
        The formula cannot be read, is empty, or names what is no element.

    Examples
    --------
    >>> [(edge.name, edge.energy) for edge in edges_of("V2O5", 500, 560)]
    [('V L3', 512.1), ('V L2', 519.8), ('O K', 543.1)]
    """
    found = [
        edge
        for symbol in mass_fractions(formula)
        for edge in _edges_of_element(symbol)
        if low <= edge.energy <= high
    ]
    return tuple(sorted(found, key=lambda edge: edge.energy))


@lru_cache(maxsize=256)  # each is a query of a database on disk
def _edges_of_element(symbol: str) -> tuple[Edge, ...]:
    """All edges of an element; the width is NaN where none is tabulated."""
    import xraydb

    try:
        edges = xraydb.xray_edges(symbol)
    except ValueError:
        raise _no_element(symbol, "the list of edges") from None
    widths = xraydb.core_width(symbol) if edges else {}
    return tuple(
        Edge(f"{symbol} {name}", float(edge.energy), float(widths.get(name) or np.nan))
        for name, edge in edges.items()
    )
