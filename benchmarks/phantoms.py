"""Stacks with known truth at the sizes of the benchmark, made without interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.special import erfc

from chemoscape import simulate
from chemoscape import stack as stacks
from chemoscape.blocks import for_each_band
from chemoscape.standards.folder import open_library

#: Pixels over which an edge of a rod falls, and where nothing of it is left to double precision.
SOFT, REACH = 2.0, 14.0
PEAK_OPTICAL_DENSITY = 1.4


def core_shell(n_pixels: int, n_energy: int = 250, photons: float = 5000.0) -> xr.DataArray:
    """The core-shell particle of `simulate` in counts (energy, y, x) with counting noise.

    Drawn frame by frame: `simulate.core_shell` itself needs six times the memory of the stack.
    """
    side = round(np.sqrt(n_pixels))
    energy = np.linspace(508.0, 560.0, n_energy)
    truth = simulate.core_shell(shape=(side, side), pixel_um=0.03, energy=energy[:2])
    weights = truth.weights.values.reshape(len(truth.weights), -1)
    used = weights.any(axis=1)
    spectra = truth.library.spectra(energy).values[used]
    weights = weights[used]
    weights *= PEAK_OPTICAL_DENSITY / max((mu @ weights).max() for mu in spectra.T)
    i0 = photons * np.linspace(1.0, 0.8, n_energy)
    counts = np.empty((n_energy, side, side), dtype=np.float32)

    def draw(band: slice) -> None:
        for i in range(band.start, band.stop):
            expected = i0[i] * np.exp(-(spectra[:, i] @ weights))
            counts[i] = np.random.default_rng([0, i]).poisson(expected).reshape(side, side)

    for_each_band(draw, n_energy, rows_per_band=1)
    axis = 0.03 * (np.arange(side) + 0.5)
    return stacks.build(counts, energy, axis, axis, quantity="counts")


@dataclass(frozen=True)
class Drifting:
    """A drifting stack, by how much each frame is displaced, and how well that can be known."""

    stack: xr.DataArray
    displacement: np.ndarray
    bound_px: float

    def error_px(self, shifts: np.ndarray) -> tuple[float, float]:
        """Root mean square and largest error of shifts (n, 2) to apply, per axis.

        A shift that all frames have in common is no error.
        """
        error = shifts + self.displacement
        error = error - np.median(error, axis=0)
        return float(np.sqrt((error**2).mean())), float(np.abs(error).max())


def drifting(
    n_energy: int = 250,
    side: int = 512,
    *,
    counts: float = 400.0,
    wander_px: float = 0.35,
    of_library: bool = False,
) -> Drifting:
    """Rods of two materials that wander, each frame evaluated where it lies.

    One material is the brighter before the edge and the darker after it, or both are standards of
    the library. Noise is Poisson's; `bound_px` is the Cramér-Rao bound of a frame's shift when all
    else is known.
    """
    random = np.random.default_rng(1)
    energy = np.linspace(508.0, 538.0, n_energy)
    absorption = _two_standards(energy) if of_library else _two_materials(energy)
    displacement = random.normal(0.0, wander_px, (n_energy, 2)).cumsum(axis=0)
    rods = [_Rod.random(random, side, k % 2) for k in range(round(side * side / 4000))]
    i0 = counts * np.linspace(1.0, 0.8, n_energy)
    recorded = np.empty((n_energy, side, side), dtype=np.float32)
    bounds = np.empty(n_energy)

    def draw(band: slice) -> None:
        for i in range(band.start, band.stop):
            density = np.zeros((side, side))
            for rod in rods:
                rod.add_to(density, displacement[i], absorption[rod.material][i])
            expected = i0[i] * np.exp(-density)
            gradient = np.stack(np.gradient(expected)).reshape(2, -1)
            information = (gradient / expected.ravel()) @ gradient.T
            bounds[i] = np.trace(np.linalg.inv(information)) / 2
            recorded[i] = np.random.default_rng([1, i]).poisson(expected)

    for_each_band(draw, n_energy, rows_per_band=1)
    axis = 0.03 * np.arange(side)
    stack = stacks.build(recorded, energy, axis, axis, quantity="counts")
    return Drifting(stack, displacement, float(np.sqrt(bounds.mean())))


def _two_materials(energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Absorption of two materials across an edge at 517 eV."""
    edge = 0.5 * (1 + np.tanh((energy - 517.0) / 0.8))
    first = 0.15 + 0.9 * edge + np.exp(-(((energy - 518.5) / 0.8) ** 2))
    second = 0.55 - 0.3 * edge + 0.25 * np.exp(-((energy - 523.0) ** 2))
    return first, second


def _two_standards(energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Absorption of the library's first and fifth standard, 1 at its highest."""
    spectra = open_library("lixv2o5-model").spectra(energy).values[[0, 4]]
    first, second = spectra / spectra.max()
    return first, second


@dataclass(frozen=True)
class _Rod:
    """A rod with soft edges: centre, half length and half width in pixels, angle, thickness."""

    centre: np.ndarray
    half_length: float
    half_width: float
    angle: float
    thickness: float
    material: int

    @classmethod
    def random(cls, random: np.random.Generator, side: int, material: int) -> _Rod:
        centre = random.uniform(0.05 * side, 0.95 * side, 2)
        length, width = random.uniform(6.0, 40.0), random.uniform(2.0, 8.0)
        angle, thickness = random.uniform(0.0, np.pi), random.uniform(0.3, 1.0)
        return cls(centre, length, width, angle, thickness, material)

    def add_to(self, density: np.ndarray, displacement: np.ndarray, absorption: float) -> None:
        """Add the optical density of the displaced rod, where there is any of it."""
        cy, cx = self.centre + displacement
        reach = np.hypot(self.half_length, self.half_width) + REACH
        rows = slice(max(int(cy - reach), 0), max(int(cy + reach) + 2, 0))
        columns = slice(max(int(cx - reach), 0), max(int(cx + reach) + 2, 0))
        part = density[rows, columns]
        y, x = np.ogrid[: part.shape[0], : part.shape[1]]
        y, x = y + rows.start - cy, x + columns.start - cx
        along = abs(x * np.cos(self.angle) + y * np.sin(self.angle)) - self.half_length
        across = abs(y * np.cos(self.angle) - x * np.sin(self.angle)) - self.half_width
        part += absorption * self.thickness / 4 * erfc(along / SOFT) * erfc(across / SOFT)
