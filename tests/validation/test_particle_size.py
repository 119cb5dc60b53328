"""Projected areas of isolated wires: bias of the fit, of the mask and of the half-maximum.

Straight wires of 160 to 400 nm at random angles and sub-pixel places, optical density 0.3 to 0.8,
seen with a resolution of 80 nm and 1500 counts, in pixels of 40 and 80 nm. The truth is laid down
on a grid of 5 nm.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import ndimage

from chemoscape.errors import ChemoscapeError
from chemoscape.particles import generator, shapes
from chemoscape.particles.geometry import psf_sizes
from chemoscape.particles.maps import checked
from chemoscape.particles.masks import from_crops, intersection_over_union
from chemoscape.particles.segmentation import _brought_back, _network
from chemoscape.particles.table import instances_of, particle_table

FWHM, FINE_UM, CELL_UM, SIDE = 0.08, 0.005, 4.0, 4


def field(rng, pixel, profiles):
    """Wires, each alone in its cell: image, masks and wires."""
    wires = []
    for k in range(SIDE**2):
        width = rng.uniform(2 * FWHM, 5 * FWHM)
        y, x = (np.array(divmod(k, SIDE)) + 0.5) * CELL_UM + rng.uniform(-0.2, 0.2, 2)
        wires.append(
            shapes.Wire(
                float(y),
                float(x),
                rng.uniform(2.0, 2.8),
                width,
                rng.uniform(0, np.pi),
                profiles[k % len(profiles)],
                rng.uniform(0.3, 0.8),
                bluntness=200.0,
            )
        )
    size, bins = round(SIDE * CELL_UM / pixel), round(pixel / FINE_UM)
    density = shapes.density_of(wires, (size * bins, size * bins), FINE_UM)
    image = generator.measured_density(rng, density, FINE_UM, FWHM, 1500.0, bins)
    outlines = [shapes.outline(wire, image.shape, pixel) for wire in wires]
    return image, from_crops(image.shape, outlines, np.ones(len(wires))), wires


@lru_cache
def fields(pixel, kind):
    rng = np.random.default_rng([round(1000 * pixel), len(kind)])
    profiles = ("flat", "round") if kind == "mixture" else (kind,)
    return [field(rng, pixel, profiles) for _ in range(2)]


def ratios(pixel, kind, masks_of=None):
    """Areas over the true ones (right profile, chosen profile, mask), z, choice, width in FWHM."""
    rows = []
    for image, instances, wires in fields(pixel, kind):
        masks = instances if masks_of is None else masks_of(image, pixel)
        table = psf_sizes(particle_table(masks, image, pixel), image, FWHM)
        shared = intersection_over_union(instances_of(table), instances)
        for k in np.flatnonzero(shared.max(1) > 0.5):
            wire, size = wires[shared[k].argmax()], table.isel(particle=k)
            name = {"flat": "box", "round": "elliptic"}[wire.profile]
            areas = [size[f"area_{which}"].item() for which in (name, "psf", "raw")]
            error = (areas[0] - wire.area) / size["area_psf_sd"].item()
            right = size["profile"].item() == name
            rows.append([*(area / wire.area for area in areas), error, right, wire.width / FWHM])
    return np.array(rows, float)


@pytest.mark.parametrize("pixel", [0.04, 0.08])
@pytest.mark.parametrize("kind", ["flat", "round"])
def test_a_matching_profile_is_unbiased(pixel, kind, reach):
    found = ratios(pixel, kind)
    assert np.isfinite(found).all()
    bias = abs(found[:, 0].mean() - 1)
    reach("size of single wires", "bias of area, matching profile", bias, most=0.01)
    assert found[:, 0].std() <= 0.025
    assert found[found[:, 5] > 3, 4].mean() >= 0.9
    assert (abs(found[:, 3]) <= 1.96).mean() >= 0.8


@pytest.mark.parametrize("pixel", [0.04, 0.08])
def test_a_mixture_is_unbiased_after_the_choice(pixel, reach):
    found = ratios(pixel, "mixture")
    assert np.isfinite(found).all()
    bias = abs(found[:, 1].mean() - 1)
    what = "bias of area, chosen profile, half of the wires round and half flat"
    reach("size of single wires", what, bias, most=0.03)


def grown(steps):
    """Masks that are too large, or too small, by so many pixels all around."""

    def masks_of(image, pixel):
        (instances,) = (masks for seen, masks, _ in fields(pixel, "mixture") if seen is image)
        placed = []
        for crop, (row, column) in zip(instances.crops, instances.corners, strict=True):
            padded = np.pad(crop, 2)
            change = ndimage.binary_dilation if steps > 0 else ndimage.binary_erosion
            placed.append((change(padded, iterations=abs(steps)), (row - 2, column - 2)))
        return from_crops(instances.shape, placed, instances.scores)

    return masks_of


@pytest.mark.parametrize("steps", [1, -1])
def test_the_area_does_not_depend_on_how_generous_the_masks_are(steps):
    found = ratios(0.04, "mixture", grown(steps))
    assert abs(found[:, 2].mean() - 1) > 0.2  # the masks are wrong indeed
    assert abs(found[:, 0].mean() - 1) <= 0.01
    assert abs(found[:, 1].mean() - 1) <= 0.03


@pytest.mark.parametrize("pixel", [0.04, 0.08])
def test_half_of_the_maximum_is_biased(pixel):
    # why a fit is needed: at half of the maximum the area of round wires is a tenth too small
    shares = []
    for image, instances, wires in fields(pixel, "round"):
        for wire, window, crop in zip(
            wires,
            (instances.window(k) for k in range(len(wires))),
            instances.crops,
            strict=True,
        ):
            inside = image[window][crop]
            level = (np.median(image) + np.percentile(inside, 75)) / 2
            shares.append((inside > level).sum() * pixel**2 / wire.area)
    assert np.mean(shares) < 0.9


@pytest.mark.parametrize("pixel", [0.04, 0.08])
def test_masks_of_the_network_give_the_same(pixel):
    try:
        from chemoscape.particles.maskrcnn.inference import Detector

        detector = Detector.open()
    except ChemoscapeError as error:
        pytest.skip(str(error))

    def masks_of(image, pixel):
        seen = checked(image, pixel)
        found = _network(seen, detector, None)
        found = found.take(found.scores >= detector.threshold)
        return _brought_back(found, image.shape, seen.missing)

    found = ratios(pixel, "mixture", masks_of)
    found = found[np.isfinite(found[:, 0])]
    assert len(found) >= 0.9 * 2 * SIDE**2
    assert abs(found[:, 0].mean() - 1) <= 0.01
    assert abs(found[:, 1].mean() - 1) <= 0.03
