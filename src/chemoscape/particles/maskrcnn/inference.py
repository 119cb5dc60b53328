"""Particles of one tile, found by the trained network with numpy and onnxruntime.

The network is three graphs: one reads the tile and proposes boxes, one judges and corrects the box
of a region, one draws its mask. What lies between them (choosing, reading, suppressing, laying
back) is done here. The graphs come as plain callables, so that all of this can be tested alone.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from chemoscape import blocks
from chemoscape.errors import ChemoscapeError, FileFormatError, StackError
from chemoscape.particles.maskrcnn.architecture import (
    BOX_BINS,
    CHANNELS,
    FINE_BINS,
    FINE_STRIDE,
    MASK_BINS,
    PIXEL_UM,
    SAMPLES,
    STRIDES,
)
from chemoscape.particles.maskrcnn.boxes import Settings, best_boxes, best_proposals
from chemoscape.particles.maskrcnn.rois import lay, pyramid_align, roi_align
from chemoscape.particles.masks import Instances, from_crops, suppress

#: Samples along a side of a bin of the fine map: its bins are about as fine as its cells.
FINE_SAMPLES = 1
#: Inputs and outputs of each graph, in the order in which the callables take and give them.
GRAPHS = {
    "backbone.onnx": (("image",), ("p2", "p3", "p4", "p5", "fine", "objectness", "deltas")),
    "box.onnx": (("regions",), ("scores", "corrections")),
    "mask.onnx": (("regions", "details"), ("masks",)),
}
#: What the folder of a model says about itself.
CARD = "model.json"

Graph = Callable[..., Sequence[np.ndarray]]


@dataclass(frozen=True)
class Detector:
    """A trained network, ready to be called on tiles, from several threads if need be.

    Attributes
    ----------
    backbone, box_head, mask_head : callable
        The graphs, with inputs and outputs in the order of `GRAPHS`.
    settings : Settings
    threshold : float
        Score from which on the authors of the model trust a particle. It is not applied here:
        what scores less is needed to weigh recall against precision.
    pixel_um : float
        Pixel size for which the network was trained, µm.
    version : str
        Of the model.
    """

    backbone: Graph
    box_head: Graph
    mask_head: Graph
    settings: Settings = field(default_factory=Settings)
    threshold: float = 0.5
    pixel_um: float = PIXEL_UM
    version: str = ""

    @classmethod
    def open(cls, folder: str | Path | None = None, threads: int | None = None) -> Detector:
        """The model of a folder, or the one that comes with the program.

        Parameters
        ----------
        folder : path, optional
            Holds the files of `GRAPHS` and `model.json` with their checksums.
        threads : int, optional
            Threads inside the graphs; as many as there are processors when None.

        Raises
        ------
        ChemoscapeError
            When onnxruntime is not installed.
        FileFormatError
            When a file is missing or is not the one that `model.json` describes.
        """
        where = Path(str(resources.files(__package__))) / "model" if folder is None else folder
        card, contents = _read_model(Path(where))
        runtime = _runtime()
        backbone, box_head, mask_head = (
            _graph(runtime, name, content, threads or blocks.n_workers())
            for name, content in contents.items()
        )
        return cls(backbone, box_head, mask_head, Settings(), *card)

    def __call__(self, channels: np.ndarray) -> Instances:
        """Particles of a tile, best first.

        Parameters
        ----------
        channels : ndarray of float32, shape (2, y, x)
            A map as `particles.scaling.normalised` gives it, of pixels of `pixel_um`.

        Returns
        -------
        instances : Instances
            Scores are the score of the class times the mean probability of the mask's pixels.

        Raises
        ------
        StackError
            When the array has another shape or holds values that are not finite.
        """
        channels = _checked(channels)
        shape = (channels.shape[1], channels.shape[2])
        high, wide = (-size % STRIDES[-1] for size in shape)
        # 0 is the value of an empty background after scaling: nothing begins at the tile's end.
        image = np.pad(channels, ((0, 0), (0, high), (0, wide)))
        *maps, objectness, deltas = (output[0] for output in self.backbone(image[None]))
        pyramid, fine = maps[: len(STRIDES)], maps[-1]
        padded = (image.shape[1], image.shape[2])
        proposals = best_proposals(objectness, deltas, padded, shape, self.settings)
        if not len(proposals):
            return Instances(shape)
        regions = pyramid_align(pyramid, proposals, BOX_BINS, SAMPLES)
        scores, corrections = self.box_head(regions)
        found = best_boxes(scores, corrections, proposals, shape, self.settings)
        return suppress(self._draw(pyramid[0], fine, *found, shape), self.settings.mask_overlap)

    def _draw(
        self,
        finest: np.ndarray,
        fine: np.ndarray,
        boxes: np.ndarray,
        classes: np.ndarray,
        scores: np.ndarray,
        shape: tuple[int, int],
    ) -> Instances:
        """Masks of boxes, a batch at a time; those of too few pixels are left out."""
        placed, final = [], []
        for start in range(0, len(boxes), self.settings.batch):
            part = slice(start, start + self.settings.batch)
            regions = roi_align(finest, STRIDES[0], boxes[part], MASK_BINS, SAMPLES)
            details = roi_align(fine, FINE_STRIDE, boxes[part], FINE_BINS, FINE_SAMPLES)
            (logits,) = self.mask_head(regions, details)
            own = logits[np.arange(len(logits)), classes[part]]
            for cells, box, score in zip(expit(own), boxes[part], scores[part], strict=True):
                chance, corner = lay(cells, box, shape)
                mask = chance > self.settings.inside
                if mask.sum() >= self.settings.smallest_mask:
                    placed.append((mask, corner))
                    final.append(float(score * chance[mask].mean()))
        return from_crops(shape, placed, final)


def _checked(channels: np.ndarray) -> np.ndarray:
    """The tile as float32, or an error that says what is wrong with it."""
    remedy = "scale the map with particles.scaling.normalised first"
    if channels.ndim != 3 or len(channels) != CHANNELS or 0 in channels.shape:
        raise StackError(
            f"an array of shape {channels.shape} is not a tile of {CHANNELS} channels",
            remedy=remedy,
        )
    if not np.isfinite(channels).all():
        raise StackError("the tile holds values that are not finite", remedy=remedy)
    return np.ascontiguousarray(channels, np.float32)


def _read_model(folder: Path) -> tuple[tuple[float, float, str], dict[str, bytes]]:
    """Threshold, pixel size and version of a model, and the content of its graphs, checked."""
    remedy = "install chemoscape again, or give the folder of a complete model"
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        sums = {name: str(card["files"][name]).lower() for name in GRAPHS}
        says = (float(card["threshold"]), float(card["pixel_um"]), str(card["version"]))
        if not (0 <= says[0] <= 1 and 0 < says[1] < np.inf):
            raise ValueError(f"threshold {says[0]}, pixel_um {says[1]}")
    except OSError as error:
        raise FileFormatError(
            "there is no model of the network here", str(folder), remedy
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            "it does not describe a model of the network", str(folder / CARD), remedy
        ) from error
    contents = {}
    for name, wanted in sums.items():
        try:
            contents[name] = (folder / name).read_bytes()
        except OSError as error:
            raise FileFormatError(
                "a file of the network is missing", str(folder / name), remedy
            ) from error
        # The bytes that were checked are the ones that are used: the file is not read twice.
        if hashlib.sha256(contents[name]).hexdigest() != wanted:
            raise FileFormatError(
                f"the file was changed: its sha256 differs from the one in {CARD}",
                str(folder / name),
                remedy,
            )
    return says, contents


def _runtime() -> Any:
    """The module onnxruntime, which only this part of the program needs."""
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ChemoscapeError(
            "the network needs onnxruntime, which is not installed",
            remedy="run pip install 'chemoscape[segment]', or choose the classical method",
        ) from error


def _graph(runtime: Any, name: str, content: bytes, threads: int) -> Graph:
    """A callable that runs one graph on arrays in the order of `GRAPHS`."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    inputs, outputs = GRAPHS[name]
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        given = [one.name for one in (*session.get_inputs(), *session.get_outputs())]
    except Exception as error:
        raise FileFormatError(
            "the file is no network", name, "export the model again, or leave it out"
        ) from error
    if set(given) != {*inputs, *outputs}:
        raise FileFormatError(
            f"the graph has {', '.join(given)} where {', '.join((*inputs, *outputs))} belong",
            name,
            "export the model again, or leave it out",
        )

    def run(*arrays: np.ndarray) -> Sequence[np.ndarray]:
        return session.run(list(outputs), dict(zip(inputs, arrays, strict=True)))

    return run
