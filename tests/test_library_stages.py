"""Standards from stacks: what is averaged, what the record says, and what is refused."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chemoscape as cs
from chemoscape import simulate
from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, LibraryError, RegionError
from chemoscape.library_stages import opened, standards_from_stack
from chemoscape.recipe import make_recipe
from chemoscape.region import Region
from chemoscape.standards.changing import add_to_folder
from chemoscape.standards.library import Library
from chemoscape.standards.record import Record
from chemoscape.standards.writing import save_library

CORE, SHELL = "epsilon-Li0.45V2O5", "alpha-V2O5"
INNER = "{x = [1.3, 1.9], y = [1.0, 1.4]}"


@pytest.fixture(scope="module")
def library():
    return cs.open_library("lixv2o5-model")


@pytest.fixture(scope="module")
def stack_file(tmp_path_factory):
    """Counts of a core-shell particle: pure in the core and the shell, mixed in between."""
    energy = np.concatenate([np.arange(510.0, 535.0, 0.5), np.arange(535.0, 551.0, 1.0)])
    truth = simulate.core_shell(
        core=CORE, shell=SHELL, poisson=True, photons=5000, shape=(48, 64), pixel_um=0.05,
        energy=energy,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("stack") / "particle.h5"
    facts = {"facility": "A ring", "beamline": "7.0", "started": "2026-01-02 03:04:05"}
    facts["channel"] = "PMT"
    cs.save_stack(truth.stack.assign_attrs(facts), path)
    return path


@pytest.fixture(scope="module")
def particle(stack_file):
    """The stack, whose optical density the first test makes for all, and two regions of it."""
    core, empty = {"x": [1.3, 1.9], "y": [1.0, 1.4]}, {"x": [0.0, 0.3], "y": [0.0, 0.3]}
    regions = {"regions": {"empty": empty, "core": core}}
    return opened(make_recipe(recipe_of(stack_file, deconvolution=regions)))


def made(source, **more):
    """A standard; the drift is off where frames show too little to be registered."""
    if isinstance(source, Path):
        source = recipe_of(source)
    if isinstance(source, dict):
        source = make_recipe(source)
    return standards_from_stack(source, **{"id": "new", "value": 0.45, **more})


def recipe_of(stack_file, **sections):
    return {"input": {"path": str(stack_file)}, "drift": {"enabled": False}, **sections}


def departure(standard, truth):
    """Rms distance of a spectrum from a multiple of another and a constant, over its own rms."""
    columns = np.stack([truth, np.ones_like(truth)], axis=1)
    left = standard.spectrum - columns @ np.linalg.lstsq(columns, standard.spectrum, rcond=None)[0]
    return np.sqrt((left**2).mean() / standard.spectrum.var())


def test_a_region_of_the_core_is_the_core(particle, library):
    standard, found = made(particle, region=INNER, library=library, formula="Li0.45V2O5")
    truth = library.select(CORE).spectra(standard.energy).values[0]
    assert departure(standard, truth) < 0.012  # counting noise alone makes 0.007
    assert found.rank == 1
    assert found.explanation.shares[0].standard == CORE
    assert found.explanation.shares[0].share > 0.98
    measured = standard.record.measurement
    assert measured.n_pixels == found.n_pixels == 12 * 8
    assert measured.edges == "V L3, V L2, O K"
    assert (measured.facility, measured.beamline) == ("A ring", "7.0")
    assert measured.date.startswith("2026-01-02")
    assert measured.dwell_ms == 1.0
    assert "background" in measured.i0
    assert measured.mode == "transmission"
    assert "particle.h5" in standard.source
    assert "96 pixels" in standard.source
    assert np.isnan(measured.resolution_eV)
    assert standard.record.calibration.reference == ""
    assert standard.molar_mass == pytest.approx(185.0, abs=0.1)
    assert standard.record.evidence.rank == 1.0
    assert standard.record.evidence.lcf == found.lcf
    assert "rank" in standard.record.remarks


def test_the_spectrum_is_the_mean_and_its_error_covers(stack_file, particle):
    """Against the optical density without noise: chi2 per energy of a mean over 96 pixels."""
    standard, _ = made(particle, region=INNER)
    od = cs.optical_density(cs.open_stack(stack_file))
    mask = Region(x=(1.3, 1.9), y=(1.0, 1.4)).mask(od).values
    mean = od["optical_density"].values[:, mask].mean(axis=1, dtype=float)
    np.testing.assert_allclose(standard.spectrum, mean, rtol=1e-6)
    truth = simulate.core_shell(
        core=CORE, shell=SHELL, shape=(48, 64), pixel_um=0.05, energy=standard.energy
    )
    exact = np.log(truth.i0.values[:, None, None] / truth.stack.values)[:, mask].mean(axis=1)
    apart = (standard.spectrum - exact) / standard.spectrum_sd
    assert 0.6 < (apart**2).mean() < 1.5
    quantile = np.quantile(od["optical_density"].values[:, mask], 0.999, axis=1).max()
    assert standard.record.measurement.max_od == pytest.approx(quantile)


def test_all_of_the_sample_is_more_than_one_substance(particle):
    standard, found = made(particle)
    assert found.rank == 2
    assert standard.record.evidence.rank == 2.0
    assert "all of the sample" in standard.source


def test_clusters_are_the_parts(particle, library):
    standard, found = made(particle, cluster=0, n_clusters=3)
    truth = library.select(SHELL).spectra(standard.energy).values[0]
    assert departure(standard, truth) < 0.01
    assert found.rank == 1
    assert "cluster 0 of 3" in standard.source
    assert "chose these pixels for being alike" in standard.record.remarks


@pytest.mark.parametrize("how", ["name", "number", "text of a number", "region", "mask"])
def test_regions_as_a_recipe_knows_them(particle, how):
    region = Region(x=(1.3, 1.9), y=(1.0, 1.4))
    given = {
        "name": "core",
        "number": 1,
        "text of a number": "1",
        "region": region,
        "mask": region.mask(particle.done.stack),
    }[how]
    standard, _ = made(particle, region=given)
    same, _ = made(particle, region=INNER)
    np.testing.assert_array_equal(standard.spectrum, same.spectrum)


def test_a_recipe_file_and_an_anchor_of_it(stack_file, particle, tmp_path):
    """An energy shift stated in the recipe is taken off, and the record says so."""
    plain, _ = made(particle, region=INNER)
    (tmp_path / "recipe.toml").write_text(
        f'[input]\npath = "{stack_file.as_posix()}"\n[drift]\nenabled = false\n'
        "[calibration]\nenergy_shift = -0.4\n",
        encoding="utf-8",
    )
    steps = []
    moved, _ = standards_from_stack(
        tmp_path / "recipe.toml", id="new", region=INNER, progress=steps.append
    )
    np.testing.assert_allclose(moved.energy, plain.energy + 0.4, atol=1e-9)
    assert moved.record.calibration.shift_eV == 0.4
    assert moved.record.calibration.reference == "energy_shift of the recipe"
    assert steps == ["read", "optical density", "purity"]
    anchors = [{"energy": 518.5, "within": [517.0, 520.0]}]
    by_anchor, _ = made(recipe_of(stack_file, calibration={"anchors": anchors}), region=INNER)
    said = by_anchor.record.calibration
    assert said.anchor_eV == 518.5
    np.testing.assert_allclose(by_anchor.energy, plain.energy + said.shift_eV, atol=2e-6)
    assert said.uncertainty_eV > 0


def test_what_is_known_of_the_sample_stays(particle):
    record = Record(remarks="grown at 650 C").with_(phase="epsilon", facility="Elsewhere")
    standard, _ = made(particle, region=INNER, record=record, resolution_eV=0.2)
    assert standard.record.sample.phase == "epsilon"
    assert standard.record.measurement.resolution_eV == 0.2
    assert standard.record.measurement.facility == "Elsewhere"  # not what the file says
    assert standard.record.measurement.beamline == "7.0"
    assert standard.record.remarks.startswith("grown at 650 C\n")


def test_a_library_of_it_opens_again(particle, tmp_path):
    first, _ = made(particle, id="core", region=INNER)
    second, found = made(particle, id="shell", value=0.0, cluster=0, n_clusters=3)
    folder = save_library(Library("own", "Own", "x", (first,)), tmp_path / "own")
    again = add_to_folder(folder, [second])
    assert again.names == ["core", "shell"]
    assert again.standards[1].record.evidence.rank == found.rank
    np.testing.assert_allclose(again.standards[0].spectrum, first.spectrum, rtol=1e-6)
    np.testing.assert_allclose(again.standards[0].spectrum_sd, first.spectrum_sd, rtol=1e-6)


def test_one_stack_makes_several_standards(particle):
    """What is made of it once serves all: the same image, and no step said again."""
    steps = []
    standard, _ = made(particle, region=INNER, progress=steps.append)
    assert steps == ["purity"]
    assert standard.record.measurement.n_pixels == 96
    alone, _ = made(recipe_of(particle.recipe.input.path), region=INNER)
    np.testing.assert_array_equal(standard.spectrum, alone.spectrum)
    assert repr(standard.record) == repr(alone.record)


@pytest.mark.parametrize(
    ("channel", "mode"),
    [("RingCurrent", ""), ("counter0", ""), ("TEY", "electron yield"), ("xrf_1", "fluorescence")],
)
def test_how_it_was_measured_is_not_made_up(particle, channel, mode):
    stack = particle.done.stack.assign_attrs(channel=channel)
    again = particle._replace(done=replace(particle.done, stack=stack))
    measured = made(again, region=INNER)[0].record.measurement
    assert (measured.detector, measured.mode) == (channel, mode)


def test_an_optical_density_that_a_run_kept(stack_file, particle, tmp_path):
    recipe = recipe_of(
        stack_file,
        standards={"enabled": False},
        report={"enabled": False, "keep_optical_density": True},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        cs.run(recipe, output=tmp_path / "run")
    counts, _ = made(particle, region=INNER)
    kept, found = made(tmp_path / "run", region=INNER)
    np.testing.assert_allclose(kept.spectrum, counts.spectrum, rtol=1e-5)
    assert found.rank == 1


def test_an_aligned_stack_says_what_was_taken_out(stack_file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # frames that show too little
        standard, _ = standards_from_stack(stack_file, id="new", region=INNER)
    assert "drift of 0.0" in standard.record.measurement.corrections


def test_an_energy_that_no_pixel_has_is_left_out(stack_file, tmp_path):
    counts = cs.open_stack(stack_file)
    values = np.log(counts.values.max(axis=(1, 2), keepdims=True) / counts.values)
    values[7, :24] = np.nan
    od = stacks.build(values, counts.energy, counts.y, counts.x, quantity="optical_density")
    path = tmp_path / "od.h5"
    cs.save_stack(od, path)
    with pytest.raises(ChemoscapeError):  # no pixel of the region is complete: no purity
        made(path, region="{x = [1.3, 1.9], y = [0.7, 1.1]}")
    standard, _ = made(path, region="{x = [1.3, 1.9], y = [1.3, 1.6]}")
    assert standard.energy.size == counts.sizes["energy"]


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"cluster": 7, "n_clusters": 3}, RegionError, "there are 3"),
        ({"cluster": -1, "n_clusters": 3}, RegionError, "there is no cluster -1"),
        ({"region": "rim"}, RegionError, "has no region 'rim'"),
        ({"region": "{x = [1, 2]}"}, RegionError, "is no region"),
        ({"region": "{x = [1, 2"}, RegionError, "is no region"),
        ({"region": "{x = [90, 91], y = [0, 1]}"}, RegionError, "holds no pixel"),
    ],
)
def test_what_cannot_be_is_one_sentence(particle, more, error, words):
    with pytest.raises(error, match=words):
        made(particle, **more)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"region": INNER, "cluster": 0}, "a region or over a cluster"),
        ({"n_clusters": 3}, "none was chosen"),
        ({"id": ""}, "has no id"),
        ({"id": CORE}, "has a standard of that id; give it another"),
    ],
)
def test_some_of_it_before_the_stack_is_read(stack_file, library, more, words):
    steps = []
    with pytest.raises(LibraryError, match=words):
        made(stack_file, library=library, progress=steps.append, **more)
    assert steps == []


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(ChemoscapeError):
        standards_from_stack(tmp_path / "no.h5", id="new")
    with pytest.raises(ChemoscapeError, match=r"no\.toml"):
        standards_from_stack(tmp_path / "no.toml", id="new")
