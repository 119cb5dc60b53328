"""Runs on lazy stacks: the answers of a stack in memory, the passes they take, and being ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import chemoscape as cs
from chemoscape import blocks, formats, stages
from chemoscape.decompose.sample import with_statistics
from chemoscape.errors import ChemoscapeError, RecipeError
from chemoscape.formats import _opening
from chemoscape.preprocess.shifts import Drift
from chemoscape.recipe import make_recipe
from chemoscape.simulate import core_shell

#: Rows of a band, and of the lower bands that it is worked on in.
ROWS, LOWER = 4, 2


class Reads(list):
    """First rows of the bands that were read."""

    def passes(self, n_rows: int) -> float:
        return len(self) / (n_rows / ROWS)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    energies = np.r_[512:524:0.5, 524:540:1.5]
    truth = core_shell(shape=(160, 60), poisson=True, energy=energies)
    path = tmp_path_factory.mktemp("stored") / "stack.zarr"
    cs.save_stack(truth.stack, path)
    group = zarr.open_group(path, mode="r+")
    facts = dict(group["stack"].attrs)
    cube = group.create_array(  # as save_stack writes it, but in low chunks
        "stack",
        shape=truth.stack.shape,
        chunks=(len(energies), ROWS, 60),
        dtype="f4",
        attributes=facts,
        overwrite=True,
    )
    cube[...] = truth.stack.values
    zarr.consolidate_metadata(path)
    return path


@pytest.fixture
def reads(stored: Path, monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Stacks open lazily, in bands of a few rows; what is read is noted."""
    n_energy, _, n_x = cs.open_stack(stored).shape
    row_bytes = 4 * n_energy * n_x
    monkeypatch.setattr(blocks._sizes, "BAND_BYTES", ROWS * row_bytes)
    monkeypatch.setattr("chemoscape.blocks._passes.PART_BYTES", LOWER * row_bytes)
    monkeypatch.setattr("chemoscape.preprocess.density.masks.MOST_PIXELS", 1000)
    monkeypatch.setattr("chemoscape.preprocess.density.masks.STRIP_PIXELS", 8 * 60)
    opened = formats.open_stack
    monkeypatch.setattr(
        stages, "open_stack", lambda *args, **more: opened(*args, **{**more, "lazy": True})
    )
    seen, band = Reads(), _opening._band

    def noted(read: Any, n: int, start: int, stop: int) -> np.ndarray:
        seen.append(start)
        return band(read, n, start, stop)

    monkeypatch.setattr(_opening, "_band", noted)
    return seen


def recipe(stored: Path, **more: Any) -> dict[str, Any]:
    return {
        "input": {"path": str(stored)},
        "standards": {"library": "lixv2o5-model"},
        "stress": {"enabled": False},
        "report": {"enabled": False},
        **more,
    }


def assert_alike(there: xr.DataTree, here: xr.DataTree) -> None:
    """All values to 1e-6 of the largest, errors to 1e-4."""
    assert {node.path for node in there.subtree} == {node.path for node in here.subtree}
    for node in here.subtree:
        for name, expected in node.to_dataset().data_vars.items():
            found = there[node.path][name]
            assert found.shape == expected.shape, name
            if expected.dtype.kind not in "fiub" or not expected.size:
                continue
            known = np.isfinite(expected.values)
            np.testing.assert_array_equal(np.isfinite(found.values), known, err_msg=str(name))
            if known.any():
                scale = float(np.abs(expected.values[known].astype(float)).max()) or 1.0
                share = 1e-4 if {"sd", "se", "covariance"} & set(str(name).split("_")) else 2e-6
                apart = np.abs(found.values[known].astype(float) - expected.values[known])
                assert apart.max() <= share * scale, (node.path, name, apart.max() / scale)


@pytest.mark.parametrize("clusters", [False, True])
def test_a_lazy_run_is_that_of_a_stack_in_memory(stored, reads, monkeypatch, clusters) -> None:
    route = {"route": "both" if clusters else "direct"}
    asked = recipe(stored, clusters={"enabled": clusters}, deconvolution=route)
    there = cs.run(asked)
    monkeypatch.setattr(stages, "open_stack", formats.open_stack)
    assert_alike(there, cs.run(asked))


def test_the_main_job_takes_four_passes(stored, reads) -> None:
    stack = cs.open_stack(stored, lazy=True)
    n_y, library = stack.sizes["y"], cs.open_library("lixv2o5-model")
    n = stack.sizes["energy"]
    shifts = np.linspace([0.0, 0.0], [2.6, -1.3], n)
    drift = Drift(shifts, stack["energy"].values, 0, np.ones(n), np.zeros(n, dtype=bool))

    def since() -> float:
        """Passes since it was last asked."""
        n = reads.passes(n_y)
        reads.clear()
        return n

    assert cs.crop_common(cs.align(stack, drift), drift).sizes["y"] == n_y - 3
    assert since() == 0
    od = cs.optical_density(stack)
    assert 2 <= since() <= 3.2  # so small an image is read once more for its noise
    pcs = cs.principal_components(od)
    assert 1 <= since() <= 1.5  # and the strips of the mask
    od = with_statistics(od, pcs)
    maps = cs.deconvolve(od, library, beside=pcs[["score"]])
    assert since() == 1
    cs.composition(maps, library)
    assert since() == 0


