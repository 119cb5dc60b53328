"""What the stages of a run have made, and how it is told: nodes of the tree, the summary."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from chemoscape import results
from chemoscape.decompose.combinations.lcf import linear_combination_fit
from chemoscape.decompose.energy import EnergyShift
from chemoscape.formats import checksum
from chemoscape.mechanics.fields import StressField
from chemoscape.particles.findings import EnsembleStatistics
from chemoscape.preprocess.absorbance import sample_mask
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
    components: xr.Dataset | None = None
    clusters: xr.Dataset | None = None
    library: Library | None = None
    direct: xr.Dataset | None = None
    match: xr.Dataset | None = None
    targets: xr.Dataset | None = None
    regions: xr.Dataset | None = None
    parts: xr.Dataset | None = None
    cluster_library: Library | None = None
    clustered: xr.Dataset | None = None
    damage: Damage | None = None
    dose: xr.DataArray | None = None
    compositions: dict[str, xr.Dataset] = field(default_factory=dict)
    fields: list[StressField] = field(default_factory=list)
    particles: xr.Dataset | None = None
    contacts: xr.Dataset | None = None
    particle_spectra: xr.Dataset | None = None
    picture: xr.DataArray | None = None
    ensemble: EnsembleStatistics | None = None


def chosen_maps(done: Products, recipe: Recipe) -> xr.Dataset:
    """The weights of the route that the recipe names for the composition."""
    maps = done.direct if recipe.composition.source == "direct" else done.clustered
    assert maps is not None  # noqa: S101 - the recipe has checked that the route is computed
    return maps


def chosen_composition(done: Products, recipe: Recipe) -> xr.Dataset:
    """The composition of the route that the recipe names."""
    return done.compositions[recipe.composition.source]


def summarise(
    recipe: Recipe, done: Products, *, warnings: Sequence[str], seconds: Mapping[str, float]
) -> results.RunSummary:
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
            sha256=checksum(path, **recipe.input.options()) if recipe.input.path else None,
            format=str(stack.attrs.get("format", "")),
            shape=stack.shape,
            energy_range_eV=(float(stack.energy[0]), float(stack.energy[-1])),
        ),
        units=results.UnitsSummary(
            correction=od.attrs.get("units_correction") or None,
            i0_source=str(od.attrs.get("i0_source", "none")),
        ),
        noise=results.NoiseSummary(
            g=od.attrs.get("noise_counts_per_unit"),
            source=str(od.attrs.get("noise_source", "none")),
            correlation=od.attrs.get("noise_correlation"),
        ),
        pixels=_pixels_summary(done),
        drift=None
        if done.drift is None
        else results.DriftSummary(
            max_px=done.drift.max_px,
            rms_px=done.drift.rms_px,
            applied=done.drift_applied,
            n_replaced=int(done.drift.replaced.sum()),
        ),
        energy_shift_eV=None
        if shift is None
        else results.Measured(value=shift["energy_shift_eV"], sd=shift["energy_shift_sd_eV"]),
        calibration=_calibration_summary(recipe, done),
        standards=tuple(done.library.names) if done.library is not None else (),
        condition_number=None if maps is None else maps.attrs["condition_number"],
        rank=None
        if done.components is None
        else results.RankSummary(
            **{
                key: done.components.attrs[f"rank_{key}"]
                if done.components.attrs[f"rank_{key}"] >= 0
                else None
                for key in ("ind", "mp", "f", "cv", "cumulative")
            }
        ),
        routes={
            name: _route_summary(maps, done.compositions.get(name))
            for name, maps in (("direct", done.direct), ("clustered", done.clustered))
            if maps is not None
        },
        composition=_composition_summary(recipe, done),
        phases=_phases(recipe, done),
        groups=_group_shares(done),
        regions=_region_summaries(done),
        damage=_damage_summary(done),
        stress={
            one.boundary: results.StressSummary(**one.von_mises_summary(), reference=one.reference)
            for one in done.fields
        },
        particles=_particles_summary(done),
        warnings=tuple(warnings),
        seconds=dict(seconds),
    )


def _calibration_summary(recipe: Recipe, done: Products) -> results.CalibrationSummary | None:
    """The energy axis that was used, and what the sample's spectrum says of the library."""
    found = done.direct if done.direct is not None else done.match
    if found is None:
        return None
    axis, known = EnergyShift.from_attrs(found.attrs), found.attrs
    per_eV = None
    if done.compositions:
        per_eV = chosen_composition(done, recipe).attrs["mean_per_eV"]
    edges = np.atleast_1d(known.get("edges_eV", []))
    return results.CalibrationSummary(
        source=axis.source,
        significance=known.get("energy_shift_significance"),
        composition_per_eV=per_eV,
        stretch_per_eV=axis.stretch,
        stretch_seen_per_eV=known.get("energy_stretch_seen"),
        stretch_seen_sd=known.get("energy_stretch_seen_sd"),
        edges=tuple(
            results.EdgeSummary(energy_eV=float(edge), shift_eV=float(axis.at(edge)))
            for edge in edges
        ),
        misfit_scale=known.get("misfit_scale"),
        misfit_level=known.get("misfit_level"),
    )


