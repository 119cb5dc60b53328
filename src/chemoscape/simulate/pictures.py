"""A stack of any picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.errors import LibraryError, StackError
from chemoscape.particles.sources import open_map
from chemoscape.simulate.exposure import measurement_energies
from chemoscape.simulate.truth import Sample, Truth, record
from chemoscape.standards.library import Library, Standard, require_values

#: A picture: its values, a map, or the file of one (PNG, TIFF, JPEG).
Picture = np.ndarray | xr.DataArray | str | Path


def from_image(
    picture: Picture,
    spectra: Library | xr.DataArray,
    *,
    composition: float | tuple[float, float] | Picture | None = None,
    pixel_um: float = 0.04,
    peak_optical_density: float = 1.4,
    photons: float = 5_000.0,
    poisson: bool = False,
    od_noise: float = 0.0,
    energy_shift_eV: float = 0.0,
    energy: Sequence[float] | np.ndarray | None = None,
    seed: int = 0,
    sample_library: Library | None = None,
    stray_light: float = 0.0,
    i0_error: float = 0.0,
    halo_share: float = 0.0,
    halo_um: float = 1.0,
) -> Truth:
    """Simulate a stack of counts from a grey picture and one spectrum or two.

    The picture is the thickness: black is empty, its brightest pixel has the peak optical density.

    Parameters
    ----------
    picture : array (y, x), DataArray (y, x) or path
        Values of 0 or more; rows in the order of ascending y. A DataArray brings its own axes (µm).
        A file is read with its last row at the lowest y, as figures show it.
    spectra : Library or DataArray
        A library of one standard or of two; or one spectrum (energy,), or two (standard, energy),
        whose coordinate is in eV.
    composition : float, (float, float), array (y, x), DataArray (y, x) or path, optional
        What the two standards' mixture is, in the library's variable: the same everywhere, linear
        along x from the sample's left end to its right, or a map of values (which may be NaN where
        there is no sample). The grey values of a
        file run from the one standard's value (darkest) to the other's (brightest), low to high.
        Of a single standard it is left out.
    pixel_um : float
        Pixel size in µm, where the picture does not say.
    energy : array_like, optional
        Energies (eV) of the stack's axis; when left out, those of `measurement_energies`, or of a
        spectrum that is a DataArray.
    peak_optical_density, photons, poisson, od_noise, energy_shift_eV, seed, sample_library
        As of `core_shell`.
    stray_light, i0_error, halo_share, halo_um : float
        As of `expose`.

    Returns
    -------
    Truth
        ``labels`` are 0 where there is sample, -1 outside.

    Raises
    ------
    StackError
        The picture is empty, negative or not finite, shapes disagree, or the composition is missing
        or lies outside what the two standards can mix to.
    LibraryError
        More than two standards, two of the same value, or energies that they do not cover.
    FileFormatError
        A file is no picture that can be read.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> pair = open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5")
    >>> wedge = np.tile(np.arange(4.0), (3, 1))
    >>> truth = from_image(wedge, pair, composition=(0.1, 0.4))
    >>> truth.composition.values[0].round(3).tolist()
    [nan, 0.1, 0.25, 0.4]
    """
    library = _library(spectra)
    thickness, y, x = _thickness(picture, pixel_um)
    composition = _as_the_picture(composition, picture, y, x)
    inside = thickness > 0
    if energy is not None:
        axis = np.asarray(energy, dtype=np.float64)
    elif isinstance(spectra, xr.DataArray):
        axis = spectra["energy"].values.astype(np.float64)
    else:
        axis = measurement_energies()
    sample = Sample(
        library=library,
        names=library.names,
        units=_units(library, composition, inside, pixel_um),
        thickness=thickness / thickness.max(),
        labels=np.where(inside, 0, -1),
        meaning="0 sample, -1 outside",
        y=y,
        x=x,
        source="simulated from a picture (synthetic)",
        sample_library=sample_library,
    )
    return record(
        sample,
        axis,
        peak_optical_density=peak_optical_density,
        od_noise=od_noise,
        energy_shift_eV=energy_shift_eV,
        poisson=poisson,
        photons=photons,
        seed=seed,
        stray_light=stray_light,
        i0_error=i0_error,
        halo_share=halo_share,
        halo_um=halo_um,
    )


def _library(spectra: Library | xr.DataArray) -> Library:
    """One standard or two."""
    if isinstance(spectra, xr.DataArray) and spectra.dims == ("energy",):
        spectra = spectra.expand_dims(standard=[str(spectra.name or "spectrum")])
    if isinstance(spectra, xr.DataArray) and spectra.dims == ("standard", "energy"):
        names = spectra["standard"].values if "standard" in spectra.coords else range(len(spectra))
        spectra = Library(
            id="spectra",
            name="spectra given as an array",
            variable="share of the second spectrum",
            standards=tuple(
                Standard(str(name), str(name), float(k), spectra["energy"].values, row)
                for k, (name, row) in enumerate(zip(names, spectra.values, strict=True))
            ),
        )
    if not isinstance(spectra, Library):
        raise LibraryError(
            "a picture is filled with a Library or with spectra of dims (energy,) or (standard, "
            f"energy), got {getattr(spectra, 'dims', type(spectra).__name__)}",
            remedy='open one with cs.open_library("lixv2o5-model").select(…)',
        )
    if len(spectra.names) > 2:
        raise LibraryError(
            f"a picture is filled with one standard or with two, not {len(spectra.names)}",
            f"library {spectra.id!r}",
            "choose them with library.select(…)",
        )
    if len(spectra.names) == 2 and spectra.values[0] == spectra.values[1]:
        raise LibraryError(
            f"both standards have the value {spectra.values[0]:g}, so that no composition tells "
            "them apart",
            f"library {spectra.id!r}",
            "choose two that differ",
        )
    return spectra


def _values(picture: Picture, pixel_um: float, what: str) -> xr.DataArray:
    """A picture as a map (y, x) of numbers."""
    if not pixel_um > 0:
        raise StackError(
            f"pixel_um must be positive, not {pixel_um:g}", remedy="give a pixel's side in µm"
        )
    if isinstance(picture, str | Path):
        picture = open_map(picture, pixel_um=pixel_um)
    if not isinstance(picture, xr.DataArray):
        values = np.asarray(picture)
        axes = {
            name: (np.arange(size) + 0.5) * pixel_um
            for name, size in zip(("y", "x"), values.shape, strict=False)
        }
        if values.ndim == 2:
            picture = xr.DataArray(values, dims=("y", "x"), coords=axes)
    if not isinstance(picture, xr.DataArray) or picture.dims != ("y", "x") or not picture.size:
        raise StackError(
            f"the {what} has the shape {np.shape(picture)}, not that of one picture",
            remedy="give an array (y, x) of grey values",
        )
    if picture.dtype.kind not in "biuf":
        raise StackError(
            f"the {what} is made of {picture.dtype}, not of numbers", remedy="give real numbers"
        )
    return picture.astype(np.float64)


def _thickness(picture: Picture, pixel_um: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey values of 0 or more, y and x."""
    found = _values(picture, pixel_um, "picture")
    if not np.isfinite(found.values).all():
        raise StackError(
            "the picture holds a value that is no finite number", remedy="fill or crop it first"
        )
    if found.min() < 0 or not found.max() > 0:
        raise StackError(
            f"the picture's values run from {float(found.min()):g} to {float(found.max()):g}, and "
            "a thickness is 0 or more and somewhere more",
            remedy="invert it or subtract its background",
        )
    for name in ("y", "x"):
        if name not in found.coords:
            found = found.assign_coords({name: (np.arange(found.sizes[name]) + 0.5) * pixel_um})
    found = found.sortby(["y", "x"])
    return found.values, found["y"].values, found["x"].values


