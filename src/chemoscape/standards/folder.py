"""The folder of a library: how its `library.toml` and its spectra are read.

A library is a folder with a ``library.toml`` and one text file per spectrum. The whole of a small
one::

    id = "my-iron"                      # short name, unique among your libraries
    name = "Iron oxides, beamline 11.0" # for titles and legends
    variable = "Fe(II) fraction"        # what the `value` of each standard means

    [[standard]]
    id = "reduced"                      # name used in recipes and results
    label = "pyrite"                    # for legends; the id when left out
    value = 1.0                         # of the variable above
    file = "spectra/reduced.txt"        # columns (energy in eV, value) or XDI; in this folder

    [[standard]]
    id = "oxidised"
    value = 0.0
    file = "spectra/oxidised.xdi"

Further keys of the library: ``energy_window = [lo, hi]`` (eV, the range to fit in; all that the
spectra share when left out), ``version``, ``licence``, ``doi``, ``scale`` and ``kind`` (defaults
for every standard).
Further keys of a standard: ``value_sd``, ``formula`` (gives the molar mass), ``molar_mass``
(g/mol), ``density`` (g/cm3, only needed for a thickness in nm), ``scale`` (``"optical_density"``,
the default, or ``"mass_absorption"`` in cm2/g), ``kind`` (``"measured"``, the default,
``"synthetic"``, ``"calculated"``, ``"mixture"``), ``source``, ``cif`` and ``pxrd`` (files of this
folder) and ``sha256`` (checked when given).
What an XDI file says in its own header fills in what the toml leaves out: ``Standard.label``,
``Standard.value``, ``Standard.scale``, ``Standard.kind``, ``Sample.stoichiometry``,
``Sample.density``, and all that `chemoscape.standards.record` has a place for.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError, LibraryError
from chemoscape.formats import _guard, spectra
from chemoscape.standards import files
from chemoscape.standards.headers import leading_number, record_from
from chemoscape.standards.library import Library, Standard

SHIPPED = Path(__file__).parent / "data"
SMOOTH = "lixv2o5-model-smooth"

_LIBRARY_KEYS = {
    *("id", "name", "version", "variable", "energy_window", "licence", "doi", "scale", "kind"),
    "standard",
}
_STANDARD_KEYS = {
    *("id", "label", "value", "value_sd", "file", "kind", "scale", "formula", "molar_mass"),
    *("density", "source", "cif", "pxrd", "sha256"),
}


@dataclass(frozen=True)
class Entries:
    """A ``library.toml``: its folder, what it says of the library, and of each standard."""

    folder: Path
    library: Mapping[str, Any]
    standards: tuple[Mapping[str, Any], ...]


def shipped_libraries() -> dict[str, Path]:
    """Folders of the libraries that come with the program, by name."""
    return {path.parent.name: path.parent for path in sorted(SHIPPED.glob("*/library.toml"))}


def read_library(source: str | Path) -> Library:
    """Library of a folder that holds a ``library.toml`` (or of that file).

    Raises
    ------
    LibraryError, FileFormatError
        A file is missing, damaged, or says something impossible.
    """
    entries = read_entries(source)
    return as_library(entries, [read_standard(entries.folder, one) for one in entries.standards])


def read_entries(source: str | Path) -> Entries:
    """What the ``library.toml`` of a folder says, its standards not yet read.

    Raises
    ------
    LibraryError, FileFormatError
        It is missing, or no library.
    """
    found = _guard.existing(source)
    folder = found.parent if found.name == "library.toml" else found
    toml = folder / "library.toml"
    if not folder.is_dir() or not toml.exists():
        raise LibraryError(
            "holds no library.toml", str(folder), "give the folder of a library, or write one there"
        )
    try:
        entries = tomllib.loads(_guard.read_text(_guard.regular_file(toml, inside=folder)))
    except tomllib.TOMLDecodeError as error:
        raise LibraryError(f"is not valid TOML ({error})", str(toml), "correct that line") from None
    _refuse_unknown(entries, _LIBRARY_KEYS, str(toml))
    standards = entries.get("standard", [])
    if not isinstance(standards, list) or not all(isinstance(entry, dict) for entry in standards):
        raise LibraryError(
            "'standard' is not a list of tables", str(toml), "write [[standard]] above each"
        )
    defaults: dict[str, Any] = {key: entries[key] for key in ("scale", "kind") if key in entries}
    return Entries(folder, entries, tuple({**defaults, **entry} for entry in standards))


def as_library(entries: Entries, standards: Sequence[Standard]) -> Library:
    """Library of these standards, with what its ``library.toml`` says of it."""
    said, folder, toml = entries.library, entries.folder, str(entries.folder / "library.toml")
    window = said.get("energy_window")
    if window is not None:
        window = _window(window, toml)
    return Library(
        id=_text(said, "id", toml, folder.name),
        name=_text(said, "name", toml, folder.name),
        variable=_text(said, "variable", toml, "composition"),
        standards=tuple(standards),
        energy_window=window,
        licence=_text(said, "licence", toml, ""),
        version=_text(said, "version", toml, ""),
        doi=_text(said, "doi", toml, ""),
        folder=folder,
    )


def read_standard(folder: Path, entry: Mapping[str, Any]) -> Standard:
    """One ``[[standard]]`` of a library.toml together with its file.

    Raises
    ------
    LibraryError, FileFormatError
        Its file is missing, changed or damaged, or something in it is impossible.
    """
    toml = str(folder / "library.toml")
    _refuse_unknown(entry, _STANDARD_KEYS, toml)
    name = _text(entry, "file", toml)
    try:
        path = _guard.regular_file(folder / name, inside=folder)
    except FileFormatError as error:
        raise LibraryError(
            f"the file of standard {entry.get('id', name)!r}, {name!r}, {error.what}",
            toml,
            "correct 'file', which is relative to the folder of library.toml",
        ) from None
    content = _guard.read_bytes(path, limit=_guard.TEXT_LIMIT)
    wanted = _text(entry, "sha256", toml, "")
    if wanted and hashlib.sha256(content).hexdigest() != wanted.lower():
        raise LibraryError(
            "the file was changed: its sha256 differs from the one in library.toml",
            str(path),
            "restore it, or remove sha256 there if the change was meant",
        )
    columns, fields, remarks = _read_columns(path)
    identity = _text(entry, "id", toml, fields.get("standard.id", path.stem))
    formula = _text(entry, "formula", toml, fields.get("sample.stoichiometry", ""))
    mass = _number(entry, "molar_mass", toml, leading_number(fields.get("sample.molar_mass", "")))
    default = "mass_absorption" if "mu_mass" in columns else "optical_density"
    scale = _text(entry, "scale", toml, fields.get("standard.scale", default))
    energy, spectrum, spectrum_sd = _chosen(columns, scale, path)
    record, others = record_from(fields)
    evidence = {key: entry[key] for key in ("cif", "pxrd") if _text(entry, key, toml, "")}
    return Standard(
        id=identity,
        label=_text(entry, "label", toml, fields.get("standard.label", identity)),
        value=_number(entry, "value", toml, leading_number(fields.get("standard.value", ""))),
        value_sd=_number(
            entry, "value_sd", toml, leading_number(fields.get("standard.value_sd", "0"))
        ),
        energy=energy,
        spectrum=spectrum,
        spectrum_sd=spectrum_sd,
        optical_density=columns.get("od") if scale == "mass_absorption" else None,
        optical_density_sd=columns.get("od_sd") if scale == "mass_absorption" else None,
        formula=formula,
        molar_mass=mass,
        density=_number(entry, "density", toml, leading_number(fields.get("sample.density", ""))),
        scale=scale,  # type: ignore[arg-type]
        kind=_text(entry, "kind", toml, fields.get("standard.kind", "measured")),  # type: ignore[arg-type]
        source=_text(entry, "source", toml, fields.get("standard.source", name)),
        record=replace(record, remarks=remarks).with_(**evidence),
        metadata=others,
    )


def _read_columns(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str], str]:
    """Columns of a file by name (the first is the energy), its header and its free comments."""
    if files.is_xdi(_guard.read_text(path)[:200]):
        xdi = files.read_xdi(path)
        return xdi.columns, xdi.fields, xdi.comments
    energy, spectrum = spectra.read_spectrum(path)
    return {"energy": energy, "spectrum": spectrum}, {}, ""


def _chosen(
    columns: Mapping[str, np.ndarray], scale: str, path: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Energy, the spectrum on a scale, and its standard deviation.

    Raises
    ------
    LibraryError
        Only a column of the other scale is there.
    """
    energy, *others = columns
    wanted, other = ("mu_mass", "od") if scale == "mass_absorption" else ("od", "mu_mass")
    if wanted not in columns and other in columns:
        raise LibraryError(
            f"its scale is {scale!r} and its spectrum a column {other!r}",
            str(path),
            "correct 'scale' in library.toml or Standard.scale in the file",
        )
    name = wanted if wanted in columns else others[0]
    return columns[energy], columns[name], columns.get(f"{name}_sd")


