"""The empty part of an image, found or refused."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage

from chemoscape.errors import StackError
from chemoscape.preprocess.beam import background as background_module
from chemoscape.preprocess.beam.background import describe, empty_field, find_background
from chemoscape.preprocess.beam.morphology import (
    dilated,
    dilated_cross,
    eroded,
    eroded_cross,
    eroded_inside,
)
from chemoscape.stack import build

Y, X = np.mgrid[:80, :80].astype(float)
SPECTRUM = np.array([0.3, 0.5, 1.0, 0.8, 0.6])


def stack_of(thickness, *, counts=2000, extra=0.0, seed=0):
    expected = counts * np.exp(-SPECTRUM[:, None, None] * thickness) + extra
    recorded = np.random.default_rng(seed).poisson(expected)
    return build(recorded, np.arange(500.0, 505.0), np.arange(80), np.arange(80), quantity="counts")


def disc(cy, cx, radius):
    return (np.hypot(Y - cy, X - cx) < radius).astype(float)


def test_an_empty_field_around_particles():
    sample = disc(30, 30, 15) + 0.3 * disc(60, 55, 12)
    mask = find_background(stack_of(sample)).values
    assert not mask[sample > 0].any()
    assert mask[sample == 0].mean() > 0.8


def test_holes_in_a_film_that_fills_most_of_the_field():
    film = 0.15 + 1.5 * disc(40, 40, 20)
    film = film * (1 - disc(12, 12, 9)) * (1 - disc(66, 66, 9))
    mask = find_background(stack_of(film)).values
    assert not mask[film > 0].any()
    assert mask.sum() > 0.5 * (film == 0).sum()


def test_a_bright_rim_around_a_particle_is_no_background():
    rim = disc(40, 40, 17) - disc(40, 40, 15)
    stack = stack_of(2 * disc(40, 40, 15), extra=100 * rim)
    mask = find_background(stack).values
    assert mask[disc(40, 40, 19) == 0].mean() > 0.8
    assert not mask[rim > 0].any()


def test_an_uneven_beam_is_still_empty():
    sample = disc(30, 30, 15)
    stack = stack_of(sample)
    uneven = (1 + 0.01 * np.sin(X / 25))[None] * stack.values
    stack = build(uneven, stack.energy, stack.y, stack.x, quantity="counts")
    mask = find_background(stack).values
    assert not mask[sample > 0].any()
    assert mask.mean() > 0.4


def test_spikes_and_missing_pixels_are_left_out():
    stack = stack_of(disc(30, 30, 15))
    stack.values[2, 70, 70] = 60000
    stack.values[3, 65, 20] = 0
    stack.values[1, 60:62, 60] = np.nan
    mask = find_background(stack).values
    for y, x in ((70, 70), (65, 20), (60, 60)):
        assert not mask[y, x]
    assert mask.mean() > 0.5


@pytest.mark.parametrize(
    ("thickness", "why"),
    [
        (np.zeros((80, 80)), "uniform"),
        (0.5 * np.ones((80, 80)), "uniform"),
        (0.3 + X / 80 + Y / 160, "uneven"),
    ],
    ids=["empty", "film", "wedge"],
)
def test_a_field_without_a_background_is_refused(thickness, why):
    with pytest.raises(StackError, match=f"no empty background.*{why}.*give the region"):
        find_background(stack_of(thickness))


def test_one_pixel_is_refused():
    stack = build(np.full((3, 1, 1), 100.0), [1.0, 2.0, 3.0], [0], [0], quantity="counts")
    with pytest.raises(StackError, match="too few pixels"):
        find_background(stack)


# --------------------------------------------------------------------------- where others go wrong

ENERGY = np.linspace(510.0, 522.0, 30)
ABSORPTION = 0.2 + 0.6 / (1 + np.exp(-(ENERGY - 515) / 0.5))
SAMPLE = disc(30, 30, 14) + 0.4 * disc(60, 55, 11) + 0.7 * disc(15, 66, 8)


def scan(thickness=SAMPLE, *, counts=400.0, beam=1.0, support=0.0, seed=0):
    """Counts behind a sample with an absorption edge, on a support without one."""
    expected = counts * beam * np.exp(-ABSORPTION[:, None, None] * thickness - support)
    recorded = np.random.default_rng(seed).poisson(expected)
    return build(recorded, ENERGY, np.arange(80), np.arange(80), quantity="counts")


def assert_empty(stack, sample=SAMPLE, *, least=0.75):
    """No pixel of the background lies in the sample, and most of the empty field is found."""
    mask = find_background(stack).values
    assert not mask[sample > 0].any()
    assert mask[sample == 0].mean() > least


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("slope", [0.05, 0.1, 0.2, 0.3])
def test_an_inclined_beam(slope, seed):
    direction = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    ramp = (np.cos(direction) * (X - 40) + np.sin(direction) * (Y - 40)) / 80
    stack = scan(beam=1 + slope * ramp, seed=seed)
    assert_empty(stack)
    across = slope * (abs(np.cos(direction)) + abs(np.sin(direction)))
    assert empty_field(stack).unevenness == pytest.approx(across, rel=0.25, abs=0.01)


def test_a_vignetted_beam():
    assert_empty(scan(beam=np.exp(-0.15 * ((X - 40) ** 2 + (Y - 40) ** 2) / 40**2)))


def test_a_flickering_beam():
    random = np.random.default_rng(1)
    frames = 1 + 0.1 * random.normal(size=(30, 1, 1))
    assert_empty(scan(beam=frames * (1 + 0.01 * random.normal(size=(30, 80, 1)))))


def test_lines_that_fail_in_single_frames():
    beam = np.ones((30, 80, 1))
    for i, row in enumerate(np.random.default_rng(1).integers(0, 80, 30)):
        beam[i, row] = (0.5, 1.3)[i % 2]
    assert_empty(scan(beam=beam), least=0.5)


@pytest.mark.parametrize("across", [0, 1])
def test_a_bright_stripe_across_the_image(across):
    along = (Y, X)[across]
    stripe = (along > 44) & (along < 50)
    stack = scan(beam=1 + 0.1 * stripe)
    assert_empty(stack, SAMPLE + stripe)


def test_hot_pixels_and_a_hot_cluster():
    stack, random = scan(), np.random.default_rng(1)
    places = random.integers(0, 80 * 80, 60)
    stack.values.reshape(30, -1)[:, places] *= random.uniform(1.5, 20, 60).astype(np.float32)
    stack.values[:, 70:74, 20:24] *= 3
    hot = np.zeros(80 * 80)
    hot[places] = 1
    hot = hot.reshape(80, 80)
    hot[70:74, 20:24] = 1
    assert_empty(stack, SAMPLE + hot, least=0.6)


def test_a_sample_that_fills_nearly_all_of_the_field():
    random = np.random.default_rng(2)
    rough = ndimage.gaussian_filter(random.normal(size=(80, 80)), 6)
    film = np.clip(0.8 + 0.25 * rough / rough.std(), 0.1, None) * (1 - disc(20, 60, 10))
    assert (film == 0).mean() < 0.06
    assert_empty(scan(film), film, least=0.3)


def test_a_thin_deposit_beside_the_particles():
    deposit = SAMPLE + 0.06 * disc(62, 20, 16) * (SAMPLE == 0)
    assert_empty(scan(deposit, counts=2000), deposit)


def test_the_hole_of_a_grid_not_its_bar_nor_the_film_on_it():
    film = 0.15 * (1 - disc(40, 40, 26))
    support = 2.0 * (X < 10) + film
    stack = scan(support=support)
    assert_empty(stack, SAMPLE + support, least=0.55)


@pytest.mark.parametrize("counts", [3.0, 1.0])
def test_very_few_counts(counts):
    mask = find_background(scan(counts=counts)).values
    assert mask[SAMPLE == 0].mean() > 0.75
    assert mask[SAMPLE > 0.6].mean() < 0.01
    assert (mask & (SAMPLE > 0)).sum() < 0.02 * mask.sum()


def test_borders_that_drift_has_cropped():
    stack = scan()
    for i in range(30):
        stack.values[i, : i // 3] = np.nan
        stack.values[i, :, 80 - i // 5 :] = np.nan
    mask = find_background(stack).values
    assert not mask[:9].any()
    assert not mask[:, 75:].any()
    assert mask[9:, :75][SAMPLE[9:, :75] == 0].mean() > 0.7


def test_half_of_the_image_was_not_measured():
    stack = scan()
    stack.values[:, :, 40:] = np.nan
    mask = find_background(stack).values
    assert mask[:, :40][SAMPLE[:, :40] == 0].mean() > 0.75


def test_a_hole_in_a_film_is_taken_however_small():
    film = (0.3 + SAMPLE) * (1 - disc(50, 12, 5))
    mask = find_background(scan(film, counts=2000)).values
    assert 16 <= mask.sum() <= (film == 0).sum()
    assert not mask[film > 0].any()


def test_a_hole_that_is_too_small_shows_that_the_rest_is_sample():
    film = (0.3 + SAMPLE) * (1 - disc(50, 12, 1.9))
    with pytest.raises(StackError, match=r"around x 12, y 50 .* by more where the sample absorbs"):
        find_background(scan(film, counts=2000))


def test_a_crack_across_the_whole_film():
    film = (0.5 + SAMPLE) * (abs(X - 74) > 3)
    assert_empty(scan(film), film, least=0.3)


@pytest.mark.parametrize(
    ("thickness", "why"),
    [
        (0.1 + 0.2 * X / 80 + SAMPLE, "uneven .* by more at some energies than at others"),
        (1.2 * np.exp(-((X - 40) ** 2 + (Y - 40) ** 2) / 30**2), "no level stands out"),
        (0.3 + X / 80 + Y / 160, "wedge of sample"),
    ],
    ids=["a wedge of film with particles", "dome", "wedge"],
)
def test_sample_everywhere_is_refused(thickness, why):
    with pytest.raises(StackError, match=f"no empty background.*({why}).*give the region"):
        find_background(scan(thickness))


@pytest.mark.parametrize("shape", [(4, 4), (1, 40), (40, 1), (5, 200)])
def test_odd_shapes_are_found_or_refused(shape):
    values = np.random.default_rng(0).poisson(300, (3, *shape))
    stack = build(
        values, [1.0, 2.0, 3.0], np.arange(shape[0]), np.arange(shape[1]), quantity="counts"
    )
    with pytest.raises(StackError, match="no empty background"):
        find_background(stack)


@pytest.mark.parametrize("rows", [7, 33, 80])
@pytest.mark.parametrize("beam", [1.0, 1 + 0.2 * X / 80], ids=["even", "inclined"])
def test_a_lazy_stack_gives_the_same_in_two_passes(rows, beam, monkeypatch):
    monkeypatch.setattr(background_module, "GRID", 3000)
    stack, reads = scan(beam=beam), []
    chunks = da.from_array(stack.values, chunks=(-1, rows, -1))

    def counting(block):
        reads.append(block.size)
        return block

    lazy = build(
        chunks.map_blocks(counting, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32)),
        ENERGY,
        stack.y,
        stack.x,
        quantity="counts",
    )
    np.testing.assert_array_equal(find_background(lazy), find_background(stack))
    # two passes, and the chunks that hold four rows
    assert sum(reads) <= stack.size * 2 + 4 * 30 * rows * 80


def test_a_large_image_is_looked_at_in_part(monkeypatch):
    """With few frames in the mean image and few pixels to judge by, the answer is the same."""
    whole = find_background(scan()).values
    monkeypatch.setattr(background_module, "VALUES_LOOKED_AT", 0)
    monkeypatch.setattr(background_module, "FRAMES_LOOKED_AT", 10)
    monkeypatch.setattr(background_module, "GRID", 800)
    stack = scan()
    stack.values[1, 70, 40] = 60000  # in a frame that the mean image does not hold
    part = find_background(stack).values
    assert not part[70, 40]
    assert not part[SAMPLE > 0].any()
    assert (part & whole).sum() > 0.9 * whole.sum()


def test_what_was_counted_in_it():
    stack = scan()
    stack.values[4, 70:75, 40] = np.nan
    stack.values[7] = np.nan  # a frame that is missing tells nothing
    field = empty_field(stack)
    expected = np.nanmean(np.where(field.mask, stack.values, np.nan)[[0, 4, 20]], axis=(1, 2))
    np.testing.assert_allclose(field.counted.mean[[0, 4, 20]], expected, rtol=1e-6)
    assert np.isnan(field.counted.mean[7])
    # the thick half of the sample outweighs the thin one
    density = np.log(field.counted.mean / field.sample)
    assert np.corrcoef(np.delete(density, 7), np.delete(ABSORPTION, 7))[0, 1] > 0.99


def test_where_it_is():
    background = find_background(scan())
    text = describe(background)
    assert text.startswith(f"{int(background.sum())} pixels (")
    assert "x 0 to 79, y 0 to 79 µm, centred on x 37" in text


@pytest.mark.parametrize(
    ("ours", "theirs", "cross", "outside"),
    [
        (dilated, ndimage.binary_dilation, False, 0),
        (dilated_cross, ndimage.binary_dilation, True, 0),
        (eroded, ndimage.binary_erosion, False, 1),
        (eroded_inside, ndimage.binary_erosion, False, 0),
        (eroded_cross, ndimage.binary_erosion, True, 0),
    ],
)
@pytest.mark.parametrize("shape", [(30, 40), (1, 9), (9, 1), (2, 2)])
def test_morphology_is_that_of_scipy(ours, theirs, cross, outside, shape):
    mask = np.random.default_rng(0).random(shape) < 0.6
    structure = ndimage.generate_binary_structure(2, 1 if cross else 2)
    expected = theirs(mask, structure=structure, border_value=outside)
    np.testing.assert_array_equal(ours(mask), expected)
