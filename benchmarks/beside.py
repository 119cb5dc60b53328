"""The same work by other programs on the same stacks, in turn with ours.

Usage: make bench-peers, or python benchmarks/beside.py PYTHON-OF-THE-PEERS --help

The peers run in processes and an environment of their own (see peers.py).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import parts
import phantoms
from measure import Cost, Work, cost, free_bytes, heading, machine, row, side_by_side, stacks_of
from targets import NGSOLVE, NNMA_MANTIS, OPTICAL_DENSITY_MANTIS, REGISTRATION_MANTIS, Factor
from threadpoolctl import threadpool_limits

import chemoscape as cs
import mechanics
from chemoscape.errors import ChemoscapeWarning
from chemoscape.mechanics.elasticity import Solution, solve
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE
from chemoscape.preprocess.shifts import Drift

#: Job of peers.py: what it is called in the table, and what is aimed at.
REGISTRATIONS: dict[str, tuple[str, Factor | None]] = {
    "mantis_manual": ("MANTiS, Stack Alignment", REGISTRATION_MANTIS),
    "mantis_fft": ("MANTiS, FFT Stack Alignment", REGISTRATION_MANTIS),
    "hyperspy": ("HyperSpy, estimate_shift2D", None),
    "pystackreg": ("pystackreg, translation, from frame to frame", None),
    "skimage": ("scikit-image, from frame to frame", None),
}
DENSITIES: dict[str, tuple[str, Factor | None]] = {
    "mantis_density_ncb": ("MANTiS, I0 given, no variance, from .ncb", OPTICAL_DENSITY_MANTIS),
    "mantis_density_hdr": ("MANTiS, I0 given, no variance, from .hdr", OPTICAL_DENSITY_MANTIS),
}
PARTS = ("registration", "density", "factorisation", "stress")
#: Stacks of float32 that MANTiS's optical density needs: four of float64 and some masks.
MANTIS_STACKS = 11


class Peers:
    """The other programs, by the Python that has them."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python, self.folder = python, folder
        self.broken: dict[str, str] = {}

    def ask(self, job: str, **facts: Any) -> dict[str, Any] | None:
        """Answer of a job of peers.py; None if it failed, now or before."""
        if job in self.broken:
            return None
        environment = {**os.environ, "FACTS": json.dumps(facts), "QT_QPA_PLATFORM": "offscreen"}
        done = subprocess.run(
            [self.python, "-W", "ignore", Path(__file__).with_name("peers.py"), job, self.folder],
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            self.broken[job] = said[-1] if said else f"exit status {done.returncode}"
            return None
        return json.loads(done.stdout.splitlines()[-1])


def in_turn(
    ours: Work, peers: Peers, jobs: dict[str, Any], repeat: int, **facts: Any
) -> tuple[Cost, dict[str, Cost], dict[str, np.ndarray]]:
    """Best cost of ours and of every job, and the shifts the jobs found."""
    own = Cost(math.inf, math.nan)
    best: dict[str, Cost] = {}
    shifts: dict[str, np.ndarray] = {}
    for _ in range(repeat):
        own = cost(ours).best(own)
        for job in jobs:
            answer = peers.ask(job, **facts)
            if answer is None:
                continue
            extra = answer["extra_bytes"]
            spent = Cost(answer["seconds"], math.nan if extra is None else extra)
            best[job] = spent.best(best[job]) if job in best else spent
            if answer.get("shifts") is not None:
                shifts[job] = np.array(answer["shifts"])
    return own, best, shifts


def show(
    own: Cost,
    best: dict[str, Cost],
    peers: Peers,
    jobs: dict[str, tuple[str, Factor | None]],
    stack_bytes: int,
    notes: dict[str, str],
) -> None:
    """Print ours and the peers', with a note on each behind its memory."""
    ours = f"ours{notes.get('how', '')}"
    row(ours, own.seconds, memory=_last_column(own, stack_bytes, notes.get("ours", "")))
    for job, (name, target) in jobs.items():
        if job not in best:
            print(f"{name}: failed: {peers.broken.get(job, 'not run')}")
            continue
        factor = best[job].seconds / own.seconds
        row(
            name,
            best[job].seconds,
            f"{factor:.1f} × ours",
            target.judge(factor) if target else "",
            _last_column(best[job], stack_bytes, notes.get(job, "")),
        )


def _last_column(spent: Cost, stack_bytes: int, note: str) -> str:
    return f"{stacks_of(spent.extra_bytes, stack_bytes):<14}{note}"


def registration(peers: Peers, n_energy: int, side: int, repeat: int) -> None:
    """Drift of one stack by everyone, and how far each is from the truth."""
    truth = phantoms.drifting(n_energy, side)
    np.save(peers.folder / "counts.npy", truth.stack.values)
    np.save(peers.folder / "energy.npy", truth.stack["energy"].values)
    heading(f"registration, {n_energy} × {side}²")
    first = cs.measure_drift(truth.stack)  # compiles, and finds the best reference for everyone
    found: list[Drift] = []
    own, best, shifts = in_turn(
        lambda: found.append(cs.measure_drift(truth.stack)),
        peers,
        REGISTRATIONS,
        repeat,
        reference=int(first.reference),
    )
    shifts["ours"] = found[-1].shifts
    errors = {name: truth.error_px(each) for name, each in shifts.items()}
    notes = {
        name: f"error {rms:.3f} px rms, {worst:.2f} at worst"
        for name, (rms, worst) in errors.items()
    }
    show(own, best, peers, REGISTRATIONS, truth.stack.nbytes, notes)
    print(
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


def factorisation(peers: Peers, repeat: int) -> None:
    """A sweep of the non-negative factorisation from the same cluster spectra."""
    od, groups = parts.sample()
    np.save(peers.folder / "od.npy", od["optical_density"].values)
    np.save(peers.folder / "energy.npy", od["energy"].values)
    np.save(peers.folder / "start.npy", np.maximum(groups["spectrum"].values.T, 0))
    parts.sweeps(od, groups, 2)()  # compile
    heading(f"factorisation (NNMA), 100,000 × 120, {parts.PARTS} parts, a sweep")
    few, many = side_by_side([parts.sweeps(od, groups, n) for n in (1, 21)], repeat)
    seconds = (many.seconds - few.seconds) / 20
    row("ours", seconds, memory=parts.unexplained(parts.sweeps(od, groups, parts.SWEEPS)()))
    answer = peers.ask("mantis_nnma", sweeps=parts.SWEEPS, similarity=0.0)
    if answer is None:
        print(f"  MANTiS: {peers.broken['mantis_nnma']}")
        return
    factor = answer["seconds"] / seconds
    note = f"unexplained {1e3 * answer['unexplained']:.3f} ‰ after {parts.SWEEPS}"
    row("  MANTiS", answer["seconds"], f"{factor:.1f} × ours", NNMA_MANTIS.judge(factor), note)


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
        own, best, _ = in_turn(ours, peers, {"ngsolve": None}, repeat, boundary=boundary)
        row("ours, to the stress and its check", own.seconds)
        if "ngsolve" not in best:
            print(f"NGSolve: failed: {peers.broken['ngsolve']}")
            continue
        answer = peers.ask("ngsolve", boundary=boundary)
        assert answer is not None  # it has run before
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
    parser.add_argument("--energies", type=int, default=250)
    parser.add_argument("--side", type=int, default=512, help="of the frames to register")
    parser.add_argument("--unknowns", type=int, default=100_000, help="of the stress")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS)
    chosen = parser.parse_args()
    wanted = chosen.only or PARTS

    warnings.simplefilter("ignore", ChemoscapeWarning)
    with tempfile.TemporaryDirectory() as folder:
        peers = Peers(chosen.python.absolute(), Path(folder))
        versions = peers.ask("versions")
        if versions is None:
            parser.error(f"the peers do not start: {peers.broken['versions']}")
        print(f"chemoscape {cs.__version__} on {machine()}")
        print("beside " + ", ".join(f"{name} {number}" for name, number in versions.items()))
        if "registration" in wanted:
            registration(peers, chosen.energies, chosen.side, chosen.repeat)
        if "density" in wanted:
            optical_density(peers, chosen.pixels, chosen.energies, chosen.repeat)
        if "factorisation" in wanted:
            factorisation(peers, chosen.repeat)
        if "stress" in wanted:
            stress(peers, chosen.unknowns, chosen.repeat)


if __name__ == "__main__":
    main()
