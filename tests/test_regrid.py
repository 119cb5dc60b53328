"""Images on other pixels: exact for what a cubic follows, and means where pixels grow."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.errors import StackError
from chemoscape.regrid import centred, common_grid, noise_gain, regrid, regrid_wave

Y, X = 3 + 0.010 * np.arange(40), 7 + 0.008 * np.arange(50)
TO_Y, TO_X = 3.05 + 0.0115 * np.arange(20), 7.03 + 0.011 * np.arange(25)


def cubic(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A polynomial of the third degree along both axes."""
    v, u = 20 * (y[:, None] - 3.2), 20 * (x - 7.2)
    return 1 + v - 2 * u + v * u**2 + v**3 - 3 * u**3 * v**2


@pytest.mark.parametrize("scale", [1.0, 1 + 2j])
def test_cubics_are_exact_to_the_border(scale: complex) -> None:
    for to_y in (TO_Y, Y[:1] + 1e-3, Y[0] + 0.013 * np.arange(31)):
        moved = regrid(scale * cubic(Y, X), Y, X, to_y, TO_X)
        np.testing.assert_allclose(moved, scale * cubic(to_y, TO_X), rtol=0, atol=1e-9)


def test_band_limited_image() -> None:
    """A wave of 8 pixels per period, known everywhere: cubic splines err by (f/2)^4 or so."""
    rate = 2 * np.pi / 0.08
    image = np.sin(rate * Y)[:, None] + np.cos(rate * X)
    truth = np.sin(rate * TO_Y)[:, None] + np.cos(rate * TO_X)
    assert np.abs(regrid(image, Y, X, TO_Y, TO_X) - truth).max() < 2 * (np.pi / 8) ** 4


def test_constants_stay() -> None:
    for to in (TO_X, 7.1 + 0.03 * np.arange(9)):
        moved = regrid(np.full((3, 40, 50), 0.7, dtype=np.float32), Y, X, TO_Y, to)
        assert moved.dtype == np.float32
        assert moved.shape == (3, 20, to.size)
        np.testing.assert_allclose(moved, 0.7, rtol=1e-6)


def test_old_pixels_are_copied() -> None:
    image = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    np.testing.assert_array_equal(regrid(image, Y, X, Y[3:30], X[5:]), image[3:30, 5:])
    wave = (image + 1j).astype(np.complex64)
    np.testing.assert_array_equal(regrid_wave(wave, Y, X, Y[3:30], X), wave[3:30])


def test_larger_pixels_are_means_over_their_area() -> None:
    image = np.random.default_rng(1).normal(size=(40, 48))
    y, x = Y, X[:48]
    to_y, to_x = y.reshape(-1, 4).mean(axis=1), x.reshape(-1, 3).mean(axis=1)
    blocks = image.reshape(10, 4, 16, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(regrid(image, y, x, to_y, to_x), blocks, atol=1e-12)
    # where the borders do not coincide: the integral of a smooth function, not its value
    half = 0.025 / 2
    at = 7.05 + 0.025 * np.arange(10)
    moved = regrid(np.cos(30 * X)[None] * np.ones((4, 1)), Y[:4], X, Y[:4], at)
    fine = (np.sin(30 * (at + half)) - np.sin(30 * (at - half))) / 30 / 0.025
    own = np.sinc(30 * 0.004 / np.pi)  # the values of pixels are taken for means as well
    assert np.abs(moved - fine / own).max() < 1e-4


def test_noise_gain_is_that_of_noise() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(400, 40, 50))
    for to_x in (TO_X, 7.03 + 0.02 * np.arange(15), X[3:-3]):
        found = float(regrid(noise, Y, X, TO_Y, to_x).var())
        assert noise_gain(Y, X, TO_Y, to_x) == pytest.approx(found, rel=0.02)
    assert noise_gain(Y, X, Y[2:], X) == 1


def test_missing_pixels_spread_to_their_neighbours_only() -> None:
    image = cubic(Y, X)
    image[20, 30] = np.nan
    moved = regrid(image, Y, X, TO_Y, TO_X)
    near = (np.abs(TO_Y - Y[20]) < 0.010)[:, None] & (np.abs(TO_X - X[30]) < 0.008)
    np.testing.assert_array_equal(np.isnan(moved), near)
    means = regrid(image, Y, X, Y, 7.03 + 0.024 * np.arange(14))
    touched = np.abs(7.03 + 0.024 * np.arange(14) - X[30]) < (0.024 + 0.008) / 2
    np.testing.assert_array_equal(np.isnan(means[20]), touched)
    assert np.isfinite(means[19]).all()
    assert np.isnan(regrid(np.full((40, 50), np.nan), Y, X, TO_Y, TO_X)).all()


