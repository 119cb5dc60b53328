"""The Gaussian filter of optical densities states the variance that it leaves."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import StackError
from chemoscape.preprocess.absorbance import smooth
from chemoscape.preprocess.resample import noise_gain, shift_image

FRAMES, SIDE, SD = 400, 24, 0.05


def noise(frames):
    """Optical density of nothing but noise."""
    density = stacks.build(
        frames,
        500.0 + np.arange(len(frames)),
        0.1 * np.arange(SIDE),
        0.1 * np.arange(SIDE),
        quantity="optical_density",
    )
    return xr.Dataset({"optical_density": density, "variance": xr.full_like(density, SD**2)})


def test_stated_variance_is_the_observed_one_up_to_the_border():
    rng = np.random.default_rng(0)
    od = smooth(noise(SD * rng.normal(size=(FRAMES, SIDE, SIDE))), 1.0)
    observed = od["optical_density"].values.var(axis=0)
    stated = od["variance"].values[0]
    assert (observed / stated).mean() == pytest.approx(1.0, abs=0.02)
    border = np.ones((SIDE, SIDE), dtype=bool)
    border[1:-1, 1:-1] = False
    assert (observed / stated)[border].mean() == pytest.approx(1.0, abs=0.04)


def test_aligned_frames_share_noise_between_pixels():
    rng = np.random.default_rng(1)
    raw = SD * rng.normal(size=(FRAMES, SIDE, SIDE))
    moved = np.array([shift_image(frame, (0.5, 0.5)) for frame in raw])
    gain = float(np.atleast_1d(noise_gain(np.array([[0.5, 0.5]])))[0])
    od = noise(np.nan_to_num(moved))
    od["variance"] = od["variance"] * gain
    od = smooth(od.assign_coords(noise_gain=("energy", np.full(FRAMES, gain))), 1.0)
    inner = slice(6, -6)
    observed = od["optical_density"].values[:, inner, inner].var()
    assert observed / od["variance"].values[0, inner, inner].mean() == pytest.approx(1.0, abs=0.1)


def test_missing_pixels_stay_missing_and_a_constant_stays_constant():
    od = noise(np.full((2, SIDE, SIDE), 0.3))
    od["optical_density"][:, 5, 5:8] = np.nan
    done = smooth(od, 1.5)["optical_density"].values
    assert np.isnan(done[:, 5, 5:8]).all()
    np.testing.assert_allclose(done[np.isfinite(done)], 0.3, rtol=1e-5)


@pytest.mark.parametrize("rows", [5, 24, (2, 1, 21)])
@pytest.mark.parametrize("sigma_px", [0.6, 1.5])
def test_a_lazy_stack_gives_the_same(rows, sigma_px):
    rng = np.random.default_rng(2)
    od = noise(rng.normal(0.5, SD, (3, SIDE, SIDE)))
    od["optical_density"][:, 5, 5:8] = np.nan
    od["variance"] = od["variance"] * rng.random((3, SIDE, SIDE)).astype(np.float32)
    od = od.assign_coords(noise_gain=("energy", [1.0, 0.6, 0.8]))
    lazy = smooth(od.chunk({"y": rows}), sigma_px)
    for name in ("optical_density", "variance"):
        assert lazy[name].chunks is not None
        whole = smooth(od, sigma_px)[name]
        assert lazy[name].dtype == whole.dtype == np.float32
        np.testing.assert_allclose(lazy[name].values, whole.values, rtol=1e-6)


def test_smoothing_changes_nothing_of_its_input():
    od = noise(np.random.default_rng(3).normal(size=(2, SIDE, SIDE)))
    before = od.copy(deep=True)
    smooth(od, 1.0)
    xr.testing.assert_identical(od, before)


@pytest.mark.parametrize("sigma_px", [0.0, -1.0, np.nan])
def test_an_impossible_width(sigma_px):
    with pytest.raises(StackError, match="is impossible; give a positive number of pixels"):
        smooth(noise(np.zeros((1, SIDE, SIDE))), sigma_px)
