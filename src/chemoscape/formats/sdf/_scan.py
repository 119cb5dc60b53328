"""What the header of an SDF scan means: regions, channels, energies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats.sdf._header import HEADER_LIMIT, Table, parse_header

#: Names of images: ``base_a000.xim``, with the channel's letter and the digits of energy and
#: region.
IMAGE_FILE = re.compile(
    r"(?P<base>.+)_(?P<channel>[a-z])(?P<digits>\d{0,7})\.xim", re.IGNORECASE | re.DOTALL
)

#: Names of point spectra: ``base_0.xsp``, with the number of the region; all channels as columns.
SPECTRUM_FILE = re.compile(r"(?P<base>.+)_(?P<digits>\d{1,4})\.xsp", re.IGNORECASE | re.DOTALL)

_TIME = re.compile(r"(\d{4})\s*([A-Za-z]{3})[a-z]*\s*(\d{1,2})\s+(\d{1,2}):(\d{2}):(\d{2})")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MICROMETRES = {"um": 1.0, "µm": 1.0, "μm": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3}

#: More energies than any scan has; a header that says more is damaged.
_MOST_ENERGIES = 100_000

_DAMAGED = "the header is truncated or damaged: copy it again"


@dataclass(frozen=True, eq=False)
class Scan:
    """What a header says.

    Parameters
    ----------
    header : Path
        The ``.hdr``.
    kind : str
        Type of the scan.
    axes : tuple of (y, x)
        Pixel centres in µm of every region.
    nominal : ndarray
        Energies (eV) of the stack axis.
    requested, requested_dwell : ndarray
        Energies (eV) that the operator asked for, and their dwell (ms).
    channels : tuple of (name, unit)
        Detector channels, in the order of their letters.
    facts : dict
        The whole header.
    """

    header: Path
    kind: str
    axes: tuple[tuple[np.ndarray, np.ndarray], ...]
    nominal: np.ndarray
    requested: np.ndarray
    requested_dwell: np.ndarray
    channels: tuple[tuple[str, str], ...]
    facts: Table

    @property
    def where(self) -> str:
        """Name of the header in errors."""
        return str(self.header)


def read_header(path: Path) -> tuple[Path, Table]:
    """The header that belongs to `path`, and what it holds: a ScanDefinition at least."""
    headers = [header for header in candidate_headers(path) if is_header(header)]
    if len(headers) != 1:
        names = ", ".join(sorted(header.name for header in headers)[:6])
        raise FileFormatError(
            f"holds {len(headers)} SDF headers" + (f" ({names}, …)" if headers else ""),
            str(path),
            "give the path of the .hdr itself",
        )
    header = _guard.regular_file(headers[0])
    facts = parse_header(_guard.read_text(header, limit=HEADER_LIMIT), where=str(header))
    if not isinstance(facts.get("ScanDefinition"), dict):
        raise FileFormatError("has no ScanDefinition", str(header), _DAMAGED)
    return header, facts


def read_scan(path: Path) -> Scan:
    """Read and understand the header of the stack of images that belongs to `path`."""
    header, facts = read_header(path)
    definition = facts["ScanDefinition"]
    kind = text_of(definition, "Type")
    _refuse_other_scans(definition, kind, str(header))
    requested, dwell = _requested(facts, str(header))
    nominal = definition.get("StackAxis")
    return Scan(
        header=header,
        kind=kind,
        axes=tuple(
            (lengths_of(region, "QAxis", str(header)), lengths_of(region, "PAxis", str(header)))
            for region in tables_of(definition.get("Regions"), "Regions", str(header))
        ),
        nominal=points_of(nominal, "StackAxis", str(header))
        if isinstance(nominal, dict)
        else np.empty(0),
        requested=requested,
        requested_dwell=dwell,
        channels=tuple(
            (text_of(channel, "Name"), text_of(channel, "Unit"))
            for channel in tables_of(definition.get("Channels"), "Channels", str(header))
        ),
        facts=facts,
    )


def candidate_headers(path: Path) -> list[Path]:
    """Files that may be the header of `path`."""
    if path.is_dir():
        return [file for file in path.iterdir() if file.suffix.lower() == ".hdr"]
    image = IMAGE_FILE.fullmatch(path.name) or SPECTRUM_FILE.fullmatch(path.name)
    if image is None:
        return [path]
    return [
        beside
        for ending in (".hdr", ".HDR")
        if (beside := path.with_name(image["base"] + ending)).exists()
    ][:1]


def is_header(path: Path) -> bool:
    """Whether a file starts as SDF headers do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return re.search(rb"ScanDefinition\s*=\s*\{", file.read(4096)) is not None


