"""Rigid motions of the particles: what they are, and how much of each a displacement has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix
from skfem import LinearForm

if TYPE_CHECKING:
    from chemoscape.mechanics.elements import System


def unknown_pairs(system: System) -> np.ndarray:
    """Unknowns (ux, uy) of every place that has some, shape (2, n_places).

    Places are the mesh's points, then, for order 2, the middles of the sides.
    """
    nodal = np.asarray(system.basis.nodal_dofs)
    if system.order == 1:
        return nodal
    return np.hstack([nodal, system.basis.facet_dofs])


def along_x(system: System) -> np.ndarray:
    """True for unknowns that are displacements along x, shape (n_dof,)."""
    along = np.zeros(system.basis.N, dtype=bool)
    along[unknown_pairs(system)[0]] = True
    return along


def particle_of_unknowns(system: System) -> np.ndarray:
    """Number of the particle that every unknown belongs to, shape (n_dof,)."""
    number = np.zeros(system.basis.N, dtype=int)
    number[system.basis.element_dofs] = system.particle
    return number


def rigid_motions(system: System) -> tuple[csc_matrix, csr_matrix]:
    """The rigid motions of every particle, and the functionals that measure them.

    Translation along x and y, and rotation about the particle's centre of area, divided by the
    particle's radius of gyration so that all three are of size one.

    Returns
    -------
    motions : scipy.sparse.csc_matrix, shape (n_dof, 3 n_particles)
        Displacements.
    means : scipy.sparse.csr_matrix, shape (3 n_particles, n_dof)
        Mean displacement along x and y, mean rotation times radius: means @ motions is 1.
    """
    basis, area = system.basis, system.basis.dx.sum(axis=1)
    count = int(system.mesh.particle.max()) + 1
    sums = np.bincount(system.particle, area, count)
    corners = basis.mesh.p[:, basis.mesh.t].mean(axis=1)
    centre = np.array([np.bincount(system.particle, c * area, count) / sums for c in corners])
    offset = corners - centre[:, system.particle]
    spread = np.bincount(system.particle, (offset**2).sum(axis=0) * area, count) / sums
    # a particle of one triangle has no spread of centres
    radius = np.sqrt(spread + sums)

    number, horizontal = particle_of_unknowns(system), along_x(system)
    x, y = (basis.doflocs - centre[:, number]) / radius[number]
    unknowns = np.arange(basis.N)
    columns = [
        (horizontal.astype(float), 0),
        ((~horizontal).astype(float), 1),
        (np.where(horizontal, -y, x), 2),
    ]
    motions = csc_matrix(
        (
            np.concatenate([values for values, _ in columns]),
            (np.tile(unknowns, 3), np.concatenate([3 * number + k for _, k in columns])),
        ),
        shape=(basis.N, 3 * count),
    )

    @LinearForm
    def mean_x(v, _):  # type: ignore[no-untyped-def]
        return v[0]

    @LinearForm
    def mean_y(v, _):  # type: ignore[no-untyped-def]
        return v[1]

    @LinearForm
    def curl(v, _):  # type: ignore[no-untyped-def]
        return (v.grad[1, 0] - v.grad[0, 1]) / 2

    rows = [form.assemble(basis) / sums[number] for form in (mean_x, mean_y, curl)]
    rows[2] = rows[2] * radius[number]
    means = csr_matrix(
        (
            np.concatenate(rows),
            (np.concatenate([3 * number + k for k in range(3)]), np.tile(unknowns, 3)),
        ),
        shape=(3 * count, basis.N),
    )
    return motions, means


def without_rigid_motion(system: System, displacement: np.ndarray) -> np.ndarray:
    """Displacement whose mean and mean rotation over every particle are zero."""
    motions, means = rigid_motions(system)
    return displacement - motions @ (means @ displacement)


def rigid_modes(system: System) -> np.ndarray:
    """Translations and rotation of the whole image, shape (n_dof, 3): K times them is zero."""
    horizontal = along_x(system)
    x, y = system.basis.doflocs
    return np.column_stack([horizontal, ~horizontal, np.where(horizontal, -y, x)]).astype(float)
