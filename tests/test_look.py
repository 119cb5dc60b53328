"""A first look: ten lines about stacks whose fault is known, and the verdict that it must get."""

from __future__ import annotations

import json
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy.special import erfc

import chemoscape as cs
from chemoscape import look as room
from chemoscape import stack as stacks
from chemoscape.errors import FileFormatError, StackError
from chemoscape.look import instrument, look
from chemoscape.look.notes import LABELS
from chemoscape.preprocess.shifts import Drift

ENERGY = np.round(np.r_[508:514:1.0, 514:534:0.5, 534:561:2.0], 3)
SHAPE, MARGIN = (72, 84), 12


@pytest.fixture(autouse=True)
def judged_damage(monkeypatch):
    """Radiation damage that a test can choose: here what is said of it is tested, not found."""
    found = SimpleNamespace(
        dx=0.002, sd=0.004, significant=False, sentence="none seen: +0.002 ± 0.004."
    )
    module = types.ModuleType("chemoscape.preprocess.damage")
    module.radiation_damage = lambda od, library, **_: found
    module.dose_map = lambda od, library=None, **_: 7.0 + 0 * od["optical_density"][0]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return found


@pytest.fixture(autouse=True)
def no_drift(request, monkeypatch):
    """Frames that do not drift, known without looking, unless a test asks for `real_drift`."""
    if "real_drift" in request.fixturenames:
        return

    def still(stack, **_):
        n = stack.sizes["energy"]
        zero = np.zeros((n, 2))
        return Drift(zero, stack.energy.values, 0, np.ones(n), np.zeros(n, dtype=bool))

    monkeypatch.setattr(instrument, "measure_drift", still)


@pytest.fixture
def real_drift():
    """Drift is measured."""


