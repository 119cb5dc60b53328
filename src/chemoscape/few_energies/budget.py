"""How much dose and how thick a sample: what a wanted error of composition costs."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar

from chemoscape.errors import FitError, require_choice
from chemoscape.few_energies.expected import Expected
from chemoscape.few_energies.selection import Plan, Shares, choose_energies, predict

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
    return np.array([_of_thickness(plan, float(one), hold).rms for one in np.atleast_1d(factors)])


def best_thickness(plan: Plan, *, hold: Literal["dose", "photons"] = "dose") -> Plan:
    """The plan for a sample, thinner or thicker, whose composition errs least.

    Parameters
    ----------
    plan, hold
        As of `sd_against_thickness`.
    """
    require_choice("hold", hold, "dose", "photons")
    peak = float(plan.highest_od.max())
    grid = np.log(np.geomspace(THINNEST_OD / peak, THICKEST_OD / peak, 40))
    place = int(np.argmin(sd_against_thickness(plan, np.exp(grid), hold=hold)))
    around = grid[max(place - 1, 0)], grid[min(place + 1, grid.size - 1)]
    found = minimize_scalar(
        lambda log_factor: _of_thickness(plan, float(np.exp(log_factor)), hold).rms,
        bounds=around,
        method="bounded",
        options={"xatol": 1e-4},
    )
    return _of_thickness(plan, float(np.exp(found.x)), hold)


def _of_thickness(plan: Plan, factor: float, hold: str) -> Plan:
    """The same measurement of a sample that is thicker by a factor."""
    thick = plan.expected.scaled(factor)
    same: dict[str, Any] = {"photons": float(plan.photons.sum())}
    if hold == "dose":  # energy per mass
        same = {"absorbed_eV": plan.absorbed_eV * factor}
    return predict(
        thick,
        plan.energies,
        **same,
        shares=plan.photons,
        nuisance=plan.nuisance,
        pixel_um=plan.pixel_um,
        efficiency=plan.efficiency,
    )


def saturated(plan: Plan) -> list[str]:
    """A sentence for each energy at which a sample lets too little light through."""
    said = []
    for energy, od in zip(plan.energies, plan.highest_od, strict=True):
        if od > THICK_OD:
            much = "next to no light" if od > TOO_THICK_OD else "little light"
            said.append(
                f"at {energy:.1f} eV the optical density reaches {od:.1f}: {much} comes through, "
                "so that stray light and higher orders make it too small"
            )
    return said


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
