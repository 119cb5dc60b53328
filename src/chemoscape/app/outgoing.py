"""What the app sends: our headers on every answer, and the answers that the gate itself gives."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Scope, Send

POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


class Refused(Exception):
    """An answer of the gate: status, one sentence, and headers if need be."""

    def __init__(self, status: int, sentence: str, headers: dict[bytes, bytes] | None = None):
        super().__init__(status, sentence, headers)
        self.status, self.sentence, self.headers = status, sentence, headers or {}


class Guarded:
    """The way back: every answer gets our headers, whoever gives it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope, self.send, self.started = scope, send, False
        static = scope["path"].startswith("/static/")
        self.keep = b"no-cache" if static else b"no-store"

    async def __call__(self, message: Message) -> None:
        """Send one message of the app's."""
        if message["type"] == "http.response.start":
            self.started = True
            ours = HEADERS | {b"cache-control": self.keep}
            theirs = [pair for pair in message.get("headers", []) if pair[0].lower() not in ours]
            message = {**message, "headers": [*theirs, *ours.items()]}
        await self.send(message)

    async def say(
        self, status: int, body: bytes, kind: bytes, more: dict[bytes, bytes] | None = None
    ) -> None:
        """Give an answer of our own, never to be kept."""
        self.keep = b"no-store"
        headers = {b"content-type": kind, b"content-length": b"%d" % len(body), **(more or {})}
        start = {"type": "http.response.start", "status": status, "headers": [*headers.items()]}
        await self(start)
        body = b"" if self.scope["method"] == "HEAD" else body
        await self({"type": "http.response.body", "body": body})

    async def refuse(self, refused: Refused) -> None:
        """Say no: to a program in JSON, to a person in a page."""
        if self.scope["method"] == "POST" or self.scope["path"].startswith("/api/"):
            body, kind = json.dumps({"error": refused.sentence}).encode(), b"application/json"
        else:
            body, kind = page("chemoscape: no", refused.sentence), b"text/html; charset=utf-8"
        await self.say(refused.status, body, kind, refused.headers)


def page(title: str, sentence: str, head: str = "") -> bytes:
    """A page of one sentence; it has no icon, so that none is asked for."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,">'
        f"{head}<title>{html.escape(title)}</title></head><body><p>{html.escape(sentence)}</p>"
        "</body></html>\n"
    ).encode()
