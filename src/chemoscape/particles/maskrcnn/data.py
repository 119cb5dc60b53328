"""What the network learns from: synthetic ensembles only, a new one for every step.

Ensembles vary more than any one experiment: pixel size and resolution, counts, crowding,
nanosheets, uneven background, and whether the map is an optical density or the map of one phase, in
which some wires are faint or missing. Every example follows from its number alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from chemoscape.particles import generator, shapes
from chemoscape.particles.maskrcnn.architecture import PIXEL_UM
from chemoscape.particles.masks import Instances
from chemoscape.particles.scaling import normalised, rescaled

#: Side of a training image, pixels, and the most particles that one may hold.
SIDE, MOST = 256, 48
#: Angle from an axis, degrees, within which a wire belongs to both classes.
AXIS_DEGREES = 7.0
#: Length over width below which a particle belongs to both classes.
STUB = 2.5


@dataclass(frozen=True)
class Batch:
    """Examples as tensors: b images, each with up to m particles, those beyond its own empty.

    Attributes
    ----------
    image : Tensor of float32, shape (b, 2, h, w)
    masks : Tensor of uint8, shape (b, m, h, w / 8)
        Eight pixels of a row in one byte, the first in the highest bit.
    boxes : Tensor of float32, shape (b, m, 4)
        x0, y0, x1, y1 in pixels.
    classes : Tensor of bool, shape (b, m, 2)
        False twice where there is no particle.
    """

    image: torch.Tensor
    masks: torch.Tensor
    boxes: torch.Tensor
    classes: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(one.to(device, non_blocking=True) for one in vars(self).values()))

    def pin_memory(self) -> Batch:
        """The same where a copy to a device is quick."""
        return Batch(*(one.pin_memory() for one in vars(self).values()))


def training_ensemble(rng: np.random.Generator, side: int = SIDE) -> generator.Ensemble:
    """One ensemble on the pixels of the network, seen by a microscope with those or others."""
    kind = rng.random()
    fine = 2 if rng.random() < 0.25 else 1  # sub-pixels cost four times the work
    if kind < 0.55:
        bins, ratio = fine, 1.0  # the network's own pixels
    elif kind < 0.85:
        bins, ratio = 2 * fine, 2.0  # twice as wide
    else:
        bins, ratio = 2, float(rng.uniform(0.7, 1.7))
    fine_um = PIXEL_UM * ratio / bins
    field_um = (side * PIXEL_UM, side * PIXEL_UM)
    cells = int(np.ceil(side * PIXEL_UM / fine_um / bins)) * bins
    per_field = field_um[0] * field_um[1] / 105
    n_wires = max(1, round(np.exp(rng.uniform(np.log(2), np.log(34))) * per_field))
    counts = float(np.exp(rng.uniform(np.log(100), np.log(8000))))
    wires = generator.sample_wires(
        rng,
        field_um,
        n_wires,
        gathered=rng.uniform(0.2, 0.95),
        width_um=0.22 * np.exp(rng.normal(0, 0.15)),
        length_um=3.0 * np.exp(rng.normal(0, 0.2)),
    )
    weights = np.ones(n_wires)
    if rng.random() < 0.35:  # the map of a phase
        weights = np.clip(rng.beta(0.6, 0.5, n_wires), 0.0, 1.0)
    grid = (cells, cells)
    texture = generator.smooth_noise(rng, grid, int(rng.integers(4, 16)), rng.uniform(0, 0.2))
    density = shapes.density_of(wires, grid, fine_um, weights, texture)
    if rng.random() < 0.6:
        sheets = generator.sample_sheets(rng, field_um, rng.poisson(1.2 * per_field))
        density += shapes.sheets_density(sheets, grid, fine_um)
    fwhm_um = float(rng.uniform(0.05, 0.13)) if ratio < 1.5 else float(rng.uniform(0.07, 0.16))
    image = generator.measured_density(
        rng,
        density,
        fine_um,
        fwhm_um,
        counts,
        bins,
        background=rng.uniform(0, 0.05),
        line_noise=0.01 if rng.random() < 0.15 else 0.0,
    )
    if ratio != 1.0:  # cells * fine_um covers the field and, for odd ratios, a little more
        wide = round(cells * fine_um / PIXEL_UM)
        image = rescaled(image, (wide, wide))
    instances, seen = generator.visible(wires, (side, side), PIXEL_UM, counts / ratio**2, weights)
    return generator.Ensemble(image[:side, :side], PIXEL_UM, fwhm_um, instances, seen)


def diagonals(wires: tuple[shapes.Wire, ...]) -> np.ndarray:
    """Which classes each wire belongs to, shape (n, 2): rising, falling, or near an axis both."""
    angles = np.degrees([wire.angle for wire in wires]) % 180
    stub = np.array([wire.length / wire.width < STUB for wire in wires], bool)
    near_axis = np.minimum(angles % 90, 90 - angles % 90) < AXIS_DEGREES
    both = stub | near_axis
    return np.stack([both | (angles < 90), both | (angles >= 90)], 1)


def example(number: int, seed: int = 0, side: int = SIDE) -> tuple[np.ndarray, ...]:
    """Image, packed masks, boxes and classes of one example; see `Batch` for their shapes."""
    rng = np.random.default_rng([seed, number])
    made = training_ensemble(rng, side)
    low = np.argsort(-made.instances.areas)[:MOST]
    found: Instances = made.instances.take(low)
    channels = normalised(made.image) * rng.uniform(0.75, 1.3) + rng.uniform(-0.05, 0.05)
    masks = np.zeros((MOST, side, side // 8), np.uint8)
    boxes = np.zeros((MOST, 4), np.float32)
    classes = np.zeros((MOST, 2), bool)
    masks[: len(found)] = np.packbits(found.dense(), axis=-1)
    boxes[: len(found)] = found.boxes
    classes[: len(found)] = diagonals(made.wires)[low]
    return channels.astype(np.float32), masks, boxes, classes


class Ensembles(Dataset):
    """Numbered examples for a torch data loader."""

    def __init__(self, first: int, stop: int, seed: int, side: int = SIDE) -> None:
        self.first, self.stop, self.seed, self.side = first, stop, seed, side

    def __len__(self) -> int:
        return self.stop - self.first

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return example(self.first + index, self.seed, self.side)


def collate(examples: list[tuple[np.ndarray, ...]]) -> Batch:
    """A batch of examples."""
    return Batch(*(torch.from_numpy(np.stack(part)) for part in zip(*examples, strict=True)))
