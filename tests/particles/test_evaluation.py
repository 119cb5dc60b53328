"""Held-out images are held out and the same each time; results are told side by side."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from chemoscape.errors import RecipeError, StackError
from chemoscape.particles.evaluation import (
    CONDITIONS,
    FIRST_SEED,
    POOLED,
    evaluate,
    held_out,
    table,
    to_csv,
    to_dict,
)
from chemoscape.particles.generator import make_ensemble
from chemoscape.particles.masks import Instances

SMALL = {
    "coarse": {"shape": (48, 64), "pixel_um": 0.08, "n_wires": 5},
    "fine": {"shape": (80, 80), "pixel_um": 0.04, "n_wires": 3, "counts": 500.0},
}


def nothing(image, pixel_um):
    return Instances(image.shape)


def knowing(conditions, n_images):
    """A method that has seen the answers; it checks that images come in order."""
    answers = iter([one for how in conditions.values() for one in held_out(how, n_images)])

    def find(image, pixel_um):
        ensemble = next(answers)
        np.testing.assert_array_equal(image, ensemble.image)
        assert pixel_um == ensemble.pixel_um
        return ensemble.instances

    return find


@pytest.fixture(scope="module")
def results():
    return {
        "all-knowing": evaluate(knowing(SMALL, 3), SMALL, n_images=3),
        "blind": evaluate(nothing, SMALL, n_images=3),
    }


@pytest.mark.parametrize("condition", CONDITIONS)
def test_held_out_images_follow_their_seeds(condition):
    first, second = held_out(condition, 2)
    (alone,) = held_out(condition, 1, FIRST_SEED + 1)
    np.testing.assert_array_equal(alone.image, second.image)
    again = make_ensemble(np.random.default_rng(10_000_000), **CONDITIONS[condition])
    np.testing.assert_array_equal(again.image, first.image)
    assert first.image.shape == CONDITIONS[condition]["shape"]
    assert len(first.wires) > 0


def test_conditions_are_of_one_field_and_as_named():
    fields = {how["shape"][0] * how["pixel_um"] for how in CONDITIONS.values()}
    assert len(fields) == 1
    crowded, loose = (next(held_out(name, 1)) for name in ("high overlap", "40 nm"))
    assert (crowded.instances.layers() > 1).sum() > (loose.instances.layers() > 1).sum()
    noisy = next(held_out("low counts", 1)).image
    assert np.diff(noisy[:, :8], axis=0).std() > 0.05


@pytest.mark.parametrize(
    ("condition", "n_images", "seed", "words"),
    [
        ("50 nm", 1, FIRST_SEED, "no held-out condition is called '50 nm'.*'40 nm'"),
        ("40 nm", 0, FIRST_SEED, "0 images to evaluate on"),
        ("40 nm", 1, 7, "seed 7 may have been trained on"),
    ],
)
def test_what_is_not_held_out_is_refused_before_any_image(condition, n_images, seed, words):
    with pytest.raises(RecipeError, match=words):
        held_out(condition, n_images, seed)


def test_the_truth_scores_one_and_nothing_zero(results):
    knows, blind = results["all-knowing"], results["blind"]
    assert list(knows.conditions) == ["coarse", "fine"]
    for scores in knows.scores.values():
        assert (scores.ap, scores.pq, scores.recall) == pytest.approx((1, 1, 1))
    assert blind.pooled.ap == blind.pooled.pq == 0
    assert knows.pooled.n_images == 6
    assert knows.pooled.n_true == sum(one.n_true for one in knows.conditions.values()) > 6
    assert knows.seconds_per_image > 0
    for name in ("n_true", "typical_um2"):
        own = [getattr(one, name) for one in knows.pooled.by_size]
        np.testing.assert_array_equal(own, [getattr(one, name) for one in blind.pooled.by_size])


def test_conditions_are_chosen_by_name():
    said = []
    only = evaluate(nothing, ["80 nm"], n_images=1, progress=said.append)
    assert list(only.scores) == ["80 nm", POOLED]
    assert said == ["80 nm, image 1 of 1"]
    with pytest.raises(RecipeError, match="no held-out condition"):
        evaluate(nothing, ["70 nm"])
    with pytest.raises(RecipeError, match="no condition"):
        evaluate(nothing, [])


def test_masks_of_another_shape_are_refused():
    with pytest.raises(StackError, match="found on"):
        evaluate(lambda image, pixel_um: Instances((3, 3)), SMALL, n_images=1)


def test_the_table_has_methods_side_by_side(results):
    lines = table(results).splitlines()
    knows = results["all-knowing"]
    assert lines[0] == f"coarse (3 images, {knows.conditions['coarse'].n_true} particles)"
    assert lines[1].split() == ["all-knowing", "blind"]
    assert lines[2].split() == ["AP", "1.000", "0.000"]
    assert [line.split(" (")[0] for line in lines if "images" in line] == ["coarse", "fine", POOLED]
    assert len({len(line) for line in lines if line.startswith(("AP", "PQ", "  its"))}) == 1
    assert "nan" not in "".join(lines)


def test_a_condition_that_one_method_lacks_shows_a_dash(results):
    other = evaluate(nothing, {"coarse": SMALL["coarse"]}, n_images=3)
    text = table({"short": other, **results})
    blocks = text.split("\n\n")
    assert [one.split(" (")[0] for one in blocks[:3]] == ["coarse", "fine", POOLED]
    assert blocks[1].splitlines()[2].split() == ["AP", "–", "1.000", "0.000"]
    assert table({}) == ""


def test_results_go_into_json_and_csv(results, tmp_path):
    data = json.loads(json.dumps(to_dict(results), allow_nan=False))
    assert data["blind"]["scores"]["fine"]["precision"] is None
    to_csv(results, tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["condition"]) for row in rows] == [
        (method, name) for method in results for name in ("coarse", "fine", POOLED)
    ]
    assert float(rows[2]["n_true"]) == results["all-knowing"].pooled.n_true
    assert rows[3]["precision"] == ""
