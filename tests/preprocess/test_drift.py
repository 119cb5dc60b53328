"""Drift: measured, taken out, cropped."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess.alignment import align, crop_common
from chemoscape.preprocess.drift import measure_drift
from chemoscape.preprocess.shifts import Drift
from chemoscape.region import Region
from chemoscape.stack import build, check


def with_values(stack, values):
    return build(
        values,
        500.0 + np.arange(len(values)),
        stack.y.values,
        stack.x.values,
        quantity="counts",
    )


def known(stack, shifts):
    n = len(shifts)
    return Drift(
        np.asarray(shifts, dtype=float), stack.energy.values, 0, np.ones(n), np.zeros(n, dtype=bool)
    )


@pytest.mark.parametrize(("counts", "seeds"), [(100, 3), (400, 6), (1000, 3)])
def test_error_on_phantoms_with_an_edge(make_phantom, counts, seeds):
    errors, ratios = [], []
    for seed in range(500, 500 + seeds):
        phantom = make_phantom(seed, counts=counts)
        drift = measure_drift(phantom.stack)
        errors.append(phantom.rms_px(drift.shifts))
        ratios.append(errors[-1] / phantom.bound_px)
    assert np.median(ratios) <= 3.0
    if counts == 400:
        assert np.median(errors) <= 0.09


def test_a_single_material_is_found_near_the_bound(make_phantom):
    phantom = make_phantom(510, n_materials=1)
    assert phantom.rms_px(measure_drift(phantom.stack).shifts) <= 2.0 * phantom.bound_px


def test_contrast_may_reverse(make_phantom):
    phantom = make_phantom(520)
    values = phantom.stack.values.copy()
    values[12:] = values.max() + 50 - values[12:]
    shifts = measure_drift(with_values(phantom.stack, values)).shifts
    assert phantom.rms_px(shifts) < 0.15


@pytest.mark.parametrize("quantity", ["transmission", "optical_density"])
def test_other_quantities(make_phantom, quantity):
    phantom = make_phantom(521)
    values = phantom.stack.values / phantom.i0[:, None, None]
    values = values if quantity == "transmission" else -np.log(values)
    stack = phantom.stack
    stack = build(values, stack.energy, stack.y, stack.x, quantity=quantity)
    assert phantom.rms_px(measure_drift(stack).shifts) < 0.09


def test_reference_is_the_frame_with_most_contrast(make_phantom):
    phantom = make_phantom(522)
    drift = measure_drift(phantom.stack)
    assert 516.5 < drift.energy[drift.reference] < 520.5
    np.testing.assert_array_equal(drift.shifts[drift.reference], [0, 0])
    assert drift.quality[drift.reference] == pytest.approx(1.0)
    assert measure_drift(phantom.stack, reference=3).reference == 3
    with pytest.raises(StackError, match="no frame 99"):
        measure_drift(phantom.stack, reference=99)


def test_a_glitch_is_not_the_reference_and_its_shift_is_interpolated(make_phantom):
    phantom = make_phantom(523)
    values = phantom.stack.values.copy()
    values[5] = np.random.default_rng(0).poisson(2, values[5].shape)  # the shutter was closed
    values[9, 40:] = 0.0  # the beam was lost half-way
    stack = with_values(phantom.stack, values)
    with pytest.warns(ChemoscapeWarning, match=r"1 of 24 frames.*5\.00 eV"):
        drift = measure_drift(stack)
    np.testing.assert_array_equal(np.flatnonzero(drift.replaced), [5])
    assert drift.reference not in (5, 9)
    np.testing.assert_allclose(drift.shifts[5], (drift.shifts[4] + drift.shifts[6]) / 2)
    assert phantom.rms_px(drift.shifts, ~drift.replaced) < 0.09
    assert np.abs(drift.shifts + phantom.displacement)[9] == pytest.approx(
        np.abs(np.median(drift.shifts + phantom.displacement, axis=0)), abs=0.3
    )


def test_a_jump_of_the_stage_is_no_glitch(make_phantom):
    phantom = make_phantom(524)
    values = phantom.stack.values.copy()
    values[11:] = np.roll(values[11:], (5, -4), axis=(1, 2))
    values[17] = np.roll(values[17], (-3, 6), axis=(0, 1))
    phantom.displacement[11:] += (5, -4)
    phantom.displacement[17] += (-3, 6)
    drift = measure_drift(with_values(phantom.stack, values))
    assert not drift.replaced.any()
    assert phantom.rms_px(drift.shifts) < 0.12


def test_frames_that_show_nothing_of_the_reference_are_bridged():
    """Before 4 only the left rods are visible, after 4 only the right ones."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[:64, :64].astype(float)
    displacement = np.column_stack([0.4 * np.arange(9), -0.3 * np.arange(9)])
    left, right = np.linspace(1, 0, 9).clip(0.0), np.linspace(0, 1, 9).clip(0.0)
    left[6:], right[:3] = 0.0, 0.0
    frames = []
    for (dy, dx), a, b in zip(displacement, left, right, strict=True):
        one = np.exp(-(((x - dx - 14) / 4) ** 4) - ((y - dy - 20) / 9) ** 4)
        other = np.exp(-(((x - dx - 46) / 9) ** 4) - ((y - dy - 44) / 5) ** 4)
        frames.append(random.poisson(2000 * np.exp(-a * one - 1.3 * b * other)))
    stack = build(
        frames, 500.0 + np.arange(9.0), np.arange(64.0), np.arange(64.0), quantity="counts"
    )
    error = measure_drift(stack).shifts + displacement
    assert np.abs(error - error.mean(axis=0)).max() < 0.3


