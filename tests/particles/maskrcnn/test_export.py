"""The exported graphs say what the torch network says, and so does the detector that runs them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")
pytest.importorskip("onnxscript", reason="the extra train is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra train is not installed")

from chemoscape.errors import ChemoscapeError, FileFormatError  # noqa: E402
from chemoscape.particles import evaluation, generator, maskrcnn  # noqa: E402
from chemoscape.particles.maskrcnn import export as ex  # noqa: E402
from chemoscape.particles.maskrcnn.architecture import (  # noqa: E402
    BOX_BINS,
    CHANNELS,
    FINE_BINS,
    MASK_BINS,
    MASK_CELLS,
    PIXEL_UM,
)
from chemoscape.particles.maskrcnn.boxes import Settings  # noqa: E402
from chemoscape.particles.maskrcnn.inference import GRAPHS, Detector  # noqa: E402
from chemoscape.particles.maskrcnn.network import FEATURES, FINE, MaskRCNN  # noqa: E402
from chemoscape.particles.scaling import normalised  # noqa: E402

ABOUT = {"version": "untrained", "threshold": 0.25}
SHIPPED = Path(str(resources.files(maskrcnn))) / "model"
#: Weights of which the shipped model is the export; they are larger and not shipped.
WEIGHTS = os.environ.get("CHEMOSCAPE_WEIGHTS", "")


def untrained() -> MaskRCNN:
    """Random weights, with heads that answer variously and find something."""
    torch.manual_seed(0)
    network = MaskRCNN().eval()
    with torch.no_grad():
        for head, mean, spread in (
            (network.backbone.objectness, 0.0, 0.5),
            (network.backbone.deltas, 0.0, 0.2),
            (network.box_head.scores, 0.0, 1.0),
            (network.box_head.corrections, 0.0, 1.0),
            (network.mask_head.out[-1], 0.1, 1.0),
        ):
            head.weight.normal_(0, spread)
            head.bias.fill_(mean)
        # as after some training: no normalisation does nothing
        for part in network.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def network():
    return untrained()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Folder of the exported graphs, and what the export said of them."""
    folder = tmp_path_factory.mktemp("export") / "model"
    return folder, ex.export(untrained(), folder, ABOUT)


def as_graph(part):
    """A part of the torch network in the place of an ONNX graph."""

    def run(*arrays):
        with torch.no_grad():
            answer = part(*map(torch.from_numpy, arrays))
        answer = answer if isinstance(answer, tuple) else (answer,)
        return [one.numpy() for one in answer]

    return run


def detector_of(network):
    return Detector(*map(as_graph, (network.backbone, network.box_head, network.mask_head)))


def compare(first, second, images):
    """Largest difference of a score; masks, which must be the same; particles found."""
    worst, n = 0.0, 0
    for ensemble in images:
        channels = normalised(ensemble.image)
        one, other = first(channels), second(channels)
        assert len(one) == len(other)
        np.testing.assert_array_equal(one.corners, other.corners)
        for crop, again in zip(one.crops, other.crops, strict=True):
            np.testing.assert_array_equal(crop, again)
        worst = max(worst, *np.abs(one.scores - other.scores), 0.0)
        n += len(one)
    return worst, n


def test_an_export_agrees_with_its_network(exported):
    _, differences = exported
    assert set(differences) == {"backbone", "box", "mask"}
    assert max(differences.values()) < ex.AGREEMENT


def test_the_folder_holds_graphs_and_card(exported):
    folder, _ = exported
    assert sorted(path.name for path in folder.iterdir()) == sorted([*GRAPHS, "model.json"])
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert {name: card[name] for name in ABOUT} == ABOUT
    assert card["pixel_um"] == PIXEL_UM
    assert card["files"] == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in GRAPHS
    }


INPUTS = {
    "backbone.onnx": [
        {"image": (1, CHANNELS, high, wide)} for high, wide in [(96, 224), (32, 32), (288, 64)]
    ],
    "box.onnx": [{"regions": (n, FEATURES, BOX_BINS, BOX_BINS)} for n in (1, 2, 70)],
    "mask.onnx": [
        {
            "regions": (n, FEATURES, MASK_BINS, MASK_BINS),
            "details": (n, FINE, FINE_BINS, FINE_BINS),
        }
        for n in (1, 2, 9)
    ],
}


