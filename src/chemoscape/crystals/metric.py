"""The cell as symmetry lets it change: the reciprocal metric in its free components.

``1/d² = hᵀ G* h`` is linear in the reciprocal metric tensor ``G*``, and an operation R of the point
group leaves ``R G* Rᵀ = G*``. The tensors that all operations leave are spanned by one to six
matrices: one for cubic cells, three for orthorhombic, four for monoclinic, in whatever setting.
"""

from __future__ import annotations

import numpy as np

from chemoscape.crystals.crystal import Cell, Crystal
from chemoscape.errors import FitError

_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
#: Relative change of a cell by symmetry that is rounding.
_ROUNDING = 2e-3


def free_components(rotations: np.ndarray) -> np.ndarray:
    """Basis of the reciprocal metrics that a point group allows.

    Parameters
    ----------
    rotations : ndarray (n, 3, 3)
        Of fractional coordinates.

    Returns
    -------
    ndarray (k, 3, 3)
        Symmetric matrices: means of the six elementary ones over the group, those kept that are
        independent.

    Examples
    --------
    >>> turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # fourfold about c
    >>> group = [np.linalg.matrix_power(turn, n) for n in range(4)]
    >>> free_components(np.array(group)).shape
    (2, 3, 3)
    """
    basis: list[np.ndarray] = []
    for i, j in _PAIRS:
        one = np.zeros((3, 3))
        one[i, j] = one[j, i] = 1.0
        mean = np.mean(rotations @ one @ rotations.transpose(0, 2, 1), axis=0)
        stacked = np.array([*basis, mean]).reshape(len(basis) + 1, 9)
        if np.linalg.matrix_rank(stacked, tol=1e-6) > len(basis):
            basis.append(mean)
    return np.array(basis)


def reciprocal_metric(cell: Cell) -> np.ndarray:
    """``G*``, the inverse of the metric tensor of a cell, 1/Å2."""
    return np.linalg.inv(metric(cell))


def metric(cell: Cell) -> np.ndarray:
    """``G_ij = a_i · a_j``, Å2."""
    lengths = np.array(cell[:3])
    cosines = np.cos(np.radians(cell[3:]))
    angles = np.eye(3)
    for (i, j), cosine in zip(_PAIRS[3:], cosines, strict=True):
        angles[i, j] = angles[j, i] = cosine
    return angles * np.outer(lengths, lengths)


def cell_of(reciprocal: np.ndarray) -> np.ndarray:
    """a, b, c (Å), alpha, beta, gamma (degrees) of a reciprocal metric; NaN where it is none."""
    if not np.isfinite(reciprocal).all() or np.linalg.eigvalsh(reciprocal)[0] <= 0:
        return np.full(6, np.nan)
    direct = np.linalg.inv(reciprocal)
    lengths = np.sqrt(np.diag(direct))
    cosines = [direct[i, j] / (lengths[i] * lengths[j]) for i, j in _PAIRS[3:]]
    return np.r_[lengths, np.degrees(np.arccos(np.clip(cosines, -1, 1)))]


def components_of(crystal: Crystal, basis: np.ndarray) -> np.ndarray:
    """Components of a crystal's cell in a basis.

    Raises
    ------
    FitError
        The cell is not what its symmetry asks for.
    """
    wanted = reciprocal_metric(crystal.cell)
    found = np.linalg.lstsq(basis.reshape(len(basis), 9).T, wanted.ravel(), rcond=None)[0]
    back = cell_of(np.tensordot(found, basis, axes=1))
    if not np.allclose(back, crystal.cell, rtol=_ROUNDING, atol=1e-6):
        listed = ", ".join(f"{value:g}" for value in crystal.cell)
        raise FitError(
            f"its cell ({listed}) does not have the symmetry of {crystal.space_group}",
            crystal.name,
            "correct the cell or the symmetry of the CIF",
        )
    return np.asarray(found)


def cell_covariance(
    components: np.ndarray, covariance: np.ndarray, basis: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Cell, its covariance (6, 6), and the sd of its volume, by linear propagation."""

    def values(one: np.ndarray) -> np.ndarray:
        cell = cell_of(np.tensordot(one, basis, axes=1))
        return np.r_[cell, np.sqrt(np.linalg.det(metric(tuple(cell))))]

    slopes = np.empty((7, len(components)))
    for k in range(len(components)):
        step = np.zeros_like(components)
        step[k] = 1e-6 * np.abs(components).max()
        slopes[:, k] = (values(components + step) - values(components - step)) / (2 * step[k])
    spread = slopes @ covariance @ slopes.T
    return values(components)[:6], spread[:6, :6], float(np.sqrt(max(spread[6, 6], 0.0)))
