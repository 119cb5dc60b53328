"""Phases of a series: the cell, bonds and layers of each, and strain from one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.constants import N_A

from chemoscape.crystals.cell_fit import rounded
from chemoscape.crystals.crystal import Cell, Crystal
from chemoscape.crystals.layers import Layers
from chemoscape.errors import LibraryError
from chemoscape.standards._unit_cell import volume_of
from chemoscape.standards.mixing import molar_mass

NAMES = ("a", "b", "c", "alpha", "beta", "gamma")
_UNKNOWN: Cell = (np.nan,) * 6


@dataclass(frozen=True, eq=False)
class StructureRow:
    """A phase of a series.

    Parameters
    ----------
    id, label, phase : str
    value, value_sd : float
        Of the composition variable.
    cell, cell_sd : tuple of 6 float
        Å and degrees; of the standard's lattice, where it names one, else of its CIF.
    cell_from : str
        ``"lattice"`` or ``"cif"``.
    z : float
        Formula units in the cell.
    crystal : Crystal, optional
        With the atoms of its CIF in that cell.
    layers : Layers, optional
        Where it is a structure of layers of pyramids.
    space_group : str
    r_wp : float
        Of the refinement, a fraction.
    reason : str
        Why its axes cannot be compared with those of the reference, else "".
    divide : tuple of 3 int
        What its lengths are divided by before they are compared.
    source : str
    """

    id: str
    label: str
    value: float
    cell: Cell
    cell_sd: Cell = _UNKNOWN
    phase: str = ""
    value_sd: float = np.nan
    cell_from: str = "cif"
    z: float = np.nan
    crystal: Crystal | None = None
    layers: Layers | None = None
    space_group: str = ""
    r_wp: float = np.nan
    reason: str = ""
    divide: tuple[int, int, int] = (1, 1, 1)
    source: str = ""
    formula: str = ""

    @property
    def lengths(self) -> np.ndarray:
        """a, b, c that are compared, Å."""
        return np.array(self.cell[:3]) / self.divide

    @property
    def lengths_sd(self) -> np.ndarray:
        """Their standard deviations; NaN where unknown."""
        return np.array(self.cell_sd[:3]) / self.divide

    @property
    def volume(self) -> float:
        """Of the cell, Å3."""
        return volume_of(self.cell)

    @property
    def volume_sd(self) -> float:
        """Of the volume, Å3, the lengths taken as independent and the angles as exact."""
        relative = np.array(self.cell_sd[:3]) / self.cell[:3]
        known = relative[np.isfinite(relative)]
        return float(self.volume * np.sqrt((known**2).sum())) if known.size else np.nan

    @property
    def volume_per_unit(self) -> float:
        """Å3 for a formula unit."""
        return self.volume / self.z

    @property
    def density(self) -> float:
        """g/cm3, ``M / (N_A V)`` of a formula unit."""
        return molar_mass(self.formula) / (N_A * self.volume_per_unit * 1e-24)

    @property
    def synthetic(self) -> bool:
        """Whether it says that it is no measured structure."""
        said = f"{self.label} {self.source} {self.crystal.name if self.crystal else ''}"
        return "synthetic" in said.lower()


@dataclass(frozen=True, eq=False)
class StructureSeries:
    """Phases in the order of composition, compared with one of them.

    Parameters
    ----------
    variable : str
    rows : tuple of StructureRow
    reference : str
        Id of the row that strain is counted from.
    missing : tuple of str
        Standards without a structure.
    """

    variable: str
    rows: tuple[StructureRow, ...]
    reference: str
    missing: tuple[str, ...] = field(default=())

    @property
    def start(self) -> StructureRow:
        """The reference."""
        return next(row for row in self.rows if row.id == self.reference)

    @property
    def comparable(self) -> tuple[StructureRow, ...]:
        """Rows whose axes are those of the reference."""
        return tuple(row for row in self.rows if not row.reason)

    @property
    def synthetic(self) -> bool:
        """Whether one of them is no measured structure."""
        return any(row.synthetic for row in self.rows)

    def strain(self, row: StructureRow) -> tuple[np.ndarray, np.ndarray]:
        """Eigenstrain along a, b, c and its sd, NaN where axes cannot be compared or sd is unknown.

        e = l / l_reference - 1,   sd² = (l / l_ref)² [(sd / l)² + (sd_ref / l_ref)²]
        """
        if row.reason:
            return np.full(3, np.nan), np.full(3, np.nan)
        start, now = self.start, row.lengths
        ratio = now / start.lengths
        spread = np.hypot(row.lengths_sd / now, start.lengths_sd / start.lengths)
        return ratio - 1, np.where(row.id == start.id, 0.0, ratio * spread)

    def csv(self) -> str:
        """Lattice table that `chemoscape.mechanics.lattice.read_lattice` reads.

        Only rows that can be compared are in it; comments name the others, the sources and the
        standard deviations.

        Raises
        ------
        LibraryError
            Fewer than two rows can be compared.
        """
        rows = self.table_rows()
        lines = [f"# cell parameters (Å) against {self.variable}, by chemoscape"]
        if self.synthetic:
            lines += ["# SYNTHETIC: not measured, for illustration only"]
        for row in self.rows:
            said = ", ".join(
                f"{name} {rounded(value, sd)}"
                for name, value, sd in zip("abc", row.lengths, row.lengths_sd, strict=True)
            )
            kept = f"left out: {row.reason}" if row.reason else said
            lines += [f"# {row.id}: {kept}{f' [{row.source}]' if row.source else ''}"]
        lines += ["x,a,b,c,phase"]
        for row in rows:
            a, b, c = (f"{value:.6f}" for value in row.lengths)
            name = " ".join((row.phase or row.id).replace(",", ";").split())
            lines += [f"{row.value:.6g},{a},{b},{c},{name}"]
        return "\n".join(lines) + "\n"

    def table_rows(self) -> tuple[StructureRow, ...]:
        """Comparable rows in the order of composition, those that repeat one left out.

        Raises
        ------
        LibraryError
            Fewer than two are left.
        """
        rows: list[StructureRow] = []
        for row in self.comparable:
            same = rows and rows[-1].value == row.value
            if same and np.allclose(rows[-1].lengths, row.lengths, rtol=1e-6):
                continue
            rows.append(row)
        if len(rows) < 2:
            raise LibraryError(
                f"{len(rows)} of its structures can be compared, which is no table",
                remedy="attach structures in one setting of the axes, or say what to divide",
            )
        return tuple(rows)

    def facts(self) -> dict[str, Any]:
        """Numbers for machines."""
        return {
            "variable": self.variable,
            "reference": self.reference,
            "synthetic": self.synthetic,
            "missing": list(self.missing),
            "structures": [_facts(row, *self.strain(row)) for row in self.rows],
        }

    def __str__(self) -> str:
        """The table in lines, then what cannot be compared."""
        head = f"{'standard':<24}{'x':>6}  {'a (Å)':<14}{'b (Å)':<13}{'c (Å)':<13}"
        lines = [f"{head}{'V/unit':>8}{'g/cm3':>8}{'canting':>9}{'pucker':>8}  strain a, b, c (%)"]
        for row in self.rows:
            cells = "".join(
                f"{rounded(value, sd):<{width}}"
                for value, sd, width in zip(row.cell, row.cell_sd, (14, 13, 13), strict=False)
            )
            shape = row.layers
            angles = (shape.canting, shape.puckering) if shape else (np.nan, np.nan)
            strain = self.strain(row)[0] * 100
            said = "not comparable" if row.reason else ", ".join(f"{one:+.2f}" for one in strain)
            lines += [
                f"{row.id[:23]:<24}{row.value:>6.3g}  {cells}{row.volume_per_unit:>8.2f}"
                f"{row.density:>8.3f}{angles[0]:>9.2f}{angles[1]:>8.2f}  {said}"
            ]
        lines += [f"{row.id}: {row.reason}" for row in self.rows if row.reason]
        if self.missing:
            lines += [f"without a structure: {', '.join(self.missing)}"]
        if self.synthetic:
            lines += ["Some of these structures are SYNTHETIC: not measured."]
        return "\n".join(lines)


def _facts(row: StructureRow, strain: np.ndarray, sd: np.ndarray) -> dict[str, Any]:
    """Numbers of a row."""
    shape = row.layers
    angles = ("canting", "puckering", "tilt", "apical", "apical_sd", "sixth", "sixth_sd")
    return {
        "id": row.id,
        "phase": row.phase,
        "value": row.value,
        "cell": dict(zip(NAMES, row.cell, strict=True)),
        "cell_sd": dict(zip(NAMES, row.cell_sd, strict=True)),
        "cell_from": row.cell_from,
        "space_group": row.space_group,
        "z": row.z,
        "volume_per_unit_A3": row.volume_per_unit,
        "density": row.density,
        "r_wp": row.r_wp,
        "divide": list(row.divide),
        "not_comparable": row.reason or None,
        "strain": strain.tolist(),
        "strain_sd": sd.tolist(),
        **{name: getattr(shape, name) if shape else None for name in angles},
        "rms_height": shape.rms_height if shape else None,
        "bonds": [
            {
                "from": b.centre,
                "to": b.neighbour,
                "length": b.length,
                "sd": b.sd,
                "n": b.multiplicity,
            }
            for b in (shape.bonds if shape else ())
        ],
        "source": row.source,
    }
