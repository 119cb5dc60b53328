"""Check of a powder pattern: it is that of the structure beside it, and of nothing else."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

from chemoscape.crystals.crystal import read_crystal
from chemoscape.crystals.evidence import weigh_pattern
from chemoscape.crystals.reading import read_pattern
from chemoscape.curation.findings import Finding
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning
from chemoscape.formats import _guard
from chemoscape.standards.standard import Standard

#: Share of the strongest line that a foreign one may have.
FOREIGN = 0.01


def check_pattern(standard: Standard, folder: Path | None) -> Finding | None:
    """The powder pattern holds no line that the structure does not explain; None without both.

    The cell is refined in the pattern (`chemoscape.crystals.evidence.weigh_pattern`). Foreign lines
    below 1 % of the strongest are noted and pass.
    """
    evidence = standard.record.evidence
    if not (evidence.cif and evidence.pxrd) or folder is None:
        return None
    wanted = f"foreign lines <= {100 * FOREIGN:g} %"
    finding = partial(Finding, standard.id, "powder pattern", unit="%", threshold=wanted)
    try:
        files = [
            _guard.regular_file(folder / name, inside=folder)
            for name in (evidence.cif, evidence.pxrd)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)  # said when it was attached
            crystal = read_crystal(files[0], name=standard.label)
            found = weigh_pattern(read_pattern(files[1]), crystal)
    except ChemoscapeError as error:
        return finding("not known", remedy=error.remedy, detail=f"{evidence.pxrd}: {error.what}")
    highest = max((line.share for line in found.extra), default=0.0)
    doubts = [one for one in found.doubts if highest > FOREIGN or "not of" not in one]
    told = f"R_wp {100 * found.fit.r_wp:.1f} %, {found.fit.lattice}"
    return finding(
        "warn" if doubts else "pass",
        number=100 * highest,
        remedy="look at the pattern: chemoscape standards cell" if doubts else "",
        detail="; ".join((told, *doubts)),
    )
