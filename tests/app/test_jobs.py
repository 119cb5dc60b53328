"""Runs as child processes: levels, progress, cancelling, what is left when one is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

import chemoscape as cs
from chemoscape import simulate
from chemoscape.app.draft import Draft, within
from chemoscape.app.jobs import Jobs
from chemoscape.app.until import UNTIL
from chemoscape.cli import main
from chemoscape.demo import demo_recipe
from chemoscape.errors import ChemoscapeError
from chemoscape.recipe import Recipe, make_recipe, refuse_contradictions, starting_recipe, to_toml
from chemoscape.results import open_results

posix = pytest.mark.skipif(os.name == "nt", reason="signals and groups of processes")
#: A stack that is never opened.
NOWHERE = {"input": {"path": "wire.h5"}}
MATERIAL = {
    **{"young_GPa": 43.0, "poisson": 0.3, "eigenstrain": 0.02},
    **{"source": "a test", "status": "illustrative"},
}
RECIPES = {
    "defaults": {},
    "direct": {"deconvolution": {"route": "direct"}},
    "clustered": {"deconvolution": {"route": "clustered"}, "composition": {"from": "clustered"}},
    "both": {"deconvolution": {"route": "both"}, "composition": {"from": "clustered"}},
    "matched": {"standards": {"select": "matched"}},
    "few": {
        "few_energies": {"enabled": True},
        "standards": {"select": ["alpha-Li0.1V2O5", "epsilon-Li0.3V2O5"]},
    },
    "few, no standards": {"few_energies": {"enabled": True}, "standards": {"enabled": False}},
    "few, stress": {
        "few_energies": {"enabled": True},
        "stress": {"enabled": True, "material": MATERIAL},
    },
    "factorisation": {"factorisation": {"enabled": True}},
    "regions": {"deconvolution": {"regions": {"core": {"x": [0, 1], "y": [0, 1]}}}},
    "groups": {"standards": {"groups": {"alpha": ["alpha-V2O5"]}}},
    "anchors": {"calibration": {"anchors": [{"energy": 708.5}]}},
    "stretch": {"calibration": {"stretch": True}},
    "singular values": {
        "deconvolution": {"nonnegative": False, "weights": "uniform", "singular_values": 3}
    },
    "no clusters": {"clusters": {"enabled": False}},
    "no standards": {"standards": {"enabled": False}},
    "no deconvolution": {"deconvolution": {"enabled": False}},
    "stress and particles": {
        "stress": {"enabled": True, "material": MATERIAL},
        "particles": {"enabled": True},
    },
    "literal sum": {"composition": {"normalise": "none"}},
}


@pytest.fixture(scope="session")
def small_stack(tmp_path_factory):
    """A small noisy particle as a file."""
    path = tmp_path_factory.mktemp("stack") / "wire.h5"
    energy = np.arange(508.0, 556.0, 1.2)
    truth = simulate.core_shell(shape=(24, 32), pixel_um=0.1, energy=energy, poisson=True)
    cs.save_stack(truth.stack, path)
    return path


@pytest.fixture
def text(small_stack):
    """A recipe that is quick to run."""
    changes = {"clusters": {"n_clusters": 2}, "report": {"enabled": False}}
    changes["drift"] = {"enabled": False}
    return to_toml(make_recipe({"input": {"path": str(small_stack)}, **changes}))


@pytest.fixture
def jobs(tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    made = Jobs(room)
    yield made
    made.close()


@pytest.mark.parametrize("until", UNTIL)
@pytest.mark.parametrize("name", RECIPES)
def test_every_level_of_every_recipe_can_be_run(name, until):
    recipe = make_recipe({**NOWHERE, **RECIPES[name]})
    refuse_contradictions(recipe)  # the level is not to blame
    refuse_contradictions(reached(recipe, until))


@pytest.mark.parametrize("until", UNTIL)
@pytest.mark.parametrize("data_set", ["clean", "miscalibrated"])
def test_every_level_of_the_demo_can_be_run(data_set, until, tmp_path):
    refuse_contradictions(reached(demo_recipe(tmp_path / "wire.h5", data_set), until))


@pytest.mark.parametrize("until", UNTIL)
def test_every_level_of_a_starting_recipe_can_be_run(small_stack, until):
    target = small_stack.with_name("wire.toml")
    text = starting_recipe(cs.open_stack(small_stack), small_stack, target)
    recipe = make_recipe(tomllib.loads(text), folder=target.parent)
    refuse_contradictions(reached(recipe, until))


def reached(recipe: Recipe, until):
    return make_recipe(tomllib.loads(to_toml(recipe)), dict(UNTIL[until]))


@pytest.mark.parametrize("name", ["both", "few, no standards"])
def test_explore_stops_before_the_standards_and_keeps_the_density_when_asked(
    name, small_stack, jobs
):
    recipe = make_recipe({"input": {"path": str(small_stack)}, **RECIPES[name]})
    if name != "both":
        chosen = cs.open_stack(small_stack).energy.values[[0, 20, -1]].tolist()
        few = recipe.few_energies.model_copy(update={"energies": chosen})
        recipe = recipe.model_copy(update={"few_energies": few})
    kept = name == "both"
    job = jobs.start(to_toml(recipe), "explore", keep_optical_density=kept)
    assert job.wait(60)
    assert (job.state, job.error) == ("done", "")
    tree = open_results(job.folder)
    assert ("optical_density" in tree.children) == kept
    found = {"clustered/components", "few_energies"} & {n.path.strip("/") for n in tree.subtree}
    assert found == {"clustered/components" if name == "both" else "few_energies"}
    assert "composition" not in tree.children


def test_numbers_are_those_of_the_command_line(small_stack, jobs, tmp_path, monkeypatch):
    """The app's run of a draft, and `chemoscape run` of the recipe that it saved."""
    text = f"""[input]
path = "{small_stack.name}"
[clusters]
n_clusters = 3
[standards]
select = ["alpha-Li0.1V2O5", "epsilon-Li0.3V2O5"]
[drift]
enabled = false
[damage]
enabled = false
[report]
enabled = false
"""
    folder = small_stack.parent
    draft = Draft(text, folder / "saved.toml", within(folder))
    draft.edit(0, {"clusters.merge": [[0, 1]]})
    taken = []
    job = jobs.start(to_toml(draft.recipe), "maps", take_up=taken.append)
    assert job.wait(60)
    assert (job.state, taken) == ("done", [job])
    assert job.seconds > 0
    draft.save(1)
    monkeypatch.chdir(folder)
    assert main(["run", "saved.toml", "--output", str(tmp_path / "own")]) == 0
    ours, theirs = open_results(job.folder), open_results(tmp_path / "own")
    assert [node.path for node in ours.subtree] == [node.path for node in theirs.subtree]
    for node in ours.subtree:
        other = theirs[node.path].to_dataset()
        for name, values in node.to_dataset().variables.items():
            np.testing.assert_array_equal(values.values, other[name].values)
    told, known = (
        json.loads((one / "summary.json").read_text()) for one in (job.folder, tmp_path / "own")
    )
    assert job.warnings == told["warnings"]
    for summary in (told, known):
        del summary["seconds"]
    assert told == known


