"""The energy axis of a standard: moved by a stated shift, or onto a feature of known energy.

Never silently: each calibration names the source of its energy and how well that is known, and the
record keeps the sum of all shifts.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from chemoscape.decompose.calibration import MOST_SHIFT_EV, Anchor
from chemoscape.errors import FitError, LibraryError
from chemoscape.standards.scale_windows import as_text, windows_of
from chemoscape.standards.standard import Standard

#: Energies are written with so many decimals.
DECIMALS = 6
#: An anchor is searched 1 eV on either side unless it says otherwise.
REACH_EV = 1.0
#: A spectrum in cm2/g may be moved by so much: tabulated coefficients change by 0.2 % over it.
MOST_SCALED_EV = 1.0
#: Draws of the noise in which a feature is looked for; of a normal distribution, sd over median
#: absolute deviation.
DRAWS, SD_PER_MAD = 200, 1.4826
#: An anchor as a record names it, after any words of one's own.
_WRITTEN = re.compile(r"\b(peak|edge) between ([\d.]+) and ([\d.]+) eV$")


def calibrated(
    standard: Standard,
    *,
    source: str,
    uncertainty_eV: float,
    anchor: Anchor | None = None,
    shift_eV: float | None = None,
    name: str = "",
) -> Standard:
    """Move the energies of a standard: ``E = E(before) + shift``.

    Parameters
    ----------
    standard : Standard
        Its spectrum stays as it is.
    source : str
        Who says where the feature is, or where the shift comes from.
    uncertainty_eV : float
        Standard deviation of that energy, or of that shift, eV.
    anchor : Anchor, optional
        A feature of the standard and its true energy; located in the spectrum unless it says where
        it was ``found``. Its own ``sd`` is not used.
    shift_eV : float, optional
        Added to the energies, instead of an anchor.
    name : str
        What the feature is called, such as ``"L3 white line"``.

    Returns
    -------
    Standard
        With its record's calibration filled: the shifts of all calibrations together, and as
        uncertainty that of the source and that of locating the feature, in quadrature. A second
        calibration is said in the remarks; with a shift alone, an earlier anchor is forgotten.

    Raises
    ------
    LibraryError
        No source or uncertainty, both or neither of anchor and shift, a feature that is not there,
        or a shift beyond 10 eV.

    Examples
    --------
    >>> axis = np.arange(700, 716, 0.1)
    >>> one = Standard("a", "A", 0.0, axis, np.exp(-(((axis - 708.1) / 1.5) ** 2)))
    >>> moved = calibrated(one, anchor=Anchor(708.5), source="a paper", uncertainty_eV=0.1)
    >>> moved.record.calibration.anchor, round(moved.record.calibration.shift_eV, 3)
    ('peak between 707.9 and 709.9 eV', 0.4)
    """
    where = f"standard {standard.id!r}"
    if not source.strip():
        raise LibraryError(
            "its calibration has no source", where, "say who measured that energy, and where"
        )
    if not (np.isfinite(uncertainty_eV) and uncertainty_eV > 0):
        raise LibraryError(
            f"its calibration has an uncertainty of {uncertainty_eV:g} eV",
            where,
            "give a positive standard deviation, in eV",
        )
    if (anchor is None) == (shift_eV is None):
        given = "neither" if anchor is None else "both"
        raise LibraryError(
            f"is calibrated by an anchor or by a shift, and {given} is given", where, "give one"
        )
    if anchor is not None and anchor.within is not None and anchor.within[0] >= anchor.within[1]:
        raise LibraryError(
            f"its anchor is searched from {anchor.within[0]:g} to {anchor.within[1]:g} eV",
            where,
            "write the lower energy first",
        )
    before = standard.record.calibration
    text, true, located_sd = "", float("nan"), 0.0
    if anchor is not None:
        found, located_sd = _located(standard, anchor)
        shift, true = anchor.energy - found, anchor.energy
        text = anchor_text(anchor, shift, name)
    else:
        shift = float(shift_eV)  # type: ignore[arg-type]  # one of the two is given
    if not (np.isfinite(shift) and abs(shift) <= MOST_SHIFT_EV):
        raise LibraryError(
            f"would be moved by {shift:+g} eV, further than {MOST_SHIFT_EV:g} eV",
            where,
            "correct the energy of the anchor, or the shift",
        )
    total = shift + float(np.nan_to_num(before.shift_eV))
    remarks = standard.record.remarks
    if before.reference or np.nan_to_num(before.shift_eV):
        earlier = f" ({before.reference})" if before.reference else ""
        remarks += (
            f"\nEnergies calibrated again: moved by {shift:+.4f} eV ({source}), after "
            f"{np.nan_to_num(before.shift_eV):+.4f} eV{earlier}; {total:+.4f} eV in all."
        )
    by_anchor = anchor is not None
    known = 0.0 if by_anchor else float(np.nan_to_num(before.uncertainty_eV))
    reference = source.strip()
    if before.reference and not by_anchor and before.reference != reference:
        reference = f"{before.reference}; {reference}"
    record = standard.record.with_(
        anchor=text,
        anchor_eV=true,
        reference=reference,
        shift_eV=round(total, DECIMALS),
        uncertainty_eV=round(
            float(np.sqrt(uncertainty_eV**2 + located_sd**2 + known**2)), DECIMALS
        ),
        windows=_moved_windows(standard, shift),
        remarks=remarks.strip(),
    )
    energy = np.round(standard.energy + shift, DECIMALS)
    return replace(standard, energy=energy, record=record)


def anchor_of(standard: Standard) -> Anchor | None:
    """The anchor of a standard's record, to be located again; None where it names none, or one that
    is not a feature of the spectrum (a gas line, a value read off by hand).
    """
    calibration = standard.record.calibration
    written = _WRITTEN.search(calibration.anchor.strip())
    if written is None or not np.isfinite(calibration.anchor_eV):
        return None
    feature, low, high = written.groups()
    return Anchor(
        calibration.anchor_eV,
        within=(float(low), float(high)),
        feature="peak" if feature == "peak" else "edge",
    )


def anchor_residual(standard: Standard) -> float | None:
    """Where the spectrum has its anchor, less where the record says (eV); None where there is no
    anchor to locate.

    Raises
    ------
    LibraryError
        The record names a feature that the spectrum does not have.

    Examples
    --------
    >>> axis = np.arange(700, 716, 0.1)
    >>> one = Standard("a", "A", 0.0, axis, np.exp(-(((axis - 708.1) / 1.5) ** 2)))
    >>> moved = calibrated(one, anchor=Anchor(708.5), source="a paper", uncertainty_eV=0.1)
    >>> abs(round(anchor_residual(moved), 4))
    0.0
    """
    anchor = anchor_of(standard)
    if anchor is None:
        return None
    return _located(standard, anchor)[0] - anchor.energy


def _moved_windows(standard: Standard, shift: float) -> str:
    """The windows of its mass scale on the moved axis.

    Raises
    ------
    LibraryError
        The scale was found on an axis so far off that it must be found again.
    """
    text = standard.record.scaling.windows
    windows = windows_of(text)
    if windows is None:
        return text
    if abs(shift) > MOST_SCALED_EV:
        raise LibraryError(
            f"is in cm2/g, on an axis that is off by {shift:+.2f} eV",
            f"standard {standard.id!r}",
            "calibrate the optical density that it was made from, then scale that",
        )
    (a, b), (c, d) = windows
    return as_text(((a + shift, b + shift), (c + shift, d + shift)))


def anchor_text(anchor: Anchor, shift_eV: float, name: str = "") -> str:
    """An anchor for a record, as `anchor_of` reads it: its range on the calibrated axis.

    Parameters
    ----------
    anchor : Anchor
        On the axis before.
    shift_eV : float
        What was added to it.
    name : str
        What the feature is called.

    Examples
    --------
    >>> anchor_text(Anchor(530.9, within=(530.0, 531.5)), 0.25, "O2 pi*")
    'O2 pi*: peak between 530.25 and 531.75 eV'
    """
    head = f"{name.strip()}: " if name.strip() else ""
    if anchor.found is not None:
        return f"{head}{anchor.feature} read off at {anchor.found:g} eV before the shift"
    low, high = (round(end + shift_eV, 4) for end in _range(anchor))
    return f"{head}{anchor.feature} between {low:.10g} and {high:.10g} eV"


def _range(anchor: Anchor) -> tuple[float, float]:
    """Where an anchor is searched, eV of the axis as it is."""
    return anchor.within or (anchor.energy - REACH_EV, anchor.energy + REACH_EV)


def _located(standard: Standard, anchor: Anchor) -> tuple[float, float]:
    """Where a standard has a feature, and its standard deviation, eV.

    A quarter of the local step, as in a stack, and the scatter of where the feature is found when
    the spectrum's noise is added to it once more: with fine steps, noise decides which point is the
    highest, and no derivative knows of that. A feature that somebody read off has the error that
    its source states.
    """
    try:
        found = anchor.locate(standard.energy, standard.spectrum)
    except FitError as error:
        what = error.what.replace("energies of the stack", "energies of the spectrum")
        raise LibraryError(what, f"standard {standard.id!r}", error.remedy) from None
    if anchor.found is not None:
        return found, 0.0
    near = int(np.abs(standard.energy - found).argmin())
    step = float(np.diff(standard.energy[max(near - 3, 0) : near + 4]).mean())
    low, high = _range(anchor)
    unknown = (high - low) / np.sqrt(12)  # anywhere in the range
    rng = np.random.default_rng(0)
    noise = _noise_of(standard)
    squares = []
    for _ in range(DRAWS):
        drawn = standard.spectrum + noise * rng.normal(size=standard.energy.size)
        try:
            squares.append((anchor.locate(standard.energy, drawn) - found) ** 2)
        except FitError:  # lost in noise
            squares.append(unknown**2)
    return found, float(min(np.hypot(step / 4, np.sqrt(np.mean(squares))), unknown))


def _noise_of(standard: Standard) -> np.ndarray:
    """Standard deviation at each energy: the spectrum's own, or from its second differences, which
    curved spectra have without noise too.
    """
    if standard.spectrum_sd is not None:
        return np.nan_to_num(standard.spectrum_sd)
    if standard.energy.size < 5:
        return np.zeros_like(standard.energy)
    bent = np.diff(standard.spectrum, 2) / np.sqrt(6)
    return np.full(standard.energy.size, SD_PER_MAD * float(np.median(np.abs(bent))))
