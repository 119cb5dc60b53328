"""The command line's `plan`: which energies to take, at which dose, before a beamtime."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from chemoscape.console import answer, progress_bar, warnings_in_a_line
from chemoscape.errors import RecipeError

if TYPE_CHECKING:
    from chemoscape.few_energies.expected import Expected
    from chemoscape.few_energies.model import Nuisance
    from chemoscape.few_energies.overview import Overview
    from chemoscape.few_energies.plan import Plan
    from chemoscape.few_energies.subsampling import Subsampling
    from chemoscape.standards.library import Library

Several = Annotated[list[float] | None, Parameter(consume_multiple=True)]

#: Absorbed dose (MGy) where neither a dose nor an error is asked for.
DOSE_MGY = 50.0


@dataclass(frozen=True)
class SampleOptions:
    """What the sample is expected to be."""

    thickness_nm: float | None = None
    "How thick; default: 100 nm, or that of the stack."
    areal_mass: float | None = None
    "µg/cm², instead of a thickness, or beside --peak-od for a dose."
    peak_od: float | None = None
    "Highest optical density, instead; needed where the standards are optical densities."
    samples: int = 5
    "Compositions from the lowest standard to the highest that are planned for."

    def amount(self, otherwise_nm: float | None) -> dict[str, float]:
        """Keywords of `Expected`."""
        given = {
            "thickness_nm": self.thickness_nm,
            "areal_mass": self.areal_mass,
            "peak_od": self.peak_od,
        }
        known = {key: value for key, value in given.items() if value is not None}
        return known or {"thickness_nm": otherwise_nm or 100.0}


@dataclass(frozen=True)
class ErrorOptions:
    """What is uncertain besides the counts, one standard deviation each."""

    energy_sd: float = 0.05
    "Of the energy of each image, eV."
    calibration_sd: float = 0.05
    "Of the energy axis against the standards', eV."
    offset_sd: float = 0.01
    "Of an optical density that is common to all images; inf: fit a free constant."
    i0_sd: float = 0.003
    "Of the incident beam of each image, relative."

    def nuisance(self) -> Nuisance:
        """The model's own name for them."""
        from chemoscape.few_energies.model import Nuisance

        return Nuisance(self.energy_sd, self.calibration_sd, self.offset_sd, self.i0_sd)


@dataclass(frozen=True)
class SearchOptions:
    """Which energies may be taken."""

    always: Several = None
    "Energies (eV) to take in any case, such as one before the edge."
    within: tuple[float, float] | None = None
    "Lowest and highest energy, eV; default: the library's window."
    spacing: float = 1.0
    "Least distance of two energies, eV; closer ones share errors and tell nothing new."
    highest_od: float | None = None
    "Leave out energies at which the sample absorbs more."
    shares: Literal["best", "equal"] = "best"
    "Photons of the images: as they give the least error, or alike."
    compare: Several = None
    "Energies (eV) to compare with at the same dose; default: the best features."


@dataclass(frozen=True)
class BeamOptions:
    """The instrument."""

    pixel_nm: float = 10.0
    "Side of a pixel."
    flux: float = 1e8
    "Photons per second on a pixel."
    efficiency: float = 1.0
    "Counts per photon that arrives at the detector."


Made = Annotated[SampleOptions, Parameter(name="*")]
Errors = Annotated[ErrorOptions, Parameter(name="*")]
Search = Annotated[SearchOptions, Parameter(name="*")]
Beam = Annotated[BeamOptions, Parameter(name="*")]
_SAMPLE, _ERRORS, _SEARCH, _BEAM = SampleOptions(), ErrorOptions(), SearchOptions(), BeamOptions()


