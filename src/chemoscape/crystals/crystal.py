"""A crystal: cell, symmetry and atoms, in the arrays that diffraction and distances need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.errors import LibraryError
from chemoscape.standards import _unit_cell
from chemoscape.standards._cif import Site, blocks_of
from chemoscape.standards.structure import Structure, read_structure

Cell = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, eq=False)
class Crystal:
    """Cell, symmetry and atoms of a phase.

    Parameters
    ----------
    name : str
        For figures; synthetic ones say so.
    cell, cell_sd : tuple of 6 float
        a, b, c (Å), alpha, beta, gamma (degrees); standard deviations, NaN where unknown.
    sites : tuple of Site
        Atoms that symmetry does not make of one another.
    rotations, shifts : ndarray (n, 3, 3), (n, 3)
        Symmetry operations on fractional coordinates.
    space_group : str
        Symbol, for people: the operations decide.
    z : float
        Formula units in the cell, NaN where unknown.
    structure : Structure, optional
        What was checked of its CIF.
    """

    name: str
    cell: Cell
    cell_sd: Cell
    sites: tuple[Site, ...]
    rotations: np.ndarray
    shifts: np.ndarray
    space_group: str = ""
    z: float = np.nan
    structure: Structure | None = field(default=None, repr=False)

    @property
    def volume(self) -> float:
        """Volume of the cell, Å3."""
        return _unit_cell.volume_of(self.cell)

    @property
    def matrix(self) -> np.ndarray:
        """From fractional to Cartesian coordinates (Å), shape (3, 3)."""
        return _unit_cell.orthogonal(self.cell)

    def translations(self, reach: float) -> np.ndarray:
        """Lattice translations that bring any image within reach (Å), shape (n, 3)."""
        heights = 1 / np.linalg.norm(np.linalg.inv(self.matrix), axis=1)
        limits = [int(np.ceil(reach / height)) + 1 for height in heights]
        axes = [np.arange(-n, n + 1) for n in limits]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)

    def with_cell(self, cell: Cell, cell_sd: Cell | None = None) -> Crystal:
        """The crystal with its atoms at the same fractions of another cell."""
        unknown: Cell = (np.nan,) * 6
        return replace(self, cell=cell, cell_sd=unknown if cell_sd is None else cell_sd)

    def group_ops(self) -> Any:
        """The operations as gemmi's."""
        import gemmi

        return gemmi.GroupOps([gemmi.Op(one) for one in self.triplets()])

    def triplets(self) -> list[str]:
        """The operations as x,y,z."""
        import gemmi

        found = []
        for rotation, shift in zip(self.rotations, self.shifts, strict=True):
            op = gemmi.Op("x,y,z")
            op.rot = np.rint(rotation * op.DEN).astype(int).tolist()
            op.tran = np.rint(shift * op.DEN).astype(int).tolist()
            found.append(op.triplet())
        return found

    def atoms(self) -> list[tuple[Site, np.ndarray]]:
        """All images of each site in the cell, fractional, each place once."""
        operations = list(zip(self.rotations, self.shifts, strict=True))
        return _unit_cell.images(self.sites, self.cell, operations)

    def cif(self, *comments: str) -> str:
        """The crystal as CIF, with comments at its head."""
        lines = [*(f"# {line}" for line in comments), f"data_{_block_name(self.name)}"]
        lines += [f"_chemical_name_common '{self.name}'"]
        content = _unit_cell.content_of(self.atoms())
        formula = _unit_cell.per_unit(content, self.z, "")
        lines += [f"_chemical_formula_sum '{formula}'"] if formula else []
        if np.isfinite(self.z):
            lines += [f"_cell_formula_units_Z {self.z:g}"]
        names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
        for what, value, sd in zip(names, self.cell, self.cell_sd, strict=True):
            lines += [f"_cell_{what} {_unit_cell.with_sd(round(value, 6), sd)}"]
        if self.space_group:
            lines += [f"_space_group_name_H-M_alt '{self.space_group}'"]
        lines += ["loop_", "_space_group_symop_operation_xyz"]
        lines += [f"'{one}'" for one in self.triplets()]
        tags = ("label", "type_symbol", *(f"fract_{axis}" for axis in "xyz"), "occupancy")
        lines += ["loop_", *(f"_atom_site_{tag}" for tag in tags), "_atom_site_U_iso_or_equiv"]
        for site in self.sites:
            place = " ".join(
                _unit_cell.with_sd(round(value, 6), sd)
                for value, sd in zip(site.place, site.place_sd, strict=True)
            )
            u = f"{site.u_iso:.5f}" if np.isfinite(site.u_iso) else "?"
            lines += [f"{site.label or site.element} {site.element} {place} {site.occupancy:g} {u}"]
        return "\n".join(lines) + "\n"


def as_cell(values: Sequence[float]) -> Cell:
    """Six numbers as a cell."""
    a, b, c, alpha, beta, gamma = (float(value) for value in values)
    return a, b, c, alpha, beta, gamma


def _block_name(name: str) -> str:
    """A name without blanks."""
    return "".join(letter if letter.isalnum() or letter in "._+-" else "_" for letter in name)


def read_crystal(path: str | Path, block: str | None = None, *, name: str = "") -> Crystal:
    """Crystal of a CIF, checked as `read_structure` checks it.

    Parameters
    ----------
    path : str or Path
    block : str, optional
        As for `read_structure`.
    name : str
        Default: the file's.

    Raises
    ------
    FileFormatError, LibraryError
        As for `read_structure`.
    """
    structure = read_structure(path, block)
    blocks = blocks_of(path)
    one = blocks[block if block is not None else next(iter(blocks))]
    operations, group, _ = _unit_cell.symmetry_of(one)
    return Crystal(
        name=name or Path(path).stem,
        cell=one.cell,
        cell_sd=one.cell_sd,
        sites=one.sites,
        rotations=np.array([rotation for rotation, _ in operations]),
        shifts=np.array([shift for _, shift in operations]),
        space_group=group,
        z=one.z,
        structure=structure,
    )


def require_sites(crystal: Crystal) -> None:
    """Refuse a crystal without atoms where they are needed.

    Raises
    ------
    LibraryError
        It lists no atoms.
    """
    if not crystal.sites:
        raise LibraryError(
            "lists no atoms", crystal.name, "give the CIF of a structure, with its coordinates"
        )
