"""Triangles with their displacements: elements, stiffness matrix, eigenstrain in the elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_matrix
from skfem import Basis, BilinearForm, ElementTriP1, ElementTriP2, ElementVector, MeshTri

from chemoscape.errors import MaterialError, RecipeError
from chemoscape.mechanics.material import Material
from chemoscape.mechanics.mesh import Mesh
from chemoscape.mechanics.stiffness import Plane, PlaneLaw


@dataclass(frozen=True, eq=False)
class System:
    """Mesh, elements and stiffness matrix of the particles; shared by all boundaries and loads.

    Parameters
    ----------
    mesh : Mesh
        Triangles in µm.
    stiffness : numpy.ndarray, shape (3, 3) or (3, 3, n_elements)
        Elasticity matrix D in GPa.
    order : int
        1 or 2: linear or quadratic displacement.
    basis : skfem.Basis
        Vector elements with their quadrature points; its coordinates count from the mean of the
        mesh's points.
    matrix : scipy.sparse.csc_matrix, shape (n_dof, n_dof)
        Stiffness matrix K in GPa (per unit thickness), singular under rigid motion.
    law : PlaneLaw or None
        What D belongs to; None where only a matrix is known, and nothing of the stress across.
    """

    mesh: Mesh
    stiffness: np.ndarray
    order: int
    basis: Basis
    matrix: csc_matrix
    law: PlaneLaw | None = None

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
    mesh: Mesh,
    stiffness: np.ndarray | PlaneLaw,
    *,
    order: int = 2,
    quadrature_order: int | None = None,
) -> System:
    """Elements and stiffness matrix, K_ij = ∫ strain(v_i) : D strain(v_j).

    Parameters
    ----------
    mesh : Mesh
        Triangles in µm.
    stiffness : PlaneLaw, or numpy.ndarray of shape (3, 3) or (3, 3, n_elements)
        From `material_law`; or an elasticity matrix in GPa alone, of all triangles or of each.
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
    MaterialError
        The stiffness has another shape, or is not finite.
    """
    law = stiffness if isinstance(stiffness, PlaneLaw) else None
    matrix = np.asarray(stiffness.stiffness if isinstance(stiffness, PlaneLaw) else stiffness)
    n_elements = len(mesh.triangles)
    if matrix.shape not in ((3, 3), (3, 3, n_elements)) or not np.isfinite(matrix).all():
        raise MaterialError(
            f"a stiffness of shape {matrix.shape} does not fit {n_elements} triangles, or is not "
            "finite",
            remedy="give (3, 3), or (3, 3, n_elements) with one matrix for each triangle",
        )
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
    (d00, d01, d02), (_, d11, d12), (_, _, d22) = matrix[..., None] if matrix.ndim > 2 else matrix

    @BilinearForm
    def form(u, v, _):  # type: ignore[no-untyped-def]
        a, b, c = strain_of(u.grad)
        p, q, r = strain_of(v.grad)
        return (
            (d00 * a + d01 * b + d02 * c) * p
            + (d01 * a + d11 * b + d12 * c) * q
            + (d02 * a + d12 * b + d22 * c) * r
        )

    return System(mesh, matrix, order, basis, form.assemble(basis).tocsc(), law)


def strain_of(gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equation 10 as (xx, yy, 2 xy) from a displacement gradient (2, 2, …)."""
    return gradient[0, 0], gradient[1, 1], gradient[0, 1] + gradient[1, 0]


def material_law(
    mesh: Mesh, material: Material, composition: np.ndarray, plane: Plane = "stress"
) -> PlaneLaw:
    """Hooke's law of every triangle, or one for all where they are alike.

    Parameters
    ----------
    mesh : Mesh
        Triangles.
    material : Material
        With one angle for all particles or one for each, in the order of `Mesh.particle`.
    composition : numpy.ndarray, shape (n_points,)
        At the mesh's points; a triangle belongs to the phase of its mean.
    plane : {"stress", "strain", "generalised"}
        As for `Material.stiffness`.

    Raises
    ------
    MaterialError
        Constants across the image are missing, or there is another number of angles.
    """
    angle = material.angle_of(mesh.particle[mesh.triangles[:, 0]])
    return material.law(plane, composition[mesh.triangles].mean(axis=1), angle)


def material_eigenstrain(system: System, material: Material, composition: np.ndarray) -> np.ndarray:
    """Eigenstrain (xx, yy, 2 xy, zz) at the quadrature points.

    Composition is linear in every triangle. The strain is taken from it there and not carried from
    the corners: bends and steps of a lattice table then keep their place within a triangle.

    Parameters
    ----------
    system : System
        From `assemble` with the law that `material_law` made of this material.
    material : Material
        As for `material_law`.
    composition : numpy.ndarray, shape (n_points,)
        At the mesh's points.

    Returns
    -------
    numpy.ndarray, shape (4, n_elements, n_quadrature)
        For `solve`.

    Raises
    ------
    MaterialError
        The plane needs the strain across the image, which the material does not know; or a
        composition lies outside the lattice table.
    """
    angle = np.asarray(material.angle_of(system.particle))
    x = linear_in_triangles(system, composition)
    strain = material.image_strain(x, angle[:, None] if angle.ndim else angle)
    if system.law is not None and system.law.plane != "stress" and np.isnan(strain[3]).all():
        raise MaterialError(
            f"plane {system.law.plane} needs the eigenstrain across the image",
            remedy="give eigenstrain as three numbers: along xi, along eta, across",
        )
    return strain


def isotropic_eigenstrain(system: System, corner_values: np.ndarray) -> np.ndarray:
    """Isotropic eigenstrain in the plane (none across) at the quadrature points.

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
    values = linear_in_triangles(system, corner_values)
    return np.array([values, values, np.zeros_like(values)])


def linear_in_triangles(system: System, point_values: np.ndarray) -> np.ndarray:
    """Values (…, n_points) at the quadrature points, linear in every triangle.

    Quadratic displacements have linear strains, so eigenstrain lies in the same space as strain.
    With order 1 every triangle takes the mean of its corners, as its strain is constant.

    Returns
    -------
    numpy.ndarray, shape (…, n_elements, n_quadrature)
    """
    corners = point_values[..., system.corners]
    if system.order == 1:
        corners = np.broadcast_to(corners.mean(axis=-1, keepdims=True), corners.shape)
    return corners @ linear_shape(system)


def linear_shape(system: System) -> np.ndarray:
    """Weight of every corner at the quadrature points, shape (3, n_quadrature)."""
    r, s = system.basis.X
    return np.array([1 - r - s, r, s])
