"""Faraday's law against published capacities; errors; half cycles; phases; a map on the curve."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from chemoscape.electrochemistry import (
    LIXV2O5,
    Phase,
    PhaseDiagram,
    beside_the_map,
    capacity_per_ion,
    half_cycles,
    hysteresis,
    lithiation,
    place_on_curve,
    plateaus,
    read_phases,
    simulate_cycling,
    write_cycling,
)
from chemoscape.electrochemistry._records import Records
from chemoscape.electrochemistry._sequence import sequence_of
from chemoscape.errors import ChemoscapeWarning, FitError, LibraryError
from chemoscape.recipe.sections.cycling import Electrochemistry, PhaseRange


def test_published_capacities():
    """The paper: up to 441 mAh/g for three Li in V2O5; the field's 170 mAh/g for LiFePO4 and 372
    for LiC6; by hand 96485.33212 / (3.6 × 181.88)."""
    assert capacity_per_ion("V2O5") == pytest.approx(96485.33212 / (3.6 * 181.88), rel=3e-5)
    assert 3 * capacity_per_ion("V2O5") == pytest.approx(441, abs=1.2)
    assert capacity_per_ion("C6") == pytest.approx(372, abs=0.5)
    assert capacity_per_ion("V2O5", electrons=2) == 2 * capacity_per_ion("V2O5")
    curve, _ = simulate_cycling(half_cycles=1)
    iron = lithiation(
        curve, mass_mg=1.0, active_fraction=1.0, formula="FePO4", start_x=1.0, weighed_x=1.0
    )
    per_gram = iron.attrs["mAh_per_x"] / 1e-3  # of LiFePO4, as it was weighed
    assert per_gram == pytest.approx(169.9, abs=0.1)
    for wrong in ("", "Xx2"):
        with pytest.raises((FitError, LibraryError)):
            capacity_per_ion(wrong)


def test_composition_by_hand():
    """1 mAh into 10 mg of a 70:20:10 coating."""
    curve, _ = simulate_cycling(half_cycles=1, noise_V=0)
    curve["charge"] = curve["charge"] * (1.0 / abs(curve["charge"].values[-1]))
    out = lithiation(
        curve,
        mass_mg=10.0,
        active_fraction=0.7,
        start_x=0.05,
        mass_sd_mg=0.1,
        active_fraction_sd=0.014,
        current_sd_relative=0.001,
        start_x_sd=0.01,
    )
    moved = 1.0 / (0.007 * 147.36)
    assert out["x"].values[-1] == pytest.approx(0.05 + moved, rel=1e-4)
    scale = math.sqrt(0.01**2 + 0.02**2 + 0.001**2)
    assert out["x_sd_scale"].values[-1] == pytest.approx(moved * scale, rel=1e-4)
    assert out["x_sd"].values[-1] == pytest.approx(math.hypot(moved * scale, 0.01), rel=1e-4)
    assert out["x_sd"].values[0] == pytest.approx(0.01)
    assert out["specific_capacity"].values[-1] == pytest.approx(1 / 0.007, rel=1e-6)
    # an unseen current of 1 µA over the time, in charge
    drifted = lithiation(curve, mass_mg=10.0, active_fraction=0.7, current_offset_sd_mA=0.001)
    hours = float(curve["time"][-1]) / 3600
    expected = 0.001 * hours * moved
    assert drifted["x_sd"].values[-1] == pytest.approx(expected, rel=1e-4)
    silent = lithiation(curve, mass_mg=10.0, active_fraction=0.7)
    assert np.isnan(silent["x_sd"]).all()
    assert "no error of mass" in silent.attrs["scale_sd_from"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "needs the mass"),
        ({"mass_mg": -1.0, "active_fraction": 1.0}, "impossible"),
        ({"mass_mg": 1.0}, "0.7 for 70:20:10"),
        ({"mass_mg": 1.0, "active_fraction": 70.0}, "impossible"),
        ({"mass_mg": 1.0, "active_fraction": 1.0, "mass_sd_mg": -1.0}, "mass_sd_mg"),
        ({"mass_mg": 1.0, "active_fraction": 1.0, "start_x": math.nan}, "start_x"),
        ({"mass_mg": 1.0, "active_fraction": 1.0, "electrons": 0}, "electrons"),
    ],
)
def test_impossible_electrodes(wrong, said):
    curve, _ = simulate_cycling(half_cycles=1)
    with pytest.raises(FitError, match=said):
        lithiation(curve, **wrong)


def test_half_cycles_of_a_cell_that_loses():
    curve, _ = simulate_cycling(half_cycles=4, kept_share=0.95, c_rate=0.5)
    table = half_cycles(lithiation(curve, mass_mg=1.0, active_fraction=1.0))
    assert table["direction"].values.tolist() == [-1, 1, -1, 1]
    np.testing.assert_allclose(table["returned"].values[1:], [0.95, 1.0, 0.95], atol=0.004)
    assert table["coulombic_efficiency"].values == pytest.approx([0.95, 0.95], abs=0.004)
    assert table.attrs["cycles_begin_with"] == "discharge"
    np.testing.assert_allclose(table["c_rate"], 0.5, rtol=0.005)
    assert table["x_end"].values[:2] == pytest.approx([1.0, 0.05], abs=0.004)
    assert table["specific_capacity"].values[0] == pytest.approx(147.36, rel=0.005)
    # energy over charge: between the plateaus, and a polarisation apart
    gap = table["voltage_mean"].values
    assert gap[1] - gap[0] == pytest.approx(0.1, abs=0.03)


def test_phases_by_the_lever_rule(tmp_path):
    assert LIXV2O5.shares(0.8) == pytest.approx({"ε": 0.5, "δ": 0.5})
    assert LIXV2O5.at(0.95) == "δ"
    assert LIXV2O5.shares(1.2) == {}
    assert LIXV2O5.at(math.nan) == "unknown"
    file = tmp_path / "lfp.toml"
    file.write_text(
        'variable = "x in LixFePO4"\n[[phase]]\nname = "H"\nlow = 0\nhigh = 0.05\n'
        '[[phase]]\nname = "T"\nlow = 0.95\nhigh = 1.0\n'
    )
    assert read_phases(file).shares(0.5) == pytest.approx({"H": 0.5, "T": 0.5})
    for wrong, said in (
        ("phase = 3", "phase"),
        ("x = 1", "unknown keys x"),
        ("[[phase]]\nname = 'a'\nlow = 0\n", "does not describe a phase"),
        ("[[phase]]\nname = 'a'\nlow = 'b'\nhigh = 1\n", "two numbers"),
        ("[[", "not valid TOML"),
        ("", "no phase"),
    ):
        file.write_text(wrong)
        with pytest.raises(LibraryError, match=said):
            read_phases(file)
    with pytest.raises(LibraryError, match="overlap"):
        PhaseDiagram((Phase("a", 0.0, 0.5), Phase("b", 0.4, 1.0)))


def half_charged(**more):
    curve, _ = simulate_cycling(x_max=0.5, half_cycles=2)
    return lithiation(curve, mass_mg=1.0, active_fraction=1.0, **more)


def test_a_map_on_the_curve():
    curve = half_charged(mass_sd_mg=0.02)
    one = place_on_curve(curve, 0.53, 0.02, after_half_cycle=1)
    assert one.x_curve == pytest.approx(0.5, abs=0.002)
    assert one.z == pytest.approx((0.53 - one.x_curve) / math.hypot(0.02, 0.01), rel=0.01)
    assert one.agrees
    assert one.voltages == {}  # the curve never has 0.53
    inside = place_on_curve(curve, 0.2, 0.02, after_half_cycle=1)
    assert inside.agrees is False
    assert inside.voltages == pytest.approx({1: 3.33, 2: 3.43}, abs=0.002)
    assert inside.phases_at_map == "α + ε"
    assert "do not agree" in str(inside)
    unknown = place_on_curve(half_charged(), 0.4)
    assert unknown.agrees is None
    assert "no error is known" in str(unknown)
    assert "by one error alone" in str(place_on_curve(half_charged(), 0.4, 0.1))
    for wrong in ({"x_map": math.nan}, {"x_map": 0.3, "after_half_cycle": 9}):
        with pytest.raises(FitError):
            place_on_curve(curve, **wrong)


def test_beside_the_map(tmp_path):
    curve, _ = simulate_cycling(x_max=0.5, half_cycles=1)
    section = Electrochemistry(
        enabled=True,
        curve=str(write_cycling(curve, tmp_path / "cell.txt")),
        mass_mg=1.0,
        mass_sd_mg=0.02,
        active_fraction=1.0,
    )
    comp = xr.Dataset(
        attrs={"variable": "x in LixV2O5", "mean_mass_weighted": 0.49, "mean_sd": 0.01}
    )
    data = beside_the_map(section, comp)
    assert data.attrs["x_curve"] == pytest.approx(0.5, abs=0.002)
    assert abs(data.attrs["z"]) < 2
    assert "they agree" in data.attrs["placed"]
    at = float(data["voltage"].sel(half_cycle=0).sel(x=0.2, method="nearest"))
    assert at == pytest.approx(3.33, abs=0.003)
    assert data["plateau_potential"].values == pytest.approx([3.33], abs=0.001)
    flat = (str, int, float, np.integer, np.floating)
    assert all(isinstance(value, flat) for value in data.attrs.values()), data.attrs
    data.to_netcdf(tmp_path / "a.h5", engine="h5netcdf")  # as results are kept
    with pytest.warns(ChemoscapeWarning, match="do not agree"):
        beside_the_map(section, comp.assign_attrs(mean_mass_weighted=0.3))
    with pytest.warns(ChemoscapeWarning, match="not compared"):
        other = beside_the_map(section, comp.assign_attrs(variable="Fe(II) fraction"))
    assert "z" not in other.attrs
    assert "placed" not in beside_the_map(section, None).attrs
    own = section.model_copy(update={"phases": [PhaseRange(name="all", low=0.0, high=1.0)]})
    assert beside_the_map(own, comp).attrs["phases_at_map"] == "all"


def test_the_recipe_section_refuses_what_is_missing():
    for wrong in ({"enabled": True}, {"mass_mg": 1.0}, {"mass_mg": 0.0, "active_fraction": 0.7}):
        with pytest.raises(ValueError, match=r"electrochemistry needs|active_fraction|greater"):
            Electrochemistry(**wrong)
    assert not Electrochemistry().enabled


def test_hysteresis_pairs_by_composition():
    curve, _ = simulate_cycling(polarisation_V=0.15)  # charge of one above discharge of the next
    found = plateaus(lithiation(curve, mass_mg=1.0, active_fraction=1.0))
    pairs = hysteresis(found)
    np.testing.assert_allclose(pairs["hysteresis"], 0.3, atol=0.002)
    np.testing.assert_allclose(pairs["middle"], [3.38, 3.18], atol=0.002)
    # and without a mass by their order, though 3.18 V of charge is the nearest to 3.23 V
    alone = hysteresis(plateaus(curve))
    np.testing.assert_allclose(alone["middle"], [3.38, 3.18], atol=0.002)


@pytest.mark.parametrize(
    "wrong",
    [{"active_mg": 0.0}, {"half_cycles": 0}, {"steps": ()}, {"c_rate": math.inf}],
)
def test_impossible_simulations(wrong):
    with pytest.raises(FitError):
        simulate_cycling(**wrong)


def test_plateaus_refuse_what_is_no_curve():
    points = SimpleNamespace(n=3)
    curve, _ = simulate_cycling()
    with pytest.raises(FitError, match="five records"):
        plateaus(curve.isel(point=slice(0, points.n)))
    with pytest.raises(FitError, match="smoothing"):
        plateaus(curve, smoothing_V=0.0)


def test_what_no_host_does_is_said():
    """A lithiated cathode taken for an empty one; a mass in grams."""
    curve, _ = simulate_cycling()
    curve["charge"] = -curve["charge"]  # charged first, as LiFePO4 is
    given = {"active_fraction": 1.0, "formula": "FePO4"}
    with pytest.warns(ChemoscapeWarning, match=r"falls to -0\.\d+, below none"):
        lithiation(curve, mass_mg=1.0, **given)
    lithiation(curve, mass_mg=1.0, start_x=1.0, weighed_x=1.0, **given)
    with pytest.warns(ChemoscapeWarning, match="is the mass in mg"):
        lithiation(curve, mass_mg=0.001, **given)


def test_a_touch_of_current_is_no_half_cycle():
    """Ten records of a charge too small to count: numbers of half cycles do not move by one."""
    curve, _ = simulate_cycling(half_cycles=1)
    n = 10
    touch = curve.isel(point=slice(0, n)).copy(deep=True)
    seconds = 2.0 * np.arange(curve.sizes["point"] + n)
    current = np.r_[np.full(n, 0.01), np.full(curve.sizes["point"], -5.0)]
    voltage = np.r_[touch["voltage"].values + 0.001 * np.arange(n), curve["voltage"].values]
    order = sequence_of(Records(voltage, time=seconds, current=current), "here", None)
    assert set(order.half.tolist()) == {0}
    assert (order.direction[n:] == -1).all()
