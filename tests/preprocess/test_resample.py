"""Moving images by fractions of a pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import CubicSpline, make_interp_spline

from chemoscape.preprocess.resample import (
    EVERY_FRACTION_GAIN,
    REACH,
    fill_nearest,
    motion_gain,
    move_rows,
    noise_gain,
    settle,
    shift_image,
    shift_rows,
    source_map,
    turns,
)

SHIFTS = st.tuples(st.floats(-4, 4), st.floats(-4, 4))
WHOLE = st.tuples(st.integers(-9, 9), st.integers(-9, 9))


def smooth_image(dy=0.0, dx=0.0):
    y, x = np.mgrid[:48, :40].astype(float)
    y, x = y - dy, x - dx
    return 5 + np.sin(y / 4) * np.cos(x / 5) + np.exp(-((y - 20) ** 2 + (x - 22) ** 2) / 30)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def turn(degrees, scale=1.0):
    angle = np.deg2rad(degrees)
    return scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def moved_image(image, shift, linear):
    out = np.empty(image.shape)
    move_rows(image, *source_map(np.asarray(shift), linear, image.shape), out)
    return out


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


@given(SHIFTS, st.sampled_from([(2, 2), (3, 17), (23, 5), (80, 70)]), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_it_is_the_natural_cubic_spline(shift, shape, seed):
    """scipy's spline with vanishing second derivative at both ends, one axis after the other."""
    image = noise(*shape, seed=seed)
    there = settle(np.array(shift))
    moved = shift_image(image, there)
    expected, inside = image, np.ones(shape, bool)
    for axis in (0, 1):
        spline = CubicSpline(np.arange(shape[axis]), expected, axis=axis, bc_type="natural")
        at = np.arange(shape[axis]) - there[axis]
        expected = spline(at)
        within = (at >= 0) & (at <= shape[axis] - 1)
        inside &= within[:, None] if axis == 0 else within
    expected[~inside] = np.nan
    np.testing.assert_allclose(moved, expected, atol=1e-11)
    single = shift_image(image.astype(np.float32), there)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=1e-5)


def test_whole_shifts_copy_pixels():
    image = np.random.default_rng(0).normal(size=(6, 7)).astype(np.float32)
    moved = shift_image(image, np.array([2.0, -1.01]))
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(moved[2:, :-1], image[:-2, 1:])
    assert np.isnan(moved[:2]).all()
    assert np.isnan(moved[:, -1]).all()
    np.testing.assert_array_equal(shift_image(image, np.array([0.01, 0.0])), image)


