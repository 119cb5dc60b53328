"""What all pixels of a fit share, and where a band of them lies in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

from chemoscape.decompose.design import Design
from chemoscape.decompose.tiles import GROUP, PAIR, STEP


@dataclass(frozen=True, eq=False)
class Problem:
    """What all pixels share: K columns of unit length, the first of them the standards.

    Parameters
    ----------
    columns, slopes : ndarray, shapes (n_energy, K) and (n_energy, n_standards)
        And the derivatives of the standards with the energy shift.
    gram : ndarray, shape (K, K)
        Gram matrix of the columns.
    summed : ndarray, shape (K,)
        ``Σ summed · solution = 1`` is imposed; all zero for none.
    lengths : ndarray, shape (K,)
        What the columns were divided by.
    n_bounded, n_standards : int
        Unknowns kept >= 0, the first ones; standards.
    energies : ndarray of int, shape (n_energy,)
        Which energies of the stack are used.
    basis, triangle : ndarray
        Orthonormal basis Q of the columns, in float32, and R of ``columns = Q R``.
    moments, products, own_slopes : ndarray
        What a tile's energies are multiplied with: columns, their products in pairs (i, j <= i) row
        by row, and slopes in float32, filled up with zeros.
    """

    columns: np.ndarray
    slopes: np.ndarray
    gram: np.ndarray
    summed: np.ndarray
    lengths: np.ndarray
    n_bounded: int
    n_standards: int
    energies: np.ndarray
    basis: np.ndarray
    triangle: np.ndarray
    moments: np.ndarray
    products: np.ndarray
    own_slopes: np.ndarray

    @classmethod
    def of(
        cls,
        parts: Design,
        energies: np.ndarray | None,
        n_bounded: int = 0,
        *,
        sum_to_one: bool = False,
    ) -> Problem:
        """Of a design at these energies of a stack, or all."""
        columns, slopes = parts.columns, parts.slopes[:, : parts.n_standards]
        first, second = np.tril_indices(parts.lengths.size)
        basis, triangle = np.linalg.qr(columns)
        return cls(
            columns,
            slopes,
            columns.T @ columns,
            np.where(parts.of_standards, 1 / parts.lengths, 0.0) * sum_to_one,
            parts.lengths,
            n_bounded,
            parts.n_standards,
            np.arange(len(columns)) if energies is None else np.asarray(energies, dtype=np.int64),
            filled(basis, GROUP, np.float32),
            triangle,
            filled(columns, PAIR, np.float64),
            filled(columns[:, first] * columns[:, second], PAIR, np.float64),
            filled(slopes, GROUP, np.float32),
        )

    @property
    def n_planes(self) -> int:
        """Planes of the result, see `PixelFits`."""
        n_standards = self.n_standards
        return self.lengths.size + n_standards + n_standards * (n_standards + 1) // 2 + 2


def filled(values: np.ndarray, across: int, dtype: type) -> np.ndarray:
    """A matrix with zeros added to whole steps of energies and a multiple of columns."""
    length, width = (-(-n // of) * of for n, of in zip(values.shape, (STEP, across), strict=True))
    out: np.ndarray = np.zeros((length, width), dtype)
    out[: values.shape[0], : values.shape[1]] = values
    return out


@dataclass(frozen=True, eq=False)
class Source:
    """A band of a stack as it lies in memory, pixels of one energy next to each other.

    Parameters
    ----------
    flat : ndarray, one axis
        From the first value of the band on; empty for a variance that is not known.
    rows : ndarray of int
        Where in it each energy used begins, the last repeated to a whole step.
    """

    flat: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, band: np.ndarray | None, energies: np.ndarray) -> Source:
        """A band (n_energy, …) without copying it, if it lies in memory as it should."""
        if band is None:
            band = np.empty((len(energies), 0), np.float32)
        band = _lying_well(band)
        stride = band.strides[0] // band.itemsize
        length = (len(band) - 1) * stride + band[0].size if band.size else 0
        flat = as_strided(band, (length,), (band.itemsize,), writeable=False)
        return cls(flat, np.pad(energies, (0, -len(energies) % STEP), "edge") * stride)

    def at(self, pixel: int) -> Source:
        """The band from a pixel on."""
        return Source(self.flat, self.rows + pixel)

    def values(self, n_energy: int, pixels: np.ndarray) -> np.ndarray:
        """Values of some pixels, (n_energy, pixels); none of what is not known."""
        if self.flat.size == 0:
            return np.empty((n_energy, 0), self.flat.dtype)
        return self.flat[self.rows[:n_energy, None] + pixels]


def _lying_well(band: np.ndarray) -> np.ndarray:
    """The band itself, or a copy of it where pixels do not lie next to each other."""
    item, within = band.itemsize, band[0]
    well = within.flags.c_contiguous and band.strides[0] >= within.size * item
    if well and band.strides[0] % item == 0 and band.dtype.isnative and band.flags.aligned:
        return band
    return np.ascontiguousarray(band, dtype=band.dtype.newbyteorder("="))
