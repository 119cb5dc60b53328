"""Statistics of ensembles: against scipy, against known answers, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from chemoscape.errors import ChemoscapeWarning, FitError, StackError
from chemoscape.particles import resampling
from chemoscape.particles.masks import from_dense
from chemoscape.particles.selection import Filters
from chemoscape.particles.statistics import ensemble_statistics
from chemoscape.particles.table import particle_table


def table_of(x, area, **columns):
    n = len(x)
    own = {
        "border": np.zeros(n, bool),
        "solidity": np.ones(n),
        "aspect": np.full(n, 8.0),
        "score": np.ones(n),
        "orientation": np.random.default_rng(n).uniform(0, 180, n),
        "area_raw": np.asarray(area, float),
        "composition_mean": np.asarray(x, float),
        **columns,
    }
    return xr.Dataset({name: ("particle", one) for name, one in own.items()})


def made(n=60, seed=0, slope=-1.0, error=0.0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.2, 1.0, n)
    area = np.exp(2.0 + slope * x + 0.4 * rng.normal(size=n))
    return table_of(x + error * rng.normal(size=n), area, composition_se_counting=np.full(n, error))


def with_phases(table, share, names):
    share = np.asarray(share, float)
    return table.assign_coords(phase=list(names)).assign(
        phase_fraction=(("particle", "phase"), share),
        dominant_phase=("particle", np.array(list(names))[share.argmax(axis=1)]),
    )


# --- numerics -----------------------------------------------------------------------------------


def test_rank_correlation_of_draws_is_scipys():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 5, 30).astype(float), rng.normal(size=30)
    counts = resampling.draws(rng, 30, 50)
    found = resampling.spearman(counts, x, y)
    for row, rho in zip(counts.astype(int), found, strict=True):
        assert rho == pytest.approx(stats.spearmanr(x.repeat(row), y.repeat(row))[0])


def test_permutation_p_is_scipys():
    rng = np.random.default_rng(2)
    x = rng.normal(size=25)
    y = -0.4 * x + rng.normal(size=25)
    rho, p = resampling.rank_correlation(x, y, rng, 5000)
    expected = stats.spearmanr(x, y)
    assert rho.value == pytest.approx(expected.statistic)
    assert p == pytest.approx(expected.pvalue, abs=0.02)


def test_slopes_of_draws_are_least_squares():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 20))
    counts = resampling.draws(rng, 20, 20)
    slope, error = resampling.slope(counts, x, y, np.zeros(20))
    for row, b in zip(counts.astype(int), slope, strict=True):
        assert b == pytest.approx(np.polyfit(x.repeat(row), y.repeat(row), 1)[0])
    assert (error > 0).all()


@pytest.mark.filterwarnings("ignore:composition changes")  # one in a hundred does by chance
def test_errors_of_composition_do_not_flatten_the_slope():
    plain, corrected = [], []
    for seed in range(60):
        table = made(200, seed, error=0.12)
        corrected.append(ensemble_statistics(table, n_boot=100).regression.slope.value)
        without = table.drop_vars("composition_se_counting")
        plain.append(ensemble_statistics(without, n_boot=100).regression.slope.value)
    reliability = 0.0533 / (0.0533 + 0.12**2)
    assert np.mean(plain) == pytest.approx(-reliability, abs=0.05)
    assert np.mean(corrected) == pytest.approx(-1.0, abs=0.05)


def test_modes_are_where_a_known_density_is_largest():
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(0, 0.3, 3000), rng.normal(4, 0.3, 1000)])
    at, drawn = resampling.modes(values, rng, 200)
    assert at == pytest.approx(0, abs=0.2)
    assert abs(drawn).max() < 0.5
    grid, kernels = resampling.density(values, 0.2)
    assert kernels.mean(axis=0).sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=0.01)


def test_the_angle_is_doubled():
    angle = np.linspace(0, 180, 40, endpoint=False)
    y = 0.5 + 0.1 * np.cos(2 * np.radians(angle - 170))
    found, direction, p = resampling.angle_regression(angle, y, np.random.default_rng(0), 500)
    assert found.value == pytest.approx(0.1)
    assert direction == pytest.approx(170)
    assert p < 0.01


def test_wires_in_two_directions_have_no_other_component():
    angle = np.tile([0.0, 90.0], 20)
    y = np.tile([0.4, 0.6], 20) + 0.001 * np.arange(40)
    found, direction, p = resampling.angle_regression(angle, y, np.random.default_rng(0), 500)
    assert found.value == pytest.approx(0.1, abs=0.001)
    assert found.high < 0.12
    assert direction == pytest.approx(90)
    assert p < 0.01


# --- the public function ------------------------------------------------------------------------


def test_what_is_left_out_is_counted():
    table = made(60)
    table["border"][:5] = True
    table["solidity"][3:8] = 0.5
    table["aspect"][8:10] = 1.5
    table["score"][10:12] = 0.2
    table["area_raw"][12] = np.nan
    table["composition_mean"][13] = np.nan
    found = ensemble_statistics(table, n_boot=100)
    assert found.n_found == 60
    assert found.n_used == 46
    assert list(found.left_out.values()) == [5, 2, 3, 2, 1, 1]
    assert "left out: 5 at the edge of the map" in str(found)
    everything = Filters(border=False, least_solidity=0, least_aspect=0, least_score=0)
    assert ensemble_statistics(table, filters=everything, n_boot=100).n_used == 58


def test_an_inverse_relation_is_found_and_printed():
    found = ensemble_statistics(made(83), n_boot=500)
    assert found.correlation.rho.high < 0
    assert found.correlation.p < 0.01
    assert found.regression.slope.low < -1 < found.regression.slope.high
    assert found.route == "joint"
    assert "Spearman" in str(found)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["regression"]["slope"]["value"] == pytest.approx(found.regression.slope.value)
    assert "particles" not in told


def test_the_same_seed_gives_the_same_numbers():
    table = made(40)
    first, second = (ensemble_statistics(table, n_boot=200, seed=7) for _ in range(2))
    assert first == second
    assert first != ensemble_statistics(table, n_boot=200, seed=8)


def test_phases_that_differ_and_phases_that_do_not():
    rng = np.random.default_rng(5)
    phase = np.repeat([0, 1, 2], 40)
    area = np.exp(rng.normal(np.log([12.0, 12.0, 3.0])[phase], 0.4))
    table = table_of(np.array([0.3, 0.45, 0.9])[phase], area)
    found = ensemble_statistics(with_phases(table, np.eye(3)[phase], "abc"), n_boot=500)
    assert [one.n for one in found.phases] == [40, 40, 40]
    assert [one.told_apart for one in found.differences] == [False, True, True]
    assert "a − b" in str(found)
    assert "cannot be told apart" in str(found)
    assert found.to_dict()["differences"][0]["told_apart"] is False
    assert found.phases[2].composition == pytest.approx(0.9)


def test_mixed_particles_of_a_joint_table():
    share = np.full((20, 2), 0.5)
    share[:12] = [0.95, 0.05]
    share[12:16] = [0.3, 0.7]
    found = ensemble_statistics(with_phases(made(20), share, "ab"), n_boot=100)
    assert found.n_mixed == 8
    assert any("8 particles" in note for note in found.notes)


def test_one_table_per_phase_counts_mixed_particles_twice():
    masks = np.zeros((20, 80, 200), bool)
    for number, mask in enumerate(masks):
        left, top = 4 + 9 * number, 5
        mask[top : top + 30 + number, left : left + 4] = True
    first, second = masks[:12], masks[10:].copy()
    second[0, :10] = False  # a part of the same particle
    tables = {
        name: particle_table(from_dense(one), np.ones((80, 200)), 0.1)
        for name, one in (("a", first), ("b", second))
    }
    values = {"a": 0.3, "b": 0.9}
    found = ensemble_statistics(tables, compositions=values, n_boot=100)
    assert found.route == "per phase"
    assert found.n_found == 22
    assert found.n_mixed == 2
    assert [one.n for one in found.phases] == [12, 10]
    assert found.angle is None
    assert not found.regression.errors_considered
    assert found.correlation.rho.value > 0
    with pytest.raises(StackError, match=r"of a has no composition_mean.*or give those"):
        ensemble_statistics(tables)
    other = particle_table(from_dense(second[:, :, :150]), np.ones((80, 150)), 0.1)
    with pytest.raises(StackError, match="different shape"):
        ensemble_statistics({**tables, "b": other}, compositions=values, n_boot=100)
    with pytest.raises(StackError, match="no particle table"):
        ensemble_statistics({})


def test_dichroism_is_told():
    table = made(80, slope=0.0)
    angle = table["orientation"].values
    table["composition_mean"] += 0.2 * np.cos(2 * np.radians(angle))
    with pytest.warns(ChemoscapeWarning, match="orientation"):
        found = ensemble_statistics(table, n_boot=500)
    assert found.angle.suspicious
    assert found.angle.direction == pytest.approx(0, abs=15) or found.angle.direction > 165
    assert found.angle_within is None
    assert not ensemble_statistics(made(80), n_boot=500).angle.suspicious


def test_dichroism_is_told_within_phases_that_hide_it():
    rng = np.random.default_rng(11)
    phase = np.repeat([0, 1], 40)
    table = table_of(np.array([0.1, 0.9])[phase], np.exp(rng.normal(size=80)))
    angle = np.radians(table["orientation"].values)
    table["composition_mean"] += 0.03 * np.cos(2 * angle) + 0.02 * rng.normal(size=80)
    table = with_phases(table, np.eye(2)[phase], "ab")
    with pytest.warns(ChemoscapeWarning, match="within phases"):
        found = ensemble_statistics(table, n_boot=500)
    assert found.angle_within.amplitude.value == pytest.approx(0.03, abs=0.012)


def test_wires_in_one_direction_say_nothing_of_it():
    table = made(40)
    table["orientation"] = ("particle", 90 + np.random.default_rng(0).normal(0, 1, 40))
    found = ensemble_statistics(table, n_boot=100)
    assert found.angle is None
    assert any("one direction" in note for note in found.notes)


@pytest.mark.parametrize("n", [0, 1, 5, 7])
def test_few_particles_are_refused(n):
    found = ensemble_statistics(made(n), n_boot=100)
    assert found.correlation is found.regression is found.angle is None
    assert all(one.mode is None for one in found.phases)
    assert any("fewer than 8" in note for note in found.notes)
    json.dumps(found.to_dict(), allow_nan=False)
    assert f"{n} of {n} particles" in str(found)


def test_what_does_not_vary_is_refused():
    table = table_of(np.full(20, 0.45), np.linspace(1, 5, 20))
    found = ensemble_statistics(table, n_boot=100)
    assert found.correlation is found.angle is None
    equal = ensemble_statistics(table_of(np.linspace(0, 1, 20), np.ones(20)), n_boot=100)
    assert equal.correlation is None
    assert equal.phases[0].mode.value == pytest.approx(1.0, abs=0.02)


def test_compositions_no_better_than_their_errors_have_no_slope():
    table = made(40)
    table["composition_se_counting"] += 0.2
    found = ensemble_statistics(table, n_boot=100)
    assert found.regression is None
    assert found.correlation is not None
    assert any("no slope" in note for note in found.notes)


def test_what_is_missing_is_named():
    with pytest.raises(StackError, match="area_psf"):
        ensemble_statistics(made(20), size="area_psf")
    with pytest.raises(StackError, match="with_composition"):
        ensemble_statistics(made(20).drop_vars("composition_mean"))
    with pytest.raises(FitError, match="n_boot"):
        ensemble_statistics(made(20), n_boot=10)
