"""Moving images by fractions of a pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import make_interp_spline

from chemoscape.preprocess.resample import fill_nearest, noise_gain, settle, shift_image

SHIFTS = st.tuples(st.floats(-4, 4), st.floats(-4, 4))


def smooth_image(dy=0.0, dx=0.0):
    y, x = np.mgrid[:48, :40].astype(float)
    y, x = y - dy, x - dx
    return 5 + np.sin(y / 4) * np.cos(x / 5) + np.exp(-((y - 20) ** 2 + (x - 22) ** 2) / 30)


@given(SHIFTS)
@settings(max_examples=40, deadline=None)
def test_a_shift_moves_the_image_by_that_much(shift):
    moved = shift_image(smooth_image(), np.array(shift))
    expected = smooth_image(*settle(np.array(shift)))
    seen = np.isfinite(moved)
    assert seen.sum() >= (48 - 5) * (40 - 5)
    np.testing.assert_allclose(moved[seen], expected[seen], atol=0.02)
    inner = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(moved[inner], expected[inner], atol=5e-4)


@given(SHIFTS)
@settings(max_examples=40, deadline=None)
def test_shifting_there_and_back_gives_the_image_again(shift):
    image, there = smooth_image(), np.array(shift)
    back = shift_image(shift_image(image, there), -there)
    inner = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(back[inner], image[inner], atol=1e-3)


def test_whole_shifts_copy_pixels():
    image = np.random.default_rng(0).normal(size=(6, 7)).astype(np.float32)
    moved = shift_image(image, np.array([2.0, -1.01]))
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(moved[2:, :-1], image[:-2, 1:])
    assert np.isnan(moved[:2]).all()
    assert np.isnan(moved[:, -1]).all()
    np.testing.assert_array_equal(shift_image(image, np.array([0.01, 0.0])), image)


def test_what_was_not_seen_is_nan_and_nothing_else():
    moved = shift_image(smooth_image(), np.array([1.5, -2.25]))
    seen = np.isfinite(moved)
    assert not seen[:2].any()
    assert not seen[:, -3:].any()
    assert seen[2:, :-3].all()


def test_a_ramp_stays_a_ramp_up_to_the_border():
    y, x = np.mgrid[:20, :30].astype(float)
    moved = shift_image(3 * y - 2 * x, np.array([0.3, 0.6]))
    seen = np.isfinite(moved)
    np.testing.assert_allclose(moved[seen], (3 * (y - 0.3) - 2 * (x - 0.6))[seen], atol=1e-3)


def test_a_missing_pixel_spreads_to_its_neighbours_only():
    image = smooth_image()
    image[20, 10] = np.nan
    moved = shift_image(image, np.array([0.5, 0.0]))
    assert np.isnan(moved[20:22, 10]).all()
    assert np.isfinite(moved[2:]).sum() == moved[2:].size - 2
    near = np.isfinite(moved) & np.isfinite(smooth_image())
    np.testing.assert_allclose(moved[near], smooth_image(0.5, 0.0)[near], atol=0.1)


def test_shifts_beyond_the_image_leave_nothing():
    assert np.isnan(shift_image(np.ones((5, 5)), np.array([7.0, 0.3]))).all()
    assert np.isnan(shift_image(np.ones((5, 5)), np.array([np.nan, 0.0]))).all()
    assert shift_image(np.ones((1, 5)), np.array([0.0, 0.5])).shape == (1, 5)


@pytest.mark.parametrize(
    ("shift", "gain"),
    [
        ((0, 0), 1.0),
        ((3, -2), 1.0),
        ((0.5, 0), 0.756),
        ((0, -1.5), 0.756),
        ((0.5, 0.5), 0.572),
        ((0.015, 0), 1.0),
    ],
)
def test_noise_gain(shift, gain):
    assert noise_gain(np.array([shift], dtype=float))[0] == pytest.approx(gain, abs=1e-3)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.4, 0.5, 0.8])
def test_noise_gain_is_that_of_an_interpolating_cubic_spline(fraction):
    at = np.arange(81.0)
    weights = make_interp_spline(at, np.eye(81), k=3)(40 + fraction)
    assert noise_gain(np.array([[0.0, fraction]]))[0] == pytest.approx((weights**2).sum(), abs=1e-6)


@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.3, 0.7), (-1.5, 2.5)])
def test_noise_gain_is_what_happens_to_noise(shift):
    noise = np.random.default_rng(1).normal(size=(400, 400))
    moved = shift_image(noise, np.array(shift))[10:-10, 10:-10]
    assert moved.var() == pytest.approx(noise_gain(np.array([shift]))[0], rel=0.02)


def test_fill_nearest():
    image = np.array([[1.0, np.nan, 3.0], [4.0, np.nan, np.nan]])
    filled = fill_nearest(image, np.isnan(image))
    assert filled[1, 2] == 3.0
    assert np.isfinite(filled).all()
    assert not fill_nearest(np.full((2, 2), np.nan), np.ones((2, 2), dtype=bool)).any()
