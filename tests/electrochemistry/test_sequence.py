"""Restarts, repeated records, rests, currents without a sign, counters against integrals."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.electrochemistry import open_cycling
from chemoscape.errors import ChemoscapeWarning


def save(path, columns, mark=","):
    rows = [mark.join(columns)]
    rows += [mark.join(f"{v:.9g}" for v in row) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_clock_of_the_step_is_joined(tmp_path, known):
    first = np.array([known.time[np.argmax(known.step == s)] for s in known.step])
    columns = {"Step Time (s)": known.time - first, "Current (mA)": known.current}
    curve = open_cycling(save(tmp_path / "a.csv", {**columns, "Voltage (V)": known.voltage}))
    # each step's clock begins at 0 with its first record: a minute of the step is not there
    assert curve["charge"].values[-1] == pytest.approx(known.charge[-1] - 0.5 / 60)
    assert (np.diff(curve["time"]) >= 0).all()
    assert "restarts 2 times" in curve.attrs["notes"]


def test_files_of_one_test_that_overlap(tmp_path, known):
    columns = {"Test Time (s)": known.time, "Current (mA)": known.current}
    columns["Voltage (V)"] = known.voltage
    parts = [{k: v[:150] for k, v in columns.items()}, {k: v[130:] for k, v in columns.items()}]
    paths = [save(tmp_path / f"{k}.csv", part) for k, part in enumerate(parts)]
    with pytest.warns(ChemoscapeWarning, match="20 records that repeat others"):
        curve = open_cycling(paths)
    np.testing.assert_allclose(curve["charge"], known.charge, atol=1e-9)
    both = tmp_path / "both.csv"  # one after the other in one file, heading and all
    both.write_text(paths[0].read_text() + paths[1].read_text())
    with pytest.warns(ChemoscapeWarning, match="1 rows without numbers and 20 records"):
        curve = open_cycling(both)
    np.testing.assert_allclose(curve["charge"], known.charge, atol=1e-9)


def test_a_second_test_goes_on_where_the_first_ended(tmp_path, known):
    discharge, charge = known.step == 1, known.step == 3
    paths = []
    for k, part in enumerate((discharge, charge)):
        time = known.time[part] - known.time[part][0]
        columns = {"Test Time (s)": time, "Current (mA)": known.current[part]}
        paths.append(save(tmp_path / f"{k}.csv", {**columns, "Voltage (V)": known.voltage[part]}))
    curve = open_cycling(paths)
    assert curve["charge"].values[-1] == pytest.approx(-1.0 + 0.5 * 109 / 60)
    assert curve["half_cycle"].values[-1] == 1


def test_a_test_taken_up_at_an_odd_time_is_said(tmp_path, known):
    time = np.where(known.step == 3, known.time - 3000, known.time)
    columns = {"Time (s)": time, "Current (mA)": known.current, "Voltage (V)": known.voltage}
    with pytest.warns(ChemoscapeWarning, match="time goes back to 4860 s at record 132"):
        curve = open_cycling(save(tmp_path / "a.csv", columns))
    assert curve["charge"].values[-1] == pytest.approx(known.charge[-1] - 0.5 / 60)


def test_currents_without_sign(tmp_path, known):
    size = np.abs(known.current)
    columns = {"Time (s)": known.time, "Current (mA)": size, "Voltage (V)": known.voltage}
    curve = open_cycling(save(tmp_path / "a.csv", columns))
    np.testing.assert_allclose(curve["charge"], known.charge, atol=1e-9)
    assert "the voltage tells" in curve.attrs["notes"]
    counters = {
        "Charge Capacity (mAh)": np.where(known.step == 3, known.capacity, 0),
        "Discharge Capacity (mAh)": np.minimum(0.5 * known.time / 3600, 1.0),
    }
    curve = open_cycling(save(tmp_path / "b.csv", columns | counters))
    np.testing.assert_allclose(curve["charge"], known.charge, atol=1e-8)
    assert "notes" in curve.attrs
    assert curve.attrs["notes"] == ""


def test_positive_current_may_be_discharge(tmp_path, known):
    columns = {"Time (s)": known.time, "Current (mA)": -known.current}
    path = save(tmp_path / "a.csv", {**columns, "Voltage (V)": known.voltage})
    with pytest.warns(ChemoscapeWarning, match="positive current is taken as discharge"):
        curve = open_cycling(path)
    np.testing.assert_allclose(curve["charge"], known.charge, atol=1e-9)
    assert (open_cycling(path, positive_current="charge")["charge"].values[-1]) > 0
    assert open_cycling(path, positive_current="discharge")["charge"].values[-1] < 0


@pytest.mark.parametrize("back", [False, True])
def test_voltage_against_capacity_alone(tmp_path, known, back):
    """As curves are published: the charge beginning at 0 again, or running back."""
    flows = known.step != 2
    capacity = known.capacity[flows] * 100
    if back:
        capacity = -known.charge[flows] * 100
    columns = {"Specific capacity (mAh/g)": capacity, "Voltage (V)": known.voltage[flows]}
    curve = open_cycling(save(tmp_path / "a.csv", columns))
    np.testing.assert_allclose(curve["charge"], 100 * known.charge[flows], atol=1e-6)
    assert curve["charge"].attrs["units"] == "mAh/g"
    assert curve["half_cycle"].values[-1] == 1


def test_missing_records_are_noticed_by_the_counter(tmp_path, known):
    rest = (known.time < 3000) | (known.time > 6600)
    rest |= known.step != 1
    current = known.current * np.where(known.time < 3600, 1.0, 0.9)
    columns = {"Time (s)": known.time, "Current (mA)": current, "Capacity (mAh)": known.capacity}
    columns = {name: values[rest] for name, values in columns.items()}
    path = save(tmp_path / "a.csv", {**columns, "Voltage (V)": known.voltage[rest]})
    with pytest.warns(ChemoscapeWarning, match=r"half cycle 2 .*\(10\.0 % apart\)"):
        curve = open_cycling(path)
    assert curve["charge"].values[-1] == pytest.approx(known.charge[-1])  # the counter's
    right = {**columns, "Current (mA)": known.current[rest], "Voltage (V)": known.voltage[rest]}
    curve = open_cycling(save(tmp_path / "b.csv", right))
    # the first record of a charge has the counter of its first minute
    assert curve.attrs["counter_difference"] < 1e-6


def test_empty_cells_of_a_counter_take_the_value_before(tmp_path, known):
    counter = [f"{v:.9g}" for v in known.capacity]
    counter[50] = counter[70] = "-"
    rows = ["Time (s),Current (mA),Voltage (V),Capacity (mAh)"]
    columns = (known.time, known.current, known.voltage, counter)
    rows += [f"{t},{i},{v},{q}" for t, i, v, q in zip(*columns, strict=True)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(rows))
    curve = open_cycling(path)
    assert curve["charge"].values[-1] == pytest.approx(known.charge[-1])
    assert curve["charge"].values[50] == pytest.approx(known.charge[49])


def test_held_voltage_is_no_galvanostatic_curve(tmp_path):
    time = np.arange(0, 9000, 60.0)
    current = np.where(time < 6000, 1.0, np.exp(-(time - 6000) / 900))
    voltage = np.where(time < 6000, 3 + time / 6000, 4.0)
    columns = {"Time (s)": time, "Current (mA)": current, "Voltage (V)": voltage}
    curve = open_cycling(save(tmp_path / "a.csv", columns), positive_current="charge")
    held = curve["held"].values
    assert not held[time < 6000].any()
    assert held[time > 6200].all()
    # a slower second step is galvanostatic too
    slower = {**columns, "Current (mA)": np.where(time < 6000, 1.0, 0.1)}
    slower["Voltage (V)"] = 3 + time / 8000
    curve = open_cycling(save(tmp_path / "b.csv", slower), positive_current="charge")
    assert not curve["held"].values.any()


def test_the_clock_of_a_step_says_how_long_its_current_flowed(tmp_path, known):
    """A rest that is written only when it begins: 40 minutes before the first record of charge."""
    kept = (known.step != 2) | (known.since == 60)
    later = np.where(known.step == 3, 1800.0, 0.0)
    columns = {"Test Time (s)": known.time + later, "Step Time (s)": known.since}
    columns |= {"Current (mA)": known.current, "Voltage (V)": known.voltage}
    columns = {name: values[kept] for name, values in columns.items()}
    curve = open_cycling(save(tmp_path / "a.csv", columns))
    np.testing.assert_allclose(curve["charge"], known.charge[kept], atol=1e-9)
    assert curve["charge_sd"].values[-1] == 0
    columns.pop("Step Time (s)")
    blind = open_cycling(save(tmp_path / "b.csv", columns))
    error = blind["charge"].values[-1] - known.charge[-1]
    assert error == pytest.approx(0.5 * (1800 + 540) / 3600)
    unsure = 0.5 * np.hypot(2400, 60) / 3600 / np.sqrt(12)  # and from discharge to rest
    assert blind["charge_sd"].values[-1] == pytest.approx(unsure)
