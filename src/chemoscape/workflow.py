"""The paper's Figure 2 as code: the only place that orders the steps.

Each stage is one function from the products before it to its own; `run` puts them in order,
collects warnings and times, and writes what the recipe asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from chemoscape import (
    blocks,
    few_stages,
    fitting_stages,
    one_pass,
    particle_stages,
    results,
    stages,
)
from chemoscape.decompose.energy import EnergyShift
from chemoscape.decompose.sample import with_statistics
from chemoscape.errors import (
    ChemoscapeError,
    RecipeError,
)
from chemoscape.few_energies.problem import MOST_ENERGIES
from chemoscape.journal import Journal, Progress
from chemoscape.particles.contacts import contacts
from chemoscape.particles.table import csv_text
from chemoscape.products import Products, chosen_composition, nodes_of
from chemoscape.recipe import (
    Recipe,
    make_recipe,
    read_recipe,
    refuse_contradictions,
    to_toml,
)
from chemoscape.report.figures import figure_png
from chemoscape.report.gallery import run_figures
from chemoscape.report.html import LARGEST_BYTES, report_html
from chemoscape.standards.library import Library
from chemoscape.summaries import summarise


def run(
    recipe: Recipe | str | Path | Mapping[str, Any],
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> xr.DataTree:
    """Carry out a recipe: stack, drift, optical density, weights, composition, stress, report.

    Parameters
    ----------
    recipe : Recipe, path of a TOML file, or nested tables
        What to do; see `chemoscape.recipe`.
    output : path, optional
        Folder to write results, figures and report into; nothing is written without it. What passes
        over a stack larger than memory have found is kept beside it until then: a run that was
        ended, and is started again, goes on where it was.
    overwrite : bool
        Replace an earlier results folder.
    progress : callable, optional
        Called with each step's name as it begins.

    Returns
    -------
    DataTree
        The results; `chemoscape.results` lists its nodes.

    Raises
    ------
    ChemoscapeError
        Anything that the user can mend.
    """
    recipe = _as_recipe(recipe)
    if output is None:
        return analyse(recipe, progress=progress).tree
    results.refuse_existing(output, overwrite=overwrite)  # before the work, not after
    with stages.kept_passes(recipe, Path(output)):
        outcome = analyse(recipe, progress=progress)
        write(outcome, output, overwrite=overwrite, progress=progress)
    return outcome.tree


@dataclass(frozen=True)
class Outcome:
    """A recipe carried out: its products, the numbers, and the tree that holds both."""

    recipe: Recipe
    products: Products
    summary: results.RunSummary
    tree: xr.DataTree


def analyse(
    recipe: Recipe | str | Path | Mapping[str, Any],
    *,
    truth: Callable[[Products, results.RunSummary], dict[str, Any]] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Carry out a recipe without writing anything.

    `truth` compares a simulated stack's products with what it was made from; what it returns joins
    the summary.
    """
    recipe = _as_recipe(recipe)
    refuse_contradictions(recipe)
    log = Journal(progress)
    with (
        log.listening(),
        blocks.workers(recipe.compute.threads),
        blocks.cluster(recipe.compute.scheduler),
    ):
        try:
            done = _carry_out(recipe, log)
        except ChemoscapeError as error:
            for warning in log.warnings:  # they may say why
                error.add_note(warning)
            if log.n_images and not recipe.few_energies.enabled:
                error.add_note(
                    f"the stack has {log.n_images} images: composition between two standards is "
                    "mapped from so few with [few_energies] enabled = true"
                )
            raise
        summary = summarise(recipe, done, warnings=log.warnings, seconds=log.seconds)
        if truth is not None:
            log.say("comparison with the truth")
            summary = summary.model_copy(update={"truth": truth(done, summary)})
        tree = results.results_tree(
            nodes_of(recipe, done), summary=summary, recipe_toml=to_toml(recipe), seed=recipe.seed
        )
    return Outcome(recipe, done, summary, tree)


