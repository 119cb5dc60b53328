"""The sample's mean spectrum, in memory and lazy."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from chemoscape.decompose.factors.components import principal_components
from chemoscape.decompose.sample import sample_statistics, with_statistics
from chemoscape.preprocess.absorbance import sample_mask
from chemoscape.stack import build


@pytest.fixture
def od() -> xr.Dataset:
    rng = np.random.default_rng(5)
    values = rng.normal(1.0, 0.2, (9, 31, 17)).astype(np.float32)
    values[:, :6] = rng.normal(0.0, 0.01, (9, 6, 17))
    values[rng.random(values.shape) < 0.05] = np.nan
    values[3, 10:] = np.nan
    density = build(values, 500.0 + np.arange(9), range(31), range(17), quantity="optical_density")
    variance = rng.uniform(1e-4, 2e-4, values.shape).astype(np.float32)
    return density.to_dataset(name="optical_density").assign(variance=(density.dims, variance))


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_they_are_those_of_numpy(od, rows) -> None:
    known = sample_statistics(od.chunk({"y": rows}) if rows else od)
    mask = sample_mask(od).values
    inside = od["optical_density"].values[:, mask].astype(float)
    spread = od["variance"].values[:, mask].astype(float)
    n = np.isfinite(inside).sum(axis=1)
    np.testing.assert_array_equal(known["sample"], mask)
    np.testing.assert_allclose(known["sample_mean"], np.nanmean(inside, axis=1), rtol=1e-12)
    np.testing.assert_allclose(known["sample_spread"], np.nanstd(inside, axis=1), rtol=1e-9)
    variance = np.where(np.isfinite(inside), spread, 0).sum(axis=1) / n**2
    np.testing.assert_allclose(known["sample_mean_variance"], variance, rtol=1e-12)


def test_of_a_mask_and_without_a_variance(od) -> None:
    mask = np.zeros((31, 17), dtype=bool)
    mask[12, 3:9] = True
    known = sample_statistics(od["optical_density"], mask)
    inside = od["optical_density"].values[:, mask]
    assert np.isnan(known["sample_mean"].values[3])  # no pixel has a value there
    there = np.arange(9) != 3
    np.testing.assert_allclose(
        known["sample_mean"].values[there], np.nanmean(inside[there], axis=1), rtol=1e-6
    )
    assert known["sample_mean_variance"].isnull().all()


def test_components_find_them_on_their_way(od) -> None:
    whole = od.isel(energy=[0, 1, 2, 4, 5, 6])
    for one in (whole, whole.chunk({"y": 8})):
        found = with_statistics(one, principal_components(one))
        for name, expected in sample_statistics(whole).data_vars.items():
            np.testing.assert_allclose(found[name], expected, rtol=1e-9, err_msg=str(name))
        assert sample_statistics(found)["sample_mean"].identical(found["sample_mean"])
