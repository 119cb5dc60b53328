"""How far the field moved between the stacks of a series."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeWarning
from chemoscape.preprocess.drift import measure_drift
from chemoscape.preprocess.shifts import Drift


def shifts_between(densities: Sequence[xr.Dataset]) -> np.ndarray:
    """Pixels (n_time, 2), (dy, dx), to APPLY to each stack so that it lies on the first.

    Measured on the mean optical density over all energies, which tells how much sample there is and
    hardly what it is made of: chemistry that moves must not be taken for motion. Each stack is held
    against its neighbours in time, which it resembles most. Such images have the counts of a whole
    stack: of a particle that fills four fifths of the field, 54 × 72 pixels of 100 to 8000 photons,
    with a core that grows, shifts of 3 to 10 pixels are found to 0.01 to 0.04 pixels.

    Parameters
    ----------
    densities : sequence of Dataset of `optical_density`
        Of the same field, each registered in itself.

    Warns
    -----
    ChemoscapeWarning
        As `measure_drift`.
    """
    images = np.stack([one["optical_density"].mean("energy").values for one in densities])
    first = densities[0]["optical_density"]
    # the axis of energies counts the stacks: registration only needs it to rise
    moments = stacks.build(
        images,
        np.arange(1.0, len(images) + 1),
        first["y"].values,
        first["x"].values,
        quantity="optical_density",
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ChemoscapeWarning)
        found = measure_drift(moments, method="recursive")
    for one in said:
        if issubclass(one.category, ChemoscapeWarning):
            text = f"registration of the stacks to the first: {one.message}"
            warnings.warn(text, ChemoscapeWarning, stacklevel=2)
    return found.shifts - found.shifts[0]


def moved_by(drift: Drift | None, shift: np.ndarray, energy: np.ndarray) -> Drift:
    """A drift that brings a stack, registered in itself by `drift`, to another place too.

    A pixel of the moved frame is taken from c + linear⁻¹ (p - c - shift), so that shifts add
    whatever the frames turn.

    Parameters
    ----------
    drift : Drift or None
        None where the frames of the stack lie on each other as they are.
    shift : ndarray, shape (2,)
        Pixels (dy, dx) to apply to all frames.
    energy : ndarray, shape (n_energy,)
        Of the frames, eV.
    """
    if drift is not None:
        return replace(drift, shifts=drift.shifts + shift)
    n = energy.size
    return Drift(
        shifts=np.tile(np.asarray(shift, dtype=float), (n, 1)),
        energy=energy,
        reference=0,
        quality=np.full(n, np.nan),
        replaced=np.zeros(n, dtype=bool),
    )
