"""The command line's `standards` that change a library: set, attach, calibrate, scale, export."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chemoscape.cli_adding import NOTHING, About
from chemoscape.console import answer, warnings_in_a_line


def set_fields(
    library: Path,
    /,
    *ids: str,
    about: Annotated[About, Parameter(name="*")] = NOTHING,
) -> int:
    """Write what is known of standards into a library: values, formula, licence, any field.

    Examples:
    chemoscape standards set my-iron pyrite --value 1 --value-sd 0.02 --formula FeS2
    chemoscape standards set my-iron --licence CC-BY-4.0 --field facility=ALS beamline=11.0.2.2

    Parameters
    ----------
    library
        Folder of the library.
    ids
        Standards; default: all of them.
    """
    from chemoscape.errors import LibraryError
    from chemoscape.report.tables import standard_line
    from chemoscape.standards.changing import replace_standards
    from chemoscape.standards.folder import read_library

    fields, record = about.of_standard(), about.of_record()
    if not fields and not record:
        raise LibraryError(
            "nothing is to be set", str(library), "say what, as in --value 1 --field facility=ALS"
        )
    own = sorted(fields.keys() - {"kind"})
    if own and not ids and len(read_library(library).names) > 1:
        raise LibraryError(
            f"the {own[0]} would be that of all its standards",
            str(library),
            "name the standards that it belongs to",
        )
    if "formula" in fields:
        fields["molar_mass"] = float("nan")  # that of the new formula
    opened = read_library(library)
    chosen = opened.select(*ids) if ids else opened
    with warnings_in_a_line():
        new = [
            replace(one, **fields, record=one.record.with_(**record)) for one in chosen.standards
        ]
        replace_standards(library, new)
    print("\n".join([f"changed in {library}:", *map(standard_line, new)]))
    return 0


def calibrate_standard(
    library: Path,
    /,
    *ids: str,
    source: str,
    uncertainty: float,
    anchor: float | None = None,
    within: tuple[float, float] | None = None,
    feature: Literal["peak", "edge"] = "peak",
    found: float | None = None,
    name: str = "",
    shift: float | None = None,
    preview: bool = False,
) -> int:
    """Calibrate the energies of standards by a feature of known energy, or by a stated shift.

    Never silent: the source and the uncertainty are asked for, and kept with the standard.

    Examples:
    chemoscape standards calibrate my-iron rust --anchor 708.5 --source "a paper" --uncertainty 0.1
    chemoscape standards calibrate my-iron --shift 0.38 --source "N2 gas line" --uncertainty 0.03

    Parameters
    ----------
    library
        Folder of the library.
    ids
        Standards; default: all of them.
    source
        Who says where the feature lies, or where the shift comes from.
    uncertainty
        Standard deviation of that energy or shift, eV.
    anchor
        True energy of a feature of the spectrum, eV.
    within
        Where the feature is searched, eV; default: 1 eV on either side.
    feature
        A maximum, or the steepest point of a rise.
    found
        Where the feature is on the present axis, where you read it off yourself, eV.
    name
        What the feature is called.
    shift
        Added to the energies instead, eV.
    preview
        Say what would change, and change nothing.
    """
    from chemoscape.curation.calibrating import calibrated
    from chemoscape.decompose.calibration import Anchor
    from chemoscape.standards.changing import replace_standards
    from chemoscape.standards.folder import read_library

    opened = read_library(library)
    chosen = opened.select(*ids) if ids else opened
    new = [
        calibrated(
            one,
            source=source,
            uncertainty_eV=uncertainty,
            anchor=None
            if anchor is None
            else Anchor(anchor, within=within, feature=feature, found=found),
            shift_eV=shift,
            name=name,
        )
        for one in chosen.standards
    ]
    for before, after in zip(chosen.standards, new, strict=True):
        moved = after.energy[0] - before.energy[0]
        record = after.record.calibration
        print(
            f"{after.id}: {moved:+.4f} eV, {record.shift_eV:+.4f} eV in all, ± "
            f"{record.uncertainty_eV:.3f} eV"
        )
    if not preview:
        replace_standards(library, new)
    return 0


def scale_standards(
    library: Path,
    /,
    *,
    windows: tuple[float, float, float, float] | None = None,
    table: Literal["Henke", "Chantler"] = "Henke",
    background: float = 0.02,
    preview: bool = False,
    json: bool = False,
) -> int:
    """Put the standards of a library on the mass-absorption scale of tabulated atoms (cm2/g).

    Each optical density is matched to its formula's tabulated coefficient before the first and
    behind the last edge, as areal mass times coefficient plus a constant. Maps then have
    thicknesses in nm (with densities) and compositions by formula units.

    Examples:
    chemoscape standards scale my-v2o5 --preview
    chemoscape standards scale my-v2o5 --windows 508 511 555 560

    Parameters
    ----------
    library
        Folder of a library whose spectra are optical densities, each with a formula.
    windows
        Lowest and highest energy before the first edge and behind the last, eV; default: chosen
        from the edges of the formula.
    table
        Which table; the other one says how well it is known.
    background
        Slope that the background may have had unseen: optical density over half the range.
    preview
        Say what would change, and change nothing.
    json
        Print as JSON.
    """
    from chemoscape.report.tables import scale_facts, scale_table
    from chemoscape.standards.changing import replace_standards
    from chemoscape.standards.folder import read_library
    from chemoscape.standards.mass_scale import fit_standard, scaled

    opened = read_library(library)
    pairs = None if windows is None else (windows[:2], windows[2:])
    with warnings_in_a_line():
        scales = [
            fit_standard(one, windows=pairs, background_od=background, table=table)
            for one in opened.standards
        ]
        new = [scaled(one, scale) for one, scale in zip(opened.standards, scales, strict=True)]
        if not preview:
            replace_standards(library, new)
    facts = {one.id: scale_facts(one, scale) for one, scale in zip(new, scales, strict=True)}
    answer(facts, scale_table(new, scales), json)
    return 0


def export_standards(
    library: str,
    target: Path,
    /,
    *,
    select: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
) -> int:
    """Write a library, or some of its standards, as a new folder, or one standard as an XDI file.

    Examples:
    chemoscape standards export lixv2o5-model my-copy
    chemoscape standards export my-iron pyrite.xdi --select pyrite

    Parameters
    ----------
    library
        A shipped library's name, or a folder with library.toml.
    target
        A folder that does not exist yet, or the name of an .xdi file.
    select
        Ids of the standards; default: all.
    """
    from chemoscape.errors import LibraryError
    from chemoscape.standards.folder import open_library
    from chemoscape.standards.writing import export_standard, save_library

    opened = open_library(library)
    if select:
        opened = opened.select(*select)
    if target.suffix.lower() != ".xdi":
        save_library(opened, target)
    elif len(opened.names) > 1:
        raise LibraryError(
            f"an XDI file holds one standard, not {len(opened.names)}",
            str(target),
            "choose one with --select, or name a folder",
        )
    elif target.exists():
        raise LibraryError("is there already", str(target), "give another name")
    else:
        export_standard(opened.standards[0], target, opened.variable)
    print(f"wrote {target}", file=sys.stderr)
    return 0
