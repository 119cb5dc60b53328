r"""Reconstructions of ptychography with known truth.

The exit wave of a sample of optical density D and phase φ is ``ψ = a exp(-D/2 + iφ)``, seen with
the resolution of the reconstruction (a Gaussian that blurs ψ, not its square). Shot noise n is
complex, Gaussian and white. Its radial part has half of its variance, so that OD = -2 ln(\|ψ\|/a)
has the variance ``2 E|n|² e^D/a²``. This is the e^D/N of counted photons, N incident ones per
pixel, when

.. math:: E|n|^2 = |a|^2 / (2N), \qquad \mathrm{sd}(|ψ|/|a|) = 1/(2\sqrt{N}), \qquad
    \mathrm{var}(φ) = e^D/(4N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from chemoscape import stack as stacks
from chemoscape.errors import StackError
from chemoscape.formats.cxi._writing import write_cxi
from chemoscape.preprocess.joining import join_energies
from chemoscape.regrid import regrid
from chemoscape.simulate.truth import Truth

#: Full width at half maximum of a Gaussian, in standard deviations.
_FWHM = 2 * np.sqrt(2 * np.log(2))

#: Period of the raster artefacts, µm: the step of the scan.
_RASTER_UM = 0.06

#: Streams of random numbers: what one parameter draws does not depend on another.
_NOISE, _ENERGY, _DRIFT, _RAMP, _CONSTANT, _SCALE, _RASTER = range(7)


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """Simulated reconstructions at a few energies, and what they were made from.

    Parameters
    ----------
    images : tuple of DataArray (y, x), complex
        ψ at every energy, on pixels of its own; the scalar coordinate ``energy`` is the nominal
        one in eV, y and x are in µm from the field's corner.
    optical_density : DataArray (energy, y, x)
        Of the sample at the true energies, on its own pixels, without noise, blur and drift.
    phase : DataArray (energy, y, x)
        Of the sample in rad, without ramp.
    shifts : ndarray, shape (n_energy, 2)
        How far the sample lies from its place in each image (y, x), in pixels of that image.
    energy_error_eV : ndarray, shape (n_energy,)
        True energy less the nominal one.
    ramps : ndarray, shape (n_energy, 2)
        Phase ramps (y, x) in rad/µm.
    amplitude : ndarray, shape (n_energy,)
        a: amplitude where there is no sample.
    """

    images: tuple[xr.DataArray, ...]
    optical_density: xr.DataArray
    phase: xr.DataArray
    shifts: np.ndarray
    energy_error_eV: np.ndarray
    ramps: np.ndarray
    amplitude: np.ndarray

    def write(self, folder: str | Path) -> list[Path]:
        """Write one CXI file per energy into a folder, which is made where it is missing."""
        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        return [
            write_cxi(
                home / f"{k:02d}_{float(image['energy']):.2f}eV.cxi",
                image,
                float(image["energy"]),
                stacks.pixel_size(image)[0],
            )
            for k, image in enumerate(self.images)
        ]

    def intensities(self) -> xr.DataArray:
        """Intensities as one Stack of counts in arbitrary units, joined as separate files are."""
        return join_energies(
            [
                stacks.build(
                    np.abs(image.values[None]) ** 2,
                    [float(image["energy"])],
                    image["y"].values,
                    image["x"].values,
                    quantity="counts",
                    attrs={
                        "unit": "arbitrary",
                        "channel": "intensity",
                        "format": "cxi",
                        stacks.SAID: "by the simulation",
                    },
                )
                for image in self.images
            ]
        )


def reconstructions(
    sample: Truth | xr.DataArray,
    *,
    photons: float = 1_000.0,
    pixel_um: float = 0.010,
    pixel_follows_energy: bool = True,
    resolution_um: float | None = None,
    phase_per_density: float | Sequence[float] = -0.5,
    amplitude: float = 20.0,
    amplitude_sd: float = 0.1,
    ramp_rad_per_um: float = 0.0,
    artefacts: float = 0.0,
    energy_sd_eV: float = 0.0,
    drift_px: float = 0.0,
    seed: int = 0,
) -> Reconstructions:
    """Simulate reconstructions of a sample at a few energies.

    Parameters
    ----------
    sample : Truth or DataArray (energy, y, x)
        Optical density, with an empty border: beyond it there is no sample. Give it smaller pixels
        than the images'.
    photons : float
        N, incident photons per pixel of every image; ``inf`` for no noise.
    pixel_um : float
        Pixel of the image of the lowest energy.
    pixel_follows_energy : bool
        Whether pixels are in proportion to the wavelength, as those of reconstructions are, and
        otherwise all alike.
    resolution_um : float, optional
        Full width at half maximum of the Gaussian that blurs ψ.
    phase_per_density : float or sequence of float
        φ/D at every energy, or one of each. Off resonances it is -δ/(2β).
    amplitude, amplitude_sd : float
        a, and its relative scatter from image to image, for reconstructions are not normalised.
    ramp_rad_per_um : float
        Standard deviation of the phase ramp along each axis. The constant is any.
    artefacts : float
        Standard deviation, relative to a, of a pattern with the period of the scan, whose phase is
        any in every image.
    energy_sd_eV : float
        Standard deviation of each image's energy about the nominal one; needs a Truth.
    drift_px : float
        Standard deviation of the sample's shift along each axis, in pixels.
    seed : int
        Of all that is drawn, each from a stream of its own.

    Returns
    -------
    Reconstructions

    Raises
    ------
    StackError
        A parameter is impossible, or energies are to err and the spectra are not known.

    Examples
    --------
    >>> from chemoscape.simulate import nanowire
    >>> wire = nanowire(energy=[518.2, 555.0], pixel_um=0.02)
    >>> seen = reconstructions(wire, pixel_um=0.03)
    >>> [round(1000 * stacks.pixel_size(image)[0], 2) for image in seen.images]
    [30.0, 28.01]
    """
    _require_possible(
        photons, pixel_um, resolution_um, amplitude, amplitude_sd, artefacts, drift_px, energy_sd_eV
    )

    def stream(of: int) -> np.random.Generator:
        return np.random.default_rng((seed, of))

    nominal = _energies(sample)
    n = nominal.size
    error = energy_sd_eV * stream(_ENERGY).normal(size=n)
    od = _density(sample, error)
    phase = od * xr.DataArray(np.broadcast_to(phase_per_density, n).astype(float), dims="energy")
    shifts = drift_px * stream(_DRIFT).normal(size=(n, 2))
    ramps = ramp_rad_per_um * stream(_RAMP).normal(size=(n, 2))
    constants = stream(_CONSTANT).uniform(-np.pi, np.pi, n)
    scale = amplitude * np.exp(amplitude_sd * stream(_SCALE).normal(size=n))
    noise, raster = stream(_NOISE), stream(_RASTER)
    images = []
    for k in range(n):
        pixel = pixel_um * (nominal[0] / nominal[k] if pixel_follows_energy else 1.0)
        y, x = (_axis(od[name].values, pixel) for name in ("y", "x"))
        wave = np.exp(-0.5 * od.values[k] + 1j * phase.values[k])
        if resolution_um:
            sigma = [resolution_um / _FWHM / size for size in stacks.pixel_size(od)]
            wave = 1 + gaussian_filter(wave - 1, sigma, mode="constant")
        seen = regrid(
            wave,
            od["y"].values,
            od["x"].values,
            y - shifts[k, 0] * pixel,
            x - shifts[k, 1] * pixel,
        )
        seen[np.isnan(seen)] = 1.0  # beyond the truth there is no sample
        if artefacts:
            seen = seen * (1 + artefacts * _pattern(y, x, raster))
        if np.isfinite(photons):
            radial = noise.normal(size=(2, *seen.shape)) / (2 * np.sqrt(photons))
            seen = seen + radial[0] + 1j * radial[1]
        turned = constants[k] + ramps[k, 0] * (y - y[0])[:, None] + ramps[k, 1] * (x - x[0])
        images.append(
            xr.DataArray(
                (scale[k] * seen * np.exp(1j * turned)).astype(np.complex64),
                dims=("y", "x"),
                coords={"y": y - y[0], "x": x - x[0], "energy": nominal[k]},
                name="reconstruction",
                attrs={"source": "simulated reconstruction (synthetic)"},
            )
        )
    return Reconstructions(tuple(images), od, phase.rename("phase"), shifts, error, ramps, scale)


def _energies(sample: Truth | xr.DataArray) -> np.ndarray:
    """Nominal energies, ascending."""
    od = sample.stack if isinstance(sample, Truth) else sample
    if not isinstance(od, xr.DataArray) or od.dims != stacks.DIMS:
        raise StackError(
            f"an optical density has the dims {stacks.DIMS}, "
            f"got {getattr(od, 'dims', type(od).__name__)}",
            remedy="give a Truth, or a DataArray with energies in eV and axes in µm",
        )
    return np.asarray(od["energy"].values, dtype=np.float64)


def _density(sample: Truth | xr.DataArray, error: np.ndarray) -> xr.DataArray:
    """Optical density at the true energies, labelled with the nominal ones."""
    if not isinstance(sample, Truth):
        if error.any():
            raise StackError(
                "an optical density does not say how it changes with energy",
                remedy="give the Truth, whose spectra are known, or energy_sd_eV = 0",
            )
        return sample.rename("optical_density")
    library = sample.library if sample.sample_library is None else sample.sample_library
    axis = sample.stack["energy"].values
    spectra = library.spectra(axis + error, shift=sample.energy_shift_eV)
    spectra = spectra.assign_coords(energy=axis)
    found = xr.dot(spectra, sample.weights, dim="standard").transpose(*stacks.DIMS)
    return found.rename("optical_density")


def _axis(truth: np.ndarray, pixel: float) -> np.ndarray:
    """Centres of the pixels that fit into the truth's field, about its centre."""
    step = float(truth[-1] - truth[0]) / max(len(truth) - 1, 1)
    count = max(int((len(truth) * step) / pixel + 1e-6), 1)
    return (truth[0] + truth[-1]) / 2 + pixel * (np.arange(count) - (count - 1) / 2)


def _pattern(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pattern of the raster's period along both axes, of unit variance."""
    first, second = rng.uniform(0, 2 * np.pi, 2)
    rate = 2 * np.pi / _RASTER_UM
    return np.asarray(np.cos(rate * y + first)[:, None] + np.cos(rate * x + second))


def _require_possible(
    photons: float,
    pixel_um: float,
    resolution_um: float | None,
    amplitude: float,
    *spreads: float,
) -> None:
    """Refuse images that cannot be."""
    wrong = (
        ("photons", photons, photons > 0),
        ("pixel_um", pixel_um, 0 < pixel_um < np.inf),
        ("resolution_um", resolution_um, resolution_um is None or 0 < resolution_um < np.inf),
        ("amplitude", amplitude, 0 < amplitude < np.inf),
        ("a standard deviation", min(spreads), all(0 <= one < np.inf for one in spreads)),
    )
    for name, value, right in wrong:
        if not right:
            raise StackError(
                f"{name} is {value}", remedy="correct the arguments of reconstructions"
            )
