"""Scores against known answers, brute force and scipy; what has no answer is NaN."""

from __future__ import annotations

import json
import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chemoscape.errors import RecipeError, StackError
from chemoscape.particles.masks import Instances, from_dense, intersection_over_union
from chemoscape.particles.scores import (
    AREA_EDGES_UM2,
    NUMBERS,
    average_precision,
    match,
    recall_by_size,
    score,
    size_distance,
    wilson,
)

SHAPE = (16, 16)
NONE = Instances(SHAPE)

#: Rectangles (top, left, bottom, right) of three images; found ones with a score at the end.
TRUE = [[(0, 0, 6, 10), (8, 0, 14, 10), (4, 4, 10, 12)], [(2, 2, 12, 6), (2, 8, 12, 12)], []]
FOUND = [
    [
        (0, 0, 6, 6, 0.9),
        (8, 1, 14, 11, 0.8),
        (0, 1, 6, 10, 0.7),
        (4, 4, 10, 10, 0.6),
        (10, 0, 14, 10, 0.2),
    ],
    [(2, 2, 12, 7, 0.95), (3, 8, 10, 12, 0.5), (6, 6, 10, 10, 0.8)],
    [(1, 1, 5, 5, 0.4)],
]


def painted(boxes, scores=None):
    masks = np.zeros((len(boxes), *SHAPE), bool)
    for mask, (top, left, bottom, right, *_) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    if scores is None:
        scores = [box[4] if len(box) > 4 else 1.0 for box in boxes]
    return from_dense(masks, scores)


def known_case():
    return [(painted(found), painted(true)) for found, true in zip(FOUND, TRUE, strict=True)]


corners = st.tuples(*[st.integers(0, 11)] * 2, *[st.integers(1, 5)] * 2)
boxes = st.lists(corners.map(lambda c: (c[0], c[1], c[0] + c[2], c[1] + c[3])), max_size=5)


def test_average_precision_is_that_of_pycocotools():
    """Numbers of COCOeval in pycocotools 2.0.11 ("segm", all areas, up to 10 000 detections)."""
    expected = [
        *(0.8868458274, 0.8868458274, 0.8868458274, 0.7736916549, 0.7736916549),
        *(0.603960396, 0.4587458746, 0.0415841584, 0.0415841584, 0.0),
    ]
    np.testing.assert_allclose(average_precision(known_case()), expected, rtol=0, atol=1e-9)
    scores = score(known_case(), 1.0)
    assert scores.ap == pytest.approx(0.535379537953795, abs=1e-12)
    assert scores.ap50 == pytest.approx(0.8868458274, abs=1e-9)
    assert scores.ap75 == pytest.approx(0.603960396, abs=1e-9)


def test_average_precision_reads_the_curve_at_101_recalls():
    """Two true, found by the first and the third of three: precision 1 up to 1/2, then 2/3."""
    true = painted([(0, 0, 4, 4), (8, 8, 12, 12)])
    found = painted([(0, 0, 4, 4, 0.9), (0, 8, 4, 12, 0.8), (8, 8, 12, 12, 0.7)])
    expected = (51 * 1 + 50 * 2 / 3) / 101
    np.testing.assert_allclose(average_precision([(found, true)]), expected, rtol=1e-12)


def test_average_precision_depends_on_the_order_of_scores_alone():
    pairs = known_case()
    curved = [(Instances(a.shape, a.corners, a.crops, np.exp(3 * a.scores)), b) for a, b in pairs]
    np.testing.assert_array_equal(average_precision(curved), average_precision(pairs))


def test_panoptic_quality_of_the_known_case():
    """By hand, score 0.5 or more: partners overlap by 0.9 (not 0.6), 0.818, 0.75, 0.8 and 0.7."""
    scores = score(known_case(), 1.0)
    assert (scores.n_images, scores.n_true, scores.n_found, scores.n_matched) == (3, 5, 7, 5)
    overlaps = [54 / 60, 54 / 66, 36 / 48, 40 / 50, 28 / 40]
    assert scores.sq == pytest.approx(np.mean(overlaps), rel=1e-12)
    assert scores.pq == pytest.approx(sum(overlaps) / (5 + 2 / 2 + 0), rel=1e-12)
    assert (scores.precision, scores.recall) == (5 / 7, 1.0)
    assert scores.f1 == pytest.approx(10 / 12)
    assert scores.pq == pytest.approx(scores.sq * scores.rq)


