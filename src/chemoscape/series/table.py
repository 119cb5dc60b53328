"""The numbers of a series as a table."""

from __future__ import annotations

import csv
import io

import numpy as np
import xarray as xr


def table_csv(node: xr.Dataset) -> str:
    """The numbers of a series as one table, a row per stack; empty where nothing is known."""
    columns: dict[str, list[object]] = {"time": node["time"].values.tolist()}
    for name, one in node.data_vars.items():
        others = [dim for dim in one.dims if dim != "time"]
        if not others:
            columns[str(name)] = one.values.tolist()
            continue
        along = one.transpose(others[0], "time")
        labels = along[others[0]].values if others[0] in along.coords else range(len(along))
        for label, values in zip(labels, along.values, strict=True):
            columns[f"{name} {label}"] = values.tolist()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([_cell(one) for one in row])
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.8g}" if np.isfinite(value) else ""
    return value
