"""The clustered route on the paper's twin: gradient of thickness, 1 % noise, -0.4 eV, own seeds."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from chemoscape import simulate
from chemoscape.decompose.combinations.matching import match
from chemoscape.decompose.factors.clusters import cluster
from chemoscape.decompose.factors.components import principal_components
from chemoscape.decompose.factors.targets import target_tests
from chemoscape.decompose.factors.tree import cut_clusters
from chemoscape.standards.folder import open_library

SEEDS = range(7200, 7203)


def share_right(groups: xr.Dataset, truth: xr.DataArray) -> float:
    both = (groups.label.values >= 0) & (truth.values >= 0)
    label, labels = groups.label.values[both], truth.values[both]
    hits = sum(np.bincount(labels[label == k]).max() for k in range(groups.sizes["cluster"]))
    return float(hits / both.sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_clustered_route(seed, density_of, reach):
    truth = simulate.core_shell(od_noise=0.01, energy_shift_eV=-0.4, seed=seed)
    od = density_of(truth)
    library = open_library("lixv2o5-model")
    pcs = principal_components(od, seed=seed)
    case = "clustered route"
    reach(case, "rank by Marchenko-Pastur", pcs.attrs["rank_mp"], within=(2, 2))
    reach(case, "rank by the indicator function", pcs.attrs["rank_ind"], within=(2, 2))

    groups = cluster(od, pcs, seed=seed)
    reach(case, "clusters", groups.sizes["cluster"], within=(3, 3))
    right = share_right(groups, truth.labels)
    reach(case, "share of pixels in the right cluster", right, least=0.99)
    assert (groups.label.values >= 0).sum() >= 0.95 * (truth.labels.values >= 0).sum()

    table = match(groups, library)
    assert table.attrs["energy_shift_eV"] == pytest.approx(-0.4, abs=0.01)
    known = [float(truth.composition.values[groups.label.values == k].mean()) for k in range(3)]
    error = np.abs(table.composition.values - known).max()
    reach(case, "largest error of a cluster's composition", error, most=0.005)

    tests = target_tests(
        pcs,
        library,
        energy_shift=table.attrs["energy_shift_eV"],
        energy_shift_sd=table.attrs["energy_shift_sd_eV"],
    )
    present = tests.standard.values[tests.verdict == "present"].tolist()
    assert present == ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"]
    assert (tests.drop_sel(standard=present).spoil > 6).all()


def test_too_many_clusters_are_cut_back(density_of):
    truth = simulate.core_shell(od_noise=0.01, energy_shift_eV=-0.4, seed=7300)
    od = density_of(truth)
    ten = cluster(od, principal_components(od), n_clusters=10)
    assert share_right(cut_clusters(od, ten, into=3), truth.labels) >= 0.99


def test_neither_order_nor_thickness_of_pixels_matters(density_of):
    """Pixels in another order, each with its own factor in thickness: the same three groups."""
    truth = simulate.core_shell(od_noise=0.005, seed=7301)
    od = density_of(truth)
    rng = np.random.default_rng(0)
    order = rng.permutation(truth.labels.size)
    factor = rng.uniform(0.6, 1.6, truth.labels.size).astype("f4")

    def shuffled(cube: xr.DataArray, times: np.ndarray) -> xr.DataArray:
        flat = (cube.values.reshape(*cube.shape[:-2], -1) * times)[..., order]
        return cube.copy(data=flat.reshape(cube.shape))

    other = xr.Dataset(
        {
            "optical_density": shuffled(od["optical_density"], factor),
            "variance": shuffled(od["variance"], factor**2),
        }
    )
    labels = shuffled(truth.labels, np.ones_like(factor, dtype=int))
    one = cluster(od, principal_components(od), n_clusters=3)
    two = cluster(other, principal_components(other), n_clusters=3)
    assert share_right(two, labels) >= 0.99
    both = (shuffled(one.label, np.int16(1)).values >= 0) & (two.label.values >= 0)
    before = one.label.values.ravel()[order].reshape(two.label.shape)
    same = sum(np.bincount(before[both & (two.label.values == k)]).max() for k in range(3))
    assert same / both.sum() >= 0.995
