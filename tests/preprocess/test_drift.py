"""Drift: measured, taken out, cropped."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import ndimage

from chemoscape import blocks
from chemoscape.errors import ChemoscapeWarning, FitError, StackError
from chemoscape.preprocess import drift as drift_module
from chemoscape.preprocess.alignment import align, crop_common
from chemoscape.preprocess.drift import densest_window, measure_drift
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
    with pytest.warns(ChemoscapeWarning, match=r"of 24 frames.*505\.00"):
        drift = measure_drift(stack)
    # what is left of frame 9 may tell less about its shift than its neighbours do
    assert set(np.flatnonzero(drift.replaced)) | {9} == {5, 9}
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


def test_a_region_may_be_a_map_of_pixels(make_phantom):
    stack = make_phantom(527).stack
    drawn = Region(x=(0.5, 3.0), y=(1.0, 3.5))
    by_region = measure_drift(stack, region=drawn)
    for region in (drawn.mask(stack), drawn.mask(stack).values):
        np.testing.assert_array_equal(measure_drift(stack, region=region).shifts, by_region.shifts)
    with pytest.raises(StackError, match="the region holds no pixel"):
        measure_drift(stack, region=np.zeros(stack.shape[1:], dtype=bool))


def test_weak_frames_are_found_by_what_the_others_know(make_phantom):
    """Absorption below the edge is 8 % of the usual: edge maps miss these frames by 20 pixels."""
    misses, ratios = [], []
    for seed in range(540, 545):
        phantom = make_phantom(seed, ramp_px=6.0, before_edge=0.08)
        weak = phantom.stack.energy.values < 516
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)
            drift = measure_drift(phantom.stack)
        error = drift.shifts + phantom.displacement
        error -= np.median(error[~weak], axis=0)
        misses.append(np.sqrt((error[weak] ** 2).mean()))
        bound = np.sqrt((phantom.bounds[~weak] ** 2).mean())
        ratios.append(phantom.rms_px(drift.shifts, ~weak) / bound)
        assert not drift.replaced[~weak].any()
    assert np.median(misses) < 2 * phantom.bounds[weak].mean()
    assert np.median(ratios) < 2.0


def test_frames_that_show_nothing_are_named_and_follow_their_neighbours(make_phantom):
    phantom = make_phantom(546, ramp_px=6.0, before_edge=0.0)
    values = phantom.stack.values.copy()
    values[12:15] = np.random.default_rng(0).poisson(390, values[12:15].shape)
    blind = [*np.flatnonzero(phantom.stack.energy.values < 516).tolist(), 12, 13, 14]
    with pytest.warns(ChemoscapeWarning, match=r"10 of 24 frames .* interpolated"):
        drift = measure_drift(with_values(phantom.stack, values))
    np.testing.assert_array_equal(np.flatnonzero(drift.replaced), blind)
    straight = drift.shifts[11] + (drift.shifts[15] - drift.shifts[11]) * [[0.25], [0.5], [0.75]]
    np.testing.assert_allclose(drift.shifts[12:15], straight, atol=1e-6)
    assert phantom.rms_px(drift.shifts, ~drift.replaced) < 0.09


def test_frames_lost_at_the_end(make_phantom):
    phantom = make_phantom(547)
    values = phantom.stack.values.copy()
    values[-3:] = np.nan
    with pytest.warns(ChemoscapeWarning, match="3 of 24 frames"):
        drift = measure_drift(with_values(phantom.stack, values))
    np.testing.assert_array_equal(np.flatnonzero(drift.replaced), [21, 22, 23])
    np.testing.assert_allclose(drift.shifts[-3:], drift.shifts[[20, 20, 20]])
    assert phantom.rms_px(drift.shifts, ~drift.replaced) < 0.09


def _dead_lines(values):
    values[:, 40], values[:, :, 33] = 0.0, 5.0


def _hot_and_dead_pixels(values):
    random = np.random.default_rng(1).random(values.shape[1:])
    values[:, random < 0.005] = 5000.0
    values[:, random > 0.995] = 0.0


def _flash_and_gap(values):
    values[8, 30], values[12, 50] = 4000.0, 0.0


@pytest.mark.parametrize("spoil", [_dead_lines, _hot_and_dead_pixels, _flash_and_gap])
def test_what_stands_still_on_the_detector_does_not_pin_the_drift(make_phantom, spoil):
    phantom = make_phantom(548, ramp_px=5.0, jumps=[(10, 4.0, -3.0)])
    before = phantom.rms_px(measure_drift(phantom.stack).shifts)
    values = phantom.stack.values.copy()
    spoil(values)
    spoilt = with_values(phantom.stack, values)
    after = phantom.rms_px(measure_drift(spoilt).shifts)
    assert after < 1.5 * before < 0.1
    np.testing.assert_array_equal(spoilt.values, values)


def test_a_beam_that_is_bright_in_the_middle_only(make_phantom):
    phantom = make_phantom(549, counts=1000, ramp_px=5.0, noisy=False)
    y, x = np.mgrid[:80, :80]
    beam = np.exp(-((y - 45) ** 2 + (x - 30) ** 2) / (2 * 30.0**2))
    values = np.random.default_rng(0).poisson(phantom.stack.values * beam)
    assert phantom.rms_px(measure_drift(with_values(phantom.stack, values)).shifts) < 0.15


def _disc(displacement, centre, radius, size=80, od=1.0, counts=600):
    """A disc whose absorption rises along the stack."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[:size, :size].astype(float)
    frames = []
    for i, (dy, dx) in enumerate(displacement):
        away = np.hypot(y - centre[0] - dy, x - centre[1] - dx)
        height = od * (0.4 + 0.6 * i / len(displacement))
        frames.append(random.poisson(counts * np.exp(-height / (1 + np.exp(away - radius)))))
    n = len(frames)
    return build(frames, 500.0 + np.arange(n), np.arange(size), np.arange(size), quantity="counts")


