"""Who may talk to the app: the person who started it, in a browser that was given the token.

The server listens on the loopback only, but there every user and every program of the machine can
reach it, and so can any web page that the browser shows. Against the former there is a random
token, turned into a cookie; against the latter the Host header (a foreign name that was made to
point here), the Origin and Fetch Metadata headers (a request from another page), a content type
that no HTML form can send, and a content security policy (a script that came in with the data).
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from chemoscape.app.outgoing import Guarded, Refused, page

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Names under which a browser may ask for us. The port does not matter: through an SSH tunnel it is
#: another one, and a page of a foreign site cannot make the browser send one of these names.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
LARGEST_BODY = 1 << 20
LONGEST_ADDRESS = 2048
MOST_AT_ONCE = 32
#: How long the body of a request may take to arrive, s.
BODY_S = 30.0

WAY_IN = (
    "Open the address that chemoscape app has printed in its terminal; it ends in a long token. "
    "If that terminal is gone, start the app again."
)
_AUTHORITY = re.compile(r"([a-z0-9.-]+|\[[0-9a-f:]+\])(?::([0-9]{1,5}))?")
_UNFIT_PATH = re.compile(r"[\x00-\x1f\x7f\\]|(?:^|/)\.{1,2}(?:/|$)|^(?!/)|//")


class Gate:
    """ASGI middleware around the whole app, static files included.

    Only ``GET /enter?token=...`` with the right token sets the cookie that everything else needs.
    The token is good as long as the server runs, for a second window or after the cookies were
    deleted. The cookie holds another secret, so that an address seen in a terminal or a history is
    not a cookie; its name holds the port that the browser sees, since browsers share cookies
    between ports.

    Parameters
    ----------
    app : ASGI application
        What is guarded. It gets bodies whole.
    token : str
        What the address to enter by must hold.
    hosts : collection of str
        Names that a Host header may have, in lower case and without port.
    entered : callable, optional
        Called without arguments at each right token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        hosts: Collection[str] = LOOPBACK,
        entered: Callable[[], None] = lambda: None,
    ) -> None:
        self.app, self.hosts, self.entered = app, frozenset(hosts), entered
        self._token, self._secret = token.encode(), secrets.token_urlsafe(32).encode()
        self._at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, Guarded(scope, send))
        else:  # websockets: the app has none
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, guarded: Guarded) -> None:
        try:
            authority, port = self._authority(scope)
            _require_fit_address(scope)
            if scope["path"] == "/enter" and scope["method"] == "GET":
                await self._enter(scope, guarded, port)
                return
            self._require_cookie(scope, port)
            _require_same_origin(scope, authority)
            await self._hand_on(scope, receive, guarded)
        except Refused as refused:
            await guarded.refuse(refused)
        except Exception:
            if not guarded.started:
                await guarded.refuse(Refused(500, "The app has a defect; its terminal says more."))
            raise

    def _authority(self, scope: Scope) -> tuple[str, str]:
        """What the browser believes to talk to, and the port in it."""
        given = _values(scope, b"host")
        found = _AUTHORITY.fullmatch(given[0].lower()) if len(given) == 1 else None
        if found is None:
            raise Refused(400, "The request must name one host.")
        if found[1] not in self.hosts:
            raise Refused(421, "The app answers as localhost or 127.0.0.1 only.")
        return given[0].lower(), found[2] or "80"

    async def _enter(self, scope: Scope, guarded: Guarded, port: str) -> None:
        """Turn the right token into the cookie.

        The page leads on by itself: a redirect (303) would still count as coming from where the
        address was opened, a file or another site, and the browser would then hold back a cookie
        that is SameSite=Strict.
        """
        try:
            asked = parse_qs(
                scope.get("query_string", b""), max_num_fields=4, keep_blank_values=True
            )
        except ValueError:
            asked = {}
        if not secrets.compare_digest(b"\0".join(asked.get(b"token", [])), self._token):
            raise Refused(403, WAY_IN)
        self.entered()
        cookie = b"%b=%b; HttpOnly; SameSite=Strict; Path=/" % (_cookie(port), self._secret)
        on = page("chemoscape", "Opening the app …", '<meta http-equiv="refresh" content="0;/">')
        await guarded.say(200, on, b"text/html; charset=utf-8", {b"set-cookie": cookie})

    def _require_cookie(self, scope: Scope, port: str) -> None:
        name = _cookie(port).decode()
        for part in ";".join(_values(scope, b"cookie")).split(";"):
            key, _, value = part.strip().partition("=")
            if key == name and secrets.compare_digest(value.encode(), self._secret):
                return
        raise Refused(403, WAY_IN)

    async def _hand_on(self, scope: Scope, receive: Receive, guarded: Guarded) -> None:
        if self._at_once >= MOST_AT_ONCE:
            raise Refused(503, "Too many requests at once; try again.", {b"retry-after": b"1"})
        self._at_once += 1
        try:
            body = await _body(scope, receive)
            if body is not None:
                await self.app(scope, _replayed(body, receive), guarded)
        finally:
            self._at_once -= 1


def _require_fit_address(scope: Scope) -> None:
    if scope["method"] not in ("GET", "HEAD", "POST"):
        raise Refused(405, "Only GET, HEAD and POST are answered.", {b"allow": b"GET, HEAD, POST"})
    whole = len(scope.get("raw_path") or scope["path"]) + len(scope.get("query_string", b""))
    if whole > LONGEST_ADDRESS:
        raise Refused(414, f"The address is longer than {LONGEST_ADDRESS} characters.")
    if _UNFIT_PATH.search(scope["path"]):
        raise Refused(400, "The address is not one of the app's.")


def _require_same_origin(scope: Scope, authority: str) -> None:
    """Refuse what another page asks for; programs other than browsers send none of these headers.

    A cookie that is SameSite=Strict stays away from other sites' requests already, but to a browser
    all ports of this machine are one site.
    """
    foreign = Refused(403, "The request comes from another page.")
    site = _values(scope, b"sec-fetch-site")
    if scope["method"] == "POST":
        if any(one != "same-origin" for one in site):
            raise foreign
        if any(one != f"http://{authority}" for one in _values(scope, b"origin")):
            raise foreign
        kinds = [one.partition(";")[0].strip() for one in _values(scope, b"content-type")]
        if [one.lower() for one in kinds] != ["application/json"]:
            raise Refused(415, "A POST must be of the type application/json.")
    elif any(one not in ("same-origin", "none") for one in site):
        opens_a_page = _values(scope, b"sec-fetch-dest") == ["document"]
        if not opens_a_page:
            raise foreign


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body; None if the browser has gone. GET and HEAD have none that we would read."""
    if scope["method"] != "POST":
        return b""
    too_large = Refused(413, f"A request may have {LARGEST_BODY >> 20} MB at most.")
    said = _values(scope, b"content-length")
    if said and (not said[0].isdecimal() or int(said[0][:20]) > LARGEST_BODY):
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if len(body) > LARGEST_BODY:
                    raise too_large
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Refused(408, "The request did not arrive whole.") from None


def _replayed(body: bytes, receive: Receive) -> Callable[[], Awaitable[dict[str, Any]]]:
    """The body that was read, then whatever the server says next."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> dict[str, Any]:
        return messages.pop() if messages else dict(await receive())

    return replay


def _values(scope: Scope, name: bytes) -> list[str]:
    """Every value of a header, as sent."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _cookie(port: str) -> bytes:
    return f"chemoscape-{port}".encode()
