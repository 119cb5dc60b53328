"""What cannot be told is asked for in one sentence; junk gives a sentence too."""

from __future__ import annotations

import contextlib
import struct
import sys
import types
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemoscape.electrochemistry import open_cycling
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError

ROWS = "0,1.0,3.4\n1,1.0,3.5\n2,1.0,3.6\n"


def asked(path, text, **arguments):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileFormatError) as caught:
        open_cycling(path, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("Time,Current (mA),Voltage (V)", "units={'time': 's'}"),
        ("Time (s),Current,Voltage (V)", "units={'current': 'mA'}"),
        ("Time (s),Capacity,Voltage (V)", "units={'capacity': 'mAh'}"),
        ("Time (s),Temperature (C),Voltage (V)", "columns={'current'"),
        ("Number,Current (mA),Voltage (V)", "columns={'time'"),
        ("a,b,c", "columns={'voltage': 3"),
        ("", "columns={'voltage': 3"),
    ],
)
def test_what_cannot_be_told_is_asked_for(tmp_path, head, said):
    assert said in asked(tmp_path / "a.csv", f"{head}\n{ROWS}")


def test_answers_are_taken(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"a,b,c\n{ROWS}")
    columns = {"time": 1, "current": "b", "voltage": "3"}
    curve = open_cycling(path, columns=columns, units={"time": "h", "current": "µA"})
    np.testing.assert_allclose(curve["charge"], [0, 1e-3, 2e-3])
    path.write_text(ROWS)  # no heading at all
    curve = open_cycling(path, columns={"capacity": 1, "voltage": 3}, units={"capacity": "mAh/g"})
    np.testing.assert_allclose(curve["charge"], [0, 1, 2])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"columns": {"voltage": "U"}}, "no column is called 'U'"),
        ({"columns": {"voltage": 7}}, "number them from 1 to 3"),
        ({"columns": {"volts": 3}}, "there is no column 'volts' to name"),
        ({"units": {"current": "bananas"}}, "'bananas', is not known"),
    ],
)
def test_wrong_answers(tmp_path, arguments, said):
    text = f"Time (s),Current (mA),Voltage (V)\n{ROWS}"
    assert said in asked(tmp_path / "a.csv", text, **arguments)


def test_thousands_or_decimals(tmp_path):
    text = "Time (s);Current (mA);Voltage (mV)\n0;0,125;3,412\n60;0,125;3,411\n120;0,125;3,409\n"
    assert "decimal=','" in asked(tmp_path / "a.csv", text.replace("0,125", "5"))
    # elsewhere 0,125 can only be decimals
    curve = open_cycling(_saved(tmp_path / "b.csv", text.replace("mV", "V")))
    assert curve["voltage"].values[0] == 3.412
    thousands = text.replace("0,125", "5.5")
    assert open_cycling(_saved(tmp_path / "c.csv", thousands))["voltage"].values[0] == 3.412
    assert open_cycling(_saved(tmp_path / "c.csv", thousands))["voltage"].values[1] == 3.411


def test_days_and_months(tmp_path):
    head = "Date Time,Current (mA),Voltage (V)\n"
    sure = "01/13/2025 10:00:00,1,3.4\n01/13/2025 11:00:00,1,3.5\n01/14/2025 10:00:00,1,3.6\n"
    curve = open_cycling(_saved(tmp_path / "a.csv", head + sure))
    assert curve["time"].values.tolist() == [0, 3600, 86400]
    unsure = "01/02/2025 10:00:00,1,3.4\n01/02/2025 11:00:00,1,3.5\n02/02/2025 10:00:00,1,3.6\n"
    assert "with the day or with the month" in asked(tmp_path / "b.csv", head + unsure)


def _saved(path, text):
    path.write_text(text)
    return path


