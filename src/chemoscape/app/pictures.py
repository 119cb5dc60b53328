"""Maps and frames on their way to the browser: 16 bits a pixel, and a header that says what they
are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from chemoscape.results import none_if_not_finite

Kind = Literal["sequential", "diverging", "labels", "mask"]
#: Levels of a pixel; 0 is a pixel without a value.
LEVELS = 65535
#: Pixels that tell the limits of contrast.
LOOKED_AT = 40_000
#: Kinds whose values are whole numbers.
COUNTED = ("labels", "mask")


@dataclass(frozen=True)
class Picture:
    """One map.

    Parameters
    ----------
    values : ndarray, shape (n_y, n_x)
        Numbers, labels or a mask; NaN where there is none.
    x, y : ndarray, shapes (n_x,) and (n_y,)
        Ascending centres of the pixels, in µm for maps of the sample.
    name, unit : str
        What is shown, and its unit ("1" for a plain number).
    kind : {"sequential", "diverging", "labels", "mask"}
        How its colours are to be chosen.
    extra : dict
        Joins the header.
    """

    values: np.ndarray
    x: np.ndarray
    y: np.ndarray
    name: str = ""
    unit: str = ""
    kind: Kind = "sequential"
    extra: dict[str, Any] = field(default_factory=dict)

    def thinned(self, step: int) -> Picture:
        """Every `step`-th pixel."""
        if step == 1:
            return self
        part = slice(None, None, step)
        extra = {**self.extra, "reduce": step}
        return replace(
            self, values=self.values[part, part], x=self.x[part], y=self.y[part], extra=extra
        )

    def encoded(self) -> bytes:
        """The picture as bytes, little-endian.

        A length (uint32), a header of that length (JSON, padded with spaces to a multiple of 4),
        and a uint16 for each pixel, row by row from the lowest y: 0 where there is no value, else q
        for ``low + (q - 1) step``.
        """
        levels, low, step = _levels(self.values, self.kind in COUNTED)
        header = {
            "shape": list(self.values.shape),
            "low": low,
            "step": step,
            "x": [self.x[0], self.x[-1]],
            "y": [self.y[0], self.y[-1]],
            "name": self.name,
            "unit": self.unit,
            "kind": self.kind,
            "robust": _robust(self.values),
            "reduce": 1,
            **self.extra,
        }
        return framed(header, levels)


def framed(header: dict[str, Any], *arrays: np.ndarray) -> bytes:
    """A header and what it describes: uint32 length, JSON padded to 4 bytes, then the arrays."""
    text = json.dumps(none_if_not_finite(header), ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    size = np.array(len(text), dtype="<u4").tobytes()
    return b"".join([size, text, *(np.ascontiguousarray(one).tobytes() for one in arrays)])


def _levels(values: np.ndarray, counted: bool) -> tuple[np.ndarray, float, float]:
    """Values as 16-bit levels, and the value and spacing of the levels."""
    if values.dtype.kind not in "fiub":
        raise TypeError(f"a picture holds numbers, not {values.dtype}")
    if values.dtype == bool:
        return (values.astype("<u2") + np.uint16(1)), 0.0, 1.0
    work = values if values.dtype == np.float32 else values.astype(np.float64)
    low, high = _range(work)
    if not np.isfinite([low, high]).all():
        return np.zeros(values.shape, dtype="<u2"), 0.0, 1.0
    smallest = float(np.finfo(np.float32).tiny)
    step = 1.0 if counted else max((high - low) / (LEVELS - 1), smallest)
    scaled = (work - low) * work.dtype.type(1 / step) + work.dtype.type(1.5)  # .5: rounds
    if values.dtype.kind == "f":
        scaled = np.where(np.isfinite(work), scaled, 0)
    return np.clip(scaled, 0, LEVELS).astype("<u2"), float(low), float(step)


def _range(values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest finite value; NaN where there is none."""
    low, high = float(values.min()), float(values.max())  # NaN and infinities show in these
    if not np.isfinite([low, high]).all():
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
    return low, high


def _robust(values: np.ndarray) -> list[float]:
    """2nd and 98th percentile, of a part of the pixels."""
    step = max(int(np.sqrt(values.size / LOOKED_AT)), 1)
    some = values[::step, ::step].astype(float)
    some = some[np.isfinite(some)]
    if not some.size:
        return [0.0, 1.0]
    low, high = np.percentile(some, [2, 98])
    return [float(low), float(high)]
