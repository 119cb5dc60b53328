"""Charge and discharge plateaus of the same transition."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import xarray as xr


def hysteresis(found: xr.Dataset) -> xr.Dataset:
    """Discharge and charge plateaus of the same transition, and how far apart they are.

    Each discharge plateau is paired with that of the next (else the last) charge whose compositions
    overlap most. Without compositions the highest is paired with the highest and so on, where both
    have as many: hysteresis may be wider than plateaus are apart.

    Parameters
    ----------
    found : Dataset
        From `plateaus`.

    Returns
    -------
    Dataset
        Along ``pair``: ``discharge`` and ``charge`` (indices of plateaus), ``hysteresis`` (V,
        charge minus discharge), ``hysteresis_sd``, and ``middle`` (V), which is the potential at
        rest where both polarisations are equal.
    """
    rows = []
    taken: set[int] = set()
    direction, half = found["direction"].values, found["half_cycle"].values
    for k in np.flatnonzero(direction < 0):
        later = half[(direction > 0) & (half > half[k])]
        partner = later.min() if later.size else half[(direction > 0)].max(initial=-1)
        others = [int(j) for j in np.flatnonzero((direction > 0) & (half == partner))]
        if "x_low" not in found:
            mine = np.flatnonzero((direction < 0) & (half == half[k]))
            if len(mine) == len(others):
                rows.append(
                    (int(k), _in_order(found, others)[_in_order(found, mine).index(int(k))])
                )
            continue
        ranked = sorted((_unlike(found, int(k), j), j) for j in others if j not in taken)
        if ranked and math.isfinite(ranked[0][0]):
            taken.add(ranked[0][1])
            rows.append((int(k), ranked[0][1]))
    pairs = np.array(rows, int).reshape(-1, 2)
    low, high = (found["potential"].values[pairs[:, side]] for side in (0, 1))
    sd = np.hypot(*(found["potential_sd"].values[pairs[:, side]] for side in (0, 1)))
    return xr.Dataset(
        {
            "discharge": ("pair", pairs[:, 0]),
            "charge": ("pair", pairs[:, 1]),
            "hysteresis": ("pair", high - low, {"units": "V"}),
            "hysteresis_sd": ("pair", sd, {"units": "V"}),
            "middle": ("pair", (high + low) / 2, {"units": "V"}),
        }
    )


def _in_order(found: xr.Dataset, plateaus: Iterable[int]) -> list[int]:
    """Plateaus by falling potential."""
    return sorted(map(int, plateaus), key=lambda k: -float(found["potential"][k]))


def _unlike(found: xr.Dataset, one: int, other: int) -> float:
    """How unlike two plateaus are by their overlap in composition; infinite without any."""
    low, high = found["x_low"].values, found["x_high"].values
    overlap = min(high[one], high[other]) - max(low[one], low[other])
    return -overlap if overlap > 0 else math.inf
