"""What a pattern shows before any fit, and a cell near a known one by it: the start of a fit.

A fit of the whole pattern finds the cell only from so near that each line lies on its own peak.
Further off, lines and peaks are compared: each line should lie where there is intensity, each peak
should have a line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize, signal

from chemoscape.crystals.crystal import Crystal
from chemoscape.crystals.metric import cell_of
from chemoscape.crystals.pattern import Pattern
from chemoscape.crystals.reflections import Reflections, relative_intensities, spacings

#: Lines and peaks that are compared, the strongest.
_LINES, _PEAKS = 60, 40
#: Offset of the angles that is searched, degrees.
_OFFSET = 0.15
_ROUNDS = 250
#: Of a peak above noise, in standard deviations of the smoothed pattern.
_SIGNIFICANT = 6.0
#: Wider than any peak, degrees: the window of the rough background.
_WINDOW = 2.5


@dataclass(frozen=True, eq=False)
class FirstLook:
    """Peaks of a pattern.

    Parameters
    ----------
    net : ndarray (n,)
        Intensity above the rough background, not negative, smoothed a little.
    places : ndarray (k,)
        Angles of peaks, degrees.
    heights : ndarray (k,)
        Above background.
    width : float
        Typical full width at half maximum, degrees.
    """

    net: np.ndarray
    places: np.ndarray
    heights: np.ndarray
    width: float


def first_look(pattern: Pattern) -> FirstLook:
    """Peaks above six standard deviations, over an opening of the pattern as background."""
    used = np.isfinite(pattern.sd)
    x, y = pattern.two_theta, pattern.intensity
    if not used.all():
        y = np.interp(x, x[used], y[used])
    size = max(3, round(_WINDOW / pattern.step))
    smooth = ndimage.gaussian_filter1d(y, 1.5)
    ground = ndimage.gaussian_filter1d(ndimage.grey_opening(smooth, size), size / 4)
    net = smooth - ground
    noise = np.where(used, pattern.sd, np.inf) / np.sqrt(2 * np.sqrt(np.pi) * 1.5)
    net = net - float(np.median(net[net <= np.quantile(net, 0.7)]))
    peaks, _ = signal.find_peaks(net, prominence=_SIGNIFICANT * np.where(used, noise, 1e300))
    if not len(peaks):
        return FirstLook(np.maximum(net, 0), np.empty(0), np.empty(0), 6 * pattern.step)
    strong = peaks[np.argsort(net[peaks])[::-1][:12]]
    widths = signal.peak_widths(net, strong, rel_height=0.5)[0] * pattern.step
    width = max(float(np.quantile(widths, 0.3)), 2 * pattern.step)
    return FirstLook(np.maximum(net, 0), x[peaks], net[peaks], width)


def search_cell(
    pattern: Pattern,
    look: FirstLook,
    crystal: Crystal,
    found: Reflections,
    basis: np.ndarray,
    start: np.ndarray,
    *,
    reach: float = 0.02,
    seed: int = 0,
) -> np.ndarray:
    """Components of the reciprocal metric near those given whose lines meet the pattern best.

        score = Σ_k w_k s(2θ_k) / Σ_k w_k + Σ_p v_p max_k K(2θ_k - 2θ_p) / Σ_p v_p

    with ``s`` the root of the net pattern blurred by K, ``w`` the root of the calculated intensity
    of a line (1 where there are no atoms) and ``v`` the root of a peak's height; K is a Gaussian of
    1.5 times the width of the peaks. Maximised by differential evolution within `reach`.

    Parameters
    ----------
    pattern, look, crystal
        What was measured, its peaks, the phase.
    found : Reflections
        Of the crystal, over the range of the pattern.
    basis, start : ndarray (k, 3, 3), (k,)
        As `free_components` and `components_of` give them.
    reach : float
        Relative change of lengths, and change of angles in radians.
    seed : int
        Of the search.

    Returns
    -------
    ndarray (k,)
        `start` itself where the pattern has no peak.
    """
    if not len(look.places) or not len(found):
        return start
    weights = np.ones(len(found))
    if crystal.sites:
        weights = np.sqrt(relative_intensities(crystal, found, pattern.radiation))
    chosen = np.argsort(weights)[::-1][:_LINES]
    hkl, weights = found.hkl[chosen], weights[chosen] / weights[chosen].sum()
    peaks = np.argsort(look.heights)[::-1][:_PEAKS]
    places, values = look.places[peaks], np.sqrt(look.heights[peaks])
    values = values / values.sum()
    blur = 1.5 * look.width / 2.355
    x = pattern.two_theta
    near = np.exp(-0.5 * ((x[:, None] - places) / blur) ** 2)
    height = (near * (values / values.max())).max(axis=1)  # the root of the pattern, peak by peak

    def badness(trial: np.ndarray) -> np.ndarray:
        """One over columns of trials, shape (k + 1, n)."""
        metrics = np.tensordot(trial[:-1].T, basis, axes=1)
        inverse = np.einsum("mi,nij,mj->nm", hkl, metrics, hkl)
        with np.errstate(invalid="ignore", divide="ignore"):
            angles = pattern.radiation.two_theta(inverse**-0.5) + trial[-1][:, None]
        angles = np.where(np.isfinite(angles), angles, 500.0)
        on_peaks = np.interp(angles, x, height, left=0.0, right=0.0) @ weights
        gaps = np.abs(angles[:, :, None] - places).min(axis=1)
        return -(on_peaks + np.exp(-0.5 * (gaps / blur) ** 2) @ values)

    found_best = optimize.differential_evolution(
        badness,
        [*_bounds(basis, start, reach), (-_OFFSET, _OFFSET)],
        maxiter=_ROUNDS,
        popsize=12,
        tol=1e-4,
        seed=seed,
        polish=False,
        updating="deferred",
        vectorized=True,
        x0=np.r_[start, 0.0],
    )
    best = np.asarray(found_best.x[:-1])
    valid = np.isfinite(cell_of(np.tensordot(best, basis, axes=1))).all()
    return (
        best if valid and np.isfinite(spacings(hkl, np.tensordot(best, basis, 1))).all() else start
    )


def _bounds(basis: np.ndarray, start: np.ndarray, reach: float) -> list[tuple[float, float]]:
    """How far each component may go, for lengths and angles that change by `reach`."""
    whole = np.abs(np.tensordot(start, basis, axes=1))
    limits = []
    for value, one in zip(start, basis, strict=True):
        i, j = np.unravel_index(int(np.abs(one).argmax()), (3, 3))
        size = np.sqrt(whole[i, i] * whole[j, j]) / abs(one[i, j])
        span = 2 * reach * (abs(value) if i == j else size / 2)
        limits.append((value - span, value + span))
    return limits
