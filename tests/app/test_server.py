"""The server: every question is answered by JSON, a picture, or one sentence."""

from __future__ import annotations

import json
import shutil
import threading
import time

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the app needs chemoscape[app]")

import chemoscape as cs
from chemoscape.app import server
from chemoscape.app import session as sessions
from chemoscape.app.opening import DEMO_STACK
from chemoscape.app.server import ACTIONS, ANSWERS, make_app
from chemoscape.app.session import Session
from chemoscape.results import open_results

pytestmark = pytest.mark.xdist_group("app server")

SMALL = {
    "deconvolution": {"route": "both"},
    "damage": {"enabled": False},
    "report": {"enabled": False},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a stack, a recipe, results, a link that leads out, and a text."""
    folder = tmp_path_factory.mktemp("beam time")
    truth = cs.simulate.core_shell(shape=(30, 40), poisson=True, photons=2e4)
    cs.save_stack(truth.stack, folder / "wire.h5")
    cs.run({"input": {"path": str(folder / "wire.h5")}, **SMALL}, output=folder / "wire-results")
    (folder / "wire.toml").write_text('# mine\n[input]\npath = "wire.h5"\n')
    (folder / "notes.txt").write_text("no stack\n")
    (folder / "out").symlink_to("/etc")
    return folder


def opened(path, options=None):
    """A session that has opened a path."""
    session = Session(path, options)
    settle(session)
    return session


def settle(session):
    while session.state == "opening":
        time.sleep(0.02)


@pytest.fixture(scope="module")
def shown(folder, caller):
    """Ask a server that shows the results."""
    session = opened(folder / "wire-results")
    client = caller(make_app(session))

    def ask(name, **asked):
        while (reply := client.post(f"/api/{name}", json=asked)).status_code == 202:
            time.sleep(0.1)
        return reply

    yield ask
    session.close()


def picture_of(reply):
    raw = reply.content
    length = int.from_bytes(raw[:4], "little")
    header = json.loads(raw[4 : 4 + length])
    levels = np.frombuffer(raw, "<u2", offset=4 + length).reshape(header["shape"])
    return header, np.where(levels == 0, np.nan, header["low"] + (levels - 1.0) * header["step"])


def test_pictures_are_what_the_results_hold(shown, folder):
    tree = open_results(folder / "wire-results")
    weight = tree["/direct"]["weight"].values
    header, seen = picture_of(shown("picture", of="/direct/weight", at={"standard": 1}))
    np.testing.assert_allclose(seen, weight[1], atol=np.ptp(weight[1]) / 60_000)
    assert header["unit"] == "g/cm2"
    _, frame = picture_of(shown("picture", of="stack", energy=5))
    stack = cs.open_stack(folder / "wire.h5")
    np.testing.assert_allclose(frame, stack.values[5], atol=0.1)
    header, _ = picture_of(shown("picture", of="stack", energy=5, reduce=3))
    assert header["shape"] == [10, 14]


@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
def test_the_optical_density_is_that_of_the_run(shown, folder):
    stack = cs.open_stack(folder / "wire.h5")
    drift = cs.measure_drift(stack)
    od = cs.optical_density(stack if drift.rms_px < 0.1 else cs.align(stack, drift))
    _, seen = picture_of(shown("picture", of="optical_density", energy=40))
    np.testing.assert_allclose(seen, od["optical_density"].values[40], atol=1e-4)


def test_what_is_still_being_made_is_no_error(folder, caller, monkeypatch):
    """The page asks again; nothing else waits meanwhile."""
    session, go_on = opened(folder / "wire-results"), threading.Event()
    monkeypatch.setattr(sessions, "WAIT_S", 0.01)
    session._density = session._behind.submit(go_on.wait, 60)
    reply = caller(make_app(session)).post(
        "/api/stack/spectrum", json={"of": "optical_density", "regions": [{"pixel": [1, 1]}]}
    )
    go_on.set()
    assert reply.status_code == 202
    assert "still being made" in reply.json()["error"]
    session.close()


def test_numbers(shown, folder):
    tree = open_results(folder / "wire-results")
    eigenvalue = shown("values", of="/clustered/components/eigenvalue").json()
    assert eigenvalue["dims"] == ["pc"]
    np.testing.assert_allclose(
        eigenvalue["values"], tree["/clustered/components"]["eigenvalue"].values
    )
    index = shown("results").json()
    assert index["summary"] == json.loads(tree.attrs["summary"])
    assert index["nodes"]["/direct"]["variables"]["weight"]["dims"] == ["standard", "y", "x"]


def test_spectra_of_pixels_and_regions(shown, folder):
    stack = cs.open_stack(folder / "wire.h5")
    x, y = stack["x"].values, stack["y"].values
    region = {"x": [x[3] - 1e-6, x[9] + 1e-6], "y": [y[2] - 1e-6, y[8] + 1e-6]}
    reply = shown(
        "stack/spectrum", regions=[{"pixel": [x[4] + 0.3 * (x[1] - x[0]), y[7]]}, region]
    ).json()
    one, many = reply["spectra"]
    np.testing.assert_allclose(one["mean"], stack.values[:, 7, 4], rtol=1e-6)
    inside = stack.values[:, 2:9, 3:10].reshape(len(stack), -1).astype(float)
    np.testing.assert_allclose(many["mean"], inside.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(many["se"], inside.std(axis=1, ddof=1) / 7, rtol=1e-3)
    assert (one["n"], many["n"]) == (1, 49)
    assert shown("stack/spectrum", regions=[{"pixel": [99, 0]}]).status_code == 400


@pytest.mark.filterwarnings("ignore::chemoscape.errors.ChemoscapeWarning")
def test_i0_of_a_choice_is_that_of_a_run(shown, folder):
    """Before any run, and without the drift taken out."""
    stack = cs.open_stack(folder / "wire.h5")
    for choice, i0 in (
        ("auto", "auto"),
        ({"x": [0, 0.2], "y": [0, 0.6]}, cs.Region(x=(0, 0.2), y=(0, 0.6))),
    ):
        found = shown("beam/pick", i0=choice).json()
        od = cs.optical_density(stack, i0)
        np.testing.assert_allclose(found["i0"], od["i0"].values, rtol=1e-9)
        assert found["n"] == od.attrs["i0_pixels"]
        _, density = picture_of(shown("beam/density", i0=choice, energy=30))
        np.testing.assert_allclose(density, od["optical_density"].values[30], atol=2e-4)
        _, mask = picture_of(shown("beam/mask", i0=choice))
        np.testing.assert_array_equal(mask.astype(bool), od["background"].values)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("picture", {"of": "/direct/nothing"}),
        ("picture", {"of": "/nowhere/weight"}),
        ("picture", {"of": "/direct/weight"}),
        ("picture", {"of": "/direct/weight", "at": {"standard": 99}}),
        ("picture", {"of": "/direct/weight", "at": {"y": 1}}),
        ("picture", {"of": "stack", "energy": -1}),
        ("picture", {"of": "stack", "energy": 1e9}),
        ("picture", {"of": "../../etc/passwd"}),
        ("picture", {}),
        ("values", {"of": "/spectra/nothing"}),
        ("stack/spectrum", {"regions": [{"x": [5, 6], "y": [900, 901]}]}),
        ("stack/spectrum", {"regions": [{"polygon": [[0, 0], [1, 1]]}]}),
        ("beam/pick", {"i0": "/etc/passwd"}),
        ("beam/pick", {"i0": {"levels": [2, 1]}}),
        ("files", {"folder": "../.."}),
        ("files", {"folder": "/etc"}),
        ("files", {"folder": "out"}),
        ("open", {"path": "../../../etc/passwd"}),
        ("open", {"path": "out/passwd"}),
        ("open", {}),
    ],
)
def test_wrong_questions_get_one_sentence(shown, name, asked):
    reply = shown(name, **asked)
    assert reply.status_code == 400, reply.text
    assert len(reply.json()["error"].splitlines()) == 1
    assert "defect" not in reply.json()["error"]


def test_no_question_brings_it_down(shown, folder):
    """Every name, asked nothing and asked nonsense, answers or refuses in a sentence."""
    odd = {"of": [], "region": {"x": "a"}, "line": 3, "cluster": "x", "i0": [], "a": {}, "path": 0}
    for name in sorted({*ANSWERS, *ACTIONS} - {"run/start", "open"}):
        for asked in ({}, odd):
            reply = shown(name, **asked)
            assert reply.status_code in (200, 400, 409), (name, asked, reply.text[:300])


def test_what_is_no_question(folder, caller):
    client = caller(make_app(opened(folder / "wire.h5")))
    assert client.post("/api/nothing", json={}).status_code == 404
    for body in (b"[1]", b"{", b'"text"', b"[" * 100_000):
        assert client.post("/api/facts", content=body).status_code == 400
    assert client.get("/api/facts").status_code == 405
    assert client.get("/nowhere").status_code == 404
    assert "chemoscape" in client.get("/").text
    assert client.get("/static/js/main.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/static/plotly.min.js").headers["content-length"] > "1000000"


def test_a_defect_is_told_and_logged(folder, monkeypatch, tmp_path, caller):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setitem(server.ANSWERS, "values", lambda session, asked: 1 / 0)
    client = caller(make_app(opened(folder / "wire.h5")))
    reply = client.post("/api/values", json={})
    assert reply.status_code == 500
    assert "ZeroDivisionError" in reply.json()["error"]


def test_opening_each_kind(folder):
    for name, kind, has_stack in (
        ("wire.h5", "stack", True),
        ("wire.toml", "recipe", True),
        ("wire-results", "results", True),
        ("wire-results/results.h5", "results", True),
    ):
        session = opened(folder / name)
        assert (session.state, session.opened.kind) == ("ready", kind)
        assert (session.stack is not None) is has_stack
        assert session.has("/direct") is (kind == "results")
        assert session.recipe.input.path == str(folder / "wire.h5")
        session.close()
        assert not session.workspace.exists()


def test_a_recipe_keeps_its_comments(folder):
    assert opened(folder / "wire.toml").draft.text.startswith("# mine")


def test_results_whose_stack_is_gone(folder, tmp_path, caller):
    shutil.copytree(folder / "wire-results", tmp_path / "alone")
    (folder / "wire.h5").rename(folder / "away.h5")
    try:
        session = opened(tmp_path / "alone")
    finally:
        (folder / "away.h5").rename(folder / "wire.h5")
    assert session.state == "ready"
    assert session.has("/direct")
    assert any("not shown" in note for note in session.opened.notes)
    client = caller(make_app(session))
    assert client.post("/api/stack", json={}).json()["there"] is False
    reply = client.post("/api/picture", json={"of": "stack", "energy": 0})
    assert (reply.status_code, "put it back" in reply.text) == (400, True)


@pytest.mark.parametrize("name", ["notes.txt", "missing.hdr"])
def test_what_cannot_be_opened(folder, name):
    session = opened(folder / name)
    assert session.state == "failed"
    assert session.error.endswith(".")


def test_a_series_is_refused(folder, tmp_path):
    (tmp_path / "series.toml").write_text(
        f'[series]\nenabled = true\nstacks = ["{folder}/wire.h5", "{folder}/wire.h5"]\n'
    )
    assert "one stack" in opened(tmp_path / "series.toml").error


def test_a_failed_opening_keeps_what_was_open(folder):
    session = opened(folder / "wire.h5")
    session.open(folder / "notes.txt")
    settle(session)
    assert (session.state, session.opened.path.name) == ("ready", "wire.h5")
    assert "notes.txt" in session.error


def test_a_folder_is_listed_without_what_leads_out(folder, caller):
    session = opened(folder)
    assert session.state == "empty"
    client = caller(make_app(session))
    rows = client.post("/api/files", json={}).json()["files"]
    kinds = {row["name"]: row["kind"] for row in rows}
    assert kinds == {
        "wire-results": "results",
        "notes.txt": "file",
        "wire.h5": "file",
        "wire.toml": "recipe",
    }
    assert client.post("/api/open", json={"path": "wire.h5"}).status_code == 200
    settle(session)
    assert session.state == "ready"


def test_the_demo_is_made_where_the_app_was_started(tmp_path):
    session = opened(tmp_path)
    session.open_demo()
    settle(session)
    assert (tmp_path / DEMO_STACK).is_file()
    assert session.recipe.stress.enabled
    session.close()
