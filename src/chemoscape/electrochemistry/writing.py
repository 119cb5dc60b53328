"""Curves as texts."""

from __future__ import annotations

import os
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
