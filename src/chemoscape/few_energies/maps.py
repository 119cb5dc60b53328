"""Maps of two bounding standards from a few optical densities, with the error of each source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from chemoscape.blocks import loaded, map_blocks
from chemoscape.chemistry.thickness import in_nm, is_thick
from chemoscape.errors import FitError
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.problem import SOURCES, Problem
from chemoscape.standards.library import Library, require_library, require_values


def fit_maps(
    od: xr.Dataset,
    pair: Library,
    *,
    nuisance: Nuisance | None = None,
    energy_shift: float = 0.0,
    misfit_scale: float = 1.0,
    registration_px: float = 0.1,
    min_thickness: float = 0.0,
) -> xr.Dataset:
    """Weights of a few standards from a few images, by generalised least squares in every pixel.

    Weights may be negative: a composition beyond its bounds is cut off later and counted, not bent
    into them by the fit. The variances are those of the pixel's own fitted optical density, not of
    the noisy one, which would weigh low values more. See `model` for the equations.

    Parameters
    ----------
    od : Dataset of `optical_density`
        At two to twelve energies, with its variance.
    pair : Library
        The standards that bound the composition; as many as there are energies at most.
    nuisance : Nuisance, optional
        What else is uncertain, and by how much.
    energy_shift : float
        E(file axis) - E(library), eV.
    misfit_scale : float
        How far the sample's spectra depart from the standards: 1 for peaks off by 0.02 eV and
        heights by 2 % (`decompose.misfit`), which a few energies cannot tell.
    registration_px : float
        Standard deviation of the place of each image, pixels in either direction: it errs where the
        optical density is steep.
    min_thickness : float
        Thinner pixels are no sample (nm, or relative).

    Returns
    -------
    Dataset
        ``weight`` (standard, y, x) and ``weight_covariance`` (pair, y, x; counting only);
        ``unclipped``, the composition as fitted; ``error`` (source, y, x), its standard deviation
        by source: counting, energy, calibration, offset, i0, registration, standards;
        ``per_offset`` and ``per_eV``, its change with an offset of optical density and with the
        energy axis;
        ``thickness``, ``thickness_sd``, ``sample`` (y, x); ``residual`` (rms OD) and
        ``reduced_chi2``, NaN where there are no more energies than unknowns.

    Raises
    ------
    FitError
        Too many or too few energies, no variance, or energies that do not tell the standards apart.
    LibraryError
        `pair` is no library with compositions, or does not cover the energies.
    """
    require_values(require_library(pair))
    nuisance = Nuisance() if nuisance is None else nuisance
    known = loaded(od[["optical_density", "variance"]]) if "variance" in od else None
    if known is None:
        raise FitError(
            "the optical densities have no variance, so that nothing can be said of their error",
            remedy="make them from counts, or measure the noise in the empty part",
        )
    cubes = [known[name].values for name in ("optical_density", "variance")]
    problem = Problem.of(known["energy"].values, pair, nuisance, energy_shift, misfit_scale)
    problem = replace(problem, typical=np.nan_to_num(np.nanmedian(cubes[1], axis=(1, 2)), nan=1.0))
    cubes.append(unsteadiness(cubes[0], registration_px))
    planes = map_blocks(problem.planes, *cubes, leading=(problem.n_planes,), dtype=np.float32)
    out = _dataset(problem.split(np.asarray(planes)), known, pair)
    thickness, sd = (out[name].values for name in ("thickness", "thickness_sd"))
    inside = is_thick(np.nan_to_num(thickness), sd, min_thickness)
    inside &= np.isfinite(out["unclipped"].values)
    out["sample"] = (("y", "x"), inside, {"long_name": "sample"})
    out.attrs = {
        "energy_shift_eV": float(energy_shift),
        "energy_shift_sd_eV": nuisance.calibration_sd_eV,
        "misfit_scale": float(misfit_scale),
        "registration_px": float(registration_px),
        "condition_number": float(np.linalg.cond(problem.mu / np.linalg.norm(problem.mu, axis=0))),
        **{f"nuisance_{name}": float(value) for name, value in vars(nuisance).items()},
    }
    return out


def unsteadiness(density: np.ndarray, registration_px: float) -> np.ndarray:
    """Variance ``|∇D|² σ²`` of optical densities (n_energy, y, x) whose images are misplaced by
    σ pixels in either direction; 0 beside missing pixels.
    """
    if not registration_px > 0 or min(density.shape[1:]) < 2:
        return np.zeros(density.shape, dtype=np.float32)
    slopes = np.gradient(density, axis=(1, 2))
    return np.asarray(np.nan_to_num(sum(slope**2 for slope in slopes)) * registration_px**2)


def _dataset(maps: dict[str, np.ndarray], od: xr.Dataset, pair: Library) -> xr.Dataset:
    """Maps with their axes and words."""
    units = "g/cm2" if pair.mass_scale else "1"
    name = pair.variable
    words = {
        "weight": ("amount of each standard", units),
        "weight_covariance": ("covariance of weights, counting", f"({units})^2"),
        "unclipped": (f"{name}, beyond its bounds too", "1"),
        "error": (f"{name}: sd by source", "1"),
        "per_offset": (f"change of {name} with an offset of optical density", "1"),
        "per_eV": (f"change of {name} with the energy axis", "1/eV"),
        "thickness": ("thickness", "nm" if in_nm(pair) else "1"),
        "thickness_sd": ("thickness: sd, counting", "nm" if in_nm(pair) else "1"),
        "residual": ("rms residual", "1"),
        "reduced_chi2": ("reduced chi-squared", "1"),
    }
    leading = {"weight": "standard", "weight_covariance": "pair", "error": "source"}
    return xr.Dataset(
        {
            key: (
                (leading[key], "y", "x") if key in leading else ("y", "x"),
                values.astype(np.float32),
                dict(zip(("long_name", "units"), words[key], strict=True)),
            )
            for key, values in maps.items()
        },
        coords={
            "standard": pair.names,
            "source": list(SOURCES),
            "fit_energy": ("fit_energy", od["energy"].values, {"units": "eV"}),
            "y": od["y"],
            "x": od["x"],
        },
    )
