"""Principal components: identities, and ranks of stacks whose rank is known."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape import simulate
from chemoscape.decompose.components import marchenko_pastur, principal_components
from chemoscape.errors import FitError


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
