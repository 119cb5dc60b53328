"""From any format to any other: bit for bit, or to the rounding that is said."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from chemoscape import blocks
from chemoscape.cli import main
from chemoscape.errors import ChemoscapeWarning, FileFormatError, StackError
from chemoscape.formats import describe, formats, open_source, open_stack, save_stack
from chemoscape.formats.conversion import convert, written_endings
from chemoscape.stack import build, check

ENDINGS = sorted({ending for one in formats() for ending in one.write_extensions})


@pytest.fixture
def stack() -> xr.DataArray:
    rng = np.random.default_rng(0)
    return build(
        rng.poisson(300, (5, 6, 7)),
        510 + 0.25 * np.arange(5),
        3 + np.arange(6) * 0.04,
        -2 + np.arange(7) * 0.04,
        quantity="counts",
        per_energy={"dwell": np.full(5, 1.5)},
        attrs={"dwell_ms": 1.5, "counter_divider": 10},
    )


@pytest.mark.parametrize("first", ENDINGS)
@pytest.mark.parametrize("second", ENDINGS)
@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
def test_any_to_any(stack: xr.DataArray, tmp_path: Path, first: str, second: str) -> None:
    """Counts are whole numbers, which every format keeps exactly."""
    save_stack(stack, tmp_path / f"one{first}")
    convert(tmp_path / f"one{first}", tmp_path / f"two{second}")
    again = open_stack(tmp_path / f"two{second}", quantity="counts")
    np.testing.assert_array_equal(again, stack)
    np.testing.assert_allclose(again.energy, stack.energy, atol=1e-4)
    np.testing.assert_allclose(again.y, stack.y, atol=1e-4)
    np.testing.assert_allclose(again.x, stack.x, atol=1e-4)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
def test_lazy_stacks_are_copied_band_by_band(
    stack: xr.DataArray, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks._sizes, "BAND_BYTES", 4 * 5 * 7 * 2)
    save_stack(stack, tmp_path / "one.h5")
    lazy = open_stack(tmp_path / "one.h5", lazy=True)
    save_stack(lazy, tmp_path / f"two{ending}")
    np.testing.assert_array_equal(open_stack(tmp_path / f"two{ending}"), stack)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
def test_an_old_file_survives_a_failure(
    stack: xr.DataArray, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left behind, and the old file is as it was."""
    save_stack(stack, tmp_path / f"one{ending}")
    before = sorted(path.name for path in tmp_path.iterdir())

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blocks, "iterate", fail)
    with pytest.raises(FileFormatError, match="cannot be written"):
        save_stack((stack + 1).assign_attrs(stack.attrs), tmp_path / f"one{ending}")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    np.testing.assert_array_equal(open_stack(tmp_path / f"one{ending}"), stack)


def test_the_target_is_guarded(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "one.h5")
    with pytest.raises(FileFormatError, match="replaced by itself"):
        convert(tmp_path / "one.h5", tmp_path / "one.h5", overwrite=True)
    (tmp_path / "two.h5").touch()
    with pytest.raises(FileFormatError, match="exists already; use --overwrite"):
        convert(tmp_path / "one.h5", tmp_path / "two.h5")
    convert(tmp_path / "one.h5", tmp_path / "two.h5", overwrite=True)
    with pytest.raises(FileFormatError, match=r"'\.gif'; use one of"):
        convert(tmp_path / "one.h5", tmp_path / "two.gif")
    with pytest.raises(FileFormatError, match="cannot be written"):
        convert(tmp_path / "one.h5", tmp_path / "nowhere" / "two.h5")


def test_on_the_command_line(
    stack: xr.DataArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_stack(stack, tmp_path / "one.h5")
    assert main(["convert", str(tmp_path / "one.h5"), str(tmp_path / "two.zarr")]) == 0
    assert "5 × 6 × 7 (energies × y × x)" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "two.zarr")]) == 0
    assert "counts: 5 × 6 × 7" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "one.h5"), str(tmp_path / "two.zarr")]) == 2
    assert set(written_endings()) >= {".csv", ".txt", ".h5"}


def test_watch_on_the_command_line(
    stack: xr.DataArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_stack(stack, tmp_path / "one.h5")
    assert main(["inspect", str(tmp_path / "one.h5"), "--watch"]) == 0
    said = capsys.readouterr()
    assert "5 of 5 images" in said.err
    assert "counts: 5 × 6 × 7" in said.out
    assert main(["inspect", str(tmp_path / "no.h5"), "--watch"]) == 2


def test_inspect_says_what_the_file_is_now(stack: xr.DataArray, tmp_path: Path) -> None:
    """Not what it was made from."""
    save_stack(stack.assign_attrs(format="sdf", source="wire.hdr"), tmp_path / "a.h5")
    facts = describe(tmp_path / "a.h5")
    assert (facts["format"], facts["origin"]) == ("hdf5", "wire.hdr")
    assert facts["source"] == str(tmp_path / "a.h5")


def test_loss_is_said(stack: xr.DataArray, tmp_path: Path) -> None:
    density = build(
        np.linspace(0, 3, stack.size).reshape(stack.shape),
        stack.energy,
        stack.y,
        stack.x,
        quantity="optical_density",
    )
    with pytest.warns(ChemoscapeWarning) as warned:
        loss = save_stack(density, tmp_path / "one.ncb")
    assert loss in str(warned[0].message)
    assert "rounded to 0.0001" in loss
    with pytest.warns(ChemoscapeWarning, match="taken for optical densities"):
        again = open_stack(tmp_path / "one.ncb")
    np.testing.assert_allclose(again, density, atol=0.00005001)


# --- found once, kept ---


def test_only_a_store_is_replaced(stack: xr.DataArray, tmp_path: Path) -> None:
    """A folder whose name ends in .zarr may hold somebody's thesis."""
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileFormatError, match="a folder that holds something else"):
        save_stack(stack, tmp_path / "a.zarr")
    assert (tmp_path / "a.zarr" / "thesis.txt").exists()
    (tmp_path / "b.zarr").mkdir()
    save_stack(stack, tmp_path / "b.zarr")
    save_stack((stack + 1).assign_attrs(stack.attrs), tmp_path / "b.zarr")
    np.testing.assert_array_equal(open_stack(tmp_path / "b.zarr"), stack + 1)


