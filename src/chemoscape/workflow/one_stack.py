"""The steps of one stack, in the order of the paper's Figure 2."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from chemoscape import blocks, few_stages, fitting_stages, one_pass, particle_stages, stages
from chemoscape.decompose.energy import EnergyShift
from chemoscape.decompose.sample import has_statistics, with_statistics
from chemoscape.few_energies.problem import MOST_ENERGIES
from chemoscape.journal import Journal
from chemoscape.particles.contacts import contacts
from chemoscape.preprocess.shifts import Drift
from chemoscape.products import Products, chosen_composition
from chemoscape.recipe import Recipe
from chemoscape.standards.library import Library


def carry_out(recipe: Recipe, log: Journal) -> Products:
    """All stages, from the file to stress and particles."""
    with log.step("read"):
        stack = stages.read(recipe)
        stages.refuse_too_large(stack, recipe)
        if 2 <= stack.sizes["energy"] <= MOST_ENERGIES:
            log.n_images = stack.sizes["energy"]
    with log.step("standards"):  # before the work, so that a wrong name is not found only after it
        library = standards_for(stack, recipe)
    done = prepare(stack, recipe, log)
    if recipe.few_energies.enabled:
        _map_few(done, library, recipe, log)
    elif fit_spectra(done, library, recipe, log) and recipe.composition.enabled:
        with log.step("composition"):
            done.compositions = fitting_stages.compositions(done, recipe)
    if done.compositions:
        use_composition(done, recipe, log)
    if recipe.electrochemistry.enabled:
        with log.step("electrochemistry"):
            known = chosen_composition(done, recipe) if done.compositions else None
            done.cycling = stages.cycled(known, recipe)
    return done


def standards_for(stack: xr.DataArray, recipe: Recipe) -> Library | None:
    """The standards that the recipe fits with, and whether all that it names is there."""
    few = recipe.few_energies.enabled
    fitted = recipe.standards.enabled and (few or recipe.deconvolution.enabled)
    library = fitting_stages.standards(recipe) if fitted else None
    if few:
        few_stages.require_images(stack, recipe)
        few_stages.require_stxm(recipe)
    if few and library is not None:
        few_stages.require_bounds(library, stack, recipe)
    fitting_stages.require_regions(stack, recipe)
    return library


def prepare(
    stack: xr.DataArray,
    recipe: Recipe,
    log: Journal,
    *,
    drift: Drift | None = None,
    known: xr.Dataset | None = None,
) -> Products:
    """From what was recorded to the optical density on common pixels.

    `drift` is taken out where it is known, and `known` is the optical density without it; else the
    drift is measured as the recipe says.
    """
    done = Products(stack)
    if stages.asked_to_mend(recipe):
        with log.step("artefacts"):
            done.stack, done.touched = stages.mend(done.stack, recipe)
    if stages.uses_detector_images(recipe):
        with log.step("optical density"):
            done.od = stages.absorb(done.stack, recipe)
    if drift is not None:
        done.drift, done.drift_applied = drift, True
    elif recipe.drift.enabled and done.stack.sizes["energy"] > 1:
        with log.step("drift"):
            seen = done.stack if done.od is None else done.od["optical_density"]
            done.drift, done.drift_applied = stages.find_drift(seen, recipe)
    if done.drift is not None and done.drift_applied:
        with log.step("alignment"):
            done.stack, done.od = stages.take_out(done.stack, done.od, done.drift)
    if done.od is None:
        with log.step("optical density"):
            done.od = stages.absorb(done.stack, recipe, known)
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


def fit_spectra(done: Products, library: Library | None, recipe: Recipe, log: Journal) -> bool:
    """Components, clusters and both routes; whether weights were found.

    Clusters and their match are kept where they are known already, of several stacks together.
    """
    of_several = done.clusters is not None
    assert done.od is not None  # noqa: S101 - every run has an optical density
    if recipe.clusters.enabled and done.clusters is None:
        with log.step("components and clusters"):
            done.components, done.clusters, done.tree = fitting_stages.group(done.od, recipe)
    if not has_statistics(done.od, None):
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
    if done.clusters is not None and done.match is None:
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
                done.od, done.clusters, done.match, recipe, of_several=of_several
            )
        if of_several and done.direct is None:
            done.match = done.match.assign_attrs(_own_axis(done.match, done.clustered).to_attrs())
    _fit_more(done, library, recipe, log)
    if recipe.damage.enabled and done.stack.attrs["quantity"] == "counts":
        with log.step("radiation damage"):
            done.damage, done.dose = stages.damaged(done, recipe)
    return True


def _own_axis(common: xr.Dataset, own: xr.Dataset) -> EnergyShift:
    """A stack's energy axis against the standards: that of clusters it shares with other stacks,
    and its own against theirs.
    """
    first, second = (EnergyShift.from_attrs(one.attrs) for one in (common, own))
    sd = float(np.hypot(first.sd, second.sd))
    return replace(first, value=first.value + second.value, sd=sd)


def use_composition(done: Products, recipe: Recipe, log: Journal) -> None:
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
    if done.components is not None and done.targets is None:
        done.targets = fitting_stages.targets_of(done.components, library, recipe, axis)
    if recipe.deconvolution.regions:
        with log.step("regions"):
            done.regions = fitting_stages.fit_regions(done.od, library, recipe, axis)
