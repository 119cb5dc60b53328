"""Structures of a library side by side, against its composition variable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from chemoscape.crystals.crystal import Cell, Crystal, read_crystal
from chemoscape.crystals.layers import Layers, describe_layers
from chemoscape.crystals.rows import NAMES, StructureRow, StructureSeries
from chemoscape.errors import LibraryError
from chemoscape.formats import _guard
from chemoscape.standards._profile_fit import number_of
from chemoscape.standards._unit_cell import content_of
from chemoscape.standards.library import Library
from chemoscape.standards.mixing import molar_mass
from chemoscape.standards.standard import Standard

#: Lengths of cells that describe the same axes differ by less than this share, angles by less than
#: this many degrees, volumes per formula unit by less than the last.
SAME_AXIS, SAME_ANGLE, SAME_VOLUME = 0.15, 5.0, 0.25


def structures_of(
    library: Library,
    *,
    reference: str | None = None,
    divide: Mapping[str, Sequence[int]] | None = None,
) -> StructureSeries:
    """The structures that a library's standards name as evidence.

    The cell is that of the standard's ``evidence.lattice`` where it says one, else the CIF's; atoms
    are the CIF's, at their fractions of that cell.

    Parameters
    ----------
    library : Library
        Opened from a folder; its standards' values are known.
    reference : str, optional
        Id of the standard that strain is counted from; default: that of the smallest value.
    divide : mapping of str to 3 int, optional
        Ids whose lengths hold several of the reference's, as (1, 1, 2) for a doubled c. Without it
        such a row is flagged and left out of what compares lengths, never divided silently.

    Raises
    ------
    LibraryError
        None of the standards has a structure, the reference is not among them, or a value is
        unknown.
    """
    rows, missing = [], []
    for standard in library.standards:
        row = _row(standard, library.folder)
        if row is None:
            missing.append(standard.id)
        else:
            rows.append(row)
    if not rows:
        raise LibraryError(
            "has no structure",
            f"library {library.id!r}",
            "attach a CIF: chemoscape standards attach LIBRARY ID --cif FILE",
        )
    return series_of(
        rows, library.variable, reference=reference, divide=divide, missing=tuple(missing)
    )


def series_of(
    rows: Iterable[StructureRow],
    variable: str,
    *,
    reference: str | None = None,
    divide: Mapping[str, Sequence[int]] | None = None,
    missing: tuple[str, ...] = (),
) -> StructureSeries:
    """Rows as a series, those flagged whose axes are not the reference's.

    Raises
    ------
    LibraryError
        As for `structures_of`.
    """
    ordered = sorted(rows, key=lambda row: row.value)
    names = [row.id for row in ordered]
    for row in ordered:
        if np.isnan(row.value):
            raise LibraryError(
                f"the {variable} of {row.id!r} is unknown",
                remedy="set it: chemoscape standards set LIBRARY ID --value X",
            )
    unknown = [one for one in (reference, *(divide or {})) if one is not None and one not in names]
    if unknown:
        raise LibraryError(
            f"no structure belongs to {unknown[0]!r}", remedy=f"choose one of {', '.join(names)}"
        )
    divided = [replace(row, divide=_divisors(row, divide or {})) for row in ordered]
    start = divided[names.index(reference)] if reference else divided[0]
    judged = tuple(replace(row, reason=_not_comparable(row, start)) for row in divided)
    return StructureSeries(variable, judged, start.id, missing)


def _divisors(row: StructureRow, divide: Mapping[str, Sequence[int]]) -> tuple[int, int, int]:
    """What the lengths of a row are to be divided by."""
    given = tuple(int(one) for one in divide.get(row.id, (1, 1, 1)))
    if len(given) != 3 or min(given) < 1:
        raise LibraryError(
            f"the lengths of {row.id!r} are to be divided by {given}",
            remedy="give three whole numbers, as 1 1 2 for a doubled c",
        )
    return given[0], given[1], given[2]


def _not_comparable(row: StructureRow, start: StructureRow) -> str:
    """Why the lengths of two cells are not those of the same axes, "" where they are."""
    ratios = row.lengths / start.lengths
    volume = row.volume_per_unit / start.volume_per_unit
    if abs(volume - 1) > SAME_VOLUME:
        return (
            f"a formula unit takes {row.volume_per_unit:.1f} Å3, that of {start.id} "
            f"{start.volume_per_unit:.1f} Å3: another compound, or a wrong Z"
        )
    angles = np.abs(np.subtract(row.cell[3:], start.cell[3:]))
    if (np.abs(ratios - 1) < SAME_AXIS).all() and (angles < SAME_ANGLE).all():
        return ""
    if (angles >= SAME_ANGLE).any():
        return f"its angles differ from those of {start.id}: another setting of the axes"
    whole = np.rint(ratios)
    if (np.abs(ratios / np.maximum(whole, 1) - 1) < SAME_AXIS).all() and (whole >= 1).all():
        said = " and ".join(
            f"{name} is {int(k)} times that" for name, k in zip("abc", whole, strict=True) if k > 1
        )
        by = ",".join(str(int(k)) for k in whole)
        return f"its {said} of {start.id}, another setting of the cell (--divide {row.id}={by})"
    said = ", ".join(f"{one:.2f}" for one in ratios)
    return f"its a, b, c are {said} times those of {start.id}: another setting of the axes"


def _row(standard: Standard, folder: Path | None) -> StructureRow | None:
    """What is known of a standard's structure; None where it names neither CIF nor lattice."""
    evidence = standard.record.evidence
    stated = cell_in(evidence.lattice)
    crystal = None
    if evidence.cif and folder is not None:
        path = _guard.regular_file(folder / evidence.cif, inside=folder)
        crystal = read_crystal(path, name=standard.label)
    if crystal is None and stated is None:
        return None
    cell, sd = stated if stated is not None else (crystal.cell, crystal.cell_sd)  # type: ignore[union-attr]
    layers = None
    if crystal is not None:
        crystal = crystal.with_cell(cell, sd)
        layers = _layers(crystal)
    structure = crystal.structure if crystal else None
    formula = standard.formula or (structure.formula_from_sites if structure else "")
    return StructureRow(
        id=standard.id,
        label=standard.label,
        value=standard.value,
        value_sd=standard.value_sd,
        cell=cell,
        cell_sd=sd,
        phase=standard.record.sample.phase,
        cell_from="lattice" if stated is not None else "cif",
        z=_formula_units(crystal, formula),
        crystal=crystal,
        layers=layers,
        space_group=evidence.space_group or (crystal.space_group if crystal else ""),
        r_wp=evidence.r_wp,
        source=(structure.source if structure else "") or evidence.cif,
        formula=formula,
    )


