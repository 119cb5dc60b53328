"""The report: one HTML file that holds everything and asks nothing from the network."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import xarray as xr
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from chemoscape.report.captions import CAPTIONS, limits_of_validity
from chemoscape.report.numbers import key_numbers
from chemoscape.report.panels import DOUBLE, figure_png
from chemoscape.report.words import UNKNOWN, formulae, measured, number
from chemoscape.results import RunSummary

LARGEST_BYTES = 9_000_000
RESOLUTIONS = (220, 160, 110, 75)  # dots per inch, the first at which the report stays small


def report_html(
    title: str,
    tree: xr.DataTree,
    summary: RunSummary,
    figures: Mapping[str, Figure | bytes],
    *,
    captions: Mapping[str, tuple[str, str]] | None = None,
    standards: Iterable[Any] = (),
    notices: Iterable[str] = (),
    moments: Mapping[str, list[list[str]]] | None = None,
) -> str:
    """Everything about one run in one page: warnings first, numbers, figures, limits, recipe.

    Parameters
    ----------
    title : str
        Heading of the report.
    tree : xarray.DataTree
        Results, as made by `results_tree`; its root tells recipe, versions and date.
    summary : RunSummary
        The numbers.
    figures : mapping of name to Figure or PNG bytes
        Shown in the order of `CAPTIONS`, unknown names last.
    captions : mapping of name to (title, caption), optional
        Before `CAPTIONS`, and preferred over them.
    standards : iterable of Standard
        Anything with ``id, label, kind, value, source`` (and ``value_sd``).
    notices : iterable of str
        Said above everything, such as that the standards are synthetic.
    moments : mapping, optional
        Heading and rows of a table of the stacks of a series.

    Returns
    -------
    str
        HTML below 10 MB, without scripts and without requests.
    """
    own = dict(captions or {})
    known = {**own, **{name: words for name, words in CAPTIONS.items() if name not in own}}
    rows = [_standard_row(one) for one in standards]
    synthetic = any("synthetic" in f"{row['label']} {row['kind']}".lower() for row in rows)
    illustrative = any(
        str(node.attrs.get("material_status", "")) == "illustrative" for node in tree.subtree
    )
    room = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    room.filters["formulae"] = formula_html
    template = files("chemoscape.report").joinpath("template.html").read_text(encoding="utf-8")
    page = room.from_string(template)
    return page.render(
        title=title,
        summary=summary,
        notices=list(notices),
        moments=moments,
        numbers=key_numbers(summary),
        phases=[
            (name, _percent(share.mass_fraction), _percent(share.area_fraction))
            for name, share in summary.phases.items()
        ],
        stress=[
            (
                name,
                *(
                    number(value, ".0f")
                    for value in (
                        one.von_mises_p99_MPa,
                        one.von_mises_mean_MPa,
                        one.von_mises_max_MPa,
                    )
                ),
                f"{one.reference:g}",
            )
            for name, one in summary.stress.items()
        ],
        figures=_embedded(figures, known),
        standards=rows,
        limits=limits_of_validity(summary, synthetic=synthetic, illustrative=illustrative),
        illustrative=illustrative,
        recipe=str(tree.attrs.get("recipe", "")),
        input_name=re.split(r"[\\/]", summary.input.path.rstrip("\\/"))[-1],
        created=str(tree.attrs.get("created", "")).replace("T", " ").replace("+00:00", " UTC"),
        version=str(tree.attrs.get("program_version", "")),
        versions=json.loads(tree.attrs.get("versions", "{}")),
        seed=tree.attrs.get("seed", ""),
        total_seconds=sum(summary.seconds.values()),
    )


def _embedded(
    figures: Mapping[str, Figure | bytes], captions: Mapping[str, tuple[str, str]]
) -> list[dict[str, str]]:
    """Figures with their words, PNG as base64, at the finest resolution that fits."""
    order = [name for name in captions if name in figures]
    order += [name for name in figures if name not in captions]
    for dpi in RESOLUTIONS:
        images = {
            name: picture if isinstance(picture, bytes) else figure_png(picture, dpi=dpi)
            for name, picture in figures.items()
        }
        if sum(len(png) for png in images.values()) * 4 / 3 < LARGEST_BYTES:
            break
    return [
        {
            "name": re.sub(r"[^A-Za-z0-9_-]", "-", name),
            "title": captions.get(name, (name, ""))[0],
            "caption": captions.get(name, (name, ""))[1],
            "width": f"{min(100.0, 100 * _inches(figures[name], images[name]) / DOUBLE):.0f}",
            "data": base64.b64encode(images[name]).decode("ascii"),
        }
        for name in order
    ]


def _inches(picture: Figure | bytes, png: bytes) -> float:
    """Width on paper; of a PNG without its figure, from the pixels that its header names."""
    if isinstance(picture, Figure):
        return float(picture.get_figwidth())
    return int.from_bytes(png[16:20], "big") / RESOLUTIONS[0]


def _standard_row(one: Any) -> dict[str, str]:
    """One line of the table of standards."""
    sd = getattr(one, "value_sd", None)
    return {
        "id": str(one.id),
        "label": str(one.label),
        "kind": str(one.kind),
        "value": measured(one.value, sd) if sd else number(one.value, "g"),
        "source": str(one.source),
    }


# --- numbers ------------------------------------------------------------------------------------


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:.1f} %"


def formula_html(text: str) -> Markup:
    """Formulae with subscripts, everything else escaped.

    Examples
    --------
    >>> print(formula_html("x in LixV2O5 <b>"))
    <i>x</i> in Li<sub><i>x</i></sub>V<sub>2</sub>O<sub>5</sub> &lt;b&gt;
    """
    lowered = formulae(str(escape(text)), "<sub>", "</sub>", "<i>x</i>")
    return Markup(re.sub(r"^x in ", "<i>x</i> in ", lowered))  # noqa: S704 - escaped above
