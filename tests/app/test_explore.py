"""Explore: ranks, scores, brushing, and clusters before a run that are those of the run."""

from __future__ import annotations

import itertools
import json
import warnings

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.app.answers.explore import ANSWERS
from chemoscape.app.asking import Asked
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, ResultsError
from chemoscape.recipe import make_recipe

#: One worker, so that the runs are made once.
pytestmark = pytest.mark.xdist_group("explore")

ONLY_CLUSTERS = {
    **{name: {"enabled": False} for name in ("drift", "damage", "standards", "composition")},
    **{name: {"enabled": False} for name in ("stress", "deconvolution")},
    "report": {"enabled": False, "keep_optical_density": True},
}


class Shown:
    """What answers ask of a session: the results of a run, and a recipe that may have changed."""

    def __init__(self, tree, made_with, recipe=None):
        self.tree, self.memory = tree, {}
        self.made_with = make_recipe(made_with)
        self.recipe = make_recipe(recipe or made_with)

    def has(self, path):
        return path.strip("/") in {node.path.strip("/") for node in self.tree.subtree}

    def node(self, path):
        if not self.has(path):
            raise ResultsError(f"no {path}", remedy="press Run")
        return self.tree[path].to_dataset()

    def run_recipe(self):
        return self.made_with

    def density(self):
        return self.node("/optical_density")

    def remembered(self, key, make):
        if key not in self.memory:
            self.memory[key] = make()
        return self.memory[key]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    truth = cs.simulate.core_shell(shape=(30, 40), poisson=True, seed=3)
    file = tmp_path_factory.mktemp("stack") / "wire.h5"
    cs.save_stack(truth.stack, file)
    return file


@pytest.fixture(scope="module")
def run(path):
    """Run a recipe with these values of [clusters]: its tree and what it was made with."""
    made = {}

    def make(**clusters):
        recipe = {
            "input": {"path": str(path)},
            **ONLY_CLUSTERS,
            "clusters": {"n_clusters": 6, **clusters},
        }
        key = json.dumps(clusters)
        if key not in made:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ChemoscapeWarning)
                made[key] = cs.run(recipe), recipe
        return made[key]

    return make


@pytest.fixture(scope="module")
def shown(run):
    return Shown(*run())


def ask(session, name, **question):
    return ANSWERS[f"explore/{name}"](session, Asked(question))


def labels(picture):
    return np.where(np.isnan(picture.values), -1, picture.values).astype(int)


# --- how many components ------------------------------------------------------------------------


def test_ranks_and_what_was_used(shown):
    answer = ask(shown, "rank")
    pcs = shown.node("/clustered/components")
    said = {one["key"]: one for one in answer["criteria"]}
    assert said["rank_mp"]["n"] == pcs.attrs["rank_mp"] == answer["rank"]
    assert [key for key, one in said.items() if one["used"]] == ["rank_mp"]
    assert answer["used"] == {"n": 2, "says": "by the rank"}
    above = (answer["scaled_eigenvalue"] > answer["noise_edge"]).sum()
    assert above == said["rank_mp"]["n"]
    assert "nothing" in said["rank_cumulative"]["says"]


def test_a_rank_that_is_refused_and_components_that_are_set(run):
    tree, made_with = run(n_components=3)
    session = Shown(tree, made_with)
    assert ask(session, "rank")["used"] == {"n": 3, "says": "set in the recipe"}
    pcs = session.node("/clustered/components")
    refused = Shown(tree, made_with)
    refused.node = lambda path: pcs.assign_attrs(rank_mp=-1)
    refused.has = lambda path: False
    said = {one["key"]: one for one in ask(refused, "rank")["criteria"]}
    assert said["rank_mp"]["n"] is None
    assert said["rank_mp"]["says"].startswith("refused")
    assert said["rank_cv"]["used"]


