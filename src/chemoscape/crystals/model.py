"""SYNTHETIC structures of LixV2O5 against x, to show and to test: no measurement, no refinement.

The first is the published structure of α-V2O5. What lithium does to it is made up after the trends
that Santos et al. describe (Patterns 2022, Figure 1): a contracts, b expands, the layers move
apart and pucker, the tips of the pyramids lean towards lithium, and in δ every second layer is
shifted by half of b, which doubles c. Numbers are illustrative; only their signs are the paper's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chemoscape.crystals.crystal import Cell, Crystal
from chemoscape.standards._cif import Site

#: α-V2O5: American Mineralogist Crystal Structure Database 13891, of J. Solid State Chem. 123, 317
#: (1996), on the second origin of Pmmn, turned by a half turn and half of b so that O1 is the tip.
ALPHA_CELL = (11.544, 3.571, 4.383)
ALPHA_SITES = {
    "V1": (0.10123, 0.25, -0.1086),
    "O1": (0.1045, 0.25, -0.4697),
    "O2": (-0.0691, 0.25, 0.0028),
    "O3": (0.25, 0.25, -0.0008),
}
_SPREAD = {"V": 0.006, "O": 0.009, "Li": 0.025}  # U, Å2
_PMMN = (
    *("x,y,z", "-x+1/2,-y+1/2,z", "-x,y+1/2,-z", "x+1/2,-y,-z"),
    *("-x,-y,-z", "x+1/2,y+1/2,-z", "x,-y+1/2,z", "-x+1/2,y,z"),
)
#: Standards of the shipped model library, and their x and phase.
PHASES = {
    "alpha-V2O5": (0.0, "alpha"),
    "alpha-Li0.1V2O5": (0.1, "alpha"),
    "epsilon-Li0.3V2O5": (0.3, "epsilon"),
    "epsilon-Li0.45V2O5": (0.45, "epsilon"),
    "epsilon-Li0.7V2O5": (0.7, "epsilon"),
    "delta-Li0.9V2O5": (0.9, "delta"),
}
COMMENTS = (
    "SYNTHETIC: an illustrative model of LixV2O5, made by chemoscape; no measured structure.",
    "Only x = 0 is published: J. Solid State Chem. 123, 317 (1996), by way of AMCSD 13891.",
)


def model_structure(x: float, phase: str | None = None) -> Crystal:
    """SYNTHETIC structure of LixV2O5.

    Relative to α-V2O5, with a step s = 1 beyond α: ``a (1 - 0.018 x - 0.004 s)``,
    ``b (1 + 0.008 x + 0.002 s)``, ``c (1 + 0.045 x + 0.012 s)``; the basal planes tilt about b by
    ``8 x + 1.5 s`` degrees, tips with them and by ``5 x`` degrees more.

    Parameters
    ----------
    x : float
        Lithium per formula unit, 0 to 1.
    phase : {"alpha", "epsilon", "delta"}, optional
        Default: alpha below 0.2, delta above 0.8.

    Returns
    -------
    Crystal
        Its name says that it is synthetic.

    Raises
    ------
    ValueError
        x or the phase is none of these.
    """
    phase = phase or ("alpha" if x < 0.2 else "delta" if x > 0.8 else "epsilon")
    if not 0 <= x <= 1 or phase not in ("alpha", "epsilon", "delta"):
        raise ValueError(f"no model for x = {x:g} and the phase {phase!r}")
    step = float(phase != "alpha")
    a, b, c = (
        length * (1 + linear * x + jump * step)
        for length, linear, jump in zip(
            ALPHA_CELL, (-0.018, 0.008, 0.045), (-0.004, 0.002, 0.012), strict=True
        )
    )
    tilt, lean = np.radians(8 * x + 1.5 * step), np.radians(5 * x)
    places = _turned((a, c), tilt, lean)
    sites = [Site(label[0], place, 1.0, label, u_iso=_SPREAD[label[0]]) for label, place in places]
    if x > 0:
        sites.append(Site("Li", _lithium(places), x, "Li1", u_iso=_SPREAD["Li"]))
    cell: Cell = (round(a, 4), round(b, 4), round(c, 4), 90.0, 90.0, 90.0)
    operations: tuple[str, ...] = _PMMN
    group, z = "P m m n :2", 2.0
    if phase == "delta":
        cell = (cell[0], cell[1], 2 * cell[2], 90.0, 90.0, 90.0)
        operations, group, z = _shifted_layers(), "A m m a", 4.0
        sites = [_half(site) for site in sites]
    rotations, shifts = _arrays(operations)
    unknown: Cell = (np.nan,) * 6
    name = f"{phase} Li{x:g}V2O5 (SYNTHETIC)" if x > 0 else "alpha V2O5 (published; model of x = 0)"
    return Crystal(name, cell, unknown, tuple(sites), rotations, shifts, group, z)


def write_models(folder: str | Path) -> dict[str, Path]:
    """Write the six SYNTHETIC structures of the model library as CIF, by the ids of its standards.

    Returns
    -------
    dict of str to Path
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, (x, phase) in PHASES.items():
        written[name] = place / f"{name}-synthetic.cif"
        written[name].write_text(model_structure(x, phase).cif(*COMMENTS), encoding="utf-8")
    return written


