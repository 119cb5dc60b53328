"""Reading regions and laying masks back, against closed forms and other implementations."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.particles.maskrcnn.architecture import MASK_CELLS, STRIDES
from chemoscape.particles.maskrcnn.rois import lay, paste, pyramid_align, roi_align


def ramp(height: int, width: int, stride: int) -> np.ndarray:
    """Features that are the position of the cell's centre in pixels: x, then y."""
    y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    return (np.stack([x, y]) * stride).astype(np.float32)


def by_loops(features, stride, box, bins, samples):
    """Mean of bilinear samples, one at a time."""
    channels, height, width = features.shape
    x0, y0, x1, y1 = (float(one) for one in box)
    region = np.zeros((channels, bins, bins))
    n = bins * samples
    for i in range(n):
        for j in range(n):
            y = min(max((y0 + (i + 0.5) / n * (y1 - y0)) / stride - 0.5, 0), height - 1)
            x = min(max((x0 + (j + 0.5) / n * (x1 - x0)) / stride - 0.5, 0), width - 1)
            top, left = int(y), int(x)
            low, right = min(top + 1, height - 1), min(left + 1, width - 1)
            fy, fx = y - top, x - left
            value = (
                features[:, top, left] * (1 - fy) * (1 - fx)
                + features[:, top, right] * (1 - fy) * fx
                + features[:, low, left] * fy * (1 - fx)
                + features[:, low, right] * fy * fx
            )
            region[:, i // samples, j // samples] += value / samples**2
    return region


@pytest.mark.parametrize("stride", [2, 4, 32])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_a_ramp_is_read_at_the_centres_of_the_bins(stride, samples):
    box = np.array([[2.3, 1.7, 7.9, 6.1]]) * stride
    region = roi_align(ramp(9, 11, stride), stride, box, 7, samples)[0]
    share = (np.arange(7) + 0.5) / 7
    x = box[0, 0] + share * (box[0, 2] - box[0, 0])
    y = box[0, 1] + share * (box[0, 3] - box[0, 1])
    np.testing.assert_allclose(region[0], np.broadcast_to(x, (7, 7)), rtol=1e-5)
    np.testing.assert_allclose(region[1], np.broadcast_to(y[:, None], (7, 7)), rtol=1e-5)


def test_a_constant_stays_even_beyond_the_border():
    features = np.full((1, 5, 6), 2.5, np.float32)
    boxes = np.array([[1, 1, 9, 9], [-30, -30, 100, 80], [0, 0, 0, 0], [90, 90, 99, 99]])
    np.testing.assert_allclose(roi_align(features, 4, boxes, 7, 2), 2.5, rtol=1e-6)


def test_a_box_of_one_cell_reads_that_cell():
    features = np.arange(30, dtype=np.float32).reshape(1, 5, 6)
    box = np.array([[12, 8, 16, 12]])  # column 3, row 2 at stride 4
    assert roi_align(features, 4, box, 1, 1)[0, 0, 0, 0] == features[0, 2, 3]
    # half a cell further the value is the mean of two neighbours
    right, below = box + np.array([2, 0, 2, 0]), box + np.array([0, 2, 0, 2])
    assert roi_align(features, 4, right, 1, 1)[0, 0, 0, 0] == features[0, 2, 3:5].mean()
    assert roi_align(features, 4, below, 1, 1)[0, 0, 0, 0] == features[0, 2:4, 3].mean()


def test_a_box_of_whole_cells_reads_them_in_place():
    features = np.random.default_rng(0).normal(size=(3, 8, 9)).astype(np.float32)
    region = roi_align(features, 4, np.array([[8, 4, 24, 20]]), 4, 1)[0]
    np.testing.assert_allclose(region, features[:, 1:5, 2:6], rtol=1e-6)


def test_border_values_go_on():
    region = roi_align(ramp(4, 4, 4), 4, np.array([[-40, -40, 40, 40]]), 10, 2)[0]
    assert region[0].min() == 2
    assert region[0].max() == 14
    np.testing.assert_array_equal(region[0, :, 0], np.full(10, 2))


@pytest.mark.parametrize(("bins", "samples"), [(7, 2), (4, 1), (3, 3)])
def test_the_same_as_one_sample_at_a_time(bins, samples):
    rng = np.random.default_rng(4)
    features = rng.normal(size=(3, 10, 13)).astype(np.float32)
    start = rng.uniform(-6, 40, (12, 2))
    boxes = np.hstack([start, start + rng.uniform(0, 30, (12, 2))])
    found = roi_align(features, 4, boxes, bins, samples)
    assert found.shape == (12, 3, bins, bins)
    assert found.dtype == np.float32
    for region, box in zip(found, boxes, strict=True):
        np.testing.assert_allclose(region, by_loops(features, 4, box, bins, samples), atol=2e-6)


#: Features, boxes and the answer of the operator RoiAlign of ONNX (onnxruntime 1.32, opset 16,
#: half_pixel, average, two samples), stride 4; the operator agrees inside the outermost centres.
KNOWN = ((np.arange(48) * 7 % 11).astype(np.float32).reshape(1, 6, 8), [[5, 6, 21, 17]])
KNOWN_ANSWER = [
    [6.7916667, 1.9166667, 5.75],
    [7.7083333, 2.8333333, 6.6666667],
    [6.7534714, 3.75, 7.5833333],
]


def test_known_answer_of_another_implementation():
    found = roi_align(KNOWN[0], 4, np.array(KNOWN[1]), 3, 2)[0, 0]
    np.testing.assert_allclose(found, KNOWN_ANSWER, rtol=1e-5)


def test_the_same_as_the_operator_of_onnx():
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(5)
    features = rng.normal(size=(1, 4, 32, 40)).astype(np.float32)
    start = rng.uniform(3, 60, (20, 2))
    boxes = np.hstack([start, start + rng.uniform(1, 60, (20, 2))]).astype(np.float32)
    node = onnx.helper.make_node(
        "RoiAlign",
        ["x", "boxes", "which"],
        ["y"],
        output_height=7,
        output_width=7,
        sampling_ratio=2,
        spatial_scale=0.25,
        coordinate_transformation_mode="half_pixel",
    )
    kinds = onnx.TensorProto
    graph = onnx.helper.make_graph(
        [node],
        "roi",
        [
            onnx.helper.make_tensor_value_info("x", kinds.FLOAT, features.shape),
            onnx.helper.make_tensor_value_info("boxes", kinds.FLOAT, boxes.shape),
            onnx.helper.make_tensor_value_info("which", kinds.INT64, [20]),
        ],
        [onnx.helper.make_tensor_value_info("y", kinds.FLOAT, [20, 4, 7, 7])],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 16)], ir_version=8
    )
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    wanted = session.run(None, {"x": features, "boxes": boxes, "which": np.zeros(20, np.int64)})[0]
    np.testing.assert_allclose(roi_align(features[0], 4, boxes, 7, 2), wanted, atol=1e-5)


