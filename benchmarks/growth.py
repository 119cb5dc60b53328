"""Cost against the number of pixels, which is to be a straight line: the same for each pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import phantoms
import xarray as xr
from measure import best, free_bytes, heading, note, row

import chemoscape as cs

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
#: Fewer than elsewhere, so that ten million pixels fit into a common machine's memory.
ENERGIES = 60
#: Float32 stacks in memory at once: counts, density, variance, what a step has beside, some room.
STACKS = 4.5


def growth(largest: int, n_energy: int = ENERGIES, figure: Path | None = None) -> None:
    """Optical density, NNLS and principal components, microseconds per pixel."""
    heading(f"cost against pixels, {n_energy} energies", memory=False)
    library = cs.open_library("lixv2o5-model")
    steps: dict[str, Callable[[xr.DataArray, xr.Dataset], object]] = {
        "optical density": lambda stack, od: cs.optical_density(stack),
        "NNLS": lambda stack, od: cs.deconvolve(
            od, library, energy_shift=0.0, baseline=None, weights="uniform"
        ),
        "principal components": lambda stack, od: cs.principal_components(od),
    }
    curves: dict[str, list[tuple[int, float]]] = {name: [] for name in steps}
    for n_pixels in SIZES:
        if n_pixels > largest:
            break
        needed = STACKS * 4 * n_pixels * n_energy
        if needed > free_bytes():
            gigabytes = needed / 1e9
            note(f"{n_pixels:,} pixels: left out, {gigabytes:.0f} GB of memory are not free")
            break
        stack = phantoms.core_shell(n_pixels, n_energy)
        od = cs.optical_density(stack)
        for name, step in steps.items():
            if not curves[name]:
                step(stack, od)  # compile
            repeat = 5 if n_pixels < 1e6 else 2
            seconds = best(lambda step=step, stack=stack, od=od: step(stack, od), repeat)
            each = 1e6 * seconds / stack[0].size
            curves[name].append((stack[0].size, each))
            row(f"{name}, {stack[0].size:,} pixels", seconds, f"{each:.2f} µs/pixel")
        del stack, od
    if figure is not None:
        draw(curves, n_energy, figure)
        note(f"figure: {figure.name}")


def draw(curves: dict[str, list[tuple[int, float]]], n_energy: int, path: Path) -> None:
    """The curves as a figure, SVG or PNG by the ending of its name."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "growth", "svg.fonttype": "none"}):
        drawing = Figure(figsize=(6.0, 3.6), layout="constrained")
        FigureCanvasAgg(drawing)
        axes = drawing.add_subplot()
        for (name, points), mark in zip(curves.items(), "os^", strict=True):
            axes.semilogx(*zip(*points, strict=True), marker=mark, label=name)
        axes.set(
            xlabel="pixels",
            ylabel="µs per pixel",
            title=f"cost of a pixel, {n_energy} energies: level is in proportion",
            ylim=(0, None),
        )
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        drawing.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
