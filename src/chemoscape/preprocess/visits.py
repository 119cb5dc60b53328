"""Two visits of the same energies, brought to the same pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.preprocess.drift import measure_drift
from chemoscape.preprocess.shifts import Drift


def on_one_grid(known: Drift, drift: Drift, first: xr.DataArray, last: xr.DataArray) -> Drift:
    """The drift of the other visits of a scan, so that both come to lie on the same pixels.

    Every drift is zero at its own reference. Frames that both stacks hold say how far these lie
    apart; if all energies were measured twice, the reference frame of one is looked for in the
    other.

    Parameters
    ----------
    known, drift : Drift
        Of the visits that were aligned already, and of the others.
    first, last : DataArray (energy, y, x)
        The stacks that these were measured on, as recorded.

    Returns
    -------
    Drift
        `drift` with one shift added to all frames.
    """
    _, here, there = np.intersect1d(
        first["energy"].values, last["energy"].values, return_indices=True
    )
    both = np.array(
        [
            np.array_equal(first.values[i], last.values[j], equal_nan=True)
            for i, j in zip(here, there, strict=True)
        ]
    )
    if both.any():
        apart = np.median((known.shifts[here] - drift.shifts[there])[both], axis=0)
    else:
        contrast = known.quality[here] if np.isfinite(known.quality[here]).all() else here
        best = int(np.argmax(contrast))  # the reference itself where both have it
        at, its = here[best], there[best]
        energy = [first["energy"].values[at], first["energy"].values[at] + 1.0]
        pair = stacks.build(
            np.stack([first.values[at], last.values[its]]),
            energy,
            first["y"].values,
            first["x"].values,
            quantity=first.attrs["quantity"],
            attrs={stacks.SAID: 1},
        )
        apart = known.shifts[at] + measure_drift(pair, reference=0).shifts[1] - drift.shifts[its]
    return replace(drift, shifts=drift.shifts + apart)
