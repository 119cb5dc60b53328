"""Framesets of xanespy: ``/<sample>/<version>/{intensities, energies, pixel_sizes, …}``.

Intensities are (time step, energy, y, x), complex for ptychography. Of several versions of the
data (imported, aligned, …) the one that the file calls the latest is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5, _wave
from chemoscape.formats._lengths import believable, centres, micrometres
from chemoscape.formats._record import Format
from chemoscape.formats._source import Choice, Source, Wanted, choose
from chemoscape.stack import LOWEST_CREDIBLE_COUNT

_DENSITIES = ("optical_depths", "absorbances")

#: Pixel sizes that differ by less than this part are one.
_SAME_PIXEL = 1e-3


@dataclass(frozen=True)
class Frames:
    """Images of one time step."""

    path: Path
    name: str
    step: int
    channel: str

    def read(self, frames: slice, rows: slice) -> np.ndarray:
        """Frames × rows of a channel."""
        with _hdf5.opened(self.path) as file:
            images = _hdf5.held(file, self.name)
            values = images[self.step, frames, rows] if images.ndim == 4 else images[frames, rows]
        return _wave.real_image(values, self.channel)


def sniff(path: Path) -> bool:
    """Whether a file is HDF5 with a group of a sample with intensities and energies."""
    return _hdf5.holds(path, lambda file: bool(_versions(file)))


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe a frameset.

    Raises
    ------
    FileFormatError
        Its images and energies do not fit each other.
    """
    with _hdf5.opened(path) as file:
        region, group, step = _region(file, wanted, path)
        channel, name, is_wave = _channel(group, wanted, path)
        images = _hdf5.array(file, name)
        if images is None or images.ndim not in (3, 4):
            raise FileFormatError(f"{name} is no series of images", str(path), "import it again")
        n, n_y, n_x = images.shape[-3:]
        energy, notes = _energies(group, step, n, wanted, path)
        pixel, uneven = _pixel_size(group, step, n)
        parent = group.parent
        facts = {key: _hdf5.attribute_text(parent, key) for key in ("beamline", "technique")}
        others = [other for other in _hdf5.groups(parent) if f"{parent.name}/{other}" != group.name]
        chunks = images.chunks[-3:] if images.chunks else (1, 1, 1)
    if others:
        notes.append(
            f"{parent_of(name)} also holds {', '.join(others)}; the latest version of the data, "
            f"{version_of(name)}, was opened"
        )
    frames = Frames(path, name, step, channel.name)
    middle = frames.read(slice(0, 1), slice(n_y // 2, n_y // 2 + 1))
    if is_wave:
        quantity, unit, looks = _wave.nature(middle, channel.name)
        looks, usual = _wave.sorted_looks(looks, channel.name, quantity)
    else:
        quantity, unit, looks = _nature(middle, channel.name)
        usual = []
    # Ptychography of ALS 5.3.2.1 is stored as its CXI files have it; imports from COSMIC, which
    # state no technique, were flipped by xanespy; full-field images are as their cameras have them.
    top_down = "ptychography" in facts["technique"].lower()
    return Source(
        where=path,
        shape=(n, n_y, n_x),
        read=frames.read,
        energy=energy,
        y=centres(n_y, pixel, top_down=top_down),
        x=centres(n_x, pixel),
        quantity=quantity,
        attrs={
            **{key: value for key, value in facts.items() if value},
            **unit,
            "version": version_of(name),
            "rows": "top-down" if top_down else "bottom-up",
        },
        choices=(channel, region),
        notes=(*notes, *uneven, *looks),
        remarks=tuple(usual),
        framewise=chunks[0] == 1 and chunks[1] >= n_y,
        rows_per_read=chunks[1],
        files=(path,),
    )


def parent_of(name: str) -> str:
    """Sample of an array's path."""
    return name.split("/")[1]


def version_of(name: str) -> str:
    """Version of the data of an array's path."""
    return name.split("/")[2]


def _versions(file: h5py.File) -> dict[str, h5py.Group]:
    """The latest version of the data of every sample."""
    found = {}
    for sample in _hdf5.groups(file):
        parent = _hdf5.child(file, sample)
        if parent is None:
            continue
        versions = [
            name
            for name in _hdf5.groups(parent)
            if _is_images(_hdf5.array(file, f"{sample}/{name}/intensities"))
            and _hdf5.array(file, f"{sample}/{name}/energies") is not None
        ]
        latest = _hdf5.attribute_text(parent, "latest_data_name")
        if versions:
            chosen = latest if latest in versions else versions[-1]
            found[sample] = parent[chosen]
    return found


def _is_images(array: h5py.Dataset | None) -> bool:
    """Whether an array can hold images."""
    return (
        array is not None
        and array.ndim in (3, 4)
        and (array.dtype.kind in "fiu" or _wave.is_complex(array.dtype))
    )


def _region(file: h5py.File, wanted: Wanted, path: Path) -> tuple[Choice, h5py.Group, int]:
    """Which sample and time step, its group and the number of the step."""
    names, places = [], []
    samples = _versions(file)
    for sample, group in samples.items():
        images = _hdf5.array(group, "intensities")
        n_steps = images.shape[0] if images is not None and images.ndim == 4 else 1
        labels = _hdf5.array(group, "timestep_names")
        texts = _hdf5.texts(labels[()]) if labels is not None and labels.shape == (n_steps,) else []
        for step in range(n_steps):
            name = texts[step] if step < len(texts) and texts[step] else f"step {step}"
            names.append(f"{sample} {name}" if len(samples) > 1 else name)
            places.append((group, step))
    if not names:
        raise FileFormatError("holds no time step", str(path), "import it again")
    region = choose("region", names, wanted.region, path)
    return region, *places[region.index]


def _channel(group: h5py.Group, wanted: Wanted, path: Path) -> tuple[Choice, str, bool]:
    """Which channel, the array's path, and whether it is of complex numbers."""
    images = _hdf5.array(group, "intensities")
    is_wave = images is not None and _wave.is_complex(images.dtype)
    offers = dict.fromkeys(
        _wave.CHANNELS if is_wave else ("intensity",), f"{group.name}/intensities"
    )
    for name in _DENSITIES:
        density = _hdf5.array(group, name)
        if density is not None and density.dtype.kind == "f" and density.shape == images.shape:  # type: ignore[union-attr]
            offers["optical density"] = f"{group.name}/{name}"
            break
    channel = choose("channel", list(offers), wanted.channel, path)
    return channel, offers[channel.name], is_wave and channel.name in _wave.CHANNELS


def _nature(row: np.ndarray, channel: str) -> tuple[str, dict[str, str], list[str]]:
    """Quantity, attributes and notes of real numbers, judged by a row of them."""
    if channel == "optical density":
        return "optical_density", {}, []
    known = row[np.isfinite(row)]
    if known.size and known.max() < LOWEST_CREDIBLE_COUNT:
        return (
            "transmission",
            {},
            [
                f"its intensities (at most {known.max():.3g} in the middle row) are no counts and "
                "are taken as transmission; quantity = … says otherwise"
            ],
        )
    return "counts", {}, []


def _energies(
    group: h5py.Group, step: int, n: int, wanted: Wanted, path: Path
) -> tuple[np.ndarray, list[str]]:
    """Energies of a time step in eV."""
    if wanted.energy is not None:
        return wanted.energy, []
    values = _of_step(group, "energies", step)
    if values.size < n:
        raise FileFormatError(
            f"{group.name}/energies has {values.size} energies for {n} images",
            str(path),
            "give the right ones with energy = a list in eV, or a text file with one per line",
        )
    surplus = f"there are {values.size} energies for {n} images: the first {n} are used"
    return values[:n], [surplus] if values.size > n else []


def _of_step(group: h5py.Group, name: str, step: int) -> np.ndarray:
    """Numbers of a time step, empty when there are none."""
    values = _hdf5.numbers(group, name)
    if values is None:
        return np.empty(0)
    if values.ndim < 2:
        return values.reshape(-1)
    return values[step].reshape(-1) if step < len(values) else np.empty(0)


def _pixel_size(group: h5py.Group, step: int, n: int) -> tuple[float, list[str]]:
    """Pixel size in µm, NaN when there is none, and what to say where it changes."""
    sizes = _of_step(group, "pixel_sizes", step)
    if not sizes.size:
        return np.nan, []
    unit = _hdf5.attribute_text(group["pixel_sizes"], "unit")
    sizes = sizes[:n] * micrometres(unit)
    low, high = float(sizes.min()), float(sizes.max())
    if not (believable(low) and believable(high)):
        return np.nan, []
    middle = float(np.median(sizes))
    if high - low <= _SAME_PIXEL * low:
        return middle, []
    return middle, [
        f"the pixel size changes with energy, from {1000 * low:.4g} to {1000 * high:.4g} nm, so "
        f"that the images do not lie on each other; {1000 * middle:.4g} nm is used: resample them "
        "to a common pixel first"
    ]


FORMAT = Format(
    name="xanespy",
    title="xanespy frameset",
    extensions=(".h5", ".hdf5"),
    sniff=sniff,
    open=open_,
    tried="a real file of ALS",
    about="full-field and ptychography; time steps as regions; complex images as intensity, "
    "amplitude or phase",
)
