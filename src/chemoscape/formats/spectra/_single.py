"""Spectra of a file one by one, each with what the file says of it alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chemoscape.formats._source import Spectra
from chemoscape.formats.spectra._labels import Column, fields_of
from chemoscape.formats.spectra._records import Record, in_eV, named

#: Units of what a detector gives, before anything was divided by I0.
_RAW = re.compile(r"k?counts?(/s(ec)?)?|cps|k?hz|[munp]?(a|v|amps?|volts?)", re.IGNORECASE)
_DENSITY = re.compile(r"od|optical[ _]density", re.IGNORECASE)

#: More lines than a header has that somebody reads.
_MOST_LINES = 300


def singles(
    records: Sequence[Record], where: Path, layout: str, notes: tuple[str, ...] = ()
) -> list[Spectra]:
    """Records as spectra; `notes` are about the file as a whole."""
    found = []
    for record in named(records, where):
        energy, said = in_eV(record.energy, "")
        found.append(
            Spectra(
                where=where,
                energy=energy,
                values=record.values[None],
                names=(record.name,),
                attrs={**record.facts, "layout": layout},
                notes=(*notes, *record.notes, *said),
            )
        )
    return found


def apart(
    spectra: Spectra, columns: tuple[Column, ...] | None, head: tuple[str, ...]
) -> list[Spectra]:
    """Spectra of a table one by one, with the unit and the quantity of each column."""
    fields = {key: text for key, text in fields_of(head).items() if text}
    header = {"header": "\n".join(head[:_MOST_LINES])} if head else {}
    found = []
    for k, name in enumerate(spectra.names):
        column = columns[k] if columns else Column("")
        unit = {"unit": column.unit} if column.unit else {}
        found.append(
            replace(
                spectra,
                names=(name,),
                values=spectra.values[k : k + 1],
                position=None,
                quantity=spectra.quantity or _quantity(column),
                attrs={**fields, **spectra.attrs, **unit, **header},
            )
        )
    return found


def _quantity(column: Column) -> str:
    """What a column holds, where its name or unit says it."""
    if _DENSITY.fullmatch(column.name):
        return "optical_density"
    return "counts" if _RAW.fullmatch(column.unit.strip()) else ""
