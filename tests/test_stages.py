"""Stages before the fit on stacks with drift, artefacts, flat images, repeats: as a recipe asks."""

from __future__ import annotations

import numpy as np
import pytest

import chemoscape as cs
from chemoscape import stack as stacks
from chemoscape import stages
from chemoscape.errors import ChemoscapeWarning, FitError, RecipeError
from chemoscape.preprocess.visits import on_one_grid
from chemoscape.recipe import make_recipe
from chemoscape.workflow import analyse

pytestmark = pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
SHAPE = (60, 80)


@pytest.fixture(scope="module")
def truth():
    return cs.simulate.core_shell(shape=SHAPE, poisson=False)


def rolled(values, dy=3, dx=-4):
    """Frames that move away by whole pixels, none of them interpolated; the field is empty at its
    border.
    """
    n = len(values)
    steps = np.array([(int(dy * i / n), int(dx * i / n)) for i in range(n)])
    return np.stack([np.roll(f, step, (0, 1)) for f, step in zip(values, steps, strict=True)]), (
        -steps
    )


def errors(drift, shifts):
    apart = drift.shifts - shifts
    return np.abs(apart - np.median(apart, axis=0))


def counted(stack, expected, seed=0):
    return stacks.like(stack, np.random.default_rng(seed).poisson(expected))


