"""Standards as files: XDI, the XAFS Data Interchange format (version 1.0).

An XDI file is a text with ``# Family.tag: value`` lines above its columns::

    # XDI/1.0 chemoscape/0.1
    # Element.symbol: V
    # Element.edge: L3
    # Column.1: energy eV
    # Column.2: mu_mass cm2/g
    # ///
    # free comments
    #---
    # energy mu_mass
      500.000    2.280000e+03
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard, spectra

_FIELD = re.compile(r"[#;]\s*([A-Za-z][\w-]*)\.([\w-]+)\s*:(.*)")
_END_OF_FIELDS = re.compile(r"[#;]\s*/{3,}")
_END_OF_HEADER = re.compile(r"[#;]\s*-{2,}")


@dataclass(frozen=True, eq=False)
class Xdi:
    """Content of an XDI file.

    Parameters
    ----------
    columns : dict of str to ndarray
        Columns by name, in the order of the file; the first is the energy in eV.
    units : dict of str to str
        Unit of each column, "" when the file gives none.
    fields : dict of str to str
        Header fields by ``"family.tag"`` in lower case.
    comments : str
        What stands between the fields and the columns.
    """

    columns: dict[str, np.ndarray]
    units: dict[str, str]
    fields: dict[str, str]
    comments: str = ""


def is_xdi(text: str) -> bool:
    """Whether a text starts as an XDI file does."""
    return re.match(r"\s*[#;]\s*XDI/\d", text) is not None


def read_xdi(path: str | Path) -> Xdi:
    """Read an XDI file.

    Raises
    ------
    FileFormatError
        It is not an XDI file, has columns without a name, or its rows are damaged.
    """
    text = _guard.read_text(_guard.regular_file(path))
    if not is_xdi(text):
        raise FileFormatError(
            "does not start with '# XDI/'", str(path), "open it as text in columns instead"
        )
    fields, comments, labels = _header(text.splitlines())
    table = spectra.parse_table(text.replace("\n;", "\n#"), where=str(path))
    names = [
        fields.get(f"column.{k + 1}", "").split(maxsplit=1) or [_label(labels, k)]
        for k in range(table.shape[1])
    ]
    keys = [name[0].lower() for name in names]
    if len(set(keys)) < len(keys):
        raise FileFormatError(
            f"two columns have the same name ({', '.join(keys)})",
            str(path),
            "correct the Column.N lines",
        )
    return Xdi(
        columns={key: table[:, k].copy() for k, key in enumerate(keys)},
        units={
            key: name[1] if len(name) > 1 else "" for key, name in zip(keys, names, strict=True)
        },
        fields=fields,
        comments=comments,
    )


def _header(lines: list[str]) -> tuple[dict[str, str], str, list[str]]:
    """Fields, free comments, and the labels of the line above the first row."""
    fields: dict[str, str] = {}
    comments: list[str] = []
    labels: list[str] = []
    part = "fields"
    for line in (raw.strip() for raw in lines[1:]):
        if line and not line.startswith(("#", ";")):
            break
        if _END_OF_HEADER.match(line):
            part = "labels"
        elif part == "fields" and _END_OF_FIELDS.match(line):
            part = "comments"
        elif part == "fields" and (field := _FIELD.match(line)):
            fields[f"{field[1]}.{field[2]}".lower()] = field[3].strip()
        elif part == "comments" and line:
            comments.append(line[1:].strip())
        elif part == "labels" and line:
            labels = line[1:].split()
    return fields, "\n".join(comments), labels


def _label(labels: list[str], column: int) -> str:
    """Name of a column that the fields do not name."""
    if column < len(labels):
        return labels[column]
    return "energy" if column == 0 else f"column{column + 1}"


def xdi_text(
    columns: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    fields: Mapping[str, str],
    comments: str = "",
) -> str:
    """Text of an XDI 1.0 file that other readers of the format accept.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n,)
        The first is the energy in eV, written to 0.001 eV or, where that would change it, to
        0.000001 eV; the others to seven digits.
    units : mapping of str to str
        Unit of each column.
    fields : mapping of str to str
        Header fields by ``"Family.tag"``.
    comments : str
        Free text, any number of lines.
    """
    names = list(columns)
    head = ["# XDI/1.0 chemoscape/0.1"]
    head += [
        f"# Column.{k}: {name} {units.get(name, '')}".rstrip()
        for k, name in enumerate(names, start=1)
    ]
    head += [f"# {key}: {value}" for key, value in fields.items()]
    free = (re.sub(r"^(\s*)(?=--|///)", r"\1| ", line) for line in comments.splitlines())
    head += ["# ///", *(f"# {line}" for line in free), "#---"]
    head.append("# " + " ".join(names))
    table = np.stack([np.asarray(columns[name], dtype=np.float64) for name in names], axis=1)
    places = next((n for n in (3, 4, 5) if _unchanged(table[:, 0], n)), 6)
    rows = [
        f"{row[0]:10.{places}f}" + "".join(f" {value:14.6e}" for value in row[1:]) for row in table
    ]
    return "\n".join([*head, *rows]) + "\n"


def _unchanged(energy: np.ndarray, places: int) -> bool:
    """Whether energies are the same when written to so many decimals."""
    return bool(np.abs(np.round(energy, places) - energy).max() < 1e-7)


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write files so that a reader sees the old ones or the new ones, never half of one.

    All are written beside their places before any is moved there, and moved back when that is
    interrupted: neither a full disk nor Ctrl-C changes anything.
    """
    parts = {path: path.with_name(f".{path.name}.part") for path in contents}
    moved: dict[Path, bytes | None] = {}
    try:
        before = {path: path.read_bytes() if path.exists() else None for path in contents}
        for path, content in contents.items():
            parts[path].write_bytes(content)
        for path, part in parts.items():
            moved[path] = before[path]
            os.replace(part, path)
    except BaseException as error:
        for path, old in moved.items():
            if old is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(old)
        if not isinstance(error, OSError):
            raise
        raise FileFormatError(
            f"cannot be written ({error.strerror})",
            error.filename or ", ".join(map(str, contents)),
            "choose a folder that may be written to",
        ) from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
