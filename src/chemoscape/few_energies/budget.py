"""How much dose and how thick a sample: what a wanted error of composition costs."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar

from chemoscape.errors import FitError, require_choice
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.plan import Plan, errors_of
from chemoscape.few_energies.selection import Shares, choose_energies, predict

#: Optical densities from which little light comes through, and from which next to none does.
THICK_OD, TOO_THICK_OD = 1.5, 2.2
#: Energies absorbed in a pixel, eV: with the first counting no longer matters, with the other no
#: photon was absorbed.
_WITHOUT_COUNTING, _NOTHING = 1e13, 1.0
#: Rounds of choosing energies and asking for their dose.
_ROUNDS = 6
#: Thicknesses looked at, by the highest optical density at the energies: beyond, there is no light.
THINNEST_OD, THICKEST_OD = 0.02, 8.0


def least_sd(expected: Expected, energies: ArrayLike, **options: Any) -> float:
    """Error of composition that is left at any dose: that of energies, I0 and offset alone.

    Parameters
    ----------
    expected, energies
        As of `predict`.
    **options
        ``nuisance``, ``shares``, ``pixel_um`` and ``efficiency`` of `predict`.
    """
    return predict(expected, energies, absorbed_eV=_WITHOUT_COUNTING, **options).rms


def needed(
    expected: Expected,
    energies: ArrayLike,
    wanted_sd: float,
    *,
    shares: Shares = "best",
    **options: Any,
) -> Plan:
    """The least dose at which given energies reach a wanted error of composition.

    Parameters
    ----------
    expected, energies, shares
        As of `predict`.
    wanted_sd : float
        Root mean square over the samples of a pixel's standard deviation.
    **options
        ``nuisance``, ``pixel_um`` and ``efficiency`` of `predict`.

    Returns
    -------
    Plan
        With photons, dose and dwell for it.

    Raises
    ------
    FitError
        No dose reaches it.
    """
    _require_sd(wanted_sd)
    least = predict(expected, energies, absorbed_eV=_WITHOUT_COUNTING, shares=shares, **options)
    if not wanted_sd > least.rms * (1 + 1e-6):
        raise _out_of_reach(least, wanted_sd)

    def excess(log_eV: float) -> float:
        plan = predict(expected, energies, absorbed_eV=np.exp(log_eV), shares=shares, **options)
        return float(np.log(plan.rms / wanted_sd))

    low, high = np.log(_NOTHING), np.log(_WITHOUT_COUNTING)
    if excess(low) < 0:
        raise FitError(
            f"an error of {wanted_sd:g} takes no measurement: a single photon reaches it",
            remedy="ask for a smaller one",
        )
    absorbed = float(np.exp(brentq(excess, low, high, rtol=1e-9)))
    return predict(expected, energies, absorbed_eV=absorbed, shares=shares, **options)


def choose_for(expected: Expected, n: int, wanted_sd: float, **options: Any) -> Plan:
    """The `n` energies that reach a wanted error of composition at the least dose.

    Which energies are best depends on the dose: it is lowered until both fit together.

    Parameters
    ----------
    expected, n
        As of `choose_energies`.
    wanted_sd : float
        As of `needed`.
    **options
        Of `choose_energies`, but for the dose.

    Raises
    ------
    FitError
        No dose reaches it.
    """
    _require_sd(wanted_sd)
    how = {k: options[k] for k in ("nuisance", "pixel_um", "efficiency", "shares") if k in options}
    plain = {**options, "compare_with": {}}
    plan = choose_energies(expected, n, absorbed_eV=_WITHOUT_COUNTING, **plain)
    if not wanted_sd > plan.rms * (1 + 1e-6):
        raise _out_of_reach(plan, wanted_sd)
    absorbed = 0.0
    for _ in range(_ROUNDS):
        absorbed = needed(expected, plan.energies, wanted_sd, **how).absorbed_eV
        before, plan = plan, choose_energies(expected, n, absorbed_eV=absorbed, **plain)
        if np.array_equal(plan.energies, before.energies):
            break
    else:
        absorbed = needed(expected, plan.energies, wanted_sd, **how).absorbed_eV
    final = {**options, "always": plan.energies.tolist()}
    return choose_energies(expected, n, absorbed_eV=absorbed, **final)


def sd_against_thickness(
    plan: Plan, factors: ArrayLike, *, hold: Literal["dose", "photons"] = "dose"
) -> np.ndarray:
    """Error of composition of samples that are thicker by `factors`, (n_factors,).

    A thin sample changes the beam too little, a thick one lets too little of it through; at a given
    dose a thick one may take more photons, since it shades itself.

    Parameters
    ----------
    plan : Plan
        Its energies, with photons in the same proportion.
    factors : array_like
        Thickness over that of the plan's samples.
    hold : "dose" or "photons"
        What all of them get alike.
    """
    require_choice("hold", hold, "dose", "photons")
    factors = np.atleast_1d(np.asarray(factors, dtype=np.float64))
    if not (np.isfinite(factors) & (factors > 0)).all():
        raise FitError(
            "a sample cannot be 0 times as thick, or less", remedy="give factors above 0"
        )
    counts = plan.efficiency * _photons(plan, factors, hold)
    _, parts = errors_of(plan.expected, plan.energies, counts, plan.nuisance, factors)
    return np.asarray(np.sqrt(parts.total**2 @ plan.expected.share))


def best_thickness(plan: Plan, *, hold: Literal["dose", "photons"] = "dose") -> Plan:
    """The plan for a sample, thinner or thicker, whose composition errs least.

    Parameters
    ----------
    plan, hold
        As of `sd_against_thickness`.
    """
    peak = float(plan.highest_od.max())
    grid = np.log(np.geomspace(THINNEST_OD / peak, THICKEST_OD / peak, 40))
    place = int(np.argmin(sd_against_thickness(plan, np.exp(grid), hold=hold)))
    found = minimize_scalar(
        lambda log_factor: float(sd_against_thickness(plan, np.exp(log_factor), hold=hold)[0]),
        bounds=(grid[max(place - 1, 0)], grid[min(place + 1, grid.size - 1)]),
        method="bounded",
        options={"xatol": 1e-4},
    )
    factor = float(np.exp(found.x))
    (photons,) = _photons(plan, np.array([factor]), hold)
    return plan.instead(plan.energies, photons, plan.expected.scaled(factor))


def _photons(plan: Plan, factors: np.ndarray, hold: str) -> np.ndarray:
    """Photons of the images of samples thicker by `factors`, (n_factors, n)."""
    if hold == "photons":
        return np.broadcast_to(plan.photons, (factors.size, plan.photons.size))
    density = factors[:, None, None] * plan.expected.optical_density(plan.energies)
    absorbed = (plan.expected.share @ -np.expm1(-density)) * plan.energies  # eV of a photon
    # a dose is energy per mass
    more = factors * plan.absorbed_eV / (absorbed @ plan.photons)
    return np.asarray(more[:, None] * plan.photons)


def _require_sd(wanted: float) -> None:
    if not (np.isfinite(wanted) and wanted > 0):
        raise FitError(
            f"an error of composition of {wanted:g} cannot be wanted", remedy="give 0.02, say"
        )


def _out_of_reach(plan: Plan, wanted: float) -> FitError:
    """What stands in the way."""
    sources = {name: sd for name, sd in plan.by_source.items() if name != "counting"}
    worst = max(sources, key=lambda name: sources[name])
    words = {
        "energy": "the error of each image's energy",
        "calibration": "the calibration of the energy axis",
        "offset": "an offset of the optical density",
        "i0": "the error of I0",
    }
    remedy = {
        "energy": "set the energies more precisely, or take more of them",
        "calibration": "calibrate the energies, or take more of them",
        "offset": "take an image before the edge too",
        "i0": "measure I0 beside the sample in every image, or take more energies",
    }
    energies = ", ".join(f"{one:.1f}" for one in plan.energies)
    return FitError(
        f"no dose reaches an error of composition of {wanted:g} with {energies} eV: without any "
        f"counting noise {plan.rms:.2g} is left, most of it by {words[worst]}",
        remedy=remedy[worst],
    )
