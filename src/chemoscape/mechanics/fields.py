"""Stress in the particles of a composition map: the steps in order, and the fields they give."""

from __future__ import annotations

import warnings
from typing import Any, overload

import numpy as np
import xarray as xr

from chemoscape.errors import ChemoscapeWarning
from chemoscape.mechanics.boundaries import near_cut
from chemoscape.mechanics.cuts import cut_facets
from chemoscape.mechanics.elasticity import solve
from chemoscape.mechanics.grids import StressField as StressField
from chemoscape.mechanics.material import Material, Plane, largest_strain
from chemoscape.mechanics.problem import Problem, check_maps, prepare
from chemoscape.mechanics.recovery import described, named_fields
from chemoscape.mechanics.solvers import factorise
from chemoscape.mechanics.supports import Boundary, Cut, Supports, check_boundary, with_frame
from chemoscape.mechanics.uncertainty import Spread, errors_of, spread_of

LARGEST_SMALL_STRAIN = 0.03

Boundaries = list[Boundary] | tuple[Boundary, ...]


@overload
def stress(
    comp: xr.Dataset,
    material: Material,
    *,
    boundary: Boundary = "free",
    mesh_size: float | None = None,
    order: int = 2,
    plane: Plane = "stress",
    graded: bool = False,
    follow_phase: float | None = None,
    cut_edges: bool = False,
    n_draws: int = 0,
    noise_length_px: float | None = None,
    seed: int = 0,
) -> StressField: ...


@overload
def stress(
    comp: xr.Dataset,
    material: Material,
    *,
    boundary: Boundaries,
    mesh_size: float | None = None,
    order: int = 2,
    plane: Plane = "stress",
    graded: bool = False,
    follow_phase: float | None = None,
    cut_edges: bool = False,
    n_draws: int = 0,
    noise_length_px: float | None = None,
    seed: int = 0,
) -> list[StressField]: ...


def stress(
    comp: xr.Dataset,
    material: Material,
    *,
    boundary: Boundary | Boundaries = "free",
    mesh_size: float | None = None,
    order: int = 2,
    plane: Plane = "stress",
    graded: bool = False,
    follow_phase: float | None = None,
    cut_edges: bool = False,
    n_draws: int = 0,
    noise_length_px: float | None = None,
    seed: int = 0,
) -> StressField | list[StressField]:
    """Stress that an uneven composition puts into the particles of an image (Equations 7 to 11).

    Outline the mask, mesh it, carry composition to the nodes, turn it into an eigenstrain, and
    solve linear elasticity.

    Parameters
    ----------
    comp : xarray.Dataset
        From `composition`: variables `composition` and `mask`, dims (y, x), coordinates in µm.
    material : Material
        Elastic constants, eigenstrain and the composition that is free of strain.
    boundary : "free", "fixed", Springs, Cut, Supports, or a list of them
        How outlines (holes included) are held. A list gives a list, solved on one mesh.
    mesh_size : float, optional
        Side of the triangles in µm; by default two pixels.
    order : {2, 1}
        Quadratic displacement with a linear eigenstrain in every triangle, or linear displacement
        with a constant one (the paper's).
    plane : {"stress", "strain", "generalised"}
        Plane stress (the paper's); plane strain, which holds back the eigenstrain across the image
        too (that of a single number is the same along all axes; ``[e, e, 0]`` has none across); or
        a strain across that is uniform in every particle, without force.
    graded : bool
        Make triangles as small as a quarter of `mesh_size` where composition changes.
    follow_phase : float, optional
        Composition of a phase boundary that the sides of triangles follow.
    cut_edges : bool
        Where particles leave the image, keep that edge straight but free, whatever holds the rest,
        and leave stress within one width of it out of the numbers (`Cut`).
    n_draws : int
        Draws of the composition's errors for `von_mises_sd`; 0: none. See `von_mises_sd`.
    noise_length_px, seed
        As for `von_mises_sd`.

    Returns
    -------
    StressField, or a list of them
        One for each boundary.

    Raises
    ------
    StackError
        A map is missing, or its coordinates are.
    MeshError
        The mask cannot be meshed.
    MaterialError
        The material does not know what is needed, or not for these compositions.
    """
    boundaries = boundary if isinstance(boundary, list | tuple) else (boundary,)
    for each in boundaries:
        check_boundary(each)
    check_maps(comp)
    errors = errors_of(comp, n_draws, noise_length_px) if n_draws else None
    problem = prepare(
        comp,
        material,
        mesh_size=mesh_size,
        order=order,
        plane=plane,
        graded=graded,
        follow_phase=follow_phase,
    )
    fields = []
    for each in boundaries:
        held = with_frame(_cut(each, problem) if cut_edges else each, problem.frame)
        factor = factorise(problem.system, held)
        solution = solve(problem.system, problem.eigenstrain, held, factor=factor)
        dataset = named_fields(solution, problem.composition, material).assign_attrs(problem.facts)
        dataset = _marked_near_cuts(dataset, near_cut(problem.system, held), held)
        dataset = dataset.assign_attrs(boundary=str(each))
        _warn_of_large_strain(dataset, material)
        if errors is not None:
            spread = spread_of(problem, held, factor, errors, seed=seed)
            dataset = _with_spread(dataset, spread)
        fields.append(StressField(dataset, comp["y"].values, comp["x"].values))
    return fields if isinstance(boundary, list | tuple) else fields[0]