@pytest.mark.parametrize(
    ("centre", "radius", "far"),
    [((40, 2), 15, 5.0), ((40, 40), 6, 16.0), ((40, 40), 30, 5.0)],
    ids=["cut by the border", "drifts further than it is wide", "larger than half the field"],
)
def test_one_particle(centre, radius, far):
    random = np.random.default_rng(5)
    path = random.normal(0, 0.3, (16, 2)).cumsum(axis=0) + np.linspace(-far, far, 16)[:, None]
    error = measure_drift(_disc(path, centre, radius)).shifts + path
    assert np.sqrt(((error - np.median(error, axis=0)) ** 2).mean()) < 0.2


def test_of_shifts_that_fit_alike_the_neighbours_is_taken():
    """Wires 10 pixels apart that drift by 12 pixels."""
    random = np.random.default_rng(6)
    dx = np.linspace(0, 12, 20) + random.normal(0, 0.2, 20)
    x = np.arange(80.0)
    height = np.linspace(0.3, 1.0, 20)
    wires = [1 / (1 + np.exp(-4 * np.cos(2 * np.pi * (x - d) / 10))) for d in dx]
    frames = [
        random.poisson(400 * np.exp(-h * wire), (80, 80))
        for h, wire in zip(height, wires, strict=True)
    ]
    stack = build(frames, 500.0 + np.arange(20), np.arange(80), x, quantity="counts")
    with pytest.warns(ChemoscapeWarning, match="match the reference as well elsewhere"):
        error = measure_drift(stack).shifts[:, 1] + dx
    assert np.abs(error - np.median(error)).max() < 0.3


@pytest.mark.parametrize("n_energy", [2, 3])
def test_few_energies(make_phantom, n_energy):
    phantom = make_phantom(550, n_energy=n_energy, ramp_px=4.0)
    drift = measure_drift(phantom.stack)
    error = drift.shifts + phantom.displacement
    assert np.abs(error - error[drift.reference]).max() < 0.6


def test_pixels_need_not_be_square(make_phantom):
    phantom = make_phantom(551, ramp_px=5.0)
    stack = phantom.stack
    values = stack.values[:, :, ::2] + stack.values[:, :, 1::2]
    stack = build(values, stack.energy, stack.y, stack.x[::2], quantity="counts")
    error = measure_drift(stack).shifts + phantom.displacement * [1.0, 0.5]
    assert np.sqrt(((error - np.median(error, axis=0)) ** 2).mean()) < 0.1