def test_a_wrong_recipe_fails_in_one_sentence(jobs, tmp_path):
    job = jobs.start(to_toml(make_recipe({"input": {"path": str(tmp_path / "no.h5")}})))
    assert job.wait(60)
    assert job.state == "failed"
    assert "no.h5" in job.error
    assert "Traceback" not in job.error
    assert job.told()["error"] == job.error


def test_results_that_cannot_be_taken_up_are_a_failure(text, jobs, monkeypatch):
    def refuse(job):
        raise ChemoscapeError("not these", remedy="try others")

    nothing = [sys.executable, "-c", "pass"]
    monkeypatch.setattr("chemoscape.app.jobs._command", lambda *_: nothing)
    job = jobs.start(text, "explore", take_up=refuse)
    assert job.wait(60)
    assert (job.state, job.error) == ("failed", "not these; try others.")


def at_work(job, step="read"):
    """Wait until a run has begun."""
    while job.state == "running" and job.step == "starting":
        time.sleep(0.01)
    assert job.state == "running"
    return job


def slow(text):
    """The same recipe with much to do."""
    table = tomllib.loads(text)
    table["deconvolution"]["route"] = "both"
    table["report"]["enabled"] = True
    return to_toml(make_recipe(table))


def test_one_at_a_time_and_cancelling_leaves_nothing(text, jobs, tmp_path):
    output = tmp_path / "wire-results"
    job = at_work(jobs.start(slow(text), output=output))
    with pytest.raises(ChemoscapeError, match="a run is at work"):
        jobs.start(text)
    began = time.monotonic()
    jobs.cancel()
    assert time.monotonic() - began < 1  # it asks, and does not wait
    jobs.cancel()
    assert job.wait(60)
    assert (job.state, job.error) == ("cancelled", "")
    assert [one.name for one in tmp_path.iterdir()] == ["room"]
    assert jobs.start(text, "explore").state == "running"
    assert not job.desk.exists()


@posix
@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_a_killed_worker_is_told_and_another_starts(text, jobs, tmp_path, kill):
    job = at_work(jobs.start(slow(text), output=tmp_path / "wire-results"))
    kill(job.pid, signal.SIGKILL)
    assert job.wait(60)
    assert job.state == "failed"
    assert job.error.startswith("the run was killed (signal 9): out of memory, or by hand;")
    assert [one.name for one in tmp_path.iterdir()] == ["room"]  # the lock is gone too
    assert jobs.start(text, "explore").state == "running"


