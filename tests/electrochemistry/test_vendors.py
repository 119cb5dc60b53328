"""The same curve in the manner of each cycler gives the same charge: names, units, marks, clocks.

Headings and forms of numbers are those of published exports (Land, Neware, Arbin, Maccor, BioLogic,
Basytec, Novonix, Digatron); the numbers below them are ours, so that the charge is known in closed
form.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from chemoscape.electrochemistry import open_cycling
from chemoscape.electrochemistry._cells import dates


def hms(seconds, form="{:d}:{:02d}:{:02d}"):
    return form.format(int(seconds) // 3600, int(seconds) // 60 % 60, int(seconds) % 60)


def lines(separator, head, rows, above=()):
    return "\n".join([*above, separator.join(head), *(separator.join(row) for row in rows)]) + "\n"


def land(known):
    head = ["Record", "TestTime/h", "StepTime/h", "Current/mA", "Capacity/mAh", "SpeCap/mAh/g"]
    head += ["SOC|DOD/%", "Voltage/V", "Energy/mWh", "AuxTemp/dC.", "SysTime", "", "Cycle-Index"]
    head += ["Step-Index", "Step-State"]
    words = {1: "RateD", 2: "R", 3: "RateC"}
    rows = [
        [
            *(
                str(k),
                f"{3.5 + known.time[k] / 3600:.7f}",
                f"{known.since[k] / 3600:.7f}",
                f"{known.current[k]:.4f}",
            ),
            *(f"{known.capacity[k]:.6f}", "0", "5", f"{known.voltage[k]:.4f}", "1", "-"),
            *("2026-01-15 09:00:00", "", "1", str(known.step[k]), words[known.step[k]]),
        ]
        for k in range(known.time.size)
    ]
    return lines("\t", head, rows).encode()


def neware_chinese(known):
    head = ["数据序号", "循环号", "工步号", "工步类型", "时间", "总时间", "电流(A)", "电压(V)"]
    head += ["容量(Ah)", "比容量(mAh/g)", "能量(Wh)", "绝对时间"]
    words = {1: "恒流放电", 2: "静置", 3: "恒流充电"}
    rows = [
        [
            *(str(k), "1", str(known.step[k]), words[known.step[k]], "0:00:00"),
            *(hms(known.time[k]), f"{known.current[k] / 1000:.7f}", f"{known.voltage[k]:.4f}"),
            *(f"{known.capacity[k] / 1000:.9f}", "0", "0", "2026-01-15 09:00:00"),
        ]
        for k in range(known.time.size)
    ]
    return lines(",", head, rows).encode("gb18030")


def neware_layers(known):
    """Cycle, step and record below one another, each line beginning further right."""
    above = ["Cycle ID,Cap_Chg(mAh),Cap_DChg(mAh)", ",Step ID,Step Name,Step Time,Start Volt(mV)"]
    head = ["", "", "Record ID", "Time(H:M:S:ms)", "Vol(mV)", "Cur(mA)", "Cap(mAh)", "Realtime"]
    rows, before = [], 0
    for k in range(known.time.size):
        if k == 0:
            rows.append(["1", "0.9", "1.0"])
        if known.step[k] != before:
            rows.append(["", str(known.step[k]), "CC", "1:0:0", f"{1000 * known.voltage[k]:.1f}"])
            before = known.step[k]
        since = hms(known.time[k] - known.begins[k], "{:d}:{:02d}:{:02d}:000")
        rows.append(
            [
                *("", "", str(k + 1), since, f"{1000 * known.voltage[k]:.1f}"),
                *(f"{known.current[k]:.4f}", f"{known.capacity[k]:.6f}", "2026-01-15"),
            ]
        )
    return lines(",", head, rows, above).encode()


def arbin(known):
    head = ["Data Point", "Date Time", "Test Time (s)", "Step Time (s)", "Cycle Index"]
    head += ["Step Index", "TC_Counter1", "Current (A)", "Voltage (V)", "Power (W)"]
    head += ["Charge Capacity (Ah)", "Discharge Capacity (Ah)", "Charge Energy (Wh)"]
    head += ["Capacity (Ah)", "mAh/g", "dV/dt (V/s)", "dQ/dV (Ah/V)"]
    out = np.maximum.accumulate(np.where(known.step == 1, known.capacity, 0)) / 1000
    back = np.where(known.step == 3, known.capacity, 0) / 1000
    rows = [
        [
            *(
                str(k),
                '"\t09/20/2024 08:32:34.558"',
                f"{known.time[k]:.4f}",
                f"{known.since[k]:.4f}",
                "1",
            ),
            *(str(known.step[k]), "0", f"{known.current[k] / 1000:.7f}", f"{known.voltage[k]}"),
            *("0", f"{back[k]:.9g}", f"{out[k]:.9g}", "0", "0", "0", "", ""),
        ]
        for k in range(known.time.size)
    ]
    return lines(",", head, rows).encode()


def maccor(known):
    """Currents without sign, the state in a letter, and times of day in the title."""
    above = ["Today's Date 01/15/2025  Date of Test:\t01/15/2025\t Filename:\tC:\\a.001 2.0-4.8V"]
    head = ["Rec#", "Cyc#", "Step", "Test (Min)", "Step (Min)", "Amp-hr", "Watt-hr", "Amps"]
    head += ["Volts", "State", "ES", "DPt Time"]
    words = {1: "D", 2: "R", 3: "C"}
    rows = [
        [
            *(
                str(k + 1),
                "0",
                str(known.step[k]),
                f"{known.time[k] / 60:.4f}",
                f"{known.since[k] / 60:.4f}",
            ),
            *(f"{known.capacity[k] / 1000:.10f}", "0", f"{abs(known.current[k]) / 1000:.10f}"),
            *(f"{known.voltage[k]:.8f}", words[known.step[k]], "1", "11:49:32"),
        ]
        for k in range(known.time.size)
    ]
    return lines("\t", head, rows, above).encode()


def biologic(known):
    """Eighty lines above, decimal commas, exponents of three digits, a micro sign in Latin-1."""
    above = ["EC-Lab ASCII FILE", "Nb header lines : 81", ""]
    above += [f"Is  {k},000  30,000  µA" for k in range(77)]
    head = ["mode", "ox/red", "error", "Ns", "time/s", "dq/mA.h", "(Q-Qo)/mA.h", "control/V/mA"]
    head += ["Ewe/V", "I Range", "half cycle", "Capacitance charge/µF", "<I>/mA", "cycle number"]

    def number(value):
        return f"{value:.9E}".replace(".", ",").replace("E+", "E+0").replace("E-", "E-0")

    rows = [
        [
            *("1", "0", "0", str(known.step[k]), number(30.15 + known.time[k]), number(0.0)),
            *(number(6e-10 + known.charge[k]), number(0.5), number(known.voltage[k]), "41"),
            *("0", number(0.0), number(known.current[k]), number(0.0)),
        ]
        for k in range(known.time.size)
    ]
    return lines("\t", head, rows, above).replace("\n", "\r\n").encode("latin-1")


def basytec(known):
    above = ["~Resultfile from Basytec Battery Test System", "~Start of Test: 19.06.2023 17:56:53"]
    head = ["~Time[s]", "DataSet", "t-Step[s]", "Line", "Command", "U[V]", "I[A]", "P[W]"]
    head += ["Ah[Ah]", "Ah-Step", "T1[°C]", "Cyc-Count", "State"]
    words = {1: "Discharge", 2: "Pause", 3: "Charge"}
    rows = [
        [
            *(
                f"{known.time[k]}",
                str(k),
                f"{known.since[k]}",
                "4",
                words[known.step[k]],
                f"{known.voltage[k]}",
            ),
            *(f"{known.current[k] / 1000:.8g}", "0", f"{known.charge[k] / 1000:.9f}"),
            *(f"{known.capacity[k] / 1000:.9f}", "25,4", "1", "1"),
        ]
        for k in range(known.time.size)
    ]
    return lines("\t", head, rows, above).replace("25,4", "25.4").encode("latin-1")


def gamry(known):
    """Units in a row of their own, and a reference in the voltage's."""
    above = ["EXPLAIN", "TAG\tCHRONOP", "CURVE\tTABLE\t241"]
    head = ["", "Pt", "T", "Vf", "Im", "Vu", "Sig"]
    units = ["", "#", "s", "V vs. Ref.", "A", "V", "V"]
    rows = [units] + [
        [
            *("", str(k), f"{known.time[k]}", f"{known.voltage[k]}"),
            *(f"{known.current[k] / 1000:.6E}", "0", "0"),
        ]
        for k in range(known.time.size)
    ]
    return lines("\t", head, rows, above).encode()


