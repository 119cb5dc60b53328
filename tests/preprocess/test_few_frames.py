"""Drift of two to five images at ten nanometres, as ptychography records them."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage

from chemoscape import simulate
from chemoscape.errors import FitError
from chemoscape.preprocess.drift import measure_drift
from chemoscape.preprocess.tracking.motion import register_recursively
from chemoscape.recipe.sections.preparation import Drift as DriftSection
from chemoscape.stack import build

SIZE = 160
#: Absorption of core and shell: before the edge, two features, after the edge.
ABSORPTION = {
    510.0: (0.18, 0.18),
    516.8: (0.9, 0.55),
    518.2: (1.3, 0.7),
    519.4: (0.7, 1.2),
    555.0: (0.6, 0.6),
}
ENERGIES = {2: (510.0, 518.2), 3: (510.0, 518.2, 555.0), 5: tuple(ABSORPTION)}


def fragments(y, x, seed):
    """Thickness of the cores and of the shells of two wire fragments in an empty field."""
    random = np.random.default_rng(seed)
    cores, total = np.zeros_like(y), np.zeros_like(y)
    for k in range(2):
        cy, cx = SIZE * random.uniform(0.4, 0.6), SIZE * (0.35 + 0.3 * k)
        angle = random.uniform(0.9, 1.9)
        length, width = SIZE * random.uniform(0.15, 0.22), SIZE * random.uniform(0.05, 0.08)
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
        wavy = width * (1 + 0.12 * np.sin(along / 9 + k))
        rod = (1 + np.tanh(length - abs(along))) * (1 + np.tanh(wavy - abs(across))) / 4
        core = np.exp(-((across / (0.45 * width)) ** 2)) + 0.6 * np.exp(
            -((along - length) ** 2) / 36
        )
        cores += rod * core.clip(max=1)
        total += rod
    return cores, total - cores


def images(n, seed, *, photons=500, faint=1.0, background=0.0, field=False):
    """A stack of n images, each computed where it lies, and how far each has moved (n, 2)."""
    random = np.random.default_rng(900 + seed)
    energy = np.array(ENERGIES[n])
    moved = random.uniform(-15, 15, (n, 2))
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    inside = 1 / (1 + np.exp((np.hypot(y - SIZE / 2, x - SIZE / 2) / (SIZE / 2) - 0.98) / 0.03))
    frames = []
    for one, (dy, dx) in zip(energy, moved, strict=True):
        core, shell = fragments(y - dy, x - dx, seed)
        before = faint if one < 515 else 1.0
        density = before * (ABSORPTION[one][0] * core + ABSORPTION[one][1] * shell)
        slow = ndimage.gaussian_filter(random.normal(size=density.shape), SIZE / 12, mode="wrap")
        density += background * slow / slow.std()
        counts = random.poisson(photons * np.exp(-density)).astype(float)
        if field:  # a reconstruction knows nothing beyond the scan
            beyond = ndimage.gaussian_filter(random.normal(size=density.shape), 2)
            counts = inside * counts + (1 - inside) * photons * abs(0.5 + 2.4 * beyond)
        frames.append(counts)
    axis = 0.01 * np.arange(SIZE)
    return build(np.array(frames), energy, axis, axis, quantity="counts"), moved


def error_px(shifts, moved):
    """Standard deviation of the error of n shifts to apply, per axis."""
    error = shifts + moved
    return float(np.sqrt(((error - error.mean(axis=0)) ** 2).sum() / (2 * (len(error) - 1))))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_fixed_frame_is_better_than_a_chain(n):
    fixed, chained = [], []
    for seed in range(3):
        stack, moved = images(n, seed)
        fixed.append(error_px(measure_drift(stack).shifts, moved))
        drift = measure_drift(stack, method="recursive")
        chained.append(error_px(drift.shifts, moved))
    assert np.max(fixed) < 0.12
    assert np.median(fixed) < np.median(chained) < 0.4


def test_recursive_translations_are_those_of_the_chain():
    stack, _ = images(3, 7)
    drift = measure_drift(stack, method="recursive", reference=1)
    whole = np.ones(stack.shape, dtype=bool)
    shifts, _, quality = register_recursively(stack.values, whole, 1, "translation")
    np.testing.assert_allclose(drift.shifts, shifts)
    np.testing.assert_allclose(drift.quality, quality)
    assert drift.linear is None


def test_slow_backgrounds_of_reconstructions_do_little():
    errors = [
        error_px(measure_drift(stack).shifts, moved)
        for stack, moved in (images(3, seed, photons=100, background=0.05) for seed in range(3))
    ]
    assert max(errors) < 0.3


@pytest.mark.parametrize("n", [2, 3])
def test_a_faint_frame_is_found_by_its_optical_density(n):
    """At 100 photons its edges (OD 0.04) are lost, so that correlating them finds nothing."""
    for seed in range(3):
        stack, moved = images(n, seed, photons=100, faint=0.22)
        drift = measure_drift(stack)
        assert error_px(drift.shifts, moved) < 1.0
        assert not drift.replaced.any()


def test_a_field_that_stands_still_does_not_hold_the_sample():
    for seed, n in enumerate((2, 3, 5)):
        stack, moved = images(n, seed, field=True)
        with pytest.warns(UserWarning, match="border of the field"):
            drift = measure_drift(stack)
        assert error_px(drift.shifts, moved) < 0.15


def test_a_region_is_kept_to():
    stack, moved = images(3, 4, field=True)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    drift = measure_drift(stack, region=np.hypot(y, x) < 0.42 * SIZE)
    assert error_px(drift.shifts, moved) < 0.15


def test_images_that_jump_are_not_drawn_to_their_neighbours():
    stack, moved = images(5, 2, photons=2000)
    drift = measure_drift(stack)
    assert np.abs(np.diff(moved, axis=0)).max() > 10
    assert error_px(drift.shifts, moved) < 0.06


def test_contradictions_are_refused():
    stack, _ = images(2, 0)
    with pytest.raises(FitError, match="measures translations"):
        measure_drift(stack, motion="rigid", method="fixed")
    with pytest.raises(FitError, match="method is 'chain'"):
        measure_drift(stack, method="chain")
    with pytest.raises(ValidationError, match="measures translations"):
        DriftSection(motion="affine", method="fixed")
    assert DriftSection().method is None


def test_a_sample_that_fills_the_field_is_not_held_back_by_its_border():
    """Four fifths of the field wide: near the border edges count less, which hid a tenth of the
    shift.
    """
    offsets = np.array([(0.0, 0.0), (1.7, -2.3), (-1.2, 3.4)])
    images = [
        simulate.core_shell(
            shape=(54, 72), offset_px=tuple(offset), energy=[518.0], poisson=True, seed=k
        ).stack.values[0]
        for k, offset in enumerate(offsets)
    ]
    y, x = (np.arange(n) * 0.04 for n in (54, 72))
    frames = build(np.stack(images), [517.0, 518.0, 519.0], y, x, quantity="counts")
    shifts = measure_drift(frames).shifts
    assert np.abs(shifts - shifts[0] + offsets).max() < 0.06
