"""Losses of Mask R-CNN for a whole batch at once: no loop over images, so that a GPU stays busy.

Anchors and regions are matched with the wires (b images, m wires, a anchors, r regions, c = 2
classes), sampled in fixed numbers, and compared: Ren et al. 2015 for proposals and boxes, He et al.
2017 for masks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from chemoscape.particles.maskrcnn.architecture import (
    ANCHOR_RATIOS,
    ANCHOR_SCALES,
    ANCHOR_SIDES,
    BOX_BINS,
    BOX_WEIGHTS,
    CANONICAL_SIDE,
    CLASSES,
    FINE_BINS,
    MASK_BINS,
    MASK_CELLS,
    SAMPLES,
    STRIDES,
)
from chemoscape.particles.maskrcnn.data import Batch
from chemoscape.particles.maskrcnn.network import MaskRCNN

#: Anchors per image that are compared, regions for the box head (and how many may be wires), and
#: regions for the mask head.
N_COMPARED, N_REGIONS, N_WIRES, N_MASKS = 256, 64, 24, 16
#: Proposals per level before, and per image after, suppression.
PER_LEVEL, PER_IMAGE = 300, 160


def anchors(side: int) -> torch.Tensor:
    """All anchors of a square image, finest level first, shape (a, 4)."""
    levels = []
    for stride, base in zip(STRIDES, ANCHOR_SIDES, strict=True):
        centre = (torch.arange(side // stride) + 0.5) * stride
        y, x = torch.meshgrid(centre, centre, indexing="ij")
        sizes = torch.tensor(
            [
                (base * scale * math.sqrt(ratio), base * scale / math.sqrt(ratio))
                for scale in ANCHOR_SCALES
                for ratio in ANCHOR_RATIOS
            ]
        )
        centres = torch.stack([x, y], -1).reshape(-1, 1, 2)
        levels.append(torch.cat([centres - sizes / 2, centres + sizes / 2], -1).reshape(-1, 4))
    return torch.cat(levels)


def box_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Intersection over union of boxes (…, n, 4) and (…, m, 4): shape (…, n, m)."""
    low = torch.maximum(first[..., :, None, :2], second[..., None, :, :2])
    high = torch.minimum(first[..., :, None, 2:], second[..., None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(one[..., 2:] - one[..., :2]).prod(-1) for one in (first, second)]
    return shared / (areas[0][..., :, None] + areas[1][..., None, :] - shared).clamp(min=1e-6)


def encode(
    boxes: torch.Tensor, reference: torch.Tensor, weights: tuple[float, float] = (1.0, 1.0)
) -> torch.Tensor:
    """Corrections that turn reference boxes into boxes."""
    size = reference[..., 2:] - reference[..., :2]
    away = (boxes[..., :2] + boxes[..., 2:] - reference[..., :2] - reference[..., 2:]) / 2
    larger = torch.log((boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3) / size.clamp(min=1e-3))
    return torch.cat([away / size.clamp(min=1e-3) * weights[0], larger * weights[1]], -1)


def decode(
    corrections: torch.Tensor,
    reference: torch.Tensor,
    side: int,
    weights: tuple[float, float] = (1.0, 1.0),
) -> torch.Tensor:
    """Reference boxes with corrections applied, cut to the image."""
    size = reference[..., 2:] - reference[..., :2]
    centre = (reference[..., :2] + reference[..., 2:]) / 2
    centre = centre + corrections[..., :2] / weights[0] * size
    half = size * torch.exp((corrections[..., 2:] / weights[1]).clamp(max=4)) / 2
    return torch.cat([centre - half, centre + half], -1).clamp(0, side)


def sample_grid(boxes: torch.Tensor, n: int, side: int) -> torch.Tensor:
    """n by n points inside boxes (b, r, 4), as grid_sample counts: shape (b, r, n, n, 2)."""
    steps = (torch.arange(n, device=boxes.device, dtype=boxes.dtype) + 0.5) / n
    x = boxes[..., 0:1] + steps * (boxes[..., 2:3] - boxes[..., 0:1])
    y = boxes[..., 1:2] + steps * (boxes[..., 3:4] - boxes[..., 1:2])
    shape = (*boxes.shape[:2], n, n)
    grid = torch.stack([x[:, :, None, :].expand(shape), y[:, :, :, None].expand(shape)], -1)
    return grid / side * 2 - 1


def roi_align(
    features: torch.Tensor, boxes: torch.Tensor, bins: int, side: int, samples: int = SAMPLES
) -> torch.Tensor:
    """Features (b, f, h, w) inside boxes (b, r, 4): shape (b, r, f, bins, bins)."""
    batch, regions = boxes.shape[:2]
    n = bins * samples
    grid = sample_grid(boxes.float(), n, side).reshape(batch, regions * n, n, 2)
    values = functional.grid_sample(
        features.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    values = values.reshape(batch, -1, regions, bins, samples, bins, samples).mean((4, 6))
    return values.permute(0, 2, 1, 3, 4)


def level_of(boxes: torch.Tensor) -> torch.Tensor:
    """Level of the pyramid from which a box is read."""
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1).clamp(min=1.0)
    level = torch.floor(2 + torch.log2(area.sqrt() / CANONICAL_SIDE))
    return level.clamp(0, len(STRIDES) - 1).long()


def sampled(chosen: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of `number` random members of each row's set, and which of them are members."""
    keys = torch.rand(chosen.shape, device=chosen.device) + chosen.float()
    values, index = keys.topk(min(number, chosen.shape[1]), 1)
    return index, values >= 1


def rows(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """values[b, index[b]] for values (b, n, …) and index (b, k)."""
    wide = index.reshape(*index.shape, *([1] * (values.ndim - 2)))
    return values.gather(1, wide.expand(*index.shape, *values.shape[2:]))


def proposal_losses(
    logits: torch.Tensor, deltas: torch.Tensor, boxes: torch.Tensor, there: torch.Tensor, side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Objectness (binary cross-entropy) and box loss (smooth L1) of sampled anchors."""
    reference = anchors(side).to(boxes.device)
    with torch.no_grad():
        iou = box_iou(boxes, reference) * there[..., None]
        best, match = iou.max(1)
        # each wire keeps its best anchors, however poor: long diagonal ones fit none well
        of_wire = iou.amax(2, keepdim=True)
        hopeful = ((iou >= of_wire - 1e-4) & (of_wire > 0.05)).any(1)
        positive = (best >= 0.6) | hopeful
        yes, is_yes = sampled(positive, N_COMPARED // 2)
        no, is_no = sampled((best < 0.3) & ~positive, N_COMPARED)
        # wires first; what they leave of the quota goes to the background
        room = N_COMPARED - is_yes.sum(1, keepdim=True)
        is_no &= torch.arange(no.shape[1], device=no.device)[None] < room
        target = encode(rows(boxes, rows(match, yes)), reference[yes])
    index = torch.cat([yes, no], 1)
    counted = torch.cat([is_yes, is_no], 1).float()
    label = torch.cat([is_yes, torch.zeros_like(is_no)], 1).float()
    crossed = functional.binary_cross_entropy_with_logits(
        rows(logits, index), label, reduction="none"
    )
    away = functional.smooth_l1_loss(rows(deltas, yes), target, beta=0.11, reduction="none").sum(2)
    total = counted.sum().clamp(min=1)
    return (crossed * counted).sum() / total, (away * is_yes).sum() / total


@torch.no_grad()
def proposals(logits: torch.Tensor, deltas: torch.Tensor, side: int) -> torch.Tensor:
    """Boxes that may hold a wire, shape (b, PER_IMAGE, 4).

    Suppression in one step (a box goes when any better one of its level covers it, even one that
    goes itself): a little harsher than the greedy one of use, and free of loops.
    """
    reference = anchors(side).to(logits.device)
    per_cell = len(ANCHOR_RATIOS) * len(ANCHOR_SCALES)
    start, boxes, scores = 0, [], []
    for stride in STRIDES:
        number = (side // stride) ** 2 * per_cell
        score, order = logits[:, start : start + number].topk(min(PER_LEVEL, number), 1)
        order = order + start
        box = decode(rows(deltas, order), reference[order], side)
        covered = (box_iou(box, box).triu(1) > 0.8).any(1)
        small = (box[..., 2:] - box[..., :2]).amin(-1) < 1.5
        boxes.append(box)
        scores.append(score.masked_fill(covered | small, -1e4))
        start += number
    _, best = torch.cat(scores, 1).topk(PER_IMAGE, 1)
    return rows(torch.cat(boxes, 1), best)


@dataclass(frozen=True)
class Regions:
    """Sampled regions of a batch and what they should become.

    Attributes
    ----------
    boxes : Tensor, shape (b, r, 4)
    counted : Tensor of bool, shape (b, r)
        Which are real: an image may have fewer.
    labels : Tensor of bool, shape (b, r, c)
    match : Tensor of int, shape (b, r, c)
        The wire of each class that lies best in the region.
    """

    boxes: torch.Tensor
    counted: torch.Tensor
    labels: torch.Tensor
    match: torch.Tensor


@torch.no_grad()
def sample_regions(proposed: torch.Tensor, batch: Batch) -> Regions:
    """Regions for the heads: wires (overlap of half or more) and background, each up to a limit."""
    there = batch.classes.any(-1)
    side = batch.image.shape[-1]
    # the wires' own boxes, and the same a little off: what the box head must learn to mend
    off = encode(batch.boxes, batch.boxes) + 0.1 * torch.randn_like(batch.boxes)
    boxes = torch.cat([proposed, batch.boxes, decode(off, batch.boxes, side)], 1)
    real = torch.cat([torch.ones_like(proposed[..., 0], dtype=torch.bool), there, there], 1)
    iou = box_iou(boxes, batch.boxes)[..., None] * batch.classes[:, None].float()
    best, match = iou.max(2)
    labels = (best >= 0.5) & real[..., None]
    wire = labels.any(-1)
    yes, is_yes = sampled(wire, N_WIRES)
    no, is_no = sampled(~wire & real, N_REGIONS - N_WIRES)
    index, counted = torch.cat([yes, no], 1), torch.cat([is_yes, is_no], 1)
    return Regions(
        rows(boxes, index), counted, rows(labels, index) & counted[..., None], rows(match, index)
    )


def box_losses(
    network: MaskRCNN, pyramid: tuple[torch.Tensor, ...], regions: Regions, batch: Batch
) -> tuple[torch.Tensor, torch.Tensor]:
    """Class scores (binary cross-entropy per class) and corrections (smooth L1) of regions."""
    side = batch.image.shape[-1]
    level = level_of(regions.boxes)
    values = torch.stack(
        [
            roi_align(features, regions.boxes, BOX_BINS, side)
            * (level == one)[..., None, None, None]
            for one, features in enumerate(pyramid)
        ]
    ).sum(0)
    scores, corrections = network.box_head(values.flatten(0, 1))
    labels = regions.labels.flatten(0, 1).float()
    counted = regions.counted.flatten()[:, None].float()
    crossed = functional.binary_cross_entropy_with_logits(scores.float(), labels, reduction="none")
    wires = torch.stack([rows(batch.boxes, regions.match[..., c]) for c in range(len(CLASSES))], 2)
    target = encode(wires, regions.boxes[:, :, None].expand_as(wires), BOX_WEIGHTS).flatten(0, 1)
    away = functional.smooth_l1_loss(corrections.float(), target, beta=1.0, reduction="none").sum(2)
    total = counted.sum().clamp(min=1)
    return (crossed * counted).sum() / total, (away * labels).sum() / total


def mask_loss(
    network: MaskRCNN, finest: torch.Tensor, fine: torch.Tensor, regions: Regions, batch: Batch
) -> torch.Tensor:
    """Cross-entropy and overlap (Dice) of masks inside sampled regions of wires."""
    side = batch.image.shape[-1]
    index, is_wire = sampled(regions.labels.any(-1), N_MASKS)
    boxes, labels = rows(regions.boxes, index), rows(regions.labels, index)
    # of a region that holds a wire of each class, either is learnt
    chance = torch.rand(labels.shape, device=labels.device) * labels
    chosen = chance.argmax(-1)
    wire = rows(regions.match, index).gather(2, chosen[..., None])[..., 0]
    with torch.no_grad():
        bits = torch.arange(7, -1, -1, device=wire.device, dtype=torch.uint8)
        packed = rows(batch.masks, wire)
        masks = ((packed[..., None] >> bits) & 1).flatten(-2).flatten(0, 1)[:, None].float()
        grid = sample_grid(boxes, MASK_CELLS * 2, side).flatten(0, 1)
        target = functional.grid_sample(
            masks, grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        target = functional.avg_pool2d(target, 2)[:, 0]
    values = roi_align(finest, boxes, MASK_BINS, side).flatten(0, 1)
    details = roi_align(fine, boxes, FINE_BINS, side, samples=1).flatten(0, 1)
    logits = network.mask_head(values, details).float()
    pick = chosen.flatten()[:, None, None, None].expand(-1, 1, *logits.shape[2:])
    logits = logits.gather(1, pick)[:, 0]
    crossed = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    chance_of = logits.sigmoid()
    shared = 2 * (chance_of * target).sum((1, 2)) + 1
    dice = 1 - shared / (chance_of.sum((1, 2)) + target.sum((1, 2)) + 1)
    counted = is_wire.flatten().float()
    return ((crossed.mean((1, 2)) + 0.5 * dice) * counted).sum() / counted.sum().clamp(min=1)


def losses(network: MaskRCNN, batch: Batch) -> dict[str, torch.Tensor]:
    """The five losses of a batch by name; their sum is what training lowers."""
    side = batch.image.shape[-1]
    *pyramid, fine, logits, deltas = network.backbone(batch.image)
    logits, deltas = logits.float(), deltas.float()
    there = batch.classes.any(-1)
    objectness, proposal = proposal_losses(logits, deltas, batch.boxes, there, side)
    proposed = proposals(logits.detach(), deltas.detach(), side)
    regions = sample_regions(proposed, batch)
    scores, boxes = box_losses(network, tuple(pyramid), regions, batch)
    return {
        "objectness": objectness,
        "proposal": proposal,
        "class": scores,
        "box": boxes,
        "mask": mask_loss(network, pyramid[0], fine, regions, batch),
    }
