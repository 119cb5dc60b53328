"""What a file is, what was understood of it, and what looks wrong."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chemoscape import blocks
from chemoscape.errors import ChemoscapeWarning, FileFormatError
from chemoscape.formats import _guard, _opening
from chemoscape.formats._record import Format
from chemoscape.formats._registry import find_format
from chemoscape.formats._source import Source, Wanted, some

#: Images are looked at up to this many bytes of float32, in bands spread over the stack.
LOOK_BYTES = 256_000_000

#: The highest value is a ceiling when this share of all pixels has exactly it.
_CEILING_SHARE = 1e-3

#: Energies in steps that differ by less than this come from rounding in the file, eV.
_ROUNDING_EV = 0.006


def facts(path: str | Path, *, look: bool = True, **options: Any) -> dict[str, Any]:
    """Facts about a stack or a file of spectra; see `chemoscape.formats.describe`."""
    found = _guard.existing(path)
    try:
        known, _ = find_format(found)
    except FileFormatError as unknown:
        return _spectra_facts(found, options, unknown)
    if known.spectra is not None:
        try:
            source, _ = _opening.open_source(found, **options)
        except FileFormatError as no_stack:
            return _spectra_facts(found, options, no_stack, known)
    else:
        source, _ = _opening.open_source(found, **options)
    wrong = [*_opening.sayings(source), *_energy_trouble(np.asarray(source.energy))]
    values = _look(source, wrong) if look else {}
    facts = {**_source_facts(source, known), **values, "looks_wrong": wrong}
    return facts | ({"remarks": list(source.remarks)} if source.remarks else {})


def lines(facts: Mapping[str, Any]) -> list[str]:
    """The facts for a person, the most important first."""
    left = {key: value for key, value in facts.items() if value not in (None, "", [])}
    shape = " × ".join(map(str, left.pop("shape")))
    named = {"format": "", "source": "", "megabytes": "", "nan_share": "", "looked_at_share": ""}
    text = [("format", f"{left['format_title']} ({left['format']})")]
    if "spectra" in left:
        text.append(("holds", f"spectra: {shape} (spectra × energies)"))
    else:
        text.append(
            ("holds", f"{left['quantity']}: {shape} (energies × y × x), {left['megabytes']:g} MB")
        )
    low, high = left.pop("energy_range_eV")
    span = f"{low:.10g} to {high:.10g}" if high > low else f"{low:.10g}"
    text.append(("energies", f"{span} eV{_steps(left.pop('energy_step_eV', None))}"))
    if "pixel_um" in left:
        spans = ", ".join(
            f"{axis} {left[f'{axis}_um'][0]:.10g} to {left[f'{axis}_um'][1]:.10g}" for axis in "xy"
        )
        size = " × ".join("?" if one is None else f"{one:g}" for one in reversed(left["pixel_um"]))
        text.append(("pixels", f"{size} µm (x × y); {spans} µm"))
    for kind in ("channel", "region", "angle"):
        names = left.pop(f"{kind}s", None)
        taken = left.pop(kind, None)
        if names and len(names) > 1:
            others = ", ".join(some([name for name in names if name != taken]))
            text.append((kind, f"{taken} (others: {others})"))
        elif taken and kind == "channel":
            text.append((kind, str(taken)))
    if "values" in left:
        low, high = left["values"]
        part = left["looked_at_share"]
        text.append(("values", f"{low:g} to {high:g}" + (f" in {part:.0%}" if part < 1 else "")))
    wrong, remarks = left.pop("looks_wrong", []), left.pop("remarks", [])
    for key, unit in (("ring_current", "mA"), ("dwell", "ms"), ("time", "s"), ("angle", "°")):
        if key in left:
            text.append((key.replace("_", " "), f"{_said(left.pop(key))} {unit}"))
            left.pop(f"{key}_{unit}", None)
    named |= dict.fromkeys(
        ("format_title", "quantity", "x_um", "y_um", "pixel_um", "values", "complete"), ""
    )
    text += [
        (key.replace("_", " "), _said(value)) for key, value in left.items() if key not in named
    ]
    text += [("remarks" if k == 0 else "", one) for k, one in enumerate(remarks)]
    text += [("looks wrong" if k == 0 else "", one) for k, one in enumerate(wrong)]
    width = max(len(label) for label, _ in text)
    return [f"{label:<{width}}  {said}" for label, said in text]


def _steps(step: Any) -> str:
    """Steps of energies in words."""
    if step is None:
        return ""
    low, high = step
    return f", in steps of {low:g}" + (f" to {high:g}" if high > low else "")


def _said(value: Any) -> str:
    """A fact in words: a pair of numbers is a range."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, float) for v in value):
        return f"{value[0]:g} to {value[1]:g}" if value[0] < value[1] else f"{value[0]:g}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _source_facts(source: Source, known: Format) -> dict[str, Any]:
    """Format, axes, choices and coordinates."""
    assert source.energy is not None and source.y is not None and source.x is not None  # noqa: S101, PT018 - completed
    energy = np.sort(source.energy)
    listed: dict[str, Any] = {}
    for choice in source.choices:
        listed[f"{choice.kind}s"] = list(choice.names)
        listed[choice.kind] = choice.name
    along = {name: _along(values) for name, values in source.per_energy.items()}
    if "dwell" not in along and isinstance(dwell := source.attrs.get("dwell_ms"), int | float):
        along["dwell"] = [float(dwell), float(dwell)]
    facts = {
        "format": known.name,
        "format_title": known.title,
        "source": str(source.where),
        "quantity": source.quantity,
        "shape": list(source.shape),
        "megabytes": round(4e-6 * float(np.prod([float(n) for n in source.shape])), 1),
        "energy_range_eV": [float(energy[0]), float(energy[-1])],
        "energy_step_eV": _span(np.diff(energy)) if energy.size > 1 else None,
        "x_um": [float(source.x.min()), float(source.x.max())],
        "y_um": [float(source.y.min()), float(source.y.max())],
        "pixel_um": [_pitch(source.y), _pitch(source.x)],
        **listed,
        "complete": source.complete,
        **along,
    }
    more = _opening.attributes(source, known)  # where a stack that was converted came from, too
    return facts | {key: more[key] for key in more if key not in facts and more[key] != ""}


