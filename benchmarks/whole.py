"""Stress of a whole map, its mesh included."""

from __future__ import annotations

from measure import best, heading, row

import chemoscape as cs
from chemoscape import simulate


def whole() -> None:
    heading("stress of a map", memory=False)
    truth = simulate.core_shell(shape=(400, 400), pixel_um=0.03, poisson=True)
    library = cs.open_library("lixv2o5-model")
    maps = cs.deconvolve(cs.optical_density(truth.stack), library, energy_shift=0.0)
    comp = cs.composition(maps, library)
    material = cs.Material(43.0, 0.3, 0.02, status="illustrative")
    seconds = best(lambda: cs.stress(comp, material, boundary=["free", "fixed"]), 1)
    row("stress of 400² pixels, free and fixed, mesh included", seconds)