# --- scores and brushing ------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["score", "shape"])
def test_a_scatter_counts_every_pixel(shown, space):
    picture = ask(shown, "scatter", a=1, b=2, bins=32, outliers=True, space=space)
    pcs = shown.node("/clustered/components")
    inside = pcs["sample"].values
    values = pcs["score"].values[:2]
    if space == "shape":
        values = shown.node("/clustered/clusters")["feature"].values[::-1][:2]
        inside = np.isfinite(values[0])
    n = int(inside.sum())
    assert np.nansum(picture.values) == n == picture.extra["n"]
    assert picture.extra["beyond"] == 0
    # the same counts as numpy's, b upwards
    half = np.diff(picture.x)[0] / 2, np.diff(picture.y)[0] / 2
    edges = [
        np.append(axis - h, axis[-1] + h)
        for axis, h in zip((picture.x, picture.y), half, strict=True)
    ]
    expected, _, _ = np.histogram2d(values[1][inside], values[0][inside], bins=edges[::-1])
    np.testing.assert_array_equal(np.nan_to_num(picture.values), expected)
    log = ask(shown, "scatter", a=1, b=2, bins=32, outliers=True, space=space, log=True)
    np.testing.assert_allclose(log.values, np.log10(picture.values))


def test_a_scatter_in_the_colours_of_the_clusters(shown):
    counted = ask(shown, "scatter", a=1, b=2, bins=16, outliers=True)
    coloured = ask(shown, "scatter", a=1, b=2, bins=16, outliers=True, colour="cluster")
    assert coloured.kind == "labels"
    np.testing.assert_array_equal(np.isnan(counted.values), np.isnan(coloured.values))
    groups = shown.node("/clustered/clusters")
    pcs = shown.node("/clustered/components")
    inside = pcs["sample"].values
    a, b = pcs["score"].values[:2][:, inside]
    own = groups["label"].values[inside]
    column = np.abs(coloured.x[:, None] - a).argmin(axis=0)
    row = np.abs(coloured.y[:, None] - b).argmin(axis=0)
    at = (row == row[0]) & (column == column[0])
    assert coloured.values[row[0], column[0]] == np.bincount(own[at] + 1).argmax() - 1


def test_a_scatter_without_outliers_says_how_many_it_left_out(shown):
    picture = ask(shown, "scatter", a=1, b=3)
    n = int(shown.node("/clustered/components")["sample"].values.sum())
    assert np.nansum(picture.values) + picture.extra["beyond"] == n


def test_ellipses_of_clusters(shown):
    picture = ask(shown, "scatter", a=1, b=2)
    groups = shown.node("/clustered/clusters")
    score = shown.node("/clustered/components")["score"].values[:2]
    for one in picture.extra["clusters"]:
        own = score[:, groups.label.values == one["cluster"]].astype(float)
        np.testing.assert_allclose(one["mean"], own.mean(axis=1), rtol=1e-6)
        np.testing.assert_allclose(one["covariance"], np.cov(own, ddof=0), rtol=1e-4)
        # every corner of the ellipse is two standard deviations off
        off = one["outline"] - one["mean"]
        distance = np.einsum("ni,ij,nj->n", off, np.linalg.inv(one["covariance"]), off)
        np.testing.assert_allclose(distance, 4, rtol=1e-6)
    assert [one["n"] for one in picture.extra["clusters"]] == groups["size"].values.tolist()


def test_brushing_goes_both_ways(shown):
    whole = ask(shown, "scatter", a=1, b=2, bins=32, outliers=True)
    left, right = float(whole.x[0]), float(np.median(whole.x))
    low, high = float(whole.y[0]) - 1, float(whole.y[-1]) + 1
    polygon = [[left - 1, low], [right, low], [right, high], [left - 1, high]]
    mask = ask(shown, "brush", a=1, b=2, polygon=polygon)
    pcs = shown.node("/clustered/components")
    score = pcs["score"].values[0]
    np.testing.assert_array_equal(mask.values, pcs["sample"].values & (score <= right))
    assert mask.kind == "mask"
    assert mask.extra["n"] == mask.values.sum() > 0

    x, y = pcs["x"].values, pcs["y"].values
    region = {"x": [float(x[5]), float(x[20])], "y": [float(y[5]), float(y[20])]}
    some = ask(shown, "scatter", a=1, b=2, bins=32, outliers=True, region=region)
    assert np.nansum(some.values) == pcs["sample"].values[5:21, 5:21].sum()
    np.testing.assert_array_equal(some.x, whole.x)
    assert (np.nan_to_num(some.values) <= np.nan_to_num(whole.values)).all()


