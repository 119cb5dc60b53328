"""How an outline may be held: not at all, fixed, or by springs; and what that needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.sparse import csc_matrix
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform
from skfem import BilinearForm, FacetBasis

from chemoscape.errors import MaterialError, RecipeError

if TYPE_CHECKING:
    from chemoscape.mechanics.elements import System


@dataclass(frozen=True)
class Springs:
    """Elastic surroundings: a pull on the outline of `GPa_per_um` times its displacement (Winkler).

    From 0.1 to 1e6 GPa/µm the answer runs smoothly from that of a free to that of a fixed particle.

    Examples
    --------
    >>> str(Springs(10.0))
    'springs-10-GPa-per-um'
    """

    GPa_per_um: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.GPa_per_um) and self.GPa_per_um > 0):
            raise MaterialError(
                f"springs of {self.GPa_per_um} GPa/µm hold nothing",
                remedy='give a positive, finite stiffness, or boundary "free" or "fixed"',
            )

    def __str__(self) -> str:
        # names a node of the results and a file: no slash, no blank
        return f"springs-{self.GPa_per_um:g}-GPa-per-um"


Boundary = Literal["free", "fixed"] | Springs


def check_boundary(boundary: object) -> None:
    """Refuse what is not a boundary.

    Raises
    ------
    RecipeError
        Neither "free" nor "fixed" nor `Springs`.
    """
    if boundary not in ("free", "fixed") and not isinstance(boundary, Springs):
        raise RecipeError(
            f"the boundary {boundary!r} is unknown",
            remedy='use "free", "fixed" or Springs(GPa_per_um)',
        )


def outline_mass(system: System) -> csc_matrix:
    """M_ij = ∫ v_i · v_j along all outlines and holes."""
    rim = FacetBasis(system.basis.mesh, system.basis.elem, intorder=2 * system.order)

    @BilinearForm
    def form(u, v, _):  # type: ignore[no-untyped-def]
        return u[0] * v[0] + u[1] * v[1]

    return form.assemble(rim).tocsc()


def pins(system: System) -> np.ndarray:
    """Three unknowns per particle that hold its rigid motion.

    Of the farthest pair of points on its outline, one is held, the other across the line between
    them (in x or y, whichever is more nearly across). Eigenstrain loads are in equilibrium by
    themselves, so the pins carry no force.
    """
    points, nodal = system.mesh.points, system.basis.nodal_dofs
    rim = system.basis.mesh.boundary_nodes()
    held = []
    for number in range(system.mesh.particle.max() + 1):
        own = rim[system.mesh.particle[rim] == number]
        own = own[ConvexHull(points[own]).vertices]
        distances = squareform(pdist(points[own]))
        i, j = own[list(np.unravel_index(np.argmax(distances), distances.shape))]
        along = np.abs(points[j] - points[i])
        held += [nodal[0, i], nodal[1, i], nodal[0 if along[1] > along[0] else 1, j]]
    return np.array(held)


def without_rigid_motion(system: System, displacement: np.ndarray) -> np.ndarray:
    """Displacement whose mean and mean rotation over every particle are zero."""
    basis, area, along_x = system.basis, system.basis.dx, _along_x(system)
    field = basis.interpolate(displacement)
    position = np.asarray(basis.global_coordinates())
    curl = (field.grad[1, 0] - field.grad[0, 1]) / 2
    rest = displacement.copy()
    for number in range(system.mesh.particle.max() + 1):
        own = system.particle == number

        def mean(values: np.ndarray, own: np.ndarray = own) -> float:
            return float((values * area)[own].sum() / area[own].sum())

        rotation = mean(curl)
        x0, y0 = mean(position[0]), mean(position[1])
        dofs = np.unique(basis.element_dofs[:, own])
        x, y = basis.doflocs[:, dofs]
        rest[dofs] -= np.where(
            along_x[dofs],
            mean(field[0]) - rotation * (y - y0),
            mean(field[1]) + rotation * (x - x0),
        )
    return rest


def _along_x(system: System) -> np.ndarray:
    """True for unknowns that are displacements along x."""
    along_x = np.zeros(system.basis.N, dtype=bool)
    along_x[system.basis.nodal_dofs[0]] = True
    if system.order == 2:
        along_x[system.basis.facet_dofs[0]] = True
    return along_x


def spring_moment(
    system: System, springs: Springs, displacement: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """-k ∫ (u_x x, u_y y, u_x y) along the outline of the particle that `own` triangles make."""
    along_x = _along_x(system)
    dofs = np.unique(system.basis.element_dofs[:, own])
    pull = np.zeros(system.basis.N)
    pull[dofs] = -springs.GPa_per_um * (outline_mass(system) @ displacement)[dofs]
    x, y = pull * system.basis.doflocs
    return np.array([x[along_x].sum(), y[~along_x].sum(), y[along_x].sum()])
