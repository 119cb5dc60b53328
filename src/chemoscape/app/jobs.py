"""Long work: `chemoscape run` as a child process, one at a time."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chemoscape.app.job import Job
from chemoscape.app.toml_edits import as_item
from chemoscape.app.until import UNTIL, Until
from chemoscape.errors import ChemoscapeError

#: How much less urgent than the server its run is, on the scale of `nice`.
NICENESS = 5


class Jobs:
    """The runs of one session, each a child process, one at a time.

    Parameters
    ----------
    room : Path, optional
        Folder for what runs write that are not exported; it belongs to the caller. Without it a
        temporary one is made, and removed by `close`.
    """

    def __init__(self, room: Path | None = None) -> None:
        self._own = room is None
        self.room = Path(tempfile.mkdtemp(prefix="chemoscape-app-")) if room is None else room
        self.current: Job | None = None
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._closed = False
        atexit.register(self.close)

    def refuse_if_running(self) -> None:
        """Raise `ChemoscapeError` while one runs."""
        if self.current is not None and self.current.state == "running":
            raise ChemoscapeError("a run is at work", remedy="wait for it, or cancel it")

    def start(
        self,
        recipe_toml: str,
        until: Until = "all",
        *,
        output: Path | None = None,
        overwrite: bool = False,
        keep_optical_density: bool = False,
        environment: Mapping[str, str] | None = None,
        take_up: Callable[[Job], None] | None = None,
    ) -> Job:
        """Start a run; returns at once.

        Parameters
        ----------
        recipe_toml : str
            The recipe, its paths absolute (`chemoscape.recipe.to_toml`).
        until : {"explore", "maps", "stress", "all"}
            How far it goes.
        output : Path, optional
            Folder for the results; by default one in the room, which is there until a later run is
            done.
        overwrite : bool
            Replace results that are there.
        keep_optical_density : bool
            Keep the optical density in the results.
        environment : mapping, optional
            Joins the environment.
        take_up : callable, optional
            Called with the job, in a thread of its own, when its results are there and before it is
            "done"; a `ChemoscapeError` of it is the job's.

        Raises
        ------
        ChemoscapeError
            One runs already, or none can be started.
        """
        changes = dict(UNTIL[until])
        if keep_optical_density:
            changes["report.keep_optical_density"] = True
        with self._lock:
            if self._closed:
                raise ChemoscapeError("the app is being closed", remedy="start it again")
            self.refuse_if_running()
            try:
                desk = self._new_desk()
                recipe = desk / "recipe.toml"
                recipe.write_text(recipe_toml, encoding="utf-8")
                folder = output or desk / "results"
                command = _command(recipe, folder, changes, overwrite)
                child = _started(command, desk, environment)
            except OSError as error:  # a full disk, too many files or processes
                raise ChemoscapeError(
                    f"the run cannot be started ({error.strerror or error})",
                    str(self.room),
                    "make room there, and close other programs",
                ) from error
            self.current = job = Job(folder, until, desk, take_up)
            job.begin(child)
        return job

    def cancel(self) -> None:
        """Ask the run to end, if one is at work; returns at once."""
        if self.current is not None:
            self.current.cancel()

    def close(self) -> None:
        """End the run and remove what it has left; for the end of the server."""
        with self._lock:
            self._closed = True
            job = self.current
        atexit.unregister(self.close)
        if job is not None:
            job.cancel()
            job.wait(10)
        if self._own:
            shutil.rmtree(self.room, ignore_errors=True)

    def _new_desk(self) -> Path:
        """A folder for one run; those of earlier ones go, but for the last that was done."""
        last = self.current
        if last is not None and last.state != "done":
            shutil.rmtree(last.desk, ignore_errors=True)
        desk = self.room / f"run-{next(self._numbers)}"
        if last is not None and last.state == "done":
            for one in self.room.glob("run-*"):
                if one != last.desk:
                    shutil.rmtree(one, ignore_errors=True)
        desk.mkdir(parents=True)
        return desk


def _command(recipe: Path, folder: Path, changes: Mapping[str, Any], overwrite: bool) -> list[str]:
    """The command line of a run; -P keeps the folder it starts in off Python's path."""
    sets = [f"{key}={as_item(value).as_string()}" for key, value in changes.items()]
    return [
        *(sys.executable, "-P", "-m", "chemoscape", "run", str(recipe)),
        *("--output", str(folder), "--progress", "json"),
        *(part for one in sets for part in ("--set", one)),
        *(("--overwrite",) if overwrite else ()),
    ]


def _started(
    command: list[str], desk: Path, environment: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    """The child, in a group of its own so that it can be ended with all that it has started."""
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        below = subprocess.BELOW_NORMAL_PRIORITY_CLASS
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | below}
    with (desk / "stdout.txt").open("wb") as answers:
        child = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            command,
            cwd=desk,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=answers,
            stderr=subprocess.PIPE,
            **apart,
        )
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # it has ended already, or is not to be slowed
            os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)
    return child
