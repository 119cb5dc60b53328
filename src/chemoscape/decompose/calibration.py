"""The energy axis from features of known energy, instead of from the library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chemoscape.decompose.energy import EnergyShift
from chemoscape.errors import FitError

#: An anchor's energy is known no better than this unless it says so, eV.
ANCHOR_SD_EV = 0.05
#: Standard deviations of the anchors that are granted beyond that.
SDS = 3.0
#: An axis that is off by more, or stretched by more, is a mistake in the anchors.
MOST_SHIFT_EV, MOST_STRETCH = 10.0, 0.05


@dataclass(frozen=True)
class Anchor:
    """A feature whose energy is known.

    Parameters
    ----------
    energy : float
        Its true energy, eV.
    found : float, optional
        Where the file's axis has it, if somebody read that off, eV.
    within : pair of float, optional
        Range of the file's axis in which to find it in the sample's mean spectrum, eV. Default:
        1 eV on either side of `energy`.
    feature : {"peak", "edge"}
        A maximum of the spectrum, or its steepest rise.
    sd : float
        Standard deviation of the known energy, eV.
    """

    energy: float
    found: float | None = None
    within: tuple[float, float] | None = None
    feature: Literal["peak", "edge"] = "peak"
    sd: float = ANCHOR_SD_EV

    def locate(self, energy: np.ndarray, spectrum: np.ndarray) -> float:
        """Where a spectrum has the feature, eV: the vertex of a parabola through the maximum (of
        the spectrum or its derivative) and its neighbours.

        Raises
        ------
        FitError
            Fewer than three energies lie in the range, or the maximum lies at its end.
        """
        if self.found is not None:
            return self.found
        low, high = self.within or (self.energy - 1.0, self.energy + 1.0)
        known = np.isfinite(spectrum)
        axis, values = energy[known], spectrum[known]
        if self.feature == "edge" and axis.size > 2:
            values = np.gradient(values, axis)
        inside = np.flatnonzero((axis >= low) & (axis <= high))
        if inside.size < 3:
            raise FitError(
                f"the anchor at {self.energy:g} eV: {inside.size} energies of the stack lie "
                f"between {low:g} and {high:g} eV, three are needed",
                remedy="widen its range with within = [lowest, highest], or give found = …",
            )
        best = int(inside[values[inside].argmax()])
        if best in (inside[0], inside[-1]):
            raise FitError(
                f"the anchor at {self.energy:g} eV: the spectrum has no {self.feature} between "
                f"{low:g} and {high:g} eV, it rises to the end of that range",
                remedy="move or widen its range with within = [lowest, highest]",
            )
        at = axis[best - 1 : best + 2] - axis[best]
        curve = np.polyfit(at, values[best - 1 : best + 2], 2)
        return float(axis[best] - curve[1] / (2 * curve[0]))


def _require_believable(true: np.ndarray, found: np.ndarray, sd: np.ndarray) -> None:
    """Refuse anchors that are mixed up, or an axis that no monochromator has."""
    order = np.argsort(true)
    steps = np.diff(true[order])
    gaps = np.diff(found[order]) / steps
    beyond = np.abs(gaps - 1) * steps
    beyond -= MOST_STRETCH * steps + SDS * np.hypot(sd[order][1:], sd[order][:-1])
    if (beyond > 0).any():
        first = int(beyond.argmax())
        one, other = order[first], order[first + 1]
        raise FitError(
            f"the anchors at {true[one]:g} and {true[other]:g} eV are found at {found[one]:g} and "
            f"{found[other]:g} eV: no axis is stretched by {100 * (gaps[first] - 1):+.0f} %",
            remedy="correct their energies, or where they were found",
        )
    if (np.abs(found - true) > MOST_SHIFT_EV).any():
        far = int(np.abs(found - true).argmax())
        raise FitError(
            f"the anchor at {true[far]:g} eV is found at {found[far]:g} eV, further than "
            f"{MOST_SHIFT_EV:g} eV away",
            remedy="correct its energy, or where it was found",
        )


def shift_from_anchors(
    energy: np.ndarray, spectrum: np.ndarray, anchors: Sequence[Anchor]
) -> EnergyShift:
    """Energy axis from anchors: their mean shift, or with two or more a stretch too.

    ``E(file) - E(true) = shift + stretch (E(file) - centre)`` by least squares weighted with the
    anchors' own uncertainties, and a quarter of the step of the axis where they were located in
    the spectrum; anchors that disagree by more are that much less sure. Energies of the library
    count as true.

    Parameters
    ----------
    energy, spectrum : ndarray, shape (n_energy,)
        File axis (eV) and mean spectrum of the sample.
    anchors : sequence of Anchor
        At least one.

    Returns
    -------
    EnergyShift
        With ``source = "anchors"``, for `deconvolve`.

    Raises
    ------
    FitError
        There is no anchor, two have the same energy, or one cannot be located.

    Examples
    --------
    >>> axis = np.arange(700, 715, 0.2)
    >>> peak = np.exp(-(((axis - 708.1) / 1.5) ** 2))
    >>> round(shift_from_anchors(axis, peak, [Anchor(708.5)]).value, 2)
    -0.4
    """
    if not anchors:
        raise FitError("there is no anchor", remedy="give one or more")
    true = np.array([anchor.energy for anchor in anchors])
    if np.unique(true).size < true.size:
        raise FitError("two anchors have the same energy", remedy="give each feature once")
    found = np.array([anchor.locate(energy, spectrum) for anchor in anchors])
    step = float(np.median(np.diff(energy))) if energy.size > 1 else 0.0
    located = np.array([anchor.found is None for anchor in anchors])
    sd = np.hypot([anchor.sd for anchor in anchors], located * step / 4)
    if not (sd > 0).all():
        raise FitError("an anchor has no uncertainty", remedy="give sd > 0, in eV")
    _require_believable(true, found, sd)
    apart = found - true
    weight = 1 / sd**2
    centre = float((weight * found).sum() / weight.sum())
    columns = np.ones((true.size, 1))
    if true.size > 1:
        columns = np.column_stack([columns, found - centre])
    covariance = np.linalg.inv(columns.T @ (weight[:, None] * columns))
    solution = covariance @ (columns.T @ (weight * apart))
    if true.size > columns.shape[1]:  # anchors that disagree are less sure than they say
        chi2 = float((weight * (apart - columns @ solution) ** 2).sum())
        covariance = covariance * max(chi2 / (true.size - columns.shape[1]), 1.0)
    sds = np.sqrt(np.diag(covariance))
    several = true.size > 1
    return EnergyShift(
        value=float(solution[0]),
        sd=float(sds[0]),
        stretch=float(solution[1]) if several else 0.0,
        stretch_sd=float(sds[1]) if several else float("nan"),
        centre=centre,
        source="anchors",
    )
