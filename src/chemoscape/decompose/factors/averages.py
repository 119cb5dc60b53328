"""Mean spectra of labelled pixels, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.blocks import bands, for_each_band, is_lazy, one_blas_thread, reduce_blocks
from chemoscape.decompose.factors.pixels import some_of

#: Pixels worked on at a time.
BAND = 4096
#: Sums of so many groups of bands are kept apart, whatever the number of threads: the same bits.
GROUPS = 16
#: Where energies are missing, thickness and spectrum are found in turn: so many times at most,
#: until no value changes by this share.
MOST_ROUNDS, ENOUGH = 50, 1e-5


def mean_spectra(
    values: np.ndarray, label: np.ndarray, n: int, *, like: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean spectra (cluster, energy) of labelled pixels and their standard errors.

    Thickness varies within a cluster: what a pixel has of the mean spectrum, ``t = d·s / s·s``, is
    no error of its shape. ``s_e = Σ d / Σ t`` over the pixels seen at that energy is the mean where
    all are seen, and is not drawn towards the thickness of those that are where some are missing.
    Its error is ``sqrt(Σ (d - s t)² / n (n - 1))``.

    Where nothing is missing, data are read twice, or once with spectra near to the means.

    Parameters
    ----------
    values : ndarray or dask Array, shape (n_energy, n_pixels) or (n_energy, n_y, n_x)
        Optical densities, NaN where missing.
    label : ndarray of int, shape (n_pixels,) or (n_y, n_x)
        0 to n - 1; pixels below 0 are left out.
    n : int
        Number of clusters.
    like : ndarray, shape (n, n_energy), optional
        Spectra that tell the thickness of a pixel as well as the means do.

    Returns
    -------
    tuple of ndarray, shape (n, n_energy)
        NaN at energies that no pixel of a cluster has; errors also at those of one pixel.
    """
    pixels = np.bincount(label[label >= 0], minlength=n)
    with np.errstate(invalid="ignore", divide="ignore"):
        if like is None:
            sums = _sums(values, label, np.zeros((n, len(values))))
            spectrum = sums.total / sums.count
        else:
            spectrum = like
        for _ in range(MOST_ROUNDS):
            before = np.nan_to_num(spectrum)
            sums = _sums(values, label, before)
            unit = sums.total / sums.thick  # spectrum of a pixel with t = 1
            spectrum = unit * (sums.amount / pixels)[:, None]
            holes = ((sums.count > 0) & (sums.count < pixels[:, None])).any()
            changed = np.abs(np.nan_to_num(spectrum) - before) > ENOUGH * np.abs(before)
            if not (holes and changed.any()):
                break
        left = np.maximum(sums.squares - 2 * unit * sums.products + unit**2 * sums.thick2, 0)
        error = np.sqrt(left / sums.count / (sums.count - 1))
    return np.where(sums.count > 0, spectrum, np.nan), np.where(sums.count > 1, error, np.nan)


@dataclass(eq=False)
class _Sums:
    """Sums over the pixels of each cluster: their number and Σ d, Σ d², Σ d t, Σ t, Σ t² (cluster,
    energy) where they are seen, and Σ t (cluster) of all.
    """

    count: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    products: np.ndarray
    thick: np.ndarray
    thick2: np.ndarray
    amount: np.ndarray

    @classmethod
    def empty(cls, n: int, n_energy: int) -> _Sums:
        count, total, squares, products, thick, thick2 = np.zeros((6, n, n_energy))
        return cls(count, total, squares, products, thick, thick2, np.zeros(n))

    def __iadd__(self, other: _Sums) -> _Sums:
        for name, values in vars(other).items():
            getattr(self, name)[:] += values
        return self

    def add(self, number: int, data: np.ndarray, shape: np.ndarray) -> None:
        """Add pixels (energy, pixel) of a cluster, their thickness told by its spectrum."""
        norm = shape @ shape
        whole = bool(np.isfinite(data.sum(axis=0)).all())
        if whole:
            thick = shape @ data / norm if norm > 0 else np.ones(data.shape[1])
            sums = data.shape[1], thick.sum(), thick @ thick
        else:
            seen = np.isfinite(data)
            data = np.where(seen, data, 0.0)
            norms = shape**2 @ seen
            thick = np.where(norms > 0, shape @ data / np.where(norms > 0, norms, 1), 1.0)
            sums = seen.sum(axis=1), seen @ thick, seen @ thick**2
        self.count[number] += sums[0]
        self.thick[number] += sums[1]
        self.thick2[number] += sums[2]
        self.total[number] += data.sum(axis=1)
        self.squares[number] += np.einsum("ij,ij->i", data, data)
        self.products[number] += data @ thick
        self.amount[number] += thick.sum()


def _sums(values: np.ndarray, label: np.ndarray, shapes: np.ndarray) -> _Sums:
    """Sums with the thickness ``t = d·s / s·s`` of each pixel, s (cluster, energy) the shape of its
    cluster; 1 for a shape of zeros.
    """

    def of_rows(band: np.ndarray, own: np.ndarray) -> _Sums:
        found = _Sums.empty(*shapes.shape)
        flat, own = band.reshape(len(band), -1), own.ravel()
        for part in bands(own.size, BAND):
            for number in np.unique(own[part][own[part] >= 0]):
                members = np.flatnonzero(own[part] == number) + part.start
                found.add(number, some_of(flat, members), shapes[number])
        return found

    if is_lazy(values):
        with one_blas_thread():
            return reduce_blocks(of_rows, _Sums.__iadd__, values, label)
    flat, own = values.reshape(len(values), -1), label.ravel()
    cut = bands(own.size, BAND * max(-(-own.size // (BAND * GROUPS)), 1))
    results: list[_Sums] = [_Sums.empty(*shapes.shape)] * len(cut)

    def group(numbers: slice) -> None:
        for k in range(numbers.start, numbers.stop):
            results[k] = of_rows(flat[:, cut[k]], own[cut[k]])

    for_each_band(group, len(cut), rows_per_band=1)
    total = _Sums.empty(*shapes.shape)
    for one in results:
        total += one
    return total
