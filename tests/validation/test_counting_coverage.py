"""Do the stated counting errors cover? 68 % intervals against the truth of counted stacks."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
from truth_table import Reach

import chemoscape as cs
from chemoscape.errors import ChemoscapeWarning
from chemoscape.simulate import from_image

SEEDS = range(5100, 5120)
NAMES = {
    0.0: "alpha-V2O5",
    0.1: "alpha-Li0.1V2O5",
    0.3: "epsilon-Li0.3V2O5",
    0.45: "epsilon-Li0.45V2O5",
    0.7: "epsilon-Li0.7V2O5",
    0.9: "delta-Li0.9V2O5",
}
#: 46 × 46 pixels of sample within an empty border.
BORDER = 9
SQUARE = np.pad(np.tile(np.linspace(0.4, 1.0, 46), (46, 1)), BORDER)


@cache
def coverage(low: float, high: float, composition: float) -> dict[str, float]:
    """Share of pixels whose error is below its stated counting error, over all seeds, fitted with
    the two standards that are there and with six.
    """
    six = cs.open_library("lixv2o5-model")
    two = six.select(NAMES[low], NAMES[high])
    covered: dict[str, list[np.ndarray]] = {"two": [], "six": []}
    for seed in SEEDS:
        truth = from_image(SQUARE, two, composition=composition, poisson=True, seed=seed)
        od = cs.optical_density(truth.stack, i0=truth.i0, noise=1.0)
        inner = {name: slice(BORDER, -BORDER) for name in ("y", "x")}
        for count, library in (("two", two), ("six", six)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ChemoscapeWarning)  # of chance, in one seed of many
                maps = cs.deconvolve(od.isel(inner), library, energy_shift=0.0)
            comp = cs.composition(maps, library)
            error = np.abs(comp["composition"] - truth.composition.isel(inner)).values
            assert np.isfinite(error).all()
            covered[count].append(error <= comp["composition_sd_counting"].values)
    assert np.size(covered["two"]) >= 2000 * len(SEEDS)
    return {count: float(np.mean(share)) for count, share in covered.items()}


@pytest.mark.parametrize("count", ["two", "six"])
@pytest.mark.parametrize(("low", "high", "composition"), [(0.1, 0.45, 0.345), (0.45, 0.9, 0.6)])
def test_mixed_pixels(
    low: float, high: float, composition: float, count: str, reach: Reach
) -> None:
    share = coverage(low, high, composition)[count]
    what = f"68 % intervals of mixed pixels cover, {count} standards"
    reach("counting errors", what, share, within=(0.64, 0.72))


@pytest.mark.parametrize(
    ("low", "high", "pure", "count"),
    [(0.1, 0.45, 0.1, "two"), (0.0, 0.9, 0.0, "two"), (0.0, 0.9, 0.0, "six")],
)
def test_pure_pixels_at_a_bound(
    low: float, high: float, pure: float, count: str, reach: Reach
) -> None:
    """One-sided errors: their intervals cover more."""
    what = f"68 % intervals of pure pixels cover, {count} standards"
    reach("counting errors", what, coverage(low, high, pure)[count], within=(0.64, 0.88))
