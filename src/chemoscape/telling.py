"""How a long command tells how it goes: to the person before the screen, or to a program.

A person sees a bar on stderr, and sentences after it. A program that started this one reads JSON
lines there, one object each, as they come:

    {"step": "drift"}                           a step begins
    {"step": "drift", "done": 3, "of": 12}      how far it is
    {"warning": "…"}                            said at the end
    {"written": "wire-results"}                 where the results are
    {"error": "…", "status": 2}                 before an exit status other than 0
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from chemoscape.console import complaint, interruption, progress_bar

#: Least time between two lines about how far one step is, s.
BETWEEN_S = 0.05


class Telling(Protocol):
    """What a command says on stderr while it works."""

    def progress(self, title: str) -> AbstractContextManager[Callable[[str], None]]:
        """Give a function that is called with the name of each step as it begins."""

    def warning(self, text: str) -> None:
        """Something that needs a look."""

    def note(self, text: str) -> None:
        """Something to know."""

    def written(self, folder: Path, page: Path | None = None) -> None:
        """Where the results are, and the page of them to open."""

    def failed(self, text: str, status: int) -> None:
        """What went wrong, before that exit status."""


class ToPeople:
    """A bar, and sentences."""

    def progress(self, title: str) -> AbstractContextManager[Callable[[str], None]]:
        """See `console.progress_bar`."""
        return progress_bar(title)

    def warning(self, text: str) -> None:
        """Print it."""
        print(f"warning: {text}", file=sys.stderr)

    def note(self, text: str) -> None:
        """Print it."""
        print(text, file=sys.stderr)

    def written(self, folder: Path, page: Path | None = None) -> None:
        """Print it."""
        print(f"written to {folder}" + (f": open {page}" if page else ""), file=sys.stderr)

    def failed(self, text: str, status: int) -> None:
        """Print it."""
        print(f"chemoscape: {text}", file=sys.stderr)


class ToPrograms:
    """JSON lines."""

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[str], None]]:
        """A line for each step, and for how far it is: for the first report, then no more than 20 a
        second.
        """
        from chemoscape import blocks

        step, said = title, 0.0

        def begin(name: str) -> None:
            nonlocal step, said
            step, said = name, 0.0
            _line(step=step)

        def go_on(done: int, of: int) -> None:
            nonlocal said
            now = time.monotonic()
            if now - said >= BETWEEN_S:
                said = now
                _line(step=step, done=done, of=of)

        with blocks.reporting(go_on):
            yield begin

    def warning(self, text: str) -> None:
        """A line."""
        _line(warning=text)

    def note(self, text: str) -> None:
        """A line."""
        _line(warning=text)

    def written(self, folder: Path, page: Path | None = None) -> None:
        """A line."""
        _line(written=str(folder))

    def failed(self, text: str, status: int) -> None:
        """A line."""
        _line(error=text, status=status)


def to_programs(work: Callable[[Telling], int]) -> int:
    """Carry out a command that tells programs how it goes, errors included; its exit status."""
    telling = ToPrograms()
    try:
        return work(telling)
    except KeyboardInterrupt as stop:
        status, lines = interruption(stop)
        telling.failed(" ".join(lines), status)
    except BrokenPipeError:
        raise  # whoever started this has gone
    except Exception as error:  # noqa: BLE001 - as at the end of every command
        status, warned, text = complaint(error)
        for warning in warned:
            telling.warning(warning)
        telling.failed(text, status)
    return status


def _line(**said: Any) -> None:
    """One object, at once."""
    print(json.dumps(said, ensure_ascii=True), file=sys.stderr, flush=True)
