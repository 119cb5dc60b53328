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
spectra share when left out), ``licence``, ``scale`` and ``kind`` (defaults for every standard).
Further keys of a standard: ``value_sd``, ``formula`` (gives the molar mass), ``molar_mass``
(g/mol), ``density`` (g/cm3, only needed for a thickness in nm), ``scale`` (``"optical_density"``,
the default, or ``"mass_absorption"`` in cm2/g), ``kind`` (``"measured"``, the default,
``"synthetic"``, ``"calculated"``, ``"mixture"``), ``source`` and ``sha256`` (checked when given).
What an XDI file says in its own header (``Standard.label``, ``Standard.value``, ``Standard.scale``,
``Standard.kind``, ``Sample.stoichiometry``, ``Sample.density``) fills in what the toml leaves out.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import FileFormatError, LibraryError
from chemoscape.formats import _guard, spectra
from chemoscape.standards import files
from chemoscape.standards.library import Library, Standard
from chemoscape.standards.mixing import molar_mass

SHIPPED = Path(__file__).parent / "data"
SMOOTH = "lixv2o5-model-smooth"

_LIBRARY_KEYS = {"id", "name", "variable", "energy_window", "licence", "scale", "kind", "standard"}
_STANDARD_KEYS = {
    *("id", "label", "value", "value_sd", "file", "kind", "scale", "formula", "molar_mass"),
    *("density", "source", "sha256"),
}


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
    window = entries.get("energy_window")
    if window is not None:
        window = _window(window, str(toml))
    return Library(
        id=_text(entries, "id", str(toml), folder.name),
        name=_text(entries, "name", str(toml), folder.name),
        variable=_text(entries, "variable", str(toml), "composition"),
        standards=tuple(_read_standard(folder, {**defaults, **entry}) for entry in standards),
        energy_window=window,
        licence=_text(entries, "licence", str(toml), ""),
    )


def _read_standard(folder: Path, entry: Mapping[str, Any]) -> Standard:
    """One ``[[standard]]`` of a library.toml together with its file."""
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
    columns, fields = _read_columns(path)
    identity = _text(entry, "id", toml, path.stem)
    formula = _text(entry, "formula", toml, fields.get("sample.stoichiometry", ""))
    mass = _number(entry, "molar_mass", toml, np.nan)
    return Standard(
        id=identity,
        label=_text(entry, "label", toml, fields.get("standard.label", identity)),
        value=_number(entry, "value", toml, _leading_number(fields.get("standard.value", ""))),
        value_sd=_number(entry, "value_sd", toml, 0.0),
        energy=columns[0],
        spectrum=columns[1],
        spectrum_sd=columns[2],
        formula=formula,
        molar_mass=molar_mass(formula.replace(" ", "")) if np.isnan(mass) else mass,
        density=_number(entry, "density", toml, _leading_number(fields.get("sample.density", ""))),
        scale=_text(entry, "scale", toml, fields.get("standard.scale", "optical_density")),  # type: ignore[arg-type]
        kind=_text(entry, "kind", toml, fields.get("standard.kind", "measured")),  # type: ignore[arg-type]
        source=_text(entry, "source", toml, str(path)),
        metadata=fields,
    )


def _read_columns(
    path: Path,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray | None], dict[str, str]]:
    """Energy, spectrum and its standard deviation, and the header fields of the file."""
    if not files.is_xdi(_guard.read_text(path)[:200]):
        energy, spectrum = spectra.read_spectrum(path)
        return (energy, spectrum, None), {}
    xdi = files.read_xdi(path)
    names = list(xdi.columns)
    chosen = next((name for name in ("mu_mass", "od") if name in names), names[1])
    return (
        (xdi.columns[names[0]], xdi.columns[chosen], xdi.columns.get(f"{chosen}_sd")),
        xdi.fields,
    )


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


def _leading_number(text: str) -> float:
    """The number that a field starts with (``"3.36 g/cm3"``), NaN when it starts with none."""
    try:
        return float(text.split()[0])
    except (IndexError, ValueError):
        return np.nan


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
