"""The paper's validation: what the demo promises about both data sets."""

from __future__ import annotations

import json

import pytest

from chemoscape.demo import table


@pytest.fixture(scope="module")
def summary(demo_output):
    return json.loads((demo_output / "summary.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["clean", "miscalibrated"])
def test_composition_error(summary, name):
    rows = summary["truth"][name]["composition"]
    for route in (
        "direct, matched standards",
        "clustered",
        "composition map as delivered (smoothed)",
    ):
        assert rows[route]["rms"] <= 0.02, route
    six = rows["direct, all six standards"]
    assert six["rms"] <= 1.5 * six["cramer_rao"]
    two = rows["direct, matched standards"]
    assert two["rms"] <= 1.1 * two["cramer_rao"]


@pytest.mark.parametrize(("name", "shift"), [("clean", 0.0), ("miscalibrated", -0.4)])
def test_energy_shift(summary, name, shift):
    found = summary["truth"][name]["energy_shift_eV"]
    assert found["truth"] == shift
    assert found["direct"] == pytest.approx(shift, abs=0.02)
    assert found["clustered"] == pytest.approx(shift, abs=0.02)


def test_fixed_calibration_of_the_twin_is_called_invalid_and_the_fit_repairs_it(summary):
    twin = summary["truth"]["miscalibrated"]
    assert not twin["fixed_calibration"]["valid"]
    assert "energy calibration" in twin["fixed_calibration"]["says"]
    rows = twin["composition"]
    assert rows["direct, calibration held at zero"]["rms"] > 0.1
    assert summary["truth"]["clean"]["fixed_calibration"]["valid"]


@pytest.mark.parametrize("name", ["clean", "miscalibrated"])
def test_rank_and_clusters(summary, name):
    found = summary["truth"][name]
    assert found["rank"]["mp"] == found["rank"]["ind"] == 2
    assert found["clusters"]["found"] == 3
    assert found["clusters"]["rightly_assigned"] >= 0.99


@pytest.mark.parametrize("name", ["clean", "miscalibrated"])
def test_stress(summary, name):
    """Means hold; the true map is sharp and the result smoothed: looser percentiles."""
    for row in summary["truth"][name]["stress"].values():
        assert row["mean_MPa"] == pytest.approx(row["truth_mean_MPa"], rel=0.03)
        assert row["p99_MPa"] == pytest.approx(row["truth_p99_MPa"], rel=0.05)
    rows = summary["truth"][name]["stress"]
    assert rows["fixed"]["mean_MPa"] > 1.5 * rows["free"]["mean_MPa"]


def test_table_says_synthetic_and_not_valid(summary):
    text = table(summary)
    assert "synthetic" in text
    assert "NOT VALID" in text
    assert max(map(len, text.splitlines())) < 260
