"""From counts to optical density, drift and what belongs to them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import limits
import numpy as np
import phantoms
import xarray as xr
from measure import best, heading, note, row
from targets import LOOK, OPTICAL_DENSITY, REGISTRATION

import chemoscape as cs
from chemoscape.preprocess.beam.background import find_background
from chemoscape.preprocess.noise import counts_per_unit
from chemoscape.preprocess.shifts import Drift


def optical_density(stack: xr.DataArray) -> None:
    """Counts to optical density, whole and in parts."""
    values = stack.values
    copy, read = limits.copy(values), limits.read(values)
    heading("optical density")
    cs.optical_density(stack.isel(y=slice(None, None, 4), x=slice(None, None, 4)))  # compile
    limits.step(
        "optical density, variance, background, noise",
        lambda: cs.optical_density(stack),
        copy,
        OPTICAL_DENSITY,
        stack=values,
        repeat=4,
    )
    limits.step("find the background", lambda: find_background(stack), read, stack=values)
    background = find_background(stack)
    limits.step("measure the noise", lambda: counts_per_unit(stack, background), read, stack=values)
    if find_spec("chemoscape.preprocess.artefacts"):
        from chemoscape.preprocess.artefacts import despike, level_lines

        limits.step("despike", lambda: despike(stack), copy, stack=values, repeat=2)
        limits.step("level lines", lambda: level_lines(stack), copy, stack=values, repeat=2)


def drift(n_energy: int, side: int, folder: Path) -> None:
    """Registration and resampling of a drifting stack, with the error against its truth."""
    truth = phantoms.drifting(n_energy, side)
    stack, values = truth.stack, truth.stack.values
    heading(f"drift: {n_energy} × {side}²")
    transforms = limits.transforms(values)
    row("limit: rfft2 and irfft2 of every frame, one thread", transforms.seconds(3))
    cs.measure_drift(stack[:8, :64, :64])  # compile
    measured: list[Drift] = []
    limits.step(
        "registration",
        lambda: measured.append(cs.measure_drift(stack)),
        transforms,
        REGISTRATION,
        stack=values,
        repeat=2,
    )
    rms, worst = truth.error_px(measured[-1].shifts)
    note(
        f"  error {rms:.3f} px rms, {worst:.2f} px at worst, of a drift of up to "
        f"{np.abs(truth.displacement).max():.1f} px; Cramér-Rao bound {truth.bound_px:.3f} px"
    )
    copy = limits.copy(values)
    limits.step("align", lambda: cs.align(stack, measured[-1]), copy, stack=values, repeat=2)
    aligned = cs.align(stack, measured[-1])
    limits.step(
        "crop to what every frame shows", lambda: cs.crop_common(aligned), copy, stack=values
    )
    if find_spec("chemoscape.look"):
        from chemoscape.look import look

        path = folder / "drifting.h5"
        cs.save_stack(stack, path)
        seconds = best(lambda: look(path), 2)
        row("chemoscape look, from the file", seconds, target=LOOK.judge(seconds))
