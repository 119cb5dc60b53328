"""SYNTHETIC galvanostatic curves with known plateaus: to test with, to learn with, never a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d

from chemoscape.electrochemistry.faraday import capacity_per_ion
from chemoscape.errors import FitError

#: What every file and curve made here says of itself.
SYNTHETIC = "SYNTHETIC: simulated, not measured"


@dataclass(frozen=True)
class SimulatedPlateau:
    """Two phases side by side: potential at rest (V), and the compositions between which."""

    potential: float
    x_low: float
    x_high: float


#: Where LixV2O5 has its plateaus, roughly, with the phase limits that the paper gives.
SYNTHETIC_V2O5 = (SimulatedPlateau(3.38, 0.1, 0.3), SimulatedPlateau(3.18, 0.7, 0.9))


def simulate_cycling(
    steps: Sequence[SimulatedPlateau] = SYNTHETIC_V2O5,
    *,
    active_mg: float = 1.0,
    formula: str = "V2O5",
    c_rate: float = 0.2,
    half_cycles: int = 2,
    x_max: float = 1.0,
    kept_share: float = 1.0,
    tilt_V: float = 0.004,
    polarisation_V: float = 0.05,
    start_V: float = 3.6,
    end_V: float = 2.6,
    rounding_x: float = 0.006,
    window_V: tuple[float, float] = (2.0, 4.0),
    noise_V: float = 0.0003,
    resolution_V: float = 0.0001,
    current_noise: float = 0.0005,
    rest_s: float = 600.0,
    interval_s: float = 20.0,
    seed: int = 0,
) -> tuple[xr.Dataset, xr.Dataset]:
    """A SYNTHETIC curve of a half cell against lithium, discharged first, and its truth.

    The potential at rest falls straight between plateaus (solid solutions), from `start_V` at x = 0
    to `end_V` at x = 1 (or just beyond the last plateau); plateaus fall by `tilt_V`, and corners
    are rounded over `rounding_x`. The current moves it by `polarisation_V`: down on discharge, up
    on charge.

    Parameters
    ----------
    steps : sequence of SimulatedPlateau
        By rising composition.
    active_mg : float
        Mass of the host without ions, mg.
    formula : str
        Of the host.
    c_rate : float
        1/h: one ion per formula in 1/c_rate hours.
    half_cycles : int
        Discharge, charge, ….
    x_max : float
        Composition at which discharge ends, unless the window's lower end comes first.
    kept_share : float
        Share of what went in that each charge takes out.
    tilt_V, polarisation_V, start_V, end_V, rounding_x : float
        As above, V; the sd of the rounding in x.
    window_V : pair of float
        Voltages at which half cycles end.
    noise_V, resolution_V : float
        Sd of the voltmeter, and its step, V; 0: none.
    current_noise : float
        Relative sd of each current that is written.
    rest_s, interval_s : float
        Rest between half cycles, and time between records, s.
    seed : int
        Of the noise.

    Returns
    -------
    curve : Dataset
        As `open_cycling` gives it.
    truth : Dataset
        Along ``plateau``: ``potential_discharge``, ``potential_charge`` (V), ``x_low``, ``x_high``;
        along ``point`` ``x`` without error.

    Raises
    ------
    FitError
        Plateaus overlap, or a number is impossible.
    """
    _check(steps, active_mg, c_rate, interval_s, half_cycles)
    knots_x, knots_V = _at_rest(steps, tilt_V, start_V, end_V, rounding_x, window_V)
    rng = np.random.default_rng(seed)
    per_x = capacity_per_ion(formula) * 1e-3 * active_mg  # mAh
    current = c_rate * per_x  # mA
    step_x = c_rate * interval_s / 3600
    x_now, x_before, parts = 0.0, 0.0, []
    for half in range(half_cycles):
        down = half % 2 == 0
        target = x_max if down else x_now - kept_share * (x_now - x_before)
        n = max(math.floor(abs(target - x_now) / step_x + 1e-9), 2)
        x = x_now + (step_x if down else -step_x) * np.arange(1, n + 1)
        sign = -1 if down else 1
        voltage = np.interp(x, knots_x, knots_V) + sign * polarisation_V
        inside = (voltage > window_V[0]) & (voltage < window_V[1])
        n = n if inside.all() else int(np.argmin(inside)) + 1
        x, voltage = x[:n], voltage[:n]
        n_rest = int(rest_s // interval_s) if half + 1 < half_cycles else 0
        rested = np.interp(x[-1], knots_x, knots_V)
        parts.append((np.full(n, sign), x, voltage, half))
        if n_rest:
            parts.append(
                (np.zeros(n_rest, int), np.full(n_rest, x[-1]), np.full(n_rest, rested), half)
            )
        x_before, x_now = x_now, float(x[-1])
    at_start = min(float(np.interp(0.0, knots_x, knots_V)) - polarisation_V, window_V[1])
    first = (np.array([-1]), np.array([0.0]), np.array([at_start]), 0)
    direction, x, voltage = (
        np.concatenate([part[k] for part in (first, *parts)]) for k in range(3)
    )
    number = np.concatenate([np.full(part[1].size, part[3]) for part in (first, *parts)])
    measured = voltage + rng.normal(0.0, noise_V, x.size) if noise_V else voltage
    if resolution_V:
        measured = np.round(measured / resolution_V) * resolution_V
    flowing = direction * current * (1 + rng.normal(0.0, current_noise, x.size))
    time = interval_s * np.arange(x.size)
    curve = xr.Dataset(
        {
            "voltage": ("point", measured, {"units": "V", "long_name": "voltage of the cell"}),
            "charge": ("point", -x * per_x, {"units": "mAh", "long_name": "net charge"}),
            "charge_sd": ("point", np.zeros(x.size), {"units": "mAh"}),
            "direction": ("point", direction.astype(np.int8)),
            "half_cycle": ("point", number.astype(np.int32)),
            "held": ("point", np.zeros(x.size, bool)),
            "time": ("point", time, {"units": "s"}),
            "current": ("point", flowing, {"units": "mA"}),
        },
        attrs={"source": SYNTHETIC, "charge_from": "simulation"},
    )
    truth = xr.Dataset(
        {
            "potential_discharge": (
                "plateau",
                np.array([one.potential - polarisation_V for one in steps]),
            ),
            "potential_charge": (
                "plateau",
                np.array([one.potential + polarisation_V for one in steps]),
            ),
            "x_low": ("plateau", np.array([one.x_low for one in steps])),
            "x_high": ("plateau", np.array([one.x_high for one in steps])),
            "x": ("point", x),
        }
    )
    return curve, truth


def _check(
    steps: Sequence[SimulatedPlateau], active: float, rate: float, interval: float, halves: int
) -> None:
    """Refuse what no cell does."""
    edges = [x for one in steps for x in (one.x_low, one.x_high)]
    if not edges or edges != sorted(edges):
        raise FitError(
            "the plateaus overlap or there are none", remedy="list them by rising composition"
        )
    for name, value in (("active_mg", active), ("c_rate", rate), ("interval_s", interval)):
        if not (math.isfinite(value) and value > 0):
            raise FitError(f"{name} is {value!r}", remedy="give a positive number")
    if halves < 1:
        raise FitError(f"{halves} half cycles", remedy="give 1 or more")


def _at_rest(
    steps: Sequence[SimulatedPlateau],
    tilt: float,
    start: float,
    end: float,
    rounding: float,
    window: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Potential at rest on a fine grid of composition: straight pieces, their corners rounded."""
    x, volts = [-0.05, 0.0], [window[1] + 4.0, start]
    for one in steps:
        x += [one.x_low, one.x_high]
        volts += [one.potential + tilt / 2, one.potential - tilt / 2]
    last = max(1.0, x[-1] + 0.01)
    fine = np.linspace(-0.05, last + 0.05, 4001)
    straight = np.interp(fine, [*x, last, last + 0.05], [*volts, end, window[0] - 4.0])
    pitch = fine[1] - fine[0]
    return fine, gaussian_filter1d(straight, rounding / pitch) if rounding else straight
