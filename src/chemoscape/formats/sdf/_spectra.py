"""SDF point scans and line scans: spectra, not images.

A point scan keeps one text per point (region of the header), ``base_0.xsp``: the energy and one
column for each channel. A line scan is one image per channel, ``base_a.xim``, whose columns (PAxis)
are energies and whose rows (QAxis) are positions along the line, or the other way round.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats._source import Choice, Spectra, Wanted, choose, some
from chemoscape.formats.sdf import _xim
from chemoscape.formats.sdf._header import Table
from chemoscape.formats.sdf._scan import (
    IMAGE_FILE,
    SPECTRUM_FILE,
    lengths_of,
    number_of,
    points_of,
    read_header,
    tables_of,
    text_of,
)
from chemoscape.formats.spectra import read_spectra
from chemoscape.formats.spectra._records import Record, finished, in_eV, together
from chemoscape.formats.spectra._rows import parse_table

#: Longest text of a value, separators included.
_LONGEST_NUMBER = 64

_CUT = "the file is truncated: copy it again from the beamline"


def open_(path: Path, wanted: Wanted) -> Spectra:
    """The spectra of a point scan or a line scan, given by its header or a file of it.

    Raises
    ------
    FileFormatError
        The header or the data are damaged or missing, or the scan has no spectra.
    """
    header, facts = read_header(path)
    definition = cast(Table, facts["ScanDefinition"])
    kind = text_of(definition, "Type")
    regions = tables_of(definition.get("Regions"), "Regions", str(header))
    channels = tables_of(definition.get("Channels"), "Channels", str(header))
    if not regions:
        raise FileFormatError("its header has no region", str(header), "copy it again")
    is_line = "line" in kind.lower()
    if not is_line and "point" not in kind.lower():
        if path.suffix.lower() == ".xsp":  # somebody saved a spectrum beside the images
            return read_spectra(path, wanted)
        raise FileFormatError(
            f"holds a scan of type {kind!r}, no spectra", str(header), "open it with cs.open_stack"
        )
    names = [text_of(one, "Name") or f"channel {k}" for k, one in enumerate(channels)]
    image, letters = IMAGE_FILE.fullmatch(path.name), [chr(97 + k) for k in range(len(names[:26]))]
    channel = choose(
        "channel",
        names or ["a"],
        image["channel"].lower() if wanted.channel is None and image else wanted.channel,
        header,
        aliases=letters,
    )
    spectra = (
        _line(header, regions, channel, wanted)
        if is_line
        else _points(header, facts, regions, channel, _of_file(path, wanted))
    )
    unit = text_of(channels[channel.index], "Unit") if channels else ""
    attrs = {"layout": "SDF", **_attributes(facts, kind, unit), **spectra.attrs}
    return finished(replace(spectra, quantity="counts", attrs=attrs), wanted)


def _attributes(facts: Table, kind: str, unit: str) -> dict[str, str | int | float]:
    """Flat facts of the scan; a current of 0.00 is one that nobody noted."""
    numbers = {
        "dwell_ms": number_of(cast(Table, facts["ScanDefinition"]), "Dwell"),
        "counter_divider": number_of(facts, "PMT_CounterDivider"),
        "ring_current_mA": number_of(facts, "StorageRingCurrent"),
    }
    texts = {"scan_type": kind, "unit": unit, "started": text_of(facts, "Time")}
    return {
        **{name: text for name, text in texts.items() if text},
        **{name: value for name, value in numbers.items() if value > 0},
    }


def _of_file(path: Path, wanted: Wanted) -> Wanted:
    """The wish for the point whose file was given."""
    match = SPECTRUM_FILE.fullmatch(path.name)
    if match is None or wanted.region is not None:
        return wanted
    return Wanted(channel=wanted.channel, region=int(match["digits"]))


def _points(
    header: Path, facts: Table, regions: list[Table], channel: Choice, wanted: Wanted
) -> Spectra:
    """One spectrum for each point, or that of the point asked for."""
    names = [f"point {k + 1}" for k in range(len(regions))] if len(regions) > 1 else [header.stem]
    notes: list[str] = []
    records: list[Record] = []
    missing = []
    wish = None if wanted.region is None else choose("region", names, wanted.region, header)
    for k in range(len(regions)) if wish is None else (wish.index,):
        path = _beside(header, [f"{header.stem}_{k}.xsp"])
        if path is None:
            missing.append(names[k])
            continue
        table, said = _read_point(path, regions[k].get("PAxis"), str(header))
        if channel.index + 1 >= table.shape[1]:
            raise FileFormatError(
                f"has {table.shape[1] - 1} channels, the header says {len(channel.names)}",
                str(path),
                "choose an earlier channel, or copy the scan again",
            )
        energy, more = in_eV(table[:, 0], _unit_of(regions[k].get("PAxis")))
        records.append(Record(names[k], energy, table[:, channel.index + 1]))
        notes += [note if len(regions) == 1 else f"{names[k]}: {note}" for note in (*said, *more)]
    if not records:
        raise _not_there(header, f"{header.stem}_{wish.index if wish else 0}.xsp")
    if missing:
        notes.append(f"{', '.join(some(missing))} of {len(regions)} points are not there")
    chosen, _, said = together(records, header, Wanted())
    return Spectra(
        where=header,
        energy=chosen[0].energy,
        values=np.stack([record.values for record in chosen]),
        names=tuple(record.name for record in chosen),
        attrs=_place(facts, names.index(chosen[0].name)) if len(chosen) == 1 else {},
        choices=(channel, wish) if wish else (channel,),
        notes=(*notes, *said),
    )


def _read_point(path: Path, axis: object, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Energy and channels of one point, as far as they were measured, and what to say of them."""
    text = _guard.read_text(path)
    planned = points_of(axis, "PAxis", where).size if isinstance(axis, dict) else 0
    lines = [line for line in text.splitlines() if line.strip()]
    notes: tuple[str, ...] = ()
    if lines and not text.endswith(("\n", "\r")):
        if len(lines) < planned:
            lines.pop()  # the row that is being written
        elif not text.endswith(("\t", " ")):
            raise FileFormatError(
                f"row {len(lines)} has no line end: its last number may be cut",
                str(path),
                f"{_CUT}, or end its last line if the file is complete",
            )
    table = parse_table("\n".join(lines), where=str(path))
    if planned > len(table):
        notes = (
            f"the last {planned - len(table)} of {planned} energies are not there (a scan in "
            "progress, or aborted)",
        )
    elif 0 < planned < len(table):
        notes = (f"holds {len(table)} energies, the header says {planned}: all are read",)
    return table, notes