def german(known):
    """A spreadsheet's CSV: semicolons, decimal commas, thousands set apart, UTF-16."""
    head = ["Zeit (h)", "Spannung (mV)", "Strom (µA)"]

    def mark(value, digits):
        return f"{value:,.{digits}f}".replace(",", "'").replace(".", ",").replace("'", ".")

    rows = [
        [
            mark(known.time[k] / 3600, 6),
            mark(1000 * known.voltage[k], 2),
            mark(1000 * known.current[k], 3),
        ]
        for k in range(known.time.size)
    ]
    return lines(";", head, rows).encode("utf-16")


def blanks(known):
    """Columns of blanks, and a clock with days."""
    rows = [
        [
            f"{int(known.time[k]) // 86400}.{hms(known.time[k] % 86400, '{:02d}:{:02d}:{:02d}')}",
            f"{known.current[k]:10.5f}",
            f"{known.voltage[k]:10.4f}",
        ]
        for k in range(known.time.size)
    ]
    return lines("   ", ["Test Time", "Current (mA)", "Voltage (V)"], rows).encode()


def biologic_signed(known):
    """A counter that is negative on discharge and begins anew at each change; a blank in names."""
    head = ["mode", "Ns", "time/s", "Ewe/V", "<I>/mA", "Q charge/discharge/mA.h", "half cycle"]
    counter = np.sign(known.current) * known.capacity
    rows = [
        [
            *("1", str(known.step[k]), f"{known.time[k]:.3f}", f"{known.voltage[k]:.5f}"),
            *(f"{known.current[k]:.6f}", f"{counter[k]:.7f}", "0"),
        ]
        for k in range(known.time.size)
    ]
    text = lines("\t", head, rows, ["EC-Lab ASCII FILE", "Nb header lines : 3", ""])
    return text.replace(".", ",").encode("latin-1")


