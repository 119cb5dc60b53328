"""Line scans and point spectra of NXstxm files, as spectra."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._source import Choice, Spectra, Wanted, fitted_axis
from chemoscape.formats.nxstxm import _als, _facts, _layout
from chemoscape.formats.nxstxm._images import Images, has_content
from chemoscape.formats.nxstxm._layout import Layout
from chemoscape.formats.nxstxm._names import detectors, entries, positions

#: Most numbers that spectra along a line may have.
_MOST_NUMBERS = 50_000_000


def read_spectra(path: Path, wanted: Wanted) -> Spectra:
    """Spectra along a line, at a point, or at the points of several entries.

    Raises
    ------
    FileFormatError
        The file is damaged, holds images, or has no energies.
    """
    with _hdf5.opened(path) as file:
        entry, region, channel = _layout.chosen(file, wanted, path)
        layout = _layout.find(entry, channel.name, None)
        where = f"{path} ({region.name}/{channel.name})"
        if layout.kind == "stack":
            raise FileFormatError(
                "holds images, no spectra", where, "open it with chemoscape.open_stack"
            )
        values, along, note = _values(entry, layout, path, where)
        energy, energy_note = _energies(layout, values.shape[1], where)
        values, tail_note = _measured(values)
        names = _names(len(values), along, channel.name)
        choices: tuple[Choice, ...] = (channel, region)
        if layout.kind == "point" and len(values) == 1 and wanted.region is None:
            others = _other_points(file, region, channel, energy)
            if others:
                values = np.concatenate([values, *others.values()])
                names, choices = (region.name, *others), (channel,)
        return Spectra(
            where=path,
            energy=energy,
            values=values,
            names=names,
            position=along,
            quantity="counts",
            attrs=_facts.whole_scan(entry, channel.name, layout.array),
            choices=choices,
            notes=tuple(one for one in (*layout.notes, energy_note, note, tail_note) if one),
        )


def _values(
    entry: h5py.Group, layout: Layout, path: Path, where: str
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Spectra (n_spectra, n_energy), where they are (µm from the first), and what to say."""
    array = layout.array
    if array.size > _MOST_NUMBERS:
        raise FileFormatError(
            f"holds {array.size} numbers, more than any line scan",
            where,
            "the file is damaged: copy it again",
        )
    if not layout.unbinned:
        values = _spectra_of(array, layout.order)
        along = _distances(layout.x, layout.y, len(values))
        named = (
            positions(array.parent, "line_position") if "line_position" in array.parent else None
        )
        if along is None and named is not None:
            along, note = fitted_axis(named, len(values), "line")
            return values, along, note
        return values, along if len(values) > 1 else None, ""
    n_energy = layout.size("e")
    samples = Images(path, array.name, "eyx", (n_energy, 1, layout.size("x")), n_energy, 1)
    rebinned, along = _als.rebinned(entry, layout.detector, samples, line=True)
    if _als.is_binned(entry, samples):
        binned = _hdf5.array(entry, "binned_values/data")
        assert binned is not None  # noqa: S101 - it was found above
        if binned.shape[2] == along.size:
            return np.asarray(binned[:n_energy, 0], dtype=np.float64).T, along, ""
    values = rebinned.read(slice(0, n_energy), slice(0, 1))[:, 0].T
    return values, along, _als.empty_note(rebinned)


def _spectra_of(array: h5py.Dataset, order: str) -> np.ndarray:
    """Spectra (n_spectra, n_energy) of an array; of several rows the first is the line."""
    index: dict[str, slice | int] = dict.fromkeys("elyx", slice(None)) | {".": 0}
    if "y" in order and "x" in order:
        n_y, n_x = (array.shape[order.index(role)] for role in "yx")
        index["x" if n_x == 1 < n_y else "y"] = 0
    asked = array.astype("f8") if array.dtype.kind == "f" else array
    values = np.asarray(asked[tuple(index[role] for role in order)], dtype=np.float64)
    left = [role for role in order if index[role] == slice(None)]
    values = np.moveaxis(values, left.index("e"), -1) if "e" in left else values[..., None]
    return values.reshape(-1, values.shape[-1])


def _distances(x: np.ndarray | None, y: np.ndarray | None, n: int) -> np.ndarray | None:
    """Distance of every point from the first, µm; None when no list has `n` positions."""
    lists = [one - one[0] for one in (x, y) if one is not None and one.size == n]
    return np.asarray(np.sqrt(sum(one**2 for one in lists))) if lists else None


def _energies(layout: Layout, n: int, where: str) -> tuple[np.ndarray, str]:
    """Energies of the spectra, as many as were measured."""
    energy = layout.energy
    if energy is None or energy.size < n or not np.isfinite(energy[:n]).all():
        raise FileFormatError(
            f"holds spectra of {n} values but {0 if energy is None else energy.size} energies",
            where,
            "the file is damaged or not of this kind: copy it again",
        )
    note = f"{energy.size} energies were planned and {n} measured" if energy.size > n else ""
    return energy[:n], note


def _measured(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Spectra with NaN at the energies at the end where nothing was measured, and what to say."""
    seen = np.flatnonzero(has_content(values.T))
    n_energy = values.shape[1]
    n = int(seen[-1]) + 1 if seen.size else n_energy
    if n == n_energy:
        return values, ""
    values = values.astype(np.float64)
    values[:, n:] = np.nan
    return values, (
        f"the last {n_energy - n} of {n_energy} energies are empty (a scan in progress, or "
        "aborted) and are NaN"
    )


def _names(n: int, along: np.ndarray | None, channel: str) -> tuple[str, ...]:
    """A name for every spectrum."""
    if n == 1:
        return (channel,)
    if along is None or np.unique(np.round(along, 3)).size < n:
        return tuple(f"point {k}" for k in range(n))
    return tuple(f"{position:.3f} µm" for position in along)


def _other_points(
    file: h5py.File, region: Choice, channel: Choice, energy: np.ndarray
) -> dict[str, np.ndarray]:
    """Point spectra of the same detector at the same energies in the other entries, by name."""
    found = {}
    for name in entries(file):
        if name == region.name or channel.name not in detectors(file[name]):
            continue
        layout = _layout.find(file[name], channel.name, None)
        same = layout.energy is not None and np.array_equal(layout.energy, energy)
        if layout.kind == "point" and same and layout.array.size == energy.size:
            found[name] = _measured(_spectra_of(layout.array, layout.order))[0]
    return found
