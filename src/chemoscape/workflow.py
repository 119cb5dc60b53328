"""The paper's Figure 2 as code: the only place that orders the steps.

Each stage is one function from the products before it to its own; `run` puts them in order,
collects warnings and times, and writes what the recipe asks for.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import blocks, results
from chemoscape import stack as stacks
from chemoscape.chemistry import composition
from chemoscape.decompose.clusters import cluster, merge_clusters
from chemoscape.decompose.components import principal_components
from chemoscape.decompose.direct import deconvolve
from chemoscape.decompose.matching import library_from_clusters, match
from chemoscape.errors import ChemoscapeWarning, FitError, RecipeError, StackError
from chemoscape.formats import open_stack
from chemoscape.mechanics.fields import StressField, stress
from chemoscape.mechanics.material import Material
from chemoscape.preprocess.absorbance import optical_density, smooth
from chemoscape.preprocess.alignment import align, crop_common
from chemoscape.preprocess.drift import measure_drift
from chemoscape.preprocess.shifts import Drift
from chemoscape.products import Products, chosen_composition, nodes_of, summarise
from chemoscape.recipe import (
    Recipe,
    RegionTable,
    make_recipe,
    read_recipe,
    refuse_contradictions,
    to_toml,
)
from chemoscape.report.figures import figure_png
from chemoscape.report.gallery import run_figures
from chemoscape.report.html import LARGEST_BYTES, report_html
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library

#: Called with a step's name when it begins.
Progress = Callable[[str], None]


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
        Folder to write results, figures and report into; nothing is written without it.
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
    if output is not None:
        results.refuse_existing(output, overwrite=overwrite)  # before the work, not after
    outcome = analyse(recipe, progress=progress)
    if output is not None:
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
    log = _Log(progress)
    with log.listening(), blocks.workers(recipe.compute.threads):
        done = _carry_out(recipe, log)
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
        drawn = run_figures(outcome.tree, od=done.od, truth=truth)
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
    )


class _Log:
    """Times of the steps and the warnings raised in them."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []

    def say(self, name: str) -> None:
        """Tell whoever watches which step begins."""
        if self.progress is not None:
            self.progress(name)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce and time one step."""
        self.say(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep our warnings for the summary; pass all others on."""
        shown = warnings.showwarning

        def keep(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, ChemoscapeWarning):
                shown(message, category, *where, **more)
            elif str(message) not in self.warnings:
                self.warnings.append(str(message))

        with warnings.catch_warnings():
            warnings.simplefilter("always", ChemoscapeWarning)
            warnings.showwarning = keep
            yield


def _carry_out(recipe: Recipe, log: _Log) -> Products:
    """All stages in the order of the paper's Figure 2."""
    with log.step("read"):
        done = Products(read(recipe))
    fitted = recipe.standards.enabled and recipe.deconvolution.enabled
    with log.step("standards"):  # before the work, so that a wrong name is not found only after it
        library = standards(recipe) if fitted else None
    if recipe.drift.enabled and done.stack.sizes["energy"] > 1:
        with log.step("drift"):
            done.drift, done.stack, done.drift_applied = register(done.stack, recipe)
    with log.step("optical density"):
        done.od = absorb(done.stack, recipe)
    if recipe.clusters.enabled:
        with log.step("components and clusters"):
            done.components, done.clusters = group(done.od, recipe)
    if library is None:
        return done
    done.library = library
    if done.clusters is not None:
        with log.step("match"):
            done.match = match(
                done.clusters,
                done.library,
                baseline=_baseline(recipe),
                energy_shift=_energy_shift(recipe),
                fit_range=recipe.deconvolution.range,
                resolution_eV=recipe.clusters.resolution_eV,
            )
    if recipe.standards.select == "matched":
        assert done.match is not None  # noqa: S101 - the recipe has clusters
        done.library = matched_standards(done.library, done.match)
    if recipe.deconvolution.route in ("direct", "both"):
        with log.step("direct route"):
            done.direct = direct_route(done.od, done.library, recipe)
    if recipe.deconvolution.route != "direct":
        assert done.clusters is not None and done.match is not None  # noqa: S101, PT018 - checked
        with log.step("clustered route"):
            done.cluster_library, done.clustered = clustered_route(
                done.od, done.clusters, done.match, recipe
            )
    if not recipe.composition.enabled:
        return done
    with log.step("composition"):
        done.compositions = compositions(done, recipe)
    if recipe.stress.enabled:
        with log.step("stress"):
            done.fields = stresses(chosen_composition(done, recipe), recipe)
    return done


