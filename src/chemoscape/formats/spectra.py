"""Spectra as text: two or more columns, whatever stands between them.

Columns may be separated by commas, semicolons, tabs or spaces; lines that start with ``%``, ``*``,
``#``, ``!`` are comments; words above the first row of numbers are taken as a heading. ``.xsp``
(SDF), aXis2000 ``.txt``, ``.xas``, XDI and csv files all read this way. Decimal commas do not: they
cannot be told from separators.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard

COMMENTS = ("%", "*", "#", "!")
_SEPARATORS = re.compile(r"[,;\s]+")


def read_spectrum(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Energies and values of a spectrum: the first two columns of a text file.

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
    table = read_table(path)
    return table[:, 0].copy(), table[:, 1].copy()


def read_table(path: str | Path) -> np.ndarray:
    """All columns of a text file of numbers, shape ``(n_rows, n_columns)``, two columns or more."""
    file = _guard.regular_file(path)
    return parse_table(_guard.read_text(file), where=str(path))


def parse_table(text: str, *, where: str) -> np.ndarray:
    """Numbers of a text, as `read_table`; `where` names the text in errors."""
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith(COMMENTS):
            continue
        values = _numbers(stripped)
        if values is None:
            if rows:
                raise FileFormatError(
                    f"line {number} is not a row of numbers: {stripped[:40]!r}",
                    where,
                    "make it a comment (#) or remove it",
                )
            continue  # a heading
        if rows and len(values) != len(rows[0]):
            raise FileFormatError(
                f"line {number} has {len(values)} columns, the lines above have {len(rows[0])}",
                where,
                "the file is truncated or damaged: copy it again",
            )
        rows.append(values)
    if not rows or len(rows[0]) < 2:
        raise FileFormatError(
            "holds no two columns of numbers",
            where,
            "give a text file with an energy and a value per line",
        )
    return np.array(rows, dtype=np.float64)


def _numbers(line: str) -> list[float] | None:
    """The numbers of a line, or None when it holds anything else."""
    if "_" in line:  # float() would take 1_0 for ten
        return None
    try:
        return [float(word) for word in _SEPARATORS.split(line) if word]
    except ValueError:
        return None
