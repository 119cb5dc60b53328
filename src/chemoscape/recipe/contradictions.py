"""Recipes whose sections do not go together, refused before any work."""

from __future__ import annotations

import os

from chemoscape.errors import RecipeError
from chemoscape.recipe.models import Recipe


def refuse_contradictions(recipe: Recipe) -> None:
    """Refuse, before any work, a recipe whose sections ask for what others leave out."""
    if recipe.series.enabled:
        _refuse_for_a_series(recipe)
    elif not recipe.input.path:
        raise RecipeError("[input] path is missing", remedy="name the stack's file there")
    cycling = recipe.electrochemistry
    if cycling.enabled and not os.path.isfile(cycling.curve):
        raise RecipeError(
            "[electrochemistry] curve is no file",
            cycling.curve,
            "give the path of the cycler's table, relative to the recipe",
        )
    drift = recipe.drift
    if drift.shifts and (drift.motion != "translation" or drift.channel != ""):
        other = "motion" if drift.motion != "translation" else "channel"
        raise RecipeError(
            f"[drift] shifts are read from a file, and {other} says how to measure them",
            remedy="keep one of the two",
        )
    if not drift.enabled and (drift.shifts or drift.edits):
        raise RecipeError(
            "[drift] is off but has shifts or edits", remedy="turn it on, or take them away"
        )
    if not recipe.clusters.enabled and recipe.factorisation.enabled:
        raise RecipeError(
            "[factorisation] starts from clusters, but [clusters] is off",
            remedy="turn [clusters] on",
        )
    route, source = recipe.deconvolution.route, recipe.composition.source
    few = recipe.few_energies.enabled
    for name, wanted in (
        ("[factorisation]", recipe.factorisation.enabled),
        ('[composition] normalise = "none"', recipe.composition.normalise == "none"),
    ):
        if few and wanted:
            raise RecipeError(
                f"{name} is of spectra, and [few_energies] takes a few images instead",
                remedy="take it away, or turn [few_energies] off",
            )
    if few and recipe.calibration.stretch:
        raise RecipeError(
            "[calibration] stretch is fitted to spectra, and [few_energies] takes a few images",
            remedy="take it away; give the shift that STXM found as energy_shift",
        )
    if few and recipe.standards.select == "matched":
        raise RecipeError(
            '[standards] select = "matched" needs clusters, and [few_energies] makes none',
            remedy="select the standards that bound the composition",
        )
    fitted = recipe.standards.enabled and (few or recipe.deconvolution.enabled)
    for asking in ("stress", "particles"):
        if getattr(recipe, asking).enabled and not (fitted and recipe.composition.enabled):
            off = next(
                name
                for name in ("standards", "deconvolution", "composition")
                if not getattr(recipe, name).enabled and not (few and name == "deconvolution")
            )
            raise RecipeError(
                f"[{asking}] needs a composition, but [{off}] is off",
                remedy=f"turn [{off}] on, or [{asking}] off",
            )
    asked = {
        "[deconvolution] regions": bool(recipe.deconvolution.regions),
        "[calibration] anchors": bool(recipe.calibration.anchors),
        "[standards] groups": bool(recipe.standards.groups),
    }
    unmet = [name for name, wanted in asked.items() if wanted]
    if few and unmet:
        raise RecipeError(
            f"{unmet[0]} needs spectra, and [few_energies] takes a few images instead",
            remedy="take it away, or turn [few_energies] off",
        )
    if not fitted and unmet:
        raise RecipeError(
            f"{unmet[0]} needs standards to fit, but [standards] or [deconvolution] is off",
            remedy="turn both on, or take it away",
        )
    if few or not fitted:
        return
    for name, wanted in (
        ("[standards] groups", bool(recipe.standards.groups)),
        ("[deconvolution] singular_values", recipe.deconvolution.singular_values is not None),
    ):
        if wanted and (route == "clustered" or (route == "both" and "singular" in name)):
            raise RecipeError(
                f'{name} speaks of the library\'s standards, but route = "{route}" fits clusters',
                remedy='set route = "direct"',
            )
    if recipe.composition.enabled and route not in (source, "both"):
        raise RecipeError(
            f'[composition] from = "{source}" but [deconvolution] route = "{route}" does not '
            "compute it",
            remedy='set route = "both", or make the two agree',
        )
    if not recipe.clusters.enabled and route != "direct":
        raise RecipeError(
            f'[deconvolution] route = "{route}" needs clusters, but [clusters] is off',
            remedy='turn [clusters] on, or set route = "direct"',
        )
    if not recipe.clusters.enabled and recipe.standards.select == "matched":
        raise RecipeError(
            '[standards] select = "matched" needs clusters, but [clusters] is off',
            remedy="turn [clusters] on, or name the standards",
        )


def _refuse_for_a_series(recipe: Recipe) -> None:
    """Refuse what is not done of several stacks together."""
    series = recipe.series
    if not series.stacks:
        raise RecipeError(
            "[series] stacks names no stack",
            remedy='name them in the order of time there, such as ["scan_*.hdr"], or with --input',
        )
    for name, asked in (
        ("[few_energies]", recipe.few_energies.enabled),
        ("[particles]", recipe.particles.enabled),
        ("[input] further", bool(recipe.input.further)),
        ("[stress] graded", recipe.stress.enabled and recipe.stress.graded),
        ("[stress] follow_phase", recipe.stress.enabled and recipe.stress.follow_phase is not None),
        ("[drift] shifts", bool(recipe.drift.shifts)),
        ("[drift] edits", bool(recipe.drift.edits)),
    ):
        if asked:
            raise RecipeError(
                f"{name} is not for a series",
                remedy="take it away, or run each stack by itself: the same recipe without "
                "[series], and all stacks behind --input",
            )


def refuse_other_inputs(recipe: Recipe) -> None:
    """Refuse to carry a recipe over to other stacks that names files of one sample."""
    named = {
        "[series] stacks": recipe.series.stacks if recipe.series.enabled else [],
        "[input] further": recipe.input.further,
        "[few_energies] stxm": recipe.few_energies.stxm,
    }
    for key, files in named.items():
        if files:
            raise RecipeError(
                f"{key} names files of one sample, and the recipe is to run on another",
                remedy="put images of one sample into a folder of their own, or make a recipe each",
            )
