"""The whole main job in memory against the sum of its steps, each measured alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import phantoms
import xarray as xr
from measure import Cost, cost, heading, note, row, side_by_side, stacks_of
from targets import MEMORY, WHOLE_JOB

import chemoscape as cs
from chemoscape.decompose.sample import with_statistics
from chemoscape.standards.library import Library

Result = TypeVar("Result")


def _steady(stack: xr.DataArray, drift: Any) -> xr.DataArray:
    """Without its drift, as far as every frame saw it."""
    return cs.crop_common(cs.align(stack, drift), drift)


def job(stack: xr.DataArray, library: Library) -> xr.Dataset:
    """Raw counts to composition; of a lazy stack the composition is computed at the end."""
    od = cs.optical_density(_steady(stack, cs.measure_drift(stack)))
    od = with_statistics(od, cs.principal_components(od))
    maps = cs.deconvolve(od, library, energy_shift="fit")
    return cs.composition(maps, library).compute()


def main_job(n_pixels: int, n_energy: int) -> None:
    """Drift, alignment, optical density, principal components, NNLS with its shift, composition."""
    side = round(n_pixels**0.5)
    stack = phantoms.drifting(n_energy, side, counts=2000.0, of_library=True).stack
    library = cs.open_library("lixv2o5-model")
    job(stack[:, :96, :96], library)  # compile
    heading(f"the whole main job, {n_energy} × {side}²")

    spent: list[float] = []

    def alone(what: str, step: Callable[..., Result], *given: Any) -> Result:
        """What a step makes of what is given; its best time joins the sum."""
        made: list[Result] = []

        def work() -> None:
            made[:] = [step(*given)]

        (best,) = side_by_side([work], 2)
        spent.append(best.seconds)
        row(f"  {what}", best.seconds, memory=stacks_of(best.extra_bytes, stack.nbytes))
        return made[0]

    drift = alone("drift", cs.measure_drift, stack)
    aligned = alone("align and crop", _steady, stack, drift)
    od = alone("optical density", cs.optical_density, aligned)
    del aligned
    alone("principal components", cs.principal_components, od)
    maps = alone("NNLS with energy shift", cs.deconvolve, od, library)
    del od
    alone("composition", cs.composition, maps, library)
    del maps
    whole = Cost(float("inf"), float("nan"))
    for _ in range(2):
        whole = cost(lambda: job(stack, library)).best(whole)
    ratio = whole.seconds / sum(spent)
    memory = stacks_of(whole.extra_bytes, stack.nbytes)
    if memory:
        memory += f" {MEMORY.judge(whole.extra_bytes / stack.nbytes)}"
    row(
        "raw counts to composition",
        whole.seconds,
        f"{ratio:.2f} × sum of steps",
        WHOLE_JOB.judge(ratio),
        memory,
    )
    note("  rods of two standards that wander, 2000 counts per pixel; best of two runs each")
