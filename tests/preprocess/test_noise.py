"""Noise of the counts."""

from __future__ import annotations

import warnings

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from chemoscape.errors import ChemoscapeWarning
from chemoscape.preprocess import neighbours
from chemoscape.preprocess.alignment import align
from chemoscape.preprocess.noise import counts_per_unit, measure_noise
from chemoscape.preprocess.shifts import Drift
from chemoscape.stack import build


def empty_field(*, counts=400, g=1.0, n=10, size=60, seed=0, lines=0.0, **facts):
    random = np.random.default_rng(seed)
    beam = counts * (1 + 0.1 * np.linspace(-1, 1, size)) * np.ones((n, size, size))
    beam *= 1 + lines * random.normal(size=(n, size, 1))
    return build(
        random.poisson(beam * g) / g,
        500.0 + np.arange(n),
        np.arange(size),
        np.arange(size),
        quantity="counts",
        attrs=facts,
    )


def everywhere(stack):
    return xr.ones_like(stack.isel(energy=0, drop=True), dtype=bool)


def moved(stack, shift):
    """All frames but the first moved, the border that this leaves empty cut away."""
    n = stack.sizes["energy"]
    shifts = np.tile(np.array(shift, dtype=float), (n, 1))
    shifts[0] = 0
    drift = Drift(shifts, stack.energy.values, 0, np.ones(n), np.zeros(n, dtype=bool))
    return align(stack, drift).isel(y=slice(2, -2), x=slice(2, -2))


@pytest.mark.parametrize("g", [0.5, 1.0, 10.0])
@pytest.mark.parametrize("counts", [60, 400, 3000])
def test_raw_counts(counts, g):
    stack = empty_field(counts=counts, g=g)
    measured, correlation = measure_noise(stack, everywhere(stack))
    assert measured == pytest.approx(g, rel=0.05)
    assert abs(correlation) < 0.05


def test_a_flickering_beam_does_not_disturb():
    stack = empty_field(lines=0.02)
    measured, correlation = measure_noise(stack, everywhere(stack))
    assert measured == pytest.approx(1.0, rel=0.05)
    assert abs(correlation) < 0.1


def test_spikes_do_not_disturb():
    stack = empty_field()
    stack.values[:, ::20, ::20] *= 5
    assert measure_noise(stack, everywhere(stack))[0] == pytest.approx(1.0, rel=0.05)


def test_interpolated_frames_are_recognised_and_the_raw_one_is_used():
    stack = moved(empty_field(g=10, counts=40), (0.37, 0.41)).drop_vars("noise_gain")
    measured, correlation = measure_noise(stack, everywhere(stack))
    assert correlation > 0.15
    assert measured == pytest.approx(10, rel=0.15)
    others = stack.isel(energy=slice(1, None))
    assert measure_noise(others, everywhere(others))[0] > 12


@pytest.mark.parametrize("theta", [0.0, 0.2, 0.6])
def test_correlation_of_a_moving_average(theta):
    """Noise a(i) + theta a(i + 1) has the lag-1 correlation theta/(1 + theta²) and none beyond."""
    white = np.random.default_rng(4).normal(size=(12, 80, 81))
    values = 1000 + 30 * (white[:, :, :-1] + theta * white[:, :, 1:])
    stack = build(values, range(500, 512), range(80), range(80), quantity="counts")
    _, correlation = measure_noise(stack, everywhere(stack))
    assert correlation == pytest.approx(theta / (1 + theta**2), abs=0.02)


def test_header_is_confirmed():
    stack = empty_field(g=10, counts=40, counter_divider=10.0)
    found = counts_per_unit(stack, everywhere(stack))
    assert (found.counts_per_unit, found.source) == (10.0, "header")


def test_header_is_contradicted():
    stack = empty_field(g=10, counts=40, counter_divider=1.0)
    with pytest.warns(ChemoscapeWarning, match="the header says 1: the measured value is used"):
        found = counts_per_unit(stack, everywhere(stack))
    assert found.counts_per_unit == pytest.approx(10, rel=0.05)
    assert found.source == "measured"


