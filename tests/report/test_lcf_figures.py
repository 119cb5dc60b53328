"""The figure of a linear combination fit says what the fit says."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.decompose.combinations.lcf import linear_combination_fit
from chemoscape.decompose.combinations.ranking import rank_combinations
from chemoscape.report.lcf import lcf_figure
from chemoscape.report.panels import figure_png
from chemoscape.report.words import elided, width_of
from chemoscape.standards.folder import open_library
from chemoscape.standards.library import Library, Standard

ENERGY = np.arange(510.0, 550.0, 0.4)


@pytest.fixture(scope="module")
def spectrum():
    library = open_library("lixv2o5-model")
    clean = library.spectra(ENERGY).values.T @ [0, 0.3, 0, 0.7, 0, 0] * 2e-5
    return ENERGY, clean + 0.05 + 0.01 * np.random.default_rng(0).normal(size=ENERGY.size)


@pytest.fixture(scope="module")
def library():
    return open_library("lixv2o5-model")


def lines(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def words(figure):
    figure.canvas.draw()
    texts = [
        text.get_text() for ax in figure.findobj() if hasattr(ax, "texts") for text in ax.texts
    ]
    legends = [ax.get_legend() for ax in figure.get_axes() if ax.get_legend()]
    texts += [text.get_text() for legend in legends for text in legend.get_texts()]
    texts += [ax.get_title(loc="left") for ax in figure.get_axes()]
    return "\n".join(texts)


def test_single_fit(spectrum, library):
    fit = linear_combination_fit(
        spectrum, library.select("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5"), sd=0.01
    )
    figure = lcf_figure(fit, title="core")
    above, below, text = figure.get_axes()
    drawn = lines(above)
    np.testing.assert_array_equal(drawn["data"].get_ydata(), fit.data)
    np.testing.assert_array_equal(drawn["fit"].get_ydata(), fit.model)
    parts = [line for name, line in drawn.items() if name not in ("data", "fit")]
    np.testing.assert_allclose(sum(p.get_ydata() for p in parts), fit.model)
    residual = next(line for line in below.lines if len(line.get_xdata()) == fit.n_points)
    np.testing.assert_allclose(residual.get_ydata(), fit.data - fit.model)
    assert "core" in above.get_title(loc="left")
    assert "± 1 sd" in below.get_title(loc="left")
    said = words(figure)
    assert "mean square" not in said
    for word in ("reduced χ²", "sum of weights", "BIC", "energy shift", "100 points", "%"):
        assert word in said
    assert not text.axison
    assert figure_png(figure, dpi=60)[:4] == b"\x89PNG"


def test_bounds_and_no_baseline(spectrum, library):
    fit = linear_combination_fit(spectrum, library, energy_shift=0.0, baseline=None)
    figure = lcf_figure(fit)
    assert len(lines(figure.get_axes()[0])) == 2 + len(library.names)
    assert "sd" not in figure.get_axes()[1].get_title(loc="left")
    said = words(figure)
    assert "χ²" not in said
    assert f"mean square residual = {fit.reduced_chi2:.3g}" in said
    assert f"({1e5 * fit.weights.sum():.3f}"[:5] in said
    assert "× 10$^{-5}$" in said
    assert ", 0\n" in said
    assert "held" in said


def test_ranked_fits_list_their_runners_up(spectrum, library):
    ranked = rank_combinations(spectrum, library, energy_shift=0.0, resolution_eV=0.8)
    figure = lcf_figure(ranked)
    table = figure.get_axes()[-1]
    said = [text.get_text() for text in table.texts]
    assert "56 combinations" in table.get_title(loc="left")
    for delta in ranked.delta_bic[:8]:
        assert f"{delta:.1f}" in said
    assert len(table.collections) == 1 + len(ranked.runners_up)
    assert f"{100 * ranked.best.shares[0]:.0f}" in said
    assert figure.get_supxlabel().startswith("Synthetic standards")
    assert figure_png(figure, dpi=60)[:4] == b"\x89PNG"


def test_many_standards_are_cut_and_said_to_be():
    axis = np.arange(500.0, 560.0, 0.4)
    library = Library(
        "many",
        "many",
        "x",
        tuple(
            Standard(f"s{k}", f"s{k}", 0.1 * k, axis, np.exp(-(((axis - 518 - k) / 2) ** 2)))
            for k in range(12)
        ),
    )
    data = library.spectra(ENERGY).values.sum(axis=0) + 0.1 * np.cos(ENERGY)
    ranked = rank_combinations((ENERGY, data), library, max_standards=3, energy_shift=0.0)
    figure = lcf_figure(ranked, note="mine")
    assert figure.get_supxlabel() == "mine"
    table = figure.get_axes()[-1]
    assert len({name for fit in ranked.fits[:8] for name in fit.standards}) == 10
    assert "2 more standards take part" in table.get_title(loc="left")
    heads = {text.get_text() for text in table.texts}
    assert set(ranked.best.standards) < heads
    assert figure_png(figure, dpi=60)


def test_a_perfect_fit_of_one_standard_is_drawn(library):
    one = library.select("alpha-V2O5")
    fit = linear_combination_fit(
        (ENERGY, one.spectra(ENERGY).values[0] * 1e-5), one, energy_shift=0.0, baseline="linear"
    )
    assert "baseline" in lines(lcf_figure(fit).get_axes()[0])
    assert figure_png(lcf_figure(fit), dpi=60)


@pytest.mark.parametrize("n", [1, 12])
def test_many_long_names_stay_on_the_page(n):
    axis = np.arange(500.0, 560.0, 0.4)
    library = Library(
        "long",
        "long",
        "a variable that has a rather long name too",
        tuple(
            Standard(
                f"id{k}",
                f"Fe K-edge reference in transmission, number {k}",
                0.1 * k,
                axis,
                np.exp(-(((axis - 512 - 3 * k) / 2) ** 2)),
            )
            for k in range(n)
        ),
    )
    data = library.spectra(ENERGY).values.sum(axis=0) + 0.01 * np.cos(ENERGY)
    fit = linear_combination_fit((ENERGY, data), library, energy_shift=0.0)
    ranked = rank_combinations(
        (ENERGY, data), library, max_standards=min(n, 3), energy_shift=0.0, resolution_eV=1.0
    )
    for figure in (lcf_figure(fit), lcf_figure(ranked)):
        figure_png(figure, dpi=100)  # lays it out
        text = figure.get_axes()[2]
        legend = text.get_legend().get_window_extent()
        assert legend.x1 <= figure.bbox.x1
        assert legend.y0 > text.texts[0].get_window_extent().y1 - 2
        labels = [one.get_text() for one in text.get_legend().get_texts()]
        assert all(one.endswith(("%", ", 0")) for one in labels[2:-1])
        assert text.texts[0].get_window_extent().y0 > figure.bbox.y0
    table = figure.get_axes()[3]
    title = next(
        one
        for one in table.get_children()
        if getattr(one, "get_text", str)() == table.get_title("left")
    ).get_window_extent()
    assert max(one.get_window_extent().y1 for one in table.texts) <= title.y0
    assert text.texts[0].get_window_extent().y0 > title.y1
    heads = [one.get_text() for one in table.texts if one.get_rotation() == 90]
    assert all(head.startswith("Fe K") for head in heads[:-1])
    assert not any(head.startswith("id") for head in heads)
    plural = "s" if ranked.n_combinations > 1 else ""
    assert f"{ranked.n_combinations} combination{plural} (" in table.get_title(loc="left")


def test_names_lose_their_middle_only_where_too_wide():
    assert elided("epsilon-Li0.45V2O5", 3.0) == "ε-Li$_{0.45}$V$_{2}$O$_{5}$"
    short = elided("Fe K-edge reference, transmission, Magnetite", 1.0)
    assert short.startswith("Fe K")
    assert short.endswith("tite")
    assert 0.8 < width_of(short, 6.5) <= 1.0
    assert width_of("", 6.5) == 0
