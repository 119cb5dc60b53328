"""Tiles: what is cut and put together again is what it was."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from chemoscape.errors import StackError
from chemoscape.particles import generator, shapes, tiles
from chemoscape.particles.masks import Instances, from_crops, from_dense, intersection_over_union


def connected(found: Instances) -> Instances:
    """Without wires that leave the image and come back: no tile can know that these are one."""
    eight = np.ones((3, 3), int)
    parts = [ndimage.label(crop, eight)[1] for crop in found.crops]
    return found.take(np.flatnonzero(np.array(parts) == 1))


@pytest.fixture(scope="module")
def truth() -> Instances:
    rng = np.random.default_rng(7)
    wires = generator.sample_wires(rng, (40.96, 40.96), 160)
    # wires longer than the overlap of any tiling, at steep and at flat angles
    for k, angle in enumerate((0.0, 0.03, 0.8, np.pi / 2, 2.4, 3.1)):
        wires.append(shapes.Wire(6.0 + 5 * k, 20.0, 24.0 + k, 0.25, angle, bend=0.01))
    shape = (1024, 1024)
    placed = [mask for wire in wires if (mask := shapes.outline(wire, shape, 0.04)) is not None]
    everything = connected(from_crops(shape, placed, np.ones(len(placed))))
    assert max(everything.boxes[:, 2] - everything.boxes[:, 0]) > 500
    return everything


def pixels(found: Instances) -> list[tuple[int, int, bytes, tuple[int, ...]]]:
    """Masks in a form that can be sorted and compared."""
    return sorted(
        (int(row), int(column), crop.tobytes(), crop.shape)
        for (row, column), crop in zip(found.corners, found.crops, strict=True)
    )


def cut_up(found: Instances, windows: list[tuple[slice, slice]]):
    return [
        ((rows.start, columns.start), tiles.cut(found, rows, columns)) for rows, columns in windows
    ]


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    size=st.integers(2, 300),
    data=st.data(),
)
def test_tiles_cover_the_map_and_overlap(shape, size, data):
    overlap = data.draw(st.integers(1, size - 1))
    for axis, length in enumerate(shape):
        parts = sorted({(t[axis].start, t[axis].stop) for t in tiles.tiles(shape, size, overlap)})
        assert parts[0][0] == 0
        assert parts[-1][1] == length
        assert all(stop - start == min(size, length) for start, stop in parts)
        assert all(one[1] - two[0] >= overlap for one, two in pairwise(parts))


def test_a_small_map_is_one_tile():
    assert tiles.tiles((300, 512)) == [(slice(0, 300), slice(0, 512))]


@pytest.mark.parametrize(("size", "overlap"), [(64, 64), (64, 0), (64, 90)])
def test_impossible_overlaps_are_refused(size, overlap):
    with pytest.raises(StackError, match=r"overlap.*; give an overlap"):
        tiles.tiles((100, 100), size, overlap)


def test_cut_is_the_window_of_the_dense_masks(truth):
    few = truth.take(np.arange(0, len(truth), 5))
    rows, columns = slice(300, 512), slice(700, 1024)
    wanted = few.dense()[:, rows, columns]
    wanted = wanted[wanted.any((1, 2))]
    np.testing.assert_array_equal(tiles.cut(few, rows, columns).dense(), wanted)


@settings(max_examples=10, deadline=None)
@given(size=st.integers(240, 1100), share=st.floats(0.12, 0.7))
def test_cutting_the_truth_and_stitching_gives_it_back(truth, size, share):
    overlap = max(24, int(size * share))
    stitched = tiles.stitch(cut_up(truth, tiles.tiles(truth.shape, size, overlap)), truth.shape)
    assert pixels(stitched) == pixels(truth)
    assert (stitched.scores == 1).all()


@pytest.mark.parametrize("seed", range(4))
def test_ensembles_come_back(seed):
    rng = np.random.default_rng(seed)
    shape, pixel_um = (1024, 1024), 0.04
    wires = generator.sample_wires(rng, (40.96, 40.96), 250, gathered=0.8)
    found = connected(generator.visible(wires, shape, pixel_um, 1000.0)[0])
    stitched = tiles.stitch(cut_up(found, tiles.tiles(shape)), shape)
    assert pixels(stitched) == pixels(found)


def test_the_order_of_tiles_does_not_matter(truth):
    rng = np.random.default_rng(3)
    noisy = Instances(truth.shape, truth.corners, truth.crops, rng.uniform(0.3, 1, len(truth)))
    parts = []
    for corner, seen in cut_up(noisy, tiles.tiles(truth.shape, 300, 100)):
        kept = rng.random(len(seen)) > 0.15  # a tile misses some, and shifts the others
        moved = [
            (crop, tuple(place + rng.integers(-1, 2, 2)))
            for crop, place in zip(seen.crops, seen.corners, strict=True)
        ]
        shifted = from_crops(seen.shape, moved, seen.scores)
        parts.append((corner, shifted.take(np.flatnonzero(kept[: len(shifted)]))))
    first = tiles.stitch(parts, truth.shape)
    for _ in range(3):
        again = tiles.stitch([parts[k] for k in rng.permutation(len(parts))], truth.shape)
        np.testing.assert_array_equal(again.corners, first.corners)
        np.testing.assert_array_equal(again.scores, first.scores)
        assert pixels(again) == pixels(first)


def test_one_tile_is_the_whole(truth):
    alone = tiles.stitch([((0, 0), truth)], truth.shape)
    assert pixels(alone) == pixels(truth)


def test_no_tile_and_empty_tiles_hold_nothing():
    assert len(tiles.stitch([], (30, 40))) == 0
    empty = Instances((20, 20))
    stitched = tiles.stitch([((0, 0), empty), ((10, 0), empty)], (30, 20))
    assert len(stitched) == 0
    assert stitched.shape == (30, 20)


def bar(shape, rows, columns, score=1.0):
    mask = np.zeros((1, *shape), bool)
    mask[0, rows, columns] = True
    return from_dense(mask, [score])


def test_a_cut_piece_yields_to_the_whole_particle_seen_next_door():
    left = bar((40, 60), slice(10, 16), slice(35, 60), 0.99)
    right = bar((40, 60), slice(10, 16), slice(5, 40), 0.7)
    stitched = tiles.stitch([((0, 0), left), ((0, 30), right)], (40, 90), margin=2)
    assert stitched.areas.tolist() == [6 * 35]
    assert stitched.scores.tolist() == [0.7]


def test_a_wire_cut_in_both_tiles_is_the_union_of_its_pieces():
    left = bar((40, 60), slice(10, 16), slice(2, 60), 0.9)
    right = bar((40, 60), slice(11, 17), slice(0, 50), 0.6)
    stitched = tiles.stitch([((0, 0), left), ((0, 30), right)], (40, 90), margin=2)
    assert stitched.areas.tolist() == [58 * 6 + 50 * 6 - 30 * 5]
    assert stitched.scores[0] == pytest.approx((58 * 0.9 + 50 * 0.6) / 108)


def test_of_two_whole_views_the_better_one_is_kept():
    left = bar((40, 60), slice(10, 16), slice(36, 52), 0.6)
    right = bar((40, 60), slice(9, 16), slice(6, 22), 0.8)
    stitched = tiles.stitch([((0, 0), left), ((0, 30), right)], (40, 90), margin=2)
    assert stitched.areas.tolist() == [7 * 16]
    assert stitched.scores.tolist() == [0.8]


def test_a_fragment_at_an_edge_goes_into_what_holds_it():
    left = bar((40, 60), slice(10, 16), slice(50, 60), 0.9)  # the end of a long wire, no more
    right = bar((40, 60), slice(10, 16), slice(4, 55), 0.8)
    stitched = tiles.stitch([((0, 0), left), ((0, 30), right)], (40, 90), margin=2)
    assert stitched.areas.tolist() == [6 * 51]


def test_a_stub_on_a_wire_stays_a_particle():
    both = np.zeros((2, 40, 60), bool)
    both[0, 10:16, 36:56] = True
    both[1, 11:15, 40:50] = True
    left, right = from_dense(both), from_dense(np.roll(both, -30, axis=2))
    stitched = tiles.stitch([((0, 0), left), ((0, 30), right)], (40, 90), margin=2)
    assert sorted(stitched.areas) == [40, 120]


def test_a_few_shared_pixels_do_not_join_two_long_wires():
    left = bar((60, 60), slice(57, 60), slice(0, 33))
    right = bar((60, 60), slice(27, 60), slice(0, 3))
    # each tile misses the other's wire; the 3 × 3 pixels of the corner are the same
    assert len(tiles.stitch([((0, 0), left), ((30, 30), right)], (90, 90), margin=2)) == 2


@pytest.mark.parametrize(("size", "overlap"), [(512, 192), (300, 128)])
def test_views_that_differ_by_a_pixel_are_one_particle(size, overlap):
    rng = np.random.default_rng(1)
    shape = (1024, 1024)
    wires = generator.sample_wires(rng, (40.96, 40.96), 250, gathered=0.7)
    truth = generator.visible(wires, shape, 0.04, 1000.0)[0]
    parts = []
    for rows, columns in tiles.tiles(shape, size, overlap):
        seen = tiles.cut(truth, rows, columns)
        placed = []
        for corner, crop in zip(seen.corners, seen.crops, strict=True):
            if rng.random() < 0.05:  # missed
                continue
            kind, moved = rng.integers(6), rng.integers(0, 2, 2) * (rng.random() < 0.5)
            mask = np.pad(crop, 1)
            if kind == 0 and crop.sum() > 200:
                mask = ndimage.binary_erosion(mask)
            elif kind == 1:
                mask = ndimage.binary_dilation(mask)
            placed.append((mask, tuple(corner - 1 + moved)))
        found = from_crops(seen.shape, placed, rng.uniform(0.5, 1, len(placed)))
        parts.append(((rows.start, columns.start), found))
    stitched = tiles.stitch(parts, shape)
    alike = intersection_over_union(truth, stitched)
    one, other = linear_sum_assignment(-alike)
    good = alike[one, other] > 0.5
    assert good.sum() > 0.9 * len(truth)
    assert len(stitched) < 1.08 * len(truth)  # seen up to four times, together


def test_a_tile_outside_the_map_is_refused():
    with pytest.raises(StackError, match=r"does not lie in a map of 50 × 50; cut the map"):
        tiles.stitch([((20, 0), Instances((40, 40)))], (50, 50))


def test_memory_does_not_grow_as_particles_times_pixels():
    shape = (6000, 6000)
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 5900, (2000, 2))
    crops = tuple(np.ones((40, 6), bool) for _ in corners)
    found = Instances(shape, corners, crops, np.ones(2000))
    parts = cut_up(found, tiles.tiles(shape))
    tracemalloc.start()
    stitched = tiles.stitch(parts, shape)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(stitched) == 2000
    assert peak < 40e6  # one map of bytes is 36 MB, all the masks dense would be 72 GB
