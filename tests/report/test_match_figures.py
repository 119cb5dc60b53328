"""Figures of matched spectra: true to scale, apart from each other, nothing beyond the panel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

from chemoscape.report.matches import _apart, _limits, regions_figure
from chemoscape.report.panels import figure_png

ENERGY = np.linspace(510.0, 540.0, 61)
NAMES = [
    "core of the biggest particle that is in the picture",
    "rim",
    "small",
    "flat",
    "Li0.45V2O5",
    "nothing",
]
HEIGHT = np.array([8.0, 0.3, 1.0, 0.02, 2.0, np.nan])


def made(**changes: object) -> xr.Dataset:
    """Regions with spectra of very different heights, the last one empty."""
    shape = 0.3 + 1 / (1 + np.exp(520 - ENERGY)) + np.exp(-(((ENERGY - 525) / 2) ** 2))
    spectrum = HEIGHT[:, None] * shape
    members = [["a"], ["alpha-V2O5 + b + c"], ["a"], ["b"], ["a" * 60], [""]]
    table = xr.Dataset(
        {
            "spectrum": (("region", "energy"), spectrum),
            "spectrum_se": (("region", "energy"), 0 * spectrum + 0.01),
            "fitted": (("region", "energy"), 1.02 * spectrum),
            "composition": ("region", [0.4, 0.45, 0.2, 0.3, 0.1, np.nan]),
            "composition_sd": ("region", [0.002, 0.5, 0.01, 40.0, np.nan, np.nan]),
            "ambiguous": ("region", [False, True, False, False, False, True]),
            "candidate": (("region", "rank"), members),
        },
        coords={"region": NAMES, "energy": ENERGY},
        attrs={"variable": "x in LixV2O5"},
    )
    return table.assign(**changes)


def boxes(ax):
    """Extents of the words in a panel, pixels, from above."""
    found = [text.get_window_extent() for text in ax.texts]
    return sorted(found, key=lambda box: -box.y0)


def test_spectra_keep_their_scale_and_do_not_cross():
    ax = regions_figure(made()).axes[0]
    curves = [line for line in ax.lines if line.get_linestyle() == "-"][:-1]
    assert len(curves) == 5  # the empty one has none
    for height, line in zip(HEIGHT, curves, strict=False):
        y = line.get_ydata()
        np.testing.assert_allclose(np.ptp(y), height * np.ptp(curves[2].get_ydata()), rtol=1e-9)
    for above, below in pairwise(curves):
        assert above.get_ydata().min() > below.get_ydata().max()
    low, high = ax.get_ylim()
    used = sum(np.ptp(line.get_ydata()) for line in curves)
    assert used > 0.65 * (high - low)  # little room is left empty
    bar = ax.lines[-1].get_ydata()
    assert f"bar: {np.ptp(bar):g}" in ax.get_ylabel()
    assert not ax.get_yticks().size


def test_names_do_not_overlap_and_stay_on_the_page():
    figure = regions_figure(made())
    figure_png(figure, dpi=60)
    for ax in figure.axes:
        found = boxes(ax)
        for above, below in pairwise(found):
            assert above.y0 >= below.y1 - 1
        assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in found)
    panel = figure.axes[1].get_window_extent()
    assert max(box.x1 for box in boxes(figure.axes[0])) < panel.x0
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown[0].startswith("core")
    assert "…" in shown[0]
    assert shown[0].endswith("icture")
    assert shown[4] == "Li$_{0.45}$V$_{2}$O$_{5}$"
    assert shown[5] == "nothing (empty)"


def test_bars_lie_within_the_axis_and_a_huge_one_is_pointed():
    ax = regions_figure(made()).axes[1]
    low, high = ax.get_xlim()
    assert low < 0.45 - 0.5 < 0.45 + 0.5 < high
    assert high < 2
    arrows = [line for line in ax.lines if line.get_marker() in "<>" and line.get_marker()]
    ends = {line.get_marker(): (line.get_xdata()[0], line.get_ydata()[0]) for line in arrows}
    assert ends == {"<": (low, 3), ">": (high, 3)}
    shown = [text.get_text() for text in ax.texts]
    assert shown[3].startswith("0 ± 40")
    assert shown[5] == "no match"


@pytest.mark.parametrize(
    ("value", "sd"),
    [
        ([0.4], [0.3]),
        ([0.4, 0.4], [0.01, 0.02]),
        ([0.1, 0.9], [0.5, 0.6]),
        ([0.3], [3.0]),
        ([0.0, np.nan], [np.nan, np.nan]),
    ],
)
def test_limits_hold_ordinary_bars(value, sd):
    low, high = _limits(np.array(value), np.array(sd))
    spread = np.nan_to_num(sd)
    assert low < np.nanmin(value - spread)
    assert high > np.nanmax(value + spread)


def test_no_region_matched_at_all():
    nothing = made().composition * np.nan
    figure = regions_figure(made(composition=nothing, composition_sd=nothing))
    figure_png(figure, dpi=60)
    ax = figure.axes[1]
    assert [text.get_text() for text in ax.texts] == ["no match"] * 6
    assert np.isfinite(ax.get_xlim()).all()
    assert not ax.get_xticks().size
    assert "hollow" not in ax.get_title(loc="left")


def test_places_are_moved_apart_in_order():
    for places in ([0.9, 0.89, 0.5, 0.1], [1.0, 1.0, 1.0], [0.3, 0.3, 0.3], [0.5]):
        moved = _apart(np.array(places), 0.1)
        assert (np.diff(moved) <= -0.1 + 1e-12).all()
        assert moved.max() <= 1
        assert moved.min() >= 0
    np.testing.assert_array_equal(_apart(np.array([0.9, 0.5]), 0.1), [0.9, 0.5])