def test_no_file_no_table_no_current(tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        open_cycling(tmp_path / "none.csv")
    with pytest.raises(FileFormatError, match="there is no file"):
        open_cycling([])
    assert "is no text" in asked(tmp_path / "a.mpr", b"BIO-LOGIC MODULAR FILE\x1a\x00\x00" * 9)
    assert "spreadsheet" in asked(tmp_path / "a.xlsx", b"PK\x03\x04 not really")
    flat = "Time (s),Current (mA),Voltage (V)\n0,0,3.4\n1,0,3.4\n2,0,3.4\n"
    assert "no current flows" in asked(tmp_path / "a.csv", flat)


@settings(max_examples=60, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=400),
        st.lists(
            st.sampled_from(
                [
                    *("Voltage(V)", "Current/mA", "Time(s)", "3,4", "1e400", "-", "", "nan"),
                    *("0:00:61", "电压(V)", "Cycle", "1.2.3", '"', "\ufeff", "٣", "1 000"),
                    *("9" * 400, "D_CC", "2025-01-13 10:00:00", "inf"),
                ]
            ),
            max_size=60,
        ).map(lambda words: ",".join(words).replace(",-,", "\n").encode()),
    ),
    cut=st.integers(0, 3000),
)
def test_junk_and_damage_give_sentences(tmp_path_factory, data, cut):
    path = tmp_path_factory.mktemp("junk") / "a.txt"
    rows = "".join(f"{k}\t-1,0\t{3.5 - 0.01 * k:.2f}\n".replace(".", ",") for k in range(40))
    good = f"Zeit (s)\tStrom (mA)\tSpannung (V)\n{rows}".encode()
    cut %= len(good)
    for content in (data, good[:cut], good[:cut] + data + good[cut:]):
        path.write_bytes(content)
        with warnings.catch_warnings(), contextlib.suppress(ChemoscapeError):
            warnings.simplefilter("ignore", ChemoscapeWarning)
            curve = open_cycling(path)
            assert np.isfinite(curve["voltage"]).all()
            assert np.isfinite(curve["charge"]).all()


def test_neware_binary_without_its_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "NewareNDA", None)
    said = asked(tmp_path / "a.ndax", b"PK\x03\x04")
    assert 'pip install "chemoscape[cycler]"' in said


def test_neware_binary_by_the_real_library(tmp_path, known):
    """Bytes in the layout of version 130 (BTS 9) as NewareNDA reads it; no cycler wrote them."""
    pytest.importorskip("NewareNDA")
    header = bytearray(1024)
    header[:6], header[14] = b"NEWARE", 130
    status = {1: 2, 2: 4, 3: 1}
    records = b""
    for k in range(known.time.size):
        record = bytearray(88)
        record[:6] = b"\x00\x00\x00\x00\x66\x00"
        inner = memoryview(record)[4:]
        struct.pack_into("<BB", inner, 5, int(known.step[k]), status[int(known.step[k])])
        struct.pack_into("<I", inner, 12, k + 1)
        since = int(1e6 * (known.time[k] - known.begins[k]))
        struct.pack_into("<Qff", inner, 24, since, known.voltage[k], known.current[k])
        up, down = (3600 * known.capacity[k] * (known.step[k] == s) for s in (3, 1))
        struct.pack_into("<ffffQ", inner, 48, up, 0.0, down, 0.0, 1_700_000_000_000_000 + k)
        records += record
    path = tmp_path / "cell.nda"
    path.write_bytes(bytes(header) + records)
    curve = open_cycling(path)
    np.testing.assert_allclose(curve["charge"], known.charge, atol=1e-6)
    np.testing.assert_allclose(curve["voltage"], known.voltage, atol=1e-6)
    np.testing.assert_array_equal(curve["direction"], np.sign(known.current))
    assert "NewareNDA cannot read it" in asked(tmp_path / "bad.nda", b"NEWARE" + bytes(40))
    assert "NewareNDA cannot read it" in asked(tmp_path / "bad.ndax", b"PK\x03\x04 junk")


def test_neware_binary_by_its_library(tmp_path, monkeypatch, known):
    """With NewareNDA's columns and units (its dicts.py): V, s of the step, mA, mAh."""
    words = {1: "CC_DChg", 2: "Rest", 3: "CC_Chg"}
    table = {
        "Index": np.arange(known.time.size) + 1,
        "Cycle": np.ones(known.time.size),
        "Step": known.step,
        "Status": np.array([words[s] for s in known.step]),
        "Time": known.time - known.begins,
        "Voltage": known.voltage,
        "Current(mA)": known.current,
        "Charge_Capacity(mAh)": np.where(known.step == 3, known.capacity, 0.0),
        "Discharge_Capacity(mAh)": np.where(known.step == 1, known.capacity, 0.0),
    }

    class Frame(dict):
        columns = property(lambda self: list(self))

    def read(file, software_cycle_number, log_level):
        if "bad" in file:
            raise NotImplementedError("nda version 7 is not yet supported!")
        return Frame(table)

    monkeypatch.setitem(sys.modules, "NewareNDA", types.SimpleNamespace(read=read))
    curve = open_cycling(_saved(tmp_path / "a.nda", "x"))
    np.testing.assert_allclose(curve["charge"], known.charge, atol=1e-9)
    np.testing.assert_array_equal(curve["direction"], np.sign(known.current))
    assert "version 7 is not yet supported" in asked(tmp_path / "bad.nda", "x")
