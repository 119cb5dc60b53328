"""The recipe as it is being worked on: checked edits, revisions, undo, saving in its folder."""

from __future__ import annotations

import os
import threading
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemoscape.app.draft import Draft, StaleRevision, named_by, within
from chemoscape.app.toml_edits import keys_of, with_value
from chemoscape.errors import ChemoscapeError, RecipeError
from chemoscape.recipe import Recipe, commented_toml, make_recipe, paths_of

TEXT = """# my wire
[input]
path = "wire.h5"  # from the beamline

[clusters]
n_clusters = 4  # looked at
# cut =   # join the clusters

[stress.material]  # vanadium pentoxide
young_GPa = 40.0  # Santos
poisson = 0.3
eigenstrain = 0.02
source = "a paper"
status = "literature"
"""


def everything(_recipe):
    """Admits all."""


@pytest.fixture
def draft(tmp_path):
    return Draft(TEXT, tmp_path / "wire.toml", everything)


def test_edits_keep_comments_and_everything_else(draft):
    draft.edit(0, {"clusters.cut": 3, "clusters.merge": [[0, 1]], "stress.material.young_GPa": 43})
    assert draft.text == TEXT.replace(
        "# cut =   # join the clusters\n",
        "# cut =   # join the clusters\ncut = 3\nmerge = [[0, 1]]\n",
    ).replace("40.0  # Santos", "43  # Santos")
    assert draft.recipe.clusters.cut == 3
    assert draft.recipe.stress.material.young_GPa == 43
    assert draft.table["clusters"]["merge"] == [[0, 1]]
    assert draft.edit(1, {"clusters.cut": None, "clusters.merge": None}) == 2
    assert draft.text == TEXT.replace("40.0  # Santos", "43  # Santos")


def test_paths_are_relative_to_where_it_would_be_saved(draft, tmp_path):
    assert draft.recipe.input.path == str(tmp_path.resolve() / "wire.h5")
    assert 'path = "wire.h5"' in draft.text


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"clusters.cut": 0}, "clusters.cut"),
        ({"clusters.cuts": 3}, "'cut'"),
        ({"cluster.cut": 3}, "'clusters'"),
        ({"clusters.cut": 2, "clusters.n_clusters": "many"}, "n_clusters"),
        ({"input.path.deep": 2}, "leads through 'path'"),
        ({"stress.enabled": True, "stress.material": None}, "stress needs a material"),
        ({"seed": float("nan")}, "seed"),
        ({"seed": 2**70}, "seed"),
        ({"version": 2}, "version"),
        ({"": 3}, "is no key"),
        ({"clusters.": 3}, "is no key"),
        ({"a = 1\nb": 3}, "is no key"),
        ({"clusters]\n[x": 3}, "is no key"),
        ({"absorbance.i0": {"x": [2, 1]}}, "absorbance.i0"),
        ({"report.title": 3}, "report.title"),
        ({"clusters.merge": [[0, None]]}, "clusters.merge"),
    ],
)
def test_a_wrong_value_changes_nothing(draft, changes, word):
    with pytest.raises(RecipeError, match=r"^.+\.$") as refused:
        draft.edit(0, changes)
    assert word in str(refused.value)
    assert (draft.text, draft.revision, draft.can_undo) == (TEXT, 0, False)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[clusters\n", "line 1"),
        ("a = [" * 5000, "not valid TOML"),
        ("seed = " + "9" * 5000, "TOML"),
        ("[clusters]\nn_cluster = 3", "n_clusters"),
        ("seed = 1\nseed = 2", "not valid TOML"),
        ("\x00", "not valid TOML"),
    ],
)
def test_a_malformed_text_is_refused(draft, text, word):
    with pytest.raises(RecipeError, match=word):
        draft.replace(0, text)
    assert draft.text == TEXT


