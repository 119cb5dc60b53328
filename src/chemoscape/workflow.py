"""The paper's Figure 2 as code: the only place that orders the steps.

Each stage is one function from the products before it to its own; `run` puts them in order,
collects warnings and times, and writes what the recipe asks for.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from chemoscape.decompose.lcf import library_from_clusters, linear_combination_fit, match
from chemoscape.errors import ChemoscapeWarning, RecipeError
from chemoscape.formats import open_stack
from chemoscape.mechanics.fields import StressField, stress
from chemoscape.mechanics.material import Material
from chemoscape.preprocess.absorbance import optical_density, sample_mask, smooth
from chemoscape.preprocess.drift import Drift, align, crop_common, measure_drift
from chemoscape.recipe import Recipe, RegionTable, make_recipe, read_recipe, to_toml
from chemoscape.report.figures import figure_png
from chemoscape.report.gallery import run_figures
from chemoscape.report.html import LARGEST_BYTES, report_html
from chemoscape.standards.library import Library, open_library

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
    if not recipe.input.path:
        raise RecipeError("[input] path is missing", remedy="name the stack's file there")
    log = _Log(progress)
    with log.listening(), blocks.workers(recipe.compute.threads):
        done = _carry_out(recipe, log)
        summary = _summarise(recipe, done, log)
        if truth is not None:
            log.say("comparison with the truth")
            summary = summary.model_copy(update={"truth": truth(done, summary)})
        tree = results.results_tree(
            _nodes(recipe, done), summary=summary, recipe_toml=to_toml(recipe), seed=recipe.seed
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


@dataclass
class Products:
    """What the stages have made so far; None where the recipe leaves a stage out."""

    stack: xr.DataArray
    drift: Drift | None = None
    drift_applied: bool = False
    od: xr.Dataset | None = None
    components: xr.Dataset | None = None
    clusters: xr.Dataset | None = None
    library: Library | None = None
    direct: xr.Dataset | None = None
    match: xr.Dataset | None = None
    cluster_library: Library | None = None
    clustered: xr.Dataset | None = None
    compositions: dict[str, xr.Dataset] = field(default_factory=dict)
    fields: list[StressField] = field(default_factory=list)


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
    if recipe.drift.enabled and done.stack.sizes["energy"] > 1:
        with log.step("drift"):
            done.drift, done.stack, done.drift_applied = register(done.stack, recipe)
    with log.step("optical density"):
        done.od = absorb(done.stack, recipe)
    clustered = recipe.deconvolution.enabled and recipe.deconvolution.route != "direct"
    if recipe.clusters.enabled or clustered:
        with log.step("components and clusters"):
            done.components, done.clusters = group(done.od, recipe)
    if not (recipe.standards.enabled and recipe.deconvolution.enabled):
        return done
    with log.step("standards"):
        done.library = standards(recipe)
    if done.clusters is not None:
        with log.step("match"):
            done.match = match(
                done.clusters,
                done.library,
                baseline=_baseline(recipe),
                energy_shift=_energy_shift(recipe),
                fit_range=recipe.deconvolution.range,
            )
    if recipe.standards.select == "matched":
        done.library = matched_standards(done.library, done.match)
    if recipe.deconvolution.route in ("direct", "both"):
        with log.step("direct route"):
            done.direct = direct_route(done.od, done.library, recipe)
    if clustered and done.clusters is not None and done.match is not None:
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
            done.fields = stresses(_chosen_composition(done, recipe), recipe)
    return done


def read(recipe: Recipe) -> xr.DataArray:
    """Open the stack, leave out frames and blank regions as the recipe says."""
    options: dict[str, Any] = {}
    if recipe.input.channel:
        options["channel"] = recipe.input.channel
    if recipe.input.region:
        options["region"] = recipe.input.region
    stack = open_stack(recipe.input.path, **options)
    if recipe.input.quantity:
        stack = stack.assign_attrs(quantity=recipe.input.quantity)
    keep = np.ones(stack.sizes["energy"], dtype=bool)
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
    return stacks.check(stack)


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


def matched_standards(library: Library, table: xr.Dataset | None) -> Library:
    """The standards that take part in the best match of any cluster."""
    if table is None:
        raise RecipeError(
            '[standards] select = "matched" needs clusters', remedy="turn [clusters] on"
        )
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
            smooth_px=0.0,
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
            smooth_px=0.0,
            refine=section.refine,
            normalise=section.normalise,
            mask=comp["mask"],
        ).assign_attrs(
            smooth_px=section.smooth_px, noise_length_px=section.smooth_px * section.refine
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
    return read_recipe(recipe)


def _baseline(recipe: Recipe) -> Any:
    return None if recipe.deconvolution.baseline == "none" else recipe.deconvolution.baseline


def _energy_shift(recipe: Recipe) -> Any:
    return recipe.calibration.energy_shift if recipe.calibration.enabled else 0.0


def _chosen_composition(done: Products, recipe: Recipe) -> xr.Dataset:
    """The composition of the route that the recipe names."""
    if recipe.composition.source not in done.compositions:
        raise RecipeError(
            f'[composition] from = "{recipe.composition.source}" but [deconvolution] route = '
            f'"{recipe.deconvolution.route}" does not compute it',
            remedy='set route = "both", or make the two agree',
        )
    return done.compositions[recipe.composition.source]


def _summarise(recipe: Recipe, done: Products, log: _Log) -> results.RunSummary:
    """The numbers of a run, as in summary.json."""
    stack, od = done.stack, done.od
    assert od is not None  # noqa: S101 - every run has an optical density
    path = Path(recipe.input.path)
    maps = done.direct if done.direct is not None else done.clustered
    shift = None
    if done.direct is not None:
        shift = done.direct.attrs
    elif done.match is not None:
        shift = done.match.attrs
    return results.RunSummary(
        input=results.InputSummary(
            path=str(path),
            sha256=_sha256(path),
            format=str(stack.attrs.get("format", "")),
            shape=stack.shape,
            energy_range_eV=(float(stack.energy[0]), float(stack.energy[-1])),
        ),
        units=results.UnitsSummary(correction=od.attrs.get("units_correction") or None),
        noise=results.NoiseSummary(
            g=od.attrs.get("noise_counts_per_unit"),
            source=str(od.attrs.get("noise_source", "none")),
        ),
        drift=None
        if done.drift is None
        else results.DriftSummary(max_px=done.drift.max_px, rms_px=done.drift.rms_px),
        energy_shift_eV=None
        if shift is None
        else results.Measured(value=shift["energy_shift_eV"], sd=shift["energy_shift_sd_eV"]),
        standards=tuple(done.library.names) if done.library is not None else (),
        condition_number=None if maps is None else maps.attrs["condition_number"],
        rank=None
        if done.components is None
        else results.RankSummary(
            **{
                key: done.components.attrs.get(f"rank_{key}")
                for key in ("ind", "mp", "cv", "cumulative")
            }
        ),
        routes={
            name: _route_summary(maps, done.compositions.get(name))
            for name, maps in (("direct", done.direct), ("clustered", done.clustered))
            if maps is not None
        },
        composition=_composition_summary(recipe, done),
        phases=_phases(recipe, done),
        stress={
            one.boundary: results.StressSummary(**one.von_mises_summary(), reference=one.reference)
            for one in done.fields
        },
        warnings=tuple(log.warnings),
        seconds=log.seconds,
    )


def _route_summary(maps: xr.Dataset, comp: xr.Dataset | None) -> results.RouteSummary:
    """Mean composition, and medians over the sample of residual and reduced chi-squared."""
    sample = maps["sample"].values
    medians = [
        float(np.nanmedian(maps[name].values[sample]))
        if np.isfinite(maps[name].values[sample]).any()
        else None
        for name in ("residual", "reduced_chi2")
    ]
    return results.RouteSummary(
        composition=None if comp is None else comp.attrs["mean_pixel"],
        residual_rms=medians[0],
        reduced_chi2=medians[1],
    )


def _composition_summary(recipe: Recipe, done: Products) -> results.CompositionSummary | None:
    if not done.compositions:
        return None
    comp = _chosen_composition(done, recipe)
    inside = comp["composition"].values[comp["mask"].values]
    p05, p95 = np.percentile(inside, [5, 95]) if inside.size else (np.nan, np.nan)
    return results.CompositionSummary(
        variable=comp.attrs["variable"],
        mean_pixel=comp.attrs["mean_pixel"],
        mean_mass_weighted=comp.attrs["mean_mass_weighted"],
        sd=comp.attrs["mean_sd"],
        p05=p05,
        p95=p95,
    )


def _phases(recipe: Recipe, done: Products) -> dict[str, results.PhaseSummary]:
    """Share of each standard in the sample's mass, and of the pixels in which it prevails."""
    if not done.compositions:
        return {}
    comp = _chosen_composition(done, recipe)
    maps = done.direct if recipe.composition.source == "direct" else done.clustered
    assert maps is not None  # noqa: S101 - it made the composition
    step = comp.attrs["refine"]
    inside = comp["mask"].values[::step, ::step]
    weights = np.nan_to_num(maps["weight"].values[:, inside])
    mass = weights.sum(axis=1) / weights.sum() if weights.sum() else weights.sum(axis=1)
    prevailing = np.bincount(weights.argmax(axis=0), minlength=len(weights))
    area = prevailing / max(prevailing.sum(), 1)
    return {
        str(name): results.PhaseSummary(mass_fraction=float(m), area_fraction=float(a))
        for name, m, a in zip(maps.standard.values, mass, area, strict=True)
    }