def read(recipe: Recipe) -> xr.DataArray:
    """Open the stack, leave out frames and blank regions as the recipe says."""
    stack = open_stack(recipe.input.path, **recipe.input.options())
    keep = measured(stack)
    for unwanted in recipe.input.drop_energies:
        apart = np.abs(stack.energy.values - unwanted)
        if apart.min() > 0.01:
            raise RecipeError(
                f"[input] drop_energies names {unwanted:g} eV, the nearest frame is at "
                f"{stack.energy.values[apart.argmin()]:.3f} eV",
                remedy="give the frame's own energy",
            )
        keep[apart.argmin()] = False
    if not keep.any():
        raise RecipeError("[input] drop_energies leaves no frame", remedy="drop fewer")
    stack = stack.isel(energy=keep)
    for table in recipe.input.exclude:
        stack = stack.where(~table.region().mask(stack)).assign_attrs(stack.attrs)
    if recipe.input.exclude and not stack.notnull().any():
        raise RecipeError("[input] exclude leaves no pixel", remedy="exclude smaller regions")
    return stacks.check(stack)


def measured(stack: xr.DataArray) -> np.ndarray:
    """Which frames hold any value; those of a scan in progress that do not are left out, and the
    user was told when the stack was opened.
    """
    seen = stack.notnull().any(("y", "x")).values
    if not seen.any():
        raise StackError(
            "the stack holds no value at all",
            where=str(stack.attrs.get("source", "")),
            remedy="look at the file with chemoscape inspect",
        )
    return seen


def register(stack: xr.DataArray, recipe: Recipe) -> tuple[Drift, xr.DataArray, bool]:
    """Measure the drift, or read it, and align the frames when it matters."""
    section = recipe.drift
    if section.shifts:
        drift = Drift.load(section.shifts)
    else:
        region = section.region.region() if section.region is not None else None
        drift = measure_drift(stack, reference=section.reference, region=region)
    if not section.shifts and drift.rms_px < section.threshold_px:
        return drift, stack, False
    return drift, crop_common(align(stack, drift)), True


def absorb(stack: xr.DataArray, recipe: Recipe) -> xr.Dataset:
    """Counts to optical density with its variance."""
    section = recipe.absorbance
    if not section.enabled and stack.attrs["quantity"] != "optical_density":
        raise RecipeError(
            f"[absorbance] is off but the stack holds {stack.attrs['quantity']}",
            remedy='turn it on, or set [input] quantity = "optical_density"',
        )
    i0 = section.i0.region() if isinstance(section.i0, RegionTable) else section.i0
    return optical_density(
        stack, i0=i0, i0_unit=section.i0_unit, dark=section.dark, noise=section.noise
    )


def group(od: xr.Dataset, recipe: Recipe) -> tuple[xr.Dataset, xr.Dataset]:
    """Principal components, and clusters of pixels with alike spectra."""
    section = recipe.clusters
    pcs = principal_components(od, seed=recipe.seed)
    groups = cluster(
        od,
        pcs,
        n_clusters=section.n_clusters,
        n_components=section.n_components,
        seed=recipe.seed,
    )
    if section.merge:
        groups = merge_clusters(od, groups, section.merge)
    return pcs, groups


