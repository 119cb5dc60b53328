"""SDF, the format of the STXMs at ALS, CLS, PolLux and MAX IV.

Beside ``base.hdr`` lie ``base_a000.xim``, ``base_a001.xim``, …: a letter for the channel, three
digits for the energy and, when the header lists several regions, one more for the region; a single
image is ``base_a.xim``. The energy that the header notes with each image is the true one; the
nominal axis only fills in where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats._record import Format
from chemoscape.formats._source import Choice, Source, Wanted, choose, some
from chemoscape.formats.sdf import _spectra, _xim
from chemoscape.formats.sdf._header import Table
from chemoscape.formats.sdf._scan import (
    IMAGE_FILE,
    Scan,
    candidate_headers,
    is_header,
    number_of,
    read_scan,
    seconds_of,
    text_of,
)

_IMAGE_KEY = re.compile(r"Image(\d{1,6})(?:_(\d{1,2}))?")

#: Monochromators stray from their setpoint, but not by this much.
_SURPRISING_EV = 2.0

#: Longest text of one pixel that a writer could mean (``-1.2345678901234567E+003`` has 24).
_LONGEST_PIXEL = 64


@dataclass(frozen=True, eq=False)
class Frames:
    """Images of one channel and region, in the order of their numbers.

    Parameters
    ----------
    files : tuple of Path or None
        The images; None for those planned after the last one, which are still to come.
    energy, ring_current, dwell, time : ndarray, shape (n,)
        eV; mA, ms and seconds since the first image, NaN where unknown.
    missing : ndarray
        Energies (eV) of images that are not there though later ones are.
    notes : tuple of str
        What the user must know.
    """

    files: tuple[Path | None, ...]
    energy: np.ndarray
    ring_current: np.ndarray
    dwell: np.ndarray
    time: np.ndarray
    missing: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def n_seen(self) -> int:
        """Number of images that are there."""
        return sum(file is not None for file in self.files)


@dataclass(frozen=True)
class Images:
    """The images' files, and how to read parts of them.

    Parameters
    ----------
    files : tuple of Path or None
        None where there is no image: it reads as NaN.
    shape : (n_rows, n_columns)
        Of every image.
    line_end_needed : bool
        Refuse a last row without a line end: its last number may be cut.
    growing : bool
        The last image may be short, because the scan goes on.
    """

    files: tuple[Path | None, ...]
    shape: tuple[int, int]
    line_end_needed: bool
    growing: bool

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Part of the images as float32."""
        numbers = range(*frames.indices(len(self.files)))
        cube = np.empty((len(numbers), rows.stop - rows.start, self.shape[1]), dtype=np.float32)
        last = max((k for k, file in enumerate(self.files) if file is not None), default=-1)
        for place, k in enumerate(numbers):
            file = self.files[k]
            if file is None:
                cube[place] = np.nan
                continue
            _xim.read_rows(
                file,
                self.shape[0],
                rows,
                cube[place],
                line_end_needed=self.line_end_needed,
                growing=self.growing and k == last,
            )
        return cube