@posix
def test_what_is_deaf_to_asking_is_killed(text, jobs, tmp_path, monkeypatch):
    """A child that ignores SIGTERM, with a grandchild that holds its stderr."""
    script = tmp_path / "deaf.py"
    script.write_text(
        "import json, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, __file__]) if len(sys.argv) > 1 else None\n"
        "print('not JSON', file=sys.stderr)\n"
        "print(json.dumps({'step': 'drift', 'done': 3, 'of': 12}), file=sys.stderr, flush=True)\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(
        "chemoscape.app.jobs._command", lambda *_: [sys.executable, str(script), "parent"]
    )
    monkeypatch.setattr("chemoscape.app.job.GRACE_S", 0.3)
    job = at_work(jobs.start(text))
    assert (job.step, job.done, job.of) == ("drift", 3, 12)
    assert list(job.messages)[:1] == ["not JSON"]
    jobs.cancel()
    assert job.wait(60)
    assert job.state == "cancelled"
    assert job._child.stderr.closed  # the grandchild does not hold it any more


@posix
@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("raise SystemExit(7)", "status 7"),
        ("import sys; print('out of luck', file=sys.stderr); sys.exit(3)", "out of luck"),
        ("import sys; sys.stderr.write('x' * 300_000); sys.exit(3)", "status 3"),
        ("import sys; sys.stderr.write('[1]\\n' + '[' * 60_000); sys.exit(3)", "status 3"),
        ('import sys; sys.stderr.write(\'{"step": 1, "done": "a"}\\n\'); sys.exit(3)', "3"),
        ("import os; os.write(2, b'\\xff\\xfe\\n'); os.abort()", "signal 6"),
    ],
)
def test_whatever_a_child_says(text, jobs, monkeypatch, script, word):
    monkeypatch.setattr("chemoscape.app.jobs._command", lambda *_: [sys.executable, "-c", script])
    job = jobs.start(text)
    assert job.wait(60)
    assert job.state == "failed"
    assert word in job.error


def test_a_run_that_cannot_be_started(text, jobs, monkeypatch):
    monkeypatch.setattr("chemoscape.app.jobs._command", lambda *_: ["/no/such/python"])
    with pytest.raises(ChemoscapeError, match="cannot be started"):
        jobs.start(text)
    assert jobs.current is None


def test_the_end_of_the_server_ends_the_run(text):
    jobs = Jobs()
    room = jobs.room
    job = at_work(jobs.start(slow(text)))
    jobs.close()
    assert job.state == "cancelled"
    assert not room.exists()
    with pytest.raises(ChemoscapeError, match="being closed"):
        jobs.start(text)


def test_a_caller_that_just_ends_leaves_no_run_behind(text, tmp_path):
    """Nothing closes it but the end of the interpreter."""
    (tmp_path / "r.toml").write_text(slow(text))
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom chemoscape.app.jobs import Jobs\n"
        "jobs = Jobs()\njob = jobs.start(Path('r.toml').read_text())\n"
        "while job.step == 'starting': time.sleep(0.01)\n"
        "print(job.pid, jobs.room)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    pid, room = done.stdout.split()
    assert not Path(room).exists()
    if os.name != "nt":
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_the_folder_it_starts_in_is_no_source_of_modules(text, jobs, monkeypatch):
    """A file named like a module beside the data must not be run."""
    kept = jobs._new_desk

    def with_a_trap():
        desk = kept()
        (desk / "numpy.py").write_text("raise SystemExit('trapped')")
        return desk

    monkeypatch.setattr(jobs, "_new_desk", with_a_trap)
    job = jobs.start(text, "explore")
    assert job.wait(60)
    assert (job.state, job.error) == ("done", "")


def test_results_stay_until_the_next_are_done(text, jobs, monkeypatch):
    def command(recipe, folder, *_):
        script = f"import os; os.mkdir({str(folder)!r})" if text_is_right else "raise SystemExit(2)"
        return [sys.executable, "-c", script]

    def ended():
        job = jobs.start(text)
        assert job.wait(60)
        return job

    monkeypatch.setattr("chemoscape.app.jobs._command", command)
    text_is_right = True
    first = ended()
    text_is_right = False
    broken = ended()
    text_is_right = True
    second = ended()
    assert (first.state, broken.state, second.state) == ("done", "failed", "done")
    assert {one.name for one in jobs.room.iterdir()} == {first.desk.name, second.desk.name}
    third = ended()
    assert {one.name for one in jobs.room.iterdir()} == {second.desk.name, third.desk.name}
