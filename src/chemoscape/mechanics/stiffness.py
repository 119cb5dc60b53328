"""Hooke's law in the image's plane: isotropic and orthotropic, turned, per triangle.

All laws follow from the compliance S of the solid in (xx, yy, 2 xy, zz), with zz across the image.
Only its last row and column tell plane stress from plane strain:

    plane stress: D = S_pp⁻¹          plane strain: D = (S_pp - S_pz S_zp / S_zz)⁻¹

(p: in the plane, z: across it; condensation of one unknown.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import MaterialError
from chemoscape.mechanics.eigenstrain import Numbers, numbers, strain_rotation

#: How a particle may strain across the image.
Plane = Literal["stress", "strain", "generalised"]


@dataclass(frozen=True)
class Elastic:
    """Elastic constants along a particle's axes: xi and eta in the image, zeta across it.

    Parameters
    ----------
    young_GPa : float or tuple of 2 or 3 float
        Young's modulus of an isotropic solid, or E1, E2 (and E3) along xi, eta (and zeta).
    poisson : float or tuple of 3 float
        Poisson's ratio; of an orthotropic solid nu12, or nu12, nu13, nu23. A pull along i narrows
        j by nu_ij, so nu_ij / E_i = nu_ji / E_j.
    shear_GPa : float, optional
        G12 of an orthotropic solid.

    Raises
    ------
    MaterialError
        A constant is impossible, is missing, or a strain would give energy back.

    Examples
    --------
    >>> Elastic((60.0, 40.0), 0.3, 15.0).law().stiffness.round(2).tolist()
    [[63.83, 12.77, 0.0], [12.77, 42.55, 0.0], [0.0, 0.0, 15.0]]
    """

    young_GPa: Numbers
    poisson: Numbers
    shear_GPa: float | None = None

    def __post_init__(self) -> None:
        for name in ("young_GPa", "poisson"):
            object.__setattr__(self, name, numbers(getattr(self, name), name))
        if self.isotropic:
            self._check_isotropic()
        else:
            self._check_orthotropic()

    @property
    def isotropic(self) -> bool:
        """Whether all directions are alike."""
        return not isinstance(self.young_GPa, tuple)

    @property
    def compliance(self) -> np.ndarray:
        """S in 1/GPa for (xi, eta, 2 xi-eta, zeta), shape (4, 4); NaN across where not known."""
        if isinstance(self.young_GPa, tuple):
            e1, e2, e3 = (*self.young_GPa, math.nan)[:3]
            known = self.poisson if isinstance(self.poisson, tuple) else (self.poisson,)
            nu12, nu13, nu23 = (*known, math.nan, math.nan)[:3]
            shear = float(self.shear_GPa or math.nan)
        else:
            assert not isinstance(self.poisson, tuple)  # noqa: S101 - checked when made
            e1 = e2 = e3 = self.young_GPa
            nu12 = nu13 = nu23 = self.poisson
            shear = e1 / (2 * (1 + nu12))
        xy, xz, yz = -nu12 / e1, -nu13 / e1, -nu23 / e2
        return np.array(
            [[1 / e1, xy, 0, xz], [xy, 1 / e2, 0, yz], [0, 0, 1 / shear, 0], [xz, yz, 0, 1 / e3]]
        )

    def law(self, plane: Plane = "stress", angle_deg: ArrayLike = 0.0) -> PlaneLaw:
        """Hooke's law in the image's axes.

        Parameters
        ----------
        plane : {"stress", "strain", "generalised"}
            Free to change thickness everywhere, nowhere, or as a whole.
        angle_deg : float or array_like, shape (n,)
            From the image's x to xi, towards its y.

        Returns
        -------
        PlaneLaw
            One law, or n of them where angles are given as an array.

        Raises
        ------
        MaterialError
            The plane is unknown or needs constants that are not given.
        """
        return plane_law(self.compliance, plane, 0.0 if self.isotropic else angle_deg)

    def _check_isotropic(self) -> None:
        if isinstance(self.poisson, tuple) or self.shear_GPa is not None:
            raise MaterialError(
                "one Young's modulus goes with one Poisson's ratio and no shear modulus",
                remedy="give young_GPa as (E1, E2) or (E1, E2, E3) for an orthotropic solid",
            )
        assert not isinstance(self.young_GPa, tuple)  # noqa: S101 - for the type checker
        if self.young_GPa <= 0:
            raise MaterialError(
                f"Young's modulus is {self.young_GPa:g} GPa", remedy="give a positive young_GPa"
            )
        if not -1 < self.poisson < 0.5:
            raise MaterialError(
                f"Poisson's ratio is {self.poisson:g}",
                remedy="give a value above -1 and below 0.5 (0.5 has no plane-strain stiffness)",
            )

    def _check_orthotropic(self) -> None:
        moduli = self.young_GPa
        assert isinstance(moduli, tuple)  # noqa: S101 - for the type checker
        if len(moduli) not in (2, 3) or min(moduli) <= 0:
            raise MaterialError(
                f"young_GPa is {moduli}", remedy="give one, two or three positive moduli in GPa"
            )
        if self.shear_GPa is None or not (math.isfinite(self.shear_GPa) and self.shear_GPa > 0):
            raise MaterialError(
                f"the shear modulus of an orthotropic solid is {self.shear_GPa}",
                remedy="give a positive shear_GPa (G12)",
            )
        full = len(moduli) == 3
        if isinstance(self.poisson, tuple) and not (len(self.poisson) == 3 and full):
            raise MaterialError(
                f"{len(moduli)} moduli go with {len(self.poisson)} Poisson's ratios",
                remedy="give (E1, E2) with nu12, or (E1, E2, E3) with (nu12, nu13, nu23)",
            )
        s = self.compliance
        known = s if np.isfinite(s).all() else s[:3, :3]
        if np.linalg.eigvalsh(known).min() <= 0:
            raise MaterialError(
                f"young_GPa = {moduli} with poisson = {self.poisson} is not stable: some strain "
                "would release energy",
                remedy="check that |nu_ij| is below sqrt(E_i / E_j), nu_ij for a pull along i",
            )


@dataclass(frozen=True)
class PhaseModulus:
    """Elastic constants of the compositions in an interval, its lower end included.

    Parameters
    ----------
    x_min, x_max : float
        The interval: x_min <= composition < x_max.
    young_GPa, poisson, shear_GPa
        As for `Elastic`.
    name : str
        Of the phase.

    Raises
    ------
    MaterialError
        The interval is empty, or a constant impossible.
    """

    x_min: float
    x_max: float
    young_GPa: Numbers
    poisson: Numbers
    shear_GPa: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.x_min < self.x_max:
            raise MaterialError(
                f"the interval {self.x_min:g} to {self.x_max:g} is empty",
                f"phase {self.name!r}",
                "give x_min < x_max",
            )
        for name in ("young_GPa", "poisson"):
            object.__setattr__(self, name, getattr(self.elastic, name))

    @property
    def elastic(self) -> Elastic:
        """The constants."""
        return Elastic(self.young_GPa, self.poisson, self.shear_GPa)


@dataclass(frozen=True, eq=False)
class PlaneLaw:
    """What a plane problem needs of Hooke's law, in the image's axes.

        stress = D (strain - eigenstrain - coupling (eigenstrain_zz - strain_zz))
        stress_zz = coupling · stress + modulus (strain_zz - eigenstrain_zz)

    For an isotropic solid the coupling is (nu, nu, 0) and the modulus E: the eigenstrain in the
    plane is e + nu e_zz. In plane stress both are 0.

    Parameters
    ----------
    plane : {"stress", "strain", "generalised"}
        strain_zz is whatever it wants to be, 0, or the same all over a particle such that it takes
        no force across the image.
    stiffness : numpy.ndarray, shape (3, 3) or (3, 3, n_elements)
        D in GPa.
    coupling : numpy.ndarray, shape (3,) or (3, n_elements)
        Strain (xx, yy, 2 xy) that has the stress of a unit strain across.
    modulus : numpy.ndarray, shape () or (n_elements,)
        GPa across the image, free in the plane.
    """

    plane: Plane
    stiffness: np.ndarray
    coupling: np.ndarray
    modulus: np.ndarray

    def effective(self, eigenstrain: np.ndarray, strain_zz: ArrayLike = 0.0) -> np.ndarray:
        """Eigenstrain (xx, yy, 2 xy, zz) as one in the plane, shape (3, n_elements, …).

        Parameters
        ----------
        eigenstrain : numpy.ndarray, shape (4, n_elements, n_quadrature)
            In the image's axes.
        strain_zz : array_like
            Strain across, to be broadcast to (n_elements, n_quadrature).
        """
        if self.plane == "stress":  # free across, whatever it wants there
            return eigenstrain[:3]
        coupling = _per_element(self.coupling, 1)
        return eigenstrain[:3] + coupling * (eigenstrain[3] - strain_zz)

    def stress_across(
        self, stress: np.ndarray, eigenstrain_zz: np.ndarray, strain_zz: ArrayLike = 0.0
    ) -> np.ndarray:
        """stress_zz in GPa, shape (n_elements, n_quadrature), from the stress in the plane."""
        if self.plane == "stress":
            return np.zeros(stress.shape[1:])
        coupling, modulus = _per_element(self.coupling, 1), _per_element(self.modulus, 0)
        return (coupling * stress).sum(axis=0) + modulus * (strain_zz - eigenstrain_zz)


def plane_law(
    compliance: np.ndarray, plane: Plane = "stress", angle_deg: ArrayLike = 0.0
) -> PlaneLaw:
    """Hooke's law in the image's axes from compliances in the particles' own.

    Parameters
    ----------
    compliance : numpy.ndarray, shape (4, 4) or (n, 4, 4)
        In 1/GPa for (xi, eta, 2 xi-eta, zeta).
    plane, angle_deg
        As for `Elastic.law`.

    Raises
    ------
    MaterialError
        As for `Elastic.law`.
    """
    if plane not in get_args(Plane):
        raise MaterialError(
            f"plane = {plane!r} is unknown",
            remedy=f"use one of {', '.join(map(repr, get_args(Plane)))}",
        )
    turn = strain_rotation(angle_deg)
    flat = turn @ compliance[..., :3, :3] @ np.swapaxes(turn, -1, -2)
    across = (turn @ compliance[..., :3, 3:])[..., 0]
    zz = np.broadcast_to(compliance[..., 3, 3], across.shape[:-1])
    if plane == "stress":
        coupling, modulus = np.zeros(across.shape), np.zeros(zz.shape)
    elif np.isfinite(compliance).all():
        coupling, modulus = -across / zz[..., None], 1 / zz
        flat = flat + coupling[..., :, None] * across[..., None, :]
    else:
        raise MaterialError(
            f"plane {plane} needs the elastic constants across the image",
            remedy="give young_GPa as (E1, E2, E3) and poisson as (nu12, nu13, nu23)",
        )
    stiffness = np.linalg.inv(flat)
    stiffness = (stiffness + np.swapaxes(stiffness, -1, -2)) / 2  # the same to the last digit
    elements_last = np.moveaxis(stiffness, (-2, -1), (0, 1)), np.moveaxis(coupling, -1, 0)
    return PlaneLaw(plane, *elements_last, modulus)


def hooke(stiffness: np.ndarray, strain: np.ndarray) -> np.ndarray:
    """D strain, for D (3, 3) or (3, 3, n_elements) and strain (3, n_elements, n_quadrature)."""
    return np.einsum("ij,jeq->ieq" if stiffness.ndim == 2 else "ije,jeq->ieq", stiffness, strain)


def _per_element(values: np.ndarray, ndim: int) -> np.ndarray:
    """Values that broadcast against (…, n_elements, n_quadrature)."""
    return values[..., None] if values.ndim > ndim else values[..., None, None]
