"""The printed table as Markdown, one page for both programs: each rewrites its own part of it."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measure import PRINTED, Row, Section, machine, memory_bytes

TITLE = "# Benchmark report"
ABOUT = (
    "Written by the benchmarks themselves; [benchmarks](benchmarks.md) tells what the rows mean\n"
    "and how they are measured. Ratios carry to other machines, seconds do not."
)
#: Parts of the page in their order: name of the mark, heading.
PARTS = {"limits": "Against this machine's limits", "peers": "Beside other programs"}
OURS = (
    *("chemoscape", "numpy", "scipy", "numba", "scikit-learn", "xarray", "dask", "zarr"),
    *("h5py", "scikit-fem"),
)


def versions(names: tuple[str, ...] = OURS) -> dict[str, str]:
    """Releases that are installed here."""
    found = {"Python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def before() -> str:
    """The machine as it was before the first measurement, with its load."""
    return machine()


def write(
    path: Path, part: str, began: str, command: str, others: dict[str, str] | None = None
) -> None:
    """Put what was printed into its part of the page, and leave the other part as it is.

    Parameters
    ----------
    path : Path
        The page, made when it is not there.
    part : {"limits", "peers"}
    began : str
        What `before` said.
    command : str
        What makes the same again.
    others : dict, optional
        Releases of the programs measured beside ours.
    """
    old = path.read_text() if path.is_file() else ""
    kept = {name: _between(old, name) for name in PARTS}
    kept[part] = _part(PARTS[part], began, command, others or {})
    body = [
        f"<!-- {name} begins -->\n\n{text}\n<!-- {name} ends -->"
        for name, text in kept.items()
        if text
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join([TITLE, ABOUT, *body]) + "\n")


def _between(page: str, part: str) -> str:
    """A part as it stands on the page, "" when it does not."""
    _, mark, rest = page.partition(f"<!-- {part} begins -->\n\n")
    text, end, _ = rest.partition(f"\n<!-- {part} ends -->")
    return text if mark and end else ""


def _part(title: str, began: str, command: str, others: dict[str, str]) -> str:
    sections = [section for section in PRINTED if section.lines]
    facts = {
        "machine": began,
        "memory": f"{memory_bytes() / 2**30:.0f} GiB",
        "system": platform.system(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "versions": _listed(versions()),
        "beside": _listed(others),
        "made by": f"`{command}`",
    }
    table = ["| | |", "| --- | --- |"]
    table += [f"| {name} | {_cell(fact)} |" for name, fact in facts.items() if fact]
    text = [f"## {title}", "\n".join(table), _summary(sections)]
    return "\n\n".join([*text, *map(_section, sections)]) + "\n"


def _listed(releases: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in releases.items())


def _summary(sections: list[Section]) -> str:
    """How many aims were met, and every one of them beside what was measured."""
    rows = [
        (section.title, line)
        for section in sections
        for line in section.lines
        if isinstance(line, Row)
    ]
    aims = [_line([title, row.what.strip(), *cells]) for title, row in rows for cells in _aims(row)]
    missed = sum(row.missed for _, row in rows)
    broken = [line for one in sections for line in one.lines if str(line).startswith("FAILED")]
    failures = f"; {len(broken)} could not be measured" if broken else ""
    text = [f"**{len(aims) - missed} of {len(aims)} aims met{failures}.**"]
    if aims:
        head = ["part", "work", "measured", "aim", ""]
        text.append("\n".join([_line(head), _line(["---"] * len(head)), *aims]))
    return "\n\n".join([*text, *(f"- {line}" for line in broken)])


def _aims(row: Row) -> list[list[str]]:
    """Measured, aim and verdict for each aim of a row: its time, and its memory."""
    measured = row.ratio or f"{row.seconds:.3g} s"
    found = []
    if row.target:
        aim, _, verdict = row.target.rpartition(" ")
        found.append([measured, aim, verdict])
    for sign in ("<=", ">="):
        used, known, rest = row.memory.partition(f" {sign} ")
        if known:
            aim, verdict = rest.split()[:2]
            found.append([f"memory {used}", f"{sign} {aim}", verdict])
    return found


def _section(section: Section) -> str:
    rows = [line for line in section.lines if isinstance(line, Row)]
    notes = [line for line in section.lines if isinstance(line, str)]
    text = [f"### {section.title}"] if section.title else []
    if rows:
        remarks = any(row.memory for row in rows)
        last = ["peak memory, notes"] if remarks else []
        lines = [_line(["work", "seconds", "ratio", "aim", "", *last])]
        lines.append(_line(["---", "---:", "---", "---", "---", *["---"] * remarks]))
        for row in rows:
            aim, _, verdict = row.target.rpartition(" ")
            cells = [row.what.strip(), f"{row.seconds:.3f}", row.ratio, aim, verdict]
            lines.append(_line([*cells, *[row.memory] * remarks]))
        text.append("\n".join(lines))
    text += [_cell(note) for note in notes]
    return "\n\n".join(text)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    """Text that Markdown leaves as it is, with what was missed in bold."""
    return (
        text.replace("|", "\\|")
        .replace("<=", "≤")
        .replace(">=", "≥")
        .replace("MISSED", "**MISSED**")
    )
