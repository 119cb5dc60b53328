"""One run as a child process: how far it is, and how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from chemoscape.errors import ChemoscapeError
from chemoscape.results.lock import remove_left_by

State = Literal["running", "done", "failed", "cancelled"]
#: How long a child that was asked to end may clean up, s.
GRACE_S = 3.0
#: How long we wait for the last words of one that has ended, s.
LAST_WORDS_S = 5.0
#: Longest line of it that is taken up, bytes.
LONGEST_LINE = 65_536


class Job:
    """A run that was started.

    `folder` holds its results when `state` is "done"; `step`, `done` and `of` say how far it is,
    `error` in one sentence why it failed. `messages` are lines of it that are no progress.
    `take_up` is called with the job when its results are there, and before it is "done".
    """

    def __init__(
        self,
        folder: Path,
        until: str,
        desk: Path,
        take_up: Callable[[Job], None] | None = None,
    ) -> None:
        self.folder, self.until, self.desk = folder, until, desk
        self.state: State = "running"
        self.step, self.done, self.of, self.error = "starting", 0, 0, ""
        self.warnings: list[str] = []
        self.messages: deque[str] = deque(maxlen=200)
        self._take_up = take_up
        self._began, self._seconds = time.monotonic(), 0.0
        self._asked_to_end = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._child: subprocess.Popen[bytes]

    def begin(self, child: subprocess.Popen[bytes]) -> None:
        """Watch a child that was just started."""
        self._child = child
        reader = threading.Thread(target=self._listen, name="chemoscape-listen", daemon=True)
        reader.start()
        threading.Thread(
            target=self._watch, args=(reader,), name="chemoscape-watch", daemon=True
        ).start()

    @property
    def pid(self) -> int:
        """Number of the process, and of its group."""
        return self._child.pid

    @property
    def seconds(self) -> float:
        """For how long it has run, or ran."""
        return self._seconds or time.monotonic() - self._began

    def told(self) -> dict[str, Any]:
        """All that is known of it, as JSON has it."""
        return {
            "id": self.desk.name,
            "state": self.state,
            "until": self.until,
            "step": self.step,
            "done": self.done,
            "of": self.of,
            "seconds": round(self.seconds, 1),
            "warnings": self.warnings,
            "error": self.error,
            "folder": self.folder.name,
        }

    def cancel(self) -> None:
        """Ask it to end, and end it if it has not done so after some seconds; returns at once."""
        with self._lock:
            if self._asked_to_end or self.state != "running":
                return
            self._asked_to_end = True
        _end_group(self._child, gently=True)
        threading.Thread(target=self._insist, name="chemoscape-insist", daemon=True).start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; whether it has."""
        return self._over.wait(timeout)

    def _insist(self) -> None:
        if not self._over.wait(GRACE_S) and self._child.returncode is None:
            _end_group(self._child, gently=False)

    def _watch(self, reader: threading.Thread) -> None:
        """Settle how it ended."""
        status = self._child.wait()
        _end_group(self._child, gently=False)  # whatever it had started holds its stderr open
        reader.join(LAST_WORDS_S)
        if status != 0:
            remove_left_by(self._child.pid, self.folder)
        error = "" if status == 0 else self.error or self._last_words(status)
        try:
            if status == 0 and self._take_up is not None:
                self._take_up(self)
        except ChemoscapeError as refused:
            error = str(refused)
        except Exception as defect:
            error = f"a defect of the program ({defect!r})"
            raise
        finally:
            self._settle(status, error)

    def _settle(self, status: int, error: str) -> None:
        with self._lock:
            self._seconds = time.monotonic() - self._began
            if status != 0 and self._asked_to_end:
                self.error, self.state = "", "cancelled"
            else:
                self.error, self.state = error, "failed" if error else "done"
        self._over.set()

    def _last_words(self, status: int) -> str:
        if status < 0:
            return (
                f"the run was killed (signal {-status}): out of memory, or by hand; close other "
                "programs, or take fewer pixels or energies, and start it again."
            )
        said = f": {self.messages[-1]}" if self.messages else ""
        return f"the run ended with status {status}{said}"

    def _listen(self) -> None:
        stream = self._child.stderr
        assert stream is not None  # noqa: S101 - it was started with a pipe
        with stream:
            for line in iter(lambda: stream.readline(LONGEST_LINE), b""):
                self._take(line.decode("utf-8", "replace").rstrip())

    def _take(self, line: str) -> None:
        """One line: progress as JSON, or a message of whatever works there."""
        try:
            said = json.loads(line)
            if "step" in said:
                done, of = int(said.get("done", 0)), int(said.get("of", 0))
                self.step, self.done, self.of = str(said["step"]), done, of
            elif "warning" in said:
                self.warnings.append(str(said["warning"]))
            elif "error" in said:
                self.error = str(said["error"])
        except (ValueError, TypeError, AttributeError, RecursionError):
            if line:
                self.messages.append(line)


def _end_group(child: subprocess.Popen[bytes], *, gently: bool) -> None:
    """End a child and all that it has started; one that has gone already is left alone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            child.terminate()
        else:
            os.killpg(child.pid, signal.SIGTERM if gently else signal.SIGKILL)