def test_a_polygon_that_crosses_itself_is_an_area(shown):
    bow = [[-100, -100], [100, 100], [100, -100], [-100, 100]]
    assert ask(shown, "brush", a=1, b=2, polygon=bow).extra["n"] > 0


def test_mean_spectrum_of_what_was_brushed(shown):
    density = shown.density()["optical_density"].values
    groups = shown.node("/clustered/clusters")
    answer = ask(shown, "brushed", cluster=1)
    assert answer["n"] == answer["n_used"] == int(groups["size"][1])
    np.testing.assert_allclose(answer["spectrum"], groups["spectrum"].values[1], rtol=1e-6)
    np.testing.assert_allclose(answer["spectrum_se"], groups["spectrum_se"].values[1], rtol=0.02)

    pcs = shown.node("/clustered/components")
    region = {"x": [0.4, 1.0], "y": [0.4, 0.8]}
    inside = cs.Region(**region).mask(pcs).values
    answer = ask(shown, "brushed", region=region)
    assert answer["n"] == inside.sum()
    assert answer["area_um2"] == pytest.approx(0.04**2 * inside.sum())
    expected = density[:, inside].mean(axis=1, dtype=float)
    np.testing.assert_allclose(answer["spectrum"], expected, rtol=1e-5)
    with pytest.raises(ChemoscapeError, match="no pixel is selected"):
        ask(shown, "brushed", polygon=[[1e6, 1e6], [1e6 + 1, 1e6], [1e6, 1e6 + 1]])


# --- clusters before a run ----------------------------------------------------------------------

HAND_WORK = {
    "cut": {"cut": 3},
    "distance": {"cut_distance": 0.05},
    "merge": {"merge": [[0, 3], [1, 5]]},
    "split": {"split": [{"cluster": 1, "into": 3}]},
    "cut, split and merge": {
        "cut": 3,
        "split": [{"cluster": 0, "into": 2}, {"cluster": 2, "into": 2}],
        "merge": [[0, 4]],
    },
}


@pytest.mark.parametrize("work", HAND_WORK.values(), ids=HAND_WORK)
def test_a_preview_is_what_the_run_makes(run, shown, work):
    tree, made_with = run(**work)
    groups = tree["/clustered/clusters"]
    before = ask(shown, "preview", **work)
    np.testing.assert_array_equal(labels(before), groups["label"].values)
    assert before.extra["sizes"].tolist() == groups["size"].values.tolist()
    assert before.extra["n"] == groups.sizes["cluster"]
    assert not before.extra["as_run"]
    spectra = ask(shown, "spectra", **work)
    np.testing.assert_allclose(spectra["spectrum"], groups["spectrum"].values, rtol=1e-6)
    np.testing.assert_allclose(spectra["spectrum_se"], groups["spectrum_se"].values, rtol=0.02)

    # from the results of that run everything can be changed again, or taken back
    after = Shown(tree, made_with)
    same = ask(after, "preview")
    assert same.extra["as_run"]
    np.testing.assert_array_equal(labels(same), groups["label"].values)
    plain = Shown(tree, made_with, run()[1])
    np.testing.assert_array_equal(
        labels(ask(plain, "preview")), shown.node("/clustered/clusters")["label"].values
    )
    np.testing.assert_allclose(
        ask(plain, "spectra")["spectrum"],
        shown.node("/clustered/clusters")["spectrum"].values,
        rtol=1e-6,
    )


def test_the_tree(shown):
    tree = ask(shown, "tree")
    groups = shown.node("/clustered/clusters")
    assert tree["n"] == groups.sizes["cluster"] == len(tree["order"])
    assert tree["size"][: tree["n"]] == groups["size"].values.tolist()
    assert tree["size"][-1] == groups["size"].values.sum()
    assert sorted(tree["members"][-1]) == list(range(tree["n"]))
    assert tree["cut"] == tree["n"]
    for cut in tree["cuts"]:  # every height gives as many as it says
        n = ask(shown, "preview", cut_distance=cut["height"]).extra["n"]
        assert n == cut["into"] == ask(shown, "preview", cut=cut["into"]).extra["n"]
        assert ask(shown, "tree", cut_distance=cut["height"])["cut"] == n


