"""Strain of the stress-free material: by a rate, by a lattice table, by two concentrations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import MaterialError
from chemoscape.mechanics.lattice import Lattice

Numbers = float | tuple[float, ...]

AVOGADRO = 6.02214076e23  # 1/mol, exact
FORMULA_UNITS = 2  # Z of alpha-V2O5 (Pmmn) and of epsilon-LixV2O5


def axis_strain(
    eigenstrain: Numbers | Lattice, composition: ArrayLike, reference: float
) -> np.ndarray:
    """Strain along xi, eta and across the image, shape (3, …); NaN across where not known.

    Parameters
    ----------
    eigenstrain : float, tuple of 2 or 3 float, or Lattice
        Strain per unit of composition: of all axes, of xi and eta, of xi, eta and across; or the
        cell against composition.
    composition : array_like
        Compositions.
    reference : float
        Composition that is free of strain.

    Raises
    ------
    MaterialError
        A composition lies outside the lattice table.

    Examples
    --------
    >>> axis_strain((-0.02, 0.04), [0.5], 0.0).tolist()
    [[-0.01], [0.02], [nan]]
    """
    x = np.asarray(composition, dtype=float)
    if isinstance(eigenstrain, Lattice):
        return eigenstrain.strain(x, reference)
    several = isinstance(eigenstrain, tuple)
    rates = (*eigenstrain, np.nan)[:3] if isinstance(eigenstrain, tuple) else (eigenstrain,) * 3
    # 0 per unit is no strain, but the axis that is not told stays unknown
    return (
        np.multiply.outer(rates, x - reference)
        if several
        else np.array([rates[0] * (x - reference)] * 3)
    )


def in_image(strain: np.ndarray, angle_deg: ArrayLike) -> np.ndarray:
    """Strain (xi, eta, zeta) as (xx, yy, 2 xy, zz), shape (4, …).

    Parameters
    ----------
    strain : numpy.ndarray, shape (3, …)
        Along the particle's axes.
    angle_deg : array_like
        From the image's x to xi, towards its y; broadcasts against the other dimensions.
    """
    turn = strain_rotation(angle_deg)[..., :2]
    flat = np.einsum("...ij,j...->i...", turn, strain[:2])
    return np.concatenate([flat, strain[2:]])


def strain_rotation(angle_deg: ArrayLike) -> np.ndarray:
    """Matrix T from strains (xi, eta, 2 xi-eta) to (xx, yy, 2 xy), shape (…, 3, 3).

    Stress goes the other way with its transpose, so that stress · strain is the same.

    Parameters
    ----------
    angle_deg : array_like
        From x to xi, towards y.

    Examples
    --------
    >>> (strain_rotation(45.0) @ [0.02, 0.0, 0.0]).round(3).tolist()
    [0.01, 0.01, 0.02]
    """
    angle = np.deg2rad(np.asarray(angle_deg, dtype=float))
    c, s = np.cos(angle), np.sin(angle)
    rows = [[c * c, s * s, -s * c], [s * s, c * c, s * c], [2 * s * c, -2 * s * c, c * c - s * s]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def numbers(value: object, name: str) -> Numbers:
    """A number, or a tuple of several, all finite; lists become tuples."""
    several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    try:
        each: tuple[Any, ...] = tuple(value) if several else (value,)  # type: ignore[arg-type]
        found = tuple(float(one) for one in each)
    except (TypeError, ValueError):
        raise MaterialError(f"{name} is {value!r}", remedy="give a finite number") from None
    if not all(map(math.isfinite, found)):
        raise MaterialError(f"{name} is {value}", remedy="give a finite number")
    return found if several else found[0]


def check_rates(eigenstrain: Numbers) -> None:
    """One, two or three fractions."""
    rates = eigenstrain if isinstance(eigenstrain, tuple) else (eigenstrain,)
    if isinstance(eigenstrain, tuple) and len(rates) not in (2, 3):
        raise MaterialError(
            f"eigenstrain has {len(rates)} values", remedy="give one, two or three numbers"
        )
    for rate in rates:
        if abs(rate) >= 1:
            raise MaterialError(
                f"an eigenstrain of {rate:g} is {rate:.0%} per unit",
                remedy="give it as a fraction: 0.02 for 2 %",
            )


def concentration(
    x: ArrayLike, composition: tuple[float, float], bounds: tuple[float, float]
) -> np.ndarray:
    """Lithium concentration c, linear in composition (Equation 7).

        c = c_min + (x - x_min) (c_max - c_min) / (x_max - x_min)

    Parameters
    ----------
    x : array_like
        Composition.
    composition : pair of float
        x_min and x_max.
    bounds : pair of float
        c_min and c_max, in mol/m³.

    Returns
    -------
    numpy.ndarray
        Concentration in mol/m³.

    Raises
    ------
    MaterialError
        The two compositions are equal.

    Examples
    --------
    >>> concentration([0.1, 0.25, 0.4], (0.1, 0.4), (1.85e3, 7.26e3)).round(6).tolist()
    [1850.0, 4555.0, 7260.0]
    """
    (x_min, x_max), (c_min, c_max) = composition, bounds
    if not x_min < x_max:
        raise MaterialError(
            f"the compositions {x_min:g} and {x_max:g} do not rise", remedy="give x_min < x_max"
        )
    share = (np.asarray(x, dtype=float) - x_min) / (x_max - x_min)
    return (1 - share) * c_min + share * c_max  # exact at both ends


def volume_per_cell(
    x: ArrayLike, concentration_mol_m3: ArrayLike, formula_units: int = FORMULA_UNITS
) -> np.ndarray:
    """Volume of the unit cell in Å³ that belongs to a lithium concentration: V = x Z / (N_A c).

    Examples
    --------
    >>> volume_per_cell([0.1, 0.4], [1.85e3, 7.26e3]).round(2).tolist()
    [179.52, 182.98]
    """
    moles = np.asarray(x, dtype=float) * formula_units / AVOGADRO
    return 1e30 * moles / np.asarray(concentration_mol_m3, dtype=float)


def eigenstrain_from_concentrations(
    composition: tuple[float, float], bounds: tuple[float, float]
) -> float:
    """Isotropic linear strain per unit of composition, from two lithium concentrations.

    Equation 9 strains the material by c Ω/3, with Ω the partial molar volume. Two concentrations
    fix the volumes of the cell, V = x Z / (N_A c), and so the linear strain between them, which is
    Ω/3 times the rise in c:

        e = (V_max / V_min)^(1/3) - 1 = (Ω/3) (c_max - c_min),   per unit of x: e / (x_max - x_min)

    For LixV2O5 the bounds 1.85e3 mol/m³ at x = 0.1 and 7.26e3 at x = 0.4 give 179.52 and 182.98 Å3,
    a volume change of 1.93 %, e = 0.64 % and 0.0213 per unit of x (Ω = 3.5e-6 m³/mol). The bounds
    are rounded: the cell measured at x = 0.1
    (11.512 × 3.564 × 4.368 Å, 179.21 Å3, 1853 mol/m³) makes e 0.70 % and 0.0232 per unit of x.

    With these bounds Equation 7 gives c = 47 mol/m³ at x = 0, 0.6 % of c_max; counting strain from
    x = 0 instead of c = 0 leaves out an expansion of 5e-5.

    Parameters
    ----------
    composition : pair of float
        x_min and x_max.
    bounds : pair of float
        c_min and c_max in mol/m³.

    Returns
    -------
    float
        Strain per unit of composition.

    Raises
    ------
    MaterialError
        Values are not positive or do not rise.

    Examples
    --------
    >>> e = eigenstrain_from_concentrations((0.1, 0.4), (1.85e3, 7.26e3))
    >>> round(e, 4), round(0.3 * e, 4)
    (0.0213, 0.0064)
    """
    if not (0 < composition[0] < composition[1] and 0 < bounds[0] < bounds[1]):
        raise MaterialError(
            f"compositions {composition} and concentrations {bounds} must be positive and rising",
            remedy="give (x_min, x_max) and (c_min, c_max) with x_min above 0",
        )
    low, high = volume_per_cell(composition, bounds)
    return float(np.cbrt(high / low) - 1) / (composition[1] - composition[0])
