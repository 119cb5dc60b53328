"""How far a stress can be believed, in plain words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.mechanics.cuts import rim_of
from chemoscape.mechanics.fields import LARGEST_SMALL_STRAIN

#: Triangles across the narrowest particle, below which bending is not resolved; and across a
#: change of composition, below which second order no longer helps.
ACROSS, TRANSITION = 6, 4
#: Share of triangles that may hold a steeper change.
STEEP_SHARE = 0.01


def supports_in_words(boundary: str) -> str:
    """What a boundary of the results does to the outline.

    Examples
    --------
    >>> supports_in_words("springs-10-GPa-per-um")
    'springs of 10 GPa/µm: pulled back with 10 GPa for each µm of displacement'
    """
    if boundary == "free":
        return "free: nothing holds the outline"
    if boundary == "fixed":
        return "fixed: no point of the outline can move"
    stiffness = re.fullmatch(r"springs-(.+)-GPa-per-um", boundary)
    if stiffness is None:
        return boundary
    k = stiffness[1]
    return f"springs of {k} GPa/µm: pulled back with {k} GPa for each µm of displacement"


def doubts(solved: dict[str, xr.Dataset]) -> list[dict[str, str]]:
    """What limits the answer: a list of {level: "caution" or "note", words}."""
    first = next(iter(solved.values()))
    said: list[dict[str, str]] = []

    def say(level: str, words: str) -> None:
        said.append({"level": level, "words": words})

    status = str(first.attrs.get("material_status", ""))
    if status == "illustrative":
        say("caution", "The material's values are illustrative: read the pattern, not the MPa.")
    for boundary, one in solved.items():
        largest = _largest_strain(one)
        if largest > LARGEST_SMALL_STRAIN:
            say(
                "caution",
                f"{boundary}: strains reach {largest:.1%}, beyond the {LARGEST_SMALL_STRAIN:.0%} "
                "to which small-strain elasticity holds.",
            )
    _say_of_cuts(solved, say)
    _say_of_mesh(first, say)
    if "free" in solved:
        _say_of_traction(solved["free"], say)
    if "fixed" in solved:
        say(
            "note",
            "Where a clamped outline has corners, the largest value depends on the mesh: compare "
            "the 99th percentile and the mean.",
        )
    draws = int(first.attrs.get("n_draws", 0))
    if draws:
        say(
            "note",
            f"± is what the errors of composition give ({draws} draws); errors of outline, elastic "
            "constants, boundary and mesh are not in it.",
        )
    else:
        say("note", "No errors were drawn: [stress] uncertainty_draws gives the stress a ±.")
    say("note", "Stress is computed from composition by linear elasticity, not measured.")
    return said


def _largest_strain(solved: xr.Dataset) -> float:
    """Largest principal strain, total or stress-free."""
    worst = 0.0
    for kind in ("strain", "eigenstrain"):
        xx, yy, xy = (solved[f"{kind}_{axes}"].values for axes in ("xx", "yy", "xy"))
        worst = max(worst, float((np.abs(xx + yy) / 2 + np.hypot((xx - yy) / 2, xy)).max()))
    return worst


def _say_of_cuts(solved: dict[str, xr.Dataset], say: Any) -> None:
    for one in solved.values():  # the cuts are the same under all
        if "element_near_cut" not in one:
            continue
        area = one["element_area"].values
        share = float(area[one["element_near_cut"].values > 0].sum() / area.sum())
        if share:
            say(
                "caution",
                f"The image cuts particles: {share:.0%} of their area lies within one width of a "
                "cut edge, where the unseen part decides; it is left out of the numbers.",
            )
        return


def _say_of_mesh(solved: xr.Dataset, say: Any) -> None:
    size = float(solved.attrs.get("mesh_size_um", np.nan))
    particle, area = solved["element_particle"].values, solved["element_area"].values
    points = np.column_stack([solved["node_x"].values, solved["node_y"].values])
    corners = solved["triangle"].values[:, :3]
    rim = rim_of(corners, len(points))
    owner = np.zeros(len(points), dtype=int)
    owner[corners] = particle[:, None]
    length = np.hypot(*(points[rim[:, 0]] - points[rim[:, 1]]).T)
    n = particle.max() + 1
    around, covered = np.bincount(owner[rim[:, 0]], length, n), np.bincount(particle, area, n)
    width = 2 * covered[1:] / np.maximum(around[1:], 1e-30)  # of a long bar
    typical = np.sqrt(4 / np.sqrt(3) * np.median(area)) if not np.isfinite(size) else size
    if width.min() < ACROSS * typical:
        say(
            "caution",
            f"The mesh is coarse: only about {width.min() / typical:.1f} triangles of "
            f"{typical:.3g} µm lie across the narrowest particle; lower [stress] mesh_size_um.",
        )
    x = solved["composition"].values[corners]
    range_ = np.ptp(np.percentile(x, [1, 99]))
    steep = np.percentile(np.ptp(x, axis=1), 100 * (1 - STEEP_SHARE))
    if range_ > 0 and steep > range_ / TRANSITION:
        say(
            "caution",
            f"Composition changes by {steep:.2g} within one triangle, {steep / range_:.0%} of its "
            "range: sharp boundaries are smeared by up to a quarter of the stress there; turn on "
            "[stress] graded, or give follow_phase.",
        )
    filled = int(solved.attrs.get("holes_filled", 0))
    dropped = int(solved.attrs.get("islands_dropped", 0))
    if filled or dropped:
        say(
            "note",
            f"{filled} small holes of the mask were filled and {dropped} small islands dropped.",
        )


def _say_of_traction(solved: xr.Dataset, say: Any) -> None:
    """Stress across a free outline, which must vanish: what is left is the mesh's error."""
    points = np.column_stack([solved["node_x"].values, solved["node_y"].values])
    rim = rim_of(solved["triangle"].values[:, :3], len(points))
    along = points[rim[:, 1]] - points[rim[:, 0]]
    length = np.hypot(*along.T)
    normal = np.stack([along[:, 1], -along[:, 0]]) / length
    xx, yy, xy = (solved[f"stress_{axes}"].values[rim].mean(axis=1) for axes in ("xx", "yy", "xy"))
    pull = np.hypot(xx * normal[0] + xy * normal[1], xy * normal[0] + yy * normal[1])
    rms = float(np.sqrt(np.average(pull**2, weights=length)))
    scale = float(np.percentile(solved["element_von_mises"].values, 99))
    if not scale > 0:
        return
    say(
        "caution" if rms > 0.1 * scale else "note",
        f"Nothing pulls on a free outline, yet {rms:.2g} MPa (rms) is left across it in the "
        f"computed field, {rms / scale:.0%} of its 99th percentile: so much do the mesh and the "
        "steps of the outline err there.",
    )
