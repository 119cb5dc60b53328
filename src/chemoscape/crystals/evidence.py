"""What a powder pattern says of the structure that a standard claims to have."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.crystals.cell_fit import CellFit
from chemoscape.crystals.crystal import Cell, Crystal, read_crystal
from chemoscape.crystals.extra_lines import ExtraLine, extra_lines
from chemoscape.crystals.pattern import Pattern
from chemoscape.crystals.radiation import Radiation
from chemoscape.crystals.reading import read_pattern
from chemoscape.crystals.reflections import relative_intensities
from chemoscape.crystals.whole_pattern import refine_cell
from chemoscape.errors import ChemoscapeWarning, FileFormatError, FitError, LibraryError
from chemoscape.formats import _guard
from chemoscape.standards.changing import attach_evidence
from chemoscape.standards.folder import read_library
from chemoscape.standards.library import Library
from chemoscape.standards.structure import read_structure

#: A fit is called poor where both exceed these: the residual above background, and its excess over
#: what noise allows.
POOR_R_WP, POOR_GOODNESS = 0.20, 3.0
#: A cell that differs from the CIF's by more than this share is said to.
OTHER_CELL = 0.005
#: Residuals this many times what noise allows are too small for the sd that were given.
TOO_GOOD = 0.5
#: A length whose sd exceeds this share is not determined.
UNDETERMINED = 0.01
#: Intensities that differ from the structure's by more than this share of their sum are said to.
OTHER_INTENSITIES = 0.5


@dataclass(frozen=True, eq=False)
class PatternEvidence:
    """A pattern fitted by the cell of its phase, and what the fit leaves over.

    Parameters
    ----------
    fit : CellFit
    extra : tuple of ExtraLine
        Lines that the phase does not explain.
    expected : tuple of 6 float
        The structure's own cell, wherever the fit began.
    r_intensity : float
        ``Σ |I_fit - s I_calc| / Σ I_fit``, lines closer than a width taken together and s of least
        sum: how far intensities are from the structure's (texture, other coordinates, another
        phase). NaN where the CIF has no atoms.
    """

    fit: CellFit
    extra: tuple[ExtraLine, ...]
    r_intensity: float
    expected: Cell

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences about what should be looked at; empty when nothing should."""
        fit, said = self.fit, []
        if fit.r_wp_net > POOR_R_WP and fit.goodness > POOR_GOODNESS:
            said.append(
                f"the fit is poor: R_wp {100 * fit.r_wp:.1f} %, {fit.goodness:.1f} times what "
                "noise allows; a hump asks for more polynomials of background"
            )
        if self.extra:
            first = self.extra[0]
            said.append(
                f"{len(self.extra)} {'line is' if len(self.extra) == 1 else 'lines are'} not of "
                f"{fit.phase}, the strongest at {first}"
            )
        if self.r_intensity > OTHER_INTENSITIES:
            said.append(
                f"intensities differ from those of the structure by {100 * self.r_intensity:.0f} %:"
                " texture, other coordinates, or another phase"
            )
        if self.undetermined:
            said.append(f"its {' and '.join(self.undetermined)} cannot be told from this pattern")
        if fit.goodness < TOO_GOOD:
            said.append(
                f"the fit is {1 / fit.goodness:.1f} times better than noise allows: its standard "
                "deviations are too large, or its third column is no sd"
            )
        change = np.array(fit.cell[:3]) / self.expected[:3] - 1
        told = np.array(fit.cell_sd[:3]) < UNDETERMINED * np.array(fit.cell[:3])
        change = np.where(told, change, 0.0)
        if (np.abs(change) > OTHER_CELL).any():
            k = int(np.abs(change).argmax())
            said.append(
                f"its {'abc'[k]} is {100 * change[k]:+.2f} % from that of the structure: another "
                "composition, or another phase"
            )
        return tuple(said)

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Lengths of the cell that the pattern does not tell, as where all its flakes lie flat."""
        lengths = zip("abc", self.fit.cell, self.fit.cell_sd, strict=False)
        return tuple(name for name, value, sd in lengths if sd > UNDETERMINED * value)

    def facts(self) -> dict[str, Any]:
        """Numbers for machines."""
        lines = [{**vars(one), "phases": list(one.phases)} for one in self.extra]
        return {
            **self.fit.facts(),
            "r_intensity": self.r_intensity,
            "extra_lines": lines,
            "doubts": list(self.doubts),
        }

    def __str__(self) -> str:
        """The fit, the lines left over, and the doubts."""
        lines = [str(self.fit)]
        if np.isfinite(self.r_intensity):
            lines += [f"  intensities are {100 * self.r_intensity:.0f} % from the structure's"]
        lines += [f"  not of the phase: {one}" for one in self.extra]
        if not self.extra:
            lines += ["  no line that the phase does not explain"]
        return "\n".join(lines)


def weigh_pattern(
    pattern: Pattern,
    crystal: Crystal,
    known: Sequence[Crystal] = (),
    *,
    start: Cell | None = None,
    **options: Any,
) -> PatternEvidence:
    """Fit a pattern by the cell of its phase, and look for what the phase does not explain.

    Parameters
    ----------
    pattern, crystal
        As for `refine_cell`, which takes the options.
    known : sequence of Crystal
        Other phases that extra lines are compared with.
    start : tuple of 6 float, optional
        Where the fit begins; default: the crystal's cell, with which the fitted one is compared.
    """
    fit = refine_cell(pattern, crystal.with_cell(start) if start else crystal, **options)
    return PatternEvidence(fit, extra_lines(fit, known), _r_intensity(fit, crystal), crystal.cell)


def _r_intensity(fit: CellFit, crystal: Crystal) -> float:
    """How far fitted intensities are from the structure's."""
    if not crystal.sites:
        return np.nan
    low, high = fit.pattern.two_theta[[0, -1]]
    inside = (fit.angles > low) & (fit.angles < high)
    order = np.flatnonzero(inside)[np.argsort(fit.angles[inside])]
    if not len(order):
        return np.nan
    calculated = relative_intensities(
        crystal.with_cell(fit.cell), fit.reflections, fit.pattern.radiation
    )
    gaps = np.diff(fit.angles[order]) > fit.profile.fwhm(fit.angles[order][1:])
    group = np.r_[0, np.cumsum(gaps)]
    observed = np.bincount(group, fit.intensities[order])
    expected = np.bincount(group, calculated[order])
    scale = observed.sum() / expected.sum()
    return float(np.abs(observed - scale * expected).sum() / observed.sum())


