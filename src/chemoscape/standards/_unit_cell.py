"""What lies in a unit cell: symmetry operations, images of the sites, distances."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from chemoscape.standards._cif import Block, Site
from chemoscape.standards.mixing import molar_mass

#: Two images of a site nearer than this (Å) are one.
_SAME = 0.1

#: Of no space group, in a conventional cell.
_MOST_OPERATIONS = 192

#: More atoms in a cell than are compared with each other.
_MOST_ATOMS = 3000


def symmetry_of(block: Block) -> tuple[list[tuple[np.ndarray, np.ndarray]], str, tuple[str, ...]]:
    """Operations as rotation and translation, the name of the group, and what is doubtful.

    Operations that the file lists count more than a name, which does not tell origins apart.
    """
    import gemmi

    doubts: list[str] = []
    name = block.group.replace("_", " ")
    found = None
    if name:
        found = (
            gemmi.find_spacegroup_by_number(int(name))
            if name.isdigit() and 0 < int(name) < 231
            else gemmi.find_spacegroup_by_name(name, block.cell[3], block.cell[5]) or _by_hall(name)
        )
    listed = None
    if block.operations:
        try:
            triplets = [gemmi.Op(text.strip()) for text in block.operations]
            triplets, missing = _completed(triplets)
            listed = gemmi.GroupOps(triplets)
        except (ValueError, RuntimeError):
            doubts.append("its symmetry operations cannot be read, or are none")
        else:
            if missing:
                doubts.append(f"{missing} of its symmetry operations are missing, and were added")
    if listed is not None:
        of_list = gemmi.find_spacegroup_by_ops(listed)
        if of_list and found and of_list.number != found.number:
            doubts.append(
                f"its symmetry operations are those of {of_list.xhm()}, its name says {name}"
            )
        if of_list and (not name or name.isdigit()):
            name = of_list.xhm()
        operations = triplets
    elif found is not None:
        operations = list(found.operations())
        choices = [
            one.xhm()
            for one in gemmi.spacegroup_table_itb()
            if one.number == found.number and one.hm == found.hm and one.ext != found.ext
        ]
        # hexagonal or rhombohedral axes are told by the cell
        if choices and ":" not in name and found.ext not in "HR":
            doubts.append(
                f"it lists no symmetry operations, and {name} has {len(choices) + 1} choices of "
                f"origin: {found.xhm()} is taken, write {' or '.join(choices)} if that is meant"
            )
        name = found.hm if name.isdigit() else name
    else:
        operations = [gemmi.Op("x,y,z")]
        if block.sites:
            doubts.append("its symmetry is not given, or unknown")
    return [_of(one) for one in operations], name, tuple(doubts)


def _completed(operations: list[Any]) -> tuple[list[Any], int]:
    """Operations with those that any two of them make, and how many were not listed.

    Raises
    ------
    ValueError
        They are no symmetry of a crystal: one stretches the cell, or there is no end of them.
    """
    import gemmi

    known = {one.wrap().triplet(): one for one in operations}
    turns = np.array([one.rot for one in known.values()]) / gemmi.Op.DEN
    if any(abs(abs(np.linalg.det(turn)) - 1) > 1e-6 for turn in turns):
        raise ValueError("an operation stretches the cell")
    listed, fresh = len(known), list(known.values())
    while fresh:
        made = {
            (product := (one * two).wrap()).triplet(): product
            for one in fresh
            for two in operations
        }
        fresh = [product for name, product in made.items() if name not in known]
        known |= {product.triplet(): product for product in fresh}
        if len(known) > _MOST_OPERATIONS:
            raise ValueError("there is no end of operations")
    return list(known.values()), len(known) - listed


def _by_hall(name: str) -> Any:
    """Space group of a Hall symbol, None when it is none."""
    import gemmi

    try:
        return gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(name))
    except (ValueError, RuntimeError):
        return None


def _of(operation: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation of an operation."""
    return (
        np.array(operation.rot, dtype=float) / operation.DEN,
        np.array(operation.tran, dtype=float) / operation.DEN,
    )


