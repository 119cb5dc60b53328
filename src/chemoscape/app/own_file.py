"""The file of a recipe that is being worked on: never replaced where it is somebody else's."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from chemoscape.errors import RecipeError
from chemoscape.results import write_text

#: What no system allows in a file's name, or what would leave the folder.
_FOREIGN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


class OwnFile:
    """A file that we have read or written, or may write.

    Parameters
    ----------
    path : Path
        Where it lies, or would be saved.
    text : str or None
        What it holds; None where it is not ours yet.
    """

    def __init__(self, path: Path, text: str | None) -> None:
        self.path, self.text = path, text
        self._digest = _digest(path) if text is not None else None

    def written(self, name: str, text: str, overwrite: bool) -> OwnFile:
        """Write a text under a name in the same folder, whole or not at all.

        Raises
        ------
        RecipeError
            It is no plain name of a recipe; or another file, or a later version of this one, is
            there and is not to be overwritten.
        ResultsError
            It cannot be written.
        """
        target = self.path.with_name(_plain(name))
        if target.is_symlink() or (target.exists() and not target.is_file()):
            raise RecipeError("this is no ordinary file", target.name, "choose another name")
        if target.exists() and not overwrite:
            self._refuse_foreign(target)
        write_text(target, text, overwrite=True)
        return OwnFile(target, text)

    def _refuse_foreign(self, target: Path) -> None:
        """Refuse to replace what we have neither read nor written."""
        if target != self.path or self._digest is None:
            raise RecipeError(
                "this file exists already", target.name, "choose another name, or overwrite it"
            )
        if _digest(target) != self._digest:
            raise RecipeError(
                "this file was changed by another program since it was read",
                target.name,
                "choose another name, or overwrite it",
            )


def _plain(name: str) -> str:
    """A name that stays in its folder."""
    long = len(name.encode(errors="surrogatepass")) > 200
    wrong = _FOREIGN.search(name) or name.startswith(".") or long
    if wrong or not name.lower().endswith(".toml"):
        raise RecipeError(
            f"{name[:60]!r} is no name for a recipe",
            remedy="give a file name without folders that ends in .toml",
        )
    return name


def _digest(path: Path) -> str | None:
    """Hash of a file's content; None if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
