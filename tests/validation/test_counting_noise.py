"""The noise model against the statistics of Poisson counts."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.preprocess.absorbance import optical_density
from chemoscape.preprocess.alignment import align
from chemoscape.preprocess.shifts import Drift
from chemoscape.region import Region
from chemoscape.stack import build


def field(counts, divider, *, n_energy=60, size=72, seed=0):
    """An empty field with a disc in it, recorded as counts/divider."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    density = 0.8 * np.exp(-((np.hypot(y, x) / 14) ** 4))
    i0 = counts * (1 + 0.3 * np.sin(np.linspace(0, 6, n_energy)))
    recorded = random.poisson(i0[:, None, None] * np.exp(-density)) / divider
    axis = np.arange(size)
    return build(
        recorded,
        500 + 0.2 * np.arange(n_energy),
        axis,
        axis,
        quantity="counts",
        attrs={"counter_divider": float(divider)},
    )


@pytest.mark.parametrize("divider", [1, 10])
@pytest.mark.parametrize("counts", [100, 400, 4000])
def test_reduced_chi2_of_the_empty_background(counts, divider):
    od = optical_density(field(counts, divider))
    assert od.attrs["noise_counts_per_unit"] == pytest.approx(divider, rel=0.05)
    background = od.background.values
    squares = od.optical_density.values.astype(float) ** 2 / od.variance.values
    per_pixel = squares.mean(axis=0)[background]
    assert 0.9 <= np.median(per_pixel) <= 1.1
    level = od.optical_density.values[:, background].mean(axis=1)
    bias = 0.5 / (divider * od.i0.values)  # mean of -ln of a Poisson variable, to first order
    assert np.abs(level - bias).max() < 0.002


def test_reduced_chi2_of_an_aligned_background():
    stack = field(400, 1)
    n = stack.sizes["energy"]
    shifts = np.random.default_rng(1).uniform(-2, 2, (n, 2))
    drift = Drift(shifts, stack.energy.values, 0, np.ones(n), np.zeros(n, dtype=bool))
    od = optical_density(align(stack, drift), noise=1.0)
    background = od.background.values
    squares = od.optical_density.values.astype(float) ** 2 / od.variance.values
    assert 0.9 <= np.median(np.nanmean(squares, axis=0)[background]) <= 1.1


def test_i0_variance_is_that_of_a_mean():
    """Mean of many stacks' I0 against its stated variance."""
    values, variances = [], []
    for seed in range(30):
        stack = field(200, 1, n_energy=12, size=40, seed=seed)
        od = optical_density(stack, Region(x=(0, 39), y=(0, 4)), noise=1.0)
        values.append(od.i0.values)
        variances.append(od.i0_variance.values)
    observed = np.var(values, axis=0, ddof=1)
    assert (observed / np.mean(variances, axis=0)).mean() == pytest.approx(1.0, abs=0.25)
