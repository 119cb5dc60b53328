"""Mean spectra of labelled pixels, and what they are worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chemoscape.blocks import bands

#: Pixels worked on at a time.
BAND = 16384
#: Where energies are missing, thickness and spectrum are found in turn: so many times at most,
#: until no value changes by this share.
MOST_ROUNDS, ENOUGH = 50, 1e-5


def mean_spectra(flat: np.ndarray, label: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean spectra (cluster, energy) of labelled pixels and their standard errors.

    Thickness varies within a cluster: what a pixel has of the mean spectrum, ``t = d·s / s·s``, is
    no error of its shape. ``s_e = Σ d / Σ t`` over the pixels seen at that energy is the mean where
    all are seen, and is not drawn towards the thickness of those that are where some are missing.
    Its error is ``sqrt(Σ (d - s t)² / n (n - 1))``.

    Parameters
    ----------
    flat : ndarray, shape (n_energy, n_pixels)
        Optical densities, NaN where missing.
    label : ndarray of int, shape (n_pixels,)
        0 to n - 1; pixels below 0 are left out.
    n : int
        Number of clusters.

    Returns
    -------
    tuple of ndarray, shape (n, n_energy)
        NaN at energies that no pixel of a cluster has; errors also at those of one pixel.
    """
    n_energy = len(flat)
    total, count = np.zeros((n_energy, n)), np.zeros((n_energy, n))
    for _, data, seen, member in _labelled(flat, label, n):
        total += data @ member
        count += seen @ member
    pixels = np.bincount(label[label >= 0], minlength=n)
    holes = bool(((count > 0) & (count < pixels)).any())
    with np.errstate(invalid="ignore", divide="ignore"):
        spectrum = total / count
        for _ in range(MOST_ROUNDS if holes else 1):
            before = np.nan_to_num(spectrum)
            sums = _thickness_sums(flat, label, before)
            unit = total / sums.thick  # spectrum of a pixel with t = 1
            spectrum = unit * (sums.amount / pixels)
            if (np.abs(np.nan_to_num(spectrum) - before) <= ENOUGH * np.abs(before)).all():
                break
        left = np.maximum(sums.squares - 2 * unit * sums.products + unit**2 * sums.thick2, 0)
        error = np.sqrt(left / count / (count - 1))
    return np.where(count > 0, spectrum, np.nan).T, np.where(count > 1, error, np.nan).T


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over the pixels of a cluster: Σ t (cluster), and Σ d², Σ d t, Σ t, Σ t² (energy,
    cluster) where they are seen.
    """

    amount: np.ndarray
    squares: np.ndarray
    products: np.ndarray
    thick: np.ndarray
    thick2: np.ndarray


def _thickness_sums(flat: np.ndarray, label: np.ndarray, spectrum: np.ndarray) -> _Sums:
    """Sums with the thickness ``t = d·s / s·s`` of each pixel, s the spectrum of its cluster."""
    n = spectrum.shape[1]
    amount = np.zeros(n)
    squares, products, thick, thick2 = (np.zeros(spectrum.shape) for _ in range(4))
    for own, data, seen, member in _labelled(flat, label, n):
        shape = spectrum[:, own]
        norm = (shape**2 * seen).sum(axis=0)
        t = np.where(norm > 0, (data * shape).sum(axis=0) / np.where(norm > 0, norm, 1), 1.0)
        amount += t @ member
        squares += data**2 @ member
        products += (data * t) @ member
        thick += (seen * t) @ member
        thick2 += (seen * t**2) @ member
    return _Sums(amount, squares, products, thick, thick2)


def _labelled(
    flat: np.ndarray, label: np.ndarray, n: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Bands of labelled pixels: labels, densities (0 where missing), where not, membership."""
    for band in bands(label.size, BAND):
        own = label[band]
        data = flat[:, band][:, own >= 0].astype(np.float64)
        own = own[own >= 0]
        seen = np.isfinite(data)
        yield own, np.where(seen, data, 0.0), seen, (own[:, None] == np.arange(n)).astype(float)
