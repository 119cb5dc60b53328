"""How far the field moved between the stacks of a series."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.ndimage
import xarray as xr
from skimage.registration import phase_cross_correlation

from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning
from chemoscape.preprocess.drift import measure_drift
from chemoscape.preprocess.shifts import Drift

#: Correlation of the images of two stacks of one field: 0.99 of a particle whose chemistry changes,
#: 0.8 of one that was turned by a right angle.
LEAST_ALIKE = 0.9
#: Part of the field that two stacks must show both, to be looked for over more than small shifts.
LEAST_OVERLAP = 0.3


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
        As `measure_drift`; or a stack does not look like the first where it was registered on it.
    """
    images = np.stack([one["optical_density"].mean("energy").values for one in densities])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ChemoscapeWarning)
        shifts = _measured(images)
        likeness = [_likeness(images[0], *one) for one in zip(images, shifts, strict=True)]
        for k in np.flatnonzero(np.array(likeness) < LEAST_ALIKE):
            far = _from_afar(images[0], images[k])
            if far is not None and (alike := _likeness(images[0], images[k], far)) > likeness[k]:
                shifts[k], likeness[k] = far, alike
    for one in said:
        if issubclass(one.category, ChemoscapeWarning):
            text = f"registration of the stacks to the first: {one.message}"
            warnings.warn(text, ChemoscapeWarning, stacklevel=2)
    if unlike := [f"{k + 1} ({one:.2f})" for k, one in enumerate(likeness) if one < LEAST_ALIKE]:
        warnings.warn(
            f"stack {', '.join(unlike)} hardly looks like the first where it was registered on it "
            "(in brackets the correlation of both images): it was turned or shows another sample, "
            "or its shift is wrong; look at the maps",
            ChemoscapeWarning,
            stacklevel=2,
        )
    return shifts


def _measured(images: np.ndarray) -> np.ndarray:
    """Pixels (n, 2) to apply to each image so that it lies on the first."""
    n, *shape = images.shape
    # the axis of energies counts the images: registration only needs it to rise
    places = (np.arange(size, dtype=float) for size in shape)
    counted = stacks.build(images, np.arange(1.0, n + 1), *places, quantity="optical_density")
    shifts = measure_drift(counted, method="recursive").shifts
    return np.asarray(shifts - shifts[0])


def _from_afar(first: np.ndarray, image: np.ndarray) -> np.ndarray | None:
    """Pixels (dy, dx) to apply to an image that has a part of the field only; None where even that
    leaves none.

    Whole pixels of the best normalised correlation of what overlaps (D. Padfield, IEEE Trans. Image
    Process. 21, 2706, 2012), then as near images.
    """
    seen = [np.isfinite(one) for one in (first, image)]
    whole, *_ = phase_cross_correlation(
        np.nan_to_num(first),
        np.nan_to_num(image),
        reference_mask=seen[0],
        moving_mask=seen[1],
        overlap_ratio=LEAST_OVERLAP,
    )
    here, there = [], []
    for move, size in zip(np.round(whole).astype(int), first.shape, strict=True):
        here.append(slice(max(move, 0), min(size + move, size)))
        there.append(slice(max(-move, 0), min(size - move, size)))
    try:
        fine = _measured(np.stack([first[tuple(here)], image[tuple(there)]]))
    except ChemoscapeError:  # too little of it
        return None
    return np.asarray(np.round(whole) + fine[1])


def _likeness(first: np.ndarray, image: np.ndarray, shift: np.ndarray) -> float:
    """Correlation of two images where both show the field, the second one moved."""
    moved = scipy.ndimage.shift(image, shift, order=1, cval=np.nan)
    both = np.isfinite(first) & np.isfinite(moved)
    if both.sum() < 3 or not (np.ptp(first[both]) and np.ptp(moved[both])):
        return 0.0
    return float(np.corrcoef(first[both], moved[both])[0, 1])


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