@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")  # it is held wrongly
def test_a_held_shift_needs_one_pass(stored, reads) -> None:
    library = cs.open_library("lixv2o5-model")
    od = cs.optical_density(cs.open_stack(stored, lazy=True))
    reads.clear()
    lazy = cs.deconvolve(od, library, energy_shift=0.1)
    assert 1 <= reads.passes(od.sizes["y"]) <= 1.3
    here = cs.deconvolve(cs.optical_density(cs.open_stack(stored)), library, energy_shift=0.1)
    assert lazy.attrs["energy_shift_sd_eV"] == pytest.approx(here.attrs["energy_shift_sd_eV"])
    np.testing.assert_array_equal(lazy["sample"], here["sample"])
    np.testing.assert_allclose(lazy["fit_weight"], here["fit_weight"], rtol=1e-6)


def test_bands_and_threads_change_nothing(stored, reads, monkeypatch) -> None:
    asked = recipe(stored, clusters={"enabled": False}, deconvolution={"route": "direct"})
    found = []
    for rows, threads in [(LOWER, 1), (LOWER, 2), (3 * LOWER, 2)]:
        n_energy, _, n_x = cs.open_stack(stored).shape
        size = 4 * n_energy * n_x * rows
        monkeypatch.setattr(blocks._sizes, "BAND_BYTES", size)
        monkeypatch.setattr("chemoscape.blocks._passes.PART_BYTES", size)
        found.append(cs.run({**asked, "compute": {"threads": threads}})["direct"])
    for name in ("weight", "residual", "reduced_chi2", "weight_covariance"):
        np.testing.assert_array_equal(found[0][name], found[1][name])
        scale = float(np.nanmax(np.abs(found[0][name].values)))
        np.testing.assert_allclose(found[2][name], found[0][name], rtol=0, atol=2e-6 * scale)


def test_a_run_that_was_ended_goes_on(stored, reads, tmp_path) -> None:
    asked = recipe(
        stored,
        clusters={"enabled": False},
        deconvolution={"route": "direct"},
        drift={"enabled": False},  # its window is read again
    )
    output, kept = tmp_path / "results", tmp_path / ".results.passes"

    def end(done: int, of: int) -> None:
        if reads.passes(160) > 3.8:  # in the middle of the fit
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), blocks.reporting(end):
        cs.run(asked, output=output)
    assert kept.is_dir()
    assert not output.exists()
    before = reads.passes(160)
    reads.clear()
    cs.run(asked, output=output)
    assert (output / "summary.json").is_file()
    assert not kept.exists()
    ended_and_gone_on = reads.passes(160)
    reads.clear()
    cs.run(asked, output=output, overwrite=True)
    whole = reads.passes(160)
    assert ended_and_gone_on <= whole - before + 2  # the pass under way, and single rows
    assert whole <= 6.5


def test_what_needs_memory_is_refused_before_the_work(stored, reads) -> None:
    asked = recipe(stored, report={"enabled": False, "keep_optical_density": True})
    with pytest.raises(RecipeError, match="keep_optical_density is for stacks that fit"):
        cs.run(asked)
    assert reads.passes(160) < 0.2


def test_the_report_of_a_lazy_stack(stored, reads, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("chemoscape.one_pass.SEEN_PIXELS", 1200)
    asked = recipe(stored, clusters={"enabled": False}, deconvolution={"route": "direct"})
    cs.run({**asked, "report": {"enabled": True}}, output=tmp_path / "results")
    drawn = {path.stem for path in (tmp_path / "results" / "figures").glob("*.png")}
    assert {"absorbance", "background", "composition", "weights-direct"} <= drawn


def test_a_changed_file_that_the_recipe_names_discards_what_was_kept(stored, tmp_path) -> None:
    """An I0 that was wrong is corrected in place, and the run started again."""
    i0 = tmp_path / "i0.csv"
    i0.write_text("500 1000\n560 1000\n")
    asked = make_recipe(recipe(stored, absorbance={"i0": str(i0)}))
    kept = tmp_path / ".out.passes"

    def ended_run() -> int:
        """How often the stack was gone through."""
        gone = []

        def of_rows(band: np.ndarray) -> float:
            gone.append(1)
            return float(band.sum())

        ended = pytest.raises(KeyboardInterrupt)
        with ended as stop, stages.kept_passes(asked, tmp_path / "out"):
            blocks.reduce_blocks(of_rows, float.__add__, cs.open_stack(stored, lazy=True).data)
            raise KeyboardInterrupt
        assert kept.is_dir()
        assert str(kept) in stop.value.__notes__[0]
        return len(gone)

    assert ended_run() > 0
    assert ended_run() == 0
    i0.write_text("500 1200\n560 1200.0\n")
    assert ended_run() > 0
    with stages.kept_passes(asked, tmp_path / "out"):
        second = pytest.raises(ChemoscapeError, match="another run, process")
        with second, stages.kept_passes(asked, tmp_path / "out"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["i0.csv"]
