"""What the text and the tags of a TIFF say: our own description, ImageJ's, OME's, a resolution."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape.formats import _labelled, _lengths
from chemoscape.formats.tiff._pages import (
    DESCRIPTION,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Page,
)

#: The line of the description that holds our own facts as JSON.
OWN = "chemoscape="

#: Pixels larger than this (µm) come from a screen's or a printer's resolution.
_LARGEST_PIXEL = 20.0

_OME_PIXELS = re.compile(r"<(?:\w{1,20}:)?Pixels\b[^>]{0,4000}>")
_ATTRIBUTE = re.compile(r'\b(\w{1,40})\s{0,4}=\s{0,4}"([^"]{0,200})"')


@dataclass(frozen=True, eq=False)
class Own:
    """What `save_stack` wrote of a stack beside its images, in the order of the images."""

    energy: np.ndarray
    y: np.ndarray
    x: np.ndarray
    quantity: str
    along: dict[str, np.ndarray] = field(default_factory=dict)
    attrs: dict[str, str | int | float] = field(default_factory=dict)


def description(page: Page) -> str:
    """Text of an image, "" when it has none."""
    raw = page.facts.get(DESCRIPTION)
    return raw.rstrip(b"\0").decode("utf-8", "replace") if isinstance(raw, bytes) else ""


def own_line(own: Own) -> str:
    """Our own facts as one line of a description, ASCII only."""
    return OWN + json.dumps(
        {
            "version": 1,
            "energy": own.energy.tolist(),
            "y": own.y.tolist(),
            "x": own.x.tolist(),
            "quantity": own.quantity,
            "along": {
                name: {"dtype": values.dtype.str, "values": values.tolist()}
                for name, values in own.along.items()
            },
            "attrs": own.attrs,
        }
    )


def own_facts(text: str, shape: tuple[int, int, int], where: Path) -> Own | None:
    """Our own facts in a description, None when there are none or they do not fit the images."""
    line = next((line for line in text.splitlines() if line.startswith(OWN)), None)
    if line is None:
        return None
    try:
        facts = json.loads(line.removeprefix(OWN))
        axes = [np.asarray(facts[name], dtype=np.float64) for name in ("energy", "y", "x")]
        along = {
            str(name): np.asarray(entry["values"], dtype=_plain_dtype(entry["dtype"]))
            for name, entry in facts["along"].items()
        }
        attrs = {
            str(name): value
            for name, value in facts["attrs"].items()
            if isinstance(value, str | int | float)
        }
        quantity = _labelled.quantity_of(facts, "")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    if tuple(axis.shape for axis in axes) != tuple((n,) for n in shape):
        return None
    notes = [_labelled.positions(axes[k], "", shape[k], "yx"[k - 1], where) for k in (1, 2)]
    if any(values.shape != (shape[0],) for values in along.values()):
        return None
    energy = _labelled.energies(axes[0], "", shape[0], where)
    y, x = (axis for axis, _ in notes)
    assert y is not None and x is not None  # noqa: S101, PT018 - given
    return Own(energy, y, x, quantity, along, attrs)


def pixel_um(page: Page) -> tuple[float, float] | None:
    """Height and width of a pixel in µm, None when the file does not say or it is a screen's."""
    text = description(page)
    if (ome := _OME_PIXELS.search(text)) is not None:
        facts = dict(_ATTRIBUTE.findall(ome[0]))
        sizes = [
            _ome_size(facts.get(f"PhysicalSize{axis}"), facts.get(f"PhysicalSize{axis}Unit", "µm"))
            for axis in "YX"
        ]
        return _believed(sizes)
    units = [_per_unit(page.facts.get(tag)) for tag in (Y_RESOLUTION, X_RESOLUTION)]
    if text.startswith("ImageJ="):
        named = _imagej(text).get("unit", "").replace("\\u00B5", "µ").replace("\\u00b5", "µ")
        if _lengths.is_length(named):
            return _believed([_lengths.micrometres(named) * size for size in units])
    coded = page.facts.get(RESOLUTION_UNIT)
    number = int(coded[0]) if isinstance(coded, np.ndarray) and coded.size else 2
    factor = {2: 25400.0, 3: 1e4}.get(number)
    believed = None if factor is None else _believed([factor * size for size in units])
    return believed if believed is None or max(believed) <= _LARGEST_PIXEL else None


def hidden_images(page: Page) -> int:
    """How many images lie behind a single directory, as ImageJ and tifffile write large stacks."""
    text = description(page)
    if text.startswith("ImageJ="):
        return _whole(_imagej(text).get("images", ""))
    if text.startswith("{") and '"truncated"' in text and len(text) < 10_000:
        try:
            facts = json.loads(text)
            shape = [int(n) for n in facts["shape"]]
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            return 1
        if facts.get("truncated") and len(shape) == 3 and tuple(shape[1:]) == page.shape:
            return max(shape[0], 1)
    return 1


def calibration(page: Page) -> tuple[float, float] | None:
    """ImageJ's straight line from integers to values, ``(offset, factor)``; None without one."""
    text = description(page)
    if not text.startswith("ImageJ=") or page.dtype.kind != "u":
        return None
    facts = _imagej(text)
    try:
        offset, factor = float(facts["c0"]), float(facts["c1"])
    except (KeyError, ValueError):
        return None
    usable = np.isfinite([offset, factor]).all() and facts.get("cf") == "0" and factor != 0
    return (offset, factor) if usable else None


def _imagej(text: str) -> dict[str, str]:
    """Keys and values of ImageJ's description."""
    pairs = (line.split("=", 1) for line in text.splitlines()[:200] if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def _plain_dtype(code: str) -> np.dtype[Any]:
    """A dtype of numbers or text; anything else is a TypeError."""
    dtype = np.dtype(str(code))
    if dtype.kind not in "fiubU" or dtype.itemsize > 4000:
        raise TypeError(code)
    return dtype


def _ome_size(text: str | None, unit: str) -> float:
    """Physical size in µm, NaN when it cannot be read."""
    try:
        known = text is not None and _lengths.is_length(unit)
        return float(str(text)) * _lengths.micrometres(unit) if known else np.nan
    except ValueError:
        return np.nan


def _per_unit(pair: Any) -> float:
    """Units per pixel from a resolution in pixels per unit, NaN when there is none."""
    if not isinstance(pair, np.ndarray) or pair.size < 2 or min(pair[:2]) <= 0:
        return np.nan
    return float(pair[1]) / float(pair[0])


def _believed(sizes: list[float]) -> tuple[float, float] | None:
    """Height and width when both are possible."""
    height, width = sizes
    return (height, width) if _lengths.believable(height) and _lengths.believable(width) else None
