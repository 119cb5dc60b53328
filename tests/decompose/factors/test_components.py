"""Principal components: identities, and ranks of stacks whose rank is known."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
import xarray as xr

from chemoscape import simulate
from chemoscape.decompose.factors.components import principal_components
from chemoscape.decompose.factors.rank import marchenko_pastur
from chemoscape.errors import ChemoscapeWarning, FitError


def test_components_rebuild_the_data(twin_density):
    density = twin_density["optical_density"]
    pcs = principal_components(density, n_components=density.sizes["energy"])
    rebuilt = np.tensordot(pcs.eigenspectrum.values.T, pcs.score.values, axes=1)
    np.testing.assert_allclose(rebuilt, density.values, atol=2e-5)
    assert pcs.share.sum() == pytest.approx(1.0)


def test_eigenspectra_are_orthonormal_and_agree_with_svd(twin_density):
    pcs = principal_components(twin_density)
    vectors = pcs.eigenspectrum.values
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(vectors)), atol=1e-10)
    inside = pcs["sample"].values
    singular = np.linalg.svd(
        twin_density["optical_density"].values[:, inside].astype(float), compute_uv=False
    )
    np.testing.assert_allclose(np.sqrt(pcs.eigenvalue), singular[: len(vectors)], rtol=1e-8)


@pytest.mark.parametrize(
    "noise",
    [{"od_noise": 0.01, "energy_shift_eV": -0.4}, {"poisson": True, "photons": 5000.0}],
    ids=["gaussian", "poisson"],
)
def test_rank_two_is_found(noise, density_of):
    pcs = principal_components(density_of(simulate.core_shell(**noise)))
    assert pcs.attrs["rank_mp"] == 2
    assert pcs.attrs["rank_ind"] == 2
    assert pcs.attrs["rank_cv"] == 2
    assert pcs.attrs["rank_f"] == 2
    assert pcs.attrs["common_component"] == 0
    assert pcs.attrs["noise_level"] == pytest.approx(1.0, abs=0.02)


def test_ranks_without_noise_or_with_few_energies(density_of):
    """Rounding is no component, and a space is not shared because it is the whole one."""
    assert principal_components(density_of(simulate.core_shell())).attrs["rank_cv"] == 2
    few = simulate.core_shell(energy=np.linspace(512, 520, 7), od_noise=0.01)
    assert principal_components(density_of(few)).attrs["rank_cv"] == 2


def test_marchenko_pastur_finds_nothing_in_noise():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        values = np.linalg.svd(0.3 * rng.normal(size=(60, 2000)), compute_uv=False) ** 2
        level, edge = marchenko_pastur(values, 60, 2000)
        assert level == pytest.approx(0.3, rel=0.02)
        found.append((values > edge).sum())
    assert sum(found) == 0


def test_permuted_pixels_have_the_same_components(twin_density):
    density = twin_density["optical_density"].isel(y=slice(20, 70), x=slice(30, 90))
    rng = np.random.default_rng(1)
    flat = density.values.reshape(len(density), -1)[:, rng.permutation(50 * 60)]
    shuffled = density.copy(data=flat.reshape(density.shape))
    everywhere = density[0] > -np.inf
    one, other = (principal_components(d, mask=everywhere) for d in (density, shuffled))
    np.testing.assert_allclose(one.eigenvalue[:3], other.eigenvalue[:3], rtol=1e-9)


def test_no_sample_is_refused(twin_density):
    nothing = twin_density["optical_density"][0] > np.inf
    with pytest.raises(FitError, match="fewer than two pixels"):
        principal_components(twin_density, mask=nothing)


def test_marchenko_pastur_is_refused_on_interpolated_stacks(twin_density):
    pcs = principal_components(twin_density.assign_attrs(noise_correlation=0.3))
    assert pcs.attrs["rank_mp"] == -1
    assert pcs.attrs["rank_cv"] == 2


def test_centred_components_are_those_of_the_differences(twin_density):
    pcs = principal_components(twin_density, centred=True, n_components=149)
    density = twin_density["optical_density"].values
    inside = density[:, pcs["sample"].values].astype(float)
    np.testing.assert_allclose(pcs["mean"], inside.mean(axis=1), rtol=1e-12)
    singular = np.linalg.svd(inside - inside.mean(axis=1, keepdims=True), compute_uv=False)
    np.testing.assert_allclose(np.sqrt(pcs.eigenvalue), singular, rtol=1e-7)
    rebuilt = np.tensordot(pcs.eigenspectrum.values.T, pcs.score.values, axes=1)
    np.testing.assert_allclose(rebuilt + pcs["mean"].values[:, None, None], density, atol=3e-5)


def with_i0_error(od: xr.Dataset, size: float, seed: int = 0) -> xr.Dataset:
    """Every energy's I0 wrong by its own factor."""
    wrong = size * np.random.default_rng(seed).normal(size=(od.sizes["energy"], 1, 1))
    density = od["optical_density"]
    return od.assign(optical_density=(density + wrong.astype("f4")).assign_attrs(density.attrs))


