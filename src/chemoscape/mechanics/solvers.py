"""The stiffness matrix factored: once for a boundary, for any number of loads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import splu
from threadpoolctl import threadpool_limits

from chemoscape.blocks import n_workers
from chemoscape.errors import MeshError
from chemoscape.mechanics.boundaries import (
    Boundary,
    Springs,
    check_boundary,
    outline_mass,
    pins,
)
from chemoscape.mechanics.elements import System


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
