"""Changes of a library that lies in a folder: standards added, replaced, given their evidence.

Whatever interrupts a change, the folder holds a library that opens: everything is checked, then
written beside its place, and moved there at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import tomlkit
from tomlkit.items import AoT, Table

from chemoscape.errors import LibraryError
from chemoscape.formats import _guard
from chemoscape.standards import files
from chemoscape.standards.folder import read_entries, read_library
from chemoscape.standards.library import Library, Standard
from chemoscape.standards.structure import attach_structure, read_structure
from chemoscape.standards.writing import evidence_of, file_names, row_of, save_library, xdi_of


def add_to_folder(
    folder: str | Path, standards: Sequence[Standard], *, variable: str | None = None
) -> Library:
    """Add standards to the library of a folder, which is made where there is none.

    The rest of a ``library.toml`` that is there stays as it is, comments too.

    Parameters
    ----------
    folder : str or Path
    standards : sequence of Standard
        Evidence that they name must lie in the folder already.
    variable : str, optional
        Of a new library: what the values of its standards mean.

    Returns
    -------
    Library
        As it is now.

    Raises
    ------
    LibraryError
        One has an id that the library has already, is on another scale, or names evidence that is
        not there; or the library that is there has another variable. Nothing is written.
    """
    place = Path(folder).expanduser()
    if not (place / "library.toml").exists():
        name = place.resolve().name
        made = Library(name, name, variable or "composition", tuple(standards), folder=place)
        save_library(made, place)
        return read_library(place)
    library, place = read_library(place), read_entries(place).folder
    if variable not in (None, library.variable):
        raise LibraryError(
            f"its variable is {library.variable!r}, not {variable!r}",
            f"library {library.id!r}",
            "leave the variable out, or make another library",
        )
    replace(library, standards=(*library.standards, *standards))  # or says what does not fit
    document = _document(place)
    rows = cast(AoT, document.setdefault("standard", tomlkit.aot()))
    contents: dict[Path, bytes] = {}
    for standard, name in zip(standards, file_names(standards, _files_in(place)), strict=True):
        evidence_of(standard, place)  # or says what is missing
        contents[place / name] = xdi_of(standard, library.variable)
        if rows:
            rows[-1].add(tomlkit.nl())  # an empty line before the next
        rows.append(row_of(standard, name, contents[place / name], _defaults(document)))
    return _write(place, document, contents)


def replace_standards(folder: str | Path, standards: Sequence[Standard]) -> Library:
    """Write standards of a library in place of those with their ids, their versions counted up.

    What was no XDI file stays where it is; the library then lists the new file.

    Returns
    -------
    Library
        As it is now.

    Raises
    ------
    LibraryError
        The library has no such standard, or they do not fit the others: nothing is written.
    """
    return _replaced(folder, standards, {})


def attach_evidence(
    folder: str | Path,
    id: str,
    *,
    cif: str | Path | None = None,
    pxrd: str | Path | None = None,
    also: Mapping[str, Any] | None = None,
) -> Library:
    """Copy a structure, a diffraction pattern or both into a library, and name them in a standard.

    Formula and density are taken from the structure where the standard has none; where it has
    others, a warning says so, and nothing of it is changed.

    Parameters
    ----------
    folder : str or Path
    id : str
        Of the standard.
    cif, pxrd : str or Path, optional
        Copied to ``cif/`` and ``pxrd/``.
    also : mapping, optional
        Other fields of the standard's record that this evidence gives.

    Returns
    -------
    Library
        As it is now.

    Raises
    ------
    LibraryError, FileFormatError
        There is no such standard or file, the structure is damaged, or another file of that name
        is there.
    """
    library, place = read_library(folder), read_entries(folder).folder
    (standard,) = library.select(id).standards
    copied: dict[Path, bytes] = {}
    for kind, given in (("cif", cif), ("pxrd", pxrd)):
        if given is None:
            continue
        content = _guard.read_bytes(_guard.regular_file(given), limit=_guard.TEXT_LIMIT)
        name = f"{kind}/{Path(given).name}"
        if (place / name).exists() and (place / name).read_bytes() != content:
            raise LibraryError(
                f"another {name!r} is there already", str(place), "give the file another name"
            )
        if kind == "cif":
            standard = attach_structure(standard, name, read_structure(given))
        else:
            standard = replace(standard, record=standard.record.with_(pxrd=name))
        copied[place / name] = content
    if not copied:
        raise LibraryError("there is nothing to attach", f"standard {id!r}", "give a file")
    standard = replace(standard, record=standard.record.with_(**(also or {})))
    return _replaced(folder, [standard], copied)


def _replaced(
    folder: str | Path, standards: Sequence[Standard], copied: Mapping[Path, bytes]
) -> Library:
    """Standards replaced, together with files that are copied into the folder."""
    library, place = read_library(folder), read_entries(folder).folder
    library.select(*(standard.id for standard in standards))  # or says which is not there
    new = {standard.id: _counted_up(standard) for standard in standards}
    replace(library, standards=tuple(new.get(one.id, one) for one in library.standards))
    for one in new.values():
        evidence_of(one, place, copied)  # or says what is missing
    document = _document(place)
    rows = cast(AoT, document["standard"])
    contents: dict[Path, bytes] = {}
    for row, name in zip(rows, library.names, strict=True):
        if name in new:
            path = place / str(row["file"])
            if path.suffix != ".xdi":
                path = place / file_names([new[name]], _files_in(place, contents))[0]
            contents[path] = xdi_of(new[name], library.variable)
            file = path.relative_to(place).as_posix()
            _update(row, row_of(new[name], file, contents[path], _defaults(document)))
    return _write(place, document, {**copied, **contents})


def _counted_up(standard: Standard) -> Standard:
    """A standard with the next version, where versions are numbers."""
    version = standard.record.identity.version
    if not (version.isascii() and version.isdigit()):
        return standard
    return replace(standard, record=standard.record.with_(version=str(int(version) + 1)))


def _update(row: Table, fresh: Table) -> None:
    """Make one table of the toml say what another does; what stays keeps its comments."""
    for key in [key for key in row if key not in fresh]:
        del row[key]
    for key, value in fresh.items():
        if row.get(key) != value:
            row[key] = value


def _files_in(folder: Path, more: Mapping[Path, bytes] | None = None) -> list[str]:
    """Names of all files of a folder and below, and of those that are to be written."""
    return [path.name for path in (*folder.rglob("*"), *(more or {}))]


def _document(folder: Path) -> tomlkit.TOMLDocument:
    """The ``library.toml`` of a folder, its comments kept."""
    return tomlkit.parse((folder / "library.toml").read_text(encoding="utf-8"))


def _defaults(document: tomlkit.TOMLDocument) -> dict[str, str]:
    """What the library says of all its standards."""
    return {key: str(document[key]) for key in ("scale", "kind") if key in document}


def _write(folder: Path, document: tomlkit.TOMLDocument, contents: Mapping[Path, bytes]) -> Library:
    """Write the files of a change, the toml last, and open what is there then."""
    for path in contents:
        path.parent.mkdir(exist_ok=True)
    toml = {folder / "library.toml": tomlkit.dumps(document).encode()}
    files.replace_files({**contents, **toml})
    return read_library(folder)
