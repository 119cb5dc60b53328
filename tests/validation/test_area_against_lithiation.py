"""Area against lithiation: intervals that hold what they promise, over 200 made-up ensembles.

About 83 particles in three phases, areas scattered log-normally about a size that falls with the
lithium in them, compositions measured with an error. The truth of the slope is that of the making;
that of Spearman's rho is the rank correlation of a very large ensemble.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from chemoscape.particles.resampling import modes
from chemoscape.particles.statistics import ensemble_statistics

PHASES = np.array([0.3, 0.45, 0.9])
MODES_UM2 = np.array([12.4, 11.9, 6.8])
SCATTER = 0.5  # of ln area
SEEDS = 200

# one in a hundred ensembles seems to follow the direction of its wires by chance
pytestmark = pytest.mark.filterwarnings("ignore:composition changes")


def straight(rng, n):
    """Compositions about the phases', ln area falling by 1 per lithium."""
    x = rng.normal(PHASES[rng.integers(0, 3, n)], 0.05)
    return x, rng.normal(2.9 - 1.0 * x, SCATTER)


def in_steps(rng, n):
    """One composition per phase, areas about the modes that the paper prints."""
    phase = rng.integers(0, 3, n)
    return PHASES[phase], rng.normal(np.log(MODES_UM2[phase]) + SCATTER**2, SCATTER)


def uneven(rng, n):
    """Small particles scatter more, and their compositions are less certain."""
    x = rng.normal(PHASES[rng.integers(0, 3, n)], 0.05)
    return x, rng.normal(2.9 - 1.0 * x, 0.3 + 0.4 * np.clip(x, 0, 1))


MAKERS = {"straight": (straight, 0.02), "steps": (in_steps, 0.0), "uneven": (uneven, 0.08)}


def table_of(x, log_area, error, rng):
    n = len(x)
    columns = {
        "border": np.zeros(n, bool),
        "solidity": np.ones(n),
        "aspect": np.full(n, 8.0),
        "score": np.ones(n),
        "orientation": rng.uniform(0, 180, n),
        "area_raw": np.exp(log_area),
        "composition_mean": x + error * rng.normal(size=n),
        "composition_se_counting": np.full(n, error),
    }
    return xr.Dataset({name: ("particle", one) for name, one in columns.items()})


@cache
def truth(kind):
    """Slope and rho (of compositions as measured) of two million particles."""
    make, error = MAKERS[kind]
    rng = np.random.default_rng(10**6)
    x, y = make(rng, 2_000_000)
    seen = x + error * rng.normal(size=x.size)
    return np.polyfit(x, y, 1)[0], stats.spearmanr(seen, y)[0]


@pytest.mark.parametrize("kind", MAKERS)
def test_intervals_cover_and_signs_are_right(kind, reach):
    make, error = MAKERS[kind]
    slope, rho = truth(kind)
    covered, signs, alarms = np.zeros(2), 0, 0
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(75, 92))
        table = table_of(*make(rng, n), error, rng)
        found = ensemble_statistics(table, n_boot=400, seed=seed)
        line, ranks = found.regression.slope, found.correlation.rho
        covered += [line.low <= slope <= line.high, ranks.low <= rho <= ranks.high]
        signs += line.value < 0 and ranks.value < 0
        alarms += found.angle.suspicious
    case = "area against lithiation"
    reach(case, "share of 200 ensembles with the right sign", signs / SEEDS, least=1.0)
    for name, one in zip(("slope", "rank correlation"), covered / SEEDS, strict=True):
        reach(case, f"95 % intervals of the {name} cover", one, within=(0.90, 0.98))
    assert alarms <= 6  # of 200 at p < 0.01


@pytest.mark.parametrize("n", [10, 28, 80])
def test_modes_of_log_normal_sizes(n):
    """The density of ln size is largest at its median."""
    covered = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        _, drawn = modes(rng.normal(2.5, SCATTER, n), rng, 300)
        low, high = np.quantile(drawn, (0.025, 0.975))
        covered += low <= 2.5 <= high
    assert 0.90 <= covered / 300 <= 0.98


def test_modes_of_the_paper():
    """With 28 particles each, 12.4 and 11.9 µm² are not told apart; 6.8 is, more often than not."""
    told = np.zeros(2)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        phase = np.repeat(np.arange(3), 28)
        area = rng.normal(np.log(MODES_UM2[phase]), SCATTER)
        table = table_of(PHASES[phase], area, 0.0, rng)
        table["dominant_phase"] = ("particle", np.array(["e03", "e045", "d09"])[phase])
        share = np.eye(3)[phase]
        table = table.assign_coords(phase=["e03", "e045", "d09"]).assign(
            phase_fraction=(("particle", "phase"), share)
        )
        found = ensemble_statistics(table, n_boot=300, seed=seed)
        told += [found.differences[0].told_apart, found.differences[1].told_apart]
    assert told[0] <= 0.1 * 60
    assert told[1] >= 0.5 * 60
