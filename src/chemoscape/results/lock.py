"""One run, or batch, at a time in a folder."""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chemoscape.errors import ResultsError

#: Of a batch, in the folder of its results.
LOCK_FILE = ".batch.lock"


@contextmanager
def only_one(folder: Path, name: str = LOCK_FILE, who: str = "another batch") -> Iterator[None]:
    """Keep others out of a folder, which is made if it is not there.

    A lock whose process has gone, as after a crash, is taken over. On another machine that cannot
    be told, so the lock holds until somebody deletes it.

    Raises
    ------
    ResultsError
        Another is at work in the folder, or it cannot be written.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]  # nearest first
    lock = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _take(lock, who)
    except OSError as error:
        raise ResultsError(
            f"the results cannot be written ({error.strerror})",
            str(folder),
            "choose another folder with --output",
        ) from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        for one in missing:
            try:
                one.rmdir()
            except OSError:  # it holds results
                break


def lock_of_run(folder: Path) -> str:
    """Name of the lock of a run into a folder; it lies beside that."""
    return f".{folder.name}.lock"


def staging_of_run(folder: Path) -> Path:
    """A hidden folder beside `folder`, to write into; its name tells whose it is."""
    # a long name would become too long
    return folder.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.partial")


def remove_left_by(pid: int, folder: Path) -> None:
    """Remove what a run into a folder left beside it, of a process that was killed; results that it
    had moved aside come back where no new ones have taken their place.
    """
    folder = folder.absolute()
    parent = folder.parent
    for aside in parent.glob(f".{pid}-????????.old"):
        if folder.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(folder)
    for staging in parent.glob(f".{pid}-????????.partial"):
        shutil.rmtree(staging, ignore_errors=True)
    lock = parent / lock_of_run(folder)
    try:
        held = json.loads(lock.read_text(encoding="utf-8"))
        if (held["pid"], held["host"]) == (pid, platform.node()):
            lock.unlink(missing_ok=True)
    except (OSError, ValueError, KeyError, TypeError):  # none, or none of ours
        return


def _take(lock: Path, who: str) -> None:
    """Make the lock file; nobody else can make it as well."""
    ours = json.dumps({"pid": os.getpid(), "host": platform.node(), "born": _born(os.getpid())})
    for _ in range(2):
        try:
            with lock.open("x", encoding="utf-8") as file:
                file.write(ours)
            return
        except FileExistsError:
            _remove_if_stale(lock, who)
    raise _taken(lock, who)


def _remove_if_stale(lock: Path, who: str) -> None:
    """Remove the lock of a process that has gone, else complain."""
    try:
        text = lock.read_text(encoding="utf-8")
    except FileNotFoundError:  # given back in this moment
        return
    try:
        owner = json.loads(text)
        pid, host, born = int(owner["pid"]), str(owner["host"]), owner["born"]
    except (ValueError, KeyError, TypeError):
        raise _taken(lock, who) from None
    if host != platform.node() or _runs(pid, born):
        raise _taken(lock, f"{who}, process {pid} on {host},")
    aside = lock.with_name(f".{secrets.token_hex(4)}.old")
    lock.rename(aside)
    if aside.read_text(encoding="utf-8") != text:  # somebody else took it over before us
        aside.rename(lock)
        raise _taken(lock, who)
    aside.unlink()


def _taken(lock: Path, who: str) -> ResultsError:
    return ResultsError(
        f"{who} is at work in this folder",
        str(lock.parent),
        f"wait for it, or delete {lock.name} there if you know that it is gone",
    )


def _runs(pid: int, born: str) -> bool:
    """Whether a process of this machine is still there; numbers are used again, so is its start."""
    if os.name == "nt":  # asking there would stop it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return _born(pid) == born


def _born(pid: int) -> str:
    """When a process started, in ticks since the machine did; empty where that is not told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
