"""One particle by STXM and by ptychography, COSMIC beamline 7.0.1 of the ALS, nickel L3 edge."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from chemoscape.errors import ChemoscapeWarning, FitError
from chemoscape.few_energies.resolution.densities import compare_resolutions
from chemoscape.formats import open_stack
from chemoscape.preprocess.absorbance import optical_density


@pytest.fixture(scope="module")
def images(data_folder):
    """Optical densities of the two STXM images that are there, and of the reconstruction."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # 18 of 34 images are missing
        readers = data_folder / "readers"
        stxm = open_stack(readers / "ptycho-data-cosmic__stxm-scan.hdr")
        fine = open_stack(readers / "ptycho-data-cosmic__ptycho-scan-856eV.cxi")
        return [optical_density(stxm[[k]]) for k in (0, 1)], optical_density(fine)


@pytest.fixture(scope="module")
def found(images):
    coarse, fine = images
    with pytest.warns(ChemoscapeWarning, match=r"857\.75 and 855\.91 eV"):
        return compare_resolutions(coarse[1], fine)


def test_the_particle_is_found(found):
    assert found.attrs["best_orientation"] == "as opened"
    assert found.attrs["correlation"] > 0.99
    assert found.attrs["unlike"] < 0.02
    assert found.attrs["independent_pixels"] < found.attrs["n_pixels"]


def test_both_images_of_the_scan_lie_where_the_sample_moved(images, found):
    """The sample moved by 0.65 µm between the STXM images; the reconstruction says by how much, and
    so do these two without it.
    """
    coarse, fine = images
    with pytest.warns(ChemoscapeWarning, match=r"853\.00"):
        before = compare_resolutions(coarse[0], fine)
    with pytest.warns(ChemoscapeWarning, match=r"853\.00"):
        direct = compare_resolutions(coarse[0], coarse[1])
    for axis in ("shift_y_um", "shift_x_um"):
        moved = found.attrs[axis] - before.attrs[axis]
        assert moved == pytest.approx(-direct.attrs[axis], abs=0.015)


def test_a_turned_image_is_told(images):
    coarse, fine = images
    density = fine["optical_density"]
    turned = density.copy(data=density.values[:, ::-1])
    with (
        pytest.warns(ChemoscapeWarning, match="eV"),
        pytest.raises(FitError, match='orientation = "rows reversed"'),
    ):
        compare_resolutions(coarse[1], turned)


def test_the_blur_is_that_of_the_edges(found):
    """The steepest slopes of the transmission: blurred, those of STXM; sharp, far steeper."""
    slopes = {
        name: np.nanmax(np.abs(np.gradient(np.exp(-found[name].values)))) / found.attrs[pixel]
        for name, pixel in (
            ("coarse", "coarse_pixel_nm"),
            ("fine_on_coarse", "coarse_pixel_nm"),
            ("fine", "fine_pixel_nm"),
        )
    }
    assert slopes["fine_on_coarse"] == pytest.approx(slopes["coarse"], rel=0.1)
    assert slopes["fine"] > 3 * slopes["coarse"]
