"""Every example runs, without a warning, and reaches the number that it asserts."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).resolve().parents[1].joinpath("examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.count("\n") >= 3
    assert "assert " in path.read_text(encoding="utf-8")


def test_there_are_examples():
    assert len(EXAMPLES) >= 3
