"""Optical density, its variance, its units."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import xarray as xr

from chemoscape import simulate
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.formats import save_stack
from chemoscape.preprocess import absorbance
from chemoscape.preprocess.absorbance import count_flags, optical_density, sample_mask
from chemoscape.preprocess.alignment import align
from chemoscape.preprocess.density import logarithm, masks
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
    assert od.attrs["i0_source"].startswith("automatic background, ")
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
        assert bool(od.background.any())  # to check the zero by, not where I0 comes from
        assert od.attrs["i0_pixels"] == 0
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


# -------------------------------------------------------------------------------------- flags


LEFT = Region(x=(0, 19), y=(0, 19))


def flat_layers(layers, counts=1e5):
    """Columns of 10 pixels of each optical density, after 20 of nothing."""
    density = np.repeat([0.0, 0.0, *layers], 10)
    frames = counts * np.exp(-density) * np.ones((3, 20, 1))
    return build(frames, [510.0, 511.0, 512.0], range(20), range(density.size), quantity="counts")


def test_flags_say_how_thick_a_pixel_is():
    stack = flat_layers([1.0, 1.6, 2.3, 2.3]).copy(deep=True)
    stack.values[1, 4, 35] = 0.0  # in the second layer
    stack.values[2, 5, 5] = np.inf
    stack.values[2, 6, 6] = np.nan  # not recorded is not lost
    with pytest.warns(ChemoscapeWarning, match=r"exceeds 2\.2 in 33\.3 % of the pixels \(and 1\.5"):
        od = optical_density(stack, LEFT, noise=1.0)
    expected = np.repeat([0, 0, 0, 1, 2, 2], 10) * np.ones((20, 1), dtype=int)
    expected[4, 35] += 4
    expected[5, 5] += 4
    np.testing.assert_array_equal(od.flag, expected)
    assert od.flag.dtype == np.uint8
    assert {name: od.attrs[name] for name in od.attrs if name.startswith("n_")} == {
        "n_pixels": 1200,
        "n_thick": 600,
        "n_too_thick": 400,
        "n_not_positive": 2,
    }
    with pytest.warns(ChemoscapeWarning, match=r"exceeds 2\.2 in 33\.3 %"):
        counted = count_flags(od)
    assert counted == {
        "n_pixels": 1200,
        "n_thick": 600,
        "n_too_thick": 400,
        "n_pixels_not_positive": 2,
    }


def test_two_standard_deviations_are_granted():
    """At 1 count in the sample the noise is as large as the optical density."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        od = optical_density(flat_layers([2.0, 2.3], counts=10), LEFT, noise=1.0)
    assert not od.flag.any()
    with pytest.warns(ChemoscapeWarning, match=r"exceeds 2\.2"):
        optical_density(flat_layers([2.0, 2.3], counts=1e4), LEFT, noise=1.0)


@pytest.mark.parametrize("lazy", [False, True])
def test_flags_of_stacks_without_counts(lazy):
    density = np.zeros((2, 4, 4))
    density[0, 0, :3] = 1.6, 2.3, np.nan
    od = build(density, [1.0, 2.0], range(4), range(4), quantity="optical_density")
    through = build(np.exp(-density), [1.0, 2.0], range(4), range(4), quantity="transmission")
    through.values[0, 1, 1] = -1.0
    for stack in (od, through):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)
            result = optical_density(stack.chunk({"y": 2}) if lazy else stack)
        assert result.flag.values[0].tolist() == [1, 2, 0, 0]
        assert result.flag.values[1, 1] == (4 if stack is through else 0)
        assert ("n_thick" in result.attrs) is not lazy
        assert result.attrs["n_pixels"] == 16
        assert "without variance" in result.attrs["i0_source"]
        np.testing.assert_allclose(result.optical_density.values[0, 0], density[0, 0], atol=1e-6)


@pytest.mark.filterwarnings("ignore:flat or dark images have no value in 3 pixels")
def test_a_beam_that_is_not_the_same_everywhere(monkeypatch):
    """A relative flat image multiplies I0; where it has no beam nothing is known."""
    flat = np.linspace(0.8, 1.2, 40)[None, None, :] * np.ones((1, 20, 1))
    flat[0, 0, 0], flat[0, 0, 1], flat[0, 0, 2] = np.nan, 0.0, -1.0
    usual = absorbance.find_incident

    def with_flat(*arguments, **options):
        found, background = usual(*arguments, **options)
        values = np.full(3, 1000.0)
        return dataclasses.replace(found, values=values, flat=flat, n_pixels=0), background

    monkeypatch.setattr(absorbance, "find_incident", with_flat)
    frames = np.abs(np.nan_to_num(1000 * flat, nan=1.0)) * np.exp(-0.5) * np.ones((3, 1, 1))
    frames[:, 0, 1] = 5.0
    stack = build(frames, [510.0, 511.0, 512.0], range(20), range(40), quantity="counts")
    region = Region(x=(0, 5), y=(1, 19))
    for one in (stack, stack.chunk({"y": 7})):
        od = optical_density(one, region, noise=1.0)
        values = od.optical_density.values
        assert np.isnan(values[:, 0, :3]).all()
        assert np.isfinite(values).sum() == values.size - 9
        np.testing.assert_allclose(values[np.isfinite(values)], 0.5, atol=1e-6)
        assert od.flag.values[0, :4].tolist() == [4, 4, 4, 0]
    assert optical_density(stack, region, noise=1.0).attrs["n_not_positive"] == 9
    dead = optical_density(
        build(
            frames / (1 + frames * 1e-4),
            [510.0, 511.0, 512.0],
            range(20),
            range(40),
            quantity="counts",
            attrs={"dwell_ms": 1.0},
        ),
        region,
        noise=1.0,
        dead_time_us=0.1,
    )  # the flat is as recorded, brighter where the beam is: 1000 recorded are 1111 true
    beam = 1000 * flat / (1 - 0.1 * flat)
    expected = np.log((beam / frames[:1])[0, 5:])
    np.testing.assert_allclose(dead.optical_density.values[0, 5:], expected, atol=1e-5)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("as_file", [False, True])