def _nodes(recipe: Recipe, done: Products) -> dict[str, xr.Dataset]:
    """Datasets of the results tree by their path."""
    nodes: dict[str, xr.Dataset | None] = {
        "/spectra": _spectra(done),
        "/direct": done.direct,
        "/clustered": done.clustered,
        "/clustered/components": done.components,
        "/clustered/clusters": done.clusters,
        "/clustered/match": done.match,
    }
    if done.clustered is None:
        nodes["/clustered"] = None if done.components is None else xr.Dataset()
    if done.drift is not None:
        nodes["/drift"] = _drift_dataset(done.drift, applied=done.drift_applied)
    if done.compositions:
        nodes["/composition"] = _chosen_composition(done, recipe)
    if recipe.report.keep_optical_density:
        nodes["/optical_density"] = done.od
    for one in done.fields:
        nodes[f"/stress/{one.boundary}"] = one.dataset
        nodes[f"/stress/{one.boundary}/grid"] = one.to_grid(like=_chosen_composition(done, recipe))
    return {path: node for path, node in nodes.items() if node is not None}


def _drift_dataset(drift: Drift, *, applied: bool) -> xr.Dataset:
    return xr.Dataset(
        {
            "shift_y": (
                "energy",
                drift.shifts[:, 0],
                {"units": "px", "long_name": "shift applied"},
            ),
            "shift_x": (
                "energy",
                drift.shifts[:, 1],
                {"units": "px", "long_name": "shift applied"},
            ),
            "quality": ("energy", drift.quality),
            "noise_gain": ("energy", drift.noise_gain),
        },
        coords={"energy": ("energy", drift.energy, {"units": "eV"})},
        attrs={"reference": int(drift.reference), "applied": int(applied)},
    )


