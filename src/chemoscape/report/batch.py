"""The table of a batch as one page: sortable, with maps, warnings and links to the reports."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import matplotlib as mpl
import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator

from chemoscape.report.html import formula_html
from chemoscape.report.panels import CATEGORIES, DOUBLE, OUTSIDE, SEQUENTIAL, figure_png, styled
from chemoscape.report.words import measured, pretty

#: Largest side of a small map, pixels, and how many bytes of them one page holds.
MAP_PIXELS, MAPS_BYTES = 140, 6_000_000
#: Above so many stacks the figure counts them instead of naming them.
MOST_NAMES = 40
#: Told in a cell of their own.
APART = {
    *("name", "file", "status", "message", "n_warnings", "composition_variable"),
    *("composition_mean_pixel", "composition_mean_mass_weighted", "composition_sd"),
    *("energy_shift_eV", "energy_shift_sd_eV"),
}


@dataclass(frozen=True)
class Line:
    """One stack of the page.

    Parameters
    ----------
    values : mapping
        Its row of ``summary.csv``.
    warnings : sequence of str
        What its run doubted.
    report : str
        Where its report lies, from the page; empty where there is none.
    results : Path, optional
        Its ``results.h5``, for the map.
    """

    values: Mapping[str, Any]
    warnings: Sequence[str] = ()
    report: str = ""
    results: Path | None = None


def batch_html(
    title: str,
    lines: Sequence[Line],
    *,
    recipe: str,
    left_out: Iterable[str] = (),
    not_done: Iterable[str] = (),
    notices: Iterable[str] = (),
    version: str = "",
) -> str:
    """One page about many stacks, without requests: figure, failures, table, recipe.

    Parameters
    ----------
    title : str
        Heading.
    lines : sequence of Line
        The stacks, in the order of the files.
    recipe : str
        The recipe that was carried out on all of them.
    left_out, not_done : iterable of str
        Files that are no stacks; stacks that were not reached.
    notices : iterable of str
        Said above everything, such as that the standards are synthetic.
    version : str
        Of the program.

    Returns
    -------
    str
        HTML. Its only script sorts the table, and nothing is loaded from elsewhere.
    """
    script = files("chemoscape.report").joinpath("batch.js").read_text(encoding="utf-8")
    template = files("chemoscape.report").joinpath("batch.html").read_text(encoding="utf-8")
    room = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    room.filters["formulae"] = formula_html
    room.filters["href"] = quote
    good = [line for line in lines if line.values["status"] != "failed"]
    failed = [line.values for line in lines if line.values["status"] == "failed"]
    variables = [line.values["composition_variable"] for line in good]
    variable = next((one for one in variables if one), "")
    columns = [
        name
        for name in (lines[0].values if lines else ())
        if name not in APART and any(line.values[name] is not None for line in lines)
    ]
    limits = _limits(good)
    return room.from_string(template).render(
        title=title,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        notices=list(notices),
        n_good=len(good),
        n_all=len(lines),
        failed=failed,
        variable=variable,
        figure=_base64(figure_png(_means_figure(lines, variable))) if variable else "",
        limits=limits,
        columns=[(name, name.replace("_", " ")) for name in columns],
        rows=[
            (line, small, _cells(line, columns))
            for line, small in zip(lines, _maps(lines, limits), strict=True)
        ],
        left_out=list(left_out),
        not_done=list(not_done),
        recipe=recipe,
        version=version,
    )


def _cells(line: Line, columns: Sequence[str]) -> dict[str, Any]:
    """What a row shows, and by what it is sorted."""
    values = line.values
    sd = values["composition_sd"]
    return {
        "mean": _pair(values["composition_mean_pixel"], sd),
        "by_mass": _pair(values["composition_mean_mass_weighted"], sd),
        "shift": _pair(values["energy_shift_eV"], values["energy_shift_sd_eV"]),
        "others": [(_shown(values[name]), _key(values[name])) for name in columns],
    }


def _pair(value: float | None, sd: float | None) -> tuple[str, str]:
    return ("" if value is None else measured(value, sd)), _key(value)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)


def _key(value: Any) -> str:
    return "" if value is None else str(value)


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode("ascii")


# --- pictures -----------------------------------------------------------------------------------


def _limits(good: Sequence[Line]) -> tuple[float, float]:
    """One colour scale for all maps, so that they can be compared."""
    lows, highs = (
        [line.values[key] for line in good if line.values[key] is not None]
        for key in ("composition_p05", "composition_p95")
    )
    low, high = min(lows, default=0.0), max(highs, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _maps(lines: Sequence[Line], limits: tuple[float, float]) -> list[str]:
    """The composition maps as small PNGs; none once the page is full."""
    maps, room = [], MAPS_BYTES
    for line in lines:
        png = _small_map(line.results, limits) if line.results is not None and room > 0 else ""
        room -= len(png)
        maps.append(png)
    return maps


def _small_map(file: Path, limits: tuple[float, float]) -> str:
    """The composition map inside its mask, thinned out to a few pixels."""
    try:
        with h5py.File(file) as root:
            if "composition/composition" not in root:
                return ""
            step = max(1, -(-max(root["composition/composition"].shape) // MAP_PIXELS))
            image = root["composition/composition"][::step, ::step]
            mask = root["composition/mask"][::step, ::step].astype(bool)
    except (OSError, KeyError):  # removed since
        return ""
    low, high = limits
    colours = mpl.colormaps[SEQUENTIAL].with_extremes(bad=mpl.colors.to_rgba(OUTSIDE))
    scaled = np.ma.masked_invalid(np.where(mask, (image - low) / (high - low), np.nan))
    png = io.BytesIO()
    imsave(png, colours(scaled, bytes=True), format="png", origin="lower")
    return _base64(png.getvalue())


@styled
def _means_figure(lines: Sequence[Line], variable: str) -> Figure:
    """Mean composition ± its standard deviation, in the order of the files."""
    values = [line.values for line in lines]
    number = np.arange(1, len(values) + 1)
    mean, sd = (
        np.array([np.nan if one[key] is None else one[key] for one in values], float)
        for key in ("composition_mean_pixel", "composition_sd")
    )
    named = len(values) <= MOST_NAMES
    figure = Figure(figsize=(DOUBLE, 2.6 if named else 2.2), layout="constrained")
    ax = figure.subplots()
    ax.errorbar(
        number,
        mean,
        yerr=np.nan_to_num(sd),
        fmt="o",
        color=CATEGORIES[0],
        elinewidth=0.8,
        capsize=2.0,
        label="mean of the pixels ± standard deviation of the mean",
    )
    failed = number[[one["status"] == "failed" for one in values]]
    if failed.size:
        ax.plot(
            failed,
            np.full(failed.shape, 0.03),
            "x",
            color=CATEGORIES[5],
            markersize=5.0,
            transform=ax.get_xaxis_transform(),
            label="failed",
        )
    ax.set(xlim=(0.4, len(values) + 0.6), ylabel=pretty(variable))
    if named:
        names = [pretty(str(one["name"])[:24]) for one in values]
        ax.set_xticks(number, names, rotation=60, ha="right", rotation_mode="anchor")
    else:
        ax.set_xlabel("stack, in the order of the files")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left", ncols=2)
    return figure
