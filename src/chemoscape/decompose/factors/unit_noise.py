"""Sums of squares of a stack's pixels, and of the same divided by their noise.

Rank criteria need only matrices of energies × energies, added up in float64 over bands of pixels,
so that no second copy of the stack is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chemoscape.blocks import bands, for_each_band
from chemoscape.decompose.factors.pixels import TILE, some_of
from chemoscape.decompose.factors.rank import ROUNDING, eigen, marchenko_pastur

#: Pixels worked on at a time.
BAND = 16384
#: Sums of so many groups of bands are kept apart, whatever the number of threads: the same bits.
GROUPS = 16
#: Pixels from which the law of the noise from pixel to pixel is measured: it has one unknown.
MEASURED_PIXELS = 30_000


@dataclass(frozen=True, eq=False)
class Pixels:
    """The sample's pixels of a stack, read in bands and never copied as a whole.

    `flat` (energy, all pixels) are the stack's values, `inside` says which pixels take part (they
    are finite), `mean` (energy) is subtracted from each.
    """

    flat: np.ndarray
    inside: np.ndarray
    mean: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Energies and pixels that take part."""
        return len(self.flat), int(self.inside.sum())

    def blocks(self, band: int = BAND) -> list[tuple[slice, slice]]:
        """Bands: the slice of all pixels, and that of those that take part."""
        ends = np.concatenate([[0], np.cumsum(self.inside)])
        cut = bands(self.inside.size, band)
        return [(one, slice(int(ends[one.start]), int(ends[one.stop]))) for one in cut]

    def read(self, one: slice) -> np.ndarray:
        """Values (energy, pixel) of a band in float64, less the mean."""
        return self.flat[:, one][:, self.inside[one]].astype(np.float64) - self.mean[:, None]


@dataclass(frozen=True, eq=False)
class Scaled:
    """Sums of squares of the pixels divided by their noise.

    Parameters
    ----------
    halves : ndarray, shape (2, n_energy, n_energy)
        ``Σ x xᵀ`` over either half of the pixels, ``x = d / (by_energy · by_pixel)``.
    constant : ndarray, shape (n_energy,)
        ``Σ x w / |w|`` with ``w = 1 / by_pixel``: what is the same in all pixels.
    by_energy : ndarray, shape (n_energy,)
        Standard deviation of the noise at each energy.
    n_pixels : int
        Their number.
    """

    halves: np.ndarray
    constant: np.ndarray
    by_energy: np.ndarray
    n_pixels: int

    @property
    def gram(self) -> np.ndarray:
        """``Σ x xᵀ`` over all pixels."""
        return np.asarray(self.halves.sum(axis=0))


def gram_matrices(
    pixels: Pixels, by_pixel: np.ndarray, half: np.ndarray, *, band: int = TILE
) -> tuple[np.ndarray, np.ndarray]:
    """``Σ x xᵀ`` of two halves of the pixels and ``Σ x / by_pixel``, with ``x = d / by_pixel``.

    Parameters
    ----------
    pixels : Pixels
    by_pixel : ndarray, shape (n_pixels,)
        Divides each pixel.
    half : ndarray of bool, shape (n_pixels,)
        Which half a pixel is in.
    band : int
        Pixels worked on at a time; changes nothing but memory.

    Returns
    -------
    ndarray (2, n_energy, n_energy) and ndarray (n_energy,)
        In float64.
    """
    columns, n_energy = np.flatnonzero(pixels.inside), len(pixels.flat)
    parts = bands(columns.size, band)
    groups = np.array_split(np.arange(len(parts)), min(GROUPS, max(len(parts), 1)))
    gram, summed = np.zeros((len(groups), 2, n_energy, n_energy)), np.zeros((len(groups), n_energy))

    def work(numbers: slice) -> None:
        for number in range(numbers.start, numbers.stop):
            for part in (parts[k] for k in groups[number]):
                for side, members in enumerate((~half[part], half[part])):
                    block = some_of(pixels.flat, columns[part][members])
                    if pixels.mean.any():
                        block -= pixels.mean[:, None]
                    scale = 1 / by_pixel[part][members]
                    block *= scale
                    summed[number] += block @ scale
                    gram[number, side] += block @ block.T

    for_each_band(work, len(groups), rows_per_band=1)
    return gram.sum(axis=0), summed.sum(axis=0)


