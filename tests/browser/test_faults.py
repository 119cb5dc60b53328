"""What a page says, and what is left, when something is killed: the run, the server, the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import chemoscape as cs

pytestmark = [
    pytest.mark.xdist_group("app faults"),
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc"),
]

#: A run on a busy machine, s.
LONG_S = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small particle."""
    folder = tmp_path_factory.mktemp("faults")
    truth = cs.simulate.core_shell(shape=(24, 32), pixel_um=0.1, poisson=True)
    cs.save_stack(truth.stack, folder / "wire.h5")
    return folder


class At:
    """Someone at a page of the app."""

    def __init__(self, page, running):
        self.page, self.running = page, running
        page.goto(running.address)
        page.wait_for_url(lambda url: "/enter" not in url)
        self.wait("!!document.querySelector('[data-test=stack-canvas]')")

    def wait(self, condition):
        """Wait until it holds; asked from outside, as the page forbids `eval`."""
        end = time.monotonic() + LONG_S
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"never: {condition}; {self.said()}"
            self.page.wait_for_timeout(50)

    def said(self):
        return self.page.inner_text("body")

    def ask(self, name, **asked):
        return self.page.evaluate(
            "([name, body]) => import('/static/js/api.js').then((api) => api.ask(name, body))",
            [name, asked],
        )

    def start(self, until="explore"):
        """Press Run; the number of its process."""
        view = {"explore": "explore", "maps": "maps"}[until]
        self.page.locator(f'[data-test="tab-{view}"]').click()
        self.page.locator(f'[data-test="{view}-run"]').click()
        end = time.monotonic() + LONG_S
        while not (found := runs_of(self.running.process.pid)):
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)
        return found[0]

    def ended(self, state):
        """Wait until the run has, for the program first: the page may still show the one before."""
        end = time.monotonic() + LONG_S
        while self.ask("run")["state"] != state or runs_of(self.running.process.pid):
            assert time.monotonic() < end, self.said()
            self.page.wait_for_timeout(50)
        self.wait(f"document.body.dataset.run === {json.dumps(state)}")


def runs_of(parent):
    """Numbers of the children of a process."""
    found = []
    for one in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, above = one.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has gone
            continue
        if int(above) == parent and state != "Z":
            found.append(int(one.parent.name))
    return found


@pytest.fixture
def at(start_app, folder, page, tmp_path, monkeypatch):
    """A page of an app with a temporary folder of its own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return At(page, start_app(folder / "wire.h5"))


def kill_process(pid):
    os.kill(pid, signal.SIGKILL)


def kill_group(pid):
    os.killpg(pid, signal.SIGKILL)


def test_a_killed_run_is_said_and_the_next_one_works(at):
    for kill in (kill_process, kill_group):
        kill(at.start())
        at.ended("failed")
        at.wait("document.body.innerText.includes('was killed (signal 9)')")
    pid = at.start()
    os.kill(pid, signal.SIGSTOP)  # so that it is at work when it is cancelled
    at.ask("run/cancel")
    os.kill(pid, signal.SIGCONT)
    at.ended("cancelled")
    at.start()
    at.ended("done")
    assert "/clustered" in at.ask("results")["nodes"]


def test_the_end_of_the_app_in_the_middle_of_a_run(at, tmp_path):
    pid = at.start()
    assert list(tmp_path.glob("chemoscape-app-*"))
    assert at.running.end() == 0
    assert not Path(f"/proc/{pid}").exists()
    assert not list(tmp_path.iterdir())
    at.wait("document.body.innerText.includes('does not answer')")
    at.page.goto("about:blank")  # where nothing is asked any more
    at.page.watched.expect_errors("ERR_|Failed to fetch")


def test_a_killed_server_is_said_and_leaves_nothing_for_long(at, start_app, folder, tmp_path):
    pid = at.start()
    at.running.process.kill()
    at.running.process.wait()
    at.running.end()  # closes what it was heard by
    at.wait("document.body.innerText.includes('does not answer')")
    at.page.goto("about:blank")  # where nothing is asked any more
    at.page.watched.expect_errors("ERR_|Failed to fetch")
    end = time.monotonic() + LONG_S
    while Path(f"/proc/{pid}").exists():  # nobody hears it any more
        assert time.monotonic() < end
        time.sleep(0.05)
    assert start_app(folder).end() == 0  # and takes away what the other has left
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_said(start_app, folder, page, tmp_path, monkeypatch):
    """Files may not grow beyond some kilobytes: what a full disk does to those who write."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    at = At(page, start_app(folder / "wire.h5"))
    limit = "import resource, sys; pid = int(sys.argv[1]); most = resource.RLIMIT_FSIZE\n"
    limit += "resource.prlimit(pid, most, (20_000, resource.prlimit(pid, most)[1]))"
    pid = at.running.process.pid
    subprocess.run([sys.executable, "-c", limit, str(pid)], check=True)
    at.start()
    at.ended("failed")
    assert "Traceback" not in at.said()
    assert at.ask("facts")["state"] == "ready"