def write(
    outcome: Outcome,
    output: str | Path,
    *,
    overwrite: bool = False,
    truth: Any = None,
    progress: Progress | None = None,
) -> None:
    """Write results, figures and report into a folder, all of it or nothing.

    `truth`, of a simulated stack, is drawn beside the result.
    """
    recipe, done = outcome.recipe, outcome.products
    page, pictures = "", {}
    if recipe.report.enabled:
        if progress is not None:
            progress("report")
        drawn = run_figures(outcome.tree, od=done.seen, truth=truth, ensemble=done.ensemble)
        pictures = {name: figure_png(figure) for name, figure in drawn.items()}
        page = report_html(
            recipe.report.title or Path(recipe.input.path).name,
            outcome.tree,
            outcome.summary,
            # Drawn once for both; a heavy report draws them again, coarser.
            pictures if sum(map(len, pictures.values())) < LARGEST_BYTES / 2 else drawn,
            standards=done.library.standards if done.library is not None else (),
            notices=_notices(done),
        )
    if progress is not None:
        progress("writing")
    results.write_results(
        output,
        outcome.tree,
        outcome.summary,
        to_toml(recipe),
        overwrite=overwrite,
        report_html=page,
        figures=pictures,
        meshes={f"stress-{one.boundary}": one for one in done.fields},
        tables={
            name: csv_text(table, along)
            for name, table, along in (
                ("particles", done.particles, "particle"),
                ("contacts", done.contacts, "contact"),
            )
            if table is not None
        },
    )


def _carry_out(recipe: Recipe, log: Journal) -> Products:
    """All stages in the order of the paper's Figure 2."""
    with log.step("read"):
        done = Products(stages.read(recipe))
        stages.refuse_too_large(done.stack, recipe)
        if 2 <= done.stack.sizes["energy"] <= MOST_ENERGIES:
            log.n_images = done.stack.sizes["energy"]
    if stages.asked_to_mend(recipe):
        with log.step("artefacts"):
            done.stack, done.touched = stages.mend(done.stack, recipe)
    few = recipe.few_energies.enabled
    fitted = recipe.standards.enabled and (few or recipe.deconvolution.enabled)
    with log.step("standards"):  # before the work, so that a wrong name is not found only after it
        library = fitting_stages.standards(recipe) if fitted else None
        if few:
            few_stages.require_images(done.stack, recipe)
            few_stages.require_stxm(recipe)
        if few and library is not None:
            few_stages.require_bounds(library, done.stack, recipe)
        fitting_stages.require_regions(done.stack, recipe)
    if stages.uses_detector_images(recipe):
        with log.step("optical density"):
            done.od = stages.absorb(done.stack, recipe)
    if recipe.drift.enabled and done.stack.sizes["energy"] > 1:
        with log.step("drift"):
            seen = done.stack if done.od is None else done.od["optical_density"]
            done.drift, done.drift_applied = stages.find_drift(seen, recipe)
            if done.drift_applied:
                done.stack, done.od = stages.take_out(done.stack, done.od, done.drift)
    if done.od is None:
        with log.step("optical density"):
            done.od = stages.absorb(done.stack, recipe)
    if few:
        _map_few(done, library, recipe, log)
    elif not _fit_spectra(done, library, recipe, log):
        return done
    if done.compositions:
        _use_composition(done, recipe, log)
    return done


def _map_few(done: Products, library: Library | None, recipe: Recipe, log: Journal) -> None:
    """A few images, between their bounding standards where there are any."""
    assert done.od is not None  # noqa: S101 - every run has an optical density
    done.od = with_statistics(blocks.loaded(few_stages.choose_images(done.od, recipe)), None)
    one_pass.take_up(done, xr.Dataset())
    done.library = library
    with log.step("few energies"):
        if library is None:
            done.few = few_stages.map_ratios(done, recipe)
        else:
            done.few, comp = few_stages.map_composition(done, library, recipe)
            done.compositions = {"few_energies": comp} if recipe.composition.enabled else {}
    with log.step("phase"):
        done.phase = few_stages.phases(done, recipe)
    if recipe.few_energies.stxm:
        with log.step("STXM"):
            done.beside_stxm = few_stages.beside_stxm(done, recipe)
    if library is not None and recipe.damage.enabled and few_stages.counted(done):
        with log.step("dose"):
            done.dose = stages.dose_of(done.od, library, recipe)


