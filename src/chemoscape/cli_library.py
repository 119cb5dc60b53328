"""The command line's `standards`, the part that makes libraries: add, calibrate, scale, export."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from chemoscape.console import answer, progress_bar, require_figure, warnings_in_a_line

if TYPE_CHECKING:
    from chemoscape.standards.library import Standard


#: No X-ray edge lies below, eV.
LOWEST_EDGE_EV = 20.0


@dataclass(frozen=True)
class About:
    """What is known of the standards that are added, where their file does not say it."""

    value: float | None = None
    "Value of the library's composition variable."
    value_sd: float | None = None
    "Standard deviation of that value."
    label: str | None = None
    "Name for legends."
    formula: str | None = None
    "As in Li0.45V2O5."
    density: float | None = None
    "g/cm3; only a thickness in nm needs it."
    kind: Literal["measured", "synthetic", "calculated", "mixture"] | None = None
    "What the spectrum is; default: what its file says, or measured."
    phase: str | None = None
    "Crystalline phase."
    orientation: str | None = None
    "How the crystal lay; two orientations of a phase are two standards."
    polarisation: str | None = None
    "Of the beam."
    licence: str | None = None
    "How the spectrum may be used."
    doi: str | None = None
    "Of the spectrum."
    field: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None
    "Any other field of the record: NAME=VALUE, as in handling='in argon' dwell_ms=2."

    def of_standard(self) -> dict[str, Any]:
        """Fields of a `Standard` that were given."""
        names = ("value", "value_sd", "label", "formula", "density", "kind")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def of_record(self) -> dict[str, Any]:
        """Fields of its record that were given."""
        from chemoscape.standards.headers import field_from_text

        names = ("phase", "orientation", "polarisation", "licence", "doi")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return given | dict(field_from_text(one) for one in self.field or [])


_NOTHING = About()


def add_standards(
    library: Path,
    source: Path,
    /,
    *,
    about: Annotated[About, Parameter(name="*")] = _NOTHING,
    id: str | None = None,
    select: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    region: str | None = None,
    cluster: int | None = None,
    clusters: int | None = None,
    whole: bool = False,
    mass_scale: bool = False,
    variable: str | None = None,
    preview: bool = False,
    figure: Path | None = None,
    json: bool = False,
) -> int:
    """Add standards to a library: from a file of spectra, or from a stack. A new folder is made.

    Of a file, every spectrum is added, or those selected. Of a stack (or of a recipe, for how to
    read and align it), the mean over a region, one cluster or the whole sample is, with the
    evidence that it is one substance.

    Examples:
    chemoscape standards add my-iron FeLibNov2021.nor --variable "Fe(II) fraction"
    chemoscape standards add my-iron pyrite.e --value 1 --formula FeS2
    chemoscape standards add my-v2o5 wire.toml --cluster 0 --id alpha --value 0 --formula V2O5

    Parameters
    ----------
    library
        Folder of the library; made where there is none.
    source
        A file of spectra in any format known, a stack's file or folder, or a recipe.
    id
        Short name of the standard, of one spectrum only; default: from the names in the file, or
        the stack's name.
    select
        Of a file of several spectra: their ids or names.
    region
        Of a stack: a region of the recipe by name, or "{x = [1, 2], y = [0, 1]}" in µm.
    cluster
        Of a stack: the cluster of this number, 0 the largest.
    clusters
        How many clusters are made; default: as many as a run would.
    whole
        Of a stack: all of its sample; the default.
    mass_scale
        Put them on the mass-absorption scale of their formula at once, see `standards scale`.
    variable
        Of a new library: what the values of its standards mean.
    preview
        Say what would be added, and change nothing.
    figure
        Where to draw what was added (PNG or PDF).
    json
        Print as JSON.
    """
    from chemoscape.library_stages import standards_from_stack
    from chemoscape.report.tables import standard_facts, standard_line
    from chemoscape.standards.changing import add_to_folder
    from chemoscape.standards.folder import read_library
    from chemoscape.standards.mass_scale import fit_standard, scaled
    from chemoscape.standards.record import Record

    require_figure(figure)
    _require_own(library)
    _require_id(id)
    parts = [
        name
        for name, given in (
            ("--region", region is not None),
            ("--cluster", cluster is not None),
            ("--whole", whole),
        )
        if given
    ]
    of_stack = not _holds_spectra(source)
    _require_sense(source, of_stack, parts, select, clusters)
    others = read_library(library) if (library / "library.toml").exists() else None
    fields, record, purity = about.of_standard(), about.of_record(), None
    with warnings_in_a_line(), progress_bar(source.name) as progress:
        if of_stack:
            one, purity = standards_from_stack(
                source,
                id=id or source.stem,
                region=region,
                cluster=cluster,
                n_clusters=clusters,
                library=others,
                record=Record().with_(**record),
                progress=progress,
                **fields,
            )
            new: tuple[Standard, ...] = (one,)
        else:
            new = _drafts(source, select, id, {**fields, **record})
        if mass_scale:
            new = tuple(scaled(one, fit_standard(one)) for one in new)
        if not preview:
            add_to_folder(library, new, variable=variable)
    lines = [f"{'would add' if preview else 'added'} to {library}:", *map(standard_line, new)]
    if purity is not None:
        lines += [f"  averaged over {new[0].source}", "", str(purity)]
    facts = {"standards": list(map(standard_facts, new)), "purity": purity and asdict(purity)}
    answer(facts, "\n".join(lines), json)
    if figure is not None:
        _draw(new, figure, title=source.name)
    return 0


def set_fields(
    library: Path,
    /,
    *ids: str,
    about: Annotated[About, Parameter(name="*")] = _NOTHING,
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


def attach(library: Path, id: str, /, *, cif: Path | None = None, pxrd: Path | None = None) -> int:
    """Copy a structure (CIF) or a diffraction pattern into a library, as evidence of a standard.

    Formula and density come from the structure where the standard has none; `check` compares them
    where it has.

    Examples:
    chemoscape standards attach my-v2o5 alpha --cif v2o5.cif --pxrd batch-12.xy

    Parameters
    ----------
    library
        Folder of the library.
    id
        Of the standard.
    cif
        Crystal structure.
    pxrd
        Powder diffraction pattern, in any format: it is kept, not read.
    """
    from chemoscape.report.tables import standard_line
    from chemoscape.standards.changing import attach_evidence

    with warnings_in_a_line():
        now = attach_evidence(library, id, cif=cif, pxrd=pxrd)
    one = now.select(id).standards[0]
    evidence = one.record.evidence
    print(f"attached in {library}:\n{standard_line(one)}")
    for name, text in (
        ("structure", f"{evidence.space_group}, {evidence.lattice}" if evidence.cif else ""),
        ("density", f"{one.density:g} g/cm3" if one.density == one.density else ""),
    ):
        if text:
            print(f"  {name}: {text}")
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


def _draw(standards: tuple[Standard, ...], path: Path, title: str) -> None:
    """Write the figure of some standards."""
    from chemoscape.report.panels import save_figure
    from chemoscape.report.standards import standards_figure

    save_figure(standards_figure(standards, title=title), path)
    print(f"wrote {path}", file=sys.stderr)


def _require_own(library: Path) -> None:
    """Refuse the name of a shipped library, which would be opened in its stead."""
    from chemoscape.errors import LibraryError
    from chemoscape.standards.folder import SMOOTH, shipped_libraries

    if str(library) in (*shipped_libraries(), SMOOTH):
        raise LibraryError(
            "is the name of a library that comes with the program",
            str(library),
            f"give another name, or export it first: chemoscape standards export {library} mine",
        )


def _require_id(id: str | None) -> None:
    """Refuse a short name that recipes and files could not hold."""
    from chemoscape.errors import LibraryError
    from chemoscape.standards.naming import unique_ids

    if id is not None and unique_ids([id]) != [id]:
        (better,) = unique_ids([id])
        raise LibraryError(
            f"an id holds letters, digits and ._+-() only, got {id!r}",
            remedy=f"write {better!r}, and the full name as --label",
        )


def _require_sense(
    source: Path,
    of_stack: bool,
    parts: list[str],
    select: list[str] | None,
    clusters: int | None,
) -> None:
    """Refuse options that do not belong to this kind of source, or to each other."""
    from chemoscape.errors import LibraryError

    of_stacks = [*parts, *(["--clusters"] if clusters is not None else [])]
    if not of_stack and of_stacks:
        raise LibraryError(
            f"holds spectra, of which there is no {of_stacks[0]}", str(source), "leave it out"
        )
    if of_stack and select:
        raise LibraryError("is a stack, of which there is no --select", str(source), "leave it out")
    if len(parts) > 1:
        raise LibraryError(f"{' and '.join(parts)} are given", str(source), "give one of them")


def _holds_spectra(source: Path) -> bool:
    """Whether a file is one of spectra, and not a stack or a recipe."""
    from chemoscape import formats
    from chemoscape.errors import FileFormatError

    if source.suffix.lower() == ".toml":
        return False
    try:
        return "spectra" in formats.describe(source, look=False)
    except FileFormatError as error:
        if not source.exists():
            raise
        raise FileFormatError(
            "holds neither spectra nor a stack that can be read",
            str(source),
            f"give columns of energy and absorption, or a stack ({error.what})",
        ) from None


def _drafts(
    source: Path, select: list[str] | None, id: str | None, known: dict[str, Any]
) -> tuple[Standard, ...]:
    """Standards of a file of spectra, with what is known of them."""
    from chemoscape.errors import LibraryError
    from chemoscape.standards.importing import standards_from_file

    label = known.pop("label", None)
    drafts = standards_from_file(source, select=select, **known)
    if max(one.energy[-1] for one in drafts) < LOWEST_EDGE_EV:
        raise LibraryError(
            f"its energies go up to {drafts[0].energy[-1]:g} eV, below any edge",
            str(source),
            "write 'energy (keV)' above the column if they are keV",
        )
    own = {"id": id, "label": label}
    changes = {name: text for name, text in own.items() if text is not None}
    if changes and len(drafts) > 1:
        raise LibraryError(
            f"{len(drafts)} spectra cannot share one {' and '.join(changes)}",
            str(source),
            "choose one with --select",
        )
    return tuple(replace(one, **changes) for one in drafts)
