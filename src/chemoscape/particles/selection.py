"""Which particles enter the statistics of an ensemble, and how many do not, for what reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import xarray as xr

from chemoscape.errors import StackError
from chemoscape.particles.masks import intersections
from chemoscape.particles.table import instances_of

#: Share of a second phase from which a particle is mixed; share of the smaller of two masks, in
#: maps of different phases, from which they are one particle.
MIXED, SAME = 0.25, 0.5


@dataclass(frozen=True)
class Filters:
    """What is left out: particles cut by the edge, ragged ones, sheets, doubtful ones.

    Attributes
    ----------
    border : bool
        Whether those at the edge of the map go.
    least_solidity : float
        Below it a mask is several particles, or part of one.
    least_aspect : float
        Below it a particle is no wire: nanosheets. 0 keeps all.
    least_score : float
        Least confidence of the detection.
    """

    border: bool = True
    least_solidity: float = 0.6
    least_aspect: float = 2.0
    least_score: float = 0.5


@dataclass(frozen=True)
class Selection:
    """Particles used (phase, size, composition, composition_se, orientation), and what was not."""

    route: str
    phases: tuple[str, ...]
    particles: xr.Dataset
    n_found: int
    left_out: dict[str, int]
    n_mixed: int
    notes: tuple[str, ...]


def select(
    table: xr.Dataset | Mapping[str, xr.Dataset],
    by: str,
    size: str,
    compositions: Mapping[str, float] | None,
    filters: Filters,
) -> Selection:
    """Filter one table, or one per phase, and bring them together."""
    joint = isinstance(table, xr.Dataset)
    tables = {"": table} if isinstance(table, xr.Dataset) else dict(table)
    if not tables:
        raise StackError("there is no particle table", remedy="give one, or one for each phase")
    left_out: dict[str, int] = {}
    parts, kept = [], {}
    for phase, one in tables.items():
        value = None if compositions is None else compositions.get(phase)
        if value is not None:
            one = one.assign({by: ("particle", np.full(one.sizes["particle"], float(value)))})
        _require(one, by, size, phase)
        keep = _kept(one, by, size, filters, left_out)
        parts.append(_columns(one.isel(particle=keep), by, size, phase))
        kept[phase] = keep
    used = xr.concat(parts, "particle")
    used.attrs = {
        "size_units": next(iter(tables.values()))[size].attrs.get("units", "1"),
        "size_name": size,
        "variable": next(iter(tables.values())).attrs.get("variable", "composition"),
        "composition_of_phase": int(compositions is not None and not joint),
    }
    if joint:
        phases, n_mixed, notes = _joint(tables[""], used, kept[""])
    else:
        n_mixed, notes = _counted_twice(tables, kept)
        phases = tuple(tables)
    return Selection(
        "joint" if joint else "per phase",
        phases,
        used,
        sum(one.sizes["particle"] for one in tables.values()),
        {reason: number for reason, number in left_out.items() if number},
        n_mixed,
        notes,
    )


def _require(table: xr.Dataset, by: str, size: str, phase: str) -> None:
    """Raise unless a table has what is needed."""
    needed = ("border", "solidity", "aspect", "score", "orientation", by, size)
    missing = [name for name in needed if name not in table]
    if missing:
        remedy = "measure them first"
        if by in missing:
            remedy = "add the composition with chemoscape.particles.phases.with_composition"
            if phase:
                remedy += ", or give those of the phases"
        of = f" of {phase}" if phase else ""
        raise StackError(f"the particle table{of} has no {', '.join(missing)}", remedy=remedy)


def _kept(
    table: xr.Dataset, by: str, size: str, filters: Filters, left_out: dict[str, int]
) -> np.ndarray:
    """Indices of the particles to keep; adds to the numbers of those left out."""
    sizes = table[size].values
    with np.errstate(invalid="ignore"):
        reasons = {
            "at the edge of the map": table["border"].values.astype(bool) & filters.border,
            f"of a score below {filters.least_score:g}": table["score"] < filters.least_score,
            f"of a solidity below {filters.least_solidity:g}": table["solidity"]
            < filters.least_solidity,
            f"no wires (aspect below {filters.least_aspect:g})": table["aspect"]
            < filters.least_aspect,
            "without a size": ~(np.isfinite(sizes) & (sizes > 0)),
            "without a composition": ~np.isfinite(table[by].values),
        }
    keep = np.ones(table.sizes["particle"], bool)
    for reason, holds in reasons.items():
        gone = keep & np.asarray(holds, bool)
        left_out[reason] = left_out.get(reason, 0) + int(gone.sum())
        keep &= ~gone
    return np.flatnonzero(keep)


def _columns(table: xr.Dataset, by: str, size: str, phase: str) -> xr.Dataset:
    """What the statistics need of a table."""
    n = table.sizes["particle"]
    stem = by.removesuffix("_mean")
    error = f"{stem}_se_counting"
    names = np.full(n, phase or "all")
    if not phase and "dominant_phase" in table:
        names = table["dominant_phase"].values.astype(str)
    return xr.Dataset(
        {
            "phase": ("particle", names.astype(object)),
            "size": ("particle", table[size].values.astype(float)),
            "composition": ("particle", table[by].values.astype(float)),
            "composition_se": (
                "particle",
                table[error].values.astype(float) if error in table else np.full(n, np.nan),
            ),
            "orientation": ("particle", table["orientation"].values.astype(float)),
        }
    )


def _joint(
    table: xr.Dataset, used: xr.Dataset, kept: np.ndarray
) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """Phases of a joint table, how many particles are mixed, and what to say."""
    if "phase_fraction" not in table:
        return ("all",), 0, ("phases are not known: all particles are taken together",)
    names = [str(name) for name in table["phase"].values]
    present = tuple(name for name in names if (used["phase"].values == name).any())
    if len(names) < 2:
        return present, 0, ()
    share = np.sort(table["phase_fraction"].values[kept], axis=1)[:, -2]
    n_mixed = int((share >= MIXED).sum())
    said = f"{n_mixed} particles hold {MIXED:.0%} or more of a second phase"
    return present, n_mixed, (f"{said}; each counts once, in the phase it has most of",)


def _counted_twice(
    tables: Mapping[str, xr.Dataset], kept: Mapping[str, np.ndarray]
) -> tuple[int, tuple[str, ...]]:
    """How many particles lie in more than one map, and what to say."""
    masks = {phase: instances_of(one).take(kept[phase]) for phase, one in tables.items()}
    if len({one.shape for one in masks.values()}) > 1:
        shapes = ", ".join(f"{phase} {one.shape}" for phase, one in masks.items())
        raise StackError(
            f"the tables are of maps of different shape: {shapes}",
            remedy="find the particles of all phases in maps of one field",
        )
    again = {phase: np.zeros(len(one), bool) for phase, one in masks.items()}
    for first, second in combinations(masks, 2):
        if not len(masks[first]) or not len(masks[second]):
            continue
        shared = intersections(masks[first], masks[second])
        smaller = np.minimum(masks[first].areas[:, None], masks[second].areas[None, :])
        again[second] |= (shared > SAME * smaller).any(axis=0)
    number = int(sum(one.sum() for one in again.values()))
    said = (
        f"{number} particles were counted before, in the map of another phase: intervals take all "
        "as independent and are too narrow for that; parts of a particle that lie side by side "
        "are not recognised"
    )
    return number, (said,)
