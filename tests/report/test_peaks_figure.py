"""The figure of fitted peaks shows the numbers of the fit, and says what is synthetic."""

from __future__ import annotations

import numpy as np
import pytest

from chemoscape.report.panels import figure_png
from chemoscape.report.peaks import peaks_figure
from chemoscape.standards.folder import open_library
from chemoscape.standards.peaks import fit_peaks


@pytest.fixture(scope="module")
def fit():
    return fit_peaks(open_library("lixv2o5-model"), "V L3")


def texts(figure):
    figure.canvas.draw()
    found = [one.get_text() for one in figure.findobj() if hasattr(one, "get_text")]
    return " ".join(text for text in found if text)


def test_positions_and_intensities_are_those_of_the_fit(fit):
    figure = peaks_figure(fit, within=(0, 0.7), variable="x in LixV2O5")
    spectra, position, intensity = figure.axes
    trend = next(one for one in fit.trends((0, 0.7)) if one.peak == "d_xy")
    slopes = [np.ptp(one.get_ydata()) / 0.7 for one in position.lines if one.get_linestyle() == "-"]
    assert np.abs(np.array(slopes) - trend.slope).min() < 1e-9
    (low, high), drawn = intensity.get_ylim(), fit.table.relative_intensity.sel(peak="d_xy")
    assert low < drawn.min()
    assert drawn.max() < high
    counts = [len(one.get_xdata()) for one in spectra.lines]
    assert counts.count(fit.curves.sizes["energy"]) == 6 * (6 + 2)  # peaks, steps, fit
    said = texts(figure)
    for word in ("Synthetic", "photon energy (eV)", "shift of the centre (eV)", "$d_{xz/yz}$", "ε"):
        assert word in said
    assert figure_png(figure, dpi=60).startswith(b"\x89PNG")


def test_spectra_without_values_have_no_trends(fit):
    library = open_library("lixv2o5-model").select("alpha-V2O5")
    array = library.spectra(np.arange(508.0, 530.0, 0.1))
    figure = peaks_figure(fit_peaks(array, fit.model, steps=None))
    assert len(figure.axes) == 1
    assert "V L3" in texts(figure)
