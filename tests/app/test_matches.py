"""Match: what the table says is what the run found; curves add up; a held shift is `match`'s."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from wire import wire

import chemoscape as cs
from chemoscape.app.answers.matches import ANSWERS
from chemoscape.app.asking import Asked
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning
from chemoscape.results import none_if_not_finite
from chemoscape.standards.folder import open_library

#: One worker, so that the run is made once.
pytestmark = pytest.mark.xdist_group("app-run")


def ask(session, name, **asked):
    answer = ANSWERS[name](session, Asked(asked))
    json.dumps(none_if_not_finite(answer))  # the server can send it
    return answer


@pytest.fixture
def groups(results):
    return results["/clustered/clusters"].to_dataset()


@pytest.fixture
def found(results):
    return results["/clustered/match"].to_dataset()


def test_the_table_is_the_runs(shown, found):
    told = ask(shown(), "match/table")
    assert not told["changed"]
    assert told["shift"]["value"] == found.attrs["energy_shift_eV"]
    for k, row in enumerate(told["clusters"]):
        assert row["composition"]["value"] == float(found["composition"][k])
        assert row["composition"]["sd"] == float(found["composition_sd"][k])
        assert row["ambiguous"] == bool(found["ambiguous"][k])
        first = row["candidates"][0]
        assert " + ".join(first["names"]) == found["candidate"].values[k, 0]
        assert first["r_factor"] == pytest.approx(float(found["r_factor"][k]), rel=1e-9)
        assert first["delta_bic"] == 0
        assert row["thickness"]["unit"] == "nm"
        assert row["thickness"]["value"] > 0 < row["thickness"]["sd"]
        close = (found["delta_bic"].values[k] < 6).sum()
        assert len(row["candidates"]) >= min(close, 12)


def test_errors_of_the_candidates_are_those_of_the_match(shown, found):
    """Averaged over the candidates as `match` does, they give its error."""
    session = shown()
    ask(session, "match/table")
    fits = session.remembered(("match", "ranked"), None)
    for k, one in enumerate(fits):
        expected = float(found["composition_sd"][k])
        assert one.composition_sd == pytest.approx(expected, rel=1e-6)


def test_every_answer_says_that_the_standards_are_synthetic(shown):
    session = shown()
    questions = {"match/curves": {"cluster": 0}, "match/at": {"shift_eV": 0.0}}
    for name in ANSWERS:
        status = ask(session, name, **questions.get(name, {}))["standards"]
        assert status["kind"] == "synthetic"
        assert "calculated, not measured" in status["note"]


def test_curves_add_up_to_the_fit(shown, groups, found):
    session = shown()
    for cluster in range(groups.sizes["cluster"]):
        told = ask(session, "match/curves", cluster=cluster)
        used = np.isfinite(told["fitted"])
        total = told["baseline"] + sum(part["curve"] for part in told["parts"])
        np.testing.assert_allclose(total[used], told["fitted"][used], rtol=0, atol=1e-9)
        np.testing.assert_array_equal(told["fitted"], found["fitted"].values[cluster])
        np.testing.assert_array_equal(told["spectrum"], groups["spectrum"].values[cluster])
        np.testing.assert_allclose(
            told["residual"][used], (told["spectrum"] - told["fitted"])[used], atol=0
        )
        assert sum(part["share"] for part in told["parts"]) == pytest.approx(1)


@pytest.mark.parametrize("shift", [-0.4, 0.13, -1.0])
def test_a_held_shift_is_that_of_match(shown, groups, shift):
    told = ask(shown(), "match/at", shift_eV=shift, cluster=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # that the spectra disagree
        expected = cs.match(groups, open_library("lixv2o5-model"), energy_shift=shift)
    for k, row in enumerate(told["clusters"]):
        assert " + ".join(row["names"]) == expected["candidate"].values[k, 0]
        assert row["composition"] == pytest.approx(float(expected["composition"][k]), abs=1e-12)
        assert row["r_factor"] == pytest.approx(float(expected["r_factor"][k]), rel=1e-9)
    fitted = told["curves"]["baseline"] + sum(part["curve"] for part in told["curves"]["parts"])
    np.testing.assert_allclose(fitted, told["curves"]["fitted"], rtol=0, atol=1e-9)
    used = np.isfinite(expected["fitted"].values[1])
    np.testing.assert_allclose(fitted, expected["fitted"].values[1][used], rtol=0, atol=1e-9)


def test_the_fitted_shift_fits_best(shown, found):
    session = shown()
    told = ask(session, "match/scan")
    best = told["fitted"]["value"]
    assert best == pytest.approx(found.attrs["energy_shift_eV"], abs=1e-6)
    assert told["shift_eV"][told["rms"].argmin()] == pytest.approx(best)
    assert (told["shift_eV"][0], told["shift_eV"][-1]) == pytest.approx((best - 1, best + 1))
    near, far = (ask(session, "match/at", shift_eV=at) for at in (best, best + 0.3))
    assert near["chi2_ratio"] == pytest.approx(1)
    assert far["chi2_ratio"] > 5
    assert far["rms"] > near["rms"]


def test_standards_that_are_left_out_are_left_out_of_the_live_fit(shown):
    few = shown(standards={"select": ["alpha-V2O5", "epsilon-Li0.45V2O5"]})
    told = ask(few, "match/at", shift_eV=-0.4)
    assert {name for row in told["clusters"] for name in row["names"]} <= {
        "alpha-V2O5",
        "epsilon-Li0.45V2O5",
    }
    assert ask(few, "match/table")["changed"]
    chosen = ask(few, "match/standards")
    assert [one["selected"] for one in chosen["standards"]["standards"]].count(True) == 2
    assert not chosen["matched"]


def test_far_off_nothing_has_a_composition_but_the_residual_is_seen(shown):
    told = ask(shown(), "match/at", shift_eV=-2.5)
    assert None in [row["composition"] for row in told["clusters"]]
    assert told["rms"] > 0.01
    assert told["curves"]["residual"].size


@pytest.mark.parametrize("shift", [3.01, -4, "much", None, float("nan")])
def test_a_shift_out_of_bounds_is_refused(shown, shift):
    with pytest.raises(ChemoscapeError, match="shift_eV"):
        ask(shown(), "match/at", shift_eV=shift)


def test_a_cluster_that_is_not_there_is_refused(shown):
    with pytest.raises(ChemoscapeError, match="cluster"):
        ask(shown(), "match/curves", cluster=99)


def test_libraries_in_the_folder_are_offered(shown, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "library.toml").write_text('name = "My own"\n', encoding="utf-8")
    offered = {one["value"]: one["label"] for one in ask(shown(), "match/standards")["libraries"]}
    assert "lixv2o5-model" in offered
    assert offered["./mine"] == "My own (./mine)"


def test_without_the_library_the_table_still_stands(shown, tmp_path):
    tree = wire().copy()
    gone = str(tmp_path / "gone")
    tree.attrs["recipe"] = tree.attrs["recipe"].replace('"lixv2o5-model"', f'"{gone}"')
    session = shown()
    session.tree = tree
    told = ask(session, "match/table")
    assert gone in told["library_error"]
    assert told["clusters"][0]["candidates"][0]["names"]
    assert told["clusters"][0]["thickness"]["unit"] == "µg/cm²"
    with pytest.raises(ChemoscapeError, match="gone"):
        ask(session, "match/curves", cluster=0)
