"""From the outputs of a network to particles, with networks whose answers are known."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from chemoscape.errors import ChemoscapeError, FileFormatError, StackError
from chemoscape.particles.maskrcnn import inference
from chemoscape.particles.maskrcnn.architecture import (
    FINE_BINS,
    MASK_BINS,
    MASK_CELLS,
    PIXEL_UM,
    STRIDES,
)
from chemoscape.particles.maskrcnn.boxes import PROPOSAL_WEIGHTS, Settings, anchors, encode
from chemoscape.particles.maskrcnn.inference import CARD, GRAPHS, Detector

#: Rows and columns of a tile that is no multiple of the coarsest cell.
SHAPE, PADDED = (75, 90), (96, 96)
#: Row, column and radius of discs; the last one is cut by two borders of the tile.
DISCS = [(20.0, 30.0, 9.0), (40.3, 61.8, 14.2), (73.0, 86.0, 10.0)]


def distance(disc, rows, columns):
    """Signed distance to the edge of a disc, positive inside."""
    return disc[2] - np.hypot(rows[:, None] - disc[0], columns[None, :] - disc[1])


def true_mask(disc, shape=SHAPE):
    return distance(disc, np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5) > 0


class KnownNetwork:
    """Three graphs that propose the boxes of discs and read their masks from the fine map.

    The two channels of the fine map are the distances to the edges of all discs, of the even ones
    and of the odd ones, so that the mask of a class is wrong unless it was read in its place.
    """

    def __init__(self, discs=DISCS, scores=(3.0, -9.0), padded=PADDED, repeats=1, logit=10.0):
        self.discs, self.scores, self.padded, self.logit = discs, scores, padded, logit
        self.repeats = repeats
        self.calls: list[tuple[int, ...]] = []

    def backbone(self, image):
        self.image = image
        rows, columns = self.padded
        assert image.shape == (1, 2, rows, columns)
        assert image.dtype == np.float32
        pyramid = [np.zeros((1, 5, rows // s, columns // s), np.float32) for s in STRIDES]
        y, x = (np.arange(size // 2) * 2.0 + 1 for size in self.padded)
        fields = [distance(disc, y, x) for disc in self.discs]
        empty = np.full((rows // 2, columns // 2), -50.0)
        fine = np.stack([np.max([empty, *fields[one::2]], axis=0) for one in (0, 1)])
        prior = np.concatenate([anchors(i, rows // s, columns // s) for i, s in enumerate(STRIDES)])
        objectness = np.full(len(prior), -30.0, np.float32)
        deltas = np.zeros((len(prior), 4), np.float32)
        deltas[:, 2:] = -20.0  # whatever was not asked for has no area
        for one, (row, column, radius) in enumerate(self.discs):
            box = np.array([column - radius, row - radius, column + radius, row + radius])
            for repeat in range(self.repeats):
                here = one * self.repeats + repeat
                objectness[here] = 5.0 - one
                deltas[here] = encode(box, prior[here], PROPOSAL_WEIGHTS)
        return [*pyramid, fine[None].astype(np.float32), objectness[None], deltas[None]]

    def box_head(self, regions):
        self.calls.append(regions.shape)
        scores = np.tile(np.array(self.scores, np.float32), (len(regions), 1))
        return scores, np.zeros((len(regions), 2, 4), np.float32)

    def mask_head(self, regions, details):
        self.calls.append(regions.shape)
        assert regions.shape == (len(regions), 5, MASK_BINS, MASK_BINS)
        assert details.shape == (len(regions), 2, FINE_BINS, FINE_BINS)
        fine = np.repeat(np.repeat(details, 2, axis=2), 2, axis=3)
        return [np.clip(fine, -1, 1) * self.logit]

    def detector(self, **settings):
        return Detector(self.backbone, self.box_head, self.mask_head, Settings(**settings))


def tile(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def test_a_disc_comes_back_where_it_was():
    for number in (0, 2):  # inside, and cut by two borders
        found = KnownNetwork([DISCS[number]]).detector()(tile())
        assert len(found) == 1
        assert found.shape == SHAPE
        assert found.dense().shape == (1, *SHAPE)
        assert iou(found.dense()[0], true_mask(DISCS[number])) > 0.93


def test_classes_have_masks_of_their_own():
    network = KnownNetwork(DISCS[:2], scores=(3.0, 2.0))
    found = network.detector()(tile())
    # each disc is in one channel of the fine map: in the other its box is empty and is dropped
    assert len(found) == 2
    np.testing.assert_allclose(found.scores, sorted(found.scores, reverse=True))
    for mask, disc in zip(found.dense(), DISCS[:2], strict=True):
        assert iou(mask, true_mask(disc)) > 0.93


def test_two_wires_crossed_in_one_box_stay_two():
    network = KnownNetwork(DISCS[:1], scores=(3.0, 2.0))
    share = (np.arange(MASK_CELLS) + 0.5) / MASK_CELLS
    rising = 0.1 - np.abs(share[:, None] + share - 1)
    falling = 0.1 - np.abs(share[:, None] - share)

    def mask_head(regions, details):
        return [np.tile(40 * np.stack([rising, falling]), (len(regions), 1, 1, 1))]

    detector = Detector(network.backbone, network.box_head, mask_head)
    found = detector(tile())
    assert len(found) == 2
    first, second = found.dense()
    np.testing.assert_array_equal(first[11:29, 21:39], second[11:29, 21:39][::-1])
    assert first[28, 21]
    assert second[11, 21]


def test_the_same_mask_of_both_classes_counts_once():
    network = KnownNetwork([DISCS[0], DISCS[0]], scores=(1.0, 2.0))
    found = network.detector()(tile())
    assert len(found) == 1
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-2.0)), rel=0.05)


@pytest.mark.parametrize("logit", [0.5, 3.0])
def test_score_is_class_times_mean_probability(logit):
    network = KnownNetwork(DISCS[:1])

    def mask_head(regions, details):
        return [np.full((len(regions), 2, MASK_CELLS, MASK_CELLS), logit, np.float32)]

    found = Detector(network.backbone, network.box_head, mask_head)(tile())
    wanted = 1 / (1 + np.exp(-3.0)) / (1 + np.exp(-logit))
    np.testing.assert_allclose(found.scores, [wanted], rtol=1e-5)
    np.testing.assert_array_equal(found.boxes, [[21, 11, 39, 29]])


def test_padding_is_background_and_the_tile_is_not_touched():
    network = KnownNetwork(DISCS[:1])
    given = tile()
    before = given.copy()
    network.detector()(given)
    np.testing.assert_array_equal(given, before)
    np.testing.assert_array_equal(network.image[0, :, :75, :90], given)
    assert not network.image[0, :, 75:].any()
    assert not network.image[0, :, :, 90:].any()


def test_boxes_end_where_the_tile_ends():
    """At every step: a mask drawn for a box that goes on in the padding would be stretched."""
    network = KnownNetwork([(73.0, 86.0, 10.0)])

    def box_head(regions):
        scores, corrections = network.box_head(regions)
        corrections[..., 2] = 5 * np.log(2)  # twice as wide
        return scores, corrections

    def mask_head(regions, details):
        masks = np.full((len(regions), 2, MASK_CELLS, MASK_CELLS), -9.0)
        masks[..., : MASK_CELLS // 2] = 9
        return [masks]

    found = Detector(network.backbone, box_head, mask_head)(tile())
    # proposed 76 to 96, cut to 90; corrected to 69 to 97, cut to 90; the left half ends at 79.5
    np.testing.assert_array_equal(found.boxes[:, 0::2], [[69, 79]])
    np.testing.assert_array_equal(found.boxes[:, 1::2], [[63, 75]])


def test_a_tile_that_fits_is_not_padded():
    network = KnownNetwork([(30.0, 30.0, 10.0)], padded=(64, 96))
    found = network.detector()(tile((64, 96)))
    assert len(found) == 1
    assert iou(found.dense()[0], true_mask((30.0, 30.0, 10.0), (64, 96))) > 0.93


def test_masks_are_drawn_in_batches():
    discs = [(10.0 + 12 * (i % 5), 8.0 + 13 * (i // 5), 5.0) for i in range(30)]
    network = KnownNetwork(discs, scores=(3.0, 2.0))
    found = network.detector(batch=25)(tile())
    assert network.calls == [(30, 5, 7, 7), (25, 5, 28, 28), (25, 5, 28, 28), (10, 5, 28, 28)]
    assert len(found) == 30


def test_repeats_of_a_proposal_are_not_judged():
    network = KnownNetwork(DISCS[:2], repeats=7)
    network.detector()(tile())
    assert network.calls[0][0] == 2


def test_small_masks_are_dropped():
    network = KnownNetwork([(20.5, 30.5, 2.2)])
    assert len(network.detector(smallest_mask=5)(tile())) == 1
    assert len(network.detector(smallest_mask=30)(tile())) == 0


def test_nothing_proposed_and_nothing_likely():
    network = KnownNetwork([])
    found = network.detector()(tile())
    assert (len(found), found.shape, network.calls) == (0, SHAPE, [])
    network = KnownNetwork(DISCS, scores=(-9.0, -9.0))
    found = network.detector()(tile())
    assert (len(found), found.shape, len(network.calls)) == (0, SHAPE, 1)


@pytest.mark.parametrize("shape", [(75, 90), (1, 75, 90), (2, 0, 90)])
def test_other_arrays_are_refused(shape):
    with pytest.raises(StackError, match="not a tile of 2 channels"):
        KnownNetwork().detector()(np.zeros(shape))


def test_values_that_are_not_finite_are_refused():
    given = tile()
    given[1, 3, 4] = np.nan
    with pytest.raises(StackError, match="not finite"):
        KnownNetwork().detector()(given)


CONTENT = {name: f"graph {name}".encode() for name in GRAPHS}


def write_model(folder, contents=CONTENT, **changes):
    """A folder with a model; `changes` replace entries of its card."""
    folder.mkdir(exist_ok=True)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    card = {"files": sums, "threshold": 0.6, "pixel_um": PIXEL_UM, "version": "7"} | changes
    (folder / "model.json").write_text(json.dumps(card))
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def runtime(monkeypatch):
    """A stand-in for onnxruntime whose graphs are those of a known network."""
    network = KnownNetwork(DISCS[:1])
    made = []

    class Session:
        def __init__(self, content, options, providers):
            self.name = next(name for name, bytes_ in CONTENT.items() if bytes_ == content)
            self.work = dict(
                zip(GRAPHS, (network.backbone, network.box_head, network.mask_head), strict=True)
            )[self.name]
            made.append((self.name, options.intra_op_num_threads))

        def get_inputs(self):
            return [SimpleNamespace(name=name) for name in GRAPHS[self.name][0]]

        def get_outputs(self):
            return [SimpleNamespace(name=name) for name in GRAPHS[self.name][1]]

        def run(self, outputs, feed):
            assert tuple(feed) == GRAPHS[self.name][0]
            given = self.work(*feed.values())
            assert len(given) == len(outputs)
            return given

    module = SimpleNamespace(InferenceSession=Session, SessionOptions=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    return made


def test_open_a_folder(tmp_path, runtime):
    detector = Detector.open(write_model(tmp_path / "m"), threads=3)
    assert runtime == [(name, 3) for name in GRAPHS]
    assert (detector.threshold, detector.pixel_um, detector.version) == (0.6, PIXEL_UM, "7")
    found = detector(tile())
    assert iou(found.dense()[0], true_mask(DISCS[0])) > 0.93


def test_open_the_model_of_the_program(tmp_path, runtime, monkeypatch):
    monkeypatch.setattr(inference.resources, "files", lambda package: tmp_path)
    write_model(tmp_path / "model", version="shipped")
    assert Detector.open().version == "shipped"
    assert all(threads >= 1 for _, threads in runtime)


def test_no_model(tmp_path, runtime):
    with pytest.raises(FileFormatError, match="no model"):
        Detector.open(tmp_path / "nowhere")


@pytest.mark.parametrize("name", GRAPHS)
def test_a_missing_or_changed_graph(tmp_path, runtime, name):
    folder = write_model(tmp_path / "m")
    (folder / name).write_bytes(CONTENT[name] + b"!")
    with pytest.raises(FileFormatError, match=rf"{name}: the file was changed"):
        Detector.open(folder)
    (folder / name).unlink()
    with pytest.raises(FileFormatError, match="missing"):
        Detector.open(folder)
    assert runtime == []


@pytest.mark.parametrize("changes", [{"files": {}}, {"threshold": None}, {"files": 3}])
def test_a_card_that_describes_no_model(tmp_path, runtime, changes):
    with pytest.raises(FileFormatError, match=r"model\.json: it does not describe"):
        Detector.open(write_model(tmp_path / "m", **changes))


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff"])
def test_a_card_that_cannot_be_read(tmp_path, runtime, text):
    folder = write_model(tmp_path / "m")
    (folder / "model.json").write_text(text, encoding="latin-1")
    with pytest.raises(FileFormatError, match="does not describe"):
        Detector.open(folder)


def test_without_onnxruntime(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ChemoscapeError, match=r"pip install 'chemoscape\[segment\]'"):
        Detector.open(write_model(tmp_path / "m"))


def tiny_graphs(onnx):
    """Graphs for 32 x 32 pixels that find the one disc that the image shows in both channels."""
    make, helper = onnx.numpy_helper.from_array, onnx.helper
    prior = np.concatenate([anchors(i, 32 // s, 32 // s) for i, s in enumerate(STRIDES)])
    objectness = np.full((1, len(prior)), -30, np.float32)
    objectness[0, 9] = 4
    deltas = np.full((1, len(prior), 4), -20, np.float32)
    deltas[0, 9] = encode(np.array([5, 6, 25, 26]), prior[9], PROPOSAL_WEIGHTS)

    def model(name, nodes, inputs, constants=()):
        kind = onnx.TensorProto.FLOAT
        given = [helper.make_tensor_value_info(one, kind, [None] * 4) for one in inputs]
        wanted = [helper.make_tensor_value_info(one, kind, None) for one in GRAPHS[name][1]]
        graph = helper.make_graph(nodes, "tiny", given, wanted, list(constants))
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()

    def pool(name, size):
        window = {"kernel_shape": [size, size], "strides": [size, size]}
        return helper.make_node("AveragePool", ["image"], [name], **window)

    pools = [pool(f"p{i + 2}", s) for i, s in enumerate(STRIDES)] + [pool("fine", 2)]
    named = (("o", objectness), ("d", deltas))
    same = [
        helper.make_node("Identity", ["o"], ["objectness"]),
        helper.make_node("Identity", ["d"], ["deltas"]),
    ]
    answers = [
        helper.make_node("ReduceMax", ["regions"], ["scores"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["scores", "zero"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "last"], ["one"]),
        helper.make_node("Concat", ["one"] * 4, ["corrections"], axis=2),
    ]
    constants = [make(np.zeros(1, np.float32), "zero"), make(np.array([2]), "last")]
    resize = helper.make_node("Resize", ["details", "", "scales"], ["masks"], mode="linear")
    scales = make(np.array([1, 1, 2, 2], np.float32), "scales")
    return {
        "backbone.onnx": model(
            "backbone.onnx", pools + same, ["image"], [make(value, name) for name, value in named]
        ),
        "box.onnx": model("box.onnx", answers, ["regions"], constants),
        "mask.onnx": model("mask.onnx", [resize], ["regions", "details"], [scales]),
    }


def test_with_true_graphs(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    detector = Detector.open(write_model(tmp_path / "m", tiny_graphs(onnx)), threads=1)
    disc = (16.0, 15.0, 9.0)
    shown = distance(disc, np.arange(30) + 0.5, np.arange(31) + 0.5)
    found = detector(np.stack([shown, shown]))
    assert len(found) == 1
    assert found.shape == (30, 31)
    assert iou(found.dense()[0], true_mask(disc, (30, 31))) > 0.93


def test_files_that_are_no_network_are_refused(tmp_path):
    """Damaged, swapped, or described by numbers that cannot be: checksums alone do not tell."""
    pytest.importorskip("onnxruntime", reason="the extra segment is not installed")
    shipped = Path(str(resources.files("chemoscape.particles.maskrcnn"))) / "model"

    def model(**changed):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(shipped, folder)
        card = json.loads((folder / CARD).read_text())
        for name, content in changed.pop("files", {}).items():
            (folder / name).write_bytes(content)
            card["files"][name] = hashlib.sha256(content).hexdigest()
        (folder / CARD).write_text(json.dumps({**card, **changed}))
        return folder

    with pytest.raises(FileFormatError, match="is no network"):
        Detector.open(model(files={"box.onnx": b"not a graph"}))
    swapped = (shipped / "mask.onnx").read_bytes()
    with pytest.raises(FileFormatError, match="where regions, scores, corrections belong"):
        Detector.open(model(files={"box.onnx": swapped}))
    for wrong in ({"threshold": float("nan")}, {"threshold": 2}, {"pixel_um": 0}):
        with pytest.raises(FileFormatError, match="does not describe a model"):
            Detector.open(model(**wrong))
