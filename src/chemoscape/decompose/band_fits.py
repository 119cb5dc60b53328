"""Fits of a band of pixels, piece by piece: sums over energies, small problems, what they tell."""

from __future__ import annotations

import numpy as np

from chemoscape.blocks import kernel
from chemoscape.decompose.band_problem import Problem, Source
from chemoscape.decompose.kernels import room
from chemoscape.decompose.solvers import Solver, solve_own, tied, untied
from chemoscape.decompose.tiles import (
    sum_moments,
    sum_residual,
    sum_weighted,
    sum_weighted_residual,
)

#: Pixels of a piece: few enough for a processor's cache to hold them until the residual is taken,
#: many enough that calling a compiled function costs nothing. (No power of two, with which all
#: rows of a matrix would compete for the same places of the cache.)
PIECE = 1984
#: Share of the energies below which what a pixel has left may tell its standards apart so badly
#: that rounding in float32 would show.
ENOUGH = 0.75


def fit_band(
    problem: Problem,
    solver: Solver | None,
    density: np.ndarray,
    variance: np.ndarray | None,
    out: np.ndarray,
    start: int,
    *,
    weighted: bool = False,
    mend: bool = True,
) -> None:
    """Fit every pixel of a band into `out` (n_planes, pixels) from the pixel `start` on; see
    `PixelFits` for the planes.

    Parameters
    ----------
    problem : Problem
    solver : Solver or None
        None where each pixel has equations of its own, for its weights or as its solution sums to
        one.
    density : ndarray, shape (n_energy, …)
    variance : the same, or None
    mend : bool
        Fit pixels that lack energies on those they have, by themselves; else they are NaN.
    """
    sources = Source.of(density, problem.energies), Source.of(variance, problem.energies)
    n_energy, n_pixels = problem.energies.size, density[0].size
    for first in range(0, n_pixels, PIECE):
        size = min(PIECE, n_pixels - first)
        here = sources[0].at(first), sources[1].at(first)
        # one type of result, so that it is compiled for once
        whole = out.dtype == np.float64
        planes = out if whole else np.empty((len(out), size))
        at = start + first if whole else 0
        if solver is None:
            _fit_own(problem, *here, weighted, planes, at, size)
        else:
            told = _fit_alike(problem, solver, *here, planes, at, size, mend=mend)
            lacking = np.flatnonzero(told)
            if lacking.size and mend:
                values, noise = (
                    Source.of(one.values(n_energy, lacking), np.arange(n_energy)) for one in here
                )
                mended = np.empty((len(out), lacking.size))
                _fit_own(problem, values, noise, weighted, mended, 0, lacking.size)
                planes[:, at + lacking] = mended
            elif lacking.size:
                planes[:, at + lacking] = np.nan
        if not whole:
            out[:, start + first : start + first + size] = planes


def _fit_alike(
    problem: Problem,
    solver: Solver,
    density: Source,
    variance: Source,
    planes: np.ndarray,
    at: int,
    size: int,
    *,
    mend: bool,
) -> np.ndarray:
    """Fit pixels on all energies with equal weights. Returns which of them (bool) lack some: of
    pixels that are to be mended, also those that lack a variance.

    With the fit held on its active set, ``dt/dδ = (AᵀA)⁻¹ (A'ᵀr - AᵀA't)``.
    """
    n, n_standards, n_energy = len(problem.gram), problem.n_standards, problem.energies.size
    moments = room(solver.columns.shape[1], size)
    sum_moments(density.flat, density.rows, solver.columns, moments)
    solutions, inverses, n_active = solver.solve(moments)
    squares, chi = room(2, size)
    pull = room(problem.own_slopes.shape[1], size, dtype=np.float32)
    sources = density.flat, density.rows, variance.flat, variance.rows, n_energy
    mixed = _mixture(problem, solutions)
    sum_residual(*sources, problem.basis, mixed, problem.own_slopes, squares, chi, pull)
    lacking = ~np.isfinite(squares + chi if mend else squares)
    drive = -(problem.columns.T @ problem.slopes) @ solutions[:n_standards]
    drive[:n_standards] += pull[:n_standards]
    used = np.full(size, float(n_energy))
    if variance.flat.size == 0:
        chi[:] = np.nan
    freedom = _positive(used - n_active)
    found = solutions, inverses, drive, squares / freedom, freedom, used, squares, chi
    tell(*found, 1 / problem.lengths, n_standards, planes, at)
    if len(moments) >= 2 * n:
        left_out = moments[n : n + n_standards] / problem.lengths[:n_standards, None]
        row, column = np.triu_indices(n_standards)
        planes[n + n_standards : -2, at : at + size] += left_out[row] * left_out[column]
    return lacking


