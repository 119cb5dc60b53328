"""Libraries written: a folder anew, a standard added to one, a standard replaced.

Spectra are written before the ``library.toml`` that lists them, and each file at once or not at
all: whatever interrupts a change, the folder holds a library that opens.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import tomlkit
from tomlkit.items import AoT, Table

from chemoscape.errors import ChemoscapeError, FileFormatError, LibraryError
from chemoscape.standards import files
from chemoscape.standards.folder import read_entries, read_library
from chemoscape.standards.headers import header_of
from chemoscape.standards.library import Library, Standard
from chemoscape.standards.mixing import molar_mass

CAUTION = (
    "SYNTHETIC model spectrum, not measured: to learn, test and demonstrate, never as evidence."
)
_UNITS = {"energy": "eV", "mu_mass": "cm2/g", "mu_mass_sd": "cm2/g"}
_UNSAFE = re.compile(r"[^\w.+]+")


def save_library(library: Library, folder: str | Path) -> Path:
    """Write a library as a folder: ``library.toml``, an XDI file per spectrum, its evidence.

    Parameters
    ----------
    library : Library
    folder : str or Path
        Must not exist yet, or be empty.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    LibraryError
        Something is there already, or a file of evidence is missing.
    FileFormatError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from chemoscape import open_library
    >>> one = open_library("lixv2o5-model").select("alpha-V2O5")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorted(path.name for path in save_library(one, folder).iterdir())
    ['alpha-V2O5.xdi', 'library.toml']
    """
    target = Path(folder).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise LibraryError(
            "is there already", str(folder), "name a folder that does not exist, or is empty"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".library-", dir=target.parent) as part:
            _fill(Path(part) / "new", library)
            if target.exists():
                target.rmdir()
            (Path(part) / "new").rename(target)
    except OSError as error:
        raise FileFormatError(
            f"cannot be written ({error.strerror or error})",
            str(folder),
            "choose a folder that may be written to",
        ) from error
    return target


def add_to_folder(
    folder: str | Path, standards: Sequence[Standard], *, variable: str | None = None
) -> Library:
    """Add standards to the library of a folder, which is made where there is none.

    The rest of a ``library.toml`` that is there stays as it is, comments too.

    Parameters
    ----------
    folder : str or Path
    standards : sequence of Standard
    variable : str, optional
        Of a new library: what the values of its standards mean.

    Returns
    -------
    Library
        As it is now.

    Raises
    ------
    LibraryError
        One has an id that the library has already, or is on another scale; or the library that is
        there has another variable.
    """
    if not (Path(folder) / "library.toml").exists():
        name = Path(folder).resolve().name
        save_library(Library(name, name, variable or "composition", tuple(standards)), folder)
        return read_library(folder)
    library, place = read_library(folder), read_entries(folder).folder
    if variable not in (None, library.variable):
        raise LibraryError(
            f"its variable is {library.variable!r}, not {variable!r}",
            f"library {library.id!r}",
            "leave the variable out, or make another library",
        )
    replace(library, standards=(*library.standards, *standards))  # or says what does not fit
    document = _document(place)
    rows = document.setdefault("standard", tomlkit.aot())
    for standard, name in zip(standards, _file_names(standards, _files_in(place)), strict=True):
        _write_xdi(place / name, standard, library.variable)
        _copy_evidence(standard, place, place)
        if rows:
            rows[-1].add(tomlkit.nl())  # an empty line before the next
        rows.append(_row(place / name, standard, _defaults(document)))
    return _written(place, document)


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
    library, place = read_library(folder), read_entries(folder).folder
    library.select(*(standard.id for standard in standards))  # or says which is not there
    new = {standard.id: _counted_up(standard) for standard in standards}
    replace(library, standards=tuple(new.get(one.id, one) for one in library.standards))
    document = _document(place)
    rows = cast(AoT, document["standard"])
    for row, name in zip(rows, library.names, strict=True):
        if name in new:
            _rewrite(row, new[name], place, document, library.variable)
    return _written(place, document)


def _counted_up(standard: Standard) -> Standard:
    """A standard with the next version, where versions are numbers."""
    version = standard.record.identity.version
    if not version.isdigit():
        return standard
    return replace(standard, record=standard.record.with_(version=str(int(version) + 1)))


def _rewrite(
    row: Table, standard: Standard, place: Path, document: tomlkit.TOMLDocument, variable: str
) -> None:
    """Write a standard's file afresh and say so in its row of the toml."""
    path = place / str(row["file"])
    if path.suffix != ".xdi":
        path = place / _file_names([standard], _files_in(place))[0]
    _write_xdi(path, standard, variable)
    fresh = _row(path, standard, _defaults(document))
    fresh["file"] = path.relative_to(place).as_posix()
    for key in [key for key in row if key not in fresh]:
        del row[key]
    for key, value in fresh.items():
        if row.get(key) != value:
            row[key] = value


def export_standard(standard: Standard, path: str | Path, variable: str = "") -> Path:
    """Write one standard as an XDI file, its header complete."""
    _write_xdi(Path(path), standard, variable)
    return Path(path)


