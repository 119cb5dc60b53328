"""Components, clusters and parts of a lazy stack: those of the stack in memory, in few passes."""

from __future__ import annotations

import threading

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from chemoscape import simulate
from chemoscape.blocks import is_lazy
from chemoscape.decompose.factors.averages import mean_spectra
from chemoscape.decompose.factors.clusters import cluster, merge_clusters
from chemoscape.decompose.factors.components import principal_components
from chemoscape.decompose.factors.nnma import factorise
from chemoscape.decompose.factors.tree import cut_clusters, split_clusters
from chemoscape.preprocess.absorbance import sample_mask


class Counted:
    """A lazy Dataset that counts how often each of its bands of rows is read."""

    def __init__(self, od: xr.Dataset, rows: int = 7) -> None:
        self.read: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        lazy = {}
        for name, values in od.data_vars.items():
            if values.ndim < 3:
                lazy[name] = values
                continue
            blocks = da.from_array(values.values, chunks=(-1, rows, -1))
            self.read[name] = [0] * blocks.numblocks[1]
            counted = blocks.map_blocks(
                self._count, name=f"counted-{name}-{id(self)}", dtype="f4", what=name
            )
            lazy[name] = (values.dims, counted, values.attrs)
        self.od = xr.Dataset(lazy, coords=od.coords, attrs=od.attrs)

    def _count(self, block, what, block_info=None):
        if block_info is not None and block.size:
            with self._lock:
                self.read[what][block_info[0]["chunk-location"][1]] += 1
        return block

    def passes(self, name: str = "optical_density") -> set[int]:
        """Different numbers of reads of the bands since the last call."""
        seen = set(self.read[name])
        self.read = {key: [0] * len(value) for key, value in self.read.items()}
        return seen


@pytest.fixture(scope="module")
def od(density_of) -> xr.Dataset:
    """Two phases, with data missing in a few pixels."""
    found = density_of(simulate.core_shell(od_noise=0.01))
    density = found["optical_density"].copy(deep=True)
    density.values[3, 40:44, 60] = np.nan
    density.values[5, 45, 65] = np.inf
    return found.assign(optical_density=density)


@pytest.fixture(scope="module")
def pcs(od, sample):
    return principal_components(od, mask=sample)


@pytest.fixture(scope="module")
def sample(od):
    return sample_mask(od)


@pytest.mark.parametrize("centred", [False, True])
def test_components_are_those_in_memory_and_read_the_stack_once(od, sample, centred):
    want = principal_components(od, mask=sample, centred=centred)
    source = Counted(od)
    found = principal_components(source.od, mask=sample, centred=centred)
    assert source.read["variance"] == [1] * len(source.read["variance"])
    assert source.passes() == {1}
    assert is_lazy(found["score"])
    for name in want.data_vars:
        scale = np.nanmax(np.abs(want[name].values.astype(float)), initial=0.0)
        np.testing.assert_allclose(
            found[name].values, want[name].values, rtol=1e-6, atol=1e-6 * scale, err_msg=name
        )
    assert source.passes() == {1}  # the scores
    for name, value in want.attrs.items():
        assert found.attrs[name] == pytest.approx(value, rel=1e-9), name


def test_mean_and_spread_are_those_of_the_masks_pixels(od, sample, pcs):
    density = od["optical_density"].values[:, sample.values].astype(float)
    known = np.isfinite(density)
    assert not known.all()
    density = np.where(known, density, np.nan)
    variance = od["variance"].values[:, sample.values].astype(float)
    of_mean = (variance * known).sum(axis=1) / known.sum(axis=1) ** 2
    np.testing.assert_allclose(pcs["sample_mean"], np.nanmean(density, axis=1), rtol=1e-12)
    np.testing.assert_allclose(pcs["sample_mean_variance"], of_mean, rtol=1e-12)
    np.testing.assert_allclose(pcs["sample_spread"], np.nanstd(density, axis=1), rtol=1e-9)


