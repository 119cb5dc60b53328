"""What a simulated stack was made from, and how one is made of maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.errors import LibraryError, StackError
from chemoscape.simulate.exposure import expose
from chemoscape.standards.library import Library

_NM = 1e-7  # in cm


@dataclass(frozen=True, eq=False)
class Truth:
    """A simulated stack and what it was made from.

    Parameters
    ----------
    stack : DataArray (energy, y, x)
        Counts, as a beamline would record them.
    composition : DataArray (y, x)
        Library's variable by formula units (Equation 6), NaN outside the particle.
    thickness : DataArray (y, x)
        Thickness relative to the thickest pixel, 0 outside.
    thickness_nm : float
        Thickness of the thickest pixel in nm; NaN when the library gives no densities.
    weights : DataArray (standard, y, x)
        Areal mass of every standard of the library in g/cm2 (relative amounts when the library has
        no mass scale).
    labels : DataArray (y, x)
        Parts of the sample, -1 outside. Of a core-shell particle: 0 core, 1 mixture, 2 shell; of a
        picture: 0.
    i0 : DataArray (energy,)
        Incident counts as they are reported.
    energy_shift_eV : float
        E(stack axis) - E(library).
    optical_density_sd : float
        Standard deviation of the Gaussian noise added in optical density; 0 without.
    poisson : bool
        Whether the counts are Poisson distributed.
    library : Library
        Standards to fit with: those that the particle is made of, and the others of their library.
    sample_library : Library, optional
        Spectra of what the sample is really made of, under the same ids; None where they are those
        of `library`.
    i0_true : DataArray (energy,), optional
        Incident counts as they were; None where they are those reported.
    stray_light : float
        Light that no sample absorbs, as a share of the true beam.
    halo_share, halo_um : float
        Share of the beam in its halo, and the halo's standard deviation (µm).
    """

    stack: xr.DataArray
    composition: xr.DataArray
    thickness: xr.DataArray
    thickness_nm: float
    weights: xr.DataArray
    labels: xr.DataArray
    i0: xr.DataArray
    energy_shift_eV: float
    optical_density_sd: float
    poisson: bool
    library: Library
    sample_library: Library | None = None
    i0_true: xr.DataArray | None = None
    stray_light: float = 0.0
    halo_share: float = 0.0
    halo_um: float = 1.0

    @property
    def optical_density(self) -> xr.DataArray:
        """Optical density of the sample itself, ``D = mu t`` (Equation 1), on the stack's axis.

        Without noise, stray light and halo; of the sample's own spectra where it has any.
        """
        library = self.library if self.sample_library is None else self.sample_library
        spectra = library.spectra(self.stack.energy.values, shift=self.energy_shift_eV)
        return xr.dot(spectra, self.weights, dim="standard").transpose("energy", "y", "x")


@dataclass(frozen=True, eq=False)
class Sample:
    """Maps that a stack is made of.

    Parameters
    ----------
    library : Library
    names : list of str
        Standards of the library that are in the sample.
    units : ndarray (part, y, x)
        Formula units of each in one formula unit of the sample.
    thickness : ndarray (y, x)
        Relative to the thickest pixel.
    labels : ndarray (y, x)
        Parts of the sample, -1 outside.
    meaning : str
        Of the labels.
    y, x : ndarray
        Pixel centres in µm.
    source : str
        What the stack says that it is.
    sample_library : Library, optional
        Spectra that take the place of the library's in the sample.
    """

    library: Library
    names: list[str]
    units: np.ndarray
    thickness: np.ndarray
    labels: np.ndarray
    meaning: str
    y: np.ndarray
    x: np.ndarray
    source: str
    sample_library: Library | None = None


def record(
    sample: Sample,
    energy: np.ndarray,
    *,
    peak_optical_density: float,
    od_noise: float,
    energy_shift_eV: float,
    poisson: bool,
    **beam: Any,
) -> Truth:
    """Measure a sample: scale it, expose it, and keep what it was made from.

    Parameters
    ----------
    sample : Sample
    energy : ndarray, shape (n_energy,)
        Energies (eV) of the stack's axis.
    peak_optical_density : float
        Largest optical density of the stack (without an energy shift).
    od_noise : float
        Standard deviation of Gaussian noise in optical density as a fraction of the peak.
    energy_shift_eV : float
        E(stack axis) - E(library).
    poisson : bool
        Draw the counts from Poisson distributions.
    **beam
        Passed to `expose`.

    Raises
    ------
    StackError
        A parameter is impossible.
    LibraryError
        A standard is unknown, or the spectra do not cover the energies or have another scale.
    """
    if not (0 < peak_optical_density < np.inf and 0 <= od_noise < np.inf):
        raise StackError(
            f"peak_optical_density must be positive and od_noise 0 or more, not "
            f"{peak_optical_density:g} and {od_noise:g}",
            remedy="correct the simulation's arguments",
        )
    library, real = sample.library, sample.sample_library
    parts = library.select(*sample.names)
    spectra = parts if real is None else _same_scale(library, real).select(*sample.names)
    weights, per_thickness = _areal_masses(parts, sample.units, sample.thickness)
    scale = peak_optical_density / _absorb(spectra.spectra(energy), weights).max()
    weights *= scale

    od = xr.DataArray(
        _absorb(spectra.spectra(energy, shift=energy_shift_eV), weights),
        dims=("energy", "y", "x"),
        coords={"energy": energy, "y": sample.y, "x": sample.x},
    )
    od_sd = od_noise * peak_optical_density
    seen = expose(
        od,
        poisson=poisson,
        optical_density_sd=od_sd,
        energy_shift_eV=energy_shift_eV,
        source=sample.source,
        **beam,
    )
    plane = {"y": seen.stack["y"], "x": seen.stack["x"]}
    composition = np.einsum("k,kyx->yx", parts.values, sample.units)
    of_library = xr.DataArray(
        np.zeros((len(library.names), *sample.thickness.shape)),
        dims=("standard", "y", "x"),
        coords={"standard": library.names, **plane},
        name="weight",
        attrs={
            "units": "g/cm2" if library.mass_scale else "1",
            "long_name": "amount of each standard",
        },
    )
    of_library.loc[{"standard": parts.names}] = weights
    return Truth(
        stack=seen.stack,
        composition=image(
            np.where(sample.labels >= 0, composition, np.nan),
            plane,
            "composition",
            library.variable,
        ),
        thickness=image(
            sample.thickness, plane, "thickness", "thickness relative to the thickest pixel"
        ),
        thickness_nm=float(scale * per_thickness),
        weights=of_library,
        labels=image(sample.labels, plane, "labels", sample.meaning),
        i0=seen.i0,
        energy_shift_eV=float(energy_shift_eV),
        optical_density_sd=float(od_sd),
        poisson=poisson,
        library=library,
        sample_library=real,
        i0_true=seen.i0_true if beam.get("i0_error") else None,
        **{key: float(beam[key]) for key in ("stray_light", "halo_share", "halo_um")},
    )


def image(
    values: np.ndarray, plane: dict[str, xr.DataArray], name: str, long_name: str
) -> xr.DataArray:
    """Map with the axes of the stack."""
    return xr.DataArray(
        values,
        dims=("y", "x"),
        coords=plane,
        name=name,
        attrs={"units": "1", "long_name": long_name},
    )


def _same_scale(library: Library, real: Library) -> Library:
    """The sample's spectra, if they can stand in for the library's."""
    if real.mass_scale != library.mass_scale:
        raise LibraryError(
            "the sample's spectra and the library's are on different scales",
            f"libraries {real.id!r} and {library.id!r}",
            "give both in cm2/g, or both in optical density",
        )
    return real


def _absorb(spectra: xr.DataArray, weights: np.ndarray) -> np.ndarray:
    """Optical density (energy, y, x) of maps of weights, ``D = mu t`` (Equation 1)."""
    return np.einsum("ke,kyx->eyx", spectra.values, weights)


def _areal_masses(
    parts: Library, units: np.ndarray, thickness: np.ndarray
) -> tuple[np.ndarray, float]:
    """Areal masses (g/cm2) of the standards in 1 nm × `thickness`, and the nm that this means.

    One formula unit fills M/rho; so many lie along the beam as fill the thickness. Without a mass
    scale or densities the masses are relative and the thickness in nm is unknown; without molar
    masses a weight is a number of formula units.
    """
    known = np.isfinite(parts.molar_mass).all()
    mass = parts.molar_mass if known else np.ones(len(parts.standards))
    volume = parts.molar_mass / parts.density
    if not (parts.mass_scale and np.isfinite(volume).all()):
        return mass[:, None, None] * units * thickness, np.nan
    number = thickness * _NM / np.einsum("k,kyx->yx", volume, units)  # mol of formula units per cm2
    return mass[:, None, None] * units * number, 1.0