@pytest.mark.parametrize(
    ("name", "shapes"), [(name, shapes) for name, all_of in INPUTS.items() for shapes in all_of]
)
def test_graphs_take_other_sizes_than_they_were_made_with(exported, network, name, shapes):
    torch.manual_seed(1)
    given = {one: torch.rand(shape) for one, shape in shapes.items()}
    part = {
        "backbone.onnx": network.backbone,
        "box.onnx": network.box_head,
        "mask.onnx": network.mask_head,
    }[name]
    with torch.no_grad():
        wanted = part(*given.values())
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    session = onnxruntime.InferenceSession(
        str(exported[0] / name), providers=["CPUExecutionProvider"]
    )
    found = session.run(list(GRAPHS[name][1]), {one: x.numpy() for one, x in given.items()})
    for array, tensor in zip(found, wanted, strict=True):
        assert array.shape == tensor.shape
        assert np.abs(array - tensor.numpy()).max() <= 1e-4 * np.ptp(tensor.numpy())
    assert MASK_CELLS in found[0].shape or name != "mask.onnx"


def test_the_detector_opens_an_export(exported):
    detector = Detector.open(exported[0], threads=1)
    assert detector.threshold == ABOUT["threshold"]
    assert detector.version == ABOUT["version"]
    assert detector.pixel_um == PIXEL_UM


def test_an_export_that_was_changed_is_not_opened(exported, tmp_path):
    for path in exported[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "box.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(FileFormatError, match="changed"):
        Detector.open(tmp_path)


@pytest.mark.parametrize("shape", [(96, 128), (70, 100)])
def test_both_halves_find_the_same_particles(exported, network, shape):
    images = [
        generator.make_ensemble(np.random.default_rng(seed), shape, fine=1) for seed in range(2)
    ]
    few = Settings(proposals=100, detections=40)  # a network that knows nothing finds hundreds
    onnx, ours = (
        replace(one, settings=few)
        for one in (Detector.open(exported[0], threads=1), detector_of(network))
    )
    worst, n = compare(onnx, ours, images)
    assert n > 10
    assert worst < 1e-5


@pytest.mark.skipif(not Path(WEIGHTS).is_file(), reason="CHEMOSCAPE_WEIGHTS names no file")
@pytest.mark.skipif(not SHIPPED.is_dir(), reason="no model comes with this copy")
def test_the_shipped_model_is_the_export_of_its_weights():
    trained = detector_of(ex.network_of(Path(WEIGHTS)))
    images = (one for name in evaluation.CONDITIONS for one in evaluation.held_out(name, 6))
    worst, n = compare(Detector.open(threads=1), trained, images)
    assert n > 500
    assert worst < 1e-5


def test_a_graph_that_differs_is_refused(tmp_path, monkeypatch, network):
    monkeypatch.setattr(ex, "AGREEMENT", -1.0)
    regions = torch.rand(2, FEATURES, BOX_BINS, BOX_BINS)
    n = torch.export.Dim("n")
    with pytest.raises(ChemoscapeError, match="differs from the network") as caught:
        ex._graph(
            network.box_head,
            tmp_path / "box.onnx",
            {"regions": regions},
            ["scores", "corrections"],
            ({0: n},),
        )
    assert "box.onnx" in str(caught.value)


def test_weights_come_back(tmp_path, network):
    for name, kept in (
        ("weights-8.pt", network.state_dict()),
        ("state.pt", {"mean": network.state_dict(), "seen": 8}),
    ):
        torch.save(kept, tmp_path / name)
        again = ex.network_of(tmp_path / name)
        assert not again.training
        for key, value in network.state_dict().items():
            assert torch.equal(again.state_dict()[key], value)


def test_no_file_has_no_weights(tmp_path):
    with pytest.raises(ChemoscapeError, match="holds no weights"):
        ex.network_of(tmp_path / "none.pt")


@pytest.mark.parametrize("what", ["text", "other weights", "a tensor"])
def test_another_file_has_no_weights(tmp_path, what):
    path = tmp_path / "weights.pt"
    if what == "text":
        path.write_text("images,rate\n1,2\n", encoding="utf-8")
    else:
        torch.save(torch.zeros(3) if what == "a tensor" else {"layer": torch.zeros(3)}, path)
    with pytest.raises(ChemoscapeError, match="holds no weights"):
        ex.network_of(path)