def test_missing_pixels_and_frames(make_phantom):
    phantom = make_phantom(525)
    values = phantom.stack.values.copy()
    values[:, 10:14, 30:50] = np.nan
    values[7] = np.nan
    with pytest.warns(ChemoscapeWarning, match=r"1 of 24 frames.*507\.00 eV"):
        drift = measure_drift(with_values(phantom.stack, values))
    assert phantom.rms_px(drift.shifts, ~drift.replaced) < 0.12


def test_a_region_leaves_out_what_moves_by_itself(make_phantom):
    phantom = make_phantom(526, wander_px=0.0)
    values = phantom.stack.values.copy()
    for i, frame in enumerate(values):
        frame[:, 60:] = np.roll(frame[:, 60:], i // 4, axis=0) * 0.3
    stack = with_values(phantom.stack, values)
    shifts = measure_drift(stack, region=Region(x=(0.0, 2.9), y=(0.0, 5.0))).shifts
    assert np.abs(shifts - np.median(shifts, axis=0)).max() < 0.3


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.full((4, 20, 20), 100.0), "no contrast"),
        (np.random.default_rng(0).poisson(300, (6, 40, 40)), "no contrast"),
        (np.full((4, 1, 1), 100.0), "no drift was measured"),
    ],
    ids=["constant", "noise", "one pixel"],
)
def test_without_contrast_nothing_moves(frames, message):
    n, ny, nx = frames.shape
    stack = build(frames, 500.0 + np.arange(n), np.arange(ny), np.arange(nx), quantity="counts")
    with pytest.warns(ChemoscapeWarning, match=message):
        drift = measure_drift(stack)
    assert not drift.shifts.any()
    np.testing.assert_array_equal(align(stack, drift).values, stack.values)


def test_one_energy_does_not_drift():
    stack = build(np.full((1, 9, 9), 50.0), [700.0], range(9), range(9), quantity="counts")
    assert not measure_drift(stack).shifts.any()


def test_align_copies_what_stands_still_and_changes_no_input(make_phantom):
    stack = make_phantom(530, n_energy=6).stack
    before = stack.values.copy()
    shifts = [[0, 0], [0, 0.01], [2, -1], [0.5, 0], [0.5, -0.5], [-0.3, 0.2]]
    moved = align(stack, known(stack, shifts))
    np.testing.assert_array_equal(stack.values, before)
    check(moved, "counts")
    np.testing.assert_array_equal(moved.values[:2], stack.values[:2])
    np.testing.assert_array_equal(moved.values[2, 2:, :-1], stack.values[2, :-2, 1:])
    np.testing.assert_allclose(moved.noise_gain.values[:5], [1, 1, 1, 0.756, 0.572], atol=1e-3)
    assert moved.dtype == np.float32


