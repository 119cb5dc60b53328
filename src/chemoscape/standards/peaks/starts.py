"""Where the peaks of a series are: found by curvature in the spectra, not taken from a list.

A peak bends a spectrum down: minima of the second derivative (Savitzky-Golay) are candidates, also
where a peak is but a shoulder, and the curvature changes sign one standard deviation from a peak's
centre. A peak too broad, too weak or too close to another to bend the sum visibly is placed where
it mends the misfit of the others to the mean of the series best.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares
from scipy.signal import find_peaks, savgol_coeffs, savgol_filter

from chemoscape.errors import FitError
from chemoscape.standards.peaks.model import PeakModel
from chemoscape.standards.peaks.problem import Problem, Spectrum
from chemoscape.standards.peaks.shapes import voigt

#: Least spacing of the grid the curvature is taken on, eV, and lengths of its filter in turn, until
#: noise is this part of the strongest bend.
_GRID, _FILTERS, _QUIET = 0.05, (0.9, 1.1, 1.3, 1.6, 2.0, 2.6), 0.015
#: Candidates bend the mean by this part of the strongest at least, and this many sd of the noise,
#: whose own highest and lowest are some five apart.
_LEAST_BEND, _LEAST_SD = 0.008, 10.0
#: Standard deviations (eV) that a peak is begun with, and those tried for hidden ones.
_SD_LIMITS, _HIDDEN_SD = (0.3, 2.2), (0.5, 0.9, 1.8)
#: Peaks keep this distance (eV) from one another unless seen closer; hidden ones are tried this far
#: apart, and of the places that look best, this far apart, so many are followed up.
_APART, _TRIED, _SPACED, _FOLLOWED = 0.7, 0.3, 0.8, 5
#: Places whose misfit is not this many times the best's are tried in the fit of the series too, if
#: some peak is this far (eV) from where the others have it; so many at most.
_OPEN, _DIFFERENT, _MOST_STARTS = 1.5, 0.3, 3
#: Where a peak outside of the window begins (eV beyond its end), and with which sd (eV): the wing
#: of a peak, or of a whole edge where that leaves but this part of the misfit to the mean.
_BEYOND, _BEYOND_SD, _BROAD_SD, _CLEARLY = 0.7, 0.9, 2.7, 0.5
#: How far (eV) a peak is looked for in one spectrum from where the series has it.
_DRIFT = 0.45


Start = tuple[np.ndarray, np.ndarray]


def find_starts(model: PeakModel, spectra: tuple[Spectrum, ...], gamma: float) -> list[Start]:
    """Centres of the peaks in every spectrum (n_spectra, n_peaks) and Gaussian sd (n_peaks,), eV;
    the best first, and others where the mean of the series leaves it open.

    Parameters
    ----------
    model : PeakModel
        Where its peaks have a `near`, they begin there.
    spectra : tuple of Spectrum
        Without the atomic background, weighted, in the window.
    gamma : float
        Lorentzian half width, eV.

    Raises
    ------
    FitError
        A model of more peaks than find a place.
    """
    low = max(one.energy[0] for one in spectra)
    high = min(one.energy[-1] for one in spectra)
    spacing = max(_GRID, *(float(np.median(np.diff(one.energy))) for one in spectra))
    grid = np.arange(low, high + 1e-9, spacing)
    curves = np.array([np.interp(grid, one.energy, one.values) for one in spectra])
    noise = np.array([np.median(1 / one.weight) for one in spectra])
    height = np.ptp(curves, axis=1)  # each spectrum counts alike, however intense it is
    curves, noise = curves / height[:, None], noise / height
    bend, quiet, end = _bend(curves, noise, spacing)
    mean, mean_quiet = bend.mean(axis=0), float(np.sqrt(np.mean(quiet**2) / len(quiet)))
    least = max(_LEAST_BEND * mean.max(), _LEAST_SD * mean_quiet)
    if model.near:
        places = [int(np.abs(grid - near).argmin()) for near in model.near]
    else:
        n = int((~model.outside).sum())
        seen, found = find_peaks(mean[end:-end], prominence=least)  # the filter's ends are noisy
        strongest = np.argsort(-found["prominences"], kind="stable")[:n]
        places = sorted(int(place) + end for place in seen[strongest])
    sd = np.clip([_sd(mean, place) * spacing for place in places], *_SD_LIMITS)
    reach = round(_DRIFT / spacing)
    starts = []
    for centres, own_sd in _with_hidden(model, grid, curves.mean(axis=0), grid[places], sd, gamma):
        rows = np.array(
            [
                [_top(one, grid, place, reach, _LEAST_SD * own) for place in centres]
                for one, own in zip(bend, quiet, strict=True)
            ]
        )
        # Where two would come too close in a spectrum, it keeps the places of the series.
        crowded = (np.diff(rows, axis=1) < 0.5 * np.diff(centres)).any(axis=1)
        rows[crowded] = centres
        starts.append((rows, own_sd))
    return starts


def _bend(
    curves: np.ndarray, noise: np.ndarray, spacing: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Negative second derivative of each curve by the shortest filter that is quiet enough, the
    standard deviation of its noise (n_curves,), and half the length of the filter (grid points).
    """
    for length in _FILTERS:
        taps = min(max(int(length / spacing) | 1, 5), (curves.shape[1] - 1) | 1)
        bend = -savgol_filter(curves, taps, 3, deriv=2, delta=spacing, axis=1)
        own = noise * np.linalg.norm(savgol_coeffs(taps, 3, deriv=2, delta=spacing))
        if np.sqrt(np.mean(own**2) / len(own)) < _QUIET * bend.mean(axis=0).max():
            break
    return bend, own, taps // 2


