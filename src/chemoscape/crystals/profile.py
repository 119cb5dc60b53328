"""Shape of a line of a powder: a pseudo-Voigt whose width follows Caglioti, twice for a doublet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from chemoscape.crystals.radiation import Radiation

Shift = Literal["displacement", "zero", "none"]

_LN2 = np.log(2.0)
#: A line is drawn this many of its widths to either side; the tail beyond holds 1 % of the area.
REACH = 30.0


@dataclass(frozen=True)
class Profile:
    """Width and shape of lines.

        FWHM² = U tan² θ + V tan θ + W          (degrees²)
        p(x) = η 2 / (π Γ) / (1 + 4 x²/Γ²) + (1 - η) sqrt(4 ln2 / π) / Γ exp(-4 ln2 x²/Γ²)

    Parameters
    ----------
    u, v, w : float
        Degrees².
    eta : float
        Share of the Lorentzian, 0 to 1.

    Examples
    --------
    >>> Profile(0.0, 0.0, 0.01, 0.5).fwhm(np.array([20.0, 80.0])).tolist()
    [0.1, 0.1]
    """

    u: float = 0.0
    v: float = 0.0
    w: float = 0.01
    eta: float = 0.5

    def squared_width(self, two_theta: np.ndarray) -> np.ndarray:
        """FWHM², degrees²; not positive where the three numbers make no sense."""
        t = np.tan(np.radians(two_theta) / 2)
        return np.asarray(self.u * t * t + self.v * t + self.w)

    def fwhm(self, two_theta: np.ndarray) -> np.ndarray:
        """Full width at half maximum, degrees; NaN where the three numbers make no sense."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(self.squared_width(np.asarray(two_theta, float)))


def shifted(two_theta: np.ndarray, shift: float, kind: Shift) -> np.ndarray:
    """Where lines lie with an offset: ``+ shift`` or ``+ shift cos θ`` (a sample out of place)."""
    if kind == "displacement":
        return two_theta + shift * np.cos(np.radians(two_theta) / 2)
    return two_theta + (shift if kind == "zero" else 0.0)


#: What the place and shape of a line may be changed by.
SLOPES = ("d", "shift", "u", "v", "w", "eta")


@dataclass(frozen=True, eq=False)
class Lines:
    """Profiles of reflections, of unit area, and how they change.

    ``value`` is sparse, shape (points, reflections). ``pieces`` holds, for each line of the
    radiation, the point and the reflection of every entry and its slopes against the logarithm of
    the spacing, the offset, U, V, W and η, shape (6, entries).
    """

    value: sparse.csc_array
    pieces: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]

    def slope(self, name: str, strength: np.ndarray) -> np.ndarray:
        """Change of the pattern, shape (points,), each reflection counted `strength` times."""
        k, n = SLOPES.index(name), self.value.shape[0]
        total = np.zeros(n)
        for row, column, data in self.pieces:
            total += np.bincount(row, data[k] * strength[column], minlength=n)
        return total


def lines_of(
    x: np.ndarray,
    d: np.ndarray,
    profile: Profile,
    rays: Radiation,
    shift: float = 0.0,
    kind: Shift = "none",
    *,
    reach: float = REACH,
    slopes: bool = True,
) -> Lines:
    """Profiles of reflections at angles.

    Parameters
    ----------
    x : ndarray (n,)
        2θ, degrees, rising.
    d : ndarray (m,)
        Spacings, Å.
    profile : Profile
    rays : Radiation
        Each of its lines adds its share.
    shift, kind
        As for `shifted`.
    reach : float
        Widths to either side that a line is drawn.
    slopes : bool
        False where nothing is fitted: `pieces` is then empty.

    Returns
    -------
    Lines
        Area 1 for the first line of the radiation, in degrees.
    """
    total, pieces = sparse.csc_array((len(x), len(d))), []
    for line, share in enumerate(rays.shares):
        ideal = rays.two_theta(d, line)
        where = shifted(ideal, shift, kind)
        theta = np.radians(ideal) / 2
        tan = np.tan(theta)
        width2 = np.maximum(profile.squared_width(ideal), 1e-8)
        width = np.sqrt(width2)
        start = np.searchsorted(x, where - reach * width)
        counts = np.searchsorted(x, where + reach * width) - start
        counts[~np.isfinite(where)] = 0
        column = np.repeat(np.arange(len(d)), counts)
        offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        row = np.repeat(start, counts) + offset
        u = (x[row] - where[column]) / width[column]  # in widths
        lorentz = 2 / np.pi / (1 + 4 * u * u)
        gauss = np.sqrt(4 * _LN2 / np.pi) * np.exp(-4 * _LN2 * u * u)
        eta = profile.eta
        over = share / width[column]
        value = over * (eta * lorentz + (1 - eta) * gauss)
        own = (value, row, np.r_[0, np.cumsum(counts)])
        total = total + sparse.csc_array(own, shape=total.shape)
        if not slopes:
            continue
        d_lorentz = -8 * u / (1 + 4 * u * u) * lorentz
        d_gauss = -8 * _LN2 * u * gauss
        by_u = eta * d_lorentz + (1 - eta) * d_gauss  # against u, in widths
        by_place = -over / width[column] * by_u
        by_width2 = -(value + over * u * by_u) / (2 * width2[column])
        # d(2θ)/d(ln d) = -2 tan θ; of a displacement the slope of cos θ is added
        stretch, lever = -2 * np.degrees(tan), np.ones_like(tan)
        if kind == "displacement":
            stretch = stretch * (1 - shift * np.radians(np.sin(theta)) / 2)
            lever = np.cos(theta)
        turn = -tan / np.cos(theta) ** 2  # d(tan θ)/d(ln d)
        bend = (2 * profile.u * tan + profile.v) * turn
        all_slopes = (
            by_place * stretch[column] + by_width2 * bend[column],
            by_place * (lever[column] if kind != "none" else 0.0),
            by_width2 * (tan**2)[column],
            by_width2 * tan[column],
            by_width2,
            over * (lorentz - gauss),
        )
        pieces.append((row, column, np.array(all_slopes)))
    return Lines(total, tuple(pieces))