def _pixels_summary(done: Products) -> results.PixelsSummary:
    """How many pixels and values are out of the ordinary."""
    assert done.od is not None  # noqa: S101 - every run has an optical density
    known = done.od.attrs
    touched = {one.kind: one.n_values for one in done.touched}
    return results.PixelsSummary(
        total=int(known.get("n_pixels", done.od["optical_density"][0].size)),
        thick=known.get("n_thick"),
        too_thick=known.get("n_too_thick"),
        not_positive_values=known.get("n_not_positive"),
        despiked_values=touched.get("spikes"),
        levelled_values=touched.get("lines"),
    )


def _group_shares(done: Products) -> dict[str, float]:
    """Mass fraction of each group of standards in the sample."""
    if done.direct is None or "group_weight" not in done.direct:
        return {}
    inside = done.direct["sample"].values
    total = np.nansum(done.direct["weight"].values[:, inside])
    masses = np.nansum(done.direct["group_weight"].values[:, inside], axis=1)
    names = done.direct["group"].values.tolist()
    return {name: float(mass / total) for name, mass in zip(names, masses, strict=True)}


def _region_summaries(done: Products) -> dict[str, results.RegionSummary]:
    if done.regions is None:
        return {}
    return {
        str(name): _region_summary(done.regions.sel(region=name))
        for name in done.regions["region"].values
    }


def _region_summary(one: xr.Dataset) -> results.RegionSummary:
    return results.RegionSummary(
        composition=float(one["composition"]),
        sd=float(one["composition_sd"]),
        standards=str(one["candidate"].values[0]),
        ambiguous=bool(one["ambiguous"]),
    )


def _damage_summary(done: Products) -> results.DamageSummary | None:
    if done.damage is None and done.dose is None:
        return None
    inside = np.array([]) if done.dose is None else done.dose.values[_sample(done).values]
    known = np.isfinite(inside).any()
    return results.DamageSummary(
        dx=None if done.damage is None else done.damage.dx,
        sd=None if done.damage is None else done.damage.sd,
        how=None if done.damage is None else done.damage.how,
        significant=None if done.damage is None else done.damage.significant,
        dose_MGy=float(np.nanmedian(inside)) if known else None,
    )


def _particles_summary(done: Products) -> results.ParticlesSummary | None:
    table = done.particles
    if table is None:
        return None
    inside = table["area_raw"].values[~table["border"].values]
    return results.ParticlesSummary(
        n=table.sizes["particle"],
        n_border=int(table["border"].sum()),
        method=table.attrs["method"],
        median_area_um2=float(np.median(inside)) if len(inside) else None,
        statistics=None if done.ensemble is None else done.ensemble.to_dict(),
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
    comp = chosen_composition(done, recipe)
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
    comp, maps = chosen_composition(done, recipe), chosen_maps(done, recipe)
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


def nodes_of(recipe: Recipe, done: Products) -> dict[str, xr.Dataset]:
    """Datasets of the results tree by their path."""
    nodes: dict[str, xr.Dataset | None] = {
        "/absorbance": _absorbance(done),
        "/spectra": _spectra(done),
        "/direct": done.direct,
        "/clustered": done.clustered,
        "/clustered/components": done.components,
        "/clustered/clusters": done.clusters,
        "/clustered/match": done.match,
        "/clustered/targets": done.targets,
        "/regions": done.regions,
        "/factorisation": done.parts,
    }
    if done.clustered is None:
        nodes["/clustered"] = None if done.components is None else xr.Dataset()
    if done.drift is not None:
        nodes["/drift"] = _drift_dataset(done.drift, applied=done.drift_applied)
    if done.compositions:
        nodes["/composition"] = chosen_composition(done, recipe)
    if recipe.report.keep_optical_density:
        nodes["/optical_density"] = done.od
    if done.particles is not None:
        nodes["/particles"] = done.particles
        nodes["/particles/contacts"] = done.contacts
        nodes["/particles/spectra"] = done.particle_spectra
        nodes["/particles/picture"] = None if done.picture is None else done.picture.to_dataset()
    for one in done.fields:
        nodes[f"/stress/{one.boundary}"] = one.dataset
        nodes[f"/stress/{one.boundary}/grid"] = one.to_grid(like=chosen_composition(done, recipe))
    return {path: node for path, node in nodes.items() if node is not None}


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
    if done.dose is not None:
        maps["dose"] = done.dose
    for one in done.touched:
        maps[f"touched_{one.kind}"] = one.where
    if not maps:
        return None
    out = xr.Dataset(maps)
    return out.drop_vars([name for name in out.coords if name not in out.dims])


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
    axis = EnergyShift(0.0, 0.0, source="held")
    if fitted is not None:
        axis = EnergyShift.from_attrs(fitted.attrs)
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
    fit = linear_combination_fit((od.energy.values, mean), done.library, energy_shift=axis)
    out["weight"] = ("standard", fit.weights)
    out["weight_sd"] = ("standard", fit.weight_sd)
    out["baseline"] = fit.baseline
    out.attrs = {"energy_shift_eV": axis.value, "r_factor": fit.r_factor}
    return out


def _sample(done: Products) -> xr.DataArray:
    """Where the sample is, as the steps before agreed on."""
    for maps in (done.direct, done.components):
        if maps is not None:
            return maps["sample"]
    assert done.od is not None  # noqa: S101 - every run has an optical density
    return sample_mask(done.od)
