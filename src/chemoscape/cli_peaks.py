"""The command line's `standards peaks`: peaks of a library's spectra, fitted together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chemoscape.console import answer, require_figure, warnings_in_a_line


def fit_library_peaks(
    library: str,
    /,
    *,
    edge: str | None = None,
    model: Path | None = None,
    select: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    within: tuple[float, float] | None = None,
    widths: Literal["shared", "free"] | float = 0.1,
    centres: Literal["free", "linear"] = "free",
    figure: Path | None = None,
    csv: Path | None = None,
    json: bool = False,
) -> int:
    """Fit peaks to all standards of a library together, and print how they go with composition.

    Examples:
    chemoscape standards peaks lixv2o5-model --edge "V L3" --within 0 0.7 --figure l3.png
    chemoscape standards peaks my-iron --model fe-l3.toml --csv peaks.csv

    Parameters
    ----------
    library
        A shipped library's name, or a folder with library.toml: `standards add` makes one of your
        spectra.
    edge
        A model that is at hand: "V L3" (the default) or "O K" of V2O5 and its relatives.
    model
        A model of your own instead: a TOML file with window, peaks and steps.
    select
        Ids of the standards to fit; default: all.
    within
        Lowest and highest value that belong to the trends; standards beyond are compared with them.
    widths
        Of each peak: shared by all spectra, free in each, or within this relative standard
        deviation of the common one.
    centres
        Free in each spectrum, or linear in the value.
    figure
        Where to draw spectra, peaks and trends (PNG or PDF).
    csv
        Where to write all numbers as a table.
    json
        Print as JSON.
    """
    from dataclasses import asdict

    from chemoscape.errors import ChemoscapeError, FitError
    from chemoscape.standards.folder import open_library
    from chemoscape.standards.peaks import fit_peaks, peak_model
    from chemoscape.standards.peaks.reading import read_peak_model

    require_figure(figure)
    if csv is not None and not csv.absolute().parent.is_dir():
        raise ChemoscapeError("there is no such folder", str(csv.parent), "make it first")
    if edge is not None and model is not None:
        raise FitError("an edge and a model are given", remedy="leave one of them out")
    wanted = peak_model(edge or "V L3") if model is None else read_peak_model(model)
    opened = open_library(library)
    if select:
        opened = opened.select(*select)
    with warnings_in_a_line():
        fit = fit_peaks(opened, wanted, widths=widths, centres=centres)
    trends, why = [], ""
    try:
        trends = fit.trends(within)
    except FitError as error:  # without three values there is none; the peaks are there still
        if within is not None:
            raise
        why = f"no trends: {error.what}"
    said = [str(fit), ""]
    if trends:
        said.append(f"per unit of {opened.variable}:")
        said += [str(one) for one in trends]
    else:
        said.append(why)
    if opened.synthetic:
        said.append("\nSYNTHETIC standards: calculated, not measured.")
    data = {
        **fit.as_dict(),
        "synthetic": opened.synthetic,
        "variable": opened.variable,
        "trends": [{**asdict(one), "monotone": one.monotone} for one in trends],
    }
    answer(data, "\n".join(said), json)
    if csv is not None:
        from chemoscape.results import write_text

        write_text(csv, fit.as_csv(), overwrite=True)
        print(f"wrote {csv}", file=sys.stderr)
    if figure is not None:
        from chemoscape.report.panels import save_figure
        from chemoscape.report.peaks import peaks_figure

        save_figure(peaks_figure(fit, within=within, variable=opened.variable), figure)
        print(f"wrote {figure}", file=sys.stderr)
    return 0