@given(boxes, boxes)
def test_pairs_have_the_largest_sum_that_any_matching_has(found, true):
    rows, columns, overlap = match(painted(found), painted(true))
    assert len(set(rows)) == len(set(columns)) == len(rows)
    worth = intersection_over_union(painted(found), painted(true))
    np.testing.assert_array_equal(overlap, worth[rows, columns])
    assert np.all(overlap > 0.5)
    worth = np.where(worth > 0.5, worth, 0)
    if len(found) > len(true):
        worth = worth.T
    small, large = worth.shape
    best = max(
        worth[range(small), list(chosen)].sum() for chosen in permutations(range(large), small)
    )
    assert overlap.sum() == pytest.approx(best)


@given(boxes, boxes, st.integers(0, 9))
def test_scores_are_shares_and_images_have_no_order(found, true, seed):
    rng = np.random.default_rng(seed)
    pairs = [
        (painted(found, rng.random(len(found))), painted(true)),
        (painted(true, rng.random(len(true))), painted(found)),
    ]
    here, there = score(pairs, 0.1, 0.3), score(pairs[::-1], 0.1, 0.3)
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(here, name), getattr(there, name), rtol=1e-12)
    for name in ("ap", "ap50", "ap75", "pq", "sq", "rq", "precision", "recall", "f1"):
        value = getattr(here, name)
        assert math.isnan(value) or -1e-12 <= value <= 1 + 1e-12
    assert here.by_size == there.by_size


def test_the_truth_itself_scores_full_marks():
    scores = score([(truth, truth) for _, truth in known_case()], 0.04)
    for name in ("ap", "ap50", "ap75", "pq", "sq", "rq", "precision", "recall", "f1"):
        assert getattr(scores, name) == pytest.approx(1.0), name
    assert (scores.area_error, scores.area_error_spread, scores.size_distance) == (0, 0, 0)


def test_a_particle_found_twice_counts_once():
    true = painted([(0, 0, 8, 8)])
    twice = painted([(0, 0, 8, 8, 0.9), (0, 0, 8, 8, 0.8)])
    scores = score([(twice, true)], 1.0)
    assert (scores.n_matched, scores.precision, scores.recall) == (1, 0.5, 1.0)
    assert scores.pq == pytest.approx(1 / 1.5)
    assert scores.ap == pytest.approx(1.0)  # the second comes after all recall is reached


def test_an_overlap_of_one_half_is_no_pair_but_a_hit_of_ap50():
    true, half = painted([(0, 0, 8, 8)]), painted([(0, 0, 8, 4)])
    scores = score([(half, true)], 1.0)
    assert (scores.n_matched, scores.pq, scores.ap50) == (0, 0, 1)
    assert average_precision([(half, true)], [0.5, 0.51]).tolist() == [1, 0]


@pytest.mark.parametrize(("threshold", "found"), [(0.0, 9), (0.5, 7), (0.9, 2), (0.96, 0)])
def test_the_threshold_is_for_all_but_the_average_precision(threshold, found):
    scores = score(known_case(), 1.0, threshold)
    assert scores.n_found == found
    assert scores.ap == score(known_case(), 1.0).ap


def test_nothing_found():
    scores = score([(NONE, painted([(0, 0, 8, 8)]))], 1.0)
    for name in ("ap", "ap50", "ap75", "pq", "rq", "recall", "f1"):
        assert getattr(scores, name) == 0, name
    for name in ("sq", "precision", "area_error", "area_error_spread", "size_distance"):
        assert math.isnan(getattr(scores, name)), name


def test_nothing_to_find():
    scores = score([(painted([(0, 0, 8, 8)]), NONE)], 1.0)
    for name in ("pq", "rq", "precision", "f1"):
        assert getattr(scores, name) == 0, name
    for name in ("ap", "ap50", "ap75", "sq", "recall", "area_error", "size_distance"):
        assert math.isnan(getattr(scores, name)), name