def test_outside_the_field_is_nan() -> None:
    to_y, to_x = 2.98 + 0.0115 * np.arange(50), 6.99 + 0.009 * np.arange(60)
    inside = [(to >= old[0]) & (to <= old[-1]) for to, old in ((to_y, Y), (to_x, X))]
    for image in (cubic(Y, X), np.where(cubic(Y, X) > 1e9, np.nan, 1.0)):
        moved = regrid(image, Y, X, to_y, to_x)
        np.testing.assert_array_equal(np.isfinite(moved), inside[0][:, None] & inside[1])
    assert np.isnan(regrid(np.ones((1, 50)), Y[:1], X, Y[:1] + 0.05, X)).all()
    assert np.isnan(regrid(np.ones((40, 50)), Y, X, Y + 9, X)).all()


def test_common_grid_is_of_the_coarsest_pixel_and_seen_by_all() -> None:
    coarse = 2.90 + 0.012 * np.arange(60)
    y, x = common_grid([(Y, X), (coarse, X + 0.1)])
    assert set(y) <= set(coarse)
    np.testing.assert_allclose(np.diff(x), 0.008)
    for field in ((Y, X), (coarse, X + 0.1)):
        assert np.isfinite(regrid(np.ones((len(field[0]), 50)), *field, y, x)).all()
    assert y[0] - 0.012 - 0.006 < Y[0] - 0.005  # one more would stick out
    assert y[-1] + 0.012 + 0.006 > Y[-1] + 0.005
    with pytest.raises(StackError, match="the 2 images share no pixel"):
        common_grid([(Y, X), (Y, X + 1)])


def test_centred_fields() -> None:
    fields = centred([(Y, X), (Y[:-3], X[:-6] - 5), (Y, 0.5 * X)])
    for _, x in fields:
        assert abs(x[0] + x[-1]) < 1e-12
    np.testing.assert_allclose(fields[1][0] / 0.01 % 1, fields[0][0][0] / 0.01 % 1)  # one grid
    np.testing.assert_allclose(np.diff(fields[2][1]), 0.004)


def test_axes_that_do_not_fit() -> None:
    with pytest.raises(StackError, match="40 rows and 49 columns"):
        regrid(cubic(Y, X), Y, X[1:], TO_Y, TO_X)
    with pytest.raises(StackError, match="the y axis is not ascending"):
        regrid(cubic(Y, X), Y[::-1], X, TO_Y, TO_X)


@pytest.mark.parametrize("phase_per_density", [-0.5, 1.0])
def test_a_wave_is_best_interpolated_as_a_wave_without_its_ramp(phase_per_density: float) -> None:
    """Random steps seen with a resolution of two pixels, and known between the pixels."""
    fine = 0.001 * np.arange(12000)
    rng = np.random.default_rng(0)
    steps = np.searchsorted(np.sort(rng.uniform(0, 12, 240)), fine)
    density = rng.uniform(0, 1.4, 241)[steps]
    blur = np.exp(-0.5 * (np.fft.fftfreq(fine.size) * 2 * np.pi * 20 / 2.355) ** 2)
    wave = np.fft.ifft(np.fft.fft(np.exp((-0.5 + 1j * phase_per_density) * density)) * blur)
    wave = wave * np.exp(200j * fine)  # 2 rad from pixel to pixel
    row, old, new = np.arange(4.0), slice(0, None, 10), slice(97, 11900, 12)
    pixels = wave[None, old] * np.ones((4, 1))
    there = (row, fine[old], row, fine[new])
    found = {
        "wave": np.abs(regrid_wave(pixels, *there)) ** 2,
        "intensity": regrid(np.abs(pixels) ** 2, *there),
        "amplitude": regrid(np.abs(pixels), *there) ** 2,
        "wave with its ramp": np.abs(regrid(pixels, *there)) ** 2,
    }
    truth = np.log(np.abs(wave[new]) ** 2)
    error = {name: np.sqrt(((np.log(one) - truth) ** 2).mean()) for name, one in found.items()}
    assert error["wave"] < 0.002
    assert 1.1 * error["wave"] < error["amplitude"] < error["intensity"]
    assert error["intensity"] < 0.1 * error["wave with its ramp"]
    turned = np.angle(regrid_wave(pixels, *there)[0] * wave[new].conj())
    assert np.abs(turned).max() < 0.02
