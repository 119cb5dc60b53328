"""Energies that were measured more than once, and the order in which images were taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, FileFormatError
from chemoscape.formats import checksum, describe, open_stack, save_stack, watch
from chemoscape.formats.conversion import convert

#: Two passes: the second visits three energies again, one of them twice.
ENERGY = [510.0, 511.0, 512.0, 513.0, 512.0, 510.0, 512.0]


@pytest.fixture
def repeats(tmp_path: Path) -> Path:
    """An array whose frames hold their own number."""
    path = tmp_path / "repeats.npz"
    frames = 100.0 + np.arange(len(ENERGY), dtype=np.float32)
    np.savez(
        path,
        counts=frames[:, None, None] * np.ones((1, 3, 4), np.float32),
        energy=np.array(ENERGY),
        y=np.arange(3.0),
        x=np.arange(4.0),
    )
    return path


def opened(path: Path, **options) -> xr.DataArray:
    with pytest.warns(ChemoscapeWarning, match="3 images repeat an energy"):
        return open_stack(path, **options)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("visit", "places"), [("first", [0, 1, 2, 3]), ("last", [5, 1, 6, 3])])
def test_which_visit(repeats, visit, places, lazy):
    stack = opened(repeats, visit=visit, lazy=lazy)
    np.testing.assert_array_equal(stack.energy, [510, 511, 512, 513])
    np.testing.assert_array_equal(stack[:, 0, 0], 100 + np.array(places))
    np.testing.assert_array_equal(stack.acquired, places)
    assert (stack.attrs["n_repeated"], stack.attrs["visit"]) == (3, visit)


def test_the_warning_says_which(repeats):
    with pytest.warns(ChemoscapeWarning, match=r"512\.00, .*the stack holds the last of each"):
        open_stack(repeats, visit="last")
    with pytest.warns(ChemoscapeWarning, match="the stack holds the first of each"):
        open_stack(repeats)


def test_an_unknown_visit(repeats):
    with pytest.raises(FileFormatError, match="no visit 'second' of an energy"):
        open_stack(repeats, visit="second")  # type: ignore[arg-type]


def test_every_command_takes_it(repeats, tmp_path):
    facts = describe(repeats, visit="last")
    assert "the stack holds the last of each" in facts["looks_wrong"][0]
    assert checksum(repeats, visit="last") == checksum(repeats)
    with pytest.warns(ChemoscapeWarning, match="last of each"):
        convert(repeats, tmp_path / "c.h5", visit="last")
    np.testing.assert_array_equal(open_stack(tmp_path / "c.h5")[:, 0, 0], [105, 101, 106, 103])
    with pytest.warns(ChemoscapeWarning, match="last of each"):
        (stack,) = list(watch(repeats, every=0.01, visit="last"))
    np.testing.assert_array_equal(stack.acquired, [5, 1, 6, 3])


@pytest.mark.parametrize("ending", ["h5", "nxs", "zarr", "tif"])
def test_saved_stacks_remember(repeats, tmp_path, ending):
    stack = opened(repeats, visit="last")
    assert save_stack(stack, tmp_path / f"s.{ending}") == ""
    again = open_stack(tmp_path / f"s.{ending}")
    np.testing.assert_array_equal(again.acquired, stack.acquired)
    assert (again.attrs["n_repeated"], again.attrs["visit"]) == (3, "last")


def test_ascending_scans_need_no_order(repeats, tmp_path):
    np.save(tmp_path / "up.npy", np.ones((3, 4, 5), np.float32) * 100)
    up = open_stack(tmp_path / "up.npy", energy=[510, 511, 512], axes="eyx", pixel_um=1)
    assert "acquired" not in up.coords
    assert "n_repeated" not in up.attrs
    down = open_stack(tmp_path / "up.npy", energy=[512, 511, 510], axes="eyx", pixel_um=1)
    np.testing.assert_array_equal(down.acquired, [2, 1, 0])
    assert "n_repeated" not in down.attrs


def test_times_tell_the_order_themselves(tmp_path):
    path = tmp_path / "timed.npz"
    np.savez(
        path,
        counts=np.full((3, 5, 4), 100, np.float32),
        energy=np.array([512.0, 511, 512]),
        time=np.array([0.0, 5, 9]),
        y=np.arange(5.0),
        x=np.arange(4.0),
    )
    with pytest.warns(ChemoscapeWarning, match="1 images repeat an energy"):
        stack = open_stack(path, visit="last")
    assert "acquired" not in stack.coords
    np.testing.assert_array_equal(stack.time, [5, 9])
