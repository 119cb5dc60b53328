"""Rescaling keeps the field where it is; the channels do not depend on gain or offset."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.particles.scaling import KNEE, normalised, rescaled

SHAPES = [(60, 80), (30, 40), (15, 20), (120, 160), (45, 50), (97, 133)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_constant_stays(shape):
    image = rescaled(np.full((60, 80), 0.7), shape)
    assert image.shape == shape
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, 0.7, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_ramp_has_its_own_value_at_every_new_pixel_centre(shape):
    """Inside, that is: the border is continued as a constant."""
    y, x = (np.arange(60) + 0.5)[:, None], (np.arange(80) + 0.5)[None, :]
    image = rescaled(2 * y - x, shape)
    rows = ((np.arange(shape[0]) + 0.5) * 60 / shape[0])[:, None]
    columns = ((np.arange(shape[1]) + 0.5) * 80 / shape[1])[None, :]
    inside = (abs(rows - 30) < 22) & (abs(columns - 40) < 32)
    assert inside.sum() > 30
    np.testing.assert_allclose(image[inside], (2 * rows - columns)[inside], atol=2e-5)


def test_the_same_number_of_pixels_changes_nothing():
    image = np.random.default_rng(1).random((11, 13)).astype(np.float32)
    np.testing.assert_array_equal(rescaled(image, (11, 13)), image)


def centroid(image):
    """Centre of mass as shares of the field."""
    rows, columns = ((np.arange(size) + 0.5) / size for size in image.shape)
    return np.array([image.sum(1) @ rows, image.sum(0) @ columns]) / image.sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_blob_keeps_its_place_and_its_area(shape):
    y, x = np.mgrid[:60, :80] + 0.5
    blob = np.exp(-((y - 24.3) ** 2 + (x - 41.7) ** 2) / (2 * 6**2))
    image = rescaled(blob, shape)
    np.testing.assert_allclose(centroid(image), [24.3 / 60, 41.7 / 80], atol=2e-5)
    assert image.mean() == pytest.approx(blob.mean(), rel=1e-4)


@pytest.mark.parametrize("factor", [1.5, 2, 3, 4])
def test_up_and_down_again_gives_a_smooth_image_back(factor):
    x = np.arange(64) + 0.5
    image = np.cos(2 * np.pi * x / 24)[:, None] * np.sin(2 * np.pi * x / 16)[None, :]
    size = int(64 * factor)
    back = rescaled(rescaled(image, (size, size)), (64, 64))
    np.testing.assert_allclose(back[4:-4, 4:-4], image[4:-4, 4:-4], atol=0.04)


def test_noise_is_averaged_when_pixels_become_fewer():
    """Interpolation alone would keep the spread of the pixels it meets."""
    noise = np.random.default_rng(2).normal(0, 1, (256, 256))
    assert rescaled(noise, (64, 64)).std() < 0.35


def test_the_channels_ignore_gain_and_offset():
    image = np.random.default_rng(3).gamma(2, 0.3, (40, 50))
    np.testing.assert_allclose(normalised(5 * image - 2), normalised(image), atol=1e-5)


def test_the_channels_are_what_their_formula_says():
    image = np.linspace(-1, 1, 2001).reshape(3, 667)
    low, high = np.percentile(image, [5, 99.5])
    linear, compressed = normalised(image)
    z = (image - low) / (high - low)
    np.testing.assert_allclose(linear, z, atol=1e-6)
    np.testing.assert_allclose(np.sinh(compressed * np.arcsinh(1 / KNEE)) * KNEE, z, atol=1e-5)


def test_the_channels_are_clipped_and_finite():
    image = np.zeros((50, 50))
    image[:10] = np.random.default_rng(4).random((10, 50))
    image[0, 0], image[0, 1] = 1e6, -1e6
    channels = normalised(image)
    assert channels.dtype == np.float32
    assert channels.shape == (2, 50, 50)
    assert channels[0].max() == 1.5
    assert channels[0].min() == -0.5
    assert abs(channels[1]).max() == 1.5
    np.testing.assert_array_equal(normalised(np.full((5, 5), 3.0)), 0)
