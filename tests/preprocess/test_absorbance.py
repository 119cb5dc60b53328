"""Optical density, its variance, its units."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

from chemoscape import simulate
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.preprocess.absorbance import optical_density, sample_mask
from chemoscape.preprocess.alignment import align
from chemoscape.preprocess.shifts import Drift
from chemoscape.region import Region
from chemoscape.stack import build, check

ENERGY = np.linspace(510.0, 530.0, 20)
CORNER = Region(x=(0.0, 5.9), y=(0.0, 1.0))


def test_optical_density_of_a_disc(make_beam):
    beam = make_beam(counts=2000)
    before = beam.stack.copy(deep=True)
    od = optical_density(beam.stack)
    xr.testing.assert_identical(beam.stack, before)
    check(od.optical_density, "optical_density")
    assert od.optical_density.dtype == od.variance.dtype == np.float32
    assert od.optical_density.attrs["units"] == "1"
    inside = beam.disc
    error = (od.optical_density.values - beam.optical_density).astype(float)
    assert np.abs(error[:, inside].mean(axis=1)).max() < 0.01
    assert np.abs(error[:, ~inside].mean(axis=1)).max() < 0.002
    np.testing.assert_allclose(od.i0, beam.i0, rtol=0.005)
    assert not (od.background.values & inside).any()
    assert od.attrs["i0_source"] == "automatic background"
    assert od.attrs["units_correction"] == ""
    assert od.attrs["n_not_positive"] == 0
    assert all(isinstance(value, str | int | float) for value in od.attrs.values())


@pytest.mark.parametrize("i0", ["auto", "region", "spectrum"])
def test_error_is_what_the_variance_says(make_beam, i0):
    beam = make_beam(counts=400, divider=10.0, n_energy=40, size=100, attrs={"counter_divider": 10})
    source = {"auto": "auto", "region": Region(x=(0, 9.9), y=(0, 1.5))}.get(
        i0, (beam.stack.energy.values, beam.i0)
    )
    od = optical_density(beam.stack, source)
    chi2 = (od.optical_density - beam.optical_density) ** 2 / od.variance
    assert float(chi2.mean()) == pytest.approx(1.0, abs=0.02)
    assert float(chi2.where(beam.disc).mean()) == pytest.approx(1.0, abs=0.03)


def test_variance_in_closed_form(make_beam):
    beam = make_beam(counts=500, divider=4.0)
    od = optical_density(beam.stack, CORNER, dark=20.0, noise=4.0)
    counts = beam.stack.values.astype(float)
    region = CORNER.mask(beam.stack).values
    raw = counts[:, region].mean(axis=1)
    i0 = raw - 20
    i0_variance = raw / 4 / region.sum()
    np.testing.assert_allclose(od.i0, i0, rtol=1e-6)
    np.testing.assert_allclose(od.i0_variance, i0_variance, rtol=1e-6)
    expected = counts / 4 / (counts - 20) ** 2 + (i0_variance / i0**2)[:, None, None]
    np.testing.assert_allclose(od.variance, expected, rtol=1e-5)
    np.testing.assert_allclose(
        od.optical_density, np.log(i0[:, None, None] / (counts - 20)), atol=1e-5
    )
    assert od.attrs["noise_source"] == "given"


def test_variance_of_aligned_frames(make_beam):
    stack = make_beam().stack
    shifts = np.zeros((20, 2))
    shifts[3] = 0.5
    n = len(shifts)
    moved = align(stack, Drift(shifts, stack.energy.values, 0, np.ones(n), np.zeros(n, dtype=bool)))
    od = optical_density(moved, (stack.energy.values, make_beam().i0), noise=1)
    counts = moved.values[3, 1:, 1:]
    np.testing.assert_allclose(od.variance.values[3, 1:, 1:], 0.5717 / counts, rtol=1e-3)
    assert od.optical_density.noise_gain.values[3] == pytest.approx(0.5717, abs=1e-3)
    assert od.attrs["n_not_positive"] == 0
    assert np.isnan(od.optical_density.values[3, 0]).all()


def test_no_background_is_refused():
    stack = build(np.full((2, 9, 9), 90.0), [1.0, 2.0], range(9), range(9), quantity="counts")
    with pytest.raises(StackError, match="no empty background"):
        optical_density(stack)


def test_a_region_in_the_dark_is_refused(make_beam):
    stack = make_beam().stack.copy(deep=True)
    stack.values[4] = 0
    with pytest.raises(StackError, match=r"not positive at 1 energies, the first 514\.211 eV"):
        optical_density(stack, CORNER)


def test_values_that_are_not_positive_are_nan_and_counted(make_beam):
    stack = make_beam().stack.copy(deep=True)
    stack.values[0, 0, :3] = 0
    stack.values[1, 5, 5] = -4
    stack.values[2, 6, 6] = np.nan
    stack.values[3, 7, 7] = np.inf
    od = optical_density(stack)
    assert od.attrs["n_not_positive"] == 5
    assert np.isnan(od.optical_density.values).sum() == 6
    assert np.isnan(od.variance.values).sum() == 6


@pytest.mark.parametrize("dark", [-1.0, np.nan])
def test_an_impossible_dark_value(make_beam, dark):
    with pytest.raises(StackError, match="dark value"):
        optical_density(make_beam().stack, dark=dark)


@pytest.mark.parametrize("noise", [0.0, -2.0, np.inf])
def test_an_impossible_noise(make_beam, noise):
    with pytest.raises(StackError, match="counts per recorded unit is impossible"):
        optical_density(make_beam().stack, noise=noise)


# ------------------------------------------------------------------------- I0 from elsewhere


def test_a_spectrum_in_the_same_unit(make_beam):
    beam = make_beam(counts=3000)
    for i0 in (
        (ENERGY, beam.i0),
        (ENERGY[::-1], beam.i0[::-1]),
        xr.DataArray(beam.i0, dims="energy", coords={"energy": ENERGY}),
    ):
        od = optical_density(beam.stack, i0)
        np.testing.assert_allclose(od.i0, beam.i0, rtol=1e-9)
        assert od.attrs["units_correction"] == ""
        assert "background" not in od
        assert not od.i0_variance.values.any()


def test_a_spectrum_file(make_beam, tmp_path):
    beam = make_beam(counts=3000)
    np.savetxt(tmp_path / "beam.xsp", np.column_stack([ENERGY, beam.i0]))
    for path in (tmp_path / "beam.xsp", str(tmp_path / "beam.xsp")):
        od = optical_density(beam.stack, path)
        np.testing.assert_allclose(od.i0, beam.i0, rtol=1e-6)
        assert od.attrs["i0_source"] == "file beam.xsp"


def test_a_spectrum_is_interpolated_linearly(make_beam):
    beam = make_beam(counts=3000)
    knots = np.array([509.0, 515.0, 531.0])
    values = np.array([1000.0, 3000.0, 2000.0])
    with pytest.warns(ChemoscapeWarning, match="empty background"):
        od = optical_density(beam.stack, (knots, values))
    np.testing.assert_allclose(od.i0, np.interp(ENERGY, knots, values))


@pytest.mark.parametrize(
    ("energy", "values", "message"),
    [
        (ENERGY[1:], np.ones(19), r"I0 covers 511\.053 to 530\.000 eV, the stack 510\.000 to"),
        (ENERGY - 0.01, np.ones(20), "I0 covers"),
        (ENERGY, np.ones(19), "one value per energy"),
        (ENERGY, np.r_[np.nan, np.ones(19)], "not finite"),
        (ENERGY, np.r_[np.zeros(3), np.ones(17)], "not positive at 3 energies"),
        ([], [], "one value per energy"),
    ],
)
def test_a_spectrum_that_cannot_serve(make_beam, energy, values, message):
    with pytest.raises(StackError, match=message):
        optical_density(make_beam().stack, (energy, values))


def test_a_spectrum_that_ends_a_rounding_error_early(make_beam):
    beam = make_beam()
    optical_density(beam.stack, (np.r_[ENERGY[:-1], ENERGY[-1] - 5e-4], beam.i0))


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (1 / 0.433, "I0 is per millisecond, the images per dwell of 0.433 ms"),
        (1000 / 0.433, "I0 is per second"),
        (10.0, "the images were divided by 10, I0 was not"),
        (10.0 / 0.433, "per millisecond and not divided"),
    ],
)
def test_a_unit_mismatch_is_corrected_and_said(make_beam, factor, said):
    beam = make_beam(counts=900, divider=10, attrs={"dwell_ms": 0.433, "counter_divider": 10.0})
    with pytest.warns(ChemoscapeWarning, match="unit mismatch corrected") as caught:
        od = optical_density(beam.stack, (ENERGY, beam.i0 * factor))
    assert said in str(caught[0].message)
    assert od.attrs["units_correction"] == str(caught[0].message)
    assert f"{np.log(factor):.3f}" in od.attrs["units_correction"]
    np.testing.assert_allclose(od.i0, beam.i0, rtol=1e-6)


def test_a_dwell_that_changes_over_the_edge(make_beam):
    dwell = np.where((ENERGY > 515) & (ENERGY < 520), 4.0, 2.0)
    beam = make_beam(counts=900, per_energy={"dwell": dwell})
    recorded = np.random.default_rng(0).poisson(beam.stack.values * dwell[:, None, None])
    stack = build(
        recorded,
        ENERGY,
        beam.stack.y,
        beam.stack.x,
        quantity="counts",
        per_energy={"dwell": dwell},
    )
    with pytest.warns(ChemoscapeWarning, match="per millisecond"):
        od = optical_density(stack, (ENERGY, beam.i0))
    np.testing.assert_allclose(od.i0, beam.i0 * dwell)
    said = optical_density(stack, (ENERGY, beam.i0), i0_unit="per_ms")
    np.testing.assert_allclose(said.i0, od.i0)
    assert said.attrs["units_correction"].startswith("I0 multiplied by the dwell")


def test_a_unit_that_was_said_is_not_guessed_again(make_beam):
    beam = make_beam(counts=900, height=0.3, attrs={"dwell_ms": 0.433})
    with pytest.warns(ChemoscapeWarning, match=r"0\.837 at every energy, .* not corrected"):
        od = optical_density(beam.stack, (ENERGY, beam.i0 / 0.433), i0_unit="image")
    np.testing.assert_allclose(od.i0, beam.i0 / 0.433)
    with pytest.raises(StackError, match="does not say how long"):
        optical_density(make_beam().stack, (ENERGY, beam.i0), i0_unit="per_ms")
    with pytest.raises(StackError, match="is no unit of I0"):
        optical_density(beam.stack, (ENERGY, beam.i0), i0_unit="per_s")


def test_an_offset_that_the_header_does_not_explain_is_left_alone(make_beam):
    beam = make_beam(counts=900, divider=10, attrs={"dwell_ms": 0.433, "counter_divider": 10.0})
    with pytest.warns(ChemoscapeWarning, match=r"0\.200 at every energy, which no dwell"):
        od = optical_density(beam.stack, (ENERGY, beam.i0 * np.exp(0.2)))
    np.testing.assert_allclose(od.i0, beam.i0 * np.exp(0.2))


def test_a_beam_of_another_shape(make_beam):
    beam = make_beam(counts=900)
    with pytest.warns(ChemoscapeWarning, match="varies over energy"):
        optical_density(beam.stack, (ENERGY, beam.i0 * np.linspace(0.8, 1.2, 20)))


def test_units_cannot_be_checked_without_a_background():
    y, x = np.mgrid[:40, :40]
    data = np.random.default_rng(0).poisson(900 * np.exp(-0.2 - x / 80 - y / 90), (3, 40, 40))
    stack = build(data, [1.0, 2.0, 3.0], range(40), range(40), quantity="counts")
    with pytest.warns(ChemoscapeWarning, match="could not be checked"):
        od = optical_density(stack, ([1, 3], [900, 900]))
    assert od.attrs["noise_source"] == "assumed"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optical_density(stack, ([1, 3], [900, 900]), i0_unit="image")


# ------------------------------------------------------------------------ other kinds of stack


def test_a_transmission_stack():
    values = np.full((2, 4, 4), 0.5)
    values[0, 0, 0] = 0
    stack = build(values, [1.0, 2.0], range(4), range(4), quantity="transmission")
    od = optical_density(stack)
    assert np.isnan(od.optical_density.values[0, 0, 0])
    np.testing.assert_allclose(od.optical_density.values[1], np.log(2), rtol=1e-6)
    assert "-ln(T)" in od.attrs["i0_source"]
    assert od.attrs["n_not_positive"] == 1
    assert "variance" not in od


def test_an_optical_density_passes_through():
    values = np.random.default_rng(0).normal(0.5, 0.1, (2, 4, 4)).astype(np.float32)
    stack = build(values, [1.0, 2.0], range(4), range(4), quantity="optical_density")
    od = optical_density(stack)
    np.testing.assert_array_equal(od.optical_density.values, values)
    assert "variance" not in od
    assert od.optical_density.values is not stack.values


@pytest.mark.parametrize(
    ("height", "message"), [(1.4, None), (1.9, r"exceeds 1\.5 in 19"), (2.6, r"exceeds 2\.2 in 19")]
)
def test_thick_samples(make_beam, height, message):
    beam = make_beam(counts=20000, height=height)
    if message is None:
        optical_density(beam.stack)
        return
    with pytest.warns(ChemoscapeWarning, match=message) as caught:
        optical_density(beam.stack)
    assert len(caught) == 1


# -------------------------------------------------------------------------------- sample mask


def test_sample_mask(make_beam):
    beam = make_beam(counts=900)
    od = optical_density(beam.stack)
    mask = sample_mask(od)
    assert mask.dims == ("y", "x")
    np.testing.assert_array_equal(mask.values, beam.disc)
    np.testing.assert_array_equal(sample_mask(od.optical_density).values[beam.disc], True)


def test_sample_mask_of_nothing():
    empty = build(
        np.full((2, 4, 4), np.nan), [1, 2], range(4), range(4), quantity="optical_density"
    )
    assert not sample_mask(empty).values.any()
    flat = build(np.zeros((2, 4, 4)), [1, 2], range(4), range(4), quantity="optical_density")
    assert not sample_mask(flat).values.any()


def test_sample_in_the_i0_region_is_said():
    truth = simulate.core_shell(poisson=True)
    core = Region(x=(2.2, 2.6), y=(1.6, 2.0))
    with pytest.warns(ChemoscapeWarning) as caught:
        optical_density(truth.stack, core)
    assert any("there is sample in the I0 region" in str(one.message) for one in caught)
