"""The incident beam and the optical density that are shown are those of a run, whatever the recipe
leaves out and takes off, and of a stack of which every n-th pixel is kept.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import chemoscape as cs
from chemoscape.app.answers.beam import ANSWERS
from chemoscape.app.answers.stack import standard_error
from chemoscape.app.as_run import density_as_run
from chemoscape.app.asking import Asked
from chemoscape.app.session import Session
from chemoscape.recipe import make_recipe, to_toml
from chemoscape.stages import absorb, read

DARK, SHAPE = 300.0, (30, 40)
ENERGY = np.arange(510.0, 530.0, 2.0)


class Shown(Session):
    """A session that shows a stack beside a recipe."""

    def __init__(self, stack: xr.DataArray, **recipe: dict) -> None:
        self._opened = SimpleNamespace(stack=stack)
        self._memory, self.opened_stamp = {}, 1
        self.say(**recipe)

    def say(self, **recipe: dict) -> None:
        """Change the recipe."""
        self._draft = SimpleNamespace(recipe=make_recipe(recipe))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A stack over a dark, with a frame that has no beam and a bright scratch."""
    truth = cs.simulate.core_shell(shape=SHAPE, energy=ENERGY, poisson=True, photons=2e4, seed=1)
    values = truth.stack.values + np.float32(DARK)
    values[4] = DARK
    values[:, :3, 30:] = 9e4
    file = tmp_path_factory.mktemp("stack") / "wire.h5"
    cs.save_stack(truth.stack.copy(data=values), file)
    return file


@pytest.fixture
def recipe(path):
    """Values of a recipe that takes off the dark and leaves out the frame and the scratch."""
    return {
        "input": {
            "path": str(path),
            "drop_energies": [float(ENERGY[4])],
            "exclude": [{"x": [1.19, 9.0], "y": [0.0, 0.11]}],
        },
        "absorbance": {"dark": DARK},
    }


def ask(session, name, **asked):
    return ANSWERS[f"beam/{name}"](session, Asked(asked))


@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
def test_dark_and_what_is_left_out_are_those_of_a_run(path, recipe):
    session, made = Shown(cs.open_stack(path), **recipe), make_recipe(recipe)
    expected = absorb(read(made), made)
    picked = ask(session, "pick", i0="auto")
    np.testing.assert_allclose(picked["i0"], expected["i0"].values, rtol=1e-9)
    np.testing.assert_array_equal(picked["energy"], np.delete(ENERGY, 4))
    seen = ask(session, "density", i0="auto", energy=7).values
    np.testing.assert_allclose(seen, expected["optical_density"].values[6], atol=2e-4)
    empty = ask(session, "mask", i0="auto").values
    np.testing.assert_array_equal(empty, expected["background"].values)
    assert np.nanmean(seen[empty]) == pytest.approx(0, abs=0.005)
    assert np.isnan(ask(session, "density", i0="auto", energy=4).values).all()
    assert np.isnan(ask(session, "brightness").values[:3, 30:]).all()


@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
def test_another_dark_is_another_beam(path, recipe):
    """What was found under the recipe of before is not shown again."""
    session = Shown(cs.open_stack(path), **recipe)
    before = ask(session, "pick", i0="auto")["i0"]
    session.say(**{**recipe, "absorbance": {"dark": 0.0}})
    np.testing.assert_allclose(ask(session, "pick", i0="auto")["i0"], before + DARK, rtol=1e-6)


def test_density_of_every_second_pixel_is_that_of_the_run_there(path, recipe):
    """Where the stack is read anew because the recipe leaves something out of it."""
    recipe["absorbance"]["i0"] = {"x": [0.0, 0.2], "y": [0.0, 1.1]}
    made = make_recipe(recipe)
    whole = read(made)
    n = whole.sizes["energy"]
    moved = xr.Dataset(
        {
            "shift_y": ("energy", np.arange(n) % 2 * 2.0),  # whole pixels of those kept
            "shift_x": ("energy", np.arange(n) % 3 * -2.0),
            "quality": ("energy", np.ones(n)),
            "replaced": ("energy", np.zeros(n, dtype=bool)),
        },
        coords={"energy": whole["energy"].values},
        attrs={"applied": 1, "reference": 0},
    )
    tree = xr.DataTree.from_dict({"/drift": moved})
    tree.attrs["recipe"] = to_toml(made)
    recorded = cs.open_stack(path)
    full, every = (
        density_as_run(SimpleNamespace(stack=recorded[:, ::step, ::step], step=step), tree)
        for step in (1, 2)
    )
    full, every = full["optical_density"], every["optical_density"]
    assert every.sizes["x"] < 0.6 * full.sizes["x"]
    there = full.sel(y=every["y"], x=every["x"], method="nearest")
    np.testing.assert_allclose(there["x"], every["x"])
    both = np.isfinite(there.values) & np.isfinite(every.values)
    assert both.mean() > 0.9
    # I0 is the mean of fewer pixels
    apart = (there.values - every.values)[both]
    assert np.abs(apart - np.median(apart)).max() < 0.02


def test_the_error_of_a_mean_counts_the_pixels_that_have_a_value():
    rng = np.random.default_rng(2)
    values = rng.standard_normal((3, 60, 60))
    values[1, :45] = np.nan
    stack = xr.DataArray(values, dims=("energy", "y", "x"))
    found = standard_error(stack, np.ones((60, 60), dtype=bool))
    np.testing.assert_allclose(found, [1 / 60, 1 / 30, 1 / 60], rtol=0.06)


@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
def test_a_scan_in_progress_is_shown_as_far_as_it_is():
    stack = cs.simulate.core_shell(shape=SHAPE, energy=ENERGY, photons=2e4).stack
    values = stack.values.copy()
    values[6:] = np.nan
    begun = stack.copy(data=values)
    picked = ask(Shown(begun), "pick", i0="auto")
    np.testing.assert_array_equal(picked["energy"], ENERGY[:6])
    expected = cs.optical_density(begun.isel(energy=slice(6)).assign_attrs(begun.attrs))
    np.testing.assert_allclose(picked["i0"], expected["i0"].values, rtol=1e-9)
    assert np.isnan(ask(Shown(begun), "density", i0="auto", energy=8).values).all()
