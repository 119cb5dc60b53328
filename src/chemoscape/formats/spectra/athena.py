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

import re
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats._source import Spectra, Wanted, some
from chemoscape.formats.spectra._athena_text import DAMAGED, Group, of_json, of_perl
from chemoscape.formats.spectra._records import Record, together

_MARK = re.compile(r"^(\s*\{.*\")?\s*#\s*Athena project file\s*--", re.DOTALL)
_NOT_OVER_ENERGY = ("is_chi", "is_rsp", "is_qsp", "is_pixel")

_HIGHEST_KEV = 200.0

LAYOUT = "Athena project"

#: Parameters of a record, and how they are called here.
_KNOWN = {
    "bkg_z": "element",
    "fft_edge": "edge",
    "bkg_e0": "e0_eV",
    "recordtype": "recordtype",
    "source": "source",
    "provenance": "provenance",
    "beamline": "beamline",
    "annotation": "annotation",
}
_NOTHING = "@&^^null^^&@"  # what Athena writes for an empty text


def is_athena(text: str) -> bool:
    """Whether a text starts as Athena's project files do, in Perl or in JSON."""
    return _MARK.search(text[:1000]) is not None


def parse(text: str, path: Path, wanted: Wanted) -> Spectra:
    """The records over energy of a project that share one axis, or the one asked for.

    Raises
    ------
    FileFormatError
        It is damaged, holds no record over energy, or not the one that was asked for.
    """
    found, skipped = records(text, path)
    chosen, choices, said = together(found, path, wanted)
    notes = [left_out(skipped)] if skipped and not choices else []
    notes += said
    if shifted := [
        f"{record.name} {float(shift):+.3f} eV"
        for record in chosen
        if (shift := record.facts.get("energy_shift_eV"))
    ]:
        notes += [f"the project's energy shifts are added: {_listed(shifted)}"]
    return Spectra(
        where=path,
        energy=chosen[0].energy,
        values=np.stack([record.values for record in chosen]),
        names=tuple(record.name for record in chosen),
        attrs={"layout": LAYOUT, **_shared(found)},
        choices=choices,
        notes=tuple(notes),
    )


def records(text: str, path: Path) -> tuple[list[Record], list[str]]:
    """Every record over energy of a project, and the names of the others.

    Raises
    ------
    FileFormatError
        It is damaged, or holds no record over energy.
    """
    is_json = text.lstrip().startswith("{")
    groups = list(of_json(text, str(path)) if is_json else of_perl(text, str(path)))
    skipped = [group.label for group in groups if any(map(group.has, _NOT_OVER_ENERGY))]
    groups = [group for group in groups if not any(map(group.has, _NOT_OVER_ENERGY))]
    if not groups:
        what = "holds only records over k, R or pixels" if skipped else "holds no records"
        raise FileFormatError(what, str(path), "give a project with spectra over energy")
    return [_record(group, str(path)) for group in groups], skipped


def left_out(skipped: list[str]) -> str:
    """What to say of records that are no spectra over energy."""
    return f"{len(skipped)} records not over energy are left out: {_listed(skipped)}"


def _record(group: Group, where: str) -> Record:
    """Energies (eV, shifted, ascending) and values of a record."""
    x, y = (group.arrays.get(name, np.empty(0)) for name in "xy")
    shift = group.number("bkg_eshift")
    if x.size != y.size or not x.size:
        raise FileFormatError(
            f"record {group.label!r} has {x.size} energies and {y.size} values", where, DAMAGED
        )
    if group.has("is_kev") and np.abs(x).max() < _HIGHEST_KEV:  # newer ones store eV all the same
        x = 1000.0 * x
    with np.errstate(over="ignore"):
        x = x + shift
    if not np.isfinite(x).all():
        raise FileFormatError(
            f"record {group.label!r} has an energy or a shift that is no number", where, DAMAGED
        )
    energy, first = np.unique(x, return_index=True)  # old projects repeat points and go back
    return Record(group.label, energy, y[first], _facts(group, shift), _notes(x, energy))


def _facts(group: Group, shift: float) -> dict[str, str]:
    """What a record says of itself, in words of ours."""
    facts = {name: group.args.get(key, "") for key, name in _KNOWN.items()}
    for name in ("element", "edge"):
        facts[name] = facts[name][:1].upper() + facts[name][1:]
    if shift:
        facts["energy_shift_eV"] = repr(shift)
    if group.has("is_nor"):
        facts["corrections"] = "normalised"
    if group.has("is_merge"):
        facts["merged"] = "yes"
    return {name: text for name, text in facts.items() if text and text != _NOTHING}


def _notes(x: np.ndarray, energy: np.ndarray) -> tuple[str, ...]:
    """What to say of energies that had to be put in order."""
    if energy.size < x.size:
        return (f"{x.size - energy.size} points repeat an energy; the first counts",)
    return () if (x == energy).all() else ("its energies do not ascend, and were sorted",)


def _shared(found: list[Record]) -> dict[str, str]:
    """Element and edge, where all records have the same."""
    facts = {}
    for name in ("element", "edge"):
        values = {record.facts.get(name, "") for record in found}
        if len(values) == 1 and (value := values.pop()):
            facts[name] = value
    return facts


def _listed(items: list[str]) -> str:
    """The first few."""
    return ", ".join(some(items))
