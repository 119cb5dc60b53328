"""The torch network: shapes, and the order in which its heads answer."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from chemoscape.particles.maskrcnn import boxes  # noqa: E402
from chemoscape.particles.maskrcnn.architecture import (  # noqa: E402
    ANCHOR_SIDES,
    BOX_BINS,
    CHANNELS,
    CLASSES,
    FINE_BINS,
    FINE_STRIDE,
    MASK_BINS,
    MASK_CELLS,
    STRIDES,
)
from chemoscape.particles.maskrcnn.network import (  # noqa: E402
    FEATURES,
    FINE,
    N_ANCHORS,
    Backbone,
    BoxHead,
    MaskHead,
    MaskRCNN,
)

ROWS, COLUMNS = 64, 96


def all_anchors() -> np.ndarray:
    return np.concatenate(
        [boxes.anchors(one, ROWS // s, COLUMNS // s) for one, s in enumerate(STRIDES)]
    )


def levels_of_anchors() -> np.ndarray:
    return np.repeat(
        np.arange(len(STRIDES)), [ROWS // s * (COLUMNS // s) * N_ANCHORS for s in STRIDES]
    )


class Places(torch.nn.Module):
    """Stands in for the proposal layer: the first features are row and column of the cell."""

    def forward(self, level):
        batch, _, high, wide = level.shape
        hidden = torch.zeros(batch, FEATURES, high, wide)
        hidden[:, 0] = torch.arange(high)[:, None]
        hidden[:, 1] = torch.arange(wide)
        return hidden


def test_the_backbone_answers_at_the_strides_of_the_architecture():
    torch.manual_seed(0)
    *pyramid, fine, objectness, deltas = Backbone().eval()(torch.rand(2, CHANNELS, ROWS, COLUMNS))
    for features, stride in zip(pyramid, STRIDES, strict=True):
        assert features.shape == (2, FEATURES, ROWS // stride, COLUMNS // stride)
    assert fine.shape == (2, FINE, ROWS // FINE_STRIDE, COLUMNS // FINE_STRIDE)
    n = len(all_anchors())
    assert objectness.shape == (2, n)
    assert deltas.shape == (2, n, 4)


def test_logits_come_in_the_order_of_the_anchors():
    backbone = Backbone().eval()
    backbone.proposal = Places()
    with torch.no_grad():
        for head in (backbone.objectness, backbone.deltas):
            head.weight.zero_()
        backbone.objectness.weight[:, 0] = 1000  # logit = 1000 row + 20 column + anchor of the cell
        backbone.objectness.weight[:, 1] = 20
        backbone.objectness.bias.copy_(torch.arange(N_ANCHORS))
        backbone.deltas.bias.copy_(torch.arange(4 * N_ANCHORS))
        *_, logits, deltas = backbone(torch.zeros(1, CHANNELS, ROWS, COLUMNS))
    prior, level = all_anchors(), levels_of_anchors()
    centres = (prior[:, :2] + prior[:, 2:]) / 2 / np.array(STRIDES)[level, None] - 0.5
    of_cell = logits[0].numpy() - 1000 * centres[:, 1] - 20 * centres[:, 0]
    shape = np.round(of_cell).astype(int)
    np.testing.assert_allclose(of_cell, shape, atol=1e-2)
    # the anchor of that number has the size and the ratio that its place in the list promises
    for one in range(N_ANCHORS):
        size = (prior[:, 2:] - prior[:, :2])[shape == one] / np.array(ANCHOR_SIDES)[
            level[shape == one], None
        ]
        np.testing.assert_allclose(size, np.broadcast_to(size[0], size.shape), rtol=1e-4)
    assert set(shape) == set(range(N_ANCHORS))
    np.testing.assert_allclose(deltas[0].numpy(), 4 * shape[:, None] + np.arange(4))


def test_the_box_head_gives_four_corrections_of_each_class():
    head = BoxHead().eval()
    with torch.no_grad():
        head.corrections.weight.zero_()
        head.corrections.bias.copy_(torch.arange(4.0 * len(CLASSES)))
        scores, corrections = head(torch.rand(3, FEATURES, BOX_BINS, BOX_BINS))
    assert scores.shape == (3, len(CLASSES))
    np.testing.assert_array_equal(corrections[1].numpy(), [[0, 1, 2, 3], [4, 5, 6, 7]])


def test_the_mask_head_keeps_places():
    torch.manual_seed(1)
    head = MaskHead().eval()
    regions = torch.rand(2, FEATURES, MASK_BINS, MASK_BINS)
    details = torch.rand(2, FINE, FINE_BINS, FINE_BINS)
    with torch.no_grad():
        before = head(regions, details)
        details[1, :, 10, 40] += 5.0
        after = head(regions, details)
    assert before.shape == (2, len(CLASSES), MASK_CELLS, MASK_CELLS)
    np.testing.assert_array_equal(after[0].numpy(), before[0].numpy())
    row, column = np.nonzero((after - before).abs().sum(1)[1].numpy())
    ratio = MASK_CELLS // FINE_BINS
    # two 3 by 3 convolutions reach two bins around the one that changed
    assert row.min() >= 8 * ratio
    assert row.max() < 13 * ratio
    assert column.min() >= 38 * ratio
    assert column.max() < 43 * ratio


def test_images_of_a_batch_do_not_see_each_other():
    torch.manual_seed(2)
    network = MaskRCNN().eval()
    images = torch.rand(2, CHANNELS, 64, 64)
    with torch.no_grad():
        for both, alone in zip(network.backbone(images), network.backbone(images[1:]), strict=True):
            torch.testing.assert_close(both[1:], alone, rtol=1e-4, atol=1e-5)


def test_an_untrained_network_expects_background():
    torch.manual_seed(3)
    network = MaskRCNN().eval()
    with torch.no_grad():
        *_, logits, _ = network.backbone(torch.rand(1, CHANNELS, 64, 64))
        scores, _ = network.box_head(torch.rand(8, FEATURES, BOX_BINS, BOX_BINS))
    assert logits.sigmoid().mean() < 0.1
    assert scores.sigmoid().mean() < 0.2
