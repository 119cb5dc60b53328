"""Held places as fewer unknowns: displacement u = T q, so that K stays symmetric and definite.

Fixed: u = 0. Roller: the component across the outline is 0. Cut: that component is a + b s along a
straight edge, so that the edge may move and turn but not bend; what slides along it is free, as a
slice of a longer particle can widen. Then neither force, nor moment, nor shear acts on the cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import block_diag, null_space, qr
from scipy.sparse import csc_matrix, csr_matrix, hstack

from chemoscape.mechanics.cuts import CutPiece
from chemoscape.mechanics.rigid import rigid_motions, unknown_pairs

if TYPE_CHECKING:
    from chemoscape.mechanics.elements import System

#: Of the two directions that sides of rollers around a place have, the second is the outline's own
#: curvature up to this ratio (an angle of 40°); beyond it is a corner, which holds both.
CORNER = 0.35
#: Sine of the angle below which two held directions are one.
SAME = 0.05
#: Squared displacement below which a rigid motion of size one is not resisted.
FREE_MOTION = 1e-9

#: (row, column, value) of a matrix.
Entry = tuple[int, int, float]


@dataclass(frozen=True, eq=False)
class Constraints:
    """How all displacements follow from the free unknowns.

    Parameters
    ----------
    transform : scipy.sparse.csc_matrix, shape (n_dof, n_free)
        T in u = T q.
    pick : scipy.sparse.csr_matrix, shape (n_free, n_dof)
        q of a displacement that obeys the constraints: pick @ transform is 1.
    single : numpy.ndarray of bool, shape (n_free,)
        True where q is the displacement of one place, not of a whole edge.
    """

    transform: csc_matrix
    pick: csr_matrix
    single: np.ndarray


def eliminate(
    system: System,
    fixed: np.ndarray,
    rollers: Sequence[tuple[np.ndarray, np.ndarray | None]],
    cuts: Sequence[CutPiece],
) -> Constraints:
    """Unknowns that are left when parts of the outlines are held.

    Parameters
    ----------
    system : System
        From `assemble`.
    fixed : numpy.ndarray of int, shape (n, 2)
        Sides (pairs of points) without displacement.
    rollers : sequence of (facets, normal)
        Sides that do not move across themselves; their own normals where `normal` is None.
    cuts : sequence of CutPiece
        Edges that stay straight.
    """
    pairs = unknown_pairs(system)
    held_by: dict[int, list[tuple[np.ndarray, int, float]]] = {}
    for place in np.unique(places_of(system, fixed)):
        held_by[int(place)] = [(axis, -1, 0.0) for axis in np.eye(2)]
    for place, across in _roller_directions(system, rollers).items():
        held_by.setdefault(place, []).extend((direction, -1, 0.0) for direction in across)
    for number, piece in enumerate(cuts):
        places = np.unique(places_of(system, piece.facets))
        along = np.array([-piece.normal[1], piece.normal[0]])
        reach = along @ system.basis.doflocs[:, pairs[0, places]]
        reach = 2 * (reach - reach.min()) / np.ptp(reach) - 1
        for place, s in zip(places, reach, strict=True):
            held_by.setdefault(int(place), []).append((piece.normal, number, float(s)))

    # rows: (unknown, edge column, value), each edge with columns a and b
    n_edges = 2 * len(cuts)
    on_edges: list[Entry] = []
    sliding: list[tuple[int, np.ndarray]] = []
    conflicts: list[np.ndarray] = []
    fits: list[list[tuple[int, np.ndarray, float]]] = [[] for _ in cuts]
    for place, conditions in held_by.items():
        directions: list[np.ndarray] = []
        values: list[np.ndarray] = []
        for direction, number, s in conditions:
            value = np.zeros(n_edges)
            if number >= 0:
                value[2 * number : 2 * number + 2] = 1.0, s
                fits[number].append((place, direction, s))
            weights = _combination(directions, direction)
            if weights is None:
                directions.append(direction)
                values.append(value)
            else:  # held already in this direction: then the edge is
                conflicts.append(value - sum(w * v for w, v in zip(weights, values, strict=True)))
        if len(directions) == 1:
            moved = np.outer(directions[0], values[0])
            sliding.append((place, np.array([-directions[0][1], directions[0][0]])))
        else:
            moved = np.linalg.solve(np.array(directions), np.array(values))
        for component, edge in zip(*np.nonzero(moved), strict=True):
            on_edges.append((pairs[component, place], edge, moved[component, edge]))

    touched = np.array(list(held_by), dtype=int)
    edges = _free_edges(conflicts, n_edges)
    back = _line_fits(fits, pairs)
    return _assembled(system, pairs[:, touched], pairs, sliding, on_edges, back, edges)


def places_of(system: System, facets: np.ndarray) -> np.ndarray:
    """Places (columns of `unknown_pairs`) on sides, shape (2 or 3, n): ends, then middles."""
    grid = system.basis.mesh
    ends = np.asarray(facets, dtype=int).reshape(-1, 2).T
    if system.order == 1:
        return ends
    return np.vstack([ends, grid.p.shape[1] + facet_numbers(system, facets)])


def facet_numbers(system: System, facets: np.ndarray) -> np.ndarray:
    """Numbers of sides in the element's own order, from their sorted pairs of points."""
    grid = system.basis.mesh
    n, known = grid.p.shape[1], np.sort(grid.facets, axis=0)
    code = known[0].astype(np.int64) * n + known[1]
    order = np.argsort(code)
    pairs = np.sort(np.asarray(facets, dtype=np.int64).reshape(-1, 2), axis=1)
    return order[np.searchsorted(code[order], pairs[:, 0] * n + pairs[:, 1])]


