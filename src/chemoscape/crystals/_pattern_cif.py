"""The pattern of a powder CIF: what was measured, and how heavily each point counted."""

from __future__ import annotations

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


def columns_of(
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
