"""Lines of a pattern that no reflection of its phase explains: other phases, and how much of them.

What lies under a reflection of the phase is fitted by it, and cannot be seen here: a foreign phase
shows by those of its lines that lie apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage, stats

from chemoscape.crystals.cell_fit import CellFit
from chemoscape.crystals.crystal import Crystal
from chemoscape.crystals.profile import lines_of, shifted
from chemoscape.crystals.radiation import STRAY, Radiation
from chemoscape.crystals.reflections import reflections, relative_intensities

#: Share of clean patterns in which noise alone makes one line or more.
FALSE_ALARMS = 0.01
#: A line nearer to a reflection of the phase than this many widths belongs to it.
NEAR = 1.5
#: Misfit of a strong reflection, whose foot is never quite that of the profile, reaches further:
#: within so many widths of the highest point of the phase lines must stand above this share of it,
#: and within the smaller number above so many times what is common beside strong reflections.
_FOOT, _FAR, _CLOSE, _TIMES = 0.015, 6.0, 3.5, 2.5
_STRONGEST = 10
#: The residual is taken from its median over so many widths.
_BROAD = 30.0
#: Lines are matched within so many widths: noise and other lines are all that lies further out.
_MATCHED = 5.0
_MOST = 20
#: Lines of another phase above this share of its strongest are compared, degrees apart at most.
_STRONG, _TOLERANCE = 0.10, 0.10
#: Stray lines of the tube lie this near (degrees), and are weaker than this share of a reflection.
_STRAY_TOLERANCE, _STRAY_SHARE = 0.06, 0.25


@dataclass(frozen=True)
class ExtraLine:
    """A line that the phase does not explain.

    Parameters
    ----------
    two_theta, sd : float
        Where, degrees.
    d : float
        Its spacing, Å.
    height : float
        Of its first line, in units of the pattern; ``share`` relative to the phase's highest.
    share, share_sd : float
        Fractions of the phase's highest line.
    significance : float
        Height over its standard deviation.
    phases : tuple of str
        Known phases with a line there, those first that have their strongest line among the extra
        ones, or hidden under the phase's; before them strong reflections of the phase itself that
        another line of the tube puts there, as ``Kβ of 001``.
    """

    two_theta: float
    sd: float
    d: float
    height: float
    share: float
    share_sd: float
    significance: float
    phases: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        """The line in words."""
        named = f", as of {' or '.join(self.phases)}" if self.phases else ""
        return (
            f"{self.two_theta:.2f} deg (d = {self.d:.3f} Å): {100 * self.share:.2f}"
            f"({max(1, round(1e4 * self.share_sd))}) % of the strongest, "
            f"{self.significance:.1f} sd{named}"
        )


def extra_lines(
    fit: CellFit, known: Sequence[Crystal] = (), *, false_alarms: float = FALSE_ALARMS
) -> tuple[ExtraLine, ...]:
    """Lines in the residual of a fit, the highest first, found one after the other.

        z(t) = Σ_i r_i p_i(t) w_i / sqrt(Σ_i p_i(t)² w_i),   w = 1 / sd²

    with p the phase's own profile at t (its doublet included). A place counts when z exceeds what
    independent noise reaches in a share `false_alarms` of patterns (the range of the pattern over
    the width of a line as the number of places, one side), times how much the residual scatters
    beyond its sd (median). It must lie 1.5 widths or more from each reflection of the phase, and
    stand above 1.5 % of the highest point of the phase within six widths, and within three and a
    half above 2.5 times what is common beside the strongest reflections: feet of their lines, which
    asymmetry makes, are no other phase.

    Parameters
    ----------
    fit : CellFit
    known : sequence of Crystal
        Phases that may be there, with atoms.
    false_alarms : float
        Share of clean patterns with a line reported.

    Returns
    -------
    tuple of ExtraLine
    """
    pattern = fit.pattern
    x, rays = pattern.two_theta, pattern.radiation
    used = np.isfinite(pattern.sd)
    weight = np.where(used, 1 / pattern.sd**2, 0.0)
    free = _apart(fit)
    net = fit.calculated - fit.background
    width = float(np.nanmedian(fit.profile.fwhm(x)))
    # what is far wider than a line is background that was not fitted, as of an amorphous hump
    residual = np.where(used, fit.residual, 0.0)
    residual -= ndimage.median_filter(residual, 2 * int(_BROAD / 2 * width / pattern.step) + 1)
    # a matched line every tenth of a width is fine enough, however small the steps
    grid = x[free & used][:: max(1, int(0.1 * width / pattern.step))]
    if not len(grid):
        return ()
    limit = float(stats.norm.isf(false_alarms / max((x[-1] - x[0]) / width * 2, 1.0)))
    scatter = 1.4826 * float(np.median(np.abs(fit.residual[used] / pattern.sd[used])))
    limit *= max(1.0, scatter)
    ideal = shifted(grid, -fit.shift, fit.shift_kind)
    drawn = (fit.profile, rays, fit.shift, fit.shift_kind)
    lines = lines_of(x, rays.spacing(ideal), *drawn, reach=_MATCHED, slopes=False).value
    norm = lines.power(2).T @ weight
    top = np.asarray(lines.max(axis=0).todense()).ravel()
    strongest = float(net.max())
    first = (lines.T @ (residual * weight)) / np.maximum(norm, 1e-300) * top
    floor = np.interp(grid, x, _floor(fit, grid, first, net))
    found: list[ExtraLine] = []
    for _ in range(_MOST):
        area = (lines.T @ (residual * weight)) / np.maximum(norm, 1e-300)
        z = area * np.sqrt(norm)
        z[area * top < floor] = 0.0
        k = int(np.argmax(z))
        if z[k] < limit:
            break
        where, height = float(grid[k]), float(area[k] * top[k])
        share_sd = float(top[k] / np.sqrt(norm[k])) * max(1.0, scatter) / strongest
        local = float(fit.profile.fwhm(np.array([where]))[0])
        found.append(
            ExtraLine(
                two_theta=where,
                sd=max(0.42 * local / float(z[k]), pattern.step / np.sqrt(12)),
                d=float(rays.spacing(ideal[k : k + 1])[0]),
                height=height,
                share=height / strongest,
                share_sd=share_sd,
                significance=float(z[k]) / max(1.0, scatter),
            )
        )
        whole = lines_of(x, rays.spacing(ideal[k : k + 1]), *drawn, slopes=False).value
        residual = residual - area[k] * whole.toarray().ravel()
        # what is left beside it is its own misfit
        near = np.abs(grid - where) < NEAR * local
        lines = lines[:, ~near]
        grid, ideal, floor = grid[~near], ideal[~near], floor[~near]
        norm, top = norm[~near], top[~near]
        if not len(grid):
            break
    found.sort(key=lambda one: -one.height)
    return tuple(
        replace(one, phases=(*_stray(one, fit), *one.phases)) for one in _named(found, fit, known)
    )


def _floor(fit: CellFit, grid: np.ndarray, heights: np.ndarray, net: np.ndarray) -> np.ndarray:
    """Least height of a line at each point, by what is high around it.

    ``heights`` are those of matched lines at the angles of ``grid``. Beside each of the ten
    strongest reflections the highest is taken, relative to the reflection; what a quarter of them
    exceeds is common: one or two lines of another phase do not move it, and where only some of the
    reflections are broadened, their feet still do.
    """
    x, step = fit.pattern.two_theta, fit.pattern.step
    widths = fit.profile.fwhm(fit.angles)
    inside = np.flatnonzero((fit.angles > x[0]) & (fit.angles < x[-1]) & (fit.intensities > 0))
    tops = np.interp(fit.angles[inside], x, net)
    found = []
    for k in np.argsort(tops)[::-1][:_STRONGEST]:
        near = np.abs(grid - fit.angles[inside[k]]) < _CLOSE * widths[inside[k]]
        if near.any():
            found.append(max(float(heights[near].max()), 0.0) / tops[k])
    common = float(np.quantile(found, 0.75)) if found else 0.0
    width = float(np.nanmedian(widths[inside])) if len(inside) else step

    def around(reach: float) -> np.ndarray:
        size = 2 * round(reach * width / step) + 1
        return np.asarray(ndimage.maximum_filter1d(net, size))

    return np.maximum(_FOOT * around(_FAR), _TIMES * common * around(_CLOSE))


def _apart(fit: CellFit) -> np.ndarray:
    """Points further than 1.5 widths from every line of the phase, of each wavelength."""
    pattern = fit.pattern
    x, rays = pattern.two_theta, pattern.radiation
    apart = np.ones(len(x), bool)
    visible = fit.intensities > 1e-4 * fit.intensities.max(initial=0.0)
    for line in range(len(rays.wavelengths)):
        ideal = rays.two_theta(fit.reflections.d[visible], line)
        places = np.sort(shifted(ideal[np.isfinite(ideal)], fit.shift, fit.shift_kind))
        if not len(places):
            continue
        after = np.clip(np.searchsorted(places, x), 1, max(len(places) - 1, 1))
        left = np.abs(x - places[np.minimum(after - 1, len(places) - 1)])
        right = np.abs(x - places[np.minimum(after, len(places) - 1)])
        apart &= np.minimum(left, right) > NEAR * fit.profile.fwhm(x)
    return apart


def _stray(line: ExtraLine, fit: CellFit) -> list[str]:
    """Strong reflections of the phase that another line of the tube puts where a line is."""
    rays = fit.pattern.radiation
    said = []
    strong = np.flatnonzero(fit.intensities > _STRONG * fit.intensities.max(initial=0.0))
    heights = np.interp(fit.angles, fit.pattern.two_theta, fit.calculated - fit.background)
    for name, wavelength in STRAY.get(rays.name.split(" ")[0], {}).items():
        angles = Radiation((wavelength,)).two_theta(fit.reflections.d)
        places = shifted(angles, fit.shift, fit.shift_kind)
        for k in strong:
            near = abs(places[k] - line.two_theta) < _STRAY_TOLERANCE
            if near and line.height < _STRAY_SHARE * heights[k]:
                said.append(f"{name} of {' '.join(map(str, fit.reflections.hkl[k]))}")
    return said


def _named(found: list[ExtraLine], fit: CellFit, known: Sequence[Crystal]) -> list[ExtraLine]:
    """The lines with the phases that have one there."""
    if not found or not known:
        return found
    pattern = fit.pattern
    low, high = pattern.two_theta[[0, -1]]
    d_max, d_min = pattern.radiation.spacing(np.array([low, high]))
    apart = _apart(fit)
    width = float(np.nanmedian(fit.profile.fwhm(pattern.two_theta)))
    strong_lines = fit.angles[fit.intensities > 0.1 * fit.intensities.max()]
    ranked: list[tuple[float, str, np.ndarray]] = []
    for phase in known:
        theirs = reflections(phase, float(d_min), float(d_max))
        if not len(theirs):
            continue
        strength = relative_intensities(phase, theirs, pattern.radiation)
        strong = strength > _STRONG * strength.max()
        places = shifted(pattern.radiation.two_theta(theirs.d), fit.shift, fit.shift_kind)
        gaps = np.abs(np.array([one.two_theta for one in found])[:, None] - places)
        seen = (gaps < _TOLERANCE).any(axis=0)
        feet = np.abs(places[:, None] - strong_lines).min(axis=1) < _CLOSE * width
        hidden = (
            feet | ~apart[np.clip(np.searchsorted(pattern.two_theta, places), 0, len(apart) - 1)]
        )
        best = int(np.argmax(strength))
        rank = 1.0 * bool(seen[best]) + 0.5 * bool(hidden[best])
        if not (seen & strong).any() or rank == 0:
            continue
        visible = strong & ~hidden
        rank += float(strength[visible & seen].sum() / max(strength[visible].sum(), 1e-300))
        ranked.append((rank, phase.name, (gaps[:, strong] < _TOLERANCE).any(axis=1)))
    ranked.sort(key=lambda one: -one[0])
    named = []
    for k, one in enumerate(found):
        phases = tuple(name for _, name, has in ranked if has[k])
        named.append(replace(one, phases=phases))
    return named
