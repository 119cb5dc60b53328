"""Spikes and lines that jumped are found and repaired; sample is never touched."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from chemoscape import simulate
from chemoscape import stack as stacks
from chemoscape.errors import StackError
from chemoscape.preprocess.artefacts import despike, level_lines


@pytest.fixture(scope="module")
def particle():
    """Make a core-shell particle in Poisson counts: ``particle(400)``."""
    made = {}

    def make(photons: float, seed: int = 1) -> simulate.Truth:
        if (photons, seed) not in made:
            made[photons, seed] = simulate.core_shell(poisson=True, photons=photons, seed=seed)
        return made[photons, seed]

    return make


def expected_counts(truth: simulate.Truth) -> np.ndarray:
    return truth.i0.values[:, None, None] * np.exp(-truth.optical_density.values)


def with_spikes(
    truth: simulate.Truth, n: int, size: float, seed: int = 0
) -> tuple[xr.DataArray, np.ndarray]:
    """A stack with spikes of so many standard deviations of counting, and where they are."""
    random = np.random.default_rng(seed)
    stack = truth.stack.copy(deep=True)
    places = tuple(random.integers(0, m, n) for m in stack.shape)
    where = np.zeros(stack.shape, bool)
    where[places] = True
    stack.values[where] += (size * np.sqrt(expected_counts(truth)[where])).astype(np.float32)
    np.maximum(stack.values, 0, out=stack.values)
    return stack, where


def drifting(stack: xr.DataArray, pixels: int, seed: int = 0) -> xr.DataArray:
    random = np.random.default_rng(seed)
    moved = [np.roll(f, random.integers(-pixels, pixels + 1, 2), (0, 1)) for f in stack.values]
    return stacks.like(stack, np.stack(moved))


def as_quantity(truth: simulate.Truth, stack: xr.DataArray, quantity: str) -> xr.DataArray:
    if quantity == "counts":
        return stack
    transmission = stack.values / truth.i0.values[:, None, None]
    values = transmission if quantity == "transmission" else -np.log(transmission)
    axes = (stack[name].values for name in stacks.DIMS)
    return stacks.build(values, *axes, quantity=quantity)  # type: ignore[arg-type]


@pytest.mark.parametrize("photons", [30, 400, 5000])
def test_spikes_of_twenty_sd_are_found_and_nothing_else(particle, photons):
    truth = particle(photons)
    stack, where = with_spikes(truth, 150, 20)
    before = stack.copy(deep=True)
    repaired, touched = despike(stack)
    changed = repaired.values != stack.values
    assert changed[where].mean() >= 0.95
    assert (changed & ~where).sum() <= 1e-6 * stack.size
    error = (repaired.values - expected_counts(truth))[changed]
    assert np.abs(error).mean() < 2 * np.sqrt(expected_counts(truth)[changed]).mean()
    xr.testing.assert_identical(stack, before)
    assert repaired.dtype == np.float32
    assert touched.n_values == changed.sum() == touched.where.sum()
    assert touched.n_pixels == changed.any(axis=0).sum()
    np.testing.assert_array_equal(touched.per_energy, changed.sum(axis=(1, 2)))
    assert f"{changed.sum()} of 1.61 million values" in str(touched)
    assert despike(repaired)[1].n_values <= 1


def test_dead_values_are_spikes_too(particle):
    truth = particle(5000)
    stack, where = with_spikes(truth, 60, -20)
    changed = despike(stack)[0].values != stack.values
    assert changed[where].mean() >= 0.9
    assert not changed[~where].any()


@pytest.mark.parametrize("photons", [30, 400, 5000, 100_000])
@pytest.mark.parametrize("step", [1, 5, 50])
def test_clean_stacks_stay_as_they_are(particle, photons, step):
    """However far apart the energies are, and although the particle's rim is sharp."""
    stack = particle(photons).stack[::step]
    for one in (stack, drifting(stack, 1), drifting(stack, 3)):
        assert despike(one)[1].n_values == 0
        assert level_lines(one)[1].n_values == 0


