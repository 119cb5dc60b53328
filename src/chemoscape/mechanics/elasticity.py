"""Plane linear elasticity with an eigenstrain, on triangles (Equations 8 to 10).

    stress = D (strain(u) - eigenstrain),   strain = (grad u + grad u^T) / 2,   div stress = 0

The equations are those of Santos et al., Patterns 2022. One stiffness matrix serves every boundary,
one factorisation per boundary serves every eigenstrain. Strains are (xx, yy, 2 xy), stresses
(xx, yy, xy) in GPa, lengths µm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from skfem import LinearForm

from chemoscape.errors import MaterialError
from chemoscape.mechanics.boundaries import Boundary, boundary_moments, without_rigid_motion
from chemoscape.mechanics.elements import System, linear_shape, strain_of
from chemoscape.mechanics.solvers import factorise
from chemoscape.mechanics.stiffness import hooke

#: Relative error of the mean stress above which a solve is wrong, and not merely rounded.
SELF_CHECK = 1e-8


class SelfCheckError(RuntimeError):
    """A solved field is not in equilibrium: a defect of this program, not of the input."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Displacement and what follows from it.

    Parameters
    ----------
    system : System
        What was solved.
    boundary : "free", "fixed" or Springs
        How the outline was held.
    displacement : numpy.ndarray, shape (n_dof,)
        In µm, in the element's own order.
    strain, eigenstrain, stress : numpy.ndarray, shape (3, n_elements, n_quadrature)
        Strain (Equation 10), stress-free strain, and stress in GPa (Equations 8 and 9) at the
        quadrature points.
    eigenstrain_zz : numpy.ndarray, shape (n_elements, n_quadrature)
        Stress-free strain across the image; NaN where not known (and without effect).
    stress_zz : numpy.ndarray, shape (n_elements, n_quadrature)
        Stress across the image in GPa: 0 in plane stress; NaN where the system knows only a matrix.
    strain_zz : numpy.ndarray, shape (n_particles,)
        Strain across the image: 0 in plane strain, one for each particle in generalised plane
        strain; NaN in plane stress, where it is not uniform, and where it is not known.
    """

    system: System
    boundary: Boundary
    displacement: np.ndarray
    strain: np.ndarray
    eigenstrain: np.ndarray
    stress: np.ndarray
    eigenstrain_zz: np.ndarray
    stress_zz: np.ndarray
    strain_zz: np.ndarray

    def nodal_displacement(self) -> np.ndarray:
        """Displacement (ux, uy) in µm at the mesh's points, shape (2, n_points)."""
        return self.displacement[self.system.basis.nodal_dofs]

    def nodal(self, values: np.ndarray) -> np.ndarray:
        """Values (…, n_elements, n_quadrature) at the mesh's points, shape (…, n_points).

        Linear in every triangle, then the mean of the triangles around a point, weighted by their
        areas.
        """
        corners, n_points = self.system.corners, len(self.system.mesh.points)
        at_corners = values @ np.linalg.pinv(linear_shape(self.system))
        area = np.repeat(self.system.basis.dx.sum(axis=1), 3)
        average = csr_matrix(
            (area, (corners.ravel(), np.arange(area.size))), shape=(n_points, area.size)
        )
        sums = average @ at_corners.reshape(*values.shape[:-2], area.size).T
        return sums.T / np.bincount(corners.ravel(), area)

    def element_mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over every triangle, from (…, n_elements, n_quadrature) to (…, n_elements)."""
        dx = self.system.basis.dx
        return (values * dx).sum(axis=-1) / dx.sum(axis=-1)


def solve(
    system: System,
    eigenstrain: np.ndarray,
    boundary: Boundary = "free",
    *,
    factor: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Solution:
    """Displacement, strain and stress under an eigenstrain, checked for equilibrium.

    Parameters
    ----------
    system : System
        From `assemble`.
    eigenstrain : numpy.ndarray, shape (3, n_elements, n_quadrature) or (4, …)
        Strain (xx, yy, 2 xy) of the stress-free material at the quadrature points; a fourth row is
        that across the image (zz), else there is none.
    boundary : "free", "fixed" or Springs
        How outlines and holes are held: not at all, without displacement, or by springs.
    factor : callable, optional
        From `factorise` with the same boundary; made here when not given.

    Returns
    -------
    Solution
        Without mean translation and rotation of each particle where the boundary is free.

    Raises
    ------
    SelfCheckError
        The answer is not in equilibrium (a defect of the program).
    MaterialError
        An eigenstrain across the image, where the system knows only a matrix.

    Notes
    -----
    Generalised plane strain is the sum of two solves with one factor: nothing across, and a strain
    of one across without eigenstrain, as much of it in each particle as takes the force across
    away.
    """
    factor = factor or factorise(system, boundary)
    law, own = system.law, system.particle
    if law is None and len(eigenstrain) > 3:
        raise MaterialError(
            "a stiffness matrix alone does not tell what strain across the image does",
            remedy="assemble with the law from material_law, or give (xx, yy, 2 xy)",
        )
    flat = eigenstrain[:3]
    across = eigenstrain[3] if len(eigenstrain) > 3 else np.zeros(flat.shape[1:])
    strain_zz = np.full(own.max() + 1, np.nan)
    whole = np.array([*flat, across])
    effective = flat if law is None else law.effective(whole)
    displacement, strain = _respond(system, effective, boundary, factor)
    stress_zz = np.full(across.shape, np.nan)
    if law is not None:
        if law.plane != "stress":
            strain_zz[:] = 0.0
        if law.plane == "generalised":
            swelling = law.effective(np.zeros_like(whole), 1.0)
            unit, unit_strain = _respond(system, swelling, boundary, factor)
            force = _force_across(system, strain - effective, across, 0.0)
            strain_zz = -force / _force_across(system, unit_strain - swelling, 0.0 * across, 1.0)
            of_unknowns = np.zeros(len(unit), dtype=int)
            of_unknowns[system.basis.element_dofs] = own
            displacement = displacement + strain_zz[of_unknowns] * unit
            strain = strain + strain_zz[own][:, None] * unit_strain
            effective = law.effective(whole, strain_zz[own][:, None])
    stress = hooke(system.stiffness, strain - effective)
    if law is not None:
        stress_zz = law.stress_across(stress, across, strain_zz[own][:, None])
    solution = Solution(
        system, boundary, displacement, strain, flat, stress, across, stress_zz, strain_zz
    )
    _check(solution, effective)
    return solution


def eigenstrain_load(system: System, eigenstrain: np.ndarray) -> np.ndarray:
    """Load of an eigenstrain in the plane, f_i = ∫ strain(v_i) : D eigenstrain.

    Parameters
    ----------
    system : System
        From `assemble`.
    eigenstrain : numpy.ndarray, shape (3, n_elements, n_quadrature)
        In plane strain the effective one, `PlaneLaw.effective`.

    Returns
    -------
    numpy.ndarray, shape (n_dof,)
        For a factor from `factorise`.
    """
    sxx, syy, sxy = hooke(system.stiffness, eigenstrain)

    @LinearForm
    def form(v, _):  # type: ignore[no-untyped-def]
        p, q, r = strain_of(v.grad)
        return sxx * p + syy * q + sxy * r

    return form.assemble(system.basis)


def _respond(
    system: System,
    eigenstrain: np.ndarray,
    boundary: Boundary,
    factor: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Displacement and strain under an eigenstrain in the plane."""
    displacement = factor(eigenstrain_load(system, eigenstrain))
    if boundary == "free":
        displacement = without_rigid_motion(system, displacement)
    return displacement, np.array(strain_of(system.basis.interpolate(displacement).grad))


