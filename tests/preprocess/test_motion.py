"""Rotation, scaling and shift of frames that were computed from a formula, nowhere interpolated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import erfc

from chemoscape.errors import FitError
from chemoscape.preprocess.drift import measure_drift
from chemoscape.preprocess.tracking.motion import register_recursively
from chemoscape.stack import build


def rods(y, x, seed, size):
    """Optical density of crossing rods with soft edges."""
    random = np.random.default_rng(seed)
    density = np.zeros_like(y)
    for _ in range(8):
        cy, cx = random.uniform(0.1 * size, 0.9 * size, 2)
        angle = random.uniform(0, np.pi)
        length, width = random.uniform(0.08, 0.28) * size, random.uniform(2.5, 0.09 * size)
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
        rod = erfc((abs(along) - length) / 2) * erfc((abs(across) - width) / 2) / 4
        density += random.uniform(0.3, 1) * rod
    return density


@dataclass(frozen=True)
class Scene:
    """Frames, and the motion to apply to each: in(q) = scene(c + linear (q - c) + shift)."""

    frames: np.ndarray
    shifts: np.ndarray
    linear: np.ndarray
    reference: int

    @property
    def weights(self):
        return np.ones(self.frames.shape)

    def register(self, motion, **changed):
        given = {"frames": self.frames, "weights": self.weights} | changed
        return register_recursively(given["frames"], given["weights"], self.reference, motion)

    def error_px(self, shifts, linear):
        """Per frame, rms over the pixels of how far off each is taken from where it should be."""
        size = self.frames.shape[1]
        y, x = np.mgrid[:size, :size] - (size - 1) / 2
        place = np.stack([y.ravel(), x.ravel()])
        found = np.linalg.inv(linear) @ (place - shifts[:, :, None])
        true = np.linalg.inv(self.linear) @ (place - self.shifts[:, :, None])
        return np.sqrt(((found - true) ** 2).sum(axis=1).mean(axis=1))

    def error_degrees(self, linear):
        return np.abs(angle(linear) - angle(self.linear))


def angle(linear):
    return np.rad2deg(
        np.arctan2(linear[:, 1, 0] - linear[:, 0, 1], linear[:, 0, 0] + linear[:, 1, 1])
    )


def make(motion, seed, *, n=7, size=160, counts=1000, wander_px=0.4, contrast=True):
    """A scene whose contrast triples on the way, as across an absorption edge."""
    random, reference = np.random.default_rng(1000 + seed), n // 2

    def walk(step, *shape):
        path = random.normal(0, step, (n, *shape)).cumsum(axis=0)
        return path - path[reference]

    shifts, theta = walk(wander_px, 2), np.deg2rad(walk(0.25))
    growth, shear = walk(2e-3), walk(2e-3)
    theta *= motion != "translation"
    growth *= motion in ("similarity", "affine")
    shear *= motion == "affine"
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    skew = np.array([[np.ones(n), shear], [np.zeros(n), 1 - shear / 2]])
    linear = np.exp(growth)[:, None, None] * np.einsum("abn,bcn->nac", turn, skew)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    place, centre = np.stack([y, x]), (size - 1) / 2
    strength = 0.4 + 0.8 / (1 + np.exp(-np.linspace(-4, 4, n))) if contrast else np.ones(n)
    frames = [
        random.poisson(
            counts
            * np.exp(-a * rods(*(np.einsum("ab,byx->ayx", m, place) + s[:, None, None] + centre),
                               seed, size))
        )
        for a, m, s in zip(strength, linear, shifts, strict=True)
    ]  # fmt: skip
    return Scene(np.array(frames, dtype=np.float32), shifts, linear, reference)


@pytest.mark.parametrize("motion", ["translation", "rigid", "similarity", "affine"])
def test_motion_is_recovered(motion):
    """At 1000 counts and with changing contrast, three steps either way, rms over the frames."""
    errors, degrees, scales = [], [], []
    for seed in range(3):
        scene = make(motion, seed)
        shifts, linear, quality = scene.register(motion)
        errors.append(scene.error_px(shifts, linear))
        degrees.append(scene.error_degrees(linear))
        scales.append(np.sqrt(np.linalg.det(linear)) - np.sqrt(np.linalg.det(scene.linear)))
        assert quality.min() > 0.98
        np.testing.assert_array_equal(shifts[scene.reference], 0)
        np.testing.assert_array_equal(linear[scene.reference], np.eye(2))
        assert np.abs(angle(scene.linear)).max() > 0.3 or motion == "translation"
    assert np.sqrt(np.mean(np.square(errors))) < 0.05
    assert np.sqrt(np.mean(np.square(degrees))) < 0.03
    assert np.sqrt(np.mean(np.square(scales))) < 5e-4
    assert np.max(degrees) < 0.1


def test_a_translation_does_not_turn():
    scene = make("rigid", 5, n=3, size=96)
    _, linear, _ = scene.register("translation")
    np.testing.assert_array_equal(linear, np.tile(np.eye(2), (3, 1, 1)))
    _, linear, _ = scene.register("rigid")
    np.testing.assert_allclose(np.linalg.det(linear), 1, atol=1e-12)


def test_noise_does_not_scale_frames_up():
    """At 30 counts slopes taken of one image only would scale by 0.004 per frame."""
    scales = []
    for seed in range(12):
        scene = make("rigid", seed, n=2, size=96, counts=30, contrast=False)
        _, linear, _ = scene.register("similarity")
        scales.append(np.sqrt(np.linalg.det(linear[0])))
    assert abs(np.mean(scales) - 1) < 3 * np.std(scales) / np.sqrt(len(scales)) < 0.004


def test_contrast_may_reverse():
    scene = make("rigid", 3, size=128)
    frames = scene.frames.copy()
    frames[4:] = 1400 - frames[4:]
    shifts, linear, quality = scene.register("rigid", frames=frames)
    assert scene.error_px(shifts, linear).max() < 0.1
    assert quality.min() > 0.9


def test_some_particles_may_turn_from_bright_to_dark():
    """In frame 3 half of the rods do: optical densities are then unlike, their edges are not."""
    size, n = 128, 5
    random, scene = np.random.default_rng(0), make("rigid", 0, n=n, size=size)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    frames = []
    for i, (matrix, shift) in enumerate(zip(scene.linear, scene.shifts, strict=True)):
        at = np.einsum("ab,byx->ayx", matrix, np.stack([y, x])) + shift[:, None, None]
        one, other = (rods(*(at + (size - 1) / 2), seed, size) for seed in (1, 2))
        density = 0.8 + 0.5 * one + (0.5 if i >= 3 else -0.5) * other
        frames.append(random.poisson(1000 * np.exp(-density)))
    one, other = (np.log(np.array(frames[k], float).ravel()) for k in (2, 3))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.2
    shifts, linear, quality = scene.register("rigid", frames=np.array(frames))
    assert scene.error_px(shifts, linear).max() < 0.25
    assert quality[3] > 0.5


def test_a_jump_of_the_stage_is_followed():
    scene = make("translation", 3, size=128)
    frames = scene.frames.copy()
    frames[5:] = np.roll(frames[5:], (-14, 19), axis=(1, 2))
    weights = scene.weights
    weights[5:, -14:] = 0
    weights[5:, :, :19] = 0
    scene.shifts[5:] += (14, -19)
    shifts, linear, _ = scene.register("rigid", frames=frames, weights=weights)
    assert scene.error_px(shifts, linear).max() < 0.15


@pytest.mark.parametrize("level", [0.0, 2.0])
def test_a_lost_frame_keeps_its_neighbours_motion_and_is_passed_over(level):
    scene = make("rigid", 4, size=96)
    frames = scene.frames.copy()
    frames[4] = np.random.default_rng(0).poisson(level, frames[4].shape)
    shifts, linear, quality = scene.register("rigid", frames=frames)
    assert quality[4] < 0.2
    np.testing.assert_array_equal(shifts[4], shifts[3])
    assert np.delete(scene.error_px(shifts, linear), 4).max() < 0.15


def test_pixels_without_weight_do_not_count():
    scene = make("rigid", 6, size=128)
    frames, weights = scene.frames.copy(), scene.weights
    frames[:, :, :35] = np.random.default_rng(1).poisson(700, frames[:, :, :35].shape)
    frames[:, 60:64, :] = 0
    weights[:, :, :35] = weights[:, 60:64, :] = 0
    shifts, linear, _ = scene.register("rigid", frames=frames, weights=weights)
    assert scene.error_px(shifts, linear).max() < 0.15


def test_counts_in_another_unit_and_frames_in_reverse_give_the_same():
    scene = make("similarity", 7, n=5, size=96)
    shifts, linear, _ = scene.register("similarity")
    scaled = register_recursively(1e-3 * scene.frames, scene.weights, 2, "similarity")
    np.testing.assert_allclose(scaled[0], shifts, atol=1e-4)
    turned = register_recursively(scene.frames[::-1], scene.weights, 2, "similarity")
    np.testing.assert_allclose(turned[0][::-1], shifts, atol=1e-12)
    np.testing.assert_allclose(turned[1][::-1], linear, atol=1e-12)


@pytest.mark.parametrize("motion", ["translation", "affine"])
def test_without_contrast_nothing_moves(motion):
    flat = np.full((3, 30, 30), 100.0, dtype=np.float32)
    shifts, linear, quality = register_recursively(flat, np.ones(flat.shape), 1, motion)
    assert not shifts.any()
    np.testing.assert_array_equal(linear, np.tile(np.eye(2), (3, 1, 1)))
    np.testing.assert_array_equal(quality, [0, 1, 0])
    one = register_recursively(flat[:1], np.ones((1, 30, 30)), 0, motion)
    np.testing.assert_array_equal(one[2], [1])


def test_motions_that_there_are():
    with pytest.raises(FitError, match="motion is 'bend'; give one of 'translation', 'rigid'"):
        register_recursively(np.ones((2, 9, 9)), np.ones((2, 9, 9)), 0, "bend")


def test_a_chain_of_neighbours_accumulates_error_and_one_fixed_reference_does_not():
    """60 frames without contrast of another kind: what is left over from frame to frame adds up."""
    chained, fixed = [], []
    for seed in range(3):
        scene = make("translation", seed, n=60, size=64, counts=200, wander_px=0.15)
        n, ny, nx = scene.frames.shape
        stack = build(
            scene.frames, 500.0 + np.arange(n), np.arange(ny), np.arange(nx), quantity="counts"
        )
        found = [
            (chained, scene.register("translation")[0]),
            (fixed, measure_drift(stack, reference=scene.reference).shifts),
        ]
        for errors, shifts in found:
            error = shifts - scene.shifts
            errors.append(error - np.median(error, axis=0))
    rms = [np.sqrt(np.mean(np.square(errors))) for errors in (chained, fixed)]
    assert rms[0] > 1.2 * rms[1]
    # along the chain the error wanders: far from the reference it is larger than near to it
    spread = np.sqrt(np.mean(np.square(chained), axis=(0, 2)))
    assert np.r_[spread[:15], spread[-15:]].mean() > 1.2 * spread[20:40].mean()
