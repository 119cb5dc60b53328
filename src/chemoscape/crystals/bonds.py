"""Distances between atoms of a crystal, and their standard deviations by those of its CIF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chemoscape.crystals.cell_fit import rounded
from chemoscape.crystals.crystal import Crystal, as_cell, require_sites
from chemoscape.crystals.metric import metric
from chemoscape.errors import LibraryError
from chemoscape.standards.mixing import mass_fractions

#: Distances that differ by less (Å) at one site to one other are the same by symmetry.
_SAME = 1e-4
#: Elements that are no centres, by custom.
ANIONS = ("O", "F", "Cl", "Br", "I", "S", "Se", "Te", "N", "H", "C", "P")
#: Elements that move in and out, and are not what a host's bonds are counted from.
GUESTS = ("Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Zn")


@dataclass(frozen=True)
class Bond:
    """Distances of one length from one atom.

    Parameters
    ----------
    centre, neighbour : str
        Labels of the sites.
    length, sd : float
        Å; sd NaN where the CIF gives none for any of the coordinates and lengths involved.
    multiplicity : int
        How many such neighbours the atom has.
    vectors : ndarray (multiplicity, 3)
        From the atom to them, Cartesian, Å.
    occupancy : float
        Of the neighbour's site.
    """

    centre: str
    neighbour: str
    length: float
    sd: float
    multiplicity: int
    vectors: np.ndarray
    occupancy: float = 1.0

    def __str__(self) -> str:
        """As in ``V1-O2 1.8789(7) ×2``."""
        times = f" ×{self.multiplicity}" if self.multiplicity > 1 else ""
        return f"{self.centre}-{self.neighbour} {rounded(round(self.length, 4), self.sd)}{times}"


def bonds(
    crystal: Crystal,
    *,
    centre: str | None = None,
    neighbours: Sequence[str] = ("O",),
    longest: float = 3.0,
) -> tuple[Bond, ...]:
    """Distances from each site of an element to others, by site, then by length.

        ``d = |M (R r_j + t + n - r_i)|``

    The variance is first order in the coordinates and lengths of the cell, taken as independent;
    coordinates that symmetry fixes have none. `M` is from fractional to Cartesian.

    Parameters
    ----------
    crystal : Crystal
    centre : str, optional
        Element; default: the one with the largest share of the mass that is neither an anion nor a
        guest such as lithium.
    neighbours : sequence of str
        Elements.
    longest : float
        Å.

    Raises
    ------
    LibraryError
        There are no atoms, or none of these elements.
    """
    require_sites(crystal)
    centre = centre or centre_of(crystal)
    middles = [site for site in crystal.sites if site.element == centre]
    if not middles or not any(site.element in neighbours for site in crystal.sites):
        raise LibraryError(
            f"has no {centre} with {' or '.join(neighbours)} about it",
            crystal.name,
            "name elements that it holds",
        )
    found: list[Bond] = []
    matrix, cells = crystal.matrix, crystal.translations(longest)
    variances = _Variances(crystal)
    for i, middle in enumerate(crystal.sites):
        if middle.element != centre:
            continue
        start = np.array(middle.place)
        near: list[Bond] = []
        for j, other in enumerate(crystal.sites):
            if other.element not in neighbours:
                continue
            images, rotations = _images(crystal, j)
            spans = (images[:, None] + cells - start).reshape(-1, 3)
            turned = np.repeat(np.arange(len(images)), len(cells))
            lengths = np.linalg.norm(spans @ matrix.T, axis=1)
            close = (lengths <= longest) & (lengths > 0.1)
            order = np.argsort(lengths[close], kind="stable")
            spans, turned = spans[close][order], turned[close][order]
            lengths = lengths[close][order]
            cuts = np.flatnonzero(np.diff(lengths) > _SAME) + 1
            for part in np.split(np.arange(len(lengths)), cuts):
                if not len(part):
                    continue
                first = part[0]
                sd = variances.sd(spans[first], i, j, rotations[turned[first]])
                names = (_label(middle, i), _label(other, j))
                near.append(
                    Bond(
                        *names,
                        float(lengths[first]),
                        sd,
                        len(part),
                        spans[part] @ matrix.T,
                        other.occupancy,
                    )
                )
        found += sorted(near, key=lambda bond: bond.length)
    return tuple(found)


def centre_of(crystal: Crystal) -> str:
    """The element whose surroundings say most: the heaviest share that is no anion, no guest.

    Raises
    ------
    LibraryError
        There is none.
    """
    elements = {site.element for site in crystal.sites}
    good = [one for one in elements if one not in ANIONS] or sorted(elements)
    hosts = [one for one in good if one not in GUESTS] or good
    if not hosts:
        raise LibraryError("lists no atoms", crystal.name, "give a structure with its coordinates")
    counts = {
        one: sum(s.occupancy * len(p) for s, p in crystal.atoms() if s.element == one)
        for one in hosts
    }
    formula = "".join(f"{one}{count:.4f}" for one, count in counts.items() if count > 0)
    shares = mass_fractions(formula)
    return max(sorted(shares), key=lambda one: shares[one])


def _label(site: object, k: int) -> str:
    """Label of a site, or its element and number."""
    label = getattr(site, "label", "")
    return str(label or f"{getattr(site, 'element', '')}{k + 1}")


def _images(crystal: Crystal, j: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of a site in the cell, each once, and the rotation that makes each."""
    place = np.array(crystal.sites[j].place)
    raw = np.mod(crystal.rotations @ place + crystal.shifts, 1.0)
    kept: list[int] = []
    for k, image in enumerate(raw):
        gaps = raw[kept] - image if kept else np.empty((0, 3))
        gaps = gaps - np.round(gaps)
        if not (np.linalg.norm(gaps @ crystal.matrix.T, axis=1) < 0.1).any():
            kept.append(k)
    return raw[kept], crystal.rotations[kept]


class _Variances:
    """First-order standard deviations of distances."""

    def __init__(self, crystal: Crystal) -> None:
        self.crystal = crystal
        self.metric = metric(crystal.cell)
        self.places = [np.array(site.place_sd, float) for site in crystal.sites]
        self.lengths = np.array(crystal.cell_sd, float)
        known = np.isfinite(self.lengths).any() or any(np.isfinite(p).any() for p in self.places)
        self.known = bool(known)

    def sd(self, span: np.ndarray, i: int, j: int, rotation: np.ndarray) -> float:
        """Of the distance over a fractional span from site i to a turned image of site j."""
        if not self.known:
            return np.nan
        length = float(np.sqrt(span @ self.metric @ span))
        slope = self.metric @ span / length  # against the span
        of_j, of_i = rotation.T @ slope, -slope
        if i == j:
            terms = [((of_j + of_i), self.places[i])]
        else:
            terms = [(of_j, self.places[j]), (of_i, self.places[i])]
        variance = sum(float(np.nansum((one * sd) ** 2)) for one, sd in terms)
        for k, sd in enumerate(self.lengths):
            if np.isfinite(sd) and sd > 0:
                cell = list(self.crystal.cell)
                cell[k] += 1e-5
                moved = np.sqrt(span @ metric(as_cell(cell)) @ span)
                variance += float((moved - length) / 1e-5 * sd) ** 2
        return float(np.sqrt(variance)) if variance > 0 else np.nan
