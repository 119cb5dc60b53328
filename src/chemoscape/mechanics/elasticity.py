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

from chemoscape.mechanics.boundaries import (
    Boundary,
    Springs,
    spring_moment,
    without_rigid_motion,
)
from chemoscape.mechanics.elements import System, linear_shape, strain_of
from chemoscape.mechanics.solvers import factorise

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
    """

    system: System
    boundary: Boundary
    displacement: np.ndarray
    strain: np.ndarray
    eigenstrain: np.ndarray
    stress: np.ndarray

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
    eigenstrain : numpy.ndarray, shape (3, n_elements, n_quadrature)
        Strain (xx, yy, 2 xy) of the stress-free material at the quadrature points.
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
    """
    factor = factor or factorise(system, boundary)
    basis = system.basis
    sxx, syy, sxy = np.einsum("ij,jeq->ieq", system.stiffness, eigenstrain)

    @LinearForm
    def form(v, _):  # type: ignore[no-untyped-def]
        p, q, r = strain_of(v.grad)
        return sxx * p + syy * q + sxy * r

    displacement = factor(form.assemble(basis))
    if boundary == "free":
        displacement = without_rigid_motion(system, displacement)
    strain = np.array(strain_of(basis.interpolate(displacement).grad))
    stress = np.einsum("ij,jeq->ieq", system.stiffness, strain - eigenstrain)
    solution = Solution(system, boundary, displacement, strain, eigenstrain, stress)
    _check(solution)
    return solution


def _check(solution: Solution) -> None:
    """Equilibrium in the mean, per particle: ∫ stress is the moment of the pull on the outline.

    Free: 0. Fixed: strain integrates to 0, so ∫ stress = -∫ D eigenstrain. Springs: -k ∫ u_i x_j
    along the outline.
    """
    system, dx = solution.system, solution.system.basis.dx
    from_eigenstrain = np.einsum("ij,jeq->ieq", system.stiffness, solution.eigenstrain)
    for number in range(system.mesh.particle.max() + 1):
        own = system.particle == number
        found = (solution.stress * dx)[:, own].sum(axis=(1, 2))
        if solution.boundary == "fixed":
            wanted = -(from_eigenstrain * dx)[:, own].sum(axis=(1, 2))
        elif isinstance(solution.boundary, Springs):
            wanted = spring_moment(system, solution.boundary, solution.displacement, own)
        else:
            wanted = np.zeros(3)
        size = ((np.abs(solution.stress) + np.abs(from_eigenstrain)) * dx)[:, own].sum()
        error = np.abs(found - wanted).max()
        if not error <= SELF_CHECK * size:
            raise SelfCheckError(
                f"{solution.boundary} boundary, particle {number + 1}: the mean stress is off by "
                f"{error / size:.1e} of its size"
            )
