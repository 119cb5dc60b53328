"""Maps from results and pictures, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import io

import chemoscape as cs
from chemoscape.errors import ChemoscapeError
from chemoscape.particles.sources import open_map


def imsave(path, values):
    """Write a picture; skimage's advice on its contrast is not wanted."""
    io.imsave(path, values, check_contrast=False)


@pytest.fixture
def picture(tmp_path):
    """A ramp of grey values, brightest in the first row."""
    values = np.linspace(255, 0, 20).astype(np.uint8)[:, None].repeat(30, 1)
    imsave(tmp_path / "map.png", values)
    return tmp_path / "map.png"


def test_a_picture_stands_upright_in_um(picture):
    image = open_map(picture, pixel_um=0.5)
    assert image.dims == ("y", "x")
    np.testing.assert_allclose(image["y"], 0.25 + 0.5 * np.arange(20))
    assert float(image[-1, 0]) == 1.0  # the first row lies at the top, where y is largest
    assert float(image[0, 0]) == 0.0


def test_colours_become_grey_and_real_numbers_stay(tmp_path):
    imsave(tmp_path / "c.png", np.full((16, 16, 4), 255, np.uint8))
    assert open_map(tmp_path / "c.png", pixel_um=1).values == pytest.approx(1)
    values = np.random.default_rng(0).normal(size=(16, 18)).astype(np.float32)
    imsave(tmp_path / "f.tif", values)
    np.testing.assert_array_equal(open_map(tmp_path / "f.tif", pixel_um=1).values, values[::-1])


def test_weights_of_results(demo_run):
    tree = cs.open_results(demo_run)
    weight = tree["/direct"]["weight"]
    thickness = open_map(demo_run)
    np.testing.assert_allclose(thickness, weight.sum("standard"))
    name = str(weight["standard"].values[0])
    np.testing.assert_array_equal(open_map(demo_run / "results.h5", name), weight[0])
    with pytest.raises(ChemoscapeError, match=f"no map is called 'gold'.* give one of .*{name}"):
        open_map(demo_run, "gold")
    with pytest.raises(ChemoscapeError, match="leave the pixel size out"):
        open_map(demo_run, pixel_um=0.1)


def test_bad_pictures_give_one_sentence(tmp_path, picture):
    with pytest.raises(ChemoscapeError, match="--pixel-um"):
        open_map(picture)
    with pytest.raises(ChemoscapeError, match="the side of a pixel is -1 µm"):
        open_map(picture, pixel_um=-1.0)
    with pytest.raises(ChemoscapeError, match="one map only"):
        open_map(picture, "alpha", 0.1)
    (tmp_path / "torn.png").write_bytes(picture.read_bytes()[:60])
    with pytest.raises(ChemoscapeError, match="this picture cannot be read"):
        open_map(tmp_path / "torn.png", pixel_um=0.1)
    with pytest.raises(ChemoscapeError, match="there is no such file"):
        open_map(tmp_path / "none.png", pixel_um=0.1)
    imsave(tmp_path / "c.tif", np.zeros((16, 16), np.complex64))
    with pytest.raises(ChemoscapeError, match="a picture of complex64 is no map"):
        open_map(tmp_path / "c.tif", pixel_um=0.1)
    imsave(tmp_path / "stack.tif", np.zeros((5, 20, 20), np.float32))
    with pytest.raises(ChemoscapeError, match="is not one picture"):
        open_map(tmp_path / "stack.tif", pixel_um=0.1)
    (tmp_path / "scan.hdr").write_text("x")
    with pytest.raises(ChemoscapeError, match="carry out a recipe first"):
        open_map(tmp_path / "scan.hdr")
    with pytest.raises(ChemoscapeError, match="no results here"):
        open_map(tmp_path)
