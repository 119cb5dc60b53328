"""What a standard's record says of the stack that it was made from."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chemoscape import fitting_stages
from chemoscape.curation.calibrating import anchor_text
from chemoscape.decompose.calibration import Anchor
from chemoscape.decompose.energy import EnergyShift
from chemoscape.products import Products
from chemoscape.recipe import Recipe
from chemoscape.standards.record import PARTS, Record


def axis_set(od: xr.Dataset, recipe: Recipe) -> EnergyShift | None:
    """The energy axis that the recipe sets; None where it would be fitted, or is the file's."""
    section = recipe.calibration
    if section.enabled and section.energy_shift not in ("fit", 0.0):
        return EnergyShift(float(section.energy_shift), float("nan"), source="held")
    return fitting_stages.anchored(od, recipe)


def calibration_of(axis: EnergyShift | None, recipe: Recipe) -> dict[str, Any]:
    """What the record says of the energy axis."""
    if axis is None:
        return {}
    anchors = recipe.calibration.anchors
    named = "; ".join(anchor_text(Anchor(**one.model_dump()), -axis.value) for one in anchors)
    stretched = f", stretched by {axis.stretch:+.2e}" if axis.stretch else ""
    return {
        "anchor": named,
        "anchor_eV": anchors[0].energy if len(anchors) == 1 else np.nan,
        "reference": ("anchors of the recipe" if anchors else "energy_shift of the recipe")
        + stretched,
        "shift_eV": round(-axis.value, 6),
        "uncertainty_eV": axis.sd,
    }


def corrections_of(done: Products, od: xr.Dataset, recipe: Recipe) -> str:
    """What was done to the stack."""
    steps = [str(one) for one in done.touched]
    if od.attrs.get("units_correction"):
        steps.append(str(od.attrs["units_correction"]))
    if od.attrs.get("dead_time_us"):
        steps.append(f"dead time {od.attrs['dead_time_us']:g} µs")
    if od.attrs.get("stray_light"):
        steps.append(f"stray light {od.attrs['stray_light']:g} of the beam")
    if recipe.absorbance.dark:
        steps.append(f"dark {recipe.absorbance.dark}")
    if done.drift is not None:
        verb = "taken out" if done.drift_applied else "left, below the threshold"
        steps.append(f"drift of {done.drift.rms_px:.2f} pixels rms {verb}")
    return "; ".join(steps)


def filled(record: Record, said: dict[str, Any], remarks: str) -> Record:
    """A record with what else is known: what it says already stays."""
    own = [item for part in PARTS for item in vars(getattr(record, part)).items()]
    unknown = {key for key, value in own if value == "" or value != value}  # NaN
    return record.with_(
        **{key: value for key, value in said.items() if key in unknown},
        remarks="\n".join(text for text in (record.remarks, remarks) if text),
    )
