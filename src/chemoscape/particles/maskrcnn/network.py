"""Mask R-CNN (He et al. 2017) in plain torch: residual backbone, feature pyramid, three heads.

Two changes suit it to wires, which are long, thin and crossing. Its two classes are the diagonals
of the box along which a wire may run, each with its own score, correction and mask, so that two
wires crossed in one box stay two. And the mask head reads a map at half the resolution of the image
beside the pyramid, because a wire is a few pixels wide.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from chemoscape.particles.maskrcnn.architecture import (
    ANCHOR_RATIOS,
    ANCHOR_SCALES,
    BOX_BINS,
    CHANNELS,
    CLASSES,
    STRIDES,
)

WIDTHS = (24, 40, 72, 120, 160)
FEATURES, FINE, HIDDEN = 64, 16, 224
N_ANCHORS = len(ANCHOR_RATIOS) * len(ANCHOR_SCALES)


def _convolution(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _convolution(inside, outside, stride)
        self.second = nn.Sequential(
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside)
        )
        self.shortcut: nn.Module = nn.Identity()
        if inside != outside or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Features of the next stage."""
        return functional.relu(self.second(self.first(image)) + self.shortcut(image))


class Backbone(nn.Module):
    """Image to feature pyramid, fine map and region proposals."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _convolution(CHANNELS, WIDTHS[0], 2), _convolution(WIDTHS[0], WIDTHS[0])
        )
        self.stages = nn.ModuleList(
            nn.Sequential(Residual(inside, outside, 2), Residual(outside, outside))
            for inside, outside in pairwise(WIDTHS)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, FEATURES, 1) for width in WIDTHS[1:])
        self.smooth = nn.ModuleList(nn.Conv2d(FEATURES, FEATURES, 3, 1, 1) for _ in STRIDES)
        self.fine_lateral = nn.Conv2d(WIDTHS[0], FINE, 1)
        self.fine_down = nn.Conv2d(FEATURES, FINE, 1)
        self.fine_smooth = nn.Conv2d(FINE, FINE, 3, 1, 1)
        self.proposal = nn.Conv2d(FEATURES, FEATURES, 3, 1, 1)
        self.objectness = nn.Conv2d(FEATURES, N_ANCHORS, 1)
        self.deltas = nn.Conv2d(FEATURES, 4 * N_ANCHORS, 1)
        for head in (self.objectness, self.deltas):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        nn.init.constant_(self.objectness.bias, -3.0)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """p2, p3, p4, p5, fine, objectness (b, n) and deltas (b, n, 4) of images (b, 2, h, w)."""
        stem = self.stem(image)
        stages, below = [], stem
        for stage in self.stages:
            below = stage(below)
            stages.append(below)
        summed: list[torch.Tensor] = []
        for lateral, features in zip(reversed(self.lateral), reversed(stages), strict=True):
            here = lateral(features)
            if summed:
                here = here + functional.interpolate(summed[-1], scale_factor=2.0, mode="nearest")
            summed.append(here)
        pyramid = [smooth(p) for smooth, p in zip(self.smooth, reversed(summed), strict=True)]
        down = functional.interpolate(self.fine_down(pyramid[0]), scale_factor=2.0, mode="nearest")
        fine = functional.relu(self.fine_smooth(self.fine_lateral(stem) + down))
        logits, deltas = [], []
        for level in pyramid:
            hidden = functional.relu(self.proposal(level))
            batch = hidden.shape[0]
            logits.append(self.objectness(hidden).permute(0, 2, 3, 1).reshape(batch, -1))
            deltas.append(self.deltas(hidden).permute(0, 2, 3, 1).reshape(batch, -1, 4))
        return (*pyramid, fine, torch.cat(logits, 1), torch.cat(deltas, 1))


class BoxHead(nn.Module):
    """Regions to class scores and corrected boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(FEATURES * BOX_BINS**2, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
        )
        self.scores = nn.Linear(HIDDEN, len(CLASSES))
        self.corrections = nn.Linear(HIDDEN, 4 * len(CLASSES))
        for head in (self.scores, self.corrections):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        nn.init.constant_(self.scores.bias, -2.0)

    def forward(self, regions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, 2) and corrections (n, 2, 4) of regions (n, features, 7, 7)."""
        hidden = self.hidden(regions.flatten(1))
        return self.scores(hidden), self.corrections(hidden).reshape(-1, len(CLASSES), 4)


class MaskHead(nn.Module):
    """Regions and their details to masks of 112 cells a side, one per class."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(FEATURES, FEATURES),
            _convolution(FEATURES, FEATURES),
            _convolution(FEATURES, FEATURES),
        )
        self.up = nn.ConvTranspose2d(FEATURES, 32, 2, 2)
        self.detail = nn.Sequential(_convolution(32 + FINE, 32), _convolution(32, 32))
        self.out = nn.Sequential(
            nn.ConvTranspose2d(32, 16, 2, 2), nn.ReLU(inplace=True), nn.Conv2d(16, len(CLASSES), 1)
        )

    def forward(self, regions: torch.Tensor, details: torch.Tensor) -> torch.Tensor:
        """Logits (n, 2, 112, 112) of regions (n, f, 28, 28) and details (n, g, 56, 56)."""
        up = functional.relu(self.up(self.body(regions)))
        return self.out(self.detail(torch.cat([up, details], 1)))


class MaskRCNN(nn.Module):
    """The three parts that are trained together and exported one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.box_head, self.mask_head = Backbone(), BoxHead(), MaskHead()
