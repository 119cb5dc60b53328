"""Training examples: reproducible, their masks, boxes and classes in agreement."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from chemoscape.particles import evaluation, generator, shapes  # noqa: E402
from chemoscape.particles.maskrcnn import data, training  # noqa: E402

SIDE = 128
NUMBERS = range(40)
WIRE = shapes.Wire(0.0, 0.0, 3.0, 0.2, 0.0)


@pytest.fixture(scope="module")
def examples():
    return [data.example(number, seed=3, side=SIDE) for number in NUMBERS]


def wires_of(angles, length=3.0, width=0.2):
    return tuple(
        replace(WIRE, angle=np.radians(angle), length=length, width=width) for angle in angles
    )


def unpacked(masks):
    return np.unpackbits(masks, axis=-1).astype(bool)


def test_an_example_follows_from_its_number_alone(examples):
    for number in (25, 3):  # in another order, with others drawn between
        np.random.default_rng().random()
        for one, again in zip(examples[number], data.example(number, 3, SIDE), strict=True):
            np.testing.assert_array_equal(one, again)
    assert not np.array_equal(examples[3][0], examples[4][0])
    assert not np.array_equal(examples[3][0], data.example(3, 4, SIDE)[0])


def test_shapes_and_types(examples):
    for image, masks, boxes, classes in examples:
        assert (image.shape, image.dtype) == ((2, SIDE, SIDE), np.float32)
        assert (masks.shape, masks.dtype) == ((data.MOST, SIDE, SIDE // 8), np.uint8)
        assert (boxes.shape, boxes.dtype) == ((data.MOST, 4), np.float32)
        assert (classes.shape, classes.dtype) == ((data.MOST, 2), bool)
        assert np.isfinite(image).all()
        assert np.abs(image).max() < 2.1


def test_examples_vary(examples):
    counts = [classes.any(1).sum() for *_, classes in examples]
    assert min(counts) <= 1
    assert max(counts) >= 5


def test_masks_agree_with_boxes(examples):
    for _, masks, boxes, classes in examples:
        there = classes.any(1)
        n = there.sum()
        assert there[:n].all()  # particles first, empty slots after
        assert not masks[n:].any()
        assert not boxes[n:].any()
        dense = unpacked(masks[:n])
        for mask, box in zip(dense, boxes[:n], strict=True):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            np.testing.assert_array_equal(box, [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        areas = dense.sum((1, 2))
        assert (areas >= generator.SMALLEST_MASK).all()
        assert (np.diff(areas.astype(int)) <= 0).all()


def test_masks_are_those_of_the_ensemble(examples):
    made = data.training_ensemble(np.random.default_rng([3, 7]), SIDE)
    masks, classes = examples[7][1], examples[7][3]
    n = len(made.instances)
    assert classes.any(1).sum() == n > 0
    order = np.argsort(-made.instances.areas)
    np.testing.assert_array_equal(unpacked(masks[:n]), made.instances.dense()[order])
    np.testing.assert_array_equal(classes[:n], data.diagonals(made.wires)[order])


def test_the_largest_particles_stay_when_there_are_too_many(monkeypatch):
    whole = data.example(11, side=256)
    n = whole[3].any(1).sum()
    assert n > 4
    monkeypatch.setattr(data, "MOST", 4)
    cut = data.example(11, side=256)
    for some, all_of_them in zip(cut[1:], whole[1:], strict=True):
        np.testing.assert_array_equal(some, all_of_them[:4])


def test_the_image_lies_where_the_masks_are():
    # some images are made on other pixels and rescaled: none may be shifted by that
    totals: dict[str, np.ndarray] = {}
    for number in range(60):
        made = data.training_ensemble(np.random.default_rng([1, number]), 128)
        truth = made.instances.dense().any(0).astype(float)
        if not truth.any():
            continue
        image = made.image - np.median(made.image)
        kind = np.random.default_rng([1, number]).random()  # the first draw chooses the pixels
        name = "own" if kind < 0.55 else "twice" if kind < 0.85 else "odd"
        middle = truth[2:-2, 2:-2]
        score = np.array(
            [
                [np.vdot(image[2 + y : 126 + y, 2 + x : 126 + x], middle) for x in range(-2, 3)]
                for y in range(-2, 3)
            ]
        )
        totals[name] = totals.get(name, 0) + score / score.max()
    assert set(totals) == {"own", "twice", "odd"}
    for score in totals.values():
        assert np.unravel_index(score.argmax(), score.shape) == (2, 2)
        # alike on both sides: a shift of half a pixel would tilt it
        assert abs(score[2, 3] - score[2, 1]) < 0.15 * (2 * score[2, 2] - score[2, 0] - score[2, 4])
        assert abs(score[3, 2] - score[1, 2]) < 0.15 * (2 * score[2, 2] - score[0, 2] - score[4, 2])


RISING, FALLING, BOTH = [True, False], [False, True], [True, True]


@pytest.mark.parametrize(
    ("angle", "classes"),
    [
        (0, BOTH),
        (6.9, BOTH),
        (7.1, RISING),
        (45, RISING),
        (82.9, RISING),
        (83.1, BOTH),
        (90, BOTH),
        (96.9, BOTH),
        (97.1, FALLING),
        (135, FALLING),
        (172.9, FALLING),
        (173.1, BOTH),
        (179.99, BOTH),
        (225, RISING),
        (-45, FALLING),
    ],
)
def test_the_class_of_an_angle(angle, classes):
    np.testing.assert_array_equal(data.diagonals(wires_of([angle])), [classes])


def test_stubs_belong_to_both_classes():
    stubs = wires_of([45, 135], length=0.2 * (data.STUB - 0.01))
    np.testing.assert_array_equal(data.diagonals(stubs), [BOTH, BOTH])
    longer = wires_of([45, 135], length=0.2 * (data.STUB + 0.01))
    np.testing.assert_array_equal(data.diagonals(longer), [RISING, FALLING])


def test_no_wires_have_no_classes():
    assert data.diagonals(()).shape == (0, 2)


def test_a_rising_wire_gains_rows_with_columns(examples):
    seen = set()
    for _, masks, _, classes in examples:
        for mask, own in zip(unpacked(masks), classes, strict=True):
            rows, columns = np.nonzero(mask)
            if own.sum() != 1 or len(rows) < 60:
                continue
            slope = np.corrcoef(columns, rows)[0, 1]
            if abs(slope) > 0.5:  # a wire that the border cuts to a blot says nothing
                assert (slope > 0) == own[0]
                seen.add(bool(own[0]))
    assert seen == {True, False}


def test_an_image_without_wires_is_an_example(monkeypatch):
    monkeypatch.setattr(generator, "FAINTEST", np.inf)
    image, masks, boxes, classes = data.example(0, side=SIDE)
    assert np.isfinite(image).all()
    assert not masks.any()
    assert not boxes.any()
    assert not classes.any()


def test_batches_and_their_copies(examples):
    batch = data.collate(examples[:3])
    assert batch.image.shape == (3, 2, SIDE, SIDE)
    assert batch.masks.dtype == torch.uint8
    assert batch.classes.dtype == torch.bool
    np.testing.assert_array_equal(batch.boxes[2].numpy(), examples[2][2])
    there = batch.to(torch.device("cpu"))
    torch.testing.assert_close(there.image, batch.image)
    assert there.masks.shape == batch.masks.shape


def test_the_data_set_can_be_sent_to_another_process(examples):
    # Windows and macOS start workers afresh and send them the data set
    made, together = pickle.loads(
        pickle.dumps((data.Ensembles(5, 9, seed=3, side=SIDE), data.collate))
    )
    assert len(made) == 4
    np.testing.assert_array_equal(made[2][0], examples[7][0])
    assert together is data.collate


def state_of(seed) -> int:
    return np.random.default_rng(seed).bit_generator.state["state"]["state"]


def test_training_validation_and_evaluation_draw_from_different_states():
    plan = training.Plan()
    assert plan.images < training.VALIDATION_FIRST
    first, held = training.VALIDATION_FIRST, evaluation.FIRST_SEED
    # numbers that look like seeds of the evaluation are among them
    learnt = {state_of([plan.seed, n]) for n in [*range(500), *range(held, held + 500)]}
    judged = {state_of([plan.seed, n]) for n in range(first, first + plan.n_validation)}
    kept = {state_of(n) for n in range(held, held + 500)} | {
        state_of(n) for n in range(first, first + 500)
    }
    assert not learnt & judged
    assert not learnt & kept
    assert not judged & kept
