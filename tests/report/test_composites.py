"""Composites: the right colours in the right place, scales that are said, nonsense refused."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from chemoscape.errors import ChemoscapeError
from chemoscape.particles.masks import Instances
from chemoscape.particles.registration import register
from chemoscape.particles.table import particle_table
from chemoscape.report import panels
from chemoscape.report.composites import PAPER, SAFE, composite_figure, picture_beside_map_figure

NAMES = ("epsilon-Li0.3V2O5", "epsilon-Li0.45V2O5", "delta-Li0.9V2O5")


def weights(n, shape=(40, 60), units="g/cm2"):
    """Map k is k + 1 in its own stripe of columns, zero elsewhere."""
    values = np.zeros((n, *shape))
    for one in range(n):
        values[one, :, one * shape[1] // n : (one + 1) * shape[1] // n] = 1e-6 * (one + 1)
    y, x = (np.arange(size) * 0.1 for size in shape)
    coords = {"standard": list(NAMES[:n]), "y": y, "x": x}
    return xr.DataArray(values, coords, ("standard", "y", "x"), attrs={"units": units})


def words_of(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def colours_of(ax):
    return np.asarray(ax.images[0].get_array())


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("colours", ["safe", "rgb"])
def test_each_map_has_its_colour(n, colours):
    image = colours_of(composite_figure(weights(n), colours=colours, scale="own").axes[0])
    chosen = SAFE[n] if colours == "safe" else PAPER[:n]
    for one, colour in enumerate(chosen):
        np.testing.assert_allclose(image[20, (2 * one + 1) * 30 // n], to_rgb(colour), atol=1e-6)


def test_one_scale_keeps_the_proportion_and_own_scales_do_not():
    maps = weights(2)
    common, own = (
        colours_of(composite_figure(maps, scale=one).axes[0]) for one in ("common", "own")
    )
    np.testing.assert_allclose(common[0, 10], 0.5 * np.array(to_rgb(SAFE[2][0])), atol=1e-6)
    np.testing.assert_allclose(own[0, 10], to_rgb(SAFE[2][0]), atol=1e-6)
    np.testing.assert_array_equal(common[0, 40], own[0, 40])


def test_the_legend_says_the_scale():
    common = words_of(composite_figure(weights(2)))
    assert "ε-Li$_{0.3}$V$_{2}$O$_{5}$: 0 to 2 µg cm$^{-2}$" in common
    assert "One scale, full colour at the 99.5th percentile" in common
    own = words_of(composite_figure(weights(2, units="1"), ["a", "b"], scale="own"))
    assert {"a: 0 to 1e-06", "b: 0 to 2e-06", "both"} <= set(own)
    assert "Own scales, full colour at the 99.5th percentile" in own


def test_colours_add_up_to_white():
    for n in (1, 2, 3):
        total = np.sum([to_rgb(one) for one in SAFE[n]], axis=0)
        np.testing.assert_allclose(np.minimum(total, 1), 1, atol=0.1)
    both = weights(2)
    both[:] = 1e-6
    np.testing.assert_allclose(colours_of(composite_figure(both).axes[0]), 1, atol=0.01)


def test_negative_bright_and_missing_pixels():
    maps = weights(2)
    maps[:, 0, 0], maps[:, 1, 0], maps[0, 2, 0] = -1.0, 1.0, np.nan
    image = colours_of(composite_figure(maps).axes[0])
    np.testing.assert_array_equal(image[0, 0], 0)
    np.testing.assert_allclose(image[1, 0], 1, atol=0.01)
    np.testing.assert_allclose(image[2, 0], to_rgb(panels.OUTSIDE))
    for values in (maps * np.nan, maps * 0):
        composite_figure(values).savefig(io.BytesIO(), dpi=40)


def test_the_percentile_is_of_the_sample(run):
    maps = run.maps.isel(standard=[0, 1]).assign(sample=run.sample)
    inside = maps["weight"].values[:, run.sample.values]
    told = " ".join(words_of(composite_figure(maps)))
    assert f"0 to {1e6 * np.percentile(inside, 99.5):.3g} µg" in told


@pytest.mark.parametrize("shape", [(12, 60), (40, 60), (60, 60), (80, 60), (90, 20)])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_figures_fit_the_page_and_nothing_overlaps(shape, n):
    figure = composite_figure(weights(n, shape), note="Synthetic standards.")
    before = dict(mpl.rcParams)
    assert panels.figure_png(figure, dpi=60)
    assert dict(mpl.rcParams) == before
    width, height = figure.get_size_inches()
    assert width <= panels.DOUBLE + 1e-9
    assert height <= 9
    box = figure.get_tightbbox()
    assert box.x0 > -0.05
    assert box.x1 < width + 0.05
    boxes = [ax.get_tightbbox() for ax in figure.axes if ax.images or ax.get_legend()]
    assert len(boxes) == (2 if n == 1 else n + 2)
    for one, box in enumerate(boxes):
        for other in boxes[:one]:
            apart = box.x0 >= other.x1 - 1 or other.x0 >= box.x1 - 1
            assert apart or box.y0 >= other.y1 - 1 or other.y0 >= box.y1 - 1
    assert figure.axes[0].get_window_extent().width > 0.12 * width * figure.dpi


def test_bad_input_gives_one_sentence():
    with pytest.raises(ChemoscapeError, match=r"^a composite is of one to three maps"):
        composite_figure(xr.concat([weights(2), weights(2)], "standard"))
    with pytest.raises(ChemoscapeError, match="a composite is of one to three maps"):
        composite_figure(weights(2)[0])
    with pytest.raises(ChemoscapeError, match="3 names are given for 2 maps"):
        composite_figure(weights(2), NAMES)
    with pytest.raises(ChemoscapeError, match="colours is 'pink'"):
        composite_figure(weights(2), colours="pink")
    with pytest.raises(ChemoscapeError, match="scale is 'all'"):
        composite_figure(weights(2), scale="all")


def test_the_picture_lies_under_the_outlines():
    image = weights(1)[0]
    table = particle_table(
        Instances(image.shape, np.array([[5, 10]]), (np.ones((8, 20), bool),), np.ones(1)),
        image,
        0.1,
        (0.0, 0.0),
    )
    corners = [(0.0, 0.0), (5.0, 0.0), (0.0, 3.0), (5.0, 3.0)]
    picture = register(image, image, [(at, (5.0 - at[0], at[1])) for at in corners])
    figure = picture_beside_map_figure(picture, image, table)
    left, right = figure.axes
    for ax in (left, right):
        (drawn,) = [one for one in ax.collections if isinstance(one, LineCollection)]
        (line,) = drawn.get_segments()
        np.testing.assert_allclose(line.min(0), [0.95, 0.45])
        np.testing.assert_allclose(line.max(0), [2.95, 1.25])
    assert left.images[0].get_extent() == right.images[0].get_extent()
    assert "Picture, mirrored, points within" in left.get_title(loc="left")
    assert right.get_title(loc="left").endswith("Map: 1 particle")
    figure.savefig(io.BytesIO(), dpi=40)
    with pytest.raises(ChemoscapeError, match="and the picture registered onto it"):
        picture_beside_map_figure(picture[:-1], image, table)
