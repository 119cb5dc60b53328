"""Composition and phases of particles, from maps whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from chemoscape.errors import StackError
from chemoscape.particles.masks import from_dense
from chemoscape.particles.phases import ONE_SIDED, with_composition
from chemoscape.particles.table import particle_table

SHAPE, PIXEL = (30, 40), 0.05


def axes(shape=SHAPE, pixel=PIXEL):
    return {"y": pixel * (np.arange(shape[0]) + 0.5), "x": pixel * (np.arange(shape[1]) + 0.5)}


def maps_of(x, thickness=100.0, counting=0.03, systematic=0.02, coords=None, **attrs):
    names = {
        "composition": x,
        "composition_sd_counting": counting,
        "composition_sd_systematic": systematic,
        "thickness": thickness,
    }
    return xr.Dataset(
        {name: (("y", "x"), np.broadcast_to(one, np.shape(x))) for name, one in names.items()},
        coords=axes() if coords is None else coords,
        attrs={"variable": "x in LixV2O5", "refine": 1, **attrs},
    )


def table_of(*boxes):
    masks = np.zeros((len(boxes), *SHAPE), bool)
    for mask, (top, bottom, left, right) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return particle_table(from_dense(masks), np.ones(SHAPE), PIXEL)


def test_means_are_by_thickness():
    x, thick = np.full(SHAPE, 0.9), np.full(SHAPE, 50.0)
    x[:, :20], thick[:, :20] = 0.3, 150.0
    out = with_composition(table_of((2, 6, 15, 25)), maps_of(x, thick)).isel(particle=0)
    assert out["composition_mean"] == pytest.approx(0.45)
    assert out["composition_sd_within"] == pytest.approx(np.sqrt(0.75 * 0.15**2 + 0.25 * 0.45**2))
    assert out["composition_pixels"] == 40
    assert out["composition_sd_counting"] == pytest.approx(0.03)
    share = (150**2 + 50**2) * 20 / (200 * 20) ** 2
    assert out["composition_se_counting"] == pytest.approx(0.03 * np.sqrt(share))
    assert out["composition_se"] == pytest.approx(np.hypot(0.03 * np.sqrt(share), 0.02))
    assert out.attrs["variable"] == "x in LixV2O5"


def test_the_stated_error_is_that_of_many_noisy_maps():
    table = table_of((2, 8, 5, 15), (12, 15, 5, 15))
    rng = np.random.default_rng(0)
    means = [
        with_composition(table, maps_of(0.4 + 0.03 * rng.normal(size=SHAPE))) for _ in range(400)
    ]
    spread = np.std([one["composition_mean"].values for one in means], axis=0)
    np.testing.assert_allclose(spread, means[0]["composition_se_counting"], rtol=0.1)


def test_shared_pixels_are_left_out_of_both():
    x = np.full(SHAPE, 0.3)
    x[:, 20:] = 0.9
    x[10:14, 18:22] = 5.0  # the sum of two particles has no meaning
    table = table_of((10, 14, 2, 22), (10, 14, 18, 36))
    out = with_composition(table, maps_of(x))
    np.testing.assert_allclose(out["composition_mean"], [0.3, 0.9])
    np.testing.assert_array_equal(out["composition_pixels"], [64, 56])
    assert out.attrs["n_pixels_shared"] == 16
    assert out.attrs["n_shared_only"] == 0


def test_a_particle_without_pixels_of_its_own_is_flagged():
    table = table_of((2, 12, 2, 30), (4, 6, 5, 10))
    out = with_composition(table, maps_of(np.full(SHAPE, 0.5)))
    np.testing.assert_array_equal(out["composition_shared"], [False, True])
    assert out["composition_pixels"][1] == 10
    assert out.attrs["n_shared_only"] == 1


def test_pixels_without_a_composition_do_not_count():
    x = np.full(SHAPE, 0.5)
    x[:, :10] = np.nan
    out = with_composition(table_of((2, 6, 5, 15), (12, 16, 2, 8)), maps_of(x))
    assert out["composition_pixels"].values.tolist() == [20, 0]
    assert np.isfinite(out["composition_mean"].values).tolist() == [True, False]
    assert not out["composition_shared"].any()


def test_a_finer_grid_knows_nothing_new():
    """Maps interpolated twice finer, particles found on them: errors as on the measured grid."""
    coarse = maps_of(np.full((15, 20), 0.5), coords=axes((15, 20), 2 * PIXEL))
    table = table_of((4, 8, 6, 26))  # 80 fine pixels, 20 measured ones
    on_coarse = with_composition(table, coarse)["composition_se_counting"].item()
    fine = maps_of(np.full(SHAPE, 0.5), refine=2)
    on_fine = with_composition(table, fine)["composition_se_counting"].item()
    assert on_coarse == pytest.approx(0.03 / np.sqrt(20))
    assert on_fine == pytest.approx(0.03 / np.sqrt(20))


def test_phase_fractions():
    weight = np.zeros((3, *SHAPE))
    weight[0, :, :20], weight[1, :, 20:], weight[2] = 3.0, 1.0, -0.1
    weight[:, 12:16] = np.nan
    maps = xr.DataArray(
        weight, dims=("standard", "y", "x"), coords={"standard": ["a", "b", "c"], **axes()}
    )
    table = table_of((2, 6, 15, 25), (8, 11, 22, 30), (12, 16, 3, 8))
    out = with_composition(table, maps_of(np.full(SHAPE, 0.5)), maps)
    by_area = {int(n): k for k, n in enumerate(out["pixel_count"].values)}
    mixed, pure, none = (by_area[n] for n in (40, 24, 20))
    np.testing.assert_allclose(out["phase_fraction"][mixed], [0.75, 0.25, 0.0])
    np.testing.assert_allclose(out["phase_fraction"][pure], [0.0, 1.0, 0.0])
    assert np.isnan(out["phase_fraction"][none]).all()
    assert out["dominant_phase"].values[[mixed, pure, none]].tolist() == ["a", "b", ""]
    assert out["phase"].values.tolist() == ["a", "b", "c"]


def test_weights_kept_nonnegative_err_to_one_side():
    table, comp = table_of((2, 6, 5, 15)), maps_of(np.full(SHAPE, 0.5), systematic=0.0)
    weight = xr.DataArray(
        np.ones((1, *SHAPE)), dims=("standard", "y", "x"), coords={"standard": ["a"], **axes()}
    )
    for nonnegative, common in ((0, 0.0), (1, 0.03 * ONE_SIDED)):
        maps = xr.Dataset({"weight": weight}, attrs={"nonnegative": nonnegative})
        out = with_composition(table, comp, maps)
        expected = np.hypot(0.03 / np.sqrt(40), common)
        assert out["composition_se"].item() == pytest.approx(expected)


def test_no_particles_and_other_fields():
    comp = maps_of(np.full(SHAPE, 0.5))
    assert with_composition(table_of(), comp).sizes["particle"] == 0
    shifted = comp.assign_coords(x=comp["x"] + 1.0)
    with pytest.raises(StackError, match="outside the maps along x"):
        with_composition(table_of((2, 6, 5, 15)), shifted)
    bare = xr.DataArray(np.ones(SHAPE), dims=("y", "x"), coords=axes())
    with pytest.raises(StackError, match="dimensions"):
        with_composition(table_of((2, 6, 5, 15)), comp, bare)


def test_the_table_given_is_not_changed():
    table = table_of((2, 6, 5, 15))
    before = table.copy(deep=True)
    with_composition(table, maps_of(np.full(SHAPE, 0.5)))
    xr.testing.assert_identical(table, before)
