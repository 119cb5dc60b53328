"""Work behind the answers: one thing after the other, and never waited for at the end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Behind:
    """A thread that does what it is given, in that order.

    The end of the program does not wait for it, as it would for a `ThreadPoolExecutor`: a file from
    a slow share may be read for minutes.
    """

    def __init__(self, name: str) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=_do_all, args=(self._waiting,), name=name, daemon=True).start()

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Do it when what was given before is done; what it returned or raised."""
        future: Future[Any] = Future()

        def do() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work(*arguments))
            except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
                future.set_exception(error)

        self._waiting.put(do)
        return future

    def close(self) -> None:
        """End the thread after what it was given."""
        self._waiting.put(None)


def _do_all(waiting: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    for do in iter(waiting.get, None):
        do()
        del do  # what it holds may be large
