"""The sample's mean spectrum, and where the sample is: one pass over a stack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.blocks import is_lazy, kernel, loaded, reduce_blocks, summaries
from chemoscape.preprocess.absorbance import sample_mask

#: Variables of `sample_statistics`.
STATISTICS = ("sample", "sample_mean", "sample_mean_variance", "sample_spread")


@dataclass(eq=False)
class Moments:
    """Of the known values at each energy (n_energy,): number, mean, and squared deviations from it.

    Examples
    --------
    >>> both = Moments(np.array([2.0]), np.array([1.5]), np.array([0.5]))  # of 1 and 2
    >>> both += Moments(np.array([1.0]), np.array([6.0]), np.array([0.0]))
    >>> both.mean.tolist(), both.spread.round(3).tolist()
    ([3.0], [2.16])
    """

    known: np.ndarray
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of_sums(cls, sums: np.ndarray) -> Moments:
        """From number, sum and sum of squares (3 or more, n_energy)."""
        known, total, squares = sums[:3]
        mean = total / np.maximum(known, 1)
        return cls(known, mean, np.maximum(squares - known * mean**2, 0))

    def __iadd__(self, other: Moments) -> Moments:
        """Join those of further pixels (Chan, Golub and LeVeque 1979)."""
        n = self.known + other.known
        share = other.known / np.maximum(n, 1)
        apart = other.mean - self.mean
        self.mean = self.mean + apart * share
        self.scatter = self.scatter + other.scatter + apart**2 * share * self.known
        self.known = n
        return self

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation, NaN where no value is known."""
        return np.asarray(np.sqrt(self.scatter / np.where(self.known > 0, self.known, np.nan)))


def sample_statistics(
    od: xr.Dataset | xr.DataArray, mask: xr.DataArray | np.ndarray | None = None
) -> xr.Dataset:
    """Where the sample is, and its mean spectrum; a lazy stack is read once.

    Parameters
    ----------
    od : Dataset of `optical_density`, or a Stack of optical densities
        One that has these variables already (`with_statistics`) is not read.
    mask : DataArray (y, x) of bool, optional
        Default `sample_mask`.

    Returns
    -------
    Dataset
        ``sample`` (y, x) bool, ``sample_mean`` (energy), NaN where no pixel has a value,
        ``sample_mean_variance`` (energy), that of the mean by the stated variances, NaN without
        these, and ``sample_spread`` (energy), the standard deviation over the pixels.
    """
    if isinstance(od, xr.Dataset) and has_statistics(od, mask):
        return od[list(STATISTICS)]
    return statistics_of(loaded(sums_of_bands(od, mask)), od)


def has_statistics(od: xr.Dataset | xr.DataArray, mask: object) -> bool:
    """Whether an optical density holds those of its own sample."""
    return mask is None and isinstance(od, xr.Dataset) and all(name in od for name in STATISTICS)


def with_statistics(od: xr.Dataset, pcs: xr.Dataset | None = None) -> xr.Dataset:
    """The optical density with its `sample_statistics`, so that it need not be read for them again:
    as `principal_components` found them on their way, or of a pass of its own.
    """
    known = sample_statistics(od) if pcs is None else pcs.drop_vars("sample").rename(asked="sample")
    return od.assign({name: known[name] for name in STATISTICS})


def sums_of_bands(
    od: xr.Dataset | xr.DataArray, mask: xr.DataArray | np.ndarray | None
) -> xr.Dataset:
    """``sample`` (y, x), and of every band of rows number, sum, sum of squares and summed variances
    of the sample's values (sum, energy, band, column): lazy for a lazy stack.
    """
    density = od["optical_density"] if isinstance(od, xr.Dataset) else od
    chosen = sample_mask(od) if mask is None else stacks.as_mask(mask, density)
    cubes = [density.data, chosen.data]
    if isinstance(od, xr.Dataset) and "variance" in od:
        cubes.append(od["variance"].data)
    if is_lazy(density):
        sums = summaries(_of_rows, *cubes, leading=(4, len(density)))
    else:
        parts = reduce_blocks(lambda *bands: [_of_rows(*bands)], list.__add__, *cubes)
        sums = np.stack(parts, axis=-1)[..., None]
    return xr.Dataset(
        {"sample": chosen, "sums": (("sum", "energy", "band", "column"), sums)},
    )


def statistics_of(found: xr.Dataset, od: xr.Dataset | xr.DataArray) -> xr.Dataset:
    """`sample_statistics` from the sums of all bands."""
    sums = np.moveaxis(found["sums"].values[..., 0], -1, 0)
    moments = Moments.of_sums(sums[0])
    for one in sums[1:]:
        moments += Moments.of_sums(one)
    known = moments.known
    stated = isinstance(od, xr.Dataset) and "variance" in od
    variance = sums[:, 3].sum(axis=0) / np.maximum(known, 1) ** 2
    return xr.Dataset(
        {
            "sample": found["sample"],
            "sample_mean": ("energy", np.where(known > 0, moments.mean, np.nan)),
            "sample_mean_variance": ("energy", variance if stated else np.full(known.size, np.nan)),
            "sample_spread": ("energy", moments.spread),
        },
        coords={"energy": od["energy"]},
    )


def _of_rows(
    values: np.ndarray, mask: np.ndarray, variance: np.ndarray | None = None
) -> np.ndarray:
    """Number, sum, sum of squares and summed variances (4, n_energy) of a band's values."""
    n_energy, columns = len(values), np.empty((4, mask.shape[1]))
    sums = np.zeros((4, n_energy))
    weight = mask.astype(np.float32)
    for e in range(n_energy if mask.any() else 0):
        columns[:] = 0.0
        spread = values[e] if variance is None else variance[e]
        _add_columns(values[e], spread, weight, columns)
        sums[:, e] = columns.sum(axis=1)
    return sums


@kernel
def _add_columns(frame, variance, weight, columns):  # type: ignore[no-untyped-def]
    """Number, sum and sum of squares of the finite values of a frame (rows, x) where the weight is
    1, and sum of their variances, down every column.
    """
    number, total, squares, stated = columns[0], columns[1], columns[2], columns[3]
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            value = np.float64(frame[y, x])
            known = abs(value) < np.inf and weight[y, x] > 0.0
            counted = value if known else 0.0
            number[x] += 1.0 if known else 0.0
            total[x] += counted
            squares[x] += counted * counted
            stated[x] += variance[y, x] if known else 0.0
