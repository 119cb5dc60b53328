"""The report: whole in one file, warnings first, nothing hidden, nothing executed."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import xarray as xr
from matplotlib.figure import Figure

from chemoscape import results
from chemoscape.report import html, words
from chemoscape.report.gallery import run_figures
from chemoscape.report.numbers import key_numbers

WARNING = "the fitted energy shift is -0.400 eV; check the calibration"
RECIPE = 'version = 1\n[input]\npath = "wire & <b>core</b>.hdf5"\n'


class Page(HTMLParser):
    """Tags with attributes, and the text, of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def summary(**changed: object) -> results.RunSummary:
    stress = {"von_mises_max_MPa": 812.3, "von_mises_p99_MPa": 351.2, "von_mises_mean_MPa": 190.1}
    parts: dict[str, object] = {
        "input": {
            **{"path": "wire.hdf5", "sha256": "ab" * 32, "format": "NXstxm"},
            **{"shape": (120, 48, 60), "energy_range_eV": (508.0, 560.0)},
        },
        "units": {
            "correction": "I0 was per millisecond; multiplied by 0.433",
            "i0_source": "file i0.xsp",
        },
        "noise": {"g": 10.0, "source": "measured", "correlation": 0.02},
        "pixels": {
            **{"total": 2880, "thick": 40, "too_thick": 3, "not_positive_values": 0},
            **{"despiked_values": None, "levelled_values": None},
        },
        "drift": {"max_px": 1.5, "rms_px": 0.41, "applied": True, "n_replaced": 2},
        "energy_shift_eV": {"value": -0.40013, "sd": 0.0051},
        "calibration": {
            **{"source": "fit", "significance": 75.0, "composition_per_eV": -0.51},
            **{"stretch_per_eV": 0.0, "stretch_seen_per_eV": 0.004, "stretch_seen_sd": 0.001},
            "edges": [
                {"energy_eV": 518.0, "shift_eV": -0.4},
                {"energy_eV": 528.0, "shift_eV": -0.4},
            ],
            **{"misfit_scale": 1.5, "misfit_level": 0.002},
        },
        "standards": ["alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"],
        "condition_number": 61.2,
        "rank": {"ind": 2, "mp": 2, "f": 1, "cv": None, "cumulative": 1},
        "routes": {"direct": {"composition": 0.262, "residual_rms": 0.0101, "reduced_chi2": 1.02}},
        "composition": {
            **{"variable": "x in LixV2O5", "mean_pixel": 0.2621, "mean_mass_weighted": 0.31},
            **{"sd": 0.0123, "p05": 0.1, "p95": 0.45},
        },
        "phases": {"alpha-Li0.1V2O5": {"mass_fraction": 0.4, "area_fraction": 0.52}},
        "damage": {
            **{"dx": 0.003, "sd": 0.004, "how": "halves", "significant": False, "dose_MGy": 12.0},
        },
        "stress": {"fixed": {**stress, "reference": 0.1}},
        "warnings": [WARNING],
        "seconds": {"read": 0.25, "drift": 1.5},
    }
    return results.RunSummary.model_validate({**parts, **changed})


def tree_of(run: SimpleNamespace, told: results.RunSummary) -> xr.DataTree:
    nodes = {
        **{"/spectra": run.spectra, "/direct": run.maps, "/composition": run.comp},
        **{"/clustered/components": run.pcs, "/clustered/clusters": run.groups},
        **{"/clustered/match": run.table, "/stress/free": run.fields[0]},
    }
    return results.results_tree(nodes, summary=told, recipe_toml=RECIPE, seed=3)


def standard(**changed: object) -> SimpleNamespace:
    facts = {"id": "alpha-Li0.1V2O5", "label": "α-Li0.1V2O5 (synthetic)", "kind": "synthetic"}
    return SimpleNamespace(
        **{**facts, "value": 0.1, "value_sd": None, "source": "model", **changed}
    )


@pytest.fixture(scope="module")
def gallery(run: SimpleNamespace) -> dict[str, Figure]:
    return run_figures(tree_of(run, summary()), od=run.od, truth=run.truth)


@pytest.fixture(scope="module")
def page(run: SimpleNamespace, gallery: dict[str, Figure]) -> Page:
    told = summary()
    standards = [standard()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "RESOLUTIONS", (50,))
        text = html.report_html("A wire", tree_of(run, told), told, gallery, standards=standards)
    return Page(text)


def test_the_gallery_draws_what_is_there_before_and_after_saving(
    run: SimpleNamespace, gallery: dict[str, Figure], tmp_path: Path
) -> None:
    results.save_tree(tree_of(run, summary()), tmp_path / "results.h5")
    again = set(run_figures(results.open_results(tmp_path)))
    assert again == {
        *("fit", "weights-direct", "composite", "components", "clusters", "composition", "stress"),
        *("scores", "dendrogram"),
    }
    assert set(gallery) == again | {"absorbance", "background", "truth"}


def test_a_composite_is_of_two_or_three_standards(run: SimpleNamespace) -> None:
    tree = tree_of(run, summary())
    for n, drawn in ((1, False), (2, True), (3, True), (4, False)):
        some = run.maps.isel(standard=[0, 1, 2, 0][:n])
        some = some.assign_coords(standard=[f"phase {one}" for one in range(n)])
        tree["/direct"] = xr.DataTree(some)
        assert ("composite" in run_figures(tree)) == drawn


