"""The network that comes with the program, on held-out ensembles: floors that a release must keep.

The published-size figures, on a hundred images of each condition, stand in its model card; these
few images guard against a broken file, a wrong constant, a changed order of anchors.
"""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.particles import evaluation, generator, shapes
from chemoscape.particles.segmentation import finder, segment

pytest.importorskip("onnxruntime", reason="the extra segment is not installed")


@pytest.fixture(scope="module")
def scores():
    find, threshold = finder("maskrcnn")
    held = ("40 nm", "80 nm", "low counts")
    return evaluation.evaluate(find, held, n_images=10, threshold=threshold)


@pytest.mark.parametrize("condition", ["40 nm", "80 nm", "low counts"])
def test_floors_of_a_release(scores, condition, reach):
    got = scores.conditions[condition]
    case = "particles found by the network"
    reach(case, f"AP50, {condition}, 10 images", got.ap50, least=0.70)
    reach(case, f"AP, {condition}, 10 images", got.ap, least=0.40)
    reach(case, f"PQ, {condition}, 10 images", got.pq, least=0.55)


def test_goals_on_all_images_together(scores, reach):
    case = "particles found by the network"
    reach(case, "AP50, all 30 held-out images", scores.pooled.ap50, least=0.80, aim=0.85)
    reach(case, "AP, all 30 held-out images", scores.pooled.ap, least=0.40, aim=0.55)
    reach(case, "PQ, all 30 held-out images", scores.pooled.pq, least=0.65, aim=0.68)
    assert abs(scores.pooled.area_error) <= 0.05


def test_turned_and_mirrored_images_give_the_same_particles():
    """Nothing in the network knows up from down: areas agree though no weight is symmetric."""
    find, threshold = finder("maskrcnn")
    image = generator.make_ensemble(
        np.random.default_rng(10_000_002), n_wires=8, gathered=0.2, counts=3000.0
    ).image
    areas = []
    for turned in (image, image[::-1].copy(), np.rot90(image).copy()):
        found = find(turned, 0.04)
        areas.append(np.sort(found.areas[found.scores >= threshold])[::-1])
    assert len({len(one) for one in areas}) == 1
    for other in areas[1:]:
        np.testing.assert_allclose(other, areas[0], rtol=0.05)


def test_a_map_larger_than_a_tile_has_no_seams():
    """Wires across the seams of tiles are found once and whole."""
    rng = np.random.default_rng(10_000_002)
    wires = [
        shapes.Wire(12.8, 4.0 + 5 * k, 8.0, 0.3, angle, optical_density=0.8)
        for k, angle in enumerate((0.2, 1.57, 2.6, 0.0, 1.2))
    ]
    fine = shapes.density_of(wires, (1280, 1280), 0.02)
    image = generator.measured_density(rng, fine, 0.02, counts=3000.0, bins=2)
    table = segment(image, "maskrcnn", pixel_um=0.04)
    truth = sorted(wire.area for wire in wires)
    assert table.sizes["particle"] == len(wires)
    np.testing.assert_allclose(sorted(table["area_raw"].values), truth, rtol=0.2)


def test_noise_alone_holds_no_particle():
    find, threshold = finder("maskrcnn")
    for seed in range(3):
        image = np.random.default_rng(seed).normal(0, 0.05, (256, 256)).astype(np.float32)
        assert (find(image, 0.04).scores >= threshold).sum() == 0
    assert len(find(np.zeros((128, 128), np.float32), 0.04)) == 0
