"""Composition of a mixture of standards (Equation 6 of the paper), and how its error follows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from chemoscape.errors import LibraryError


@dataclass(frozen=True)
class Mixture:
    """Composition of a mixture and its derivative with every weight.

    ``value`` has the shape of one weight; ``gradient`` that of all weights.
    """

    value: np.ndarray
    gradient: np.ndarray

    def variance(self, covariance: np.ndarray) -> np.ndarray:
        """First-order (delta method) variance from the covariance of the weights, (K, K, …)."""
        return np.einsum("i...,ij...,j...->...", self.gradient, covariance, self.gradient)


def amounts(weights: np.ndarray, molar_mass: np.ndarray) -> np.ndarray:
    """Formula units per area, ``n_i = t_i / M_i``; the weights themselves where M is unknown.

    Parameters
    ----------
    weights : ndarray, shape (K, …)
        Areal mass (g/cm²) of each standard, or relative weights.
    molar_mass : ndarray, shape (K,)
        g/mol; NaN anywhere means that the weights already count alike.
    """
    return weights * _per_weight(molar_mass).reshape(-1, *(1,) * (weights.ndim - 1))


def mean_composition(weights: np.ndarray, values: np.ndarray, molar_mass: np.ndarray) -> Mixture:
    """Composition of a mixture, counted in formula units.

    ``x = Σ n_i x_i / Σ n_i`` with ``n_i = t_i / M_i``: Equation 6 of Santos et al. 2022 with its
    weights normalised. ``∂x/∂t_i = (x_i - x) / (M_i Σ n)``.

    Parameters
    ----------
    weights : ndarray, shape (K, …)
    values : ndarray, shape (K,)
        Composition of each standard.
    molar_mass : ndarray, shape (K,)
        g/mol, or NaN.

    Examples
    --------
    >>> half = mean_composition(np.array([1.0, 1.0]), np.array([0.1, 0.5]), np.full(2, np.nan))
    >>> round(float(half.value), 12)
    0.3
    """
    each = (-1, *(1,) * (weights.ndim - 1))
    n = amounts(weights, molar_mass)
    total = n.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = (n * values.reshape(each)).sum(axis=0) / total
        gradient = (values.reshape(each) - x) * _per_weight(molar_mass).reshape(each) / total
    return Mixture(x, gradient)


def literal_composition(weights: np.ndarray, values: np.ndarray) -> Mixture:
    """The paper's Equation 6 as printed, ``C = Σ φ_i x_i``: right where the weights sum to one."""
    each = (-1, *(1,) * (weights.ndim - 1))
    gradient = np.broadcast_to(values.reshape(each), weights.shape)
    return Mixture((weights * gradient).sum(axis=0), gradient)


def _per_weight(molar_mass: np.ndarray) -> np.ndarray:
    """Formula units per unit of weight."""
    if not np.isfinite(molar_mass).all():
        return np.ones_like(molar_mass)
    return 1 / molar_mass


def mass_fractions(formula: str) -> dict[str, float]:
    """Mass fraction of each element in a formula.

    Raises
    ------
    LibraryError
        The formula is empty or cannot be read.

    Examples
    --------
    >>> {symbol: round(share, 4) for symbol, share in mass_fractions("V2O5").items()}
    {'V': 0.5602, 'O': 0.4398}
    """
    parsed = _of_atoms(formula)
    return {symbol: n * mass / parsed.mass for symbol, n, mass in parsed.atoms}


def counts_of(formula: str) -> dict[str, float]:
    """Number of atoms of each element in a formula.

    Raises
    ------
    LibraryError
        The formula is empty or cannot be read.

    Examples
    --------
    >>> counts_of("Li0.45V2O5")
    {'Li': 0.45, 'V': 2.0, 'O': 5.0}
    """
    return {symbol: n for symbol, n, _ in _of_atoms(formula).atoms}


def molar_mass(formula: str) -> float:
    """Molar mass (g/mol) of a formula such as ``"Li0.45V2O5"``; NaN for an empty one.

    Raises
    ------
    LibraryError
        The formula cannot be read.

    Examples
    --------
    >>> round(molar_mass("V2O5"), 2)
    181.88
    """
    return _parsed(formula).mass if formula.strip() else np.nan


@dataclass(frozen=True)
class _Parsed:
    """A formula that was read: its mass (g/mol), symbol, number and mass of each of its atoms."""

    mass: float
    atoms: tuple[tuple[str, float, float], ...]


def _of_atoms(formula: str) -> _Parsed:
    """A formula that holds atoms."""
    if not formula.strip():
        raise LibraryError("there is no formula", remedy="write it as in Li0.45V2O5")
    parsed = _parsed(formula)
    if not parsed.mass > 0:
        raise LibraryError(
            f"the formula {formula!r} holds no atoms", remedy="write it as in Li0.45V2O5"
        )
    return parsed


@lru_cache(maxsize=512)  # the parser takes a millisecond
def _parsed(formula: str) -> _Parsed:
    """A formula as periodictable reads it."""
    import periodictable

    try:
        read = periodictable.formula(formula.replace(" ", ""))
        atoms = tuple((str(el), float(n), float(el.mass)) for el, n in read.atoms.items())
        return _Parsed(float(read.mass), atoms)
    except Exception as error:  # noqa: BLE001  (the parser raises whatever its grammar meets)
        raise LibraryError(
            f"the formula {formula!r} cannot be read ({error})", remedy="write it as in Li0.45V2O5"
        ) from None
