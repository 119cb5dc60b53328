"""The trained network as three ONNX graphs, checked against torch, with what a user must know."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from chemoscape.errors import ChemoscapeError
from chemoscape.particles.maskrcnn.architecture import (
    BOX_BINS,
    CHANNELS,
    FINE_BINS,
    MASK_BINS,
    PIXEL_UM,
)
from chemoscape.particles.maskrcnn.network import FEATURES, FINE, MaskRCNN
from chemoscape.particles.maskrcnn.training import UNREADABLE

OPSET = 18
#: Largest difference between torch and ONNX that an export may show, as a share of the range.
AGREEMENT = 1e-3


def network_of(path: Path) -> MaskRCNN:
    """The network whose weights a training run has kept (`weights-….pt`, or `state.pt`)."""
    network = MaskRCNN()
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(kept.get("mean", kept))
    except UNREADABLE as error:
        raise ChemoscapeError(
            "holds no weights of this network", str(path), "name a file that training has written"
        ) from error
    return network.eval()


def export(network: MaskRCNN, folder: Path, about: dict[str, Any]) -> dict[str, float]:
    """Write backbone.onnx, box.onnx, mask.onnx and model.json into a folder.

    Parameters
    ----------
    network : MaskRCNN
    folder : Path
        Made if it is not there.
    about : dict
        What model.json says beside the sha256 of each file and the pixel size: `version`,
        `threshold`.

    Returns
    -------
    differences : dict
        Largest difference between torch and ONNX per graph, relative to the range of the output.

    Raises
    ------
    ChemoscapeError
        When a graph does not reproduce the network.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".", suffix=".partial") as held:
        staging = Path(held) / folder.name
        staging.mkdir()
        differences = _write(network, staging, about)
        if folder.exists():  # a kill before this line leaves the old model as it was
            folder.rename(Path(held) / "old")
        staging.rename(folder)
    return differences


def _write(network: MaskRCNN, folder: Path, about: dict[str, Any]) -> dict[str, float]:
    """The three graphs and what describes them."""
    network = deepcopy(network).eval().cpu()
    random = torch.Generator().manual_seed(0)
    image = torch.rand(1, CHANNELS, 160, 128, generator=random)
    box = torch.rand(3, FEATURES, BOX_BINS, BOX_BINS, generator=random)
    region = torch.rand(3, FEATURES, MASK_BINS, MASK_BINS, generator=random)
    detail = torch.rand(3, FINE, FINE_BINS, FINE_BINS, generator=random)
    pyramid = ["p2", "p3", "p4", "p5", "fine", "objectness", "deltas"]
    n = torch.export.Dim("n")
    high, wide = torch.export.Dim("high", max=256), torch.export.Dim("wide", max=256)
    differences = {
        "backbone": _graph(
            network.backbone,
            folder / "backbone.onnx",
            {"image": image},
            pyramid,
            ({2: 32 * high, 3: 32 * wide},),
        ),
        "box": _graph(
            network.box_head,
            folder / "box.onnx",
            {"regions": box},
            ["scores", "corrections"],
            ({0: n},),
        ),
        "mask": _graph(
            network.mask_head,
            folder / "mask.onnx",
            {"regions": region, "details": detail},
            ["masks"],
            ({0: n}, {0: n}),
        ),
    }
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("backbone.onnx", "box.onnx", "mask.onnx")
    }
    text = json.dumps({**about, "pixel_um": PIXEL_UM, "files": files}, indent=2)
    (folder / "model.json").write_text(text + "\n", encoding="utf-8")
    return differences


def _graph(
    part: nn.Module,
    path: Path,
    inputs: dict[str, torch.Tensor],
    outputs: list[str],
    dynamic: tuple[dict[int, Any], ...],
) -> float:
    """Write one graph; how far it is from torch."""
    import onnxruntime

    values = tuple(inputs.values())
    with warnings.catch_warnings():  # the exporter's own: about its internals and torchvision
        warnings.simplefilter("ignore")
        log, level = logging.getLogger("torch.onnx"), logging.getLogger("torch.onnx").level
        log.setLevel(logging.ERROR)
        program = torch.onnx.export(
            part,
            values,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=dynamic,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        log.setLevel(level)
    path.write_bytes(_plain(program.model_proto).SerializeToString())
    with torch.no_grad():
        wanted = part(*values)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    worst = max(
        float(np.abs(one - other.numpy()).max() / (np.ptp(other.numpy()) + 1e-9))
        for one, other in zip(given, wanted, strict=True)
    )
    if worst > AGREEMENT:
        raise ChemoscapeError(
            f"the graph differs from the network by {worst:.1e} of its range",
            str(path),
            "export on another machine, or with other releases of torch and onnxscript",
        )
    return worst


def _plain(model: Any) -> Any:
    """The graph without the exporter's notes, which hold paths of the machine it ran on."""
    graph = model.graph
    for one in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del one.metadata_props[:]
        one.doc_string = ""
    return model
