"""What should be looked at before the numbers of a fit are believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chemoscape.standards.peaks.covariance import Covariance
from chemoscape.standards.peaks.model import PeakModel
from chemoscape.standards.peaks.problem import Problem

#: A peak below this many sd of its area is not established.
_WEAK = 2.0
#: A fit that explains less of a spectrum's variance is none.
_POOR = 0.9
#: Residuals that follow one another like this, and misfits like this, are not noise.
_STRUCTURE, _MISFIT = 0.5, 1.5


def doubts(
    table: xr.Dataset,
    model: PeakModel,
    problem: Problem,
    best: Any,
    start: np.ndarray,
    covariance: Covariance,
    known: bool,
) -> tuple[str, ...]:
    """What should be looked at before the numbers are believed."""
    said = []
    if not best.success:
        said.append(f"the search did not end ({best.message.splitlines()[0]})")
    names, standards = model.names, [str(one) for one in table.standard.values]
    for held, parameter in zip(covariance.held, best.params.values(), strict=True):
        if not (held and parameter.vary):
            continue
        kind, p, *where = parameter.name.split("_")
        words = {"gap": "distance to the peak before", "sd": "width", "own": "own width"}
        series = len(standards) == problem.n_knots or kind == "own"
        place = f" in {standards[int(where[0])]}" if where and series else ""
        said.append(f"{names[int(p)]}{place}: its {words.get(kind, 'centre')} is at a bound")
    inner = [p for p, out in enumerate(model.outside) if not out]
    for k, standard in enumerate(standards):
        for p in inner:
            area, sd = float(table.area[k, p]), float(table.area_sd[k, p])
            if not area > _WEAK * sd:
                shown = f"{area / sd:.1f} sd of its area" if sd > 0 else "no area"
                said.append(f"{names[p]} in {standard}: {shown}")
            nearest = int(np.abs(start[k] - float(table.centre[k, p])).argmin())
            if nearest != p:
                said.append(
                    f"{names[p]} in {standard} is nearer to where {names[nearest]} was found: its "
                    "name is in doubt"
                )
        lag, chi2 = float(table.residual_correlation[k]), float(table.reduced_chi2[k])
        r_squared = float(table.r_squared[k])
        if not known and r_squared < _POOR:
            said.append(
                f"{standard}: the fit explains {100 * r_squared:.0f} % of its variance: it has "
                "other peaks than the model, or points down"
            )
        if lag > _STRUCTURE:
            said.append(f"{standard}: neighbouring residuals correlate at {lag:.2f}: structure")
        if known and chi2 > _MISFIT:
            said.append(
                f"{standard}: reduced chi2 is {chi2:.1f}: the model errs more than the noise, and "
                "the errors stated do not know it"
            )
    return tuple(said)
