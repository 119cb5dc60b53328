"""The results tree, its summary and its folder: nothing lost, nothing half-written."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from chemoscape import results
from chemoscape.errors import ResultsError
from chemoscape.results.lock import remove_left_by

REPOSITORY = Path(__file__).resolve().parents[1]
Y = xr.Variable("y", np.arange(4) * 0.05, {"units": "µm"})
X = xr.Variable("x", np.arange(6) * 0.05, {"units": "µm"})
ENERGY = np.linspace(510.0, 515.0, 6)


def nodes() -> dict[str, xr.Dataset]:
    """The layout of a run with both routes, on a few pixels."""
    rng = np.random.default_rng(0)
    maps = xr.Dataset(
        {"weight": (("standard", "y", "x"), rng.random((2, 4, 6)), {"units": "g/cm2"})},
        coords={"standard": ["cluster 0", "cluster 1"], "y": Y, "x": X},
        attrs={"energy_shift_eV": -0.4, "baseline": "constant", "nonnegative": True},
    )
    clusters = xr.Dataset(
        {
            "label": (("y", "x"), rng.integers(-1, 2, (4, 6))),
            "spectrum": (("cluster", "energy"), rng.random((2, 6))),
        },
        coords={"y": Y, "x": X, "energy": ENERGY},
    )
    match = xr.Dataset(
        {
            "weight": (("cluster", "standard"), rng.random((2, 3))),
            "candidate": (
                ("cluster", "candidate_rank"),
                np.array([["α", "β"], ["γ", None]], object),
            ),
            "ambiguous": ("cluster", [True, False]),
        },
        coords={"standard": ["alpha", "epsilon", "delta"]},
    )
    fine = {"y": Y.values[0] + np.arange(8) * 0.025, "x": X.values[0] + np.arange(12) * 0.025}
    composition = xr.Dataset(
        {
            "composition": (("y", "x"), np.where(rng.random((8, 12)) < 0.3, np.nan, 0.4)),
            "mask": (("y", "x"), rng.random((8, 12)) < 0.7),
        },
        coords=fine,
        attrs={"variable": "x in LixV2O5", "given": None, "window": [510, 515.5]},
    )
    spectra = xr.Dataset(
        {
            "i0": ("energy", 1000 + np.arange(6.0)),
            "mean": ("energy", np.r_[np.nan, np.arange(5) / 7]),
            "standards": (("standard", "energy"), np.ones((2, 6))),
        },
        coords={"energy": ENERGY, "standard": ["alpha", "epsilon"]},
    )
    mesh = xr.Dataset(
        {
            "composition": ("node", rng.random(5)),
            "von_mises": ("node", rng.random(5)),
            "connectivity": (("element", "vertex"), np.array([[0, 1, 2], [2, 3, 4]])),
        },
        coords={"node_x": ("node", rng.random(5)), "node_y": ("node", rng.random(5))},
    )
    return {
        "/composition": composition,
        "/clustered/match": match,
        "/clustered/clusters": clusters,
        "/clustered": maps,
        "/spectra": spectra,
        "/stress/free": mesh,
    }


def summary(**changed: object) -> results.RunSummary:
    """A summary with every part filled in."""
    parts: dict[str, object] = {
        "input": {
            "path": "wire.hdf5",
            "sha256": "0" * 64,
            "format": "NXstxm",
            "shape": (6, 4, 6),
            "energy_range_eV": (510.0, 515.0),
        },
        "units": {"correction": None, "i0_source": "automatic background"},
        "noise": {"g": 10.0, "source": "measured", "correlation": 0.01},
        "pixels": {
            "total": 24,
            "thick": 2,
            "too_thick": 1,
            "not_positive_values": 0,
            "despiked_values": 3,
            "levelled_values": None,
        },
        "drift": {"max_px": 1.5, "rms_px": 0.4, "applied": True, "n_replaced": 0},
        "energy_shift_eV": {"value": -0.4, "sd": 0.005},
        "standards": ["alpha", "epsilon"],
        "condition_number": 61.0,
        "rank": {"ind": 2, "mp": 2, "cv": 2, "cumulative": 1},
        "routes": {"direct": {"composition": 0.3, "residual_rms": 0.01, "reduced_chi2": 1.0}},
        "composition": {
            "variable": "x in LixV2O5",
            "mean_pixel": 0.3,
            "mean_mass_weighted": 0.31,
            "sd": 0.01,
            "p05": 0.1,
            "p95": 0.45,
        },
        "phases": {"alpha": {"mass_fraction": 0.4, "area_fraction": 0.5}},
        "damage": {
            "dx": -0.01,
            "sd": 0.02,
            "how": "halves of the scan",
            "significant": False,
            "dose_MGy": 3.0,
        },
        "stress": {
            "free": {
                "von_mises_max_MPa": 300.0,
                "von_mises_p99_MPa": 250.0,
                "von_mises_mean_MPa": 90.0,
                "reference": 0.0,
            }
        },
        "warnings": ["the optical density is above 1.5 in 3 % of the pixels"],
        "seconds": {"read": 0.2},
    }
    return results.RunSummary.model_validate({**parts, **changed})


@pytest.fixture
def tree() -> xr.DataTree:
    return results.results_tree(nodes(), summary=summary(), recipe_toml="version = 1\n", seed=7)


# --- the tree


def test_a_tree_comes_back_as_it_was_saved(tree: xr.DataTree, tmp_path: Path) -> None:
    results.save_tree(tree, tmp_path / "results.h5")
    back = results.open_results(tmp_path)
    assert {node.path for node in back.subtree} == {node.path for node in tree.subtree}
    for node in tree.subtree:
        for name, variable in node.data_vars.items():
            read = back[node.path][name]
            if variable.dtype.kind == "O":
                assert read.values.tolist() == [["α", "β"], ["γ", ""]]
                continue
            assert read.dtype.kind == variable.dtype.kind, name
            xr.testing.assert_identical(
                read.variable.drop_encoding(), variable.variable.drop_encoding()
            )
            assert set(read.coords) == set(variable.coords)
    assert back["composition/mask"].dtype == bool
    assert back["composition"].attrs["window"] == [510.0, 515.5]
    assert json.loads(back["composition"].attrs["given"]) is None
    assert json.loads(back["clustered"].attrs["nonnegative"]) is True
    assert back.attrs["seed"] == 7
    assert results.summary_of(back) == summary()
    assert not back.data_vars
    assert json.loads(back.attrs["versions"])["numpy"] == np.__version__


def test_h5py_alone_finds_a_map_and_its_axes(tree: xr.DataTree, tmp_path: Path) -> None:
    results.save_tree(tree, tmp_path / "results.h5")
    with h5py.File(tmp_path / "results.h5") as file:
        assert file.attrs["NX_class"] == "NXroot"
        group = file[file.attrs["default"]]
        assert group.attrs["NX_class"] == "NXdata"
        shown = group[group.attrs["signal"]]
        axes = [group[name] for name in group.attrs["axes"]]
        assert shown.shape == tuple(axis.size for axis in axes) == (8, 12)
        np.testing.assert_array_equal(axes[1][:], tree["composition/x"])
        np.testing.assert_array_equal(shown[:], tree["composition/composition"])
        clusters = file["clustered/clusters"]  # a child has its own copy of the axes
        assert [clusters[name].size for name in clusters.attrs["axes"]] == [4, 6]
        assert clusters["label"][:].dtype.kind == "i"
        scatter = file["stress/free"]
        assert [scatter[name].shape for name in scatter.attrs["axes"]] == [(5,), (5,)]
        assert file["clustered"].attrs["axes"].tolist() == [".", "y", "x"]


def test_standards_of_the_match_do_not_collide_with_the_clusters(tree: xr.DataTree) -> None:
    assert tree["clustered/match/weight"].dims == ("cluster", "match_standard")
    assert tree["clustered/match/match_standard"].values.tolist() == ["alpha", "epsilon", "delta"]


def test_a_child_on_another_grid_is_refused() -> None:
    wrong = nodes()
    wrong["/clustered/clusters"] = wrong["/clustered/clusters"].assign_coords(x=X.values + 1)
    with pytest.raises(ResultsError, match="does not share its parent's axes"):
        results.results_tree(wrong, summary=summary(), recipe_toml="")


def test_big_maps_are_compressed_and_long_attributes_kept(tmp_path: Path) -> None:
    big = xr.Dataset(
        {"composition": (("y", "x"), np.zeros((300, 300)))},
        attrs={"text": "µ" * 200_000, "many": list(range(5000))},
    )
    tree = results.results_tree({"/composition": big}, summary=summary(), recipe_toml="#" * 10**5)
    results.save_tree(tree, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["composition/composition"].compression == "gzip"
    back = results.open_results(tmp_path / "a.h5")
    assert back["composition"].attrs["text"] == "µ" * 200_000
    assert json.loads(back["composition"].attrs["many"])[-1] == 4999
    assert back.attrs["recipe"] == "#" * 10**5


def test_results_are_in_memory_and_the_file_is_closed(tmp_path: Path) -> None:
    """Also a variable that has the name of its node."""
    density = xr.Dataset({"optical_density": (("y", "x"), np.ones((2, 3)))})
    tree = results.results_tree(
        {"/optical_density": density}, summary=summary(), recipe_toml="version = 1"
    )
    results.save_tree(tree, tmp_path / "a.h5")
    back = results.open_results(tmp_path / "a.h5")
    (tmp_path / "a.h5").unlink()
    np.testing.assert_array_equal(back["/optical_density/optical_density"], np.ones((2, 3)))


def test_saving_leaves_the_tree_alone(tree: xr.DataTree, tmp_path: Path) -> None:
    before = {node.path: dict(node.attrs) for node in tree.subtree}
    results.save_tree(tree, tmp_path / "a.h5")
    assert {node.path: dict(node.attrs) for node in tree.subtree} == before
    assert tree["composition"].attrs["given"] is None


def test_what_is_not_results_is_refused_in_one_sentence(tmp_path: Path, tree: xr.DataTree) -> None:
    with pytest.raises(ResultsError, match="no results here"):
        results.open_results(tmp_path)
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(ResultsError, match="not a readable results file"):
        results.open_results(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.ones(3)
    with pytest.raises(ResultsError, match="not written by chemoscape"):
        results.open_results(tmp_path / "other.h5")
    tree.attrs.update(layout=99, program_version="9.9")
    results.save_tree(tree, tmp_path / "newer.h5")
    with pytest.raises(ResultsError, match=r"newer chemoscape \(9.9\)"):
        results.open_results(tmp_path / "newer.h5")


def test_truncated_results_are_refused(tmp_path: Path, tree: xr.DataTree) -> None:
    results.save_tree(tree, tmp_path / "whole.h5")
    whole = (tmp_path / "whole.h5").read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        (tmp_path / "cut.h5").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ResultsError):
            results.open_results(tmp_path / "cut.h5")


def test_spectra_table(tree: xr.DataTree, tmp_path: Path) -> None:
    results.write_spectra_csv(tree, tmp_path / "spectra.csv")
    with open(tmp_path / "spectra.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "energy_eV",
        "mean_optical_density",
        "i0",
        "standard alpha",
        "standard epsilon",
        "cluster 0",
        "cluster 1",
    ]
    assert rows[0]["mean_optical_density"] == ""  # NaN
    np.testing.assert_allclose([float(row["energy_eV"]) for row in rows], ENERGY)
    np.testing.assert_allclose(
        [float(row["cluster 1"]) for row in rows], tree["clustered/clusters/spectrum"][1], rtol=1e-7
    )


# --- the summary


def test_summary_has_exactly_the_published_keys() -> None:
    data = json.loads(summary().to_json())
    assert list(data) == [
        *("schema_version", "input", "units", "noise", "pixels", "drift", "energy_shift_eV"),
        *("calibration", "standards", "condition_number", "rank", "routes", "composition"),
        *("phases", "groups", "regions", "few_energies", "damage"),
        *("stress", "particles", "electrochemistry", "series", "warnings", "seconds"),
    ]
    assert list(data["composition"]) == [
        *("variable", "mean_pixel", "mean_mass_weighted", "sd", "p05", "p95"),
    ]
    assert list(data["stress"]["free"]) == [
        *("von_mises_max_MPa", "von_mises_p99_MPa", "von_mises_mean_MPa", "reference"),
    ]
    assert "truth" in json.loads(summary(truth={"composition": 0.35}).to_json())


def test_summary_is_null_never_nan() -> None:
    made = summary(
        condition_number=math.inf,
        energy_shift_eV={"value": np.float32("nan"), "sd": np.float64(0.1)},
        truth={"rms": float("nan"), "counts": np.int64(3)},
    )
    text = made.to_json()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name)) == json.loads(text)
    assert made.condition_number is None
    assert made.energy_shift_eV == results.Measured(value=float("nan"), sd=0.1)
    assert made.truth == {"rms": None, "counts": 3}
    assert results.RunSummary.model_validate_json(text) == made
    changed = made.model_copy(update={"truth": {"rms": float("nan"), "x": np.float64(0.5)}})
    assert json.loads(changed.to_json())["truth"] == {"rms": None, "x": 0.5}


def test_summary_refuses_keys_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        summary(compositon=None)
    with pytest.raises(ValueError, match="Extra inputs"):
        summary(drift={"max_px": 1.0, "rms_px": 1.0, "mean_px": 0.0})


def test_published_schema_is_the_models_own() -> None:
    published = json.loads((REPOSITORY / "docs" / "summary.schema.json").read_text("utf-8"))
    assert published == results.summary_schema()


# --- the folder


def stopped_by(error: BaseException, target: Path, *, overwrite: bool = False) -> None:
    """Start writing results, and be stopped half-way."""
    with results.results_folder(target, overwrite=overwrite) as staging:
        (staging / "half").touch()
        raise error


def written(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*")}


def test_a_whole_run_is_written(tree: xr.DataTree, tmp_path: Path) -> None:
    class Mesh:
        def save(self, path: Path) -> None:
            path.write_text("<VTKFile/>")

    folder = tmp_path / "a" / "b" / "wire-results"
    results.write_results(
        folder,
        tree,
        summary(),
        "version = 1\n",
        report_html="<p>µ</p>",
        figures={"composition": b"PNG"},
        meshes={"stress-free": Mesh()},
    )
    assert written(folder) == {
        *("results.h5", "summary.json", "recipe.toml", "spectra.csv", "report.html"),
        *("figures", "figures/composition.png", "stress-free.vtu"),
    }
    assert written(folder.parent) >= {"wire-results"}
    assert not [name for name in written(tmp_path) if name.startswith(".") or "/." in name]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert folder.stat().st_mode == plain.stat().st_mode  # readable by whom a new folder is
    data = json.loads((folder / "summary.json").read_text("utf-8"))
    assert data["composition"]["mean_pixel"] == 0.3


def test_old_results_are_replaced_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "r"
    for text in ("old", "new"):
        with results.results_folder(target, overwrite=True) as staging:
            (staging / "summary.json").write_text(text)
            (staging / f"stress-{text}.vtu").touch()
    assert written(target) == {"summary.json", "stress-new.vtu"}
    with (
        pytest.raises(ResultsError, match="exists already; choose another"),
        results.results_folder(target),
    ):
        pytest.fail("the block must not start")
    assert written(tmp_path) == {"r", "r/summary.json", "r/stress-new.vtu"}


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, ValueError, MemoryError])
def test_a_failure_leaves_nothing_and_the_old_results(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    target = tmp_path / "deep" / "er" / "r"
    with pytest.raises(failure):
        stopped_by(failure(), target)
    assert written(tmp_path) == set()

    with results.results_folder(target) as staging:
        (staging / "summary.json").touch()
    with pytest.raises(failure):
        stopped_by(failure(), target, overwrite=True)
    assert written(target.parent) == {"r", "r/summary.json"}


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_an_emptied_folder_gives_the_old_one_back(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    target = tmp_path / "demo"

    def fail() -> None:
        with results.emptied_folder(target, overwrite=True) as folder:
            assert folder == target
            assert not any(folder.iterdir())
            (folder / "half").touch()
            raise failure

    with pytest.raises(failure):
        fail()
    assert written(tmp_path) == set()
    with results.emptied_folder(target) as folder:
        (folder / "summary.json").write_text("old")
    with pytest.raises(failure):
        fail()
    assert (target / "summary.json").read_text() == "old"
    with results.emptied_folder(target, overwrite=True) as folder:
        (folder / "new").touch()
    assert written(tmp_path) == {"demo", "demo/new"}


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    as_hdf5_says_it = OSError("Unable to write (errno = 28, 'No space left on device')")
    for error in (full, as_hdf5_says_it):
        with pytest.raises(ResultsError, match=r"cannot be written \(no space left"):
            stopped_by(error, tmp_path / "r")
    assert written(tmp_path) == set()
    with pytest.raises(FileNotFoundError):
        stopped_by(FileNotFoundError("not the disk's fault"), tmp_path / "r")


def test_space_is_asked_for_before_hdf5_writes(
    tree: xr.DataTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, n_bytes: int) -> None:
        assert n_bytes > sum(node.dataset.nbytes for node in tree.subtree)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(ResultsError, match="no space left"):
        results.write_results(tmp_path / "r", tree, summary(), "")
    assert written(tmp_path) == set()


@pytest.mark.parametrize("failing", [1, 2])
def test_old_results_survive_a_failing_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    target = tmp_path / "r"
    target.mkdir()
    (target / "summary.json").write_text("old")
    rename, calls = Path.rename, []

    def interrupted(self: Path, to: Path) -> Path:
        calls.append(to)
        if len(calls) == failing:
            raise KeyboardInterrupt
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with (
        pytest.raises(KeyboardInterrupt),
        results.results_folder(target, overwrite=True) as staging,
    ):
        (staging / "summary.json").write_text("new")
    assert written(tmp_path) == {"r", "r/summary.json"}
    assert (target / "summary.json").read_text() == "old"


def test_overwrite_never_deletes_what_is_not_results(tmp_path: Path) -> None:
    (tmp_path / "measurements").mkdir()
    (tmp_path / "measurements" / "stack.hdf5").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "measurements")
    for name in ("measurements", "file", "link"):
        with (
            pytest.raises(ResultsError, match="not a folder of results"),
            results.results_folder(tmp_path / name, overwrite=True),
        ):
            pytest.fail("the block must not start")
    (tmp_path / "empty").mkdir()
    with results.results_folder(tmp_path / "empty", overwrite=True) as staging:
        (staging / "summary.json").touch()
    assert (tmp_path / "measurements" / "stack.hdf5").exists()


def test_two_runs_into_one_folder_do_not_mix(tmp_path: Path) -> None:
    def slow_run() -> None:
        with results.results_folder(tmp_path / "r") as slow:
            (slow / "summary.json").write_text("slow")
            with results.results_folder(tmp_path / "r") as fast:
                (fast / "summary.json").write_text("fast")

    with pytest.raises(ResultsError, match="exists already"):
        slow_run()
    assert (tmp_path / "r" / "summary.json").read_text() == "fast"
    assert written(tmp_path) == {"r", "r/summary.json"}


@pytest.mark.parametrize("make", [results.results_folder, results.emptied_folder])
def test_overwrite_keeps_what_somebody_put_beside_the_results(make: Any, tmp_path: Path) -> None:
    """A measurement or a note in the folder of results is never deleted."""
    target = tmp_path / "r"
    target.mkdir()
    for name in ("summary.json", "figures", "notes.txt", ".DS_Store"):
        (target / name).touch()
    if make is results.emptied_folder:
        (target / "figures").unlink()
    with (
        pytest.raises(ResultsError, match=r"holds 'notes\.txt', which this command did not write"),
        make(target, overwrite=True),
    ):
        pytest.fail("the block must not start")
    (target / "notes.txt").unlink()
    with make(target, overwrite=True) as folder:
        (folder / "summary.json").touch()
    assert written(tmp_path) == {"r", "r/summary.json"}


def test_a_run_does_not_replace_a_demo(tmp_path: Path) -> None:
    """Its stack may be the input."""
    with results.emptied_folder(tmp_path / "demo") as folder:
        (folder / "summary.json").touch()
        (folder / "clean-stack.h5").touch()
    with pytest.raises(ResultsError, match=r"clean-stack\.h5"):
        results.refuse_existing(tmp_path / "demo", overwrite=True)


@pytest.mark.parametrize("name", ["file/r", "x" * 300, "a\0b", "/proc/r"])
def test_places_where_no_folder_can_be(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    if name.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    with (
        pytest.raises(ResultsError, match=r"can be made here|cannot be written"),
        results.results_folder(tmp_path / name),
    ):
        pytest.fail("the block must not start")
    assert written(tmp_path) == {"file"}


def test_the_longest_name(tmp_path: Path) -> None:
    with results.results_folder(tmp_path / ("x" * 255)) as folder:
        (folder / "summary.json").touch()
    assert len(written(tmp_path)) == 2


def test_what_is_no_path_of_results() -> None:
    with pytest.raises(ResultsError, match="expected the path of results, got NoneType"):
        results.open_results(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("new_ones_there", [False, True])
def test_a_run_killed_while_it_replaced_results_leaves_one_set(tmp_path, new_ones_there):
    """Between two renames the old results lie aside, hidden; they come back."""
    folder, aside = tmp_path / "wire-results", tmp_path / ".4711-0123abcd.old"
    (tmp_path / ".4711-0123abcd.partial").mkdir()
    for one in [aside, folder][: 1 + new_ones_there]:
        one.mkdir()
        (one / "summary.json").write_text(one.name)
    remove_left_by(4711, folder)
    assert [one.name for one in tmp_path.iterdir()] == ["wire-results"]
    assert (folder / "summary.json").read_text() == (folder if new_ones_there else aside).name
