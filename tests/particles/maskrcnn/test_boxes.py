"""Anchors, corrections and suppression of boxes against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.particles.maskrcnn import boxes as b
from chemoscape.particles.maskrcnn.architecture import (
    ANCHOR_RATIOS,
    ANCHOR_SCALES,
    ANCHOR_SIDES,
    BOX_WEIGHTS,
    STRIDES,
)

#: Side of a square region in pixels, and the level that it must be read from.
LEVELS = {10: 0, 79.9: 0, 80: 1, 159: 1, 160: 2, 320: 3, 1000: 3}


def square(side: float) -> np.ndarray:
    return np.array([[3.0, 5.0, 3.0 + side, 5.0 + side]])


def random_boxes(rng: np.random.Generator, n: int, size: float = 40) -> np.ndarray:
    start = rng.uniform(0, 100, (n, 2))
    return np.hstack([start, start + rng.uniform(2, size, (n, 2))]).astype(np.float32)


@pytest.mark.parametrize(("level", "rows", "columns"), [(0, 3, 5), (3, 2, 2), (1, 1, 1)])
def test_anchors_lie_where_the_formula_says(level, rows, columns):
    found = b.anchors(level, rows, columns)
    wanted = []
    for row in range(rows):
        for column in range(columns):
            x, y = (column + 0.5) * STRIDES[level], (row + 0.5) * STRIDES[level]
            for scale in ANCHOR_SCALES:
                for ratio in ANCHOR_RATIOS:
                    side = ANCHOR_SIDES[level] * scale
                    wide, high = side * ratio**0.5, side / ratio**0.5
                    wanted.append([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-5)


def test_anchors_keep_the_area_of_their_square():
    sides = np.sqrt(b.area(b.anchors(2, 1, 1))).reshape(len(ANCHOR_SCALES), len(ANCHOR_RATIOS))
    wanted = ANCHOR_SIDES[2] * np.array(ANCHOR_SCALES)[:, None]
    np.testing.assert_allclose(sides, np.broadcast_to(wanted, sides.shape), rtol=1e-5)


def test_decode_by_hand():
    box = np.array([10.0, 20.0, 30.0, 60.0])  # centre (20, 40), 20 wide, 40 high
    deltas = np.array([5.0, -2.5, 5 * np.log(2), 5 * np.log(0.5)])
    # centre moves by 0.5 * 20 and -0.25 * 40; width doubles, height halves
    np.testing.assert_allclose(b.decode(deltas, box, (10.0, 5.0)), [10, 20, 50, 40])
    np.testing.assert_array_equal(b.decode(np.zeros(4), box, BOX_WEIGHTS), box)


@pytest.mark.parametrize("weights", [(1.0, 1.0), BOX_WEIGHTS])
def test_decode_undoes_encode(weights):
    rng = np.random.default_rng(1)
    start, target = random_boxes(rng, 200), random_boxes(rng, 200)
    again = b.decode(b.encode(target, start, weights), start, weights)
    np.testing.assert_allclose(again, target, atol=1e-3)


def test_growth_is_limited():
    box = np.array([[0.0, 0.0, 2.0, 2.0]])
    found = b.decode(np.array([[0, 0, 1e6, 4.0]]), box, (1.0, 1.0))
    np.testing.assert_allclose(found[0, 2:] - found[0, :2], 2 * np.exp([4.0, 4.0]))


def test_clip_knows_rows_from_columns():
    box = np.array([[-5.0, -5.0, 500.0, 500.0], [1, 2, 3, 4]], np.float32)
    found = b.clip(box, (20, 30))
    np.testing.assert_array_equal(found, [[0, 0, 30, 20], [1, 2, 3, 4]])
    assert found.dtype == np.float32


def test_iou_of_known_pairs():
    first = np.array([[0.0, 0, 2, 2], [0, 0, 0, 0]])
    second = np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2], [1, 1, 1, 1], [0, 0, 4, 4]])
    wanted = [[1, 1 / 3, 0, 0, 1 / 4], [0, 0, 0, 0, 0]]
    np.testing.assert_allclose(b.box_iou(first, second), wanted)


def test_nms_by_hand():
    # one covers half of its neighbour: intersections over union are 1/3
    row = np.array([[0.0, 0, 4, 4], [2, 0, 6, 4], [4, 0, 8, 4], [20, 0, 24, 4]])
    np.testing.assert_array_equal(b.nms(row, np.array([0.5, 0.9, 0.4, 0.1]), 0.3), [1, 3])
    # the middle one goes, and what goes suppresses nothing
    np.testing.assert_array_equal(b.nms(row, np.array([0.9, 0.5, 0.4, 0.1]), 0.3), [0, 2, 3])
    # an overlap equal to the threshold is allowed
    twice = np.array([[0.0, 0, 4, 4], [0, 0, 4, 2]])
    np.testing.assert_array_equal(b.nms(twice, np.array([0.5, 0.6]), 0.5), [1, 0])
    # equal scores: the first stays
    same = np.array([[0.0, 0, 4, 4], [0, 0, 4, 4]])
    np.testing.assert_array_equal(b.nms(same, np.ones(2), 0.5), [0])
    assert len(b.nms(np.zeros((0, 4)), np.zeros(0), 0.5)) == 0


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_nms_is_the_plain_loop(threshold):
    rng = np.random.default_rng(2)
    found = random_boxes(rng, 3 * b.BLOCK // 2, 60)
    scores = rng.integers(0, 50, len(found)) / 50  # with ties
    overlap = b.box_iou(found, found)
    kept: list[int] = []
    for one in np.argsort(-scores, kind="stable"):
        if (overlap[one, kept] <= threshold).all():
            kept.append(one)
    np.testing.assert_array_equal(b.nms(found, scores, threshold), kept)


def test_levels_by_hand():
    found = {side: int(b.level_of(square(side))[0]) for side in LEVELS}
    assert found == LEVELS


@pytest.mark.parametrize("wrong", [40.0, 80.0, 224.0])
def test_the_table_of_levels_tells_a_wrong_constant(monkeypatch, wrong):
    monkeypatch.setattr(b, "CANONICAL_SIDE", wrong)
    assert {side: int(b.level_of(square(side))[0]) for side in LEVELS} != LEVELS


def test_level_goes_by_area_not_by_length():
    long_thin = np.array([[0.0, 0.0, 640.0, 10.0], [0, 0, 0, 50], [0, 0, 40, 640]])
    np.testing.assert_array_equal(b.level_of(long_thin), [1, 0, 2])


def test_levels_all_occur_among_the_anchors():
    side = 8
    found = np.concatenate([b.anchors(level, side, side) for level in range(len(STRIDES))])
    assert set(b.level_of(found)) == {0, 1, 2}  # 1.5 * 160 < 320: the coarsest is for larger ones


def empty_proposals(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    n = sum(len(b.anchors(level, shape[0] // s, shape[1] // s)) for level, s in enumerate(STRIDES))
    return np.full(n, -20.0, np.float32), np.zeros((n, 4), np.float32)


def test_proposals_come_from_the_right_level_and_best_first():
    padded = shape = (64, 96)
    logits, deltas = empty_proposals(padded)
    counts = [len(b.anchors(level, 64 // s, 96 // s)) for level, s in enumerate(STRIDES)]
    starts = np.cumsum([0, *counts])
    wanted = []
    for level, score in ((0, 3.0), (1, 5.0), (2, 1.0)):
        one = counts[level] // 2 + 2  # a square one in the middle
        logits[starts[level] + one] = score
        wanted.append(b.anchors(level, 64 // STRIDES[level], 96 // STRIDES[level])[one])
    found = b.best_proposals(logits, deltas, padded, shape, b.Settings(proposals=3))
    np.testing.assert_array_equal(found, b.clip(np.array(wanted)[[1, 0, 2]], shape))


def test_proposals_are_decoded_cut_and_sifted():
    padded, shape = (64, 64), (50, 40)
    logits, deltas = empty_proposals(padded)
    prior = b.anchors(0, 16, 16)
    targets = np.array([[3, 4, 20, 31], [3, 4, 20, 32], [30, 40, 90, 90], [41, 10, 60, 20]], float)
    for one, (target, score) in enumerate(zip(targets, (4, 3, 2, 1), strict=True)):
        logits[one] = score
        deltas[one] = b.encode(target, prior[one], b.PROPOSAL_WEIGHTS)
    found = b.best_proposals(logits, deltas, padded, shape, b.Settings(per_level=4, proposals=2))
    # the second repeats the first, the third is cut, the fourth lies in the padding
    np.testing.assert_allclose(found, [[3, 4, 20, 31], [30, 40, 40, 50]], atol=1e-4)


def test_only_the_best_of_a_level_are_considered():
    logits, deltas = empty_proposals((64, 64))
    found = b.best_proposals(logits, deltas, (64, 64), (64, 64), b.Settings(per_level=1))
    assert len(found) == len(STRIDES)


def test_each_class_is_a_question_of_its_own():
    proposals = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    scores = np.array([[2.0, 1.0], [3.0, -9.0], [-9.0, -9.0]], np.float32)
    corrections = np.zeros((3, 2, 4), np.float32)
    corrections[0, 1] = [10, 0, 0, 0]  # the second class sits one width further
    found, classes, chances = b.best_boxes(scores, corrections, proposals, (40, 15), b.Settings())
    np.testing.assert_array_equal(classes, [0, 1])
    np.testing.assert_allclose(found, [[0, 0, 10, 10], [10, 0, 15, 10]])
    np.testing.assert_allclose(chances, 1 / (1 + np.exp([-3.0, -1.0])), rtol=1e-6)
    assert len(b.best_boxes(scores, corrections, proposals, (40, 15), b.Settings(detections=1))[0])


def test_same_formulas_as_in_training():
    torch = pytest.importorskip("torch")
    from chemoscape.particles.maskrcnn import losses

    rng = np.random.default_rng(3)
    every = np.concatenate(
        [b.anchors(level, 128 // s, 128 // s) for level, s in enumerate(STRIDES)]
    )
    np.testing.assert_allclose(losses.anchors(128).numpy(), every, atol=1e-4)
    start, target = random_boxes(rng, 100, 300), random_boxes(rng, 100, 300)
    deltas = b.encode(target, start, BOX_WEIGHTS)
    given = torch.from_numpy(target), torch.from_numpy(start)
    np.testing.assert_allclose(losses.encode(*given, BOX_WEIGHTS).numpy(), deltas, atol=1e-4)
    deltas[:5, 2:] = 30.0
    decoded = losses.decode(torch.from_numpy(deltas), given[1], 256, BOX_WEIGHTS).numpy()
    wanted = b.clip(b.decode(deltas, start, BOX_WEIGHTS), (256, 256))
    np.testing.assert_allclose(decoded, wanted, atol=1e-3)
    np.testing.assert_array_equal(losses.level_of(given[0]).numpy(), b.level_of(target))
    np.testing.assert_allclose(losses.box_iou(*given).numpy(), b.box_iou(target, start), atol=1e-5)
