"""How the small problems of a piece of pixels are solved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from chemoscape.decompose.band_problem import Problem, filled
from chemoscape.decompose.kernels import room, solve_one_by_one
from chemoscape.decompose.shared_nnls import MOST_TABULATED, Table, look_up, solve_shared
from chemoscape.decompose.small_nnls import invert_grams, solve_together
from chemoscape.decompose.tiles import PAIR


class Found(NamedTuple):
    """Solutions (K, pixels), their inverse Gram matrices (K(K+1)/2, pixels), unknowns in use."""

    solutions: np.ndarray
    inverses: np.ndarray
    n_active: np.ndarray


class Solver(Protocol):
    """How pixels with all energies, of equal weight, are solved from products with `columns`."""

    @property
    def columns(self) -> np.ndarray:
        """Filled up to whole steps and pairs."""
        ...

    def solve(self, moments: np.ndarray) -> Found:
        """Solve a piece of pixels; moments have a row for each column."""
        ...


@dataclass(frozen=True, eq=False)
class Tabulated:
    """Least squares with few unknowns kept >= 0, or none."""

    columns: np.ndarray
    gram: np.ndarray
    table: Table

    def solve(self, moments: np.ndarray) -> Found:
        """From products with the columns of the problem."""
        n, size = len(self.gram), moments.shape[1]
        solutions, inverses = room(n, size), room(len(self.table.inverses), size)
        sets = np.empty(size, np.int64)
        table = self.table
        solve_shared(table.pivots, table.sound, table.n_bounded, moments, sets, solutions)
        unsolved = np.flatnonzero(sets < 0)
        look_up(table.inverses, np.maximum(sets, 0) if unsolved.size else sets, inverses)
        n_active = table.counts[sets]
        if unsolved.size:
            grams = np.repeat(self.gram[np.tril_indices(n)][:, None], unsolved.size, axis=1)
            rest = solve_own(grams, grams, moments[:n, unsolved], table.n_bounded)
            solutions[:, unsolved], inverses[:, unsolved], n_active[unsolved] = rest
        return Found(solutions, inverses, n_active)


@dataclass(frozen=True, eq=False)
class Together:
    """Least squares with many unknowns kept >= 0."""

    columns: np.ndarray
    gram: np.ndarray
    n_bounded: int

    def solve(self, moments: np.ndarray) -> Found:
        """From products with the columns of the problem."""
        n = len(self.gram)
        grams = np.repeat(self.gram[np.tril_indices(n)][:, None], moments.shape[1], axis=1)
        return solve_own(grams, grams, moments[:n], self.n_bounded)


@dataclass(frozen=True, eq=False)
class Projection:
    """Solutions that are products with the density, the first K; what others tell of the error made
    by leaving them out is added to the covariance.

    Parameters
    ----------
    columns : ndarray, shape (n, K or 2 K filled up)
    gram : ndarray, shape (K, K)
        Covariance of the products for densities of variance one.
    rank : int
    """

    columns: np.ndarray
    gram: np.ndarray
    rank: int

    def solve(self, moments: np.ndarray) -> Found:
        """Take the products as they are."""
        n, size = len(self.gram), moments.shape[1]
        inverses = np.repeat(self.gram[np.tril_indices(n)][:, None], size, axis=1)
        return Found(moments[:n], inverses, np.full(size, float(self.rank)))


def solver_of(problem: Problem) -> Solver:
    """How pixels with all energies, of equal weight, are solved."""
    if problem.n_bounded <= MOST_TABULATED:
        table = Table.of(problem.gram, problem.n_bounded)
        return Tabulated(problem.moments, problem.gram, table)
    return Together(problem.moments, problem.gram, problem.n_bounded)


def projection_of(kept: np.ndarray, left_out: np.ndarray | None, rank: int) -> Projection:
    """Of the matrices (n_energy, K) of the products, and of those for what is left out."""
    columns = kept if left_out is None else np.hstack([kept, left_out])
    return Projection(filled(columns, PAIR, np.float64), kept.T @ kept, rank)


def solve_own(
    grams: np.ndarray, of_covariance: np.ndarray, moments: np.ndarray, n_bounded: int
) -> Found:
    """Solve pixels that have Gram matrices (K(K+1)/2, pixels) of their own; NaN for singular fits.

    Parameters
    ----------
    of_covariance : ndarray, as `grams`
        What the inverses on the active set are taken of.
    """
    active, solutions = room(*moments.shape), room(*moments.shape)
    solve_together(grams, moments, n_bounded, active, solutions)
    unsolved = np.flatnonzero(active[0] < 0)
    if unsolved.size:
        active[:, unsolved], solutions[:, unsolved] = _one_by_one(
            grams[:, unsolved], moments[:, unsolved], n_bounded
        )
    inverses, sound = room(*grams.shape), np.empty(moments.shape[1])
    invert_grams(of_covariance, active, inverses, sound)
    if not sound.all():
        solutions[:, sound == 0], inverses[:, sound == 0] = np.nan, np.nan
    return Found(solutions, inverses, active.sum(axis=0))


def _one_by_one(
    grams: np.ndarray, moments: np.ndarray, n_bounded: int
) -> tuple[np.ndarray, np.ndarray]:
    """Unknowns off their bound (1, else 0) and solutions of pixels that block pivoting leaves."""
    grams, moments = np.ascontiguousarray(grams), np.ascontiguousarray(moments)
    active, solutions = np.empty_like(moments), np.empty_like(moments)
    solve_one_by_one(grams, moments, n_bounded, active, solutions)
    return active, solutions


def tied(
    summed: np.ndarray, power: np.ndarray, grams: np.ndarray, moments: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations whose solution is, up to a factor, that with ``uᵀt = 1``.

    ``‖A t + b - d uᵀt‖`` is homogeneous in (t, b): its minimiser is, up to a factor, that of the
    same norm plus ``dᵀWd (uᵀt - 1)²``.
    """
    i, j = np.tril_indices(len(summed))
    u, v = summed[i, None], summed[j, None]
    return (
        grams + (2.0 * u * v * power - u * moments[j] - v * moments[i]),
        summed[:, None] * power,
    )


def untied(summed: np.ndarray, found: Found) -> Found:
    """Solutions scaled to ``uᵀt = 1``; their covariance H lies in that plane, ``H - Hu uᵀH/uᵀHu``.
    NaN where there is none.
    """
    total = summed @ found.solutions
    scale = np.divide(1.0, total, out=np.full_like(total, np.nan), where=total > 0)
    i, j = np.tril_indices(len(summed))
    along = np.zeros_like(found.solutions)
    for pair, (one, other) in enumerate(zip(i, j, strict=True)):
        along[one] += found.inverses[pair] * summed[other]
        if one != other:
            along[other] += found.inverses[pair] * summed[one]
    length = summed @ along
    share = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    inverses = found.inverses - along[i] * along[j] * share
    return Found(found.solutions * scale, inverses, found.n_active - 1.0)
