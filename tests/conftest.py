"""Fixtures shared by all tests: where the real data lie, and how to read a stack's truth."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import settings
from truth_table import Reach, reach_of

from chemoscape import simulate

# Searching for new examples is for the desk; a merge is judged by the same ones every time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real data measured by others (`CHEMOSCAPE_DATA`, else ../shared/data beside the
    checkout).
    """
    folder = Path(os.environ.get("CHEMOSCAPE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"no real data at {folder}: set CHEMOSCAPE_DATA to the folder described in docs/data.md"
        )
    return folder


@pytest.fixture
def reach(request) -> Reach:
    """Asserts what was measured, and puts it on the validation page (`make validation`)."""
    return reach_of(request.node.nodeid.partition("[")[0].removeprefix("tests/"))


@pytest.fixture(scope="session")
def density_of():
    """Optical density of a simulated stack with its true I0 and its true variance."""

    def make(truth):
        counts = truth.stack
        density = np.log(truth.i0 / counts).transpose("energy", "y", "x").astype(np.float32)
        density.attrs = {"quantity": "optical_density"}
        if truth.poisson:
            variance = (1 / counts).astype(np.float32)
        else:
            variance = xr.full_like(density, max(truth.optical_density_sd, 1e-4) ** 2)
        return xr.Dataset({"optical_density": density, "variance": variance})

    return make


@pytest.fixture(scope="session")
def twin():
    """The paper's failure case, small: -0.4 eV and Gaussian noise of 1 % of the peak optical
    density.
    """
    return simulate.core_shell(od_noise=0.01, energy_shift_eV=-0.4)


@pytest.fixture(scope="session")
def twin_density(twin, density_of):
    """Optical density of `twin`."""
    return density_of(twin)


@pytest.fixture(scope="session")
def demo_output(tmp_path_factory):
    """Folder of a whole demo."""
    from chemoscape.demo import run_demo

    folder = tmp_path_factory.mktemp("demo") / "demo"
    run_demo(folder)
    return folder


@pytest.fixture(scope="session")
def demo_run(demo_output):
    """An ordinary run of both routes with stress: the demo's clean data set."""
    return demo_output / "clean"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Tests that look at one whole demo run, or share a fixture of their module, in one worker, so
    that it is made once.
    """
    for item in items:
        if "demo_output" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("demo"))
        elif item.get_closest_marker("xdist_group") is None and _shares_with_its_module(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))


def _shares_with_its_module(item) -> bool:
    known = getattr(item, "_fixtureinfo", None)
    made = known.name2fixturedefs.values() if known is not None else ()
    return any(one.scope == "module" for several in made for one in several)