def test_without_a_header_it_is_measured():
    stack = empty_field(g=4, counts=100)
    found = counts_per_unit(stack, everywhere(stack))
    assert found.counts_per_unit == pytest.approx(4, rel=0.05)
    assert found.source == "measured"


@pytest.mark.parametrize(
    ("facts", "g", "source"), [({}, 1.0, "assumed"), ({"counter_divider": 10.0}, 10.0, "header")]
)
def test_without_noise_or_background(facts, g, source):
    stack = build(
        np.full((3, 20, 20), 100.0),
        range(500, 503),
        range(20),
        range(20),
        quantity="counts",
        attrs=facts,
    )
    with pytest.warns(ChemoscapeWarning, match="no noise measurable"):
        found = counts_per_unit(stack, everywhere(stack))
    assert (found.counts_per_unit, found.source) == (g, source)
    assert counts_per_unit(stack, None).source == source


def test_foreign_interpolation_warns():
    stack = moved(empty_field(), (0.3, 0.4)).drop_vars("noise_gain").isel(energy=slice(1, None))
    with pytest.warns(ChemoscapeWarning, match="already interpolated"):
        found = counts_per_unit(stack, everywhere(stack))
    assert found.source == "measured"
    with pytest.warns(ChemoscapeWarning, match="already interpolated"):
        found = counts_per_unit(stack.assign_attrs(counter_divider=3.0), everywhere(stack))
    assert (found.counts_per_unit, found.source) == (3.0, "header")


def test_whole_counts_with_correlated_noise_are_another_matter():
    stack = moved(empty_field(counts=4000), (0.5, 0.5)).drop_vars("noise_gain")
    stack = stack.copy(data=np.rint(stack.values)).isel(energy=slice(1, None))
    with pytest.warns(ChemoscapeWarning, match="although the counts are whole numbers"):
        counts_per_unit(stack, everywhere(stack))