def _place(facts: Table, region: int) -> dict[str, float]:
    """Where on the sample a point lies (µm), when the header says it."""
    scan = facts.get("ImageScan")
    places = scan.get("SpatialRegions") if isinstance(scan, dict) else None
    place = places[region + 1] if isinstance(places, list) and len(places) > region + 1 else None
    if not isinstance(place, dict):
        return {}
    found = {"x_um": number_of(place, "CentreXPos"), "y_um": number_of(place, "CentreYPos")}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _line(header: Path, regions: list[Table], channel: Choice, wanted: Wanted) -> Spectra:
    """One spectrum for each position along a line."""
    where = str(header)
    lines = [f"line {k + 1}" for k in range(len(regions))]
    choice = choose("region", lines, wanted.region, header)
    region = regions[choice.index]
    names = [name for name in ("PAxis", "QAxis") if _is_energy(region.get(name))]
    if not names:
        raise FileFormatError(
            "neither axis of its image is an energy", where, "open a NEXAFS line scan"
        )
    along = "QAxis" if names[0] == "PAxis" else "PAxis"
    energy, notes = in_eV(
        points_of(cast(Table, region[names[0]]), names[0], where), _unit_of(region[names[0]])
    )
    place = lengths_of(region, along, where)
    letter = chr(97 + channel.index)
    digits = [""] if len(regions) == 1 else [str(choice.index)]
    files = [f"{header.stem}_{letter}{end}.xim" for end in (*digits, "000")]
    path = _beside(header, files)
    if path is None:
        raise _not_there(header, files[0])
    shape = (place.size, energy.size) if along == "QAxis" else (energy.size, place.size)
    image, said = _read_image(path, shape)
    notes += said
    values = image if along == "QAxis" else image.T
    measured = energy.size - _unmeasured(values)
    if measured < energy.size:
        notes += (
            f"the last {energy.size - measured} of {energy.size} energies are zero everywhere, as "
            "when nothing was measured, and are left out",
        )
    if not np.isfinite(place).all():
        raise FileFormatError(f"{along} has a position that is no number", where, "copy it again")
    position = np.abs(place - place[0])
    return Spectra(
        where=header,
        energy=energy[:measured],
        values=values[:, :measured],
        names=tuple(f"{distance:.3f} µm" for distance in position),
        position=position,
        choices=(channel, choice),
        notes=notes,
    )


def _read_image(path: Path, shape: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The numbers of an image, NaN in rows that are not there, and what to say of those."""
    n_values, size = shape[0] * shape[1], path.stat().st_size
    if 4 * n_values > _guard.believed_bytes(path) or size > _LONGEST_NUMBER * n_values + 1_000_000:
        raise FileFormatError(
            f"{size} bytes cannot be the {shape[0]} × {shape[1]} values of the header",
            str(path),
            "the header does not belong to this image: copy both again",
        )
    image = np.empty(shape, dtype=np.float32)
    rows = slice(0, shape[0])
    _xim.read_rows(path, shape[0], rows, image, line_end_needed=False, growing=True)
    there = int(np.isfinite(image[:, 0]).sum())
    if not there:
        raise FileFormatError("has no complete row", str(path), "copy it again")
    if there == shape[0]:
        return image, ()
    return image, (
        f"the last {shape[0] - there} of {shape[0]} rows of {path.name} are not there (a scan in "
        "progress, aborted, or a file that was cut) and are NaN",
    )


def _unmeasured(values: np.ndarray) -> int:
    """Number of last energies at which every known value is zero; 0 when all are."""
    seen = np.flatnonzero((np.isfinite(values) & (values != 0)).any(axis=0))
    return values.shape[1] - 1 - int(seen[-1]) if seen.size else 0


def _is_energy(axis: object) -> bool:
    """Whether an axis of the header runs over photon energy."""
    return isinstance(axis, dict) and (
        "energy" in text_of(axis, "Name").lower() or bool(re.fullmatch("(?i)k?ev", _unit_of(axis)))
    )


def _unit_of(axis: object) -> str:
    """Unit of an axis, eV when it has none."""
    return (text_of(axis, "Unit") if isinstance(axis, dict) else "") or "eV"


def _beside(header: Path, names: list[str]) -> Path | None:
    """The first of some files that lies in the header's folder, whatever its case."""
    there = {file.name.lower(): file for file in header.parent.iterdir()}
    found = [there[name.lower()] for name in names if name.lower() in there]
    return _guard.regular_file(found[0], inside=header.parent) if found else None


def _not_there(header: Path, name: str) -> FileFormatError:
    """What to say when the data are missing."""
    return FileFormatError(
        f"its data ({name}) are not there", str(header), "copy them into the folder of the header"
    )
