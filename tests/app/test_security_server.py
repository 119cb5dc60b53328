"""The gate before a real server, asked in raw bytes, as an attacker would."""

from __future__ import annotations

import contextlib
import http.client
import logging
import re
import socket
import threading

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from chemoscape.app import _listening, _quiet
from chemoscape.app.security import LARGEST_BODY, Gate

TOKEN = "a-token-that-must-not-be-seen"
SECRET = "outside the static folder"


class Running:
    """A server and what it keeps."""

    def __init__(self, static):
        async def echo(request):
            return PlainTextResponse(str(len(await request.body())))

        async def page(request):
            return PlainTextResponse("the page")

        routes = [
            Route("/", page),
            Route("/api/echo", echo, methods=["POST"]),
            Mount("/static", StaticFiles(directory=static)),
        ]
        self.socket = _listening("127.0.0.1", 0)
        self.port = self.socket.getsockname()[1]
        self.server = uvicorn.Server(_quiet(Gate(Starlette(routes=routes), token=TOKEN)))
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))
        self.thread.start()
        told = self.ask("GET", f"/enter?token={TOKEN}")
        self.cookie = told.headers["set-cookie"].partition(";")[0]

    def ask(self, method, address, headers=None, body=None, chunked=False):
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request(method, address, body, headers or {}, encode_chunked=chunked)
            answer = link.getresponse()
            answer.text = answer.read().decode("latin-1")
        finally:
            link.close()
        return answer

    def inside(self, method, address, headers=None, **more):
        return self.ask(method, address, {"Cookie": self.cookie, **(headers or {})}, **more)

    def raw(self, *lines):
        """Status of a request given line by line; None if the server just closed."""
        text = "\r\n".join([*lines, "", ""]).replace("COOKIE", f"Cookie: {self.cookie}")
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as link:
            try:
                link.sendall(text.encode("latin-1"))
                said = link.recv(65536)
            except ConnectionError:  # closed with some of it unread
                return None
        return int(said.split()[1]) if said else None

    def close(self):
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "secret.toml").write_text(SECRET)
    (folder / "static").mkdir()
    (folder / "static" / "x.js").write_text("export default 1;")
    (folder / "static" / "link.js").symlink_to(folder / "secret.toml")
    made = Running(folder / "static")
    yield made
    made.close()


def host(running):
    return f"Host: 127.0.0.1:{running.port}"


def test_the_page_needs_the_cookie(running):
    assert running.ask("GET", "/").status == 403
    assert running.ask("GET", "/static/x.js").status == 403
    assert running.inside("GET", "/").text == "the page"
    assert running.inside("GET", "/static/x.js").text == "export default 1;"


def test_hosts(running):
    for name, status in (
        ("evil.example", 421),
        (f"evil.example:{running.port}", 421),
        ("a b", 400),
    ):
        assert running.inside("GET", "/", {"Host": name}).status == status
    assert running.raw("GET / HTTP/1.1", "COOKIE", "Connection: close") == 400
    assert running.raw("GET / HTTP/1.0", "COOKIE") == 400
    assert running.raw("GET / HTTP/1.1", host(running), "Host: evil.example", "COOKIE") == 400
    assert running.raw("GET / HTTP/1.1", host(running), "COOKIE", "Connection: close") == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret.toml",
        "/static/%2e%2e/secret.toml",
        "/static/%2e%2e%2fsecret.toml",
        "/static/..%2fsecret.toml",
        "/static/..%5csecret.toml",
        "/static/%252e%252e/secret.toml",
        "/static/x.js/../../secret.toml",
        "/static//secret.toml",
        "/static/%00",
        "/static/link.js",
        "//static/../secret.toml",
        "/../secret.toml",
        "http://127.0.0.1/static/../secret.toml",
        "*",
    ],
)
def test_nothing_outside_the_static_folder_is_served(running, path):
    lines = (
        f"GET {path} HTTP/1.1",
        host(running),
        f"Cookie: {running.cookie}",
        "Connection: close",
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as link:
        link.sendall("\r\n".join([*lines, "", ""]).encode())
        said = b"".join(iter(lambda: link.recv(65536), b"")).decode()
    assert int(said.split()[1]) in (400, 404)
    assert SECRET not in said


def test_tokens(running):
    for query in ("", "?token=", "?token=wrong", f"?token={TOKEN}x", f"?token={TOKEN}%00"):
        said = running.ask("GET", f"/enter{query}")
        assert said.status == 403
        assert said.headers["set-cookie"] is None
    again = running.ask("GET", f"/enter?token={TOKEN}")
    assert again.status == 200
    assert again.headers["set-cookie"].startswith(running.cookie)


def test_cross_site_requests(running):
    json = {"Content-Type": "application/json"}
    post = {"body": b"{}"}
    own = {"Origin": f"http://127.0.0.1:{running.port}", "Sec-Fetch-Site": "same-origin"}
    assert running.inside("POST", "/api/echo", json | own, **post).text == "2"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        own | {"Sec-Fetch-Site": "same-site"},
    ):
        assert running.inside("POST", "/api/echo", json | headers, **post).status == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert running.inside("POST", "/api/echo", {"Content-Type": kind}, **post).status == 415
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    said = running.inside("OPTIONS", "/api/echo", preflight)
    assert said.status == 405
    assert not [name for name in said.headers if name.lower().startswith("access-control")]


