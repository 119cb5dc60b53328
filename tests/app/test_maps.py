"""Maps: every map can be drawn and says its error; phases and means are the summary's; profiles
keep to the sample, and their errors are right.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from chemoscape.app.answers.map_catalogue import entries, values_of
from chemoscape.app.answers.map_entries import ALONE
from chemoscape.app.answers.map_fractions import fractions_of
from chemoscape.app.answers.maps import ANSWERS
from chemoscape.app.answers.profiles import track
from chemoscape.app.asking import Asked
from chemoscape.decompose.maps import unpacked
from chemoscape.errors import ChemoscapeError
from chemoscape.results import none_if_not_finite, summary_of

#: One worker, so that the run is made once.
pytestmark = pytest.mark.xdist_group("app-run")

X = "/composition/composition"


def ask(session, name, **asked):
    answer = ANSWERS[name](session, Asked(asked))
    if name != "maps/picture":
        json.dumps(none_if_not_finite(answer))
    return answer


def middle(comp: xr.Dataset) -> list[list[float]]:
    """A line across the middle of a map."""
    row = float(comp["y"][comp.sizes["y"] // 2])
    return [[float(comp["x"][0]), row], [float(comp["x"][-1]), row]]


def test_every_map_is_drawn_and_says_its_error_or_why_it_has_none(shown):
    session = shown()
    told = ask(session, "maps/list")
    listed = [one for group in told["groups"] for one in group["maps"]]
    assert len({one["id"] for one in listed}) == len(listed)
    for one in listed:
        drawn = ask(session, "maps/picture", id=one["id"])
        assert drawn.encoded()
        assert np.isfinite(drawn.values).any(), one["id"]
        assert bool(one["uncertainties"]) != one["no_uncertainty"].startswith("no uncertainty: ")
        for sd in one["uncertainties"]:
            error = ask(session, "maps/picture", id=sd["id"])
            assert error.values.shape == drawn.values.shape
            assert error.unit == drawn.unit
            assert np.nanmin(error.values) >= 0
    assert told["first"] == X
    assert "calculated, not measured" in told["note"]


def test_what_is_listed(shown):
    groups = [group["title"] for group in ask(shown(), "maps/list")["groups"]]
    for title in ("Composition", "Phases", "Weights, direct route", "Weights, clustered route"):
        assert title in groups
    for title in ("Fractions by mass, direct route", "Fractions by formula units, direct route"):
        assert title in groups
    assert {"Quality of the fit, direct route", "Clusters", "Sample and beam"} <= set(groups)


def test_stored_maps_are_shown_as_they_are(shown, results):
    session, direct = shown(), results["/direct"]
    weight = ask(session, "maps/picture", id="/direct/weight/1")
    np.testing.assert_allclose(weight.values, 1e6 * direct["weight"].values[1])
    assert weight.unit == "µg/cm²"
    sd = ask(session, "maps/picture", id="/direct/weight_sd/1").values
    last = np.sqrt(direct["weight_covariance"].values[-1]) * 1e6
    known = np.isfinite(sd)
    np.testing.assert_allclose(sd[known], last[known])
    assert (last[~known & np.isfinite(last)] == 0).all()  # at its bound


def test_fractions_and_their_errors(shown, results):
    maps = results["/direct"].to_dataset()
    inside = maps["sample"].values
    molar_mass = np.array([182.0, 190.0, 200.0])[: maps.sizes["standard"]]
    found = fractions_of(maps, inside, molar_mass)
    assert found.values.sum(axis=0)[inside] == pytest.approx(1)
    assert np.isnan(found.values[:, ~inside]).all()
    y, x = np.argwhere((found.sds > 0).all(axis=0))[0]
    w = maps["weight"].values[:, y, x]
    c = unpacked(maps["weight_covariance"].values[:, y, x])

    def share(weights):
        n = weights / molar_mass
        return n[0] / n.sum()

    gradient = [
        (share(w + step) - share(w - step)) / (2 * step.sum())
        for step in np.eye(len(w)) * 1e-5 * w.max()
    ]
    expected = np.sqrt(gradient @ c @ gradient)
    assert found.sds[0, y, x] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("source", ["direct", "clustered"])
def test_phases_are_the_summarys(shown, results, source):
    """Of the route that the composition was made of."""
    session = shown()
    told = ask(session, "maps/phase")
    expected = summary_of(results).phases
    if source == "direct":
        assert {one["name"] for one in told["phases"]} == set(expected)
        for one in told["phases"]:
            assert one["mass_fraction"] == expected[one["name"]].mass_fraction
            assert one["area_fraction"] == expected[one["name"]].area_fraction
            assert 0 < one["molar_fraction"] < 1
        drawn = ask(session, "maps/picture", id=told["map"]).values
        counted = [float((drawn == k).sum() / np.isfinite(drawn).sum()) for k in range(2)]
        assert counted == pytest.approx([one["area_fraction"] for one in told["phases"][:2]])
        return
    recipe = session.run_recipe()
    other = recipe.composition.model_copy(update={"source": "clustered"})
    session._memory[("recipe",)] = recipe.model_copy(update={"composition": other})
    of_clusters = {one["name"]: one for one in ask(session, "maps/phase")["phases"]}
    assert sum(one["mass_fraction"] for one in of_clusters.values()) == pytest.approx(1)
    for name, one in expected.items():
        assert of_clusters[name]["mass_fraction"] == pytest.approx(one.mass_fraction, abs=0.03)


def test_statistics_of_the_whole_are_the_summarys(shown, results):
    told, expected = ask(shown(), "maps/statistics"), summary_of(results).composition
    assert told["mean"] == expected.mean_pixel
    assert told["mean_mass_weighted"] == expected.mean_mass_weighted
    assert told["mean_sd"] == expected.sd
    assert told["percentiles"]["p05"] == pytest.approx(expected.p05)
    assert told["percentiles"]["p95"] == pytest.approx(expected.p95)
    assert told["histogram"]["counts"].sum() == told["n_pixels"]
    assert told["mass_histogram"].sum() == pytest.approx(1)


def test_statistics_of_a_region(shown, results):
    comp = results["/composition"].to_dataset()
    x, y = comp["x"].values, comp["y"].values
    region = {"x": [float(x[30]), float(x[60])], "y": [float(y[25]), float(y[50])]}
    told = ask(shown(), "maps/statistics", region=region)
    part = comp["composition"].values[25:51, 30:61]
    part = part[np.isfinite(part)]
    assert told["n_pixels"] == part.size
    assert told["mean"] == pytest.approx(part.mean())
    assert told["area_um2"] == pytest.approx(part.size * (x[1] - x[0]) * (y[1] - y[0]))
    whole = {"x": [-1.0, float(x[-1]) + 1], "y": [-1.0, float(y[-1]) + 1]}
    assert ask(shown(), "maps/statistics", region=whole)["mean_sd"] == comp.attrs["mean_sd"]
    thin = ask(shown(), "maps/statistics", id="/composition/thickness", region=region)
    assert thin["unit"] == "nm"
    assert thin["mean_sd"] is None


def test_a_profile_along_a_row_is_the_row(shown, results):
    comp = results["/composition"].to_dataset()
    told = ask(shown(), "maps/profile", line=middle(comp), maps=[X, "/composition/thickness"])
    first, second = told["profiles"]
    row = comp["composition"].values[comp.sizes["y"] // 2]
    np.testing.assert_allclose(first["values"], row, atol=1e-9)
    x = comp["x"].values
    np.testing.assert_allclose(first["distance"], x - x[0])
    of_row = comp.isel(y=comp.sizes["y"] // 2)
    for kind in ("counting", "systematic"):
        np.testing.assert_allclose(
            first[f"sd_{kind}"], of_row[f"composition_sd_{kind}"].values, atol=1e-9
        )
    assert second["unit"] == "nm"


def test_averaging_lowers_the_counting_error_and_not_the_systematic(shown, results):
    comp = results["/composition"].to_dataset()
    line = middle(comp)
    pixel = float(comp["y"][1] - comp["y"][0])
    one, many = (
        ask(shown(), "maps/profile", line=line, width_um=width, maps=[X])["profiles"][0]
        for width in (0.0, 11 * pixel)
    )
    assert many["n_across"] == 11
    both = (many["n_known"] == 11) & np.isfinite(one["values"])
    assert both.sum() > 5
    ratio = np.median((many["sd_counting"] / one["sd_counting"])[both])
    assert 0.5 < ratio < 0.95  # noise is alike over 2 pixels: fewer than 11 are independent
    same = np.median((many["sd_systematic"] / one["sd_systematic"])[both])
    assert same == pytest.approx(1, abs=0.2)


def test_nothing_comes_from_pixels_without_a_value():
    """Beside a mask, along a slant, the profile of a constant is that constant."""
    at = np.arange(60) * 0.05
    values = np.where(np.hypot(*np.meshgrid(at - 1.5, at - 1.5)) < 1.1, 0.7, np.nan)
    image = xr.DataArray(values, dims=("y", "x"), coords={"y": at, "x": at})
    places = track(image, np.array([[0.1, 0.4], [2.8, 2.5]]), 0.6)
    mean = places.mean(places.sampled(image))
    assert np.isfinite(mean).any()
    assert np.isnan(mean).any()
    np.testing.assert_allclose(mean[np.isfinite(mean)], 0.7, rtol=1e-12)


@pytest.mark.parametrize("start", [0.0, 0.38, -0.08, 0.67])
def test_a_profile_reaches_the_outermost_pixels(start):
    """Their centres lie within the image, however µm are rounded; half a pixel further it ends."""
    x, y = start + 0.04 * np.arange(31), start / 3 + 0.05 * np.arange(7)
    image = xr.DataArray(np.full((7, 31), 0.4), dims=("y", "x"), coords={"y": y, "x": x})
    for row in (y[0], y[-1]):
        places = track(image, np.array([[x[0], row], [x[-1], row]]), 0.0)
        np.testing.assert_allclose(places.mean(places.sampled(image)), 0.4, rtol=1e-9)
    beyond = track(image, np.array([[x[0], y[0] - 0.03], [x[-1], y[0] - 0.03]]), 0.0)
    assert np.isnan(beyond.mean(beyond.sampled(image))).all()


@pytest.mark.parametrize("smooth", [0.0, 1.0, 2.0])
def test_the_counting_error_of_an_average_is_its_scatter(smooth):
    """White noise, smoothed or not, averaged over widths: the scatter of many lines."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((400, 300))
    if smooth:
        noise = gaussian_filter(noise, smooth, mode="wrap")
    noise /= noise.std()
    at_y, at_x = np.arange(400.0), np.arange(300.0)
    image = xr.DataArray(noise, dims=("y", "x"), coords={"y": at_y, "x": at_x})
    blur = float(np.hypot(smooth, ALONE))
    for across in (1, 5, 15):
        means = []
        for row in range(20, 380, 3):
            places = track(image, np.array([[0.0, row], [299.0, row]]), float(across))
            values = places.sampled(image)
            means.append(places.mean(values))
        told = places.counting_sd(np.ones_like(values), blur).mean()
        assert told == pytest.approx(np.std(means), rel=0.12)


def test_what_cannot_be_asked_is_refused(shown, results):
    session, line = shown(), middle(results["/composition"].to_dataset())
    for asked, words in (
        ({"line": line, "maps": ["/phase"]}, "have no mean"),
        ({"line": line, "maps": ["/no/such"]}, "no map"),
        ({"line": line, "maps": []}, "no map is chosen"),
        ({"line": [line[0], line[0]], "maps": [X]}, "no length"),
        ({"line": line[:1], "maps": [X]}, "line"),
        ({"line": line, "width_um": -1, "maps": [X]}, "width_um"),
        ({"line": [[0, 0], [1e6, 0]], "maps": [X]}, "places"),
    ):
        with pytest.raises(ChemoscapeError, match=words):
            ask(session, "maps/profile", **asked)
    with pytest.raises(ChemoscapeError, match="no pixel"):
        ask(session, "maps/statistics", region={"x": [900, 901], "y": [900, 901]})


def test_maps_are_made_once(shown):
    session = shown()
    one = entries(session)["/direct/fraction/0"]
    assert values_of(session, one) is values_of(session, one)
