"""An I0 spectrum at the energies of a stack: linear interpolation, never beyond its ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import StackError

#: An I0 spectrum may end this far (eV) before the stack does: energies are printed with three
#: decimals.
ENERGY_TOLERANCE_EV = 1e-3


def in_order(energy: ArrayLike, values: ArrayLike, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Energies in ascending order and their values; those of a repeated energy are averaged.

    Raises
    ------
    StackError
        The lengths differ, there is none, or a value is not finite.
    """
    at, beam = np.asarray(energy, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if at.ndim != 1 or at.shape != beam.shape or not at.size:
        raise StackError(
            f"an I0 spectrum needs one value per energy, got {at.shape} and {beam.shape}",
            where=source,
            remedy="give (energy, values) of equal length",
        )
    if not (np.isfinite(at).all() and np.isfinite(beam).all()):
        raise StackError(
            "the I0 spectrum holds values that are not finite", where=source, remedy="remove them"
        )
    unique, which = np.unique(at, return_inverse=True)
    return unique, np.bincount(which, beam) / np.bincount(which)


def at_stack(wanted: np.ndarray, at: np.ndarray, beam: np.ndarray, source: str) -> np.ndarray:
    """A spectrum `beam` at ascending energies `at`, at the energies `wanted` of the stack.

    Raises
    ------
    StackError
        The spectrum does not cover the stack, or is not positive there.
    """
    low, high, share = bracket(wanted, at, source)
    interpolated = (1 - share) * beam[low] + share * beam[high]
    refuse_dark(interpolated, wanted, source, "correct the spectrum")
    return np.asarray(interpolated)


def bracket(
    wanted: np.ndarray, at: np.ndarray, source: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours below and above the energies `wanted` among ascending energies `at`, and the share
    of the upper one.

    Raises
    ------
    StackError
        `wanted` reaches beyond `at`.
    """
    if wanted[0] < at[0] - ENERGY_TOLERANCE_EV or wanted[-1] > at[-1] + ENERGY_TOLERANCE_EV:
        raise StackError(
            f"I0 covers {at[0]:.3f} to {at[-1]:.3f} eV, the stack {wanted[0]:.3f} to "
            f"{wanted[-1]:.3f} eV",
            where=source,
            remedy="measure I0 over the whole range, or drop the energies outside it",
        )
    high = np.clip(np.searchsorted(at, wanted), 0, at.size - 1)
    low = np.maximum(high - 1, 0)
    step = at[high] - at[low]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(step > 0, (wanted - at[low]) / step, 0.0)
    return low, high, np.clip(share, 0.0, 1.0)  # a rounding error beyond the ends


def refuse_dark(beam: np.ndarray, energy: np.ndarray, where: str, remedy: str) -> None:
    """Raise unless there is beam at every energy."""
    dark = ~(beam > 0)
    if dark.any():
        raise StackError(
            f"I0 is not positive at {dark.sum()} energies, the first {energy[dark][0]:.3f} eV",
            where=where,
            remedy=remedy,
        )
