"""The gate by itself, as an ASGI application is called: who is let in, and what is refused."""

from __future__ import annotations

import asyncio
import json
import pickle

import pytest

from chemoscape.app import security
from chemoscape.app.outgoing import HEADERS, POLICY, Refused
from chemoscape.app.security import LARGEST_BODY, LONGEST_ADDRESS, MOST_AT_ONCE, WAY_IN, Gate

TOKEN = "right-token"
HOST = "127.0.0.1:8765"
JSON = {"content-type": "application/json"}


async def inner(scope, receive, send):
    """Says what it was asked; its own headers must not win."""
    if scope["path"] == "/broken":
        raise RuntimeError("broken on purpose")
    body = (await receive()).get("body", b"")
    told = json.dumps({"path": scope["path"], "bytes": len(body)}).encode()
    headers = [(b"content-type", b"application/json"), (b"Cache-Control", b"public")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


class Said:
    """One answer."""

    def __init__(self, sent):
        self.status = sent[0]["status"]
        self.pairs = [(k.decode().lower(), v.decode()) for k, v in sent[0]["headers"]]
        self.headers = dict(self.pairs)
        self.body = b"".join(one.get("body", b"") for one in sent[1:])


async def asking(gate, method, address, headers=None, chunks=(b"",), pairs=()):
    path, _, query = address.partition("?")
    given = [*({"host": HOST} | (headers or {})).items(), *pairs]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in given if v is not None],
    }
    waiting = [
        {"type": "http.request", "body": one, "more_body": k < len(chunks) - 1}
        for k, one in enumerate(chunks)
    ]
    sent = []

    async def receive():
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await gate(scope, receive, send)
    return Said(sent) if sent else None


def ask(gate, *arguments, **keywords):
    return asyncio.run(asking(gate, *arguments, **keywords))


@pytest.fixture
def gate():
    return Gate(inner, token=TOKEN)


def cookie_of(said):
    return said.headers["set-cookie"].partition(";")[0]


@pytest.fixture
def inside(gate):
    """Headers of a browser that has entered."""
    return {"cookie": cookie_of(ask(gate, "GET", f"/enter?token={TOKEN}"))}


def test_the_right_token_becomes_a_cookie_that_lets_in(gate):
    said = ask(gate, "GET", f"/enter?token={TOKEN}")
    assert said.status == 200
    name, *attributes = said.headers["set-cookie"].split("; ")
    assert name.startswith("chemoscape-8765=")
    assert attributes == ["HttpOnly", "SameSite=Strict", "Path=/"]
    assert TOKEN not in said.headers["set-cookie"]
    assert 'http-equiv="refresh" content="0;/"' in said.body.decode()
    assert TOKEN not in said.body.decode()
    assert ask(gate, "GET", "/", {"cookie": cookie_of(said)}).status == 200


def test_the_token_lets_in_a_second_window_and_each_use_is_told():
    told = []
    gate = Gate(inner, token=TOKEN, entered=lambda: told.append(1))
    first, second = (cookie_of(ask(gate, "GET", f"/enter?token={TOKEN}")) for _ in range(2))
    assert first == second
    assert len(told) == 2
    ask(gate, "GET", "/enter?token=wrong")
    assert len(told) == 2


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?token=",
        "?token=wrong",
        f"?token={TOKEN}x",
        f"?token={TOKEN[:-1]}",
        f"?token={TOKEN}&token={TOKEN}",
        f"?token=wrong&token={TOKEN}",
        f"?Token={TOKEN}",
        "?token=%00",
        "?token=%ff%fe",
        "?" + "&".join(f"a{k}=1" for k in range(9)),
    ],
)
def test_without_the_right_token_nobody_enters(gate, query):
    said = ask(gate, "GET", "/enter" + query)
    assert said.status == 403
    assert "set-cookie" not in said.headers
    assert WAY_IN in said.body.decode()


@pytest.mark.parametrize(
    "path", ["/", "/static/js/api.js", "/download/x", "/favicon.ico", "/api/x"]
)
def test_every_path_needs_the_cookie(gate, path):
    assert ask(gate, "GET", path).status == 403
    assert ask(gate, "GET", path, {"cookie": "chemoscape-8765=wrong"}).status == 403
    assert ask(gate, "GET", path, {"cookie": f"chemoscape-8765={TOKEN}"}).status == 403


def test_a_program_is_refused_in_json(gate):
    said = ask(gate, "POST", "/api/facts", JSON)
    assert said.status == 403
    assert json.loads(said.body) == {"error": WAY_IN}


def test_other_cookies_beside_ours_do_no_harm(gate, inside):
    for others in ("a=1; b\xe9=2; ", "chemoscape-8765=stale; ", ";;=; "):
        assert ask(gate, "GET", "/", {"cookie": others + inside["cookie"]}).status == 200
    assert ask(gate, "GET", "/", {}, pairs=[("cookie", "a=1"), *inside.items()]).status == 200


