"""Losses: the formulas of the numpy half, closed cases, and a network that learns one image."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from chemoscape.particles.maskrcnn import boxes as b  # noqa: E402
from chemoscape.particles.maskrcnn import losses as L  # noqa: E402
from chemoscape.particles.maskrcnn import rois  # noqa: E402
from chemoscape.particles.maskrcnn.architecture import (  # noqa: E402
    BOX_WEIGHTS,
    FINE_BINS,
    FINE_STRIDE,
    MASK_CELLS,
    STRIDES,
)
from chemoscape.particles.maskrcnn.data import Batch, collate, example  # noqa: E402
from chemoscape.particles.maskrcnn.network import FEATURES, FINE, MaskRCNN  # noqa: E402

SIDE = 128
NAMES = ["objectness", "proposal", "class", "box", "mask"]
SURE = 30.0


def random_boxes(rng, n, low=-10.0, high=SIDE + 10.0, dtype=np.float64):
    ends = np.sort(rng.uniform(low, high, (n, 2, 2)), axis=1)
    return ends.reshape(n, 4).astype(dtype)


def batch_of(masks, classes, empty=0, side=SIDE):
    """One image with those masks, shape (m, side, side), and empty slots after them."""
    masks = np.asarray(masks, bool).reshape(-1, side, side)
    boxes = np.zeros((len(masks) + empty, 4), np.float32)
    for box, mask in zip(boxes, masks, strict=False):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    packed = np.zeros((len(boxes), side, side // 8), np.uint8)
    packed[: len(masks)] = np.packbits(masks, axis=-1)
    kinds = np.zeros((len(boxes), 2), bool)
    kinds[: len(masks)] = np.asarray(classes, bool).reshape(-1, 2)
    image = np.zeros((2, side, side), np.float32)
    image[:] = masks.any(0)
    return collate([(image, packed, boxes, kinds)])


def rectangle(x0, y0, x1, y1, side=SIDE):
    mask = np.zeros((side, side), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def diagonal(x0, y0, x1, y1, rising=True, side=SIDE):
    """A wire from corner to corner of a box."""
    y, x = np.mgrid[:side, :side] + 0.5
    share = (x - x0) / (x1 - x0) - ((y - y0) / (y1 - y0) if rising else (y1 - y) / (y1 - y0))
    return rectangle(x0, y0, x1, y1, side) & (np.abs(share) < 0.12)


def stack_batches(*batches):
    parts = zip(*(vars(one).values() for one in batches), strict=True)
    return Batch(*map(torch.cat, parts))


def numpy_anchors(side=SIDE):
    return np.concatenate(
        [b.anchors(one, side // s, side // s) for one, s in enumerate(STRIDES)]
    ).astype(float)


@pytest.fixture
def steady(monkeypatch):
    """Draws without chance: the first members of a set, and the same push for every box."""

    def first_members(chosen, number):
        n = min(number, chosen.shape[1])
        order = chosen.float() - torch.arange(chosen.shape[1]) * 1e-5
        index = order.topk(n, 1).indices
        return index, chosen.gather(1, index)

    monkeypatch.setattr(L, "sampled", first_members)
    monkeypatch.setattr(torch, "randn_like", lambda x: torch.full_like(x, 0.3))
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(tuple(shape), 0.5))


# Both halves of the network speak of the same boxes


@pytest.mark.parametrize("side", [64, 256])
def test_anchors_are_those_of_use(side):
    np.testing.assert_allclose(L.anchors(side).numpy(), numpy_anchors(side), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("weights", [b.PROPOSAL_WEIGHTS, BOX_WEIGHTS])
def test_corrections_are_those_of_use(weights):
    rng = np.random.default_rng(0)
    boxes, reference = random_boxes(rng, 300), random_boxes(rng, 300)
    boxes[:, 2:] += 0.5  # none without size
    reference[:, 2:] += 0.5
    wanted = b.encode(boxes, reference, weights)
    found = L.encode(torch.from_numpy(boxes), torch.from_numpy(reference), weights)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-9, atol=1e-9)
    corrections = rng.normal(0, 2, (300, 4)) * np.repeat(weights, 2)
    corrections[:5, 2:] = 9 * weights[1]  # beyond the largest growth
    reference[:5] = [60.0, 60.0, 61.0, 60.5]  # so small that the border does not hide it
    corrections[:5, :2] = 0
    wanted = b.clip(b.decode(corrections, reference, weights), (SIDE, SIDE))
    found = L.decode(torch.from_numpy(corrections), torch.from_numpy(reference), SIDE, weights)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-9, atol=1e-9)


def test_corrections_mend_a_box():
    rng = np.random.default_rng(1)
    boxes, reference = (torch.from_numpy(random_boxes(rng, 50, 5, SIDE - 5)) for _ in range(2))
    boxes[:, 2:] += 3
    reference[:, 2:] += 3
    mended = L.decode(L.encode(boxes, reference, BOX_WEIGHTS), reference, SIDE, BOX_WEIGHTS)
    torch.testing.assert_close(mended, boxes)


def test_overlap_is_that_of_use():
    rng = np.random.default_rng(2)
    first, second = random_boxes(rng, 40), random_boxes(rng, 30)
    second[3] = first[5]
    second[4] = 7.0  # a point
    found = L.box_iou(torch.from_numpy(first[None]), torch.from_numpy(second[None]))
    np.testing.assert_allclose(found[0].numpy(), b.box_iou(first, second), atol=1e-9)
    assert found[0, 5, 3] == 1


def squares(sides):
    return np.array([[5.0, 3.0, 5.0 + side, 3.0 + side] for side in sides])


#: Side of a square region and the level it is read from: 160 pixels on the third.
LEVELS = {1: 0, 79: 0, 81: 1, 159: 1, 161: 2, 319: 2, 321: 3, 900: 3}


def test_levels_are_those_of_use():
    boxes = squares(LEVELS)
    np.testing.assert_array_equal(L.level_of(torch.from_numpy(boxes)), list(LEVELS.values()))
    rng = np.random.default_rng(3)
    many = random_boxes(rng, 500, 0, 600)
    np.testing.assert_array_equal(L.level_of(torch.from_numpy(many)), b.level_of(many))
    exact = squares([80, 160, 320])
    np.testing.assert_array_equal(L.level_of(torch.from_numpy(exact).float()), [1, 2, 3])


@pytest.mark.parametrize("half", [L, b])
def test_another_canonical_side_does_not_go_unnoticed(half, monkeypatch):
    monkeypatch.setattr(half, "CANONICAL_SIDE", 40.0)
    boxes = squares(LEVELS)
    torch_half, numpy_half = L.level_of(torch.from_numpy(boxes)).numpy(), b.level_of(boxes)
    assert (torch_half != numpy_half).mean() > 0.5
    changed = torch_half if half is L else numpy_half
    assert list(changed) != list(LEVELS.values())


@pytest.mark.parametrize("stride", [2, 4, 32])
@pytest.mark.parametrize(("bins", "samples"), [(7, 2), (FINE_BINS, 1)])
def test_regions_are_read_as_in_use(stride, bins, samples):
    rng = np.random.default_rng(4)
    features = rng.normal(size=(5, SIDE // stride, SIDE // stride)).astype(np.float32)
    boxes = np.concatenate([random_boxes(rng, 20, 0, SIDE), random_boxes(rng, 20, -30, SIDE + 30)])
    found = L.roi_align(
        torch.from_numpy(features)[None], torch.from_numpy(boxes)[None], bins, SIDE, samples
    )
    wanted = rois.roi_align(features, stride, boxes, bins, samples)
    np.testing.assert_allclose(found[0].numpy(), wanted, atol=2e-4)


def test_regions_of_a_ramp_are_its_values():
    ramp = (torch.arange(32) + 0.5)[None, :].expand(32, 32) * 4  # x in pixels, cells of 4
    box = torch.tensor([[[10.0, 20.0, 38.0, 50.0]]])
    found = L.roi_align(ramp[None, None], box, 7, SIDE)[0, 0, 0]
    wanted = 10 + 4 * (torch.arange(7) + 0.5)
    torch.testing.assert_close(found, wanted.expand(7, 7))


# Draws


@pytest.mark.parametrize("number", [1, 5, 200])
def test_draws_are_members_and_as_many_as_there_are(number):
    torch.manual_seed(0)
    chosen = torch.rand(6, 40) < torch.tensor([0, 0.03, 0.1, 0.5, 0.9, 1.0])[:, None]
    index, member = L.sampled(chosen, number)
    assert index.shape == (6, min(number, 40))
    assert torch.equal(member.sum(1), chosen.sum(1).clamp(max=number))
    assert torch.equal(chosen.gather(1, index), member)
    for row in index:
        assert len(set(row.tolist())) == len(row)  # none twice


def test_draws_favour_no_member():
    torch.manual_seed(1)
    chosen = (torch.arange(40) % 4 == 0).expand(4000, 40)
    index, _ = L.sampled(chosen, 3)
    counts = torch.bincount(index.flatten(), minlength=40)[::4]
    # 4000 draws of 3 among 10: 1200 each, with a spread of 29
    assert (counts - 1200).abs().max() < 120


# Proposals


def labels_of(batch, side=SIDE):
    """Sign of every anchor's label in the sampled loss (0: not compared), from its gradient."""
    n = len(L.anchors(side))
    logits = torch.zeros(len(batch.image), n, requires_grad=True)
    deltas = torch.zeros(len(batch.image), n, 4)
    loss, _ = L.proposal_losses(logits, deltas, batch.boxes, batch.classes.any(-1), side)
    loss.backward()
    return -torch.sign(logits.grad).numpy()


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 12, 1),  # as small as a label may be, in a corner
        (127, 60, 128, 72),
        (50, 50, 56, 52),
        (3, 3, 125, 125),  # a long diagonal wire
        (0, 62, 128, 66),
        (60, 0, 61, 128),
        (40, 41, 68, 69),
    ],
)
def test_every_wire_has_an_anchor(box):
    torch.manual_seed(0)
    batch = batch_of([rectangle(*box)], [[1, 0]])
    label = labels_of(batch)[0]
    overlap = b.box_iou(numpy_anchors(), np.array([box], float))[:, 0]
    assert (label == 1).any()
    # those with the best overlap are, and whatever reaches 0.6; nothing else
    assert (overlap[label == 1] > min(0.6, overlap.max() - 1e-3)).all()
    if ((overlap >= 0.6) | (overlap > overlap.max() - 1e-5)).sum() <= 100:
        assert (label[(overlap >= 0.6) | (overlap > overlap.max() - 1e-5)] == 1).all()


