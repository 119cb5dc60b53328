"""Units of the incident beam: I0 from elsewhere is brought to the unit of the images.

Dwell, counter divider and ring current are what headers know. A factor of theirs is believed when
the empty background of the images shows it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, StackError

Unit = Literal["auto", "image", "per_ms"]

#: A background optical density below this is no cause for alarm.
NEGLIGIBLE_OD = 0.05
#: Offsets are the same, over energy or as a factor of the header, when they differ by less than
#: this.
SAME_OD = 0.02
#: Dwells and ring currents that differ by less are the same.
SAME_RATIO = 1e-5


@dataclass(frozen=True)
class Beam:
    """I0 from elsewhere, at the energies of a stack.

    Parameters
    ----------
    values : ndarray, shape (n_energy,)
        As given, in a unit of its own.
    source : str
        Where it comes from, for messages.
    ring_current : ndarray, shape (n_energy,), or None
        In mA, when these were recorded.
    dwell : ndarray, shape (n_energy,), or None
        In ms, of flat images.
    """

    values: np.ndarray
    source: str
    ring_current: np.ndarray | None = None
    dwell: np.ndarray | None = None


def in_unit_of(
    stack: xr.DataArray, beam: Beam, unit: Unit, empty: np.ndarray | None
) -> tuple[np.ndarray, str]:
    """The factor (n_energy,) on I0 that brings it to the unit of the stack, and what to say of it.

    What both sides know (ring current, the dwell of flat images) is applied first, unless the empty
    background shows that I0 had been normalised already. A factor that only one side knows is taken
    when it brings the background to zero.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Its coordinates ``dwell``, ``ring_current`` and attributes ``dwell_ms``,
        ``counter_divider`` are used.
    beam : Beam
        I0.
    unit : {"auto", "image", "per_ms"}
        What the values are; ``"auto"`` asks the background.
    empty : ndarray, shape (n_energy,), optional
        Beam in the empty background of the images, dark taken off.

    Raises
    ------
    StackError
        The unit is unknown, or the header cannot convert it.

    Warns
    -----
    ChemoscapeWarning
        A mismatch was found and corrected, or could not be looked for.
    """
    if unit not in ("auto", "image", "per_ms"):
        raise StackError(f"{unit!r} is no unit of I0", remedy='use "auto", "image" or "per_ms"')
    n = len(beam.values)
    dwell, ones = dwell_ms(stack), np.ones(n)
    if unit == "per_ms":
        if dwell is None:
            raise StackError(
                "I0 is per millisecond and the stack does not say how long it counted",
                where=beam.source,
                remedy="give I0 in the unit of the images",
            )
        factor, said = dwell, "I0 multiplied by the dwell, as it is per millisecond"
    else:
        factor, said = _ratio(dwell, beam.dwell, "dwells", n)
    ratio, ring_said = _ratio(ring_current(stack), beam.ring_current, "ring currents", n)
    if empty is None:
        if unit == "auto":
            warn(
                "no empty background was found in the image, so that the unit of I0 could not be "
                'checked; say it with i0_unit = "image" or "per_ms"'
            )
        return factor * ratio, _joined(said, ring_said)

    with np.errstate(invalid="ignore", divide="ignore"):
        offset = np.log(beam.values * factor / empty)
    scaled = offset + np.log(ratio)
    if ring_said and _fits(offset) and not _fits(scaled):
        return factor, _joined(
            said, "not scaled by the ring current: the empty background shows no change of it"
        )
    if unit != "auto":
        return factor * ratio, _joined(said, ring_said)
    further, mismatch = _explained(scaled, _factors(stack, dwell, ring_current(stack)))
    if not mismatch and ring_said:  # already per mA, so that its own ring current is no matter
        further, mismatch = _explained(offset, _factors(stack, dwell, ring_current(stack)))
        if mismatch:
            ratio, ring_said = ones, ""
    if mismatch:
        warn(mismatch)
    return factor * ratio * further, _joined(said, ring_said, mismatch)


def dwell_ms(stack: xr.DataArray) -> np.ndarray | None:
    """Dwell of every frame (n_energy,) in ms, or None when the stack does not say."""
    return _per_frame(stack, "dwell", "dwell_ms")


def ring_current(stack: xr.DataArray) -> np.ndarray | None:
    """Ring current of every frame (n_energy,) in mA, or None when the stack does not say."""
    return _per_frame(stack, "ring_current", "ring_current_mA")


def scatter(values: np.ndarray) -> float:
    """Robust standard deviation."""
    return 1.4826 * float(np.nanmedian(np.abs(values - np.nanmedian(values))))


def warn(message: str) -> None:
    """Warn the caller of `optical_density`."""
    warnings.warn(message, ChemoscapeWarning, stacklevel=6)


def _per_frame(stack: xr.DataArray, coordinate: str, attribute: str) -> np.ndarray | None:
    if coordinate in stack.coords:
        values = np.asarray(stack[coordinate].values, dtype=np.float64)
        if (
            values.shape == (stack.sizes["energy"],)
            and (values > 0).all()
            and np.isfinite(values).all()
        ):
            return values
    single = float(stack.attrs.get(attribute, np.nan))
    return np.full(stack.sizes["energy"], single) if np.isfinite(single) and single > 0 else None


def _ratio(
    of_images: np.ndarray | None, of_beam: np.ndarray | None, name: str, n: int
) -> tuple[np.ndarray, str]:
    """What I0 is multiplied by, the images' dwell or ring current over its own, and a sentence
    where that changes it: the beam is proportional to both.
    """
    if of_images is None or of_beam is None:
        return np.ones(n), ""
    ratio = of_images / of_beam
    if np.allclose(ratio, 1, rtol=SAME_RATIO):
        return np.ones(n), ""
    return ratio, f"I0 scaled by the ratio of the {name}, {_range(ratio)}"


def _range(ratio: np.ndarray) -> str:
    low, high = float(ratio.min()), float(ratio.max())
    return f"{low:.4g}" if high / low < 1.001 else f"{low:.4g} to {high:.4g}"


def _joined(*sentences: str) -> str:
    return "; ".join(sentence for sentence in sentences if sentence)


def _fits(offset: np.ndarray) -> bool:
    return abs(float(np.nanmedian(offset))) <= NEGLIGIBLE_OD and scatter(offset) < SAME_OD


def _factors(
    stack: xr.DataArray, dwell: np.ndarray | None, ring: np.ndarray | None
) -> dict[str, np.ndarray]:
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
    if ring is not None:
        ma = f"{np.median(ring):.4g} mA"
        known[f"I0 is per mA of ring current, the images were taken at {ma}"] = ring
        known[f"the images are per mA of ring current, I0 was taken at {ma}"] = 1 / ring
        if dwell is not None:
            known[
                f"I0 is per mA and millisecond, the images were taken at {ma} per dwell of {ms}"
            ] = ring * dwell
            known[f"I0 is per mA and second, the images were taken at {ma} per dwell of {ms}"] = (
                ring * dwell / 1000
            )
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
        if rest < least and scatter(after) < SAME_OD:
            number = float(np.median(factor))
            best, least = factor, rest
            sentence = (
                f"unit mismatch corrected: {cause}; the empty background had an optical density "
                f"of {before:.3f} at every energy, ln(1/{number:.3g}) = {-np.log(number):.3f}, and "
                f"has {float(np.nanmedian(after)):.3f} after I0 was multiplied by {number:.3g}"
            )
    return best, sentence