def test_methods(running):
    head = running.inside("HEAD", "/")
    assert (head.status, head.text) == (200, "")
    assert running.ask("HEAD", "/").text == ""
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"):
        assert running.inside(method, "/").status == 405
    assert running.raw("BREW / HTTP/1.1", host(running), "COOKIE") == 405


def test_oversized_bodies(running):
    kind = {"Content-Type": "application/json"}
    largest = b" " * LARGEST_BODY
    assert running.inside("POST", "/api/echo", kind, body=largest).text == str(LARGEST_BODY)
    assert running.inside("POST", "/api/echo", kind, body=largest + b" ").status == 413
    chunked = kind | {"Transfer-Encoding": "chunked"}
    pieces = [largest[: LARGEST_BODY // 8]] * 8
    told = running.inside("POST", "/api/echo", chunked, body=iter(pieces), chunked=True)
    assert told.text == str(LARGEST_BODY)
    told = running.inside("POST", "/api/echo", chunked, body=iter([*pieces, b" "]), chunked=True)
    assert told.status == 413
    lines = ("POST /api/echo HTTP/1.1", host(running), "COOKIE", "Content-Type: application/json")
    assert running.raw(*lines, "Content-Length: 99999999999") == 413  # before any of it has come
    assert running.raw(*lines, "Content-Length: -5") == 400


def test_oversized_addresses_and_headers(running):
    assert running.inside("GET", "/?" + "x" * 3000).status == 414
    lines = ("GET / HTTP/1.1", host(running), "COOKIE")
    assert running.raw(*lines, "X: " + "x" * 200_000) in (400, None)
    assert running.raw(*lines, *(f"X{k}: {k}" for k in range(20_000))) in (400, None)


def test_a_websocket_is_not_opened(running):
    said = running.inside(
        "GET",
        "/",
        {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    )
    assert said.status != 101
    assert said.headers["upgrade"] is None


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nX-Slow: ", b"FIRST"])
def test_a_connection_that_says_nothing_is_closed(running, monkeypatch, begun):
    """Of its first request, and of a later one."""
    monkeypatch.setattr("chemoscape.app.connection.HEAD_S", 0.3)
    head = f"GET / HTTP/1.1\r\n{host(running)}\r\nCookie: {running.cookie}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as link:
        if begun == b"FIRST":
            link.sendall(head)
            said = b""
            while b"the page" not in said:  # it may come in pieces
                said += (piece := link.recv(65536))
                assert piece
            begun = head[:20]
        with contextlib.suppress(ConnectionError):  # on a busy machine it is closed before
            link.sendall(begun)
            for _ in range(4):  # drop by drop
                if begun:
                    threading.Event().wait(0.05)
                    link.sendall(b"x")
            assert link.recv(65536) == b""


def test_a_slow_answer_is_waited_for(running, monkeypatch):
    """Once its question has come."""
    monkeypatch.setattr("chemoscape.app.connection.HEAD_S", 0.2)
    link = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    kind = {"Cookie": running.cookie, "Content-Type": "application/json"}
    for _ in range(2):
        link.putrequest("POST", "/api/echo")
        for name, value in {**kind, "Content-Length": "2"}.items():
            link.putheader(name, value)
        link.endheaders(b"{")
        threading.Event().wait(0.6)
        link.send(b"}")
        assert link.getresponse().read() == b"2"
    link.close()


def test_what_is_not_http_is_refused(running):
    for line in ("\x16\x03\x01", "GET", "GET / HTTP/9.9", "GET /\x01 HTTP/1.1"):
        assert running.raw(line) in (400, None)
    assert running.inside("GET", "/").status == 200  # and the server goes on


def test_the_token_is_seen_nowhere(running, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        running.ask("GET", f"/enter?token={TOKEN}")
        running.ask("GET", f"/enter?token={TOKEN}x")
        running.raw(f"GET /enter?token={TOKEN} HTTP/9.9")
        answers = [
            running.inside("GET", path) for path in ("/", f"/x?token={TOKEN}", "/static/x.js")
        ]
    streams = capfd.readouterr()
    assert TOKEN not in caplog.text + streams.out + streams.err
    for said in answers:
        assert TOKEN not in said.text + str(said.headers)
    assert not re.search(r"uvicorn", answers[0].headers.get("server", ""))
