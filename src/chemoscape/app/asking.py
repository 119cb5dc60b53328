"""What a page asked, checked: every wrong question gets one clear sentence."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from chemoscape.errors import ChemoscapeError
from chemoscape.region import Region

_MISSING: Any = object()


class Asked:
    """The JSON object of one request.

    Every method returns one of its values, checked, and raises `ChemoscapeError` where it is
    missing (and has no default) or not what it should be.

    Examples
    --------
    >>> Asked({"energy": 12}).whole("energy", 0, 40)
    12
    >>> Asked({"energy": 41}).whole("energy", 0, 40)
    Traceback (most recent call last):
    chemoscape.errors.ChemoscapeError: energy: 41 is not a whole number from 0 to 40; reload ...
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table

    def has(self, name: str) -> bool:
        """Whether it was said, and is not null."""
        return self._table.get(name) is not None

    def text(self, name: str, *allowed: str, default: str | None = _MISSING) -> str:
        """A text, one of `allowed` where any are given; at most 200,000 characters."""
        if not self.has(name):
            return self._default(name, default)
        value = self._table[name]
        if not isinstance(value, str) or len(value) > 200_000 or not _can_be_named(value):
            raise _wrong(name, "is not a text")
        if allowed and value not in allowed:
            raise _wrong(name, f"{value[:40]!r} is not one of {', '.join(allowed)}")
        return value

    def whole(self, name: str, low: int, high: int, default: int | None = _MISSING) -> int:
        """A whole number from `low` to `high`, both included."""
        if not self.has(name):
            return self._default(name, default)
        value = self._table[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(name, f"{_short(value)} is not a whole number from {low} to {high}")
        return value

    def number(
        self, name: str, low: float = -1e12, high: float = 1e12, default: float | None = _MISSING
    ) -> float:
        """A finite number from `low` to `high`."""
        if not self.has(name):
            return self._default(name, default)
        value = self._table[name]
        if not _is_number(value) or not low <= value <= high:
            raise _wrong(name, f"{_short(value)} is not a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self._table[name] if self.has(name) else default
        if not isinstance(value, bool):
            raise _wrong(name, f"{_short(value)} is neither true nor false")
        return value

    def pairs(self, name: str, at_least: int = 1, at_most: int = 5000) -> np.ndarray:
        """Points, shape (n, 2)."""
        points = self.items(name, at_most)
        fit = all(isinstance(p, list) and len(p) == 2 and all(map(_is_number, p)) for p in points)
        if not fit or len(points) < at_least:
            raise _wrong(name, f"is not a list of {at_least} or more pairs of numbers")
        return np.array(points, dtype=float).reshape(-1, 2)

    def region(self, name: str = "region") -> Region:
        """A region in µm, ``{x, y}`` or ``{polygon}``."""
        return Region.from_mapping(self.table(name))

    def table(self, name: str, default: dict[str, Any] | None = _MISSING) -> dict[str, Any]:
        """A JSON object."""
        if not self.has(name):
            return self._default(name, default)
        value = self._table[name]
        if not isinstance(value, dict):
            raise _wrong(name, "is not a table of keys")
        return value

    def items(
        self, name: str, at_most: int = 1000, default: list[Any] | None = _MISSING
    ) -> list[Any]:
        """A list."""
        if not self.has(name):
            return self._default(name, default)
        value = self._table[name]
        if not isinstance(value, list) or len(value) > at_most:
            raise _wrong(name, f"is not a list of at most {at_most}")
        return value

    def value(self, name: str) -> Any:
        """Whatever was said; None where nothing was."""
        return self._table.get(name)

    def _default(self, name: str, default: Any) -> Any:
        if default is _MISSING:
            raise _wrong(name, "is missing")
        return default


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def finite(text: str) -> float:
    """A number of a question; `ValueError` for what is too large to be one, or is none."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is no finite number")
    return number


def whole(text: str) -> int | float:
    """A whole number of a question; one of more than 18 digits is one for which places matter no
    more.
    """
    return int(text) if len(text) < 19 else finite(text)


def _can_be_named(text: str) -> bool:
    """Whether a file could have this name: no zero, no half of a character."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _short(value: Any) -> str:
    return repr(value)[:40]


def _wrong(name: str, what: str) -> ChemoscapeError:
    return ChemoscapeError(what, name, "reload the page")