def test_the_same_as_in_training():
    torch = pytest.importorskip("torch")
    from chemoscape.particles.maskrcnn import losses

    rng = np.random.default_rng(6)
    features = rng.normal(size=(3, 16, 16)).astype(np.float32)
    start = rng.uniform(0, 60, (20, 2))
    boxes = np.clip(np.hstack([start, start + rng.uniform(1, 60, (20, 2))]), 0, 64)
    boxes = boxes.astype(np.float32)
    wanted = losses.roi_align(
        torch.from_numpy(features)[None], torch.from_numpy(boxes)[None], 7, 64
    )
    np.testing.assert_allclose(roi_align(features, 4, boxes, 7, 2), wanted[0].numpy(), atol=1e-4)


def test_each_region_is_read_from_its_level():
    levels = [
        np.full((2, 512 // s, 512 // s), level, np.float32) for level, s in enumerate(STRIDES)
    ]
    sides = np.array([320.0, 10, 160, 80, 12])
    boxes = np.stack([np.zeros(5), np.zeros(5), sides, sides], axis=1)
    regions = pyramid_align(levels, boxes, 7, 2)
    np.testing.assert_allclose(regions[:, 0, 0, 0], [3, 0, 2, 1, 0], atol=1e-6)
    assert pyramid_align(levels, boxes[:0], 7, 2).shape == (0, 2, 7, 7)


def test_strides_of_the_levels_are_their_own():
    levels = [ramp(512 // s, 512 // s, s) for s in STRIDES]
    boxes = np.array([[50, 60, 70, 90], [50, 60, 150, 160], [50, 60, 250, 260], [50, 60, 450, 460]])
    for region, box in zip(pyramid_align(levels, boxes, 5, 2), boxes, strict=True):
        np.testing.assert_allclose(region[:, 2, 2], [box[[0, 2]].mean(), box[[1, 3]].mean()])


def everywhere(cells: int = MASK_CELLS) -> np.ndarray:
    return np.ones((cells, cells), np.float32)


def test_a_full_mask_fills_exactly_its_box():
    crop, corner = paste(everywhere(), np.array([3.0, 5, 10, 17]), (40, 50))
    assert corner == (5, 3)
    assert crop.shape == (12, 7)
    assert crop.all()
    # edges between centres do not change the pixels; an edge on a centre takes the first, not last
    crop, corner = paste(everywhere(), np.array([3.4, 4.6, 10.4, 17.4]), (40, 50))
    assert (corner, crop.shape) == ((5, 3), (12, 7))
    crop, corner = paste(everywhere(), np.array([3.5, 3.5, 10.5, 10.5]), (40, 50))
    assert (corner, crop.shape) == ((3, 3), (7, 7))


def test_cells_that_are_pixels_keep_their_values():
    cells = np.random.default_rng(7).random((6, 6)).astype(np.float32)
    crop, corner = lay(cells, np.array([2.0, 1, 8, 7]), (20, 20))
    assert corner == (1, 2)
    np.testing.assert_allclose(crop, cells, rtol=1e-6)


@pytest.mark.parametrize("edge", [20.0, 33.3, 41.9, 56.0])
@pytest.mark.parametrize("turned", [False, True])
def test_a_half_plane_falls_within_half_a_pixel(edge, turned):
    """The edge of a particle, sharp to a cell, comes back where it was."""
    low, high = 10.2, 70.4
    cell = (high - low) / MASK_CELLS
    centres = low + (np.arange(MASK_CELLS) + 0.5) * cell
    share = np.clip((edge - centres) / cell + 0.5, 0, 1)  # of each cell, below the edge
    cells = np.broadcast_to(share, (MASK_CELLS, MASK_CELLS))
    if turned:
        crop, (first, _) = paste(cells.T, np.array([12.7, low, 60.3, high]), (99, 99))
        crop = crop.T
    else:
        crop, (_, first) = paste(cells, np.array([low, 12.7, high, 60.3]), (99, 99))
    assert (crop == crop[0]).all()
    assert crop[0, : crop[0].sum()].all()
    assert abs(first + crop[0].sum() - edge) <= 0.5 + cell / 2


def test_interpolates_probabilities_not_answers():
    cells = np.array([[0.0, 0.9], [0.0, 0.9]], np.float32)
    crop, _ = lay(cells, np.array([0.0, 0, 8, 1]), (1, 8))
    # centres of the cells are 2 and 6: linear between, constant beyond
    wanted = 0.9 * np.clip((np.arange(8) + 0.5 - 2) / 4, 0, 1)
    np.testing.assert_allclose(crop[0], wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("box", "corner", "size"),
    [
        ([-3, -4, 5, 6], (0, 0), (6, 5)),
        ([15, 5, 28, 19], (5, 15), (5, 5)),
        ([-9, -9, 90, 90], (0, 0), (10, 20)),
    ],
)
def test_boxes_over_the_border_are_cut(box, corner, size):
    crop, found = paste(everywhere(), np.array(box, float), (10, 20))
    assert (found, crop.shape, bool(crop.all())) == (corner, size, True)


def test_what_is_cut_off_does_not_move_the_rest():
    cells = np.random.default_rng(8).random((28, 28)).astype(np.float32)
    whole, _ = lay(cells, np.array([5.3, 6.2, 20.1, 25.8]), (40, 40))
    cut, corner = lay(cells, np.array([5.3 - 10, 6.2 - 10, 20.1 - 10, 25.8 - 10]), (12, 8))
    assert corner == (0, 0)
    rows, columns = whole.shape
    np.testing.assert_allclose(
        cut, whole[4 : 4 + 12, 5 : 5 + 8][: rows - 4, : columns - 5], atol=1e-5
    )


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ([3.1, 3.1, 3.4, 3.4], 0),  # between centres
        ([3.4, 3.4, 3.6, 3.6], 1),  # around one
        ([3.5, 3.5, 3.5, 3.5], 0),  # no area
        ([30, 30, 35, 35], 0),  # outside the image
        ([-9, 2, -3, 8], 0),
    ],
)
def test_boxes_smaller_than_a_pixel_or_outside(box, pixels):
    crop, _ = paste(everywhere(), np.array(box, float), (10, 10))
    assert crop.dtype == bool
    assert crop.sum() == pixels