def sniff(path: Path) -> bool:
    """Whether `path` is an SDF header, an image beside one, or a folder that holds one."""
    try:
        return any(is_header(header) for header in candidate_headers(path))
    except OSError:
        return False


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe a stack of images, given by the header, an image, or the folder of one header.

    Raises
    ------
    FileFormatError
        The header is damaged, no image is there, or the scan is not a stack of images.
    """
    scan = read_scan(path)
    channel = _channel(scan, wanted.channel, path)
    regions = [f"{k} ({v.size} × {u.size} pixels)" for k, (v, u) in enumerate(scan.axes)]
    region = choose("region", regions, wanted.region, scan.where)
    letter = chr(97 + channel.index)
    frames = find_frames(scan, letter, region.index)
    y, x = scan.axes[region.index]
    growing = frames.n_seen < len(frames.files)
    ended = [_size_and_end(file, (y.size, x.size), frames) for file in frames.files if file]
    along = {"ring_current": frames.ring_current, "dwell": frames.dwell, "time": frames.time}
    images = Images(
        files=frames.files,
        shape=(y.size, x.size),
        # a writer that never ends the last line is a dialect; one file without the end is a cut one
        line_end_needed=any(ended) or len(ended) == 1,
        growing=growing,
    )
    return Source(
        where=scan.header,
        shape=(len(frames.files), y.size, x.size),
        read=partial(Images.read, images),
        energy=frames.energy,
        y=y,
        x=x,
        per_energy={key: values for key, values in along.items() if np.isfinite(values).any()},
        attrs=_attributes(scan, channel.index),
        choices=(channel, region),
        notes=frames.notes,
        complete=not growing,
        framewise=True,
        files=(scan.header, *(file for file in frames.files if file is not None)),
    )


def find_frames(scan: Scan, letter: str, region: int) -> Frames:
    """Find the images of one channel and region, with what the header says of each."""
    files = _image_files(scan, letter, region)
    if not files:
        raise FileFormatError(
            f"none of its images ({scan.header.stem}_{letter}….xim) is there",
            scan.where,
            "copy the images into the folder of the header",
        )
    last = max(files)
    planned, dwell = _plan(scan, last)
    to_come = range(last + 1, planned.size)
    numbers = np.array([*sorted(files), *to_come])
    notes = _notes(scan, region)
    per_image = [notes.get(int(number), {}) for number in numbers]
    if numbers.size == 1 and "StorageRingCurrent" not in per_image[0]:
        per_image = [{**scan.facts, **per_image[0]}]  # a single image notes them for the whole scan
    missing = planned[np.setdiff1d(np.arange(min(planned.size, last)), numbers)]
    ring = np.array([number_of(note, "StorageRingCurrent") for note in per_image])
    seconds = np.array([seconds_of(text_of(note, "Time")) for note in per_image])
    energy, said = _energies(scan, numbers, per_image, planned)
    n_planned = max(planned.size, numbers.size)
    if missing.size:
        said += (
            f"{missing.size} of {n_planned} images are missing, at {_listed(missing)} eV; the "
            "stack holds the others",
        )
    if to_come:
        said += (
            f"the last {len(to_come)} of {n_planned} images, at {_listed(planned[last + 1 :])} eV, "
            "are not there (a scan in progress, or aborted) and are NaN",
        )
    return Frames(
        files=tuple(files.get(int(number)) for number in numbers),
        energy=energy,
        ring_current=np.where(ring > 0, ring, np.nan),  # 0.00: nobody noted it
        dwell=dwell[numbers] if dwell.size > numbers[-1] else np.full(numbers.size, np.nan),
        time=seconds - np.nanmin(seconds) if np.isfinite(seconds).any() else seconds,
        missing=missing,
        notes=said,
    )


def _channel(scan: Scan, wanted: str | int | None, path: Path) -> Choice:
    """The detector channel, by letter, name or number; that of the image given, or the first."""
    image = IMAGE_FILE.fullmatch(path.name)
    names = [name or f"channel {k}" for k, (name, _) in enumerate(scan.channels)] or ["a"]
    return choose(
        "channel",
        names,
        image["channel"].lower() if wanted is None and image else wanted,
        scan.where,
        aliases=[chr(97 + k) for k in range(min(len(names), 26))],
    )


def _image_files(scan: Scan, letter: str, region: int) -> dict[int, Path]:
    """Images of one channel and region by number; a single image has number 0."""
    several = len(scan.axes) > 1
    found: dict[int, Path] = {}
    for file in scan.header.parent.iterdir():
        match = IMAGE_FILE.fullmatch(file.name)
        if match is None or match["base"] != scan.header.stem or match["channel"].lower() != letter:
            continue
        digits = match["digits"]
        if several and digits:
            digits, its_region = digits[:-1], int(digits[-1])
            if its_region != region:
                continue
        path = _guard.regular_file(file, inside=scan.header.parent)
        if path.stat().st_size:  # an empty file is an image that was never taken
            found[int(digits or 0)] = path
    return found


def _plan(scan: Scan, highest: int) -> tuple[np.ndarray, np.ndarray]:
    """Energies (eV) and dwell (ms) of all planned images; empty when no list reaches so far."""
    for energies in (scan.nominal, scan.requested):
        if energies.size > highest:
            same = energies.size == scan.requested_dwell.size
            return energies, scan.requested_dwell if same else np.empty(0)
    return np.empty(0), np.empty(0)


def _notes(scan: Scan, region: int) -> dict[int, Table]:
    """What the header notes with each image of a region, by the number in the image's file name.

    Newer headers write ``Image000_0`` with the file's number and region; older ones ``Image1`` and
    count from one.
    """
    numbered: dict[int, Table] = {}
    counted: dict[int, Table] = {}
    for key, note in scan.facts.items():
        match = _IMAGE_KEY.fullmatch(key)
        if match is None or not isinstance(note, dict):
            continue
        if match[2] is None:
            counted[int(match[1])] = cast(Table, note)
        elif int(match[2]) == region:
            numbered[int(match[1])] = cast(Table, note)
    if numbered:
        return numbered
    from_one = bool(counted) and 0 not in counted and max(counted) == scan.nominal.size
    return {number - from_one: note for number, note in counted.items()}


def _energies(
    scan: Scan, numbers: np.ndarray, notes: Iterable[Table], planned: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """True energy of each image: its own note, else the plan; and what to say of it."""
    noted = np.array([number_of(note, "Energy") for note in notes])
    noted = np.where(noted > 0, noted, np.nan)
    axis = planned[numbers] if planned.size else np.full(numbers.size, np.nan)
    energy = np.where(np.isfinite(noted), noted, axis)
    unknown = np.flatnonzero(~np.isfinite(energy))
    if unknown.size:
        raise FileFormatError(
            f"image {numbers[unknown[0]]} has no energy, neither of its own nor on the stack axis",
            scan.where,
            "add Energy to that image in the header, or remove the image",
        )
    if np.unique(energy).size < energy.size == np.unique(axis).size:
        return axis, ("images share a noted energy, so the nominal energies are used",)
    apart = np.nanmax(np.abs(energy - axis), initial=0)
    if apart > _SURPRISING_EV:
        return energy, (
            f"energies noted with the images differ from the stack axis by up to {apart:g} eV; "
            "those of the images are used",
        )
    return energy, ()


def _size_and_end(file: Path, shape: tuple[int, int], frames: Frames) -> bool:
    """Whether the last line of an image is ended, after its size was found to bear out the
    header.
    """
    size = file.stat().st_size
    unfinished = file == [one for one in frames.files if one][-1] and None in frames.files
    if size < _xim.BYTES_PER_PIXEL * shape[0] * shape[1] - 1 and not unfinished:
        lines = _guard.read_bytes(file, limit=size).count(b"\n")
        raise FileFormatError(
            f"ends in row {lines + 1} of {shape[0]}: {size} bytes cannot hold the "
            f"{shape[0]} × {shape[1]} values of the header",
            str(file),
            "the file is truncated: copy it again from the beamline",
        )
    if size > _LONGEST_PIXEL * shape[0] * shape[1] + 1_000_000:
        raise FileFormatError(
            f"is {size / 1e6:.0f} MB long, far more than {shape[0]} × {shape[1]} values need",
            str(file),
            "the header does not belong to this image: copy both again",
        )
    return _guard.read_at(file, size - 1, 1) in b"\r\n"


def _attributes(scan: Scan, channel: int) -> dict[str, str | int | float]:
    """Flat facts of the scan."""
    definition = cast(Table, scan.facts["ScanDefinition"])
    facts: dict[str, str | int | float] = {"scan_type": scan.kind}
    if channel < len(scan.channels):
        facts["unit"] = scan.channels[channel][1]
    dwell, divider = number_of(definition, "Dwell"), number_of(scan.facts, "PMT_CounterDivider")
    if dwell > 0:
        facts["dwell_ms"] = dwell
    if divider > 0:
        facts["counter_divider"] = divider
    polarisation = _polarisation(scan.facts)
    if np.isfinite(polarisation):
        facts["polarisation"] = polarisation  # in the beamline's own numbers
    if text_of(scan.facts, "Time"):
        facts["started"] = text_of(scan.facts, "Time")
    return facts


def _polarisation(facts: Table) -> float:
    """What the header says of the undulator, NaN when it says nothing."""
    undulator = facts.get("EPU_Polarization")
    # the entry is re-used for other motors at some beamlines: its name tells
    if isinstance(undulator, dict) and "polari" in text_of(cast(Table, undulator), "Name").lower():
        return number_of(cast(Table, undulator), "LastPosition")
    stated = number_of(facts, "Polarization")
    return np.nan if stated < -99 else stated


def _listed(energies: np.ndarray) -> str:
    """The first few energies."""
    return ", ".join(some([f"{energy:.2f}" for energy in energies]))


FORMAT = Format(
    name="sdf",
    title="SDF",
    extensions=(".hdr", ".xim"),
    sniff=sniff,
    open=open_,
    spectra=_spectra.open_,
    tried="real files of ALS, COSMIC and MAX IV",
    about="ALS, CLS, PolLux, MAX IV; several channels and regions",
)
