"""A caller of ASGI applications: what a browser would send, without a network."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # wire.py is used by several


class Reply:
    """One answer."""

    def __init__(self, sent):
        self.status_code = sent[0]["status"]
        self.headers = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
        self.content = b"".join(one.get("body", b"") for one in sent[1:])
        self.text = self.content.decode(errors="replace")

    def json(self):
        return json.loads(self.content)


class Caller:
    """Asks an application."""

    def __init__(self, app):
        self.app = app

    def send(self, method, path, content=b"", headers=()):
        sent = []
        told = []

        async def receive():
            if told:  # nothing more to say, and still there
                await asyncio.Event().wait()
            told.append(True)
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:8765"), *headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8765),
        }
        asyncio.run(self.app(scope, receive, send))
        return Reply(sent)

    def get(self, path):
        return self.send("GET", path)

    def post(self, path, json=None, content=None):
        body = content if content is not None else _dumped(json)
        return self.send("POST", path, body)


def _dumped(table):
    return json.dumps(table).encode()


@pytest.fixture(scope="session")
def caller():
    """Make a caller of an application."""
    return Caller


@pytest.fixture
def results():
    """Results of the small run of `wire`."""
    from wire import wire

    return wire()


@pytest.fixture
def shown(results, tmp_path):
    """Make a session that shows that run, its recipe changed as given."""
    from wire import Shown

    return lambda **changes: Shown(results, tmp_path, **changes)
