"""SDF, the format of the STXMs at ALS, CLS, PolLux and MAX IV.

Beside ``base.hdr`` lie ``base_a000.xim``, ``base_a001.xim``, …: a letter for the channel, three
digits for the energy and, when the header lists several regions, one more for the region; a single
image is ``base_a.xim``. The energy that the header notes with each image is the true one; the
nominal axis only fills in where there is none.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeWarning, FileFormatError
from chemoscape.formats import _guard
from chemoscape.formats._record import Format
from chemoscape.formats._sdf_header import Table
from chemoscape.formats._sdf_scan import (
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

#: Longest text of one pixel that a writer could mean (``-1.2345678901234567E+003`` has 24).
_LONGEST_PIXEL = 64


@dataclass(frozen=True, eq=False)
class Frames:
    """Images of one channel and region that are there, in the order of their numbers.

    Parameters
    ----------
    files : tuple of Path
        The images.
    energy, ring_current, dwell, time : ndarray, shape (n,)
        eV; mA, ms and seconds since the first image, NaN where unknown.
    missing : ndarray
        Energies (eV) of images that were planned and are not there.
    repeated : ndarray
        Energies (eV) of images left out because an earlier one has the same energy, as where two
        energy regions meet.
    """

    files: tuple[Path, ...]
    energy: np.ndarray
    ring_current: np.ndarray
    dwell: np.ndarray
    time: np.ndarray
    missing: np.ndarray
    repeated: np.ndarray


def sniff(path: Path) -> bool:
    """Whether `path` is an SDF header, an image beside one, or a folder that holds one."""
    try:
        return any(is_header(header) for header in candidate_headers(path))
    except OSError:
        return False


def read(path: Path, *, channel: str | None = None, region: int = 0) -> xr.DataArray:
    """Read a stack of images.

    Parameters
    ----------
    path : Path
        The header, one of its images, or the folder that holds one header.
    channel : str, optional
        Letter or name of the detector channel; that of the image given, or the first.
    region : int
        Number of the region, from 0.

    Returns
    -------
    DataArray (energy, y, x)
        Counts.

    Raises
    ------
    FileFormatError
        The header or an image is damaged, no image is there, or the scan is not a stack of images.
    """
    scan = read_scan(path)
    letter, name, unit = _channel(scan, channel or _letter_of(path))
    frames = find_frames(scan, letter, region)
    y, x = scan.axes[region]
    if frames.missing.size:
        _warn_missing(scan, frames)
    if frames.repeated.size:
        _warn_repeated(scan, frames)
    along = {"ring_current": frames.ring_current, "dwell": frames.dwell, "time": frames.time}
    return stacks.build(
        _read_images(frames.files, (y.size, x.size)),
        frames.energy,
        y,
        x,
        quantity="counts",
        per_energy={key: values for key, values in along.items() if np.isfinite(values).any()},
        attrs=_attributes(scan, name, unit, region),
    )


def describe(path: Path, *, channel: str | None = None, region: int = 0) -> dict[str, Any]:
    """Facts about the stack, from the header and the names of the images."""
    scan = read_scan(path)
    letter, name, unit = _channel(scan, channel or _letter_of(path))
    frames = find_frames(scan, letter, region)
    y, x = scan.axes[region]
    known = frames.ring_current[np.isfinite(frames.ring_current)]
    return {
        **_attributes(scan, name, unit, region),
        "quantity": "counts",
        "shape": [frames.energy.size, y.size, x.size],
        "energy_range_eV": [float(frames.energy.min()), float(frames.energy.max())],
        "x_um": [float(x.min()), float(x.max())],
        "y_um": [float(y.min()), float(y.max())],
        "channels": [f"{chr(97 + k)}: {one} ({its})" for k, (one, its) in enumerate(scan.channels)],
        "regions": [f"{v.size} × {u.size} pixels" for v, u in scan.axes],
        "ring_current_mA": [float(known.min()), float(known.max())] if known.size else None,
        "missing_energies_eV": [round(float(energy), 3) for energy in frames.missing],
        "repeated_energies_eV": [round(float(energy), 3) for energy in frames.repeated],
    }


def find_frames(scan: Scan, letter: str, region: int) -> Frames:
    """Find the images of one channel and region, with what the header says of each."""
    if region not in range(len(scan.axes)):
        raise FileFormatError(
            f"there is no region {region}",
            scan.where,
            f"choose one of {', '.join(map(str, range(len(scan.axes))))}",
        )
    files = _image_files(scan, letter, region)
    if not files:
        raise FileFormatError(
            f"none of its images ({scan.header.stem}_{letter}….xim) is there",
            scan.where,
            "copy the images into the folder of the header",
        )
    numbers = np.array(sorted(files))
    planned, dwell = _plan(scan, int(numbers[-1]))
    notes = _notes(scan, region)
    per_image = [notes.get(int(number), {}) for number in numbers]
    if numbers.size == 1 and "StorageRingCurrent" not in per_image[0]:
        per_image = [{**scan.facts, **per_image[0]}]  # a single image notes them for the whole scan
    absent = np.setdiff1d(np.arange(planned.size), numbers)
    ring = np.array([number_of(note, "StorageRingCurrent") for note in per_image])
    seconds = np.array([seconds_of(text_of(note, "Time")) for note in per_image])
    energy = _energies(scan, numbers, per_image, planned)
    first = np.sort(np.unique(energy, return_index=True)[1])
    of_each = dwell[numbers] if dwell.size > numbers[-1] else np.full(numbers.size, np.nan)
    return Frames(
        files=tuple(files[int(number)] for number in numbers[first]),
        energy=energy[first],
        ring_current=np.where(ring > 0, ring, np.nan)[first],  # 0.00: nobody noted it
        dwell=of_each[first],
        time=(seconds - np.nanmin(seconds) if np.isfinite(seconds).any() else seconds)[first],
        missing=planned[absent],
        repeated=np.delete(energy, first),
    )


def _letter_of(path: Path) -> str | None:
    """Channel of the image that the user gave."""
    image = IMAGE_FILE.fullmatch(path.name)
    return image["channel"].lower() if image else None


def _channel(scan: Scan, wanted: str | None) -> tuple[str, str, str]:
    """Letter, name and unit of a channel, by letter or by name; the first when None."""
    letters = [chr(97 + k) for k in range(min(len(scan.channels), 26))] or ["a"]
    names = [name for name, _ in scan.channels] or [""]
    key = letters[0] if wanted is None else wanted
    if key in names:
        index = names.index(key)
    elif key.lower() in letters:
        index = letters.index(key.lower())
    else:
        offered = ", ".join(f"{a} ({b})" for a, b in zip(letters, names, strict=False))
        raise FileFormatError(
            f"there is no channel {wanted!r}", scan.where, f"choose one of {offered}"
        )
    return letters[index], names[index], scan.channels[index][1] if scan.channels else ""


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
) -> np.ndarray:
    """True energy of each image: its own note, else the plan."""
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
        warnings.warn(
            f"{scan.where}: images share a noted energy, so the nominal energies are used",
            ChemoscapeWarning,
            stacklevel=5,
        )
        return axis
    return energy


def _read_images(files: tuple[Path, ...], shape: tuple[int, int]) -> np.ndarray:
    """All images as one float32 array, after their sizes were found to bear out the header."""
    from chemoscape.blocks import for_each_band, n_workers
    from chemoscape.formats import _xim

    sizes, ended = zip(*(_size_and_end(file, shape) for file in files), strict=True)
    # a writer that never ends the last line is a dialect; one file without the end is a cut one
    line_end_needed = any(ended) or len(files) == 1
    cube = np.empty((len(files), *shape), dtype=np.float32)

    def work(band: slice) -> None:
        buffer = np.empty(
            max(sizes[band]) + 1, dtype=np.uint8
        )  # fresh memory for each would cost more
        for k in range(band.start, band.stop):
            n_bytes = _guard.read_into(files[k], buffer[:-1])
            _xim.read_image(
                buffer, n_bytes, cube[k], where=str(files[k]), line_end_needed=line_end_needed
            )

    for_each_band(work, len(files), rows_per_band=-(-len(files) // (4 * n_workers())))
    return cube


def _size_and_end(file: Path, shape: tuple[int, int]) -> tuple[int, bool]:
    """Size of an image that can hold `shape` pixels, and whether its last line is ended."""
    from chemoscape.formats import _xim

    size = file.stat().st_size
    if size < _xim.BYTES_PER_PIXEL * shape[0] * shape[1] - 1:
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
    with file.open("rb") as opened:
        opened.seek(-1, 2)
        return size, opened.read(1) in b"\r\n"


def _attributes(scan: Scan, channel: str, unit: str, region: int) -> dict[str, str | int | float]:
    """Flat facts of the scan."""
    definition = cast(Table, scan.facts["ScanDefinition"])
    facts: dict[str, str | int | float] = {
        "format": "sdf",
        "source": scan.where,
        "scan_type": scan.kind,
        "channel": channel,
        "region": region,
        "unit": unit,
    }
    dwell, divider = number_of(definition, "Dwell"), number_of(scan.facts, "PMT_CounterDivider")
    if dwell > 0:
        facts["dwell_ms"] = dwell
    if divider > 0:
        facts["counter_divider"] = divider
    if text_of(scan.facts, "Time"):
        facts["started"] = text_of(scan.facts, "Time")
    return facts


def _warn_missing(scan: Scan, frames: Frames) -> None:
    """Say which planned energies have no image."""
    n_planned = frames.missing.size + frames.energy.size + frames.repeated.size
    warnings.warn(
        f"{scan.where}: {frames.missing.size} of {n_planned} images are missing, at "
        f"{_some(frames.missing)} eV; the stack holds the others",
        ChemoscapeWarning,
        stacklevel=4,
    )


def _warn_repeated(scan: Scan, frames: Frames) -> None:
    """Say which images were left out for another at the same energy."""
    warnings.warn(
        f"{scan.where}: {frames.repeated.size} images repeat an energy, at "
        f"{_some(frames.repeated)} eV; the stack holds the first of each",
        ChemoscapeWarning,
        stacklevel=4,
    )


def _some(energies: np.ndarray) -> str:
    """The first few energies."""
    more = f" and {energies.size - 6} more" if energies.size > 6 else ""
    return ", ".join(f"{energy:.2f}" for energy in energies[:6]) + more


FORMAT = Format(
    name="sdf",
    title="SDF of ALS, CLS, PolLux and MAX IV",
    extensions=(".hdr", ".xim"),
    sniff=sniff,
    read=read,
    describe=describe,
    options=("channel", "region"),
)
