"""What an ensemble of particles says, in sentences, with every interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from chemoscape.particles.contacts import NeighbourTest
from chemoscape.particles.statistics import LEAST


def statistics_in_words(found: Mapping[str, Any] | None, n: int) -> list[str]:
    """The statistics of a summary (`EnsembleStatistics.to_dict`) as sentences.

    Examples
    --------
    >>> statistics_in_words(None, 3)
    ['3 particles are fewer than 8: no statistics of size and composition.']
    """
    if found is None:
        if n < LEAST:
            return [f"{n} particles are fewer than {LEAST}: no statistics of size and composition."]
        return ["No statistics of size and composition were made: see the run's warnings."]
    words = [f"{found['n_used']} of {found['n_found']} particles count in the statistics."]
    if found["left_out"]:
        left = "; ".join(f"{number} {reason}" for reason, number in found["left_out"].items())
        words.append(f"Left out: {left}.")
    for one in found["phases"]:
        mode = (
            f"most frequent area {_interval(one['mode'])} µm²"
            if one["mode"]
            else "too few for a most frequent area"
        )
        words.append(
            f"{one['phase']}: {one['n']} particles, median area {_digits(one['median'])} µm², "
            f"{mode}."
        )
    for one in found["differences"]:
        verdict = "are told apart" if one["told_apart"] else "cannot be told apart"
        words.append(
            f"The most frequent areas of {one['first']} and {one['second']} {verdict} (difference "
            f"{_interval(one['difference'])} µm²)."
        )
    if found["correlation"]:
        rho, p = found["correlation"]["rho"], found["correlation"]["p"]
        way = "larger" if (rho["value"] or 0) > 0 else "smaller"
        verdict = (
            "Size and composition show no correlation"
            if p >= 0.05
            else f"Particles of higher composition are {way}"
        )
        words.append(f"{verdict}: Spearman's ρ = {_interval(rho)}, p = {p:.2g}.")
    if found["regression"]:
        slope = found["regression"]["slope"]
        words.append(f"ln(area) changes by {_interval(slope)} per unit of composition.")
    for key, where in (("angle", ""), ("angle_within", " within phases")):
        one = found[key]
        if one:
            words.append(
                f"Composition with the direction of the long axis{where}: amplitude "
                f"{_interval(one['amplitude'])}, p = {one['p']:.2g}."
            )
    return [*words, *(f"{note[0].upper()}{note[1:]}." for note in found["notes"])]


def contacts_in_words(touching: xr.Dataset, test: NeighbourTest | None) -> list[str]:
    """How many particles touch, and whether neighbours are alike."""
    reach = 1000 * float(touching.attrs["reach_um"])
    number = touching.sizes["contact"]
    pairs = "pair" if number == 1 else "pairs"
    words = [f"{number} {pairs} of particles touch or lie within {reach:.0f} nm, the resolution."]
    if test is None:
        return words
    words.append(f"{test.verdict[0].upper()}{test.verdict[1:]}.")
    if np.isfinite(test.p):
        words.append(
            f"Mean difference in contact {test.seen:.3f}; by chance {test.expected:.3f} (95 %: "
            f"{test.low:.3f} to {test.high:.3f}), p = {test.p:.2g}."
        )
    return words


def _interval(one: Mapping[str, float | None]) -> str:
    """Value with its 95 % interval."""
    return f"{_digits(one['value'])} ({_digits(one['low'])} to {_digits(one['high'])})"


def _digits(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}".replace("-", "−")
