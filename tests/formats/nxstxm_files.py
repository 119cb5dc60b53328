"""Small NXstxm files in the dialects of the beamlines, with known numbers.

Only of PolLux is there a real file beside these. All others are built from the published layout:
the definition, or what the beamlines' own writers and readers do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

ENERGY = np.array([510.0, 511.5, 512.25, 514.0])
Y = np.array([5.0, 5.5, 6.0, 6.5, 7.0])
X = np.array([20.0, 20.1, 20.2, 20.3, 20.4, 20.5])


def cube(n_energy: int = 4, n_y: int = 5, n_x: int = 6, more: float = 0.0) -> np.ndarray:
    """Counts that tell frame, row and column."""
    e, y, x = np.meshgrid(range(n_energy), range(n_y), range(n_x), indexing="ij")
    return (1000.0 * e + 100 * y + 10 * x + 20 + more).astype(np.float64)


def put(group: h5py.Group, name: str, value: Any, unit: bytes | str = b"", **attrs: Any) -> None:
    """A dataset with its unit and other attributes."""
    group[name] = value
    if unit:
        group[name].attrs["units"] = unit
    group[name].attrs.update(attrs)


def of_class(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """A group of a NeXus class."""
    group = parent.require_group(name)
    group.attrs["NX_class"] = np.bytes_(nx_class)
    return group


def definition(path: Path, data: np.ndarray | None = None, **attrs: Any) -> Path:
    """The plain definition: no attributes but classes. Built from the published layout."""
    data = cube() if data is None else data
    with h5py.File(path, "w") as file:
        entry = of_class(file, "entry", "NXentry")
        entry["definition"] = "NXstxm"
        group = of_class(entry, "detector_1", "NXdata")
        put(group, "data", data)
        put(group, "energy", ENERGY, "eV")
        put(group, "sample_y", Y, "um")
        put(group, "sample_x", X, "um")
        put(group, "stxm_scan_type", "sample image stack")
        group.attrs.update(attrs)
    return path


def pollux(path: Path, *, image: bool = False, n_counters: int = 1, n_regions: int = 1) -> Path:
    """PolLux, and SoftiMAX with the same control program: arrays of one text, ``axes`` as bytes,
    true ring current for every pixel. Built from the published layout and one real file.
    """
    with h5py.File(path, "w") as file:
        file.attrs["NX_class"] = np.bytes_(b"NXroot")
        for region in range(n_regions):
            entry = of_class(file, f"entry{region + 1}", "NXentry")
            put(entry, "definition", np.array([b"NXstxm"]), version=np.bytes_(b"1.3"))
            entry["start_time"] = np.array([b"2017-10-15T06:11:28+02:00"])
            axes = [b"sample_y", b"sample_x"] if image else [b"energy", b"sample_y", b"sample_x"]
            for k in range(n_counters):
                counts = cube(more=100_000.0 * region + 10_000 * k)
                group = of_class(entry, f"counter{k}", "NXdata")
                group.attrs["signal"] = np.bytes_(b"data")
                group.attrs["axes"] = np.array(axes)
                put(group, "data", counts[0] if image else counts, b" ")
                put(group, "energy", ENERGY[:1] if image else ENERGY, b"eV")
                put(group, "sample_y", Y, "μm".encode())
                put(group, "sample_x", X * 1e3, b"nm")
                put(group, "count_time", np.array([0.01]), b"s")
                group["stxm_scan_type"] = np.array(
                    [b"sample image" if image else b"sample image stack"]
                )
            control = of_class(entry, "control", "NXmonitor")
            ring = np.broadcast_to(np.array([400.0, 399, 398, 397])[:, None, None], (4, 5, 6))
            put(control, "data", ring[0] if image else ring, b"mA")
            put(entry, "sample/rotation_angle", np.array([30.0]), b"deg")
            put(entry, "collection/polarization/value", np.array([-0.2]))
            entry["collection/polarization/target_value"] = np.array([b"off"])
            entry["collection/beamline"] = np.array([b"SLS PolLux X07DA"])
            put(entry, "instrument/source/current", np.array([400.5]), b"mA")
    return path


def pollux_line(path: Path, *, new: bool = True) -> Path:
    """A line scan of PolLux, 4 energies × 5 points, in the newer or the older way of saying so.
    Built from the published layout.
    """
    with h5py.File(path, "w") as file:
        entry = of_class(file, "entry1", "NXentry")
        entry["definition"] = np.array([b"NXstxm"])
        group = of_class(entry, "counter0", "NXdata")
        put(group, "data", cube()[:, :, 0])
        put(group, "energy", ENERGY, b"eV")
        put(group, "sample_y", 10 + 4 * np.arange(5.0), b"\xb5m")
        put(group, "sample_x", 20 + 3 * np.arange(5.0), b"\xb5m")
        if new:
            group.attrs["axes"] = np.array([b"energy", b"line_position"])
            group["stxm_scan_type"] = np.array([b"sample line spectrum"])
        else:
            group["energy"].attrs["axis"] = np.int32(1)
            group["sample_y"].attrs["axis"] = np.int32(3)
            group["sample_x"].attrs["axis"] = np.int32(3)
    return path


def hermes(path: Path, data: np.ndarray | None = None, *, n_y: int = 5, n_x: int = 6) -> Path:
    """HERMES: capital ``Counter0``, no attribute anywhere. Built from the published layout."""
    with h5py.File(path, "w") as file:
        file["entry1/Counter0/data"] = cube(4, n_y, n_x) if data is None else data
        file["entry1/Counter0/energy"] = ENERGY
        file["entry1/Counter0/sample_y"] = 0.5 * np.arange(n_y)
        file["entry1/Counter0/sample_x"] = 0.1 * np.arange(n_x)
        file["entry1/collection/beamline"] = "Hermes"
    return path


def diamond(path: Path, order: str = "eyx") -> Path:
    """Diamond I08: ``photon_energy``, ``axis`` numbers beside the lists, positions as pixels of any
    order. Built from the published layout.
    """
    with h5py.File(path, "w") as file:
        entry = of_class(file, "entry1", "NXentry")
        entry["definition"] = np.bytes_(b"NXstxm")
        group = of_class(entry, "Counter1", "NXdata")
        put(group, "data", cube().transpose(["eyx".index(role) for role in order]), signal=1)
        put(group, "photon_energy", ENERGY / 1e3, "keV", axis=order.index("e") + 1)
        put(group, "sample_y", Y, axis=order.index("y") + 1)
        put(group, "sample_x", X / 1e3, "mm", axis=np.array([order.index("x") + 1]))
        group["count_time"] = np.full(4, 0.002)
        group["scan_type"] = "Sample"
    return path


def cls(path: Path, *, measured: int = 4, n_regions: int = 1, rows_of_last: int = 5) -> Path:
    """CLS pySTXM: scalars, ``axes`` as texts, one entry per region, NaN after an abort, the ring
    current a straight line. Built from the published layout.
    """
    with h5py.File(path, "w") as file:
        for region in range(n_regions):
            entry = of_class(file, f"entry{region}", "NXentry")
            entry["definition"], entry["version"] = "NXstxm", "1.0"
            entry["start_time"] = "2023-05-01T10:00:00-06:00"
            group = of_class(entry, "counter0", "NXdata")
            group.attrs["signal"] = "data"
            group.attrs["axes"] = ["energy", "sample_y", "sample_x"]
            data = np.full((4, 5, 6), np.nan, dtype=np.float32)
            data[:measured] = cube(more=10_000.0 * region)[:measured]
            data[measured - 1, rows_of_last:] = np.nan
            put(group, "data", data, type="NX_FLOAT", signal="1")
            put(group, "energy", ENERGY, "eV")
            put(group, "sample_y", Y.astype("f4"), "um")
            put(group, "sample_x", X.astype("f4"), "um")
            put(group, "count_time", np.full(4, 0.0015), "s")
            group["stxm_scan_type"] = "SAMPLE_IMAGE_STACK"
            group["epu_polarization"] = np.array([1.0])
            control = of_class(entry, "control", "NXmonitor")
            control.attrs["axes"] = ["sample_y", "sample_x"]
            put(control, "data", np.linspace(250, 249, 120).reshape(4, 5, 6), "mA")
            put(entry, "instrument/source/current", np.linspace(250, 249, 6))
            put(entry, "instrument/monochromator/energy", np.full(30, 510.03), "eV")
    return path


def cls_points(path: Path) -> Path:
    """Point spectra of CLS: one entry per point, three names of axes for one dimension. Built from
    the published layout.
    """
    with h5py.File(path, "w") as file:
        for point in range(3):
            entry = of_class(file, f"entry{point}", "NXentry")
            entry["definition"] = "NXstxm"
            group = of_class(entry, "counter0", "NXdata")
            group.attrs["axes"] = ["energy", "sample_y", "sample_x"]
            group["data"] = cube()[:, point, 0]
            group["energy"] = ENERGY
            group["sample_y"] = np.full(4, 1.0 + point)
            group["sample_x"] = np.full(4, 2.0)
            group["stxm_scan_type"] = "sample point spectra"
    return path


def mantis(path: Path) -> Path:
    """Written by MANTiS: x first, energy last. Built from the published layout."""
    with h5py.File(path, "w") as file:
        entry = of_class(file, "entry1", "NXentry")
        entry["definition"] = np.array([b"NXstxm"])
        group = of_class(entry, "counter0", "NXdata")
        group.attrs["signal"] = np.bytes_(b"data")
        group.attrs["axes"] = np.array([b"sample_x", b"sample_y", b"energy"])
        put(group, "data", cube(4, 5, 5).T)
        put(group, "energy", ENERGY)
        put(group, "sample_y", Y)
        put(group, "sample_x", X[:5])
        put(group, "count_time", np.full(4, 0.003))
    return path


def als(
    path: Path,
    version: str,
    *,
    binned: bool = True,
    kind: str = "Image",
    n_regions: int = 1,
    data: np.ndarray | None = None,
) -> Path:
    """ALS pystxmcontrol before version 3; "0" has pixels, "2.0" and "2.1" three samples per pixel
    with measured positions, and a fly-back at the end of each line. Built from the published
    layout.
    """
    with h5py.File(path, "w", libver="latest") as file:
        file["note"] = "{}"
        for region in range(n_regions):
            entry = of_class(file, f"entry{region}", "NXentry")
            put(entry, "definition", "NXstxm")
            if version != "0":
                entry["definition"].attrs["version"] = np.bytes_(version.encode())
            entry["start_time"] = np.array([b"2022-03-04 05:06:07.000000"])
            put(entry, "motors/EPU Polarization", 1.0)
            group = of_class(entry, "counter0", "NXdata")
            group.attrs["axes"] = np.array([b"energy", b"sample_y", b"sample_x"])
            group.attrs["signal"] = np.array([b"data"])
            counts = cube(more=10_000.0 * region) if data is None else data
            put(group, "energy", ENERGY)
            put(group, "count_time", np.full(4, 2.0), b"s")
            group["stxm_scan_type"] = np.array([kind.encode()])
            put(of_class(entry, "control", "NXmonitor"), "data", np.zeros((4, 5, 6)), b"mA")
            put(of_class(entry, "energy", "NXmonitor"), "data", _all_pixels(ENERGY))
            if version == "0":
                put(group, "data", counts)
                put(group, "sample_y", Y)
                put(group, "sample_x", X)
                continue
            samples, x = _samples(counts)
            put(group, "data", samples)
            put(group, "sample_x", x)
            put(group, "sample_y", np.broadcast_to(Y[None, :, None], samples.shape))
            put(entry, "requested_values/sample_x", X)
            put(entry, "requested_values/sample_y", Y)
            if version == "2.1":
                result = counts + 1 if binned else np.zeros_like(counts)
                put(of_class(entry, "binned_values", "NXdetector"), "data", result, b"um")
                put(entry, "binned_values/sample_x", X)
    return path


def als_line(path: Path, version: str) -> Path:
    """A line spectrum of ALS, along (3, 4): samples at measured positions (2.0) or pixels (3).
    Built from the published layout.
    """
    counts, at = cube()[:, :1], np.arange(6.0)
    with h5py.File(path, "w") as file:
        entry = of_class(file, "entry0", "NXentry")
        if version == "3.0":
            entry["definition"], entry["version"] = np.array([b"NXstxm"]), 3.0
            group = of_class(entry, "default", "NXdata")
            group.attrs["axes"] = [b"energy", b"sample_y", b"sample_x"]
            put(group, "data", counts)
            put(group, "sample_y", 4 * at)
            put(group, "sample_x", 3 * at)
        else:
            put(entry, "definition", "NXstxm", version=np.bytes_(version.encode()))
            group = of_class(entry, "counter0", "NXdata")
            samples, x = _samples(counts, at)
            put(group, "data", samples)
            put(group, "sample_x", 3 * x)
            put(group, "sample_y", 4 * x)
            put(entry, "requested_values/sample_x", 3 * at)
            put(entry, "requested_values/sample_y", 4 * at)
        put(group, "energy", ENERGY)
        group["stxm_scan_type"] = np.array([b"Line Spectrum"])
    return path


def als3(path: Path, *, early: bool = False, kind: str = "Image") -> Path:
    """ALS pystxmcontrol 3: early with a definition that is a number and four dimensions, later with
    a group for each detector. Built from the published layout.
    """
    with h5py.File(path, "w") as file:
        entry = of_class(file, "entry0", "NXentry")
        entry["sample/rotation_angle"] = ""
        entry["start_time"] = "2024-01-02 03:04:05.678"
        entry["definition"] = 3.0 if early else np.array([b"NXstxm"])
        if not early:
            entry["version"] = 3.0
        entry["instrument/monochromator/energy"] = ENERGY
        entry["instrument/motors/epu_polarization"] = -1.0
        for k, name in enumerate(["data"] if early else ["default", "XRF"]):
            group = entry.create_group(name)
            counts = cube(more=10_000.0 * k)
            put(group, "data", counts[:, None] if early else counts)
            put(group, "energy", ENERGY)
            put(group, "sample_y", Y)
            put(group, "sample_x", X)
            put(group, "count_time", np.full(4, 1.5))
            group["stxm_scan_type"] = kind if early else np.array([kind.encode()])
            group["motor_name_x"] = "SampleX"
            if not early:
                group.attrs["NX_class"] = "NXdata"
                group.attrs["signal"] = "data"
                group.attrs["axes"] = [b"energy", b"sample_y", b"sample_x"]
    return path


def _all_pixels(values: np.ndarray) -> np.ndarray:
    """One number per frame for all of its pixels."""
    return np.broadcast_to(values[:, None, None], (4, 5, 6))


def _samples(counts: np.ndarray, at: np.ndarray = X) -> tuple[np.ndarray, np.ndarray]:
    """Three samples around every pixel with a third of its counts each, then two of the fly-back
    with counts that must not be used; and where they were taken.

    The mean of a pixel's samples times the samples per pixel, 20 / 6, makes 10 / 9 of the counts.
    """
    step = at[1] - at[0]
    samples = np.repeat(counts / 3, 3, axis=-1)
    places = (at[:, None] + step * np.array([-0.3, 0.0, 0.3])).reshape(-1)
    samples = np.concatenate([samples, np.full((*counts.shape[:2], 2), 9e5)], axis=-1)
    places = np.concatenate([places, places[[8, 1]]])
    return samples, np.broadcast_to(places, samples.shape).copy()