def _fit_own(
    problem: Problem,
    density: Source,
    variance: Source,
    weighted: bool,
    planes: np.ndarray,
    at: int,
    size: int,
) -> None:
    """Fit pixels each on the energies it has and with its own weights.

    With the fit held on its active set, ``dt/dδ = (AᵀWA)⁻¹ (A'ᵀWr - AᵀWA't)``. The covariance is
    that on the active set: ``(AᵀWA)⁻¹`` for weights 1/variance, ``s²(AᵀA)⁻¹`` with the pixel's own
    residual variance s² for equal weights.
    """
    n, n_standards, n_energy = len(problem.gram), problem.n_standards, problem.energies.size
    n_bounded = problem.n_bounded
    moments = room(problem.moments.shape[1], size)
    grams, extra = room(problem.products.shape[1], size), room(2, size)
    sources = density.flat, density.rows, variance.flat, variance.rows, n_energy, weighted
    sum_weighted(*sources, problem.moments, problem.products, moments, grams, extra)
    pairs = n * (n + 1) // 2
    gram, moment, (power, used) = grams[:pairs], moments[:n], extra
    if problem.summed.any():
        equations = tied(problem.summed, power, gram, moment)
        found = untied(problem.summed, solve_own(equations[0], gram, equations[1], n_bounded))
    else:
        found = solve_own(gram, gram, moment, n_bounded)
    solutions, inverses, n_active = found
    hopeless = (used < n) | ~np.isfinite(solutions[0])
    if hopeless.any():
        solutions[:, hopeless], inverses[:, hopeless] = np.nan, np.nan
    squares, chi = room(2, size)
    pull = room(problem.own_slopes.shape[1], size, dtype=np.float32)
    drag = room(problem.basis.shape[1], size, dtype=np.float32)
    moving = np.zeros((problem.own_slopes.shape[1], size), np.float32)
    moving[:n_standards] = solutions[:n_standards]
    sums = squares, chi, pull, drag
    mixed = _mixture(problem, solutions)
    sum_weighted_residual(*sources, problem.basis, mixed, problem.own_slopes, moving, *sums)
    drive = -problem.triangle.T @ drag[:n].astype(np.float64)
    drive[:n_standards] += pull[:n_standards]
    lost = np.flatnonzero((used >= n) & (used < ENOUGH * n_energy))
    if lost.size:
        squares[lost], chi[lost], drive[:, lost] = _sums_exactly(
            problem, density, variance, weighted, solutions, lost
        )
    if variance.flat.size == 0:
        chi[:] = np.nan
    freedom = _positive(used - n_active)
    scale = np.ones(size) if weighted else squares / freedom
    told = solutions, inverses, drive, scale, freedom, used, squares, chi
    tell(*told, 1 / problem.lengths, n_standards, planes, at)


def _mixture(problem: Problem, solutions: np.ndarray) -> np.ndarray:
    """``-R t`` in float32, filled up with zeros: what to multiply the basis with."""
    out = np.zeros((problem.basis.shape[1], solutions.shape[1]), np.float32)
    np.matmul(-problem.triangle, solutions, out=out[: len(solutions)], casting="same_kind")
    return out


def _sums_exactly(
    problem: Problem,
    density: Source,
    variance: Source,
    weighted: bool,
    solutions: np.ndarray,
    pixels: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Σ r², Σ r²/v and ``A'ᵀWr - AᵀWA't`` of some pixels, all in float64."""
    n_energy, n_standards = problem.energies.size, problem.n_standards
    values = density.values(n_energy, pixels).astype(np.float64)
    known = np.isfinite(values)
    noise = np.ones_like(values)
    if variance.flat.size:
        noise = variance.values(n_energy, pixels).astype(np.float64)
        known &= (noise > 0) & np.isfinite(noise)
    share = np.divide(1.0, noise, out=np.zeros_like(values), where=known)
    weight = share if weighted else known.astype(np.float64)
    rest = np.where(known, values - problem.columns @ solutions[:, pixels], 0.0)
    moved = problem.slopes @ solutions[:n_standards, pixels]
    drive = -problem.columns.T @ (weight * moved)
    drive[:n_standards] += problem.slopes.T @ (weight * rest)
    return (rest**2).sum(axis=0), (share * rest**2).sum(axis=0), drive


def _positive(freedom: np.ndarray) -> np.ndarray:
    """NaN where not positive."""
    return np.where(freedom > 0, freedom, np.nan)


@kernel
def tell(  # type: ignore[no-untyped-def]
    solutions, inverses, drive, scale, freedom, used, squares, chi, shrunk, n_standards, out, start
):
    """Planes of the result from what was found: solution, its change with the energy shift
    ``H·drive``, covariance of the standards, residual and reduced chi-squared. `shrunk` is one over
    the columns' lengths.
    """
    n, size = solutions.shape
    root, reduced = out[len(out) - 2], out[len(out) - 1]
    for p in range(size):
        root[start + p] = np.sqrt(squares[p] * np.reciprocal(used[p]))
        reduced[start + p] = chi[p] * np.reciprocal(freedom[p])
    for i in range(n):
        plane, factor, solution = out[i][start : start + size], shrunk[i], solutions[i]
        for p in range(size):
            plane[p] = factor * solution[p]
    for i in range(n_standards):
        plane, factor = out[n + i][start : start + size], shrunk[i]
        plane[:] = 0.0
        for j in range(n):
            inverse = inverses[j * (j + 1) // 2 + i if j >= i else i * (i + 1) // 2 + j]
            driven = drive[j]
            for p in range(size):
                plane[p] += factor * inverse[p] * driven[p]
    plane_of = n + n_standards
    for i in range(n_standards):
        for j in range(i, n_standards):
            plane, factor = out[plane_of][start : start + size], shrunk[i] * shrunk[j]
            inverse = inverses[j * (j + 1) // 2 + i]
            plane_of += 1
            for p in range(size):
                plane[p] = factor * inverse[p] * scale[p]
