"""What is fitted: names of the peaks, the window, the steps that lie under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chemoscape.errors import FitError, require_choice

StepShape = Literal["erf", "arctan"]

#: Shares of the steps of one shell, by the number of electrons in each.
SHARES = {
    **{"L3": 2 / 3, "L2": 1 / 3, "M3": 2 / 3, "M2": 1 / 3},
    **{"M5": 3 / 5, "M4": 2 / 5, "N5": 3 / 5, "N4": 2 / 5},
}


@dataclass(frozen=True)
class Peak:
    """One peak of a model.

    Parameters
    ----------
    name : str
        What the peak is called.
    near : float, optional
        Where it is looked for, eV. Left out, the spectra themselves say where; all peaks of a model
        have it, or none.
    nuisance : bool
        It is fitted because its wing lies under the others, and not reported as a finding.
    outside : bool
        A nuisance whose centre lies beyond the window: the first peak of a model, or the last.
    """

    name: str
    near: float | None = None
    nuisance: bool = False
    outside: bool = False

    def __post_init__(self) -> None:
        if self.outside:
            object.__setattr__(self, "nuisance", True)


@dataclass(frozen=True)
class Step:
    """The ionisation step of an edge (``"V L3"``) at the energy (eV) where the solid has it."""

    edge: str
    energy: float


@dataclass(frozen=True)
class PeakModel:
    """Peaks in order of their energies, the window that is fitted, and the steps under them.

    Parameters
    ----------
    name : str
        For titles.
    window : pair of float
        Lowest and highest energy fitted, eV.
    peaks : sequence of Peak or str
        By rising energy; names differ.
    steps : sequence of Step
        Those within the window and those below it, whose tails reach in.
    reference : str
        Peak that relative intensities are divided by; the last that is no nuisance when left out.
    step_shape : {"erf", "arctan"}
    step_fwhm : float
        Full width at half maximum (eV) of the derivative of a step.
    lorentz_fwhm : float, optional
        Lorentzian part of all peaks, eV: 0 makes them Gaussians. Left out, it is the tabulated
        width of the core level of the step next to each peak.

    Raises
    ------
    FitError
        No peak, two of one name, a window without extent, an unknown reference.

    Examples
    --------
    >>> PeakModel("Fe L3", (704, 716), ["t2g", "eg"], [Step("Fe L3", 709.0)]).reference
    'eg'
    """

    name: str
    window: tuple[float, float]
    peaks: Sequence[Peak | str]  # Peak only, once made
    steps: Sequence[Step] = ()
    reference: str = ""
    step_shape: StepShape = "erf"
    step_fwhm: float = 1.4
    lorentz_fwhm: float | None = None

    def __post_init__(self) -> None:
        peaks = tuple(Peak(one) if isinstance(one, str) else one for one in self.peaks)
        object.__setattr__(self, "peaks", peaks)
        object.__setattr__(self, "steps", tuple(self.steps))
        where = f"peak model {self.name!r}"
        try:
            low, high = (float(end) for end in self.window)
        except (TypeError, ValueError):
            low = high = np.nan
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise FitError(
                f"its window is {self.window!r}", where, "give the lowest and highest energy in eV"
            )
        object.__setattr__(self, "window", (low, high))
        names = [peak.name for peak in peaks]
        twice = next((name for name in names if names.count(name) > 1), None)
        if not peaks or twice is not None or not all(names):
            raise FitError(
                "it has no peak" if not peaks else f"it has two peaks called {twice!r}",
                where,
                "name each peak once, by rising energy",
            )
        inner = [peak for peak in peaks if not peak.outside]
        if not inner or any(peak.outside for peak in peaks[1:-1]):
            raise FitError(
                "only its first and its last peak may lie outside of the window, and one must not",
                where,
                "widen the window, or name the peaks inside",
            )
        near = [peak.near for peak in inner if peak.near is not None]
        rising = near == sorted(set(near)) and all(low < one < high for one in near)
        if near and (len(near) < len(inner) or not rising):
            raise FitError(
                f"{len(near)} of its {len(inner)} peaks are looked for near "
                f"{', '.join(f'{one:g}' for one in near)} eV",
                where,
                f"give all of them a rising energy between {low:g} and {high:g} eV, or none",
            )
        require_choice("step_shape", self.step_shape, "erf", "arctan")
        if not (0 < self.step_fwhm < np.inf and 0 <= (self.lorentz_fwhm or 0) < np.inf):
            raise FitError("a width is negative or not finite", where, "give widths in eV")
        if not self.reference:
            object.__setattr__(self, "reference", self._last_finding())
        if self.reference not in names:
            raise FitError(
                f"it has no peak {self.reference!r} to refer to",
                where,
                f"choose one of {', '.join(names)}",
            )

    def _last_finding(self) -> str:
        return next((p.name for p in reversed(self._peaks) if not p.nuisance), self.names[-1])

    @property
    def _peaks(self) -> tuple[Peak, ...]:
        return tuple(peak for peak in self.peaks if isinstance(peak, Peak))

    @property
    def names(self) -> list[str]:
        """Names of the peaks."""
        return [peak.name for peak in self._peaks]

    @property
    def nuisance(self) -> np.ndarray:
        """Which peaks are nuisances, bool (n_peaks,)."""
        return np.array([peak.nuisance for peak in self._peaks])

    @property
    def near(self) -> list[float]:
        """Where the peaks are looked for, eV; empty where the spectra say it."""
        return [p.near for p in self._peaks if p.near is not None and not p.outside]

    @property
    def outside(self) -> np.ndarray:
        """Which peaks lie beyond the window, bool (n_peaks,)."""
        return np.array([peak.outside for peak in self._peaks])


#: Thresholds are chemical ones: tables have those of free atoms, 5 eV lower at V L and 11 eV higher
#: at O K.
_V_STEPS = (Step("V L3", 517.4), Step("V L2", 524.4))
_MODELS = {
    model.name: model
    for model in (
        PeakModel(
            "V L3",
            (511.0, 522.2),
            ["pre", "d_xy", "d_xz/yz", "main", "high", Peak("L2", outside=True)],
            _V_STEPS,
            reference="main",
        ),
        PeakModel(
            "O K",
            (526.0, 555.0),
            [
                Peak("L2", outside=True),
                *("t2g", "eg*", "dz2"),
                *(Peak(f"sp {k}", nuisance=True) for k in (1, 2, 3)),
            ],
            (*_V_STEPS, Step("O K", 532.5)),
            reference="eg*",
        ),
    )
}


def peak_model(name: str) -> PeakModel:
    """A model that is at hand: ``"V L3"`` or ``"O K"`` of LixV2O5.

    Names only: where the peaks are is found in the spectra, since calibrations of the literature
    differ by more than the peaks are apart.

    Raises
    ------
    FitError
        There is none of this name.

    Examples
    --------
    >>> peak_model("O K").names
    ['L2', 't2g', 'eg*', 'dz2', 'sp 1', 'sp 2', 'sp 3']
    """
    if name not in _MODELS:
        raise FitError(
            f"no peak model is called {name!r}",
            remedy=f"use one of {', '.join(_MODELS)}, or define your own (PeakModel, a TOML file)",
        )
    return _MODELS[name]