@given(WHOLE, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_whole_shifts_are_undone_exactly(shift, seed):
    image = noise(12, 14, seed=seed).astype(np.float32)
    image[3, 4] = np.nan
    there = np.array(shift, dtype=float)
    back = shift_image(shift_image(image, there), -there)
    came = np.zeros(image.shape, bool)
    dy, dx = shift
    came[max(0, -dy) : 12 - max(0, dy), max(0, -dx) : 14 - max(0, dx)] = True
    np.testing.assert_array_equal(back, np.where(came, image, np.nan))


def test_what_was_not_seen_is_nan_and_nothing_else():
    moved = shift_image(smooth_image(), np.array([1.5, -2.25]))
    seen = np.isfinite(moved)
    assert not seen[:2].any()
    assert not seen[:, -3:].any()
    assert seen[2:, :-3].all()


@given(SHIFTS, st.lists(st.tuples(st.integers(0, 19), st.integers(0, 29)), max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_ramp_stays_a_ramp_up_to_the_border_and_to_what_is_missing(shift, dead):
    y, x = np.mgrid[:20, :30].astype(float)
    ramp = 3 * y - 2 * x
    for pixel in dead:
        ramp[pixel] = np.nan
    dy, dx = settle(np.array(shift))
    moved = shift_image(ramp, np.array(shift))
    seen = np.isfinite(moved)
    np.testing.assert_allclose(moved[seen], (3 * (y - dy) - 2 * (x - dx))[seen], atol=1e-9)


@given(SHIFTS, arrays(bool, (9, 70), elements=st.sampled_from([False] * 9 + [True])))
@settings(max_examples=60, deadline=None)
def test_missing_pixels_spread_to_what_lies_between_them_and_their_neighbours(shift, dead):
    """NaN where bilinear interpolation would touch a missing pixel or leave the image, nowhere
    else.
    """
    image = np.where(dead, np.nan, noise(*dead.shape))
    dy, dx = settle(np.array(shift))
    padded = np.pad(dead, 6, constant_values=True)
    expected = np.zeros(dead.shape, bool)
    for up in {np.floor(dy), np.ceil(dy)}:
        for right in {np.floor(dx), np.ceil(dx)}:
            up_, right_ = 6 - int(up), 6 - int(right)
            expected |= padded[up_ : up_ + dead.shape[0], right_ : right_ + dead.shape[1]]
    np.testing.assert_array_equal(np.isnan(shift_image(image, np.array(shift))), expected)


def test_a_missing_pixel_spreads_to_its_neighbours_only():
    image = smooth_image()
    image[20, 10] = np.nan
    moved = shift_image(image, np.array([0.5, 0.0]))
    assert np.isnan(moved[20:22, 10]).all()
    assert np.isfinite(moved[2:]).sum() == moved[2:].size - 2
    near = np.isfinite(moved) & np.isfinite(smooth_image())
    np.testing.assert_allclose(moved[near], smooth_image(0.5, 0.0)[near], atol=0.02)


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
def test_what_lies_far_from_a_missing_pixel_does_not_know_of_it(lost):
    image = noise(60, 60)
    broken = image.copy()
    broken[30, 30] = lost
    moved, expected = (shift_image(one, np.array([0.4, -0.3])) for one in (broken, image))
    away = np.hypot(*(np.mgrid[:60, :60] - 30)) > REACH + 2
    np.testing.assert_allclose(moved[away], expected[away], atol=1e-7)
    assert np.isfinite(moved).sum() == np.isfinite(expected).sum() - 4


@given(SHIFTS, st.floats(1e-6, 1e6))
@settings(max_examples=30, deadline=None)
def test_other_units_scale_the_result(shift, unit):
    image = noise(10, 12)
    np.testing.assert_allclose(
        shift_image(unit * image, np.array(shift)), unit * shift_image(image, np.array(shift)),
        rtol=1e-9, atol=1e-12 * unit,
    )  # fmt: skip


@given(st.tuples(st.floats(-30, 30), st.floats(-4, 4)), st.integers(0, 69), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_a_band_is_moved_like_the_whole_image(shift, start, rows):
    image = noise(70, 20)
    image[40, 3] = np.nan
    stop = min(start + rows, 70)
    dy = shift[0]
    low = int(np.clip(np.floor(start - dy) - REACH, 0, 69))
    high = int(np.clip(np.ceil(stop - dy) + REACH, low + 1, 70))
    out = np.empty((stop - start, 20))
    shift_rows(image[low:high], np.array(shift), out, first=start - low)
    expected = shift_image(image, np.array(shift))[start:stop]
    np.testing.assert_allclose(out, expected, atol=1e-7)


def test_shifts_beyond_the_image_leave_nothing():
    assert np.isnan(shift_image(np.ones((5, 5)), np.array([7.0, 0.3]))).all()
    assert np.isnan(shift_image(np.ones((5, 5)), np.array([-7.0, 0.0]))).all()
    assert np.isnan(shift_image(np.ones((5, 5)), np.array([0.0, 1e6]))).all()
    assert np.isnan(shift_image(np.ones((5, 5)), np.array([np.nan, 0.0]))).all()
    assert np.isnan(shift_image(np.full((5, 5), np.nan), np.array([0.5, 0.5]))).all()
    assert np.isnan(shift_image(np.ones((1, 5)), np.array([0.5, 0.0]))).all()
    np.testing.assert_allclose(
        shift_image(np.arange(5.0)[None], np.array([0.0, 0.5])), [[np.nan, 0.5, 1.5, 2.5, 3.5]]
    )


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
    gain = noise_gain(np.array([[0.0, fraction]]))[0]
    assert gain == pytest.approx((weights**2).sum(), abs=1e-12)


def test_noise_gain_is_exact_for_the_weights_in_use():
    """An impulse in every pixel in turn shows them all; 0.37 and -1.81 are rounded nowhere."""
    impulse = np.zeros((61, 61))
    impulse[30, 30] = 1.0
    weights = shift_image(impulse, np.array([0.37, -1.81]))
    gain = noise_gain(np.array([[0.37, -1.81]]))[0]
    assert gain == pytest.approx(np.nansum(weights**2), abs=1e-12)


@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.3, 0.7), (-1.5, 2.5)])
def test_noise_gain_is_what_happens_to_noise(shift):
    noise = np.random.default_rng(1).normal(size=(400, 400))
    moved = shift_image(noise, np.array(shift))[10:-10, 10:-10]
    assert moved.var() == pytest.approx(noise_gain(np.array([shift]))[0], rel=0.02)


@pytest.mark.parametrize(
    ("degrees", "scale", "shift"),
    [(0.1, 1.0, (0.5, 0.0)), (0.4, 1.0, (0.3, -0.2)), (2.0, 1.01, (3.7, -2.2)), (30, 0.97, (0, 0))],
)
def test_noise_gain_of_a_turned_image_is_what_happens_to_noise(degrees, scale, shift):
    shape = (300, 320)
    moved = moved_image(noise(*shape, seed=2), shift, turn(degrees, scale))
    inside = np.isfinite(moved)
    assert 0.5 < inside.mean() < 1
    gain = motion_gain(np.array(shift), turn(degrees, scale), shape)
    assert moved[inside].var() == pytest.approx(gain, rel=0.02)


def test_noise_gain_of_a_turned_image_has_its_limits():
    shift = np.array([0.3, 0.7])
    same = motion_gain(shift, np.eye(2), (40, 50))
    assert same == pytest.approx(noise_gain(shift[None])[0], abs=1e-12)
    assert motion_gain(shift, turn(31.0), (500, 500)) == pytest.approx(
        EVERY_FRACTION_GAIN, abs=2e-3
    )
    assert motion_gain(np.array([900.0, 0.0]), np.eye(2), (40, 50)) == 1.0


@pytest.mark.parametrize(("degrees", "scale"), [(0.7, 1.0), (-3.0, 1.02), (12.0, 0.9)])
def test_turning_takes_pixels_from_where_the_convention_says(degrees, scale):
    """out(p) = in(c + linear⁻¹ (p - c - shift)), p = (y, x), c the centre."""

    def scene(y, x):
        return 5 + np.sin(y / 4) * np.cos(x / 5) + np.exp(-((y - 20) ** 2 + (x - 28) ** 2) / 30)

    y, x = np.mgrid[:48, :56].astype(float)
    shift, linear, centre = np.array([1.3, -2.6]), turn(degrees, scale), np.array([23.5, 27.5])
    moved = moved_image(scene(y, x), shift, linear)
    place = np.stack([y, x]) - (centre + shift)[:, None, None]
    source = np.einsum("ab,byx->ayx", np.linalg.inv(linear), place) + centre[:, None, None]
    inside = (source >= 0).all(axis=0) & (source[0] <= 47) & (source[1] <= 55)
    np.testing.assert_array_equal(np.isfinite(moved), inside)
    np.testing.assert_allclose(moved[inside], scene(*source)[inside], atol=0.02)
    inner = (slice(10, -10), slice(10, -10))
    np.testing.assert_allclose(moved[inner], scene(*source)[inner], atol=5e-4)


def test_turning_by_nothing_is_shifting():
    image = noise(40, 30)
    image[12, 14] = np.nan
    image[:, 3] = np.nan
    shift = np.array([0.4, -1.7])
    turned, shifted = moved_image(image, shift, np.eye(2)), shift_image(image, shift)
    np.testing.assert_array_equal(np.isnan(turned), np.isnan(shifted))
    clean = np.nan_to_num(image)  # next to what is missing they may differ
    np.testing.assert_allclose(
        moved_image(clean, shift, np.eye(2)), shift_image(clean, shift), atol=1e-7
    )


def test_a_turned_ramp_stays_a_ramp():
    y, x = np.mgrid[:40, :30].astype(float)
    linear, shift = turn(5.0), np.array([0.3, 0.9])
    moved = moved_image(3 * y - 2 * x, shift, linear)
    matrix, offset = source_map(shift, linear, (40, 30))
    at = np.einsum("ab,byx->ayx", matrix, np.stack([y, x])) + offset[:, None, None]
    seen = np.isfinite(moved)
    np.testing.assert_allclose(moved[seen], (3 * at[0] - 2 * at[1])[seen], atol=1e-6)


def test_what_turns_moves_a_corner():
    assert not turns(np.eye(2), (1000, 1000))
    assert not turns(turn(0.001), (500, 500))
    assert turns(turn(0.01), (500, 500))
    assert turns(1.001 * np.eye(2), (60, 60))


def test_fill_nearest():
    image = np.array([[1.0, np.nan, 3.0], [4.0, np.nan, np.nan]])
    filled = fill_nearest(image, np.isnan(image))
    assert filled[1, 2] == 3.0
    assert np.isfinite(filled).all()
    assert not fill_nearest(np.full((2, 2), np.nan), np.ones((2, 2), dtype=bool)).any()
