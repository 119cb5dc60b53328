"""The app: see, choose and understand in the browser; served to this machine's loopback only."""

from __future__ import annotations

import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chemoscape.app.entrance import has_display, in_words, redirect_file
from chemoscape.errors import ChemoscapeError, FileFormatError

if TYPE_CHECKING:
    import uvicorn

NEEDS = ("starlette", "uvicorn", "plotly")
HOSTS = {"127.0.0.1": socket.AF_INET, "localhost": socket.AF_INET, "::1": socket.AF_INET6}
#: How long requests may take to end when the app is ended, s.
LAST_S = 3


def serve(
    path: Path | None = None,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    browser: bool = True,
    announce: Callable[[str], object] | None = None,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Show a stack, a recipe or results in the browser until Ctrl-C (or SIGTERM, or SIGHUP).

    Parameters
    ----------
    path : path, optional
        What to open; default: the current folder, to choose from.
    port : int, optional
        Port to listen on; 0 for a free one.
    host : str, optional
        Address of the loopback to listen on: 127.0.0.1, localhost or ::1.
    browser : bool, optional
        Open the browser, where there is a display.
    announce : callable, optional
        Called with the address and how to reach it from elsewhere; default: to stderr.
    options : mapping, optional
        How to read the stack: keywords of `chemoscape.formats.open_stack`.

    Raises
    ------
    ChemoscapeError
        The extra is not installed, the path is not there, the port is taken, or the host is not the
        loopback.
    """
    _require_extra()
    if path is not None and not path.expanduser().exists():
        raise FileFormatError("there is no such file", str(path), "check the path")
    with ExitStack() as ends:
        listening = ends.enter_context(closing(_listening(host, port)))

        import uvicorn

        from chemoscape.app.security import Gate
        from chemoscape.app.server import make_app
        from chemoscape.app.session import Session

        session = Session(path, options)
        ends.callback(session.close)
        token = secrets.token_urlsafe(32)
        taken = listening.getsockname()[1]
        address = f"http://{'[::1]' if host == '::1' else host}:{taken}/enter?token={token}"
        shown = browser and has_display()
        entrance = ends.enter_context(redirect_file(address)) if shown else None
        gate = Gate(make_app(session), token=token, entered=entrance.remove if entrance else _pass)
        server = uvicorn.Server(_quiet(gate))
        ends.enter_context(_ended_by_signals(server))
        (announce or _to_stderr)(in_words(address, host, taken))
        if entrance is not None:
            opening = (entrance.path.as_uri(),)  # a file, so that no command line holds the token
            threading.Thread(target=webbrowser.open, args=opening, daemon=True).start()
        server.run(sockets=[listening])


def _quiet(gate: Any) -> uvicorn.Config:
    """One strict HTTP parser, no websockets, no trust in proxies, and no log of addresses."""
    import uvicorn

    from chemoscape.app.connection import Connection

    return uvicorn.Config(
        gate,
        http=Connection,
        ws="none",
        loop="asyncio",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="error",
        timeout_keep_alive=60,  # through a tunnel a new connection costs a round trip
        timeout_graceful_shutdown=LAST_S,
    )


@contextmanager
def _ended_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Make Ctrl-C, SIGTERM and the end of the terminal end the server, and no more than that.

    uvicorn raises the first two again when it has ended: what they do by default would keep the
    caller from ending its children.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only there can signals be handled
        return

    def end(number: int, frame: object) -> None:
        server.should_exit = True

    known = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    ours = [one for one in known if one and signal.getsignal(one) is not signal.SIG_IGN]  # nohup
    before = {one: signal.signal(one, end) for one in ours}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _require_extra() -> None:
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        raise ChemoscapeError(
            f"the app needs {' and '.join(missing)}, which the extra brings",
            remedy="run pip install 'chemoscape[app]'",
        )


def _listening(host: str, port: int) -> socket.socket:
    """A socket of the loopback that takes connections."""
    if host not in HOSTS:
        raise ChemoscapeError(
            f"the app listens on this machine's loopback only, not on {host}",
            remedy="from another computer use ssh -L PORT:127.0.0.1:PORT, as the app says when it "
            "starts",
        )
    if not 0 <= port <= 65535:
        raise ChemoscapeError(f"there is no port {port}", remedy="give one of 1024 to 65535")
    made = socket.socket(HOSTS[host], socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would let others listen beside us
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("::1" if host == "::1" else "127.0.0.1", port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise ChemoscapeError(
            f"cannot listen on port {port} ({error.strerror or error})",
            remedy="leave --port out for a free one, or give another",
        ) from None
    return made


def _to_stderr(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _pass() -> None:
    """Nothing to remove."""
