"""Columns of powder patterns in the files of refinement programs: GSAS, and powder CIF.

GSAS: a BANK line, then FXYE rows or packed STD or ESD records. CIF: what was measured, and how
heavily each point counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.standards._cif import tables_of
from chemoscape.standards._profile_fit import number_of

_ANGLES = ("_pd_proc_2theta_corrected", "_pd_meas_2theta_scan", "_pd_meas_2theta_corrected")
_COUNTS = "_pd_meas_counts_total"
_INTENSITIES = (
    *("_pd_meas_intensity_total", "_pd_proc_intensity_total", "_pd_proc_intensity_net"),
    *("_pd_meas_intensity_net",),
)
_WEIGHT = "_pd_proc_ls_weight"
_WAVELENGTHS = ("_diffrn_radiation_wavelength", "_pd_proc_wavelength")

Table = Mapping[str, Sequence[str]]


def gsas_columns(text: str, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str]:
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


def cif_columns(
    path: Path,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray | None, str], float | None]:
    """Angles (degrees), intensities and their sd of the first pattern, and its wavelength (Å).

    A weight is ``1 / sd²``; a point of weight 0 was not used, and gets an infinite sd.

    Raises
    ------
    FileFormatError
        No block holds a pattern against 2θ, or its columns differ in length.
    """
    tables = tables_of(path)
    for table in tables.values():
        name = next((one for one in (_COUNTS, *_INTENSITIES) if one in table), None)
        if name is None or len(table[name]) < 2:
            continue
        pairs = np.array([number_of(text) for text in table[name]])
        y, sd = pairs[:, 0], pairs[:, 1]
        x = _angles(table, y.size, str(path))
        if x is None:
            continue
        found = (x, y, *_sd(table, y, sd, counts=name == _COUNTS))
        return found, _wavelength(table, tables)
    raise FileFormatError(
        "holds no pattern against 2θ (_pd_meas_intensity_total)",
        str(path),
        "give the CIF of a powder refinement, or the pattern as columns",
    )


def _angles(table: Table, n: int, where: str) -> np.ndarray | None:
    """Angles that are listed, or given by their range."""
    for name in _ANGLES:
        if name in table:
            x = np.array([number_of(text)[0] for text in table[name]])
            if x.size != n:
                raise FileFormatError(
                    f"lists {x.size} angles for {n} intensities", where, "download it again"
                )
            return x
    for kind in ("proc", "meas"):
        names = [f"_pd_{kind}_2theta_range_{which}" for which in ("min", "max")]
        if all(table.get(name) for name in names):
            low, high = (number_of(table[name][0])[0] for name in names)
            if np.isfinite([low, high]).all():
                return np.linspace(low, high, n)
    return None


def _sd(table: Table, y: np.ndarray, sd: np.ndarray, counts: bool) -> tuple[np.ndarray | None, str]:
    """Standard deviations by weights, by what stands in parentheses, or by counting."""
    weight = np.array([number_of(text)[0] for text in table.get(_WEIGHT, [])])
    if weight.size == y.size and np.isfinite(weight).all() and (weight > 0).any():
        with np.errstate(divide="ignore"):
            return np.where(weight > 0, 1 / np.sqrt(np.abs(weight)), np.inf), "weights"
    if np.isfinite(sd).all() and (sd > 0).all():
        return sd, "file"
    return (np.sqrt(np.maximum(y, 1.0)), "counts") if counts else (None, "")


def _wavelength(table: Table, tables: Mapping[str, Table]) -> float | None:
    """Of the pattern's block, else of another; of a doublet its mean, which names the tube."""
    for one in (table, *tables.values()):
        for name in _WAVELENGTHS:
            values = [number_of(text)[0] for text in one.get(name, [])]
            good = [value for value in values if 0.05 < value < 5]
            if len(good) == 2 and 0 < good[1] / good[0] - 1 < 0.01:
                return (2 * good[0] + good[1]) / 3
            if good:
                return good[0]
    return None
