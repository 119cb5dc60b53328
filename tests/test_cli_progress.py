"""`run --progress json`: what a program that starts a run reads; and a run that is asked to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

import chemoscape as cs
from chemoscape import simulate
from chemoscape.cli import main

QUICK = "[clusters]\nenabled = false\n[report]\nenabled = false\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder with a small stack and its recipe."""
    monkeypatch.chdir(tmp_path)
    truth = simulate.core_shell(shape=(24, 32), pixel_um=0.1, poisson=True)
    cs.save_stack(truth.stack, tmp_path / "wire.h5")
    (tmp_path / "wire.toml").write_text(f'[input]\npath = "wire.h5"\n{QUICK}')
    return tmp_path


def told(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_every_line_is_json_and_steps_come_in_order(here, capsys):
    assert main(["run", "wire.toml", "--progress", "json"]) == 0
    lines = told(capsys)
    steps = [line["step"] for line in lines if "step" in line and "done" not in line]
    assert steps[:3] == ["read", "standards", "drift"]
    assert steps.index("drift") < steps.index("direct route") < steps.index("composition")
    shares = [line for line in lines if "done" in line]
    assert shares
    assert all(0 <= line["done"] <= line["of"] for line in shares)
    assert {line["step"] for line in shares} <= set(steps)
    assert lines[-1] == {"written": "wire-results"}
    summary = json.loads((here / "wire-results" / "summary.json").read_text())
    assert [line["warning"] for line in lines if "warning" in line] == summary["warnings"]


def test_the_bar_says_no_json(here, capsys):
    assert main(["run", "wire.toml", "--progress", "bar"]) == 0
    assert "written to wire-results" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nowhere.toml"], "no such recipe"),
        (["wire.toml", "--set", "clusters.n_cluster=3"], "n_clusters"),
        (["wire.toml", "--set", "input.path=nowhere.h5"], "nowhere.h5"),
        (["wire.toml", "--input", "none_*.h5"], "none_"),
    ],
)
def test_an_error_is_one_line(here, capsys, arguments, word):
    assert main(["run", *arguments, "--progress", "json"]) == 2
    last = told(capsys)[-1]
    assert word in last["error"]
    assert last["status"] == 2


def test_a_defect_is_one_line(here, capsys, monkeypatch):
    def break_down(*_args, **_options):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("chemoscape.fitting_stages.deconvolve", break_down)
    assert main(["run", "wire.toml", "--progress", "json"]) == 1
    last = told(capsys)[-1]
    assert last["status"] == 1
    assert "oops" in last["error"]
    assert {one.name for one in here.iterdir()} == {"wire.h5", "wire.toml"}


def test_an_interruption_is_one_line(here, capsys, monkeypatch):
    def stop(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("chemoscape.fitting_stages.deconvolve", stop)
    assert main(["run", "wire.toml", "--progress", "json"]) == 130
    assert told(capsys)[-1] == {"error": "interrupted; nothing was written.", "status": 130}


def test_of_several_stacks_the_one_that_fails(here, capsys):
    (here / "bad.h5").write_bytes(b"not HDF5")
    arguments = ["run", "wire.toml", "--input", "bad.h5", "wire.h5", "--output", "both"]
    assert main([*arguments, "--progress", "json"]) == 2
    lines = told(capsys)
    errors = [line["error"] for line in lines if "error" in line]
    assert "bad" in errors[0]
    assert errors[1] == "1 of 2 stacks failed."
    assert lines[-1] == {"written": "both"}


def test_sigterm_in_the_process_itself(here, capsys, monkeypatch):
    """The handler is there during a command only, and a second signal changes nothing."""

    def asked_to_end(*_args, **_options):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal came too late")

    monkeypatch.setattr("chemoscape.fitting_stages.deconvolve", asked_to_end)
    assert main(["run", "wire.toml"]) == 143
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert {one.name for one in here.iterdir()} == {"wire.h5", "wire.toml"}


def test_commands_in_another_thread_leave_signals_alone(here):
    found = []
    thread = threading.Thread(target=lambda: found.append(main(["run", "nowhere.toml"])))
    thread.start()
    thread.join()
    assert found == [2]


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGTERM to catch")
@pytest.mark.parametrize("step", ["drift", "report"])
def test_sigterm_leaves_nothing_behind(here, step):
    """From outside, while it reads and while it writes: the hidden folder goes too."""
    recipe = (here / "wire.toml").read_text().replace(QUICK, "")
    (here / "wire.toml").write_text(recipe)
    run = subprocess.Popen(
        [sys.executable, "-m", "chemoscape", "run", "wire.toml", "--progress", "json"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    for line in run.stderr:
        if json.loads(line).get("step") == step:
            run.send_signal(signal.SIGTERM)
            break
    rest = run.stderr.read().splitlines()
    run.stderr.close()
    assert run.wait() == 143
    assert json.loads(rest[-1])["status"] == 143
    assert {one.name for one in here.iterdir()} == {"wire.h5", "wire.toml"}
