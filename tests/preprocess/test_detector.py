"""Dark, dead time and stray light, and the flags of what cannot be believed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tifffile
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess.absorbance import optical_density
from chemoscape.preprocess.alignment import align
from chemoscape.preprocess.density.detector_noise import counts_per_unit_of_busy
from chemoscape.preprocess.shifts import Drift
from chemoscape.region import Region
from chemoscape.stack import build

N_Y, N_X = 12, 40
ENERGY = np.array([510.0, 515.0, 520.0])
EMPTY = Region(x=(0, 19.5), y=(0, 11.5))
HALF = np.arange(N_X) < 20


def recorded(frames, **facts):
    """A stack of counts; the left half of its images is empty."""
    frames = np.broadcast_to(np.asarray(frames, dtype=float), (3, N_Y, N_X))
    return build(frames, ENERGY, range(N_Y), range(N_X), quantity="counts", **facts)


def beam_and_sample(through, beam=1000.0):
    """Counts of the beam on the left, of the beam through a sample on the right."""
    return np.where(HALF, beam, beam * through)


def density(stack, **options):
    """Mean optical density of the sample."""
    od = optical_density(stack, EMPTY, noise=1.0, **options)
    return od.optical_density.values[:, :, ~HALF].astype(float)


# ----------------------------------------------------------------------------------------- dark


def test_a_dark_is_the_same_in_all_its_forms(tmp_path):
    stack = recorded(beam_and_sample(0.5) + 30.0)
    ones = np.ones((3, N_Y, N_X))
    np.save(tmp_path / "image.npy", 30 * ones[0])
    np.save(tmp_path / "frames.npy", 30 * ones[[0, 0, 0, 0, 0]])
    tifffile.imwrite(tmp_path / "image.tif", np.full((N_Y, N_X), 30, dtype=np.uint16))
    expected = optical_density(stack, EMPTY, noise=1.0, dark=30.0)
    np.testing.assert_allclose(expected.optical_density[:, :, ~HALF], np.log(2), rtol=1e-5)
    for dark in (
        xr.DataArray(30 * ones[:, 0, 0], dims="energy", coords={"energy": ENERGY}),
        xr.DataArray(30 * ones[0], dims=("y", "x")),
        xr.DataArray(30 * ones, dims=("energy", "y", "x")),
        tmp_path / "image.npy",
        str(tmp_path / "frames.npy"),
        tmp_path / "image.tif",
    ):
        od = optical_density(stack, EMPTY, noise=1.0, dark=dark)
        for name in ("optical_density", "i0", "flag"):
            np.testing.assert_allclose(od[name], expected[name], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(od.variance, expected.variance, rtol=1e-5)


def test_a_dark_that_differs_from_pixel_to_pixel():
    pattern = 20.0 + 10 * np.random.default_rng(0).random((N_Y, N_X))
    stack = recorded(beam_and_sample(0.5) + pattern)
    assert np.ptp(density(stack, dark=25.0)) > 0.01
    dark = xr.DataArray(pattern, dims=("y", "x"))
    np.testing.assert_allclose(density(stack, dark=dark), np.log(2), rtol=1e-5)


def test_the_error_of_an_averaged_dark_enters_the_variance(tmp_path):
    frames = np.random.default_rng(0).normal(50.0, 8.0, (9, N_Y, N_X)).astype(np.float32)
    np.save(tmp_path / "dark.npy", frames)
    stack = recorded(beam_and_sample(0.1, 200.0) + 50.0)
    od = optical_density(stack, EMPTY, noise=1.0, dark=tmp_path / "dark.npy", dark_sd=3.0)
    net = stack.values[0] - frames.mean(axis=0)
    read = 9.0 + frames.var(axis=0, ddof=1).mean() / 9
    own = (stack.values[0] + read) / net**2
    i0_part = float(od.i0_variance[0] / od.i0[0] ** 2)
    np.testing.assert_allclose(od.variance[0], own + i0_part, rtol=1e-4)
    assert read == pytest.approx(9 + 64 / 9, rel=0.05)


def test_missing_pixels_of_a_dark_are_missing_and_counted():
    pattern = np.full((N_Y, N_X), 30.0)
    pattern[3, 30] = np.nan
    stack = recorded(beam_and_sample(0.5) + 30.0)
    with pytest.warns(ChemoscapeWarning, match="no value in 1 pixels"):
        od = optical_density(stack, EMPTY, noise=1.0, dark=xr.DataArray(pattern, dims=("y", "x")))
    assert np.isnan(od.optical_density.values[:, 3, 30]).all()
    assert od.attrs["n_not_positive"] == 3
    assert np.flatnonzero(od.flag.values).tolist() == [3 * N_X + 30]


@pytest.mark.parametrize(
    ("dark", "message"),
    [
        (1500.0, r"larger than all that was recorded at 3 energies, the first 510\.000 eV"),
        (xr.DataArray([1.0, 1500.0, 1.0], dims="energy"), "at 1 energies, the first 515"),
        (xr.DataArray([1.0, -2.0, 1.0], dims="energy"), "negative or not finite"),
        (xr.DataArray(np.ones(4), dims="energy"), "4 values along energy, the stack 3"),
        (xr.DataArray(np.ones((2, N_X)), dims=("y", "x")), "2 values along y"),
        (xr.DataArray(np.ones((N_X, N_Y)), dims=("x", "y")), "cannot have the dims"),
        (
            xr.DataArray(np.ones(3), dims="energy", coords={"energy": ENERGY + 1}),
            r"other energies, up to 1\.00 eV away",
        ),
    ],
)
def test_a_dark_that_cannot_serve(dark, message):
    with pytest.raises(StackError, match=message):
        optical_density(recorded(beam_and_sample(0.5)), EMPTY, dark=dark)


def test_dark_images_of_another_shape(tmp_path):
    np.save(tmp_path / "dark.npy", np.ones((N_Y + 1, N_X)))
    with pytest.raises(StackError, match=r"dark\.npy: the dark images have 13 × 40 pixels"):
        optical_density(recorded(beam_and_sample(0.5)), EMPTY, dark=tmp_path / "dark.npy")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dark_sd": -1.0}, "dark_sd of -1.0 is impossible"),
        ({"dead_time_us": np.nan}, "dead time of nan is impossible"),
        ({"stray_light": 1.0}, "stray-light fraction of 1.0 is impossible"),
        ({"stray_light": -0.1}, "stray-light fraction of -0.1 is impossible"),
    ],
)
def test_impossible_numbers(option, message):
    with pytest.raises(StackError, match=message):
        optical_density(recorded(beam_and_sample(0.5)), EMPTY, **option)


def test_hot_pixels_above_the_beam_are_said():
    pattern = np.full((N_Y, N_X), 10.0)
    pattern[5, 30:32] = 2000.0
    stack = recorded(beam_and_sample(0.5) + 10.0)
    with pytest.warns(ChemoscapeWarning, match="larger than the beam itself in 2 pixels"):
        od = optical_density(stack, EMPTY, noise=1.0, dark=xr.DataArray(pattern, dims=("y", "x")))
    assert od.attrs["n_not_positive"] == 6
    assert (od.flag.values[5, 30:32] == 4).all()


def test_a_dark_image_after_an_alignment_is_said():
    shifts = np.zeros((3, 2))
    shifts[1] = 0.5, 0.0
    drift = Drift(shifts, ENERGY, 0, np.ones(3), np.zeros(3, dtype=bool))
    moved = align(recorded(beam_and_sample(0.5) + 10.0), drift)
    with pytest.warns(ChemoscapeWarning, match="belongs to the pixels of the detector"):
        optical_density(
            moved, EMPTY, noise=1.0, dark=xr.DataArray(np.full((N_Y, N_X), 10.0), dims=("y", "x"))
        )


# ------------------------------------------------------------------------------------ dead time


def test_dead_time_is_undone():
    """2 counts per unit, 1 ms: 1000 units are 2000 counts, busy for 0.1 µs each."""
    true = beam_and_sample(np.array([0.8, 0.5, 0.25])[:, None, None])
    seen = true / (1 + 2 * true * 1e-4)
    stack = recorded(seen, attrs={"dwell_ms": 1.0})
    od = optical_density(stack, EMPTY, noise=2.0, dead_time_us=0.1)
    expected = -np.log([0.8, 0.5, 0.25])
    np.testing.assert_allclose(od.optical_density[:, 0, -1], expected, rtol=1e-5)
    np.testing.assert_allclose(od.i0, 1000.0, rtol=1e-6)
    assert od.attrs["dead_time_us"] == 0.1
    naive = optical_density(stack, EMPTY, noise=2.0)
    assert (naive.optical_density[:, 0, -1] < expected - 0.02).all()
    # the relative variance of the counts is that of the recorded ones
    np.testing.assert_allclose(od.variance, naive.variance, rtol=1e-4)
    per_frame = recorded(seen, per_energy={"dwell": [1.0, 1.0, 1.0]})
    again = optical_density(per_frame, EMPTY, noise=2.0, dead_time_us=0.1)
    np.testing.assert_array_equal(again.optical_density, od.optical_density)


def test_read_noise_is_stretched_by_dead_time():
    seen = beam_and_sample(0.5)
    stack = recorded(seen + 20.0, attrs={"dwell_ms": 1.0})
    od = optical_density(stack, EMPTY, noise=1.0, dark=20.0, dark_sd=15.0, dead_time_us=0.25)
    busy = 500.0 * 0.25e-3
    own = (520.0 + 15.0**2 / (1 - busy) ** 2) / 500.0**2
    i0_part = (1020.0 + 15.0**2 / (1 - 0.25) ** 2) / 240 / 1000.0**2
    np.testing.assert_allclose(od.variance[:, :, ~HALF], own + i0_part, rtol=1e-5)
    np.testing.assert_allclose(od.i0, 1000 / 0.75, rtol=1e-6)
    np.testing.assert_allclose(od.i0_variance / od.i0**2, i0_part, rtol=1e-5)


def test_dead_time_without_a_dwell():
    with pytest.raises(StackError, match="the stack has no dwell; give the dwell"):
        optical_density(recorded(beam_and_sample(0.5)), EMPTY, dead_time_us=1.0)


def test_more_counts_than_the_dead_time_allows():
    stack = recorded(beam_and_sample(0.5), attrs={"dwell_ms": 1.0})
    with pytest.raises(StackError, match=r"counted at 510\.000 eV than the dead time allows"):
        optical_density(stack, EMPTY, noise=1.0, dead_time_us=1.0)
    bright = stack.copy(deep=True)
    bright.values[1, 2, 30] = 1.2e6  # a spike, where the beam itself is fine
    with pytest.raises(StackError, match="in 1 values than the dead time allows"):
        optical_density(bright, EMPTY, noise=1.0, dead_time_us=0.001)


def test_a_busy_detector_is_said():
    stack = recorded(beam_and_sample(0.5), attrs={"dwell_ms": 1.0})
    with pytest.warns(ChemoscapeWarning, match=r"busy for 40% of the time at 510\.000 eV"):
        optical_density(stack, EMPTY, noise=1.0, dead_time_us=0.4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optical_density(stack, EMPTY, noise=1.0, dead_time_us=0.29)


@pytest.mark.parametrize("busy", [1e-6, 0.1, 0.3, 0.9])
def test_counts_per_unit_of_a_busy_detector(busy):
    g, per_count = 3.0, busy / 3.0
    assert counts_per_unit_of_busy(g / (1 - busy) ** 2, per_count) == pytest.approx(g, rel=1e-5)
    assert counts_per_unit_of_busy(g, 0.0) == g


# ---------------------------------------------------------------------------------- stray light


def test_stray_light_is_undone():
    h, true = 0.03, np.array([0.9, 0.4, 0.25])
    stack = recorded(beam_and_sample(((true + h) / (1 + h))[:, None, None]))
    od = optical_density(stack, EMPTY, noise=1.0, stray_light=h)
    np.testing.assert_allclose(od.optical_density[:, 0, -1], -np.log(true), rtol=1e-5)
    assert od.attrs["stray_light"] == h
    naive = optical_density(stack, EMPTY, noise=1.0)
    gain = (true + h) / true
    np.testing.assert_allclose(od.variance[:, 0, -1], gain**2 * naive.variance[:, 0, -1], rtol=1e-4)
    np.testing.assert_allclose(od.optical_density[:, 0, 0], 0.0, atol=1e-6)


def test_darker_than_the_stray_light_is_missing_and_counted():
    stack = recorded(beam_and_sample(np.array([0.5, 0.019, 0.0])[:, None, None]))
    od = optical_density(stack, EMPTY, noise=1.0, stray_light=0.02)
    lost = np.isnan(od.optical_density.values)
    assert not lost[:, :, HALF].any()
    assert not lost[0].any()
    assert lost[1:, :, ~HALF].all()
    assert od.attrs["n_not_positive"] == 2 * N_Y * 20
    assert (od.flag.values[:, ~HALF] == 4).all()
    assert not od.flag.values[:, HALF].any()


def test_stray_light_in_a_transmission():
    true = np.full((3, 4, 4), 0.3)
    true[0, 0, 0] = -0.05
    stack = build(
        (true + 0.05) / 1.05 - 1e-4 * (true < 0),
        ENERGY,
        range(4),
        range(4),
        quantity="transmission",
    )
    od = optical_density(stack, stray_light=0.05)
    np.testing.assert_allclose(od.optical_density.values[1], -np.log(0.3), rtol=1e-5)
    assert np.isnan(od.optical_density.values[0, 0, 0])
    assert od.attrs["n_not_positive"] == 1
    assert od.flag.values[0, 0] == 4


@pytest.mark.parametrize(
    ("quantity", "option", "message"),
    [
        ("transmission", {"dark": 0.1}, "corrected in counts, and the stack holds transmission"),
        ("optical_density", {"dark_sd": 0.1}, "the stack holds optical density"),
        ("optical_density", {"stray_light": 0.1}, "stray light is corrected in counts or trans"),
    ],
)
def test_the_detector_of_a_stack_without_counts(quantity, option, message):
    stack = build(np.full((3, 4, 4), 0.5), ENERGY, range(4), range(4), quantity=quantity)
    with pytest.raises(StackError, match=message):
        optical_density(stack, **option)


# ---------------------------------------------------------------------------- lazy as in memory


@pytest.mark.parametrize(
    "option",
    [
        {},
        {"dark": 5.0, "dark_sd": 2.0},
        {"dark": xr.DataArray(np.linspace(1, 9, N_Y * N_X).reshape(N_Y, N_X), dims=("y", "x"))},
        {"dead_time_us": 0.2, "stray_light": 0.02, "dark": 5.0},
    ],
)
def test_a_lazy_stack_gives_the_same(option):
    random = np.random.default_rng(0)
    values = random.poisson(beam_and_sample(0.01) * np.ones((3, N_Y, 1))).astype(float)
    values[1, 4, 4] = np.nan
    values[2, 5, 30] = 0.0
    stack = recorded(values, attrs={"dwell_ms": 1.0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        eager = optical_density(stack, EMPTY, noise=1.0, **option)
        lazy = optical_density(stack.chunk({"y": 5}), EMPTY, noise=1.0, **option)
    for name in ("optical_density", "variance", "flag"):
        assert lazy[name].chunks is not None
        assert lazy[name].dtype == eager[name].dtype
        np.testing.assert_allclose(lazy[name].values, eager[name].values, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(lazy.i0, eager.i0, rtol=1e-7)
    left_out = {"n_thick", "n_too_thick", "n_not_positive"}
    assert set(eager.attrs) - set(lazy.attrs) == left_out


def test_overload_in_a_lazy_stack_is_found_when_it_is_computed():
    values = np.array(recorded(beam_and_sample(0.5)).values)
    values[1, 2, 30] = 1.2e6
    stack = recorded(values, attrs={"dwell_ms": 1.0}).chunk({"y": 5})
    od = optical_density(stack, EMPTY, noise=1.0, dead_time_us=0.001)
    with pytest.raises(StackError, match="than the dead time allows"):
        od.optical_density.compute()
