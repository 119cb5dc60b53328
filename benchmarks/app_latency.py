"""How soon a frame is on the screen after a key press, in headless Chromium.

Usage: make bench-app, or python benchmarks/app_latency.py --help
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import phantoms
from measure import machine
from playwright.sync_api import Page, sync_playwright

from chemoscape.formats import save_stack

#: Sides of the frames, and the median that is aimed at, ms.
AIMS = {512: 60.0, 1000: 100.0}
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
#: From the time stamp of a key press to the first task after the frame that shows its picture.
WATCH = """() => {
  window.latencies = [];
  let pressed = null;
  document.addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
  const host = document.querySelector("[data-test=stack-map] .image-host");
  new MutationObserver(() => {
    if (pressed === null) return;
    const start = pressed;
    pressed = null;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => window.latencies.push(performance.now() - start);
      port2.postMessage(0);
    });
  }).observe(host, { attributes: true, attributeFilter: ["data-painted"] });
}"""
#: What is done: name, key, times, pause between presses in ms. A jump of ten frames is never
#: fetched ahead; the third walk presses faster than frames can come.
DONE = (
    ("next frame", "ArrowRight", 60, 250),
    ("ten frames on", "PageUp", 20, 500),
    ("key held down", "ArrowLeft", 90, 33),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--energies", type=int, default=250)
    parser.add_argument("--sides", type=int, nargs="+", default=list(AIMS))
    asked = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("chromium is not installed (Debian: apt install chromium)")
    print(machine())
    print(f"{'':38}{'median':>9}{'95 %':>9}{'most':>9}   aim (median)")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=[*FLAGS])
        for side in asked.sides:
            path = Path(folder) / f"{side}.h5"
            save_stack(phantoms.core_shell(side * side, asked.energies), path)
            with serving(path) as address:
                page = chromium.new_page(viewport={"width": 1280, "height": 720})
                page.goto(address)
                for name, times in latencies(page):
                    print(row(f"{asked.energies} × {side}², {name}", times, AIMS.get(side)))
                page.close()
            path.unlink()
        chromium.close()


@contextmanager
def serving(path: Path) -> Iterator[str]:
    """`chemoscape app` on a stack; its address."""
    command = [sys.executable, "-m", "chemoscape", "app", str(path), "--no-browser"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    found = re.search(r"http://\S+", child.stderr.readline())
    assert found is not None
    try:
        yield found[0]
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate()


def latencies(page: Page) -> Iterator[tuple[str, list[float]]]:
    """Milliseconds of each press, by what was done."""
    for _ in range(600):
        page.wait_for_timeout(200)
        ready = page.evaluate("document.body.dataset.state === 'ready'") if loaded(page) else False
        if ready:
            break
    page.wait_for_timeout(3000)  # the mean spectrum, the first frames ahead
    page.evaluate("document.activeElement.blur()")
    page.evaluate(WATCH)
    for name, key, times, pause in DONE:
        page.evaluate("window.latencies.length = 0")
        for _ in range(times):
            page.keyboard.press(key)
            page.wait_for_timeout(pause)
        page.wait_for_timeout(500)
        yield name, page.evaluate("window.latencies")


def loaded(page: Page) -> bool:
    """Whether the page is that of the app, and not the one that leads there."""
    return "/enter" not in page.url


def row(name: str, times: list[Any], aim: float | None) -> str:
    """One line of the table."""
    if not times:
        return f"{name:38}  nothing was drawn"
    ordered = sorted(times)
    values = statistics.median(times), ordered[int(0.95 * (len(times) - 1))], ordered[-1]
    told = "" if aim is None else f"   {aim:.0f} ms {'met' if values[0] <= aim else 'MISSED'}"
    return f"{name:38}" + "".join(f"{one:6.0f} ms" for one in values) + told


if __name__ == "__main__":
    main()
