"""From a composition map to a problem ready to solve: outline, mesh, stiffness, eigenstrain."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.mechanics.cuts import Box, image_frame
from chemoscape.mechanics.elements import System, assemble, material_eigenstrain, material_law
from chemoscape.mechanics.material import Material, Plane
from chemoscape.mechanics.mesh import triangulate
from chemoscape.mechanics.outline import Outline, fill_outside, sample, trace
from chemoscape.mechanics.phases import phase_contour
from chemoscape.mechanics.refinement import size_from_gradient
from chemoscape.stack import pixel_size

PIXELS_PER_SIDE = 2.0
#: The default mesh size grows with the image so that the factor stays within about 2 GB.
MAX_DEFAULT_TRIANGLES = 60_000
#: A graded mesh is at most this much finer than its largest triangles.
FINEST = 0.25


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything but the boundary.

    Parameters
    ----------
    system : System
        Mesh, elements, stiffness matrix and law.
    material : Material
        What the particles are made of.
    composition : numpy.ndarray, shape (n_points,)
        At the mesh's points.
    eigenstrain : numpy.ndarray, shape (4, n_elements, n_quadrature)
        Strain of the stress-free material.
    frame : tuple of four floats
        Border of the image in µm, where particles may be cut.
    facts : dict
        What the fields say of their making.
    """

    system: System
    material: Material
    composition: np.ndarray
    eigenstrain: np.ndarray
    frame: Box
    facts: dict[str, str | int | float]


def prepare(
    comp: xr.Dataset,
    material: Material,
    *,
    mesh_size: float | None = None,
    order: int = 2,
    plane: Plane = "stress",
    graded: bool = False,
    follow_phase: float | None = None,
) -> Problem:
    """Outline the mask, mesh it, carry composition to its points, turn it into an eigenstrain.

    Parameters and errors are those of `chemoscape.mechanics.fields.stress`.
    """
    check_maps(comp)
    pixels = own_pixels(comp)
    outline = trace(pixels["mask"])
    size = mesh_size if mesh_size is not None else _default_size(outline, pixels)
    values = xr.DataArray(_filled(comp), coords=comp["composition"].coords, dims=("y", "x"))
    inside = own_pixels(values.to_dataset(name="composition").assign_attrs(comp.attrs))[
        "composition"
    ].where(pixels["mask"].astype(bool))
    lines = () if follow_phase is None else phase_contour(inside, follow_phase, outline)
    if follow_phase is not None and not lines:
        warnings.warn(
            f"composition crosses {follow_phase:g} along no line that the mesh could follow",
            ChemoscapeWarning,
            stacklevel=3,
        )
    field = size_from_gradient(inside, size, FINEST * size) if graded else None
    mesh = triangulate(outline.polygons, size, embedded=lines, size_field=field)
    x = sample(values.values, mesh.points, comp)
    system = assemble(mesh, material_law(mesh, material, x, plane), order=order)
    facts: dict[str, str | int | float] = {
        "plane": plane,
        "order": order,
        "mesh_size_um": float(size),
        "graded": int(graded),
        "variable": str(comp.attrs.get("variable", "")),
        "n_particles": len(outline.polygons),
        "islands_dropped": outline.islands_dropped,
        "holes_filled": outline.holes_filled,
        "mesher": mesh.made_by,
    }
    if follow_phase is not None:
        facts["follow_phase"] = float(follow_phase)
    eigenstrain = material_eigenstrain(system, material, x)
    return Problem(system, material, x, eigenstrain, image_frame(pixels), facts)


def own_pixels(comp: xr.Dataset) -> xr.Dataset:
    """The map at the pixels of its stack: between them the mask of a refined map is a staircase."""
    step = int(comp.attrs.get("refine", 1))
    return comp.isel(y=slice(None, None, step), x=slice(None, None, step))


def check_maps(comp: xr.Dataset) -> None:
    """Two maps with dims (y, x) and ascending coordinates.

    Raises
    ------
    StackError
        They are not there.
    """
    for name in ("composition", "mask"):
        if name not in comp or comp[name].dims != ("y", "x"):
            raise StackError(
                f"the composition data have no map {name!r} with dims (y, x)",
                remedy="make them with cs.composition",
            )
    for name in ("y", "x"):
        if name not in comp.coords or not (np.diff(comp[name].values) > 0).all():
            raise StackError(
                f"the composition map has no ascending coordinate {name!r} in µm",
                remedy="make it with cs.composition",
            )


def _filled(comp: xr.Dataset) -> np.ndarray:
    """Composition continued past the mask; what is filled inside it is said."""
    values, mask = comp["composition"].values, comp["mask"].values.astype(bool)
    missing = int((mask & ~np.isfinite(values)).sum())
    if missing:
        warnings.warn(
            f"{missing} of {mask.sum()} pixels inside the mask have no composition; their stress "
            "is computed with that of the nearest pixel that has one",
            ChemoscapeWarning,
            stacklevel=4,
        )
    return fill_outside(values, mask)


def _default_size(outline: Outline, comp: xr.Dataset) -> float:
    """Two pixels, or more where the particles are so large that the solve would not fit."""
    fine = PIXELS_PER_SIDE * float(np.sqrt(np.prod(pixel_size(comp))))
    coarse = float(np.sqrt(outline.area / (MAX_DEFAULT_TRIANGLES * np.sqrt(3) / 4)))
    if coarse > fine:
        warnings.warn(
            f"the particles are large: the mesh size was set to {coarse:.3g} µm instead of two "
            f"pixels ({fine:.3g} µm); give mesh_size for another",
            ChemoscapeWarning,
            stacklevel=4,
        )
    return max(fine, coarse)
