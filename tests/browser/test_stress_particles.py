"""The Stress and Particles views in the browser: what is clicked, and what is then shown."""

from __future__ import annotations

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE as MATERIAL
from chemoscape.particles import shapes
from chemoscape.particles.experiment import measured_ensemble
from chemoscape.recipe import make_recipe, to_toml

NAMES = ["epsilon-Li0.3V2O5", "delta-Li0.9V2O5"]
PIXEL_UM, SIZE = 0.06, 120


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Eight wires of two phases, with stress and particles."""
    rng = np.random.default_rng(3)
    wires = [
        shapes.Wire(1.0 + 1.7 * (k // 2), 2.0 + 3.4 * (k % 2), 2.2, 0.6 - 0.1 * (k % 3), 0.1)
        for k in range(8)
    ]
    energy = np.linspace(512, 530, 12)
    spectra = cs.open_library("lixv2o5-model").select(*NAMES).spectra(energy).values
    shares = np.array([[0.9 - 0.1 * k, 0.1 + 0.1 * k] for k in range(8)])
    made = measured_ensemble(
        rng, wires, shares, spectra / spectra.max(), energy, (SIZE, SIZE), PIXEL_UM, counts=3000.0
    )
    folder = tmp_path_factory.mktemp("ensemble")
    cs.save_stack(made.stack, folder / "wires.h5")
    recipe = {
        "input": {"path": str(folder / "wires.h5")},
        "drift": {"enabled": False},
        "damage": {"enabled": False},
        "clusters": {"enabled": False},
        "calibration": {"energy_shift": 0.0},
        "standards": {"library": "lixv2o5-model", "select": NAMES},
        "composition": {"refine": 1},
        "stress": {
            "enabled": True,
            "boundary": ["free", "fixed", {"springs_GPa_per_um": 50.0}],
            "material": {
                "young_GPa": MATERIAL.young_GPa,
                "poisson": MATERIAL.poisson,
                "eigenstrain": MATERIAL.eigenstrain,
                "source": MATERIAL.source,
                "status": MATERIAL.status,
            },
            "uncertainty_draws": 2,
        },
        "particles": {"enabled": True, "method": "classical"},
        "report": {"enabled": False},
    }
    (folder / "wires.toml").write_text(to_toml(make_recipe(recipe)), encoding="utf-8")
    cs.run(recipe, output=folder / "wires-results")
    return folder / "wires-results"


@pytest.fixture(scope="module")
def app(start_app, results):
    """One app for all: tests that run come last."""
    return start_app(results)


def find(page, name):
    return page.locator(f"[data-test={name}]")


def test_probes_lines_and_fields_of_the_stress(at):
    page = at("stress")
    page.wait_for_selector("[data-shown='springs-50-GPa-per-um von_mises']")
    assert "springs 50 GPa/µm" in find(page, "stress-numbers").inner_text()
    assert "illustrative" in find(page, "stress-doubts").inner_text()

    page.locator("summary", has_text="Points and lines").click()
    find(page, "stress-x").fill("2.0")
    find(page, "stress-y").fill("1.0")
    find(page, "stress-probe").click()
    row = find(page, "stress-probes").locator("tbody tr")
    row.first.wait_for()
    assert row.first.inner_text().count("±") == 3  # every boundary, with its error
    assert "particle" in find(page, "stress-words").inner_text()

    find(page, "stress-free-point").click()  # by keys: the cross in the middle, moved, set
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    row.nth(1).wait_for()

    for name, value in zip("0123", ("0.9", "1.0", "3.1", "1.0"), strict=True):
        find(page, f"stress-line-{name}").fill(value)
    find(page, "stress-follow").click()
    page.wait_for_selector("[data-test=stress-line-plot] .scatterlayer .trace")
    find(page, "stress-field").select_option("hydrostatic")
    page.wait_for_selector("[data-shown='fixed hydrostatic']")
    find(page, "stress-mesh").check()
    find(page, "stress-exaggeration").fill("40")
    assert "drawn as" in find(page, "stress-displacement").inner_text()
    find(page, "stress-shown").select_option("fixed")
    find(page, "stress-free-canvas").wait_for(state="detached")


def test_from_bar_to_particle_and_from_particle_to_bar(at, screenshots):
    page = at("particles")
    rows = find(page, "particles-table").locator("tbody tr")
    page.wait_for_selector("[data-test=particles-histogram-plot] .barlayer .point")
    rows.nth(7).wait_for()
    page.mouse.click(*_centre(page, "[data-test=particles-histogram-plot] .barlayer .point"))
    page.wait_for_selector("text=of the bar")
    assert rows.count() < 8
    find(page, "particles-all").click()
    rows.nth(2).click()
    page.wait_for_selector("[data-test=particles-spectrum-plot] .scatterlayer .trace")
    chosen = find(page, "particles-table").locator("tr.chosen")
    assert (
        find(page, "particles-spectrum")
        .inner_text()
        .startswith(f"Particle {chosen.locator('td').first.inner_text()}")
    )
    if screenshots is not None:
        page.wait_for_timeout(1500)
        page.screenshot(path=screenshots / "particles.png")
    find(page, "particles-words").click()
    assert "of 8 particles count" in find(page, "particles-table").inner_text()


def test_a_particle_left_out_is_gone_after_the_next_run(at):
    page = at("particles")
    rows = find(page, "particles-table").locator("tbody tr")
    rows.nth(7).wait_for()
    find(page, "particles-leave").check()
    page.mouse.click(*_on_the_map(page, 2.0, 1.0))
    page.wait_for_selector("text=1 region left out")
    find(page, "particles-run").click()
    page.wait_for_selector("body[data-run=done]", state="attached")
    page.wait_for_selector("text=7 particles in the map")
    assert rows.count() == 7


def test_the_form_puts_springs_into_the_recipe(at):
    page = at("stress")
    page.wait_for_selector("[data-shown='free von_mises']")
    page.locator("summary", has_text="Material and boundaries").click()
    assert find(page, "stress-springs").input_value() == "50"
    find(page, "stress-springs").fill("20, 200")
    find(page, "stress-free").uncheck()
    find(page, "stress-run").click()
    page.wait_for_selector("body[data-run=done]", state="attached")
    page.wait_for_selector("[data-shown='springs-200-GPa-per-um von_mises']")
    numbers = find(page, "stress-numbers").inner_text()
    assert "springs 20 GPa/µm" in numbers
    assert "free" not in numbers


def _centre(page, selector):
    box = page.locator(selector).first.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _on_the_map(page, x, y):
    """Place of µm on the screen: the map is square, with its colour bar at the right."""
    box = find(page, "particles-canvas").bounding_box()
    side = PIXEL_UM * SIZE
    wide, high = box["width"] - 62, box["height"]
    scale = min(wide, high) / side
    left = box["x"] + (wide - scale * side) / 2
    bottom = box["y"] + (high + scale * side) / 2
    return left + scale * x, bottom - scale * y
