"""What stands beside the maps: peaks, powder patterns, cyclers' files, several stacks in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from measure import cost, heading, row

import chemoscape as cs
from chemoscape.crystals.model import model_structure
from chemoscape.crystals.simulation import synthetic_pattern
from chemoscape.crystals.whole_pattern import refine_cell
from chemoscape.electrochemistry import simulate_cycling, write_cycling

SHAPE = (60, 80)
RUN = {"damage": {"enabled": False}, "report": {"enabled": False}, "clusters": {"enabled": False}}


def beside_the_maps(folder: Path) -> None:
    """Each beside the simplest work that its data ask for."""
    heading("evidence of standards, and the cell")
    library = cs.open_library("lixv2o5-model")
    row("peaks of six spectra, V L3", cost(lambda: cs.fit_peaks(library, "V L3")).seconds)
    crystal = model_structure(0.0)
    pattern = synthetic_pattern(crystal, np.arange(10.0, 70.0, 0.02))
    plain = cost(lambda: np.linalg.lstsq(np.ones((3000, 60)) + np.eye(3000, 60), pattern.intensity))
    spent = cost(lambda: refine_cell(pattern, crystal))
    row("cell from 3000 points", spent.seconds, f"{spent.seconds / plain.seconds:.0f} × lstsq")
    curve, _ = simulate_cycling(half_cycles=20, interval_s=7.0)
    write_cycling(curve, folder / "cell.csv")
    lines = (folder / "cell.csv").read_text(encoding="utf-8").splitlines()
    first = next(k for k, line in enumerate(lines) if line[:1].isdigit())
    numbers = cost(lambda: np.loadtxt(lines[first:], usecols=(3, 4, 5, 6)))
    spent = cost(lambda: cs.open_cycling(folder / "cell.csv"))
    what = f"a cycler's file of {len(lines) - first} records"
    row(what, spent.seconds, f"{spent.seconds / numbers.seconds:.1f} × loadtxt")
    _series(folder)


def _series(folder: Path) -> None:
    """Three stacks as a series, and one after the other."""
    for k in range(3):
        truth = cs.simulate.core_shell(shape=SHAPE, offset_px=(k, -k), poisson=True, seed=k)
        cs.save_stack(truth.stack, folder / f"scan_{k}.h5")
    paths = [str(folder / f"scan_{k}.h5") for k in range(3)]
    alone = cost(lambda: [cs.run({**RUN, "input": {"path": path}}) for path in paths])
    series = {"enabled": True, "stacks": paths, "times": [0.0, 1.0, 2.0]}
    spent = cost(lambda: cs.run({**RUN, "series": series}))
    what = f"three stacks of {SHAPE[0]} × {SHAPE[1]} in time"
    row(what, spent.seconds, f"{spent.seconds / alone.seconds:.2f} × three runs")
