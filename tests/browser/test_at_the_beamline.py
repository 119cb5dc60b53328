"""What someone at a beamline leans on: undo everywhere, what is said and where, slow tunnels."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

import chemoscape as cs

SIZE = 24


@pytest.fixture(scope="module")
def app(start_app, tmp_path_factory):
    """A small stack with the results of a run that warns."""
    folder = tmp_path_factory.mktemp("beamline")
    energy = np.linspace(512, 530, 24)
    library = cs.open_library("lixv2o5-model").select("epsilon-Li0.3V2O5", "delta-Li0.9V2O5")
    one, other = library.spectra(energy).values
    share = np.linspace(0, 1, SIZE)[None, None, :]
    thick = np.where(np.arange(SIZE) < SIZE // 3, 0.0, 1.0)[None, :, None]
    top = max(one.max(), other.max())
    density = thick * (one[:, None, None] * (1 - share) + other[:, None, None] * share) / top
    counts = np.random.default_rng(0).poisson(2000 * np.exp(-density)).astype(np.float32)
    axis = 0.05 * np.arange(SIZE)
    stack = cs.stack.build(counts, energy, axis, axis, quantity="counts")
    cs.save_stack(stack, folder / "wedge.h5")
    recipe = {
        "input": {"path": str(folder / "wedge.h5")},
        "drift": {"enabled": False},
        "standards": {"library": "lixv2o5-model", "select": list(library.names)},
        "composition": {"refine": 1},
        "report": {"enabled": False},
    }
    cs.run(recipe, output=folder / "wedge")
    return start_app(folder / "wedge")


def stale(page, wanted):
    page.wait_for_selector(f"body[data-stale={wanted}]", state="attached")


def edit(page, **changes):
    page.evaluate("(all) => import('/static/js/store.js').then((one) => one.edit(all))", changes)


def test_an_edit_set_back_leaves_the_results_as_they_are_of_the_recipe(at):
    page = at("explore")
    chosen = page.locator("[data-test=explore-n]")
    chosen.select_option("4")
    stale(page, "true")
    assert "press Run" in page.inner_text("#banner")
    chosen.select_option("auto")
    stale(page, "false")
    assert not page.locator("#banner").is_visible()


@pytest.mark.parametrize("view", ["stack", "maps", "particles", "recipe"])
def test_an_edit_is_undone_from_every_view(at, view):
    page = at(view)
    edit(page, **{"clusters.n_clusters": 5})
    stale(page, "true")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Control+z")
    stale(page, "false")
    page.click("[data-test=redo]")
    stale(page, "true")
    page.click("[data-test=undo]")
    stale(page, "false")


def test_warnings_are_counted_and_listed(app, page):
    said = ["optical density exceeds 2.2 in 3 % of the pixels", "a frame could not be aligned"]

    def warned(route):
        reply = route.fetch()
        table = reply.json()
        table["summary"]["warnings"] = said
        route.fulfill(response=reply, json=table)

    page.route("**/api/results", warned)
    page.goto(app.address)
    counter = page.locator("[data-test=warnings]")
    counter.wait_for()
    assert counter.inner_text() == "⚠ 2 warnings"
    assert not page.inner_text("#notices")  # they cover and move nothing
    counter.press("Enter")
    assert page.locator("[data-test=warned] li").all_inner_texts() == said
    page.keyboard.press("Escape")
    assert not page.locator("[data-test=warned]").is_visible()


def test_what_is_refused_pushes_the_panels_down(at):
    page = at("maps")
    page.evaluate("import('/static/js/dom.js').then((one) => one.notice('refused', 'bad'))")
    page.wait_for_selector("[data-test=notice-bad]")
    said = page.locator("[data-test=notice-bad]").bounding_box()
    panel = page.locator("[data-test=maps-map]").bounding_box()
    assert said["y"] + said["height"] <= panel["y"]


def test_dragging_over_a_slow_tunnel_queues_nothing(at):
    """While one answer is on its way only the newest wish is kept."""
    page = at("maps")
    page.wait_for_selector("[data-test=maps-profile-plot] .scatterlayer .trace")
    asked = []

    def slowly(route):
        asked.append(json.loads(route.request.post_data)["width_um"])
        time.sleep(0.3)
        route.continue_()

    page.route("**/api/maps/profile", slowly)
    page.evaluate("""() => {
        const slider = document.querySelector('[data-test=maps-width]');
        for (let i = 1; i <= 40; i++) {
            slider.value = i * Number(slider.step);
            slider.dispatchEvent(new Event('input'));
        }
    }""")
    page.wait_for_timeout(1500)
    assert len(asked) == 2
    width = page.evaluate("Number(document.querySelector('[data-test=maps-width]').value)")
    assert asked[-1] == width


def test_a_closed_tunnel_is_said_and_forgotten_when_it_is_back(at):
    page = at("maps")
    page.context.set_offline(True)
    page.wait_for_selector("[data-test=lost]:not([hidden])")
    assert "does not answer" in page.inner_text("[data-test=lost]")
    page.context.set_offline(False)
    page.wait_for_selector("[data-test=lost]", state="hidden")
    page.watched.expect_errors("ERR_INTERNET_DISCONNECTED")


def test_a_saved_composite_has_its_legend(at):
    page = at("maps")
    page.wait_for_selector("[data-test=maps-legend] .swatch")
    shown = page.evaluate(
        "document.querySelector('[data-test=maps-rgb-canvas]').view.legend.length"
    )
    height = page.evaluate("document.querySelector('[data-test=maps-rgb-canvas]').clientHeight")
    page.locator("[data-test=maps-rgb] button[aria-haspopup=menu]").click()
    with page.expect_download() as saved:
        page.locator("[data-test=maps-rgb] .menu button").nth(1).click()
    text = saved.value.path().read_text()
    assert shown == 2
    assert float(text.split('height="')[1].split('"')[0]) >= height + 18


def test_numbers_of_curves_have_their_axes(at):
    page = at("maps")
    page.wait_for_selector("[data-test=maps-profile-plot] .scatterlayer .trace")
    page.locator("[data-test=maps-profile] button[aria-haspopup=menu]").click()
    with page.expect_download() as saved:
        page.locator("[data-test=maps-profile] .menu button").nth(2).click()
    first, second, *_ = saved.value.path().read_text().splitlines()
    assert first == "# x in LixV2O5"
    assert second.split(",")[0] == "distance (µm)"
