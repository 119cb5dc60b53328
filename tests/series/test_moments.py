"""Which stacks make a series, in which order, and when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chemoscape import simulate
from chemoscape.cli_run import _placed
from chemoscape.errors import ChemoscapeWarning, RecipeError
from chemoscape.formats import save_stack
from chemoscape.recipe import make_recipe
from chemoscape.series.moments import find_moments

BEGAN = ("2026-03-01T11:58:00+01:00", "2026-03-01T12:28:00+01:00", "2026-03-01T13:58:00+01:00")


@pytest.fixture
def folder(tmp_path):
    """Three stacks whose natural order is not that of their letters: scan_2, scan_10, scan_11."""
    one = simulate.core_shell(shape=(12, 14), energy=[515.0, 518.0, 530.0]).stack
    for name, began in zip(("scan_2", "scan_10", "scan_11"), BEGAN, strict=True):
        save_stack(one.assign_attrs(started=began), tmp_path / f"{name}.h5")
    return tmp_path


def moments(folder, **section):
    section = {"enabled": True, "stacks": [str(folder / "scan_*.h5")], **section}
    return find_moments(make_recipe({"series": section}, folder=folder))


def test_files_tell_their_times(folder):
    found = moments(folder)
    assert [path.stem for path in found.paths] == ["scan_2", "scan_10", "scan_11"]
    np.testing.assert_allclose(found.times, [0, 30, 120])
    assert (found.unit, found.source) == ("min", "files")
    assert found.axis.attrs["units"] == "min"
    assert found.name_of(1) == "scan_10.h5 at 30 min"
    np.testing.assert_allclose(moments(folder, time_unit="h").times, [0, 0.5, 2])


def test_stacks_are_put_in_the_order_of_their_own_times(folder):
    named = [str(folder / f"scan_{k}.h5") for k in (11, 2, 10)]
    with pytest.warns(ChemoscapeWarning, match=r"scan_2.h5, scan_10.h5, scan_11.h5, not in that"):
        found = moments(folder, stacks=named)
    assert [path.stem for path in found.paths] == ["scan_2", "scan_10", "scan_11"]


def test_times_of_the_recipe_win_over_those_of_the_files(folder):
    found = moments(folder, times=[0.0, 5.0, 7.0], time_unit="s")
    assert found.times.tolist() == [0, 5, 7]
    assert (found.unit, found.source) == ("s", "recipe")


@pytest.mark.parametrize("started", [None, "before lunch", "2026-03-01T11:58:00+01:00"])
def test_stacks_without_a_time_of_their_own_are_counted(folder, started):
    """Unknown, unreadable, or the same in two files."""
    one = simulate.core_shell(shape=(12, 14), energy=[515.0, 518.0, 530.0]).stack
    attrs = {} if started is None else {"started": started}
    save_stack(one.assign_attrs(attrs), folder / "scan_12.h5")
    with pytest.warns(ChemoscapeWarning, match=r"time counts the stacks: give \[series\] times"):
        found = moments(folder)
    assert found.times.tolist() == [0, 1, 2, 3]
    assert (found.unit, found.name_of(0)) == ("1", "scan_2.h5")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"stacks": ["scan_2.h5"]}, "a series of 1 stack has no evolution"),
        ({"stacks": ["scan_2.h5", "scan_2.h5"]}, "scan_2.h5 is named twice"),
        ({"stacks": ["nothing_*.h5"]}, "no file matches this"),
        ({"stacks": ["scan_2.h5", "missing.h5"]}, r"\[series\] stacks.*missing.h5"),
        ({"times": [0.0, 1.0]}, r"\[series\] has 3 stacks and 2 times"),
    ],
)
def test_what_is_no_series_is_refused(folder, section, said):
    stacks = [str(folder / one) for one in section.pop("stacks", ["scan_*.h5"])]
    with pytest.raises(RecipeError, match=said):
        moments(folder, stacks=stacks, **section)


def test_a_path_that_is_none_of_the_stacks_is_refused(folder):
    recipe = {"input": {"path": "other.h5"}, "series": {"stacks": ["scan_*.h5"], "enabled": True}}
    with pytest.raises(RecipeError, match=r"other.h5, which is none of the stacks"):
        find_moments(make_recipe(recipe, folder=folder))


def test_home_in_a_quoted_pattern(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert _placed(Path("~/monday/scan_*.h5")) == str(tmp_path / "monday" / "scan_*.h5")
    assert _placed(Path("scan_*.h5")) == str(Path.cwd() / "scan_*.h5")