def test_text_of_tables_and_names_with_dots(draft):
    region = {"x": [0.0, 1.0], "y": [0.0, 2.0]}
    draft.edit(0, {'deconvolution.regions."no. 1"': region})
    assert draft.recipe.deconvolution.regions["no. 1"].y == (0.0, 2.0)
    draft.edit(1, {"drift.region": {**region, "polygon": None}})
    assert "region = {x = [0.0, 1.0], y = [0.0, 2.0]}" in draft.text
    material = {**draft.table["stress"]["material"], "young_GPa": 50.0, "phases": []}
    draft.edit(2, {"stress.material": material, "stress.enabled": True})
    assert "[stress.material]  # vanadium pentoxide" in draft.text
    assert "young_GPa = 50.0  # Santos" in draft.text
    assert draft.recipe.stress.enabled


def test_undo_and_redo(draft):
    draft.edit(0, {"clusters.cut": 3})
    assert (draft.can_undo, draft.can_redo) == (True, False)
    assert draft.undo(1) == 2
    assert draft.text == TEXT
    assert draft.redo(2) == 3
    assert draft.recipe.clusters.cut == 3
    draft.undo(3)
    draft.edit(4, {"seed": 7})
    assert not draft.can_redo
    assert draft.redo(5) == 5


def test_an_edit_that_changes_nothing_is_none(draft):
    assert draft.edit(0, {"clusters.n_clusters": 4, "clusters.cut": None}) == 0
    assert not draft.can_undo


def test_what_can_be_undone_is_bounded(draft):
    for number in range(250):
        draft.edit(number, {"seed": number + 1})
    revision = 250
    while draft.can_undo:
        revision = draft.undo(revision)
    assert draft.recipe.seed == 50


def test_stale_edits_are_refused(draft):
    draft.edit(0, {"seed": 1})
    for attempt in (
        lambda: draft.edit(0, {"seed": 2}),
        lambda: draft.replace(0, TEXT),
        lambda: draft.undo(0),
        lambda: draft.redo(2),
        lambda: draft.save(0),
        lambda: draft.at(0),
    ):
        with pytest.raises(StaleRevision):
            attempt()
    assert draft.recipe.seed == 1


def test_two_tabs_at_once_one_wins_each_revision(draft):
    won = []

    def tab(number):
        for revision in range(60):
            while draft.revision < revision:
                pass
            try:
                draft.edit(revision, {"seed": 1 + 2 * revision + number})
            except StaleRevision:
                continue
            won.append(revision)

    tabs = [threading.Thread(target=tab, args=(number,)) for number in (0, 1)]
    for one in tabs:
        one.start()
    for one in tabs:
        one.join()
    assert won == list(range(60))
    assert draft.revision == 60


KEYS = {
    "seed": st.integers(0, 99),
    "clusters.cut": st.integers(1, 9),
    "clusters.merge": st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3), max_size=2),
    "clusters.split": st.lists(st.fixed_dictionaries({"cluster": st.integers(0, 3)}), max_size=2),
    "report.title": st.text(max_size=12),
    "absorbance.i0": st.sampled_from(["auto", {"x": [0, 1], "y": [0, 1]}, {"levels": [0.9, 1.1]}]),
    "deconvolution.regions": st.just({"core": {"x": [0, 1], "y": [2, 3]}}),
    "deconvolution.regions.shell": st.just({"polygon": [[0, 0], [1, 0], [1, 1]]}),
    'standards.groups."α 1"': st.just(["alpha-V2O5"]),
    "stress.enabled": st.booleans(),
    "stress.material.phases": st.just([{"x_min": 0, "x_max": 1, "young_GPa": 4, "poisson": 0.2}]),
    "stress.material.angle_deg": st.floats(-90, 90),
    "particles.picture": st.just(
        {"path": "sem.png", "pixel_um": 0.1, "pairs": [[[0, 0], [0, 0]]] * 3}
    ),
    "electrochemistry.columns": st.just({"voltage": 3, "capacity": "Q (mAh)"}),
}
CHANGES = st.lists(
    st.sampled_from(sorted(KEYS)).flatmap(
        lambda key: st.fixed_dictionaries({key: st.none() | KEYS[key]})
    ),
    max_size=12,
)
STARTS = st.sampled_from(["", TEXT, commented_toml(Recipe()), 'seed=3\n[report]\ntitle="a"'])


