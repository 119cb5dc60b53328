"""From what a reader described to a Stack: completed, sorted, upright, in memory or lazy."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape import blocks
from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeWarning, FileFormatError
from chemoscape.formats import _guard, _visits
from chemoscape.formats._lists import read_energies
from chemoscape.formats._raw_frames import RawFrames
from chemoscape.formats._record import Format
from chemoscape.formats._registry import find_format, formats
from chemoscape.formats._source import Checked, Choice, Source, Visit, Wanted, some
from chemoscape.formats._wave import CHANNELS
from chemoscape.formats.spectra import read_spectra

#: A frame in memory is read in pieces of at most this many bytes of float32.
_PIECE_BYTES = 32_000_000

_AXES = "eyx"

#: No beamline reaches the one, and soft X-rays begin at the other.
_HIGHEST_EV, _LOWEST_EV = 1e6, 30.0


def open_source(
    path: str | Path,
    *,
    channel: str | int | None = None,
    region: str | int | None = None,
    angle: str | int | None = None,
    axes: str | None = None,
    energy: ArrayLike | str | Path | None = None,
    pixel_um: float | None = None,
    quantity: str | None = None,
    visit: Visit = "first",
) -> tuple[Source, Format]:
    """What a file holds, completed by what the user says of it; no image is read.

    Parameters and errors are those of `open_stack`.
    """
    _visits.require_visit(visit)
    known, found = find_format(path)
    wanted = Wanted(channel, region, angle, axes, energies(energy))
    with _guard.readable(found):
        source = known.open(found, wanted)
    source = completed(source, wanted, pixel_um, quantity)
    if axes is not None and not known.takes_axes:
        raise FileFormatError(
            "says the order of its dimensions itself", str(source.where), "leave out axes"
        )
    return replace(source, visit=visit), known


def energies(given: ArrayLike | str | Path | None) -> np.ndarray | None:
    """Energies that the user gave, or names a file of: numbers, one per frame."""
    if given is None:
        return None
    if isinstance(given, str | Path):
        return read_energies(_guard.regular_file(given))
    try:
        values = np.asarray(given, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        values = np.empty(0)
    if not values.size or not (np.isfinite(values) & (values > 0)).all():
        raise FileFormatError(
            "the energies given are not positive numbers", remedy="give one energy in eV per frame"
        )
    return values


def completed(
    source: Source, wanted: Wanted, pixel_um: float | None, quantity: str | None
) -> Source:
    """A source with what the user said of it; refuses wishes that the file cannot meet."""
    _refuse_wishes(source, wanted, pixel_um, quantity)
    if min(source.shape) < 1:
        raise FileFormatError(
            f"holds an array of {' × '.join(map(str, source.shape))}",
            str(source.where),
            "there is no image in it",
        )
    energy, energy_notes = _energy_of(source, wanted)
    y, x, axis_notes = _axes_of(source, pixel_um)
    agreed = quantity == source.quantity == "counts"  # then no value is too low for counts
    said = {stacks.SAID: "by the user"} if agreed else {}
    return replace(
        source,
        read=Checked(source.read, source.where, source.shape[2]),
        energy=energy,
        y=y,
        x=x,
        quantity=quantity or source.quantity,
        attrs={**source.attrs, **said},
        notes=(*source.notes, *energy_notes, *axis_notes),
    )


def _refuse_wishes(
    source: Source, wanted: Wanted, pixel_um: float | None, quantity: str | None
) -> None:
    """Raise where a wish is impossible, or there is nothing to choose from."""
    offered = {choice.kind for choice in source.choices}
    for kind in ("channel", "region", "angle"):
        wish = getattr(wanted, kind)  # a stack that was converted still knows its channel
        if kind not in offered and wish not in (None, 0, "0", source.attrs.get(kind)):
            raise FileFormatError(
                f"there are no {kind}s to choose from", str(source.where), f"leave out {kind}"
            )
    if wanted.axes is not None and sorted(wanted.axes.lower()) != sorted(_AXES):
        raise FileFormatError(
            f"axes = {wanted.axes!r} is no order of e, y and x",
            remedy='write it as "eyx", "yxe" or "xye"',
        )
    if quantity is not None and quantity not in get_args(stacks.Quantity):
        raise FileFormatError(
            f"there is no quantity {quantity!r}",
            remedy=f"use {', '.join(get_args(stacks.Quantity))}",
        )
    if pixel_um is not None and not (np.isfinite(pixel_um) and 0 < pixel_um < 1e6):
        raise FileFormatError(f"a pixel of {pixel_um} µm is impossible", remedy="give it in µm")


def _energy_of(source: Source, wanted: Wanted) -> tuple[np.ndarray, list[str]]:
    """Energies of the file or the user's, and what to say of them."""
    n_energy, notes = source.shape[0], []
    energy = source.energy if wanted.energy is None else wanted.energy
    if energy is None:
        raise FileFormatError(
            f"holds {n_energy} images and no photon energies",
            str(source.where),
            "give them: energy = a list in eV, or a text file with one per line",
        )
    if len(energy) != n_energy:
        raise FileFormatError(
            f"number of images: {n_energy}, number of energies given: {len(energy)}",
            str(source.where),
            "give one energy per image, in the order of the images",
        )
    energy = np.asarray(energy, dtype=np.float64)
    absurd = np.flatnonzero(~((energy > 0) & (energy < _HIGHEST_EV)))
    if absurd.size:
        raise FileFormatError(
            f"image {absurd[0]} has an energy of {energy[absurd[0]]:g} eV",
            str(source.where),
            "correct it in the file, or give the energies (energy = a list in eV)",
        )
    own = source.energy
    known = own is not None and bool((own > 0).all())
    if own is not None and known and not np.allclose(energy, own, rtol=0, atol=1e-3):
        notes.append(
            f"the energies given replace the file's own, {own.min():g} to {own.max():g} eV"
        )
    if energy.max() < _LOWEST_EV:
        notes.append(
            f"its energies, {energy.min():g} to {energy.max():g} eV, are below those of X-rays: "
            "are they in keV? Give them in eV (energy = …)"
        )
    return energy, notes