def _as_the_picture(composition: Any, picture: Picture, y: np.ndarray, x: np.ndarray) -> Any:
    """A map of composition in the order of the sorted picture; anything else as it is.

    An array without coordinates has those of the picture.
    """
    if isinstance(composition, str | Path) or np.ndim(composition) != 2:
        return composition
    found = composition
    if not isinstance(found, xr.DataArray):
        known = picture.coords if isinstance(picture, xr.DataArray) else {}
        coords = {name: known[name] for name in ("y", "x") if name in known}
        if np.shape(found) != (y.size, x.size):
            return found  # refused where shapes are compared
        found = xr.DataArray(np.asarray(found), dims=("y", "x"), coords=coords)
    names = [name for name in ("y", "x") if name in found.coords]
    found = found.sortby(names)
    for name, axis in (("y", y), ("x", x)):
        if name in names and found.sizes[name] == axis.size:
            apart = float(np.abs(found[name].values - axis).max())
            if apart > 1e-6 * max(float(np.ptp(axis)), 1e-6):
                raise StackError(
                    f"the composition's {name} differ from the picture's by up to {apart:g} µm",
                    remedy="give both on the same pixels, or as arrays without coordinates",
                )
    return found


def _units(
    library: Library,
    composition: float | tuple[float, float] | Picture | None,
    inside: np.ndarray,
    pixel_um: float,
) -> np.ndarray:
    """Formula units of each standard in one of the mixture, ``x = sum u_k x_k``."""
    if len(library.names) == 1:
        if composition is not None:
            raise StackError(
                "one spectrum has one composition", remedy="leave composition out, or give two"
            )
        return np.ones((1, *inside.shape))
    if composition is None:
        raise StackError(
            "two standards can mix in any proportion",
            remedy="give composition as a number, two, or a picture",
        )
    low, high = sorted(require_values(library).values)
    wanted = _composition(composition, inside, pixel_um, low, high)
    rounding = 1e-9 * (high - low)
    found = wanted[inside]
    if not ((found >= low - rounding) & (found <= high + rounding)).all():
        raise StackError(
            f"the composition runs from {found.min():g} to {found.max():g}, and these standards "
            f"mix to {low:g} to {high:g} only",
            remedy="choose standards further apart, or scale it",
        )
    first, second = library.values
    share = np.where(inside, np.clip((wanted - first) / (second - first), 0, 1), 0.0)
    return np.stack([1 - share, share])