def von_mises_sd(
    comp: xr.Dataset,
    material: Material,
    *,
    boundary: Boundary = "free",
    n_draws: int = 64,
    noise_length_px: float | None = None,
    seed: int = 0,
    **how: Any,
) -> StressField:
    """Stress with the standard deviation that the composition's errors give to von Mises.

    Errors are drawn, and the stress solved for each with one factor. A draw is

        composition + composition_sd_counting · n(y, x) + composition_sd_systematic · m

    with m one normal number for the whole image (energy axis and standards err alike everywhere)
    and n a normal field of unit variance: white noise through a Gaussian of `noise_length_px`.
    Phases keep their stiffness, and compositions beyond a lattice table are cut to it.

    Parameters
    ----------
    comp : xarray.Dataset
        From `composition`, with `composition_sd_counting` or `composition_sd_systematic` or both.
    material, boundary, **how
        As for `stress`.
    n_draws : int
        Draws; the standard deviation itself is known to 1 / sqrt(2 n_draws - 2), 9 % for 64.
    noise_length_px : float, optional
        Standard deviation in pixels of the filter that the noise went through; by default the map's
        own attribute of that name, else 0 (every pixel errs by itself).
    seed : int
        Of the draws.

    Returns
    -------
    StressField
        Variable `von_mises_sd` in MPa, attributes `von_mises_p99_sd_MPa`, `von_mises_mean_sd_MPa`.

    Raises
    ------
    StackError
        The map has no standard deviations.
    """
    return stress(
        comp,
        material,
        boundary=boundary,
        n_draws=n_draws,
        noise_length_px=noise_length_px,
        seed=seed,
        **how,
    )


def _cut(boundary: Boundary, problem: Problem) -> Boundary:
    """The same boundary with straight, free edges where the image cuts particles."""
    if isinstance(boundary, Cut | Supports):
        return boundary
    sides = cut_facets(problem.system.mesh, problem.frame)
    return Cut(rest=boundary) if any(len(side) for side in sides.values()) else boundary


def _with_spread(dataset: xr.Dataset, spread: Spread) -> xr.Dataset:
    """The fields with the standard deviations that the draws gave."""
    return dataset.assign(
        von_mises_sd=("node", spread.at_nodes, described("von_mises_sd")),
        element_von_mises_sd=("element", spread.in_elements, described("von_mises_sd", mean=True)),
    ).assign_attrs(
        von_mises_p99_sd_MPa=spread.of_p99,
        von_mises_mean_sd_MPa=spread.of_mean,
        n_draws=spread.n_draws,
        noise_length_px=spread.noise_length_px,
    )


def _marked_near_cuts(dataset: xr.Dataset, near: np.ndarray, boundary: Boundary) -> xr.Dataset:
    """Mark the triangles that the unseen rest of a particle decides on, if any may be cut."""
    if not isinstance(boundary, Cut | Supports):
        return dataset
    if near.all():
        warnings.warn(
            f"{boundary} boundary: all of the particles lies within one width of a cut edge, so "
            "that no stress is left to be summed up",
            ChemoscapeWarning,
            stacklevel=3,
        )
    return dataset.assign(
        element_near_cut=("element", near.astype(int), described("near_cut", mean=True))
    )


def _warn_of_large_strain(dataset: xr.Dataset, material: Material) -> None:
    """Small-strain theory holds to two or three per cent."""
    xx, yy, xy = (dataset[name].values for name in ("strain_xx", "strain_yy", "strain_xy"))
    total = np.abs((xx + yy) / 2) + np.hypot((xx - yy) / 2, xy)
    largest = max(total.max(), largest_strain(material, dataset["composition"].values))
    if largest > LARGEST_SMALL_STRAIN:
        warnings.warn(
            f"{dataset.attrs['boundary']} boundary: strains reach {largest:.1%}, beyond the "
            f"{LARGEST_SMALL_STRAIN:.0%} to which small-strain elasticity holds",
            ChemoscapeWarning,
            stacklevel=3,
        )
