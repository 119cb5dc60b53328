"""Stacks whose drift, optical density and noise are known, made without interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr
from scipy.special import erfc

from chemoscape.stack import build

SIZE = 80


@dataclass(frozen=True)
class Phantom:
    """A drifting stack, the displacement of each frame, and how well that can be known at best: the
    Cramér-Rao bound of each frame when the sample is known, and its rms.
    """

    stack: xr.DataArray
    displacement: np.ndarray
    bound_px: float
    bounds: np.ndarray
    optical_density: np.ndarray
    i0: np.ndarray

    def rms_px(self, shifts: np.ndarray, frames=slice(None)) -> float:
        """Error of shifts to apply, per axis; a shift common to all frames is no error."""
        error = (shifts + self.displacement)[frames]
        error = error - np.median(error, axis=0)
        return float(np.sqrt((error**2).mean()))


def rods(y, x, seed, n_materials, size=SIZE):
    """Thickness of crossing rods with soft edges, one map per material."""
    random = np.random.default_rng(seed)
    maps = [np.zeros_like(y) for _ in range(n_materials)]
    for k in range(8):
        cy, cx = random.uniform(5, size - 5, 2)
        angle, length, width = random.uniform(0, np.pi), random.uniform(6, 22), random.uniform(2, 7)
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
        rod = erfc((abs(along) - length) / 2) * erfc((abs(across) - width) / 2) / 4
        maps[k % n_materials] += random.uniform(0.3, 1.0) * rod
    return maps


def wander(random, n_energy, step_px, *, ramp_px=0.0, jumps=()):
    """Displacements (n, 2): a random walk on a ramp, with jumps ``(frame, dy, dx)`` from a frame
    on.
    """
    path = random.normal(0, step_px, (n_energy, 2)).cumsum(axis=0)
    path += np.linspace(0, ramp_px, n_energy)[:, None] * [1.0, -0.7]
    for frame, *jump in jumps:
        path[frame:] += jump
    return path


def random_jumps(random, n_energy):
    """Two jumps of 3 to 6 pixels that do not lead further away."""
    first = random.uniform(3, 6, 2) * random.choice([-1, 1], 2)
    frames = sorted(random.choice(np.arange(2, n_energy - 2), 2, replace=False).tolist())
    return [(frames[0], *first), (frames[1], *(-first * random.uniform(0.7, 1.3, 2)))]


def spectra(energy):
    """Absorption of two materials; what is dark before the edge is the brighter one after it."""
    step = 0.5 * (1 + np.tanh((energy - 517) / 0.8))
    first = 0.15 + 0.9 * step + np.exp(-(((energy - 518.5) / 0.8) ** 2))
    second = 0.55 + 0.25 * np.exp(-((energy - 523) ** 2))
    second = second - 0.15 * (1 + np.tanh((energy - 519) / 0.6))
    return first, second


@pytest.fixture(scope="session")
def make_phantom():
    """Make a phantom: ``make_phantom(seed, counts=400)``."""
    return phantom


def phantom(
    seed,
    *,
    counts=400.0,
    n_energy=24,
    n_materials=2,
    wander_px=0.35,
    ramp_px=0.0,
    jumps=(),
    before_edge=1.0,
    size=SIZE,
    noisy=True,
):
    """Rods of one or two materials that drift, each frame computed where it lies.

    `jumps` are ``(frame, dy, dx)`` or ``"random"``; `before_edge` multiplies the absorption below
    516 eV.
    """
    random = np.random.default_rng(seed)
    energy = np.linspace(510.0, 530.0, n_energy)
    faint = np.where(energy < 516.0, before_edge, 1.0)
    absorption = [faint * spectrum for spectrum in spectra(energy)[:n_materials]]
    if jumps == "random":
        jumps = random_jumps(np.random.default_rng(seed + 10_000), n_energy)
    displacement = wander(random, n_energy, wander_px, ramp_px=ramp_px, jumps=jumps)
    y, x = np.mgrid[:size, :size].astype(float)

    def density(i, dy, dx):
        maps = rods(y - dy, x - dx, seed, n_materials, size)
        return sum(a[i] * m for a, m in zip(absorption, maps, strict=True))

    still = np.array([density(i, 0.0, 0.0) for i in range(n_energy)])
    i0 = counts * np.linspace(1.0, 0.8, n_energy)
    expected = np.empty((n_energy, size, size))
    bounds = np.empty(n_energy)
    for i, (dy, dx) in enumerate(displacement):
        expected[i] = i0[i] * np.exp(-density(i, dy, dx))
        gradient = np.stack(np.gradient(expected[i])).reshape(2, -1)
        information = (gradient / expected[i].ravel()) @ gradient.T
        seen = np.linalg.det(information) > 0
        bounds[i] = np.sqrt(np.trace(np.linalg.inv(information)) / 2) if seen else np.inf
    data = random.poisson(expected) if noisy else expected
    axis = 0.05 * np.arange(size)
    stack = build(data, energy, axis, axis, quantity="counts")
    overall = float(np.sqrt((bounds**2).mean()))
    return Phantom(stack, displacement, overall, bounds, still, i0)


@dataclass(frozen=True)
class Beam:
    """A disc in an empty field, and what it was made from."""

    stack: xr.DataArray
    i0: np.ndarray
    optical_density: np.ndarray
    disc: np.ndarray


@pytest.fixture(scope="session")
def make_beam():
    """Make a stack of a disc: ``make_beam(counts=400, divider=10)``."""

    def make(
        *, counts=400.0, divider=1.0, n_energy=20, size=60, height=1.0, seed=0, noisy=True, **facts
    ):
        random = np.random.default_rng(seed)
        energy = np.linspace(510.0, 530.0, n_energy)
        spectrum = height * (0.2 + 0.8 * np.exp(-(((energy - 518) / 1.5) ** 2)))
        y, x = np.mgrid[:size, :size] - (size - 1) / 2
        disc = np.hypot(y, x) < size / 4
        density = spectrum[:, None, None] * disc
        i0 = counts * (1 + 0.2 * np.sin(np.linspace(0, 5, n_energy)))
        expected = i0[:, None, None] * np.exp(-density)
        recorded = random.poisson(expected * divider) / divider if noisy else expected
        axis = 0.1 * np.arange(size)
        stack = build(recorded, energy, axis, axis, quantity="counts", **facts)
        return Beam(stack, i0, density, disc)

    return make
