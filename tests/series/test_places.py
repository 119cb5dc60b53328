"""Regions of the recipe, of the first stack, in a stack that shows the sample elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.errors import StackError
from chemoscape.recipe import make_recipe
from chemoscape.results import summary_of
from chemoscape.series.places import at_places_of, names_places

ENERGY = np.r_[508:514, 514:534:0.5, 535:561:3].astype(float)
OFFSET = (1.0, -3.0)  # pixels: the particle moves to the left


def recorded(k, offset=(0.0, 0.0)):
    return cs.simulate.core_shell(
        shape=(30, 44), energy=ENERGY, offset_px=offset, poisson=True, photons=4000.0, seed=k
    ).stack


def test_regions_go_along_with_the_sample():
    square = [[0.4, 0.4], [0.8, 0.4], [0.8, 0.8]]
    corner = {"x": [0.0, 0.1], "y": [0.9, 1.2]}
    recipe = make_recipe(
        {
            "input": {"path": "a.h5", "exclude": [{"polygon": square}, corner]},
            "absorbance": {"i0": {"x": [0.2, 0.4], "y": [0.0, 1.2]}},
        }
    )
    assert names_places(recipe)
    there = at_places_of(recorded(0), recipe, np.array([0.5, 4.0]))  # pixels of 0.04 µm
    (kept,) = there.input.exclude  # the corner is out of this stack's field
    np.testing.assert_allclose(kept.polygon, np.array(square) - [0.16, 0.02])
    assert there.absorbance.i0.x == pytest.approx((0.04, 0.24))
    assert there.absorbance.i0.y == pytest.approx((-0.02, 1.18))
    with pytest.raises(StackError, match=r"i0 has left the field of this stack"):
        at_places_of(recorded(0), recipe, np.array([0.0, 15.0]))
    assert not names_places(make_recipe({"absorbance": {"i0": {"levels": [0.9, 1.0]}}}))


def test_open_beam_and_what_is_left_out_are_those_of_the_first(tmp_path):
    """In the second stack the particle lies where the first has its open beam."""
    for k, offset in enumerate([(0.0, 0.0), OFFSET]):
        cs.save_stack(recorded(k, offset), tmp_path / f"s{k}.h5")
    recipe = {
        "input": {"exclude": [{"x": [0.8, 0.96], "y": [0.5, 0.7]}]},
        "absorbance": {"i0": {"x": [0.0, 0.2], "y": [0.0, 1.2]}},
        "series": {"enabled": True, "stacks": [str(tmp_path / "s*.h5")], "times": [0.0, 1.0]},
        "standards": {"select": ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"]},
        **{name: {"enabled": False} for name in ("drift", "clusters", "damage")},
        "composition": {"smooth_px": 0.0, "refine": 1},
    }
    tree = cs.run(recipe)
    table = tree["series"].to_dataset()
    np.testing.assert_allclose(table["shift_x"], [0, -OFFSET[1]], atol=0.1)
    # at the edge of the particle the beam would seem noisier, by half
    first, second = (one.noise.g for one in summary_of(tree).series.moments)
    assert second == pytest.approx(first, rel=0.1)
    missing = tree["direct"]["weight"].isnull().any("standard").sum(("y", "x")).values
    assert missing[1] <= 1.8 * missing[0]  # the hole and what the spline reaches, not two holes
    assert np.diff(table["composition"])[0] == pytest.approx(0, abs=0.01)