def _with_hidden(
    model: PeakModel,
    grid: np.ndarray,
    mean: np.ndarray,
    centres: np.ndarray,
    sd: np.ndarray,
    gamma: float,
) -> list[Start]:
    """With the peaks beyond the window, and those that no bend shows, by rising energy."""
    wings = [grid[0] - _BEYOND] * bool(model.outside[0])
    wings += [grid[-1] + _BEYOND] * bool(model.outside[-1])
    centres = np.append(centres, wings)
    narrow, broad = (np.append(sd, [own] * len(wings)) for own in (_BEYOND_SD, _BROAD_SD))
    best, wing_sd = [_refined(grid, mean, centres, narrow, gamma)], _BEYOND_SD
    if wings:
        other = _refined(grid, mean, centres, broad, gamma)
        if other[0] < _CLEARLY * best[0][0]:
            best, wing_sd = [other], _BROAD_SD
    while best[0][1].size < len(model.names):
        _, centres, sd = best[0]
        tried = []
        # shapes of one more, first for it lies lowest, and of the known; it is tried in many places
        problem, theta = _problem(grid, mean, np.append(centres, 0.0), np.append(sd, 1.0), gamma)
        peaks = problem.shapes(theta, 0)[0]
        for place in np.arange(grid[0] + _TRIED, grid[-1], _TRIED):
            if np.abs(place - centres).min(initial=np.inf) < _APART:
                continue
            shapes = voigt((grid - place)[:, None], np.array(_HIDDEN_SD), np.array(gamma))[0]
            for own, shape in zip(_HIDDEN_SD, shapes.T, strict=True):
                peaks[:, 0] = shape
                left = problem.solve(theta, 0, peaks).residual
                tried.append((float(left @ left), place, own))
        if not tried:
            raise FitError(
                f"its {len(model.names)} peaks find no place between {grid[0]:g} and "
                f"{grid[-1]:g} eV",
                f"peak model {model.name!r}",
                "name fewer peaks, or widen the window",
            )
        followed: list[tuple[float, float]] = []
        for _, place, own in sorted(tried):
            if all(abs(place - other) > _SPACED for other, _ in followed):
                followed.append((place, own))
        best = sorted(
            (
                _refined(grid, mean, np.append(centres, place), np.append(sd, own), gamma)
                for place, own in followed[:_FOLLOWED]
            ),
            key=lambda one: one[0],
        )
    kept: list[Start] = []
    for misfit, centres, sd in best:
        if model.outside[0]:
            centres[0], sd[0] = wings[0], wing_sd
        if model.outside[-1]:
            centres[-1], sd[-1] = wings[-1], wing_sd
        new = all(np.abs(centres - other).max() > _DIFFERENT for other, _ in kept)
        if misfit < _OPEN * best[0][0] and new and len(kept) < _MOST_STARTS:
            kept.append((centres, sd))
    return kept


def _problem(
    grid: np.ndarray, mean: np.ndarray, centres: np.ndarray, sd: np.ndarray, gamma: float
) -> tuple[Problem, np.ndarray]:
    """The mean as a series of one, and its parameters."""
    order = np.argsort(centres)
    part = Spectrum(grid, mean, np.ones_like(grid), np.ones((grid.size, 1)))
    problem = Problem((part,), np.full(centres.size, gamma), np.eye(1))
    return problem, np.append(np.diff(centres[order], prepend=0.0), sd[order])


def _refined(
    grid: np.ndarray, mean: np.ndarray, centres: np.ndarray, sd: np.ndarray, gamma: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Squared misfit, centres and sd of the best fit to the mean near the given ones."""
    if not centres.size:
        return float(mean @ mean), centres, sd
    problem, theta = _problem(grid, mean, centres, sd, gamma)
    n = centres.size
    low = np.append(0.4 * theta[:n], np.full(n, 0.8 * _SD_LIMITS[0]))
    high = np.append(1.6 * theta[:n], np.full(n, 1.5 * _SD_LIMITS[1]))
    low[1:n] = np.maximum(low[1:n], np.minimum(_APART, 0.9 * theta[1:n]))
    low[0], high[0] = theta[0] - 0.8, theta[0] + 0.8
    found = least_squares(
        problem.residual,
        np.clip(theta, low + 1e-9, high - 1e-9),
        problem.jacobian,
        bounds=(low, high),
        x_scale="jac",
        **{"ftol": 1e-4, "xtol": 1e-4, "max_nfev": 20},
    )
    return float(2 * found.cost), problem.centres(found.x)[0], problem.widths(found.x)[0]


def _sd(mean: np.ndarray, place: int) -> float:
    """Distance (grid points) to the nearer of the changes of sign of the curvature."""
    away = np.abs(np.flatnonzero(mean <= 0) - place)
    return float(away.min(initial=8))


def _top(one: np.ndarray, grid: np.ndarray, centre: float, reach: int, least: float) -> float:
    """Where a spectrum bends most near a place, if it does so clearly and not at an end of it."""
    place = int(np.abs(grid - centre).argmin())
    first = max(place - reach, 0)
    near = one[first : place + reach + 1]
    top = int(near.argmax())
    clear = 0 < top < near.size - 1 and near[top] - near.min() > least
    return float(grid[first + top]) if clear else centre
