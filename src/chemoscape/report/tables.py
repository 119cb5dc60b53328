"""Standards and their mass scales in lines for a terminal, and as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from chemoscape.standards.mass_scale import MassScale, thickness_nm
from chemoscape.standards.standard import Standard


def standard_line(one: Standard) -> str:
    """A standard in a line."""
    value = "value unknown" if math.isnan(one.value) else f"value {one.value:g}"
    units = "cm2/g" if one.scale == "mass_absorption" else "optical density"
    span = f"{one.energy[0]:.2f} to {one.energy[-1]:.2f} eV, {one.energy.size} points"
    return f"  {one.id:<32} {value:<14} {span}, {units}  [{one.kind}]"


def standard_facts(one: Standard) -> dict[str, Any]:
    """Numbers of a standard, without its spectrum."""
    low, high = one.energy[0], one.energy[-1]
    return {
        "id": one.id,
        "label": one.label,
        "value": one.value,
        "formula": one.formula,
        "density": one.density,
        "scale": one.scale,
        "kind": one.kind,
        "energy_range_eV": (low, high),
        "n_points": one.energy.size,
        "source": one.source,
        "record": asdict(one.record),
    }


def scale_facts(one: Standard, scale: MassScale) -> dict[str, Any]:
    """Numbers of a mass scale."""
    return {
        **asdict(scale),
        "uncertainty": scale.uncertainty,
        "relative_sd": scale.relative_sd,
        "thickness_nm": _thickness(one, scale),
    }


def _thickness(one: Standard, scale: MassScale) -> float:
    """Thickness of the film that was measured, nm; NaN without a density."""
    known = not math.isnan(one.density)
    return thickness_nm(scale.areal_mass, one.density) if known else math.nan


def scale_table(standards: Sequence[Standard], scales: Sequence[MassScale]) -> str:
    """Mass scales for a person."""
    rows = [
        f"{'standard':<28} {'µg/cm2':>8} {'nm':>8} {'± %':>6}   of which noise, background, fine "
        "structure, tables (%)"
    ]
    for one, scale in zip(standards, scales, strict=True):
        nm = _thickness(one, scale)
        thick = "unknown" if math.isnan(nm) else f"{nm:.1f}"
        parts = (scale.noise, scale.background, scale.fine_structure, scale.table_difference)
        rows.append(
            f"{one.id:<28} {1e6 * scale.areal_mass:>8.3f} "
            f"{thick:>8} {100 * scale.relative_sd:>6.1f}   "
            + ", ".join(f"{100 * part:.1f}" for part in parts)
        )
    first, last = scales[0].windows
    rows.append(
        f"matched to {scales[0].table}'s table at {first[0]:g} to {first[1]:g} and {last[0]:g} to "
        f"{last[1]:g} eV{' (the first)' if len({scale.windows for scale in scales}) > 1 else ''}"
    )
    return "\n".join(rows)