def test_an_error_of_i0_is_named(twin_density):
    od = with_i0_error(twin_density, 0.01)
    with pytest.warns(ChemoscapeWarning, match="component 3 is the same in all pixels, background"):
        pcs = principal_components(od)
    assert pcs.attrs["rank_mp"] == 3
    assert pcs.attrs["common_component"] == 3
    assert pcs.attrs["common_in_background"] == 1
    # where nothing is outside the sample, and where I0 came from what is
    inside = od.isel(y=slice(25, 65), x=slice(30, 90))
    everywhere = inside["optical_density"][0] > -np.inf
    with pytest.warns(ChemoscapeWarning, match="or a film of even thickness"):
        pcs = principal_components(with_i0_error(inside, 0.03), mask=everywhere)
    assert pcs.attrs["common_in_background"] == -1
    lost = od["optical_density"].where(pcs_sample(twin_density), twin_density["optical_density"])
    own = od.assign(optical_density=lost.assign_attrs(od["optical_density"].attrs))
    with pytest.warns(ChemoscapeWarning, match="but not around it"):
        assert principal_components(own).attrs["common_in_background"] == 0


def pcs_sample(od: xr.Dataset) -> xr.DataArray:
    return principal_components(od)["sample"]


def test_a_film_of_even_thickness_is_not_an_error_of_i0(twin):
    """There the scores hold a constant as well: it is the film."""
    thickness = twin.thickness.values
    even = twin.optical_density.values * np.where(
        thickness > 0, 0.6 / np.maximum(thickness, 1e-9), 0
    )
    noise = np.random.default_rng(0).normal(0, 0.014, even.shape)
    density = twin.stack.copy(data=(even + noise).astype("f4"))
    density.attrs = {"quantity": "optical_density"}
    pcs = principal_components(density)
    assert (pcs.attrs["rank_mp"], pcs.attrs["common_component"]) == (2, 0)
    window = density.isel(y=slice(25, 65), x=slice(35, 85))
    pcs = principal_components(window, mask=window[0] > -np.inf)
    assert (pcs.attrs["rank_mp"], pcs.attrs["common_component"]) == (2, 0)


def test_memory_is_less_than_that_of_the_stack():
    rng = np.random.default_rng(0)
    shape = (50, 400, 500)
    thick = rng.uniform(0.2, 1, (2, *shape[1:])).astype("f4")
    data = np.tensordot(rng.random((50, 2), dtype="f4"), thick, 1)
    data += 0.02 * rng.standard_normal(shape, dtype="f4")
    plane = {
        "energy": np.arange(500.0, 550.0),
        "y": np.arange(400) * 0.1,
        "x": np.arange(500) * 0.1,
    }
    density = xr.DataArray(data, coords=plane, dims=("energy", "y", "x"))
    density.attrs["quantity"] = "optical_density"
    variance = (4e-4 * (1 + density)).astype("f4")
    od = xr.Dataset({"optical_density": density, "variance": variance})
    tracemalloc.start()
    try:
        pcs = principal_components(od)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert pcs.attrs["rank_mp"] == 2
    assert peak < 1.0 * data.nbytes


def test_missing_data_and_missing_variances(twin_density):
    density = twin_density["optical_density"].copy(deep=True)
    density.values[3, 40:50, 60] = np.nan
    density.values[5, 45, 65] = np.inf
    variance = twin_density["variance"].copy(deep=True)
    variance.values[:, 42, 62] = np.nan
    variance.values[:, 43, 63] = 0
    od = xr.Dataset({"optical_density": density, "variance": variance})
    pcs = principal_components(od)
    assert pcs.attrs["rank_mp"] == 2
    assert not pcs["sample"].values[40:50, 60].any()
    assert np.isnan(pcs["score"].values[:, 40:50, 60]).all()
    assert np.isnan(pcs["score"].values[:, 45, 65]).all()
    assert np.isfinite(pcs["score"].values[:, 42, 62]).all()


def test_nothing_to_decompose_is_said(twin_density):
    density = twin_density["optical_density"]
    zero = xr.zeros_like(density).assign_attrs(density.attrs)
    everywhere = density[0] > -np.inf
    with pytest.raises(FitError, match="all zero"):
        principal_components(zero, mask=everywhere)
    with pytest.raises(FitError, match="equal from pixel to pixel"):
        principal_components(
            (zero + 1).astype("f4").assign_attrs(density.attrs), mask=everywhere, centred=True
        )
    with pytest.raises(FitError, match="say nothing"):
        principal_components(density.isel(energy=[0, 1]))
    two = everywhere & False
    two.values[45, 60:62] = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pcs = principal_components(twin_density, mask=two)
    assert np.isfinite(pcs.eigenvalue).all()