def test_flat_images_go_through_the_detector_too(lazy, as_file, tmp_path):
    """An uneven beam, a patterned dark and dead time: the sample comes out even."""
    y, x = np.mgrid[:30, :50]
    beam = 900 + 8 * x - 5 * y
    pattern = 20.0 + 10 * np.random.default_rng(0).random((30, 50))
    through = np.where((x > 15) & (x < 35) & (y > 8) & (y < 22), 0.5, 1.0)

    def seen(light):
        return light / (1 + light * 1e-4) + pattern

    flat = seen(beam)
    flat[10, 20], flat[10, 21] = np.nan, pattern[10, 21]
    stack = build(
        seen(beam * through) * np.ones((3, 1, 1)),
        [510.0, 511.0, 512.0],
        range(30),
        range(50),
        quantity="counts",
        attrs={"dwell_ms": 1.0, "counter_divider": 1.0},
    )
    i0 = xr.DataArray(flat, dims=("y", "x"))
    if as_file:
        i0 = tmp_path / "flat.h5"
        save_stack(build([flat], [511.0], range(30), range(50), quantity="counts"), i0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # units of flats without a dwell
        od = optical_density(
            stack.chunk({"y": 11}) if lazy else stack,
            i0,
            i0_unit="image",
            dark=xr.DataArray(pattern, dims=("y", "x")),
            dead_time_us=0.1,
            noise=1.0,
        )
    values = od.optical_density.values
    lost = np.zeros((30, 50), dtype=bool)
    lost[10, 20:22] = True
    assert (np.isnan(values) == lost).all()
    np.testing.assert_array_equal(od.flag, 4 * lost)
    expected = np.broadcast_to(-np.log(through), values.shape)
    np.testing.assert_allclose(values[:, ~lost], expected[:, ~lost], atol=2e-5)
    if not lazy:
        assert od.attrs["n_not_positive"] == 6


def test_a_part_of_a_stack_is_worked_on_as_the_whole():
    """Slices along x are not contiguous in memory."""
    random = np.random.default_rng(0)
    stack = build(
        random.poisson(900, (4, 30, 50)), range(1, 5), range(30), range(50), quantity="counts"
    )
    spectrum = (np.arange(1.0, 5.0), np.full(4, 900.0))
    whole = optical_density(stack, spectrum, i0_unit="image", noise=1.0)
    part = optical_density(stack[:, 3:27, 11:40], spectrum, i0_unit="image", noise=1.0)
    for name in ("optical_density", "variance", "flag"):
        np.testing.assert_array_equal(part[name], whole[name][..., 3:27, 11:40])


def test_the_logarithm_is_numpys():
    """Over the whole range of ratios a detector gives, to float32's own precision."""
    ratio = np.exp(np.random.default_rng(0).uniform(-14, 14, 200_000)).astype(np.float32)
    ratio[:1001] = np.linspace(0.99, 1.01, 1001)
    expected = np.log(ratio.astype(np.float64))
    found = ratio.copy()
    logarithm._logarithm(found, np.zeros_like(found))
    assert (np.abs(found - expected) <= 3e-7 * np.abs(expected) + 1e-9).all()


# -------------------------------------------------------------------------------- sample mask


def test_sample_mask(make_beam):
    beam = make_beam(counts=900)
    od = optical_density(beam.stack)
    mask = sample_mask(od)
    assert mask.dims == ("y", "x")
    np.testing.assert_array_equal(mask.values, beam.disc)
    np.testing.assert_array_equal(sample_mask(od.optical_density).values[beam.disc], True)


def test_sample_mask_of_a_lazy_stack(make_beam):
    beam = make_beam(counts=900)
    lazy = beam.stack.chunk({"y": 17})
    od = optical_density(lazy)
    mask = sample_mask(od)
    assert mask.chunks is not None
    np.testing.assert_array_equal(mask, sample_mask(optical_density(beam.stack)))
    np.testing.assert_array_equal(sample_mask(od.optical_density).values[beam.disc], True)
    assert sample_mask(od.assign(sample=mask)).identical(mask)


def test_strips_of_a_large_image_tell_what_is_thick(make_beam, monkeypatch):
    beam = make_beam(counts=900)
    whole = optical_density(beam.stack)
    exact = sample_mask(whole)
    monkeypatch.setattr(masks, "MOST_PIXELS", 1000)
    monkeypatch.setattr(masks, "STRIP_PIXELS", 8 * 2 * 60)
    assert masks._strips((60, 60))[::7] == [slice(2, 4), slice(55, 57)]
    np.testing.assert_array_equal(sample_mask(whole), exact)  # the threshold is nearly the same
    blocks_read = []

    def read(block):
        blocks_read.append(len(block))
        return block

    counted = beam.stack.chunk({"y": 5})
    counted = counted.copy(data=counted.data.map_blocks(read, meta=np.empty((0, 0, 0), np.float32)))
    od = optical_density(counted)
    blocks_read.clear()
    lazy = sample_mask(od)
    assert len(blocks_read) == 8
    np.testing.assert_array_equal(lazy, exact)


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
