"""Drift taken out of stacks in memory and of lazy ones, and what all frames saw."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemoscape.blocks import is_lazy
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess.alignment import align, crop_common
from chemoscape.preprocess.resample import motion_gain, shift_image
from chemoscape.preprocess.shifts import Drift
from chemoscape.stack import build, check

N, NY, NX = 6, 70, 40


def counted(values, **more):
    n, ny, nx = values.shape
    return build(
        values, 500.0 + np.arange(n), np.arange(ny), np.arange(nx), quantity="counts", **more
    )


def field(seed=0, n=N, ny=NY, nx=NX):
    return np.random.default_rng(seed).poisson(300, (n, ny, nx)).astype(np.float32)


def moving(shifts, linear=None):
    n = len(shifts)
    return Drift(
        np.asarray(shifts, float), 500.0 + np.arange(n), 0, np.ones(n), np.zeros(n, bool), linear
    )


def turns(*degrees, scale=1.0):
    angle = np.deg2rad(degrees)
    return scale * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    ).transpose(2, 0, 1)


SHIFTS = [[0, 0], [20.3, 1], [-2.4, 0.7], [3, -2], [-31.7, 2], [0.5, 0.5]]
TURNED = turns(0, 0.5, -3, 2, 0, 1, scale=1.01)


@pytest.mark.parametrize("linear", [None, TURNED], ids=["shifted", "turned"])
@pytest.mark.parametrize("rows", [3, 17, 70])
def test_a_lazy_stack_is_aligned_like_one_in_memory(linear, rows):
    values = field()
    values[2, 40:45, 10] = np.nan
    values[3, 30:33] = np.nan
    eager = align(counted(values), moving(SHIFTS, linear))
    lazy = align(counted(da.from_array(values, chunks=(N, rows, NX))), moving(SHIFTS, linear))
    assert is_lazy(lazy)
    assert lazy.data.chunks[1][0] == rows
    np.testing.assert_array_equal(lazy.noise_gain, eager.noise_gain)
    found = lazy.values
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.isnan(eager.values))
    np.testing.assert_allclose(found, eager.values, rtol=1e-6)


def test_each_band_of_a_lazy_stack_is_read_once():
    values, reads = field(), []

    def read(band):
        reads.append(band.shape)
        return band

    source = da.from_array(values, chunks=(N, 10, NX)).map_blocks(read, meta=values[:0])
    lazy = align(counted(source), moving(SHIFTS))
    assert not reads
    lazy.compute()
    assert reads == [(N, 10, NX)] * 7


def test_lazy_frames_moved_out_of_sight():
    lazy = counted(da.from_array(field(), chunks=(N, 7, NX)))
    moved = align(lazy, moving([[0, 0], [99, 0], [-99, 0], [np.nan, 0], [0, 99], [0, 0]])).values
    assert np.isnan(moved[1:5]).all()
    np.testing.assert_array_equal(moved[[0, 5]], field()[[0, 5]])


def test_frames_are_moved_one_by_one():
    values = field()
    moved = align(counted(values), moving(SHIFTS)).values
    for frame, shift, expected in zip(values, SHIFTS, moved, strict=True):
        np.testing.assert_array_equal(shift_image(frame, np.array(shift)), expected)


@given(st.permutations(range(N)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_frames_does_not_matter(order):
    values, shifts = field(), np.array(SHIFTS)
    moved = align(counted(values), moving(shifts, TURNED)).values
    other = align(counted(values[order]), moving(shifts[order], TURNED[order])).values
    np.testing.assert_array_equal(other, moved[order])


@given(st.floats(0.05, 1e4))
@settings(max_examples=10, deadline=None)
def test_other_units_scale_the_result(unit):
    values = field()
    once = align(counted(values), moving(SHIFTS)).values
    scaled = align(counted((unit * values).astype(np.float32)), moving(SHIFTS)).values
    np.testing.assert_allclose(scaled, unit * once, rtol=2e-6)


def test_a_stack_moved_by_whole_pixels_comes_back_exactly():
    values, there = field(), np.rint(SHIFTS)
    back = align(align(counted(values), moving(there)), moving(-there))
    seen = np.isfinite(back.values)
    np.testing.assert_array_equal(back.values[seen], values[seen])
    lost = np.abs(there)
    np.testing.assert_array_equal(seen.sum(axis=(1, 2)), (NY - lost[:, 0]) * (NX - lost[:, 1]))
    np.testing.assert_array_equal(back.noise_gain, 1)


def test_frames_that_turn_and_frames_that_do_not():
    """A turn that moves no corner by 0.02 pixel leaves pixels as they were counted."""
    values = field()
    linear = turns(0, 0.001, 1, 0, 0, 0)
    moved = align(counted(values), moving(np.zeros((N, 2)), linear))
    np.testing.assert_array_equal(moved.values[[0, 1, 3]], values[[0, 1, 3]])
    gain = motion_gain(np.zeros(2), linear[2], (NY, NX))
    assert moved.noise_gain.values[2] == gain < 0.85
    np.testing.assert_array_equal(moved.noise_gain.values[[0, 1, 3]], 1)
    check(moved, "counts")


def test_a_turned_scene_is_turned_back():
    """Frames from a formula, no interpolation: in(q) = scene(c + linear (q - c) + shift)."""
    y, x = np.mgrid[:NY, :NX] - np.array([(NY - 1) / 2, (NX - 1) / 2])[:, None, None]
    place, shifts = np.stack([y, x]), np.array([[0, 0], [1.4, -0.8], [-2.3, 1.6]])
    linear = turns(0, 4, -7, scale=1.02)
    linear[0] = np.eye(2)

    def scene(y, x):
        return 100 + 40 * np.sin(y / 5) * np.cos(x / 4 + y / 9)

    frames = [
        scene(*(np.einsum("ab,byx->ayx", matrix, place) + shift[:, None, None]))
        for matrix, shift in zip(linear, shifts, strict=True)
    ]
    aligned = crop_common(align(counted(np.array(frames)), moving(shifts, linear))).values
    inner = aligned[:, 8:-8, 8:-8]
    np.testing.assert_allclose(inner, np.broadcast_to(inner[:1], inner.shape), atol=0.02)
    assert np.abs(frames[2] - frames[0]).max() > 40


def test_a_drift_that_turns_belongs_to_one_shape():
    measured = replace(moving(SHIFTS, TURNED), shape=(NY, NX))
    align(counted(field()), measured)
    with pytest.raises(StackError, match=r"turns frames of 70 × 40 .*the stack has 60 × 40"):
        align(counted(field()[:, :60]), measured)
    align(counted(field()[:, :60]), replace(moving(SHIFTS), shape=(NY, NX)))


@pytest.mark.parametrize("matrix", [np.zeros((2, 2)), np.full((2, 2), np.nan), np.diag([1, -1])])
def test_matrices_that_turn_nothing(matrix):
    linear = TURNED.copy()
    linear[2] = matrix
    with pytest.raises(StackError, match=r"frame at 502\.00 eV cannot be turned"):
        align(counted(field()), moving(SHIFTS, linear))


def test_interpolating_a_lazy_stack_twice_is_said():
    half = moving([[0.5, 0]] * N)
    once = align(counted(da.from_array(field(), chunks=(N, 7, NX))), half)
    with pytest.warns(ChemoscapeWarning, match="already aligned"):
        twice = align(once, half)
    np.testing.assert_allclose(twice.noise_gain, once.noise_gain**2)


def test_memory_is_the_result_and_a_few_frames():
    stack = counted(field(n=80, ny=128, nx=128))
    drift = moving(np.random.default_rng(0).normal(size=(80, 2)))
    align(stack, drift)
    tracemalloc.start()
    align(stack, drift)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    frame = 4 * 128 * 128
    assert peak < stack.nbytes + 16 * frame  # a second stack would be 80


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.booleans())
@settings(max_examples=30, deadline=None)
def test_crop_common_cuts_what_some_frame_lacks(top, bottom, left, right, lazy):
    values = field(n=4, ny=20, nx=18)
    values[0, :top] = np.nan
    values[1, 20 - bottom :] = np.nan
    values[2, :, :left] = np.nan
    values[3, :, 18 - right :] = np.nan
    values[1, 9, 9] = np.nan
    data = da.from_array(values, chunks=(4, 6, 18)) if lazy else values
    cropped = crop_common(counted(data))
    assert is_lazy(cropped) == lazy
    np.testing.assert_array_equal(cropped.values, values[:, top : 20 - bottom, left : 18 - right])
    np.testing.assert_array_equal(cropped.y, np.arange(top, 20 - bottom))
    np.testing.assert_array_equal(cropped.x, np.arange(left, 18 - right))


def test_crop_common_of_a_lazy_stack_finds_empty_frames():
    values = field()
    values[[1, 4]] = np.nan
    with pytest.raises(StackError, match=r"2 frames hold no value \(501\.00, 504\.00 eV\)"):
        crop_common(counted(da.from_array(values, chunks=(N, 9, NX))))


def test_the_border_of_a_lazy_stack_is_known_from_its_shifts():
    """Without reading it; the same as is found by looking at the values."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        shifts = rng.uniform(-3, 3, (N, 2)) * rng.integers(0, 2, (N, 2))
        drift = moving(shifts, None)
        stack = counted(rng.poisson(100, (N, 30, NX)).astype(np.float32))
        seen = crop_common(align(stack, drift), drift)
        lazy = crop_common(align(stack.chunk({"y": 7}), drift), drift)
        np.testing.assert_allclose(lazy.values, seen.values, rtol=1e-6)
        np.testing.assert_array_equal(lazy["y"], seen["y"])
        np.testing.assert_array_equal(lazy["x"], seen["x"])
    apart = moving(np.where(np.arange(N)[:, None] % 2, 20.0, -20.0) * np.ones(2), None)
    with pytest.raises(StackError, match="no part of the field"):
        crop_common(align(stack.chunk({"y": 7}), apart), apart)
