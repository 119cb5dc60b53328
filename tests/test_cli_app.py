"""The command line's `app`: who is told the address and how, how it ends, what it refuses."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from chemoscape import app as the_app
from chemoscape.app import entrance, serve
from chemoscape.cli import main
from chemoscape.errors import ChemoscapeError


def get(address, cookie=None):
    """Status, headers and text of an address."""
    parts = urlsplit(address)
    link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        link.request(
            "GET", f"{parts.path}?{parts.query}", headers={"Cookie": cookie} if cookie else {}
        )
        answer = link.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        link.close()


def enter(address):
    """The page of the app, got as a browser gets it."""
    status, headers, _ = get(address)
    assert status == 200
    cookie = headers["set-cookie"].partition(";")[0]
    return get(address.partition("/enter")[0] + "/", cookie)


def complaint(capsys, *arguments):
    """Run the command, which must fail; return its one sentence."""
    assert main(["app", *map(str, arguments)]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    return said


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty current folder, and no display."""
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def while_served(act, number=signal.SIGINT, **options):
    """Serve in this thread; in another do something with the address, then send a signal."""
    seen = {}

    def other(address):
        try:
            seen["value"] = act(address)
        finally:
            os.kill(os.getpid(), number)

    def announce(text):
        seen["said"] = text
        address = re.search(r"http://\S+", text)[0]
        seen["thread"] = threading.Thread(target=other, args=(address,))
        seen["thread"].start()

    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)  # nohup and some shells ignore signals
    try:
        serve(announce=announce, **options)
        seen["thread"].join()
        assert signal.getsignal(number) == usual
    finally:
        signal.signal(number, before)
    assert "value" in seen, "see the thread's own traceback"
    return seen


def test_the_command_prints_the_address_serves_and_ends_with_ctrl_c(empty):
    command = [sys.executable, "-W", "error", "-m", "chemoscape", "app", "--no-browser"]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as run:
        first = run.stderr.readline()
        address = re.fullmatch(
            r"chemoscape app: (http://127\.0\.0\.1:\d+/enter\?token=\S{43})\n", first
        )
        port = urlsplit(address[1]).port
        assert f"ssh -L {port}:127.0.0.1:{port} {socket.gethostname()}" in run.stderr.readline()
        assert "Ctrl-C" in run.stderr.readline()
        status, headers, text = enter(address[1])
        token = address[1].partition("=")[2]
        listed = Path(f"/proc/{run.pid}/cmdline")
        assert not listed.exists() or token not in listed.read_text()
        run.send_signal(signal.SIGINT)
        out, rest = run.communicate()
    assert run.returncode == 0
    assert out == ""
    assert rest == "chemoscape: the app has ended.\n"
    assert token not in rest + text + str(headers)
    assert status == 200
    assert headers["x-frame-options"] == "DENY"
    assert "<title>" in text


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_end_the_app_and_what_it_started(empty, monkeypatch, name):
    from chemoscape.app.session import Session

    closed = []
    before = Session.close
    monkeypatch.setattr(Session, "close", lambda self: (closed.append(1), before(self)))
    seen = while_served(enter, getattr(signal, name), browser=False)
    assert seen["value"][0] == 200
    assert closed


def test_the_browser_gets_the_token_by_a_private_file_that_is_removed(empty, monkeypatch):
    opened = threading.Event()
    uris = []
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setattr(the_app.webbrowser, "open", lambda uri: (uris.append(uri), opened.set()))

    def as_the_browser(address):
        assert opened.wait(60)
        parts = urlsplit(uris[0])
        assert parts.scheme == "file"
        path = Path(unquote(parts.path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        leads_to = re.search(r'content="0;url=([^"]+)"', path.read_text())[1]
        assert leads_to == address
        status = enter(leads_to)[0]
        return path, path.exists(), status

    path, still_there, status = while_served(as_the_browser)["value"]
    assert status == 200
    assert not still_there
    assert not path.parent.exists()
    assert "token" not in uris[0]


def test_a_file_that_was_not_used_is_removed_at_the_end(empty, monkeypatch):
    uris = []
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setattr(the_app.webbrowser, "open", uris.append)
    while_served(lambda address: None)
    while_served(lambda address: None, browser=False)
    assert len(uris) == 1
    assert not Path(unquote(urlsplit(uris[0]).path)).parent.exists()


@pytest.mark.parametrize(
    ("platform", "variables", "seen"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "a b"}, False),
        ("darwin", {}, True),
        ("darwin", {"SSH_TTY": "/dev/ttys0"}, False),
        ("win32", {}, True),
    ],
)
def test_a_browser_is_opened_where_it_is_seen(empty, monkeypatch, platform, variables, seen):
    monkeypatch.setattr(entrance.sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert entrance.has_display() is seen


def test_a_taken_port_is_told(empty, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"cannot listen on port {port}" in complaint(capsys, "--port", port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_impossible_ports_are_told(empty, capsys, port):
    assert f"there is no port {port}" in complaint(capsys, "--port", port)


def test_a_path_that_is_not_there_is_told(empty, capsys):
    said = complaint(capsys, "no-such.hdr")
    assert said == "chemoscape: no-such.hdr: there is no such file; check the path."


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.0.7", "stxm-pc"])
def test_other_hosts_are_refused_with_the_tunnel(empty, host):
    with pytest.raises(ChemoscapeError, match=r"loopback only.*ssh -L"):
        serve(host=host)


@pytest.mark.parametrize("name", ["starlette", "uvicorn", "plotly"])
def test_a_missing_extra_is_one_sentence(empty, monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, name, None)
    said = complaint(capsys)
    assert f"the app needs {name}" in said
    assert "pip install 'chemoscape[app]'" in said


def test_the_other_loopback(empty):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    seen = while_served(enter, host="::1", browser=False)
    assert seen["value"][0] == 200
    assert ":[::1]:" in seen["said"]
