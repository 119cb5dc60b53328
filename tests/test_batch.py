"""Many stacks by one recipe: rows, resuming, refusals, Ctrl-C, names, the page."""

from __future__ import annotations

import csv
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import chemoscape as cs
from chemoscape import batch as batches
from chemoscape.batch.naming import folder_names
from chemoscape.cli import main
from chemoscape.errors import ChemoscapeWarning, RecipeError, ResultsError
from chemoscape.formats.finding import find_stacks, is_several
from chemoscape.results.lock import LOCK_FILE, only_one

#: One worker, so that the stacks and the first batch are made once.
pytestmark = pytest.mark.xdist_group("batch")

RECIPE = """
[drift]
enabled = false
[clusters]
enabled = false
[damage]
enabled = false
[report]
enabled = false
"""


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """Three small stacks in three formats; wire_10 must come after wire_9."""
    folder = tmp_path_factory.mktemp("day1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        for name, seed in (("wire_9.h5", 1), ("wire_10.nxs", 2), ("wire_11.ncb", 3)):
            truth = cs.simulate.core_shell(shape=(24, 24), pixel_um=0.1, poisson=True, seed=seed)
            cs.save_stack(truth.stack[::8], folder / name)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch, stacks):
    """A working folder with the stacks in day1 and a recipe."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(stacks, tmp_path / "day1")
    (tmp_path / "r.toml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def first(stacks, tmp_path_factory):
    """A batch of the three."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "r.toml").write_text(RECIPE, encoding="utf-8")
    shutil.copytree(stacks, folder / "day1")
    cs.run_batch(folder / "r.toml", [folder / "day1"], output=folder / "all")
    return folder


