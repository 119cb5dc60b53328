"""Where a spectrum can be compared with tabulated absorption: windows clear of edges.

Tables describe isolated atoms. From where a solid can begin to absorb (its resonances, its chemical
shift) to somewhat above the highest of a group of edges they say nothing of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import get_args

import numpy as np

from chemoscape.errors import LibraryError
from chemoscape.standards.atomic import (
    Edge,
    Table,
    edges_of,
    element_absorption,
    mass_absorption,
)

Windows = tuple[tuple[float, float], tuple[float, float]]

#: How far (eV) below its tabulated edge a solid can begin to absorb, where that is more than
#: 0.6 eV or 1 in 1000. Tabulated K edges of N, O and F are those of molecules: oxides absorb from
#: 527 eV, not 543. L3 of the late 3d metals begins with multiplets below the metal's edge.
_EARLY = {
    **{"C K": 1.5, "N K": 16.0, "O K": 17.0, "F K": 16.0},
    **{"Co L3": 3.5, "Ni L3": 2.5, "Cu L3": 3.5},
}
#: How far (eV) above its tabulated edge resonances of molecular orbitals reach, where that is more
#: than 5 eV: 30 eV above where the solid begins to absorb. (Those of O K in oxides end sooner.)
_RESONANCES = {"B K": 30.0, "C K": 30.0, "N K": 18.0, "F K": 18.0}
#: White lines of rare earths (M5, M4) stand below the tabulated edge by this part of its energy.
_EARLY_M = 0.006
#: Edges closer than this (eV) count as one.
_APART = 20.0
#: Windows chosen by the program keep these distances (eV) from what is forbidden.
_GUARD_BELOW, _GUARD_ABOVE = 0.5, 7.0
_PRE_POINTS, _POST_POINTS = 3, 4
_ROUNDING = 1e-3  # eV


def choose_windows(
    formula: str,
    energy: np.ndarray,
    usable: np.ndarray,
    windows: Sequence[Sequence[float]] | None,
) -> Windows:
    """The two windows: those given, if they will do, or those that suit the range."""
    low, high = float(energy[0]), float(energy[-1])
    zones = forbidden_zones(formula, low, high)
    if not zones:
        raise LibraryError(
            f"{formula} has no edge between {energy[0]:g} and {energy[-1]:g} eV",
            remedy="give a spectrum that begins below an edge and ends above it",
        )
    at = energy[usable]
    if windows is not None:
        return _given(formula, at, zones, windows)
    floors = [np.floor(2 * floor) / 2 for *_, floor in _zones(formula, low, high)]
    return _suitable(formula, at, zones, floors)


def in_window(energy: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Which energies lie in a window, both ends included."""
    return (energy >= window[0] - _ROUNDING) & (energy <= window[1] + _ROUNDING)


def windows_of(text: str) -> Windows | None:
    """The windows that `as_text` wrote, None for any other text.

    Examples
    --------
    >>> windows_of("508-511, 555-560 eV"), windows_of("unknown")
    (((508.0, 511.0), (555.0, 560.0)), None)
    """
    numbers = re.fullmatch(r"([\d.]+)-([\d.]+), ([\d.]+)-([\d.]+) eV", text.strip())
    if numbers is None:
        return None
    a, b, c, d = map(float, numbers.groups())
    return (a, b), (c, d)


def as_text(windows: Windows) -> str:
    """``"508-511, 555-560 eV"``."""
    return ", ".join(f"{low:.7g}-{high:.7g}" for low, high in windows) + " eV"


def forbidden_zones(formula: str, low: float, high: float) -> tuple[tuple[float, float], ...]:
    """Ranges (eV) between two energies where free atoms do not describe a solid, ascending.

    Each reaches from where a solid can begin to absorb, or either table does, to 5 eV (or 0.5 %)
    above the highest edge of a group; to 30 eV above K edges of light elements, whose compounds
    have resonances there.
    """
    return tuple((start, end) for start, end, _ in _zones(formula, low, high))


@lru_cache(maxsize=64)
def _zones(formula: str, low: float, high: float) -> tuple[tuple[float, float, float], ...]:
    """Of each forbidden zone its start and end, and where a window that is chosen may begin."""
    groups: list[list[float]] = []
    for edge in edges_of(formula, low - 40 - 0.01 * low, high + 20 + 0.006 * high):
        if not _steps(edge):
            continue
        start, usual = edge.energy - _early(edge), edge.energy + max(5.0, 0.005 * edge.energy)
        end = max(usual, edge.energy + _RESONANCES.get(edge.name, 0.0))
        floor = max(end, usual + _GUARD_ABOVE)
        if groups and start - groups[-1][1] < _APART:
            first, last, begin = groups[-1]
            groups[-1] = [min(first, start), max(last, end), max(begin, floor)]
        else:
            groups.append([start, end, floor])
    zones = [(_table_start(formula, start, end), end, floor) for start, end, floor in groups]
    return tuple(zone for zone in zones if zone[1] > low and zone[0] < high)