def test_a_small_image():
    path = np.random.default_rng(1).normal(0, 0.2, (12, 2)).cumsum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        drift = measure_drift(_disc(path, (4, 4), 2.5, size=9, counts=20_000))
    error = (drift.shifts + path)[~drift.replaced]
    assert np.sqrt(((error - np.median(error, axis=0)) ** 2).mean()) < 0.2


def test_a_large_lazy_stack_is_measured_on_its_densest_window(make_phantom, monkeypatch):
    phantom = make_phantom(552, ramp_px=4.0)
    values = np.random.default_rng(0).poisson(400, (24, 200, 300)).astype(np.float32)
    values[:, 90:170, 150:230] = phantom.stack.values / phantom.i0[:, None, None] * 400
    reads = []

    def read(block):
        reads.append(block.shape)
        return block

    import dask.array as da

    lazy = da.from_array(values, chunks=(24, 25, 300)).map_blocks(
        read, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32)
    )
    axes = (500.0 + np.arange(24), np.arange(200), np.arange(300))
    stack = build(lazy, *axes, quantity="counts")
    whole = measure_drift(stack.compute())
    monkeypatch.setattr(blocks, "memory_limit", lambda: 4 * 24 * 100 * 100)
    monkeypatch.setattr(drift_module, "WINDOW_SHARE", 1.0)
    reads.clear()
    drift = measure_drift(stack)
    assert len(reads) <= 8 + 5  # once to find the window, then the window's rows
    budget = 4 * 24 * 100 * 100
    rows, columns = densest_window(stack, slice(0, 200), slice(0, 300), budget)
    assert 4 * 24 * (rows.stop - rows.start) * (columns.stop - columns.start) <= 4 * 24 * 10_000
    seen = values[:, rows, columns]
    part = build(seen, axes[0], axes[1][rows], axes[2][columns], quantity="counts")
    same = measure_drift(part)
    np.testing.assert_array_equal(drift.shifts, same.shifts)
    np.testing.assert_array_equal(drift.quality, same.quality)
    assert drift.reference == same.reference
    apart = drift.shifts - whole.shifts
    assert np.abs(apart - np.median(apart, axis=0)).max() < 0.2
    assert phantom.rms_px(drift.shifts) < 0.09


def test_a_lazy_stack_that_fits_is_as_one_in_memory(make_phantom):
    stack = make_phantom(553, n_energy=8).stack
    np.testing.assert_array_equal(
        measure_drift(stack.chunk({"y": 20})).shifts, measure_drift(stack).shifts
    )


def test_an_unknown_motion_is_refused(make_phantom):
    with pytest.raises(FitError, match="motion is 'projective'"):
        measure_drift(make_phantom(530, n_energy=6).stack, motion="projective")


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


def test_turning_is_about_the_centre_of_the_image_also_with_a_region(make_phantom):
    """Frames turned by up to 2° with the sample; the region lies off the centre."""
    still = make_phantom(564, n_energy=5, n_materials=1, counts=4000, wander_px=0.0, noisy=False)
    random = np.random.default_rng(0)
    angles = np.deg2rad(np.linspace(-1.0, 1.0, 5))
    centre = np.full(2, 39.5)
    frames = []
    for angle, frame in zip(angles, still.stack.values, strict=True):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turned = ndimage.affine_transform(
            frame.astype(float), turn, centre - turn @ centre, order=5, mode="nearest"
        )
        frames.append(random.poisson(turned))
    stack = with_values(still.stack, frames)
    region = Region(x=(0.3, 3.0), y=(0.9, 3.9))
    for part in (None, region):
        drift = measure_drift(stack, region=part, motion="rigid", reference=2)
        found = np.arctan2(drift.linear[:, 1, 0], drift.linear[:, 0, 0])
        np.testing.assert_allclose(found, angles - angles[2], atol=0.004)
        assert np.abs(drift.shifts).max() < 0.25
        assert drift.shape == (80, 80)
