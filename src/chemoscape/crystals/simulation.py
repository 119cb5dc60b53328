"""The powder pattern that a crystal should give."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.crystals.cell_fit import CellFit
from chemoscape.crystals.crystal import Crystal
from chemoscape.crystals.pattern import SYNTHETIC, Pattern, counting_sd
from chemoscape.crystals.profile import Profile, Shift, lines_of
from chemoscape.crystals.radiation import Radiation, radiation
from chemoscape.crystals.reflections import reflections, relative_intensities

#: A laboratory diffractometer's widths: 0.08 degrees at 20, 0.11 at 80.
LABORATORY = Profile(u=0.012, v=-0.004, w=0.0068, eta=0.5)


def calculated_pattern(
    crystal: Crystal,
    two_theta: ArrayLike,
    rays: str | float | Radiation = "Cu",
    *,
    profile: Profile = LABORATORY,
    highest: float = 1.0,
    shift: float = 0.0,
    shift_kind: Shift = "displacement",
) -> np.ndarray:
    """Intensities of a crystal's powder at angles, without background or noise.

    Parameters
    ----------
    crystal : Crystal
        With atoms.
    two_theta : array_like (n,)
        Degrees, rising.
    rays : str, float or Radiation
        As `radiation` takes it.
    profile : Profile
        Widths and shape of lines.
    highest : float
        Height of the highest point.
    shift, shift_kind
        Offset of the angles, as for `shifted`.

    Returns
    -------
    ndarray (n,)

    Raises
    ------
    LibraryError
        The crystal lists no atoms.
    """
    x, rays = np.asarray(two_theta, float), radiation(rays)
    low, high = max(float(x[0]) - 1, 0.5), min(float(x[-1]) + 1, 179.0)
    d_max, d_min = rays.spacing(np.array([low, high]))
    found = reflections(crystal, max(float(d_min), rays.wavelengths[-1] / 1.9999), float(d_max))
    area = relative_intensities(crystal, found, rays)
    lines = lines_of(x, found.d, profile, rays, shift, shift_kind, slopes=False)
    y = lines.value @ area
    return np.asarray(y * (highest / y.max()) if y.max() > 0 else y)


def synthetic_pattern(
    crystal: Crystal,
    two_theta: ArrayLike,
    rays: str | float | Radiation = "Cu",
    *,
    counts: float = 10_000.0,
    background: float = 150.0,
    seed: int = 0,
    profile: Profile = LABORATORY,
    shift: float = 0.0,
    shift_kind: Shift = "displacement",
) -> Pattern:
    """A SYNTHETIC measurement: the calculated pattern on a background, with counting noise.

    Parameters
    ----------
    crystal, two_theta, rays, profile, shift, shift_kind
        As for `calculated_pattern`.
    counts : float
        At the top of the highest line, above background.
    background : float
        Counts under it, twice as many at low as at high angles.
    seed : int
        Of the noise.
    """
    x, rays = np.asarray(two_theta, float), radiation(rays)
    y = calculated_pattern(
        *(crystal, x, rays),
        profile=profile,
        highest=counts,
        shift=shift,
        shift_kind=shift_kind,
    )
    ground = background * (2 / 3 + 2 / 3 * (1 - (x - x[0]) / (x[-1] - x[0])) ** 2)
    drawn = np.random.default_rng(seed).poisson(y + ground).astype(float)
    return Pattern(x, drawn, counting_sd(drawn), rays, f"{crystal.name} {SYNTHETIC}", "counts")


def overlay(fit: CellFit, crystal: Crystal) -> np.ndarray:
    """The calculated pattern of a crystal over a fit of the same phase: at the fitted cell, widths
    and offset, scaled to the fitted lines by least squares, on the fitted background.

    Where it leaves the measured pattern, intensities are not those of the structure: preferred
    orientation, other coordinates, another phase.

    Returns
    -------
    ndarray (n,)
    """
    pattern = fit.pattern
    y = calculated_pattern(
        *(crystal.with_cell(fit.cell), pattern.two_theta, pattern.radiation),
        profile=fit.profile,
        shift=fit.shift,
        shift_kind=fit.shift_kind,
    )
    used = np.isfinite(pattern.sd)
    net = fit.calculated - fit.background
    return np.asarray(fit.background + y * float((net * y)[used].sum() / (y * y)[used].sum()))
