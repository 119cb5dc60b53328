"""Changing one value in a TOML text, so that comments and everything else stay as they are."""

from __future__ import annotations

import copy
import re
import tomllib
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from chemoscape.errors import RecipeError

Keys = tuple[str, ...]

#: Tables with more values than this get lines of their own.
ON_ONE_LINE = 3
#: Dots that a key may have, or a comment in one go: the time for reading it grows as their square.
MOST_PARTS = 1000


def parsed(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises
    ------
    ValueError
        It is none; or a key of it has so many parts that reading it would take minutes.
    RecursionError
        Its tables are too deep.
    """
    if max(one.count(".") for one in re.split(r"[=\n,{}\[\]]", text)) > MOST_PARTS:
        raise ValueError(f"a key of more than {MOST_PARTS} parts")
    return tomllib.loads(text)


def keys_of(dotted: str) -> Keys:
    """The keys of ``section.key``; a key with a dot in it is in quotes, as in TOML.

    Examples
    --------
    >>> keys_of('deconvolution.regions."no. 1"')
    ('deconvolution', 'regions', 'no. 1')
    """
    try:
        table = parsed(f"{dotted} = 0")
    except (ValueError, RecursionError):
        table = {}
    keys: list[str] = []
    while isinstance(table, dict) and len(table) == 1:
        ((key, table),) = table.items()
        keys.append(key)
    if table != 0 or not keys:
        raise RecipeError(f"{dotted[:60]!r} is no key of a recipe", remedy="reload the page")
    return tuple(keys)


def with_value(text: str, keys: Keys, value: Any) -> str:
    """The text with one value set, or removed if it is None.

    A new key follows the comment that announces it (``# cut =   # …``, as in a recipe that `init`
    wrote), else the last key of its section.

    Raises
    ------
    RecipeError
        The text is not TOML, the keys lead through a value, or it is none that TOML has.
    """
    try:
        expected = _plainly(tomllib.loads(text), keys, value)
        for change in (_after_its_comment, _in_place):
            try:
                changed = change(text, keys, value)
                if _filled_tables(tomllib.loads(changed)) == _filled_tables(expected):
                    return changed
            except (TOMLKitError, KeyError, TypeError, ValueError, IndexError):
                continue  # a text whose shape defeats it
        return tomlkit.dumps(expected)  # without its comments, but right
    except (ValueError, TypeError, RecursionError, TOMLKitError) as error:
        raise RecipeError(
            f"{'.'.join(keys)} cannot be set to {str(value)[:60]!r} ({error})",
            remedy="reload the page",
        ) from error


def _plainly(table: dict[str, Any], keys: Keys, value: Any) -> dict[str, Any]:
    """The same change of the tables alone."""
    result = here = copy.deepcopy(table)
    for key in keys[:-1]:
        if value is None and key not in here:
            return result
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            raise RecipeError(
                f"{'.'.join(keys)} leads through {key!r}, which is a value",
                remedy="remove that first",
            )
    if value is None:
        here.pop(keys[-1], None)
    else:
        here[keys[-1]] = _without_none(value)
    return result


def _filled_tables(value: Any) -> Any:
    """Without empty tables: one whose last table was removed may be gone with it."""
    if not isinstance(value, dict):
        return value
    inner = {key: _filled_tables(one) for key, one in value.items()}
    return {key: one for key, one in inner.items() if one != {}}


def _without_none(value: Any) -> Any:
    """TOML has no null: in tables it means that the key is not there."""
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_without_none(one) for one in value]
    return value


def _after_its_comment(text: str, keys: Keys, value: Any) -> str:
    """Insert a line behind the comment that announces its key."""
    *section, key = keys
    if value is None or not re.fullmatch(r"[A-Za-z0-9_-]+", key):
        raise KeyError(key)
    lines = text.split("\n")
    start = lines.index(f"[{'.'.join(section)}]") if section else -1
    announced = re.compile(rf"#\s*{key}\s*=")
    for number in range(start + 1, len(lines)):
        if lines[number].startswith("["):
            break
        if announced.match(lines[number]):
            lines.insert(number + 1, f"{key} = {as_item(_without_none(value)).as_string()}")
            return "\n".join(lines)
    raise KeyError(key)


def _in_place(text: str, keys: Keys, value: Any) -> str:
    """Set or remove it in the document, which keeps its comments."""
    document = tomlkit.parse(text)
    here: Any = document
    for depth, key in enumerate(keys[:-1]):
        if key not in here:
            if value is None:
                return text
            if depth == 0 and document.body and not text.endswith("\n\n"):
                document.add(tomlkit.nl())
            here[key] = tomlkit.table()
        here = here[key]
    if value is None:
        if keys[-1] not in here:
            return text
        del here[keys[-1]]
        return tomlkit.dumps(document)
    given = _without_none(value)
    lines = isinstance(given, dict) and len(given) > ON_ONE_LINE
    if isinstance(given, dict) and isinstance(here.get(keys[-1]), tomlkit.items.Table):
        _filled(here[keys[-1]], given)
    else:
        here[keys[-1]] = _as_table(given) if lines else as_item(given)
    return tomlkit.dumps(document)


def _filled(table: Any, given: dict[str, Any]) -> None:
    """Make a table hold these values, those that stay with their comments."""
    for key in [key for key in table if key not in given]:
        del table[key]
    for key, value in given.items():
        if key not in table or table[key] != value:
            table[key] = as_item(value)


def _as_table(given: dict[str, Any]) -> Any:
    table = tomlkit.table()
    for key, value in given.items():
        table.add(key, as_item(value))
    return table


def as_item(value: Any) -> Any:
    """A value on one line, tables in it too.

    Examples
    --------
    >>> as_item([{"cluster": 1, "into": 2}]).as_string()
    '[{cluster = 1, into = 2}]'
    """
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        for key, one in value.items():
            inline.append(key, as_item(one))
        return inline
    if isinstance(value, list):
        array = tomlkit.array()
        array.extend(as_item(one) for one in value)
        return array
    return tomlkit.item(value)
