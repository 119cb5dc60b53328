"""Lattice table of the structures of a library: from diffraction to strain."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from chemoscape.errors import ChemoscapeWarning
from chemoscape.mechanics.lattice import Lattice, Status

if TYPE_CHECKING:
    from chemoscape.crystals.rows import StructureSeries


def lattice_from_series(
    series: StructureSeries,
    *,
    axes: tuple[str, str, str] = ("a", "b", "c"),
    source: str = "",
    status: Status | None = None,
) -> Lattice:
    """Lattice of the structures of a library, against its composition.

    Rows whose axes are not those of the reference are left out, and a warning names them.

    Parameters
    ----------
    series : StructureSeries
        As `chemoscape.crystals.structures.structures_of` makes it.
    axes : tuple of 3 str
        As for `Lattice`.
    source : str
        Default: the sources of the structures.
    status : {"measured", "literature", "illustrative"}, optional
        Default: illustrative where one is synthetic or names no source, measured where each cell
        was refined in a pattern of its standard, else literature.

    Raises
    ------
    LibraryError
        Fewer than two rows can be compared.
    MaterialError
        As for `Lattice`.

    Warns
    -----
    ChemoscapeWarning
        A structure is left out.
    """
    rows = series.table_rows()
    for row in series.rows:
        if row.reason:
            warnings.warn(f"{row.id} is left out: {row.reason}", ChemoscapeWarning, stacklevel=2)
    said = "; ".join(dict.fromkeys(row.source for row in rows if row.source))
    if status is None:
        refined = all(row.cell_from == "lattice" and row.r_wp > 0 for row in rows)
        status = "measured" if refined else "literature"
        if series.synthetic or not all(row.source for row in rows):
            status = "illustrative"
    made_up = "SYNTHETIC structures: " if series.synthetic else ""
    a, b, c = np.array([row.lengths for row in rows]).T
    return Lattice(
        tuple(row.value for row in rows),
        tuple(a.tolist()),
        tuple(b.tolist()),
        tuple(c.tolist()),
        phase=tuple(row.phase or row.id for row in rows),
        axes=axes,
        source=source or f"{made_up}{said}",
        status=status,
    )