def test_align_keeps_facts_of_the_measurement():
    stack = build(
        np.full((2, 9, 9), 50.0),
        [1.0, 2.0],
        range(9),
        range(9),
        quantity="counts",
        per_energy={"ring_current": [400.0, 399.0]},
        attrs={"counter_divider": 10.0},
    )
    moved = align(stack, known(stack, [[0, 0], [1, 0]]))
    assert moved.attrs == stack.attrs
    np.testing.assert_array_equal(moved.ring_current, [400, 399])


def test_drifted_and_aligned_back_has_the_variance_it_says(make_phantom):
    """Reduced chi2 of the aligned optical density against the truth, noise gain included."""
    phantom = make_phantom(531, counts=400)
    aligned = align(phantom.stack, known(phantom.stack, -phantom.displacement))
    counts = aligned.values.astype(float)
    density = np.log(phantom.i0[:, None, None] / counts)
    variance = aligned.noise_gain.values[:, None, None] / counts
    inner = (slice(None), slice(10, -10), slice(10, -10))
    chi2 = ((density - phantom.optical_density) ** 2 / variance)[inner]
    assert 0.95 < np.nanmean(chi2) < 1.05


def test_measured_and_aligned_frames_lie_on_each_other(make_phantom):
    phantom = make_phantom(532, counts=1000)
    aligned = crop_common(align(phantom.stack, measure_drift(phantom.stack)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        again = measure_drift(aligned)
    assert phantom.stack.sizes["y"] > aligned.sizes["y"]
    assert again.rms_px < 0.1


def test_a_drift_of_another_stack_is_refused(make_phantom):
    stack = make_phantom(530, n_energy=6).stack
    with pytest.raises(StackError, match="2 shifts"):
        align(stack, known(stack.isel(energy=slice(2)), [[0, 0], [1, 1]]))
    foreign = Drift(np.zeros((6, 2)), stack.energy.values + 1, 0, np.ones(6), np.zeros(6, bool))
    with pytest.raises(StackError, match="other energies"):
        align(stack, foreign)
    nameless = Drift(np.zeros((6, 2)), np.full(6, np.nan), 0, np.ones(6), np.zeros(6, bool))
    np.testing.assert_array_equal(align(stack, nameless).values, stack.values)


def test_interpolating_twice_is_said(make_phantom):
    stack = make_phantom(530, n_energy=6).stack
    half = known(stack, [[0.5, 0]] * 6)
    once = align(stack, half)
    with pytest.warns(ChemoscapeWarning, match="already aligned"):
        align(once, half)


def test_crop_common_keeps_what_all_frames_saw():
    values = np.full((3, 10, 12), 20.0)
    values[0, :2] = np.nan
    values[1, :, -3:] = np.nan
    values[2, 5, 5] = np.nan  # a dead pixel
    stack = build(values, [1.0, 2.0, 3.0], range(10), range(12), quantity="counts")
    cropped = crop_common(stack)
    assert cropped.shape == (3, 8, 9)
    np.testing.assert_array_equal(cropped.y, np.arange(2, 10))
    assert np.isnan(cropped.values).sum() == 1
    check(cropped, "counts")


def test_crop_common_of_nothing_is_an_error():
    values = np.full((2, 6, 6), 20.0)
    values[0, :3] = np.nan
    values[1, 3:] = np.nan
    stack = build(values, [1.0, 2.0], range(6), range(6), quantity="counts")
    with pytest.raises(StackError, match="no part of the field"):
        crop_common(stack)
    values[0] = np.nan
    stack = build(values, [1.0, 2.0], range(6), range(6), quantity="counts")
    with pytest.raises(StackError, match=r"1 frames hold no value \(1\.00 eV\)"):
        crop_common(stack)
