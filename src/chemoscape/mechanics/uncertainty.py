"""What the composition's errors do to the stress: draws through the factor of one solve."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_filter1d
from scipy.sparse import csr_matrix, diags, identity, kron

from chemoscape.errors import RecipeError, StackError
from chemoscape.mechanics.boundaries import Boundary
from chemoscape.mechanics.elasticity import solve
from chemoscape.mechanics.elements import (
    System,
    linear_shape,
    material_eigenstrain,
    strain_of,
)
from chemoscape.mechanics.lattice import Lattice
from chemoscape.mechanics.outline import fill_outside, sample
from chemoscape.mechanics.problem import Problem, own_pixels
from chemoscape.mechanics.recovery import MPA_PER_GPA, von_mises
from chemoscape.mechanics.solvers import many_loads
from chemoscape.mechanics.stiffness import hooke

COUNTING, SYSTEMATIC = "composition_sd_counting", "composition_sd_systematic"
#: The Gaussian is cut there, in standard deviations.
TRUNCATE = 4.0


@dataclass(frozen=True, eq=False)
class Errors:
    """Standard deviations of a composition map, at the pixels of its stack.

    Parameters
    ----------
    counting, systematic : xarray.DataArray, dims (y, x)
        Finite everywhere: of every pixel, and common to all.
    nearest : tuple of numpy.ndarray
        Row and column of the nearest pixel with a composition, whose error is taken outside.
    noise_length_px : float
        Standard deviation in pixels of the Gaussian that the counting noise went through.
    n_draws : int
        Draws.
    """

    counting: xr.DataArray
    systematic: xr.DataArray
    nearest: tuple[np.ndarray, ...]
    noise_length_px: float
    n_draws: int


@dataclass(frozen=True, eq=False)
class Spread:
    """Standard deviations of the von Mises stress in MPa."""

    at_nodes: np.ndarray
    in_elements: np.ndarray
    of_p99: float
    of_mean: float
    n_draws: int
    noise_length_px: float


def has_errors(comp: xr.Dataset) -> bool:
    """Whether a composition map knows its standard deviations inside the mask."""
    mask = comp["mask"].values.astype(bool)
    return any(
        name in comp and np.isfinite(comp[name].values[mask]).any()
        for name in (COUNTING, SYSTEMATIC)
    )


def errors_of(comp: xr.Dataset, n_draws: int, noise_length_px: float | None = None) -> Errors:
    """The errors of a composition map, ready to be drawn.

    Parameters
    ----------
    comp : xarray.Dataset
        With `composition_sd_counting`, `composition_sd_systematic`, or both.
    n_draws : int
        Two or more.
    noise_length_px : float, optional
        In pixels of the stack; by default the map's attribute of that name, else 0.

    Raises
    ------
    StackError
        There are no standard deviations.
    RecipeError
        Too few draws, or a negative length.
    """
    if n_draws < 2:
        raise RecipeError(
            f"{n_draws} draws have no standard deviation", remedy="ask for 2 or more, such as 64"
        )
    given = noise_length_px
    if given is None:  # of the map's own pixels, finer than those of the stack by `refine`
        given = comp.attrs.get("noise_length_px", 0.0) / int(comp.attrs.get("refine", 1))
    length = float(given)
    if not 0 <= length < np.inf:
        raise RecipeError(
            f"a noise length of {length:g} pixels is impossible", remedy="give 0 or more"
        )
    if not has_errors(comp):
        raise StackError(
            "the composition map has no standard deviations",
            remedy=f"give {COUNTING} or {SYSTEMATIC}, or set the number of draws to 0",
        )
    pixels = own_pixels(comp)
    mask = pixels["mask"].values.astype(bool)
    maps = []
    for name in (COUNTING, SYSTEMATIC):
        values = pixels[name].values if name in pixels else np.zeros(mask.shape)
        known = np.isfinite(values[mask]).any()
        filled = fill_outside(values, mask) if known else np.zeros(mask.shape)
        maps.append(pixels["mask"].copy(data=np.abs(filled)))
    nowhere = ~(mask & np.isfinite(pixels["composition"].values))
    nearest = distance_transform_edt(nowhere, return_distances=False, return_indices=True)
    return Errors(maps[0], maps[1], tuple(nearest), length, n_draws)


def draw_errors(errors: Errors, seed: int = 0) -> Iterator[np.ndarray]:
    """Errors of the composition at the pixels of its stack, one map after the other.

        sd_counting · n(y, x) + sd_systematic · m,   n and m of unit variance

    n is white noise through a Gaussian, rescaled to unit variance: at a distance d its correlation
    is exp(-d² / 4 length²). m is one number for each map.
    """
    rng = np.random.default_rng(seed)
    length = errors.noise_length_px
    margin = int(np.ceil(TRUNCATE * length))  # drawn beyond the image, so that its rim is alike
    shape = tuple(size + 2 * margin for size in errors.counting.shape)
    delta = np.zeros(2 * margin + 1)
    delta[margin] = 1.0
    kernel = gaussian_filter1d(delta, length, truncate=TRUNCATE) if length else delta
    inside = tuple(slice(margin, margin + size) for size in errors.counting.shape)
    for _ in range(errors.n_draws):
        noise = rng.standard_normal(shape)
        if length:
            noise = gaussian_filter(noise, length, truncate=TRUNCATE) / (kernel**2).sum()
        common = rng.standard_normal()
        error = errors.counting.values * noise[inside] + errors.systematic.values * common
        yield error[errors.nearest]


def spread_of(
    problem: Problem,
    boundary: Boundary,
    factor: Callable[[np.ndarray], np.ndarray],
    errors: Errors,
    *,
    seed: int = 0,
) -> Spread:
    """Standard deviation of the von Mises stress over draws of the composition.

    Parameters
    ----------
    problem : Problem
        From `prepare`.
    boundary : Boundary
        How outlines are held.
    factor : callable
        From `factorise`, of that boundary.
    errors : Errors
        From `errors_of`.
    seed : int
        Of the draws.
    """
    system = problem.system
    area, to_nodes = system.mesh.areas, _node_average(problem)
    nodal, means = _Variance(), _Variance()
    numbers = []
    for stress, stress_zz in _stresses(problem, boundary, factor, errors, seed):
        sxx, syy, sxy, szz = to_nodes(np.array([*stress, stress_zz]))
        nodal.add(von_mises(sxx, syy, sxy, szz))
        everywhere = von_mises(stress[0], stress[1], stress[2], stress_zz)
        dx = system.basis.dx
        in_elements = (everywhere * dx).sum(axis=1) / dx.sum(axis=1)
        means.add(in_elements)
        numbers.append(summarise(in_elements, area)[1:])
    of_p99, of_mean = (float(one) for one in np.std(numbers, axis=0, ddof=1))
    return Spread(nodal.sd, means.sd, of_p99, of_mean, errors.n_draws, errors.noise_length_px)


def summarise(stress: np.ndarray, area: np.ndarray) -> tuple[float, float, float]:
    """Largest, 99th percentile and mean of the triangles' stress, the last two weighted by area."""
    if not stress.size:
        return np.nan, np.nan, np.nan
    order = np.argsort(stress)
    share = np.cumsum(area[order]) / area.sum()
    p99 = stress[order][min(int(np.searchsorted(share, 0.99)), stress.size - 1)]
    return float(stress.max()), float(p99), float((stress * area).sum() / area.sum())


