"""From weights to composition, with its uncertainty (Equations 5 and 6 of the paper)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.blocks import loaded, map_blocks
from chemoscape.chemistry.grid import Finer
from chemoscape.chemistry.uncertainty import Errors
from chemoscape.decompose.maps import unpacked
from chemoscape.errors import FitError, LibraryError, require_choice
from chemoscape.standards.library import Library, require_library, require_values
from chemoscape.standards.mixing import Mixture, literal_composition, mean_composition

#: A pixel has a composition where its thickness exceeds its own error and a share of the thick
#: parts.
THICKNESS_SDS = 5.0
THICKNESS_SHARE = 0.10
NM_PER_CM = 1e7


def composition(
    maps: xr.Dataset,
    library: Library,
    *,
    refine: int = 1,
    normalise: Literal["molar", "none"] = "molar",
    mask: xr.DataArray | np.ndarray | None = None,
    min_thickness: float = 0.0,
) -> xr.Dataset:
    """Composition, thickness and their mask, from the weights of the standards.

    The weights are averaged over formula units (Equation 6): ``x = Σ n_i x_i / Σ n_i``,
    ``n_i = t_i / M_i``, if wanted after bilinear interpolation onto a finer grid. The Gaussian
    filter of Equation 5 belongs before the fit (`preprocess.absorbance.smooth`): non-negative
    weights err to one side, and their filtered mean is biased by several of its stated errors.

    Errors are kept apart by kind:

    - counting: the weights' covariance through the derivative of Equation 6, per pixel. A pixel of
      one standard, where all others are at their bound, is given the error it would have if the
      neighbour in composition were free;
    - systematic: the energy shift's error, the standards' own compositions and mass scales, and
      standards that do not quite fit the sample (`decompose.misfit`): errors that pixels have in
      common.

    Parameters
    ----------
    maps : Dataset of `deconvolve`
    library : Library
        The standards that `maps` was made with.
    refine : int
        Bilinear interpolation onto a grid this many times finer.
    normalise : {"molar", "none"}
        "none" is the paper's literal sum, right where weights sum to one.
    mask : DataArray (y, x) of bool, optional
        Where a composition is wanted, on the maps' own grid; default: thickness above 5 of its sd
        and above 10 % of its 95th percentile.
    min_thickness : float
        Thinner pixels are left out of the default mask too (nm, or relative).

    Returns
    -------
    Dataset
        ``composition``, ``composition_sd_counting``, ``composition_sd_systematic``,
        ``composition_sd_total`` (NaN outside the mask), ``thickness`` ("nm", or "1": relative),
        ``thickness_sd`` (by counting), ``mask``; all (y, x). Attributes: ``thickness_scale_sd``
        (relative, of all thicknesses together, by the standards' mass scales), ``variable``,
        ``mean_pixel``,
        ``mean_mass_weighted``, ``mean_sd``, ``mean_per_eV`` (its change with the energy shift),
        ``interpolation_mean_change`` and ``interpolation_percentile_change`` (what interpolation
        does to the mean, and at most to the 5th, 50th and 95th percentile), ``masked_share``,
        ``normalise``, ``refine``.
        ``mean_sd`` takes the pixels' counting errors to average out only where weights are free:
        those kept non-negative err to one side together.

    Raises
    ------
    LibraryError
        `library` is not the one that `maps` was made with, or a standard's composition is unknown.
    FitError
        An option has no such value.
    """
    require_choice("normalise", normalise, "molar", "none")
    if refine < 1 or refine != int(refine):
        raise FitError(f"a grid cannot be refined {refine} times", remedy="give refine = 1, 2, …")
    require_values(require_library(library))
    if list(maps.standard.values) != list(library.names):
        raise LibraryError(
            f"the maps hold {', '.join(map(str, maps.standard.values))}, the library "
            f"{', '.join(library.names)}",
            remedy="give the library that was passed to deconvolve",
        )
    maps = loaded(maps)
    cubes = [maps[name].values for name in ("weight", "weight_covariance", "weight_per_eV")]
    to_thickness = _thickness_per_weight(library)
    dtype = cubes[0].dtype  # maps of a large stack are in single precision
    if mask is None:
        total, total_sd = map_blocks(
            lambda weights, packed: _thickness(weights, packed, to_thickness),
            *cubes[:2],
            leading=(2,),
            dtype=dtype,
        )
        mask = _is_thick(total, total_sd, min_thickness)
    inside = stacks.as_mask(mask, maps["residual"]).values
    errors = Errors(maps, library, normalise)

    def work(
        weights: np.ndarray, packed: np.ndarray, per_eV: np.ndarray, inside: np.ndarray
    ) -> np.ndarray:
        out = np.zeros((6, *inside.shape))
        some, slopes = (np.nan_to_num(cube[:, inside]) for cube in (weights, per_eV))
        mixture = _mix(some, library, normalise)
        covariance = unpacked(np.nan_to_num(packed[:, inside]))
        gradient = np.nan_to_num(mixture.gradient)
        out[0, inside] = mixture.value
        out[1:3, inside] = errors.of(gradient, some, covariance, slopes)
        out[3, inside] = (mixture.gradient * slopes).sum(axis=0)
        out[4:, inside] = _total(some, to_thickness), _total_sd(covariance, to_thickness)
        return out

    before, counting, systematic, slope, thickness, thickness_sd = map_blocks(
        work, *cubes, inside, leading=(6,), dtype=dtype
    )

    fine = Finer(maps, refine)
    out = xr.Dataset(coords={"y": fine.y, "x": fine.x})
    kept = fine.inside(inside)
    value, total = before, thickness
    if refine > 1:
        weights = fine.linear(np.nan_to_num(cubes[0]) * inside)
        value, total = _mix(weights, library, normalise).value, _total(weights, to_thickness)
    value = np.where(kept, value, np.nan)
    counting, systematic = (
        np.where(kept, fine.errors(sd), np.nan) for sd in (counting, systematic)
    )
    label = library.variable
    units = "nm" if _in_nm(library) else "1"
    thickness_name = "thickness" if _in_nm(library) else "relative thickness"
    for name, values, attrs in (
        ("composition", value, {"long_name": label, "units": "1"}),
        (
            "composition_sd_counting",
            counting,
            {"long_name": f"{label}: sd, counting", "units": "1"},
        ),
        (
            "composition_sd_systematic",
            systematic,
            {"long_name": f"{label}: sd, systematic", "units": "1"},
        ),
        (
            "composition_sd_total",
            np.hypot(counting, systematic),
            {"long_name": f"{label}: sd, total", "units": "1"},
        ),
        (
            "thickness",
            total,
            {"long_name": thickness_name, "units": units},
        ),
        (
            "thickness_sd",
            fine.errors(thickness_sd),
            {"long_name": f"{thickness_name}: sd", "units": units},
        ),
        ("mask", kept, {"long_name": "sample"}),
    ):
        out[name] = (("y", "x"), values, attrs)
    out.attrs = {
        "variable": label,
        "library": library.id,
        "normalise": normalise,
        "refine": int(refine),
        "mean_per_eV": _mass_weighted(slope, thickness, inside),
        "thickness_scale_sd": _scale_sd(_sums(cubes[0], inside) * to_thickness, library),
        **_interpolation_change(before[inside], value[kept]),
        **_means(out, one_sided=bool(maps.attrs["nonnegative"])),
    }
    return out


def _interpolation_change(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """How far interpolation moves the mean and the 5th, 50th and 95th percentile of composition.

    The paper contrasts its maps before and after interpolation; a change says that grains are about
    as small as pixels, so that what lies between them is made up.
    """
    if not (before.size and after.size):
        return {"interpolation_mean_change": np.nan, "interpolation_percentile_change": np.nan}
    shares = (5, 50, 95)
    moved = np.percentile(after, shares) - np.percentile(before, shares)
    return {
        "interpolation_mean_change": float(after.mean() - before.mean()),
        "interpolation_percentile_change": float(np.abs(moved).max()),
    }


def _mass_weighted(values: np.ndarray, mass: np.ndarray, inside: np.ndarray) -> float:
    """Mean over the pixels of a mask, each by its mass."""
    if not inside.any():
        return float("nan")
    return float((values[inside] * mass[inside]).sum() / mass[inside].sum())


def _means(comp: xr.Dataset, *, one_sided: bool) -> dict[str, float]:
    """Means per pixel and per mass, the uncertainty of the mean, and the share of the image left
    out.
    """
    kept = comp["mask"].values
    if not kept.any():
        return {
            "mean_pixel": np.nan,
            "mean_mass_weighted": np.nan,
            "mean_sd": np.nan,
            "masked_share": 1.0,
        }
    # Counting noise averages out over thousands of pixels; what is common to all of them does not,
    # nor does the bias of weights kept non-negative, which grows with the counting noise.
    error = "composition_sd_total" if one_sided else "composition_sd_systematic"
    x, mass, common = (comp[name].values for name in ("composition", "thickness", error))
    return {
        "mean_pixel": float(x[kept].mean()),
        "mean_mass_weighted": _mass_weighted(x, mass, kept),
        "mean_sd": _mass_weighted(common, mass, kept),
        "masked_share": float(1 - kept.mean()),
    }


def _mix(weights: np.ndarray, library: Library, normalise: str) -> Mixture:
    """Equation 6, normalised or as printed."""
    if normalise == "none":
        return literal_composition(weights, library.values)
    return mean_composition(weights, library.values, library.molar_mass)


def _in_nm(library: Library) -> bool:
    """Whether weights are areal masses of known density."""
    return library.mass_scale and bool(np.isfinite(library.density).all())


def _thickness_per_weight(library: Library) -> np.ndarray:
    """nm per (g/cm²) of each standard, or 1 where a density or the scale is missing."""
    return NM_PER_CM / library.density if _in_nm(library) else np.ones(len(library.names))


def _sums(weights: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Of each standard's weight (n_standards, y, x) over the pixels of a mask."""
    return np.array([np.nansum(image[inside], dtype=np.float64) for image in weights])


def _thickness(weights: np.ndarray, packed: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Thickness and its standard deviation (2, rows, x); a pixel without a fit holds no mass."""
    covariance = unpacked(np.nan_to_num(packed))
    return np.stack([_total(np.nan_to_num(weights), factor), _total_sd(covariance, factor)])


def _total(weights: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Thickness: sum of the weights, each with its factor."""
    return np.tensordot(factor, weights, axes=1)


def _total_sd(covariance: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Standard deviation of the thickness."""
    return np.sqrt(np.einsum("i,ij...,j->...", factor, covariance, factor).clip(min=0))


def _scale_sd(thickness: np.ndarray, library: Library) -> float:
    """Relative standard deviation of all thicknesses together, by the standards' mass scales.

    Parameters
    ----------
    thickness : ndarray, shape (n_standards,)
        Sum over the pixels of each standard's part.
    """
    if not library.mass_scale or not thickness.sum() > 0:
        return 0.0
    share = thickness / thickness.sum()
    scaling = [standard.record.scaling for standard in library.standards]
    own, background, tables = (
        np.nan_to_num([getattr(one, name) for one in scaling])
        for name in ("uncertainty", "background", "table_difference")
    )
    independent = (share**2 * np.maximum(own**2 - background**2, 0)).sum()
    return float(np.sqrt(independent + (share @ background) ** 2 + (share @ tables) ** 2))


def _is_thick(thickness: np.ndarray, sd: np.ndarray, least: float) -> np.ndarray:
    """Where there is enough sample for a composition."""
    least = max(least, THICKNESS_SHARE * float(np.percentile(thickness, 95)))
    return (thickness > THICKNESS_SDS * sd) & (thickness > least)
