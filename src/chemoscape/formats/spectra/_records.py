"""Spectra that a file holds one by one, each over energies of its own, put together on one axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats._source import Choice, Spectra, Wanted, choose, some

#: Energies that differ by less are the same, eV; a monochromator cannot tell them apart.
_SAME_EV = 1e-3

#: More spectra than any project holds.
_MOST_RECORDS = 2000

#: No X-ray edge lies below, eV; such numbers may be keV.
_LOWEST_EV = 20.0


@dataclass(frozen=True, eq=False)
class Record:
    """One spectrum: its name, energies (eV) and values, what the file says of it alone, and what a
    user must know of it.
    """

    name: str
    energy: np.ndarray
    values: np.ndarray
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names, numbered where they repeat; never empty.

    Examples
    --------
    >>> unique_names(["a", "b", "a", ""])
    ('a', 'b', 'a (2)', 'spectrum 4')
    """
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    unique = []
    for number, given in enumerate(names, start=1):
        name = wanted = " ".join(given.split()) or f"spectrum {number}"
        while name in taken:
            counts[wanted] += 1
            name = f"{wanted} ({counts[wanted] + 1})"
        taken.add(name)
        unique.append(name)
    return tuple(unique)


def named(records: Sequence[Record], where: Path) -> list[Record]:
    """Records with names of their own.

    Raises
    ------
    FileFormatError
        They are more than any project holds.
    """
    if len(records) > _MOST_RECORDS:
        raise FileFormatError(
            f"holds {len(records)} spectra, which no project does", str(where), "copy it again"
        )
    names = unique_names([record.name for record in records])
    return [replace(record, name=name) for record, name in zip(records, names, strict=True)]


def together(
    records: Sequence[Record], where: Path, wanted: Wanted
) -> tuple[list[Record], tuple[Choice, ...], tuple[str, ...]]:
    """The record that was asked for, or the largest set that shares its energies; the choice, and
    what to say of the others.
    """
    records = named(records, where)
    names = [record.name for record in records]
    for kind in ("region", "channel"):
        wish = getattr(wanted, kind)
        if wish is not None:
            choice = choose(kind, names, wish, where)
            return [records[choice.index]], (choice,), ()
    sets: list[list[Record]] = []
    for record in records:
        same = (kept for kept in sets if _same_energies(kept[0].energy, record.energy))
        if (found := next(same, None)) is not None:
            found.append(record)
        else:
            sets.append([record])
    largest = max(sets, key=len)
    rest = [record.name for one in sets if one is not largest for record in one]
    if not rest:
        return largest, (), ()
    return (
        largest,
        (),
        (
            f"its {len(records)} spectra lie on {len(sets)} different energy axes; {len(largest)} "
            f"that share one were opened, without {', '.join(some(rest))}; region = … opens one of "
            "them",
        ),
    )


def _same_energies(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two energy axes are the same."""
    if one.shape != other.shape:
        return False
    with np.errstate(all="ignore"):  # of damaged energies
        return bool(np.abs(one - other).max(initial=0) <= _SAME_EV)


def in_eV(energy: np.ndarray, unit: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Energies in eV, and what to say of them; `unit` is any text that names the unit, or ""."""
    if "kev" in unit.lower():
        with np.errstate(over="ignore"):
            energy = 1000.0 * energy
        return energy, ("its energies are in keV and were converted to eV",)
    highest = float(np.abs(energy).max(initial=0))
    if "ev" not in unit.lower() and 0 < highest < _LOWEST_EV:
        return energy, (
            f"its energies go up to {highest:g} and no unit is given: they are taken as eV; write "
            "'energy (keV)' above the column if they are keV",
        )
    return energy, ()


def finished(spectra: Spectra, wanted: Wanted) -> Spectra:
    """Spectra with distinct, finite energies, and only those that were asked for.

    Raises
    ------
    FileFormatError
        An energy is missing, or there is nothing to choose from.
    """
    where = str(spectra.where)
    kinds = {choice.kind for choice in spectra.choices}
    if "region" not in kinds and wanted.region not in (None, 0, "0"):
        raise FileFormatError("there are no regions to choose from", where, "leave out region")
    odd = np.flatnonzero(~np.isfinite(spectra.energy))
    if odd.size:
        raise FileFormatError(
            f"the energy of point {odd[0] + 1} is not a number",
            where,
            "correct it, or remove the point",
        )
    if not spectra.energy.size:
        raise FileFormatError("holds no point of a spectrum", where, "give the right file")
    kept = np.sort(np.unique(spectra.energy, return_index=True)[1])
    notes, values = spectra.notes, spectra.values
    if kept.size < spectra.energy.size:
        repeated = np.delete(spectra.energy, kept)
        listed = ", ".join(some([f"{energy:.2f}" for energy in repeated]))
        notes += (f"{repeated.size} points repeat an energy, at {listed} eV; the first counts",)
        values = values[:, kept]
    names, choices, position = spectra.names, spectra.choices, spectra.position
    if "channel" not in kinds and wanted.channel is not None:
        choice = choose("channel", names, wanted.channel, spectra.where)
        one = slice(choice.index, choice.index + 1)
        names, values, choices = names[one], values[one], (*choices, choice)
        position = position[one] if position is not None else None
    return replace(
        spectra,
        energy=spectra.energy[kept],
        values=values,
        names=names,
        position=position,
        choices=choices,
        notes=notes,
    )
