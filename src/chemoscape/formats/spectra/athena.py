"""Athena project files: Perl text or JSON, gzipped or plain.

The Perl flavour is a program that would rebuild the project; it is parsed as text and never run::

    # Athena project file -- Demeter version 0.9.24
    $old_group = 'nuldi';
    @args = ('label','V2O5','bkg_eshift','0.35','titles',[],…);
    @x = ('5365','5367.5',…);
    @y = ('0.402','0.401',…);
    [record]

``x`` holds energies before the shift ``bkg_eshift`` (eV), which the user found and Athena adds
whenever it shows the record; so it is added here too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats._source import Spectra, Wanted, some
from chemoscape.formats.spectra._records import Record, together, unique_names

_MARK = re.compile(r"^(\s*\{.*\")?\s*#\s*Athena project file\s*--", re.DOTALL)
_STATEMENT = re.compile(r"^(?:([@$])(\w+)\s*=\s*|\[record\])", re.MULTILINE)
_NUMBERS = re.compile(r"\(([^()]*)\)\s*;")
_TOKEN = re.compile(
    r"""\s*(?:'([^'\\]*(?:\\.[^'\\]*)*)'|"([^"\\]*(?:\\.[^"\\]*)*)"|(=>|[()\[\]{},;])"""
    r"""|([^\s'"()\[\]{},;=]+|=))""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x\{([0-9a-fA-F]{1,6})\}|(.))", re.DOTALL)
_NOT_OVER_ENERGY = ("is_chi", "is_rsp", "is_qsp", "is_pixel")

_HIGHEST_KEV = 200.0

#: More than any spectrum has.
_MOST_POINTS = 1_000_000

_DAMAGED = "the file is truncated or damaged: copy it again, or export the spectra as columns"


@dataclass
class _Group:
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


def is_athena(text: str) -> bool:
    """Whether a text starts as Athena's project files do, in Perl or in JSON."""
    return _MARK.search(text[:1000]) is not None


def parse(text: str, path: Path, wanted: Wanted) -> Spectra:
    """The records over energy of a project.

    Raises
    ------
    FileFormatError
        It is damaged, holds no record over energy, or not the one that was asked for.
    """
    is_json = text.lstrip().startswith("{")
    groups = list(_of_json(text, str(path)) if is_json else _of_perl(text, str(path)))
    skipped = [group.label for group in groups if any(map(group.has, _NOT_OVER_ENERGY))]
    groups = [group for group in groups if not any(map(group.has, _NOT_OVER_ENERGY))]
    if not groups:
        what = "holds only records over k, R or pixels" if skipped else "holds no records"
        raise FileFormatError(what, str(path), "give a project with spectra over energy")
    notes: list[str] = []
    records = [_record(group, str(path)) for group in groups]
    chosen, choices, said = together(records, path, wanted)
    if skipped and not choices:
        notes += [f"{len(skipped)} records not over energy are left out: {_listed(skipped)}"]
    notes += said
    names = unique_names([record.name for record in records])
    shifts = {
        name: shift
        for name, group in zip(names, groups, strict=True)
        if (shift := group.number("bkg_eshift")) != 0
    }
    opened = [record.name for record in chosen]
    if shifted := [f"{name} {shifts[name]:+.3f} eV" for name in opened if name in shifts]:
        notes += [f"the project's energy shifts are added: {_listed(shifted)}"]
    return Spectra(
        where=path,
        energy=chosen[0].energy,
        values=np.stack([record.values for record in chosen]),
        names=tuple(opened),
        attrs={"layout": "Athena project", **_edge(groups)},
        choices=choices,
        notes=tuple(notes),
    )


def _record(group: _Group, where: str) -> Record:
    """Energies (eV, shifted, ascending) and values of a record."""
    x, y = (group.arrays.get(name, np.empty(0)) for name in "xy")
    shift = group.number("bkg_eshift")
    if x.size != y.size or not x.size:
        raise FileFormatError(
            f"record {group.label!r} has {x.size} energies and {y.size} values", where, _DAMAGED
        )
    if group.has("is_kev") and np.abs(x).max() < _HIGHEST_KEV:  # newer ones store eV all the same
        x = 1000.0 * x
    with np.errstate(over="ignore"):
        x = x + shift
    if not np.isfinite(x).all():
        raise FileFormatError(
            f"record {group.label!r} has an energy or a shift that is no number", where, _DAMAGED
        )
    energy, first = np.unique(x, return_index=True)  # old projects repeat points and go back
    return Record(group.label, energy, y[first])


def _edge(groups: list[_Group]) -> dict[str, str]:
    """Element and edge, where all records have the same."""
    facts = {}
    for name, key in (("element", "bkg_z"), ("edge", "fft_edge")):
        values = {group.args.get(key, "") for group in groups}
        if len(values) == 1 and (value := values.pop()):
            facts[name] = value[:1].upper() + value[1:]
    return facts


def _of_perl(text: str, where: str) -> Iterator[_Group]:
    """Records of the Perl flavour: arrays up to each ``[record]``."""
    group = _Group()
    read = 0
    for statement in _STATEMENT.finditer(text):
        kind, name = statement.groups()
        if statement.start() < read:  # inside a text
            continue
        if kind is None:
            if group.args or group.arrays:
                yield group
            group = _Group()
        elif kind == "$" and name == "old_group":
            group.key = next(_tokens(text, statement.end(), where))[1]
        elif name == "args":
            group.args, read = _pairs(text, statement.end(), where)
        elif name in ("x", "y"):
            group.arrays[name] = _numbers_at(text, statement.end(), f"@{name}", where)
    if group.arrays:
        raise FileFormatError(f"ends inside record {group.label!r}", where, _DAMAGED)


def _numbers_at(text: str, start: int, name: str, where: str) -> np.ndarray:
    """Numbers of ``('1.5','2',…);``."""
    match = _NUMBERS.match(text, start)
    if match is None or match[1].count(",") > _MOST_POINTS:
        line = text.count("\n", 0, start) + 1
        raise FileFormatError(f"line {line}: {name} is no list of numbers", where, _DAMAGED)
    return _floats([word for word in re.split(r"[\s,'\"]+", match[1]) if word], name, where)


def _floats(words: list[Any], name: str, where: str) -> np.ndarray:
    """Numbers of texts or numbers."""
    try:
        return np.array([float(word) for word in words if not isinstance(word, bool)])
    except (ValueError, TypeError, OverflowError) as error:
        raise FileFormatError(
            f"{name} of a record holds something that is not a number ({str(error)[:60]})",
            where,
            _DAMAGED,
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
    raise FileFormatError(f"line {line}: a text or a list is never closed", where, _DAMAGED)


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
            raise FileFormatError("@args ends before it is closed", where, _DAMAGED)
        elif kind != "mark" and depth == 1:
            flat.append(word)
    return dict(zip(flat[::2], flat[1::2], strict=False)), end


def _of_json(text: str, where: str) -> Iterator[_Group]:
    """Records of the JSON flavour: one object each, in the order of ``_____order``."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"is not readable as JSON ({str(error)[:80]})", where, _DAMAGED
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
        group = _Group(key, flat)
        for name in ("x", "y"):
            if isinstance(values := entry.get(name), list) and len(values) <= _MOST_POINTS:
                group.arrays[name] = _floats(values, name, where)
        yield group


def _listed(items: list[str]) -> str:
    """The first few."""
    return ", ".join(some(items))
