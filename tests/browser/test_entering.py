"""Into the app with a real browser: by the printed address, by the private file, and not at all."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from chemoscape.app.entrance import redirect_file


@pytest.fixture(scope="module")
def running(start_app, tmp_path_factory):
    """The app in an empty folder, where one may only choose."""
    return start_app(tmp_path_factory.mktemp("empty"))


def inside(page, running):
    """Wait until the page is that of the app; its cookie."""
    page.wait_for_url(running.root)
    page.wait_for_load_state("load")
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert running.token not in page.content() + str(cookie)
    assert page.evaluate("document.cookie") == ""
    return cookie


def test_the_printed_address_leads_in_and_leaves_no_token(page, running):
    page.goto(running.address)
    inside(page, running)
    page.reload()
    inside(page, running)
    page.go_back()
    assert "token" not in page.url  # nor in the history


def test_the_private_file_leads_in(page, running):
    with redirect_file(running.address) as entrance:
        page.goto(entrance.path.as_uri())
        inside(page, running)


def test_without_the_token_there_is_only_the_way_in(page, running):
    for address in (running.root, running.root + "enter?token=wrong"):
        page.goto(address)
        assert "printed in its terminal" in page.inner_text("body")
        assert not page.context.cookies()
    page.watched.expect_errors("403")


def test_another_page_of_this_machine_can_do_nothing(page, running):
    """To the browser all ports of a machine are one site, and the cookie goes along."""
    page.goto(running.address)
    cookie = inside(page, running)
    port = urlsplit(running.root).port
    stranger = f"http://127.0.0.1:{port - 1}/stranger"
    text = "<!doctype html><link rel=icon href=data:,><body>stranger</body>"
    page.route(stranger, lambda route: route.fulfill(body=text, content_type="text/html"))
    page.goto(stranger)
    asked = []
    page.on("requestfailed", lambda one: asked.append(one))
    seen = page.evaluate(
        """async (root) => {
            const ask = (path, options) =>
                fetch(root + path, { credentials: "include", ...options }).then(
                    (one) => `${one.type} ${one.status}`, () => "failed");
            const load = (tag, path) => new Promise((done) => {
                const one = document.createElement(tag);
                one.onload = () => done("loaded");
                one.onerror = () => done("failed");
                one.src = root + path;
                document.body.append(one);
            });
            const post = { method: "POST", body: "{}" };
            const json = { headers: { "Content-Type": "application/json" } };
            return {
                read: await ask("", {}),
                blind: await ask("", { mode: "no-cors" }),
                simple: await ask("api/facts", post),
                blindly: await ask("api/facts", { ...post, mode: "no-cors" }),
                preflighted: await ask("api/facts", { ...post, ...json }),
                script: await load("script", "static/js/api.js"),
                picture: await load("img", "static/icon.svg"),
            };
        }""",
        running.root,
    )
    assert seen == dict.fromkeys(seen, "failed")
    carried = [one.all_headers().get("cookie", "") for one in asked]
    assert sum(cookie["value"] in one for one in carried) >= 5  # it was not for want of a cookie
    page.watched.expect_errors(".")
