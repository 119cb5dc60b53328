"""What other energies would tell at the dose of a plan, with photons alike."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from chemoscape.errors import FitError
from chemoscape.few_energies.plan import Plan


def at_same_dose(plan: Plan, energies: ArrayLike) -> Plan:
    """Other energies, with photons alike, that absorb the same energy as the plan."""
    axis = np.asarray(energies, dtype=np.float64)
    alike = plan.absorbed_eV / float(plan.expected.absorbed(axis).sum())
    return plan.instead(axis, np.full(axis.size, alike))


def compared(
    plan: Plan, sets: Mapping[str, ArrayLike] | None = None, *, highest_od: float = np.inf
) -> dict[str, Plan]:
    """Measurements that the plan is held against, at its dose.

    Parameters
    ----------
    plan : Plan
        Gives the dose.
    sets : mapping of name to array_like, optional
        Energies (eV) of each; default: the features of the spectrum that do best together with the
        last energy, as many as standards, and the whole scan.
    highest_od : float
        Features at which a sample absorbs more are left out.
    """
    if sets is not None:
        return {name: at_same_dose(plan, energies) for name, energies in sets.items()}
    expected = plan.expected
    last = expected.window[1]
    features = expected.features()
    features = features[expected.optical_density(features).max(axis=0) <= highest_od]
    tried = []
    for some in combinations(features, len(expected.library.names)):
        with suppress(FitError):  # these do not tell the standards apart
            tried.append(at_same_dose(plan, [*some, last]))
    found = {}
    if tried:
        best = min(tried, key=lambda one: one.rms)
        names = ", ".join(f"{one:.1f}" for one in best.energies[:-1])
        found[f"features at {names} with {last:.1f} eV"] = best
    scan = expected.scan()
    found[f"a scan of {scan.size} energies"] = at_same_dose(plan, scan)
    return found
