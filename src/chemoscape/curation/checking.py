"""All checks of a library, of a folder too in which not everything can be read."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from chemoscape.curation.findings import CheckReport, Finding
from chemoscape.curation.single import check_standard
from chemoscape.curation.together import check_together
from chemoscape.errors import ChemoscapeError, FitError
from chemoscape.standards.folder import (
    as_library,
    open_library,
    read_entries,
    read_standard,
    shipped_libraries,
)
from chemoscape.standards.library import Library
from chemoscape.standards.standard import Standard


def check_library(source: str | Path | Library, *, noise: float = 0.01) -> CheckReport:
    """Check whether a library of standards is fit to use.

    Parameters
    ----------
    source : str, Path or Library
        Name of a shipped library, a folder with a ``library.toml``, or a library. The standards of
        a folder are read one by one: one that cannot be read is a finding, and the others are
        still checked.
    noise : float
        Standard deviation per energy, relative to the peak optical density, at which standards
        should be told apart.

    Returns
    -------
    CheckReport

    Raises
    ------
    LibraryError, FileFormatError
        There is no library, or its ``library.toml`` cannot be read.
    FitError
        The noise is not positive.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> report = check_library(open_library("lixv2o5-model"))
    >>> len(report.failed), len(report.findings) > 50
    (0, True)
    """
    if not noise > 0:
        raise FitError(f"the noise is {noise!r}", remedy="give a number > 0, such as 0.01")
    folder = _folder(source)
    if folder is None:
        library = source if isinstance(source, Library) else open_library(source)
        return CheckReport(library.name, _of_all(library, library.standards, noise))
    entries = read_entries(folder)
    standards, findings = [], []
    for number, entry in enumerate(entries.standards, start=1):
        name = str(entry.get("id", entry.get("file", f"standard {number}")))
        try:
            standard = read_standard(entries.folder, entry)
        except ChemoscapeError as error:
            findings.append(_unreadable(name, error))
        else:
            standards.append(standard)
            findings.append(Finding(standard.id, "readable", "pass"))
    title = str(entries.library.get("name", entries.folder.name))
    try:
        library = as_library(entries, standards)
    except ChemoscapeError as error:
        licence = str(entries.library.get("licence", ""))
        variable = str(entries.library.get("variable", ""))
        each = [check_standard(one, variable, licence, entries.folder) for one in standards]
        return CheckReport(
            title, (*findings, _unreadable("", error), *(one for some in each for one in some))
        )
    return CheckReport(title, (*findings, *_of_all(library, standards, noise)))


def _folder(source: str | Path | Library) -> Path | None:
    """Folder to read standard by standard, None for a library that is made or at hand."""
    if isinstance(source, Library):
        return None
    if isinstance(source, str) and os.sep not in source and not Path(source).exists():
        return shipped_libraries().get(source)  # others: `open_library` makes them, or says no
    return Path(source)


def _of_all(
    library: Library, standards: tuple[Standard, ...] | list[Standard], noise: float
) -> tuple[Finding, ...]:
    """Findings of each standard, and of those together whose spectra hold their edges."""
    findings = [
        one
        for standard in standards
        for one in check_standard(standard, library.variable, library.licence, library.folder)
    ]
    cut = {one.standard for one in findings if (one.check, one.verdict) == ("energy range", "fail")}
    whole = tuple(standard for standard in standards if standard.id not in cut)
    for name in sorted(cut):
        told = "not compared with the others: its range is too short"
        findings.append(Finding(name, "comparison", "not known", detail=told))
    for group in _comparable(whole):
        compared = replace(library, standards=group, energy_window=_window(library))
        if len(group) == len(whole) or len(group) > 1:
            findings += check_together(compared, noise=noise)
    return tuple(findings)


def _comparable(standards: tuple[Standard, ...]) -> list[tuple[Standard, ...]]:
    """Standards in groups with energies in common, those of each edge by themselves."""
    groups: list[list[Standard]] = []
    for one in standards:
        for group in groups:
            low = max(other.energy[0] for other in [one, *group])
            if low < min(other.energy[-1] for other in [one, *group]):
                group.append(one)
                break
        else:
            groups.append([one])
    return [tuple(group) for group in groups]


def _window(library: Library) -> tuple[float, float] | None:
    """The library's energy window where somebody chose one."""
    chosen = not library.overlapping or library.energy_window != library.energy_range
    return library.energy_window if chosen else None


def _unreadable(name: str, error: ChemoscapeError) -> Finding:
    """A finding of what could not be read."""
    where = f"{error.where}: " if error.where else ""
    return Finding(name, "readable", "fail", remedy=error.remedy, detail=where + error.what)