def novonix(known):
    """One capacity that falls on discharge and rises on charge, through zero."""
    head = ["Date and Time", "Cycle Number", "Step Type", "Run Time (h)", "Current (A)"]
    head += ["Potential (V)", "Capacity (Ah)", "Temperature (°C)"]
    kinds = {1: "9", 2: "0", 3: "7"}
    rows = [
        [
            *("2026-01-15 09:00:00 AM", "1", kinds[known.step[k]], f"{known.time[k] / 3600:.8f}"),
            *(f"{known.current[k] / 1000:.9f}", f"{known.voltage[k]:.6f}"),
            *(f"{(known.charge[k] + 0.504) / 1000:.10f}", "25"),
        ]
        for k in range(known.time.size)
    ]
    return lines(",", head, rows, ["[Summary]", "[End Summary]", "[Data]"]).encode()


def digatron(known):
    """Units in square brackets in a row of their own; three letters for states."""
    head = ["Step", "Status", "Prog Time", "Step Time", "Cycle", "Voltage", "Current", "AhAccu"]
    units = ["", "", "", "", "", "[V]", "[A]", "[Ah]"]
    words = {1: "DCH", 2: "PAU", 3: "CHA"}
    rows = [units] + [
        [
            *(str(known.step[k]), words[known.step[k]], hms(known.time[k]), hms(known.since[k])),
            *("1", f"{known.voltage[k]}".replace(".", ",")),
            *(f"{known.current[k] / 1000:.7f}".replace(".", ","), "0,0"),
        ]
        for k in range(known.time.size)
    ]
    return lines(";", head, rows).encode("latin-1")