def _composition(
    given: float | tuple[float, float] | Picture,
    inside: np.ndarray,
    pixel_um: float,
    low: float,
    high: float,
) -> np.ndarray:
    """Wanted composition of every pixel."""
    is_file = isinstance(given, str | Path)
    if not is_file and np.ndim(given) < 2:  # type: ignore[arg-type]
        if np.size(given) not in (1, 2):  # type: ignore[arg-type]
            raise StackError(
                f"{np.size(given)} numbers are no composition",  # type: ignore[arg-type]
                remedy="give one number, two or a picture",
            )
        ends = np.broadcast_to(np.asarray(given, dtype=np.float64), (2,))
        columns = np.flatnonzero(inside.any(axis=0))[[0, -1]]
        along = np.interp(np.arange(inside.shape[1]), columns, ends)
        return np.broadcast_to(along, inside.shape)
    found = _values(given, pixel_um, "composition")  # type: ignore[arg-type]
    if found.shape != inside.shape:
        raise StackError(
            f"the composition has the shape {found.shape}, the picture {inside.shape}",
            remedy="give both on the same pixels",
        )
    if not is_file:
        return found.values
    dark, bright = float(found.min()), float(found.max())
    if dark == bright:
        raise StackError(
            "the picture of the composition has one grey value only",
            remedy="give the composition as a number",
        )
    return np.interp(found.values, [dark, bright], [low, high])
