"""The cell of a phase from a whole powder pattern, intensities free: after Pawley and Le Bail.

Intensities and background are linear, and are solved for at every step, intensities not below zero
(variable projection); cell, offset, widths and shape are what is searched.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import linalg

from chemoscape.crystals import metric
from chemoscape.crystals.cell_fit import CellFit, serial
from chemoscape.crystals.crystal import Cell, Crystal, as_cell
from chemoscape.crystals.least_squares import Problem, free_values
from chemoscape.crystals.pattern import Pattern
from chemoscape.crystals.profile import Profile, Shift
from chemoscape.crystals.reflections import Reflections, reflections
from chemoscape.crystals.searching import FirstLook, first_look, search_cell
from chemoscape.errors import FitError, require_choice

#: Lines are looked for as far beyond the pattern as a change of the cell may bring them in.
_MARGIN = 0.02
#: Lines weaker than this many of their own sd say nothing of the cell: where all that depend on a
#: length are such, it follows the noise.
_SURE = 4.0
#: An offset beyond this many of its sd is clear: then its kind matters to the lengths.
_CLEAR = 5.0


def refine_cell(
    pattern: Pattern,
    crystal: Crystal,
    *,
    shift: Shift | None = None,
    background: int = 8,
    reach: float = 0.02,
    seed: int = 0,
) -> CellFit:
    """Refine the cell of a phase in a pattern of it, the intensities of its lines free.

        y(2θ) = Σ_k I_k p(2θ - 2θ_k) + Σ_j b_j T_j(2θ),   1/d_k² = hᵀ G* h

    Symmetry says which components of G* are free. I ≥ 0 and b are solved for at every step; G*, the
    offset, Caglioti's U, V, W and the pseudo-Voigt's η are refined by least squares, weighted by
    1/sd². The start is searched for around the crystal's cell (see `search_cell`).

    Parameters
    ----------
    pattern : Pattern
    crystal : Crystal
        Start of the cell, symmetry, and, where it has atoms, calculated intensities for the search.
    shift : {"displacement", "zero", "none"}, optional
        Offset of the angles. Default: displacement for a tube's doublet, else zero.
    background : int
        Number of Chebyshev polynomials.
    reach : float
        Relative change of the cell within which the start is searched; 0 to begin where it is.
    seed : int
        Of the search.

    Returns
    -------
    CellFit

    Raises
    ------
    FitError
        The pattern has no peak or no line of the phase, or not enough points.

    Notes
    -----
    Standard deviations are those of counting, from the lines above four of their own sd, times
    ``sqrt(max(1, reduced chi2))``: a length that only weaker lines tell of has a very large one.
    They do not hold what the model leaves out: the kind of the offset (`CellFit.offset_change`),
    the shape of lines, the wavelength. Le Bail, Duroy, Fourquet, Mater. Res. Bull. 23, 447 (1988);
    Pawley, J. Appl. Cryst. 14, 357 (1981).
    """
    shift = shift or ("displacement" if pattern.radiation.is_doublet else "zero")
    require_choice("shift", shift, "displacement", "zero", "none")
    if not 1 <= background <= 40:
        raise FitError(f"background is {background}", remedy="give 1 to 40 polynomials")
    look = first_look(pattern)
    if not len(look.places):
        raise FitError(
            "has no peak above its noise",
            pattern.source or "pattern",
            "measure it for longer, or leave out a third column that is no standard deviation",
        )
    basis = metric.free_components(crystal.rotations)
    start = metric.components_of(crystal, basis)
    found = _lines_in_range(pattern, crystal)
    problem = Problem(pattern, found, basis, shift, background)
    if problem.n_used <= problem.n_most:
        raise FitError(
            f"has {problem.n_used} points for {problem.n_most} values",
            pattern.source or "pattern",
            "measure more points, or cut it at a lower angle",
        )
    starts = [start]
    if reach > 0:
        starts.append(
            search_cell(pattern, look, crystal, found, basis, start, reach=reach, seed=seed)
        )
    factors = (3.0, 1.5) if reach > 0 else (1.5,)  # a start that is right needs no far approach
    near = [_approached(problem, one, look, factors) for one in starts]
    best = min(near, key=lambda values: problem.at(values).cost)
    return _result(problem, _finished(problem, best, look), crystal)


def _lines_in_range(pattern: Pattern, crystal: Crystal) -> Reflections:
    """Reflections that lie in the pattern, or may when the cell changes."""
    used = pattern.two_theta[np.isfinite(pattern.sd)]
    where = pattern.source or "pattern"
    if not len(used):
        raise FitError("has no point that is to be used", where, "exclude less of it")
    d_max, d_min = pattern.radiation.spacing(used[[0, -1]])
    least = max(d_min * (1 - _MARGIN), pattern.radiation.wavelengths[-1] / 1.9999)
    found = reflections(crystal, least, d_max * (1 + _MARGIN))
    if not len(found):
        raise FitError(
            f"holds no line of {crystal.name} between {used[0]:g} and {used[-1]:g} deg",
            where,
            "give another structure, or check the wavelength",
        )
    return found


def _approached(
    problem: Problem, start: np.ndarray, look: FirstLook, factors: tuple[float, ...]
) -> np.ndarray:
    """Values whose cell is fitted with lines broader than they are, which reach further."""
    n = len(problem.basis)
    values = np.r_[start, 0.0, 0.0, 0.0, look.width**2, 0.5]
    for factor in factors:
        values[-2] = (factor * look.width) ** 2
        values = problem.fitted(values, np.arange(len(values)) < n, roughly=True)
    return values


def _finished(problem: Problem, near: np.ndarray, look: FirstLook) -> np.ndarray:
    """Values fitted from a cell that is nearly right: first one width, then all."""
    values = near.copy()
    values[-2] = look.width**2
    one_width = np.r_[np.ones(len(problem.basis), bool), problem.kind != "none", 0, 0, 1, 0]
    values = problem.fitted(values, one_width.astype(bool))
    return problem.fitted(values, free_values(problem))


def _result(problem: Problem, values: np.ndarray, crystal: Crystal) -> CellFit:
    """Everything of a finished fit."""
    now, n, free = problem.at(values), len(problem.basis), free_values(problem)
    pattern, linear = problem.pattern, now.linear
    sure = linear.intensities > _SURE * linear.intensity_sd()
    slopes = problem.slopes(values, sure)[:, free]
    n_varied = int(free.sum() + linear.positive.sum() + problem.n_background)
    reduced = now.cost / max(problem.n_used - n_varied, 1)
    gram = slopes.T @ slopes
    covariance = _inverse(gram, np.abs(values[free]))
    whole = np.zeros((len(values), len(values)))
    whole[np.ix_(free, free)] = covariance * max(1.0, reduced)
    cell, spread, volume_sd = metric.cell_covariance(values[:n], whole[:n, :n], problem.basis)
    sd = np.sqrt(np.maximum(np.diag(whole), 0.0))
    lines = now.lines.value @ linear.intensities
    ground = problem.base @ linear.background
    used = problem.weight > 0
    weighted = pattern.intensity * problem.weight
    total = float((weighted**2).sum())
    net = float((((pattern.intensity - ground) * problem.weight) ** 2).sum())
    durbin, factor = serial(linear.residual[used])
    return CellFit(
        phase=crystal.name,
        pattern=pattern,
        cell=_rounded(cell),
        cell_sd=as_cell(_fixed_are_zero(spread).tolist()),
        volume=float(np.sqrt(np.linalg.det(metric.metric(_rounded(cell))))),
        volume_sd=volume_sd,
        start=crystal.cell,
        shift=float(values[n]),
        shift_sd=float(sd[n]),
        shift_kind=problem.kind,
        profile=now.profile,
        profile_sd=Profile(*(float(one) for one in sd[n + 1 :])),
        reflections=Reflections(problem.found.hkl, problem.found.multiplicity, now.d),
        intensities=linear.intensities,
        calculated=lines + ground,
        background=ground,
        r_wp=float(np.sqrt(now.cost / total)),
        r_wp_net=float(np.sqrt(now.cost / net)),
        r_expected=float(np.sqrt(max(problem.n_used - n_varied, 1) / total)),
        chi2=now.cost,
        reduced_chi2=reduced,
        n_points=problem.n_used,
        n_varied=n_varied,
        durbin_watson=durbin,
        serial_factor=factor,
        offset_change=_offset_change(problem, values, float(sd[n])),
    )


def _offset_change(
    problem: Problem, values: np.ndarray, shift_sd: float
) -> tuple[float, float, float]:
    """What the lengths change by when a clear offset is taken as one of the other kind."""
    n = len(problem.basis)
    if problem.kind == "none" or not abs(values[n]) > _CLEAR * shift_sd:
        return (np.nan,) * 3
    kind: Shift = "zero" if problem.kind == "displacement" else "displacement"
    other = replace(problem, kind=kind, last=None)
    moved = other.fitted(values, free_values(other), roughly=True)
    a, b, c = (
        metric.cell_of(np.tensordot(moved[:n], problem.basis, 1))
        - metric.cell_of(np.tensordot(values[:n], problem.basis, 1))
    )[:3].tolist()
    return a, b, c


def _inverse(gram: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Inverse of a Gram matrix in which what the pattern does not determine has a large variance,
    where a pseudo-inverse would give it none.
    """
    scale = np.sqrt(np.diag(gram))
    unseen = scale <= 1e-12 * scale.max()
    scale[unseen] = 1 / np.maximum(sizes[unseen], 1e-3)
    shares, axes = linalg.eigh(gram / np.outer(scale, scale))
    return np.asarray((axes / np.maximum(shares, 1e-12)) @ axes.T / np.outer(scale, scale))


def _fixed_are_zero(spread: np.ndarray) -> np.ndarray:
    """Standard deviations; what is rounding of a value that symmetry fixes is 0."""
    sd = np.sqrt(np.maximum(np.diag(spread), 0.0))
    return np.where(sd > 1e-9, sd, 0.0)


def _rounded(cell: np.ndarray) -> Cell:
    """A cell whose angles are rounded to what symmetry fixes them to."""
    return as_cell([*cell[:3], *np.round(cell[3:], 9)])