@pytest.mark.parametrize("ending", [".h5", ".nxs"])
def test_a_full_disk_is_noticed_before_hdf5_crashes_on_it(
    stack: xr.DataArray, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(FileFormatError, match="No space left"):
        save_stack(stack, tmp_path / f"a{ending}")
    assert not list(tmp_path.iterdir())


def test_detectors_in_ampere(stack: xr.DataArray, tmp_path: Path) -> None:
    """Values far below one may be counts, if the user says so."""
    current = (stack * 1e-12).assign_attrs(stack.attrs)
    save_stack(current, tmp_path / "a.h5")
    convert(tmp_path / "a.h5", tmp_path / "b.nxs")
    with pytest.raises(StackError, match="called counts but its largest value"):
        check(open_stack(tmp_path / "b.nxs"))
    check(open_stack(tmp_path / "b.nxs", quantity="counts"))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
def test_stacks_of_integers(stack: xr.DataArray, tmp_path: Path, ending: str) -> None:
    save_stack(stack.astype("i4", keep_attrs=True), tmp_path / f"a{ending}")
    np.testing.assert_array_equal(open_stack(tmp_path / f"a{ending}"), stack)


def test_a_converted_stack_knows_its_channel(stack: xr.DataArray, tmp_path: Path) -> None:
    """So that one recipe fits a stack and its conversion."""
    save_stack(stack.assign_attrs(channel="PMT"), tmp_path / "a.h5")
    assert open_stack(tmp_path / "a.h5", channel="PMT").attrs["channel"] == "PMT"
    with pytest.raises(FileFormatError, match="no channels to choose from"):
        open_stack(tmp_path / "a.h5", channel="other")


def test_files_of_frames_are_read_once(
    stack: xr.DataArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file too large for the memory, in pieces of one frame: it is put into bands on the way."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in stack.dims:
            file[name] = stack[name].values
            file[name].make_scale(name)
        cube = file.create_dataset("counts", data=stack.values, chunks=(1, 6, 7), compression=1)
        for number, name in enumerate(stack.dims):
            cube.dims[number].attach_scale(file[name])
    source, _ = open_source(tmp_path / "a.h5")
    assert source.framewise
    monkeypatch.setattr(blocks, "memory_limit", lambda: 4 * 7 * 5)
    monkeypatch.setattr(blocks._sizes, "BAND_BYTES", 4 * 7 * 5 * 2)
    convert(tmp_path / "a.h5", tmp_path / "b.zarr")
    np.testing.assert_array_equal(open_stack(tmp_path / "b.zarr", lazy=False), stack)
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5", "b.zarr"}


def test_companions_are_no_target(stack: xr.DataArray, tmp_path: Path) -> None:
    """Writing a.ncb would replace the a.dat that is being read."""
    save_stack(stack, tmp_path / "a.tif")
    with pytest.raises(FileFormatError, match="replaced by itself"):
        convert(tmp_path / "a.tif", tmp_path / "a.tif", overwrite=True)


def test_a_scan_that_is_still_being_written(stack: xr.DataArray, tmp_path: Path) -> None:
    """The writer holds the file open, as beamline programs do (SWMR)."""
    save_stack(stack, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+", libver="latest") as file:
        file.swmr_mode = True
        shutil.copy(tmp_path / "a.h5", tmp_path / "b.h5")  # as a program that died leaves it
    np.testing.assert_array_equal(open_stack(tmp_path / "b.h5"), stack)


def test_energies_are_found_by_their_heading(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "a.h5")
    (tmp_path / "list.csv").write_text(
        "image,energy\n" + "".join(f"{k},{520 + k}\n" for k in range(5))
    )
    with pytest.warns(ChemoscapeWarning, match="replace the file's own, 510 to 511 eV"):
        again = open_stack(tmp_path / "a.h5", energy=tmp_path / "list.csv")
    np.testing.assert_allclose(again.energy, 520 + np.arange(5))
    with pytest.warns(ChemoscapeWarning) as warned:
        open_stack(tmp_path / "a.h5", energy=[7.1, 7.11, 7.12, 7.13, 7.14])
    assert "are they in keV" in str(warned[-1].message)