def _layers(crystal: Crystal) -> Layers | None:
    """Shape of its layers, None where it has none."""
    try:
        return describe_layers(crystal)
    except LibraryError:
        return None


def _formula_units(crystal: Crystal | None, formula: str) -> float:
    """Z as stated, else by the mass of the cell over that of the formula."""
    if crystal is None:
        return np.nan
    if np.isfinite(crystal.z) or not formula or not crystal.sites:
        return crystal.z
    content = content_of(crystal.atoms())
    mass = molar_mass("".join(f"{element}{n:.6f}" for element, n in content.items() if n > 0))
    return float(max(1, round(mass / molar_mass(formula))))


def cell_in(text: str) -> tuple[Cell, Cell] | None:
    """Cell and its sd of words such as ``a = 11.544(6), b = …, gamma = 90 deg``; None elsewhere.

    Examples
    --------
    >>> cell_in("a = 11.544(6), b = 3.571, c = 4.383 Å, alpha = 90, beta = 90, gamma = 90 deg")[0]
    (11.544, 3.571, 4.383, 90.0, 90.0, 90.0)
    """
    found = {}
    for name in NAMES:
        match = re.search(rf"\b{name}\s*=\s*([-\d.]+(?:\(\d+\))?)", text)
        if match is None and name in "abc":
            return None
        found[name] = number_of(match[1]) if match else (90.0, np.nan)
    values = [found[name] for name in NAMES]
    if not all(np.isfinite(value) and value > 0 for value, _ in values):
        return None
    a, b, c, alpha, beta, gamma = values
    cell = (a[0], b[0], c[0], alpha[0], beta[0], gamma[0])
    return cell, (a[1], b[1], c[1], alpha[1], beta[1], gamma[1])
