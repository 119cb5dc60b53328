"""Powder data as GSAS writes them: a BANK line, then FXYE rows or packed STD or ESD records."""

from __future__ import annotations

import re

import numpy as np

from chemoscape.errors import FileFormatError


def columns_of(text: str, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str]:
    """Angles (degrees), intensities and sd of the first bank.

    FXYE rows are centidegrees, intensity and its sd. CONST banks give start and step in
    centidegrees; STD records hold ten of a two-digit number of counters with six digits of counts
    (their sd is ``sqrt(counts / counters)``), ESD records five pairs of intensity and sd.

    Raises
    ------
    FileFormatError
        There is no bank, it is one of times of flight, or in another form.
    """
    lines = text.splitlines()
    start = next((k for k, line in enumerate(lines) if line.startswith("BANK")), None)
    if start is None:
        raise FileFormatError("holds no line BANK", where, "give it as columns in a .xy file")
    words = lines[start].split()
    form = words[-1].upper() if words[-1].isalpha() else "STD"
    end = next((k for k in range(start + 1, len(lines)) if lines[k].startswith("BANK")), len(lines))
    rows = [line for line in lines[start + 1 : end] if line.strip() and line[0] != "#"]
    try:
        n, kind = int(words[2]), words[4].upper()
        if form in ("FXYE", "FXY"):
            table = np.array([[float(word) for word in row.split()] for row in rows])[:n]
            sd = table[:, 2] if table.shape[1] > 2 and (table[:, 2] > 0).all() else None
            return table[:, 0] / 100, table[:, 1], sd, "file"
        if kind not in ("CONS", "CONST") or form not in ("STD", "ESD"):
            raise FileFormatError(
                f"its bank is {kind} {form}, which is not read", where, "export it as FXYE or .xye"
            )
        x = (float(words[5]) + float(words[6]) * np.arange(n)) / 100
        if form == "ESD":
            flat = np.array([float(cell) for row in rows for cell in _cut(row, 8)])
            y, sd = flat[0 : 2 * n : 2], flat[1 : 2 * n : 2]
            return x, y, sd if (sd > 0).all() else None, "file"
        cells = [cell for row in rows for cell in _cut(row, 8)][:n]
        counters = np.array([int(cell[:2]) if cell[:2].strip() else 1 for cell in cells])
        y = np.array([float(cell[2:]) for cell in cells])
        return x, y, np.sqrt(np.maximum(y, 1.0) / np.maximum(counters, 1)), "counts"
    except (ValueError, IndexError) as error:
        raise FileFormatError(
            f"its bank cannot be read ({str(error)[:60]})",
            where,
            "give it as columns in a .xy file",
        ) from None


def _cut(row: str, width: int) -> list[str]:
    """Cells of fixed width of a row."""
    row = re.sub(r"\s+$", "", row)
    return [row[k : k + width] for k in range(0, len(row), width)]
