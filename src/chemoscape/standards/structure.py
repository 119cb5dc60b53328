"""Crystal structures: what a CIF says of a phase, and whether its parts agree.

The density of a CIF can be had three ways: as its authors state it, from formula, Z and cell, and
from the sites, put into the whole cell by the symmetry operations. The first two do not notice
coordinates that belong to another origin than the operations: sites then leave the mirrors and axes
they should lie on, their multiplicity grows, and atoms come to lie inside each other. So all three
are kept, beside the shortest distance of two sites.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.constants import N_A

from chemoscape.errors import ChemoscapeWarning, LibraryError
from chemoscape.standards import _unit_cell
from chemoscape.standards._cif import Block, Site, blocks_of
from chemoscape.standards.mixing import mass_fractions, molar_mass
from chemoscape.standards.standard import Standard

_CM3 = 1e-24  # of an Å3

#: Densities and mass fractions that differ by more than this do not agree.
DENSITY_TOLERANCE = 0.05
FRACTION_TOLERANCE = 0.02
#: An element with less of the mass than this in both formulas is not asked for: diffraction hardly
#: sees lithium (3 % of Li0.9V2O5; LiFePO4, with 4.4 %, is still told from FePO4).
LEAST_FRACTION = 0.04

#: No two atoms are nearer than this (Å), but hydrogen is to its neighbour.
_CLOSEST, _CLOSEST_TO_H = 1.0, 0.55


@dataclass(frozen=True)
class Structure:
    """A phase as its CIF describes it; what the file does not say is ``""`` or NaN.

    Parameters
    ----------
    formula : str
        ``_chemical_formula_sum``.
    formula_from_sites : str
        Content of the cell by its sites, per formula unit (per cell where Z is unknown, divided by
        what divides it).
    z : float
        Formula units in the cell.
    cell, cell_sd : tuple of 6 float
        a, b, c (Å), alpha, beta, gamma (degrees), and their standard deviations.
    volume : float
        Å3, of that cell.
    space_group : str
        Hermann-Mauguin symbol.
    density : float
        g/cm3: ``Z M / (N_A V)``.
    density_from_sites : float
        g/cm3: masses of all sites in the cell over its volume.
    density_stated : float
        ``_exptl_crystal_density_diffrn``, or ``…_meas``.
    closest : float
        Shortest distance (Å) of two sites that can be occupied at once.
    problems : tuple of str
        Sentences about what does not agree; empty when all does.
    source : str
        First author, journal, year, doi.
    r_wp, goodness_of_fit : float
        Weighted profile residual (a fraction) and ``R_wp / R_expected`` of the refinement that
        made the file, as its program wrote them.
    """

    formula: str
    formula_from_sites: str
    z: float
    cell: tuple[float, float, float, float, float, float]
    cell_sd: tuple[float, float, float, float, float, float]
    volume: float
    space_group: str
    density: float
    density_from_sites: float
    density_stated: float
    closest: float = np.nan
    problems: tuple[str, ...] = ()
    source: str = ""
    r_wp: float = np.nan
    goodness_of_fit: float = np.nan

    @property
    def lattice(self) -> str:
        """Cell in words, standard deviations in parentheses.

        Examples
        --------
        >>> nan = float("nan")
        >>> cell, sd = (11.544, 3.571, 4.383, 90.0, 90.0, 90.0), (0.006, nan, nan, nan, nan, nan)
        >>> Structure("", "", nan, cell, sd, 180.68, "P m m n", nan, nan, nan).lattice
        'a = 11.544(6), b = 3.571, c = 4.383 Å, alpha = 90, beta = 90, gamma = 90 deg'
        """
        a, b, c, alpha, beta, gamma = map(_unit_cell.with_sd, self.cell, self.cell_sd)
        lengths, angles = f"a = {a}, b = {b}, c = {c}", f"alpha = {alpha}, beta = {beta}"
        return f"{lengths} Å, {angles}, gamma = {gamma} deg"

    @property
    def best_density(self) -> tuple[float, str]:
        """Density (g/cm3) to be used, and how it is known; NaN where none can be trusted.

        None can where formula and Z make another than the sites and the file does not state it: Z
        may be wrong, or the origin.
        """
        odd = abs(self.density_from_sites / self.density - 1) > DENSITY_TOLERANCE
        if odd and not abs(self.density_stated / self.density - 1) <= DENSITY_TOLERANCE:
            return np.nan, ""
        if np.isfinite(self.density):
            return self.density, "from formula, Z and cell"
        if np.isfinite(self.density_stated):
            return self.density_stated, "as stated"
        if np.isfinite(self.density_from_sites) and not self.problems:
            return self.density_from_sites, "from cell and sites"
        return np.nan, ""


def read_structure(path: str | Path, block: str | None = None) -> Structure:
    """Structure of a CIF.

    Parameters
    ----------
    path : str or Path
        CIF, of small molecules or with the newer dotted names.
    block : str, optional
        Name of the data block, where several hold a structure; else the first is read.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, or holds no cell.
    LibraryError
        There is no such block.

    Warns
    -----
    ChemoscapeWarning
        There are several structures and none was asked for.
    """
    found = blocks_of(path)
    if block is not None and block not in found:
        raise LibraryError(
            f"holds no structure {block!r}", str(path), f"choose one of {', '.join(found)}"
        )
    if block is None and len(found) > 1:
        warnings.warn(
            f"{path}: holds {len(found)} structures ({', '.join(found)}), and the first is read",
            ChemoscapeWarning,
            stacklevel=2,
        )
    return _structure(found[block if block is not None else next(iter(found))])


def attach_structure(standard: Standard, path_in_folder: str, structure: Structure) -> Standard:
    """A standard with the evidence of a CIF; what it says already is never overwritten.

    Parameters
    ----------
    standard : Standard
    path_in_folder : str
        Of the CIF, in the library's folder, as in ``"cif/v2o5.cif"``.
    structure : Structure
        What `read_structure` found in it.

    Returns
    -------
    Standard
        With ``evidence.cif``, lattice, space group, R_wp, and, where they were unknown, formula,
        molar mass, density and its source.

    Raises
    ------
    LibraryError
        The standard names another CIF already.

    Warns
    -----
    ChemoscapeWarning
        Formula or space group differ, the densities by more than 5 %, or the CIF contradicts
        itself.
    """
    record, where = standard.record, f"standard {standard.id!r}"
    if record.evidence.cif not in ("", path_in_folder):
        raise LibraryError(
            f"names the structure {record.evidence.cif!r} already",
            where,
            f"remove it before you attach {path_in_folder!r}",
        )
    density, how = structure.best_density
    said = [f"{path_in_folder}: {problem}" for problem in structure.problems]
    if standard.formula and differ(standard.formula, structure.formula):
        said.append(f"its formula is {standard.formula}, that of the CIF {structure.formula}")
    if abs(standard.density / density - 1) > DENSITY_TOLERANCE:
        said.append(
            f"its density is {standard.density:.3f} g/cm3, that of the CIF {density:.3f} g/cm3"
        )
    group = record.evidence.space_group
    if group and structure.space_group and _plain(group) != _plain(structure.space_group):
        said.append(f"its space group is {group}, that of the CIF {structure.space_group}")
    for one in said:
        warnings.warn(f"{where}: {one}", ChemoscapeWarning, stacklevel=2)
    evidence: dict[str, Any] = {
        "cif": path_in_folder,
        "lattice": record.evidence.lattice or structure.lattice,
        "space_group": group or structure.space_group,
    }
    if np.isnan(record.evidence.r_wp):
        evidence["r_wp"] = structure.r_wp
    if np.isnan(standard.density) and np.isfinite(density):
        evidence["density_source"] = f"{path_in_folder}, {how}"
    return replace(
        standard,
        formula=standard.formula or structure.formula.replace(" ", ""),
        density=density if np.isnan(standard.density) else standard.density,
        record=record.with_(**evidence),
    )


def formula_difference(one: str, other: str) -> float:
    """Largest difference of an element's mass fraction in two formulas; NaN if one is empty.

    ``max_i |w_i - w'_i|`` over the elements that have 4 % of the mass or more in either.

    Examples
    --------
    >>> round(formula_difference("V2O5", "VO2"), 3)
    0.054
    """
    if not (one and other):
        return np.nan
    a, b = mass_fractions(one), mass_fractions(other)
    pairs = ((a.get(element, 0.0), b.get(element, 0.0)) for element in {*a, *b})
    return max((abs(x - y) for x, y in pairs if max(x, y) >= LEAST_FRACTION), default=0.0)


def differ(one: str, other: str) -> bool:
    """Whether two formulas differ by more than 2 % of the mass; no if one is empty.

    Examples
    --------
    >>> differ("V2O5", "V4 O10"), differ("V2O5", "VO2"), differ("V2O5", "")
    (False, True, False)
    """
    return formula_difference(one, other) > FRACTION_TOLERANCE


def _structure(block: Block) -> Structure:
    """Structure of a data block, checked."""
    volume = _unit_cell.volume_of(block.cell)
    operations, group, doubts = _unit_cell.symmetry_of(block)
    atoms = _unit_cell.images(block.sites, block.cell, operations)
    content = _unit_cell.content_of(atoms)
    formula = block.formula
    structure = Structure(
        formula=formula,
        formula_from_sites=_unit_cell.per_unit(content, block.z, formula),
        z=block.z,
        cell=block.cell,
        cell_sd=block.cell_sd,
        volume=volume,
        space_group=group,
        density=block.z * molar_mass(formula) / (N_A * volume * _CM3),
        density_from_sites=_unit_cell.mass_of(content) / (N_A * volume * _CM3),
        density_stated=block.density,
        closest=_unit_cell.closest(atoms, block.cell),
        source=block.source,
        r_wp=block.fit.r_wp,
        goodness_of_fit=block.fit.goodness,
    )
    return replace(
        structure,
        problems=(
            *(*block.doubts, *filter(None, [block.fit.doubt]), *doubts),
            *_problems(structure, block, atoms),
        ),
    )


def _problems(
    one: Structure, block: Block, atoms: list[tuple[Site, np.ndarray]]
) -> tuple[str, ...]:
    """What does not agree in a structure."""
    problems = []
    if differ(one.formula, one.formula_from_sites):
        problems.append(f"its sites make {one.formula_from_sites}, its formula says {one.formula}")
    hydrogen = any(site.element in ("H", "D") for site, _ in atoms)
    close = one.closest < (_CLOSEST_TO_H if hydrogen else _CLOSEST)
    if close:
        problems.append(f"two of its atoms are {one.closest:.2f} Å apart")
    sites = one.density_from_sites
    for density, name in ((one.density, "formula and Z give"), (one.density_stated, "it states")):
        if abs(sites / density - 1) > DENSITY_TOLERANCE:
            problems.append(f"its sites give {sites:.2f} g/cm3, {name} {density:.2f} g/cm3")
    if abs(one.density / one.density_stated - 1) > DENSITY_TOLERANCE:
        problems.append(
            f"formula and Z give {one.density:.2f} g/cm3, it states {one.density_stated:.2f} g/cm3"
        )
    if block.volume > 0 and abs(one.volume / block.volume - 1) > 0.01:
        problems.append(f"its cell has {one.volume:.1f} Å3, it states {block.volume:.1f} Å3")
    if close or any(text.startswith("its sites") for text in problems):
        problems.append(
            "its Z may be wrong, or its coordinates may belong to another origin or setting than "
            "its symmetry operations"
        )
    return tuple(problems)


def _plain(group: str) -> str:
    """Symbol of a space group without blanks and choice of origin."""
    return re.sub(r"\s|:\w+$", "", group).lower()
