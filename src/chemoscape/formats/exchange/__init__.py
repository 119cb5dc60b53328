"""Exchange HDF5 (MANTiS, APS, SSRF): ``/exchange/{data, energy, x, y, theta}``.

The order of the axes is said by an attribute, or follows from lengths: MANTiS writes (x, y, E), the
SSRF (y, x, E), the APS (E, y, x). ``/spectromicroscopy/optical_density`` is offered as a channel; a
white spectrum of MANTiS becomes the coordinate ``i0_file`` along energy (a name that the
optical density's own ``i0`` does not meet).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._record import Format
from chemoscape.formats._source import Choice, Source, Wanted, choose
from chemoscape.formats.exchange import _axes
from chemoscape.stack import LOWEST_CREDIBLE_COUNT

_DATA = "exchange/data"
_DENSITY = "spectromicroscopy/optical_density"
_WHITE = "spectromicroscopy/normalization/white_spectrum"

#: An outermost row is a fill, not a measurement, when so much of it has one value, and so little of
#: the row beside it.
_FILLED, _ALIVE = 0.95, 0.5


def sniff(path: Path) -> bool:
    """Whether a file is HDF5 with ``/exchange/data``."""
    return _hdf5.holds(path, lambda file: _hdf5.array(file, _DATA) is not None)


@dataclass(frozen=True)
class Slab:
    """Part of an array in the file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The array.
    order : str
        Letters of its axes, of e, y, x and t (angle); ``"pe"`` for pixels in one list, x fastest.
    n_x : int
        Length of a row.
    angle : int
        Number along t.
    edge : int
        Number of rows of images whose outermost pixels may hold a fill value; 0 where none do.
    """

    path: Path
    name: str
    order: str
    n_x: int
    angle: int = 0
    edge: int = 0

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Frames × rows as float32 (integers as they are), NaN where a fill value was."""
        with _hdf5.opened(self.path) as file:
            data = _hdf5.held(file, self.name)
            values = self._cut(data, frames, rows, slice(0, self.n_x))
            if values.dtype.kind == "f":
                with np.errstate(over="ignore"):
                    values = values.astype(np.float32, copy=False)
            if not self.edge:
                return values
            fill = self._cut(data, frames, slice(0, 1), slice(0, 1)).astype(np.float32)
        values = values.astype(np.float32)
        outer = np.zeros(values.shape[1:], dtype=bool)
        outer[:, [0, -1]] = True
        numbers = np.arange(rows.start, rows.stop)
        outer[(numbers == 0) | (numbers == self.edge - 1)] = True
        values[outer & (values == fill)] = np.nan
        return values

    def _cut(self, data: Any, frames: slice, rows: slice, columns: slice) -> np.ndarray:
        """Frames × rows × columns."""
        if self.order == "pe":
            flat = data[rows.start * self.n_x : rows.stop * self.n_x, frames]
            image = flat.reshape(-1, self.n_x, flat.shape[-1])[:, columns]
            return np.moveaxis(image, -1, 0)
        parts = {"e": frames, "y": rows, "x": columns, "t": self.angle}
        values = data[tuple(parts[letter] for letter in self.order)]
        order = self.order.replace("t", "")
        if "e" not in order:
            order, values = f"e{order}", values[np.newaxis]
        return values.transpose([order.index(letter) for letter in "eyx"])


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe an exchange file.

    Raises
    ------
    FileFormatError
        It is a tomography, has no images, or leaves the order of its axes open.
    """
    with _hdf5.opened(path) as file:
        data = _hdf5.array(file, _DATA)
        if data is None or data.ndim not in (2, 3, 4) or data.dtype.kind not in "fiu":
            raise FileFormatError(
                f"/{_DATA} is no array of images", str(path), "look at what the file holds"
            )
        energy, notes = _axes.energies(file, data.shape, wanted, path)
        order, more = _axes.order(file, data, energy.size, wanted.axes, path)
        lengths = dict(zip(order, data.shape, strict=True))
        n_energy, n_y, n_x = lengths.get("e", 1), lengths["y"], lengths["x"]
        energy, surplus = _as_many(energy, n_energy, path)
        y, x, unclear = _axes.image_axes(file, order, n_y, n_x)
        angle = _angle(file, lengths.get("t", 0), wanted, path)
        channel, slab, flaw = _channel(file, data, order, wanted, path)
        slab = replace(slab, n_x=n_x, angle=angle.index if angle else 0)
        chunk = dict(zip(slab.order, file[slab.name].chunks or (), strict=False))
        attrs = _facts(file)
        white = _white_spectrum(file, energy, angle)
        flats = [name for name in ("data_white", "white_data") if f"exchange/{name}" in file]
    notes = [*notes, *more, *surplus, *unclear, *flaw]
    if flats and channel.name == "data":
        notes.append("its flat fields are not applied: the images are as recorded")
    slab, filled = _without_fill(slab, n_y)
    quantity, looks = _quantity(slab, channel.name, n_y)
    return Source(
        where=path,
        shape=(n_energy, n_y, n_x),
        read=slab.read,
        energy=energy,
        y=y,
        x=x,
        quantity=quantity,
        per_energy={} if white is None else {"i0_file": white},
        attrs=attrs,
        choices=(channel, angle) if angle else (channel,),
        notes=(*notes, *filled, *looks),
        framewise=chunk.get("e") == 1 and chunk.get("y", 0) >= n_y,
        rows_per_read=chunk.get("y", 1),
        files=(path,),
    )


def _as_many(energy: np.ndarray, n: int, path: Path) -> tuple[np.ndarray, list[str]]:
    """As many energies as there are images."""
    if energy.size < n:
        raise FileFormatError(
            f"/exchange/energy has {energy.size} energies for {n} images",
            str(path),
            "give the right ones with energy = a list in eV, or a text file with one per line",
        )
    if energy.size == n:
        return energy, []
    return energy[:n], [
        f"there are {energy.size} energies for {n} images: the first {n} are used, as of a scan "
        "that was stopped"
    ]


def _angle(file: h5py.File, n: int, wanted: Wanted, path: Path) -> Choice | None:
    """Which angle of a tilt series; None when there is no such axis."""
    if not n:
        return None
    theta = _hdf5.numbers(file, "exchange/theta")
    if theta is None or theta.size != n or not np.isfinite(theta).all():
        return choose("angle", [f"angle {k}" for k in range(n)], wanted.angle, path)
    # with its unit, so that angle = 0 is the first and not the one at 0°
    return choose("angle", [f"{value:g} deg" for value in theta.reshape(-1)], wanted.angle, path)


def _channel(
    file: h5py.File, data: h5py.Dataset, order: str, wanted: Wanted, path: Path
) -> tuple[Choice, Slab, list[str]]:
    """The data or the optical densities beside them."""
    offers = {"data": Slab(path, _DATA, order, 0)}
    flaw = []
    density = _hdf5.array(file, _DENSITY)
    if density is not None and density.dtype.kind == "f":
        lengths = dict(zip(order, data.shape, strict=True))
        if density.shape == data.shape:
            offers["optical density"] = Slab(path, _DENSITY, order, 0)
        elif density.shape == (lengths["y"] * lengths["x"], lengths.get("e", 1)):
            offers["optical density"] = Slab(path, _DENSITY, "pe", 0)
        else:
            flaw.append(
                f"/{_DENSITY} has shape {density.shape}, which does not fit the data's "
                f"{data.shape}, and is left out"
            )
    channel = choose("channel", list(offers), wanted.channel, path)
    return channel, offers[channel.name], flaw


def _without_fill(slab: Slab, n_y: int) -> tuple[Slab, list[str]]:
    """Whether the outermost pixels hold one constant, as interpolation onto a grid leaves it."""
    if slab.name != _DATA or n_y < 5 or slab.n_x < 5:
        return slab, []
    first, second, last = (
        slab.read(slice(0, 1), slice(row, row + 1))[0, 0] for row in (0, 1, n_y - 1)
    )
    fill = first[0]
    if min((first == fill).mean(), (last == fill).mean()) < _FILLED or (
        (second == fill).mean() > _ALIVE
    ):
        return slab, []
    return replace(slab, edge=n_y), [
        f"the outermost pixels hold one constant ({fill:.6g} in the first image), a fill and no "
        "measurement: they are NaN"
    ]


def _quantity(slab: Slab, channel: str, n_y: int) -> tuple[str, list[str]]:
    """What the numbers are, by the middle row of the first image: the format does not say."""
    if channel != "data":
        return "optical_density", []
    middle = n_y // 2
    row = slab.read(slice(0, 1), slice(middle, middle + 1))
    known = row[np.isfinite(row)]
    if not known.size or known.max() >= LOWEST_CREDIBLE_COUNT:
        return "counts", []
    quantity = "optical_density" if known.min() < 0 else "transmission"
    return quantity, [
        f"its values ({known.min():.3g} to {known.max():.3g} in the middle row) are no counts and "
        f"are taken as {quantity.replace('_', ' ')}; quantity = … says otherwise"
    ]


def _white_spectrum(file: h5py.File, energy: np.ndarray, angle: Choice | None) -> np.ndarray | None:
    """MANTiS's I0 at the stack's energies, None when it has none or does not cover them."""
    white = _hdf5.numbers(file, _WHITE)
    if white is None:
        return None
    if white.ndim == 2 and angle is not None and white.shape[1] == len(angle.names):
        white = white[:, angle.index]
    white = white.reshape(-1)
    at = _hdf5.numbers(file, f"{_WHITE}_energy")
    if at is None or at.size != white.size or white.size < 2:
        return white if white.shape == energy.shape else None
    at = at.reshape(-1)
    rising = np.argsort(at, kind="stable")
    if not np.isfinite(at).all() or energy.min() < at.min() - 1 or energy.max() > at.max() + 1:
        return white if white.shape == energy.shape else None
    return np.interp(energy, at[rising], white[rising])


def _facts(file: h5py.File) -> dict[str, str | int | float]:
    """What the file says of the measurement."""
    found = {
        "title": "exchange/title",
        "facility": "information/facility/name",
        "beamline": "information/facility/beamline",
        "sample": "information/sample/description",
        "started": "exchange/data_collection_datetime",
        "written": "information/file_creation_datetime",
    }
    return {name: text for name, where in found.items() if (text := _hdf5.text(file, where)) != ""}


FORMAT = Format(
    name="exchange",
    title="Exchange HDF5",
    extensions=(".hdf5", ".h5"),
    sniff=sniff,
    open=open_,
    takes_axes=True,
    tried="a real file of SSRF; the others as published",
    about="MANTiS, APS, SSRF; optical densities as a channel, tilt series by angle, a white "
    "spectrum as the coordinate i0_file",
)