def attach_with_pattern(
    folder: str | Path,
    id: str,
    *,
    cif: str | Path | None = None,
    pxrd: str | Path | None = None,
    wavelength: str | float | Radiation | None = None,
) -> tuple[Library, PatternEvidence | None]:
    """Attach a structure, a pattern or both, and weigh the pattern where both are there.

    As `attach_evidence`; the other of the two may have been attached before. R_wp becomes that of
    the fit where none is known, and the lattice that of the fit where it is unknown or the CIF's:
    the pattern is of this sample. A pattern that cannot be read or fitted is kept all the same.

    Returns
    -------
    library : Library
        As it is now.
    evidence : PatternEvidence or None

    Raises
    ------
    LibraryError, FileFormatError
        As for `attach_evidence`.

    Warns
    -----
    ChemoscapeWarning
        The pattern cannot be read or fitted, or leaves doubts.
    """
    library = read_library(folder)
    standard = library.select(id).standards[0]
    named, place = standard.record.evidence, library.folder
    structure_file, pattern_file = (
        given or (_guard.regular_file(place / name, inside=place) if place and name else None)
        for given, name in ((cif, named.cif), (pxrd, named.pxrd))
    )
    found: PatternEvidence | None = None
    also: dict[str, Any] = {}
    if structure_file is not None and pattern_file is not None:
        crystal = read_crystal(structure_file, name=standard.label)
        try:
            found = weigh_pattern(read_pattern(pattern_file, wavelength=wavelength), crystal)
        except (FileFormatError, FitError, LibraryError) as error:
            warnings.warn(
                f"the pattern is kept but says nothing: {error}", ChemoscapeWarning, stacklevel=2
            )
    if found is not None:
        for doubt in found.doubts:
            warnings.warn(f"standard {id!r}: {doubt}", ChemoscapeWarning, stacklevel=2)
        own = read_structure(structure_file) if structure_file is not None else None
        if np.isnan(named.r_wp) and (own is None or np.isnan(own.r_wp)):
            also["r_wp"] = round(found.fit.r_wp, 5)
        known = found.undetermined == ()
        if known and (not named.lattice or (own and named.lattice == own.lattice)):
            also["lattice"] = found.fit.lattice
    return attach_evidence(folder, id, cif=cif, pxrd=pxrd, also=also), found
