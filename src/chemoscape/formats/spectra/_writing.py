"""Spectra as text: what aXis2000 reads, and a table for everything else."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import xarray as xr

from chemoscape.errors import FileFormatError


def write_axis2000(spectra: xr.DataArray, path: Path) -> str:
    """Write one spectrum as aXis2000 reads it: ``% 1d``, name, number of points, tabbed columns.

    Returns what was lost.

    Raises
    ------
    FileFormatError
        There are several spectra.
    """
    table = _checked(spectra, path)
    if table.sizes["spectrum"] != 1:
        raise FileFormatError(
            f"holds {table.sizes['spectrum']} spectra, and this format has room for one",
            path.name,
            "choose one (channel or region = its name), or write a .csv",
        )
    energy, values = table["energy"].values, np.asarray(table.values)[0]
    known = np.isfinite(values)
    rows = [
        f"\t{_exact(e)}\t{_exact(v)}" for e, v in zip(energy[known], values[known], strict=True)
    ]
    head = ["% 1d", f"% {_names(table)[0]}", f"%  {len(rows)}"]
    _write(path, "\n".join([*head, *rows]) + "\n")
    lost = int((~known).sum())
    return f"{lost} points without a value are left out" if lost else ""


def write_csv(spectra: xr.DataArray, path: Path) -> str:
    """Write spectra as a table: comments, a heading of names, energy first and one column each."""
    table = _checked(spectra, path)
    values = np.asarray(table.values)
    text = io.StringIO()
    text.write("# spectra, energy in eV\n")
    for key in ("quantity", "source"):
        if table.attrs.get(key):
            text.write(f"# {key}: {' '.join(str(table.attrs[key]).split())}\n")
    if "position" in table.coords:
        text.write("# position (µm): " + " ".join(map(_exact, table["position"].values)) + "\n")
    text.write("# ")  # the heading is a comment too, since others take the first row for numbers
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["energy (eV)", *_names(table)])
    rows.writerows(
        [_exact(energy), *map(_exact, values[:, k])]
        for k, energy in enumerate(table["energy"].values)
    )
    _write(path, text.getvalue())
    return ""


def _checked(spectra: xr.DataArray, path: Path) -> xr.DataArray:
    """Spectra with their dimensions in order."""
    if set(spectra.dims) != {"spectrum", "energy"} or "energy" not in spectra.coords:
        raise FileFormatError(
            f"spectra have the dimensions (spectrum, energy), not {spectra.dims}",
            path.name,
            "give what cs.open_spectra returns",
        )
    if not spectra.size:
        raise FileFormatError("holds no spectrum", path.name, "there is nothing to write")
    return spectra.transpose("spectrum", "energy")


def _names(table: xr.DataArray) -> list[str]:
    """Names of the spectra, each on one line."""
    given = table.coords.get("spectrum")
    names = range(1, table.sizes["spectrum"] + 1) if given is None else given.values
    printable = ("".join(c if c.isprintable() else " " for c in str(name)) for name in names)
    return [" ".join(name.split()) for name in printable]


def _exact(value: np.floating) -> str:
    """The shortest text that reads back as the same number."""
    return str(np.asarray(value)[()])


def _write(path: Path, text: str) -> None:
    """Write a text."""
    path.write_text(text, encoding="utf-8", newline="\n")