def _early(edge: Edge) -> float:
    """How far (eV) below its tabulated edge a solid can begin to absorb."""
    part = _EARLY_M if edge.name.split()[1] in ("M4", "M5") else 0.001
    return max(0.6, part * edge.energy, _EARLY.get(edge.name, 0.0))


def _steps(edge: Edge) -> bool:
    """Whether either table steps up by 15 % at an edge; L1 and M1, which are listed, do not."""
    at = np.arange(max(edge.energy - 16, 11.0), edge.energy + 4, 0.1)
    for table in get_args(Table):
        mu = element_absorption(edge.name.split()[0], at, table)
        if (mu > 1.15 * np.minimum.accumulate(mu)).any():
            return True
    return False


def _table_start(formula: str, start: float, end: float) -> float:
    """`start`, or where a table's own step begins below it (1 % of the whole step).

    Chantler's steps are spread over some eV, and those of its edges differ from the listed ones.
    """
    at = np.arange(max(start - 12, 11.0), end, 0.1)
    for table in get_args(Table):
        mu = mass_absorption(formula, at, table)
        above = mu - np.minimum.accumulate(mu)
        start = min(start, float(at[np.argmax(above > 0.01 * above.max())]))
    return start


def _given(
    formula: str,
    energy: np.ndarray,
    zones: tuple[tuple[float, float], ...],
    windows: Sequence[Sequence[float]],
) -> Windows:
    """The caller's windows as pairs of floats, unless something speaks against them."""
    try:
        (a, b), (c, d) = ((float(low), float(high)) for low, high in windows)
    except (TypeError, ValueError):
        a = b = c = d = np.nan
    if not a < b < c < d:
        raise LibraryError(
            f"the windows are {windows!r}", formula, "write them as ((508, 511), (555, 560)), in eV"
        )
    for low, high in ((a, b), (c, d)):
        for start, end in zones:
            if low < end - _ROUNDING and high > start + _ROUNDING:
                raise LibraryError(
                    f"the window {low:g}-{high:g} eV enters {start:.1f}-{end:.1f} eV, where tables "
                    "of free atoms do not describe a solid",
                    formula,
                    "end it below, begin it above, or leave the windows out",
                )
    if not any(b < end and c > start for start, end in zones):
        raise LibraryError(
            f"there is no edge between {b:g} and {c:g} eV", formula, "give windows around one"
        )
    for name, window, needed in (("lower", (a, b), _PRE_POINTS), ("upper", (c, d), _POST_POINTS)):
        found = int(in_window(energy, window).sum())
        if found < needed:
            raise LibraryError(
                f"the {name} window {window[0]:g}-{window[1]:g} eV holds {found} energies, and "
                f"{needed} are needed",
                formula,
                "widen it, or leave the windows out",
            )
    return (a, b), (c, d)


def _suitable(
    formula: str,
    energy: np.ndarray,
    zones: tuple[tuple[float, float], ...],
    floors: Sequence[float],
) -> Windows:
    """Last piece below the lowest group of edges that has one, and last piece of the range."""
    tops = [np.floor(2 * (start - _GUARD_BELOW)) / 2 for start, _ in zones]
    pre = [
        (k, window)
        for k, (low, high) in enumerate(zip([-np.inf, *floors[:-1]], tops, strict=True))
        if (window := _last(energy, low, high, 3.0, 10.0, _PRE_POINTS))
    ]
    post = [
        (k, window)
        for k, (low, high) in enumerate(zip(floors, [*tops[1:], np.inf], strict=True))
        if (window := _last(energy, low, high, 5.0, np.inf, _POST_POINTS))
    ]
    if pre and post and pre[0][0] <= post[-1][0]:
        return pre[0][1], post[-1][1]
    below, above = int((energy <= tops[0]).sum()), int((energy >= floors[-1]).sum())
    ends = f"{energy[0]:g} to {energy[-1]:g} eV" if energy.size else "no energy"
    raise LibraryError(
        f"it takes {_PRE_POINTS} energies close below {tops[0]:g} eV and {_POST_POINTS} above "
        f"{floors[-1]:g} eV to put it on a mass scale, and of {ends} there are {below} and {above}",
        formula,
        f"measure from {tops[0] - 3:g} to {floors[-1] + 5:g} eV",
    )


def _last(
    energy: np.ndarray, low: float, high: float, width: float, widest: float, points: int
) -> tuple[float, float] | None:
    """The last `width` eV between two energies; up to `widest` where that holds too few points."""
    there = energy[(energy >= low - _ROUNDING) & (energy <= high + _ROUNDING)]
    if there.size < points:
        return None
    top = float(min(high, there[-1]))
    # Hard x-ray spectra have wider steps, and wider features.
    width = max(width, 0.005 * top) if top > 2000 else width
    bottom = max(min(top - width, float(there[-points])), low, float(there[0]))
    if top - bottom > max(widest, width) + _ROUNDING:
        return None
    return round(float(bottom), 3), round(top, 3)
