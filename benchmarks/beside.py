"""The same work by other programs on the same stacks, in turn with ours.

Usage: make bench-peers, or python benchmarks/beside.py PYTHON-OF-THE-PEERS --help

The peers run in processes and an environment of their own (see peers.py).
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import beside_fits
import numpy as np
import phantoms
from asking import Jobs, Peers, in_turn, show
from measure import FAILED, attempt, failed, free_bytes, heading, machine, note, row
from targets import NGSOLVE, OPTICAL_DENSITY_MANTIS, REGISTRATION_MANTIS
from threadpoolctl import threadpool_limits

import chemoscape as cs
import mechanics
import report
from chemoscape.errors import ChemoscapeWarning
from chemoscape.mechanics.elasticity import Solution, solve
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE
from chemoscape.preprocess.shifts import Drift

REGISTRATIONS: Jobs = {
    "mantis_manual": ("MANTiS, Stack Alignment", REGISTRATION_MANTIS),
    "mantis_fft": ("MANTiS, FFT Stack Alignment", REGISTRATION_MANTIS),
    "hyperspy": ("HyperSpy, estimate_shift2D", None),
    "pystackreg": ("pystackreg, translation, from frame to frame", None),
    "skimage": ("scikit-image, from frame to frame", None),
}
DENSITIES: Jobs = {
    "mantis_density_ncb": ("MANTiS, I0 given, no variance, from .ncb", OPTICAL_DENSITY_MANTIS),
    "mantis_density_hdr": ("MANTiS, I0 given, no variance, from .hdr", OPTICAL_DENSITY_MANTIS),
}
PARTS = ("registration", "density", "fits", "small", "factorisation", "stress")
#: Stacks of float32 that MANTiS's optical density needs: four of float64 and some masks.
MANTIS_STACKS = 11


def registration(peers: Peers, n_energy: int, side: int, repeat: int) -> None:
    """Drift of one stack by everyone, and how far each is from the truth."""
    truth = phantoms.drifting(n_energy, side)
    np.save(peers.folder / "counts.npy", truth.stack.values)
    np.save(peers.folder / "energy.npy", truth.stack["energy"].values)
    heading(f"registration, {n_energy} × {side}²")
    first = cs.measure_drift(truth.stack)  # compiles, and finds the best reference for everyone
    found: list[Drift] = []
    own, best, answers = in_turn(
        lambda: found.append(cs.measure_drift(truth.stack)),
        peers,
        REGISTRATIONS,
        repeat,
        reference=int(first.reference),
    )
    shifts = {job: np.array(answer["shifts"]) for job, answer in answers.items()}
    shifts["ours"] = found[-1].shifts
    errors = {name: truth.error_px(each) for name, each in shifts.items()}
    notes = {
        name: f"error {rms:.3f} px rms, {worst:.2f} at worst"
        for name, (rms, worst) in errors.items()
    }
    show(own, best, peers, REGISTRATIONS, truth.stack.nbytes, notes)
    note(
        f"  drift of up to {np.abs(truth.displacement).max():.1f} px, 400 counts per pixel; "
        f"Cramér-Rao bound {truth.bound_px:.4f} px"
    )


def optical_density(peers: Peers, n_pixels: int, n_energy: int, repeat: int) -> None:
    """Optical density: ours finds the background and the noise and gives the variance too."""
    affordable = int((free_bytes() - 4e9) / (4 * (MANTIS_STACKS + 5) * n_energy))
    if affordable < n_pixels:
        print(
            f"\n{n_pixels:,} pixels do not fit the free memory beside MANTiS: {affordable:,} taken"
        )
        n_pixels = affordable
    stack = phantoms.core_shell(n_pixels, n_energy)
    np.save(peers.folder / "counts.npy", stack.values)
    np.save(peers.folder / "energy.npy", stack["energy"].values)
    heading(f"optical density, {stack[0].size:,} pixels × {n_energy} energies")
    i0 = cs.optical_density(stack)["i0"].values
    np.save(peers.folder / "i0.npy", i0)
    own, best, _ = in_turn(lambda: cs.optical_density(stack), peers, DENSITIES, repeat)
    show(own, best, peers, DENSITIES, stack.nbytes, {"how": ", I0 found, variance, noise"})


def stress(peers: Peers, unknowns: int, repeat: int) -> None:
    """The same elements on the same mesh: seconds, and the norm of the von Mises stress."""
    mesh = mechanics.wire(unknowns)
    system = mechanics.system_of(mesh)
    eigenstrain = mechanics.eigenstrain_of(system)
    nodes = LIXV2O5_ILLUSTRATIVE.strain(mechanics.composition(mesh.points))
    arrays = {"points": mesh.points, "triangles": mesh.triangles, "eigenstrain": nodes}
    for name, array in {**arrays, "stiffness": system.stiffness}.items():
        np.save(peers.folder / f"{name}.npy", array)
    for boundary in ("free", "fixed"):
        heading(f"stress, {boundary}, {system.basis.N:,} unknowns, one thread")
        found: list[Solution] = []

        def ours(boundary: Any = boundary, found: list[Solution] = found) -> None:
            with threadpool_limits(limits=1):
                found[:] = [solve(mechanics.system_of(mesh), eigenstrain, boundary)]

        ours()  # what is loaded once
        own, best, answers = in_turn(ours, peers, {"ngsolve": None}, repeat, boundary=boundary)
        row("ours, to the stress and its check", own.seconds)
        if "ngsolve" not in best:
            failed("NGSolve", peers.broken["ngsolve"])
            continue
        answer = answers["ngsolve"]
        norm = von_mises_norm(found[-1])
        ratio = own.seconds / best["ngsolve"].seconds
        note = f"von Mises norm differs by {abs(answer['von_mises'] / norm - 1):.1e}"
        text = f"ours {ratio:.2f} × as long"
        row(
            "NGSolve, assembly + sparsecholesky",
            best["ngsolve"].seconds,
            text,
            NGSOLVE.judge(ratio),
            note,
        )


def von_mises_norm(solution: Solution) -> float:
    """Root of the integral of its square, exact for elements of second order."""
    xx, yy, xy = solution.stress
    return float(np.sqrt(((xx**2 + yy**2 - xx * yy + 3 * xy**2) * solution.system.basis.dx).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", type=Path, help="that of the environment with the peers")
    parser.add_argument("--pixels", type=int, default=1_000_000, help="for optical density")
    parser.add_argument("--fitted", type=int, default=500_000, help="pixels of the fits")
    parser.add_argument("--energies", type=int, default=250)
    parser.add_argument("--side", type=int, default=512, help="of the frames to register")
    parser.add_argument("--unknowns", type=int, default=100_000, help="of the stress")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--report", type=Path, help="Markdown page to write the table into")
    chosen = parser.parse_args()
    repeat = chosen.repeat

    warnings.simplefilter("ignore", ChemoscapeWarning)
    with tempfile.TemporaryDirectory() as folder:
        peers = Peers(chosen.python.absolute(), Path(folder))
        versions = peers.ask("versions")
        if versions is None:
            parser.error(f"the peers do not start: {peers.broken['versions']}")
        began = machine()
        print(f"chemoscape {cs.__version__} on {began}")
        print("beside " + ", ".join(f"{name} {number}" for name, number in versions.items()))
        parts: dict[str, tuple[Any, ...]] = {
            "registration": (registration, peers, chosen.energies, chosen.side, repeat),
            "density": (optical_density, peers, chosen.pixels, chosen.energies, repeat),
            "fits": (beside_fits.fits, peers, chosen.fitted, chosen.energies, min(repeat, 2)),
            "small": (beside_fits.small, peers, min(repeat, 2)),
            "factorisation": (beside_fits.factorisation, peers, repeat),
            "stress": (stress, peers, chosen.unknowns, repeat),
        }
        for name, (part, *given) in parts.items():
            if name in chosen.only:
                attempt(name, part, *given)
    if chosen.report:
        options = shlex.join(sys.argv[2:])
        command = f'make bench-peers BENCH="{options}"'
        report.write(chosen.report, "peers", began, command, versions)
        print(f"\nwritten: {chosen.report}")
    if FAILED:
        raise SystemExit(f"failed: {', '.join(FAILED)}")


if __name__ == "__main__":
    main()