def _roller_directions(
    system: System, rollers: Sequence[tuple[np.ndarray, np.ndarray | None]]
) -> dict[int, np.ndarray]:
    """Directions in which every place on a roller is held, each of shape (1 or 2, 2)."""
    normals: dict[int, list[np.ndarray]] = {}
    for facets, given in rollers:
        vectors = system.mesh.points[facets[:, 1]] - system.mesh.points[facets[:, 0]]
        across = np.column_stack([-vectors[:, 1], vectors[:, 0]])
        if given is not None:
            across = np.linalg.norm(vectors, axis=1)[:, None] * given
        for column in places_of(system, facets):
            for place, normal in zip(column, across, strict=True):
                normals.setdefault(int(place), []).append(normal)
    directions = {}
    for place, own in normals.items():
        _, size, axes = np.linalg.svd(np.array(own), full_matrices=False)
        corner = size.size > 1 and size[1] > CORNER * size[0]
        directions[place] = np.eye(2) if corner else axes[:1]
    return directions


def _combination(known: list[np.ndarray], direction: np.ndarray) -> np.ndarray | None:
    """Weights with which known directions make another one; None when it is new."""
    if not known:
        return None
    if len(known) == 1:
        turn = known[0][0] * direction[1] - known[0][1] * direction[0]
        return None if abs(turn) > SAME else np.array([np.sign(known[0] @ direction)])
    return np.linalg.solve(np.array(known).T, direction)


def _free_edges(conflicts: list[np.ndarray], n_edges: int) -> np.ndarray:
    """Motions of the edges that held places leave them, shape (n_edges, n_left)."""
    rows = np.array([row for row in conflicts if np.abs(row).max(initial=0) > SAME])
    if not len(rows):
        return np.eye(n_edges)
    bound = (rows != 0).any(axis=0)
    left = block_diag(null_space(rows[:, bound]), np.eye((~bound).sum()))
    order = np.concatenate([np.flatnonzero(bound), np.flatnonzero(~bound)])
    return left[np.argsort(order)]


def _line_fits(fits: list[list[tuple[int, np.ndarray, float]]], pairs: np.ndarray) -> list[Entry]:
    """Least-squares a and b of every edge from the displacements across it."""
    back: list[Entry] = []
    for number, fit in enumerate(fits):
        lines = np.linalg.pinv(np.array([[1.0, s] for _, _, s in fit]))
        for (place, normal, _), line in zip(fit, lines.T, strict=True):
            for k, c in np.ndindex(2, 2):
                back.append((2 * number + k, pairs[c, place], line[k] * normal[c]))
    return back


