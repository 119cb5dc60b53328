"""Figures of standards show what the library holds, and say what was not measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chemoscape.curation.separability import separability
from chemoscape.report.panels import figure_png
from chemoscape.report.standards import comparison_figure, standards_figure
from chemoscape.standards.folder import open_library


@pytest.fixture(scope="module")
def library():
    return open_library("lixv2o5-model")


def texts(figure):
    figure.canvas.draw()
    found = [one.get_text() for one in figure.findobj() if hasattr(one, "get_text")]
    return [text for text in found if text]


def test_few_stand_above_one_another_at_one_scale(library):
    figure = standards_figure(library.standards, title="six")
    (ax,) = figure.axes
    curves = [line for line in ax.lines if len(line.get_xdata()) > 2]
    assert len(curves) == 6
    for line, one in zip(curves, library.standards, strict=True):
        drawn = np.asarray(line.get_ydata())
        np.testing.assert_allclose(drawn - drawn[0], one.spectrum - one.spectrum[0], atol=1e-6)
    said = " ".join(texts(figure))
    assert "not measured" in said
    assert "cm²/g" in said
    assert figure_png(figure, dpi=60).startswith(b"\x89PNG")


def test_one_keeps_its_axis_and_shows_its_error(library):
    one = library.standards[0]
    noisy = replace(one, spectrum_sd=0.1 * one.spectrum, kind="measured", label="rust")
    (ax,) = standards_figure([noisy]).axes
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), one.spectrum)
    assert len(ax.collections) == 1
    assert len(ax.get_yticks()) > 2


def test_many_and_those_of_different_edges_have_a_panel_each(library):
    many = [replace(library.standards[k % 6], id=str(k)) for k in range(9)]
    figure = standards_figure(many)
    assert sum(ax.axison for ax in figure.axes) == 9
    apart = [
        library.standards[0],
        replace(library.standards[1], energy=library.standards[1].energy + 400.0),
    ]
    assert sum(ax.axison for ax in standards_figure(apart).axes) == 2


def test_what_is_not_measured_says_so_where_its_label_does_not(library):
    plain = replace(library.standards[0], label="rust")
    assert "rust (synthetic)" in texts(standards_figure([plain, library.standards[1]]))


@pytest.mark.parametrize(("noise", "crossed"), [(0.003, 0), (0.5, 20)])
def test_pairs_are_numbered_or_crossed(library, noise, crossed):
    found = separability(library, noise=noise)
    figure = comparison_figure(library, found)
    cells = [text.get_text() for text in figure.axes[1].texts if text.get_position()[0] >= 0]
    lost = np.sum(found.pair_sd[np.tril_indices(6, -1)] > 1 / 3) + np.sum(found.others_sd > 1 / 3)
    assert sum(text == "×" for text in cells) == lost
    assert lost >= crossed
    numbers = [float(text) for text in cells if text not in ("×", "b", "a")]
    assert len(numbers) == 15 + 6 - lost
    if not lost:
        assert f"{100 * found.pair_sd[1, 0]:.2g}" in cells