@pytest.mark.parametrize("step", [1, 20, 50])
@pytest.mark.parametrize("dark", [True, False])
def test_particles_of_one_pixel_are_sample(particle, step, dark):
    """Also holes of one pixel in a film."""
    truth = particle(5000)
    spectrum = truth.optical_density.values[::step, 45, 60]
    random = np.random.default_rng(4)
    thickness = np.zeros((90, 120))
    for _ in range(60):
        y, x = random.integers(2, 88, 2)
        thickness[y, x : x + random.integers(1, 3)] = random.uniform(0.03, 1)
    if not dark:
        thickness = 1 - thickness
    i0 = truth.i0.values[::step]
    counts = random.poisson(i0[:, None, None] * np.exp(-spectrum[:, None, None] * thickness))
    stack = stacks.like(truth.stack[::step], counts)
    assert despike(stack)[1].n_values == 0


def test_a_cosmic_ray_in_three_pixels_and_what_is_none(particle):
    stack = particle(400).stack.copy(deep=True)
    stack.values[50, 20, 30] += 2000
    stack.values[50, 20, 31] += 900
    stack.values[50, 21, 31] += 130  # found beside the others only
    stack.values[70, 60:63, 10:13] += 900  # nine pixels: no cosmic ray
    repaired, touched = despike(stack)
    assert touched.n_values == 3
    assert [tuple(one) for one in np.argwhere(repaired.values != stack.values)] == [
        (50, 20, 30),
        (50, 20, 31),
        (50, 21, 31),
    ]


@pytest.mark.parametrize("quantity", ["transmission", "optical_density"])
def test_quantities_agree(particle, quantity):
    truth = particle(400)
    stack, _ = with_spikes(truth, 60, 25)
    changed = despike(stack)[0].values != stack.values
    other = as_quantity(truth, stack, quantity)
    also = despike(other)[0].values != other.values
    assert (changed & also).sum() >= 0.95 * (changed | also).sum()


@pytest.mark.parametrize("rows", [7, 40, 90])
def test_lazy_stacks_give_the_same_lazily(particle, rows):
    stack, _ = with_spikes(particle(400), 100, 30)
    stack.values[3, 40, 50:52] += 5000
    lazy = stack.copy(data=da.from_array(stack.values, chunks=(-1, rows, -1)))
    repaired, touched = despike(lazy)
    here, found = despike(stack)
    assert isinstance(repaired.data, da.Array)
    np.testing.assert_array_equal(repaired.values, here.values)
    np.testing.assert_array_equal(touched.where, found.where)
    np.testing.assert_array_equal(touched.per_energy, found.per_energy)


def test_gaps_single_frames_and_small_images(particle):
    stack, _ = with_spikes(particle(400), 100, 40)
    stack.values[:, :5] = np.nan
    stack.values[3] = np.nan
    repaired, touched = despike(stack)
    assert touched.n_values > 80
    np.testing.assert_array_equal(np.isnan(repaired.values), np.isnan(stack.values))
    alone = stack.isel(energy=[9])
    alone.values[0, 3 + 40, 3] = 9000
    assert despike(alone)[1].n_values >= 1
    assert despike(stack[:2, 10:12, 10:12])[1].n_values == 0
    flat = stacks.like(stack[:4], np.full((4, *stack.shape[1:]), 100.0))
    flat.values[2, 8, 8] = 140.0
    assert despike(flat)[1].n_values == 1


@pytest.mark.parametrize("step", [despike, level_lines])
@pytest.mark.parametrize("threshold", [0.0, 2.9, np.nan])
def test_thresholds_within_noise_are_refused(particle, step, threshold):
    with pytest.raises(StackError, match="does not tell artefacts from noise"):
        step(particle(400).stack, threshold=threshold)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize(("photons", "jump"), [(30, 0.5), (400, 0.75), (5000, 0.85), (5000, 1.15)])
