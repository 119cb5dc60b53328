"""How fast, as ratios in one process: the machine's own limits first, then each step against its
limit.

Usage: make bench, or python benchmarks/run.py --help
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import limits
import phantoms
from counts import drift, growth, optical_density
from files import files
from maps import decompose
from measure import machine
from parts import factorisation
from whole import whole

import chemoscape as cs
from chemoscape.errors import ChemoscapeWarning
from mechanics import stress
from particles import particles

PARTS = (
    *("density", "growth", "drift", "decomposition", "factorisation", "files", "particles"),
    *("stress", "whole"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pixels", nargs="?", type=int, default=1_000_000, help="of the stack")
    parser.add_argument("--energies", type=int, default=250)
    parser.add_argument("--side", type=int, default=512, help="of the frames to register")
    parser.add_argument(
        "--largest", type=int, default=1_000_000, help="pixels up to which the cost is followed"
    )
    parser.add_argument(
        "--unknowns", type=int, default=100_000, help="of the stress, followed up to there"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    chosen = parser.parse_args()

    warnings.simplefilter("ignore", ChemoscapeWarning)
    print(f"chemoscape {cs.__version__} on {machine()}")
    if {"density", "decomposition"} & set(chosen.only):
        stack = phantoms.core_shell(chosen.pixels, chosen.energies)
        limits.show(stack.values)
        if "density" in chosen.only:
            optical_density(stack)
        if "decomposition" in chosen.only:
            od = cs.optical_density(stack)
            del stack
            decompose(od)
            del od
    if "factorisation" in chosen.only:
        factorisation()
    with tempfile.TemporaryDirectory() as folder:
        if "growth" in chosen.only:
            growth(chosen.largest, chosen.energies)
        if "drift" in chosen.only:
            drift(chosen.energies, chosen.side, Path(folder))
        if "files" in chosen.only:
            (Path(folder) / "files").mkdir()
            files(Path(folder) / "files")
        if "particles" in chosen.only:
            particles()
        if "stress" in chosen.only:
            stress(chosen.unknowns)
        if "whole" in chosen.only:
            whole(Path(folder))


if __name__ == "__main__":
    main()