def _stresses(
    problem: Problem,
    boundary: Boundary,
    factor: Callable[[np.ndarray], np.ndarray],
    errors: Errors,
    seed: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stress in the plane and across it in MPa, at the quadrature points, of every draw."""
    system, law = problem.system, problem.system.law
    assert law is not None  # noqa: S101 - prepared with one
    if law.plane == "generalised":  # two loads for every draw: leave it to the solver
        for x in _compositions(problem, errors, seed):
            eigenstrain = material_eigenstrain(system, problem.material, x)
            solution = solve(system, eigenstrain, boundary, factor=factor)
            yield MPA_PER_GPA * solution.stress, MPA_PER_GPA * solution.stress_zz
        return
    strain_of_unknowns = _strain_operator(problem.system)
    waiting: deque[np.ndarray] = deque()

    def loads() -> Iterator[np.ndarray]:
        for x in _compositions(problem, errors, seed):
            waiting.append(x)
            eigenstrain = material_eigenstrain(system, problem.material, x)
            stress = hooke(system.stiffness, law.effective(eigenstrain))
            yield (stress * system.basis.dx).ravel() @ strain_of_unknowns

    for displacement in many_loads(factor, loads()):
        # made anew: a block of strains would take more memory than it saves time
        eigenstrain = material_eigenstrain(system, problem.material, waiting.popleft())
        strain = (strain_of_unknowns @ displacement).reshape(3, *system.basis.dx.shape)
        stress = hooke(system.stiffness, strain - law.effective(eigenstrain))
        yield MPA_PER_GPA * stress, MPA_PER_GPA * law.stress_across(stress, eigenstrain[3])


def _compositions(problem: Problem, errors: Errors, seed: int) -> Iterator[np.ndarray]:
    """Composition at the mesh's points of every draw, cut to the lattice table if there is one."""
    points, table = problem.system.mesh.points, problem.material.eigenstrain
    at_points = partial(sample, points=points, axes=errors.counting)
    for error in draw_errors(errors, seed):
        x = problem.composition + at_points(error)
        yield np.clip(x, table.x[0], table.x[-1]) if isinstance(table, Lattice) else x


def _strain_operator(system: System) -> csr_matrix:
    """Unknowns to strains (xx, yy, 2 xy) at the quadrature points: built once, ten times as fast
    as a form for every draw.
    """
    basis = system.basis
    n_local, n_elements = basis.element_dofs.shape
    shape = (n_local, 3, n_elements, basis.dx.shape[1])
    values = np.empty(shape)
    for one, (function,) in zip(values, basis.basis, strict=True):
        one[:] = strain_of(function.grad)
    rows = np.broadcast_to(np.arange(values[0].size).reshape(shape[1:]), shape)
    columns = np.broadcast_to(basis.element_dofs[:, None, :, None], shape)
    entries = (values.ravel(), (rows.ravel(), columns.ravel()))
    return csr_matrix(entries, shape=(values[0].size, basis.N))


def _node_average(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """The same as `Solution.nodal`, with its operator built once for all draws."""
    system = problem.system
    n_elements = len(system.basis.dx)
    to_corners = np.linalg.pinv(linear_shape(system))
    area = np.repeat(system.basis.dx.sum(axis=1), 3)
    entries = (area, (system.corners.ravel(), np.arange(area.size)))
    average = csr_matrix(entries, shape=(len(system.mesh.points), area.size))
    spread_out = kron(identity(n_elements), to_corners.T)
    weights = np.bincount(system.corners.ravel(), area)
    operator = (diags(1 / weights) @ average @ spread_out).tocsr()
    return lambda values: (operator @ values.reshape(len(values), -1).T).T


class _Variance:
    """Running mean and variance (Welford, Technometrics 4, 419 (1962))."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, np.zeros(()), np.zeros(())

    def add(self, values: np.ndarray) -> None:
        self.count += 1
        change = values - self.mean
        self.mean = self.mean + change / self.count
        self.squares = self.squares + change * (values - self.mean)

    @property
    def sd(self) -> np.ndarray:
        return np.sqrt(self.squares / (self.count - 1))
