"""Wires found by thresholds and skeletons, against drawn truth."""

import numpy as np
import pytest

from chemoscape.particles.classical import find_wires
from chemoscape.particles.generator import make_ensemble, measured_density
from chemoscape.particles.masks import Instances, from_crops, intersection_over_union
from chemoscape.particles.scaling import rescaled
from chemoscape.particles.shapes import Wire, density_of, outline

PIXEL = 0.04


def wire(y, x, degrees, length=4.0, width=0.25, **more):
    return Wire(y, x, length, width, np.deg2rad(degrees), **more)


def seen(wires, shape=(128, 128), pixel_um=PIXEL, counts=1500.0, seed=3, fine=2):
    """Image and truth of wires on an even background."""
    grid = (shape[0] * fine, shape[1] * fine)
    density = density_of(wires, grid, pixel_um / fine)
    rng = np.random.default_rng(seed)
    image = measured_density(rng, density, pixel_um / fine, 0.08, counts, fine, background=0)
    placed = [outline(one, shape, pixel_um) for one in wires]
    return image, from_crops(shape, placed, np.ones(len(placed)))


def sure(found: Instances, least: float = 0.3) -> Instances:
    return found.take(found.scores > least)


def disc(radius_um=0.6, size=96):
    y, x = (np.mgrid[:size, :size] - size / 2 + 0.5) * PIXEL
    density = 0.6 * (np.hypot(y, x) < radius_um)
    rng = np.random.default_rng(5)
    return measured_density(rng, density, PIXEL, background=0), density > 0


@pytest.mark.parametrize("second", [20, 50, 110, 160])
def test_crossing_wires_are_two_whole_masks(second):
    image, truth = seen([wire(2.5, 2.6, 75), wire(2.6, 2.4, second, optical_density=0.35)])
    found = sure(find_wires(image, PIXEL))
    assert len(found) == 2
    assert intersection_over_union(found, truth).max(0).min() >= 0.8
    assert found.layers().max() == 2


def test_wires_apart_are_found_one_by_one():
    image, truth = seen([wire(1.2 + 0.9 * one, 2.5, 8) for one in range(4)])
    found = sure(find_wires(image, PIXEL))
    assert len(found) == 4
    assert intersection_over_union(found, truth).max(0).min() >= 0.8


@pytest.mark.parametrize("bend", [0.06, 0.12])
def test_a_bent_wire_is_one(bend):
    image, truth = seen([wire(2.6, 2.5, 30, bend=bend)])
    found = sure(find_wires(image, PIXEL))
    assert len(found) == 1
    assert intersection_over_union(found, truth).max() >= 0.8


def test_a_bent_wire_goes_on_through_a_crossing():
    image, truth = seen([wire(2.6, 2.5, 10, bend=0.1), wire(2.6, 2.4, 95)])
    found = sure(find_wires(image, PIXEL))
    assert len(found) == 2
    assert intersection_over_union(found, truth).max(0).min() >= 0.75


def test_two_wires_end_to_end_at_an_angle_are_two():
    image, truth = seen([wire(1.5, 1.5, 45, length=3.0), wire(1.5, 3.5, 135, length=3.0)])
    found = sure(find_wires(image, PIXEL))
    assert len(found) == 2
    assert intersection_over_union(found, truth).max(0).min() >= 0.6


def test_a_faint_wire_beside_a_bright_clump_is_found():
    clump = [wire(3.8, 3.8, 30 * one, 1.8, 0.7, optical_density=1.2) for one in range(5)]
    faint = wire(1.5, 1.6, 130, length=3.0, width=0.15, optical_density=0.15)
    image, truth = seen([*clump, faint])
    found = find_wires(image, PIXEL)
    assert intersection_over_union(found, truth)[:, -1].max() >= 0.5


@pytest.mark.parametrize("shape", [(128, 128), (1, 1), (3, 70), (40, 5)])
def test_nothing_is_found_in_noise_or_in_a_constant(shape):
    noise = np.random.default_rng(1).normal(0.1, 0.03, shape)
    assert not len(find_wires(noise, PIXEL))
    for level in (0.0, 0.3, -7e4):
        none = find_wires(np.full(shape, level), PIXEL)
        assert not len(none)
        assert none.shape == shape


