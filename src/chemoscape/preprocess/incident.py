"""The incident beam I0: from pixels without sample, or from a spectrum that must first come to the
image's unit.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from chemoscape.errors import ChemoscapeWarning, StackError

Unit = Literal["auto", "image", "per_ms"]

#: An I0 spectrum may end this far (eV) before the stack does: energies are printed with three
#: decimals.
ENERGY_TOLERANCE_EV = 1e-3
#: A background optical density below this is no cause for alarm.
NEGLIGIBLE_OD = 0.05
#: Offsets are the same, over energy or as a factor of the header, when they differ by less than
#: this.
SAME_OD = 0.02


@dataclass(frozen=True)
class I0:
    """Incident beam: values and their variance (n_energy,) in the stack's unit, and where they come
    from.

    `n_pixels` is the number of pixels averaged, 0 for a spectrum; its variance is then not known,
    and 0.
    """

    values: np.ndarray
    variance: np.ndarray
    source: str
    units_correction: str = ""
    n_pixels: int = 0

    def with_counting_variance(
        self, counts: np.ndarray, background: xr.DataArray | None, g: float
    ) -> I0:
        """The same beam with the counting variance of its mean over the background."""
        if background is None:
            return self
        inside = background.values
        means, numbers = _means(counts, inside)
        return replace(self, variance=means / g / numbers)


def incident_from_pixels(
    stack: xr.DataArray, background: xr.DataArray, dark: float, source: str
) -> I0:
    """Mean over the pixels of `background` (y, x), frame by frame, less the dark value.

    Raises
    ------
    StackError
        In some frame these pixels hold no beam.
    """
    means, _ = _means(stack.values, background.values)
    values = means - dark
    _refuse_dark(values, stack["energy"].values, "the background", "drop these energies")
    return I0(values, np.zeros_like(values), source, n_pixels=int(background.values.sum()))


def incident_from_spectrum(
    stack: xr.DataArray,
    energy: ArrayLike,
    values: ArrayLike,
    unit: Unit,
    background: xr.DataArray | None,
    dark: float,
    source: str,
) -> I0:
    """I0 at the energies of the stack, in the unit of the stack.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts; the header's ``dwell_ms``, ``counter_divider`` and coordinate ``dwell`` are used.
    energy, values : array_like, shape (n,)
        The spectrum, eV and any unit that `unit` names.
    unit : {"auto", "image", "per_ms"}
        What the values are; ``"auto"`` asks the background.
    background : DataArray (y, x) of bool, optional
        Pixels without sample.
    dark : float
        Dark value of the images.
    source : str
        Where the spectrum comes from, for messages.

    Raises
    ------
    StackError
        The spectrum is malformed, does not cover the stack, is not positive, or has a unit that the
        header cannot convert.
    """
    interpolated = _at_stack(np.asarray(stack["energy"].values), energy, values, source)
    dwell = _dwell(stack)
    correction = ""
    if unit == "per_ms":
        if dwell is None:
            raise StackError(
                "I0 is per millisecond and the stack does not say how long it counted",
                where=source,
                remedy="give I0 in the unit of the images",
            )
        interpolated = interpolated * dwell
        correction = "I0 multiplied by the dwell, as it is per millisecond"
    elif unit not in ("auto", "image"):
        raise StackError(f"{unit!r} is no unit of I0", remedy='use "auto", "image" or "per_ms"')
    if background is not None:
        means, _ = _means(stack.values, background.values)
        with np.errstate(invalid="ignore", divide="ignore"):
            offset = np.log(interpolated / (means - dark))
        factor, said = _explained(offset, _factors(stack, dwell) if unit == "auto" else {})
        if said:
            interpolated, correction = interpolated * factor, said
            _warn(said)
        else:
            _warn_of_offset(offset)
    elif unit == "auto":
        _warn(
            "no empty background was found in the image, so that the unit of I0 could not be "
            'checked; say it with i0_unit = "image" or "per_ms"'
        )
    return I0(interpolated, np.zeros_like(interpolated), source, correction)


def _at_stack(wanted: np.ndarray, energy: ArrayLike, values: ArrayLike, source: str) -> np.ndarray:
    """Spectrum at the energies `wanted`, by linear interpolation, never beyond its ends."""
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
    order = np.argsort(at, kind="stable")
    at, beam = at[order], beam[order]
    if wanted[0] < at[0] - ENERGY_TOLERANCE_EV or wanted[-1] > at[-1] + ENERGY_TOLERANCE_EV:
        raise StackError(
            f"I0 covers {at[0]:.3f} to {at[-1]:.3f} eV, the stack {wanted[0]:.3f} to "
            f"{wanted[-1]:.3f} eV",
            where=source,
            remedy="measure I0 over the whole range, or drop the energies outside it",
        )
    interpolated = np.interp(wanted, at, beam)
    _refuse_dark(interpolated, wanted, source, "correct the spectrum")
    return interpolated


def _dwell(stack: xr.DataArray) -> np.ndarray | None:
    """Dwell of every frame in ms, or None."""
    if "dwell" in stack.coords:
        dwell = np.asarray(stack["dwell"].values, dtype=np.float64)
        if np.isfinite(dwell).all() and (dwell > 0).all():
            return dwell
    single = float(stack.attrs.get("dwell_ms", np.nan))
    return np.full(stack.sizes["energy"], single) if np.isfinite(single) and single > 0 else None


def _factors(stack: xr.DataArray, dwell: np.ndarray | None) -> dict[str, np.ndarray]:
    """What the header offers to multiply I0 by, named as a cause."""
    ones = np.ones(stack.sizes["energy"])
    divider = float(stack.attrs.get("counter_divider", np.nan))
    known = {}
    if dwell is not None:
        ms = f"{np.median(dwell):g} ms"
        known[f"I0 is per millisecond, the images per dwell of {ms}"] = dwell
        known[f"I0 is per second, the images per dwell of {ms}"] = dwell / 1000
        known[f"I0 is per dwell of {ms}, the images per millisecond"] = 1 / dwell
    if np.isfinite(divider) and divider > 0:
        known[f"the images were divided by {divider:g}, I0 was not"] = ones / divider
        known[f"I0 was divided by {divider:g}, the images were not"] = ones * divider
        if dwell is not None:
            known[
                f"I0 is per millisecond and not divided, the images per dwell of {ms} and divided "
                f"by {divider:g}"
            ] = dwell / divider
            known[
                f"I0 is per millisecond and divided by {divider:g}, the images per dwell of {ms} "
                "and not divided"
            ] = dwell * divider
    return known


def _explained(offset: np.ndarray, factors: dict[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """The factor on I0 that brings the background to zero at every energy, and a sentence; the
    latter empty if none.
    """
    before = float(np.nanmedian(offset))
    if abs(before) <= NEGLIGIBLE_OD:
        return np.ones_like(offset), ""
    best, sentence, least = np.ones_like(offset), "", SAME_OD
    for cause, factor in factors.items():
        after = offset + np.log(factor)
        rest = abs(float(np.nanmedian(after)))
        if rest < least and _scatter(after) < SAME_OD:
            number = float(np.median(factor))
            best, least = factor, rest
            sentence = (
                f"unit mismatch corrected: {cause}; the empty background had an optical density "
                f"of {before:.3f} at every energy, ln(1/{number:.3g}) = {-np.log(number):.3f}, and "
                f"has {float(np.nanmedian(after)):.3f} after I0 was multiplied by {number:.3g}"
            )
    return best, sentence


def _warn_of_offset(offset: np.ndarray) -> None:
    """Caution when the background is not at zero and the header does not say why."""
    level, scatter = float(np.nanmedian(offset)), _scatter(offset)
    if abs(level) > NEGLIGIBLE_OD:
        shape = (
            "at every energy" if scatter < SAME_OD else f"on average, and varies by {scatter:.3f}"
        )
        _warn(
            f"the empty background has an optical density of {level:.3f} {shape}, which no dwell "
            "or divider of the header explains; it was not corrected: look whether I0 belongs to "
            "this stack"
        )
    elif scatter > NEGLIGIBLE_OD:
        _warn(
            f"the optical density of the empty background varies over energy by {scatter:.3f}: I0 "
            "does not have the shape of the beam in this stack; it was not corrected"
        )


def _scatter(values: np.ndarray) -> float:
    """Robust standard deviation."""
    return 1.4826 * float(np.nanmedian(np.abs(values - np.nanmedian(values))))


def _means(counts: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (n,) of the pixels `inside` of every frame and their number, NaN pixels left out."""
    pixels = counts[:, inside]
    seen = np.isfinite(pixels)
    numbers = seen.sum(axis=1)
    total = np.where(seen, pixels, 0.0).sum(axis=1, dtype=np.float64)
    return total / np.maximum(numbers, 1), np.maximum(numbers, 1)


def _refuse_dark(beam: np.ndarray, energy: np.ndarray, where: str, remedy: str) -> None:
    dark = ~(beam > 0)
    if dark.any():
        raise StackError(
            f"I0 is not positive at {dark.sum()} energies, the first {energy[dark][0]:.3f} eV",
            where=where,
            remedy=remedy,
        )


def _warn(message: str) -> None:
    warnings.warn(message, ChemoscapeWarning, stacklevel=5)
