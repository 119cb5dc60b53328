"""Odd files, hostile questions, and sessions that end at any moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("starlette", reason="the app needs chemoscape[app]")

import chemoscape as cs
from chemoscape.app import session as sessions
from chemoscape.app.answers import recipe as answers
from chemoscape.app.asking import Asked
from chemoscape.app.behind import Behind
from chemoscape.app.draft import Draft, within
from chemoscape.app.jobs import Jobs
from chemoscape.app.opening import open_path
from chemoscape.app.server import make_app
from chemoscape.app.session import Session
from chemoscape.errors import ChemoscapeError, FileFormatError, RecipeError, ResultsError

posix = pytest.mark.skipif(os.name == "nt", reason="links, pipes and names of bytes")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A small stack as a file."""
    path = tmp_path_factory.mktemp("faults") / "wire.h5"
    cs.save_stack(cs.simulate.core_shell(shape=(10, 12)).stack, path)
    return path


@pytest.fixture
def session(tmp_path):
    """One of an empty folder."""
    made = Session(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(session, caller):
    return caller(make_app(session))


@posix
def test_a_folder_with_odd_files_is_listed(tmp_path, client):
    (tmp_path / "wire.h5").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "nothing")
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe.h5")
    names = {"wire.h5"}
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.h5")).touch()  # as older instruments write it
        names.add("caf\udce9.h5")
    except OSError:  # macOS takes UTF-8 only
        pass
    reply = client.post("/api/files", json={})
    assert {row["name"] for row in reply.json()["files"]} == names


@posix
def test_a_pipe_is_not_read(tmp_path):
    """It would never end."""
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "wire.toml").write_text('[input]\npath = "pipe.h5"\n')
    for name in ("pipe.h5", "wire.toml"):
        with pytest.raises(FileFormatError, match="neither a file nor a folder"):
            open_path(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("files", rb'{"folder": "\ud800"}'),
        ("open", rb'{"path": "\ud800"}'),
        ("files", b'{"folder": "' + b"a" * 5000 + b'"}'),
        ("files", b'{"folder": 1e999}'),
        ("files", b'{"folder": NaN}'),
        ("files", b'{"folder": -Infinity}'),
        ("files", b'{"folder": ' + b"9" * 400 + b"}"),
        (rb"\ud800".decode(), b"{}"),
    ],
)
def test_what_no_page_asks(client, name, body):
    reply = client.post(f"/api/{name}", content=body)
    assert reply.status_code in (400, 404), reply.text
    assert "defect" not in reply.text


def test_numbers_of_a_question():
    assert Asked({"n": 2.0**40}).number("n", 0, 1e300) == 2.0**40


@posix
def test_a_pattern_elsewhere_is_refused_before_it_is_searched(tmp_path, monkeypatch):
    draft = Draft('[input]\npath = "wire.h5"\n', tmp_path / "wire.toml", within(tmp_path))
    monkeypatch.setattr("os.scandir", lambda *_: pytest.fail("searched"))
    for pattern in ("/**", "/**/*.h5", "../**/*.h5"):
        with pytest.raises(RecipeError, match="outside of the opened folder"):
            draft.edit(0, {"input.path": pattern})


@posix
def test_a_link_that_leads_elsewhere_by_now_is_not_run(tmp_path):
    home, secret = tmp_path / "home", tmp_path / "secret.h5"
    home.mkdir()
    secret.touch()
    (home / "wire.h5").touch()
    draft = Draft('[input]\npath = "wire.h5"\n', home / "wire.toml", within(home))
    assert draft.at(0).input.path == str(home / "wire.h5")
    (home / "wire.h5").unlink()
    (home / "wire.h5").symlink_to(secret)
    with pytest.raises(RecipeError, match="outside of the opened folder"):
        draft.at(0)


