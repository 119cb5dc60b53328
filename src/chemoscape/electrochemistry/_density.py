"""Plateaus of a galvanostatic curve: where capacity is dense in voltage.

dQ/dV by dividing differences fails on plateaus, where the digitised voltage stands still or steps
back. Here it is the density of charge over voltage instead: the charge between two records is laid
evenly between their voltages (widened by the voltage's own step), and all of it is smoothed with a
Gaussian. Nothing is divided by a voltage difference, records may go back and forth, and the
integral is the capacity exactly. Feng et al., eTransportation 3, 100051 (2020), count records at
levels of voltage to the same end; laying the charge between them serves sparse curves too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d

from chemoscape.errors import FitError

#: Least sd of the smoothing Gaussian, V, and in steps and in noise of the voltage.
LEAST_V, STEPS, NOISES = 0.004, 2.0, 1.5
#: Records of a noisy half cycle are averaged down to so many, not fewer.
LEAST_MEANS = 200
#: Fewer records clump more: their means count as this much noisier than they are.
_CLUMPS = 1.5
#: So few records are far apart for another reason than the voltmeter's step.
SPARSE = 20
#: Grid points in an sd of the smoothing.
FINENESS = 4
#: V, more than any cell or pack in a laboratory has.
_WIDEST = 100.0


@dataclass(frozen=True, eq=False)
class Half:
    """Records of one half cycle in which current flows and the voltage is free."""

    number: int
    direction: int
    voltage: np.ndarray  # (n,) V
    passed: np.ndarray  # (n,) charge since the first of them, without sign
    x: np.ndarray | None
    step: float  # of the digitised voltage, V
    noise: float  # sd of the voltage, V
    capacity: float


@dataclass(frozen=True, eq=False)
class Density:
    """dQ/dV on a grid, and the charge passed until the voltage reaches it."""

    grid: np.ndarray
    density: np.ndarray
    passed: np.ndarray


def free_halves(curve: xr.Dataset) -> list[Half]:
    """Half cycles with five records and more."""
    voltage, charge = curve["voltage"].values, curve["charge"].values
    direction, number = curve["direction"].values, curve["half_cycle"].values
    free = (direction != 0) & ~curve["held"].values.astype(bool)
    found = []
    for half in np.unique(number[free]):
        at = np.flatnonzero(free & (number == half))
        passed = np.abs(charge[at] - charge[at[0]])
        if at.size < 5 or not passed[-1] > 0:
            continue
        whole = np.flatnonzero((direction != 0) & (number == half))
        capacity = abs(float(charge[whole[-1]] - charge[max(int(whole[0]) - 1, 0)]))
        x = curve["x"].values[at] if "x" in curve else None
        step, noise = _voltmeter(voltage[at])
        one = Half(int(half), int(direction[at[0]]), voltage[at], passed, x, step, noise, capacity)
        found.append(_quieter(one))
    spread = max((float(np.ptp(half.voltage)) for half in found), default=0.0)
    if spread > _WIDEST:
        raise FitError(
            f"the voltage runs over {spread:.3g} V, which no cell's does",
            remedy="look whether the right column and unit are taken",
        )
    if not found:
        raise FitError(
            "no half cycle has five records in which current flows", remedy="give a longer curve"
        )
    return found


def _voltmeter(voltage: np.ndarray) -> tuple[float, float]:
    """Step of a digitised voltage and its noise, V."""
    levels = np.unique(np.round(voltage, 7))
    step = float(np.percentile(np.diff(levels), 5)) if levels.size > 1 else 0.0
    second = np.diff(voltage, 2)
    # of differences of second order the slope is gone; 0.6745 makes a median an sd
    noise = float(np.median(np.abs(second)) / 0.6745 / math.sqrt(6)) if second.size else 0.0
    return min(step, 0.05), min(noise, 0.05)  # beyond, it is no digitised and no noisy curve


def _quieter(half: Half) -> Half:
    """The means of so many neighbours that their noise asks for no wider smoothing than `LEAST_V`,
    or as near to it as `LEAST_MEANS` allow: a wide smoothing draws in the slopes beside a plateau.
    """
    wanted = math.ceil((_CLUMPS * NOISES * half.noise / LEAST_V) ** 2)
    several = min(wanted, half.voltage.size // LEAST_MEANS)
    if several < 2:
        return half
    cuts = np.arange(0, half.voltage.size, several)
    count = np.diff(cuts, append=half.voltage.size)
    voltage, passed = (np.add.reduceat(v, cuts) / count for v in (half.voltage, half.passed))
    x = None if half.x is None else np.add.reduceat(half.x, cuts) / count
    quiet = half.noise * min(_CLUMPS / math.sqrt(several), 1.0)
    return replace(half, voltage=voltage, passed=passed, x=x, noise=quiet)


def smoothing_for(halves: list[Half], given: float | None) -> float:
    """Sd of the Gaussian, V."""
    if given is None:
        step = max((half.step for half in halves if half.voltage.size > SPARSE), default=0.0)
        return max(LEAST_V, STEPS * step, NOISES * max(half.noise for half in halves))
    if not (math.isfinite(given) and 0 < given < 1):
        raise FitError(f"a smoothing of {given!r} V is impossible", remedy="give V, such as 0.005")
    return float(given)


def grid_for(low: float, high: float, smoothing: float) -> np.ndarray:
    """Voltages, fine against the smoothing."""
    return np.linspace(low, high, int(FINENESS * (high - low) / smoothing) + 8)


def density_of(half: Half, grid: np.ndarray, smoothing: float) -> Density:
    """Charge per voltage: laid evenly between records, then smoothed."""
    steps = np.abs(np.diff(half.passed))
    ends = np.sort(np.stack([half.voltage[:-1], half.voltage[1:]]), axis=0)
    step = half.step if half.voltage.size > SPARSE else 0.0
    spread = max(step, 1e-3 * smoothing) / 2
    low, high = ends[0] - spread, ends[1] + spread
    slope = steps / (high - low)
    breaks = np.concatenate([low, high])
    order = np.argsort(breaks, kind="stable")
    breaks = breaks[order]
    slopes = np.cumsum(np.concatenate([slope, -slope])[order])
    below = np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(breaks))])
    pitch = grid[1] - grid[0]
    edges = np.concatenate([grid - pitch / 2, grid[-1:] + pitch / 2])
    cumulated = np.interp(edges, breaks, below)
    density = gaussian_filter1d(np.diff(cumulated) / pitch, smoothing / pitch, mode="constant")
    passed = np.cumsum(density) * pitch - density * pitch / 2
    if half.direction < 0:  # the voltage falls: what lies above was passed before
        passed = half.passed[-1] - passed
    return Density(grid, density, passed)
