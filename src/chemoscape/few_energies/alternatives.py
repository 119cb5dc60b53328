"""Which of several plans to take, and what the others tell at the same dose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chemoscape.errors import FitError
from chemoscape.few_energies.budget import THICK_OD
from chemoscape.few_energies.plan import Plan
from chemoscape.few_energies.requirements import fewest_energies
from chemoscape.few_energies.selection import choose_energies

#: The fewest energies are taken whose dose is not above the least by more than this factor.
_HARDLY_MORE = 1.1
#: Under this name a plan is compared with one that avoids energies at which little light is left.
UNSATURATED = f"only OD below {THICK_OD:g}"


def recommended(plans: Sequence[Plan]) -> Plan:
    """The fewest energies that are hardly worse than the best, with one to spare if possible.

    Parameters
    ----------
    plans : sequence of Plan
        For the same samples, by rising number of energies.
    """
    fewest = fewest_energies(plans[0].expected, plans[0].nuisance)
    spare = [one for one in plans if one.energies.size > fewest] or plans
    # counting sets the error: squared, it falls with the dose
    price = [one.rms**2 * one.absorbed_eV for one in spare]
    limit = _HARDLY_MORE * min(price)
    return next(one for one, cost in zip(spare, price, strict=True) if cost <= limit)


def chosen_again(plan: Plan, n: int, options: dict[str, Any]) -> Plan:
    """The best `n` energies for the samples and at the dose of a plan, compared with nothing.

    Parameters
    ----------
    plan : Plan
        Gives samples and dose.
    n : int
        Number of energies.
    options : dict
        Of `choose_energies`, but for the dose.
    """
    plain = {**options, "compare_with": {}}
    return choose_energies(plan.expected, n, absorbed_eV=plan.absorbed_eV, **plain)


def with_unsaturated(plan: Plan, options: dict[str, Any]) -> Plan:
    """The plan, compared under `UNSATURATED` with the best one that avoids energies at which the
    optical density exceeds `THICK_OD`: where it has such energies, and where they can be avoided.

    Parameters
    ----------
    plan, options
        As of `chosen_again`.
    """
    if not (plan.highest_od > THICK_OD).any():
        return plan
    try:
        thin = chosen_again(plan, plan.energies.size, {**options, "highest_od": THICK_OD})
    except FitError:  # no energies are left, or these do not tell the standards apart
        return plan
    return replace(plan, compared={**plan.compared, UNSATURATED: thin})