def test_texts_that_would_take_minutes(tmp_path):
    draft = Draft("[clusters]\n", tmp_path / "wire.toml", within(tmp_path))
    began = time.monotonic()
    for text in ("a." * 60_000 + "b = 1", "x = {" + "a." * 60_000 + "b = 1}", "#\udcff"):
        with pytest.raises(RecipeError, match="not valid TOML"):
            draft.replace(0, text)
    with pytest.raises(RecipeError, match="no key"):
        draft.edit(0, {"a." * 60_000 + "b": 1})
    with pytest.raises(RecipeError, match="at most"):
        draft.edit(0, {f"deconvolution.regions.r{k}": {} for k in range(101)})
    assert time.monotonic() - began < 5
    assert draft.replace(0, "# " + "." * 900 + "\n") == 1


def test_no_run_starts_while_another_file_is_opened(session, stack, tmp_path, monkeypatch):
    """Its results would be shown beside another stack."""
    session.open(stack)
    session._behind.submit(int).result(60)
    go_on = threading.Event()
    monkeypatch.setattr(sessions, "open_path", lambda *_: go_on.wait(60) and open_path(stack))
    session.open(stack)
    with pytest.raises(ChemoscapeError, match="still being opened"):
        answers.start(session, Asked({"revision": 0, "until": "explore"}))
    go_on.set()
    session._behind.submit(int).result(60)
    assert session.state == "ready"
    assert session.jobs.current is None


def test_a_defect_of_opening_keeps_what_was_open(session, stack, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    session.open(stack)
    session._behind.submit(int).result(60)
    monkeypatch.setattr(sessions, "open_path", lambda *_: 1 / 0)
    session.open(stack)
    session._behind.submit(int).result(60)
    assert session.state == "ready"
    assert "ZeroDivisionError" in session.error
    assert list(tmp_path.glob("chemoscape-*.log"))


def test_an_optical_density_that_takes_long_is_said(session, monkeypatch):
    monkeypatch.setattr(sessions, "WAIT_S", 0.01)
    go_on = threading.Event()
    session._density = session._behind.submit(go_on.wait, 60)
    with pytest.raises(ResultsError, match="still being made"):
        session.density()
    go_on.set()


def test_a_disk_that_is_full_is_said(tmp_path, monkeypatch):
    jobs = Jobs(tmp_path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(ChemoscapeError, match="No space left"):
        jobs.start("")
    assert jobs.current is None
    jobs.close()


def test_work_behind_is_done_in_order():
    behind, done = Behind("test"), []
    first = behind.submit(done.append, 1)
    second = behind.submit(lambda: 1 / 0)
    third = behind.submit(done.append, 3)
    assert third.result(60) is None
    assert (done, first.result()) == ([1, 3], None)
    with pytest.raises(ZeroDivisionError):
        second.result()
    behind.close()


@pytest.mark.parametrize("end", ["del session", "pass", "os._exit(0)"])
def test_no_workspace_stays(end, tmp_path):
    """Of a session that is closed, forgotten, or killed; and opening something does not hold up."""
    script = (
        "import os, time\nfrom pathlib import Path\nfrom chemoscape.app.session import Session\n"
        "session = Session(Path.cwd())\n"
        f"session._behind.submit(time.sleep, 60)\n{end}\n"
    )
    room = tmp_path / "tmp"
    room.mkdir()
    environment = {**os.environ, "TMPDIR": str(room)}
    command = [sys.executable, "-c", script]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=50)
    left = list(room.iterdir())
    assert len(left) == ("_exit" in end)
    if left and os.name != "nt":
        held = json.loads((left[0] / ".app.lock").read_text())
        assert held["pid"] != os.getpid()
        command[-1] = script.replace(end, "session.close()")
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=50)
        assert not list(room.iterdir())


def test_a_script_that_a_browser_has_is_not_sent_again(client):
    first = client.get("/static/plotly.min.js")
    assert first.status_code == 200
    known = [(b"if-none-match", first.headers["etag"].encode())]
    again = client.send("GET", "/static/plotly.min.js", headers=known)
    assert (again.status_code, again.content) == (304, b"")