def _fit_spectra(done: Products, library: Library | None, recipe: Recipe, log: Journal) -> bool:
    """Components, clusters and both routes; whether weights were found."""
    assert done.od is not None  # noqa: S101 - every run has an optical density
    if recipe.clusters.enabled:
        with log.step("components and clusters"):
            done.components, done.clusters, done.tree = fitting_stages.group(done.od, recipe)
    with log.step("mean spectrum"):
        done.od = with_statistics(done.od, done.components)
    if recipe.factorisation.enabled:
        assert done.clusters is not None  # noqa: S101 - the recipe has checked
        with log.step("factorisation"):
            done.parts = fitting_stages.factorised(done.od, done.clusters, recipe)
    if library is None:
        one_pass.take_up(done, xr.Dataset())
        return False
    done.library = library
    axis = fitting_stages.anchored(done.od, recipe)
    if done.clusters is not None:
        with log.step("match"):
            done.match = fitting_stages.compare(done.clusters, done.library, recipe, axis)
    if recipe.standards.select == "matched":
        assert done.match is not None  # noqa: S101 - the recipe has clusters
        done.library = fitting_stages.matched_standards(done.library, done.match)
    if recipe.deconvolution.route in ("direct", "both"):
        with log.step("direct route"):
            maps = fitting_stages.direct_route(
                done.od, done.library, recipe, axis, beside=one_pass.beside_the_fit(done)
            )
            done.direct = one_pass.take_up(done, maps)
    else:
        one_pass.take_up(done, xr.Dataset())
    if recipe.deconvolution.route != "direct":
        assert done.clusters is not None and done.match is not None  # noqa: S101, PT018 - checked
        with log.step("clustered route"):
            done.cluster_library, done.clustered = fitting_stages.clustered_route(
                done.od, done.clusters, done.match, recipe
            )
    _fit_more(done, library, recipe, log)
    if recipe.damage.enabled and done.stack.attrs["quantity"] == "counts":
        with log.step("radiation damage"):
            done.damage, done.dose = stages.damaged(done, recipe)
    if recipe.composition.enabled:
        with log.step("composition"):
            done.compositions = fitting_stages.compositions(done, recipe)
    return True


def _use_composition(done: Products, recipe: Recipe, log: Journal) -> None:
    """What follows from the map of composition: stress, particles."""
    if recipe.stress.enabled:
        with log.step("stress"):
            done.fields = stages.stresses(chosen_composition(done, recipe), recipe)
    if recipe.particles.enabled:
        with log.step("particles"):
            done.picture = particle_stages.other_picture(done, recipe)  # first: it may be refused
            done.particles = particle_stages.find_particles(done, recipe)
            if done.particles.sizes["particle"]:
                done.contacts = contacts(done.particles)
                done.particle_spectra = particle_stages.spectra_of(done.particles, done, recipe)
                done.ensemble = particle_stages.ensemble_of(done.particles, recipe)


def _fit_more(done: Products, library: Library, recipe: Recipe, log: Journal) -> None:
    """Beside the routes, on their energy axis: every standard on its own, and regions."""
    assert done.od is not None  # noqa: S101 - every run has an optical density
    found = done.direct if done.direct is not None else done.match
    assert found is not None  # noqa: S101 - one of the routes was taken
    axis = EnergyShift.from_attrs(found.attrs)
    if done.components is not None:
        done.targets = fitting_stages.targets_of(done.components, library, recipe, axis)
    if recipe.deconvolution.regions:
        with log.step("regions"):
            done.regions = fitting_stages.fit_regions(done.od, library, recipe, axis)


def _as_recipe(recipe: Recipe | str | Path | Mapping[str, Any]) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Mapping):
        return make_recipe(dict(recipe))
    if not isinstance(recipe, str | Path):
        raise RecipeError(
            f"expected a recipe, got {type(recipe).__name__}",
            remedy="give the path of a TOML file, nested tables, or a Recipe",
        )
    return read_recipe(recipe)


def _notices(done: Products) -> list[str]:
    """What must be said above everything else."""
    if done.library is not None and done.library.synthetic:
        return [f"The standards of {done.library.name} are synthetic: calculated, not measured."]
    return []