def test_each_port_that_the_browser_sees_has_its_own_cookie(gate):
    other = {"host": "localhost:9000"}  # the near end of a tunnel
    cookie = cookie_of(ask(gate, "GET", f"/enter?token={TOKEN}", other))
    assert cookie.startswith("chemoscape-9000=")
    assert ask(gate, "GET", "/", other | {"cookie": cookie}).status == 200
    assert ask(gate, "GET", "/", {"cookie": cookie}).status == 403


def test_cookies_of_another_run_do_not_let_in(inside):
    assert ask(Gate(inner, token=TOKEN), "GET", "/", inside).status == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:1", "[::1]:8765", "localhost"]
)
def test_names_of_the_loopback_with_any_port(gate, host):
    assert ask(gate, "GET", f"/enter?token={TOKEN}", {"host": host}).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example:8765", 421),
        ("127.0.0.1.evil.example:8765", 421),
        ("localhost.evil.example", 421),
        ("localhost.", 421),
        ("0.0.0.0:8765", 421),
        ("127.0.0.2:8765", 421),
        ("[::]:8765", 421),
        ("evil.example@localhost:8765", 400),
        ("localhost:8765@evil.example", 400),
        ("localhost:8765:1", 400),
        ("localhost:", 400),
        ("localhost:port", 400),
        ("localhost, evil.example", 400),
        ("", 400),
        (None, 400),
    ],
)
def test_foreign_hosts_are_refused_even_with_token_and_cookie(gate, inside, host, status):
    assert ask(gate, "GET", f"/enter?token={TOKEN}", {"host": host}).status == status
    said = ask(gate, "GET", "/", inside | {"host": host})
    assert said.status == status
    assert said.body.decode().count(".") >= 1


def test_two_hosts_are_refused(gate, inside):
    assert ask(gate, "GET", "/", inside, pairs=[("host", HOST)]).status == 400


def test_other_names_can_be_allowed():
    gate = Gate(inner, token=TOKEN, hosts={"stxm-pc"})
    assert ask(gate, "GET", f"/enter?token={TOKEN}", {"host": "stxm-pc:1"}).status == 200
    assert ask(gate, "GET", f"/enter?token={TOKEN}").status == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a program with the cookie
        ({"origin": f"http://{HOST}"}, 200),
        ({"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": f"https://{HOST}"}, 403),
        ({"origin": "http://127.0.0.1:8888"}, 403),  # another server of this machine
        ({"origin": "http://localhost:8765"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({"content-type": "text/plain; application/json"}, 415),
        ({"content-type": None}, 415),
        ({"content-type": "Application/JSON; charset=utf-8"}, 200),
    ],
)
def test_a_post_comes_from_our_own_page(gate, inside, headers, status):
    said = ask(gate, "POST", "/api/facts", inside | JSON | headers, [b"{}"])
    assert said.status == status
    assert ("error" in json.loads(said.body)) == (status != 200)
    assert not any(name.startswith("access-control") for name in said.headers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "script"}, 200),
        ({"sec-fetch-site": "none", "sec-fetch-dest": "document"}, 200),
        ({"sec-fetch-site": "same-site", "sec-fetch-dest": "document"}, 200),
        ({"sec-fetch-site": "same-site", "sec-fetch-dest": "script"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-dest": "iframe"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_other_pages_cannot_draw_on_ours(gate, inside, headers, status):
    assert ask(gate, "GET", "/static/x.js", inside | headers).status == status


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get"])
def test_other_methods_are_refused(gate, inside, method):
    said = ask(gate, method, "/", inside | {"origin": "http://evil.example"})
    assert said.status == 405
    assert said.headers["allow"] == "GET, HEAD, POST"
    assert not any(name.startswith("access-control") for name in said.headers)


def test_head_is_answered_without_body(gate, inside):
    assert ask(gate, "HEAD", "/", inside).status == 200
    refused = ask(gate, "HEAD", "/")
    assert (refused.status, refused.body) == (403, b"")
    assert ask(gate, "HEAD", f"/enter?token={TOKEN}").status == 403  # a preview enters nobody


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/static/../../pyproject.toml", 400),
        ("/static/..", 400),
        ("/./x", 400),
        ("/static/..\\x", 400),
        ("//evil.example/x", 400),
        ("/static//etc/passwd", 400),
        ("http://evil.example/", 400),
        ("/\x00", 400),
        ("/line\nbreak", 400),
        ("", 400),
        ("/static/..x/x..y.js", 200),
        ("/" + "x" * LONGEST_ADDRESS, 414),
        ("/?" + "x" * LONGEST_ADDRESS, 414),
    ],
)
def test_unfit_addresses(gate, inside, path, status):
    assert ask(gate, "GET", path, inside).status == status