def standards(recipe: Recipe) -> Library:
    """Open the library and select the standards that the recipe names."""
    if not recipe.standards.library:
        raise RecipeError(
            "[standards] library names no library",
            remedy="name a folder with a library.toml, or turn [standards] off",
        )
    library = open_library(recipe.standards.library)
    wanted = recipe.standards.select
    return library.select(*wanted) if wanted and wanted != "matched" else library


def matched_standards(library: Library, table: xr.Dataset) -> Library:
    """The standards that take part in the best match of any cluster."""
    present = (table.weight.values > 0).any(axis=0)
    return library.select(*np.array(library.names)[present])


def direct_route(od: xr.Dataset, library: Library, recipe: Recipe) -> xr.Dataset:
    """Orange arrows of Figure 2: every pixel against the standards."""
    return _fit(od, library, recipe, energy_shift=_energy_shift(recipe))


def _fit(od: xr.Dataset, library: Library, recipe: Recipe, *, energy_shift: Any) -> xr.Dataset:
    """Deconvolve as the recipe says."""
    section = recipe.deconvolution
    return deconvolve(
        od,
        library,
        nonnegative=section.nonnegative,
        baseline=_baseline(recipe),
        energy_shift=energy_shift,
        weights=section.weights,
        fit_range=section.range,
    )


def clustered_route(
    od: xr.Dataset, groups: xr.Dataset, table: xr.Dataset, recipe: Recipe
) -> tuple[Library, xr.Dataset]:
    """Teal arrows of Figure 2: every pixel against the clusters that were matched to standards."""
    own = library_from_clusters(groups, table)
    return own, _fit(od, own, recipe, energy_shift=0.0)


def compositions(done: Products, recipe: Recipe) -> dict[str, xr.Dataset]:
    """The composition that each route gives.

    The Gaussian filter (Equation 5) acts on the optical density and the fit is made once more. For
    an unconstrained fit that is the same as filtering weights, as the paper does; non-negative
    weights have one-sided errors, which a filter behind the fit would average into a bias.
    """
    section = recipe.composition
    routes = {
        "direct": (done.direct, done.library),
        "clustered": (done.clustered, done.cluster_library),
    }
    found = {}
    for name, (maps, library) in routes.items():
        if maps is None or library is None or done.od is None:
            continue
        comp = composition(
            maps,
            library,
            normalise=section.normalise,
            min_thickness=section.min_thickness,
        )
        if section.smooth_px > 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ChemoscapeWarning)  # said already by the first fit
                maps = _fit(
                    smooth(done.od, section.smooth_px),
                    library,
                    recipe,
                    energy_shift=maps.attrs["energy_shift_eV"],
                )
        found[name] = composition(
            maps,
            library,
            refine=section.refine,
            normalise=section.normalise,
            mask=comp["mask"],
        ).assign_attrs(
            smooth_px=section.smooth_px, noise_length_px=section.smooth_px * section.refine
        )
        if not found[name]["composition"].notnull().any():
            raise FitError(
                f"the {name} route finds a composition in no pixel",
                str(recipe.input.path),
                "look whether I0 is free of sample and the standards are of this edge, or lower "
                "[composition] min_thickness",
            )
    return found


def stresses(comp: xr.Dataset, recipe: Recipe) -> list[StressField]:
    """Stress for every boundary asked for, on one mesh."""
    section = recipe.stress
    assert section.material is not None  # noqa: S101 - the recipe has checked it
    return stress(
        comp,
        Material(**section.material.model_dump()),
        boundary=list(section.boundary),
        mesh_size=section.mesh_size_um,
        order=section.order,
        plane=section.plane,
    )


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


def _baseline(recipe: Recipe) -> Any:
    return None if recipe.deconvolution.baseline == "none" else recipe.deconvolution.baseline


def _energy_shift(recipe: Recipe) -> Any:
    return recipe.calibration.energy_shift if recipe.calibration.enabled else 0.0


def _notices(done: Products) -> list[str]:
    """What must be said above everything else."""
    if done.library is not None and done.library.synthetic:
        return [f"The standards of {done.library.name} are synthetic: calculated, not measured."]
    return []
