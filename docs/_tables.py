"""Reference tables made from the code at build time, so that they cannot go stale.

`write_tables` is called by conf.py; its files lie in docs/generated/, which git ignores.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from chemoscape.formats import formats
from chemoscape.recipe import Recipe, RegionTable, Section

SHAPES = {"array": "a list", "object": "one number for each name", "integer": "a number"}
SCHEMA = Path(__file__).with_name("summary.schema.json")


def write_tables(folder: Path) -> None:
    """Write one Markdown file per table; a file that would not change is left alone."""
    folder.mkdir(exist_ok=True)
    pages = {"recipe": recipe_tables(), "summary": summary_table(), "formats": format_table()}
    for name, text in pages.items():
        target = folder / f"{name}.md"
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def recipe_tables() -> str:
    """Every key of every section: its type, its default and what it does."""
    top, parts = [], []
    for name, field in Recipe.model_fields.items():
        model = model_of(field.annotation)
        if model is None:
            top.append((name, field))
        else:
            parts += section_tables(f"[{name}]", model)
    head = [heading("Top of the file"), table(["key", "value", "default", "meaning"], rows_of(top))]
    return "\n\n".join(head + parts) + "\n"


def section_tables(name: str, model: type[BaseModel]) -> list[str]:
    """A section's table, and those of the tables inside it."""
    fields = [(field.alias or key, field) for key, field in model.model_fields.items()]
    about = (model.__doc__ or "").strip().removeprefix(f"{name}: ")
    text = [heading(f"`{name}`"), about[:1].upper() + about[1:]]
    text.append(table(["key", "value", "default", "meaning"], rows_of(fields)))
    for key, field in fields:
        inner = model_of(field.annotation)
        if inner is not None and key == "material":
            text += section_tables(f"[{name.strip('[]')}.{key}]", inner)
    return text


def rows_of(fields: list[tuple[str, FieldInfo]]) -> Iterator[list[str]]:
    """Cells for each key."""
    for key, field in fields:
        meaning = field.description or "version of the recipe's format"
        values = values_of(field.annotation) + bounds_of(field.metadata)
        yield [f"`{key}`", values, default_of(field), meaning]


def default_of(field: FieldInfo) -> str:
    """The default as it is written in TOML."""
    if field.is_required():
        return "required"
    return "left out" if field.default is None else f"`{toml(field.default)}`"


def toml(value: Any) -> str:
    """A plain value in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def values_of(annotation: Any, plural: str = "") -> str:
    """What may stand behind the equals sign, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{toml(value)}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(values_of(one) for one in arguments if one is not type(None))
    if origin is list:
        return f"list{plural} of {values_of(arguments[0], 's')}"
    if origin is tuple:
        return "`[lowest, highest]`"
    if hasattr(annotation, "__metadata__"):
        more = [rule for one in annotation.__metadata__ for rule in getattr(one, "metadata", [])]
        return values_of(annotation.__origin__) + bounds_of(more)
    names = {str: "text", float: "number", int: "whole number", RegionTable: "region"}
    return "`true`, `false`" if annotation is bool else names.get(annotation, "table") + plural


def bounds_of(rules: list[Any]) -> str:
    """The limits of a number: " >= 0", " 1 to 8"."""
    limit = {
        sign: getattr(rule, sign)
        for rule in rules
        for sign in ("gt", "ge", "lt", "le")
        if hasattr(rule, sign)
    }
    if {"ge", "le"} <= limit.keys():
        return f", {limit['ge']} to {limit['le']}"
    signs = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    said = " and ".join(f"{signs[sign]} {value}" for sign, value in limit.items())
    return f", {said}" if said else ""


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The section behind an annotation, if it is one."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, Section):
            return one
    return None


def summary_table() -> str:
    """Keys of summary.json, with those of the tables inside."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    rows = []
    for key, entry in schema["properties"].items():
        reference = next(find_references(entry), None)
        about = entry.get("description", "")
        inner = ""
        if reference is not None and reference != "JsonValue":
            part = schema["$defs"][reference]
            inner = ", ".join(f"`{name}`" for name in part["properties"])
            about = ": ".join(text for text in (about, part["description"].rstrip(".")) if text)
        if entry.get("type") == "object" and inner:
            inner = f"for each {'name' if 'propertyNames' not in entry else one_of(entry)}: {inner}"
        rows.append(
            [f"`{key}`", inner or SHAPES.get(entry.get("type"), "a value"), about.rstrip(".")]
        )
    return table(["key", "holds", "meaning"], rows) + "\n"


def one_of(entry: dict[str, Any]) -> str:
    """The names that keys of an object may have."""
    return " and ".join(f"`{name}`" for name in entry["propertyNames"]["enum"])


def find_references(entry: Any) -> Iterator[str]:
    """Names of the definitions that a part of a schema points to."""
    if isinstance(entry, dict):
        if "$ref" in entry:
            yield entry["$ref"].rsplit("/", 1)[-1]
        for value in entry.values():
            yield from find_references(value)
    elif isinstance(entry, list):
        for value in entry:
            yield from find_references(value)


def format_table() -> str:
    """The formats that can be read, from their own records."""
    rows = [
        [
            one.title,
            ", ".join(f"`{extension}`" for extension in one.extensions),
            one.about,
            one.tried,
            "stacks, spectra" if one.spectra is not None else "stacks",
            ", ".join(f"`{extension}`" for extension in one.write_extensions) or "no",
        ]
        for one in formats()
    ]
    return table(["format", "files", "from", "tried on", "read", "written as"], rows) + "\n"


def heading(text: str) -> str:
    """A heading of the third level."""
    return f"### {text}"


def table(head: list[str], rows: Any) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([cell.replace("|", r"\|") for cell in row] for row in lines)
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)
