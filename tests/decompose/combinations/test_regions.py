"""Mean spectra of hand-drawn regions."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from chemoscape import simulate
from chemoscape.decompose.combinations.matching import match
from chemoscape.decompose.combinations.regions import region_spectra
from chemoscape.errors import RegionError
from chemoscape.preprocess.absorbance import optical_density
from chemoscape.region import Region
from chemoscape.standards.folder import open_library


def field(values, variance=None):
    n, ny, nx = values.shape
    density = xr.DataArray(
        values.astype(np.float32),
        dims=("energy", "y", "x"),
        coords={"energy": 510.0 + np.arange(n), "y": 0.1 * np.arange(ny), "x": 0.1 * np.arange(nx)},
        attrs={"quantity": "optical_density"},
    )
    if variance is None:
        return density
    return xr.Dataset({"optical_density": density, "variance": density.copy(data=variance)})


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(1.0, 0.1, (5, 20, 30))


def test_means_of_rectangles_polygons_and_masks(noise):
    od = field(noise)
    mask = (od[0] > 1.0).drop_vars("energy")
    corner = Region(x=(-1, 0.95), y=(-1, 0.45))
    triangle = Region(polygon=((-0.05, -0.05), (3.0, -0.05), (-0.05, 2.0)))
    found = region_spectra(od, {"corner": corner, "triangle": triangle, "mask": mask})
    assert found["region"].values.tolist() == ["corner", "triangle", "mask"]
    values = od.values.astype(float)
    np.testing.assert_allclose(found.spectrum[0], values[:, :5, :10].mean(axis=(1, 2)))
    np.testing.assert_allclose(found.spectrum[2], values[:, mask.values].mean(axis=1))
    assert found["size"].values.tolist() == [
        50, int(triangle.mask(od).values.sum()), int(mask.values.sum())
    ]  # fmt: skip
    turned = region_spectra(od, {"mask": mask.transpose("x", "y")})
    np.testing.assert_array_equal(turned.spectrum[0], found.spectrum[2])


def test_pixels_and_energies_without_values(noise):
    """A pixel that lacks one energy is left out; an energy that the region lacks is NaN."""
    noise[2, :4, :3] = np.nan
    noise[4, :, :16] = np.nan
    od = field(noise)
    left = Region(x=(-1, 1.55), y=(-1, 9))
    found = region_spectra(od, {"left": left})
    whole = np.isfinite(noise[:4, :, :16]).all(axis=0)
    want = od.values[:4, :, :16][:, whole].astype(float).mean(axis=1)
    np.testing.assert_allclose(found.spectrum[0, :4], want)
    assert np.isnan(found.spectrum[0, 4])
    assert np.isnan(found.spectrum_se[0, 4])
    assert found["size"].item() == 20 * 16 - 12


def test_standard_error_from_the_variance_and_from_the_scatter(noise):
    region = {"all": Region(x=(-1, 9), y=(-1, 9))}
    counted = region_spectra(field(noise, np.full(noise.shape, 0.01, np.float32)), region)
    np.testing.assert_allclose(counted.spectrum_se, 0.1 / np.sqrt(600), rtol=1e-5)
    scatter = region_spectra(field(noise), region)
    np.testing.assert_allclose(scatter.spectrum_se, 0.1 / np.sqrt(600), rtol=0.25)
    thick = np.linspace(0.2, 2.0, 600).reshape(20, 30) * np.arange(1.0, 6.0)[:, None, None]
    assert (region_spectra(field(thick), region).spectrum_se < 1e-6).all()


def test_error_of_i0_does_not_average_out():
    truth = simulate.core_shell(poisson=True, photons=400, shape=(40, 48))
    od = optical_density(truth.stack)
    shared = (od["i0_variance"] / od["i0"] ** 2).values
    everything = truth.labels >= 0
    found = region_spectra(od, {"particle": everything})
    assert (found.spectrum_se.values[0] > np.sqrt(shared)).all()
    known = truth.labels.values >= 0
    n = known.sum()
    per_pixel = od["variance"].values[:, known].mean(axis=1) - shared
    np.testing.assert_allclose(found.spectrum_se.values[0] ** 2, shared + per_pixel / n, rtol=1e-4)


def test_regions_are_matched_like_clusters(twin, twin_density):
    """The paper's twin, its core and its shell outlined by hand."""
    regions = {"shell": twin.labels == 0, "core": twin.labels == twin.labels.max()}
    found = region_spectra(twin_density, regions)
    table = match(found, open_library("lixv2o5-model"))
    assert table.composition.dims == ("region",)
    assert table.region.values.tolist() == ["shell", "core"]
    want = [float(twin.composition.values[mask.values].mean()) for mask in regions.values()]
    np.testing.assert_allclose(table.composition, want, atol=0.005)


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (Region(x=(50, 60), y=(0, 1)), "holds no pixel"),
        ("core", "neither a Region nor a mask"),
        (xr.DataArray(np.ones((3, 3), bool), dims=("y", "x")), "neither a Region nor a mask"),
        (xr.DataArray(np.ones((20, 30)), dims=("y", "x")), "not bool"),
        (xr.DataArray(np.zeros((20, 30), bool), dims=("y", "x")), "no pixel with values"),
        (
            xr.DataArray(
                np.ones((20, 30), bool), dims=("y", "x"), coords={"x": 5 + np.arange(30.0)}
            ),
            "other x than the stack",
        ),
    ],
)
def test_bad_regions_are_named(noise, region, words):
    with pytest.raises(RegionError, match=words) as error:
        region_spectra(field(noise), {"grain 7": region})
    assert "grain 7" in str(error.value)


def test_no_regions_and_no_values(noise):
    with pytest.raises(RegionError, match="no region is named"):
        region_spectra(field(noise), {})
    with pytest.raises(RegionError, match="no pixel with values"):
        region_spectra(field(noise * np.nan), {"all": Region(x=(-1, 9), y=(-1, 9))})
