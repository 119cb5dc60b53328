"""Plateaus of a galvanostatic curve: where capacity is dense in voltage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import xarray as xr
from scipy.signal import find_peaks

from chemoscape.electrochemistry._density import (
    Density,
    Half,
    density_of,
    free_halves,
    grid_for,
    smoothing_for,
)

#: Widths of smoothing over which the answer must hold.
TRIALS = (0.7, 1.0, 1.4)
#: Depths below a peak at which it is cut, over half its prominence or a quarter of its height, for
#: the centre of charge above; the second is the answer.
DEPTHS = (0.6, 1.0, 1.4)
#: No plateau's centre is known better than this share of its width (as simulations show, whose
#: solid solutions slope unlike on either side).
FINEST_SHARE = 0.025
#: Least prominence of a peak over its own height.
OWN_PROMINENCE = 0.15
#: What is wider than this (V) is a plateau only if it is so many times as dense as its half cycle
#: on the whole: a curve that slopes evenly is one broad peak, and no plateau.
_WIDE, _DENSER = 0.05, 2.0
#: No half cycle has more plateaus.
MOST_PEAKS = 40


def capacity_density(curve: xr.Dataset, *, smoothing_V: float | None = None) -> xr.Dataset:
    """Density of charge over voltage, dQ/dV, of every half cycle.

    Parameters
    ----------
    curve : Dataset
        From `open_cycling` or `lithiation`.
    smoothing_V : float, optional
        Sd of the Gaussian, V; default: 4 mV, two steps of the digitised voltage or 1.5 times its
        noise, the largest of them.

    Returns
    -------
    Dataset
        ``density`` (half_cycle, potential), mAh/V or, after `lithiation`, mAh/g/V; 0 where the
        half cycle does not go. ``direction`` (half_cycle). Attribute ``smoothing_V``.

    Raises
    ------
    FitError
        No half cycle has five records, or `smoothing_V` is impossible.
    """
    halves = free_halves(curve)
    smoothing = smoothing_for(halves, smoothing_V)
    low = min(float(half.voltage.min()) for half in halves) - 6 * smoothing
    high = max(float(half.voltage.max()) for half in halves) + 6 * smoothing
    grid = grid_for(low, high, smoothing)
    rows = [density_of(half, grid, smoothing).density for half in halves]
    factor, units = _per_gram(curve)
    return xr.Dataset(
        {
            "density": (
                ("half_cycle", "potential"),
                factor * np.array(rows),
                {"units": f"{units}/V", "long_name": "dQ/dV"},
            ),
            "direction": ("half_cycle", np.array([h.direction for h in halves], np.int8)),
        },
        coords={
            "half_cycle": [half.number for half in halves],
            "potential": ("potential", grid, {"units": "V", "long_name": "voltage"}),
        },
        attrs={"smoothing_V": smoothing},
    )


def plateaus(
    curve: xr.Dataset,
    *,
    smoothing_V: float | None = None,
    prominence: float = 0.05,
    least_share: float = 0.02,
) -> xr.Dataset:
    """Plateaus: potential, capacity, and the compositions between which they run.

    A plateau is a peak of `capacity_density` that is narrow, or twice as dense as an even slope
    over the half cycle's voltages would be: a solid solution alone has none. Its potential is the
    centre of charge of what rises above half its prominence, or three quarters of its height where
    that is more. It begins and ends where the curve on either side, continued straight as its own
    dQ/dV says, meets that potential, so that neither the smoothing nor the slopes beside it count
    as plateau.

    Parameters
    ----------
    curve : Dataset
        From `open_cycling`; after `lithiation` the compositions are given too.
    smoothing_V : float, optional
        As for `capacity_density`.
    prominence : float
        Least prominence over that of the half cycle's highest peak.
    least_share : float
        Least share of the half cycle's capacity.

    Returns
    -------
    Dataset
        Along ``plateau``, by half cycle and falling potential: ``half_cycle``, ``direction``,
        ``potential`` and ``potential_sd`` (V), ``width`` (V, of the peak where it is cut,
        smoothing included), ``capacity`` (mAh or mAh/g), ``share`` of the half cycle's capacity,
        and after `lithiation` ``x_low``, ``x_high`` and their ``x_edge_sd``. The sd are half the
        range over smoothings 0.7 to 1.4 times as wide and over depths at which the peak is cut,
        with the voltage's step and noise and 2.5 % of the width, and for the edges the slope of the
        plateau itself; errors common to all points (mass, current, the voltmeter's calibration)
        are not in them.

    Raises
    ------
    FitError
        As `capacity_density`.
    """
    halves = free_halves(curve)
    smoothing = smoothing_for(halves, smoothing_V)
    found: list[dict[str, float]] = []
    for half in halves:
        trials = [_measured(half, factor * smoothing, prominence) for factor in TRIALS]
        rows = []
        for one in trials[1]:
            near = [_nearest(one, trial, 3 * smoothing) for trial in (trials[0], trials[2])]
            rows.append(_with_errors(half, one, [other for other in near if other is not None]))
        found += [row for row in rows if row["share"] >= least_share]
    factor, units = _per_gram(curve)
    for row in found:
        row["capacity"] *= factor
    names = list(_PLATEAU_UNITS) if "x" in curve else list(_PLATEAU_UNITS)[:-3]
    out = xr.Dataset(
        {
            name: (
                "plateau",
                np.array([row[name] for row in found], float),
                {"units": _PLATEAU_UNITS[name] or units},
            )
            for name in names
        },
        attrs={"smoothing_V": smoothing},
    )
    return out.assign(
        half_cycle=out["half_cycle"].astype(int), direction=out["direction"].astype(np.int8)
    )


_PLATEAU_UNITS = {
    **{"half_cycle": "1", "direction": "1"},
    **{"potential": "V", "potential_sd": "V", "width": "V"},
    **{"capacity": "", "share": "1"},
    **{"x_low": "1", "x_high": "1", "x_edge_sd": "1"},
}


def _measured(half: Half, smoothing: float, prominence: float) -> list[dict[str, float]]:
    """Peaks at one smoothing."""
    low, high = float(half.voltage.min()), float(half.voltage.max())
    made = density_of(
        half, grid_for(low - 6 * smoothing, high + 6 * smoothing, smoothing), smoothing
    )
    peaks, facts = find_peaks(made.density, prominence=0.0)
    if not peaks.size:
        return []
    # damaged voltages may make thousands
    kept = np.zeros(peaks.size, bool)
    kept[np.argsort(facts["prominences"], kind="stable")[-MOST_PEAKS:]] = True
    kept &= facts["prominences"] >= prominence * facts["prominences"].max()
    # the ripple on the flat top of a sloping plateau is no plateau
    kept &= facts["prominences"] >= OWN_PROMINENCE * made.density[peaks]
    peaks = peaks[kept]
    facts = {name: values[kept] for name, values in facts.items()}
    if not peaks.size:
        return []
    valleys = [
        0,
        *(int(a + np.argmin(made.density[a:b])) for a, b in itertools.pairwise(peaks)),
    ]
    valleys.append(made.grid.size - 1)
    rows = [
        _one_peak(half, made, smoothing, int(peaks[k]), float(facts["prominences"][k]), edges)
        for k, edges in enumerate(itertools.pairwise(valleys))
    ]
    dense = made.density[peaks] > _DENSER * half.passed[-1] / max(high - low, _WIDE)
    return [one for one, own in zip(rows, dense, strict=True) if own or one["width"] < _WIDE][::-1]


def _one_peak(
    half: Half,
    made: Density,
    smoothing: float,
    peak: int,
    prominence: float,
    valleys: tuple[int, int],
) -> dict[str, float]:
    """Potential and extent of a peak between its valleys."""
    # The highest peak stands out by all its height, the solid solution beside it included.
    depth = min(prominence / 2, made.density[peak] / 4)
    cuts = [_cut(made, peak, valleys, share * depth) for share in DEPTHS]
    potential, wide = cuts[1]
    centres = [cut[0] for cut in cuts]
    reach = max(4 * smoothing, 1.5 * wide)
    edges = [
        max(valleys[0], int(np.searchsorted(made.grid, potential - reach))),
        min(valleys[1], int(np.searchsorted(made.grid, potential + reach))),
    ]
    if half.direction < 0:
        edges = edges[::-1]
    # charge when the straight continuation of either side reaches the potential
    start, end = (
        float(made.passed[k] + sign * made.density[k] * abs(made.grid[k] - potential))
        for k, sign in zip(edges, (1, -1), strict=True)
    )
    # Where a plateau slopes, its ends are not at its centre: what is wider than the smoothing
    # alone would make it says by how much, times the charge per volt beside it.
    alone = -8 * smoothing**2 * math.log(1 - depth / made.density[peak])
    own = max(math.sqrt(max(wide**2 - alone, 0.0)), 0.25 * wide)
    unsure = own / 2 * float(made.density[edges].max())
    return {
        **{"potential": potential, "lean": (max(centres) - min(centres)) / 2, "width": wide},
        **{"start": start, "end": end, "unsure": unsure},
    }


def _cut(made: Density, peak: int, valleys: tuple[int, int], depth: float) -> tuple[float, float]:
    """Centre of the charge above a level so far below a peak, and its width there, V."""
    level = made.density[peak] - depth
    low = made.density[valleys[0] : peak + 1][::-1] < level
    high = made.density[peak : valleys[1] + 1] < level
    start = peak - (int(np.argmax(low)) if low.any() else peak - valleys[0])
    end = peak + (int(np.argmax(high)) if high.any() else valleys[1] - peak)
    inside = slice(start, end + 1)
    weight = np.maximum(made.density[inside] - level, 0.0)
    centre = float((made.grid[inside] * weight).sum() / weight.sum())
    return centre, float(made.grid[end] - made.grid[start])


def _nearest(
    one: dict[str, float], others: list[dict[str, float]], within: float
) -> dict[str, float] | None:
    """The same peak at another smoothing."""
    near = [other for other in others if abs(other["potential"] - one["potential"]) < within]
    return min(near, key=lambda o: abs(o["potential"] - one["potential"])) if near else None


def _with_errors(
    half: Half, one: dict[str, float], others: list[dict[str, float]]
) -> dict[str, float]:
    """A plateau with what its numbers depend on."""

    def spread(key: str) -> float:
        values = [one[key], *(other[key] for other in others)]
        return (max(values) - min(values)) / 2

    charge = one["end"] - one["start"]
    n = max(int(np.sum(np.abs(half.voltage - one["potential"]) < one["width"])), 1)
    row = {
        "half_cycle": half.number,
        "direction": half.direction,
        "potential": one["potential"],
        "potential_sd": math.hypot(
            *(spread("potential"), one["lean"], FINEST_SHARE * one["width"]),
            *(half.step / math.sqrt(12), half.noise / math.sqrt(n)),
        ),
        "width": one["width"],
        "capacity": charge,
        "share": charge / half.capacity,
    }
    if half.x is not None:
        # x is linear in the charge within a half cycle
        per = (half.x[-1] - half.x[0]) / half.passed[-1]
        ends = [float(half.x[0] + per * one[key]) for key in ("start", "end")]
        sd = abs(per) * math.hypot(max(spread("start"), spread("end")), one["unsure"])
        row |= {"x_low": min(ends), "x_high": max(ends), "x_edge_sd": sd}
    return row


def _per_gram(curve: xr.Dataset) -> tuple[float, str]:
    """Factor and units of a capacity: per gram where the mass is known."""
    mass = curve.attrs.get("active_mass_mg", math.nan)
    if math.isfinite(mass):
        return 1e3 / mass, "mAh/g"
    return 1.0, str(curve["charge"].attrs["units"])