def test_every_wire_of_many_has_an_anchor():
    torch.manual_seed(0)
    batches = [collate([example(number, side=SIDE)]) for number in range(20)]
    for batch in batches:
        label = labels_of(batch)[0]
        own = batch.boxes[0][batch.classes[0].any(-1)].numpy().astype(float)
        overlap = b.box_iou(numpy_anchors(), own)
        best = (overlap > overlap.max(0) - 1e-3) & (label == 1)[:, None]
        assert best.any(0).all()


def test_anchors_between_wire_and_background_are_not_compared():
    torch.manual_seed(0)
    label = labels_of(batch_of([rectangle(40, 40, 72, 72)], [[1, 1]]))[0]
    overlap = b.box_iou(numpy_anchors(), np.array([[40.0, 40, 72, 72]]))[:, 0]
    assert (label[(overlap > 0.31) & (overlap < 0.59)] == 0).all()
    assert (label != 0).sum() == L.N_COMPARED  # wires and background fill the quota
    assert (overlap[label == -1] < 0.3).all()


def perfect_proposals(batch, side=SIDE):
    """Logits and corrections of a network that knows the wires, by the formulas of use."""
    prior = numpy_anchors(side)
    logits = np.full((len(batch.image), len(prior)), -SURE)
    deltas = np.zeros((len(batch.image), len(prior), 4))
    for one, (boxes, classes) in enumerate(zip(batch.boxes, batch.classes, strict=True)):
        own = boxes[classes.any(-1)].numpy().astype(float)
        if not len(own):
            continue
        overlap = b.box_iou(prior, own)
        positive = (overlap.max(1) >= 0.6) | (overlap > overlap.max(0) - 2e-4).any(1)
        logits[one, positive] = SURE
        deltas[one] = b.encode(own[overlap.argmax(1)], prior, b.PROPOSAL_WEIGHTS)
    return torch.from_numpy(logits).float(), torch.from_numpy(deltas).float()