def test_a_body_of_the_largest_size_comes_whole(gate, inside):
    chunks = [b" " * (LARGEST_BODY // 4)] * 4
    said = ask(gate, "POST", "/api/x", inside | JSON, chunks)
    assert json.loads(said.body) == {"path": "/api/x", "bytes": LARGEST_BODY}


def test_larger_bodies_are_refused_by_their_header_and_by_their_length(gate, inside):
    headers = inside | JSON
    for length in (str(LARGEST_BODY + 1), "9" * 5000, "-1", "1e3", "x"):
        assert ask(gate, "POST", "/", headers | {"content-length": length}).status == 413
    assert ask(gate, "POST", "/", headers, [b" " * LARGEST_BODY, b" "]).status == 413


def test_who_leaves_gets_no_answer(gate, inside):
    assert ask(gate, "POST", "/", inside | JSON, []) is None


def test_a_body_that_does_not_come_is_given_up(gate, inside, monkeypatch):
    monkeypatch.setattr(security, "BODY_S", 0.01)

    async def starve():
        sent = []

        async def receive():
            await asyncio.sleep(3600)

        async def send(message):
            sent.append(message)

        headers = {"host": HOST} | inside | JSON
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b""}
        scope["headers"] = [(k.encode(), v.encode()) for k, v in headers.items()]
        await gate(scope, receive, send)
        return Said(sent)

    assert asyncio.run(starve()).status == 408


def test_too_many_at_once_are_sent_away_and_come_again():
    async def crowd():
        door = asyncio.Event()

        async def slow(scope, receive, send):
            await door.wait()
            await inner(scope, receive, send)

        gate = Gate(slow, token=TOKEN)
        inside = {"cookie": cookie_of(await asking(gate, "GET", f"/enter?token={TOKEN}"))}
        tasks = [asyncio.create_task(asking(gate, "GET", "/", inside)) for _ in range(MOST_AT_ONCE)]
        await asyncio.sleep(0)
        full = await asking(gate, "GET", "/", inside)
        stranger = await asking(gate, "GET", "/")
        door.set()
        done = [(await one).status for one in tasks]
        return full, stranger.status, done, (await asking(gate, "GET", "/", inside)).status

    full, stranger, done, after = asyncio.run(crowd())
    assert full.status == 503
    assert full.headers["retry-after"] == "1"
    assert stranger == 403
    assert done == [200] * MOST_AT_ONCE
    assert after == 200


def test_every_answer_has_our_headers_once(gate, inside):
    answers = [
        ask(gate, "GET", "/", inside),
        ask(gate, "GET", "/"),
        ask(gate, "GET", f"/enter?token={TOKEN}"),
        ask(gate, "PUT", "/"),
        ask(gate, "GET", "/", {"host": "evil.example"}),
        ask(gate, "POST", "/api/x", inside),
    ]
    for said in answers:
        names = [name for name, _ in said.pairs]
        for name, value in HEADERS.items():
            assert said.headers[name.decode()] == value.decode()
            assert names.count(name.decode()) == 1
        assert said.headers["cache-control"] == "no-store"
        assert names.count("cache-control") == 1
    for part in (
        "default-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "frame-ancestors 'none'",
    ):
        assert part in POLICY.split("; ")


def test_static_files_are_asked_for_again_but_refusals_of_them_never_kept(gate, inside):
    assert ask(gate, "GET", "/static/x.js", inside).headers["cache-control"] == "no-cache"
    assert ask(gate, "GET", "/static/x.js").headers["cache-control"] == "no-store"


def test_a_defect_behind_the_gate_is_a_guarded_500(gate, inside):
    sent = []

    async def run():
        headers = [(b"host", HOST.encode()), (b"cookie", inside["cookie"].encode())]
        scope = {"type": "http", "method": "GET", "path": "/broken", "headers": headers}

        async def send(message):
            sent.append(message)

        await gate(scope, None, send)

    with pytest.raises(RuntimeError, match="on purpose"):
        asyncio.run(run())
    said = Said(sent)
    assert said.status == 500
    assert said.headers["content-security-policy"] == POLICY
    assert "on purpose" not in said.body.decode()


def test_websockets_are_closed(gate):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    asyncio.run(gate({"type": "websocket", "path": "/", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_the_lifespan_reaches_the_application():
    seen = []

    async def alive(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(Gate(alive, token=TOKEN)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]


def test_refusals_survive_pickling():
    again = pickle.loads(pickle.dumps(Refused(403, "No.", {b"a": b"b"})))
    assert (again.status, again.sentence, again.headers) == (403, "No.", {b"a": b"b"})
