"""Files of spectra that belong to no stack: what they are is told by their content.

Athena projects, EMSA/MAS and HDF5 libraries have readers of their own; all else is text in columns:
XDI, Athena's ``.nor``, aXis2000 ``.txt`` and ``.xas``, MANTiS csv, beamline tables, or just two
columns.
"""

from __future__ import annotations

import gzip
import io
import re
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from chemoscape.errors import ChemoscapeWarning, FileFormatError
from chemoscape.formats import _guard, _hdf5
from chemoscape.formats._source import Spectra, Wanted, some
from chemoscape.formats.spectra import _library, athena, msa
from chemoscape.formats.spectra._labels import Column, columns_of, fields_of, find_energy
from chemoscape.formats.spectra._records import finished, in_eV, unique_names
from chemoscape.formats.spectra._rows import parse_rows, parse_sheet, parse_table
from chemoscape.formats.spectra._single import apart, singles
from chemoscape.formats.spectra._writing import write_axis2000, write_csv

__all__ = [
    "Spectra",
    "parse_rows",
    "parse_table",
    "read_all_spectra",
    "read_spectra",
    "read_spectrum",
    "read_table",
    "some",
    "write_axis2000",
    "write_csv",
]

_GZIP = b"\x1f\x8b"
_NAME_FIELDS = ("name", "common name", "title", "sample.name", "standard.label")
_AXIS2000 = re.compile(r"%\s*1d\s*")
_XDI = re.compile(r"#\s*XDI/")
_DENSITY = re.compile(r"od|optical[ _]density", re.IGNORECASE)


def read_spectrum(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Energies (eV) and values of a spectrum: the only one in a file, or the first.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    energy, values : ndarray, shape (n,)
        In the order of the file.

    Raises
    ------
    FileFormatError
        The file is missing, holds no two columns of numbers, or a row is incomplete.
    """
    spectra = read_spectra(_guard.regular_file(path), Wanted())
    for note in spectra.notes:
        warnings.warn(f"{path}: {note}", ChemoscapeWarning, stacklevel=2)
    return spectra.energy.copy(), spectra.values[0].copy()


def read_table(path: str | Path) -> np.ndarray:
    """All columns of a text file of numbers, shape ``(n_rows, n_columns)``, two columns or more."""
    file = _guard.regular_file(path)
    return parse_table(_guard.read_text(file), where=str(path))


def read_spectra(path: Path, wanted: Wanted) -> Spectra:
    """The spectra of a file, whatever its layout.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, binary in a way not known here, or holds no spectra over
        energy.
    """
    file = _guard.regular_file(path)
    if _hdf5.is_hdf5(file):
        return finished(_library.read(file, wanted), wanted)
    text = _text(file)
    if athena.is_athena(text):
        return finished(athena.parse(text, file, wanted), wanted)
    if msa.is_msa(text):
        return finished(msa.parse(text, file), wanted)
    return finished(of_columns(text, file), wanted)


def read_all_spectra(path: str | Path) -> tuple[Spectra, ...]:
    """Every spectrum of a file by itself, each over its own energies and with its own facts.

    `read_spectra` holds the largest set that shares one axis; here nothing is left out. Only of
    formats with stacks beside their spectra (point and line scans) is it the set that
    `chemoscape.open_spectra` opens, one by one.

    Parameters
    ----------
    path : str or Path
        A file of spectra, or a file (or folder) of a format known to hold them.

    Returns
    -------
    tuple of Spectra
        One spectrum in each, in the order of the file. ``attrs`` holds what the file says of it:
        known facts (``element``, ``edge``, ``sample``, ``formula``, …), others under their names
        in the file, ``unit`` of its column, ``header``, the lines above a table.

    Raises
    ------
    FileFormatError
        As `read_spectra`.
    """
    from chemoscape.formats._registry import formats  # its formats read spectra with this module

    file = _guard.existing(path)
    reader = next((one.spectra for one in formats() if one.spectra and one.sniff(file)), None)
    with _guard.readable(file):
        if reader is not None:
            read = reader(file, Wanted())
            return tuple(
                replace(read, names=(name,), values=read.values[k : k + 1], position=None)
                for k, name in enumerate(read.names)
            )
        found = _singles(_guard.regular_file(file))
    return tuple(finished(one, Wanted()) for one in found)


def _singles(file: Path) -> list[Spectra]:
    """Every spectrum of a file, its energies not yet distinct."""
    if _hdf5.is_hdf5(file):
        return singles(_library.records(file), file, _library.LAYOUT)
    text = _text(file)
    if athena.is_athena(text):
        records, skipped = athena.records(text, file)
        notes = (athena.left_out(skipped),) if skipped else ()
        return singles(records, file, athena.LAYOUT, notes)
    if msa.is_msa(text):
        return [msa.parse(text, file, whole=True)]
    spectra, columns, head = _of_columns(text, file)
    return apart(spectra, columns, head)


def _text(path: Path) -> str:
    """Text of a file, which may be gzipped."""
    content = _guard.read_bytes(path, limit=_guard.TEXT_LIMIT)
    if content.startswith(_GZIP):
        content = _unpacked(content, str(path))
    text = _guard.decoded(content)
    if "\0" in text:
        raise FileFormatError(
            "is no text, and no binary format known here",
            str(path),
            "open a stack of images with cs.open_stack, or export spectra as columns",
        )
    return text


def _unpacked(content: bytes, where: str) -> bytes:
    """What was gzipped, as far as the limit on texts."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(_guard.TEXT_LIMIT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(
            f"is gzipped and cannot be unpacked ({error})",
            where,
            "the file is truncated or damaged: copy it again",
        ) from error
    if len(unpacked) > _guard.TEXT_LIMIT:
        raise FileFormatError(
            f"unpacks to more than {_guard.TEXT_LIMIT / 1e6:.0f} MB, which no file of spectra does",
            where,
            "give the right file",
        )
    return unpacked


