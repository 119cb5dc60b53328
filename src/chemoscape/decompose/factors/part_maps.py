"""Reading the pixels that parts are found with, and maps of parts whose spectra are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.blocks import bands, one_blas_thread, reduce_blocks
from chemoscape.decompose.factors.hals import sum_of_squares
from chemoscape.decompose.factors.weights_of_parts import Solver, solve_gapped

#: Pixels worked on at a time.
BAND = 2048


@dataclass(frozen=True, eq=False)
class PartMaps:
    """What is known of pixels when spectra are held.

    Parameters
    ----------
    weight : ndarray (K, y, x)
        NaN where not asked for, or not known.
    residual : ndarray (y, x)
        Rms over the energies.
    whole : ndarray of bool (y, x)
        Pixels asked for that have a value at every energy.
    left, squares : float
        Squared residuals and squared data, summed over these pixels.
    n_negative : int
        Values below zero in them.
    """

    weight: np.ndarray
    residual: np.ndarray
    whole: np.ndarray
    left: float
    squares: float
    n_negative: int


def sample_of(density: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Complete pixels of those `asked` for (y, x) as (pixel, energy) float32, a lazy stack's read
    once.
    """

    def of_rows(values: np.ndarray, asked: np.ndarray) -> list[np.ndarray]:
        return [block for _, block in _pixels(values, asked, whole=True)]

    parts = reduce_blocks(of_rows, list.__add__, density, asked)
    return np.concatenate([np.empty((0, len(density)), dtype=np.float32), *parts])


def part_maps(
    density: np.ndarray, asked: np.ndarray, spectra: np.ndarray, threshold: float
) -> PartMaps:
    """Weights of all pixels `asked` for, in one pass.

    Parameters
    ----------
    density : ndarray or dask Array, shape (N, y, x)
    asked : ndarray of bool, shape (y, x)
    spectra : ndarray (N, K)
        Of unit length, float64.
    threshold : float
        See `hals.alternate`.
    """
    solver = Solver.of(spectra, threshold)

    def of_rows(values: np.ndarray, asked: np.ndarray) -> list[PartMaps]:
        return [_of_rows(values, asked, spectra, solver)]

    with one_blas_thread():
        parts = reduce_blocks(of_rows, list.__add__, density, asked)
    return PartMaps(
        np.concatenate([part.weight for part in parts], axis=1),
        np.concatenate([part.residual for part in parts]),
        np.concatenate([part.whole for part in parts]),
        sum(part.left for part in parts),
        sum(part.squares for part in parts),
        sum(part.n_negative for part in parts),
    )


def _of_rows(
    values: np.ndarray, asked: np.ndarray, spectra: np.ndarray, solver: Solver
) -> PartMaps:
    """Maps of some rows."""
    n_energy, n = spectra.shape
    weight = np.full((n, asked.size), np.nan, dtype=np.float32)
    residual = np.full(asked.size, np.nan, dtype=np.float32)
    whole = np.zeros(asked.size, dtype=bool)
    left = squares = 0.0
    n_negative = 0
    for columns, data in _pixels(values, asked, whole=True):
        own, square = np.zeros((len(data), n)), np.empty(len(data))
        solver.solve(data, own, square)
        weight[:, columns], residual[columns] = own.T, np.sqrt(square / n_energy)
        whole[columns] = True
        left += float(square.sum())
        squares += sum_of_squares(data)
        n_negative += int((data < 0).sum())
    for columns, data in _pixels(values, asked, whole=False):
        own, square = np.empty((len(data), n)), np.empty(len(data))
        solve_gapped(spectra, data, solver.threshold, own, square)
        weight[:, columns], residual[columns] = own.T, np.sqrt(square)
    return PartMaps(
        weight.reshape(n, *asked.shape),
        residual.reshape(asked.shape),
        whole.reshape(asked.shape),
        left,
        squares,
        n_negative,
    )


def _pixels(
    values: np.ndarray, asked: np.ndarray, *, whole: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Bands of pixels asked for: which ones, and their densities (pixel, energy) float32; those
    with a value at every energy or those without.
    """
    flat, inside = values.reshape(len(values), -1), np.flatnonzero(asked)
    known = np.isfinite(flat).all(axis=0)[inside]
    chosen = inside[known == whole]
    parts = (chosen[band] for band in bands(chosen.size, BAND))
    return [(part, np.ascontiguousarray(flat[:, part].T, dtype=np.float32)) for part in parts]
