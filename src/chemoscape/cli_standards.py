"""The command line's `standards`: look at libraries, check and compare them, fit spectra."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from cyclopts import App

from chemoscape.cli_adding import add_standards
from chemoscape.cli_crystals import attach, library_structures, refine_pattern
from chemoscape.cli_library import (
    calibrate_standard,
    export_standards,
    scale_standards,
    set_fields,
)
from chemoscape.cli_peaks import fit_library_peaks
from chemoscape.console import answer, require_figure, warnings_in_a_line

standards_app = App(
    name="standards", help="Libraries of standard spectra: make, check, compare, fit by them."
)
standards_app.command(add_standards, name="add")
standards_app.command(set_fields, name="set")
standards_app.command(attach, name="attach")
standards_app.command(refine_pattern, name="cell")
standards_app.command(library_structures, name="structures")
standards_app.command(calibrate_standard, name="calibrate")
standards_app.command(scale_standards, name="scale")
standards_app.command(export_standards, name="export")
standards_app.command(fit_library_peaks, name="peaks")


@standards_app.command(name="list")
def list_standards() -> int:
    """List the shipped libraries."""
    from chemoscape.standards.folder import open_library, shipped_libraries

    for name in shipped_libraries():
        library = open_library(name)
        low, high = library.energy_range
        print(
            f"{name:<24} {len(library.names)} standards, {low:g} to {high:g} eV, {library.variable}"
        )
    return 0


@standards_app.command(name="show")
def show_standards(
    library: str, standard: str | None = None, /, *, figure: Path | None = None
) -> int:
    """Show the standards of a library, or all that is known of one of them.

    Examples:
    chemoscape standards show lixv2o5-model --figure library.png
    chemoscape standards show my-iron pyrite

    Parameters
    ----------
    library
        A shipped library's name, or a folder with library.toml.
    standard
        Id of one of its standards.
    figure
        Where to draw the spectra (PNG or PDF).
    """
    from chemoscape.standards.folder import open_library
    from chemoscape.standards.headers import header_of

    require_figure(figure)
    opened = open_library(library)
    if standard is None:
        print(opened)
    else:
        opened = opened.select(standard)
        one = opened.standards[0]
        header = header_of(one, opened.variable)
        width = max(map(len, header))
        print("\n".join(f"{tag:<{width}}  {text}" for tag, text in header.items()))
        if one.record.remarks:
            print(f"\n{one.record.remarks}")
    if figure is not None:
        from chemoscape.report.panels import save_figure
        from chemoscape.report.standards import standards_figure

        save_figure(standards_figure(opened.standards, title=opened.name), figure)
        print(f"wrote {figure}", file=sys.stderr)
    return 0


@standards_app.command(name="check")
def check_standards(
    library: str, /, *, noise: float = 1.0, all: bool = False, json: bool = False
) -> int:
    """Check whether a library is fit to use: each check with number, threshold, verdict and remedy.

    Exit status 0 when nothing failed, 2 otherwise; warnings do not fail.

    Examples:
    chemoscape standards check my-iron
    chemoscape standards check lixv2o5-model --noise 2 --all

    Parameters
    ----------
    library
        A shipped library's name, or a folder with library.toml.
    noise
        Of the spectra that will be fitted, per cent of their highest optical density.
    all
        Print what passed too.
    json
        Print as JSON.
    """
    from dataclasses import asdict

    from chemoscape.curation.checking import check_library

    with warnings_in_a_line():
        report = check_library(library, noise=noise / 100)
    text = f"{str(report).splitlines()[0]}\n\n{report.table(all=True)}" if all else str(report)
    answer(asdict(report), text, json)
    return 2 if report.failed else 0


@standards_app.command(name="compare")
def compare_standards(
    library: str,
    /,
    *ids: str,
    noise: float = 1.0,
    figure: Path | None = None,
    json: bool = False,
) -> int:
    """Compare standards: condition number, what each adds to the others, which pairs can be told
    apart in noise.

    Examples:
    chemoscape standards compare lixv2o5-model --noise 1 --figure compare.png
    chemoscape standards compare my-iron pyrite hematite --noise 3

    Parameters
    ----------
    library
        A shipped library's name, or a folder with library.toml.
    ids
        Standards to compare; default: all.
    noise
        Of the spectra that will be fitted, per cent of their highest optical density.
    figure
        Where to draw the overlay and the table of pairs (PNG or PDF).
    json
        Print as JSON.
    """
    from dataclasses import asdict

    from chemoscape.curation.comparing import compare
    from chemoscape.standards.folder import open_library

    require_figure(figure)
    opened = open_library(library)
    if ids:
        opened = opened.select(*ids)
    found = compare(opened, noise=noise / 100)
    answer(asdict(found), str(found), json)
    if figure is not None:
        from chemoscape.report.panels import save_figure
        from chemoscape.report.standards import comparison_figure

        save_figure(comparison_figure(opened, found.separability), figure)
        print(f"wrote {figure}", file=sys.stderr)
    return 0


@standards_app.command(name="fit")
def fit_spectrum(
    spectrum: Path,
    /,
    *,
    library: str,
    select: list[str] | None = None,
    region: str | None = None,
    channel: str | None = None,
    max_standards: int = 4,
    energy_shift: Literal["fit"] | float = "fit",
    baseline: Literal["constant", "linear", "none"] = "constant",
    sum_to_one: bool = False,
    range: tuple[float, float] | None = None,
    resolution: float | None = None,
    figure: Path | None = None,
    json: bool = False,
) -> int:
    """Fit spectra by every combination of standards, and print the ranking.

    Examples:
    chemoscape standards fit wire.txt --library lixv2o5-model
    chemoscape standards fit gold.dat --library au-l3 --sum-to-one --baseline none
    --energy-shift 0 --range 11870 12030 --resolution 5.3 --figure gold.png

    Parameters
    ----------
    spectrum
        A file of spectra in any format known; each is fitted by itself.
    library
        A shipped library's name, or a folder with library.toml.
    select
        Ids of the standards to try; default: all.
    region, channel
        Of a file with several kinds of spectra, which: by name or number.
    max_standards
        Largest number of standards in one fit.
    energy_shift
        E(spectrum) - E(library) in eV, or fitted.
    baseline
        What lies under the standards.
    sum_to_one
        Weights sum to one, for normalised spectra.
    range
        Lowest and highest energy used, eV.
    resolution
        Energies closer than this (resolution, core-hole width), eV, are not independent when fits
        are ranked; default: all are.
    figure
        Where to draw the best fit and the ranking (PNG or PDF); a file of several spectra: that of
        the first.
    json
        Print the numbers as JSON.
    """
    from chemoscape.decompose.combinations.ranking import rank_combinations
    from chemoscape.errors import FitError
    from chemoscape.formats import open_spectra
    from chemoscape.standards.folder import open_library

    require_figure(figure)
    if range is not None and range[0] >= range[1]:
        raise FitError(
            f"the range runs from {range[0]:g} to {range[1]:g} eV",
            remedy="write the lower one first",
        )
    standards = open_library(library)
    if select:
        standards = standards.select(*select)
    with warnings_in_a_line():
        spectra = open_spectra(spectrum, channel=channel, region=region)
        found = {
            str(one["spectrum"].item()): rank_combinations(
                one.drop_vars("spectrum"),
                standards,
                max_standards=max_standards,
                energy_shift=energy_shift,
                baseline=None if baseline == "none" else baseline,
                sum_to_one=sum_to_one,
                fit_range=range,
                resolution_eV=resolution,
            )
            for one in spectra
        }
    data = [
        {
            "spectrum": name,
            "variable": ranked.best.variable,
            "composition": ranked.composition,
            "composition_sd": ranked.composition_sd,
            "ambiguous": ranked.ambiguous,
            "energy_shift_eV": ranked.best.energy_shift_eV,
            "n_points": ranked.best.n_points,
            "n_effective": ranked.best.n_effective,
            "fits": [
                {
                    "standards": list(fit.standards),
                    "weights": fit.weights,
                    "weight_sd": fit.weight_sd,
                    "composition": fit.composition,
                    "composition_sd": fit.composition_sd,
                    "r_factor": fit.r_factor,
                    "chi2": fit.chi2,
                    "reduced_chi2": fit.reduced_chi2,
                    "bic": fit.bic,
                }
                for fit in ranked.fits
            ],
        }
        for name, ranked in found.items()
    ]
    text = "\n\n".join(f"{name}: {ranked}" for name, ranked in found.items())
    answer(data, text, json)
    if figure is not None:
        from chemoscape.report.lcf import lcf_figure
        from chemoscape.report.panels import save_figure

        name, ranked = next(iter(found.items()))
        save_figure(lcf_figure(ranked, title=name), figure)
        print(f"wrote {figure}", file=sys.stderr)
    return 0
