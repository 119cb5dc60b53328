"""The stiffness matrix factored: once for a boundary, for any number of loads."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from types import ModuleType
from typing import Literal

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse.linalg import splu
from threadpoolctl import threadpool_limits

from chemoscape.blocks import n_workers
from chemoscape.errors import MeshError, RecipeError
from chemoscape.mechanics.boundaries import (
    Boundary,
    constraints,
    held_sides,
    spring_matrix,
)
from chemoscape.mechanics.constraints import unheld_motions
from chemoscape.mechanics.elements import System
from chemoscape.mechanics.multigrid import multigrid

Solver = Literal["auto", "superlu", "cholmod", "amg"]
#: Optional solvers: the module that each needs, and the package that brings it.
PACKAGES = {"cholmod": ("sksparse.cholmod", "scikit-sparse"), "amg": ("pyamg", "pyamg")}
#: Unknowns beyond which a factor outgrows the memory that the iterative solver needs.
MANY_UNKNOWNS = 500_000
#: Bytes of loads that are solved side by side: a few copies of them are alive at once.
LOAD_BYTES = 64_000_000

Solve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Factor:
    """Maps loads of shape (n_dof,) or (n_dof, n_loads) to displacements of the same shape.

    Parameters
    ----------
    solver : str
        "superlu", "cholmod" or "amg": what solves.
    n_unknowns : int
        Unknowns that are solved for.
    transform : scipy.sparse.csc_matrix, shape (n_dof, n_unknowns)
        Displacements from unknowns.
    motions, means : scipy.sparse matrices
        Rigid motions that the boundary leaves, and how much of each a displacement has.
    solve : callable
        Loads of the unknowns to unknowns.
    """

    solver: str
    n_unknowns: int
    transform: csc_matrix
    motions: csc_matrix
    means: csr_matrix
    solve: Solve

    def __call__(self, load: np.ndarray) -> np.ndarray:
        """Displacements in µm of loads; no rigid motion that nothing holds."""
        with threadpool_limits(limits=n_workers()):
            answer = self.transform @ self.solve(self.transform.T @ load)
        return answer - self.motions @ (self.means @ answer)


def factorise(system: System, boundary: Boundary, *, solver: Solver = "auto") -> Factor:
    """Factor the stiffness matrix under a boundary once; the result maps loads to displacements.

    Parameters
    ----------
    system : System
        From `assemble`.
    boundary : "free", "fixed", Springs, Cut or Supports
        How outlines and holes are held.
    solver : {"auto", "superlu", "cholmod", "amg"}
        SciPy's SuperLU; CHOLMOD, where scikit-sparse is installed; conjugate gradients with
        multigrid, where pyamg is: little memory, but every load takes as long as the first.
        "auto" takes CHOLMOD if it can, and of the others the iterative one only beyond half a
        million unknowns.

    Returns
    -------
    Factor
        Displacements that it gives have no mean translation or rotation where none is held.

    Raises
    ------
    MeshError
        The factor does not fit into memory, or the iterative solver stalls.
    RecipeError
        The solver is unknown or not installed, or the boundary does not fit the mesh.
    """
    held = held_sides(system, boundary)
    eliminated, springs = constraints(system, held), spring_matrix(system, held)
    motions, means, pinned = unheld_motions(system, eliminated, springs)
    moving = np.delete(np.arange(eliminated.transform.shape[1]), pinned)
    transform = eliminated.transform[:, moving]
    name = _chosen(solver, moving.size)
    matrix = system.matrix if springs is None else system.matrix + springs
    with threadpool_limits(limits=n_workers()):  # more threads than processors is 6 times slower
        try:
            reduced = _reduced(matrix, transform)
            if name == "superlu":
                solve = _superlu(reduced)
            elif name == "cholmod":
                solve = _cholmod(reduced)
            else:
                solve = multigrid(system, eliminated, moving, reduced)
        except MemoryError:
            raise MeshError(
                f"{moving.size:,} unknowns do not fit into memory", remedy="raise mesh_size"
            ) from None
    return Factor(name, moving.size, transform, motions, means, solve)


def many_loads(
    factor: Callable[[np.ndarray], np.ndarray],
    loads: Iterable[np.ndarray],
    *,
    block_bytes: int = LOAD_BYTES,
) -> Iterator[np.ndarray]:
    """Displacements of many loads, one after the other, solved in blocks that memory can hold.

    Parameters
    ----------
    factor : callable
        From `factorise`.
    loads : iterable of numpy.ndarray, shape (n_dof,)
        Forces; taken only as needed, so that random draws can be made on the way.
    block_bytes : int
        Bytes of the loads that are solved side by side.

    Yields
    ------
    numpy.ndarray, shape (n_dof,)
        Displacement of every load, in their order.

    Examples
    --------
    >>> halves = many_loads(lambda load: load / 2, (np.full(3, n) for n in (2.0, 4.0)))
    >>> [half.tolist() for half in halves]
    [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    """
    source = iter(loads)
    for first in source:
        size = max(1, int(block_bytes // first.nbytes)) if first.nbytes else 1
        block = np.column_stack([first, *islice(source, size - 1)])
        yield from np.ascontiguousarray(factor(block).T)


def _chosen(solver: str, n_unknowns: int) -> str:
    """The solver to use.

    Raises
    ------
    RecipeError
        It is unknown or not installed.
    """
    if solver == "auto":
        if _module("cholmod"):
            return "cholmod"
        return "amg" if n_unknowns > MANY_UNKNOWNS and _module("amg") else "superlu"
    if solver not in ("superlu", *PACKAGES):
        raise RecipeError(
            f"the solver {solver!r} is unknown",
            remedy='use "auto", "superlu", "cholmod" or "amg"',
        )
    if solver in PACKAGES and not _module(solver):
        raise RecipeError(
            f"the solver {solver!r} is not installed",
            remedy=f'install it: pip install {PACKAGES[solver][1]}, or use solver "superlu"',
        )
    return solver


def _module(solver: str) -> ModuleType | None:
    """The optional module behind a solver, if it can be imported."""
    try:
        return importlib.import_module(PACKAGES[solver][0])
    except ImportError:
        return None


def _reduced(matrix: csc_matrix, transform: csc_matrix) -> csc_matrix:
    """T^T K T; rows and columns of K, six times as fast, where T only leaves unknowns out."""
    if transform.nnz == transform.shape[1] and (transform.data == 1).all():
        kept = transform.indices
        return matrix[kept][:, kept].tocsc()
    return (transform.T @ matrix @ transform).tocsc()


def _superlu(matrix: csc_matrix) -> Solve:
    """LU without pivoting: K is symmetric and positive definite, the diagonal a good pivot."""
    return splu(
        matrix,
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    ).solve


def _cholmod(matrix: csc_matrix) -> Solve:
    """Supernodal Cholesky factor."""
    module = importlib.import_module(PACKAGES["cholmod"][0])
    try:
        return module.cholesky(matrix)
    except module.CholmodOutOfMemoryError as error:
        raise MemoryError from error
