"""Outlines of masks: where they run, what they keep, and the composition beyond them."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, MeshError
from chemoscape.mechanics.outline import fill_outside, sample, to_pixels, trace

PITCH = 0.05


def image(inside, pitch=(PITCH, PITCH), origin=(0.0, 0.0)):
    inside = np.asarray(inside)
    return xr.DataArray(
        inside,
        dims=("y", "x"),
        coords={
            "y": origin[0] + pitch[0] * np.arange(inside.shape[0]),
            "x": origin[1] + pitch[1] * np.arange(inside.shape[1]),
        },
    )


def grid(rows, columns):
    return np.mgrid[:rows, :columns]


@pytest.mark.parametrize("radius", [6.3, 12.4, 30.2])
def test_disk(radius):
    y, x = grid(81, 101)
    outline = trace(image((x - 50.2) ** 2 + (y - 40.4) ** 2 < radius**2))
    (polygon,) = outline.polygons
    assert polygon.is_valid
    assert polygon.exterior.is_ccw
    assert outline.area == pytest.approx(np.pi * (PITCH * radius) ** 2, rel=0.02)
    assert polygon.centroid.x == pytest.approx(50.2 * PITCH, abs=0.5 * PITCH)
    assert polygon.centroid.y == pytest.approx(40.4 * PITCH, abs=0.5 * PITCH)
    assert len(polygon.exterior.coords) < 4 * radius  # the raw contour has about 8 R


def test_contours_run_half_way_between_pixels():
    inside = np.zeros((12, 20), bool)
    inside[3:9, 5:15] = True
    (polygon,) = trace(image(inside, pitch=(0.1, 0.2), origin=(5.0, -3.0))).polygons
    assert polygon.bounds == pytest.approx((-3 + 0.9, 5 + 0.25, -3 + 2.9, 5 + 0.85))


def test_particle_that_touches_the_border_is_closed_there():
    y, x = grid(40, 60)
    (polygon,) = trace(image(x**2 + y**2 < 30**2)).polygons
    assert polygon.bounds[:2] == pytest.approx((-PITCH / 2, -PITCH / 2))
    (whole,) = trace(image(np.ones((40, 60), bool))).polygons
    assert whole.area == pytest.approx(40 * 60 * PITCH**2, rel=1e-3)


def test_holes_and_particles_in_holes():
    y, x = grid(101, 101)
    r = np.hypot(x - 50, y - 50)
    ring, disk = trace(image((r < 45) & (r > 25) | (r < 12))).polygons
    assert len(ring.interiors) == 1
    assert not disk.interiors
    assert ring.area == pytest.approx(np.pi * (45**2 - 25**2) * PITCH**2, rel=0.02)
    assert not ring.intersects(disk)


def test_two_particles_joined_by_a_line_one_pixel_wide():
    y, x = grid(60, 120)
    inside = (np.hypot(x - 30, y - 30) < 20) | (np.hypot(x - 90, y - 30) < 20)
    inside |= (y == 30) & (x > 30) & (x < 90)
    outline = trace(image(inside))
    assert len(outline.polygons) == 2
    assert 15 < outline.pixels_cut < 30


def test_corner_contact_separates_particles():
    inside = np.zeros((40, 40), bool)
    inside[5:20, 5:20] = inside[20:35, 20:35] = True
    first, second = trace(image(inside)).polygons
    assert not first.intersects(second)


def test_small_islands_and_holes_go_and_are_counted():
    inside = np.zeros((100, 100), bool)
    inside[10:90, 10:90] = True
    inside[40:43, 40:43] = False  # 9 pixels: filled
    inside[60:64, 60:64] = False  # 16 pixels: kept
    inside[2:5, 2:5] = True  # 9 pixels: dropped
    outline = trace(image(inside))
    assert (outline.islands_dropped, outline.holes_filled) == (1, 1)
    assert [len(polygon.interiors) for polygon in outline.polygons] == [1]


def test_losing_much_of_the_mask_is_said():
    inside = np.zeros((40, 40), bool)
    inside[5:25, 5:15] = True
    inside[10:15, 30:35] = True
    with pytest.warns(ChemoscapeWarning, match="11.1% of the mask.*1 particles below 30 pixels"):
        trace(image(inside))


@pytest.mark.parametrize(
    ("inside", "match"),
    [
        (np.zeros((10, 10), bool), "holds no pixel"),
        (np.ones((1, 50), bool), "no particle of 30 pixels"),
        (np.eye(50, dtype=bool), "no particle of 30 pixels"),
    ],
)
def test_nothing_to_mesh(inside, match):
    with pytest.raises(MeshError, match=match):
        trace(image(inside))


def test_noisy_masks_give_valid_disjoint_polygons():
    rng = np.random.default_rng(0)
    y, x = grid(80, 80)
    for share in (0.02, 0.1, 0.3, 0.45):
        inside = (np.hypot(x - 40, y - 40) < 35) ^ (rng.random((80, 80)) < share)
        with pytest.warns(ChemoscapeWarning):
            polygons = trace(image(inside), smallest_particle_px=5, smallest_hole_px=2).polygons
        assert shapely.is_valid(polygons).all()
        tree = shapely.STRtree(polygons)
        first, second = tree.query(polygons, predicate="intersects")
        assert (first == second).all()


def test_composition_is_continued_without_a_false_rim():
    y, x = grid(30, 30)
    inside = np.hypot(x - 15, y - 15) < 10
    values = np.where(inside, 0.3 + 0.01 * x, np.nan)
    filled = fill_outside(values, inside)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[inside], values[inside])
    # the nearest pixel inside is never further along x than the pixel itself
    assert filled.min() == values[inside].min()
    assert filled.max() == values[inside].max()
    with pytest.raises(MeshError, match="finite composition"):
        fill_outside(np.full((3, 3), np.nan), np.ones((3, 3), bool))


def test_sampling_is_bilinear_in_micrometres():
    axes = image(np.ones((20, 30), bool), pitch=(0.1, 0.2), origin=(5.0, -3.0))
    plane = 2.0 + 3.0 * axes.y.values[:, None] - 1.5 * axes.x.values[None, :]
    rng = np.random.default_rng(1)
    points = np.column_stack([rng.uniform(-3, 2.8, 50), rng.uniform(5, 6.9, 50)])
    expected = 2.0 + 3.0 * points[:, 1] - 1.5 * points[:, 0]
    np.testing.assert_allclose(sample(plane, points, axes), expected, atol=1e-12)
    assert to_pixels(np.array([[-3.1, 5.05]]), axes).tolist() == [pytest.approx([-0.5, 0.5])]


def test_pixels_without_a_value_are_outside():
    inside = np.ones((20, 30))
    inside[:, :10] = np.nan
    (polygon,) = trace(image(inside)).polygons
    assert polygon.bounds[0] == pytest.approx(9.5 * PITCH)


def test_dims_may_come_in_either_order():
    y, x = grid(40, 60)
    mask = image(np.hypot(x - 30, y - 12) < 9)
    assert trace(mask).polygons == trace(mask.transpose("x", "y")).polygons


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda mask: mask.isel(x=0), "the mask has dims"),
        (lambda mask: mask.rename(x="z"), "the mask has dims"),
        (lambda mask: mask.isel(x=[]), "shape"),
        (lambda mask: mask.isel(y=slice(None, None, -1)), "'y' of the mask does not ascend"),
        (lambda mask: mask.assign_coords(x=np.full(30, np.nan)), "'x' of the mask"),
    ],
)
def test_masks_that_are_no_map(change, match):
    with pytest.raises(MeshError, match=match):
        trace(change(image(np.ones((20, 30), bool))))


def test_cut_corners_that_count_are_said():
    inside = np.zeros((30, 30), bool)
    inside[::2, ::2] = True
    how = {"smallest_particle_px": 1, "smallest_hole_px": 1, "neck_px": 1}
    with pytest.warns(ChemoscapeWarning, match="outlines enclose 50% less"):
        outline = trace(image(inside), **how)
    assert len(outline.polygons) == 225
    assert outline.area == pytest.approx(225 * PITCH**2 / 2)
