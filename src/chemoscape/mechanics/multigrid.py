"""Conjugate gradients with multigrid, for more unknowns than a factor's memory allows."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csc_matrix, csr_matrix, diags

from chemoscape.blocks import one_blas_thread
from chemoscape.errors import MeshError
from chemoscape.mechanics.rigid import rigid_modes

if TYPE_CHECKING:
    from chemoscape.mechanics.constraints import Constraints
    from chemoscape.mechanics.elements import System

#: Relative residual and steps: stress agrees with that of a factor to 1e-8.
RESIDUAL, STEPS = 1e-12, 500


def multigrid(
    system: System, constraints: Constraints, moving: np.ndarray, matrix: csc_matrix
) -> Callable[[np.ndarray], np.ndarray]:
    """Solver of the reduced system: linear elements below quadratic ones, aggregates below those.

    Smoothed aggregation (Vaněk, Mandel, Brezina, Computing 56, 179 (1996)) keeps the three rigid
    motions on all its levels. On quadratic elements it stalls, so their linear ones come first. The
    few unknowns of cut edges, each of which reaches across many triangles, are eliminated.

    Parameters
    ----------
    system : System
        From `assemble`.
    constraints : Constraints
        From `eliminate`.
    moving : numpy.ndarray of int, shape (n_moving,)
        Unknowns that are not pinned.
    matrix : scipy.sparse.csc_matrix, shape (n_moving, n_moving)
        Their stiffness.

    Returns
    -------
    callable
        Maps loads (n_moving,) or (n_moving, n_loads) to unknowns; raises `MeshError` where the
        residual stays above its limit.
    """
    single = constraints.single[moving]
    places, edges = np.flatnonzero(single), np.flatnonzero(~single)
    inner = matrix[places][:, places].tocsr()
    inner.sort_indices()
    hierarchy = _hierarchy(system, constraints, moving[places], inner)

    def solve_places(loads: np.ndarray) -> np.ndarray:
        return np.column_stack([_conjugate_gradients(hierarchy, load) for load in loads.T])

    if edges.size:
        across = matrix[:, edges].toarray()
        reached = solve_places(across[places])
        rest = across[edges] - across[places].T @ reached
        factor = cho_factor((rest + rest.T) / 2)

    def solve(loads: np.ndarray) -> np.ndarray:
        columns = loads.reshape(len(loads), -1)
        answer = np.empty_like(columns, dtype=float)
        answer[places] = solve_places(columns[places])
        if edges.size:
            force = columns[edges] - across[places].T @ answer[places]
            answer[edges] = cho_solve(factor, force)
            answer[places] -= reached @ answer[edges]
        return answer.reshape(loads.shape)

    return solve


def _hierarchy(
    system: System, constraints: Constraints, places: np.ndarray, matrix: csr_matrix
) -> Any:
    """Levels of pyamg: the given matrix, the corners of its triangles, aggregates of those."""
    pyamg = importlib.import_module("pyamg")
    modes = constraints.pick[places] @ rigid_modes(system)
    if system.order == 1:
        return pyamg.smoothed_aggregation_solver(matrix, B=modes, symmetry="symmetric")
    spread, coarse = _from_corners(system, constraints, places)
    below = pyamg.smoothed_aggregation_solver(
        (spread.T @ matrix @ spread).tocsr(), B=modes[coarse], symmetry="symmetric"
    )
    top = pyamg.multilevel.MultilevelSolver.Level()
    top.A, top.P, top.R = matrix, spread, spread.T.tocsr()
    levels = pyamg.multilevel.MultilevelSolver([top, *below.levels], coarse_solver="pinv")
    sweeps = ("gauss_seidel", {"sweep": "symmetric"})
    pyamg.relaxation.smoothing.change_smoothers(levels, sweeps, sweeps)
    return levels


def _from_corners(
    system: System, constraints: Constraints, places: np.ndarray
) -> tuple[csr_matrix, np.ndarray]:
    """Unknowns of a displacement that is linear in every triangle, from those of the corners."""
    basis = system.basis
    ends, corners = basis.nodal_dofs[:, basis.mesh.facets], np.ravel(basis.nodal_dofs)
    middles = np.broadcast_to(basis.facet_dofs[:, None], ends.shape)
    values = np.concatenate([np.ones(corners.size), np.full(ends.size, 0.5)])
    rows, columns = np.append(corners, middles.ravel()), np.append(corners, ends.ravel())
    linear = csr_matrix((values, (rows, columns)), shape=(basis.N, basis.N))
    is_corner = np.zeros(basis.N)
    is_corner[corners] = 1.0
    at_corners = (diags(is_corner) @ constraints.transform[:, places]).tocsc()
    at_corners.eliminate_zeros()
    coarse = np.flatnonzero(np.diff(at_corners.indptr))
    spread = (constraints.pick[places] @ (linear @ at_corners[:, coarse])).tocsr()
    spread.eliminate_zeros()
    return spread, coarse


def _conjugate_gradients(hierarchy: Any, load: np.ndarray) -> np.ndarray:
    """One load, to `RESIDUAL`.

    Raises
    ------
    MeshError
        It is not reached.
    """
    size = np.linalg.norm(load)
    if size == 0:
        return np.zeros_like(load)
    residuals: list[float] = []
    # vectors only: a second thread of BLAS waits more than it works
    with one_blas_thread(), warnings.catch_warnings():
        # the residual tells it, and pyamg warns of steps that round to nothing
        warnings.simplefilter("ignore", UserWarning)
        answer = hierarchy.solve(
            load / size, tol=RESIDUAL, maxiter=STEPS, accel="cg", residuals=residuals
        )
    if not residuals[-1] <= 10 * RESIDUAL:
        raise MeshError(
            f"the iterative solver stalls at a residual of {residuals[-1]:.1e} after "
            f"{len(residuals) - 1} steps",
            remedy='use solver "superlu", or a mesh with rounder triangles',
        )
    return answer * size