def test_a_slow_background_is_no_particle():
    y, x = np.mgrid[:128, :128] / 128
    image = np.random.default_rng(2).normal(0, 0.02, (128, 128)) + 0.1 * np.sin(2 * y + x)
    assert not len(find_wires(image, PIXEL))


def test_one_disc_is_one_particle():
    image, truth = disc()
    found = find_wires(image, PIXEL)
    assert len(found) == 1
    assert (
        intersection_over_union(
            found, Instances(truth.shape, np.zeros((1, 2), int), (truth,), np.ones(1))
        ).max()
        >= 0.7
    )


def scene():
    return [
        wire(2.5, 2.6, 75),
        wire(2.6, 2.4, 20, optical_density=0.4),
        wire(0.8, 4.0, 100, length=1.4),
        wire(4.3, 4.0, 150, length=1.5),
    ]


def test_a_finer_sampling_finds_the_same_particles():
    fine, truth = seen(scene(), (256, 256), 0.02, counts=2500.0, fine=1)
    coarse, _ = seen(scene(), counts=2500.0)
    small, large = sure(find_wires(coarse, 0.04)), sure(find_wires(fine, 0.02))
    assert len(small) == len(large) == len(truth)
    grown = from_crops(
        truth.shape,
        [
            (crop.repeat(2, 0).repeat(2, 1), (2 * int(row), 2 * int(column)))
            for crop, (row, column) in zip(small.crops, small.corners, strict=True)
        ],
        small.scores,
    )
    assert intersection_over_union(grown, large).max(0).min() >= 0.8


@pytest.mark.parametrize("factor", [0.7, 1.5])
def test_only_ratios_of_lengths_matter_for_plain_scenes(factor):
    image, _ = seen(scene())
    plain = sure(find_wires(image, PIXEL, 0.08))
    scaled = sure(find_wires(image, PIXEL * factor, 0.08 * factor))
    assert len(plain) == len(scaled)
    assert intersection_over_union(plain, scaled).max(0).min() >= 0.85


@pytest.mark.parametrize("gain", [1e-6, 1e5])
def test_the_unit_of_the_map_does_not_matter(gain):
    image, _ = seen(scene())
    plain, scaled = find_wires(image, PIXEL), find_wires(gain * (image - 3), PIXEL)
    sure_plain, sure_scaled = sure(plain), sure(scaled)
    assert len(sure_plain) == len(sure_scaled)
    assert intersection_over_union(sure_plain, sure_scaled).max(0).min() >= 0.95


@pytest.mark.parametrize(
    "turned",
    [lambda a: np.rot90(a), lambda a: np.rot90(a, 2), lambda a: a.T, lambda a: a[:, ::-1]],
    ids=["quarter", "half", "transposed", "mirrored"],
)
def test_a_turned_image_gives_turned_masks(turned):
    image, _ = seen(scene())
    plain, other = sure(find_wires(image, PIXEL)), sure(find_wires(turned(image), PIXEL))
    assert len(plain) == len(other) == 4
    expected = [(turned(mask), (0, 0)) for mask in plain.dense()]
    expected = from_crops(other.shape, expected, plain.scores)
    assert intersection_over_union(expected, other).max(0).min() >= 0.9


def test_scores_rank_and_lie_between_0_and_1():
    ensemble = make_ensemble(np.random.default_rng(900_100))
    found = find_wires(ensemble.image, ensemble.pixel_um, ensemble.fwhm_um)
    assert np.all((found.scores > 0) & (found.scores <= 1))
    assert np.all(np.diff(found.scores) <= 0)
    best = intersection_over_union(found, ensemble.instances).max(1)
    half = len(found) // 2
    assert best[:half].mean() > best[half:].mean()


def test_ensembles_apart_from_the_training_are_found():
    hits = total = 0
    for seed in range(900_200, 900_206):
        ensemble = make_ensemble(np.random.default_rng(seed), counts=1000.0)
        found = find_wires(ensemble.image, ensemble.pixel_um, ensemble.fwhm_um)
        best = intersection_over_union(found, ensemble.instances).max(0)
        hits, total = hits + int((best > 0.5).sum()), total + len(best)
    assert hits / total >= 0.6


def test_the_input_is_left_alone():
    image, _ = seen(scene())
    before = image.copy()
    find_wires(image, PIXEL)
    np.testing.assert_array_equal(image, before)
    assert find_wires(rescaled(image, (64, 64)), 2 * PIXEL).shape == (64, 64)
