"""Sparse masks against the same sums on dense arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chemoscape.particles.masks import (
    Instances,
    from_crops,
    from_dense,
    from_labels,
    intersection_over_union,
    intersections,
    suppress,
)

SHAPE = (7, 9)
stacks = st.integers(0, 5).flatmap(lambda n: arrays(bool, (n, *SHAPE)))


def scored(draw_masks, values):
    """Instances of some masks with scores from a short list, so that some are equal."""
    rng = np.random.default_rng(values)
    return from_dense(draw_masks, rng.integers(0, 4, len(draw_masks)) / 4)


@given(stacks)
def test_dense_masks_come_back_as_they_went(masks):
    found = from_dense(masks, np.arange(len(masks)) / 10)
    kept = masks.any((1, 2))
    np.testing.assert_array_equal(found.dense(), masks[kept])
    np.testing.assert_array_equal(found.scores, np.flatnonzero(kept) / 10)
    np.testing.assert_array_equal(found.areas, masks[kept].sum((1, 2)))
    np.testing.assert_array_equal(found.layers(), masks.sum(0))
    assert len(found) == kept.sum()


@given(stacks)
def test_crops_and_boxes_are_tight(masks):
    found = from_dense(masks)
    for one, mask, box, crop in zip(
        range(len(found)), found.dense(), found.boxes, found.crops, strict=True
    ):
        rows, columns = np.nonzero(mask)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_array_equal(box, edges)
        np.testing.assert_array_equal(mask[found.window(one)], crop)


@given(stacks, stacks)
def test_overlaps_equal_dense_arithmetic(first, second):
    a, b = from_dense(first), from_dense(second)
    one, other = a.dense()[:, None], b.dense()[None]
    shared, either = (one & other).sum((2, 3)), (one | other).sum((2, 3))
    np.testing.assert_array_equal(intersections(a, b), shared)
    expected = shared / np.maximum(either, 1)
    np.testing.assert_allclose(intersection_over_union(a, b), expected, rtol=0, atol=1e-15)


@given(stacks, st.integers(0, 99), st.floats(0, 1))
def test_suppression_keeps_the_best_and_drops_only_what_it_covers(masks, seed, threshold):
    found = scored(masks, seed)
    kept = suppress(found, threshold)
    assert np.all(np.diff(kept.scores) <= 0)
    among = intersection_over_union(kept, kept)
    assert np.all(among[~np.eye(len(kept), dtype=bool)] <= threshold)
    np.testing.assert_array_equal(suppress(kept, threshold).dense(), kept.dense())
    covers = intersection_over_union(found, kept)
    better = kept.scores[None, :] >= found.scores[:, None]
    stays = (found.dense()[:, None] == kept.dense()[None]).all((2, 3)).any(1)
    assert np.all(stays | ((covers > threshold) & better).any(1))


def test_suppression_follows_only_those_that_stay():
    """The third overlaps the second, which the first has removed: it stays."""
    masks = np.zeros((3, 1, 20), bool)
    masks[0, 0, 0:10] = masks[1, 0, 4:14] = masks[2, 0, 8:18] = True
    assert suppress(from_dense(masks, [0.9, 0.8, 0.7]), 0.3).scores.tolist() == [0.9, 0.7]
    assert suppress(from_dense(masks, [0.8, 0.9, 0.7]), 0.3).scores.tolist() == [0.9]


@given(
    arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 5))),
    st.integers(-8, SHAPE[0]),
    st.integers(-8, SHAPE[1]),
)
def test_a_mask_over_the_border_is_cut_to_the_image(mask, row, column):
    canvas = np.zeros((SHAPE[0] + 20, SHAPE[1] + 20), bool)
    canvas[10 + row :, 10 + column :][: mask.shape[0], : mask.shape[1]] = mask
    inside = canvas[10 : 10 + SHAPE[0], 10 : 10 + SHAPE[1]]
    found = from_crops(SHAPE, [(mask, (row, column))], [0.5])
    assert len(found) == inside.any()
    np.testing.assert_array_equal(found.dense().any(0), inside)


@pytest.mark.parametrize("corner", [(8, 0), (0, 11), (-5, 0), (0, -5), (20, 20)])
def test_a_mask_beyond_the_border_is_left_out(corner):
    assert len(from_crops(SHAPE, [(np.ones((4, 4), bool), corner)], [1.0])) == 0


@given(arrays(int, SHAPE, elements=st.integers(0, 4)))
def test_label_images_come_back(labels):
    found = from_labels(labels)
    present = [one for one in range(1, 5) if (labels == one).any()]
    assert len(found) == len(present)
    for mask, one in zip(found.dense(), present, strict=True):
        np.testing.assert_array_equal(mask, labels == one)
    own = found.labels()
    np.testing.assert_array_equal(own >= 0, labels > 0)
    np.testing.assert_array_equal(np.array([*present, 0])[own], labels)


def test_the_best_score_wins_a_shared_pixel():
    masks = np.ones((3, *SHAPE), bool)
    masks[1, 0] = False
    labels = from_dense(masks, [0.2, 0.9, 0.5]).labels()
    assert (labels[0] == 2).all()
    assert (labels[1:] == 1).all()


def test_taking_follows_the_index():
    masks = np.eye(6, dtype=bool).reshape(6, 2, 3)
    found = from_dense(masks, np.arange(6) / 10)
    for index in ([4, 1], np.array([True, False] * 3), np.array([], int), [], [0, 0]):
        own = np.asarray(index) if len(index) else np.array([], int)
        taken = found.take(index)
        np.testing.assert_array_equal(taken.dense(), masks[own])
        np.testing.assert_array_equal(taken.scores, found.scores[own])
        assert taken.shape == found.shape


def test_a_set_without_a_particle_answers_everything():
    empty, one = Instances(SHAPE), from_dense(np.ones((1, *SHAPE), bool))
    assert len(empty) == 0
    assert empty.dense().shape == (0, *SHAPE)
    assert empty.boxes.shape == (0, 4)
    assert empty.areas.shape == (0,)
    assert not empty.layers().any()
    assert (empty.labels() == -1).all()
    assert intersection_over_union(empty, one).shape == (0, 1)
    assert intersection_over_union(one, empty).shape == (1, 0)
    assert intersection_over_union(empty, empty).shape == (0, 0)
    assert len(suppress(empty, 0.5)) == 0
    assert len(empty.take(np.zeros(0, bool))) == 0
    assert len(from_labels(np.zeros(SHAPE, int))) == 0
    assert len(from_dense(np.zeros((0, *SHAPE), bool))) == 0
