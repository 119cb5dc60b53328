"""What the two halves of the network, torch for training and numpy for use, must agree on."""

from __future__ import annotations

#: Pixel size for which the network is trained, µm.
PIXEL_UM = 0.04
#: Channels of the input (`particles.scaling.normalised`).
CHANNELS = 2
#: Pixels of the input per cell of each level of the feature pyramid, finest first.
STRIDES = (4, 8, 16, 32)
#: Side of a square anchor on each level, pixels, and the factors that make its second size.
ANCHOR_SIDES = (14, 32, 72, 160)
ANCHOR_SCALES = (1.0, 1.5)
#: Width over height of the anchors: wires along an axis are long and thin.
ANCHOR_RATIOS = (1 / 6, 1 / 2.5, 1.0, 2.5, 6.0)
#: Pixels of the input per cell of the fine map that only the mask head reads.
FINE_STRIDE = 2
#: Classes: wires that rise and wires that fall across their box. Two wires that cross in one box
#: are two classes, each with its own score, box and mask; a stub belongs to both.
CLASSES = ("rising", "falling")
#: Weights of the box head's corrections: centre, size.
BOX_WEIGHTS = (10.0, 5.0)
#: Square root of a region's area, pixels, from which it is read on the third level.
CANONICAL_SIDE = 160.0
#: Bins of a region for the box head, for the mask head, and of its fine map.
BOX_BINS, MASK_BINS, FINE_BINS = 7, 28, 56
#: Cells along a side of a predicted mask.
MASK_CELLS = 112
#: Samples along a side of a bin.
SAMPLES = 2
