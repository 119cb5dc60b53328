"""The report: what is worst first, what passed only on demand."""

from __future__ import annotations

import pickle

import pytest

from chemoscape.curation.findings import CheckReport, Finding

FINDINGS = (
    Finding("a", "noise", "pass", number=0.2, unit="%", threshold="< 1 %"),
    Finding("a", "optical density", "not known", threshold="<= 1.5", remedy="write it down"),
    Finding(
        "b",
        "optical density",
        "warn",
        number=1.7,
        threshold="<= 1.5",
        remedy="measure a thinner sample",
    ),
    Finding("", "condition number", "pass", number=140.0, threshold="<= 300"),
    Finding(
        "b",
        "duplicate",
        "fail",
        number=0.001,
        unit="left",
        threshold=">= 0.02",
        remedy="remove one",
        detail="of it by a",
    ),
)
REPORT = CheckReport("My library", FINDINGS)


def test_what_follows_the_verdict_is_named():
    with pytest.raises(TypeError, match="positional"):
        Finding("a", "noise", "fail", 6.0)


def test_failed_warned_and_of_one_standard():
    assert [one.check for one in REPORT.failed] == ["duplicate"]
    assert [one.check for one in REPORT.warned] == ["optical density"]
    assert [one.check for one in REPORT.of("b")] == ["optical density", "duplicate"]
    assert REPORT.of("a", "noise") == FINDINGS[:1]


def test_table_holds_what_did_not_pass_worst_first_and_the_library():
    text = str(REPORT)
    assert text.splitlines()[0] == "My library: 2 standards, 1 fail, 1 warn, 1 not known, 2 pass"
    order = [text.index(word) for word in ("duplicate", "1.7", "not known  a", "140")]
    assert order == sorted(order)
    assert "0.2 %" not in text
    assert "-> remove one" in text


def test_whole_table_holds_what_passed_too_in_aligned_columns():
    lines = REPORT.table(all=True).splitlines()
    assert any("0.2 %" in line for line in lines)
    column = lines[0].index("check")
    rows = [line for line in lines[2:] if not line.startswith(" ")]
    assert len(rows) == len(FINDINGS)
    assert all(line[column - 1] == " " and line[column] != " " for line in rows)


def test_empty_report_and_pickle():
    assert "0 standards" in str(CheckReport("Empty", ()))
    assert pickle.loads(pickle.dumps(REPORT)) == REPORT