def _force_across(
    system: System, elastic: np.ndarray, eigenstrain_zz: np.ndarray, strain_zz: float
) -> np.ndarray:
    """∫ stress_zz over every particle, from the elastic strain in the plane."""
    assert system.law is not None  # noqa: S101 - asked for with a law only
    stress = hooke(system.stiffness, elastic)
    stress_zz = system.law.stress_across(stress, eigenstrain_zz, strain_zz)
    return np.bincount(system.particle, (stress_zz * system.basis.dx).sum(axis=1))


def _check(solution: Solution, eigenstrain: np.ndarray) -> None:
    """Equilibrium in the mean, per particle: ∫ stress is the moment of the pull on the outline.

    Free: 0. Fixed, with one D for all: strain integrates to 0, so ∫ stress = -∫ D eigenstrain.
    Else the moment of the reactions and springs.
    """
    system, dx = solution.system, solution.system.basis.dx
    from_eigenstrain = hooke(system.stiffness, eigenstrain)
    count = system.mesh.particle.max() + 1
    if solution.boundary == "free":
        moments = np.zeros((count, 3))
    elif solution.boundary == "fixed" and system.stiffness.ndim == 2:
        sums = -(from_eigenstrain * dx).sum(axis=2)
        moments = np.array([np.bincount(system.particle, row, count) for row in sums]).T
    else:
        load = eigenstrain_load(system, eigenstrain)
        moments = boundary_moments(system, solution.boundary, solution.displacement, load)
    for number, wanted in enumerate(moments):
        own = system.particle == number
        found = (solution.stress * dx)[:, own].sum(axis=(1, 2))
        size = ((np.abs(solution.stress) + np.abs(from_eigenstrain)) * dx)[:, own].sum()
        error = np.abs(found - wanted).max()
        if not error <= SELF_CHECK * size:
            raise SelfCheckError(
                f"{solution.boundary} boundary, particle {number + 1}: the mean stress is off by "
                f"{error / size:.1e} of its size"
            )
