"""Triangles with their displacements: elements, stiffness matrix, eigenstrain in the elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_matrix
from skfem import Basis, BilinearForm, ElementTriP1, ElementTriP2, ElementVector, MeshTri

from chemoscape.errors import RecipeError
from chemoscape.mechanics.mesh import Mesh


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
        a, b, c = strain_of(u.grad)
        p, q, r = strain_of(v.grad)
        return (
            (d00 * a + d01 * b + d02 * c) * p
            + (d01 * a + d11 * b + d12 * c) * q
            + (d02 * a + d12 * b + d22 * c) * r
        )

    return System(mesh, stiffness, order, basis, form.assemble(basis).tocsc())


def strain_of(gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    values = corners @ linear_shape(system)
    return np.array([values, values, np.zeros_like(values)])


def linear_shape(system: System) -> np.ndarray:
    """Weight of every corner at the quadrature points, shape (3, n_quadrature)."""
    r, s = system.basis.X
    return np.array([1 - r - s, r, s])
