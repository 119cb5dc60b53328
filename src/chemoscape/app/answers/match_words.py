"""What the Match view says in words: how sure an assignment is, what the standards are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.app.answers.map_entries import plain
from chemoscape.decompose.combinations.ranking import CLOSE_IN_BIC, NOTABLE
from chemoscape.decompose.energy import DISAGREE_SDS, EnergyShift
from chemoscape.report.words import SYNTHETIC_NOTE, measured
from chemoscape.standards.library import Library


def status(library: Library) -> dict[str, Any]:
    """What the standards are: measured, synthetic, taken from elsewhere."""
    made_up = [one.id for one in library.standards if one.kind == "synthetic"]
    note = SYNTHETIC_NOTE if library.kind == "synthetic" else ""
    if made_up and not note:
        note = f"Synthetic, calculated and not measured: {', '.join(made_up)}."
    return {
        "library": library.id,
        "name": library.name,
        "variable": library.variable,
        "kind": library.kind,
        "synthetic": library.synthetic,
        "note": note,
        "standards": [
            {"name": one.id, "label": one.label, "value": one.value, "kind": one.kind}
            for one in library.standards
        ],
    }


def named(names: Sequence[str]) -> dict[str, list[str]]:
    """Ids of standards, and as they are written in the table."""
    return {"names": list(names), "labels": [plain(one) for one in names]}


def assignment(table: xr.Dataset, cluster: int) -> str:
    """How sure the assignment of a cluster is."""
    names = [str(one) for one in table["candidate"].values[cluster] if str(one)]
    if not names:
        return "no combination of the standards fits this spectrum"
    delta = table["delta_bic"].values[cluster][: len(names)]
    x = table["candidate_composition"].values[cluster][: len(names)]
    close = [k for k in range(1, len(names)) if delta[k] < CLOSE_IN_BIC]
    others = [k for k in close if not abs(x[k] - x[0]) <= NOTABLE]
    if others:
        k = others[0]
        gap = "an unknown composition"
        if np.isfinite(x[k]):
            gap = f"{_number(x[k])}, {_number(x[k] - x[0], '+')} away"
        more = f", and {len(others) - 1} more" if len(others) > 1 else ""
        return f"ambiguous: {plain(names[k])} fits as well (ΔBIC {delta[k]:.1f}), with {gap}{more}"
    if close:
        many = f"{len(close)} runners-up" if len(close) > 1 else "one runner-up"
        gives = "give" if len(close) > 1 else "gives"
        return f"{many} within {CLOSE_IN_BIC:g} in BIC {gives} the same to {NOTABLE:g}"
    if len(names) == 1:
        return "no other combination fits with positive weights"
    return f"clear: the next best is {delta[1]:.0f} behind in BIC"


def alone(value: float, sd: float, common: EnergyShift) -> str:
    """What a cluster alone says of the energy shift."""
    if not np.isfinite(value):
        return "this spectrum alone does not tell the energy shift"
    apart = abs(value - common.value) > DISAGREE_SDS * np.hypot(sd, np.nan_to_num(common.sd))
    said = f"alone it would take {measured(value, sd)} eV"
    return f"{said}: not the shift of all" if apart else said


def axis(shift: EnergyShift) -> str:
    """The energy axis that was used."""
    words = {"fit": "fitted to all clusters together", "held": "held by the recipe"}
    how = words.get(shift.source, "set by anchors")
    text = f"energy shift {measured(shift.value, shift.sd)} eV, {how}"
    if shift.contradicted:
        text += "; the spectra disagree with it"
    return text


def _number(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3f}".replace("-", "−")
