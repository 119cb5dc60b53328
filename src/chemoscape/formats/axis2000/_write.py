"""Write a stack as aXis2000 ``.ncb`` and ``.dat``.

Values become 16-bit integers, rounded, under the largest power of ten that fits, when nothing is
lost that anyone would miss: the step is at most 1e-4 of the range of the values and, of counts,
half a count; or all values are whole numbers. Otherwise, and when values are missing (NaN), they
stay 32-bit floats, which lose nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from chemoscape import blocks
from chemoscape import stack as stacks
from chemoscape.errors import StackError
from chemoscape.formats._source import some
from chemoscape.formats.axis2000._header import Header, header_text

_LARGEST = 32767
_COARSEST_OF_RANGE = 1e-4
_COARSEST_COUNT = 0.5

#: Coordinates and facts that the file holds, or that are not facts of the measurement.
_KEPT = {
    *stacks.DIMS,
    "dwell",
    "image",
    "dwell_ms",
    "quantity",
    "units",
    "source",
    "format",
    stacks.SAID,
}


@dataclass(frozen=True)
class Extremes:
    """What the values are like.

    Parameters
    ----------
    low, high : float
        Lowest and highest of the finite ones.
    finite, whole : bool
        Whether all are finite, and whether all are whole numbers.
    """

    low: float
    high: float
    finite: bool
    whole: bool


def write(stack: xr.DataArray, path: Path, final: Path) -> str:
    """Write both files in two passes over the stack, band by band; returns what was lost.

    Raises
    ------
    StackError
        Pixels lie so unevenly that the image would be distorted.
    """
    uneven = [_unevenness(stack, name) for name in ("y", "x")]
    scale = scale_of(_extremes(stack), stack.attrs["quantity"])
    path.with_suffix(".dat").write_text(
        header_text(_header(stack, scale, final.stem)), encoding="utf-8"
    )
    rounded = _write_values(stack, path, scale)
    quantity = stack.attrs["quantity"].replace("_", " ")
    return "; ".join(
        filter(
            None,
            [
                f"values are rounded to {1 / scale:g}" if rounded else "",
                *uneven,
                "" if quantity == "counts" else f"the file does not say that it holds {quantity}",
                _left_out(stack),
            ],
        )
    )


def scale_of(values: Extremes, quantity: str) -> float:
    """The scale of 16-bit integers, or -1 for floats.

    Examples
    --------
    >>> scale_of(Extremes(12.0, 308.0, finite=True, whole=True), "counts")
    100.0
    >>> scale_of(Extremes(-0.1, 2.1, finite=True, whole=False), "optical_density")
    10000.0
    >>> scale_of(Extremes(0.0, 40_000.0, finite=True, whole=True), "counts")
    -1.0
    """
    largest = max(abs(values.low), abs(values.high))
    if not values.finite:
        return -1.0
    exponent = int(np.floor(np.log10(_LARGEST / largest))) if largest > 0 else 0
    scale = 10.0 ** min(exponent, 30)
    if values.whole and scale >= 1:
        return scale
    step = 1 / scale
    fine = step <= _COARSEST_OF_RANGE * (values.high - values.low)
    return scale if fine and (quantity != "counts" or step <= _COARSEST_COUNT) else -1.0


def _extremes(stack: xr.DataArray) -> Extremes:
    """Look at all values once."""
    low, high, finite, whole = np.inf, -np.inf, True, True
    for _, values in blocks.iterate(stack):
        known = np.isfinite(values)
        finite &= bool(known.all())
        whole = whole and finite and bool((values == np.rint(values)).all())
        low = min(low, float(values.min(where=known, initial=np.inf)))
        high = max(high, float(values.max(where=known, initial=-np.inf)))
    return Extremes(low, high, finite, whole)


def _write_values(stack: xr.DataArray, path: Path, scale: float) -> bool:
    """Write rows at their places in every frame; returns whether a value was changed."""
    n_energy, n_y, n_x = stack.shape
    dtype = np.dtype("<i2" if scale > 0 else "<f4")
    changed = False
    with path.open("wb") as file:
        file.truncate(n_energy * n_y * n_x * dtype.itemsize)
        for rows, values in blocks.iterate(stack):
            for k in range(n_energy):
                numbers = values[k].astype(dtype) if scale < 0 else _rounded(values[k], scale)
                if scale > 0:
                    again = (numbers / np.float64(scale)).astype(np.float32)
                    changed = changed or not np.array_equal(again, values[k])
                file.seek((k * n_y + rows.start) * n_x * dtype.itemsize)
                file.write(numbers.tobytes())
    return changed


def _rounded(values: np.ndarray, scale: float) -> np.ndarray:
    """Integers of one frame's rows."""
    return np.rint(values * np.float64(scale)).astype("<i2")


def _header(stack: xr.DataArray, scale: float, stem: str) -> Header:
    """What the ``.dat`` says of a stack."""
    n_energy, n_y, n_x = stack.shape
    names = [f"{stem}_{k:03d}" for k in range(n_energy)]
    if "image" in stack.coords:
        names = [" ".join(str(name).split()) for name in stack["image"].values]
    everywhere = stack.attrs.get("dwell_ms", np.nan)
    dwell = stack["dwell"].values if "dwell" in stack.coords else np.full(n_energy, everywhere)
    x, y = stack["x"].values, stack["y"].values
    return Header(
        n_x=n_x,
        n_y=n_y,
        scale=scale,
        x=(float(x[0]), float(x[-1])),
        y=(float(y[0]), float(y[-1])),
        energy=stack["energy"].values.astype(np.float64),
        names=tuple(names),
        dwell=np.asarray(dwell, dtype=np.float64),
    )


def _unevenness(stack: xr.DataArray, name: str) -> str:
    """What to say of an axis whose pixels are not evenly spaced."""
    axis = stack[name].values
    off = float(np.abs(axis - np.linspace(axis[0], axis[-1], axis.size)).max())
    pixel = float(axis[-1] - axis[0]) / max(axis.size - 1, 1)
    if off > pixel / 2:
        raise StackError(
            f"the {name} axis is uneven by {off:.3g} µm, more than half a pixel, and this format "
            "keeps only its ends",
            remedy="save the stack as .h5, which keeps every position",
        )
    if off > 1e-3 * pixel:
        return f"pixels are evenly spaced along {name} (they were off by up to {off:.2g} µm)"
    return ""


def _left_out(stack: xr.DataArray) -> str:
    """Coordinates and facts for which the file has no place."""
    named = [str(name) for name in (*stack.coords, *stack.attrs) if str(name) not in _KEPT]
    return f"left out: {', '.join(some(named))}" if named else ""


__all__ = ["Extremes", "scale_of", "write"]