def of_columns(text: str, path: Path) -> Spectra:
    """Columns of numbers as spectra over one of them."""
    return _of_columns(text, path)[0]


def _of_columns(
    text: str, path: Path
) -> tuple[Spectra, tuple[Column, ...] | None, tuple[str, ...]]:
    """Columns of numbers as spectra, the columns they stand in if those have names, and the lines
    above.
    """
    if text.lstrip().startswith(";"):  # XDI takes it for a comment too
        text = "\n".join(re.sub(r"^\s*;", "#", line) for line in text.splitlines())
    sheet = parse_sheet(text, where=str(path))
    fields = fields_of(sheet.head)
    columns = columns_of(sheet, fields)
    axis, others, notes = find_energy(columns, sheet.table, str(path))
    unit = f"{columns[axis].name} {columns[axis].unit}" if columns else ""
    energy, said = in_eV(sheet.table[:, axis], unit)
    names = _names(columns, others, fields, sheet.head, path)
    density = all(_DENSITY.fullmatch(columns[k].name) for k in others) if columns else False
    spectra = Spectra(
        where=path,
        energy=energy,
        values=sheet.table[:, others].T,
        names=unique_names(names),
        position=_positions(fields, len(others)),
        quantity=_quantity(fields) or ("optical_density" if density else ""),
        attrs=_attributes(fields, _first(sheet.head)),
        notes=(*notes, *said),
    )
    if _AXIS2000.fullmatch(_first(sheet.head)):
        spectra = _as_axis2000(spectra, sheet.head)
    return spectra, tuple(columns[k] for k in others) if columns else None, sheet.head


def _names(
    columns: tuple[Column, ...],
    others: list[int],
    fields: Mapping[str, str],
    head: tuple[str, ...],
    path: Path,
) -> list[str]:
    """Names of the columns that hold spectra."""
    if columns:
        return [columns[k].name or f"column {k + 1}" for k in others]
    if len(others) > 1:
        return [f"column {k + 1}" for k in others]
    if _AXIS2000.fullmatch(_first(head)) and len(head) > 1:
        return [head[1].lstrip("% ") or path.stem]
    return [next((name for key in _NAME_FIELDS if (name := fields.get(key))), path.stem)]


def _first(head: tuple[str, ...]) -> str:
    """The first line."""
    return head[0] if head else ""


def _as_axis2000(spectra: Spectra, head: tuple[str, ...]) -> Spectra:
    """A spectrum with what aXis2000 says of it: a number of points that may not be right."""
    planned = head[2].lstrip("% ") if len(head) > 2 else ""
    n = spectra.energy.size
    notes = spectra.notes
    if planned.isascii() and planned.isdigit() and planned != str(n):
        notes += (f"its header says {planned[:20]} points and it holds {n}: is it complete?",)
    return replace(spectra, notes=notes, attrs={**spectra.attrs, "layout": "aXis2000 text"})


def _positions(fields: Mapping[str, str], n: int) -> np.ndarray | None:
    """Positions (µm) of a line scan that was saved as a table."""
    words = fields.get("position (µm)", "").split()
    try:
        position = np.array([float(word) for word in words])
    except ValueError:
        return None
    return position if position.size == n else None


def _quantity(fields: Mapping[str, str]) -> str:
    """What the values are, where a known word says it."""
    said = fields.get("quantity", "").replace(" ", "_").lower()
    return said if said in ("counts", "transmission", "optical_density") else ""


def _attributes(fields: Mapping[str, str], first: str) -> dict[str, str]:
    """Flat facts of the file and the sample."""
    known = {
        "element": ("element.symbol", "element"),
        "edge": ("element.edge", "edge"),
        "sample": ("sample.name", "sample"),
        "formula": ("formula", "empirical formula", "sample.formula"),
    }
    found = {
        name: next((fields[k] for k in keys if fields.get(k)), "") for name, keys in known.items()
    }
    layout = "XDI" if _XDI.match(first) else "columns of text"
    return {"layout": layout, **{name: text for name, text in found.items() if text}}