def test_flat_images_are_applied_before_the_drift_is_measured(truth, tmp_path):
    y, x = np.indices(SHAPE)
    flat = 1 + 0.25 * np.sin(x / 2) * np.cos(y / 3)  # a pattern that would pin the drift to zero
    moved, shifts = rolled(truth.stack.values)
    beam = truth.i0.values[:, None, None] * flat
    cs.save_stack(counted(truth.stack, moved * flat), tmp_path / "s.h5")
    cs.save_stack(counted(truth.stack, beam, seed=1), tmp_path / "flat.h5")
    recipe = {
        "input": {"path": str(tmp_path / "s.h5")},
        "absorbance": {"i0": str(tmp_path / "flat.h5"), "i0_unit": "image"},
        "standards": {"select": ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"]},
        "report": {"enabled": False},
    }
    outcome = analyse(recipe)
    assert outcome.summary.drift.applied
    assert np.sqrt((errors(outcome.products.drift, shifts) ** 2).mean()) < 0.05
    assert outcome.summary.composition.mean_mass_weighted == pytest.approx(
        analyse_still(truth, tmp_path), abs=0.004
    )


def analyse_still(truth, folder):
    cs.save_stack(truth.stack, folder / "still.h5")
    recipe = {
        "input": {"path": str(folder / "still.h5")},
        "drift": {"enabled": False},
        "standards": {"select": ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"]},
        "report": {"enabled": False},
    }
    return analyse(recipe).summary.composition.mean_mass_weighted


def test_repairs_are_counted_and_mapped(truth, tmp_path):
    values = counted(truth.stack, truth.stack.values).values.copy()
    spikes = np.random.default_rng(2).choice(values[20:120].size, 40, replace=False)
    values[20:120].reshape(-1)[spikes] += 9000
    values[40, 20] *= 0.6
    cs.save_stack(stacks.like(truth.stack, values), tmp_path / "s.h5")
    recipe = {
        "input": {"path": str(tmp_path / "s.h5")},
        "artefacts": {"despike": 8.0, "level_lines": 6.0},
        "standards": {"enabled": False},
        "clusters": {"enabled": False},
        "report": {"enabled": False},
    }
    outcome = analyse(recipe)
    assert outcome.summary.pixels.levelled_values == SHAPE[1]
    assert 38 <= outcome.summary.pixels.despiked_values <= 42
    node = outcome.tree["absorbance"]
    assert int(node["touched_spikes"].sum()) == outcome.summary.pixels.despiked_values
    assert int(node["touched_lines"].sum()) == SHAPE[1]


def test_drift_measured_on_another_channel(truth, tmp_path):
    """The first channel shows nothing, the second the sample; both moved alike."""
    stack = truth.stack.isel(energy=slice(40, 100, 4))
    moved, shifts = rolled(stack.values)
    axis = '{{ Name = "{}"; Unit = "um"; Points = ({}, {}); }}'
    x, y = (
        axis.format(name, stack.sizes[name], ", ".join(f"{v:.4f}" for v in stack[name].values))
        for name in ("x", "y")
    )
    energies = ", ".join(f"{e:.3f}" for e in stack.energy.values)
    (tmp_path / "s.hdr").write_text(
        'ScanDefinition = { Type = "NEXAFS Image Scan"; Dwell = 1;\n'
        f"Regions = (1, {{ PAxis = {x}; QAxis = {y}; }});\n"
        f'StackAxis = {{ Name = "Energy"; Unit = "eV"; Points = ({len(moved)}, {energies}); }};\n'
        'Channels = (2, { Name = "empty"; Unit = "Hz"; }, { Name = "sample"; Unit = "Hz"; });};\n'
    )
    random = np.random.default_rng(3)
    for k, frame in enumerate(moved):
        for letter, expected in (("a", np.full(SHAPE, 900.0)), ("b", frame)):
            values = random.poisson(expected)
            np.savetxt(tmp_path / f"s_{letter}{k:03d}.xim", values, fmt="%d", delimiter="\t")
    recipe = make_recipe({"input": {"path": str(tmp_path / "s.hdr"), "channel": "empty"}})
    alone, _ = stages.find_drift(stages.read(recipe), recipe)
    assert errors(alone, shifts).max() > 0.5
    with_other = recipe.model_copy(
        update={"drift": recipe.drift.model_copy(update={"channel": "sample"})}
    )
    found, matters = stages.find_drift(stages.read(with_other), with_other)
    assert matters
    assert errors(found, shifts).max() < 0.2


def test_an_i0_for_optical_densities_is_said_to_have_no_use(truth):
    od = stacks.build(
        truth.optical_density.values,
        *(truth.stack[name].values for name in stacks.DIMS),
        quantity="optical_density",
    )
    with pytest.warns(ChemoscapeWarning, match="has no use"):
        cs.optical_density(od, cs.Region(x=(0, 1), y=(0, 1)))


def test_shifts_set_by_hand(truth, tmp_path):
    cs.save_stack(truth.stack, tmp_path / "s.h5")
    energy = float(truth.stack.energy[30])
    recipe = make_recipe(
        {
            "input": {"path": str(tmp_path / "s.h5")},
            "drift": {"edits": [{"energy": energy, "shift_px": [1.0, -2.0]}]},
        }
    )
    drift, matters = stages.find_drift(stages.read(recipe), recipe)
    assert matters
    assert drift.shifts[30].tolist() == [1.0, -2.0]


def test_damage_between_visits(truth, tmp_path):
    """Twelve energies measured again, after a part of the core has lost its lithium."""
    stack, names = truth.stack, truth.weights.standard.values.tolist()
    again = np.arange(20, 140, 10)
    weights = truth.weights.values.copy()
    lost = 0.2 * weights[names.index("epsilon-Li0.45V2O5")]
    weights[names.index("epsilon-Li0.45V2O5")] -= lost
    weights[names.index("alpha-Li0.1V2O5")] += lost
    spectra = truth.library.select(*names).spectra(stack.energy.values[again]).values
    late = truth.i0.values[again, None, None] * np.exp(-np.einsum("ke,kyx->eyx", spectra, weights))
    random = np.random.default_rng(4)
    cube = random.poisson(np.concatenate([stack.values, late])).astype(np.float32)
    np.save(tmp_path / "s.npy", cube)
    np.savetxt(tmp_path / "e.txt", np.append(stack.energy.values, stack.energy.values[again]))
    recipe = {
        "input": {
            "path": str(tmp_path / "s.npy"),
            "energies": str(tmp_path / "e.txt"),
            "pixel_um": 0.05,
            "quantity": "counts",
        },
        "standards": {"select": ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"]},
        "clusters": {"enabled": False},
        "report": {"enabled": False},
    }
    outcome = analyse(recipe)
    damage = outcome.summary.damage
    assert damage.how == "repeated energies"
    assert damage.significant
    share = float(lost.sum() / truth.weights.values.sum())
    assert damage.dx == pytest.approx(-0.35 * share, abs=0.006)
    assert any("radiation damage" in said for said in outcome.summary.warnings)


def test_visits_are_compared_on_one_grid(truth, tmp_path):
    """The frame with most contrast, the reference, is measured again, two and three pixels away."""
    stack = truth.stack.isel(energy=slice(20, 120, 5))
    again = np.array([4, 5, 6, 7, 8])
    values = stack.values.copy()
    values[10:] = np.roll(values[10:], (1, -1), (1, 2))
    late = np.roll(stack.values[again], (2, 3), (1, 2))
    np.save(tmp_path / "s.npy", np.random.default_rng(5).poisson(np.concatenate([values, late])))
    energy = stack.energy.values
    np.savetxt(tmp_path / "e.txt", np.append(energy, energy[again]))
    recipe = make_recipe(
        {
            "input": {
                "path": str(tmp_path / "s.npy"),
                "energies": str(tmp_path / "e.txt"),
                "pixel_um": 0.05,
                "quantity": "counts",
            },
        }
    )
    first, last = stages.read(recipe), stages.read(recipe, visit="last")
    known, _ = stages.find_drift(first, recipe)
    drift, _ = stages.find_drift(last, recipe, visit="last")
    moved = on_one_grid(known, drift, first, last)
    expected = known.shifts.copy()
    expected[again] += [-2, -3]
    assert np.abs(moved.shifts - expected).max() < 0.2
    swapped = on_one_grid(known, drift, first, last * 1.001)  # no frame in common
    assert np.abs(swapped.shifts - expected).max() < 0.3


def test_without_any_of_it_nothing_is_touched(truth, tmp_path):
    cs.save_stack(truth.stack, tmp_path / "s.h5")
    recipe = make_recipe({"input": {"path": str(tmp_path / "s.h5")}})
    assert not stages.asked_to_mend(recipe)
    assert not stages.uses_detector_images(recipe)
    with pytest.warns(ChemoscapeWarning):  # a simulation has no noise
        od = stages.absorb(stages.read(recipe), recipe)
    assert "background" in od


@pytest.mark.parametrize(
    ("drift", "word"),
    [
        ({"edits": [{"energy": 510.0, "shift_px": [1, 1]}] * 2}, "twice"),
        ({"edits": [{"energy": 510.0, "shift_px": [1000, 1]}]}, "out of the field"),
        ({"shifts": "a.aln", "motion": "rigid"}, "motion says how to measure"),
        ({"enabled": False, "shifts": "a.aln"}, "off but has shifts"),
    ],
)
def test_contradictions_about_drift_are_refused(truth, tmp_path, drift, word):
    cs.save_stack(truth.stack, tmp_path / "s.h5")
    with pytest.raises(RecipeError, match=word):
        analyse({"input": {"path": str(tmp_path / "s.h5")}, "drift": drift})


def test_an_aborted_second_pass_does_not_stop_the_run(truth, tmp_path):
    """The scan was repeated, and stopped after a third."""
    n = truth.stack.sizes["energy"]
    random = np.random.default_rng(6)
    cube = random.poisson(np.concatenate([truth.stack.values] * 2)).astype(np.float32)
    cube[n + 50 :] = np.nan
    np.save(tmp_path / "s.npy", cube)
    np.savetxt(tmp_path / "e.txt", np.tile(truth.stack.energy.values, 2))
    recipe = {
        "input": {
            "path": str(tmp_path / "s.npy"),
            "energies": str(tmp_path / "e.txt"),
            "pixel_um": 0.05,
            "quantity": "counts",
        },
        "clusters": {"enabled": False},
        "report": {"enabled": False},
    }
    for visit in ("first", "last"):
        recipe["input"]["visit"] = visit
        damage = analyse(recipe).summary.damage
        assert damage.how == "repeated energies"
        assert not damage.significant


def test_what_was_warned_of_is_said_when_a_run_fails(truth, tmp_path):
    cs.save_stack(counted(truth.stack, truth.stack.values), tmp_path / "s.h5")
    recipe = {
        "input": {"path": str(tmp_path / "s.h5")},
        "drift": {"motion": "similarity"},
        "composition": {"min_thickness": 1e9},
    }
    with pytest.raises(FitError) as error:
        analyse(recipe)
    assert any("shrink and grow" in note for note in error.value.__notes__)