def _along(values: np.ndarray) -> Any:
    """Lowest and highest of numbers along energy, or the different texts."""
    values = np.asarray(values)
    if values.dtype.kind in "fiu":
        return _span(values[np.isfinite(values)])
    return some(sorted(set(values.astype(str))))


def _span(values: np.ndarray) -> Any:
    """Lowest and highest."""
    if not values.size:
        return None
    return [round(float(values.min()), 4), round(float(values.max()), 4)]


def _pitch(axis: np.ndarray) -> float | None:
    """Mean distance of neighbours, µm."""
    return round(abs(float(axis[-1] - axis[0])) / (axis.size - 1), 6) if axis.size > 1 else None


def _energy_trouble(energy: np.ndarray) -> list[str]:
    """What is odd about the energies in the order of the file."""
    steps = np.diff(energy)
    back = int((steps < -_ROUNDING_EV).sum())
    if not steps.size or not back:
        return []
    if back == steps.size:
        return ["energies descend in the file; the stack is put in ascending order"]
    return [f"energies go back {back} times in the file; the stack is put in ascending order"]


def _look(source: Source, wrong: list[str]) -> dict[str, Any]:
    """Look at values: what is missing, negative, or cut off at a ceiling."""
    seen = missing = negative = at_top = 0
    lowest, highest = np.inf, -np.inf
    empty = np.ones(source.shape[0], dtype=bool)
    for frames, rows in _pieces(source):
        values = source.read(frames, rows)
        values = values.reshape(len(values), -1)
        known = np.isfinite(values)
        empty[frames] &= ~known.any(axis=1)
        seen += values.size
        missing += int(values.size - known.sum())
        if not known.any():
            continue
        values = values[known]
        top = float(values.max())
        negative += int((values < 0).sum())
        lowest = min(lowest, float(values.min()))
        count = int((values == top).sum())
        at_top = count if top > highest else at_top + count * (top == highest)
        highest = max(highest, top)
    if missing == seen:
        wrong.append("no pixel that was looked at holds a value")
    elif missing:
        whole = int(empty.sum()) if seen == np.prod(source.shape) else 0
        wrong.append(
            f"{missing / seen:.1%} of the values are missing (NaN"
            f"{f', {whole} frames wholly' if whole else ''})"
        )
    if source.quantity == "counts" and negative:
        wrong.append(f"{negative / seen:.2%} of the counts are negative")
    if source.quantity == "counts" and at_top > max(_CEILING_SHARE * seen, 10) and highest > 0:
        wrong.append(
            f"{at_top / seen:.1%} of the values are at the highest, {highest:g}: saturated"
        )
    return {
        "values": [lowest, highest] if missing < seen else None,
        "nan_share": round(missing / seen, 6),
        "looked_at_share": round(seen / float(np.prod(source.shape)), 4),
    }


def _pieces(source: Source) -> list[tuple[slice, slice]]:
    """Frames and rows to look at: all, or as many as `LOOK_BYTES` spread over the stack."""
    n_energy, n_y, n_x = source.shape
    if source.framewise:  # bands of rows would read every frame
        parts = [(slice(k, k + 1), slice(0, n_y)) for k in range(n_energy)]
        bytes_each = 4 * n_y * n_x
    else:
        height = blocks.rows_per_band(source.shape, source.rows_per_read)
        height = max(min(height, LOOK_BYTES // (4 * n_energy * n_x)), 1)
        parts = [(slice(0, n_energy), rows) for rows in blocks.bands(n_y, height)]
        bytes_each = 4 * n_energy * height * n_x
    most = max(LOOK_BYTES // bytes_each, 1)
    if len(parts) <= most:
        return parts
    spread = np.unique(np.linspace(0, len(parts) - 1, most).round().astype(int))
    return [parts[k] for k in spread]


def _spectra_facts(
    path: Path, options: Mapping[str, Any], no_stack: FileFormatError, known: Format | None = None
) -> dict[str, Any]:
    """Facts about spectra; raises why it is no stack when there are none either."""
    allowed = {key: value for key, value in options.items() if key in ("channel", "region")}
    if not path.is_file():
        raise no_stack
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ChemoscapeWarning)
            table = _opening.spectra(path, Wanted(**allowed))
    except FileFormatError:
        if allowed:  # the choice may be at fault
            raise
        raise no_stack from None
    said = [str(one.message).removeprefix(f"{path}: ") for one in caught]
    energy = table["energy"].values
    return {
        "format": known.name if known else "spectra",
        "format_title": f"{known.title}, spectra" if known else table.attrs.get("layout", "text"),
        "spectra": some([str(name) for name in table["spectrum"].values]),
        "shape": list(table.shape),
        "energy_range_eV": [float(energy[0]), float(energy[-1])],
        "energy_step_eV": _span(np.diff(energy)) if energy.size > 1 else None,
        "position_um": _span(table["position"].values) if "position" in table.coords else None,
        **{key: value for key, value in table.attrs.items() if value not in ("", None)},
        "looks_wrong": said,
    }
