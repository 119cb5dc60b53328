"""What the stages of a run have made, and as nodes of the results tree."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from chemoscape.decompose.combinations.lcf import linear_combination_fit
from chemoscape.decompose.energy import EnergyShift
from chemoscape.decompose.sample import STATISTICS, sample_statistics
from chemoscape.mechanics.fields import StressField
from chemoscape.particles.findings import EnsembleStatistics
from chemoscape.preprocess.artefacts import Touched
from chemoscape.preprocess.damage import Damage
from chemoscape.preprocess.shifts import Drift
from chemoscape.recipe import Recipe
from chemoscape.standards.library import Library


@dataclass
class Products:
    """What the stages have made so far; None where the recipe leaves a stage out."""

    stack: xr.DataArray
    touched: tuple[Touched, ...] = ()
    drift: Drift | None = None
    drift_applied: bool = False
    od: xr.Dataset | None = None
    #: The optical density that figures and the dose are made of: itself, or of a stack that is not
    #: in memory every so many pixels.
    seen: xr.Dataset | None = None
    components: xr.Dataset | None = None
    clusters: xr.Dataset | None = None
    tree: xr.Dataset | None = None
    library: Library | None = None
    direct: xr.Dataset | None = None
    match: xr.Dataset | None = None
    targets: xr.Dataset | None = None
    regions: xr.Dataset | None = None
    parts: xr.Dataset | None = None
    cluster_library: Library | None = None
    clustered: xr.Dataset | None = None
    few: xr.Dataset | None = None
    phase: xr.DataArray | None = None
    beside_stxm: xr.Dataset | None = None
    damage: Damage | None = None
    dose: xr.DataArray | None = None
    compositions: dict[str, xr.Dataset] = field(default_factory=dict)
    fields: list[StressField] = field(default_factory=list)
    particles: xr.Dataset | None = None
    contacts: xr.Dataset | None = None
    particle_spectra: xr.Dataset | None = None
    picture: xr.DataArray | None = None
    ensemble: EnsembleStatistics | None = None
    cycling: xr.Dataset | None = None
    #: Of a series the first stack, whose pixels the others take over.
    like: xr.DataArray | None = None


def chosen_maps(done: Products, recipe: Recipe) -> xr.Dataset:
    """The weights of a few images, or of the route that the recipe names for the composition."""
    if done.few is not None:
        return done.few
    maps = done.direct if recipe.composition.source == "direct" else done.clustered
    assert maps is not None  # noqa: S101 - the recipe has checked that the route is computed
    return maps


def chosen_composition(done: Products, recipe: Recipe) -> xr.Dataset:
    """The composition of a few images, or of the route that the recipe names."""
    return done.compositions["few_energies" if done.few is not None else recipe.composition.source]


def nodes_of(recipe: Recipe, done: Products) -> dict[str, xr.Dataset]:
    """Datasets of the results tree by their path."""
    nodes: dict[str, xr.Dataset | None] = {
        "/absorbance": _absorbance(done),
        "/spectra": _spectra(recipe, done),
        "/direct": done.direct,
        "/clustered": done.clustered,
        "/clustered/components": done.components,
        "/clustered/clusters": done.clusters,
        "/clustered/match": done.match,
        "/clustered/tree": _tree(recipe, done),
        "/clustered/targets": done.targets,
        "/regions": done.regions,
        "/factorisation": done.parts,
        "/few_energies": done.few,
        "/electrochemistry": done.cycling,
    }
    if done.clustered is None:
        nodes["/clustered"] = None if done.components is None else xr.Dataset()
    if done.drift is not None:
        nodes["/drift"] = _drift_dataset(done.drift, applied=done.drift_applied)
    if done.beside_stxm is not None:
        nodes["/stxm"] = done.beside_stxm
    if done.few is not None and done.phase is not None:
        nodes["/few_energies/phase"] = done.phase.to_dataset(name="phase")
    if done.compositions:
        nodes["/composition"] = chosen_composition(done, recipe)
    if recipe.report.keep_optical_density:
        nodes["/optical_density"] = (
            None if done.od is None else done.od.drop_vars(STATISTICS, errors="ignore")
        )
    if done.particles is not None:
        nodes["/particles"] = done.particles
        nodes["/particles/contacts"] = done.contacts
        nodes["/particles/spectra"] = done.particle_spectra
        nodes["/particles/picture"] = None if done.picture is None else done.picture.to_dataset()
    for one in done.fields:
        nodes[f"/stress/{one.boundary}"] = one.dataset
        nodes[f"/stress/{one.boundary}/grid"] = one.to_grid(like=chosen_composition(done, recipe))
    return {path: node for path, node in nodes.items() if node is not None}


def _tree(recipe: Recipe, done: Products) -> xr.Dataset | None:
    """The clusters as they were found, where the recipe then joins or splits them."""
    if done.tree is None or done.tree is done.clusters:
        return None
    section = recipe.clusters
    wanted = {"cut": section.cut, "cut_distance": section.cut_distance}
    said = {name: value for name, value in wanted.items() if value is not None}
    kept = done.tree[["label", "size", "linkage"]].rename(
        cluster="found_cluster", merge="found_merge"
    )
    return kept.assign_attrs({**done.tree.attrs, **said})


def _drift_dataset(drift: Drift, *, applied: bool) -> xr.Dataset:
    out = xr.Dataset(
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
            "replaced": (
                "energy",
                drift.replaced.astype(np.int8),
                {"long_name": "1: not believed, interpolated"},
            ),
            "noise_gain": ("energy", drift.noise_gain),
        },
        coords={"energy": ("energy", drift.energy, {"units": "eV"})},
        attrs={"reference": int(drift.reference), "applied": int(applied)},
    )
    if drift.linear is not None:  # rotation and scaling about the centre of the image
        out["linear"] = (("energy", "row", "column"), drift.linear)
    return out


def _absorbance(done: Products) -> xr.Dataset | None:
    """Maps that let a reader check the optical density: background, flagged pixels, dose."""
    assert done.od is not None  # noqa: S101 - every run has an optical density
    maps = {name: done.od[name] for name in ("background", "flag") if name in done.od}
    if done.dose is not None and done.dose.shape == done.od["optical_density"].shape[1:]:
        maps["dose"] = done.dose
    for one in done.touched:
        maps[f"touched_{one.kind}"] = one.where
    if not maps:
        return None
    out = xr.Dataset(maps)
    return out.drop_vars([name for name in out.coords if name not in out.dims])


def _spectra(recipe: Recipe, done: Products) -> xr.Dataset:
    """I0, the sample's mean spectrum, the standards as used, and their fit to the mean."""
    od = done.od
    assert od is not None  # noqa: S101 - every run has an optical density
    sample = sample_statistics(od)
    mean, spread = sample["sample_mean"].values, sample["sample_spread"].values
    n_pixels = int(sample["sample"].sum())
    out = xr.Dataset(
        {
            "mean": (
                "energy",
                mean,
                {"long_name": "mean optical density of the sample", "units": "1"},
            ),
            "mean_sd": ("energy", spread, {"long_name": "spread over the sample's pixels"}),
            "mean_se": ("energy", spread / np.sqrt(max(n_pixels, 1))),
        },
        coords={"energy": od.energy},
    )
    for name in ("i0", "i0_variance"):
        if name in od:
            out[name] = od[name]
    if done.library is None:
        return out
    fitted = done.direct if done.direct is not None else done.match
    axis = EnergyShift(0.0, 0.0, source="held")
    if fitted is not None:
        axis = EnergyShift.from_attrs(fitted.attrs)
    elif done.few is not None:
        axis = EnergyShift(
            done.few.attrs["energy_shift_eV"], done.few.attrs["energy_shift_sd_eV"], source="held"
        )
    energy = od.energy.values
    covered = done.library.covers(energy, axis.at(energy))
    known = done.library.spectra(energy[covered], shift=axis.at(energy[covered]))
    out["standards"] = (
        known.drop_vars("energy")
        .reindex_like(known)
        .assign_coords(energy=od.energy[covered])
        .reindex(energy=od.energy)
    )
    out = out.assign_coords(standard=done.library.names, label=("standard", done.library.labels))
    if done.few is not None:  # too few energies to judge a fit by
        return out.assign_attrs(energy_shift_eV=axis.value)
    section = recipe.deconvolution
    fit = linear_combination_fit(
        (od.energy.values, mean),
        done.library,
        nonnegative=section.nonnegative,
        sum_to_one=section.sum_to_one,
        baseline=None if section.baseline == "none" else section.baseline,
        energy_shift=axis,
        fit_range=section.range,
        exclude=section.exclude,
    )
    used = np.isin(energy, fit.energy)
    out["weight"] = ("standard", fit.weights)
    out["weight_sd"] = ("standard", fit.weight_sd)
    out["baseline"] = fit.baseline
    for name, values, words in (
        ("fitted", fit.model, "fit of the mean"),
        ("fitted_baseline", fit.background, "baseline of that fit"),
    ):
        whole = np.full(energy.size, np.nan)
        whole[used] = values
        out[name] = ("energy", whole, {"long_name": words, "units": "1"})
    out.attrs = {"energy_shift_eV": axis.value, "r_factor": fit.r_factor}
    return out