def volume_of(cell: tuple[float, ...]) -> float:
    """Volume of a cell, Å3."""
    import gemmi

    return float(gemmi.UnitCell(*cell).volume)


def images(
    sites: Sequence[Site],
    cell: tuple[float, ...],
    operations: list[tuple[np.ndarray, np.ndarray]],
) -> list[tuple[Site, np.ndarray]]:
    """All images of each site in the cell, shape (n, 3), fractional; each place once."""
    matrix = orthogonal(cell)
    rotations = np.array([rotation for rotation, _ in operations])
    shifts = np.array([shift for _, shift in operations])
    found = []
    for site in sites:
        kept: list[np.ndarray] = []
        for image in np.mod(rotations @ np.array(site.place) + shifts, 1.0):
            if all(_apart(image - other, matrix) > _SAME for other in kept):
                kept.append(image)
        found.append((site, np.array(kept)))
    return found


def orthogonal(cell: tuple[float, ...]) -> np.ndarray:
    """Matrix from fractional to Cartesian coordinates (Å)."""
    import gemmi

    return np.array(gemmi.UnitCell(*cell).orth.mat.tolist())


def _apart(difference: np.ndarray, matrix: np.ndarray) -> float:
    """Distance (Å) of two places, the nearest of their images taken."""
    near = difference - np.round(difference)
    return float(np.linalg.norm(_NEIGHBOURS @ matrix.T + matrix @ near, axis=1).min())


_NEIGHBOURS = np.array(
    [[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)], dtype=float
)


def closest(atoms: list[tuple[Site, np.ndarray]], cell: tuple[float, ...]) -> float:
    """Shortest distance (Å) of two atoms; those that share a place in turns do not count."""
    if not atoms or sum(len(places) for _, places in atoms) > _MOST_ATOMS:
        return np.nan
    matrix = orthogonal(cell)
    places = np.concatenate([places for _, places in atoms])
    shares = np.concatenate([np.full(len(places), one.occupancy) for one, places in atoms])
    shortest = np.inf
    for k in range(len(places)):
        near = places[k + 1 :] - places[k]
        near = (near - np.round(near))[shares[k + 1 :] + shares[k] > 1.02]
        if near.size:
            spans = (near[:, None] + _NEIGHBOURS) @ matrix.T
            shortest = min(shortest, float(np.linalg.norm(spans, axis=2).min()))
    return shortest if np.isfinite(shortest) else np.nan


def content_of(atoms: list[tuple[Site, np.ndarray]]) -> Counter[str]:
    """How many atoms of each element a cell holds."""
    content: Counter[str] = Counter()
    for site, places in atoms:
        content[site.element] += site.occupancy * len(places)  # type: ignore[assignment]
    return content


def mass_of(content: Counter[str]) -> float:
    """Mass of a cell, g/mol; NaN when nothing is in it."""
    known = {element: n for element, n in content.items() if n > 0}
    if not known:
        return np.nan
    return molar_mass("".join(f"{element}{n:.6f}" for element, n in known.items()))


def per_unit(content: Counter[str], z: float, formula: str) -> str:
    """Content of the cell per formula unit, its elements in the order of the formula."""
    if not content:
        return ""
    if not np.isfinite(z):
        whole = [round(n) for n in content.values() if abs(n - round(n)) < 0.01 and round(n)]
        z = math.gcd(*whole) if whole else 1
    order = re.findall("[A-Z][a-z]?", formula)
    elements = sorted(content, key=lambda el: (order.index(el) if el in order else 99, el))
    counts = ((element, content[element] / z) for element in elements)
    return "".join(
        f"{element}{'' if abs(n - 1) < 5e-4 else f'{round(n, 3):g}'}" for element, n in counts if n
    )


def with_sd(value: float, sd: float) -> str:
    """``11.544(6)``: a value with its standard deviation in units of its last digit."""
    if not sd > 0:
        return f"{value:.10g}"
    places = next((n for n in range(9) if abs(sd * 10**n - round(sd * 10**n)) < 1e-6), None)
    if places is None or round(sd * 10**places) == 0:
        places = max(0, 1 - math.floor(math.log10(sd)))
    return f"{value:.{places}f}({round(sd * 10**places)})"