@pytest.fixture(scope="module")
def mixed():
    """An image of several wires, one of none, and one of two crossed in one box."""
    crossed = [diagonal(30, 40, 90, 100), diagonal(30, 40, 90, 100, rising=False)]
    several = [
        diagonal(10, 10, 60, 40),
        rectangle(70, 20, 110, 26),
        diagonal(60, 60, 120, 124, rising=False),
    ]
    return stack_batches(
        batch_of(several, [[1, 0], [1, 1], [0, 1]]),
        batch_of([], [], empty=3),
        batch_of(crossed, [[1, 0], [0, 1]], empty=1),
    )


def test_perfect_proposals_cost_nothing(mixed):
    torch.manual_seed(0)
    logits, deltas = perfect_proposals(mixed)
    there = mixed.classes.any(-1)
    crossed, away = L.proposal_losses(logits, deltas, mixed.boxes, there, SIDE)
    assert crossed < 1e-6
    assert away < 1e-6
    crossed, away = L.proposal_losses(-logits, deltas + 0.3, mixed.boxes, there, SIDE)
    assert crossed == pytest.approx(SURE, rel=1e-3)
    assert away > 0.01


@pytest.mark.parametrize("level", range(len(STRIDES)))
def test_proposals_do_not_repeat_each_other(level):
    prior = numpy_anchors()
    better, worse = [20.0, 20, 60, 60], [20.0, 20, 60, 66]
    worst = [20.0, 20, 60, 74]  # like the second, not so like the first; goes all the same
    boxes = np.array([better, worse, worst, [80, 80, 120, 90], [100, 20, 101, 60]], float)
    first = sum((SIDE // s) ** 2 * 10 for s in STRIDES[:level])  # ten anchors on a cell
    here = slice(first, first + len(boxes))
    logits = np.full((1, len(prior)), -SURE, np.float32)
    logits[0, here] = [5, 4, 3, 2, 1]
    deltas = np.zeros((1, len(prior), 4), np.float32)
    deltas[0, here] = b.encode(boxes, prior[here], b.PROPOSAL_WEIGHTS)
    found = L.proposals(torch.from_numpy(logits), torch.from_numpy(deltas), SIDE)
    assert found.shape == (1, L.PER_IMAGE, 4)
    np.testing.assert_allclose(found[0, :2].numpy(), boxes[[0, 3]], atol=1e-3)
    overlap = b.box_iou(found[0].numpy().astype(float), boxes)
    assert (overlap[2:] < 0.9).all()


# Regions and their heads


def test_two_wires_crossed_in_one_box_keep_two_labels(mixed):
    torch.manual_seed(0)
    crossed = Batch(*(part[2:] for part in vars(mixed).values()))
    regions = L.sample_regions(torch.zeros(1, 5, 4), crossed)
    wire = regions.labels.any(-1)[0]
    assert wire.sum() == 4  # each wire's own box, and one a little off
    assert regions.labels[0, wire].all()
    np.testing.assert_array_equal(regions.match[0, wire], [[0, 1]] * 4)


def test_regions_say_what_they_hold(mixed):
    torch.manual_seed(0)
    rng = np.random.default_rng(5)
    proposed = torch.from_numpy(random_boxes(rng, 3 * 160, 0, SIDE, np.float32).reshape(3, 160, 4))
    regions = L.sample_regions(proposed, mixed)
    assert regions.boxes.shape == (3, L.N_REGIONS, 4)
    background = L.N_REGIONS - L.N_WIRES
    held = regions.labels.any(-1).sum(1)
    assert torch.equal(regions.counted.sum(1), held + background)
    for one in range(3):
        boxes = regions.boxes[one].numpy().astype(float)
        overlap = b.box_iou(boxes, mixed.boxes[one].numpy().astype(float))
        for kind in range(2):
            own = overlap * mixed.classes[one, :, kind].numpy()
            np.testing.assert_array_equal(regions.labels[one, :, kind], own.max(1) >= 0.5)
            held = own.max(1) >= 0.5
            np.testing.assert_array_equal(regions.match[one, held, kind], own.argmax(1)[held])
    assert not regions.labels[1].any()
    assert regions.labels[0].any(-1).sum() <= L.N_WIRES


def test_few_regions_are_counted_once():
    torch.manual_seed(0)
    batch = batch_of([rectangle(10, 10, 50, 20)], [[1, 1]], empty=4)
    regions = L.sample_regions(torch.full((1, 3, 4), 90.0) + torch.tensor([0, 0, 9.0, 9]), batch)
    assert regions.counted.sum() == 5  # three proposals, the wire's box twice; no empty slot
    assert not regions.labels[~regions.counted].any()
    assert (regions.boxes[regions.counted][:, 2:] > 0).all()


def test_perfect_boxes_cost_nothing(mixed):
    torch.manual_seed(0)
    regions = L.sample_regions(L.proposals(*perfect_proposals(mixed), SIDE), mixed)
    scores = torch.where(regions.labels, SURE, -SURE).flatten(0, 1)
    target = [
        [
            b.encode(mixed.boxes[i, match[c]].numpy(), box.numpy().clip(0), BOX_WEIGHTS)
            if label[c]
            else np.zeros(4)
            for c in range(2)
        ]
        for i in range(3)
        for box, label, match in zip(
            regions.boxes[i], regions.labels[i], regions.match[i], strict=True
        )
    ]
    corrections = torch.tensor(np.array(target), dtype=torch.float32)
    pyramid = tuple(torch.zeros(3, FEATURES, SIDE // s, SIDE // s) for s in STRIDES)

    def losses_of(scores, corrections):
        network = SimpleNamespace(box_head=lambda _: (scores, corrections))
        return L.box_losses(network, pyramid, regions, mixed)

    right = losses_of(scores, corrections)
    assert max(right) < 1e-6
    assert losses_of(-scores, corrections)[0] > SURE
    assert losses_of(scores, corrections + 1)[1] > 0.05
    # what is said of a class that is not there is not judged
    elsewhere = (~regions.labels).flatten(0, 1)[..., None] * 100.0
    assert losses_of(scores, corrections + elsewhere)[1] == right[1]


def test_regions_are_read_from_their_level():
    batch = batch_of([rectangle(4, 4, 120, 120), rectangle(20, 20, 40, 40)], [[1, 0], [1, 0]])
    seen = []
    network = SimpleNamespace(
        box_head=lambda x: (seen.append(x), (torch.zeros(len(x), 2), torch.zeros(len(x), 2, 4)))[1]
    )
    pyramid = tuple(
        torch.full((1, 1, SIDE // s, SIDE // s), float(one)) for one, s in enumerate(STRIDES)
    )
    regions = L.sample_regions(batch.boxes, batch)
    L.box_losses(network, pyramid, regions, batch)
    wanted = b.level_of(regions.boxes[0].numpy())
    np.testing.assert_array_equal(seen[0].mean((1, 2, 3)), wanted)
    assert set(wanted) == {0, 1}


# Masks


def one_region(box, match, label=0):
    labels = torch.zeros(1, 1, 2, dtype=torch.bool)
    labels[..., label] = True
    return L.Regions(
        torch.tensor([[box]], dtype=torch.float32),
        torch.ones(1, 1, dtype=torch.bool),
        labels,
        torch.full((1, 1, 2), match),
    )


def mask_target(batch, regions, monkeypatch):
    """What the mask head should answer for the only region."""
    seen = []
    cross_entropy = L.functional.binary_cross_entropy_with_logits

    def spy(logits, target, **settings):
        seen.append(target)
        return cross_entropy(logits, target, **settings)

    monkeypatch.setattr(L.functional, "binary_cross_entropy_with_logits", spy)
    network = SimpleNamespace(
        mask_head=lambda regions, details: torch.zeros(len(regions), 2, MASK_CELLS, MASK_CELLS)
    )
    finest, fine = torch.zeros(1, FEATURES, 32, 32), torch.zeros(1, FINE, 64, 64)
    L.mask_loss(network, finest, fine, regions, batch)
    monkeypatch.undo()
    return seen[0][0].numpy()


def ramp(edge, start, stop):
    """Share of a cell inside a half-plane that begins at a pixel's edge, bilinear pixels."""
    at = start + (np.arange(2 * MASK_CELLS) + 0.5) / (2 * MASK_CELLS) * (stop - start)
    return np.clip(at - edge + 0.5, 0, 1).reshape(-1, 2).mean(1)


def test_masks_lie_on_the_right_pixels(monkeypatch):
    # edges that no byte ends at, in a box that no pixel ends at
    right, below = rectangle(43, 0, 128, 128), rectangle(0, 71, 128, 128)
    batch = batch_of([rectangle(0, 0, 9, 9), right, below], [[1, 0], [1, 0], [0, 1]])
    box = (20.3, 50.7, 77.9, 90.1)
    along = mask_target(batch, one_region(box, 1), monkeypatch)
    np.testing.assert_allclose(along, np.tile(ramp(43, box[0], box[2]), (MASK_CELLS, 1)), atol=1e-4)
    down = mask_target(batch, one_region(box, 2, label=1), monkeypatch)
    np.testing.assert_allclose(
        down, np.tile(ramp(71, box[1], box[3])[:, None], (1, MASK_CELLS)), atol=1e-4
    )


def test_a_mask_laid_back_is_the_mask_it_came_from(monkeypatch):
    mask = diagonal(17, 30, 101, 77)
    batch = batch_of([mask], [[1, 0]])
    box = batch.boxes[0, 0].numpy()
    crop, (row, column) = rois.paste(
        mask_target(batch, one_region(box.tolist(), 0), monkeypatch), box, (SIDE, SIDE)
    )
    back = np.zeros_like(mask)
    back[row : row + crop.shape[0], column : column + crop.shape[1]] = crop
    assert (back ^ mask).sum() <= 0.01 * mask.sum()


def test_a_mask_reaches_to_the_border_of_the_image(monkeypatch):
    batch = batch_of([rectangle(0, 90, 30, 128)], [[1, 0]])
    target = mask_target(batch, one_region(batch.boxes[0, 0].tolist(), 0), monkeypatch)
    inner = 5  # the two sides inside the image fade over half a pixel
    np.testing.assert_allclose(target[inner:, :-inner], 1, atol=1e-4)


def test_a_perfect_mask_costs_next_to_nothing():
    torch.manual_seed(0)
    # edges between pixels make no mask certain: a large one has few
    box = (8, 16, 120, 128)
    batch = batch_of([rectangle(8, 16, 64, 128)], [[0, 1]])
    answer = torch.full((1, 2, MASK_CELLS, MASK_CELLS), SURE)
    answer[:, 1, :, MASK_CELLS // 2 :] = -SURE
    network = SimpleNamespace(mask_head=lambda regions, details: answer)
    features = torch.zeros(1, FEATURES, 32, 32), torch.zeros(1, FINE, 64, 64)
    regions = one_region(box, 0, label=1)
    right = L.mask_loss(network, *features, regions, batch)
    answer = answer.flip(3)
    wrong = L.mask_loss(network, *features, regions, batch)
    assert right < 0.3  # the cells along the edge
    assert wrong > 25


def test_the_mask_head_reads_the_region_on_both_maps(monkeypatch):
    seen = []
    network = SimpleNamespace(
        mask_head=lambda *maps: (seen.extend(maps), torch.zeros(1, 2, MASK_CELLS, MASK_CELLS))[1]
    )
    x = {s: (torch.arange(SIDE // s) + 0.5) * s for s in (STRIDES[0], FINE_STRIDE)}
    finest, fine = (line.expand(1, 1, len(line), len(line)) for line in x.values())
    batch = batch_of([rectangle(30, 30, 58, 58)], [[1, 0]])
    L.mask_loss(network, finest, fine, one_region((30.0, 30, 58, 58), 0), batch)
    for found in seen:
        bins = found.shape[-1]
        wanted = 30 + 28 * (torch.arange(bins) + 0.5) / bins
        torch.testing.assert_close(found[0, 0], wanted.expand(bins, bins), rtol=0, atol=1e-3)


# The whole


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MaskRCNN()


def test_an_image_without_wires_has_no_mask_to_learn(network):
    torch.manual_seed(0)
    parts = L.losses(network.train(), batch_of([], [], empty=2))
    assert list(parts) == NAMES
    assert all(torch.isfinite(value) for value in parts.values())
    assert parts["mask"] == parts["box"] == parts["proposal"] == 0
    assert parts["objectness"] > 0
    network.zero_grad()
    sum(parts.values()).backward()
    assert all(
        torch.isfinite(weight.grad).all()
        for weight in network.parameters()
        if weight.grad is not None
    )


@pytest.mark.usefixtures("steady")
def test_empty_slots_do_not_matter(network):
    masks = [diagonal(10, 10, 60, 40), rectangle(70, 20, 110, 26)]
    classes = [[1, 0], [1, 1]]
    network.eval()
    with torch.no_grad():
        wanted = L.losses(network, batch_of(masks, classes))
        for empty in (1, 7):
            found = L.losses(network, batch_of(masks, classes, empty))
            for name in NAMES:
                torch.testing.assert_close(found[name], wanted[name], rtol=1e-5, atol=1e-7)


def test_the_gradient_reaches_every_weight(network, mixed):
    torch.manual_seed(0)
    network.train().zero_grad()
    torch.stack(list(L.losses(network, mixed).values())).sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0, name


def test_the_network_learns_two_crossed_wires(monkeypatch):
    for name, number in (("N_REGIONS", 32), ("N_WIRES", 16), ("N_MASKS", 4)):
        monkeypatch.setattr(L, name, number)  # quicker, and enough for two wires
    torch.manual_seed(0)
    network, rate = MaskRCNN(), 2e-3
    optimiser = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.99))
    wires = [diagonal(20, 20, 100, 80), diagonal(20, 20, 100, 80, rising=False)]
    batch = batch_of(wires, [[1, 0], [0, 1]])
    history = []
    for step in range(60):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 10) * (1 if step < 40 else 0.3)
        parts = L.losses(network, batch)
        optimiser.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        history.append([float(parts[name].detach()) for name in NAMES])
    first, last = np.array(history[0]), np.mean(history[-10:], axis=0)
    assert last.sum() < 0.6 * first.sum()
    lower = dict(zip(NAMES, last / first, strict=True))
    assert lower["objectness"] < 0.1
    assert lower["class"] < 0.5
    assert lower["mask"] < 0.75
