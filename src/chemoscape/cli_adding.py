"""The command line's `standards add`: standards from files of spectra and from stacks."""

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


NOTHING = About()


def add_standards(
    library: Path,
    source: Path,
    /,
    *,
    about: Annotated[About, Parameter(name="*")] = NOTHING,
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
