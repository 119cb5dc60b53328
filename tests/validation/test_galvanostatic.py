"""Known plateaus are found again: potentials, compositions, hysteresis, for any voltmeter.

SYNTHETIC curves; what is compared with is the truth that they were made from, a closed form, or a
derivative taken another way.
"""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.electrochemistry import (
    SimulatedPlateau,
    capacity_density,
    hysteresis,
    lithiation,
    open_cycling,
    plateaus,
    simulate_cycling,
    write_cycling,
)


def found_and_true(**settings):
    """Plateaus and truth, in the same order: discharge then charge, by falling potential."""
    curve, truth = simulate_cycling(**settings)
    found = plateaus(lithiation(curve, mass_mg=1 / 0.7, active_fraction=0.7))
    potential = np.concatenate([truth["potential_discharge"], truth["potential_charge"]])
    edges = {side: np.tile(truth[f"x_{side}"].values, 2) for side in ("low", "high")}
    return found, potential, edges


def test_potentials_and_compositions_over_seeds():
    """Twelve seeds, a voltmeter of 0.1 mV with 0.3 mV of noise, plateaus that fall by 4 mV.

    Measured: potentials within 0.4 mV, edges within 0.008 in x, and 0.9 of their own sd (rms).
    """
    volts, low, high, pulls = [], [], [], []
    for seed in range(12):
        found, potential, edges = found_and_true(seed=seed)
        assert found.sizes["plateau"] == 4
        volts.append(found["potential"].values - potential)
        low.append(found["x_low"].values - edges["low"])
        high.append(found["x_high"].values - edges["high"])
        pulls += [low[-1] / found["x_edge_sd"].values, high[-1] / found["x_edge_sd"].values]
    assert np.abs(volts).max() < 0.0005
    assert np.abs(low).max() < 0.01
    assert np.abs(high).max() < 0.01
    assert np.sqrt(np.mean(np.square(pulls))) < 2.0


@pytest.mark.parametrize(
    ("resolution", "noise", "within"),
    [(0.0, 0.0, 0.0005), (0.001, 0.0002, 0.0007), (0.005, 0.0, 0.003), (0.0001, 0.003, 0.001)],
)
def test_digitised_and_noisy_voltages(resolution, noise, within):
    """A voltmeter of 5 mV, where a derivative by differences divides by zero on every plateau."""
    found, potential, edges = found_and_true(resolution_V=resolution, noise_V=noise, seed=3)
    assert found.sizes["plateau"] == 4
    np.testing.assert_allclose(found["potential"], potential, atol=within)
    np.testing.assert_allclose(found["x_low"], edges["low"], atol=0.02)
    np.testing.assert_allclose(found["x_high"], edges["high"], atol=0.02)


def test_the_quoted_potential_error_covers():
    """Pulls of the potentials over seeds and voltmeters, common offsets left in: rms below 2."""
    pulls = []
    for seed in range(8):
        for resolution in (0.0001, 0.001):
            found, potential, _ = found_and_true(seed=seed, resolution_V=resolution, tilt_V=0.001)
            pulls.append((found["potential"].values - potential) / found["potential_sd"].values)
    assert np.sqrt(np.mean(np.square(pulls))) < 2.0


def test_hysteresis_is_twice_the_polarisation():
    for polarisation in (0.02, 0.08):
        found, _, _ = found_and_true(polarisation_V=polarisation, seed=1)
        pairs = hysteresis(found)
        np.testing.assert_allclose(pairs["hysteresis"], 2 * polarisation, atol=0.0005)
        np.testing.assert_allclose(pairs["middle"], [3.38, 3.18], atol=0.0005)


