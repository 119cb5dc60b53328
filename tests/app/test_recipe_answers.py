"""What the recipe view asks: the recipe, what is changed in it, its runs, what they wrote."""

from __future__ import annotations

import os
import threading
import time
import tomllib
from types import SimpleNamespace

import pytest

from chemoscape.app.answers import recipe as answers
from chemoscape.app.asking import Asked
from chemoscape.app.draft import Draft, StaleRevision, within
from chemoscape.app.jobs import Jobs
from chemoscape.errors import ChemoscapeError, RecipeError, ResultsError
from chemoscape.recipe import make_recipe

TEXT = """[input]
path = "wire's.h5"

[clusters]
merge = [[0, 1]]

[stress.material]
young_GPa = 43.0
poisson = 0.3
eigenstrain = 0.02
source = "a test"
status = "illustrative"
"""


@pytest.fixture
def session(tmp_path):
    """As much of a session as these answers need."""
    draft = Draft(TEXT, tmp_path / "my wire.toml", within(tmp_path))
    jobs = Jobs()
    taken = []
    yield SimpleNamespace(
        draft=draft,
        jobs=jobs,
        taken=taken,
        take_results=lambda *what: taken.append(what),
        lock=threading.RLock(),
        refuse_if_opening=lambda: None,
    )
    jobs.close()


def ask(answer, session, **table):
    return answer(session, Asked(table))


def test_the_recipe_and_what_is_changed(session):
    told = ask(answers.recipe, session)
    assert (told["revision"], told["name"], told["saved"]) == (0, "my wire.toml", False)
    assert told["command"] == "chemoscape run 'my wire.toml'"
    assert told["export"] == "my wire-results"
    rows = {row["key"]: row for row in told["changed"]}
    assert rows["input.path"]["value"] == '"wire\'s.h5"'
    assert rows["clusters.merge"]["value"] == "[[0, 1]]"
    assert rows["clusters.merge"]["default"] == "[]"
    assert "join some by hand" in rows["clusters.merge"]["about"]
    assert rows["stress.material"]["default"] == "-"
    assert "young_GPa = 43.0" in rows["stress.material"]["value"]
    assert set(rows) == {"input.path", "clusters.merge", "stress.material"}


def test_the_defaults_are_not_changed():
    assert answers.changed(make_recipe({}), {}) == []


def test_edits(session):
    assert ask(answers.edit, session, revision=0, changes={"seed": 3}) == {"revision": 1}
    assert ask(answers.undo, session, revision=1) == {"revision": 2}
    assert ask(answers.redo, session, revision=2) == {"revision": 3}
    with pytest.raises(StaleRevision):
        ask(answers.edit, session, revision=0, changes={"seed": 4})
    text = session.draft.text.replace("seed = 3", "seed = 5")
    assert ask(answers.replace, session, revision=3, text=text) == {"revision": 4}
    assert session.draft.recipe.seed == 5
    assert ask(answers.save, session, revision=4) == {"name": "my wire.toml"}
    with pytest.raises(RecipeError):
        ask(answers.save, session, revision=4, name="../x.toml")


@pytest.mark.parametrize(
    "table",
    [
        {"changes": {"seed": 1}},
        {"revision": True, "changes": {"seed": 1}},
        {"revision": "0", "changes": {"seed": 1}},
        {"revision": 0},
        {"revision": 0, "changes": [1]},
    ],
)
def test_edits_asked_wrongly(session, table):
    with pytest.raises(ChemoscapeError):
        ask(answers.edit, session, **table)


def test_a_run_is_of_a_revision_and_of_no_contradiction(session):
    with pytest.raises(StaleRevision):
        ask(answers.start, session, revision=3, until="maps")
    with pytest.raises(ChemoscapeError, match="not one of explore, maps, stress, all"):
        ask(answers.start, session, revision=0, until="--output")
    ask(
        answers.edit,
        session,
        revision=0,
        changes={
            "clusters.enabled": False,
            "clusters.merge": None,
            "standards.select": "matched",
        },
    )
    with pytest.raises(RecipeError, match="needs clusters"):
        ask(answers.start, session, revision=1, until="maps")
    assert ask(answers.run, session) == {"state": "none"}


def test_a_run_that_fails(session):
    told = ask(answers.start, session, revision=0, until="explore")
    assert (told["state"], told["until"]) == ("running", "explore")
    with pytest.raises(ChemoscapeError, match="a run is at work"):
        ask(answers.start, session, revision=0, until="explore")
    assert session.jobs.current.wait(60)
    told = ask(answers.run, session)
    assert told["state"] == "failed"
    assert "wire's.h5" in told["error"]
    assert session.taken == []


def test_a_run_that_is_cancelled(session):
    ask(answers.cancel, session)  # there is none
    ask(answers.start, session, revision=0, until="explore")
    ask(answers.cancel, session)
    assert session.jobs.current.wait(60)
    while ask(answers.run, session)["state"] == "running":
        time.sleep(0.01)
    assert ask(answers.run, session)["state"] in ("cancelled", "failed")


def test_exported_files_and_no_others(session, tmp_path):
    assert ask(answers.exported, session) == {
        "folder": "my wire-results",
        "exists": False,
        "files": [],
    }
    folder = tmp_path / "my wire-results"
    (folder / "figures").mkdir(parents=True)
    (folder / "summary.json").write_text("{}")
    (folder / "figures" / "a b.png").write_bytes(b"12345")
    (tmp_path / "secret.txt").touch()
    if os.name != "nt":
        (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    told = ask(answers.exported, session)
    assert told["files"] == [
        {"name": "summary.json", "bytes": 2},
        {"name": "figures/a b.png", "bytes": 5},
    ]
    assert answers.downloadable(session, "figures/a b.png").read_bytes() == b"12345"
    for name in ("../secret.txt", "link.txt", "figures", "", ".", "no", "/etc/passwd", "a\0", "~"):
        with pytest.raises(ChemoscapeError, match="no such file"):
            answers.downloadable(session, name)
    with pytest.raises(ResultsError, match="exists already"):
        ask(answers.start, session, revision=0, until="all", export=True)


def test_values_are_shown_as_they_were_written(tmp_path):
    text = '[composition]\nfrom = "clustered"\n[few_energies]\npre = 705\n'
    recipe = make_recipe(tomllib.loads(text), folder=tmp_path)
    rows = answers.changed(recipe, tomllib.loads(text))
    assert [(row["key"], row["value"], row["default"]) for row in rows] == [
        ("few_energies.pre", "705", '"auto"'),
        ("composition.from", '"clustered"', '"direct"'),
    ]