@pytest.mark.parametrize("pairs", [[], [(NONE, NONE)], [(NONE, NONE)] * 3])
def test_nothing_found_where_nothing_is(pairs):
    scores = score(pairs, 1.0)
    assert (scores.n_images, scores.n_true, scores.n_found, scores.n_matched) == (
        len(pairs),
        0,
        0,
        0,
    )
    for name in NUMBERS[5:]:
        assert math.isnan(getattr(scores, name)), name
    assert all(one.recall != one.recall for one in scores.by_size)


def test_area_errors_are_those_of_the_pairs():
    """Found 20 % too large, 10 % too small, and one beside it that does not count."""
    true = painted([(0, 0, 10, 5), (0, 8, 10, 12)])
    found = painted([(0, 0, 10, 6), (0, 8, 9, 12), (12, 0, 16, 16)])
    scores = score([(found, true)], 0.5)
    assert scores.area_error == pytest.approx((0.2 - 0.1) / 2)
    assert scores.area_error_spread == pytest.approx(0.3 * 0.68 / 2)


def test_size_distance_is_the_shift_of_log_areas():
    areas = np.random.default_rng(0).lognormal(0, 1, 50)
    assert size_distance(1.3 * areas, areas) == pytest.approx(math.log(1.3))
    assert size_distance(areas[::-1], areas) == 0
    assert math.isnan(size_distance(areas, areas[:0]))


def test_each_image_has_its_own_pixel():
    """The same mask at half the pixel is a quarter of the area."""
    one = painted([(0, 0, 8, 8)])
    scores = score([(one, one), (NONE, one)], [0.1, 0.05], edges_um2=(0.1, 0.2, 1.0))
    assert [(each.n_true, each.n_matched) for each in scores.by_size] == [(1, 0), (1, 1)]
    assert [each.typical_um2 for each in scores.by_size] == pytest.approx([0.16, 0.64])


def test_bins_of_area_hold_their_lower_edge():
    areas = np.array([0.5, 1.0, 1.5, 2.0, 4.0])
    bins = recall_by_size(areas, np.array([True, True, False, True, True]), (1, 2, 4))
    assert [(one.n_true, one.n_matched) for one in bins] == [(2, 1), (1, 1)]
    assert [one.typical_um2 for one in bins] == [1.25, 2.0]
    assert AREA_EDGES_UM2[0] == 0
    assert AREA_EDGES_UM2[-1] == math.inf


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (3, 7), (7, 7), (1, 1), (450, 1000)])
def test_wilson_intervals_are_those_of_scipy(successes, trials):
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson(0, 0) == (0, 1)


def test_scores_go_into_json_and_into_print():
    scores, empty = score(known_case(), 0.1), score([], 0.1)
    data = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert data["pq"] == scores.pq
    assert list(data) == [*NUMBERS, "by_size"]
    assert data["by_size"][-1]["high_um2"] is None
    assert json.loads(json.dumps(empty.to_dict(), allow_nan=False))["ap"] is None
    lines = str(scores).splitlines()
    assert lines[0] == "3 images, 5 particles; 7 found with a score of 0.5 or more"
    assert lines[1].startswith("AP  0.535   AP50 0.887")
    assert len(lines) == 5 + sum(one.n_true > 0 for one in scores.by_size)
    assert "nan" not in str(empty)


def test_what_does_not_fit_is_refused():
    other = Instances((8, 32))  # as many pixels, another shape
    with pytest.raises(StackError, match=r"image 2: found on \(8, 32\)"):
        score([(NONE, NONE), (other, NONE)], 1.0)
    with pytest.raises(StackError):
        match(other, NONE)
    with pytest.raises(RecipeError, match="2 pixel sizes for 1 images"):
        score([(NONE, NONE)], [1.0, 1.0])
    with pytest.raises(RecipeError, match="do not ascend"):
        score([(NONE, NONE)], 1.0, edges_um2=(1.0, 0.5))