def _spectra(done: Products) -> xr.Dataset:
    """I0, the sample's mean spectrum, the standards as used, and their fit to the mean."""
    od = done.od
    assert od is not None  # noqa: S101 - every run has an optical density
    pixels = od["optical_density"].values[:, _sample(done).values]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an energy without any data stays NaN
        mean = np.nanmean(pixels, axis=1, dtype=np.float64)
        spread = np.nanstd(pixels, axis=1, dtype=np.float64)
    out = xr.Dataset(
        {
            "mean": (
                "energy",
                mean,
                {"long_name": "mean optical density of the sample", "units": "1"},
            ),
            "mean_sd": ("energy", spread, {"long_name": "spread over the sample's pixels"}),
            "mean_se": ("energy", spread / np.sqrt(max(pixels.shape[1], 1))),
        },
        coords={"energy": od.energy},
    )
    for name in ("i0", "i0_variance"):
        if name in od:
            out[name] = od[name]
    if done.library is None:
        return out
    fitted = done.direct if done.direct is not None else done.match
    shift = 0.0 if fitted is None else fitted.attrs["energy_shift_eV"]
    covered = done.library.covers(od.energy.values, shift)
    known = done.library.spectra(od.energy.values[covered], shift=shift)
    out["standards"] = (
        known.drop_vars("energy")
        .reindex_like(known)
        .assign_coords(energy=od.energy[covered])
        .reindex(energy=od.energy)
    )
    out = out.assign_coords(standard=done.library.names, label=("standard", done.library.labels))
    fit = linear_combination_fit((od.energy.values, mean), done.library, energy_shift=shift)
    out["weight"] = ("standard", fit.weights)
    out["weight_sd"] = ("standard", fit.weight_sd)
    out["baseline"] = fit.baseline
    out.attrs = {"energy_shift_eV": float(shift), "r_factor": fit.r_factor}
    return out


def _notices(done: Products) -> list[str]:
    """What must be said above everything else."""
    if done.library is not None and done.library.synthetic:
        return [f"The standards of {done.library.name} are synthetic: calculated, not measured."]
    return []


def _sample(done: Products) -> xr.DataArray:
    """Where the sample is, as the steps before agreed on."""
    for maps in (done.direct, done.components):
        if maps is not None:
            return maps["sample"]
    assert done.od is not None  # noqa: S101 - every run has an optical density
    return sample_mask(done.od)


def _sha256(path: Path) -> str | None:
    """Checksum of the file that was named; None for a folder."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
