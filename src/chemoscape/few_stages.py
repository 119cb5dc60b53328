"""Stages of a run with a few images: from their optical densities to the composition.

`workflow` puts them in order.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import (
    ChemoscapeError,
    ChemoscapeWarning,
    FileFormatError,
    RecipeError,
)
from chemoscape.few_energies.bounded import bounded_composition
from chemoscape.few_energies.doubts import warn_of_little, warn_of_misfit, warn_without_pre_edge
from chemoscape.few_energies.maps import fit_maps
from chemoscape.few_energies.model import Nuisance
from chemoscape.few_energies.noise import with_background_variance
from chemoscape.few_energies.phase import phase_maps
from chemoscape.few_energies.problem import MOST_ENERGIES, Problem
from chemoscape.few_energies.ratios import image_ratios, ratio_maps, tells_apart
from chemoscape.few_energies.resolution.densities import SAME_ENERGY_EV, compare_resolutions
from chemoscape.few_energies.roles import NEAREST_EV, Roles, named_roles, roles_of
from chemoscape.formats import open_stack
from chemoscape.preprocess.absorbance import optical_density, sample_mask, smooth
from chemoscape.preprocess.alignment import align
from chemoscape.products import Products
from chemoscape.recipe import Recipe
from chemoscape.stages import read
from chemoscape.standards.library import Library

#: Of the spectra that are kept beside the maps, for figures.
_STEP_EV = 0.1
#: Up to this error (eV) of the energies the errors given hold; at 0.2 eV they are half too small.
LARGEST_ENERGY_SD = 0.1
#: Optical densities of one energy that differ by more than this part are warned of.
LARGEST_SLOPE = 0.05
#: Channels of a complex image, as the readers call them.
_OF_A_WAVE = ("intensity", "amplitude", "phase")


def choose_images(od: xr.Dataset, recipe: Recipe) -> xr.Dataset:
    """The images that the recipe names, of an optical density with more of them."""
    wanted = recipe.few_energies.energies
    if not wanted:
        return od
    energy = od["energy"].values
    apart = np.abs(energy[:, None] - np.array(wanted))
    nearest = apart.argmin(axis=0)
    far = apart.min(axis=0) > NEAREST_EV
    if far.any():
        k = int(far.argmax())
        raise RecipeError(
            f"[few_energies] energies names {wanted[k]:g} eV, the nearest image is at "
            f"{energy[nearest[k]]:.2f} eV",
            remedy="give energies of images",
        )
    if len(set(nearest.tolist())) < len(wanted):
        twice = next(k for k in nearest.tolist() if nearest.tolist().count(k) > 1)
        raise RecipeError(
            f"[few_energies] energies names one image twice, that at {energy[twice]:.2f} eV",
            remedy="give energies further apart",
        )
    return od.isel(energy=np.sort(nearest))


def require_images(stack: xr.DataArray, recipe: Recipe) -> None:
    """Refuse, before any work, a single image, and more of them than a few."""
    energy, wanted = stack["energy"].values, recipe.few_energies.energies
    if energy.size < 2:
        raise RecipeError(
            f"one image, at {energy[0]:.2f} eV, cannot give a composition",
            remedy="name files with others of the same field in [input] further",
        )
    n = len(wanted) or energy.size
    if n > MOST_ENERGIES:
        raise RecipeError(
            f"[few_energies] takes {MOST_ENERGIES} images at most, and was given {n}",
            remedy="name some in [few_energies] energies, or set enabled = false to fit them all",
        )


def require_bounds(library: Library, stack: xr.DataArray, recipe: Recipe) -> None:
    """Refuse, before any work, a library that no composition lies between, or with more standards
    than images.
    """
    n = len(recipe.few_energies.energies) or stack.sizes["energy"]
    if recipe.few_energies.offset_sd == "free" and n <= len(library.names):
        raise RecipeError(
            f"{n} images cannot tell {len(library.names)} standards and a free offset",
            remedy="measure one more, such as one before the edge, or give offset_sd a number",
        )
    if len(library.names) > n:
        raise RecipeError(
            f"{n} images cannot tell {len(library.names)} standards apart",
            remedy="select two in [standards], those that bound the composition, of "
            + ", ".join(library.names),
        )
    if len(library.names) < 2 or np.ptp(library.values) == 0:
        raise RecipeError(
            f"[few_energies] maps composition between bounding standards, and [standards] has "
            f"{', '.join(library.names)}",
            remedy="select two of different composition",
        )


def require_stxm(recipe: Recipe) -> None:
    """Refuse, before any work, an STXM file that is not there."""
    path = recipe.few_energies.stxm
    if path and not Path(path).exists():
        raise RecipeError(
            "[few_energies] stxm names a file that is not there", path, "correct the path"
        )


def map_composition(
    done: Products, library: Library, recipe: Recipe
) -> tuple[xr.Dataset, xr.Dataset]:
    """Maps of the images, ratios among them, and the composition between its bounds."""
    wanted, how = recipe.composition, _errors(recipe)
    od, noise = _prepared(done, recipe)
    problem = Problem.of(
        od["energy"].values, library, how["nuisance"], how["energy_shift"], how["misfit_scale"]
    )
    roles = _roles(od, recipe, library)
    maps = fit_maps(od, library, min_thickness=wanted.min_thickness, **how)
    _warn_of_calibration(how["nuisance"])
    warn_of_little(maps, library)
    known = maps.attrs | {
        "misfit_p": warn_of_misfit(
            od, maps["sample"], problem, pixels_per_value=4 * np.pi * wanted.smooth_px**2
        ),
        "bounds": [float(library.values.min()), float(library.values.max())],
    }
    if roles.pre is None and np.isfinite(how["nuisance"].offset_sd):
        known["fabricated_by_offset"] = warn_without_pre_edge(maps, library.variable)
    if roles.post is not None and len(library.names) == 2:
        with warnings.catch_warnings():  # a feature that tells nothing alone helps the others
            warnings.simplefilter("ignore", ChemoscapeWarning)
            mapped = ratio_maps(
                od,
                library,
                roles,
                mapping=recipe.few_energies.mapping,
                sample=maps["sample"],
                **how,
            )
        telling = tells_apart(mapped)
        if telling.any():
            mapped = mapped.isel(feature=telling)
        maps, known = maps.merge(mapped), known | mapped.attrs
    maps = _with_spectra(maps, library, how["energy_shift"])
    maps.attrs = known
    comp = bounded_composition(maps, library, refine=wanted.refine)
    return _with_images(maps, od, roles, noise), comp.assign_attrs(
        smooth_px=wanted.smooth_px, noise_length_px=wanted.smooth_px * wanted.refine
    )


def map_ratios(done: Products, recipe: Recipe) -> xr.Dataset:
    """Ratios of the images to the last one, for want of standards."""
    od, noise = _prepared(done, recipe)
    roles = _roles(od, recipe, None)
    inside = sample_mask(od.drop_vars("sample", errors="ignore"))
    maps = image_ratios(od, roles, sample=inside)
    maps["sample"] = inside
    return _with_images(maps, od, roles, noise)


def _errors(recipe: Recipe) -> dict[str, Any]:
    """What the recipe says of the errors, and the energy axis, for `fit_maps` and `ratio_maps`."""
    section = recipe.few_energies
    shift = recipe.calibration.energy_shift if recipe.calibration.enabled else 0.0
    return {
        "nuisance": Nuisance(
            section.energy_sd_eV,
            section.calibration_sd_eV,
            np.inf if section.offset_sd == "free" else section.offset_sd,
            section.i0_sd,
        ),
        "energy_shift": 0.0 if shift == "fit" else float(shift),
        "misfit_scale": section.misfit,
        "registration_px": section.registration_px,
    }


def _warn_of_calibration(nuisance: Nuisance) -> None:
    """Errors of energy are carried linearly, which holds while they are smaller than features."""
    if max(nuisance.calibration_sd_eV, nuisance.energy_sd_eV) > LARGEST_ENERGY_SD:
        warnings.warn(
            f"energies that may be off by more than {LARGEST_ENERGY_SD:g} eV change composition by "
            "more than the errors given here say: calibrate them first",
            ChemoscapeWarning,
            stacklevel=3,
        )


def _prepared(done: Products, recipe: Recipe) -> tuple[xr.Dataset, str]:
    """The images behind the Gaussian filter (Equation 5), with their variance, and where that is
    from: that of reconstructions is measured behind the filter.
    """
    od, noise = done.od, recipe.few_energies.noise
    assert od is not None  # noqa: S101 - every run has an optical density
    if noise == "auto":
        noise = "counts" if counted(done) else "background"
    elif noise == "counts" and not counted(done):
        warnings.warn(
            "the values of a reconstruction are no counts: their errors by noise are not those of "
            'photons; take [few_energies] noise = "background"',
            ChemoscapeWarning,
            stacklevel=2,
        )
    if recipe.composition.smooth_px > 0:
        od = smooth(od, recipe.composition.smooth_px)
    if noise == "background" and not recipe.standards.enabled and "background" not in od:
        return od, "none"  # ratios have a value without an error
    return (with_background_variance(od) if noise == "background" else od), noise


def _roles(od: xr.Dataset, recipe: Recipe, library: Library | None) -> Roles:
    """What each image is for; without standards the last one is that after the edge."""
    section, energy = recipe.few_energies, od["energy"].values
    pre, post = (None if one == "none" else one for one in (section.pre, section.post))
    if library is not None:
        shift = _errors(recipe)["energy_shift"]
        return roles_of(energy, library, shift=shift, pre=pre, post=post)
    pre = None if pre == "auto" else pre
    post = float(energy[-1]) if post == "auto" else post
    return named_roles(energy, pre=pre, post=post)


def _with_spectra(maps: xr.Dataset, library: Library, shift: float) -> xr.Dataset:
    """The maps with the spectra that their weights are multiplied by, for figures."""
    axis = np.arange(*library.energy_range, _STEP_EV)
    maps["spectrum"] = (("standard", "spectrum_energy"), library.spectra(axis).values)
    return maps.assign_coords(spectrum_energy=("spectrum_energy", axis + shift, {"units": "eV"}))


def _with_images(maps: xr.Dataset, od: xr.Dataset, roles: Roles, noise: str) -> xr.Dataset:
    """The maps with what they were made of, and what each image is for."""
    density, energy = od["optical_density"], od["energy"].values
    maps["optical_density"] = density.drop_vars(
        [name for name in density.coords if name not in stacks.DIMS]
    )
    if "background_sd" in od.coords:
        maps["background_sd"] = od["background_sd"]
    maps.attrs |= {
        "features_eV": energy[list(roles.features)].tolist(),
        "pre_eV": float("nan") if roles.pre is None else float(energy[roles.pre]),
        "post_eV": float("nan") if roles.post is None else float(energy[roles.post]),
        "noise": noise,
    }
    return maps


def counted(done: Products) -> bool:
    """Whether the variance is that of counts, and not of a reconstruction in arbitrary units."""
    assert done.od is not None  # noqa: S101 - every run has an optical density
    return "variance" in done.od and done.stack.attrs.get("unit") != "arbitrary"


def phases(done: Products, recipe: Recipe) -> xr.DataArray | None:
    """Phases of complex images, moved as the intensities were, flat and zero where it is empty;
    None where the images are no waves or the empty part is not known.
    """
    assert done.od is not None  # noqa: S101 - the maps came before
    is_wave = done.stack.attrs.get("channel") in _OF_A_WAVE
    if not (is_wave and recipe.few_energies.phase and "background" in done.od):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # said of the intensities already
        try:
            wrapped = read(recipe, channel="phase", quantity=None)
        except FileFormatError:  # the file holds the intensities of a wave, and no wave
            return None
        if done.drift_applied:
            assert done.drift is not None  # noqa: S101 - it was applied
            # an angle jumps where it wraps: its cosine and sine do not
            cosine, sine = (
                align(stacks.like(wrapped, part(wrapped.values)), done.drift)
                for part in (np.cos, np.sin)
            )
            wrapped = stacks.like(wrapped, np.arctan2(sine.values, cosine.values))
    plane = {name: done.od[name] for name in ("y", "x")}
    chosen = choose_images(xr.Dataset({"phase": wrapped.sel(plane)}), recipe)["phase"]
    return phase_maps(chosen, done.od["background"])


def beside_stxm(done: Products, recipe: Recipe) -> xr.Dataset | None:
    """The images beside an STXM image of the same particle, at the nearest energy; None where the
    recipe names none, or where they do not match.
    """
    path = recipe.few_energies.stxm
    if not path:
        return None
    od = done.od
    assert od is not None  # noqa: S101 - the maps came before
    try:
        stxm = open_stack(path)
        found = compare_resolutions(optical_density(stxm), od, energy=_shared_energy(stxm, od))
        _warn_of_slope(found)
        return found
    except ChemoscapeError as error:
        text = f"the images were not compared with the STXM of {Path(path).name}: {error}"
        warnings.warn(text, ChemoscapeWarning, stacklevel=2)
        return None


def _shared_energy(stxm: xr.DataArray, od: xr.Dataset) -> float:
    """Of the images that STXM has too, the one that absorbs most; else the nearest to one of it."""
    energy = od["energy"].values
    apart = np.abs(energy[:, None] - stxm["energy"].values).min(axis=1)
    shared = apart <= max(SAME_ENERGY_EV, float(apart.min()))
    mean = np.nanmean(od["optical_density"].values, axis=(1, 2))
    return float(energy[np.where(shared, mean, -np.inf).argmax()])


def _warn_of_slope(found: xr.Dataset) -> None:
    """Say when two optical densities at one energy differ by a factor."""
    known = found.attrs
    same = abs(known["coarse_energy_eV"] - known["fine_energy_eV"]) <= SAME_ENERGY_EV
    off = abs(known["slope"] - 1)
    if same and off > max(LARGEST_SLOPE, 3 * known["slope_sd"]):
        warnings.warn(
            f"at {known['fine_energy_eV']:.2f} eV the optical density of STXM is "
            f"{known['slope']:.2f} ± {known['slope_sd']:.2f} times that of the images: I0, stray "
            "light or saturation is wrong in one of them",
            ChemoscapeWarning,
            stacklevel=3,
        )