def _assembled(
    system: System,
    touched: np.ndarray,
    pairs: np.ndarray,
    sliding: list[tuple[int, np.ndarray]],
    on_edges: list[Entry],
    back: list[Entry],
    edges: np.ndarray,
) -> Constraints:
    """T and its left inverse from free unknowns, places that slide along a side, and edges."""
    n, n_edges = system.basis.N, edges.shape[0]
    free = np.delete(np.arange(n), touched)
    places = pairs[:, [place for place, _ in sliding]]
    ways = np.array([way for _, way in sliding]).reshape(-1, 2)
    columns = free.size + np.arange(len(sliding))
    base = csc_matrix(
        (
            np.concatenate([np.ones(free.size), ways[:, 0], ways[:, 1]]),
            (
                np.concatenate([free, places[0], places[1]]),
                np.concatenate([np.arange(free.size), columns, columns]),
            ),
        ),
        shape=(n, free.size + len(sliding)),
    )
    base.eliminate_zeros()
    single = np.ones(base.shape[1], dtype=bool)
    if not edges.size:
        return Constraints(base, base.T.tocsr(), single)
    motion = csc_matrix(edges)
    moved, fitted = _matrix(on_edges, (n, n_edges)), _matrix(back, (n_edges, n))
    return Constraints(
        hstack([base, moved @ motion]).tocsc(),
        hstack([base, (motion.T @ fitted).T]).T.tocsr(),
        np.append(single, np.zeros(edges.shape[1], dtype=bool)),
    )


def _matrix(entries: list[Entry], shape: tuple[int, int]) -> csr_matrix:
    """Sparse matrix of entries; those in the same place add up."""
    rows, columns, values = np.array(entries, dtype=float).reshape(-1, 3).T
    return csr_matrix((values, (rows.astype(int), columns.astype(int))), shape=shape)


def unheld_motions(
    system: System, constraints: Constraints, springs: csc_matrix | None
) -> tuple[csc_matrix, csr_matrix, np.ndarray]:
    """Rigid motions that nothing resists, and the unknowns that pin them.

    Parameters
    ----------
    system : System
        From `assemble`.
    constraints : Constraints
        From `eliminate`.
    springs : scipy.sparse matrix, shape (n_dof, n_dof), optional
        Stiffness of the springs on the outlines.

    Returns
    -------
    motions : scipy.sparse.csc_matrix, shape (n_dof, n_motions)
        Displacements of size one.
    means : scipy.sparse.csr_matrix, shape (n_motions, n_dof)
        How much of each a displacement has.
    pinned : numpy.ndarray of int, shape (n_motions,)
        Free unknowns q to hold at zero: three, two, one or none per particle.
    """
    motions, means = rigid_motions(system)
    q = (constraints.pick @ motions).tocsc()
    against = motions - constraints.transform @ q
    resisted = (against.T @ against).tocsc()
    pulls = None if springs is None else (motions.T @ (springs @ motions)).tocsc()
    blocks, pinned = [], []
    for number in range(motions.shape[1] // 3):
        three = slice(3 * number, 3 * number + 3)
        size = resisted[three, three].toarray()
        if pulls is not None:  # relative to its largest: soft springs hold as surely as stiff ones
            pull = pulls[three, three].toarray()
            size += pull / max(np.trace(pull), np.finfo(float).tiny)
        sizes, axes = np.linalg.eigh(size)
        ways = axes[:, sizes < FREE_MOTION]
        blocks.append(ways)
        if ways.size:
            own = q[:, three].tocsr()
            rows = np.flatnonzero(np.diff(own.indptr))
            rows = rows[constraints.single[rows]]
            order = qr((own[rows].toarray() @ ways).T, mode="r", pivoting=True)[1]
            pinned.extend(rows[order[: ways.shape[1]]])
    ways = csc_matrix(block_diag(*blocks))
    return (motions @ ways).tocsc(), (ways.T @ means).tocsr(), np.array(pinned, dtype=int)
