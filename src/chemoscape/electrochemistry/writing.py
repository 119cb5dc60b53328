"""Curves as texts."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from chemoscape.results import write_text


def write_cycling(
    curve: xr.Dataset, path: str | os.PathLike[str], *, decimal: str = ".", separator: str = "\t"
) -> Path:
    """Write a curve as a text in the manner of Land's exports, with its origin in the first line.

    Parameters
    ----------
    curve : Dataset
        With time and current.
    path : path
        The file to write.
    decimal, separator : str
        The mark before decimals, and between columns.

    Returns
    -------
    Path
        The file.
    """
    words = {1: "C_CC", -1: "D_CC", 0: "R"}
    rows = [str(curve.attrs.get("source", "")), ""]
    rows.append(
        separator.join(
            (
                *("Record", "Cycle", "Step-State", "TestTime/h"),
                *("Current/mA", "Capacity/mAh", "Voltage/V"),
            )
        )
    )
    half = curve["half_cycle"].values
    first = np.searchsorted(half, half)
    charge = curve["charge"].values
    capacity = np.abs(charge - charge[np.maximum(first - 1, 0)])
    for k in range(curve.sizes["point"]):
        numbers = (
            f"{curve['time'].values[k] / 3600:.7f}",
            f"{curve['current'].values[k]:.7f}",
            f"{capacity[k]:.8f}",
            f"{curve['voltage'].values[k]:.5f}",
        )
        cells = (str(k + 1), str(half[k] // 2 + 1), words[int(curve["direction"].values[k])])
        rows.append(separator.join(cells + tuple(v.replace(".", decimal) for v in numbers)))
    write_text(Path(path), "\n".join(rows) + "\n")
    return Path(path)


def write_records(curves: Mapping[str, xr.Dataset], path: Path) -> None:
    """Write all records of all curves as a CSV with the curve's name before each.

    Raises
    ------
    ResultsError
        The file exists already, or cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    wanted = (
        *("time", "current", "voltage", "charge", "direction", "half_cycle"),
        *("specific_capacity", "x", "x_sd_scale", "x_sd"),
    )
    names = [name for name in wanted if any(name in curve for curve in curves.values())]
    first = next(iter(curves.values()))
    heads = [
        f"{name} ({first[name].attrs['units']})"
        if name in first and first[name].attrs.get("units", "1") != "1"
        else name
        for name in names
    ]
    writer.writerow(["curve", *heads])
    for label, curve in curves.items():
        columns = [curve[name].values if name in curve else None for name in names]
        for k in range(curve.sizes["point"]):
            cells = ["" if column is None else column[k] for column in columns]
            cells = ["" if cell != cell else cell for cell in cells]
            writer.writerow([label, *(f"{c:.9g}" if c != "" else "" for c in cells)])
    write_text(path, text.getvalue())
