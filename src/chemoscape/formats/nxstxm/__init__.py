"""NXstxm, the NeXus files of most STXMs, in the dialects of the beamlines.

An entry for each scan region holds a group for each detector, with ``data`` beside the lists
``energy``, ``sample_y`` and ``sample_x``. What differs is told apart by content: who says the order
of the axes and how, where the ring current is, in what unit the dwell is noted, and whether images
are on a grid at all (``.stxm`` of version 2). The first row is the first ``sample_y``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from chemoscape.errors import FileFormatError
from chemoscape.formats import _hdf5
from chemoscape.formats._hdf5 import text
from chemoscape.formats._record import Format
from chemoscape.formats._source import Choice, Source, Wanted, fitted_axis
from chemoscape.formats.nxstxm import _als, _facts, _layout, _own
from chemoscape.formats.nxstxm._als import Rebinned
from chemoscape.formats.nxstxm._images import Images, measured, missing_note
from chemoscape.formats.nxstxm._layout import Layout
from chemoscape.formats.nxstxm._names import detectors, is_entry, list_name, positions, scan_type
from chemoscape.formats.nxstxm._spectra import read_spectra


def sniff(path: Path) -> bool:
    """Whether a file is HDF5 with an entry of NXstxm: by its definition, or by a detector with
    energies or positions of the sample beside its data.
    """
    return _hdf5.holds(
        path, lambda file: any(_is_stxm(file[name]) for name in _hdf5.groups(file)[:100])
    )


def open_(path: Path, wanted: Wanted) -> Source:
    """Describe the stack of one detector and one region.

    Raises
    ------
    FileFormatError
        The file is damaged, it holds another kind of scan, or its axes cannot be told.
    """
    with _hdf5.opened(path) as file:
        ours = _own.source(file, path)
        if ours is not None:
            return ours
        entry, region, channel = _layout.chosen(file, wanted, path)
        layout = _layout.find(entry, channel.name, wanted.axes)
        where = f"{path} ({region.name}/{channel.name})"
        if layout.kind != "stack":
            raise FileFormatError(
                f"holds {'a line scan' if layout.kind == 'line' else 'a point spectrum'}: spectra, "
                "no stack of images",
                where,
                "open it with chemoscape.open_spectra",
            )
        return _source(entry, layout, (channel, region), wanted, path)


def _source(
    entry: h5py.Group, layout: Layout, choices: tuple[Choice, ...], wanted: Wanted, path: Path
) -> Source:
    """The stack that a layout describes."""
    nominal, energy_note = _nominal(entry, layout, wanted)
    n_frames, n_y = layout.size("e"), layout.size("y")
    shape = (n_frames if nominal is None else nominal.size, n_y, layout.size("x"))
    samples = measured(Images(path, layout.array.name, layout.order, shape, n_frames, n_y))
    energy, is_read_back = _facts.true_energies(entry, samples, nominal)
    images, array, x, grid_note = _on_grid(entry, layout, samples)
    y, y_note = _fitted(layout.y, images.shape[1], "y")
    x, x_note = _fitted(x, images.shape[2], "x")
    per_energy, attrs, ring_note = _facts_of(entry, layout, samples)
    if is_read_back:
        attrs["energies"] = "read back"
    missing = missing_note(samples, energy)
    notes = (*layout.notes, energy_note, missing, grid_note, y_note, x_note, ring_note)
    along_y = array.chunks[layout.order.index("y")] if array.chunks else 1
    return Source(
        where=path,
        shape=images.shape,
        read=images.read,
        energy=energy,
        y=y,
        x=x,
        per_energy=per_energy,
        attrs=attrs,
        choices=choices,
        notes=tuple(note for note in notes if note),
        complete=not missing,
        framewise=along_y >= n_y > 1 and not _all_energies(array, layout.order),
        rows_per_read=along_y,
        files=(path,),
    )


def _nominal(entry: h5py.Group, layout: Layout, wanted: Wanted) -> tuple[np.ndarray | None, str]:
    """Energies of all planned frames, None when there are none for all that are in the file."""
    energy, n_frames = layout.energy, layout.size("e")
    if energy is None and n_frames == 1:
        read_back = _hdf5.number(entry, "collection/energy/value")
        return (np.array([read_back]), "") if read_back > 0 else (None, "")
    if energy is None:
        return None, ""
    given = 0 if wanted.energy is None else wanted.energy.size
    if energy.size < n_frames:
        return None, "" if given else f"it lists {energy.size} energies for {n_frames} images"
    if "e" not in layout.order and energy.size > 1:
        return energy[:1], f"the image has {energy.size} energies: the first is used"
    return (energy[:n_frames] if given == n_frames else energy), ""


def _on_grid(
    entry: h5py.Group, layout: Layout, samples: Images
) -> tuple[Images | Rebinned, h5py.Dataset, np.ndarray | None, str]:
    """Images on the requested grid as the file has them, as its writer binned them, or binned while
    they are read; with their array, their columns, and what to say.
    """
    if not layout.unbinned:
        return samples, layout.array, layout.x, ""
    if _als.is_binned(entry, samples):
        array = _hdf5.array(entry, "binned_values/data")
        assert array is not None  # noqa: S101 - it was found above
        shape = (*samples.shape[:2], int(array.shape[2]))
        x = positions(entry, "requested_values/sample_x")
        return replace(samples, name=array.name, order="eyx", shape=shape), array, x, ""
    if "spiral" in scan_type(entry[layout.detector]).lower():
        raise FileFormatError(
            "is a spiral scan that was not put on a grid",
            f"{entry.file.filename} ({entry.name.strip('/')})",
            "export it with the beamline's program",
        )
    rebinned, x = _als.rebinned(entry, layout.detector, samples)
    return rebinned, layout.array, x, _als.empty_note(rebinned)


def _facts_of(
    entry: h5py.Group, layout: Layout, images: Images
) -> tuple[dict[str, np.ndarray], dict[str, str | int | float], str]:
    """What is known of each frame, and of the scan; and what to say."""
    n_energy, detector = images.shape[0], layout.detector
    per_energy: dict[str, np.ndarray] = {}
    attrs = _facts.whole_scan(entry, detector, layout.array)
    ring, note = _facts.ring_current(entry, images)
    if ring is not None:
        per_energy["ring_current"] = ring
        attrs.pop("ring_current_mA", None)
    dwell = _facts.dwell(entry, detector, n_energy, in_ms=layout.version is not None)
    if dwell is not None:
        per_energy["dwell"] = dwell
        if np.unique(dwell).size == 1:
            attrs["dwell_ms"] = float(dwell[0])
    polarisation = _facts.polarisation(entry, detector, n_energy)
    if isinstance(polarisation, np.ndarray):
        per_energy["polarisation"] = polarisation
    elif polarisation is not None:
        attrs["polarisation"] = polarisation
    angles = _hdf5.numbers(entry, "sample/rotation_angle")
    if angles is not None and angles.size == n_energy > 1:
        per_energy["angle"] = angles.reshape(-1)
        attrs.pop("angle_deg", None)
    if layout.version is not None:
        attrs["writer"] = f"pystxmcontrol {layout.version:g}"
    return per_energy, attrs, note


def _fitted(values: np.ndarray | None, n: int, name: str) -> tuple[np.ndarray | None, str]:
    """An axis as long as the images; None stays None."""
    return (None, "") if values is None else fitted_axis(values, n, name)


def _all_energies(array: h5py.Dataset, order: str) -> bool:
    """Whether the array's chunks hold all frames."""
    axis = order.find("e")
    return axis < 0 or array.chunks is None or array.chunks[axis] >= array.shape[axis]


def _is_stxm(group: h5py.Group) -> bool:
    """Whether a top group is an entry of this format."""
    definition = text(group, "definition")
    if definition:
        return definition.lower() == "nxstxm"
    return is_entry(group) and any(
        list_name(group[name], "e") and list_name(group[name], "x") for name in detectors(group)
    )


FORMAT = Format(
    name="nxstxm",
    title="NXstxm",
    extensions=(".hdf5", ".nxs", ".stxm", ".h5"),
    sniff=sniff,
    open=open_,
    spectra=read_spectra,
    write=_own.write,
    write_extensions=(".nxs",),
    takes_axes=True,
    tried="a real image of PolLux; MANTiS opens what is written; the other dialects as published",
    about="PolLux, MAX IV, HERMES, Diamond I08, CLS, ALS .stxm 0 to 3, MANTiS; line scans too",
)
