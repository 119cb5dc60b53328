"""Standards from any file of spectra: each of its spectra becomes a draft, on its own energies.

What the file says goes into the record; lines that the record has no place for are kept as
metadata, free text above a table as remarks. What it does not say stays unknown: the value of a
draft is NaN unless it is given.

An optical density, or anything proportional to it (mu(E), normalised or not), is taken as it is. A
transmission T becomes ``-ln T``, and two detector signals before and behind the sample, called
``i0`` and ``itrans`` or ``i1``, ``ln(i0 / itrans)``, as XDI defines ``mutrans``; both are said.
Other raw signals (counts, currents) are refused, since nobody knows their I0; electron energy loss
is the exception, whose counts are the spectrum.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, LibraryError
from chemoscape.formats import _guard
from chemoscape.formats._registry import formats
from chemoscape.formats._source import Spectra, Wanted, some
from chemoscape.formats.spectra import read_all_spectra
from chemoscape.standards import files
from chemoscape.standards._imported import LOSS, contents_of, divided, name_of, needs_i0
from chemoscape.standards.folder import read_standard
from chemoscape.standards.mixing import molar_mass
from chemoscape.standards.record import PARTS, Record
from chemoscape.standards.standard import Kind, Standard

_UNSAFE = re.compile(r"[^\w.+()-]+")
_LONGEST_ID = 60

#: Fields of a `Standard` that may be given for all spectra of a file.
_COMMON = ("value", "value_sd", "formula", "molar_mass", "density", "scale", "source")


def standards_from_file(
    path: str | Path,
    *,
    select: Sequence[str] | None = None,
    kind: Kind = "measured",
    **common: Any,
) -> tuple[Standard, ...]:
    """Every spectrum of a file as a draft of a standard.

    Parameters
    ----------
    path : str or Path
        XDI (a standard that was exported comes back as it was), Athena project, ``.nor``, aXis2000
        text, table, EMSA/MAS, HDF5 library of spectra, …
    select : sequence of str, optional
        Ids or labels of the spectra wanted; all that can be standards when left out.
    kind : {"measured", "synthetic", "calculated", "mixture"}
        What they are, where the file does not say.
    **common
        Fields of all of them, given by you: of `Standard` (``value``, ``value_sd``, ``formula``,
        ``molar_mass``, ``density``, ``scale``, ``source``) or of its record (``licence``,
        ``facility``, ``phase``, …).

    Returns
    -------
    tuple of Standard
        In the order of the file, or of `select`. Ids are the names in the file, with ``-`` for what
        is neither letter, digit nor one of ``._+-()``, and numbered where they would be the same
        but for upper and lower case.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, or holds no spectra.
    LibraryError
        None of its spectra, or not one that was selected, can be a standard; there is none of that
        name; or no field is called so.

    Warns
    -----
    ChemoscapeWarning
        What the reader noticed, what was converted, and what was left out.
    """
    _refuse_unknown(common)
    wanted = [select] if isinstance(select, str) else select
    if wanted is not None and not list(wanted):
        raise LibraryError("no spectrum is selected", str(path), "name one or more of them")
    file = _guard.existing(path)
    own = _own(file)
    drafts, notes = ([own], []) if own else _drafts(file, wanted, kind)
    for note in notes:
        warnings.warn(f"{file}: {note}", ChemoscapeWarning, stacklevel=2)
    return tuple(_with_common(one, common) for one in _chosen(drafts, wanted, file))


def _own(file: Path) -> Standard | None:
    """The standard of an XDI file that was written here, None for anything else."""
    if not file.is_file():
        return None
    content = _guard.read_bytes(file, limit=_guard.TEXT_LIMIT)
    text = _guard.decoded(content)
    if not files.is_xdi(text[:200]) or not re.search(r"^# Standard\.id:", text, re.MULTILINE):
        return None
    return read_standard(file.parent, {"file": file.name})


def _drafts(
    file: Path, select: Sequence[str] | None, kind: Kind
) -> tuple[list[Standard], list[str]]:
    """Drafts of the spectra of a file, and what to say of them."""
    found = _read(file)
    density = divided(found)
    whole = [*found, *density]
    names = [name_of(one, len(whole)) for one in whole]
    ids = ids_of(names)
    raw = any(one.quantity == "counts" for one in whole)
    sha256 = {"import.sha256": _guard.checksum([file], file.parent)} if file.is_file() else {}
    if select is not None:
        asked = {_position(one, ids, names, file) for one in select}
    else:
        asked = {len(found)} if density else set(range(len(whole)))
    drafts: list[Standard] = []
    failed: list[tuple[str, ChemoscapeError]] = []
    notes: list[tuple[str, str]] = []
    for k in sorted(asked):
        try:
            if raw and select is None and not whole[k].quantity:
                raise needs_i0(whole[k], names[k])
            said, draft = _draft(whole[k], ids[k], names[k], kind)
        except ChemoscapeError as error:
            if select is not None:
                raise
            failed.append((names[k], error))
            continue
        number = f" ({k + 1} of {len(whole)})" if len(whole) > 1 else ""
        place = f"{file.name}: {whole[k].attrs.get('computed', names[k] + number)}"
        drafts.append(replace(draft, source=place, metadata={**draft.metadata, **sha256}))
        notes += [(names[k], note) for note in (*whole[k].notes, *said)]
    if not drafts:
        raise failed[0][1]
    listed = ", ".join(some([name for name, _ in failed]))
    left = [f"{len(failed)} are left out ({listed}): {failed[0][1]}"] if failed else []
    return drafts, [*_merged(notes, len(drafts)), *left]


def _read(file: Path) -> list[Spectra]:
    """All spectra of a file, one in each."""
    reader = next((one.spectra for one in formats() if one.spectra and one.sniff(file)), None)
    if reader is None:
        return list(read_all_spectra(file))
    with _guard.readable(file):
        read = reader(file, Wanted())
    return [
        replace(read, names=(name,), values=read.values[k : k + 1], position=None)
        for k, name in enumerate(read.names)
    ]


def _draft(one: Spectra, id_: str, name: str, kind: Kind) -> tuple[list[str], Standard]:
    """One spectrum as a standard, and what to say of it."""
    said: list[str] = []
    contents = contents_of(one)
    values, known = one.values[0], np.isfinite(one.values[0])
    if one.quantity == "counts" and contents.record.measurement.mode != LOSS:
        raise needs_i0(one, name)
    if one.quantity == "transmission":
        known &= values > 0
        values = -np.log(np.where(known, values, 1))
        said.append("its transmission was converted to optical density, -ln T")
    if not known.all():
        said.append(f"{int((~known).sum())} points without a value are left out")
    energy, values = one.energy[known], values[known]
    order = np.argsort(energy, kind="stable")
    if (np.diff(order) < 0).any():
        said.append("its energies do not ascend, and were sorted")
    return [*said, *contents.notes], Standard(
        id=id_,
        label=name,
        value=np.nan,
        energy=energy[order],
        spectrum=values[order],
        formula=contents.formula,
        molar_mass=molar_mass(contents.formula)
        if np.isnan(contents.molar_mass)
        else contents.molar_mass,
        density=contents.density,
        scale=contents.scale,
        kind=kind,
        source=str(one.where),
        record=contents.record,
        metadata=contents.metadata,
    )


def ids_of(names: Iterable[str]) -> list[str]:
    """Ids for names: safe in TOML and recipes, unique whatever the case of their letters.

    Examples
    --------
    >>> ids_of(["LiFe(II)PO4", "ALL_-05 NNO-1.2", "norm", "Norm", "[?]"])
    ['LiFe(II)PO4', 'ALL_-05-NNO-1.2', 'norm', 'Norm-2', 'spectrum']
    """
    taken: set[str] = set()
    ids = []
    for name in names:
        stem = _UNSAFE.sub("-", name)[:_LONGEST_ID].strip("-.") or "spectrum"
        id_, number = stem, 1
        while id_.lower() in taken:
            number += 1
            id_ = f"{stem}-{number}"
        taken.add(id_.lower())
        ids.append(id_)
    return ids


def _position(wish: str, ids: Sequence[str], names: Sequence[str], file: Path) -> int:
    """Where a spectrum stands that was asked for by id or name."""
    for offered in (list(ids), list(names), [one.lower() for one in ids]):
        for one in (wish, wish.lower()):
            if offered.count(one) == 1:
                return offered.index(one)
    near = difflib.get_close_matches(wish, [*ids, *names], n=1)
    hint = f"did you mean {near[0]!r}" if near else f"choose among {', '.join(some(ids, 12))}"
    raise LibraryError(f"holds no spectrum {wish!r}", str(file), hint)


def _chosen(standards: list[Standard], select: Sequence[str] | None, file: Path) -> list[Standard]:
    """Standards in the order in which they were asked for."""
    if select is None:
        return standards
    ids, labels = [one.id for one in standards], [one.label for one in standards]
    return [standards[_position(wish, ids, labels, file)] for wish in dict.fromkeys(select)]


def _refuse_unknown(common: dict[str, Any]) -> None:
    """Refuse fields that no standard has."""
    of_record = (one.name for part in PARTS for one in fields(getattr(Record(), part)))
    known = {*_COMMON, "remarks", *of_record}
    for name in common:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise LibraryError(
                f"a standard has no field {name!r}",
                remedy=f"did you mean {near[0]!r}" if near else "see chemoscape.standards.record",
            )


def _with_common(standard: Standard, common: dict[str, Any]) -> Standard:
    """A standard with the fields that were given for all."""
    own = {name: value for name, value in common.items() if name in _COMMON}
    if "formula" in own and "molar_mass" not in own:
        own["molar_mass"] = molar_mass(own["formula"])
    rest = {name: value for name, value in common.items() if name not in _COMMON}
    return replace(standard, **own, record=standard.record.with_(**rest))


def _merged(notes: list[tuple[str, str]], n: int) -> list[str]:
    """Each thing to say once, with the names of those it is true of."""
    merged = []
    for note in dict.fromkeys(note for _, note in notes):
        names = [name for name, same in notes if same == note]
        merged.append(note if len(names) == n else f"{', '.join(some(names))}: {note}")
    return merged
