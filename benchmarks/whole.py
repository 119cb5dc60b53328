"""Stress, the command line and the demo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from measure import best, heading, row
from targets import DEMO

import chemoscape as cs
from chemoscape import simulate


def whole(folder: Path) -> None:
    heading("and the rest", memory=False)
    truth = simulate.core_shell(shape=(400, 400), pixel_um=0.03, poisson=True)
    library = cs.open_library("lixv2o5-model")
    maps = cs.deconvolve(cs.optical_density(truth.stack), library, energy_shift=0.0)
    comp = cs.composition(maps, library)
    material = cs.Material(43.0, 0.3, 0.02, status="illustrative")
    seconds = best(lambda: cs.stress(comp, material, boundary=["free", "fixed"]), 1)
    row("stress of 400² pixels, free and fixed, mesh included", seconds)
    help_command = [sys.executable, "-m", "chemoscape.cli", "--help"]
    bare = best(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    seconds = best(lambda: subprocess.run(help_command, check=True, capture_output=True))
    row("chemoscape --help", seconds, f"{seconds / bare:.0f} × starting Python")

    from chemoscape.demo import run_demo  # brings the whole house with it

    seconds = best(lambda: run_demo(folder / "demo"), 1)
    row("chemoscape demo", seconds, target=DEMO.judge(seconds))