def _refuse_unknown(entries: Mapping[str, Any], known: set[str], where: str) -> None:
    """Refuse a key that nothing reads, naming the nearest one that something does."""
    for key in entries:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}" if near else f"use {', '.join(sorted(known))}"
            raise LibraryError(f"unknown key {key!r}", where, hint)


def _text(entries: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    """A key that holds a text."""
    value = entries.get(key, default)
    if not isinstance(value, str):
        raise LibraryError(
            f"'{key}' is {'missing' if value is None else f'{value!r}, not a text'}",
            where,
            f'write {key} = "…"',
        )
    return value


def _number(entries: Mapping[str, Any], key: str, where: str, default: float) -> float:
    """A key that holds a number."""
    value = entries.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LibraryError(f"'{key}' is {value!r}, not a number", where, f"write {key} = 0.5")
    return float(value)


def _window(value: Any, where: str) -> tuple[float, float]:
    """Two energies."""
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(
            isinstance(bound, int | float) and not isinstance(bound, bool) for bound in value
        )
    ):
        raise LibraryError(
            f"'energy_window' is {value!r}", where, "write energy_window = [lowest, highest] in eV"
        )
    return float(value[0]), float(value[1])


def open_library(source: str | Path) -> Library:
    """Open a library: a shipped one by name, or a folder of your own.

    Parameters
    ----------
    source : str or Path
        ``"lixv2o5-model"`` (six synthetic standards), ``"lixv2o5-model-smooth"`` (the same without
        phase-specific jitter: nearly collinear), or the path of a folder with a ``library.toml``,
        or of that file.

    Returns
    -------
    Library

    Raises
    ------
    LibraryError, FileFormatError
        There is no such library, or one of its files is missing or wrong.

    Examples
    --------
    >>> open_library("lixv2o5-model").names[:2]
    ['alpha-V2O5', 'alpha-Li0.1V2O5']
    """
    if isinstance(source, str) and os.sep not in source and not source.endswith(".toml"):
        if source == SMOOTH:
            from chemoscape.standards.model import smooth_library

            return smooth_library()
        shipped = shipped_libraries()
        if source in shipped:
            return read_library(shipped[source])
        if not Path(source).exists():
            raise LibraryError(
                f"there is no library {source!r}",
                remedy=f"use a shipped one ({', '.join([*shipped, SMOOTH])}) or the path of a "
                "folder with a library.toml",
            )
    return read_library(source)
