"""How fast, as ratios in one process: the machine's own limits first, then each step beside a peer.

Usage: make bench, or python benchmarks/run.py [PIXELS]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import nnls
from sklearn.decomposition import TruncatedSVD

import chemoscape as cs
from chemoscape import simulate
from chemoscape.errors import ChemoscapeWarning


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

    data = Path(__file__).parents[2] / "shared" / "data"
    als = Path(os.environ.get("CHEMOSCAPE_DATA", data)) / "als_fe2p" / "71214078"
    if als.is_dir():
        cs.open_stack(als)  # compile
        frames = sorted(als.glob("*.xim"))
        seconds = best(lambda: cs.open_stack(als))
        peer = best(lambda: [np.loadtxt(frame) for frame in frames], 1)
        row("read .hdr and .xim, 123 × 125²", seconds, f"{peer / seconds:.1f} × numpy.loadtxt")

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