@settings(max_examples=100, deadline=None)
@given(start=STARTS, changes=CHANGES)
def test_any_edits_then_undo_all(start, changes, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    draft = Draft(start, path, everything)
    for change in changes:
        before = draft.text
        ((key, value),) = change.items()
        try:
            draft.edit(draft.revision, change)
        except RecipeError:
            assert draft.text == before
            continue
        kept = [line for line in before.split("\n") if line.lstrip().startswith("#")]
        assert all(line in draft.text for line in kept)  # no comment was lost
        *place, last = keys_of(key)
        here = tomllib.loads(draft.text)
        for name in place:
            here = here.get(name, {})
        assert (last in here) == (value is not None)
        assert value is None or make_equal(here[last]) == make_equal(value)
    last = draft.text
    while draft.can_undo:
        draft.undo(draft.revision)
    assert draft.text == start
    while draft.can_redo:
        draft.redo(draft.revision)
    assert draft.text == last


def make_equal(value):
    """Tuples as lists."""
    return [make_equal(one) for one in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    "text",
    [
        "clusters = {cut = 2}\n",
        "clusters.cut = 2\n",
        "[clusters]\nsplit = [\n  {cluster = 0}, # one\n]\n[report]\n",
        "[[clusters.split]]\ncluster = 0\n[report]\n[clusters.x]\n",
        "[report]\n[stress.material]\npoisson=0.3\n[stress]\norder=1\n",
    ],
)
@pytest.mark.parametrize("key", ["clusters.cut", "clusters.split", "stress.order", "report.title"])
@pytest.mark.parametrize("value", [3, None, [{"cluster": 1}]])
def test_any_way_of_writing_it(text, key, value):
    """The text always says what was set, whatever becomes of its looks."""
    found = tomllib.loads(with_value(text, keys_of(key), value))
    section, name = key.split(".")
    assert found.get(section, {}).get(name) == value
    other = tomllib.loads(text)
    for table in (other, found):
        table.get(section, {}).pop(name, None)
    if not other.get(section):
        found.pop(section, None)
        other.pop(section, None)
    assert found == other


def test_saving(draft, tmp_path):
    assert not draft.saved
    assert draft.save(0) == tmp_path / "wire.toml"
    assert (tmp_path / "wire.toml").read_text() == TEXT
    assert draft.saved
    draft.edit(0, {"seed": 2})
    assert not draft.saved
    draft.save(1)  # our own file
    assert draft.save(1, "other.toml") == tmp_path / "other.toml"
    assert draft.path.name == "other.toml"
    assert {one.name for one in tmp_path.iterdir()} == {"wire.toml", "other.toml"}


def test_anothers_file_is_not_replaced(draft, tmp_path):
    (tmp_path / "wire.toml").write_text("mine")
    with pytest.raises(RecipeError, match="exists already"):
        draft.save(0)
    assert (tmp_path / "wire.toml").read_text() == "mine"
    draft.save(0, overwrite=True)
    assert (tmp_path / "wire.toml").read_text() == TEXT


def test_a_file_changed_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "wire.toml"
    path.write_text(TEXT)
    draft = Draft(TEXT, path, everything, on_disk=True)
    assert draft.saved
    draft.edit(0, {"seed": 2})
    path.write_text(TEXT + "# by hand")
    with pytest.raises(RecipeError, match="changed by another program"):
        draft.save(1)
    assert path.read_text().endswith("# by hand")
    draft.save(1, overwrite=True)
    assert tomllib.loads(path.read_text())["seed"] == 2


@pytest.mark.parametrize(
    "name",
    [
        *("", ".toml", ".hidden.toml", "wire", "wire.h5", "../wire.toml", "a/b.toml", "/wire.toml"),
        *("..\\wire.toml", "C:wire.toml", "a\0.toml", "a\n.toml", "..", "x" * 300 + ".toml"),
        *("wire.toml/", "wire.toml/..", "wire.toml:stream"),
    ],
)
def test_names_that_lead_elsewhere(draft, tmp_path, name):
    with pytest.raises(RecipeError):
        draft.save(0, name, overwrite=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_not_followed(draft, tmp_path):
    outside = tmp_path.with_name(f"{tmp_path.name}-outside.toml")
    outside.write_text("theirs")
    (tmp_path / "wire.toml").symlink_to(outside)
    with pytest.raises(RecipeError, match="ordinary file"):
        draft.save(0, overwrite=True)
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(RecipeError, match="ordinary file"):
        draft.save(0, "folder.toml", overwrite=True)
    assert outside.read_text() == "theirs"
    outside.unlink()


def test_contradictions_are_told_and_can_be_edited_away(tmp_path):
    draft = Draft('[input]\npath = "a.h5"\n', tmp_path / "a.toml", everything)
    assert draft.contradiction == ""
    draft.edit(0, {"clusters.enabled": False, "standards.select": "matched"})
    assert "needs clusters" in draft.contradiction
    assert "needs clusters" in draft.seen()["contradiction"]
    draft.edit(1, {"clusters.enabled": True})
    assert draft.contradiction == ""


PATHS = {
    "input.path": "FILE",
    "input.further": ["FILE"],
    "input.energies": "FILE",
    "series.stacks": ["FILE"],
    "drift.shifts": "FILE",
    "absorbance.i0": "FILE",
    "absorbance.dark": "FILE",
    "standards.library": "FILE",
    "few_energies.stxm": "FILE",
    "stress.material": {
        **{"young_GPa": 1.0, "poisson": 0.3, "source": "x", "status": "measured"},
        "lattice": "FILE",
    },
    "particles.picture": {"path": "FILE", "pixel_um": 1.0, "pairs": [[[0, 0], [0, 0]]] * 3},
    "electrochemistry.curve": "FILE",
}


def naming(value, file):
    """The same value with a file in it."""
    if value == "FILE":
        return file
    if isinstance(value, list):
        return [file if one == "FILE" else one for one in value]
    return {key: file if one == "FILE" else one for key, one in value.items()}


@pytest.mark.parametrize("key", PATHS)
def test_no_file_outside_the_folder(tmp_path, key):
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    (away / "x.h5").touch()
    draft = Draft("", home / "a.toml", within(home))
    attempts = ["../away/x.h5", str(away / "x.h5"), "../away/*.h5", "inner/../../away/x.h5", "~/x"]
    if os.name != "nt":
        (home / "link.h5").symlink_to(away / "x.h5")
        attempts += ["link.h5", "./lin*.h5"] if key == "series.stacks" else ["./link.h5"]
    for file in attempts:
        with pytest.raises(RecipeError, match="outside of the opened folder"):
            draft.edit(0, {key: naming(PATHS[key], file)})
    draft.edit(0, {key: naming(PATHS[key], "./inner/x.h5")})
    (texts,) = paths_of(draft.recipe).values()
    assert texts == [str(home.resolve() / "inner" / "x.h5")]


def test_files_that_were_named_already_may_stay(tmp_path):
    home, library = tmp_path / "home", tmp_path / "library"
    home.mkdir()
    library.mkdir()
    (library / "library.toml").touch()
    text = '[input]\npath = "../a.h5"\n[standards]\nlibrary = "../library"\n'
    text += '[compute]\nscheduler = "tcp://head:8786"\n'
    named = make_recipe(tomllib.loads(text), folder=home)
    admitted = within(home, named_by(named), named.compute.scheduler)
    draft = Draft(text, home / "a.toml", admitted)
    draft.edit(0, {"drift.shifts": "../a.h5"})
    with pytest.raises(ChemoscapeError, match="outside"):
        draft.edit(1, {"input.path": "../b.h5"})
    for scheduler in ("", "tcp://elsewhere:1"):
        with pytest.raises(ChemoscapeError, match="scheduler is not changed here"):
            draft.edit(1, {"compute.scheduler": scheduler})


def test_every_path_of_a_recipe_is_known():
    """A key that is described as a file is in the list that is guarded."""
    recipe = make_recipe(
        {
            key.split(".")[0]: {
                other.split(".")[1]: naming(PATHS[other], "./f")
                for other in PATHS
                if other.split(".")[0] == key.split(".")[0]
            }
            for key in PATHS
        }
    )
    found = {key.replace(".material.lattice", ".material") for key in paths_of(recipe)}
    assert {key.replace("picture.path", "picture") for key in found} == set(PATHS)