def rods(shape, seed=3):
    """Thickness of some rods with sharp ends and sides, empty space around them."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    total = np.zeros(shape)
    for _ in range(5):
        cy, cx = random.uniform(0.35, 0.65, 2) * shape
        angle, length, width = (
            random.uniform(0, np.pi),
            random.uniform(10, 18),
            random.uniform(4, 7),
        )
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
        rod = erfc((abs(along) - length) / 1.5) * erfc((abs(across) - width) / 1.5) / 4
        total = np.maximum(total, rod)
    return total


def make(
    *, peak=1.0, photons=2000.0, shift=0.0, energy=ENERGY, divider=1.0, path=(0, 0), seed=0, **facts
):
    """Counts of one phase of the shipped library, moved by whole pixels from frame to frame."""
    random = np.random.default_rng(seed)
    spectrum = cs.open_library("lixv2o5-model").spectra(energy, shift=shift).values[3]
    field = rods((SHAPE[0] + 2 * MARGIN, SHAPE[1] + 2 * MARGIN))
    counts = np.empty((len(energy), *SHAPE))
    moved = np.zeros((len(energy), 2)) + np.asarray(path)
    for i, (dy, dx) in enumerate(moved.astype(int)):
        part = field[MARGIN + dy :, MARGIN + dx :][: SHAPE[0], : SHAPE[1]]
        expected = photons * np.exp(-peak * spectrum[i] / spectrum.max() * part)
        counts[i] = random.poisson(expected * divider) / divider
    axes = (0.05 * np.arange(n) for n in SHAPE)
    attrs = {"counter_divider": divider, "dwell_ms": 1.0, **facts}
    return stacks.build(counts, energy, *axes, quantity="counts", attrs=attrs)


@pytest.fixture
def saved(tmp_path):
    """Write a stack to a file and return its path."""

    def save(stack):
        path = tmp_path / "stack.h5"
        cs.save_stack(stack, path)
        return path

    return save


def line(seen, label):
    """The text behind a label."""
    return next(text for text in seen.lines if text.startswith(f"{label} ")).removeprefix(label)


def test_a_good_stack_is_a_go(saved, real_drift):
    seen = look(saved(make()))
    assert [text.split()[0] for text in seen.lines] == list(LABELS)
    assert len(seen.lines) == 10
    assert seen.go
    assert seen.grade == "go", seen.lines[-1]
    assert str(seen).splitlines() == seen.lines
    assert line(seen, "verdict").strip() == "go"
    facts = json.loads(json.dumps(seen.facts, allow_nan=False))
    assert facts["noise_counts_per_unit"] == pytest.approx(1.0, abs=0.1)
    assert facts["energy_shift_eV"] == pytest.approx(0.0, abs=0.01)
    assert facts["best_standards"] == "epsilon-Li0.45V2O5"
    assert facts["darkest_counts"] == pytest.approx(2000 * np.exp(-1), rel=0.1)
    assert facts["dose_MGy"] == 7.0
    assert "(synthetic)" in line(seen, "spectrum")
    assert "neighbours independent" in line(seen, "noise")


def test_the_thickness_is_that_of_the_rods(saved):
    stack, field = make(), rods((SHAPE[0] + 2 * MARGIN, SHAPE[1] + 2 * MARGIN))
    seen = look(saved(stack))
    library = cs.open_library("lixv2o5-model").select("epsilon-Li0.45V2O5")
    highest = library.spectra(ENERGY).values.max()
    thickest_nm = 1.0 / highest / library.density[0] * 1e7
    part = field[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert seen.facts["mean_thickness_nm"] == pytest.approx(
        thickest_nm * part[part > 0.12].mean(), rel=0.03
    )
    assert seen.facts["sample_share"] == pytest.approx((part > 0.12).mean(), abs=0.02)


def test_a_thick_sample_is_none(saved):
    seen = look(saved(make(peak=4.0)))
    assert not seen.go
    assert "too thick" in seen.lines[-1]
    assert seen.facts["share_above_2_2"] > 0.5


def test_too_little_light(saved):
    seen = look(saved(make(photons=40.0, peak=1.2)))
    assert not seen.go
    assert "counts are left at the darkest" in seen.lines[-1]
    assert seen.facts["darkest_counts"] == pytest.approx(40 * np.exp(-1.2), abs=4)


def test_a_miscalibrated_axis_is_said_and_no_obstacle(saved):
    seen = look(saved(make(shift=-0.4)))
    assert seen.go
    assert seen.facts["energy_shift_eV"] == pytest.approx(-0.4, abs=0.01)
    assert seen.grade == "go, with care"
    assert "-0.40 eV off" in seen.lines[-1]


def test_drift_is_measured_and_taken_out(saved, real_drift):
    n = len(ENERGY)
    path = np.column_stack([np.linspace(0, 3, n).round(), np.linspace(2, -2, n).round()])
    seen = look(saved(make(path=path)))
    assert seen.go
    assert seen.facts["drift_loss"] == pytest.approx(1 - 69 / 72 * 80 / 84, abs=1e-6)
    centred = path - path.mean(axis=0)
    assert seen.facts["drift_rms_px"] == pytest.approx(np.sqrt((centred**2).sum(1).mean()), abs=0.1)
    # the noise is that of the recorded counts, for nothing was interpolated
    assert seen.facts["noise_counts_per_unit"] == pytest.approx(1.0, abs=0.1)
    assert abs(seen.facts["noise_correlation"]) < 0.05


def test_drift_that_loses_the_field(saved, real_drift):
    path = np.column_stack([np.linspace(-12, 12, len(ENERGY)).round()] * 2)
    seen = look(saved(make(path=path)))
    assert not seen.go
    assert "of the field" in seen.lines[-1]


def test_large_frames_are_binned_for_the_drift(saved, real_drift, monkeypatch):
    monkeypatch.setattr(instrument, "DRIFT_PIXELS", 40)
    path = np.column_stack([np.linspace(0, 4, len(ENERGY)).round(), np.zeros(len(ENERGY))])
    seen = look(saved(make(path=path)))
    assert "2 × 2 binned" in line(seen, "drift")
    assert seen.facts["drift_loss"] == pytest.approx(4 / 72, abs=1e-6)


def test_binning_averages_whole_groups():
    stack = make(energy=ENERGY[:3])
    small = instrument._binned(stack, 5)
    assert small.shape == (3, 14, 16)
    np.testing.assert_allclose(small[1, 2, 3], stack[1, 10:15, 15:20].mean(), rtol=1e-6)
    assert float(small.y[0]) == pytest.approx(float(stack.y[:5].mean()))


def test_without_background_the_other_lines_are_said(saved):
    stack = make()
    dark = (rods((SHAPE[0] + 2 * MARGIN, SHAPE[1] + 2 * MARGIN)) > 0.9)[
        MARGIN:-MARGIN, MARGIN:-MARGIN
    ]
    rows, columns = (
        np.flatnonzero(dark.all(axis=1) | dark.any(axis=1)),
        np.flatnonzero(dark.any(axis=0)),
    )
    middle = slice(rows[len(rows) // 2] - 5, rows[len(rows) // 2] + 5)
    across = slice(columns[len(columns) // 2] - 5, columns[len(columns) // 2] + 5)
    seen = look(saved(stack.isel(y=middle, x=across)))
    assert not seen.go
    assert "none found" in line(seen, "background")
    assert "there is no background" in seen.lines[-1]
    assert "want of a background" in line(seen, "spectrum")
    assert "508.00 to" in line(seen, "energies")
    assert len(seen.lines) == 10


def test_an_i0_of_another_day(saved):
    counts = make()
    beam = 2000 * (1 + 0.1 * np.sin(ENERGY / 4))[:, None, None]
    axes = [counts[name].values for name in stacks.DIMS]
    density = stacks.build(np.log(beam / counts.values), *axes, quantity="optical_density")
    seen = look(saved(density))
    assert not seen.go
    assert "I0 is stale" in seen.lines[-1]
    assert seen.facts["background_od_sd"] == pytest.approx(np.log(beam).std(), rel=0.05)
    right = stacks.build(np.log(2000 / counts.values), *axes, quantity="optical_density")
    seen = look(saved(right))
    assert seen.go
    assert abs(seen.facts["background_od"]) < 0.002
    assert "not judged" in line(seen, "noise")


def test_a_beam_that_changes_within_the_images(saved):
    stack = make()
    flicker = 1 + 0.15 * np.sin(np.arange(len(ENERGY)))
    values = stack.values.copy()
    values[:, SHAPE[0] // 2 :] *= flicker[:, None, None]
    seen = look(saved(stacks.like(stack, values)))
    assert seen.facts["i0_unsteady"] == pytest.approx(np.log(flicker).std(), rel=0.25)
    assert not seen.go
    assert "within the images" in seen.lines[-1]


def test_halves_of_a_steady_beam_differ_by_no_more_than_counting():
    random = np.random.default_rng(0)
    counts = random.poisson(100.0, (200, 20, 20)).astype(np.float32)
    uneven, unsteady = instrument.halves(counts, np.ones((20, 20), dtype=bool), 1.0)
    expected = np.sqrt(2 / (100 * 200))  # of one ratio
    assert uneven < 4 * expected / np.sqrt(200)
    assert unsteady < 0.5 * expected
    tilted = counts * np.linspace(0.9, 1.1, 20)[:, None]
    assert instrument.halves(tilted, np.ones((20, 20), dtype=bool), 1.0)[0] == pytest.approx(
        0.105, abs=0.005
    )


@pytest.mark.parametrize(
    ("frames", "words"), [(slice(6, None), "before the edge"), (slice(0, 40), "behind the edge")]
)
def test_energies_must_reach_over_the_edge(saved, frames, words):
    seen = look(saved(make(energy=ENERGY[frames])))
    assert not seen.go
    assert words in seen.lines[-1]


def test_no_library_for_another_edge(saved):
    stack = make()
    iron = stack.assign_coords(energy=stack.energy + 195.0)
    seen = look(saved(iron))
    assert line(seen, "spectrum").strip() == "no library covers 703 to 755 eV"
    assert seen.go
    seen = look(saved(iron), library="lixv2o5-model")
    assert "another edge" in seen.lines[-1]


def test_noise_below_that_of_counting(saved):
    seen = look(saved(make(divider=10.0, counter_divider=1.0)))
    assert not seen.go
    assert seen.facts["noise_counts_per_unit"] == pytest.approx(10, abs=1)
    assert "less than counting allows" in seen.lines[-1]
    assert look(saved(make(divider=10.0))).grade == "go"


def test_damage_stops_the_night(saved, judged_damage):
    judged_damage.significant = True
    seen = look(saved(make()))
    assert not seen.go
    assert "the beam changes the sample" in seen.lines[-1]


def test_repeated_energies_are_compared(saved, monkeypatch):
    """The last visits are read too, and what is judged is what changed between."""
    first, last, compared = make(n_repeated=2), make(n_repeated=2, shift=0.3), []

    def opened(path, *, visit="first", **_):
        return first if visit == "first" else last

    def judged(od, library, *, later=None):
        compared.append(later)
        return SimpleNamespace(dx=0.1, sd=0.01, significant=True, sentence="x rose by 0.1")

    monkeypatch.setattr(room, "open_stack", opened)
    monkeypatch.setattr(sys.modules["chemoscape.preprocess.damage"], "radiation_damage", judged)
    seen = look("wire.hdr")
    assert not seen.go
    assert "x rose by 0.1" in line(seen, "damage")
    (later,) = compared
    expected = cs.optical_density(last)["optical_density"]
    xr.testing.assert_equal(later["optical_density"], expected)


def test_a_scan_in_progress(saved):
    stack = make()
    values = stack.values.copy()
    values[-3:] = np.nan
    seen = look(saved(stacks.like(stack, values)))
    assert seen.facts["n_images_missing"] == 3
    assert "3 of" in line(seen, "energies")


def test_one_image(saved):
    seen = look(saved(make(energy=[518.5])))
    assert not seen.go
    assert "one image" in seen.lines[-1]
    assert len(seen.lines) == 10


@pytest.mark.parametrize("lazy", [False, True])
def test_of_a_large_stack_a_strip_is_seen(saved, monkeypatch, lazy):
    whole = look(saved(make()), lazy=lazy)
    assert whole.facts["looked_at"] == "all"
    monkeypatch.setattr(room, "MOST_VALUES", len(ENERGY) * SHAPE[1] * 66)
    part = look(saved(make()), lazy=lazy)
    assert "only the middle 66 × 84 pixels" in line(part, "file")
    assert part.facts["energy_shift_eV"] == pytest.approx(whole.facts["energy_shift_eV"], abs=0.01)


def test_a_step_that_fails_is_one_line(saved, monkeypatch):
    def refuse(*_, **__):
        raise StackError("out of luck")

    monkeypatch.setattr(instrument, "measure_drift", refuse)
    seen = look(saved(make()))
    assert "out of luck" in line(seen, "drift")
    assert seen.go
    assert "the drift could not be judged" in seen.lines[-1]
    assert seen.facts["best_standards"] == "epsilon-Li0.45V2O5"


def test_a_defect_of_the_program_is_no_go_with_care(saved, monkeypatch):
    def defect(*_, **__):
        raise RuntimeError("oops")

    monkeypatch.setattr(instrument, "measure_drift", defect)
    with pytest.raises(RuntimeError, match="oops"):
        look(saved(make()))


def test_what_cannot_be_opened_raises(tmp_path, saved):
    with pytest.raises(FileFormatError):
        look(tmp_path / "nothing.h5")
    empty = stacks.like(make(), np.full((len(ENERGY), *SHAPE), np.nan))
    with pytest.raises(StackError, match="no value"):
        look(saved(empty))
