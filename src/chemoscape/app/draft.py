"""The recipe as it is being worked on: a text with its comments, in revisions."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chemoscape.app.admission import named_by, within
from chemoscape.app.own_file import OwnFile
from chemoscape.app.toml_edits import keys_of, parsed, with_value
from chemoscape.errors import ChemoscapeError, RecipeError
from chemoscape.recipe import Recipe, make_recipe, refuse_contradictions

#: Steps that can be undone.
MOST_STEPS = 200
#: Keys that one edit may set; each reads the whole text anew.
MOST_CHANGES = 100


class StaleRevision(ChemoscapeError):
    """An edit of a recipe that has changed meanwhile, in another tab perhaps."""


@dataclass(frozen=True)
class _State:
    text: str
    recipe: Recipe


class Draft:
    """A session's recipe: its text, checked, with undo.

    Every change names the revision that it was made of, and gives the next one. It is checked
    whole before anything changes: a wrong value leaves all as it was.

    Parameters
    ----------
    text : str
        The recipe (TOML).
    path : Path
        Where it lies, or would be saved; its paths are relative to that folder.
    admitted : callable
        Called with every new recipe; raises `ChemoscapeError` if it may not be; see `within`.
    on_disk : bool
        Whether the file at `path` holds this text.

    Raises
    ------
    ChemoscapeError
        It is no recipe, or is not admitted.

    Examples
    --------
    >>> draft = Draft("[clusters] # found", Path("wire.toml"), lambda recipe: None)
    >>> draft.edit(0, {"clusters.cut": 3})
    1
    >>> print(draft.text)
    [clusters] # found
    cut = 3
    >>> draft.undo(1), draft.text
    (2, '[clusters] # found')
    """

    def __init__(
        self,
        text: str,
        path: Path,
        admitted: Callable[[Recipe], None],
        *,
        on_disk: bool = False,
    ) -> None:
        self._lock = threading.RLock()
        self._file = OwnFile(Path(path).absolute(), text if on_disk else None)
        self._admitted = admitted
        self._now = self._checked(text)
        self._before: deque[_State] = deque(maxlen=MOST_STEPS)
        self._after: list[_State] = []
        self._said = [self._now.recipe]  # by revision

    @property
    def path(self) -> Path:
        """Where it lies, or would be saved."""
        return self._file.path

    @property
    def revision(self) -> int:
        """A number that rises with every change."""
        return len(self._said) - 1

    @property
    def text(self) -> str:
        """The recipe as TOML."""
        return self._now.text

    @property
    def recipe(self) -> Recipe:
        """The recipe, checked, its paths absolute."""
        return self._now.recipe

    @property
    def table(self) -> dict[str, Any]:
        """The recipe with all defaults, as JSON has it; paths absolute."""
        return self._now.recipe.model_dump(mode="json", by_alias=True)

    @property
    def saved(self) -> bool:
        """Whether its file holds this text, as far as we wrote or read it."""
        return self._file.text == self._now.text

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return bool(self._before)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone change."""
        return bool(self._after)

    @property
    def contradiction(self) -> str:
        """Why it cannot be run as it stands, though each value is right; empty if it can.

        It is no error of an edit: what belongs together may be changed one after the other.
        """
        try:
            refuse_contradictions(self._now.recipe)
        except ChemoscapeError as error:
            return str(error)
        return ""

    def seen(self) -> dict[str, Any]:
        """All of this at one moment, as JSON has it."""
        with self._lock:
            return {
                "revision": self.revision,
                "text": self.text,
                "table": self.table,
                "name": self.path.name,
                "saved": self.saved,
                "can_undo": self.can_undo,
                "can_redo": self.can_redo,
                "contradiction": self.contradiction,
            }

    def at(self, revision: int) -> Recipe:
        """The recipe, if this is its revision, admitted once more: links may lead elsewhere by now.

        Raises
        ------
        StaleRevision
            The recipe has changed meanwhile.
        ChemoscapeError
            It is no longer admitted.
        """
        with self._lock:
            self._require(revision)
            self._admitted(self.recipe)
            return self.recipe

    def says_as_at(self, revision: int | None) -> bool:
        """Whether the recipe is as it was at a revision, comments and order of its lines aside."""
        return revision is not None and self._said[revision] == self.recipe

    def edit(self, revision: int, changes: Mapping[str, Any]) -> int:
        """Set keys, such as ``{"clusters.cut": 3}``; None removes one. The new revision.

        Raises
        ------
        StaleRevision
            The recipe has changed meanwhile.
        ChemoscapeError
            A key is unknown, a value is wrong, or the recipe is not admitted.
        """
        with self._lock:
            self._require(revision)
            text = self.text
            if len(changes) > MOST_CHANGES:
                raise RecipeError(
                    f"one edit sets at most {MOST_CHANGES} keys", remedy="change the text instead"
                )
            for dotted, value in changes.items():
                text = with_value(text, keys_of(dotted), value)
            return self._take(text)

    def replace(self, revision: int, text: str) -> int:
        """Take another text; the new revision. Raises as `edit` does."""
        with self._lock:
            self._require(revision)
            return self._take(text)

    def undo(self, revision: int) -> int:
        """Take back the last change; the new revision, or the same if there is none."""
        return self._turn(revision, self._before, self._after)

    def redo(self, revision: int) -> int:
        """Make the change anew that was taken back last; the new revision, or the same."""
        return self._turn(revision, self._after, self._before)

    def save(self, revision: int, name: str | None = None, overwrite: bool = False) -> Path:
        """Write the text into a file of its folder; where it lies.

        Raises
        ------
        StaleRevision
            The recipe has changed meanwhile.
        ChemoscapeError
            It is not to be, or cannot be, written; see `OwnFile`.
        """
        with self._lock:
            self._require(revision)
            name = self.path.name if name is None else name
            self._file = self._file.written(name, self.text, overwrite)
            return self.path

    def _require(self, revision: int) -> None:
        if revision != self.revision:
            raise StaleRevision(
                f"the recipe has changed meanwhile (revision {self.revision}, not {revision})",
                remedy="look at it as it is now, and change it again",
            )

    def _take(self, text: str) -> int:
        """Make a text the present one, if it is right."""
        new = self._checked(text)
        if text != self.text:
            self._before.append(self._now)
            self._after.clear()
            self._now = new
            self._said.append(new.recipe)
        return self.revision

    def _turn(self, revision: int, source: Any, other: Any) -> int:
        with self._lock:
            self._require(revision)
            if source:
                other.append(self._now)
                self._now = source.pop()
                self._said.append(self._now.recipe)
            return self.revision

    def _checked(self, text: str) -> _State:
        where = self.path.name
        try:
            text.encode()  # no half characters, which no file could hold
            table = parsed(text)
        except (ValueError, RecursionError) as error:  # numbers too long, tables too deep
            raise RecipeError(f"not valid TOML ({error})", where, "correct that line") from error
        recipe = make_recipe(table, where=where, folder=self.path.parent)
        self._admitted(recipe)
        return _State(text, recipe)


__all__ = ["Draft", "StaleRevision", "named_by", "within"]