Place = tuple[float, float, float]


def _turned(cell: tuple[float, float], tilt: float, lean: float) -> list[tuple[str, Place]]:
    """Sites of α with their pyramid turned about b by the tilt, its tip by the lean as well.

    In Pmmn the basal oxygens O2 and O3 lie in one plane through the origin at any tilt, and the
    mirror at x = 1/4 turns the next pyramid the other way. Distances (Å) of α are kept about the
    vanadium.
    """
    old = np.array([ALPHA_CELL[0], ALPHA_CELL[2]])
    new = np.array(cell)
    flat = {label: np.array([x, z]) * old for label, (x, _, z) in ALPHA_SITES.items()}

    def turned(vector: np.ndarray, angle: float) -> np.ndarray:
        cosine, sine = np.cos(angle), np.sin(angle)
        return np.array([[cosine, -sine], [sine, cosine]]) @ vector

    slope = np.tan(tilt)
    x3 = 0.25 * new[0]
    moved = {"O3": np.array([x3, flat["O3"][1] + slope * x3])}
    x2 = flat["O2"][0] * new[0] / old[0]
    moved["O2"] = np.array([x2, flat["O2"][1] + slope * x2])
    # vanadium keeps its height above the basal plane, in the middle between O2' and O3
    moved["V1"] = turned(flat["V1"], tilt)
    tip = flat["O1"] - flat["V1"]
    moved["O1"] = moved["V1"] + turned(tip, tilt + lean)
    order = ("V1", "O1", "O2", "O3")
    return [
        (label, (round(float(x), 5), 0.25, round(float(z), 5)))
        for label, (x, z) in ((label, moved[label] / new) for label in order)
    ]


def _lithium(places: list[tuple[str, Place]]) -> Place:
    """Between the layers on the mirror at x = 1/4, at the height of the tips that lean to it."""
    tip = dict(places)["O1"]
    return 0.25, 0.75, round(tip[2] % 1.0, 5)


def _half(site: Site) -> Site:
    """A site in a cell of twice the height."""
    x, y, z = site.place
    z = z - 1.0 if z > 0.5 else z
    return Site(site.element, (x, y, z / 2), site.occupancy, site.label, u_iso=site.u_iso)


def _shifted_layers() -> tuple[str, ...]:
    """Operations of Pmmn in the doubled cell, and all again with the next layer shifted by b/2."""
    import gemmi

    centring = gemmi.Op("x,y+1/2,z+1/2")
    first = [gemmi.Op(one) for one in _PMMN]
    return tuple(one.triplet() for one in (*first, *((centring * one).wrap() for one in first)))


def _arrays(operations: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and translations of operations."""
    import gemmi

    ops = [gemmi.Op(one) for one in operations]
    rotations = np.array([np.array(one.rot, float) / one.DEN for one in ops])
    return rotations, np.array([np.array(one.tran, float) / one.DEN for one in ops])