def test_own_alignment_does_not_warn():
    stack = moved(empty_field(), (0.3, 0.4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = counts_per_unit(stack, everywhere(stack))
    assert found.counts_per_unit == pytest.approx(1.0, rel=0.1)


# --------------------------------------------------------------------------- what detectors do


def field_of(counts, **facts):
    n, size, _ = counts.shape
    return build(
        counts,
        500.0 + 0.1 * np.arange(n),
        np.arange(size),
        np.arange(size),
        quantity="counts",
        attrs={"quantity_said": 1, **facts},
    )


def poisson(low=200.0, high=600.0, *, n=40, size=80, seed=0):
    """A beam that changes over the stack."""
    random = np.random.default_rng(seed)
    beam = np.linspace(low, high, n)[:, None, None] * np.ones((n, size, size))
    return random.poisson(beam).astype(float)


def quiet(stack, **keywords):
    """The noise of a stack that gives no reason to warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return counts_per_unit(stack, everywhere(stack), **keywords)


@pytest.mark.parametrize("counts", [0.5, 3.0, 12.0])
@pytest.mark.parametrize("g", [1.0, 10.0])
def test_very_few_counts(counts, g):
    stack = field_of(poisson(counts, counts) / g)
    assert quiet(stack).counts_per_unit == pytest.approx(g, rel=0.02)


def test_the_median_over_small_images_is_unbiased():
    found = [
        quiet(field_of(poisson(400, 400, n=5, size=30, seed=seed))).counts_per_unit
        for seed in range(40)
    ]
    # 870 pairs in each of 5 frames, and the better of two axes: sd of one result below 6 %
    assert np.mean(found) == pytest.approx(1.0, abs=0.04)
    assert np.std(found) < 0.06


def test_spikes_that_the_mean_must_not_see():
    counts = poisson(400, 400)
    counts[np.random.default_rng(1).random(counts.shape) < 0.01] *= 20
    assert quiet(field_of(counts)).counts_per_unit == pytest.approx(1.0, rel=0.03)


def test_counts_divided_and_rounded():
    """var = N/g + 1/12 for whole numbers that stand for ten counts each."""
    stack = field_of(np.rint(poisson(200, 200) / 10))
    assert quiet(stack).counts_per_unit == pytest.approx(10, rel=0.03)


def test_a_multiplying_detector_has_twice_the_variance():
    """An electron-multiplying camera amplifies each electron by chance: F² = 2."""
    amplified = np.random.default_rng(1).gamma(poisson(), 1.0)
    assert quiet(field_of(amplified)).counts_per_unit == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize(
    ("factor", "said"), [(1000.0, "values per second"), (1.0, "values per millisecond")]
)
def test_rates_are_recognised(factor, said):
    stack = field_of(poisson() * factor / 0.25, dwell_ms=0.25, counter_divider=1.0)
    with pytest.warns(ChemoscapeWarning, match=rf"\(as of {said} that were counted in 0.25 ms\)"):
        found = counts_per_unit(stack, everywhere(stack))
    assert found.counts_per_unit == pytest.approx(0.25 / factor, rel=0.03)


def test_a_dark_value_is_seen_in_the_noise():
    stack = field_of(poisson() + 100)
    with pytest.warns(
        ChemoscapeWarning, match=r"grows with the counts above 1\d\d ± .* dark image"
    ):
        found = counts_per_unit(stack, everywhere(stack))
    assert found.offset == pytest.approx(100, abs=15)
    assert quiet(stack, dark=100.0).offset == found.offset


def test_read_noise_is_seen():
    counts = poisson()
    stack = field_of(counts + np.random.default_rng(1).normal(0, 15, counts.shape))
    with pytest.warns(ChemoscapeWarning, match=r"read noise of 1[45]\.?\d* per value"):
        counts_per_unit(stack, everywhere(stack))


def test_a_detector_without_offset_has_none():
    assert abs(quiet(field_of(poisson())).offset) < 15
    assert np.isnan(quiet(field_of(poisson(400, 400))).offset)  # nothing to extrapolate from


def test_a_large_image_is_looked_at_in_strips():
    """The share that is looked at knows g to better than 1 %."""
    g, size = 4.0, 600
    counts = np.random.default_rng(0).poisson(300 * g, (12, size, size)) / g
    stack = field_of(counts)
    inside = everywhere(stack)
    inside.values[:, :300] = False
    few = quiet(stack.isel(energy=slice(0, 1)).copy()).counts_per_unit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "VALUES_LOOKED_AT", 0)
        values, where = neighbours._strips(stack, inside.values)
        assert values.shape[0] == 12
        assert 16_000 < where.sum() < 24_000
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = counts_per_unit(stack, inside).counts_per_unit
    assert found == pytest.approx(g, rel=0.01)
    assert few == pytest.approx(g, rel=0.02)


def test_strips_are_not_joined():
    """Neighbours in the list of rows that are none in the image make no pair."""
    size = 400
    steps = 1000.0 * (np.arange(size)[:, None] // 80)
    stack = field_of(np.random.default_rng(0).poisson(400, (3, size, size)) + steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "VALUES_LOOKED_AT", 0)
        frames = neighbours.Frames.of(stack, everywhere(stack))
    # along x a row's own step cancels; along y pairs within a strip have none
    ratio = frames.gains[:, 0] / frames.means
    np.testing.assert_allclose(ratio, 1 / 400, rtol=0.05)


def test_a_lazy_stack_gives_the_same():
    stack = field_of(poisson())
    lazy = stack.copy(data=da.from_array(stack.values, chunks=(-1, 13, -1)))
    inside = everywhere(stack)
    assert counts_per_unit(lazy, inside) == counts_per_unit(stack, inside)
