"""What a particle is made of: elastic constants and the strain that composition brings.

Every record says where its values come from and whether they are measured, from the literature, or
only illustrative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import MaterialError

Plane = Literal["stress", "strain"]
Status = Literal["measured", "literature", "illustrative"]

AVOGADRO = 6.02214076e23  # 1/mol, exact
FORMULA_UNITS = 2  # Z of alpha-V2O5 (Pmmn) and of epsilon-LixV2O5


@dataclass(frozen=True)
class Material:
    """Isotropic linear elasticity with a strain proportional to composition.

    Parameters
    ----------
    young_GPa : float
        Young's modulus E in GPa.
    poisson : float
        Poisson's ratio, between -1 and 0.5.
    eigenstrain : float
        Linear in-plane strain per unit of the composition variable (isotropic), as a fraction.
    reference : float
        Composition at which the material is free of strain. Equation 9 of the paper (Santos et al.,
        Patterns 2022) has c and not c - c_ref, hence 0; the stress of a clamped particle depends on
        it, that of a free one does not.
    source : str
        Where the values come from; required unless they are illustrative.
    status : {"measured", "literature", "illustrative"}
        How far to trust them.

    Raises
    ------
    MaterialError
        A value is impossible.

    Examples
    --------
    >>> Material(43.0, 0.3, 0.02, reference=0.1).strain([0.1, 0.6]).tolist()
    [0.0, 0.01]
    """

    young_GPa: float
    poisson: float
    eigenstrain: float
    reference: float = 0.0
    source: str = ""
    status: Status = "illustrative"

    def __post_init__(self) -> None:
        for name in ("young_GPa", "poisson", "eigenstrain", "reference"):
            if not math.isfinite(getattr(self, name)):
                raise MaterialError(
                    f"{name} is {getattr(self, name)}", remedy="give a finite number"
                )
        if self.young_GPa <= 0:
            raise MaterialError(
                f"Young's modulus is {self.young_GPa:g} GPa", remedy="give a positive young_GPa"
            )
        if not -1 < self.poisson < 0.5:
            raise MaterialError(
                f"Poisson's ratio is {self.poisson:g}",
                remedy="give a value above -1 and below 0.5 (0.5 has no plane-strain stiffness)",
            )
        if abs(self.eigenstrain) >= 1:
            raise MaterialError(
                f"an eigenstrain of {self.eigenstrain:g} is {self.eigenstrain:.0%} per unit",
                remedy="give it as a fraction: 0.02 for 2 %",
            )
        if self.status not in get_args(Status):
            raise MaterialError(
                f"the status {self.status!r} is unknown",
                remedy=f"use one of {', '.join(get_args(Status))}",
            )
        if self.status != "illustrative" and not self.source.strip():
            raise MaterialError(
                f"values called {self.status} need their source",
                remedy='name it in source, or set status = "illustrative"',
            )

    @classmethod
    def from_concentrations(
        cls,
        young_GPa: float,
        poisson: float,
        composition: tuple[float, float],
        concentration: tuple[float, float],
        *,
        reference: float = 0.0,
        source: str = "",
        status: Status = "illustrative",
    ) -> Material:
        """Material whose eigenstrain follows from the lithium concentration at two compositions.

        Parameters
        ----------
        young_GPa, poisson, reference, source, status
            As for `Material`.
        composition : pair of float
            The two compositions.
        concentration : pair of float
            Lithium concentration there, in mol/m³.

        See Also
        --------
        eigenstrain_from_concentrations : the arithmetic.
        """
        eigenstrain = eigenstrain_from_concentrations(composition, concentration)
        return cls(young_GPa, poisson, eigenstrain, reference, source, status)

    def strain(self, composition: ArrayLike) -> np.ndarray:
        """Strain of the stress-free material, c Ω of Equation 9.

        ``eigenstrain * (composition - reference)``
        """
        return self.eigenstrain * (np.asarray(composition, dtype=float) - self.reference)

    def stiffness(self, plane: Plane = "stress") -> np.ndarray:
        """Elasticity matrix D in GPa for (xx, yy, 2 xy), shape (3, 3): Equation 8 in the plane.

        Parameters
        ----------
        plane : {"stress", "strain"}
            Thin particle, free to change thickness (the paper), or one held at constant thickness.

        Examples
        --------
        >>> Material(43.0, 0.3, 0.0).stiffness().round(2).tolist()
        [[47.25, 14.18, 0.0], [14.18, 47.25, 0.0], [0.0, 0.0, 16.54]]
        """
        if plane not in get_args(Plane):
            raise MaterialError(f"plane = {plane!r} is unknown", remedy='use "stress" or "strain"')
        shear = self.young_GPa / (2 * (1 + self.poisson))
        width = 1 - self.poisson if plane == "stress" else 1 - 2 * self.poisson
        lame = self.poisson * self.young_GPa / ((1 + self.poisson) * width)
        return np.array(
            [[lame + 2 * shear, lame, 0.0], [lame, lame + 2 * shear, 0.0], [0.0, 0.0, shear]]
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


#: The paper's E and nu (Santos et al., Patterns 2022, text after Equation 11) with the isotropic
#: strain between the two concentration bounds of its group. Constants of each phase are not in it.
LIXV2O5_ILLUSTRATIVE = Material.from_concentrations(
    43.0,
    0.3,
    composition=(0.1, 0.4),
    concentration=(1.85e3, 7.26e3),
    source="E and nu: Santos et al., Patterns 2022; strain: from lithium concentrations "
    "1.85e3 mol/m³ (x = 0.1) and 7.26e3 mol/m³ (x = 0.4), taken as isotropic and linear",
    status="illustrative",
)