def _fill(folder: Path, library: Library) -> None:
    """Write all files of a library into a new folder."""
    folder.mkdir()
    document = tomlkit.document()
    if library.synthetic:
        document.add(tomlkit.comment("Holds SYNTHETIC spectra: a model, not measured."))
    shared = {
        name: values.pop()
        for name in ("scale", "kind")
        if len(values := {getattr(standard, name) for standard in library.standards}) == 1
    }
    said = {
        "id": library.id,
        "name": library.name,
        "version": library.version,
        "variable": library.variable,
        "licence": library.licence,
        "doi": library.doi,
    }
    for key, value in said.items():
        if value:
            document.add(key, value)
    window = library.energy_window
    if window is not None and not (library.overlapping and window == library.energy_range):
        document.add("energy_window", list(window))
    for key, value in shared.items():
        document.add(key, value)
    rows = tomlkit.aot()
    for standard, name in zip(library.standards, _file_names(library.standards), strict=True):
        _write_xdi(folder / name, standard, library.variable)
        if library.folder is not None:
            _copy_evidence(standard, library.folder, folder)
        rows.append(_row(folder / name, standard, shared))
    document.add("standard", rows)
    files.replace_text(folder / "library.toml", tomlkit.dumps(document))


def _row(path: Path, standard: Standard, defaults: dict[str, Any]) -> Table:
    """The ``[[standard]]`` table of a standard whose file is written."""
    row = tomlkit.table()
    row.add("id", standard.id)
    row.add("label", standard.label)
    if np.isfinite(standard.value):
        row.add("value", standard.value)
    if standard.value_sd:
        row.add("value_sd", standard.value_sd)
    if standard.formula:
        row.add("formula", standard.formula)
    if np.isfinite(standard.molar_mass) and standard.molar_mass != molar_mass(standard.formula):
        row.add("molar_mass", standard.molar_mass)
    if np.isfinite(standard.density):
        row.add("density", standard.density)
    row.add("file", path.name)
    for name in ("scale", "kind"):
        if defaults.get(name) != getattr(standard, name):
            row.add(name, getattr(standard, name))
    row.add("source", standard.source)
    for name in ("cif", "pxrd"):
        if value := getattr(standard.record.evidence, name):
            row.add(name, value)
    row.add("sha256", hashlib.sha256(path.read_bytes()).hexdigest())
    return row


def _write_xdi(path: Path, standard: Standard, variable: str) -> None:
    """One standard as a file."""
    main = "mu_mass" if standard.scale == "mass_absorption" else "od"
    columns = {
        "energy": standard.energy,
        "od": standard.optical_density if main == "mu_mass" else None,
        "od_sd": standard.optical_density_sd if main == "mu_mass" else None,
        main: standard.spectrum,
        f"{main}_sd": standard.spectrum_sd,
    }
    remarks = standard.record.remarks
    if standard.kind == "synthetic" and CAUTION not in remarks:
        remarks = f"{CAUTION}\n{remarks}".strip()
    files.write_xdi(
        path,
        {name: column for name, column in columns.items() if column is not None},
        _UNITS,
        header_of(standard, variable),
        remarks,
    )


def _copy_evidence(standard: Standard, origin: Path, folder: Path) -> None:
    """Copy the structure and the pattern that a standard names, keeping their place."""
    for name in (standard.record.evidence.cif, standard.record.evidence.pxrd):
        if not name or (origin == folder and (folder / name).is_file()):
            continue
        if not (origin / name).is_file():
            raise LibraryError(
                f"the file {name!r} is missing",
                f"standard {standard.id!r}",
                "put it into the library's folder, or remove the line that names it",
            )
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin / name, folder / name)


def _file_names(standards: Iterable[Standard], taken: Iterable[str] = ()) -> list[str]:
    """A name of a file for each standard, alike on systems that do not tell cases apart."""
    used = {name.lower() for name in taken}
    names = []
    for standard in standards:
        stem = _UNSAFE.sub("-", standard.id).strip("-.") or "standard"
        name, number = f"{stem}.xdi", 1
        while name.lower() in used:
            number += 1
            name = f"{stem}-{number}.xdi"
        used.add(name.lower())
        names.append(name)
    return names


def _files_in(folder: Path) -> list[str]:
    """Names of all files of a folder and below."""
    return [path.name for path in folder.rglob("*") if path.is_file()]


def _document(folder: Path) -> tomlkit.TOMLDocument:
    """The ``library.toml`` of a folder, its comments kept."""
    return tomlkit.parse((folder / "library.toml").read_text(encoding="utf-8"))


def _defaults(document: tomlkit.TOMLDocument) -> dict[str, Any]:
    """What the library says of all its standards."""
    return {key: str(document[key]) for key in ("scale", "kind") if key in document}


def _written(folder: Path, document: tomlkit.TOMLDocument) -> Library:
    """Write the toml, unless the library would not open with it."""
    path = folder / "library.toml"
    before = path.read_text(encoding="utf-8")
    files.replace_text(path, tomlkit.dumps(document))
    try:
        return read_library(folder)
    except ChemoscapeError:
        files.replace_text(path, before)
        raise
