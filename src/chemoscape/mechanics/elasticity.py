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
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse.linalg import splu
from skfem import (
    Basis,
    BilinearForm,
    ElementTriP1,
    ElementTriP2,
    ElementVector,
    LinearForm,
    MeshTri,
)
from threadpoolctl import threadpool_limits

from chemoscape.blocks import n_workers
from chemoscape.errors import MeshError, RecipeError
from chemoscape.mechanics.boundaries import (
    Boundary,
    Springs,
    check_boundary,
    outline_mass,
    pins,
    spring_moment,
    without_rigid_motion,
)
from chemoscape.mechanics.mesh import Mesh

#: Relative error of the mean stress above which a solve is wrong, and not merely rounded.
SELF_CHECK = 1e-8


class SelfCheckError(RuntimeError):
    """A solved field is not in equilibrium: a defect of this program, not of the input."""


@dataclass(frozen=True, eq=False)
class System:
    """Mesh, elements and stiffness matrix of the particles; shared by all boundaries and loads.

    Parameters
    ----------
    mesh : Mesh
        Triangles in µm.
    stiffness : numpy.ndarray, shape (3, 3)
        Elasticity matrix D in GPa.
    order : int
        1 or 2: linear or quadratic displacement.
    basis : skfem.Basis
        Vector elements with their quadrature points; its coordinates count from the mean of the
        mesh's points.
    matrix : scipy.sparse.csc_matrix, shape (n_dof, n_dof)
        Stiffness matrix K in GPa (per unit thickness), singular under rigid motion.
    """

    mesh: Mesh
    stiffness: np.ndarray
    order: int
    basis: Basis
    matrix: csc_matrix

    @property
    def positions(self) -> np.ndarray:
        """The quadrature points' x and y in µm, shape (2, n_elements, n_quadrature)."""
        origin = self.mesh.points.mean(axis=0)
        return np.asarray(self.basis.global_coordinates()) + origin[:, None, None]

    @property
    def corners(self) -> np.ndarray:
        """Corners of the triangles in the element's own order, shape (n_elements, 3)."""
        return self.basis.mesh.t.T

    @property
    def particle(self) -> np.ndarray:
        """Number of the particle of every triangle, shape (n_elements,)."""
        return self.mesh.particle[self.mesh.triangles[:, 0]]


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
        at_corners = values @ np.linalg.pinv(_linear_shape(self.system))
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


def assemble(
    mesh: Mesh, stiffness: np.ndarray, *, order: int = 2, quadrature_order: int | None = None
) -> System:
    """Elements and stiffness matrix, K_ij = ∫ strain(v_i) : D strain(v_j).

    Parameters
    ----------
    mesh : Mesh
        Triangles in µm.
    stiffness : numpy.ndarray, shape (3, 3)
        Elasticity matrix in GPa, from `Material.stiffness`.
    order : {2, 1}
        Order of the displacement: quadratic, or linear as in the paper (at equal unknowns its
        stress is about 30 times less accurate).
    quadrature_order : int, optional
        Polynomial order that is integrated exactly; by default that of K itself.

    Returns
    -------
    System
        Ready for `solve`.

    Raises
    ------
    RecipeError
        Another order.
    """
    if order not in (1, 2):
        raise RecipeError(f"elements of order {order} are not offered", remedy="use order 1 or 2")
    element = ElementVector(ElementTriP1() if order == 1 else ElementTriP2())
    # stage coordinates can be thousands of µm away from 0: digits that the strains need
    centred = mesh.points - mesh.points.mean(axis=0)
    grid = MeshTri(
        np.ascontiguousarray(centred.T), np.ascontiguousarray(mesh.triangles.T, dtype=np.int64)
    )
    basis = Basis(grid, element, intorder=quadrature_order or max(1, 2 * (order - 1)))

    # written out: half the time of contracting index by index
    (d00, d01, d02), (_, d11, d12), (_, _, d22) = stiffness

    @BilinearForm
    def form(u, v, _):  # type: ignore[no-untyped-def]
        a, b, c = _strain(u.grad)
        p, q, r = _strain(v.grad)
        return (
            (d00 * a + d01 * b + d02 * c) * p
            + (d01 * a + d11 * b + d12 * c) * q
            + (d02 * a + d12 * b + d22 * c) * r
        )

    return System(mesh, stiffness, order, basis, form.assemble(basis).tocsc())


def _strain(gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equation 10 as (xx, yy, 2 xy) from a displacement gradient (2, 2, …)."""
    return gradient[0, 0], gradient[1, 1], gradient[0, 1] + gradient[1, 0]


def isotropic_eigenstrain(system: System, corner_values: np.ndarray) -> np.ndarray:
    """Isotropic eigenstrain at the quadrature points, linear in every triangle.

    Quadratic displacements have linear strains, so eigenstrain lies in the same space as strain.
    With order 1 every triangle takes the mean of its corners, as its strain is constant.

    Parameters
    ----------
    system : System
        Elements with their quadrature points.
    corner_values : numpy.ndarray, shape (n_points,)
        Linear strain at the mesh's points.

    Returns
    -------
    numpy.ndarray, shape (3, n_elements, n_quadrature)
    """
    corners = corner_values[system.corners]
    if system.order == 1:
        corners = np.broadcast_to(corners.mean(axis=1, keepdims=True), corners.shape)
    values = corners @ _linear_shape(system)
    return np.array([values, values, np.zeros_like(values)])


def _linear_shape(system: System) -> np.ndarray:
    """Weight of every corner at the quadrature points, shape (3, n_quadrature)."""
    r, s = system.basis.X
    return np.array([1 - r - s, r, s])


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
        p, q, r = _strain(v.grad)
        return sxx * p + syy * q + sxy * r

    displacement = factor(form.assemble(basis))
    if boundary == "free":
        displacement = without_rigid_motion(system, displacement)
    strain = np.array(_strain(basis.interpolate(displacement).grad))
    stress = np.einsum("ij,jeq->ieq", system.stiffness, strain - eigenstrain)
    solution = Solution(system, boundary, displacement, strain, eigenstrain, stress)
    _check(solution)
    return solution


def factorise(system: System, boundary: Boundary) -> Callable[[np.ndarray], np.ndarray]:
    """Factor the stiffness matrix under a boundary once; the result maps loads to displacements.

    Parameters
    ----------
    system : System
        From `assemble`.
    boundary : "free", "fixed" or Springs
        How outlines and holes are held.

    Returns
    -------
    callable
        Maps loads of shape (n_dof,) or (n_dof, n_loads) to displacements of the same shape.

    Raises
    ------
    MeshError
        The factor does not fit into memory.
    """
    matrix = system.matrix
    check_boundary(boundary)
    if isinstance(boundary, Springs):
        matrix = matrix + boundary.GPa_per_um * outline_mass(system)
        held = np.empty(0, dtype=int)
    elif boundary == "fixed":
        held = system.basis.get_dofs().flatten()
    else:
        held = pins(system)
    moving = np.setdiff1d(np.arange(matrix.shape[0]), held)
    with threadpool_limits(limits=n_workers()):  # more threads than processors is 6 times slower
        try:
            # symmetric and positive definite: the diagonal is always a good pivot
            lu = splu(
                matrix[moving][:, moving].tocsc(),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except MemoryError:
            raise MeshError(
                f"{moving.size:,} unknowns do not fit into memory", remedy="raise mesh_size"
            ) from None

    def displacements(load: np.ndarray) -> np.ndarray:
        answer = np.zeros_like(load)
        with threadpool_limits(limits=n_workers()):
            answer[moving] = lu.solve(load[moving])
        return answer

    return displacements


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