def test_the_density_holds_the_capacity_and_is_the_derivative():
    """Its integral is the charge; where the curve is smooth it is 1 / (dV/dQ) by differences."""
    curve, _ = simulate_cycling(noise_V=0.0, resolution_V=0.0, interval_s=5.0, tilt_V=0.05)
    data = capacity_density(curve)
    pitch = float(data["potential"][1] - data["potential"][0])
    passed = np.bincount(curve["half_cycle"], np.abs(np.diff(curve["charge"], prepend=0.0)))
    # of the charge, what passes before its first record has no voltage
    np.testing.assert_allclose(data["density"].sum("potential") * pitch, passed, rtol=1e-3)
    at = (curve["half_cycle"].values == 0) & (curve["direction"].values != 0)
    volts, charge = curve["voltage"].values[at], curve["charge"].values[at]
    for middle in (3.23, 3.33):  # in a solid solution, and on the plateau that slopes
        near = np.abs(volts - middle) < 0.004
        slope = np.polyfit(charge[near], volts[near], 1)[0]
        own = float(data["density"][0].interp(potential=middle))
        assert own == pytest.approx(1 / slope, rel=0.02)


def test_sloping_solid_solutions_are_no_plateaus():
    """One plateau in a curve that otherwise falls evenly; and sparse records."""
    one = (SimulatedPlateau(3.3, 0.4, 0.6),)
    curve, truth = simulate_cycling(one, interval_s=120.0, seed=5)
    found = plateaus(lithiation(curve, mass_mg=1.0, active_fraction=1.0))
    assert found.sizes["plateau"] == 2
    np.testing.assert_allclose(found["potential"], [3.25, 3.35], atol=0.001)
    np.testing.assert_allclose(found["x_low"], truth["x_low"].item(), atol=0.01)
    np.testing.assert_allclose(found["share"], 0.2, atol=0.02)


@pytest.mark.parametrize(("noise", "step"), [(0.0, 0.0), (0.0003, 0.0001), (0.0, 0.005)])
def test_a_solid_solution_alone_has_no_plateau(noise, step):
    """A straight line has one broad peak of dQ/dV, of all its width."""
    curve, _ = simulate_cycling()
    charge = curve["charge"].values
    volts = 3.5 + charge / np.abs(charge).max() + 0.05 * curve["direction"].values
    volts = volts + np.random.default_rng(1).normal(0, noise, volts.size)
    curve["voltage"] = ("point", np.round(volts / step) * step if step else volts)
    found = plateaus(curve)
    assert found.sizes["plateau"] == 0
    assert hysteresis(found).sizes["pair"] == 0


def test_a_noise_of_20_mV_makes_no_plateaus_and_moves_none_far():
    """Averaged before it is smoothed: a smoothing for all of the noise drew them 13 mV aside."""
    for seed in range(3):
        found, potential, _ = found_and_true(noise_V=0.02, interval_s=10.0, seed=seed)
        assert found.sizes["plateau"] == 4
        np.testing.assert_allclose(found["potential"], potential, atol=0.006)


@pytest.mark.parametrize("decimal", [".", ","])
def test_through_a_file(tmp_path, decimal):
    """Written as Land writes, with 10 ms, 0.1 µA and 10 µV; the integral and the counter agree."""
    curve, truth = simulate_cycling(half_cycles=3, kept_share=0.9, seed=2)
    read = open_cycling(write_cycling(curve, tmp_path / "cell.txt", decimal=decimal))
    assert "SYNTHETIC" in read.attrs["header"]
    read = lithiation(read, mass_mg=1 / 0.7, active_fraction=0.7)
    np.testing.assert_allclose(read["x"], truth["x"], atol=2e-4)
    assert read.attrs["counter_difference"] < 2e-4
    # and without the counter
    text = (tmp_path / "cell.txt").read_text().replace("Capacity/mAh", "nothing")
    (tmp_path / "bare.txt").write_text(text)
    bare = open_cycling(tmp_path / "bare.txt")
    bare = lithiation(bare, mass_mg=1 / 0.7, active_fraction=0.7)
    np.testing.assert_allclose(bare["x"], truth["x"], atol=5e-4)
    np.testing.assert_allclose(plateaus(bare)["potential"], plateaus(read)["potential"], atol=1e-5)
