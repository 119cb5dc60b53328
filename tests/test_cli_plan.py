"""The command line's `plan`: a page, a figure and numbers out; bad input in a sentence."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from chemoscape import simulate
from chemoscape.cli import main
from chemoscape.formats import save_stack

PAIR = ["lixv2o5-model", "--standards", "alpha-Li0.1V2O5", "epsilon-Li0.3V2O5"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def complaint(capsys, *arguments):
    """Run a command that must fail; return its one sentence."""
    assert main(["plan", *map(str, arguments)]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert said.startswith("chemoscape: ")
    return said


class Page(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]


def test_a_plan_for_a_stack_is_written_and_replaced(here, capsys):
    truth = simulate.core_shell(
        core="epsilon-Li0.3V2O5",
        shape=(30, 40),
        poisson=True,
        photons=50_000.0,
        energy_shift_eV=-0.4,
        seed=12,
    )
    save_stack(truth.stack, "overview.h5")
    arguments = [*PAIR, "-n", "2", "3", "--stack", "overview.h5", "--wanted-sd", "0.03"]
    arguments += ["--samples", "2", "--within", "516", "541"]
    assert main(["plan", *arguments, "--flux", "2e8"]) == 0
    said = capsys.readouterr()
    assert "3 frames of the stack" in said.out
    assert "synthetic" in said.out
    assert "-0.400" in said.err  # the axis of the stack
    folder = here / "lixv2o5-model-plan"
    assert {one.name for one in folder.iterdir()} == {"plan.html", "plan.json", "figures"}
    assert (folder / "figures" / "plan.png").stat().st_size > 20_000
    facts = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    plan = facts["plan"]
    assert plan["composition_sd_rms"] == pytest.approx(0.03, rel=0.01)
    assert facts["dwell_ms"] == pytest.approx([1e3 * one / 2e8 for one in plan["photons"]])
    assert facts["stack"]["ratio"] == pytest.approx(1, abs=0.2)
    (other,) = facts["others"]
    assert other["dose_MGy"] == pytest.approx(plan["dose_MGy"])
    text = (folder / "plan.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert all(one.startswith("data:image/png;base64,") for one in page.addresses)
    for energy in plan["energies_eV"]:
        assert f"{energy:.2f}" in text
    assert "synthetic" in text
    assert "Tried on a stack" in text
    assert facts["energy_shift_eV"] == pytest.approx(-0.4, abs=0.02)
    assert "<li>The energies are those of the library; on the axis of" in text
    assert "--overwrite" in complaint(capsys, *arguments)
    again = ["-n", "2", "--samples", "2", "--thickness-nm", "100", "--within", "514", "541"]
    assert main(["plan", *PAIR, *again, "--overwrite"]) == 0
    caution, blind = [
        one for one in capsys.readouterr().out.splitlines() if one.startswith("caution: ")
    ]
    assert "fit any mixture of 2 standards perfectly" in blind
    assert "518.5 eV (OD 2.9)" in caution  # saturated
    assert "--highest-od 1.5" in caution
    facts = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    (thin,) = [one for name, one in facts["plan"]["compared"].items() if "OD below" in name]
    assert max(thin["highest_od"]) <= 1.5
    assert f"sd {thin['composition_sd_rms']:.4f} at the same dose" in caution
    text = (folder / "plan.html").read_text(encoding="utf-8")
    first = caution.removeprefix("caution: n")
    assert f"<ol>\n<li>N{first}.</li>" in text


def test_substances_that_would_pass_are_named_and_an_image_that_shows_them(here, capsys):
    wishes = ["--always", "508", "--within", "507", "541", "--thickness-nm", "50", "-n", "3"]
    assert main(["plan", *PAIR, *wishes, "--output", "p", "--overwrite"]) == 0
    assert "caution: these images would not show" in capsys.readouterr().out
    facts = json.loads((here / "p" / "plan.json").read_text(encoding="utf-8"))
    assert not all(one["noticed"] for one in facts["strangers"])
    more = [str(508.0), str(facts["guard_eV"]), *wishes[2:-1], "4"]
    assert main(["plan", *PAIR, "--always", *more, "--output", "p", "--overwrite"]) == 0
    assert "would not show" not in capsys.readouterr().out
    guarded = json.loads((here / "p" / "plan.json").read_text(encoding="utf-8"))
    assert all(one["noticed"] for one in guarded["strangers"])
    errors = [one["plan"]["composition_sd_rms"] for one in (facts, guarded)]
    assert errors[1] < 1.05 * errors[0]  # the same dose


def test_wishes_reach_the_plan(here, capsys):
    wishes = ["--dose-MGy", "20", "--always", "508", "--within", "514", "540", "--shares", "equal"]
    sample = ["--thickness-nm", "40", "--highest-od", "1.0", "--compare", "518.2", "519.4", "555"]
    assert main(["plan", *PAIR, "-n", "3", *wishes, *sample, "--json", "--output", "p"]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert plan["dose_MGy"] == pytest.approx(20)
    assert plan["energies_eV"][0] == 508
    assert max(plan["highest_od"]) <= 1
    assert len(set(plan["photons"])) == 1
    assert list(plan["compared"]) == ["518.2, 519.4, 555 eV"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-library"], "no library"),
        ([*PAIR, "--wanted-sd", "0.02", "--dose-MGy", "3"], "one of them"),
        ([*PAIR, "-n", "1"], "cannot tell 2 standards"),
        ([*PAIR, "-n", "2", "--wanted-sd", "0.0001"], "no dose reaches"),
        ([*PAIR, "-n", "2", "--always", "400"], "400 eV is always"),
        ([*PAIR, "-n", "2", "--thickness-nm", "-3"], "positive number"),
        ([*PAIR, "-n", "2", "--energy-sd", "-1"], "standard deviation"),
        ([*PAIR, "--stack", "nothing.hdr"], "nothing.hdr"),
        ([*PAIR, "--flux", "0"], "a flux of 0 is impossible"),
        ([*PAIR, "--flux=-1e8"], "a flux of -1e+08 is impossible"),
        ([*PAIR, "-n", "0"], "0 energies cannot tell"),
        ([*PAIR, "--dose-MGy", "0"], "above 0"),
    ],
)
def test_bad_input_is_a_sentence_and_leaves_nothing(here, capsys, arguments, words):
    assert words in complaint(capsys, *arguments)
    assert not list(here.iterdir())
