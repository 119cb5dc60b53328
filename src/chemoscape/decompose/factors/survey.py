"""All that is asked of every pixel of a stack before anything is known of it, in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from chemoscape.blocks import bands, one_blas_thread, reduce_blocks
from chemoscape.decompose.factors.pixels import TILE, some_of

#: Bits of the map that says what is asked of a pixel: it is of the sample, its noise is measured,
#: it is of the surroundings.
SAMPLE, RANKED, OUTSIDE = 1, 2, 4


@dataclass(eq=False)
class Survey:
    """Sums over the pixels of some rows; `+=` another for the rows that follow.

    Parameters
    ----------
    known, mean, scatter, variance : ndarray, shape (n_energy,)
        Of the sample's values at each energy that are not missing: number, mean, sum of squared
        deviations from it, and sum of their stated variances.
    gram : ndarray, shape (n_energy, n_energy)
        ``Σ d dᵀ`` of the sample's pixels with a value at every energy.
    total : ndarray, shape (n_energy,)
        ``Σ d`` of these.
    complete, asked : list of ndarray, shape (rows, x)
        Which of the pixels asked for have a value at every energy, bool; and what was asked.
    stated_by_pixel : list of ndarray
        Mean stated variance of each complete pixel whose noise is measured.
    stated_by_energy : ndarray, shape (2, n_energy)
        Sum and number of their stated variances.
    ranked, outside : list of ndarray, shape (n_energy, some pixels)
        Densities of the complete pixels whose noise is measured, and of the surroundings, if they
        are to be kept.
    """

    known: np.ndarray
    mean: np.ndarray
    scatter: np.ndarray
    variance: np.ndarray
    gram: np.ndarray
    total: np.ndarray
    stated_by_energy: np.ndarray
    complete: list[np.ndarray] = field(default_factory=list)
    asked: list[np.ndarray] = field(default_factory=list)
    stated_by_pixel: list[np.ndarray] = field(default_factory=list)
    ranked: list[np.ndarray] = field(default_factory=list)
    outside: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def empty(cls, n: int) -> Survey:
        """Of no pixels and `n` energies."""
        known, mean, scatter, variance, total = np.zeros((5, n))
        return cls(known, mean, scatter, variance, np.zeros((n, n)), total, np.zeros((2, n)))

    def add_values(self, known: np.ndarray, mean: np.ndarray, scatter: np.ndarray) -> None:
        """Join mean and scatter of further pixels (Chan, Golub and LeVeque 1979)."""
        n = self.known + known
        share = known / np.maximum(n, 1)
        apart = mean - self.mean
        self.mean = self.mean + apart * share
        self.scatter = self.scatter + scatter + apart**2 * share * self.known
        self.known = n

    def __iadd__(self, other: Survey) -> Survey:
        self.add_values(other.known, other.mean, other.scatter)
        self.variance += other.variance
        self.gram += other.gram
        self.total += other.total
        self.stated_by_energy += other.stated_by_energy
        self.complete += other.complete
        self.asked += other.asked
        self.stated_by_pixel += other.stated_by_pixel
        self.ranked += other.ranked
        self.outside += other.outside
        return self

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over the sample's pixels, NaN where none has a value."""
        n = np.where(self.known > 0, self.known, np.nan)
        return np.asarray(np.sqrt(self.scatter / n))

    def mean_and_variance(self, stated: bool) -> tuple[np.ndarray, np.ndarray]:
        """Mean over the sample's pixels and its variance ``Σ v / n²``; NaN where not known."""
        mean = np.where(self.known > 0, self.mean, np.nan)
        if not stated:
            return mean, np.full_like(mean, np.nan)
        return mean, self.variance / np.maximum(self.known, 1) ** 2


def survey(
    density: np.ndarray, variance: np.ndarray | None, asked: np.ndarray, *, keep: bool
) -> Survey:
    """Read a stack once.

    Parameters
    ----------
    density, variance : ndarray or dask Array, shape (n_energy, n_y, n_x)
        Optical densities and their stated variances.
    asked : ndarray or dask Array of int, shape (n_y, n_x)
        What is asked of a pixel, bits of `SAMPLE`, `RANKED` and `OUTSIDE`.
    keep : bool
        Hold the densities of those measured and of the surroundings: for a stack that is not in
        memory.
    """
    cubes = [density, asked] if variance is None else [density, asked, variance]

    def work(values: np.ndarray, bits: np.ndarray, spread: np.ndarray | None = None) -> Survey:
        return _of_rows(values, bits, spread, keep=keep)

    with one_blas_thread():
        return reduce_blocks(work, Survey.__iadd__, *cubes)


def _of_rows(
    values: np.ndarray, bits: np.ndarray, spread: np.ndarray | None, *, keep: bool
) -> Survey:
    """Sums over some rows, a tile after the other."""
    n_energy, shape = len(values), bits.shape
    flat, bits = values.reshape(n_energy, -1), bits.ravel()
    flat_spread = None if spread is None else spread.reshape(n_energy, -1)
    found = Survey.empty(n_energy)
    complete = np.zeros(bits.size, dtype=bool)
    inside = np.flatnonzero(bits & SAMPLE)
    for part in bands(inside.size, TILE):
        columns = inside[part]
        block = some_of(flat, columns)
        whole = np.isfinite(block.sum(axis=0))
        complete[columns] = whole
        ranked = whole & (bits[columns] & RANKED > 0)
        if flat_spread is not None:
            _add_variances(found, some_of(flat_spread, columns), block, whole, ranked)
        if keep and ranked.any():
            found.ranked.append(block[:, ranked].astype(np.float32))
        if not whole.all():
            seen = np.isfinite(block)
            found.add_values(*_moments(np.where(seen, block, 0), seen.sum(axis=1)))
            block = block[:, whole]
        gram = block @ block.T
        found.gram += gram
        found.total += block.sum(axis=1)
        if whole.all():
            found.add_values(*_moments(block, np.full(n_energy, columns.size), np.diag(gram)))
    around = np.flatnonzero(bits & OUTSIDE)
    for part in bands(around.size, TILE):
        block = some_of(flat, around[part])
        whole = np.isfinite(block.sum(axis=0))
        complete[around[part]] = whole
        if keep:
            found.outside.append(block[:, whole].astype(np.float32))
    found.complete.append(complete.reshape(shape))
    found.asked.append(bits.reshape(shape))
    return found


def _moments(
    block: np.ndarray, known: np.ndarray, squares: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, mean and squared deviations of the values (energy, pixel), 0 where missing."""
    total = block.sum(axis=1)
    if squares is None:
        squares = (block**2).sum(axis=1)
    mean = total / np.maximum(known, 1)
    return known, mean, np.maximum(squares - total * mean, 0)


def _add_variances(
    found: Survey, spread: np.ndarray, block: np.ndarray, whole: np.ndarray, ranked: np.ndarray
) -> None:
    """Add stated variances (energy, pixel) of a tile's pixels."""
    known = spread if whole.all() else np.where(np.isfinite(block), spread, 0)
    found.variance += known.sum(axis=1)
    by_pixel = spread.mean(axis=0)[ranked]
    found.stated_by_pixel.append(by_pixel)
    usable = np.isfinite(by_pixel)
    if not (ranked.all() and usable.all()):
        spread = spread[:, ranked][:, usable]
    found.stated_by_energy[0] += spread.sum(axis=1)
    found.stated_by_energy[1] += usable.sum()
