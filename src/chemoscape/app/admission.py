"""Which recipes the app may take: those whose files lie in the opened folder."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from chemoscape.errors import RecipeError
from chemoscape.recipe import Recipe, paths_of


def named_by(recipe: Recipe) -> set[Path]:
    """All paths that a recipe names, its input too."""
    return {Path(text) for texts in paths_of(recipe).values() for text in texts}


def within(
    folder: Path, allowed: Iterable[Path] = (), scheduler: str = ""
) -> Callable[[Recipe], None]:
    """What may be edited: recipes whose files lie in a folder, links followed.

    Parameters
    ----------
    folder : Path
        The opened folder.
    allowed : iterable of Path
        Files and folders elsewhere that may be named too: those of the recipe that was opened.
    scheduler : str
        The cluster of the recipe that was opened; no page may send the work elsewhere.
    """
    root = folder.resolve()
    known = {one.resolve() for one in allowed}

    def admitted(recipe: Recipe) -> None:
        for key, texts in paths_of(recipe).items():
            for one in (match for text in texts for match in _matches(text)):
                named = one in known or one / "library.toml" in known
                if not (named or one.is_relative_to(root)):  # before the next one is looked for
                    raise RecipeError(
                        f"{key} names a file outside of the opened folder {root}",
                        str(one),
                        "copy it there, or start the app with a recipe that names it",
                    )
        if recipe.compute.scheduler != scheduler:
            raise RecipeError(
                "compute.scheduler is not changed here",
                remedy="change it in the file, and start the app with that",
            )

    return admitted


def _matches(text: str) -> Iterator[Path]:
    """A path, and the files behind it if it is a pattern; links followed.

    A pattern gives first the folder that it begins in: one that lies elsewhere is refused before a
    whole disk has been searched for it.
    """
    if glob.has_magic(text):
        fixed = itertools.takewhile(lambda part: not glob.has_magic(part), Path(text).parts)
        yield Path(*fixed).resolve()
    yield Path(text).resolve()
    if glob.has_magic(text):
        yield from (Path(one).resolve() for one in glob.iglob(text, recursive=True))
