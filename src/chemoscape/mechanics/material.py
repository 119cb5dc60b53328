"""What a particle is made of: elastic constants and the strain that composition brings.

Every record says where its values come from and whether they are measured, from the literature, or
only illustrative.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import MaterialError
from chemoscape.mechanics.eigenstrain import (
    Numbers,
    axis_strain,
    check_rates,
    concentration,
    eigenstrain_from_concentrations,
    in_image,
    numbers,
    volume_per_cell,
)
from chemoscape.mechanics.lattice import Lattice, Status, check_evidence
from chemoscape.mechanics.stiffness import Elastic, PhaseModulus, Plane, PlaneLaw, plane_law

__all__ = [
    "LIXV2O5_ILLUSTRATIVE",
    "Material",
    "PhaseModulus",
    "Plane",
    "Status",
    "concentration",
    "eigenstrain_from_concentrations",
    "largest_strain",
    "volume_per_cell",
]


@dataclass(frozen=True)
class Material:
    """Linear elasticity with a strain that follows composition.

    Directions are those of the particle: xi and eta in the image, zeta across it.

    Parameters
    ----------
    young_GPa : float or tuple of 2 or 3 float
        Young's modulus E in GPa, or those along xi, eta (and zeta).
    poisson : float or tuple of 3 float
        Poisson's ratio; of an orthotropic solid nu12, or (nu12, nu13, nu23), see `Elastic`.
    eigenstrain : float, tuple of 2 or 3 float, or Lattice
        Strain per unit of the composition variable, as a fraction: the same along all three axes,
        or along xi, eta (and zeta); or cell parameters against composition.
    reference : float
        Composition at which the material is free of strain. Equation 9 of the paper (Santos et al.,
        Patterns 2022) has c and not c - c_ref, hence 0; the stress of a clamped particle depends on
        it, that of a free one does not (but of the curvature of a lattice table).
    source : str
        Where the values come from; required unless they are illustrative.
    status : {"measured", "literature", "illustrative"}
        How far to trust them.
    shear_GPa : float, optional
        G12 of an orthotropic solid.
    angle_deg : float or tuple of float
        From the image's x to xi, towards its y; one for all particles, or one for each.
    phases : tuple of PhaseModulus
        Elastic constants of intervals of composition; those above hold for all others.

    Raises
    ------
    MaterialError
        A value is impossible.

    Examples
    --------
    >>> Material(43.0, 0.3, 0.02, reference=0.1).strain([0.1, 0.6]).tolist()
    [0.0, 0.01]
    >>> wire = Material(43.0, 0.3, (-0.02, 0.04), angle_deg=90.0)
    >>> wire.image_strain(0.5)[:2].round(4).tolist()
    [0.02, -0.01]
    """

    young_GPa: Numbers
    poisson: Numbers
    eigenstrain: Numbers | Lattice
    reference: float = 0.0
    source: str = ""
    status: Status = "illustrative"
    shear_GPa: float | None = None
    angle_deg: Numbers = 0.0
    phases: tuple[PhaseModulus, ...] = ()

    def __post_init__(self) -> None:
        for name in ("young_GPa", "poisson", "eigenstrain", "reference", "angle_deg"):
            if not isinstance(value := getattr(self, name), Lattice):
                object.__setattr__(self, name, numbers(value, name))
        object.__setattr__(self, "phases", tuple(self.phases))
        _ = self.elastic  # refuses what is impossible
        check_evidence(self.source, self.status)
        if isinstance(self.eigenstrain, Lattice):
            self.eigenstrain.strain(self.reference, self.reference)
        else:
            check_rates(self.eigenstrain)
        in_order = sorted(self.phases, key=lambda phase: phase.x_min)
        for first, second in pairwise(in_order):
            if first.x_max > second.x_min:
                raise MaterialError(
                    f"phases {first.name!r} and {second.name!r} both hold the compositions "
                    f"{second.x_min:g} to {min(first.x_max, second.x_max):g}",
                    remedy="let their intervals not overlap",
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

    @property
    def elastic(self) -> Elastic:
        """Elastic constants outside the intervals of `phases`."""
        return Elastic(self.young_GPa, self.poisson, self.shear_GPa)

    def strain(self, composition: ArrayLike) -> np.ndarray:
        """``eigenstrain * (composition - reference)`` of all axes alike, c Ω of Equation 9.

        Raises
        ------
        MaterialError
            The strain differs between the axes.
        """
        if isinstance(self.eigenstrain, tuple | Lattice):
            raise MaterialError(
                "the strain differs between the axes", remedy="ask for axis_strain or image_strain"
            )
        return self.eigenstrain * (np.asarray(composition, dtype=float) - self.reference)

    def axis_strain(self, composition: ArrayLike) -> np.ndarray:
        """Strain of the stress-free material along xi, eta, zeta, shape (3, …); NaN if not known.

        Raises
        ------
        MaterialError
            A composition lies outside the lattice table.
        """
        return axis_strain(self.eigenstrain, composition, self.reference)

    def image_strain(
        self, composition: ArrayLike, angle_deg: ArrayLike | None = None
    ) -> np.ndarray:
        """Strain of the stress-free material as (xx, yy, 2 xy, zz), shape (4, …).

        Parameters
        ----------
        composition : array_like
            Compositions.
        angle_deg : array_like, optional
            From x to xi, broadcast against composition; by default the material's own.

        Raises
        ------
        MaterialError
            A composition lies outside the lattice table, or every particle has its own angle.
        """
        return in_image(self.axis_strain(composition), self._angle(angle_deg))

    def stiffness(self, plane: Plane = "stress") -> np.ndarray:
        """Elasticity matrix D in GPa for (xx, yy, 2 xy), shape (3, 3): Equation 8 in the plane.

        Parameters
        ----------
        plane : {"stress", "strain", "generalised"}
            Thin particle, free to change thickness (the paper), one held at constant thickness, or
            one that changes it as a whole.

        Examples
        --------
        >>> Material(43.0, 0.3, 0.0).stiffness().round(2).tolist()
        [[47.25, 14.18, 0.0], [14.18, 47.25, 0.0], [0.0, 0.0, 16.54]]
        """
        return self.law(plane).stiffness

    def law(
        self,
        plane: Plane = "stress",
        composition: ArrayLike | None = None,
        angle_deg: ArrayLike | None = None,
    ) -> PlaneLaw:
        """Hooke's law in the image's axes: one, or one for every composition and angle.

        Parameters
        ----------
        plane : {"stress", "strain", "generalised"}
            As for `stiffness`.
        composition : array_like, shape (n_elements,), optional
            Means over the triangles; needed where phases differ.
        angle_deg : array_like, shape () or (n_elements,), optional
            From x to xi; by default the material's own.

        Raises
        ------
        MaterialError
            Something is needed that is not given.
        """
        if not self.phases:
            return self.elastic.law(
                plane, 0.0 if self.elastic.isotropic else self._angle(angle_deg)
            )
        if composition is None:
            raise MaterialError(
                "the phases differ in stiffness", remedy="give the composition of every triangle"
            )
        x = np.asarray(composition, dtype=float)
        which = np.zeros(x.shape, dtype=int)
        for number, phase in enumerate(self.phases, start=1):
            which[(x >= phase.x_min) & (x < phase.x_max)] = number
        constants = [self.elastic, *(phase.elastic for phase in self.phases)]
        angle = 0.0 if all(one.isotropic for one in constants) else self._angle(angle_deg)
        return plane_law(np.array([one.compliance for one in constants])[which], plane, angle)

    def angle_of(self, particle: np.ndarray) -> float | np.ndarray:
        """Angle in degrees: the one of all, or one for every entry of an array of particle numbers.

        Raises
        ------
        MaterialError
            There are other than as many angles as particles.
        """
        if not isinstance(self.angle_deg, tuple):
            return self.angle_deg
        n_angles, n_particles = len(self.angle_deg), int(particle.max()) + 1
        if n_angles != n_particles:
            raise MaterialError(
                f"{n_angles} angles for {n_particles} particles",
                remedy="give one angle_deg for all, or one for each",
            )
        return np.array(self.angle_deg)[particle]

    def _angle(self, angle_deg: ArrayLike | None) -> ArrayLike:
        if angle_deg is None and isinstance(self.angle_deg, tuple):
            raise MaterialError(
                "every particle has its own angle", remedy="give those of the places asked for"
            )
        return self.angle_deg if angle_deg is None else angle_deg


def largest_strain(material: Material, composition: ArrayLike) -> float:
    """Largest amount of stress-free strain along any known axis, counted from the reference.

    Small-strain elasticity holds to two or three per cent.

    Examples
    --------
    >>> largest_strain(Material(43.0, 0.3, (-0.02, 0.04), reference=0.1), [0.1, 0.6])
    0.02
    """
    strain = np.abs(material.axis_strain(composition))
    return float(np.max(strain, initial=0.0, where=np.isfinite(strain)))


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