def test_lines_that_jumped_are_levelled_by_one_factor(particle, axis, photons, jump):
    truth = particle(photons)
    random = np.random.default_rng(3)
    stack, where = truth.stack.copy(deep=True), np.zeros(truth.stack.shape, bool)
    for k in range(60):  # far apart, so that none hides another
        line = (k * 2 + 10, int(random.integers(0, stack.shape[axis])))
        np.moveaxis(where, axis, 1)[line] = True
    stack.values[where] = random.poisson(expected_counts(truth)[where] * jump)
    before = stack.copy(deep=True)
    repaired, touched = level_lines(stack)
    xr.testing.assert_identical(stack, before)
    changed = repaired.values != stack.values
    assert touched.n_values == where.sum() * len(touched.lines) / 60
    assert len(touched.lines) >= 0.8 * 60
    assert not changed[~where].any()
    assert {line.axis for line in touched.lines} == {"yx"[axis - 1]}
    factors = np.array([line.factor for line in touched.lines])
    np.testing.assert_allclose(factors.mean(), jump, rtol=0.03 if photons == 30 else 0.01)
    left = repaired.values[changed].sum() / expected_counts(truth)[changed].sum()
    assert abs(left - 1) < 0.03
    assert len(level_lines(repaired)[1].lines) <= 2


def test_optical_densities_are_levelled_by_a_constant(particle):
    truth = particle(5000)
    stack = as_quantity(truth, truth.stack, "optical_density")
    stack.values[30, 20] += np.float32(-np.log(0.8))
    repaired, touched = level_lines(stack)
    (line,) = touched.lines
    assert (line.axis, round(line.factor, 2)) == ("y", 0.8)
    assert abs(float((repaired - truth.optical_density)[30, 20].mean())) < 0.005


def test_lines_without_counts_become_nan(particle):
    stack = particle(400).stack.copy(deep=True)
    stack.values[30, 20:22] = 0
    stack.values[31] = 0  # the beam was off
    stack.values[:, 70] = 0  # a line that the detector does not have: no artefact of one frame
    repaired, touched = level_lines(stack)
    assert np.isnan(repaired.values[30, 20:22]).all()
    assert np.isnan(repaired.values[31]).sum() == 89 * 120
    assert (repaired.values[:, 70] == 0).all()
    assert touched.n_values == 91 * 120
    assert "91 held no counts and are NaN now" in touched.sentence


@pytest.mark.parametrize("pixels", [0, 1])
def test_horizontal_sample_is_no_line(particle, pixels):
    """Wires along the whole image, and the edge of a film, with drift or without."""
    truth = particle(5000)
    spectrum = truth.optical_density.values[:, 45, 60]
    thickness = np.zeros((90, 120))
    thickness[20] = 1.0
    thickness[40:42] = 0.3
    thickness[60:] = 0.7
    random = np.random.default_rng(0)
    expected = truth.i0.values[:, None, None] * np.exp(-spectrum[:, None, None] * thickness)
    stack = drifting(stacks.like(truth.stack, random.poisson(expected)), pixels)
    for one in (stack, stack[::5], stack[::50], stack.transpose("energy", "y", "x")[:, ::-1]):
        upright = stacks.like(stack.sel(energy=one.energy), one.values)
        assert level_lines(upright)[1].n_values == 0


def test_a_step_that_lasts_is_no_line(particle):
    stack = particle(5000).stack.copy(deep=True)
    stack.values[40, 50:] *= np.float32(1.05)
    assert level_lines(stack)[1].n_values == 0


def test_a_jump_of_half_a_line_stays(particle):
    stack = particle(5000).stack.copy(deep=True)
    stack.values[40, 50, :70] *= np.float32(0.8)
    assert level_lines(stack)[1].n_values == 0
