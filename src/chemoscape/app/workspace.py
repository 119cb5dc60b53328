"""The folder for what runs write that are not exported: gone with its session, or soon after."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from contextlib import ExitStack
from pathlib import Path

from chemoscape.errors import ResultsError
from chemoscape.results.lock import only_one

PREFIX = "chemoscape-app-"
#: In the folder; holds whose it is.
LOCK = ".app.lock"


class Workspace:
    """A private temporary folder.

    It goes when it is closed, with the object, or at the end of the interpreter; that of an app
    which was killed goes when the next one starts.
    """

    def __init__(self) -> None:
        _remove_left()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))  # 0700
        self._held = ExitStack()
        self._held.enter_context(only_one(self.path, LOCK, "another app"))
        self.close = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _remove_left() -> None:
    """Remove the folders of this user's apps that have ended without doing so."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        folder = lock.parent
        try:
            ours = os.name == "nt" or folder.lstat().st_uid == os.getuid()
            if not ours or folder.is_symlink():
                continue
            with only_one(folder, LOCK, "another app"):
                shutil.rmtree(folder, ignore_errors=True)
        except (ResultsError, OSError):  # at work, or just removed by another
            continue
