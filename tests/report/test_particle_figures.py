"""Outlines over a map: where they lie, what the panels say, what is refused."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import LineCollection
from scipy.ndimage import label

from chemoscape.errors import ChemoscapeError
from chemoscape.particles import generator
from chemoscape.particles.evaluation import evaluate
from chemoscape.particles.masks import Instances, from_crops, from_labels
from chemoscape.particles.table import particle_table, take
from chemoscape.report.particles import curves_figure, outlines, overlay_figure, recall_figure


@pytest.fixture(scope="module")
def ensemble():
    return generator.make_ensemble(np.random.default_rng(2), (160, 240), n_wires=20)


@pytest.fixture(scope="module")
def table(ensemble):
    return particle_table(ensemble.instances, ensemble.image, 0.04)


@pytest.fixture(scope="module")
def results():
    """A method that marks what is dark enough, and one that finds nothing."""
    small = {"fine": {"shape": (80, 80), "pixel_um": 0.04, "n_wires": 4, "counts": 2000.0}}

    def bright(image, pixel_um):
        return from_labels(label(image > 0.2)[0])

    def blind(image, pixel_um):
        return Instances(image.shape)

    return {
        name: evaluate(find, small, n_images=3)
        for name, find in {"bright": bright, "blind": blind}.items()
    }


def area_within(line):
    """Shoelace formula."""
    x, y = line.T
    return abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2


def test_outlines_run_along_the_pixels_edges_in_um():
    bar = from_crops((20, 30), [(np.ones((4, 10), bool), (6, 3))], [1.0])
    ((line,),) = outlines(particle_table(bar, np.zeros((20, 30)), 0.5, (10.0, 20.0)))
    low, high = line.min(0), line.max(0)
    np.testing.assert_allclose(low, [20 + 0.5 * 2.5, 10 + 0.5 * 5.5])
    np.testing.assert_allclose(high, [20 + 0.5 * 12.5, 10 + 0.5 * 9.5])
    np.testing.assert_array_equal(line[0], line[-1])
    corners = 4 * 0.5**3 * 0.25  # cut at 45°, half a pixel from the corner
    assert area_within(line) == pytest.approx(4 * 10 * 0.25 - corners)


def test_holes_and_parts_have_outlines_of_their_own():
    ring = np.ones((9, 9), bool)
    ring[3:6, 3:6] = False
    parts = np.zeros((9, 9), bool)
    parts[0:3, 0:3] = parts[6:9, 6:9] = True
    both = from_crops((20, 30), [(ring, (0, 0)), (parts, (5, 15))], [1.0, 1.0])
    assert [len(one) for one in outlines(particle_table(both, np.zeros((20, 30)), 1.0))] == [2, 2]


def test_one_panel_per_table_with_its_count(ensemble, table):
    inside = take(table, ~table["border"].values)
    nothing = take(table, [])
    figure = overlay_figure(
        ensemble.image, {"all": table, "inside": inside, "one": take(table, [0]), "none": nothing}
    )
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()]
    n = table.sizes["particle"]
    assert titles == [
        f"all: {n} particles",
        f"inside: {inside.sizes['particle']} particles",
        "one: 1 particle",
        "none: 0 particles",
    ]
    (lines,) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    assert len(lines.get_segments()) == sum(len(one) for one in outlines(table))
    assert len({tuple(colour) for colour in lines.get_colors()}) == min(n, 7)
    assert lines.get_linewidths()[0] < 1


@pytest.mark.parametrize(("names", "width"), [("a", 3.5), ("ab", 7.2), ("abcd", 7.2)])
def test_figures_are_columns_wide_and_can_be_read(ensemble, table, names, width):
    before = dict(mpl.rcParams)
    figure = overlay_figure(ensemble.image, dict.fromkeys(names, table))
    figure.savefig(io.BytesIO(), format="png", dpi=100)
    assert dict(mpl.rcParams) == before
    assert figure.get_figwidth() == width
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert len(shown) == len(names)
    for ax in shown:
        box = ax.get_window_extent()
        assert box.width > 0.85 * 100 * width / min(len(names), 3)  # the map fills its column
        assert box.width / box.height == pytest.approx(240 / 160, rel=0.01)
        words = [ax.title, ax._left_title, *ax.texts]
        assert all(one.get_fontsize() >= 6.5 for one in words if one.get_text())
        for one in (ax._left_title, *ax.texts):  # nothing sticks out of the figure
            around = one.get_window_extent()
            assert around.x0 >= 0
            assert around.y0 >= 0
            assert around.x1 <= 100 * width
            assert around.y1 <= 100 * figure.get_figheight() + 0.5


def test_the_scale_bar_has_a_round_length(ensemble, table):
    ax = overlay_figure(ensemble.image, {"all": table}).axes[0]
    (bar,) = ax.lines
    assert np.ptp(bar.get_xdata()) == pytest.approx(2.0)  # of 9.6 µm
    assert [one.get_text() for one in ax.texts] == ["2 µm"]
    assert ax.get_xlim() == pytest.approx((0, 9.6))
    assert ax.get_ylim() == pytest.approx((0, 6.4))


def test_maps_with_gaps_and_of_one_value(table, ensemble):
    image = ensemble.image.copy()
    image[:50] = np.nan
    for values in (image, np.full_like(image, np.nan), np.zeros_like(image)):
        swapped = xr.DataArray(values, dims=("y", "x")).T
        overlay_figure(swapped, {"all": table}).savefig(io.BytesIO(), dpi=50)


def test_bad_input_gives_one_sentence(table):
    with pytest.raises(ChemoscapeError, match=r"^there is no table to draw; give at least one"):
        overlay_figure(np.zeros((5, 5)), {})
    with pytest.raises(
        ChemoscapeError, match=r"^the table 'all' is of a map of shape \(160, 240\)"
    ):
        overlay_figure(np.zeros((240, 160)), {"all": table})
    empty = particle_table(Instances((5, 5)), np.zeros((5, 5)), 1.0)
    assert overlay_figure(np.zeros((5, 5)), {"none": empty}).axes


def test_the_figure_shows_both_methods(results):
    figure = recall_figure(results)
    (ax,) = figure.axes
    assert figure.get_figwidth() == pytest.approx(3.5)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(results)
    high, low = (np.asarray(one[0].get_ydata()) for one in ax.containers)
    assert high.max() > 0
    np.testing.assert_array_equal(low, 0)
    assert sum(int(one.get_text().split()[-1]) for one in ax.texts) == (
        results["blind"].pooled.n_true
    )
    assert len(recall_figure(results, "fine").axes) == 1
    assert len(recall_figure({}).axes) == 1


def test_the_curves_of_a_training_run(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text(
        "images,rate,train_class,train_mask,valid_class,valid_mask,seconds\n"
        "1000,0.001,0.5,0.6,0.4,0.5,10\n2000,0.0005,0.4,0.5,0.3,0.5,20\n"
    )
    figure = curves_figure(path)
    training, validation = figure.axes[0].lines
    np.testing.assert_allclose(training.get_ydata(), [1.1, 0.9])
    np.testing.assert_allclose(validation.get_ydata(), [0.9, 0.8])
    np.testing.assert_allclose(training.get_xdata(), [1, 2])
    with pytest.raises(ChemoscapeError, match="no curves of a training run"):
        curves_figure(tmp_path / "none.csv")
    path.write_text("images,rate\n1,x\n")
    with pytest.raises(ChemoscapeError, match="no curves of a training run"):
        curves_figure(path)
