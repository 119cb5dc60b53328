"""Optical density, noise and drift of the ALS Fe 2p stack, whose I0 file has another unit."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.errors import ChemoscapeWarning
from chemoscape.formats import open_stack
from chemoscape.preprocess.absorbance import optical_density, sample_mask
from chemoscape.preprocess.background import find_background
from chemoscape.preprocess.noise import measure_noise

pytestmark = pytest.mark.filterwarnings(
    "ignore:the noise of adjacent pixels:chemoscape.errors.ChemoscapeWarning",
    "ignore:optical density exceeds:chemoscape.errors.ChemoscapeWarning",
)


@pytest.fixture(scope="module")
def stack(als):
    return open_stack(als)


@pytest.fixture(scope="module")
def background(stack):
    return find_background(stack)


def test_naive_background_and_its_correction(als, stack, background):
    with pytest.warns(ChemoscapeWarning, match=r"not corrected"):
        naive = optical_density(stack, als / "i0.xsp", i0_unit="image")
    with pytest.warns(ChemoscapeWarning, match=r"per dwell of 0\.433 ms; .* 0\.837 at every"):
        corrected = optical_density(stack, als / "i0.xsp")
    inside = background.values
    before = naive.optical_density.values[:, inside].mean(axis=1)
    after = corrected.optical_density.values[:, inside].mean(axis=1)
    assert before.mean() == pytest.approx(0.837, abs=0.003)
    assert np.abs(after).max() < 0.005
    assert "multiplied by 0.433" in corrected.attrs["units_correction"]
    said = optical_density(stack, als / "i0.xsp", i0_unit="per_ms")
    np.testing.assert_allclose(said.optical_density, corrected.optical_density, atol=1e-6)


def test_automatic_i0_agrees_with_the_authors(als, stack, background):
    od = optical_density(stack)
    level = od.optical_density.values[:, background.values].mean(axis=1)
    assert np.abs(level).max() < 0.005
    energy, per_ms = np.loadtxt(als / "i0.xsp", usecols=(0, 1)).T
    ratio = od.i0.values / (0.433 * np.interp(stack.energy, energy, per_ms))
    np.testing.assert_allclose(ratio, 1.0, atol=0.005)
    assert od.attrs["units_correction"] == ""


def test_the_only_raw_frame_gives_the_counter_divider(stack, background):
    for frames in (stack, stack.isel(energy=slice(0, 1))):
        g, _ = measure_noise(frames, background)
        assert g == pytest.approx(10, abs=1)
    _, correlation = measure_noise(stack, background)
    assert correlation > 0.15


def test_interpolated_frames_are_said(stack):
    with pytest.warns(ChemoscapeWarning, match="already interpolated"):
        od = optical_density(stack)
    assert (od.attrs["noise_counts_per_unit"], od.attrs["noise_source"]) == (10.0, "header")


def test_sample_is_where_the_authors_saw_it(als, stack):
    lines = (als / "mask_file.msk").read_text().splitlines()
    theirs = np.array([[mark != " " for mark in line.ljust(125)[:125]] for line in lines])
    ours = sample_mask(optical_density(stack)).values
    assert (ours & theirs).sum() / theirs.sum() > 0.9
