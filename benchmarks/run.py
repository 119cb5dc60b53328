"""How fast, as ratios in one process: the machine's own limits first, then each step beside a peer.

Usage: make bench, or python benchmarks/run.py [PIXELS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
from scipy.optimize import nnls
from sklearn.decomposition import TruncatedSVD

import chemoscape as cs
from chemoscape import blocks, simulate
from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeWarning
from chemoscape.formats.conversion import convert


def best(work, repeat=3):
    """Shortest of several runs, seconds."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def row(what, seconds, ratio=""):
    print(f"{what:<58}{seconds:10.3f} s   {ratio}")


def read_files(folder: Path) -> None:
    """Reading and opening, beside what a user would write by hand."""
    images = np.random.default_rng(0).poisson(2000, (200, 400, 400)).astype(np.float32)
    energy = 510 + 0.1 * np.arange(200)
    stack = stacks.build(
        images, energy, 0.04 * np.arange(400), 0.04 * np.arange(400), quantity="counts"
    )
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
    row("read .hdr and .xim, 200 × 400²", seconds, f"{peer / seconds:.1f} × numpy.loadtxt")

    for ending in (".h5", ".nxs", ".zarr", ".ncb", ".tif"):
        target = folder / f"s{ending}"
        seconds = best(lambda target=target: cs.save_stack(stack, target), 1)
        row(f"write {ending}, 200 × 400²", seconds, f"{4e-6 * images.size / seconds:.0f} MB/s")
        files = [file for file in target.rglob("*") if file.is_file()] or [target]
        bare = best(lambda files=files: [file.read_bytes() for file in files])
        seconds = best(lambda target=target: cs.open_stack(target))
        row(f"read {ending}, 200 × 400²", seconds, f"{seconds / bare:.1f} × reading the bytes")

    frames_file = folder / "frames.h5"  # compressed frame by frame, as many beamlines write
    with h5py.File(frames_file, "w") as file:
        for name in stack.dims:
            file[name] = stack[name].values
            file[name].make_scale(name)
        cube = file.create_dataset("counts", data=images, chunks=(1, 400, 400), compression=1)
        for number, name in enumerate(stack.dims):
            cube.dims[number].attach_scale(file[name])
    once = best(lambda: cs.open_stack(frames_file), 1)
    limit, blocks.memory_limit = blocks.memory_limit, lambda: 4 * images.size // 2
    seconds = best(lambda: convert(frames_file, folder / "bands.zarr", overwrite=True), 1)
    blocks.memory_limit = limit
    row("convert compressed frames to bands", seconds, f"{seconds / once:.1f} × reading them once")

    large = folder / "large.ncb"  # 40 GB that take no room: a file with a hole
    shape = (250, 6400, 6400)
    large.with_suffix(".dat").write_text(
        f"{shape[2]} {shape[1]} -1.0\n0 64\n0 64\n{shape[0]}\n"
        + "\n".join(f"{510 + 0.1 * k:.2f}" for k in range(shape[0]))
    )
    with large.open("wb") as file:
        file.truncate(4 * int(np.prod(shape)))
    seconds = best(lambda: cs.open_stack(large, quantity="counts"))
    row("open a stack of 41 GB, lazily", seconds)
    seconds = best(lambda: cs.open_stack(large, quantity="counts")[:, :10].max().compute(), 1)
    row("and its first ten rows at all 250 energies", seconds)


def main(side: int) -> None:
    warnings.simplefilter("ignore", ChemoscapeWarning)
    truth = simulate.core_shell(shape=(side, side), pixel_um=0.03, poisson=True)
    stack = truth.stack
    n_pixels, n_energy = side * side, stack.sizes["energy"]
    print(f"{n_pixels} pixels × {n_energy} energies, float32\n")

    values = stack.values
    read = best(values.sum)
    copy = best(values.copy)
    row("limit: read the stack from memory", read)
    row("limit: copy the stack in memory", copy)
    square = np.ones((2000, 2000), dtype=np.float32)
    rate = 2 * 2000**3 / best(lambda: square @ square)
    row("limit: Gram matrix at this machine's sgemm rate", 2 * n_energy**2 * n_pixels / rate)
    fft = best(lambda: [np.fft.irfft2(np.fft.rfft2(frame)) for frame in values])
    row("limit: rfft2 and irfft2 of every frame", fft)
    print()

    seconds = best(lambda: cs.optical_density(stack), 2)
    row("optical density with variance", seconds, f"{seconds / copy:.1f} × copy")
    od = cs.optical_density(stack)
    seconds = best(lambda: cs.measure_drift(stack), 1)
    row("drift", seconds, f"{seconds / fft:.1f} × transforms")

    library = cs.open_library("lixv2o5-model")
    cs.deconvolve(od.isel(y=slice(0, 40)), library, energy_shift=0.0)  # compile
    seconds = best(lambda: cs.deconvolve(od, library, energy_shift=0.0), 2)
    model = library.spectra(od.energy.values).values.T.astype(float)
    some = od["optical_density"].values.reshape(n_energy, -1)[:, ::97].T.astype(float)
    peer = best(lambda: [nnls(model, pixel) for pixel in some], 1) * n_pixels / len(some)
    row(
        "NNLS, 6 standards, weighted, covariance, residual",
        seconds,
        f"{seconds / read:.0f} × read, a scipy nnls loop takes {peer / seconds:.0f} × as long",
    )
    seconds = best(lambda: cs.principal_components(od), 2)
    pixels = od["optical_density"].values.reshape(n_energy, -1).T
    peer = best(lambda: TruncatedSVD(10, random_state=0).fit_transform(pixels), 1)
    row(
        "principal components, four rank criteria",
        seconds,
        f"{peer / seconds:.1f} × scikit-learn's truncated SVD without them",
    )

    with tempfile.TemporaryDirectory() as folder:
        read_files(Path(folder))

    comp = cs.composition(cs.deconvolve(od, library, energy_shift=0.0), library)
    material = cs.Material(43.0, 0.3, 0.02, status="illustrative")
    seconds = best(lambda: cs.stress(comp, material, boundary=["free", "fixed"]), 1)
    row("stress, free and fixed, mesh included", seconds)
    help_command = [sys.executable, "-m", "chemoscape.cli", "--help"]
    bare = best(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    seconds = best(lambda: subprocess.run(help_command, check=True, capture_output=True))
    row("chemoscape --help", seconds, f"{seconds / bare:.0f} × starting Python")
    with tempfile.TemporaryDirectory() as folder:
        from chemoscape.demo import run_demo

        row("chemoscape demo", best(lambda: run_demo(Path(folder) / "demo"), 1))


if __name__ == "__main__":
    main(int(np.sqrt(int(sys.argv[1]))) if len(sys.argv) > 1 else 400)
