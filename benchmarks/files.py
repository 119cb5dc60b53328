"""Reading, writing and converting files, beside what a user would write by hand."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from measure import best, heading, row
from targets import READ_FRAMES

import chemoscape as cs
from chemoscape import blocks
from chemoscape import stack as stacks
from chemoscape.formats.conversion import convert


def files(folder: Path) -> None:
    images = np.random.default_rng(0).poisson(2000, (200, 400, 400)).astype(np.float32)
    energy = 510 + 0.1 * np.arange(200)
    axis = 0.04 * np.arange(400)
    stack = stacks.build(images, energy, axis, axis, quantity="counts")
    heading("files: 200 × 400²", memory=False)
    _text_frames(images, energy, folder)
    _every_format(stack, folder)
    _compressed_frames(stack, folder)
    _larger_than_memory(folder)


def _text_frames(images: np.ndarray, energy: np.ndarray, folder: Path) -> None:
    """An .hdr with its .xim, as 5.3.2 and others write them."""
    points = ", ".join(f"{0.04 * k:.3f}" for k in range(400))
    axis = f'{{ Name = "Sample"; Unit = "um"; Points = (400, {points}); }}'
    energies = ", ".join(f"{e:.2f}" for e in energy)
    (folder / "s.hdr").write_text(
        'ScanDefinition = { Type = "NEXAFS Image Scan"; Dwell = 1;\n'
        f"Regions = (1, {{ PAxis = {axis}; QAxis = {axis}; }});\n"
        f'StackAxis = {{ Name = "Energy"; Unit = "eV"; Points = (200, {energies}); }};\n'
        'Channels = (1, { Name = "PMT"; Unit = "Hz"; });};\n'
    )
    for k, image in enumerate(images):
        np.savetxt(folder / f"s_a{k:03d}.xim", image, fmt="%d", delimiter="\t")
    cs.open_stack(folder)  # compile
    frames = sorted(folder.glob("*.xim"))
    seconds = best(lambda: cs.open_stack(folder))
    peer = best(lambda: [np.loadtxt(frame, dtype=np.float32) for frame in frames], 1)
    factor = peer / seconds
    row("read .hdr and .xim", seconds)
    row("  numpy.loadtxt", peer, f"{factor:.1f} × ours", READ_FRAMES.judge(factor))


def _every_format(stack: xr.DataArray, folder: Path) -> None:
    for ending in (".h5", ".nxs", ".zarr", ".ncb", ".tif"):
        target = folder / f"s{ending}"
        seconds = best(lambda target=target: cs.save_stack(stack, target), 1)
        row(f"write {ending}", seconds, f"{1e-6 * stack.nbytes / seconds:.0f} MB/s")
        written = [file for file in target.rglob("*") if file.is_file()] or [target]
        bare = best(lambda written=written: [file.read_bytes() for file in written])
        seconds = best(lambda target=target: cs.open_stack(target))
        row(f"read {ending}", seconds, f"{seconds / bare:.1f} × its bytes")


def _compressed_frames(stack: xr.DataArray, folder: Path) -> None:
    """Frame by frame compressed, as many beamlines write; read in bands of rows, once."""
    path = folder / "frames.h5"
    with h5py.File(path, "w") as file:
        for name in stack.dims:
            file[name] = stack[name].values
            file[name].make_scale(name)
        chunk = (1, *stack.shape[1:])
        cube = file.create_dataset("counts", data=stack.values, chunks=chunk, compression=1)
        for number, name in enumerate(stack.dims):
            cube.dims[number].attach_scale(file[name])
    once = best(lambda: cs.open_stack(path), 1)
    limit, blocks.memory_limit = blocks.memory_limit, lambda: stack.nbytes // 2
    seconds = best(lambda: convert(path, folder / "bands.zarr", overwrite=True), 1)
    blocks.memory_limit = limit
    row("convert compressed frames to bands", seconds, f"{seconds / once:.1f} × reading once")


def _larger_than_memory(folder: Path) -> None:
    """41 GB that take no room: a file with a hole."""
    large = folder / "large.ncb"
    shape = (250, 6400, 6400)
    large.with_suffix(".dat").write_text(
        f"{shape[2]} {shape[1]} -1.0\n0 64\n0 64\n{shape[0]}\n"
        + "\n".join(f"{510 + 0.1 * k:.2f}" for k in range(shape[0]))
    )
    with large.open("wb") as file:
        file.truncate(4 * int(np.prod(shape)))
    row("open a stack of 41 GB, lazily", best(lambda: cs.open_stack(large, quantity="counts")))
    seconds = best(lambda: cs.open_stack(large, quantity="counts")[:, :10].max().compute(), 1)
    row("and its first ten rows at all 250 energies", seconds)
