"""The figure of one particle at two resolutions shows the right data and its numbers."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from chemoscape.few_energies.resolution.densities import compare_resolutions
from chemoscape.report.panels import DOUBLE, figure_png
from chemoscape.report.two_resolutions import two_resolutions_figure


@pytest.fixture(scope="module")
def found():
    """A wire of optical density 1 that lies across the field, beside a smaller piece."""
    y, x = np.mgrid[:240, :300] * 0.005
    wire = (abs(y - 0.6 - 0.3 * (x - 0.7)) < 0.08) & (abs(x - 0.7) < 0.45)
    piece = (abs(y - 0.25) < 0.06) & (abs(x - 1.1) < 0.06)
    light = np.exp(-ndimage.gaussian_filter((wire | piece).astype(float), 1.0))
    wide = ndimage.gaussian_filter(light, 5.0)[:, :].reshape(30, 8, 300)
    wide = wide.mean(axis=1)[:, :296].reshape(30, 37, 8).mean(axis=2)
    noise = np.random.default_rng(0).normal(0, 0.01, wide.shape)
    coarse = xr.DataArray(
        -0.9 * np.log(wide) + 0.02 + noise,
        dims=("y", "x"),
        coords={"y": 5.0 + 0.04 * np.arange(30), "x": 0.04 * np.arange(37), "energy": 518.2},
    )
    fine = xr.DataArray(
        -np.log(light),
        dims=("y", "x"),
        coords={"y": y[:, 0], "x": x[0], "energy": 518.2},
    )
    return compare_resolutions(coarse, fine)


def panels_of(figure):
    return [ax for part in figure.subfigs for ax in part.axes if ax.get_title(loc="left")]


def test_panels_and_numbers(found):
    figure = two_resolutions_figure(found, note="Simulated.")
    assert figure.get_figwidth() == DOUBLE
    maps = panels_of(figure)[:3]
    titles = [ax.get_title(loc="left") for ax in panels_of(figure)]
    assert [title.split("$  ")[1] for title in titles[:3]] == [
        "STXM, 518.2 eV",
        "ptychography, 518.2 eV",
        "ptychography, blurred, − STXM",
    ]
    shown = maps[0].images[0].get_array()
    inner = np.isfinite(found["fine_on_coarse"].values)
    rows, columns = inner.any(axis=1), inner.any(axis=0)
    np.testing.assert_array_equal(shown, found["coarse"].values[np.ix_(rows, columns)])
    assert maps[0].images[0].get_clim() == maps[1].images[0].get_clim()
    low, high = maps[2].images[0].get_clim()
    assert low == -high
    words = figure.get_supxlabel()
    assert f"{found.attrs['blur_fwhm_nm']:.0f} nm FWHM" in words.replace("\n", " ")
    assert "Simulated." in words
    scatter = panels_of(figure)[3]
    said = [text.get_text() for text in scatter.get_legend().get_texts()]
    assert f"slope {found.attrs['slope']:.3f}" in said[1]
    assert figure_png(figure, dpi=60).startswith(b"\x89PNG")


def test_the_profile_crosses_the_larger_particle_on_its_short_axis(found):
    figure = two_resolutions_figure(found, names=("coarse", "fine"))
    (x0, x1), (y0, y1) = panels_of(figure)[0].lines[-1].get_data()
    along = np.array([1.0, 0.3]) / np.hypot(1.0, 0.3)
    line = np.array([x1 - x0, y1 - y0])
    assert abs(line @ along) < 0.1 * np.linalg.norm(line)
    middle = np.array([0.7 + found.attrs["shift_x_um"], 0.6 + found.attrs["shift_y_um"]])
    reach = np.linalg.norm(np.array([x0 + x1, y0 + y1]) / 2 - middle)
    assert reach < 0.04
    profile = panels_of(figure)[4]
    fine, blurred, coarse = (line.get_ydata() for line in profile.lines)
    assert np.nanmax(fine) == pytest.approx(1.0, abs=0.02)
    assert np.nanmax(blurred) < np.nanmax(fine)
    assert np.nanmax(coarse) == pytest.approx(0.9 * np.nanmax(blurred) + 0.02, abs=0.03)
    assert [text.get_text() for text in profile.get_legend().get_texts()] == [
        "fine",
        "fine, blurred",
        "coarse",
    ]