def test_parts_say_which_leaves_they_are_of(shown):
    work = HAND_WORK["cut, split and merge"]
    picture = ask(shown, "preview", **work)
    parts = picture.extra["parts"]
    assert len(parts) == 5
    assert len({one["cluster"] for one in parts}) == 4 == picture.extra["n"]
    assert sum(one["n"] for one in parts) == picture.extra["sizes"].sum()
    leaves = {int(leaf) for one in parts for leaf in one["leaves"]}
    assert leaves == set(range(6))


def test_keys_that_need_a_run_are_named(run):
    tree, made_with = run()
    other = {**made_with, "clusters": {"n_clusters": 4, "n_components": 3}, "seed": 2}
    session = Shown(tree, made_with, other)
    assert ask(session, "preview").extra["waiting"] == ["n_clusters", "n_components", "seed"]


def test_one_cluster_is_a_tree_too(run):
    session = Shown(*run(n_clusters=1))
    tree = ask(session, "tree")
    assert tree["n"] == tree["cut"] == 1
    assert list(tree["order"]) == [0]
    assert ask(session, "preview").extra["n"] == 1
    assert ask(session, "gesture", do="split", cluster=0)["changes"]


def test_a_density_of_every_second_pixel_is_enough_for_spectra(run):
    session = Shown(*run())
    thin = session.density().isel(y=slice(None, None, 2), x=slice(None, None, 2))
    session.density = lambda: thin
    groups = session.node("/clustered/clusters")
    inside = groups["label"].values[::2, ::2] == 1
    answer = ask(session, "brushed", cluster=1)
    assert answer["n_used"] == inside.sum() < answer["n"]
    expected = thin["optical_density"].values[:, inside].mean(axis=1, dtype=float)
    np.testing.assert_allclose(answer["spectrum"], expected, rtol=1e-5)
    assert np.isfinite(ask(session, "spectra", cut=3)["spectrum"]).all()


def test_without_the_stack_joined_clusters_have_spectra_and_parts_have_none(run):
    session = Shown(*run())

    def nothing():
        raise ResultsError("the stack is not there", remedy="put it back")

    session.density = nothing
    joined = ask(session, "spectra", cut=3)
    assert "the stack is not there" in joined["note"]
    expected = run(cut=3)[0]["/clustered/clusters"]["spectrum"].values
    np.testing.assert_allclose(joined["spectrum"], expected, rtol=1e-6)
    with pytest.raises(ResultsError, match="not there"):
        ask(session, "spectra", split=[{"cluster": 0, "into": 2}])


# --- gestures are edits of the recipe -----------------------------------------------------------


def edited(run, changes, **clusters):
    """A session whose recipe has these values and then these changes."""
    tree, made_with = run()
    now = dict(clusters)
    for key, value in changes.items():
        now[key.removeprefix("clusters.")] = value
    now = {key: value for key, value in now.items() if value is not None}
    recipe = {**made_with, "clusters": {"n_clusters": 6, **now}}
    return Shown(tree, made_with, recipe), now


def as_sets(picture):
    image = labels(picture)
    return {frozenset(np.flatnonzero(image == k)) for k in range(image.max() + 1)}


def test_a_merge_joins_what_is_shown_whatever_was_done_before(run):
    before, work = edited(run, {}, cut=4, split=[{"cluster": 0, "into": 2}], merge=[[1, 3]])
    shown_before = labels(ask(before, "preview"))
    n = shown_before.max() + 1
    for pair in itertools.combinations(range(n), 2):
        changes = ask(before, "gesture", do="merge", clusters=list(pair))["changes"]
        after, _ = edited(run, changes, **work)
        expected = np.where(np.isin(shown_before, pair), min(pair), shown_before)
        got = labels(ask(after, "preview"))
        together = {(int(a), int(b)) for a, b in zip(expected.ravel(), got.ravel(), strict=True)}
        assert len(together) == n  # -1 and n - 1 clusters, one to one


