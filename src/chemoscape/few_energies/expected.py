"""What is expected in the sample that a measurement is planned for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.constants import e as JOULE_PER_EV

from chemoscape.decompose.design import slopes_of
from chemoscape.errors import LibraryError
from chemoscape.standards.library import Library, require_library, require_values
from chemoscape.standards.mixing import amounts, mean_composition

#: A whole scan takes fine steps where the spectrum is as steep as this share of its steepest place.
STEEP = 0.05
#: Steps of a whole scan, eV: where the spectrum changes, and elsewhere (the paper's).
FINE_STEP_EV, COARSE_STEP_EV = 0.2, 1.0

_CM_PER_NM, _G_PER_UG, _CM2_PER_UM2, _GRAY_PER_MGY = 1e-7, 1e-6, 1e-8, 1e6


@dataclass(frozen=True, eq=False)
class Expected:
    """Mixtures of standards that a sample may hold, and how thick it is.

    Parameters
    ----------
    library : Library
        The K standards.
    mixtures : array_like, shape (n_samples, K)
        Formula units of each standard in each sample, relative.
    thickness_nm : float, optional
        Where the standards are in cm2/g and have densities.
    areal_mass : float, optional
        µg/cm²; instead of a thickness, or beside `peak_od` where the standards are optical
        densities, so that a dose can be told.
    peak_od : float, optional
        Highest optical density of each sample, instead.
    shares : array_like, shape (n_samples,), optional
        How much each sample counts in a mean; default: all alike.

    Raises
    ------
    LibraryError
        Something about the mixtures is impossible, or the amount of sample does not follow.

    Examples
    --------
    >>> from chemoscape import open_library
    >>> pair = open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")
    >>> film = Expected.between(pair, 3, thickness_nm=100)
    >>> film.composition.round(12).tolist()
    [0.1, 0.2, 0.3]
    >>> film.optical_density([508.0, 518.5]).shape
    (3, 2)
    """

    library: Library
    mixtures: np.ndarray
    thickness_nm: float | None = None
    areal_mass: float | None = None
    peak_od: float | None = None
    shares: np.ndarray | None = None

    def __post_init__(self) -> None:
        require_values(require_library(self.library))
        mixtures = np.atleast_2d(np.asarray(self.mixtures, dtype=np.float64))
        n = len(mixtures)
        shares = np.ones(n) if self.shares is None else np.asarray(self.shares, dtype=np.float64)
        where = f"library {self.library.id!r}"
        for wrong, what, remedy in (
            (len(self.library.names) < 2, "is a single standard", "select two or more"),
            (
                mixtures.shape[1] != len(self.library.names),
                f"mixtures of {mixtures.shape[1]} standards do not fit its "
                f"{len(self.library.names)}",
                "give a column for each standard",
            ),
            (
                not (np.isfinite(mixtures).all() and (mixtures >= 0).all())
                or not (mixtures.sum(axis=-1) > 0).all(),
                "a mixture is negative or empty",
                "give 0 or more of each standard, and some of one",
            ),
            (
                shares.shape != (n,) or not (shares >= 0).all() or not 0 < shares.sum() < np.inf,
                "the shares of the mixtures are impossible",
                "give one positive number for each mixture",
            ),
        ):
            if wrong:
                raise LibraryError(what, where, remedy)
        object.__setattr__(self, "mixtures", mixtures / mixtures.sum(axis=-1, keepdims=True))
        object.__setattr__(self, "shares", shares / shares.sum())
        for name in ("thickness_nm", "areal_mass", "peak_od"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise LibraryError(f"{name} = {value:g}", where, "give a positive number")
        _ = self.weights  # says now what is missing

    @classmethod
    def between(cls, pair: Library, n: int = 5, **amount: Any) -> Expected:
        """Mixtures at `n` compositions from the lowest standard to the highest, evenly spaced.

        Neighbouring standards are mixed; with two, all mixtures are of both.

        Parameters
        ----------
        pair : Library
            Two standards that bound the composition, or more.
        n : int
        **amount
            Of the sample; default: 100 nm.
        """
        values = require_values(require_library(pair)).values
        order = np.argsort(values)
        if n < 1 or not all(values[a] < values[b] for a, b in pairwise(order)):
            raise LibraryError(
                "compositions cannot be laid between its standards",
                f"library {pair.id!r}",
                "select standards of different composition, and one sample or more",
            )
        wanted = np.linspace(values.min(), values.max(), n) if n > 1 else [values.mean()]
        columns = [np.interp(wanted, values[order], unit[order]) for unit in np.eye(len(values))]
        return cls(pair, np.stack(columns, axis=1), **(amount or {"thickness_nm": 100.0}))

    def scaled(self, factor: float) -> Expected:
        """The same mixtures, thicker by a factor."""
        amounts = ("thickness_nm", "areal_mass", "peak_od")
        given = {name: getattr(self, name) for name in amounts}
        return replace(self, **{k: v * factor for k, v in given.items() if v is not None})

    @cached_property
    def weights(self) -> np.ndarray:
        """Areal mass of each standard in g/cm², or its relative weight, (n_samples, K)."""
        per_unit = amounts(np.ones(len(self.library.names)), self.library.molar_mass)
        weights = np.asarray(self.mixtures / per_unit)
        weights /= weights.sum(axis=1, keepdims=True)
        if self.peak_od is not None:
            energy = np.unique(np.concatenate([one.energy for one in self.library.standards]))
            energy = energy[self.library.covers(energy)]
            highest = (weights @ self.library.spectra(energy).values).max(axis=1)
            return np.asarray(weights * (self.peak_od / highest)[:, None])
        where = f"library {self.library.id!r}"
        if not self.library.mass_scale:
            raise LibraryError(
                "its spectra are optical densities, so that no thickness gives them a height",
                where,
                "say how high the peak is, with peak_od (--peak-od)",
            )
        if self.areal_mass is not None:
            return np.asarray(weights * self.areal_mass * _G_PER_UG)
        if self.thickness_nm is None:
            raise LibraryError(
                "nothing says how much sample there is", where, "give thickness_nm, or peak_od"
            )
        if not np.isfinite(self.library.density).all():
            raise LibraryError(
                "a standard has no density, so that no mass follows from a thickness",
                where,
                "write its density into library.toml, or give areal_mass or peak_od instead",
            )
        volume = (weights / self.library.density).sum(axis=1)  # of a gram of the mixture
        return np.asarray(weights * (self.thickness_nm * _CM_PER_NM / volume)[:, None])

    @property
    def composition(self) -> np.ndarray:
        """Composition of each sample."""
        return self._mixed.value

    @property
    def gradient(self) -> np.ndarray:
        """``dx/dt_k``, (n_samples, K)."""
        return np.ascontiguousarray(self._mixed.gradient.T)

    @cached_property
    def _mixed(self) -> Any:
        return mean_composition(self.weights.T, self.library.values, self.library.molar_mass)

    @property
    def mass(self) -> float:
        """Mean areal mass, g/cm²; NaN where it is not known."""
        if self.library.mass_scale:
            return float(self.share @ self.weights.sum(axis=1))
        return np.nan if self.areal_mass is None else self.areal_mass * _G_PER_UG

    @property
    def share(self) -> np.ndarray:
        """How much each sample counts, (n_samples,), summing to one."""
        return np.asarray(self.shares)

    def optical_density(self, energy: ArrayLike) -> np.ndarray:
        """Optical density, (n_samples, n_energy)."""
        return np.asarray(self.weights @ self.library.spectra(energy).values)

    def slope(self, energy: ArrayLike) -> np.ndarray:
        """D', its change with a shift of the energy axis, per eV, (n_samples, n_energy)."""
        axis = np.asarray(energy, dtype=np.float64)
        return np.asarray(self.weights @ slopes_of(self.library, axis, 0.0).T)

    def absorbed(self, energy: ArrayLike) -> np.ndarray:
        """Energy that the mean sample takes from an incident photon, eV: ``E (1 - e^-OD)``."""
        lost = -np.expm1(-self.optical_density(energy))
        return np.asarray(np.asarray(energy) * (self.share @ lost))

    def skin(self, energy: ArrayLike) -> np.ndarray:
        """The same where the beam enters, as if nothing shaded it, eV: ``E OD``."""
        return np.asarray(np.asarray(energy) * (self.share @ self.optical_density(energy)))

    def dose_per_eV(self, pixel_um: float) -> float:
        """MGy in a pixel for each eV that it absorbs; NaN where the mass is not known."""
        kilograms = self.mass * 1e-3 * pixel_um**2 * _CM2_PER_UM2
        return float(JOULE_PER_EV / kilograms / _GRAY_PER_MGY)

    def features(self, within: tuple[float, float] | None = None) -> np.ndarray:
        """Energies (eV) of the peaks and shoulders of the mean spectrum: minima of its curvature.

        Those weaker than a twentieth of the sharpest are left out.
        """
        from scipy.signal import argrelmin, savgol_filter

        low, high = within or self.window
        step = 0.1
        energy = np.arange(low, high + step / 2, step)
        energy = energy[self.library.covers(energy)]
        mean = self.share @ self.optical_density(energy)
        if energy.size < 9:
            return np.empty(0)
        curved = savgol_filter(mean, 9, 3, deriv=2)
        places = argrelmin(curved, order=3)[0]
        return np.asarray(energy[places[curved[places] < 0.05 * curved.min()]])

    @property
    def window(self) -> tuple[float, float]:
        """Lowest and highest energy (eV) meant for fits."""
        low, high = self.library.energy_range
        meant = self.library.energy_window or (low, high)
        return max(low, meant[0]), min(high, meant[1])

    def scan(self) -> np.ndarray:
        """Energies (eV) of a whole scan: 0.2 eV apart where the spectrum changes, else 1 eV."""
        low, high = self.window
        fine = np.arange(low, high + 1e-9, FINE_STEP_EV)
        steep = np.abs(self.share @ self.slope(fine))
        places = np.flatnonzero(steep > STEEP * steep.max())
        inside = fine[places[0] : places[-1] + 1]
        coarse = np.arange(low, high + 1e-9, COARSE_STEP_EV)
        outside = coarse[(coarse < inside[0] - 1e-9) | (coarse > inside[-1] + 1e-9)]
        return np.round(np.sort(np.concatenate([inside, outside])), 3)
