"""A measurement at few energies, and the error of composition that it is predicted to give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chemoscape.errors import FitError
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.model import ErrorParts, Nuisance, coefficients, error_parts


@dataclass(frozen=True, eq=False)
class Plan:
    """Images to take, and the error of composition that they are predicted to give.

    Parameters
    ----------
    expected : Expected
        The samples.
    energies : ndarray, shape (n,)
        eV, on the library's axis, ascending.
    photons : ndarray, shape (n,)
        Incident on a pixel in each image.
    sensitivity : ndarray, shape (n_samples, n)
        a: change of composition with each optical density.
    parts : ErrorParts
        Standard deviations of composition by source, each (n_samples,).
    nuisance : Nuisance
        What is uncertain besides the counts.
    pixel_um, efficiency : float
        Side of a pixel; counts per photon that arrives at the detector.
    bound : float
        Root mean square error that no set of the candidates can beat at this dose; NaN: not
        computed.
    compared : mapping of name to Plan
        Other measurements at the same absorbed dose.
    """

    expected: Expected
    energies: np.ndarray
    photons: np.ndarray
    sensitivity: np.ndarray
    parts: ErrorParts
    nuisance: Nuisance
    pixel_um: float
    efficiency: float
    bound: float = np.nan
    compared: Mapping[str, Plan] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        expected: Expected,
        energies: np.ndarray,
        photons: np.ndarray,
        nuisance: Nuisance,
        pixel_um: float,
        efficiency: float,
    ) -> Plan:
        """The prediction for given photons, by the model that also makes the maps."""
        order = np.argsort(energies)
        energies, photons = energies[order], photons[order]
        sensitivity, parts = errors_of(expected, energies, efficiency * photons, nuisance)
        return cls(expected, energies, photons, sensitivity, parts, nuisance, pixel_um, efficiency)

    def instead(
        self, energies: np.ndarray, photons: np.ndarray, expected: Expected | None = None
    ) -> Plan:
        """What other images, or those of other samples, would tell by the same instrument."""
        return Plan.of(
            expected or self.expected,
            energies,
            photons,
            self.nuisance,
            self.pixel_um,
            self.efficiency,
        )

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation of a pixel's composition, (n_samples,)."""
        return self.parts.total

    @property
    def rms(self) -> float:
        """Root mean square of `sd` over the samples."""
        return self._over_samples(self.sd)

    @property
    def by_source(self) -> dict[str, float]:
        """Root mean square over the samples of each source of error."""
        return {name: self._over_samples(value) for name, value in vars(self.parts).items()}

    def _over_samples(self, sd: np.ndarray) -> float:
        return float(np.sqrt(self.expected.share @ sd**2))

    @property
    def absorbed_each(self) -> np.ndarray:
        """Energy (eV) absorbed in a pixel in each image, mean over the samples, (n,)."""
        return np.asarray(self.photons * self.expected.absorbed(self.energies))

    @property
    def absorbed_eV(self) -> float:
        """Energy absorbed in a pixel, mean over the samples."""
        return float(self.absorbed_each.sum())

    @property
    def dose_shares(self) -> np.ndarray:
        """Share of each image in the dose, (n,)."""
        return self.absorbed_each / self.absorbed_eV

    @property
    def dose_each(self) -> np.ndarray:
        """Absorbed dose of each image, MGy; NaN where the sample's mass is not known."""
        return self.absorbed_each * self.expected.dose_per_eV(self.pixel_um)

    @property
    def dose_MGy(self) -> float:
        """Absorbed energy over mass, mean over the samples and through their thickness."""
        return float(self.dose_each.sum())

    @property
    def skin_MGy(self) -> float:
        """Dose where the beam enters, which nothing shades."""
        energy = float(self.photons @ self.expected.skin(self.energies))
        return energy * self.expected.dose_per_eV(self.pixel_um)

    @property
    def highest_od(self) -> np.ndarray:
        """Highest optical density of the samples at each energy, (n,)."""
        return np.asarray(self.expected.optical_density(self.energies).max(axis=0))

    def dwell_ms(self, flux: float) -> np.ndarray:
        """Milliseconds for each image in a pixel on which `flux` photons fall per second, (n,)."""
        require_flux(flux)
        return np.asarray(1e3 * self.photons / flux)

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, for JSON."""
        return {
            "energies_eV": self.energies.tolist(),
            "photons": self.photons.tolist(),
            "dose_each_MGy": self.dose_each.tolist(),
            "dose_MGy": self.dose_MGy,
            "skin_dose_MGy": self.skin_MGy,
            "highest_od": self.highest_od.tolist(),
            "composition": self.expected.composition.tolist(),
            "composition_sd": self.sd.tolist(),
            "composition_sd_rms": self.rms,
            "composition_sd_by_source": self.by_source,
            "composition_sd_bound": self.bound,
            "nuisance": vars(self.nuisance),
            "pixel_um": self.pixel_um,
            "efficiency": self.efficiency,
            "compared": {name: one.to_dict() for name, one in self.compared.items()},
        }

    def __str__(self) -> str:
        known = np.isfinite(self.dose_MGy)
        rows = ["energy (eV)   photons   dose (MGy)   highest OD"]
        for energy, photons, dose, od in zip(
            self.energies, self.photons, self.dose_each, self.highest_od, strict=True
        ):
            told = f"{dose:13.2f}" if known else f"{'-':>13}"
            rows.append(f"{energy:11.2f}{photons:10.0f}{told}{od:13.2f}")
        rows.append(
            f"{'together':>11}{self.photons.sum():10.0f}"
            + (f"{self.dose_MGy:13.2f}   (skin {self.skin_MGy:.2f} MGy)" if known else "")
        )
        by_source = ", ".join(f"{name} {value:.4f}" for name, value in self.by_source.items())
        rows.append(f"sd of composition {self.rms:.4f} per pixel: {by_source}")
        if np.isfinite(self.bound):
            rows.append(f"no number of images at this dose gives less than {self.bound:.4f}")
        for name, one in self.compared.items():
            rows.append(f"same dose, {name}: {one.rms:.4f} ({one.rms / self.rms:.1f} times)")
        return "\n".join(rows)


def errors_of(
    expected: Expected,
    energies: np.ndarray,
    counts: np.ndarray,
    nuisance: Nuisance,
    factors: np.ndarray | None = None,
) -> tuple[np.ndarray, ErrorParts]:
    """Sensitivity of composition to each optical density, and its errors by source.

    Parameters
    ----------
    expected : Expected
        The samples.
    energies : ndarray, shape (n,)
        eV.
    counts : ndarray, shape (..., n)
        Photons of each image that would be counted if there were no sample.
    nuisance : Nuisance
        What is uncertain besides.
    factors : ndarray, shape (...), optional
        How many times thicker the samples are.

    Returns
    -------
    sensitivity : ndarray, shape (..., n_samples, n)
    parts : ErrorParts
        Each (..., n_samples).
    """
    thicker = 1.0 if factors is None else factors[..., None, None]
    mu = expected.library.spectra(energies).values.T
    density = thicker * (expected.weights @ mu.T)
    slope = thicker * expected.slope(energies)
    variance = np.exp(density) / counts[..., None, :]
    matrix = coefficients(mu, slope, variance, nuisance)
    # the derivative with a mass is that much smaller where there is more of it
    sensitivity = np.einsum("sk,...skj->...sj", expected.gradient, matrix) / thicker
    return sensitivity, error_parts(sensitivity, slope, variance, nuisance)


def require_flux(flux: float) -> None:
    """Refuse a beam without photons.

    Raises
    ------
    FitError
        The flux is not above 0.
    """
    if not (np.isfinite(flux) and flux > 0):
        raise FitError(f"a flux of {flux:g} is impossible", remedy="give photons per second")
