"""The command line's `standards`: look at libraries, and fit spectra by them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from cyclopts import App

from chemoscape.console import answer, warnings_in_a_line

standards_app = App(name="standards", help="Look at libraries of standard spectra, fit by them.")


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
def show_standards(library: str, /) -> int:
    """Show the standards of a library.

    Parameters
    ----------
    library
        A shipped library's name, or a folder with library.toml.
    """
    from chemoscape.standards.folder import open_library

    print(open_library(library))
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
    from chemoscape.formats import open_spectra
    from chemoscape.standards.folder import open_library

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
