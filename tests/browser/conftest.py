"""The app in headless Chromium: started as a user starts it, watched for errors and for requests
that leave this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # nothing but the loopback can even be looked up
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
WINDOW = {"width": 1280, "height": 720}


class Running:
    """`chemoscape app` in a process of its own; its messages after the first are `said`."""

    def __init__(self, path, *arguments):
        command = [sys.executable, "-m", "chemoscape", "app", "--no-browser", "--port", "0"]
        command += [*map(str, arguments)] if path is None else [str(path), *map(str, arguments)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        first = self.process.stderr.readline()
        found = re.search(r"http://\S+", first)
        self.said = [] if found else [first]
        self.reader = threading.Thread(target=self._read, daemon=True)  # lest the pipe fills up
        self.reader.start()
        if found is None:
            self.end()
            raise AssertionError("".join(self.said))
        self.address = found[0]
        self.token = self.address.partition("token=")[2]
        self.root = self.address.partition("/enter")[0] + "/"

    def _read(self):
        self.said.extend(self.process.stderr)

    def end(self):
        """SIGTERM, which nothing that starts the tests may have told to ignore; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        return status


class Watched:
    """What a page must not do: raise an error, complain on the console, ask the outside."""

    def __init__(self, page):
        self.errors, self.outside = [], []
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        page.on("console", self._console)
        page.on("crash", lambda _: self.errors.append("the page crashed"))
        page.on("request", self._request)
        page.on("websocket", lambda link: self.outside.append(link.url))

    def _console(self, message):
        if message.type == "error":
            where = message.location.get("url", "")
            self.errors.append(f"console: {message.text} {where}")

    def _request(self, request):
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and parts.hostname not in LOOPBACK:
            self.outside.append(request.url)

    def expect_errors(self, pattern):
        """Take away the errors that a test has caused on purpose; at least one must be there."""
        kept = [one for one in self.errors if not re.search(pattern, one)]
        assert len(kept) < len(self.errors), f"no error like {pattern!r} in {self.errors}"
        self.errors[:] = kept


@pytest.fixture(scope="session")
def chromium():
    """Headless Chromium with a profile of its own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        message = "chromium is not installed (Debian: apt install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def start_app():
    """Start the app: `start_app(path, *arguments) -> Running`; all are ended after the module."""
    started = []

    def start(path=None, *arguments):
        started.append(Running(path, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            assert one.end() == 0, "".join(one.said)
        text = "".join(one.said)
        assert one.token not in text
        assert "Traceback" not in text, text


@pytest.fixture
def new_page(chromium):
    """Open an empty page with no cookies: `new_page() -> page`, with `page.watched`.

    A page error, a complaint on the console or a request that leaves this machine fails the test at
    its end.
    """
    contexts, watched = [], []

    def make(**options):
        contexts.append(chromium.new_context(**{"viewport": WINDOW} | options))
        page = contexts[-1].new_page()
        page.watched = Watched(page)
        watched.append(page.watched)
        return page

    yield make
    for one in contexts:
        one.close()
    for one in watched:
        assert not one.outside, f"asked outside of this machine: {one.outside}"
        assert not one.errors, "\n".join(one.errors)


@pytest.fixture
def page(new_page):
    """One page."""
    return new_page()


@pytest.fixture
def at(app, page):
    """Open a view of the module's own `app`, once its results are there: `at("maps") -> page`."""

    def go(view):
        page.goto(app.address)
        page.wait_for_selector("body[data-stamp]:not([data-stamp=''])", state="attached")
        page.click(f"[data-test=tab-{view}]")
        return page

    return go


@pytest.fixture
def screenshots():
    """Folder for pictures of the views (`CHEMOSCAPE_SCREENSHOTS`), or None."""
    folder = os.environ.get("CHEMOSCAPE_SCREENSHOTS")
    if folder is None:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)
