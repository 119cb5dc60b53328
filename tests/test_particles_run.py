"""The section [particles] of a recipe: from counts to what each particle holds, and its area."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from skimage.io import imsave

import chemoscape as cs
from chemoscape.errors import ChemoscapeError
from chemoscape.particles import shapes
from chemoscape.particles.experiment import measured_ensemble
from chemoscape.particles.table import instances_of
from chemoscape.recipe import make_recipe, read_recipe, refuse_contradictions

PIXEL_UM, SIZE = 0.06, 200
NAMES = ["epsilon-Li0.3V2O5", "delta-Li0.9V2O5"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Ten wires of two phases, side by side: the wider ones hold less lithium."""
    rng = np.random.default_rng(3)
    wires = [
        shapes.Wire(
            1.2 + 2.4 * (k // 2),
            3.0 + 6.0 * (k % 2),
            3.0,
            0.6 if k % 2 else 0.3,
            rng.uniform(-0.15, 0.15) % np.pi,
            optical_density=0.7,
        )
        for k in range(10)
    ]
    energy = np.linspace(512, 530, 16)
    spectra = cs.open_library("lixv2o5-model").select(*NAMES).spectra(energy).values
    shares = np.array([[k % 2, 1 - k % 2] for k in range(10)])
    made = measured_ensemble(
        rng, wires, shares, spectra / spectra.max(), energy, (SIZE, SIZE), PIXEL_UM, counts=3000.0
    )
    path = tmp_path_factory.mktemp("ensemble") / "wires.h5"
    cs.save_stack(made.stack, path)
    return path


def recipe(stack, **particles):
    return {
        "input": {"path": str(stack)},
        "drift": {"enabled": False},
        "damage": {"enabled": False},
        "clusters": {"enabled": False},
        "calibration": {"energy_shift": 0.0},
        "standards": {"library": "lixv2o5-model", "select": NAMES},
        "composition": {"refine": 2},
        "particles": {"enabled": True, "method": "classical", **particles},
    }


@pytest.fixture(scope="module")
def folder(stack, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "results"
    cs.run(recipe(stack), output=output)
    return output


def test_each_wire_has_its_composition_and_size(folder):
    table = cs.open_results(folder)["/particles"].to_dataset(inherit=False)
    assert table.sizes["particle"] == 10
    wide = table["centroid_x"].values > 6
    composition = table["composition_mean"].values
    np.testing.assert_allclose(composition[wide], 0.3, atol=0.02)
    # at the end of the standards noise errs to one side: weights cannot be negative
    np.testing.assert_allclose(composition[~wide], 0.9, atol=0.03)
    fitted = table["fit_ok"].values
    assert fitted.sum() >= 8
    assert all(table["fit_reason"].values[~fitted])
    np.testing.assert_allclose(table["area_psf"].values[wide & fitted], 1.8, rtol=0.02)
    np.testing.assert_allclose(table["area_psf"].values[~wide & fitted], 0.9, rtol=0.03)
    assert list(table["dominant_phase"].values[wide]) == [NAMES[0]] * 5
    assert len(instances_of(table)) == 10


def test_the_run_writes_table_numbers_and_figures(folder):
    with (folder / "particles.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert {"area_raw (µm²)", "area_psf (µm²)", "composition_mean"} <= set(rows[0])
    told = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["particles"]
    assert told["n"] == 10
    assert told["method"] == "classical"
    assert told["statistics"]["correlation"]["rho"]["high"] < 0
    touching = (folder / "contacts.csv").read_text(encoding="utf-8").splitlines()
    assert touching[0].startswith("contact,first,second,gap (µm)")
    assert len(touching) == 1  # these wires lie apart
    names = {one.stem for one in (folder / "figures").iterdir()}
    assert {"particles", "sizes", "size-and-composition"} <= names
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Outlines over the thickness" in page


def test_regions_drawn_by_hand_do_not_count(stack):
    half = {"x": [6.0, 11.9], "y": [0.0, 12.0]}
    tree = cs.run(recipe(stack, exclude=[half], map=NAMES[1]))
    table = tree["/particles"]
    assert table.sizes["particle"] == 5
    assert (table["centroid_x"] < 6).all()
    assert json.loads(tree.attrs["summary"])["particles"]["statistics"] is None


def test_spectra_groups_and_another_picture(stack, tmp_path):
    """The two phases part by their spectra; a picture of half the pixels lies on the map's grid."""
    small = np.zeros((SIZE // 2, SIZE // 2), np.float32)
    small[70:80, 20:60] = 1.0
    imsave(tmp_path / "sem.tif", small[::-1], check_contrast=False)
    corners = [[1.0, 1.0], [11.0, 1.0], [1.0, 11.0]]
    picture = {
        "path": "sem.tif",
        "pixel_um": 2 * PIXEL_UM,
        "pairs": [[corner, corner] for corner in corners],
    }
    made = make_recipe(recipe(stack, n_clusters=2, picture=picture), folder=tmp_path)
    tree = cs.run(made, output=tmp_path / "out")
    table, spectra = tree["/particles"], tree["/particles/spectra"]
    wide = table["centroid_x"].values > 6
    assert len(set(spectra["label"].values[wide])) == 1
    assert len(set(spectra["label"].values)) == 2
    seen = tree["/particles/picture"]["picture"]
    assert float(seen.sel(y=75 * 0.12, x=40 * 0.12, method="nearest")) == pytest.approx(1, abs=0.01)
    assert float(seen.sel(y=40 * 0.12, x=40 * 0.12, method="nearest")) == pytest.approx(0, abs=0.01)
    assert (tmp_path / "out" / "figures" / "picture.png").exists()
    assert "pairs" in (tmp_path / "out" / "recipe.toml").read_text(encoding="utf-8")
    again = read_recipe(tmp_path / "out" / "recipe.toml")
    assert again.particles == made.particles


def test_nothing_found_is_a_warning(stack):
    tree = cs.run(recipe(stack, threshold=1.0))
    assert tree["/particles"].sizes["particle"] == 0
    warnings = json.loads(tree.attrs["summary"])["warnings"]
    assert any("no particle was found" in one for one in warnings)


def test_contradictions_and_unknown_maps_are_refused(stack):
    with pytest.raises(ChemoscapeError, match=r"\[particles\] map: no map is called 'gold'"):
        cs.run(recipe(stack, map="gold"))
    without = {**recipe(stack), "composition": {"enabled": False}}
    with pytest.raises(ChemoscapeError, match=r"\[particles\] needs a composition"):
        refuse_contradictions(make_recipe(without))
