"""Lazy stacks on the workers of a real cluster: two processes, with less memory than the stack."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr

import chemoscape as cs
from chemoscape import blocks
from chemoscape.errors import ChemoscapeError
from chemoscape.simulate import core_shell

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")
zarr = pytest.importorskip("zarr")

pytestmark = pytest.mark.filterwarnings("ignore")  # of distributed itself, on busy machines

#: What a worker may use: imports and compiled kernels take half of it.
MEMORY = 1_000_000_000


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        # a paused worker would be waited for without end
        dask.config.set({"distributed.worker.memory.pause": False}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit=MEMORY,
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def large_stack(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A mosaic of one particle, 1.05 GB: more than a worker may use."""
    energies = np.r_[512:524:0.5, 524:540:1.0]
    counts = core_shell(shape=(64, 64), poisson=True, energy=energies).stack.values
    path = tmp_path_factory.mktemp("large") / "large.zarr"
    n, tiles = len(energies), 40
    group = zarr.open_group(path, mode="w")
    array = group.create_array(
        "data", shape=(n, 64 * tiles, 64 * tiles), chunks=(n, 64, 64), dtype="f4", compressors=None
    )
    for row in range(tiles):
        array[:, 64 * row : 64 * (row + 1)] = np.tile(counts, (1, 1, tiles))
    return path, energies


def weights(path: Path, energies: np.ndarray) -> xr.Dataset:
    stack = cs.open_stack(
        path, energy=energies, pixel_um=0.03, axes="eyx", quantity="counts", lazy=True
    )
    assert stack.nbytes > MEMORY
    region = cs.Region(x=(0.0, 60.0), y=(0.0, 0.06))
    od = cs.optical_density(stack, region)
    return cs.deconvolve(od, cs.open_library("lixv2o5-model"), energy_shift=0.0)


def test_a_worker_dies_and_nothing_is_lost(large_stack, client) -> None:
    here = weights(*large_stack)
    killed: list[int] = []

    def kill_one(done: int, of: int) -> None:
        if not killed and 2 * done > of:
            killed.append(min(client.run(os.getpid).values()))
            os.kill(killed[0], signal.SIGKILL)

    with blocks.cluster(client), blocks.reporting(kill_one):
        there = weights(*large_stack)
    assert killed
    for name in ("weight", "residual", "reduced_chi2", "baseline"):
        np.testing.assert_array_equal(there[name], here[name])


def test_a_recipe_names_its_scheduler(client, tmp_path) -> None:
    truth = core_shell(shape=(40, 40), poisson=True)
    cs.save_stack(truth.stack, tmp_path / "stack.zarr")
    recipe = {
        "input": {"path": str(tmp_path / "stack.zarr")},
        "standards": {"library": "lixv2o5-model"},
        "report": {"enabled": False},
        "stress": {"enabled": False},
    }
    here = cs.run(recipe)
    there = cs.run({**recipe, "compute": {"scheduler": client.scheduler.address}})
    for node, name in [("composition", "composition"), ("clustered/clusters", "label")]:
        found, expected = there[node][name].values, here[node][name].values
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chemoscape.blocks._scheduling.ANSWER_S", 1)
    with (
        pytest.raises(ChemoscapeError, match="no scheduler answers"),
        blocks.cluster("tcp://[::1]:1"),
    ):
        pass
