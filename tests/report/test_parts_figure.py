"""The figure of a factorisation: what it draws, on which scales, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from chemoscape.errors import FitError
from chemoscape.report.panels import figure_png
from chemoscape.report.parts import parts_figure


@pytest.fixture
def parts(run):
    """Two parts in the layout of `factorise`, from the made-up run."""
    groups = run.groups.isel(cluster=[0, 2])
    spectrum = groups.spectrum / groups.spectrum.mean("energy")
    weight = xr.where(run.sample, run.maps.weight.isel(standard=[0, 1]) * 1e4, np.nan)
    return xr.Dataset(
        {
            "spectrum": spectrum.rename(cluster="part"),
            "weight": weight.rename(standard="part").drop_vars("part"),
            "residual": run.maps.residual.where(run.sample),
            "objective": ("sweep", 1e-4 + 2.0 ** -np.arange(1.0, 12)),
        },
        coords={"part": [0, 1], "sweep": np.arange(11)},
        attrs={
            **{"n_sweeps": 10, "converged": 1, "explained_share": 0.9995},
            **{"similarity": 0.1, "similarity_distance": 2e-4},
        },
    ).transpose("part", "y", "x", ...)


def text_of(figure: Figure) -> str:
    figure_png(figure, dpi=40)
    return "\n".join(words.get_text() for words in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_a_map_of_each_part_on_one_scale_and_of_the_residual(parts):
    figure = parts_figure(parts)
    maps = [ax for ax in figure.axes if ax.images]
    assert len(maps) == 3
    assert maps[0].images[0].get_clim() == maps[1].images[0].get_clim()
    assert maps[0].images[0].get_clim()[0] == 0
    np.testing.assert_allclose(
        np.ma.filled(maps[1].images[0].get_array(), np.nan), parts.weight.values[1]
    )
    text = text_of(figure)
    assert text.count("µm") == 3
    assert "Part 1" in text
    assert "10 sweeps" in text
    assert "not converged" not in text
    assert "99.95 % explained" in text
    assert "dashed" not in text


def test_clusters_are_dashed_and_scaled_as_the_parts(parts, run):
    figure = parts_figure(parts, run.groups.isel(cluster=[0, 2]))
    assert "dashed: clusters" in text_of(figure)
    curves = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    assert len(curves) == 4
    for solid, dashed in (curves[:2], curves[2:]):
        assert solid.get_linestyle() == "-"
        assert dashed.get_linestyle() != "-"
        np.testing.assert_allclose(dashed.get_ydata(), solid.get_ydata())
    plain = parts_figure(parts, 3 * run.groups.spectrum.isel(cluster=[0, 2]))
    line = [line for line in plain.axes[0].lines if len(line.get_xdata()) > 2][1]
    np.testing.assert_allclose(line.get_ydata(), curves[1].get_ydata())


def test_the_search_is_what_is_left_to_gain(parts):
    search = parts_figure(parts).axes[1]
    assert search.get_yscale() == "log"
    values = search.lines[0].get_ydata()
    np.testing.assert_allclose(values[:-1], (parts.objective - parts.objective[-1])[:-1])
    assert np.isnan(values[-1])


def test_one_part_many_parts_and_an_end_at_once(parts):
    one = parts.isel(part=[0], sweep=[0]).assign_attrs(
        converged=0, n_sweeps=0, similarity_distance=np.nan
    )
    text = text_of(parts_figure(one))
    assert "not converged" in text
    assert "similarity" not in text
    assert "offset" not in text
    many = parts.isel(part=[0, 1] * 5).assign_coords(part=np.arange(10))
    figure = parts_figure(many, note="made up")
    assert sum(bool(ax.images) for ax in figure.axes) == 11
    assert "made up" in text_of(figure)


def test_other_clusters_are_refused(parts, run):
    with pytest.raises(FitError, match="3 clusters cannot be drawn beside 2 parts"):
        parts_figure(parts, run.groups)
