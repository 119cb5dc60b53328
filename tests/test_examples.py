"""Every example runs, without a warning, and reaches the number that it asserts."""

from __future__ import annotations

import re
import runpy
import warnings
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(REPOSITORY.joinpath("examples").glob("*.py"))
FIGURES = sorted(REPOSITORY.joinpath("examples", "figures").glob("*.py"))


@pytest.mark.parametrize("path", [*EXAMPLES, *FIGURES], ids=lambda path: path.stem)
def test_example(path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.count("\n") >= 3
    assert "\nassert " in path.read_text(encoding="utf-8")


def test_there_are_examples():
    assert len(EXAMPLES) >= 3
    assert len(FIGURES) >= 15


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_a_figure_says_what_the_paper_shows_and_what_ours_shows(path):
    text = path.read_text(encoding="utf-8")
    assert re.fullmatch(r"figure_(s\d\d|\d[a-z]?)(_(s\d\d|\d[a-z]))?", path.stem), path.stem
    title, under, _ = text.removeprefix('"""').split("\n", 2)
    assert re.match(r"Figures? (S?\d)", title), "the page's title names the figure"
    assert set(under) == {"="}
    assert len(under) >= len(title)
    for heading in ("The paper shows", "Ours shows"):
        assert f"\n{heading}\n{'-' * len(heading)}\n" in text


def figures_of(cell):
    """The figures that a first cell names: "1F to 1H", "S4 and S5", "S21 to S23"."""
    numbers = re.findall(r"S?\d+", cell)
    if " to " in cell and cell.startswith("S"):
        first, last = (int(number[1:]) for number in numbers)
        return [f"S{number}" for number in range(first, last + 1)]
    return numbers


def test_the_table_lists_every_figure_and_every_script():
    page = REPOSITORY.joinpath("docs", "gallery.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (S?\d[^|]*) \|", page, re.MULTILINE)
    found = [name for cell in cells for name in figures_of(cell)]
    assert list(dict.fromkeys(found)) == [
        *map(str, range(1, 7)),
        *(f"S{number}" for number in range(1, 24)),
    ]
    scripts = {path.stem for path in FIGURES}
    assert scripts <= set(re.findall(r"\b(figure_\w+)\.(?:rst|py)", page))
    assert set(re.findall(r"\]\(gallery/(figure_\w+)\.rst\)", page)) <= scripts
