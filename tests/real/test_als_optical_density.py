"""Optical density, noise and drift of the ALS Fe 2p stack, whose I0 file has another unit."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.errors import ChemoscapeWarning
from chemoscape.formats import open_stack
from chemoscape.preprocess.absorbance import optical_density, sample_mask
from chemoscape.preprocess.beam.background import describe, find_background
from chemoscape.preprocess.beam.incident import find_incident
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


def test_naive_background_and_its_correction(als, stack, background, reach):
    with pytest.warns(ChemoscapeWarning, match=r"not corrected"):
        naive = optical_density(stack, als / "i0.xsp", i0_unit="image")
    with pytest.warns(ChemoscapeWarning, match=r"per dwell of 0\.433 ms; .* 0\.837 at every"):
        corrected = optical_density(stack, als / "i0.xsp")
    inside = background.values
    before = naive.optical_density.values[:, inside].mean(axis=1)
    after = corrected.optical_density.values[:, inside].mean(axis=1)
    assert before.mean() == pytest.approx(0.837, abs=0.003)
    what = "largest optical density of empty background after the unit's correction"
    reach("noise model", what, np.abs(after).max(), most=0.005)
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


def test_the_background_is_a_plateau_and_not_a_range_of_thickness(stack, background):
    """A limit on the mean optical density takes thin sample with the background: the mean of all
    below 0.05 is 0.009, of which the background has 0.000 and the rest 0.017.
    """
    mean = optical_density(stack).optical_density.mean("energy").values
    below, inside = mean < 0.05, background.values
    assert mean[below].mean() == pytest.approx(0.009, abs=0.001)
    assert abs(mean[inside].mean()) < 0.001
    assert mean[below & ~inside].mean() == pytest.approx(0.017, abs=0.002)
    assert inside.sum() > 3000
    assert describe(background).startswith(f"{inside.sum()} pixels (20 % of the image)")


def test_the_authors_i0_fits_within_its_noise(als, stack):
    with pytest.warns(ChemoscapeWarning) as caught:
        find_incident(stack, als / "i0.xsp", unit="auto", dark=0.0)
    assert ["unit mismatch corrected" in str(one.message) for one in caught] == [True]


def test_an_i0_with_structure_that_the_beam_has_not_is_seen(als, stack):
    energy, per_ms = np.loadtxt(als / "i0.xsp", usecols=(0, 1)).T
    grown = per_ms * np.exp(0.03 * np.exp(-(((energy - 712) / 1.0) ** 2)))
    with pytest.warns(ChemoscapeWarning, match=r"largest at 71[12]\.\d\d eV, \+0\.0[23]"):
        find_incident(stack, (energy, grown), unit="per_ms", dark=0.0)


def test_frame_0_scatters_as_ten_counts_per_unit(stack, background):
    """Neighbours differ by Poisson's noise; over the field the beam wanders by 1 % on top."""
    frame = stack.values[0].astype(float)
    pairs = background.values[:, 1:] & background.values[:, :-1]
    level = frame[background.values].mean()
    neighbours = ((frame[:, 1:] - frame[:, :-1])[pairs] ** 2).mean() / 2
    assert neighbours / (level / 10) == pytest.approx(1.0, abs=0.1)
    whole = frame[background.values].var()
    assert np.sqrt(whole - neighbours) / level == pytest.approx(0.01, abs=0.005)


def test_the_only_raw_frame_gives_the_counter_divider(stack, background, reach):
    for frames in (stack, stack.isel(energy=slice(0, 1))):
        g, _ = measure_noise(frames, background)
        what = "counts per unit of ALS frame 0, known 10"
        reach("noise model", what, g, within=(9.0, 11.0))
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