def test_ranks_of_an_even_choice_do_not_depend_on_bands(od, sample, monkeypatch):
    monkeypatch.setattr("chemoscape.decompose.factors.components.MOST_RANKED", 2000)
    monkeypatch.setattr("chemoscape.decompose.factors.components.MOST_OUTSIDE", 500)
    want = principal_components(od, mask=sample)
    share = float(sample.mean())  # of an even choice over the whole image
    assert abs(want.attrs["n_pixels_rank"] - 2000 * share) < 20
    assert (want.attrs["rank_mp"], want.attrs["rank_cv"]) == (2, 2)
    for rows in (3, 50):
        found = principal_components(Counted(od, rows).od, mask=sample)
        for name, value in want.attrs.items():
            assert found.attrs[name] == pytest.approx(value, rel=1e-9), name
        np.testing.assert_allclose(found["eigenvalue"], want["eigenvalue"], rtol=1e-9)


def test_an_error_of_i0_is_named_lazily_too(density_of):
    od = density_of(simulate.core_shell(od_noise=0.01))
    wrong = 0.01 * np.random.default_rng(0).normal(size=(od.sizes["energy"], 1, 1))
    density = od["optical_density"]
    od = od.assign(optical_density=(density + wrong.astype("f4")).assign_attrs(density.attrs))
    with pytest.warns(UserWarning, match="component 3 is the same in all pixels, background"):
        found = principal_components(Counted(od).od)
    assert (found.attrs["common_component"], found.attrs["common_in_background"]) == (3, 1)


def test_clusters_are_those_in_memory_in_one_pass(od, sample, pcs):
    want = cluster(od, pcs)
    source = Counted(od)
    lazy = principal_components(source.od, mask=sample)
    source.passes()
    found = cluster(source.od, lazy)
    assert source.passes() == {2}  # the scores, and the mean spectra
    assert cluster(source.od, lazy.compute()).sizes["cluster"] == 3
    assert max(source.passes()) == 2
    assert_same(found, want)
    again = [
        (
            merge_clusters(source.od, found, [[0, 2]]),
            merge_clusters(od, want, [[0, 2]]),
        ),
        (cut_clusters(source.od, found, into=2), cut_clusters(od, want, into=2)),
        (
            split_clusters(source.od, found, [{"cluster": 0, "into": 2}]),
            split_clusters(od, want, [{"cluster": 0, "into": 2}]),
        ),
    ]
    assert source.passes() == {3}  # one for each
    for one, other in again:
        assert_same(one, other)


def assert_same(found: xr.Dataset, want: xr.Dataset) -> None:
    np.testing.assert_array_equal(found["label"], want["label"])
    for name in ("spectrum", "spectrum_se", "feature", "linkage"):
        np.testing.assert_allclose(found[name], want[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_one_pass_gives_the_errors_of_two(od, pcs):
    """The thickness of a pixel as its cluster's scores have it is that of the cluster's mean."""
    groups = cluster(od, pcs)
    mean, error = mean_spectra(od["optical_density"].values, groups["label"].values, 3)
    np.testing.assert_allclose(groups["spectrum"], mean, rtol=1e-10)
    np.testing.assert_allclose(groups["spectrum_se"], error, rtol=2e-3)


def test_parts_are_those_in_memory_in_two_passes(od, sample, pcs, monkeypatch):
    """The one finds the spectra, with some of the pixels; the other makes the maps of all."""
    monkeypatch.setattr("chemoscape.decompose.factors.nnma.MOST_PIXELS", 1000)
    groups = cluster(od, pcs)
    options = {"similar_to": groups, "similarity": 0.1, "mask": sample}
    want = factorise(od, 3, **options)
    source = Counted(od)
    found = factorise(source.od, 3, **options)
    assert source.passes() == {2}
    assert abs(found.attrs["n_pixels_spectra"] - 1000) < 20
    assert int(np.isfinite(found["residual"]).sum()) == int(sample.sum())
    assert found.attrs == pytest.approx(want.attrs, rel=1e-6)
    for name in want.data_vars:
        np.testing.assert_allclose(found[name], want[name], rtol=1e-5, atol=1e-6, err_msg=name)
    monkeypatch.undo()
    everyone = factorise(od, 3, **options)
    np.testing.assert_allclose(found["spectrum"], everyone["spectrum"], atol=0.02)
