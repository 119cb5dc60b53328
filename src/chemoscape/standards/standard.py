"""One standard: the spectrum of one substance, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from chemoscape.errors import LibraryError
from chemoscape.standards.mixing import molar_mass
from chemoscape.standards.record import STATUSES, Record

Scale = Literal["mass_absorption", "optical_density"]
Kind = Literal["measured", "synthetic", "calculated", "mixture"]

_OPTIONAL_COLUMNS = ("spectrum_sd", "optical_density", "optical_density_sd")


@dataclass(frozen=True, eq=False)
class Standard:
    """Spectrum of one substance.

    Parameters
    ----------
    id : str
        Short name, unique in its library.
    label : str
        Name for legends; the id when it is empty.
    value : float
        Value of the library's composition variable; NaN when unknown (it can be fitted with, and
        is refused where a composition is asked for).
    energy : ndarray, shape (n,)
        Photon energies in eV, strictly ascending.
    spectrum : ndarray, shape (n,)
        Mass absorption in cm2/g, or optical density, as `scale` says.
    value_sd : float
        Standard deviation of `value`; 0 when it is taken as exact.
    spectrum_sd : ndarray, shape (n,), optional
        Standard deviation of `spectrum`.
    optical_density, optical_density_sd : ndarray, shape (n,), optional
        What was measured, beside a `spectrum` in cm2/g.
    formula : str
        Chemical formula, "" when unknown.
    molar_mass : float
        g/mol; that of the formula when left out, NaN when unknown.
    density : float
        g/cm3, NaN when unknown.
    scale, kind : str
        ``"mass_absorption"`` or ``"optical_density"``; ``"measured"``, ``"synthetic"``,
        ``"calculated"`` or ``"mixture"``.
    source : str
        File or sentence saying where the spectrum comes from.
    record : Record
        Identity, sample, measurement, calibration, scale and evidence.
    metadata : dict
        Header fields of the file that the record has no place for.

    Examples
    --------
    >>> one = Standard("a", "A", 0.0, energy=[510.0, 520.0], spectrum=[0.0, 1.0])
    >>> one.kind, one.scale
    ('measured', 'optical_density')
    """

    id: str
    label: str
    value: float
    energy: np.ndarray
    spectrum: np.ndarray
    value_sd: float = 0.0
    spectrum_sd: np.ndarray | None = None
    optical_density: np.ndarray | None = None
    optical_density_sd: np.ndarray | None = None
    formula: str = ""
    molar_mass: float = np.nan
    density: float = np.nan
    scale: Scale = "optical_density"
    kind: Kind = "measured"
    source: str = ""
    record: Record = field(default_factory=Record)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("energy", "spectrum", *_OPTIONAL_COLUMNS):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        if np.isnan(self.molar_mass):
            object.__setattr__(self, "molar_mass", molar_mass(self.formula))
        if not self.label.strip():
            object.__setattr__(self, "label", self.id)
        problem = self._problem()
        if problem:
            raise LibraryError(
                problem[0],
                where=f"standard {self.id!r} ({self.source or self.label})",
                remedy=problem[1],
            )

    @property
    def scale_sd(self) -> float:
        """Relative standard deviation of its mass scale by noise and fine structure; 0 where there
        is no such scale, or its error is unknown.
        """
        scaling = self.record.scaling
        squares = scaling.uncertainty**2 - float(np.nan_to_num(scaling.background)) ** 2
        return float(np.sqrt(max(np.nan_to_num(squares), 0.0)))

    @property
    def tilt(self) -> np.ndarray:
        """What one standard deviation of the background's slope does to the spectrum, (n,), cm2/g.

        A line ``b L(E)``, from -b to b over the range, that lay under the optical density is
        partly taken for absorption (areal mass too large by ``g``), partly left in the spectrum:
        ``b L / areal_mass - g mu``, up to a constant.
        """
        scaling = self.record.scaling
        if not (np.isfinite(scaling.background_od) and np.isfinite(scaling.background)):
            return np.zeros_like(self.energy)
        low, high = self.energy[0], self.energy[-1]
        line = (2 * self.energy - low - high) / (high - low)
        left = scaling.background_od / scaling.areal_mass * line
        return np.asarray(left - scaling.background * self.spectrum)

    def _problem(self) -> tuple[str, str] | None:
        """What is wrong with this standard, and what to do about it."""
        if not self.id:
            return "has no id", "give it a short unique name"
        if (
            self.energy.ndim != 1
            or self.energy.size < 2
            or self.spectrum.shape != self.energy.shape
        ):
            return (
                f"has {self.energy.size} energies and {self.spectrum.size} values",
                "give two energies or more and one value for each",
            )
        if not (np.isfinite(self.energy).all() and np.isfinite(self.spectrum).all()):
            return "holds a value that is not finite", "remove the row from its file"
        if not 1e-30 < np.abs(self.spectrum).max() < 1e30:
            return "is zero, or absurdly large or small", "look at the columns of its file"
        falling = np.flatnonzero(np.diff(self.energy) <= 0)
        if falling.size:
            k = falling[0]
            return (
                f"has {self.energy[k + 1]:.3f} eV after {self.energy[k]:.3f} eV",
                "sort its rows by energy and remove repeated ones",
            )
        for name in _OPTIONAL_COLUMNS:
            column = getattr(self, name)
            if column is not None and column.shape != self.energy.shape:
                return f"{name} is of another length", "give one value per energy"
        if not 0 <= self.value_sd < np.inf:
            return f"has a value_sd of {self.value_sd:g}", "give 0 or a positive number"
        if np.isinf(self.value):
            return f"has a value of {self.value:g}", "give a number, or NaN when it is unknown"
        if self.record.identity.status not in STATUSES:
            return f"status is {self.record.identity.status!r}", f"use one of {', '.join(STATUSES)}"
        if self.scale not in get_args(Scale):
            return f"scale is {self.scale!r}", f"use one of {', '.join(get_args(Scale))}"
        if self.kind not in get_args(Kind):
            return f"kind is {self.kind!r}", f"use one of {', '.join(get_args(Kind))}"
        for name in ("molar_mass", "density"):
            if getattr(self, name) <= 0 or np.isinf(getattr(self, name)):
                return f"has a {name} of {getattr(self, name):g}", "give a positive number"
        return None
