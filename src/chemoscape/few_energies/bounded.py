"""The composition map of a few energies, cut off at its bounding standards."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.chemistry.grid import Finer
from chemoscape.chemistry.means import interpolation_change, mass_weighted, means
from chemoscape.chemistry.thickness import (
    in_nm,
    scale_sd,
    thickness_of,
    thickness_per_weight,
)
from chemoscape.errors import ChemoscapeWarning, FitError
from chemoscape.few_energies.doubts import FABRICATED, THICK, THIN
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import mean_composition

#: Compositions so many standard deviations beyond a bound are no noise, and worth a warning in more
#: than this share of the sample.
BEYOND_SDS, BEYOND_SHARE = 2.0, 0.1
#: What cutting off noise on one side may do to the map without a word.
ONE_SIDED = 0.01


def bounded_composition(
    maps: xr.Dataset,
    library: Library,
    *,
    refine: int = 1,
    mask: xr.DataArray | np.ndarray | None = None,
) -> xr.Dataset:
    """Composition between the lowest and the highest standard, and how much was cut off.

    Parameters
    ----------
    maps : Dataset of `fit_maps`
    library : Library
        The standards that `maps` was made with.
    refine : int
        Bilinear interpolation of the weights onto a grid this many times finer.
    mask : DataArray (y, x) of bool, optional
        Where a composition is wanted; default: the maps' ``sample``.

    Returns
    -------
    Dataset
        Variables and attributes of `chemoscape.composition`, and ``composition_unclipped``. Errors
        and means are those of the map before it was cut off, since noise that is cut off on one
        side is a bias: ``mean_pixel`` is the mean of its pixels, ``mean_mass_weighted`` the
        composition of their summed weights, ``mean_clipped`` the mean of the map as shown.
        Attributes ``clipped_low`` and ``clipped_high``: share of the sample's pixels below and
        above the bounds; ``beyond_low`` and ``beyond_high``: by more than two of their standard
        deviations; ``bounds``.

    Raises
    ------
    FitError
        The grid cannot be refined so, or there is no sample.

    Warns
    -----
    ChemoscapeWarning
        More than a tenth of the sample lies beyond a bound by two standard deviations, or cutting
        off moves the mean by more than 0.01, or that of thin parts by 0.02 more than that of thick
        ones.
    """
    if refine < 1 or refine != int(refine):
        raise FitError(f"a grid cannot be refined {refine} times", remedy="give refine = 1, 2, …")
    inside = stacks.as_mask(maps["sample"] if mask is None else mask, maps["sample"]).values
    inside = inside & np.isfinite(maps["unclipped"].values)
    if not inside.any():
        raise FitError(
            "no pixel holds sample that is thicker than five of its standard deviations",
            remedy="look at the optical density; more photons, or a Gaussian filter "
            "([composition] smooth_px), raise it above the noise",
        )
    weights = maps["weight"].values.astype(np.float64)
    fine = Finer(maps, refine)
    kept = fine.inside(inside)
    on_grid = fine.linear(np.nan_to_num(weights) * inside)
    value = mean_composition(on_grid, library.values, library.molar_mass).value
    thickness = thickness_of(on_grid, thickness_per_weight(library))
    error = maps["error"].values.astype(np.float64)
    counting, systematic = (
        np.where(kept, fine.errors(one), np.nan)
        for one in (error[0], np.sqrt((error[1:] ** 2).sum(axis=0)))
    )
    total = np.hypot(counting, systematic)
    value = np.where(kept, value, np.nan)
    low, high = float(library.values.min()), float(library.values.max())
    name, unit = library.variable, {"units": "1"}
    layers = {
        "composition": (np.clip(value, low, high), {"long_name": name, **unit}),
        "composition_unclipped": (value, {"long_name": f"{name}, beyond its bounds too", **unit}),
        "composition_sd_counting": (counting, {"long_name": f"{name}: sd, counting", **unit}),
        "composition_sd_systematic": (systematic, {"long_name": f"{name}: sd, systematic", **unit}),
        "composition_sd_total": (total, {"long_name": f"{name}: sd, total", **unit}),
        "thickness": (thickness, dict(maps["thickness"].attrs)),
        "thickness_sd": (
            fine.errors(maps["thickness_sd"].values.astype(np.float64)),
            dict(maps["thickness_sd"].attrs),
        ),
        "mask": (kept, {"long_name": "sample"}),
    }
    out = xr.Dataset(
        {key: (("y", "x"), values, attrs) for key, (values, attrs) in layers.items()},
        coords={"y": fine.y, "x": fine.x},
    )
    if not in_nm(library):
        out["thickness"].attrs["long_name"] = "relative thickness"
    before = maps["unclipped"].values[inside].astype(np.float64)
    of_each = np.array([np.nansum(image[inside], dtype=np.float64) for image in weights])
    out.attrs = {
        "variable": name,
        "library": library.id,
        "normalise": "molar",
        "refine": int(refine),
        "mean_per_eV": mass_weighted(maps["per_eV"].values, maps["thickness"].values, inside),
        "thickness_scale_sd": scale_sd(of_each * thickness_per_weight(library), library),
        **interpolation_change(before, value[kept]),
        **means(out, one_sided=False),
        **_cut_off(value[kept], total[kept], low, high),
        "mean_clipped": float(out["composition"].values[kept].mean()),
        "mean_pixel": float(value[kept].mean()),
        "mean_mass_weighted": float(
            mean_composition(of_each, library.values, library.molar_mass).value
        ),
        "bounds": [low, high],
    }
    _warn_of_beyond(out.attrs, name)
    _warn_of_one_sided(out, name)
    return out


def _cut_off(value: np.ndarray, sd: np.ndarray, low: float, high: float) -> dict[str, float]:
    """Shares of the pixels that lie beyond the bounds, and by more than two standard deviations."""
    return {
        "clipped_low": float((value < low).mean()),
        "clipped_high": float((value > high).mean()),
        "beyond_low": float((value < low - BEYOND_SDS * sd).mean()),
        "beyond_high": float((value > high + BEYOND_SDS * sd).mean()),
    }


def _warn_of_beyond(known: dict[str, float], name: str) -> None:
    for end, words in (("low", "below"), ("high", "above")):
        share = known[f"beyond_{end}"]
        if share > BEYOND_SHARE:
            bound = known["bounds"][0 if end == "low" else 1]  # type: ignore[index]
            warnings.warn(
                f"in {100 * share:.0f} % of the sample {name} lies {words} {bound:g} by more than "
                "two standard deviations and was cut off there: another phase than the bounding "
                "standards, an energy axis that is off, or an optical density that is",
                ChemoscapeWarning,
                stacklevel=3,
            )


def _warn_of_one_sided(comp: xr.Dataset, name: str) -> None:
    """Say when noise that was cut off on one side looks like chemistry."""
    if max(comp.attrs["beyond_low"], comp.attrs["beyond_high"]) > BEYOND_SHARE:
        return  # no noise, and said
    inside = comp["mask"].values
    moved = (comp["composition"] - comp["composition_unclipped"]).values[inside]
    thickness = comp["thickness"].values[inside]
    full = np.percentile(thickness, 95)
    thin, thick = (moved[where] for where in (thickness < THIN * full, thickness > THICK * full))
    apart = float(thin.mean() - thick.mean()) if thin.size and thick.size else 0.0
    if abs(float(moved.mean())) > ONE_SIDED or abs(apart) > FABRICATED:
        warnings.warn(
            f"noise beyond the bounds was cut off, which moves {name} in the map shown by "
            f"{moved.mean():+.3f} on average and by {apart:+.3f} more in thin than in thick parts; "
            "means are those before, but stress takes the map as shown: smooth more "
            "([composition] smooth_px), or measure longer",
            ChemoscapeWarning,
            stacklevel=3,
        )
