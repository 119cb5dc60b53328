"""Between a standard and the lines of an XDI header."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from chemoscape.errors import LibraryError
from chemoscape.standards.naming import meant
from chemoscape.standards.record import PARTS, Record

if TYPE_CHECKING:
    from chemoscape.standards.standard import Standard

#: Tags whose content a `Standard` holds itself, outside its record.
OWN_TAGS = (
    *("Element.symbol", "Element.edge", "Standard.id", "Standard.label", "Standard.kind"),
    *("Standard.scale", "Standard.variable", "Standard.value", "Standard.value_sd"),
    *("Standard.source", "Sample.stoichiometry", "Sample.molar_mass", "Sample.density"),
)


def record_from(header: Mapping[str, str]) -> tuple[Record, dict[str, str]]:
    """Record that a header holds, and the lines that no field of ours takes.

    Parameters
    ----------
    header : mapping of str to str
        By ``"family.tag"`` in lower case, as `files.read_xdi` gives it.
    """
    left = {key: text for key, text in header.items() if not key.startswith("column.")}
    changes: dict[str, Any] = {}
    for _, one in _all_fields(Record()):
        tag = one.metadata["tag"].lower()
        text = left.get(tag, "").strip()
        value = text if isinstance(one.default, str) else leading_number(text)
        if text and value == value:  # of what is no number, the text is kept
            changes[one.name] = value
        if not text or value == value:
            left.pop(tag, None)
    element, edge = left.get("element.symbol", ""), left.get("element.edge", "")
    if element and "edges" not in changes:
        changes["edges"] = f"{element} {edge}".strip()
    for tag in OWN_TAGS:
        left.pop(tag.lower(), None)
    return Record().with_(**changes), left


def header_of(standard: Standard, variable: str) -> dict[str, str]:
    """Lines of the header of a standard's file, by ``"Family.tag"``; what is unknown is left out.

    Parameters
    ----------
    standard : Standard
    variable : str
        What its value means.
    """
    symbol, _, edge = standard.record.measurement.edges.split(",")[0].strip().partition(" ")
    own = {
        "Element.symbol": symbol,
        "Element.edge": edge,
        "Sample.stoichiometry": standard.formula,
        "Sample.molar_mass": _with_unit(standard.molar_mass, "g/mol"),
        "Sample.density": _with_unit(standard.density, "g/cm3"),
        "Standard.id": standard.id,
        "Standard.label": standard.label,
        "Standard.kind": standard.kind,
        "Standard.scale": standard.scale,
        "Standard.variable": variable,
        "Standard.value": _with_unit(standard.value, ""),
        "Standard.value_sd": _with_unit(standard.value_sd or np.nan, ""),
        "Standard.source": standard.source,
    }
    known = {
        one.metadata["tag"]: value
        if isinstance(value, str)
        else _with_unit(value, one.metadata["unit"])
        for value, one in _all_fields(standard.record)
    }
    others = {_capital(key): text for key, text in standard.metadata.items()}
    said = {tag: text for tag, text in known.items() if text.strip()}
    lines = {**own, **known, **others, **said}
    return {tag: " ".join(text.split()) for tag, text in lines.items() if text.strip()}


def field_from_text(text: str) -> tuple[str, Any]:
    """Field of a record from ``"name=value"``.

    Raises
    ------
    LibraryError
        There is no such field, or its value is no number where one is needed.

    Examples
    --------
    >>> field_from_text("handling=in argon"), field_from_text("dwell_ms=2")
    (('handling', 'in argon'), ('dwell_ms', 2.0))
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if name == "remarks" and equals:
        return name, value
    known = {one.name: one for _, one in _all_fields(Record())}
    if not equals or name not in known:
        what = f"{text!r} sets no field of a standard's record"
        raise LibraryError(what, remedy=meant(name, [*known, "remarks"]))
    if isinstance(known[name].default, str):
        return name, value
    number = leading_number(value)
    if not np.isfinite(number):
        raise LibraryError(f"{name} is {value!r}, not a number", remedy=f"write {name}=1.5")
    return name, number


def leading_number(text: str) -> float:
    """The number that a line starts with (``"3.36 g/cm3"``), NaN when it starts with none."""
    try:
        return float(text.split()[0])
    except (IndexError, ValueError):
        return float("nan")


def _all_fields(record: Record) -> Iterator[tuple[Any, Field[Any]]]:
    """Value and description of each field of a record."""
    for part in PARTS:
        holder = getattr(record, part)
        for one in fields(holder):
            yield getattr(holder, one.name), one


def _with_unit(value: float, unit: str) -> str:
    """A number and its unit, or nothing."""
    return f"{float(value)!r} {unit}".rstrip() if np.isfinite(value) else ""


def _capital(key: str) -> str:
    """``"mono.name"`` as XDI writes it: ``"Mono.name"``."""
    return key[:1].upper() + key[1:]
