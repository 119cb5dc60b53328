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
from chemoscape.standards.standard import Standard

#: Energies are written with so many decimals.
DECIMALS = 6
#: An anchor is searched 1 eV on either side unless it says otherwise.
REACH_EV = 1.0
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
        raise LibraryError(
            "is calibrated by an anchor or by a shift", where, "give one of the two, not both"
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
    if before.source or np.nan_to_num(before.shift_eV):
        earlier = f" ({before.source})" if before.source else ""
        remarks += (
            f"\nEnergies calibrated again: moved by {shift:+.4f} eV ({source}), after "
            f"{np.nan_to_num(before.shift_eV):+.4f} eV{earlier}; {total:+.4f} eV in all."
        )
    record = standard.record.with_(
        anchor=text,
        anchor_eV=true,
        source=source.strip(),
        shift_eV=round(total, DECIMALS),
        uncertainty_eV=float(np.hypot(uncertainty_eV, located_sd)),
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

    A quarter of the local step, as in a stack, and the spectrum's noise propagated to the vertex of
    the parabola. A feature that somebody read off has the error that its source states.
    """
    try:
        found = anchor.locate(standard.energy, standard.spectrum)
    except FitError as error:
        what = error.what.replace("energies of the stack", "energies of the spectrum")
        raise LibraryError(what, f"standard {standard.id!r}", error.remedy) from None
    if anchor.found is not None:
        return found, 0.0
    near = int(np.abs(standard.energy - found).argmin())
    around = slice(max(near - 3, 0), near + 4)
    step = float(np.diff(standard.energy[around]).mean())
    squares = (step / 4) ** 2
    if standard.spectrum_sd is not None:
        for k in range(*around.indices(standard.energy.size)):
            if not standard.spectrum_sd[k] > 0:
                continue
            small = 1e-3 * standard.spectrum_sd[k]  # the maximum stays the same point
            other = standard.spectrum.copy()
            other[k] += small
            moved = replace(anchor).locate(standard.energy, other) - found
            squares += (1e3 * moved) ** 2
    low, high = _range(anchor)
    return found, float(min(np.sqrt(squares), (high - low) / 2))