def _axes_of(source: Source, pixel_um: float | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Pixel centres of the file, or at the user's pitch, and what to say of them."""
    y, x = source.y, source.x
    if pixel_um is None and y is not None and x is not None:
        return y, x, []
    notes = []
    if pixel_um is None:
        notes.append("the file has no pixel size, so a pixel counts as 1 µm; give pixel_um")
    elif y is not None and x is not None:
        notes.append("the pixel size given replaces the file's own positions; they start at 0")
    size = pixel_um or 1.0
    top_down = y is None and source.attrs.get("rows", "") == "top-down"
    return (
        _rescaled(y, source.shape[1], size, top_down),
        _rescaled(x, source.shape[2], size, False),
        notes,
    )


def _rescaled(axis: np.ndarray | None, n: int, pixel_um: float, falling: bool) -> np.ndarray:
    """Pixel centres at the given pitch, in the direction of `axis` (or falling)."""
    if axis is not None and n > 1:
        falling = bool(axis[-1] < axis[0])
    centres = pixel_um * np.arange(n, dtype=np.float64)
    return centres[::-1].copy() if falling else centres


def sayings(source: Source) -> list[str]:
    """What the user is told when the stack is opened."""
    return [*map(_default_of, _unsaid(source.choices)), *source.notes, *_visits.sayings(source)]


def _unsaid(choices: tuple[Choice, ...]) -> list[Choice]:
    """Choices between several that the user left open, but for those that need no second thought:
    of a complex image its intensity.
    """
    return [
        choice
        for choice in choices
        if len(choice.names) > 1 and not choice.said and choice.names != CHANNELS
    ]


def _default_of(choice: Choice) -> str:
    """The default, said aloud."""
    return (
        f"holds {len(choice.names)} {choice.kind}s ({', '.join(some(choice.names))}); "
        f"{choice.name!r} was opened, {choice.kind} = … chooses another"
    )


def stack_of(source: Source, known: Format, *, lazy: bool | None) -> xr.DataArray:
    """The Stack of a completed source."""
    n_energy, n_y, n_x = source.shape
    bytes_needed = 4 * n_energy * n_y * n_x
    if lazy is None:
        lazy = bytes_needed > min(
            blocks.memory_limit(), _guard.believed_bytes(*source.files or (source.where,))
        )
    values = _lazy(source) if lazy else _loaded(source)
    kept = _visits.kept(source)
    if kept.size < n_energy:
        values = values[kept]
    assert source.energy is not None and source.y is not None and source.x is not None  # noqa: S101, PT018 - completed
    quantity: Any = source.quantity
    return stacks.build(
        values,
        source.energy[kept],
        source.y,
        source.x,
        quantity=quantity,
        per_energy=_visits.along_energy(source),
        attrs=attributes(source, known),
    )


def attributes(source: Source, known: Format) -> dict[str, str | int | float]:
    """Flat facts of the measurement; ``source`` is the file opened, ``origin`` the one it was made
    from.
    """
    kept = {name: value for name, value in source.attrs.items() if name not in ("format", "source")}
    if source.attrs.get("source"):
        kept.setdefault("origin", source.attrs["source"])
    chosen = {
        choice.kind: choice.name
        for choice in source.choices
        if choice.kind == "channel" or len(choice.names) > 1
    }
    more = {**_visits.facts(source), "format": known.name, "source": str(source.where)}
    return {**kept, **chosen, **more}


def _loaded(source: Source) -> np.ndarray:
    """The whole array as float32, read in pieces by several threads."""
    n_energy, n_y, n_x = source.shape
    cube = np.empty(source.shape, dtype=np.float32)
    everything = slice(0, n_energy), slice(0, n_y)
    if source.framewise:
        per_piece = max(
            min(_PIECE_BYTES // (4 * n_y * n_x), -(-n_energy // (4 * blocks.n_workers()))), 1
        )

        def piece(frames: slice) -> None:
            cube[frames] = source.read(frames, everything[1])

        blocks.for_each_band(piece, n_energy, rows_per_band=per_piece)
        return cube
    per_piece = blocks.rows_per_band((n_energy, n_y, n_x), source.rows_per_read)

    def band(rows: slice) -> None:
        cube[:, rows] = source.read(everything[0], rows)

    blocks.for_each_band(band, n_y, rows_per_band=per_piece)
    return cube


def _lazy(source: Source) -> Any:
    """The whole array as Dask array of bands: all energies × some rows."""
    import dask.array as da
    from dask.base import tokenize

    n_energy, n_y, n_x = source.shape
    row_bytes = 4 * n_energy * n_x
    if row_bytes > blocks.memory_limit():
        raise FileFormatError(
            f"one row of all its images needs {row_bytes / 1e9:.0f} GB",
            str(source.where),
            "the header may be damaged; otherwise use a machine with more memory",
        )
    parts = blocks.bands(n_y, blocks.rows_per_band(source.shape, source.rows_per_read))
    name = "stack-" + tokenize(
        str(source.where), *fingerprint_of(source), source.choices, source.shape
    )
    graph = {
        (name, 0, number, 0): (_band, source.read, n_energy, rows.start, rows.stop)
        for number, rows in enumerate(parts)
    }
    chunks = ((n_energy,), tuple(rows.stop - rows.start for rows in parts), (n_x,))
    return da.Array(graph, name, chunks, dtype=np.float32)


def spooled(source: Source, folder: Path) -> Source:
    """The same stack in a plain file in `folder`, of which bands of rows are cheap to read.

    Of files that keep whole frames every band would read all of them; this reads each frame once.
    """
    n_energy, n_y, n_x = source.shape
    path = folder / "frames"
    some_frames = max(_PIECE_BYTES // (4 * n_y * n_x), 1)
    with path.open("wb") as file:
        for frames in blocks.bands(n_energy, some_frames):
            file.write(source.read(frames, slice(0, n_y)).astype("<f4").data)
    raw = RawFrames(path, 0, source.shape, "<f4")
    return replace(source, read=raw.read, framewise=False, rows_per_read=1, files=(path,))


def _band(read: Any, n_energy: int, start: int, stop: int) -> np.ndarray:
    """One band of a lazy stack."""
    return np.asarray(read(slice(0, n_energy), slice(start, stop)), dtype=np.float32)


def fingerprint_of(source: Source) -> list[tuple[str, int, int]]:
    """Name, size and time of all files, which change when the data do."""
    prints = []
    for path in source.files or (source.where,):
        try:
            status = path.stat()
        except OSError:
            continue
        prints.append((str(path), status.st_size, status.st_mtime_ns))
    return prints


def watch(
    path: str | Path, every: float, patience: float, options: dict[str, Any]
) -> Iterator[xr.DataArray]:
    """Open a stack again whenever its files have changed, until it is complete."""
    _guard.existing(path)  # what is not there at all is a slip of the user
    lazy = options.pop("lazy", None)
    last: list[tuple[str, int, int]] | None = None
    went_well = time.monotonic()
    while True:
        try:
            source, known = open_source(path, **options)
            seen = fingerprint_of(source)
            stack = stack_of(source, known, lazy=lazy) if seen != last else None
        except FileFormatError:  # nothing measured yet, or caught in the middle of writing
            if time.monotonic() - went_well > patience:
                raise
            time.sleep(every)
            continue
        went_well = time.monotonic()
        if stack is not None:
            last = seen
            for note in sayings(source) if source.complete else []:
                warnings.warn(f"{source.where}: {note}", ChemoscapeWarning, stacklevel=2)
            yield stack
        if source.complete:
            return
        time.sleep(every)


def spectra(path: str | Path, wanted: Wanted) -> xr.DataArray:
    """Spectra of a file, in ascending energies."""
    found = _guard.existing(path)
    reader = next((one.spectra for one in formats() if one.spectra and one.sniff(found)), None)
    with _guard.readable(found):
        read = reader(found, wanted) if reader else read_spectra(found, wanted)
    for note in (*map(_default_of, _unsaid(read.choices)), *read.notes):
        warnings.warn(f"{read.where}: {note}", ChemoscapeWarning, stacklevel=3)
    order = np.argsort(read.energy, kind="stable")
    coords: dict[str, Any] = {
        "spectrum": list(read.names),
        "energy": ("energy", read.energy[order], {"units": "eV"}),
    }
    if read.position is not None:
        coords["position"] = ("spectrum", read.position, {"units": "µm"})
    return xr.DataArray(
        read.values[:, order],
        dims=("spectrum", "energy"),
        coords=coords,
        attrs={
            "quantity": read.quantity,
            "source": str(read.where),
            **{choice.kind: choice.name for choice in read.choices},
            **read.attrs,
        },
    )
