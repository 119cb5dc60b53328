"""From weights to composition, with its uncertainty (Equations 5 and 6 of the paper)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.blocks import loaded, map_blocks
from chemoscape.chemistry.grid import Finer
from chemoscape.chemistry.means import interpolation_change, mass_weighted, means
from chemoscape.chemistry.thickness import (
    in_nm,
    is_thick,
    scale_sd,
    sd_of,
    thickness_and_sd,
    thickness_of,
    thickness_per_weight,
)
from chemoscape.chemistry.uncertainty import Errors
from chemoscape.decompose.maps import unpacked
from chemoscape.errors import FitError, LibraryError, require_choice
from chemoscape.standards.library import Library, require_library, require_values
from chemoscape.standards.mixing import Mixture, literal_composition, mean_composition


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
    to_thickness = thickness_per_weight(library)
    dtype = cubes[0].dtype  # maps of a large stack are in single precision
    if mask is None:
        total, total_sd = map_blocks(
            lambda weights, packed: thickness_and_sd(weights, packed, to_thickness),
            *cubes[:2],
            leading=(2,),
            dtype=dtype,
        )
        mask = is_thick(total, total_sd, min_thickness)
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
        out[4:, inside] = thickness_of(some, to_thickness), sd_of(covariance, to_thickness)
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
        value, total = _mix(weights, library, normalise).value, thickness_of(weights, to_thickness)
    value = np.where(kept, value, np.nan)
    counting, systematic = (
        np.where(kept, fine.errors(np.where(inside, sd, np.nan)), np.nan)  # not 0 from outside
        for sd in (counting, systematic)
    )
    label = library.variable
    units = "nm" if in_nm(library) else "1"
    thickness_name = "thickness" if in_nm(library) else "relative thickness"
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
        "mean_per_eV": mass_weighted(slope, thickness, inside),
        "thickness_scale_sd": scale_sd(_sums(cubes[0], inside) * to_thickness, library),
        **interpolation_change(before[inside], value[kept]),
        **means(out, one_sided=bool(maps.attrs["nonnegative"])),
    }
    return out


def _mix(weights: np.ndarray, library: Library, normalise: str) -> Mixture:
    """Equation 6, normalised or as printed."""
    if normalise == "none":
        return literal_composition(weights, library.values)
    return mean_composition(weights, library.values, library.molar_mass)


def _sums(weights: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Of each standard's weight (n_standards, y, x) over the pixels of a mask."""
    return np.array([np.nansum(image[inside], dtype=np.float64) for image in weights])