def test_a_split_can_be_merged_away(run, shown):
    split = ask(shown, "gesture", do="split", cluster=2)
    assert split["changes"] == {"clusters.split": [{"cluster": 2, "into": 2}]}
    after, work = edited(run, split["changes"])
    parts = ask(after, "preview").extra["parts"]
    both = [one["cluster"] for one in parts if one["of"] == 2]
    back = ask(after, "gesture", do="merge", clusters=both)
    assert back["changes"] == {"clusters.split": None}
    again, _ = edited(run, back["changes"], **work)
    assert as_sets(ask(again, "preview")) == as_sets(ask(shown, "preview"))


def test_a_split_leaves_merges_of_others_as_they_are(run):
    before, work = edited(run, {}, merge=[[0, 3], [4, 5]])
    image = labels(ask(before, "preview"))
    alone = next(
        one["cluster"] for one in ask(before, "preview").extra["parts"] if one["part"] == 1
    )
    changes = ask(before, "gesture", do="split", cluster=alone, into=3)["changes"]
    after, _ = edited(run, changes, **work)
    sets = as_sets(ask(after, "preview"))
    others = {frozenset(np.flatnonzero(image == k)) for k in range(image.max() + 1) if k != alone}
    assert others <= sets
    assert len(sets) == len(others) + 3


def test_what_was_merged_comes_apart_and_what_was_split_gets_finer(run):
    before, work = edited(run, {}, merge=[[0, 3]])
    apart = ask(before, "gesture", do="split", cluster=0)
    assert apart["changes"] == {"clusters.merge": None}
    assert "apart" in apart["said"]

    before, work = edited(run, {}, split=[{"cluster": 0, "into": 2}])
    part = next(one["cluster"] for one in ask(before, "preview").extra["parts"] if one["of"] == 0)
    finer = ask(before, "gesture", do="split", cluster=part)
    assert finer["changes"] == {"clusters.split": [{"cluster": 0, "into": 3}]}
    assert "finer" in finer["said"]
    after, _ = edited(run, finer["changes"], **work)
    assert ask(after, "preview").extra["n"] == 8


def test_another_cut_takes_away_what_was_built_on_the_old_one(run):
    before, _ = edited(run, {}, cut=4, merge=[[0, 1]])
    cut = ask(before, "gesture", do="cut", into=3)
    assert cut["changes"] == {"clusters.cut": 3, "clusters.merge": None}
    assert "gone" in cut["said"]
    assert ask(before, "gesture", do="cut", into=4)["changes"] == {}
    whole = ask(before, "gesture", do="cut", into=6)
    assert whole["changes"] == {"clusters.cut": None, "clusters.merge": None}
    height = ask(before, "gesture", do="cut", distance=0.05)["changes"]
    assert height["clusters.cut_distance"] == 0.05
    assert height["clusters.cut"] is None
    nothing = ask(before, "gesture", do="undo all")["changes"]
    assert nothing == {"clusters.cut": None, "clusters.merge": None}


@pytest.mark.parametrize(
    ("name", "question", "message"),
    [
        ("scatter", {"a": 0}, "a: 0 is not"),
        ("scatter", {"a": 1, "b": 99}, "b: 99 is not"),
        ("brush", {"polygon": [[0, 0], [1, 1]]}, "3 or more pairs"),
        ("preview", {"cut": 7}, "6 clusters cannot be cut into 7"),
        ("preview", {"cut": 3, "cut_distance": 1.0}, "a number of them or at a distance"),
        ("preview", {"merge": [[0, 9]]}, "the clusters are 0 to 5"),
        ("preview", {"merge": ["x"]}, "as a recipe has it"),
        ("preview", {"split": [{"into": 2}]}, "as a recipe has it"),
        ("preview", {"split": [{"cluster": 1, "into": 10_000}]}, "cannot be split"),
        ("gesture", {"do": "merge", "clusters": [1]}, "select others"),
        ("gesture", {"do": "merge", "clusters": [1, "a"]}, "select others"),
        ("gesture", {"do": "split", "cluster": 6}, "there are clusters 0 to 5"),
        ("gesture", {"do": "dance"}, "not one of"),
    ],
)
def test_wrong_questions(shown, name, question, message):
    with pytest.raises(ChemoscapeError, match=message):
        ask(shown, name, **question)


def test_pictures_travel(shown):
    for name in ("preview", "scatter"):
        assert len(ask(shown, name).encoded()) > 1000
