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

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, LibraryError
from chemoscape.formats.spectra import Spectra, read_all_spectra, some
from chemoscape.standards._imported import LOSS, contents_of, divided, name_of, needs_i0
from chemoscape.standards.folder import read_standard
from chemoscape.standards.mixing import molar_mass
from chemoscape.standards.naming import edge_names, meant, unique_ids
from chemoscape.standards.record import PARTS, Record
from chemoscape.standards.standard import Kind, Standard

_LONGEST_ID = 60
_GZIP = b"\x1f\x8b"

#: Fields of a `Standard` that may be given for all spectra of a file; no record has any of them.
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
        ``facility``, ``phase``, …). The formula's edges among the energies are named where none
        are, in file or fields.

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
    found = read_all_spectra(path)
    file = Path(path).expanduser().resolve()
    own = _own(found, file)
    drafts, notes = ([own], []) if own else _drafts(found, file, wanted, kind)
    for note in notes:
        warnings.warn(f"{file}: {note}", ChemoscapeWarning, stacklevel=2)
    chosen = tuple(_with_common(one, common) for one in _chosen(drafts, wanted, file))
    return chosen if own and "formula" not in common else tuple(map(with_edges, chosen))


def with_edges(standard: Standard) -> Standard:
    """A standard with the names of its formula's edges among its energies, if none are named."""
    if standard.record.measurement.edges:
        return standard
    edges = edge_names(standard.formula, standard.energy)
    return replace(standard, record=standard.record.with_(edges=edges)) if edges else standard


def _own(found: Sequence[Spectra], file: Path) -> Standard | None:
    """The standard of an XDI file that was written here, None for anything else."""
    facts = found[0].attrs
    if facts.get("layout") != "XDI" or "standard.id" not in facts:
        return None
    with file.open("rb") as opened:
        packed = opened.read(len(_GZIP)) == _GZIP  # which no library holds
    return None if packed else read_standard(file.parent, {"file": file.name})


def _drafts(
    found: Sequence[Spectra], file: Path, select: Sequence[str] | None, kind: Kind
) -> tuple[list[Standard], list[str]]:
    """Drafts of the spectra of a file, and what to say of them."""
    density = divided(found)
    whole = [*found, *density]
    names = [name_of(one, len(whole)) for one in whole]
    ids = unique_ids(names, longest=_LONGEST_ID)
    raw = any(one.quantity == "counts" for one in whole)
    sha256 = {"import.sha256": _checksum(file)} if file.is_file() else {}
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


def _checksum(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


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


def _position(wish: str, ids: Sequence[str], names: Sequence[str], file: Path) -> int:
    """Where a spectrum stands that was asked for by id or name."""
    for offered in (list(ids), list(names), [one.lower() for one in ids]):
        for one in (wish, wish.lower()):
            if offered.count(one) == 1:
                return offered.index(one)
    remedy = meant(wish, dict.fromkeys([*ids, *names]))
    raise LibraryError(f"holds no spectrum {wish!r}", str(file), remedy)


def _chosen(standards: list[Standard], select: Sequence[str] | None, file: Path) -> list[Standard]:
    """Standards in the order in which they were asked for."""
    if select is None:
        return standards
    ids, labels = [one.id for one in standards], [one.label for one in standards]
    return [standards[_position(wish, ids, labels, file)] for wish in dict.fromkeys(select)]


def _refuse_unknown(common: dict[str, Any]) -> None:
    """Refuse fields that no standard has."""
    known = [*_COMMON, "remarks", *fields_of_record()]
    for name in common:
        if name not in known:
            raise LibraryError(
                f"a standard has no field {name!r}",
                remedy=meant(name, known, otherwise="see chemoscape.standards.record"),
            )


def fields_of_record() -> list[str]:
    """Names of all fields of the parts of a record."""
    return [one.name for part in PARTS for one in fields(getattr(Record(), part))]


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
