"""Libraries written as folders, and one standard as a file."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import tomlkit
from tomlkit.items import Table

from chemoscape.errors import FileFormatError, LibraryError
from chemoscape.formats import _guard
from chemoscape.standards import files
from chemoscape.standards.headers import header_of
from chemoscape.standards.library import Library, Standard
from chemoscape.standards.mixing import molar_mass
from chemoscape.standards.naming import unique_ids

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
    contents = _contents(library)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".library-", dir=target.parent) as part:
            made = Path(part) / "new"
            for name, content in contents.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                (made / name).write_bytes(content)
            if target.exists():
                target.rmdir()
            made.rename(target)
    except OSError as error:
        raise FileFormatError(
            f"cannot be written ({error.strerror or error})",
            str(folder),
            "choose a folder that may be written to",
        ) from error
    return target


def export_standard(standard: Standard, path: str | Path, variable: str = "") -> Path:
    """Write one standard as an XDI file, its header complete; its evidence stays behind."""
    files.replace_files({Path(path): xdi_of(standard, variable)})
    return Path(path)


def _contents(library: Library) -> dict[str, bytes]:
    """All files of a library, by name."""
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
    contents, rows = {}, tomlkit.aot()
    for standard, name in zip(library.standards, file_names(library.standards), strict=True):
        contents[name] = xdi_of(standard, library.variable)
        contents |= evidence_of(standard, library.folder)
        rows.append(row_of(standard, name, contents[name], shared))
    document.add("standard", rows)
    contents["library.toml"] = tomlkit.dumps(document).encode()
    return contents


def row_of(standard: Standard, name: str, content: bytes, defaults: Mapping[str, str]) -> Table:
    """The ``[[standard]]`` table of a standard whose file has a name and a content."""
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
    row.add("file", name)
    for key in ("scale", "kind"):
        if defaults.get(key) != getattr(standard, key):
            row.add(key, getattr(standard, key))
    row.add("source", standard.source)
    for key in ("cif", "pxrd"):
        if value := getattr(standard.record.evidence, key):
            row.add(key, value)
    row.add("sha256", hashlib.sha256(content).hexdigest())
    return row


def xdi_of(standard: Standard, variable: str) -> bytes:
    """Content of a standard's file."""
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
    return files.xdi_text(
        {name: column for name, column in columns.items() if column is not None},
        _UNITS,
        header_of(standard, variable),
        remarks,
    ).encode()


def evidence_of(
    standard: Standard, folder: Path | None, coming: Mapping[Path, bytes] | None = None
) -> dict[str, bytes]:
    """The structure and the pattern that a standard names, by their place in its library's folder.

    Parameters
    ----------
    standard : Standard
    folder : Path, optional
        Of its library.
    coming : mapping of Path to bytes, optional
        Files that are about to be written there.

    Raises
    ------
    LibraryError
        One is missing, or lies elsewhere.
    """
    found = {}
    for name in (standard.record.evidence.cif, standard.record.evidence.pxrd):
        if not name:
            continue
        if folder is not None and folder / name in (coming or {}):
            continue
        try:
            found[name] = _guard.read_bytes(evidence_path(name, folder), limit=_guard.TEXT_LIMIT)
        except FileFormatError as error:
            raise LibraryError(
                f"its evidence {name!r} cannot be had: {error.what}",
                f"standard {standard.id!r}",
                "attach the file again, or remove the line that names it",
            ) from None
    return found


def evidence_path(name: str, folder: Path | None) -> Path:
    """Path of a file of evidence, which lies in the library's folder.

    Raises
    ------
    FileFormatError
        It is missing, or its name leads out of the folder.
    """
    parts = PurePosixPath(name)
    if folder is None or parts.is_absolute() or ".." in parts.parts or "\\" in name:
        raise FileFormatError("lies in no folder of a library", name, "copy the file into it")
    return _guard.regular_file(folder / name, inside=folder)


def file_names(standards: Iterable[Standard], taken: Iterable[str] = ()) -> list[str]:
    """A name of a file for each standard, alike on systems that do not tell cases apart."""
    ids = [standard.id for standard in standards]
    return unique_ids(ids, taken, _UNSAFE, ending=".xdi", otherwise="standard")