@pytest.fixture
def done(first, tmp_path, monkeypatch):
    """That batch, to be gone on with: the same files elsewhere, so that only contents tell."""
    shutil.copytree(first, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def rows_of(folder):
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def statuses(folder):
    return {row["name"]: row["status"] for row in rows_of(folder)}


def run(*arguments):
    return main(["run", "r.toml", *map(str, arguments)])


def test_four_stacks_and_one_of_them_broken(here, capsys):
    (here / "day1" / "wire_1.h5").write_bytes(b"not HDF5")
    (here / "day1" / "notes.h5.txt").write_text("not asked for")
    before = {path: path.read_bytes() for path in (here / "day1").iterdir()}
    assert run("--input", "day1/*.h5", "day1/*.n*", "day1/*.ncb") == 2
    out, err = capsys.readouterr()
    rows = rows_of(here / "r-results")
    assert [row["name"] for row in rows] == ["wire_1", "wire_9", "wire_10", "wire_11"]
    assert [row["status"] for row in rows] == ["failed", "done", "done", "done"]
    assert "is no stack in a format known here" in rows[0]["message"]
    assert "1 of 4 stacks failed" in err
    assert "wire_1: " in err
    assert [line.split()[0] for line in out.splitlines()] == ["wire_9", "wire_10", "wire_11"]
    assert set(rows[0].values()) == {
        "wire_1",
        str(before and here / "day1/wire_1.h5"),
        "failed",
    } | {
        rows[0]["message"],
        "",
    }
    for row in rows[1:]:  # the numbers of each run, not of its neighbour
        summary = json.loads((here / "r-results" / row["name"] / "summary.json").read_text())
        assert summary["input"]["path"] == row["file"]
        comp, shift = summary["composition"], summary["energy_shift_eV"]
        for column, value in {
            "n_energies": summary["input"]["shape"][0],
            "nx": 24,
            "energy_min_eV": 508.0,
            "energy_shift_eV": shift["value"],
            "energy_shift_sd_eV": shift["sd"],
            "composition_mean_pixel": comp["mean_pixel"],
            "composition_sd": comp["sd"],
            "composition_p95": comp["p95"],
            "reduced_chi2 direct": summary["routes"]["direct"]["reduced_chi2"],
            "mass_fraction delta-Li0.9V2O5": summary["phases"]["delta-Li0.9V2O5"]["mass_fraction"],
            "n_warnings": len(summary["warnings"]),
        }.items():
            assert float(row[column]) == pytest.approx(value, rel=1e-9), column
        assert row["drift_rms_px"] == ""
    text = (here / "r-results" / "summary.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert [one["status"] for one in json.loads(text)["stacks"]] == [r["status"] for r in rows]
    assert {path: path.read_bytes() for path in (here / "day1").iterdir()} == before
    assert not list(here.rglob(".*"))  # no lock, nothing half done


def test_started_again_keeps_everything(done, capsys):
    times = {path: path.stat().st_mtime_ns for path in (done / "all").rglob("*/*")}
    assert run("--input", "day1", "--output", "all") == 0
    assert "wire_9  kept" in capsys.readouterr().out
    assert set(statuses(done / "all").values()) == {"kept"}
    assert {path: path.stat().st_mtime_ns for path in (done / "all").rglob("*/*")} == times


def test_what_changed_is_done_again(done):
    cs.run_batch("r.toml", ["day1"], output="all")  # the table knows now where the stacks lie
    changed = done / "day1" / "wire_9.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        cs.save_stack(cs.open_stack(changed)[:-1], changed)
    os.utime(done / "day1" / "wire_10.nxs")  # another time, the same contents
    (done / "all" / "wire_11" / "results.h5").unlink()
    assert run("--input", "day1", "--output", "all") == 0
    rows = {row["name"]: row for row in rows_of(done / "all")}
    assert rows["wire_9"]["message"] == "done again: the stack has changed"
    assert rows["wire_10"]["status"] == "kept"
    assert rows["wire_11"]["message"] == "done again: its results were incomplete"
    assert int(rows["wire_9"]["n_energies"]) == int(rows["wire_10"]["n_energies"]) - 1


def test_results_of_another_version_are_done_again(done, monkeypatch):
    monkeypatch.setattr("chemoscape.batch.earlier.versions", lambda: {"chemoscape": "99"})
    batch = cs.run_batch("r.toml", ["day1/*.h5"], output="all")
    assert "made by chemoscape" in batch.rows[0].message


def test_standards_that_changed_are_noticed(here):
    """A library is a folder, of which the recipe has only the name."""
    shipped = Path(cs.__file__).parent / "standards" / "data" / "lixv2o5-model"
    library = shutil.copytree(shipped, here / "mine")
    recipe = RECIPE + '[standards]\nlibrary = "mine"\n'
    (here / "r.toml").write_text(recipe, encoding="utf-8")
    said = [
        cs.run_batch("r.toml", ["day1/*.h5"], output="all").rows[0].status,
        cs.run_batch("r.toml", ["day1/*.h5"], output="all").rows[0].status,
    ]
    later = (here / "all" / "wire_9" / "summary.json").stat().st_mtime + 10
    os.utime(library / "library.toml", (later, later))
    again = cs.run_batch("r.toml", ["day1/*.h5"], output="all").rows[0]
    assert [*said, again.message] == [
        "done",
        "kept",
        "done again: a file that the recipe names has changed",
    ]


def test_another_recipe_is_refused_before_any_work(done, capsys):
    before = {path: path.stat().st_mtime_ns for path in (done / "all").rglob("*")}
    change = ["--set", "composition.min_thickness=0.2"]
    assert run("--input", "day1", "--output", "all", *change) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "made by another recipe (composition.min_thickness was" in said
    assert "--overwrite" in said
    assert {path: path.stat().st_mtime_ns for path in (done / "all").rglob("*")} == before
    assert run("--input", "day1/*.h5", "--output", "all", "--overwrite", *change) == 0
    assert statuses(done / "all") == {"wire_9": "done"}


def test_single_runs_are_collected_into_a_table(here, capsys):
    """As a cluster makes them: one task per stack, then the table without any work."""
    for number, name in enumerate(("wire_9.h5", "wire_10.nxs", "wire_11.ncb"), 1):
        threads = ["--set", "compute.threads=1"]  # of that node, no other recipe
        assert run("--input", f"day1/{name}", "--output", f"all/{number}", *threads) == 0
    times = {path: path.stat().st_mtime_ns for path in (here / "all").rglob("*")}
    capsys.readouterr()
    assert run("--input", "day1", "--output", "all", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert statuses(here / "all") == {"1": "kept", "2": "kept", "3": "kept"}
    times.pop(here / "all", None)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


@pytest.fixture
def stopped(done, monkeypatch):
    """The second of three runs is interrupted, all of them asked for anew."""
    begun = []
    carry_out = batches.workflow.run

    def run_or_stop(recipe, **options):
        begun.append(recipe.input.path)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return carry_out(recipe, **options)

    monkeypatch.setattr(batches.workflow, "run", run_or_stop)
    return done


def test_ctrl_c_leaves_what_is_done_and_a_table(stopped, capsys):
    assert run("--input", "day1", "--output", "new") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert statuses(stopped / "new") == {"wire_9": "done"}
    table = json.loads((stopped / "new" / "summary.json").read_text())
    assert [Path(file).name for file in table["not_done"]] == ["wire_10.nxs", "wire_11.dat"]
    assert "2 not done" in (stopped / "new" / "summary.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in (stopped / "new").iterdir()) == [
        *("summary.csv", "summary.html", "summary.json", "wire_9"),
    ]
    assert run("--input", "day1", "--output", "new") == 0
    assert statuses(stopped / "new") == {"wire_9": "kept", "wire_10": "done", "wire_11": "done"}


def test_a_defect_is_logged_and_the_rest_goes_on(done, capsys, monkeypatch):
    carry_out = batches.workflow.run

    def break_first(recipe, **options):
        if recipe.input.path.endswith("h5"):
            raise ZeroDivisionError("oops")
        return carry_out(recipe, **options)

    monkeypatch.setattr(batches.workflow, "run", break_first)
    assert run("--input", "day1/*.h5", "day1/*.nxs", "--output", "new") == 1
    assert statuses(done / "new") == {"wire_9": "failed", "wire_10": "done"}
    log = re.search(r"with the file (\S+\.log)", capsys.readouterr().err)[1]
    assert "ZeroDivisionError: oops" in Path(log).read_text(encoding="utf-8")


def test_names_that_collide(done):
    """Two stacks of one name, and a third that comes later: nobody's results are replaced."""
    for folder in ("a", "b", "c"):
        (done / folder).mkdir()
        shutil.copy(done / "day1" / "wire_9.h5", done / folder / "s.h5")
        with (done / folder / "s.h5").open("ab") as file:
            file.write(folder.encode())  # HDF5 does not mind
    two = cs.run_batch("r.toml", ["a", "b/s.h5", "b/*.h5"], output="new")
    assert [row.name for row in two.rows] == ["a-s", "b-s"]
    shutil.move(done / "new" / "a-s", done / "new" / "s")
    three = cs.run_batch("r.toml", ["c/*.h5"], output="new")
    assert [(row.name, row.status) for row in three.rows] == [("s-2", "done")]
    every = cs.run_batch("r.toml", ["a", "b", "c"], output="new")
    assert [(row.name, row.status) for row in every.rows] == [
        *(("s", "kept"), ("b-s", "kept"), ("s-2", "kept")),
    ]


def test_names_are_safe():
    paths = [
        Path(text) for text in ("/d/µ 1; rm *.h5", "/d/..h5", "/d/summary.csv.h5", "/d/CON.h5")
    ]
    assert folder_names(paths) == ["µ-1-rm", "stack", "summary.csv-stack", "CON-stack"]
    assert folder_names([Path("/a/S.h5"), Path("/b/s.h5")]) == ["a-S", "b-s"]  # one on macOS


def test_files_of_one_measurement_count_once(tmp_path, data_folder):
    """Headers, images and point spectra of a beamline in one folder."""
    night = shutil.copytree(data_folder / "readers", tmp_path / "night")
    header = night / "ptycho-data-cosmic__stxm-scan.hdr"
    found, _ = find_stacks([header, night / "*.hdr", night / f"{header.stem}*.xim"])
    (one,) = (one for one in found if one.path.stem.startswith(header.stem))
    assert one.path == header
    assert len(one.files) > 1
    image = next(path for path in one.files if path.suffix == ".xim")
    assert is_several([night])  # many headers
    alone = tmp_path / "alone"
    alone.mkdir()
    for file in one.files:
        shutil.copy(file, alone)
    assert not is_several([alone])
    by_image, _ = find_stacks([image, header])
    assert [one.path for one in by_image] == [header]


def test_a_folder_leaves_out_what_is_no_stack(here):
    (here / "day1" / "notes.txt").write_text("dinner at eight")
    damaged = here / "day1" / "wire_8.h5"  # is not left out, or nobody would miss it
    damaged.write_bytes((here / "day1" / "wire_9.h5").read_bytes()[:3000])
    found, left_out = find_stacks([here / "day1"])
    assert [one.path.stem for one in found if one.error] == ["wire_8"]
    assert len(found) == 4
    assert left_out == ["notes.txt: no stack"]


@pytest.mark.parametrize("pattern", ["day9/*.hdr", "day1/*.hdr", "day1/wire_[5-8].h5"])
def test_a_pattern_that_matches_nothing(here, capsys, pattern):
    assert run("--input", "day1/*.h5", pattern) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"chemoscape: --input {pattern}: no file matches this; ")
    assert said.count("\n") == 1
    assert {path.name for path in here.iterdir()} == {"r.toml", "day1"}


def test_no_stack_at_all(here):
    (here / "texts").mkdir()
    (here / "texts" / "a.txt").write_text("a")
    with pytest.raises(RecipeError, match=r"none of the 1 files .* is a stack"):
        find_stacks([here / "texts"])


def test_one_stack_is_an_ordinary_run(here):
    assert not is_several(["day1/wire_9.h5"])
    assert is_several(["day1"])
    strange = shutil.copy(here / "day1" / "wire_9.h5", here / "day1" / "wire[9].h5")
    assert not is_several([strange])  # a name with brackets is a name where there is such a file
    assert run("--input", strange) == 0
    assert (here / "r-results" / "results.h5").is_file()
    with pytest.raises(ResultsError, match=r"'summary.json', which is not of a batch"):
        cs.run_batch("r.toml", ["day1"], output="r-results")


def test_a_wrong_recipe_is_said_once(here, capsys):
    assert run("--input", "day1", "--set", "standards.library=nowhere") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (here / "r-results").exists()


def test_two_batches_at_once(tmp_path):
    with only_one(tmp_path / "all"):
        with (
            pytest.raises(ResultsError, match=f"process {os.getpid()} on .* is at work"),
            only_one(tmp_path / "all"),
        ):
            pass
        assert (tmp_path / "all" / LOCK_FILE).is_file()
    assert not (tmp_path / "all").exists()  # nothing was done in it


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be asked for there")
def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    lock = tmp_path / LOCK_FILE
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    dead = {"pid": int(gone.stdout), "host": platform.node(), "born": ""}
    lock.write_text(json.dumps(dead))
    with only_one(tmp_path):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    lock.write_text(json.dumps({**dead, "pid": os.getpid(), "born": "1"}))  # its number used again
    if Path("/proc/self/stat").exists():
        with only_one(tmp_path):
            pass
    lock.write_text(json.dumps({**dead, "host": "another"}))
    with pytest.raises(ResultsError, match=f"delete {LOCK_FILE} there"), only_one(tmp_path):
        pass


def test_the_page(done):
    """Escaped, self-contained, every number there, broken stacks listed plainly."""
    bad = done / "day1" / "<b>bad.h5"
    bad.write_bytes(b"not HDF5")
    (done / "all" / "wire_9" / "report.html").write_text("")
    cs.run_batch("r.toml", ["day1/*.h5", "day1/*.nxs"], output="all")
    page = (done / "all" / "summary.html").read_text(encoding="utf-8")
    assert "<b>bad" not in page
    assert "&lt;b&gt;bad" in page
    assert 'href="wire_9/report.html"' in page
    assert 'href="wire_10' not in page
    assert page.count("data:image/png;base64,") == 3  # the figure and two maps
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert "synthetic" in page
    mean = json.loads((done / "all" / "wire_10" / "summary.json").read_text())["composition"]
    assert f'data-key="{mean["mean_pixel"]}"' in page
