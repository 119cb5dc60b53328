"""The numbers of a run, for summary.json."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from chemoscape import results
from chemoscape.blocks import is_lazy
from chemoscape.chemistry.phases import phases_of
from chemoscape.decompose.energy import EnergyShift
from chemoscape.formats import checksum
from chemoscape.products import Products, chosen_composition, chosen_maps
from chemoscape.recipe import Recipe


def summarise(
    recipe: Recipe, done: Products, *, warnings: Sequence[str], seconds: Mapping[str, float]
) -> results.RunSummary:
    """The numbers of a run, as in summary.json."""
    stack, od = done.stack, done.od
    assert od is not None  # noqa: S101 - every run has an optical density
    path = Path(recipe.input.path)
    few = done.few if done.library is not None else None
    maps = next((one for one in (few, done.direct, done.clustered) if one is not None), None)
    shift = None
    if few is not None:
        shift = few.attrs
    elif done.direct is not None:
        shift = done.direct.attrs
    elif done.match is not None:
        shift = done.match.attrs
    return results.RunSummary(
        input=results.InputSummary(
            path=str(path),
            sha256=_checksum(recipe, stack),
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
        few_energies=_few_energies_summary(done),
        damage=_damage_summary(done),
        stress={
            one.boundary: results.StressSummary(**one.von_mises_summary(), reference=one.reference)
            for one in done.fields
        },
        particles=_particles_summary(done),
        electrochemistry=_electrochemistry_summary(done),
        warnings=tuple(warnings),
        seconds=dict(seconds),
    )


def _checksum(recipe: Recipe, stack: xr.DataArray) -> str | None:
    """Of the input's files; those of a stack larger than memory are not read once more for it."""
    if not recipe.input.path or is_lazy(stack):
        return None
    own = checksum(Path(recipe.input.path), **recipe.input.options())
    if not recipe.input.further:
        return own
    others = [f"{checksum(path)}  {Path(path).name}\n" for path in recipe.input.further]
    lines = "".join([f"{own}  {Path(recipe.input.path).name}\n", *others])
    return hashlib.sha256(lines.encode()).hexdigest()


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


def _stxm_summary(done: Products) -> results.StxmSummary | None:
    if done.beside_stxm is None:
        return None
    known = done.beside_stxm.attrs
    names = ("slope", "slope_sd", "offset", "blur_fwhm_nm", "correlation")
    return results.StxmSummary(
        energy_eV=known["fine_energy_eV"], **{name: known[name] for name in names}
    )


def _few_energies_summary(done: Products) -> results.FewEnergiesSummary | None:
    """What a map from a few images rests on."""
    maps = done.few
    if maps is None:
        return None
    inside = maps["sample"].values
    comp = done.compositions.get("few_energies")
    cut = {} if comp is None else comp.attrs
    names = ("clipped_low", "clipped_high", "beyond_low", "beyond_high", "mean_clipped")
    rms = {}
    if "error" in maps:
        rms = {
            str(source): float(np.sqrt(np.mean(maps["error"].values[k, inside].astype(float) ** 2)))
            for k, source in enumerate(maps["source"].values)
        }
    known = maps.attrs
    return results.FewEnergiesSummary(
        energies_eV=tuple(maps["energy"].values.tolist()),
        features_eV=tuple(np.atleast_1d(known["features_eV"]).tolist()),
        pre_eV=known["pre_eV"],
        post_eV=known["post_eV"],
        noise=known["noise"],
        sd=rms,
        fabricated_by_offset=known.get("fabricated_by_offset"),
        misfit_p=known.get("misfit_p"),
        stxm=_stxm_summary(done),
        **{name: cut.get(name) for name in names},
    )


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
    inside = np.array([]) if done.dose is None else done.dose.values  # NaN outside the sample
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


def _electrochemistry_summary(done: Products) -> results.ElectrochemistrySummary | None:
    if done.cycling is None:
        return None
    known = done.cycling.attrs
    return results.ElectrochemistrySummary(
        x_charge=known.get("x_curve", known["x_end"]),
        x_charge_sd=known.get("x_curve_sd", known["x_end_sd"]),
        z=known.get("z"),
        in_words=known.get("placed", ""),
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
    """Share of each standard in the sample's mass, and of the pixels in which it prevails.

    Of the weights before smoothing; clusters count as the standards that they were matched with.
    """
    if not done.compositions:
        return {}
    comp, maps = chosen_composition(done, recipe), chosen_maps(done, recipe)
    matched = None
    if maps is done.clustered and done.match is not None:
        matched = done.match["weight"]
    found = phases_of(comp, maps, matched)
    return {
        str(name): results.PhaseSummary(mass_fraction=float(m), area_fraction=float(a))
        for name, m, a in zip(found.names, found.mass_fractions, found.area_fractions, strict=True)
    }
