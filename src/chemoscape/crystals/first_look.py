"""What a pattern shows before any fit: a rough background, its peaks, and their width."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from chemoscape.crystals.pattern import Pattern

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
