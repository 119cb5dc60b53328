"""The noise model against the statistics of simulated detectors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammainc

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
def test_reduced_chi2_of_the_empty_background(counts, divider, reach):
    od = optical_density(field(counts, divider))
    assert od.attrs["noise_counts_per_unit"] == pytest.approx(divider, rel=0.05)
    background = od.background.values
    squares = od.optical_density.values.astype(float) ** 2 / od.variance.values
    per_pixel = squares.mean(axis=0)[background]
    what = "median reduced χ² of empty background"
    reach("noise model", what, np.median(per_pixel), within=(0.9, 1.1))
    level = od.optical_density.values[:, background].mean(axis=1)
    bias = 0.5 / (divider * od.i0.values)  # mean of -ln of a Poisson variable, to first order
    assert np.abs(level - bias).max() < 0.002


def test_reduced_chi2_of_an_aligned_background(reach):
    stack = field(400, 1)
    n = stack.sizes["energy"]
    shifts = np.random.default_rng(1).uniform(-2, 2, (n, 2))
    drift = Drift(shifts, stack.energy.values, 0, np.ones(n), np.zeros(n, dtype=bool))
    od = optical_density(align(stack, drift), noise=1.0)
    background = od.background.values
    squares = od.optical_density.values.astype(float) ** 2 / od.variance.values
    median = np.median(np.nanmean(squares, axis=0)[background])
    what = "median reduced χ² of empty background, aligned"
    reach("noise model", what, median, within=(0.9, 1.1))


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


def observed_against_stated(od, inside):
    """Scatter over frames of one scene, over the stated variance; mean over pixels `inside`."""
    density = od.optical_density.values[:, inside].astype(float)
    return np.nanvar(density, axis=0, ddof=1).mean() / np.nanmean(od.variance.values[:, inside])


@pytest.mark.parametrize("counts", [500, 4000])
def test_variance_is_the_scatter_over_repeats(counts):
    """Frames of the same scene, noise and I0 found in the images themselves."""
    size, n = 48, 240
    random = np.random.default_rng(2)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    density = 0.8 * np.exp(-((np.hypot(y, x) / 10) ** 8))
    recorded = random.poisson(counts * np.exp(-density), (n, size, size)) / 4
    stack = build(recorded, 500 + np.arange(n), range(size), range(size), quantity="counts")
    shifts = np.random.default_rng(3).uniform(-0.5, 0.5, (n, 2))
    drift = Drift(shifts, stack.energy.values, 0, np.ones(n), np.zeros(n, dtype=bool))
    plateau, empty = np.hypot(y, x) < 5, np.hypot(y, x) > 16
    empty[:4] = empty[-4:] = empty[:, :4] = empty[:, -4:] = False
    for frames in (stack, align(stack, drift)):
        od = optical_density(frames, Region(x=(4, 43), y=(4, 8)), noise=4.0)
        for inside in (plateau, empty):
            assert observed_against_stated(od, inside) == pytest.approx(1.0, abs=0.05)
    measured = optical_density(stack)
    assert measured.attrs["noise_counts_per_unit"] == pytest.approx(4.0, rel=0.05)
    assert observed_against_stated(measured, plateau) == pytest.approx(1.0, abs=0.05)


ROWS, COLUMNS = 200, 240  # of which half sample: 24,000 samples at each energy
THROUGH = np.array([1.0, 0.6, 0.3])


def halves(seen):
    """A stack of recorded values ``seen(T)``: on the left of the open beam, on the right of the
    beam through a sample of transmission T; with the region of the beam.
    """
    frames = [
        np.concatenate([seen(1.0, (ROWS, COLUMNS // 2)), seen(t, (ROWS, COLUMNS // 2))], axis=1)
        for t in THROUGH
    ]
    stack = build(
        np.array(frames),
        [510.0, 520.0, 530.0],
        range(ROWS),
        range(COLUMNS),
        quantity="counts",
        attrs={"dwell_ms": 1.0},
    )
    return stack, Region(x=(0, COLUMNS // 2 - 1), y=(0, ROWS - 1))


def assert_unbiased_and_certain(od, curvature):
    """Mean optical density of the sample, and its scatter against the variance.

    The mean of the logarithm of a noisy number lies beside the logarithm of its mean by half the
    variance times `curvature` (second order; 1 for Poisson counts): 0.001 at 500 counts, a
    fiftieth of a pixel's noise. It is not corrected, and allowed for here.
    """
    sample = od.optical_density.values[:, :, COLUMNS // 2 :].reshape(3, -1).astype(float)
    stated = od.variance.values[:, :, COLUMNS // 2 :].reshape(3, -1).mean(axis=1, dtype=float)
    assert sample.shape[1] >= 20_000
    error = sample.mean(axis=1) + np.log(THROUGH) - curvature * stated / 2
    standard_error = np.sqrt(stated / sample.shape[1] + od.i0_variance.values / od.i0.values**2)
    assert (np.abs(error) < 3 * standard_error).all()
    np.testing.assert_allclose(sample.var(axis=1, ddof=1) / stated, 1.0, atol=0.05)


def test_a_dark_with_read_noise():
    """Dark counts are counts; read noise is what is added to them."""
    random = np.random.default_rng(10)
    g, beam, dark, read = 2.0, 1000.0, 60.0, 12.0

    def seen(t, shape):
        return random.poisson(g * (beam * t + dark), shape) / g + random.normal(0, read, shape)

    stack, region = halves(seen)
    od = optical_density(stack, region, noise=g, dark=dark, dark_sd=read)
    assert_unbiased_and_certain(od, 1.0)
    with pytest.raises(AssertionError):
        assert_unbiased_and_certain(optical_density(stack, region, noise=g, dark=dark), 1.0)
    # read noise is not taken for counting noise
    found = optical_density(stack, region, dark=dark, dark_sd=read)
    assert found.attrs["noise_counts_per_unit"] == pytest.approx(g, rel=0.05)
    assert_unbiased_and_certain(found, 1.0)


def counts_with_dead_time(rate, dead, random, shape):
    """Counts in unit time of a detector that is blind for `dead` after each count.

    The k-th count comes ``k`` exponential intervals and ``k - 1`` dead times after the start, so
    that ``P(N >= k) = P(Gamma(k) <= rate (1 - (k - 1) dead))``: drawn exactly, by inversion.
    """
    k = np.arange(1, int(1 / dead) + 1) if dead else np.arange(1, int(rate + 12 * rate**0.5))
    at_least = gammainc(k, rate * (1 - (k - 1) * dead))
    return np.searchsorted(-at_least, -random.random(shape)).astype(float)


@pytest.mark.parametrize("busy", [0.05, 0.15, 0.28])
def test_dead_time(busy):
    """1000 counts in the open beam, with the detector busy for this share of the time."""
    random = np.random.default_rng(11)
    dead = busy / 1000
    rate = 1000 / (1 - busy)

    def seen(t, shape):
        return counts_with_dead_time(rate * t, dead, random, shape)

    stack, region = halves(seen)
    od = optical_density(stack, region, noise=1.0, dead_time_us=1000 * dead)
    through_busy = rate * THROUGH * dead / (1 + rate * THROUGH * dead)
    assert_unbiased_and_certain(od, 1 - 2 * through_busy)
    np.testing.assert_allclose(od.i0, rate, rtol=5e-4)
    # the noise of a busy detector, more even than Poisson's, still gives its counts per unit
    found = optical_density(stack, region, dead_time_us=1000 * dead)
    assert found.attrs["noise_source"] == "measured"
    assert found.attrs["noise_counts_per_unit"] == pytest.approx(1.0, rel=0.05)
    said = stack.assign_attrs(counter_divider=1.0)
    assert optical_density(said, region, dead_time_us=1000 * dead).attrs["noise_source"] == "header"


@pytest.mark.parametrize("h", [0.01, 0.05])
def test_stray_light(h):
    random = np.random.default_rng(12)
    stack, region = halves(lambda t, shape: random.poisson(4000 * (t + h), shape).astype(float))
    assert_unbiased_and_certain(optical_density(stack, region, noise=1.0, stray_light=h), 1.0)


def test_the_whole_detector():
    random = np.random.default_rng(13)
    beam, h, dark, read, busy = 2000.0, 0.02, 40.0, 10.0, 0.2
    dead = busy / (1 - busy) / (beam * (1 + h))

    def seen(t, shape):
        counted = counts_with_dead_time(beam * (t + h), dead, random, shape)
        return counted + random.poisson(dark, shape) + random.normal(0, read, shape)

    stack, region = halves(seen)
    od = optical_density(
        stack,
        region,
        noise=1.0,
        dark=dark,
        dark_sd=read,
        dead_time_us=1000 * dead,
        stray_light=h,
    )
    assert_unbiased_and_certain(od, 1 - 2 * busy * THROUGH)