def test_every_figure_is_inside_and_described(page: Page) -> None:
    images = page.all("img")
    assert len(images) == 12
    for image in images:
        kind, data = str(image["src"]).split(",", 1)
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
        assert len(str(image["alt"])) > 20


def test_nothing_is_fetched_and_nothing_runs(page: Page) -> None:
    assert not page.all("script")
    assert not page.all("link")
    for tag, attrs in page.tags:
        for name, value in attrs.items():
            assert not name.startswith("on"), tag
            assert "http" not in str(value) or name == "http-equiv", (tag, name)
    policy = [meta for meta in page.all("meta") if meta.get("http-equiv")]
    assert str(policy[0]["content"]).startswith("default-src 'none'")


def test_warnings_come_before_the_numbers(page: Page) -> None:
    assert page.text.index(WARNING) < page.text.index("Key numbers")
    assert "1 warning: read before using the numbers" in page.text


def test_numbers_carry_units_and_uncertainty(page: Page) -> None:
    for expected in (
        *("0.262 ± 0.012", "−0.4001 ± 0.0051 eV", "0.41 pixels rms", "351", "190"),
        *(
            "IND 2 · Marchenko–Pastur 2 · F-test 1 · cross-validation –",
            "reduced χ² 1.02",
            "40.0 %",
        ),
        *("I0 was per millisecond", "illustrative", "10.1016/j.patter.2022.100634", "seed 3"),
        *("508.0 to 560.0 eV", "120 energies × 48 × 60 pixels", "NXstxm"),
    ):
        assert expected in page.text, expected
    assert "x in LixV2O5" in page.text  # subscripts are mark-up, not text
    assert page.all("sub")


def test_limits_follow_from_what_was_done(page: Page, run: SimpleNamespace) -> None:
    assert "The standards are synthetic." in page.text
    assert "does not predict fracture" in page.text
    bare = summary(stress={}, energy_shift_eV=None)
    tree = results.results_tree({"/composition": run.comp}, summary=bare, recipe_toml="")
    measured = standard(label="reduced", kind="measured")
    other = Page(html.report_html("x", tree, bare, {}, standards=[measured]))
    for absent in ("standards are synthetic", "fracture", "illustrative", "0.1 eV moves"):
        assert absent not in other.text


def test_tables_have_headers(page: Page) -> None:
    assert len(page.all("table")) == 4
    assert all(header.get("scope") in ("col", "row") for header in page.all("th"))


def test_hostile_text_is_shown_not_obeyed(run: SimpleNamespace) -> None:
    evil = "<script>alert(1)</script>"
    told = summary(warnings=[evil], phases={evil: {"mass_fraction": 1.0, "area_fraction": None}})
    tree = tree_of(run, told)
    text = html.report_html(
        evil,
        tree,
        told,
        {evil: b"\x89PNG"},
        standards=[standard(label=f'{evil}"V2O5', source=evil)],
        notices=[evil],
    )
    page = Page(text)
    assert not page.all("script")
    assert not page.all("b") or "wire & <b>core</b>.hdf5" in page.text
    assert page.text.count(evil) >= 5
    assert RECIPE.split("\n")[2] in page.text


def test_a_run_that_stopped_early_has_a_report_too() -> None:
    nothing = summary(
        **{"units": None, "noise": None, "drift": None, "energy_shift_eV": None, "rank": None},
        **{"standards": [], "condition_number": None, "routes": {}, "composition": None},
        **{"phases": {}, "stress": {}, "warnings": [], "seconds": {}},
        **{"pixels": None, "damage": None, "calibration": None},
    )
    tree = results.results_tree({}, summary=nothing, recipe_toml="")
    page = Page(html.report_html("nothing", tree, nothing, {}))
    assert "stopped before a composition" in page.text
    assert "No warnings." in page.text


def test_unknown_numbers_say_so() -> None:
    unknown = summary(
        composition={
            **{"variable": "x", "mean_pixel": float("nan"), "mean_mass_weighted": None},
            **{"sd": None, "p05": None, "p95": None},
        },
    )
    rows = dict(row[:2] for row in key_numbers(unknown))
    assert rows["x, mean of the pixels"] == "not determined"
    assert not any("nan" in value.lower() for value in rows.values())


@pytest.mark.parametrize(
    ("value", "sd", "text"),
    [
        (0.26213, 0.0123, "0.262 ± 0.012"),
        (-0.4, 0.1, "−0.40 ± 0.10"),
        (1234.5, 56.0, "1234 ± 56"),
        (1234.5, 560.0, "1234 ± 560"),
        (0.247039, 0.000067, "0.2470 ± 0.0001"),
        (0.247039, 0.000007, "0.2470 (sd < 0.0001)"),
        (0.1, 0.0, "0.1"),
        (0.1, float("inf"), "0.1"),
        (float("inf"), 0.1, "not determined"),
    ],
)
def test_values_are_rounded_to_their_uncertainty(value: float, sd: float, text: str) -> None:
    assert words.measured(value, sd) == text


def test_a_heavy_report_is_drawn_coarser(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = Figure(figsize=(4, 3))
    figure.subplots().plot([0, 1])
    fine = html._embedded({"a": figure}, {})[0]["data"]
    monkeypatch.setattr(html, "LARGEST_BYTES", 3 * len(fine) // 4)
    coarse = html._embedded({"a": figure}, {})[0]["data"]
    assert len(coarse) < len(fine)