def plan_energies(
    library: str,
    /,
    *,
    standards: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    energies: Annotated[
        list[int] | None, Parameter(name=["--energies", "-n"], consume_multiple=True)
    ] = None,
    dose_MGy: Annotated[float | None, Parameter(name="--dose-MGy")] = None,
    wanted_sd: float | None = None,
    photons: float | None = None,
    made: Made = _SAMPLE,
    errors: Errors = _ERRORS,
    search: Search = _SEARCH,
    beam: Beam = _BEAM,
    stack: Path | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Plan a measurement at few energies: which ones, how long at each, and the error to expect.

    The plan is that of the fewest energies within 5 % of the least error, at least one more than
    standards, so that a misfit can be seen; what other numbers give stands beside it. To decide
    yourself give a single number.

    Examples:
    chemoscape plan lixv2o5-model --standards alpha-Li0.1V2O5 epsilon-Li0.3V2O5 --wanted-sd 0.02
    chemoscape plan my-iron --energies 3 --dose-MGy 20 --thickness-nm 60 --always 705
    chemoscape plan my-iron --stack overview.hdr --energy-sd 0.02 --flux 3e8

    Parameters
    ----------
    library
        A shipped library's name, or a folder with library.toml.
    standards
        Ids of the standards that bound the composition; default: all, which takes more energies.
    energies
        Numbers of energies to plan for; default: as many as standards, a free constant and those of
        --always, and the three that follow.
    dose_MGy
        Absorbed dose of all images; default: 50 MGy.
    wanted_sd
        Instead: the standard deviation of a pixel's composition that is wanted.
    photons
        Instead: photons on a pixel in all images.
    stack
        An overview of the same sample: its energy shift and mean thickness are taken, and the plan
        is tried on it.
    output
        Folder for the page, its figure and the numbers; default: the library's name with -plan.
    overwrite
        Replace an earlier plan.
    json
        Print the numbers as JSON.
    """
    from json import dumps

    import numpy as np

    from chemoscape.few_energies.alternatives import chosen_again, recommended, with_unsaturated
    from chemoscape.few_energies.comparisons import compared
    from chemoscape.few_energies.overview import Overview
    from chemoscape.few_energies.plan import require_flux
    from chemoscape.few_energies.requirements import fewest_energies, grid_of
    from chemoscape.few_energies.strangers import guard, strangers
    from chemoscape.report.panels import figure_png
    from chemoscape.report.plan import plan_html
    from chemoscape.report.plan_panels import plan_figure
    from chemoscape.report.plan_words import no_check, saturation, shifted, unnoticed
    from chemoscape.results import none_if_not_finite, refuse_existing, results_folder
    from chemoscape.standards.folder import open_library

    if sum(one is not None for one in (dose_MGy, wanted_sd, photons)) > 1:
        raise RecipeError(
            "a plan is for a dose, for photons or for a wanted error", remedy="give one of them"
        )
    require_flux(beam.flux)
    folder = output or Path(f"{Path(library).resolve().name}-plan")
    refuse_existing(folder, overwrite=overwrite)
    with warnings_in_a_line(), progress_bar("plan") as progress:
        progress("reading the standards")
        whole = open_library(library)
        pair = whole.select(*standards) if standards else whole
        how = _options(errors, search, beam)
        overview = None
        if stack is not None:
            progress("fitting the standards to the stack")
            overview = Overview.of(stack, pair)
        expected = _expected(pair, made, overview)
        fewest = fewest_energies(expected, how["nuisance"]) + len(search.always or [])
        plans = []
        for n in sorted(set(energies or range(fewest, fewest + 4))):
            progress(f"choosing {n} energies")
            plans.append(_planned(expected, n, how, dose_MGy, wanted_sd, photons))
        best = recommended(plans)
        needs = [] if wanted_sd is None else _needs(plans, wanted_sd)
        progress("comparing at the same dose")
        others = [one for one in plans if one is not best]
        if wanted_sd is not None or photons is not None:
            others = [chosen_again(best, one.energies.size, how) for one in others]
        against = compared(best, _named(search.compare), highest_od=how["highest_od"])
        plan = with_unsaturated(replace(best, compared=against), how)
        tried = None
        if overview is not None:
            progress("trying the plan on the stack")
            tried = overview.tried(plan)
        progress("writing the page")
        mass = float(expected.share @ expected.weights.sum(axis=1))
        other = strangers(pair, whole, plan.energies, mass, nuisance=how["nuisance"])
        guard_eV = None
        if any(not one.noticed for one in other):
            grid = grid_of(expected, expected.scan(), search.within, (), how["highest_od"])
            apart = np.abs(grid[:, None] - plan.energies).min(axis=1)
            energy, seen = guard(
                pair,
                whole,
                plan.energies,
                mass,
                grid[apart >= search.spacing],
                nuisance=how["nuisance"],
            )
            guard_eV = energy if all(one.noticed for one in seen) else None
        shift = None if overview is None else overview.energy_shift_eV
        first = [] if stack is None or shift is None else [shifted(shift, stack.name)]
        facts = _facts(plan, others, tried, beam.flux)
        facts |= {"guard_eV": guard_eV, "energy_shift_eV": shift}
        facts["strangers"] = [asdict(one) for one in other]
        picture = figure_png(plan_figure(plan, others), dpi=300)
        page = plan_html(
            plan,
            picture,
            title=f"Energies for {pair.variable}",
            flux=beam.flux,
            others=others,
            validation=tried,
            strangers=other,
            guard_eV=guard_eV,
            first=first,
        )
        with results_folder(folder, overwrite=overwrite) as staging:
            (staging / "figures").mkdir()
            (staging / "figures" / "plan.png").write_bytes(picture)
            (staging / "plan.html").write_text(page, encoding="utf-8")
            text = dumps(none_if_not_finite(facts), indent=2, ensure_ascii=False, allow_nan=False)
            (staging / "plan.json").write_text(text + "\n", encoding="utf-8")
    said = (*first, saturation(plan), unnoticed(other, guard_eV), no_check(plan))
    cautioned = [f"caution: {one}" for one in said if one]
    answer(facts, "\n".join([*_said(plan, others, tried), *cautioned, *needs]), json)
    print(f"written to {folder}: print {folder / 'plan.html'}", file=sys.stderr)
    return 0


def _expected(pair: Library, made: SampleOptions, overview: Overview | None) -> Expected:
    from chemoscape.few_energies.expected import Expected

    amount = made.amount(None if overview is None else overview.thickness_nm)
    return Expected.between(pair, made.samples, **amount)


def _options(errors: ErrorOptions, search: SearchOptions, beam: BeamOptions) -> dict[str, Any]:
    """Keywords of `choose_energies`."""
    return {
        "nuisance": errors.nuisance(),
        "pixel_um": beam.pixel_nm / 1e3,
        "efficiency": beam.efficiency,
        "always": search.always or [],
        "within": search.within,
        "spacing_eV": search.spacing,
        "highest_od": inf if search.highest_od is None else search.highest_od,
        "shares": search.shares,
        "compare_with": {},
    }


def _named(energies: list[float] | None) -> dict[str, list[float]] | None:
    """What the plan is to be compared with, by name."""
    return {", ".join(f"{one:g}" for one in energies) + " eV": energies} if energies else None


def _planned(
    expected: Expected,
    n: int,
    how: dict[str, Any],
    dose_MGy: float | None,
    wanted_sd: float | None,
    photons: float | None,
) -> Plan:
    """The best plan with n energies."""
    from chemoscape.few_energies.budget import choose_for
    from chemoscape.few_energies.selection import choose_energies

    if wanted_sd is not None:
        return choose_for(expected, n, wanted_sd, **how)
    if photons is not None:
        return choose_energies(expected, n, photons=photons, **how)
    return choose_energies(expected, n, dose_MGy=DOSE_MGY if dose_MGy is None else dose_MGy, **how)


def _needs(plans: list[Plan], wanted_sd: float) -> list[str]:
    """The dose that each number of energies takes."""
    return [
        f"for {wanted_sd:g} with {one.energies.size} energies: "
        + (f"{one.dose_MGy:.1f} MGy, " if isfinite(one.dose_MGy) else "")
        + f"{one.photons.sum():.0f} photons"
        for one in plans
    ]


def _facts(
    plan: Plan, others: list[Plan], tried: Subsampling | None, flux: float
) -> dict[str, Any]:
    """All numbers."""
    return {
        "variable": plan.expected.library.variable,
        "library": plan.expected.library.id,
        "standards": plan.expected.library.names,
        "synthetic": plan.expected.library.synthetic,
        "flux_per_s": flux,
        "dwell_ms": plan.dwell_ms(flux).tolist(),
        "plan": plan.to_dict(),
        "others": [one.to_dict() for one in others],
        "stack": None if tried is None else tried.to_dict(),
    }


def _said(plan: Plan, others: list[Plan], tried: Subsampling | None) -> list[str]:
    """The answer for a person."""
    lines = [str(plan)]
    for one in others:
        energies = ", ".join(f"{energy:.1f}" for energy in one.energies)
        lines.append(f"same dose, {one.energies.size} energies ({energies}): {one.rms:.4f}")
    if tried is not None:
        lines.append(str(tried))
    if plan.expected.library.synthetic:
        lines.append("the standards are synthetic: this holds for the model, not for a sample")
    return lines
