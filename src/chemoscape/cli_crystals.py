"""The command line's `standards` that look at diffraction: attach, cell, structures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from chemoscape.console import answer, require_figure, warnings_in_a_line

if TYPE_CHECKING:
    from chemoscape.crystals.rows import StructureSeries


def attach(
    library: Path,
    id: str,
    /,
    *,
    cif: Path | None = None,
    pxrd: Path | None = None,
    radiation: str | None = None,
    figure: Path | None = None,
    json: bool = False,
) -> int:
    """Copy a structure (CIF), a diffraction pattern or both into a library, as evidence.

    Formula and density come from the structure where the standard has none; `check` compares them
    where it has. Where there are both, the cell is refined in the pattern: R_wp and lattice are
    kept, and lines that the structure does not explain are said.

    Examples:
    chemoscape standards attach my-v2o5 alpha --cif v2o5.cif --pxrd batch-12.xy
    chemoscape standards attach my-v2o5 alpha --pxrd batch-12.xy --radiation Cu --figure fit.png

    Parameters
    ----------
    library
        Folder of the library.
    id
        Of the standard.
    cif
        Crystal structure; that of a powder refinement gives its R_wp too.
    pxrd
        Powder diffraction pattern: columns of 2θ and intensity, GSAS, CIF. In any other format it
        is kept, not read.
    radiation
        Cu, Co, Mo, …, one of them with Ka1, or a wavelength in Å; default: what the file says, or
        Cu.
    figure
        Where to draw the fit (PNG or PDF).
    json
        Print as JSON.
    """
    from dataclasses import asdict

    from chemoscape.crystals.evidence import attach_with_pattern
    from chemoscape.errors import LibraryError
    from chemoscape.report.tables import standard_line

    require_figure(figure)
    with warnings_in_a_line():
        now, found = attach_with_pattern(library, id, cif=cif, pxrd=pxrd, wavelength=radiation)
    one = now.select(id).standards[0]
    evidence = one.record.evidence
    lines = [f"attached in {library}:", standard_line(one)]
    if evidence.cif:
        lines += [f"  structure: {evidence.space_group}, {evidence.lattice}"]
    if one.density == one.density:
        lines += [f"  density: {one.density:g} g/cm3"]
    if evidence.r_wp == evidence.r_wp:
        lines += [f"  R_wp: {100 * evidence.r_wp:.2f} %"]
    if found is not None:
        lines += [str(found)]
    facts = {
        "id": id,
        "density": one.density,
        "evidence": asdict(evidence),
        "pattern": None if found is None else found.facts(),
    }
    answer(facts, "\n".join(lines), json)
    if figure is not None:
        if found is None:
            raise LibraryError(
                "was attached, but there is no fit to draw",
                f"standard {id!r}",
                "give a structure with its atoms and a pattern that can be read",
            )
        from chemoscape.report.crystals import pattern_figure

        _save(pattern_figure(found), figure)
    return 0


def refine_pattern(
    pattern: Path,
    /,
    *,
    cif: Path,
    block: str | None = None,
    radiation: str | None = None,
    axis: Literal["2theta", "q", "d"] | None = None,
    range: tuple[float, float] | None = None,
    exclude: Annotated[list[float] | None, Parameter(consume_multiple=True)] = None,
    shift: Literal["displacement", "zero", "none"] | None = None,
    background: int = 8,
    reach: float = 0.02,
    other: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    figure: Path | None = None,
    json: bool = False,
) -> int:
    """Refine the cell of a phase in a powder pattern, and name lines that are not of the phase.

    The whole pattern is fitted, the intensities of all reflections free (Pawley, Le Bail).

    Examples:
    chemoscape standards cell batch-12.xy --cif v2o5.cif --figure fit.png
    chemoscape standards cell 12.xye --cif v2o5.cif --radiation 0.4137 --other vo2.cif li2o.cif

    Parameters
    ----------
    pattern
        Columns of 2θ (or Q, d), intensity and, if known, its sd; GSAS; CIF.
    cif
        Structure of the phase: start of the cell, symmetry, intensities.
    block
        Of a CIF of several structures, which.
    radiation
        Cu, Co, Mo, …, one of them with Ka1, or a wavelength in Å; default: what the file says, or
        Cu.
    axis
        What the first column is; default: what the file says, or 2theta.
    range
        Lowest and highest 2θ used, degrees.
    exclude
        Pairs of 2θ between which nothing is used, as in --exclude 37.9 38.6 for a holder's line.
    shift
        Offset of the angles that is refined; default: displacement for a tube, else zero.
    background
        Number of Chebyshev polynomials; 15 to 20 under an amorphous hump.
    reach
        Share by which the cell may differ from the CIF's when the start is searched.
    other
        CIFs of phases that may be there too.
    figure
        Where to draw the fit (PNG or PDF).
    json
        Print as JSON.
    """
    from chemoscape.crystals.crystal import read_crystal
    from chemoscape.crystals.evidence import weigh_pattern
    from chemoscape.crystals.reading import read_pattern

    require_figure(figure)
    with warnings_in_a_line():
        data = read_pattern(pattern, wavelength=radiation, axis=axis)
        data = data.between(*_ordered(range)) if range else data
        data = data.without(*_pairs(exclude))
        crystal = read_crystal(cif, block)
        _say_problems(crystal.structure)
        known = [read_crystal(one) for one in other or []]
        found = weigh_pattern(
            *(data, crystal, known), shift=shift, background=background, reach=reach
        )
        for doubt in found.doubts:
            print(f"warning: {doubt}", file=sys.stderr)
    answer(found.facts(), str(found), json)
    if figure is not None:
        from chemoscape.crystals.simulation import overlay
        from chemoscape.report.crystals import pattern_figure

        calculated = overlay(found.fit, crystal) if crystal.sites else None
        _save(pattern_figure(found, calculated=calculated), figure)
    return 0


def library_structures(
    library: str,
    /,
    *,
    reference: str | None = None,
    divide: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    csv: Path | None = None,
    figure: Path | None = None,
    json: bool = False,
) -> int:
    """Put the structures of a library side by side: cells, strain, bonds and layers against x.

    Examples:
    chemoscape standards structures my-v2o5 --figure structures.png
    chemoscape standards structures my-v2o5 --csv lattice.csv --divide delta=1,1,2

    Parameters
    ----------
    library
        A folder with library.toml whose standards have CIFs or lattices as evidence.
    reference
        Id of the standard that strain is counted from; default: that of the smallest value.
    divide
        Cells that hold several of the reference's: ID=1,1,2 for a doubled c. Without it they are
        flagged, and left out of lengths and strain.
    csv
        Where to write the lattice table that a material of a recipe takes.
    figure
        Where to draw it all against composition (PNG or PDF).
    json
        Print as JSON.
    """
    from chemoscape.crystals.structures import structures_of
    from chemoscape.standards.folder import open_library

    require_figure(figure)
    with warnings_in_a_line():
        series = structures_of(
            open_library(library), reference=reference, divide=_divisors(divide or [])
        )
        for row in series.rows:
            if row.reason:
                print(f"warning: {row.id} is not compared: {row.reason}", file=sys.stderr)
    text = "\n".join([str(series), *_descriptions(series)])
    answer(series.facts(), text, json)
    if csv is not None:
        _write(csv, series.csv())
        print(f"wrote {csv}", file=sys.stderr)
    if figure is not None:
        from chemoscape.report.crystal_structures import series_figure

        _save(series_figure(series), figure)
    return 0


def _descriptions(series: StructureSeries) -> list[str]:
    """Bonds and shape of the layers of each structure."""
    lines = []
    for row in series.rows:
        if row.layers is not None:
            lines += ["", f"{row.label}:", *row.layers.lines()]
    return lines


def _say_problems(structure: Any) -> None:
    """Warn of what does not agree in a CIF."""
    for problem in structure.problems if structure else ():
        print(f"warning: {problem}", file=sys.stderr)


def _ordered(range: tuple[float, float]) -> tuple[float, float]:
    """A range whose lower end comes first."""
    from chemoscape.errors import FitError

    if range[0] >= range[1]:
        raise FitError(
            f"the range runs from {range[0]:g} to {range[1]:g} degrees",
            remedy="write the lower one first",
        )
    return range


def _pairs(numbers: list[float] | None) -> list[tuple[float, float]]:
    """Numbers as pairs."""
    from chemoscape.errors import FitError

    given = numbers or []
    if len(given) % 2:
        raise FitError(
            f"{len(given)} angles are no ranges that can be left out", remedy="give them in pairs"
        )
    return [_ordered((low, high)) for low, high in zip(given[::2], given[1::2], strict=True)]


def _divisors(given: list[str]) -> dict[str, tuple[int, ...]]:
    """``ID=1,1,2`` as numbers by ids."""
    from chemoscape.errors import LibraryError

    found = {}
    for one in given:
        name, _, numbers = one.rpartition("=")
        try:
            found[name] = tuple(int(word) for word in numbers.split(","))
        except ValueError:
            name = ""
        if not name:
            raise LibraryError(
                f"{one!r} does not say what to divide", remedy="write it as delta=1,1,2"
            )
    return found


def _write(path: Path, text: str) -> None:
    """Write a table, in the place of one that is there only when it is complete."""
    from chemoscape.errors import ChemoscapeError
    from chemoscape.standards.files import replace_files

    if not path.parent.is_dir():
        raise ChemoscapeError("is in a folder that does not exist", str(path), "make it first")
    replace_files({path: text.encode()})


def _save(drawn: Any, figure: Path) -> None:
    """Write a figure and say so."""
    from chemoscape.report.panels import save_figure

    save_figure(drawn, figure)
    print(f"wrote {figure}", file=sys.stderr)
