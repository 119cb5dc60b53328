"""Figures to judge clusters by: the right points in the right colours, cuts where they are."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from scipy.cluster.hierarchy import linkage

from chemoscape.report import panels, scores
from chemoscape.report.decomposition import components_figure

N_ENERGY = 30


def made(n: int = 3, shape: tuple[int, int] = (20, 30), n_features: int = 3, seed: int = 0):
    """Components and clusters in the layout of the steps; cluster k lies about its own place."""
    rng = np.random.default_rng(seed)
    label = np.arange(shape[0] * shape[1]).reshape(shape) % (n + 1) - 1
    centre = 2.0 * rng.normal(size=(n_features, n)) + 5 * np.arange(n)
    feature = np.where(label >= 0, centre[:, label], np.nan)
    feature = feature + 0.05 * rng.normal(size=feature.shape)
    score = np.concatenate([feature, rng.normal(size=(2, *shape))])[:5]
    score[:, label < 0] = rng.normal(size=(len(score), int((label < 0).sum())))
    axes = {"y": np.arange(shape[0]) * 0.1, "x": np.arange(shape[1]) * 0.1}
    energy = np.linspace(510, 540, N_ENERGY)
    image = ("y", "x")
    pcs = xr.Dataset(
        {
            "score": (("pc", *image), score),
            "eigenvalue": ("pc", np.geomspace(1e4, 1, len(score))),
            "eigenspectrum": (("pc", "energy"), rng.normal(size=(len(score), N_ENERGY))),
            "sample": (image, label >= 0),
        },
        coords={"pc": np.arange(1, len(score) + 1), "energy": energy, **axes},
        attrs={"rank_ind": 2, "rank_mp": 3, "rank_cv": 2, "rank_f": 1, "rank_cumulative": 4},
    )
    tree = linkage(centre.T, method="ward") if n > 1 else np.empty((0, 4))
    groups = xr.Dataset(
        {
            "label": (image, label),
            "feature": (("feature_axis", *image), feature),
            "size": ("cluster", [int((label == k).sum()) for k in range(n)]),
            "linkage": (("merge", "column"), tree),
            "spectrum": (("cluster", "energy"), rng.random((n, N_ENERGY))),
        },
        coords={"cluster": np.arange(n), "energy": energy, **axes},
    )
    return pcs, groups, tree


def drawn(figure: Figure) -> str:
    """Everything written in a figure that has been drawn on a page."""
    with Image.open(io.BytesIO(panels.figure_png(figure, dpi=60))) as image:
        assert np.asarray(image.convert("L")).std() > 3  # not blank
    width, height = figure.get_size_inches()
    assert width <= panels.DOUBLE + 1e-9
    assert height <= 9
    box = figure.get_tightbbox()
    assert box.x0 > -0.1
    assert box.x1 < width + 0.1
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_scores_have_the_colour_of_their_cluster():
    pcs, groups, _ = made()
    figure = scores.scores_figure(pcs, groups)
    drawn(figure)
    assert len(figure.axes) == 6  # three pairs, raw and normalised
    assert figure.axes[3].get_xlabel() == "normalised score, axis 1"
    assert "grey" not in figure.axes[0].get_title(loc="left")  # `sample` leaves them out
    everything = pcs.assign(sample=pcs["sample"] | True)
    grey = scores.scores_figure(everything, groups).axes
    assert "grey: in no cluster" in grey[0].get_title(loc="left")
    assert "grey" not in grey[3].get_title(loc="left")
    raw, label = pcs["score"].values, groups["label"].values
    for k, dots in enumerate(figure.axes[0].collections):
        assert to_rgb(dots.get_facecolor()[0][:3]) == to_rgb(panels.CATEGORIES[k])
        own = np.column_stack([raw[0][label == k], raw[1][label == k]])
        np.testing.assert_allclose(np.abs(dots.get_offsets()), np.abs(own))
        assert dots.get_rasterized()
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "X"]
    assert len(marks) == 3
    np.testing.assert_allclose(np.abs(marks[1].get_xdata()), np.abs(raw[0][label == 1].mean()))


def test_many_pixels_are_a_density():
    pcs, groups, _ = made(shape=(100, 120))
    figure = scores.scores_figure(pcs, groups)
    drawn(figure)
    assert not figure.axes[0].collections
    shown = np.asarray(figure.axes[0].images[0].get_array())
    filled = shown[shown[..., 3] > 0]
    colours = np.array([to_rgb(colour) for colour in panels.CATEGORIES[:3]])
    pure = (np.abs(filled[:, None, :3] - colours) < 1e-9).all(axis=2)
    assert pure.any(axis=0).all()  # each cluster somewhere by itself
    assert filled[:, 3].min() > 0.3  # a lone pixel is seen


def test_two_directions_are_shown_as_a_histogram_too():
    pcs, groups, _ = made(n_features=2)
    figure = scores.scores_figure(pcs, groups)
    assert "How far the clusters are apart" in drawn(figure)
    pixels = sum(patch.get_height() for patch in figure.axes[-1].patches)
    assert pixels <= int((groups.label.values >= 0).sum())
    assert pixels >= 0.98 * int((groups.label.values >= 0).sum())


@pytest.mark.parametrize("n", [1, 2])
def test_few_clusters_and_few_components(n):
    pcs, groups, _ = made(n=n)
    drawn(scores.scores_figure(pcs.isel(pc=[0]), groups.drop_vars("feature")))
    drawn(scores.scores_figure(pcs.isel(pc=[0, 1]), groups.isel(feature_axis=[0])))
    drawn(scores.dendrogram_figure(groups, into=1))


def test_the_tree_has_its_heights_leaves_and_cut():
    _, groups, tree = made(n=10)
    figure = scores.dendrogram_figure(groups, into=4)
    text = drawn(figure)
    assert "cut: 4 clusters" in text
    ax = figure.axes[0]
    heights = sorted(max(line.get_ydata()) for line in ax.lines if len(line.get_xdata()) == 4)
    np.testing.assert_allclose(heights, np.sort(tree[:, 2]))
    cut = next(line for line in ax.lines if line.get_linestyle() == "--").get_ydata()[0]
    assert (tree[:, 2] > cut).sum() == 3  # four parts
    leaves = [line for line in ax.lines if line.get_marker() == "o"]
    shown = [int(tick.get_text().split("\n")[0]) for tick in ax.get_xticklabels()]
    assert sorted(shown) == list(range(10))
    for k, leaf in zip(shown, leaves, strict=True):
        assert leaf.get_color() == panels.CATEGORIES[k % len(panels.CATEGORIES)]
    assert "cut" not in drawn(scores.dendrogram_figure(groups))


def test_the_tree_tells_compositions():
    _, groups, _ = made()
    table = xr.Dataset(
        {"composition": ("cluster", [0.1, 0.345, 0.45]), "composition_sd": ("cluster", [0.01] * 3)},
        attrs={"variable": "x in LixV2O5"},
    )
    assert "0.345 ± 0.010" in drawn(scores.dendrogram_figure(groups, table, distance=1e-9))


def test_target_tests_say_their_verdict():
    energy = np.linspace(510, 540, N_ENERGY)
    target = np.exp(-(((energy - 520) / np.array([[2.0], [3.0], [4.0]])) ** 2))
    tests = xr.Dataset(
        {
            "spoil": ("standard", [0.0, 4.0, 130.0]),
            "verdict": ("standard", ["present", "possible", "absent"]),
            "mismatch": ("standard", [0.0007, 0.004, 0.08]),
            "target": (("standard", "energy"), target),
            "fitted": (("standard", "energy"), 0.98 * target),
        },
        coords={
            "standard": ["a", "b", "c"],
            "label": ("standard", ["α-V2O5 (synthetic)", "B", "C"]),
            "energy": energy,
        },
        attrs={"rank": 2},
    )
    figure = scores.target_tests_figure(tests)
    text = drawn(figure)
    assert "present, differs by 0.07 %" in text
    assert "absent, differs by 8 %" in text
    assert "Synthetic standards" in text
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == [0.0, 4.0, 130.0]
    assert to_rgb(bars[1].get_facecolor()[:3]) == to_rgb(scores.VERDICTS["possible"])
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert [mark.get_xydata().tolist() for mark in marks] == [[[0.0, 0.0]]]  # no bar to see
    assert "//" in text
    assert "logarithmic" in text
    edge = figure.axes[0].get_window_extent().x1
    beside = [one for one in figure.axes[0].texts if "differs" in one.get_text()]
    assert all(one.get_window_extent().x0 > edge for one in beside)  # no line crosses them


def test_components_show_five_criteria_and_what_is_common():
    pcs, _, _ = made()
    text = drawn(components_figure(pcs.assign_attrs(common_component=3)))
    for words in ("indicator (IND): 2", "Marchenko–Pastur: 3", "F-test (1 %): 1", "variance: 4"):
        assert words in text
    assert "Eigenimage 3, an I0 error?" in text
    assert "I0 error" not in drawn(components_figure(pcs))
    old = pcs.copy()
    del old.attrs["rank_f"]  # results written before there was one
    assert "F-test (1 %): not used" in drawn(components_figure(old))
