"""From the stack to the stress by clicks, and the recipe of those clicks on the command line: the
same numbers to the last digit.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest

from chemoscape.app.opening import DEMO_STACK
from chemoscape.results import open_results

#: A run on a busy machine, s.
LONG_S = 240
#: What differs between two runs of one recipe.
OF_THE_RUN = {"seconds", "created", "recipe", "summary"}


class Someone:
    """Who sits before the page."""

    def __init__(self, page, folder, screenshots):
        self.page, self.folder, self.screenshots = page, folder, screenshots

    def find(self, name):
        return self.page.locator(f'[data-test="{name}"]')

    def wait(self, condition):
        """Wait until a condition holds; asked from outside, as the page forbids `eval`."""
        end = time.monotonic() + LONG_S
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"never: {condition}; {self.page.inner_text('#notices')}"
            self.page.wait_for_timeout(50)

    def enter(self, running):
        self.page.goto(running.address)
        self.page.wait_for_url(lambda url: "/enter" not in url)

    def look_at(self, view):
        """Open a view by its tab, wait until it is quiet, take a picture if asked."""
        self.find(f"tab-{view}").click()
        self.find(f"view-{view}").wait_for(state="visible")

    def picture(self, name):
        if self.screenshots is not None:
            self.page.evaluate("document.getElementById('notices').replaceChildren()")
            self.page.mouse.move(2, 700)
            self.page.wait_for_timeout(1200)
            self.page.screenshot(path=self.screenshots / f"{name}.png")

    def press_run(self, name):
        """Press a Run button, and wait for new results."""
        before = self.page.evaluate("document.body.dataset.stamp")
        self.find(name).click()
        self.wait(
            "document.body.dataset.run === 'failed' || (document.body.dataset.run === 'done' && "
            f"document.body.dataset.stamp !== '{before}')"
        )
        state = self.page.evaluate("document.body.dataset.run")
        assert state == "done", self.page.inner_text("#notices")
        self.wait("document.body.dataset.stale === 'false'")

    def draw(self, view, tool, corners):
        """Drag over a canvas, corners as parts of its width and height."""
        self.find(f"{view}-{tool}").click()
        box = self.find(f"{view}-canvas").bounding_box()
        (x, y), *rest = (
            (box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in corners
        )
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for x, y in rest:
            self.page.mouse.move(x, y, steps=4)
        self.page.mouse.up()

    def recipe(self):
        """The recipe as it is now."""
        return self.ask("recipe")["table"]

    def ask(self, name, **asked):
        return self.page.evaluate(
            "([name, body]) => import('/static/js/api.js').then((api) => api.ask(name, body))",
            [name, asked],
        )

    def save(self, name):
        """Save the recipe from its view."""
        self.look_at("recipe")
        self.find("recipe-name").fill(name)
        self.find("recipe-save").click()
        self.wait("document.querySelector('[data-test=recipe-state]').innerText.includes('saved')")
        for _ in range(100):
            if (self.folder / name).exists():
                break
            self.page.wait_for_timeout(100)
        return self.folder / name

    def export(self):
        """Run everything and export; the folder of the results."""
        before = self.page.evaluate("document.body.dataset.stamp")
        self.find("recipe-export").click()
        self.wait(
            "document.body.dataset.run === 'failed' || (document.body.dataset.run === 'done' && "
            f"document.body.dataset.stamp !== '{before}')"
        )
        return self.folder / self.ask("recipe")["export"]


@pytest.fixture
def someone(page, tmp_path, screenshots):
    """Somebody with an empty folder."""
    return Someone(page, tmp_path, screenshots)


def command_line(recipe, output):
    """`chemoscape run` on a recipe, by a shell of its own; its results."""
    done = subprocess.run(
        [sys.executable, "-m", "chemoscape", "run", str(recipe), "--output", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return open_results(output)


def assert_same(seen, expected):
    """Two trees of results, to the last bit, and the numbers of their summaries."""
    nodes = {node.path for node in expected.subtree}
    assert {node.path for node in seen.subtree} == nodes
    for path in nodes - {"/"}:
        one, other = seen[path].to_dataset(), expected[path].to_dataset()
        assert set(one.variables) == set(other.variables)
        for name in other.variables:
            np.testing.assert_array_equal(one[name].values, other[name].values, f"{path} {name}")
    one, other = (json.loads(tree.attrs["summary"]) for tree in (seen, expected))
    for key in other.keys() - OF_THE_RUN:
        assert one[key] == other[key], key


def test_the_demo(someone, start_app, tmp_path):
    running = start_app(tmp_path)
    someone.enter(running)
    someone.find("start-demo").click()
    someone.wait("document.body.dataset.state === 'ready'")
    someone.page.wait_for_selector('[data-test="view-stack"]')

    # a pixel and a region of the particle
    someone.draw("stack", "rectangle", [(0.35, 0.42), (0.55, 0.55)])
    someone.wait("document.querySelector('[data-test=view-stack]').dataset.spectra === '1'")
    someone.picture("stack")

    # I0: where there is no sample
    someone.look_at("beam")
    someone.wait("document.querySelector('[data-test=view-beam]').dataset.used === 'true'")
    box = someone.page.evaluate(FIELD_ON_SCREEN, "beam")
    left, top, right, bottom = box
    across = (right - left) * 0.06
    someone.draw("beam", "rectangle", [(left + 0.005, top + 0.01), (left + across, bottom - 0.01)])
    someone.wait("document.querySelector('[data-test=view-beam]').dataset.used === 'false'")
    someone.wait("!document.querySelector('[data-test=beam-use]').disabled")
    someone.picture("i0")
    someone.find("beam-use").click()
    someone.wait("document.querySelector('[data-test=view-beam]').dataset.used === 'true'")
    assert someone.recipe()["absorbance"]["i0"]["x"] is not None

    # clusters, and two of them made one on the dendrogram
    someone.look_at("explore")
    someone.press_run("explore-run")
    someone.find("explore-leaf-2").wait_for()
    someone.picture("explore")
    someone.find("explore-leaf-1").click()
    someone.find("explore-leaf-2").click(modifiers=["Shift"])
    someone.find("explore-merge").click()
    someone.wait("document.body.dataset.stale === 'true'")
    assert someone.recipe()["clusters"]["merge"] == [[1, 2]]
    someone.find("explore-preview").wait_for(state="visible")
    preview = someone.ask("explore/tree")
    assert preview is not None
    someone.press_run("explore-run")
    assert len(someone.ask("values", of="/clustered/clusters/size")["values"]) == 2

    # match, maps, stress
    someone.look_at("match")
    someone.press_run("match-run")
    someone.find("match-table").wait_for()
    someone.picture("match")
    someone.look_at("maps")
    someone.find("maps-map-canvas").first.wait_for()
    someone.picture("maps")
    someone.look_at("stress")
    someone.press_run("stress-run")
    someone.find("stress-map").wait_for()
    someone.draw("stress-free", "line", [(0.15, 0.5), (0.8, 0.5)])
    someone.page.wait_for_selector("[data-test=stress-line-plot] .scatterlayer .trace")
    for place in ((0.3, 0.3), (0.5, 0.45)):
        someone.draw("stress-free", "point", [place])
        someone.find("stress-free-point").click()  # put it away again
    someone.find("stress-probes").locator("tbody tr").nth(1).wait_for()
    someone.picture("stress")

    saved = someone.save("clicked.toml")
    someone.picture("recipe")
    assert tomllib.loads(saved.read_text())["clusters"]["merge"] == [[1, 2]]
    exported = someone.export()
    expected = command_line(saved, tmp_path / "by-command")
    assert_same(open_results(exported), expected)
    shown = someone.ask("results")["summary"]
    summary = json.loads((tmp_path / "by-command" / "summary.json").read_text())
    assert shown["composition"] == summary["composition"]
    assert shown["stress"] == summary["stress"]
    written = {one.name for one in (tmp_path / "by-command").iterdir()}
    assert {one.name for one in exported.iterdir()} == written
    assert (tmp_path / DEMO_STACK).exists()


#: Where the picture of a view lies in its canvas, as parts of it: left, top, right, bottom.
FIELD_ON_SCREEN = """(name) => {
  const canvas = document.querySelector(`[data-test="${name}-canvas"]`);
  return canvas.view.fieldOnScreen();
}"""


@pytest.fixture(scope="module")
def als_folder(data_folder, tmp_path_factory):
    """A user's folder with the ALS Fe 2p stack, its I0, and the authors' end members as library."""
    folder = tmp_path_factory.mktemp("als")
    source = data_folder / "als_fe2p" / "71214078"
    for file in source.iterdir():
        shutil.copy(file, folder / file.name)
    for name, file, value in (("reduced", "reduced.t", 1), ("oxidised", "oxidized.t", 0)):
        words = ["standards", "add", folder / "iron", folder / file, "--id", name]
        words += ["--label", f"{name} Fe", "--value", value, "--variable", "Fe(II) fraction"]
        words += ["--licence", "MIT", "--field", "facility=ALS", "edges=Fe L3, Fe L2"]
        subprocess.run([sys.executable, "-m", "chemoscape", *map(str, words)], check=True)
    return folder


def test_the_real_stack(page, start_app, als_folder, screenshots, tmp_path):
    someone = Someone(page, als_folder, screenshots)
    running = start_app(als_folder / "71214078.hdr")
    someone.enter(running)
    someone.wait("document.body.dataset.state === 'ready'")
    someone.page.wait_for_selector('[data-test="view-stack"]')
    someone.picture("als-stack")

    someone.look_at("beam")
    someone.wait("document.querySelector('[data-test=view-beam]').dataset.used === 'true'")
    someone.wait("!document.querySelector('[data-test=beam-use]').disabled")
    someone.picture("als-i0")

    someone.look_at("explore")
    someone.press_run("explore-run")
    someone.find("explore-leaf-0").wait_for()
    someone.picture("als-explore")
    n = len(someone.ask("values", of="/clustered/clusters/size")["values"])
    someone.find("explore-leaf-0").click()
    someone.find(f"explore-leaf-{n - 1}").click(modifiers=["Shift"])
    someone.find("explore-merge").click()
    someone.wait("document.body.dataset.stale === 'true'")

    someone.look_at("match")
    someone.find("match-library").select_option("./iron", timeout=20_000)
    someone.page.wait_for_timeout(500)
    someone.press_run("match-run")
    someone.find("match-table").wait_for()
    someone.picture("als-match")
    someone.look_at("maps")
    someone.find("maps-map-canvas").first.wait_for()
    someone.picture("als-maps")

    saved = someone.save("clicked.toml")
    exported = someone.export()
    expected = command_line(saved, tmp_path / "by-command")
    assert_same(open_results(exported), expected)
    assert expected["composition"].attrs["variable"] == "Fe(II) fraction"
