"""Recipes of a few images, from files to figures: nodes, numbers, refusals."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

import chemoscape as cs
from chemoscape.cli import main
from chemoscape.errors import ChemoscapeWarning, RecipeError
from chemoscape.few_energies.problem import SOURCES
from chemoscape.stack import build

#: One worker, so that the files are made once.
pytestmark = pytest.mark.xdist_group("few-images")

ENERGIES = [508.0, 515.9, 517.2, 555.0]
PAIR = {"select": ["alpha-Li0.1V2O5", "epsilon-Li0.3V2O5"]}
MATERIAL = {
    **{"young_GPa": 43.0, "poisson": 0.3, "eigenstrain": 0.02, "reference": 0.1},
    **{"source": "for a test", "status": "illustrative"},
}


@pytest.fixture(scope="module")
def wire(tmp_path_factory):
    """Reconstructions of a short wire at four energies: the folder of the files, and the truth."""
    truth = cs.simulate.nanowire(energy=ENERGIES, length_um=0.7, peak_optical_density=1.2)
    folder = tmp_path_factory.mktemp("wire") / "cxi"
    made = cs.simulate.reconstructions(
        truth, photons=2000, ramp_rad_per_um=4.0, drift_px=5.0, seed=8
    )
    made.write(folder)
    return folder, truth


@pytest.fixture(scope="module")
def particle(tmp_path_factory):
    """The same energies of a core-shell particle, counted; as one file, and as two."""
    folder = tmp_path_factory.mktemp("particle")
    truth = cs.simulate.core_shell(
        shape=(40, 50), core="epsilon-Li0.3V2O5", energy=ENERGIES, poisson=True, photons=30_000
    )
    cs.save_stack(truth.stack, folder / "all.h5")
    cs.save_stack(truth.stack.isel(energy=[1, 2]), folder / "features.h5")
    cs.save_stack(truth.stack.isel(energy=[0, 3]), folder / "others.h5")
    return folder, truth


def run(path, output=None, **sections):
    recipe = {
        "input": {"path": str(path)},
        "standards": PAIR,
        **sections,
        "few_energies": {"enabled": True, **sections.get("few_energies", {})},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        return cs.run(recipe, output=output)


@pytest.fixture(scope="module")
def results(wire, tmp_path_factory):
    """A run on the reconstructions with stress, as a user starts it: init, edit, run."""
    folder, _ = wire
    home = tmp_path_factory.mktemp("results")
    recipe = home / "wire.toml"
    assert main(["init", str(folder), "--output", str(recipe)]) == 0
    text = recipe.read_text()
    assert "enabled = true" in text.split("[few_energies]")[1].split("[composition]")[0]
    wanted = ["standards.select=" + json.dumps(PAIR["select"]), "stress.enabled=true"]
    wanted += [f"stress.material.{key}={json.dumps(value)}" for key, value in MATERIAL.items()]
    sets = [part for one in wanted for part in ("--set", one)]
    assert main(["run", str(recipe), "--output", str(home / "out"), *sets]) == 0
    return home / "out"


def test_a_run_on_reconstructions_writes_maps_stress_and_figures(results, wire):
    _, truth = wire
    tree = cs.open_results(results)
    maps, comp = (tree[name].to_dataset() for name in ("few_energies", "composition"))
    assert maps["optical_density"].sizes["energy"] == 4
    assert maps["ratio"].sizes["feature"] == 2
    assert maps.attrs["noise"] == "background"
    assert {"stress/free", "stress/fixed", "few_energies/phase"} <= {
        one.path.strip("/") for one in tree.subtree
    }
    value = comp["composition"].values[comp["mask"].values]
    true = np.nansum(truth.composition * truth.thickness) / np.nansum(truth.thickness)
    assert comp.attrs["mean_mass_weighted"] == pytest.approx(true, abs=0.01)
    assert value.min() >= 0.1 - 1e-12
    assert value.max() <= 0.3 + 1e-12
    drawn = {path.stem for path in (results / "figures").iterdir()}
    assert {"images", "ratios", "bounds", "composition", "stress", "drift"} <= drawn
    page = (results / "report.html").read_text()
    assert "Between its bounds" in page
    assert "because it was cut off there" in page


def test_the_summary_says_what_the_map_rests_on(results):
    summary = json.loads((results / "summary.json").read_text())
    few = summary["few_energies"]
    assert few["energies_eV"] == pytest.approx(ENERGIES)
    assert [few["pre_eV"], few["post_eV"]] == [508.0, 555.0]
    assert few["features_eV"] == pytest.approx([515.9, 517.2])
    assert set(few["sd"]) == set(SOURCES)
    assert few["misfit_p"] > 0.05
    assert few["fabricated_by_offset"] is None
    assert 0 < few["clipped_low"] < 0.5
    assert summary["routes"] == {}
    assert summary["standards"] == PAIR["select"]
    assert not [one for one in summary["warnings"] if "aligned" in one or "correlated" in one]


def test_phases_are_flat_where_it_is_empty_and_follow_the_sample(results, wire):
    tree = cs.open_results(results)
    phase = tree["few_energies/phase"]["phase"]
    density = tree["few_energies"]["optical_density"]
    inside = tree["few_energies"]["sample"].values
    for k in (1, 2):
        outside = phase.values[k][density.values.max(axis=0) < 0.05]
        assert abs(np.median(outside)) < 0.01
        # the simulated wire shifts phases by half of its optical density
        slope = np.polyfit(density.values[k][inside], phase.values[k][inside], 1)[0]
        assert slope == pytest.approx(-0.5, abs=0.1)


def test_images_in_files_of_their_own_are_joined(particle):
    folder, _ = particle
    one = run(folder / "all.h5")["composition"].to_dataset()
    further = {"path": str(folder / "features.h5"), "further": [str(folder / "others.h5")]}
    two = run("", input=further)["composition"].to_dataset()
    xr.testing.assert_allclose(one["composition"], two["composition"], rtol=1e-6)


def test_named_images_are_taken_out_of_a_stack(tmp_path):
    truth = cs.simulate.core_shell(
        shape=(30, 40), core="epsilon-Li0.3V2O5", poisson=True, photons=30_000
    )
    cs.save_stack(truth.stack, tmp_path / "full.h5")
    tree = run(tmp_path / "full.h5", few_energies={"energies": [509.0, 518.4, 532.8, 555.0]})
    assert tree["few_energies"]["optical_density"].sizes["energy"] == 4
    with pytest.raises(RecipeError, match=r"names one image twice, that at 530\.40 eV"):
        run(tmp_path / "full.h5", few_energies={"energies": [530.48, 530.5]})
    with pytest.raises(RecipeError, match="nearest image is at"):
        run(tmp_path / "full.h5", few_energies={"energies": [480.0, 518.4]})


def test_an_stxm_image_is_registered_and_kept_beside(wire, tmp_path):
    folder, truth = wire
    counts = truth.stack.isel(energy=[2]).pad(y=20, x=20, mode="edge")
    blurred = gaussian_filter(counts.values, (0, 3, 3))  # a beam of 70 nm
    means = blurred[0, : blurred.shape[1] // 4 * 4, : blurred.shape[2] // 4 * 4]
    means = means.reshape(means.shape[0] // 4, 4, -1, 4).mean(axis=(1, 3))
    drawn = np.random.default_rng(5).poisson(means)[None]
    y, x = (0.04 * np.arange(n) for n in means.shape)
    seen = build(drawn, [517.2], y, x, quantity="counts", attrs={"counter_divider": 1})
    cs.save_stack(seen, tmp_path / "stxm.h5")
    output = tmp_path / "out"
    tree = run(folder, output, few_energies={"stxm": str(tmp_path / "stxm.h5")})
    beside = tree["stxm"].to_dataset()
    assert beside.attrs["slope"] == pytest.approx(1.0, abs=0.1)
    assert beside.attrs["blur_fwhm_nm"] == pytest.approx(70, rel=0.3)
    assert (output / "figures" / "resolutions.png").stat().st_size > 20_000
    with pytest.raises(RecipeError, match="names a file that is not there"):
        run(folder, few_energies={"stxm": str(tmp_path / "nothing.h5")})


def test_without_standards_there_are_ratios(particle):
    folder, _ = particle
    tree = run(folder / "all.h5", standards={"enabled": False})
    maps = tree["few_energies"].to_dataset()
    assert maps["ratio"].sizes["feature"] == 3
    assert maps.attrs["post_eV"] == 555.0
    assert "composition" not in {one.path.strip("/") for one in tree.subtree}


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"standards": {"select": ["alpha-V2O5"]}}, "between bounding standards"),
        ({"standards": {"select": "matched"}}, "needs clusters"),
        ({"few_energies": {"pre": 512.0}}, "no image near 512 eV"),
        ({"few_energies": {"stxm": "nothing.h5"}}, "names a file that is not there"),
        ({"few_energies": {"energies": [508.0, 517.2], "offset_sd": "free"}}, "and a free offset"),
        ({"few_energies": {"energies": list(range(500, 520))}}, "12 images at most"),
        ({"standards": {}}, r"4 images cannot tell 6 standards apart; select two"),
        ({"composition": {"normalise": "none"}}, "takes a few images instead"),
        ({"factorisation": {"enabled": True}}, "takes a few images instead"),
        ({"calibration": {"stretch": True}}, "stretch is fitted to spectra"),
        (
            {"standards": {"enabled": False}, "stress": {"enabled": True, "material": MATERIAL}},
            "needs a composition",
        ),
    ],
)
def test_contradictions_are_refused_in_a_sentence(particle, sections, words):
    folder, _ = particle
    with pytest.raises(RecipeError, match=words):
        run(folder / "all.h5", **sections)


def test_a_single_image_is_refused_in_a_sentence(wire, tmp_path):
    folder, _ = wire
    with pytest.raises(RecipeError, match=r"one image, at 508\.00 eV, cannot give a composition"):
        run(min(folder.iterdir()))


def test_a_recipe_with_files_of_one_sample_runs_on_no_other(particle, capsys):
    folder, _ = particle
    recipe = folder / "further.toml"
    recipe.write_text('[input]\npath = "features.h5"\nfurther = ["others.h5"]\n')
    assert main(["run", str(recipe), "--input", str(folder / "all.h5")]) == 2
    assert "further names files of one sample" in capsys.readouterr().err


def test_intensities_of_a_wave_that_was_converted_have_no_phase(wire, tmp_path):
    folder, _ = wire
    cs.save_stack(cs.open_stack(folder), tmp_path / "converted.h5")
    tree = run(tmp_path / "converted.h5")
    assert "phase" not in tree["few_energies"].children
    assert "composition" in tree.children


def test_a_report_without_composition_speaks_of_none(particle, tmp_path):
    folder, _ = particle
    for name, sections in (
        ("ratios", {"standards": {"enabled": False}}),
        ("maps", {"composition": {"enabled": False}}),
    ):
        run(folder / "all.h5", tmp_path / name, **sections)
        page = (tmp_path / name / "report.html").read_text()
        assert "because it was cut off there" not in page
        assert "Mean after cutting off" not in page


def test_a_few_images_taken_for_a_stack_are_told_of_the_section(particle, capsys):
    folder, _ = particle
    recipe = folder / "plain.toml"
    recipe.write_text(f'[input]\npath = "{folder / "all.h5"}"\n')
    assert main(["run", str(recipe), "--output", str(folder / "out")]) == 2
    assert "[few_energies] enabled = true" in capsys.readouterr().err
