"""How fast, as ratios in one process: the machine's own limits first, then each step against its
limit.

Usage: make bench, or python benchmarks/run.py --help
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import limits
import maps
import phantoms
from beside_the_maps import beside_the_maps
from counts import drift, optical_density
from few_images import few_images
from files import files
from growth import growth
from large import large
from main_job import main_job
from measure import FAILED, attempt, machine
from parts import factorisation
from starting import starting
from whole import whole

import chemoscape as cs
import report
from chemoscape.errors import ChemoscapeWarning
from mechanics import stress
from particles import particles


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pixels", nargs="?", type=int, default=1_000_000, help="of the stack")
    parser.add_argument("--energies", type=int, default=250)
    parser.add_argument("--side", type=int, default=512, help="of the frames to register")
    parser.add_argument(
        "--largest", type=int, default=10_000_000, help="pixels up to which the cost is followed"
    )
    parser.add_argument("--figure", type=Path, help="draws the cost against pixels, .svg or .png")
    parser.add_argument(
        "--gigabytes", type=float, default=1.0, help="of the stack larger than memory, up to 20"
    )
    parser.add_argument("--folder", type=Path, help="where that stack is written and removed again")
    parser.add_argument(
        "--unknowns", type=int, default=100_000, help="of the stress, followed up to there"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--report", type=Path, help="Markdown page to write the table into")
    return parser.parse_args()


def density_and_decomposition(chosen: argparse.Namespace, folder: Path) -> None:
    """The parts that share a stack, one after the other: it is large."""
    stack = phantoms.core_shell(chosen.pixels, chosen.energies)
    limits.show(stack.values)
    if "density" in chosen.only:
        attempt("density", optical_density, stack)
    if "decomposition" in chosen.only:
        attempt("decomposition, one pass", maps.one_pass, stack)
        od = cs.optical_density(stack)
        del stack
        attempt("decomposition, fits", maps.fits, od)
        attempt("decomposition, components", maps.components, od)


Part = Callable[[argparse.Namespace, Path], object]

PARTS: dict[str, Part] = {
    "density": density_and_decomposition,
    "decomposition": density_and_decomposition,
    "factorisation": lambda chosen, folder: factorisation(),
    "growth": lambda chosen, folder: growth(chosen.largest, figure=chosen.figure),
    "drift": lambda chosen, folder: drift(chosen.energies, chosen.side, folder),
    "job": lambda chosen, folder: main_job(chosen.pixels, chosen.energies),
    "large": lambda chosen, folder: large(min(chosen.gigabytes, 20.0), chosen.energies, folder),
    "files": lambda chosen, folder: files(folder),
    "few": lambda chosen, folder: few_images(),
    "beside": lambda chosen, folder: beside_the_maps(folder),
    "particles": lambda chosen, folder: particles(),
    "stress": lambda chosen, folder: stress(chosen.unknowns),
    "whole": lambda chosen, folder: whole(),
    "start": lambda chosen, folder: starting(folder),
}


def main() -> None:
    chosen = arguments()
    warnings.simplefilter("ignore", ChemoscapeWarning)
    began = machine()
    print(f"chemoscape {cs.__version__} on {began}")
    done: set[Part] = set()
    for name, part in PARTS.items():
        if name not in chosen.only or part in done:
            continue
        done.add(part)
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            attempt(name, partial(part, chosen, Path(folder)))
    if chosen.report:
        options = shlex.join(sys.argv[1:])
        report.write(chosen.report, "limits", began, f'make bench BENCH="{options}"')
        print(f"\nwritten: {chosen.report}")
    if FAILED:
        raise SystemExit(f"failed: {', '.join(FAILED)}")


if __name__ == "__main__":
    main()
