"""Our own results opened as a stack."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import chemoscape as cs
from chemoscape.errors import FileFormatError
from chemoscape.formats import describe, find_format, open_source, open_stack, save_stack
from chemoscape.stack import build


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a run that kept its optical density, and one that did not."""
    from chemoscape.workflow import analyse, write

    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:12, :14]
    energy = np.linspace(510, 525, 20)
    edge = np.exp(-(((energy - 518) / 1.5) ** 2))
    density = edge[:, None, None] * ((x > 5) & (y > 4))
    stack = build(
        rng.poisson(1000 * np.exp(-density)),
        energy,
        0.04 * np.arange(12),
        0.05 * np.arange(14),
        quantity="counts",
    )
    save_stack(stack, folder / "counts.h5")
    for kept in (True, False):
        recipe = {
            "input": {"path": str(folder / "counts.h5")},
            "drift": {"enabled": False},
            "clusters": {"enabled": False},
            "standards": {"enabled": False},
            "absorbance": {"i0": {"x": [0, 0.2], "y": [0, 0.4]}},
            "report": {"enabled": False, "keep_optical_density": kept},
        }
        write(analyse(recipe), folder / ("kept" if kept else "left"))
    return folder


@pytest.mark.parametrize("name", ["kept", "kept/results.h5"])
def test_optical_density_of_a_run(runs: Path, name: str) -> None:
    expected = cs.open_results(runs / "kept")["/optical_density"]["optical_density"]
    assert find_format(runs / name)[0].name == "results"
    opened = open_stack(runs / name)
    np.testing.assert_array_equal(opened, expected)
    for axis in ("energy", "y", "x"):
        np.testing.assert_array_equal(opened[axis], expected[axis])
    assert opened.attrs["quantity"] == "optical_density"
    assert opened.attrs["origin"] == str(runs / "counts.h5")
    assert opened.attrs["i0_source"].startswith("region")
    lazy = open_stack(runs / name, lazy=True)
    np.testing.assert_array_equal(lazy[:, 3:7].compute(), expected[:, 3:7])
    assert describe(runs / name)["pixel_um"] == [0.04, 0.05]
    source, _ = open_source(runs / name)
    read = pickle.loads(pickle.dumps(source.read))
    np.testing.assert_array_equal(read(slice(2, 4), slice(1, 3)), expected[2:4, 1:3])


def test_large_ones_are_in_chunks(runs: Path, tmp_path: Path) -> None:
    tree = cs.open_results(runs / "kept")
    node = tree["/optical_density"].to_dataset().drop_encoding()
    big = node.pad(y=(0, 60), x=(0, 60), constant_values=0)
    big = big.assign_coords(y=np.arange(72) * 0.1, x=np.arange(74) * 0.1)
    from chemoscape.results.tree import save_tree

    save_tree(
        xr.DataTree.from_dict({"/": xr.Dataset(attrs=tree.attrs), "/optical_density": big}),
        tmp_path / "results.h5",
    )
    with h5py.File(tmp_path / "results.h5") as file:
        assert file["optical_density/optical_density"].chunks
    opened = open_stack(tmp_path, lazy=True)
    np.testing.assert_array_equal(opened, big.optical_density)


@pytest.mark.parametrize("name", ["left", "left/results.h5"])
def test_results_without_a_stack(runs: Path, name: str) -> None:
    with pytest.raises(
        FileFormatError,
        match=r"results\.h5: is a results file without a stack; open it with cs\.open_results, or "
        r"run with \[report\] keep_optical_density = true",
    ):
        open_stack(runs / name)


def test_later_layout(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "results.h5").write_bytes((runs / "kept" / "results.h5").read_bytes())
    with h5py.File(tmp_path / "results.h5", "a") as file:
        file.attrs["layout"] = 99
    with pytest.raises(FileFormatError, match="by a newer chemoscape; update chemoscape"):
        open_stack(tmp_path)


def test_axes_that_are_gone(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "results.h5").write_bytes((runs / "kept" / "results.h5").read_bytes())
    with h5py.File(tmp_path / "results.h5", "a") as file:
        values = file["optical_density/optical_density"][...]
        del file["optical_density/optical_density"]
        file["optical_density/optical_density"] = values
    with pytest.raises(FileFormatError, match="its optical density has no axes energy, y and x"):
        open_stack(tmp_path)


def test_a_link_out_of_the_folder(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "results.h5").symlink_to(runs / "kept" / "results.h5")
    with pytest.raises(FileFormatError, match="leads out of the folder"):
        open_stack(tmp_path)
    assert open_stack(tmp_path / "results.h5").shape == (20, 12, 14)  # named by the user


def test_cut_short(runs: Path, tmp_path: Path) -> None:
    content = (runs / "kept" / "results.h5").read_bytes()
    for size in range(0, len(content), max(len(content) // 40, 1)):
        (tmp_path / "results.h5").write_bytes(content[:size])
        with pytest.raises(FileFormatError):
            open_stack(tmp_path / "results.h5")
