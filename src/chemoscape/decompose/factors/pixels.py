"""Which pixels of a stack are read, and how."""

from __future__ import annotations

import numpy as np

from chemoscape.blocks import kernel

#: Pixels whose energies are multiplied at a time: they stay in a core's cache in float64.
TILE = 1024
#: Share of the golden section: its multiples, less their whole part, are spread evenly, and follow
#: neither the lines of an image nor its columns.
GOLDEN = 0.6180339887498949


@kernel
def gather(flat, columns, out):  # type: ignore[no-untyped-def]
    """Some columns of ``flat`` (N, all) side by side in ``out`` (N, some), in its precision."""
    for e in range(flat.shape[0]):
        for j in range(columns.size):
            out[e, j] = flat[e, columns[j]]


def some_of(flat: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Some columns (pixels) of ``flat`` (N, all) in float64."""
    if columns.size and columns[-1] - columns[0] == columns.size - 1:  # they rise: all in between
        return flat[:, columns[0] : columns[-1] + 1].astype(np.float64)
    out = np.empty((len(flat), columns.size))
    gather(flat, columns, out)
    return out


def evenly(n: int, most: int) -> np.ndarray:
    """About `most` of `n` things in a row, spread evenly; all of them if they are fewer.

    Which ones depends on nothing but `n` and `most`.

    Examples
    --------
    >>> evenly(8, 3).astype(int).tolist()
    [1, 0, 1, 0, 0, 1, 0, 1]
    """
    if n <= most:
        return np.ones(n, dtype=bool)
    return np.asarray(np.arange(n) * GOLDEN % 1 < most / n)
