"""How the browser gets the token: by a private file that leads on, or by the printed address."""

from __future__ import annotations

import html
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entrance:
    """A file that leads to the app."""

    path: Path

    def remove(self) -> None:
        """Remove it, once it was used."""
        self.path.unlink(missing_ok=True)


@contextmanager
def redirect_file(address: str) -> Iterator[Entrance]:
    """A page that leads to an address, readable by this user alone, gone at the end.

    A browser is opened by a command, and the command lines of all processes can be read by every
    user of the machine: it must hold the file's name only.
    """
    with tempfile.TemporaryDirectory(prefix="chemoscape-") as folder:  # 0700
        path = Path(folder) / "open-the-app.html"
        quoted = html.escape(address)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(
                '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>chemoscape'
                f'</title><meta name="referrer" content="no-referrer">'
                f'<meta http-equiv="refresh" content="0;url={quoted}"></head>'
                f'<body><p><a href="{quoted}">Open the app</a></p></body></html>\n'
            )
        yield Entrance(path)


def has_display() -> bool:
    """Whether a browser opened here would be seen: not over SSH, and not without a display."""
    if "SSH_CONNECTION" in os.environ or "SSH_TTY" in os.environ:
        return False
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def in_words(address: str, host: str, port: int) -> str:
    """The address, the tunnel for those at another computer, and how to end."""
    to = "[::1]" if host == "::1" else "127.0.0.1"
    return (
        f"chemoscape app: {address}\n"
        f"  from another computer: ssh -L {port}:{to}:{port} {socket.gethostname()}\n"
        "  there, then open that address in its browser; Ctrl-C here ends the app."
    )
