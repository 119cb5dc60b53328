"""Figures of patterns and structures show the numbers that they are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chemoscape.crystals.evidence import weigh_pattern
from chemoscape.crystals.extra_lines import ExtraLine
from chemoscape.crystals.layers import describe_layers
from chemoscape.crystals.model import PHASES, model_structure
from chemoscape.crystals.rows import StructureRow
from chemoscape.crystals.simulation import overlay, synthetic_pattern
from chemoscape.crystals.structures import series_of
from chemoscape.report.crystal_structures import series_figure
from chemoscape.report.crystals import pattern_figure, patterns_figure
from chemoscape.report.panels import figure_png
from chemoscape.report.structure_drawing import structures_figure

X = np.arange(12, 45, 0.04)


@pytest.fixture(scope="module")
def found():
    crystal = model_structure(0)
    return weigh_pattern(synthetic_pattern(crystal, X, counts=3000), crystal, reach=0)


@pytest.fixture(scope="module")
def series():
    rows = []
    for name, (x, phase) in PHASES.items():
        one = model_structure(x, phase)
        rows.append(
            StructureRow(
                *(name, f"{name} (synthetic)", x, one.cell),
                phase=phase,
                z=one.z,
                crystal=one,
                layers=describe_layers(one),
                formula="V2O5",
            )
        )
    return series_of(rows, "x in LixV2O5")


def texts(figure) -> str:
    figure.canvas.draw()
    found = [one.get_text() for one in figure.findobj() if hasattr(one, "get_text")]
    return " ".join(text for text in found if text)


def test_pattern_and_fit(found):
    line = ExtraLine(27.4, 0.01, 3.25, 90.0, 0.03, 0.002, 15.0)
    figure = pattern_figure(
        replace(found, extra=(line,)), calculated=overlay(found.fit, model_structure(0))
    )
    above, below, _ = figure.axes
    data, fitted = above.lines[:2]
    np.testing.assert_array_equal(data.get_ydata(), found.fit.pattern.intensity)
    np.testing.assert_array_equal(fitted.get_ydata(), found.fit.calculated)
    z = found.fit.residual / found.fit.pattern.sd
    np.testing.assert_allclose(below.lines[0].get_ydata(), z)
    said = texts(figure)
    assert "SYNTHETIC" in said
    assert "not of the phase" in said
    assert found.fit.lattice.split(",")[0].split("= ")[1] in said  # the cell with its sd
    assert figure_png(figure, dpi=60).startswith(b"\x89PNG")


def test_patterns_stand_above_one_another(found):
    pattern = found.fit.pattern
    figure = patterns_figure([pattern] * 3, ["a", "b", "c"], fits=[found.fit] * 3)
    (ax,) = figure.axes
    assert len(ax.lines) == 3
    tops = [line.get_ydata().max() for line in ax.lines]
    np.testing.assert_allclose(np.diff(tops), 1)
    assert "SYNTHETIC" in texts(figure)


def test_series_joins_only_what_can_be_compared(series):
    figure = series_figure(series, title="six")
    first = figure.axes[0]
    joined = first.lines[0]
    np.testing.assert_allclose(joined.get_ydata(), [r.cell[0] for r in series.rows[:5]])
    volume = figure.axes[3]
    assert len(volume.lines[0].get_xdata()) == 5
    said = texts(figure)
    assert "not measured" in said
    assert "hollow: delta" in said
    assert "2 times that of" in said


def test_structures_are_drawn_with_all_their_pyramids(series):
    crystals = [series.rows[0].crystal, series.rows[-1].crystal]
    figure = structures_figure(crystals, ["V2O5", "delta"], captions=["flat", "puckered"])
    for ax, lithium in zip(figure.axes[:2], (0, 1), strict=True):
        outlines = [p for p in ax.patches if p.get_fill()]
        assert len(outlines) == 12  # three layers of four pyramids
        greens = [c for c in ax.collections if len(c.get_offsets()) == 1]
        assert bool(greens) == bool(lithium)
    assert "SYNTHETIC" in texts(figure)
