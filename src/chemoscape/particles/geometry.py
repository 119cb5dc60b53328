"""Sizes of particles, corrected for the resolution.

A mask drawn at half of the maximum is too small, because the blur acts on the intensity; one drawn
at a low threshold is too large. `psf_sizes` fits the shape of each wire instead, with two profiles:
flat and round ones look alike when they are narrow, yet differ in width by a tenth. Both areas are
reported, and half of their difference as an uncertainty beside that of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape.errors import StackError
from chemoscape.particles.generator import FWHM_PER_SIGMA
from chemoscape.particles.patches import CannotFitError, Cut, cut_out
from chemoscape.particles.table import instances_of
from chemoscape.particles.wire_fit import Fit, Shape, fit_wire

#: name -> units, long name, of what `psf_sizes` adds along ``particle``.
VARIABLES = {
    "area_psf": ("µm²", "projected area, corrected for the resolution"),
    "width_psf": ("µm", "mean width, corrected for the resolution"),
    "length_psf": ("µm", "length of the axis, corrected for the resolution"),
    "thickness_od": ("1", "optical density of the wire, that of its middle where it is round"),
    "area_box": ("µm²", "projected area if the wire is flat"),
    "area_elliptic": ("µm²", "projected area if the wire is round"),
    "area_model_sd": ("µm²", "half of the difference between the areas of both profiles"),
    "area_psf_sd": ("µm²", "standard deviation of the area by the noise of the fit"),
    "profile": ("1", "profile that fits better: box or elliptic"),
    "model_dependent": ("1", "whether the width is 0.75 to 2 FWHM: profiles are hard to tell"),
    "unresolved": ("1", "whether the width is below 0.75 FWHM"),
    "fit_ok": ("1", "whether the shape could be fitted"),
    "fit_reason": ("1", "why the shape could not be fitted"),
}
#: Widths in units of the FWHM below which a wire is unresolved, and its profile hard to tell.
UNRESOLVED, MODEL_DEPENDENT = 0.75, 2.0
#: How far an edge may lie from that of the mask, in sigma, and largest relative uncertainty.
SHIFT, VAGUE = 2.0, 0.5
#: Largest rms misfit beyond the noise, as a share of the wire's depth: a bent or branched particle
#: that no parabola follows leaves more.
UNLIKE = 0.2
#: Half-width and density of an ellipse that looks most like a box, over those of the box.
ROUNDER, DENSER = 1.12, 1.15
#: Largest optical density above the background that transmission can still show.
OPAQUE = 8.0


@dataclass(frozen=True)
class _Size:
    """What is known of one particle after both fits, or why nothing is."""

    reason: str = ""
    box: Fit | None = None
    elliptic: Fit | None = None


def psf_sizes(
    table: xr.Dataset, image: xr.DataArray | np.ndarray, fwhm_um: float = 0.08
) -> xr.Dataset:
    """Fit the shape of each particle and add its size to the table.

    Parts that lie under other particles are left out, so that crossing wires are measured by what
    is seen of them alone. What cannot be fitted gets NaN and a reason: a particle cut by the
    border, without a long axis, mostly covered, or with a hidden end.

    The profile is chosen by the residuals. Below 2 FWHM these hardly tell a round wire from a flat
    one: such particles are marked ``model_dependent``, and an area may be off by twice
    ``area_model_sd``. Below 0.75 FWHM width and density cannot be told apart: areas of
    ``unresolved`` particles are guesses. ``area_psf_sd`` is what the noise does if the profile is
    right.

    Parameters
    ----------
    table : Dataset
        As `table.particle_table` gives it.
    image : DataArray (y, x) or ndarray, shape (y, x)
        Optical density, or a map that adds like one; NaN where nothing was measured.
    fwhm_um : float
        Resolution, µm.

    Returns
    -------
    Dataset
        The table with `VARIABLES`; attribute psf_fwhm_um.

    Raises
    ------
    StackError
        The map is not the one that the masks are of, its values are no optical density, or the
        resolution is no length.
    """
    values = _map_of(table, image)
    if not (np.isfinite(fwhm_um) and fwhm_um > 0):
        raise StackError(f"fwhm_um is {fwhm_um}", remedy="give the resolution in µm, above 0")
    pixel_um = float(table.attrs["pixel_um"])
    # a square pixel blurs like a Gaussian of the same variance
    sigma = float(np.hypot(fwhm_um / FWHM_PER_SIGMA, pixel_um / np.sqrt(12)))
    instances = instances_of(table)
    layers = instances.layers()
    cut = table["border"].values.astype(bool)
    sizes = [_Size("cut by the border of the map")] * len(cut)

    def measure(part: slice) -> None:
        for one in np.flatnonzero(~cut[part]) + part.start:
            try:
                ready = cut_out(instances, one, values, layers, pixel_um, sigma)
                sizes[one] = _fitted(ready, float(table["area_raw"][one]))
            except CannotFitError as error:
                sizes[one] = _Size(str(error))

    with blocks.workers(1):  # the fits do not release the interpreter
        blocks.for_each_band(measure, len(cut), rows_per_band=1)
    columns = _columns(sizes, fwhm_um)
    return table.assign(
        {
            name: ("particle", columns[name], {"units": units, "long_name": words})
            for name, (units, words) in VARIABLES.items()
        }
    ).assign_attrs(psf_fwhm_um=float(fwhm_um))


def _map_of(table: xr.Dataset, image: xr.DataArray | np.ndarray) -> np.ndarray:
    """The map as numbers, shape (y, x), or an error that says what is wrong with it."""
    if isinstance(image, xr.DataArray) and set(image.dims) == {"y", "x"}:
        image = image.transpose("y", "x")
    values: np.ndarray = np.ma.filled(np.ma.asarray(image, float), np.nan)
    shape = tuple(table.attrs["image_shape"])
    if values.shape != shape:
        raise StackError(
            f"the masks are of a map of shape {shape}, the map has {values.shape}",
            remedy="give the map in which the particles were found",
        )
    known = values[np.isfinite(values)]
    if known.size and np.percentile(known, 99.5) - np.median(known) > OPAQUE:
        raise StackError(
            f"the map reaches {np.percentile(known, 99.5):.3g}, which is no optical density",
            remedy="give the optical density, such as its mean over energy",
        )
    return values


def _columns(sizes: list[_Size], fwhm_um: float) -> dict[str, np.ndarray]:
    """The new variables of all particles."""
    rows = []
    for size in sizes:
        if size.box is None or size.elliptic is None:
            rows.append((np.nan,) * 8 + ("", False, False, False, size.reason))
            continue
        flat = size.box.misfit <= size.elliptic.misfit
        best = size.box if flat else size.elliptic
        areas = size.box.shape.area, size.elliptic.shape.area
        area, length = best.shape.area, best.shape.length
        ratio = area / length / fwhm_um
        rows.append(
            (
                *(area, area / length, length, best.shape.density, *areas),
                *(abs(areas[0] - areas[1]) / 2, best.area_sd, "box" if flat else "elliptic"),
                *(UNRESOLVED <= ratio < MODEL_DEPENDENT, ratio < UNRESOLVED, True, ""),
            )
        )
    columns = list(zip(*rows, strict=True)) or [()] * len(VARIABLES)
    kinds = [float] * 8 + [str, bool, bool, bool, str]
    return {
        name: np.array(column, dtype=kind)
        for name, column, kind in zip(VARIABLES, columns, kinds, strict=True)
    }


def _fitted(cut: Cut, area_raw: float) -> _Size:
    """Fits of both profiles to one particle, or an error that says why there are none."""
    box = fit_wire(cut.patch, cut.start, "box", cut.noise)
    elliptic = fit_wire(cut.patch, _rounder(box.shape), "elliptic", cut.noise)
    for fit in (box, elliptic):
        area, (first, last) = fit.shape.area, fit.shape.ends
        known = fit.converged and np.isfinite([area, fit.area_sd]).all()
        if not (known and area > 0 and last > first):
            raise CannotFitError("the fit does not converge")
        shift = abs(area - area_raw) / (2 * (last - first + area / (last - first)))
        if shift > SHIFT * cut.patch.sigma:
            raise CannotFitError("the fit does not match the mask")
        if fit.area_sd > VAGUE * area:
            raise CannotFitError("too faint for a fit")
    best = min(box, elliptic, key=lambda fit: fit.misfit)
    beyond = float(np.median(cut.noise)) * np.sqrt(max(0.0, best.reduced - 1))
    depth = -best.shape.background[0] * np.expm1(-best.shape.density)
    if beyond > UNLIKE * depth:
        raise CannotFitError("not shaped like one wire")
    return _Size("", box, elliptic)


def _rounder(shape: Shape) -> Shape:
    """The elliptic shape that looks most like one of a box: a start for its fit."""
    return replace(shape, halves=shape.halves * ROUNDER, density=shape.density * DENSER)