def _refuse_other_scans(definition: Table, kind: str, where: str) -> None:
    """Refuse scans that are not stacks of images over energy."""
    if re.search(r"line|point|focus|osa", kind, re.IGNORECASE):
        raise FileFormatError(
            f"holds a scan of type {kind!r}, not a stack of images",
            where,
            "open it with cs.open_spectra"
            if re.search(r"line|point", kind, re.IGNORECASE)
            else "open an image scan",
        )
    axis = definition.get("StackAxis")
    if isinstance(axis, dict):
        name, points = text_of(axis, "Name"), axis.get("Points")
        if name and "energy" not in name.lower() and isinstance(points, list) and len(points) > 2:
            raise FileFormatError(
                f"its images run over {name!r}, not over energy", where, "open an energy stack"
            )


def _requested(facts: Table, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Energies (eV) and dwell (ms) that the operator asked for; empty when not in the header."""
    scan = facts.get("ImageScan")
    regions = scan.get("EnergyRegions") if isinstance(scan, dict) else None
    if not isinstance(regions, list) or (
        isinstance(scan, dict) and scan.get("SingleEnergy") is True
    ):
        return np.empty(0), np.empty(0)
    energies, dwell = [], []
    total = 0
    for region in tables_of(regions, "EnergyRegions", where):
        start, end, points = (
            number_of(region, key) for key in ("StartEnergy", "EndEnergy", "Points")
        )
        if not (np.isfinite([start, end]).all() and 0 < points <= _MOST_ENERGIES - total):
            return np.empty(0), np.empty(0)
        total += int(points)
        energies.append(np.linspace(start, end, int(points)))
        dwell.append(np.full(int(points), number_of(region, "DwellTime")))
    return np.concatenate(energies or [np.empty(0)]), np.concatenate(dwell or [np.empty(0)])


def lengths_of(region: Table, name: str, where: str) -> np.ndarray:
    """Pixel centres in µm."""
    axis = region.get(name)
    if not isinstance(axis, dict):
        raise FileFormatError(f"a region has no {name}", where, _DAMAGED)
    unit = text_of(axis, "Unit") or "um"
    if unit not in _MICROMETRES:
        raise FileFormatError(
            f"{name} is in {unit!r}, which is no length known here",
            where,
            "correct Unit in the header (um, nm, mm)",
        )
    return points_of(cast(Table, axis), name, where) * _MICROMETRES[unit]


def points_of(axis: Mapping[str, Any], name: str, where: str) -> np.ndarray:
    """``Points = (n, p1, …, pn)`` of an axis."""
    values = axis.get("Points")
    if not isinstance(values, list) or not all(type(value) is float for value in values):
        raise FileFormatError(f"{name} has no list of points", where, _DAMAGED)
    if len(values) < 2 or values[0] != len(values) - 1:
        raise FileFormatError(
            f"{name} announces {values[0] if values else 0:g} points and lists {len(values[1:])}",
            where,
            _DAMAGED,
        )
    return np.array(values[1:])


def tables_of(value: Any, name: str, where: str) -> list[Table]:
    """``(n, {…}, …)`` as a list of the n tables."""
    if not isinstance(value, list) or not value or value[0] != len(value) - 1:
        raise FileFormatError(f"{name} is not a list of as many blocks as it says", where, _DAMAGED)
    if not all(isinstance(item, dict) for item in value[1:]):
        raise FileFormatError(f"{name} holds something that is not a block", where, _DAMAGED)
    return value[1:]


def number_of(table: Mapping[str, Any], key: str) -> float:
    """Number of a table, NaN when there is none."""
    value = table.get(key)
    return value if type(value) is float else np.nan


def text_of(table: Mapping[str, Any], key: str) -> str:
    """Text of a table, "" when there is none."""
    value = table.get(key)
    return value if isinstance(value, str) else ""


def seconds_of(moment: str) -> float:
    """Seconds since the year 1 of a time like ``2007 December 14 18:52:26``, NaN when not one."""
    match = _TIME.match(moment)
    if match is None or match[2].lower() not in _MONTHS:
        return np.nan
    year, day, hour, minute, second = (int(match[k]) for k in (1, 3, 4, 5, 6))
    try:
        when = datetime(year, _MONTHS.index(match[2].lower()) + 1, day, hour, minute, second)
    except ValueError:
        return np.nan
    return (when - datetime(1, 1, 1)).total_seconds()