def halves_of(n_pixels: int, seed: int) -> np.ndarray:
    """Draw one half of the pixels: True in the second."""
    half = np.zeros(n_pixels, dtype=bool)
    half[np.random.default_rng(seed).permutation(n_pixels)[-(n_pixels // 2) :]] = True
    return half


def scale_to_unit_noise(
    pixels: Pixels,
    stated: tuple[np.ndarray, np.ndarray] | None,
    half: np.ndarray,
    *,
    band: int = TILE,
) -> Scaled:
    """Divide by the noise that is there, (of the energy) × (of the pixel), not that stated.

    A stated variance of the wrong shape (noise that is not Poisson, or was interpolated) would let
    noise pass for components. So noise is measured as what the other energies do not predict, by
    regression of every energy on all others (Bioucas-Dias and Nascimento 2008): its residual is
    ``(G⁻¹D)_e / (G⁻¹)_ee`` with ``G = D·Dᵀ``, and the sum of its squares
    ``(G⁻¹ G G⁻¹)_ee / (G⁻¹)_ee²``. Few energies predict each other through their own noise, so it
    is then measured anew as what the components above the noise leave. From pixel to pixel it is
    given the power of the stated variance that it follows; single pixels are too few data to be
    measured one by one.

    Parameters
    ----------
    pixels : Pixels
    stated : pair of ndarray, or None
        Stated variances, their means per pixel (n_pixels,) and per energy (n_energy,).
    half, band
        See `gram_matrices`.
    """
    n_energy, n_pixels = pixels.shape
    variance = np.ones(n_pixels) if stated is None else stated[0]
    measured = n_pixels >= 3 * n_energy
    if measured and np.ptp(variance) > 0:
        variance = variance ** _power(pixels, variance, band)
    by_pixel = np.sqrt(variance)
    gram, summed = gram_matrices(pixels, by_pixel, half, band=band)
    if measured:
        whole = gram.sum(axis=0)
        precision = _precision(whole)
        peak = np.maximum(np.diag(precision), np.finfo(float).tiny)
        squares = np.einsum("ij,jk,ki->i", precision, whole, precision, optimize=True) / peak**2
        floor = 1e-2 * ROUNDING * np.diag(whole)
        by_energy = np.sqrt(np.maximum(squares, floor) / (n_pixels - n_energy + 1))
        by_energy = _refined(whole, by_energy, n_pixels)
    else:
        by_energy = np.ones(n_energy)
        if stated is not None:
            by_energy = np.sqrt(stated[1] / stated[1].mean())
    by_energy = np.maximum(by_energy, np.sqrt(np.finfo(float).tiny))
    return Scaled(
        halves=gram / by_energy[:, None] / by_energy,
        constant=summed / by_energy / np.sqrt((1 / variance).sum()),
        by_energy=by_energy,
        n_pixels=n_pixels,
    )


def _precision(gram: np.ndarray) -> np.ndarray:
    """``G⁻¹``, also where the stack has no noise."""
    lifted = gram.copy()
    lifted.flat[:: len(gram) + 1] *= 1 + ROUNDING
    return np.linalg.pinv(lifted, rcond=ROUNDING, hermitian=True)


def _refined(gram: np.ndarray, by_energy: np.ndarray, n_pixels: int) -> np.ndarray:
    """Noise by energy as the residual of the components above the Marchenko-Pastur edge.

    Components ``V`` leave ``1 - h_e`` of the noise at an energy, ``h_e = Σ_k V_ek²``: unbiased also
    when a few of them are noise. Of 60 energies of 10⁵ pixels the regression is 2 to 4 % off,
    unevenly, which is more than the edge of the law allows.
    """
    for _ in range(3):
        value, vectors = eigen(gram / by_energy[:, None] / by_energy)
        _, edge = marchenko_pastur(value, len(gram), n_pixels)
        k = int((value > edge).sum())
        if not (edge > ROUNDING * value[0] and 0 < k < len(gram) / 2):
            break  # no noise, or nothing but signal
        share = 1 - (vectors[:, :k] ** 2).sum(axis=1)
        left = (vectors[:, k:] ** 2) @ value[k:] / n_pixels
        known = share > 0.1  # a component that is one energy alone says nothing of its noise
        by_energy = by_energy * np.sqrt(np.where(known, left / np.where(known, share, 1), 1))
    return by_energy


def _power(pixels: Pixels, variance: np.ndarray, band: int) -> float:
    """Power of the stated variance that the measured one follows from pixel to pixel, 0 to 2.

    Where there are many pixels, some are enough: every so many, in the order of their variance.
    """
    n_energy, n_pixels = pixels.shape
    step = -(-n_pixels // max(MEASURED_PIXELS, 30 * n_energy))
    chosen = np.zeros(n_pixels, dtype=bool)
    chosen[np.argsort(variance, kind="stable")[::step]] = True
    taken = pixels.inside.copy()
    taken[taken] = chosen
    some, spread = Pixels(pixels.flat, taken, pixels.mean), variance[chosen]
    everyone = np.zeros(len(spread), dtype=bool)
    precision = _precision(gram_matrices(some, np.sqrt(spread), everyone, band=band)[0][0])
    precision /= np.maximum(np.diag(precision), np.finfo(float).tiny)[:, None]
    left, columns = np.empty(len(spread)), np.flatnonzero(taken)

    def measure(members: slice) -> None:
        block = precision @ (some_of(some.flat, columns[members]) - some.mean[:, None])
        left[members] = np.einsum("ij,ij->j", block, block) / n_energy

    for_each_band(measure, len(spread), rows_per_band=band)
    floor = np.finfo(float).tiny
    return float(np.clip(np.polyfit(np.log(spread), np.log(np.maximum(left, floor)), 1)[0], 0, 2))
