"""Which stacks make up a series, and when each of them was measured."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, RecipeError
from chemoscape.formats import open_source
from chemoscape.formats.finding import find_stacks
from chemoscape.recipe import Recipe

#: Seconds in each unit of time that a recipe can name.
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_WHERE = "[series] stacks"


@dataclass(frozen=True)
class Moments:
    """The stacks of a series in the order of time.

    Parameters
    ----------
    paths : tuple of Path
        What is opened; absolute.
    times : ndarray, shape (n_time,)
        Rising.
    unit : {"s", "min", "h", "d", "1"}
        Of the times; "1" where they are only numbers, 0 for the first.
    source : {"recipe", "files", "numbers"}
        How they are known.
    """

    paths: tuple[Path, ...]
    times: np.ndarray
    unit: str
    source: str

    @property
    def axis(self) -> xr.Variable:
        """The coordinate ``time``."""
        words = {"recipe": "time", "files": "time since the first stack", "numbers": "stack"}
        attrs = {"long_name": words[self.source], "units": self.unit, "source": self.source}
        return xr.Variable("time", self.times, attrs)

    def name_of(self, number: int) -> str:
        """A moment in words: its file, and its time where that is known."""
        at = "" if self.source == "numbers" else f" at {self.times[number]:g} {self.unit}"
        return f"{self.paths[number].name}{at}"


def find_moments(recipe: Recipe) -> Moments:
    """The stacks that ``[series]`` names, each with its time.

    Patterns give files in natural order (``scan_9`` before ``scan_10``). Times come from the
    recipe; else from the files, where each says when it began, and then order the stacks too; else
    they are numbers.

    Raises
    ------
    RecipeError
        There are fewer than two stacks, a file among them is none, one is named twice, or there are
        as many times as stacks no longer.

    Warns
    -----
    ChemoscapeWarning
        Times are not known, or the files' own times order them in another way than they are named.
    """
    section, options = recipe.series, recipe.input.options()
    paths: list[Path] = []
    for text in section.stacks:
        found, left_out = find_stacks([text], options, asked_by=_WHERE)
        for one in left_out:
            warnings.warn(f"{_WHERE}: left out {one}", ChemoscapeWarning, stacklevel=2)
        for stack in found:
            if stack.error:
                raise RecipeError(stack.error.rstrip("."), _WHERE, "or leave this stack out")
            paths.append(stack.path)
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise RecipeError(f"{twice.name} is named twice", _WHERE, "name every stack once")
    if len(paths) < 2:
        raise RecipeError(
            f"a series of {len(paths)} stack has no evolution", _WHERE, "name two or more stacks"
        )
    own = recipe.input.path
    if own and Path(own) not in paths:
        raise RecipeError(
            f"[input] path names {Path(own).name}, which is none of the stacks of the series",
            remedy='leave it empty (path = ""), or name it in [series] stacks',
        )
    if section.times:
        if len(section.times) != len(paths):
            raise RecipeError(
                f"[series] has {len(paths)} stacks and {len(section.times)} times",
                remedy="give one time for each stack",
            )
        times = np.array(section.times, dtype=float)
        return Moments(tuple(paths), times, section.time_unit, "recipe")
    return _by_their_own_times(paths, options, section.time_unit)


def _by_their_own_times(paths: Sequence[Path], options: dict[str, Any], unit: str) -> Moments:
    """Moments in the order in which their files say that they began."""
    began = [_began(open_source(path, **options)[0].attrs.get("started")) for path in paths]
    known = [one for one in began if one is not None]
    aware = {one.tzinfo is not None for one in known}
    if len(known) < len(paths) or len(set(known)) < len(paths) or len(aware) > 1:
        warnings.warn(
            "the files do not all say when they were measured, so that time counts the stacks: "
            "give [series] times",
            ChemoscapeWarning,
            stacklevel=3,
        )
        return Moments(tuple(paths), np.arange(len(paths), dtype=float), "1", "numbers")
    order = sorted(range(len(paths)), key=known.__getitem__)
    if order != list(range(len(paths))):
        warnings.warn(
            "the stacks are taken in the order in which their files say that they were measured, "
            f"{', '.join(paths[k].name for k in order)}, not in that of their names",
            ChemoscapeWarning,
            stacklevel=3,
        )
    first = known[order[0]]
    seconds = np.array([(known[k] - first).total_seconds() for k in order])
    return Moments(tuple(paths[k] for k in order), seconds / SECONDS[unit], unit, "files")


def _began(text: object) -> datetime | None:
    """When a scan began, None where the file does not say it in a way that can be read."""
    if not isinstance(text, str) or not any(mark.isdigit() for mark in text):
        return None
    try:
        when = pd.Timestamp(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return None if when is pd.NaT else when.to_pydatetime()
