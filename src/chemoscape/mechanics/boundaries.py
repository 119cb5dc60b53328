"""A boundary on a mesh: which sides it holds, what that leaves free, and its forces' moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_matrix
from skfem import BilinearForm, FacetBasis

from chemoscape.errors import RecipeError
from chemoscape.mechanics.constraints import Constraints, eliminate, facet_numbers
from chemoscape.mechanics.cuts import (
    EDGES,
    CutPiece,
    cut_facets,
    near_pieces,
    part_facets,
    rim_facets,
    straight_pieces,
)
from chemoscape.mechanics.rigid import along_x, particle_of_unknowns
from chemoscape.mechanics.rigid import without_rigid_motion as without_rigid_motion
from chemoscape.mechanics.supports import Boundary as Boundary
from chemoscape.mechanics.supports import Cut as Cut
from chemoscape.mechanics.supports import Springs as Springs
from chemoscape.mechanics.supports import Supports as Supports
from chemoscape.mechanics.supports import check_boundary as check_boundary
from chemoscape.mechanics.supports import with_frame as with_frame

if TYPE_CHECKING:
    from chemoscape.mechanics.elements import System


@dataclass(frozen=True, eq=False)
class Held:
    """A boundary on a mesh: sides (pairs of points) by the way in which they are held."""

    fixed: np.ndarray
    rollers: list[tuple[np.ndarray, np.ndarray | None]]
    cuts: list[CutPiece]
    springs: list[tuple[np.ndarray, float]]
    #: cut pieces and rollers on the border of the image
    masked: list[CutPiece]


def held_sides(system: System, boundary: Boundary) -> Held:
    """Sides of triangles that a boundary holds.

    Raises
    ------
    RecipeError
        An edge of the image is named and there is no frame, or a part lies nowhere.
    """
    mesh, held = system.mesh, Held(np.empty((0, 2), dtype=int), [], [], [], [])
    check_boundary(boundary)
    if isinstance(boundary, Cut):
        boundary = boundary.supports
    elif not isinstance(boundary, Supports):
        boundary = Supports({}, rest=boundary)
    rim = rim_facets(mesh)
    edges: dict[str, np.ndarray] = {}
    if not set(boundary.conditions) <= set(boundary.parts):
        if boundary.frame is None:
            raise RecipeError(
                "edges of the image are held, and the image's border is not given",
                remedy="give frame, from image_frame(image)",
            )
        edges = cut_facets(mesh, boundary.frame, boundary.tolerance)
    owner = np.full(len(rim), -1)
    for number, name in enumerate(boundary.conditions):
        part = boundary.parts.get(name)
        sides = edges[name] if part is None else part_facets(mesh, name, part)
        owner[_rows(rim, sides, len(mesh.points))] = number
    fixed = []
    for number, (name, condition) in enumerate([*boundary.conditions.items(), ("", boundary.rest)]):
        sides = rim[owner == (number if name else -1)]
        if condition == "free" or not len(sides):
            continue
        at_edge = name in EDGES and name not in boundary.parts
        normal = np.eye(2)[EDGES[name][1]] if at_edge else None
        if condition == "fixed":
            fixed.append(sides)
        elif isinstance(condition, Springs):
            held.springs.append((sides, condition.GPa_per_um))
        elif condition == "roller":
            held.rollers.append((sides, normal))
            if at_edge:
                held.masked.extend(straight_pieces(mesh, sides, normal, name))
        else:
            pieces = straight_pieces(mesh, sides, normal, name)
            held.cuts.extend(pieces)
            held.masked.extend(pieces)
    return replace(held, fixed=np.vstack([held.fixed, *fixed]))


def _rows(rim: np.ndarray, sides: np.ndarray, n_points: int) -> np.ndarray:
    """Rows of `rim` that hold the sides; both are sorted pairs of points."""
    return np.searchsorted(rim[:, 0] * n_points + rim[:, 1], sides[:, 0] * n_points + sides[:, 1])


def constraints(system: System, held: Held) -> Constraints:
    """Unknowns that are left under a boundary."""
    return eliminate(system, held.fixed, held.rollers, held.cuts)


def spring_matrix(system: System, held: Held) -> csc_matrix | None:
    """Σ k ∫ v_i · v_j along the outlines on springs; None where there are none."""
    if not held.springs:
        return None
    return sum(k * outline_mass(system, sides) for sides, k in held.springs)


def outline_mass(system: System, sides: np.ndarray | None = None) -> csc_matrix:
    """M_ij = ∫ v_i · v_j along all outlines and holes, or along some of their sides."""
    facets = None if sides is None else facet_numbers(system, sides)
    basis = system.basis
    rim = FacetBasis(basis.mesh, basis.elem, facets=facets, intorder=2 * system.order)

    @BilinearForm
    def form(u, v, _):  # type: ignore[no-untyped-def]
        return u[0] * v[0] + u[1] * v[1]

    return form.assemble(rim).tocsc()


def near_cut(system: System, boundary: Boundary, widths: float = 1.0) -> np.ndarray:
    """True for triangles near a cut, where the unseen rest of the particle decides the stress.

    Parameters
    ----------
    system : System
        From `assemble`.
    boundary : Boundary
        `Cut` or `Supports` with cut edges, or rollers on the border of the image.
    widths : float
        How near, in lengths of the cut edge.

    Returns
    -------
    numpy.ndarray of bool, shape (n_elements,)
        In the order of `Mesh.triangles`; all False where nothing is cut.
    """
    return near_pieces(system.mesh, held_sides(system, boundary).masked, widths)


def boundary_moments(
    system: System, boundary: Boundary, displacement: np.ndarray, load: np.ndarray
) -> np.ndarray:
    """Moment of all that acts on the outlines, which ∫ stress must equal in every particle.

    With the reactions r = K u - f of held places and the pull -k u of springs, and places x_j:

        ∫ stress_ij = Σ r_i x_j - k ∫ u_i x_j

    Unknowns that are free count with nothing, whatever their residual: a displacement that is no
    solution fails the comparison. So do pins, which carry no force.

    Parameters
    ----------
    system : System
        From `assemble`.
    boundary : Boundary
        How outlines and holes are held.
    displacement, load : numpy.ndarray, shape (n_dof,)
        Solution u in µm, and the forces f of the eigenstrain.

    Returns
    -------
    numpy.ndarray, shape (n_particles, 3)
        xx, yy and xy in GPa µm².
    """
    held = held_sides(system, boundary)
    eliminated, springs = constraints(system, held), spring_matrix(system, held)
    reaction = system.matrix @ displacement - load
    pull = np.zeros_like(displacement) if springs is None else -(springs @ displacement)
    horizontal, number = along_x(system), particle_of_unknowns(system)
    x, y = system.basis.doflocs
    moments = []
    for place in (horizontal * x, ~horizontal * y, horizontal * y):
        admitted = eliminated.transform @ (eliminated.pick @ place)
        moments.append(np.bincount(number, reaction * (place - admitted) + pull * admitted))
    return np.array(moments).T
