"""What changes with time: composition, phases, clusters, stress, each with its error."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr

from chemoscape.electrochemistry.beside import composition_at, curve_of
from chemoscape.errors import ChemoscapeWarning, RecipeError
from chemoscape.products import Products, chosen_composition, chosen_maps
from chemoscape.recipe import Recipe
from chemoscape.results import RunSummary
from chemoscape.series.errors import counting_sd, shared_of
from chemoscape.series.moments import SECONDS, Moments

#: The sample's mass is kept while ions go in and out; more than this (relative) is something else.
MASS_KEPT = 0.1
#: Energy shifts (eV) of stacks clustered together that differ by more blur their common spectra.
SHIFTS_ALIKE = 0.05


def evolution(
    moments: Moments,
    stacks: Sequence[Products],
    summaries: Sequence[RunSummary],
    shifts: np.ndarray,
    recipe: Recipe,
) -> xr.Dataset:
    """Numbers of every stack against time.

    Parameters
    ----------
    moments : Moments
    stacks : sequence of Products
        Carried out, of the same pixels.
    summaries : sequence of RunSummary
        Of the same stacks.
    shifts : ndarray, shape (n_time, 2)
        Pixels (dy, dx) by which each stack was moved onto the first.

    Returns
    -------
    Dataset
        Along ``time``: ``file``, ``shift_y``, ``shift_x`` (px), ``energy_shift`` and its
        ``energy_shift_sd`` (eV), ``residual``; of the composition its mean by mass
        ``composition`` with ``composition_sd`` (total) and ``composition_sd_own`` (counting and the
        stack's own energy axis, without the errors of standards, which all stacks have in common:
        a change between two stacks is known at best to the root of the sum of the squares of
        theirs), ``thickness`` (mean); ``mass_fraction(phase, time)``;
        ``composition_by_charge`` and its sd, where the recipe has [electrochemistry];
        ``cluster_share(cluster, time)``; ``von_mises_p99`` and ``von_mises_mean`` (MPa,
        ``(boundary, time)``).

    Warns
    -----
    ChemoscapeWarning
        The amount of sample changes by more than a tenth; energy shifts differ by more than
        0.05 eV where stacks were clustered together.
    """
    out = xr.Dataset(coords={"time": moments.axis})
    out["file"] = ("time", [path.name for path in moments.paths])
    for axis, values in zip("yx", shifts.T, strict=True):
        words = {"units": "px", "long_name": f"shift applied along {axis} to lie on the first"}
        out[f"shift_{axis}"] = ("time", values, words)
    measured = [one.energy_shift_eV for one in summaries]
    for name, key, meaning in (
        ("energy_shift", "value", "E(file axis) - E(library)"),
        ("energy_shift_sd", "sd", "its standard deviation"),
    ):
        values = [np.nan if m is None else _number(getattr(m, key)) for m in measured]
        out[name] = ("time", values, {"units": "eV", "long_name": meaning})
    route = recipe.composition.source
    out["residual"] = (
        "time",
        [_number(getattr(one.routes.get(route), "residual_rms", None)) for one in summaries],
        {"units": "1", "long_name": "median rms residual, optical density"},
    )
    if all(one.compositions for one in stacks):
        out = out.merge(_of_compositions(stacks, summaries, recipe))
    if recipe.electrochemistry.enabled:
        out = out.merge(_by_charge(moments, recipe))
    if all(one.clusters is not None for one in stacks):
        out["cluster_share"] = _cluster_shares(stacks)
        _warn_of_shifts(out["energy_shift"].values)
    if stacks[0].fields:
        boundaries = [one.boundary for one in stacks[0].fields]
        out = out.assign_coords(boundary=boundaries)
        by_name = [dict(one.stress.items()) for one in summaries]
        for name in ("von_mises_p99", "von_mises_mean"):
            values = [
                [_number(getattr(one[at], f"{name}_MPa")) for one in by_name] for at in boundaries
            ]
            words = {"p99": "99th percentile of von Mises stress", "mean": "mean von Mises stress"}
            attrs = {"units": "MPa", "long_name": words[name.rsplit("_", 1)[1]]}
            out[name] = (("boundary", "time"), values, attrs)
    return out


def _of_compositions(
    stacks: Sequence[Products], summaries: Sequence[RunSummary], recipe: Recipe
) -> xr.Dataset:
    """Means of the maps, and what they are made of."""
    comps = [chosen_composition(one, recipe) for one in stacks]
    variable = str(comps[0].attrs["variable"])
    one_sided = bool(chosen_maps(stacks[0], recipe).attrs["nonnegative"])
    counted = [
        counting_sd(comp, shared_of(done.od), one_sided=one_sided)
        for comp, done in zip(comps, stacks, strict=True)
    ]
    of_axis = [
        float(comp.attrs["mean_per_eV"])
        * (np.nan if one.energy_shift_eV is None else _number(one.energy_shift_eV.sd))
        for comp, one in zip(comps, summaries, strict=True)
    ]
    total = np.array([comp.attrs["mean_sd"] for comp in comps])
    if not one_sided:  # then the mean's error is that of what does not average out
        total = np.hypot(total, counted)
    out = xr.Dataset()
    for name, values, words in (
        ("composition", [c.attrs["mean_mass_weighted"] for c in comps], "mean by mass"),
        ("composition_sd", total, "its sd, total"),
        (
            "composition_sd_own",
            np.hypot(counted, np.nan_to_num(of_axis)),
            "its sd, what stacks do not have in common",
        ),
    ):
        out[name] = ("time", values, {"units": "1", "long_name": f"{variable}: {words}"})
    thickness = np.array([_mean_thickness(c) for c in comps])
    attrs = {"units": comps[0]["thickness"].attrs["units"], "long_name": "mean thickness"}
    out["thickness"] = ("time", thickness, attrs)
    _warn_of_mass(thickness)
    phases = sorted({name for one in summaries for name in one.phases})
    shares = [
        [_number(getattr(one.phases.get(name), "mass_fraction", 0.0)) for one in summaries]
        for name in phases
    ]
    attrs = {"units": "1", "long_name": "mass fraction"}
    out = out.assign_coords(phase=phases)
    out["mass_fraction"] = (("phase", "time"), np.reshape(shares, (len(phases), -1)), attrs)
    return out


def _by_charge(moments: Moments, recipe: Recipe) -> xr.Dataset:
    """Composition of the electrode by charge at the time of each stack.

    Raises
    ------
    RecipeError
        The times of the stacks are not known.
    """
    if moments.unit == "1":
        raise RecipeError(
            "[electrochemistry] needs the times of the stacks", remedy="give [series] times"
        )
    section = recipe.electrochemistry
    seconds = SECONDS[moments.unit] * (moments.times + section.series_begins)
    x, sd = composition_at(curve_of(section), seconds)
    if np.isnan(x).any():
        warnings.warn(
            f"{np.isnan(x).sum()} of {x.size} stacks were measured before the first or after the "
            "last record of the cycler: see [electrochemistry] series_begins",
            ChemoscapeWarning,
            stacklevel=4,
        )
    attrs = {"units": "1", "long_name": "composition of the electrode by charge"}
    return xr.Dataset(
        {
            "composition_by_charge": ("time", x, attrs),
            "composition_by_charge_sd": ("time", sd, {**attrs, "long_name": "its sd"}),
        }
    )


def _mean_thickness(comp: xr.Dataset) -> float:
    return float(np.nanmean(comp["thickness"].values[comp["mask"].values]))


def _cluster_shares(stacks: Sequence[Products]) -> xr.DataArray:
    """Share of each common cluster in the clustered pixels of every stack."""
    groups = [one.clusters for one in stacks if one.clusters is not None]
    n = groups[0].sizes["cluster"]
    shares = []
    for one in groups:
        label = one["label"].values
        counts = np.bincount(label[label >= 0].astype(int), minlength=n)
        shares.append(counts / max(counts.sum(), 1))
    attrs = {"units": "1", "long_name": "share of the clustered pixels"}
    return xr.DataArray(np.array(shares).T, dims=("cluster", "time"), attrs=attrs)


def _warn_of_mass(thickness: np.ndarray) -> None:
    """Say where sample seems to come or go."""
    change = thickness / thickness[0] - 1
    worst = int(np.abs(change).argmax())
    if abs(change[worst]) > MASS_KEPT:
        warnings.warn(
            f"the mean thickness of the same pixels changes by {change[worst]:+.0%} from the first "
            f"stack to number {worst + 1}: sample was lost or moved, I0 is off, or it swells along "
            "the beam; compare compositions with care",
            ChemoscapeWarning,
            stacklevel=4,
        )


def _warn_of_shifts(shifts: np.ndarray) -> None:
    """Say where common clusters may tell stacks apart instead of phases."""
    known = shifts[np.isfinite(shifts)]
    if known.size and np.ptp(known) > SHIFTS_ALIKE:
        warnings.warn(
            f"the energy axes of the stacks differ by up to {np.ptp(known):.2f} eV: clusters of "
            "their pixels together may tell stacks apart, not phases; the direct route fits each "
            "on its own axis",
            ChemoscapeWarning,
            stacklevel=3,
        )


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
