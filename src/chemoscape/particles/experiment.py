"""A stack of an ensemble whose every particle is known: counts at each energy, drift included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from chemoscape.particles.generator import blurred_transmission
from chemoscape.particles.shapes import Wire, density_of
from chemoscape.stack import build


@dataclass(frozen=True)
class Experiment:
    """Counts, and what they were made from.

    Attributes
    ----------
    stack : DataArray (energy, y, x)
        Counts.
    wires : tuple of Wire
        Where the particles lay at the first energy.
    shares : ndarray, shape (wires, phases)
        Of each phase in each particle; each row adds up to one.
    drift_um : ndarray, shape (energies, 2)
        How far (y, x) the sample had moved since the first energy.
    """

    stack: xr.DataArray
    wires: tuple[Wire, ...]
    shares: np.ndarray
    drift_um: np.ndarray


def measured_ensemble(
    rng: np.random.Generator,
    wires: Sequence[Wire],
    shares: np.ndarray,
    spectra: np.ndarray,
    energy: np.ndarray,
    shape: tuple[int, int],
    pixel_um: float,
    fwhm_um: float = 0.08,
    counts: float = 2000.0,
    drift_um: float = 0.0,
) -> Experiment:
    """Scan an ensemble through its energies.

    At each energy the optical density of particle i is t_i sum_k f_ik mu_k, with its thickness t_i,
    shares f_ik and spectra mu_k; densities add along the beam, the spot blurs the intensity, and
    photons are counted. The sample moves between images, computed where it lies, not interpolated.

    Parameters
    ----------
    rng : Generator
    wires : sequence of Wire
        Their `optical_density` is that at a spectrum of one.
    shares : ndarray, shape (wires, phases)
        Of each phase; mixed particles have several.
    spectra : ndarray, shape (phases, energies)
        Optical density per thickness.
    energy : ndarray, shape (energies,)
        eV.
    shape : tuple of int
        Rows and columns.
    pixel_um, fwhm_um : float
        Pixel and resolution, µm.
    counts : float
        Photons per empty pixel.
    drift_um : float
        Standard deviation of each step of the drift along y and along x, µm; 0 for none.
    """
    shares = np.asarray(shares, float)
    steps = rng.normal(0, drift_um, (len(energy), 2)) if drift_um else np.zeros((len(energy), 2))
    steps[0] = 0
    moved = steps.cumsum(axis=0)
    still = _phase_maps(wires, shares, shape, pixel_um)
    images = []
    for (dy, dx), at in zip(moved, np.asarray(spectra).T, strict=True):
        maps = still
        if drift_um:
            here = [replace(wire, y=wire.y + dy, x=wire.x + dx) for wire in wires]
            maps = _phase_maps(here, shares, shape, pixel_um)
        density = np.tensordot(np.asarray(at, np.float32), maps, axes=1)
        images.append(rng.poisson(counts * blurred_transmission(density, fwhm_um, pixel_um)))
    y, x = ((np.arange(size) + 0.5) * pixel_um for size in shape)
    stack = build(np.stack(images), energy, y=y, x=x, quantity="counts")
    return Experiment(stack, tuple(wires), shares, moved)


def _phase_maps(
    wires: Sequence[Wire], shares: np.ndarray, shape: tuple[int, int], pixel_um: float
) -> np.ndarray:
    """Thickness of each phase, shape (phases, y, x)."""
    return np.stack([density_of(wires, shape, pixel_um, weights) for weights in shares.T])
