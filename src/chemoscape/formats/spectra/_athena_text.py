"""The text of Athena's projects, Perl or JSON, cut into records; Perl is never run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError

_STATEMENT = re.compile(r"^(?:([@$])(\w+)\s*=\s*|\[record\])", re.MULTILINE)
_NUMBERS = re.compile(r"\(([^()]*)\)\s*;")
_TOKEN = re.compile(
    r"""\s*(?:'([^'\\]*(?:\\.[^'\\]*)*)'|"([^"\\]*(?:\\.[^"\\]*)*)"|(=>|[()\[\]{},;])"""
    r"""|([^\s'"()\[\]{},;=]+|=))""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x\{([0-9a-fA-F]{1,6})\}|(.))", re.DOTALL)

#: More than any spectrum has.
_MOST_POINTS = 1_000_000

DAMAGED = "the file is truncated or damaged: copy it again, or export the spectra as columns"


@dataclass
class Group:
    """One record as it is written."""

    key: str = ""
    args: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.args.get("label") or self.key

    def has(self, flag: str) -> bool:
        return self.args.get(flag, "") not in ("", "0", "undef", "False", "None")

    def number(self, name: str) -> float:
        try:
            return float(self.args.get(name) or 0)
        except ValueError:
            return np.nan


def of_perl(text: str, where: str) -> Iterator[Group]:
    """Records of the Perl flavour: arrays up to each ``[record]``."""
    group = Group()
    read = 0
    for statement in _STATEMENT.finditer(text):
        kind, name = statement.groups()
        if statement.start() < read:  # inside a text
            continue
        if kind is None:
            if group.args or group.arrays:
                yield group
            group = Group()
        elif kind == "$" and name == "old_group":
            group.key = next(_tokens(text, statement.end(), where))[1]
        elif name == "args":
            group.args, read = _pairs(text, statement.end(), where)
        elif name in ("x", "y"):
            group.arrays[name] = _numbers_at(text, statement.end(), f"@{name}", where)
    if group.arrays:
        raise FileFormatError(f"ends inside record {group.label!r}", where, DAMAGED)


def _numbers_at(text: str, start: int, name: str, where: str) -> np.ndarray:
    """Numbers of ``('1.5','2',…);``."""
    match = _NUMBERS.match(text, start)
    if match is None or match[1].count(",") > _MOST_POINTS:
        line = text.count("\n", 0, start) + 1
        raise FileFormatError(f"line {line}: {name} is no list of numbers", where, DAMAGED)
    return _floats([word for word in re.split(r"[\s,'\"]+", match[1]) if word], name, where)


def _floats(words: list[Any], name: str, where: str) -> np.ndarray:
    """Numbers of texts or numbers."""
    try:
        return np.array([float(word) for word in words if not isinstance(word, bool)])
    except (ValueError, TypeError, OverflowError) as error:
        raise FileFormatError(
            f"{name} of a record holds something that is not a number ({str(error)[:60]})",
            where,
            DAMAGED,
        ) from error


def _tokens(text: str, start: int, where: str) -> Iterator[tuple[str, str, int]]:
    """``("text" | "mark" | "word", content, end)`` from `start` on."""
    offset = start
    while match := _TOKEN.match(text, offset):
        single, double, mark, word = match.groups()
        quoted = single if single is not None else double
        if quoted is not None:
            yield "text", _ESCAPE.sub(_unescaped, quoted), match.end()
        elif mark is not None:
            yield "mark", mark, match.end()
        else:
            yield "word", "" if word == "undef" else word, match.end()
        offset = match.end()
    line = text.count("\n", 0, offset) + 1
    raise FileFormatError(f"line {line}: a text or a list is never closed", where, DAMAGED)


def _unescaped(match: re.Match[str]) -> str:
    """The character that a backslash stands for."""
    if match[1]:
        code = int(match[1], 16)
        return chr(code) if code < 0xD800 or 0xE000 <= code < 0x110000 else "?"
    return match[2]


def _pairs(text: str, start: int, where: str) -> tuple[dict[str, str], int]:
    """``('key','value','key',[…],…)`` as a dict of texts, and where it ends; lists count as ""."""
    flat: list[str] = []
    depth, end = 0, start
    for kind, word, after in _tokens(text, start, where):
        end = after
        if kind == "mark" and word in "([{":
            depth += 1
            if depth == 2:
                flat.append("")
        elif kind == "mark" and word in ")]}":
            depth -= 1
            if depth <= 0:
                break
        elif kind == "mark" and word == ";":
            raise FileFormatError("@args ends before it is closed", where, DAMAGED)
        elif kind != "mark" and depth == 1:
            flat.append(word)
    return dict(zip(flat[::2], flat[1::2], strict=False)), end


def of_json(text: str, where: str) -> Iterator[Group]:
    """Records of the JSON flavour: one object each, in the order of ``_____order``."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"is not readable as JSON ({str(error)[:80]})", where, DAMAGED
        ) from error
    order = content.get("_____order")
    keys = [key for key in order if isinstance(key, str)] if isinstance(order, list) else []
    for key in keys or [key for key in content if not key.startswith("_____")]:
        entry = content.get(key)
        if not isinstance(entry, Mapping):
            continue
        args = entry.get("args")
        args = args if isinstance(args, Mapping) else {}
        flat = {
            str(name): str(int(value) if isinstance(value, bool) else value)
            for name, value in args.items()
            if isinstance(value, str | int | float)
        }
        group = Group(key, flat)
        for name in ("x", "y"):
            if isinstance(values := entry.get(name), list) and len(values) <= _MOST_POINTS:
                group.arrays[name] = _floats(values, name, where)
        yield group