VENDORS = {
    **{"land.txt": land, "neware.csv": neware_chinese, "layers.csv": neware_layers},
    **{"arbin.csv": arbin, "maccor.txt": maccor, "biologic.mpt": biologic},
    **{"basytec.txt": basytec, "gamry.DTA": gamry, "german.csv": german, "blanks.txt": blanks},
    **{"signed.mpt": biologic_signed, "novonix.csv": novonix, "digatron.csv": digatron},
}


def check(curve, known, *, tolerance=2e-6):
    np.testing.assert_allclose(curve["charge"], known.charge, atol=tolerance)
    np.testing.assert_allclose(curve["voltage"], known.voltage, atol=1e-9)
    np.testing.assert_array_equal(curve["direction"], np.sign(known.current))
    assert curve["half_cycle"].values[[0, 125, -1]].tolist() == [0, 0, 1]
    # clocks of steps do not say how long it took from one step to the next
    np.testing.assert_allclose(curve["time"], known.time, atol=120.01)
    np.testing.assert_allclose(curve["current"], known.current, atol=1e-6)


@pytest.mark.parametrize("name", VENDORS)
def test_the_same_curve_of_every_cycler(name, tmp_path, known):
    path = tmp_path / name
    path.write_bytes(VENDORS[name](known))
    check(open_cycling(path), known)


def test_workbook_whose_records_go_on_in_another_sheet(tmp_path, known, save_xlsx):
    head = ["Cycle", "TestTime/h", "Current/mA", "Voltage/V"]
    rows = [
        [1, known.time[k] / 3600, float(known.current[k]), float(known.voltage[k])]
        for k in range(known.time.size)
    ]
    path = tmp_path / "cell.xlsx"
    info = [["Test name", "x"], ["Voltage (V)", "4.2"]]
    sheets = {"Info": info, "Record_1": [head, *rows[:99]], "Record_2": [head, *rows[99:]]}
    save_xlsx(path, sheets)
    check(open_cycling(path), known)


def test_utf16_without_its_mark_and_a_heading_without_units(tmp_path):
    text = lines("\t", ["t", "U", "I"], [["0", "3,4", "1,5"], ["60", "3,3", "1,5"]] * 1)
    path = tmp_path / "bare.txt"
    path.write_bytes(text.encode("utf-16-le"))
    curve = open_cycling(path, units={"time": "s", "current": "mA"})
    assert curve["direction"].values.tolist() == [-1, -1]
    np.testing.assert_allclose(curve["charge"], [0, -1.5 / 60])


@pytest.mark.parametrize("word", ["CCCV Chg", "C"])
def test_a_voltage_held_within_a_step_of_another_name_is_found(tmp_path, word):
    minutes = np.arange(60)
    current = np.where(minutes < 40, 1.0, np.exp(-(minutes - 39) / 5))
    voltage = np.minimum(3.4 + 0.02 * minutes, 4.2)
    rows = zip(minutes, current, voltage, strict=True)
    text = "\n".join(f"{t},{i:.5f},{v:.4f},{word}" for t, i, v in rows)
    (tmp_path / "a.csv").write_text(f"Time(min),Current(mA),Voltage(V),Step Type\n{text}\n")
    held = open_cycling(tmp_path / "a.csv")["held"].values
    assert held.tolist() == (minutes >= 40).tolist()


def test_dates_of_a_spreadsheet_run_through_midnight():
    late = dt.datetime(2026, 1, 15, 23, 59)
    cells = [late, dt.date(2026, 1, 16), late + dt.timedelta(minutes=2)]
    assert dates(cells, "here").tolist() == [0.0, 60.0, 120.0]
